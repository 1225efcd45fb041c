/* SPDX-License-Identifier: Apache-2.0 */
/* Inside guard/command: tokens of a line, and the memory that a plan lives in. */
#ifndef PF_GUARD_COMMAND_LEX_H
#define PF_GUARD_COMMAND_LEX_H

#include "base/buf.h"
#include "guard/command.h"

struct pf__arena;
struct pf__arena *pf__arena_new(void);
void pf__arena_free(struct pf__arena *a);
void *pf__arena_alloc(struct pf__arena *a, size_t n); /* zeroed; NULL without memory */
char *pf__arena_copy(struct pf__arena *a, const char *s, size_t n);

enum pf__token_kind {
	PF__END,
	PF__WORD,
	PF__PIPE,
	PF__AND,
	PF__OR,
	PF__SEQ,
	PF__LESS,
	PF__GREAT,
	PF__APPEND,
	PF__DUP,
	PF__HERE,
	PF__BAD,
};

struct pf__token {
	enum pf__token_kind kind;
	struct pf_command_word word;
	bool quoted, newline;
	size_t from; /* where it began */
};

struct pf__lex {
	const char *s;
	size_t n, at;
	struct pf__arena *arena;
	struct pf_error *err;
};

int pf__lex_refuse(struct pf__lex *lx, const char *what); /* -ENOTSUP */
int pf__lex_check(struct pf__lex *lx);			  /* bytes that no part of the line may have */
int pf__lex_next(struct pf__lex *lx, struct pf__token *t);
/* At the first byte behind the operator's line: *body up to the line that is end. */
int pf__lex_here(struct pf__lex *lx, const char *end, bool quoted, const char **body);

#endif
