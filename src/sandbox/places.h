/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where pinfold keeps things, and what a sandbox that died left behind.
 *
 *   RUNTIME/ID         lines "key value": tier, state, started, pid, workspace, image, cgroup (one a
 * directory), scratch; locked (flock) by the keeper while the sandbox lives: only what can be locked is swept
 *   STATE/changes/ID   kept change sets (workspace/change.h)
 *   STATE/cache        what is cheap to make again: the host image's /etc, indexes
 *   STATE/scratch/ID   uppers of hosts whose tmpfs cannot be one
 */
#ifndef PF_SANDBOX_PLACES_H
#define PF_SANDBOX_PLACES_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/dirs.h"
#include "base/error.h"
#include "pinfold.h"

/* Fill from places (may be NULL), environment and identity; makes nothing. */
int pf_dirs_find(const struct pf_places *places, struct pf_dirs *out, struct pf_error *err);
/* Open STATE/changes, made if need be (mode 0700). Returns a descriptor or -errno. */
int pf_dirs_changes(const struct pf_dirs *d, struct pf_error *err);

/* Open RUNTIME, made if need be: 0700 and ours, no symbolic link; anything else is refused. Descriptor or
 * -errno. */
int pf_dirs_runtime(const struct pf_dirs *d, struct pf_error *err);
/* STATE/scratch likewise. */
int pf_dirs_scratch(const struct pf_dirs *d, struct pf_error *err);

/* The creating side: create and flock RUNTIME/ID, and only then write its lines (pf_meta_add() of meta.h per
 * line, then the tier's describe()). An empty one is taken for one that is being made for two seconds, then
 * for a dead one. */
struct pf_live { /* one entry of RUNTIME */
	char id[40];
	bool alive; /* lock is held by somebody */
	bool other; /* it keeps its changes in another state directory: one for each is usual in tests and CI
		     */
	long pid;   /* of the keeper, as meta says; 0 unknown */
	char started[40], tier[16];
	char mode[16];		   /* of its workspace, as the policy spells it; "" without one */
	char *workspace, *command; /* or NULL */
	char *image;		   /* digest of its image; NULL: the host's own tools */
};
int pf_live_list(const struct pf_dirs *d, struct pf_live **out, size_t *count, struct pf_error *err);
void pf_live_free(struct pf_live *list, size_t count);
/* No sandbox that lives works in the workspace itself (rw,live): it could write into what an apply prepares,
 * by rights that the change set has and it has not. -EBUSY with its name. */
int pf_live_none_within(const struct pf_dirs *d, const char *workspace, struct pf_error *err);
/* Remove what dead sandboxes left: groups, scratch, directories. Counts what was removed and what could not
 * be. */
struct pf_sweep {
	unsigned removed, remaining;
};
int pf_sweep(const struct pf_dirs *d, struct pf_sweep *out, struct pf_error *err);

#endif
