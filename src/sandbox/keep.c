/* SPDX-License-Identifier: Apache-2.0 */
/* Head and tail of an output, in memory that is bounded and taken only as it is needed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

int pf__keep_take(struct pf_keep *k, struct pf_buf *out, bool *truncated)
{
	uint64_t left_out = k->total - k->head.len - k->ring_len;
	size_t first;

	pf_buf_add(out, k->head.data ? k->head.data : "", k->head.len);
	if (left_out) {
		*truncated = true;
		pf_buf_addf(out, "\n[pinfold: %llu bytes left out here]\n", (unsigned long long)left_out);
	}
	if (k->ring_len) {
		first = k->ring_len < k->half ? 0 : k->ring_at;
		pf_buf_add(out, k->ring + first, k->ring_len - first);
		pf_buf_add(out, k->ring, first);
	}
	return out->failed ? -ENOMEM : 0;
}
