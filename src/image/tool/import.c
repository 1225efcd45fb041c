/* SPDX-License-Identifier: Apache-2.0 */
/* pinfold image import: a directory or an archive becomes an image. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "image/tool/tool.h"

enum { OPT_NAME, OPT_KIND, OPT_REF, OPT_PLATFORM, OPT_MAX_SIZE, OPT_MAX_RATIO, OPT_JSON, OPT_HELP };

static const struct pf_opt opts[] = {
	[OPT_NAME] = {"name", 'n', PF_OPT_VALUE, "NAME",
		      "what to call it; an older image of that name loses it"},
	[OPT_KIND] = {"kind", 0, PF_OPT_VALUE, "KIND", "dir, tar, docker or oci; found out if not given"},
	[OPT_REF] = {"ref", 0, PF_OPT_VALUE, "REF",
		     "which image, where docker or oci holds several: a tag or digest"},
	[OPT_PLATFORM] = {"platform", 0, PF_OPT_VALUE, "OS/ARCH",
			  "which one of several platforms (linux/amd64)"},
	[OPT_MAX_SIZE] = {"max-size", 0, PF_OPT_VALUE, "SIZE", "refuse more than this, unpacked (16G)"},
	[OPT_MAX_RATIO] = {"max-ratio", 0, PF_OPT_VALUE, "N",
			   "refuse what unpacks to more than N times itself (200)"},
	[OPT_JSON] = {"json", 0, PF_OPT_FLAG, NULL, "print the result as a JSON object"},
	[OPT_HELP] = PF_OPT_HELP,
	PF_OPT_END,
};

struct options {
	struct pf_import how;
	const char *name;
	bool json, help;
};

static int set_number(const struct pf_arg *arg, struct options *o, struct pf_error *err)
{
	bool size = arg->own == &opts[OPT_MAX_SIZE];
	uint64_t n;

	if ((size ? pf_parse_size(arg->value, &n) : pf_parse_u64(arg->value, &n)) < 0 || n == 0)
		return pf_fail(err, -EINVAL, "--%s: \"%s\" is no %s", arg->own->name, arg->value,
			       size ? "size, such as 20G" : "number");
	*(size ? &o->how.bytes_max : &o->how.ratio_max) = n;
	return 0;
}

static int set_kind(const char *value, struct options *o, struct pf_error *err)
{
	if (pf_import_kind_parse(value, &o->how.kind) < 0)
		return pf_fail(err, -EINVAL, "--kind: \"%s\" is none of dir, tar, docker, oci", value);
	return 0;
}

static int set_option(const struct pf_arg *arg, struct options *o, struct pf_error *err)
{
	switch (arg->own - opts) {
	case OPT_NAME:
		o->name = arg->value;
		return pf_image_name_check(arg->value, err);
	case OPT_KIND:
		return set_kind(arg->value, o, err);
	case OPT_REF:
		o->how.ref = arg->value;
		return 0;
	case OPT_PLATFORM:
		o->how.platform = arg->value;
		return 0;
	case OPT_MAX_SIZE:
	case OPT_MAX_RATIO:
		return set_number(arg, o, err);
	case OPT_JSON:
		o->json = true;
		return 0;
	default:
		o->help = true;
		return 0;
	}
}

/* "PATH (REF)" */
static char *describe(const struct pf_import *how)
{
	PF_AUTO_FREE char *real = strcmp(how->from, "-") == 0 ? NULL : realpath(how->from, NULL);
	char *s;

	if (asprintf(&s, "%s%s%s%s", real ? real : how->from, how->ref ? " (" : "", how->ref ? how->ref : "",
		     how->ref ? ")" : "") < 0)
		return NULL;
	return s;
}

static int import(const struct options *o)
{
	struct pf_image_new n = PF_IMAGE_NEW_NONE;
	PF_AUTO_FREE char *source = describe(&o->how);
	struct pf__progress progress;
	struct pf__save save = {
		.how = o->how, .name = o->name, .source = source, .kind = true, .progress = &progress};
	struct pf_error err = {0};
	struct pf__saved saved;
	struct pf_dirs dirs;
	int r;

	pf__progress_begin(&progress, "import");
	r = source ? pf__tool_begin(&dirs, &err) : pf_fail(&err, -ENOMEM, "out of memory");
	if (r == 0)
		r = pf_image_new(dirs.state, &n, &err);
	if (r == 0)
		r = pf__save(&save, &n, &saved, &err);
	if (r < 0)
		return pf_cli_fail(&err);
	r = pf__saved_print(&saved, o->name, o->json);
	pf__saved_free(&saved);
	return r;
}

static int import_main(char **argv)
{
	struct pf_args args = {.argv = argv, .own = opts, .words_between = true};
	struct pf_error err = {0};
	struct options o = {0};
	struct pf_arg arg;
	int r;

	while ((r = pf_args_next(&args, &arg, &err)) == 1) {
		r = set_option(&arg, &o, &err);
		if (r < 0)
			break;
	}
	if (o.help)
		return pf_cli_help(&pf__tool_import);
	if (r == 0 && args.words != 1)
		r = pf_fail(&err, -EINVAL, "%s",
			    args.words ? "one directory or archive at a time"
				       : "what is to be imported? a directory or an archive");
	if (r < 0)
		return pf_cli_misuse(&pf__tool_import, &err);
	o.how.from = argv[0];
	return import(&o);
}

const struct pf_verb pf__tool_import = {
	.name = "image import",
	.summary = "make an image of a directory or an archive",
	.usage = "image import [options] PATH\nimage import [options] -\n",
	.text = "PATH is a directory with a root file system, a tar of one (plain, or by gzip, bzip2, xz, "
		"zstd, lz4 or\n"
		"lzip), what \"docker save\" writes, or an OCI layout, as a directory or a tar; - is an "
		"archive on\n"
		"standard input. It is read by a process without any privilege. Prints the image's digest "
		"and name;\n"
		"the same input gives the same digest on every machine.",
	.opts = opts,
	.main = import_main,
	.words = PF_WORDS_FILES,
};
