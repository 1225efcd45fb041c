/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One sandbox over many execs, by the public API, for the builds under sanitizers.
 *
 *   session files | concurrent | kill | pause | terminal | refused | changes DIRECTORY
 *
 * Prints "ok". Anything that is not as it should be is named on stderr and ends it with 1.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pinfold.h"

#define MANY 8

static struct pf_error err;

static void check(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "session: not so: %s (%d %s)\n", what, err.code, err.msg);
	exit(1);
}

#define CHECK(what) check((what), #what)

static struct pf_sandbox *box_of(const char *workspace)
{
	struct pf_sandbox *box = NULL;
	struct pf_policy *policy;

	CHECK(pf_policy_new(&policy, &err) == 0);
	CHECK(pf_policy_option(policy, "no-such-option", "1", &err) == -EINVAL);
	if (workspace)
		CHECK(pf_policy_option(policy, "workspace", workspace, &err) == 0);
	CHECK(pf_sandbox_create(policy, NULL, &box, &err) == 0);
	pf_policy_destroy(policy);
	return box;
}

static struct pf_exec *start(struct pf_sandbox *box, const char *script, struct pf_exec_options o)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	struct pf_exec *e = NULL;

	o.argv = argv;
	CHECK(pf_exec_start(box, &o, &e, &err) == 0);
	return e;
}

static const struct pf_result *await(struct pf_sandbox *box, struct pf_exec *e)
{
	while (!pf_exec_result(e))
		CHECK(pf_sandbox_step(box, -1, &err) >= 0);
	return pf_exec_result(e);
}

static void count(void *user, char type, const char *name)
{
	if (type == 'f' && name[0] == 'f')
		++*(int *)user;
}

static void files(void)
{
	struct pf_sandbox *box = box_of(NULL);
	char *big = malloc(3 << 20), *back = NULL;
	struct pf_file_stat st;
	int found = 0;
	size_t n = 0;

	CHECK(big != NULL);
	memset(big, 'x', 3 << 20);
	CHECK(pf_file_mkdir(box, "/tmp/d", &err) == 0 && pf_file_mkdir(box, "/tmp/d", &err) < 0);
	CHECK(pf_file_write(box, "/tmp/d/f1", big, 3 << 20, &err) == 0);
	CHECK(pf_file_write(box, "/tmp/d/f2", "", 0, &err) == 0);
	CHECK(pf_file_write(box, "/usr/f", "x", 1, &err) < 0 &&
	      pf_file_write(box, "/nowhere/f", "x", 1, &err) < 0);
	CHECK(pf_file_read(box, "/tmp/d/f1", 4 << 20, &back, &n, &err) == 0);
	CHECK(n == 3 << 20 && memcmp(big, back, n) == 0);
	free(back);
	free(big);
	CHECK(pf_file_read(box, "/tmp/d/f1", 1000, &back, &n, &err) == -EFBIG);
	CHECK(pf_file_read(box, "/tmp/d", 1000, &back, &n, &err) < 0 &&
	      pf_file_read(box, "/none", 9, &back, &n, &err) < 0);
	CHECK(pf_file_stat(box, "/tmp/d/f1", &st, &err) == 0 && st.size == 3 << 20 && st.uid == 1000);
	CHECK(pf_file_stat(box, "/tmp/none", &st, &err) < 0);
	CHECK(pf_file_list(box, "/tmp/d", count, &found, &err) == 0 && found == 2);
	CHECK(pf_file_list(box, "/none", count, &found, &err) < 0);
	CHECK(pf_file_remove(box, "/tmp/d", &err) == 0 && pf_file_remove(box, "/tmp/d", &err) < 0);
	pf_sandbox_destroy(box);
}

/* Some at once with all three streams, where the host can tell them apart; one after the other otherwise. */
static void concurrent(void)
{
	static const struct pf_exec_options with_input = {.want_stdin = 1};
	struct pf_sandbox *box = box_of(NULL);
	const char *argv[] = {"true", NULL};
	struct pf_exec *e[MANY], *more = NULL;
	int i, n = 1, r;

	e[0] = start(box, "cat; echo done >&2; exit 3", with_input);
	r = pf_exec_start(box, &(struct pf_exec_options){.argv = argv}, &more, &err);
	CHECK(r == 0 || r == -EBUSY);
	for (; r == 0 && n < MANY; n++)
		e[n] = start(box, "cat; echo done >&2; exit 3", with_input);
	for (i = 0; i < n; i++) {
		CHECK(pf_exec_stdin_room(e[i]) > 0 && pf_exec_stdin(e[i], "input\n", 6, &err) == 0);
		CHECK(pf_exec_stdin_close(e[i]) == 0);
	}
	for (i = n - 1; i >= 0; i--) {
		const struct pf_result *result = await(box, e[i]);
		char *json = pf_result_to_json(result, i % 3);

		CHECK(strcmp(pf_result_cause(result), "exited") == 0 && pf_result_exit_code(result) == 3);
		CHECK(strcmp(pf_result_text(result), "input\n") == 0 &&
		      strcmp(pf_result_stderr(result), "done\n") == 0);
		CHECK(json && strstr(json, "\"sanitizer build\""));
		free(json);
		pf_exec_end(e[i]);
	}
	pf_exec_end(more);
	pf_sandbox_destroy(box);
}

static void discard(void *user, struct pf_exec *e, enum pf_stream stream, const void *p, size_t n)
{
	(void)e, (void)stream, (void)p;
	*(size_t *)user += n;
}

static void kill_them(void)
{
	struct pf_sandbox *box = box_of(NULL);
	size_t bytes = 0;
	struct pf_exec *e = start(box, "setsid sh -c 'yes' & while :; do echo x; done",
				  (struct pf_exec_options){.output = discard, .user = &bytes});

	while (bytes < 1 << 20)
		CHECK(pf_sandbox_step(box, -1, &err) >= 0);
	CHECK(pf_exec_kill(e) == 0);
	CHECK(strcmp(pf_result_cause(await(box, e)), "killed") == 0);
	CHECK(pf_exec_signal(e, 15, &err) == -ESRCH);
	pf_exec_end(e);
	e = start(box, "trap 'exit 7' USR1; echo; while :; do :; done",
		  (struct pf_exec_options){.output = discard, .user = &bytes});
	bytes = 0;
	while (bytes == 0)
		CHECK(pf_sandbox_step(box, -1, &err) >= 0);
	CHECK(pf_exec_signal(e, 10, &err) == 0);
	CHECK(pf_result_exit_code(await(box, e)) == 7);
	pf_exec_end(e);
	start(box, "sleep 100", (struct pf_exec_options){.want_stdin = 1}); /* goes with its sandbox */
	pf_sandbox_destroy(box);
}

static void pause_it(void)
{
	struct pf_sandbox *box = box_of(NULL);
	struct pf_exec *e = start(box, "echo", (struct pf_exec_options){.wall_ms = 60000});
	int r = pf_sandbox_pause(box, &err);

	CHECK(r == 0 || r == -EOPNOTSUPP);
	CHECK(pf_sandbox_resume(box, &err) == 0);
	CHECK(pf_result_exit_code(await(box, e)) == 0);
	pf_exec_end(e);
	pf_sandbox_destroy(box);
}

static void terminal(void)
{
	struct pf_sandbox *box = box_of(NULL);
	struct pf_exec *e = start(box, "read x; stty size",
				  (struct pf_exec_options){.tty = 1, .want_stdin = 1, .rows = 7, .cols = 70});

	CHECK(pf_exec_resize(e, 33, 99) == 0);
	while (pf_exec_stdin_room(e) == 0)
		CHECK(pf_sandbox_step(box, -1, &err) >= 0);
	CHECK(pf_exec_resize(e, 33, 99) == 0);
	CHECK(pf_exec_stdin(e, "go\n", 3, &err) == 0);
	CHECK(strstr(pf_result_text(await(box, e)), "99") || strstr(pf_result_text(pf_exec_result(e)), "70"));
	pf_exec_end(e);
	pf_sandbox_destroy(box);
}

/* Commands that never were one. */
static void refused(void)
{
	const char *none[] = {"no-such-command", NULL}, *empty[] = {NULL}, *argv[] = {"true", NULL};
	struct pf_sandbox *box = box_of(NULL);
	struct pf_result *result = NULL;
	struct pf_exec *e = NULL;

	CHECK(pf_sandbox_run(box, &(struct pf_exec_options){.argv = none}, &result, &err) == 0);
	CHECK(pf_result_exit_code(result) == 127);
	pf_result_destroy(result);
	CHECK(pf_exec_start(box, &(struct pf_exec_options){.argv = empty}, &e, &err) == -EINVAL);
	CHECK(pf_sandbox_run(box, &(struct pf_exec_options){.argv = argv, .cwd = "/none"}, &result, &err) ==
	      0);
	CHECK(strcmp(pf_result_cause(result), "error") == 0);
	pf_result_destroy(result);
	CHECK(pf_exec_start(box, &(struct pf_exec_options){.argv = argv}, &e, &err) == 0);
	pf_exec_end(e); /* before its launcher waits */
	CHECK(pf_sandbox_run(box, &(struct pf_exec_options){.argv = argv}, &result, &err) == 0);
	CHECK(pf_result_exit_code(result) == 0);
	pf_result_destroy(result);
	pf_sandbox_destroy(box);
}

static void changes(const char *workspace)
{
	struct pf_sandbox *box = box_of(workspace);
	char *id = NULL, *json;
	struct pf_exec *e =
		start(box, "echo new >added; echo more >>kept; rm -r gone", (struct pf_exec_options){0});

	CHECK(pf_result_exit_code(await(box, e)) == 0);
	pf_exec_end(e);
	CHECK(pf_sandbox_end(box, &id, &err) == 0 && id);
	json = pf_changes_json(NULL, id, &err);
	CHECK(json && strstr(json, "added"));
	free(json);
	CHECK(pf_changes_diff(NULL, id, STDERR_FILENO, &err) == 0);
	CHECK(pf_changes_apply(NULL, id, 0, &err) == 0);
	pf_changes_drop(NULL, id, &err);
	CHECK(pf_changes_drop(NULL, "no-such-id", &err) < 0);
	free(id);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} all[] = {{"files", files},	{"concurrent", concurrent}, {"kill", kill_them},
		   {"pause", pause_it}, {"terminal", terminal},	    {"refused", refused}};
	size_t i;

	for (i = 0; argc == 2 && i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(all[i].name, argv[1]) != 0)
			continue;
		all[i].run();
		return puts("ok") < 0;
	}
	if (argc != 3 || strcmp(argv[1], "changes") != 0)
		return 2;
	changes(argv[2]);
	return puts("ok") < 0;
}
