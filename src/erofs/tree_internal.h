/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the tree: what stands behind its inodes, and the index of big directories. */
#ifndef PF_EROFS_TREE_INTERNAL_H
#define PF_EROFS_TREE_INTERNAL_H

#include "erofs/tree.h"

struct pf__slot {
	uint32_t hash;
	uint32_t at; /* 1 + position in entries; 0: free */
};

struct pf__node {
	struct pf_inode inode; /* first, so that an inode is its node */
	uint64_t charged;      /* bytes counted for the node and what was copied into it */
	/* of a directory */
	struct pf__slot *slots; /* index by name once there are more than a few entries */
	uint32_t slot_count;	/* 0 or a power of two */
	uint32_t depth, path_length;
	size_t room;	       /* of inode.entries */
	struct pf__node *next; /* while a subtree is taken down */
};

struct pf_tree {
	struct pf__node *root;
	size_t inodes, entries;
	uint64_t memory; /* bytes, as malloc rounds them */
	uint64_t key;	 /* of the index: whoever names files must not be able to make them collide */
	bool sorted;
};

static inline struct pf__node *pf__node_of(struct pf_inode *i)
{
	return (struct pf__node *)i;
}

static inline bool pf__is_dir(const struct pf_inode *i)
{
	return (i->mode & 0170000) == 0040000;
}

/* "PATH: text", the path printable, "/" for the root. */
int pf__tree_fail(struct pf_error *err, int code, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Count n bytes more, or -E2BIG. */
int pf__tree_charge(struct pf_tree *t, uint64_t n, struct pf_error *err);
void pf__tree_release(struct pf_tree *t, uint64_t n);
uint64_t pf__tree_cost(uint64_t n); /* what an allocation of n bytes counts */

/* tree_node.c: one inode */
int pf__inode_check(const char *path, const struct pf_inode *what, struct pf_error *err);
int pf__node_new(struct pf_tree *t, const struct pf_inode *what, struct pf__node **out, struct pf_error *err);
/* Give a directory the attributes of another, which gets the old ones. */
void pf__node_swap_attributes(struct pf__node *a, struct pf__node *b);
void pf__node_free(struct pf_tree *t, struct pf__node *n); /* one that no entry names, or no longer */
/* One entry less names it; with the last it goes, of a directory all beneath too. */
void pf__node_drop(struct pf_tree *t, struct pf__node *n);
void pf__node_clear(struct pf_tree *t, struct pf__node *dir);

/* tree_dir.c: the entries of one directory. Position or -1; an entry's position changes when another goes. */
ssize_t pf__dir_find(const struct pf_tree *t, const struct pf__node *dir, const char *name, size_t n);
int pf__dir_add(struct pf_tree *t, struct pf__node *dir, const char *name, size_t n, struct pf__node *what,
		struct pf_error *err);
struct pf__node *pf__dir_take(struct pf_tree *t, struct pf__node *dir, size_t at); /* the caller drops it */
/* Let an entry name another; the caller drops what it named. */
struct pf__node *pf__dir_swap(struct pf__node *dir, size_t at, struct pf__node *what);
void pf__dir_free(struct pf_tree *t, struct pf__node *dir); /* the arrays, not what they name */
void pf__dir_sort(struct pf_tree *t, struct pf__node *dir);

/* tree_path.c */
int pf__path_check(const char *path, struct pf_error *err);
/* The directory that path's last component stands in, and that component. create: make what is missing;
 * else -ENOENT. path is not "". */
int pf__tree_parent(struct pf_tree *t, const char *path, bool create, struct pf__node **dir,
		    const char **leaf, struct pf_error *err);
/* Let a name of dir stand for what, in place of whatever it stood for. Depth and path length are checked. */
int pf__tree_set(struct pf_tree *t, struct pf__node *dir, const char *name, size_t n, struct pf__node *what,
		 struct pf_error *err);

#endif
