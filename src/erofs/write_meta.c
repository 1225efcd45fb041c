/* SPDX-License-Identifier: Apache-2.0 */
/* The pass over metadata: inodes with attributes, inline tails, chunk tables. */
#include <string.h>
#include <sys/stat.h>

#include "erofs/write_internal.h"

#define TABLE_PIECE (64u << 10)

struct meta {
	struct pf__out out;
	int spool_fd;
	const struct pf__plan *plan;
};

static uint32_t device(const struct pf_inode *i)
{
	return (i->rdev_minor & 0xff) | i->rdev_major << 8 | (i->rdev_minor & ~0xffu) << 12;
}

static uint32_t data_field(const struct pf__place *p)
{
	if (S_ISCHR(p->inode->mode) || S_ISBLK(p->inode->mode))
		return device(p->inode);
	if (p->layout == PF__CHUNKS)
		return p->chunk_bits;
	return p->block;
}

static void put_inode(const struct pf__place *p, uint32_t number, uint64_t size, uint8_t *to)
{
	const struct pf_inode *i = p->inode;
	uint32_t xattrs = pf__xattrs_size(i);
	struct pf__erofs_extended d = {
		.format = htole16((uint16_t)(PF__FORMAT_EXTENDED | p->layout << PF__FORMAT_LAYOUT)),
		.mode = htole16((uint16_t)i->mode),
		.size = htole64(size),
		.data = htole32(data_field(p)),
		.number = htole32(number),
		.uid = htole32(i->uid),
		.gid = htole32(i->gid),
		.time = htole64((uint64_t)i->mtime),
		.time_ns = htole32(i->mtime_ns),
		.links = htole32(i->links),
	};

	if (xattrs)
		d.xattr_count = htole16(
			(uint16_t)((xattrs - sizeof(struct pf__erofs_xattrs)) / sizeof(uint32_t) + 1));
	memcpy(to, &d, sizeof(d));
}

static void put_xattrs(const struct pf_inode *i, uint8_t *to)
{
	to += sizeof(struct pf__erofs_xattrs); /* all zero: nothing shared */
	for (size_t x = 0; x < i->xattr_count; x++) {
		const char *rest = "";
		int prefix = pf__erofs_prefix_of(i->xattrs[x].name, &rest);
		size_t n = strlen(rest);
		struct pf__erofs_xattr d = {
			.name_length = (uint8_t)n,
			.prefix = (uint8_t)prefix,
			.size = htole16((uint16_t)i->xattrs[x].size),
		};

		memcpy(to, &d, sizeof(d));
		memcpy(to + sizeof(d), rest, n);
		memcpy(to + sizeof(d) + n, i->xattrs[x].value, i->xattrs[x].size);
		to += (sizeof(d) + n + i->xattrs[x].size + 3) & ~3ull;
	}
}

/* The last, partial block of a directory. */
static void put_last_names(const struct pf_inode *dir, uint8_t *to)
{
	struct pf__names it = {.dir = dir}, last;

	do
		last = it;
	while (pf__names_skip_block(&it) > 0 && it.next + it.dots < dir->entry_count + 2);
	pf__names_fill_block(&last, to);
}

static int put_tail(struct meta *m, const struct pf_inode *i, uint64_t size, uint64_t pos,
		    struct pf_error *err)
{
	uint64_t tail = size % PF__EROFS_BLOCK;
	size_t extent = 0;
	uint8_t *to;
	int r = pf__out_room(&m->out, pos, tail, &to, err);

	if (r < 0)
		return r;
	if (S_ISDIR(i->mode))
		put_last_names(i, to);
	else if (S_ISLNK(i->mode))
		memcpy(to, i->target, tail);
	else
		return pf__out_content(&m->out, i, m->spool_fd, &extent, size - tail, tail, pos, err);
	return 0;
}

static int put_table(struct meta *m, const struct pf__place *p, uint64_t pos, struct pf_error *err)
{
	struct pf__chunks it = {.file = p->inode, .bits = PF__EROFS_BLOCK_BITS + p->chunk_bits};
	uint64_t number, bytes, done = 0, all = pf__chunk_count(p->inode, it.bits);
	uint32_t block = p->block;
	bool data;

	while (done < all) {
		uint64_t left = (all - done) * sizeof(uint32_t);
		size_t part = left < TABLE_PIECE ? (size_t)left : TABLE_PIECE;
		uint8_t *to;
		int r = pf__out_room(&m->out, pos + done * sizeof(uint32_t), part, &to, err);

		if (r < 0)
			return r;
		for (size_t n = 0;
		     n < part / sizeof(uint32_t) && pf__chunks_next(&it, &number, &bytes, &data); n++) {
			uint32_t at = htole32(data ? block : PF__NO_BLOCK);

			memcpy(to + n * sizeof(at), &at, sizeof(at));
			if (data)
				block += (uint32_t)((bytes + PF__EROFS_BLOCK - 1) >> PF__EROFS_BLOCK_BITS);
		}
		done += part / sizeof(uint32_t);
	}
	return 0;
}

static int put_place(struct meta *m, size_t number, struct pf_error *err)
{
	const struct pf__place *p = &m->plan->places[number];
	const struct pf_inode *i = p->inode;
	uint64_t pos = i->nid * PF__EROFS_SLOT, size = S_ISDIR(i->mode) ? pf__dir_size(i) : i->size;
	size_t header = sizeof(struct pf__erofs_extended) + pf__xattrs_size(i);
	uint8_t *to;
	int r = pf__out_room(&m->out, pos, header, &to, err);

	if (r < 0)
		return r;
	put_inode(p, (uint32_t)number + 1, size, to);
	if (i->xattr_count)
		put_xattrs(i, to + sizeof(struct pf__erofs_extended));
	if (p->layout == PF__FLAT_INLINE)
		return put_tail(m, i, size, pos + header, err);
	if (p->layout == PF__CHUNKS)
		return put_table(m, p, pos + header, err);
	return 0;
}

int pf__write_meta(const struct pf__plan *p, int spool_fd, int out_fd, struct pf_error *err)
{
	struct meta m = {.spool_fd = spool_fd, .plan = p};
	int r = pf__out_open(&m.out, out_fd, PF__EROFS_BLOCK, PF__OPEN_BLOCKS * PF__EROFS_BLOCK, err);

	for (size_t i = 0; r == 0 && i < p->count; i++)
		r = put_place(&m, i, err);
	if (r == 0)
		r = pf__out_flush(&m.out, err);
	pf__out_free(&m.out);
	return r;
}
