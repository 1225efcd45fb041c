/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long outputs over the public API, driven by test_output.py:
 *
 *   outputs STATE RUNTIME LIBEXEC TIER [separate]
 *
 * separate: the host has control groups, and a sandbox ends by itself with its last command.
 *
 * Ends with 0, else with what failed and its line.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "pinfold.h"

#define LINES 400000u /* of seq: more than twice the inline limit */

static struct pf_places places;
static struct pf_sandbox *box;
static struct pf_error err;
static char *expected;
static size_t length;

#define CHECK(cond)   check((cond), #cond, __LINE__)
#define CHECK_R(call) check((call) >= 0, #call, __LINE__)

static void check(bool ok, const char *what, int line)
{
	if (ok)
		return;
	printf("outputs.c:%d: %s\n  last error: %d %s\n", line, what, err.code, err.msg);
	pf_sandbox_destroy(box);
	exit(1);
}

static void make_expected(void)
{
	expected = malloc(8 * LINES);
	CHECK(expected != NULL);
	for (unsigned i = 1; i <= LINES; i++)
		length += (size_t)sprintf(expected + length, "%u\n", i);
}

static struct pf_result *run(const char *script, int inline_only)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	struct pf_exec_options o = {.argv = argv, .inline_only = inline_only};
	struct pf_result *r = NULL;

	CHECK_R(pf_sandbox_run(box, &o, &r, &err));
	CHECK(strcmp(pf_result_cause(r), "exited") == 0 && pf_result_exit_code(r) == 0);
	return r;
}

/* The "id" of a result's JSON. */
static void id_of(const struct pf_result *r, char id[40])
{
	char *json = pf_result_to_json(r, 0), *at = json ? strstr(json, "\"id\":\"") : NULL;

	CHECK(at != NULL && sscanf(at + 6, "%39[^\"]", id) == 1);
	free(json);
}

static void read_in_pieces(const struct pf_result *r, size_t piece)
{
	char *p = malloc(piece);
	size_t from = 0, got;

	CHECK(p != NULL);
	for (;;) {
		CHECK_R(pf_result_read(r, PF_STDOUT, from, p, piece, &got, &err));
		if (!got)
			break;
		CHECK(got <= piece && from + got <= length && memcmp(p, expected + from, got) == 0);
		from += got;
	}
	CHECK(from == length);
	CHECK_R(pf_result_read(r, PF_STDOUT, UINT64_MAX, p, piece, &got, &err));
	CHECK(got == 0);
	free(p);
}

static void by_result(const struct pf_result *r)
{
	char text[16];
	size_t got;

	CHECK(strlen(pf_result_text(r)) < length);
	read_in_pieces(r, 64 << 10);
	read_in_pieces(r, (1 << 20) + 7);
	CHECK_R(pf_result_read(r, PF_STDERR, 0, text, sizeof(text), &got, &err)); /* that one is inline */
	CHECK(got == 4 && memcmp(text, "err\n", 4) == 0);
	CHECK_R(pf_result_read(r, PF_STDERR, 2, text, 1, &got, &err));
	CHECK(got == 1 && text[0] == 'r');
	CHECK_R(pf_result_read(r, PF_STDERR, 9, text, 1, &got, &err));
	CHECK(got == 0);
}

static void by_id(const char *id)
{
	uint64_t size = 0;
	char text[16];
	size_t got;

	CHECK_R(pf_output_size(&places, id, PF_STDOUT, &size, &err));
	CHECK(size == length);
	CHECK_R(pf_output_read(&places, id, PF_STDOUT, length - 7, text, sizeof(text), &got, &err));
	CHECK(got == 7 && memcmp(text, expected + length - 7, 7) == 0);
	CHECK_R(pf_output_read(&places, id, PF_STDERR, 0, text, sizeof(text), &got,
			       &err)); /* kept beside it */
	CHECK(got == 4 && memcmp(text, "err\n", 4) == 0);
}

static void count(void *user, struct pf_exec *e, enum pf_stream stream, const void *p, size_t n)
{
	(void)e;
	(void)stream;
	(void)p;
	*(size_t *)user += n;
}

/* What is no command's output makes no file, however long, nor does a command that nobody waits for. */
static void nothing_else_is_kept(const char *id)
{
	const char *argv[] = {"sh", "-c", "seq 1 400000; exec sleep 3600", NULL};
	size_t seen = 0, n = 0;
	struct pf_exec_options o = {.argv = argv, .output = count, .user = &seen};
	char *data = NULL, last[40];
	struct pf_exec *e = NULL;
	struct pf_result *r;

	CHECK_R(pf_file_write(box, "/tmp/big", expected, length, &err));
	CHECK_R(pf_file_read(box, "/tmp/big", length, &data, &n, &err));
	CHECK(n == length && memcmp(data, expected, n) == 0);
	free(data);
	CHECK_R(pf_exec_start(box, &o, &e, &err));
	while (seen < length) /* it has begun a file */
		CHECK_R(pf_sandbox_step(box, -1, &err));
	pf_exec_end(e);
	r = run("echo short", 0);
	CHECK_R(pf_result_read(r, PF_STDOUT, 0, last, sizeof(last), &n, &err));
	CHECK(n == 6 && memcmp(last, "short\n", 6) == 0);
	pf_result_destroy(r);
	by_id("last");
	by_id(id);
}

static void not_kept(void)
{
	struct pf_result *r = run("seq 1 400000", 1);
	char text[16];
	size_t got = 77;

	CHECK(strlen(pf_result_text(r)) < length);
	CHECK(pf_result_read(r, PF_STDOUT, 0, text, sizeof(text), &got, &err) == -ENODATA && got == 77);
	pf_result_destroy(r);
}

static void dropped(const struct pf_result *r, const char *id)
{
	uint64_t size = 77;
	char text[16];
	size_t got;

	CHECK_R(pf_output_drop(&places, id, &err));
	CHECK(pf_output_drop(&places, id, &err) == -ENOENT);
	CHECK(pf_output_size(&places, id, PF_STDOUT, &size, &err) == -ENOENT && size == 77);
	CHECK(pf_result_read(r, PF_STDOUT, 0, text, sizeof(text), &got, &err) == -ENOENT);
	CHECK_R(pf_result_read(r, PF_STDERR, 0, text, sizeof(text), &got, &err));
	CHECK(got == 4);
}

/* --- the last words ---------------------------------------------------------------------------- */

#define FIRST  (127u << 10) /* less than half of a stream's credit, which is given back at half */
#define SECOND (2u << 10)

static size_t seen;

/* What comes with the second piece makes credit due; when it is given, nobody is there any more. */
static void late(void *user, struct pf_exec *e, enum pf_stream stream, const void *p, size_t n)
{
	siginfo_t ended;

	(void)user;
	(void)stream;
	(void)p;
	seen += n;
	if (seen != FIRST + SECOND)
		return;
	CHECK_R(pf_exec_stdin(e, "\n", 1, &err));
	CHECK_R(waitid(P_ALL, 0, &ended, WEXITED | WNOWAIT)); /* init, with the sandbox */
}

/*
 * With its last command the sandbox ends by itself. A keeper that comes late to read what it still said
 * cannot answer any more: that is no failure. Without control groups init waits to be told that it may end.
 */
static void the_last_words(struct pf_policy *policy)
{
	const char *argv[] = {
		"sh", "-c",
		"head -c 127K /dev/zero; read a; head -c 2K /dev/zero; read b; echo end >&2; exit 5", NULL};
	struct pf_exec_options o = {.argv = argv, .want_stdin = 1, .last = 1, .output = late};
	const struct pf_result *r;
	struct pf_exec *e;

	CHECK_R(pf_sandbox_create(policy, &places, &box, &err));
	CHECK_R(pf_exec_start(box, &o, &e, &err));
	while (seen < FIRST)
		CHECK_R(pf_sandbox_step(box, -1, &err));
	CHECK_R(pf_exec_stdin(e, "\n", 1, &err));
	while (!pf_exec_result(e) && pf_sandbox_step(box, -1, &err) >= 0)
		;
	r = pf_exec_result(e);
	CHECK(r != NULL && strcmp(pf_result_cause(r), "exited") == 0 && pf_result_exit_code(r) == 5);
	CHECK(seen == FIRST + SECOND + 4 && strcmp(pf_result_stderr(r), "end\n") == 0);
	pf_exec_end(e);
	pf_sandbox_destroy(box);
	box = NULL;
}

int main(int argc, char **argv)
{
	bool separate = argc == 6 && strcmp(argv[5], "separate") == 0;
	struct pf_policy *policy = NULL;
	struct pf_result *r;
	char id[40];

	if (argc != 5 && !separate)
		return 2;
	places = (struct pf_places){.state = argv[1], .runtime = argv[2], .libexec = argv[3]};
	make_expected();
	CHECK_R(pf_policy_new(&policy, &err));
	CHECK_R(pf_policy_option(policy, "tier", argv[4], &err));
	CHECK_R(pf_sandbox_create(policy, &places, &box, &err));
	r = run("seq 1 400000; echo err >&2", 0);
	id_of(r, id);
	by_result(r);
	by_id(id);
	nothing_else_is_kept(id);
	not_kept();
	pf_sandbox_destroy(box);
	box = NULL;
	by_result(r); /* a result outlives its sandbox, and the file too */
	by_id(id);
	dropped(r, id);
	pf_result_destroy(r);
	if (separate)
		the_last_words(policy);
	pf_policy_destroy(policy);
	free(expected);
	return 0;
}
