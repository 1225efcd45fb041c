/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the prompt classifier: the first stage. Hashed n-grams of words (one to three; punctuation is a
 * word) and of characters (three to five, within what white space divides, one blank at each end), with a
 * weight a head in two tables. A gram counts where it ends, so that sums of pieces of text add up to that of
 * the whole: a window is the sum of its blocks. Digits are one digit.
 *
 * tools/train-guard compiles this very code (with PF_GRAMS_EXPORT, which records buckets), so that what was
 * trained is what runs.
 */
#ifndef PF_GUARD_PROMPT_GRAMS_H
#define PF_GUARD_PROMPT_GRAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "guard/prompt/weights.h"

struct pf__gram_sums {
	int64_t words[2], chars[2]; /* of the weights, a head */
	uint64_t word_count, char_count;
};

struct pf__grams {
	const struct pf__gram_tables *tables;
	struct pf__gram_sums sums; /* the caller takes and clears them */
	uint32_t last[4];	   /* characters before, newest first */
	uint32_t word;		   /* hash of the word so far; 0: none */
	uint32_t before[2];	   /* hashes of the words before, newest first */
	unsigned chunk;		   /* characters since the blank, it included; at most 5 */
#ifdef PF_GRAMS_EXPORT
	uint32_t *export_at, *export_end; /* bucket << 1 | 1 for characters */
#endif
};

/* A normalised character. Runs of blanks are the caller's to make one. */
void pf__grams_add(struct pf__grams *g, uint32_t cp);
/* Take the last word in too: at the end of the text. */
void pf__grams_end(struct pf__grams *g);
void pf__gram_sums_add(struct pf__gram_sums *to, const struct pf__gram_sums *from);
/* The logit of head 0 (explicit) or 1 (goal). */
float pf__gram_logit(const struct pf__gram_tables *t, const struct pf__gram_sums *s, unsigned head);

#endif
