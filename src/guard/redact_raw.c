/* SPDX-License-Identifier: Apache-2.0 */
/* Values of which squeezing would leave too little: short ones, words, and those of other scripts. As they
 * are. */
#include <string.h>

#include "guard/redact_stream.h"

static bool word(uint8_t c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || c >= 0x80;
}

static void find_one(struct pf_redact_stream *s, const struct pf__raw_literal *l, const uint8_t *p, size_t n,
		     bool final, uint64_t *hold)
{
	const uint8_t *from = p, *end = p + n, *hit;

	while ((hit = memmem(from, (size_t)(end - from), l->bytes, l->len))) {
		bool left = l->bounded && hit > s->buf && word(hit[-1]) && word(l->bytes[0]);
		bool open = hit + l->len == end;
		uint64_t at = s->base + (uint64_t)(hit - s->buf);

		if (l->bounded && open && !final) { /* what follows decides */
			*hold = at < *hold ? at : *hold;
			return;
		}
		if (!left && !(l->bounded && !open && word(hit[l->len]) && word(l->bytes[l->len - 1])))
			pf__hit_add(&s->hits, (struct pf__hit){.from = at,
							       .to = at + l->len,
							       .value = l->value,
							       .encoding = l->encoding,
							       .n = (uint16_t)l->len});
		from = hit + 1;
	}
	/* The end may be a beginning. */
	for (size_t k = l->len - 1; !final && k > 0; k--) {
		if (k <= n && end[-(ptrdiff_t)k] == l->bytes[0] && memcmp(end - k, l->bytes, k) == 0) {
			uint64_t at = s->end - k;

			*hold = at < *hold ? at : *hold;
			return;
		}
	}
}

uint64_t pf__raw_find(struct pf_redact_stream *s, bool final)
{
	const struct pf__index *x = &s->r->index;
	uint64_t hold = UINT64_MAX;

	if (x->raw_count == 0) {
		s->raw_at = s->end;
		return hold;
	}
	for (size_t i = 0; i < x->raw_count; i++) {
		uint64_t back = x->raws[i].len, at = s->raw_at > s->base + back ? s->raw_at - back : s->base;

		find_one(s, &x->raws[i], s->buf + (at - s->base), (size_t)(s->end - at), final, &hold);
	}
	s->raw_at = hold < s->end ? hold : s->end;
	return hold;
}
