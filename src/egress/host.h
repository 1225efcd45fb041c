/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer is called: a name of the DNS or an address. One strict reader for rules, requests and TLS, so
 * that no two of them can see different hosts in the same bytes.
 *
 * A name is ASCII: letters, digits, hyphens and underscores in labels of 1 to 63, at most 253 in all, made
 * lower-case and without the dot of the root. Its last label is no number: "127.1", "2130706433" and "0x7f.1"
 * are addresses to the resolvers of some systems (WHATWG URL, "ends in a number"). Other scripts are written
 * in their ASCII form (xn--).
 */
#ifndef PF_EGRESS_HOST_H
#define PF_EGRESS_HOST_H

#include "egress/address.h"

#define PF_NAME_MAX 253

struct pf_host {
	struct pf_address address; /* of family 0: it is a name */
	char name[PF_NAME_MAX + 1];
};

/* Room for "[address]:port" and "name:port". */
#define PF_TARGET_TEXT (PF_NAME_MAX + 8)

/* why: set on failure, "has an empty label". -EINVAL. */
int pf_name_parse(const char *s, size_t n, char out[PF_NAME_MAX + 1], const char **why);
/* A name, an IPv4 address, or an IPv6 address in brackets. */
int pf_host_parse(const char *s, size_t n, struct pf_host *out, const char **why);
/* Of "HOST[:PORT]"; *port is 0 where none is written, and 1 to 65535 otherwise. */
int pf_authority_parse(const char *s, size_t n, struct pf_host *out, uint16_t *port, const char **why);
int pf_port_parse(const char *s, size_t n, uint16_t *out); /* decimal, 1 to 65535, no leading zero; -EINVAL */
bool pf_host_equal(const struct pf_host *a, const struct pf_host *b);
/* "pypi.org", "[::1]"; with a port that is not 0 ":443" behind it. */
void pf_host_print(const struct pf_host *h, uint16_t port, char out[PF_TARGET_TEXT]);
/* localhost and what is below it: never asked of a resolver (RFC 6761). */
bool pf_name_is_localhost(const char *name);

#endif
