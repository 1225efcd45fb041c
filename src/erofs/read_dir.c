/* SPDX-License-Identifier: Apache-2.0 */
/* Directories: blocks of sorted entries, searched and listed without a copy. */
#include <errno.h>
#include <string.h>

#include "erofs/read_internal.h"

#define ENTRY sizeof(struct pf__erofs_dirent)

struct block {
	const uint8_t *at;
	uint32_t length, count;
};

struct name {
	const char *at;
	uint32_t length;
	uint64_t nid;
	uint8_t type;
};

static struct pf__erofs_dirent raw(const struct block *b, uint32_t k)
{
	struct pf__erofs_dirent d;

	memcpy(&d, b->at + k * ENTRY, ENTRY);
	return d;
}

static uint64_t block_count(const struct pf_erofs_inode *dir)
{
	return (dir->size + PF__EROFS_BLOCK - 1) >> PF__EROFS_BLOCK_BITS;
}

static int get_block(const struct pf_erofs *fs, const struct pf_erofs_inode *dir, uint64_t number,
		     struct block *b, struct pf_error *err)
{
	uint64_t length;
	uint32_t first;
	int r = pf_erofs_run(fs, dir, number << PF__EROFS_BLOCK_BITS, &b->at, &length, err);

	if (r < 0)
		return r;
	b->length = length < PF__EROFS_BLOCK ? (uint32_t)length : PF__EROFS_BLOCK;
	if (b->length < ENTRY)
		return pf__damaged(err, dir->nid, "a directory block too short for an entry");
	/* Names follow the entries, so where they begin tells how many entries there are. */
	first = le16toh(raw(b, 0).name);
	if (first < ENTRY || first % ENTRY || first >= b->length)
		return pf__damaged(err, dir->nid, "a directory block that begins with no entry");
	b->count = first / ENTRY;
	return 0;
}

static int get_name(const struct pf_erofs_inode *dir, const struct block *b, uint32_t k, struct name *out,
		    struct pf_error *err)
{
	struct pf__erofs_dirent d = raw(b, k);
	uint32_t from = le16toh(d.name), to = b->length;
	struct name n = {.nid = le64toh(d.nid), .type = d.type};

	if (k + 1 < b->count)
		to = le16toh(raw(b, k + 1).name);
	if (from < b->count * ENTRY || from >= to || to > b->length)
		return pf__damaged(err, dir->nid, "a name outside of its block");
	n.at = (const char *)b->at + from;
	n.length = to - from;
	if (k + 1 == b->count)
		n.length = (uint32_t)strnlen(n.at, n.length); /* the last is padded */
	if (n.length == 0 || n.length > PF__EROFS_NAME_MAX || memchr(n.at, '/', n.length) ||
	    memchr(n.at, '\0', n.length))
		return pf__damaged(err, dir->nid, "a name that is none");
	*out = n;
	return 0;
}

static int compare(const char *a, size_t n, const struct name *b)
{
	int r = memcmp(a, b->at, n < b->length ? n : b->length);

	return r ? r : (n > b->length) - (n < b->length);
}

/* The block that the name is in if it is in any: the last whose first name is not greater. */
static int find_block(const struct pf_erofs *fs, const struct pf_erofs_inode *dir, const char *name, size_t n,
		      struct block *out, struct pf_error *err)
{
	uint64_t low = 0, high = block_count(dir);
	bool found = false;

	while (low < high) {
		uint64_t mid = low + (high - low) / 2;
		struct block b;
		struct name first;
		int r = get_block(fs, dir, mid, &b, err);

		if (r == 0)
			r = get_name(dir, &b, 0, &first, err);
		if (r < 0)
			return r;
		if (compare(name, n, &first) < 0) {
			high = mid;
			continue;
		}
		*out = b;
		found = true;
		low = mid + 1;
	}
	return found ? 0 : -ENOENT;
}

static int no_such_name(struct pf_error *err)
{
	return pf_fail(err, -ENOENT, "no such name in the image");
}

int pf_erofs_lookup(const struct pf_erofs *fs, const struct pf_erofs_inode *dir, const char *name, size_t n,
		    uint64_t *nid, struct pf_error *err)
{
	uint32_t low = 0, high;
	struct block b;
	int r;

	if (!S_ISDIR(dir->mode))
		return pf_fail(err, -ENOTDIR, "not a directory of the image");
	r = find_block(fs, dir, name, n, &b, err);
	if (r < 0)
		return r == -ENOENT ? no_such_name(err) : r;
	high = b.count;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		struct name found;
		int order;

		r = get_name(dir, &b, mid, &found, err);
		if (r < 0)
			return r;
		order = compare(name, n, &found);
		if (order == 0) {
			*nid = found.nid;
			return 0;
		}
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return no_such_name(err);
}

static bool is_dots(const struct name *n)
{
	return n->at[0] == '.' && (n->length == 1 || (n->length == 2 && n->at[1] == '.'));
}

int pf_erofs_list(const struct pf_erofs *fs, const struct pf_erofs_inode *dir,
		  int (*each)(void *user, const char *name, size_t n, uint64_t nid, uint8_t type), void *user,
		  struct pf_error *err)
{
	struct name last = {0}, n;
	uint64_t blocks = block_count(dir);

	if (!S_ISDIR(dir->mode))
		return pf_fail(err, -ENOTDIR, "not a directory of the image");
	for (uint64_t number = 0; number < blocks; number++) {
		struct block b;
		int r = get_block(fs, dir, number, &b, err);

		for (uint32_t k = 0; r == 0 && k < b.count; k++) {
			r = get_name(dir, &b, k, &n, err);
			if (r < 0)
				break;
			/* Lookups rely on the order; and a name that came twice would be two files. */
			if (last.at && compare(last.at, last.length, &n) >= 0)
				return pf__damaged(err, dir->nid, "names out of order");
			last = n;
			if (!is_dots(&n))
				r = each(user, n.at, n.length, n.nid, n.type);
		}
		if (r != 0)
			return r;
	}
	return 0;
}
