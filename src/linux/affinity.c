/* SPDX-License-Identifier: Apache-2.0 */
/* Two processes on two CPUs; see affinity.h. */
#include "linux/affinity.h"

void pf_cpus_get(struct pf_cpus *out)
{
	/* a machine with more CPUs than the set holds answers EINVAL, and is left alone */
	out->known = sched_getaffinity(0, sizeof(out->set), &out->set) == 0;
}

void pf_cpus_apart(const struct pf_cpus *all, pid_t pid)
{
	cpu_set_t others = all->set;
	int own = sched_getcpu();

	if (!all->known || own < 0 || own >= CPU_SETSIZE || CPU_COUNT(&others) < 2)
		return;
	CPU_CLR((size_t)own, &others);
	if (CPU_COUNT(&others))
		sched_setaffinity(pid, sizeof(others), &others);
}

void pf_cpus_anywhere(const struct pf_cpus *all, pid_t pid)
{
	if (all->known && CPU_COUNT(&all->set) > 1)
		sched_setaffinity(pid, sizeof(all->set), &all->set);
}
