/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Literals in squeezed text. Every position is asked for in a bit field; where it answers, the windows of
 * that hash are compared, and a run is as long as text and literal agree to both sides. A run of eight bytes
 * of the value is a hit already: what leaks in pieces leaks too.
 */
#include <string.h>

#include "guard/redact_internal.h"

#define FIVE_MASK 0xFFFFFFFFFFull
#define LIGHT	  24u /* quarters: a piece of a value that weighs less could be any word */

struct run {
	const struct pf__literal *l;
	size_t from, to; /* in the view */
	uint32_t lit;	 /* where in the literal */
};

static uint64_t load8(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t widen(uint32_t low, uint64_t near)
{
	uint64_t v = (near & ~0xFFFFFFFFull) | low;

	return v > near ? v - (1ull << 32) : v;
}

/* Is it a hit, or would it become one if the text went on? */
static bool heavy(const struct pf__index *x, const struct pf__value *values, const struct run *r)
{
	const struct pf__value *v = &values[r->l->value];
	size_t n = r->to - r->from;
	unsigned weight = 0;

	if (n == r->l->len)
		return true;
	if (v->whole_only || n < r->l->min_run)
		return false;
	if (!r->l->weighed)
		return true;
	for (size_t i = 0; i < n; i++)
		weight += v->weight[r->l->piece_at + x->from[r->l->at + r->lit + i]];
	return weight >= LIGHT;
}

/* The longest run through the window at i; false: there is none of interest. */
static bool best_run(const struct pf__index *x, const struct pf__value *values, const struct pf__view *v,
		     size_t i, struct run *best)
{
	uint32_t h = PF__HASH(load8(v->chars + i) & FIVE_MASK, x->shift);
	size_t length = 0;

	for (uint32_t w = x->heads[h >> 2]; w; w = x->next[w - 1]) {
		const struct pf__literal *l = &x->literals[x->owner[w - 1]];
		const uint8_t *lit = x->text + x->window[w - 1];
		struct run r = {.l = l};
		size_t left = 0, right = 0, back = x->window[w - 1] - l->at,
		       fore = l->at + l->len - x->window[w - 1];

		if (memcmp(lit, v->chars + i, 5) != 0)
			continue;
		while (left < back && left < i && v->chars[i - left - 1] == lit[-(ptrdiff_t)left - 1])
			left++;
		while (right < fore && i + right < v->n && v->chars[i + right] == lit[right])
			right++;
		r.from = i - left;
		r.to = i + right;
		r.lit = x->window[w - 1] - l->at - (uint32_t)left;
		if (left + right > length && heavy(x, values, &r)) {
			length = left + right;
			*best = r;
		}
	}
	return length > 0;
}

/* How far back from the end the text could be the beginning of a hit: characters. */
static size_t could_become(const struct pf__index *x, const struct pf__view *v, size_t from)
{
	size_t n = v->n - from, k = n < 3 ? n : 3;

	while (k < n && k < PF__SEQ_MAX) {
		uint32_t h = PF__HASH4(load8(v->chars + v->n - k - 1));

		if (!(x->fours[h >> 6] >> (h & 63) & 1))
			break;
		k++;
	}
	return k;
}

static void add_hit(const struct pf__index *x, const struct pf__view *v, const struct run *r, uint64_t end,
		    struct pf__hits *hits)
{
	const uint16_t *from = x->from + r->l->at + r->lit;
	size_t n = r->to - r->from;
	unsigned low = from[0], high = from[0];
	uint64_t first = widen(v->pos[r->from], end), last = widen(v->pos[r->to - 1], end);

	for (size_t i = 1; i < n; i++) {
		low = from[i] < low ? from[i] : low;
		high = from[i] > high ? from[i] : high;
	}
	pf__hit_add(hits, (struct pf__hit){.from = first,
					   .to = last + 1,
					   .value = r->l->value,
					   .encoding = r->l->encoding,
					   .at = (uint16_t)(r->l->piece_at + low),
					   .n = (uint16_t)(high - low + 1)});
}

uint64_t pf__known_find(const struct pf__index *x, const struct pf__value *values, struct pf__view *v,
			uint64_t end, bool final, unsigned hold_from, struct pf__hits *hits)
{
	size_t i = v->next, n = v->n, settled = v->next, again = SIZE_MAX, k;

	if (x->literal_count == 0 || n == 0) {
		v->next = n;
		return UINT64_MAX;
	}
	memset(v->chars + n, 0, 8);
	while (i + 5 <= n) {
		uint32_t h = PF__HASH(load8(v->chars + i) & FIVE_MASK, x->shift);
		struct run r;

		if (!(x->bits[h >> 6] >> (h & 63) & 1) || !best_run(x, values, v, i, &r)) {
			i++;
			continue;
		}
		if (r.to == n && !final) { /* it may go on */
			v->next = r.from < settled ? settled : r.from;
			return widen(v->pos[r.from], end);
		}
		add_hit(x, v, &r, end, hits);
		if (r.to == n) /* shown as a hit; if it goes on after the pause, the rest is one too */
			again = r.from;
		settled = i = r.to > i ? r.to : i + 1;
	}
	k = could_become(x, v, settled);
	v->next = again < n - k ? again : n - k;
	return k >= hold_from && !final ? widen(v->pos[n - k], end) : UINT64_MAX;
}
