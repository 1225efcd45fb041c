/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several commands in one sandbox, over the public API, for tests in Python:
 *
 *   steps STATE RUNTIME LIBEXEC NAME=VALUE... -- STEP...
 *
 * NAME=VALUE are policy options. A step is a shell script that runs inside, to its end; or "host SCRIPT",
 * which runs outside; "start SCRIPT", which runs inside and is not waited for before it has printed
 * something; "wait", for the oldest of those; "kill", the same but killed first. What comes out, a line each:
 * the JSON of each result in the order of its waiting, and last {"changes": ID or null, "error": TEXT or
 * null} of the sandbox's end.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pinfold.h"

#define RUNNING_MAX 8

static struct pf_sandbox *box;
static struct pf_exec *running[RUNNING_MAX];
static bool spoken[RUNNING_MAX];
static unsigned first, last;
static struct pf_error err;

static void fail(const char *what)
{
	fprintf(stderr, "steps: %s: %d %s\n", what, err.code, err.msg);
	pf_sandbox_destroy(box);
	exit(1);
}

static void output(void *user, struct pf_exec *e, enum pf_stream stream, const void *p, size_t n)
{
	(void)e;
	(void)stream;
	(void)p;
	(void)n;
	*(bool *)user = true;
}

static void start(const char *script, bool wait_for_output)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	struct pf_exec_options o = {.argv = argv, .output = output, .user = &spoken[last]};

	if (last == RUNNING_MAX)
		fail("too many steps are not waited for");
	spoken[last] = false;
	if (pf_exec_start(box, &o, &running[last], &err) < 0)
		fail(script);
	while (wait_for_output && !spoken[last] && !pf_exec_result(running[last]))
		if (pf_sandbox_step(box, 1000, &err) < 0)
			break;
	last++;
}

static void wait_for_one(void)
{
	struct pf_exec *e = running[first];
	char *json;

	if (first == last)
		fail("nothing runs");
	while (!pf_exec_result(e))
		if (pf_sandbox_step(box, 1000, &err) < 0 && !pf_exec_result(e))
			fail("step");
	json = pf_result_to_json(pf_exec_result(e), 0);
	puts(json ? json : "null");
	fflush(stdout);
	free(json);
	pf_exec_end(e);
	first++;
	if (first == last)
		first = last = 0;
}

static void step(const char *text)
{
	if (strncmp(text, "host ", 5) == 0) {
		if (system(text + 5) != 0)
			fail(text);
	} else if (strncmp(text, "start ", 6) == 0) {
		start(text + 6, true);
	} else if (strcmp(text, "wait") == 0) {
		wait_for_one();
	} else if (strcmp(text, "kill") == 0) {
		pf_exec_kill(running[first]);
		wait_for_one();
	} else {
		start(text, false);
		while (first != last)
			wait_for_one();
	}
}

int main(int argc, char **argv)
{
	struct pf_places places = {0};
	struct pf_policy *policy;
	char *changes = NULL, *value;
	int i, r;

	if (argc < 5)
		return 2;
	places.state = argv[1];
	places.runtime = argv[2];
	places.libexec = argv[3];
	if (pf_policy_new(&policy, &err) < 0)
		fail("policy");
	for (i = 4; i < argc && strcmp(argv[i], "--") != 0; i++) {
		value = strchr(argv[i], '=');
		if (!value)
			return 2;
		*value++ = '\0';
		if (pf_policy_option(policy, argv[i], value, &err) < 0)
			fail(argv[i]);
	}
	if (pf_sandbox_create(policy, &places, &box, &err) < 0)
		fail("create");
	for (i++; i < argc; i++)
		step(argv[i]);
	err.code = 0;
	r = pf_sandbox_end(box, &changes, &err);
	printf("{\"changes\": %s%s%s, \"error\": %s}\n", changes ? "\"" : "", changes ? changes : "null",
	       changes ? "\"" : "", r < 0 ? "true" : "null");
	free(changes);
	pf_policy_destroy(policy);
	return 0;
}
