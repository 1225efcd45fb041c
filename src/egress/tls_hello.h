/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one part of TLS that can be read from outside: the ClientHello (RFC 8446, 4.1.2; RFC 6066, 3). Behind a
 * CONNECT to an allowed name a client could ask a large front server for any other of its sites; the name in
 * the hello must therefore be the one that was allowed. Three ways around that are closed:
 *  - encrypted hellos (ECH, ESNI) hide a second name, so a hello that carries one is refused;
 *  - a hello split over records and segments is put together before it is judged;
 *  - after a HelloRetryRequest a second hello follows in plain text, and must say the same.
 * What is inside the encrypted stream (a Host header, another :authority) is the server's to check.
 */
#ifndef PF_EGRESS_TLS_HELLO_H
#define PF_EGRESS_TLS_HELLO_H

#include <sys/types.h>

#include "egress/host.h"

/* The records of one hello, at most. The largest in use (post-quantum keys, a ticket) have some 3 KiB. */
#define PF_TLS_HELLO_MAX 16384

struct pf_tls_hello {
	bool has_name, encrypted, early_data;
	char name[PF_NAME_MAX + 1]; /* lower-case */
};

/* Read the records at p. Returns their length when the hello is whole, 0 if more is needed (never at or above
 * PF_TLS_HELLO_MAX + 5), -EPROTO with *why for what is no single well-formed ClientHello. */
ssize_t pf_tls_hello_parse(const uint8_t *p, size_t n, struct pf_tls_hello *out, const char **why);

enum pf_tls_verdict {
	PF_TLS_FINE,
	PF_TLS_NOT_TLS,	  /* the first bytes are no TLS record */
	PF_TLS_MALFORMED, /* no hello that could be read */
	PF_TLS_NO_NAME,
	PF_TLS_OTHER_NAME, /* watch->hello.name says which */
	PF_TLS_ENCRYPTED,
};

/* What watches the client's side of one tunnel. Zero-initialise, then set the first three. */
struct pf_tls_watch {
	const char *name; /* that must be in the hello; NULL: the tunnel goes to an address */
	bool require;	  /* nothing but TLS may pass */
	bool (*also)(void *ctx,
		     const char *name); /* of a tunnel to an address: may this name be asked there? */
	void *ctx;

	bool seen, done; /* done: nothing is held any more */
	size_t left;	 /* of a record that passes */
	size_t walked;
	struct pf_tls_hello hello;
	const char *why;
};

/* The client's next bytes at p, n > 0: how many may go on now (*pass, 0: it needs more) and whether the
 * tunnel may live. Bytes that did not pass are given again, with more behind them. */
enum pf_tls_verdict pf_tls_watch(struct pf_tls_watch *w, const uint8_t *p, size_t n, size_t *pass);

#endif
