/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP request to one server over a connection of its own, and its response. The request goes out printed
 * anew (http_request.c), so this is also where a field of the policy's would be put in: pf__exchange_begin()
 * has the parsed request, its host judged afterwards, before a byte of it was sent.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "egress/proxy_internal.h"

#define INTERIM_MAX 8 /* 1xx responses before the final one */

void pf__exchange_open(struct pf__conn *c)
{
	struct pf__exchange *ex = &c->ex;

	c->state = PF__EXCHANGE;
	c->up.made = ex->head;
	ex->head = (struct pf_buf){0};
	pf_http_body_init(&ex->up, ex->kind, ex->length, false);
	ex->answered = false;
	ex->interim = 0;
	ex->scanned = 0;
	c->deadline = c->px->now + c->px->setup.limits.idle_ms * PF__MS;
	pf__report(c, PF_EGRESS_OPENED, PF_EGRESS_NONE, NULL, NULL);
	pf__exchange_run(c);
}

/* The request's body, as far as it is there. */
static bool check_request(struct pf__conn *c)
{
	size_t n;
	const uint8_t *p = pf__flow_rest(&c->up, &n);
	ssize_t fit;

	if (c->up.shut)
		pf__flow_drop(&c->up, c->up.len); /* the server wants no more of it */
	if (c->up.shut || c->ex.up.done)
		return true;
	fit = n ? pf_http_body_scan(&c->ex.up, (const char *)p, n) : 0;
	if (fit < 0) {
		pf__refuse_form(c, 400, "a chunk of the request's body is malformed");
		return false;
	}
	c->up.pass += (size_t)fit;
	if (!c->ex.up.done && c->up.eof && (size_t)fit == n) {
		pf__conn_close(c, PF_EGRESS_CUT);
		return false;
	}
	return true;
}

/* The client gets what was good of a response, and sees by its framing that the rest is missing. */
static bool cut_answer(struct pf__conn *c, enum pf_egress_reason reason)
{
	pf__report(c, PF_EGRESS_CLOSED, reason, NULL, NULL);
	pf__conn_linger(c);
	return false;
}

static bool bad_answer(struct pf__conn *c, const char *why)
{
	if (c->ex.answered)
		return cut_answer(c, PF_EGRESS_BAD_ANSWER);
	pf__unreached(c, PF_EGRESS_BAD_ANSWER, why);
	return false;
}

static bool take_head(struct pf__conn *c, const char *p, size_t head)
{
	struct pf__exchange *ex = &c->ex;
	struct pf_http_response r;
	struct pf_http_fault fault = {0};

	if (pf_http_response_parse(p, head, ex->asked, &r, &fault) < 0)
		return bad_answer(c, fault.why);
	if (r.status < 200) {
		if (++ex->interim > INTERIM_MAX)
			return bad_answer(c, "it sends interim responses without end");
		/* HTTP/1.0 has none. */
		if (!ex->asked.http10)
			pf_http_response_print(&r, true, &c->down.made);
	} else {
		/* A response that comes before the request's end leaves a client that still sends. */
		ex->keep = ex->keep && ex->up.done && r.head.body != PF_HTTP_UNTIL_CLOSE;
		pf_http_response_print(&r, ex->keep, &c->down.made);
		pf_http_body_init(&ex->down, r.head.body, r.head.length, true);
		ex->answered = true;
	}
	pf__flow_drop(&c->down, head);
	ex->scanned = 0;
	return true;
}

/* Heads, up to the final one. */
static bool check_heads(struct pf__conn *c)
{
	while (!c->ex.answered) {
		size_t n, head = 0;
		const char *p = (const char *)pf__flow_rest(&c->down, &n);

		if (n)
			head = pf_http_head_end(p, n, &c->ex.scanned);
		if (head == 0) {
			if (n > PF_HTTP_HEAD_MAX)
				return bad_answer(c, "the head of its response is larger than 32 KiB");
			if (c->down.eof)
				return bad_answer(c, "it ends the connection without a response");
			return true;
		}
		if (!take_head(c, p, head))
			return false;
	}
	return true;
}

static bool check_response(struct pf__conn *c)
{
	struct pf_http_body *b = &c->ex.down;
	const uint8_t *p;
	ssize_t fit;
	size_t n;

	if (!check_heads(c))
		return false;
	if (!c->ex.answered)
		return true;
	p = pf__flow_rest(&c->down, &n);
	if (!b->done && n) {
		fit = pf_http_body_scan(b, (const char *)p, n);
		if (fit < 0)
			return bad_answer(c, NULL);
		c->down.pass += (size_t)fit;
		n -= (size_t)fit;
	}
	if (b->kind == PF_HTTP_UNTIL_CLOSE && c->down.eof && !c->broken)
		b->done = true;
	if (b->done) {
		c->down.len = c->down.pass; /* what follows a response is nobody's */
		return true;
	}
	/* Shorter than it said? */
	return c->down.eof ? cut_answer(c, PF_EGRESS_CUT) : true;
}

static void send_request(struct pf__conn *c)
{
	while (pf__flow_pending(&c->up)) {
		ssize_t n = pf__flow_write(&c->up, c->server);

		if (n == -EAGAIN)
			return;
		if (n < 0) {
			/* It may have answered before it closed: that is still to be read. */
			c->up.shut = true;
			c->up.pass = 0;
			pf_buf_free(&c->up.made);
			c->up.made_at = 0;
			pf__flow_drop(&c->up, c->up.len);
			return;
		}
		c->sent += (size_t)n;
	}
}

static bool send_response(struct pf__conn *c)
{
	while (pf__flow_pending(&c->down)) {
		ssize_t n = pf__flow_write(&c->down, c->client);

		if (n == -EAGAIN)
			return true;
		if (n < 0) {
			pf__conn_close(c, PF_EGRESS_CUT);
			return false;
		}
	}
	return true;
}

static void finish(struct pf__conn *c)
{
	bool keep = c->ex.keep && c->ex.up.done && !c->up.shut && !pf__flow_pending(&c->up);

	pf__report(c, PF_EGRESS_CLOSED, PF_EGRESS_NONE, NULL, NULL);
	pf__conn_close_server(c);
	if (keep)
		pf__conn_next_request(c);
	else
		pf__conn_linger(c);
}

void pf__exchange_run(struct pf__conn *c)
{
	if (!check_request(c))
		return;
	send_request(c);
	if (!check_response(c) || !send_response(c))
		return;
	if (c->ex.answered && c->ex.down.done && !pf__flow_pending(&c->down))
		finish(c);
}
