/* SPDX-License-Identifier: Apache-2.0 */
/* Inside base: how a parsed JSON document is stored (json_doc.c) and read (json_lex.c, json_read.c). */
#ifndef PF_BASE_JSON_DOC_H
#define PF_BASE_JSON_DOC_H

#include "base/json.h"

#define PF__JSON_CHUNK 256

struct pf__json_chunk {
	struct pf__json_chunk *next;
	size_t used;
	struct pf_json nodes[PF__JSON_CHUNK];
};

struct pf_json_doc {
	struct pf_json *root;
	struct pf__json_chunk *chunks;
	/* Every decoded string with its NUL. One needs no more bytes than its input had with its
	 * quotes, so that as many bytes as the input's always suffice. */
	char *text;
	size_t text_len;
	size_t nodes;
};

/* Both give NULL where there is no memory; a node is zeroed. */
struct pf_json_doc *pf__json_doc_new(size_t input);
struct pf_json *pf__json_node(struct pf_json_doc *doc);

/* A key that the object has twice: the later member, and the earlier in *first. NULL: none.
 * *err is -ENOMEM or 0. */
const struct pf_json *pf__json_duplicate(const struct pf_json *object, const struct pf_json **first,
					 int *err);

struct pf__json_reader {
	const char *p, *end;
	unsigned line, depth, flags;
	struct pf_json_doc *doc;
	struct pf_error *err;
};

#define pf__json_syntax(r, fmt, ...) pf_fail((r)->err, -EINVAL, "line %u: " fmt, (r)->line, ##__VA_ARGS__)
/* "expected X, found Y", naming what stands at p; -EINVAL. */
int pf__json_unexpected(struct pf__json_reader *r, const char *expected);
bool pf__json_at(const struct pf__json_reader *r, const char *text);

/* Tokens. Each moves p behind what it read; a string begins at its quote. */
int pf__json_skip(struct pf__json_reader *r);
int pf__json_string(struct pf__json_reader *r, const char **out, size_t *len);
int pf__json_number(struct pf__json_reader *r, struct pf_json *node);

#endif
