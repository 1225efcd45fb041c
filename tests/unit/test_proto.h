/* SPDX-License-Identifier: Apache-2.0 */
/* Two connections over a socketpair, for test_proto.c and test_proto_flow.c. */
#ifndef PF_TESTS_UNIT_TEST_PROTO_H
#define PF_TESTS_UNIT_TEST_PROTO_H

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
#include "proto/conn.h"

#define STREAMS 6

/* One end, and what its callbacks saw. */
struct end {
	struct pf_conn *c;
	unsigned controls, eofs, stops;
	uint16_t type;
	struct pf_buf body;
	struct pf_buf data[STREAMS];
	char order[256]; /* 'c' control, '1'... data of that stream, 'e' EOF; without repetitions */
	bool grants;	 /* consume at once */
	int answer;	 /* of the control callback */
};

struct pair {
	struct end a, b;
};

static inline void note(struct end *e, char what)
{
	size_t n = strlen(e->order);

	if (n + 1 < sizeof(e->order) && (!n || e->order[n - 1] != what))
		e->order[n] = what;
}

static int on_control(void *user, uint16_t type, const uint8_t *body, size_t n, struct pf_error *err)
{
	struct end *e = user;

	(void)err;
	e->controls++;
	e->type = type;
	pf_buf_free(&e->body);
	assert_int_equal(pf_buf_add(&e->body, body, n), 0);
	note(e, 'c');
	return e->answer;
}

static int on_data(void *user, uint32_t stream, const uint8_t *p, size_t n, struct pf_error *err)
{
	struct end *e = user;

	(void)err;
	assert_in_range(stream, 1, STREAMS - 1);
	assert_int_equal(pf_buf_add(&e->data[stream], p, n), 0);
	note(e, (char)('0' + stream));
	return e->grants ? pf_conn_grant(e->c, stream, n) : 0;
}

static int on_eof(void *user, uint32_t stream, struct pf_error *err)
{
	struct end *e = user;

	(void)stream;
	(void)err;
	e->eofs++;
	note(e, 'e');
	return 0;
}

static int on_stopped(void *user, uint32_t stream, struct pf_error *err)
{
	struct end *e = user;

	(void)stream;
	(void)err;
	e->stops++;
	return 0;
}

static const struct pf_conn_ops ops = {on_control, on_data, on_eof, on_stopped};

static int setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	p->a.c = pf_conn_new(fd[0], &ops, &p->a);
	p->b.c = pf_conn_new(fd[1], &ops, &p->b);
	assert_non_null(p->a.c);
	assert_int_equal(pf_conn_fd(p->a.c), fd[0]);
	*state = p;
	return 0;
}

static void end_free(struct end *e)
{
	pf_conn_free(e->c);
	pf_buf_free(&e->body);
	for (int i = 0; i < STREAMS; i++)
		pf_buf_free(&e->data[i]);
}

static int teardown(void **state)
{
	struct pair *p = *state;

	end_free(&p->a);
	end_free(&p->b);
	free(p);
	return 0;
}

/* Open stream so that a sends and b receives. */
static void open_ab(struct pair *p, uint32_t stream)
{
	assert_int_equal(pf_conn_open(p->a.c, stream, PF_STREAM_OUT), 0);
	assert_int_equal(pf_conn_open(p->b.c, stream, PF_STREAM_IN), 0);
}

static void move(struct end *from, struct end *to)
{
	struct pf_error err = {0};

	assert_int_equal(pf_conn_writable(from->c, &err), 0);
	assert_int_equal(pf_conn_readable(to->c, &err), 1);
}

static void settle(struct pair *p)
{
	do {
		move(&p->a, &p->b);
		move(&p->b, &p->a);
	} while (pf_conn_wants_write(p->a.c) || pf_conn_wants_write(p->b.c));
	move(&p->a, &p->b);
	move(&p->b, &p->a);
}

static uint8_t *pattern(size_t n, unsigned seed)
{
	uint8_t *p = malloc(n + 1);

	for (size_t i = 0; i < n; i++) {
		seed = seed * 1103515245u + 12345u;
		p[i] = (uint8_t)(seed >> 16);
	}
	return p;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
