/* SPDX-License-Identifier: Apache-2.0 */
/* pinfold image build: a Debian root of packages, and the image base. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "image/tool/tool.h"

enum { OPT_NAME, OPT_SUITE, OPT_VARIANT, OPT_PACKAGES, OPT_MIRROR, OPT_LIST, OPT_JSON, OPT_HELP };

static const struct pf_opt opts[] = {
	[OPT_NAME] = {"name", 'n', PF_OPT_VALUE, "NAME", "debian: what to call it"},
	[OPT_SUITE] = {"suite", 0, PF_OPT_VALUE, "SUITE",
		       "the release of Debian: bookworm, or what this host's apt knows"},
	[OPT_VARIANT] = {"variant", 0, PF_OPT_VALUE, "VARIANT",
			 "debian: what is in it anyway, as mmdebstrap has it (minbase)"},
	[OPT_PACKAGES] = {"packages", 0, PF_OPT_VALUE, "A,B,C", "debian: what to install besides"},
	[OPT_MIRROR] = {"mirror", 0, PF_OPT_VALUE, "URL",
			"where the packages come from, or a line of sources.list; may be given again"},
	[OPT_LIST] = {"list", 0, PF_OPT_FLAG, NULL, "base: only print what is in it"},
	[OPT_JSON] = {"json", 0, PF_OPT_FLAG, NULL, "print the result as a JSON object"},
	[OPT_HELP] = PF_OPT_HELP,
	PF_OPT_END,
};

struct options {
	struct pf__debian how;
	struct pf_list mirrors;
	bool of_debian; /* an option that base does not take */
	bool list, json, help;
};

static int set_option(const struct pf_arg *arg, struct options *o, struct pf_error *err)
{
	switch (arg->own - opts) {
	case OPT_NAME:
		o->of_debian = true;
		o->how.name = arg->value;
		return pf_image_name_check(arg->value, err);
	case OPT_SUITE:
		o->how.suite = arg->value;
		return 0;
	case OPT_VARIANT:
		o->of_debian = true;
		o->how.variant = arg->value;
		return 0;
	case OPT_PACKAGES:
		o->of_debian = true;
		o->how.packages = arg->value;
		return 0;
	case OPT_MIRROR:
		return pf_list_add(&o->mirrors, arg->value) < 0 ? pf_fail(err, -ENOMEM, "out of memory") : 0;
	case OPT_LIST:
		o->list = true;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	default:
		o->help = true;
		return 0;
	}
}

static int print_list(void)
{
	PF_AUTO_BUF struct pf_buf out = {0};

	pf__base_list(&out);
	return pf_cli_out(&out);
}

static int build(const struct options *o, bool base)
{
	struct pf_error err = {0};
	struct pf__saved saved;
	struct pf_dirs dirs;
	int r = pf__tool_begin(&dirs, &err);

	if (r == 0 && base)
		r = pf__base_build(&dirs, o->how.suite, &o->mirrors, &saved, &err);
	else if (r == 0)
		r = pf__debian_build(&dirs, &o->how, &saved, &err);
	if (r < 0)
		return pf_cli_fail(&err);
	/* What mmdebstrap makes below dev is the same each time and no news; "inspect" has it. */
	if (!o->json)
		pf_list_free(&saved.notes);
	r = pf__saved_print(&saved, base ? "base" : o->how.name, o->json);
	pf__saved_free(&saved);
	return r;
}

static int check(const struct options *o, char *const *words, int count, struct pf_error *err)
{
	if (count != 1 || (strcmp(words[0], "debian") != 0 && strcmp(words[0], "base") != 0))
		return pf_fail(err, -EINVAL, "what is to be built? \"debian\" or \"base\"");
	if (strcmp(words[0], "base") == 0 && o->of_debian)
		return pf_fail(err, -EINVAL,
			       "base is what it is: --name, --variant and --packages are for \"image build "
			       "debian\", which makes others");
	if (o->list && strcmp(words[0], "base") != 0)
		return pf_fail(err, -EINVAL, "--list is for base");
	return 0;
}

static int build_main(char **argv)
{
	struct pf_args args = {.argv = argv, .own = opts, .words_between = true};
	struct options o = {.how = {.variant = "minbase", .what = "debian"}};
	struct pf_error err = {0};
	struct pf_arg arg;
	int r, code;

	o.how.mirrors = &o.mirrors;
	while ((r = pf_args_next(&args, &arg, &err)) == 1) {
		r = set_option(&arg, &o, &err);
		if (r < 0)
			break;
	}
	if (o.help)
		code = pf_cli_help(&pf__tool_build);
	else if (r < 0 || check(&o, argv, args.words, &err) < 0)
		code = pf_cli_misuse(&pf__tool_build, &err);
	else if (o.list)
		code = print_list();
	else
		code = build(&o, strcmp(argv[0], "base") == 0);
	pf_list_free(&o.mirrors);
	return code;
}

static const char *const actions[] = {"debian", "base", NULL};

const struct pf_verb pf__tool_build = {
	.name = "image build",
	.summary = "make an image of Debian packages",
	.usage = "image build debian [options]\nimage build base [--suite SUITE] [--mirror URL] [--list] "
		 "[--json]\n",
	.text = "By mmdebstrap, from where this host's own apt gets Debian, or from --mirror. The same "
		"packages give\n"
		"the same digest. base is what an agent's commands need; \"pinfold run --image base\" makes "
		"it when\n"
		"it is first needed. An ordinary user needs sub-uids (/etc/subuid).",
	.opts = opts,
	.main = build_main,
	.actions = actions,
};
