/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RUNTIME/ID: what must be known of a sandbox after its keeper was killed. Lines
 * "key value"; in a value, backslash and newline are written as \\ and \n, so that a directory whose name has
 * a newline in it cannot add lines of its own.
 */
#ifndef PF_SANDBOX_META_H
#define PF_SANDBOX_META_H

#include "base/buf.h"
#include "policy/policy.h"

#define PF_META_MAX 65536u /* bytes of the file */

struct pf_meta {
	char tier[16], started[40];
	char mode[16];		   /* of the workspace: "cow", "rw,live" ...; "" without one */
	long pid;		   /* 0: unknown */
	char *workspace, *command; /* or NULL */
	char *image;		   /* its digest; NULL: the host's own tools */
	char *state;		   /* the state directory that it belongs to; NULL: unknown */
	struct pf_buf cgroups;	   /* lines for pf_cgroup_sweep() */
	struct pf_list scratch;	   /* as written; the sweep checks each */
};

/* Reads what it knows and skips other lines: a newer pinfold may have written them. -EINVAL for NUL bytes
 * or a value that is too long, -ENOMEM. *out is to be freed in either case. */
int pf_meta_parse(const char *text, size_t n, struct pf_meta *out);
void pf_meta_free(struct pf_meta *m);
int pf_meta_add(struct pf_buf *lines, const char *key, const char *value);

#endif
