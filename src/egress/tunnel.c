/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tunnel: bytes both ways, the client's first ones looked at (tls_hello.h). On port 443 nothing but TLS
 * passes, and nothing comes back before the hello has; on other ports a protocol of its own may pass (git
 * over ssh), but what begins like TLS must be a hello with the right name.
 *
 * Who would speak TLS to both sides, for a credential that is put in at the door, does so in place of this
 * file: pf__tunnel_open() is where a connection that was judged and dialled is handed over.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "egress/broken.h"
#include "egress/proxy_internal.h"

#define TLS_PORT  443
#define HTTP_PORT 80

/* The client may go on. */
static void say_open(struct pf__conn *c)
{
	static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";
	uint8_t reply[PF_SOCKS_REPLY_SIZE];

	if (c->protocol == PF_EGRESS_SOCKS) {
		pf_socks_reply(PF_SOCKS_DONE, reply);
		pf_buf_add(&c->down.made, reply, sizeof(reply));
	} else {
		pf_buf_adds(&c->down.made, established);
	}
}

bool pf__tunnel_is_http(const struct pf__conn *c)
{
	return c->protocol != PF_EGRESS_HTTP && c->port == HTTP_PORT;
}

void pf__tunnel_open_http(struct pf__conn *c)
{
	say_open(c);
	c->inside = true;
	c->within = (struct pf_http_origin){c->host, c->port};
	pf__conn_next_request(c);
	c->request--; /* the tunnel is none */
}

void pf__tunnel_open(struct pf__conn *c)
{
	c->state = PF__TUNNEL;
	c->tls = (struct pf_tls_watch){.require = c->port == TLS_PORT, .also = pf__judge_tls_name, .ctx = c};
	if (!c->host.address.family)
		c->tls.name = c->host.name;
	if (pf__egress_broken("egress_tls"))
		c->tls = (struct pf_tls_watch){.done = true};
	say_open(c);
	c->deadline = c->px->now +
		      (c->tls.require ? c->px->setup.limits.header_ms : c->px->setup.limits.idle_ms) * PF__MS;
	pf__report(c, PF_EGRESS_OPENED, PF_EGRESS_NONE, NULL, NULL);
	pf__tunnel_run(c);
}

/* Is nothing held back for the hello's sake? */
static bool free_to_answer(const struct pf__conn *c)
{
	return !c->tls.require || c->tls.seen || c->tls.done;
}

static bool verify(struct pf__conn *c)
{
	enum pf_tls_verdict v;
	const uint8_t *p;
	size_t n, pass;

	for (;;) {
		p = pf__flow_rest(&c->up, &n);
		if (n == 0)
			return true;
		v = pf_tls_watch(&c->tls, p, n, &pass);
		if (v != PF_TLS_FINE) {
			pf__refuse_tls(c, v);
			return false;
		}
		c->up.pass += pass;
		if (pass == 0)
			return true;
	}
}

/* Send what may be sent; false: the connection ended. */
static bool push(struct pf__conn *c, struct pf__flow *f, int fd, uint64_t *count)
{
	while (pf__flow_pending(f)) {
		size_t made = f->made.len - f->made_at;
		ssize_t n = pf__flow_write(f, fd);

		if (n == -EAGAIN)
			return true;
		if (n < 0) {
			pf__conn_close(c, PF_EGRESS_CUT);
			return false;
		}
		if (count && (size_t)n > made)
			*count += (size_t)n - made;
	}
	if (f->eof && f->len == 0 && !f->shut) {
		f->shut = true;
		shutdown(fd, SHUT_WR);
	}
	return true;
}

void pf__tunnel_run(struct pf__conn *c)
{
	size_t n;

	if (!verify(c))
		return;
	if (free_to_answer(c)) {
		pf__flow_rest(&c->down, &n);
		c->down.pass += n;
	}
	if (!push(c, &c->up, c->server, &c->sent) || !push(c, &c->down, c->client, NULL))
		return;
	if (c->broken && c->down.shut) {
		pf__conn_close(c, PF_EGRESS_CUT);
	} else if (c->up.shut && c->down.shut) {
		pf__conn_close(c, PF_EGRESS_NONE);
	} else if (c->up.eof && c->up.len && !pf__flow_pending(&c->up)) {
		c->tls.why = "it is cut"; /* the rest of a record will never come */
		pf__refuse_tls(c, PF_TLS_MALFORMED);
	}
}
