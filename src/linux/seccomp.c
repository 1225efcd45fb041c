/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system-call filters as a process carries them: constant data made by tools/mkfilter.c,
 * loaded, digested, and read back from a live process by the host's root.
 */
#include "linux/seccomp.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "linux/caps.h"
#include "syscall_filter.h"

/* glibc has these as enumerators, musl has only some. */
#define SEIZE	   ((int)0x4206)
#define INTERRUPT  ((int)0x4207)
#define GET_FILTER ((int)0x420c)
#define EVENT_STOP 128

struct pf_filter pf_filter_first(void)
{
	return (struct pf_filter){pf__filter_first_insns, PF_ARRAY_SIZE(pf__filter_first_insns)};
}

static struct pf_filter second(unsigned options)
{
	/* by the options, as tools/mkfilter.c numbers them; each was held against PF_FILTER_SECOND_MAX there
	 */
	static const struct pf_filter all[PF_FILTER_OPTIONS] = {
		{pf__filter_second_0_insns, PF_ARRAY_SIZE(pf__filter_second_0_insns)},
		{pf__filter_second_1_insns, PF_ARRAY_SIZE(pf__filter_second_1_insns)},
		{pf__filter_second_2_insns, PF_ARRAY_SIZE(pf__filter_second_2_insns)},
		{pf__filter_second_3_insns, PF_ARRAY_SIZE(pf__filter_second_3_insns)},
	};

	return all[options % PF_FILTER_OPTIONS];
}

size_t pf_filter_second(struct sock_filter out[PF_FILTER_SECOND_MAX], unsigned options)
{
	struct pf_filter f = second(options);

	memcpy(out, f.insns, f.count * sizeof(*out));
	return f.count;
}

int pf_filter_load(const struct sock_filter *insns, size_t count, struct pf_error *err)
{
	struct sock_fprog prog = {.len = (unsigned short)count, .filter = (struct sock_filter *)insns};

	if (!count || count > BPF_MAXINSNS)
		return pf_fail(err, -EINVAL, "a system-call filter of %zu instructions", count);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
		return pf_fail_errno(err, "cannot load the system-call filter");
	return 0;
}

/*
 * The number of instructions, then the instructions, as the kernel has them (8 bytes each,
 * little-endian): with the numbers no two pairs of programs have the same bytes.
 */
static void digest_add(struct pf_sha256 *s, const struct sock_filter *insns, size_t count)
{
	uint32_t n = (uint32_t)count;

	pf_sha256_add(s, &n, sizeof(n));
	pf_sha256_add(s, insns, count * sizeof(*insns));
}

void pf_filter_digest(unsigned options, char out[PF_DIGEST_MAX])
{
	struct pf_filter one = pf_filter_first(), two = second(options);
	struct pf_sha256 s;

	pf_sha256_init(&s);
	digest_add(&s, one.insns, one.count);
	digest_add(&s, two.insns, two.count);
	pf_sha256_end_text(&s, out);
}

/*
 * A tracee that died: its end is shown to its tracer first and to its parent only after the
 * tracer has waited for it. That wait is owed, unless the tracer is the parent and wants it itself.
 */
static void release_dead(int pid)
{
	PF_AUTO_CLOSE int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct pf_proc_status st;
	siginfo_t si;

	if (proc >= 0 && !pf_proc_status_read(proc, pid, &st, NULL) && st.ppid != getpid())
		(void)waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | __WALL);
}

/*
 * Wait until the tracee has stopped, at most a second: one that sleeps in the kernel beyond
 * signals never does. There is no descriptor that tells of a stop, hence the looking: first by
 * turns with the tracee, which stops within microseconds, then with short sleeps. *deliver: the signal that
 * it stopped for and must get when it goes on, or 0.
 */
static int wait_stop(int pid, int *deliver, struct pf_error *err)
{
	const struct timespec nap = {.tv_nsec = 20000};
	uint64_t until = pf_now_ns() + 1000000000u;

	for (int looks = 0;; looks++) {
		siginfo_t si = {0};

		/* WNOWAIT: the end of a child of ours is not ours to take here. */
		if (waitid(P_PID, (id_t)pid, &si, WSTOPPED | WEXITED | WNOWAIT | WNOHANG | __WALL) < 0) {
			if (errno != EINTR)
				return pf_fail_errno(err, "cannot wait for process %d", pid);
		} else if (si.si_pid && si.si_code != CLD_TRAPPED && si.si_code != CLD_STOPPED) {
			release_dead(pid);
			return pf_fail(err, -ESRCH, "process %d ended while its filters were read", pid);
		} else if (si.si_pid) {
			*deliver = si.si_status >> 8 == EVENT_STOP ? 0 : si.si_status & 0x7f;
			return 0;
		}
		if (pf_now_ns() > until)
			return pf_fail(err, -ETIMEDOUT, "process %d did not stop for its filters to be read",
				       pid);
		if (looks < 50)
			sched_yield();
		else
			nanosleep(&nap, NULL);
	}
}

/* Filter number index, 0 the OLDEST (get_nth_filter() in the kernel; ptrace(2) has it the other way). */
static int get_filter(int pid, uintptr_t index, struct sock_filter buf[BPF_MAXINSNS], struct pf_error *err)
{
	long n = ptrace(GET_FILTER, pid, (void *)index, NULL);

	if (n > BPF_MAXINSNS)
		return pf_fail(err, -E2BIG, "process %d has a filter of %ld instructions", pid, n);
	if (n > 0 && buf)
		n = ptrace(GET_FILTER, pid, (void *)index, buf);
	if (n < 0)
		return pf_fail_errno(err, "cannot read system-call filter %zu of process %d", (size_t)index,
				     pid);
	return (int)n;
}

/*
 * The two newest are ours: the launcher that is read has run nothing yet. Older ones were there
 * before pinfold (a service manager's, a container's) and can only take more away.
 */
static int digest_filters(int pid, char out[PF_DIGEST_MAX], struct pf_error *err)
{
	PF_AUTO_FREE struct sock_filter *buf = malloc(BPF_MAXINSNS * sizeof(*buf));
	struct pf_sha256 s;
	uintptr_t count = 0;
	int r;

	if (!buf)
		return pf_fail(err, -ENOMEM, "out of memory");
	/* The kernel bounds the sum of all filters, so this ends. */
	while ((r = get_filter(pid, count, NULL, NULL)) >= 0)
		count++;
	if (r != -ENOENT)
		return get_filter(pid, count, NULL, err);
	if (count < 2)
		return pf_fail(err, -ENOENT, "process %d has %zu system-call filters, not both", pid,
			       (size_t)count);
	pf_sha256_init(&s);
	for (uintptr_t index = count - 2; index < count; index++) {
		r = get_filter(pid, index, buf, err);
		if (r < 0)
			return r;
		digest_add(&s, buf, (size_t)r);
	}
	pf_sha256_end_text(&s, out);
	return 0;
}

/*
 * It was killed while we had it: a SIGKILL ends a stop too, and then there is nothing to detach from (ESRCH).
 * It dies within moments, but its parent, and with that the end of its PID namespace, waits for our wait.
 */
static void await_death(int pid)
{
	const struct timespec nap = {.tv_nsec = 20000};
	uint64_t until = pf_now_ns() + 1000000000u;

	while (pf_now_ns() < until) {
		siginfo_t si = {0};

		if (waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT | WNOHANG | __WALL) < 0 && errno != EINTR)
			return;
		if (si.si_pid) {
			release_dead(pid);
			return;
		}
		nanosleep(&nap, NULL);
	}
}

int pf_filter_readback(int pid, char out[PF_DIGEST_MAX], struct pf_error *err)
{
	int deliver = 0, r;

	if (ptrace(SEIZE, pid, NULL, NULL))
		return pf_fail_errno(err, "cannot trace process %d", pid);
	if (ptrace(INTERRUPT, pid, NULL, NULL)) {
		r = pf_fail_errno(err, "cannot interrupt process %d", pid);
		await_death(pid);
		return r;
	}
	r = wait_stop(pid, &deliver, err);
	if (r)
		return r;
	r = digest_filters(pid, out, err);
	if (ptrace(PTRACE_DETACH, pid, NULL, (void *)(uintptr_t)deliver)) {
		if (!r)
			r = pf_fail_errno(err, "cannot detach from process %d", pid);
		await_death(pid);
	}
	return r;
}
