/* SPDX-License-Identifier: Apache-2.0 */
/* base/json: the reader, met as an enemy would. The writer: test_json_write.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/json.h"

static struct pf_json_doc *parse_ok(const char *text, unsigned flags)
{
	struct pf_json_doc *doc = NULL;
	struct pf_error err = {0};
	size_t n = strlen(text);
	char *exact = malloc(n ? n : 1); /* ASan sees a read beyond the input */

	assert_non_null(exact);
	memcpy(exact, text, n);
	if (pf_json_parse(exact, n, flags, &doc, &err) != 0)
		fail_msg("%s: %s", text, err.msg);
	free(exact);
	assert_int_equal(err.code, 0);
	return doc;
}

/* text is refused with code and a message that has this in it. */
static void refuse_n(const char *text, size_t n, unsigned flags, int code, const char *message)
{
	struct pf_json_doc *untouched = (void *)&n, *doc = untouched;
	struct pf_error err = {0};
	char *exact = malloc(n ? n : 1);
	int r;

	assert_non_null(exact);
	if (n)
		memcpy(exact, text, n);
	r = pf_json_parse(n ? exact : NULL, n, flags, &doc, &err);
	free(exact);
	if (r == 0)
		fail_msg("accepted: %.*s", n < 60 ? (int)n : 60, n ? text : "");
	assert_int_equal(r, code);
	assert_int_equal(err.code, code);
	assert_ptr_equal(doc, untouched);
	if (!strstr(err.msg, message))
		fail_msg("%.60s: got \"%s\", not \"%s\"", text, err.msg, message);
}

static void refuse(const char *text, const char *message)
{
	refuse_n(text, strlen(text), 0, -EINVAL, message);
}

static void values_have_type_and_line(void **state)
{
	struct pf_json_doc *doc =
		parse_ok("{\n \"a\": [1, -2.5e1,\n true, null],\n\"s\"\n:\n\"x\"\n, \"o\": {}}", 0);
	const struct pf_json *root = pf_json_root(doc), *a = pf_json_get(root, "a"), *v = a->list.first;

	(void)state;
	assert_int_equal(root->type, PF_JSON_OBJECT);
	assert_int_equal(root->list.count, 3);
	assert_int_equal(root->line, 1);
	assert_null(root->key);
	assert_int_equal(a->line, 2);
	assert_string_equal(a->key, "a");
	assert_int_equal(a->list.count, 4);
	assert_int_equal(v->i, 1);
	assert_null(v->key);
	v = v->next;
	assert_int_equal(v->type, PF_JSON_DOUBLE);
	assert_true(v->d == -25.0);
	v = v->next;
	assert_int_equal(v->type, PF_JSON_BOOL);
	assert_true(v->b);
	assert_int_equal(v->line, 3);
	assert_int_equal(v->next->type, PF_JSON_NULL);
	assert_null(v->next->next);
	v = pf_json_get(root, "s");
	assert_int_equal(v->line, 4); /* its key's, not its value's */
	assert_string_equal(v->str.s, "x");
	assert_int_equal(pf_json_get(root, "o")->list.count, 0);
	assert_null(pf_json_get(root, "none"));
	assert_null(pf_json_get(a, "a"));
	assert_null(pf_json_get(NULL, "a"));
	pf_json_free(doc);
	pf_json_free(NULL);
}

static void scalars_stand_alone(void **state)
{
	static const char *const texts[] = {"null", " true ", "\tfalse\r\n", "0",   "-0",
					    "\"\"", "[]",     "{}",	     "[[]]"};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(texts); i++)
		pf_json_free(parse_ok(texts[i], 0));
}

static void syntax_errors_name_the_line(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"", "line 1: expected a value, found the end of the input"},
		{" \n\n ", "line 3: expected a value"},
		{"{\n\n\"a\" 1}", "line 3: expected ':' behind the key, found '1'"},
		{"{\"a\":1 \"b\":2}", "line 1: expected ',' or '}', found '\"'"},
		{"[1\n2]", "line 2: expected ',' or ']', found '2'"},
		{"[1,]", "line 1: no ',' may stand before ']'"},
		{"{\"a\":1,}", "no ',' may stand before '}'"},
		{"[,]", "expected a value, found ','"},
		{"[,1]", "expected a value, found ','"},
		{"{,}", "expected a key in double quotes, found ','"},
		{"[1,,2]", "expected a value, found ','"},
		{"[", "expected a value or ']', found the end"},
		{"[1", "expected ',' or ']', found the end"},
		{"[1,", "expected a value or ']', found the end"},
		{"{", "expected a key or '}', found the end"},
		{"{\"a\"", "expected ':' behind the key, found the end"},
		{"{\"a\":", "expected a value, found the end"},
		{"{\"a\":}", "expected a value, found '}'"},
		{"{\"a\":1", "expected ',' or '}', found the end"},
		{"{a:1}", "expected a key in double quotes, found 'a'"},
		{"{'a':1}", "expected a key in double quotes, found '''"},
		{"{1:1}", "expected a key in double quotes, found '1'"},
		{"[1}", "expected ',' or ']', found '}'"},
		{"{\"a\":1]", "expected ',' or '}', found ']'"},
		{"]", "expected a value, found ']'"},
		{"1 2", "expected nothing more behind the value, found '2'"},
		{"{}\n{}", "line 2: expected nothing more"},
		{"nul", "expected a value, found 'n'"},
		{"nulll", "expected nothing more behind the value, found 'l'"},
		{"True", "expected a value, found 'T'"},
		{"NaN", "expected a value, found 'N'"},
		{"Infinity", "expected a value, found 'I'"},
		{"-Infinity", "expected a digit, found 'I'"},
		{"undefined", "expected a value, found 'u'"},
		{"\xef\xbb\xbf{}", "expected a value, found '\\xef\\xbb\\xbf'"},
		{"\x1b[2J", "expected a value, found '\\x1b'"},
		{"\xff", "expected a value, found '\\xff'"},
		{"\x0b{}", "expected a value, found '\\x0b'"},
		{"\xc2\xa0{}", "expected a value, found '"},
		{"// x\n1", "line 1: comments are not allowed here"},
		{"[1, /* x */ 2]", "comments are not allowed here"},
	};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(cases); i++)
		refuse(cases[i].text, cases[i].message);
	refuse_n("{}\0", 3, 0, -EINVAL, "found '\\x00'");
}

static void numbers(void **state)
{
	static const char *const bad[] = {
		"-",	 "+1",	"01",  "-01", "00", "1.",  ".5",   "1.e1", "1e",  "1e+",
		"1e1.5", "0x1", "1_0", "--1", "1a", "- 1", "1.5.", "0b1",  "1,5", "-.5",
	};
	static const char *const large[] = {
		"9223372036854775808",	   "-9223372036854775809",   "1e309", "-1e309",
		"99999999999999999999999", "1e99999999999999999999",
	};
	struct pf_json_doc *doc =
		parse_ok("[9223372036854775807,-9223372036854775808,-0,0.1,1E2,1e-400,0e0,1.0]", 0);
	const struct pf_json *v = pf_json_root(doc)->list.first;

	(void)state;
	assert_true(v->i == INT64_MAX);
	v = v->next;
	assert_true(v->i == INT64_MIN);
	v = v->next;
	assert_int_equal(v->type, PF_JSON_INT);
	assert_int_equal(v->i, 0);
	v = v->next;
	assert_true(v->d == 0.1);
	v = v->next;
	assert_int_equal(v->type, PF_JSON_DOUBLE);
	assert_true(v->d == 100.0);
	v = v->next;
	assert_true(v->d == 0.0);
	v = v->next->next;
	assert_int_equal(v->type, PF_JSON_DOUBLE);
	pf_json_free(doc);
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++)
		refuse(bad[i], "line 1: ");
	for (size_t i = 0; i < PF_ARRAY_SIZE(large); i++)
		refuse(large[i], "line 1: number is too large");
}

static void check_string(const char *text, const char *expected)
{
	struct pf_json_doc *doc = parse_ok(text, 0);
	const struct pf_json *v = pf_json_root(doc);

	assert_int_equal(v->type, PF_JSON_STRING);
	assert_string_equal(v->str.s, expected);
	assert_int_equal(v->str.len, strlen(expected));
	pf_json_free(doc);
}

static void strings(void **state)
{
	static const struct {
		const char *text, *message;
	} bad[] = {
		{"\"a", "string is not closed"},
		{"\"", "string is not closed"},
		{"\"\\", "expected an escape, found the end"},
		{"\"\\\"", "string is not closed"},
		{"[\n\"a\nb\"]", "line 2: string is not closed on its line"},
		{"\"a\tb\"", "control character \\u0009 in a string"},
		{"\"\x1f\"", "control character \\u001f in a string"},
		{"\"\\x41\"", "behind the backslash, found 'x'"},
		{"\"\\'\"", "behind the backslash, found '''"},
		{"\"\\U0041\"", "behind the backslash, found 'U'"},
		{"\"\\u\"", "\\u needs four hexadecimal digits"},
		{"\"\\u12", "\\u needs four hexadecimal digits"},
		{"\"\\u12g4\"", "\\u needs four hexadecimal digits"},
		{"\"\\u+123\"", "\\u needs four hexadecimal digits"},
		{"\"\\u 123\"", "\\u needs four hexadecimal digits"},
		{"\"\\u0000\"", "NUL in a string"},
		{"{\"a\\u0000b\":1}", "NUL in a string"},
		{"\"\\ud800\"", "\\ud800 is half a surrogate pair"},
		{"\"\\udc00\"", "\\udc00 is half a surrogate pair"},
		{"\"\\ud800x\"", "\\ud800 is half a surrogate pair"},
		{"\"\\ud800\\n\"", "\\ud800 is half a surrogate pair"},
		{"\"\\ud800\\ud800\"", "\\ud800 is half a surrogate pair"},
		{"\"\\ud800\\u0041\"", "\\ud800 is half a surrogate pair"},
		{"\"\\udc00\\ud800\"", "\\udc00 is half a surrogate pair"},
		{"\"\\ud83d\\ude0\"", "\\u needs four hexadecimal digits"},
		{"\"\xff\"", "string is not valid UTF-8"},
		{"\"\xc3\"", "string is not valid UTF-8"},
		{"\"\xed\xa0\x80\"", "string is not valid UTF-8"},
		{"\"\xc0\x80\"", "string is not valid UTF-8"},
		{"\"\xc3\\n\xa9\"", "string is not valid UTF-8"},
		{"\"\xf4\x90\x80\x80\"", "string is not valid UTF-8"},
	};

	(void)state;
	check_string("\"\"", "");
	check_string("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t");
	check_string("\"\\u0041\\u00e9\\u20AC\\uffff\"", "A\xc3\xa9\xe2\x82\xac\xef\xbf\xbf");
	check_string("\"\\uD83D\\uDe00\"", "\xf0\x9f\x98\x80");
	check_string("\"\\uDBFF\\uDFFF\\uD800\\uDC00\"", "\xf4\x8f\xbf\xbf\xf0\x90\x80\x80");
	check_string("\"\xc3\xa9 \x7f // [,] \"", "\xc3\xa9 \x7f // [,] ");
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++)
		refuse(bad[i].text, bad[i].message);
	refuse_n("\"a\0b\"", 5, 0, -EINVAL, "control character \\u0000 in a string");
}

static void duplicates_are_refused(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};

	(void)state;
	refuse("{\"a\":1,\n\"b\":2,\n\"a\":3}", "line 3: key \"a\" is already given in line 1");
	refuse("[{\"\":1,\"\":2}]", "line 1: key \"\" is already given in line 1");
	refuse("{\"a\":1,\n\"\\u0061\":2}", "line 2: key \"a\" is already given"); /* however written */
	refuse("{\"\\u001b[2J\":1,\"\\u001b[2J\":2}", "key \"\\x1b[2J\" is already given");
	pf_json_free(parse_ok("{\"a\":{\"a\":1},\"A\":[{\"a\":1},{\"a\":1}]}", 0));

	/* the other way to find them: many members */
	pf_buf_adds(&b, "{");
	for (int i = 0; i < 1000; i++)
		pf_buf_addf(&b, "\"k%d\":%d,\n", i * 7919 % 1000, i);
	pf_buf_adds(&b, "\"z\":0}");
	pf_json_free(parse_ok(b.data, 0));
	b.len--;
	pf_buf_adds(&b, ",\n\"k0\":1}");
	refuse(b.data, "line 1002: key \"k0\" is already given in line 1");
}

static char *repeat(const char *head, const char *unit, size_t n, const char *tail)
{
	struct pf_buf b = {0};

	pf_buf_adds(&b, head);
	for (size_t i = 0; i < n; i++)
		pf_buf_adds(&b, unit);
	pf_buf_adds(&b, tail);
	assert_false(b.failed);
	return b.data;
}

static void depth_is_bounded(void **state)
{
	PF_AUTO_FREE char *most =
		repeat("", "[", 64, "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
	PF_AUTO_FREE char *deep = repeat("", "[", 65, "");
	PF_AUTO_FREE char *abyss = repeat("", "{\"a\":\n", 100000, "");

	(void)state;
	pf_json_free(parse_ok(most, 0));
	refuse_n(deep, strlen(deep), 0, -E2BIG, "line 1: nested deeper than 64");
	refuse_n(abyss, strlen(abyss), 0, -E2BIG, "line 65: nested deeper than 64");
}

static void values_are_bounded(void **state)
{
	PF_AUTO_FREE char *most = repeat("[", "0,", 199998, "0]"); /* and the array itself */
	PF_AUTO_FREE char *more = repeat("[", "0,", 199999, "0]");

	(void)state;
	pf_json_free(parse_ok(most, 0));
	refuse_n(more, strlen(more), 0, -E2BIG, "more than 200000 values");
}

static void input_is_bounded(void **state)
{
	PF_AUTO_FREE char *most = repeat("", " ", (4 << 20) - 1, "1");
	PF_AUTO_FREE char *more = repeat("", " ", 4 << 20, "1");

	(void)state;
	pf_json_free(parse_ok(most, 0));
	refuse_n(more, strlen(more), 0, -E2BIG, "longer than 4 MiB");
}

/* Inputs of the largest size that quadratic readers choke on. */
static void hostile_inputs_are_linear(void **state)
{
	PF_AUTO_BUF struct pf_buf keys = {0};
	PF_AUTO_FREE char *digits = repeat("[1.", "1", 4000000, "]");
	PF_AUTO_FREE char *zeros = repeat("0.", "0", 4000000, "1");
	PF_AUTO_FREE char *escapes = repeat("\"", "\\u0041", 690000, "\"");
	PF_AUTO_FREE char *comments = repeat("", "/* */", 800000, "1");
	clock_t start = clock();

	(void)state;
	pf_buf_adds(&keys, "{");
	for (int i = 0; i < 150000; i++)
		pf_buf_addf(&keys, "\"key%d\":0,", i);
	pf_buf_adds(&keys, "\"\":0}");
	pf_json_free(parse_ok(keys.data, 0));
	pf_json_free(parse_ok(digits, 0));
	pf_json_free(parse_ok(zeros, 0));
	pf_json_free(parse_ok(escapes, 0));
	pf_json_free(parse_ok(comments, PF_JSON_RELAXED));
	assert_true((clock() - start) / CLOCKS_PER_SEC < 10);
}

static void relaxed_allows_comments_and_trailing_commas(void **state)
{
	struct pf_json_doc *doc = parse_ok("// head\n{ /* a\n\n**/ \"a\" /**/ : //x\n [1, 2, /*,*/ ],\n"
					   "\"url\": \"http://x/*y*/\", // end\n}\n// no newline",
					   PF_JSON_RELAXED);
	const struct pf_json *root = pf_json_root(doc);
	static const struct {
		const char *text, *message;
	} bad[] = {
		{"1 /* x\n\n", "line 1: comment is not closed"},
		{"\n/*/ 1", "line 2: comment is not closed"},
		{"/ 1", "expected a value or a comment, found '/'"},
		{"1 /", "expected a value or a comment, found '/'"},
		{"# x\n1", "expected a value, found '#'"},
		{"// only a comment", "expected a value, found the end"},
		{"[,]", "expected a value, found ','"},
		{"{,}", "expected a key in double quotes, found ','"},
		{"[1,,]", "expected a value, found ','"},
		{"1,", "expected nothing more behind the value, found ','"},
		{"{'a':1}", "expected a key in double quotes"},
		{"[1 /* /* */ */]", "found '*'"},
	};

	(void)state;
	assert_int_equal(root->line, 2);
	assert_int_equal(pf_json_get(root, "a")->line, 4);
	assert_int_equal(pf_json_get(root, "a")->list.count, 2);
	assert_string_equal(pf_json_get(root, "url")->str.s, "http://x/*y*/");
	pf_json_free(doc);
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++)
		refuse_n(bad[i].text, strlen(bad[i].text), PF_JSON_RELAXED, -EINVAL, bad[i].message);
}

static void type_names(void **state)
{
	(void)state;
	assert_string_equal(pf_json_type_name(PF_JSON_NULL), "null");
	assert_string_equal(pf_json_type_name(PF_JSON_OBJECT), "object");
	assert_string_equal(pf_json_type_name((enum pf_json_type)99), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_have_type_and_line),
		cmocka_unit_test(scalars_stand_alone),
		cmocka_unit_test(syntax_errors_name_the_line),
		cmocka_unit_test(numbers),
		cmocka_unit_test(strings),
		cmocka_unit_test(duplicates_are_refused),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(values_are_bounded),
		cmocka_unit_test(input_is_bounded),
		cmocka_unit_test(hostile_inputs_are_linear),
		cmocka_unit_test(relaxed_allows_comments_and_trailing_commas),
		cmocka_unit_test(type_names),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
