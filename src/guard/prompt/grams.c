/* SPDX-License-Identifier: Apache-2.0 */
/* Hashed n-grams, a character at a time; see grams.h. */
#include "guard/prompt/grams.h"

#include <math.h>

#define STEP 0x01000193u /* of the polynomials */
#define MIX  0x9e3779b1u

static inline void hit(struct pf__grams *g, uint32_t hash, bool chars)
{
	const struct pf__gram_tables *t = g->tables;
	uint32_t bucket = (hash ^ hash >> 15) * MIX >> (32 - t->bits);

#ifdef PF_GRAMS_EXPORT
	if (g->export_at < g->export_end)
		*g->export_at++ = bucket << 1 | chars;
	return;
#endif
	if (chars) {
		g->sums.chars[0] += t->chars[2 * (size_t)bucket];
		g->sums.chars[1] += t->chars[2 * (size_t)bucket + 1];
		g->sums.char_count++;
	} else {
		g->sums.words[0] += t->words[2 * (size_t)bucket];
		g->sums.words[1] += t->words[2 * (size_t)bucket + 1];
		g->sums.word_count++;
	}
}

static void word_done(struct pf__grams *g, uint32_t word)
{
	uint32_t one = word * MIX, two;

	hit(g, one, false);
	if (g->before[0]) {
		two = (g->before[0] * STEP ^ one) + 0x51ed270bu;
		hit(g, two, false);
		if (g->before[1])
			hit(g, (g->before[1] * STEP ^ two) * STEP + 0x2545f491u, false);
	}
	g->before[1] = g->before[0];
	g->before[0] = one | 1;
	g->word = 0;
}

static inline void char_grams(struct pf__grams *g, uint32_t cp)
{
	uint32_t three = (g->last[1] * STEP + g->last[0]) * STEP + cp;

	if (g->chunk >= 2)
		hit(g, three, true);
	if (g->chunk >= 3)
		hit(g, g->last[2] * (STEP * STEP * STEP) + three + 0x68bc21ebu, true);
	if (g->chunk >= 4)
		hit(g,
		    g->last[3] * (uint32_t)((uint64_t)STEP * STEP * STEP * STEP) +
			    g->last[2] * (STEP * STEP * STEP) + three + 0x02e5be93u,
		    true);
	g->last[3] = g->last[2];
	g->last[2] = g->last[1];
	g->last[1] = g->last[0];
	g->last[0] = cp;
	if (g->chunk < 5)
		g->chunk++;
}

static inline bool in_word(uint32_t cp)
{
	return (cp >= 'a' && cp <= 'z') || cp == '0' || cp == '_' || cp >= 0x80;
}

void pf__grams_add(struct pf__grams *g, uint32_t cp)
{
	if (cp >= '0' && cp <= '9')
		cp = '0';
	if (cp == ' ') {
		if (g->word)
			word_done(g, g->word);
		if (g->chunk > 1)
			char_grams(g, ' ');
		g->last[0] = ' ';
		g->chunk = 1;
		return;
	}
	if (g->chunk == 0) {
		g->last[0] = ' ';
		g->chunk = 1;
	}
	char_grams(g, cp);
	if (in_word(cp)) {
		g->word = ((g->word ? g->word : 0x811c9dc5u) ^ cp) * STEP;
		g->word += !g->word;
		return;
	}
	if (g->word)
		word_done(g, g->word);
	word_done(g, cp + 1);
}

void pf__grams_end(struct pf__grams *g)
{
	pf__grams_add(g, ' ');
}

void pf__gram_sums_add(struct pf__gram_sums *to, const struct pf__gram_sums *from)
{
	for (unsigned h = 0; h < 2; h++) {
		to->words[h] += from->words[h];
		to->chars[h] += from->chars[h];
	}
	to->word_count += from->word_count;
	to->char_count += from->char_count;
}

float pf__gram_logit(const struct pf__gram_tables *t, const struct pf__gram_sums *s, unsigned head)
{
	float logit = t->bias[head];

	if (s->word_count)
		logit += (float)s->words[head] * t->word_scale[head] / sqrtf((float)s->word_count);
	if (s->char_count)
		logit += (float)s->chars[head] * t->char_scale[head] / sqrtf((float)s->char_count);
	return logit;
}
