/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of erofs/: trees made by hand, by chance and from a directory, and one description of a file
 * tree that can be made of a directory on disk, of a tree and of an image alike, so that any two can be
 * compared as text.
 */
#ifndef PF_TEST_EROFS_H
#define PF_TEST_EROFS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sha256.h"
#include "base/str.h"
#include "erofs/read.h"
#include "erofs/tree.h"
#include "erofs/write.h"

#define BLOCK 4096u

static inline void check(const struct pf_error *err, int r)
{
	if (r < 0)
		fail_msg("%d: %s", r, err->msg);
}

static inline uint64_t rnd(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed * 0x2545F4914F6CDD1Dull >> 16;
}

/* Does this process make devices, owners and attributes of all kinds in dir? Root in a container may not. */
static inline bool may_make_all(const char *dir)
{
	char device[128];
	bool made;

	snprintf(device, sizeof(device), "%s/device", dir);
	made = mknod(device, S_IFCHR | 0600, makedev(1, 3)) == 0 && chown(device, 70000, 5) == 0;
	unlink(device);
	return made && lsetxattr(dir, "trusted.pf", "x", 1, 0) == 0 && lremovexattr(dir, "trusted.pf") == 0 &&
	       lsetxattr(dir, "user.pf", "x", 1, 0) == 0 && lremovexattr(dir, "user.pf") == 0;
}

/* --- a tree with its spool ------------------------------------------------ */

struct img {
	struct pf_tree *tree;
	int spool;
	uint64_t spooled;
};

static inline void img_make(struct img *g)
{
	struct pf_error err = {0};

	g->spooled = 0;
	g->spool = memfd_create("spool", MFD_CLOEXEC);
	assert_true(g->spool >= 0);
	check(&err, pf_tree_new(&g->tree, &err));
}

static inline void img_free(struct img *g)
{
	pf_tree_free(g->tree);
	close(g->spool);
}

static inline struct pf_inode *put(struct img *g, const char *path, const struct pf_inode *what)
{
	struct pf_error err = {0};
	struct pf_inode *out = NULL;

	check(&err, pf_tree_put(g->tree, path, what, &out, &err));
	assert_non_null(out);
	return out;
}

static inline struct pf_inode *put_mode(struct img *g, const char *path, mode_t mode)
{
	return put(g, path, &(struct pf_inode){.mode = mode});
}

static inline uint64_t spool_bytes(struct img *g, const void *p, size_t n)
{
	uint64_t at = g->spooled;

	assert_int_equal(pwrite(g->spool, p, n, (off_t)at), (ssize_t)n);
	g->spooled += n;
	return at;
}

static inline struct pf_inode *put_file(struct img *g, const char *path, const void *p, size_t n)
{
	struct pf_extent e = {0, n, spool_bytes(g, p, n)};

	return put(g, path,
		   &(struct pf_inode){.mode = S_IFREG | 0644, .size = n, .extents = &e, .extent_count = 1});
}

static inline struct pf_inode *put_link(struct img *g, const char *path, const char *target)
{
	return put(g, path, &(struct pf_inode){.mode = S_IFLNK | 0777, .target = (char *)(uintptr_t)target});
}

/* --- an image in memory --------------------------------------------------- */

struct image {
	int fd;
	uint8_t *data;
	uint64_t size;
	struct pf_erofs fs;
};

static inline void image_map(struct image *m)
{
	struct pf_error err = {0};

	/* A private copy may be damaged by a test. */
	m->data = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_PRIVATE, m->fd, 0);
	assert_true(m->data != MAP_FAILED);
	check(&err, pf_erofs_open(&m->fs, m->data, m->size, &err));
}

static inline void image_write_to(struct img *g, struct image *m, int fd)
{
	struct pf_error err = {0};
	struct stat st;

	m->fd = fd;
	check(&err, pf_tree_sort(g->tree, &err));
	check(&err, pf_erofs_write(g->tree, g->spool, fd, &m->size, &err));
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal((uint64_t)st.st_size, m->size);
	assert_int_equal(m->size % BLOCK, 0);
	image_map(m);
}

static inline void image_write(struct img *g, struct image *m)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	assert_true(fd >= 0);
	image_write_to(g, m, fd);
}

static inline void image_free(struct image *m)
{
	munmap(m->data, m->size);
	close(m->fd);
}

static inline void image_digest(const struct image *m, char out[PF_DIGEST_MAX])
{
	pf_sha256_text(m->data, m->size, out);
}

/* --- descriptions --------------------------------------------------------- */

struct attribute {
	char *name;
	void *value;
	uint32_t size;
};

struct describer {
	struct pf_buf text;
	/* of one file */
	struct attribute xattrs[64];
	size_t xattr_count;
	struct pf_sha256 content;
	uint64_t data_blocks;
	bool user_only; /* leave out what an ordinary user cannot make: owners, set-id bits, devices,
			   attributes but user. */
	bool no_times_of_links;
	bool no_dir_links; /* not every file system counts them */
};

static inline void describe_start(struct describer *d)
{
	d->xattr_count = 0;
	d->data_blocks = 0;
	pf_sha256_init(&d->content);
}

static inline void describe_xattr(struct describer *d, const char *name, const void *value, uint32_t size)
{
	struct attribute *x = &d->xattrs[d->xattr_count++];

	if (d->user_only && !pf_has_prefix(name, "user.")) {
		d->xattr_count--;
		return;
	}
	assert_true(d->xattr_count < PF_ARRAY_SIZE(d->xattrs));
	*x = (struct attribute){strdup(name), malloc(size + 1), size};
	memcpy(x->value, value, size);
}

/* One aligned block of content (the last may be short). Zeros and holes are the same content. */
static inline void describe_block(struct describer *d, uint64_t number, const uint8_t *p, size_t n)
{
	static const uint8_t zero[BLOCK];
	uint8_t whole[BLOCK] = {0};

	assert_true(n <= BLOCK);
	if (memcmp(p, zero, n) == 0)
		return;
	memcpy(whole, p, n);
	pf_sha256_add(&d->content, &number, sizeof(number));
	pf_sha256_add(&d->content, whole, BLOCK);
	d->data_blocks++;
}

static inline int by_attribute(const void *a, const void *b)
{
	return strcmp(((const struct attribute *)a)->name, ((const struct attribute *)b)->name);
}

static inline void describe_end(struct describer *d, const char *path, const struct stat *st,
				const char *target, const char *linked)
{
	char digest[PF_DIGEST_MAX], shown[4 * PF_TREE_PATH_MAX + 1];
	bool device = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);

	pf_printable(path, strlen(path), shown, sizeof(shown));
	if (!(d->user_only && device)) {
		pf_buf_addf(&d->text, "%s %o", *shown ? shown : "/",
			    st->st_mode & ~(d->user_only ? (mode_t)(S_ISUID | S_ISGID) : 0));
		if (!d->user_only)
			pf_buf_addf(&d->text, " %u:%u", st->st_uid, st->st_gid);
		if (!S_ISDIR(st->st_mode))
			pf_buf_addf(&d->text, " %llu", (unsigned long long)st->st_size);
		if (!(d->no_dir_links && S_ISDIR(st->st_mode)))
			pf_buf_addf(&d->text, " n%llu", (unsigned long long)st->st_nlink);
		if (!(d->no_times_of_links && S_ISLNK(st->st_mode)))
			pf_buf_addf(&d->text, " %lld.%09ld", (long long)st->st_mtim.tv_sec,
				    st->st_mtim.tv_nsec);
		if (device)
			pf_buf_addf(&d->text, " dev %u:%u", major(st->st_rdev), minor(st->st_rdev));
		if (target) {
			pf_printable(target, strlen(target), shown, sizeof(shown));
			pf_buf_addf(&d->text, " -> %s", shown);
		}
		if (linked) {
			pf_printable(linked, strlen(linked), shown, sizeof(shown));
			pf_buf_addf(&d->text, " = %s", shown);
		}
		pf_sha256_end_text(&d->content, digest);
		if (S_ISREG(st->st_mode))
			pf_buf_addf(&d->text, " %llu blocks %.20s", (unsigned long long)d->data_blocks,
				    digest);
	}
	if (d->user_only && device)
		return;
	qsort(d->xattrs, d->xattr_count, sizeof(*d->xattrs), by_attribute);
	for (size_t i = 0; i < d->xattr_count; i++) {
		pf_sha256_text(d->xattrs[i].value, d->xattrs[i].size, digest);
		pf_buf_addf(&d->text, " [%s %u %.20s]", d->xattrs[i].name, d->xattrs[i].size, digest);
		free(d->xattrs[i].name);
		free(d->xattrs[i].value);
	}
	pf_buf_addc(&d->text, '\n');
}

/* Hard links that were met: key to first path. */
struct links {
	struct {
		uint64_t a, b;
		char *path;
	} * items;
	size_t count;
};

static inline const char *links_met(struct links *l, uint64_t a, uint64_t b, const char *path)
{
	for (size_t i = 0; i < l->count; i++) {
		if (l->items[i].a == a && l->items[i].b == b)
			return l->items[i].path;
	}
	l->items = realloc(l->items, (l->count + 1) * sizeof(*l->items));
	l->items[l->count].a = a;
	l->items[l->count].b = b;
	l->items[l->count++].path = strdup(path);
	return NULL;
}

static inline void links_free(struct links *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i].path);
	free(l->items);
	*l = (struct links){0};
}

/* --- of an image */

static inline int describe_image_xattr(void *user, const char *name, const void *value, uint32_t size)
{
	describe_xattr(user, name, value, size);
	return 0;
}

struct image_walk {
	const struct pf_erofs *fs;
	struct describer *d;
};

static inline void describe_image_content(const struct pf_erofs *fs, const struct pf_erofs_inode *i,
					  struct describer *d)
{
	struct pf_error err = {0};
	uint8_t block[BLOCK];

	for (uint64_t at = 0; at < i->size;) {
		const uint8_t *p;
		uint64_t run;

		check(&err, pf_erofs_run(fs, i, at, &p, &run, &err));
		assert_true(run > 0 && run <= i->size - at);
		if (!p) {
			at += run;
			continue;
		}
		for (uint64_t end = at + run; at < end;) {
			int64_t n = pf_erofs_pread(fs, i, block, BLOCK, at, &err);

			assert_true(n > 0);
			assert_int_equal(at % BLOCK, 0);
			describe_block(d, at / BLOCK, block, (size_t)n);
			at += (uint64_t)n;
		}
	}
}

static inline int describe_image_step(void *user, const struct pf_erofs_visit *v)
{
	struct image_walk *w = user;
	const struct pf_erofs_inode *i = v->inode;
	struct pf_error err = {0};
	char target[BLOCK] = "";
	struct stat st = {.st_mode = i->mode,
			  .st_uid = i->uid,
			  .st_gid = i->gid,
			  .st_nlink = i->links,
			  .st_size = (off_t)i->size,
			  .st_rdev = i->rdev,
			  .st_mtim = {.tv_sec = i->mtime, .tv_nsec = i->mtime_ns}};

	describe_start(w->d);
	check(&err, pf_erofs_xattrs(w->fs, i, describe_image_xattr, w->d, &err));
	if (S_ISREG(i->mode))
		describe_image_content(w->fs, i, w->d);
	if (S_ISLNK(i->mode))
		assert_int_equal(pf_erofs_pread(w->fs, i, target, sizeof(target) - 1, 0, &err),
				 (int64_t)i->size);
	describe_end(w->d, v->path, &st, S_ISLNK(i->mode) ? target : NULL, v->linked);
	return 0;
}

static inline void describe_image(const struct pf_erofs *fs, struct describer *d)
{
	struct image_walk w = {fs, d};
	struct pf_error err = {0};

	check(&err, pf_erofs_walk(fs, describe_image_step, NULL, &w, &err));
}

/* --- of a tree */

struct tree_walk {
	struct img *g;
	struct describer *d;
	struct links links;
};

static inline void describe_tree_content(struct img *g, const struct pf_inode *i, struct describer *d)
{
	uint8_t block[BLOCK];
	uint64_t number = UINT64_MAX;

	/* Only blocks that an extent touches; each once. */
	for (size_t e = 0; e < i->extent_count; e++) {
		uint64_t first = i->extents[e].at / BLOCK,
			 last = (i->extents[e].at + i->extents[e].length - 1) / BLOCK;

		for (uint64_t b = first; b <= last; b++) {
			uint64_t start = b * BLOCK, n = i->size - start < BLOCK ? i->size - start : BLOCK;

			if (b == number)
				continue;
			number = b;
			memset(block, 0, sizeof(block));
			for (size_t k = e; k < i->extent_count && i->extents[k].at < start + n; k++) {
				const struct pf_extent *x = &i->extents[k];
				uint64_t from = x->at > start ? x->at : start, to = x->at + x->length;

				if (to > start + n)
					to = start + n;
				if (from < to)
					assert_int_equal(pread(g->spool, block + (from - start), to - from,
							       (off_t)(x->spool + (from - x->at))),
							 (ssize_t)(to - from));
			}
			describe_block(d, b, block, n);
		}
	}
}

static inline int describe_tree_step(void *user, const char *path, struct pf_inode *i)
{
	struct tree_walk *w = user;
	struct stat st = {.st_mode = i->mode,
			  .st_uid = i->uid,
			  .st_gid = i->gid,
			  .st_nlink = i->links,
			  .st_size = (off_t)i->size,
			  .st_rdev = makedev(i->rdev_major, i->rdev_minor),
			  .st_mtim = {.tv_sec = i->mtime, .tv_nsec = i->mtime_ns}};
	const char *linked = NULL;

	if (!S_ISDIR(i->mode) && i->links > 1)
		linked = links_met(&w->links, (uintptr_t)i, 0, path);
	describe_start(w->d);
	for (size_t x = 0; x < i->xattr_count; x++)
		describe_xattr(w->d, i->xattrs[x].name, i->xattrs[x].value, i->xattrs[x].size);
	if (S_ISREG(i->mode))
		describe_tree_content(w->g, i, w->d);
	describe_end(w->d, path, &st, i->target, linked);
	return 0;
}

static inline void describe_tree(struct img *g, struct describer *d)
{
	struct tree_walk w = {.g = g, .d = d};
	struct pf_error err = {0};

	check(&err, pf_tree_sort(g->tree, &err));
	check(&err, pf_tree_walk(g->tree, describe_tree_step, &w, &err));
	links_free(&w.links);
}

/* --- of a directory */

static inline void describe_disk_xattrs(const char *path, struct describer *d)
{
	char names[65536], value[65536];
	ssize_t n = llistxattr(path, names, sizeof(names));

	for (char *name = names; n > 0 && name < names + n; name += strlen(name) + 1) {
		ssize_t size = lgetxattr(path, name, value, sizeof(value));

		assert_true(size >= 0);
		describe_xattr(d, name, value, (uint32_t)size);
	}
}

static inline void describe_disk_content(int fd, uint64_t size, struct describer *d)
{
	uint8_t block[BLOCK];

	for (off_t at = 0; (uint64_t)at < size; at += BLOCK) {
		ssize_t n;

		/* An image's mount knows no holes to seek over; there the sparse files are small. */
		at = lseek(fd, at, SEEK_DATA);
		if (at < 0)
			break;
		at = at / BLOCK * BLOCK;
		n = pread(fd, block, BLOCK, at);
		assert_true(n > 0);
		describe_block(d, (uint64_t)at / BLOCK, block, (size_t)n);
	}
}

static inline int by_dirent(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static inline int no_dots(const struct dirent *e)
{
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

/* path: on disk; rel: as in the description. */
static inline void describe_disk(const char *path, const char *rel, struct describer *d, struct links *links)
{
	char target[BLOCK] = "", below[PF_TREE_PATH_MAX + 300], below_rel[PF_TREE_PATH_MAX + 300];
	const char *linked = NULL;
	struct dirent **names;
	struct stat st;
	int n;

	if (lstat(path, &st) < 0)
		fail_msg("lstat %s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode) && st.st_nlink > 1)
		linked = links_met(links, st.st_dev, st.st_ino, rel);
	describe_start(d);
	describe_disk_xattrs(path, d);
	if (S_ISREG(st.st_mode)) {
		PF_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

		if (fd < 0)
			fail_msg("open %s: %s", path, strerror(errno));
		describe_disk_content(fd, (uint64_t)st.st_size, d);
	}
	if (S_ISLNK(st.st_mode))
		assert_int_equal(readlink(path, target, sizeof(target) - 1), st.st_size);
	describe_end(d, rel, &st, S_ISLNK(st.st_mode) ? target : NULL, linked);
	if (!S_ISDIR(st.st_mode))
		return;
	n = scandir(path, &names, no_dots, by_dirent);
	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		snprintf(below, sizeof(below), "%s/%s", path, names[i]->d_name);
		snprintf(below_rel, sizeof(below_rel), "%s%s%s", rel, *rel ? "/" : "", names[i]->d_name);
		describe_disk(below, below_rel, d, links);
		free(names[i]);
	}
	free(names);
}

static inline void describe_directory(const char *path, struct describer *d)
{
	struct links links = {0};

	describe_disk(path, "", d, &links);
	links_free(&links);
}

/* Both are freed. Shows the first line that differs. */
static inline void assert_same(struct describer *a, struct describer *b)
{
	const char *x = a->text.data, *y = b->text.data;

	assert_false(a->text.failed || b->text.failed);
	assert_true(a->text.len > 0);
	if (strcmp(x, y) != 0) {
		while (*x && *x == *y) {
			x++;
			y++;
		}
		while (x > a->text.data && x[-1] != '\n') {
			x--;
			y--;
		}
		fail_msg("differ:\n- %.*s\n+ %.*s", (int)strcspn(x, "\n"), x, (int)strcspn(y, "\n"), y);
	}
	pf_buf_free(&a->text);
	pf_buf_free(&b->text);
}

#endif
