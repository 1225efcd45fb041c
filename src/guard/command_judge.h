/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside guard/command: rules as data, and what judges with them.
 *
 * A rule lists all that a tool may be given; everything else is refused, the abbreviation of a long option
 * included. `spec` is a list of items, separated by blanks:
 *
 *	-abc	    options without value, one letter each; may stand together
 *	-o:	    an option whose value (attached, or the next word) is text
 *	-o<  -o>    ... a path that is read, or written
 *	-o#  -#	    ... a number; -20 itself
 *	-o?	    ... text, only attached
 *	-o~	    ... text, that stands for the first operand (grep -e)
 *	-o{a|b}	    ... one of these words
 *	-o^	    without value; the first operand's role falls away (rg --files)
 *	-o!w	    refused, and this is why: x executes, w writes, n reaches the network, d destroys, r reads
 *	--long	    the same marks: --long  --long:  --long<  --long!x ...
 *	@rt*	    operands in their order, the last repeated with *: r read, w written (a new file), m moved
 * or changed, d removed, c a new directory, D directory, t text, n number, p printed text, g revision or path,
 *		    k target or NAME=value, x program of the workspace, e T E L G M X
 *		    words of a narrow kind (is_name()). Without @ there are none.
 */
#ifndef PF_GUARD_COMMAND_JUDGE_H
#define PF_GUARD_COMMAND_JUDGE_H

#include "guard/command.h"

struct pf__judge;
struct pf__vec {
	const struct pf_command_word *words;
	size_t n;
};

/* What is so about a tool as a whole. */
enum pf__traits {
	PF__CODE = 1u << 0,	   /* runs code of the workspace */
	PF__PRINTS = 1u << 1,	   /* prints paths beneath its operands, and nothing else */
	PF__FILTERS = 1u << 2,	   /* passes lines on unchanged, or not */
	PF__OPTION_SAFE = 1u << 3, /* no option of it executes or writes: may get operands that xargs read */
	PF__TEXT = 1u << 4,	   /* its operands are only text */
	PF__UNPACKS = 1u << 5,	   /* may leave symbolic links behind */
	PF__SINGLE = 1u << 6,	   /* long options with one dash */
	PF__ASK = 1u << 7,	   /* always ask, for `why` */
	PF__DENY = 1u << 8,	   /* always deny, for `why` */
	PF__WRITES = 1u << 9,	   /* leaves new names behind */
	PF__COMPILES =
		1u << 10, /* what it writes below a directory may be a program: it is no text of a line */
};

struct pf__tool {
	const char *name; /* "sort"; "git log" has a second word */
	unsigned traits;
	const char *spec;
	/* Judges in the spec's place, or with it; NULL. */
	bool (*check)(struct pf__judge *j, const struct pf__tool *tool, const struct pf__vec *v);
	const char *yes, *no; /* lines that this rule allows, and does not; several separated by newlines */
	const char *why;
};

struct pf__table {
	const struct pf__tool *at;
	size_t count;
};
extern const struct pf__table pf__tools_text, pf__tools_files, pf__tools_build, pf__tools_git, pf__tools_wrap,
	pf__tools_refused;
const struct pf__tool *pf__tool_find(const char *name, const char *second); /* NULL */

/* State of one line. The verdict gets only worse. */
struct pf__judge {
	const struct pf_command_policy *policy;
	const struct pf_command_places *places;
	struct pf_command_verdict *out;
	const struct pf__tool *tool; /* being judged: names the rule */
	char label[64];		     /* the tool, as it was called */
	char cwd[4096];		     /* relative to the workspace */
	unsigned depth, vectors;
	size_t words;
	bool wrote, unpacked; /* by an earlier command of the line */
	bool feeds_paths;     /* the command before in the pipe prints paths beneath the workspace */
	const char *loop;     /* the variable of the innermost for, whose words were judged; NULL */
	unsigned loop_expand; /* what its value is */
	bool may_cd;	      /* this vector is one of the line itself */
	bool nomem;
	struct pf_list written; /* in this line */
};

/* Each returns true while nothing was refused; else the verdict and its reason are set. */
bool pf__refuse(struct pf__judge *j, enum pf_verdict v, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
bool pf__ask(struct pf__judge *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool pf__judge_line(struct pf__judge *j, const char *line, size_t n); /* a line inside a line */
bool pf__judge_vector(struct pf__judge *j, const struct pf__vec *v);  /* a command inside a command */
bool pf__judge_spec(struct pf__judge *j, const struct pf__tool *tool, const struct pf__vec *v);
bool pf__judge_for(struct pf__judge *j, const struct pf__vec *v);
bool pf__user_rules(struct pf__judge *j, const struct pf__vec *v); /* true: one decided */
bool pf__judge_options(struct pf__judge *j, const struct pf__tool *tool, const struct pf__vec *v, size_t *at);
bool pf__judge_tool(struct pf__judge *j, const struct pf__tool *tool, const struct pf__vec *v);
bool pf__judge_program(struct pf__judge *j, const struct pf__vec *v); /* words[0]: a file of the workspace */
bool pf__judge_operands(struct pf__judge *j, const char *roles, const struct pf__vec *v);
bool pf__plain(struct pf__judge *j, const struct pf_command_word *w); /* no expansion at all */

/* Paths: role as in a spec. */
bool pf__path(struct pf__judge *j, const struct pf_command_word *w, char role);
bool pf__path_text(struct pf__judge *j, const char *text, char role);
bool pf__names_secret(struct pf__judge *j, const char *pattern);
bool pf__printed(struct pf__judge *j, const char *text);
bool pf__path_relative(const struct pf__judge *j, const char *path, char *out, size_t cap);
bool pf__is_written(const struct pf__judge *j, const char *path); /* by this line; relative to cwd */
enum pf_path_where pf__lexical_resolve(void *user, const char *cwd, const char *path);
int pf__lexical_expand(void *user, const char *cwd, const char *pattern,
		       int (*each)(void *arg, const char *name), void *arg);
int pf__spec_check(const struct pf__tool *tool, struct pf_error *err);

/* Checks of single tools, named in the tables. */
#define PF__CHECK(name) bool name(struct pf__judge *j, const struct pf__tool *tool, const struct pf__vec *v)
PF__CHECK(pf__check_find);
PF__CHECK(pf__check_sed);
PF__CHECK(pf__check_awk);
PF__CHECK(pf__check_xargs);
PF__CHECK(pf__check_env);
PF__CHECK(pf__check_wrap);
PF__CHECK(pf__check_shell);
PF__CHECK(pf__check_python);
PF__CHECK(pf__check_script);
PF__CHECK(pf__check_tar);
PF__CHECK(pf__check_cd);
PF__CHECK(pf__check_test);
PF__CHECK(pf__check_git);
PF__CHECK(pf__check_echo);
PF__CHECK(pf__check_printf);
PF__CHECK(pf__check_rm);
PF__CHECK(pf__check_server);
PF__CHECK(pf__check_sqlite);
PF__CHECK(pf__check_curl);
PF__CHECK(pf__check_operand);
PF__CHECK(pf__check_sub);
PF__CHECK(pf__check_command);
PF__CHECK(pf__check_jq);
PF__CHECK(pf__check_cmake);
PF__CHECK(pf__check_restore);

bool pf__env_allowed(struct pf__judge *j, const char *assign, bool code);

#endif
