/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing what is queued: one sendmsg takes what is left of a frame that the socket took a part
 * of, then all control, then a frame of each of several streams in turn.
 */
#include "conn_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/le.h"

#define BATCH	     8u		 /* streams served by one call */
#define GRANTS_WHILE (64u << 10) /* bytes of waiting control above which credit waits and adds up */

/* What one stream sends in its turn: DATA, or EOF, or the last DATA and EOF. */
struct turn {
	uint32_t n; /* bytes of DATA */
	bool eof;
	uint8_t head[PF_FRAME_HEADER], foot[PF_FRAME_HEADER];
	struct iovec iov[4];
	unsigned pieces;
	size_t total;
};

struct batch {
	struct turn turn[BATCH];
	unsigned turns;
	struct iovec iov[3 + 4 * BATCH];
	unsigned pieces;
	size_t total;
};

/* Turn due credit into frames: they go with control, for the peer may wait for nothing else. */
static int frame_grants(struct pf_conn *c)
{
	struct pf__stream *s;
	uint8_t frame[PF_FRAME_HEADER + 4];
	int r;

	while ((s = c->grants.first) && c->control.len < GRANTS_WHILE) {
		r = pf__ring_reserve(&c->control, sizeof(frame));
		if (r < 0)
			return r;
		pf_frame_put(&(struct pf_frame){.length = 4, .type = PF_FRAME_CREDIT, .stream = s->flow.id},
			     frame);
		pf__le_put(frame + PF_FRAME_HEADER, s->due, 4);
		pf__ring_add(&c->control, frame, sizeof(frame));
		s->flow.credit += s->due;
		s->due = 0;
		pf__list_remove(&c->grants, s);
	}
	return 0;
}

static void turn_add(struct turn *t, void *p, size_t n)
{
	t->iov[t->pieces++] = (struct iovec){p, n};
	t->total += n;
}

static void turn_make(struct turn *t, const struct pf__stream *s)
{
	struct pf_frame f = {.stream = s->flow.id};
	struct iovec data[2];
	unsigned k;

	t->pieces = 0;
	t->total = 0;
	t->n = (uint32_t)(s->queue.len < PF_FRAME_PAYLOAD ? s->queue.len : PF_FRAME_PAYLOAD);
	t->eof = s->flow.eof && t->n == s->queue.len;
	if (t->n) {
		f.type = PF_FRAME_DATA;
		f.length = t->n;
		pf_frame_put(&f, t->head);
		turn_add(t, t->head, sizeof(t->head));
		k = pf__ring_peek(&s->queue, t->n, data);
		for (unsigned i = 0; i < k; i++)
			turn_add(t, data[i].iov_base, data[i].iov_len);
	}
	if (t->eof) {
		f.type = PF_FRAME_EOF;
		f.length = 0;
		pf_frame_put(&f, t->foot);
		turn_add(t, t->foot, sizeof(t->foot));
	}
}

static void batch_add(struct batch *b, const struct iovec *iov, unsigned pieces)
{
	for (unsigned i = 0; i < pieces; i++) {
		b->iov[b->pieces++] = iov[i];
		b->total += iov[i].iov_len;
	}
}

static void gather(struct pf_conn *c, struct batch *b)
{
	struct iovec iov[2];
	struct pf__stream *s;

	b->turns = b->pieces = 0;
	b->total = 0;
	if (c->rest_end > c->rest_start)
		batch_add(b, &(struct iovec){c->rest + c->rest_start, c->rest_end - c->rest_start}, 1);
	batch_add(b, iov, pf__ring_peek(&c->control, c->control.len, iov));
	for (s = c->ready.first; s && b->turns < BATCH; s = s->next) {
		struct turn *t = &b->turn[b->turns++];

		turn_make(t, s);
		batch_add(b, t->iov, t->pieces);
	}
}

/* The socket took `sent` bytes of this turn, more than none and fewer than all. The rest is copied, so that
 * the owner may close the stream or the peer may stop it without breaking the frame that is begun. */
static void keep_rest(struct pf_conn *c, const struct turn *t, size_t sent)
{
	c->rest_start = c->rest_end = 0;
	for (unsigned i = 0; i < t->pieces; i++) {
		size_t skip = sent < t->iov[i].iov_len ? sent : t->iov[i].iov_len;

		sent -= skip;
		memcpy(c->rest + c->rest_end, (uint8_t *)t->iov[i].iov_base + skip, t->iov[i].iov_len - skip);
		c->rest_end += t->iov[i].iov_len - skip;
	}
}

/* A stream had its turn: account for it, then to the end of the line or, after EOF, away with it. */
static void turn_done(struct pf_conn *c, struct pf__stream *s, const struct turn *t)
{
	pf__ring_drop(&s->queue, t->n);
	c->queued -= t->n;
	s->flow.credit -= t->n;
	pf__list_remove(&c->ready, s);
	if (t->eof)
		pf__stream_remove(c, s);
	else if (s->queue.len || s->flow.eof)
		pf__list_add(&c->ready, s);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The socket took the first n bytes of the batch. */
static void settle(struct pf_conn *c, const struct batch *b, size_t n)
{
	size_t k = least(n, c->rest_end - c->rest_start);

	c->rest_start += k;
	n -= k;
	k = least(n, c->control.len);
	pf__ring_drop(&c->control, k);
	n -= k;
	if (!c->control.len && c->control.cap > GRANTS_WHILE)
		pf__ring_free(&c->control); /* large messages are rare */
	for (unsigned i = 0; i < b->turns && n; i++) {
		const struct turn *t = &b->turn[i];

		k = least(n, t->total);
		if (k < t->total)
			keep_rest(c, t, k);
		turn_done(c, c->ready.first, t);
		n -= k;
	}
}

int pf_conn_writable(struct pf_conn *c, struct pf_error *err)
{
	struct batch b;
	struct msghdr m = {.msg_iov = b.iov};
	ssize_t n;
	int r;

	for (;;) {
		r = frame_grants(c);
		if (r < 0)
			return pf_fail(err, r, "no memory for frames of credit");
		gather(c, &b);
		if (!b.total)
			return 0;
		m.msg_iovlen = b.pieces;
		n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (n < 0)
			return pf_fail_errno(err, "cannot write to the peer");
		settle(c, &b, (size_t)n);
		if ((size_t)n < b.total) /* the socket is full */
			return 0;
	}
}
