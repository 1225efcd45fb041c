/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to a proxy, CONNECT HOST:PORT and METHOD http://HOST/PATH, and to a server in a tunnel; see
 * http.h. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "egress/broken.h"
#include "egress/http_internal.h"

#define METHOD_MAX 32

/* "METHOD TARGET HTTP/1.1", two single spaces. */
static int split(struct pf__http_reader *r, struct pf_slice line, struct pf_http_request *q,
		 struct pf_slice *target)
{
	const char *end = line.p + line.n, *one = memchr(line.p, ' ', line.n), *two;
	int e;

	two = one ? memchr(one + 1, ' ', (size_t)(end - one - 1)) : NULL;
	if (!two || memchr(two + 1, ' ', (size_t)(end - two - 1)))
		return pf__http_fault(r, 400, "the first line is not METHOD TARGET HTTP/1.1");
	q->method = (struct pf_slice){line.p, (size_t)(one - line.p)};
	*target = (struct pf_slice){one + 1, (size_t)(two - one - 1)};
	if (q->method.n > METHOD_MAX || !pf__http_is_token(q->method))
		return pf__http_fault(r, 400, "the method is no word");
	e = pf__http_version(r, (struct pf_slice){two + 1, (size_t)(end - two - 1)}, &q->head.http10);
	if (e < 0)
		return e;
	for (size_t i = 0; i < target->n; i++) {
		unsigned char c = (unsigned char)target->p[i];

		/* '#' begins a fragment, which no request carries */
		if (c <= 0x20 || c >= 0x7f || c == '#')
			return pf__http_fault(r, 400, "the target has a character that no URI has");
	}
	return target->n ? 0 : pf__http_fault(r, 400, "the target is empty");
}

static int parse_authority(struct pf__http_reader *r, struct pf_slice s, struct pf_http_request *q)
{
	const char *why;

	if (memchr(s.p, '@', s.n))
		return pf__http_fault(r, 400, "the target names a user: host and port alone may stand there");
	if (pf_authority_parse(s.p, s.n, &q->host, &q->port, &why) < 0)
		return pf__http_fault(r, 400,
				      "the target's host is neither a name nor an address with a port");
	return 0;
}

/* METHOD http://HOST[:PORT][/PATH][?QUERY] */
static int parse_absolute(struct pf__http_reader *r, struct pf_slice target, struct pf_http_request *q)
{
	struct pf_slice rest = {target.p + 7, target.n - 7}, authority = rest;
	int e;

	for (authority.n = 0; authority.n < rest.n && !strchr("/?", rest.p[authority.n]);)
		authority.n++;
	e = parse_authority(r, authority, q);
	if (e < 0)
		return e;
	if (q->port == 0)
		q->port = 80;
	q->path = (struct pf_slice){rest.p + authority.n, rest.n - authority.n};
	if (q->path.n == 0)
		q->path = (struct pf_slice){pf_slice_is(q->method, "OPTIONS") ? "*" : "/", 1};
	else if (q->path.p[0] == '?')
		return pf__http_fault(r, 400, "the target has a query and no path");
	return 0;
}

/* In a tunnel: METHOD /PATH. */
static int parse_origin(struct pf__http_reader *r, struct pf_slice target,
			const struct pf_http_origin *within, struct pf_http_request *q)
{
	q->host = within->host;
	q->port = within->port;
	q->path = target;
	if (target.p[0] == '/' || (pf_slice_is(target, "*") && pf_slice_is(q->method, "OPTIONS")))
		return 0;
	return pf__http_fault(r, 400, "in a tunnel the target is a path alone");
}

static int parse_target(struct pf__http_reader *r, struct pf_slice target,
			const struct pf_http_origin *within, struct pf_http_request *q)
{
	int e;

	/* It would send credentials back to whoever asks; no client needs it. */
	if (pf_slice_is(q->method, "TRACE"))
		return pf__http_fault(r, 405, "TRACE is not relayed");
	if (within)
		return parse_origin(r, target, within, q);
	if (q->method.n == 7 && memcmp(q->method.p, "CONNECT", 7) == 0) {
		q->connect = true;
		e = parse_authority(r, target, q);
		if (e == 0 && q->port == 0)
			e = pf__http_fault(r, 400, "CONNECT names no port");
		return e;
	}
	if (target.n >= 7 && strncasecmp(target.p, "http://", 7) == 0)
		return parse_absolute(r, target, q);
	if (target.n >= 8 && strncasecmp(target.p, "https://", 8) == 0)
		return pf__http_fault(r, 501, "https goes through CONNECT");
	if (target.p[0] == '/' || pf_slice_is(target, "*"))
		return pf__http_fault(r, 400,
				      "this is a proxy and no web server: the target is a path alone");
	return pf__http_fault(r, 501, "only http URIs and CONNECT are relayed");
}

/* RFC 9112, 3.2.2 lets the URI win over Host. A server that sees it otherwise would serve another site. */
static int check_host(struct pf__http_reader *r, struct pf_http_request *q)
{
	struct pf_http_field *field;
	struct pf_host host;
	const char *why;
	uint16_t port;
	int e = pf__http_single(r, &q->head, "Host", &field);

	if (e < 0)
		return e;
	if (!field)
		return q->connect || q->head.http10 ? 0 : pf__http_fault(r, 400, "it has no Host");
	field->drop = !pf__egress_broken("egress_anew"); /* written anew */
	if (pf_authority_parse(field->value.p, field->value.n, &host, &port, &why) < 0)
		return pf__http_fault(r, 400, "Host is neither a name nor an address");
	/* Some clients leave the port out of a CONNECT's Host. */
	if (port == 0)
		port = q->connect ? q->port : 80;
	if ((!pf_host_equal(&host, &q->host) || port != q->port) && !pf__egress_broken("egress_host"))
		return pf__http_fault(r, 400, "Host is another than the target's");
	return 0;
}

/* Java asks for "h2c" with every request and is content without. Everything else waits for the switch. */
static int check_upgrade(struct pf__http_reader *r, struct pf_http_request *q)
{
	for (size_t i = 0; i < q->head.count; i++) {
		struct pf_http_field *f = &q->head.fields[i];

		if (pf_slice_is(f->name, "Upgrade") && !pf_slice_is(f->value, "h2c"))
			return pf__http_fault(r, 501, "Upgrade is not relayed: use TLS (https, wss)");
	}
	return 0;
}

int pf_http_request_parse(const char *p, size_t n, const struct pf_http_origin *within,
			  struct pf_http_request *out, struct pf_http_fault *fault)
{
	struct pf__http_reader r = {p, p + n, fault};
	struct pf_slice line, target = {0};
	int e;

	*out = (struct pf_http_request){0};
	if (n >= 14 && memcmp(p, "PRI * HTTP/2.0", 14) == 0)
		return pf__http_fault(&r, 505, "HTTP/2 is not spoken here");
	if (n > PF_HTTP_HEAD_MAX)
		return pf__http_fault(&r, 431, "the head is larger than 32 KiB");
	e = pf__http_line(&r, &line);
	if (e < 0)
		return fault->status == 431 ? pf__http_fault(&r, 414, "the first line is longer than 16 KiB")
					    : e;
	if ((e = split(&r, line, out, &target)) < 0 || (e = parse_target(&r, target, within, out)) < 0 ||
	    (e = pf__http_fields(&r, &out->head)) < 0 || (e = check_host(&r, out)) < 0 ||
	    (e = check_upgrade(&r, out)) < 0 || (e = pf__http_framing(&r, &out->head, PF_HTTP_NONE)) < 0)
		return e;
	if (out->connect && out->head.body != PF_HTTP_NONE)
		return pf__http_fault(&r, 400, "a CONNECT has no body");
	return 0;
}

int pf_http_request_print(const struct pf_http_request *r, struct pf_buf *out)
{
	char host[PF_TARGET_TEXT];

	pf_host_print(&r->host, r->port == 80 ? 0 : r->port, host);
	pf_buf_add(out, r->method.p, r->method.n);
	pf_buf_addc(out, ' ');
	pf_buf_add(out, r->path.p, r->path.n);
	/* An HTTP/1.0 client cannot read chunks, so the server must not be told that it could. No Via: it
	 * would tell servers of the sandbox, some answer proxies differently, and there is nothing here to
	 * loop. */
	pf_buf_addf(out, " HTTP/1.%d\r\n", r->head.http10 ? 0 : 1);
	if (!pf__egress_broken("egress_anew"))
		pf_buf_addf(out, "Host: %s\r\n", host);
	pf__http_print_fields(&r->head, out);
	pf_buf_adds(out, "Connection: close\r\n\r\n");
	return out->failed ? -ENOMEM : 0;
}
