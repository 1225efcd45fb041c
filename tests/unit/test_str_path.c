/* SPDX-License-Identifier: Apache-2.0 */
/* base/path: cleaning, containment, globs. */
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
#include "base/str.h"

static void clean_paths(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"/", "/"},
		{"//", "/"},
		{"/.", "/"},
		{"/./.", "/"},
		{".", "."},
		{"./", "."},
		{"././/.", "."},
		{"a", "a"},
		{"a/", "a"},
		{"./a", "a"},
		{"/a//b/./c/", "/a/b/c"},
		{"a/./b", "a/b"},
		{"...", "..."},
		{"/..a", "/..a"},
		{"a../b", "a../b"},
		{".a", ".a"},
		{" ", " "},
		{"/a\nb", "/a\nb"},
		{"//a", "/a"},
	};
	static const char *const bad[] = {"", "..", "/..", "../a", "a/..", "a/../b", "/a/./..//b", "./.."};
	char out[64];

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(cases); i++) {
		assert_int_equal(pf_path_clean(cases[i].in, out, sizeof(out)), 0);
		assert_string_equal(out, cases[i].out);
	}
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++) {
		strcpy(out, "untouched");
		assert_int_equal(pf_path_clean(bad[i], out, sizeof(out)), -EINVAL);
		assert_string_equal(out, "untouched");
	}
	assert_int_equal(pf_path_clean(NULL, out, sizeof(out)), -EINVAL);
}

static void clean_measures(void **state)
{
	char out[8] = "sevenxx", same[] = "/a//./b/";

	(void)state;
	assert_int_equal(pf_path_clean("/a/b", out, 5), 0);
	assert_string_equal(out, "/a/b");
	assert_int_equal(pf_path_clean("/c/d", out, 4), -ENAMETOOLONG);
	assert_string_equal(out, "/a/b");
	assert_int_equal(pf_path_clean(".", out, 1), -ENAMETOOLONG);
	assert_int_equal(pf_path_clean(".", out, 0), -ENAMETOOLONG);
	assert_int_equal(pf_path_clean("/////////////////////a", out, sizeof(out)), 0);
	assert_string_equal(out, "/a");
	assert_int_equal(pf_path_clean(same, same, sizeof(same)), 0);
	assert_string_equal(same, "/a/b");
}

static void within(void **state)
{
	(void)state;
	assert_true(pf_path_within("/a/b", "/a"));
	assert_true(pf_path_within("/a", "/a"));
	assert_true(pf_path_within("/", "/"));
	assert_true(pf_path_within("/a", "/"));
	assert_true(pf_path_within("a/b", "."));
	assert_true(pf_path_within(".", "."));
	assert_false(pf_path_within("/ab", "/a"));
	assert_false(pf_path_within("/a", "/a/b"));
	assert_false(pf_path_within("a", "/"));
	assert_false(pf_path_within("/a", "."));
	assert_false(pf_path_within("/A", "/a"));
}

struct glob_case {
	const char *pattern, *path;
	bool match;
};

static void check_globs(const struct glob_case *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (pf_glob_match(c[i].pattern, c[i].path) != c[i].match)
			fail_msg("\"%s\" %s \"%s\"", c[i].pattern, c[i].match ? "misses" : "matches",
				 c[i].path);
	}
}

static void glob_stars_stay_in_a_component(void **state)
{
	static const struct glob_case cases[] = {
		{"", "", true},
		{"", "a", false},
		{"a", "a", true},
		{"a", "A", false},
		{"*", "a", true},
		{"*", "", true},
		{"*", ".hidden", true},
		{"*", "a/b", false},
		{"*", "/", false},
		{"/*", "/a", true},
		{"/*", "/a/b", false},
		{"*.c", "x.c", true},
		{"*.c", "d/x.c", false},
		{"*/*", "a/b", true},
		{"a*b*c", "aXbYc", true},
		{"a*b*c", "abcbc", true},
		{"a*b*c", "abcb", false},
		{"a*b*c", "a/bc", false},
		{"*a*a*b", "aaaaaaab", true},
		{"***", "abc", true},
		{"a**b", "axxb", true},
		{"a**b", "a/b", false},
		{"?", "a", true},
		{"?", "", false},
		{"?", "/", false},
		{"a?b", "a/b", false},
		{"??", "ab", true},
		{"\\*", "*", false}, /* a backslash is a byte */
		{"\\*", "\\x", true},
		{"[*]", "*", true},
		{"[*]", "x", false},
		{"a/", "a", false},
		{"a", "a/", false},
		{"a/", "a/", true},
	};

	(void)state;
	check_globs(cases, PF_ARRAY_SIZE(cases));
}

static void glob_sets(void **state)
{
	static const struct glob_case cases[] = {
		{"[abc]", "b", true},
		{"[abc]", "d", false},
		{"[a-c]x", "bx", true},
		{"[a-c]", "-", false},
		{"[c-a]", "b", false},
		{"[!a-c]", "d", true},
		{"[^a-c]", "b", false},
		{"[!a]", "/", false}, /* no set matches a slash */
		{"x[!a]y", "x/y", false},
		{"x[.-0]y", "x/y", false}, /* nor through a range */
		{"[]]", "]", true},
		{"[]a]", "a", true},
		{"[!]]", "]", false},
		{"[!]]", "x", true},
		{"[a-]", "-", true},
		{"[-a]", "-", true},
		{"[a-", "[a-", true}, /* not closed: itself */
		{"[", "[", true},
		{"[!", "[!", true},
		{"[]", "[]", true},
		{"[!]", "[!]", true},
		{"[a/b]", "[a/b]", true},
		{"[a/b]", "a", false},
		{"*[0-9].log", "x12.log", true},
		{"*[0-9].log", "x.log", false},
		{"[[]", "[", true},
		{"[a][b][c]", "abc", true},
		{"[\xc3-\xc4]", "\xc3", true}, /* bytes, unsigned */
		{"[a-\xff]", "\x80", true},
	};

	(void)state;
	check_globs(cases, PF_ARRAY_SIZE(cases));
}

static void glob_double_star_takes_components(void **state)
{
	static const struct glob_case cases[] = {
		{"**", "", true},
		{"**", "a", true},
		{"**", "a/b/c", true},
		{"**", "/a/b", true},
		{"/**", "/a/b", true},
		{"/**", "a", false},
		{"a/**", "a", true}, /* no component at all */
		{"a/**", "a/b/c", true},
		{"a/**", "ab", false},
		{"**/b", "b", true},
		{"**/b", "a/a/b", true},
		{"**/b", "ab", false},
		{"a/**/b", "a/b", true},
		{"a/**/b", "a/x/y/b", true},
		{"a/**/b", "a/x/y/c", false},
		{"**/*.c", "x.c", true},
		{"**/*.c", "a/b/x.c", true},
		{"**/*.c", "a/b/x.h", false},
		{"**/a/**/b/**", "x/a/y/b", true},
		{"**/a/**/b/**", "x/b/y/a", false},
		{"**/a/b", "a/a/b", true},
		{"**/a/b", "a/c/a/a/b", true},
		{"**/a/b/**/c", "a/a/b/a/c/c", true},
		{"**/**/**", "a", true},
		{"**/**/x", "x", true},
		{"/etc/**", "/etc", true},
		{"/etc/**", "/etcetera", false},
		{"**/.git/**", "w/.git/hooks/x", true},
		{"**/.git/**", "w/.github/x", false},
	};

	(void)state;
	check_globs(cases, PF_ARRAY_SIZE(cases));
}

static void glob_is_pattern(void **state)
{
	(void)state;
	assert_true(pf_glob_is_pattern("a*"));
	assert_true(pf_glob_is_pattern("?"));
	assert_true(pf_glob_is_pattern("x[y]"));
	assert_false(pf_glob_is_pattern("/plain/path]"));
	assert_false(pf_glob_is_pattern(""));
}

static char *repeat(const char *unit, size_t n, const char *tail)
{
	size_t k = strlen(unit);
	char *s = malloc(n * k + strlen(tail) + 1);

	assert_non_null(s);
	for (size_t i = 0; i < n; i++)
		memcpy(s + i * k, unit, k);
	strcpy(s + n * k, tail);
	return s;
}

/* Patterns that take a backtracking matcher years. */
static void glob_never_hangs(void **state)
{
	static const struct {
		const char *unit, *tail, *path_unit;
	} cases[] = {
		{"*a", "b", "a"},     {"**/a/", "b", "a/"}, {"*a/**/", "b", "aaaa/"},
		{"[", "b", "["},      {"*[", "b", "["},	    {"[!", "", "["},
		{"*[a-z]", "0", "a"}, {"**/", "b", "a/"},   {"*?", "b", "a"},
	};
	clock_t start = clock();

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(cases); i++) {
		PF_AUTO_FREE char *pattern = repeat(cases[i].unit, 1000, cases[i].tail);
		PF_AUTO_FREE char *path = repeat(cases[i].path_unit, 2000, "");

		assert_false(pf_glob_match(pattern, path));
	}
	assert_true((clock() - start) / CLOCKS_PER_SEC < 5);
}

/* The definition by recursion, exponential and plain, to compare with. start: at a component's start. */
static bool slow_match(const char *p, const char *s, bool start)
{
	if (start && p[0] == '*' && p[1] == '*' && (p[2] == '/' || p[2] == '\0')) {
		if (p[2] == '\0' || slow_match(p + 3, s, true))
			return true;
		s = strchr(s, '/');
		return s && slow_match(p, s + 1, true);
	}
	if (*s == '\0') { /* behind the last component "**" takes none */
		while (strncmp(p, "/**", 3) == 0 && (p[3] == '/' || p[3] == '\0'))
			p += 3;
	}
	if (*p == '\0')
		return *s == '\0';
	if (*p == '*')
		return slow_match(p + 1, s, false) || (*s && *s != '/' && slow_match(p, s + 1, false));
	if (*s == '\0')
		return false;
	if (*p == '/')
		return *s == '/' && slow_match(p + 1, s + 1, true);
	return (*p == *s || (*p == '?' && *s != '/')) && slow_match(p + 1, s + 1, false);
}

/* Every pattern of up to six of "a*?/" against every path of up to five of "a/b". */
static void glob_agrees_with_its_definition(void **state)
{
	static const char in_pattern[] = "a*?/", in_path[] = "a/b";
	char p[7], s[6];

	(void)state;
	for (unsigned pn = 0; pn < 5461; pn++) {
		unsigned v = pn, k = 0, span = 1;

		for (; v >= span; span *= 4, k++) /* k letters, counting from the empty one */
			v -= span;
		for (unsigned i = 0; i < k; i++, v /= 4)
			p[i] = in_pattern[v % 4];
		p[k] = '\0';
		for (unsigned sn = 0; sn < 364; sn++) {
			unsigned w = sn, m = 0, wide = 1;

			for (; w >= wide; wide *= 3, m++)
				w -= wide;
			for (unsigned i = 0; i < m; i++, w /= 3)
				s[i] = in_path[w % 3];
			s[m] = '\0';
			if (pf_glob_match(p, s) != slow_match(p, s, true))
				fail_msg("\"%s\" on \"%s\" is %d", p, s, pf_glob_match(p, s));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clean_paths),
		cmocka_unit_test(clean_measures),
		cmocka_unit_test(within),
		cmocka_unit_test(glob_stars_stay_in_a_component),
		cmocka_unit_test(glob_sets),
		cmocka_unit_test(glob_double_star_takes_components),
		cmocka_unit_test(glob_is_pattern),
		cmocka_unit_test(glob_never_hangs),
		cmocka_unit_test(glob_agrees_with_its_definition),
	};

	return cmocka_run_group_tests_name("str_path", tests, NULL, NULL);
}
