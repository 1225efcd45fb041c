/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prompt classifier, as the program pinfold-guard has it. It says how much a text looks like one that was
 * written to take a model over; it is a signal, never the wall.
 *
 * Tool text: n-gram tables look at every window of 48 words; what their goal head lets through is cut into
 * windows of 62 pieces and shown to the encoder. User text goes to the encoder whole. Time and memory are
 * bounded: `bytes_max` bytes of input are read, `windows_max` windows encoded; what is beyond makes a text
 * suspect (reason "unread"), so that padding is no way past.
 */
#ifndef PF_GUARD_PROMPT_PROMPT_H
#define PF_GUARD_PROMPT_PROMPT_H

#include "guard/prompt/detect.h"
#include "guard/prompt/grams.h"
#include "guard/prompt/text.h"
#include "guard/prompt/weights.h"

#define PF_PROMPT_BYTES	  (64ull << 20)
#define PF_PROMPT_WINDOWS 4096u
#define PF_PROMPT_TOLD	  8 /* windows that a verdict names */

#define PF__BLOCK_UNITS	  16 /* words of a block; a window is three blocks */
#define PF__UNIT_CHARS	  32 /* a longer run without white space counts as several words */
#define PF__BLOCK_CHARS	  (PF__BLOCK_UNITS * (PF__UNIT_CHARS + 1))
#define PF__WINDOW_BLOCKS 3
#define PF__STRIDE	  40 /* pieces from one window of the encoder to the next */

enum pf__level { PF_LEVEL_CLEAR, PF_LEVEL_SUSPECT, PF_LEVEL_ATTACK };
const char *pf__level_name(enum pf__level level);

struct pf__told {
	uint64_t from, to; /* bytes of the input */
	double score;
};

struct pf__verdict {
	double score; /* 0 to 1; 0.5: where suspect begins, 0.9: where attack does; 0: no window was scored */
	enum pf__level level;
	bool classifier, unread; /* reasons, beside the marks */
	uint32_t marks;
	uint64_t mark_at[PF_MARK_COUNT];
	unsigned told_count; /* suspect windows, the highest first */
	struct pf__told told[PF_PROMPT_TOLD];
	uint64_t bytes, windows, encoded; /* read; first-stage windows; those of the encoder */
};

struct pf__block {
	unsigned count;
	struct pf__gram_sums sums;
	struct pf__char chars[PF__BLOCK_CHARS];
};

struct pf__judge {
	struct pf__weights *weights;
	pf__forward_fn *forward;
	struct pf__scratch *scratch;
	uint64_t bytes_max;
	unsigned windows_max;

	enum pf__source source;
	struct pf__verdict verdict;
	struct pf__detector detector;
	struct pf__decoder decoder;
	struct pf__grams grams;
	struct pf__pieces pieces;
	struct pf__block blocks[PF__WINDOW_BLOCKS];
	uint64_t block; /* number of the one that is filled */
	unsigned unit, units;
	bool blank;	     /* the last character was one */
	uint64_t region_end; /* blocks that the pieces have; valid while region */
	bool region;
	float gram[2]; /* logits of the window that let the region through */
	unsigned held;
	bool fresh; /* pieces came since the last window */
	struct pf__piece piece[PF_ENC_PIECES - 2];
	double highest;
	bool scored;
	struct pf_error error; /* code 0: none yet */
};

/* weights stay the caller's and outlive the judge; scratch too. forward: a path of this machine. */
void pf__judge_init(struct pf__judge *j, struct pf__weights *weights, pf__forward_fn *forward,
		    struct pf__scratch *scratch);
void pf__judge_begin(struct pf__judge *j, enum pf__source source);
/* False: enough was read, no more is wanted. */
bool pf__judge_add(struct pf__judge *j, const void *bytes, size_t n);
/* -EINVAL: the encoder's weights are damaged. */
int pf__judge_end(struct pf__judge *j, struct pf__verdict *out, struct pf_error *err);

#endif
