/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux/dbus: addresses, messages (good ones, and every way of cutting and bending them), and whole
 * conversations with a bus of ours on a socket that answers, refuses, babbles, hangs up or says nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "linux/dbus_scope.h"

/* --- messages by hand, little-endian --- */

struct msg {
	uint8_t p[1024];
	size_t n;
};

static void add(struct msg *m, const void *p, size_t n)
{
	memcpy(m->p + m->n, p, n);
	m->n += n;
}

static void pad(struct msg *m, size_t to)
{
	while (m->n % to)
		m->p[m->n++] = 0;
}

static void put_u32(struct msg *m, size_t at, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		m->p[at + (size_t)i] = (uint8_t)(v >> 8 * i);
}

static void add_u32(struct msg *m, uint32_t v)
{
	pad(m, 4);
	put_u32(m, m->n, v);
	m->n += 4;
}

static void add_string(struct msg *m, const char *s)
{
	add_u32(m, (uint32_t)strlen(s));
	add(m, s, strlen(s) + 1);
}

static void add_head(struct msg *m, uint8_t code, const char *type)
{
	uint8_t n = (uint8_t)strlen(type);

	pad(m, 8);
	add(m, &code, 1);
	add(m, &n, 1);
	add(m, type, n + 1u);
}

/* An answer to `reply` with the fields that a real bus sends, and a string as its body. */
static struct msg answer(uint8_t type, uint32_t reply, const char *error, const char *text)
{
	struct msg m = {.p = {'l', type, 1, 1}, .n = 4};
	size_t body;

	add_u32(&m, 0);
	add_u32(&m, 77);
	add_u32(&m, 0);
	if (reply) {
		add_head(&m, 5, "u");
		add_u32(&m, reply);
	}
	add_head(&m, 6, "s");
	add_string(&m, ":1.4");
	if (error) {
		add_head(&m, 4, "s");
		add_string(&m, error);
	}
	add_head(&m, 8, "g");
	add(&m, "\001s", 3);
	add_head(&m, 7, "s");
	add_string(&m, "org.freedesktop.DBus");
	put_u32(&m, 12, (uint32_t)m.n - 16);
	pad(&m, 8);
	body = m.n;
	add_string(&m, text);
	put_u32(&m, 4, (uint32_t)(m.n - body));
	return m;
}

static int parse(const struct msg *m, struct pf__dbus_msg *out)
{
	/* A block of exactly this size, so that the sanitizer sees one byte too far. */
	uint8_t *exact = malloc(m->n ? m->n : 1);
	int r;

	memcpy(exact, m->p, m->n);
	r = pf__dbus_parse(exact, m->n, out);
	free(exact);
	return r;
}

static void test_parse(void **state)
{
	struct msg m = answer(PF__DBUS_RETURN, 2, NULL, "/org/freedesktop/systemd1/job/7");
	struct pf__dbus_msg out;

	(void)state;
	assert_int_equal(pf__dbus_length(m.p, 15), 0);
	assert_int_equal(pf__dbus_length(m.p, 16), m.n);
	assert_int_equal(pf__dbus_parse(m.p, m.n, &out), 0);
	assert_int_equal(out.type, PF__DBUS_RETURN);
	assert_int_equal(out.serial, 77);
	assert_int_equal(out.reply_serial, 2);
	assert_string_equal(out.signature, "s");
	assert_string_equal(out.text, "/org/freedesktop/systemd1/job/7");
	m = answer(PF__DBUS_ERROR, 2, "org.x.Failed", "no");
	assert_int_equal(pf__dbus_parse(m.p, m.n, &out), 0);
	assert_string_equal(out.error, "org.x.Failed");
}

/* Every prefix, and every byte set to every of some telling values: parsed or refused, nothing else. */
static void test_bent(void **state)
{
	static const uint8_t values[] = {0, 1, 4, 0x7f, 0x80, 0xff, 's', 'u', 'g'};
	struct msg m = answer(PF__DBUS_ERROR, 2, "org.x.Failed", "text of an error");
	struct pf__dbus_msg out;

	(void)state;
	for (size_t n = 0; n < m.n; n++) {
		struct msg cut = m;

		cut.n = n;
		assert_int_equal(parse(&cut, &out), -EPROTO);
	}
	for (size_t i = 0; i < m.n; i++) {
		for (unsigned k = 0; k < sizeof(values); k++) {
			struct msg bent = m;
			int r;

			bent.p[i] = values[k];
			r = parse(&bent, &out);
			assert_true(r == 0 || r == -EPROTO);
		}
	}
}

static void test_refused(void **state)
{
	struct msg m = answer(PF__DBUS_RETURN, 0, NULL, "x"), huge = answer(PF__DBUS_RETURN, 2, NULL, "x");
	struct msg padded = answer(PF__DBUS_RETURN, 2, NULL, "x"), version = padded;
	struct msg nameless = answer(PF__DBUS_ERROR, 2, NULL, "x");
	struct pf__dbus_msg out;

	(void)state;
	assert_int_equal(parse(&m, &out), -EPROTO); /* answers nothing */
	assert_int_equal(parse(&nameless, &out), -EPROTO);
	version.p[3] = 2;
	assert_int_equal(pf__dbus_length(version.p, 16), -EPROTO);
	put_u32(&huge, 4, 0xffffffff);
	assert_int_equal(pf__dbus_length(huge.p, 16), -EPROTO);
	put_u32(&huge, 4, 0);
	put_u32(&huge, 12, 0xffffffff);
	assert_int_equal(pf__dbus_length(huge.p, 16), -EPROTO);
	padded.p[28] = 0; /* the code of a field: 0 is none */
	padded.p[24] = 0;
	assert_int_equal(parse(&padded, &out), -EPROTO);
}

static void expect_address(const char *address, int n, const char *want)
{
	char out[108];

	assert_int_equal(pf__dbus_address(address, out, sizeof(out)), n);
	if (n > 0)
		assert_memory_equal(out, want, (size_t)n);
}

static void test_addresses(void **state)
{
	char longest[256];

	(void)state;
	expect_address("unix:path=/run/user/1000/bus", 18, "/run/user/1000/bus");
	expect_address("unix:guid=1,path=/a%20b,x=y", 4, "/a b");
	expect_address("tcp:host=x;unix:abstract=/tmp/d,guid=1", 7, "\0/tmp/d");
	expect_address("unix:tmpdir=/x;unix:path=/y", 2, "/y");
	expect_address("", -EINVAL, NULL);
	expect_address("unix:", -EINVAL, NULL);
	expect_address("unix:path=", -EINVAL, NULL);
	expect_address("unix:path=/a%2", -EINVAL, NULL);
	expect_address("unix:path=/a%zz", -EINVAL, NULL);
	expect_address("unix:path=/a%00b", -EINVAL, NULL);
	expect_address("unixexec:path=/bin/x", -EINVAL, NULL);
	snprintf(longest, sizeof(longest), "unix:path=/%0106d", 1);
	expect_address(longest, 107, longest + 10);
	snprintf(longest, sizeof(longest), "unix:path=/%0107d", 1);
	expect_address(longest, -EINVAL, NULL);
}

/* --- a bus of ours --- */

enum manner { ANSWERS, REFUSES, REFUSES_HELLO, BABBLES, HANGS_UP, SILENT, DENIES, ENDLESS_LINE, GARBAGE };

static int listener = -1;

static void send_msg(int fd, struct msg m)
{
	if (send(fd, m.p, m.n, MSG_NOSIGNAL) < 0)
		_exit(3);
}

/* What the client must have written: a scope of this name with its own pid, delegated. */
static bool asked_rightly(const char *p, size_t n, pid_t client)
{
	static const char *const words[] = {"StartTransientUnit", "pinfold-x.scope", "Delegate", "PIDs",
					    "ssa(sv)a(sa(sv))"};
	uint32_t pid = (uint32_t)client;

	for (unsigned i = 0; i < PF_ARRAY_SIZE(words); i++) {
		if (!memmem(p, n, words[i], strlen(words[i]) + 1))
			return false;
	}
	return memmem(p, n, &pid, sizeof(pid)) != NULL;
}

/* Read until the two calls are in: Hello, and StartTransientUnit to its declared end. */
static void read_calls(int fd, pid_t client)
{
	char text[4096];
	size_t n = 0, at = 0;

	for (int calls = 0; calls < 2;) {
		ssize_t want = n - at < 16 ? 0 : pf__dbus_length((uint8_t *)text + at, n - at), r;

		if (want < 0)
			_exit(4);
		if (want > 0 && n - at >= (size_t)want) {
			struct pf__dbus_msg m;

			if (pf__dbus_parse((uint8_t *)text + at, (size_t)want, &m) < 0 ||
			    m.type != PF__DBUS_CALL)
				_exit(5);
			at += (size_t)want;
			calls++;
			continue;
		}
		r = recv(fd, text + n, sizeof(text) - n, 0);
		if (r <= 0)
			_exit(6);
		n += (size_t)r;
	}
	if (at != n || !asked_rightly(text, n, client))
		_exit(7);
}

static void expect_line(int fd, const char *want)
{
	char got[128];
	size_t n = 0;

	while (n + 1 < sizeof(got) && recv(fd, got + n, 1, 0) == 1 && got[n] != '\n')
		n++;
	got[n] = '\0';
	if (strcmp(got + (got[0] == '\0'), want) != 0)
		_exit(8);
}

static void talk(int fd, enum manner how, pid_t client)
{
	char uid[16], line[64] = "AUTH EXTERNAL ", many[600];

	snprintf(uid, sizeof(uid), "%u", (unsigned)geteuid());
	for (char *p = uid; *p; p++)
		snprintf(line + strlen(line), 8, "%02x", *p);
	strcat(line, "\r");
	expect_line(fd, line);
	memset(many, 'x', sizeof(many));
	if (how == ENDLESS_LINE)
		send(fd, many, sizeof(many), MSG_NOSIGNAL);
	if (how == DENIES)
		send(fd, "REJECTED EXTERNAL\r\n", 19, MSG_NOSIGNAL);
	if (how == ENDLESS_LINE || how == DENIES || how == SILENT) {
		recv(fd, many, 1, 0); /* until the client gives up */
		return;
	}
	send(fd, "OK 0123\r\n", 9, MSG_NOSIGNAL);
	expect_line(fd, "BEGIN\r");
	if (how == HANGS_UP)
		return;
	read_calls(fd, client);
	if (how == GARBAGE)
		send(fd, many, sizeof(many), MSG_NOSIGNAL);
	if (how == REFUSES_HELLO)
		send_msg(fd, answer(PF__DBUS_ERROR, 1, "org.freedesktop.DBus.Error.LimitsExceeded", "full"));
	send_msg(fd, answer(PF__DBUS_RETURN, 1, NULL, ":1.4"));
	for (int i = 0; i < (how == BABBLES ? 200 : 1); i++)
		send_msg(fd, answer(PF__DBUS_SIGNAL, 0, NULL, ":1.4"));
	if (how == ANSWERS)
		send_msg(fd, answer(PF__DBUS_RETURN, 2, NULL, "/org/freedesktop/systemd1/job/7"));
	if (how == REFUSES)
		send_msg(fd, answer(PF__DBUS_ERROR, 2, "org.x.E", "no \033[31m such\n thing"));
	recv(fd, many, 1, 0);
}

/* Serve one client in a child; returns what the client got, its message in err. */
static int converse(enum manner how, struct pf_error *err)
{
	pid_t client = getpid(), bus = fork();
	int r, status;

	assert_true(bus >= 0);
	if (bus == 0) {
		int fd = accept(listener, NULL, NULL);

		alarm(20);
		talk(fd, how, client);
		_exit(0);
	}
	memset(err, 0, sizeof(*err));
	r = pf__dbus_scope("pinfold-x.scope", how == SILENT ? 50 : 5000, err);
	assert_int_equal(waitpid(bus, &status, 0), bus);
	/* 3: we had left while it still talked. */
	if (r < 0 && WIFEXITED(status) && WEXITSTATUS(status) == 3)
		status = 0;
	assert_int_equal(status, 0);
	return r;
}

static void test_conversations(void **state)
{
	struct pf_error err;

	(void)state;
	assert_int_equal(converse(ANSWERS, &err), 0);
	assert_int_equal(converse(REFUSES, &err), -EACCES);
	assert_string_equal(err.msg, "systemd refused: no \\x1b[31m such\\x0a thing");
	assert_int_equal(converse(REFUSES_HELLO, &err), -EACCES);
	assert_string_equal(err.msg, "systemd refused: full");
	assert_int_equal(converse(BABBLES, &err), -EPROTO);
	assert_true(converse(HANGS_UP, &err) < 0);
	assert_int_equal(converse(SILENT, &err), -ETIMEDOUT);
	assert_int_equal(converse(DENIES, &err), -EACCES);
	assert_int_equal(converse(ENDLESS_LINE, &err), -EPROTO);
	assert_int_equal(converse(GARBAGE, &err), -EPROTO);
}

static void test_no_bus(void **state)
{
	struct pf_error err = {0};
	char *keep = strdup(getenv("DBUS_SESSION_BUS_ADDRESS"));

	(void)state;
	unsetenv("DBUS_SESSION_BUS_ADDRESS");
	assert_int_equal(pf__dbus_scope("pinfold-x.scope", 100, &err), -ENOENT);
	setenv("XDG_RUNTIME_DIR", "/no/such/place", 1);
	assert_int_equal(pf__dbus_scope("pinfold-x.scope", 100, &err), -ENOENT);
	assert_false(pf__dbus_reachable());
	setenv("DBUS_SESSION_BUS_ADDRESS", keep, 1);
	assert_true(pf__dbus_reachable());
	free(keep);
}

/* An abstract socket: nothing to remove. */
static int listen_somewhere(void **state)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	char address[160];
	int n;

	(void)state;
	n = snprintf(sa.sun_path + 1, sizeof(sa.sun_path) - 1, "pinfold-test-bus-%d", (int)getpid());
	snprintf(address, sizeof(address), "unix:abstract=%s,guid=00", sa.sun_path + 1);
	setenv("DBUS_SESSION_BUS_ADDRESS", address, 1);
	unsetenv("XDG_RUNTIME_DIR");
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&sa,
				 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) < 0)
		return -1;
	return listen(listener, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),	      cmocka_unit_test(test_bent),
		cmocka_unit_test(test_refused),	      cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_conversations), cmocka_unit_test(test_no_bus),
	};

	return cmocka_run_group_tests_name("dbus", tests, listen_somewhere, NULL);
}
