/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system tree in memory: what an image will hold. An importer fills it, layer by layer; the writer
 * (erofs/write.h) lays it out. It knows nothing of archives, and nothing in it is ever resolved on the host:
 * a path is looked up in the tree alone.
 *
 * Contents of files are not in memory. They lie in a spool, a file of the importer's, and a node names the
 * parts of it; what no part covers is a hole. The writer lays out what it is told and does not look for
 * zeros: who wants the same bytes from every source of the same files (a sparse file walked on disk, the same
 * one as plain zeros in an archive) leaves out each aligned 4 KiB of a file that is zero.
 *
 * The tree is untrusted input made tidy: names are bytes, without '/' and NUL, not "." or "..", at most 255
 * long; a path has at most 4,096 bytes and 256 components; caps on nodes, names and attributes bound memory.
 */
#ifndef PF_EROFS_TREE_H
#define PF_EROFS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

#define PF_TREE_NODES_MAX  4000000u
#define PF_TREE_MEMORY_MAX (1ull << 30) /* bytes of names, attributes and nodes */
#define PF_TREE_DEPTH_MAX  256u
#define PF_TREE_PATH_MAX   4096u
#define PF_TREE_NAME_MAX   255u

struct pf_extent {
	uint64_t at, length; /* in the file; ascending, not overlapping */
	uint64_t spool;	     /* offset in the spool */
};

struct pf_xattr {
	char *name; /* whole: "user.x", "security.capability" */
	void *value;
	uint32_t size; /* at most 65,535; with their names all of an inode have about 256 KiB: the format */
};

/* One inode. Directory entries point to it; a hard link is a second entry. */
struct pf_inode {
	mode_t mode; /* type and permissions */
	uint32_t uid, gid;
	int64_t mtime; /* seconds */
	uint32_t mtime_ns;
	uint64_t size;			 /* of a regular file or link target */
	uint32_t rdev_major, rdev_minor; /* of device nodes */
	char *target;			 /* of a symbolic link, NUL-terminated */
	struct pf_extent *extents;
	size_t extent_count;
	struct pf_xattr *xattrs; /* sorted by name */
	size_t xattr_count;
	uint32_t links; /* directory entries that name it; of a directory 2 + its directories */
	bool implied;	/* a directory that only stood in another's path: any later entry describes it */
	uint64_t nid;	/* the writer's: where it lies in the image */
	struct pf_entry *entries; /* of a directory: sorted by name (bytes) once pf_tree_sort() ran */
	size_t entry_count;
	struct pf_inode *parent; /* of a directory */
};

struct pf_entry {
	char *name;
	size_t length;
	struct pf_inode *inode;
};

struct pf_tree; /* owns every inode, name and attribute */

int pf_tree_new(struct pf_tree **out, struct pf_error *err); /* with a root, 0755, owner 0, time 0, implied */
void pf_tree_free(struct pf_tree *t);
struct pf_inode *pf_tree_root(struct pf_tree *t);
size_t pf_tree_inodes(const struct pf_tree *t); /* reachable ones */

/* A path is cleaned by the caller: relative, no ".", "..", or empty component; "" is the root. Its parents
 * may be symbolic links of the tree (`bin -> usr/bin`): they are followed inside the tree, absolute ones from
 * its root, at most 40; parents that are missing are made as implied directories; a parent that is a file is
 * -ENOTDIR. The last component is not followed. */

/* Put an inode at path. *what is copied (entries, parent, links, nid are ignored; target, extents and xattrs
 * are deep-copied). A directory over a directory keeps its entries and takes the new attributes; anything
 * else replaces what was there, with all beneath it. Returns the inode. */
int pf_tree_put(struct pf_tree *t, const char *path, const struct pf_inode *what, struct pf_inode **out,
		struct pf_error *err);
/* A hard link to what stands at `to`; -ENOENT if nothing does, -EPERM for a directory. */
int pf_tree_link(struct pf_tree *t, const char *path, const char *to, struct pf_error *err);
/* Remove what stands at path, with all beneath. 0 also if nothing does. */
int pf_tree_remove(struct pf_tree *t, const char *path, struct pf_error *err);
/* Remove all beneath the directory at path (an opaque whiteout); 0 also if there is none. */
int pf_tree_clear(struct pf_tree *t, const char *path, struct pf_error *err);
/* NULL if nothing stands there. */
struct pf_inode *pf_tree_find(struct pf_tree *t, const char *path);
/* Sort entries by name, count links, drop inodes that nothing names. Before writing. */
int pf_tree_sort(struct pf_tree *t, struct pf_error *err);

/* Depth first, parents before children, names in byte order (after pf_tree_sort()). A non-zero return of each
 * ends the walk and is returned. */
int pf_tree_walk(struct pf_tree *t, int (*each)(void *user, const char *path, struct pf_inode *inode),
		 void *user, struct pf_error *err);

#endif
