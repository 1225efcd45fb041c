// SPDX-License-Identifier: Apache-2.0
/* What hidden files hold: the values that count, by the form of the file. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guard/secret.h"

struct row {
	const char *file, *text;
	const char *found[4]; /* values; the others of its text are none */
	const char *not_found[4];
};

static bool finds(struct pf_redact *r, const char *value)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	int e = pf_redact_text(r, "x", PF_GUARD_ENFORCE, value, strlen(value), NULL, &out);

	assert_true(e >= 0);
	return e == 1;
}

static const struct row rows[] = {
	{".env",
	 "PORT=3000\nDEBUG=true\nA_TOKEN='q7Xz9Kp2Lm4'\nexport B_SECRET=zz-9Kp2Lm4 # "
	 "why\nHOST=db.example.org\n",
	 {"q7Xz9Kp2Lm4", "zz-9Kp2Lm4"},
	 {"3000", "true", "db.example.org"}},
	{"config.json",
	 "{\"a\": {\"password\": \"q7Xz9Kp2Lm4\", \"port\": 3000}, \"name\": \"my-app\", \"db\": "
	 "\"postgres://u:Rt8Vw3Yb6N@h/d\"}",
	 {"q7Xz9Kp2Lm4", "Rt8Vw3Yb6N"},
	 {"my-app", "3000"}},
	{"s.yaml",
	 "db:\n  password: q7Xz9Kp2Lm4\n  user: someone\n- token: \"zz-9Kp2Lm4\"\n",
	 {"q7Xz9Kp2Lm4", "zz-9Kp2Lm4"},
	 {"someone"}},
	{".netrc",
	 "machine h.example.org\n  login someone\n  password q7Xz9Kp2Lm4\n",
	 {"q7Xz9Kp2Lm4"},
	 {"someone", "h.example.org"}},
	{".npmrc",
	 "registry=https://r.example.org/\n//r.example.org/:_authToken=q7Xz9Kp2Lm4\n",
	 {"q7Xz9Kp2Lm4"},
	 {"https://r.example.org/"}},
	{"credentials",
	 "[default]\naws_access_key_id = AKQ7XZ9KP2LM4RT8VW3Y\naws_secret_access_key = "
	 "q7Xz9Kp2Lm4/Rt8Vw3Yb6N+dd\nregion = eu-west-1\n",
	 {"q7Xz9Kp2Lm4/Rt8Vw3Yb6N+dd"},
	 {"eu-west-1"}},
	{".pgpass", "h:5432:d:someone:q7Xz9Kp2Lm4\n", {"q7Xz9Kp2Lm4"}, {"someone"}},
	{".git-credentials", "https://someone:q7Xz9Kp2Lm4@h.example.org\n", {"q7Xz9Kp2Lm4"}, {"someone"}},
	{"token", "q7Xz9Kp2Lm4Rt8\n", {"q7Xz9Kp2Lm4Rt8"}, {"token"}},
	{"id_ed25519",
	 "-----BEGIN OPENSSH PRIVATE "
	 "KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtz\nqqB\n-----END OPENSSH "
	 "PRIVATE KEY-----\n",
	 {"b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtz"},
	 {"OPENSSH"}},
	{".env", "=\n==\nA\n\"\n'\nB=\"\nTOKEN=\nKEY='\n\xff\xfe=\xff\n", {NULL}, {"TOKEN"}},
};

static void test_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pf_redact *r;
		bool full = false;

		assert_int_equal(pf_redact_new(&r), 0);
		assert_int_equal(pf_secret_file(r, rows[i].file, rows[i].text, strlen(rows[i].text), &full),
				 0);
		assert_false(full);
		for (size_t k = 0; k < 4 && rows[i].found[k]; k++)
			if (!finds(r, rows[i].found[k]))
				fail_msg("%s: %s is not found", rows[i].file, rows[i].found[k]);
		for (size_t k = 0; k < 4 && rows[i].not_found[k]; k++)
			if (finds(r, rows[i].not_found[k]))
				fail_msg("%s: %s is found", rows[i].file, rows[i].not_found[k]);
		pf_redact_free(r);
	}
}

static void test_too_many(void **state)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	struct pf_redact *r;
	bool full = false;

	(void)state;
	for (unsigned i = 0; i < PF_REDACT_VALUES; i++)
		pf_buf_addf(&text, "A_KEY=q7Xz9Kp2Lm4%u\n", i);
	assert_int_equal(pf_redact_new(&r), 0);
	assert_int_equal(pf_secret_file(r, ".env", text.data, text.len, &full), 0);
	assert_false(full);
	assert_int_equal(pf_redact_values(r), PF_REDACT_VALUES);
	assert_int_equal(pf_secret_file(r, ".env", "B_KEY=one-more-9Kp2", 19, &full), 0);
	assert_true(full);
	pf_redact_free(r);
}

static void test_references(void **state)
{
	static const char *const bad[] = {"", "K", "K=", "K=value", "=env:X", "K=env:", "K=@", "K=ENV:X"};
	struct pf_error err = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(pf_secret_check(bad[i], &err), -EINVAL);
	assert_int_equal(pf_secret_check("K=env:X", &err), 0);
	assert_int_equal(pf_secret_check("K=@x", &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_references),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
