/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One lookup: two questions, each to one server after another; see resolver.h. Every try has a socket of its
 * own, connected to its server: the kernel drops what comes from elsewhere, and chooses a fresh source port,
 * which is what makes an answer hard to forge (RFC 5452).
 */
#include "egress/resolver.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define MS	    1000000ull
#define UDP_MAX	    4096
#define TCP_MAX	    16384
#define IGNORED_MAX 64	/* wrong answers to one try, before the next begins */
#define OTHER_MS    300 /* how long one family waits for the other (RFC 8305 calls it the resolution delay) */

size_t pf_address_sockaddr(const struct pf_address *a, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (a->family == 4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, a->b, 4);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	memcpy(&v6->sin6_addr, a->b, 16);
	return sizeof(*v6);
}

/* --- one question --------------------------------------------------------------------- */

static void close_query(struct pf_lookup_query *q)
{
	if (q->fd >= 0)
		close(q->fd);
	q->fd = -1;
	pf_buf_free(&q->in);
}

static const struct pf_resolver_server *server(const struct pf_lookup *l, const struct pf_lookup_query *q)
{
	return &l->resolver->servers[q->tries % l->resolver->count];
}

/* A connected socket; with TCP the connection may still be under way. */
static int open_socket(const struct pf_resolver_server *s, bool tcp)
{
	struct sockaddr_storage to;
	size_t size = pf_address_sockaddr(&s->address, s->port, &to);
	PF_AUTO_CLOSE int fd =
		socket(to.ss_family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&to, (socklen_t)size) < 0 && errno != EINPROGRESS)
		return -errno;
	return pf_take_fd(&fd);
}

static int begin_try(struct pf_lookup *l, struct pf_lookup_query *q, uint64_t now)
{
	uint8_t query[PF_DNS_QUERY_MAX];
	size_t n;

	close_query(q);
	pf_random(&q->id, sizeof(q->id));
	q->ignored = 0;
	q->deadline = now + l->resolver->timeout_ms * MS;
	q->fd = open_socket(server(l, q), q->tcp);
	if (q->fd < 0) {
		q->fd = -1;
		return -EIO;
	}
	if (q->tcp) {
		q->events = POLLOUT;
		return 0;
	}
	q->events = POLLIN;
	n = pf_dns_query(q->id, l->name, q->type, query);
	return send(q->fd, query, n, MSG_NOSIGNAL) == (ssize_t)n ? 0 : -EIO;
}

static void next_try(struct pf_lookup *l, struct pf_lookup_query *q, uint64_t now)
{
	unsigned all = (unsigned)l->resolver->count * l->resolver->attempts;

	do {
		q->tcp = false;
		q->tries++;
		if (q->tries >= all) {
			close_query(q);
			q->done = true;
			q->outcome = PF_DNS_REFUSED;
			return;
		}
	} while (begin_try(l, q, now) < 0);
}

static void keep(struct pf_lookup *l, struct pf_lookup_query *q, const struct pf_dns_answer *a)
{
	close_query(q);
	q->done = true;
	q->outcome = a->outcome;
	/* By turns: AAAA (the first question) on even places. Gaps are closed at the end. */
	for (size_t i = 0; i < a->count; i++)
		l->address[2 * i + (q->type == PF_DNS_A)] = a->address[i];
}

static void take_answer(struct pf_lookup *l, struct pf_lookup_query *q, const uint8_t *p, size_t n,
			uint64_t now)
{
	struct pf_dns_answer a;

	if (pf_dns_parse(p, n, q->id, l->name, q->type, &a) < 0) {
		/* A stream has one sender, and it sent nonsense; a datagram may be somebody else's. */
		if (q->tcp || ++q->ignored > IGNORED_MAX)
			next_try(l, q, now);
	} else if (a.outcome == PF_DNS_TRUNCATED && !q->tcp) {
		q->tcp = true;
		if (begin_try(l, q, now) < 0)
			next_try(l, q, now);
	} else if (a.outcome == PF_DNS_TRUNCATED || a.outcome == PF_DNS_REFUSED) {
		next_try(l, q, now);
	} else {
		keep(l, q, &a);
	}
}

static void ready_udp(struct pf_lookup *l, struct pf_lookup_query *q, uint64_t now)
{
	uint8_t p[UDP_MAX];
	ssize_t n = recv(q->fd, p, sizeof(p), 0);

	if (n >= 0)
		take_answer(l, q, p, (size_t)n, now);
	else if (errno != EAGAIN && errno != EINTR)
		next_try(l, q, now); /* ECONNREFUSED: nobody listens there */
}

static int send_tcp(struct pf_lookup *l, struct pf_lookup_query *q)
{
	uint8_t query[2 + PF_DNS_QUERY_MAX];
	size_t n = pf_dns_query(q->id, l->name, q->type, query + 2);

	query[0] = (uint8_t)(n >> 8);
	query[1] = (uint8_t)n;
	q->events = POLLIN;
	/* A fresh socket's buffer takes it whole, or the connection failed. */
	return send(q->fd, query, n + 2, MSG_NOSIGNAL) == (ssize_t)(n + 2) ? 0 : -EIO;
}

static void ready_tcp(struct pf_lookup *l, struct pf_lookup_query *q, uint64_t now)
{
	char piece[4096];
	size_t size;
	ssize_t n;

	if (q->events == POLLOUT) {
		if (send_tcp(l, q) < 0)
			next_try(l, q, now);
		return;
	}
	n = recv(q->fd, piece, sizeof(piece), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	q->in.limit = TCP_MAX + 2;
	if (n <= 0 || pf_buf_add(&q->in, piece, (size_t)n) < 0) {
		next_try(l, q, now);
		return;
	}
	if (q->in.len < 2)
		return;
	size = (size_t)(uint8_t)q->in.data[0] << 8 | (uint8_t)q->in.data[1];
	if (q->in.len >= 2 + size) {
		struct pf_buf whole = q->in; /* the query may be begun anew while it is read */

		q->in = (struct pf_buf){0};
		take_answer(l, q, (const uint8_t *)whole.data + 2, size, now);
		pf_buf_free(&whole);
	}
}

/* --- both ----------------------------------------------------------------------------- */

static void settle(struct pf_lookup *l, uint64_t now)
{
	struct pf_lookup_query *q = l->q;
	size_t n = 0;

	for (int i = 0; i < PF_LOOKUP_QUERIES; i++) {
		struct pf_lookup_query *other = &q[!i];
		uint64_t soon = now + OTHER_MS * MS;

		if (q[i].done && q[i].outcome == PF_DNS_FOUND && !other->done && other->deadline > soon)
			other->deadline = soon;
	}
	if (!q[0].done || !q[1].done)
		return;
	for (size_t i = 0; i < PF_LOOKUP_ADDRESSES; i++)
		if (l->address[i].family)
			l->address[n++] = l->address[i];
	l->count = n;
	l->failed = n == 0 && (q[0].outcome == PF_DNS_REFUSED || q[1].outcome == PF_DNS_REFUSED);
	l->done = true;
}

static void add(struct pf_lookup *l, const struct pf_address *a)
{
	if (l->count < PF_LOOKUP_ADDRESSES)
		l->address[l->count++] = *a;
}

/* Without asking anybody: localhost, and what /etc/hosts says. */
static bool know(struct pf_lookup *l)
{
	static const struct pf_address loopback[] = {{6, {[15] = 1}}, {4, {127, 0, 0, 1}}};
	const struct pf_resolver *r = l->resolver;

	if (pf_name_is_localhost(l->name)) {
		add(l, &loopback[0]);
		add(l, &loopback[1]);
		return true;
	}
	for (size_t i = 0; i < r->host_count; i++)
		if (strcmp(r->hosts[i].name, l->name) == 0)
			add(l, &r->hosts[i].address);
	return l->count > 0;
}

void pf_lookup_start(struct pf_lookup *l, const struct pf_resolver *r, const char *name, uint64_t now)
{
	*l = (struct pf_lookup){.resolver = r, .name = name};
	for (int i = 0; i < PF_LOOKUP_QUERIES; i++)
		l->q[i].fd = -1;
	if (know(l)) {
		l->done = true;
		return;
	}
	for (int i = 0; i < PF_LOOKUP_QUERIES; i++) {
		l->q[i].type = i ? PF_DNS_A : PF_DNS_AAAA;
		if (begin_try(l, &l->q[i], now) < 0)
			next_try(l, &l->q[i], now);
	}
	settle(l, now);
}

void pf_lookup_ready(struct pf_lookup *l, int i, uint64_t now)
{
	struct pf_lookup_query *q = &l->q[i];

	if (l->done || q->fd < 0)
		return;
	if (q->tcp)
		ready_tcp(l, q, now);
	else
		ready_udp(l, q, now);
	settle(l, now);
}

uint64_t pf_lookup_deadline(const struct pf_lookup *l)
{
	uint64_t first = UINT64_MAX;

	for (int i = 0; !l->done && i < PF_LOOKUP_QUERIES; i++)
		if (!l->q[i].done && l->q[i].deadline < first)
			first = l->q[i].deadline;
	return first;
}

void pf_lookup_expire(struct pf_lookup *l, uint64_t now)
{
	for (int i = 0; !l->done && i < PF_LOOKUP_QUERIES; i++) {
		struct pf_lookup_query *q = &l->q[i];

		if (q->done || q->deadline > now)
			continue;
		if (l->q[!i].done && l->q[!i].outcome == PF_DNS_FOUND) {
			close_query(q); /* the other family is enough */
			q->done = true;
			q->outcome = PF_DNS_REFUSED;
		} else {
			next_try(l, q, now);
		}
	}
	if (!l->done)
		settle(l, now);
}

void pf_lookup_stop(struct pf_lookup *l)
{
	if (!l->resolver)
		return;
	for (int i = 0; i < PF_LOOKUP_QUERIES; i++)
		close_query(&l->q[i]);
	l->done = true;
}
