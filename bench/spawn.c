/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of a program: wall clock from just before posix_spawn() to the return of wait4(), CPU of it
 * and of every child that it waited for. Standard input and output are /dev/null.
 *
 * crun refuses a host with version 1 and version 2 of control groups side by side. Rows marked so are
 * started in a mount namespace of their own without /sys/fs/cgroup/unified; the runner enters it before
 * the clock starts, so it costs no row anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define UNIFIED "/sys/fs/cgroup/unified"

extern char **environ;

static int null_fd = -1, our_ns = -1, rival_ns = -1;
static volatile pid_t running; /* its process group is killed when time is up */

static void on_alarm(int signo)
{
	(void)signo;
	if (running > 0)
		kill(-running, SIGKILL);
}

static int own_namespace(void)
{
	return open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
}

/* Returns 1 if there is now a second namespace without the unified hierarchy, 0 if none is needed or may be
 * made. */
static int make_rival_namespace(void)
{
	if (access(UNIFIED "/cgroup.procs", F_OK) < 0 || geteuid() != 0)
		return 0;
	our_ns = own_namespace();
	if (our_ns < 0 || unshare(CLONE_NEWNS) < 0)
		return -1;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || umount2(UNIFIED, MNT_DETACH) < 0)
		return -1;
	rival_ns = own_namespace();
	if (rival_ns < 0 || setns(our_ns, CLONE_NEWNS) < 0)
		return -1;
	return 1;
}

int spawn_setup(struct table *t)
{
	struct sigaction action = {.sa_handler = on_alarm};
	int r;

	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	r = make_rival_namespace();
	if (null_fd < 0 || r < 0 || sigaction(SIGALRM, &action, NULL) < 0) {
		perror("runner: set-up");
		return -1;
	}
	t->rivals_apart = r > 0;
	return chdir("/");
}

/* After the first alarm every 100 ms another: one that comes before the process group exists is no loss. */
static void set_alarm(unsigned ms)
{
	struct itimerval timer = {{0, 0}, {ms / 1000, ms % 1000 * 1000}};

	if (ms)
		timer.it_interval.tv_usec = 100000;
	setitimer(ITIMER_REAL, &timer, NULL);
}

static int become(uid_t uid)
{
	if (uid == 0)
		return 0;
	/* the saved uid stays 0: that is our way back, and what is executed loses it */
	return setgroups(0, NULL) < 0 || setresgid(uid, uid, 0) < 0 || setresuid(uid, uid, 0) < 0 ? -1 : 0;
}

static void come_back(uid_t uid)
{
	if (uid != 0 && (setresuid(0, 0, 0) < 0 || setresgid(0, 0, 0) < 0))
		_exit(2);
}

static int start(const struct row *row, pid_t *pid, int err_fd)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int r;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, null_fd, 0);
	posix_spawn_file_actions_adddup2(&files, null_fd, 1);
	posix_spawn_file_actions_adddup2(&files, err_fd < 0 ? null_fd : err_fd, 2);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
	r = posix_spawnp(pid, row->argv[0], &files, &attr, row->argv, row->env ? row->env : environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return r;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static struct sample timed(const struct table *t, const struct row *row, int err_fd)
{
	struct sample s = {NAN, NAN, false, -1};
	struct rusage usage;
	pid_t pid = 0;
	double begin, end;
	int r;

	running = 0;
	set_alarm(t->timeout_ms);
	if (become(row->uid) < 0) {
		come_back(row->uid);
		return s;
	}
	begin = now_ms();
	r = start(row, &pid, err_fd);
	come_back(row->uid);
	if (r != 0) {
		set_alarm(0);
		dprintf(err_fd < 0 ? null_fd : err_fd, "cannot start %s: %s\n", row->argv[0], strerror(r));
		return s;
	}
	running = pid;
	while (wait4(pid, &s.status, 0, &usage) < 0 && errno == EINTR)
		;
	end = now_ms();
	running = 0;
	set_alarm(0);
	s.timed_out = end - begin >= t->timeout_ms;
	if (s.status == 0 && !s.timed_out) {
		s.ms = end - begin;
		s.cpu = 1000 * (seconds(usage.ru_utime) + seconds(usage.ru_stime));
	}
	return s;
}

struct sample spawn_run(const struct table *t, const struct row *row, int err_fd)
{
	struct sample s = {NAN, NAN, false, -1};
	bool away = row->rival && t->rivals_apart;

	if (away && setns(rival_ns, CLONE_NEWNS) < 0)
		return s;
	s = timed(t, row, err_fd);
	if (away && setns(our_ns, CLONE_NEWNS) < 0)
		_exit(2);
	return s;
}
