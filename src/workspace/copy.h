/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of a workspace, for a host that cannot show the directory itself with other owners. */
#ifndef PF_WORKSPACE_COPY_H
#define PF_WORKSPACE_COPY_H

#include <sys/types.h>

#include "base/error.h"
#include "base/list.h"

/*
 * Everything in the directory from, but the paths of `without` (sorted, relative) and what is beneath them,
 * into the empty directory to: modes, times, links, FIFOs, holes, user.* attributes. What belongs to owner
 * belongs to uid and gid there. Sockets and devices are left out, mounts are not entered, no link is
 * followed. -ENOSPC when it does not fit.
 */
int pf_workspace_copy(int from, int to, const struct pf_list *without, uid_t owner, uid_t uid, gid_t gid,
		      struct pf_error *err);

#endif
