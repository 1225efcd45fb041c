/* SPDX-License-Identifier: Apache-2.0 */
/* The tree as its users see it: put, link, remove, find. */
#include "erofs/tree.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "erofs/tree_internal.h"

int pf__tree_fail(struct pf_error *err, int code, const char *path, const char *fmt, ...)
{
	char shown[200], text[PF_ERROR_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pf_printable(path, strlen(path), shown, sizeof(shown));
	return pf_fail(err, code, "%s: %s", *shown ? shown : "/", text);
}

/* Both libcs round to 16 bytes and keep up to 16 more of their own; nothing has no allocation. */
uint64_t pf__tree_cost(uint64_t n)
{
	return n ? ((n + 15) & ~15ull) + 16 : 0;
}

int pf__tree_charge(struct pf_tree *t, uint64_t n, struct pf_error *err)
{
	if (n > PF_TREE_MEMORY_MAX - t->memory)
		return pf_fail(err, -E2BIG, "the tree needs more than %llu MiB of memory",
			       PF_TREE_MEMORY_MAX >> 20);
	t->memory += n;
	return 0;
}

void pf__tree_release(struct pf_tree *t, uint64_t n)
{
	t->memory -= n;
}

int pf_tree_new(struct pf_tree **out, struct pf_error *err)
{
	const struct pf_inode what = {.mode = 0040755, .implied = true};
	struct pf_tree *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return pf_fail(err, -ENOMEM, "no memory for a tree");
	pf_random(&t->key, sizeof(t->key));
	t->key >>= 4; /* below the prime of the index */
	r = pf__node_new(t, &what, &t->root, err);
	if (r < 0) {
		free(t);
		return r;
	}
	t->root->inode.parent = &t->root->inode;
	*out = t;
	return 0;
}

void pf_tree_free(struct pf_tree *t)
{
	if (!t)
		return;
	pf__node_drop(t, t->root);
	free(t);
}

struct pf_inode *pf_tree_root(struct pf_tree *t)
{
	return &t->root->inode;
}

size_t pf_tree_inodes(const struct pf_tree *t)
{
	return t->inodes;
}

/* A directory over a directory: the entries stay. */
static int redescribe(struct pf_tree *t, struct pf__node *dir, const struct pf_inode *what,
		      struct pf_error *err)
{
	struct pf__node *fresh;
	int r = pf__node_new(t, what, &fresh, err);

	if (r < 0)
		return r;
	pf__node_swap_attributes(dir, fresh);
	pf__node_free(t, fresh);
	return 0;
}

static int put_at(struct pf_tree *t, const char *path, const struct pf_inode *what, struct pf__node **out,
		  struct pf_error *err)
{
	struct pf__node *dir, *made;
	const char *leaf;
	ssize_t at;
	int r = pf__tree_parent(t, path, true, &dir, &leaf, err);

	if (r < 0)
		return r;
	at = pf__dir_find(t, dir, leaf, strlen(leaf));
	if (at >= 0 && pf__is_dir(what) && pf__is_dir(dir->inode.entries[at].inode)) {
		*out = pf__node_of(dir->inode.entries[at].inode);
		return redescribe(t, *out, what, err);
	}
	r = pf__node_new(t, what, &made, err);
	if (r < 0)
		return r;
	r = pf__tree_set(t, dir, leaf, strlen(leaf), made, err);
	if (r < 0)
		pf__node_free(t, made);
	else
		*out = made;
	return r;
}

int pf_tree_put(struct pf_tree *t, const char *path, const struct pf_inode *what, struct pf_inode **out,
		struct pf_error *err)
{
	struct pf__node *n = t->root;
	int r = pf__path_check(path, err);

	if (r == 0)
		r = pf__inode_check(path, what, err);
	if (r < 0)
		return r;
	if (*path)
		r = put_at(t, path, what, &n, err);
	else if (pf__is_dir(what))
		r = redescribe(t, n, what, err);
	else
		r = pf__tree_fail(err, -ENOTDIR, path, "the root is a directory");
	if (r == 0 && out)
		*out = &n->inode;
	return r;
}

/* What stands at path, its last component not followed. */
static int find(struct pf_tree *t, const char *path, struct pf__node **out, struct pf_error *err)
{
	struct pf__node *dir;
	const char *leaf;
	ssize_t at;
	int r = pf__path_check(path, err);

	if (r < 0)
		return r;
	if (*path == '\0') {
		*out = t->root;
		return 0;
	}
	r = pf__tree_parent(t, path, false, &dir, &leaf, err);
	if (r < 0)
		return r;
	at = pf__dir_find(t, dir, leaf, strlen(leaf));
	if (at < 0)
		return pf__tree_fail(err, -ENOENT, path, "not there");
	*out = pf__node_of(dir->inode.entries[at].inode);
	return 0;
}

struct pf_inode *pf_tree_find(struct pf_tree *t, const char *path)
{
	struct pf__node *n;

	return find(t, path, &n, NULL) < 0 ? NULL : &n->inode;
}

int pf_tree_link(struct pf_tree *t, const char *path, const char *to, struct pf_error *err)
{
	struct pf__node *what, *dir;
	const char *leaf;
	ssize_t at;
	int r = find(t, to, &what, err);

	if (r == 0)
		r = pf__path_check(path, err);
	if (r < 0)
		return r;
	if (pf__is_dir(&what->inode))
		return pf__tree_fail(err, -EPERM, to, "a directory has no hard links");
	if (*path == '\0')
		return pf__tree_fail(err, -ENOTDIR, path, "the root is a directory");
	r = pf__tree_parent(t, path, true, &dir, &leaf, err);
	if (r < 0)
		return r;
	at = pf__dir_find(t, dir, leaf, strlen(leaf));
	if (at >= 0 && dir->inode.entries[at].inode == &what->inode)
		return 0;
	/* What the name replaces may be a directory with the target beneath. */
	what->inode.links++;
	r = pf__tree_set(t, dir, leaf, strlen(leaf), what, err);
	what->inode.links--;
	return r;
}

/* Nothing there is well, whatever of the path is missing. */
static bool is_absent(int r)
{
	return r == -ENOENT || r == -ENOTDIR;
}

int pf_tree_remove(struct pf_tree *t, const char *path, struct pf_error *err)
{
	struct pf__node *dir;
	const char *leaf;
	ssize_t at;
	int r = pf__path_check(path, err);

	if (r < 0)
		return r;
	if (*path == '\0')
		return pf__tree_fail(err, -EPERM, path, "the root stays");
	r = pf__tree_parent(t, path, false, &dir, &leaf, err);
	if (r < 0)
		return is_absent(r) ? 0 : r;
	at = pf__dir_find(t, dir, leaf, strlen(leaf));
	if (at < 0)
		return 0;
	t->sorted = false;
	pf__node_drop(t, pf__dir_take(t, dir, (size_t)at));
	return 0;
}

int pf_tree_clear(struct pf_tree *t, const char *path, struct pf_error *err)
{
	struct pf__node *n;
	int r = find(t, path, &n, err);

	if (r < 0)
		return is_absent(r) ? 0 : r;
	if (pf__is_dir(&n->inode))
		pf__node_clear(t, n);
	return 0;
}
