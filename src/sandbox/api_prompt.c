/* SPDX-License-Identifier: Apache-2.0 */
/* The public API: a text, judged by the prompt classifier. */
#include <stdio.h>
#include <stdlib.h>

#include "guard/prompt_client.h"
#include "sandbox/places.h"

#include "pinfold.h"

int pf_prompt_judge(const struct pf_places *places, int tool, const void *text, size_t n, int *level,
		    double *score, char **json, struct pf_error *err)
{
	struct pf_prompt_verdict v;
	struct pf_dirs dirs;
	char program[600];
	int r = pf_dirs_find(places, &dirs, err);

	if (r < 0)
		return r;
	snprintf(program, sizeof(program), "%s/pinfold-guard", dirs.libexec);
	r = pf_prompt_ask_bytes(program, tool != 0, text, n, &v, err);
	if (r < 0)
		return r;
	if (level)
		*level = (int)v.level;
	if (score)
		*score = v.score;
	if (json)
		*json = v.answer;
	else
		free(v.answer);
	return 0;
}
