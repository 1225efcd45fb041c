/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the redactor: its state, and that of a stream. */
#ifndef PF_GUARD_REDACT_STREAM_H
#define PF_GUARD_REDACT_STREAM_H

#include "guard/redact_internal.h"

#define PF__LINE_MAX 1024u /* of a line that is waited for */
#define PF__CONTEXT  512u  /* bytes already let go that are kept: what stands before a token matters */

struct pf_redact {
	struct pf__value *values;
	size_t value_count;
	struct pf__index index;
	bool built;
	struct pf_redact_account account; /* of all its streams */
	char *helper;
	struct pf__unpacker *unpacker;
	uint64_t unpack_ns; /* that it has taken */
};
int pf__redact_build(struct pf_redact *r); /* once, before the first byte */
void pf__redact_count(const struct pf_redact *r, struct pf_redact_account *a, const struct pf__hit *hit,
		      const char *stream);
void pf__redact_rule(const struct pf_redact *r, const struct pf__hit *hit, char *out, size_t cap, bool mark);

struct pf_redact_stream {
	struct pf_redact *r;
	struct pf_redact_options o;
	uint8_t *buf; /* bytes from base to end */
	size_t cap;
	uint64_t base, end, released;
	struct pf__view view, lines;
	uint64_t line_at, raw_at, rule_at; /* from where the others look on */
	bool lines_plain;
	unsigned hold_from;
	struct pf__hits hits;
	uint64_t last_to; /* the end of the last mark */
	int32_t last_hit; /* its value; -1: a rule, -2: there was none */
	bool blob;	  /* an archive is being held */
	bool failed, found;
	/* archives: how deep this one is; one that only looks counts nothing; the first value it found (-1)
	 */
	unsigned depth;
	bool quiet;
	int32_t first_value;
	uint64_t blob_at, blob_seen; /* where one begins, and until where its text is known */
	uint64_t blob_skip;	     /* what is before was unpacked */
	uint64_t blob_again;	     /* one that was cut by a pause; UINT64_MAX */
};

/* Each looks at what is new, adds hits, and returns from where on bytes must be held (UINT64_MAX: none). */
uint64_t pf__lines_find(struct pf_redact_stream *s, bool final);
uint64_t pf__raw_find(struct pf_redact_stream *s, bool final);
uint64_t pf__rules_find(struct pf_redact_stream *s, bool final);

enum pf__found pf__special_try(struct pf_redact_stream *s, enum pf__special which, const struct pf__text *t,
			       size_t i, size_t *from, size_t *to, int32_t *value);
const char *pf__rule_name(unsigned rule);

#endif
