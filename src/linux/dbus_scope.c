/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conversation with the user bus: SASL EXTERNAL, Hello, StartTransientUnit, one answer.
 * Everything is sent at once (the bus reads in order), every wait counts against one
 * deadline, and no more than a bounded number of bytes is read.
 */
#include "linux/dbus_scope.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

#define SERIAL_HELLO  1
#define SERIAL_START  2
#define LINE_MAX_SASL 512
#define MESSAGES_MAX  64 /* before ours a bus sends two */

/* --- writing a message --- */

struct writer {
	uint8_t p[1024];
	size_t n;
	bool full;
};

static void put(struct writer *w, const void *p, size_t n)
{
	if (n > sizeof(w->p) - w->n) {
		w->full = true;
		return;
	}
	memcpy(w->p + w->n, p, n);
	w->n += n;
}

static void pad(struct writer *w, size_t to)
{
	while (w->n % to && !w->full)
		put(w, "", 1);
}

static void put_u32(struct writer *w, uint32_t v)
{
	pad(w, 4);
	put(w, &v, sizeof(v)); /* native order: the header's first byte says which */
}

static void put_string(struct writer *w, const char *s)
{
	put_u32(w, (uint32_t)strlen(s));
	put(w, s, strlen(s) + 1);
}

static void put_signature(struct writer *w, const char *s)
{
	uint8_t n = (uint8_t)strlen(s);

	put(w, &n, 1);
	put(w, s, (size_t)n + 1);
}

/* Lengths are known once what they count is written. */
static void patch_u32(struct writer *w, size_t at, size_t v)
{
	uint32_t v32 = (uint32_t)v;

	if (!w->full)
		memcpy(w->p + at, &v32, sizeof(v32));
}

static void put_field(struct writer *w, uint8_t code, const char *type, const char *value)
{
	pad(w, 8);
	put(w, &code, 1);
	put_signature(w, type);
	if (*type == 'g')
		put_signature(w, value);
	else
		put_string(w, value);
}

static void begin_call(struct writer *w, uint32_t serial, const char *dest, const char *path,
		       const char *interface, const char *member, const char *signature)
{
	const uint16_t one = 1;
	uint8_t fixed[4] = {*(const uint8_t *)&one ? 'l' : 'B', PF__DBUS_CALL, 0, 1};

	memset(w, 0, sizeof(*w));
	put(w, fixed, sizeof(fixed));
	put_u32(w, 0); /* body, patched by end_call() */
	put_u32(w, serial);
	put_u32(w, 0); /* fields */
	put_field(w, 1, "o", path);
	put_field(w, 2, "s", interface);
	put_field(w, 3, "s", member);
	put_field(w, 6, "s", dest);
	if (signature)
		put_field(w, 8, "g", signature);
	patch_u32(w, 12, w->n - 16);
	pad(w, 8);
}

static void end_call(struct writer *w, size_t body)
{
	patch_u32(w, 4, w->n - body);
}

static void put_property(struct writer *w, const char *name, const char *type)
{
	pad(w, 8);
	put_string(w, name);
	put_signature(w, type);
}

/* (name, mode, properties a(sv), auxiliary units a(sa(sv)) of which there are none) */
static void write_start(struct writer *w, const char *unit)
{
	size_t body, array;

	begin_call(w, SERIAL_START, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
		   "org.freedesktop.systemd1.Manager", "StartTransientUnit", "ssa(sv)a(sa(sv))");
	body = w->n;
	put_string(w, unit);
	put_string(w, "fail");
	put_u32(w, 0);
	array = w->n - 4;
	pad(w, 8); /* not counted in the array's length */
	put_property(w, "Description", "s");
	put_string(w, "pinfold sandbox");
	put_property(w, "PIDs", "au");
	put_u32(w, 4);
	put_u32(w, (uint32_t)getpid());
	put_property(w, "Delegate", "b");
	put_u32(w, 1);
	put_property(w, "CollectMode", "s");
	put_string(w, "inactive-or-failed");
	patch_u32(w, array, w->n - ((array + 4 + 7) & ~(size_t)7));
	put_u32(w, 0);
	pad(w, 8);
	end_call(w, body);
}

static void write_hello(struct writer *w)
{
	begin_call(w, SERIAL_HELLO, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
		   "Hello", NULL);
}

/* --- the socket --- */

static int address_of_bus(struct sockaddr_un *sa, socklen_t *len)
{
	const char *address = getenv("DBUS_SESSION_BUS_ADDRESS"), *run = getenv("XDG_RUNTIME_DIR");
	int n = -EINVAL;

	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	if (address && *address)
		n = pf__dbus_address(address, sa->sun_path, sizeof(sa->sun_path));
	if (n < 0 && run && *run == '/') {
		n = snprintf(sa->sun_path, sizeof(sa->sun_path), "%s/bus", run);
		if ((size_t)n >= sizeof(sa->sun_path))
			n = -EINVAL;
	}
	if (n < 0)
		return -ENOENT;
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n + (sa->sun_path[0] != '\0'));
	return 0;
}

/* The bus must be the user's own (or root's): the address is only a name in the environment. */
static int connect_bus(void)
{
	PF_AUTO_CLOSE int fd = -1;
	struct sockaddr_un sa;
	struct ucred peer;
	socklen_t len, n = sizeof(peer);
	int r = address_of_bus(&sa, &len);

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* To a Unix socket connect is immediate, or EAGAIN for a full backlog. */
	if (connect(fd, (struct sockaddr *)&sa, len) < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
		return -errno;
	if (peer.uid != geteuid() && peer.uid != 0)
		return -EPERM;
	return pf_take_fd(&fd);
}

bool pf__dbus_reachable(void)
{
	PF_AUTO_CLOSE int fd = connect_bus();

	return fd >= 0;
}

static int wait_fd(int fd, short events, uint64_t deadline)
{
	uint64_t now = pf_now_ns();
	struct pollfd p = {.fd = fd, .events = events};

	if (now >= deadline)
		return -ETIMEDOUT;
	if (poll(&p, 1, (int)((deadline - now) / 1000000) + 1) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

static int send_all(int fd, const void *p, size_t n, uint64_t deadline)
{
	while (n) {
		ssize_t r = send(fd, p, n, MSG_NOSIGNAL);

		if (r >= 0) {
			p = (const char *)p + r;
			n -= (size_t)r;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		r = wait_fd(fd, POLLOUT, deadline);
		if (r < 0)
			return (int)r;
	}
	return 0;
}

static int receive_all(int fd, void *p, size_t n, uint64_t deadline)
{
	while (n) {
		ssize_t r = recv(fd, p, n, 0);

		if (r == 0)
			return -EPROTO; /* hung up */
		if (r > 0) {
			p = (char *)p + r;
			n -= (size_t)r;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		r = wait_fd(fd, POLLIN, deadline);
		if (r < 0)
			return (int)r;
	}
	return 0;
}

/* One line of the SASL exchange, read by bytes so that nothing of what follows is taken. */
static int receive_line(int fd, char out[LINE_MAX_SASL], uint64_t deadline)
{
	for (size_t n = 0; n + 1 < LINE_MAX_SASL; n++) {
		int r = receive_all(fd, out + n, 1, deadline);

		if (r < 0)
			return r;
		if (out[n] == '\n') {
			out[n] = '\0';
			return 0;
		}
	}
	return -EPROTO;
}

/* "AUTH EXTERNAL " and the uid's decimal digits in hexadecimal; the socket's credentials prove it. */
static int authenticate(int fd, uint64_t deadline)
{
	char uid[16], line[LINE_MAX_SASL];
	size_t n = 1;
	int r;

	snprintf(uid, sizeof(uid), "%u", (unsigned)geteuid());
	line[0] = '\0'; /* the byte that carries the credentials */
	n += (size_t)snprintf(line + 1, sizeof(line) - 1, "AUTH EXTERNAL ");
	for (const char *p = uid; *p; p++)
		n += (size_t)snprintf(line + n, sizeof(line) - n, "%02x", (unsigned)*p);
	n += (size_t)snprintf(line + n, sizeof(line) - n, "\r\n");
	r = send_all(fd, line, n, deadline);
	if (r == 0)
		r = receive_line(fd, line, deadline);
	if (r == 0 && !pf_has_prefix(line, "OK "))
		r = -EACCES;
	return r < 0 ? r : send_all(fd, "BEGIN\r\n", 7, deadline);
}

static int receive_message(int fd, uint8_t *buf, struct pf__dbus_msg *m, uint64_t deadline)
{
	ssize_t n;
	int r = receive_all(fd, buf, 16, deadline);

	if (r < 0)
		return r;
	n = pf__dbus_length(buf, 16);
	if (n < 0)
		return (int)n;
	r = receive_all(fd, buf + 16, (size_t)n - 16, deadline);
	return r < 0 ? r : pf__dbus_parse(buf, (size_t)n, m);
}

static int await_answer(int fd, uint64_t deadline, struct pf_error *err)
{
	PF_AUTO_FREE uint8_t *buf = malloc(PF__DBUS_MESSAGE_MAX);
	struct pf__dbus_msg m;
	char text[256];

	if (!buf)
		return pf_fail(err, -ENOMEM, "no memory for an answer of the user bus");
	for (int i = 0; i < MESSAGES_MAX; i++) {
		int r = receive_message(fd, buf, &m, deadline);

		if (r < 0)
			return pf_fail(err, r, "no good answer from the user bus: %s", strerror(-r));
		if (m.type == PF__DBUS_ERROR) { /* to Hello, too: then nothing else comes */
			pf_printable(m.text[0] ? m.text : m.error, strlen(m.text[0] ? m.text : m.error), text,
				     sizeof(text));
			return pf_fail(err, -EACCES, "systemd refused: %s", text);
		}
		if (m.type == PF__DBUS_RETURN && m.reply_serial == SERIAL_START)
			return 0;
	}
	return pf_fail(err, -EPROTO, "the user bus sends too much");
}

int pf__dbus_scope(const char *unit, int timeout_ms, struct pf_error *err)
{
	uint64_t deadline = pf_now_ns() + (uint64_t)timeout_ms * 1000000;
	PF_AUTO_CLOSE int fd = connect_bus();
	struct writer w;
	int r;

	if (fd < 0)
		return pf_fail(err, fd,
			       "no user bus at $DBUS_SESSION_BUS_ADDRESS or $XDG_RUNTIME_DIR/bus: %s",
			       strerror(-fd));
	r = authenticate(fd, deadline);
	if (r < 0)
		return pf_fail(err, r, "the user bus does not let us in: %s", strerror(-r));
	write_hello(&w);
	r = send_all(fd, w.p, w.n, deadline);
	if (r == 0) {
		write_start(&w, unit);
		r = w.full ? -E2BIG : send_all(fd, w.p, w.n, deadline);
	}
	if (r < 0)
		return pf_fail(err, r, "cannot write to the user bus: %s", strerror(-r));
	return await_answer(fd, deadline, err);
}
