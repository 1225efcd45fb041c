/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of linux/cgroup against this machine's kernel: making groups under names of this run,
 * going into an exec as a launcher does, and looking that nothing is left. v1 and v2 alike; where no
 * group can be made (no rights, no controllers) the tests are skipped and say why.
 */
#ifndef PF_TEST_CGROUP_LIVE_H
#define PF_TEST_CGROUP_LIVE_H

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
static unsigned offered;	  /* PF_CG_* that this host has */
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
	const char *dot = strrchr(path, '.');
	char want[48];

	(void)st;
	/* A scope of systemd's, in which this process now is, goes with the process. */
	if (dot && strcmp(dot, ".scope") == 0)
		return 0;
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

static int begin(void **state)
{
	struct pf_cg_host host;

	(void)state;
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	snprintf(prefix, sizeof(prefix), "t%d-", (int)getpid());
	pf_cgroup_host(&host);
	print_message("%s\n", host.text);
	offered = host.controllers;
	if (!host.writable)
		snprintf(why_not, sizeof(why_not), "%s", host.text);
	return seen == MAP_FAILED ? -1 : 0;
}

#endif
