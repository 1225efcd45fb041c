/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pinfold-init that lies: the real one, with some of the functions that it calls wrapped by the linker
 * (--wrap; the makefile finds the names here). Which lie it tells stands in the program file itself, behind a
 * mark: test_liar.py makes a copy of the file for each lie. Nothing else can be handed to it: it is started
 * without arguments and environment, by a descriptor, in a root of its own.
 *
 * The host must end each in a bounded time, with cause boundary or error, leave nothing behind, and never put
 * into a receipt more than what holds.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "init/init.h"
#include "linux/caps.h"
#include "linux/landlock.h"
#include "linux/seccomp.h"
#include "proto/conn.h"
#include "proto/frame.h"
#include "proto/le.h"
#include "proto/msg.h"

#define MARK "PF-LIAR-TELLS:"
static volatile char told[80] __attribute__((used, section(".data"))) = MARK "nothing";

static bool lie(const char *name)
{
	return strcmp((const char *)(uintptr_t)told + strlen(MARK), name) == 0;
}

static bool lie_begins(const char *prefix)
{
	return strncmp((const char *)(uintptr_t)told + strlen(MARK), prefix, strlen(prefix)) == 0;
}

/* --- raw bytes on the socket ------------------------------------------------------------------- */

static void raw(const void *p, size_t n)
{
	pf_set_nonblock(PF_INIT_SOCKET_FD, 0);
	if (pf_write_full(PF_INIT_SOCKET_FD, p, n) < 0)
		_exit(0); /* the host has had enough */
	pf_set_nonblock(PF_INIT_SOCKET_FD, 1);
}

static void raw_header(uint32_t length, uint16_t type, uint16_t flags, uint32_t stream)
{
	uint8_t head[PF_FRAME_HEADER];

	pf_frame_put(&(struct pf_frame){.length = length, .type = type, .flags = flags, .stream = stream},
		     head);
	raw(head, sizeof(head));
}

static void raw_frame(uint16_t type, uint16_t flags, uint32_t stream, const void *p, uint32_t n)
{
	raw_header(n, type, flags, stream);
	raw(p, n);
}

static void raw_message(uint16_t type, const void *body, uint32_t n)
{
	uint8_t kind[2] = {(uint8_t)type, (uint8_t)(type >> 8)};

	raw_header(n + 2, PF_FRAME_CONTROL, 0, 0);
	raw(kind, 2);
	raw(body, n);
}

static void for_ever(void) __attribute__((noreturn));
static void for_ever(void)
{
	for (;;)
		pause();
}

static const uint8_t zeros[PF_FRAME_PAYLOAD];

/* --- before it says anything -------------------------------------------------------------------- */

struct pf_conn *__real_pf_conn_new(int fd, const struct pf_conn_ops *ops, void *user);
struct pf_conn *__wrap_pf_conn_new(int fd, const struct pf_conn_ops *ops, void *user);
struct pf_conn *__wrap_pf_conn_new(int fd, const struct pf_conn_ops *ops, void *user)
{
	if (lie("silent"))
		for_ever();
	if (lie("exits"))
		_exit(0);
	if (lie("closes")) {
		close(fd);
		for_ever();
	}
	if (lie("garbage")) {
		raw("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 36);
		for_ever();
	}
	if (lie("half_frame")) {
		raw("\1\0\0", 3);
		for_ever();
	}
	if (lie("half_frame_and_exit")) {
		raw("\1\0\0", 3);
		_exit(0);
	}
	if (lie("frame_too_long"))
		raw_header(0xffffffff, PF_FRAME_CONTROL, 0, 0);
	if (lie("frame_a_byte_too_long"))
		raw_header(PF_FRAME_PAYLOAD + 1, PF_FRAME_CONTROL, 0, 0);
	if (lie("unknown_frame_must"))
		raw_frame(77, PF_FRAME_MUST, 0, "x", 1);
	if (lie("unknown_frames_for_ever"))
		for (;;)
			raw_frame(77, 0, 0, zeros, 1000);
	if (lie("pieces_for_ever"))
		for (;;)
			raw_frame(PF_FRAME_CONTROL, PF_FRAME_MORE, 0, zeros, sizeof(zeros));
	if (lie("empty_pieces_for_ever"))
		for (;;)
			raw_frame(PF_FRAME_CONTROL, PF_FRAME_MORE, 0, "", 0);
	if (lie("speaks_first"))
		raw_message(PF_MSG_REAPED, "\1\0\0\0", 4);
	if (lie("data_before_all"))
		raw_frame(PF_FRAME_DATA, 0, pf_stream_stdout(1), "x", 1);
	return __real_pf_conn_new(fd, ops, user);
}

/* --- messages --------------------------------------------------------------------------------------- */

int __real_pf_conn_send(struct pf_conn *c, uint16_t type, const void *body, size_t n);
int __wrap_pf_conn_send(struct pf_conn *c, uint16_t type, const void *body, size_t n);

static void flush(struct pf_conn *c)
{
	while (pf_conn_wants_write(c) && pf_conn_writable(c, NULL) == 0)
		;
}

static int send_failed(struct pf_conn *c, uint32_t exec, int32_t err, const char *text)
{
	struct pf_msg_failed m = {.exec = exec, .err = err, .text = (char *)(uintptr_t)text};
	struct pf_buf b = {0};
	int r = pf_msg_failed_put(&b, &m);

	if (r == 0)
		r = __real_pf_conn_send(c, PF_MSG_FAILED, b.data, b.len);
	pf_buf_free(&b);
	return r;
}

static char *escapes(void)
{
	static const char one[] = "\033]0;owned\007\033[2J\033[31m\xe2\x80\xae\x9b"
				  "1m\r\nfake: line\n";
	static char text[4096];
	size_t i;

	for (i = 0; i + sizeof(one) < sizeof(text); i += sizeof(one) - 1)
		memcpy(text + i, one, sizeof(one) - 1);
	return text;
}

static int send_welcome(struct pf_conn *c, const void *body, size_t n)
{
	struct pf_msg_welcome m;
	struct pf_buf b = {0};
	struct pf_error err;
	void *mem;
	int r;

	if (pf_msg_welcome_get(body, n, &m, &mem, &err) < 0)
		_exit(1);
	if (lie("silent_after_hello"))
		for_ever();
	if (lie("connected_before_welcome"))
		raw_message(PF_MSG_CONNECTED, "\1\0\0", 4);
	if (lie("connected_without_door")) {
		m.door_err = EADDRINUSE;
		pf_msg_welcome_put(&b, &m);
		__real_pf_conn_send(c, PF_MSG_WELCOME, b.data, b.len);
		flush(c);
		raw_message(PF_MSG_CONNECTED, "\1\0\0", 4);
	}
	if (lie("welcome_version"))
		m.version = 9;
	if (lie("welcome_landlock"))
		m.landlock_abi = 0x7fffffff;
	if (lie("welcome_landlock_negative"))
		m.landlock_abi = 0xffffffff;
	if (lie("welcome_scoped"))
		m.landlock_abi = 0, m.scoped = 1;
	if (lie("welcome_escapes"))
		m.kernel = escapes();
	if (lie("failed_escapes"))
		return send_failed(c, 0, 13, escapes());
	if (lie("failed_odd_errno"))
		return send_failed(c, 0, -133, "odd");
	if (lie("failed_text_too_long"))
		raw_message(PF_MSG_FAILED, zeros, 9000);
	if (lie("unknown_message"))
		raw_message(99, "x", 1);
	if (lie("message_of_the_host"))
		raw_message(PF_MSG_HELLO, body, (uint32_t)n);
	if (lie("empty_message"))
		raw_header(0, PF_FRAME_CONTROL, 0, 0);
	if (lie("welcome_cut"))
		return __real_pf_conn_send(c, PF_MSG_WELCOME, body, n - 1);
	if (lie("welcome_long"))
		raw_message(PF_MSG_WELCOME, zeros, 60000);
	r = pf_msg_welcome_put(&b, &m);
	if (r == 0)
		r = __real_pf_conn_send(c, PF_MSG_WELCOME, b.data, b.len);
	if (lie("welcome_twice"))
		r = __real_pf_conn_send(c, PF_MSG_WELCOME, b.data, b.len);
	pf_buf_free(&b);
	flush(c);
	return r;
}

static void say_exited(struct pf_conn *c, uint32_t exec, uint8_t signalled, uint32_t value)
{
	uint8_t b[4 + 1 + 1 + 4 + 24] = {0};

	pf__le_put(b, exec, 4);
	b[4] = signalled;
	pf__le_put(b + 6, value, 4);
	flush(c);
	raw_message(PF_MSG_EXITED, b, sizeof(b));
}

static void say_started(struct pf_conn *c, uint32_t exec, int32_t err, uint8_t step)
{
	struct pf_msg_started m = {.exec = exec, .err = err, .step = step};
	struct pf_buf b = {0};

	if (pf_msg_started_put(&b, &m) == 0)
		__real_pf_conn_send(c, PF_MSG_STARTED, b.data, b.len);
	pf_buf_free(&b);
}

/* Streams of the command, misused. */
static void misuse_streams(struct pf_conn *c)
{
	static const uint8_t much[4] = {0xff, 0xff, 0xff, 0xff}, one[4] = {1, 0, 0, 0};
	unsigned i;

	flush(c);
	if (lie("data_without_credit"))
		for (i = 0; i < 8; i++)
			raw_frame(PF_FRAME_DATA, 0, pf_stream_stdout(1), zeros, sizeof(zeros));
	if (lie("data_on_stdin"))
		raw_frame(PF_FRAME_DATA, 0, pf_stream_stdin(1), "x", 1);
	if (lie("data_on_no_stream"))
		raw_frame(PF_FRAME_DATA, 0, 4000, "x", 1);
	if (lie("data_empty"))
		raw_frame(PF_FRAME_DATA, 0, pf_stream_stdout(1), "", 0);
	if (lie("data_after_eof")) {
		raw_frame(PF_FRAME_EOF, 0, pf_stream_stdout(1), "", 0);
		raw_frame(PF_FRAME_DATA, 0, pf_stream_stdout(1), "x", 1);
	}
	if (lie("eof_twice")) {
		raw_frame(PF_FRAME_EOF, 0, pf_stream_stdout(1), "", 0);
		raw_frame(PF_FRAME_EOF, 0, pf_stream_stdout(1), "", 0);
	}
	if (lie("eof_with_bytes"))
		raw_frame(PF_FRAME_EOF, 0, pf_stream_stdout(1), "x", 1);
	if (lie("credit_too_much"))
		raw_frame(PF_FRAME_CREDIT, 0, pf_stream_stdin(1), much, 4);
	if (lie("credit_on_stdout"))
		raw_frame(PF_FRAME_CREDIT, 0, pf_stream_stdout(1), one, 4);
	if (lie("credit_cut"))
		raw_frame(PF_FRAME_CREDIT, 0, pf_stream_stdin(1), one, 3);
	if (lie("stop_on_stdout"))
		raw_frame(PF_FRAME_STOP, 0, pf_stream_stdout(1), "", 0);
	if (lie("control_on_a_stream"))
		raw_frame(PF_FRAME_CONTROL, 0, pf_stream_stdout(1), "\45\0\1\0\0\0", 6);
	if (lie("data_on_control"))
		raw_frame(PF_FRAME_DATA, 0, 0, "x", 1);
}

/* What a launcher says of itself as if all were well, whatever it left out. */
static void embellish(struct pf_msg_ready *m)
{
	uint32_t i;

	m->uid = m->gid = 1000;
	m->cap_inh = m->cap_prm = m->cap_eff = m->cap_bnd = m->cap_amb = 0;
	m->no_new_privs = 1;
	m->seccomp = 2;
	m->seccomp_filters = 2;
	m->landlock = 1;
	for (i = 0; i < m->try_count; i++)
		if (m->tries[i].attempt > PF_TRY_SOCKET_INET && m->tries[i].err == 0)
			m->tries[i].err = m->tries[i].attempt == PF_TRY_WRITE_READONLY ? EROFS : EPERM;
}

static void ready_for_ever(const struct pf_buf *b)
{
	if (fork() != 0)
		return;
	for (;;) {
		raw_message(PF_MSG_READY, b->data, (uint32_t)b->len);
		usleep(20000);
	}
}

static void false_tries(struct pf_msg_ready *m)
{
	uint32_t i;

	if (lie("ready_tried_nothing"))
		m->try_count = 0;
	for (i = 0; i < m->try_count; i++) {
		if (lie("ready_try_worked"))
			m->tries[i].err = 0;
		if (lie("ready_tried_one_twice"))
			m->tries[i].attempt = PF_TRY_MOUNT, m->tries[i].err = EPERM;
		if (lie("ready_escapes"))
			m->tries[i].detail = (char *)(uintptr_t) "\033[2J\033]0;owned\007";
	}
}

static int send_ready(struct pf_conn *c, const void *body, size_t n)
{
	struct pf_msg_ready m;
	struct pf_buf b = {0};
	struct pf_error err;
	void *mem;
	uint32_t i;
	int r;

	if (pf_msg_ready_get(body, n, &m, &mem, &err) < 0)
		_exit(1);
	if (lie("silent_after_prepare"))
		for_ever();
	if (lie("deaf") || lie("deaf_for_ever")) { /* it speaks, and what is said to it fails */
		shutdown(PF_INIT_SOCKET_FD, SHUT_RD);
		__real_pf_conn_send(c, PF_MSG_READY, body, n);
		flush(c);
		while (lie("deaf_for_ever"))
			raw_frame(77, 0, 0, zeros, 1000);
		for_ever();
	}
	if (lie_begins("omits_"))
		embellish(&m);
	if (lie("ready_unknown"))
		m.exec = 77;
	if (lie("ready_uid"))
		m.uid = m.gid = 1001;
	if (lie("ready_caps"))
		m.cap_eff = m.cap_prm = 1ull << 21;
	if (lie("ready_seccomp"))
		m.seccomp = 0, m.seccomp_filters = 0;
	if (lie("ready_more_filters"))
		m.seccomp_filters = 9;
	if (lie("ready_nnp"))
		m.no_new_privs = 0;
	if (lie("ready_groups"))
		m.groups = 9;
	if (lie("ready_namespaces"))
		for (i = 0; i < PF_NS_KINDS; i++)
			m.ns[i] = 4026531840u + i;
	if (lie("ready_pid_1"))
		m.pid = 1;
	if (lie("ready_pid_none"))
		m.pid = 31337;
	false_tries(&m);
	if (lie("exited_before_start"))
		say_exited(c, 1, 0, 0);
	if (lie("started_before_start"))
		say_started(c, 1, 0, 0);
	if (lie("failed_of_another"))
		return send_failed(c, 77, 5, "of another");
	if (lie("failed_of_this"))
		return send_failed(c, 1, 5, escapes());
	misuse_streams(c);
	if (lie("output_before_ready"))
		raw_frame(PF_FRAME_DATA, 0, pf_stream_stdout(1), "forged\n", 7);
	if (lie("output_before_start")) /* comes after READY: nobody can tell it from the command's own */
		pf_conn_write(c, pf_stream_stdout(1), "forged\n", 7);
	r = pf_msg_ready_put(&b, &m);
	if (r == 0)
		r = __real_pf_conn_send(c, PF_MSG_READY, b.data, b.len);
	if (lie("ready_twice"))
		r = __real_pf_conn_send(c, PF_MSG_READY, b.data, b.len);
	flush(c);
	if (lie("ready_for_ever"))
		ready_for_ever(&b);
	if (lie("silent_after_ready"))
		for_ever();
	if (lie("dies_after_ready"))
		_exit(0);
	if (lie("ready_cut"))
		raw_message(PF_MSG_READY, b.data, (uint32_t)b.len - 1);
	pf_buf_free(&b);
	return r;
}

static int send_exited(struct pf_conn *c, const void *body, size_t n)
{
	int r;

	if (lie("never_exited"))
		return 0;
	if (lie("exit_code_too_big"))
		say_exited(c, 1, 0, 70000);
	if (lie("signal_too_big"))
		say_exited(c, 1, 1, 200);
	if (lie("signal_none"))
		say_exited(c, 1, 1, 0);
	if (lie("exited_unknown"))
		say_exited(c, 4711, 0, 0);
	if (lie("exited_none"))
		say_exited(c, 0, 0, 0);
	if (lie("usage_false")) {
		uint8_t b[34];

		memcpy(b, body, sizeof(b));
		memset(b + 10, 0xff, 16);
		pf__le_put(b + 26, (1ull << 63) + 5, 8);
		return __real_pf_conn_send(c, PF_MSG_EXITED, b, sizeof(b));
	}
	r = __real_pf_conn_send(c, PF_MSG_EXITED, body, n);
	if (lie("exited_twice"))
		r = __real_pf_conn_send(c, PF_MSG_EXITED, body, n);
	if (lie("reaped_unknown"))
		r = __real_pf_conn_send(c, PF_MSG_REAPED, "\xff\xff\0\0", 4);
	return r;
}

/* --- the door ------------------------------------------------------------------------------------ */

static void say_connected(uint32_t id)
{
	uint8_t b[4];

	pf__le_put(b, id, 4);
	raw_message(PF_MSG_CONNECTED, b, sizeof(b));
}

static void say_turned_away(uint32_t count)
{
	uint8_t b[4];

	pf__le_put(b, count, 4);
	raw_message(PF_MSG_TURNED_AWAY, b, sizeof(b));
}

/* As if somebody had connected. The host's answers go nowhere: there is no such place here. */
static void connect_door(struct pf_conn *c, uint32_t id)
{
	flush(c);
	pf_conn_open_small(c, pf_stream_up(id), PF_STREAM_OUT, PF_DOOR_CREDIT);
	pf_conn_open_small(c, pf_stream_down(id), PF_STREAM_IN, PF_DOOR_CREDIT);
	say_connected(id);
}

/* Of a connection that is open. */
static void misuse_connection(struct pf_conn *c)
{
	static const uint8_t much[4] = {0xff, 0xff, 0xff, 0xff};

	connect_door(c, 1);
	if (lie("door_connected_twice"))
		say_connected(1);
	if (lie("door_data_without_credit"))
		for (unsigned i = 0; i < 8; i++)
			raw_frame(PF_FRAME_DATA, 0, pf_stream_up(1), zeros, sizeof(zeros));
	if (lie("door_data_the_wrong_way"))
		raw_frame(PF_FRAME_DATA, 0, pf_stream_down(1), "x", 1);
	if (lie("door_eof_the_wrong_way"))
		raw_frame(PF_FRAME_EOF, 0, pf_stream_down(1), "", 0);
	if (lie("door_credit_too_much"))
		raw_frame(PF_FRAME_CREDIT, 0, pf_stream_down(1), much, 4);
	if (lie("door_stop_the_wrong_way"))
		raw_frame(PF_FRAME_STOP, 0, pf_stream_up(1), "", 0);
	if (lie("door_data_after_eof")) {
		raw_frame(PF_FRAME_EOF, 0, pf_stream_up(1), "", 0);
		raw_frame(PF_FRAME_DATA, 0, pf_stream_up(1), "x", 1);
	}
	if (lie("door_ends_at_once")) {
		raw_frame(PF_FRAME_EOF, 0, pf_stream_up(1), "", 0);
		raw_frame(PF_FRAME_STOP, 0, pf_stream_down(1), "", 0);
	}
	if (lie("door_talks_of_nothing"))
		raw_frame(PF_FRAME_DATA, 0, pf_stream_up(1), zeros, PF_DOOR_CREDIT / 2);
}

static void abuse_door(struct pf_conn *c)
{
	if (!lie_begins("door_"))
		return;
	flush(c);
	if (lie("door_connected_none"))
		say_connected(0);
	if (lie("door_connected_too_big"))
		say_connected(PF_DOOR_CONN_MAX + 1);
	if (lie("door_connected_cut"))
		raw_message(PF_MSG_CONNECTED, "\1\0\0", 3);
	if (lie("door_unopened_data"))
		raw_frame(PF_FRAME_DATA, 0, pf_stream_up(7), "x", 1);
	if (lie("door_turned_away_none"))
		say_turned_away(0);
	if (lie("door_turned_away_often"))
		for (unsigned i = 0; i < 1000; i++)
			say_turned_away(UINT32_MAX);
	if (lie("door_connected_for_ever"))
		for (uint32_t i = 1;; i++)
			say_connected(i);
	if (lie("door_more_than_there_are"))
		for (uint32_t i = 1; i <= PF_DOOR_MAX + 10; i++)
			connect_door(c, i);
	else
		misuse_connection(c);
}

static int send_started(struct pf_conn *c, const void *body, size_t n)
{
	if (lie("silent_after_start"))
		for_ever();
	abuse_door(c);
	if (lie("started_unknown"))
		say_started(c, 99, 0, 0);
	if (lie("started_none"))
		raw_message(PF_MSG_STARTED, zeros, 9);
	if (lie("started_failed")) {
		say_started(c, 1, ENOENT, PF_STEP_LOOKUP);
		return 0;
	}
	if (lie("started_odd_step"))
		raw_message(PF_MSG_STARTED, "\1\0\0\0\0\0\0\0\11", 9);
	if (lie("exited_at_once"))
		say_exited(c, 1, 0, 0);
	if (lie("output_for_ever"))
		if (fork() == 0)
			for (;;)
				raw_frame(PF_FRAME_DATA, 0, pf_stream_stdout(1), zeros, 1000);
	__real_pf_conn_send(c, PF_MSG_STARTED, body, n);
	if (lie("started_twice"))
		return __real_pf_conn_send(c, PF_MSG_STARTED, body, n);
	if (lie("dies_after_start"))
		flush(c), _exit(0);
	return 0;
}

int __wrap_pf_conn_send(struct pf_conn *c, uint16_t type, const void *body, size_t n)
{
	switch (type) {
	case PF_MSG_WELCOME:
		return send_welcome(c, body, n);
	case PF_MSG_READY:
		return send_ready(c, body, n);
	case PF_MSG_STARTED:
		return send_started(c, body, n);
	case PF_MSG_EXITED:
		return send_exited(c, body, n);
	}
	return __real_pf_conn_send(c, type, body, n);
}

int __real_pf_conn_eof(struct pf_conn *c, uint32_t stream);
int __wrap_pf_conn_eof(struct pf_conn *c, uint32_t stream);
int __wrap_pf_conn_eof(struct pf_conn *c, uint32_t stream)
{
	return lie("never_eof") ? 0 : __real_pf_conn_eof(c, stream);
}

/* --- what it leaves undone, and claims --------------------------------------------------------------- */

int __real_pf_filter_load(const struct sock_filter *insns, size_t n, struct pf_error *err);
int __wrap_pf_filter_load(const struct sock_filter *insns, size_t n, struct pf_error *err);
int __wrap_pf_filter_load(const struct sock_filter *insns, size_t n, struct pf_error *err)
{
	static int calls;

	calls++;
	if (lie("omits_seccomp") || (lie("omits_first_filter") && calls == 1) ||
	    (lie("omits_second_filter") && calls == 2))
		return 0;
	return __real_pf_filter_load(insns, n, err);
}

int __real_pf_caps_bound(uint64_t keep, struct pf_error *err);
int __wrap_pf_caps_bound(uint64_t keep, struct pf_error *err);
int __wrap_pf_caps_bound(uint64_t keep, struct pf_error *err)
{
	return lie("omits_bounding") ? 0 : __real_pf_caps_bound(keep, err);
}

int __real_pf_caps_ambient(uint64_t caps, struct pf_error *err);
int __wrap_pf_caps_ambient(uint64_t caps, struct pf_error *err);
int __wrap_pf_caps_ambient(uint64_t caps, struct pf_error *err)
{
	return lie("omits_caps") ? 0 : __real_pf_caps_ambient(caps, err);
}

int __real_prctl(int what, ...);
int __wrap_prctl(int what, ...);
int __wrap_prctl(int what, ...)
{
	unsigned long a[4];
	va_list list;
	int i;

	va_start(list, what);
	for (i = 0; i < 4; i++)
		a[i] = va_arg(list, unsigned long);
	va_end(list);
	if (what == PR_SET_NO_NEW_PRIVS && (lie("omits_nnp") || lie("omits_nnp_and_seccomp")))
		return 0;
	if (what == PR_SET_KEEPCAPS && lie("omits_caps"))
		a[0] = 1;
	return __real_prctl(what, a[0], a[1], a[2], a[3]);
}

int __real_setresuid(uid_t r, uid_t e, uid_t s);
int __wrap_setresuid(uid_t r, uid_t e, uid_t s);
int __wrap_setresuid(uid_t r, uid_t e, uid_t s)
{
	return lie("omits_uid") || lie("omits_identity")
		       ? 0
		       : __real_setresuid(r, e, lie("omits_saved_uid") ? (uid_t)-1 : s);
}

int __real_setresgid(gid_t r, gid_t e, gid_t s);
int __wrap_setresgid(gid_t r, gid_t e, gid_t s);
int __wrap_setresgid(gid_t r, gid_t e, gid_t s)
{
	return lie("omits_gid") || lie("omits_identity") ? 0 : __real_setresgid(r, e, s);
}

int __real_unshare(int flags);
int __wrap_unshare(int flags);
int __wrap_unshare(int flags)
{
	return lie("omits_cgroup_namespace") ? 0 : __real_unshare(flags);
}

/* --- files ---------------------------------------------------------------------------------------------- */

int __real_in__fileop(uint8_t op, const char *path);
int __wrap_in__fileop(uint8_t op, const char *path);
int __wrap_in__fileop(uint8_t op, const char *path)
{
	unsigned i;

	if (op == PF_OP_LIST && lie("list_parent"))
		return pf_write_full(1, "\4..\0\10a\0", 7) < 0;
	if (op == PF_OP_LIST && lie("list_slash"))
		return pf_write_full(1, "\10../../etc/passwd\0", 19) < 0;
	if (op == PF_OP_LIST && lie("list_empty_name"))
		return pf_write_full(1, "\10\0\10a\0", 5) < 0;
	if (op == PF_OP_LIST && lie("list_unterminated"))
		return pf_write_full(1, "\10abc", 4) < 0;
	if (op == PF_OP_STAT && lie("stat_short"))
		return pf_write_full(1, "1234", 4) < 0;
	if (op == PF_OP_STAT && lie("stat_long"))
		return pf_write_full(1, zeros, 29) < 0;
	if (op == PF_OP_READ && lie("read_for_ever"))
		for (i = 0; i < 100000; i++)
			if (pf_write_full(1, zeros, sizeof(zeros)) < 0)
				break;
	if (lie("file_exit_code"))
		_exit(250);
	return __real_in__fileop(op, path);
}
