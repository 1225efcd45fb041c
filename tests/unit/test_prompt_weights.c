/* SPDX-License-Identifier: Apache-2.0 */
/* guard/prompt: the weights file is believed in nothing, and the encoder gives the same on every path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sha256.h"
#include "prompt_weights.h"

static const char *const pieces[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "a",
				     "b",     "##a",   "##b",	"ab",	 "##bc"};
#define PIECES (unsigned)PF_ARRAY_SIZE(pieces)

static int setup(void **state)
{
	static struct tw_file file;

	tw_make(&file, pieces, PIECES, 1, 0.0f);
	*state = &file;
	return 0;
}

static int teardown(void **state)
{
	free(((struct tw_file *)*state)->bytes);
	return 0;
}

/* Behind the encoder's last number. */
static uint8_t *encoder_end(const struct tw_file *f)
{
	const uint8_t *row = f->bytes + 64 + (size_t)64 * 3;

	return f->bytes + pf__le_get(row + 8, 8) + pf__le_get(row + 16, 8);
}

/* Both steps of reading; what is wrong, or "". */
static const char *reads(const struct tw_file *f, size_t size)
{
	static struct pf_error err;
	struct pf__weights w = {0};
	int r;

	err.msg[0] = '\0';
	r = pf__weights_from(&w, f->bytes, size, &err);
	if (r == 0)
		r = pf__weights_encoder(&w, &err);
	pf__weights_close(&w);
	assert_int_equal(r < 0, err.msg[0] != '\0');
	return err.msg;
}

static void whole_file_reads(void **state)
{
	assert_string_equal(reads(*state, ((struct tw_file *)*state)->size), "");
}

static void every_cut_is_refused(void **state)
{
	const struct tw_file *f = *state;

	for (size_t n = 0; n < f->size; n += n < 4096 ? 1 : 37777)
		assert_string_not_equal(reads(f, n), "");
	assert_string_not_equal(reads(f, f->size - 1), "");
	assert_string_not_equal(reads(f, f->size + 1), "");
}

static void every_changed_byte_is_refused(void **state)
{
	struct tw_file *f = *state;

	/* Padding between sections is nobody's; it is zero, and not looked at. */
	for (size_t n = 0; n < f->size; n += n < 64 + 64 * TW_SECTIONS ? 1 : 50021) {
		uint8_t was = f->bytes[n];
		bool padding = (n >= 24 && n < 64) ||
			       (n >= 64 && n < 320 && (n % 64 >= 56 || (n % 64 >= 4 && n % 64 < 8)));
		bool used = false;

		for (unsigned i = 0; i < TW_SECTIONS; i++) {
			const uint8_t *row = f->bytes + 64 + (size_t)64 * i;
			uint64_t at = pf__le_get(row + 8, 8), size = pf__le_get(row + 16, 8);

			used = used || (n >= at && n < at + size);
		}
		f->bytes[n] ^= 0x41;
		if (!padding && (used || n < 320))
			assert_string_not_equal(reads(f, f->size), "");
		f->bytes[n] = was;
	}
	assert_string_equal(reads(f, f->size), "");
}

static void says_version_and_damage(void **state)
{
	struct tw_file *f = *state;

	f->bytes[8] = 2;
	assert_non_null(strstr(reads(f, f->size), "version 2; this program reads version 1"));
	f->bytes[8] = 1;
	encoder_end(f)[-5] ^= 1;
	assert_non_null(strstr(reads(f, f->size), "damaged: the encoder"));
	encoder_end(f)[-5] ^= 1;
}

/* A file with right digests may still be hostile: offsets, counts, numbers that are none. */
static void sealed_lies_are_refused(void **state)
{
	struct tw_file *f = *state;
	uint8_t *vocab = f->bytes + pf__le_get(f->bytes + 64 + 64 + 8, 8);
	uint8_t *grams = f->bytes + pf__le_get(f->bytes + 64 + 128 + 8, 8);
	uint8_t *encoder = f->bytes + pf__le_get(f->bytes + 64 + 192 + 8, 8);
	struct {
		uint8_t *at;
		uint64_t value;
		unsigned bytes;
	} lies[] = {
		{vocab, 0, 4},
		{vocab, 3, 4},
		{vocab, 0xffffffff, 4},
		{vocab, 32769, 4},
		{vocab + 64, 1, 4},
		{vocab + 68, 0x7fffffff, 4},
		{vocab + 128 + 2, 0xff, 1}, /* another mark than [PAD] */
		{grams, 0, 4},
		{grams, 11, 4},
		{grams, 31, 4},
		{grams, 64, 4},
		{grams + 64, 0x7fc00000, 4}, /* NaN */
		{grams + 64, 0x7f800000, 4}, /* infinity */
		{encoder, PIECES + 1, 4},
		{encoder + 4, 0, 4},
		{encoder + 4, 2, 4},
		{encoder + 4, 13, 4},
		{encoder + 8, 385, 4},
		{encoder + 64 + 64 * 60, 0x7fc00000, 4}, /* the scales of the embedding */
		{encoder_end(f) - 4, 0xff800000, 4},
	};

	for (size_t i = 0; i < PF_ARRAY_SIZE(lies); i++) {
		uint64_t was = pf__le_get(lies[i].at, lies[i].bytes);

		pf__le_put(lies[i].at, lies[i].value, lies[i].bytes);
		tw_seal(f);
		if (!reads(f, f->size)[0])
			fail_msg("lie %zu was believed", i);
		pf__le_put(lies[i].at, was, lies[i].bytes);
	}
	tw_seal(f);
	assert_string_equal(reads(f, f->size), "");
}

static void a_file_that_is_none(void **state)
{
	struct pf__weights w = {0};
	struct pf_error err = {0};

	(void)state;
	assert_int_equal(pf__weights_open(&w, "/nonexistent/weights", &err), -ENOENT);
	assert_int_equal(pf__weights_open(&w, "/dev/zero", &err), -EINVAL);
	assert_int_equal(pf__weights_open(&w, "/", &err), -EINVAL);
	assert_int_equal(pf__weights_open(&w, "/proc/self/stat", &err), -EINVAL);
}

static void digests_agree(void **state)
{
	uint8_t data[300], a[32], b[32];
	struct pf_sha256 s;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 31);
	for (size_t n = 0; n <= sizeof(data); n++) {
		pf_sha256_init(&s);
		pf_sha256_add(&s, data, n);
		pf_sha256_end(&s, a);
		pf__digest(data, n, b);
		assert_memory_equal(a, b, 32);
	}
}

static void paths_give_the_same(void **state)
{
	const struct tw_file *f = *state;
	struct pf__scratch *s = aligned_alloc(64, (sizeof(*s) + 63) & ~(size_t)63);
	struct pf__weights w = {0};
	struct pf_error err = {0};
	unsigned compared = 0;

	assert_non_null(s);
	assert_int_equal(pf__weights_from(&w, f->bytes, f->size, &err), 0);
	assert_int_equal(pf__weights_encoder(&w, &err), 0);
	for (unsigned n = 1; n <= PF_ENC_PIECES; n += n < 10 ? 1 : 9) {
		float first[PF_ENC_OUTPUTS], other[PF_ENC_OUTPUTS];
		uint16_t ids[PF_ENC_PIECES];

		for (unsigned i = 0; i < n; i++)
			ids[i] = (uint16_t)((i * 7 + n) % PIECES);
		pf__forward_scalar(&w.encoder, s, ids, n, first);
		assert_true(isfinite(first[0]) && isfinite(first[1]));
		for (unsigned p = PF_PATH_AVX2; p < PF_PATH_COUNT; p++) {
			if (!pf__path_runs((enum pf__path)p))
				continue;
			pf__path_forward((enum pf__path)p)(&w.encoder, s, ids, n, other);
			assert_memory_equal(first, other, sizeof(first));
			compared++;
		}
	}
	pf__weights_close(&w);
	free(s);
	if (!compared) {
		print_message("skipped: this processor has neither AVX2 nor AVX-512 VNNI\n");
		skip();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_file_reads),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(every_changed_byte_is_refused),
		cmocka_unit_test(says_version_and_damage),
		cmocka_unit_test(sealed_lies_are_refused),
		cmocka_unit_test(a_file_that_is_none),
		cmocka_unit_test(digests_agree),
		cmocka_unit_test(paths_give_the_same),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
