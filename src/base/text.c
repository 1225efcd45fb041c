/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8 and what of it may reach a terminal. Output and file names come from the
 * sandbox: escape sequences would drive the reader's terminal, and direction or
 * zero-width marks would show a path that is not the one it is.
 */
#include "base/text.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

/* Length that a lead byte announces, 0 for one that leads nothing (C0, C1 and F5 up never do). */
static unsigned lead_length(unsigned char c)
{
	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c <= 0xdf)
		return 2;
	if (c >= 0xe0 && c <= 0xef)
		return 3;
	if (c >= 0xf0 && c <= 0xf4)
		return 4;
	return 0;
}

static bool is_continuation(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

unsigned pf__utf8_decode(const char *s, size_t n, uint32_t *cp)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *u = (const unsigned char *)s;
	unsigned len = lead_length(u[0]);
	uint32_t v;

	if (len == 0 || len > n)
		return 0;
	if (len == 1) {
		*cp = u[0];
		return 1;
	}
	v = u[0] & (0x7fu >> len);
	for (unsigned i = 1; i < len; i++) {
		if (!is_continuation(u[i]))
			return 0;
		v = v << 6 | (u[i] & 0x3f);
	}
	if (v < least[len] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	*cp = v;
	return len;
}

bool pf_utf8_valid(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n) {
		uint32_t cp;
		unsigned len = pf__utf8_decode(s + i, n - i, &cp);

		if (len == 0)
			return false;
		i += len;
	}
	return true;
}

size_t pf_utf8_whole(const char *s, size_t n)
{
	for (size_t back = 1; back <= 3 && back <= n; back++) {
		unsigned char c = (unsigned char)s[n - back];

		if (is_continuation(c))
			continue;
		return lead_length(c) > back ? n - back : n;
	}
	return n;
}

bool pf__cp_hidden(uint32_t cp)
{
	/* Unicode 15: Cc, Zl, Zp, what of Cf is invisible, default-ignorable characters; sorted. */
	static const struct {
		uint32_t first, last;
	} hidden[] = {
		{0x0000, 0x001f},   {0x007f, 0x009f},	{0x00ad, 0x00ad},   {0x034f, 0x034f},
		{0x061c, 0x061c},   {0x115f, 0x1160},	{0x17b4, 0x17b5},   {0x180b, 0x180f},
		{0x200b, 0x200f},   {0x2028, 0x202e},	{0x2060, 0x206f},   {0x3164, 0x3164},
		{0xd800, 0xdfff},   {0xfdd0, 0xfdef},	{0xfe00, 0xfe0f},   {0xfeff, 0xfeff},
		{0xffa0, 0xffa0},   {0xfff0, 0xfffb},	{0x13430, 0x1343f}, {0x1bca0, 0x1bca3},
		{0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
	};

	if ((cp & 0xfffe) == 0xfffe || cp > 0x10ffff) /* noncharacters; U+FDD0 and on are above */
		return true;
	for (size_t i = 0; i < PF_ARRAY_SIZE(hidden); i++) {
		if (cp <= hidden[i].last)
			return cp >= hidden[i].first;
	}
	return false;
}

/* What stands for the character at s: itself or \xNN of each of its bytes. Consumed bytes in *used. */
static size_t print_one(const char *s, size_t n, size_t *used, char out[17])
{
	static const char digits[] = "0123456789abcdef";
	uint32_t cp;
	unsigned len = pf__utf8_decode(s, n, &cp);
	char *p = out;

	*used = len ? len : 1;
	if (len && !pf__cp_hidden(cp)) {
		memcpy(out, s, len);
		return len;
	}
	for (size_t i = 0; i < *used; i++) {
		unsigned char c = (unsigned char)s[i];

		*p++ = '\\';
		*p++ = 'x';
		*p++ = digits[c >> 4];
		*p++ = digits[c & 15];
	}
	return (size_t)(p - out);
}

void pf_printable(const char *s, size_t n, char *out, size_t cap)
{
	size_t i = 0, len = 0, cut = 0;

	if (cap == 0)
		return;
	while (i < n) {
		char one[17];
		size_t used, k = print_one(s + i, n - i, &used, one);

		if (len + k >= cap) {
			/* cut is the last length that leaves room for the dots */
			size_t dots = cap - 1 - cut < 3 ? cap - 1 - cut : 3;

			memset(out + cut, '.', dots);
			len = cut + dots;
			break;
		}
		memcpy(out + len, one, k);
		len += k;
		if (len + 3 < cap)
			cut = len;
		i += used;
	}
	out[len] = '\0';
}
