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
#include "guard/command.h"
#include "guard/prompt_client.h"
#include "guard/redact.h"
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
	const char *kind;	    /* net command path; static */
	char *target, *rule, *hint; /* target and hint may be NULL */
	uint64_t count;		    /* how often */
};

/* One that the proxy allowed. Strings from inside passed its checks: printable ASCII. */
struct pf_connection {
	uint64_t id, request;		     /* the proxy's numbers */
	char *target, *address, *rule;	     /* as asked for; what was dialled; or NULL */
	const char *protocol;		     /* connect http socks; static, or NULL */
	const char *verdict;		     /* allowed unreached; static */
	const char *reason;		     /* why it ended other than in order; static, or NULL */
	char *error;			     /* in words, or NULL */
	int64_t sent, received, duration_ms; /* -1: it had not ended with the command */
};

/* What became of the changes where they were to be applied by themselves (rw, --apply). */
enum pf_applied_state {
	PF_APPLIED_NULL, /* that was not asked for */
	PF_APPLIED_ALL,
	PF_APPLIED_SOME,    /* what is protected stays as the change set */
	PF_APPLIED_NONE,    /* all of it does: `why` */
	PF_APPLIED_PENDING, /* other commands still run: with the end of the last */
};
struct pf_applied {
	enum pf_applied_state state;
	uint64_t entries;
	char *why; /* NULL: null */
	/* "path: reason", paths, "path: what"; bounded. Of unknown origin */
	struct pf_list conflicts, held, notes;
};
const char *pf_applied_name(enum pf_applied_state s); /* "all" */
struct pf_result;
/* Which paths of a kept change set may hold a secret, into the result. */
int pf_result_secrets(struct pf_result *r, int changes_fd, const char *id, struct pf_error *err);
/* Apply a kept change set as far as nothing holds it back. changes_id: what stays, "" if nothing does. */
struct pf_dirs;
void pf_kept_apply(const struct pf_dirs *dirs, int changes_fd, const char *id, struct pf_applied *out,
		   char changes_id[40]);
void pf_applied_free(struct pf_applied *a);
/* pf_sandbox_end(), which also says what of the changes is in no set: *note is the caller's, NULL if nothing.
 */
struct pf_sandbox;
int pf_sandbox_end_noted(struct pf_sandbox *s, char **changes_id, char **note, struct pf_error *err);

/* What was judged before the command started. */
struct pf_guard {
	bool judged, enforced;
	bool shell; /* a shell ran it, or would have; false: pinfold started the vectors itself */
	struct pf_command_verdict verdict;
};

/* A text that was judged, or was to be. */
struct pf_prompts {
	struct pf_prompt_said {
		char *name; /* as it is called: a file, "stdout" */
		bool tool;
		enum pf_guard_mode mode;
		struct pf_prompt_verdict verdict; /* answer NULL: none */
		char *error;			  /* why there is none; NULL */
	} * items;
	size_t count;
};
/* verdict (or NULL) is taken. 0 or -ENOMEM, and then it is not. */
int pf_prompts_add(struct pf_prompts *p, const char *name, bool tool, enum pf_guard_mode mode,
		   struct pf_prompt_verdict *verdict, const char *error);
void pf_prompts_free(struct pf_prompts *p);
struct pf_jsonw;
void pf_prompts_json(const struct pf_prompts *p, struct pf_jsonw *w);

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
	uint64_t denials_left_out;
	struct pf_connection *connections;
	size_t connection_count;
	uint64_t connections_left_out;
	char *error;		       /* NULL: null. For boundary and error: what failed and what to do */
	struct pf_buf out, err;	       /* inline output, head and tail (keep.c) */
	uint64_t out_bytes, err_bytes; /* what the command wrote */
	bool truncated;
	struct pf_whole {
		bool cut;	/* what is inline is not all */
		bool kept;	/* there is a file with all that was within limits.output (outputs.h) */
		uint64_t bytes; /* of that */
		char *why;	/* it could not be kept; else NULL */
	} whole[2];		/* stdout, stderr */
	char *state;		/* the state directory that has them; NULL: none is kept */
	char started_at[40];	/* RFC 3339 UTC, milliseconds; "" : null */
	int64_t duration_ms;	/* -1: null */
	int64_t cpu_ms, peak_memory, processes_peak; /* -1: null */
	const char *usage_source;		     /* "cgroup" "rusage"; NULL: null */
	bool has_changes;			     /* a cow workspace was there */
	char changes_id[40];			     /* "" : nothing kept */
	uint64_t added, modified, deleted;
	bool incomplete;    /* the change set lacks something; changes_note says what */
	char *changes_note; /* NULL: null */
	struct pf_applied applied;
	struct pf_guard guard;
	struct pf_prompts prompts;
	struct pf_redact_account redactions;
	struct pf_list secrets; /* paths in the changes whose content may be secret */
	struct pf_receipt receipt;
};

void pf_result_init(struct pf_result *r);
void pf_result_free(struct pf_result *r);
/* Move a result so that it outlives its exec and its sandbox; *from is empty afterwards. 0 or -ENOMEM
 * (nothing moved). */
int pf_result_take(struct pf_result *to, struct pf_result *from);
int pf_result_argv(struct pf_result *r, const char *const *argv); /* copies; 0 or -ENOMEM */
/* Append a denial; strings are copied, target and hint may be NULL. One like another is counted there, what
 * is beyond 256 in denials_left_out. 1: it is a new one, 0, or -ENOMEM. */
int pf_result_deny(struct pf_result *r, const char *kind, const char *target, const char *rule,
		   const char *hint);
/* That it happened so often more. */
void pf__result_denied_again(struct pf_result *r, const char *kind, const char *target, const char *rule,
			     const char *hint, uint64_t times);
void pf_result_hit(struct pf_result *r, const char *kind, int64_t count); /* merges by kind */
/* Append the JSON object of DESIGN section 6 (indent 0: one line). tier NULL in the receipt: never got that
 * far. */
int pf_result_json(const struct pf_result *r, unsigned indent, struct pf_buf *out);
/* The exit code of the CLI by the table of DESIGN section 6. */
int pf_result_cli_code(const struct pf_result *r);
void pf__receipt_json(const struct pf_receipt *r, struct pf_jsonw *w); /* null when it never got that far */
const char *pf_signal_name(int signo, char buf[16]);		       /* "SIGSEGV", "SIGRTMIN+3" */

#endif
