/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the keeper is told. A program inside can make events without end, so the keeper gets so many and then
 * a count; and when it is slow, no new request is begun (pf__proxy_paused()) rather than one left untold.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"
#include "egress/proxy_internal.h"

static void count(struct pf__proxy *px, enum pf_egress_kind kind)
{
	if (kind == PF_EGRESS_OPENED)
		px->totals.opened++;
	else if (kind == PF_EGRESS_DENIED)
		px->totals.denied++;
	else if (kind == PF_EGRESS_UNREACHED)
		px->totals.unreached++;
}

/* One of the few that are told? An end is told if its beginning was. */
static bool is_told(struct pf__conn *c, enum pf_egress_kind kind)
{
	struct pf__proxy *px = c->px;
	bool other = kind != PF_EGRESS_DENIED;

	if (kind == PF_EGRESS_CLOSED)
		return c->reported;
	if (px->told[other] < PF_EGRESS_REPORTS_MAX) {
		px->told[other]++;
		return true;
	}
	px->untold[other]++;
	px->totals.unreported++;
	return false;
}

static void fill(const struct pf__conn *c, struct pf_egress_report *r)
{
	r->type = PF_EGRESS_REPORT;
	r->protocol = (uint8_t)c->protocol;
	r->id = c->id;
	r->request = c->request;
	r->started_ns = c->started;
	r->duration_ns = c->px->now - c->started;
	r->sent = c->sent;
	r->received = c->received;
	if (c->named)
		pf_host_print(&c->host, c->port, r->target);
	pf_address_print(&c->address, r->address);
}

void pf__report(struct pf__conn *c, enum pf_egress_kind kind, enum pf_egress_reason reason, const char *rule,
		const char *hint)
{
	struct pf_egress_report r = {.kind = (uint8_t)kind, .reason = (uint8_t)reason};
	bool told = is_told(c, kind);

	count(c->px, kind);
	if (kind == PF_EGRESS_OPENED) {
		c->opened = true;
		c->reported = told;
	} else if (kind == PF_EGRESS_CLOSED) {
		c->opened = false;
		c->px->totals.sent += c->sent;
		c->px->totals.received += c->received;
	}
	if (!told)
		return;
	fill(c, &r);
	/* Everything in these is ours or was checked, but one mistake here must not blind the keeper. */
	if (kind == PF_EGRESS_OPENED || kind == PF_EGRESS_CLOSED) {
		if (c->rule)
			pf_rule_print(c->rule, r.rule);
	} else if (rule) {
		pf_printable(rule, strlen(rule), r.rule, sizeof(r.rule));
	}
	if (hint)
		pf_printable(hint, strlen(hint), r.hint, sizeof(r.hint));
	pf_buf_add(&c->px->out, &r, sizeof(r));
}

int pf__report_flush(struct pf__proxy *px)
{
	size_t done = 0;
	int result = 0;

	while (done < px->out.len) {
		ssize_t n = send(px->control, px->out.data + done, sizeof(struct pf_egress_report),
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			result = errno == EAGAIN ? -EAGAIN : -EPIPE;
			break;
		}
		done += sizeof(struct pf_egress_report);
	}
	pf_buf_consume(&px->out, done);
	return result;
}
