/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a row of changes to a tree: what it refuses leaves it whole, and what it became is written as
 * an image that is read again, file for file. Each change is a byte of kind, one of length, and so many bytes
 * of path; links have a second path behind an '='.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "erofs/read.h"
#include "erofs/tree.h"
#include "erofs/write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int r, const struct pf_error *err)
{
	if (r > 0 || (r < 0 && (err->code != r || !*err->msg)))
		abort();
}

static void change(struct pf_tree *t, uint8_t kind, const char *path, const char *second)
{
	static const mode_t types[] = {S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO};
	struct pf_error err = {0};
	struct pf_extent e = {(uint64_t)kind << 9, 3, 0};
	struct pf_inode what = {.mode = types[kind / 8 % 4] | 0755, .uid = kind, .mtime = kind};
	struct pf_inode *out = NULL;
	int r;

	switch (kind % 8) {
	case 0:
		check(pf_tree_remove(t, path, &err), &err);
		break;
	case 1:
		check(pf_tree_clear(t, path, &err), &err);
		break;
	case 2:
		check(pf_tree_link(t, path, second, &err), &err);
		break;
	default:
		if (S_ISREG(what.mode)) {
			what.size = e.at + 3;
			what.extents = &e;
			what.extent_count = 1;
		}
		if (S_ISLNK(what.mode))
			what.target = (char *)(uintptr_t)second;
		r = pf_tree_put(t, path, &what, &out, &err);
		check(r, &err);
		if (r == 0 && (!out || out->mode != what.mode || pf_tree_find(t, path) != out))
			abort();
	}
}

struct count {
	uint64_t paths, links;
	struct pf_buf *list;
};

static int count_tree(void *user, const char *path, struct pf_inode *i)
{
	struct count *c = user;

	c->paths++;
	c->links += !S_ISDIR(i->mode) && i->links > 1;
	pf_buf_addf(c->list, "%s %o %u %llu %u\n", path, i->mode, i->uid, (unsigned long long)i->size,
		    i->links);
	return 0;
}

static int count_image(void *user, const struct pf_erofs_visit *v)
{
	struct count *c = user;
	const struct pf_erofs_inode *i = v->inode;

	c->paths++;
	c->links += !S_ISDIR(i->mode) && i->links > 1;
	pf_buf_addf(c->list, "%s %o %u %llu %u\n", v->path, i->mode, i->uid,
		    (unsigned long long)(S_ISDIR(i->mode) ? 0 : i->size), i->links);
	return 0;
}

static void round_trip(struct pf_tree *t)
{
	static int spool = -1;
	int out = memfd_create("out", MFD_CLOEXEC);
	struct pf_buf a = {0}, b = {0};
	struct count in_tree = {.list = &a}, in_image = {.list = &b};
	struct pf_error err = {0};
	struct pf_erofs fs;
	uint64_t size;
	void *image;

	if (spool < 0)
		spool = memfd_create("spool", MFD_CLOEXEC);
	if (out < 0 || spool < 0 || pwrite(spool, "abc", 3, 0) != 3)
		abort();
	if (pf_tree_sort(t, &err) < 0 || pf_erofs_write(t, spool, out, &size, &err) < 0)
		abort();
	image = mmap(NULL, size, PROT_READ, MAP_PRIVATE, out, 0);
	if (image == MAP_FAILED || pf_erofs_open(&fs, image, size, &err) < 0)
		abort();
	if (pf_tree_walk(t, count_tree, &in_tree, &err) != 0 ||
	    pf_erofs_walk(&fs, count_image, NULL, &in_image, &err) != 0)
		abort();
	if (in_tree.paths != in_image.paths || in_tree.links != in_image.links ||
	    fs.inodes != pf_tree_inodes(t) || strcmp(a.data, b.data) != 0)
		abort();
	munmap(image, size);
	close(out);
	pf_buf_free(&a);
	pf_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pf_error err = {0};
	struct pf_tree *t;

	if (pf_tree_new(&t, &err) < 0)
		abort();
	while (size >= 2) {
		uint8_t kind = data[0];
		size_t n = data[1] < size - 2 ? data[1] : size - 2;
		char path[256], *second;

		memcpy(path, data + 2, n);
		path[n] = '\0';
		second = strchr(path, '=');
		if (second)
			*second++ = '\0';
		change(t, kind, path, second ? second : "a");
		data += 2 + n;
		size -= 2 + n;
	}
	round_trip(t);
	pf_tree_free(t);
	return 0;
}
