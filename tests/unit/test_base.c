/* SPDX-License-Identifier: Apache-2.0 */
/* base/error, base/buf and base/sha256. */
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
#include "base/error.h"
#include "base/sha256.h"
#include "base/str.h"

static void fail_sets_code_and_message(void **state)
{
	struct pf_error err = {0};

	(void)state;
	errno = EBADF;
	assert_int_equal(pf_fail(&err, -ENOENT, "no %s at %d", "image", 7), -ENOENT);
	assert_int_equal(err.code, -ENOENT);
	assert_string_equal(err.msg, "no image at 7");
	assert_int_equal(errno, EBADF);
	assert_int_equal(pf_fail(NULL, -EPERM, "x"), -EPERM);
}

/* A sign or an errno lost by the caller may never read as success. */
static void a_failure_is_never_success(void **state)
{
	struct pf_error err = {0};

	(void)state;
	assert_int_equal(pf_fail(&err, EINVAL, "x"), -EINVAL);
	assert_int_equal(pf_fail(&err, 0, "x"), -EIO);
	assert_int_equal(err.code, -EIO);
	errno = 0;
	assert_int_equal(pf_fail_errno(&err, "x"), -EIO);
	err = (struct pf_error){0};
	assert_int_equal(pf_wrap(&err, "x"), -EIO);
	assert_true(pf_wrap(NULL, "x") < 0);
}

static void message_is_one_line(void **state)
{
	struct pf_error err;

	(void)state;
	pf_fail(&err, -EINVAL, "a\nb%s", "\r\nc");
	assert_string_equal(err.msg, "a b  c");
	pf_wrap(&err, "p\nq");
	assert_string_equal(err.msg, "p q: a b  c");
}

static void long_messages_are_cut(void **state)
{
	char name[2 * PF_ERROR_MAX];
	struct pf_error err;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	pf_fail(&err, -EINVAL, "%s", name);
	assert_int_equal(strlen(err.msg), PF_ERROR_MAX - 1);

	/* the reason survives a long name, and any prefix after it */
	errno = ENOENT;
	assert_int_equal(pf_fail_errno(&err, "open %s", name), -ENOENT);
	assert_non_null(strstr(err.msg, "nnn: No such file or directory"));
	pf_fail(&err, -EINVAL, "the cause");
	for (int i = 0; i < 3; i++)
		pf_wrap(&err, "%s", name);
	pf_fail(&err, -EINVAL, "the cause");
	assert_int_equal(pf_wrap(&err, "%s", name), -EINVAL);
	assert_non_null(strstr(err.msg, "nnn: the cause"));
}

/* "é" is two bytes: wherever the cut falls, what is left is UTF-8. */
static void cuts_keep_characters_whole(void **state)
{
	char name[2 * PF_ERROR_MAX] = "";
	struct pf_error err;

	(void)state;
	for (size_t i = 0; i + 2 < sizeof(name); i += 2)
		memcpy(name + i, "\xc3\xa9", 3);
	for (size_t skip = 0; skip < 4; skip += 2) {
		for (int pad = 0; pad < 2; pad++) {
			pf_fail(&err, -EINVAL, "%s%s", pad ? "x" : "", name + skip);
			assert_true(pf_utf8_valid(err.msg, strlen(err.msg)));
			pf_wrap(&err, "%s%s", pad ? "x" : "", name);
			assert_true(pf_utf8_valid(err.msg, strlen(err.msg)));
			errno = ENOSPC;
			pf_fail_errno(&err, "%s%s", pad ? "x" : "", name);
			assert_true(pf_utf8_valid(err.msg, strlen(err.msg)));
		}
	}
}

static void buf_grows_and_terminates(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};

	(void)state;
	assert_int_equal(pf_buf_adds(&b, ""), 0);
	assert_string_equal(b.data, "");
	for (int i = 0; i < 10000; i++)
		assert_int_equal(pf_buf_addc(&b, (char)('a' + i % 26)), 0);
	assert_int_equal(b.len, 10000);
	assert_int_equal(strlen(b.data), 10000);
	assert_int_equal(b.data[9999], 'a' + 9999 % 26);
	pf_buf_consume(&b, 9998);
	assert_int_equal(b.len, 2);
	assert_int_equal(b.data[0], 'a' + 9998 % 26);
	assert_int_equal(b.data[1], 'a' + 9999 % 26);
	pf_buf_consume(&b, 2);
	assert_string_equal(b.data, "");
	assert_false(b.failed);
}

static void buf_limit_is_exact(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {.limit = 5};

	(void)state;
	assert_int_equal(pf_buf_adds(&b, "12345"), 0);
	assert_int_equal(pf_buf_addc(&b, '6'), -E2BIG);
	assert_true(b.failed);
	assert_string_equal(b.data, "12345");
	pf_buf_consume(&b, 3); /* a queue goes on, but what was lost stays noted */
	assert_int_equal(pf_buf_adds(&b, "678"), 0);
	assert_string_equal(b.data, "45678");
	assert_true(b.failed);
	assert_null(pf_buf_steal(&b));
	pf_buf_free(&b);
	assert_false(b.failed);
	assert_int_equal(b.limit, 5);
	assert_int_equal(pf_buf_adds(&b, "123456"), -E2BIG);
	assert_null(b.data);
}

static void buf_refuses_overflow(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};

	(void)state;
	assert_int_equal(pf_buf_adds(&b, "x"), 0);
	assert_int_equal(pf_buf_reserve(&b, SIZE_MAX), -ENOMEM);
	assert_int_equal(pf_buf_reserve(&b, SIZE_MAX - 1), -ENOMEM);
	assert_int_equal(pf_buf_reserve(&b, SIZE_MAX / 2), -ENOMEM);
	assert_string_equal(b.data, "x");
	b.limit = SIZE_MAX;
	assert_int_equal(pf_buf_reserve(&b, SIZE_MAX - 1), -ENOMEM);
}

static void buf_formats(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	char longer[1000];

	(void)state;
	memset(longer, 'l', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(pf_buf_addf(&b, "%d-%s;", 5, "x"), 0);
	assert_int_equal(pf_buf_addf(&b, "%s;", longer), 0);
	/* the border of the inner buffer */
	for (int n = 254; n <= 257; n++)
		assert_int_equal(pf_buf_addf(&b, "%.*s;", n, longer), 0);
	assert_int_equal(b.len, 4 + 1000 + 255 + 256 + 257 + 258);
	assert_int_equal(strlen(b.data), b.len);
}

static void buf_steal_gives_away(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	PF_AUTO_FREE char *empty = NULL;
	PF_AUTO_FREE char *text = NULL;

	(void)state;
	empty = pf_buf_steal(&b);
	assert_string_equal(empty, "");
	pf_buf_adds(&b, "mine");
	text = pf_buf_steal(&b);
	assert_string_equal(text, "mine");
	assert_null(b.data);
	assert_int_equal(b.len, 0);
	pf_buf_consume(&b, 0);
}

static void sha256_known_answers(void **state)
{
	static const struct {
		const char *in, *digest;
	} known[] = {
		{"", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc", "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		 "sha256:248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	};
	char out[PF_DIGEST_MAX];

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(known); i++) {
		pf_sha256_text(known[i].in, strlen(known[i].in), out);
		assert_string_equal(out, known[i].digest);
	}
	pf_sha256_text(NULL, 0, out);
	assert_string_equal(out, known[0].digest);
}

static void sha256_of_a_million(void **state)
{
	struct pf_sha256 s;
	char chunk[1000], out[PF_DIGEST_MAX];

	(void)state;
	memset(chunk, 'a', sizeof(chunk));
	pf_sha256_init(&s);
	for (int i = 0; i < 1000; i++)
		pf_sha256_add(&s, chunk, sizeof(chunk));
	pf_sha256_end_text(&s, out);
	assert_string_equal(out, "sha256:cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* However the input is cut into pieces, and around every padding border, the digest is the same. */
static void sha256_is_independent_of_pieces(void **state)
{
	char in[200], whole[PF_DIGEST_MAX], out[PF_DIGEST_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (char)(i * 7);
	for (size_t n = 0; n <= sizeof(in); n++) {
		pf_sha256_text(in, n, whole);
		for (size_t step = 1; step <= 67; step += 11) {
			struct pf_sha256 s;

			pf_sha256_init(&s);
			for (size_t at = 0; at < n; at += step) {
				pf_sha256_add(&s, in + at, n - at < step ? n - at : step);
				pf_sha256_add(&s, NULL, 0);
			}
			pf_sha256_end_text(&s, out);
			assert_string_equal(out, whole);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fail_sets_code_and_message),
		cmocka_unit_test(a_failure_is_never_success),
		cmocka_unit_test(message_is_one_line),
		cmocka_unit_test(long_messages_are_cut),
		cmocka_unit_test(cuts_keep_characters_whole),
		cmocka_unit_test(buf_grows_and_terminates),
		cmocka_unit_test(buf_limit_is_exact),
		cmocka_unit_test(buf_refuses_overflow),
		cmocka_unit_test(buf_formats),
		cmocka_unit_test(buf_steal_gives_away),
		cmocka_unit_test(sha256_known_answers),
		cmocka_unit_test(sha256_of_a_million),
		cmocka_unit_test(sha256_is_independent_of_pieces),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
