/* SPDX-License-Identifier: Apache-2.0 */
/*
 * egress/tls_hello: a hello is found in its records and in no fewer bytes; a tunnel lets pass the same bytes
 * however they come, and none of a hello that names somebody else. The first byte chooses the pieces.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "egress/tls_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                             \
	do {                                                                                                 \
		if (!(x)) {                                                                                  \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                              \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

static size_t feed(const uint8_t *p, size_t n, size_t step, bool require, enum pf_tls_verdict *v)
{
	struct pf_tls_watch w = {.name = "example.org", .require = require};
	size_t passed = 0;

	*v = PF_TLS_FINE;
	for (size_t have = 0; have < n && *v == PF_TLS_FINE;) {
		have = have + step < n ? have + step : n;
		while (passed < have) {
			size_t pass;

			*v = pf_tls_watch(&w, p + passed, have - passed, &pass);
			CHECK(pass <= have - passed && (*v == PF_TLS_FINE || pass == 0));
			passed += pass;
			if (pass == 0)
				break;
		}
	}
	if (*v == PF_TLS_FINE && passed && w.seen)
		CHECK(strcmp(w.hello.name, "example.org") == 0 && !w.hello.encrypted);
	return passed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pf_tls_hello one, two;
	enum pf_tls_verdict v[2];
	const char *why = NULL;
	size_t passed[2];
	ssize_t r;

	if (size == 0)
		return 0;
	r = pf_tls_hello_parse(data + 1, size - 1, &one, &why);
	CHECK((r == -EPROTO) == (why != NULL));
	if (r > 0) {
		CHECK((size_t)r <= size - 1 && r <= PF_TLS_HELLO_MAX);
		CHECK(pf_tls_hello_parse(data + 1, (size_t)r, &two, &why) == r);
		CHECK(pf_tls_hello_parse(data + 1, (size_t)r - 1, &two, &why) == 0);
	}
	for (int i = 0; i < 2; i++)
		passed[i] = feed(data + 1, size - 1, i ? 1 + (data[0] >> 1) : size, data[0] & 1, &v[i]);
	CHECK(v[0] == v[1]);
	if (v[0] == PF_TLS_FINE)
		CHECK(passed[0] == passed[1]);
	return 0;
}
