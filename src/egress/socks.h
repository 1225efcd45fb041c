/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SOCKS5 (RFC 1928) for programs that speak no HTTP to their proxy: no authentication, CONNECT alone, to a
 * name (socks5h: the name must come here, for there is no resolver inside) or an address.
 */
#ifndef PF_EGRESS_SOCKS_H
#define PF_EGRESS_SOCKS_H

#include <sys/types.h>

#include "egress/host.h"

enum pf_socks_reply {
	PF_SOCKS_DONE = 0,
	PF_SOCKS_FAILED = 1,
	PF_SOCKS_REFUSED_BY_RULE = 2,
	PF_SOCKS_NET_UNREACHABLE = 3,
	PF_SOCKS_HOST_UNREACHABLE = 4,
	PF_SOCKS_CONNECTION_REFUSED = 5,
	PF_SOCKS_EXPIRED = 6,
	PF_SOCKS_NO_COMMAND = 7,
	PF_SOCKS_NO_ADDRESS_TYPE = 8,
};

/* The client's greeting. How long it is; 0: more is needed; -EPROTO: none; -EACCES: it offers no method that
 * we have, and is answered by PF_SOCKS_NO_METHOD. */
ssize_t pf_socks_greeting(const uint8_t *p, size_t n);
#define PF_SOCKS_GREETED   "\x05\x00"
#define PF_SOCKS_NO_METHOD "\x05\xff"

/* The request behind it, in the same manner. On -EPROTO *reply says what to answer, and *why. */
ssize_t pf_socks_request(const uint8_t *p, size_t n, struct pf_host *host, uint16_t *port,
			 enum pf_socks_reply *reply, const char **why);

#define PF_SOCKS_REPLY_SIZE 10
/* The address that we speak from is nobody's business: 0.0.0.0:0. */
void pf_socks_reply(enum pf_socks_reply reply, uint8_t out[PF_SOCKS_REPLY_SIZE]);

#endif
