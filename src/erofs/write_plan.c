/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan of an image. Inodes are placed in breadth-first order, so that those of one directory lie together
 * (a walk reads them in a row); each into the fullest of the last blocks that still has room for it, because
 * inline tails are of all sizes and in plain order would leave a quarter of the metadata empty.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "erofs/write_internal.h"

#define BLOCK_SLOTS (PF__EROFS_BLOCK / PF__EROFS_SLOT)
#define BLOCKS_MAX  0xfffffffeu /* 16 TiB: block numbers have 32 bits */

void pf__plan_free(struct pf__plan *p)
{
	free(p->places);
	*p = (struct pf__plan){0};
}

uint32_t pf__xattrs_size(const struct pf_inode *i)
{
	uint64_t n = sizeof(struct pf__erofs_xattrs);

	if (i->xattr_count == 0)
		return 0;
	for (size_t x = 0; x < i->xattr_count; x++) {
		const char *rest = "";

		pf__erofs_prefix_of(i->xattrs[x].name, &rest);
		n += (sizeof(struct pf__erofs_xattr) + strlen(rest) + i->xattrs[x].size + 3) & ~3ull;
	}
	return (uint32_t)n;
}

/* --- order ---------------------------------------------------------------- */

static int forget(void *user, const char *path, struct pf_inode *i)
{
	(void)user;
	(void)path;
	i->nid = 0;
	return 0;
}

/* List every inode once. While the list grows, nid is the place in it plus one. */
static int list_inodes(struct pf_tree *t, struct pf__plan *p, struct pf_error *err)
{
	struct pf_inode *root = pf_tree_root(t);
	int r = pf_tree_walk(t, forget, NULL, err);

	if (r < 0)
		return r;
	p->places = calloc(pf_tree_inodes(t), sizeof(*p->places));
	if (!p->places)
		return pf_fail(err, -ENOMEM, "no memory for an image of %zu files", pf_tree_inodes(t));
	p->places[p->count++].inode = root;
	root->nid = p->count;
	for (size_t i = 0; i < p->count; i++) {
		const struct pf_inode *dir = p->places[i].inode;

		for (size_t e = 0; S_ISDIR(dir->mode) && e < dir->entry_count; e++) {
			struct pf_inode *in = dir->entries[e].inode;

			if (in->nid != 0)
				continue;
			p->places[p->count++].inode = in;
			in->nid = p->count;
		}
	}
	return 0;
}

/* --- metadata slots ------------------------------------------------------- */

struct slots {
	uint64_t next;		       /* block */
	uint8_t used[PF__OPEN_BLOCKS]; /* slots of the last blocks, by number modulo */
};

static uint64_t open_block(struct slots *s, uint8_t used)
{
	s->used[s->next % PF__OPEN_BLOCKS] = used;
	return s->next++;
}

/* More than a block, which large attributes and chunk tables are: begins at a new one. */
static uint64_t place_large(struct slots *s, uint64_t slots)
{
	uint64_t first = s->next;

	for (; slots > BLOCK_SLOTS; slots -= BLOCK_SLOTS)
		open_block(s, BLOCK_SLOTS);
	open_block(s, (uint8_t)slots);
	return first * BLOCK_SLOTS;
}

/* The slot for an inode of so many bytes. */
static uint64_t place_inode(struct slots *s, uint64_t bytes)
{
	uint64_t slots = (bytes + PF__EROFS_SLOT - 1) / PF__EROFS_SLOT;
	uint64_t from = s->next > PF__OPEN_BLOCKS ? s->next - PF__OPEN_BLOCKS : 1, block = 0;
	uint8_t *used;

	if (slots > BLOCK_SLOTS)
		return place_large(s, slots);
	for (uint64_t b = from; b < s->next; b++) {
		if (s->used[b % PF__OPEN_BLOCKS] + slots <= BLOCK_SLOTS &&
		    (!block || s->used[b % PF__OPEN_BLOCKS] > s->used[block % PF__OPEN_BLOCKS]))
			block = b;
	}
	if (!block)
		block = open_block(s, 0);
	used = &s->used[block % PF__OPEN_BLOCKS];
	*used = (uint8_t)(*used + slots);
	return block * BLOCK_SLOTS + *used - slots;
}

/* --- layout --------------------------------------------------------------- */

/* Decide how an inode's content lies. Returns the bytes behind its slot, and its blocks through *blocks. */
static uint64_t lay_out(struct pf__place *place, uint64_t *blocks)
{
	const struct pf_inode *i = place->inode;
	uint64_t header = sizeof(struct pf__erofs_extended) + pf__xattrs_size(i);
	uint64_t size = S_ISDIR(i->mode) ? pf__dir_size(i) : i->size, table;
	uint64_t tail = size % PF__EROFS_BLOCK;

	*blocks = size / PF__EROFS_BLOCK;
	place->layout = PF__FLAT_PLAIN;
	if (tail && header + tail <= PF__EROFS_BLOCK)
		place->layout = PF__FLAT_INLINE; /* never across a block: the kernel refuses that */
	else if (tail)
		++*blocks;
	if (place->layout == PF__FLAT_PLAIN)
		tail = 0;
	if (S_ISREG(i->mode) &&
	    pf__chunks_choose(i, *blocks * PF__EROFS_BLOCK + tail, &place->chunk_bits, &table, blocks)) {
		place->layout = PF__CHUNKS;
		tail = table;
	}
	return header + tail;
}

/* Blocks of directories first, then those of all else: a walk stays near the metadata. */
static int give_blocks(struct pf__plan *p, const uint64_t *blocks, struct pf_error *err)
{
	uint64_t next = p->meta_end;

	for (int dirs = 1; dirs >= 0; dirs--) {
		for (size_t i = 0; i < p->count; i++) {
			if (S_ISDIR(p->places[i].inode->mode) != dirs)
				continue;
			if (next > BLOCKS_MAX || blocks[i] > BLOCKS_MAX - next)
				return pf_fail(err, -EFBIG, "an image of more than 16 TiB");
			p->places[i].block = blocks[i] ? (uint32_t)next : 0;
			next += blocks[i];
		}
	}
	p->blocks = next;
	return 0;
}

static int lay_out_all(struct pf__plan *p, struct pf_error *err)
{
	struct slots s = {.next = 1}; /* behind the superblock's */
	uint64_t *blocks = calloc(p->count, sizeof(*blocks));
	int r;

	if (!blocks)
		return pf_fail(err, -ENOMEM, "no memory for an image of %zu files", p->count);
	for (size_t i = 0; i < p->count; i++) {
		struct pf__place *place = &p->places[i];

		place->inode->nid = place_inode(&s, lay_out(place, &blocks[i]));
		p->chunks |= place->layout == PF__CHUNKS;
	}
	p->meta_end = s.next;
	r = give_blocks(p, blocks, err);
	free(blocks);
	return r;
}

int pf__plan_make(struct pf_tree *t, struct pf__plan *out, struct pf_error *err)
{
	struct pf__plan p = {0};
	int r = list_inodes(t, &p, err);

	if (r == 0)
		r = lay_out_all(&p, err);
	if (r < 0)
		pf__plan_free(&p);
	else
		*out = p;
	return r;
}
