// SPDX-License-Identifier: Apache-2.0
/* Output redaction: values in every encoding, at every alignment, however the stream is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guard/redact_internal.h"

static uint64_t lots = 88172645463325252ull;

static unsigned lot(unsigned below)
{
	lots ^= lots << 13;
	lots ^= lots >> 7;
	lots ^= lots << 17;
	return (unsigned)(lots >> 33) % below;
}

static void draw(char *out, size_t n)
{
	static const char from[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+/!";

	for (size_t i = 0; i < n; i++)
		out[i] = from[lot(sizeof(from) - 1)];
	out[n] = '\0';
}

static void to_buf(void *user, const void *p, size_t n)
{
	assert_int_equal(pf_buf_add(user, p, n), 0);
}

static struct pf_redact *with(const char *name, const char *value)
{
	struct pf_redact *r;

	assert_int_equal(pf_redact_new(&r), 0);
	if (value)
		assert_int_equal(pf_redact_add(r, name, value, strlen(value), PF_REDACT_SURE), 1);
	return r;
}

/* Feed in pieces of 1 to `most` bytes; 0: at once. */
static void filter(struct pf_redact *r, enum pf_guard_mode mode, const char *p, size_t n, unsigned most,
		   struct pf_buf *out)
{
	struct pf_redact_options o = {.stream = "stdout", .mode = mode, .sink = to_buf, .user = out};
	struct pf_redact_stream *s;

	assert_int_equal(pf_redact_open(r, &o, &s), 0);
	while (n > 0) {
		size_t k = most ? 1 + lot(most) : n;

		k = k < n ? k : n;
		assert_int_equal(pf_redact_feed(s, p, k), 0);
		p += k;
		n -= k;
	}
	assert_int_equal(pf_redact_end(s), 0);
	pf_redact_close(s);
}

static void expect(const char *value, const char *text, const char *want)
{
	for (unsigned most = 0; most < 4; most++) {
		PF_AUTO_BUF struct pf_buf out = {0};
		struct pf_redact *r = with("K", value);

		filter(r, PF_GUARD_ENFORCE, text, strlen(text), most, &out);
		assert_string_equal(out.data ? out.data : "", want);
		pf_redact_free(r);
	}
}

static void test_plain(void **state)
{
	(void)state;
	expect("sk_live_7fA1b", "key is sk_live_7fA1b.\n", "key is [redacted:K].\n");
	expect("sk_live_7fA1b", "sk_live_7fA1b", "[redacted:K]");
	expect("sk_live_7fA1b", "sk_live_ is how they begin\n", "sk_live_ is how they begin\n");
	expect("sk_live_7fA1b", "S K _ L I V E - 7\nf\nA\n1\nb\n", "[redacted:K]\n");
	expect("sk_live_7fA1b", "", "");
	expect("sk_live_7fA1b", "sk_live_7fA1b sk_live_7fA1b", "[redacted:K] [redacted:K]");
}

static void test_short_and_strange(void **state)
{
	(void)state;
	/* Short: as it is, and between bounds. */
	expect("x7Qp", "x7Qp, (x7Qp) ax7Qp x7Qpb", "[redacted:K], ([redacted:K]) ax7Qp x7Qpb");
	expect("!#%&$(=?+*", "a!#%&$(=?+*b", "a[redacted:K]b");
	expect("\xd0\xbf\xd0\xb0\xd1\x80\xd0\xbe\xd0\xbb\xd1\x8c",
	       "<\xd0\xbf\xd0\xb0\xd1\x80\xd0\xbe\xd0\xbb\xd1\x8c>", "<[redacted:K]>");
	expect("postgres", "postgres and postgresql", "[redacted:K] and postgresql");
}

static void test_audit_changes_nothing(void **state)
{
	static const char text[] = "a 9Qx2ZpL8mNvRtY3wK6d b 9Qx2ZpL8mNvRtY3wK6d\n";
	PF_AUTO_BUF struct pf_buf out = {0};
	struct pf_redact *r = with("K", "9Qx2ZpL8mNvRtY3wK6d");
	const struct pf_redact_count *c;
	size_t n;

	(void)state;
	filter(r, PF_GUARD_AUDIT, text, strlen(text), 3, &out);
	assert_string_equal(out.data, text);
	c = pf_redact_counts(r, &n);
	assert_int_equal(n, 1);
	assert_int_equal(c[0].count, 2);
	assert_string_equal(c[0].rule, "known:K");
	assert_string_equal(c[0].encoding, "plain");
	assert_string_equal(c[0].stream, "stdout");
	pf_redact_free(r);
}

/* What of value stands in out, letters and digits alone: the longest run. */
static size_t leaks(const char *value, const struct pf_buf *out)
{
	size_t longest = 0, len = strlen(value);

	for (size_t i = 0; i < len; i++) {
		for (size_t n = longest + 1; i + n <= len; n++) {
			if (!memmem(out->data, out->len, value + i, n))
				break;
			longest = n;
		}
	}
	return longest;
}

typedef void (*way)(struct pf__seq *o, const struct pf__seq *s, unsigned phase);
static void base64(struct pf__seq *o, const struct pf__seq *s, unsigned phase)
{
	(void)phase;
	pf__seq_base64(o, s, 0);
}
static void base32(struct pf__seq *o, const struct pf__seq *s, unsigned phase)
{
	(void)phase;
	pf__seq_base32(o, s, 0, false);
}
static void hex(struct pf__seq *o, const struct pf__seq *s, unsigned phase)
{
	(void)phase;
	pf__seq_hex(o, s);
}
static void escapes(struct pf__seq *o, const struct pf__seq *s, unsigned phase)
{
	(void)phase;
	pf__seq_numbers(o, s, "\\u00", 16, 2);
}
static void octal(struct pf__seq *o, const struct pf__seq *s, unsigned phase)
{
	(void)phase;
	pf__seq_numbers(o, s, " ", 8, 3);
}
static void decimal(struct pf__seq *o, const struct pf__seq *s, unsigned phase)
{
	(void)phase;
	pf__seq_numbers(o, s, ", ", 10, 1);
}
static void binary(struct pf__seq *o, const struct pf__seq *s, unsigned phase)
{
	(void)phase;
	pf__seq_numbers(o, s, " ", 2, 8);
}
static void reversed(struct pf__seq *o, const struct pf__seq *s, unsigned phase)
{
	(void)phase;
	pf__seq_reverse(o, s);
}
static void shifted(struct pf__seq *o, const struct pf__seq *s, unsigned phase)
{
	pf__seq_shift(o, s, 1 + phase % 25);
}
static void spelled(struct pf__seq *o, const struct pf__seq *s, unsigned phase)
{
	(void)phase;
	pf__seq_spelled(o, s);
}
static void words(struct pf__seq *o, const struct pf__seq *s, unsigned phase)
{
	(void)phase;
	pf__seq_words(o, s, 2, 0, 16, 4);
}

/* A secret of any kind among other bytes, all of it encoded, cut anywhere: nothing of its middle remains. */
static void test_random(void **state)
{
	static const way ways[] = {base64, base32,   hex,     escapes, octal, decimal,
				   binary, reversed, shifted, spelled, words};

	(void)state;
	for (unsigned round = 0; round < 400; round++) {
		PF_AUTO_BUF struct pf_buf out = {0};
		struct pf__seq *text = malloc(sizeof(*text)), *coded = malloc(sizeof(*coded)),
			       *secret = malloc(sizeof(*secret));
		unsigned before = lot(12), behind = lot(9), len = 16 + lot(33),
			 which = round % (sizeof(ways) / sizeof(ways[0]));
		char value[64], line[128];
		struct pf_redact *r;

		draw(value, len);
		draw(line, before);
		strcat(line, value);
		draw(line + strlen(line), behind);
		r = with("K", value);
		pf__seq_from(text, (const uint8_t *)line, strlen(line));
		ways[which](coded, text, round);
		filter(r, PF_GUARD_ENFORCE, (const char *)coded->c, coded->n, round % 5, &out);
		if (!memmem(out.data, out.len, "[redacted:K]", 12))
			fail_msg("round %u, way %u: %s in %s", round, which, value, line);
		/* the same of the value's middle alone must not be there any more */
		pf__seq_from(text, (const uint8_t *)value + 4, 8);
		ways[which](secret, text, round);
		if (which > 1 && which != 10)
			assert_null(memmem(out.data, out.len, secret->c, secret->n));
		pf_redact_free(r);
		free(text);
		free(coded);
		free(secret);
	}
}

static void test_cut_anywhere(void **state)
{
	static const char value[] = "GbX9vYt4Rw2QpLm7Nz1s";

	(void)state;
	for (unsigned cut = 0; cut <= 20; cut++) {
		PF_AUTO_BUF struct pf_buf out = {0};
		struct pf_redact *r = with("K", value);
		struct pf_redact_options o = {
			.stream = "x", .mode = PF_GUARD_ENFORCE, .sink = to_buf, .user = &out};
		struct pf_redact_stream *s;

		assert_int_equal(pf_redact_open(r, &o, &s), 0);
		assert_int_equal(pf_redact_feed(s, value, cut), 0);
		assert_int_equal(out.len, 0); /* all of it may become a hit */
		assert_int_equal(pf_redact_pause(s), 0);
		assert_int_equal(pf_redact_feed(s, value + cut, 20 - cut), 0);
		assert_int_equal(pf_redact_end(s), 0);
		/* A pause lets fewer than eight bytes go, and the accounts know of them. */
		assert_true(leaks(value, &out) < 8);
		assert_non_null(memmem(out.data, out.len, "[redacted:K]", 12));
		if (cut > 0 && cut < 8)
			assert_int_equal(pf_redact_disclosed(r, 0), cut);
		pf_redact_close(s);
		pf_redact_free(r);
	}
}

static void test_pieces(void **state)
{
	(void)state;
	expect("GbX9vYt4Rw2QpLm7Nz1s", "X9vYt4Rw", "[redacted:K]");
	expect("GbX9vYt4Rw2QpLm7Nz1s", "X9vYt4R", "X9vYt4R");
	expect("correct-horse-battery-7Qx2Zp", "correct battery horse", "correct battery horse");
}

static void test_what_counts(void **state)
{
	static const struct {
		const char *name, *value;
		int counts;
	} rows[] = {
		{"PORT", "3000", 0},
		{"DEBUG", "true", 0},
		{"NODE_ENV", "development", 0},
		{"LOG_DIR", "/var/log/app", 0},
		{"HOST", "localhost", 0},
		{"URL", "https://example.org/a/b", 0},
		{"DATABASE_URL", "postgres://u:7fA1b9Qx@db/x", 1},
		{"REGION", "eu-central-1", 0},
		{"APP_NAME", "My Application", 0},
		{"VERSION", "12.4.1-beta.2", 0},
		{"IMAGE", "python:3.11-slim", 0},
		{"API_KEY", "abcdefgh", 1},
		{"DB_PASSWORD", "hunter2", 1},
		{"SECRET", "changeme", 0},
		{"X", "GbX9vYt4Rw2QpLm7Nz1s", 1},
		{"TOKEN_URL", "https://example.org/token", 0},
		{"KEYBOARD", "us-intl", 0},
		{"TZ", "Europe/Berlin", 0},
		{"EMAIL", "someone@example.org", 0},
		{"PASS", "abc", 0},
		{"TIMEOUT_MS", "30000000", 0},
		{"APP_ID", "7fA1b9Qx2ZpL8mNvRtY3", 0},
		{"X", "550e8400-e29b-41d4-a716-446655440000", 0},
		{"MY_KEY", "550e8400-e29b-41d4-a716-446655440000", 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pf_redact *r = with(NULL, NULL);
		int got =
			pf_redact_add(r, rows[i].name, rows[i].value, strlen(rows[i].value), PF_REDACT_MAYBE);

		if (got != rows[i].counts)
			fail_msg("%s=%s: %d", rows[i].name, rows[i].value, got);
		pf_redact_free(r);
	}
}

static void test_patterns(void **state)
{
	(void)state;
	expect(NULL,
	       "-----BEGIN RSA PRIVATE "
	       "KEY-----\nMIIEowIBAAKCAQEA0Z3VS5JJcds3xfn/"
	       "ygWyF0PbnGcY5unA67hqxnfZ\nMIIEowIBAAKCAQEA0Z3VS5JJcds3x\n"
	       "-----END RSA PRIVATE KEY-----\nbehind",
	       "[redacted:private-key]\nbehind");
	expect(NULL, "postgres://app:q7Xz9Kp2Lm4@db:5432/x",
	       "postgres://app:[redacted:url-password]@db:5432/x");
	expect(NULL, "postgres://user:password@localhost/x", "postgres://user:password@localhost/x");
	expect(NULL, "api_key = \"aB3dE5gH7jK9mN1pQ3sT5vX7\"", "api_key = \"[redacted:assigned-secret]\"");
	expect(NULL, "-----BEGIN PRIVATE KEY-----\n...\n", "-----BEGIN PRIVATE KEY-----\n...\n");
}

/* Whatever comes: the same bytes come out when nothing is found, and what is held is bounded. */
static void test_endless(void **state)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	struct pf_redact *r = with("K", "GbX9vYt4Rw2QpLm7Nz1s");
	struct pf_redact_options o = {.stream = "x", .mode = PF_GUARD_ENFORCE, .sink = to_buf, .user = &out};
	struct pf_redact_stream *s;
	uint64_t fed = 0;

	(void)state;
	assert_int_equal(pf_redact_open(r, &o, &s), 0);
	for (unsigned i = 0; i < 3000; i++) {
		char piece[3000];
		unsigned n = 1 + lot(sizeof(piece)), kind = lot(4);

		for (unsigned k = 0; k < n; k++)
			piece[k] = kind == 0   ? (char)lot(256)
				   : kind == 1 ? 'G'
				   : kind == 2 ? "GbX9vY\n"[k % 7]
					       : '\0';
		assert_int_equal(pf_redact_feed(s, piece, n), 0);
		fed += n;
		assert_true(fed - out.len <= PF_REDACT_BLOB + 65536);
	}
	assert_int_equal(pf_redact_end(s), 0);
	pf_redact_close(s);
	pf_redact_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_short_and_strange),
		cmocka_unit_test(test_audit_changes_nothing),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_what_counts),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_endless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
