/* SPDX-License-Identifier: Apache-2.0 */
/* Files with holes: which chunks have data, and how large a chunk should be. */
#include "erofs/write_internal.h"

#define TABLE_MAX (1ull << 28) /* entries; larger chunks are there for larger files */

static uint64_t round_up(uint64_t n)
{
	return (n + PF__EROFS_BLOCK - 1) & ~(uint64_t)(PF__EROFS_BLOCK - 1);
}

uint64_t pf__chunk_count(const struct pf_inode *file, unsigned bits)
{
	return file->size ? ((file->size - 1) >> bits) + 1 : 0;
}

bool pf__chunks_next(struct pf__chunks *it, uint64_t *number, uint64_t *bytes, bool *data)
{
	const struct pf_inode *f = it->file;
	uint64_t start = it->next << it->bits, left;

	if (it->next >= pf__chunk_count(f, it->bits))
		return false;
	left = f->size - start;
	*number = it->next++;
	*bytes = left < 1ull << it->bits ? left : 1ull << it->bits;
	while (it->extent < f->extent_count &&
	       f->extents[it->extent].at + f->extents[it->extent].length <= start)
		it->extent++;
	*data = it->extent < f->extent_count && f->extents[it->extent].at < start + *bytes;
	return true;
}

/* The bytes of blocks that chunks of this size need. The extents say it: the file may be mostly holes, and
 * long. */
static uint64_t data_bytes(const struct pf_inode *f, unsigned bits)
{
	uint64_t chunks = 0, free_from = 0, last = pf__chunk_count(f, bits) - 1;
	bool has_last = false;

	for (size_t i = 0; i < f->extent_count; i++) {
		const struct pf_extent *e = &f->extents[i];
		uint64_t first = e->at >> bits,
			 end = e->length ? ((e->at + e->length - 1) >> bits) + 1 : first;

		if (first < free_from)
			first = free_from;
		if (end <= first)
			continue;
		chunks += end - first;
		free_from = end;
		has_last = end == last + 1;
	}
	/* The last chunk ends with the file. */
	if (has_last)
		return ((chunks - 1) << bits) + round_up(f->size - (last << bits));
	return chunks << bits;
}

bool pf__chunks_choose(const struct pf_inode *file, uint64_t flat_bytes, uint8_t *chunk_bits,
		       uint64_t *table_bytes, uint64_t *blocks)
{
	uint64_t best = flat_bytes;
	bool found = false;

	if (file->size <= PF__EROFS_BLOCK)
		return false;
	for (unsigned shift = 0; shift <= PF__CHUNK_BITS; shift++) {
		unsigned bits = PF__EROFS_BLOCK_BITS + shift;
		uint64_t count = pf__chunk_count(file, bits), data;

		if (count > TABLE_MAX)
			continue;
		data = data_bytes(file, bits);
		if (count * sizeof(uint32_t) + data < best) {
			best = count * sizeof(uint32_t) + data;
			*chunk_bits = (uint8_t)shift;
			*table_bytes = count * sizeof(uint32_t);
			*blocks = data >> PF__EROFS_BLOCK_BITS;
			found = true;
		}
		if (count == 1)
			break; /* larger ones change nothing */
	}
	return found;
}
