/* SPDX-License-Identifier: Apache-2.0 */
/* base/str: numbers, UTF-8, text for a terminal. Paths and globs: test_str_path.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

static void u64_is_the_whole_string(void **state)
{
	static const char *const bad[] = {
		"",
		" 1",
		"1 ",
		"+1",
		"-1",
		"-0",
		"0x10",
		"1\n",
		"\t1",
		"1e3",
		"1.0",
		"1,000",
		"1_0",
		"x",
		"1x",
		"１",
		"99999999999999999999999x",
		"-",
		"0b11",
		"--1",
		"1\r",
		"a1",
		"\v1",
	};
	uint64_t v = 77;

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++) {
		assert_int_equal(pf_parse_u64(bad[i], &v), -EINVAL);
		assert_int_equal(v, 77);
	}
	assert_int_equal(pf_parse_u64(NULL, &v), -EINVAL);
	assert_int_equal(pf_parse_u64("0", &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(pf_parse_u64("007", &v), 0); /* decimal, never octal */
	assert_int_equal(v, 7);
	assert_int_equal(pf_parse_u64("18446744073709551615", &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(pf_parse_u64("18446744073709551616", &v), -ERANGE);
	assert_int_equal(pf_parse_u64("99999999999999999999999", &v), -ERANGE);
	assert_true(v == UINT64_MAX);
}

static void u32_never_wraps(void **state)
{
	uint32_t v = 77;

	(void)state;
	assert_int_equal(pf_parse_u32("4294967296", &v), -ERANGE); /* would be uid 0 */
	assert_int_equal(pf_parse_u32("18446744073709551616", &v), -ERANGE);
	assert_int_equal(pf_parse_u32("-1", &v), -EINVAL);
	assert_int_equal(v, 77);
	assert_int_equal(pf_parse_u32("4294967295", &v), 0);
	assert_true(v == UINT32_MAX);
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t bytes;
	} cases[] = {
		{"0", 0, 0},
		{"812", 0, 812},
		{"64K", 0, 65536},
		{"64k", 0, 65536},
		{"64M", 0, 64u << 20},
		{"1G", 0, 1u << 30},
		{"2T", 0, (uint64_t)2 << 40},
		{"16777215T", 0, (uint64_t)16777215 << 40},
		{"16777216T", -ERANGE, 0},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551615K", -ERANGE, 0},
		{"18446744073709551616", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"K", -EINVAL, 0},
		{"1KB", -EINVAL, 0},
		{"1KiB", -EINVAL, 0},
		{"1 K", -EINVAL, 0},
		{"1.5G", -EINVAL, 0},
		{"-1K", -EINVAL, 0},
		{"+1K", -EINVAL, 0},
		{"1P", -EINVAL, 0},
		{"1KK", -EINVAL, 0},
		{"99999999999999999999999Q", -EINVAL, 0},
		{NULL, -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(cases); i++) {
		uint64_t v = 77;

		assert_int_equal(pf_parse_size(cases[i].text, &v), cases[i].r);
		assert_true(v == (cases[i].r == 0 ? cases[i].bytes : 77));
	}
}

static void durations(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t ms;
	} cases[] = {
		{"500ms", 0, 500},
		{"1s", 0, 1000},
		{"1.5s", 0, 1500},
		{"2m", 0, 120000},
		{"1h", 0, 3600000},
		{"0.5h", 0, 1800000},
		{"0s", 0, 0},
		{"0.000s", 0, 0},
		{"0.1ms", 0, 1}, /* up, never to 0 */
		{"0.000000001s", 0, 1},
		{"0.0000000001s", -EINVAL, 0},
		{"1.0005s", 0, 1001},
		{"1", -EINVAL, 0},
		{"0", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"s", -EINVAL, 0},
		{".5s", -EINVAL, 0},
		{"5.s", -EINVAL, 0},
		{"1.5", -EINVAL, 0},
		{"1 s", -EINVAL, 0},
		{"1s ", -EINVAL, 0},
		{"-1s", -EINVAL, 0},
		{"+1s", -EINVAL, 0},
		{"1S", -EINVAL, 0},
		{"1sec", -EINVAL, 0},
		{"1d", -EINVAL, 0},
		{"1m30s", -EINVAL, 0},
		{"1.5.5s", -EINVAL, 0},
		{"1e3s", -EINVAL, 0},
		{"18446744073709551615ms", 0, UINT64_MAX},
		{"18446744073709551615.1ms", -ERANGE, 0},
		{"18446744073709551615s", -ERANGE, 0},
		{"99999999999999999999999s", -ERANGE, 0},
		{NULL, -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(cases); i++) {
		uint64_t v = 77;

		assert_int_equal(pf_parse_duration(cases[i].text, &v), cases[i].r);
		assert_true(v == (cases[i].r == 0 ? cases[i].ms : 77));
	}
}

static void cpus(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint32_t milli;
	} cases[] = {
		{"2", 0, 2000},
		{"0.5", 0, 500},
		{"0.001", 0, 1},
		{"0.0001", 0, 1},
		{"0.3334", 0, 334},
		{"4294967.295", 0, UINT32_MAX},
		{"4294967.296", -ERANGE, 0},
		{"0", -ERANGE, 0},
		{"0.0", -ERANGE, 0},
		{"18446744073709551616", -ERANGE, 0},
		{"18446744073709551", -ERANGE, 0},
		{"", -EINVAL, 0},
		{".5", -EINVAL, 0},
		{"1.", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"1,5", -EINVAL, 0},
		{"500m", -EINVAL, 0},
		{"nan", -EINVAL, 0},
		{"inf", -EINVAL, 0},
		{NULL, -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(cases); i++) {
		uint32_t v = 77;

		assert_int_equal(pf_parse_cpus(cases[i].text, &v), cases[i].r);
		assert_int_equal(v, cases[i].r == 0 ? cases[i].milli : 77);
	}
}

static void formats(void **state)
{
	static const struct {
		uint64_t v;
		const char *size, *duration;
	} cases[] = {
		{0, "0 B", "0 ms"},
		{412, "412 B", "412 ms"},
		{999, "999 B", "999 ms"},
		{1023, "1023 B", "1.02 s"},
		{1024, "1 KiB", "1.02 s"},
		{1500, "1.5 KiB", "1.50 s"},
		{59999, "58.6 KiB", "59.99 s"},
		{123000, "120.1 KiB", "2 m 3 s"},
		{1048575, "1 MiB", "17 m 28 s"},
		{1572864, "1.5 MiB", "26 m 12 s"},
		{3600000, "3.4 MiB", "1 h 0 m"},
		{1u << 30, "1 GiB", "298 h 15 m"},
		{(uint64_t)1 << 40, "1 TiB", "12725 d"},
		{((uint64_t)1 << 40) - 1, "1 TiB", "12725 d"},
		{UINT64_MAX, "16 EiB", "213503982334 d"},
	};
	char out[16];

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(cases); i++) {
		pf_format_size(cases[i].v, out);
		assert_string_equal(out, cases[i].size);
		pf_format_duration(cases[i].v, out);
		assert_string_equal(out, cases[i].duration);
	}
}

static void comparisons(void **state)
{
	(void)state;
	assert_true(pf_streq(NULL, NULL));
	assert_false(pf_streq("", NULL));
	assert_false(pf_streq(NULL, ""));
	assert_true(pf_streq("a", "a"));
	assert_true(pf_has_prefix("abc", "ab"));
	assert_true(pf_has_prefix("abc", ""));
	assert_false(pf_has_prefix("a", "ab"));
	assert_false(pf_has_prefix(NULL, ""));
}

static void utf8(void **state)
{
	static const char *const good[] = {
		"",
		"plain",
		"\xc3\xa9",
		"\xe2\x82\xac",
		"\xf0\x9f\x98\x80",
		"\xf4\x8f\xbf\xbf",
		"\xed\x9f\xbf",
	};
	static const char *const bad[] = {
		"\x80",
		"\xc0\xaf",
		"\xc1\xbf",
		"\xe0\x80\xaf",
		"\xe0\x9f\xbf",
		"\xed\xa0\x80",
		"\xed\xbf\xbf",
		"\xf0\x80\x80\x80",
		"\xf0\x8f\xbf\xbf",
		"\xc3",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xff",
		"\xfe",
		"\xc3(",
		"\xe2\x82",
		"\xf0\x9f\x98",
		"a\xe2(\xac",
	};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(good); i++)
		assert_true(pf_utf8_valid(good[i], strlen(good[i])));
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++)
		assert_false(pf_utf8_valid(bad[i], strlen(bad[i])));
	assert_true(pf_utf8_valid("a\0b", 3));
	assert_true(pf_utf8_valid(NULL, 0));
}

static void utf8_whole(void **state)
{
	static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"; /* 1, 2, 3, 4 bytes */
	static const size_t whole[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10};

	(void)state;
	for (size_t n = 0; n < PF_ARRAY_SIZE(whole); n++)
		assert_int_equal(pf_utf8_whole(text, n), whole[n]);
	/* what never becomes a character is not held back */
	assert_int_equal(pf_utf8_whole("a\x80", 2), 2);
	assert_int_equal(pf_utf8_whole("\x80\x80\x80\x80", 4), 4);
	assert_int_equal(pf_utf8_whole("a\xff", 2), 2);
	assert_int_equal(pf_utf8_whole("a\xc0", 2), 2);
}

static void check_printable(const char *in, size_t n, const char *expected)
{
	char out[256];

	pf_printable(in, n, out, sizeof(out));
	assert_string_equal(out, expected);
}

static void printable_escapes_what_a_terminal_obeys(void **state)
{
	(void)state;
	check_printable("plain \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 15,
			"plain \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	check_printable("a\x1b[31mb", 7, "a\\x1b[31mb");
	check_printable("\0\n\r\t\b\x7f", 6, "\\x00\\x0a\\x0d\\x09\\x08\\x7f");
	check_printable("\xc2\x9b", 2, "\\xc2\\x9b"); /* CSI in one character */
	check_printable("\x9b", 1, "\\x9b");	      /* and in one byte */
	check_printable("a\xe2\x80\xae"
			"b",
			5, "a\\xe2\\x80\\xaeb");			/* right-to-left override */
	check_printable("\xe2\x81\xa6", 3, "\\xe2\\x81\\xa6");		/* isolate */
	check_printable("\xd8\x9c", 2, "\\xd8\\x9c");			/* Arabic letter mark */
	check_printable("\xe2\x80\x8b", 3, "\\xe2\\x80\\x8b");		/* zero-width space */
	check_printable("\xef\xbb\xbf", 3, "\\xef\\xbb\\xbf");		/* byte order mark */
	check_printable("\xe2\x80\xa8", 3, "\\xe2\\x80\\xa8");		/* line separator */
	check_printable("\xf3\xa0\x81\x81", 4, "\\xf3\\xa0\\x81\\x81"); /* tag letter */
	check_printable("\xc3", 1, "\\xc3");
	check_printable("\xed\xa0\x80", 3, "\\xed\\xa0\\x80");
}

static void printable_is_cut(void **state)
{
	char out[8];

	(void)state;
	memset(out, 'x', sizeof(out));
	pf_printable("abc", 3, out, 0);
	assert_int_equal(out[0], 'x');
	pf_printable("abc", 3, out, 1);
	assert_string_equal(out, "");
	pf_printable("abc", 3, out, 3);
	assert_string_equal(out, "..");
	pf_printable("abc", 3, out, 4);
	assert_string_equal(out, "abc");
	pf_printable("abcd", 4, out, 4);
	assert_string_equal(out, "...");
	pf_printable("abcdefg", 7, out, 8);
	assert_string_equal(out, "abcdefg");
	pf_printable("abcdefgh", 8, out, 8);
	assert_string_equal(out, "abcd...");
	pf_printable("abc\x1b"
		     "efgh",
		     8, out, 8); /* no half escape */
	assert_string_equal(out, "abc...");
	pf_printable("abc\xf0\x9f\x98\x80zz", 9, out, 8); /* no half character */
	assert_string_equal(out, "abc...");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(u64_is_the_whole_string),
		cmocka_unit_test(u32_never_wraps),
		cmocka_unit_test(sizes),
		cmocka_unit_test(durations),
		cmocka_unit_test(cpus),
		cmocka_unit_test(formats),
		cmocka_unit_test(comparisons),
		cmocka_unit_test(utf8),
		cmocka_unit_test(utf8_whole),
		cmocka_unit_test(printable_escapes_what_a_terminal_obeys),
		cmocka_unit_test(printable_is_cut),
	};

	return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
