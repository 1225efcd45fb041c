/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON reader of json.h, by recursive descent of bounded depth. It reads policies and
 * requests from outside: two readers that understand one document differently are a hole,
 * so whatever RFC 8259 leaves open is an error here.
 */
#include <errno.h>
#include <string.h>

#include "base/json_doc.h"
#include "base/str.h"

#define DEPTH_MAX 64
#define INPUT_MAX (4u << 20)
#define NODES_MAX 200000

static int value(struct pf__json_reader *r, struct pf_json *node);

static int word(struct pf__json_reader *r, struct pf_json *node, const char *text, enum pf_json_type type,
		bool b)
{
	if (!pf__json_at(r, text))
		return pf__json_unexpected(r, "a value");
	r->p += strlen(text);
	node->type = type;
	if (type == PF_JSON_BOOL)
		node->b = b;
	return 0;
}

static int new_node(struct pf__json_reader *r, struct pf_json **out)
{
	if (r->doc->nodes >= NODES_MAX)
		return pf_fail(r->err, -E2BIG, "line %u: more than %d values", r->line, NODES_MAX);
	*out = pf__json_node(r->doc);
	return *out ? 0 : pf_fail(r->err, -ENOMEM, "no memory for JSON");
}

/* Key and colon of a member. Its line is the key's. */
static int member_key(struct pf__json_reader *r, struct pf_json *node)
{
	size_t len;
	int e;

	if (*r->p != '"')
		return pf__json_unexpected(r, "a key in double quotes");
	node->line = r->line;
	e = pf__json_string(r, &node->key, &len);
	if (e < 0)
		return e;
	e = pf__json_skip(r);
	if (e < 0)
		return e;
	if (!pf__json_at(r, ":"))
		return pf__json_unexpected(r, "':' behind the key");
	r->p++;
	return pf__json_skip(r);
}

static int refuse_duplicates(struct pf__json_reader *r, const struct pf_json *object)
{
	const struct pf_json *first, *again;
	char shown[64];
	int e;

	again = pf__json_duplicate(object, &first, &e);
	if (e < 0)
		return pf_fail(r->err, e, "no memory for JSON");
	if (!again)
		return 0;
	pf_printable(again->key, strlen(again->key), shown, sizeof(shown));
	return pf_fail(r->err, -EINVAL, "line %u: key \"%s\" is already given in line %u", again->line, shown,
		       first->line);
}

/* Behind an element: *done when the list is closed, and at the next element otherwise. */
static int separator(struct pf__json_reader *r, char close, bool *done)
{
	int e = pf__json_skip(r);

	if (e < 0)
		return e;
	*done = r->p < r->end && *r->p == close;
	if (*done)
		return 0;
	if (!pf__json_at(r, ","))
		return pf__json_unexpected(r, close == '}' ? "',' or '}'" : "',' or ']'");
	r->p++;
	e = pf__json_skip(r);
	if (e < 0)
		return e;
	if (r->p < r->end && *r->p == close) {
		if (!(r->flags & PF_JSON_RELAXED))
			return pf__json_syntax(r, "no ',' may stand before '%c'", close);
		*done = true;
	}
	return 0;
}

static int elements(struct pf__json_reader *r, struct pf_json *list, char close)
{
	struct pf_json **link = &list->list.first, *node;
	bool done;
	int e = pf__json_skip(r);

	if (e < 0)
		return e;
	done = r->p < r->end && *r->p == close;
	while (!done) {
		if (r->p == r->end)
			return pf__json_unexpected(r, close == '}' ? "a key or '}'" : "a value or ']'");
		e = new_node(r, &node);
		if (e == 0 && close == '}')
			e = member_key(r, node);
		if (e == 0)
			e = value(r, node);
		if (e == 0)
			e = separator(r, close, &done);
		if (e < 0)
			return e;
		*link = node;
		link = &node->next;
		list->list.count++;
	}
	r->p++;
	return close == '}' ? refuse_duplicates(r, list) : 0;
}

static int list_value(struct pf__json_reader *r, struct pf_json *node)
{
	char close = *r->p == '{' ? '}' : ']';
	int e;

	if (r->depth >= DEPTH_MAX)
		return pf_fail(r->err, -E2BIG, "line %u: nested deeper than %d", r->line, DEPTH_MAX);
	node->type = close == '}' ? PF_JSON_OBJECT : PF_JSON_ARRAY;
	r->depth++;
	r->p++;
	e = elements(r, node, close);
	r->depth--;
	return e;
}

static int value(struct pf__json_reader *r, struct pf_json *node)
{
	if (r->p == r->end)
		return pf__json_unexpected(r, "a value");
	if (!node->key)
		node->line = r->line;
	switch (*r->p) {
	case '{':
	case '[':
		return list_value(r, node);
	case '"':
		node->type = PF_JSON_STRING;
		return pf__json_string(r, &node->str.s, &node->str.len);
	case 't':
		return word(r, node, "true", PF_JSON_BOOL, true);
	case 'f':
		return word(r, node, "false", PF_JSON_BOOL, false);
	case 'n':
		return word(r, node, "null", PF_JSON_NULL, false);
	case '-':
	case '0' ... '9':
		return pf__json_number(r, node);
	default:
		return pf__json_unexpected(r, "a value");
	}
}

static int document(struct pf__json_reader *r)
{
	int e = pf__json_skip(r);

	if (e == 0)
		e = new_node(r, &r->doc->root);
	if (e == 0)
		e = value(r, r->doc->root);
	if (e == 0)
		e = pf__json_skip(r);
	if (e == 0 && r->p < r->end)
		e = pf__json_unexpected(r, "nothing more behind the value");
	return e;
}

int pf_json_parse(const char *text, size_t n, unsigned flags, struct pf_json_doc **out, struct pf_error *err)
{
	struct pf__json_reader r = {.line = 1, .flags = flags, .err = err};
	int e;

	if (n > INPUT_MAX)
		return pf_fail(err, -E2BIG, "JSON is longer than %u MiB", INPUT_MAX >> 20);
	r.p = n ? text : "";
	r.end = r.p + n;
	r.doc = pf__json_doc_new(n);
	if (!r.doc)
		return pf_fail(err, -ENOMEM, "no memory for JSON");
	e = document(&r);
	if (e < 0) {
		pf_json_free(r.doc);
		return e;
	}
	*out = r.doc;
	return 0;
}
