/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading tar: v7, ustar and pax (POSIX.1-2017, pax, "ustar Interchange Format" and "pax Header Block"), GNU
 * (the manual's "Basic Tar Format" and "Storing Sparse Files").
 *
 * Not by libarchive's reader, for four reasons. An image's digest must not depend on the version of a library
 * or on the locale, which that reader converts names by. It cuts a name at a NUL and passes over attributes
 * that it cannot parse, where this one refuses by name. It cannot tell an archive that was cut off between
 * two entries from a whole one. And here every doubt (a hard link with contents, a directory with a size, a
 * global header that renames) is an error, so that no two readers see two archives. The tests compare the
 * two.
 */
#ifndef PF_IMPORT_TAR_H
#define PF_IMPORT_TAR_H

#include "image/import/import_internal.h"

#define PF__TAR_BLOCK	  512u
#define PF__TAR_EXTRA_MAX (1u << 20) /* of one pax or long-name header */
#define PF__TAR_MAP_MAX	  1000000u   /* parts of one sparse file */

enum pf__tar_type {
	PF__TAR_FILE = '0',
	PF__TAR_LINK = '1',
	PF__TAR_SYMLINK = '2',
	PF__TAR_CHAR = '3',
	PF__TAR_BLOCK_DEVICE = '4',
	PF__TAR_DIR = '5',
	PF__TAR_FIFO = '6',
};

struct pf__bytes { /* borrowed; not NUL-terminated */
	const char *p;
	size_t n;
};

struct pf__tar_xattr {
	struct pf__bytes name, value;
};

struct pf__tar_entry {
	enum pf__tar_type type;
	struct pf__bytes name, link; /* as the archive has them, any bytes */
	uint32_t mode, uid, gid, major, minor;
	int64_t mtime;
	uint32_t mtime_ns;
	uint64_t size; /* of a file, holes counted */
	struct pf__tar_xattr *xattrs;
	size_t xattr_count;
	bool acl; /* it had an access control list as text */
};

/* What stands in the header block of an entry. */
struct pf__tar_header {
	char type;
	struct pf__bytes name, prefix, link; /* in the block */
	uint64_t size;
	uint32_t mode, uid, gid, major, minor;
	int64_t mtime;
	bool gnu;
};

/* What a pax header says beyond it. p NULL or has_ false: nothing. */
struct pf__tar_pax {
	struct pf__bytes path, link, sparse_name, sparse_map;
	uint64_t size, uid, gid, sparse_size;
	int64_t mtime;
	uint32_t mtime_ns;
	bool has_size, has_uid, has_gid, has_mtime, has_sparse_size, sparse, acl;
	uint64_t sparse_major, sparse_minor;
	struct pf_extent *map; /* GNU.sparse.offset and numbytes, version 0.0 */
	size_t map_count, map_cap;
	struct pf__tar_xattr *xattrs;
	size_t xattr_count;
};

struct pf__tar {
	struct pf__stream *stream;
	const uint8_t *piece; /* what is left of the stream's piece */
	size_t left;
	uint64_t data;	   /* bytes of the entry's contents still in the stream */
	uint32_t padding;  /* after them */
	uint64_t position; /* bytes of the stream that were taken */
	bool sparse;
	struct pf_extent *map; /* where contents belong; of a sparse entry */
	size_t map_count, map_cap, map_at;
	uint64_t map_done; /* of the part at map_at */
	uint64_t offset;   /* of a plain one */
	bool begun, ended; /* an entry came; the end's mark came */
	struct pf__tar_entry entry;
	struct pf__tar_pax pax;
	struct pf_buf pax_text, long_name, long_link, name;
	uint8_t block[PF__TAR_BLOCK];
};

void pf__tar_open(struct pf__tar *t, struct pf__stream *s);
/* 1 and the entry (the tar's until the next call), 0 at the end, -errno. */
int pf__tar_next(struct pf__tar *t, const struct pf__tar_entry **out, struct pf_error *err);
/* Contents of the entry: a piece and where it belongs. Its length, 0 at the end, -errno. */
int64_t pf__tar_data(struct pf__tar *t, const uint8_t **p, uint64_t *offset, struct pf_error *err);
/* Instead of reading contents: where their parts lie in the stream. The list is the caller's to free. */
int pf__tar_extents(const struct pf__tar *t, struct pf_extent **out, size_t *count, struct pf_error *err);
/* Read on to the end of the stream: digests and bounds concern all of it. The archive must have had its mark
 * of the end if whole; what follows the mark is noted. */
int pf__tar_finish(struct pf__tar *t, bool whole, struct pf__notes *notes, struct pf_error *err);
void pf__tar_close(struct pf__tar *t);

/* Shared by the reader's files. */
bool pf__tar_checksum_ok(const uint8_t block[PF__TAR_BLOCK]);
int pf__tar_header(const uint8_t block[PF__TAR_BLOCK], struct pf__tar_header *h, struct pf_error *err);
/* A numeric field: octal, or base 256. Negative only if minus. */
int pf__tar_number(const uint8_t *p, size_t n, int64_t *out);
int pf__tar_pax_parse(struct pf__tar_pax *x, const char *text, size_t n, struct pf_error *err);
int pf__tar_pax_global(const char *text, size_t n, struct pf_error *err);
void pf__tar_pax_clear(struct pf__tar_pax *x);
bool pf__tar_decimal(const char **p, const char *end, uint64_t *out);
/* 1 and a block, 0 where the stream ended before it, -errno. */
int pf__tar_block(struct pf__tar *t, uint8_t block[PF__TAR_BLOCK], struct pf_error *err);
/* Add to a map: ascending, within size. */
int pf__tar_map_add(struct pf_extent **map, size_t *count, size_t *cap, uint64_t at, uint64_t n,
		    struct pf_error *err);
/* The maps of the GNU formats. The old one goes on in blocks behind the header; version 1.0 stands in front
 * of the contents. */
int pf__tar_sparse_old(struct pf__tar *t, const uint8_t header[PF__TAR_BLOCK], struct pf_error *err);
int pf__tar_sparse_pax(struct pf__tar *t, struct pf_error *err);

#endif
