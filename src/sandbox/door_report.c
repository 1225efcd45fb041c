/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the proxy tells, into the results of the execs that it happened under. A connection does not say which
 * process made it, so it is told to every exec that was running when it began: with one at a time, which is
 * the rule, that is the one.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "egress/control.h"
#include "sandbox/door.h"
#include "sandbox/result_net.h"

static bool concerns(const struct pf_exec *e, uint64_t at)
{
	return e->op == PF_OP_EXEC && e->started_ns && e->state < PF_EXEC_DONE && at >= e->started_ns;
}

static void tell(struct pf_exec *e, const char *type, const struct pf_buf *json)
{
	if (e->event && !json->failed)
		e->event(e->user, e, type, json->data);
}

static void tell_denial(struct pf_exec *e, const struct pf_denial *d)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	struct pf_jsonw w;

	if (!e->event)
		return;
	pf_jsonw_init(&w, &text, 0);
	pf__denial_json(d, &w);
	tell(e, "denial", &text);
}

static void tell_connection(struct pf_exec *e, const struct pf_connection *c)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	struct pf_jsonw w;

	if (!e->event)
		return;
	pf_jsonw_init(&w, &text, 0);
	pf__connection_json(c, &w);
	tell(e, "connection", &text);
}

static void deny(struct pf_exec *e, const char *target, const char *rule, const char *hint)
{
	if (pf_result_deny(&e->result, "net", target, rule, hint) > 0)
		tell_denial(e, &e->result.denials[e->result.denial_count - 1]);
}

void pf__door_deny(struct pf_sandbox *s, const char *rule, const char *hint, uint64_t times)
{
	for (struct pf_exec *e = s->execs; e; e = e->next) {
		if (!concerns(e, UINT64_MAX))
			continue;
		deny(e, NULL, rule, hint);
		if (times > 1)
			pf__result_denied_again(&e->result, "net", NULL, rule, hint, times - 1);
	}
}

static const char *or_null(const char *s)
{
	return *s ? s : NULL;
}

static struct pf_connection describe(const struct pf_egress_report *r)
{
	static const char *const protocols[] = {
		[PF_EGRESS_UNKNOWN] = NULL,
		[PF_EGRESS_CONNECT] = "connect",
		[PF_EGRESS_HTTP] = "http",
		[PF_EGRESS_SOCKS] = "socks",
	};
	struct pf_connection c = {
		.id = r->id, .request = r->request, .sent = -1, .received = -1, .duration_ms = -1};

	c.target = (char *)(uintptr_t)or_null(r->target);
	c.address = (char *)(uintptr_t)or_null(r->address);
	c.rule = (char *)(uintptr_t)or_null(r->rule);
	c.protocol = protocols[r->protocol];
	c.verdict = r->kind == PF_EGRESS_UNREACHED ? "unreached" : "allowed";
	if (r->kind != PF_EGRESS_OPENED) {
		c.error = (char *)(uintptr_t)or_null(r->hint);
		c.reason = r->reason == PF_EGRESS_NONE ? NULL : pf_egress_reason_name(r->reason);
		c.sent = (int64_t)(r->sent & INT64_MAX);
		c.received = (int64_t)(r->received & INT64_MAX);
		c.duration_ms = (int64_t)(r->duration_ns / 1000000);
	}
	return c;
}

static void connected(struct pf_exec *e, const struct pf_egress_report *r)
{
	struct pf_connection c = describe(r);

	if (pf__result_connect(&e->result, &c) > 0 && r->kind == PF_EGRESS_UNREACHED)
		tell_connection(e, &c);
}

static void closed(struct pf_exec *e, const struct pf_egress_report *r)
{
	struct pf_connection *was = pf__result_connection(&e->result, r->id, r->request), now = describe(r);

	if (!was)
		return;
	was->reason = now.reason;
	was->sent = now.sent;
	was->received = now.received;
	was->duration_ms = now.duration_ms;
	if (now.error && !was->error)
		was->error = strdup(now.error);
	tell_connection(e, was);
}

/* The proxy bounds what it tells, too. */
void pf__door_left_out(struct pf_sandbox *s, uint64_t denials, uint64_t connections)
{
	for (struct pf_exec *e = s->execs; e; e = e->next) {
		if (!concerns(e, UINT64_MAX))
			continue;
		e->result.denials_left_out += denials;
		e->result.connections_left_out += connections;
	}
}

void pf__door_report(struct pf_sandbox *s, const struct pf_egress_report *r)
{
	for (struct pf_exec *e = s->execs; e; e = e->next) {
		struct pf_egress_report shown = *r;

		if (!concerns(e, r->started_ns))
			continue;
		pf__redact_report(e, &shown);
		if (r->kind == PF_EGRESS_DENIED)
			deny(e, or_null(shown.target), shown.rule, or_null(shown.hint));
		else if (r->kind == PF_EGRESS_CLOSED)
			closed(e, &shown);
		else
			connected(e, &shown);
	}
}
