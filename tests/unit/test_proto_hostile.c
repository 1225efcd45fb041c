/* SPDX-License-Identifier: Apache-2.0 */
/* proto/conn against a peer that writes bytes of its own choice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "proto/conn.h"

/* Open at the victim: 1 in, 2 out, 3 in; 11 in and 12 out were closed. */
enum { IN = 1, OUT = 2, IN2 = 3, OLD_IN = 11, OLD_OUT = 12 };

struct victim {
	struct pf_conn *c;
	int fd; /* the peer's end */
	unsigned controls, datas, eofs, stops;
	size_t control_bytes, data_bytes;
};

static int on_control(void *user, uint16_t type, const uint8_t *body, size_t n, struct pf_error *err)
{
	struct victim *v = user;

	(void)type;
	(void)body;
	(void)err;
	v->controls++;
	v->control_bytes += n;
	return 0;
}

static int on_data(void *user, uint32_t stream, const uint8_t *p, size_t n, struct pf_error *err)
{
	struct victim *v = user;

	(void)stream;
	(void)p;
	(void)err;
	v->datas++;
	v->data_bytes += n;
	return 0;
}

static int on_eof(void *user, uint32_t stream, struct pf_error *err)
{
	(void)stream;
	(void)err;
	((struct victim *)user)->eofs++;
	return 0;
}

static int on_stopped(void *user, uint32_t stream, struct pf_error *err)
{
	(void)stream;
	(void)err;
	((struct victim *)user)->stops++;
	return 0;
}

static const struct pf_conn_ops ops = {on_control, on_data, on_eof, on_stopped};

static void victim_make(struct victim *v)
{
	int fd[2];

	*v = (struct victim){0};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	v->fd = fd[1];
	v->c = pf_conn_new(fd[0], &ops, v);
	assert_non_null(v->c);
	assert_int_equal(pf_conn_open(v->c, IN, PF_STREAM_IN), 0);
	assert_int_equal(pf_conn_open(v->c, OUT, PF_STREAM_OUT), 0);
	assert_int_equal(pf_conn_open(v->c, IN2, PF_STREAM_IN), 0);
	assert_int_equal(pf_conn_open(v->c, OLD_IN, PF_STREAM_IN), 0);
	assert_int_equal(pf_conn_open(v->c, OLD_OUT, PF_STREAM_OUT), 0);
	pf_conn_close(v->c, OLD_IN);
	pf_conn_close(v->c, OLD_OUT);
}

static void victim_free(struct victim *v)
{
	pf_conn_free(v->c);
	if (v->fd >= 0)
		close(v->fd);
}

/* length: what the header says; n: how many bytes of payload follow it. */
static void frame(struct pf_buf *b, uint32_t length, uint16_t type, uint16_t flags, uint32_t stream,
		  const void *payload, size_t n)
{
	uint8_t head[PF_FRAME_HEADER];

	pf_frame_put(&(struct pf_frame){length, type, flags, stream}, head);
	assert_int_equal(pf_buf_add(b, head, sizeof(head)), 0);
	assert_int_equal(pf_buf_add(b, payload, n), 0);
}

static void data(struct pf_buf *b, uint32_t stream, size_t n)
{
	static const uint8_t zeros[PF_FRAME_PAYLOAD];

	for (size_t k; n; n -= k) {
		k = n < PF_FRAME_PAYLOAD ? n : PF_FRAME_PAYLOAD;
		frame(b, (uint32_t)k, PF_FRAME_DATA, 0, stream, zeros, k);
	}
}

/* --- violations ---------------------------------------------------------- */

static void control_endless(struct pf_buf *b)
{
	static const uint8_t zeros[PF_FRAME_PAYLOAD];

	for (unsigned i = 0; i <= PF_CONTROL_MAX / PF_FRAME_PAYLOAD; i++)
		frame(b, sizeof(zeros), PF_FRAME_CONTROL, PF_FRAME_MORE, 0, zeros, sizeof(zeros));
}

static void data_beyond_credit(struct pf_buf *b)
{
	data(b, IN, PF_CREDIT);
	data(b, IN, 1);
}

static void data_beyond_credit_closed(struct pf_buf *b)
{
	data(b, OLD_IN, PF_CREDIT + 1);
}

/* type, flags, stream and payload of a frame; payloads are literals. */
#define F(type, flags, stream, payload)                                                                      \
	{                                                                                                    \
		sizeof(payload) - 1, PF_FRAME_##type, flags, stream, payload                                 \
	}
#define U(flags, stream)                                                                                     \
	{                                                                                                    \
		0, 99, flags, stream, ""                                                                     \
	} /* unknown */
#define MORE PF_FRAME_MORE

static const struct violation {
	const char *text; /* part of the message */
	struct {
		uint32_t length;
		uint16_t type, flags;
		uint32_t stream;
		const char *payload;
	} frame[2];
	void (*make)(struct pf_buf *b); /* instead of frames */
} violations[] = {
	{"a frame of 65525 bytes", {{PF_FRAME_PAYLOAD + 1, PF_FRAME_DATA, 0, IN, NULL}}, NULL},
	{"a frame of 4294967295 bytes", {{UINT32_MAX, 99, 0, IN, NULL}}, NULL},
	{"must be understood", {U(PF_FRAME_MUST, 7)}, NULL},
	{"must be understood", {{0, 0, PF_FRAME_MUST, 0, ""}}, NULL},
	{"flags 0x0002", {F(DATA, 0x0002, IN, "x")}, NULL},
	{"flags 0x4000", {U(0x4000, 0)}, NULL},
	{"flags 0x0001", {F(DATA, MORE, IN, "x")}, NULL},
	{"DATA on stream 0", {F(DATA, 0, 0, "x")}, NULL},
	{"EOF on stream 0", {F(EOF, 0, 0, "")}, NULL},
	{"CREDIT on stream 0", {F(CREDIT, 0, 0, "\1\0\0\0")}, NULL},
	{"STOP on stream 0", {F(STOP, 0, 0, "")}, NULL},
	{"CONTROL frame on stream 1", {F(CONTROL, 0, IN, "ab")}, NULL},
	{"empty CONTROL", {F(CONTROL, 0, 0, "")}, NULL},
	{"empty CONTROL", {F(CONTROL, MORE, 0, "ab"), F(CONTROL, MORE, 0, "")}, NULL},
	{"too short for its type", {F(CONTROL, 0, 0, "a")}, NULL},
	{"more than 4194304 bytes", {{0}}, control_endless},
	{"DATA for stream 77, which is not open", {F(DATA, 0, 77, "x")}, NULL},
	{"EOF for stream 77, which is not open", {F(EOF, 0, 77, "")}, NULL},
	{"CREDIT for stream 77, which is not open", {F(CREDIT, 0, 77, "\1\0\0\0")}, NULL},
	{"STOP for stream 77, which is not open", {F(STOP, 0, 77, "")}, NULL},
	{"the other way", {F(DATA, 0, OUT, "x")}, NULL},
	{"the other way", {F(DATA, 0, OLD_OUT, "x")}, NULL},
	{"the other way", {F(EOF, 0, OUT, "")}, NULL},
	{"the other way", {F(CREDIT, 0, IN, "\1\0\0\0")}, NULL},
	{"the other way", {F(STOP, 0, IN, "")}, NULL},
	{"the other way", {F(STOP, 0, OLD_IN, "")}, NULL},
	{"empty DATA", {F(DATA, 0, IN, "")}, NULL},
	{"empty DATA", {F(DATA, 0, OLD_IN, "")}, NULL},
	{"1 bytes on stream 1 with a credit of 0", {{0}}, data_beyond_credit},
	{"bytes on stream 11 with a credit of", {{0}}, data_beyond_credit_closed},
	{"DATA after EOF", {F(EOF, 0, IN, ""), F(DATA, 0, IN, "x")}, NULL},
	{"EOF twice", {F(EOF, 0, IN, ""), F(EOF, 0, IN, "")}, NULL},
	{"EOF twice", {F(EOF, 0, OLD_IN, ""), F(EOF, 0, OLD_IN, "")}, NULL},
	{"EOF with a payload", {F(EOF, 0, IN, "x")}, NULL},
	{"beyond 262144 outstanding", {F(CREDIT, 0, OUT, "\1\0\0\0")}, NULL},
	{"beyond 262144 outstanding", {F(CREDIT, 0, OUT, "\1\0\374\377")}, NULL}, /* wraps to 1 if added */
	{"beyond 262144 outstanding", {F(CREDIT, 0, OLD_OUT, "\377\377\377\377")}, NULL},
	{"credit of 0", {F(CREDIT, 0, OUT, "\0\0\0\0")}, NULL},
	{"CREDIT with a payload of 3", {F(CREDIT, 0, OUT, "abc")}, NULL},
	{"CREDIT with a payload of 5", {F(CREDIT, 0, OUT, "abcde")}, NULL},
	{"STOP twice", {F(STOP, 0, OUT, ""), F(STOP, 0, OUT, "")}, NULL},
	{"STOP with a payload", {F(STOP, 0, OUT, "x")}, NULL},
};

static void make_violation(const struct violation *w, struct pf_buf *b)
{
	if (w->make)
		w->make(b);
	for (int i = 0; i < 2 && !w->make; i++) {
		const char *p = w->frame[i].payload;

		if (p || !i) /* without a payload: the header alone */
			frame(b, w->frame[i].length, w->frame[i].type, w->frame[i].flags, w->frame[i].stream,
			      p, p ? w->frame[i].length : 0);
	}
}

/* Feed b in steps until the victim ends; its last answer. */
static int feed(struct victim *v, const struct pf_buf *b, size_t step, struct pf_error *err)
{
	int r = 1;

	for (size_t at = 0; at < b->len && r == 1; at += step) {
		size_t n = b->len - at < step ? b->len - at : step;

		assert_int_equal(pf_write_full(v->fd, b->data + at, n), 0);
		r = pf_conn_readable(v->c, err);
	}
	return r;
}

static void check_violation(const struct violation *w, size_t step)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf_error err = {0};
	struct victim v;
	int r;

	victim_make(&v);
	/* Something fine before it, so that the violation does not begin the buffer. */
	frame(&b, 5, PF_FRAME_CONTROL, 0, 0, "ab123", 5);
	data(&b, IN2, 100);
	make_violation(w, &b);
	r = feed(&v, &b, step, &err);
	if (r != -EPROTO || err.code != -EPROTO || !strstr(err.msg, w->text))
		fail_msg("want \"%s\" in steps of %zu: %d, \"%s\"", w->text, step, r, err.msg);
	assert_int_equal(v.controls, 1);
	assert_in_range(v.data_bytes, 100, 100 + PF_CREDIT);
	assert_int_equal(pf_conn_readable(v.c, NULL), -EPROTO); /* for good */
	victim_free(&v);
}

static void every_violation_ends_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(violations) / sizeof(violations[0]); i++) {
		check_violation(&violations[i], 65536);
		check_violation(&violations[i], 1009);
	}
}

/* --- what is allowed ----------------------------------------------------- */

static void allowed(struct pf_buf *b)
{
	frame(b, 3, PF_FRAME_CONTROL, PF_FRAME_MUST, 0, "abc", 3);
	frame(b, 1, PF_FRAME_CONTROL, PF_FRAME_MORE, 0, "a", 1);
	data(b, IN, 10); /* between the pieces of a message */
	frame(b, 2, PF_FRAME_CONTROL, 0, 0, "bc", 2);
	frame(b, 4, 99, 0, 1234, "skip", 4);
	frame(b, 1, PF_FRAME_DATA, PF_FRAME_MUST, IN, "x", 1);
	frame(b, 0, PF_FRAME_EOF, 0, IN, "", 0);
	data(b, OLD_IN, 30);
	frame(b, 0, PF_FRAME_EOF, 0, OLD_IN, "", 0);
	frame(b, 0, PF_FRAME_STOP, 0, OLD_OUT, "", 0);
	frame(b, 0, PF_FRAME_STOP, 0, OUT, "", 0);
}

/* Cut anywhere: an end at a frame's boundary is an end, every other one a violation. */
static void cut_at_every_byte(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	unsigned boundaries = 0;

	(void)state;
	allowed(&b);
	for (size_t cut = 0; cut <= b.len; cut++) {
		struct pf_error err = {0};
		struct pf_buf part = {.data = b.data, .len = cut};
		struct victim v;
		int r;

		victim_make(&v);
		assert_int_equal(feed(&v, &part, 7, &err), 1);
		close(v.fd);
		v.fd = -1;
		do
			r = pf_conn_readable(v.c, &err);
		while (r == 1);
		boundaries += r == 0;
		if (r)
			assert_int_equal(r, -EPROTO);
		if (cut == b.len) {
			assert_int_equal(r, 0);
			assert_int_equal(v.controls, 2);
			assert_int_equal(v.control_bytes, 2);
			assert_int_equal(v.data_bytes, 11);
			assert_int_equal(v.eofs, 1);
			assert_int_equal(v.stops, 1);
		}
		victim_free(&v);
	}
	/* 11 frames make 12 boundaries; two of them lie inside a control message. */
	assert_int_equal(boundaries, 10);
}

/* Each byte of a valid conversation replaced by every other: no crash, no overread (ASan). */
static void every_byte_corrupted(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};

	(void)state;
	allowed(&b);
	for (size_t at = 0; at < b.len; at++) {
		char old = b.data[at];

		for (unsigned x = 1; x < 256; x += 11) {
			struct victim v;
			int r;

			b.data[at] = (char)(old ^ x);
			victim_make(&v);
			r = feed(&v, &b, b.len, NULL);
			assert_true(r == 1 || r == -EPROTO);
			victim_free(&v);
		}
		b.data[at] = old;
	}
}

static void closed_streams_are_forgotten(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct victim v;

	(void)state;
	victim_make(&v);
	for (uint32_t i = 0; i < 2047; i++) {
		assert_int_equal(pf_conn_open(v.c, 1000 + i, PF_STREAM_OUT), 0);
		pf_conn_close(v.c, 1000 + i);
	}
	frame(&b, 0, PF_FRAME_STOP, 0, OLD_OUT, "", 0); /* among the last 2048 */
	assert_int_equal(feed(&v, &b, b.len, NULL), 1);
	pf_buf_free(&b);
	data(&b, OLD_IN, 1); /* not any more */
	assert_int_equal(feed(&v, &b, b.len, NULL), -EPROTO);
	victim_free(&v);
}

/* A peer that guesses what it was granted and never reads makes credit wait, not memory grow: at last it
 * sends more than it may. */
static void grants_that_nobody_reads(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct victim v;
	size_t most = 0;
	int r;

	(void)state;
	victim_make(&v);
	data(&b, IN, PF_CREDIT); /* all of it: from now on a grant of one byte is sent at once */
	for (r = 1; r == 1;) {
		r = feed(&v, &b, 100000, NULL);
		while (r == 1 && v.data_bytes < PF_CREDIT)
			r = pf_conn_readable(v.c, NULL);
		if (r != 1)
			break;
		assert_int_equal(pf_conn_grant(v.c, IN, 1), 0);
		assert_int_equal(pf_conn_writable(v.c, NULL), 0);
		most = pf_conn_pending(v.c) > most ? pf_conn_pending(v.c) : most;
		assert_in_range(most, 0, 65536 + 16);
		pf_buf_free(&b);
		data(&b, IN, 1);
	}
	assert_int_equal(r, -EPROTO);
	assert_in_range(most, 65536, 65536 + 16);
	victim_free(&v);
}

static void one_call_reads_a_bounded_amount(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct victim v;
	int big = 2 << 20;
	ssize_t n;

	(void)state;
	victim_make(&v);
	setsockopt(v.fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	data(&b, IN, PF_CREDIT);
	data(&b, IN2, PF_CREDIT);
	assert_int_equal(pf_set_nonblock(v.fd, 1), 0);
	n = write(v.fd, b.data, b.len);
	assert_true(n > 0);
	assert_int_equal(pf_conn_readable(v.c, NULL), 1);
	assert_in_range(v.data_bytes, 1, 256u << 10);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pf_conn_readable(v.c, NULL), 1);
	if ((size_t)n == b.len)
		assert_int_equal(v.data_bytes, 2 * PF_CREDIT);
	victim_free(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_violation_ends_it),  cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(every_byte_corrupted),	    cmocka_unit_test(closed_streams_are_forgotten),
		cmocka_unit_test(grants_that_nobody_reads), cmocka_unit_test(one_call_reads_a_bounded_amount),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
