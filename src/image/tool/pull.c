/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold image pull: from a registry, by skopeo(1), which speaks its protocol and knows the user's
 * credentials. What it fetched is an OCI layout in a directory of ours, and is imported as any other: its
 * digests are checked there once more, by a process without privilege.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "image/tool/tool.h"

enum { OPT_NAME, OPT_PLATFORM, OPT_TLS, OPT_JSON, OPT_HELP };

static const struct pf_opt opts[] = {
	[OPT_NAME] = {"name", 'n', PF_OPT_VALUE, "NAME", "what to call it, instead of as the registry does"},
	[OPT_PLATFORM] = {"platform", 0, PF_OPT_VALUE, "OS/ARCH",
			  "which one of several platforms (linux/amd64)"},
	[OPT_TLS] = {"tls-verify", 0, PF_OPT_VALUE, "BOOL",
		     "false: a registry without TLS, or with a certificate that nobody vouches for"},
	[OPT_JSON] = {"json", 0, PF_OPT_FLAG, NULL, "print the result as a JSON object"},
	[OPT_HELP] = PF_OPT_HELP,
	PF_OPT_END,
};

struct options {
	const char *name, *ref, *platform;
	bool insecure, json, help;
};

struct platform {
	char os[32], arch[32], variant[32];
};

static int parse_platform(const char *text, struct platform *out, struct pf_error *err)
{
	char copy[96], *rest = copy, *os, *arch, *variant;
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789";

	if (strlen(text) < sizeof(copy)) {
		strcpy(copy, text);
		os = strsep(&rest, "/");
		arch = strsep(&rest, "/");
		variant = strsep(&rest, "/");
		if (!rest && os && arch && *os && *arch && strlen(os) < 32 && strlen(arch) < 32 &&
		    (!variant || (*variant && strlen(variant) < 32)) && !os[strspn(os, allowed)] &&
		    !arch[strspn(arch, allowed)] && (!variant || !variant[strspn(variant, allowed)])) {
			snprintf(out->os, sizeof(out->os), "%s", os);
			snprintf(out->arch, sizeof(out->arch), "%s", arch);
			snprintf(out->variant, sizeof(out->variant), "%s", variant ? variant : "");
			return 0;
		}
	}
	return pf_fail(err, -EINVAL, "--platform: \"%s\" is not OS/ARCH, such as linux/amd64", text);
}

/* --- skopeo --------------------------------------------------------------------------------- */

struct fetch {
	int log;
	struct pf__progress *progress;
};

static void tick(void *user)
{
	struct fetch *f = user;
	char last[128];

	pf__helper_tail(f->log, 1, last, sizeof(last));
	pf__progress_say(f->progress, "%s", last[0] ? last : "asking the registry ...");
}

/* What stands in msg="...", with its backslashes taken away, in place. */
static const char *message(char *line)
{
	char *from = strstr(line, "level=fatal msg=\""), *to;

	if (!from)
		return line;
	from += strlen("level=fatal msg=\"");
	line = to = from;
	for (; *from && *from != '"'; from++) {
		if (*from == '\\' && from[1])
			from++;
		*to++ = *from;
	}
	*to = '\0';
	return line;
}

static int failed(int log, int status, bool insecure, struct pf_error *err)
{
	char why[PF_ERROR_MAX];
	const char *msg, *hint = "";

	pf__helper_complaint(log, "time=", why, sizeof(why));
	msg = message(why);
	if (!insecure && (strstr(msg, "HTTP response to HTTPS client") || strstr(msg, "x509:")))
		hint = ": --tls-verify=false takes it all the same";
	else if (strstr(msg, "policy.json"))
		hint = ": apt-get install golang-github-containers-common";
	return pf_fail(err, -EIO, "skopeo ended with %d: %.300s%s", status, msg, hint);
}

static int run_skopeo(const struct pf_image_new *n, const struct options *o, struct pf__progress *progress,
		      struct pf_error *err)
{
	PF_AUTO_CLOSE int log =
		openat(n->dir, "tmp/log", O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	PF_AUTO_FREE char *from = NULL, *to = NULL, *tmp = NULL, *digest = NULL;
	struct platform p;
	const char *argv[24];
	struct fetch f = {log, progress};
	struct pf__helper h = {
		.argv = argv, .out = log, .err = log, .keep = n->lock, .tick = tick, .user = &f};
	int r = parse_platform(o->platform ? o->platform : "linux/amd64", &p, err), i = 0;

	if (r < 0)
		return r;
	if (log < 0)
		return pf_fail_errno(err, "cannot make a file in %s", n->path);
	if (asprintf(&from, "docker://%s", o->ref) < 0 ||
	    asprintf(&to, "oci:%s/tmp/oci:image", n->path) < 0 || asprintf(&tmp, "%s/tmp", n->path) < 0 ||
	    asprintf(&digest, "%s/tmp/digest", n->path) < 0)
		return pf_fail(err, -ENOMEM, "out of memory");
	argv[i++] = "skopeo";
	argv[i++] = "--override-os";
	argv[i++] = p.os;
	argv[i++] = "--override-arch";
	argv[i++] = p.arch;
	if (p.variant[0]) {
		argv[i++] = "--override-variant";
		argv[i++] = p.variant;
	}
	argv[i++] = "--tmpdir";
	argv[i++] = tmp;
	argv[i++] = "copy";
	argv[i++] = "--digestfile";
	argv[i++] = digest;
	if (o->insecure)
		argv[i++] = "--src-tls-verify=false";
	argv[i++] = "--";
	argv[i++] = from;
	argv[i++] = to;
	argv[i] = NULL;
	r = pf__helper_run(&h, err);
	return r > 0 ? failed(log, r, o->insecure, err) : r;
}

/* --- the image ------------------------------------------------------------------------------ */

/* "registry REF@sha256:...": the digest is the registry's, of its manifest. */
static char *describe(const struct pf_image_new *n, const char *ref)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	char *s;
	size_t len;

	if (pf_read_file(n->dir, "tmp/digest", &text, PF_DIGEST_MAX) < 0)
		pf_buf_consume(&text, text.len);
	len = text.data ? strcspn(text.data, "\n") : 0;
	if (asprintf(&s, "registry %s%s%.*s", ref, len && !strchr(ref, '@') ? "@" : "",
		     strchr(ref, '@') ? 0 : (int)len, text.data ? text.data : "") < 0)
		return NULL;
	return s;
}

static int fetch(struct pf_image_new *n, const struct options *o, struct pf__progress *progress,
		 struct pf__saved *out, struct pf_error *err)
{
	PF_AUTO_FREE char *layout = NULL, *source = NULL;
	struct pf__save save = {.how = {.kind = PF_IMPORT_OCI, .platform = o->platform},
				.name = o->name,
				.progress = progress};
	int r = run_skopeo(n, o, progress, err);

	if (r < 0)
		return r;
	source = describe(n, o->ref);
	if (!source || asprintf(&layout, "%s/tmp/oci", n->path) < 0) {
		layout = NULL;
		return pf_fail(err, -ENOMEM, "out of memory");
	}
	save.how.from = layout;
	save.source = source;
	return pf__save(&save, n, out, err);
}

static int pull(const struct options *o)
{
	struct pf_image_new n = PF_IMAGE_NEW_NONE;
	struct pf__progress progress;
	struct pf_error err = {0};
	struct pf__saved saved;
	struct pf_dirs dirs;
	int r;

	if (!pf__helper_there("skopeo")) {
		pf_fail(&err, -ENOENT,
			"registries are read by skopeo, which is not installed: apt-get install skopeo");
		return pf_cli_fail(&err);
	}
	pf__progress_begin(&progress, "pull");
	r = pf__tool_begin(&dirs, &err);
	if (r == 0)
		r = pf_image_new(dirs.state, &n, &err);
	if (r == 0)
		r = fetch(&n, o, &progress, &saved, &err);
	pf__progress_end(&progress);
	pf_image_new_drop(&n);
	if (r < 0)
		return pf_cli_fail(&err);
	r = pf__saved_print(&saved, o->name, o->json);
	pf__saved_free(&saved);
	return r;
}

/* --- the verb ------------------------------------------------------------------------------- */

static int set_tls(const char *value, struct options *o, struct pf_error *err)
{
	if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
		return pf_fail(err, -EINVAL, "--tls-verify is true or false, not \"%s\"", value);
	o->insecure = value[0] == 'f';
	return 0;
}

static int set_option(const struct pf_arg *arg, struct options *o, struct pf_error *err)
{
	struct platform ignored;

	switch (arg->own - opts) {
	case OPT_NAME:
		o->name = arg->value;
		return pf_image_name_check(arg->value, err);
	case OPT_PLATFORM:
		o->platform = arg->value;
		return parse_platform(arg->value, &ignored, err);
	case OPT_TLS:
		return set_tls(arg->value, o, err);
	case OPT_JSON:
		o->json = true;
		return 0;
	default:
		o->help = true;
		return 0;
	}
}

/* A reference is the image's name too, so it may have no other characters than a name. */
static int take_ref(const char *word, struct options *o, struct pf_error *err)
{
	int r;

	o->ref = pf_has_prefix(word, "docker://") ? word + strlen("docker://") : word;
	r = pf_image_name_check(o->ref, err);
	if (r == 0 && !o->name)
		o->name = o->ref;
	return r;
}

static int pull_main(char **argv)
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
		return pf_cli_help(&pf__tool_pull);
	if (r == 0 && args.words != 1)
		r = pf_fail(&err, -EINVAL,
			    args.words ? "one image at a time"
				       : "which image? for example debian:bookworm-slim");
	if (r == 0)
		r = take_ref(argv[0], &o, &err);
	return r < 0 ? pf_cli_misuse(&pf__tool_pull, &err) : pull(&o);
}

const struct pf_verb pf__tool_pull = {
	.name = "image pull",
	.summary = "fetch an image from a registry",
	.usage = "image pull [options] REF\n",
	.text = "By skopeo, with its configuration and credentials. REF is "
		"[HOST[:PORT]/]NAME[:TAG][@DIGEST], as docker\n"
		"takes it; without HOST it is one of docker.io. Every digest is checked.",
	.opts = opts,
	.main = pull_main,
};
