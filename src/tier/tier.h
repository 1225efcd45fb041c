/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tier gives three things: a Linux kernel, a root image, and one connected socket to
 * pinfold-init. Everything else is the same program in all of them. This is the whole of what
 * sandbox/ knows about a tier; a tier includes nothing of another tier.
 */
#ifndef PF_TIER_TIER_H
#define PF_TIER_TIER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/dirs.h"
#include "base/error.h"
#include "image/store.h"
#include "linux/helper.h"
#include "policy/policy.h"
#include "proto/msg.h"
#include "tier/receipt.h"
#include "view/view.h"
#include "workspace/change.h"

struct pf_tier;

/* What a host can do, proved by doing it. */
struct pf_probe_item {
	const char
		*name; /* "userns", "mount", "proc", "overlay", "seccomp", "landlock", "cgroup" ... static */
	bool ok;
	char detail[160]; /* what was seen */
	char mend[200];	  /* the line that would mend it; "" if ok or none is known */
};
#define PF_PROBE_ITEMS 24
struct pf_probe {
	bool usable;   /* a sandbox with this tier can be made */
	char why[200]; /* one line: why, or why not */
	struct pf_probe_item items[PF_PROBE_ITEMS];
	unsigned count;
};

struct pf_box_spec {
	const char *id;
	const struct pf_policy *policy;
	const struct pf_image
		*image; /* held by the caller for as long as the box; NULL: the host's own tools */
	const struct pf_dirs *dirs;
	bool progress;	    /* programs that unpack an image may tell of it on standard error */
	const char *breaks; /* PF_BREAK in test builds; "" otherwise */
};

/* A sandbox as its tier holds it. The tier allocates it as the first member of its own struct. */
struct pf_box {
	const struct pf_tier *tier;
	int sock;			   /* the host's end; taken by the caller (pf_take_fd) after create */
	struct pf_msg_hello hello;	   /* ready to be sent; strings live as long as the box */
	uint32_t command_uid, command_gid; /* inside */
	uint32_t host_uid, host_gid;	   /* the same, as the host sees them */
	char *command; /* one printable line, the first command's; for change sets. The sandbox sets it */
	char *workspace_at; /* where the workspace is inside; NULL: none */
	int workspace_fd;   /* the host's directory, and what of it is hidden: paths; or -1 and NULL */
	const struct pf_list *hidden;
	const char *home, *user; /* "/home/user" "user"; "/root" "root" */
	char *tools_path;	 /* directories to put before PATH, colon-separated, or NULL */
	const char *approved;	 /* commands.allow: what is, for a hint; NULL: there is no list, or no view */
	struct pf_list may_exec; /* ... and the mounts inside that may be without noexec */
	struct pf_receipt receipt; /* what is known before the first exec: tier, why, limits_by, unenforced,
				      unprotected ... */
	uint32_t held;		   /* PF_LIMIT_* that something now holds */
};

struct pf_box_events {
	int64_t oom, pids, disk;
}; /* grown counters; -1 unknown. disk: 1 once no free block or inode */
struct pf_box_usage {
	int64_t cpu_ms, peak_memory, processes_peak;
	const char *source;
};

struct pf_tier {
	const char *name;
	/* dirs: where it may try what needs a file; or NULL */
	int (*probe)(const struct pf_dirs *dirs, struct pf_probe *out, struct pf_error *err);
	/* Make the wall and start init in it. Limits that the policy requires and the host cannot hold:
	 * -EPERM. */
	int (*create)(const struct pf_box_spec *spec, struct pf_box **out, struct pf_error *err);
	/* create() returns when the wall is being built; this waits until it stands, so that the caller can
	 * do its own part meanwhile. */
	int (*settle)(struct pf_box *b, struct pf_error *err);
	int (*exec_create)(struct pf_box *b, uint32_t exec,
			   struct pf_error *err); /* what must exist before PREPARE */
	/* Read about the waiting launcher from outside. ready is init's word, a hint only. */
	int (*inspect)(struct pf_box *b, uint32_t exec, const struct pf_msg_ready *ready,
		       struct pf_outside *out, struct pf_error *err);
	void (*exec_kill)(struct pf_box *b, uint32_t exec); /* all its processes; -> reaped by init */
	bool (*exec_separate)(const struct pf_box *b); /* can execs be killed one by one from outside? else
							  one at a time, and REAP */
	void (*exec_remove)(struct pf_box *b, uint32_t exec);
	void (*events)(struct pf_box *b, uint32_t exec, struct pf_box_events *out);
	void (*usage)(struct pf_box *b, uint32_t exec, struct pf_box_usage *out);
	/* Where a process of the host's side that works for this sandbox starts, and as whom (as root; else
	 * the ids are 0). The caller closes the groups. */
	int (*helper)(struct pf_box *b, struct pf_helper_groups *groups, uid_t *uid, gid_t *gid,
		      struct pf_error *err);
	int (*freeze)(struct pf_box *b, bool frozen, struct pf_error *err);
	/* Begin to kill everything inside, without waiting. */
	void (*doom)(struct pf_box *b);
	/* The same, and wait: afterwards nothing runs. */
	void (*stop)(struct pf_box *b);
	/* The change set of a workspace with an upper, under the name id; counts in *out; nothing kept if
	 * nothing changed. After stop, or (mode rw) while no command runs: then the workspace is not there
	 * any more until renew(). */
	int (*collect)(struct pf_box *b, int changes_fd, const char *id, struct pf_changeset *out,
		       struct pf_error *err);
	/* What create() took of an index as it was the last time is still to be confirmed. look: a little of
	 * it, for while others work; true: there is nothing left to look at. confirm: the rest, before the
	 * first command starts. 1: it does not hold, and the workspace must be renewed. */
	bool (*look)(struct pf_box *b);
	int (*confirm)(struct pf_box *b, const struct pf_box_spec *spec, struct pf_error *err);
	/* A command is about to start, and none has in this workspace: what the host changed until now is no
	 * conflict later, since it sees it. */
	void (*begin)(struct pf_box *b);
	/* The workspace as a new sandbox would get it, in place of the one that was collected from. 1: it is
	 * another one, and init's rules for launchers must be made anew; 0: the old one is as good as new. */
	int (*renew)(struct pf_box *b, const struct pf_box_spec *spec, struct pf_error *err);
	/* Is no block or no inode left where commands can write? */
	bool (*full)(const struct pf_box *b);
	void (*destroy)(struct pf_box *b); /* stop, remove every trace, free; NULL is fine */
	/* What pinfold-refuse left since it was last asked: a path a line. Of unknown origin, and bounded. */
	void (*refused)(struct pf_box *b, struct pf_buf *lines);
	/* commands.allow, closed over the root that a sandbox would have. Makes none. */
	int (*programs)(const struct pf_box_spec *spec, struct pf_view_list *out, struct pf_error *err);
	/* Lines for RUNTIME/ID, so that a sweep can remove what is left after a kill -9. */
	void (*describe)(const struct pf_box *b, struct pf_buf *lines);
};

extern const struct pf_tier pf_tier_container;

/* The tiers of this build, strongest first; NULL-terminated. */
extern const struct pf_tier *const pf_tiers[];
/* auto: the strongest usable; a name: that one, or -ENOTSUP with the reason and the mend. *why is one line
 * for the receipt. */
int pf_tier_choose(const struct pf_policy *p, const struct pf_tier **out, char why[200],
		   struct pf_error *err);

#endif
