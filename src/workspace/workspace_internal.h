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

#define PF__MANIFEST_MAX (UINT64_C(64) << 20) /* bytes, as written */

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
/* The next run of data at or behind `at`: [*from, *to), empty at n. Without SEEK_DATA all is data. */
void pf__ws_next_data(int fd, uint64_t at, uint64_t n, uint64_t *from, uint64_t *to);
/* Are the first n bytes of both the same? 1, 0 or -errno. Holes that both have are skipped. */
int pf__ws_same_bytes(int a, int b, uint64_t n);

/* --- attrs.c: extended attributes ------------------------------------------------------------- */
/* Those of "user." less what begins with skip (or NULL), sorted. others: there are more, of other namespaces
 * or too large. Descriptors may be O_PATH here. 0 or -ENOMEM; what cannot be read counts as absent. */
int pf__attrs_read(int fd, const char *skip, struct pf_attrs *out, bool *others);
bool pf__attrs_same(const struct pf_attrs *a, const struct pf_attrs *b);
int pf__attrs_add(struct pf_attrs *a, const char *name, const void *value, size_t size); /* behind the last */
int pf__attrs_copy(struct pf_attrs *to, const struct pf_attrs *from);
void pf__attrs_free(struct pf_attrs *a);
/* Does the file system have them? (tmpfs: since Linux 6.6) */
bool pf__attrs_supported(int fd);
/* Set what is wanted and remove all others of "user.". 0 or -errno, -EOPNOTSUPP where there are none. */
int pf__attrs_give(int fd, const struct pf_attrs *want);
/* A replaced file's access list for the new one. chmod(2) afterwards fits it to the mode. 0 or -errno. */
int pf__attrs_keep_acl(int from, int to);

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
/* A file that has several names in the upper, or in a directory that was renamed. */
struct pf__file {
	dev_t dev;
	ino_t ino;
	uint64_t blob;	 /* 0: none yet */
	char *keeper;	 /* a name of it that the workspace has and keeps; NULL: none known */
	uint64_t names;	 /* entries of the set that are names of it */
	uint64_t number; /* as the set has it; 0: not yet */
	bool protect;	 /* keeper is a protected path */
};

struct pf__collect {
	const struct pf_collect *what;
	struct pf_changeset set;    /* being filled */
	size_t room;		    /* of set.items; until all is walked their `link` is a number in files */
	struct pf__protect protect; /* what->protect, compiled */
	struct pf_buf line;	    /* scratch: an entry as the manifest will have it */
	uint64_t manifest_bytes;    /* of all entries, as they will be written */
	int64_t deadline_ns;	    /* CLOCK_MONOTONIC */
	bool cut;		    /* entries are missing, not only contents */
	bool full;		    /* a cap ended the walk */
	bool upper_attrs;	    /* the upper's file system has attributes of "user." */
	struct pf_list hidden;	    /* what->masked, sorted */
	struct stat upper_root, lower_root;
	int blobs_fd;
	uint64_t blobs;		/* the last number given */
	uint64_t blob_bytes;	/* that they take */
	uint64_t lower_bytes;	/* copied out of the workspace for renamed directories */
	bool linked;		/* some blobs are links of files in the upper */
	struct pf__file *files; /* numbered from 1; [0] is none */
	size_t file_count, file_room;
	uint32_t *file_hash; /* numbers by device and inode, 0 for a free slot; twice file_room of them */
	struct pf_error *err;
};

/* One side of a comparison: an entry of an open directory. */
struct pf__side {
	bool exists;
	bool lower; /* read from the workspace, not from the upper */
	int dirfd;
	int fd; /* of a directory: itself; else -1 */
	const char *name;
	struct stat st;
};

int pf__collect_walk(struct pf__collect *c);
/* Compare and record. Directories' contents are not looked at. 0 or -errno. */
int pf__collect_emit(struct pf__collect *c, const char *path, const struct pf__side *view,
		     const struct pf__side *base, bool opaque, bool protect);
/* The content of an added or changed entry, into ch: a link's target, a file's blob. */
int pf__collect_content(struct pf__collect *c, struct pf_change *ch, const struct pf__side *view);
bool pf__collect_same(const struct pf__side *view, const struct pf__side *base);
/* Keep a regular file's bytes in ch->blob, which is 0 if they could not be kept and the set is marked
 * truncated. Those of ch->link's file are kept once. */
int pf__collect_spill(struct pf__collect *c, struct pf_change *ch, const struct pf__side *view);
/* What both sides have of attributes, into ch: all that it is to have, and whether that differs. */
int pf__collect_attrs(struct pf__collect *c, const struct pf__side *view, const struct pf__side *base,
		      struct pf_change *ch);
/* The number of the file that this side is a name of; 0 if it has no other name. */
int pf__hardlinks_find(struct pf__collect *c, const struct pf__side *view, uint64_t *number);
/* path stays in the workspace and is this file: its bytes did not change. */
int pf__hardlinks_keep(struct pf__collect *c, uint64_t number, const char *path);
/* When all is walked and sorted: number the files that have several names, in the order of the paths. */
void pf__hardlinks_finish(struct pf__collect *c);
void pf__hardlinks_free(struct pf__collect *c);
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
/* Content that may be secret, by where it stands. */
bool pf__change_secret(const struct pf_change *c);
/* left has some of all's items, the others were applied: number its links anew. Names that are gone from it
 * stand in the workspace now, so that the first of each file is a link to one of those. Pointers stay all's.
 * 0 or -ENOMEM. */
int pf__hardlinks_reduce(const struct pf_changeset *all, struct pf_changeset *left);
/* Its attributes are part of it: of what is new, has new bytes, or had them changed. */
bool pf__change_has_attrs(const struct pf_change *c);
/* A regular file whose bytes should be in the set and could not be kept. */
bool pf__change_lost(const struct pf_change *c);
int pf__meta_write(int dirfd, const struct pf_changeset *c, uint64_t blobs, uint32_t uid_base,
		   struct pf_error *err);
int pf__meta_read(int dirfd, struct pf_changeset *c, uint64_t *blobs, struct pf_error *err);
/* "key": text, or "key_b64" where it is not UTF-8. */
void pf__json_bytes(struct pf_jsonw *w, const char *key, const char *key_b64, const char *s);
/* Strict base64 (RFC 4648, padded, no spaces) of bytes without NUL; NULL if it is not. */
char *pf__base64_decode(const char *s, size_t n);
void *pf__base64_bytes(const char *s, size_t n, size_t *size); /* any bytes, and a NUL behind them */

/* --- retain.c --------------------------------------------------------------------------------- */
/* A set of this many bytes was kept just now: drop old ones if it is time. What cannot be done is tried again
 * with the next one. */
void pf__retain_one(int changes_fd, const char *id, uint64_t bytes);
/* With the bounds given; keep: never this one (or NULL). now: seconds since the epoch. */
int pf__retain(int changes_fd, const char *keep, int64_t now, int64_t age_max, uint64_t bytes_max,
	       unsigned *dropped, struct pf_error *err);

/* --- store.c ---------------------------------------------------------------------------------- */
bool pf__change_id_ok(const char *id);
/* "blobs/N" of a change set, opened for reading; it must be a regular file of this size. */
int pf__change_open_blob(int set_fd, const struct pf_change *c, struct pf_error *err);
int pf__change_open_set(int changes_fd, const char *id, struct pf_error *err);
/* Out of the list and away; id is a whole one. */
int pf__change_remove(int changes_fd, const char *id, struct pf_error *err);
/* Which directory a descriptor is: struct pf_change_place. 0 or -errno. */
int pf__change_place(int fd, struct pf_change_place *out);
/* Is it the same? A device number may change with a boot, the file system's id with its kind. */
bool pf__change_same_place(const struct pf_change_place *a, const struct pf_change_place *b);
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

/* --- applied.c: was a set applied? For people who look at a list of them; nothing is decided by it. --- */
void pf__applied_mark(int set_fd, bool whole); /* a set that was applied whole stays so */
enum pf_set_applied pf__applied_read(int set_fd);

#endif
