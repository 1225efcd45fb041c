/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns in a stream. Three bytes announce a token: a bit field, made when pinfold was built, is asked at
 * every position, and only where it answers is a rule tried.
 */
#include <string.h>

#include "guard/redact_stream.h"
#include "redact_tables.h"

#define LONGEST (PF_REDACT_HOLD / 2) /* a token that is not whole by then is taken as it is */

const char *pf__rule_name(unsigned rule)
{
	return rule >= PF__SPECIAL ? pf__special_name((enum pf__special)(rule - PF__SPECIAL))
				   : pf__rules[rule].name;
}

static uint32_t three(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}

static bool announced(uint32_t h)
{
	return pf__anchor_bits[h >> 6] >> (h & 63) & 1;
}

/* All rules at i. *more: the least position of one that is not decided. */
static bool try_rules(struct pf_redact_stream *s, const struct pf__text *t, size_t i, size_t *next,
		      size_t *more)
{
	uint32_t h = PF__ANCHOR(three(t->p + i));
	bool hit = false;

	for (unsigned a = pf__anchor_heads[h >> 2]; a; a = pf__anchors[a - 1].next) {
		const struct pf__anchor *an = &pf__anchors[a - 1];
		struct pf__text own = *t;
		enum pf__found found;
		size_t from = i, to = i, start = i - an->back;
		unsigned special = an->rule - PF__SPECIAL;
		bool archive = an->rule >= PF__SPECIAL + PF__BLOB_RAW;
		int32_t value = -1;

		if (an->back > i)
			continue;
		own.final = own.final || t->n - start > (archive ? PF_REDACT_BLOB : LONGEST);
		if (an->rule >= PF__SPECIAL)
			found = pf__special_try(s, (enum pf__special)special, &own, start, &from, &to,
						&value);
		else
			found = pf__rule_match(&pf__rules[an->rule], pf__classes, &own, start, &from, &to);
		if (found == PF__MORE && start < *more)
			*more = start;
		if (found != PF__YES)
			continue;
		pf__hit_add(&s->hits, (struct pf__hit){.from = s->base + from,
						       .to = s->base + to,
						       .value = value,
						       .rule = an->rule,
						       .encoding = archive ? PF__ARCHIVE : PF__PATTERN});
		hit = true;
		*next = to > *next ? to : *next;
	}
	return hit;
}

/* The last one or two bytes may begin what announces a token. */
static size_t tail(const uint8_t *p, size_t n)
{
	uint8_t last = n ? p[n - 1] | 0x20 : 0, before = n > 1 ? p[n - 2] | 0x20 : 0;

	if (n > 1 && (pf__anchor_pairs[before << 2 | last >> 6] >> (last & 63) & 1))
		return 2;
	return n && (pf__anchor_firsts[last >> 6] >> (last & 63) & 1);
}

uint64_t pf__rules_find(struct pf_redact_stream *s, bool final)
{
	struct pf__text t = {.p = s->buf, .n = (size_t)(s->end - s->base), .final = final};
	size_t i = (size_t)(s->rule_at - s->base), more = SIZE_MAX, again = SIZE_MAX, k;

	s->blob = false;
	s->blob_again = UINT64_MAX;
	while (i + 3 <= t.n) {
		size_t next = i + 1;

		if (announced(PF__ANCHOR(three(t.p + i))) && try_rules(s, &t, i, &next, &more) &&
		    next == t.n && final)
			again = i; /* after a pause it may go on */
		if (more != SIZE_MAX)
			break;
		i = next;
	}
	if (more == SIZE_MAX)
		i = i > t.n ? t.n : i;
	/* It is looked at again from there; what announced it may stand behind its beginning. */
	s->rule_at = s->base + (again < i ? again : i);
	if (s->blob_again < s->rule_at)
		s->rule_at = s->blob_again;
	if (more != SIZE_MAX)
		return s->base + more;
	k = t.n - i;
	if (final || k == 0 || s->hold_from > 2)
		return UINT64_MAX;
	k = tail(t.p + i, k);
	return k ? s->end - k : UINT64_MAX;
}
