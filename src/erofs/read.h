/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read an EROFS image: the uncompressed layouts that write.h makes (flat, inline tails, chunks with holes),
 * and what mkfs.erofs makes without compression (compact inodes, shared attributes, chunk indexes too). The
 * file is hostile: every offset, count and name is checked against its end, a directory that stands in two
 * places is an error, memory is bounded. Nothing is allocated to look up or read, so that a caller may map an
 * image and answer from it.
 *
 * -EUCLEAN is a damaged image, -EOPNOTSUPP one that has what we do not read (compression, for one).
 */
#ifndef PF_EROFS_READ_H
#define PF_EROFS_READ_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/error.h"
#include "erofs/tree.h"

struct pf_erofs { /* a view of an image that the caller mapped, and that must not change */
	const uint8_t *data;
	uint64_t size;
	uint64_t meta, xattrs; /* byte offsets */
	uint64_t root, inodes, blocks;
	int64_t time; /* of compact inodes */
	uint32_t time_ns;
};
int pf_erofs_open(struct pf_erofs *fs, const void *data, uint64_t size, struct pf_error *err);

struct pf_erofs_inode {
	uint64_t nid;
	mode_t mode;
	uint32_t uid, gid, links;
	uint64_t size, rdev; /* as makedev(3) has it; 0 for others than devices */
	int64_t mtime;
	uint32_t mtime_ns;
	/* the reader's own */
	uint8_t layout;
	uint32_t first; /* block, or chunk format */
	uint64_t body;	/* offset behind the inode and its attributes */
	uint64_t attributes;
	uint32_t attributes_size;
};
int pf_erofs_inode(const struct pf_erofs *fs, uint64_t nid, struct pf_erofs_inode *out, struct pf_error *err);

/* The longest run of content from offset (below the size) that lies in one piece: *at in the image, or NULL
 * for a hole. Of files, links and directories. */
int pf_erofs_run(const struct pf_erofs *fs, const struct pf_erofs_inode *i, uint64_t offset,
		 const uint8_t **at, uint64_t *length, struct pf_error *err);
/* Bytes of a file or link from offset; returns how many (0 at the end). Holes read as zeros. */
int64_t pf_erofs_pread(const struct pf_erofs *fs, const struct pf_erofs_inode *i, void *to, uint64_t n,
		       uint64_t offset, struct pf_error *err);
/* -ENOENT if the directory has no such name. Binary search. */
int pf_erofs_lookup(const struct pf_erofs *fs, const struct pf_erofs_inode *dir, const char *name, size_t n,
		    uint64_t *nid, struct pf_error *err);
/* Entries in order, without "." and ".."; a non-zero return of each ends it and is returned. type: PF_EROFS_*
 * below.
 */
int pf_erofs_list(const struct pf_erofs *fs, const struct pf_erofs_inode *dir,
		  int (*each)(void *user, const char *name, size_t n, uint64_t nid, uint8_t type), void *user,
		  struct pf_error *err);
enum pf_erofs_type {
	PF_EROFS_REG = 1,
	PF_EROFS_DIR,
	PF_EROFS_CHR,
	PF_EROFS_BLK,
	PF_EROFS_FIFO,
	PF_EROFS_SOCK,
	PF_EROFS_LNK
};
/* name is whole ("user.x"); value may lie unaligned in the image. */
int pf_erofs_xattrs(const struct pf_erofs *fs, const struct pf_erofs_inode *i,
		    int (*each)(void *user, const char *name, const void *value, uint32_t size), void *user,
		    struct pf_error *err);

/* One step of a walk. */
struct pf_erofs_visit {
	const char *path; /* from the root, which is "" */
	const char *name; /* its last component */
	unsigned depth;	  /* 0: the root */
	const struct pf_erofs_inode *inode;
	const char *linked; /* the path under which this inode came before (a hard link), or NULL */
};
/* The whole image, depth first, parents before what is in them, names in order; leave (or NULL) for
 * directories, after what is in them. Only here are loops looked for: a directory comes once or the image is
 * damaged. Bounded as a tree is (erofs/tree.h). A non-zero return of a callback ends the walk and is
 * returned. */
int pf_erofs_walk(const struct pf_erofs *fs, int (*each)(void *user, const struct pf_erofs_visit *v),
		  int (*leave)(void *user, const struct pf_erofs_visit *v), void *user, struct pf_error *err);

/* Where owners may not be given (no privilege), they are the caller's, and what he may not make (devices) is
 * left out and counted. Set-id bits are left out where the owner that they stand for could not be given: they
 * would lend the caller's own identity. */
struct pf_unpack {
	bool owners;	    /* in: try to give owners */
	uint64_t bytes_max; /* in: more content is -EFBIG (an image may name a block often); 0: no bound */
	uint64_t files, bytes;
	uint64_t left_out; /* device nodes, set-id bits, attributes that are not allowed or do not fit */
	bool owners_kept;  /* out */
	void (*progress)(void *user, uint64_t done, uint64_t total); /* or NULL; bytes */
	void *user;
};
/* Unpack the whole image into an empty directory. Never follows a link; holes stay holes, hard links links.
 * On failure what was made stays, for the caller to remove. */
int pf_erofs_unpack(const struct pf_erofs *fs, int dir_fd, struct pf_unpack *how, struct pf_error *err);

#endif
