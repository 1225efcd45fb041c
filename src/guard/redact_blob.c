/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives in a stream: gzip, zlib, bzip2 and xz, as they are, in base64 and in hex. One is held until it is
 * whole or PF_REDACT_BLOB long, unpacked within a budget and looked into, three deep. When a known value is
 * in it all of it is replaced; and likewise, unseen, when the helper cannot be had.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "guard/redact_blob.h"
#include "guard/redact_stream.h"

#define DEPTH	  3u
#define GROWS	  8u /* of the budget: times what was packed, at least... */
#define AT_LEAST  16384u
#define FIRST	  4096u		 /* bytes of one that are tried before more is */
#define BUDGET_NS 10000000000ull /* of the helper in all; from then on archives are replaced unseen */

static unsigned kind_of(const uint8_t *p, size_t n)
{
	if (n >= 3 && memcmp(p, "\x1f\x8b\x08", 3) == 0)
		return PF__UNPACK_ZLIB;
	if (n >= 10 && memcmp(p, "BZh", 3) == 0 && memcmp(p + 4, "1AY&SY", 6) == 0)
		return PF__UNPACK_BZIP2;
	if (n >= 6 && memcmp(p,
			     "\xfd"
			     "7zXZ",
			     6) == 0)
		return PF__UNPACK_XZ;
	return n >= 2 && p[0] == 0x78 && (p[0] << 8 | p[1]) % 31 == 0 ? PF__UNPACK_ZLIB : 0;
}

static int digit(enum pf__special which, uint8_t c)
{
	if (which != PF__BLOB_HEX)
		return pf__sextet(c);
	return isdigit(c) ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* Text to bytes; at most max of them. */
static size_t decode(enum pf__special which, const uint8_t *p, size_t n, uint8_t *out, size_t max)
{
	unsigned bits = 0, width = which == PF__BLOB_HEX ? 4 : 6;
	uint32_t have = 0;
	size_t k = 0;

	for (size_t i = 0; i < n && k < max; i++) {
		int d = digit(which, p[i]);

		if (d < 0)
			continue;
		have = have << width | (uint32_t)d;
		bits += width;
		if (bits >= 8) {
			bits -= 8;
			out[k++] = (uint8_t)(have >> bits);
		}
	}
	return k;
}

/* How much of the text the first `used` bytes took, with what fills up its last group. */
static size_t text_of(enum pf__special which, const uint8_t *p, size_t n, size_t used)
{
	size_t digits = which == PF__BLOB_HEX ? 2 * used : (4 * used + 2) / 3, i = 0;

	for (; i < n && digits > 0; i++)
		digits -= digit(which, p[i]) >= 0;
	while (i < n && p[i] == '=')
		i++;
	return i;
}

/* Where the text of an archive ends; lines may wrap it. It is not walked twice however it comes. */
static size_t extent(struct pf_redact_stream *s, enum pf__special which, const struct pf__text *t, size_t i)
{
	size_t k = i, most = t->n - i < PF_REDACT_BLOB ? t->n : i + PF_REDACT_BLOB;

	if (which == PF__BLOB_RAW)
		return most;
	if (s->blob_at == s->base + i && s->blob_seen > s->blob_at && s->blob_seen <= s->end)
		k = (size_t)(s->blob_seen - s->base);
	while (k < most &&
	       (digit(which, t->p[k]) >= 0 || t->p[k] == '\n' || t->p[k] == '\r' || t->p[k] == '='))
		k++;
	s->blob_at = s->base + i;
	s->blob_seen = s->base + k;
	return k;
}

/* The helper's answer about the first `n` bytes; false: it is of no use, or has had its time. */
static bool unpack(struct pf_redact *r, unsigned kind, const uint8_t *p, size_t n, uint8_t *out,
		   struct pf__unpack_told *told)
{
	struct pf__unpack_ask ask = {.kind = kind, .bytes = (uint32_t)n};
	uint64_t since = pf_now_ns();
	int e;

	if (r->unpack_ns > BUDGET_NS)
		return false;
	ask.most = (uint32_t)(n * GROWS < AT_LEAST	   ? AT_LEAST
			      : n * GROWS < PF__UNPACK_OUT ? n * GROWS
							   : PF__UNPACK_OUT);
	if (!r->unpacker && (!r->helper || pf__unpacker_start(r->helper, &r->unpacker) < 0))
		return false;
	e = pf__unpacker_ask(r->unpacker, &ask, p, out, told);
	r->unpack_ns += pf_now_ns() - since;
	if (e < 0) {
		pf__unpacker_free(r->unpacker);
		r->unpacker = NULL;
	}
	return e == 0;
}

static int32_t search(struct pf_redact_stream *s, const uint8_t *p, size_t n)
{
	struct pf_redact_options o = {.stream = "archive", .mode = PF_GUARD_AUDIT};
	struct pf_redact_stream *inner;
	int32_t value = -2;

	if (pf_redact_open(s->r, &o, &inner) < 0)
		return -2;
	inner->depth = s->depth + 1;
	inner->quiet = true;
	if (pf_redact_feed(inner, p, n) == 0 && pf_redact_end(inner) == 0)
		value = inner->first_value;
	pf_redact_close(inner);
	return value;
}

/* Is a known value in it? Its number, -1: no, -2: that cannot be said. *used: bytes that were unpacked. More
 * of it is sent only while it is one: what looks like an archive at every third byte must not cost its length
 * each time. */
static int32_t look_into(struct pf_redact_stream *s, unsigned kind, const uint8_t *p, size_t n, size_t *used)
{
	uint8_t *out = malloc(PF__UNPACK_OUT);
	struct pf__unpack_told told = {0};
	int32_t value = -2;

	for (size_t k = n < FIRST ? n : FIRST; out; k = k * 16 < n ? k * 16 : n) {
		if (!unpack(s->r, kind, p, k, out, &told))
			break;
		*used = told.used;
		if (k < n && !told.ended && !told.broken && told.used == k)
			continue;
		value = search(s, out, told.bytes);
		break;
	}
	if (out)
		explicit_bzero(out, told.bytes);
	free(out);
	return value;
}

static bool weak(const uint8_t *magic)
{
	return magic[0] == 0x78;
}

static enum pf__found blob(struct pf_redact_stream *s, enum pf__special which, const struct pf__text *t,
			   size_t i, size_t *from, size_t *to, int32_t *value)
{
	uint8_t magic[16], *bytes = NULL;
	size_t end, n, used = 0;
	unsigned kind;

	if (which != PF__BLOB_RAW && i > 0 && digit(which, t->p[i - 1]) >= 0)
		return PF__NO;
	end = extent(s, which, t, i);
	if (end - i < 40 && end == t->n && !t->final)
		return PF__MORE;
	n = which == PF__BLOB_RAW
		    ? end - i
		    : decode(which, t->p + i, end - i < 40 ? end - i : 40, magic, sizeof(magic));
	if (which == PF__BLOB_RAW)
		memcpy(magic, t->p + i, n < sizeof(magic) ? n : sizeof(magic));
	kind = kind_of(magic, n < sizeof(magic) ? n : sizeof(magic));
	if (!kind)
		return PF__NO;
	if (end == t->n && !t->final && end - i < PF_REDACT_BLOB) {
		s->blob = true;
		return PF__MORE;
	}
	if (which != PF__BLOB_RAW) {
		bytes = malloc(end - i);
		if (!bytes)
			return PF__NO;
		n = decode(which, t->p + i, end - i, bytes, end - i);
	}
	*value = look_into(s, kind, bytes ? bytes : t->p + i, n, &used);
	free(bytes);
	if (end == t->n && end - i < PF_REDACT_BLOB)
		s->blob_again = s->base + i; /* after a pause the rest may come: then from the beginning */
	else
		s->blob_skip = s->base + i + (bytes ? end - i : used);
	if (*value == -1 || (*value == -2 && weak(magic)))
		return PF__NO;
	*from = i;
	*to = *value == -2 || used == 0 ? end
	      : which == PF__BLOB_RAW	? i + used
					: i + text_of(which, t->p + i, end - i, used);
	*value = *value == -2 ? -1 : *value;
	return PF__YES;
}

enum pf__found pf__special_try(struct pf_redact_stream *s, enum pf__special which, const struct pf__text *t,
			       size_t i, size_t *from, size_t *to, int32_t *value)
{
	if (which != PF__BLOB_RAW && which != PF__BLOB_BASE64 && which != PF__BLOB_HEX)
		return pf__special_match(which, t, i, from, to);
	/* Within what was unpacked already there is nothing new: so each byte is unpacked once at each depth.
	 */
	if (s->r->value_count == 0 || s->depth >= DEPTH || s->base + i < s->blob_skip)
		return PF__NO;
	return blob(s, which, t, i, from, to, value);
}
