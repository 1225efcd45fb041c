/* SPDX-License-Identifier: Apache-2.0 */
/* Output of the writer: few large writes from many small pieces, and contents from the spool. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "erofs/write_internal.h"

#define WINDOW	   (1u << 20)
#define PIECE	   (256u << 10)
#define ALIGNED(n) ((n) & ~(uint64_t)(PF__EROFS_BLOCK - 1))

_Static_assert(PF__OPEN_BLOCKS *PF__EROFS_BLOCK + PF__OUT_MAX + PF__EROFS_BLOCK <= WINDOW, "window");

int pf__out_open(struct pf__out *o, int fd, uint64_t base, size_t lookback, struct pf_error *err)
{
	uint8_t *buf = calloc(1, WINDOW);

	if (!buf)
		return pf_fail(err, -ENOMEM, "no memory to write an image");
	*o = (struct pf__out){.fd = fd, .buf = buf, .base = base, .lookback = lookback};
	return 0;
}

void pf__out_free(struct pf__out *o)
{
	free(o->buf);
	o->buf = NULL;
}

int pf__write_at(int fd, const uint8_t *p, size_t n, uint64_t pos, struct pf_error *err)
{
	while (n > 0) {
		ssize_t w = pwrite(fd, p, n, (off_t)pos);

		if (w < 0 && errno == EINTR)
			continue;
		if (w == 0)
			errno = ENOSPC;
		if (w <= 0)
			return pf_fail_errno(err, "cannot write the image");
		p += w;
		n -= (size_t)w;
		pos += (uint64_t)w;
	}
	return 0;
}

/* Write what lies before `to` and let the window begin there. */
static int advance(struct pf__out *o, uint64_t to, struct pf_error *err)
{
	uint64_t ahead = to - o->base;
	size_t gone = ahead < o->fill ? (size_t)ahead : o->fill, left = o->fill - gone;
	int r = pf__write_at(o->fd, o->buf, gone, o->base, err);

	if (r < 0)
		return r;
	memmove(o->buf, o->buf + gone, left);
	memset(o->buf + left, 0, gone);
	o->base = to;
	o->fill = left;
	return 0;
}

int pf__out_room(struct pf__out *o, uint64_t pos, size_t n, uint8_t **out, struct pf_error *err)
{
	/* The plan places nothing further back; a write there would be lost. */
	if (pos < o->base || n > PF__OUT_MAX)
		return pf_fail(err, -EIO, "the image's plan is inconsistent at byte %llu",
			       (unsigned long long)pos);
	if (pos - o->base + n > WINDOW) {
		uint64_t to = ALIGNED(pos);
		int r;

		to = to > o->base + o->lookback ? to - o->lookback : o->base;
		r = advance(o, to, err);
		if (r < 0)
			return r;
	}
	if (pos - o->base + n > o->fill)
		o->fill = (size_t)(pos - o->base) + n;
	*out = o->buf + (pos - o->base);
	return 0;
}

int pf__out_flush(struct pf__out *o, struct pf_error *err)
{
	return advance(o, o->base + o->fill, err);
}

static int read_at(int fd, uint8_t *p, size_t n, uint64_t pos, struct pf_error *err)
{
	while (n > 0) {
		ssize_t r = pread(fd, p, n, (off_t)pos);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return pf_fail_errno(err, "cannot read the spool");
		if (r == 0)
			return pf_fail(err, -EIO, "the spool ends before the contents that should be in it");
		p += r;
		n -= (size_t)r;
		pos += (uint64_t)r;
	}
	return 0;
}

/* By read and write: measured on ext4, copy_file_range(2) was no faster for files of any size, and what other
 * file systems could share between spool and image would have to begin at a block in both. */
static int copy_extent(struct pf__out *o, int spool_fd, uint64_t spool, uint64_t n, uint64_t pos,
		       struct pf_error *err)
{
	while (n > 0) {
		size_t part = n < PIECE ? (size_t)n : PIECE;
		uint8_t *to;
		int r = pf__out_room(o, pos, part, &to, err);

		if (r == 0)
			r = read_at(spool_fd, to, part, spool, err);
		if (r < 0)
			return r;
		spool += part;
		pos += part;
		n -= part;
	}
	return 0;
}

int pf__out_content(struct pf__out *o, const struct pf_inode *file, int spool_fd, size_t *extent,
		    uint64_t from, uint64_t n, uint64_t pos, struct pf_error *err)
{
	uint64_t end = from + n;

	for (; *extent < file->extent_count; ++*extent) {
		const struct pf_extent *e = &file->extents[*extent];
		uint64_t first = e->at > from ? e->at : from, last = e->at + e->length;
		int r;

		if (e->at >= end)
			break;
		if (last > end)
			last = end;
		if (first < last) {
			r = copy_extent(o, spool_fd, e->spool + (first - e->at), last - first,
					pos + (first - from), err);
			if (r < 0)
				return r;
		}
		if (e->at + e->length > end)
			break; /* the next range begins in it */
	}
	return 0;
}
