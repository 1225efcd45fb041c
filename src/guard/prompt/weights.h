/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the prompt classifier: the file that its weights come from (share/pinfold/guard-prompt.bin, made by
 * tools/train-guard/pack.py). It is mapped, and nothing of it is believed: the version, the size, each
 * section's place and SHA-256, every count, and that each number is one.
 *
 *   0  "pfguard\n"  u32 version  u32 sections  u64 bytes of the file  zeros to 64
 *   64 per section: u32 what  u32 0  u64 offset  u64 bytes  SHA-256  u64 0
 *
 * Little endian; sections begin at multiples of 64, and so does each array in them.
 */
#ifndef PF_GUARD_PROMPT_WEIGHTS_H
#define PF_GUARD_PROMPT_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "guard/prompt/encoder.h"

#define PF_WEIGHTS_VERSION 1u
#define PF_WEIGHTS_MAX	   (256u << 20) /* bytes */
#define PF_VOCAB_UNK	   1u
#define PF_VOCAB_CLS	   2u
#define PF_VOCAB_SEP	   3u
#define PF_PIECE_MAX	   32 /* bytes of a piece, "##" not counted */

enum pf__source { PF_SOURCE_USER, PF_SOURCE_TOOL, PF_SOURCE_COUNT };
enum { PF_MIX_EXPLICIT, PF_MIX_GOAL, PF_MIX_GRAM_EXPLICIT, PF_MIX_GRAM_GOAL, PF_MIX_COUNT };

/* Of one source. A window's raw score is the mix of its four logits; a text's is its windows' highest. */
struct pf__calibration {
	float gate;		 /* windows whose goal table is below it are not encoded */
	float mix[PF_MIX_COUNT]; /* of the encoder's two logits, and of the tables' */
	float suspect, attack;	 /* raw scores where the levels begin */
};

/* Hashed n-grams: per bucket a weight for each head, explicit and goal. */
struct pf__gram_tables {
	unsigned bits; /* 2^bits buckets of words, and as many of characters */
	const int8_t *words, *chars;
	float word_scale[2], char_scale[2], bias[2];
};

/* Open addressing: a piece's bytes (with a leading "##" as part of its kind) to its number. */
struct pf__vocab {
	unsigned count;
	const uint32_t *at; /* count + 1 offsets */
	const char *bytes;
	uint16_t *slots; /* number + 1; 0: free */
	unsigned mask;
	unsigned longest;
};

struct pf__weights {
	const uint8_t *map;
	size_t size;
	struct pf__calibration calibration[PF_SOURCE_COUNT];
	struct pf__gram_tables grams;
	struct pf__vocab vocab;
	struct pf__encoder encoder;
	const uint8_t *encoder_digest; /* of the section; checked when it is first used */
	const uint8_t *encoder_at;
	size_t encoder_size;
	bool encoder_ready;
	char digest[80]; /* "sha256:" of the table of sections: names this set of weights */
};

/* Map and check all but the encoder's section. -ENOENT: there is no such file; -EINVAL: what is wrong. */
int pf__weights_open(struct pf__weights *w, const char *path, struct pf_error *err);
/* The same of bytes that stay where they are, aligned to 64; they are not the weights' to unmap. */
int pf__weights_from(struct pf__weights *w, const uint8_t *bytes, size_t size, struct pf_error *err);
/* Check and use the encoder's section: 14 MB are read. */
int pf__weights_encoder(struct pf__weights *w, struct pf_error *err);
void pf__weights_close(struct pf__weights *w);

/* The number of a piece of n bytes, or -1. inside: one that continues a word. */
int pf__vocab_find(const struct pf__vocab *v, const char *piece, size_t n, bool inside);

/* SHA-256 with the processor's instructions where it has them (14 MB: 10 ms instead of 60). */
void pf__digest(const void *p, size_t n, uint8_t out[32]);

/* Inside the reader: arrays of a section, each at a multiple of 64. */
struct pf__span {
	const uint8_t *at;
	size_t left;
	bool bad; /* an array went over the end, or a number is none */
};
const void *pf__span_take(struct pf__span *s, size_t bytes);
const float *pf__span_floats(struct pf__span *s, size_t n); /* finite, and below 1e9 */
int pf__vocab_read(struct pf__vocab *v, struct pf__span s, struct pf_error *err);
int pf__encoder_read(struct pf__encoder *e, struct pf__span s, unsigned vocab, struct pf_error *err);

#endif
