/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths in the tree, as a kernel would walk them with the tree's root as its own: symbolic links on the way
 * are followed, and neither an absolute target nor ".." leaves the root (CVE-2018-15664 and its kind were
 * archives whose links led an unpacker out of its directory; here there is nothing outside).
 */
#include <errno.h>
#include <string.h>

#include "erofs/tree_internal.h"

#define HOPS_MAX 40u /* as the kernel's MAXSYMLINKS */

/* What is left of a path; links are put in front of it. */
struct walk {
	const char *path; /* whole, for messages */
	char rest[PF_TREE_PATH_MAX + 1];
	char *at;
	unsigned hops;
	bool create;
};

static int component_check(const char *path, const char *name, size_t n, struct pf_error *err)
{
	if (n > PF_TREE_NAME_MAX)
		return pf__tree_fail(err, -ENAMETOOLONG, path, "a name of more than %u bytes",
				     PF_TREE_NAME_MAX);
	if (n == 0 || (n == 1 && name[0] == '.') || (n == 2 && name[0] == '.' && name[1] == '.'))
		return pf__tree_fail(err, -EINVAL, path, "not a clean relative path");
	return 0;
}

int pf__path_check(const char *path, struct pf_error *err)
{
	unsigned depth = 0;

	if (strnlen(path, PF_TREE_PATH_MAX + 1) > PF_TREE_PATH_MAX)
		return pf__tree_fail(err, -ENAMETOOLONG, path, "a path of more than %u bytes",
				     PF_TREE_PATH_MAX);
	if (*path == '\0')
		return 0;
	for (const char *p = path;;) {
		size_t n = strcspn(p, "/");
		int r = component_check(path, p, n, err);

		if (r < 0)
			return r;
		if (++depth > PF_TREE_DEPTH_MAX)
			return pf__tree_fail(err, -ENAMETOOLONG, path, "more than %u directories deep",
					     PF_TREE_DEPTH_MAX);
		if (p[n] == '\0')
			return 0;
		p += n + 1;
	}
}

/* A name is taken for what: not deeper and not longer than a path may be, wherever links led. */
static int place_check(const struct pf__node *dir, size_t n, const char *name, struct pf_error *err)
{
	if (dir->depth + 1 > PF_TREE_DEPTH_MAX)
		return pf__tree_fail(err, -ENAMETOOLONG, name, "more than %u directories deep",
				     PF_TREE_DEPTH_MAX);
	if (dir->path_length + (dir->depth > 0) + n > PF_TREE_PATH_MAX)
		return pf__tree_fail(err, -ENAMETOOLONG, name, "a path of more than %u bytes",
				     PF_TREE_PATH_MAX);
	return 0;
}

int pf__tree_set(struct pf_tree *t, struct pf__node *dir, const char *name, size_t n, struct pf__node *what,
		 struct pf_error *err)
{
	ssize_t at = pf__dir_find(t, dir, name, n);
	int r = place_check(dir, n, name, err);

	if (r == 0 && at < 0)
		r = pf__dir_add(t, dir, name, n, what, err);
	if (r < 0)
		return r;
	t->sorted = false;
	if (pf__is_dir(&what->inode)) {
		what->inode.parent = &dir->inode;
		what->depth = dir->depth + 1;
		what->path_length = dir->path_length + (dir->depth > 0) + (uint32_t)n;
	}
	if (at >= 0)
		pf__node_drop(t, pf__dir_swap(dir, (size_t)at, what));
	return 0;
}

static int make_implied(struct pf_tree *t, struct pf__node *dir, const char *name, size_t n,
			struct pf__node **out, struct pf_error *err)
{
	const struct pf_inode what = {.mode = 0040755, .implied = true};
	struct pf__node *made;
	int r = pf__node_new(t, &what, &made, err);

	if (r < 0)
		return r;
	r = pf__tree_set(t, dir, name, n, made, err);
	if (r < 0)
		pf__node_free(t, made);
	else
		*out = made;
	return r;
}

/* Put a link's target before what is left. */
static int follow(struct walk *w, const char *target, struct pf_error *err)
{
	size_t n = strlen(target), left = strlen(w->at);

	if (++w->hops > HOPS_MAX)
		return pf__tree_fail(err, -ELOOP, w->path, "more than %u symbolic links on the way",
				     HOPS_MAX);
	if (n + 1 + left > PF_TREE_PATH_MAX)
		return pf__tree_fail(err, -ENAMETOOLONG, w->path,
				     "more than %u bytes, with the targets of its links", PF_TREE_PATH_MAX);
	memmove(w->rest + n + 1, w->at, left + 1);
	memcpy(w->rest, target, n);
	w->rest[n] = '/';
	w->at = w->rest;
	return 0;
}

/* One component, which is a name: into a directory, through a link. */
static int step(struct pf_tree *t, struct walk *w, struct pf__node **cur, const char *name, size_t n,
		struct pf_error *err)
{
	ssize_t at;
	struct pf_inode *i;

	if (n > PF_TREE_NAME_MAX)
		return pf__tree_fail(err, -ENAMETOOLONG, w->path, "a link on the way has a name of %zu bytes",
				     n);
	at = pf__dir_find(t, *cur, name, n);
	if (at < 0 && w->create)
		return make_implied(t, *cur, name, n, cur, err);
	if (at < 0)
		return pf__tree_fail(err, -ENOENT, w->path, "not there");
	i = (*cur)->inode.entries[at].inode;
	if (i->target) {
		if (i->target[0] == '/')
			*cur = t->root;
		return follow(w, i->target, err);
	}
	if (!pf__is_dir(i))
		return pf__tree_fail(err, -ENOTDIR, w->path, "a file stands where a directory is needed");
	*cur = pf__node_of(i);
	return 0;
}

static int walk_all(struct pf_tree *t, struct walk *w, struct pf__node **out, struct pf_error *err)
{
	struct pf__node *cur = t->root;

	for (;;) {
		char name[PF_TREE_PATH_MAX + 1]; /* follow() overwrites the buffer */
		size_t n;
		int r = 0;

		w->at += strspn(w->at, "/");
		n = strcspn(w->at, "/");
		if (n == 0)
			break;
		memcpy(name, w->at, n);
		name[n] = '\0';
		w->at += n;
		if (strcmp(name, "..") == 0)
			cur = cur == t->root ? cur : pf__node_of(cur->inode.parent);
		else if (strcmp(name, ".") != 0)
			r = step(t, w, &cur, name, n, err);
		if (r < 0)
			return r;
	}
	*out = cur;
	return 0;
}

int pf__tree_parent(struct pf_tree *t, const char *path, bool create, struct pf__node **dir,
		    const char **leaf, struct pf_error *err)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;
	struct walk w = {.path = path, .create = create};
	int r;

	w.at = w.rest;
	memcpy(w.rest, path, n);
	r = walk_all(t, &w, dir, err);
	if (r == 0)
		*leaf = slash ? slash + 1 : path;
	return r;
}
