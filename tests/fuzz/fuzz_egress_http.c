/* SPDX-License-Identifier: Apache-2.0 */
/*
 * egress/http: whatever is taken for a request or response is printed so that a second reader finds one
 * message in it, with one framing and one Host; a body ends at the same byte however it is cut. The first
 * byte chooses what the rest is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "egress/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                             \
	do {                                                                                                 \
		if (!(x)) {                                                                                  \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                              \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

/* A reader of its own: lines end in CRLF, there is one empty line and it is the end; how many fields of a
 * name. */
static unsigned count_fields(const struct pf_buf *b, const char *name)
{
	const char *p = b->data, *end = b->data + b->len;
	unsigned count = 0;
	size_t n = strlen(name);

	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));

		CHECK(nl && nl > p && nl[-1] == '\r');
		CHECK(!memchr(p, '\r', (size_t)(nl - 1 - p)) && !memchr(p, '\0', (size_t)(nl - p)));
		if (nl - p == 1)
			CHECK(nl + 1 == end);
		else
			CHECK(*p != ' ' && *p != '\t');
		if ((size_t)(nl - p) > n && p[n] == ':' && strncasecmp(p, name, n) == 0)
			count++;
		p = nl + 1;
	}
	CHECK(b->len >= 4 && memcmp(end - 4, "\r\n\r\n", 4) == 0);
	return count;
}

static void one_request(const char *p, size_t n, bool inside)
{
	const struct pf_http_origin within = {.host = {.name = "a.test"}, .port = 80};
	PF_AUTO_BUF struct pf_buf out = {0};
	struct pf_http_request q;
	struct pf_http_fault fault = {0};

	if (pf_http_request_parse(p, n, inside ? &within : NULL, &q, &fault) < 0) {
		CHECK(fault.status >= 400 && fault.status <= 505 && fault.why);
		return;
	}
	CHECK(q.port && (q.host.address.family || q.host.name[0]));
	if (inside)
		CHECK(!q.connect && q.port == 80 && strcmp(q.host.name, "a.test") == 0);
	if (q.connect)
		return;
	CHECK(pf_http_request_print(&q, &out) == 0);
	CHECK(count_fields(&out, "Host") == 1 && count_fields(&out, "Connection") == 1);
	CHECK(count_fields(&out, "Content-Length") == (q.head.body == PF_HTTP_LENGTH));
	CHECK(count_fields(&out, "Transfer-Encoding") == (q.head.body == PF_HTTP_CHUNKED));
	CHECK(count_fields(&out, "Upgrade") == 0 && count_fields(&out, "Proxy-Authorization") == 0);
}

static void one_response(const char *p, size_t n, struct pf_http_asked asked)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	struct pf_http_response r, again;
	struct pf_http_fault fault = {0};

	if (pf_http_response_parse(p, n, asked, &r, &fault) < 0) {
		CHECK(fault.status == 502 && fault.why);
		return;
	}
	CHECK(pf_http_response_print(&r, true, &out) == 0);
	CHECK(count_fields(&out, "Connection") == (r.status >= 200) &&
	      count_fields(&out, "Content-Length") <= 1);
	CHECK(count_fields(&out, "Transfer-Encoding") == (r.head.body == PF_HTTP_CHUNKED));
	if (out.len > PF_HTTP_HEAD_MAX || r.head.count == PF_HTTP_FIELDS_MAX)
		return; /* our own fields made it larger than it may be */
	CHECK(pf_http_response_parse(out.data, out.len, asked, &again, &fault) == 0);
	CHECK(again.status == r.status && again.head.length == r.head.length);
	CHECK(again.head.body == r.head.body);
}

static ssize_t scan(const char *p, size_t n, size_t step, unsigned kind, uint64_t length, bool *done)
{
	struct pf_http_body b;
	size_t at = 0;

	pf_http_body_init(&b, (enum pf_http_body_kind)(kind & 3), length, kind & 4);
	while (at < n && !b.done) {
		size_t piece = n - at < step ? n - at : step;
		ssize_t r = pf_http_body_scan(&b, p + at, piece);

		if (r < 0)
			return -1;
		CHECK((size_t)r <= piece && ((size_t)r == piece || b.done));
		at += (size_t)r;
	}
	*done = b.done;
	return (ssize_t)at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data + 1;
	size_t n = size - 1, scanned = 0;
	bool done[2] = {false, false};

	if (size == 0)
		return 0;
	switch (data[0] & 3) {
	case 0:
		one_request(p, n, data[0] & 4);
		break;
	case 1:
		one_response(p, n, (struct pf_http_asked){data[0] & 4, data[0] & 8});
		break;
	case 2:
		CHECK(scan(p, n, n ? n : 1, data[0] >> 2, data[0], &done[0]) ==
		      scan(p, n, 1, data[0] >> 2, data[0], &done[1]));
		CHECK(done[0] == done[1]);
		break;
	default:
		for (size_t i = 0; i <= n; i++) {
			size_t fresh = 0, head = pf_http_head_end(p, i, &scanned);

			CHECK(head == pf_http_head_end(p, i, &fresh) && head <= i);
			if (head)
				break;
		}
	}
	return 0;
}
