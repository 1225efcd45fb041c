/* SPDX-License-Identifier: Apache-2.0 */
/* base/json: the writer, and that what it writes the reader reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"

static void write_sample(struct pf_jsonw *w)
{
	pf_jsonw_begin(w, '{');
	pf_jsonw_kstr(w, "s", "x");
	pf_jsonw_kint(w, "i", -5);
	pf_jsonw_kbool(w, "b", true);
	pf_jsonw_knull(w, "n");
	pf_jsonw_kstr(w, "none", NULL);
	pf_jsonw_key(w, "a");
	pf_jsonw_begin(w, '[');
	pf_jsonw_uint(w, UINT64_MAX);
	pf_jsonw_begin(w, '[');
	pf_jsonw_end(w, ']');
	pf_jsonw_begin(w, '{');
	pf_jsonw_end(w, '}');
	pf_jsonw_end(w, ']');
	pf_jsonw_end(w, '}');
}

static void layout(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf_jsonw w;

	(void)state;
	pf_jsonw_init(&w, &b, 0);
	write_sample(&w);
	assert_string_equal(b.data, "{\"s\":\"x\",\"i\":-5,\"b\":true,\"n\":null,\"none\":null,"
				    "\"a\":[18446744073709551615,[],{}]}");
	assert_int_equal(w.depth, 0);
	assert_false(b.failed);
	pf_buf_consume(&b, b.len);
	pf_jsonw_init(&w, &b, 2);
	write_sample(&w);
	assert_string_equal(b.data, "{\n  \"s\": \"x\",\n  \"i\": -5,\n  \"b\": true,\n  \"n\": null,\n"
				    "  \"none\": null,\n  \"a\": [\n    18446744073709551615,\n    [],\n"
				    "    {}\n  ]\n}");
}

static void check_string(const char *s, size_t n, const char *expected)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf_jsonw w;

	pf_jsonw_init(&w, &b, 0);
	pf_jsonw_strn(&w, s, n);
	assert_string_equal(b.data, expected);
}

static void strings_are_escaped(void **state)
{
	(void)state;
	check_string(NULL, 0, "\"\"");
	check_string("a\"b\\c/", 6, "\"a\\\"b\\\\c/\"");
	check_string("\b\f\n\r\t\x01\x1f\x7f", 8, "\"\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\"");
	check_string("a\0b", 3, "\"a\\u0000b\"");
	check_string("\xc3\xa9\xf0\x9f\x98\x80", 6, "\"\xc3\xa9\xf0\x9f\x98\x80\"");
	check_string("\xc2\x9b\xe2\x80\xae\xf3\xa0\x81\x81", 9, "\"\\u009b\\u202e\\udb40\\udc41\"");
	check_string("a\xff\xc3", 3, "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
	check_string("\xed\xa0\x80z", 4, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"");
}

static void check_double(double v, const char *expected)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf_jsonw w;

	pf_jsonw_init(&w, &b, 0);
	pf_jsonw_double(&w, v);
	if (expected)
		assert_string_equal(b.data, expected);
	assert_true(strtod(b.data, NULL) == v || !isfinite(v));
}

static void doubles(void **state)
{
	(void)state;
	check_double(0.1, "0.1");
	check_double(1.5, "1.5");
	check_double(3, "3");
	check_double(1e300, "1e+300");
	check_double(0.1 + 0.2, "0.30000000000000004");
	check_double(123456789, "123456789");
	check_double(NAN, "null");
	check_double(INFINITY, "null");
	check_double(-INFINITY, "null");
	check_double(DBL_MAX, NULL);
	check_double(DBL_MIN, NULL);
	check_double(DBL_TRUE_MIN, NULL);
	check_double(1.0 / 3, NULL);
}

static void base64(void **state)
{
	/* RFC 4648, 10 */
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"", "\"\""},
		{"f", "\"Zg==\""},
		{"fo", "\"Zm8=\""},
		{"foo", "\"Zm9v\""},
		{"foob", "\"Zm9vYg==\""},
		{"fooba", "\"Zm9vYmE=\""},
		{"foobar", "\"Zm9vYmFy\""},
		{"\xff\xfe\xfb", "\"//77\""},
	};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(cases); i++) {
		PF_AUTO_BUF struct pf_buf b = {0};
		struct pf_jsonw w;

		pf_jsonw_init(&w, &b, 0);
		pf_jsonw_base64(&w, cases[i].in, strlen(cases[i].in));
		assert_string_equal(b.data, cases[i].out);
	}
}

static void nesting_is_bounded(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf_json_doc *doc;
	struct pf_jsonw w;

	(void)state;
	pf_jsonw_init(&w, &b, 1);
	for (int i = 0; i < 32; i++) {
		pf_jsonw_begin(&w, '[');
		pf_jsonw_int(&w, i);
	}
	for (int i = 0; i < 32; i++) {
		pf_jsonw_int(&w, i);
		pf_jsonw_end(&w, ']');
	}
	assert_false(b.failed);
	assert_int_equal(pf_json_parse(b.data, b.len, 0, &doc, NULL), 0);
	pf_json_free(doc);
	for (int i = 0; i < 33; i++)
		pf_jsonw_begin(&w, '[');
	assert_true(b.failed);
}

static void misuse_fails(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf_jsonw w;

	(void)state;
	pf_jsonw_init(&w, &b, 0);
	pf_jsonw_end(&w, '}');
	assert_true(b.failed);
	pf_buf_free(&b);
	pf_jsonw_key(&w, "k");
	assert_true(b.failed);
	pf_buf_free(&b);
	pf_jsonw_begin(&w, '{');
	pf_jsonw_key(&w, "k");
	pf_jsonw_end(&w, '}');
	assert_true(b.failed);
}

static void limit_fails(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {.limit = 16};
	struct pf_jsonw w;

	(void)state;
	pf_jsonw_init(&w, &b, 0);
	write_sample(&w);
	assert_true(b.failed);
	assert_true(b.len <= 16);
	assert_null(pf_buf_steal(&b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout),
		cmocka_unit_test(strings_are_escaped),
		cmocka_unit_test(doubles),
		cmocka_unit_test(base64),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(misuse_fails),
		cmocka_unit_test(limit_fails),
	};

	return cmocka_run_group_tests_name("json_write", tests, NULL, NULL);
}
