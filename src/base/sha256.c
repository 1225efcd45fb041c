/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 as FIPS 180-4 writes it; the names are the standard's. */
#include "base/sha256.h"

#include <string.h>

#define K pf__sha256_k

_Alignas(16) const uint32_t pf__sha256_k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotr(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

static uint32_t load32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void compress(uint32_t h[8], const uint8_t block[64])
{
	uint32_t w[64], v[8];

	for (unsigned t = 0; t < 16; t++)
		w[t] = load32(block + 4 * t);
	for (unsigned t = 16; t < 64; t++) {
		uint32_t s0 = rotr(w[t - 15], 7) ^ rotr(w[t - 15], 18) ^ w[t - 15] >> 3;
		uint32_t s1 = rotr(w[t - 2], 17) ^ rotr(w[t - 2], 19) ^ w[t - 2] >> 10;

		w[t] = w[t - 16] + s0 + w[t - 7] + s1;
	}
	memcpy(v, h, sizeof(v));
	/* v[] does not move: the standard's a..h are v[(i - t) mod 8], which an unrolled loop turns into
	 * registers */
	for (unsigned t = 0; t < 64; t += 8) {
		_Pragma("GCC unroll 8") for (unsigned k = 0; k < 8; k++)
		{
			uint32_t a = v[-k & 7], e = v[(4 - k) & 7], *d = &v[(3 - k) & 7],
				 *last = &v[(7 - k) & 7];
			uint32_t s1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25);
			uint32_t ch = (e & v[(5 - k) & 7]) ^ (~e & v[(6 - k) & 7]);
			uint32_t t1 = *last + s1 + ch + K[t + k] + w[t + k];
			uint32_t s0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22);
			uint32_t maj = (a & v[(1 - k) & 7]) ^ (a & v[(2 - k) & 7]) ^
				       (v[(1 - k) & 7] & v[(2 - k) & 7]);

			*d += t1;
			*last = t1 + s0 + maj;
		}
	}
	for (unsigned i = 0; i < 8; i++)
		h[i] += v[i];
}

void pf_sha256_init(struct pf_sha256 *s)
{
	*s = (struct pf_sha256){
		.h = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
		      0x5be0cd19},
	};
}

void pf_sha256_add(struct pf_sha256 *s, const void *p, size_t n)
{
	const uint8_t *u = p;
	size_t used = s->total % 64;

	s->total += n;
	if (used && n) {
		size_t take = n < 64 - used ? n : 64 - used;

		memcpy(s->block + used, u, take);
		u += take;
		n -= take;
		if (used + take < 64)
			return;
		compress(s->h, s->block);
	}
	for (; n >= 64; u += 64, n -= 64)
		compress(s->h, u);
	if (n)
		memcpy(s->block, u, n);
}

void pf_sha256_end(struct pf_sha256 *s, uint8_t out[32])
{
	uint64_t bits = s->total * 8;
	uint8_t tail[72] = {0x80};
	/* One 0x80, zeros up to 56 modulo 64, then the length in bits. */
	size_t pad = 1 + (119 - s->total % 64) % 64;

	for (unsigned i = 0; i < 8; i++)
		tail[pad + i] = (uint8_t)(bits >> (56 - 8 * i));
	pf_sha256_add(s, tail, pad + 8);
	for (unsigned i = 0; i < 32; i++)
		out[i] = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}

void pf_sha256_end_text(struct pf_sha256 *s, char out[PF_DIGEST_MAX])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t raw[32];
	char *p = out + 7;

	pf_sha256_end(s, raw);
	memcpy(out, "sha256:", 7);
	for (unsigned i = 0; i < 32; i++) {
		*p++ = digits[raw[i] >> 4];
		*p++ = digits[raw[i] & 15];
	}
	*p = '\0';
}

void pf_sha256_text(const void *p, size_t n, char out[PF_DIGEST_MAX])
{
	struct pf_sha256 s;

	pf_sha256_init(&s);
	pf_sha256_add(&s, p, n);
	pf_sha256_end_text(&s, out);
}
