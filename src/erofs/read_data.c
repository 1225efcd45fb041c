/* SPDX-License-Identifier: Apache-2.0 */
/* Contents: where they lie in the image, and copies of them. */
#include <errno.h>
#include <string.h>

#include "erofs/read_internal.h"

#define RUN_CHUNKS 4096u /* table entries looked at in one call */

static bool has_content(const struct pf_erofs_inode *i)
{
	return S_ISREG(i->mode) || S_ISDIR(i->mode) || S_ISLNK(i->mode);
}

static unsigned chunk_bits(const struct pf_erofs_inode *i)
{
	return PF__EROFS_BLOCK_BITS + (i->first & PF__CHUNK_BITS);
}

static uint64_t entry_size(const struct pf_erofs_inode *i)
{
	return i->first & PF__CHUNK_INDEXES ? sizeof(struct pf__erofs_chunk) : sizeof(uint32_t);
}

static uint64_t table_offset(const struct pf_erofs_inode *i)
{
	uint64_t unit = entry_size(i);

	return (i->body + unit - 1) / unit * unit;
}

static int check_chunks(const struct pf_erofs *fs, const struct pf_erofs_inode *i, struct pf_error *err)
{
	if (!S_ISREG(i->mode))
		return pf__damaged(err, i->nid, "chunks of what is no file");
	if ((i->first & 0xffff) & ~PF__CHUNK_KNOWN)
		return pf_fail(err, -EOPNOTSUPP, "an image with chunks of a form that is not read here");
	/* The table is in the image, so its entries are fewer than bytes there: no overflow below. */
	if (i->size && ((i->size - 1) >> chunk_bits(i)) >= fs->size)
		return pf__damaged(err, i->nid, "a chunk table outside of it");
	if (i->size &&
	    !pf__bytes(fs, table_offset(i), (((i->size - 1) >> chunk_bits(i)) + 1) * entry_size(i)))
		return pf__damaged(err, i->nid, "a chunk table outside of it");
	return 0;
}

/* The last block of an inline layout stands behind the inode, all of it also where it is full. */
static uint64_t inline_from(const struct pf_erofs_inode *i)
{
	return i->size ? (i->size - 1) & ~(uint64_t)(PF__EROFS_BLOCK - 1) : 0;
}

int pf__content_check(const struct pf_erofs *fs, const struct pf_erofs_inode *i, struct pf_error *err)
{
	uint64_t blocks = i->layout == PF__FLAT_INLINE ? inline_from(i) : i->size;
	uint64_t tail = i->size - blocks;

	if (!has_content(i))
		return 0;
	if (i->layout == PF__CHUNKS)
		return check_chunks(fs, i, err);
	if (blocks && !pf__bytes(fs, (uint64_t)i->first << PF__EROFS_BLOCK_BITS, blocks))
		return pf__damaged(err, i->nid, "content outside of it");
	if (tail && (!pf__bytes(fs, i->body, tail) || i->body % PF__EROFS_BLOCK + tail > PF__EROFS_BLOCK))
		return pf__damaged(err, i->nid, "an inline tail that crosses a block");
	return 0;
}

static int chunk_block(const struct pf_erofs *fs, const struct pf_erofs_inode *i, uint64_t number,
		       uint32_t *block, struct pf_error *err)
{
	const uint8_t *p = pf__bytes(fs, table_offset(i) + number * entry_size(i), entry_size(i));
	struct pf__erofs_chunk c = {0};

	if (!p)
		return pf__damaged(err, i->nid, "a chunk table outside of it");
	if (i->first & PF__CHUNK_INDEXES)
		memcpy(&c, p, sizeof(c));
	else
		memcpy(&c.block, p, sizeof(c.block));
	*block = le32toh(c.block);
	if (*block != PF__NO_BLOCK && c.device)
		return pf_fail(err, -EOPNOTSUPP, "an image on several devices");
	return 0;
}

/* Chunks that follow one another in the image, or holes, are one run. */
static int chunk_run(const struct pf_erofs *fs, const struct pf_erofs_inode *i, uint64_t offset,
		     const uint8_t **at, uint64_t *length, struct pf_error *err)
{
	const unsigned bits = chunk_bits(i), up = bits - PF__EROFS_BLOCK_BITS;
	uint64_t number = offset >> bits, last = (i->size - 1) >> bits, skip = offset - (number << bits), n;
	uint32_t first, block;
	const uint8_t *p;
	int r = chunk_block(fs, i, number, &first, err);

	if (r < 0)
		return r;
	for (n = 1; n < RUN_CHUNKS && number + n <= last; n++) {
		r = chunk_block(fs, i, number + n, &block, err);
		if (r < 0)
			return r;
		if (first == PF__NO_BLOCK ? block != first : block != first + (n << up))
			break;
	}
	n = number + n > last ? i->size - offset : (n << bits) - skip;
	if (first != PF__NO_BLOCK) {
		p = pf__bytes(fs, ((uint64_t)first << PF__EROFS_BLOCK_BITS) + skip, n);
		if (!p)
			return pf__damaged(err, i->nid, "content outside of it");
		*at = p;
	} else {
		*at = NULL;
	}
	*length = n;
	return 0;
}

int pf_erofs_run(const struct pf_erofs *fs, const struct pf_erofs_inode *i, uint64_t offset,
		 const uint8_t **at, uint64_t *length, struct pf_error *err)
{
	uint64_t from = inline_from(i);

	if (!has_content(i) || offset >= i->size)
		return pf_fail(err, -EINVAL, "no content at byte %llu", (unsigned long long)offset);
	if (i->layout == PF__CHUNKS)
		return chunk_run(fs, i, offset, at, length, err);
	if (i->layout == PF__FLAT_INLINE && offset >= from) {
		*at = fs->data + i->body + (offset - from);
		*length = i->size - offset;
		return 0;
	}
	*at = fs->data + ((uint64_t)i->first << PF__EROFS_BLOCK_BITS) + offset;
	*length = (i->layout == PF__FLAT_INLINE ? from : i->size) - offset;
	return 0;
}

int64_t pf_erofs_pread(const struct pf_erofs *fs, const struct pf_erofs_inode *i, void *to, uint64_t n,
		       uint64_t offset, struct pf_error *err)
{
	uint64_t done = 0;

	if (n > INT64_MAX)
		n = INT64_MAX;
	while (done < n && offset + done < i->size) {
		const uint8_t *at;
		uint64_t length;
		int r = pf_erofs_run(fs, i, offset + done, &at, &length, err);

		if (r < 0)
			return r;
		if (length > n - done)
			length = n - done;
		if (at)
			memcpy((uint8_t *)to + done, at, length);
		else
			memset((uint8_t *)to + done, 0, length);
		done += length;
	}
	return (int64_t)done;
}
