/* SPDX-License-Identifier: Apache-2.0 */
/* What conn.c, conn_streams.c, conn_in.c and conn_out.c share. */
#ifndef PF_PROTO_CONN_INTERNAL_H
#define PF_PROTO_CONN_INTERNAL_H

#include "base/buf.h"
#include "proto/conn.h"
#include "proto/ring.h"

#define PF__BUCKETS   256u  /* of the table of open streams */
#define PF__CLOSED    2048u /* closed streams that are remembered */
#define PF__IN_SIZE   (2 * PF_FRAME_TOTAL)
#define PF__REST_SIZE (PF_FRAME_TOTAL + PF_FRAME_HEADER)

/* What a frame of the peer is checked against. Kept for a while after the stream is closed here. */
struct pf__flow {
	uint32_t id;
	uint32_t most;	 /* credit at the beginning, and never more */
	uint32_t credit; /* incoming: bytes the peer may still send; outgoing: granted and not sent yet */
	uint8_t dir;	 /* enum pf_stream_dir */
	bool eof;	 /* incoming: the peer's EOF came; outgoing: EOF follows the queue */
	bool stopped;	 /* incoming: we sent STOP; outgoing: the peer did */
};

struct pf__stream {
	struct pf__flow flow;
	/* Incoming, in bytes: flow.credit + held + due == flow.most until EOF or STOP. */
	uint32_t held;			/* delivered, not consumed by the owner yet */
	uint32_t due;			/* consumed, not granted to the peer yet */
	struct pf__ring queue;		/* outgoing; never longer than flow.credit */
	bool listed;			/* stands in grants (incoming) or ready (outgoing) */
	struct pf__stream *next, *prev; /* of that list */
	struct pf__stream *chain;	/* next in its bucket, or of the free ones */
};

struct pf__list {
	struct pf__stream *first, *last;
};

struct pf_conn {
	int fd;
	int failed; /* the error that ended reading, kept: what follows it is not to be trusted */
	const struct pf_conn_ops *ops;
	void *user;

	/* streams */
	unsigned open, used; /* streams open; slots ever used, so that few pages are touched */
	struct pf__stream *unused;
	struct pf__stream *bucket[PF__BUCKETS];
	unsigned closed_next, closed_count;

	/* out: rest first, then control, then ready */
	size_t rest_start, rest_end; /* of rest[]: the frame that the socket took a part of */
	struct pf__ring control;     /* whole frames, a first one possibly begun */
	struct pf__list grants;	     /* incoming streams that owe the peer a CREDIT frame */
	struct pf__list ready;	     /* outgoing streams with bytes or an EOF to send, in turn */
	size_t queued;		     /* bytes in all queues of streams */

	/* in */
	size_t in_start, in_end; /* of in[]: bytes received and not dispatched */
	bool in_pieces;		 /* message holds the first pieces of a control message */
	struct pf_buf message;

	/* Large and mostly untouched, hence last. */
	struct pf__flow closed[PF__CLOSED];
	struct pf__stream slot[PF_STREAMS_MAX];
	uint8_t in[PF__IN_SIZE];
	uint8_t rest[PF__REST_SIZE];
};

/* conn_streams.c */
struct pf__stream *pf__stream_find(const struct pf_conn *c, uint32_t id);
struct pf__flow *pf__closed_find(struct pf_conn *c, uint32_t id);
void pf__stream_remove(struct pf_conn *c, struct pf__stream *s); /* frees its queue and remembers its flow */
void pf__stream_drop_queue(struct pf_conn *c, struct pf__stream *s);
void pf__list_add(struct pf__list *l, struct pf__stream *s);	/* at the end; nothing if it is listed */
void pf__list_remove(struct pf__list *l, struct pf__stream *s); /* nothing if it is not listed */

#endif
