/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON writer of json.h. Errors stay in the buffer (`failed`), which the
 * caller looks at once; a misuse such as nesting beyond the bound fails it too.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

#define WRITE_DEPTH_MAX 32

void pf_jsonw_init(struct pf_jsonw *w, struct pf_buf *out, unsigned indent)
{
	*w = (struct pf_jsonw){.out = out, .indent = indent};
}

static void newline(struct pf_jsonw *w)
{
	static const char spaces[] = "                                ";
	size_t n = (size_t)w->depth * w->indent;

	pf_buf_addc(w->out, '\n');
	while (n > 0) {
		size_t k = n < sizeof(spaces) - 1 ? n : sizeof(spaces) - 1;

		pf_buf_add(w->out, spaces, k);
		n -= k;
	}
}

/* What goes before an item: nothing behind a key and at the top, a comma behind a sibling. */
static void item(struct pf_jsonw *w)
{
	uint32_t bit;

	if (w->after_key) {
		w->after_key = false;
		return;
	}
	if (w->depth == 0)
		return;
	bit = (uint32_t)1 << (w->depth - 1);
	if (w->has_item & bit)
		pf_buf_addc(w->out, ',');
	w->has_item |= bit;
	if (w->indent)
		newline(w);
}

static void token(struct pf_jsonw *w, const char *text)
{
	item(w);
	pf_buf_adds(w->out, text);
}

void pf_jsonw_begin(struct pf_jsonw *w, char open)
{
	if (w->depth >= WRITE_DEPTH_MAX) {
		w->out->failed = true;
		return;
	}
	item(w);
	pf_buf_addc(w->out, open);
	w->has_item &= ~((uint32_t)1 << w->depth);
	w->depth++;
}

void pf_jsonw_end(struct pf_jsonw *w, char close)
{
	bool had;

	if (w->depth == 0 || w->after_key) {
		w->out->failed = true;
		return;
	}
	w->depth--;
	had = w->has_item >> w->depth & 1;
	if (had && w->indent)
		newline(w);
	pf_buf_addc(w->out, close);
}

static void unicode_escape(struct pf_buf *out, uint32_t cp)
{
	if (cp > 0xffff) {
		cp -= 0x10000;
		pf_buf_addf(out, "\\u%04x\\u%04x", 0xd800 + (cp >> 10), 0xdc00 + (cp & 0x3ff));
	} else {
		pf_buf_addf(out, "\\u%04x", cp);
	}
}

/*
 * Beyond what JSON demands, everything that a terminal obeys or hides is escaped: a result
 * is read on terminals, and \u202e in it is as lossless as the character.
 */
static void escape(struct pf_buf *out, uint32_t cp)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *at = cp && cp < 0x80 ? strchr(from, (int)cp) : NULL;

	if (at) {
		pf_buf_addc(out, '\\');
		pf_buf_addc(out, to[at - from]);
	} else {
		unicode_escape(out, cp);
	}
}

static void string(struct pf_buf *out, const char *s, size_t n)
{
	size_t i = 0, plain = 0;

	pf_buf_addc(out, '"');
	while (i < n) {
		uint32_t cp = 0;
		unsigned len = pf__utf8_decode(s + i, n - i, &cp);

		if (len && cp != '"' && cp != '\\' && ((cp >= ' ' && cp < 0x7f) || !pf__cp_hidden(cp))) {
			i += len;
			continue;
		}
		pf_buf_add(out, s + plain, i - plain);
		if (len)
			escape(out, cp);
		else
			pf_buf_adds(out, "\xef\xbf\xbd"); /* U+FFFD */
		i += len ? len : 1;
		plain = i;
	}
	pf_buf_add(out, s + plain, i - plain);
	pf_buf_addc(out, '"');
}

void pf_jsonw_key(struct pf_jsonw *w, const char *key)
{
	if (w->after_key || w->depth == 0) {
		w->out->failed = true;
		return;
	}
	item(w);
	string(w->out, key, strlen(key));
	pf_buf_adds(w->out, w->indent ? ": " : ":");
	w->after_key = true;
}

void pf_jsonw_str(struct pf_jsonw *w, const char *s)
{
	if (s)
		pf_jsonw_strn(w, s, strlen(s));
	else
		pf_jsonw_null(w);
}

void pf_jsonw_strn(struct pf_jsonw *w, const char *s, size_t n)
{
	item(w);
	string(w->out, n ? s : "", n);
}

void pf_jsonw_int(struct pf_jsonw *w, int64_t v)
{
	item(w);
	pf_buf_addf(w->out, "%lld", (long long)v);
}

void pf_jsonw_uint(struct pf_jsonw *w, uint64_t v)
{
	item(w);
	pf_buf_addf(w->out, "%llu", (unsigned long long)v);
}

void pf_jsonw_double(struct pf_jsonw *w, double v)
{
	char text[40];

	if (!isfinite(v)) { /* JSON has no word for it */
		pf_jsonw_null(w);
		return;
	}
	/* Seventeen digits always parse back. */
	for (int digits = 6; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	token(w, text);
}

void pf_jsonw_bool(struct pf_jsonw *w, bool v)
{
	token(w, v ? "true" : "false");
}

void pf_jsonw_null(struct pf_jsonw *w)
{
	token(w, "null");
}

void pf_jsonw_base64(struct pf_jsonw *w, const void *p, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *u = p;

	token(w, "\"");
	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i;
		uint32_t v = (uint32_t)u[i] << 16;
		char four[4];

		if (left > 1)
			v |= (uint32_t)u[i + 1] << 8;
		if (left > 2)
			v |= u[i + 2];
		four[0] = digits[v >> 18];
		four[1] = digits[v >> 12 & 63];
		four[2] = left > 1 ? digits[v >> 6 & 63] : '=';
		four[3] = left > 2 ? digits[v & 63] : '=';
		pf_buf_add(w->out, four, sizeof(four));
	}
	pf_buf_addc(w->out, '"');
}

void pf_jsonw_kstr(struct pf_jsonw *w, const char *k, const char *s)
{
	pf_jsonw_key(w, k);
	pf_jsonw_str(w, s);
}

void pf_jsonw_kint(struct pf_jsonw *w, const char *k, int64_t v)
{
	pf_jsonw_key(w, k);
	pf_jsonw_int(w, v);
}

void pf_jsonw_kbool(struct pf_jsonw *w, const char *k, bool v)
{
	pf_jsonw_key(w, k);
	pf_jsonw_bool(w, v);
}

void pf_jsonw_knull(struct pf_jsonw *w, const char *k)
{
	pf_jsonw_key(w, k);
	pf_jsonw_null(w);
}

void pf_jsonw_node(struct pf_jsonw *w, const struct pf_json *node)
{
	switch (node->type) {
	case PF_JSON_NULL:
		pf_jsonw_null(w);
		return;
	case PF_JSON_BOOL:
		pf_jsonw_bool(w, node->b);
		return;
	case PF_JSON_INT:
		pf_jsonw_int(w, node->i);
		return;
	case PF_JSON_DOUBLE:
		pf_jsonw_double(w, node->d);
		return;
	case PF_JSON_STRING:
		pf_jsonw_strn(w, node->str.s, node->str.len);
		return;
	case PF_JSON_ARRAY:
	case PF_JSON_OBJECT:
		break;
	}
	pf_jsonw_begin(w, node->type == PF_JSON_ARRAY ? '[' : '{');
	for (const struct pf_json *child = node->list.first; child; child = child->next) {
		if (node->type == PF_JSON_OBJECT)
			pf_jsonw_key(w, child->key);
		pf_jsonw_node(w, child);
	}
	pf_jsonw_end(w, node->type == PF_JSON_ARRAY ? ']' : '}');
}
