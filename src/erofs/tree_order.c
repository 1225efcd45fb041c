/* SPDX-License-Identifier: Apache-2.0 */
/* The tree in order: names sorted, then walked from the root. Neither recurses. */
#include <errno.h>
#include <string.h>

#include "erofs/tree_internal.h"

/* A directory on the way down: how far we are in it, and where its path ends. */
struct level {
	struct pf__node *dir;
	size_t next, length;
};

struct walk {
	struct level levels[PF_TREE_DEPTH_MAX + 1]; /* the root, and one a component */
	unsigned depth;
	char path[PF_TREE_PATH_MAX + 1];
};

/* The next inode with its path, NULL behind the last. */
static struct pf_inode *next(struct walk *w)
{
	for (;;) {
		struct level *l = &w->levels[w->depth];
		const struct pf_entry *e;
		size_t n = l->length;

		if (l->next == l->dir->inode.entry_count) {
			if (w->depth == 0)
				return NULL;
			w->depth--;
			continue;
		}
		e = &l->dir->inode.entries[l->next++];
		if (n > 0)
			w->path[n++] = '/';
		memcpy(w->path + n, e->name, e->length + 1);
		if (pf__is_dir(e->inode))
			w->levels[++w->depth] =
				(struct level){.dir = pf__node_of(e->inode), .length = n + e->length};
		return e->inode;
	}
}

int pf_tree_sort(struct pf_tree *t, struct pf_error *err)
{
	struct walk w = {.levels = {{.dir = t->root}}};
	struct pf_inode *i;

	(void)err; /* nothing here can fail; callers are ready for an order that needs memory */
	pf__dir_sort(t, t->root);
	while ((i = next(&w))) {
		if (pf__is_dir(i))
			pf__dir_sort(t, pf__node_of(i));
	}
	t->sorted = true;
	return 0;
}

int pf_tree_walk(struct pf_tree *t, int (*each)(void *user, const char *path, struct pf_inode *inode),
		 void *user, struct pf_error *err)
{
	struct walk w = {.levels = {{.dir = t->root}}};
	struct pf_inode *i;
	int r;

	if (!t->sorted)
		return pf_fail(err, -EINVAL, "a tree is sorted before it is walked");
	r = each(user, "", &t->root->inode);
	while (r == 0 && (i = next(&w)))
		r = each(user, w.path, i);
	return r;
}
