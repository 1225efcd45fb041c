/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared inside the cgroup module: what /proc says about this host, the groups of one
 * sandbox in each hierarchy, and the few helpers with which all files are read and
 * written. Nothing outside src/linux/cgroup*.c, its unit test and its fuzzer includes this.
 */
#ifndef PF_LINUX_CGROUP_INTERNAL_H
#define PF_LINUX_CGROUP_INTERNAL_H

#include "linux/cgroup.h"

#include <limits.h>

/* Controllers as bits. The first three are the limits of cgroup.h. cpuacct and freezer are
 * v1's; v2 has both built into every group. */
enum {
	PF__CG_MEMORY = PF_CG_MEMORY,
	PF__CG_PIDS = PF_CG_PIDS,
	PF__CG_CPU = PF_CG_CPU,
	PF__CG_CPUACCT = 8,
	PF__CG_FREEZER = 16,
	PF__CG_V2 = 32, /* the unified hierarchy itself */
};
#define PF__CG_SLOTS  6
#define PF__CG_LIMITS (PF_CG_MEMORY | PF_CG_PIDS | PF_CG_CPU)

/* Where one controller is on this host. The strings point into struct pf__cg_host's texts. */
struct pf__cg_slot {
	const char *path;  /* own group as /proc/self/cgroup shows it; NULL: in no v1 hierarchy (or no v2) */
	const char *point; /* mount point; NULL: not mounted where own group can be seen */
	const char *root;  /* the group that the mount shows as its root */
	unsigned id;	   /* hierarchy; equal for controllers mounted together */
	bool ro;
};

struct pf__cg_host {
	struct pf__cg_slot slot[PF__CG_SLOTS]; /* by bit number */
	struct pf_buf self, mounts;
};

/* cgroup_host.c. The parsers cut the text up in place; lines that they do not understand are
 * skipped. pf__cg_parse_self() comes first: a mount is judged by whether it shows own group. */
void pf__cg_parse_self(char *text, struct pf__cg_host *h);
void pf__cg_parse_mounts(char *text, struct pf__cg_host *h);
int pf__cg_host_read(struct pf__cg_host *h, struct pf_error *err);
void pf__cg_host_free(struct pf__cg_host *h);
struct pf__cg_slot *pf__cg_slot(struct pf__cg_host *h, unsigned bit);
/* PF__CG_* that a sandbox with these limits uses. */
unsigned pf__cg_wanted(const struct pf_cg_limits *limits);
/* Of the wanted limits, those that no v1 hierarchy can hold and a v2 one might. */
unsigned pf__cg_only_v2(struct pf__cg_host *h, unsigned wanted);
/* Absolute path of own group, or -ENOENT (not mounted), -EXDEV (outside what the mount or the
 * cgroup namespace shows), -ENAMETOOLONG. */
int pf__cg_slot_dir(const struct pf__cg_slot *s, char out[PATH_MAX]);
/* "memory pids": which of our controllers a v2 list (cgroup.controllers) names. */
unsigned pf__cg_parse_controllers(const char *text);
/* "memory, processes" of PF_CG_* bits, for messages. */
const char *pf__cg_limit_names(unsigned mask, char out[48]);

/* One hierarchy that the sandbox uses. On v1 top, box and execs are one group, as root: a process may stand
 * beside groups there, and init, which is shown execs, owns nothing in it. Each group less is 15 to 100 us of
 * the run. Descriptors are O_PATH; equal numbers are one descriptor. */
struct pf__cg_hier {
	unsigned controllers; /* PF__CG_* */
	bool v2;
	int parent, top, box, execs;
	char *top_path, *execs_path; /* absolute */
	char *execs_cg;		     /* execs as /proc/PID/cgroup shows it */
};

/* The counters of an exec. Opening one costs several times what reading it costs, and the end of an exec is
 * waited for: so they are opened when its group is made, and read at their beginning. */
enum pf__cg_counter {
	PF__CG_OOM,	    /* v2 memory.events, v1 memory.oom_control: oom_kill */
	PF__CG_PIDS_MAX,    /* pids.events: max */
	PF__CG_PIDS_NOW,    /* pids.current */
	PF__CG_PIDS_PEAK,   /* pids.peak */
	PF__CG_MEMORY_PEAK, /* v2 memory.peak, v1 memory.max_usage_in_bytes */
	PF__CG_CPU_TIME,    /* v2 cpu.stat: usage_usec; v1 cpuacct.usage, in ns */
	PF__CG_COUNTERS
};

struct pf__cg_exec {
	unsigned n;
	int counter[PF__CG_COUNTERS]; /* descriptors; -1: the host has no such file, or none was left */
	bool killed;
	int64_t pids_max; /* pids.events as it was when we set pids.max to 0 to kill; then frozen */
};

struct pf_cgroup {
	char name[80]; /* pinfold-ID */
	struct pf__cg_hier hier[PF_CG_HIERARCHIES];
	int hiers;
	unsigned held;
	struct pf_cg_limits limits;	       /* as asked */
	bool scope, frozen, dir_mode, foreign; /* dir_mode: the umask takes bits that init needs */
	bool private_top;		       /* chown was refused: see pf__cg_give() */
	uid_t uid;
	gid_t gid;
	int init_fd;
	char reason[384], why[512]; /* reason: why the first thing failed */
	struct pf__cg_exec *execs;
	size_t exec_count, exec_cap;
	int box_counter[2]; /* PF__CG_OOM and PF__CG_PIDS_MAX of the box; -1: not opened yet, or not there */
	char *freezer_parent; /* v1: own group there, absolute; NULL: no such hierarchy */
	int freezer_up, freezer;
};

/* cgroup.c */
void pf__cg_note(struct pf_cgroup *cg, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int pf__cg_mkdir(const struct pf_cgroup *cg, int dir,
		 const char *name); /* 0 or -errno; mode 0755 whatever the umask */
int pf__cg_give(struct pf_cgroup *cg, int dir, const char *file); /* make init the owner of a file */
int pf__cg_open_dir(int dir, const char *name); /* O_PATH|O_DIRECTORY, no symlink; fd or -errno */
bool pf__cg_has_v2(const struct pf_cgroup *cg);

/* cgroup_hier.c. Adding: 0 also when the host refuses (noted); an error is one to give up for. */
int pf__cg_add_v1(struct pf_cgroup *cg, struct pf__cg_host *host, unsigned wanted,
		  const struct pf_cg_limits *limits);
int pf__cg_add_v2(struct pf_cgroup *cg, struct pf__cg_host *host, unsigned need,
		  const struct pf_cg_limits *limits);
bool pf__cg_hier_rmdir(const struct pf_cgroup *cg, const struct pf__cg_hier *h); /* true: nothing is left */
void pf__cg_hier_close(struct pf__cg_hier *h);

/* cgroup_v2.c */
struct pf__cg_place {
	int fd;		      /* O_PATH of PARENT; -1: none */
	unsigned controllers; /* that its children have */
	bool scope;	      /* systemd gave it */
	char path[PATH_MAX];  /* absolute */
	char cg[PATH_MAX];    /* as /proc/PID/cgroup shows it */
};
/* Find or make a place for the sandbox's group whose children can have the controllers `need`
 * (PF__CG_MEMORY, _PIDS, _CPU). 0 also when there is none: then fd is -1 and the reason noted. */
int pf__cg_v2_place(struct pf_cgroup *cg, struct pf__cg_host *h, unsigned need, struct pf__cg_place *out);
int pf__cg_v2_enable(int dir, unsigned mask); /* cgroup.subtree_control; 0 or -errno */

/* cgroup_place.c */
#define PF__CG_HOST_LEAF "pinfold-host"
unsigned pf__cg_controllers_of(int dir,
			       const char *file); /* PF__CG_* in cgroup.controllers or _subtree_control */
bool pf__cg_real_root(int dir);
bool pf__cg_may_write(int dir, const char *file);
bool pf__cg_alone(int dir);				/* no process in it but this one */
bool pf__cg_in_host_leaf(const struct pf__cg_place *p); /* is it "pinfold-host" */
bool pf__cg_ours(const struct pf__cg_place *p, const struct pf__cg_slot *s); /* ours to divide */
/* Cut the last component off both paths; false at the mount's root. fd stays: then reopen. */
bool pf__cg_go_up(struct pf__cg_place *p, const char *point);
void pf__cg_reopen(struct pf__cg_place *p);
void pf__cg_give_up(struct pf__cg_place *p); /* close; no place */
/* Fill in own group. 0 or -errno with the reason noted (cg may be NULL). */
int pf__cg_own_group(struct pf_cgroup *cg, const struct pf__cg_slot *s, struct pf__cg_place *p);
/* Would cgroup_v2.c find a place? Says which step in text. */
bool pf__cg_v2_probe(struct pf__cg_host *h, unsigned *controllers, char *text, size_t cap);

/* cgroup_counter.c */
void pf__cg_counters_open(struct pf_cgroup *cg, struct pf__cg_exec *e); /* those of the box too, once */
void pf__cg_counters_close(struct pf__cg_exec *e);
int64_t pf__cg_counter(const struct pf_cgroup *cg, unsigned n, enum pf__cg_counter which); /* -1 unknown */
int64_t pf__cg_box_counter(const struct pf_cgroup *cg, enum pf__cg_counter which);

/* cgroup_read.c */
/* The hierarchy that has a controller (PF__CG_*), or NULL. */
const struct pf__cg_hier *pf__cg_having(const struct pf_cgroup *cg, unsigned controller);
/* A small file as text, NUL-terminated, cut at cap - 1. Length or -errno. */
int pf__cg_read(int dir, const char *name, char *out, size_t cap);
int64_t pf__cg_field(const char *text, const char *name); /* "name 12\n"; -1 where it is not */
int64_t pf__cg_number(int dir,
		      const char *name);    /* a file of one number; -1 ("max" and v1's "no limit" too) */
int64_t pf__cg_number_in(const char *text); /* the same of its text */
/* The processes of dir/rel, only those that this process can name (v1 writes 0 for tasks outside
 * of the reader's pid namespace). Fills at most cap; returns how many there are, or -errno. */
int pf__cg_procs(int dir, const char *rel, pid_t *pids, int cap);

/* cgroup_exec.c */
const struct pf__cg_exec *pf__cg_exec_find(const struct pf_cgroup *cg, unsigned n);
/* SIGKILL to the processes of dir/rel, once; how many were there (this process is not counted). */
int pf__cg_kill_pass(int dir, const char *rel);
void pf__cg_pause(unsigned *us); /* sleep *us, then double it up to 2 ms */

/* cgroup_freeze.c */
void pf__cg_thaw_for_kill(struct pf_cgroup *cg);
void pf__cg_freezer_remove(struct pf_cgroup *cg);

/* cgroup_sweep.c: kill and remove the group `name` of each dirs[i] (-1: skip) with all below, until
 * gone or the deadline (pf_now_ns). Returns how many are left. */
int pf__cg_tree_remove(const int *dirs, int count, const char *name, uint64_t deadline_ns);

#endif
