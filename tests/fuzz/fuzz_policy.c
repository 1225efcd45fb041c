/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy/: what is refused leaves the policy as it was and says where; what parses prints, laid out and on
 * one line, and what is printed parses to a policy that prints the same and has the same digest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                             \
	do {                                                                                                 \
		if (!(x)) {                                                                                  \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                              \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

static void check_message(const struct pf_error *err)
{
	CHECK(err->code < 0 && err->msg[0]);
	CHECK(pf_utf8_valid(err->msg, strlen(err->msg)) && !strpbrk(err->msg, "\n\r\x1b"));
}

static void check_round_trip(const struct pf_policy *p, unsigned indent)
{
	PF_AUTO_BUF struct pf_buf text = {0}, again = {0};
	char digest[PF_DIGEST_MAX], other[PF_DIGEST_MAX];
	struct pf_error err = {0};
	struct pf_policy q;

	CHECK(pf_policy_defaults(&q, &err) == 0);
	CHECK(pf_policy_print(p, indent, &text) == 0);
	if (text.len <= 1u << 20) { /* indentation may outgrow the reader's bound */
		CHECK(pf_policy_parse(&q, text.data, text.len, "again", &err) == 0);
		CHECK(pf_policy_print(&q, indent, &again) == 0);
		CHECK(text.len == again.len && memcmp(text.data, again.data, text.len) == 0);
		CHECK(p->limits.written == q.limits.written);
		CHECK(pf_policy_digest(p, digest) == 0 && pf_policy_digest(&q, other) == 0);
		CHECK(strcmp(digest, other) == 0);
	}
	pf_policy_free(&q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char before[PF_DIGEST_MAX], after[PF_DIGEST_MAX];
	struct pf_error err = {0};
	struct pf_policy p;

	CHECK(pf_policy_defaults(&p, &err) == 0);
	CHECK(pf_policy_digest(&p, before) == 0);
	if (pf_policy_parse(&p, (const char *)data, size, "fuzz.json", &err) < 0) {
		check_message(&err);
		CHECK(pf_has_prefix(err.msg, "fuzz.json: "));
		CHECK(pf_policy_digest(&p, after) == 0 && strcmp(before, after) == 0);
	} else {
		check_round_trip(&p, 0);
		check_round_trip(&p, 2);
		if (pf_policy_check(&p, &err) < 0)
			check_message(&err);
	}
	pf_policy_free(&p);
	return 0;
}
