/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A live sandbox over the public API: many commands in it, hostile ones too, files, pause. Driven by
 * test_session.py:
 *
 *   session --list                          the names of the cases
 *   session CASE STATE RUNTIME LIBEXEC [POLICY OPTION VALUE]...
 *
 * Ends with 0, with 77 and a reason for what this host has not, else with what failed and its line.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "pinfold.h"

#define SECONDS(n) ((uint64_t)(n)*1000000000u)

static struct pf_places places;
static struct pf_policy *policy;
static struct pf_sandbox *box;
static struct pf_error err;

#define CHECK(cond)   check((cond), #cond, __LINE__)
#define CHECK_R(call) check_r((call), #call, __LINE__)

static void check(bool ok, const char *what, int line)
{
	if (ok)
		return;
	printf("session.c:%d: %s\n  last error: %d %s\n", line, what, err.code, err.msg);
	pf_sandbox_destroy(box);
	exit(1);
}

static void check_r(int r, const char *what, int line)
{
	check(r >= 0, what, line);
}

static void skip(const char *why)
{
	printf("skipped: %s\n", why);
	pf_sandbox_destroy(box);
	exit(77);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void create(void)
{
	CHECK_R(pf_sandbox_create(policy, &places, &box, &err));
}

/* --- commands ------------------------------------------------------------------------- */

static struct pf_exec *start_with(const char *script, struct pf_exec_options o)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	struct pf_exec *e = NULL;

	o.argv = argv;
	CHECK_R(pf_exec_start(box, &o, &e, &err));
	return e;
}

static struct pf_exec *start(const char *script)
{
	return start_with(script, (struct pf_exec_options){0});
}

static const struct pf_result *await(struct pf_exec *e)
{
	uint64_t end = now_ns() + SECONDS(40);

	while (!pf_exec_result(e) && now_ns() < end)
		if (pf_sandbox_step(box, 1000, &err) < 0)
			break;
	CHECK(pf_exec_result(e) != NULL);
	return pf_exec_result(e);
}

/* Runs it; its stdout must be what is expected and its exit code 0. */
static void expect(const char *script, const char *out)
{
	struct pf_exec *e = start(script);
	const struct pf_result *r = await(e);

	if (strcmp(pf_result_cause(r), "exited") != 0 || pf_result_exit_code(r) != 0 ||
	    strcmp(pf_result_text(r), out) != 0) {
		char *json = pf_result_to_json(r, 0);

		printf("`%s`: %.600s\n", script, json ? json : "?");
		free(json);
	}
	CHECK(strcmp(pf_result_cause(r), "exited") == 0);
	CHECK(pf_result_exit_code(r) == 0);
	CHECK(strcmp(pf_result_text(r), out) == 0);
	pf_exec_end(e);
}

/* Until the command has printed something. */
static void output_flag(void *user, struct pf_exec *e, enum pf_stream stream, const void *p, size_t n)
{
	(void)e;
	(void)stream;
	(void)p;
	*(size_t *)user += n;
}

static void await_output(const size_t *got, size_t least)
{
	uint64_t end = now_ns() + SECONDS(40);

	while (*got < least && now_ns() < end)
		CHECK_R(pf_sandbox_step(box, 1000, &err));
	CHECK(*got >= least);
}

static bool is(const struct pf_exec *e, const char *cause)
{
	return pf_exec_result(e) && strcmp(pf_result_cause(pf_exec_result(e)), cause) == 0;
}

/* Can it hold several commands at once? */
static bool has_groups(void)
{
	struct pf_exec *a = start("sleep 3600"), *b = NULL;
	const char *argv[] = {"true", NULL};
	struct pf_exec_options o = {.argv = argv};
	int r = pf_exec_start(box, &o, &b, &err);

	CHECK(r == 0 || r == -EBUSY);
	pf_exec_end(b);
	pf_exec_kill(a);
	await(a);
	pf_exec_end(a);
	return r == 0;
}

/* --- the cases: commands ---------------------------------------------------------------- */

static void several_commands(void)
{
	char want[32], script[64];
	int i;

	create();
	for (i = 0; i < 12; i++) {
		snprintf(script, sizeof(script), "echo %d; cat /tmp/n 2>/dev/null; echo %d > /tmp/n", i, i);
		if (i)
			snprintf(want, sizeof(want), "%d\n%d\n", i, i - 1);
		else
			snprintf(want, sizeof(want), "0\n");
		expect(script, want);
	}
}

static void run_and_results(void)
{
	const char *no[] = {"no-such-command", NULL},
		   *dies[] = {"sh", "-c", "echo out; echo err >&2; kill -9 $$", NULL};
	struct pf_result *r;

	create();
	CHECK_R(pf_sandbox_run(box, &(struct pf_exec_options){.argv = no}, &r, &err));
	CHECK(pf_result_exit_code(r) == 127);
	pf_result_destroy(r);
	CHECK_R(pf_sandbox_run(box, &(struct pf_exec_options){.argv = dies}, &r, &err));
	CHECK(strcmp(pf_result_cause(r), "signalled") == 0 && pf_result_exit_code(r) == -1);
	CHECK(strcmp(pf_result_text(r), "out\n") == 0 && strcmp(pf_result_stderr(r), "err\n") == 0);
	pf_result_destroy(r);
	expect("echo still here", "still here\n");
}

static void wrong_calls(void)
{
	const char *none[] = {NULL}, *empty[] = {"", NULL}, *yes[] = {"true", NULL};
	struct pf_exec *e;

	create();
	CHECK(pf_exec_start(box, &(struct pf_exec_options){.argv = none}, &e, &err) == -EINVAL);
	CHECK(pf_exec_start(box, &(struct pf_exec_options){.argv = empty}, &e, &err) == -EINVAL);
	e = start("true");
	await(e);
	CHECK(pf_exec_signal(e, 15, &err) < 0);
	CHECK(pf_exec_signal(e, 0, &err) == -EINVAL && pf_exec_signal(e, 65, &err) == -EINVAL);
	CHECK(pf_exec_stdin(e, "x", 1, &err) < 0 && pf_exec_stdin_room(e) == 0);
	pf_exec_stdin_close(e);
	pf_exec_kill(e);
	CHECK(is(e, "exited"));
	pf_exec_end(e);
	pf_exec_end(NULL);
	(void)yes;
	expect("echo fine", "fine\n");
}

static void concurrent_commands(void)
{
	enum { N = 12 };
	struct pf_exec *e[N];
	char script[64], want[16];
	int i;

	create();
	if (!has_groups())
		skip("one command at a time without control groups");
	for (i = 0; i < N; i++) {
		snprintf(script, sizeof(script), "mkfifo /tmp/f%d; read x < /tmp/f%d; echo $x; exit %d", i, i,
			 i);
		e[i] = start(script);
	}
	/* in the opposite order, so that each really waits for its own */
	for (i = N - 1; i >= 0; i--) {
		snprintf(script, sizeof(script), "until [ -p /tmp/f%d ]; do :; done; echo v%d > /tmp/f%d", i,
			 i, i);
		expect(script, "");
		await(e[i]);
		snprintf(want, sizeof(want), "v%d\n", i);
		CHECK(pf_result_exit_code(pf_exec_result(e[i])) == i &&
		      strcmp(pf_result_text(pf_exec_result(e[i])), want) == 0);
	}
	for (i = 0; i < N; i++)
		pf_exec_end(e[i]);
}

static void too_many_commands(void)
{
	struct pf_exec *e[200];
	const char *argv[] = {"sleep", "3600", NULL};
	int n = 0, i;

	create();
	if (!has_groups())
		skip("one command at a time without control groups");
	while (n < 200 && pf_exec_start(box, &(struct pf_exec_options){.argv = argv}, &e[n], &err) == 0)
		n++;
	CHECK(n >=
	      50); /* init's table holds 60; whatever is beyond is refused by name, here or in its result */
	for (i = 0; i < n; i++)
		pf_exec_kill(e[i]);
	for (i = 0; i < n; i++) {
		await(e[i]);
		CHECK(is(e[i], "killed") || is(e[i], "error"));
		pf_exec_end(e[i]);
	}
	expect("echo fine", "fine\n");
}

static void one_is_killed_and_the_other_goes_on(void)
{
	size_t got = 0;
	struct pf_exec *a, *b;

	create();
	if (!has_groups())
		skip("one command at a time without control groups");
	a = start_with("setsid sh -c 'echo on; sleep 3600' & sleep 3600",
		       (struct pf_exec_options){.output = output_flag, .user = &got});
	b = start("read x < /dev/null; until [ -e /tmp/go ]; do sleep 0.01; done; echo went on");
	await_output(&got, 3);
	pf_exec_kill(a);
	await(a);
	CHECK(is(a, "killed"));
	expect("touch /tmp/go", "");
	await(b);
	CHECK(is(b, "exited") && strcmp(pf_result_text(pf_exec_result(b)), "went on\n") == 0);
	pf_exec_end(a);
	expect("ps -e -o comm= | grep -c sleep; true", "0\n");
	pf_exec_end(b);
}

static void killed_at_once(void)
{
	int i;

	create();
	for (i = 0; i < 20;
	     i++) { /* before its launcher is ready, while it is looked at, after it was started */
		struct pf_exec *e = start("sleep 3600");
		int steps = i;

		while (steps-- > 0)
			CHECK_R(pf_sandbox_step(box, 0, &err));
		pf_exec_kill(e);
		await(e);
		CHECK(is(e, "killed"));
		if (i % 2)
			CHECK_R(pf_sandbox_step(box, 5, &err)); /* what was on its way */
		pf_exec_end(e);
		expect("echo fine", "fine\n");
	}
}

static void ended_without_waiting(void)
{
	int i;

	create();
	for (i = 0; i < 10; i++) {
		struct pf_exec *e = start(i % 2 ? "yes" : "sleep 3600 & sleep 3600");
		int steps = i;

		while (steps-- > 0)
			CHECK_R(pf_sandbox_step(box, 2, &err));
		pf_exec_end(e);
		expect("echo fine", "fine\n");
	}
	expect("ps -e -o comm= | grep -c -e sleep -e yes; true", "0\n");
}

static void destroyed_while_it_runs(void)
{
	create();
	start("setsid sleep 3600 & yes");
	CHECK_R(pf_sandbox_step(box, 200, &err));
	pf_sandbox_destroy(box);
	box = NULL;
}

/* --- a launcher that waits is attacked ---------------------------------------------------- */

/* The second command prepares a waiting launcher for the third; what the second does to every process it may
 * reach must not keep the third from being run. */
static void with_a_waiting_launcher(const char *attack)
{
	uint64_t begun;
	int i;

	create();
	expect("echo one", "one\n");
	for (i = 0; i < 3; i++) {
		struct pf_exec *e = start(attack);

		await(e);
		pf_exec_end(e);
		begun = now_ns();
		expect("echo after; readlink /proc/self/exe >/dev/null && echo ok", "after\nok\n");
		CHECK(now_ns() - begun < SECONDS(15));
	}
}

static void kill_all(void)
{
	with_a_waiting_launcher("sleep 0.05; kill -9 -1; echo not reached");
}

static void stop_all(void)
{
	with_a_waiting_launcher("sleep 0.05; kill -STOP -1; true");
}

static void kill_all_again_and_again(void)
{
	with_a_waiting_launcher("i=0; while [ $i -lt 30 ]; do (trap '' TERM; kill -9 -1) 2>/dev/null; "
				"i=$((i+1)); done; exit 0");
}

static void kill_while_another_starts(void)
{
	struct pf_exec *killer, *e;
	int i;

	create();
	if (!has_groups())
		skip("one command at a time without control groups");
	for (i = 0; i < 5; i++) {
		killer = start("i=0; while [ $i -lt 20 ]; do python3 -c 'import os; os.kill(-1, 9)'; "
			       "i=$((i+1)); done");
		e = start("echo survived");
		await(e);
		/* it may have been hit itself; but it ends, and truthfully */
		CHECK(is(e, "exited") || is(e, "signalled") || is(e, "error"));
		pf_exec_end(e);
		await(killer);
		pf_exec_end(killer);
	}
	expect("echo fine", "fine\n");
}

static void left_behind(void)
{
	static const char *const ways[] = {
		"sleep 3600 & echo x",
		"setsid sleep 3600 & echo x",
		"nohup sleep 3600 >/dev/null 2>&1 & echo x",
		"(setsid sh -c 'sleep 3600 & sleep 3600 & wait' &) ; echo x",
		"python3 -c 'import os,sys,time\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): "
		"os._exit(0)\ntime.sleep(3600)'; echo x",
		"sh -c 'trap \"\" TERM INT HUP; while :; do sleep 1; done' & echo x",
	};
	size_t i;

	create();
	for (i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		uint64_t begun = now_ns();

		expect(ways[i], "x\n");
		CHECK(now_ns() - begun < SECONDS(10));
		expect("ps -e -o comm= | grep -c -e sleep -e python; true", "0\n");
	}
}

/* --- streams and signals --------------------------------------------------------------------- */

static void stdin_and_signals(void)
{
	struct pf_exec *e;
	size_t got = 0;

	create();
	e = start_with("trap 'echo usr1; exit 5' USR1; echo up; while :; do read x || sleep 0.01; done",
		       (struct pf_exec_options){.output = output_flag, .user = &got, .want_stdin = 1});
	await_output(&got, 3);
	CHECK_R(pf_exec_signal(e, 10, &err));
	await(e);
	CHECK(is(e, "exited") && pf_result_exit_code(pf_exec_result(e)) == 5);
	pf_exec_end(e);
	e = start_with("cat", (struct pf_exec_options){.want_stdin = 1});
	while (pf_exec_stdin_room(e) == 0)
		CHECK_R(pf_sandbox_step(box, 1000, &err));
	CHECK_R(pf_exec_stdin(e, "typed\n", 6, &err));
	CHECK_R(pf_exec_stdin_close(e));
	await(e);
	CHECK(strcmp(pf_result_text(pf_exec_result(e)), "typed\n") == 0);
	pf_exec_end(e);
}

/* An end of file that is sent before the launcher even exists. */
static void stdin_closed_at_once(void)
{
	int i;

	create();
	for (i = 0; i < 5; i++) {
		struct pf_exec *e = start_with("cat; echo end", (struct pf_exec_options){.want_stdin = 1});

		if (i % 2)
			CHECK_R(pf_exec_stdin(e, "abc", 3, &err));
		CHECK_R(pf_exec_stdin_close(e));
		await(e);
		CHECK(strcmp(pf_result_text(pf_exec_result(e)), i % 2 ? "abcend\n" : "end\n") == 0);
		pf_exec_end(e);
	}
}

/* Held for longer than we wait for streams to close, after the command has ended: nothing is lost. */
static void held_output(void)
{
	struct pf_exec *e;
	uint64_t until;
	size_t got = 0;

	create();
	e = start_with("yes | head -c 200000; echo up >&2",
		       (struct pf_exec_options){.output = output_flag, .user = &got});
	pf_exec_hold(e, PF_STDOUT, 1);
	until = now_ns() + SECONDS(5) / 2;
	while (now_ns() < until)
		CHECK_R(pf_sandbox_step(box, 100, &err));
	CHECK(got <= 262144 + 3);
	pf_exec_hold(e, PF_STDOUT, 0);
	await(e);
	CHECK(got == 200003 && is(e, "exited"));
	pf_exec_end(e);
	e = start_with("yes", (struct pf_exec_options){.output = output_flag, .user = &got, .wall_ms = 700});
	got = 0;
	pf_exec_hold(e, PF_STDOUT, 1);
	until = now_ns() + SECONDS(1);
	while (now_ns() < until)
		CHECK_R(pf_sandbox_step(box, 100, &err));
	CHECK(got <= 262144);
	pf_exec_hold(e, PF_STDOUT, 0);
	await(e);
	CHECK(is(e, "timeout"));
	pf_exec_end(e);
}

static void environment_and_directory(void)
{
	const char *env[] = {"A=1", "B=two words", "PATH=/tmp/p:/usr/bin:/bin", "LANG=C", NULL};
	const char *tool[] = {"mytool", "x", NULL};
	struct pf_exec *e;
	struct pf_result *r;

	create();
	expect("env | grep -v -e ^PWD= -e ^OLDPWD= -e ^SHLVL= -e ^_= -ie _proxy= | sort",
	       "HOME=/home/user\nLANG=C.UTF-8\nPATH=/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/"
	       "games\nUSER=user\n");
	e = start_with("echo $A/$B/$LANG/$USER; pwd", (struct pf_exec_options){.env = env, .cwd = "/tmp"});
	await(e);
	CHECK(strcmp(pf_result_text(pf_exec_result(e)), "1/two words/C/user\n/tmp\n") == 0);
	pf_exec_end(e);
	expect("mkdir /tmp/p; printf '#!/bin/sh\\necho tool $1\\n' > /tmp/p/mytool; chmod 755 /tmp/p/mytool",
	       "");
	CHECK_R(pf_sandbox_run(box, &(struct pf_exec_options){.argv = tool, .env = env}, &r, &err));
	CHECK(strcmp(pf_result_text(r), "tool x\n") == 0);
	pf_result_destroy(r);
	CHECK_R(pf_sandbox_run(box, &(struct pf_exec_options){.argv = tool}, &r, &err));
	CHECK(pf_result_exit_code(r) == 127);
	pf_result_destroy(r);
	CHECK_R(pf_sandbox_run(box, &(struct pf_exec_options){.argv = tool, .env = env, .cwd = "/nowhere"},
			       &r, &err));
	CHECK(strcmp(pf_result_cause(r), "error") == 0);
	pf_result_destroy(r);
}

static void limits_of_a_call(void)
{
	struct pf_exec *e;

	create();
	e = start_with("echo x; sleep 3600", (struct pf_exec_options){.wall_ms = 400});
	await(e);
	CHECK(is(e, "timeout") && strcmp(pf_result_text(pf_exec_result(e)), "x\n") == 0);
	pf_exec_end(e);
	e = start_with("echo x; sleep 3600", (struct pf_exec_options){.idle_ms = 400});
	await(e);
	CHECK(is(e, "idle_timeout"));
	pf_exec_end(e);
	expect("echo fine", "fine\n");
}

/* What one command met must not be another's cause. */
static void events_belong_to_one_command(void)
{
	struct pf_exec *e;
	char *json;
	bool held;

	create();
	e = start("true");
	await(e);
	json = pf_result_to_json(pf_exec_result(e), 0);
	held = !strstr(json, "\"limit\":\"memory\"");
	free(json);
	if (!held)
		skip("nothing holds memory here");
	pf_exec_end(e);
	e = start("exec tail /dev/zero");
	await(e);
	CHECK(is(e, "oom"));
	pf_exec_end(e);
	e = start("exit 3");
	await(e);
	CHECK(is(e, "exited") && pf_result_exit_code(pf_exec_result(e)) == 3);
	json = pf_result_to_json(pf_exec_result(e), 0);
	CHECK(strstr(json, "\"limits_hit\":[]") != NULL);
	free(json);
	pf_exec_end(e);
}

#define ASK(name)                                                                                            \
	"bash -c 'exec 3<>/dev/tcp/127.0.0.1/3128 && "                                                       \
	"printf \"GET http://" name "/ HTTP/1.1\\r\\nHost: " name                                            \
	"\\r\\n\\r\\n\" >&3 && cat <&3' | grep -c 403"

static bool was_denied(const struct pf_exec *e, const char *target)
{
	char *json = pf_result_to_json(pf_exec_result(e), 0), text[80];
	bool found;

	snprintf(text, sizeof(text), "\"target\":\"%s:80\"", target);
	found = strstr(json, text) != NULL;
	free(json);
	return found;
}

static void denials_belong_to_one_command(void)
{
	struct pf_exec *a, *b;
	size_t got = 0;

	create();
	a = start(ASK("one.test"));
	await(a);
	b = start(ASK("two.test"));
	await(b);
	CHECK(is(a, "exited") && strcmp(pf_result_text(pf_exec_result(a)), "1\n") == 0);
	CHECK(was_denied(a, "one.test") && !was_denied(a, "two.test"));
	CHECK(was_denied(b, "two.test") && !was_denied(b, "one.test"));
	pf_exec_end(b);
	pf_exec_end(a);
	b = start("true");
	await(b);
	CHECK(!was_denied(b, "one.test") && !was_denied(b, "two.test"));
	pf_exec_end(b);
	if (!has_groups())
		return; /* never two at once */
	a = start_with(ASK("three.test") "; exec sleep 3600",
		       (struct pf_exec_options){.output = output_flag, .user = &got});
	await_output(&got, 2);
	b = start(ASK("four.test"));
	await(b);
	pf_exec_kill(a);
	await(a);
	CHECK(was_denied(b, "four.test") && !was_denied(b, "three.test"));
	CHECK(was_denied(a, "three.test") &&
	      was_denied(a, "four.test")); /* nothing tells which of two it was */
	pf_exec_end(b);
	pf_exec_end(a);
}

/* Each command has its own fresh launcher: what one did to itself is not inherited. */
static void nothing_is_inherited(void)
{
	char own[80];

	/* a launcher starts as nice as what made the sandbox, and nothing but privilege makes it less so */
	snprintf(own, sizeof(own), "1024\nunlimited\n0022\n\n/home/user\n%d\n", getpriority(PRIO_PROCESS, 0));
	create();
	expect("ulimit -n 50; ulimit -f 1; umask 0; cd /; export X=1; taskset -p 1 $$ >/dev/null; renice 19 "
	       "$$ >/dev/null; exec sleep 0",
	       "");
	expect("ulimit -n; ulimit -f; umask; echo $X; pwd; nice", own);
	expect("grep -c . /proc/self/status >/dev/null; ls /proc/self/fd | wc -l", "4\n");
}

/* --- pause --------------------------------------------------------------------------------------- */

static void pause_stops_clocks(void)
{
	struct pf_exec *e;
	size_t got = 0;
	uint64_t until;
	char *json, *p;
	long ms = 0;

	create();
	e = start_with("echo up; sleep 0.6; echo on; exit 4",
		       (struct pf_exec_options){
			       .output = output_flag, .user = &got, .wall_ms = 1500, .idle_ms = 1200});
	await_output(&got, 3);
	if (pf_sandbox_pause(box, &err) < 0) {
		CHECK(err.code == -EOPNOTSUPP);
		skip("no freezer");
	}
	CHECK_R(pf_sandbox_pause(box, &err)); /* twice is once */
	until = now_ns() + SECONDS(2);
	while (now_ns() < until)
		CHECK_R(pf_sandbox_step(box, 100, &err));
	CHECK(pf_exec_result(e) == NULL && got == 3);
	CHECK_R(pf_sandbox_resume(box, &err));
	CHECK_R(pf_sandbox_resume(box, &err));
	await(e);
	CHECK(is(e, "exited") && pf_result_exit_code(pf_exec_result(e)) == 4);
	json = pf_result_to_json(pf_exec_result(e), 0);
	p = strstr(json, "\"duration_ms\":");
	CHECK(p != NULL);
	ms = strtol(p + strlen("\"duration_ms\":"), NULL, 10);
	free(json);
	CHECK(ms >= 0 && ms < 1500);
	pf_exec_end(e);
}

static void killed_while_paused(void)
{
	struct pf_exec *e;
	size_t got = 0;

	create();
	/* with a proxy, which stands still as well */
	e = start_with("bash -c 'exec 3<>/dev/tcp/127.0.0.1/3128; echo up; sleep 3600'",
		       (struct pf_exec_options){.output = output_flag, .user = &got});
	await_output(&got, 3);
	if (pf_sandbox_pause(box, &err) < 0)
		skip("no freezer");
	pf_exec_kill(e);
	CHECK_R(pf_sandbox_resume(box, &err));
	await(e);
	CHECK(is(e, "killed"));
	pf_exec_end(e);
	expect("echo fine", "fine\n");
	CHECK_R(pf_sandbox_pause(box, &err));
	pf_sandbox_destroy(box); /* paused: it must go all the same */
	box = NULL;
}

/* --- files ------------------------------------------------------------------------------------------ */

static bool file_is(const char *path, const char *want)
{
	char *data = NULL;
	size_t n = 0;
	bool same;

	if (pf_file_read(box, path, 1 << 20, &data, &n, &err) < 0)
		return false;
	same = n == strlen(want) && memcmp(data, want, n) == 0;
	free(data);
	return same;
}

static void files(void)
{
	struct pf_file_stat st;
	char *data;
	size_t n;

	create();
	CHECK_R(pf_file_write(box, "/tmp/a", "hello", 5, &err));
	CHECK(file_is("/tmp/a", "hello"));
	CHECK_R(pf_file_write(box, "/tmp/a", "", 0, &err));
	CHECK(file_is("/tmp/a", ""));
	CHECK_R(pf_file_write(box, "/tmp/a", "ab\0cd", 5, &err));
	CHECK_R(pf_file_read(box, "/tmp/a", 100, &data, &n, &err));
	CHECK(n == 5 && memcmp(data, "ab\0cd", 5) == 0);
	free(data);
	CHECK_R(pf_file_stat(box, "/tmp/a", &st, &err));
	CHECK(S_ISREG(st.mode) && (st.mode & 07777) == 0644 && st.uid == 1000 && st.gid == 1000 &&
	      st.size == 5);
	CHECK(st.mtime_ns > 1500000000ll * 1000000000);
	CHECK_R(pf_file_mkdir(box, "/tmp/d", &err));
	CHECK_R(pf_file_stat(box, "/tmp/d", &st, &err));
	CHECK(S_ISDIR(st.mode) && (st.mode & 07777) == 0755);
	CHECK_R(pf_file_write(box, "/tmp/d/x y\nz", "1", 1, &err));
	CHECK_R(pf_file_remove(box, "/tmp/d", &err));
	CHECK(pf_file_stat(box, "/tmp/d", &st, &err) == -ENOENT);
	CHECK_R(pf_file_remove(box, "/tmp/a", &err));
	expect("ls /tmp", "");
}

static void files_refused(void)
{
	struct pf_file_stat st;
	char *data;
	size_t n;

	create();
	CHECK(pf_file_read(box, "/tmp/none", 10, &data, &n, &err) == -ENOENT);
	CHECK(pf_file_read(box, "/tmp", 10, &data, &n, &err) == -EISDIR);
	CHECK(pf_file_read(box, "tmp", 10, &data, &n, &err) == -EINVAL);
	CHECK(pf_file_write(box, "/usr/x", "1", 1, &err) < 0);
	CHECK(pf_file_write(box, "/tmp/none/x", "1", 1, &err) == -ENOENT);
	CHECK(pf_file_mkdir(box, "/tmp", &err) == -EEXIST);
	CHECK(pf_file_mkdir(box, "/etc/x", &err) < 0);
	CHECK(pf_file_remove(box, "/tmp/none", &err) == -ENOENT);
	CHECK(pf_file_remove(box, "/usr/bin/env", &err) < 0);
	CHECK(pf_file_stat(box, "/tmp/none", &st, &err) == -ENOENT);
	expect("echo fine", "fine\n");
}

static void files_large(void)
{
	size_t size = 5 << 20, n, i;
	char *big = malloc(size), *data = NULL;

	CHECK(big != NULL);
	for (i = 0; i < size; i++)
		big[i] = (char)(i * 2654435761u >> 13);
	create();
	CHECK_R(pf_file_write(box, "/tmp/big", big, size, &err));
	CHECK_R(pf_file_read(box, "/tmp/big", size, &data, &n, &err));
	CHECK(n == size && memcmp(big, data, size) == 0);
	free(data);
	CHECK(pf_file_read(box, "/tmp/big", size - 1, &data, &n, &err) == -EFBIG);
	CHECK(pf_file_read(box, "/dev/zero", 100, &data, &n, &err) < 0);
	expect("head -c 3G /dev/zero 2>/dev/null > /tmp/full; echo", "\n");
	CHECK(pf_file_write(box, "/tmp/more", big, size, &err) == -ENOSPC);
	free(big);
}

static void files_that_are_not_files(void)
{
	struct pf_file_stat st;
	uint64_t begun = now_ns();
	char *data;
	size_t n;

	create();
	expect("mkfifo /tmp/fifo; ln -s /tmp/target /tmp/link; ln -s /tmp/none /tmp/dangling; ln -s loop "
	       "/tmp/loop; echo t > /tmp/target",
	       "");
	CHECK(pf_file_read(box, "/tmp/fifo", 10, &data, &n, &err) < 0);
	CHECK(pf_file_write(box, "/tmp/fifo", "x", 1, &err) < 0);
	CHECK(file_is("/tmp/link", "t\n"));
	CHECK_R(pf_file_stat(box, "/tmp/link", &st, &err));
	CHECK(S_ISLNK(st.mode));
	CHECK(pf_file_read(box, "/tmp/dangling", 10, &data, &n, &err) == -ENOENT);
	CHECK(pf_file_read(box, "/tmp/loop", 10, &data, &n, &err) == -ELOOP);
	CHECK_R(pf_file_remove(box, "/tmp/link", &err));
	CHECK(file_is("/tmp/target", "t\n"));
	CHECK_R(pf_file_remove(box, "/tmp/fifo", &err));
	expect("mkdir -p /tmp/tree/a/b; ln -s /tmp/target /tmp/tree/a/l; ln -s / /tmp/tree/root; mkfifo "
	       "/tmp/tree/f",
	       "");
	CHECK_R(pf_file_remove(box, "/tmp/tree", &err));
	CHECK(file_is("/tmp/target", "t\n"));
	CHECK(now_ns() - begun < SECONDS(20)); /* a FIFO has no end: nothing waited for one */
}

struct names {
	int count;
	char types[8], names[8][64];
};

static void take_name(void *user, char type, const char *name)
{
	struct names *l = user;

	if (l->count < 8) {
		l->types[l->count] = type;
		snprintf(l->names[l->count], sizeof(l->names[0]), "%s", name);
	}
	l->count++;
}

static void count_name(void *user, char type, const char *name)
{
	(void)type;
	*(size_t *)user += name[0] != '\0';
}

static void files_listed(void)
{
	struct names l = {0};
	size_t many = 0;
	int i;

	create();
	expect("cd /tmp; mkdir d; echo > f; ln -s f l; mkfifo p; echo > 'new\nline'", "");
	CHECK_R(pf_file_list(box, "/tmp", take_name, &l, &err));
	CHECK(l.count == 5);
	for (i = 0; i < 5; i++) {
		const char *n = l.names[i];
		char want = strcmp(n, "d") == 0	  ? 'd'
			    : strcmp(n, "l") == 0 ? 'l'
			    : strcmp(n, "p") == 0 ? '?'
						  : 'f';

		CHECK(l.types[i] == want);
	}
	CHECK(pf_file_list(box, "/tmp/f", take_name, &l, &err) == -ENOTDIR);
	CHECK(pf_file_list(box, "/tmp/none", take_name, &l, &err) == -ENOENT);
	expect("mkdir /tmp/many; cd /tmp/many; seq 1 5000 | xargs touch", "");
	CHECK_R(pf_file_list(box, "/tmp/many", count_name, &many, &err));
	CHECK(many == 5000);
}

/* What one command sees of another and of us: init, and nothing to hold on to. */
static void the_last_word(void)
{
	struct pf_exec *e;

	create();
	e = start("kill -9 1; kill -STOP 1; echo tried");
	await(e);
	CHECK(strcmp(pf_result_text(pf_exec_result(e)), "tried\n") == 0);
	pf_exec_end(e);
	expect("cat /proc/1/environ /proc/1/maps 2>/dev/null | wc -c; ls /proc/1/fd 2>/dev/null | wc -l",
	       "0\n0\n");
	expect("echo fine", "fine\n");
}

/* Init is gone in the middle: every call comes back with an error, none waits for ever. Init is our child. */
static void init_dies(void)
{
	char *big = calloc(1, 8 << 20), *data;
	int init = 0;
	FILE *f = fopen("/proc/thread-self/children", "re");
	struct pf_exec *e;
	size_t got = 0, n;

	CHECK(big != NULL);
	if (!f)
		skip("this kernel lists no children");
	create();
	CHECK(fscanf(f, "%d", &init) == 1 && init > 1);
	fclose(f);
	expect("echo one", "one\n");
	e = start_with("echo up; sleep 3600",
		       (struct pf_exec_options){.output = output_flag, .user = &got, .want_stdin = 1});
	await_output(&got, 3);
	while (pf_exec_stdin_room(e) && pf_exec_stdin(e, big, pf_exec_stdin_room(e), &err) == 0)
		;
	CHECK(kill(init, SIGKILL) == 0);
	await(e);
	CHECK(is(e, "error") || is(e, "boundary"));
	CHECK(pf_file_write(box, "/tmp/x", big, 8 << 20, &err) < 0);
	CHECK(pf_file_read(box, "/tmp/x", 10, &data, &n, &err) < 0);
	CHECK(pf_sandbox_step(box, 0, &err) < 0);
	pf_exec_end(e);
	free(big);
}

/* --- against the liar (LIBEXEC is its) ------------------------------------------------------------------ */

static bool bad_names;

static void judge_name(void *user, char type, const char *name)
{
	(void)user;
	(void)type;
	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strchr(name, '/'))
		bad_names = true;
}

static void lies_about_files(void)
{
	struct pf_file_stat st;
	char *data = NULL;
	size_t n = 0;
	int r;

	create();
	pf_file_list(box, "/tmp", judge_name, NULL, &err);
	CHECK(!bad_names);
	r = pf_file_stat(box, "/tmp", &st, &err);
	CHECK(r < 0 || st.mode != 0);
	r = pf_file_read(box, "/etc/passwd", 1000, &data, &n, &err);
	CHECK(r < 0 || n <= 1000);
	free(data);
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
#define CASE(f)                                                                                              \
	{                                                                                                    \
#f, f                                                                                        \
	}
	CASE(several_commands),
	CASE(run_and_results),
	CASE(wrong_calls),
	CASE(concurrent_commands),
	CASE(too_many_commands),
	CASE(one_is_killed_and_the_other_goes_on),
	CASE(killed_at_once),
	CASE(ended_without_waiting),
	CASE(destroyed_while_it_runs),
	CASE(kill_all),
	CASE(stop_all),
	CASE(kill_all_again_and_again),
	CASE(kill_while_another_starts),
	CASE(left_behind),
	CASE(stdin_and_signals),
	CASE(stdin_closed_at_once),
	CASE(held_output),
	CASE(environment_and_directory),
	CASE(limits_of_a_call),
	CASE(events_belong_to_one_command),
	CASE(denials_belong_to_one_command),
	CASE(nothing_is_inherited),
	CASE(pause_stops_clocks),
	CASE(killed_while_paused),
	CASE(files),
	CASE(files_refused),
	CASE(files_large),
	CASE(files_that_are_not_files),
	CASE(files_listed),
	CASE(the_last_word),
	CASE(init_dies),
	CASE(lies_about_files),
};

int main(int argc, char **argv)
{
	size_t i;
	int a;

	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (i = 0; i < sizeof(cases) / sizeof(*cases); i++)
			puts(cases[i].name);
		return 0;
	}
	if (argc < 5)
		return 2;
	setvbuf(stdout, NULL, _IONBF, 0);
	places = (struct pf_places){.state = argv[2], .runtime = argv[3], .libexec = argv[4]};
	CHECK_R(pf_policy_new(&policy, &err));
	for (a = 5; a + 1 < argc; a += 2)
		CHECK_R(pf_policy_option(policy, argv[a], argv[a + 1], &err));
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (strcmp(cases[i].name, argv[1]) != 0)
			continue;
		cases[i].run();
		CHECK(pf_sandbox_end(box, NULL, &err) == 0);
		pf_policy_destroy(policy);
		return 0;
	}
	return 2;
}
