/* SPDX-License-Identifier: Apache-2.0 */
/* What a token's own structure says: checksums, and how random it is. */
#include <ctype.h>
#include <string.h>

#include "base/base64.h"
#include "guard/redact_internal.h"

uint32_t pf__crc32(const uint8_t *p, size_t n)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (unsigned k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
	}
	return ~crc;
}

/* The logarithm to base 2 in 1/256, from its fractional bits by squaring: libm is not worth its size here. */
static unsigned log2_256(uint64_t v)
{
	unsigned whole = 63u - (unsigned)__builtin_clzll(v), frac = 0;
	uint64_t x = v << (63 - whole) >> 32; /* 1.31 */

	for (unsigned k = 0; k < 8; k++) {
		x = x * x >> 31;
		frac = frac << 1 | (unsigned)(x >> 32 & 1);
		x >>= x >> 32 & 1;
	}
	return whole << 8 | frac;
}

double pf__entropy(const uint8_t *p, size_t n)
{
	unsigned counts[256] = {0};
	double sum = 0;

	if (n == 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		counts[p[i]]++;
	for (unsigned c = 0; c < 256; c++) {
		if (counts[c])
			sum += counts[c] * (double)(log2_256(n) - log2_256(counts[c]));
	}
	return sum / 256.0 / (double)n;
}

/* GitHub and npm: the last six characters are the CRC-32 of those between the prefix and them, in base 62. */
static bool crc_base62(const uint8_t *p, size_t n)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	const uint8_t *under = memrchr(p, '_', n);
	size_t prefix = under ? (size_t)(under - p) + 1 : 0;
	uint64_t v = 0;
	uint32_t crc;

	if (n < prefix + 7)
		return false;
	for (size_t i = n - 6; i < n; i++) {
		const char *d = strchr(digits, p[i]);

		if (!d || !p[i])
			return false;
		v = v * 62 + (uint64_t)(d - digits);
	}
	crc = pf__crc32(p + prefix, n - 6 - prefix);
	return v == crc;
}

static uint32_t bech32_step(uint32_t chk, uint32_t v)
{
	static const uint32_t generator[] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
	uint32_t top = chk >> 25;

	chk = (chk & 0x1ffffff) << 5 ^ v;
	for (unsigned k = 0; k < 5; k++)
		chk ^= top >> k & 1 ? generator[k] : 0;
	return chk;
}

/* BIP 173, as age uses it: human-readable part, "1", data, six of checksum. 1: it is right; 0: no bech32. */
uint32_t pf__bech32(const uint8_t *p, size_t n)
{
	static const char digits[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
	const uint8_t *one = memrchr(p, '1', n);
	size_t hrp = one ? (size_t)(one - p) : 0;
	uint32_t chk = 1;

	if (hrp == 0 || n - hrp < 7)
		return 0;
	for (size_t i = 0; i < hrp; i++)
		chk = bech32_step(chk, (uint32_t)tolower(p[i]) >> 5);
	chk = bech32_step(chk, 0);
	for (size_t i = 0; i < hrp; i++)
		chk = bech32_step(chk, (uint32_t)tolower(p[i]) & 31);
	for (size_t i = hrp + 1; i < n; i++) {
		const char *d = p[i] ? strchr(digits, tolower(p[i])) : NULL;

		if (!d)
			return 0;
		chk = bech32_step(chk, (uint32_t)(d - digits));
	}
	return chk;
}

/* Both alphabets of RFC 4648. */
int pf__sextet(uint8_t c)
{
	return pf_base64_digit(c == '-' ? '+' : c == '_' ? '/' : c);
}

/* The first part of a JWT is a JSON object that names an algorithm. */
static bool jwt(const uint8_t *p, size_t n)
{
	const uint8_t *dot = memchr(p, '.', n);
	uint8_t text[96];
	size_t len = 0, chars = dot ? (size_t)(dot - p) : n;

	for (size_t i = 0; i + 4 <= chars && len + 3 <= sizeof(text); i += 4) {
		uint32_t v = 0;

		for (unsigned k = 0; k < 4; k++)
			v = v << 6 | (uint32_t)pf__sextet(p[i + k]);
		text[len++] = (uint8_t)(v >> 16);
		text[len++] = (uint8_t)(v >> 8);
		text[len++] = (uint8_t)v;
	}
	return memmem(text, len, "\"alg\"", 5) || memmem(text, len, "\"enc\"", 5) ||
	       memmem(text, len, "\"typ\"", 5) || memmem(text, len, "\"kid\"", 5);
}

/* Letters of both cases and digits, changing often: no identifier, no word, no number. */
static bool mixed(const uint8_t *p, size_t n)
{
	unsigned upper = 0, lower = 0, digit = 0, turns = 0;

	for (size_t i = 0; i < n; i++) {
		upper += isupper(p[i]) != 0;
		lower += islower(p[i]) != 0;
		digit += isdigit(p[i]) != 0;
		turns += i > 0 && ((isdigit(p[i]) != 0) != (isdigit(p[i - 1]) != 0) ||
				   (isupper(p[i]) != 0) != (isupper(p[i - 1]) != 0));
	}
	return upper >= 2 && lower >= 2 && digit >= 2 && turns * 4 >= n;
}

bool pf__check(enum pf__check check, const uint8_t *p, size_t n)
{
	switch (check) {
	case PF__CHECK_CRC_BASE62:
		return crc_base62(p, n);
	case PF__CHECK_BECH32:
		return pf__bech32(p, n) == 1;
	case PF__CHECK_JWT:
		return jwt(p, n);
	case PF__CHECK_AWS: /* the documentation's own examples say so at their end */
		return n < 7 || memcmp(p + n - 7, "EXAMPLE", 7) != 0;
	case PF__CHECK_MIXED:
		return mixed(p, n);
	case PF__CHECK_NONE:
		break;
	}
	return true;
}
