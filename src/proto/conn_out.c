/* SPDX-License-Identifier: Apache-2.0 */
/* What the owner of a connection queues: control messages, bytes of streams, EOF, STOP and credit. */
#include "conn_internal.h"

#include <errno.h>

#include "proto/le.h"

#define HEADER PF_FRAME_HEADER

static struct pf__stream *find(const struct pf_conn *c, uint32_t stream, enum pf_stream_dir dir)
{
	struct pf__stream *s = pf__stream_find(c, stream);

	return s && s->flow.dir == dir ? s : NULL;
}

/* --- control ------------------------------------------------------------- */

/* Room for n bytes of frames. A peer that never reads must not make us keep more than the limit. */
static int reserve_control(struct pf_conn *c, size_t n)
{
	if (n > PF_CONTROL_OUT_MAX - c->control.len)
		return -ENOBUFS;
	return pf__ring_reserve(&c->control, n);
}

static void add_header(struct pf_conn *c, uint32_t length, uint16_t type, uint16_t flags, uint32_t stream)
{
	uint8_t head[HEADER];

	pf_frame_put(&(struct pf_frame){.length = length, .type = type, .flags = flags, .stream = stream},
		     head);
	pf__ring_add(&c->control, head, sizeof(head));
}

int pf_conn_send(struct pf_conn *c, uint16_t type, const void *body, size_t n)
{
	size_t left = n + 2, piece, done = 0; /* done: bytes of the body */
	uint8_t kind[2];
	int r;

	if (n > PF_CONTROL_MAX - 2)
		return -E2BIG;
	r = reserve_control(c, left + (left + PF_FRAME_PAYLOAD - 1) / PF_FRAME_PAYLOAD * HEADER);
	if (r < 0)
		return r;
	pf__le_put(kind, type, 2);
	for (bool first = true; left; first = false, left -= piece) {
		size_t own = first ? sizeof(kind) : 0; /* the type stands before the body, once */

		piece = left < PF_FRAME_PAYLOAD ? left : PF_FRAME_PAYLOAD;
		add_header(c, (uint32_t)piece, PF_FRAME_CONTROL, piece < left ? PF_FRAME_MORE : 0, 0);
		pf__ring_add(&c->control, kind, own);
		if (piece > own) /* body may be NULL */
			pf__ring_add(&c->control, (const uint8_t *)body + done, piece - own);
		done += piece - own;
	}
	return 0;
}

/* --- outgoing streams ---------------------------------------------------- */

size_t pf_conn_room(const struct pf_conn *c, uint32_t stream)
{
	const struct pf__stream *s = find(c, stream, PF_STREAM_OUT);

	if (!s || s->flow.eof || s->flow.stopped)
		return 0;
	return s->flow.credit - s->queue.len;
}

int pf_conn_write(struct pf_conn *c, uint32_t stream, const void *p, size_t n)
{
	struct pf__stream *s = find(c, stream, PF_STREAM_OUT);
	int r;

	if (!s)
		return -ENOENT;
	if (s->flow.eof || s->flow.stopped)
		return -EPIPE;
	if (n > s->flow.credit - s->queue.len)
		return -EAGAIN;
	if (!n)
		return 0;
	r = pf__ring_reserve(&s->queue, n);
	if (r < 0)
		return r;
	pf__ring_add(&s->queue, p, n);
	c->queued += n;
	pf__list_add(&c->ready, s);
	return 0;
}

int pf_conn_eof(struct pf_conn *c, uint32_t stream)
{
	struct pf__stream *s = find(c, stream, PF_STREAM_OUT);

	if (!s)
		return -ENOENT;
	s->flow.eof = true;
	pf__list_add(&c->ready, s);
	return 0;
}

/* --- incoming streams ---------------------------------------------------- */

int pf_conn_stop(struct pf_conn *c, uint32_t stream)
{
	struct pf__stream *s = find(c, stream, PF_STREAM_IN);
	int r;

	if (!s)
		return -ENOENT;
	if (s->flow.eof || s->flow.stopped)
		return 0;
	/* Queued as control, so that it is sent even if the stream is closed right after this. */
	r = reserve_control(c, HEADER);
	if (r < 0)
		return r;
	add_header(c, 0, PF_FRAME_STOP, 0, stream);
	s->flow.stopped = true;
	pf__list_remove(&c->grants, s);
	return 0;
}

int pf_conn_grant(struct pf_conn *c, uint32_t stream, size_t n)
{
	struct pf__stream *s = find(c, stream, PF_STREAM_IN);

	if (!s)
		return -ENOENT;
	if (n > s->held)
		return -EINVAL; /* more than was delivered: credit would grow beyond what it was */
	s->held -= (uint32_t)n;
	s->due += (uint32_t)n;
	if (s->flow.eof || s->flow.stopped || !s->due)
		return 0;
	if (s->due >= s->flow.most / 2 || !s->flow.credit)
		pf__list_add(&c->grants, s);
	return 0;
}

/* --- what is left -------------------------------------------------------- */

size_t pf_conn_pending(const struct pf_conn *c)
{
	return c->rest_end - c->rest_start + c->control.len + c->queued;
}

bool pf_conn_wants_write(const struct pf_conn *c)
{
	return c->rest_end > c->rest_start || c->control.len || c->grants.first || c->ready.first;
}
