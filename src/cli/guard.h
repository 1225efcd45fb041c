/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the verb guard: each of its parts is a file. */
#ifndef PF_CLI_GUARD_H
#define PF_CLI_GUARD_H

#include "cli/cli.h"

/* argv: behind the part's name; the exit code. */
extern const struct pf_verb pf_guard_command, pf_guard_output;

#endif
