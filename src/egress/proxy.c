/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of pinfold-egress: the keeper's messages, the connections' events, time and the shared limits. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "egress/proxy_internal.h"

#define OVER_MAX    64 /* connections beyond the limit that are told so; more are closed at once */
#define OUT_MAX	    (256 * sizeof(struct pf_egress_report))
#define LEAST	    4096 /* tokens below this wait, so that a slow rate makes few large reads */
#define SECOND_NS   1000000000ull
#define FAREWELL_MS 5000 /* for a keeper to take the last reports */

/* --- shared limits -------------------------------------------------------------------- */

bool pf__proxy_spent(const struct pf__proxy *px)
{
	return px->setup.limits.bytes && px->relayed >= px->setup.limits.bytes;
}

bool pf__proxy_paused(const struct pf__proxy *px)
{
	return px->out.len > OUT_MAX;
}

/* A quarter of a second's worth may come at once, but never less than one read. */
static uint64_t burst(const struct pf__proxy *px)
{
	uint64_t quarter = px->setup.limits.bytes_per_second / 4;

	return quarter < 2 * LEAST ? 2 * LEAST : quarter;
}

size_t pf__proxy_allowance(const struct pf__proxy *px)
{
	const struct pf_egress_limits *l = &px->setup.limits;
	uint64_t most = PF__FLOW_SIZE;

	if (l->bytes_per_second && px->tokens < most)
		most = px->tokens < LEAST ? 0 : px->tokens;
	if (l->bytes && l->bytes - px->relayed < most)
		most = px->relayed < l->bytes ? l->bytes - px->relayed : 0;
	return (size_t)most;
}

/* Whole tokens only, and no more time than they took: a loop that turns often loses none. */
static void refill(struct pf__proxy *px)
{
	uint64_t rate = px->setup.limits.bytes_per_second, most = burst(px), ns = px->now - px->filled, more;

	if (!rate)
		return;
	if (ns > SECOND_NS)
		ns = SECOND_NS;
	more = (uint64_t)((__uint128_t)ns * rate / SECOND_NS);
	if (more == 0)
		return;
	px->tokens = px->tokens + more < most ? px->tokens + more : most;
	px->filled = px->now;
}

static uint64_t refill_due(const struct pf__proxy *px)
{
	uint64_t rate = px->setup.limits.bytes_per_second;

	if (!rate || px->tokens >= LEAST)
		return UINT64_MAX;
	return px->filled + (uint64_t)((__uint128_t)(LEAST - px->tokens) * SECOND_NS / rate) + 1;
}

/* --- the keeper ----------------------------------------------------------------------- */

/* Its message and the descriptor that came with it. 0: one came; -EAGAIN; -EPIPE: it is done; -EMFILE: the
 * descriptor found no room here. */
static int receive(int control, union pf_egress_message *m, int *fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} space;
	struct iovec iov = {m, sizeof(*m)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &space};
	struct cmsghdr *c;
	ssize_t n;

	msg.msg_controllen = sizeof(space);
	n = recvmsg(control, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EPIPE;
	if (n == 0)
		return -EPIPE;
	*fd = -1;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	if (*fd < 0 && (msg.msg_flags & MSG_CTRUNC))
		return -EMFILE;
	if ((msg.msg_flags & MSG_TRUNC) || pf_egress_message_check(m, (size_t)n, 0) < 0 ||
	    (m->type == PF_EGRESS_CONN ? *fd < 0 : m->type != PF_EGRESS_SYNC || *fd >= 0)) {
		if (*fd >= 0)
			close(*fd);
		return -EPROTO;
	}
	return 0;
}

/* A connection for which there is no place, not even to be told so. */
static void drop(struct pf__proxy *px, uint64_t id)
{
	struct pf__conn c = {.px = px, .id = id, .request = 1, .started = px->now};

	pf__report(&c, PF_EGRESS_DENIED, PF_EGRESS_TOO_MANY, "network.connections",
		   "so many are open at once");
}

/* The command has ended: whoever's client is gone for good need not be waited for any longer. What they had
 * asked is judged and told, what they had sent goes on as far as its server takes it now. */
static void close_gone(struct pf__proxy *px)
{
	for (size_t i = 0; i < px->count; i++) {
		struct pollfd p = {.fd = px->conns[i]->client};

		if (poll(&p, 1, 0) > 0 && (p.revents & POLLHUP))
			pf__conn_gone(px->conns[i]);
	}
}

static void answer_sync(struct pf__proxy *px)
{
	struct pf_egress_sync m = {.type = PF_EGRESS_SYNCED,
				   .number = px->sync_number,
				   .denials = px->untold[0],
				   .others = px->untold[1]};

	if (!px->sync || px->out.len)
		return;
	if (send(px->control, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(m)) {
		px->sync = false;
		memset(px->told, 0, sizeof(px->told));
		memset(px->untold, 0, sizeof(px->untold));
	} else if (errno != EAGAIN && errno != EINTR) {
		px->ending = true;
	}
}

static int listen_to_keeper(struct pf__proxy *px)
{
	const size_t most = px->setup.limits.connections + OVER_MAX;

	while (!pf__proxy_paused(px)) {
		union pf_egress_message m;
		int fd, r = receive(px->control, &m, &fd);

		if (r == -EAGAIN)
			break;
		if (r == -EPIPE) {
			px->ending = true;
			break;
		}
		if (r == -EMFILE) {
			drop(px, m.conn.id);
		} else if (r < 0) {
			return r;
		} else if (m.type == PF_EGRESS_SYNC) {
			close_gone(px);
			px->sync = true;
			px->sync_number = m.sync.number;
		} else if (px->count == most) {
			drop(px, m.conn.id);
			close(fd);
		} else if (pf__conn_new(px, m.conn.id, fd) < 0) {
			return -ENOMEM;
		}
	}
	return 0;
}

/* --- one turn ------------------------------------------------------------------------- */

static int timeout(const struct pf__proxy *px)
{
	uint64_t due = refill_due(px), ms;

	for (size_t i = 0; i < px->count; i++) {
		uint64_t one = pf__conn_due(px->conns[i]);

		if (one < due)
			due = one;
	}
	if (due == UINT64_MAX)
		return -1;
	if (due <= px->now)
		return 0;
	ms = (due - px->now + PF__MS - 1) / PF__MS;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

static void sweep(struct pf__proxy *px)
{
	size_t kept = 0;

	for (size_t i = 0; i < px->count; i++) {
		if (px->conns[i]->state == PF__DEAD)
			pf__conn_free(px->conns[i]);
		else
			px->conns[kept++] = px->conns[i];
	}
	px->count = kept;
}

static void close_spent(struct pf__proxy *px)
{
	for (size_t i = 0; pf__proxy_spent(px) && i < px->count; i++)
		if (px->conns[i]->state == PF__TUNNEL || px->conns[i]->state == PF__EXCHANGE)
			pf__refuse_limit(px->conns[i], PF_EGRESS_TOO_MUCH);
}

/* What was put off while the keeper did not read. */
static void run_waiting(struct pf__proxy *px)
{
	if (!px->waiting || pf__proxy_paused(px))
		return;
	px->waiting = false;
	for (size_t i = 0; i < px->count; i++)
		pf__conn_run(px->conns[i]);
}

static int turn(struct pf__proxy *px)
{
	size_t n = 1;
	int r;

	px->fds[0] = (struct pollfd){.fd = px->control, .events = pf__proxy_paused(px) ? 0 : POLLIN};
	if (px->out.len || px->sync)
		px->fds[0].events |= POLLOUT;
	for (size_t i = 0; i < px->count; i++) {
		px->conns[i]->slot = n;
		n += pf__conn_wants(px->conns[i], &px->fds[n]);
	}
	r = poll(px->fds, n, timeout(px));
	if (r < 0 && errno != EINTR && errno != EAGAIN)
		return -errno;
	px->now = pf_now_ns();
	refill(px);
	for (size_t i = 0; i < px->count; i++) {
		struct pf__conn *c = px->conns[i];
		size_t slots = (i + 1 < px->count ? px->conns[i + 1]->slot : n) - c->slot;
		bool any = false;

		for (size_t j = 0; r > 0 && j < slots; j++)
			any |= px->fds[c->slot + j].revents != 0;
		if (any)
			pf__conn_event(c, &px->fds[c->slot], slots);
		if (c->state != PF__DEAD && px->now >= pf__conn_due(c))
			pf__conn_time(c);
	}
	close_spent(px);
	if (pf__report_flush(px) == -EPIPE)
		px->ending = true;
	run_waiting(px);
	sweep(px);
	r = r > 0 && px->fds[0].revents & ~POLLOUT ? listen_to_keeper(px) : 0;
	if (px->sync && pf__report_flush(px) == -EPIPE)
		px->ending = true;
	answer_sync(px);
	return r;
}

/* Everything is closed and told, as far as the keeper still listens. */
static void farewell(struct pf__proxy *px)
{
	struct pollfd p = {.fd = px->control, .events = POLLOUT};

	for (size_t i = 0; i < px->count; i++)
		if (px->conns[i]->state != PF__DEAD)
			pf__conn_close(px->conns[i], PF_EGRESS_SHUTDOWN);
	sweep(px);
	while (pf__report_flush(px) == -EAGAIN)
		if (poll(&p, 1, FAREWELL_MS) <= 0)
			return;
	px->totals.type = PF_EGRESS_DONE;
	while (send(px->control, &px->totals, sizeof(px->totals), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
	       errno == EAGAIN)
		if (poll(&p, 1, FAREWELL_MS) <= 0)
			return;
}

int pf__proxy_run(struct pf__proxy *px, struct pf_error *err)
{
	const size_t most = px->setup.limits.connections + OVER_MAX;
	int r = 0;

	px->conns = calloc(most, sizeof(*px->conns));
	px->fds = calloc(1 + most * PF__SLOTS, sizeof(*px->fds));
	if (!px->conns || !px->fds)
		return pf_fail(err, -ENOMEM, "no memory for connections");
	px->now = px->filled = pf_now_ns();
	px->tokens = burst(px);
	while (!px->ending && r == 0)
		r = turn(px);
	farewell(px);
	return r < 0 ? pf_fail(err, r, "pinfold-egress: %s", strerror(-r)) : 0;
}

void pf__proxy_free(struct pf__proxy *px)
{
	for (size_t i = 0; i < px->count; i++)
		pf__conn_free(px->conns[i]);
	pf__flow_free_spares();
	free(px->conns);
	free(px->fds);
	pf_buf_free(&px->out);
	pf_rules_free(&px->rules);
	pf_resolver_free(&px->resolver);
}
