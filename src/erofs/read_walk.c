/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A walk over the whole image. What a hostile one may try here: directories that contain themselves, a
 * directory under two names (thirty levels of which are a billion files), files without end. So each
 * directory is remembered and comes once, depth and number are bounded. The recursion is at most
 * PF_TREE_DEPTH_MAX deep.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "erofs/read_internal.h"

struct met { /* an inode that may come again */
	uint64_t nid;
	char *path; /* NULL for a directory */
	bool taken;
};

struct walk {
	const struct pf_erofs *fs;
	int (*each)(void *user, const struct pf_erofs_visit *v);
	int (*leave)(void *user, const struct pf_erofs_visit *v);
	void *user;
	struct pf_error *err;
	struct met *met; /* open addressing */
	size_t met_count, met_size;
	uint64_t key;
	uint64_t entries, memory;
	size_t length; /* of path */
	unsigned depth;
	char path[PF_TREE_PATH_MAX + 1];
};

static struct met *slot(const struct walk *w, struct met *table, size_t size, uint64_t nid)
{
	size_t i = (size_t)((nid * w->key) >> 20) & (size - 1);

	while (table[i].taken && table[i].nid != nid)
		i = (i + 1) & (size - 1);
	return &table[i];
}

static int charge(struct walk *w, uint64_t n)
{
	if (n > PF_TREE_MEMORY_MAX - w->memory)
		return pf_fail(w->err, -E2BIG, "the image has too many directories and hard links");
	w->memory += n;
	return 0;
}

static int grow(struct walk *w)
{
	size_t size = w->met_size ? w->met_size * 2 : 256;
	struct met *table;
	int r;

	if (w->met_count + 1 <= w->met_size / 4 * 3)
		return 0;
	r = charge(w, size * sizeof(*table));
	if (r < 0)
		return r;
	table = calloc(size, sizeof(*table));
	if (!table)
		return pf_fail(w->err, -ENOMEM, "no memory to walk the image");
	for (size_t i = 0; i < w->met_size; i++) {
		if (w->met[i].taken)
			*slot(w, table, size, w->met[i].nid) = w->met[i];
	}
	free(w->met);
	w->met = table;
	w->met_size = size;
	return 0;
}

/* Note an inode at the present path. *before: the path that it had when it came first, or NULL. */
static int note(struct walk *w, const struct pf_erofs_inode *i, const char **before)
{
	struct met *m;
	int r;

	*before = NULL;
	if (!S_ISDIR(i->mode) && i->links < 2)
		return 0;
	r = grow(w);
	if (r < 0)
		return r;
	m = slot(w, w->met, w->met_size, i->nid);
	if (m->taken) {
		if (S_ISDIR(i->mode) || !m->path)
			return pf__damaged(w->err, i->nid, "a directory that stands in two places");
		*before = m->path;
		return 0;
	}
	if (!S_ISDIR(i->mode)) {
		r = charge(w, w->length + 1);
		if (r < 0)
			return r;
		m->path = strdup(w->path);
		if (!m->path)
			return pf_fail(w->err, -ENOMEM, "no memory to walk the image");
	}
	m->nid = i->nid;
	m->taken = true;
	w->met_count++;
	return 0;
}

static int entry(void *user, const char *name, size_t n, uint64_t nid, uint8_t type);

static int visit(struct walk *w, const struct pf_erofs_inode *i, const char *name)
{
	struct pf_erofs_visit v = {.path = w->path, .name = name, .depth = w->depth, .inode = i};
	size_t length = w->length;
	int r = note(w, i, &v.linked);

	if (r == 0)
		r = w->each(w->user, &v);
	if (r != 0 || !S_ISDIR(i->mode))
		return r;
	w->depth++;
	r = pf_erofs_list(w->fs, i, entry, w, w->err);
	w->depth--;
	w->length = length;
	w->path[length] = '\0';
	return r == 0 && w->leave ? w->leave(w->user, &v) : r;
}

static int entry(void *user, const char *name, size_t n, uint64_t nid, uint8_t type)
{
	struct walk *w = user;
	size_t length = w->length, slash = length > 0;
	struct pf_erofs_inode i;
	int r;

	if (++w->entries > PF_TREE_NODES_MAX)
		return pf_fail(w->err, -E2BIG, "the image has more than %u files", PF_TREE_NODES_MAX);
	if (w->depth > PF_TREE_DEPTH_MAX || length + slash + n > PF_TREE_PATH_MAX)
		return pf_fail(w->err, -ENAMETOOLONG,
			       "the image has a path of more than %u bytes or %u directories",
			       PF_TREE_PATH_MAX, PF_TREE_DEPTH_MAX);
	r = pf_erofs_inode(w->fs, nid, &i, w->err);
	if (r < 0)
		return r;
	if (type != pf__erofs_type(i.mode))
		return pf__damaged(w->err, nid, "an entry of another type than its inode");
	if (slash)
		w->path[length] = '/';
	memcpy(w->path + length + slash, name, n);
	w->length = length + slash + n;
	w->path[w->length] = '\0';
	r = visit(w, &i, w->path + length + slash);
	w->length = length;
	w->path[length] = '\0';
	return r;
}

int pf_erofs_walk(const struct pf_erofs *fs, int (*each)(void *user, const struct pf_erofs_visit *v),
		  int (*leave)(void *user, const struct pf_erofs_visit *v), void *user, struct pf_error *err)
{
	struct walk w = {.fs = fs, .each = each, .leave = leave, .user = user, .err = err};
	struct pf_erofs_inode root;
	int r = pf_erofs_inode(fs, fs->root, &root, err);

	if (r < 0)
		return r;
	if (!S_ISDIR(root.mode))
		return pf__damaged(err, fs->root, "its root is no directory");
	pf_random(&w.key, sizeof(w.key));
	w.key |= 1;
	r = visit(&w, &root, w.path);
	for (size_t i = 0; i < w.met_size; i++)
		free(w.met[i].path);
	free(w.met);
	return r;
}
