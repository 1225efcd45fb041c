/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities by raw system calls (capabilities(7)). A set is a bit mask: bit CAP_x. */
#ifndef PF_LINUX_CAPS_H
#define PF_LINUX_CAPS_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct pf_caps {
	uint64_t effective, permitted, inheritable;
};

int pf_caps_get(struct pf_caps *out);
int pf_caps_set(const struct pf_caps *caps, struct pf_error *err);
/* Drop every capability from the bounding set but those in keep. Needs CAP_SETPCAP. */
int pf_caps_bound(uint64_t keep, struct pf_error *err);
/* Permitted = effective = inheritable = ambient = set (set must be within permitted): what survives an execve
 * of an ordinary program by a uid that is not 0. 0 clears everything. */
int pf_caps_ambient(uint64_t set, struct pf_error *err);
/* "cap_chown" or "chown" -> number; -1 unknown. */
int pf_cap_number(const char *name);
const char *pf_cap_name(int cap); /* "chown"; NULL unknown */

/* The identity and privilege lines of /proc/PID/status. */
struct pf_proc_status {
	uid_t uid[4]; /* real, effective, saved, file system, as the reader's user namespace sees them */
	gid_t gid[4];
	unsigned groups; /* how many supplementary groups */
	gid_t group[16]; /* the first of them */
	uint64_t cap_inh, cap_prm, cap_eff, cap_bnd, cap_amb;
	int no_new_privs, seccomp, seccomp_filters; /* -1 where the kernel has no such line */
	int nspid;				    /* innermost pid (last of NSpid), -1 unknown */
	int ppid;
	char state; /* R S D T t Z ... */
};
/* procfd: an open /proc (or any mount of procfs). */
int pf_proc_status_read(int procfd, pid_t pid, struct pf_proc_status *out, struct pf_error *err);

#endif
