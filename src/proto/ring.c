/* SPDX-License-Identifier: Apache-2.0 */
/* The byte queue of outgoing streams and of outgoing control frames. */
#include "proto/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RING_MIN 4096u

static size_t copy_out(const struct pf__ring *r, uint8_t *to)
{
	struct iovec iov[2];
	unsigned k = pf__ring_peek(r, r->len, iov);
	size_t done = 0;

	for (unsigned i = 0; i < k; i++) {
		memcpy(to + done, iov[i].iov_base, iov[i].iov_len);
		done += iov[i].iov_len;
	}
	return done;
}

int pf__ring_reserve(struct pf__ring *r, size_t extra)
{
	size_t cap = r->cap ? r->cap : RING_MIN;
	uint8_t *data;

	if (extra <= r->cap - r->len)
		return 0;
	while (cap - r->len < extra) {
		if (cap > SIZE_MAX / 2)
			return -ENOMEM;
		cap *= 2;
	}
	data = malloc(cap);
	if (!data)
		return -ENOMEM;
	copy_out(r, data);
	free(r->data);
	r->data = data;
	r->cap = cap;
	r->start = 0;
	return 0;
}

void pf__ring_add(struct pf__ring *r, const void *p, size_t n)
{
	size_t at, first;

	if (!n)
		return;
	at = (r->start + r->len) & (r->cap - 1);
	first = r->cap - at < n ? r->cap - at : n;
	memcpy(r->data + at, p, first);
	memcpy(r->data, (const uint8_t *)p + first, n - first);
	r->len += n;
}

void pf__ring_drop(struct pf__ring *r, size_t n)
{
	r->len -= n;
	/* An empty queue begins anew at 0, so that small frames touch one page and never wrap. */
	r->start = r->len ? (r->start + n) & (r->cap - 1) : 0;
}

unsigned pf__ring_peek(const struct pf__ring *r, size_t n, struct iovec iov[2])
{
	size_t first;

	if (!n)
		return 0;
	first = r->cap - r->start < n ? r->cap - r->start : n;
	iov[0] = (struct iovec){r->data + r->start, first};
	if (first == n)
		return 1;
	iov[1] = (struct iovec){r->data, n - first};
	return 2;
}

void pf__ring_free(struct pf__ring *r)
{
	free(r->data);
	*r = (struct pf__ring){0};
}
