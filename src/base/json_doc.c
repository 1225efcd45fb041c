/* SPDX-License-Identifier: Apache-2.0 */
/* A parsed JSON document: its memory and the look-ups in it. */
#include "base/json_doc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define FEW_MEMBERS 16 /* up to here comparing each with each is cheapest */

struct pf_json_doc *pf__json_doc_new(size_t input)
{
	struct pf_json_doc *doc = calloc(1, sizeof(*doc));

	if (!doc)
		return NULL;
	doc->text = malloc(input + 1);
	if (!doc->text) {
		free(doc);
		return NULL;
	}
	return doc;
}

struct pf_json *pf__json_node(struct pf_json_doc *doc)
{
	struct pf__json_chunk *c = doc->chunks;

	if (!c || c->used == PF__JSON_CHUNK) {
		c = malloc(sizeof(*c));
		if (!c)
			return NULL;
		c->next = doc->chunks;
		c->used = 0;
		doc->chunks = c;
	}
	doc->nodes++;
	return memset(&c->nodes[c->used++], 0, sizeof(c->nodes[0]));
}

void pf_json_free(struct pf_json_doc *doc)
{
	struct pf__json_chunk *c, *next;

	if (!doc)
		return;
	for (c = doc->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	free(doc->text);
	free(doc);
}

const struct pf_json *pf_json_root(const struct pf_json_doc *doc)
{
	return doc->root;
}

const struct pf_json *pf_json_get(const struct pf_json *object, const char *key)
{
	if (!object || object->type != PF_JSON_OBJECT)
		return NULL;
	for (const struct pf_json *m = object->list.first; m; m = m->next) {
		if (strcmp(m->key, key) == 0)
			return m;
	}
	return NULL;
}

const char *pf_json_type_name(enum pf_json_type t)
{
	static const char *const names[] = {
		[PF_JSON_NULL] = "null",     [PF_JSON_BOOL] = "true or false", [PF_JSON_INT] = "integer",
		[PF_JSON_DOUBLE] = "number", [PF_JSON_STRING] = "string",      [PF_JSON_ARRAY] = "array",
		[PF_JSON_OBJECT] = "object",
	};

	return (unsigned)t < PF_ARRAY_SIZE(names) ? names[t] : "?";
}

/* By key; equal ones in input order. Keys are decoded in input order, so their addresses tell it. */
static int compare_members(const void *a, const void *b)
{
	const struct pf_json *x = *(const struct pf_json *const *)a, *y = *(const struct pf_json *const *)b;
	int r = strcmp(x->key, y->key);

	if (r != 0)
		return r;
	return x->key < y->key ? -1 : x->key > y->key;
}

static const struct pf_json *duplicate_of_few(const struct pf_json *object, const struct pf_json **first)
{
	for (const struct pf_json *m = object->list.first; m; m = m->next) {
		for (const struct pf_json *e = object->list.first; e != m; e = e->next) {
			if (strcmp(e->key, m->key) == 0) {
				*first = e;
				return m;
			}
		}
	}
	return NULL;
}

/* Sorting keeps an object of 100,000 members from costing 5,000,000,000 comparisons. */
const struct pf_json *pf__json_duplicate(const struct pf_json *object, const struct pf_json **first, int *err)
{
	PF_AUTO_FREE const struct pf_json **sorted = NULL;
	size_t n = 0, count = object->list.count;

	*err = 0;
	if (count <= FEW_MEMBERS)
		return duplicate_of_few(object, first);
	sorted = calloc(count, sizeof(*sorted));
	if (!sorted) {
		*err = -ENOMEM;
		return NULL;
	}
	for (const struct pf_json *m = object->list.first; m; m = m->next)
		sorted[n++] = m;
	qsort(sorted, n, sizeof(*sorted), compare_members);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0) {
			*first = sorted[i - 1];
			return sorted[i];
		}
	}
	return NULL;
}
