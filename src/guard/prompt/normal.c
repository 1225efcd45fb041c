/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One character, normalised as the reference tokenizer does it. Categories, decompositions and lower case are
 * utf8proc's; the table below has the characters that the reference's older Unicode tables see otherwise.
 */
#include <utf8proc.h>

#include "base/cleanup.h"
#include "guard/prompt/normal_table.h"
#include "guard/prompt/text.h"

static bool ideograph(uint32_t cp)
{
	return (cp >= 0x4e00 && cp <= 0x9fff) || (cp >= 0x3400 && cp <= 0x4dbf) ||
	       (cp >= 0x20000 && cp <= 0x2a6df) || (cp >= 0x2a700 && cp <= 0x2b73f) ||
	       (cp >= 0x2b740 && cp <= 0x2b81f) || (cp >= 0x2b920 && cp <= 0x2ceaf) ||
	       (cp >= 0xf900 && cp <= 0xfaff) || (cp >= 0x2f800 && cp <= 0x2fa1f);
}

static bool white(uint32_t cp)
{
	switch (cp) {
	case 0x20:
	case 0x09:
	case 0x0a:
	case 0x0d:
	case 0xa0:
	case 0x1680:
	case 0x2028:
	case 0x2029:
	case 0x202f:
	case 0x205f:
	case 0x3000:
		return true;
	default:
		return cp >= 0x2000 && cp <= 0x200a;
	}
}

static bool letter_to_it(uint32_t cp)
{
	size_t low = 0, high = PF_ARRAY_SIZE(letters_to_it);

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (cp > letters_to_it[mid].last)
			low = mid + 1;
		else
			high = mid;
	}
	return low < PF_ARRAY_SIZE(letters_to_it) && cp >= letters_to_it[low].first;
}

static bool dropped(uint32_t cp)
{
	if (cp == 0xfffd || cp == 0x1734)
		return true;
	switch (utf8proc_category((utf8proc_int32_t)cp)) {
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CF:
	case UTF8PROC_CATEGORY_CO:
	case UTF8PROC_CATEGORY_CS:
		return true;
	default:
		return false;
	}
}

static unsigned decompose(uint32_t cp, uint32_t out[PF_NORM_MAX - 2])
{
	utf8proc_int32_t parts[PF_NORM_MAX - 2];
	int last = 0;
	utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)cp, parts, PF_NORM_MAX - 2,
						     UTF8PROC_DECOMPOSE, &last);
	unsigned kept = 0;

	if (n <= 0 || n > PF_NORM_MAX - 2) {
		parts[0] = (utf8proc_int32_t)cp;
		n = 1;
	}
	for (utf8proc_ssize_t i = 0; i < n; i++) {
		if (utf8proc_category(parts[i]) != UTF8PROC_CATEGORY_MN)
			out[kept++] = (uint32_t)utf8proc_tolower(parts[i]);
	}
	return kept;
}

unsigned pf__normalise(uint32_t cp, uint32_t out[PF_NORM_MAX])
{
	unsigned n;

	if (white(cp)) {
		out[0] = ' ';
		return 1;
	}
	if (cp < 0x80) {
		if (cp < 0x20 || cp == 0x7f)
			return 0;
		out[0] = cp >= 'A' && cp <= 'Z' ? cp + 32 : cp;
		return 1;
	}
	if (letter_to_it(cp) || cp == 0x111c9) {
		out[0] = cp;
		return 1;
	}
	if (dropped(cp))
		return 0;
	if (!ideograph(cp))
		return decompose(cp, out);
	out[0] = ' ';
	n = decompose(cp, out + 1);
	out[n + 1] = ' ';
	return n + 2;
}

bool pf__is_punctuation(uint32_t cp)
{
	if (cp < 0x80)
		return (cp >= 0x21 && cp <= 0x2f) || (cp >= 0x3a && cp <= 0x40) ||
		       (cp >= 0x5b && cp <= 0x60) || (cp >= 0x7b && cp <= 0x7e);
	if (cp == 0x166d || cp == 0x111c9)
		return true;
	if (letter_to_it(cp))
		return false;
	switch (utf8proc_category((utf8proc_int32_t)cp)) {
	case UTF8PROC_CATEGORY_PC:
	case UTF8PROC_CATEGORY_PD:
	case UTF8PROC_CATEGORY_PS:
	case UTF8PROC_CATEGORY_PE:
	case UTF8PROC_CATEGORY_PI:
	case UTF8PROC_CATEGORY_PF:
	case UTF8PROC_CATEGORY_PO:
		return true;
	default:
		return false;
	}
}

uint32_t pf__unmask(uint32_t cp)
{
	utf8proc_int32_t parts[PF_NORM_MAX];
	int last = 0;

	if (cp >= 0xe0020 && cp <= 0xe007e)
		return cp - 0xe0000;
	if (!(cp >= 0xff01 && cp <= 0xff5e) && !(cp >= 0x1d400 && cp <= 0x1d7ff) &&
	    !(cp >= 0x24b6 && cp <= 0x24e9) && !(cp >= 0x1f130 && cp <= 0x1f149))
		return cp;
	if (utf8proc_decompose_char((utf8proc_int32_t)cp, parts, PF_NORM_MAX,
				    UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, &last) == 1 &&
	    parts[0] < 0x80)
		return (uint32_t)parts[0];
	return cp;
}
