/* SPDX-License-Identifier: Apache-2.0 */
/* linux/cgroup, live: kills that nothing survives, pauses, and nothing left afterwards. */
#include "test_cgroup_live.h"

/* The limit may be reached while others still fork: then again. */
static pid_t fork_surely(void)
{
	pid_t pid;

	while ((pid = fork()) < 0)
		sched_yield();
	return pid;
}

/* Children that leave session and parent, fork on, and never end by themselves. */
static void runaway(unsigned depth)
{
	setsid();
	for (int i = 0; depth && i < 3; i++) {
		if (fork_surely() == 0) { /* the child has three of its own, one level deeper */
			setsid();
			depth--;
			i = -1;
		}
	}
	atomic_fetch_add(&seen->ready, 1);
	for (;;) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		if (pid > 0)
			waitpid(pid, NULL, 0);
		atomic_fetch_add(&seen->ticks, 1);
	}
}

/* Everything that setsid, double forks and forking without pause leave behind; and only that. */
static void test_kill_tree(void **state)
{
	struct pf_cgroup *cg = make((struct pf_cg_limits){64 * MIB, 60, 0});
	struct pf_cg_events before, after;
	pid_t tree, other, pids[64];
	uint64_t start;

	(void)state;
	make_exec(cg, 1);
	make_exec(cg, 2);
	other = enter(cg, 2);
	if (other == 0) {
		for (;;)
			pause();
	}
	tree = enter(cg, 1);
	if (tree == 0)
		runaway(2);
	until(&seen->ready, 13);
	pf_cgroup_events(cg, 1, &before);
	start = pf_now_ns();
	assert_int_equal(pf_cgroup_exec_kill(cg, 1), 0);
	print_message("kill of a forking tree: %llu us\n", (unsigned long long)(pf_now_ns() - start) / 1000);
	assert_int_equal(pf_cgroup_exec_pids(cg, 1, pids, 64), 0);
	assert_int_equal(WTERMSIG(wait_for(tree)), SIGKILL);
	assert_int_equal(pf_cgroup_exec_pids(cg, 2, pids, 64), 1);
	pf_cgroup_events(cg, 1, &after);
	assert_int_equal(after.exec_pids_max, before.exec_pids_max);
	assert_int_equal(pf_cgroup_exec_remove(cg, 1), 0);
	assert_int_equal(pf_cgroup_exec_remove(cg, 2), 0);
	assert_int_equal(WTERMSIG(wait_for(other)), SIGKILL);
	destroy(cg);
}

static void test_destroy_kills(void **state)
{
	struct pf_cgroup *cg = make((struct pf_cg_limits){64 * MIB, 60, 0});
	pid_t tree;
	uint64_t start;

	(void)state;
	make_exec(cg, 1);
	tree = enter(cg, 1);
	if (tree == 0)
		runaway(2);
	until(&seen->ready, 13);
	start = pf_now_ns();
	destroy(cg);
	print_message("destroy of a forking tree: %llu us\n",
		      (unsigned long long)(pf_now_ns() - start) / 1000);
	assert_int_equal(WTERMSIG(wait_for(tree)), SIGKILL);
}

static void test_freeze(void **state)
{
	struct pf_cgroup *cg = make((struct pf_cg_limits){64 * MIB, 60, 0});
	unsigned ticks;
	pid_t pid;
	int r;

	(void)state;
	make_exec(cg, 1);
	pid = enter(cg, 1);
	if (pid == 0)
		tick_forever();
	until(&seen->ticks, 5);
	r = pf_cgroup_freeze(cg, true);
	if (r == -EOPNOTSUPP) {
		destroy(cg);
		wait_for(pid);
		print_message("skipped: no freezer here\n");
		skip();
	}
	assert_int_equal(r, 0);
	ticks = atomic_load(&seen->ticks);
	poll(NULL, 0, 30);
	assert_int_equal(atomic_load(&seen->ticks), ticks);
	assert_int_equal(pf_cgroup_freeze(cg, false), 0);
	until(&seen->ticks, ticks + 5);
	assert_int_equal(pf_cgroup_freeze(cg, true), 0);
	assert_int_equal(pf_cgroup_exec_kill(cg, 1), 0);
	assert_int_equal(WTERMSIG(wait_for(pid)), SIGKILL);
	destroy(cg);
}

static void test_destroy_frozen(void **state)
{
	struct pf_cgroup *cg = make((struct pf_cg_limits){64 * MIB, 60, 0});
	pid_t pid;

	(void)state;
	make_exec(cg, 1);
	pid = enter(cg, 1);
	if (pid == 0)
		runaway(1);
	until(&seen->ready, 4);
	if (pf_cgroup_freeze(cg, true) == -EOPNOTSUPP)
		print_message("no freezer here\n");
	destroy(cg);
	assert_int_equal(WTERMSIG(wait_for(pid)), SIGKILL);
}

/* A keeper that was killed -9: another process removes by description what it left, frozen too. */
static void test_sweep(void **state)
{
	struct pf_cg_limits limits = {64 * MIB, 60, 0};
	struct pf_cgroup *cg = make(limits);
	PF_AUTO_BUF struct pf_buf lines = {0};
	pid_t keeper;

	(void)state;
	pf_cgroup_describe(cg, &lines);
	keeper = fork();
	if (keeper == 0) {
		make_exec(cg, 1);
		if (enter(cg, 1) == 0)
			runaway(2);
		until(&seen->ready, 13);
		pf_cgroup_freeze(cg, true);
		raise(SIGKILL);
	}
	assert_int_equal(WTERMSIG(wait_for(keeper)), SIGKILL);
	assert_int_equal(pf_cgroup_sweep(lines.data), 0);
	expect_nothing_left();
	assert_int_equal(pf_cgroup_sweep(lines.data), 0); /* and again: there is nothing */
	destroy(cg);
}

static void test_sweep_refuses(void **state)
{
	static const char *const bad[] = {
		"/sys/fs/cgroup\n", "/sys/fs/cgroup/pinfold-host\n",	"pinfold-x\n",
		"/tmp/pinfold-x\n", "/sys/fs/cgroup/pinfold-x.scope\n", "/pinfold-x\n"};

	(void)state;
	for (unsigned i = 0; i < PF_ARRAY_SIZE(bad); i++)
		assert_int_equal(pf_cgroup_sweep(bad[i]), 1);
	assert_int_equal(pf_cgroup_sweep(""), 0);
	assert_int_equal(pf_cgroup_sweep("\n\n"), 0);
	assert_int_equal(pf_cgroup_sweep("/sys/fs/no-such-place/pinfold-x\n"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_kill_tree, tidy),
		cmocka_unit_test_teardown(test_destroy_kills, tidy),
		cmocka_unit_test_teardown(test_freeze, tidy),
		cmocka_unit_test_teardown(test_destroy_frozen, tidy),
		cmocka_unit_test_teardown(test_sweep, tidy),
		cmocka_unit_test_teardown(test_sweep_refuses, tidy),
	};

	return cmocka_run_group_tests_name("cgroup, kill", tests, begin, NULL);
}
