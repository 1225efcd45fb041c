/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ask the prompt classifier: libexec's pinfold-guard as a child, which maps its weights only then. A signal
 * to the policy, never the wall.
 */
#ifndef PF_GUARD_PROMPT_CLIENT_H
#define PF_GUARD_PROMPT_CLIENT_H

#include <stdbool.h>

#include "base/error.h"
#include "base/json.h"

enum pf_prompt_level { PF_PROMPT_CLEAR, PF_PROMPT_SUSPECT, PF_PROMPT_ATTACK };
const char *pf_prompt_level_name(enum pf_prompt_level level);	       /* "clear" */
int pf_prompt_level_find(const char *name, enum pf_prompt_level *out); /* -EINVAL */

#define PF_PROMPT_ANSWER_MAX 16384 /* bytes */

struct pf_prompt_verdict {
	enum pf_prompt_level level;
	double score; /* 0 to 1: 0.5 where suspect begins, 0.9 where attack does */
	char *answer; /* the JSON object that the program gave, checked; free() */
};

/* program: the path of pinfold-guard; tool: what a tool returned, else what a user wrote; fd: the text, read
 * to its end or to what is judged at most. -ENOENT: pinfold is not installed whole; others: what the program
 * said.
 */
int pf_prompt_ask(const char *program, bool tool, int fd, struct pf_prompt_verdict *out,
		  struct pf_error *err);
/* The same of bytes. */
int pf_prompt_ask_bytes(const char *program, bool tool, const void *text, size_t n,
			struct pf_prompt_verdict *out, struct pf_error *err);

#endif
