/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the writer. First a plan: where each inode and each block comes to lie, from the tree alone. Then
 * three passes that only move forward: metadata, directories' blocks, files' blocks; and last the superblock,
 * so that an image that was cut off is none.
 */
#ifndef PF_EROFS_WRITE_INTERNAL_H
#define PF_EROFS_WRITE_INTERNAL_H

#include "erofs/format.h"
#include "erofs/tree.h"
#include "erofs/write.h"

/* Metadata blocks that may still get an inode while later ones are begun (write_plan.c). */
#define PF__OPEN_BLOCKS 64u

struct pf__place {
	struct pf_inode *inode; /* its nid is set: the slot */
	uint32_t block;		/* the first of its own */
	uint8_t layout, chunk_bits;
};

struct pf__plan {
	struct pf__place *places; /* breadth first: a directory's inodes lie together */
	size_t count;
	uint64_t meta_end, blocks; /* in blocks */
	bool chunks;		   /* some file has holes */
};
void pf__plan_free(struct pf__plan *p);
int pf__plan_make(struct pf_tree *t, struct pf__plan *out, struct pf_error *err);

/* What the attributes of an inode take behind it, 0 for none. */
uint32_t pf__xattrs_size(const struct pf_inode *i);

/* The entries of a directory, "." and ".." in their places. */
struct pf__names {
	const struct pf_inode *dir;
	size_t next;
	unsigned dots; /* handed out */
};
struct pf__name {
	const char *name;
	size_t length;
	const struct pf_inode *inode;
};
bool pf__names_next(struct pf__names *it, struct pf__name *out);
/* Skip one block's worth of entries: the bytes they take, 0 at the end. */
uint32_t pf__names_skip_block(struct pf__names *it);
/* Fill to (a block, zeroed) with the next block of entries; its used bytes, 0 at the end. */
uint32_t pf__names_fill_block(struct pf__names *it, uint8_t *to);
uint64_t pf__dir_size(const struct pf_inode *dir);

/* Which chunks of a file have data. Asked in ascending order. */
struct pf__chunks {
	const struct pf_inode *file;
	unsigned bits; /* of a chunk's size in bytes */
	uint64_t next;
	size_t extent;
};
uint64_t pf__chunk_count(const struct pf_inode *file, unsigned bits);
/* 0 at the end. Otherwise the chunk's number, the bytes of the file in it (less than its size at the end of
 * the file), and whether it has data. */
bool pf__chunks_next(struct pf__chunks *it, uint64_t *number, uint64_t *bytes, bool *data);
/* The chunk size that makes the smallest image; false if none is smaller than flat_bytes. blocks: of its
 * data. */
bool pf__chunks_choose(const struct pf_inode *file, uint64_t flat_bytes, uint8_t *chunk_bits,
		       uint64_t *table_bytes, uint64_t *blocks);

/* A window over the output that moves forward; what is skipped stays a hole. */
struct pf__out {
	int fd;
	uint8_t *buf;
	uint64_t base; /* of buf in the file */
	size_t fill;
	size_t lookback; /* how far behind the front one may still write */
};
#define PF__OUT_MAX (384u << 10) /* bytes at once */
int pf__write_at(int fd, const uint8_t *p, size_t n, uint64_t pos, struct pf_error *err);
int pf__out_open(struct pf__out *o, int fd, uint64_t base, size_t lookback, struct pf_error *err);
void pf__out_free(struct pf__out *o);
/* Room for n bytes at pos, zero or as written before; valid until the next call. */
int pf__out_room(struct pf__out *o, uint64_t pos, size_t n, uint8_t **out, struct pf_error *err);
int pf__out_flush(struct pf__out *o, struct pf_error *err);
/* Bytes [from, from + n) of a file to pos. *extent: where to look first, kept for the next range behind it.
 */
int pf__out_content(struct pf__out *o, const struct pf_inode *file, int spool_fd, size_t *extent,
		    uint64_t from, uint64_t n, uint64_t pos, struct pf_error *err);

int pf__write_meta(const struct pf__plan *p, int spool_fd, int out_fd, struct pf_error *err);
int pf__write_blocks(const struct pf__plan *p, int spool_fd, int out_fd, struct pf_error *err);

#endif
