/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the redactor.
 *
 *   redact.c            the redactor: values, accounts
 *   redact_value.c      does a value count; how much its bytes weigh
 *   redact_seq.c        sequences of bytes that know which byte of the value each came from
 *   redact_encode.c     a value in all its encodings: literals
 *   redact_index.c      the literals' windows in a hash table
 *   redact_view.c       text, squeezed: letters and digits alone, in lower case
 *   redact_known.c      literals in a view
 *   redact_raw.c        what squeezing would lose: short and strange values, as they are
 *   redact_lines.c      a second view: lines without their numbers, offsets, right columns and colours
 *   redact_pattern.c    the matcher of compiled patterns
 *   redact_special.c    what no pattern says: URLs with a password, assignments, private keys
 *   redact_check.c      checksums and entropy
 *   redact_blob.c       archives, by the helper
 *   redact_stream.c     bytes in, hits, bytes out
 *
 * Positions of a stream are counted from its first byte (64 bits).
 */
#ifndef PF_GUARD_REDACT_INTERNAL_H
#define PF_GUARD_REDACT_INTERNAL_H

#include "guard/redact.h"

#define PF_REDACT_NAME 64u
#define PF__SEQ_MAX    4608u /* the longest literal */
#define PF__PIECE      512u  /* longer values are looked for in pieces */
#define PF__RUN_MIN    8u    /* what is shorter is no hit, unless it is all of the value */

/* --- values ------------------------------------------------------------------------------------ */

struct pf__value {
	char name[PF_REDACT_NAME];
	uint8_t *bytes;
	uint8_t *weight; /* of each byte, in quarters: what reads like a word weighs less */
	uint8_t *seen;	 /* of each byte: was it shown? */
	size_t len;
	bool whole_only; /* a word: only all of it, between bounds */
};

/* The parts of a value that are secret (a URL's password): *at and *n; false: it does not count. */
bool pf__value_counts(const char *name, const uint8_t *v, size_t *n, size_t *at, enum pf_redact_sure sure,
		      bool *whole_only);
void pf__value_weigh(const uint8_t *v, size_t n, uint8_t *weight);
bool pf__key_says_so(const char *name, size_t n);

/* --- literals ---------------------------------------------------------------------------------- */

struct pf__seq {
	uint16_t n;
	uint8_t c[PF__SEQ_MAX];
	uint16_t from[PF__SEQ_MAX]; /* index into the value */
};

struct pf__literal {
	uint32_t at, len; /* in the index's text */
	uint16_t value, piece_at;
	uint16_t min_run; /* squeezed characters that make a hit */
	uint8_t encoding;
	bool weighed; /* one character a byte: words may stand in it */
};

struct pf__raw_literal {
	uint8_t *bytes;
	uint32_t len;
	uint16_t value;
	uint8_t encoding;
	bool bounded; /* only between bytes that are no part of a word */
};

struct pf__index {
	struct pf__literal *literals;
	size_t literal_count;
	uint8_t *text;	  /* all literals, squeezed, each with a 0 before and behind */
	uint16_t *from;	  /* for each of text: which byte of the value */
	uint32_t *owner;  /* per window: its literal */
	uint32_t *window; /* per window: its place in text */
	uint32_t *next;	  /* per window: the next of the same bucket, + 1 */
	size_t text_len, text_cap, window_count;
	uint32_t *heads; /* + 1; 0: none */
	uint64_t *bits;	 /* which hashes of five characters are there */
	uint64_t *fours; /* which runs of four characters stand in some literal (perhaps) */
	unsigned shift;
	struct pf__raw_literal *raws;
	size_t raw_count, raw_longest;
};
int pf__index_build(struct pf__index *x, const struct pf__value *values, size_t count);
void pf__index_free(struct pf__index *x);
int pf__index_add(struct pf__index *x, const struct pf__seq *s, unsigned value, size_t piece_at,
		  size_t raw_len, unsigned encoding, bool weighed); /* squeezes; -ENOMEM */
int pf__index_add_raw(struct pf__index *x, const uint8_t *p, size_t n, unsigned value, unsigned encoding,
		      bool bounded);
int pf__index_close(struct pf__index *x);

#define PF__HASH(five, shift) ((uint32_t)(((five)*0x9E3779B97F4A7C15ull) >> (shift)))
#define PF__FOUR_BITS	      17u
#define PF__HASH4(four)	      ((uint32_t)((uint32_t)(four)*0x9E3779B1u) >> (32u - PF__FOUR_BITS))

/* --- sequences (redact_seq.c); outputs are cut at PF__SEQ_MAX ------------------------------------- */

void pf__seq_from(struct pf__seq *o, const uint8_t *p, size_t n);
void pf__seq_put(struct pf__seq *o, unsigned c, unsigned from);
void pf__seq_puts(struct pf__seq *o, const char *s, unsigned from);
void pf__seq_reverse(struct pf__seq *o, const struct pf__seq *s);
void pf__seq_shift(struct pf__seq *o, const struct pf__seq *s, unsigned by); /* letters */
void pf__seq_atbash(struct pf__seq *o, const struct pf__seq *s);
void pf__seq_rot47(struct pf__seq *o, const struct pf__seq *s);
void pf__seq_base64(struct pf__seq *o, const struct pf__seq *s, unsigned phase);
void pf__seq_base32(struct pf__seq *o, const struct pf__seq *s, unsigned phase, bool hex);
void pf__seq_hex(struct pf__seq *o, const struct pf__seq *s);
/* For each byte prefix and number in that base with at least that many digits. */
void pf__seq_numbers(struct pf__seq *o, const struct pf__seq *s, const char *prefix, unsigned base,
		     unsigned digits);
/* Whole little-endian words of `size` bytes from byte `phase` on. */
void pf__seq_words(struct pf__seq *o, const struct pf__seq *s, unsigned size, unsigned phase, unsigned base,
		   unsigned digits);
void pf__seq_base85(struct pf__seq *o, const struct pf__seq *s, unsigned phase, const char *alphabet);
void pf__seq_uu(struct pf__seq *o, const struct pf__seq *s, unsigned phase);
void pf__seq_every(struct pf__seq *o, const struct pf__seq *s, unsigned first, unsigned step);
void pf__seq_counted(struct pf__seq *o, const struct pf__seq *s, unsigned first);
void pf__seq_spelled(struct pf__seq *o, const struct pf__seq *s);
void pf__seq_decimal(struct pf__seq *o, const struct pf__seq *s); /* one big number */
void pf__seq_table(struct pf__seq *o, const struct pf__seq *s, const uint8_t table[256]);

/* --- encodings --------------------------------------------------------------------------------- */

const char *pf__encoding_name(unsigned encoding);
enum {
	PF__PLAIN,
	PF__REVERSED,
	PF__SHIFTED,
	PF__ATBASH,
	PF__ROT47,
	PF__BASE64,
	PF__BASE64_OF,
	PF__BASE32,
	PF__HEX,
	PF__ESCAPES,
	PF__ENTITIES,
	PF__OCTAL,
	PF__DECIMAL,
	PF__BINARY,
	PF__WORDS,
	PF__BASE85,
	PF__UU,
	PF__EVERY,
	PF__COUNTED,
	PF__SPELLED,
	PF__BIG,
	PF__ARCHIVE,
	PF__PATTERN,
	PF__UTF16,
	PF__ENCODINGS
};
/* All of a value into the index. */
int pf__encode(struct pf__index *x, const struct pf__value *v, unsigned value);

/* --- hits -------------------------------------------------------------------------------------- */

struct pf__hit {
	uint64_t from, to;
	int32_t value; /* -1: rule */
	uint16_t rule;
	uint8_t encoding;
	uint16_t at, n; /* which bytes of the value */
	bool counted;
};
struct pf__hits {
	struct pf__hit *items;
	size_t count, cap;
	bool failed;
};
void pf__hit_add(struct pf__hits *h, struct pf__hit hit);

/* --- views -------------------------------------------------------------------------------------- */

/* Squeezed text. pos[i]: the low half of the stream's position of chars[i]; for one that came from several
 * bytes the first, and ends[] would be the same plus their number: kept in wide. */
struct pf__view {
	uint8_t *chars;
	uint32_t *pos;
	size_t n, cap;
	size_t next; /* where to look from: what is before is settled */
	uint8_t cp[4];
	unsigned cp_have, cp_need; /* a character of UTF-8 that is not all there */
};
int pf__view_reserve(struct pf__view *v, size_t extra);
void pf__view_squeeze(struct pf__view *v, const uint8_t *p, size_t n, uint64_t at);
void pf__view_forget(struct pf__view *v); /* what is too old for any literal */
void pf__view_free(struct pf__view *v);
extern const uint8_t pf__squeezed[256]; /* 0: left out */
/* Look for the literals. final: nothing follows that could make more of it. Hits are added; v->next is where
 * to go on. Returns the position from which on bytes must be held, or UINT64_MAX. */
uint64_t pf__known_find(const struct pf__index *x, const struct pf__value *values, struct pf__view *v,
			uint64_t end, bool final, unsigned hold_from, struct pf__hits *hits);

/* --- patterns ----------------------------------------------------------------------------------- */

struct pf__step {    /* a run of one class, or one text */
	uint8_t cls; /* index into the classes */
	uint16_t min, max;
};
struct pf__rule {
	const char *name;
	const struct pf__step *steps;
	uint16_t step_count;
	uint16_t mark_from, mark_to; /* steps of what is replaced */
	uint8_t check;		     /* enum pf__check */
	uint8_t entropy;	     /* least bits a character, in tenths; 0: none */
	bool left, right;	     /* no part of a word may stand there */
};
enum pf__check {
	PF__CHECK_NONE,
	PF__CHECK_CRC_BASE62,
	PF__CHECK_BECH32,
	PF__CHECK_JWT,
	PF__CHECK_AWS,
	PF__CHECK_MIXED
};

struct pf__text { /* bytes of a stream: what stands before p[0] is unknown or nothing */
	const uint8_t *p;
	size_t n;
	bool final;
};
/* What is tried where three bytes (in lower case) begin a token of some rule. */
struct pf__anchor {
	uint16_t rule; /* or PF__SPECIAL + enum pf__special */
	uint8_t back;  /* so many bytes before the three the token begins */
	uint16_t next; /* + 1; 0: none */
};
#define PF__SPECIAL 0x8000u
enum pf__special {
	PF__URL,
	PF__PEM,
	PF__ASSIGNMENT,
	PF__BLOB_RAW,
	PF__BLOB_BASE64,
	PF__BLOB_HEX,
	PF__SPECIALS
};
#define PF__ANCHOR(v) ((uint32_t)((((v)&0xFFFFFFu) | 0x202020u) * 0x9E3779B1u) >> 17) /* 15 bits */

enum pf__found { PF__NO, PF__YES, PF__MORE };
/* Does the rule match at i? *from, *to: what is to be replaced. MORE: the text ends before that is known. */
enum pf__found pf__rule_match(const struct pf__rule *r, const uint64_t (*classes)[4],
			      const struct pf__text *t, size_t i, size_t *from, size_t *to);
enum pf__found pf__special_match(enum pf__special which, const struct pf__text *t, size_t i, size_t *from,
				 size_t *to);
const char *pf__special_name(enum pf__special which);
bool pf__check(enum pf__check check, const uint8_t *p, size_t n);
double pf__entropy(const uint8_t *p, size_t n);	 /* bits a byte */
uint32_t pf__bech32(const uint8_t *p, size_t n); /* 1: the checksum holds */
int pf__sextet(uint8_t c);			 /* of base64 in either alphabet; -1 */
uint32_t pf__crc32(const uint8_t *p, size_t n);

#endif
