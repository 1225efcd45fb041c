/* SPDX-License-Identifier: Apache-2.0 */
/* egress/socks and control: a request has its length and no fewer bytes; no packet that is no message is one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "egress/control.h"
#include "egress/socks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                             \
	do {                                                                                                 \
		if (!(x)) {                                                                                  \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                              \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

static void one_packet(const uint8_t *data, size_t size)
{
	union pf_egress_message m;

	if (size > sizeof(m))
		return;
	memset(&m, 0xff, sizeof(m));
	memcpy(&m, data, size);
	for (int from_proxy = 0; from_proxy < 2; from_proxy++)
		if (pf_egress_message_check(&m, size, from_proxy) == 0 && m.type == PF_EGRESS_REPORT)
			CHECK(strlen(m.report.target) < sizeof(m.report.target) &&
			      strlen(m.report.hint) < sizeof(m.report.hint));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pf_host host;
	enum pf_socks_reply reply = PF_SOCKS_DONE;
	const char *why = NULL;
	uint16_t port = 0;
	ssize_t r = pf_socks_greeting(data, size);

	if (r > 0)
		CHECK((size_t)r <= size && pf_socks_greeting(data, (size_t)r - 1) == 0);
	r = pf_socks_request(data, size, &host, &port, &reply, &why);
	if (r > 0) {
		CHECK((size_t)r <= size && port);
		CHECK(pf_socks_request(data, (size_t)r - 1, &host, &port, &reply, &why) == 0);
	} else if (r < 0) {
		CHECK(reply != PF_SOCKS_DONE && why);
	}
	one_packet(data, size);
	return 0;
}
