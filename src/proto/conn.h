/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of the connection: splits the byte stream into frames, keeps credit, queues what
 * cannot be sent yet. No thread, no allocation per frame beyond its queues, never blocks:
 * the owner polls fd and calls pf_conn_readable() and pf_conn_writable().
 *
 * Memory is bounded whatever the peer does: a stream holds at most PF_CREDIT outgoing bytes
 * (pf_conn_room()), a control message PF_CONTROL_MAX incoming bytes, control output
 * PF_CONTROL_OUT_MAX (a peer that never reads is -ENOBUFS, which the owner treats as broken).
 *
 * Functions on a stream answer -ENOENT where it is not open or goes the other way. Polling must be
 * level-triggered: a call may leave bytes in the socket.
 */
#ifndef PF_PROTO_CONN_H
#define PF_PROTO_CONN_H

#include <stdbool.h>

#include "base/error.h"
#include "proto/frame.h"

#define PF_CONTROL_OUT_MAX (8u << 20)

struct pf_conn;

/* Called from pf_conn_readable(). A negative return ends it and is handed on, and every later
 * call answers the same. payloads live until the callback returns. A callback may use every function
 * but pf_conn_readable() and pf_conn_free(). */
struct pf_conn_ops {
	int (*control)(void *user, uint16_t type, const uint8_t *body, size_t n, struct pf_error *err);
	int (*data)(void *user, uint32_t stream, const uint8_t *p, size_t n, struct pf_error *err);
	int (*eof)(void *user, uint32_t stream, struct pf_error *err);
	int (*stopped)(void *user, uint32_t stream,
		       struct pf_error *err); /* peer wants no more of what we send */
};

enum pf_stream_dir { PF_STREAM_IN, PF_STREAM_OUT };

/* fd: a connected stream socket, made non-blocking here; owned by the conn. NULL without memory
 * (then fd stays the caller's). */
struct pf_conn *pf_conn_new(int fd, const struct pf_conn_ops *ops, void *user);
void pf_conn_free(struct pf_conn *c); /* closes fd; NULL is fine */
int pf_conn_fd(const struct pf_conn *c);

/* Both sides open the streams of an exec when they agree on it (PF_MSG_PREPARE): nothing on the wire.
 * -EEXIST, -ENOSPC beyond PF_STREAMS_MAX, -EINVAL for 0. A frame for a stream that is not open is -EPROTO,
 * except CREDIT and STOP for one that was closed here a moment ago (they cross on the wire): the last 2048
 * closed numbers are remembered. Data for a closed incoming stream is dropped while it is remembered;
 * a number that is remembered cannot be opened again (-EEXIST). */
int pf_conn_open(struct pf_conn *c, uint32_t stream, enum pf_stream_dir dir);
/* With another credit than PF_CREDIT, which both sides know: at most that. */
int pf_conn_open_small(struct pf_conn *c, uint32_t stream, enum pf_stream_dir dir, uint32_t credit);
void pf_conn_close(struct pf_conn *c, uint32_t stream); /* forget it; outgoing queue is dropped */
bool pf_conn_is_open(const struct pf_conn *c, uint32_t stream);

int pf_conn_send(struct pf_conn *c, uint16_t type, const void *body,
		 size_t n); /* control; split with PF_FRAME_MORE */
/* How many bytes may be written to this outgoing stream now: credit less what is queued. With 0 stop reading
 * the source. */
size_t pf_conn_room(const struct pf_conn *c, uint32_t stream);
int pf_conn_write(struct pf_conn *c, uint32_t stream, const void *p,
		  size_t n);			     /* n <= room; -EAGAIN beyond; -EPIPE after EOF or the
						 peer's STOP (which drops what is queued) */
int pf_conn_eof(struct pf_conn *c, uint32_t stream); /* after what is queued; the stream closes once sent */
int pf_conn_stop(struct pf_conn *c,
		 uint32_t stream); /* tell the sender of an incoming stream to give up; its data
					      is dropped from now on, its EOF is still reported */
int pf_conn_grant(struct pf_conn *c, uint32_t stream,
		  size_t n);			 /* n incoming bytes were consumed; batched: sent when half of
						    PF_CREDIT is due or nothing else is outstanding. -EINVAL
						    beyond what was delivered */
size_t pf_conn_pending(const struct pf_conn *c); /* outgoing bytes queued, all streams */
bool pf_conn_wants_write(const struct pf_conn *c);

/* Read what is there (bounded per call: 256 KiB, so that one peer cannot hold the loop) and run callbacks.
 * 1: progress or nothing more; 0: end of file at a frame boundary; -EPROTO a violation (err says which);
 * other -errno from read. */
int pf_conn_readable(struct pf_conn *c, struct pf_error *err);
/* Write what can be written: control first, then streams in turn, one frame each. Writes as much as
 * possible directly; call it also right after queueing to save a poll. 0 or -errno (-EPIPE). */
int pf_conn_writable(struct pf_conn *c, struct pf_error *err);

#endif
