/* SPDX-License-Identifier: Apache-2.0 */
/* A text through both stages, in pieces of any size; see prompt.h. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "guard/prompt/prompt.h"

#define HELD_MAX (PF_ENC_PIECES - 2)
#define AT(j, n) (&(j)->blocks[(n) % PF__WINDOW_BLOCKS])

const char *pf__level_name(enum pf__level level)
{
	static const char *const names[] = {"clear", "suspect", "attack"};

	return names[level];
}

/* 0.5 where suspect begins and 0.9 where attack does: what a caller compares with means the same for every
 * set of weights. */
static double to_score(const struct pf__calibration *c, double raw)
{
	return 1.0 / (1.0 + exp(-log(9.0) * (raw - c->suspect) / (c->attack - c->suspect)));
}

static void tell(struct pf__verdict *v, uint64_t from, uint64_t to, double raw)
{
	unsigned i = v->told_count;

	if (i == PF_PROMPT_TOLD) {
		if (v->told[i - 1].score >= raw)
			return;
		i--;
	} else {
		v->told_count++;
	}
	for (; i > 0 && v->told[i - 1].score < raw; i--)
		v->told[i] = v->told[i - 1];
	v->told[i] = (struct pf__told){from, to, raw};
}

/* Show the encoder what is held. */
static void encode(struct pf__judge *j)
{
	const struct pf__calibration *c = &j->weights->calibration[j->source];
	uint16_t ids[PF_ENC_PIECES] = {PF_VOCAB_CLS};
	float logits[PF_ENC_OUTPUTS];
	double raw;

	j->fresh = false;
	if (j->error.code)
		return;
	if (j->verdict.encoded >= j->windows_max) {
		j->verdict.unread = true;
		return;
	}
	if (pf__weights_encoder(j->weights, &j->error) < 0)
		return;
	for (unsigned i = 0; i < j->held; i++)
		ids[i + 1] = j->piece[i].id;
	ids[j->held + 1] = PF_VOCAB_SEP;
	j->forward(&j->weights->encoder, j->scratch, ids, j->held + 2, logits);
	raw = (double)c->mix[PF_MIX_EXPLICIT] * logits[0] + (double)c->mix[PF_MIX_GOAL] * logits[1] +
	      (double)c->mix[PF_MIX_GRAM_EXPLICIT] * j->gram[0] +
	      (double)c->mix[PF_MIX_GRAM_GOAL] * j->gram[1];
	if (!isfinite(raw)) {
		pf_fail(&j->error, -EINVAL, "the weights are damaged: they give no number");
		return;
	}
	j->verdict.encoded++;
	if (!j->scored || raw > j->highest)
		j->highest = raw;
	j->scored = true;
	if (raw >= c->suspect)
		tell(&j->verdict, j->piece[0].from, j->piece[j->held - 1].to, raw);
}

static void take_piece(void *user, const struct pf__piece *piece)
{
	struct pf__judge *j = user;

	if (j->held == HELD_MAX) {
		encode(j);
		memmove(j->piece, j->piece + PF__STRIDE, (HELD_MAX - PF__STRIDE) * sizeof(j->piece[0]));
		j->held = HELD_MAX - PF__STRIDE;
	}
	j->piece[j->held++] = *piece;
	j->fresh = true;
}

static void region_close(struct pf__judge *j)
{
	if (!j->region)
		return;
	pf__pieces_flush(&j->pieces);
	if (j->held && j->fresh)
		encode(j);
	j->held = 0;
	j->fresh = false;
	j->region = false;
}

static void region_feed(struct pf__judge *j, uint64_t first, uint64_t last)
{
	if (j->region && first > j->region_end)
		region_close(j);
	if (!j->region)
		j->region_end = first;
	j->region = true;
	for (; j->region_end <= last; j->region_end++) {
		const struct pf__block *b = AT(j, j->region_end);

		for (unsigned i = 0; i < b->count; i++)
			pf__pieces_add(&j->pieces, &b->chars[i]);
	}
}

/* The window that ends with the block that was filled last. */
static void first_stage(struct pf__judge *j)
{
	uint64_t last = j->block, first = last < PF__WINDOW_BLOCKS ? 0 : last - (PF__WINDOW_BLOCKS - 1);
	const struct pf__gram_tables *t = &j->weights->grams;
	struct pf__gram_sums sums = {0};
	float logit[2];

	for (uint64_t n = first; n <= last; n++)
		pf__gram_sums_add(&sums, &AT(j, n)->sums);
	logit[0] = pf__gram_logit(t, &sums, 0);
	logit[1] = pf__gram_logit(t, &sums, 1);
	j->verdict.windows++;
	if (j->source == PF_SOURCE_TOOL && logit[1] < j->weights->calibration[j->source].gate)
		return;
	memcpy(j->gram, logit, sizeof(j->gram));
	region_feed(j, first, last);
}

static void block_done(struct pf__judge *j)
{
	struct pf__block *b = AT(j, j->block);

	b->sums = j->grams.sums;
	j->grams.sums = (struct pf__gram_sums){0};
	/* The first blocks of a text wait until they make a window; a shorter text is one at its end. */
	if (j->block >= PF__WINDOW_BLOCKS - 1)
		first_stage(j);
	j->block++;
	AT(j, j->block)->count = 0;
	j->units = 0;
}

static void unit_done(struct pf__judge *j)
{
	j->unit = 0;
	if (++j->units == PF__BLOCK_UNITS)
		block_done(j);
}

static inline void add_char(struct pf__judge *j, uint32_t cp, uint32_t len, uint64_t at)
{
	struct pf__block *b = AT(j, j->block);

	if (cp == ' ') {
		if (j->blank)
			return;
		j->blank = true;
		pf__grams_add(&j->grams, cp);
		b->chars[b->count++] = (struct pf__char){cp, len, at};
		if (j->unit)
			unit_done(j);
		return;
	}
	j->blank = false;
	pf__grams_add(&j->grams, cp);
	b->chars[b->count++] = (struct pf__char){cp, len, at};
	if (++j->unit == PF__UNIT_CHARS)
		unit_done(j);
}

static void add_wide(struct pf__judge *j, uint32_t cp, uint32_t len, uint64_t at)
{
	uint32_t out[PF_NORM_MAX];
	unsigned n;

	pf__detect_wide(&j->detector, cp, at);
	n = pf__normalise(pf__unmask(cp), out);
	for (unsigned i = 0; i < n; i++)
		add_char(j, out[i], len, at);
}

/* A character below 0x80, as pf__normalise() has it. */
static inline void add_ascii(struct pf__judge *j, uint8_t byte, uint64_t at)
{
	pf__detect_ascii(&j->detector, byte, at);
	if (byte == ' ' || (byte >= 0x09 && byte <= 0x0d && byte != 0x0b && byte != 0x0c))
		add_char(j, ' ', 1, at);
	else if (byte > 0x20 && byte < 0x7f)
		add_char(j, byte >= 'A' && byte <= 'Z' ? byte + 32u : byte, 1, at);
}

static void add_byte(struct pf__judge *j, uint8_t byte, uint64_t at)
{
	uint32_t cp, len;
	bool again;

	do {
		if (!pf__decode(&j->decoder, byte, &cp, &len, &again))
			continue;
		if (cp < 0x80)
			add_ascii(j, (uint8_t)cp, at);
		else
			add_wide(j, cp, len, at + 1 - len);
	} while (again);
}

bool pf__judge_add(struct pf__judge *j, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < n; i++) {
		uint64_t at = j->verdict.bytes;

		if (at == j->bytes_max) {
			j->verdict.unread = true;
			return false;
		}
		j->verdict.bytes++;
		if (p[i] < 0x80 && j->decoder.need == 0)
			add_ascii(j, p[i], at);
		else
			add_byte(j, p[i], at);
	}
	/* Damaged weights give no verdict, whatever follows; nor does more text make one that is full lower.
	 */
	return j->error.code == 0;
}

void pf__judge_init(struct pf__judge *j, struct pf__weights *weights, pf__forward_fn *forward,
		    struct pf__scratch *scratch)
{
	memset(j, 0, sizeof(*j));
	j->weights = weights;
	j->forward = forward;
	j->scratch = scratch;
	j->bytes_max = PF_PROMPT_BYTES;
	j->windows_max = PF_PROMPT_WINDOWS;
}

void pf__judge_begin(struct pf__judge *j, enum pf__source source)
{
	j->source = source;
	j->verdict = (struct pf__verdict){0};
	j->detector = (struct pf__detector){0};
	j->decoder = (struct pf__decoder){0};
	j->grams = (struct pf__grams){.tables = &j->weights->grams};
	j->pieces.vocab = &j->weights->vocab;
	j->pieces.emit = take_piece;
	j->pieces.user = j;
	j->pieces.chars = j->pieces.bytes = 0;
	j->blocks[0].count = 0;
	j->block = 0;
	j->unit = j->units = j->held = 0;
	j->blank = true;
	j->region = j->scored = j->fresh = false;
	j->highest = 0;
	j->error.code = 0;
}

static void conclude(struct pf__judge *j)
{
	const struct pf__calibration *c = &j->weights->calibration[j->source];
	struct pf__verdict *v = &j->verdict;

	if (j->scored) {
		v->score = to_score(c, j->highest);
		v->classifier = j->highest >= c->suspect;
		v->level = j->highest >= c->attack    ? PF_LEVEL_ATTACK
			   : j->highest >= c->suspect ? PF_LEVEL_SUSPECT
						      : PF_LEVEL_CLEAR;
	}
	for (unsigned i = 0; i < v->told_count; i++)
		v->told[i].score = to_score(c, v->told[i].score);
	v->marks = j->detector.found;
	memcpy(v->mark_at, j->detector.at, sizeof(v->mark_at));
	for (unsigned i = 0; i < PF_MARK_COUNT; i++) {
		if (v->marks >> i & 1 && pf__mark_strong((enum pf__mark)i) && v->level < PF_LEVEL_SUSPECT)
			v->level = PF_LEVEL_SUSPECT;
	}
	if (v->unread && v->level < PF_LEVEL_SUSPECT)
		v->level = PF_LEVEL_SUSPECT;
}

int pf__judge_end(struct pf__judge *j, struct pf__verdict *out, struct pf_error *err)
{
	pf__grams_end(&j->grams);
	if (AT(j, j->block)->count) {
		AT(j, j->block)->sums = j->grams.sums;
		first_stage(j);
	} else if (j->block > 0 && j->block < PF__WINDOW_BLOCKS) {
		j->block--;
		first_stage(j);
	}
	region_close(j);
	if (j->error.code) {
		*err = j->error;
		return err->code;
	}
	conclude(j);
	*out = j->verdict;
	return 0;
}
