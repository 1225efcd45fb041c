/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process of the host's side that works for one sandbox alone, and is to be counted and to end with it: how
 * it starts in the sandbox's control groups. Moving one that runs costs an RCU grace period for each
 * hierarchy (cgroup.h), so it is made there: v2 by clone3(), v1 by itself, as long as it has one thread.
 */
#ifndef PF_LINUX_HELPER_H
#define PF_LINUX_HELPER_H

#include <stdbool.h>
#include <sys/types.h>

#define PF_HELPER_TASKS 5

struct pf_helper_groups {
	bool v2;		    /* cgroup is one */
	int cgroup;		    /* O_PATH, of a v2 group */
	unsigned count;		    /* of tasks */
	int tasks[PF_HELPER_TASKS]; /* `tasks` files of v1 groups, open for writing */
};

/* As fork(), with CLONE_NEW* in flags. */
pid_t pf_helper_clone(unsigned long flags, const struct pf_helper_groups *g);
/* In the child, before anything else: the v1 groups. False: it is not where it should be. */
bool pf_helper_enter(const struct pf_helper_groups *g);
void pf_helper_close(struct pf_helper_groups *g); /* leaves it empty and valid: all zeros */

#endif
