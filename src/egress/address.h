/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IP addresses and which of them a *name* may lead to. Whoever owns a name chooses its address, so a name
 * that is allowed must not lead into the host's own network (server-side request forgery, DNS rebinding).
 * From the IANA special-purpose registries (RFC 6890, RFC 8190), RFC 4291, RFC 6052, RFC 3056, RFC 4380,
 * RFC 5214.
 */
#ifndef PF_EGRESS_ADDRESS_H
#define PF_EGRESS_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pf_address {
	uint8_t family; /* 4 or 6; 0: none */
	uint8_t b[16];	/* network order; of family 4 the first four, the others are 0 */
};

#define PF_ADDRESS_TEXT 48

/* Four decimal numbers without leading zeros, or the text of RFC 4291 without zone and brackets. An
 * IPv4-mapped one becomes the IPv4 address that it is. -EINVAL otherwise. */
int pf_address_parse(const char *s, size_t n, struct pf_address *out);
/* IPv4 dotted, IPv6 without brackets. */
void pf_address_print(const struct pf_address *a, char out[PF_ADDRESS_TEXT]);
/* ::ffff:a.b.c.d -> a.b.c.d. Linux connects to the latter when it is given the former. */
void pf_address_unmap(struct pf_address *a);
bool pf_address_equal(const struct pf_address *a, const struct pf_address *b);
/* Are the first `bits` bits of both the same (and the family)? */
bool pf_address_within(const struct pf_address *a, const struct pf_address *net, unsigned bits);

enum pf_address_kind {
	PF_ADDRESS_PUBLIC,
	PF_ADDRESS_SPECIAL, /* not as the result of a name; a rule that writes it allows it */
	PF_ADDRESS_NEVER,   /* not even then: link-local, metadata services, what is no destination at all */
};

/* what: a few words, "a private address (RFC 1918)"; "a public address" too. An address that carries another
 * one (6to4, Teredo, NAT64, IPv4-compatible, ISATAP) is never judged better than that. */
enum pf_address_kind pf_address_judge(const struct pf_address *of, const char **what);

#endif
