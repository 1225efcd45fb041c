/* SPDX-License-Identifier: Apache-2.0 */
/* The passes over whole blocks: first of directories, then of everything else. */
#include <string.h>
#include <sys/stat.h>

#include "erofs/write_internal.h"

static int put_dir(struct pf__out *o, const struct pf__place *p, struct pf_error *err)
{
	uint64_t pos = (uint64_t)p->block * PF__EROFS_BLOCK, size = pf__dir_size(p->inode);
	uint64_t end = pos + (p->layout == PF__FLAT_INLINE ? size - size % PF__EROFS_BLOCK : size);
	struct pf__names it = {.dir = p->inode};

	for (; pos < end; pos += PF__EROFS_BLOCK) {
		uint8_t *to;
		int r = pf__out_room(o, pos, PF__EROFS_BLOCK, &to, err);

		if (r < 0)
			return r;
		pf__names_fill_block(&it, to);
	}
	return 0;
}

static int put_chunks(struct pf__out *o, const struct pf__place *p, int spool_fd, struct pf_error *err)
{
	struct pf__chunks it = {.file = p->inode, .bits = PF__EROFS_BLOCK_BITS + p->chunk_bits};
	uint64_t number, bytes, pos = (uint64_t)p->block * PF__EROFS_BLOCK;
	size_t extent = 0;
	bool data;

	while (pf__chunks_next(&it, &number, &bytes, &data)) {
		int r;

		if (!data)
			continue;
		r = pf__out_content(o, p->inode, spool_fd, &extent, number << it.bits, bytes, pos, err);
		if (r < 0)
			return r;
		pos += (bytes + PF__EROFS_BLOCK - 1) & ~(uint64_t)(PF__EROFS_BLOCK - 1);
	}
	return 0;
}

static int put_file(struct pf__out *o, const struct pf__place *p, int spool_fd, struct pf_error *err)
{
	uint64_t pos = (uint64_t)p->block * PF__EROFS_BLOCK, size = p->inode->size;
	size_t extent = 0;
	uint8_t *to;
	int r;

	if (p->layout == PF__CHUNKS)
		return put_chunks(o, p, spool_fd, err);
	if (p->layout == PF__FLAT_INLINE)
		size -= size % PF__EROFS_BLOCK;
	if (size == 0)
		return 0;
	if (!S_ISLNK(p->inode->mode))
		return pf__out_content(o, p->inode, spool_fd, &extent, 0, size, pos, err);
	r = pf__out_room(o, pos, size, &to, err);
	if (r == 0)
		memcpy(to, p->inode->target, size);
	return r;
}

int pf__write_blocks(const struct pf__plan *p, int spool_fd, int out_fd, struct pf_error *err)
{
	struct pf__out out = {0};
	int r = pf__out_open(&out, out_fd, p->meta_end * PF__EROFS_BLOCK, 0, err);

	for (size_t i = 0; r == 0 && i < p->count; i++) {
		if (S_ISDIR(p->places[i].inode->mode))
			r = put_dir(&out, &p->places[i], err);
	}
	for (size_t i = 0; r == 0 && i < p->count; i++) {
		if (!S_ISDIR(p->places[i].inode->mode))
			r = put_file(&out, &p->places[i], spool_fd, err);
	}
	if (r == 0)
		r = pf__out_flush(&out, err);
	pf__out_free(&out);
	return r;
}
