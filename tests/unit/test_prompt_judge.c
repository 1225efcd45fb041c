/* SPDX-License-Identifier: Apache-2.0 */
/* guard/prompt: windows, levels, bounds and detectors, with an encoder that knows one word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "guard/prompt/prompt.h"
#include "prompt_weights.h"

static const char *const pieces[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "evil", "word", "odd", "nan"};
enum { EVIL = 4, ODD = 6, NAN_WORD = 7 };

struct world {
	struct tw_file file;
	struct pf__weights weights;
	struct pf__judge *judge;
};

/* "evil" is an attack (5), "odd" suspect (2), anything else nothing (-9). */
static void forward(const struct pf__encoder *e, struct pf__scratch *s, const uint16_t *ids, unsigned count,
		    float logits[PF_ENC_OUTPUTS])
{
	(void)e;
	(void)s;
	assert_true(count >= 2 && count <= PF_ENC_PIECES);
	assert_int_equal(ids[0], PF_VOCAB_CLS);
	assert_int_equal(ids[count - 1], PF_VOCAB_SEP);
	logits[0] = -9.0f;
	logits[1] = 0.0f;
	for (unsigned i = 1; i < count - 1; i++) {
		if (ids[i] == EVIL)
			logits[0] = 5.0f;
		if (ids[i] == ODD && logits[0] < 2.0f)
			logits[0] = 2.0f;
		if (ids[i] == NAN_WORD)
			logits[0] = NAN;
	}
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct pf_error err = {0};

	assert_non_null(w);
	tw_make(&w->file, pieces, PF_ARRAY_SIZE(pieces), 1, -1e8f);
	assert_int_equal(pf__weights_from(&w->weights, w->file.bytes, w->file.size, &err), 0);
	w->judge = malloc(sizeof(*w->judge));
	assert_non_null(w->judge);
	pf__judge_init(w->judge, &w->weights, forward, NULL);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	pf__weights_close(&w->weights);
	free(w->file.bytes);
	free(w->judge);
	free(w);
	return 0;
}

static struct pf__verdict judged(struct world *w, const char *text, size_t n, size_t step)
{
	struct pf_error err = {0};
	struct pf__verdict v;

	pf__judge_begin(w->judge, PF_SOURCE_TOOL);
	for (size_t i = 0; i < n; i += step) {
		if (!pf__judge_add(w->judge, text + i, n - i < step ? n - i : step))
			break;
	}
	assert_int_equal(pf__judge_end(w->judge, &v, &err), 0);
	return v;
}

static struct pf__verdict of(struct world *w, const char *text)
{
	return judged(w, text, strlen(text), 7);
}

static void levels(void **state)
{
	struct pf__verdict v = of(*state, "word word");

	assert_int_equal(v.level, PF_LEVEL_CLEAR);
	assert_false(v.classifier);
	assert_int_equal(v.encoded, 1);
	v = of(*state, "word odd word");
	assert_int_equal(v.level, PF_LEVEL_SUSPECT);
	assert_true(v.classifier && v.score > 0.5 && v.score < 0.9);
	v = of(*state, "word evil word");
	assert_int_equal(v.level, PF_LEVEL_ATTACK);
	assert_true(v.score > 0.9);
	assert_int_equal(v.told_count, 1);
	v = of(*state, "");
	assert_int_equal(v.level, PF_LEVEL_CLEAR);
	assert_int_equal(v.encoded, 0);
}

/* Wherever it stands, in pieces of any size: one window has it, and says where. */
static void no_place_is_between_windows(void **state)
{
	for (unsigned at = 0; at < 400; at += 3) {
		PF_AUTO_BUF struct pf_buf text = {0};
		struct pf__verdict v;
		uint64_t where = 0;

		for (unsigned i = 0; i < 400; i++) {
			if (i == at)
				where = text.len;
			pf_buf_adds(&text, i == at ? "evil " : "word ");
		}
		v = judged(*state, text.data, text.len, at % 11 + 1);
		assert_int_equal(v.level, PF_LEVEL_ATTACK);
		assert_true(v.told_count >= 1 && v.told_count <= 2);
		assert_true(v.told[0].from <= where && where + 4 <= v.told[0].to);
		assert_true(v.told[0].to <= text.len);
		/* 400 pieces, 62 at a time, 40 further each. */
		assert_int_equal(v.encoded, 10);
	}
}

static void same_in_any_pieces(void **state)
{
	static const char text[] =
		"word \xe2\x80\x8b e\xcc\x81vil \xf0\x9f\x98\x80 \xff odd\n\n<!-- x -->evil";
	struct pf__verdict whole = judged(*state, text, sizeof(text) - 1, sizeof(text));

	for (size_t step = 1; step < 9; step++) {
		struct pf__verdict v = judged(*state, text, sizeof(text) - 1, step);

		assert_memory_equal(&v, &whole, sizeof(v));
	}
}

static void one_endless_word_is_bounded(void **state)
{
	struct world *w = *state;
	struct pf_error err = {0};
	struct pf__verdict v;
	char piece[65536];

	memset(piece, 'x', sizeof(piece));
	pf__judge_begin(w->judge, PF_SOURCE_TOOL);
	w->judge->bytes_max = 1 << 20;
	while (pf__judge_add(w->judge, piece, sizeof(piece)))
		;
	assert_int_equal(pf__judge_end(w->judge, &v, &err), 0);
	w->judge->bytes_max = PF_PROMPT_BYTES;
	assert_int_equal(v.bytes, 1 << 20);
	assert_true(v.unread);
	assert_int_equal(v.level, PF_LEVEL_SUSPECT);
	assert_int_equal(v.encoded, 1); /* one unknown word */
}

static void padding_is_no_way_past(void **state)
{
	struct world *w = *state;
	PF_AUTO_BUF struct pf_buf text = {0};
	struct pf__verdict v;

	for (unsigned i = 0; i < 4000; i++)
		pf_buf_adds(&text, "word ");
	pf_buf_adds(&text, "evil");
	w->judge->windows_max = 20;
	v = judged(w, text.data, text.len, 1000);
	w->judge->windows_max = PF_PROMPT_WINDOWS;
	assert_int_equal(v.encoded, 20);
	assert_true(v.unread);
	assert_int_equal(v.level, PF_LEVEL_SUSPECT);
}

static void no_number_is_an_error(void **state)
{
	struct world *w = *state;
	struct pf_error err = {0};
	struct pf__verdict v = {.bytes = 77};

	pf__judge_begin(w->judge, PF_SOURCE_TOOL);
	pf__judge_add(w->judge, "word nan", 8);
	assert_int_equal(pf__judge_end(w->judge, &v, &err), -EINVAL);
	assert_int_equal(v.bytes, 77);
	/* And the next text is judged as ever. */
	assert_int_equal(of(w, "evil").level, PF_LEVEL_ATTACK);
}

static void gate_keeps_windows_away(void **state)
{
	struct world *w = *state;

	w->weights.calibration[PF_SOURCE_TOOL].gate = 1e8f;
	assert_int_equal(of(w, "evil").encoded, 0);
	w->weights.calibration[PF_SOURCE_TOOL].gate = -1e8f;
	assert_int_equal(of(w, "evil").encoded, 1);
}

static void detectors(void **state)
{
#define TAG(c) "\xf3\xa0\x81" c
	static const struct {
		const char *text;
		uint32_t marks;
		enum pf__level level;
	} cases[] = {
		{"a " TAG("\xa9") TAG("\xa7") TAG("\xae") TAG("\xaf") " b", 1u << PF_MARK_TAGS,
		 PF_LEVEL_SUSPECT},
		/* The flag of Scotland is U+1F3F4 and six tags. */
		{"\xf0\x9f\x8f\xb4" TAG("\xa7") TAG("\xa2") TAG("\xb3") TAG("\xa3")
			 TAG("\xb4") "\xf3\xa0\x81\xbf",
		 0, PF_LEVEL_CLEAR},
		{"a \x1b[8mword\x1b[0m", 1u << PF_MARK_CONCEALED, PF_LEVEL_SUSPECT},
		{"a \x1b[0;8mword", 1u << PF_MARK_CONCEALED, PF_LEVEL_SUSPECT},
		{"a \x1b[38mword \x1b[1;31mred\x1b[0m \x1b[2K\r", 0, PF_LEVEL_CLEAR},
		{"\x1b]52;c;ZXZpbA==\x07", 1u << PF_MARK_CONCEALED, PF_LEVEL_SUSPECT},
		{"\x1b]0;title\x07", 0, PF_LEVEL_CLEAR},
		{"if (a) \xe2\x80\xae // word", 1u << PF_MARK_BIDI, PF_LEVEL_CLEAR},
		{"i\xe2\x80\x8bg\xe2\x80\x8bn", 1u << PF_MARK_ZERO_WIDTH, PF_LEVEL_CLEAR},
		{"\xef\xbb\xbfword", 0, PF_LEVEL_CLEAR}, /* a byte order mark */
		{"\xd9\x85\xdb\x8c\xe2\x80\x8c\xd8\xae \xd9\x85\xdb\x8c\xe2\x80\x8c\xd8\xae", 0,
		 PF_LEVEL_CLEAR}, /* Persian */
		{"<|im_start|>word", 1u << PF_MARK_CHAT, PF_LEVEL_CLEAR},
		{"[INST] word [/INST]", 1u << PF_MARK_CHAT, PF_LEVEL_CLEAR},
		{"< | im_start | >", 1u << PF_MARK_CHAT, PF_LEVEL_CLEAR},
		{"a[0] <b> [1]", 0, PF_LEVEL_CLEAR},
		{"<!-- one two three four five six seven eight nine -->", 1u << PF_MARK_HTML, PF_LEVEL_CLEAR},
		{"<!-- short -->", 0, PF_LEVEL_CLEAR},
		{"<p style=\"display: none\">word", 1u << PF_MARK_HTML, PF_LEVEL_CLEAR},
		{"\xef\xbd\x89\xef\xbd\x87\xef\xbd\x8e\xef\xbd\x8f\xef\xbd\x92\xef\xbd\x85\xef\xbd\x89\xef"
		 "\xbd\x87",
		 1u << PF_MARK_DISGUISED, PF_LEVEL_CLEAR},
		{"\xef\xbd\x85\xef\xbd\x96\xef\xbd\x89\xef\xbd\x8c", 0,
		 PF_LEVEL_ATTACK}, /* "evil", full width */
		{TAG("\xa5") TAG("\xb6") TAG("\xa9") TAG("\xac"), 1u << PF_MARK_TAGS, PF_LEVEL_ATTACK},
	};

	for (size_t i = 0; i < PF_ARRAY_SIZE(cases); i++) {
		struct pf__verdict v = of(*state, cases[i].text);

		if (v.marks != cases[i].marks || v.level != cases[i].level)
			fail_msg("case %zu: marks %x, level %d", i, v.marks, (int)v.level);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels),
		cmocka_unit_test(no_place_is_between_windows),
		cmocka_unit_test(same_in_any_pieces),
		cmocka_unit_test(one_endless_word_is_bounded),
		cmocka_unit_test(padding_is_no_way_past),
		cmocka_unit_test(no_number_is_an_error),
		cmocka_unit_test(gate_keeps_windows_away),
		cmocka_unit_test(detectors),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
