/* SPDX-License-Identifier: Apache-2.0 */
/* pinfold image tag: another name for an image. */
#include <errno.h>
#include <string.h>

#include "image/tool/tool.h"

enum { OPT_HELP };

static const struct pf_opt opts[] = {
	[OPT_HELP] = PF_OPT_HELP,
	PF_OPT_END,
};

void pf__tool_name_was(const char *state, const char *name, char digest[PF_DIGEST_MAX])
{
	if (!name || pf_image_name_check(name, NULL) < 0 || pf_image_resolve(state, name, digest, NULL) < 0)
		digest[0] = '\0';
}

static int tag(const char *from, const char *to)
{
	char digest[PF_DIGEST_MAX], was[PF_DIGEST_MAX] = "";
	struct pf_error err = {0};
	struct pf_dirs dirs;
	int r = pf_image_name_check(to, &err);

	if (r == 0)
		r = pf__tool_begin(&dirs, &err);
	if (r == 0)
		r = pf_image_resolve(dirs.state, from, digest, &err);
	if (r == 0) {
		pf__tool_name_was(dirs.state, to, was);
		r = pf_image_tag(dirs.state, digest, to, &err);
	}
	if (r < 0)
		return pf_cli_fail(&err);
	if (was[0] && strcmp(was, digest) != 0)
		pf_cli_say(PF__NAME_WAS, to, was);
	return 0;
}

static int tag_main(char **argv)
{
	struct pf_args args = {.argv = argv, .own = opts, .words_between = true};
	struct pf_error err = {0};
	struct pf_arg arg;
	int r = pf_args_next(&args, &arg, &err);

	if (r == 1)
		return pf_cli_help(&pf__tool_tag);
	if (r == 0 && args.words != 2)
		r = pf_fail(&err, -EINVAL, "an image and its new name");
	if (r < 0)
		return pf_cli_misuse(&pf__tool_tag, &err);
	return tag(argv[0], argv[1]);
}

const struct pf_verb pf__tool_tag = {
	.name = "image tag",
	.summary = "give an image another name",
	.usage = "image tag IMAGE NAME\n",
	.text = "IMAGE is a name, a digest, or at least 6 digits of one. Another image of that NAME loses "
		"it.",
	.opts = opts,
	.main = tag_main,
	.words = PF_WORDS_IMAGES,
};
