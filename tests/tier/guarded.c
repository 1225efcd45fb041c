/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines in one live sandbox, judged by guard.command. Driven by test_guarded.py:
 *
 *	guarded STATE RUNTIME LIBEXEC TIER WORKSPACE < LINES
 *
 * Each line of standard input is run by pf_exec_options.shell, and its result printed as a line of JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pinfold.h"

static const char policy_text[] =
	"{\"guard\": {\"command\": \"enforce\"}, \"limits\": {\"wall_time\": \"30s\"}}";

static int fail(const char *what, const struct pf_error *err)
{
	printf("guarded.c: %s: %d %s\n", what, err->code, err->msg);
	return 1;
}

static int run_line(struct pf_sandbox *box, const char *line, struct pf_error *err)
{
	struct pf_exec_options o = {.shell = line};
	struct pf_exec *e;
	char *json;

	if (pf_exec_start(box, &o, &e, err) < 0)
		return fail("start", err);
	while (!pf_exec_result(e))
		if (pf_sandbox_step(box, 1000, err) < 0)
			return fail("step", err);
	json = pf_result_to_json(pf_exec_result(e), 0);
	if (!json)
		return fail("json", err);
	puts(json);
	free(json);
	pf_exec_end(e);
	return 0;
}

int main(int argc, char **argv)
{
	struct pf_error err = {0};
	struct pf_policy *policy;
	struct pf_sandbox *box;
	char line[4096];
	int r = 0;

	if (argc != 6)
		return 2;
	setvbuf(stdout, NULL, _IONBF, 0);
	if (pf_policy_new(&policy, &err) < 0 ||
	    pf_policy_parse(policy, policy_text, strlen(policy_text), "policy", &err) < 0 ||
	    pf_policy_option(policy, "tier", argv[4], &err) < 0 ||
	    pf_policy_option(policy, "workspace", argv[5], &err) < 0)
		return fail("policy", &err);
	if (pf_sandbox_create(policy,
			      &(struct pf_places){.state = argv[1], .runtime = argv[2], .libexec = argv[3]},
			      &box, &err) < 0)
		return fail("create", &err);
	while (r == 0 && fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		r = run_line(box, line, &err);
	}
	if (r == 0 && pf_sandbox_end(box, NULL, &err) < 0)
		r = fail("end", &err);
	else if (r)
		pf_sandbox_destroy(box);
	pf_policy_destroy(policy);
	return r;
}
