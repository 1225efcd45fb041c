/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Change sets: what a cow workspace differs in.
 *
 * pf_change_collect() walks an overlay upper and spills it into a directory of the state:
 *
 *      STATE/changes/ID/meta.json   id, workspace (base64 where not UTF-8), times, command, counts
 *      STATE/changes/ID/manifest    one JSON object a line, sorted by path (parents first)
 *      STATE/changes/ID/blobs/N     contents of added and modified regular files, N from 1
 *      STATE/changes/ID/plan        while it is being applied: what is to be done (apply_internal.h)
 *      STATE/changes/ID/applied     "all" or "part": it was, and stays until it is dropped
 *      STATE/changes/.applied.d/    what applies wrote, one file a workspace (remember.c)
 *      STATE/changes/.kept.json     how much is kept, for the bounds on it (retain.c)
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

/* An extended attribute of the namespace "user.": the only one that a change set carries. */
struct pf_attr {
	char *name; /* whole: "user.x"; bytes */
	void *value;
	size_t size;
};
struct pf_attrs {
	struct pf_attr *items; /* sorted by name */
	size_t count;
};

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
	/* Names of one file have the same number (0: it has one name); numbers count up from 1 in the order
	 * of the paths. On the first of them: another name that the workspace has and that did not change in
	 * its bytes, or NULL. */
	uint64_t link;
	char *link_to;
	struct pf_attrs attrs; /* ADDED, content, attrs_differ: all that it is to have */
	bool attrs_differ;     /* MODIFIED */
	bool other_attrs; /* it has others (access lists, capabilities), or too many: they are not kept */
	bool content;	  /* MODIFIED: the bytes differ (else only mode, owner or attributes) */
	bool opaque;	  /* a directory that replaced all that was beneath it */
	bool protect;	  /* matches the policy's protect list: apply refuses it unless told */
	bool hidden; /* ADDED at a path that the mask layer hid: what the user may have there was never seen
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
	uint64_t bytes;	  /* that it takes in the state directory */
	uint64_t secrets; /* how many entries stand where the policy hides secrets: pf_change_secrets() */
	/* Which directory the workspace was. fsid: of statfs(2), for device numbers may change with a boot.
	 */
	struct pf_change_place {
		uint64_t dev, ino, fsid;
	} place;
	size_t *links; /* for each number in items[].link, less one: the first item that has it */
	size_t link_count;
	bool half_applied; /* an apply of it was cut off, or runs */
	/* Was it ever applied? Only the paths that were named then count as a part. */
	enum pf_set_applied { PF_SET_FRESH, PF_SET_PART, PF_SET_APPLIED } applied;
	bool truncated; /* something is missing (a cap, an unreadable file): apply refuses it */
	/* truncated, but no entry is missing, only contents: apply takes what is named and has its content */
	bool by_name;
	char *note; /* what is missing, one printable line; NULL if nothing */
	/* The sandbox gave the workspace's own directory another mode, which no set carries; 0: it did not.
	 * Only from pf_change_collect(): it may be all that there is, and then nothing is kept. */
	mode_t top_mode;
};

#define PF_TOP_MODE_NOTE                                                                                     \
	"the mode %o that the workspace's own directory was given is not kept" /* of top_mode */

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
/* A set that is half applied is refused (-EBUSY) without force; with it, what the apply had staged in the
 * workspace is removed, and what it wrote stays. -EBUSY also while it is being applied. note (or NULL): what
 * could not be cleaned up, "" if nothing; the caller's, PF_ERROR_MAX bytes. */
int pf_change_drop(int changes_fd, const char *id, bool force, char *note, struct pf_error *err);
/* Bytes that a set takes, and whether it is half applied, without reading all of it. */
int pf_change_usage(int changes_fd, const char *id, uint64_t *bytes, bool *half_applied);

/* Kept sets stay a week, and all of them together a GiB: then the oldest go first, never the newest and none
 * that is half applied. Done now and then when one is kept; here at once. Returns how many were dropped. */
#define PF_CHANGES_KEEP_S     (7 * 24 * 3600)
#define PF_CHANGES_KEEP_BYTES (UINT64_C(1) << 30)
int pf_change_retain(int changes_fd, unsigned *dropped, struct pf_error *err);
/* Paths whose content may hold a secret: entries where the policy hid something from the sandbox. Added to
 * out; 0 or -ENOMEM. */
int pf_change_secrets(const struct pf_changeset *c, struct pf_list *out);
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

/* The set as a layer of an OCI image, a pax tar (export.c says how each kind of change stands in it): put
 * over the old tree by an unpacker of such layers it gives the new one. The same set gives the same bytes.
 * What only changed its mode is read from the workspace, and -ESTALE if it is not as it was. -EPERM with
 * secrets in the set, unless with_secrets. notes (NULL: not wanted): "path: what" a layer cannot hold. */
int pf_change_export(int changes_fd, const struct pf_changeset *c, bool with_secrets, int out_fd,
		     struct pf_list *notes, struct pf_error *err);

/* An apply makes what is new in a directory of this name, and random digits, at the top of the workspace.
 * While one is there a change set is half applied; no sandbox is shown it, and what is called so is
 * protected. */
#define PF_STAGE_PREFIX ".pinfold-apply-"
/* The names at the top of a workspace that begin so. 0 or -errno. */
int pf_apply_stages(int workspace_fd, struct pf_list *names);

struct pf_apply {
	/* Apply over conflicts. Not over a symbolic link, a mount, a missing directory or a tree in the way;
	 * over what was hidden from the sandbox only with allow_protected too; and a removed directory stays,
	 * with a note, if it has entries that the sandbox did not see. Going on with a half-applied set, it
	 * covers what changed since that apply began. */
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
	bool resumed; /* it went on with an apply that was cut off; `applied` has what this one did */
	bool half;    /* on failure: some of it is applied; the same call again goes on */
};
/* Conflicts and protected paths are found for everything before anything is written; with any, nothing is
 * written and -EEXIST (conflicts) or -EPERM (protected) comes back with the report filled; -E2BIG for a set
 * that is not whole (see by_name); -ESTALE if the workspace is another directory than it was (force lifts
 * that); -EBUSY while another apply of the set runs.
 *
 * Works by descriptors beneath the workspace and never follows a link. All that is new is made in a directory
 * of a random name at the top of the workspace; then a plan is written into the state directory, and each
 * entry takes its place by one rename. An apply that fails before the first of them leaves nothing; one that
 * is cut off later is half applied: the next call goes on, with the paths of the first (only NULL, or the
 * same), and what the user changed in between is a conflict. A rename exchanges: what stood there is looked
 * at once more before it goes.
 *
 * New files belong to the owner of their directory, modified ones keep theirs. Times are those of the apply,
 * in the order of the sandbox's. What it wrote is remembered, so that it is not taken for the user's change
 * by a set whose sandbox started before. */
int pf_change_apply(int changes_fd, const struct pf_changeset *c, const struct pf_apply *how,
		    struct pf_apply_report *report, struct pf_error *err);
void pf_apply_report_free(struct pf_apply_report *r);
/* The same for an apply that nobody looks at first: what is protected, or would go over what was hidden from
 * the sandbox, is held back (report->protected_paths) and stays as the set, of which what was applied is no
 * part any more; a set that is applied whole is dropped. *left: entries that stay. Conflicts: -EEXIST,
 * nothing is applied and all stays. */
int pf_change_apply_free(int changes_fd, const char *id, struct pf_apply_report *report, size_t *left,
			 struct pf_error *err);

#endif
