/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways to write bytes down. Each keeps for every character which byte of the value it came from, so that the
 * ways can be laid one over the other and a piece of the outcome still says what of the value it shows.
 */
#include <string.h>

#include "guard/redact_internal.h"

void pf__seq_put(struct pf__seq *o, unsigned c, unsigned from)
{
	if (o->n == PF__SEQ_MAX)
		return;
	o->c[o->n] = (uint8_t)c;
	o->from[o->n++] = (uint16_t)from;
}

void pf__seq_puts(struct pf__seq *o, const char *s, unsigned from)
{
	while (*s)
		pf__seq_put(o, (unsigned char)*s++, from);
}

void pf__seq_from(struct pf__seq *o, const uint8_t *p, size_t n)
{
	o->n = 0;
	for (size_t i = 0; i < n; i++)
		pf__seq_put(o, p[i], (unsigned)i);
}

void pf__seq_reverse(struct pf__seq *o, const struct pf__seq *s)
{
	o->n = 0;
	for (unsigned i = s->n; i > 0; i--)
		pf__seq_put(o, s->c[i - 1], s->from[i - 1]);
}

void pf__seq_shift(struct pf__seq *o, const struct pf__seq *s, unsigned by)
{
	o->n = 0;
	for (unsigned i = 0; i < s->n; i++) {
		unsigned c = s->c[i];

		if (c >= 'a' && c <= 'z')
			c = 'a' + (c - 'a' + by) % 26;
		else if (c >= 'A' && c <= 'Z')
			c = 'A' + (c - 'A' + by) % 26;
		pf__seq_put(o, c, s->from[i]);
	}
}

void pf__seq_atbash(struct pf__seq *o, const struct pf__seq *s)
{
	o->n = 0;
	for (unsigned i = 0; i < s->n; i++) {
		unsigned c = s->c[i];

		if (c >= 'a' && c <= 'z')
			c = 'z' - (c - 'a');
		else if (c >= 'A' && c <= 'Z')
			c = 'Z' - (c - 'A');
		pf__seq_put(o, c, s->from[i]);
	}
}

void pf__seq_rot47(struct pf__seq *o, const struct pf__seq *s)
{
	o->n = 0;
	for (unsigned i = 0; i < s->n; i++) {
		unsigned c = s->c[i];

		pf__seq_put(o, c >= 33 && c <= 126 ? 33 + (c - 33 + 47) % 94 : c, s->from[i]);
	}
}

void pf__seq_table(struct pf__seq *o, const struct pf__seq *s, const uint8_t table[256])
{
	o->n = 0;
	for (unsigned i = 0; i < s->n; i++)
		pf__seq_put(o, table[s->c[i]], s->from[i]);
}

/* Groups of `bits` bits, the first bit after 8 * phase others. A character that other bytes have a part in is
 * left out: at the beginning always, at the end unless the group ends with the value. */
static void groups(struct pf__seq *o, const struct pf__seq *s, unsigned phase, unsigned bits,
		   const char *alphabet)
{
	unsigned first = (8 * phase + bits - 1) / bits * bits - 8 * phase, total = 8u * s->n;

	o->n = 0;
	for (unsigned at = first; at + bits <= total; at += bits) {
		unsigned byte = at / 8, have = s->c[byte];

		have = have << 8 | (byte + 1 < s->n ? s->c[byte + 1] : 0u);
		pf__seq_put(o, (unsigned char)alphabet[have >> (16 - bits - at % 8) & ((1u << bits) - 1)],
			    s->from[byte]);
	}
}

void pf__seq_base64(struct pf__seq *o, const struct pf__seq *s, unsigned phase)
{
	groups(o, s, phase, 6, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
}

void pf__seq_base32(struct pf__seq *o, const struct pf__seq *s, unsigned phase, bool hex)
{
	groups(o, s, phase, 5, hex ? "0123456789ABCDEFGHIJKLMNOPQRSTUV" : "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
}

static void number(struct pf__seq *o, uint64_t v, unsigned base, unsigned digits, unsigned from)
{
	char text[65];
	unsigned n = 0;

	do {
		text[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v || n < digits);
	while (n > 0)
		pf__seq_put(o, (unsigned char)text[--n], from);
}

void pf__seq_numbers(struct pf__seq *o, const struct pf__seq *s, const char *prefix, unsigned base,
		     unsigned digits)
{
	o->n = 0;
	for (unsigned i = 0; i < s->n; i++) {
		pf__seq_puts(o, prefix, s->from[i]);
		number(o, s->c[i], base, digits, s->from[i]);
	}
}

void pf__seq_hex(struct pf__seq *o, const struct pf__seq *s)
{
	pf__seq_numbers(o, s, "", 16, 2);
}

void pf__seq_words(struct pf__seq *o, const struct pf__seq *s, unsigned size, unsigned phase, unsigned base,
		   unsigned digits)
{
	o->n = 0;
	for (unsigned i = phase; i + size <= s->n; i += size) {
		uint64_t v = 0;

		for (unsigned k = size; k > 0; k--)
			v = v << 8 | s->c[i + k - 1];
		number(o, v, base, digits, s->from[i]);
	}
}

void pf__seq_base85(struct pf__seq *o, const struct pf__seq *s, unsigned phase, const char *alphabet)
{
	o->n = 0;
	for (unsigned i = phase; i + 4 <= s->n; i += 4) {
		uint32_t v = (uint32_t)s->c[i] << 24 | (uint32_t)s->c[i + 1] << 16 |
			     (uint32_t)s->c[i + 2] << 8 | s->c[i + 3];
		uint32_t power = 85u * 85 * 85 * 85;

		for (unsigned k = 0; k < 5; k++, power /= 85)
			pf__seq_put(o, (unsigned char)alphabet[v / power % 85], s->from[i]);
	}
}

void pf__seq_uu(struct pf__seq *o, const struct pf__seq *s, unsigned phase)
{
	groups(o, s, phase, 6, "`!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_");
}

void pf__seq_every(struct pf__seq *o, const struct pf__seq *s, unsigned first, unsigned step)
{
	o->n = 0;
	for (unsigned i = first; i < s->n; i += step)
		pf__seq_put(o, s->c[i], s->from[i]);
}

/* "1 s, 2 k, 3 _": what nl, cat -n and a loop make of one character a line. */
void pf__seq_counted(struct pf__seq *o, const struct pf__seq *s, unsigned first)
{
	o->n = 0;
	for (unsigned i = 0; i < s->n; i++) {
		number(o, first + i, 10, 1, s->from[i]);
		pf__seq_put(o, s->c[i], s->from[i]);
	}
}

void pf__seq_spelled(struct pf__seq *o, const struct pf__seq *s)
{
	static const char *const letters[] = {
		"alfa",	   "bravo", "charlie", "delta",	 "echo",     "foxtrot", "golf",	  "hotel",  "india",
		"juliett", "kilo",  "lima",    "mike",	 "november", "oscar",	"papa",	  "quebec", "romeo",
		"sierra",  "tango", "uniform", "victor", "whiskey",  "xray",	"yankee", "zulu",
	};
	static const char *const digits[] = {"zero", "one", "two",   "three", "four",
					     "five", "six", "seven", "eight", "nine"};

	o->n = 0;
	for (unsigned i = 0; i < s->n; i++) {
		unsigned c = s->c[i];

		if (c >= '0' && c <= '9')
			pf__seq_puts(o, digits[c - '0'], s->from[i]);
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
			pf__seq_puts(o, letters[(c | 0x20) - 'a'], s->from[i]);
	}
}

/* The value as one big-endian number, in decimal. */
void pf__seq_decimal(struct pf__seq *o, const struct pf__seq *s)
{
	uint8_t digits[PF__PIECE * 3] = {0}; /* the lowest first; 2.41 digits a byte */
	unsigned n = 1;

	o->n = 0;
	for (unsigned i = 0; i < s->n; i++) {
		unsigned carry = s->c[i];

		for (unsigned k = 0; k < n || carry; k++) {
			if (k == sizeof(digits))
				return;
			carry += digits[k] * 256u;
			digits[k] = (uint8_t)(carry % 10);
			carry /= 10;
			n = k + 1 > n ? k + 1 : n;
		}
	}
	for (unsigned k = n; k > 0; k--)
		pf__seq_put(o, '0' + digits[k - 1], s->from[(n - k) * s->n / n]);
}
