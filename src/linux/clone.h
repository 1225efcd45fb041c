/* SPDX-License-Identifier: Apache-2.0 */
/* clone3(2) as a fork: into new namespaces, into a control group of v2, with a descriptor of the child. */
#ifndef PF_LINUX_CLONE_H
#define PF_LINUX_CLONE_H

#include <stdint.h>
#include <sys/types.h>

/* flags: CLONE_NEW*. cgroup: a descriptor of the group's directory, or -1 (else Linux 5.7:
 * CLONE_INTO_CGROUP). pidfd: NULL, or where the child's goes. As fork(2): 0 in the child, -1 and errno. What
 * libc caches of a process is stale in the child, as after _Fork() without it. */
pid_t pf_clone3(uint64_t flags, int cgroup, int *pidfd);

#endif
