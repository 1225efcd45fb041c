/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts of an image: what is found in its passwd and group, and above all what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "image/account.h"

static struct pf_buf text(const char *s)
{
	struct pf_buf b = {0};

	pf_buf_adds(&b, s);
	return b;
}

static const char passwd_text[] = "root:x:0:0:root:/root:/bin/sh\n"
				  "app:x:1234:2345:An app:/home/app:/bin/sh\n"
				  "app:x:1:1:the second one is not found:/home/b:/bin/sh\n"
				  "hex:x:0x10:1::/:/bin/sh\n"
				  "plus:x:+7:1::/:/bin/sh\n"
				  "minus:x:-1:1::/:/bin/sh\n"
				  "space:x: 7:1::/:/bin/sh\n"
				  "tail:x:7x:1::/:/bin/sh\n"
				  "empty:x::1::/:/bin/sh\n"
				  "wrap:x:4294967296:1::/:/bin/sh\n"
				  "few:x:7:1::/\n"
				  "many:x:7:1::/:/bin/sh:more\n"
				  "-dash:x:8:1::/:/bin/sh\n"
				  "bad\x1bname:x:9:1::/:/bin/sh\n"
				  "1000:x:0:0:a name of digits:/root:/bin/sh\n"
				  "big:x:70000:1::/:/bin/sh\n"
				  "\n"
				  "::::::\n"
				  "last:x:60:61::/home/last:/bin/sh";
static const char group_text[] = "root:x:0:\nweb:x:4000:app\nbroken:x:12\nbig:x:70000:\n2345:x:0:\n";

static void found(void **state)
{
	static const struct {
		const char *spec;
		uint32_t uid, gid;
		const char *name, *home;
	} good[] = {
		{"app", 1234, 2345, "app", "/home/app"},
		{"1234", 1234, 2345, "app", "/home/app"},
		{"app:web", 1234, 4000, "app", "/home/app"},
		{"app:7", 1234, 7, "app", "/home/app"},
		{"1234:web", 1234, 4000, "app", "/home/app"},
		{"app:2345", 1234, 2345, "app",
		 "/home/app"}, /* digits are a number, whatever a group is called */
		{"last", 60, 61, "last", "/home/last"},
		{"1000", 1000, 0, "user", ""}, /* no account has it: the one that is called so is another */
		{"7", 7, 0, "user", ""},
		{"5000:6000", 5000, 6000, "user", ""},
		{"0", 0, 0, "root", "/root"},
	};
	PF_AUTO_BUF struct pf_buf passwd = text(passwd_text), group = text(group_text);

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(good); i++) {
		struct pf_error err = {0};
		struct pf_account a;

		assert_int_equal(pf_account_find(good[i].spec, &passwd, &group, &a, &err), 0);
		assert_int_equal(a.uid, good[i].uid);
		assert_int_equal(a.gid, good[i].gid);
		assert_string_equal(a.name, good[i].name);
		assert_string_equal(a.home, good[i].home);
	}
}

static void not_found(void **state)
{
	static const struct {
		const char *spec;
		int code;
	} bad[] = {
		{"nobody", -ENOENT},	  {"hex", -ENOENT},
		{"plus", -ENOENT},	  {"minus", -ENOENT},
		{"space", -ENOENT},	  {"tail", -ENOENT},
		{"empty", -ENOENT},	  {"wrap", -ENOENT},
		{"few", -ENOENT},	  {"many", -ENOENT},
		{"-dash", -ENOENT},	  {"", -ENOENT},
		{"App", -ENOENT},	  {"app:nogroup", -ENOENT},
		{"app:broken", -ENOENT},  {"app:", -ENOENT},
		{"big", -ERANGE},	  {"70000", -ERANGE},
		{"app:big", -ERANGE},	  {"app:70000", -ERANGE},
		{"4294967296", -ERANGE},  {"app:4294967296", -ERANGE},
		{"12x", -ENOENT},	  {"0x0", -ENOENT},
		{"bad\x1bname", -ENOENT},
	};
	PF_AUTO_BUF struct pf_buf passwd = text(passwd_text), group = text(group_text);

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++) {
		struct pf_account a = {.uid = 77};
		struct pf_error err = {0};

		assert_int_equal(pf_account_find(bad[i].spec, &passwd, &group, &a, &err), bad[i].code);
		assert_int_equal(err.code, bad[i].code);
		assert_null(strchr(err.msg, '\x1b'));
		assert_int_equal(a.uid, 77);
	}
}

static void empty_files(void **state)
{
	PF_AUTO_BUF struct pf_buf none = {0};
	struct pf_error err = {0};
	struct pf_account a;

	(void)state;
	assert_false(pf_account_by_uid(&none, 0, &a));
	assert_int_equal(pf_account_find("5", &none, &none, &a, &err), 0);
	assert_true(a.uid == 5 && a.gid == 0 && !a.listed);
	assert_int_equal(pf_account_find("root", &none, &none, &a, &err), -ENOENT);
}

/* A NUL in a field makes it none: read as a string it would be another. */
static void nul_bytes(void **state)
{
	static const char bytes[] =
		"a\0b:x:0:0::/:/bin/sh\nok:x:5\0:1::/:/bin/sh\nok:x:6:1::/home/o\0/../../etc:/bin/sh\n";
	PF_AUTO_BUF struct pf_buf passwd = {0};
	struct pf_account a;

	(void)state;
	pf_buf_add(&passwd, bytes, sizeof(bytes) - 1);
	assert_false(pf_account_by_uid(&passwd, 0, &a));
	assert_false(pf_account_by_uid(&passwd, 5, &a));
	assert_true(pf_account_by_uid(&passwd, 6, &a));
	assert_string_equal(a.home, "");
}

static void homes(void **state)
{
	static const char *const good[] = {"/home/a",  "/root", "/opt/node", "/var/lib/postgresql",
					   "/srv",     "/home", "/app",	     "/home//a/./b/",
					   "/usrlocal"};
	static const char *const bad[] = {"",
					  "home",
					  "/",
					  "/etc",
					  "/etc/x",
					  "/usr",
					  "/usr/sbin",
					  "/bin",
					  "/proc/1/root",
					  "/dev",
					  "/dev/null",
					  "/sys",
					  "/tmp",
					  "/tmp/x",
					  "/run/user",
					  "/var",
					  "/var/tmp",
					  "/lib64",
					  "/nonexistent",
					  "/home/../etc",
					  "/a\x1b[2J",
					  "/a\nb",
					  "/boot",
					  "/a\xe2\x80\xae"
					  "b"};
	char clean[PF_ACCOUNT_HOME], longer[PF_ACCOUNT_HOME + 8];

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(good); i++)
		assert_true(pf_account_home(good[i], clean));
	assert_string_equal((pf_account_home("/home//a/./b/", clean), clean), "/home/a/b");
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++)
		assert_false(pf_account_home(bad[i], clean));
	memset(longer, 'x', sizeof(longer));
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	assert_false(pf_account_home(longer, clean));
}

static void lines_that_are_added(void **state)
{
	const struct pf_account user = {.uid = 1000, .gid = 1000, .name = "user", .home = "/home/user"};
	PF_AUTO_BUF struct pf_buf passwd = text("root:x:0:0::/:/bin/sh"), group = text("user:x:7:\n"),
				  out = {0}, none = {0};

	(void)state;
	assert_int_equal(pf_account_add_passwd(&passwd, &user, "/bin/bash", &out), 1);
	assert_string_equal(out.data, "root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/home/user:/bin/bash\n");
	out.len = 0;
	assert_int_equal(pf_account_add_group(&group, &user, &out), 1);
	assert_string_equal(out.data, "user:x:7:\ngroup1000:x:1000:\n");
	out.len = 0;
	assert_int_equal(pf_account_add_passwd(&none, &user, "/bin/sh", &out), 1);
	assert_non_null(strstr(out.data, "root:x:0:0:"));
	assert_non_null(strstr(out.data, "\nuser:x:1000:1000::/home/user:/bin/sh\n"));
	out.len = 0;
	assert_int_equal(pf_account_add_group(&none, &(struct pf_account){.gid = 0, .name = "user"}, &out),
			 1);
	assert_string_equal(out.data, "root:x:0:\nnogroup:x:65534:\n");
}

static void lines_that_are_there(void **state)
{
	const struct pf_account app = {.uid = 1234, .gid = 4000, .name = "x", .home = "/"};
	const struct pf_account other = {.uid = 5, .gid = 5, .name = "app", .home = "/home/user"};
	PF_AUTO_BUF struct pf_buf passwd = text(passwd_text), group = text(group_text), out = {0};

	(void)state;
	assert_int_equal(pf_account_add_passwd(&passwd, &app, "/bin/sh", &out), 0);
	assert_int_equal(pf_account_add_group(&group, &app, &out), 0);
	assert_int_equal(out.len, 0);
	/* a name that is another's */
	assert_int_equal(pf_account_add_passwd(&passwd, &other, "/bin/sh", &out), 1);
	assert_non_null(strstr(out.data, "\nuser5:x:5:5::/home/user:/bin/sh\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found),
		cmocka_unit_test(not_found),
		cmocka_unit_test(empty_files),
		cmocka_unit_test(nul_bytes),
		cmocka_unit_test(homes),
		cmocka_unit_test(lines_that_are_added),
		cmocka_unit_test(lines_that_are_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
