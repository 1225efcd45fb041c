/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output redaction: a stream filter that finds secrets and writes [redacted:NAME] in their place. Two
 * kinds: *known values* (what a user said is secret, plain and in the encodings that people and programs
 * use) and *patterns* (the shapes of tokens, compiled when pinfold is built: redact_rules.h).
 *
 * One struct pf_redact holds the values and the accounts of a session; each stream of it (stdout, stderr, a
 * diff) is a struct pf_redact_stream. Only what could still become a hit is held back, in order, and no more
 * than PF_REDACT_HOLD bytes. Time is linear in the input, memory is bounded whatever comes.
 *
 * It is a seat belt, not a wall: docs/guard-output.md lists what it cannot see.
 */
#ifndef PF_GUARD_REDACT_H
#define PF_GUARD_REDACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "guard/mode.h"

#define PF_REDACT_HOLD	    65536u   /* bytes held back at most; an archive: PF_REDACT_BLOB */
#define PF_REDACT_BLOB	    1048576u /* of an archive, before it is unpacked to look inside */
#define PF_REDACT_VALUES    256u
#define PF_REDACT_VALUE_MAX 65536u /* bytes of one value */

/* Where a value comes from decides what counts as secret. */
enum pf_redact_sure {
	PF_REDACT_MAYBE, /* a line of a file or an environment: by its key and its looks */
	PF_REDACT_SURE,	 /* the user named it: anything of 4 bytes or more */
};

struct pf_redact; /* opaque */
struct pf_redact_stream;

/* One line of the accounts. */
struct pf_redact_count {
	char rule[96];	      /* "known:NAME" or the name of a pattern */
	const char *encoding; /* "plain", "base64", ... */
	const char *stream;
	uint64_t count;
};

struct pf_redact_account { /* zero-initialised is empty */
	struct pf_redact_count *items;
	size_t count;
};
void pf_redact_account_free(struct pf_redact_account *a);

int pf_redact_new(struct pf_redact **out);
void pf_redact_free(struct pf_redact *r); /* after its streams */

/* name: shown in the mark; its bytes outside [A-Za-z0-9_.-] become "_". The value is copied. 1: it counts, 0:
 * it does not (a word, a number, a path, too short), -ENOMEM, -E2BIG (PF_REDACT_VALUES, or the value is too
 * long). Not after the first byte was fed. */
int pf_redact_add(struct pf_redact *r, const char *name, const void *value, size_t n,
		  enum pf_redact_sure sure);
size_t pf_redact_values(const struct pf_redact *r);
/* The helper that looks inside archives, a path to pinfold-unpack; NULL: archives are replaced unseen
 * when values are known. Copied. */
int pf_redact_set_helper(struct pf_redact *r, const char *path);

typedef void (*pf_redact_sink)(void *user, const void *p, size_t n);

struct pf_redact_options {
	const char *stream;	 /* for the accounts; static */
	enum pf_guard_mode mode; /* audit: the bytes pass as they are, the hits are counted */
	bool live; /* somebody watches: up to three characters that could begin a hit are not held */
	struct pf_redact_account *account; /* counted there too; or NULL */
	pf_redact_sink sink;
	void *user;
};
int pf_redact_open(struct pf_redact *r, const struct pf_redact_options *o, struct pf_redact_stream **out);
/* Call the sink for what is certain. 0; -ENOMEM: nothing more may be shown of this stream, it stays so. */
int pf_redact_feed(struct pf_redact_stream *s, const void *p, size_t n);
/* Let go what is held: a pause (100 ms on a terminal). What follows is still seen together with it. */
int pf_redact_pause(struct pf_redact_stream *s);
bool pf_redact_holds(const struct pf_redact_stream *s);
int pf_redact_end(struct pf_redact_stream *s);
void pf_redact_close(struct pf_redact_stream *s); /* NULL is fine; nothing is let go */

/* All of a text at once, appended to out. 1: something was found, 0, -ENOMEM. */
int pf_redact_text(struct pf_redact *r, const char *stream, enum pf_guard_mode mode, const void *p, size_t n,
		   struct pf_redact_account *account, struct pf_buf *out);

const struct pf_redact_count *pf_redact_counts(const struct pf_redact *r, size_t *n);
/* Of value i: how many of its bytes were shown all the same, in pieces or before a pause. */
size_t pf_redact_disclosed(const struct pf_redact *r, size_t i);

#endif
