/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where this host finds Debian. apt itself is asked, since it alone reads all forms of its sources; so a host
 * whose packages come from a mirror of its own, without a way to the internet, builds its images from there.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "image/tool/tool.h"

#define TEXT_MAX      (1u << 20)
#define DEFAULT_SUITE "bookworm"

/* One index that apt knows. What apt has not learnt yet stands there as it was asked for: "$(ORIGIN)". */
struct target {
	char *uri, *release, *component, *origin, *codename, *kind;
};

static bool unknown(const char *s)
{
	return pf_has_prefix(s, "$(");
}

/* A line "URI|RELEASE|COMPONENT|ORIGIN|CODENAME|KIND", in place. */
static bool split(char *line, struct target *t)
{
	char **fields[] = {&t->uri, &t->release, &t->component, &t->origin, &t->codename, &t->kind};

	for (size_t i = 0; i < PF_ARRAY_SIZE(fields); i++) {
		*fields[i] = strsep(&line, "|");
		if (!*fields[i])
			return false;
	}
	return line == NULL;
}

/* Of Debian's main archive, as far as can be known. A third party's repository may use Debian's suite names.
 */
static bool is_debian(const struct target *t)
{
	return strcmp(t->component, "main") == 0 && strcmp(t->kind, "deb") == 0 &&
	       (unknown(t->origin) || strcmp(t->origin, "Debian") == 0) && strpbrk(t->uri, " \t[]") == NULL;
}

static const char *codename(const struct target *t)
{
	return unknown(t->codename) || !t->codename[0] ? t->release : t->codename;
}

static bool of_suite(const char *name, const char *suite)
{
	size_t n = strlen(suite);

	return strncmp(name, suite, n) == 0 &&
	       (name[n] == '\0' || strcmp(name + n, "-updates") == 0 || strcmp(name + n, "-security") == 0);
}

static int each_target(const char *text, int (*each)(void *user, const struct target *t), void *user)
{
	PF_AUTO_FREE char *copy = strdup(text);
	char *rest = copy, *line;
	int r = copy ? 0 : -ENOMEM;

	while (r == 0 && (line = strsep(&rest, "\n"))) {
		struct target t;

		if (split(line, &t) && is_debian(&t))
			r = each(user, &t);
	}
	return r;
}

/* bookworm wins, then the first that is named. "bookworm-updates" names no release. */
static int choose(void *user, const struct target *t)
{
	struct pf__apt *a = user;
	const char *name = codename(t);

	if (strchr(name, '-') || strlen(name) >= sizeof(a->suite))
		return 0;
	if (!a->suite[0] || strcmp(name, DEFAULT_SUITE) == 0)
		snprintf(a->suite, sizeof(a->suite), "%s", name);
	return 0;
}

static int add_line(void *user, const struct target *t)
{
	struct pf__apt *a = user;
	char line[1024];
	int n;

	if (!of_suite(codename(t), a->suite) && !of_suite(t->release, a->suite))
		return 0;
	n = snprintf(line, sizeof(line), "deb %s %s main", t->uri, t->release);
	if (n < 0 || (size_t)n >= sizeof(line))
		return 0;
	for (size_t i = 0; i < a->lines.count; i++) { /* one for each architecture */
		if (strcmp(a->lines.items[i], line) == 0)
			return 0;
	}
	return pf_list_add(&a->lines, line);
}

int pf__apt_read(const char *text, const char *suite, struct pf__apt *out, struct pf_error *err)
{
	struct pf__apt a = {0};
	int r = 0;

	if (suite && strlen(suite) >= sizeof(a.suite))
		return pf_fail(err, -EINVAL, "the suite's name is too long");
	if (suite)
		strcpy(a.suite, suite);
	else
		r = each_target(text, choose, &a);
	if (!a.suite[0])
		strcpy(a.suite, DEFAULT_SUITE);
	if (r == 0)
		r = each_target(text, add_line, &a);
	if (r < 0) {
		pf_list_free(&a.lines);
		return pf_fail(err, r, "out of memory");
	}
	*out = a;
	return 0;
}

/* release_info: only what apt has fetched already, with what it learnt of it. */
static int ask_apt(bool release_info, struct pf_buf *out, struct pf_error *err)
{
	static const char format[] = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)|$(CODENAME)|$(TARGET_OF)";
	const char *argv[] = {"apt-get", "indextargets",	 "--format",
			      format,	 "Created-By: Packages", release_info ? NULL : "--no-release-info",
			      NULL};
	PF_AUTO_CLOSE int fd = memfd_create("indextargets", MFD_CLOEXEC);
	struct pf__helper h = {.argv = argv, .out = fd, .err = -1, .keep = -1};
	int r;

	if (fd < 0)
		return pf_fail_errno(err, "cannot make a temporary file");
	r = pf__helper_run(&h, err);
	if (r < 0)
		return r;
	if (r > 0)
		return pf_fail(err, -EIO, "apt-get indextargets ended with %d", r);
	if (lseek(fd, 0, SEEK_SET) < 0 || (r = pf_read_fd(fd, out, TEXT_MAX)) < 0)
		return pf_fail(err, -EIO, "cannot read what apt-get indextargets said");
	return 0;
}

static int find_in(bool release_info, const char *suite, struct pf__apt *out, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	int r = ask_apt(release_info, &text, err);

	return r < 0 ? r : pf__apt_read(text.data ? text.data : "", suite, out, err);
}

int pf__apt_find(const char *suite, struct pf__apt *out, struct pf_error *err)
{
	struct pf__apt a = {0};
	int r;

	/* On another system than Debian mmdebstrap's own choice is taken, deb.debian.org. */
	if (!pf__helper_there("apt-get"))
		return pf__apt_read("", suite, out, err);
	r = find_in(true, suite, &a, err);
	if (r == 0 && a.lines.count == 0)
		r = find_in(false, suite, &a, err);
	if (r == 0)
		*out = a;
	return r;
}
