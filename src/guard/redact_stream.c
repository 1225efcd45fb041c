/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes in, hits, bytes out. Each of the lookers says from where on it cannot decide yet; what is before the
 * first of those is let go, with a mark in the place of each hit. Bytes already gone stay for a while as
 * context: a hit that began in them takes what is left of it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard/redact_stream.h"

#define CHUNK 65536u

int pf_redact_open(struct pf_redact *r, const struct pf_redact_options *o, struct pf_redact_stream **out)
{
	struct pf_redact_stream *s;
	int e = o->mode == PF_GUARD_OFF ? 0 : pf__redact_build(r);

	if (e < 0)
		return e;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->r = r;
	s->o = *o;
	s->hold_from = o->live ? 4 : 1;
	s->last_hit = -2;
	s->first_value = -1;
	s->blob_again = UINT64_MAX;
	*out = s;
	return 0;
}

void pf_redact_close(struct pf_redact_stream *s)
{
	if (!s)
		return;
	if (s->buf)
		explicit_bzero(s->buf, s->cap);
	free(s->buf);
	free(s->hits.items);
	pf__view_free(&s->view);
	pf__view_free(&s->lines);
	free(s);
}

void pf__hit_add(struct pf__hits *h, struct pf__hit hit)
{
	size_t i;

	if (h->count == h->cap) {
		size_t cap = h->cap ? 2 * h->cap : 16;
		struct pf__hit *items = realloc(h->items, cap * sizeof(*items));

		if (!items) {
			h->failed = true;
			return;
		}
		h->items = items;
		h->cap = cap;
	}
	/* They come nearly in order. Of two that begin together a known value is first: its name says more.
	 */
	for (i = h->count;
	     i > 0 && (h->items[i - 1].from > hit.from ||
		       (h->items[i - 1].from == hit.from && h->items[i - 1].value < 0 && hit.value >= 0));
	     i--)
		h->items[i] = h->items[i - 1];
	h->items[i] = hit;
	h->count++;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Room for n more bytes, after letting go of context that is old. */
static int room(struct pf_redact_stream *s, size_t n)
{
	uint64_t keep = least(least(s->released, s->rule_at), least(s->line_at, s->raw_at));
	size_t have, cap = s->cap ? s->cap : 4096;
	uint8_t *buf;

	keep = keep > PF__CONTEXT ? keep - PF__CONTEXT : 0;
	if (keep > s->base && (keep - s->base > CHUNK / 2 || s->end - s->base + n > s->cap)) {
		memmove(s->buf, s->buf + (keep - s->base), (size_t)(s->end - keep));
		s->base = keep;
	}
	have = (size_t)(s->end - s->base);
	if (have + n <= s->cap)
		return 0;
	while (cap < have + n)
		cap *= 2;
	buf = realloc(s->buf, cap);
	if (!buf)
		return -ENOMEM;
	s->buf = buf;
	s->cap = cap;
	return 0;
}

static void put(struct pf_redact_stream *s, uint64_t from, uint64_t to)
{
	if (to > from && !s->quiet)
		s->o.sink(s->o.user, s->buf + (from - s->base), (size_t)(to - from));
}

/* A mark in the place of hit, whose bytes are gone until it. */
static void mark(struct pf_redact_stream *s, const struct pf__hit *hit)
{
	char text[PF_REDACT_NAME + 32];
	uint64_t from = hit->from > s->released ? hit->from : s->released;
	bool goes_on = s->last_hit == hit->value && hit->from < s->last_to && s->released == s->last_to;

	if (s->first_value < 0)
		s->first_value = hit->value;
	if (!goes_on && !s->quiet) {
		pf__redact_count(s->r, &s->r->account, hit, s->o.stream);
		if (s->o.account)
			pf__redact_count(s->r, s->o.account, hit, s->o.stream);
		s->found = true;
	}
	if (hit->value >= 0 && hit->from < s->released && !goes_on && hit->n) {
		struct pf__value *v = &s->r->values[hit->value];

		/* Some of it was let go before: the accounts say so. */
		for (size_t k = hit->at; k < (size_t)hit->at + hit->n && k < v->len; k++)
			v->seen[k] = k - hit->at < s->released - hit->from;
	}
	if (s->o.mode == PF_GUARD_ENFORCE) {
		put(s, s->released, from);
		pf__redact_rule(s->r, hit, text, sizeof(text), true);
		if (!goes_on)
			s->o.sink(s->o.user, text, strlen(text));
	} else {
		put(s, s->released, hit->to);
	}
	s->released = hit->to;
	s->last_to = hit->to;
	s->last_hit = hit->value;
}

static void let_go(struct pf_redact_stream *s, uint64_t until)
{
	struct pf__hits *h = &s->hits;
	size_t i = 0;

	while (i < h->count && h->items[i].from < until) {
		const struct pf__hit *hit = &h->items[i++];

		if (hit->to > s->released)
			mark(s, hit);
	}
	if (i)
		memmove(h->items, h->items + i, (h->count - i) * sizeof(*h->items));
	h->count -= i;
	if (until > s->released) {
		put(s, s->released, until);
		s->released = until;
	}
}

static int look(struct pf_redact_stream *s, bool final)
{
	uint64_t hold, limit;

	hold = pf__rules_find(s, final);
	if (s->r->value_count == 0) {
		s->line_at = s->raw_at = s->end;
	} else {
		hold = least(hold, pf__known_find(&s->r->index, s->r->values, &s->view, s->end, final,
						  s->hold_from, &s->hits));
		hold = least(hold, pf__lines_find(s, final));
		hold = least(hold, pf__raw_find(s, final));
		pf__view_forget(&s->view);
	}
	limit = s->blob ? PF_REDACT_BLOB : PF_REDACT_HOLD;
	if (!final && hold != UINT64_MAX && s->end > limit && hold < s->end - limit)
		hold = s->end - limit; /* bounded, whatever comes */
	if (s->hits.failed)
		return -ENOMEM;
	let_go(s, least(hold, s->end));
	return 0;
}

static int feed(struct pf_redact_stream *s, const uint8_t *p, size_t n)
{
	int r = room(s, n);

	if (r < 0)
		return r;
	memcpy(s->buf + (s->end - s->base), p, n);
	if (s->r->value_count) {
		r = pf__view_reserve(&s->view, n);
		if (r < 0)
			return r;
		pf__view_squeeze(&s->view, p, n, s->end);
	}
	s->end += n;
	return look(s, false);
}

int pf_redact_feed(struct pf_redact_stream *s, const void *p, size_t n)
{
	const uint8_t *at = p;

	if (s->failed)
		return -ENOMEM;
	if (s->o.mode == PF_GUARD_OFF) {
		if (n)
			s->o.sink(s->o.user, p, n);
		return 0;
	}
	while (n > 0) {
		size_t k = n < CHUNK ? n : CHUNK;

		if (feed(s, at, k) < 0) {
			s->failed = true;
			return -ENOMEM;
		}
		at += k;
		n -= k;
	}
	return 0;
}

bool pf_redact_holds(const struct pf_redact_stream *s)
{
	return s->released < s->end;
}

int pf_redact_pause(struct pf_redact_stream *s)
{
	if (s->failed)
		return -ENOMEM;
	if (!pf_redact_holds(s))
		return 0;
	if (look(s, true) < 0) {
		s->failed = true;
		return -ENOMEM;
	}
	return 0;
}

int pf_redact_end(struct pf_redact_stream *s)
{
	return pf_redact_pause(s);
}
