/* SPDX-License-Identifier: Apache-2.0 */
/* Responses: whoever answers is as little trusted as whoever asks; see http.h. */
#include <errno.h>
#include <string.h>

#include "egress/http_internal.h"

/* "HTTP/1.1 200 OK". The reason may be missing, and with it (against the letter) its space. */
static int parse_status(struct pf__http_reader *r, struct pf_slice line, struct pf_http_response *out)
{
	const char *s = line.p;
	int e;

	if (line.n < 12 || s[8] != ' ' || (line.n > 12 && s[12] != ' '))
		return pf__http_fault(r, 502, "the first line is not HTTP/1.1 STATUS REASON");
	e = pf__http_version(r, (struct pf_slice){s, 8}, &out->head.http10);
	if (e < 0)
		return e;
	for (int i = 9; i < 12; i++) {
		if (s[i] < '0' || s[i] > '9')
			return pf__http_fault(r, 502, "the status is no number");
		out->status = out->status * 10 + (s[i] - '0');
	}
	if (out->status < 100 || out->status > 599)
		return pf__http_fault(r, 502, "the status is none that there is");
	if (line.n > 13)
		out->reason = (struct pf_slice){s + 13, line.n - 13};
	for (size_t i = 0; i < out->reason.n; i++) {
		unsigned char c = (unsigned char)out->reason.p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return pf__http_fault(r, 502, "the reason has a control character");
	}
	return 0;
}

/* RFC 9112, 6.3. */
static int parse_body(struct pf__http_reader *r, struct pf_http_asked asked, struct pf_http_response *out)
{
	int e = pf__http_framing(r, &out->head, PF_HTTP_UNTIL_CLOSE);

	if (e < 0)
		return e;
	if (out->status == 101)
		return pf__http_fault(r, 502, "it switches to a protocol that nobody asked for");
	/* Lengths may be told here (of what a GET would bring), but nothing follows. */
	if (asked.head || out->status == 304) {
		for (size_t i = 0; i < out->head.count; i++)
			if (pf_slice_is(out->head.fields[i].name, "Content-Length"))
				out->head.fields[i].drop = false;
		out->head.body = PF_HTTP_NONE;
	} else if (out->status < 200 || out->status == 204) {
		out->head.body = PF_HTTP_NONE;
	}
	if (out->head.body != PF_HTTP_LENGTH)
		out->head.length = 0;
	if (out->head.body == PF_HTTP_CHUNKED && asked.http10)
		return pf__http_fault(r, 502, "it is chunked, which an HTTP/1.0 client cannot read");
	return 0;
}

struct pf_http_asked pf_http_asked(const struct pf_http_request *r)
{
	return (struct pf_http_asked){r->method.n == 4 && memcmp(r->method.p, "HEAD", 4) == 0,
				      r->head.http10};
}

int pf_http_response_parse(const char *p, size_t n, struct pf_http_asked asked, struct pf_http_response *out,
			   struct pf_http_fault *fault)
{
	struct pf__http_reader r = {p, p + n, fault};
	struct pf_slice line;
	int e;

	*out = (struct pf_http_response){0};
	if (n > PF_HTTP_HEAD_MAX)
		e = pf__http_fault(&r, 502, "the head is larger than 32 KiB");
	else if ((e = pf__http_line(&r, &line)) == 0 && (e = parse_status(&r, line, out)) == 0 &&
		 (e = pf__http_fields(&r, &out->head)) == 0)
		e = parse_body(&r, asked, out);
	if (e < 0)
		fault->status = 502;
	return e;
}

int pf_http_response_print(const struct pf_http_response *r, bool keep_alive, struct pf_buf *out)
{
	pf_buf_addf(out, "HTTP/1.1 %03d ", r->status);
	pf_buf_add(out, r->reason.p, r->reason.n);
	pf_buf_adds(out, "\r\n");
	pf__http_print_fields(&r->head, out);
	/* An interim response (1xx) says nothing of the connection: the final one is to come. */
	if (r->status >= 200)
		pf_buf_addf(out, "Connection: %s\r\n", keep_alive ? "keep-alive" : "close");
	pf_buf_adds(out, "\r\n");
	return out->failed ? -ENOMEM : 0;
}
