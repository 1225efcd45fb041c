/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/json: what parses can be written and read back as the same, both laid out and on
 * one line; what is refused says in which line. The first byte of the input chooses the flags.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                             \
	do {                                                                                                 \
		if (!(x)) {                                                                                  \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                              \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

/* More than the writer's 32 levels it has no business to write. */
static bool too_deep(const struct pf_json *v, unsigned depth)
{
	if (v->type != PF_JSON_ARRAY && v->type != PF_JSON_OBJECT)
		return false;
	if (depth == 32)
		return true;
	for (const struct pf_json *c = v->list.first; c; c = c->next) {
		if (too_deep(c, depth + 1))
			return true;
	}
	return false;
}

static void write_value(struct pf_jsonw *w, const struct pf_json *v)
{
	if (v->key)
		pf_jsonw_key(w, v->key);
	switch (v->type) {
	case PF_JSON_NULL:
		pf_jsonw_null(w);
		return;
	case PF_JSON_BOOL:
		pf_jsonw_bool(w, v->b);
		return;
	case PF_JSON_INT:
		pf_jsonw_int(w, v->i);
		return;
	case PF_JSON_DOUBLE:
		pf_jsonw_double(w, v->d);
		return;
	case PF_JSON_STRING:
		pf_jsonw_strn(w, v->str.s, v->str.len);
		return;
	case PF_JSON_ARRAY:
	case PF_JSON_OBJECT:
		pf_jsonw_begin(w, v->type == PF_JSON_ARRAY ? '[' : '{');
		for (const struct pf_json *c = v->list.first; c; c = c->next)
			write_value(w, c);
		pf_jsonw_end(w, v->type == PF_JSON_ARRAY ? ']' : '}');
		return;
	}
}

static double as_double(const struct pf_json *v)
{
	return v->type == PF_JSON_INT ? (double)v->i : v->d;
}

static void check_same(const struct pf_json *a, const struct pf_json *b)
{
	CHECK(pf_streq(a->key, b->key));
	/* a double without a fraction is written as an integer */
	if (a->type == PF_JSON_DOUBLE && b->type == PF_JSON_INT) {
		CHECK(as_double(a) == as_double(b));
		return;
	}
	CHECK(a->type == b->type);
	if (a->type == PF_JSON_BOOL)
		CHECK(a->b == b->b);
	if (a->type == PF_JSON_INT)
		CHECK(a->i == b->i);
	if (a->type == PF_JSON_DOUBLE)
		CHECK(a->d == b->d);
	if (a->type == PF_JSON_STRING) {
		CHECK(a->str.len == b->str.len && memcmp(a->str.s, b->str.s, a->str.len + 1) == 0);
		CHECK(strlen(a->str.s) == a->str.len);
	}
	if (a->type == PF_JSON_ARRAY || a->type == PF_JSON_OBJECT) {
		const struct pf_json *x = a->list.first, *y = b->list.first;
		size_t n = 0;

		CHECK(a->list.count == b->list.count);
		for (; x && y; x = x->next, y = y->next, n++)
			check_same(x, y);
		CHECK(!x && !y && n == a->list.count);
	}
}

/* Lines never go back, and none is beyond the input's. */
static unsigned check_lines(const struct pf_json *v, unsigned line, unsigned last)
{
	CHECK(v->line >= line && v->line <= last);
	line = v->line;
	if (v->type == PF_JSON_ARRAY || v->type == PF_JSON_OBJECT) {
		for (const struct pf_json *c = v->list.first; c; c = c->next) {
			line = check_lines(c, line, last);
			CHECK(v->type != PF_JSON_OBJECT || pf_json_get(v, c->key) == c);
		}
	}
	return line;
}

static void check_round_trip(const struct pf_json *root, unsigned indent)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	struct pf_json_doc *again;
	struct pf_error err = {0};
	struct pf_jsonw w;

	pf_jsonw_init(&w, &out, indent);
	write_value(&w, root);
	CHECK(!out.failed && w.depth == 0);
	CHECK(indent || !memchr(out.data, '\n', out.len));
	if (out.len > 4u << 20) /* escapes and indentation may outgrow the reader's bound */
		return;
	CHECK(pf_json_parse(out.data, out.len, 0, &again, &err) == 0);
	check_same(root, pf_json_root(again));
	pf_json_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pf_json_doc *doc = NULL;
	struct pf_error err = {0};
	unsigned lines = 1, flags;

	if (size == 0)
		return 0;
	flags = data[0] & 1 ? PF_JSON_RELAXED : 0;
	data++;
	size--;
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	if (pf_json_parse((const char *)data, size, flags, &doc, &err) < 0) {
		CHECK(err.code < 0 && !doc);
		CHECK(pf_has_prefix(err.msg, "line ") || pf_has_prefix(err.msg, "JSON is longer"));
		CHECK(pf_utf8_valid(err.msg, strlen(err.msg)) && !strpbrk(err.msg, "\n\r\x1b"));
		return 0;
	}
	CHECK(err.code == 0);
	check_lines(pf_json_root(doc), 1, lines);
	if (!too_deep(pf_json_root(doc), 0)) {
		check_round_trip(pf_json_root(doc), 0);
		check_round_trip(pf_json_root(doc), 2);
	}
	pf_json_free(doc);
	return 0;
}
