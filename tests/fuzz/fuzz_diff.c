/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two texts, divided by the first byte 0xff: the hunks, applied to the first by the small applier here,
 * give the second; they are in order, count what they hold, and have at most three lines of context.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "workspace/workspace_internal.h"

struct patched {
	struct pf__text old;
	size_t at, old_line, new_line; /* read so far */
	size_t left_old, left_new;
	struct pf_buf b;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int ok)
{
	if (!ok)
		abort();
}

static void skip_line(struct patched *p)
{
	const char *from = p->old.s + p->at, *nl = memchr(from, '\n', p->old.n - p->at);
	size_t n = nl ? (size_t)(nl - from) + 1 : p->old.n - p->at;

	require(n > 0);
	pf_buf_add(&p->b, from, n);
	p->at += n;
	p->old_line++;
	p->new_line++;
}

static int hunk(void *ctx, size_t old_at, size_t old_n, size_t new_at, size_t new_n)
{
	struct patched *p = ctx;

	require(p->left_old == 0 && p->left_new == 0 && old_n + new_n > 0);
	while (p->old_line < (old_n ? old_at - 1 : old_at))
		skip_line(p);
	require(p->old_line == (old_n ? old_at - 1 : old_at));
	require(p->new_line == (new_n ? new_at - 1 : new_at));
	p->left_old = old_n;
	p->left_new = new_n;
	return 0;
}

static int line(void *ctx, char mark, const char *s, size_t n)
{
	struct patched *p = ctx;

	require(n > 0 && (mark == ' ' || mark == '-' || mark == '+'));
	if (mark != '+') {
		require(p->left_old-- > 0 && p->at + n <= p->old.n && memcmp(p->old.s + p->at, s, n) == 0);
		p->at += n;
		p->old_line++;
	}
	if (mark != '-') {
		require(p->left_new-- > 0);
		pf_buf_add(&p->b, s, n);
		p->new_line++;
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *cut = size ? memchr(data, 0xff, size) : NULL;
	struct pf__text a = {(const char *)data, cut ? (size_t)(cut - data) : size}, b = {"", 0};
	struct patched p = {.old = a};
	struct pf__diff_out out = {hunk, line, &p};

	if (cut)
		b = (struct pf__text){(const char *)cut + 1, size - a.n - 1};
	if (!a.n)
		p.old.s = a.s = "";
	require(pf__diff_lines(a, b, &out) == 0);
	require(p.left_old == 0 && p.left_new == 0);
	pf_buf_add(&p.b, a.s + p.at, a.n - p.at);
	require(p.b.len == b.n && (b.n == 0 || memcmp(p.b.data, b.s, b.n) == 0));
	pf_buf_free(&p.b);
	return 0;
}
