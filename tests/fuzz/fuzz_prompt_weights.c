/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard/prompt: a weights file with right digests and anything in it. The input is patches of a file that
 * reads: u16 section and place, one byte. What still reads gives a number or says that it does not, and its
 * tokenizer stays within the vocabulary.
 */
#include <math.h>
#include <stdio.h>

#include "../unit/prompt_weights.h"
#include "guard/prompt/prompt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                             \
	do {                                                                                                 \
		if (!(x)) {                                                                                  \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                              \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

static const char *const pieces[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "a",
				     "b",     "##a",   "##b",	"ab",	 "##ba"};

static void forward(const struct pf__encoder *e, struct pf__scratch *s, const uint16_t *ids, unsigned count,
		    float logits[PF_ENC_OUTPUTS])
{
	(void)s;
	for (unsigned i = 0; i < count; i++)
		CHECK(ids[i] < e->vocab);
	logits[0] = e->head_bias[0];
	logits[1] = e->head_bias[1];
	CHECK(isfinite(logits[0]));
}

static void use(struct pf__weights *w)
{
	static struct pf__judge j;
	struct pf_error err = {0};
	struct pf__verdict v;

	pf__judge_init(&j, w, forward, NULL);
	for (unsigned source = 0; source < PF_SOURCE_COUNT; source++) {
		pf__judge_begin(&j, (enum pf__source)source);
		pf__judge_add(&j, "abba ab a bab xyz", 17);
		if (pf__judge_end(&j, &v, &err) == 0)
			CHECK(v.score >= 0 && v.score <= 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tw_file good, file;
	struct pf__weights w = {0};
	struct pf_error err = {0};
	size_t cut;

	if (!good.bytes) {
		tw_make(&good, pieces, sizeof(pieces) / sizeof(pieces[0]), 1, 0.0f);
		file = good;
		file.bytes = aligned_alloc(64, good.room);
		CHECK(file.bytes);
		memcpy(file.bytes, good.bytes, good.size);
	}
	for (size_t i = 0; i + 4 <= size && i < 64; i += 4) {
		/* Every other patch into the table of sections; the rest where sections begin. */
		const uint8_t *row = good.bytes + 64 + (size_t)64 * (data[i] % TW_SECTIONS);
		uint64_t at = data[i] & 0x80
				      ? 8 + (data[i + 1] | (data[i + 2] & 1u) << 8)
				      : pf__le_get(row + 8, 8) + (data[i + 1] | (size_t)data[i + 2] << 8);

		if (at < good.size)
			file.bytes[at] = data[i + 3];
	}
	/* Seal what a patch left in the file; a section that is not there stays unsealed. */
	for (unsigned i = 0; i < TW_SECTIONS; i++) {
		uint8_t *row = file.bytes + 64 + (size_t)64 * i;
		uint64_t at = pf__le_get(row + 8, 8), n = pf__le_get(row + 16, 8);

		if (at <= good.size && n <= good.size - at)
			pf__digest(file.bytes + at, n, row + 24);
	}
	cut = size % 7 == 6 ? size * 100 : 0;
	if (pf__weights_from(&w, file.bytes, good.size - cut, &err) == 0)
		use(&w);
	else
		CHECK(err.code < 0 && err.msg[0]);
	pf__weights_close(&w);
	memcpy(file.bytes, good.bytes, good.size);
	return 0;
}
