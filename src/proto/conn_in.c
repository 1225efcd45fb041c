/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The incoming half of a connection. The peer is hostile: each frame is checked against what the
 * protocol allows and what this side agreed to before anything of it reaches the owner.
 */
#include "conn_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/le.h"

#define READ_MAX (256u << 10) /* bytes a call, so that one peer cannot hold the owner's loop */
#define MOVE_MAX 4096u	      /* a partial frame that is cheap to move to the front */

static const char *type_name(uint16_t type)
{
	static const char *const names[] = {"", "CONTROL", "DATA", "EOF", "CREDIT", "STOP"};

	return type < sizeof(names) / sizeof(names[0]) ? names[type] : "";
}

/* --- control ------------------------------------------------------------- */

static int deliver_control(struct pf_conn *c, const uint8_t *p, size_t n, struct pf_error *err)
{
	if (n < 2)
		return pf_fail(err, -EPROTO,
			       "the peer sent a control message of %zu bytes, too short for its type", n);
	return c->ops->control(c->user, (uint16_t)pf__le_get(p, 2), p + 2, n - 2, err);
}

/* One piece of a message that comes in several frames. */
static int collect_control(struct pf_conn *c, const struct pf_frame *f, const uint8_t *p,
			   struct pf_error *err)
{
	int r;

	if (f->length > PF_CONTROL_MAX - c->message.len)
		return pf_fail(err, -EPROTO, "the peer sent a control message of more than %u bytes",
			       PF_CONTROL_MAX);
	r = pf_buf_add(&c->message, p, f->length);
	if (r < 0)
		return pf_fail(err, r, "no memory for a control message of %zu bytes",
			       c->message.len + f->length);
	c->in_pieces = f->flags & PF_FRAME_MORE;
	if (c->in_pieces)
		return 0;
	r = deliver_control(c, (const uint8_t *)c->message.data, c->message.len, err);
	pf_buf_free(&c->message); /* large and rare */
	return r;
}

static int on_control(struct pf_conn *c, const struct pf_frame *f, const uint8_t *p, struct pf_error *err)
{
	if (f->stream)
		return pf_fail(err, -EPROTO, "the peer sent a CONTROL frame on stream %u instead of 0",
			       f->stream);
	if (!f->length)
		return pf_fail(err, -EPROTO, "the peer sent an empty CONTROL frame");
	if (c->in_pieces || (f->flags & PF_FRAME_MORE))
		return collect_control(c, f, p, err);
	return deliver_control(c, p, f->length, err);
}

/* --- streams ------------------------------------------------------------- */

/* The flow that a frame is for, open or closed a moment ago (then *s is NULL). NULL: a violation. */
static struct pf__flow *flow_of(struct pf_conn *c, const struct pf_frame *f, enum pf_stream_dir dir,
				struct pf__stream **s, struct pf_error *err)
{
	struct pf__flow *flow;

	*s = pf__stream_find(c, f->stream);
	flow = *s ? &(*s)->flow : pf__closed_find(c, f->stream);
	if (!flow) {
		pf_fail(err, -EPROTO, "the peer sent %s for stream %u, which is not open", type_name(f->type),
			f->stream);
		return NULL;
	}
	if (flow->dir != dir) {
		pf_fail(err, -EPROTO, "the peer sent %s for stream %u, which goes the other way",
			type_name(f->type), f->stream);
		return NULL;
	}
	return flow;
}

static int on_data(struct pf_conn *c, const struct pf_frame *f, const uint8_t *p, struct pf_error *err)
{
	struct pf__stream *s;
	struct pf__flow *flow = flow_of(c, f, PF_STREAM_IN, &s, err);

	if (!flow)
		return -EPROTO;
	if (!f->length)
		return pf_fail(err, -EPROTO, "the peer sent empty DATA on stream %u", f->stream);
	if (flow->eof)
		return pf_fail(err, -EPROTO, "the peer sent DATA after EOF on stream %u", f->stream);
	if (f->length > flow->credit)
		return pf_fail(err, -EPROTO, "the peer sent %u bytes on stream %u with a credit of %u",
			       f->length, f->stream, flow->credit);
	flow->credit -= f->length;
	if (!s || flow->stopped)
		return 0; /* nobody wants it any more; the credit it used is not granted again */
	s->held += f->length;
	return c->ops->data(c->user, f->stream, p, f->length, err);
}

static int on_eof(struct pf_conn *c, const struct pf_frame *f, struct pf_error *err)
{
	struct pf__stream *s;
	struct pf__flow *flow = flow_of(c, f, PF_STREAM_IN, &s, err);

	if (!flow)
		return -EPROTO;
	if (f->length)
		return pf_fail(err, -EPROTO, "the peer sent EOF with a payload of %u bytes on stream %u",
			       f->length, f->stream);
	if (flow->eof)
		return pf_fail(err, -EPROTO, "the peer sent EOF twice on stream %u", f->stream);
	flow->eof = true;
	if (!s)
		return 0;
	pf__list_remove(&c->grants, s); /* credit is of no use any more */
	return c->ops->eof(c->user, f->stream, err);
}

static int on_credit(struct pf_conn *c, const struct pf_frame *f, const uint8_t *p, struct pf_error *err)
{
	struct pf__stream *s;
	struct pf__flow *flow = flow_of(c, f, PF_STREAM_OUT, &s, err);
	uint32_t grant;

	if (!flow)
		return -EPROTO;
	if (f->length != 4)
		return pf_fail(err, -EPROTO, "the peer sent CREDIT with a payload of %u bytes on stream %u",
			       f->length, f->stream);
	grant = (uint32_t)pf__le_get(p, 4);
	if (!grant)
		return pf_fail(err, -EPROTO, "the peer granted a credit of 0 on stream %u", f->stream);
	if (grant > flow->most - flow->credit)
		return pf_fail(err, -EPROTO, "the peer granted %u bytes on stream %u, beyond %u outstanding",
			       grant, f->stream, flow->most);
	flow->credit += grant;
	return 0;
}

static int on_stop(struct pf_conn *c, const struct pf_frame *f, struct pf_error *err)
{
	struct pf__stream *s;
	struct pf__flow *flow = flow_of(c, f, PF_STREAM_OUT, &s, err);

	if (!flow)
		return -EPROTO;
	if (f->length)
		return pf_fail(err, -EPROTO, "the peer sent STOP with a payload of %u bytes on stream %u",
			       f->length, f->stream);
	if (flow->stopped)
		return pf_fail(err, -EPROTO, "the peer sent STOP twice on stream %u", f->stream);
	flow->stopped = true;
	if (!s)
		return 0;
	pf__stream_drop_queue(c, s);
	if (!flow->eof) /* an EOF that is due is sent all the same: it closes the stream on both sides */
		pf__list_remove(&c->ready, s);
	return c->ops->stopped(c->user, f->stream, err);
}

/* --- frames -------------------------------------------------------------- */

/* What can be said of a header before its payload is there. */
static int check_header(const struct pf_frame *f, struct pf_error *err)
{
	uint16_t allowed = PF_FRAME_MUST;
	bool known = f->type >= PF_FRAME_CONTROL && f->type <= PF_FRAME_STOP;

	if (f->length > PF_FRAME_PAYLOAD)
		return pf_fail(err, -EPROTO, "the peer sent a frame of %u bytes; at most %u are allowed",
			       f->length, PF_FRAME_PAYLOAD);
	if (f->type == PF_FRAME_CONTROL || !known)
		allowed |= PF_FRAME_MORE;
	if (f->flags & ~allowed)
		return pf_fail(err, -EPROTO,
			       "the peer sent a frame of type %u with flags 0x%04x, which it cannot have",
			       f->type, f->flags);
	if (!known && (f->flags & PF_FRAME_MUST))
		return pf_fail(err, -EPROTO,
			       "the peer sent a frame of type %u, which must be understood and is not",
			       f->type);
	if (known && f->type != PF_FRAME_CONTROL && !f->stream)
		return pf_fail(err, -EPROTO, "the peer sent %s on stream 0, which is for control",
			       type_name(f->type));
	return 0;
}

static int on_frame(struct pf_conn *c, const struct pf_frame *f, const uint8_t *p, struct pf_error *err)
{
	switch (f->type) {
	case PF_FRAME_CONTROL:
		return on_control(c, f, p, err);
	case PF_FRAME_DATA:
		return on_data(c, f, p, err);
	case PF_FRAME_EOF:
		return on_eof(c, f, err);
	case PF_FRAME_CREDIT:
		return on_credit(c, f, p, err);
	case PF_FRAME_STOP:
		return on_stop(c, f, err);
	default:
		return 0; /* unknown and allowed to be */
	}
}

/* Every whole frame that is in the buffer. A payload is handed on where it lies. */
static int dispatch(struct pf_conn *c, struct pf_error *err)
{
	struct pf_frame f;
	const uint8_t *p;
	int r;

	while (c->in_end - c->in_start >= PF_FRAME_HEADER) {
		p = c->in + c->in_start;
		pf_frame_get(p, &f);
		r = check_header(&f, err);
		if (r < 0)
			return r;
		if (c->in_end - c->in_start - PF_FRAME_HEADER < f.length)
			return 0;
		c->in_start += PF_FRAME_HEADER + f.length;
		r = on_frame(c, &f, p + PF_FRAME_HEADER, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Let a whole frame fit behind in_start. At most 64 KiB are moved for 64 KiB dispatched. */
static void make_room(struct pf_conn *c)
{
	size_t left = c->in_end - c->in_start;

	if (!c->in_start || (left > MOVE_MAX && PF__IN_SIZE - c->in_start >= PF_FRAME_TOTAL))
		return;
	memmove(c->in, c->in + c->in_start, left);
	c->in_start = 0;
	c->in_end = left;
}

static int at_end(struct pf_conn *c, struct pf_error *err)
{
	if (c->in_end != c->in_start)
		return pf_fail(err, -EPROTO, "the peer closed the connection inside a frame");
	if (c->in_pieces)
		return pf_fail(err, -EPROTO, "the peer closed the connection inside a control message");
	return 0;
}

int pf_conn_readable(struct pf_conn *c, struct pf_error *err)
{
	size_t taken = 0, want;
	ssize_t n;
	int r;

	if (c->failed)
		return pf_fail(err, c->failed, "the connection failed before");
	while (taken < READ_MAX) {
		make_room(c);
		want = PF__IN_SIZE - c->in_end;
		if (want > READ_MAX - taken)
			want = READ_MAX - taken;
		n = recv(c->fd, c->in + c->in_end, want, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 1;
		if (n < 0)
			return c->failed = pf_fail_errno(err, "cannot read from the peer");
		if (!n)
			return at_end(c, err);
		c->in_end += (size_t)n;
		taken += (size_t)n;
		r = dispatch(c, err);
		if (r < 0)
			return c->failed = r;
		if ((size_t)n < want) /* most likely all there is: leave the next call to the poll */
			return 1;
	}
	return 1;
}
