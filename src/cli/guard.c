/* SPDX-License-Identifier: Apache-2.0 */
/* pinfold guard: what is asked before and after a command. Each part is a small verb of its own. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/guard.h"

static const struct pf_verb *const parts[] = {&pf_guard_command, &pf_guard_output, &pf_guard_prompt, NULL};

static const struct pf_opt opts[] = {
	PF_OPT_HELP,
	PF_OPT_END,
};

static int guard_main(char **argv)
{
	struct pf_error err = {0};

	if (argv[0] && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0))
		return pf_cli_help(&pf_verb_guard);
	for (size_t i = 0; argv[0] && parts[i]; i++) {
		if (strcmp(parts[i]->name + strlen("guard "), argv[0]) == 0)
			return parts[i]->main(argv + 1);
	}
	if (argv[0])
		pf_fail(&err, -EINVAL, "guard has no \"%.40s\"", argv[0]);
	else
		pf_fail(&err, -EINVAL, "which part of the guard: command, output or prompt?");
	return pf_cli_misuse(&pf_verb_guard, &err);
}

const struct pf_verb pf_verb_guard = {
	.name = "guard",
	.summary = "judge command lines and texts, take secrets out of output",
	.usage = "guard command [--json] [--policy FILE] [--workspace DIR] -- 'LINE'\n"
		 "guard output [--secret NAME=@FILE|env:VAR] [--audit] [--counts]\n"
		 "guard prompt [--source user|tool] [--json] [--stream] [FILE|-]\n",
	.text = "The guard is a signal and a seat belt. What holds is the boundary.\n",
	.opts = opts,
	.main = guard_main,
	.parts = parts,
};
