/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words of a command line. Only what dash, bash, zsh and busybox read alike is a word; anything else is
 * refused with its name. Each byte is consumed here exactly once, and no byte has two meanings.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "base/text.h"
#include "guard/command_lex.h"

int pf__lex_refuse(struct pf__lex *lx, const char *what)
{
	return pf_fail(lx->err, -ENOTSUP, "%s", what);
}

static int nomem(struct pf__lex *lx)
{
	return pf_fail(lx->err, -ENOMEM, "out of memory");
}

/* --- the whole line, before any meaning --- */

/* Unicode's other blanks (some locales of bash split words at them) and what shows nothing are never taken.
 */
static bool fit(uint32_t cp)
{
	return !pf__cp_hidden(cp) && cp != 0xa0 && cp != 0x1680 && !(cp >= 0x2000 && cp <= 0x200f) &&
	       cp != 0x2028 && cp != 0x2029 && cp != 0x202f && cp != 0x205f && cp != 0x3000 && cp != 0xfeff;
}

int pf__lex_check(struct pf__lex *lx)
{
	if (lx->n > PF_COMMAND_LINE_MAX)
		return pf__lex_refuse(lx, "the line is longer than 64 KiB");
	for (size_t i = 0; i < lx->n;) {
		unsigned char c = (unsigned char)lx->s[i];
		uint32_t cp;
		unsigned len;

		if (c == '\n' || c == '\t' || (c >= ' ' && c < 0x7f)) {
			i++;
			continue;
		}
		if (c < 0x80)
			return pf__lex_refuse(lx, "a control character (shells differ on carriage returns)");
		len = pf__utf8_decode(lx->s + i, lx->n - i, &cp);
		if (len == 0)
			return pf__lex_refuse(lx, "bytes that are not UTF-8");
		if (!fit(cp))
			return pf__lex_refuse(lx, "a character that shows nothing or changes direction");
		i += len;
	}
	return 0;
}

/* --- one word --- */

struct word {
	struct pf_buf text, pattern;
	unsigned expand;
	bool any, quoted, assign;
};

static void word_free(struct word *w)
{
	pf_buf_free(&w->text);
	pf_buf_free(&w->pattern);
}

static void put(struct word *w, char c, bool literal)
{
	pf_buf_addc(&w->text, c);
	if (literal && strchr("*?[]\\!^-", c))
		pf_buf_addc(&w->pattern, '\\');
	pf_buf_addc(&w->pattern, c);
	w->any = true;
}

static char peek(const struct pf__lex *lx, size_t ahead)
{
	return lx->at + ahead < lx->n ? lx->s[lx->at + ahead] : '\0';
}

static bool name_start(char c)
{
	return isalpha((unsigned char)c) || c == '_';
}

static bool name_byte(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* At a '$'. Only $NAME and ${NAME}: anything with an operator in it can hold a command. */
static int dollar(struct pf__lex *lx, struct word *w, bool in_quotes)
{
	bool brace = peek(lx, 1) == '{';
	size_t i = brace ? 2 : 1;

	if (peek(lx, 1) == '(')
		return pf__lex_refuse(lx, "a command or arithmetic substitution");
	if (!name_start(peek(lx, i))) {
		bool literal = in_quotes && !brace &&
			       (peek(lx, 1) == '"' || peek(lx, 1) == ' ' || peek(lx, 1) == '|' ||
				peek(lx, 1) == ')');

		if (!literal)
			return pf__lex_refuse(lx, "an expansion that is no plain variable");
		put(w, '$', true);
		lx->at++;
		return 0;
	}
	while (name_byte(peek(lx, i)))
		i++;
	if (brace && peek(lx, i) != '}')
		return pf__lex_refuse(lx, "an expansion with an operator");
	if (peek(lx, i + brace) == '[')
		return pf__lex_refuse(lx, "an expansion with a subscript");
	i += brace;
	for (size_t k = 0; k < i; k++)
		put(w, lx->s[lx->at + k], true);
	lx->at += i;
	w->expand |= in_quotes ? PF_WORD_VAR : PF_WORD_VAR | PF_WORD_SPLIT;
	return 0;
}

static int single(struct pf__lex *lx, struct word *w)
{
	lx->at++;
	w->any = w->quoted = true;
	while (lx->at < lx->n && lx->s[lx->at] != '\'')
		put(w, lx->s[lx->at++], true);
	if (lx->at == lx->n)
		return pf__lex_refuse(lx, "a quote without its end");
	lx->at++;
	return 0;
}

static int twofold(struct pf__lex *lx, struct word *w)
{
	lx->at++;
	w->any = w->quoted = true;
	for (;;) {
		char c = peek(lx, 0), next = peek(lx, 1);

		if (lx->at >= lx->n)
			return pf__lex_refuse(lx, "a quote without its end");
		if (c == '"')
			break;
		if (c == '`')
			return pf__lex_refuse(lx, "a command substitution");
		if (c == '$') {
			int r = dollar(lx, w, true);

			if (r < 0)
				return r;
			continue;
		}
		if (c == '\\' && next == '\n') {
			lx->at += 2;
			continue;
		}
		if (c == '\\' && next && strchr("$`\"\\", next)) {
			put(w, next, true);
			lx->at += 2;
			continue;
		}
		put(w, c, true);
		lx->at++;
	}
	lx->at++;
	return 0;
}

/* Outside quotes, where most bytes mean something somewhere. */
static int plain(struct pf__lex *lx, struct word *w, char c)
{
	bool first = !w->any;

	if (c & 0x80)
		return pf__lex_refuse(lx, "a letter beyond ASCII outside quotes");
	if (strchr("*?[", c)) {
		w->expand |= PF_WORD_GLOB;
		put(w, c, false);
	} else if (c == '~' && (first || (w->text.len && strchr("=:", w->text.data[w->text.len - 1])))) {
		w->expand |= PF_WORD_TILDE;
		put(w, c, true);
	} else if (c == '{' || c == '}') {
		/* "{}" is a word of find and xargs; other braces some shells expand and others do not. */
		if (c == '}' || peek(lx, 1) != '}')
			return pf__lex_refuse(lx, "a brace");
		put(w, '{', true);
		put(w, '}', true);
		lx->at++;
	} else if (c == '!' && !(first && (strchr(" \t\n=", peek(lx, 1)) || !peek(lx, 1)))) {
		return pf__lex_refuse(lx, "an exclamation mark inside a word");
	} else if (c == '#' && w->quoted) {
		return pf__lex_refuse(lx, "a # behind a quote (a comment to some readers)");
	} else if (c == '^' && first) {
		return pf__lex_refuse(lx, "a word that begins with ^ (a pipe in old shells)");
	} else if (c == '=' && first && !strchr(" \t\n", peek(lx, 1))) {
		return pf__lex_refuse(lx, "a word that begins with = (a path in zsh)");
	} else {
		put(w, c, false);
	}
	lx->at++;
	return 0;
}

static int one_piece(struct pf__lex *lx, struct word *w)
{
	char c = peek(lx, 0), next = peek(lx, 1);

	if (c == '\'')
		return single(lx, w);
	if (c == '"')
		return twofold(lx, w);
	if (c == '`')
		return pf__lex_refuse(lx, "a command substitution");
	if (c == '$')
		return next == '\'' || next == '"' ? pf__lex_refuse(lx, "a quote of bash alone")
						   : dollar(lx, w, false);
	if (c == '\\') {
		if (lx->at + 1 >= lx->n)
			return pf__lex_refuse(lx, "a backslash at the end");
		lx->at += 2;
		if (next == '\n')
			return 0;
		if (next & 0x80)
			return pf__lex_refuse(lx, "a letter beyond ASCII outside quotes");
		w->quoted = true;
		put(w, next, true);
		return 0;
	}
	return plain(lx, w, c);
}

static bool ends_word(char c)
{
	return strchr(" \t\n;&|<>()", c) != NULL; /* NUL, the end, among them */
}

static int lone_bracket(struct pf__lex *lx, struct pf__token *t)
{
	t->word = (struct pf_command_word){.text = pf__arena_copy(lx->arena, "[", 1)};
	return t->word.text ? 0 : nomem(lx);
}

static int word_done(struct pf__lex *lx, const struct word *w, struct pf__token *t)
{
	if (w->text.failed || w->pattern.failed)
		return nomem(lx);
	t->kind = PF__WORD;
	if (w->expand & PF_WORD_GLOB && w->text.len == 1 && w->text.data[0] == '[') /* the command [ */
		return lone_bracket(lx, t);
	t->quoted = w->quoted;
	t->word.expand = w->expand;
	t->word.text = pf__arena_copy(lx->arena, w->text.data ? w->text.data : "", w->text.len);
	t->word.pattern = NULL;
	if (w->expand & PF_WORD_GLOB)
		t->word.pattern = pf__arena_copy(lx->arena, w->pattern.data, w->pattern.len);
	if (!t->word.text || (w->expand & PF_WORD_GLOB && !t->word.pattern))
		return nomem(lx);
	return 0;
}

static int read_word(struct pf__lex *lx, struct pf__token *t)
{
	__attribute__((cleanup(word_free))) struct word w = {0};
	size_t from = lx->at;
	int r;

	while (lx->at < lx->n && !ends_word(lx->s[lx->at])) {
		r = one_piece(lx, &w);
		if (r < 0)
			return r;
	}
	t->from = from;
	return word_done(lx, &w, t);
}

/* --- operators --- */

static int operator(struct pf__lex *lx, struct pf__token *t, char c)
{
	static const struct {
		const char *text;
		enum pf__token_kind kind; /* PF__BAD: not of the common part, named */
		const char *what;
	} all[] = {
		{"&&", PF__AND, NULL},
		{"||", PF__OR, NULL},
		{"|&", PF__BAD, "|& of bash"},
		{"|", PF__PIPE, NULL},
		{";;", PF__BAD, "a case"},
		{";&", PF__BAD, "a case"},
		{";", PF__SEQ, NULL},
		{"\n", PF__SEQ, NULL},
		{"&>", PF__BAD, "&> of bash (a command in the background elsewhere)"},
		{"&", PF__BAD, "a command in the background"},
		{"<<<", PF__BAD, "a here-string of bash"},
		{"<<-", PF__BAD, "a here-document whose tabs are taken away"},
		{"<<", PF__HERE, NULL},
		{"<(", PF__BAD, "a process substitution"},
		{"<&", PF__BAD, "a copied input descriptor"},
		{"<>", PF__BAD, "a file opened for both"},
		{"<", PF__LESS, NULL},
		{">>", PF__APPEND, NULL},
		{">|", PF__BAD, ">|, which overwrites against noclobber"},
		{">!", PF__BAD, ">! of zsh"},
		{">(", PF__BAD, "a process substitution"},
		{">&", PF__DUP, NULL},
		{">", PF__GREAT, NULL},
		{"(", PF__BAD, "a parenthesis outside quotes"},
		{")", PF__BAD, "a parenthesis outside quotes"},
	};

	(void)c;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		size_t len = strlen(all[i].text);

		if (lx->n - lx->at < len || memcmp(lx->s + lx->at, all[i].text, len) != 0)
			continue;
		if (all[i].kind == PF__BAD)
			return pf__lex_refuse(lx, all[i].what);
		t->kind = all[i].kind;
		t->newline = all[i].text[0] == '\n';
		t->from = lx->at;
		lx->at += len;
		return 0;
	}
	return pf__lex_refuse(lx, "an operator");
}

int pf__lex_next(struct pf__lex *lx, struct pf__token *t)
{
	*t = (struct pf__token){.kind = PF__END, .from = lx->at};
	for (;;) {
		char c = peek(lx, 0);

		if (lx->at >= lx->n)
			return 0;
		if (c == ' ' || c == '\t') {
			lx->at++;
		} else if (c == '\\' && peek(lx, 1) == '\n') {
			lx->at += 2;
		} else if (c == '#') {
			while (lx->at < lx->n && lx->s[lx->at] != '\n')
				lx->at++;
			if (lx->s[lx->at - 1] == '\\')
				return pf__lex_refuse(
					lx, "a comment that ends on a backslash (some readers go on)");
		} else {
			break;
		}
	}
	if (ends_word(peek(lx, 0)))
		return operator(lx, t, peek(lx, 0));
	return read_word(lx, t);
}

/* The body of a here-document begins behind the line in which its operator stands. */
int pf__lex_here(struct pf__lex *lx, const char *end, bool quoted, const char **body)
{
	size_t from = lx->at, len = strlen(end);

	for (size_t at = lx->at; at < lx->n;) {
		const char *nl = memchr(lx->s + at, '\n', lx->n - at);
		size_t stop = nl ? (size_t)(nl - lx->s) : lx->n;

		if (stop - at == len && memcmp(lx->s + at, end, len) == 0) {
			const char *text = pf__arena_copy(lx->arena, lx->s + from, at - from);

			if (!text)
				return nomem(lx);
			if (!quoted && strpbrk(text, "$`\\"))
				return pf__lex_refuse(lx, "a here-document with expansions");
			*body = text;
			lx->at = nl ? stop + 1 : stop;
			return 0;
		}
		at = nl ? stop + 1 : lx->n;
	}
	return pf__lex_refuse(lx, "a here-document without its end");
}
