/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several commands one after the other in one sandbox, as a session runs them: what does the first leave to
 * the next?
 *
 *	session LIBEXEC STATE RUNTIME TOOLS SCRIPT...
 *
 * Each script is run by sh; a line "== N CAUSE CODE" goes before what it printed.
 */
#include <stdio.h>
#include <string.h>

#include <pinfold.h>

static int fail(const struct pf_error *err)
{
	fprintf(stderr, "session: %s\n", err->msg);
	return 1;
}

int main(int argc, char **argv)
{
	struct pf_places places;
	struct pf_sandbox *box;
	struct pf_policy *policy;
	struct pf_error err = {0};
	int i;

	if (argc < 6)
		return 2;
	places = (struct pf_places){.state = argv[2], .runtime = argv[3], .libexec = argv[1]};
	if (pf_policy_new(&policy, &err) < 0 || pf_policy_option(policy, "tools", argv[4], &err) < 0 ||
	    pf_sandbox_create(policy, &places, &box, &err) < 0)
		return fail(&err);
	for (i = 5; i < argc; i++) {
		const char *words[] = {"sh", "-c", argv[i], NULL};
		struct pf_result *result;

		if (pf_sandbox_run(box, &(struct pf_exec_options){.argv = words, .wall_ms = 20000}, &result,
				   &err) < 0)
			return fail(&err);
		printf("== %d %s %d\n%s%s", i - 4, pf_result_cause(result), pf_result_exit_code(result),
		       pf_result_text(result), pf_result_stderr(result));
		pf_result_destroy(result);
	}
	pf_sandbox_destroy(box);
	pf_policy_destroy(policy);
	return 0;
}
