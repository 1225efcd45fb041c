/* SPDX-License-Identifier: Apache-2.0 */
/* Long outputs: head and tail in memory, how long files stay, and the directory that they are in. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/str.h"
#include "sandbox/outputs.h"
#include "sandbox/sandbox.h"

/* --- head and tail ------------------------------------------------------------------------ */

#define MARK "[pinfold: "

/* What is taken of `n` bytes, given in pieces of random sizes, is all of it, or its beginning and its end
 * with a number between them that is right. */
static void check_keep(const char *bytes, size_t n, size_t limit, uint64_t beyond)
{
	struct pf_keep k;
	struct pf_buf out = {0};
	size_t at = 0, head, tail;
	unsigned long long left;
	char *mark, *end;
	bool cut;

	pf__keep_init(&k, limit);
	while (at < n) {
		size_t piece = 1 + (size_t)rand() % (limit + 3);

		piece = piece < n - at ? piece : n - at;
		pf__keep_add(&k, bytes + at, piece);
		at += piece;
	}
	cut = pf__keep_take(&k, beyond, "; here", &out);
	assert_int_equal(cut, n > limit / 2 * 2 || beyond);
	if (!cut) {
		assert_int_equal(out.len, n);
		assert_true(n == 0 || memcmp(out.data, bytes, n) == 0);
	} else {
		mark = memmem(out.data, out.len, "\n" MARK, strlen(MARK) + 1);
		assert_non_null(mark);
		head = (size_t)(mark - out.data);
		assert_true(head <= limit / 2 && memcmp(out.data, bytes, head) == 0);
		left = strtoull(mark + 1 + strlen(MARK), &end, 10);
		assert_memory_equal(end, " bytes left out here; here]\n", 28);
		tail = (size_t)(out.data + out.len - (end + 28));
		assert_true(tail <= limit / 2 && memcmp(end + 28, bytes + n - tail, tail) == 0);
		assert_int_equal(head + left + tail, n + beyond);
		assert_true(head + 3 >= limit / 2 || head + 3 >= n);
	}
	pf_buf_free(&out);
	pf__keep_free(&k);
}

static void keep_takes_the_ends(void **state)
{
	char bytes[400];

	(void)state;
	srand(11);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)('a' + i % 23);
	for (size_t limit = 1; limit < 70; limit++)
		for (size_t n = 0; n < 3 * limit + 5; n++)
			check_keep(bytes, n, limit, 0);
	check_keep(bytes, 10, 100, 5); /* what came after limits.output is missing at the end */
	check_keep(bytes, 0, 100, 5);
	check_keep(bytes, 300, 100, 5);
}

static void keep_cuts_no_character(void **state)
{
	/* one of each length, again and again */
	static const char text[] = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80";
	char bytes[10 * 30];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = text[i % 10];
	for (size_t limit = 2; limit < 100; limit++) {
		struct pf_buf out = {0};
		struct pf_keep k;

		pf__keep_init(&k, limit);
		pf__keep_add(&k, bytes, sizeof(bytes));
		assert_true(pf__keep_take(&k, 0, "", &out));
		assert_true(pf_utf8_valid(out.data, out.len));
		pf_buf_free(&out);
		pf__keep_free(&k);
		check_keep(bytes, sizeof(bytes), limit, 0);
	}
}

static void keep_knows_when_it_has_all(void **state)
{
	const char *pieces[3];
	size_t lengths[3];
	struct pf_keep k;

	(void)state;
	pf__keep_init(&k, 8);
	assert_true(pf__keep_pieces(&k, pieces, lengths));
	assert_int_equal(lengths[0] + lengths[1] + lengths[2], 0);
	pf__keep_add(&k, "abcdef", 6);
	assert_true(pf__keep_pieces(&k, pieces, lengths));
	assert_int_equal(lengths[0], 4);
	assert_memory_equal(pieces[0], "abcd", 4);
	assert_int_equal(lengths[1], 2);
	assert_memory_equal(pieces[1], "ef", 2);
	pf__keep_add(&k, "gh", 2);
	assert_true(pf__keep_pieces(&k, pieces, lengths));
	pf__keep_add(&k, "i", 1);
	assert_false(pf__keep_pieces(&k, pieces, lengths));
	assert_int_equal(lengths[1] + lengths[2], 4);
	pf__keep_free(&k);
}

/* --- what stays ----------------------------------------------------------------------------- */

#define DAY    (INT64_C(86400) * 1000000000)
#define NOW    (100 * DAY)
#define GiB(n) ((uint64_t)(n) << 30)
#define MiB(n) ((uint64_t)(n) << 20)

static void choose(struct pf__kept_age *items, size_t count, const char *gone)
{
	char got[32] = "";
	size_t n = 0;

	pf__outputs_choose(items, count, NOW);
	for (size_t i = 0; i < count; i++)
		if (items[i].go)
			got[n++] = items[i].id[0];
	assert_string_equal(got, gone);
}

static void what_goes(void **state)
{
	struct pf__kept_age none[1] = {{0}};
	struct pf__kept_age week[] = {
		{"d", NOW + DAY, 1, true}, {"a", NOW - 8 * DAY, 1, false}, {"b", NOW - 7 * DAY, 1, true}};
	struct pf__kept_age all_old[] = {{"b", NOW - 8 * DAY, 1, false}, {"a", NOW - 9 * DAY, 1, false}};
	struct pf__kept_age exact[] = {{"a", NOW - DAY, MiB(1023), false}, {"b", NOW, MiB(1), false}};
	struct pf__kept_age more[] = {{"b", 1 + NOW - DAY, MiB(1023), false},
				      {"c", NOW, MiB(1), false},
				      {"a", NOW - DAY, 1, false}};
	struct pf__kept_age newest[] = {{"a", NOW - 2, 1, false}, {"b", NOW, GiB(3), false}};
	struct pf__kept_age oldest_large[] = {
		{"a", NOW - 3, GiB(1), false}, {"b", NOW - 2, MiB(1), false}, {"c", NOW, MiB(1), false}};
	struct pf__kept_age huge[] = {{"a", NOW - 2, UINT64_MAX, false},
				      {"b", NOW - 1, UINT64_MAX, false},
				      {"c", NOW, MiB(1), false}};

	(void)state;
	choose(none, 0, "");
	choose(week, 3, "a");
	choose(all_old, 2, "ab");
	choose(exact, 2, "");
	choose(more, 3, "a");
	choose(newest, 2, "a");
	choose(oldest_large, 3, "a");
	choose(huge, 3, "ab");
}

/* --- the directory --------------------------------------------------------------------------- */

static char root[64];
static struct pf_dirs dirs;
static int outputs;

static int setup(void **state)
{
	struct pf_error err;

	(void)state;
	strcpy(root, "/tmp/pf-output-XXXXXX");
	assert_non_null(mkdtemp(root));
	snprintf(dirs.state, sizeof(dirs.state), "%s/state", root);
	outputs = pf_outputs_open(&dirs, true, &err);
	assert_true(outputs >= 0);
	return 0;
}

static int teardown(void **state)
{
	int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	close(outputs);
	assert_int_equal(pf_remove_tree(tmp, root + strlen("/tmp/")), 0);
	close(tmp);
	return 0;
}

static void keep_one(const char *id, const char *out, const char *error)
{
	struct pf_kept_output o = {.ended = 1795578255, .command = (char *)(uintptr_t) "sh -c 'x'"};
	const char *text[] = {out, error};
	struct pf_error err = {0};
	int stage;

	snprintf(o.id, sizeof(o.id), "%s", id);
	stage = pf__outputs_stage(outputs, id, &err);
	assert_true(stage >= 0);
	for (unsigned i = 0; i < 2; i++) {
		if (!text[i])
			continue;
		o.kept[i] = true;
		o.bytes[i] = strlen(text[i]);
		assert_int_equal(pf_replace_file(stage, i ? "stderr" : "stdout", text[i], o.bytes[i], 0600),
				 0);
	}
	assert_int_equal(pf__outputs_settle(outputs, stage, &o, &err), 0);
	close(stage);
}

static void expect_list(const char *ids)
{
	struct pf_list l = {0};
	struct pf_error err;
	char text[400] = "";

	assert_int_equal(pf_outputs_list(outputs, &l, &err), 0);
	for (size_t i = 0; i < l.count; i++) {
		strcat(text, l.items[i]);
		strcat(text, " ");
	}
	pf_list_free(&l);
	assert_string_equal(text, ids);
}

static void date(const char *id, time_t when)
{
	struct timespec t[2] = {{when, 0}, {when, 0}};

	assert_int_equal(utimensat(outputs, id, t, 0), 0);
}

static void find(const char *given, const char *id, int code)
{
	struct pf_kept_output o;
	struct pf_error err = {0};
	int r = pf_outputs_find(outputs, given, &o, &err);

	assert_int_equal(r, code);
	if (r < 0)
		return;
	assert_string_equal(o.id, id);
	pf_kept_output_free(&o);
}

static void kept_and_found(void **state)
{
	struct pf_kept_output o;
	struct pf_error err = {0};
	char text[16];
	int fd;

	(void)state;
	expect_list("");
	find("last", NULL, -ENOENT);
	keep_one("abc.1", "hello\n", NULL);
	keep_one("abc.10", "x", "y");
	keep_one("abd.2", "", "");
	date("abc.1", 3000);
	date("abc.10", 1000);
	date("abd.2", 2000);
	expect_list("abc.10 abd.2 abc.1 ");
	find("last", "abc.1", 0);
	find("abc.1", "abc.1", 0);
	find("abc.10", "abc.10", 0);
	find("abd", "abd.2", 0);
	find("abc", NULL, -ENOTUNIQ);
	find("a", NULL, -ENOTUNIQ);
	find("", NULL, -ENOENT);
	find("abc.100", NULL, -ENOENT);
	find("../outputs/abc.1", NULL, -ENOENT);
	assert_int_equal(pf_outputs_load(outputs, "abc.1", &o, &err), 0);
	assert_string_equal(o.command, "sh -c 'x'");
	assert_int_equal(o.ended, 1795578255);
	assert_true(o.kept[0] && !o.kept[1] && o.bytes[0] == 6);
	fd = pf_outputs_stream(outputs, &o, PF_STDOUT, &err);
	assert_true(fd >= 0 && read(fd, text, sizeof(text)) == 6 && memcmp(text, "hello\n", 6) == 0);
	close(fd);
	assert_int_equal(pf_outputs_stream(outputs, &o, PF_STDERR, &err), -ENODATA);
	pf_kept_output_free(&o);
	assert_int_equal(pf_outputs_bytes(outputs, "abc.10"), 2);
	assert_int_equal(pf_outputs_drop(outputs, "abc.10", &err), 0);
	assert_int_equal(pf_outputs_drop(outputs, "abc.10", &err), -ENOENT);
	expect_list("abd.2 abc.1 ");
}

static void names(void **state)
{
	static const char *const bad[] = {
		"",	      ".",	  "..",
		"abc",	      "abc.",	  ".1",
		"abc.x",      "abc.1.2",  "-a.1",
		"a/b.1",      "a.1/x",	  "a b.1",
		"a.1 ",	      "a\n.1",	  "a.-1",
		"\xc3\xa4.1", "a.1x",	  "a+.1",
		"../x.1",     "abc.1/..", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.1"};
	struct pf_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(pf_outputs_drop(outputs, bad[i], &err), -EINVAL);
		assert_int_equal(pf__outputs_stage(outputs, bad[i], &err), -EINVAL);
	}
	expect_list("");
	keep_one("A-b_9.4294967295", "x", NULL);
	expect_list("A-b_9.4294967295 ");
}

/* A link, or a file of another kind, in place of what was kept is not followed. */
static void replaced(void **state)
{
	struct pf_kept_output o;
	struct pf_error err;

	(void)state;
	keep_one("abc.1", "hello\n", "x");
	assert_int_equal(pf_outputs_load(outputs, "abc.1", &o, &err), 0);
	assert_int_equal(unlinkat(outputs, "abc.1/stdout", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", outputs, "abc.1/stdout"), 0);
	assert_int_equal(pf_outputs_stream(outputs, &o, PF_STDOUT, &err), -ELOOP);
	assert_int_equal(unlinkat(outputs, "abc.1/stderr", 0), 0);
	assert_int_equal(mkfifoat(outputs, "abc.1/stderr", 0600), 0);
	assert_int_equal(pf_outputs_stream(outputs, &o, PF_STDERR, &err), -EBADMSG);
	pf_kept_output_free(&o);
	assert_int_equal(unlinkat(outputs, "abc.1/meta.json", 0), 0);
	assert_int_equal(mkfifoat(outputs, "abc.1/meta.json", 0600), 0);
	assert_int_equal(pf_outputs_load(outputs, "abc.1", &o, &err), -EBADMSG);
}

static void other_words(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"{\"schema\": 2, \"id\": \"abc.1\", \"command\": \"x\", \"ended\": 1, \"stdout_bytes\": 1, "
		"\"stderr_bytes\": 1}",
		"{\"schema\": 1, \"id\": \"abc.2\", \"command\": \"x\", \"ended\": 1, \"stdout_bytes\": 1, "
		"\"stderr_bytes\": 1}",
		"{\"schema\": 1, \"id\": \"abc.1\", \"command\": 7, \"ended\": 1, \"stdout_bytes\": 1, "
		"\"stderr_bytes\": 1}",
		"{\"schema\": 1, \"id\": \"abc.1\", \"command\": \"x\", \"ended\": null, \"stdout_bytes\": "
		"1, \"stderr_bytes\": 1}",
		"{\"schema\": 1, \"id\": \"abc.1\", \"command\": \"x\", \"ended\": 1, \"stdout_bytes\": -1, "
		"\"stderr_bytes\": 1}",
		"{\"schema\": 1, \"id\": \"abc.1\", \"command\": \"x\", \"ended\": 1, \"stdout_bytes\": "
		"\"1\", \"stderr_bytes\": 1}",
		"{\"schema\": 1, \"id\": \"abc.1\", \"command\": \"x\", \"ended\": 1, \"stdout_bytes\": 1}",
	};
	struct pf_kept_output o;
	struct pf_error err;

	(void)state;
	keep_one("abc.1", "hello\n", "x");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(pf_replace_file(outputs, "abc.1/meta.json", bad[i], strlen(bad[i]), 0600),
				 0);
		assert_true(pf_outputs_load(outputs, "abc.1", &o, &err) < 0);
	}
	expect_list("abc.1 "); /* so that it can be dropped */
	assert_int_equal(pf_outputs_drop(outputs, "abc.1", &err), 0);
}

static void only_what_can_be_locked_is_swept(void **state)
{
	struct pf_error err;
	int stage = pf__outputs_stage(outputs, "abc.1", &err), other;

	(void)state;
	assert_true(stage >= 0);
	assert_int_equal(pf_replace_file(stage, "stdout", "x", 1, 0600), 0);
	assert_int_equal(pf__outputs_stage(outputs, "abc.1", &err), -EBUSY);
	assert_int_equal(pf_outputs_clean(outputs), 0);
	pf_outputs_sweep(&dirs);
	assert_int_equal(faccessat(outputs, ".abc.1/stdout", F_OK, 0), 0);
	expect_list("");
	close(stage); /* as the kernel does for who was killed */
	pf_outputs_sweep(&dirs);
	assert_int_equal(faccessat(outputs, ".abc.1", F_OK, 0), -1);
	stage = pf__outputs_stage(outputs, "abc.1", &err);
	other = pf__outputs_stage(outputs, "abc.2", &err);
	assert_true(stage >= 0 && other >= 0);
	close(stage);
	assert_int_equal(pf_outputs_clean(outputs), 1);
	assert_int_equal(faccessat(outputs, ".abc.2", F_OK, 0), 0);
	pf__outputs_abort(outputs, "abc.2");
	assert_int_equal(faccessat(outputs, ".abc.2", F_OK, 0), -1);
	close(other);
}

static void looking_makes_nothing(void **state)
{
	struct pf_dirs none = {0};
	struct pf_error err = {0};

	(void)state;
	snprintf(none.state, sizeof(none.state), "%s/none", root);
	assert_int_equal(pf_outputs_open(&none, false, &err), -ENOENT);
	assert_int_equal(err.code, 0);
	pf_outputs_sweep(&none);
	assert_int_equal(access(none.state, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keep_takes_the_ends),
		cmocka_unit_test(keep_cuts_no_character),
		cmocka_unit_test(keep_knows_when_it_has_all),
		cmocka_unit_test(what_goes),
		cmocka_unit_test_setup_teardown(kept_and_found, setup, teardown),
		cmocka_unit_test_setup_teardown(names, setup, teardown),
		cmocka_unit_test_setup_teardown(replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(other_words, setup, teardown),
		cmocka_unit_test_setup_teardown(only_what_can_be_locked_is_swept, setup, teardown),
		cmocka_unit_test_setup_teardown(looking_makes_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
