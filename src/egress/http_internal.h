/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the HTTP reader: lines and fields, the same in requests and responses. */
#ifndef PF_EGRESS_HTTP_INTERNAL_H
#define PF_EGRESS_HTTP_INTERNAL_H

#include "egress/http.h"

struct pf__http_reader {
	const char *p, *end;
	struct pf_http_fault *fault;
};

/* Sets the fault; -EPROTO. */
int pf__http_fault(struct pf__http_reader *r, int status, const char *why);
/* The next line without its end. It holds no CR, LF or NUL. */
int pf__http_line(struct pf__http_reader *r, struct pf_slice *line);
/* All fields, to the empty line, which must be the end. Marks what the connection's own fields are. */
int pf__http_fields(struct pf__http_reader *r, struct pf_http_head *h);
/* "HTTP/1.0" or "HTTP/1.1" alone. */
int pf__http_version(struct pf__http_reader *r, struct pf_slice s, bool *http10);
/* Content-Length and Transfer-Encoding: body, length. otherwise: the kind if there is neither. */
int pf__http_framing(struct pf__http_reader *r, struct pf_http_head *h, enum pf_http_body_kind otherwise);
/* The field of this name; NULL if there is none. With two, -EPROTO. */
int pf__http_single(struct pf__http_reader *r, struct pf_http_head *h, const char *name,
		    struct pf_http_field **out);
bool pf__http_is_token(struct pf_slice s);
/* The fields that go on, each with its line end. */
void pf__http_print_fields(const struct pf_http_head *h, struct pf_buf *out);

#endif
