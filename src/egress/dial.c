/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection to the peer: addresses one after another, the next when the one before failed or took a
 * quarter of a second (RFC 8305), the first that answers wins.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "egress/proxy_internal.h"

#define LATER_MS 250

void pf__dial_stop(struct pf__conn *c)
{
	for (int i = 0; i < PF__DIALS; i++) {
		if (c->dial.fd[i] >= 0)
			close(c->dial.fd[i]);
		c->dial.fd[i] = -1;
	}
}

/* Into place i. 0: under way; otherwise the error. */
static int begin(struct pf__conn *c, int i, const struct pf_address *a)
{
	struct sockaddr_storage to;
	size_t size = pf_address_sockaddr(a, c->port, &to);
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, e;

	if (fd < 0)
		return errno;
	/* Best effort: without it small writes are only slower. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&to, (socklen_t)size) < 0 && errno != EINPROGRESS) {
		e = errno;
		close(fd);
		return e;
	}
	c->dial.fd[i] = fd;
	c->dial.to[i] = *a;
	return 0;
}

static const char *say(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return "it refuses the connection";
	case ENETUNREACH:
		return "the host has no route to its network";
	case EHOSTUNREACH:
		return "no route leads to it";
	case ETIMEDOUT:
		return "it does not answer";
	case EACCES:
	case EPERM:
		return "the host forbids the connection";
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return "the host has no room for another connection";
	}
	return "the connection failed";
}

/* Begin what may begin; if nothing is under way and nothing is left, that was it. */
static void more(struct pf__conn *c)
{
	struct pf__dial *d = &c->dial;
	bool any = false;

	for (int i = 0; i < PF__DIALS; i++)
		any |= d->fd[i] >= 0;
	for (int i = 0; i < PF__DIALS && d->next < c->address_count && (!any || c->px->now >= d->later);
	     i++) {
		while (d->fd[i] < 0 && d->next < c->address_count) {
			int e = begin(c, i, &c->addresses[d->next++]);

			if (e == 0) {
				any = true;
				d->later = c->px->now + LATER_MS * PF__MS;
				break;
			}
			d->error = e;
		}
	}
	if (!any)
		pf__unreached(c, PF_EGRESS_UNREACHABLE, say(d->error));
}

void pf__dial_start(struct pf__conn *c)
{
	if (pf__proxy_spent(c->px)) {
		pf__refuse_limit(c, PF_EGRESS_TOO_MUCH);
		return;
	}
	c->state = PF__DIAL;
	c->dial.next = 0;
	c->dial.later = 0;
	c->dial.error = 0;
	more(c);
}

void pf__dial_event(struct pf__conn *c, int i)
{
	struct pf__dial *d = &c->dial;
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(d->fd[i], SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	if (error) {
		close(d->fd[i]);
		d->fd[i] = -1;
		d->error = error;
		d->later = 0; /* the next need not wait for its time */
		more(c);
		return;
	}
	c->server = d->fd[i];
	c->address = d->to[i];
	d->fd[i] = -1;
	pf__dial_stop(c);
	if (c->protocol == PF_EGRESS_HTTP)
		pf__exchange_open(c);
	else
		pf__tunnel_open(c);
}

void pf__dial_time(struct pf__conn *c)
{
	if (c->px->now >= c->dial.later && c->dial.next < c->address_count)
		more(c);
}
