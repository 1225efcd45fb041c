/* SPDX-License-Identifier: Apache-2.0 */
/* Head and tail of an output, in memory that is bounded and taken only as it is needed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "sandbox/sandbox.h"

void pf__keep_init(struct pf_keep *k, size_t inline_limit)
{
	*k = (struct pf_keep){.half = inline_limit / 2};
}

void pf__keep_free(struct pf_keep *k)
{
	pf_buf_free(&k->head);
	free(k->ring);
	*k = (struct pf_keep){0};
}

static void add_tail(struct pf_keep *k, const char *p, size_t n)
{
	if (n > k->half) {
		p += n - k->half;
		n = k->half;
	}
	if (!k->ring && !(k->ring = malloc(k->half)))
		return; /* the total still tells that bytes are missing */
	while (n) {
		size_t piece = k->half - k->ring_at < n ? k->half - k->ring_at : n;

		memcpy(k->ring + k->ring_at, p, piece);
		k->ring_at = (k->ring_at + piece) % k->half;
		k->ring_len = k->ring_len + piece < k->half ? k->ring_len + piece : k->half;
		p += piece;
		n -= piece;
	}
}

void pf__keep_add(struct pf_keep *k, const void *p, size_t n)
{
	size_t room = k->half - k->head.len < n ? k->half - k->head.len : n;

	k->total += n;
	pf_buf_add(&k->head, p, room);
	if (n > room && k->half)
		add_tail(k, (const char *)p + room, n - room);
}

/* What is in memory, in its order. */
static size_t tail_first(const struct pf_keep *k)
{
	return k->ring_len < k->half ? 0 : k->ring_at;
}

bool pf__keep_pieces(const struct pf_keep *k, const char *pieces[3], size_t lengths[3])
{
	size_t first = tail_first(k);

	pieces[0] = k->head.data ? k->head.data : "";
	lengths[0] = k->head.len;
	pieces[1] = k->ring ? k->ring + first : "";
	lengths[1] = k->ring_len - first;
	pieces[2] = k->ring ? k->ring : "";
	lengths[2] = first;
	return k->total == k->head.len + k->ring_len;
}

/* Characters that the cut went through are left out whole: text stays text. */
static size_t half_character(const char *const pieces[3], const size_t lengths[3])
{
	size_t n = 0;

	for (unsigned i = 1; i < 3; i++)
		for (size_t k = 0; k < lengths[i]; k++, n++)
			if (n == 3 || ((unsigned char)pieces[i][k] & 0xc0) != 0x80)
				return n;
	return n;
}

bool pf__keep_take(struct pf_keep *k, uint64_t beyond, const char *where, struct pf_buf *out)
{
	const char *pieces[3];
	size_t lengths[3], skip;
	uint64_t left_out;

	if (pf__keep_pieces(k, pieces, lengths) && !beyond) {
		for (unsigned i = 0; i < 3; i++)
			pf_buf_add(out, pieces[i], lengths[i]);
		return out->failed;
	}
	left_out = k->total - k->head.len - k->ring_len + beyond;
	lengths[0] = pf_utf8_whole(pieces[0], lengths[0]);
	skip = half_character(pieces, lengths);
	left_out += k->head.len - lengths[0] + skip;
	pf_buf_add(out, pieces[0], lengths[0]);
	pf_buf_addf(out, "\n[pinfold: %llu bytes left out here%s]\n", (unsigned long long)left_out, where);
	for (unsigned i = 1; i < 3; i++) {
		size_t less = skip < lengths[i] ? skip : lengths[i];

		if (lengths[i] > less)
			pf_buf_add(out, pieces[i] + less, lengths[i] - less);
		skip -= less;
	}
	return true;
}
