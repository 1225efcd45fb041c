/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the verb guard: each of its parts is a file. */
#ifndef PF_CLI_GUARD_H
#define PF_CLI_GUARD_H

#include "cli/cli.h"

/* argv: behind the part's name; the exit code. */
extern const struct pf_verb pf_guard_command, pf_guard_output, pf_guard_prompt;

/* guard_prompt_opts.c: of the verb, which completes them, and of libexec's program, which reads them. */
enum { PF_PROMPT_SOURCE, PF_PROMPT_JSON, PF_PROMPT_STREAM, PF_PROMPT_WEIGHTS, PF_PROMPT_CPU, PF_PROMPT_HELP };
extern const struct pf_opt pf_guard_prompt_opts[];
#define PF_PROMPT_USAGE                                                                                      \
	"guard prompt [--source user|tool] [--json] [FILE|-]\n"                                              \
	"guard prompt --stream [--source user|tool]\n"
#define PF_PROMPT_TEXT                                                                                       \
	"Says how much a text looks like one that was written to take a model over. A signal, and never\n"   \
	"a wall: what it misses is in docs/guard-prompt.md.\n"                                               \
	"Exit code: 0 clear, 1 suspect, 2 attack, 125 an error.\n"

#endif
