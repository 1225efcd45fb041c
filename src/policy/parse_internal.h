/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the reader of the document: where it is, its messages, and tables of keys. */
#ifndef PF_POLICY_PARSE_INTERNAL_H
#define PF_POLICY_PARSE_INTERNAL_H

#include "policy/policy_internal.h"

struct pf__parse {
	struct pf_policy *p; /* a copy: the caller's policy changes only when all of the document was right */
	char name[96]; /* of the document, printable. Short enough that the line behind it is never cut off */
	char path[96]; /* of the value at hand: limits.memory, mounts[2].to */
	size_t path_len;
	uint32_t limits_given;	 /* PF_LIMIT_* with a value in this document */
	uint32_t limits_seen;	 /* ... or with null */
	uint32_t limits_default; /* that limits.default names */
	struct pf_list *list;	 /* of patterns that is being read, and what it held before */
	const struct pf_list *before;
	struct pf_error *err; /* never NULL */
};

struct pf__key {
	const char *name;
	int (*read)(struct pf__parse *ps,
		    const struct pf_json *v); /* NULL: not in this build, for the reason in `why` */
	const char *why;
};

/* "NAME: line N: PATH: message"; returns -EINVAL. */
int pf__parse_fail(struct pf__parse *ps, const struct pf_json *v, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The same around the message that is in ps->err; returns its code. */
int pf__parse_wrap(struct pf__parse *ps, const struct pf_json *v);
int pf__parse_type(struct pf__parse *ps, const struct pf_json *v, enum pf_json_type type,
		   const char *allowed);
int pf__parse_word(struct pf__parse *ps, const struct pf_json *v, const struct pf__words *words,
		   uint64_t *value);
int pf__parse_object(struct pf__parse *ps, const struct pf_json *v, const struct pf__key *keys, size_t count);
int pf__parse_list(struct pf__parse *ps, const struct pf_json *v, const char *of,
		   int (*read)(struct pf__parse *ps, const struct pf_json *v));

int pf__key_guard(struct pf__parse *ps, const struct pf_json *v);   /* guard.c */
int pf__key_network(struct pf__parse *ps, const struct pf_json *v); /* network.c */
int pf__key_secret_values(struct pf__parse *ps, const struct pf_json *v);

extern const struct pf__key pf__document_keys[];
extern const size_t pf__document_key_count;

#endif
