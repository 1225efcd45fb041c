/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the entries of a tar to a tree, and one layer onto those below it (OCI image-spec, layer.md).
 *
 * A layer's whiteouts concern what lies below it and never its own entries, whatever the order of both. So a
 * layer is read into a tree of its own with its whiteouts aside, and then laid over what is there: whiteouts,
 * opaque directories, entries, hard links to files of lower layers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "image/import/tar.h"

#define WHITEOUT ".wh."
#define META	 ".wh..wh." /* AUFS's own, and the opaque mark */
#define OPAQUE	 ".wh..wh..opq"

struct reader {
	struct pf__job *job;
	struct pf__tar tar;
	enum pf__reading how;
	struct pf_tree *tree;
	struct pf__layer *layer;
	struct pf__sink sink;
	char path[PF__PATH_MAX + 1];
	char target[PF__PATH_MAX + 1]; /* of a link, NUL-terminated */
};

void pf__layer_free(struct pf__layer *l)
{
	pf_list_free(&l->whiteouts);
	pf_list_free(&l->opaques);
	pf_list_free(&l->links);
	pf_list_free(&l->targets);
}

static int remember(struct pf_list *list, const char *path, struct pf_error *err)
{
	return pf_list_add(list, path) ? pf_fail(err, -ENOMEM, "out of memory") : 0;
}

static mode_t type_bits(enum pf__tar_type type)
{
	switch (type) {
	case PF__TAR_FILE:
	case PF__TAR_LINK:
		return S_IFREG;
	case PF__TAR_SYMLINK:
		return S_IFLNK;
	case PF__TAR_CHAR:
		return S_IFCHR;
	case PF__TAR_BLOCK_DEVICE:
		return S_IFBLK;
	case PF__TAR_DIR:
		return S_IFDIR;
	case PF__TAR_FIFO:
		return S_IFIFO;
	}
	return 0;
}

static int contents(struct reader *r, struct pf_inode *i, struct pf_error *err)
{
	struct pf__sink *k = &r->sink;
	const uint8_t *p;
	uint64_t offset;
	int64_t n;
	int e = 0;

	if (r->how == PF__READ_INDEX)
		return pf__tar_extents(&r->tar, &i->extents, &i->extent_count, err);
	pf__sink_begin(k, &r->job->spool, i->size);
	while ((n = pf__tar_data(&r->tar, &p, &offset, err)) > 0 && e == 0)
		e = pf__sink_add(k, offset, p, (size_t)n, err);
	if (n < 0)
		e = (int)n;
	if (e == 0)
		e = pf__sink_end(k, err);
	i->extents = k->extents; /* also after a failure: the caller frees it */
	i->extent_count = k->count;
	return e;
}

static int xattrs(struct reader *r, const struct pf__tar_entry *e, struct pf_inode *i, struct pf_error *err)
{
	if (e->acl)
		pf__note(&r->job->notes, PF__NOTE_ACL, r->path);
	if (!e->xattr_count)
		return 0;
	i->xattrs = calloc(e->xattr_count, sizeof(*i->xattrs));
	if (!i->xattrs)
		return pf_fail(err, -ENOMEM, "out of memory");
	for (size_t k = 0; k < e->xattr_count; k++) {
		const struct pf__tar_xattr *from = &e->xattrs[k];
		struct pf_xattr *x = &i->xattrs[i->xattr_count];

		x->name = strndup(from->name.p, from->name.n);
		if (!x->name)
			return pf_fail(err, -ENOMEM, "out of memory");
		if (!pf__entry_xattr(r->path, x->name, i->mode, &r->job->notes)) {
			free(x->name);
			x->name = NULL;
			continue;
		}
		i->xattr_count++;
		x->size = (uint32_t)from->value.n;
		x->value = malloc(x->size ? x->size : 1);
		if (!x->value)
			return pf_fail(err, -ENOMEM, "out of memory");
		memcpy(x->value, from->value.p, x->size);
	}
	return 0;
}

/* An entry is no inode of its own: a second name. */
static int hard_link(struct reader *r, const struct pf__tar_entry *e, struct pf_error *err)
{
	char show[PF__SHOW], other[PF__SHOW];
	int n = pf__entry_path(e->link.p, e->link.n, r->target, err);

	if (n) {
		pf_wrap(err, "hard link '%s'", pf__show(r->path, strlen(r->path), show));
		return n;
	}
	if (pf_tree_find(r->tree, r->target))
		return pf_tree_link(r->tree, r->path, r->target, err);
	if (!r->layer)
		return pf_fail(err, -EINVAL, "entry '%s' is a hard link to '%s', which is not there",
			       pf__show(r->path, strlen(r->path), show),
			       pf__show(r->target, strlen(r->target), other));
	n = remember(&r->layer->links, r->path, err);
	return n ? n : remember(&r->layer->targets, r->target, err);
}

static int put(struct reader *r, const struct pf__tar_entry *e, mode_t type, struct pf_error *err)
{
	/* A link's mode means nothing to Linux, where it reads as 0777; other systems write others. */
	struct pf_inode i = {.mode = type | (type == S_IFLNK ? 0777 : e->mode),
			     .uid = e->uid,
			     .gid = e->gid,
			     .mtime = e->mtime,
			     .mtime_ns = e->mtime_ns,
			     .size = type == S_IFREG ? e->size : 0};
	int n = pf__entry_owner(r->path, &i, err);

	if (n == 0 && type == S_IFLNK) {
		n = pf__entry_link_target(r->path, e->link.p, e->link.n, err);
		if (n == 0 && !(i.target = strndup(e->link.p, e->link.n)))
			n = pf_fail(err, -ENOMEM, "out of memory");
	}
	if (n == 0)
		n = xattrs(r, e, &i, err);
	if (n == 0 && type == S_IFREG)
		n = contents(r, &i, err);
	if (n == 0)
		n = pf_tree_put(r->tree, r->path, &i, NULL, err);
	pf__inode_clear(&i);
	return n;
}

/* Left out, and yet what had its name is gone. */
static int leave_out(struct reader *r, struct pf_error *err)
{
	int n = pf_tree_remove(r->tree, r->path, err);

	return n || !r->layer ? n : remember(&r->layer->whiteouts, r->path, err);
}

/* 0: an ordinary entry, 1: a whiteout that was taken, -errno. */
static int whiteout(struct reader *r, struct pf_error *err)
{
	char *slash = strrchr(r->path, '/'), *leaf = slash ? slash + 1 : r->path;
	char show[PF__SHOW];
	int n;

	if (!pf_has_prefix(leaf, WHITEOUT))
		return 0;
	if (pf_streq(leaf, OPAQUE)) {
		leaf[0] = '\0';
		if (slash)
			*slash = '\0';
		n = remember(&r->layer->opaques, r->path, err);
		return n ? n : 1;
	}
	if (pf_has_prefix(leaf, META)) {
		pf__note(&r->job->notes, PF__NOTE_AUFS, r->path);
		return 1;
	}
	/* ".wh.." hides ".", ".wh..." hides "..": the directory itself and the one that it lies in. */
	if (pf_streq(leaf, WHITEOUT) || pf_streq(leaf, WHITEOUT ".") || pf_streq(leaf, WHITEOUT ".."))
		return pf_fail(err, -EINVAL, "entry '%s' is a whiteout of no name",
			       pf__show(r->path, strlen(r->path), show));
	memmove(leaf, leaf + strlen(WHITEOUT), strlen(leaf + strlen(WHITEOUT)) + 1);
	n = remember(&r->layer->whiteouts, r->path, err);
	return n ? n : 1;
}

static int entry(struct reader *r, const struct pf__tar_entry *e, struct pf_error *err)
{
	char show[PF__SHOW];
	int n = pf__entry_path(e->name.p, e->name.n, r->path, err);

	if (n == 0)
		n = pf__budget_entry(&r->job->budget, e->size, err);
	if (n == 0 && r->how == PF__READ_LAYER && *r->path)
		n = whiteout(r, err);
	if (n)
		return n < 0 ? n : 0;
	if (*r->path == '\0' && e->type != PF__TAR_DIR)
		return pf_fail(err, -EINVAL, "entry '%s' makes the root something other than a directory",
			       pf__show(e->name.p, e->name.n, show));
	if (e->type == PF__TAR_LINK)
		return hard_link(r, e, err);
	n = pf__entry_type(r->path, type_bits(e->type), &r->job->notes, err);
	if (n)
		return n < 0 ? n : leave_out(r, err);
	return put(r, e, type_bits(e->type), err);
}

int pf__layer_read(struct pf__job *j, struct pf__stream *s, enum pf__reading how, struct pf_tree *tree,
		   struct pf__layer *layer, struct pf_error *err)
{
	struct reader *r = calloc(1, sizeof(*r));
	const struct pf__tar_entry *e;
	int n;

	if (!r)
		return pf_fail(err, -ENOMEM, "out of memory");
	r->job = j;
	r->how = how;
	r->tree = tree;
	r->layer = layer;
	pf__tar_open(&r->tar, s);
	while ((n = pf__tar_next(&r->tar, &e, err)) > 0) {
		n = entry(r, e, err);
		if (n)
			break;
	}
	/* A layer's end is known by its digest, and not every writer marks it. */
	if (n == 0)
		n = pf__tar_finish(&r->tar, how != PF__READ_LAYER, &j->notes, err);
	pf__tar_close(&r->tar);
	free(r);
	return n;
}

struct merge {
	struct pf_tree *base;
	struct pf__links seen; /* inodes of the layer with several names: the first of them */
	struct pf_error *err;
};

static int merge_one(void *user, const char *path, struct pf_inode *i)
{
	struct merge *m = user;
	const char *first = NULL;
	int r;

	/* It only stood in another's path: below may be a link to a directory in its place, which stays. */
	if (S_ISDIR(i->mode) && i->implied)
		return 0;
	if (!S_ISDIR(i->mode) && i->links > 1)
		first = pf__links_find(&m->seen, (uintptr_t)i, 0);
	if (first)
		return pf_tree_link(m->base, path, first, m->err);
	r = pf_tree_put(m->base, path, i, NULL, m->err);
	if (r == 0 && !S_ISDIR(i->mode) && i->links > 1 && pf__links_add(&m->seen, (uintptr_t)i, 0, path))
		r = pf_fail(m->err, -ENOMEM, "out of memory");
	return r;
}

/* Below links that lead in a circle there is nothing to hide. */
static int nothing_there(int r)
{
	return r == -ELOOP ? 0 : r;
}

int pf__layer_apply(struct pf_tree *base, struct pf_tree *tree, const struct pf__layer *l,
		    struct pf_error *err)
{
	struct merge m = {.base = base, .err = err};
	int r = 0;

	for (size_t i = 0; i < l->whiteouts.count && r == 0; i++)
		r = nothing_there(pf_tree_remove(base, l->whiteouts.items[i], err));
	for (size_t i = 0; i < l->opaques.count && r == 0; i++)
		r = nothing_there(pf_tree_clear(base, l->opaques.items[i], err));
	if (r == 0)
		r = pf_tree_sort(tree, err);
	if (r == 0)
		r = pf_tree_walk(tree, merge_one, &m, err);
	pf__links_free(&m.seen);
	for (size_t i = 0; i < l->links.count && r == 0; i++) {
		char show[PF__SHOW], other[PF__SHOW];
		const char *path = l->links.items[i], *to = l->targets.items[i];

		if (!pf_tree_find(base, to))
			return pf_fail(err, -EINVAL, "entry '%s' is a hard link to '%s', which is not there",
				       pf__show(path, strlen(path), show), pf__show(to, strlen(to), other));
		r = pf_tree_link(base, path, to, err);
	}
	return r;
}
