/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The paths of a workspace, asked of the kernel: openat2(2) with RESOLVE_BENEATH follows links inside and
 * refuses every way out, magic links included. Patterns are expanded over the same descriptors.
 */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "guard/command.h"

#define SEEN_MAX 20000 /* entries read for one pattern */

/* path relative to the workspace's directory, from cwd; false where it is not beneath it as text. */
static bool relative(const struct pf_command_workspace *w, const char *cwd, const char *path, char *out,
		     size_t cap)
{
	int n;

	if (*path == '/') {
		char clean[4096];

		if (!w->at || pf_path_clean(path, clean, sizeof(clean)) < 0 || !pf_path_within(clean, w->at))
			return false;
		path = clean + strlen(w->at);
		path += strspn(path, "/");
		n = snprintf(out, cap, "%s", *path ? path : ".");
	} else if (strcmp(cwd, ".") == 0) {
		n = snprintf(out, cap, "%s", path);
	} else {
		n = snprintf(out, cap, "%s/%s", cwd, path);
	}
	return n > 0 && (size_t)n < cap;
}

static int open_there(const struct pf_command_workspace *w, const char *path, int flags)
{
	return pf_openat2(w->dir_fd, path, flags, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
}

static int look(const struct pf_command_workspace *w, const char *path, bool *dir)
{
	PF_AUTO_CLOSE int fd = -1;
	struct stat st;

	if (w->look)
		return w->look(w->user, path, dir);
	fd = open_there(w, path, O_PATH);
	if (fd < 0)
		return fd;
	*dir = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
	return 0;
}

static bool climbs(const char *path)
{
	for (const char *s = path; *s; s += strspn(s, "/")) {
		size_t len = strcspn(s, "/");

		if (len == 2 && s[0] == '.' && s[1] == '.')
			return true;
		s += len;
	}
	return false;
}

static bool leaves_as_text(const char *path)
{
	int depth = 0;

	for (const char *s = path; *s; s += strspn(s, "/")) {
		size_t len = strcspn(s, "/");

		if (len == 2 && s[0] == '.' && s[1] == '.')
			depth--;
		else if (!(len == 1 && *s == '.'))
			depth++;
		if (depth < 0)
			return true;
		s += len;
	}
	return false;
}

/* The nearest directory that is there decides for what is not. */
static enum pf_path_where missing(const struct pf_command_workspace *w, char *path)
{
	if (climbs(path))
		return PF_PATH_UNKNOWN;
	for (;;) {
		char *slash = strrchr(path, '/');
		bool dir;
		int r;

		if (!slash)
			return PF_PATH_MISSING;
		*slash = '\0';
		if (!*path)
			return PF_PATH_UNKNOWN;
		r = look(w, path, &dir);
		if (r == 0)
			return PF_PATH_MISSING;
		if (r != -ENOENT)
			return r == -EXDEV || r == -ELOOP ? PF_PATH_LINK_OUT : PF_PATH_UNKNOWN;
	}
}

static enum pf_path_where resolve(void *user, const char *cwd, const char *path)
{
	const struct pf_command_workspace *w = user;
	char at[8192];
	bool dir;
	int r;

	if (!relative(w, cwd, path, at, sizeof(at)))
		return PF_PATH_OUTSIDE;
	r = look(w, at, &dir);
	if (r == 0)
		return dir ? PF_PATH_DIR : PF_PATH_INSIDE;
	if (r == -ENOENT)
		return leaves_as_text(at) ? PF_PATH_OUTSIDE : missing(w, at);
	if (r == -EXDEV || r == -ELOOP)
		return leaves_as_text(at) ? PF_PATH_OUTSIDE : PF_PATH_LINK_OUT;
	return PF_PATH_UNKNOWN;
}

/* --- patterns --- */

struct glob {
	const struct pf_command_workspace *w;
	const char *cwd;
	int (*each)(void *arg, const char *name);
	void *arg;
	size_t seen, found;
};

/* A component without its escapes, if it has no wildcard. */
static bool literal(const char *pattern, size_t len, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (strchr("*?[", pattern[i]))
			return false;
		if (pattern[i] == '\\' && i + 1 < len)
			i++;
		out[n++] = pattern[i];
	}
	out[n] = '\0';
	return true;
}

static int expand_from(struct glob *g, const char *prefix, const char *pattern);

static int go_on(struct glob *g, const char *prefix, const char *name, const char *rest)
{
	char next[4096];
	char at[8192];
	int n = snprintf(next, sizeof(next), "%s%s%s", prefix, name, *rest ? "/" : "");

	if (n < 0 || (size_t)n >= sizeof(next))
		return -ENAMETOOLONG;
	if (*rest)
		return expand_from(g, next, rest + strspn(rest, "/"));
	/* inside, a question costs a process: a name that is not there is judged with the rest */
	if (!g->w->look && relative(g->w, g->cwd, next, at, sizeof(at))) {
		PF_AUTO_CLOSE int fd =
			pf_openat2(g->w->dir_fd, at, O_PATH | O_NOFOLLOW, 0, RESOLVE_NO_MAGICLINKS);

		if (fd < 0)
			return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
	}
	g->found++;
	return g->each(g->arg, next);
}

struct listing {
	struct glob *g;
	const char *prefix, *component, *rest;
};

static int match_name(void *arg, const char *name)
{
	struct listing *l = arg;

	if (++l->g->seen > SEEN_MAX)
		return -E2BIG;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || fnmatch(l->component, name, FNM_PERIOD) != 0)
		return 0;
	return go_on(l->g, l->prefix, name, l->rest);
}

static int list_there(const struct pf_command_workspace *w, const char *at, struct listing *l)
{
	PF_AUTO_DIR DIR *dir = NULL;
	struct dirent *d;
	int fd, r = 0;

	if (w->list)
		return w->list(w->user, at, match_name, l);
	fd = open_there(w, at, O_RDONLY | O_DIRECTORY);
	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (r == 0 && (d = readdir(dir)))
		r = match_name(l, d->d_name);
	return r;
}

static int match_dir(struct glob *g, const char *prefix, const char *component, const char *rest)
{
	struct listing l = {g, prefix, component, rest};
	char at[8192];

	/* an error of one name ends all: the names behind it were not judged */
	return relative(g->w, g->cwd, *prefix ? prefix : ".", at, sizeof(at)) ? list_there(g->w, at, &l)
									      : -EXDEV;
}

/* Depth is bounded by the length of a path. */
static int expand_from(struct glob *g, const char *prefix, const char *pattern)
{
	size_t len = strcspn(pattern, "/");
	char component[512], name[512];

	if (len >= sizeof(component))
		return -ENAMETOOLONG;
	memcpy(component, pattern, len);
	component[len] = '\0';
	if (literal(component, len, name))
		return go_on(g, prefix, name, pattern + len);
	return match_dir(g, prefix, component, pattern + len);
}

static int expand(void *user, const char *cwd, const char *pattern, int (*each)(void *arg, const char *name),
		  void *arg)
{
	struct glob g = {.w = user, .cwd = cwd, .each = each, .arg = arg};

	return *pattern == '/' ? -EXDEV : expand_from(&g, "", pattern);
}

void pf_command_places_init(struct pf_command_places *p, struct pf_command_workspace *w)
{
	*p = (struct pf_command_places){.resolve = resolve, .expand = expand, .user = w, .at = w->at};
}
