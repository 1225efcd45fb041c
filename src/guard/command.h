/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command policy (DESIGN section 10): what a command line would do, judged before anything starts. It is
 * a signal and a seat belt, never the wall: code of the repository may do whatever the sandbox lets it do.
 *
 *	line --pf_command_parse()--> plan: vectors, operators, redirections  --pf_command_judge()--> verdict
 *
 * The reader takes a small part of the POSIX shell's grammar, in which all shells agree, and refuses the
 * rest: what is not understood is never allowed. A plan can be run without a shell, so that no second parser
 * can read the line in another way.
 */
#ifndef PF_GUARD_COMMAND_H
#define PF_GUARD_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/json.h"
#include "base/list.h"
#include "guard/mode.h"

/* Every cap fails closed (a guard that stopped to look after 50 commands was walked around with the 51st). */
#define PF_COMMAND_LINE_MAX    (64u << 10) /* bytes */
#define PF_COMMAND_WORDS_MAX   4096u	   /* of a line, the lines inside it included */
#define PF_COMMAND_VECTORS_MAX 128u
#define PF_COMMAND_DEPTH_MAX   8u /* a command in the arguments of a command */

/* What the sandbox must do to a word before it is what the command gets. No expansion is trusted as text. */
enum pf_word_expand {
	PF_WORD_GLOB = 1u << 0,	 /* * ? [ outside quotes; `pattern` has the quoted ones behind backslashes */
	PF_WORD_VAR = 1u << 1,	 /* $NAME or ${NAME} */
	PF_WORD_TILDE = 1u << 2, /* a ~ that a shell may expand */
	PF_WORD_FOUND =
		1u << 3, /* in a command inside a command: paths that the outer one finds beneath its own */
	PF_WORD_INPUT = 1u << 4, /* likewise: anything that the outer one reads */
	PF_WORD_SPLIT = 1u << 5, /* a variable outside quotes: it may become several words, or none */
};

struct pf_command_word {
	const char *text;    /* quotes removed; variables still as written */
	const char *pattern; /* with PF_WORD_GLOB, else NULL */
	unsigned expand;     /* enum pf_word_expand */
};

enum pf_redir_kind {
	PF_REDIR_READ,	 /* < */
	PF_REDIR_WRITE,	 /* > */
	PF_REDIR_APPEND, /* >> */
	PF_REDIR_DUP,	 /* >&1, >&2: of descriptor `from` */
	PF_REDIR_TEXT,	 /* a here-document without expansions: target.text is what is read */
};

struct pf_command_redir {
	enum pf_redir_kind kind;
	int fd, from; /* 0, 1 or 2 */
	struct pf_command_word target;
};

enum pf_command_then { PF_THEN_END, PF_THEN_PIPE, PF_THEN_AND, PF_THEN_OR, PF_THEN_SEQ };

struct pf_command_vector {
	struct pf_command_word *assigns; /* NAME=value before the command */
	size_t assign_count;
	struct pf_command_word *words; /* at least one */
	size_t word_count;
	struct pf_command_redir *redirs; /* in their order */
	size_t redir_count;
	enum pf_command_then then; /* what stands between this vector and the next */
};

/* What a line does: pipelines joined by && || ; from left to right. */
struct pf_command_plan {
	struct pf_command_vector *vectors;
	size_t vector_count;
	size_t word_count; /* of all vectors */
	bool compound; /* if and for: the vectors are all that could run, and only a shell can run the line */
	struct pf__arena *arena;
};

/* 0; -ENOTSUP: not understood, err says what and why; -ENOMEM. line need not be terminated. */
int pf_command_parse(const char *line, size_t n, struct pf_command_plan *out, struct pf_error *err);
void pf_command_plan_free(struct pf_command_plan *plan);
/* The line as init runs it without a shell: tokens of PF_OP_LINE (proto/msg.h), to be freed by the caller. 0;
 * -ENOTSUP: a shell must run it, since it expands something, or does what only a shell does; -ENOMEM. */
int pf_command_tokens(const struct pf_command_plan *plan, struct pf_list *out);

/* --- the policy --- */

enum pf_verdict { PF_VERDICT_ALLOW, PF_VERDICT_ASK, PF_VERDICT_DENY };
const char *pf_verdict_name(enum pf_verdict v); /* "allow" "ask" "deny" */

/* One rule of the user: a vector begins with these words ("..." at the end), or is exactly these. A word may
 * be a list of alternatives. */
struct pf_command_rule {
	enum pf_verdict verdict;
	struct pf_list *words; /* word_count lists of alternatives */
	size_t word_count;
	bool open; /* anything may follow */
	char *reason;
};

struct pf_command_policy {
	enum pf_guard_mode mode;
	enum pf_verdict unknown; /* of what is not understood, and of what no rule allows: ask or deny */
	bool repository_code;	 /* may code of the workspace run: make, test runners, ./program */
	struct pf_command_rule *rules;
	size_t rule_count;
};

void pf_command_policy_defaults(struct pf_command_policy *p); /* enforce, unknown ask, repository_code */
/*
 * guard.command of the policy document, over *p:
 *	"off" | "audit" | "enforce", or
 *	{ "mode": "enforce", "unknown": "ask", "repository_code": true,
 *	  "rules": [ { "verdict": "allow", "words": ["make", ["lint", "docs"], "..."], "reason": "ours",
 *	               "match": ["make lint"], "not_match": ["make all"] } ] }
 * Every rule is tried with its own examples; at least one match is demanded. Errors name the line.
 */
int pf_command_policy_read(struct pf_command_policy *p, const struct pf_json *node, struct pf_error *err);
void pf_command_policy_free(struct pf_command_policy *p);

/* --- paths --- */

enum pf_path_where {
	PF_PATH_INSIDE,	 /* beneath the workspace, and there */
	PF_PATH_DIR,	 /* the same, a directory */
	PF_PATH_MISSING, /* would be beneath it; its parent is no way out */
	PF_PATH_OUTSIDE,
	PF_PATH_LINK_OUT, /* a symbolic link on the way leads out */
	PF_PATH_UNKNOWN,
};

/* What judging asks the sandbox. cwd is relative to the workspace, "." at the start. */
struct pf_command_places {
	enum pf_path_where (*resolve)(void *user, const char *cwd, const char *path);
	/* Call each(arg, name) for every name that the pattern means now; -errno if that cannot be said (then
	 * the line is not allowed). NULL: nothing can be said. */
	int (*expand)(void *user, const char *cwd, const char *pattern,
		      int (*each)(void *arg, const char *name), void *arg);
	void *user;
	const char *at; /* the workspace's absolute path; NULL: not known */
	/* Has the sandbox written this file in an earlier command of the session? That it is run is said so
	 * in the verdict's `written`. NULL: nothing is known. */
	bool (*written)(void *user, const char *cwd, const char *path);
};

/* The places of a workspace: dir_fd is the directory, at its absolute path inside the sandbox. Where commands
 * have run before, what they made is not in it: then look and list ask inside, of paths relative to the
 * workspace. Answers from inside may be lies; nothing but this signal depends on them. */
struct pf_command_workspace {
	int dir_fd;
	const char *at;
	/* What the path leads to, links followed: 0, or -errno; -EXDEV where a link leads out. NULL: dir_fd
	 */
	int (*look)(void *user, const char *path, bool *dir);
	/* 0 also where there is no such directory */
	int (*list)(void *user, const char *dir, int (*each)(void *arg, const char *name), void *arg);
	void *user;
};
void pf_command_places_init(struct pf_command_places *p, struct pf_command_workspace *w);

/* --- judging --- */

struct pf_command_verdict {
	enum pf_verdict verdict; /* what the mode makes of it: only enforce refuses */
	bool would_allow;	 /* what enforce would say */
	char rule[64];		 /* "sort", "git push", "not-understood", "user:3" */
	char reason[256];	 /* one line of printable text */
	char written[128]; /* a program that an allowed line runs, and the sandbox itself wrote; "": none
			      known */
};

/* Judge a line. places NULL: nothing about paths can be said, so none is allowed. plan may be NULL; else it
 * holds what was understood (no vectors if not), to be freed by the caller. 0, or -ENOMEM. */
int pf_command_judge(const struct pf_command_policy *policy, const struct pf_command_places *places,
		     const char *line, size_t n, struct pf_command_verdict *out, struct pf_command_plan *plan,
		     struct pf_error *err);

/* Every built-in rule with its own examples; -EINVAL names the first that does not hold. */
int pf_command_rules_check(struct pf_error *err);

#endif
