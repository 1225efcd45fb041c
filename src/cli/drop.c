/* SPDX-License-Identifier: Apache-2.0 */
/* pinfold drop: forget change sets. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "workspace/change.h"

enum { OPT_ALL, OPT_HELP };

static const struct pf_opt opts[] = {
	[OPT_ALL] = {"all", 0, PF_OPT_FLAG, NULL, "every kept change set"},
	[OPT_HELP] = PF_OPT_HELP,
	PF_OPT_END,
};

/* All are looked up before the first is dropped: "last" and beginnings of ids change their meaning with each.
 */
static int resolve(int fd, const struct pf_dirs *dirs, char (*ids)[40], char *const *words, size_t count,
		   struct pf_error *err)
{
	for (size_t i = 0; i < count; i++) {
		struct pf_changeset set;
		int r = pf_cli_load(fd, dirs, words[i], &set, err);

		if (r < 0)
			return r;
		memcpy(ids[i], set.id, sizeof(ids[i]));
		pf_change_free(&set);
	}
	return 0;
}

static int drop_named(char *const *words, size_t count)
{
	PF_AUTO_CLOSE int fd = -1;
	char(*ids)[40] = calloc(count, sizeof(*ids));
	struct pf_error err = {0};
	struct pf_dirs dirs;
	int code = 0;

	if (!ids) {
		pf_fail(&err, -ENOMEM, "out of memory");
		return pf_cli_fail(&err);
	}
	fd = pf_cli_changes(&dirs, &err);
	if (fd < 0 || resolve(fd, &dirs, ids, words, count, &err) < 0)
		code = pf_cli_fail(&err);
	for (size_t i = 0; code == 0 && i < count; i++) {
		bool again = false;

		for (size_t k = 0; k < i; k++)
			again |= strcmp(ids[k], ids[i]) == 0;
		if (!again && pf_change_drop(fd, ids[i], &err) < 0)
			code = pf_cli_fail(&err);
	}
	free(ids);
	return code;
}

/* By their names alone, so that those that cannot be read go too. */
static int drop_all(void)
{
	struct pf_error err = {0};
	struct pf_list ids = {0};
	struct pf_dirs dirs;
	PF_AUTO_CLOSE int fd = pf_cli_changes(&dirs, &err);
	size_t dropped = 0;
	int code = 0;

	if (fd < 0 || pf_change_list(fd, &ids, &err) < 0)
		return pf_cli_fail(&err);
	for (size_t i = 0; i < ids.count; i++) {
		if (pf_change_drop(fd, ids.items[i], &err) < 0)
			code = pf_cli_fail(&err);
		else
			dropped++;
		free(ids.items[i]);
	}
	free(ids.items);
	pf_cli_say("%zu dropped", dropped);
	return code;
}

static int drop_main(char **argv)
{
	struct pf_args args = {.argv = argv, .own = opts, .words_between = true};
	struct pf_error err = {0};
	struct pf_arg arg;
	bool help = false, all = false;
	int r;

	while ((r = pf_args_next(&args, &arg, &err)) == 1) {
		if (arg.own == &opts[OPT_ALL])
			all = true;
		else
			help = true;
	}
	if (help)
		return pf_cli_help(&pf_verb_drop);
	if (r == 0 && all && args.words)
		r = pf_fail(&err, -EINVAL, "--all, or the change sets by their ids");
	if (r == 0 && !all && args.words == 0)
		r = pf_fail(&err, -EINVAL,
			    "which change set? \"pinfold ls\" lists them, \"last\" is the newest");
	if (r < 0)
		return pf_cli_misuse(&pf_verb_drop, &err);
	return all ? drop_all() : drop_named(argv, (size_t)args.words);
}

const struct pf_verb pf_verb_drop = {
	.name = "drop",
	.summary = "forget a sandbox's changes",
	.usage = "drop ID...\ndrop --all\n",
	.text = "ID is a change set of \"pinfold ls\", the beginning of one, or \"last\". The workspace is "
		"not touched.",
	.opts = opts,
	.main = drop_main,
};
