/* SPDX-License-Identifier: Apache-2.0 */
/* Where the contents of a sparse file belong: the maps of GNU tar's four ways to write them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/import/tar.h"

enum { /* of the old format, in the header and in the blocks that follow it */
       FIELD = 12,
       HEADER_MAP = 386,
       HEADER_PARTS = 4,
       HEADER_MORE = 482,
       HEADER_SIZE = 483,
       BLOCK_PARTS = 21,
       BLOCK_MORE = 504,
};

int pf__tar_map_add(struct pf_extent **map, size_t *count, size_t *cap, uint64_t at, uint64_t n,
		    struct pf_error *err)
{
	if (*count == PF__TAR_MAP_MAX)
		return pf_fail(err, -E2BIG, "a sparse file has more than %u parts", PF__TAR_MAP_MAX);
	if (*count == *cap) {
		size_t more = *cap ? *cap * 2 : 16;
		void *p = reallocarray(*map, more, sizeof(**map));

		if (!p)
			return pf_fail(err, -ENOMEM, "out of memory");
		*map = p;
		*cap = more;
	}
	(*map)[(*count)++] = (struct pf_extent){.at = at, .length = n};
	return 0;
}

static int add(struct pf__tar *t, uint64_t at, uint64_t n, struct pf_error *err)
{
	return pf__tar_map_add(&t->map, &t->map_count, &t->map_cap, at, n, err);
}

/* Ascending, not overlapping, within the file, and as long in all as what follows. */
static int check(const struct pf__tar *t, struct pf_error *err)
{
	uint64_t end = 0, sum = 0;

	for (size_t i = 0; i < t->map_count; i++) {
		const struct pf_extent *e = &t->map[i];

		if (e->at < end || __builtin_add_overflow(e->at, e->length, &end) || end > t->entry.size)
			return pf_fail(err, -EINVAL, "its parts overlap, or lie outside of it");
		sum += e->length;
	}
	if (sum != t->data)
		return pf_fail(err, -EINVAL, "its parts are not as long as its contents");
	return 0;
}

static int old_parts(struct pf__tar *t, const uint8_t *p, int parts, struct pf_error *err)
{
	for (int i = 0; i < parts; i++, p += 2 * FIELD) {
		int64_t at, n;
		int r;

		if (p[0] == '\0' && p[FIELD] == '\0')
			return 0;
		if (pf__tar_number(p, FIELD, &at) || pf__tar_number(p + FIELD, FIELD, &n) || at < 0 || n < 0)
			return pf_fail(err, -EINVAL, "its map has a number that cannot be");
		r = add(t, (uint64_t)at, (uint64_t)n, err);
		if (r)
			return r;
	}
	return 0;
}

int pf__tar_sparse_old(struct pf__tar *t, const uint8_t header[PF__TAR_BLOCK], struct pf_error *err)
{
	uint8_t block[PF__TAR_BLOCK];
	int64_t size;
	int r = old_parts(t, header + HEADER_MAP, HEADER_PARTS, err), more = header[HEADER_MORE];

	if (r == 0 && (pf__tar_number(header + HEADER_SIZE, FIELD, &size) || size < 0))
		r = pf_fail(err, -EINVAL, "its size is no number that can be");
	while (r == 0 && more) {
		r = pf__tar_block(t, block, err);
		if (r == 0)
			r = pf_fail(err, -EINVAL, "the archive is cut off");
		r = r > 0 ? old_parts(t, block, BLOCK_PARTS, err) : r;
		more = block[BLOCK_MORE];
	}
	if (r)
		return r;
	t->entry.size = (uint64_t)size;
	return check(t, err);
}

static int text_map(struct pf__tar *t, struct pf__bytes text, struct pf_error *err)
{
	const char *p = text.p, *end = p + text.n;
	uint64_t at, n;
	int r = 0;

	while (p < end && r == 0) {
		if (!pf__tar_decimal(&p, end, &at) || p == end || *p++ != ',' ||
		    !pf__tar_decimal(&p, end, &n) || (p < end && (*p++ != ',' || p == end)))
			return pf_fail(err, -EINVAL, "its map has a number that cannot be");
		r = add(t, at, n, err);
	}
	return r;
}

/* One decimal number and its newline from the blocks in front of the contents. */
static int number_line(struct pf__tar *t, uint8_t block[PF__TAR_BLOCK], size_t *at, uint64_t *out,
		       struct pf_error *err)
{
	uint64_t v = 0;

	for (int digits = 0;; digits++) {
		int c, r;

		if (*at == PF__TAR_BLOCK) {
			if (t->data < PF__TAR_BLOCK)
				return pf_fail(err, -EINVAL, "its map does not end");
			r = pf__tar_block(t, block, err);
			if (r <= 0)
				return r ? r : pf_fail(err, -EINVAL, "the archive is cut off");
			t->data -= PF__TAR_BLOCK;
			*at = 0;
		}
		c = block[(*at)++];
		if (c == '\n' && digits) {
			*out = v;
			return 0;
		}
		if (c < '0' || c > '9' || digits == 19)
			return pf_fail(err, -EINVAL, "its map has a number that cannot be");
		v = v * 10 + (uint64_t)(c - '0');
	}
}

static int leading_map(struct pf__tar *t, struct pf_error *err)
{
	uint8_t block[PF__TAR_BLOCK];
	size_t at = PF__TAR_BLOCK;
	uint64_t parts, offset, n;
	int r = number_line(t, block, &at, &parts, err);

	for (uint64_t i = 0; i < parts && r == 0; i++) {
		r = number_line(t, block, &at, &offset, err);
		if (r == 0)
			r = number_line(t, block, &at, &n, err);
		if (r == 0)
			r = add(t, offset, n, err);
	}
	return r;
}

int pf__tar_sparse_pax(struct pf__tar *t, struct pf_error *err)
{
	const struct pf__tar_pax *x = &t->pax;
	int r = 0;

	if (!x->has_sparse_size)
		return pf_fail(err, -EINVAL, "it is sparse and has no size");
	t->entry.size = x->sparse_size;
	if (x->sparse_major == 1 && x->sparse_minor == 0)
		r = leading_map(t, err);
	else if (x->sparse_major != 0)
		return pf_fail(err, -EINVAL, "it is sparse in a format of version %llu.%llu",
			       (unsigned long long)x->sparse_major, (unsigned long long)x->sparse_minor);
	else if (x->sparse_map.p)
		r = text_map(t, x->sparse_map, err);
	else
		for (size_t i = 0; i < x->map_count && r == 0; i++)
			r = add(t, x->map[i].at, x->map[i].length, err);
	return r ? r : check(t, err);
}
