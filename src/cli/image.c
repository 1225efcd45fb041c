/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold image: the verbs of images are a program of their own, libexec's pinfold-image, since it links
 * libraries that would be part of the start of every run.
 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli.h"

static const struct pf_opt opts[] = {
	PF_OPT_HELP,
	PF_OPT_END,
};

static int become(char *const *words, size_t count)
{
	return pf_cli_become("pinfold-image", "libarchive, libcrypto", words, count);
}

int pf_cli_image_help(const char *verb)
{
	char *words[] = {(char *)(uintptr_t)verb, (char *)(uintptr_t) "--help"};

	return become(words, PF_ARRAY_SIZE(words));
}

int pf_cli_image_complete(char **words)
{
	PF_AUTO_FREE char **all = NULL;
	size_t n = 0;

	while (words[n])
		n++;
	all = calloc(n + 2, sizeof(*all));
	if (!all)
		return PF_EXIT_ERROR;
	all[0] = (char *)(uintptr_t) "complete";
	memcpy(all + 1, words, n * sizeof(*all));
	return become(all, n + 1);
}

static int image_main(char **argv)
{
	struct pf_error err = {0};
	size_t n = 0;

	if (!argv[0]) {
		pf_fail(&err, -EINVAL, "which verb of images?");
		return pf_cli_misuse(&pf_verb_image, &err);
	}
	if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)
		return pf_cli_help(&pf_verb_image);
	while (argv[n])
		n++;
	return become(argv, n);
}

const struct pf_verb pf_verb_image = {
	.name = "image",
	.summary = "make, list and remove images",
	.usage = "image import [options] PATH\n"
		 "image build debian|base [options]\n"
		 "image pull [options] REF\n"
		 "image ls [--json]\n"
		 "image inspect [--json] [--verify] IMAGE\n"
		 "image tag IMAGE NAME\n"
		 "image rm IMAGE...\n"
		 "image unpack IMAGE\n"
		 "image ensure IMAGE\n",
	.text = "An image is a read-only root file system, kept by the digest of its content. \"pinfold run "
		"--image "
		"NAME\"\n"
		"runs a command in one. \"pinfold image VERB --help\" tells more of each verb.",
	.opts = opts,
	.main = image_main,
};
