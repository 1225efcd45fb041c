/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON, strictly: RFC 8259 and nothing else unless PF_JSON_RELAXED (then
 * // and block comments and trailing commas, as policies have). Duplicate keys,
 * invalid UTF-8, lone surrogates, NUL in strings, numbers beyond int64/double
 * and anything after the value are errors that name the line.
 * Caps: depth 64, input 4 MiB, 200,000 values.
 */
#ifndef PF_BASE_JSON_H
#define PF_BASE_JSON_H

#include "base/buf.h"
#include "base/error.h"

enum pf_json_type {
	PF_JSON_NULL,
	PF_JSON_BOOL,
	PF_JSON_INT,
	PF_JSON_DOUBLE,
	PF_JSON_STRING,
	PF_JSON_ARRAY,
	PF_JSON_OBJECT
};
#define PF_JSON_RELAXED 1u

struct pf_json {
	enum pf_json_type type;
	unsigned line;	 /* 1-based, where the value (or its key, for a member) begins */
	const char *key; /* of a member; NULL elsewhere */
	union {
		bool b;
		int64_t i;
		double d;
		struct {
			const char *s; /* NUL-terminated; contains no NUL */
			size_t len;
		} str;
		struct {
			struct pf_json *first; /* children in input order, linked by next */
			size_t count;
		} list;
	};
	struct pf_json *next;
};

struct pf_json_doc; /* owns every node and string */
int pf_json_parse(const char *text, size_t n, unsigned flags, struct pf_json_doc **out, struct pf_error *err);
const struct pf_json *pf_json_root(const struct pf_json_doc *doc);
void pf_json_free(struct pf_json_doc *doc); /* NULL is fine */
const struct pf_json *pf_json_get(const struct pf_json *object,
				  const char *key); /* NULL if absent or not an object */
const char *pf_json_type_name(enum pf_json_type t);

/* The writer: commas and indentation are its own; strings that are not UTF-8
 * are the caller's duty to encode. Nesting at most 32. */
struct pf_jsonw {
	struct pf_buf *out;
	unsigned depth, indent; /* indent 0: one line */
	uint32_t has_item;	/* one bit a depth */
	bool after_key;
};

void pf_jsonw_init(struct pf_jsonw *w, struct pf_buf *out, unsigned indent);
void pf_jsonw_begin(struct pf_jsonw *w, char open); /* '{' or '[' */
void pf_jsonw_end(struct pf_jsonw *w, char close);
void pf_jsonw_key(struct pf_jsonw *w, const char *key);
void pf_jsonw_str(struct pf_jsonw *w, const char *s); /* NULL writes null; invalid bytes become U+FFFD */
void pf_jsonw_strn(struct pf_jsonw *w, const char *s, size_t n);
void pf_jsonw_int(struct pf_jsonw *w, int64_t v);
void pf_jsonw_uint(struct pf_jsonw *w, uint64_t v);
void pf_jsonw_double(struct pf_jsonw *w, double v); /* shortest of %.6g that parses back */
void pf_jsonw_bool(struct pf_jsonw *w, bool v);
void pf_jsonw_null(struct pf_jsonw *w);
void pf_jsonw_node(struct pf_jsonw *w,
		   const struct pf_json *node); /* a value that was read, without its key */
void pf_jsonw_base64(struct pf_jsonw *w, const void *p, size_t n);
/* key and value in one call */
void pf_jsonw_kstr(struct pf_jsonw *w, const char *k, const char *s);
void pf_jsonw_kint(struct pf_jsonw *w, const char *k, int64_t v);
void pf_jsonw_kbool(struct pf_jsonw *w, const char *k, bool v);
void pf_jsonw_knull(struct pf_jsonw *w, const char *k);

#endif
