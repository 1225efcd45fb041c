/* SPDX-License-Identifier: Apache-2.0 */
/* Lines, fields and framing of an HTTP head; see http.h. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "egress/http_internal.h"

bool pf_slice_is(struct pf_slice s, const char *text)
{
	return strlen(text) == s.n && strncasecmp(s.p, text, s.n) == 0;
}

int pf__http_fault(struct pf__http_reader *r, int status, const char *why)
{
	*r->fault = (struct pf_http_fault){status, why};
	return -EPROTO;
}

size_t pf_http_head_end(const char *p, size_t n, size_t *scanned)
{
	size_t from = *scanned > 3 ? *scanned - 3 : 0;
	const char *end = n > from ? memmem(p + from, n - from, "\r\n\r\n", 4) : NULL;

	*scanned = n;
	return end ? (size_t)(end - p) + 4 : 0;
}

int pf__http_line(struct pf__http_reader *r, struct pf_slice *line)
{
	size_t left = (size_t)(r->end - r->p), n = 0;

	while (n < left && r->p[n] != '\r' && r->p[n] != '\n' && r->p[n] != '\0')
		n++;
	if (n == left || left - n < 2 || r->p[n] != '\r' || r->p[n + 1] != '\n')
		return pf__http_fault(r, 400, "a line ends in a bare CR or LF, or holds a NUL");
	if (n > PF_HTTP_LINE_MAX)
		return pf__http_fault(r, 431, "a line is longer than 16 KiB");
	*line = (struct pf_slice){r->p, n};
	r->p += n + 2;
	return 0;
}

/* RFC 9110, 5.6.2. */
static bool is_tchar(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

bool pf__http_is_token(struct pf_slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_tchar((unsigned char)s.p[i]))
			return false;
	return s.n > 0;
}

int pf__http_version(struct pf__http_reader *r, struct pf_slice s, bool *http10)
{
	if (s.n == 8 && memcmp(s.p, "HTTP/1.", 7) == 0 && (s.p[7] == '0' || s.p[7] == '1')) {
		*http10 = s.p[7] == '0';
		return 0;
	}
	if (s.n >= 5 && memcmp(s.p, "HTTP/", 5) == 0)
		return pf__http_fault(r, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
	return pf__http_fault(r, 400, "the first line has no HTTP version at its end");
}

/* A name that some servers read as another: they make "_" a "-" (CGI), and framing must have one name. */
static bool is_disguised(struct pf_slice name)
{
	static const char *const framing[] = {"content-length", "transfer-encoding", "host"};
	char folded[32];

	if (name.n >= sizeof(folded) || !memchr(name.p, '_', name.n))
		return false;
	for (size_t i = 0; i < name.n; i++)
		folded[i] = name.p[i] == '_' ? '-' : name.p[i];
	for (size_t i = 0; i < PF_ARRAY_SIZE(framing); i++)
		if (pf_slice_is((struct pf_slice){folded, name.n}, framing[i]))
			return true;
	return false;
}

static int parse_field(struct pf__http_reader *r, struct pf_slice line, struct pf_http_field *out)
{
	const char *colon = memchr(line.p, ':', line.n);
	struct pf_slice name, value;

	if (line.p[0] == ' ' || line.p[0] == '\t')
		return pf__http_fault(r, 400, "a header field is folded over two lines");
	if (!colon)
		return pf__http_fault(r, 400, "a header line has no colon");
	name = (struct pf_slice){line.p, (size_t)(colon - line.p)};
	value = (struct pf_slice){colon + 1, line.n - name.n - 1};
	if (!pf__http_is_token(name))
		return pf__http_fault(r, 400,
				      "a header field's name has a character that none has (a space?)");
	if (is_disguised(name))
		return pf__http_fault(r, 400,
				      "a header field's name is one of the framing's with '_' for '-'");
	while (value.n && (value.p[0] == ' ' || value.p[0] == '\t')) {
		value.p++;
		value.n--;
	}
	while (value.n && (value.p[value.n - 1] == ' ' || value.p[value.n - 1] == '\t'))
		value.n--;
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return pf__http_fault(r, 400, "a header field has a control character");
	}
	*out = (struct pf_http_field){.name = name, .value = value};
	return 0;
}

/* Fields between two neighbours (RFC 9110, 7.6.1), and those that are written anew. */
static bool is_own(struct pf_slice name)
{
	static const char *const own[] = {
		"Connection",
		"Proxy-Connection",
		"Keep-Alive",
		"TE",
		"Trailer",
		"Transfer-Encoding",
		"Upgrade",
		"HTTP2-Settings",
		"Proxy-Authenticate",
		"Proxy-Authorization",
		"Proxy-Authentication-Info",
		"Content-Length",
	};

	for (size_t i = 0; i < PF_ARRAY_SIZE(own); i++)
		if (pf_slice_is(name, own[i]))
			return true;
	return false;
}

/* One word of a Connection field. What it names goes no further, so it may not name what others rely on. */
static int connection_word(struct pf__http_reader *r, struct pf_http_head *h, struct pf_slice word)
{
	static const char *const kept[] = {"Host",	    "Content-Length", "Transfer-Encoding",
					   "Authorization", "Cookie",	      "Cache-Control",
					   "Date",	    "Set-Cookie"};

	if (!pf__http_is_token(word))
		return pf__http_fault(r, 400, "a Connection field is no list of words");
	h->close |= pf_slice_is(word, "close");
	h->keep_alive |= pf_slice_is(word, "keep-alive");
	for (size_t i = 0; i < PF_ARRAY_SIZE(kept); i++)
		if (pf_slice_is(word, kept[i]))
			return pf__http_fault(r, 400,
					      "a Connection field names one that is not the connection's");
	for (size_t i = 0; i < h->count; i++)
		if (h->fields[i].name.n == word.n && strncasecmp(h->fields[i].name.p, word.p, word.n) == 0)
			h->fields[i].drop = true;
	return 0;
}

static int connection_words(struct pf__http_reader *r, struct pf_http_head *h, struct pf_slice list)
{
	const char *p = list.p, *end = list.p + list.n;
	int e;

	while (p < end) {
		struct pf_slice word = {p, 0};
		const char *comma = memchr(p, ',', (size_t)(end - p));
		const char *stop = comma ? comma : end;

		while (word.p < stop && (*word.p == ' ' || *word.p == '\t'))
			word.p++;
		word.n = (size_t)(stop - word.p);
		while (word.n && (word.p[word.n - 1] == ' ' || word.p[word.n - 1] == '\t'))
			word.n--;
		/* A list may have empty elements (RFC 9110, 5.6.1.2). */
		if (word.n && (e = connection_word(r, h, word)) < 0)
			return e;
		p = stop + 1;
	}
	return 0;
}

int pf__http_fields(struct pf__http_reader *r, struct pf_http_head *h)
{
	struct pf_slice line;
	int e;

	for (;;) {
		e = pf__http_line(r, &line);
		if (e < 0)
			return e;
		if (line.n == 0)
			break;
		if (h->count == PF_HTTP_FIELDS_MAX)
			return pf__http_fault(r, 431, "there are more than 128 header fields");
		e = parse_field(r, line, &h->fields[h->count]);
		if (e < 0)
			return e;
		h->fields[h->count].drop = is_own(h->fields[h->count].name);
		h->count++;
	}
	for (size_t i = 0; i < h->count; i++) {
		struct pf_slice name = h->fields[i].name;

		if ((pf_slice_is(name, "Connection") || pf_slice_is(name, "Proxy-Connection")) &&
		    (e = connection_words(r, h, h->fields[i].value)) < 0)
			return e;
	}
	return r->p == r->end ? 0 : pf__http_fault(r, 400, "there is something behind the head");
}

int pf__http_single(struct pf__http_reader *r, struct pf_http_head *h, const char *name,
		    struct pf_http_field **out)
{
	*out = NULL;
	for (size_t i = 0; i < h->count; i++) {
		if (!pf_slice_is(h->fields[i].name, name))
			continue;
		if (*out)
			return pf__http_fault(r, 400, "a header field that may be there once is there twice");
		*out = &h->fields[i];
	}
	return 0;
}

static int parse_length(struct pf__http_reader *r, struct pf_slice v, uint64_t *out)
{
	uint64_t length = 0;

	/* 18 digits: more bytes than there are, and no overflow. "+5", "5, 5" and "0x5" are no lengths. */
	if (v.n == 0 || v.n > 18)
		return pf__http_fault(r, 400, "Content-Length is no number");
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return pf__http_fault(r, 400, "Content-Length is no number");
		length = length * 10 + (uint64_t)(v.p[i] - '0');
	}
	*out = length;
	return 0;
}

int pf__http_framing(struct pf__http_reader *r, struct pf_http_head *h, enum pf_http_body_kind otherwise)
{
	struct pf_http_field *length, *coding;
	int e = pf__http_single(r, h, "Content-Length", &length);

	if (e == 0)
		e = pf__http_single(r, h, "Transfer-Encoding", &coding);
	if (e < 0)
		return e;
	if (length && coding)
		return pf__http_fault(r, 400, "it has both Content-Length and Transfer-Encoding");
	h->body = otherwise;
	if (coding) {
		if (h->http10)
			return pf__http_fault(r, 400, "HTTP/1.0 has no Transfer-Encoding");
		if (!pf_slice_is(coding->value, "chunked"))
			return pf__http_fault(r, 501, "its Transfer-Encoding is not chunked");
		h->body = PF_HTTP_CHUNKED;
	} else if (length) {
		h->body = PF_HTTP_LENGTH;
		return parse_length(r, length->value, &h->length);
	}
	return 0;
}

void pf__http_print_fields(const struct pf_http_head *h, struct pf_buf *out)
{
	for (size_t i = 0; i < h->count; i++) {
		const struct pf_http_field *f = &h->fields[i];

		if (f->drop)
			continue;
		pf_buf_add(out, f->name.p, f->name.n);
		pf_buf_adds(out, ": ");
		pf_buf_add(out, f->value.p, f->value.n);
		pf_buf_adds(out, "\r\n");
	}
	if (h->body == PF_HTTP_LENGTH)
		pf_buf_addf(out, "Content-Length: %llu\r\n", (unsigned long long)h->length);
	else if (h->body == PF_HTTP_CHUNKED)
		pf_buf_adds(out, "Transfer-Encoding: chunked\r\n");
}
