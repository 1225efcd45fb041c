/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door: the one port of the sandbox's loopback behind which the host answers. Init listens before there
 * is any launcher, so no command can be there first; the port is init's for as long as the sandbox lives.
 * Each connection becomes two streams of the protocol; what is said on it is the host's business alone.
 *
 * What a command can cost by it is bounded: PF_DOOR_MAX connections, PF_DOOR_CREDIT bytes of each here, and
 * small buffers in the kernel, which nobody's limits cover. More connections are closed at once and counted;
 * they take nothing from the streams of execs.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "init/init.h"

#define CHUNK	     65536
#define BACKLOG	     256
#define ACCEPT_MAX   32	       /* in one turn: commands' output goes on meanwhile */
#define KERNEL_BYTES (1 << 17) /* each way, of one connection; the kernel doubles it (socket(7)) */

int in__door_listen(struct init *in, uint16_t port)
{
	const struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	PF_AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int bytes = KERNEL_BYTES;

	/* whoever is accepted inherits them */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) < 0 ||
	    bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	in->door = pf_take_fd(&fd);
	return 0;
}

/* --- beginnings ---------------------------------------------------------------------------- */

static struct door_conn *find(struct init *in, uint32_t id)
{
	for (unsigned i = 0; i < in->conns_used; i++)
		if (in->conns[i].fd >= 0 && in->conns[i].id == id)
			return &in->conns[i];
	return NULL;
}

static struct door_conn *free_place(struct init *in)
{
	for (unsigned i = 0; i < in->conns_used; i++)
		if (in->conns[i].fd < 0)
			return &in->conns[i];
	return in->conns_used < PF_DOOR_MAX ? &in->conns[in->conns_used++] : NULL;
}

static int say_connected(struct init *in, uint32_t id)
{
	struct pf_msg_connected m = {.conn = id};
	PF_AUTO_BUF struct pf_buf b = {0};
	int r = pf_msg_connected_put(&b, &m);

	return r < 0 ? r : pf_conn_send(in->conn, PF_MSG_CONNECTED, b.data, b.len);
}

/* The next number of which no stream is open; after half a thousand million they begin anew. */
static uint32_t next_id(struct init *in)
{
	do
		in->last_conn = in->last_conn % PF_DOOR_CONN_MAX + 1;
	while (pf_conn_is_open(in->conn, pf_stream_up(in->last_conn)) ||
	       pf_conn_is_open(in->conn, pf_stream_down(in->last_conn)));
	return in->last_conn;
}

static int admit(struct init *in, int fd, struct pf_error *err)
{
	struct door_conn *c = free_place(in);
	uint32_t id;
	int r;

	if (!c) {
		close(fd);
		in->turned_away += in->turned_away < UINT32_MAX;
		return 0;
	}
	id = next_id(in);
	*c = (struct door_conn){.fd = fd, .id = id};
	c->queue.limit = PF_DOOR_CREDIT;
	if ((r = pf_conn_open_small(in->conn, pf_stream_up(id), PF_STREAM_OUT, PF_DOOR_CREDIT)) < 0 ||
	    (r = pf_conn_open_small(in->conn, pf_stream_down(id), PF_STREAM_IN, PF_DOOR_CREDIT)) < 0 ||
	    (r = say_connected(in, id)) < 0)
		return pf_fail(err, r, "cannot open the streams of connection %u", id);
	return 0;
}

int in__door_accept(struct init *in, struct pf_error *err)
{
	for (unsigned i = 0; i < ACCEPT_MAX; i++) {
		int fd = accept4(in->door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), r;

		if (fd < 0) /* nobody there, or whoever it was is gone again */
			return 0;
		if ((r = admit(in, fd, err)) < 0)
			return r;
	}
	return 0;
}

int in__door_tell(struct init *in)
{
	struct pf_msg_turned_away m = {.count = in->turned_away};
	PF_AUTO_BUF struct pf_buf b = {0};
	int r;

	if (!in->turned_away)
		return 0;
	in->turned_away = 0;
	r = pf_msg_turned_away_put(&b, &m);
	return r < 0 ? r : pf_conn_send(in->conn, PF_MSG_TURNED_AWAY, b.data, b.len);
}

/* --- bytes --------------------------------------------------------------------------------- */

static void settle(struct init *in, struct door_conn *c)
{
	if (!c->up_done || !c->down_done)
		return;
	pf_conn_close(in->conn, pf_stream_down(c->id));
	pf_buf_free(&c->queue);
	close(c->fd);
	*c = (struct door_conn){.fd = -1};
}

static void end_up(struct init *in, struct door_conn *c)
{
	if (c->up_done)
		return;
	c->up_done = true;
	pf_conn_eof(in->conn, pf_stream_up(c->id));
}

static void give_up_down(struct init *in, struct door_conn *c)
{
	if (c->down_done)
		return;
	c->down_done = true;
	pf_conn_stop(in->conn, pf_stream_down(c->id));
	pf_buf_free(&c->queue);
}

int in__door_read(struct init *in, struct door_conn *c)
{
	static char bytes[CHUNK];
	size_t room = pf_conn_room(in->conn, pf_stream_up(c->id));
	ssize_t n;
	int r = 0;

	if (c->up_done || room == 0)
		return 0;
	n = read(c->fd, bytes, room < CHUNK ? room : CHUNK);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n > 0) {
		r = pf_conn_write(in->conn, pf_stream_up(c->id), bytes, (size_t)n);
	} else {
		if (n < 0) /* reset: there is nobody to read either */
			give_up_down(in, c);
		end_up(in, c);
		settle(in, c);
	}
	return r;
}

void in__door_write(struct init *in, struct door_conn *c)
{
	while (c->queue.len && !c->down_done) {
		ssize_t n = write(c->fd, c->queue.data, c->queue.len);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			give_up_down(in, c);
			break;
		}
		pf_buf_consume(&c->queue, (size_t)n);
		pf_conn_grant(in->conn, pf_stream_down(c->id), (size_t)n);
	}
	if (c->down_eof && !c->queue.len && !c->down_done) {
		shutdown(c->fd, SHUT_WR);
		c->down_done = true;
	}
	settle(in, c);
}

int in__door_data(struct init *in, uint32_t stream, const uint8_t *p, size_t n, struct pf_error *err)
{
	struct door_conn *c = stream == pf_stream_down(stream / 8) ? find(in, stream / 8) : NULL;

	if (!c || c->down_done)
		return 0;
	if (pf_buf_add(&c->queue, p, n) < 0)
		return pf_fail(err, -EPROTO, "more for connection %u than was granted", c->id);
	in__door_write(in, c);
	return 0;
}

void in__door_eof(struct init *in, uint32_t stream)
{
	struct door_conn *c = stream == pf_stream_down(stream / 8) ? find(in, stream / 8) : NULL;

	if (!c)
		return;
	c->down_eof = true;
	in__door_write(in, c);
}

void in__door_stopped(struct init *in, uint32_t stream)
{
	struct door_conn *c = stream == pf_stream_up(stream / 8) ? find(in, stream / 8) : NULL;

	if (!c)
		return;
	shutdown(c->fd, SHUT_RD);
	end_up(in, c);
	settle(in, c);
}
