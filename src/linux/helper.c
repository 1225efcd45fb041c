/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a process in control groups; see helper.h. */
#include "linux/helper.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux/clone.h"

pid_t pf_helper_clone(unsigned long flags, const struct pf_helper_groups *g)
{
	return g->v2 ? pf_clone3(flags, g->cgroup, NULL)
		     : (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
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
