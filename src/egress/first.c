/* SPDX-License-Identifier: Apache-2.0 */
/* What a client says first: HTTP or SOCKS5, told apart by its first byte, to where it wants to go. */
#include <errno.h>
#include <string.h>

#include "egress/proxy_internal.h"

static void detect(struct pf__conn *c)
{
	size_t n;
	const uint8_t *p = pf__flow_rest(&c->up, &n);

	if (n == 0)
		return;
	c->deadline = c->px->now + c->px->setup.limits.header_ms * PF__MS;
	c->started = c->px->now;
	if (p[0] == 5 && !c->inside)
		c->state = PF__GREETING;
	else if (p[0] >= 'A' && p[0] <= 'Z')
		c->state = PF__HEAD;
	else
		pf__refuse_form(c, 400,
				p[0] == 4 ? "SOCKS4 is not spoken here: use SOCKS5 or HTTP"
					  : "it is neither HTTP nor SOCKS5");
}

static void take_request(struct pf__conn *c, const char *p, size_t head)
{
	struct pf_http_request q;
	struct pf_http_fault fault = {0};
	int r = pf_http_request_parse(p, head, c->inside ? &c->within : NULL, &q, &fault);

	c->host = q.host;
	c->port = q.port;
	c->named = q.port != 0;
	c->protocol = q.connect ? PF_EGRESS_CONNECT : PF_EGRESS_HTTP;
	c->ex = (struct pf__exchange){
		.asked = pf_http_asked(&q), .kind = q.head.body, .length = q.head.length};
	c->ex.keep = !q.head.http10 && !q.head.close;
	if (r == 0 && !q.connect && pf_http_request_print(&q, &c->ex.head) < 0)
		pf__conn_close(c, PF_EGRESS_CUT);
	pf__flow_drop(&c->up, head);
	if (c->state == PF__DEAD)
		return;
	if (r < 0)
		pf__refuse_form(c, fault.status, fault.why);
	else
		pf__judge(c);
}

static void take_head(struct pf__conn *c)
{
	size_t n, head = 0;
	const char *p = (const char *)pf__flow_rest(&c->up, &n);

	if (n)
		head = pf_http_head_end(p, n, &c->scanned);
	if (head && head <= PF_HTTP_HEAD_MAX) {
		c->scanned = 0;
		take_request(c, p, head);
	} else if (n > PF_HTTP_HEAD_MAX) {
		pf__refuse_form(c, 431, "the head is larger than 32 KiB");
	} else if (n >= 14 && memcmp(p, "PRI * HTTP/2.0", 14) == 0) {
		pf__refuse_form(c, 505, "HTTP/2 is not spoken here");
	}
}

static void take_greeting(struct pf__conn *c)
{
	size_t n;
	const uint8_t *p = pf__flow_rest(&c->up, &n);
	ssize_t size = pf_socks_greeting(p, n);

	c->protocol = PF_EGRESS_SOCKS;
	if (size == 0)
		return;
	if (size < 0) {
		pf_buf_add(&c->down.made, PF_SOCKS_NO_METHOD, 2);
		pf__report(c, PF_EGRESS_DENIED, PF_EGRESS_UNSUPPORTED, "network.protocol",
			   "only SOCKS5 without authentication is spoken here");
		pf__conn_linger(c);
		return;
	}
	pf_buf_add(&c->down.made, PF_SOCKS_GREETED, 2);
	pf__flow_drop(&c->up, (size_t)size);
	c->state = PF__REQUEST;
}

static void take_socks(struct pf__conn *c)
{
	enum pf_socks_reply reply = PF_SOCKS_FAILED;
	const char *why = NULL;
	size_t n;
	const uint8_t *p = pf__flow_rest(&c->up, &n);
	ssize_t size = pf_socks_request(p, n, &c->host, &c->port, &reply, &why);

	if (size == 0)
		return;
	if (size < 0) {
		struct pf__refusal r = {
			.kind = PF_EGRESS_DENIED, .reason = PF_EGRESS_UNSUPPORTED, .socks = reply};

		if (reply == PF_SOCKS_FAILED)
			r.reason = PF_EGRESS_MALFORMED;
		strcpy(r.rule, "network.protocol");
		strncpy(r.hint, why, sizeof(r.hint) - 1);
		pf__refuse(c, &r);
		return;
	}
	pf__flow_drop(&c->up, (size_t)size);
	pf__judge(c);
}

void pf__first(struct pf__conn *c)
{
	switch (c->state) {
	case PF__DETECT:
		detect(c);
		break;
	case PF__HEAD:
		take_head(c);
		break;
	case PF__GREETING:
		take_greeting(c);
		break;
	default:
		take_socks(c);
		break;
	}
}
