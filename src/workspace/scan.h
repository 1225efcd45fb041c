/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which paths of a workspace a policy's patterns mean (secrets.mask, protect), and where its sockets are. A
 * pattern with wildcards needs every directory to be known, so what a walk found is kept in an index in the
 * state directory and refreshed by the directories' times: names are read again only where a directory
 * changed.
 *
 *	pf_scan_begin()		the answer; from the index it is as of the last time, and to be confirmed
 *	pf_scan_check()		looks at some of the directories' times: for while others build
 *	pf_scan_confirm()	looks at the rest; reads what changed
 *	pf_scan_end()		writes the index if that is worth it
 *
 * A directory's ctime tells of every change of its entries, and no program can set it back. One that changed
 * within the grain of its file system's clock before the walk may change again unseen: it is not trusted (the
 * rule of git's index). Nor are file systems that are not local, whose times may be late. The tree may be
 * hostile: the index is the state directory's, nothing in the workspace decides but names and times.
 */
#ifndef PF_WORKSPACE_SCAN_H
#define PF_WORKSPACE_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"

struct pf_scan; /* opaque */

struct pf_scan_want {
	const struct pf_list *mask;    /* patterns; paths from the workspace's root */
	const struct pf_list *protect; /* likewise; NULL: none */
	bool sockets;
	/* For the index: the state directory, or NULL: none is used; the workspace's path; the time of its
	 * file system now. */
	const char *state, *path;
	int64_t reference_ns;
};

/* Sorted, each once, relative. masks and protects of a plain name (no wildcard) are what pf_mask_resolve()
 * says of it (mask.h); protects are such as exist, or stand in the way of one as something else than a
 * directory. */
struct pf_scan_found {
	struct pf_list masks, protects, sockets;
	struct pf_list unprotected; /* "path: reason": what of the masks cannot be hidden */
	struct pf_list exposed;	    /* plain protected names that are not there */
	struct pf_list mounts; /* directories that another file system is mounted on, as far as was walked */
};

/* -EFBIG for a tree with more than 1,000,000 entries; -ENOMEM. */
int pf_scan_begin(int ws_fd, const struct pf_scan_want *want, struct pf_scan **out, struct pf_error *err);
const struct pf_scan_found *pf_scan_found(const struct pf_scan *s);
/* At most so many directories. True when there is nothing left to look at. */
bool pf_scan_check(struct pf_scan *s, unsigned directories);
/* 0: the answer holds; 1: it has changed, and pf_scan_found() with it. */
int pf_scan_confirm(struct pf_scan *s, struct pf_error *err);
void pf_scan_end(struct pf_scan *s); /* NULL is fine */

#endif
