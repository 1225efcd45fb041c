/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of the DNS (RFC 1035): one question for the addresses of one name, and the answer to it. An answer
 * is as hostile as who owns the name: nothing of it is taken but addresses of this very name, or of what its
 * aliases lead to.
 */
#ifndef PF_EGRESS_DNS_H
#define PF_EGRESS_DNS_H

#include "egress/host.h"

#define PF_DNS_A    1
#define PF_DNS_AAAA 28

#define PF_DNS_QUERY_MAX     (12 + PF_NAME_MAX + 2 + 4)
#define PF_DNS_ADDRESSES_MAX 8 /* of one answer; more are left out */

/* name: of pf_name_parse(). The length of the query. */
size_t pf_dns_query(uint16_t id, const char *name, uint16_t type, uint8_t out[PF_DNS_QUERY_MAX]);

enum pf_dns_outcome {
	PF_DNS_FOUND,
	PF_DNS_NOTHING,	  /* no such name, or no address of this type */
	PF_DNS_TRUNCATED, /* ask again over TCP */
	PF_DNS_REFUSED,	  /* this server cannot tell: ask another */
};

struct pf_dns_answer {
	enum pf_dns_outcome outcome;
	size_t count;
	struct pf_address address[PF_DNS_ADDRESSES_MAX];
};

/* -EBADMSG: it is malformed, or no answer to this question (a forged one: wait for the right one). */
int pf_dns_parse(const uint8_t *p, size_t n, uint16_t id, const char *name, uint16_t type,
		 struct pf_dns_answer *out);

#endif
