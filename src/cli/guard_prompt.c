/* SPDX-License-Identifier: Apache-2.0 */
/* pinfold guard prompt: the classifier is libexec's pinfold-guard, which maps weights and links utf8proc. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/guard.h"

static int prompt_main(char **argv)
{
	PF_AUTO_FREE char **words = NULL;
	struct pf_error err = {0};
	size_t n = 0;

	while (argv[n])
		n++;
	words = calloc(n + 1, sizeof(*words));
	if (!words) {
		pf_fail(&err, -ENOMEM, "out of memory");
		return pf_cli_fail(&err);
	}
	words[0] = (char *)(uintptr_t) "prompt";
	memcpy(words + 1, argv, n * sizeof(*words));
	return pf_cli_become("pinfold-guard", "libutf8proc", words, n + 1);
}

const struct pf_verb pf_guard_prompt = {
	.name = "guard prompt",
	.summary = "judge a text that a model will read",
	.usage = PF_PROMPT_USAGE,
	.text = PF_PROMPT_TEXT,
	.opts = pf_guard_prompt_opts,
	.main = prompt_main,
};
