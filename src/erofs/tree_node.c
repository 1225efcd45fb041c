/* SPDX-License-Identifier: Apache-2.0 */
/* One inode of the tree: what is allowed in it, its copy, its end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "erofs/format.h"
#include "erofs/tree_internal.h"

#define TARGET_MAX     4095u /* PATH_MAX with its NUL: no kernel follows a longer one */
#define XATTR_NAME_LEN 255u  /* of Linux, the prefix in it */

static int check_extents(const char *path, const struct pf_inode *what, struct pf_error *err)
{
	uint64_t end = 0;

	if (what->size > INT64_MAX)
		return pf__tree_fail(err, -EFBIG, path, "a file of %llu bytes",
				     (unsigned long long)what->size);
	for (size_t i = 0; i < what->extent_count; i++) {
		const struct pf_extent *e = &what->extents[i];

		if (e->at < end || e->length > what->size || e->at > what->size - e->length ||
		    e->spool > INT64_MAX || e->length > INT64_MAX - e->spool)
			return pf__tree_fail(err, -EINVAL, path, "its parts overlap or lie beyond its end");
		end = e->at + e->length;
	}
	return 0;
}

static int check_xattrs(const char *path, const struct pf_inode *what, struct pf_error *err)
{
	uint64_t total = sizeof(struct pf__erofs_xattrs);
	char shown[320];

	for (size_t i = 0; i < what->xattr_count; i++) {
		const struct pf_xattr *x = &what->xattrs[i];
		size_t n = x->name ? strlen(x->name) : 0;
		const char *rest;

		pf_printable(x->name ? x->name : "", n, shown, sizeof(shown));
		if (n == 0 || n > XATTR_NAME_LEN || pf__erofs_prefix_of(x->name, &rest) < 0)
			return pf__tree_fail(err, -EOPNOTSUPP, path,
					     "attribute \"%s\": an image holds only user., trusted., "
					     "security. and ACLs",
					     shown);
		if (x->size > UINT16_MAX || (x->size && !x->value))
			return pf__tree_fail(err, -E2BIG, path,
					     "attribute \"%s\" has %u bytes, more than 65535", shown,
					     x->size);
		total += (sizeof(struct pf__erofs_xattr) + strlen(rest) + x->size + 3) & ~3ull;
		if (total > PF__XATTRS_MAX)
			return pf__tree_fail(err, -E2BIG, path, "its attributes have more than %zu bytes",
					     PF__XATTRS_MAX);
	}
	return 0;
}

static int check_type(const char *path, const struct pf_inode *what, struct pf_error *err)
{
	bool device = S_ISCHR(what->mode) || S_ISBLK(what->mode);
	size_t n = what->target ? strlen(what->target) : 0;

	if (!pf__erofs_type(what->mode) || (what->mode & ~(mode_t)(S_IFMT | 07777)))
		return pf__tree_fail(err, -EINVAL, path, "mode %o is that of no file", what->mode);
	if (S_ISLNK(what->mode) ? n == 0 || n > TARGET_MAX : what->target != NULL)
		return pf__tree_fail(err, S_ISLNK(what->mode) && n ? -ENAMETOOLONG : -EINVAL, path,
				     "a symbolic link has a target of 1 to %u bytes, other files none",
				     TARGET_MAX);
	if (device && (what->rdev_major > PF__DEV_MAJOR_MAX || what->rdev_minor > PF__DEV_MINOR_MAX))
		return pf__tree_fail(err, -EINVAL, path, "no kernel has a device %u:%u", what->rdev_major,
				     what->rdev_minor);
	if (!S_ISREG(what->mode) && what->extent_count)
		return pf__tree_fail(err, -EINVAL, path, "only regular files have content");
	return 0;
}

int pf__inode_check(const char *path, const struct pf_inode *what, struct pf_error *err)
{
	int r = check_type(path, what, err);

	if (r < 0)
		return r;
	/* chown(2) takes -1 for "leave it": who unpacks would give the file to himself. */
	if (what->uid == UINT32_MAX || what->gid == UINT32_MAX)
		return pf__tree_fail(err, -EINVAL, path, "4294967295 is no owner");
	if (what->mtime_ns >= 1000000000u)
		return pf__tree_fail(err, -EINVAL, path, "%u is no fraction of a second", what->mtime_ns);
	r = S_ISREG(what->mode) ? check_extents(path, what, err) : 0;
	return r < 0 ? r : check_xattrs(path, what, err);
}

static int by_xattr_name(const void *a, const void *b)
{
	return strcmp(((const struct pf_xattr *)a)->name, ((const struct pf_xattr *)b)->name);
}

static void free_contents(struct pf_inode *i)
{
	for (size_t x = 0; x < i->xattr_count; x++) {
		free(i->xattrs[x].name);
		free(i->xattrs[x].value);
	}
	free(i->xattrs);
	free(i->extents);
	free(i->target);
}

static uint64_t contents_cost(const struct pf_inode *what)
{
	uint64_t n = pf__tree_cost(sizeof(struct pf__node));

	if (what->target)
		n += pf__tree_cost(strlen(what->target) + 1);
	if (what->extent_count)
		n += pf__tree_cost(what->extent_count * sizeof(*what->extents));
	if (what->xattr_count)
		n += pf__tree_cost(what->xattr_count * sizeof(*what->xattrs));
	for (size_t i = 0; i < what->xattr_count; i++)
		n += pf__tree_cost(strlen(what->xattrs[i].name) + 1) + pf__tree_cost(what->xattrs[i].size);
	return n;
}

static int copy_xattrs(struct pf_inode *to, const struct pf_inode *what, struct pf_error *err)
{
	if (what->xattr_count == 0)
		return 0;
	to->xattrs = calloc(what->xattr_count, sizeof(*to->xattrs));
	if (!to->xattrs)
		return -ENOMEM;
	for (size_t i = 0; i < what->xattr_count; i++) {
		struct pf_xattr *x = &to->xattrs[to->xattr_count];

		x->name = strdup(what->xattrs[i].name);
		x->size = what->xattrs[i].size;
		x->value = malloc(x->size ? x->size : 1);
		to->xattr_count++;
		if (!x->name || !x->value)
			return -ENOMEM;
		if (x->size)
			memcpy(x->value, what->xattrs[i].value, x->size);
	}
	qsort(to->xattrs, to->xattr_count, sizeof(*to->xattrs), by_xattr_name);
	for (size_t i = 1; i < to->xattr_count; i++) {
		if (strcmp(to->xattrs[i - 1].name, to->xattrs[i].name) == 0)
			return pf_fail(err, -EEXIST, "an attribute stands there twice");
	}
	return 0;
}

static int copy_contents(struct pf_inode *to, const struct pf_inode *what, struct pf_error *err)
{
	if (what->target) {
		to->target = strdup(what->target);
		if (!to->target)
			return -ENOMEM;
		to->size = strlen(to->target);
	}
	if (what->extent_count) {
		to->extents = malloc(what->extent_count * sizeof(*to->extents));
		if (!to->extents)
			return -ENOMEM;
	}
	for (size_t i = 0; i < what->extent_count; i++) {
		if (what->extents[i].length)
			to->extents[to->extent_count++] = what->extents[i];
	}
	return copy_xattrs(to, what, err);
}

int pf__node_new(struct pf_tree *t, const struct pf_inode *what, struct pf__node **out, struct pf_error *err)
{
	uint64_t cost = contents_cost(what);
	struct pf__node *n;
	int r = pf__tree_charge(t, cost, err);

	if (r < 0)
		return r;
	n = calloc(1, sizeof(*n));
	r = n ? copy_contents(&n->inode, what, err) : -ENOMEM;
	if (r < 0) {
		if (n)
			free_contents(&n->inode);
		free(n);
		pf__tree_release(t, cost);
		return r == -ENOMEM ? pf_fail(err, r, "no memory for a file of the tree") : r;
	}
	n->inode.mode = what->mode;
	n->inode.uid = what->uid;
	n->inode.gid = what->gid;
	n->inode.mtime = what->mtime;
	n->inode.mtime_ns = what->mtime_ns;
	if (S_ISREG(what->mode))
		n->inode.size = what->size;
	if (S_ISCHR(what->mode) || S_ISBLK(what->mode)) {
		n->inode.rdev_major = what->rdev_major;
		n->inode.rdev_minor = what->rdev_minor;
	}
	if (S_ISDIR(what->mode)) {
		n->inode.implied = what->implied;
		n->inode.links = 2;
	}
	n->charged = cost;
	t->inodes++;
	*out = n;
	return 0;
}

#define SWAP(a, b)                                                                                           \
	do {                                                                                                 \
		__typeof__(a) swap_ = (a);                                                                   \
		(a) = (b);                                                                                   \
		(b) = swap_;                                                                                 \
	} while (0)

void pf__node_swap_attributes(struct pf__node *a, struct pf__node *b)
{
	SWAP(a->inode.mode, b->inode.mode);
	SWAP(a->inode.uid, b->inode.uid);
	SWAP(a->inode.gid, b->inode.gid);
	SWAP(a->inode.mtime, b->inode.mtime);
	SWAP(a->inode.mtime_ns, b->inode.mtime_ns);
	SWAP(a->inode.xattrs, b->inode.xattrs);
	SWAP(a->inode.xattr_count, b->inode.xattr_count);
	SWAP(a->inode.implied, b->inode.implied);
	SWAP(a->charged, b->charged);
}

void pf__node_free(struct pf_tree *t, struct pf__node *n)
{
	pf__dir_free(t, n);
	free_contents(&n->inode);
	pf__tree_release(t, n->charged);
	free(n);
	t->inodes--;
}

/* An entry that named n is gone. A directory that must go is put on the list: whoever nests them thousands
 * deep must not decide how deep our stack is. */
static void unname(struct pf_tree *t, struct pf__node *n, struct pf__node **doomed)
{
	if (pf__is_dir(&n->inode)) {
		n->next = *doomed;
		*doomed = n;
	} else if (--n->inode.links == 0) {
		pf__node_free(t, n);
	}
}

static void unname_entries(struct pf_tree *t, struct pf__node *dir, struct pf__node **doomed)
{
	for (size_t i = 0; i < dir->inode.entry_count; i++)
		unname(t, pf__node_of(dir->inode.entries[i].inode), doomed);
}

static void take_down(struct pf_tree *t, struct pf__node *doomed)
{
	while (doomed) {
		struct pf__node *dir = doomed;

		doomed = dir->next;
		unname_entries(t, dir, &doomed);
		pf__node_free(t, dir);
	}
}

void pf__node_drop(struct pf_tree *t, struct pf__node *n)
{
	struct pf__node *doomed = NULL;

	unname(t, n, &doomed);
	take_down(t, doomed);
}

void pf__node_clear(struct pf_tree *t, struct pf__node *dir)
{
	struct pf__node *doomed = NULL;

	unname_entries(t, dir, &doomed);
	pf__dir_free(t, dir);
	dir->inode.links = 2;
	take_down(t, doomed);
}
