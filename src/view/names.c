/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names inside, before there is an inside: the root is several trees, at their places, and a few links. A
 * path is walked one name at a time; a link's target is looked up in the same way from the same root, so that
 * none leads to what is not shown. Each directory is opened beneath its tree without following anything.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "view/view_internal.h"

#define LINKS_MAX 40 /* as the kernel has it (MAXSYMLINKS) */

const struct pf_view_tree *pf__view_tree_of(const struct pf_view_want *w, const char *clean)
{
	const struct pf_view_tree *best = NULL;

	for (unsigned i = 0; i < w->tree_count; i++)
		if (pf_path_within(clean, w->trees[i].at) &&
		    (!best || strlen(w->trees[i].at) > strlen(best->at)))
			best = &w->trees[i];
	return best;
}

static const char *below(const struct pf_view_tree *t, const char *clean)
{
	const char *p = clean + (strcmp(t->at, "/") == 0 ? 0 : strlen(t->at));

	p += strspn(p, "/");
	return *p ? p : ".";
}

int pf__view_open(const struct pf_view_want *w, const char *clean, int flags)
{
	const struct pf_view_tree *t = pf__view_tree_of(w, clean);

	return t ? pf_open_beneath(t->fd, below(t, clean), flags | O_NONBLOCK | O_NOCTTY, 0) : -ENOENT;
}

/* What is at a path whose directory has no links. Of a link its target. */
static int look_at(const struct pf_view_want *w, const char *path, struct stat *st, char target[PATH_MAX])
{
	const struct pf_view_tree *t;
	PF_AUTO_CLOSE int parent = -1;
	const char *leaf;
	ssize_t n;
	unsigned i;

	for (i = 0; i < w->link_count; i++)
		if (strcmp(w->links[i].at, path) == 0) {
			snprintf(target, PATH_MAX, "%s", w->links[i].target);
			st->st_mode = S_IFLNK;
			return 0;
		}
	t = pf__view_tree_of(w, path);
	for (i = 0; i < w->tree_count; i++) /* on the way to a tree there are directories */
		if (pf_path_within(w->trees[i].at, path) &&
		    (!t || t == &w->trees[i] || strcmp(t->at, "/") == 0)) {
			st->st_mode = S_IFDIR;
			return 0;
		}
	if (!t)
		return -ENOENT;
	parent = pf_open_parent(t->fd, below(t, path), &leaf);
	if (parent < 0)
		return parent;
	if (fstatat(parent, leaf, st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISLNK(st->st_mode))
		return 0;
	n = readlinkat(parent, leaf, target, PATH_MAX - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	return 0;
}

/* Append a name to the path that is resolved, or take one from it. */
static int step(char *at, const char *name, size_t n)
{
	size_t len = strlen(at);

	if (n == 1 && name[0] == '.')
		return 0;
	if (n == 2 && name[0] == '.' && name[1] == '.') {
		char *slash = strrchr(at, '/');

		if (slash)
			*slash = '\0';
		return 0;
	}
	if (len + n + 2 > PATH_MAX)
		return -ENAMETOOLONG;
	at[len] = '/';
	memcpy(at + len + 1, name, n);
	at[len + 1 + n] = '\0';
	return 1;
}

int pf__view_resolve(const struct pf_view_want *w, const char *path, char out[PATH_MAX], struct stat *st)
{
	char todo[2 * PATH_MAX], at[PATH_MAX] = "", target[PATH_MAX];
	unsigned links = 0;
	int r;

	if (snprintf(todo, sizeof(todo), "%s", path) >= PATH_MAX)
		return -ENAMETOOLONG;
	st->st_mode = S_IFDIR;
	for (char *p = todo; *(p += strspn(p, "/"));) {
		size_t n = strcspn(p, "/");

		if (!S_ISDIR(st->st_mode))
			return -ENOTDIR;
		r = step(at, p, n);
		p += n;
		if (r <= 0) {
			if (r < 0)
				return r;
			continue;
		}
		if ((r = look_at(w, at, st, target)) < 0)
			return r;
		if (!S_ISLNK(st->st_mode))
			continue;
		if (++links > LINKS_MAX)
			return -ELOOP;
		{
			size_t rest = strlen(p), len = strlen(target);

			if (len + rest + 2 > PATH_MAX)
				return -ENAMETOOLONG;
			memmove(todo + len + 1, p, rest + 1);
			memcpy(todo, target, len);
			todo[len] = '/';
			p = todo;
		}
		if (target[0] == '/')
			at[0] = '\0';
		else
			step(at, "..", 2);
		st->st_mode = S_IFDIR;
	}
	snprintf(out, PATH_MAX, "%s", *at ? at : "/");
	return 0;
}

int pf__view_find(const struct pf_view_want *w, const char *name, char as[PATH_MAX], char out[PATH_MAX])
{
	const char *p = w->path;
	struct stat st;

	if (name[0] == '/') {
		int r = pf__view_resolve(w, name, out, &st);

		snprintf(as, PATH_MAX, "%s", name);
		return r < 0 ? r : S_ISREG(st.st_mode) ? 0 : -EACCES;
	}
	while (*p) {
		size_t n = strcspn(p, ":");

		if (n && snprintf(as, PATH_MAX, "%.*s/%s", (int)n, p, name) < PATH_MAX &&
		    pf__view_resolve(w, as, out, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111))
			return 0;
		p += n + (p[n] == ':');
	}
	return -ENOENT;
}

/* --- patterns --------------------------------------------------------------------------------- */

struct glob {
	const struct pf_view_want *w;
	int (*found)(void *ctx, const char *as, const char *clean);
	void *ctx;
};

static int glob_from(const struct glob *g, const char *dir, const char *rest);

static int glob_entry(const struct glob *g, const char *dir, const char *name, const char *rest)
{
	char path[PATH_MAX], clean[PATH_MAX];
	struct stat st;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return 0;
	if (pf__view_resolve(g->w, path, clean, &st) < 0)
		return 0; /* a pattern says what there may be */
	if (*rest)
		return S_ISDIR(st.st_mode) ? glob_from(g, clean, rest) : 0;
	return S_ISREG(st.st_mode) ? g->found(g->ctx, path, clean) : 0;
}

static int glob_from(const struct glob *g, const char *dir, const char *rest)
{
	char part[256];
	size_t n;
	PF_AUTO_DIR DIR *d = NULL;
	struct dirent *e;
	int fd, r = 0;

	rest += strspn(rest, "/");
	n = strcspn(rest, "/");
	if (n == 0 || n >= sizeof(part))
		return 0;
	memcpy(part, rest, n);
	part[n] = '\0';
	rest += n;
	if (!pf_glob_is_pattern(part))
		return glob_entry(g, dir, part, rest);
	fd = pf__view_open(g->w, dir, O_RDONLY | O_DIRECTORY);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while (r == 0 && (e = readdir(d)))
		if (e->d_name[0] != '.' && pf_glob_match(part, e->d_name))
			r = glob_entry(g, dir, e->d_name, rest);
	return r;
}

int pf__view_glob(const struct pf_view_want *w, const char *pattern,
		  int (*found)(void *ctx, const char *as, const char *clean), void *ctx)
{
	const struct glob g = {w, found, ctx};

	return glob_from(&g, "", pattern);
}
