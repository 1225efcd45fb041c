/* SPDX-License-Identifier: Apache-2.0 */
/* The program pinfold-guard (libexec): `pinfold guard prompt`. */
#ifndef PF_GUARD_PROMPT_TOOL_H
#define PF_GUARD_PROMPT_TOOL_H

#include "base/buf.h"
#include "cli/cli.h"
#include "guard/prompt/prompt.h"

int pf__guard_main(char **argv); /* argv: behind "prompt"; the exit code */

/* What a command line asked for, and the classifier that answers. */
struct pf__guard {
	struct pf__weights weights;
	struct pf__scratch *scratch;
	struct pf__judge *judge;
};

/* weights: a file, or NULL for the installed one; path: PF_PATH_COUNT for the best that runs here. */
int pf__guard_open(struct pf__guard *g, const char *weights, enum pf__path path, struct pf_error *err);
void pf__guard_close(struct pf__guard *g);
int pf__source_find(const char *name, enum pf__source *out); /* "user", "tool"; -EINVAL */

/* The members of a verdict, within an object that the caller began. */
void pf__verdict_json(struct pf_jsonw *w, const struct pf__verdict *v, enum pf__source source,
		      const char *weights);
void pf__verdict_text(struct pf_buf *out, const struct pf__verdict *v);

/* A line of JSON in, one out, to the end of the input; the exit code. */
int pf__guard_stream(struct pf__guard *g, enum pf__source source);

#endif
