/* SPDX-License-Identifier: Apache-2.0 */
/* WordPiece: each word as the longest known pieces, from its beginning; a word with a part that is none is
 * unknown. */
#include "guard/prompt/text.h"

#include <string.h>

static unsigned put_utf8(uint32_t cp, char out[4])
{
	if (cp < 0x80) {
		out[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (char)(0xc0 | cp >> 6);
		out[1] = (char)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp < 0x10000) {
		out[0] = (char)(0xe0 | cp >> 12);
		out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
		out[2] = (char)(0x80 | (cp & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | cp >> 18);
	out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
	out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
	out[3] = (char)(0x80 | (cp & 0x3f));
	return 4;
}

/* The longest piece from character `first` on; the character behind it, 0 for none. */
static unsigned longest(const struct pf__pieces *p, unsigned first, int *id)
{
	unsigned from = first ? p->end_byte[first - 1] : 0;

	for (unsigned end = p->chars; end > first; end--) {
		unsigned n = p->end_byte[end - 1] - from;

		if (n > p->vocab->longest)
			continue;
		*id = pf__vocab_find(p->vocab, p->word + from, n, first > 0);
		if (*id >= 0)
			return end;
	}
	return 0;
}

void pf__pieces_flush(struct pf__pieces *p)
{
	struct pf__piece found[PF_WORD_CHARS];
	unsigned n = 0, at = 0, end;
	int id;

	if (p->chars == 0)
		return;
	while (p->chars <= PF_WORD_CHARS && at < p->chars && (end = longest(p, at, &id)) != 0) {
		found[n++] = (struct pf__piece){(uint16_t)id, p->at[at].at,
						p->at[end - 1].at + p->at[end - 1].len};
		at = end;
	}
	if (at < p->chars) {
		found[0] = (struct pf__piece){PF_VOCAB_UNK, p->from, p->to};
		n = 1;
	}
	for (unsigned i = 0; i < n; i++)
		p->emit(p->user, &found[i]);
	p->chars = p->bytes = 0;
}

static void append(struct pf__pieces *p, const struct pf__char *c)
{
	if (p->chars == 0)
		p->from = c->at;
	p->to = c->at + c->len;
	if (p->chars < PF_WORD_CHARS) {
		p->bytes += put_utf8(c->cp, p->word + p->bytes);
		p->end_byte[p->chars] = (uint16_t)p->bytes;
		p->at[p->chars] = *c;
	}
	if (p->chars <= PF_WORD_CHARS)
		p->chars++;
}

void pf__pieces_add(struct pf__pieces *p, const struct pf__char *c)
{
	if (c->cp == ' ') {
		pf__pieces_flush(p);
	} else if (pf__is_punctuation(c->cp)) {
		pf__pieces_flush(p);
		append(p, c);
		pf__pieces_flush(p);
	} else {
		append(p, c);
	}
}
