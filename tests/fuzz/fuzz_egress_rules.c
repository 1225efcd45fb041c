/* SPDX-License-Identifier: Apache-2.0 */
/* egress/rules, host, address: a rule prints as itself, a host too, and every address has a judgement. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "egress/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                             \
	do {                                                                                                 \
		if (!(x)) {                                                                                  \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                              \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

static void one_rule(const char *text)
{
	struct pf_rule rule, again;
	struct pf_error err = {0};
	char printed[PF_RULE_TEXT];

	if (pf_rule_parse(text, &rule, &err) < 0) {
		CHECK(err.msg[0] && !strpbrk(err.msg, "\n\r\033"));
		return;
	}
	pf_rule_print(&rule, printed);
	CHECK(pf_rule_parse(printed, &again, &err) == 0 && memcmp(&rule, &again, sizeof(rule)) == 0);
	CHECK(rule.first >= 1 && rule.first <= rule.last);
}

static void one_host(const char *p, size_t n)
{
	struct pf_host host, again;
	uint16_t port, port_again;
	const char *why = NULL;
	char printed[PF_TARGET_TEXT];

	if (pf_authority_parse(p, n, &host, &port, &why) < 0) {
		CHECK(why);
		return;
	}
	pf_host_print(&host, port, printed);
	CHECK(pf_authority_parse(printed, strlen(printed), &again, &port_again, &why) == 0);
	CHECK(pf_host_equal(&host, &again) && port == port_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pf_address a = {.family = 6}, copy;
	const char *what = NULL;
	char *text = malloc(size + 1), printed[PF_ADDRESS_TEXT];

	CHECK(text);
	memcpy(text, data, size);
	text[size] = '\0';
	one_rule(text);
	one_host((const char *)data, size);
	free(text);
	if (size < 16)
		return 0;
	memcpy(a.b, data, 16);
	pf_address_judge(&a, &what);
	CHECK(what);
	pf_address_unmap(&a);
	pf_address_print(&a, printed);
	CHECK(pf_address_parse(printed, strlen(printed), &copy) == 0 && pf_address_equal(&a, &copy));
	return 0;
}
