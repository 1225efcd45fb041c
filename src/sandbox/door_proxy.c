/* SPDX-License-Identifier: Apache-2.0 */
/* This sandbox's pinfold-egress: its start, what it says, its end; see door.h. */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/door_internal.h"

#define ANSWER_MS                                                                                            \
	2000 /* for the proxy to tell what it has to tell when a command ends; it has nothing else to do */
#define HEADER_MS 30000

/* --- the proxy -------------------------------------------------------------------------------- */

/* It is gone, or not to be trusted any more. */
void pf__door_lose(struct pf_door *d, const char *why)
{
	struct pf_receipt *r = &d->s->box->receipt;

	if (d->dead)
		return;
	d->dead = true;
	d->running = false;
	pf__door_abandon_all(d);
	pf_egress_kill(&d->proxy); /* its control socket leaves the epoll by being closed */
	snprintf(r->door.why, sizeof(r->door.why), "%s", why);
	pf__door_deny(d->s, "network.proxy", why, 1);
}

void pf__door_start(struct pf_door *d)
{
	const struct pf_network *n = &d->s->policy->network;
	struct pf_receipt *r = &d->s->box->receipt;
	PF_AUTO_BUF struct pf_buf program = {0};
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = ON_CONTROL};
	struct pf_egress_options o = {.rules = &n->allow, .die_with_parent = true};
	struct pf_error err = {0};
	int code;

	o.limits = (struct pf_egress_limits){.connections = n->connections,
					     .header_ms = HEADER_MS,
					     .dial_ms = (uint32_t)n->dial_ms,
					     .idle_ms = (uint32_t)n->idle_ms,
					     .bytes = n->bytes,
					     .bytes_per_second = n->bytes_per_second};
	pf_buf_addf(&program, "%s/pinfold-egress", d->s->dirs.libexec);
	o.program = program.data ? program.data : "";
	code = d->s->tier->helper(d->s->box, &o.groups, &o.uid, &o.gid, &err);
	if (code == 0)
		code = pf_egress_start(&d->proxy, &o, &err);
	pf_helper_close(&o.groups);
	r->door.proxy = true;
	r->door.uid = geteuid() ? geteuid() : o.uid;
	if (code == -EAGAIN) { /* the sandbox's processes are all taken: perhaps not when it asks again */
		pf__door_deny(d->s, "network.proxy", "the sandbox has no process left for its proxy", 1);
		return;
	}
	if (code < 0 || epoll_ctl(d->epoll, EPOLL_CTL_ADD, d->proxy.control, &e) < 0) {
		pf__door_lose(d, code < 0 ? err.msg : "no memory for the proxy's socket");
		return;
	}
	d->control_events = EPOLLIN;
	d->running = true;
}

void pf__door_pass(struct pf_door *d, struct pf__door_conn *c)
{
	struct pf_error err = {0};
	int r = pf_egress_pass(&d->proxy, c->number, c->theirs, &err);

	if (r == -EAGAIN)
		return;
	c->theirs = -1; /* it was closed in any case */
	d->waiting--;
	if (r < 0)
		pf__door_lose(d, "pinfold-egress ended unexpectedly");
}

static void take_ready(struct pf_door *d, const struct pf_egress_ready *m)
{
	struct pf_receipt *r = &d->s->box->receipt;

	r->door.ready = true;
	r->door.held = m->held;
	r->door.landlock_abi = (int)m->landlock_abi;
}

void pf__door_control(struct pf_door *d)
{
	union pf_egress_message m;
	struct pf_error err = {0};
	char why[PF_ERROR_MAX + 32];
	int r;

	while (d->running && (r = pf_egress_next(&d->proxy, &m, &err)) != 0) {
		if (r < 0) {
			pf__door_lose(d, r == -EPIPE ? "pinfold-egress ended unexpectedly" : err.msg);
			return;
		}
		if (m.type == PF_EGRESS_READY) {
			take_ready(d, &m.ready);
		} else if (m.type == PF_EGRESS_REPORT) {
			pf__door_report(d->s, &m.report);
		} else if (m.type == PF_EGRESS_SYNCED) {
			d->synced = m.sync.number;
			pf__door_left_out(d->s, m.sync.denials, m.sync.others);
		} else if (m.type == PF_EGRESS_FAILED) {
			snprintf(why, sizeof(why), "pinfold-egress does not work here: %.400s",
				 m.failed.text);
			pf__door_lose(d, why);
		}
	}
	for (unsigned i = 0; d->running && d->waiting && i < PF_DOOR_MAX; i++)
		if (d->conn[i].fd >= 0 && d->conn[i].theirs >= 0)
			pf__door_pass(d, &d->conn[i]);
}

/* --- the end of a command ------------------------------------------------------------------ */

static bool another_runs(const struct pf_exec *of)
{
	const struct pf_exec *e;

	for (e = of->box->execs; e; e = e->next)
		if (e != of && e->state >= PF_EXEC_STARTING && e->state < PF_EXEC_DONE)
			return true;
	return false;
}

static void await_answer(struct pf_door *d)
{
	uint64_t end = pf_now_ns() + ANSWER_MS * 1000000ull;
	bool sent = false;

	d->syncs++;
	while (d->running && d->synced != d->syncs) {
		struct pollfd p = {.fd = d->proxy.control, .events = POLLIN};
		uint64_t now = pf_now_ns();

		sent = sent || pf_egress_sync(&d->proxy, d->syncs) != -EAGAIN; /* -EPIPE is read as well */
		if (!sent)
			p.events |= POLLOUT;
		if (now >= end)
			pf__door_lose(d, "pinfold-egress does not answer any more");
		else if (poll(&p, 1, (int)((end - now) / 1000000) + 1) > 0)
			pf__door_control(d);
	}
}

void pf__door_settle(struct pf_exec *e)
{
	struct pf_door *d = e->box->door;

	if (!d || !d->running || !d->unsettled || e->box->paused_at)
		return;
	/* Everything that the command left behind is dead, and nobody else is there: these are nobody's. */
	if (!another_runs(e)) {
		pf__door_abandon_all(d);
		d->unsettled = false;
	}
	await_answer(d);
}
