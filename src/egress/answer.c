/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a refused client is told. Whoever reads it is a program's user or a model, mostly through the last
 * line of an error message, so what happened, by which rule, and what would change it stand in one line.
 * Where that line is shown differs: wget, pip, npm and Python show the reason phrase; curl and git show the
 * body for http and nothing but the number for a CONNECT. So it is in both, and in Proxy-Status (RFC 9209).
 */
#include <stdio.h>
#include <string.h>

#include "egress/proxy_internal.h"

#define LISTED 20 /* rules in a body: what is allowed instead */

static const char *words(enum pf_egress_reason reason)
{
	switch (reason) {
	case PF_EGRESS_NO_RULE:
	case PF_EGRESS_SPECIAL:
	case PF_EGRESS_NEVER:
		return "is not allowed";
	case PF_EGRESS_UNRESOLVED:
		return "cannot be found";
	case PF_EGRESS_UNREACHABLE:
		return "cannot be reached";
	case PF_EGRESS_BAD_ANSWER:
		return "answered what cannot be passed on";
	default:
		return "is refused";
	}
}

/* The word of RFC 9209, 2.3. */
static const char *status_word(const struct pf__refusal *r)
{
	switch (r->reason) {
	case PF_EGRESS_SPECIAL:
	case PF_EGRESS_NEVER:
		return "destination_ip_prohibited";
	case PF_EGRESS_MALFORMED:
	case PF_EGRESS_UNSUPPORTED:
		return "http_request_error";
	case PF_EGRESS_UNRESOLVED:
		return "dns_error";
	case PF_EGRESS_UNREACHABLE:
		return "destination_ip_unroutable";
	case PF_EGRESS_TIMEOUT:
		return "connection_timeout";
	case PF_EGRESS_BAD_ANSWER:
		return "http_protocol_error";
	default:
		return "http_request_denied";
	}
}

static void print_line(const struct pf__conn *c, const struct pf__refusal *r, struct pf_buf *out)
{
	char target[PF_TARGET_TEXT] = "the request";

	if (c->named)
		pf_host_print(&c->host, c->port, target);
	pf_buf_addf(out, "%s %s", target, words(r->reason));
	if (r->rule[0])
		pf_buf_addf(out, " (%s)", r->rule);
	if (r->hint[0])
		pf_buf_addf(out, "; %s", r->hint);
}

static void print_allowed(const struct pf_rules *rules, struct pf_buf *out)
{
	char text[PF_RULE_TEXT];

	if (rules->count == 0) {
		pf_buf_adds(out, "This sandbox has no network.\n");
		return;
	}
	pf_buf_adds(out, "This sandbox may reach:");
	for (size_t i = 0; i < rules->count && i < LISTED; i++) {
		pf_rule_print(&rules->items[i], text);
		pf_buf_addf(out, " %s", text);
	}
	if (rules->count > LISTED)
		pf_buf_addf(out, " and %zu more", rules->count - LISTED);
	pf_buf_addc(out, '\n');
}

static void answer_http(struct pf__conn *c, const struct pf__refusal *r)
{
	PF_AUTO_BUF struct pf_buf line = {0}, body = {0};
	struct pf_buf *out = &c->down.made;

	print_line(c, r, &line);
	pf_buf_addf(&body, "pinfold: network access to %s\n", line.data ? line.data : "");
	if (r->kind == PF_EGRESS_DENIED)
		print_allowed(&c->px->rules, &body);
	pf_buf_addf(out, "HTTP/1.1 %d pinfold: %s\r\n", r->status, line.data ? line.data : "");
	pf_buf_addf(out, "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n", body.len);
	pf_buf_addf(out, "Proxy-Status: pinfold; error=%s\r\nCache-Control: no-store\r\n", status_word(r));
	pf_buf_adds(out, "Connection: close\r\n\r\n");
	if (!(c->protocol == PF_EGRESS_HTTP && c->ex.asked.head))
		pf_buf_add(out, body.data, body.len);
}

/* In a tunnel only TLS has a way to say something. */
static void answer_tunnel(struct pf__conn *c, enum pf_egress_reason reason)
{
	static const uint8_t access_denied[] = {21, 3, 1, 0, 2, 2, 49}; /* RFC 8446, 6.2 */

	if (reason == PF_EGRESS_TLS_NAME || reason == PF_EGRESS_TLS_NO_NAME ||
	    reason == PF_EGRESS_TLS_HIDDEN || reason == PF_EGRESS_MALFORMED)
		pf_buf_add(&c->down.made, access_denied, sizeof(access_denied));
}

static void answer(struct pf__conn *c, const struct pf__refusal *r)
{
	uint8_t reply[PF_SOCKS_REPLY_SIZE];

	if (c->state == PF__TUNNEL) {
		answer_tunnel(c, r->reason);
	} else if (c->protocol == PF_EGRESS_SOCKS) {
		pf_socks_reply(r->socks, reply);
		pf_buf_add(&c->down.made, reply, sizeof(reply));
	} else if (c->state != PF__EXCHANGE || !c->ex.answered) {
		answer_http(c, r);
	}
}

void pf__refuse(struct pf__conn *c, const struct pf__refusal *r)
{
	bool was_open = c->opened;

	answer(c, r);
	if (was_open)
		pf__report(c, PF_EGRESS_CLOSED, r->reason, NULL, r->hint);
	/* An open connection that is refused is both: an end, and a denial. A peer's fault is an end alone.
	 */
	if (!was_open || r->kind == PF_EGRESS_DENIED)
		pf__report(c, r->kind, r->reason, r->rule, r->hint);
	pf__conn_linger(c);
}

void pf__refuse_host(struct pf__conn *c, enum pf_egress_reason reason, const char *what)
{
	struct pf__refusal r = {.kind = PF_EGRESS_DENIED, .reason = reason, .status = 403};
	char target[PF_TARGET_TEXT], address[PF_ADDRESS_TEXT];
	struct pf_host found = {.address = c->address};
	struct pf_error err = {0};
	struct pf_rule rule;
	const char *quote;

	r.socks = PF_SOCKS_REFUSED_BY_RULE;
	pf_address_print(&c->address, address);
	if (reason == PF_EGRESS_NEVER) {
		snprintf(r.rule, sizeof(r.rule), "network.link_local=never");
		snprintf(r.hint, sizeof(r.hint), "%s is %s: nothing allows it", address, what);
	} else if (reason == PF_EGRESS_SPECIAL) {
		pf_host_print(&found, c->port, target);
		quote = found.address.family == 6 ? "'" : "";
		snprintf(r.rule, sizeof(r.rule), "network.private=deny");
		snprintf(r.hint, sizeof(r.hint), "its address is %s, %s; allow that with --allow %s%s%s",
			 address, what, quote, target, quote);
	} else {
		pf_host_print(&c->host, c->port, target);
		quote = c->host.address.family == 6 ? "'" : "";
		snprintf(r.rule, sizeof(r.rule), "network.default=deny");
		/* localhost, *.onion: there is no such rule to be written, and the refusal of it says why. */
		if (pf_rule_parse(target, &rule, &err) < 0)
			snprintf(r.hint, sizeof(r.hint), "%s", err.msg);
		else
			snprintf(r.hint, sizeof(r.hint), "allow it with --allow %s%s%s", quote, target,
				 quote);
	}
	pf__refuse(c, &r);
}

void pf__refuse_form(struct pf__conn *c, int status, const char *why)
{
	struct pf__refusal r = {.kind = PF_EGRESS_DENIED, .reason = PF_EGRESS_MALFORMED, .status = status};

	if (status == 405 || status == 501 || status == 505)
		r.reason = PF_EGRESS_UNSUPPORTED;
	r.socks = PF_SOCKS_FAILED;
	snprintf(r.rule, sizeof(r.rule), "network.protocol");
	snprintf(r.hint, sizeof(r.hint), "%s", why);
	pf__refuse(c, &r);
}

void pf__refuse_tls(struct pf__conn *c, enum pf_tls_verdict v)
{
	struct pf__refusal r = {.kind = PF_EGRESS_DENIED};
	const char *name = c->tls.hello.name;

	snprintf(r.rule, sizeof(r.rule), "network.tls_name");
	switch (v) {
	case PF_TLS_OTHER_NAME:
		r.reason = PF_EGRESS_TLS_NAME;
		snprintf(r.hint, sizeof(r.hint),
			 "the TLS handshake asks for %s; CONNECT to that, with --allow %s:%u", name, name,
			 c->port);
		break;
	case PF_TLS_NO_NAME:
		r.reason = PF_EGRESS_TLS_NO_NAME;
		snprintf(r.hint, sizeof(r.hint), "the TLS handshake names no server (SNI)");
		break;
	case PF_TLS_ENCRYPTED:
		r.reason = PF_EGRESS_TLS_HIDDEN;
		snprintf(r.hint, sizeof(r.hint), "the TLS handshake hides its server's name: switch ECH off");
		break;
	case PF_TLS_NOT_TLS:
		r.reason = PF_EGRESS_NOT_TLS;
		snprintf(r.rule, sizeof(r.rule), "network.port_443=tls");
		snprintf(r.hint, sizeof(r.hint), "on port 443 only TLS passes");
		break;
	default:
		r.reason = PF_EGRESS_MALFORMED;
		snprintf(r.hint, sizeof(r.hint), "the TLS handshake cannot be read: %s",
			 c->tls.why ? c->tls.why : "?");
	}
	pf__refuse(c, &r);
}

void pf__refuse_limit(struct pf__conn *c, enum pf_egress_reason reason)
{
	const struct pf_egress_limits *l = &c->px->setup.limits;
	struct pf__refusal r = {.kind = PF_EGRESS_DENIED, .reason = reason, .socks = PF_SOCKS_FAILED};

	if (reason == PF_EGRESS_TOO_MANY) {
		r.status = 503;
		snprintf(r.rule, sizeof(r.rule), "network.connections=%u", l->connections);
		snprintf(r.hint, sizeof(r.hint), "so many are open at once; close some");
	} else if (reason == PF_EGRESS_TOO_MUCH) {
		r.status = 403;
		snprintf(r.rule, sizeof(r.rule), "network.bytes=%llu", (unsigned long long)l->bytes);
		snprintf(r.hint, sizeof(r.hint), "this sandbox has sent and received so much already");
	} else {
		r.status = 408;
		snprintf(r.rule, sizeof(r.rule), "network.header_time=%ums", l->header_ms);
		snprintf(r.hint, sizeof(r.hint), "the request did not come whole in that time");
	}
	pf__refuse(c, &r);
}

void pf__unreached(struct pf__conn *c, enum pf_egress_reason reason, const char *what)
{
	struct pf__refusal r = {.kind = PF_EGRESS_UNREACHED, .reason = reason, .status = 502};

	r.socks = reason == PF_EGRESS_UNREACHABLE ? PF_SOCKS_CONNECTION_REFUSED : PF_SOCKS_HOST_UNREACHABLE;
	if (reason == PF_EGRESS_TIMEOUT)
		r.status = 504;
	snprintf(r.hint, sizeof(r.hint), "%s", what);
	pf__refuse(c, &r);
}
