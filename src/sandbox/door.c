/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of the inside, and the proxy that they are handed to; see door.h. */
#include "sandbox/door_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define CHUNK	    65536
#define PENDING_MAX (1u << 20) /* bytes for init beyond which no more is read from the proxy */
#define EVENTS	    64
#define TOO_MANY    "too many connections are open at once; close some"

/* --- epoll ---------------------------------------------------------------------------------- */

static void watch(struct pf_door *d, int fd, uint64_t who, uint32_t *now, bool *registered, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.u64 = who};

	if (*registered && *now == events)
		return;
	epoll_ctl(d->epoll, *registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e);
	*now = events;
	*registered = true;
}

static void unwatch(struct pf_door *d, struct pf__door_conn *c)
{
	if (c->registered)
		epoll_ctl(d->epoll, EPOLL_CTL_DEL, c->fd, NULL);
	c->registered = false;
	c->events = 0;
}

/* A connection that waits for nothing is looked at for its end alone once the proxy has closed its side (then
 * that end is acted upon), and not at all otherwise: a hang-up would be told again and again. */
static void watch_conn(struct pf_door *d, struct pf__door_conn *c)
{
	struct pf_conn *box = d->s->conn;
	uint32_t events = c->up.len ? EPOLLOUT : 0;

	if (!c->down_done && pf_conn_pending(box) < PENDING_MAX && pf_conn_room(box, pf_stream_down(c->id)))
		events |= EPOLLIN;
	if (events || c->down_done)
		watch(d, c->fd, ON_CONN + (uint64_t)(c - d->conn), &c->events, &c->registered, events);
	else
		unwatch(d, c);
}

static void watch_all(struct pf_door *d)
{
	bool always = true;

	watch(d, pf_conn_fd(d->s->conn), ON_BOX, &d->box_events, &always,
	      EPOLLIN | (pf_conn_wants_write(d->s->conn) ? EPOLLOUT : 0));
	if (d->running)
		watch(d, d->proxy.control, ON_CONTROL, &d->control_events, &always,
		      EPOLLIN | (d->waiting ? EPOLLOUT : 0));
	for (unsigned i = 0; i < PF_DOOR_MAX; i++)
		if (d->conn[i].fd >= 0)
			watch_conn(d, &d->conn[i]);
}

int pf__door_fd(const struct pf_sandbox *s)
{
	if (!s->door)
		return -1;
	watch_all(s->door);
	return s->door->epoll;
}

/* --- connections ----------------------------------------------------------------------------- */

static struct pf__door_conn *find(const struct pf_sandbox *s, uint32_t id)
{
	for (unsigned i = 0; s->door && i < PF_DOOR_MAX; i++)
		if (s->door->conn[i].fd >= 0 && s->door->conn[i].id == id)
			return &s->door->conn[i];
	return NULL;
}

static void forget(struct pf_door *d, struct pf__door_conn *c)
{
	unwatch(d, c);
	if (c->theirs >= 0) {
		close(c->theirs);
		d->waiting--;
	}
	close(c->fd);
	pf_buf_free(&c->up);
	*c = (struct pf__door_conn){.fd = -1, .theirs = -1};
}

/* Both ways, now: what is on its way from init is dropped when it comes. */
static void abandon(struct pf_door *d, struct pf__door_conn *c)
{
	struct pf_conn *box = d->s->conn;

	if (!c->up_eof)
		pf_conn_stop(box, pf_stream_up(c->id));
	pf_conn_close(box, pf_stream_up(c->id));
	if (!c->down_done)
		pf_conn_eof(box, pf_stream_down(c->id));
	forget(d, c);
}

void pf__door_abandon_all(struct pf_door *d)
{
	for (unsigned i = 0; i < PF_DOOR_MAX; i++)
		if (d->conn[i].fd >= 0)
			abandon(d, &d->conn[i]);
}

static void end_if_done(struct pf_door *d, struct pf__door_conn *c)
{
	if (!c->up_done || !c->down_done)
		return;
	pf_conn_close(d->s->conn, pf_stream_up(c->id));
	forget(d, c);
}

/* Towards the proxy. */
static void flush_up(struct pf_door *d, struct pf__door_conn *c)
{
	while (c->up.len) {
		ssize_t n = send(c->fd, c->up.data, c->up.len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) { /* the proxy wants no more of it; what it answered is still to be read */
			pf_conn_stop(d->s->conn, pf_stream_up(c->id));
			pf_conn_close(d->s->conn, pf_stream_up(c->id));
			pf_buf_free(&c->up);
			c->up_eof = c->up_done = true;
			break;
		}
		pf_buf_consume(&c->up, (size_t)n);
		pf_conn_grant(d->s->conn, pf_stream_up(c->id), (size_t)n);
	}
	if (c->up_eof && !c->up_done) {
		shutdown(c->fd, SHUT_WR);
		c->up_done = true;
	}
	end_if_done(d, c);
}

/* Towards init. */
static void read_down(struct pf_door *d, struct pf__door_conn *c)
{
	static char bytes[CHUNK];
	struct pf_conn *box = d->s->conn;
	size_t room = pf_conn_room(box, pf_stream_down(c->id));
	ssize_t n;

	if (c->down_done || room == 0)
		return;
	n = recv(c->fd, bytes, room < CHUNK ? room : CHUNK, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && pf_conn_write(box, pf_stream_down(c->id), bytes, (size_t)n) == 0)
		return;
	pf_conn_eof(box, pf_stream_down(c->id));
	c->down_done = true;
	end_if_done(d, c);
}

static struct pf_door *make(struct pf_sandbox *s, struct pf_error *err)
{
	struct pf_door *d = calloc(1, sizeof(*d));
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = ON_BOX};

	if (!d) {
		pf_fail(err, -ENOMEM, "out of memory");
		return NULL;
	}
	d->s = s;
	d->proxy = (struct pf_egress)PF_EGRESS_INIT;
	d->box_events = EPOLLIN;
	for (unsigned i = 0; i < PF_DOOR_MAX; i++)
		d->conn[i].fd = d->conn[i].theirs = -1;
	d->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (d->epoll < 0 || epoll_ctl(d->epoll, EPOLL_CTL_ADD, pf_conn_fd(s->conn), &e) < 0) {
		pf_fail_errno(err, "cannot watch the sandbox's connections");
		if (d->epoll >= 0)
			close(d->epoll);
		free(d);
		return NULL;
	}
	return d;
}

/* --- what init says ----------------------------------------------------------------------------- */

static void refuse(struct pf_sandbox *s, uint32_t id)
{
	pf_conn_stop(s->conn, pf_stream_up(id));
	pf_conn_close(s->conn, pf_stream_up(id));
	pf_conn_eof(s->conn, pf_stream_down(id));
}

static void take(struct pf_door *d, uint32_t id)
{
	struct pf__door_conn *c = NULL;
	int pair[2];

	for (unsigned i = 0; i < PF_DOOR_MAX && !c; i++)
		if (d->conn[i].fd < 0)
			c = &d->conn[i];
	if (!c || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		refuse(d->s, id);
		pf__door_deny(d->s, "network.connections", TOO_MANY, 1);
		return;
	}
	*c = (struct pf__door_conn){.id = id, .fd = pair[0], .theirs = pair[1], .number = ++d->last};
	c->up.limit = PF_DOOR_CREDIT;
	d->waiting++;
	pf__door_pass(d, c);
}

int pf__door_connected(struct pf_sandbox *s, const uint8_t *body, size_t n, struct pf_error *err)
{
	struct pf_msg_connected m;
	void *mem = NULL;
	int r = pf_msg_connected_get(body, n, &m, &mem, err);

	free(mem);
	if (r < 0)
		return r;
	if (!s->box->receipt.door.port)
		return pf_fail(err, -EPROTO, "init forwards connections and has no door");
	if ((r = pf_conn_open_small(s->conn, pf_stream_up(m.conn), PF_STREAM_IN, PF_DOOR_CREDIT)) < 0 ||
	    (r = pf_conn_open_small(s->conn, pf_stream_down(m.conn), PF_STREAM_OUT, PF_DOOR_CREDIT)) < 0)
		return pf_fail(err, -EPROTO, "init forwards connection %u, which cannot be (%s)", m.conn,
			       strerror(-r));
	if (!s->door && !(s->door = make(s, err)))
		return err->code;
	s->door->unsettled = true;
	if (s->door->dead)
		pf__door_deny(s, "network.proxy", s->box->receipt.door.why, 1);
	else if (!s->door->running)
		pf__door_start(s->door);
	if (!s->door->running)
		refuse(s, m.conn);
	else
		take(s->door, m.conn);
	return 0;
}

int pf__door_turned_away(struct pf_sandbox *s, const uint8_t *body, size_t n, struct pf_error *err)
{
	struct pf_msg_turned_away m;
	void *mem = NULL;
	int r = pf_msg_turned_away_get(body, n, &m, &mem, err);

	free(mem);
	if (r == 0)
		pf__door_deny(s, "network.connections", TOO_MANY, m.count);
	return r;
}

int pf__door_data(struct pf_sandbox *s, uint32_t stream, const uint8_t *p, size_t n, struct pf_error *err)
{
	struct pf__door_conn *c = stream == pf_stream_up(stream / 8) ? find(s, stream / 8) : NULL;

	if (!c)
		return 0;
	if (pf_buf_add(&c->up, p, n) < 0)
		return pf_fail(err, -EPROTO, "init sends more on connection %u than was granted", c->id);
	flush_up(s->door, c);
	return 0;
}

void pf__door_eof(struct pf_sandbox *s, uint32_t stream)
{
	struct pf__door_conn *c = stream == pf_stream_up(stream / 8) ? find(s, stream / 8) : NULL;

	if (!c)
		return;
	c->up_eof = true;
	flush_up(s->door, c);
}

/* Nobody inside reads it any more. */
void pf__door_stopped(struct pf_sandbox *s, uint32_t stream)
{
	struct pf__door_conn *c = stream == pf_stream_down(stream / 8) ? find(s, stream / 8) : NULL;

	if (c && !c->down_done) {
		shutdown(c->fd, SHUT_RD);
		pf_conn_eof(s->conn, stream);
		c->down_done = true;
		end_if_done(s->door, c);
	} else if (pf_conn_is_open(s->conn, stream))
		pf_conn_eof(s->conn, stream);
}

/* --- events --------------------------------------------------------------------------------------- */

static void serve_conn(struct pf_door *d, struct pf__door_conn *c, uint32_t events)
{
	int fd = c->fd;

	if (fd < 0)
		return; /* ended by another event of this turn */
	if (events & EPOLLOUT)
		flush_up(d, c);
	if (c->fd == fd && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !c->down_done)
		read_down(d, c);
	else if (c->fd == fd && (events & (EPOLLHUP | EPOLLERR)))
		abandon(d, c); /* the proxy has closed both ways */
}

void pf__door_serve(struct pf_sandbox *s, short *revents)
{
	struct pf_door *d = s->door;
	struct epoll_event e[EVENTS];
	int n = epoll_wait(d->epoll, e, EVENTS, 0);
	bool control = false;

	for (int i = 0; i < n; i++) {
		uint64_t who = e[i].data.u64;

		if (who == ON_BOX)
			*revents = (short)((e[i].events & EPOLLIN ? POLLIN : 0) |
					   (e[i].events & EPOLLOUT ? POLLOUT : 0) |
					   (e[i].events & (EPOLLHUP | EPOLLERR) ? POLLHUP : 0));
		else if (who == ON_CONTROL)
			control = true;
		else
			serve_conn(d, &d->conn[who - ON_CONN], e[i].events);
	}
	if (control)
		pf__door_control(d); /* last: what it says may end all of them */
}

/* --- ends -------------------------------------------------------------------------------------------- */

void pf__door_free(struct pf_sandbox *s)
{
	struct pf_door *d = s->door;

	if (!d)
		return;
	for (unsigned i = 0; i < PF_DOOR_MAX; i++)
		if (d->conn[i].fd >= 0)
			forget(d, &d->conn[i]);
	pf_egress_kill(&d->proxy);
	close(d->epoll);
	free(d);
	s->door = NULL;
}
