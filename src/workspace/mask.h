/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of the workspace is never shown (policy `secrets.mask`): a tree of whiteouts that
 * becomes a lower layer above the workspace in the same overlay.
 */
#ifndef PF_WORKSPACE_MASK_H
#define PF_WORKSPACE_MASK_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "policy/policy.h"

/* Find what the patterns match in the directory ws_fd. A pattern without wildcards is a path from the
 * workspace's root and is always in the answer (also when absent, so that it stays hidden if it appears
 * later) as long as its parent directory exists without a symbolic link on the way; else it goes into
 * `unprotected` with the reason. Wildcard patterns are resolved by one walk that crosses no mount, follows no
 * link, skips .git/objects, and is bounded (1,000,000 entries; beyond -EFBIG). No walk at all if no pattern
 * has a wildcard. Paths relative, each once, sorted. */
int pf_mask_resolve(int ws_fd, const struct pf_list *patterns, struct pf_list *paths,
		    struct pf_list *unprotected, struct pf_error *err);

/* Make the layer in the empty directory layer_fd: directories on the way with the mode and times of the
 * workspace's (and the given owner when the workspace's directory belongs to ws_owner, else left as created),
 * a whiteout (mknod c 0 0) for each path. */
int pf_mask_build(int layer_fd, int ws_fd, const struct pf_list *paths, uid_t ws_owner, uid_t uid, gid_t gid,
		  struct pf_error *err);

#endif
