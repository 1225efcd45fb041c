/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold diff: what a change set would do to the workspace. To a terminal nothing passes that the sandbox
 * wrote but printable text; into a file or pipe the diff is exact, for patch(1) and git apply.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "cli/cli.h"
#include "workspace/change.h"

enum { OPT_JSON, OPT_STAT, OPT_LIST, OPT_TAR, OPT_HELP };

static const struct pf_opt opts[] = {
	[OPT_JSON] = {"json", 0, PF_OPT_FLAG, NULL, "the list of changes as JSON"},
	[OPT_STAT] = {"stat", 0, PF_OPT_FLAG, NULL, "how much changed in each file"},
	[OPT_LIST] = {"list", 0, PF_OPT_FLAG, NULL, "names alone: A added, M modified, D deleted"},
	[OPT_TAR] = {"tar", 0, PF_OPT_FLAG, NULL, "as a layer of an OCI image, like export"},
	[OPT_HELP] = PF_OPT_HELP,
	PF_OPT_END,
};

struct request {
	const char *id;
	unsigned forms; /* one bit an OPT_* */
};

static int read_args(struct request *q, char **argv, struct pf_error *err)
{
	struct pf_args args = {.argv = argv, .own = opts, .words_between = true};
	struct pf_arg arg;
	int r;

	while ((r = pf_args_next(&args, &arg, err)) == 1)
		q->forms |= 1u << (arg.own - opts);
	if (r < 0 || q->forms & 1u << OPT_HELP)
		return r;
	q->id = argv[0];
	if (args.words > 1)
		return pf_fail(err, -EINVAL, "one change set at a time");
	if (!q->id)
		return pf_fail(err, -EINVAL,
			       "of which change set? \"pinfold ls\" lists them, \"last\" is the newest");
	if (q->forms & (q->forms - 1))
		return pf_fail(err, -EINVAL, "--json, --stat, --list and --tar exclude each other");
	return 0;
}

static int print(const struct request *q, int fd, const struct pf_changeset *set)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	struct pf_error err = {0};
	int r;

	if (q->forms == 1u << OPT_JSON) {
		pf_change_print_json(set, 2, &out);
	} else if (q->forms == 1u << OPT_STAT) {
		pf_change_print_stat(set, &out);
	} else if (q->forms == 1u << OPT_LIST) {
		pf_change_print_list(set, &out);
	} else if (q->forms == 1u << OPT_TAR) {
		return pf_cli_export(fd, set, false, STDOUT_FILENO);
	} else {
		struct pf_list notes = {0};

		r = pf_change_print_diff(fd, set, isatty(STDOUT_FILENO) == 1, STDOUT_FILENO, &notes, &err);
		pf_cli_notes(&notes);
		if (r == -EPIPE)
			return 141;
		return r < 0 ? pf_cli_fail(&err) : 0;
	}
	if (out.len && out.data[out.len - 1] != '\n')
		pf_buf_addc(&out, '\n');
	return pf_cli_out(&out);
}

static int diff_main(char **argv)
{
	PF_AUTO_CLOSE int fd = -1;
	struct request q = {0};
	struct pf_changeset set;
	struct pf_error err = {0};
	struct pf_dirs dirs;
	int code;

	if (read_args(&q, argv, &err) < 0)
		return pf_cli_misuse(&pf_verb_diff, &err);
	if (q.forms & 1u << OPT_HELP)
		return pf_cli_help(&pf_verb_diff);
	fd = pf_cli_changes(&dirs, &err);
	if (fd < 0 || pf_cli_load(fd, &dirs, q.id, &set, &err) < 0)
		return pf_cli_fail(&err);
	code = print(&q, fd, &set);
	if (set.truncated)
		pf_cli_say("this change set is incomplete: %s",
			   set.note ? set.note : "not every change could be kept");
	pf_change_free(&set);
	return code;
}

const struct pf_verb pf_verb_diff = {
	.name = "diff",
	.summary = "show what a sandbox changed in its workspace",
	.usage = "diff ID [--json | --stat | --list | --tar]\n",
	.text = "ID is a change set of \"pinfold ls\", the beginning of one, or \"last\". Prints a unified "
		"diff against\n"
		"the directory as it is now, which git apply and patch -p1 take; what the sandbox added is "
		"shown as new,\n"
		"whatever is there now. Notes on standard error name what a patch cannot hold (files that "
		"are "
		"no text,\n"
		"modes, FIFOs, empty directories) and additions over something that exists. git apply "
		"refuses "
		"a patch that\n"
		"names a file that is no text, and patch -p1 one that changes a symbolic link: pinfold apply "
		"and pinfold\n"
		"export take everything. On a terminal, control bytes are shown as \\xNN.",
	.opts = opts,
	.main = diff_main,
	.words = PF_WORDS_SETS,
};
