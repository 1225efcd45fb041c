/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON reader's tokens: white space and comments, strings, numbers. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_doc.h"
#include "base/str.h"

/* What is found comes from outside and may be anything. */
int pf__json_unexpected(struct pf__json_reader *r, const char *expected)
{
	char shown[20];
	size_t left = (size_t)(r->end - r->p), n = 1;

	if (left == 0)
		return pf__json_syntax(r, "expected %s, found the end of the input", expected);
	while (n < left && n < 4 && ((unsigned char)r->p[n] & 0xc0) == 0x80)
		n++;
	pf_printable(r->p, n, shown, sizeof(shown));
	return pf__json_syntax(r, "expected %s, found '%s'", expected, shown);
}

bool pf__json_at(const struct pf__json_reader *r, const char *text)
{
	size_t n = strlen(text);

	return (size_t)(r->end - r->p) >= n && memcmp(r->p, text, n) == 0;
}

static int block_comment(struct pf__json_reader *r)
{
	unsigned line = r->line;

	for (r->p += 2; r->p < r->end; r->p++) {
		if (pf__json_at(r, "*/")) {
			r->p += 2;
			return 0;
		}
		if (*r->p == '\n')
			r->line++;
	}
	return pf_fail(r->err, -EINVAL, "line %u: comment is not closed by \"*/\"", line);
}

/* To the next token. */
int pf__json_skip(struct pf__json_reader *r)
{
	for (;;) {
		while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\r' || *r->p == '\n')) {
			if (*r->p++ == '\n')
				r->line++;
		}
		if (r->p == r->end || *r->p != '/')
			return 0;
		if (!(r->flags & PF_JSON_RELAXED))
			return pf__json_syntax(r, "comments are not allowed here");
		if (pf__json_at(r, "//")) {
			while (r->p < r->end && *r->p != '\n')
				r->p++;
		} else if (pf__json_at(r, "/*")) {
			int e = block_comment(r);

			if (e < 0)
				return e;
		} else {
			return pf__json_unexpected(r, "a value or a comment");
		}
	}
}

static int hex4(struct pf__json_reader *r, uint32_t *out)
{
	uint32_t v = 0;

	if (r->end - r->p < 4)
		return pf__json_syntax(r, "\\u needs four hexadecimal digits");
	for (unsigned i = 0; i < 4; i++) {
		char c = r->p[i];

		v <<= 4;
		if (c >= '0' && c <= '9')
			v |= (uint32_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v |= (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return pf__json_syntax(r, "\\u needs four hexadecimal digits");
	}
	r->p += 4;
	*out = v;
	return 0;
}

static char *put_utf8(char *o, uint32_t cp)
{
	if (cp < 0x80) {
		*o++ = (char)cp;
		return o;
	}
	if (cp < 0x800) {
		*o++ = (char)(0xc0 | cp >> 6);
	} else {
		if (cp < 0x10000) {
			*o++ = (char)(0xe0 | cp >> 12);
		} else {
			*o++ = (char)(0xf0 | cp >> 18);
			*o++ = (char)(0x80 | (cp >> 12 & 0x3f));
		}
		*o++ = (char)(0x80 | (cp >> 6 & 0x3f));
	}
	*o++ = (char)(0x80 | (cp & 0x3f));
	return o;
}

/* Behind "\u"; one or two escapes become one character, never longer than its escape. */
static int unicode(struct pf__json_reader *r, char **o)
{
	uint32_t cp, low;
	int e = hex4(r, &cp);

	if (e < 0)
		return e;
	if (cp == 0)
		return pf__json_syntax(r, "NUL in a string");
	if (cp >= 0xdc00 && cp <= 0xdfff)
		return pf__json_syntax(r, "\\u%04x is half a surrogate pair", cp);
	if (cp >= 0xd800 && cp <= 0xdbff) {
		if (!pf__json_at(r, "\\u"))
			return pf__json_syntax(r, "\\u%04x is half a surrogate pair", cp);
		r->p += 2;
		e = hex4(r, &low);
		if (e < 0)
			return e;
		if (low < 0xdc00 || low > 0xdfff)
			return pf__json_syntax(r, "\\u%04x is half a surrogate pair", cp);
		cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
	}
	*o = put_utf8(*o, cp);
	return 0;
}

/* Behind the backslash. */
static int escape(struct pf__json_reader *r, char **o)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *found;
	char c;

	if (r->p == r->end)
		return pf__json_unexpected(r, "an escape");
	c = *r->p;
	if (c == 'u') {
		r->p++;
		return unicode(r, o);
	}
	found = c ? strchr(from, c) : NULL;
	if (!found)
		return pf__json_unexpected(r, "one of \"\\/bfnrtu behind the backslash");
	r->p++;
	*(*o)++ = to[found - from];
	return 0;
}

/* At the opening quote. The string lands in the document's text. */
int pf__json_string(struct pf__json_reader *r, const char **out, size_t *len)
{
	char *start = r->doc->text + r->doc->text_len, *o = start;
	int e;

	r->p++;
	for (;;) {
		const char *plain = r->p;
		size_t n;

		while (r->p < r->end && *r->p != '"' && *r->p != '\\' && (unsigned char)*r->p >= 0x20)
			r->p++;
		n = (size_t)(r->p - plain);
		if (!pf_utf8_valid(plain, n))
			return pf__json_syntax(r, "string is not valid UTF-8");
		memcpy(o, plain, n);
		o += n;
		if (r->p == r->end)
			return pf__json_syntax(r, "string is not closed");
		if (*r->p == '"')
			break;
		if (*r->p == '\n')
			return pf__json_syntax(r, "string is not closed on its line");
		if (*r->p != '\\')
			return pf__json_syntax(r, "control character \\u%04x in a string",
					       (unsigned char)*r->p);
		r->p++;
		e = escape(r, &o);
		if (e < 0)
			return e;
	}
	r->p++;
	*o = '\0';
	*out = start;
	*len = (size_t)(o - start);
	r->doc->text_len += *len + 1;
	return 0;
}

static bool digits(struct pf__json_reader *r)
{
	const char *start = r->p;

	while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
		r->p++;
	return r->p > start;
}

/* Step over a number as the grammar has it. */
static int scan_number(struct pf__json_reader *r, bool *integer)
{
	*integer = true;
	if (*r->p == '-')
		r->p++;
	if (r->p < r->end && *r->p == '0') {
		r->p++;
		if (r->p < r->end && *r->p >= '0' && *r->p <= '9')
			return pf__json_syntax(r, "a number may not begin with 0");
	} else if (!digits(r)) {
		return pf__json_unexpected(r, "a digit");
	}
	if (r->p < r->end && *r->p == '.') {
		*integer = false;
		r->p++;
		if (!digits(r))
			return pf__json_unexpected(r, "a digit behind the point");
	}
	if (r->p < r->end && (*r->p == 'e' || *r->p == 'E')) {
		*integer = false;
		r->p++;
		if (r->p < r->end && (*r->p == '+' || *r->p == '-'))
			r->p++;
		if (!digits(r))
			return pf__json_unexpected(r, "a digit in the exponent");
	}
	return 0;
}

int pf__json_number(struct pf__json_reader *r, struct pf_json *node)
{
	char *copy = r->doc->text + r->doc->text_len; /* room that later strings reuse */
	const char *start = r->p;
	bool integer;
	int saved = errno, e = scan_number(r, &integer);

	if (e < 0)
		return e;
	memcpy(copy, start, (size_t)(r->p - start)); /* the input has no NUL to end at */
	copy[r->p - start] = '\0';
	errno = 0;
	if (integer) {
		node->type = PF_JSON_INT;
		node->i = strtoll(copy, NULL, 10);
		e = errno;
	} else {
		node->type = PF_JSON_DOUBLE;
		node->d = strtod(copy, NULL);
		e = isfinite(node->d) ? 0 : ERANGE; /* an underflow is only a small number */
	}
	errno = saved;
	if (e)
		return pf__json_syntax(r, "number is too large");
	return 0;
}
