/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second view: lines without what programs put around them. Numbers of lines (nl, cat -n, grep -n), the
 * offsets and the right column of dumps (xxd, hexdump, od), and colours would stand between the pieces of a
 * value. Only lines that have such are in it; the others are seen by the first view alone.
 */
#include <ctype.h>
#include <string.h>

#include "guard/redact_stream.h"

#define GUTTER_MAX 24u

static bool blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static bool hex_digit(uint8_t c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* Bytes that are a number or an offset at the beginning of a line, with what separates it; 0: none. */
static size_t gutter(const uint8_t *p, size_t n, bool *offset)
{
	size_t i = 0, k;
	bool decimal = true;

	while (i < n && i < GUTTER_MAX && blank(p[i]))
		i++;
	if (i == n || !hex_digit(p[i]))
		return 0;
	if (i + 2 < n && p[i] == '0' && p[i + 1] == 'x')
		i += 2;
	for (k = i; k < n && k < i + 16 && hex_digit(p[k]); k++)
		decimal = decimal && isdigit(p[k]);
	if (k == i || k == n || (!decimal && k - i < 6))
		return 0;
	*offset = k - i >= 6;
	if (blank(p[k]) || p[k] == ':' || p[k] == '|' || p[k] == ')' || p[k] == '.' || p[k] == '-')
		return k + 1;
	return 0;
}

/* Of a dump's line the bytes before its right column, which shows them a second time. */
static size_t before_column(const uint8_t *p, size_t n)
{
	bool digits = true;

	for (size_t i = 1; i + 1 < n; i++) {
		if (!(blank(p[i - 1]) && blank(p[i]))) {
			digits = digits && (blank(p[i - 1]) || hex_digit(p[i - 1]));
			continue;
		}
		if (p[i + 1] == '|' || p[i + 1] == '>')
			return i;
		/* xxd: two blanks after the last group, but hexdump -C has two in the middle as well */
		if (digits && i >= 8 && memchr(p, '|', n) == NULL && !memchr(p, '>', n) && i > n / 3)
			return i;
	}
	return n;
}

/* Bytes of an escape sequence (ECMA-48) at p[0] = ESC. */
static size_t escape(const uint8_t *p, size_t n)
{
	size_t i = 1;

	if (n < 2)
		return 1;
	if (p[1] != '[')
		return 2;
	for (i = 2; i < n && p[i] >= 0x20 && p[i] < 0x40; i++)
		;
	return i < n ? i + 1 : n;
}

static int squeeze(struct pf__view *v, const uint8_t *p, size_t n, uint64_t at)
{
	size_t i = 0;

	if (pf__view_reserve(v, n) < 0)
		return -1;
	while (i < n) {
		const uint8_t *esc = memchr(p + i, 0x1B, n - i);
		size_t k = esc ? (size_t)(esc - p) : n;

		pf__view_squeeze(v, p + i, k - i, at + i);
		i = k < n ? k + escape(p + k, n - k) : n;
	}
	return 0;
}

/* Where the line ends; n: not here. memchr() of the C library is a tenth of the whole filter. */
static size_t line_end(const uint8_t *p, size_t n)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		uint64_t v;

		memcpy(&v, p + i, 8);
		v ^= 0x0A0A0A0A0A0A0A0Aull; /* a zero byte is what is looked for */
		if ((v - 0x0101010101010101ull) & ~v & 0x8080808080808080ull)
			break;
	}
	while (i < n && p[i] != '\n')
		i++;
	return i;
}

/* One line, or what there is of one. False: it has nothing around it. */
static bool line(struct pf__view *v, const uint8_t *p, size_t n, uint64_t at, bool escapes, int *failed)
{
	bool offset = false;
	size_t skip = gutter(p, n, &offset);

	if (!skip && !(escapes && memchr(p, 0x1B, n)))
		return false;
	n = skip + (offset ? before_column(p + skip, n - skip) : n - skip);
	if (squeeze(v, p + skip, n - skip, at + skip) < 0)
		*failed = -1;
	return true;
}

/* Could a line that begins so get a number? Its end decides. */
static bool undecided(const uint8_t *p, size_t n, bool escapes)
{
	size_t i = 0;

	while (i < n && blank(p[i]))
		i++;
	while (i < n && hex_digit(p[i]))
		i++;
	return (i == n && n < GUTTER_MAX) || (escapes && memchr(p, 0x1B, n));
}

uint64_t pf__lines_find(struct pf_redact_stream *s, bool final)
{
	const struct pf_redact *r = s->r;
	uint64_t at = s->line_at, hold = UINT64_MAX, known;
	bool escapes = memchr(s->buf + (at - s->base), 0x1B, (size_t)(s->end - at)) != NULL;
	int failed = 0;

	while (at < s->end) {
		const uint8_t *p = s->buf + (at - s->base);
		size_t n = (size_t)(s->end - at);
		size_t nl = line_end(p, n);
		bool whole = nl < n, own;

		if (!whole && !final && n < PF__LINE_MAX) {
			bool ignored;

			if (undecided(p, n, escapes) || gutter(p, n, &ignored))
				hold = at;
			break;
		}
		n = whole ? nl + 1 : n < PF__LINE_MAX ? n : PF__LINE_MAX;
		own = line(&s->lines, p, n, at, escapes, &failed);
		if (!own && whole)
			s->lines_plain = true; /* what the view has before it is not waited for */
		else if (own)
			s->lines_plain = false;
		at += n;
	}
	s->line_at = at;
	if (failed)
		s->hits.failed = true;
	known = pf__known_find(&r->index, r->values, &s->lines, s->end, final, s->hold_from, &s->hits);
	if (!s->lines_plain && known < hold)
		hold = known;
	pf__view_forget(&s->lines);
	return hold;
}
