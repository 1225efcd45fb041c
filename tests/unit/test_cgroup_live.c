/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux/cgroup against this machine's kernel: limits that hold, counters that count, kills that
 * nothing survives, and nothing left afterwards. v1 and v2 alike; where no group can be made
 * (no rights, no controllers) the tests are skipped and say why.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "linux/cgroup.h"

#define MIB	 (UINT64_C(1) << 20)
#define INIT_UID 100123

/* What children report; shared with all of them. */
static struct report {
	atomic_uint ticks, forks, refused, ready;
	atomic_int stop;
} * seen;

static char prefix[32]; /* of this run's ids */
static unsigned next_id;
static char why_not[600];
static struct pf_cgroup *current; /* for tidy(), when a test fails half-way */

/* --- helpers --- */

static struct pf_cgroup *make(struct pf_cg_limits limits)
{
	struct pf_error err = {0};
	struct pf_cgroup *cg;
	char id[48];

	if (why_not[0]) {
		print_message("skipped: %s\n", why_not);
		skip();
	}
	memset(seen, 0, sizeof(*seen));
	snprintf(id, sizeof(id), "%s%u", prefix, next_id++);
	if (pf_cgroup_create(id, &limits, INIT_UID, INIT_UID, &cg, &err) < 0)
		fail_msg("%s", err.msg);
	current = cg;
	return cg;
}

static void make_exec(struct pf_cgroup *cg, unsigned n)
{
	struct pf_error err = {0};

	if (pf_cgroup_exec_create(cg, n, &err) < 0)
		fail_msg("%s", err.msg);
}

/* fork() into a v2 group at once. */
static pid_t fork_into(int group)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)group};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static int exec_file(const char *dir, unsigned n, const char *file, int flags)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%u%s%s", dir, n, *file ? "/" : "", file);
	return open(path, flags | O_CLOEXEC);
}

/* A child in execs/N in every hierarchy, as the launcher goes there: uid init_uid, v2 by clone3, v1 by
 * writing 0 to tasks. Returns in the child with 0. */
static pid_t enter(const struct pf_cgroup *cg, unsigned n)
{
	const char *dirs[PF_CG_HIERARCHIES];
	bool v2[PF_CG_HIERARCHIES];
	int count = pf_cgroup_exec_dirs(cg, dirs, v2), into = -1;
	pid_t pid;

	for (int i = 0; i < count; i++) {
		if (v2[i])
			into = exec_file(dirs[i], n, "", O_PATH | O_DIRECTORY);
	}
	pid = into >= 0 ? fork_into(into) : fork();
	if (into >= 0)
		close(into);
	if (pid != 0) {
		assert_true(pid > 0);
		return pid;
	}
	for (int i = 0; i < count; i++) {
		int fd = v2[i] ? -1 : exec_file(dirs[i], n, "tasks", O_WRONLY);

		if (!v2[i] && (fd < 0 || write(fd, "0", 1) != 1))
			_exit(99);
		if (fd >= 0)
			close(fd);
	}
	return 0;
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return status;
}

/* Until a counter that a child grows is at least n; the test's only wait, and a bounded one. */
static void until(atomic_uint *counter, unsigned n)
{
	uint64_t end = pf_now_ns() + UINT64_C(10000000000);

	while (atomic_load(counter) < n) {
		if (pf_now_ns() > end)
			fail_msg("children did not come to %u, but to %u", n, atomic_load(counter));
		sched_yield();
	}
}

static int left_over;

static int look(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	char want[48];

	(void)st;
	snprintf(want, sizeof(want), "pinfold-%s", prefix);
	if (flag == FTW_D && strncmp(path + f->base, want, strlen(want)) == 0) {
		print_message("left: %s\n", path);
		left_over++;
	}
	return 0;
}

static void expect_nothing_left(void)
{
	left_over = 0;
	nftw("/sys/fs/cgroup", look, 16, FTW_PHYS);
	assert_int_equal(left_over, 0);
}

static void destroy(struct pf_cgroup *cg)
{
	current = NULL;
	pf_cgroup_destroy(cg);
	expect_nothing_left();
}

static int tidy(void **state)
{
	(void)state;
	pf_cgroup_destroy(current);
	current = NULL;
	return 0;
}

/* --- what children do --- */

/* Pages of its own, so that there is memory to account: a forked page may stay its parent's. */
static void touch(size_t bytes)
{
	volatile char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t i = 0; i < bytes; i += 4096)
		p[i] = 1;
}

static void tick_forever(void)
{
	touch(MIB);
	for (;;) {
		atomic_fetch_add(&seen->ticks, 1);
		usleep(200);
	}
}

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

/* --- tests --- */

static void test_limits(void **state)
{
	struct pf_cgroup *cg = make((struct pf_cg_limits){32 * MIB, 20, 0});
	struct pf_cg_limits now;

	(void)state;
	assert_true(pf_cgroup_active(cg));
	assert_string_equal(pf_cgroup_why(cg), "");
	assert_int_equal(pf_cgroup_held(cg), PF_CG_MEMORY | PF_CG_PIDS);
	pf_cgroup_readback(cg, &now);
	assert_int_equal(now.memory_bytes, 32 * MIB);
	assert_int_equal(now.processes, 20);
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

/* As init's uid: open for writing everything in a group; which names let it? */
static void writable_names(int dir, char *out, size_t cap)
{
	PF_AUTO_DIR DIR *d = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY));
	struct dirent *e;

	out[0] = '\0';
	while (d && (e = readdir(d))) {
		int fd = e->d_type == DT_DIR ? -1 : openat(dir, e->d_name, O_WRONLY | O_CLOEXEC);

		if (fd < 0)
			continue;
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
	struct pf_cgroup *cg = make((struct pf_cg_limits){32 * MIB, 6, 0});
	struct pf_cg_events before, after, killed;
	struct pf_cg_usage usage;
	pid_t pid;

	(void)state;
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
	struct pf_cgroup *cg = make((struct pf_cg_limits){24 * MIB, 6, 0});
	struct pf_cg_events before, after;
	struct pf_cg_usage usage;
	pid_t pid;

	(void)state;
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

/* An id in use is an error, and its owner's groups stay as they are. */
static void test_id_in_use(void **state)
{
	struct pf_cgroup *cg = make((struct pf_cg_limits){32 * MIB, 20, 0}), *again = NULL;
	struct pf_cg_limits limits = {64 * MIB, 40, 0}, now;
	struct pf_error err = {0};
	char id[48];

	(void)state;
	snprintf(id, sizeof(id), "%s%u", prefix, next_id - 1);
	assert_int_equal(pf_cgroup_create(id, &limits, INIT_UID, INIT_UID, &again, &err), -EEXIST);
	assert_null(again);
	pf_cgroup_readback(cg, &now);
	assert_int_equal(now.processes, 20);
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

static int begin(void **state)
{
	struct pf_cg_host host;

	(void)state;
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	snprintf(prefix, sizeof(prefix), "t%d-", (int)getpid());
	pf_cgroup_host(&host);
	print_message("%s\n", host.text);
	if (!host.writable)
		snprintf(why_not, sizeof(why_not), "%s", host.text);
	return seen == MAP_FAILED ? -1 : 0;
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
		cmocka_unit_test_teardown(test_kill_tree, tidy),
		cmocka_unit_test_teardown(test_destroy_kills, tidy),
		cmocka_unit_test_teardown(test_freeze, tidy),
		cmocka_unit_test_teardown(test_destroy_frozen, tidy),
		cmocka_unit_test_teardown(test_sweep, tidy),
		cmocka_unit_test_teardown(test_sweep_refuses, tidy),
		cmocka_unit_test_teardown(test_id_in_use, tidy),
		cmocka_unit_test_teardown(test_umask, tidy),
		cmocka_unit_test_teardown(test_nobody, tidy),
	};

	return cmocka_run_group_tests_name("cgroup, live", tests, begin, NULL);
}
