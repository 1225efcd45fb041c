/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Debian root by mmdebstrap(1), as a tar, and that as an image. Two builds from the same archive give the
 * same digest: SOURCE_DATE_EPOCH is fixed (mmdebstrap's manual, section ENVIRONMENT VARIABLES), the
 * environment is our own, and what a machine would leave of itself is taken out by a hook. With
 * SOURCE_DATE_EPOCH Python's compiled files are checked by hash (PEP 552), so that a time that was cut to it
 * does not make them stale.
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
#include "linux/subids.h"

#define EPOCH	     "SOURCE_DATE_EPOCH=1672531200" /* 2023-01-01; any past time would do, but it must stay */
#define PACKAGES_MAX 65536u

/* Runs outside of the root, which is "$1", when everything is installed and before mmdebstrap's own cleaning.
 * hostname and resolv.conf were copied from this machine, the sources name its mirror; the rest is backups
 * and locks of the installation. */
#define HOOK_CLEAN                                                                                           \
	"set -e; cd \"$1\"; "                                                                                \
	"rm -f etc/hostname etc/resolv.conf etc/.pwd.lock etc/passwd- etc/group- etc/shadow- etc/gshadow- "  \
	"etc/subuid- etc/subgid- var/cache/debconf/*-old var/lib/dpkg/*-old var/lib/systemd/random-seed; "   \
	"find var/log -type f -size +0 -delete; "                                                            \
	"find var/cache/man -type f -delete 2>/dev/null || true"
#define HOOK_SOURCES                                                                                         \
	"printf '%%b' '%s' > \"$1/etc/apt/sources.list\"" /* lines, each with a backslash and n */

static const char *const slim_options[] = {
	"--dpkgopt=path-exclude=/usr/share/man/*",	     "--dpkgopt=path-exclude=/usr/share/info/*",
	"--dpkgopt=path-exclude=/usr/share/locale/*",	     "--dpkgopt=path-exclude=/usr/share/doc/*",
	"--dpkgopt=path-include=/usr/share/doc/*/copyright", /* the licences ask for it */
};

/* What of our environment mmdebstrap sees: nothing that could be in the image, and how to reach the net. */
static const char *const passed[] = {"PATH",	    "HOME",	  "USER",	"LOGNAME",
				     "TMPDIR",	    "APT_CONFIG", "http_proxy", "https_proxy",
				     "ftp_proxy",   "all_proxy",  "no_proxy",	"HTTP_PROXY",
				     "HTTPS_PROXY", "FTP_PROXY",  "ALL_PROXY",	"NO_PROXY"};

/* --- its command line -------------------------------------------------------------------- */

static bool word_ok(const char *s, const char *more)
{
	for (; *s; s++) {
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') ||
		      strchr(more, *s)))
			return false;
	}
	return true;
}

/* mmdebstrap reads more than names: paths, apt's patterns, options. Only names of packages, with their
 * version, suite or architecture, are passed on. */
static int check(const struct pf__debian *how, struct pf_error *err)
{
	if (how->suite && (!how->suite[0] || !word_ok(how->suite, "-.") || how->suite[0] == '-'))
		return pf_fail(err, -EINVAL, "\"%s\" is no name of a Debian suite: bookworm, trixie ...",
			       how->suite);
	if (!how->variant[0] || !word_ok(how->variant, "-"))
		return pf_fail(err, -EINVAL, "\"%s\" is no variant of mmdebstrap: minbase, apt, buildd ...",
			       how->variant);
	for (size_t i = 0; i < how->mirrors->count; i++) {
		const char *m = how->mirrors->items[i];

		if (m[0] == '-' || !strstr(m, ":/") || strchr(m, '\n'))
			return pf_fail(err, -EINVAL,
				       "\"%s\" is no mirror: give a URL, or a line \"deb URL SUITE main\"",
				       m);
	}
	if (!how->packages)
		return 0;
	if (!how->packages[0] || strlen(how->packages) > PACKAGES_MAX ||
	    !word_ok(how->packages, ",+-.:=~/") || strchr("~/.-,", how->packages[0]) ||
	    strstr(how->packages, ",~") || strstr(how->packages, ",/") || strstr(how->packages, ",.") ||
	    strstr(how->packages, ",-"))
		return pf_fail(err, -EINVAL,
			       "\"%s\": packages are names with commas between them: git,make,jq",
			       how->packages);
	return 0;
}

static bool of_files(const struct pf_list *mirrors)
{
	for (size_t i = 0; i < mirrors->count; i++) {
		const char *m = mirrors->items[i];

		if (pf_has_prefix(m, "file:") || pf_has_prefix(m, "copy:") || strstr(m, " file:") ||
		    strstr(m, " copy:"))
			return true;
	}
	return false;
}

/* The image's own sources are Debian's, wherever this machine got the packages from. Those that somebody
 * wrote down for it stay. */
static int add_sources_hook(struct pf_list *argv, const char *suite, const struct pf__apt *apt)
{
	PF_AUTO_BUF struct pf_buf lines = {0};

	pf_buf_addf(&lines, "deb http://deb.debian.org/debian %s main\\n", suite);
	for (size_t i = 0; i < apt->lines.count; i++) {
		const char *release = strchr(apt->lines.items[i] + 4, ' ');

		if (release && strstr(release, "-updates "))
			pf_buf_addf(&lines, "deb http://deb.debian.org/debian %s-updates main\\n", suite);
		else if (release && strstr(release, "-security "))
			pf_buf_addf(&lines, "deb http://deb.debian.org/debian-security %s-security main\\n",
				    suite);
	}
	if (lines.failed)
		return -ENOMEM;
	return pf_list_addf(argv, "--customize-hook=" HOOK_SOURCES, lines.data);
}

static int add_options(struct pf_list *argv, const struct pf__debian *how, const struct pf_list *mirrors)
{
	int r = 0;

	/* As root this mode keeps the mounts out of our own namespace, so that none is left if it is killed.
	 */
	r |= pf_list_add(argv, "mmdebstrap");
	r |= pf_list_add(argv, "--mode=unshare");
	r |= pf_list_add(argv, "--format=tar");
	r |= pf_list_addf(argv, "--variant=%s", how->variant);
	if (how->packages)
		r |= pf_list_addf(argv, "--include=%s", how->packages);
	for (size_t i = 0; how->slim && i < PF_ARRAY_SIZE(slim_options); i++)
		r |= pf_list_add(argv, slim_options[i]);
	if (of_files(mirrors))
		r |= pf_list_add(argv, "--hook-dir=/usr/share/mmdebstrap/hooks/file-mirror-automount");
	r |= pf_list_add(argv, "--customize-hook=" HOOK_CLEAN);
	return r;
}

/* argv of mmdebstrap, its last item NULL. */
static int command_line(const struct pf__debian *how, const struct pf__apt *apt, struct pf_list *argv)
{
	const struct pf_list *mirrors = how->mirrors->count ? how->mirrors : &apt->lines;
	int r = add_options(argv, how, mirrors);

	if (!how->mirrors->count)
		r |= add_sources_hook(argv, apt->suite, apt);
	r |= pf_list_add(argv, apt->suite);
	r |= pf_list_add(argv, "-");
	for (size_t i = 0; i < mirrors->count; i++)
		r |= pf_list_add(argv, mirrors->items[i]);
	return r < 0 ? -ENOMEM : 0;
}

static int environment(struct pf_list *env)
{
	int r = pf_list_add(env, EPOCH) | pf_list_add(env, "LC_ALL=C.UTF-8") |
		pf_list_add(env, "DEBIAN_FRONTEND=noninteractive");

	for (size_t i = 0; i < PF_ARRAY_SIZE(passed); i++) {
		const char *value = getenv(passed[i]);

		if (value)
			r |= pf_list_addf(env, "%s=%s", passed[i], value);
	}
	return r < 0 ? -ENOMEM : 0;
}

/* A list's items with a NULL behind them, for exec. */
static char **vector(const struct pf_list *l)
{
	char **v = calloc(l->count + 1, sizeof(*v));

	if (v)
		memcpy(v, l->items, l->count * sizeof(*v));
	return v;
}

/* --- running it -------------------------------------------------------------------------- */

struct run {
	int log;
	struct pf__progress *progress;
};

/* Its lines "I: installing packages..." say where it is. */
static void tick(void *user)
{
	struct run *r = user;
	char last[128];

	pf__helper_tail(r->log, 1, last, sizeof(last));
	pf__progress_say(r->progress, "%s",
			 pf_has_prefix(last, "I: ") ? last + 3 : "packages from Debian ...");
}

static int failed(int log, int status, struct pf_error *err)
{
	char why[PF_ERROR_MAX / 2];
	const char *hint = "";

	pf__helper_complaint(log, "E: ", why, sizeof(why));
	if (strstr(why, "No space left"))
		hint = ": TMPDIR=DIR lets it work elsewhere";
	else if (strstr(why, "/etc/subuid"))
		hint = ": an ordinary user needs sub-uids (man 5 subuid)";
	return pf_fail(err, -EIO, "mmdebstrap ended with %d: %s%s", status, why, hint);
}

static int run(const struct pf_image_new *n, const struct pf__debian *how, const struct pf__apt *apt,
	       struct pf__progress *progress, struct pf_error *err)
{
	PF_AUTO_CLOSE int tar = -1, log = -1;
	struct pf_list argv = {0}, env = {0};
	PF_AUTO_FREE char **args = NULL, **vars = NULL;
	struct run r;
	struct pf__helper h;
	int code = -ENOMEM;

	tar = openat(n->dir, "tmp/root.tar", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	log = openat(n->dir, "tmp/log", O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (tar < 0 || log < 0)
		return pf_fail_errno(err, "cannot make a file in %s", n->path);
	if (command_line(how, apt, &argv) == 0 && environment(&env) == 0) {
		args = vector(&argv);
		vars = vector(&env);
	}
	if (args && vars) {
		r = (struct run){log, progress};
		h = (struct pf__helper){.argv = (const char *const *)args,
					.env = vars,
					.out = tar,
					.err = log,
					.keep = n->lock,
					.tick = tick,
					.user = &r};
		code = pf__helper_run(&h, err);
	}
	pf_list_free(&argv);
	pf_list_free(&env);
	if (code == -ENOMEM)
		return pf_fail(err, code, "out of memory");
	return code > 0 ? failed(log, code, err) : code;
}

/* --- the image --------------------------------------------------------------------------- */

static char *describe(const struct pf__debian *how, const char *suite)
{
	char *s;

	if (asprintf(&s, "debian %s %s%s%s", suite, how->variant, how->packages ? ": " : "",
		     how->packages ? how->packages : "") < 0)
		return NULL;
	return s;
}

static int build(struct pf_image_new *n, const struct pf__debian *how, const struct pf__apt *apt,
		 struct pf__progress *progress, struct pf__saved *out, struct pf_error *err)
{
	PF_AUTO_FREE char *tar = NULL, *source = describe(how, apt->suite);
	struct pf__save save = {.how = {.kind = PF_IMPORT_TAR},
				.name = how->name,
				.source = source,
				.cmd = "/bin/bash",
				.progress = progress};
	int r;

	if (!source || asprintf(&tar, "%s/tmp/root.tar", n->path) < 0) {
		tar = NULL;
		return pf_fail(err, -ENOMEM, "out of memory");
	}
	r = run(n, how, apt, progress, err);
	if (r < 0)
		return r;
	save.how.from = tar;
	return pf__save(&save, n, out, err);
}

int pf__debian_build(const struct pf_dirs *dirs, const struct pf__debian *how, struct pf__saved *out,
		     struct pf_error *err)
{
	struct pf_image_new n = PF_IMAGE_NEW_NONE;
	struct pf__progress progress;
	struct pf__apt apt = {0};
	int r = check(how, err);

	if (r < 0)
		return r;
	if (!pf__helper_there("mmdebstrap"))
		return pf_fail(err, -ENOENT,
			       "images are built by mmdebstrap, which is not installed: apt-get install "
			       "mmdebstrap");
	if (geteuid() != 0 && pf_subuid_count(geteuid()) == 0)
		return pf_fail(
			err, -EPERM,
			"the packages' files have many owners, for which an ordinary user needs sub-uids, "
			"and "
			"you have none: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER "
			"(as root), or build as root");
	pf__progress_begin(&progress, how->what);
	r = pf_image_new(dirs->state, &n, err);
	if (r == 0 && how->mirrors->count)
		r = pf__apt_read("", how->suite, &apt, err);
	else if (r == 0)
		r = pf__apt_find(how->suite, &apt, err);
	if (r == 0)
		r = build(&n, how, &apt, &progress, out, err);
	pf__progress_end(&progress);
	pf_list_free(&apt.lines);
	pf_image_new_drop(&n);
	return r;
}
