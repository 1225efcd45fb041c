/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests and fuzzers of the prompt classifier: a small file of weights, made in memory. */
#ifndef TEST_PROMPT_WEIGHTS_H
#define TEST_PROMPT_WEIGHTS_H

#include <stdlib.h>
#include <string.h>

#include "guard/prompt/weights.h"
#include "proto/le.h"

#define TW_BITS	    10u
#define TW_SECTIONS 4u

struct tw_file {
	uint8_t *bytes; /* aligned to 64; free() */
	size_t size, room;
	uint32_t seed;
};

static inline uint32_t tw_random(struct tw_file *f)
{
	f->seed = f->seed * 1664525u + 1013904223u;
	return f->seed >> 8;
}

static inline uint8_t *tw_put(struct tw_file *f, size_t n)
{
	uint8_t *at;

	f->size = (f->size + 63) & ~(size_t)63;
	at = f->bytes + f->size;
	if (f->size + n > f->room)
		abort();
	f->size += n;
	return at;
}

static inline void tw_floats(struct tw_file *f, size_t n, float low, float high)
{
	float *to = (float *)(void *)tw_put(f, n * sizeof(float));

	for (size_t i = 0; i < n; i++)
		to[i] = low + (high - low) * (float)(tw_random(f) & 0xffff) / 65535.0f;
}

static inline void tw_linear(struct tw_file *f, unsigned rows, unsigned cols)
{
	int8_t *w = (int8_t *)tw_put(f, (size_t)rows * cols);
	int32_t *sum;

	for (size_t i = 0; i < (size_t)rows * cols; i++)
		w[i] = (int8_t)(tw_random(f) % 255 - 127);
	sum = (int32_t *)(void *)tw_put(f, rows * sizeof(*sum));
	for (unsigned r = 0; r < rows; r++) {
		sum[r] = 0;
		for (unsigned k = 0; k < cols; k++)
			sum[r] +=
				w[(size_t)(r / 16) * 16 * cols + (size_t)(k / 4) * 64 + (r % 16) * 4 + k % 4];
	}
	tw_floats(f, rows, 0.0004f, 0.0006f);
	tw_floats(f, rows, -0.1f, 0.1f);
}

static inline void tw_encoder(struct tw_file *f, unsigned vocab, unsigned layers)
{
	const uint32_t head[] = {vocab,	       layers,	      PF_ENC_WIDTH,  PF_ENC_INNER,
				 PF_ENC_HEADS, PF_ENC_PIECES, PF_ENC_OUTPUTS};
	int8_t *embed;

	memcpy(tw_put(f, 64), head, sizeof(head));
	embed = (int8_t *)tw_put(f, (size_t)vocab * PF_ENC_WIDTH);
	for (size_t i = 0; i < (size_t)vocab * PF_ENC_WIDTH; i++)
		embed[i] = (int8_t)(tw_random(f) % 255 - 127);
	tw_floats(f, vocab, 0.0005f, 0.001f);
	tw_floats(f, (size_t)PF_ENC_PIECES * PF_ENC_WIDTH, -0.02f, 0.02f);
	tw_floats(f, (size_t)2 * PF_ENC_WIDTH, 0.5f, 1.0f);
	for (unsigned i = 0; i < layers; i++) {
		tw_linear(f, 3 * PF_ENC_WIDTH, PF_ENC_WIDTH);
		tw_linear(f, PF_ENC_WIDTH, PF_ENC_WIDTH);
		tw_floats(f, (size_t)2 * PF_ENC_WIDTH, 0.5f, 1.0f);
		tw_linear(f, PF_ENC_INNER, PF_ENC_WIDTH);
		tw_linear(f, PF_ENC_WIDTH, PF_ENC_INNER);
		tw_floats(f, (size_t)2 * PF_ENC_WIDTH, 0.5f, 1.0f);
	}
	tw_floats(f, (size_t)PF_ENC_OUTPUTS * 2 * PF_ENC_WIDTH, -0.1f, 0.1f);
	tw_floats(f, PF_ENC_OUTPUTS, -1.0f, 1.0f);
}

static inline void tw_vocab(struct tw_file *f, const char *const *pieces, unsigned count)
{
	uint32_t *at, sum = 0;

	memcpy(tw_put(f, 4), &count, 4);
	at = (uint32_t *)(void *)tw_put(f, (count + 1) * sizeof(*at));
	for (unsigned i = 0; i < count; i++) {
		at[i] = sum;
		sum += (uint32_t)strlen(pieces[i]);
	}
	at[count] = sum;
	f->size = (f->size + 63) & ~(size_t)63;
	for (unsigned i = 0; i < count; i++) {
		memcpy(f->bytes + f->size, pieces[i], strlen(pieces[i]));
		f->size += strlen(pieces[i]);
	}
}

/* The digest of section i (0..) and the file's size, after a change. */
static inline void tw_seal(struct tw_file *f)
{
	pf__le_put(f->bytes + 16, f->size, 8);
	for (unsigned i = 0; i < TW_SECTIONS; i++) {
		uint8_t *row = f->bytes + 64 + (size_t)64 * i;

		pf__digest(f->bytes + pf__le_get(row + 8, 8), pf__le_get(row + 16, 8), row + 24);
	}
}

static inline void tw_section(struct tw_file *f, unsigned i, size_t begin)
{
	uint8_t *row = f->bytes + 64 + (size_t)64 * i;

	pf__le_put(row, i + 1, 4);
	pf__le_put(row + 8, begin, 8);
	pf__le_put(row + 16, f->size - begin, 8);
	f->size = (f->size + 63) & ~(size_t)63;
}

/* gate: of tool text; user text has none. Sections: calibration, vocabulary, tables, encoder. */
static inline void tw_make(struct tw_file *f, const char *const *pieces, unsigned count, unsigned layers,
			   float gate)
{
	const float calibration[2][7] = {{-1e8f, 1, 1, 0, 0, 1, 4}, {gate, 1, 1, 0, 0, 1, 4}};
	const uint32_t bits = TW_BITS;
	size_t begin;

	f->room = (size_t)6 << 20;
	f->bytes = aligned_alloc(64, f->room);
	if (!f->bytes)
		abort();
	memset(f->bytes, 0, f->room);
	f->seed = 1;
	f->size = 64 + 64 * TW_SECTIONS;
	memcpy(f->bytes, "pfguard\n", 8);
	pf__le_put(f->bytes + 8, PF_WEIGHTS_VERSION, 4);
	pf__le_put(f->bytes + 12, TW_SECTIONS, 4);
	begin = f->size;
	memcpy(tw_put(f, sizeof(calibration[0])), calibration[0], sizeof(calibration[0]));
	memcpy(tw_put(f, sizeof(calibration[1])), calibration[1], sizeof(calibration[1]));
	tw_section(f, 0, begin);
	begin = f->size;
	tw_vocab(f, pieces, count);
	tw_section(f, 1, begin);
	begin = f->size;
	memcpy(tw_put(f, 4), &bits, 4);
	tw_floats(f, 6, 0.01f, 0.02f);
	for (unsigned t = 0; t < 2; t++) {
		uint8_t *to = tw_put(f, (size_t)2 << TW_BITS);

		for (size_t i = 0; i < (size_t)2 << TW_BITS; i++)
			to[i] = (uint8_t)tw_random(f);
	}
	tw_section(f, 2, begin);
	begin = f->size;
	tw_encoder(f, count, layers);
	tw_section(f, 3, begin);
	tw_seal(f);
}

#endif
