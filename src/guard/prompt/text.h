/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the prompt classifier: text as the encoder's vocabulary knows it. Bytes become characters (invalid
 * UTF-8 is skipped, as U+FFFD would be), characters are normalised as the original BERT "uncased" does it
 * (controls and format marks dropped, space around ideographs, canonical decomposition without marks, lower
 * case), words are cut into the longest known pieces. All of it streams and keeps one word at most.
 */
#ifndef PF_GUARD_PROMPT_TEXT_H
#define PF_GUARD_PROMPT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guard/prompt/weights.h"

#define PF_NORM_MAX   24  /* characters that one becomes, at most */
#define PF_WORD_CHARS 100 /* a longer word is unknown as a whole */

/* A normalised character and the bytes of the input that it came from. */
struct pf__char {
	uint32_t cp, len;
	uint64_t at;
};

/* UTF-8 in any pieces: at most three bytes are kept between calls. */
struct pf__decoder {
	uint32_t cp;
	uint8_t need, have;
	uint8_t low; /* what the next byte must be at least: neither overlong nor a surrogate */
	uint8_t high;
};
/* One byte. True: *cp is a character, of *len bytes. *again: the byte is to be offered once more. */
bool pf__decode(struct pf__decoder *d, uint8_t byte, uint32_t *cp, uint32_t *len, bool *again);

/* What cp becomes: PF_NORM_MAX at most; 0: nothing. White space is ' '. */
unsigned pf__normalise(uint32_t cp, uint32_t out[PF_NORM_MAX]);
/* A normalised character that is a word by itself. */
bool pf__is_punctuation(uint32_t cp);
/* Letters in disguise (full width, mathematical, circled, tag characters) as the ASCII that they show; else
 * cp. Not the original's: the pieces of a disguised word would all be unknown. */
uint32_t pf__unmask(uint32_t cp);

struct pf__piece {
	uint16_t id;
	uint64_t from, to; /* bytes of the input */
};

struct pf__pieces {
	const struct pf__vocab *vocab;
	void (*emit)(void *user, const struct pf__piece *piece);
	void *user;
	unsigned chars, bytes;
	uint64_t from, to; /* of the word so far */
	char word[PF_WORD_CHARS * 4];
	uint16_t end_byte[PF_WORD_CHARS]; /* per character */
	struct pf__char at[PF_WORD_CHARS];
};
void pf__pieces_add(struct pf__pieces *p, const struct pf__char *c);
void pf__pieces_flush(struct pf__pieces *p); /* the word that the text ends with */

#endif
