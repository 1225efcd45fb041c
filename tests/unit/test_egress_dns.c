/* SPDX-License-Identifier: Apache-2.0 */
/* egress/dns, resolver and socks: messages from the network and files of the host. (Lookups: tests/egress.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "egress/resolver.h"
#include "egress/socks.h"

#define ID 0x1234

static void put16(struct pf_buf *b, unsigned v)
{
	pf_buf_addc(b, (char)(v >> 8));
	pf_buf_addc(b, (char)v);
}

static void add(struct pf_buf *b, const char *bytes, size_t n)
{
	pf_buf_add(b, bytes, n);
}

/* The head of an answer to the A question about example.org, with so many records to come. */
static void begin(struct pf_buf *b, unsigned flags, unsigned records)
{
	uint8_t query[PF_DNS_QUERY_MAX];
	size_t n = pf_dns_query(ID, "example.org", PF_DNS_A, query);

	pf_buf_add(b, query, n);
	b->data[2] = (char)(flags >> 8);
	b->data[3] = (char)flags;
	b->data[6] = (char)(records >> 8);
	b->data[7] = (char)records;
}

static void add_record(struct pf_buf *b, const char *owner, size_t owner_n, unsigned type, const char *data,
		       size_t n)
{
	add(b, owner, owner_n);
	put16(b, type);
	put16(b, 1);
	put16(b, 0);
	put16(b, 60);
	put16(b, (unsigned)n);
	add(b, data, n);
}

#define SELF				       "\xc0\x0c", 2 /* the name of the question */
#define RECORD(b, ...)			       RECORD_(b, __VA_ARGS__)
#define RECORD_(b, owner, owner_n, type, data) add_record(b, owner, owner_n, type, data, sizeof(data) - 1)

static int parse(const struct pf_buf *b, struct pf_dns_answer *out)
{
	PF_AUTO_FREE uint8_t *exact = malloc(b->len ? b->len : 1);

	if (b->len)
		memcpy(exact, b->data, b->len);
	return pf_dns_parse(exact, b->len, ID, "example.org", PF_DNS_A, out);
}

static void a_query_is_as_rfc_1035_has_it(void **state)
{
	static const uint8_t expected[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\7example\3org\0\0\1\0\1";
	uint8_t out[PF_DNS_QUERY_MAX];
	char longest[PF_NAME_MAX + 1];

	(void)state;
	assert_int_equal(pf_dns_query(ID, "example.org", PF_DNS_A, out), sizeof(expected) - 1);
	assert_memory_equal(out, expected, sizeof(expected) - 1);
	memset(longest, 'a', PF_NAME_MAX);
	longest[63] = longest[127] = longest[191] = '.';
	longest[PF_NAME_MAX] = '\0';
	assert_int_equal(pf_dns_query(ID, longest, PF_DNS_AAAA, out), 12 + 255 + 4);
}

static void addresses_of_the_name_are_taken(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf_dns_answer a;

	(void)state;
	begin(&b, 0x8180, 5);
	RECORD(&b, SELF, 1, "\1\2\3\4");
	RECORD(&b, "\7EXAMPLE\3org\0", 13, 1, "\1\2\3\5"); /* its other case */
	RECORD(&b, "\5other\3org\0", 11, 1, "\6\6\6\6");   /* somebody else's */
	RECORD(&b, SELF, 28, "0123456789abcdef");	   /* of another type */
	RECORD(&b, SELF, 16, "\4text");
	assert_int_equal(parse(&b, &a), 0);
	assert_int_equal(a.outcome, PF_DNS_FOUND);
	assert_int_equal(a.count, 2);
	assert_memory_equal(a.address[0].b, "\1\2\3\4", 4);
	assert_memory_equal(a.address[1].b, "\1\2\3\5", 4);
}

static void aliases_are_followed_in_any_order(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf_dns_answer a;

	(void)state;
	begin(&b, 0x8180, 4);
	RECORD(&b, "\1b\4test\0", 8, 1, "\1\2\3\4");
	RECORD(&b, "\1a\4test\0", 8, 5, "\1b\4test\0");
	RECORD(&b, SELF, 5, "\1a\4test\0");
	RECORD(&b, SELF, 1, "\6\6\6\6"); /* an alias has no address of its own */
	assert_int_equal(parse(&b, &a), 0);
	assert_int_equal(a.count, 1);
	assert_memory_equal(a.address[0].b, "\1\2\3\4", 4);
}

static void aliases_in_a_ring_end(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf_dns_answer a;

	(void)state;
	begin(&b, 0x8180, 3);
	RECORD(&b, SELF, 5, "\1a\4test\0");
	RECORD(&b, "\1a\4test\0", 8, 5, "\xc0\x0c");
	RECORD(&b, "\1a\4test\0", 8, 1, "\1\2\3\4");
	assert_int_equal(parse(&b, &a), 0);
	assert_int_equal(a.outcome, PF_DNS_NOTHING);
}

static void mapped_addresses_are_what_they_are(void **state)
{
	uint8_t query[PF_DNS_QUERY_MAX];
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf_dns_answer a;

	(void)state;
	pf_buf_add(&b, query, pf_dns_query(ID, "example.org", PF_DNS_AAAA, query));
	b.data[2] = (char)0x81;
	b.data[7] = 1;
	RECORD(&b, SELF, 28, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1");
	assert_int_equal(pf_dns_parse((uint8_t *)b.data, b.len, ID, "example.org", PF_DNS_AAAA, &a), 0);
	assert_int_equal(a.address[0].family, 4);
	assert_memory_equal(a.address[0].b, "\x7f\0\0\1", 4);
}

static void outcomes(void **state)
{
	static const struct {
		unsigned flags;
		enum pf_dns_outcome outcome;
	} all[] = {{0x8180, PF_DNS_NOTHING}, {0x8183, PF_DNS_NOTHING}, {0x8380, PF_DNS_TRUNCATED},
		   {0x8182, PF_DNS_REFUSED}, {0x8185, PF_DNS_REFUSED}, {0x8181, PF_DNS_REFUSED}};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(all); i++) {
		PF_AUTO_BUF struct pf_buf b = {0};
		struct pf_dns_answer a;

		begin(&b, all[i].flags, 0);
		assert_int_equal(parse(&b, &a), 0);
		assert_int_equal(a.outcome, all[i].outcome);
		assert_int_equal(a.count, 0);
	}
}

static void what_is_no_answer(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf_dns_answer a = {.count = 77};

	(void)state;
	begin(&b, 0x8180, 1);
	RECORD(&b, SELF, 1, "\1\2\3\4");
	for (size_t n = 0, whole = b.len; n < whole; n++) {
		b.len = n;
		assert_int_equal(parse(&b, &a), -EBADMSG);
		b.len = whole;
	}
	for (size_t i = 0; i < 29;
	     i++) { /* every byte of the header (but counts and flags) and the question counts */
		if (i >= 2 && i < 12)
			continue;
		b.data[i] ^= 0x40;
		assert_int_equal(parse(&b, &a), -EBADMSG);
		b.data[i] ^= 0x40;
	}
	b.data[2] = 1; /* a query */
	assert_int_equal(parse(&b, &a), -EBADMSG);
	b.data[2] = (char)0x91; /* another operation */
	assert_int_equal(parse(&b, &a), -EBADMSG);
	b.data[2] = (char)0x81;
	b.data[5] = 2; /* two questions */
	assert_int_equal(parse(&b, &a), -EBADMSG);
	b.data[5] = 1;
	assert_int_equal(parse(&b, &a), 0);
}

static void names_that_never_end(void **state)
{
	static const char *const owners[] = {"\xc0\x1d", "\xc0\x1f", "\xff\xff", "\xc0", "\x40", "\x80"};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(owners); i++) {
		PF_AUTO_BUF struct pf_buf b = {0};
		struct pf_dns_answer a;

		begin(&b, 0x8180, 1);
		assert_int_equal(b.len, 0x1d); /* where the owner stands: to itself, behind itself, nowhere */
		RECORD(&b, owners[i], strlen(owners[i]), 1, "\1\2\3\4");
		assert_int_equal(parse(&b, &a), -EBADMSG);
	}
	{
		PF_AUTO_BUF struct pf_buf b = {0};
		struct pf_dns_answer a;

		begin(&b, 0x8180, 1);
		for (int j = 0; j < 10; j++)
			add(&b,
			    "\x1e"
			    "0123456789abcdefghijklmnopqrst",
			    31);
		RECORD(&b, SELF, 1, "\1\2\3\4");
		assert_int_equal(parse(&b, &a), -EBADMSG);
	}
}

static void answers_are_bounded(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf_dns_answer a;

	(void)state;
	begin(&b, 0x8180, 0xffff);
	for (int i = 0; i < 2000; i++)
		RECORD(&b, SELF, 1, "\1\2\3\4");
	assert_int_equal(parse(&b, &a), 0);
	assert_int_equal(a.count, PF_DNS_ADDRESSES_MAX);
}

/* --- the host's files ----------------------------------------------------------------- */

static void resolv_conf(void **state)
{
	static const char text[] = "# generated\n; also\n\nsearch example.org\n nameserver "
				   "10.0.0.53\nnameserver\t2001:db8::53 # two\n"
				   "nameserver fe80::1%eth0\nnameserver nonsense\noptions ndots:1 timeout:3 "
				   "attempts:9 rotate timeout:x\n"
				   "nameserver 10.0.0.54\r\nnameserver 10.0.0.55\nnameserver";
	struct pf_resolver r = {0};
	char shown[PF_ADDRESS_TEXT];

	(void)state;
	pf_resolver_conf(&r, text, sizeof(text) - 1);
	assert_int_equal(r.count, 3);
	assert_int_equal(r.timeout_ms, 3000);
	assert_int_equal(r.attempts, 5);
	pf_address_print(&r.servers[1].address, shown);
	assert_string_equal(shown, "2001:db8::53");
	pf_address_print(&r.servers[2].address, shown);
	assert_string_equal(shown, "10.0.0.54");
	assert_int_equal(r.servers[2].port, 53);
	pf_resolver_conf(&r, "", 0);
	assert_int_equal(r.count, 1);
	pf_address_print(&r.servers[0].address, shown);
	assert_string_equal(shown, "127.0.0.1");
	pf_resolver_free(&r);
}

static void hosts(void **state)
{
	static const char text[] =
		"127.0.0.1 localhost\n\n# 1.1.1.1 commented\n10.0.0.1\tOne.Test one # alias\n::1 "
		"ip6-localhost\n"
		"fe80::1%lo scoped\nnonsense here\n10.0.0.2 bad..name good.test\n10.0.0.3 one.test";
	struct pf_resolver r = {0};
	struct pf_lookup l;

	(void)state;
	assert_int_equal(pf_resolver_hosts(&r, text, sizeof(text) - 1), 0);
	assert_int_equal(r.host_count, 6);
	pf_lookup_start(&l, &r, "one.test", 0);
	assert_true(l.done && !l.failed);
	assert_int_equal(l.count, 2);
	assert_memory_equal(l.address[1].b, "\x0a\0\0\3", 4);
	pf_lookup_stop(&l);
	pf_lookup_start(&l, &r, "a.localhost", 0);
	assert_true(l.done && l.count == 2);
	pf_lookup_stop(&l);
	pf_lookup_stop(&l);
	pf_resolver_free(&r);
}

/* --- SOCKS ---------------------------------------------------------------------------- */

static void socks_requests(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		enum pf_socks_reply reply;
	} bad[] = {
		{"\4\1\0\1\1\2\3\4\0\x50", 10, PF_SOCKS_FAILED},
		{"\5\2\0\1\1\2\3\4\0\x50", 10, PF_SOCKS_NO_COMMAND},
		{"\5\1\0\2\1\2\3\4\0\x50", 10, PF_SOCKS_NO_ADDRESS_TYPE},
		{"\5\1\1\1\1\2\3\4\0\x50", 10, PF_SOCKS_NO_ADDRESS_TYPE},
		{"\5\1\0\1\1\2\3\4\0\0", 10, PF_SOCKS_FAILED},
		{"\5\1\0\3\0\0\x50", 7, PF_SOCKS_FAILED},
		{"\5\1\0\3\3a\0b\0\x50", 10, PF_SOCKS_FAILED},
		{"\5\1\0\3\5"
		 "127.1\0\x50",
		 12, PF_SOCKS_FAILED},
	};
	static const uint8_t good[] = "\5\1\0\3\x0b"
				      "Example.ORG\1\xbb";
	struct pf_host host;
	uint16_t port;
	enum pf_socks_reply reply;
	const char *why;

	(void)state;
	for (size_t n = 0; n < sizeof(good) - 1; n++)
		assert_int_equal(pf_socks_request(good, n, &host, &port, &reply, &why), 0);
	assert_int_equal(pf_socks_request(good, sizeof(good) - 1, &host, &port, &reply, &why),
			 sizeof(good) - 1);
	assert_string_equal(host.name, "example.org");
	assert_int_equal(port, 443);
	assert_int_equal(pf_socks_request((const uint8_t *)"\5\1\0\3\7"
							   "1.2.3.4\0\x50",
					  14, &host, &port, &reply, &why),
			 14);
	assert_int_equal(host.address.family, 4);
	assert_int_equal(
		pf_socks_request((const uint8_t *)"\5\1\0\4\0\0\0\0\0\0\0\0\0\0\xff\xff\1\2\3\4\0\x50", 22,
				 &host, &port, &reply, &why),
		22);
	assert_int_equal(host.address.family, 4);
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++) {
		assert_int_equal(
			pf_socks_request((const uint8_t *)bad[i].bytes, bad[i].n, &host, &port, &reply, &why),
			-EPROTO);
		assert_int_equal(reply, bad[i].reply);
	}
	assert_int_equal(pf_socks_greeting((const uint8_t *)"\5", 1), 0);
	assert_int_equal(pf_socks_greeting((const uint8_t *)"\5\2\2", 3), 0);
	assert_int_equal(pf_socks_greeting((const uint8_t *)"\5\2\2\0x", 5), 4);
	assert_int_equal(pf_socks_greeting((const uint8_t *)"\5\1\2", 3), -EACCES);
	assert_int_equal(pf_socks_greeting((const uint8_t *)"\5\0", 2), -EACCES);
	assert_int_equal(pf_socks_greeting((const uint8_t *)"\4\1", 2), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_query_is_as_rfc_1035_has_it),
		cmocka_unit_test(addresses_of_the_name_are_taken),
		cmocka_unit_test(aliases_are_followed_in_any_order),
		cmocka_unit_test(aliases_in_a_ring_end),
		cmocka_unit_test(mapped_addresses_are_what_they_are),
		cmocka_unit_test(outcomes),
		cmocka_unit_test(what_is_no_answer),
		cmocka_unit_test(names_that_never_end),
		cmocka_unit_test(answers_are_bounded),
		cmocka_unit_test(resolv_conf),
		cmocka_unit_test(hosts),
		cmocka_unit_test(socks_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
