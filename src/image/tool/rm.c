/* SPDX-License-Identifier: Apache-2.0 */
/* pinfold image rm: take names and images away. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "image/tool/tool.h"

enum { OPT_HELP };

static const struct pf_opt opts[] = {
	[OPT_HELP] = PF_OPT_HELP,
	PF_OPT_END,
};

/* Somebody holds it: sandboxes, as far as RUNTIME knows them, or an unpack. */
static int in_use(const struct pf_dirs *dirs, const char *word, const char *digest, struct pf_error *err)
{
	struct pf_list ids = {0};
	char text[256] = "";
	size_t n = 0;

	if (pf__image_users(dirs, digest, &ids, NULL) < 0)
		ids = (struct pf_list){0};
	for (size_t i = 0; i < ids.count && n < sizeof(text); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? ", " : "", ids.items[i]);
	if (ids.count)
		pf_fail(err, -EBUSY, "the image %s is in use by the sandbox%s %s: end %s first", word,
			ids.count > 1 ? "es" : "", text, ids.count > 1 ? "them" : "it");
	else
		pf_fail(err, -EBUSY, "the image %s is in use: a sandbox runs on it, or it is being unpacked",
			word);
	pf_list_free(&ids);
	return -EBUSY;
}

static int remove_one(const struct pf_dirs *dirs, const char *word, struct pf_buf *out)
{
	struct pf_image_removed removed;
	struct pf_error err = {0};
	int r = pf_image_remove(dirs->state, word, &removed, &err);

	for (size_t i = 0; i < removed.untagged.count; i++)
		pf_buf_addf(out, "untagged: %s\n", removed.untagged.items[i]);
	if (removed.deleted)
		pf_buf_addf(out, "deleted: %s\n", removed.digest);
	if (r == -EBUSY)
		in_use(dirs, word, removed.digest, &err);
	pf_image_removed_free(&removed);
	return r < 0 ? pf_cli_fail(&err) : 0;
}

/* As docker does: what can go goes, and the status tells that something could not. */
static int remove_all(char *const *words)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	struct pf_error err = {0};
	struct pf_dirs dirs;
	int code = 0, written;

	if (pf__tool_begin(&dirs, &err) < 0)
		return pf_cli_fail(&err);
	for (; *words; words++) {
		int one = remove_one(&dirs, *words, &out);

		code = one ? one : code;
	}
	written = pf_cli_out(&out);
	return code ? code : written;
}

static int rm_main(char **argv)
{
	struct pf_args args = {.argv = argv, .own = opts, .words_between = true};
	struct pf_error err = {0};
	struct pf_arg arg;
	int r = pf_args_next(&args, &arg, &err);

	if (r == 1)
		return pf_cli_help(&pf__tool_rm);
	if (r == 0 && args.words == 0)
		r = pf_fail(&err, -EINVAL, "which image? \"pinfold image ls\" lists them");
	if (r < 0)
		return pf_cli_misuse(&pf__tool_rm, &err);
	return remove_all(argv);
}

const struct pf_verb pf__tool_rm = {
	.name = "image rm",
	.summary = "remove names and images",
	.usage = "image rm IMAGE...\n",
	.text = "By name: one that is not the image's only one goes alone, the last one takes the image "
		"along. By\n"
		"digest, or at least 6 digits of one: the image, unless it has several names. What a live "
		"sandbox\n"
		"runs on is refused, and the sandbox named.",
	.opts = opts,
	.main = rm_main,
	.words = PF_WORDS_IMAGES,
};
