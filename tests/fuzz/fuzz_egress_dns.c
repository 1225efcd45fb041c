/* SPDX-License-Identifier: Apache-2.0 */
/* egress/dns and resolver: answers (with the id and the question put in, so that the rest is reached),
 * resolv.conf, hosts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "egress/resolver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                             \
	do {                                                                                                 \
		if (!(x)) {                                                                                  \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                              \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

static void answer(const uint8_t *data, size_t size, uint16_t type)
{
	struct pf_dns_answer a;
	uint8_t query[PF_DNS_QUERY_MAX], *p;
	size_t n = pf_dns_query(0x1234, "example.org", type, query);

	if (pf_dns_parse(data, size, 0x1234, "example.org", type, &a) == 0)
		CHECK(a.count <= PF_DNS_ADDRESSES_MAX && (a.outcome == PF_DNS_FOUND) == (a.count > 0));
	if (size < 8)
		return;
	p = malloc(n + size - 8);
	CHECK(p);
	memcpy(p, query, n);
	memcpy(p + 2, data, 2);	    /* flags */
	memcpy(p + 6, data + 2, 6); /* counts */
	memcpy(p + n, data + 8, size - 8);
	if (pf_dns_parse(p, n + size - 8, 0x1234, "example.org", type, &a) == 0)
		for (size_t i = 0; i < a.count; i++)
			CHECK(a.address[i].family == 4 || (a.address[i].family == 6 && type == PF_DNS_AAAA));
	free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pf_resolver r = {0};

	if (size == 0)
		return 0;
	if (data[0] < 128) {
		answer(data + 1, size - 1, data[0] & 1 ? PF_DNS_A : PF_DNS_AAAA);
		return 0;
	}
	pf_resolver_conf(&r, (const char *)data + 1, size - 1);
	CHECK(r.count >= 1 && r.count <= PF_RESOLVER_SERVERS && r.timeout_ms && r.attempts);
	CHECK(pf_resolver_hosts(&r, (const char *)data + 1, size - 1) == 0);
	pf_resolver_free(&r);
	return 0;
}
