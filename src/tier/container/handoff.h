/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What passes between host and child while the root is built: the host sends one byte when the
 * ids are mapped; the child sends the descriptors that only it can make (the upper's directory, the
 * temporary tmpfs), or an error. Afterwards the pair is closed: nothing but the protocol is left.
 */
#ifndef PF_TIER_CONTAINER_HANDOFF_H
#define PF_TIER_CONTAINER_HANDOFF_H

#include <stddef.h>

#include "base/error.h"

struct pf_handoff {
	int temp_fd;    /* the tmpfs that /tmp and the others share; -1 if it could not be opened */
	int scratch_fd; /* upper, work and mask of the workspace; -1: none, or the host made it */
};

/* Host to child: copies of the execs directories, made while the child builds the root. take returns how many came. */
#define PF_HANDOFF_GIVEN 5
int pf__handoff_give(int sync, const int *fds, size_t count, struct pf_error *err);
int pf__handoff_take(int sync, int fds[PF_HANDOFF_GIVEN], struct pf_error *err);

int pf__handoff_send(int sync, const struct pf_handoff *h, struct pf_error *err);
void pf__handoff_fail(int sync, const struct pf_error *what);
/* 0 with *h filled; the child's error; or -EPIPE when it died without a word. */
int pf__handoff_receive(int sync, struct pf_handoff *h, struct pf_error *err);

#endif
