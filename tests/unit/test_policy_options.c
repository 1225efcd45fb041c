/* SPDX-License-Identifier: Apache-2.0 */
/* The command line's way into a policy, and the contradictions that show only in the whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "policy/policy.h"

static int setup(void **state)
{
	struct pf_policy *p = calloc(1, sizeof(*p));
	struct pf_error err = {0};

	if (!p || pf_policy_defaults(p, &err) < 0)
		return -1;
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	pf_policy_free(*state);
	free(*state);
	return 0;
}

static void assert_message(const struct pf_error *err, int code, const char *message)
{
	assert_int_equal(err->code, code);
	if (!strstr(err->msg, message))
		fail_msg("message \"%s\" has no \"%s\"", err->msg, message);
}

static void limits_set_on_the_command_line_are_written(void **state)
{
	struct pf_policy *p = *state;
	struct pf_error err = {0};
	static const char *const set[][2] = {
		{"memory", "2G"},	   {"cpus", "0.5"},	   {"processes", "10"}, {"timeout", "2m"},
		{"idle-timeout", "500ms"}, {"output-limit", "2M"}, {"disk", "64M"},	{"open-files", "20"},
	};

	for (size_t i = 0; i < PF_ARRAY_SIZE(set); i++)
		assert_int_equal(pf_policy_set_limit(p, set[i][0], set[i][1], &err), 0);
	assert_int_equal(p->limits.written, PF_LIMIT_ALL);
	assert_int_equal(p->limits.memory, 2ull << 30);
	assert_int_equal(p->limits.cpu_milli, 500);
	assert_int_equal(p->limits.processes, 10);
	assert_int_equal(p->limits.wall_ms, 120000);
	assert_int_equal(p->limits.idle_ms, 500);
	assert_int_equal(p->limits.output, 2u << 20);
	assert_int_equal(p->limits.disk, 64u << 20);
	assert_int_equal(p->limits.open_files, 20);
	/* and "none" takes back what the document wrote */
	assert_int_equal(pf_policy_set_limit(p, "wall_time", "0", &err), 0);
	assert_int_equal(pf_policy_set_limit(p, "cpus", "none", &err), 0);
	assert_int_equal(p->limits.wall_ms, 0);
	assert_int_equal(p->limits.written, PF_LIMIT_ALL & ~(PF_LIMIT_WALL | PF_LIMIT_CPUS));
}

static void bad_limits_name_the_option(void **state)
{
	static const struct {
		const char *name, *value;
		int code;
		const char *message;
	} bad[] = {
		{"memory", "lots", -EINVAL, "--memory: \"lots\" is not a size such as"},
		{"memory", "none", -EINVAL, "--memory: cannot be none"},
		{"memory", "0", -ERANGE, "--memory: must be from 4M"},
		{"timeout", "60", -EINVAL, "--timeout: \"60\" is not a time such as"},
		{"timeout", "-1s", -EINVAL, "--timeout: \"-1s\" is not a time"},
		{"processes", "0", -ERANGE, "--processes: must be from 1"},
		{"processes", "99999999999", -ERANGE, "--processes: must be from 1"},
		{"output", "0", -ERANGE, "--output: must be from 1"},
		{"cpus", "0.0001", -ERANGE, "--cpus: must be from 0.01"},
		{"open-files", "", -EINVAL, "--open-files: \"\" is not a whole number"},
		{"swap", "1G", -EINVAL, "\"swap\" is no limit"},
	};
	struct pf_policy *p = *state;
	struct pf_limits before = p->limits;

	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++) {
		struct pf_error err = {0};

		assert_int_equal(pf_policy_set_limit(p, bad[i].name, bad[i].value, &err), bad[i].code);
		assert_message(&err, bad[i].code, bad[i].message);
		assert_memory_equal(&p->limits, &before, sizeof(before));
	}
}

static void a_smaller_output_needs_no_second_option(void **state)
{
	struct pf_policy *p = *state;
	struct pf_error err = {0};

	assert_int_equal(pf_policy_set_limit(p, "output", "100K", &err), 0);
	assert_int_equal(p->limits.output_inline, 100u << 10);
	assert_int_equal(pf_policy_check(p, &err), 0);
}

static void workspace_arguments(void **state)
{
	static const struct {
		const char *arg, *path;
		enum pf_ws_mode mode;
		const char *at;
	} good[] = {
		{".", ".", PF_WS_COW, NULL},
		{"../up", "../up", PF_WS_COW, NULL},
		{"/a/b:ro", "/a/b", PF_WS_RO, NULL},
		{"dir:with:colons:ro", "dir:with:colons", PF_WS_RO, NULL},
		{"dir:with:colons", "dir:with:colons", PF_WS_COW, NULL},
		{"a:path=/x:cow", "a", PF_WS_COW, "/x"},
		{"a:ro:path=/x//y/", "a", PF_WS_RO, "/x/y"},
		{"x:ro/", "x:ro/", PF_WS_COW, NULL},
		{"a:roo", "a:roo", PF_WS_COW, NULL},
		{"a\xff:ro", "a\xff", PF_WS_RO, NULL},
		{"a::cow", "a:", PF_WS_COW, NULL},
		{"a:rw", "a", PF_WS_RW, NULL},
		{"a:rw,live:path=/x", "a", PF_WS_LIVE, "/x"},
		{"a:rw,dead", "a:rw,dead", PF_WS_COW, NULL},
	};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(good); i++) {
		struct pf_error err = {0};
		struct pf_policy p;

		assert_int_equal(pf_policy_defaults(&p, &err), 0);
		if (pf_policy_set_workspace(&p, good[i].arg, &err) != 0)
			fail_msg("%s: %s", good[i].arg, err.msg);
		assert_string_equal(p.ws_path, good[i].path);
		assert_int_equal(p.ws_mode, good[i].mode);
		assert_true(pf_streq(p.ws_at, good[i].at));
		pf_policy_free(&p);
	}
}

static void bad_workspace_arguments(void **state)
{
	static const char *const bad[][2] = {
		{"", "names no directory"},
		{":ro", "names no directory"},
		{"a:RO", "\"RO\" is not one of ro, cow, rw, rw,live; did you mean \"ro\"?"},
		{"a:RW,LIVE", "\"RW,LIVE\" is not one of ro, cow, rw, rw,live; did you mean \"rw,live\"?"},
		{"a:rw:rw,live", "the mode is given twice"},
		{"a:ro:cow", "the mode is given twice"},
		{"a:path=/x:path=/y", "path= is given twice"},
		{"a:path=x", "path=: \"x\" is not an absolute path"},
		{"a:path=", "path=: \"\" is not an absolute path"},
		{"a:path=/x/../y", "may not contain \"..\""},
		{"a:path=/x:y", "may not contain ':'"},
	};
	struct pf_policy *p = *state;

	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++) {
		struct pf_error err = {0};

		assert_int_equal(pf_policy_set_workspace(p, bad[i][0], &err), -EINVAL);
		assert_message(&err, -EINVAL, bad[i][1]);
		assert_true(pf_has_prefix(err.msg, "--workspace \""));
		assert_null(p->ws_path);
		assert_null(p->ws_at);
		assert_int_equal(p->ws_mode, PF_WS_NONE);
	}
}

/* A document may say how, and leave to the command line which. */
static void the_documents_mode_holds_for_a_later_path(void **state)
{
	static const char text[] = "{\"workspace\": {\"mode\": \"ro\", \"at\": \"/w\"}}";
	struct pf_policy *p = *state;
	struct pf_error err = {0};

	assert_int_equal(pf_policy_parse(p, text, strlen(text), "p", &err), 0);
	assert_int_equal(p->ws_mode, PF_WS_NONE);
	assert_int_equal(pf_policy_set_workspace(p, "x", &err), 0);
	assert_int_equal(p->ws_mode, PF_WS_RO);
	assert_string_equal(p->ws_at, "/w");
	assert_int_equal(pf_policy_set_workspace(p, "y:cow", &err), 0);
	assert_int_equal(p->ws_mode, PF_WS_COW);
}

static void environment(void **state)
{
	struct pf_policy *p = *state;
	struct pf_error err = {0};

	assert_int_equal(setenv("PF_TEST_HERE", "from=outside", 1), 0);
	assert_int_equal(unsetenv("PF_TEST_ABSENT"), 0);
	assert_int_equal(pf_policy_set_env(p, "A=1", &err), 0);
	assert_int_equal(pf_policy_set_env(p, "B=", &err), 0);
	assert_int_equal(pf_policy_set_env(p, "PF_TEST_HERE", &err), 0);
	assert_int_equal(pf_policy_set_env(p, "A=2", &err), 0);
	assert_int_equal(pf_policy_set_env(p, "AA=3", &err), 0);
	assert_int_equal(p->env.count, 4);
	assert_string_equal(p->env.items[0], "A=2");
	assert_string_equal(p->env.items[1], "B=");
	assert_string_equal(p->env.items[2], "PF_TEST_HERE=from=outside");
	assert_int_equal(pf_policy_set_env(p, "PF_TEST_ABSENT", &err), -ENOENT);
	assert_message(&err, -ENOENT, "--env \"PF_TEST_ABSENT\": it is not set here");
	assert_int_equal(pf_policy_set_env(p, "=x", &err), -EINVAL);
	assert_message(&err, -EINVAL, "--env: the name of a variable may not be empty");
	assert_int_equal(pf_policy_set_env(p, "", &err), -EINVAL);
	assert_int_equal(pf_policy_set_env(p, "S=secret\xff", &err), -EINVAL);
	assert_message(&err, -EINVAL, "is not UTF-8");
	assert_null(strstr(err.msg, "secret"));
	assert_int_equal(p->env.count, 4);
}

static void tools_user_and_tier(void **state)
{
	struct pf_policy *p = *state;
	struct pf_error err = {0};

	assert_int_equal(pf_policy_add_tools(p, "/opt//go/", &err), 0);
	assert_int_equal(pf_policy_add_tools(p, "/opt/go", &err), 0);
	assert_int_equal(p->tools.count, 1);
	assert_int_equal(pf_policy_add_tools(p, "go", &err), -EINVAL);
	assert_message(&err, -EINVAL, "--tools: \"go\" is not an absolute path");
	assert_int_equal(pf_policy_set_user(p, "0", &err), 0);
	assert_true(p->user_root);
	assert_null(p->user);
	assert_int_equal(pf_policy_set_user(p, "1000", &err), 0);
	assert_false(p->user_root);
	assert_string_equal(p->user, "1000");
	assert_int_equal(pf_policy_check(p, &err), 0);
	/* an account is of an image, which may be named later */
	assert_int_equal(pf_policy_set_user(p, "app:web", &err), 0);
	assert_string_equal(p->user, "app:web");
	assert_int_equal(pf_policy_check(p, &err), -EINVAL);
	assert_message(&err, -EINVAL, "user of the host's own tools: \"app:web\" is not one of user, root");
	assert_int_equal(pf_policy_set_image(p, "debian:12", &err), 0);
	assert_string_equal(p->image, "debian:12");
	assert_int_equal(pf_policy_check(p, &err), 0);
	assert_int_equal(pf_policy_set_user(p, "0:0", &err), 0);
	assert_true(p->user_root);
	assert_int_equal(pf_policy_set_user(p, "user", &err), 0);
	assert_true(!p->user_root && !p->user);
	assert_int_equal(pf_policy_set_user(p, "me/too", &err), -EINVAL);
	assert_message(&err, -EINVAL, "--user: \"me/too\" has no user that could be one");
	assert_string_equal(p->image, "debian:12");
	assert_int_equal(pf_policy_set_image(p, "-v", &err), -EINVAL);
	assert_message(&err, -EINVAL, "--image: \"-v\" is no name or digest of an image");
	assert_int_equal(pf_policy_set_image(p, "host", &err), 0);
	/* words of every build: whether the tier is there is decided when it is used */
	assert_int_equal(pf_policy_set_tier(p, "microvm", &err), 0);
	assert_int_equal(p->tier, PF_TIER_MICROVM);
	assert_int_equal(pf_policy_set_tier(p, "vm", &err), -EINVAL);
	assert_message(&err, -EINVAL, "--tier: \"vm\" is not one of");
	assert_string_equal(pf_tier_name(PF_TIER_CONTAINER), "container");
}

static void words_of_require(void **state)
{
	struct pf_error err = {0};
	uint32_t bit = 0;

	(void)state;
	for (uint32_t one = 1; one <= PF_LIMIT_OPEN_FILES; one <<= 1) {
		assert_int_equal(pf_require_parse(pf_limit_name((enum pf_limit)one), &bit, &err), 0);
		assert_int_equal(bit, one);
	}
	assert_int_equal(pf_require_parse("init_uid", &bit, &err), 0);
	assert_int_equal(bit, PF_REQUIRE_INIT_UID);
	assert_int_equal(pf_require_parse("everything", &bit, &err), -EINVAL);
	assert_message(&err, -EINVAL, "memory, cpus, processes, wall_time");
	assert_int_equal(bit, PF_REQUIRE_INIT_UID);
}

static void contradictions(void **state)
{
	static const char *const bad[][2] = {
		{"{\"tier\": \"container\", \"min_tier\": \"sentry\"}",
		 "tier is container, but min_tier asks for at least sentry"},
		{"{\"capabilities\": [\"chown\"]}", "user is not root"},
		{"{\"image\": \"x\", \"user\": \"app\", \"capabilities\": [\"chown\"]}", "user is not root"},
		{"{\"user\": \"rot\"}", "\"rot\" is not one of user, root; did you mean \"root\"?"},
		{"{\"limits\": {\"idle_time\": \"2m\"}}",
		 "limits.idle_time is 2m, longer than limits.wall_time, which is 60s"},
		{"{\"limits\": {\"output_inline\": \"2M\", \"output\": \"1M\"}}",
		 "limits.output_inline is 2M, more than"},
		{"{\"limits\": {\"output\": \"1K\", \"output_inline\": \"1M\"}}",
		 "limits.output_inline is 1M, more than"},
		{"{\"require\": [\"cpus\"]}", "require names cpus, but limits.cpus is none"},
		{"{\"workspace\": {\"path\": \"/\"}}", "workspace at \"/\" would hide the image's own /"},
		{"{\"workspace\": {\"path\": \"x\", \"at\": \"/proc\"}}", "nothing can be placed over /proc"},
		{"{\"workspace\": {\"path\": \"/sys/fs\"}}", "nothing can be placed over /sys"},
		{"{\"mounts\": [{\"from\": \"/a\", \"to\": \"/dev/shm/x\"}]}",
		 "mount at \"/dev/shm/x\": nothing can be"},
		{"{\"mounts\": [{\"from\": \"/a\", \"to\": \"/usr\"}]}", "would hide the image's own /usr"},
		{"{\"mounts\": [{\"from\": \"/a\", \"to\": \"/b\"}, {\"from\": \"/c\", \"to\": \"/b\"}]}",
		 "lie over each other"},
		{"{\"mounts\": [{\"from\": \"/a\", \"to\": \"/b/c\"}, {\"from\": \"/c\", \"to\": \"/b\"}]}",
		 "lie over each other"},
		{"{\"workspace\": {\"path\": \"/w\"}, \"mounts\": [{\"from\": \"/a\", \"to\": \"/w/a\"}]}",
		 "lie over each other"},
		{"{\"workspace\": {\"path\": \"/w/x\"}, \"tools\": [\"/w\"]}", "lie over each other"},
	};
	static const char *const good[] = {
		"{\"tier\": \"sentry\", \"min_tier\": \"sentry\"}",
		"{\"min_tier\": \"microvm\"}",
		"{\"limits\": {\"disk\": \"512M\"}}",
		"{\"limits\": {\"idle_time\": \"2m\", \"wall_time\": null}}",
		"{\"require\": [\"disk\", \"limits\"]}",
		"{\"tools\": [\"/opt/a\", \"/opt/a/b\"]}",
		"{\"workspace\": {\"path\": \"/wx\"}, \"mounts\": [{\"from\": \"/a\", \"to\": \"/w\"}]}",
		"{\"workspace\": {\"path\": \"/proc\", \"at\": \"/w\"}}",
		"{\"workspace\": {\"at\": \"/proc\"}}", /* no workspace, no place */
	};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad) + PF_ARRAY_SIZE(good); i++) {
		bool is_bad = i < PF_ARRAY_SIZE(bad);
		const char *text = is_bad ? bad[i][0] : good[i - PF_ARRAY_SIZE(bad)];
		struct pf_error err = {0};
		struct pf_policy p;

		assert_int_equal(pf_policy_defaults(&p, &err), 0);
		if (pf_policy_parse(&p, text, strlen(text), "p", &err) < 0)
			fail_msg("%s: %s", text, err.msg);
		if (is_bad != (pf_policy_check(&p, &err) < 0))
			fail_msg("%s: %s", text, is_bad ? "no contradiction found" : err.msg);
		if (is_bad)
			assert_message(&err, strstr(bad[i][1], "--memory") ? -EPERM : -EINVAL, bad[i][1]);
		pf_policy_free(&p);
	}
}

/* A relative workspace is judged when it is known where it lies. */
static void a_resolved_workspace_is_judged_again(void **state)
{
	struct pf_policy *p = *state;
	struct pf_error err = {0};

	assert_int_equal(pf_policy_add_tools(p, "/home/u/tool", &err), 0);
	assert_int_equal(pf_policy_set_workspace(p, "tool", &err), 0);
	assert_int_equal(pf_policy_check(p, &err), 0);
	assert_int_equal(pf_policy_check_workspace(p, "/home/u/work", &err), 0);
	assert_int_equal(pf_policy_check_workspace(p, "/home/u/tool", &err), -EINVAL);
	assert_int_equal(pf_policy_check_workspace(p, "/proc/1", &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(limits_set_on_the_command_line_are_written, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_limits_name_the_option, setup, teardown),
		cmocka_unit_test_setup_teardown(a_smaller_output_needs_no_second_option, setup, teardown),
		cmocka_unit_test(workspace_arguments),
		cmocka_unit_test_setup_teardown(bad_workspace_arguments, setup, teardown),
		cmocka_unit_test_setup_teardown(the_documents_mode_holds_for_a_later_path, setup, teardown),
		cmocka_unit_test_setup_teardown(environment, setup, teardown),
		cmocka_unit_test_setup_teardown(tools_user_and_tier, setup, teardown),
		cmocka_unit_test(words_of_require),
		cmocka_unit_test(contradictions),
		cmocka_unit_test_setup_teardown(a_resolved_workspace_is_judged_again, setup, teardown),
	};

	return cmocka_run_group_tests_name("policy_options", tests, NULL, NULL);
}
