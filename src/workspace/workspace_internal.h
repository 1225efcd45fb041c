/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of workspace/ share. Paths here are bytes, relative to the workspace, cleaned
 * (no "", ".", ".." components), at most PF__WS_PATH_MAX - 1 long; "" is the workspace itself.
 */
#ifndef PF_WORKSPACE_INTERNAL_H
#define PF_WORKSPACE_INTERNAL_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "workspace/change.h"

#define PF__WS_PATH_MAX 4096

/* Permission bits that a change carries; setuid and friends are kept in the set and dropped by apply. */
#define PF__WS_MODE_BITS 07777

/* --- util.c: lists, paths, opening ------------------------------------------------------------ */
/* Sort by pf__ws_path_cmp() and drop doubles. */
void pf__ws_list_sort(struct pf_list *l);

/* '/' sorts before every other byte, so a directory is followed by all that is beneath it. */
int pf__ws_path_cmp(const char *a, const char *b);
/* Relative, clean, not empty, short enough. */
bool pf__ws_path_ok(const char *path);
/* Is path one of the sorted list, or beneath one? */
bool pf__ws_covered(const struct pf_list *sorted, const char *path);
/* "dir/name" (or "name" for dir ""); NULL without memory. */
char *pf__ws_join(const char *dir, const char *name);

/*
 * openat2() beneath dirfd through no symbolic link and over no mount: what the overlay showed of the
 * workspace did not have the mounts that stand in it on the host. "" is dirfd's own directory.
 */
int pf__ws_open(int dirfd, const char *path, int flags);
/* The directory that path is in (O_PATH) and its last component. */
int pf__ws_open_parent(int dirfd, const char *path, const char **leaf);
/* lstat beneath; 0 or -errno. */
int pf__ws_stat(int dirfd, const char *path, struct stat *st);
/* Open a regular file to read, waiting for nothing (a FIFO would block); st filled. -EINVAL for other types.
 */
int pf__ws_open_file(int dirfd, const char *name, struct stat *st);
/* Names in a directory without "." and "..", appended unsorted. -E2BIG beyond max names. */
int pf__ws_names(int dirfd, struct pf_list *names, size_t max);
/* Target of a link, NUL-terminated; 0 or -errno. */
int pf__ws_readlink(int dirfd, const char *name, char out[PF__WS_PATH_MAX]);

int64_t pf__ws_mtime_ns(const struct stat *st);
int64_t pf__ws_ctime_ns(const struct stat *st);

/* A path for a message: printable, cut. */
#define PF__WS_SHOW 200
const char *pf__ws_show(const char *path, char out[PF__WS_SHOW]);

/* --- content.c: bytes of files ---------------------------------------------------------------- */
/* Copy n bytes of src to the empty file dst, holes kept. 0 or -errno. */
int pf__ws_copy(int src, int dst, uint64_t n);
/* Are the first n bytes of both the same? 1, 0 or -errno. Holes that both have are skipped. */
int pf__ws_same_bytes(int a, int b, uint64_t n);

/* --- protect.c -------------------------------------------------------------------------------- */
/* Does the policy's protect list hold this change back? mode is the change's (0: deletion). */
bool pf__ws_protected(const struct pf_list *protect, const char *path, mode_t mode);

/* The same for a walk that comes to a directory before what is in it: patterns are cleaned once, and what is
 * beneath a protected directory is for the walk to know. */
struct pf__protect {
	char **whole, **leads; /* the patterns, and the parts of them that lead there */
	size_t whole_count, lead_count;
};
int pf__protect_compile(const struct pf_list *list, struct pf__protect *out); /* 0 or -ENOMEM */
void pf__protect_free(struct pf__protect *p);
/* Does a pattern match the path itself? */
bool pf__protect_entry(const struct pf__protect *p, const char *path);
/* Is it something else than a directory where a pattern needs one? */
bool pf__protect_leads(const struct pf__protect *p, const char *path, mode_t mode);

/* --- collect_*.c ------------------------------------------------------------------------------ */
struct pf__inode {
	dev_t dev;
	ino_t ino;
	uint64_t blob; /* 0: free slot */
};

struct pf__collect {
	const struct pf_collect *what;
	struct pf_changeset set;    /* being filled */
	size_t room;		    /* of set.items */
	struct pf__protect protect; /* what->protect, compiled */
	struct pf_buf line;	    /* scratch: an entry as the manifest will have it */
	uint64_t manifest_bytes;    /* of all entries, as they will be written */
	int64_t deadline_ns;	    /* CLOCK_MONOTONIC */
	bool cut;		    /* entries are missing, not only contents */
	bool full;		    /* a cap ended the walk */
	struct pf_list hidden;	    /* what->masked, sorted */
	struct stat upper_root, lower_root;
	int blobs_fd;
	uint64_t blobs;		  /* the last number given */
	uint64_t lower_bytes;	  /* copied out of the workspace for renamed directories */
	bool linked;		  /* some blobs are links of files in the upper */
	struct pf__inode *inodes; /* hash of hard-linked files that have a blob */
	size_t inode_room, inode_count;
	struct pf_error *err;
};

/* One side of a comparison: an entry of an open directory. */
struct pf__side {
	bool exists;
	bool lower; /* read from the workspace, not from the upper */
	int dirfd;
	const char *name;
	struct stat st;
};

int pf__collect_walk(struct pf__collect *c);
/* Compare and record. Directories' contents are not looked at. 0 or -errno. */
int pf__collect_emit(struct pf__collect *c, const char *path, const struct pf__side *view,
		     const struct pf__side *base, bool opaque, bool protect);
/* Keep a regular file's bytes; *blob is 0 if they could not be kept and the set is marked truncated. */
int pf__collect_spill(struct pf__collect *c, const char *path, const struct pf__side *view, uint64_t *blob);
/* Something is missing from the set: say what (the first reason is kept). */
void pf__collect_truncate(struct pf__collect *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same where it is the content of one entry, which is in the set without it. */
void pf__collect_missing(struct pf__collect *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- manifest.c, manifest_read.c, meta.c ------------------------------------------------------- */
int pf__manifest_write_line(const struct pf_change *c, struct pf_buf *out);
/* Strictly one line's object (without the newline); *out is owned by the caller. */
int pf__manifest_read_line(const char *line, size_t n, struct pf_change *out, struct pf_error *err);
int pf__manifest_write(int dirfd, const struct pf_changeset *c, struct pf_error *err);
int pf__manifest_read(int dirfd, struct pf_changeset *c, uint64_t blobs, struct pf_error *err);
void pf__change_clear(struct pf_change *c);
/* A regular file whose bytes should be in the set and could not be kept. */
bool pf__change_lost(const struct pf_change *c);
int pf__meta_write(int dirfd, const struct pf_changeset *c, uint64_t blobs, uint32_t uid_base,
		   struct pf_error *err);
int pf__meta_read(int dirfd, struct pf_changeset *c, uint64_t *blobs, struct pf_error *err);
/* "key": text, or "key_b64" where it is not UTF-8. */
void pf__json_bytes(struct pf_jsonw *w, const char *key, const char *key_b64, const char *s);
/* Strict base64 (RFC 4648, padded, no spaces) of bytes without NUL; NULL if it is not. */
char *pf__base64_decode(const char *s, size_t n);

/* --- store.c ---------------------------------------------------------------------------------- */
bool pf__change_id_ok(const char *id);
/* "blobs/N" of a change set, opened for reading; it must be a regular file of this size. */
int pf__change_open_blob(int set_fd, const struct pf_change *c, struct pf_error *err);
int pf__change_open_set(int changes_fd, const char *id, struct pf_error *err);
/* The user's directory, through no symbolic link. */
int pf__change_open_workspace(const struct pf_changeset *c, struct pf_error *err);
/* Index in the sorted items, or -1. */
ssize_t pf__change_find(const struct pf_changeset *c, const char *path);

/* --- diff_lines.c ----------------------------------------------------------------------------- */
struct pf__text {
	const char *s;
	size_t n;
};
/* One line's bytes, newline included if it has one, behind its mark (' ', '-' or '+'). */
typedef int (*pf__diff_line_fn)(void *ctx, char mark, const char *line, size_t n);
typedef int (*pf__diff_hunk_fn)(void *ctx, size_t old_at, size_t old_n, size_t new_at, size_t new_n);
struct pf__diff_out {
	pf__diff_hunk_fn hunk; /* numbers as the header shows them */
	pf__diff_line_fn line;
	void *ctx;
};
/* Unified hunks that make b of a, three lines of context. 0, -ENOMEM, or what a callback returned. */
int pf__diff_lines(struct pf__text a, struct pf__text b, const struct pf__diff_out *out);

/* --- diff_myers.c ----------------------------------------------------------------------------- */
struct pf__line {
	const char *s;
	size_t n;
	uint64_t hash;
};
/*
 * Mark the lines that are not common: a_gone[i] and b_new[j] are set to 1. Beyond the bounds on cost
 * everything between the common beginning and end is marked.
 */
int pf__diff_mark(const struct pf__line *a, size_t na, const struct pf__line *b, size_t nb, uint8_t *a_gone,
		  uint8_t *b_new);

/* --- apply*.c --------------------------------------------------------------------------------- */
enum pf__todo {
	PF__DO_NOT, /* not asked for, or it cannot be applied at all (sockets, devices) */
	PF__DO_WRITE,
	PF__DO_DONE, /* is as it should be already */
};

struct pf__apply {
	const struct pf_changeset *c;
	const struct pf_apply *how;
	struct pf_apply_report *report;
	int ws_fd, set_fd;
	uint8_t *todo;	  /* enum pf__todo, one an item */
	uint8_t *removed; /* one an item: has gone in this run */
	int64_t *stamps;  /* sorted mtimes of what is written, for the order of the new ones */
	size_t stamp_count;
	int64_t now_ns;
	bool as_root;
	bool blocked; /* a conflict that force does not lift */
	struct pf_error *err;
};

int pf__apply_no_memory(struct pf__apply *a);
/* -errno with "cannot WHAT 'path': why" */
int pf__apply_cannot(struct pf__apply *a, int code, const char *what, const char *path);
/* A modified entry that is to be of another type than it was (or is, for a forced apply). */
bool pf__apply_retype(const struct pf_change *c);

/* Find every conflict and protected path; fills the report and turns finished entries into PF__DO_DONE. */
int pf__apply_check(struct pf__apply *a);
/* Just before an entry goes: is it still the one that the check saw? (not ctime: our own removal of another
 * name of the same file changes that) */
bool pf__apply_still(const struct pf_change *c, const struct stat *now);

/* apply_same.c: is the workspace's entry as the change wants it? parent is the directory it is in. 1, 0,
 * -errno. */
int pf__apply_same(struct pf__apply *a, const struct pf_change *c, int parent, const char *leaf,
		   const struct stat *st);
/* The mode that an entry is to have: set-id bits go, but a directory keeps an inherited setgid. */
mode_t pf__apply_mode(const struct pf_change *c, const struct stat *parent);

/* apply_write.c. Directories are made so that we can get in; pf__apply_dir_mode() gives them theirs at the
 * end. */
int pf__apply_write(struct pf__apply *a, size_t i);
int pf__apply_remove(struct pf__apply *a, size_t i);
int pf__apply_dir_mode(struct pf__apply *a, size_t i);

#endif
