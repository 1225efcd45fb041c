/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the prompt classifier: the small encoder of the second stage. Post-norm transformer layers as BERT
 * has them, weights and activations of eight bits, everything between in floats. Its figures are fixed here;
 * layers and vocabulary are the weights file's.
 *
 * Every path (scalar, AVX2, AVX-512 VNNI) gives the same logits: products are summed in integers, and the
 * float parts are the same C with contraction off and sums in sixteen fixed lanes.
 */
#ifndef PF_GUARD_PROMPT_ENCODER_H
#define PF_GUARD_PROMPT_ENCODER_H

#include <stddef.h>
#include <stdint.h>

#define PF_ENC_WIDTH   384
#define PF_ENC_HEADS   12
#define PF_ENC_HEAD    (PF_ENC_WIDTH / PF_ENC_HEADS)
#define PF_ENC_INNER   1536
#define PF_ENC_PIECES  64 /* of one window, the first and the last mark among them */
#define PF_ENC_LAYERS  12 /* at most */
#define PF_ENC_OUTPUTS 2  /* logits: explicit attack; foreign goal in tool text */
#define PF_ENC_LANES   16 /* rows of a panel, and partial sums of a float reduction */
#define PF_ENC_VOCAB   32768

/*
 * y = x W' + b. Rows in panels of sixteen; a panel has, for every four columns, those four of each of its
 * rows: one 64-byte vector that a four-way dot product takes as it lies.
 */
struct pf__linear {
	unsigned rows, cols; /* multiples of 16 and of 4 */
	const int8_t *w;     /* rows * cols, packed as above */
	const int32_t *sum;  /* of each row's weights */
	const float *scale, *bias;
};

struct pf__layer {
	struct pf__linear qkv, out, up, down;
	const float *norm1, *norm2; /* WIDTH gains, then WIDTH offsets */
};

/* Views of a mapped file (weights.h); owns nothing. */
struct pf__encoder {
	unsigned vocab, layers;
	const int8_t *embed; /* vocab * WIDTH */
	const float *embed_scale, *position, *norm;
	struct pf__layer layer[PF_ENC_LAYERS];
	const float *head, *head_bias; /* per output: WIDTH of the mean, WIDTH of the maximum */
};

/* Room for one window's forward pass; some 900 KiB, of the caller's, aligned. Whoever shares it serialises.
 */
struct pf__scratch {
	_Alignas(64) float x[PF_ENC_PIECES * PF_ENC_WIDTH];
	_Alignas(64) float qkv[PF_ENC_PIECES * 3 * PF_ENC_WIDTH];
	_Alignas(64) float mid[PF_ENC_PIECES * PF_ENC_WIDTH];
	_Alignas(64) float y[PF_ENC_PIECES * PF_ENC_INNER];
	_Alignas(64) int8_t q[PF_ENC_PIECES * PF_ENC_INNER];
	_Alignas(64) uint8_t shifted[2 * PF_ENC_PIECES * PF_ENC_INNER]; /* q, as the path wants it */
	_Alignas(64) float keys[PF_ENC_HEAD * PF_ENC_PIECES];
	float scale[PF_ENC_PIECES];
};

/* ids: 1 to PIECES of them, each below vocab. */
typedef void pf__forward_fn(const struct pf__encoder *e, struct pf__scratch *s, const uint16_t *ids,
			    unsigned count, float logits[PF_ENC_OUTPUTS]);
pf__forward_fn pf__forward_scalar, pf__forward_avx2, pf__forward_vnni;

enum pf__path { PF_PATH_SCALAR, PF_PATH_AVX2, PF_PATH_VNNI, PF_PATH_COUNT };

const char *pf__path_name(enum pf__path path);
int pf__path_runs(enum pf__path path); /* has this machine what it needs? */
enum pf__path pf__path_best(void);
pf__forward_fn *pf__path_forward(enum pf__path path);

#endif
