/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection between a hostile peer and an owner that does anything at any time. The input is a
 * script: bytes that the peer writes, raw or as frames, and calls of the owner. Checked besides what the
 * sanitizers see: callbacks keep to what is promised, memory stays bounded, and what is written is frames.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "proto/conn.h"
#include "proto/le.h"

#define STREAMS 16u

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct script {
	const uint8_t *p;
	size_t n;
};

struct fuzz {
	struct pf_conn *c;
	int peer;
	bool ended;		   /* a violation was found */
	bool ended_writing;	   /* the peer closed its side */
	uint64_t held[STREAMS];	   /* delivered and not granted */
	uint64_t sent[STREAMS];	   /* DATA that the peer received */
	uint64_t granted[STREAMS]; /* by the peer, in frames of ours */
	struct pf_buf written;	   /* what the peer received and has not parsed */
};

static uint8_t byte(struct script *s)
{
	if (!s->n)
		return 0;
	s->n--;
	return *s->p++;
}

static uint32_t number(struct script *s, unsigned bytes)
{
	uint32_t v = 0;

	while (bytes--)
		v = v << 8 | byte(s);
	return v;
}

static void must(bool good)
{
	if (!good)
		abort();
}

/* --- callbacks ----------------------------------------------------------- */

static int on_control(void *user, uint16_t type, const uint8_t *body, size_t n, struct pf_error *err)
{
	struct fuzz *f = user;
	unsigned sum = 0;

	(void)err;
	must(n <= PF_CONTROL_MAX);
	for (size_t i = 0; i < n; i++)
		sum += body[i]; /* ASan: all of it is there */
	if (type == 1)
		pf_conn_close(f->c, sum % STREAMS);
	if (type == 2)
		pf_conn_writable(f->c, NULL);
	return type == 3 ? -1000 : 0;
}

static int on_data(void *user, uint32_t stream, const uint8_t *p, size_t n, struct pf_error *err)
{
	struct fuzz *f = user;

	(void)err;
	must(stream && stream < STREAMS && n && n <= PF_FRAME_PAYLOAD);
	must(pf_conn_is_open(f->c, stream));
	f->held[stream] += n;
	must(f->held[stream] <= PF_CREDIT);
	switch (p[0] ^ p[n - 1]) {
	case 1:
		pf_conn_close(f->c, stream);
		break;
	case 2:
		pf_conn_stop(f->c, stream);
		break;
	case 3:
		must(pf_conn_grant(f->c, stream, n) == 0);
		f->held[stream] -= n;
		break;
	}
	return 0;
}

static int on_eof(void *user, uint32_t stream, struct pf_error *err)
{
	struct fuzz *f = user;

	(void)err;
	must(pf_conn_is_open(f->c, stream));
	if (stream & 4)
		pf_conn_close(f->c, stream);
	return 0;
}

static int on_stopped(void *user, uint32_t stream, struct pf_error *err)
{
	struct fuzz *f = user;

	(void)err;
	must(pf_conn_is_open(f->c, stream) && !pf_conn_room(f->c, stream));
	if (stream & 4)
		pf_conn_eof(f->c, stream);
	return 0;
}

static const struct pf_conn_ops ops = {on_control, on_data, on_eof, on_stopped};

/* --- the peer ------------------------------------------------------------ */

static void readable(struct fuzz *f)
{
	struct pf_error err = {0};
	int r;

	r = pf_conn_readable(f->c, &err);
	must(!f->ended || r < 0); /* for good */
	f->ended = r < 0;
	must(r >= 0 || r == -1000 || (err.code == r && err.msg[0]));
	must(r != 0 || f->ended_writing);
}

static void peer_writes(struct fuzz *f, const void *p, size_t n)
{
	/* Short writes cut the stream there, which is one more way to be hostile. */
	if (send(f->peer, p, n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		readable(f);
}

static void peer_frame(struct fuzz *f, struct script *s)
{
	static uint8_t frame[PF_FRAME_TOTAL + 16];
	uint8_t what = byte(s);
	struct pf_frame h = {.type = what & 7, .stream = byte(s) % STREAMS};

	if (what & 0x10)
		h.flags |= PF_FRAME_MORE;
	if (what & 0x20)
		h.flags |= PF_FRAME_MUST;
	if (h.type == PF_FRAME_CONTROL || h.type == PF_FRAME_DATA)
		h.length = what & 0x08 ? PF_FRAME_PAYLOAD : number(s, 2);
	else
		h.length = what & 0x40 ? byte(s) : 0;
	if (h.type == PF_FRAME_CREDIT)
		h.length = 4;
	if (h.type == PF_FRAME_CONTROL && !(what & 0x40))
		h.stream = 0;
	memset(frame, 0, PF_FRAME_HEADER + h.length);
	pf_frame_put(&h, frame);
	for (unsigned i = 0; i < 4 && i < h.length; i++)
		frame[PF_FRAME_HEADER + i] = byte(s);
	if (h.type == PF_FRAME_CREDIT && what & 0x08) /* what an honest peer grants */
		pf__le_put(frame + PF_FRAME_HEADER, f->sent[h.stream] - f->granted[h.stream], 4);
	if (h.type == PF_FRAME_CREDIT)
		f->granted[h.stream] += pf__le_get(frame + PF_FRAME_HEADER, 4);
	peer_writes(f, frame, PF_FRAME_HEADER + h.length);
}

static void parse(struct fuzz *f)
{
	struct pf_frame h;
	size_t at = 0;

	while (f->written.len - at >= PF_FRAME_HEADER) {
		pf_frame_get((uint8_t *)f->written.data + at, &h);
		must(h.length <= PF_FRAME_PAYLOAD && h.type >= PF_FRAME_CONTROL && h.type <= PF_FRAME_STOP);
		must((h.type == PF_FRAME_CONTROL) == !h.stream && h.stream < STREAMS);
		if (f->written.len - at - PF_FRAME_HEADER < h.length)
			break;
		if (h.type == PF_FRAME_DATA) {
			must(h.length);
			f->sent[h.stream] += h.length;
			must(f->sent[h.stream] <= PF_CREDIT + f->granted[h.stream]);
		}
		at += PF_FRAME_HEADER + h.length;
	}
	pf_buf_consume(&f->written, at);
}

static void peer_reads(struct fuzz *f, size_t max)
{
	static uint8_t got[65536];
	ssize_t n = recv(f->peer, got, max < sizeof(got) ? max : sizeof(got), MSG_DONTWAIT);

	if (n > 0)
		must(pf_buf_add(&f->written, got, (size_t)n) == 0);
	parse(f);
}

/* --- the owner ----------------------------------------------------------- */

static void owner(struct fuzz *f, uint8_t what, struct script *s)
{
	static const uint8_t zeros[PF_CREDIT];
	uint32_t stream = byte(s) % STREAMS;
	size_t n, room = pf_conn_room(f->c, stream);

	must(room <= PF_CREDIT);
	switch (what % 7) {
	case 0:
		n = number(s, 2) * 5;
		must((pf_conn_write(f->c, stream, zeros, n) == 0) <= (n <= room));
		break;
	case 1:
		pf_conn_eof(f->c, stream);
		break;
	case 2:
		pf_conn_stop(f->c, stream);
		break;
	case 3:
		n = what & 0x08 ? f->held[stream] : number(s, 2) * 5;
		if (pf_conn_grant(f->c, stream, n) == 0) {
			must(n <= f->held[stream]);
			f->held[stream] -= n;
		}
		break;
	case 4:
		pf_conn_close(f->c, stream);
		must(!pf_conn_is_open(f->c, stream));
		break;
	case 5:
		pf_conn_open(f->c, stream, byte(s) & 1 ? PF_STREAM_IN : PF_STREAM_OUT);
		break;
	case 6:
		pf_conn_send(f->c, what, zeros, number(s, 2) * 3);
		break;
	}
	must(pf_conn_pending(f->c) <= PF_CONTROL_OUT_MAX + STREAMS * PF_CREDIT + 2 * PF_FRAME_TOTAL);
}

/* What two honest sides do: it leads to states that chance would hardly reach. */
static void honest(struct fuzz *f, uint8_t what, struct script *s)
{
	static uint8_t frame[PF_FRAME_HEADER + 4], full[PF_FRAME_TOTAL], zeros[PF_CREDIT];
	uint32_t stream = byte(s) % STREAMS;
	uint64_t due;

	switch (what & 3) {
	case 0: /* the peer sends full frames */
		pf_frame_put(&(struct pf_frame){PF_FRAME_PAYLOAD, PF_FRAME_DATA, 0, stream}, full);
		for (unsigned i = 0; i <= (what >> 2 & 7); i++)
			peer_writes(f, full, sizeof(full));
		break;
	case 1: /* the peer reads, and grants what it read */
		must(pf_conn_writable(f->c, NULL) == 0);
		for (int i = 0; i < 8; i++)
			peer_reads(f, SIZE_MAX);
		due = f->sent[stream] - f->granted[stream];
		pf_frame_put(&(struct pf_frame){4, PF_FRAME_CREDIT, 0, stream}, frame);
		pf__le_put(frame + PF_FRAME_HEADER, due, 4);
		f->granted[stream] += due;
		peer_writes(f, frame, sizeof(frame));
		break;
	case 2: /* the owner consumes everything */
		if (pf_conn_grant(f->c, stream, f->held[stream]) == 0)
			f->held[stream] = 0;
		break;
	case 3: /* the owner sends all it may */
		pf_conn_write(f->c, stream, zeros, pf_conn_room(f->c, stream));
		break;
	}
}

static void step(struct fuzz *f, struct script *s)
{
	uint8_t what = byte(s);
	size_t n;

	switch (what >> 5) {
	case 0:
		n = what & 31;
		n = n < s->n ? n : s->n;
		peer_writes(f, s->p, n);
		s->p += n;
		s->n -= n;
		break;
	case 1:
	case 2:
	case 3:
		peer_frame(f, s);
		break;
	case 4:
		peer_reads(f, 1u << (what & 31) % 20);
		break;
	case 5:
		must(pf_conn_writable(f->c, NULL) == 0);
		break;
	case 6:
		owner(f, what, s);
		break;
	case 7:
		honest(f, what, s);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct script s = {p, n};
	struct fuzz f = {0};
	int fd[2];

	if (n > 4096 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		return 0;
	f.peer = fd[1];
	f.c = pf_conn_new(fd[0], &ops, &f);
	must(f.c);
	for (uint32_t i = 1; i < 9; i++)
		must(pf_conn_open(f.c, i, i & 1 ? PF_STREAM_IN : PF_STREAM_OUT) == 0);
	while (s.n)
		step(&f, &s);
	for (bool more = true; more;) {
		must(pf_conn_writable(f.c, NULL) == 0);
		peer_reads(&f, SIZE_MAX);
		more = pf_conn_wants_write(f.c);
	}
	shutdown(f.peer, SHUT_WR);
	f.ended_writing = true;
	readable(&f);
	readable(&f);
	pf_conn_free(f.c);
	close(f.peer);
	pf_buf_free(&f.written);
	return 0;
}
