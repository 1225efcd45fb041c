/* SPDX-License-Identifier: Apache-2.0 */
/* See clone.h. The structure is that of the first kernels with CLONE_INTO_CGROUP (clone3(2)). */
#include "linux/clone.h"

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CLONE_INTO_CGROUP_ 0x200000000ull

pid_t pf_clone3(uint64_t flags, int cgroup, int *pidfd)
{
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
			set_tid_size, cgroup;
	} args = {.flags = flags, .exit_signal = SIGCHLD};

	if (pidfd) {
		args.flags |= CLONE_PIDFD;
		args.pidfd = (uint64_t)(uintptr_t)pidfd;
	}
	if (cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP_;
		args.cgroup = (uint64_t)cgroup;
	}
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}
