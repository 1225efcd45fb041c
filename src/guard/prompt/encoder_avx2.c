/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The encoder with AVX2. Weights are widened to sixteen bits, since a product of unsigned and signed bytes
 * (vpmaddubsw) would saturate. A panel's vector of 64 bytes becomes four of sixteen products, each of four
 * rows; a tile is one panel and two rows of activations: eight sums in registers.
 */
#include <immintrin.h>

#include "guard/prompt/encoder.h"

#define TILE 2

/* Sums of pairs, in the order of the rows: a and b hold rows 0..3 and 4..7, two halves of each. */
static inline __m256i fold(__m256i a, __m256i b)
{
	return _mm256_permute4x64_epi64(_mm256_hadd_epi32(a, b), 0xd8);
}

static inline void put(float *y, const struct pf__linear *m, unsigned n, __m256i sum, float scale)
{
	__m256 factor = _mm256_mul_ps(_mm256_loadu_ps(m->scale + n), _mm256_set1_ps(scale));

	_mm256_storeu_ps(y + n, _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sum), factor),
					      _mm256_loadu_ps(m->bias + n)));
}

static inline __m256i four(const int16_t *x)
{
	long long bits;

	__builtin_memcpy(&bits, x, sizeof(bits));
	return _mm256_set1_epi64x(bits);
}

static inline __attribute__((always_inline)) void tile(const struct pf__linear *m, const int16_t *panel,
						       unsigned n, const struct pf__scratch *s,
						       const int16_t *x, unsigned r, unsigned rows, float *y)
{
	__m256i sum[TILE][4];

	_Pragma("GCC unroll 8") for (unsigned t = 0; t < rows; t++)
		_Pragma("GCC unroll 4") for (unsigned v = 0; v < 4; v++) sum[t][v] = _mm256_setzero_si256();
	for (unsigned k = 0; k < m->cols; k += 4) {
		const __m256i *w = (const __m256i *)(const void *)(panel + (size_t)k * PF_ENC_LANES);
		__m256i in[TILE];

		_Pragma("GCC unroll 8") for (unsigned t = 0; t < rows; t++) in[t] =
			four(x + (size_t)t * m->cols + k);
		_Pragma("GCC unroll 4") for (unsigned v = 0; v < 4; v++)
		{
			_Pragma("GCC unroll 8") for (unsigned t = 0; t < rows; t++) sum[t][v] =
				_mm256_add_epi32(sum[t][v], _mm256_madd_epi16(in[t], w[v]));
		}
	}
	_Pragma("GCC unroll 8") for (unsigned t = 0; t < rows; t++)
	{
		float *to = y + (size_t)(r + t) * m->rows;

		put(to, m, n, fold(sum[t][0], sum[t][1]), s->scale[r + t]);
		put(to, m, n + 8, fold(sum[t][2], sum[t][3]), s->scale[r + t]);
	}
}

static void widen(const int8_t *from, int16_t *to, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = from[i];
}

static void multiply(const struct pf__linear *m, struct pf__scratch *s, unsigned count, float *y)
{
	_Alignas(64) int16_t panel[PF_ENC_LANES * PF_ENC_INNER];
	int16_t *x = (int16_t *)(void *)s->shifted;

	widen(s->q, x, (size_t)count * m->cols);
	for (unsigned n = 0; n < m->rows; n += PF_ENC_LANES) {
		unsigned r = 0;

		widen(m->w + (size_t)n * m->cols, panel, (size_t)PF_ENC_LANES * m->cols);
		for (; r + TILE <= count; r += TILE)
			tile(m, panel, n, s, x + (size_t)r * m->cols, r, TILE, y);
		for (; r < count; r++)
			tile(m, panel, n, s, x + (size_t)r * m->cols, r, 1, y);
	}
}

#define VECTOR	8
#define FORWARD pf__forward_avx2
#include "guard/prompt/encoder_body.h"
