/* SPDX-License-Identifier: Apache-2.0 */
/* proto/conn: credit, turns, a full socket. */
#include "test_proto.h"

static void no_credit_holds_up_nobody_else(void **state)
{
	struct pair *p = *state;
	uint8_t *bytes = pattern(PF_CREDIT, 1);

	open_ab(p, 1);
	open_ab(p, 2);
	assert_int_equal(pf_conn_room(p->a.c, 1), PF_CREDIT);
	assert_int_equal(pf_conn_write(p->a.c, 1, bytes, PF_CREDIT + 1), -EAGAIN);
	assert_int_equal(pf_conn_write(p->a.c, 1, bytes, PF_CREDIT), 0);
	assert_int_equal(pf_conn_pending(p->a.c), PF_CREDIT);
	assert_int_equal(pf_conn_room(p->a.c, 1), 0);
	assert_int_equal(pf_conn_write(p->a.c, 1, bytes, 1), -EAGAIN);
	settle(p);
	assert_int_equal(pf_conn_room(p->a.c, 1), 0); /* b granted nothing */
	assert_int_equal(pf_conn_pending(p->a.c), 0);

	for (int i = 0; i < 20; i++) {
		assert_int_equal(pf_conn_write(p->a.c, 2, bytes, 65536), 0);
		assert_int_equal(pf_conn_send(p->a.c, 5, "hello", 5), 0);
		settle(p);
		assert_int_equal(pf_conn_grant(p->b.c, 2, 65536), 0);
		settle(p);
	}
	assert_int_equal(p->b.data[2].len, 20 * 65536);
	assert_int_equal(p->b.controls, 20);
	assert_int_equal(p->b.data[1].len, PF_CREDIT);

	/* A stalled sender gets its credit at once, though less than half is due. */
	assert_int_equal(pf_conn_grant(p->b.c, 1, 1000), 0);
	settle(p);
	assert_int_equal(pf_conn_room(p->a.c, 1), 1000);
	assert_int_equal(pf_conn_grant(p->b.c, 1, PF_CREDIT), -EINVAL); /* never delivered */
	assert_int_equal(pf_conn_grant(p->b.c, 1, PF_CREDIT - 1000), 0);
	settle(p);
	assert_int_equal(pf_conn_room(p->a.c, 1), PF_CREDIT);
	free(bytes);
}

static void credit_is_batched(void **state)
{
	struct pair *p = *state;
	uint8_t *bytes = pattern(PF_CREDIT, 1);

	open_ab(p, 1);
	assert_int_equal(pf_conn_write(p->a.c, 1, bytes, PF_CREDIT / 2), 0);
	settle(p);
	assert_int_equal(pf_conn_grant(p->b.c, 1, PF_CREDIT / 2 - 1), 0);
	assert_false(pf_conn_wants_write(p->b.c));
	assert_int_equal(pf_conn_grant(p->b.c, 1, 1), 0);
	assert_true(pf_conn_wants_write(p->b.c));
	settle(p);
	assert_int_equal(pf_conn_room(p->a.c, 1), PF_CREDIT);
	free(bytes);
}

static void streams_take_turns(void **state)
{
	struct pair *p = *state;
	uint8_t *bytes = pattern(PF_CREDIT, 1);

	for (uint32_t i = 1; i <= 3; i++) {
		open_ab(p, i);
		assert_int_equal(pf_conn_write(p->a.c, i, bytes, i == 2 ? 100 : 2 * PF_FRAME_PAYLOAD + 1), 0);
	}
	settle(p);
	assert_string_equal(p->b.order, "1231313");
	free(bytes);
}

/* Every stream busy over a small socket buffer: queues wrap, frames are cut anywhere. */
static void bulk_arrives_intact(void **state)
{
	enum { TOTAL = 3 << 20 };
	struct pair *p = *state;
	size_t sent[STREAMS] = {0};
	int small = 5000;
	unsigned seed = 1;
	uint8_t *bytes[STREAMS];

	p->a.grants = p->b.grants = true;
	setsockopt(pf_conn_fd(p->a.c), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	for (uint32_t i = 1; i < STREAMS; i++) {
		open_ab(p, i);
		bytes[i] = pattern(TOTAL, i);
	}
	for (bool busy = true; busy;) {
		busy = false;
		for (uint32_t i = 1; i < STREAMS; i++) {
			size_t n = pf_conn_room(p->a.c, i), max = rand_r(&seed) % 100000;

			n = n < max ? n : max;
			n = n < TOTAL - sent[i] ? n : TOTAL - sent[i];
			assert_int_equal(pf_conn_write(p->a.c, i, bytes[i] + sent[i], n), 0);
			sent[i] += n;
			busy |= sent[i] < TOTAL;
		}
		move(&p->a, &p->b);
		move(&p->b, &p->a);
	}
	settle(p);
	for (uint32_t i = 1; i < STREAMS; i++) {
		assert_int_equal(p->b.data[i].len, TOTAL);
		assert_memory_equal(p->b.data[i].data, bytes[i], TOTAL);
		free(bytes[i]);
	}
}

static void a_peer_that_never_reads(void **state)
{
	struct pair *p = *state;
	uint8_t *bytes = pattern(1u << 20, 1);
	unsigned sent = 0;
	size_t before;

	open_ab(p, 1);
	assert_int_equal(pf_conn_write(p->a.c, 1, bytes, PF_CREDIT), 0);
	while (pf_conn_send(p->a.c, 1, bytes, 1u << 20) == 0) {
		assert_int_equal(pf_conn_writable(p->a.c, NULL), 0);
		assert_in_range(++sent, 1, 9);
	}
	before = pf_conn_pending(p->a.c);
	assert_in_range(before, PF_CREDIT, PF_CONTROL_OUT_MAX + PF_CREDIT + PF_FRAME_TOTAL);
	assert_int_equal(pf_conn_send(p->a.c, 1, bytes, 1u << 20), -ENOBUFS);
	assert_int_equal(pf_conn_pending(p->a.c), before);
	settle(p); /* and if it reads after all, nothing is lost */
	assert_int_equal(p->b.controls, sent);
	assert_int_equal(p->b.data[1].len, PF_CREDIT);
	free(bytes);
}

/* The socket took a part of a frame when its stream is closed: the frame must become whole. */
static void close_inside_a_frame(void **state)
{
	struct pair *p = *state;
	uint8_t *bytes = pattern(PF_CREDIT, 1);
	int small = 4096;

	assert_int_equal(setsockopt(pf_conn_fd(p->a.c), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	open_ab(p, 1);
	assert_int_equal(pf_conn_write(p->a.c, 1, bytes, PF_CREDIT), 0);
	assert_int_equal(pf_conn_writable(p->a.c, NULL), 0);
	assert_true(pf_conn_pending(p->a.c) > 0);
	pf_conn_close(p->a.c, 1);
	assert_true(pf_conn_pending(p->a.c) < PF_FRAME_TOTAL);
	assert_int_equal(pf_conn_send(p->a.c, 3, "after", 5), 0);
	settle(p);
	assert_int_equal(p->b.controls, 1);
	assert_int_equal(p->b.data[1].len % PF_FRAME_PAYLOAD, 0);
	assert_memory_equal(p->b.data[1].data, bytes, p->b.data[1].len);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(no_credit_holds_up_nobody_else),
		T(credit_is_batched),
		T(streams_take_turns),
		T(bulk_arrives_intact),
		T(a_peer_that_never_reads),
		T(close_inside_a_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
