/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The result of one exec (DESIGN section 6) and its receipt. Every field is always printed;
 * what is unknown is null, never 0: in these structs -1 or NULL, as each field says.
 */
#ifndef PF_SANDBOX_RESULT_H
#define PF_SANDBOX_RESULT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/sha256.h"
#include "policy/policy.h"
#include "proto/msg.h"

enum pf_cause {
	PF_CAUSE_NONE, /* not ended yet */
	PF_CAUSE_EXITED,
	PF_CAUSE_SIGNALLED,
	PF_CAUSE_TIMEOUT,
	PF_CAUSE_IDLE_TIMEOUT,
	PF_CAUSE_OUTPUT_LIMIT,
	PF_CAUSE_OOM,
	PF_CAUSE_PIDS,
	PF_CAUSE_DISK_LIMIT,
	PF_CAUSE_KILLED,
	PF_CAUSE_DENIED,
	PF_CAUSE_BOUNDARY,
	PF_CAUSE_ERROR,
};
const char *pf_cause_name(enum pf_cause c);

struct pf_limit_hit {
	const char *kind;
	int64_t count;
}; /* kind: oom pids disk_limit output_limit timeout idle_timeout; static string */

struct pf_denial {
	const char *kind; /* net command path; static */
	char *target, *rule, *hint;
};

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
	char *root_fs;				 /* type of the file system at the process's root */
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
	char *image; /* digest; NULL for host */
	char policy[PF_DIGEST_MAX];
	const char *init_uid;  /* "separate" or "shared" */
	const char *limits_by; /* "cgroup v2" ...: pf_cgroup_means() */
	struct {
		const char *limit;
		char *why;
	} unenforced[8];
	size_t unenforced_count;
	struct pf_list unprotected; /* "secrets: a/b/.env (no such directory)" */
	uint64_t foreign_owned;	    /* workspace files of other owners, counted at its top level; UINT64_MAX
				       unknown */
	uint64_t hidden; /* paths that exist in the workspace and were hidden; for the summary alone */
	const char *namespaces_missing; /* NULL, or e.g. "time": what the kernel does not have */
	const char *build;		/* NULL, or a banner: "test build: PF_BREAK", "sanitizer build" */
	char *own[8]; /* copies of the `const char *` above; pf_result_take(), pf_receipt_copy() */
};

struct pf_result {
	char id[40];
	struct pf_list argv;
	enum pf_cause cause;
	int exit_code; /* -1: null */
	int signal;    /* 0: null */
	struct pf_limit_hit hits[8];
	size_t hit_count;
	struct pf_denial *denials;
	size_t denial_count;
	char *error;		       /* NULL: null. For boundary and error: what failed and what to do */
	struct pf_buf out, err;	       /* inline output, head and tail (see output.h) */
	uint64_t out_bytes, err_bytes; /* what the command wrote */
	bool truncated;
	char started_at[40];			     /* RFC 3339 UTC, milliseconds; "" : null */
	int64_t duration_ms;			     /* -1: null */
	int64_t cpu_ms, peak_memory, processes_peak; /* -1: null */
	const char *usage_source;		     /* "cgroup" "rusage"; NULL: null */
	bool has_changes;			     /* a cow workspace was there */
	char changes_id[40];			     /* "" : nothing kept */
	uint64_t added, modified, deleted;
	bool incomplete;    /* the change set lacks something; changes_note says what */
	char *changes_note; /* NULL: null */
	struct pf_receipt receipt;
};

void pf_result_init(struct pf_result *r);
void pf_result_free(struct pf_result *r);
/* Deep copies. 0 or -ENOMEM; *to is then as pf_result_init() leaves it. */
int pf_receipt_copy(struct pf_receipt *to, const struct pf_receipt *from);
void pf_receipt_free(struct pf_receipt *r);
/* Move a result so that it outlives its exec and its sandbox; *from is empty afterwards. 0 or -ENOMEM
 * (nothing moved). */
int pf_result_take(struct pf_result *to, struct pf_result *from);
int pf_result_argv(struct pf_result *r, const char *const *argv); /* copies; 0 or -ENOMEM */
/* Append a denial; strings are copied, hint may be NULL. Bounded: what is beyond 256 is dropped. 0 or
 * -ENOMEM. */
int pf_result_deny(struct pf_result *r, const char *kind, const char *target, const char *rule,
		   const char *hint);
void pf_result_hit(struct pf_result *r, const char *kind, int64_t count); /* merges by kind */
/* Append the JSON object of DESIGN section 6 (indent 0: one line). tier NULL in the receipt: never got that
 * far. */
int pf_result_json(const struct pf_result *r, unsigned indent, struct pf_buf *out);
/* The exit code of the CLI by the table of DESIGN section 6. */
int pf_result_cli_code(const struct pf_result *r);
void pf__receipt_json(const struct pf_receipt *r, struct pf_jsonw *w); /* null when it never got that far */
const char *pf_signal_name(int signo, char buf[16]);		       /* "SIGSEGV", "SIGRTMIN+3" */

#endif
