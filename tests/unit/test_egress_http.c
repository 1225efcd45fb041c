/* SPDX-License-Identifier: Apache-2.0 */
/* egress/http: requests, responses and bodies, with the examples of RFC 9112 and what smugglers send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "egress/http.h"

/* A copy without a NUL behind it, so that ASan sees a read beyond the end. */
static char *exact(const char *text, size_t n)
{
	char *p = malloc(n ? n : 1);

	assert_non_null(p);
	memcpy(p, text, n);
	return p;
}

static int parse(const char *text, struct pf_http_request *q, struct pf_http_fault *fault, char **keep)
{
	size_t n = strlen(text);

	*keep = exact(text, n);
	return pf_http_request_parse(*keep, n, NULL, q, fault);
}

/* What it sends on, or the number of its refusal. */
static void request(const char *text, int status, const char *printed)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	PF_AUTO_FREE char *keep = NULL;
	struct pf_http_request q;
	struct pf_http_fault fault = {0};
	int r = parse(text, &q, &fault, &keep);

	if (status) {
		if (r != -EPROTO || fault.status != status || !fault.why)
			fail_msg("%s: %d, %d %s", text, r, fault.status, fault.why ? fault.why : "");
		return;
	}
	if (r < 0)
		fail_msg("%s: %d %s", text, fault.status, fault.why);
	assert_int_equal(pf_http_request_print(&q, &out), 0);
	assert_string_equal(out.data, printed);
}

#define REFUSED(status, text) request(text, status, NULL)

static void heads_are_found_byte_by_byte(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\nbody\r\n\r\n";
	size_t scanned = 0, whole = strlen("GET / HTTP/1.1\r\nHost: x\r\n\r\n");

	(void)state;
	for (size_t n = 0; n < whole; n++)
		assert_int_equal(pf_http_head_end(text, n, &scanned), 0);
	assert_int_equal(pf_http_head_end(text, whole, &scanned), whole);
	scanned = 0;
	assert_int_equal(pf_http_head_end(text, sizeof(text) - 1, &scanned), whole);
	scanned = 0;
	assert_int_equal(pf_http_head_end("\r\n\r\n", 4, &scanned), 4);
}

static void requests_of_rfc_9112(void **state)
{
	(void)state;
	/* 3.2.2, absolute-form */
	request("GET http://www.example.org/pub/WWW/TheProject.html HTTP/1.1\r\nHost: "
		"www.example.org\r\n\r\n",
		0,
		"GET /pub/WWW/TheProject.html HTTP/1.1\r\nHost: www.example.org\r\nConnection: "
		"close\r\n\r\n");
	/* 3.2.4, asterisk-form: what the last proxy sends for an empty path */
	request("OPTIONS http://www.example.org:8001 HTTP/1.1\r\nHost: www.example.org:8001\r\n\r\n", 0,
		"OPTIONS * HTTP/1.1\r\nHost: www.example.org:8001\r\nConnection: close\r\n\r\n");
	/* RFC 9110, 7.6.1: fields of the connection, by their name and by Connection's word */
	request("GET http://a.test/ HTTP/1.1\r\nHost: a.test:80\r\nTE: trailers\r\nConnection: close, X-Hop "
		",,\r\n"
		"X-Hop: 1\r\nX-Stay: 2\r\nProxy-Connection: keep-alive\r\n\r\n",
		0, "GET / HTTP/1.1\r\nHost: a.test\r\nX-Stay: 2\r\nConnection: close\r\n\r\n");
	request("GET http://[2001:DB8::1]:81/?q HTTP/1.1\r\nHost: [2001:db8:0::1]:81\r\nX:\r\n\r\n", 0,
		"GET /?q HTTP/1.1\r\nHost: [2001:db8::1]:81\r\nX: \r\nConnection: close\r\n\r\n");
	request("GET http://a.test HTTP/1.0\r\n\r\n", 0,
		"GET / HTTP/1.0\r\nHost: a.test\r\nConnection: close\r\n\r\n");
	request("M-SEARCH HTTP://A.test/ HTTP/1.1\r\nHost: a.test\r\nX: \xc3\xa4\tb\r\n\r\n", 0,
		"M-SEARCH / HTTP/1.1\r\nHost: a.test\r\nX: \xc3\xa4\tb\r\nConnection: close\r\n\r\n");
	request("POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\nContent-Length: 007\r\n\r\n", 0,
		"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 7\r\nConnection: close\r\n\r\n");
	request("POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: CHUNKED\r\n\r\n", 0,
		"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
}

static void connect_names_host_and_port(void **state)
{
	struct pf_http_request q;
	struct pf_http_fault fault = {0};
	PF_AUTO_FREE char *one = NULL, *two = NULL, *three = NULL;

	(void)state;
	assert_int_equal(
		parse("CONNECT Example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n", &q, &fault, &one), 0);
	assert_true(q.connect && q.port == 443);
	assert_string_equal(q.host.name, "example.org");
	assert_int_equal(parse("CONNECT 1.2.3.4:1 HTTP/1.0\r\n\r\n", &q, &fault, &two), 0);
	assert_int_equal(q.host.address.family, 4);
	assert_int_equal(parse("CONNECT [::1]:1 HTTP/1.1\r\nHost: [::1]:1\r\n\r\n", &q, &fault, &three), 0);
	assert_int_equal(q.host.address.family, 6);
	REFUSED(400, "CONNECT a.test HTTP/1.1\r\nHost: a.test\r\n\r\n");
	REFUSED(400, "CONNECT a.test: HTTP/1.1\r\nHost: a.test\r\n\r\n");
	REFUSED(400, "CONNECT http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n");
	REFUSED(400, "CONNECT a.test:1/x HTTP/1.1\r\nHost: a.test:1\r\n\r\n");
	REFUSED(400, "CONNECT u@a.test:1 HTTP/1.1\r\nHost: a.test:1\r\n\r\n");
	REFUSED(400, "CONNECT a.test:1 HTTP/1.1\r\nHost: b.test:1\r\n\r\n");
	REFUSED(400, "CONNECT a.test:1 HTTP/1.1\r\nHost: a.test:2\r\n\r\n");
	REFUSED(400, "CONNECT a.test:1 HTTP/1.1\r\nHost: a.test:1\r\nContent-Length: 0\r\n\r\n");
	REFUSED(400, "CONNECT a.test:1 HTTP/1.1\r\nHost: a.test:1\r\nTransfer-Encoding: chunked\r\n\r\n");
	/* the method is upper-case: this is another one */
	REFUSED(501, "connect a.test:1 HTTP/1.1\r\nHost: a.test:1\r\n\r\n");
}

static void in_a_tunnel_only_its_host_is_asked(void **state)
{
	static const struct {
		const char *text;
		int status;
	} all[] = {
		{"GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n", 0},
		{"GET /x HTTP/1.1\r\nHost: A.TEST.:80\r\n\r\n", 0},
		{"GET /x HTTP/1.0\r\n\r\n", 0},
		{"OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n", 0},
		{"GET /x HTTP/1.1\r\nHost: b.test\r\n\r\n", 400},
		{"GET /x HTTP/1.1\r\nHost: a.test:81\r\n\r\n", 400},
		{"GET /x HTTP/1.1\r\n\r\n", 400},
		{"GET * HTTP/1.1\r\nHost: a.test\r\n\r\n", 400},
		{"GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n", 400},
		{"CONNECT b.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n", 400},
		{"TRACE /x HTTP/1.1\r\nHost: a.test\r\n\r\n", 405},
	};
	const struct pf_http_origin within = {.host = {.name = "a.test"}, .port = 80};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(all); i++) {
		PF_AUTO_FREE char *keep = exact(all[i].text, strlen(all[i].text));
		struct pf_http_request q;
		struct pf_http_fault fault = {0};
		int r = pf_http_request_parse(keep, strlen(all[i].text), &within, &q, &fault);

		if (fault.status != all[i].status || (r < 0) != (all[i].status != 0))
			fail_msg("%s: %d", all[i].text, fault.status);
		if (r == 0)
			assert_true(!q.connect && q.port == 80 && strcmp(q.host.name, "a.test") == 0);
	}
}

#define GET  "GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n"
#define POST "POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\n"

static void smuggled_framing(void **state)
{
	static const char *const bad[] = {
		POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
		POST "Content-Length: 1, 1\r\n\r\n",
		POST "Content-Length: -1\r\n\r\n",
		POST "Content-Length: +1\r\n\r\n",
		POST "Content-Length: 1 1\r\n\r\n",
		POST "Content-Length: 0x1\r\n\r\n",
		POST "Content-Length: 1.0\r\n\r\n",
		POST "Content-Length:\r\n\r\n",
		POST "Content-Length: 1000000000000000000\r\n\r\n",
		POST "Content-Length: 18446744073709551617\r\n\r\n",
		POST "Content-Length: \xc2\xb9\r\n\r\n",
		POST "content-length: 1\r\nCONTENT-LENGTH: 2\r\n\r\n",
		POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		POST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
		POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		POST "Transfer-Encoding : chunked\r\n\r\n",
		POST "Transfer-Encoding\t: chunked\r\n\r\n",
		POST " Transfer-Encoding: chunked\r\n\r\n",
		POST "X: y\r\n Transfer-Encoding: chunked\r\n\r\n",
		POST "Transfer-Encoding:\r\n chunked\r\n\r\n",
		POST "Transfer-Encoding: chunked\r\n\t\r\n\r\n",
		POST "Transfer-Encoding: chunked\n\r\n\r\n",
		POST "X: y\nTransfer-Encoding: chunked\r\n\r\n",
		POST "X: y\rTransfer-Encoding: chunked\r\n\r\n",
		POST "X: \x0bTransfer-Encoding: chunked\r\n\r\n",
		POST "Transfer_Encoding: chunked\r\n\r\n",
		POST "Content_Length: 1\r\n\r\n",
		POST "Host: a.test\r\n\r\n",
		POST "host: b.test\r\n\r\n",
		POST ": x\r\n\r\n",
		POST "X\r\n\r\n",
		POST "X y: z\r\n\r\n",
		POST "X: \x7f\r\n\r\n",
		POST "X: \x01\r\n\r\n",
		POST "X(y): z\r\n\r\n",
		POST "\xc3\xa4: z\r\n\r\n",
		POST "Connection: Host\r\n\r\n",
		POST "Connection: content-length\r\nContent-Length: 1\r\n\r\n",
		POST "Connection: a b\r\n\r\n",
		POST "Proxy-Connection: transfer-encoding\r\n\r\n",
		POST "\r\nX: y\r\n\r\n",
		"GET http://a.test/ HTTP/1.1\r\n\r\n",
		"GET http://a.test/ HTTP/1.1\r\nHost: b.test\r\n\r\n",
		"GET http://a.test/ HTTP/1.1\r\nHost: a.test:81\r\n\r\n",
		"GET http://a.test:81/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET http://a.test/ HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n",
		"GET http://a.test/ HTTP/1.1\r\nHost: \r\n\r\n",
		"GET http://a.test/ HTTP/1.1\r\nHost: a.test/\r\n\r\n",
		"GET http://a.test/ HTTP/1.1\r\nHost: u@a.test\r\n\r\n",
		"GET http://a.test/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
		"GET http://a.test/ HTTP/1.0\r\nHost: b.test\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++)
		REFUSED(400, bad[i]);
	REFUSED(501, POST "Transfer-Encoding: gzip, chunked\r\n\r\n");
	REFUSED(501, POST "Transfer-Encoding: chunked, identity\r\n\r\n");
	REFUSED(501, POST "Transfer-Encoding: identity\r\n\r\n");
	REFUSED(501, POST "Transfer-Encoding: \"chunked\"\r\n\r\n");
	REFUSED(501, POST "Transfer-Encoding: chunked;x\r\n\r\n");
	REFUSED(501, POST "Transfer-Encoding:\r\n\r\n");
}

static void first_lines_that_are_none(void **state)
{
	static const char *const bad[] = {
		"\r\n\r\n",
		"GET\r\n\r\n",
		"GET \r\n\r\n",
		"GET  HTTP/1.1\r\n\r\n",
		"GET http://a.test/\r\n\r\n",
		"GET  http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET http://a.test/  HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET http://a.test/ HTTP/1.1 \r\nHost: a.test\r\n\r\n",
		" GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET http://a.test/\tHTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET http://a.test/ http/1.1\r\nHost: a.test\r\n\r\n",
		"GET http://a.test/#x HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET http://a.test/\xc3\xa4 HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET http://a.test\\@b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET http:///x HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET http://u:p@a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET http://a.test:/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET http://a.test?x HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET * HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"G(T http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET http://127.1/ HTTP/1.1\r\nHost: 127.1\r\n\r\n",
		"GET http://0x7f000001/ HTTP/1.1\r\nHost: 0x7f000001\r\n\r\n",
		"GET http://[::1/ HTTP/1.1\r\nHost: [::1]\r\n\r\n",
		"GET http://[::1%25lo]/ HTTP/1.1\r\nHost: [::1]\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++)
		REFUSED(400, bad[i]);
	REFUSED(505, "GET http://a.test/ HTTP/1.2\r\nHost: a.test\r\n\r\n");
	REFUSED(505, "GET http://a.test/ HTTP/2\r\nHost: a.test\r\n\r\n");
	REFUSED(505, "GET http://a.test/ HTTP/1.10\r\nHost: a.test\r\n\r\n");
	REFUSED(505, "PRI * HTTP/2.0\r\n\r\n");
	REFUSED(501, "GET https://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n");
	REFUSED(501, "GET ftp://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n");
	REFUSED(501, GET "Upgrade: websocket\r\nConnection: upgrade\r\n\r\n");
	REFUSED(501, GET "Upgrade: h2c, websocket\r\n\r\n");
	REFUSED(405, "TRACE http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n");
	request(GET "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x\r\n\r\n", 0,
		"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
}

static void heads_are_bounded(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf_http_request q;
	struct pf_http_fault fault = {0};

	(void)state;
	pf_buf_adds(&b, GET);
	for (int i = 0; i < 127; i++)
		pf_buf_adds(&b, "X: y\r\n");
	pf_buf_adds(&b, "\r\n");
	assert_int_equal(pf_http_request_parse(b.data, b.len, NULL, &q, &fault), 0);
	b.len -= 2;
	pf_buf_adds(&b, "X: y\r\n\r\n");
	assert_int_equal(pf_http_request_parse(b.data, b.len, NULL, &q, &fault), -EPROTO);
	assert_int_equal(fault.status, 431);
	b.len = 0;
	pf_buf_addf(&b, "GET http://a.test/%0*d HTTP/1.1\r\nHost: a.test\r\n\r\n", PF_HTTP_LINE_MAX, 0);
	assert_int_equal(pf_http_request_parse(b.data, b.len, NULL, &q, &fault), -EPROTO);
	assert_int_equal(fault.status, 414);
	b.len = 0;
	pf_buf_addf(&b, GET "X: %0*d\r\n\r\n", PF_HTTP_LINE_MAX, 0);
	assert_int_equal(pf_http_request_parse(b.data, b.len, NULL, &q, &fault), -EPROTO);
	assert_int_equal(fault.status, 431);
	b.len = 0;
	pf_buf_adds(&b, GET);
	for (int i = 0; i < 4; i++)
		pf_buf_addf(&b, "X: %0*d\r\n", PF_HTTP_LINE_MAX / 2, 0);
	pf_buf_adds(&b, "\r\n");
	assert_int_equal(pf_http_request_parse(b.data, b.len, NULL, &q, &fault), -EPROTO);
	assert_int_equal(fault.status, 431);
	/* cut anywhere, or with more behind it */
	for (size_t n = 0; n < strlen(GET "\r\n"); n++)
		assert_int_equal(pf_http_request_parse(GET "\r\n", n, NULL, &q, &fault), -EPROTO);
	assert_int_equal(pf_http_request_parse(GET "\r\nx", strlen(GET "\r\nx"), NULL, &q, &fault), -EPROTO);
}

/* --- responses ------------------------------------------------------------------------ */

static int respond(const char *text, struct pf_http_asked asked, struct pf_http_response *r,
		   struct pf_http_fault *fault, char **keep)
{
	size_t n = strlen(text);

	*keep = exact(text, n);
	return pf_http_response_parse(*keep, n, asked, r, fault);
}

static void response(const char *text, struct pf_http_asked asked, enum pf_http_body_kind kind,
		     const char *printed)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	PF_AUTO_FREE char *keep = NULL;
	struct pf_http_response r;
	struct pf_http_fault fault = {0};
	int e = respond(text, asked, &r, &fault, &keep);

	if (!printed) {
		if (e != -EPROTO || fault.status != 502 || !fault.why)
			fail_msg("%s: %d, %d %s", text, e, fault.status, fault.why ? fault.why : "");
		return;
	}
	if (e < 0)
		fail_msg("%s: %s", text, fault.why);
	assert_int_equal(r.head.body, kind);
	assert_int_equal(pf_http_response_print(&r, true, &out), 0);
	assert_string_equal(out.data, printed);
}

static void framing_of_rfc_9112_6_3(void **state)
{
	const struct pf_http_asked get = {0}, head = {.head = true}, old = {.http10 = true};

	(void)state;
	response("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", get, PF_HTTP_LENGTH,
		 "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n");
	response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n", get,
		 PF_HTTP_CHUNKED,
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n");
	response("HTTP/1.0 200 \r\nX: y\r\n\r\n", get, PF_HTTP_UNTIL_CLOSE,
		 "HTTP/1.1 200 \r\nX: y\r\nConnection: keep-alive\r\n\r\n");
	response("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", get, PF_HTTP_LENGTH,
		 "HTTP/1.1 200 \r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
	response("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", head, PF_HTTP_NONE,
		 "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n");
	response("HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", get, PF_HTTP_NONE,
		 "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n");
	response("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", get, PF_HTTP_NONE,
		 "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n");
	response("HTTP/1.1 100 Continue\r\n\r\n", get, PF_HTTP_NONE, "HTTP/1.1 100 Continue\r\n\r\n");
	response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", old, PF_HTTP_NONE, NULL);
	response("HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n", get,
		 PF_HTTP_LENGTH,
		 "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\nConnection: "
		 "keep-alive\r\n\r\n");
}

static void responses_that_are_none(void **state)
{
	static const char *const bad[] = {
		"\r\n\r\n",
		"HTTP/1.1\r\n\r\n",
		"HTTP/1.1 \r\n\r\n",
		"HTTP/1.1 20\r\n\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n",
		"HTTP/1.1  200 OK\r\n\r\n",
		"HTTP/1.1 200OK\r\n\r\n",
		"HTTP/1.1 099 OK\r\n\r\n",
		"HTTP/1.1 600 OK\r\n\r\n",
		"HTTP/1.1 -20 OK\r\n\r\n",
		"HTTP/1.2 200 OK\r\n\r\n",
		"HTTP/2.0 200 OK\r\n\r\n",
		"http/1.1 200 OK\r\n\r\n",
		"ICY 200 OK\r\n\r\n",
		"HTTP/1.1 200 O\x01K\r\n\r\n",
		"HTTP/1.1 101 Switching\r\n\r\n",
		"HTTP/1.1 200 OK\nX: y\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
		"HTTP/1.1 204 x\r\nContent-Length: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nConnection: set-cookie\r\nSet-Cookie: a\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++)
		response(bad[i], (struct pf_http_asked){0}, PF_HTTP_NONE, NULL);
}

/* --- bodies --------------------------------------------------------------------------- */

/* Scan in pieces of `step`. How many bytes it took, or -EPROTO. */
static ssize_t scan(struct pf_http_body *b, const char *text, size_t n, size_t step)
{
	size_t at = 0;

	while (at < n && !b->done) {
		size_t piece = n - at < step ? n - at : step;
		PF_AUTO_FREE char *p = exact(text + at, piece);
		ssize_t r = pf_http_body_scan(b, p, piece);

		if (r < 0)
			return r;
		at += (size_t)r;
		if ((size_t)r < piece)
			assert_true(b->done);
	}
	return (ssize_t)at;
}

static void chunks(const char *text, bool trailers, ssize_t taken, bool done)
{
	for (size_t step = 1; step < 9; step++) {
		struct pf_http_body b;
		ssize_t r;

		pf_http_body_init(&b, PF_HTTP_CHUNKED, 0, trailers);
		r = scan(&b, text, strlen(text), step);
		if (r != taken || (r >= 0 && b.done != done))
			fail_msg("%s by %zu: %zd, %d", text, step, r, b.done);
	}
}

static void bodies_end_where_they_say(void **state)
{
	static const char *const bad[] = {
		"\r\n",
		"x\r\n",
		"-1\r\n",
		"+1\r\n",
		" 1\r\n",
		"0x1\r\n",
		"1 \r\n",
		"1;\r\n",
		"1;x=y\r\n",
		"1\n",
		"1\rx",
		"1\r\nabc",
		"1\r\na\n",
		"1\r\na\rx",
		"1\r\na\r\n\r\n",
		"1000000000000000\r\n",
		"0000000000000000\r\n",
		"0\rx",
		"0\n",
		"0\r\n\n",
		"0\r\n\rx",
		"0\r\nX: y\r\n\r\n",
	};
	struct pf_http_body b;

	(void)state;
	for (size_t step = 1; step < 9; step++) {
		pf_http_body_init(&b, PF_HTTP_LENGTH, 10, false);
		assert_int_equal(scan(&b, "0123456789abc", 13, step), 10);
		assert_true(b.done);
	}
	pf_http_body_init(&b, PF_HTTP_LENGTH, 0, false);
	assert_true(b.done);
	pf_http_body_init(&b, PF_HTTP_NONE, 5, false);
	assert_true(b.done);
	pf_http_body_init(&b, PF_HTTP_UNTIL_CLOSE, 0, false);
	assert_int_equal(pf_http_body_scan(&b, "abc", 3), 3);
	assert_false(b.done);
	chunks("5\r\nhello\r\n0\r\n\r\nGET", false, 15, true);
	chunks("00a\r\n0123456789\r\n0\r\n\r\n", false, 22, true);
	chunks("A\r\n\r\n\r\n\r\n\r\n\r\n\r\n000\r\n\r\n", false, 22, true);
	chunks("5\r\nhel", false, 6, false);
	chunks("0\r\nX-Sum: a b\r\nY:\r\n\r\nrest", true, 21, true);
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++)
		chunks(bad[i], false, -EPROTO, false);
	chunks("0\r\n X: y\r\n\r\n", true, -EPROTO, false);
	chunks("0\r\nX : y\r\n\r\n", true, -EPROTO, false);
	chunks("0\r\nX: y\nZ: \r\n\r\n", true, -EPROTO, false);
	chunks("0\r\nX: \x01\r\n\r\n", true, -EPROTO, false);
	chunks("0\r\n: y\r\n\r\n", true, -EPROTO, false);
}

static void trailers_are_bounded(void **state)
{
	struct pf_http_body b;
	ssize_t r = 0;

	(void)state;
	pf_http_body_init(&b, PF_HTTP_CHUNKED, 0, true);
	assert_int_equal(pf_http_body_scan(&b, "0\r\n", 3), 3);
	for (int i = 0; i < 3000 && r >= 0; i++)
		r = pf_http_body_scan(&b, "X: y\r\n", 6);
	assert_int_equal(r, -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_are_found_byte_by_byte),
		cmocka_unit_test(requests_of_rfc_9112),
		cmocka_unit_test(connect_names_host_and_port),
		cmocka_unit_test(in_a_tunnel_only_its_host_is_asked),
		cmocka_unit_test(smuggled_framing),
		cmocka_unit_test(first_lines_that_are_none),
		cmocka_unit_test(heads_are_bounded),
		cmocka_unit_test(framing_of_rfc_9112_6_3),
		cmocka_unit_test(responses_that_are_none),
		cmocka_unit_test(bodies_end_where_they_say),
		cmocka_unit_test(trailers_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
