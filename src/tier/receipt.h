/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receipt: the part of a result that proves the boundary (DESIGN section 6). A tier fills what it knows
 * when the box is made and the outside half of each exec; sandbox/ adds the inside half and decides.
 */
#ifndef PF_TIER_RECEIPT_H
#define PF_TIER_RECEIPT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/sha256.h"
#include "policy/policy.h"
#include "proto/msg.h"

/* What the host read about the waiting first process. Numbers as the HOST sees them. */
struct pf_outside {
	bool valid;
	pid_t pid;
	uid_t uid;
	gid_t gid;
	bool one_id; /* real, effective, saved and file system ids are these */
	unsigned groups;
	uint64_t cap_inh, cap_prm, cap_eff, cap_bnd, cap_amb;
	int no_new_privs, seccomp, seccomp_filters; /* -1 unknown */
	uint64_t ns[PF_NS_KINDS];		    /* inode; 0 unknown */
	bool ns_own[PF_NS_KINDS];		    /* differs from the host process's own */
	char *cgroup;				 /* path as /proc/PID/cgroup shows it, NULL: none of ours */
	int64_t memory_max, pids_max, cpu_milli; /* as the kernel reports them; -1 none */
	char *exec_mounts; /* commands.allow: where a mount is that is not noexec, with '\n' between; NULL
			      unknown */
	char *root_fs;	   /* type of the file system at the process's root */
};

struct pf_inside {
	bool valid;
	struct pf_msg_ready ready; /* decoded; strings owned by mem */
	void *mem;
};

/* Ownership. In the receipt of a result, what is `char *` (and inside.mem, the lists, unenforced[].why)
 * belongs to the result; `const char *` is static or outlives it, unless pf_result_take() copied it into
 * `own`. A tier's box receipt becomes a result's by pf_receipt_copy(), never by assignment. */
struct pf_receipt {
	const char *tier, *why; /* static or owned by the sandbox */
	char *kernel;		/* which kernel answers system calls: "Linux 6.18.44" */
	struct pf_inside inside;
	struct pf_outside outside;
	bool agree; /* the halves agree where both can see */
	char filter[PF_DIGEST_MAX];
	const char *filter_source; /* "read back" or "as given"; NULL: no filter */
	int landlock_abi;	   /* 0: none */
	bool landlock_scoped;
	char *image;		  /* digest; NULL for host */
	const char *image_by;	  /* "erofs file", "erofs loop", "unpacked"; NULL for host */
	const char *image_owners; /* of its files inside: "kept", "user", "nobody"; NULL for host */
	char policy[PF_DIGEST_MAX];
	const char *init_uid;  /* "separate" or "shared" */
	const char *limits_by; /* "cgroup v2" ...: pf_cgroup_means() */
	struct {
		const char *limit;
		char *why;
	} unenforced[8];
	size_t unenforced_count;
	const char *ws_mode, *ws_upper, *ws_lower; /* "cow", "tmpfs", "idmapped"; mode NULL: no workspace */
	struct pf_list unprotected;		   /* "secrets: a/b/.env (no such directory)" */
	uint64_t foreign_owned; /* workspace files of other owners, counted at its top level; UINT64_MAX
				   unknown */
	uint64_t hidden;	/* paths that exist in the workspace and were hidden; for the summary alone */
	struct {
		bool listed; /* there is commands.allow */
		size_t programs, refused;
		bool build;
		char view[72];
	} commands;
	const char *namespaces_missing; /* NULL, or e.g. "time": what the kernel does not have */
	struct {
		uint16_t port;	/* of the inside's loopback; 0: there is no door */
		int err;	/* errno that kept init from listening; 0 */
		uint32_t rules; /* what it leads to; 0: nothing */
		bool proxy;	/* somebody knocked, and pinfold-egress was started: */
		bool ready;	/* ... and has confined itself: */
		uint32_t held;	/* PF_EGRESS_HELD_*; its own word */
		int landlock_abi;
		uid_t uid;		/* on the host */
		char why[PF_ERROR_MAX]; /* nothing gets out any more, and why; "" otherwise */
	} door;
	const char *build; /* NULL, or a banner: "test build: PF_BREAK", "sanitizer build" */
	char *own[14];	   /* copies of the `const char *` above; pf_result_take(), pf_receipt_copy() */
};

void pf_receipt_init(struct pf_receipt *r); /* everything unknown */
/* A deep copy: 0, or -ENOMEM and *to as pf_receipt_init() leaves it. */
int pf_receipt_copy(struct pf_receipt *to, const struct pf_receipt *from);
void pf_receipt_free(struct pf_receipt *r); /* leaves it as pf_receipt_init() does */
/* Replace the borrowed strings by copies, so that it outlives the box it came from. 0 or -ENOMEM. */
int pf_receipt_own(struct pf_receipt *r);

#endif
