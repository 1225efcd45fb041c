/* SPDX-License-Identifier: Apache-2.0 */
/* A client's connection: its events, its time, its end; see proxy_internal.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "egress/proxy_internal.h"

#define LINGER_MS  2000
#define LINGER_MAX (1u << 20) /* bytes that are thrown away before a client is cut off */

static void set_deadline(struct pf__conn *c, uint32_t ms)
{
	c->deadline = c->px->now + ms * PF__MS;
}

/* Those that are being told no, or goodbye, take nobody's place. */
static uint32_t count_active(const struct pf__proxy *px)
{
	uint32_t n = 0;

	for (size_t i = 0; i < px->count; i++)
		n += !px->conns[i]->over && px->conns[i]->state < PF__LINGER;
	return n;
}

int pf__conn_new(struct pf__proxy *px, uint64_t id, int client)
{
	struct pf__conn *c = calloc(1, sizeof(*c));

	if (!c) {
		close(client);
		return -ENOMEM;
	}
	c->px = px;
	c->id = id;
	c->client = client;
	c->server = -1;
	for (int i = 0; i < PF__DIALS; i++)
		c->dial.fd[i] = -1;
	c->over = count_active(px) >= px->setup.limits.connections;
	c->started = px->now;
	c->request = 1;
	set_deadline(c, px->setup.limits.idle_ms);
	px->conns[px->count++] = c;
	return 0;
}

void pf__conn_close_server(struct pf__conn *c)
{
	pf_lookup_stop(&c->lookup);
	pf__dial_stop(c);
	if (c->server >= 0)
		close(c->server);
	c->server = -1;
	pf_buf_free(&c->ex.head);
}

void pf__conn_free(struct pf__conn *c)
{
	pf__conn_close_server(c);
	if (c->client >= 0)
		close(c->client);
	pf__flow_free(&c->up);
	pf__flow_free(&c->down);
	free(c);
}

void pf__conn_close(struct pf__conn *c, enum pf_egress_reason reason)
{
	if (c->opened)
		pf__report(c, PF_EGRESS_CLOSED, reason, NULL, NULL);
	pf__conn_close_server(c);
	c->state = PF__DEAD;
}

void pf__conn_linger(struct pf__conn *c)
{
	pf__conn_close_server(c);
	pf__flow_drop(&c->up, c->up.len);
	c->up.pass = 0;
	c->down.len = c->down.pass;
	c->state = PF__LINGER;
	c->drained = 0;
	set_deadline(c, LINGER_MS);
}

void pf__conn_next_request(struct pf__conn *c)
{
	c->state = PF__DETECT;
	c->named = c->inside; /* whoever it is in there, it is the tunnel's host */
	c->over = false;
	c->protocol = PF_EGRESS_UNKNOWN;
	c->rule = NULL;
	c->address = (struct pf_address){0};
	c->sent = c->received = 0;
	c->request++;
	c->scanned = 0;
	c->started = c->px->now;
	c->ex = (struct pf__exchange){0};
	c->broken = false;
	c->down.eof = false; /* the next server's bytes come the same way */
	pf__flow_drop(&c->down, c->down.len);
	set_deadline(c, c->px->setup.limits.idle_ms);
}

static bool is_reading(const struct pf__conn *c)
{
	return c->state <= PF__REQUEST;
}

static void linger(struct pf__conn *c)
{
	while (pf__flow_pending(&c->down)) {
		ssize_t n = pf__flow_write(&c->down, c->client);

		if (n == -EAGAIN)
			return;
		if (n < 0) {
			c->state = PF__DEAD;
			return;
		}
	}
	if (!c->down.shut) {
		c->down.shut = true;
		shutdown(c->client, SHUT_WR);
	}
	c->drained += c->up.len;
	pf__flow_drop(&c->up, c->up.len);
	if (c->up.eof || c->drained > LINGER_MAX)
		c->state = PF__DEAD;
}

void pf__conn_run(struct pf__conn *c)
{
	enum pf__state before;

	do {
		before = c->state;
		if (is_reading(c) && pf__proxy_paused(c->px)) {
			c->px->waiting = true;
			break;
		}
		switch (c->state) {
		case PF__DETECT:
		case PF__HEAD:
		case PF__GREETING:
		case PF__REQUEST:
			pf__first(c);
			break;
		case PF__TUNNEL:
			pf__tunnel_run(c);
			break;
		case PF__EXCHANGE:
			pf__exchange_run(c);
			break;
		case PF__LINGER:
			linger(c);
			break;
		default:
			break;
		}
	} while (c->state != before);
	/* A request that its client gave up in the middle. */
	if (is_reading(c) && c->up.eof && !pf__proxy_paused(c->px))
		c->state = PF__DEAD;
	/* The answer to a greeting. */
	if (is_reading(c) && pf__flow_pending(&c->down)) {
		ssize_t n = pf__flow_write(&c->down, c->client);

		if (n < 0 && n != -EAGAIN)
			c->state = PF__DEAD;
	}
}

/* --- events --------------------------------------------------------------------------- */

static bool is_relaying(const struct pf__conn *c)
{
	return c->state == PF__TUNNEL || c->state == PF__EXCHANGE;
}

static bool is_held(const struct pf__conn *c)
{
	return c->state == PF__TUNNEL && c->tls.require && !c->tls.seen;
}

static short client_events(const struct pf__conn *c)
{
	short events = pf__flow_pending(&c->down) ? POLLOUT : 0;
	bool want = pf__flow_room(&c->up) > 0;

	if (is_reading(c))
		want = want && !pf__proxy_paused(c->px);
	else if (is_relaying(c))
		want = want && pf__proxy_allowance(c->px);
	else if (c->state == PF__LINGER)
		want = want && !events;
	else
		want = false;
	return (short)(events | (want ? POLLIN : 0));
}

static short server_events(const struct pf__conn *c)
{
	short events = pf__flow_pending(&c->up) ? POLLOUT : 0;

	if (pf__flow_room(&c->down) && !is_held(c) && pf__proxy_allowance(c->px))
		events |= POLLIN;
	return events;
}

/* A descriptor without a wish is left out, since its hanging up would be told again and again. */
static struct pollfd slot(int fd, short events)
{
	return (struct pollfd){.fd = events ? fd : -1, .events = events};
}

size_t pf__conn_wants(struct pf__conn *c, struct pollfd out[PF__SLOTS])
{
	size_t n = 1;

	out[0] = slot(c->client, client_events(c));
	switch (c->state) {
	case PF__LOOKUP:
		out[0] = (struct pollfd){.fd = c->client}; /* only whether it is gone */
		for (int i = 0; i < PF_LOOKUP_QUERIES; i++)
			out[n++] = slot(c->lookup.q[i].fd, c->lookup.q[i].events);
		break;
	case PF__DIAL:
		out[0] = (struct pollfd){.fd = c->client};
		for (int i = 0; i < PF__DIALS; i++)
			out[n++] = slot(c->dial.fd[i], POLLOUT);
		break;
	case PF__TUNNEL:
	case PF__EXCHANGE:
		out[n++] = slot(c->server, server_events(c));
		break;
	default:
		break;
	}
	return n;
}

/* Read from one side of a relay, within the limits. */
static bool take_in(struct pf__conn *c, struct pf__flow *f, int fd)
{
	struct pf__proxy *px = c->px;
	bool relay = is_relaying(c);
	size_t most = pf__flow_room(f);
	ssize_t n;

	if (relay && most > pf__proxy_allowance(px))
		most = pf__proxy_allowance(px);
	if (most == 0)
		return true;
	n = pf__flow_read(f, fd, most);
	if (n < 0 && n != -EAGAIN) {
		/* What came from a server before it broke off is still good, and may be under way. */
		if (f == &c->down) {
			f->eof = c->broken = true;
			return true;
		}
		pf__conn_close(c, PF_EGRESS_CUT);
		return false;
	}
	if (n > 0 && relay) {
		px->tokens -= px->setup.limits.bytes_per_second ? (uint64_t)n : 0;
		px->relayed += (uint64_t)n;
	}
	return true;
}

static void relay_event(struct pf__conn *c, const struct pollfd *client, const struct pollfd *server)
{
	size_t before = c->down.len;

	if ((client->revents & (POLLIN | POLLHUP | POLLERR)) && (client->events & POLLIN) &&
	    !take_in(c, &c->up, c->client))
		return;
	if ((server->revents & (POLLIN | POLLHUP | POLLERR)) && (server->events & POLLIN)) {
		if (!take_in(c, &c->down, c->server))
			return;
		c->received += c->down.len - before;
	}
	if (!is_held(c))
		set_deadline(c, c->px->setup.limits.idle_ms);
}

void pf__conn_event(struct pf__conn *c, const struct pollfd *p, size_t n)
{
	switch (c->state) {
	case PF__LOOKUP:
		for (size_t i = 1; i < n && c->state == PF__LOOKUP; i++)
			if (p[i].revents)
				pf_lookup_ready(&c->lookup, (int)i - 1, c->px->now);
		if (c->lookup.done)
			pf__judge_lookup(c);
		break;
	case PF__DIAL:
		for (size_t i = 1; i < n && c->state == PF__DIAL; i++)
			if (p[i].revents)
				pf__dial_event(c, (int)i - 1);
		break;
	case PF__TUNNEL:
	case PF__EXCHANGE:
		relay_event(c, &p[0], &p[1]);
		break;
	default:
		if ((p[0].revents & ~POLLOUT) && (p[0].events & POLLIN))
			take_in(c, &c->up, c->client);
		break;
	}
	if ((c->state == PF__LOOKUP || c->state == PF__DIAL) && (p[0].revents & (POLLHUP | POLLERR)))
		pf__conn_close(c, PF_EGRESS_CUT); /* nobody is there any more to get it */
	pf__conn_run(c);
}

/* Its client has closed both ways. */
void pf__conn_gone(struct pf__conn *c)
{
	size_t before;

	do {
		before = c->up.len;
		if ((is_reading(c) || is_relaying(c)) && !take_in(c, &c->up, c->client))
			return;
		pf__conn_run(c);
	} while ((is_reading(c) || is_relaying(c)) && !c->up.eof && c->up.len != before);
	if (c->state != PF__DEAD)
		pf__conn_close(c, c->up.len ? PF_EGRESS_CUT : PF_EGRESS_NONE);
}

/* --- time ----------------------------------------------------------------------------- */

uint64_t pf__conn_due(const struct pf__conn *c)
{
	uint64_t due = c->deadline, other = UINT64_MAX;

	if (c->state == PF__LOOKUP)
		other = pf_lookup_deadline(&c->lookup);
	else if (c->state == PF__DIAL && c->dial.next < c->address_count)
		other = c->dial.later;
	return other < due ? other : due;
}

static void expire(struct pf__conn *c)
{
	switch (c->state) {
	case PF__HEAD:
	case PF__GREETING:
	case PF__REQUEST:
		pf__refuse_limit(c, PF_EGRESS_TIMEOUT);
		break;
	case PF__LOOKUP:
		pf__unreached(c, PF_EGRESS_TIMEOUT, "the resolvers of the host take too long");
		break;
	case PF__DIAL:
		pf__unreached(c, PF_EGRESS_TIMEOUT, "it does not answer");
		break;
	case PF__TUNNEL:
		if (is_held(c)) {
			pf__refuse_limit(c, PF_EGRESS_TIMEOUT);
			break;
		}
		pf__conn_close(c, PF_EGRESS_TIMEOUT);
		break;
	case PF__EXCHANGE:
		if (!c->ex.answered) {
			pf__unreached(c, PF_EGRESS_TIMEOUT, "it does not answer");
			break;
		}
		pf__conn_close(c, PF_EGRESS_TIMEOUT);
		break;
	default: /* an idle client, or one that does not take its answer */
		c->state = PF__DEAD;
		break;
	}
}

void pf__conn_time(struct pf__conn *c)
{
	if (c->px->now >= c->deadline) {
		expire(c);
	} else if (c->state == PF__LOOKUP) {
		pf_lookup_expire(&c->lookup, c->px->now);
		if (c->lookup.done)
			pf__judge_lookup(c);
	} else if (c->state == PF__DIAL) {
		pf__dial_time(c);
	}
	pf__conn_run(c);
}
