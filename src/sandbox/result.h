/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The result of one exec (DESIGN section 6); its receipt is tier/receipt.h. Every field is always printed;
 * what is unknown is null, never 0: in these structs -1 or NULL, as each field says.
 */
#ifndef PF_SANDBOX_RESULT_H
#define PF_SANDBOX_RESULT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/json.h"
#include "policy/policy.h"
#include "tier/receipt.h"

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
	struct pf_buf out, err;	       /* inline output, head and tail (keep.c) */
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
