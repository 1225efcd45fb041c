/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard/prompt: any bytes, in any pieces, as user's and as tool's text: decoder, normalisation, pieces,
 * n-grams, windows and detectors. The encoder is a sum of the pieces' numbers. Windows lie in the text and in
 * order, and cutting the input otherwise changes nothing.
 */
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

static const char *const pieces[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "a",	       "b", "##a",
				     "##b",   "ab",    "##ba",	"e",	 "##\xc3\x9f", ".", "<"};

static void forward(const struct pf__encoder *e, struct pf__scratch *s, const uint16_t *ids, unsigned count,
		    float logits[PF_ENC_OUTPUTS])
{
	(void)e;
	(void)s;
	CHECK(count >= 3 && count <= PF_ENC_PIECES);
	logits[0] = logits[1] = 0;
	for (unsigned i = 0; i < count; i++) {
		CHECK(ids[i] < sizeof(pieces) / sizeof(pieces[0]));
		logits[0] += (float)(ids[i] % 5) - 1.5f;
	}
}

static void judge(struct pf__judge *j, enum pf__source source, const uint8_t *data, size_t size, size_t step,
		  struct pf__verdict *v)
{
	struct pf_error err = {0};

	pf__judge_begin(j, source);
	for (size_t i = 0; i < size; i += step)
		pf__judge_add(j, data + i, size - i < step ? size - i : step);
	CHECK(pf__judge_end(j, v, &err) == 0);
	CHECK(v->bytes <= size && v->score >= 0 && v->score <= 1);
	CHECK(v->told_count <= PF_PROMPT_TOLD && (v->told_count > 0) == v->classifier);
	for (unsigned i = 0; i < v->told_count; i++) {
		CHECK(v->told[i].from < v->told[i].to && v->told[i].to <= size);
		CHECK(i == 0 || v->told[i].score <= v->told[i - 1].score);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pf__weights weights;
	static struct pf__judge j;
	struct pf__verdict a, b;

	if (!weights.vocab.count) {
		static struct tw_file file;
		struct pf_error err = {0};

		tw_make(&file, pieces, sizeof(pieces) / sizeof(pieces[0]), 1, 0.0f);
		CHECK(pf__weights_from(&weights, file.bytes, file.size, &err) == 0);
		pf__judge_init(&j, &weights, forward, NULL);
		j.bytes_max = 1 << 14;
		j.windows_max = 40;
	}
	for (unsigned source = 0; source < PF_SOURCE_COUNT; source++) {
		judge(&j, (enum pf__source)source, data, size, size + 1, &a);
		judge(&j, (enum pf__source)source, data, size, 1 + size % 5, &b);
		CHECK(memcmp(&a, &b, sizeof(a)) == 0);
	}
	return 0;
}
