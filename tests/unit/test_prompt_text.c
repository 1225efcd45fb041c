/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard/prompt: normalisation and pieces as the reference tokenizer has them (tests/guard/pieces.tsv was
 * written by it: the text in hexadecimal, then the numbers of its pieces in the shipped vocabulary).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "guard/prompt/text.h"

#define GOLDEN	"tests/guard/pieces.tsv"
#define WEIGHTS "share/guard-prompt.bin"

struct sink {
	struct pf__piece piece[4096];
	size_t count;
};

static void take(void *user, const struct pf__piece *piece)
{
	struct sink *s = user;

	assert_true(s->count < PF_ARRAY_SIZE(s->piece));
	s->piece[s->count++] = *piece;
}

static void cut(const struct pf__vocab *vocab, const uint8_t *text, size_t n, struct sink *out)
{
	struct pf__pieces p = {.vocab = vocab, .emit = take, .user = out};
	struct pf__decoder d = {0};
	uint32_t cp, len, norm[PF_NORM_MAX];
	bool again;

	out->count = 0;
	for (size_t i = 0; i < n; i++) {
		do {
			if (!pf__decode(&d, text[i], &cp, &len, &again))
				continue;
			for (unsigned k = 0, m = pf__normalise(cp, norm); k < m; k++)
				pf__pieces_add(&p, &(struct pf__char){norm[k], len, i + 1 - len});
		} while (again);
	}
	pf__pieces_flush(&p);
}

static void as_the_reference(void **state)
{
	FILE *f = fopen(GOLDEN, "re");
	struct pf__weights w = {0};
	struct pf_error err = {0};
	static struct sink sink;
	char line[16384];
	size_t lines = 0;

	(void)state;
	assert_non_null(f);
	assert_int_equal(pf__weights_open(&w, WEIGHTS, &err), 0);
	while (fgets(line, sizeof(line), f)) {
		uint8_t text[4096];
		size_t n = 0;
		char *p = line, *end;

		for (; p[0] != '\t' && p[1]; p += 2)
			text[n++] = (uint8_t)strtoul((char[]){p[0], p[1], 0}, NULL, 16);
		cut(&w.vocab, text, n, &sink);
		for (size_t i = 0; i < sink.count; i++) {
			if (strtol(p + 1, &end, 10) != sink.piece[i].id)
				fail_msg("line %zu: piece %zu is %u", lines + 1, i, sink.piece[i].id);
			assert_true(sink.piece[i].from < sink.piece[i].to && sink.piece[i].to <= n);
			p = end;
		}
		assert_true(p[0] == '\n' || (p[0] == '\t' && p[1] == '\n'));
		lines++;
	}
	fclose(f);
	pf__weights_close(&w);
	assert_true(lines >= 300);
}

static size_t decode_all(const char *bytes, size_t n, uint32_t *out)
{
	struct pf__decoder d = {0};
	uint32_t cp, len;
	size_t count = 0;
	bool again;

	for (size_t i = 0; i < n; i++) {
		do {
			if (pf__decode(&d, (uint8_t)bytes[i], &cp, &len, &again))
				out[count++] = cp;
		} while (again);
	}
	return count;
}

static void what_is_not_utf8_vanishes(void **state)
{
	static const struct {
		const char *bytes;
		size_t n, count;
		uint32_t last;
	} cases[] = {
		{"\xc3\xa9", 2, 1, 0xe9},
		{"\xf0\x9f\x98\x80", 4, 1, 0x1f600},
		{"\xc3", 1, 0, 0}, /* cut off */
		{"\xc3"
		 "a",
		 2, 1, 'a'},		       /* cut short: what follows counts */
		{"\xc0\xaf", 2, 0, 0},	       /* overlong */
		{"\xe0\x80\xaf", 3, 0, 0},     /* overlong */
		{"\xed\xa0\x80", 3, 0, 0},     /* a surrogate */
		{"\xf4\x90\x80\x80", 4, 0, 0}, /* beyond U+10FFFF */
		{"\xff\xfe"
		 "b",
		 3, 1, 'b'},
		{"\xe2\x82\xe2\x82\xac", 5, 1, 0x20ac},
		{"\x80\x80"
		 "c",
		 3, 1, 'c'},
	};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(cases); i++) {
		uint32_t out[8];

		assert_int_equal(decode_all(cases[i].bytes, cases[i].n, out), cases[i].count);
		if (cases[i].count)
			assert_int_equal(out[cases[i].count - 1], cases[i].last);
	}
}

static void disguises_come_off(void **state)
{
	(void)state;
	assert_int_equal(pf__unmask(0xff49), 'i');  /* full width */
	assert_int_equal(pf__unmask(0x1d422), 'i'); /* mathematical bold */
	assert_int_equal(pf__unmask(0x24d8), 'i');  /* circled */
	assert_int_equal(pf__unmask(0xe0069), 'i'); /* a tag character */
	assert_int_equal(pf__unmask(0x1d7ce), '0');
	assert_int_equal(pf__unmask(0xe9), 0xe9);
	assert_int_equal(pf__unmask(0x4e00), 0x4e00);
	assert_int_equal(pf__unmask(0x1d6c2), 0x1d6c2); /* Greek alpha: no ASCII letter */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_the_reference),
		cmocka_unit_test(what_is_not_utf8_vanishes),
		cmocka_unit_test(disguises_come_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
