/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Change sets: what a cow workspace differs in.
 *
 * pf_change_collect() walks an overlay upper and spills it into a directory of the state:
 *
 *      STATE/changes/ID/meta.json   id, workspace (base64 where not UTF-8), times, command, counts
 *      STATE/changes/ID/manifest    one JSON object a line, sorted by path (parents first)
 *      STATE/changes/ID/blobs/N     contents of added and modified regular files, N from 1
 *
 * While it is written the directory is called ".ID"; a set is there whole or not at all. meta.json also
 * has the reference time: the ctime of an empty file made on the workspace's file system at the start.
 *
 * so that diff, apply and drop need neither the overlay nor the sandbox. Everything in the upper was
 * written by the enemy: names are bytes, links are never followed, sizes and counts are capped.
 */
#ifndef PF_WORKSPACE_CHANGE_H
#define PF_WORKSPACE_CHANGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "base/error.h"
#include "policy/policy.h"

enum pf_change_op { PF_ADDED = 'A', PF_MODIFIED = 'M', PF_DELETED = 'D' };

struct pf_change {
	enum pf_change_op op;
	char *path;	   /* relative to the workspace, bytes */
	mode_t mode;	   /* type and permissions after the change (0 for deletions) */
	mode_t old_mode;   /* before (0 for additions): a type that changed shows here */
	uint32_t uid, gid; /* of the inside */
	uint64_t size;
	int64_t mtime_ns;
	uint64_t blob; /* 0: none */
	char *target;  /* of a symbolic link */
	bool content;  /* MODIFIED: the bytes differ (else only mode or type) */
	bool opaque;   /* a directory that replaced all that was beneath it */
	bool protect;  /* matches the policy's protect list: apply refuses it unless told */
	bool hidden;   /* ADDED at a path that the mask layer hid: what the user may have there was never seen
			*/
	/* what the host's file was when the sandbox started, for conflicts: from the lower at collect time */
	uint64_t old_size;
	int64_t old_mtime_ns, old_ctime_ns;
};

struct pf_changeset {
	char id[40];
	char *workspace;      /* absolute path of the user's directory */
	int64_t reference_ns; /* ctime of a file made at the start on the workspace's own file system */
	int64_t created;      /* seconds since the epoch */
	char *command;	      /* one printable line */
	struct pf_change *items;
	size_t count;
	uint64_t added, modified, deleted;
	bool truncated; /* something is missing (a cap, an unreadable file): apply refuses it */
	/* truncated, but no entry is missing, only contents: apply takes what is named and has its content */
	bool by_name;
	char *note; /* what is missing, one printable line; NULL if nothing */
};

#define PF_CHANGES_MAX 1000000u

struct pf_collect {
	int upper_fd, lower_fd;	  /* directories; the walk never leaves them */
	const char *xattr_prefix; /* "trusted.overlay." or "user.overlay." */
	/* host ids less these are the inside's; UINT32_MAX: ids are the inside's as stat shows them */
	uint32_t uid_base, gid_base;
	uint32_t uid_fixed; /* with base UINT32_MAX: 1 = everything belongs to the user (1000) */
	/* Take files of the upper as they are (by a hard link) instead of copying them, where possible; the
	 * caller does not use the upper again. */
	bool move_blobs;
	const struct pf_list *protect;
	const char *workspace; /* absolute, without symbolic links on the way: apply follows none */
	const char *command, *id;
	int64_t reference_ns;
	/* Paths that the mask layer hid (pf_mask_resolve()'s answer); NULL: none. The sandbox never saw them,
	 * so they are not deleted with their directory, nor compared with what it put in their place: that is
	 * an addition, and marked as hidden. */
	const struct pf_list *masked;
	/* Bytes to copy at most for renamed directories, whose files are the user's own; 0: 1 GiB. */
	uint64_t lower_bytes_max;
	/* Bytes of the manifest at most, as written; 0: 64 MiB. Milliseconds for the walk; 0: 20 s. Beyond
	 * either, and beneath 256 directories, the set is truncated. */
	uint64_t manifest_bytes_max;
	unsigned walk_ms_max;
};
/* changes_fd: the changes/ directory. Writes ID/ (nothing at all if nothing changed: out->count 0). A file
 * that was copied up but is the same in bytes, mode and owner is no change. Returns 0 and the counts in *out
 * (items not filled). */
int pf_change_collect(int changes_fd, const struct pf_collect *what, struct pf_changeset *out,
		      struct pf_error *err);

int pf_change_load(int changes_fd, const char *id, struct pf_changeset *out,
		   struct pf_error *err); /* id may be a unique prefix, or "last" */
/* What meta.json says, without the items; id is a whole one. */
int pf_change_counts(int changes_fd, const char *id, struct pf_changeset *out, struct pf_error *err);
void pf_change_free(struct pf_changeset *c);
int pf_change_drop(int changes_fd, const char *id, struct pf_error *err);
/* ids of all change sets, oldest first */
int pf_change_list(int changes_fd, struct pf_list *ids, struct pf_error *err);

/* Output. Paths and content are the enemy's: for a terminal they go through pf_printable(); in unified diffs
 * paths are quoted as git does (core.quotepath) and control bytes of the content are shown as \xNN when
 * `terminal`, kept when not (so that `diff ID | patch -p1` and `git apply` work). Binary files and
 * those above 64 MiB are named only, which `git apply` refuses. */
int pf_change_print_list(const struct pf_changeset *c,
			 struct pf_buf *out); /* "A path", "M path (mode 755)" ... */
int pf_change_print_json(const struct pf_changeset *c, unsigned indent, struct pf_buf *out);
int pf_change_print_stat(const struct pf_changeset *c, struct pf_buf *out);
/* Unified diff against the user's directory as it is now (git format: a/ b/, modes, new/deleted, symlinks as
 * 120000); what the sandbox added is shown as new, whatever is there. notes (NULL: not wanted): "path: what"
 * for what the patch does not show so: modes, FIFOs, empty directories, additions over something; bytes as in
 * pf_apply_report. */
int pf_change_print_diff(int changes_fd, const struct pf_changeset *c, bool terminal, int out_fd,
			 struct pf_list *notes, struct pf_error *err);

struct pf_apply {
	/* Apply over conflicts. Not over a symbolic link, a mount, a missing directory or a tree in the way;
	 * over what was hidden from the sandbox only with allow_protected too;
	 * and a removed directory stays, with a note, if it has entries that the sandbox did not see. */
	bool force;
	bool allow_protected;
	const struct pf_list *only; /* paths (files, or directories with all beneath); NULL: everything */
	bool dry_run;
};
struct pf_apply_report {
	/* Paths are bytes as the sandbox made them: pf_printable() them for a terminal. */
	struct pf_list applied, conflicts, protected_paths; /* conflicts: "path: reason" */
	/* "path: what" was not applied or not as it was (sockets, set-id bits, owners), and links that lead
	 * out */
	struct pf_list notes;
};
/* Conflicts and protected paths are found for everything before anything is written; with any, nothing is
 * written and -EEXIST (conflicts) or -EPERM (protected) comes back with the report filled; -E2BIG for a set
 * that is not whole (see by_name). Works by descriptors beneath the workspace and never follows a link; files
 * are staged beside their place and renamed. New files belong to the owner of their directory, modified ones
 * keep theirs. Times are those of the apply, in the order of the sandbox's. Not yet resumable: if it is cut
 * off, what was renamed stays, a repeated apply ends it (entries that already are as they should be are no
 * conflict). */
int pf_change_apply(int changes_fd, const struct pf_changeset *c, const struct pf_apply *how,
		    struct pf_apply_report *report, struct pf_error *err);
void pf_apply_report_free(struct pf_apply_report *r);

#endif
