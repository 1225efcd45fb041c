/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of erofs/: trees by chance, as a list of entries that can be put in any order. */
#ifndef PF_TEST_EROFS_RANDOM_H
#define PF_TEST_EROFS_RANDOM_H

#include "test_erofs.h"

#define ITEMS_MAX 80

struct item {
	char path[PF_TREE_PATH_MAX];
	struct pf_inode what; /* ours to free */
	int group;	      /* hard links of one file have the same; 0: none */
	bool done;
};

struct items {
	struct item *of;
	size_t count;
	char dirs[ITEMS_MAX][PF_TREE_PATH_MAX];
	size_t dir_count;
	enum {
		WILD,
		TAME,  /* what a file system on disk takes too, and a tool compares in reasonable time */
		SHORT, /* and names that mkfs.erofs 1.5 does not cut off */
	} manners;
};

static inline void random_name(uint64_t *seed, const struct items *s, char out[PF_TREE_NAME_MAX + 1])
{
	static const char first[] = "!-.09Aaz~\x01\x7f\x80\xff \n\\";
	size_t n = 1 + rnd(seed) % 12;

	if (s->manners != SHORT && rnd(seed) % 20 == 0)
		n = 200 + rnd(seed) % 56;
	for (size_t i = 0; i < n; i++)
		out[i] = first[rnd(seed) % (sizeof(first) - 1)];
	out[n] = '\0';
	if (strcmp(out, ".") == 0 || strcmp(out, "..") == 0)
		out[0] = 'x';
}

static inline bool item_taken(const struct items *s, const char *path)
{
	for (size_t i = 0; i < s->count; i++) {
		if (strcmp(s->of[i].path, path) == 0)
			return true;
	}
	return false;
}

/* A fresh path below one of the directories. */
static inline bool random_path(uint64_t *seed, const struct items *s, char out[PF_TREE_PATH_MAX])
{
	const char *dir = s->dirs[rnd(seed) % s->dir_count];
	char name[PF_TREE_NAME_MAX + 1];

	random_name(seed, s, name);
	if (strlen(dir) + 1 + strlen(name) >= 1000)
		return false;
	snprintf(out, PF_TREE_PATH_MAX, "%s%s%s", dir, *dir ? "/" : "", name);
	return !item_taken(s, out);
}

static inline void random_bytes(uint64_t *seed, uint8_t *p, size_t n)
{
	while (n > 0) {
		uint64_t word = rnd(seed) | 0x010101010101; /* no zeros: those are holes */
		size_t part = n < 6 ? n : 6;

		memcpy(p, &word, part);
		p += part;
		n -= part;
	}
}

static inline void random_xattrs(uint64_t *seed, const struct items *s, struct pf_inode *i)
{
	static const char *const names[] = {"user.a", "user.\xff long name of an attribute", "trusted.t",
					    "security.other", "user.z"};
	size_t n = rnd(seed) % 4 ? 0 : 1 + rnd(seed) % PF_ARRAY_SIZE(names);

	if (!n || (s->manners && !S_ISREG(i->mode) && !S_ISDIR(i->mode)))
		return;
	i->xattrs = calloc(n, sizeof(*i->xattrs));
	for (size_t k = 0; k < n; k++) {
		struct pf_xattr *x = &i->xattrs[i->xattr_count++];

		x->name = strdup(names[n - 1 - k]);
		x->size = (uint32_t)(rnd(seed) % 100);
		if (!s->manners && rnd(seed) % 10 == 0)
			x->size = (uint32_t)(rnd(seed) % 65536);
		x->value = malloc(x->size + 1);
		random_bytes(seed, x->value, x->size);
	}
}

static inline uint64_t random_size(uint64_t *seed)
{
	static const uint32_t edges[] = {0,    1,    100,  3000, 4031, 4032, 4033, 4095,
					 4096, 4097, 8127, 8128, 8192, 8193, 65536};

	return rnd(seed) % 3 ? edges[rnd(seed) % PF_ARRAY_SIZE(edges)] : rnd(seed) % 150000;
}

/* Content: whole, or with holes; now and then a very long file with little in it. */
static inline void random_content(uint64_t *seed, struct img *g, const struct items *s, struct pf_inode *i)
{
	static uint8_t bytes[400000];
	uint64_t at = 0;
	bool sparse = rnd(seed) % 3 == 0;

	i->size = random_size(seed);
	if (sparse && !s->manners && rnd(seed) % 3 == 0)
		i->size = (5ull << 30) + rnd(seed) % (1ull << 33);
	i->extents = calloc(12, sizeof(*i->extents));
	while (at < i->size && i->extent_count < 12) {
		uint64_t left = i->size - at, n = left < sizeof(bytes) ? left : sizeof(bytes);

		if (sparse) {
			uint64_t hole = rnd(seed) % (left / 3 + 2);

			at += hole < left ? hole : left;
			left = i->size - at;
			n = rnd(seed) % (left < 50000 ? left + 1 : 50000);
		}
		if (n == 0 && left == 0)
			break;
		random_bytes(seed, bytes, n);
		i->extents[i->extent_count++] = (struct pf_extent){at, n, spool_bytes(g, bytes, n)};
		at += n;
	}
}

static inline mode_t random_mode(uint64_t *seed)
{
	static const mode_t types[] = {S_IFDIR, S_IFDIR, S_IFREG, S_IFREG, S_IFREG, S_IFREG,
				       S_IFLNK, S_IFIFO, S_IFCHR, S_IFBLK, S_IFSOCK};
	mode_t type = types[rnd(seed) % PF_ARRAY_SIZE(types)];

	if (type == S_IFLNK)
		return type | 0777;
	return type | (rnd(seed) % 4 ? 0755 : (mode_t)(rnd(seed) & 07777));
}

static inline void random_item(uint64_t *seed, struct img *g, struct items *s)
{
	struct item *it = &s->of[s->count];
	struct pf_inode *i = &it->what;
	char target[300];

	memset(it, 0, sizeof(*it));
	if (!random_path(seed, s, it->path))
		return;
	i->mode = random_mode(seed);
	i->uid = (uint32_t)(rnd(seed) % 3 ? rnd(seed) % 2000 : rnd(seed) % 4000000000u);
	i->gid = (uint32_t)(rnd(seed) % 70000);
	i->mtime = s->manners ? (int64_t)(rnd(seed) % 4000000000u)
			      : (int64_t)(rnd(seed) % 9000000000u) - 4000000000;
	i->mtime_ns = (uint32_t)(rnd(seed) % 1000000000);
	random_xattrs(seed, s, i);
	if (S_ISREG(i->mode))
		random_content(seed, g, s, i);
	if (S_ISLNK(i->mode)) {
		random_name(seed, s, target);
		i->target = strdup(target);
	}
	if (S_ISCHR(i->mode) || S_ISBLK(i->mode)) {
		i->rdev_major = (uint32_t)(1 + rnd(seed) % 4095);
		i->rdev_minor = (uint32_t)(rnd(seed) % 1048576);
	}
	if (S_ISDIR(i->mode) && s->dir_count < ITEMS_MAX)
		strcpy(s->dirs[s->dir_count++], it->path);
	s->count++;
}

/* Second names for some files. */
static inline void random_links(uint64_t *seed, struct items *s)
{
	size_t files = s->count;

	for (size_t i = 0; i < files && s->count < ITEMS_MAX; i++) {
		struct item *it = &s->of[i], *more = &s->of[s->count];

		if (S_ISDIR(it->what.mode) || rnd(seed) % 4)
			continue;
		memset(more, 0, sizeof(*more));
		if (!random_path(seed, s, more->path))
			continue;
		it->group = more->group = (int)i + 1;
		s->count++;
	}
}

static inline void random_items(uint64_t seed, struct img *g, struct items *s, int manners)
{
	memset(s, 0, sizeof(*s));
	s->of = calloc(ITEMS_MAX, sizeof(*s->of));
	s->manners = manners;
	s->dir_count = 1; /* the root */
	seed = seed * 0x9E3779B97F4A7C15ull + 1;
	for (size_t want = 1 + rnd(&seed) % (ITEMS_MAX / 2), i = 0; i < want; i++)
		random_item(&seed, g, s);
	random_links(&seed, s);
}

static inline void free_xattr(struct pf_xattr *x)
{
	free(x->name);
	free(x->value);
}

static inline void items_free(struct items *s)
{
	for (size_t i = 0; i < s->count; i++) {
		struct pf_inode *w = &s->of[i].what;

		while (w->xattr_count)
			free_xattr(&w->xattrs[--w->xattr_count]);
		free(w->xattrs);
		free(w->extents);
		free(w->target);
	}
	free(s->of);
}

/* Put one; of hard links whichever comes first brings the file. */
static inline void item_put(struct img *g, struct items *s, size_t k)
{
	struct item *it = &s->of[k];
	const struct pf_inode *what = &it->what;
	struct pf_error err = {0};

	for (size_t i = 0; it->group && i < s->count; i++) {
		if (s->of[i].group != it->group)
			continue;
		if (s->of[i].done) {
			check(&err, pf_tree_link(g->tree, it->path, s->of[i].path, &err));
			it->done = true;
			return;
		}
		if (s->of[i].what.mode)
			what = &s->of[i].what;
	}
	put(g, it->path, what);
	it->done = true;
}

/* seed 0: in the order of making, else shuffled. */
static inline void items_put(struct img *g, struct items *s, uint64_t seed)
{
	size_t order[ITEMS_MAX];

	for (size_t i = 0; i < s->count; i++) {
		order[i] = i;
		s->of[i].done = false;
	}
	for (size_t i = s->count; seed && i > 1; i--) {
		size_t j = rnd(&seed) % i, swap = order[j];

		order[j] = order[i - 1];
		order[i - 1] = swap;
	}
	for (size_t i = 0; i < s->count; i++)
		item_put(g, s, order[i]);
}

#endif
