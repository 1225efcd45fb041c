/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 to characters, a byte at a time; what is not UTF-8 vanishes. */
#include "guard/prompt/text.h"

static void begin(struct pf__decoder *d, uint32_t bits, uint8_t need, uint8_t low, uint8_t high)
{
	*d = (struct pf__decoder){.cp = bits, .need = need, .low = low, .high = high};
}

bool pf__decode(struct pf__decoder *d, uint8_t byte, uint32_t *cp, uint32_t *len, bool *again)
{
	*again = false;
	if (d->need) {
		if (byte < d->low || byte > d->high) {
			d->need = 0;
			*again = true;
			return false;
		}
		d->cp = d->cp << 6 | (byte & 0x3f);
		d->low = 0x80;
		d->high = 0xbf;
		d->have++;
		if (d->have < d->need)
			return false;
		*cp = d->cp;
		*len = d->need + 1u;
		d->need = 0;
		return true;
	}
	if (byte < 0x80) {
		*cp = byte;
		*len = 1;
		return true;
	}
	/* Table 3-7 of the Unicode standard. */
	if (byte >= 0xc2 && byte <= 0xdf)
		begin(d, byte & 0x1f, 1, 0x80, 0xbf);
	else if (byte >= 0xe0 && byte <= 0xef)
		begin(d, byte & 0x0f, 2, byte == 0xe0 ? 0xa0 : 0x80, byte == 0xed ? 0x9f : 0xbf);
	else if (byte >= 0xf0 && byte <= 0xf4)
		begin(d, byte & 0x07, 3, byte == 0xf0 ? 0x90 : 0x80, byte == 0xf4 ? 0x8f : 0xbf);
	return false;
}
