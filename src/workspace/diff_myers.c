/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Myers' O(ND) difference ("An O(ND) Difference Algorithm and Its Variations", Algorithmica 1986): in the
 * edit graph of a against b, find the furthest points that d insertions and deletions reach, for
 * d = 0, 1, 2 …; the first d that reaches the end gives a shortest script.
 *
 * The furthest points of every d are kept to walk back, so memory grows with d squared, and the
 * enemy chooses both texts (one of them through the workspace's own history): d and the number of
 * comparisons are bounded, and beyond a bound the part between the common beginning and end is
 * replaced whole. That is a correct diff, only a long one.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "workspace/workspace_internal.h"

#define D_MAX	  2048 /* 2048 * 2049 points of 4 bytes: 16 MiB */
#define STEPS_MAX (UINT64_C(1) << 26)

struct graph {
	const struct pf__line *a, *b;
	int32_t n, m; /* lines */
	uint64_t steps;
	int32_t *rows; /* row d has d + 1 points, for k = -d, -d + 2 … d; it begins at d (d + 1) / 2 */
	size_t room;
};

static bool same(const struct pf__line *x, const struct pf__line *y)
{
	return x->hash == y->hash && x->n == y->n && memcmp(x->s, y->s, x->n) == 0;
}

static size_t row(int32_t d)
{
	return (size_t)d * ((size_t)d + 1) / 2;
}

static int32_t point(const struct graph *g, int32_t d, int32_t k)
{
	return g->rows[row(d) + (size_t)((k + d) / 2)];
}

/* Does the best path to diagonal k with d edits come down from k + 1 (an insertion), or from k - 1? */
static bool from_above(const struct graph *g, int32_t d, int32_t k)
{
	return k == -d || (k != d && point(g, d - 1, k - 1) < point(g, d - 1, k + 1));
}

static int row_reserve(struct graph *g, int32_t d)
{
	size_t need = row(d + 1), room = g->room ? g->room : 4096;
	int32_t *more;

	while (room < need)
		room *= 2;
	if (room == g->room)
		return 0;
	more = realloc(g->rows, room * sizeof(*more));
	if (!more)
		return -ENOMEM;
	g->rows = more;
	g->room = room;
	return 0;
}

/* Fill row d. 1: the end was reached, 0: not yet. */
static int extend(struct graph *g, int32_t d)
{
	for (int32_t k = -d; k <= d; k += 2) {
		int32_t x = d == 0		  ? 0
			    : from_above(g, d, k) ? point(g, d - 1, k + 1)
						  : point(g, d - 1, k - 1) + 1;
		int32_t y = x - k;

		/* Diagonals run out of the graph on both sides; such points lead nowhere, but keep the row
		 * regular. */
		while (x < g->n && y < g->m && y >= 0 && g->steps < STEPS_MAX && same(&g->a[x], &g->b[y])) {
			x++;
			y++;
			g->steps++;
		}
		g->rows[row(d) + (size_t)((k + d) / 2)] = x;
		if (x >= g->n && y >= g->m)
			return 1;
	}
	return 0;
}

/* Back from the end: each step to the row before is one edit. */
static void mark_path(const struct graph *g, int32_t d, uint8_t *a_gone, uint8_t *b_new)
{
	int32_t k = g->n - g->m;

	for (; d > 0; d--) {
		if (from_above(g, d, k)) {
			k++;
			b_new[point(g, d - 1, k) - k] = 1; /* the insertion stood at y = x - k there */
		} else {
			k--;
			a_gone[point(g, d - 1, k)] = 1;
		}
	}
}

/* 1: found and marked, 0: beyond the bounds. */
static int shortest(struct graph *g, uint8_t *a_gone, uint8_t *b_new)
{
	for (int32_t d = 0; d < D_MAX && g->steps < STEPS_MAX; d++) {
		int r = row_reserve(g, d);

		if (r < 0)
			return r;
		if (extend(g, d)) {
			/* steps may have run out within the last diagonal, but then the end was not reached
			 */
			mark_path(g, d, a_gone, b_new);
			return 1;
		}
	}
	return 0;
}

int pf__diff_mark(const struct pf__line *a, size_t na, const struct pf__line *b, size_t nb, uint8_t *a_gone,
		  uint8_t *b_new)
{
	struct graph g = {0};
	size_t head = 0, tail = 0;
	int r = 0;

	while (head < na && head < nb && same(&a[head], &b[head]))
		head++;
	while (tail < na - head && tail < nb - head && same(&a[na - 1 - tail], &b[nb - 1 - tail]))
		tail++;
	na -= head + tail;
	nb -= head + tail;
	a_gone += head;
	b_new += head;
	if (na && nb && na < INT32_MAX / 2 && nb < INT32_MAX / 2) {
		g = (struct graph){.a = a + head, .b = b + head, .n = (int32_t)na, .m = (int32_t)nb};
		r = shortest(&g, a_gone, b_new);
		free(g.rows);
	}
	if (r != 0)
		return r < 0 ? r : 0;
	memset(a_gone, 1, na);
	memset(b_new, 1, nb);
	return 0;
}
