/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The encoder with AVX-512 VNNI: vpdpbusd adds four products of an unsigned and a signed byte to each of
 * sixteen sums, without saturating. Activations become unsigned by adding 128, which the sums of the rows
 * take off again. A tile is two panels and eight rows of activations: sixteen sums in registers.
 */
#include <immintrin.h>

#include "guard/prompt/encoder.h"

#define TILE 8

static inline void put(float *y, const struct pf__linear *m, unsigned n, __m512i sum, float scale)
{
	__m512 factor = _mm512_mul_ps(_mm512_loadu_ps(m->scale + n), _mm512_set1_ps(scale));

	_mm512_storeu_ps(y + n, _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), factor),
					      _mm512_loadu_ps(m->bias + n)));
}

static inline __m512i four(const uint8_t *x)
{
	int bits;

	__builtin_memcpy(&bits, x, sizeof(bits));
	return _mm512_set1_epi32(bits);
}

static inline __m512i begin(const struct pf__linear *m, unsigned n)
{
	return _mm512_mullo_epi32(_mm512_loadu_si512(m->sum + n), _mm512_set1_epi32(-128));
}

static inline __attribute__((always_inline)) void
tile(const struct pf__linear *m, unsigned n, const struct pf__scratch *s, unsigned r, unsigned rows, float *y)
{
	const int8_t *w0 = m->w + (size_t)n * m->cols, *w1 = w0 + (size_t)PF_ENC_LANES * m->cols;
	const uint8_t *x = s->shifted + (size_t)r * m->cols;
	__m512i sum[TILE][2];

	_Pragma("GCC unroll 8") for (unsigned t = 0; t < rows; t++)
	{
		sum[t][0] = begin(m, n);
		sum[t][1] = begin(m, n + PF_ENC_LANES);
	}
	for (unsigned k = 0; k < m->cols; k += 4) {
		__m512i a = _mm512_loadu_si512(w0 + (size_t)k * PF_ENC_LANES);
		__m512i b = _mm512_loadu_si512(w1 + (size_t)k * PF_ENC_LANES);

		_Pragma("GCC unroll 8") for (unsigned t = 0; t < rows; t++)
		{
			__m512i in = four(x + (size_t)t * m->cols + k);

			sum[t][0] = _mm512_dpbusd_epi32(sum[t][0], in, a);
			sum[t][1] = _mm512_dpbusd_epi32(sum[t][1], in, b);
		}
	}
	_Pragma("GCC unroll 8") for (unsigned t = 0; t < rows; t++)
	{
		float *to = y + (size_t)(r + t) * m->rows;

		put(to, m, n, sum[t][0], s->scale[r + t]);
		put(to, m, n + PF_ENC_LANES, sum[t][1], s->scale[r + t]);
	}
}

/* Rows are a multiple of two panels (weights.c checks it). */
static void multiply(const struct pf__linear *m, struct pf__scratch *s, unsigned count, float *y)
{
	for (size_t i = 0; i < (size_t)count * m->cols; i++)
		s->shifted[i] = (uint8_t)(s->q[i] ^ 0x80);
	for (unsigned n = 0; n < m->rows; n += 2 * PF_ENC_LANES) {
		unsigned r = 0;

		for (; r + TILE <= count; r += TILE)
			tile(m, n, s, r, TILE, y);
		for (; r < count; r++)
			tile(m, n, s, r, 1, y);
	}
}

#define VECTOR	16
#define FORWARD pf__forward_vnni
#include "guard/prompt/encoder_body.h"
