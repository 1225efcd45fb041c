/* SPDX-License-Identifier: Apache-2.0 */
/* The weights file: the vocabulary and the encoder. See weights.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "guard/prompt/weights.h"

static uint32_t piece_hash(const char *piece, size_t n, bool inside)
{
	uint32_t h = inside ? 0x9e3779b1u : 0x811c9dc5u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)piece[i]) * 16777619u;
	return h ^ h >> 15;
}

/* A piece as stored, without the "##" that marks one inside a word. */
static bool piece_at(const struct pf__vocab *v, unsigned i, const char **piece, size_t *n)
{
	*piece = v->bytes + v->at[i];
	*n = v->at[i + 1] - v->at[i];
	if (*n < 3 || memcmp(*piece, "##", 2) != 0)
		return false;
	*piece += 2;
	*n -= 2;
	return true;
}

int pf__vocab_find(const struct pf__vocab *v, const char *piece, size_t n, bool inside)
{
	if (n > v->longest)
		return -1;
	for (uint32_t h = piece_hash(piece, n, inside);; h++) {
		unsigned slot = v->slots[h & v->mask];
		const char *have;
		size_t len;

		if (!slot)
			return -1;
		if (piece_at(v, slot - 1, &have, &len) == inside && len == n && memcmp(have, piece, n) == 0)
			return (int)slot - 1;
	}
}

/* The marks of a window have no text that a word could match. */
static int index_piece(struct pf__vocab *v, unsigned i)
{
	const char *piece;
	size_t n;
	bool inside = piece_at(v, i, &piece, &n);
	uint32_t h;

	if (n == 0 || n > PF_PIECE_MAX)
		return -EINVAL;
	if (i <= PF_VOCAB_SEP)
		return 0;
	if (n > v->longest)
		v->longest = (unsigned)n;
	if (pf__vocab_find(v, piece, n, inside) >= 0)
		return -EINVAL;
	for (h = piece_hash(piece, n, inside); v->slots[h & v->mask];)
		h++;
	v->slots[h & v->mask] = (uint16_t)(i + 1);
	return 0;
}

static bool has_marks(const struct pf__vocab *v)
{
	static const char *const marks[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]"};

	for (unsigned i = 0; i < PF_ARRAY_SIZE(marks); i++) {
		size_t n = v->at[i + 1] - v->at[i];

		if (n != strlen(marks[i]) || memcmp(v->bytes + v->at[i], marks[i], n) != 0)
			return false;
	}
	return true;
}

int pf__vocab_read(struct pf__vocab *out, struct pf__span s, struct pf_error *err)
{
	const uint32_t *count = pf__span_take(&s, sizeof(*count));
	struct pf__vocab v = {.count = *count, .mask = 1};
	int r = 0;

	if (s.bad || v.count <= PF_VOCAB_SEP || v.count > PF_ENC_VOCAB)
		return pf_fail(err, -EINVAL, "the weights' vocabulary is not one");
	v.at = pf__span_take(&s, ((size_t)v.count + 1) * sizeof(*v.at));
	v.bytes = (const char *)s.at;
	for (unsigned i = 0; i < v.count && !s.bad; i++)
		s.bad = v.at[i] > v.at[i + 1];
	if (s.bad || v.at[0] != 0 || v.at[v.count] != s.left || !has_marks(&v))
		return pf_fail(err, -EINVAL, "the weights' vocabulary is not in order");
	while (v.mask < 2 * v.count)
		v.mask = 2 * v.mask;
	v.slots = calloc(v.mask--, sizeof(*v.slots));
	if (!v.slots)
		return pf_fail(err, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < v.count && r == 0; i++)
		r = index_piece(&v, i);
	if (r < 0) {
		free(v.slots);
		return pf_fail(err, r, "the weights' vocabulary has a piece twice, an empty or a long one");
	}
	*out = v;
	return 0;
}

static void read_linear(struct pf__linear *m, struct pf__span *s, unsigned rows, unsigned cols)
{
	_Static_assert(PF_ENC_WIDTH % (2 * PF_ENC_LANES) == 0 && PF_ENC_INNER % (2 * PF_ENC_LANES) == 0,
		       "tiles are two panels");
	m->rows = rows;
	m->cols = cols;
	m->w = pf__span_take(s, (size_t)rows * cols);
	m->sum = pf__span_take(s, rows * sizeof(*m->sum));
	m->scale = pf__span_floats(s, rows);
	m->bias = pf__span_floats(s, rows);
}

/* A sum may be of any size in a hostile file; the vector of it must not overflow (see encoder_vnni.c). */
static bool sums_are(const struct pf__linear *m)
{
	const int8_t *w = m->w;

	for (unsigned n = 0; n < m->rows; n += PF_ENC_LANES) {
		int32_t sum[PF_ENC_LANES] = {0};

		for (unsigned k = 0; k < m->cols; k += 4, w += 4 * PF_ENC_LANES)
			for (unsigned l = 0; l < PF_ENC_LANES; l++)
				sum[l] += w[4 * l] + w[4 * l + 1] + w[4 * l + 2] + w[4 * l + 3];
		if (memcmp(sum, m->sum + n, sizeof(sum)) != 0)
			return false;
	}
	return true;
}

static void read_layer(struct pf__layer *l, struct pf__span *s)
{
	read_linear(&l->qkv, s, 3 * PF_ENC_WIDTH, PF_ENC_WIDTH);
	read_linear(&l->out, s, PF_ENC_WIDTH, PF_ENC_WIDTH);
	l->norm1 = pf__span_floats(s, (size_t)2 * PF_ENC_WIDTH);
	read_linear(&l->up, s, PF_ENC_INNER, PF_ENC_WIDTH);
	read_linear(&l->down, s, PF_ENC_WIDTH, PF_ENC_INNER);
	l->norm2 = pf__span_floats(s, (size_t)2 * PF_ENC_WIDTH);
	if (!s->bad)
		s->bad = !sums_are(&l->qkv) || !sums_are(&l->out) || !sums_are(&l->up) || !sums_are(&l->down);
}

int pf__encoder_read(struct pf__encoder *out, struct pf__span s, unsigned vocab, struct pf_error *err)
{
	static const uint32_t want[] = {PF_ENC_WIDTH, PF_ENC_INNER, PF_ENC_HEADS, PF_ENC_PIECES,
					PF_ENC_OUTPUTS};
	const uint32_t *head = pf__span_take(&s, 64);
	struct pf__encoder e = {.vocab = head[0], .layers = head[1]};

	if (s.bad || e.vocab != vocab || e.layers == 0 || e.layers > PF_ENC_LAYERS ||
	    memcmp(head + 2, want, sizeof(want)) != 0)
		return pf_fail(err, -EINVAL, "the weights' encoder has another shape than this program's");
	e.embed = pf__span_take(&s, (size_t)vocab * PF_ENC_WIDTH);
	e.embed_scale = pf__span_floats(&s, vocab);
	e.position = pf__span_floats(&s, (size_t)PF_ENC_PIECES * PF_ENC_WIDTH);
	e.norm = pf__span_floats(&s, (size_t)2 * PF_ENC_WIDTH);
	for (unsigned i = 0; i < e.layers; i++)
		read_layer(&e.layer[i], &s);
	e.head = pf__span_floats(&s, (size_t)PF_ENC_OUTPUTS * 2 * PF_ENC_WIDTH);
	e.head_bias = pf__span_floats(&s, PF_ENC_OUTPUTS);
	if (s.bad || s.left)
		return pf_fail(err, -EINVAL,
			       "the weights' encoder has another size than its shape says, or a "
			       "number that is none");
	*out = e;
	return 0;
}
