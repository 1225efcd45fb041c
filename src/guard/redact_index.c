/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The literals' windows of five characters in a hash table. A run of min_run characters must be found
 * wherever in its literal it begins, so a window is kept every min_run - 4: each such run holds one whole.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "guard/redact_internal.h"

#define WINDOW	  5u
#define FIVE_MASK 0xFFFFFFFFFFull
#define TEXT_MAX  (64u << 20) /* of all literals: 256 values of the longest kind stay below */

static uint64_t load8(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static int room(struct pf__index *x, size_t extra)
{
	size_t need = x->text_len + extra + 16, cap = x->text_cap ? x->text_cap : 16384;
	uint8_t *text;
	uint16_t *from;

	if (need <= x->text_cap)
		return 0;
	while (cap < need)
		cap *= 2;
	if (cap > TEXT_MAX)
		return -E2BIG;
	text = realloc(x->text, cap);
	if (!text)
		return -ENOMEM;
	x->text = text;
	from = realloc(x->from, cap * sizeof(*from));
	if (!from)
		return -ENOMEM;
	x->from = from;
	x->text_cap = cap;
	return 0;
}

static int grow(void *items, size_t count, size_t size)
{
	void **p = items;
	void *q;

	if (count & (count - 1) || (count && count < 16))
		return 0;
	q = realloc(*p, (count ? 2 * count : 16) * size);
	if (!q)
		return -ENOMEM;
	*p = q;
	return 0;
}

int pf__index_add(struct pf__index *x, const struct pf__seq *s, unsigned value, size_t piece_at,
		  size_t raw_len, unsigned encoding, bool weighed)
{
	struct pf__literal *l;
	size_t n = 0, want;
	int r = room(x, s->n + 1u);

	if (r < 0)
		return r;
	if (x->text_len == 0)
		x->text[x->text_len++] = 0;
	for (unsigned i = 0; i < s->n; i++) {
		uint8_t c = pf__squeezed[s->c[i]];

		x->text[x->text_len + n] = c;
		x->from[x->text_len + n] = s->from[i];
		n += c != 0;
	}
	if (n < PF__RUN_MIN)
		return 0;
	r = grow(&x->literals, x->literal_count, sizeof(*x->literals));
	if (r < 0)
		return r;
	want = (PF__RUN_MIN * n + raw_len - 1) / raw_len;
	if (encoding == PF__BIG) /* no digit of it belongs to a byte */
		want = n > 16 ? n - 2 : n;
	if (want < PF__RUN_MIN)
		want = PF__RUN_MIN;
	l = &x->literals[x->literal_count++];
	*l = (struct pf__literal){.at = (uint32_t)x->text_len,
				  .len = (uint32_t)n,
				  .value = (uint16_t)value,
				  .piece_at = (uint16_t)(piece_at > UINT16_MAX ? UINT16_MAX : piece_at),
				  .min_run = (uint16_t)(want < n ? want : n),
				  .encoding = (uint8_t)encoding,
				  .weighed = weighed};
	x->window_count += (n - WINDOW) / (l->min_run - WINDOW + 1u) + 1;
	x->text_len += n;
	x->text[x->text_len++] = 0;
	return 0;
}

int pf__index_add_raw(struct pf__index *x, const uint8_t *p, size_t n, unsigned value, unsigned encoding,
		      bool bounded)
{
	uint8_t *copy;
	int r = grow(&x->raws, x->raw_count, sizeof(*x->raws));

	if (r < 0)
		return r;
	copy = malloc(n);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, p, n);
	x->raws[x->raw_count++] = (struct pf__raw_literal){.bytes = copy,
							   .len = (uint32_t)n,
							   .value = (uint16_t)value,
							   .encoding = (uint8_t)encoding,
							   .bounded = bounded};
	if (n > x->raw_longest)
		x->raw_longest = n;
	return 0;
}

static void insert(struct pf__index *x, uint32_t owner, uint32_t at, uint32_t *n)
{
	uint32_t h = PF__HASH(load8(x->text + at) & FIVE_MASK, x->shift);

	x->owner[*n] = owner;
	x->window[*n] = at;
	x->next[*n] = x->heads[h >> 2];
	x->heads[h >> 2] = ++*n;
	x->bits[h >> 6] |= 1ull << (h & 63);
}

int pf__index_close(struct pf__index *x)
{
	unsigned bits = 14;
	uint32_t n = 0;

	if (x->literal_count == 0)
		return 0;
	while (bits < 22 && (1u << bits) < 16 * x->window_count)
		bits++;
	x->shift = 64 - bits;
	memset(x->text + x->text_len, 0, 8); /* load8() reads past the last window */
	x->owner = malloc(x->window_count * sizeof(uint32_t));
	x->window = malloc(x->window_count * sizeof(uint32_t));
	x->next = malloc(x->window_count * sizeof(uint32_t));
	x->heads = calloc((1u << bits) >> 2, sizeof(uint32_t));
	x->bits = calloc((1u << bits) >> 6, sizeof(uint64_t));
	x->fours = calloc((1u << PF__FOUR_BITS) >> 6, sizeof(uint64_t));
	if (!x->owner || !x->window || !x->next || !x->heads || !x->bits || !x->fours)
		return -ENOMEM;
	for (uint32_t i = 0; i < x->literal_count; i++) {
		const struct pf__literal *l = &x->literals[i];

		for (uint32_t k = 0; k + WINDOW <= l->len; k += l->min_run - WINDOW + 1u)
			insert(x, i, l->at + k, &n);
		for (uint32_t k = 0; k + 4 <= l->len; k++) {
			uint32_t h = PF__HASH4(load8(x->text + l->at + k));

			x->fours[h >> 6] |= 1ull << (h & 63);
		}
	}
	return 0;
}

int pf__index_build(struct pf__index *x, const struct pf__value *values, size_t count)
{
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++)
		r = pf__encode(x, &values[i], (unsigned)i);
	return r < 0 ? r : pf__index_close(x);
}

void pf__index_free(struct pf__index *x)
{
	for (size_t i = 0; i < x->raw_count; i++) {
		explicit_bzero(x->raws[i].bytes, x->raws[i].len);
		free(x->raws[i].bytes);
	}
	if (x->text)
		explicit_bzero(x->text, x->text_len);
	free(x->raws);
	free(x->literals);
	free(x->text);
	free(x->from);
	free(x->owner);
	free(x->window);
	free(x->next);
	free(x->heads);
	free(x->bits);
	free(x->fours);
	*x = (struct pf__index){0};
}
