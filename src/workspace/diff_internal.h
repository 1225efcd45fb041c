/* SPDX-License-Identifier: Apache-2.0 */
/* Between diff.c, which finds what to compare, and diff_text.c, which writes it. */
#ifndef PF_WORKSPACE_DIFF_INTERNAL_H
#define PF_WORKSPACE_DIFF_INTERNAL_H

#include "workspace/workspace_internal.h"

/* One side: mode 0 is a file that is not there; else git's 100644, 100755 or 120000. */
struct pf__doc {
	mode_t mode;
	bool binary; /* or too large to show: text is not loaded */
	int fd;	     /* of a binary one, else -1 */
	uint64_t size;
	struct pf__text text;
	struct pf_buf owned;
};

struct pf__sink {
	int fd;
	bool terminal;
	struct pf_buf b;
};

int pf__sink_flush(struct pf__sink *s);
/* prefix and path, in double quotes with escapes where git would quote them */
void pf__diff_name(struct pf_buf *out, const char *prefix, const char *path);
bool pf__doc_differ(const struct pf__doc *a, const struct pf__doc *b);
/* The patch of one file; nothing if both sides are the same. */
int pf__diff_put(struct pf__sink *s, const char *path, const struct pf__doc *old, const struct pf__doc *new);

#endif
