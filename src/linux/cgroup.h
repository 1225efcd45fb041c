/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control groups of one sandbox, on v2, v1 and hybrid hosts.
 *
 *   PARENT/pinfold-ID          ours; bears nothing (v2: its cgroup.procs belongs to init, see below)
 *   PARENT/pinfold-ID/init     v2 only: where pinfold-init runs, outside the command's limits
 *   PARENT/pinfold-ID/box      bears the limits, for the sandbox's whole life
 *   PARENT/pinfold-ID/box/execs        what init sees, as a detached mount: it cannot walk up
 *   PARENT/pinfold-ID/box/execs/N      one exec; made by the host ahead of need
 *
 * On v1 the same directories stand in each hierarchy that we use (memory, pids,
 * cpuacct; cpu only when cpus are limited: joining it can cost a scheduler tick;
 * freezer only when asked to pause). PARENT is the caller's own group there.
 *
 * Who writes: the host makes groups and limits. init (host uid init_uid) may only
 * move processes: it owns cgroup.procs and tasks of execs and of each execs/N and,
 * on v2, cgroup.procs of pinfold-ID, the common ancestor of init/ and execs/N
 * (cgroup-v2.rst, "Delegation Containment"). cgroup.procs is never written on the
 * hot path: it waits for an RCU grace period (11 ms idle); v2 uses CLONE_INTO_CGROUP,
 * v1 a single-threaded child that writes 0 to `tasks`.
 */
#ifndef PF_LINUX_CGROUP_H
#define PF_LINUX_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "linux/helper.h"

#define PF_CG_HIERARCHIES 5 /* most that one sandbox can use */

enum pf_cg_limit { PF_CG_MEMORY = 1, PF_CG_PIDS = 2, PF_CG_CPU = 4 };

struct pf_cg_limits {
	uint64_t memory_bytes; /* 0: none. Swap is 0 beside it where the host accounts swap */
	uint32_t processes;    /* 0: none */
	uint32_t cpu_milli;    /* thousandths of a CPU; 0: none */
};

struct pf_cgroup; /* opaque; owned by the caller */

/* The ladder of DESIGN section 7: (1) the caller's own group when it is writable, has the
 * controllers and (v2) holds only this process, which then moves itself into a leaf
 * "pinfold-host" first; root makes its own subtree and changes no existing group's
 * settings (v2 root: if PARENT has not the controllers enabled for children, use the
 * nearest place where a subtree can be made without writing an existing group's
 * cgroup.subtree_control other than by adding controllers at the real root; explain in code);
 * (2) a transient systemd scope asked for over the user bus; (3) none.
 * Succeeds also when nothing can be held: then pf_cgroup_held() is 0 and pf_cgroup_why()
 * says why. Fails only for lack of memory and the like. */
int pf_cgroup_create(const char *id, const struct pf_cg_limits *limits, uid_t init_uid, gid_t init_gid,
		     struct pf_cgroup **out, struct pf_error *err);
void pf_cgroup_destroy(
	struct pf_cgroup *cg); /* kill what is left (bounded wait), rmdir all, free; NULL is fine */

unsigned pf_cgroup_held(const struct pf_cgroup *cg); /* PF_CG_* that the kernel now holds */
const char *pf_cgroup_means(
	const struct pf_cgroup *cg); /* "cgroup v2", "cgroup v1", "cgroup v1+v2", "systemd scope", "none" */
const char *pf_cgroup_why(
	const struct pf_cgroup *cg); /* why something is not held, one line with the mend; "" if all is */
bool pf_cgroup_active(const struct pf_cgroup *cg); /* are there groups at all */

/* Absolute paths of the `execs` directory in each hierarchy (for open_tree(2) inside the new
 * mount namespace); returns how many. is_v2[i] tells which takes CLONE_INTO_CGROUP. */
int pf_cgroup_exec_dirs(const struct pf_cgroup *cg, const char *paths[PF_CG_HIERARCHIES],
			bool is_v2[PF_CG_HIERARCHIES]);
/* Will a sandbox with these limits have groups on v2 (also beside v1 ones)? Then they must be made before the
 * process that becomes init, which is cloned into one of them. True also where /proc/self/cgroup does not
 * tell. */
bool pf_cgroup_wants_v2(const struct pf_cg_limits *limits);
/* v2: descriptor of the init/ leaf for clone3(CLONE_INTO_CGROUP), owned by cg; -1 on v1 or none. */
int pf_cgroup_init_fd(const struct pf_cgroup *cg);

int pf_cgroup_exec_create(struct pf_cgroup *cg, unsigned n, struct pf_error *err);
int pf_cgroup_exec_remove(struct pf_cgroup *cg, unsigned n); /* kills first; bounded wait; 0 or -EBUSY */
int pf_cgroup_exec_kill(struct pf_cgroup *cg,
			unsigned n); /* v2 cgroup.kill; v1: pids.max 0, then SIGKILL until empty
					(a fork in flight fails), freezer where pids is absent */
/* Where a process of the host's side starts that works for this sandbox alone (its proxy): execs/0, made at
 * the first call. Under the sandbox's limits, frozen with it, gone with it; init may move nobody in or out.
 * Without groups *out is empty. The caller closes it. */
#define PF_CG_HELPER 0u
int pf_cgroup_helper(struct pf_cgroup *cg, struct pf_helper_groups *out, struct pf_error *err);
int pf_cgroup_freeze(struct pf_cgroup *cg,
		     bool frozen); /* the box; v2 cgroup.freeze, v1 freezer; -EOPNOTSUPP */
void pf_cgroup_thaw_killed(
	struct pf_cgroup *cg); /* let what was killed while it was paused die (v1); nothing otherwise */
/* Host pids in execs/N (at most cap); returns how many there are. */
int pf_cgroup_exec_pids(const struct pf_cgroup *cg, unsigned n, pid_t *pids, int cap);
/* Path of execs/N as /proc/PID/cgroup must show it, for the receipt: memory (or v2) hierarchy. */
int pf_cgroup_exec_path(const struct pf_cgroup *cg, unsigned n, char *out, size_t cap);

/* The kernel's own words. Counters only ever grow; -1 where the host has no such counter.
 * Some kernels count in the forking or charging group, some in the limiting one
 * (pids.events changed in 6.x): exec_* and box_* are read both. */
struct pf_cg_events {
	int64_t exec_oom_kill, box_oom_kill; /* v2 memory.events(.local), v1 memory.oom_control */
	int64_t exec_pids_max, box_pids_max; /* pids.events */
};
void pf_cgroup_events(const struct pf_cgroup *cg, unsigned n, struct pf_cg_events *out);

struct pf_cg_usage {
	int64_t cpu_us;		/* -1 unknown */
	int64_t peak_memory;	/* bytes, of the exec; -1 unknown (v2 before 5.19 has no memory.peak) */
	int64_t peak_processes; /* pids.peak (6.1+... where present); -1 unknown */
};
void pf_cgroup_usage(const struct pf_cgroup *cg, unsigned n, struct pf_cg_usage *out);

/* The limits as the kernel reports them now (read back from the box). 0: none or unknown. */
void pf_cgroup_readback(const struct pf_cgroup *cg, struct pf_cg_limits *out);

/* What a later sweep needs to remove this sandbox's groups after a kill -9: absolute
 * directories, one a line. */
void pf_cgroup_describe(const struct pf_cgroup *cg, struct pf_buf *lines);
/* Kill and remove the groups that pf_cgroup_describe() named, deepest first. Refuses a line whose
 * last component does not begin with "pinfold-". Returns how many directories remain. */
int pf_cgroup_sweep(const char *lines);
/* The same for a sandbox that died before its groups were written down: every place where this process would
 * make them. */
int pf_cgroup_sweep_id(const char *id);

/* For doctor: what is there, without making anything. Text is one line. */
struct pf_cg_host {
	bool v1, v2;	      /* mounted with usable controllers */
	bool writable;	      /* the caller may make groups */
	unsigned controllers; /* PF_CG_* available */
	char text[256];
};
void pf_cgroup_host(struct pf_cg_host *out);

#endif
