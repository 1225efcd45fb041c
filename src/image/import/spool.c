/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contents of files. The spool is one file without a name to which everything is appended; a tree names parts
 * of it. A sink takes one file's bytes and decides what is a hole (PF__HOLE_MIN): by content alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/import/import_internal.h"

#define SPOOL_BUF (1u << 20)

static const uint8_t zero[PF__BLOCK];

int pf__spool_open(struct pf__spool *s, int fd, struct pf__budget *budget, struct pf_error *err)
{
	uint8_t *buf = malloc(SPOOL_BUF);

	if (!buf)
		return pf_fail(err, -ENOMEM, "out of memory");
	*s = (struct pf__spool){.fd = fd, .budget = budget, .buf = buf};
	return 0;
}

void pf__spool_close(struct pf__spool *s)
{
	free(s->buf);
	s->buf = NULL;
}

static int write_out(struct pf__spool *s, const uint8_t *p, size_t n, struct pf_error *err)
{
	while (n) {
		ssize_t r = pwrite(s->fd, p, n, (off_t)s->written);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return pf_fail_errno(err, "cannot unpack into the image store");
		p += r;
		n -= (size_t)r;
		s->written += (uint64_t)r;
	}
	return 0;
}

int pf__spool_flush(struct pf__spool *s, struct pf_error *err)
{
	int r = write_out(s, s->buf, s->used, err);

	if (r == 0)
		s->used = 0;
	return r;
}

static int spool_add(struct pf__spool *s, const uint8_t *p, size_t n, struct pf_error *err)
{
	int r = pf__budget_stored(s->budget, n, err);

	if (r == 0 && n > SPOOL_BUF - s->used)
		r = pf__spool_flush(s, err);
	if (r == 0 && n >= SPOOL_BUF)
		return write_out(s, p, n, err);
	if (r == 0) {
		memcpy(s->buf + s->used, p, n);
		s->used += n;
	}
	return r;
}

/* Bytes of the file at `at` go to the end of the spool. */
static int append(struct pf__sink *k, uint64_t at, const uint8_t *p, size_t n, struct pf_error *err)
{
	uint64_t spool = k->spool->written + k->spool->used;
	struct pf_extent *last = k->count ? &k->extents[k->count - 1] : NULL;

	if (!last || last->at + last->length != at || last->spool + last->length != spool) {
		if (k->count == k->cap) {
			size_t cap = k->cap ? k->cap * 2 : 1;
			void *more = reallocarray(k->extents, cap, sizeof(*k->extents));

			if (!more)
				return pf_fail(err, -ENOMEM, "out of memory");
			k->extents = more;
			k->cap = cap;
		}
		last = &k->extents[k->count++];
		*last = (struct pf_extent){.at = at, .spool = spool};
	}
	last->length += n;
	return spool_add(k->spool, p, n, err);
}

/* The zeros before `at` are no hole, or one. */
static int settle(struct pf__sink *k, struct pf_error *err)
{
	int r = 0;

	while (k->zeros && k->zeros < PF__HOLE_MIN && r == 0) {
		size_t n = k->zeros < PF__BLOCK ? (size_t)k->zeros : PF__BLOCK;

		r = append(k, k->at - k->zeros, zero, n, err);
		k->zeros -= n;
	}
	k->zeros = 0;
	return r;
}

static bool is_zero(const uint8_t *p, size_t n)
{
	return p[0] == 0 && memcmp(p, zero, n) == 0;
}

/* Whole blocks at `at`, which is a multiple of the block. */
static int blocks(struct pf__sink *k, const uint8_t *p, size_t n, struct pf_error *err)
{
	while (n) {
		size_t run = 0;
		int r;

		if (is_zero(p, PF__BLOCK)) {
			k->zeros += PF__BLOCK;
			k->at += PF__BLOCK;
			p += PF__BLOCK;
			n -= PF__BLOCK;
			continue;
		}
		while (run < n && !is_zero(p + run, PF__BLOCK))
			run += PF__BLOCK;
		r = settle(k, err);
		if (r == 0)
			r = append(k, k->at, p, run, err);
		if (r)
			return r;
		k->at += run;
		p += run;
		n -= run;
	}
	return 0;
}

static int fill_block(struct pf__sink *k, const uint8_t *p, size_t n, struct pf_error *err)
{
	if (p)
		memcpy(k->block + k->partial, p, n);
	else
		memset(k->block + k->partial, 0, n);
	k->partial += n;
	if (k->partial < PF__BLOCK)
		return 0;
	k->partial = 0;
	return blocks(k, k->block, PF__BLOCK, err);
}

static int skip(struct pf__sink *k, uint64_t n, struct pf_error *err)
{
	int r = 0;

	if (k->partial) {
		size_t part = n < PF__BLOCK - k->partial ? (size_t)n : PF__BLOCK - k->partial;

		r = fill_block(k, NULL, part, err);
		n -= part;
	}
	if (r)
		return r;
	k->zeros += n / PF__BLOCK * PF__BLOCK;
	k->at += n / PF__BLOCK * PF__BLOCK;
	return n % PF__BLOCK ? fill_block(k, NULL, n % PF__BLOCK, err) : 0;
}

void pf__sink_begin(struct pf__sink *k, struct pf__spool *s, uint64_t size)
{
	/* Not the block: it is filled before it is read, and begin is called for every file. */
	k->spool = s;
	k->size = size;
	k->at = k->zeros = 0;
	k->partial = k->count = k->cap = 0;
	k->extents = NULL;
}

int pf__sink_add(struct pf__sink *k, uint64_t offset, const void *p, size_t n, struct pf_error *err)
{
	uint64_t have = k->at + k->partial;
	const uint8_t *from = p;
	int r = 0;

	if (offset < have || offset > k->size || n > k->size - offset)
		return pf_fail(err, -EINVAL, "contents at byte %llu do not belong there",
			       (unsigned long long)offset);
	if (offset > have)
		r = skip(k, offset - have, err);
	if (r == 0 && k->partial) {
		size_t part = n < PF__BLOCK - k->partial ? n : PF__BLOCK - k->partial;

		r = fill_block(k, from, part, err);
		from += part;
		n -= part;
	}
	if (r == 0 && n >= PF__BLOCK)
		r = blocks(k, from, n / PF__BLOCK * PF__BLOCK, err);
	from += n / PF__BLOCK * PF__BLOCK;
	n %= PF__BLOCK;
	if (r == 0 && n)
		r = fill_block(k, from, n, err);
	return r;
}

int pf__sink_end(struct pf__sink *k, struct pf_error *err)
{
	int r = 0;

	if (k->size > k->at + k->partial)
		r = skip(k, k->size - k->at - k->partial, err);
	if (r)
		return r;
	/* A tail of zeros goes with the zeros before it; any other is data. */
	if (k->partial && is_zero(k->block, k->partial)) {
		k->zeros += k->partial;
		k->at += k->partial;
		return settle(k, err);
	}
	r = settle(k, err);
	if (r == 0 && k->partial)
		r = append(k, k->at, k->block, k->partial, err);
	k->at += k->partial;
	k->partial = 0;
	return r;
}
