/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies as they pass; see http.h. Chunks go on as they came, after every byte of their framing was checked.
 */
#include <errno.h>
#include <string.h>

#include "egress/http.h"

#define DIGITS_MAX   15 /* of a chunk's size: below 2^60 */
#define TRAILERS_MAX 8192

enum state {
	SIZE,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER,
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	END_LF
};

void pf_http_body_init(struct pf_http_body *b, enum pf_http_body_kind kind, uint64_t length, bool trailers)
{
	*b = (struct pf_http_body){.kind = kind, .left = length, .trailers = trailers};
	b->done = kind == PF_HTTP_NONE || (kind == PF_HTTP_LENGTH && length == 0);
	b->state = SIZE;
	if (kind == PF_HTTP_CHUNKED)
		b->left = 0;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* A size is digits alone: no sign, no "0x", no extension (";x" was read differently by different servers). */
static int size_char(struct pf_http_body *b, char c)
{
	int v = hex(c);

	if (v >= 0) {
		if (b->digits == DIGITS_MAX)
			return -EPROTO;
		b->digits++;
		b->left = b->left << 4 | (uint64_t)v;
		return 0;
	}
	if (c != '\r' || b->digits == 0)
		return -EPROTO;
	b->state = SIZE_LF;
	return 0;
}

static bool is_name(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
	       c == '_';
}

static int trailer_char(struct pf_http_body *b, char c)
{
	if (++b->line > TRAILERS_MAX)
		return -EPROTO;
	switch (b->state) {
	case TRAILER:
		if (c == '\r') {
			b->state = END_LF;
			return 0;
		}
		if (!b->trailers || !is_name(c))
			return -EPROTO;
		b->state = TRAILER_NAME;
		return 0;
	case TRAILER_NAME:
		if (c == ':')
			b->state = TRAILER_VALUE;
		return c == ':' || is_name(c) ? 0 : -EPROTO;
	case TRAILER_VALUE:
		if (c == '\r')
			b->state = TRAILER_LF;
		return c == '\r' || c == '\t' || ((unsigned char)c >= 0x20 && c != 0x7f) ? 0 : -EPROTO;
	default: /* TRAILER_LF */
		b->state = TRAILER;
		return c == '\n' ? 0 : -EPROTO;
	}
}

static int framing_char(struct pf_http_body *b, char c)
{
	switch (b->state) {
	case SIZE:
		return size_char(b, c);
	case SIZE_LF:
		b->state = b->left ? DATA : TRAILER;
		return c == '\n' ? 0 : -EPROTO;
	case DATA_CR:
		b->state = DATA_LF;
		return c == '\r' ? 0 : -EPROTO;
	case DATA_LF:
		b->state = SIZE;
		b->digits = 0;
		return c == '\n' ? 0 : -EPROTO;
	case END_LF:
		b->done = true;
		return c == '\n' ? 0 : -EPROTO;
	default:
		return trailer_char(b, c);
	}
}

static size_t take(struct pf_http_body *b, size_t n)
{
	size_t part = b->left < n ? (size_t)b->left : n;

	b->left -= part;
	return part;
}

ssize_t pf_http_body_scan(struct pf_http_body *b, const char *p, size_t n)
{
	size_t i = 0;

	if (b->kind == PF_HTTP_UNTIL_CLOSE)
		return (ssize_t)n;
	if (b->kind == PF_HTTP_LENGTH) {
		i = take(b, n);
		b->done = b->left == 0;
		return (ssize_t)i;
	}
	while (i < n && !b->done) {
		if (b->state == DATA) {
			i += take(b, n - i);
			if (b->left == 0)
				b->state = DATA_CR;
		} else if (framing_char(b, p[i++]) < 0) {
			return -EPROTO;
		}
	}
	return (ssize_t)i;
}
