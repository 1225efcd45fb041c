/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a process in control groups; see helper.h. */
#include "linux/helper.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CLONE_INTO_CGROUP_ 0x200000000ull

pid_t pf_helper_clone(unsigned long flags, const struct pf_helper_groups *g)
{
	struct {
		uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
			set_tid_size, cgroup;
	} args = {.flags = flags, .exit_signal = SIGCHLD};

	if (!g->v2)
		return (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
	args.flags |= CLONE_INTO_CGROUP_;
	args.cgroup = (uint64_t)g->cgroup;
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

bool pf_helper_enter(const struct pf_helper_groups *g)
{
	for (unsigned i = 0; i < g->count; i++)
		if (write(g->tasks[i], "0", 1) != 1)
			return false;
	return true;
}

void pf_helper_close(struct pf_helper_groups *g)
{
	for (unsigned i = 0; i < g->count; i++)
		close(g->tasks[i]);
	if (g->v2)
		close(g->cgroup);
	memset(g, 0, sizeof(*g));
}
