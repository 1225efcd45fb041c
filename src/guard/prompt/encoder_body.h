/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The encoder's forward pass, for the one file that includes it: that defines multiply() and FORWARD (the
 * name of the function) and VECTOR (floats at once) first, and is compiled for its processor (Makefile).
 * Loops are written for the vectoriser. Results must not depend on the processor: no contraction, no
 * reassociation, sums in LANES.
 */
#include <math.h>
#include <string.h>

#define W     PF_ENC_WIDTH
#define LANES PF_ENC_LANES

static float sum_lanes(const float lane[LANES])
{
	float a[LANES / 2], b[LANES / 4];

	for (unsigned i = 0; i < LANES / 2; i++)
		a[i] = lane[i] + lane[i + LANES / 2];
	for (unsigned i = 0; i < LANES / 4; i++)
		b[i] = a[i] + a[i + LANES / 4];
	return (b[0] + b[2]) + (b[1] + b[3]);
}

/* As many floats as the processor takes at once: what is done to each alone gives the same at any width. */
typedef float vf __attribute__((vector_size(VECTOR * 4), aligned(4), may_alias));
typedef int32_t vi __attribute__((vector_size(VECTOR * 4), aligned(4), may_alias));

static inline __attribute__((always_inline)) vf choose(vi mask, vf yes, vf no)
{
	return (vf)(((vi)yes & mask) | ((vi)no & ~mask));
}

static inline __attribute__((always_inline)) vf absolute(vf x)
{
	return (vf)((vi)x & 0x7fffffff);
}

static inline __attribute__((always_inline)) vf with_sign(vf x, vf sign)
{
	return (vf)((vi)x | ((vi)sign & (int32_t)0x80000000));
}

/* e^x for x <= 0, to about 1e-7. */
static inline __attribute__((always_inline)) vf exp_fast(vf x)
{
	vf t, f, p;
	vi n;

	x = choose(x < -87.0f, x * 0.0f - 87.0f, x);
	t = x * 1.44269504f;
	n = __builtin_convertvector(t - 0.5f, vi); /* t <= 0: rounds to the nearest */
	f = t - __builtin_convertvector(n, vf);
	p = 0.00133336f + f * 0.000154f;
	p = 0.00961813f + f * p;
	p = 0.05550411f + f * p;
	p = 0.24022651f + f * p;
	p = 0.69314718f + f * p;
	p = 1.0f + f * p;
	return p * (vf)((n + 127) * (1 << 23));
}

/* x * Phi(x), by Abramowitz and Stegun 7.1.26 (error below 1.5e-7). */
static inline __attribute__((always_inline)) vf gelu(vf x)
{
	vf z = absolute(x) * 0.70710678f;
	vf t = 1.0f / (1.0f + 0.3275911f * z), p;

	p = 1.061405429f * t - 1.453152027f;
	p = p * t + 1.421413741f;
	p = p * t - 0.284496736f;
	p = p * t + 0.254829592f;
	p = 1.0f - p * t * exp_fast(-z * z);
	return 0.5f * x * (1.0f + with_sign(p, x));
}

static void gelu_all(float *x, size_t n)
{
	for (size_t i = 0; i < n; i += VECTOR)
		*(vf *)(x + i) = gelu(*(vf *)(x + i));
}

static float largest(const float *x, unsigned n)
{
	vf top = absolute(*(const vf *)x);
	float most = 1e-9f;

	for (unsigned i = VECTOR; i < n; i += VECTOR) {
		vf a = absolute(*(const vf *)(x + i));

		top = choose(a > top, a, top);
	}
	for (unsigned l = 0; l < VECTOR; l++)
		most = top[l] > most ? top[l] : most;
	return most;
}

/* Each row of n floats to eight bits, by its own largest. */
static void quantise(const float *x, unsigned count, unsigned n, int8_t *q, float *scale)
{
	for (unsigned r = 0; r < count; r++, x += n, q += n) {
		float most = largest(x, n), k = 127.0f / most;

		scale[r] = most / 127.0f;
		for (unsigned i = 0; i < n; i += VECTOR) {
			vf v = *(const vf *)(x + i) * k;
			vi whole = __builtin_convertvector(v + with_sign(v * 0.0f + 0.5f, v), vi);

			for (unsigned l = 0; l < VECTOR; l++)
				q[i + l] = (int8_t)whole[l];
		}
	}
}

/* x += add (if any), then to mean 0 and variance 1 in each row, with gains and offsets. */
static void normalise(float *x, const float *add, unsigned count, const float *norm)
{
	for (unsigned r = 0; r < count; r++, x += W) {
		float lane[LANES] = {0}, square[LANES] = {0}, mean, inv;

		if (add) {
			for (unsigned i = 0; i < W; i++)
				x[i] += add[r * W + i];
		}
		for (unsigned i = 0; i < W; i += LANES)
			for (unsigned l = 0; l < LANES; l++)
				lane[l] += x[i + l];
		mean = sum_lanes(lane) * (1.0f / W);
		for (unsigned i = 0; i < W; i += LANES) {
			for (unsigned l = 0; l < LANES; l++) {
				float d = x[i + l] - mean;

				square[l] += d * d;
			}
		}
		inv = 1.0f / sqrtf(sum_lanes(square) * (1.0f / W) + 1e-12f);
		for (unsigned i = 0; i < W; i++)
			x[i] = (x[i] - mean) * inv * norm[i] + norm[W + i];
	}
}

/* One query against all keys: the weighted sum of the values. */
static void attend_one(const float *query, const float *keys, const float *values, unsigned count, float *out)
{
	float s[PF_ENC_PIECES] = {0}, o[PF_ENC_HEAD] = {0}, most, total = 0.0f;

	for (unsigned d = 0; d < PF_ENC_HEAD; d++) {
		float t = query[d] * 0.17677669f; /* 1 / sqrt(HEAD) */

		for (unsigned j = 0; j < PF_ENC_PIECES; j++)
			s[j] += t * keys[d * PF_ENC_PIECES + j];
	}
	most = s[0];
	for (unsigned j = 1; j < count; j++)
		most = s[j] > most ? s[j] : most;
	for (unsigned j = 0; j < PF_ENC_PIECES; j += VECTOR) {
		vf d = *(vf *)(s + j) - most;

		*(vf *)(s + j) =
			exp_fast(choose(d < 0.0f, d, d * 0.0f)); /* beyond count they may be larger */
	}
	for (unsigned j = 0; j < count; j++)
		total += s[j];
	total = 1.0f / total;
	for (unsigned j = 0; j < count; j++) {
		float t = s[j] * total;

		for (unsigned d = 0; d < PF_ENC_HEAD; d++)
			o[d] += t * values[(size_t)j * 3 * W + d];
	}
	memcpy(out, o, sizeof(o));
}

static void attend(struct pf__scratch *s, unsigned count)
{
	for (unsigned h = 0; h < PF_ENC_HEADS; h++) {
		const float *base = s->qkv + h * PF_ENC_HEAD;

		memset(s->keys, 0, sizeof(s->keys));
		for (unsigned j = 0; j < count; j++)
			for (unsigned d = 0; d < PF_ENC_HEAD; d++)
				s->keys[d * PF_ENC_PIECES + j] = base[(size_t)j * 3 * W + W + d];
		for (unsigned i = 0; i < count; i++)
			attend_one(base + (size_t)i * 3 * W, s->keys, base + (size_t)2 * W, count,
				   s->mid + (size_t)i * W + h * PF_ENC_HEAD);
	}
}

static void embed(const struct pf__encoder *e, struct pf__scratch *s, const uint16_t *ids, unsigned count)
{
	for (unsigned r = 0; r < count; r++) {
		const int8_t *row = e->embed + (size_t)ids[r] * W;
		float scale = e->embed_scale[ids[r]];

		for (unsigned i = 0; i < W; i++)
			s->x[r * W + i] = (float)row[i] * scale + e->position[r * W + i];
	}
	normalise(s->x, NULL, count, e->norm);
}

static void one_layer(const struct pf__layer *l, struct pf__scratch *s, unsigned count)
{
	quantise(s->x, count, W, s->q, s->scale);
	multiply(&l->qkv, s, count, s->qkv);
	attend(s, count);
	quantise(s->mid, count, W, s->q, s->scale);
	multiply(&l->out, s, count, s->y);
	normalise(s->x, s->y, count, l->norm1);
	quantise(s->x, count, W, s->q, s->scale);
	multiply(&l->up, s, count, s->y);
	gelu_all(s->y, (size_t)count * PF_ENC_INNER);
	quantise(s->y, count, PF_ENC_INNER, s->q, s->scale);
	multiply(&l->down, s, count, s->mid);
	normalise(s->x, s->mid, count, l->norm2);
}

/* The mean and the maximum of each column, each times the output's weights. */
static void pool(const struct pf__encoder *e, const float *x, unsigned count, float logits[PF_ENC_OUTPUTS])
{
	float mean[W] = {0}, most[W];

	memcpy(most, x, sizeof(most));
	for (unsigned r = 0; r < count; r++) {
		for (unsigned i = 0; i < W; i++) {
			float v = x[r * W + i];

			mean[i] += v;
			most[i] = v > most[i] ? v : most[i];
		}
	}
	for (unsigned k = 0; k < PF_ENC_OUTPUTS; k++) {
		const float *h = e->head + (size_t)k * 2 * W;
		float lane[LANES] = {0};

		for (unsigned i = 0; i < W; i += LANES)
			for (unsigned l = 0; l < LANES; l++)
				lane[l] += mean[i + l] / (float)count * h[i + l] + most[i + l] * h[W + i + l];
		logits[k] = e->head_bias[k] + sum_lanes(lane);
	}
}

void FORWARD(const struct pf__encoder *e, struct pf__scratch *s, const uint16_t *ids, unsigned count,
	     float logits[PF_ENC_OUTPUTS])
{
	embed(e, s, ids, count);
	for (unsigned i = 0; i < e->layers; i++)
		one_layer(&e->layer[i], s, count);
	pool(e, s->x, count, logits);
}
