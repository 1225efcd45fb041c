/* SPDX-License-Identifier: Apache-2.0 */
/* proto/msg: what no encoder writes and no decoder takes; small messages and names. */
#include "test_proto_samples.h"

/* An encoder refuses what no decoder takes, and takes back what it wrote. */
#define REFUSED(type, field, value)                                                                          \
	do {                                                                                                 \
		PF_AUTO_BUF struct pf_buf b = {0};                                                           \
		struct pf_msg_##type m = type##_sample;                                                      \
                                                                                                             \
		assert_int_equal(pf_buf_adds(&b, "before"), 0);                                              \
		m.field = value;                                                                             \
		assert_int_equal(pf_msg_##type##_put(&b, &m), -EINVAL);                                      \
		assert_string_equal(b.data, "before");                                                       \
		assert_int_equal(b.len, 6);                                                                  \
	} while (0)
#define hello_sample   hello
#define prepare_sample prepare
#define start_sample   start
#define signal_sample  signal_
#define welcome_sample welcome
#define ready_sample   ready
#define started_sample started
#define exited_sample  exited
#define failed_sample  failed

static void ranges_are_kept(void **state)
{
	static char path[PF_WIRE_PATH_MAX + 2];
	static char *long_path[] = {path, NULL};

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	REFUSED(hello, version_min, 3);
	REFUSED(hello, root, 0);
	REFUSED(hello, root, 3);
	REFUSED(hello, cgroup_count, 6);
	REFUSED(hello, cgroup_kind[4], 3);
	REFUSED(hello, rule_count, PF_MSG_RULES_MAX + 1);
	REFUSED(hello, rules[0].path, path);
	REFUSED(hello, canary, path);
	REFUSED(hello, breaks, path);
	REFUSED(hello, readonly, ((struct pf_strs){1, long_path}));
	REFUSED(prepare, exec, 0);
	REFUSED(prepare, exec, PF_EXEC_MAX + 1);
	REFUSED(prepare, tty, 2);
	REFUSED(prepare, want_stdin, 255);
	REFUSED(start, op, 0);
	REFUSED(start, op, PF_OP_BENEATH + 1);
	REFUSED(start, op, PF_OP_READ); /* has four arguments */
	REFUSED(start, argv.count, 0);
	REFUSED(start, argv.count, PF_ARGS_MAX + 1);
	REFUSED(start, env.count, PF_ARGS_MAX + 1);
	REFUSED(start, cwd, path);
	REFUSED(start, umask, 01000);
	REFUSED(signal, signo, 0);
	REFUSED(signal, signo, 65);
	REFUSED(signal, scope, 0);
	REFUSED(signal, scope, 4);
	REFUSED(welcome, scoped, 2);
	REFUSED(welcome, dumpable, 3);
	REFUSED(welcome, kernel, path);
	REFUSED(ready, exec, 0);
	REFUSED(ready, try_count, PF_TRIES_MAX + 1);
	REFUSED(ready, tries[0].attempt, 0);
	REFUSED(ready, tries[0].attempt, PF_TRY_LAST + 1);
	REFUSED(ready, tries[0].err, INT32_MIN);
	REFUSED(ready, tries[1].detail, path);
	REFUSED(started, err, 4096);
	REFUSED(started, step, PF_STEP_REFUSED + 1);
	REFUSED(exited, value, 0);
	REFUSED(exited, value, 65);
	REFUSED(exited, core, 2);
	REFUSED(failed, exec, UINT32_MAX);
	REFUSED(failed, text, path);
}

static void a_file_operation_has_one_path(void **state)
{
	static char path[PF_WIRE_PATH_MAX + 2];
	struct pf_msg_start m = start;
	PF_AUTO_BUF struct pf_buf b = {0};

	(void)state;
	m.op = PF_OP_STAT;
	m.argv = (struct pf_strs){1, (char *[]){"/etc/passwd", NULL}};
	assert_int_equal(pf_msg_start_put(&b, &m), 0);
	memset(path, 'x', PF_WIRE_PATH_MAX);
	m.argv.strings = (char *[]){path, NULL};
	assert_int_equal(pf_msg_start_put(&b, &m), 0);
	path[PF_WIRE_PATH_MAX] = 'x';
	assert_int_equal(pf_msg_start_put(&b, &m), -EINVAL);
}

static void only_an_exec(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	uint32_t exec = 77;

	(void)state;
	assert_int_equal(pf_msg_exec_put(&b, 0), -EINVAL);
	assert_int_equal(pf_msg_exec_put(&b, PF_EXEC_MAX), 0);
	for (size_t n = 0; n < 4; n++)
		assert_int_equal(pf_msg_exec_get((uint8_t *)b.data, n, &exec, NULL), -EPROTO);
	assert_int_equal(pf_msg_exec_get((const uint8_t *)"\0\0\0\0", 4, &exec, NULL), -EPROTO);
	assert_int_equal(exec, 77);
	assert_int_equal(pf_msg_exec_get((uint8_t *)b.data, 4, &exec, NULL), 0);
	assert_int_equal(exec, PF_EXEC_MAX);
}

static void a_buffer_that_refuses(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {.limit = 20};
	struct pf_msg_failed m;

	(void)state;
	assert_int_equal(pf_msg_failed_put(&b, &failed), 0);
	assert_int_equal(pf_msg_failed_put(&b, &failed), -E2BIG);
	assert_int_equal(b.len, 14);
	/* A caller that gives no place for strings gets an error, not a leak. */
	assert_int_equal(pf_msg_failed_get((uint8_t *)b.data, b.len, &m, NULL, NULL), -EINVAL);
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(pf_try_name(PF_TRY_SOCKET_RAW), "socket_raw");
	assert_string_equal(pf_try_name(PF_TRY_LAST), "memfd");
	for (unsigned i = 1; i <= PF_TRY_LAST; i++)
		assert_non_null(pf_try_name(i));
	assert_null(pf_try_name(0));
	assert_null(pf_try_name(PF_TRY_LAST + 1));
	assert_string_equal(pf_ns_names[PF_NS_KINDS - 1], "time");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_are_kept), cmocka_unit_test(a_file_operation_has_one_path),
		cmocka_unit_test(only_an_exec),	   cmocka_unit_test(a_buffer_that_refuses),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
