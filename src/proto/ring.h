/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue of bytes that grows as a power of two and wraps. Zero-initialised is empty and valid.
 * It knows no limit: the connection checks credit or PF_CONTROL_OUT_MAX before it adds.
 */
#ifndef PF_PROTO_RING_H
#define PF_PROTO_RING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct pf__ring {
	uint8_t *data;
	size_t cap, start, len; /* cap: 0 or a power of two */
};

int pf__ring_reserve(struct pf__ring *r, size_t extra);		/* 0 or -ENOMEM */
void pf__ring_add(struct pf__ring *r, const void *p, size_t n); /* after a reserve that covers it */
void pf__ring_drop(struct pf__ring *r, size_t n);		/* the first n bytes; n <= len */
/* The first n bytes as 0 to 2 pieces; how many. */
unsigned pf__ring_peek(const struct pf__ring *r, size_t n, struct iovec iov[2]);
void pf__ring_free(struct pf__ring *r); /* leaves it empty and valid */

#endif
