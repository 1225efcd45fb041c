/* SPDX-License-Identifier: Apache-2.0 */
/* Two texts as unified hunks: lines, their differences, and the grouping with context. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "workspace/workspace_internal.h"

#define CONTEXT	  3u
#define LINES_MAX 1000000u /* 24 bytes each; beyond, or with longer texts, the whole is replaced */
#define BYTES_MAX (32u << 20)

struct side {
	struct pf__line *lines;
	size_t n;
	uint8_t *marked;
};

static void side_free(struct side *s)
{
	free(s->lines);
	free(s->marked);
}

static size_t count_lines(struct pf__text t)
{
	size_t n = 0;

	for (const char *p = t.s, *end = t.s + t.n; p < end; n++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));

		p = nl ? nl + 1 : end;
	}
	return n;
}

static uint64_t hash_bytes(const char *s, size_t n)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a; equal hashes are compared by bytes */

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)s[i]) * UINT64_C(0x100000001b3);
	return h;
}

static int split(struct pf__text t, size_t n, struct side *out)
{
	const char *p = t.s, *end = t.s + t.n;

	out->lines = calloc(n ? n : 1, sizeof(*out->lines));
	out->marked = calloc(n ? n : 1, 1);
	out->n = n;
	if (!out->lines || !out->marked)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p)), *next = nl ? nl + 1 : end;

		out->lines[i] = (struct pf__line){p, (size_t)(next - p), hash_bytes(p, (size_t)(next - p))};
		p = next;
	}
	return 0;
}

/* A hunk header shows where a side's lines begin, or for none the line before them. */
static int put_header(const struct pf__diff_out *out, size_t a_at, size_t a_n, size_t b_at, size_t b_n)
{
	return out->hunk(out->ctx, a_n ? a_at + 1 : a_at, a_n, b_n ? b_at + 1 : b_at, b_n);
}

static int put_text(const struct pf__diff_out *out, char mark, struct pf__text t)
{
	const char *p = t.s, *end = t.s + t.n;
	int r = 0;

	while (p < end && r == 0) {
		const char *nl = memchr(p, '\n', (size_t)(end - p)), *next = nl ? nl + 1 : end;

		r = out->line(out->ctx, mark, p, (size_t)(next - p));
		p = next;
	}
	return r;
}

static int put_whole(struct pf__text a, size_t na, struct pf__text b, size_t nb,
		     const struct pf__diff_out *out)
{
	int r = put_header(out, 0, na, 0, nb);

	if (r == 0)
		r = put_text(out, '-', a);
	return r == 0 ? put_text(out, '+', b) : r;
}

/* From i and j, both unmarked or at the end: the number of common lines that follow. */
static size_t common_run(const struct side *a, size_t i, const struct side *b, size_t j)
{
	size_t n = 0;

	while (i + n < a->n && j + n < b->n && !a->marked[i + n] && !b->marked[j + n])
		n++;
	return n;
}

/* The end of the hunk whose first difference is at i, j: where more than 2 * CONTEXT common lines follow. */
static void hunk_end(const struct side *a, const struct side *b, size_t *i, size_t *j)
{
	for (;;) {
		size_t n;

		while (*i < a->n && a->marked[*i])
			(*i)++;
		while (*j < b->n && b->marked[*j])
			(*j)++;
		n = common_run(a, *i, b, *j);
		if (n > 2 * CONTEXT || *i + n >= a->n || *j + n >= b->n) {
			/* at the end of one text what remains of the other is marked, and still belongs here
			 */
			bool more =
				(*i + n < a->n && a->marked[*i + n]) || (*j + n < b->n && b->marked[*j + n]);

			if (n > 2 * CONTEXT || !more)
				return;
		}
		*i += n;
		*j += n;
	}
}

static int put_hunk(const struct side *a, size_t i, size_t i_end, const struct side *b, size_t j,
		    size_t j_end, const struct pf__diff_out *out)
{
	int r = put_header(out, i, i_end - i, j, j_end - j);

	while ((i < i_end || j < j_end) && r == 0) {
		if (i < i_end && a->marked[i]) {
			r = out->line(out->ctx, '-', a->lines[i].s, a->lines[i].n);
			i++;
		} else if (j < j_end && b->marked[j]) {
			r = out->line(out->ctx, '+', b->lines[j].s, b->lines[j].n);
			j++;
		} else {
			r = out->line(out->ctx, ' ', a->lines[i].s, a->lines[i].n);
			i++;
			j++;
		}
	}
	return r;
}

static int put_hunks(const struct side *a, const struct side *b, const struct pf__diff_out *out)
{
	size_t i = 0, j = 0;
	int r = 0;

	while (r == 0) {
		size_t skip = common_run(a, i, b, j), before, after, i0, j0;

		i += skip;
		j += skip;
		if (i >= a->n && j >= b->n)
			return 0;
		before = skip < CONTEXT ? skip : CONTEXT;
		i0 = i - before;
		j0 = j - before;
		hunk_end(a, b, &i, &j);
		after = common_run(a, i, b, j);
		if (after > CONTEXT)
			after = CONTEXT;
		r = put_hunk(a, i0, i + after, b, j0, j + after, out);
		/* i and j stay at the first common line: the next round skips it and all its context again */
	}
	return r;
}

int pf__diff_lines(struct pf__text a, struct pf__text b, const struct pf__diff_out *out)
{
	struct side sa = {0}, sb = {0};
	size_t na, nb;
	int r;

	/* no pointer arithmetic on the NULL of an empty text */
	a.s = a.n ? a.s : "";
	b.s = b.n ? b.s : "";
	na = count_lines(a);
	nb = count_lines(b);
	if (a.n == b.n && (a.n == 0 || memcmp(a.s, b.s, a.n) == 0))
		return 0;
	if (na > LINES_MAX || nb > LINES_MAX || a.n > BYTES_MAX || b.n > BYTES_MAX || na == 0 || nb == 0)
		return put_whole(a, na, b, nb, out);
	r = split(a, na, &sa);
	if (r == 0)
		r = split(b, nb, &sb);
	if (r == 0)
		r = pf__diff_mark(sa.lines, na, sb.lines, nb, sa.marked, sb.marked);
	if (r == 0)
		r = put_hunks(&sa, &sb, out);
	side_free(&sa);
	side_free(&sb);
	return r;
}
