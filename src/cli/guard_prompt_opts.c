/* SPDX-License-Identifier: Apache-2.0 */
/* The options of pinfold guard prompt: see guard.h. */
#include "cli/guard.h"

const struct pf_opt pf_guard_prompt_opts[] = {
	[PF_PROMPT_SOURCE] = {"source", 0, PF_OPT_VALUE, "user|tool",
			      "who wrote it: the user, or what a tool returned (default: tool)"},
	[PF_PROMPT_JSON] = {"json", 0, PF_OPT_FLAG, NULL, "print one JSON object"},
	[PF_PROMPT_STREAM] = {"stream", 0, PF_OPT_FLAG, NULL, "a line of JSON in, one out"},
	[PF_PROMPT_WEIGHTS] = {"weights", 0, PF_OPT_VALUE, "FILE", "other weights than the installed ones"},
	[PF_PROMPT_CPU] = {"cpu", 0, PF_OPT_VALUE, "PATH",
			   "scalar, avx2 or avx512-vnni (default: the best here)"},
	[PF_PROMPT_HELP] = PF_OPT_HELP,
	PF_OPT_END,
};
