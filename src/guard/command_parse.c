/* SPDX-License-Identifier: Apache-2.0 */
/* From tokens to a plan: simple commands joined by | && || ; and newlines. Compound commands are refused. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "guard/command_lex.h"

/* --- one line --- */

#define NEST_MAX 8u

struct parse {
	struct pf__lex lx;
	struct pf_command_plan plan;
	struct pf_command_vector v; /* the one being read; arrays grow by doubling */
	struct {
		struct pf_command_word end;
		bool quoted, open;
	} here;
	struct pf__token ahead;
	bool has_ahead;
	enum nest { IN_IF, IN_THEN, IN_ELSE, IN_DO } nest[NEST_MAX];
	unsigned depth;
	size_t begun; /* count of vectors when the innermost list began: an empty one is refused */
};

/* Room for one more in an array of count items of size bytes: a power of two from 4 on. */
static void *grow(struct pf__arena *a, void *at, size_t count, size_t size)
{
	void *more;

	if (count != 0 && (count < 4 || (count & (count - 1))))
		return at;
	more = pf__arena_alloc(a, (count ? count * 2 : 4) * size);
	if (more && count)
		memcpy(more, at, count * size);
	return more;
}

static int next(struct parse *p, struct pf__token *t)
{
	if (p->has_ahead) {
		*t = p->ahead;
		p->has_ahead = false;
		return 0;
	}
	return pf__lex_next(&p->lx, t);
}

static void back(struct parse *p, const struct pf__token *t)
{
	p->ahead = *t;
	p->has_ahead = true;
}

/* Words that begin something else than a simple command in some shell. */
static bool reserved(const char *s)
{
	static const char *const words[] = {
		"if",	 "then",     "else",   "elif",	 "fi",	"do",	   "done",	"case",	  "esac",
		"while", "until",    "for",    "{",	 "}",	"!",	   "[[",	"]]",	  "select",
		"in",	 "function", "coproc", "repeat", "end", "foreach", "nocorrect", "noglob", "{}"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i], s) == 0)
			return true;
	}
	return false;
}

static bool is_assign(const struct pf__token *t)
{
	const char *s = t->word.text;

	if (!isalpha((unsigned char)*s) && *s != '_')
		return false;
	while (isalnum((unsigned char)*s) || *s == '_')
		s++;
	return *s == '=' || *s == '[' || (*s == '+' && s[1] == '=');
}

static int add_word(struct parse *p, const struct pf__token *t)
{
	struct pf_command_vector *v = &p->v;
	void *room;

	if (++p->plan.word_count > PF_COMMAND_WORDS_MAX)
		return pf__lex_refuse(&p->lx, "more words than are looked at");
	if (v->word_count == 0 && is_assign(t)) {
		const char *s = t->word.text;

		/* 'X'=1 is a command named X=1, and X+=1 and X[1]=1 are bash's alone */
		if (p->lx.s[t->from + strcspn(p->lx.s + t->from, "='\"\\+[")] != '=' ||
		    s[strcspn(s, "=+[")] != '=')
			return pf__lex_refuse(&p->lx, "an assignment that is not NAME=value");
		room = grow(p->lx.arena, v->assigns, v->assign_count, sizeof(*v->assigns));
		if (!room)
			return pf_fail(p->lx.err, -ENOMEM, "out of memory");
		v->assigns = room;
		v->assigns[v->assign_count++] = t->word;
		return 0;
	}
	if (v->word_count == 0 && t->word.expand)
		return pf__lex_refuse(&p->lx, "a command name that is an expansion");
	/* quoted, it is the program of that name, with other options */
	if (v->word_count == 0 && t->quoted && strcmp(t->word.text, "time") == 0)
		return pf__lex_refuse(&p->lx, "time in quotes");
	if (v->word_count == 0 && !t->quoted && reserved(t->word.text))
		return pf__lex_refuse(&p->lx, "a compound command");
	room = grow(p->lx.arena, v->words, v->word_count, sizeof(*v->words));
	if (!room)
		return pf_fail(p->lx.err, -ENOMEM, "out of memory");
	v->words = room;
	v->words[v->word_count++] = t->word;
	return 0;
}

/* A number directly before < or > is a descriptor; the lexer gave it as a word. */
static bool is_io_number(const struct parse *p, const struct pf__token *t)
{
	const char *s = t->word.text;
	char c = p->lx.at < p->lx.n ? p->lx.s[p->lx.at] : '\0';

	return !t->quoted && *s && s[strspn(s, "0123456789")] == '\0' && (c == '<' || c == '>');
}

static int add_redir(struct parse *p, const struct pf__token *op, int fd)
{
	struct pf_command_vector *v = &p->v;
	struct pf_command_redir r = {.fd = fd};
	struct pf__token t;
	void *room;
	int e = next(p, &t);

	if (e < 0)
		return e;
	if (t.kind != PF__WORD)
		return pf__lex_refuse(&p->lx, "a redirection without its file");
	if (is_io_number(p, &t))
		return pf__lex_refuse(&p->lx, "two redirections in one");
	r.target = t.word;
	r.kind = op->kind == PF__LESS	  ? PF_REDIR_READ
		 : op->kind == PF__APPEND ? PF_REDIR_APPEND
					  : PF_REDIR_WRITE;
	if (r.fd < 0)
		r.fd = op->kind == PF__LESS || op->kind == PF__HERE ? 0 : 1;
	if (op->kind == PF__DUP) {
		if (t.quoted || (strcmp(t.word.text, "1") != 0 && strcmp(t.word.text, "2") != 0))
			return pf__lex_refuse(&p->lx, ">& with something else than 1 or 2");
		r.kind = PF_REDIR_DUP;
		r.from = t.word.text[0] - '0';
	} else if (op->kind == PF__HERE) {
		if (p->here.open)
			return pf__lex_refuse(&p->lx, "two here-documents in one line");
		if (t.word.expand || !*t.word.text || strchr(t.word.text, '\n'))
			return pf__lex_refuse(&p->lx, "a here-document with an end that is no plain word");
		/* 'E' or "E" as a whole: readers differ on ''E and E'F' */
		if (t.quoted &&
		    (!strchr("'\"", p->lx.s[t.from]) || p->lx.s[p->lx.at - 1] != p->lx.s[t.from] ||
		     p->lx.at - t.from != strlen(t.word.text) + 2))
			return pf__lex_refuse(&p->lx, "a here-document whose end is quoted in part");
		p->here.end = t.word;
		p->here.quoted = t.quoted;
		p->here.open = true;
		r.kind = PF_REDIR_TEXT;
	} else if (!*t.word.text) {
		return pf__lex_refuse(&p->lx, "a redirection without its file");
	}
	room = grow(p->lx.arena, v->redirs, v->redir_count, sizeof(*v->redirs));
	if (!room)
		return pf_fail(p->lx.err, -ENOMEM, "out of memory");
	v->redirs = room;
	v->redirs[v->redir_count++] = r;
	return 0;
}

/* Words and redirections up to the operator, which is left in *t. */
static int read_simple(struct parse *p, struct pf__token *t)
{
	int r;

	p->v = (struct pf_command_vector){0};
	for (;;) {
		r = next(p, t);
		if (r < 0)
			return r;
		if (t->kind == PF__WORD && is_io_number(p, t)) {
			int fd = t->word.text[0] - '0';

			if (fd > 2 || t->word.text[1])
				return pf__lex_refuse(&p->lx,
						      "a redirection of another descriptor than 0, 1, 2");
			r = next(p, t);
			if (r == 0)
				r = add_redir(p, t, fd);
		} else if (t->kind == PF__WORD) {
			r = add_word(p, t);
		} else if (t->kind >= PF__LESS && t->kind <= PF__HERE) {
			r = add_redir(p, t, -1);
		} else {
			return 0;
		}
		if (r < 0)
			return r;
	}
}

static int add_vector(struct parse *p, enum pf_command_then then)
{
	struct pf_command_plan *plan = &p->plan;
	void *room;

	if (p->v.word_count == 0)
		return pf__lex_refuse(&p->lx, p->v.assign_count || p->v.redir_count
						      ? "an assignment or redirection without a command"
						      : "an operator without a command");
	if (plan->vector_count == PF_COMMAND_VECTORS_MAX)
		return pf__lex_refuse(&p->lx, "more commands than are looked at");
	room = grow(p->lx.arena, plan->vectors, plan->vector_count, sizeof(*plan->vectors));
	if (!room)
		return pf_fail(p->lx.err, -ENOMEM, "out of memory");
	plan->vectors = room;
	p->v.then = then;
	plan->vectors[plan->vector_count++] = p->v;
	return 0;
}

/* Blank lines. What follows them is left for the next call. With a here-document open its body would begin.
 */
static int skip_newlines(struct parse *p, struct pf__token *t)
{
	int r;

	do {
		r = next(p, t);
		if (r < 0)
			return r;
		if (p->here.open && t->kind == PF__SEQ && t->newline)
			return pf__lex_refuse(&p->lx, "a here-document in the middle of a line");
	} while (t->kind == PF__SEQ && t->newline);
	back(p, t);
	return 0;
}

static int finish_here(struct parse *p)
{
	const char *body;
	int r;

	if (!p->here.open)
		return 0;
	r = pf__lex_here(&p->lx, p->here.end.text, p->here.quoted, &body);
	if (r < 0)
		return r;
	p->here.open = false;
	/* Its operator stood in the line that just ended: in the last vector, or in one before it. */
	for (size_t i = p->plan.vector_count; i-- > 0;) {
		struct pf_command_vector *v = &p->plan.vectors[i];

		for (size_t k = v->redir_count; k-- > 0;) {
			if (v->redirs[k].kind == PF_REDIR_TEXT &&
			    v->redirs[k].target.text == p->here.end.text) {
				v->redirs[k].target = (struct pf_command_word){.text = body};
				return 0;
			}
		}
	}
	return pf__lex_refuse(&p->lx, "a here-document in the middle of a command");
}

/* --- if and for: lists between words that are known. Everything in them is judged, whether it would run or
 * not. */

static int open_list(struct parse *p, enum nest n)
{
	if (p->depth == NEST_MAX)
		return pf__lex_refuse(&p->lx, "compound commands nested deeper than is looked at");
	p->plan.compound = true;
	p->nest[p->depth++] = n;
	p->begun = p->plan.vector_count;
	return 0;
}

/* for NAME in WORDS; becomes a vector of its own, so that its words are judged. */
static int read_for(struct parse *p)
{
	struct pf_command_word first = {.text = "for"};
	struct pf__token t;
	int r;

	p->v = (struct pf_command_vector){0};
	p->v.words = grow(p->lx.arena, NULL, 0, sizeof(first));
	if (!p->v.words)
		return pf_fail(p->lx.err, -ENOMEM, "out of memory");
	p->v.words[p->v.word_count++] = first;
	for (r = next(p, &t); r == 0 && t.kind == PF__WORD; r = next(p, &t)) {
		if (p->v.word_count == 1 &&
		    (t.quoted || t.word.text[strspn(t.word.text, "abcdefghijklmnopqrstuvwxyz_")]))
			return pf__lex_refuse(&p->lx, "for with another name than lower-case letters");
		if (p->v.word_count == 2 && (t.quoted || strcmp(t.word.text, "in") != 0))
			return pf__lex_refuse(&p->lx, "for without in");
		if (is_io_number(p, &t))
			return pf__lex_refuse(&p->lx, "for with a redirection");
		r = add_word(p, &t);
		if (r < 0)
			return r;
	}
	if (r == 0 && (t.kind != PF__SEQ || p->v.word_count < 4))
		r = pf__lex_refuse(&p->lx, "for without words");
	if (r == 0)
		r = add_vector(p, PF_THEN_SEQ);
	if (r == 0)
		r = skip_newlines(p, &t);
	if (r == 0)
		r = next(p, &t);
	if (r == 0 && (t.kind != PF__WORD || t.quoted || strcmp(t.word.text, "do") != 0))
		r = pf__lex_refuse(&p->lx, "for without do");
	return r == 0 ? open_list(p, IN_DO) : r;
}

/* What ends a compound command: only an operator may follow it, and no pipe. */
static int close_list(struct parse *p, struct pf__token *t, enum pf_command_then *then)
{
	struct pf__token after;
	int r = next(p, &after);

	p->depth--;
	if (r < 0)
		return r;
	if (after.kind == PF__WORD || after.kind == PF__PIPE || after.kind >= PF__LESS)
		return pf__lex_refuse(&p->lx, "a pipe or redirection of a compound command");
	*then = after.kind == PF__AND ? PF_THEN_AND : after.kind == PF__OR ? PF_THEN_OR : PF_THEN_SEQ;
	p->plan.vectors[p->plan.vector_count - 1].then = *then;
	*t = after;
	return 0;
}

/*
 * At the beginning of a command. 1: a word that opens or goes on, and a command follows; 2: the end of a
 * compound command, *t is the operator behind it; 0: a simple command. before: what joins it to the command
 * before.
 */
static int keyword(struct parse *p, struct pf__token *t, enum pf_command_then before)
{
	enum nest top = p->depth ? p->nest[p->depth - 1] : IN_IF;
	bool plain = before == PF_THEN_SEQ || before == PF_THEN_END;
	enum pf_command_then then;
	const char *s;
	int r = next(p, t);

	if (r < 0)
		return r;
	s = t->kind == PF__WORD && !t->quoted ? t->word.text : "";
	if (strcmp(s, "if") == 0 || strcmp(s, "for") == 0) {
		if (before == PF_THEN_PIPE)
			return pf__lex_refuse(&p->lx, "a pipe into a compound command");
		r = *s == 'i' ? open_list(p, IN_IF) : read_for(p);
		return r < 0 ? r : 1;
	}
	if (!p->depth || !plain || p->begun == p->plan.vector_count) {
		back(p, t);
		return 0;
	}
	if (strcmp(s, "then") == 0 && top == IN_IF)
		p->nest[p->depth - 1] = IN_THEN;
	else if (strcmp(s, "elif") == 0 && top == IN_THEN)
		p->nest[p->depth - 1] = IN_IF;
	else if (strcmp(s, "else") == 0 && top == IN_THEN)
		p->nest[p->depth - 1] = IN_ELSE;
	else if ((strcmp(s, "fi") == 0 && (top == IN_THEN || top == IN_ELSE)) ||
		 (strcmp(s, "done") == 0 && top == IN_DO)) {
		r = close_list(p, t, &then);
		return r < 0 ? r : 2;
	} else {
		back(p, t);
		return 0;
	}
	p->begun = p->plan.vector_count;
	return 1;
}

static int parse_line(struct parse *p)
{
	static const enum pf_command_then then[] = {
		[PF__END] = PF_THEN_END, [PF__PIPE] = PF_THEN_PIPE, [PF__AND] = PF_THEN_AND,
		[PF__OR] = PF_THEN_OR,	 [PF__SEQ] = PF_THEN_SEQ,
	};
	enum pf_command_then before = PF_THEN_END;
	struct pf__token t;
	int r = pf__lex_check(&p->lx), word;

	if (r == 0)
		r = skip_newlines(p, &t);
	while (r == 0 && t.kind != PF__END) {
		word = keyword(p, &t, before);
		if (word == 1) {
			before = PF_THEN_SEQ;
			r = skip_newlines(p, &t);
			if (r == 0 && t.kind == PF__END)
				r = pf__lex_refuse(&p->lx, "a compound command without its end");
			continue;
		}
		r = word < 0 ? word : word == 2 ? 0 : read_simple(p, &t);
		if (r == 0 && word != 2)
			r = add_vector(p, then[t.kind]);
		if (r == 0 && t.kind == PF__SEQ && t.newline)
			r = finish_here(p);
		if (r < 0 || t.kind == PF__END)
			break;
		before = then[t.kind];
		r = skip_newlines(p, &t);
		if (r == 0 && before != PF_THEN_SEQ && t.kind == PF__END)
			r = pf__lex_refuse(&p->lx, "an operator at the end");
	}
	if (r == 0 && p->depth)
		r = pf__lex_refuse(&p->lx, "a compound command without its end");
	if (r == 0 && p->here.open)
		r = pf__lex_refuse(&p->lx, "a here-document without its end");
	if (r == 0 && p->plan.vector_count == 0)
		r = pf__lex_refuse(&p->lx, "no command");
	if (r == 0)
		p->plan.vectors[p->plan.vector_count - 1].then = PF_THEN_END;
	return r;
}

int pf_command_parse(const char *line, size_t n, struct pf_command_plan *out, struct pf_error *err)
{
	struct parse p = {.lx = {.s = line, .n = n, .err = err}};
	int r;

	p.lx.arena = p.plan.arena = pf__arena_new();
	if (!p.lx.arena)
		return pf_fail(err, -ENOMEM, "out of memory");
	r = parse_line(&p);
	if (r < 0) {
		pf__arena_free(p.lx.arena);
		return r;
	}
	*out = p.plan;
	return 0;
}

void pf_command_plan_free(struct pf_command_plan *plan)
{
	pf__arena_free(plan->arena);
	*plan = (struct pf_command_plan){0};
}
