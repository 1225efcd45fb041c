/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the filters of a live process back, which only the host's root can; and of one that stops, stays or
 * dies. */
#include "test_seccomp_child.h"

#include <sched.h>

/* A child that loads filters, says so on a pipe and waits for a byte or a signal. */
static pid_t waiting(int filters, int *done)
{
	int up[2], down[2];
	char c;
	pid_t pid;

	assert_true(!pipe(up) && !pipe(down));
	pid = fork();
	if (!pid) {
		close(down[1]);
		if (filters)
			load_first();
		if (filters > 1)
			load_second(0);
		MUST(write(up[1], "x", 1) == 1);
		MUST(read(down[0], &c, 1) == 1);
		_exit(7);
	}
	close(up[1]);
	assert_int_equal(read(up[0], &c, 1), 1);
	close(up[0]);
	close(down[0]);
	*done = down[1];
	return pid;
}

static void finish(pid_t pid, int done)
{
	int status;

	assert_int_equal(write(done, "x", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	close(done);
}

static void test_readback(void **state)
{
	char given[PF_DIGEST_MAX], other[PF_DIGEST_MAX], got[PF_DIGEST_MAX] = "untouched";
	struct pf_error err;
	siginfo_t si;
	int done, r;
	pid_t pid = waiting(2, &done);

	(void)state;
	r = pf_filter_readback(pid, got, &err);
	if (r == -EACCES || r == -EPERM) {
		finish(pid, done);
		print_message("skipped: reading filters back needs the host's root (%s)\n", err.msg);
		skip();
	}
	assert_int_equal(r, 0);
	pf_filter_digest(0, given);
	pf_filter_digest(PF_FILTER_NO_MEMFD, other);
	assert_string_equal(got, given);
	assert_string_not_equal(got, other);
	/* A stopped process is read too, and stays stopped. */
	kill(pid, SIGSTOP);
	assert_int_equal(waitid(P_PID, (id_t)pid, &si, WSTOPPED | WNOWAIT), 0);
	assert_int_equal(pf_filter_readback(pid, got, &err), 0);
	assert_string_equal(got, given);
	assert_int_equal(waitid(P_PID, (id_t)pid, &si, WSTOPPED), 0);
	kill(pid, SIGCONT);
	finish(pid, done);

	pid = waiting(1, &done);
	strcpy(got, "untouched");
	assert_int_equal(pf_filter_readback(pid, got, &err), -ENOENT);
	finish(pid, done);
	pid = waiting(0, &done);
	assert_true(pf_filter_readback(pid, got, &err) < 0);
	finish(pid, done);
	assert_string_equal(got, "untouched");
}

/* A dead process is an error, and its parent still gets its end. */
static void test_readback_of_the_dead(void **state)
{
	char got[PF_DIGEST_MAX];
	struct pf_error err;
	siginfo_t si;
	int done;
	pid_t pid = waiting(2, &done);

	(void)state;
	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT), 0);
	assert_true(pf_filter_readback(pid, got, &err) < 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &si, WEXITED), 0);
	assert_int_equal(si.si_code, CLD_KILLED);
	assert_int_equal(pf_filter_readback(pid, got, &err), -ESRCH);
	close(done);
}

static void await_tracer(pid_t pid)
{
	char path[32], text[8192];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	do {
		PF_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = read(fd, text, sizeof(text) - 1);

		text[n > 0 ? n : 0] = 0;
	} while (strstr(text, "TracerPid:\t0\n"));
}

/*
 * A process that cannot stop, since it waits for its vfork child; that one says on ready which
 * process that is, and kills it once somebody traces it.
 */
static void never_stops(int ready)
{
	pid_t me = getpid();

	if (syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0))
		_exit(1);
	MUST(write(ready, &me, sizeof(me)) == sizeof(me));
	await_tracer(me);
	kill(me, SIGKILL);
	_exit(0);
}

/* Death while the tracer waits for the stop: seen, and told to the parent, be it the tracer or another. */
static void test_readback_of_the_dying(void **state)
{
	char got[PF_DIGEST_MAX];
	struct pf_error err;
	int ready[2], status;
	pid_t pid, got_pid, middle;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid)
		never_stops(ready[1]);
	assert_int_equal(read(ready[0], &got_pid, sizeof(pid)), sizeof(pid));
	assert_int_equal(pf_filter_readback(pid, got, &err), -ESRCH);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, SIGKILL);

	middle = fork();
	if (!middle) {
		pid = fork();
		if (!pid)
			never_stops(ready[1]);
		MUST(waitpid(pid, &status, 0) == pid && status == SIGKILL);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &pid, sizeof(pid)), sizeof(pid));
	assert_int_equal(pf_filter_readback(pid, got, &err), -ESRCH);
	assert_int_equal(waitpid(middle, &status, 0), middle);
	assert_int_equal(status, 0);
	close(ready[0]);
	close(ready[1]);
}

/* Killed at any moment of it, also while it stands stopped: its parent always gets its end. */
static void test_readback_of_the_killed(void **state)
{
	char got[PF_DIGEST_MAX];
	int ready[2], status;
	unsigned dice = 1;
	pid_t middle, pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	alarm(60); /* instead of hanging */
	for (unsigned round = 0; round < 300; round++) {
		dice = dice * 1103515245u + 12345u;
		middle = fork();
		if (!middle) {
			int done;

			pid = waiting(2, &done);
			MUST(write(ready[1], &pid, sizeof(pid)) == sizeof(pid));
			await_tracer(pid);
			for (volatile unsigned i = 0; i < dice / 16u % 100000u; i++)
				;
			kill(pid, SIGKILL);
			MUST(waitpid(pid, &status, 0) == pid && status == SIGKILL);
			_exit(0);
		}
		assert_int_equal(read(ready[0], &pid, sizeof(pid)), sizeof(pid));
		while (pf_filter_readback(pid, got, NULL) == 0)
			;
		assert_int_equal(waitpid(middle, &status, 0), middle);
		assert_int_equal(status, 0);
	}
	alarm(0);
	close(ready[0]);
	close(ready[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_readback),
		cmocka_unit_test(test_readback_of_the_dead),
		cmocka_unit_test(test_readback_of_the_dying),
		cmocka_unit_test(test_readback_of_the_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
