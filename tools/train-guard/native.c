/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For native.py: the classifier's own code as a library, so that what is trained is what runs. It includes
 * the sources whose inner parts training needs: the buckets of a text's n-grams, and what the encoder's head
 * sees.
 */
#define PF_GRAMS_EXPORT
#include "guard/prompt/grams.c"
#ifdef __AVX512VNNI__ /* the paths give the same */
#include "guard/prompt/encoder_vnni.c"
#else
#include "guard/prompt/encoder_avx2.c"
#endif

#include <stdlib.h>

#include "guard/prompt/text.h"

struct windows {
	struct pf__piece *piece;
	size_t count, room;
};

static struct pf__weights weights;
static struct pf__scratch *scratch;

int pg_open(const char *path, char *why);
int pg_open(const char *path, char *why)
{
	struct pf_error err = {0};
	int r = pf__weights_open(&weights, path, &err);

	if (r == 0)
		r = pf__weights_encoder(&weights, &err);
	scratch = aligned_alloc(64, (sizeof(*scratch) + 63) & ~(size_t)63);
	memcpy(why, err.msg, sizeof(err.msg));
	return r < 0 || !scratch ? -1 : 0;
}

/* Characters as the judge sees them: disguises taken off, normalised. */
static void each_char(const uint8_t *text, size_t n, void (*take)(void *user, const struct pf__char *c),
		      void *user)
{
	struct pf__decoder d = {0};
	uint32_t cp, len, out[PF_NORM_MAX];
	bool again;

	for (size_t i = 0; i < n; i++) {
		do {
			if (!pf__decode(&d, text[i], &cp, &len, &again))
				continue;
			for (unsigned k = 0, m = pf__normalise(pf__unmask(cp), out); k < m; k++)
				take(user, &(struct pf__char){out[k], len, i + 1 - len});
		} while (again);
	}
}

static void take_gram(void *user, const struct pf__char *c)
{
	struct pf__grams *g = user;

	if (c->cp != ' ' || g->last[0] != ' ')
		pf__grams_add(g, c->cp);
}

/* Buckets (<< 1 | of characters) of a text; how many, at most room. */
size_t pg_grams(const uint8_t *text, size_t n, unsigned bits, uint32_t *out, size_t room);
size_t pg_grams(const uint8_t *text, size_t n, unsigned bits, uint32_t *out, size_t room)
{
	struct pf__gram_tables tables = {.bits = bits};
	struct pf__grams g = {.tables = &tables, .export_at = out, .export_end = out + room};

	each_char(text, n, take_gram, &g);
	pf__grams_end(&g);
	return (size_t)(g.export_at - out);
}

static void take_piece(void *user, const struct pf__piece *piece)
{
	struct windows *w = user;

	if (w->count < w->room)
		w->piece[w->count++] = *piece;
}

static void take_char(void *user, const struct pf__char *c)
{
	pf__pieces_add(user, c);
}

/* Per window of 62 pieces, 40 further each: mean and maximum of the last layer, and where it begins and ends.
 */
size_t pg_features(const uint8_t *text, size_t n, float *out, uint64_t *at, size_t room);
size_t pg_features(const uint8_t *text, size_t n, float *out, uint64_t *at, size_t room)
{
	struct windows w = {.room = room * 40 + 62};
	struct pf__pieces pieces = {.vocab = &weights.vocab, .emit = take_piece, .user = &w};
	size_t made = 0;

	w.piece = malloc(w.room * sizeof(*w.piece));
	if (!w.piece)
		return 0;
	each_char(text, n, take_char, &pieces);
	pf__pieces_flush(&pieces);
	for (size_t s = 0; made < room && (s == 0 || s + 22 < w.count); s += 40, made++) {
		unsigned k = (unsigned)(w.count - s < 62 ? w.count - s : 62);
		uint16_t ids[64] = {PF_VOCAB_CLS};
		float *mean = out + made * 768, *most = mean + 384;

		for (unsigned i = 0; i < k; i++)
			ids[i + 1] = w.piece[s + i].id;
		ids[k + 1] = PF_VOCAB_SEP;
		at[2 * made] = k ? w.piece[s].from : 0;
		at[2 * made + 1] = k ? w.piece[s + k - 1].to : 0;
		embed(&weights.encoder, scratch, ids, k + 2);
		for (unsigned i = 0; i < weights.encoder.layers; i++)
			one_layer(&weights.encoder.layer[i], scratch, k + 2);
		for (unsigned i = 0; i < 384; i++) {
			mean[i] = 0;
			most[i] = scratch->x[i];
			for (unsigned r = 0; r < k + 2; r++) {
				float v = scratch->x[r * 384 + i];

				mean[i] += v;
				most[i] = v > most[i] ? v : most[i];
			}
			mean[i] /= (float)(k + 2);
		}
	}
	free(w.piece);
	return made;
}
