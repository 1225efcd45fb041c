/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A value in the ways in which people, programs and models write one down. All literals are squeezed (letters
 * and digits in lower case): so one of them stands for its upper case, for any separators and for any
 * wrapping too. "61:62", "%61%62" and "6162" are one, and so are base64 and its form for URLs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guard/redact_internal.h"

static const char ascii85[] =
	"!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstu";
static const char z85[] =
	"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
static const char rfc1924[] =
	"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";

const char *pf__encoding_name(unsigned encoding)
{
	static const char *const names[PF__ENCODINGS] = {
		[PF__PLAIN] = "plain",
		[PF__REVERSED] = "reversed",
		[PF__SHIFTED] = "shifted",
		[PF__ATBASH] = "atbash",
		[PF__ROT47] = "rot47",
		[PF__BASE64] = "base64",
		[PF__BASE64_OF] = "base64 and another",
		[PF__BASE32] = "base32",
		[PF__HEX] = "hex",
		[PF__ESCAPES] = "escapes",
		[PF__ENTITIES] = "entities",
		[PF__OCTAL] = "octal",
		[PF__DECIMAL] = "decimal",
		[PF__BINARY] = "binary",
		[PF__WORDS] = "words",
		[PF__BASE85] = "base85",
		[PF__UU] = "uuencode",
		[PF__EVERY] = "interleaved",
		[PF__COUNTED] = "counted",
		[PF__SPELLED] = "spelled",
		[PF__BIG] = "number",
		[PF__ARCHIVE] = "archive",
		[PF__PATTERN] = "pattern",
		[PF__UTF16] = "utf-16",
	};
	return encoding < PF__ENCODINGS ? names[encoding] : "?";
}

struct work {
	struct pf__index *x;
	struct pf__seq value, one, two, three;
	unsigned number;
	size_t at; /* of this piece in the value */
	int r;
};

static void add(struct work *w, const struct pf__seq *s, unsigned encoding, bool weighed)
{
	if (w->r == 0)
		w->r = pf__index_add(w->x, s, w->number, w->at, w->value.n, encoding, weighed);
}

/* The letters moved: every shift, both ways round. */
static void add_moved(struct work *w)
{
	pf__seq_reverse(&w->two, &w->value);
	add(w, &w->two, PF__REVERSED, true);
	for (unsigned by = 1; by < 26; by++) {
		pf__seq_shift(&w->one, &w->value, by);
		add(w, &w->one, PF__SHIFTED, true);
		pf__seq_reverse(&w->two, &w->one);
		add(w, &w->two, PF__SHIFTED, true);
	}
	pf__seq_atbash(&w->one, &w->value);
	add(w, &w->one, PF__ATBASH, true);
	pf__seq_rot47(&w->one, &w->value);
	add(w, &w->one, PF__ROT47, false);
	for (unsigned k = 0; k < 2; k++) {
		pf__seq_every(&w->one, &w->value, k, 2);
		add(w, &w->one, PF__EVERY, true);
		pf__seq_counted(&w->one, &w->value, k);
		add(w, &w->one, PF__COUNTED, false);
	}
	w->one.n = 0; /* ssss kkkk: each character twice */
	for (unsigned i = 0; i < w->value.n; i++) {
		pf__seq_put(&w->one, w->value.c[i], w->value.from[i]);
		pf__seq_put(&w->one, w->value.c[i], w->value.from[i]);
	}
	add(w, &w->one, PF__EVERY, false);
	pf__seq_spelled(&w->one, &w->value);
	add(w, &w->one, PF__SPELLED, false);
}

/* base64 of s at every phase, as it is; and again, so that what encodes twice is seen. */
static void add_base64(struct work *w, const struct pf__seq *s, bool more)
{
	for (unsigned phase = 0; phase < 3; phase++) {
		pf__seq_base64(&w->two, s, phase);
		add(w, &w->two, s == &w->value ? PF__BASE64 : PF__BASE64_OF, false);
		if (!more)
			continue;
		for (unsigned k = 0; k < 3; k++) {
			pf__seq_base64(&w->three, &w->two, k);
			add(w, &w->three, PF__BASE64_OF, false);
		}
		pf__seq_reverse(&w->three, &w->two);
		add(w, &w->three, PF__BASE64_OF, false);
		pf__seq_shift(&w->three, &w->two, 13);
		add(w, &w->three, PF__BASE64_OF, false);
		pf__seq_hex(&w->three, &w->two);
		add(w, &w->three, PF__BASE64_OF, false);
	}
}

static void add_based(struct work *w)
{
	add_base64(w, &w->value, true);
	pf__seq_reverse(&w->one, &w->value);
	add_base64(w, &w->one, false);
	pf__seq_shift(&w->one, &w->value, 13);
	add_base64(w, &w->one, false);
	pf__seq_numbers(&w->one, &w->value, "", 16, 2);
	add_base64(w, &w->one, false);
	for (unsigned phase = 0; phase < 5; phase++) {
		pf__seq_base32(&w->one, &w->value, phase, false);
		add(w, &w->one, PF__BASE32, false);
		pf__seq_base32(&w->one, &w->value, phase, true);
		add(w, &w->one, PF__BASE32, false);
	}
	for (unsigned phase = 0; phase < 4; phase++) {
		pf__seq_base85(&w->one, &w->value, phase, ascii85);
		add(w, &w->one, PF__BASE85, false);
		pf__seq_base85(&w->one, &w->value, phase, z85);
		add(w, &w->one, PF__BASE85, false);
		pf__seq_base85(&w->one, &w->value, phase, rfc1924);
		add(w, &w->one, PF__BASE85, false);
	}
	for (unsigned phase = 0; phase < 3; phase++) {
		pf__seq_uu(&w->one, &w->value, phase);
		add(w, &w->one, PF__UU, false);
	}
}

static void add_numbers(struct work *w)
{
	static const struct {
		const char *prefix;
		uint8_t base, digits, encoding;
	} ways[] = {
		{"", 16, 2, PF__HEX},	     {"x", 16, 2, PF__ESCAPES},	   {"0x", 16, 2, PF__ESCAPES},
		{"u00", 16, 2, PF__ESCAPES}, {"u", 16, 2, PF__ESCAPES},	   {"u000000", 16, 2, PF__ESCAPES},
		{"", 10, 1, PF__DECIMAL},    {"", 10, 3, PF__DECIMAL},	   {"chr", 10, 1, PF__DECIMAL},
		{"", 8, 3, PF__OCTAL},	     {"0", 8, 3, PF__OCTAL},	   {"", 2, 8, PF__BINARY},
		{"0b", 2, 8, PF__BINARY},    {"x00", 16, 2, PF__ENTITIES}, {"00", 16, 2, PF__UTF16},
		{"", 2, 7, PF__BINARY},	     {"0o", 8, 3, PF__OCTAL},	   {"0o", 8, 1, PF__OCTAL},
		{"", 8, 1, PF__OCTAL},
	};
	static const uint8_t digits_of[9][3] = {/* by size: hex, octal, decimal with od's zeros */
						[2] = {4, 6, 1},
						[4] = {8, 11, 1},
						[8] = {16, 22, 1}};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		pf__seq_numbers(&w->one, &w->value, ways[i].prefix, ways[i].base, ways[i].digits);
		add(w, &w->one, ways[i].encoding, false);
	}
	pf__seq_hex(&w->one, &w->value);
	pf__seq_reverse(&w->two, &w->one);
	add(w, &w->two, PF__HEX, false);
	pf__seq_reverse(&w->one, &w->value);
	pf__seq_hex(&w->two, &w->one);
	add(w, &w->two, PF__HEX, false);
	for (unsigned size = 2; size <= 8; size *= 2) {
		for (unsigned phase = 0; phase < size; phase++) {
			pf__seq_words(&w->one, &w->value, size, phase, 16, digits_of[size][0]);
			add(w, &w->one, PF__WORDS, false);
			pf__seq_words(&w->one, &w->value, size, phase, 8, digits_of[size][1]);
			add(w, &w->one, PF__WORDS, false);
			pf__seq_words(&w->one, &w->value, size, phase, 10, digits_of[size][2]);
			add(w, &w->one, PF__WORDS, false);
		}
	}
	if (w->value.n <= 256) {
		pf__seq_decimal(&w->one, &w->value);
		add(w, &w->one, PF__BIG, false);
	}
}

static size_t squeezed_length(const uint8_t *p, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		k += pf__squeezed[p[i]] != 0;
	return k;
}

/* What squeezing would lose most of is looked for as it is, too. */
static int add_raw(struct work *w, const struct pf__value *v)
{
	static const unsigned letters_lost = 4;
	size_t kept = squeezed_length(v->bytes, v->len);
	int r;

	if (!v->whole_only && kept >= 2 * PF__RUN_MIN && kept * letters_lost >= v->len)
		return 0;
	r = pf__index_add_raw(w->x, v->bytes, v->len, w->number, PF__PLAIN, v->whole_only || v->len < 8);
	if (r < 0 || v->whole_only || v->len < 8)
		return r;
	pf__seq_from(&w->one, v->bytes, v->len < PF__SEQ_MAX ? v->len : PF__SEQ_MAX);
	pf__seq_reverse(&w->two, &w->one);
	r = pf__index_add_raw(w->x, w->two.c, w->two.n, w->number, PF__REVERSED, false);
	pf__seq_rot47(&w->two, &w->one);
	return r < 0 ? r : pf__index_add_raw(w->x, w->two.c, w->two.n, w->number, PF__ROT47, false);
}

int pf__encode(struct pf__index *x, const struct pf__value *v, unsigned value)
{
	struct work *w = calloc(1, sizeof(*w));
	int r = 0;

	if (!w)
		return -ENOMEM;
	w->x = x;
	w->number = value;
	for (size_t at = 0; at < v->len && w->r == 0; at += PF__PIECE) {
		size_t n = v->len - at;

		w->at = at;
		/* Pieces overlap, so that what lies across their border is seen. */
		pf__seq_from(&w->value, v->bytes + at, n < PF__PIECE + 16 ? n : PF__PIECE + 16);
		if (!v->whole_only) {
			add(w, &w->value, PF__PLAIN, true);
			if (v->len <= PF__PIECE)
				add_moved(w);
		}
		if (v->len <= PF__PIECE) {
			add_based(w);
			add_numbers(w);
		} else {
			add_base64(w, &w->value, false);
			pf__seq_hex(&w->one, &w->value);
			add(w, &w->one, PF__HEX, false);
		}
	}
	r = w->r < 0 ? w->r : add_raw(w, v);
	memset(w, 0, sizeof(*w));
	free(w);
	return r;
}
