/* SPDX-License-Identifier: Apache-2.0 */
/* egress/tls_hello: hellos whole and in pieces, and what a tunnel lets pass. (Real ones: tests/egress.) */
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
#include "egress/tls_hello.h"

static void put(struct pf_buf *b, unsigned bytes, size_t v)
{
	while (bytes--)
		pf_buf_addc(b, (char)(v >> 8 * bytes));
}

/* A record of this type around what was added since `from`. */
static void wrap(struct pf_buf *b, size_t from, unsigned type)
{
	PF_AUTO_BUF struct pf_buf inner = {0};

	pf_buf_add(&inner, b->data + from, b->len - from);
	b->len = from;
	put(b, 1, type);
	put(b, 2, 0x0303);
	put(b, 2, inner.len);
	pf_buf_add(b, inner.data ? inner.data : "", inner.len);
}

static void add_record(struct pf_buf *b, unsigned type, const char *data, size_t n)
{
	size_t from = b->len;

	pf_buf_add(b, data, n);
	wrap(b, from, type);
}

static void add_name(struct pf_buf *b, const char *name)
{
	size_t n = strlen(name);

	put(b, 2, 0);
	put(b, 2, n + 5);
	put(b, 2, n + 3);
	put(b, 1, 0);
	put(b, 2, n);
	pf_buf_adds(b, name);
}

/* A ClientHello with this name (NULL: none) and these other extensions. */
static void add_message(struct pf_buf *b, const char *name, const struct pf_buf *more)
{
	PF_AUTO_BUF struct pf_buf ext = {0}, body = {0};

	if (name)
		add_name(&ext, name);
	if (more && more->len)
		pf_buf_add(&ext, more->data, more->len);
	put(&body, 2, 0x0303);
	for (int i = 0; i < 32; i++)
		put(&body, 1, (size_t)i);
	put(&body, 1, 0);
	put(&body, 2, 2);
	put(&body, 2, 0x1301);
	put(&body, 2, 0x0100);
	put(&body, 2, ext.len);
	pf_buf_add(&body, ext.data ? ext.data : "", ext.len);
	put(b, 1, 1);
	put(b, 3, body.len);
	pf_buf_add(b, body.data, body.len);
}

static void add_hello(struct pf_buf *b, const char *name, const struct pf_buf *more)
{
	size_t from = b->len;

	add_message(b, name, more);
	wrap(b, from, 22);
}

static void add_extension(struct pf_buf *b, unsigned type, size_t n)
{
	put(b, 2, type);
	put(b, 2, n);
	for (size_t i = 0; i < n; i++)
		put(b, 1, 0);
}

static ssize_t parse(const struct pf_buf *b, size_t n, struct pf_tls_hello *h)
{
	PF_AUTO_FREE uint8_t *exact = malloc(n ? n : 1);
	const char *why = NULL;
	ssize_t r;

	if (n)
		memcpy(exact, b->data, n);
	r = pf_tls_hello_parse(exact, n, h, &why);
	assert_true((r == -EPROTO) == (why != NULL));
	return r;
}

static void every_prefix_wants_more(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf_tls_hello h;

	(void)state;
	add_hello(&b, "Example.ORG", NULL);
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(parse(&b, n, &h), 0);
	assert_int_equal(parse(&b, b.len, &h), b.len);
	assert_true(h.has_name && !h.encrypted && !h.early_data);
	assert_string_equal(h.name, "example.org");
	pf_buf_adds(&b, "more");
	assert_int_equal(parse(&b, b.len, &h), b.len - 4);
}

static void records_of_any_size(void **state)
{
	PF_AUTO_BUF struct pf_buf message = {0};
	struct pf_tls_hello h;

	(void)state;
	add_message(&message, "example.org", NULL);
	for (size_t step = 1; step <= message.len; step++) {
		PF_AUTO_BUF struct pf_buf b = {0};

		for (size_t at = 0; at < message.len; at += step)
			add_record(&b, 22, message.data + at,
				   message.len - at < step ? message.len - at : step);
		for (size_t n = 0; n < b.len; n += 7)
			assert_int_equal(parse(&b, n, &h), 0);
		assert_int_equal(parse(&b, b.len, &h), b.len);
		assert_string_equal(h.name, "example.org");
	}
}

/* Turn over each byte: whatever comes of it, nothing is read beyond the end, and no other name is found
 * than what stands there. */
static void damaged_ones(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf_tls_hello h;
	unsigned refused = 0;

	(void)state;
	add_hello(&b, "example.org", NULL);
	for (size_t i = 0; i < b.len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			b.data[i] ^= (char)(1u << bit);
			refused += parse(&b, b.len, &h) <= 0;
			b.data[i] ^= (char)(1u << bit);
		}
	}
	assert_true(refused > b.len);
}

static void what_cannot_be_read(void **state)
{
	static const char *const bad[] = {"",	   "example.org.", "exa mple",	    "a..b",
					  "127.1", "[::1]",	   "b\xc3\xbc.test"};
	struct pf_tls_hello h;

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++) {
		PF_AUTO_BUF struct pf_buf b = {0};

		add_hello(&b, bad[i], NULL);
		assert_int_equal(parse(&b, b.len, &h), -EPROTO);
	}
	for (int twice = 0; twice < 2;
	     twice++) { /* two names, two hellos in a record, an empty record first */
		PF_AUTO_BUF struct pf_buf b = {0}, more = {0};

		if (twice)
			add_name(&more, "other.test");
		else
			add_record(&b, 22, "", 0);
		add_hello(&b, "example.org", &more);
		assert_int_equal(parse(&b, b.len, &h), -EPROTO);
	}
	{
		PF_AUTO_BUF struct pf_buf b = {0};

		add_message(&b, "example.org", NULL);
		add_message(&b, "example.org", NULL);
		wrap(&b, 0, 22);
		assert_int_equal(parse(&b, b.len, &h), -EPROTO);
	}
}

static void sizes(void **state)
{
	(void)state;
	for (size_t n = 1000; n < 40000; n += 1000) {
		PF_AUTO_BUF struct pf_buf b = {0}, more = {0}, message = {0};
		struct pf_tls_hello h;
		ssize_t r;

		add_extension(&more, 21, n);
		add_message(&message, "example.org", &more);
		for (size_t at = 0; at < message.len; at += 8000)
			add_record(&b, 22, message.data + at,
				   message.len - at < 8000 ? message.len - at : 8000);
		r = parse(&b, b.len, &h);
		assert_true(b.len <= PF_TLS_HELLO_MAX ? r == (ssize_t)b.len : r == -EPROTO);
		/* it never asks for more than there may be */
		for (size_t k = PF_TLS_HELLO_MAX + 5; k < b.len; k += 500)
			assert_int_equal(parse(&b, k, &h), -EPROTO);
	}
}

static void what_an_extension_tells(void **state)
{
	static const struct {
		unsigned type;
		bool encrypted, early;
	} all[] = {{0xfe0d, true, false},
		   {0xffce, true, false},
		   {42, false, true},
		   {16, false, false},
		   {0x0a0a, false, false}};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(all); i++) {
		PF_AUTO_BUF struct pf_buf b = {0}, more = {0};
		struct pf_tls_hello h;

		add_extension(&more, all[i].type, 4);
		add_hello(&b, "example.org", &more);
		assert_int_equal(parse(&b, b.len, &h), b.len);
		assert_int_equal(h.encrypted, all[i].encrypted);
		assert_int_equal(h.early_data, all[i].early);
	}
}

/* --- tunnels -------------------------------------------------------------------------- */

/* Give it all in pieces, as the relay does. How much passed. */
static size_t feed(struct pf_tls_watch *w, const struct pf_buf *b, size_t step, enum pf_tls_verdict *v)
{
	size_t passed = 0;

	*v = PF_TLS_FINE;
	for (size_t have = step < b->len ? step : b->len;;
	     have = have + step < b->len ? have + step : b->len) {
		while (passed < have) {
			PF_AUTO_FREE uint8_t *exact = malloc(have - passed);
			size_t pass;

			memcpy(exact, b->data + passed, have - passed);
			*v = pf_tls_watch(w, exact, have - passed, &pass);
			assert_true(pass <= have - passed);
			if (*v != PF_TLS_FINE) {
				assert_int_equal(pass, 0);
				return passed;
			}
			passed += pass;
			if (pass == 0)
				break;
		}
		if (have == b->len)
			return passed;
	}
}

static void passes(const struct pf_buf *b, struct pf_tls_watch fresh, size_t expected,
		   enum pf_tls_verdict verdict)
{
	static const size_t steps[] = {1, 3, 64, 100000};

	for (size_t i = 0; i < PF_ARRAY_SIZE(steps); i++) {
		struct pf_tls_watch w = fresh;
		enum pf_tls_verdict v;
		size_t n = feed(&w, b, steps[i], &v);

		if (n != expected || v != verdict)
			fail_msg("by %zu: %zu of %zu passed, %d", steps[i], n, b->len, v);
	}
}

static const struct pf_tls_watch named = {.name = "example.org", .require = true};

static void the_name_must_be_the_right_one(void **state)
{
	static const struct {
		const char *name;
		enum pf_tls_verdict verdict;
	} all[] = {{"example.org", PF_TLS_FINE},
		   {"EXAMPLE.org", PF_TLS_FINE},
		   {"other.test", PF_TLS_OTHER_NAME},
		   {"www.example.org", PF_TLS_OTHER_NAME},
		   {NULL, PF_TLS_NO_NAME},
		   {"bad name", PF_TLS_MALFORMED}};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(all); i++) {
		PF_AUTO_BUF struct pf_buf b = {0};

		add_hello(&b, all[i].name, NULL);
		passes(&b, named, all[i].verdict == PF_TLS_FINE ? b.len : 0, all[i].verdict);
	}
}

static bool only_other(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "other.test") == 0;
}

static void to_an_address(void **state)
{
	const struct pf_tls_watch w = {.require = true, .also = only_other};
	PF_AUTO_BUF struct pf_buf none = {0}, other = {0}, example = {0};

	(void)state;
	add_hello(&none, NULL, NULL);
	add_hello(&other, "other.test", NULL);
	add_hello(&example, "example.org", NULL);
	passes(&none, w, none.len, PF_TLS_FINE);
	passes(&other, w, other.len, PF_TLS_FINE);
	passes(&example, w, 0, PF_TLS_OTHER_NAME);
	passes(&example, (struct pf_tls_watch){.require = true}, 0, PF_TLS_OTHER_NAME);
}

static void what_is_not_tls(void **state)
{
	static const char *const others[] = {"SSH-2.0-x\r\n", "GET / HTTP/1.1\r\n", "\x16\x04x",
					     "\x15\x03\x01", "\x80\x2e\x01"};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(others); i++) {
		struct pf_buf b = {.data = (char *)(uintptr_t)others[i], .len = strlen(others[i])};

		passes(&b, named, 0, PF_TLS_NOT_TLS);
		passes(&b, (struct pf_tls_watch){.name = "example.org"}, b.len, PF_TLS_FINE);
	}
}

/* Two hellos with these records between, the second with this name. */
static void twice(const char *name, unsigned type, size_t size, bool early, enum pf_tls_verdict verdict)
{
	PF_AUTO_BUF struct pf_buf b = {0}, more = {0}, between = {0};
	size_t first;

	if (early)
		add_extension(&more, 42, 0);
	add_hello(&b, "example.org", &more);
	for (size_t i = 0; i < size; i++)
		put(&between, 1, i);
	for (size_t at = 0; type && (at == 0 || at < size); at += 16384)
		add_record(&b, type, between.data ? between.data + at : "",
			   size - at < 16384 ? size - at : 16384);
	first = b.len;
	add_hello(&b, name, NULL);
	passes(&b, named, verdict == PF_TLS_FINE ? b.len : first, verdict);
}

static void a_second_hello(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};

	(void)state;
	twice("example.org", 0, 0, false, PF_TLS_FINE);
	twice("other.test", 0, 0, false, PF_TLS_OTHER_NAME);
	twice(NULL, 0, 0, false, PF_TLS_NO_NAME);
	twice("other.test", 20, 1, false, PF_TLS_OTHER_NAME);
	twice("other.test", 21, 2, false, PF_TLS_OTHER_NAME);
	twice("other.test", 24, 9, false, PF_TLS_OTHER_NAME);
	twice("other.test", 23, 9000, true, PF_TLS_OTHER_NAME);
	twice("other.test", 23, 60000, true, PF_TLS_OTHER_NAME);
	/* No server takes that much early data, and behind application data no hello is in plain text. */
	twice("other.test", 23, 70000, true, PF_TLS_FINE);
	twice("other.test", 23, 9, false, PF_TLS_FINE);
	/* A record that is empty, and records without end, are no handshake of anybody's. */
	add_hello(&b, "example.org", NULL);
	add_record(&b, 22, "", 0);
	add_hello(&b, "other.test", NULL);
	passes(&b, named, b.len - 5 - (b.len - 5) / 2, PF_TLS_MALFORMED);
}

static void records_without_end(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf_tls_watch w = named;
	enum pf_tls_verdict v;

	(void)state;
	add_hello(&b, "example.org", NULL);
	for (int i = 0; i < 20000; i++)
		add_record(&b, 20, "\1", 1);
	assert_true(feed(&w, &b, 100000, &v) < b.len);
	assert_int_equal(v, PF_TLS_MALFORMED);
}

static void the_rest_of_a_connection_is_not_read(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};

	(void)state;
	add_hello(&b, "example.org", NULL);
	add_record(&b, 22, "\x10\0\0\1x", 5); /* ClientKeyExchange of TLS 1.2 */
	add_hello(&b, "other.test", NULL);
	pf_buf_adds(&b, "anything at all");
	passes(&b, named, b.len, PF_TLS_FINE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_prefix_wants_more),
		cmocka_unit_test(records_of_any_size),
		cmocka_unit_test(damaged_ones),
		cmocka_unit_test(what_cannot_be_read),
		cmocka_unit_test(sizes),
		cmocka_unit_test(what_an_extension_tells),
		cmocka_unit_test(the_name_must_be_the_right_one),
		cmocka_unit_test(to_an_address),
		cmocka_unit_test(what_is_not_tls),
		cmocka_unit_test(a_second_hello),
		cmocka_unit_test(records_without_end),
		cmocka_unit_test(the_rest_of_a_connection_is_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
