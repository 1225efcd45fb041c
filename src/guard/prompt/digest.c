/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 by the processor's instructions (Intel's SHA extensions; FIPS 180-4), else by base/sha256.h. */
#include <immintrin.h>
#include <string.h>

#include "base/sha256.h"
#include "guard/prompt/weights.h"

/* Four rounds at a time; m holds the last sixteen words of the schedule. */
__attribute__((target("sha,sse4.1,ssse3"))) static void blocks(uint32_t h[8], const uint8_t *p, size_t count)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	__m128i t = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)h), 0xb1);
	__m128i s1 = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)(h + 4)), 0x1b);
	__m128i s0 = _mm_alignr_epi8(t, s1, 8);

	s1 = _mm_blend_epi16(s1, t, 0xf0);
	for (; count; count--, p += 64) {
		__m128i m[4], a = s0, b = s1;

		for (unsigned i = 0; i < 4; i++)
			m[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i)),
						swap);
		_Pragma("GCC unroll 16") for (unsigned r = 0; r < 16; r++)
		{
			__m128i k;

			if (r >= 4) {
				t = _mm_sha256msg1_epu32(m[r & 3], m[(r + 1) & 3]);
				t = _mm_add_epi32(t, _mm_alignr_epi8(m[(r + 3) & 3], m[(r + 2) & 3], 4));
				m[r & 3] = _mm_sha256msg2_epu32(t, m[(r + 3) & 3]);
			}
			k = _mm_add_epi32(
				m[r & 3],
				_mm_load_si128((const __m128i *)(const void *)(pf__sha256_k + 4 * r)));
			s1 = _mm_sha256rnds2_epu32(s1, s0, k);
			s0 = _mm_sha256rnds2_epu32(s0, s1, _mm_shuffle_epi32(k, 0x0e));
		}
		s0 = _mm_add_epi32(s0, a);
		s1 = _mm_add_epi32(s1, b);
	}
	t = _mm_shuffle_epi32(s0, 0x1b);
	s1 = _mm_shuffle_epi32(s1, 0xb1);
	_mm_storeu_si128((__m128i *)(void *)h, _mm_blend_epi16(t, s1, 0xf0));
	_mm_storeu_si128((__m128i *)(void *)(h + 4), _mm_alignr_epi8(s1, t, 8));
}

/* gcc's and clang's __builtin_cpu_supports() do not know "sha" before version 14. */
static int has_sha(void)
{
	unsigned a = 7, b = 0, c = 0, d = 0;

	__asm__("cpuid" : "+a"(a), "+b"(b), "+c"(c), "+d"(d));
	return b >> 29 & 1 && __builtin_cpu_supports("sse4.1");
}

void pf__digest(const void *p, size_t n, uint8_t out[32])
{
	struct pf_sha256 s;
	size_t whole = 0;

	pf_sha256_init(&s);
	__builtin_cpu_init();
	if (has_sha()) {
		whole = n / 64;
		blocks(s.h, p, whole);
		s.total = (uint64_t)whole * 64;
	}
	pf_sha256_add(&s, (const uint8_t *)p + whole * 64, n - whole * 64);
	pf_sha256_end(&s, out);
}
