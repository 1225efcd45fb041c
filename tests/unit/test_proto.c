/* SPDX-License-Identifier: Apache-2.0 */
/* proto/frame and proto/conn: messages, opening, closing and ending. Credit: test_proto_flow.c. A hostile
 * peer: test_proto_hostile.c. */
#include "test_proto.h"

static void header_bytes(void **state)
{
	static const uint8_t want[PF_FRAME_HEADER] = {4, 3, 2, 1, 6, 5, 8, 7, 12, 11, 10, 9};
	struct pf_frame f = {.length = 0x01020304, .type = 0x0506, .flags = 0x0708, .stream = 0x090a0b0c}, g;
	uint8_t got[PF_FRAME_HEADER];

	(void)state;
	pf_frame_put(&f, got);
	assert_memory_equal(got, want, sizeof(want));
	pf_frame_get(got, &g);
	assert_memory_equal(&f, &g, sizeof(f));
}

static void control_of_every_size(void **state)
{
	static const size_t sizes[] = {
		0,
		1,
		PF_FRAME_PAYLOAD - 2,
		PF_FRAME_PAYLOAD - 1,
		2 * PF_FRAME_PAYLOAD - 2,
		2 * PF_FRAME_PAYLOAD - 1,
		1u << 20,
		PF_CONTROL_MAX - 2,
	};
	struct pair *p = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint8_t *body = pattern(sizes[i], (unsigned)i);

		assert_int_equal(pf_conn_send(p->a.c, (uint16_t)(0x1200 + i), body, sizes[i]), 0);
		settle(p);
		assert_int_equal(p->b.controls, i + 1);
		assert_int_equal(p->b.type, 0x1200 + i);
		assert_int_equal(p->b.body.len, sizes[i]);
		if (sizes[i])
			assert_memory_equal(p->b.body.data, body, sizes[i]);
		free(body);
	}
	assert_int_equal(pf_conn_send(p->a.c, 1, "", PF_CONTROL_MAX - 1), -E2BIG);
	assert_int_equal(pf_conn_send(p->a.c, 1, "", SIZE_MAX), -E2BIG);
	assert_false(pf_conn_wants_write(p->a.c));
}

static void open_checks(void **state)
{
	struct pair *p = *state;

	assert_int_equal(pf_conn_open(p->a.c, 0, PF_STREAM_IN), -EINVAL);
	for (uint32_t i = 1; i <= PF_STREAMS_MAX; i++)
		assert_int_equal(pf_conn_open(p->a.c, i * 7, i & 1 ? PF_STREAM_IN : PF_STREAM_OUT), 0);
	assert_int_equal(pf_conn_open(p->a.c, 1, PF_STREAM_IN), -ENOSPC);
	assert_int_equal(pf_conn_open(p->a.c, 7, PF_STREAM_IN), -EEXIST);
	pf_conn_close(p->a.c, 7);
	pf_conn_close(p->a.c, 7);
	assert_false(pf_conn_is_open(p->a.c, 7));
	assert_true(pf_conn_is_open(p->a.c, 14));
	assert_int_equal(pf_conn_open(p->a.c, 7, PF_STREAM_IN), -EEXIST); /* remembered */
	assert_int_equal(pf_conn_open(p->a.c, 1, PF_STREAM_IN), 0);
	assert_int_equal(pf_conn_write(p->a.c, 1, "x", 1), -ENOENT); /* the other way */
	assert_int_equal(pf_conn_eof(p->a.c, 1), -ENOENT);
	assert_int_equal(pf_conn_room(p->a.c, 1), 0);
	assert_int_equal(pf_conn_grant(p->a.c, 14, 0), -ENOENT);
	assert_int_equal(pf_conn_stop(p->a.c, 999), -ENOENT);
}

static void eof_comes_last_and_closes(void **state)
{
	struct pair *p = *state;
	uint8_t *bytes = pattern(PF_CREDIT, 1);

	open_ab(p, 1);
	open_ab(p, 2);
	assert_int_equal(pf_conn_write(p->a.c, 1, bytes, PF_CREDIT), 0);
	assert_int_equal(pf_conn_eof(p->a.c, 1), 0);
	assert_int_equal(pf_conn_eof(p->a.c, 1), 0);
	assert_int_equal(pf_conn_room(p->a.c, 1), 0);
	assert_int_equal(pf_conn_write(p->a.c, 1, "x", 1), -EPIPE);
	assert_int_equal(pf_conn_eof(p->a.c, 2), 0); /* nothing before it */
	assert_int_equal(pf_conn_send(p->a.c, 9, NULL, 0), 0);
	assert_true(pf_conn_is_open(p->a.c, 1));
	settle(p);
	assert_string_equal(p->b.order, "c1e1e"); /* control first, then in turn, EOF last */
	assert_int_equal(p->b.eofs, 2);
	assert_int_equal(p->b.data[1].len, PF_CREDIT);
	assert_memory_equal(p->b.data[1].data, bytes, PF_CREDIT);
	assert_false(pf_conn_is_open(p->a.c, 1));
	assert_true(pf_conn_is_open(p->b.c, 1)); /* until its owner has read everything */
	assert_int_equal(pf_conn_grant(p->b.c, 1, PF_CREDIT), 0);
	assert_false(pf_conn_wants_write(p->b.c)); /* no use any more */
	free(bytes);
}

static void frames_cross_a_close(void **state)
{
	struct pair *p = *state;
	uint8_t *bytes = pattern(PF_CREDIT, 1);

	for (uint32_t i = 1; i <= 3; i++) {
		open_ab(p, i);
		assert_int_equal(pf_conn_write(p->a.c, i, bytes, 40000), 0);
	}
	move(&p->a, &p->b);
	move(&p->a, &p->b);
	/* CREDIT and STOP meet streams that a has closed. */
	assert_int_equal(pf_conn_write(p->a.c, 2, bytes, PF_CREDIT - 40000), 0);
	pf_conn_close(p->a.c, 1);
	pf_conn_close(p->a.c, 2);
	assert_int_equal(pf_conn_pending(p->a.c), 0);
	assert_int_equal(pf_conn_stop(p->b.c, 1), 0);
	assert_int_equal(pf_conn_stop(p->b.c, 1), 0);
	pf_conn_close(p->b.c, 1); /* STOP is sent all the same */
	settle(p);
	assert_int_equal(p->a.stops, 0);
	/* DATA and EOF meet a stream that b has closed. */
	assert_int_equal(pf_conn_write(p->a.c, 3, bytes, 50000), 0);
	assert_int_equal(pf_conn_eof(p->a.c, 3), 0);
	pf_conn_close(p->b.c, 3);
	settle(p);
	assert_int_equal(p->b.data[3].len, 40000);
	assert_int_equal(p->b.eofs, 0);
	free(bytes);
}

static void stop_gives_up(void **state)
{
	struct pair *p = *state;
	uint8_t *bytes = pattern(PF_CREDIT, 1);

	open_ab(p, 1);
	assert_int_equal(pf_conn_write(p->a.c, 1, bytes, 10), 0);
	settle(p);
	assert_int_equal(pf_conn_stop(p->b.c, 1), 0);
	assert_int_equal(pf_conn_write(p->a.c, 1, bytes, 20), 0);
	settle(p);
	assert_int_equal(p->b.data[1].len, 10); /* what crossed is dropped */
	assert_int_equal(p->a.stops, 1);
	assert_int_equal(pf_conn_room(p->a.c, 1), 0);
	assert_int_equal(pf_conn_write(p->a.c, 1, bytes, 1), -EPIPE);
	assert_int_equal(pf_conn_eof(p->a.c, 1), 0);
	settle(p);
	assert_int_equal(p->b.eofs, 1);
	assert_false(pf_conn_is_open(p->a.c, 1));
	free(bytes);
}

static void the_end(void **state)
{
	struct pair *p = *state;
	struct pf_error err = {0};

	assert_int_equal(pf_conn_send(p->a.c, 1, "x", 1), 0);
	assert_int_equal(pf_conn_writable(p->a.c, NULL), 0);
	shutdown(pf_conn_fd(p->a.c), SHUT_RDWR);
	while (pf_conn_readable(p->b.c, &err) == 1)
		;
	assert_int_equal(p->b.controls, 1);
	assert_int_equal(pf_conn_readable(p->b.c, &err), 0);
	assert_int_equal(pf_conn_send(p->b.c, 1, "x", 1), 0);
	assert_int_equal(pf_conn_writable(p->b.c, &err), -EPIPE); /* and no SIGPIPE */
	assert_int_equal(err.code, -EPIPE);
}

static void an_owner_may_refuse(void **state)
{
	struct pair *p = *state;
	struct pf_error err = {0};

	p->b.answer = -ENOSYS;
	assert_int_equal(pf_conn_send(p->a.c, 1, "x", 1), 0);
	assert_int_equal(pf_conn_send(p->a.c, 2, "y", 1), 0);
	assert_int_equal(pf_conn_writable(p->a.c, NULL), 0);
	assert_int_equal(pf_conn_readable(p->b.c, &err), -ENOSYS);
	p->b.answer = 0;
	assert_int_equal(pf_conn_readable(p->b.c, &err), -ENOSYS);
	assert_int_equal(p->b.controls, 1);
	pf_conn_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_bytes),
		T(control_of_every_size),
		T(open_checks),
		T(eof_comes_last_and_closes),
		T(frames_cross_a_close),
		T(stop_gives_up),
		T(the_end),
		T(an_owner_may_refuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
