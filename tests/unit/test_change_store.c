/* SPDX-License-Identifier: Apache-2.0 */
/* Change sets as they are kept and shown: names of any bytes, ids, damaged files. */
#include "test_workspace.h"

#include "base/json.h"

/* Names that a shell, a terminal, JSON or a patch could trip over. */
static const char *const odd_names[] = {
	"new\nline", "esc\033[2Jape", "tab\there", "quote\"d",	       "back\\slash",	      " lead",
	"trail ",    "-rf",	      "\xff\xfe",  "caf\xc3\xa9",      "rtl\xe2\x80\xae.txt", "\x7f",
	"a\rb",	     "$(id)",	      "*",	   "\xf0\x9f\x98\x80", "\xed\xa0\x80",
};

static void test_odd_names(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_buf list = {0}, json = {0}, stat = {0};
	struct pf_json_doc *doc = NULL;
	struct pf_error err = {0};
	char longest[256];

	memset(longest, 'n', 255);
	longest[255] = '\0';
	put(p->upper, longest, "x");
	for (size_t i = 0; i < PF_ARRAY_SIZE(odd_names); i++) {
		put(p->upper, odd_names[i], odd_names[i]);
		assert_int_equal(symlinkat(odd_names[i], p->upper, ((char[]){'L', (char)('a' + i), 0})), 0);
	}
	collect(p, &c);
	assert_int_equal(c.count, 2 * PF_ARRAY_SIZE(odd_names) + 1);
	for (size_t i = 0; i < PF_ARRAY_SIZE(odd_names); i++) {
		assert_non_null(item(&c, odd_names[i]));
		assert_string_equal(item(&c, ((char[]){'L', (char)('a' + i), 0}))->target, odd_names[i]);
	}
	assert_int_equal(pf_change_print_list(&c, &list), 0);
	assert_int_equal(pf_change_print_stat(&c, &stat), 0);
	pf_buf_add(&list, stat.data, stat.len);
	for (size_t i = 0; i < list.len; i++)
		assert_true(list.data[i] == '\n' ||
			    ((unsigned char)list.data[i] >= 0x20 && list.data[i] != 0x7f));
	assert_null(strstr(list.data, "\xe2\x80\xae"));
	assert_non_null(strstr(list.data, "A new\\x0aline\n"));
	assert_int_equal(pf_change_print_json(&c, 2, &json), 0);
	check(&err, pf_json_parse(json.data, json.len, 0, &doc, &err));
	assert_int_equal(pf_json_get(pf_json_root(doc), "changes")->list.count, c.count);
	assert_non_null(strstr(json.data, "\"path_b64\": \"//4=\""));
	pf_json_free(doc);
	pf_buf_free(&list);
	pf_buf_free(&stat);
	pf_buf_free(&json);
	pf_change_free(&c);
}

static void test_print(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_buf b = {0};

	put(p->ws, "grow", "1");
	put(p->ws, "gone", "12");
	put(p->ws, "mode", "123");
	take_reference(p);
	put_bytes(p->upper, "grow", "1234567890", 10, 0600);
	whiteout(p->upper, "gone");
	put_mode(p->upper, "mode", "123", 0700);
	put(p->upper, "d/new", "1234");
	collect(p, &c);
	assert_int_equal(pf_change_print_stat(&c, &b), 0);
	assert_string_equal(b.data,
			    " A d/ | directory\n A d/new | new, 4 B\n D gone | gone, 2 B\n"
			    " M grow | 1 B -> 10 B (mode 600)\n M mode | 3 B, same content (mode 700)\n"
			    " 2 added, 2 modified, 1 deleted\n");
	pf_buf_free(&b);
	pf_change_free(&c);
}

static void test_ids(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_list ids;
	struct pf_error err = {0};

	assert_int_equal(pf_change_load(p->changes, "last", &c, &err), -ENOENT);
	for (int i = 0; i < 12; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%d", i);
		put(p->upper, name, "x");
		collect(p, &c);
		pf_change_free(&c);
	}
	mkdirat(p->changes, ".half", 0700);
	mkdirat(p->changes, "no-meta", 0700);
	check(&err, pf_change_list(p->changes, &ids, &err));
	assert_int_equal(ids.count, 12);
	assert_string_equal(ids.items[0], "t0001");
	assert_string_equal(ids.items[11], "t0012");
	pf_list_free(&ids);
	check(&err, pf_change_load(p->changes, "t0002", &c, &err));
	assert_string_equal(c.id, "t0002");
	pf_change_free(&c);
	assert_int_equal(pf_change_load(p->changes, "t00", &c, &err), -ENOTUNIQ);
	assert_int_equal(pf_change_load(p->changes, "", &c, &err), -ENOENT);
	assert_int_equal(pf_change_load(p->changes, "../ws", &c, &err), -ENOENT);
	check(&err, pf_change_drop(p->changes, "last", false, NULL, &err));
	check(&err, pf_change_load(p->changes, "last", &c, &err));
	assert_string_equal(c.id, "t0011");
	pf_change_free(&c);
	check(&err, pf_change_drop(p->changes, "t0001", false, NULL, &err));
	check(&err, pf_change_load(p->changes, "t000", &c, &err) == -ENOTUNIQ ? 0 : -1);
	assert_false(exists(p->changes, "t0001"));
	assert_false(exists(p->changes, ".t0001"));
}

static void test_bad_ids(void **state)
{
	struct place *p = *state;
	static const char *const bad[] = {
		"",   ".",    "..",  "a/b",  "a.b",
		"-x", "last", "x y", "\xff", "0123456789012345678901234567890123456789"};
	struct pf_changeset c = {0};
	struct pf_error err = {0};
	char id[40];

	put(p->upper, "f", "x");
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++) {
		struct pf_collect what = collect_what(p, id);

		what.id = bad[i];
		assert_int_equal(pf_change_collect(p->changes, &what, &c, &err), -EINVAL);
	}
}

/* Lines that pinfold never wrote; each would make apply do what nobody saw. */
static void test_manifest_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"op\":\"A\"}",
		"{\"op\":\"A\",\"path\":\"x\"}",
		"{\"op\":\"A\",\"path\":\"../x\",\"mode\":33188}",
		"{\"op\":\"A\",\"path\":\"/x\",\"mode\":33188}",
		"{\"op\":\"A\",\"path\":\"a//b\",\"mode\":33188}",
		"{\"op\":\"A\",\"path\":\"a/.\",\"mode\":33188}",
		"{\"op\":\"A\",\"path\":\"\",\"mode\":33188}",
		"{\"op\":\"A\",\"path\":\"x\",\"mode\":420}",
		"{\"op\":\"A\",\"path\":\"x\",\"mode\":-1}",
		"{\"op\":\"A\",\"path\":\"x\",\"mode\":4294967295}",
		"{\"op\":\"A\",\"path\":\"x\",\"mode\":33188,\"old_mode\":33188}",
		"{\"op\":\"D\",\"path\":\"x\",\"mode\":33188,\"old_mode\":33188}",
		"{\"op\":\"M\",\"path\":\"x\",\"mode\":33188}",
		"{\"op\":\"X\",\"path\":\"x\",\"mode\":33188}",
		"{\"op\":\"A\",\"path\":\"x\",\"mode\":33188,\"target\":\"t\"}",
		"{\"op\":\"A\",\"path\":\"x\",\"mode\":41471}",
		"{\"op\":\"A\",\"path\":\"x\",\"mode\":41471,\"target\":\"\"}",
		"{\"op\":\"A\",\"path\":\"x\",\"mode\":16877,\"blob\":1}",
		"{\"op\":\"A\",\"path\":\"x\",\"mode\":33188,\"blob\":-1}",
		"{\"op\":\"A\",\"path\":\"x\",\"mode\":33188,\"more\":1}",
		"{\"op\":\"A\",\"path\":\"x\",\"mode\":33188,\"op\":\"D\"}",
		"{\"op\":\"A\",\"path\":\"x\",\"path_b64\":\"eA==\",\"mode\":33188}",
		"{\"op\":\"A\",\"path_b64\":\"eB==\",\"mode\":33188}",
		"{\"op\":\"A\",\"path_b64\":\"eA=\",\"mode\":33188}",
		"{\"op\":\"A\",\"path_b64\":\"AAA=\",\"mode\":33188}",
		"{\"op\":\"A\",\"path_b64\":\"Li4=\",\"mode\":33188}",
		"{\"op\":\"A\",\"path\":\"x\",\"mode\":33188,\"content\":true}",
		"{\"op\":\"M\",\"path\":\"x\",\"mode\":33188,\"old_mode\":16877}",
		"{\"op\":\"A\",\"path\":\"x\",\"mode\":33188,\"opaque\":true}",
		"{\"op\":\"A\",\"path\":\"x\",\"mode\":33188,\"size\":1.5}",
		"{\"op\":\"A\",\"path\":\"x\",\"mode\":33188} x",
	};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++) {
		struct pf_change c = {0};
		struct pf_error err = {0};

		if (pf__manifest_read_line(bad[i], strlen(bad[i]), &c, &err) >= 0)
			fail_msg("accepted: %s", bad[i]);
		assert_true(err.code < 0);
	}
}

static void test_base64(void **state)
{
	static const char *const good[][2] = {
		{"", ""}, {"eA==", "x"}, {"eHk=", "xy"}, {"eHl6", "xyz"}, {"//4=", "\xff\xfe"}};
	static const char *const bad[] = {
		"=", "====", "e", "eA", "eA=", "eA==eA==", "eB==", "eHl=", "e A=", "eA==\n", "AA=="};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(good); i++) {
		char *s = pf__base64_decode(good[i][0], strlen(good[i][0]));

		assert_string_equal(s, good[i][1]);
		free(s);
	}
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++)
		assert_null(pf__base64_decode(bad[i], strlen(bad[i])));
}

static int load_with(struct place *p, const char *manifest)
{
	struct pf_changeset c = {0};
	struct pf_error err = {0};
	int r;

	put(p->changes, "t0001/manifest", manifest);
	r = pf_change_load(p->changes, "t0001", &c, &err);
	pf_change_free(&c);
	return r;
}

static void test_damaged(void **state)
{
	struct place *p = *state;
	struct pf_changeset c = {0};
	struct pf_error err = {0};
	PF_AUTO_BUF struct pf_buf good = {0}, line = {0};

	put(p->upper, "a", "x");
	put(p->upper, "b", "y");
	collect(p, &c);
	pf_change_free(&c);
	assert_int_equal(pf_read_file(p->changes, "t0001/manifest", &good, 1 << 20), 0);
	assert_int_equal(load_with(p, good.data), 0);
	good.data[good.len - 1] = '\0';
	assert_int_equal(load_with(p, good.data), -EBADMSG); /* no newline: cut off */
	good.data[good.len - 1] = '\n';
	assert_int_equal(load_with(p, ""), -EBADMSG); /* meta.json says two */
	pf_buf_add(&line, strchr(good.data, '\n') + 1, strlen(strchr(good.data, '\n') + 1));
	pf_buf_add(&line, good.data, (size_t)(strchr(good.data, '\n') + 1 - good.data));
	assert_int_equal(load_with(p, line.data), -EBADMSG); /* out of order */
	pf_buf_consume(&line, line.len);
	pf_buf_adds(&line, "{\"op\":\"A\",\"path\":\"a\",\"mode\":33188,\"blob\":9}\n");
	assert_int_equal(load_with(p, line.data), -EBADMSG); /* no such blob */
	put(p->changes, "t0001/meta.json", "{}");
	assert_int_equal(pf_change_load(p->changes, "t0001", &c, &err), -EBADMSG);
	assert_int_equal(unlinkat(p->changes, "t0001/meta.json", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", p->changes, "t0001/meta.json"), 0);
	assert_int_equal(pf_change_load(p->changes, "t0001", &c, &err), -ENOENT);
}

/* Written and read again is the same, for every field. */
static void test_round_trip(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	for (int round = 0; round < 2000; round++) {
		char path[64], target[64];
		struct pf_change a = {.op = PF_MODIFIED,
				      .path = path,
				      .mode = S_IFREG,
				      .old_mode = S_IFLNK,
				      .content = true},
				 b;
		PF_AUTO_BUF struct pf_buf x = {0}, y = {0};
		struct pf_error err = {0};

		for (int i = 0; i < 63; i++) {
			path[i] = (char)(rnd(&seed) % 255 + 1);
			target[i] = (char)(rnd(&seed) % 255 + 1);
			if (path[i] == '/')
				path[i] = '_';
		}
		path[63] = target[63] = '\0';
		a.mtime_ns = (int64_t)rnd(&seed);
		a.size = rnd(&seed) >> 1;
		a.uid = (uint32_t)rnd(&seed);
		a.blob = rnd(&seed) >> 1;
		a.protect = rnd(&seed) & 1;
		if (rnd(&seed) & 1) {
			a.target = target;
			a.mode = S_IFLNK;
			a.blob = 0;
		}
		assert_int_equal(pf__manifest_write_line(&a, &x), 0);
		check(&err, pf__manifest_read_line(x.data, x.len - 1, &b, &err));
		assert_int_equal(pf__manifest_write_line(&b, &y), 0);
		assert_string_equal(x.data, y.data);
		assert_string_equal(b.path, path);
		pf__change_clear(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(test_odd_names),
		PLACE_TEST(test_print),
		PLACE_TEST(test_ids),
		PLACE_TEST(test_bad_ids),
		cmocka_unit_test(test_manifest_refused),
		cmocka_unit_test(test_base64),
		PLACE_TEST(test_damaged),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
