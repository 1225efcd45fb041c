/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside import. Arrows run down:
 *
 *   import.c parent.c     the caller's process: opens, forks, serves, measures
 *   child.c confine.c     the child: gives everything up, imports, writes the image
 *   archive.c dir.c       what the input is, and the tree that comes of it
 *   oci.c docker.c        the documents of an image; layers.c applies its layers
 *   layer.c entry.c       from a tar's entries to a tree, and what is refused
 *   tar*.c                the tar formats
 *   stream.c spool.c      decompression with digests and bounds; contents of files
 *   channel.c report.c    what the two processes tell each other
 */
#ifndef PF_IMPORT_INTERNAL_H
#define PF_IMPORT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"
#include "base/sha256.h"
#include "erofs/tree.h"
#include "image/import/import.h"

#define PF__PATH_MAX	 4096u /* bytes of a path in an image, as the tree has it */
#define PF__NAME_MAX	 255u
#define PF__LINK_MAX	 4095u /* of a symbolic link's target: PATH_MAX without its NUL */
#define PF__XATTRS_MAX	 256u  /* of one file */
#define PF__XATTR_MAX	 65536u
#define PF__ENTRIES_MAX	 8000000u /* headers read, all layers together */
#define PF__APPARENT	 16u	  /* times bytes_max: sizes of files with their holes */
#define PF__RATIO_FREE	 (64ull << 20)
#define PF__DOCUMENT_MAX (4u << 20) /* a JSON document; the reader's own bound too */
#define PF__LAYERS_MAX	 512u
#define PF__SHOW	 200u

/* A name for a message, printable. */
const char *pf__show(const char *s, size_t n, char buf[PF__SHOW]);

/* --- SHA-256 by libcrypto (hash.c): the processor's own instructions, six times our own code's speed --- */
struct pf__hash {
	void *ctx; /* NULL: none is computed */
};
int pf__hash_ready(struct pf_error *err); /* once, before the child shuts itself in: libcrypto opens files */
int pf__hash_begin(struct pf__hash *h, struct pf_error *err);
int pf__hash_add(struct pf__hash *h, const void *p, size_t n, struct pf_error *err);
int pf__hash_end(struct pf__hash *h, char out[PF_DIGEST_MAX], struct pf_error *err); /* and frees it */
void pf__hash_free(struct pf__hash *h);
/* "sha256:" and 64 lower-case hexadecimal digits: the only names that a blob's path is made of. */
bool pf__digest_ok(const char *s);

/* --- what hostile input may cost (budget.c) --- */
struct pf__budget {
	uint64_t bytes_max, ratio_max;
	uint64_t unpacked; /* bytes of all streams, uncompressed */
	uint64_t stored;   /* bytes of contents in the spool */
	uint64_t apparent; /* bytes of all files, holes counted */
	uint64_t entries;
};
int pf__budget_unpacked(struct pf__budget *b, uint64_t n, struct pf_error *err);
int pf__budget_stored(struct pf__budget *b, uint64_t n, struct pf_error *err);
int pf__budget_entry(struct pf__budget *b, uint64_t apparent, struct pf_error *err);

/* --- what was left out (notes.c): one line a kind, with its first path and how many --- */
enum pf__note {
	PF__NOTE_DEVICE,
	PF__NOTE_SOCKET,
	PF__NOTE_XATTR,
	PF__NOTE_OVERLAY,
	PF__NOTE_ACL,
	PF__NOTE_MOUNT,
	PF__NOTE_AUFS,
	PF__NOTE_TRAILER,
	PF__NOTES,
};
struct pf__notes {
	uint64_t count[PF__NOTES];
	char first[PF__NOTES][PF__SHOW];
};
void pf__note(struct pf__notes *n, enum pf__note kind, const char *path);
int pf__notes_list(const struct pf__notes *n, struct pf_list *out); /* 0 or -ENOMEM */

/* --- contents of files (spool.c) --- */
#define PF__BLOCK 4096u
/* Runs of whole zero blocks of at least this many bytes are holes, shorter ones are written, however the
 * input had them: what a file system or a tar calls a hole depends on the machine, and the digest must not.
 */
#define PF__HOLE_MIN 65536u

struct pf__spool {
	int fd;
	struct pf__budget *budget;
	uint8_t *buf; /* not yet written */
	size_t used;
	uint64_t written;
};
int pf__spool_open(struct pf__spool *s, int fd, struct pf__budget *budget, struct pf_error *err);
int pf__spool_flush(struct pf__spool *s, struct pf_error *err); /* before anyone reads it */
void pf__spool_close(struct pf__spool *s);			/* not the descriptor */

struct pf__sink { /* one file on its way into the spool */
	struct pf__spool *spool;
	uint64_t size;	/* the file's */
	uint64_t at;	/* first byte that was not given yet, the partial block not counted */
	uint64_t zeros; /* bytes before `at`, whole blocks of zeros, whose fate is open */
	size_t partial; /* bytes in block */
	struct pf_extent *extents;
	size_t count, cap;
	uint8_t block[PF__BLOCK];
};
void pf__sink_begin(struct pf__sink *k, struct pf__spool *s, uint64_t size);
/* Bytes at offset; offsets ascend, what is skipped is zeros. */
int pf__sink_add(struct pf__sink *k, uint64_t offset, const void *p, size_t n, struct pf_error *err);
/* The extents are the caller's to free, also the list that a failure left behind. */
int pf__sink_end(struct pf__sink *k, struct pf_error *err);

/* --- where bytes come from (source.c), and what they are uncompressed (stream.c) --- */
struct pf__source {
	int fd;	       /* the caller's */
	bool pipe;     /* read in order; otherwise by offset */
	uint64_t size; /* UINT64_MAX: not known (a pipe) */
	const struct pf_extent
		*parts; /* NULL: the file itself. Else what lies where in fd; the rest is zeros */
	size_t count;
	uint64_t at;
	size_t part;
};
/* Bytes read, 0 at the end. A file that is shorter than it was is -EIO. */
int64_t pf__source_read(struct pf__source *s, void *to, size_t n, struct pf_error *err);

enum pf__packing { PF__PLAIN, PF__GZIP, PF__BZIP2, PF__XZ, PF__ZSTD, PF__LZ4, PF__LZIP };
const char *pf__packing_name(enum pf__packing p);
/* By the first bytes; *other names what is surely no tar (zip, ISO ...) or is NULL. */
enum pf__packing pf__packing_of(const uint8_t *p, size_t n, const char **other);

struct pf__stream {
	struct pf__source source;
	enum pf__packing packing;
	struct pf__budget *budget;
	struct pf__hash packed_hash, plain_hash;
	const char *other;	/* what it seems to be that is no tar, or NULL */
	uint64_t packed, plain; /* bytes so far */
	uint8_t *in, *out;
	size_t in_at, in_len;
	bool in_end, ended;
	void *inflate;		/* z_stream */
	void *archive;		/* struct archive: libarchive's filters alone, its formats are not used */
	struct pf_error failed; /* of the source, while a library was asking */
	/* Called with the bytes read of the source, or NULL. */
	void (*progress)(void *user, uint64_t packed);
	void *user;
};
#define PF__HASH_PACKED 1u
#define PF__HASH_PLAIN	2u
/* Reads the beginning to learn the packing. Free with pf__stream_close() also after a failure. */
int pf__stream_open(struct pf__stream *s, const struct pf__source *source, struct pf__budget *budget,
		    unsigned hashes, struct pf_error *err);
/* The next piece, which is the stream's until the next call. Its length, 0 at the end, or -errno. */
int64_t pf__stream_next(struct pf__stream *s, const uint8_t **piece, struct pf_error *err);
/* Step over n bytes without reading them, where that can be: plain, by offset, without digests. How many. */
uint64_t pf__stream_skip(struct pf__stream *s, uint64_t n);
/* Read to the end: digests and bounds concern all of it. *more: bytes that are not zero came. */
int pf__stream_drain(struct pf__stream *s, bool *more, struct pf_error *err);
void pf__stream_close(struct pf__stream *s);

/* --- a map from two numbers to a path (links.c): device and inode, or an inode of a tree --- */
struct pf__links {
	struct pf__link *slots;
	size_t cap, count;
};
void pf__links_free(struct pf__links *m);
const char *pf__links_find(const struct pf__links *m, uint64_t a, uint64_t b);
int pf__links_add(struct pf__links *m, uint64_t a, uint64_t b, const char *path); /* 0 or -ENOMEM */

/* --- what an entry may be (entry.c); every refusal names it --- */
/* A name of an archive to a path of the tree: relative, "." and "//" gone; "" is the root. */
int pf__entry_path(const char *name, size_t n, char out[PF__PATH_MAX + 1], struct pf_error *err);
int pf__entry_link_target(const char *path, const char *target, size_t n, struct pf_error *err);
int pf__entry_owner(const char *path, const struct pf_inode *i, struct pf_error *err);
/* 0: keep, 1: leave out (noted), -errno: refuse. */
int pf__entry_type(const char *path, mode_t mode, struct pf__notes *notes, struct pf_error *err);
/* Is an attribute kept on a file of this mode? Noted if not. */
bool pf__entry_xattr(const char *path, const char *name, mode_t mode, struct pf__notes *notes);
void pf__inode_clear(struct pf_inode *i); /* frees what a pf_tree_put() copied */

/* --- the work of the child --- */
struct pf__job {
	const struct pf_import *how;
	int channel; /* to the caller's process */
	int input;   /* the archive or directory; -1: a layout, whose files the caller's process opens */
	bool pipe;   /* the archive comes in order alone */
	uint64_t input_size;
	int spool_fd, out_fd;
	struct pf__spool spool;
	struct pf__budget budget;
	struct pf__notes notes;
	enum pf_import_kind kind; /* what it turned out to be */
	struct pf_image_config config;
	unsigned layers;
	uint64_t files, bytes;	    /* of the finished tree */
	struct pf__links counted;   /* files of several names */
	uint64_t done, total, told; /* progress: bytes of layers that are done; of all; when last told */
};
void pf__job_progress(struct pf__job *j, enum pf_import_phase phase, uint64_t done);

/* layer.c: from a tar to a tree */
struct pf__layer {			   /* what a layer says beside its tree */
	struct pf_list whiteouts, opaques; /* paths */
	struct pf_list links, targets;	   /* hard links to what the layer does not hold */
};
void pf__layer_free(struct pf__layer *l);
enum pf__reading {
	PF__READ_ROOT,	/* a root file system: names are names */
	PF__READ_LAYER, /* a layer: .wh. */
	PF__READ_INDEX, /* only where contents lie: the tree's spool is the stream's source */
};
int pf__layer_read(struct pf__job *j, struct pf__stream *s, enum pf__reading how, struct pf_tree *tree,
		   struct pf__layer *layer, struct pf_error *err);
/* Apply a layer to what lies below. */
int pf__layer_apply(struct pf_tree *base, struct pf_tree *tree, const struct pf__layer *l,
		    struct pf_error *err);

/* dir.c */
int pf__dir_read(struct pf__job *j, struct pf_tree *tree, struct pf_error *err);

/* blobs.c: the files of an image archive or layout */
struct pf__blobs {
	struct pf__job *job;
	struct pf_tree *tree; /* NULL: a layout in a directory */
	int fd;		      /* where the tree's files lie */
};
struct pf__blob {
	struct pf__source source;
	int fd; /* its own, or -1 */
};
/* path: clean, relative; symbolic links of the archive are followed inside it. -ENOENT if it is not there. */
int pf__blob_open(const struct pf__blobs *b, const char *path, struct pf__blob *out, struct pf_error *err);
void pf__blob_close(struct pf__blob *b);
/* A document, whole: at most PF__DOCUMENT_MAX bytes. Its digest too. */
int pf__blob_read(const struct pf__blobs *b, const char *path, struct pf_buf *out, char digest[PF_DIGEST_MAX],
		  struct pf_error *err);

/* What an image consists of, by its documents. */
struct pf__stack_layer {
	char *path;
	char digest[PF_DIGEST_MAX]; /* of the blob; "": not said */
	uint64_t size;		    /* of the blob; UINT64_MAX: not said */
	int packing;		    /* enum pf__packing, or -1: not said */
	char diff_id[PF_DIGEST_MAX];
};
struct pf__stack {
	struct pf__stack_layer *layers;
	size_t count;
};
void pf__stack_free(struct pf__stack *p);
int pf__stack_add(struct pf__stack *p, const char *path, struct pf__stack_layer **out, struct pf_error *err);
/* oci.c, docker.c: read the documents, fill the job's configuration. */
int pf__oci_stack(struct pf__job *j, const struct pf__blobs *b, struct pf__stack *p, struct pf_error *err);
int pf__docker_stack(struct pf__job *j, const struct pf__blobs *b, struct pf__stack *p, struct pf_error *err);
/* Does manifest.json read as one of `docker save`? */
bool pf__docker_looks(const struct pf__blobs *b);
/* layers.c: apply them one after the other. */
int pf__stack_run(struct pf__job *j, const struct pf__blobs *b, const struct pf__stack *p,
		  struct pf_tree **tree, struct pf_error *err);
/* archive.c: whatever an archive is, to a tree. */
int pf__archive_read(struct pf__job *j, struct pf_tree **tree, struct pf_error *err);

/* config.c: an image configuration (OCI image-spec, config.md). The layers' diff_ids go into the stack, whose
 * number they must have. platform: what is wanted. */
int pf__config_parse(const char *text, size_t n, const char *platform, struct pf__stack *p,
		     struct pf_image_config *out, struct pf_error *err);
int pf__config_check(const struct pf_image_config *c, struct pf_error *err);
void pf__config_free(struct pf_image_config *c);
#define PF__PLATFORM "linux/amd64"
struct pf__platform {
	char os[32], architecture[32], variant[32];
};
int pf__platform_parse(const char *text, struct pf__platform *out, struct pf_error *err);

#endif
