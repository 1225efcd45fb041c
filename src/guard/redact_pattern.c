/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matcher of compiled patterns. A pattern is a row of runs, each of one class of bytes with a least and a
 * greatest length; the compiler (tools/mkrules.c) refuses what would need to be tried in two ways, so a match
 * is one walk.
 */
#include "guard/redact_internal.h"

static bool in_class(const uint64_t cls[4], uint8_t c)
{
	return cls[c >> 6] >> (c & 63) & 1;
}

static bool word(uint8_t c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
}

enum pf__found pf__rule_match(const struct pf__rule *r, const uint64_t (*classes)[4],
			      const struct pf__text *t, size_t i, size_t *from, size_t *to)
{
	size_t at = i, mark_from = i, mark_to = i;

	if (r->left && i > 0 && word(t->p[i - 1]))
		return PF__NO;
	for (unsigned k = 0; k < r->step_count; k++) {
		const struct pf__step *s = &r->steps[k];
		size_t n = 0;

		if (k == r->mark_from)
			mark_from = at;
		while (n < s->max && at + n < t->n && in_class(classes[s->cls], t->p[at + n]))
			n++;
		if (at + n == t->n && n < s->max && !t->final)
			return PF__MORE;
		if (n < s->min)
			return PF__NO;
		at += n;
		if (k + 1 == r->mark_to)
			mark_to = at;
	}
	if (at == t->n && r->right && !t->final)
		return PF__MORE;
	if (r->right && at < t->n && word(t->p[at]))
		return PF__NO;
	if (r->entropy && pf__entropy(t->p + mark_from, mark_to - mark_from) * 10 < r->entropy)
		return PF__NO;
	if (!pf__check((enum pf__check)r->check, t->p + mark_from, mark_to - mark_from))
		return PF__NO;
	*from = mark_from;
	*to = mark_to;
	return PF__YES;
}
