/* SPDX-License-Identifier: Apache-2.0 */
/* The redactor: what it knows, and what it has found so far. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard/redact_blob.h"
#include "guard/redact_stream.h"

#define COUNTS_MAX 4096u

int pf_redact_new(struct pf_redact **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

static void wipe(void *p, size_t n)
{
	if (p)
		explicit_bzero(p, n);
	free(p);
}

static void free_value(struct pf__value *v)
{
	wipe(v->bytes, v->len);
	free(v->weight);
	free(v->seen);
}

void pf_redact_free(struct pf_redact *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->value_count; i++)
		free_value(&r->values[i]);
	pf__index_free(&r->index);
	pf__unpacker_free(r->unpacker);
	free(r->values);
	pf_redact_account_free(&r->account);
	free(r->helper);
	free(r);
}

static void clean_name(char out[PF_REDACT_NAME], const char *name)
{
	size_t n = 0;

	for (; name[n] && n + 1 < PF_REDACT_NAME; n++) {
		unsigned char c = (unsigned char)name[n];
		bool fine = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' ||
			    c == '-' || c == '.';

		out[n] = (char)(fine ? c : '_');
	}
	out[n] = '\0';
}

static bool known(const struct pf_redact *r, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < r->value_count; i++) {
		if (r->values[i].len == n && memcmp(r->values[i].bytes, p, n) == 0)
			return true;
	}
	return false;
}

int pf_redact_add(struct pf_redact *r, const char *name, const void *value, size_t n,
		  enum pf_redact_sure sure)
{
	struct pf__value v = {0}, *all;
	size_t at;

	if (n > PF_REDACT_VALUE_MAX || r->built)
		return -E2BIG;
	if (!pf__value_counts(name, value, &n, &at, sure, &v.whole_only))
		return 0;
	if (known(r, (const uint8_t *)value + at, n))
		return 1;
	if (r->value_count == PF_REDACT_VALUES)
		return -E2BIG;
	clean_name(v.name, name);
	v.len = n;
	v.bytes = malloc(n);
	v.weight = malloc(n);
	v.seen = calloc(1, n);
	all = realloc(r->values, (r->value_count + 1) * sizeof(*all));
	if (all)
		r->values = all;
	if (!v.bytes || !v.weight || !v.seen || !all) {
		free_value(&v);
		return -ENOMEM;
	}
	memcpy(v.bytes, (const uint8_t *)value + at, n);
	pf__value_weigh(v.bytes, n, v.weight);
	r->values[r->value_count++] = v;
	return 1;
}

size_t pf_redact_values(const struct pf_redact *r)
{
	return r->value_count;
}

int pf_redact_set_helper(struct pf_redact *r, const char *path)
{
	char *copy = path ? strdup(path) : NULL;

	if (path && !copy)
		return -ENOMEM;
	free(r->helper);
	r->helper = copy;
	return 0;
}

int pf__redact_build(struct pf_redact *r)
{
	int e;

	if (r->built)
		return 0;
	e = pf__index_build(&r->index, r->values, r->value_count);
	if (e < 0) {
		pf__index_free(&r->index);
		return e;
	}
	r->built = true;
	return 0;
}

void pf__redact_rule(const struct pf_redact *r, const struct pf__hit *hit, char *out, size_t cap, bool mark)
{
	const char *name = hit->value >= 0 ? r->values[hit->value].name : pf__rule_name(hit->rule);

	if (mark)
		snprintf(out, cap, "[redacted:%s]", name);
	else
		snprintf(out, cap, "%s%s", hit->value >= 0 ? "known:" : "", name);
}

void pf__redact_count(const struct pf_redact *r, struct pf_redact_account *a, const struct pf__hit *hit,
		      const char *stream)
{
	const char *encoding = pf__encoding_name(hit->encoding);
	struct pf_redact_count c = {.encoding = encoding, .stream = stream, .count = 1}, *all;

	pf__redact_rule(r, hit, c.rule, sizeof(c.rule), false);
	for (size_t i = 0; i < a->count; i++) {
		struct pf_redact_count *have = &a->items[i];

		if (have->encoding == encoding && strcmp(have->stream, stream) == 0 &&
		    strcmp(have->rule, c.rule) == 0) {
			have->count++;
			return;
		}
	}
	if (a->count == COUNTS_MAX)
		return;
	all = realloc(a->items, (a->count + 1) * sizeof(*all));
	if (!all)
		return;
	a->items = all;
	all[a->count++] = c;
}

void pf_redact_account_free(struct pf_redact_account *a)
{
	free(a->items);
	*a = (struct pf_redact_account){0};
}

const struct pf_redact_count *pf_redact_counts(const struct pf_redact *r, size_t *n)
{
	*n = r->account.count;
	return r->account.items;
}

size_t pf_redact_disclosed(const struct pf_redact *r, size_t i)
{
	size_t n = 0;

	for (size_t k = 0; i < r->value_count && k < r->values[i].len; k++)
		n += r->values[i].seen[k];
	return n;
}

static void to_buf(void *user, const void *p, size_t n)
{
	pf_buf_add(user, p, n);
}

int pf_redact_text(struct pf_redact *r, const char *stream, enum pf_guard_mode mode, const void *p, size_t n,
		   struct pf_redact_account *account, struct pf_buf *out)
{
	struct pf_redact_options o = {
		.stream = stream, .mode = mode, .account = account, .sink = to_buf, .user = out};
	struct pf_redact_stream *s;
	bool found;
	int e = pf_redact_open(r, &o, &s);

	if (e < 0)
		return e;
	e = pf_redact_feed(s, p, n);
	if (e == 0)
		e = pf_redact_end(s);
	found = s->found;
	pf_redact_close(s);
	return e < 0 || out->failed ? -ENOMEM : found;
}
