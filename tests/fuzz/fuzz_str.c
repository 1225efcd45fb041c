/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/str, path and text. The input, cut at its first NUL, gives two strings: a pattern
 * and a path, and each is also a number, a path to clean and text to print.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                             \
	do {                                                                                                 \
		if (!(x)) {                                                                                  \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                              \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

static void check_numbers(const char *s)
{
	uint64_t u = 77, size = 77, ms = 77;
	uint32_t u32 = 77, milli = 77;
	char text[32];
	int r = pf_parse_u64(s, &u);

	CHECK(r == 0 || ((r == -EINVAL || r == -ERANGE) && u == 77));
	if (r == 0) {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)u);
		CHECK(strcmp(text, s + (u ? strspn(s, "0") : strlen(s) - 1)) == 0);
		CHECK(pf_parse_size(s, &size) == 0 && size == u);
	}
	if (pf_parse_u32(s, &u32) == 0)
		CHECK(r == 0 && u32 == u);
	else
		CHECK(u32 == 77 && (r < 0 || u > UINT32_MAX));
	r = pf_parse_duration(s, &ms);
	CHECK(r == 0 || ((r == -EINVAL || r == -ERANGE) && ms == 77));
	r = pf_parse_cpus(s, &milli);
	CHECK(r == 0 ? milli > 0 : milli == 77);
	pf_format_size(u, text);
	CHECK(strlen(text) < 16);
	pf_format_duration(u, text);
	CHECK(strlen(text) < 16);
}

/* Is this what pf_path_clean() may return? */
static void check_is_clean(const char *s)
{
	size_t n = strlen(s);

	CHECK(n > 0);
	if (strcmp(s, "/") == 0 || strcmp(s, ".") == 0)
		return;
	CHECK(s[n - 1] != '/' && !strstr(s, "//"));
	for (const char *p = s + (*s == '/'); p; p = strchr(p, '/')) {
		size_t k;

		p += *p == '/';
		k = strcspn(p, "/");
		CHECK(k > 0);
		CHECK(!(k == 1 && p[0] == '.') && !(k == 2 && p[0] == '.' && p[1] == '.'));
	}
}

static void check_clean(const char *s)
{
	size_t n = strlen(s);
	PF_AUTO_FREE char *out = malloc(n + 2);
	PF_AUTO_FREE char *again = malloc(n + 2);
	PF_AUTO_FREE char *exact = NULL;

	if (pf_path_clean(s, out, n + 2) < 0)
		return;
	check_is_clean(out);
	CHECK(strlen(out) <= n && (*out == '/') == (*s == '/'));
	CHECK(pf_path_clean(out, again, n + 2) == 0 && strcmp(out, again) == 0);
	CHECK(pf_path_within(out, out) && pf_path_within(out, *out == '/' ? "/" : "."));
	exact = malloc(strlen(out) + 1); /* ASan watches the room */
	CHECK(pf_path_clean(s, exact, strlen(out)) == -ENAMETOOLONG);
	CHECK(pf_path_clean(s, exact, strlen(out) + 1) == 0);
}

static void check_glob(const char *pattern, const char *path)
{
	bool match = pf_glob_match(pattern, path);

	CHECK(pf_glob_match("**", path));
	if (!pf_glob_is_pattern(pattern))
		CHECK(match == (strcmp(pattern, path) == 0));
	if (!pf_glob_is_pattern(path))
		CHECK(pf_glob_match(path, path));
}

static void check_printable(const char *s, size_t n)
{
	size_t cap = n % 40 + 1;
	PF_AUTO_FREE char *small = malloc(cap);
	PF_AUTO_FREE char *all = malloc(4 * n + 1);
	PF_AUTO_FREE char *again = malloc(4 * n + 1);
	size_t len;

	pf_printable(s, n, all, 4 * n + 1);
	len = strlen(all);
	CHECK(pf_utf8_valid(all, len));
	for (size_t i = 0; i < len; i++)
		CHECK((unsigned char)all[i] >= 0x20 && all[i] != 0x7f);
	pf_printable(all, len, again, 4 * n + 1);
	CHECK(strcmp(all, again) == 0);
	pf_printable(s, n, small, cap);
	CHECK(strlen(small) < cap && pf_utf8_valid(small, strlen(small)));
	CHECK(len < cap ? strcmp(small, all) == 0 : cap < 4 || strcmp(small + strlen(small) - 3, "...") == 0);
}

static void check_utf8(const char *s, size_t n)
{
	size_t whole = pf_utf8_whole(s, n);

	CHECK(whole <= n && n - whole < 4);
	if (pf_utf8_valid(s, n)) {
		CHECK(whole == n);
		for (size_t k = 0; k < n; k++)
			CHECK(pf_utf8_valid(s, pf_utf8_whole(s, k)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	PF_AUTO_FREE char *copy = malloc(size + 2);
	const char *first = copy, *second;

	if (size)
		memcpy(copy, data, size);
	copy[size] = copy[size + 1] = '\0';
	second = copy + strlen(copy) + 1;
	check_glob(first, second);
	check_numbers(first);
	check_clean(first);
	check_clean(second);
	check_printable((const char *)data, size);
	check_utf8((const char *)data, size);
	return 0;
}
