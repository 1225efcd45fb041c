/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an EROFS image: refused in words, or read to the end within its bounds. The first byte chooses
 * what the rest is: metadata behind a superblock that is right, or changes to one of some images that are
 * made here (so no corpus is kept): 16 bits of place, one of length, then the bytes.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "erofs/format.h"
#include "erofs/read.h"
#include "erofs/tree.h"
#include "erofs/write.h"

#define IMAGE_MAX (64u << 10)
#define BASES	  3
#define RUNS_MAX  20000u /* a table of holes is long, and says nothing new */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	uint8_t *data;
	size_t size;
} bases[BASES];

static volatile uint8_t seen; /* so that what is read is really read */

static void must(int r)
{
	if (r < 0)
		abort();
}

static void put(struct pf_tree *t, const char *path, struct pf_inode what)
{
	must(pf_tree_put(t, path, &what, NULL, NULL));
}

static void small_tree(struct pf_tree *t)
{
	struct pf_xattr x[] = {{(char[]){"user.a"}, (char[]){"value"}, 5},
			       {(char[]){"security.capability"}, (char[]){"\1\0\0\2"}, 4}};
	struct pf_extent whole = {0, 5000, 0}, far = {1 << 20, 9, 7};

	put(t, "dir/file",
	    (struct pf_inode){.mode = S_IFREG | 0644, .size = 5000, .extents = &whole, .extent_count = 1});
	put(t, "dir/sparse",
	    (struct pf_inode){.mode = S_IFREG, .size = 3 << 20, .extents = &far, .extent_count = 1});
	put(t, "dir/x",
	    (struct pf_inode){.mode = S_IFREG | 04755, .mtime = -5, .xattrs = x, .xattr_count = 2});
	put(t, "link", (struct pf_inode){.mode = S_IFLNK | 0777, .target = (char[]){"dir/file"}});
	put(t, "null", (struct pf_inode){.mode = S_IFCHR | 0666, .rdev_major = 1, .rdev_minor = 3});
	must(pf_tree_link(t, "hard", "dir/file", NULL));
}

static void many_names(struct pf_tree *t)
{
	char path[300];

	for (int i = 0; i < 400; i++) {
		snprintf(path, sizeof(path), "d/%d%.*s", i, i % 20, "xxxxxxxxxxxxxxxxxxxxxx");
		put(t, path, (struct pf_inode){.mode = i % 7 ? S_IFIFO : S_IFDIR});
	}
}

static void deep(struct pf_tree *t)
{
	char path[600] = "d";

	for (int i = 0; i < 255; i++)
		strcat(path, "/d");
	put(t, path, (struct pf_inode){.mode = S_IFDIR});
}

static void make_base(size_t number, void (*fill)(struct pf_tree *t))
{
	int spool = memfd_create("spool", 0), out = memfd_create("out", 0);
	struct pf_tree *t;
	uint64_t size;

	must(spool);
	must(out);
	must(ftruncate(spool, 5000));
	must(pf_tree_new(&t, NULL));
	fill(t);
	must(pf_tree_sort(t, NULL));
	must(pf_erofs_write(t, spool, out, &size, NULL));
	bases[number].size = size;
	bases[number].data = malloc(size);
	if (!bases[number].data || pread(out, bases[number].data, size, 0) != (ssize_t)size)
		abort();
	pf_tree_free(t);
	close(spool);
	close(out);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	make_base(0, small_tree);
	make_base(1, many_names);
	make_base(2, deep);
	return 0;
}

static void seal(uint8_t *image)
{
	uint32_t sum = htole32(pf__erofs_checksum(image));

	memcpy(image + PF__EROFS_SUPER + offsetof(struct pf__erofs_super, checksum), &sum, sizeof(sum));
}

/* The input as an image of malloc()'s, so that a byte too far is seen. */
static uint8_t *make_image(uint8_t kind, const uint8_t *data, size_t size, size_t *image_size)
{
	size_t base = kind % (BASES + 1);
	uint8_t *image;

	if (base == BASES) { /* metadata */
		struct pf__erofs_super s = {.magic = htole32(PF__EROFS_MAGIC),
					    .block_bits = PF__EROFS_BLOCK_BITS,
					    .root = htole16(128),
					    .xattr_block = htole32(1)};

		*image_size = PF__EROFS_BLOCK + size;
		image = calloc(1, *image_size);
		memcpy(image + PF__EROFS_SUPER, &s, sizeof(s));
		memcpy(image + PF__EROFS_BLOCK, data, size);
		return image;
	}
	*image_size = bases[base].size;
	image = malloc(*image_size);
	memcpy(image, bases[base].data, *image_size);
	while (size >= 3) {
		size_t at = data[0] | (size_t)data[1] << 8, n = data[2] % 32;

		data += 3;
		size -= 3;
		if (n > size)
			n = size;
		at = (at * 2 + PF__EROFS_SUPER) % *image_size;
		if (n > *image_size - at)
			n = *image_size - at;
		memcpy(image + at, data, n);
		data += n;
		size -= n;
	}
	seal(image);
	return image;
}

struct reader {
	const struct pf_erofs *fs;
	const struct pf_erofs_inode *dir;
	struct pf_error err;
	uint64_t runs;
};

static int see_xattr(void *user, const char *name, const void *value, uint32_t size)
{

	(void)user;
	if (strlen(name) < 6)
		abort();
	for (uint32_t i = 0; i < size; i++)
		seen ^= ((const uint8_t *)value)[i];
	return 0;
}

/* What is listed in order is found. */
static int look_up(void *user, const char *name, size_t n, uint64_t nid, uint8_t type)
{
	struct reader *r = user;
	uint64_t found = ~nid;

	(void)type;
	if (n == 0 || n > 255 || memchr(name, '/', n) || memchr(name, 0, n))
		abort();
	if (pf_erofs_lookup(r->fs, r->dir, name, n, &found, NULL) < 0 || found != nid)
		abort();
	return 0;
}

static int in_order(void *user, const char *name, size_t n, uint64_t nid, uint8_t type)
{
	(void)user;
	(void)name;
	(void)n;
	(void)nid;
	(void)type;
	return 0;
}

static int read_content(struct reader *r, const struct pf_erofs_inode *i)
{
	uint64_t offset = 0;
	char some[100];

	while (offset < i->size && r->runs++ < RUNS_MAX) {
		const uint8_t *at;
		uint64_t n;
		int code = pf_erofs_run(r->fs, i, offset, &at, &n, &r->err);

		if (code < 0)
			return code;
		if (n == 0 || n > i->size - offset)
			abort();
		for (uint64_t k = 0; at && k < n; k += 256)
			seen ^= at[k];
		if (at)
			seen ^= at[n - 1];
		offset += n;
	}
	if (pf_erofs_pread(r->fs, i, some, sizeof(some), i->size / 2, &r->err) < 0)
		return r->err.code;
	return 0;
}

static int step(void *user, const struct pf_erofs_visit *v)
{
	struct reader *r = user;
	uint64_t nid;
	int code;

	if (strlen(v->path) > PF_TREE_PATH_MAX || v->depth > PF_TREE_DEPTH_MAX + 1)
		abort();
	code = pf_erofs_xattrs(r->fs, v->inode, see_xattr, NULL, &r->err);
	if (pf_erofs_lookup(r->fs, v->inode, "m", 1, &nid, NULL) > 0)
		abort();
	if (code == 0 && S_ISDIR(v->inode->mode)) {
		r->dir = v->inode;
		/* The walk lists it as well, and ends where it is out of order. */
		if (pf_erofs_list(r->fs, v->inode, in_order, NULL, NULL) == 0)
			code = pf_erofs_list(r->fs, v->inode, look_up, r, &r->err);
	} else if (code == 0 && (S_ISREG(v->inode->mode) || S_ISLNK(v->inode->mode))) {
		code = read_content(r, v->inode);
	}
	return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = {0};
	struct pf_erofs fs;
	uint8_t *image;
	size_t n;
	int code;

	if (size < 1 || size > IMAGE_MAX)
		return 0;
	image = make_image(data[0], data + 1, size - 1, &n);
	r.fs = &fs;
	code = pf_erofs_open(&fs, image, n, &r.err);
	if (code == 0)
		code = pf_erofs_walk(&fs, step, NULL, &r, &r.err);
	if (code > 0 || (code < 0 && (code != r.err.code || !*r.err.msg)))
		abort();
	free(image);
	return 0;
}
