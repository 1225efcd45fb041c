/* SPDX-License-Identifier: Apache-2.0 */
/* linux/cgroup, live: limits that hold, groups that init may enter and nothing more, counters that count. */
#include "test_cgroup_live.h"

/* For a test about this limit. */
static void need(unsigned limit)
{
	if (why_not[0] || (offered & limit))
		return;
	print_message("skipped: this host has no such controller\n");
	skip();
}

static void fork_to_the_limit(void)
{
	for (int i = 0; i < 40; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			pause();
			_exit(0);
		}
		atomic_fetch_add(pid > 0 ? &seen->forks : &seen->refused, 1);
	}
	atomic_store(&seen->ready, 1);
	pause();
}

static void test_limits(void **state)
{
	struct pf_cgroup *cg = make((struct pf_cg_limits){32 * MIB, 20, 0});
	struct pf_cg_limits now;

	(void)state;
	assert_true(pf_cgroup_active(cg));
	assert_int_equal(pf_cgroup_held(cg), (PF_CG_MEMORY | PF_CG_PIDS) & offered);
	assert_int_equal(pf_cgroup_why(cg)[0] == '\0', pf_cgroup_held(cg) == (PF_CG_MEMORY | PF_CG_PIDS));
	pf_cgroup_readback(cg, &now);
	assert_int_equal(now.memory_bytes, offered & PF_CG_MEMORY ? 32 * MIB : 0);
	assert_int_equal(now.processes, offered & PF_CG_PIDS ? 20 : 0);
	assert_int_equal(now.cpu_milli, 0);
	destroy(cg);
}

static void test_no_limits(void **state)
{
	struct pf_cgroup *cg = make((struct pf_cg_limits){0});
	struct pf_cg_limits now;

	(void)state;
	assert_true(pf_cgroup_active(cg));
	assert_string_equal(pf_cgroup_why(cg), "");
	assert_int_equal(pf_cgroup_held(cg), 0);
	pf_cgroup_readback(cg, &now);
	assert_int_equal(now.memory_bytes, 0);
	assert_int_equal(now.processes, 0);
	destroy(cg);
}

static void test_cpus(void **state)
{
	static const uint32_t milli[] = {1, 9, 10, 500, 1500, 64000};

	(void)state;
	for (unsigned i = 0; i < PF_ARRAY_SIZE(milli); i++) {
		struct pf_cgroup *cg = make((struct pf_cg_limits){.cpu_milli = milli[i]});
		struct pf_cg_limits now;

		pf_cgroup_readback(cg, &now);
		if (pf_cgroup_held(cg) & PF_CG_CPU)
			assert_int_equal(now.cpu_milli, milli[i]);
		else
			assert_true(strstr(pf_cgroup_why(cg), "cpus") != NULL);
		destroy(cg);
	}
}

/* Where the child stands is what exec_path says, and exec_pids finds it. */
static void test_exec_group(void **state)
{
	struct pf_cgroup *cg = make((struct pf_cg_limits){32 * MIB, 20, 0});
	char want[PATH_MAX], path[64], line[PATH_MAX];
	struct pf_cg_usage usage;
	bool found = false;
	pid_t pid, pids[4];
	FILE *f;

	(void)state;
	make_exec(cg, 1);
	make_exec(cg, 2);
	pid = enter(cg, 1);
	if (pid == 0)
		tick_forever();
	until(&seen->ticks, 20);
	assert_int_equal(pf_cgroup_exec_pids(cg, 1, pids, 4), 1);
	assert_int_equal(pids[0], pid);
	assert_int_equal(pf_cgroup_exec_pids(cg, 2, pids, 4), 0);
	assert_int_equal(pf_cgroup_exec_path(cg, 1, want, 8), -ENAMETOOLONG);
	assert_int_equal(pf_cgroup_exec_path(cg, 1, want, sizeof(want)), 0);
	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	f = fopen(path, "re");
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		found = found || strcmp(strchr(strchr(line, ':') + 1, ':') + 1, want) == 0;
	}
	fclose(f);
	assert_true(found);
	pf_cgroup_usage(cg, 1, &usage);
	assert_true(usage.cpu_us != 0);
	assert_true(usage.peak_memory == -1 || usage.peak_memory >= (int64_t)MIB);
	assert_int_equal(pf_cgroup_exec_kill(cg, 1), 0);
	assert_int_equal(WTERMSIG(wait_for(pid)), SIGKILL);
	assert_int_equal(pf_cgroup_exec_remove(cg, 1), 0);
	assert_int_equal(pf_cgroup_exec_remove(cg, 2), 0);
	assert_int_equal(pf_cgroup_exec_remove(cg, 7), 0);
	destroy(cg);
}

/* As init's uid: open for writing everything in a group; which names let it? Not counted is v1's
 * cgroup.event_control, which kernels before 6.12 or so made writable for all: it starts a notification to
 * an eventfd of the writer's, for files that he may read, and changes nothing. */
static void writable_names(int dir, char *out, size_t cap)
{
	PF_AUTO_DIR DIR *d = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY));
	struct dirent *e;

	out[0] = '\0';
	while (d && (e = readdir(d))) {
		int fd = e->d_type == DT_DIR ? -1 : openat(dir, e->d_name, O_WRONLY | O_CLOEXEC);

		if (fd < 0)
			continue;
		if (strcmp(e->d_name, "cgroup.event_control") == 0) {
			close(fd);
			continue;
		}
		close(fd);
		snprintf(out + strlen(out), cap - strlen(out), "%s ", e->d_name);
	}
	if (mkdirat(dir, "mine", 0755) == 0)
		snprintf(out + strlen(out), cap - strlen(out), "(mkdir) ");
}

/* Exit code of a child with init's uid: 0 if `got` is what it may write. */
static int check_as_init(const char *path, const char *want)
{
	pid_t pid = fork();
	char got[512];

	if (pid == 0) {
		int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (setgid(INIT_UID) < 0 || setuid(INIT_UID) < 0)
			_exit(98);
		writable_names(dir, got, sizeof(got));
		if (strcmp(got, want) != 0)
			fprintf(stderr, "%s: may write \"%s\", not \"%s\"\n", path, got, want);
		_exit(strcmp(got, want) != 0);
	}
	return WEXITSTATUS(wait_for(pid));
}

static void test_what_init_may_write(void **state)
{
	struct pf_cgroup *cg = make((struct pf_cg_limits){32 * MIB, 20, 0});
	const char *dirs[PF_CG_HIERARCHIES];
	bool v2[PF_CG_HIERARCHIES];
	char path[PATH_MAX];

	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: only root can become init\n");
		skip();
	}
	make_exec(cg, 1);
	for (int i = 0; i < pf_cgroup_exec_dirs(cg, dirs, v2); i++) {
		assert_int_equal(check_as_init(dirs[i], ""), 0);
		snprintf(path, sizeof(path), "%s/1", dirs[i]);
		assert_int_equal(check_as_init(path, v2[i] ? "cgroup.procs " : "tasks "), 0);
		snprintf(path, sizeof(path), "%s/../..", dirs[i]);
		if (v2[i])
			assert_int_equal(check_as_init(path, "cgroup.procs "), 0);
	}
	destroy(cg);
}

/* init's way, by init's rights alone: from init/ into execs/N with its uid. (enter() is the host's.) */
static void test_init_can_enter(void **state)
{
	struct pf_cgroup *cg = make((struct pf_cg_limits){32 * MIB, 20, 0});
	const char *dirs[PF_CG_HIERARCHIES];
	bool v2[PF_CG_HIERARCHIES];
	int count = pf_cgroup_exec_dirs(cg, dirs, v2), into = -1;
	pid_t pid;

	(void)state;
	make_exec(cg, 1);
	for (int i = 0; i < count; i++) {
		if (v2[i])
			into = exec_file(dirs[i], 1, "", O_PATH | O_DIRECTORY);
	}
	assert_int_equal(into >= 0, pf_cgroup_init_fd(cg) >= 0);
	pid = into >= 0 ? fork_into(pf_cgroup_init_fd(cg)) : fork();
	if (pid == 0) {
		if (geteuid() == 0 && (setgid(INIT_UID) < 0 || setuid(INIT_UID) < 0))
			_exit(98);
		pid = enter(cg, 1);
		_exit(pid == 0 ? 0 : WEXITSTATUS(wait_for(pid)));
	}
	assert_int_equal(wait_for(pid), 0);
	if (into >= 0)
		close(into);
	destroy(cg);
}

static void test_pids_event(void **state)
{
	struct pf_cgroup *cg;
	struct pf_cg_events before, after, killed;
	struct pf_cg_usage usage;
	pid_t pid;

	(void)state;
	need(PF_CG_PIDS);
	cg = make((struct pf_cg_limits){32 * MIB, 6, 0});
	make_exec(cg, 1);
	pf_cgroup_events(cg, 1, &before);
	pid = enter(cg, 1);
	if (pid == 0)
		fork_to_the_limit();
	until(&seen->ready, 1);
	assert_int_equal(atomic_load(&seen->forks), 5);
	pf_cgroup_events(cg, 1, &after);
	assert_true(after.exec_pids_max > before.exec_pids_max || after.box_pids_max > before.box_pids_max);
	pf_cgroup_usage(cg, 1, &usage);
	assert_true(usage.peak_processes == -1 || usage.peak_processes == 6);
	assert_int_equal(pf_cgroup_exec_kill(cg, 1), 0);
	wait_for(pid);
	pf_cgroup_events(cg, 1, &killed);
	assert_int_equal(killed.exec_pids_max, after.exec_pids_max);
	assert_int_equal(killed.box_pids_max, after.box_pids_max);
	destroy(cg);
}

static void test_oom_kill(void **state)
{
	struct pf_cgroup *cg;
	struct pf_cg_events before, after;
	struct pf_cg_usage usage;
	pid_t pid;

	(void)state;
	need(PF_CG_MEMORY);
	cg = make((struct pf_cg_limits){24 * MIB, 6, 0});
	make_exec(cg, 1);
	pf_cgroup_events(cg, 1, &before);
	pid = enter(cg, 1);
	if (pid == 0) {
		touch(64 * MIB);
		_exit(0);
	}
	assert_int_equal(WTERMSIG(wait_for(pid)), SIGKILL);
	pf_cgroup_events(cg, 1, &after);
	assert_int_equal(after.exec_oom_kill, before.exec_oom_kill + 1);
	pf_cgroup_usage(cg, 1, &usage);
	assert_true(usage.peak_memory == -1 ||
		    (usage.peak_memory > (int64_t)(16 * MIB) && usage.peak_memory <= (int64_t)(24 * MIB)));
	destroy(cg);
}

/* An id in use is an error, and its owner's groups stay as they are. */
static void test_id_in_use(void **state)
{
	struct pf_cgroup *cg = make((struct pf_cg_limits){32 * MIB, 20, 0}), *again = NULL;
	struct pf_cg_limits limits = {64 * MIB, 40, 0}, before, now;
	struct pf_error err = {0};
	char id[48];

	(void)state;
	pf_cgroup_readback(cg, &before);
	snprintf(id, sizeof(id), "%s%u", prefix, next_id - 1);
	assert_int_equal(pf_cgroup_create(id, &limits, INIT_UID, INIT_UID, &again, &err), -EEXIST);
	assert_null(again);
	pf_cgroup_readback(cg, &now);
	assert_memory_equal(&now, &before, sizeof(now));
	make_exec(cg, 1);
	destroy(cg);
}

/* Under a umask of 077 init must still be able to search its groups. */
static void test_umask(void **state)
{
	mode_t old = umask(077);
	struct pf_cgroup *cg = make((struct pf_cg_limits){32 * MIB, 20, 0});
	const char *dirs[PF_CG_HIERARCHIES];
	bool v2[PF_CG_HIERARCHIES];
	struct stat st;

	(void)state;
	make_exec(cg, 1);
	umask(old);
	for (int i = 0; i < pf_cgroup_exec_dirs(cg, dirs, v2); i++) {
		int fd = exec_file(dirs[i], 1, "", O_PATH | O_DIRECTORY);

		assert_int_equal(fstat(fd, &st), 0);
		close(fd);
		assert_int_equal(st.st_mode & 0777, 0755);
		assert_int_equal(stat(dirs[i], &st), 0);
		assert_int_equal(st.st_mode & 0777, 0755);
	}
	destroy(cg);
}

/* Nobody has no groups: that is an answer, and everything else still works as "nothing". */
static void nobody_tries(void)
{
	struct pf_cg_limits limits = {32 * MIB, 20, 0}, now;
	struct pf_error err = {0};
	struct pf_cgroup *cg = NULL;
	pid_t pids[2];
	bool ok;

	if (setgid(65534) < 0 || setuid(65534) < 0)
		_exit(98);
	unsetenv("DBUS_SESSION_BUS_ADDRESS");
	unsetenv("XDG_RUNTIME_DIR");
	if (pf_cgroup_create("nobody", &limits, 65534, 65534, &cg, &err) < 0)
		_exit(97);
	print_message("%s\n", pf_cgroup_why(cg));
	ok = !pf_cgroup_active(cg) && pf_cgroup_held(cg) == 0 && pf_cgroup_why(cg)[0] &&
	     strcmp(pf_cgroup_means(cg), "none") == 0 && pf_cgroup_init_fd(cg) == -1;
	ok = ok && pf_cgroup_exec_create(cg, 1, &err) == 0 && pf_cgroup_exec_kill(cg, 1) == -EOPNOTSUPP;
	ok = ok && pf_cgroup_exec_pids(cg, 1, pids, 2) == 0 && pf_cgroup_freeze(cg, true) == -EOPNOTSUPP;
	pf_cgroup_readback(cg, &now);
	ok = ok && now.memory_bytes == 0 && pf_cgroup_exec_remove(cg, 1) == 0;
	pf_cgroup_destroy(cg);
	_exit(!ok);
}

static void test_nobody(void **state)
{
	pid_t pid;

	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: only root can become nobody\n");
		skip();
	}
	pid = fork();
	if (pid == 0)
		nobody_tries();
	assert_int_equal(wait_for(pid), 0);
	pf_cgroup_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_limits, tidy),
		cmocka_unit_test_teardown(test_no_limits, tidy),
		cmocka_unit_test_teardown(test_cpus, tidy),
		cmocka_unit_test_teardown(test_exec_group, tidy),
		cmocka_unit_test_teardown(test_what_init_may_write, tidy),
		cmocka_unit_test_teardown(test_init_can_enter, tidy),
		cmocka_unit_test_teardown(test_pids_event, tidy),
		cmocka_unit_test_teardown(test_oom_kill, tidy),
		cmocka_unit_test_teardown(test_id_in_use, tidy),
		cmocka_unit_test_teardown(test_umask, tidy),
		cmocka_unit_test_teardown(test_nobody, tidy),
	};

	return cmocka_run_group_tests_name("cgroup, live", tests, begin, NULL);
}
