/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What passes between host and child while the root is built: the host sends one byte when the
 * ids are mapped; the child sends the descriptors that only it can make (the upper's directory, the
 * temporary tmpfs), or an error. Afterwards the pair is closed: nothing but the protocol is left.
 */
#ifndef PF_TIER_CONTAINER_HANDOFF_H
#define PF_TIER_CONTAINER_HANDOFF_H

#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

struct pf_handoff {
	int temp_fd;	/* the tmpfs that /tmp and the others share; -1 if it could not be opened */
	int scratch_fd; /* upper, work and mask of the workspace; -1: none, or the host made it */
	int stage_fd;	/* the layers beside an image; likewise */
};
#define PF_HANDOFF_NONE                                                                                      \
	{                                                                                                    \
		-1, -1, -1                                                                                   \
	}

/* Host to child, one message each: what to attach (sources.c); the execs directories. take returns the number
 * of bytes. */
#define PF_HANDOFF_GIVEN 128
int pf__handoff_give(int sync, const void *bytes, size_t n, const int *fds, size_t count,
		     struct pf_error *err);
ssize_t pf__handoff_take(int sync, void *bytes, size_t n, int fds[PF_HANDOFF_GIVEN], int *count,
			 struct pf_error *err);

/* Child to host. */
int pf__handoff_send(int sync, const struct pf_handoff *h, struct pf_error *err);
void pf__handoff_fail(int sync, const struct pf_error *what);
/* 0 with *h filled; the child's error; or -EPIPE when it died without a word. */
int pf__handoff_receive(int sync, struct pf_handoff *h, struct pf_error *err);

#endif
