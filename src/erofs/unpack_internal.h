/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the unpacker. */
#ifndef PF_EROFS_UNPACK_INTERNAL_H
#define PF_EROFS_UNPACK_INTERNAL_H

#include "erofs/read.h"

struct pf__unpacker {
	const struct pf_erofs *fs;
	struct pf_unpack *how;
	struct pf_error *err;
	int top;			/* the given directory */
	int fds[PF_TREE_DEPTH_MAX + 2]; /* those on the way down, a copy of it first */
	unsigned depth;			/* of open ones */
	uint64_t told;			/* bytes at the last report */
};

/* "PATH: cannot ...: " and strerror(errno), the path printable. */
int pf__unpack_fail(struct pf__unpacker *u, const struct pf_erofs_visit *v, const char *what);

/* Owner, mode, attributes and time of what was made, in the order that keeps set-id bits and capabilities. By
 * its descriptor fd, or, where fd is -1, by its name in the directory dir. */
int pf__unpack_attributes(struct pf__unpacker *u, const struct pf_erofs_visit *v, int fd, int dir,
			  const char *name);

#endif
