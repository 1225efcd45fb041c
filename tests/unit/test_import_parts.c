/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the importer that no archive shows well: holes by content, bounds, names, the map of links,
 * streams. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "image/import/tar.h"

#define MAX (700u << 10)

static uint32_t random_state = 1;

static uint32_t random_number(uint32_t below)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % below;
}

static int memory_file(const void *p, size_t n)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pf_write_full(fd, p, n), 0);
	return fd;
}

/* --- holes --- */

/* A file of blocks, zeros and others, whose runs of zeros are about as long as a hole must be. */
static size_t random_file(uint8_t *p)
{
	size_t n = random_number(20) * 37000 + random_number(5000), at = 0;

	memset(p, 0, n);
	while (at < n) {
		size_t run = random_number(3) ? random_number(30) * 4096 : random_number(90000),
		       skip = random_number(2) * 61440;

		for (size_t i = 0; i < run && at + i < n; i++)
			p[at + i] = random_number(3) ? (uint8_t)random_number(256) : 0;
		at += run + skip + random_number(3) * 4096;
	}
	return n;
}

/* Give a file to a sink in pieces of any size, now and then leaving zeros out. */
static void fill(struct pf__sink *k, struct pf__spool *s, const uint8_t *p, size_t n, uint32_t piece_max)
{
	struct pf_error err = {0};

	pf__sink_begin(k, s, n);
	for (size_t at = 0; at < n;) {
		size_t piece = 1 + random_number(piece_max), zeros = 0;

		if (piece > n - at)
			piece = n - at;
		while (zeros < piece && p[at + zeros] == 0)
			zeros++;
		if (zeros == piece && random_number(2))
			; /* a hole of the input's */
		else if (pf__sink_add(k, at, p + at, piece, &err))
			fail_msg("%s", err.msg);
		at += piece;
	}
	assert_int_equal(pf__sink_end(k, &err), 0);
}

static void check_contents(const struct pf__sink *k, int fd, const uint8_t *p, size_t n)
{
	static uint8_t back[MAX];
	struct pf__source s = {.fd = fd, .size = n, .parts = k->extents, .count = k->count};
	struct pf_error err = {0};
	size_t at = 0;
	int64_t r;

	if (k->count == 0)
		s.parts = &(struct pf_extent){0};
	while ((r = pf__source_read(&s, back + at, 1 + random_number(70000), &err)) > 0)
		at += (size_t)r;
	assert_int_equal(r, 0);
	assert_int_equal(at, n);
	assert_memory_equal(back, p, n);
}

/* The rule, the slow way: runs of at least PF__HOLE_MIN zeros between block borders, or the end, are holes.
 */
static void check_rule(const struct pf__sink *k, const uint8_t *p, size_t n)
{
	static bool covered[MAX];

	memset(covered, 0, n);
	for (size_t i = 0; i < k->count; i++)
		memset(covered + k->extents[i].at, 1, k->extents[i].length);
	for (size_t at = 0; at < n;) {
		size_t end = at;

		while (end < n) {
			size_t block = n - end < PF__BLOCK ? n - end : PF__BLOCK;
			bool zero = true;

			for (size_t i = 0; i < block; i++)
				zero = zero && p[end + i] == 0;
			if (!zero)
				break;
			end += block;
		}
		for (size_t i = at; i < end; i++)
			assert_int_equal(covered[i], end - at < PF__HOLE_MIN);
		for (size_t i = end; i < n && i < end + PF__BLOCK; i++)
			assert_true(covered[i]);
		at = end + PF__BLOCK;
	}
	for (size_t i = 1; i < k->count; i++) /* parts that touch are one */
		assert_true(k->extents[i].at > k->extents[i - 1].at + k->extents[i - 1].length);
}

static void test_holes(void **state)
{
	uint8_t *p = calloc(1, MAX);
	struct pf__budget budget = {.bytes_max = UINT64_MAX};
	PF_AUTO_CLOSE int fd = memory_file("", 0);
	struct pf__spool s;
	struct pf_error err = {0};

	(void)state;
	assert_int_equal(pf__spool_open(&s, fd, &budget, &err), 0);
	for (int round = 0; round < 150; round++) {
		size_t n = random_file(p);
		struct pf__sink one, other;

		fill(&one, &s, p, n, 1 + random_number(200000));
		fill(&other, &s, p, n, 5000);
		assert_int_equal(pf__spool_flush(&s, &err), 0);
		assert_int_equal(one.count, other.count);
		for (size_t i = 0; i < one.count; i++)
			assert_true(one.extents[i].at == other.extents[i].at &&
				    one.extents[i].length == other.extents[i].length);
		check_contents(&one, fd, p, n);
		check_contents(&other, fd, p, n);
		check_rule(&one, p, n);
		free(one.extents);
		free(other.extents);
	}
	pf__spool_close(&s);
	free(p);
}

static void test_sink_refuses(void **state)
{
	struct pf__budget budget = {.bytes_max = 100000};
	PF_AUTO_CLOSE int fd = memory_file("", 0);
	static uint8_t ones[200000];
	struct pf__spool s;
	struct pf__sink k;
	struct pf_error err = {0};

	(void)state;
	memset(ones, 1, sizeof(ones));
	assert_int_equal(pf__spool_open(&s, fd, &budget, &err), 0);
	pf__sink_begin(&k, &s, 10);
	assert_int_equal(pf__sink_add(&k, 5, "ab", 2, &err), 0);
	assert_true(pf__sink_add(&k, 6, "ab", 2, &err) < 0); /* back */
	assert_true(pf__sink_add(&k, 9, "ab", 2, &err) < 0); /* beyond the end */
	assert_true(pf__sink_add(&k, 11, "", 0, &err) < 0);
	assert_true(pf__sink_add(&k, UINT64_MAX, "ab", 2, &err) < 0);
	free(k.extents);
	pf__sink_begin(&k, &s, sizeof(ones));
	assert_int_equal(pf__sink_add(&k, 0, ones, sizeof(ones), &err), -EFBIG);
	free(k.extents);
	pf__spool_close(&s);
}

/* A hole of any length costs nothing. */
static void test_long_hole(void **state)
{
	struct pf__budget budget = {.bytes_max = 100000};
	PF_AUTO_CLOSE int fd = memory_file("", 0);
	struct pf__spool s;
	struct pf__sink k;
	struct pf_error err = {0};

	(void)state;
	assert_int_equal(pf__spool_open(&s, fd, &budget, &err), 0);
	pf__sink_begin(&k, &s, INT64_MAX);
	assert_int_equal(pf__sink_add(&k, 1ull << 50, "x", 1, &err), 0);
	assert_int_equal(pf__sink_add(&k, INT64_MAX - 1, "y", 1, &err), 0);
	assert_int_equal(pf__sink_end(&k, &err), 0);
	assert_int_equal(k.count, 2);
	assert_true(k.extents[0].at == 1ull << 50 && k.extents[0].length == PF__BLOCK);
	free(k.extents);
	pf__spool_close(&s);
}

static void test_spool_without_room(void **state)
{
	struct pf__budget budget = {.bytes_max = UINT64_MAX};
	PF_AUTO_CLOSE int fd = open("/dev/full", O_RDWR | O_CLOEXEC);
	static uint8_t ones[3 << 20];
	struct pf__spool s;
	struct pf__sink k;
	struct pf_error err = {0};

	(void)state;
	memset(ones, 1, sizeof(ones));
	assert_int_equal(pf__spool_open(&s, fd, &budget, &err), 0);
	pf__sink_begin(&k, &s, sizeof(ones));
	assert_int_equal(pf__sink_add(&k, 0, ones, sizeof(ones), &err), -ENOSPC);
	free(k.extents);
	pf__spool_close(&s);
}

/* --- bounds --- */

static void test_budget(void **state)
{
	struct pf__budget b = {.bytes_max = 1000};
	struct pf_error err = {0};

	(void)state;
	assert_int_equal(pf__budget_unpacked(&b, 1000, &err), 0);
	assert_int_equal(pf__budget_unpacked(&b, 1, &err), -EFBIG);
	assert_int_equal(pf__budget_stored(&b, 1001, &err), -EFBIG);
	assert_int_equal(pf__budget_entry(&b, 16000, &err), 0);
	assert_int_equal(pf__budget_entry(&b, 1, &err), -EFBIG);
	b.apparent = UINT64_MAX - 5;
	assert_int_equal(pf__budget_entry(&b, 6, &err), -EFBIG);
	b = (struct pf__budget){.bytes_max = UINT64_MAX, .entries = PF__ENTRIES_MAX - 1};
	assert_int_equal(pf__budget_entry(&b, INT64_MAX, &err), 0);
	assert_int_equal(pf__budget_entry(&b, 0, &err), -E2BIG);
}

static void test_links(void **state)
{
	struct pf__links m = {0};
	char path[32];

	(void)state;
	assert_null(pf__links_find(&m, 1, 2));
	for (uint64_t i = 0; i < 20000; i++) {
		snprintf(path, sizeof(path), "p%llu", (unsigned long long)i);
		assert_int_equal(pf__links_add(&m, i / 100, i << 32, path), 0);
	}
	for (uint64_t i = 0; i < 20000; i++) {
		snprintf(path, sizeof(path), "p%llu", (unsigned long long)i);
		assert_string_equal(pf__links_find(&m, i / 100, i << 32), path);
		assert_null(pf__links_find(&m, i / 100, (i << 32) + 1));
	}
	assert_int_equal(pf__links_add(&m, 0, 0, "again"), 0);
	assert_string_equal(pf__links_find(&m, 0, 0), "again");
	assert_int_equal(m.count, 20000);
	pf__links_free(&m);
}

/* --- names --- */

static void path_is(const char *name, size_t n, const char *want)
{
	char out[PF__PATH_MAX + 1];
	struct pf_error err = {0};
	int r = pf__entry_path(name, n, out, &err);

	if (!want)
		assert_int_equal(r, -EINVAL);
	else if (r || strcmp(out, want) != 0)
		fail_msg("'%s' gives '%s' (%s)", name, out, err.msg);
}

static void test_paths(void **state)
{
	static const struct {
		const char *name, *want;
	} cases[] = {
		{"a", "a"},	{"./a", "a"},	  {"a//b/", "a/b"},	    {".", ""},	    {"./", ""},
		{"./././", ""}, {"a/./b", "a/b"}, {"...", "..."},	    {"..a", "..a"}, {"a..", "a.."},
		{".a", ".a"},	{" ", " "},	  {"\xff\xfe", "\xff\xfe"}, {"", NULL},	    {"/", NULL},
		{"/a", NULL},	{"..", NULL},	  {"a/..", NULL},	    {"../a", NULL}, {"a/../b", NULL},
		{"./..", NULL},
	};
	char name[PF__PATH_MAX + 10];

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(cases); i++)
		path_is(cases[i].name, strlen(cases[i].name), cases[i].want);
	path_is("a\0b", 3, NULL);
	path_is("a\0", 2, NULL);
	memset(name, 'n', sizeof(name));
	path_is(name, 256, NULL);
	for (size_t i = 200; i < sizeof(name); i += 201)
		name[i] = '/';
	path_is(name, PF__PATH_MAX + 1, NULL);
	name[PF__PATH_MAX] = '\0';
	path_is(name, PF__PATH_MAX, name);
}

static void test_link_targets(void **state)
{
	static const struct {
		const char *path, *target;
		int r;
	} cases[] = {
		{"l", "x", 0},
		{"l", "/", 0},
		{"l", "/../../x", 0},
		{"l", ".", 0},
		{"l", "..", -EINVAL},
		{"l", "a/..", 0},
		{"l", "a/../..", -EINVAL},
		{"a/l", "..", 0},
		{"a/l", "../..", -EINVAL},
		{"a/b/l", "../../c", 0},
		{"a/b/l", "../../../c", -EINVAL},
		{"a/l", "./.././x", 0},
		{"a/l", "..//..", -EINVAL},
		{"l", "...", 0},
		{"l", "", -EINVAL},
		{"a/l", "b/../../../c/..", -EINVAL},
	};
	struct pf_error err;

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(cases); i++)
		if (pf__entry_link_target(cases[i].path, cases[i].target, strlen(cases[i].target), &err) !=
		    cases[i].r)
			fail_msg("%s -> %s", cases[i].path, cases[i].target);
	assert_int_equal(pf__entry_link_target("l", "a\0b", 3, &err), -EINVAL);
}

static void test_digests(void **state)
{
	char d[PF_DIGEST_MAX + 2] = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

	(void)state;
	assert_true(pf__digest_ok(d));
	d[70] = 'F';
	assert_false(pf__digest_ok(d));
	d[70] = '/';
	assert_false(pf__digest_ok(d));
	d[70] = '\0';
	assert_false(pf__digest_ok(d));
	assert_false(pf__digest_ok(""));
	assert_false(
		pf__digest_ok("sha512:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"));
	assert_false(
		pf__digest_ok("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0"));
}

/* --- streams --- */

static int64_t drain(const void *p, size_t n, struct pf__budget *b, char digests[2][PF_DIGEST_MAX],
		     struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = memory_file(p, n);
	struct pf__source source = {.fd = fd, .size = n};
	struct pf__stream s;
	bool more = false;
	int r = pf__stream_open(&s, &source, b, PF__HASH_PACKED | PF__HASH_PLAIN, err);
	int64_t plain;

	r = r ? r : pf__stream_drain(&s, &more, err);
	plain = (int64_t)s.plain;
	r = r ? r : pf__hash_end(&s.packed_hash, digests[0], err);
	r = r ? r : pf__hash_end(&s.plain_hash, digests[1], err);
	pf__stream_close(&s);
	return r ? r : plain;
}

static void test_stream_digests(void **state)
{
	static uint8_t plain[3 << 20], packed[4 << 20];
	uLongf n = sizeof(packed);
	struct pf__budget b = {.bytes_max = UINT64_MAX, .ratio_max = 200};
	char got[2][PF_DIGEST_MAX], want[PF_DIGEST_MAX];
	struct pf_error err = {0};
	z_stream z = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)random_number(256);
	assert_int_equal(drain(plain, sizeof(plain), &b, got, &err), sizeof(plain));
	pf_sha256_text(plain, sizeof(plain), want);
	assert_string_equal(got[0], want);
	assert_string_equal(got[1], want);
	deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
	z.next_in = plain;
	z.avail_in = sizeof(plain);
	z.next_out = packed;
	z.avail_out = sizeof(packed);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	n = sizeof(packed) - z.avail_out;
	deflateEnd(&z);
	assert_int_equal(drain(packed, n, &b, got, &err), sizeof(plain));
	assert_string_equal(got[1], want);
	pf_sha256_text(packed, n, want);
	assert_string_equal(got[0], want);
	b.unpacked = 0;
	b.bytes_max = sizeof(plain) - 1;
	assert_int_equal(drain(packed, n, &b, got, &err), -EFBIG);
}

/* A tar whose first file has the name of another format is a tar. */
static void test_packing_of_a_name(void **state)
{
	static const char *const names[] = {"BZh",  "\x1f\x8b", "PK\3\4",
					    "LZIP", "070701",	"\x28\xb5\x2f\xfd"};
	uint8_t block[2048];
	const char *other;

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(names); i++) {
		unsigned sum = 0;

		memset(block, 0, sizeof(block));
		strcpy((char *)block, names[i]);
		assert_true(pf__packing_of(block, sizeof(block), &other) != PF__PLAIN || other);
		memset(block + 148, ' ', 8);
		for (size_t k = 0; k < 512; k++)
			sum += block[k];
		snprintf((char *)block + 148, 8, "%06o", sum);
		assert_int_equal(pf__packing_of(block, sizeof(block), &other), PF__PLAIN);
		assert_null(other);
		assert_int_equal(pf__packing_of(block, 100, &other) != PF__PLAIN || other, 1);
	}
}

static void test_source_that_shrinks(void **state)
{
	PF_AUTO_CLOSE int fd = memory_file("12345", 5);
	struct pf__source s = {.fd = fd, .size = 10};
	struct pf_error err = {0};
	char buf[16];

	(void)state;
	assert_int_equal(pf__source_read(&s, buf, sizeof(buf), &err), 5);
	assert_int_equal(pf__source_read(&s, buf, sizeof(buf), &err), -EIO);
	assert_non_null(strstr(err.msg, "did it change"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_holes),
		cmocka_unit_test(test_sink_refuses),
		cmocka_unit_test(test_long_hole),
		cmocka_unit_test(test_spool_without_room),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_link_targets),
		cmocka_unit_test(test_digests),
		cmocka_unit_test(test_stream_digests),
		cmocka_unit_test(test_packing_of_a_name),
		cmocka_unit_test(test_source_that_shrinks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
