/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 as a proxy reads and writes it (RFC 9112), strictly. What two readers could take for two different
 * messages is refused and never mended (request smuggling): bare CR or LF, folded lines, a space before the
 * colon, two lengths, a length and chunks, any coding but "chunked", chunk extensions, an absolute URI with
 * another Host. What goes on is never the bytes that came but a message printed anew from what was
 * understood; one connection to a server carries one request.
 *
 * Slices point into the caller's buffer.
 */
#ifndef PF_EGRESS_HTTP_H
#define PF_EGRESS_HTTP_H

#include <sys/types.h>

#include "base/buf.h"
#include "egress/host.h"

#define PF_HTTP_HEAD_MAX   32768 /* bytes of a head, its empty line included */
#define PF_HTTP_LINE_MAX   16384
#define PF_HTTP_FIELDS_MAX 128

struct pf_slice {
	const char *p;
	size_t n;
};

/* ASCII case is one. */
bool pf_slice_is(struct pf_slice s, const char *text);

struct pf_http_field {
	struct pf_slice name, value; /* the value without spaces around it */
	bool drop;		     /* it concerns this connection alone, or is written anew */
};

enum pf_http_body_kind { PF_HTTP_NONE, PF_HTTP_LENGTH, PF_HTTP_CHUNKED, PF_HTTP_UNTIL_CLOSE };

/* What requests and responses share. */
struct pf_http_head {
	struct pf_http_field fields[PF_HTTP_FIELDS_MAX];
	size_t count;
	bool http10; /* the sender speaks HTTP/1.0 */
	bool close, keep_alive;
	enum pf_http_body_kind body;
	uint64_t length; /* of PF_HTTP_LENGTH */
};

/* What is wrong: a status code for the answer and a few words. */
struct pf_http_fault {
	int status;
	const char *why;
};

struct pf_http_request {
	struct pf_http_head head;
	struct pf_slice method, path; /* path: as it is sent on, "/x?y" or "*" */
	bool connect;
	struct pf_host host;
	uint16_t port;
};

struct pf_http_response {
	struct pf_http_head head;
	int status;
	struct pf_slice reason;
};

/* How long is the head at p, its empty line included? 0: it is not complete yet. *scanned (0 at first) is
 * what was looked at before, so that a head that comes a byte at a time costs no more. */
size_t pf_http_head_end(const char *p, size_t n, size_t *scanned);

/* To whom a tunnel leads, in which requests name paths alone. */
struct pf_http_origin {
	struct pf_host host;
	uint16_t port;
};

/* p[0..n) is one whole head. within: NULL for what comes to the proxy itself; in a tunnel, every Host must be
 * its. 0, or -EPROTO and *fault: 400, 405, 414, 431, 501 or 505. */
int pf_http_request_parse(const char *p, size_t n, const struct pf_http_origin *within,
			  struct pf_http_request *out, struct pf_http_fault *fault);
/* What of a request its response depends on. */
struct pf_http_asked {
	bool head, http10;
};
struct pf_http_asked pf_http_asked(const struct pf_http_request *r);
/* -EPROTO: fault->why, status 502. */
int pf_http_response_parse(const char *p, size_t n, struct pf_http_asked asked, struct pf_http_response *out,
			   struct pf_http_fault *fault);

/* The head that the server gets: origin form, own Host, no fields of the connection, "Connection: close". */
int pf_http_request_print(const struct pf_http_request *r, struct pf_buf *out);
/* The head that the client gets. keep_alive: the connection to it goes on behind this response. */
int pf_http_response_print(const struct pf_http_response *r, bool keep_alive, struct pf_buf *out);

/* A body as it passes, checked. */
struct pf_http_body {
	enum pf_http_body_kind kind;
	bool done, trailers; /* trailers: they may be there (in responses), else they are an error */
	uint8_t state;
	uint8_t digits; /* of a chunk's size */
	uint16_t line;	/* bytes of the trailers */
	uint64_t left;	/* of the body, or of this chunk */
};

void pf_http_body_init(struct pf_http_body *b, enum pf_http_body_kind kind, uint64_t length, bool trailers);
/* How many of the n bytes at p belong to the body, well-formed. Sets done at its end. -EPROTO. */
ssize_t pf_http_body_scan(struct pf_http_body *b, const char *p, size_t n);

#endif
