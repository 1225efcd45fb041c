/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The groups of one sandbox in one hierarchy: making them, their limits, removing them.
 *
 * This stands on the path of every run, so it makes as few groups and calls as the kernel
 * allows (a v1 mkdir is 15 to 80 us, a write 5) and never writes cgroup.procs.
 */
#include "linux/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

/* --- limits --- */

static void hold(struct pf_cgroup *cg, const struct pf__cg_hier *h, unsigned limit, const char *file,
		 const char *value)
{
	int r = pf_write_file(h->box, file, value);

	if (r == 0)
		cg->held |= limit;
	else
		pf__cg_note(cg, "%s of %s: %s", file, h->top_path, strerror(-r));
}

static void limit_memory(struct pf_cgroup *cg, const struct pf__cg_hier *h, uint64_t bytes)
{
	char value[24];

	snprintf(value, sizeof(value), "%llu", (unsigned long long)bytes);
	/* Without the second file swap is not accounted, and none of it is promised. v1 wants the
	 * narrower limit first: memory and swap together may not be below memory. */
	hold(cg, h, PF_CG_MEMORY, h->v2 ? "memory.max" : "memory.limit_in_bytes", value);
	pf_write_file(h->box, h->v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes", h->v2 ? "0" : value);
}

/* The quota may not be below 1 ms (kernel/sched/core.c, min_cfs_quota_period), so small shares
 * take a period of a second. */
static void limit_cpu(struct pf_cgroup *cg, const struct pf__cg_hier *h, uint32_t milli)
{
	unsigned long long period = milli < 10 ? 1000000 : 100000, quota = milli * period / 1000;
	char value[48];

	if (h->v2) {
		snprintf(value, sizeof(value), "%llu %llu", quota, period);
		hold(cg, h, PF_CG_CPU, "cpu.max", value);
		return;
	}
	snprintf(value, sizeof(value), "%llu", period);
	pf_write_file(h->box, "cpu.cfs_period_us", value);
	snprintf(value, sizeof(value), "%llu", quota);
	hold(cg, h, PF_CG_CPU, "cpu.cfs_quota_us", value);
}

static void set_limits(struct pf_cgroup *cg, const struct pf__cg_hier *h, const struct pf_cg_limits *limits)
{
	char value[16];

	if (h->controllers & PF__CG_MEMORY && limits->memory_bytes)
		limit_memory(cg, h, limits->memory_bytes);
	if (h->controllers & PF__CG_PIDS && limits->processes) {
		snprintf(value, sizeof(value), "%u", limits->processes);
		hold(cg, h, PF_CG_PIDS, "pids.max", value);
	}
	if (h->controllers & PF__CG_CPU && limits->cpu_milli)
		limit_cpu(cg, h, limits->cpu_milli);
}

/* --- one hierarchy --- */

void pf__cg_hier_close(struct pf__cg_hier *h)
{
	if (h->execs >= 0 && h->execs != h->box)
		close(h->execs);
	if (h->box >= 0 && h->box != h->top)
		close(h->box);
	if (h->top >= 0)
		close(h->top);
	if (h->parent >= 0)
		close(h->parent);
	free(h->top_path);
	free(h->execs_path);
	free(h->execs_cg);
	*h = (struct pf__cg_hier){.parent = -1, .top = -1, .box = -1, .execs = -1};
}

/* Deepest first, each by its own parent. True when nothing is left. Names that were never made, or
 * are gone, answer ENOENT. */
bool pf__cg_hier_rmdir(const struct pf_cgroup *cg, const struct pf__cg_hier *h)
{
	char name[16];

	for (size_t i = 0; i < cg->exec_count && h->execs >= 0; i++) {
		snprintf(name, sizeof(name), "%u", cg->execs[i].n);
		unlinkat(h->execs, name, AT_REMOVEDIR);
	}
	if (h->box >= 0 && h->execs != h->box)
		unlinkat(h->box, "execs", AT_REMOVEDIR);
	if (h->v2) {
		unlinkat(h->top, "box", AT_REMOVEDIR);
		unlinkat(h->top, "init", AT_REMOVEDIR);
	}
	return unlinkat(h->parent, cg->name, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

static int join(char **out, const char *dir, const char *name, const char *rest)
{
	return asprintf(out, "%s/%s%s", strcmp(dir, "/") == 0 ? "" : dir, name, rest) < 0 ? -ENOMEM : 0;
}

/* A user may not give init a file, so the way to what init may write is closed to others (pf__cg_give()):
 * init must come in below it. */
static bool needs_level(const struct pf_cgroup *cg)
{
	return cg->foreign && geteuid() != 0;
}

static int hier_paths(const struct pf_cgroup *cg, struct pf__cg_hier *h, const char *dir, const char *group)
{
	const char *rest = h->v2 ? "/box/execs" : needs_level(cg) ? "/execs" : "";

	if (join(&h->top_path, dir, cg->name, "") < 0)
		h->top_path = NULL;
	if (join(&h->execs_path, dir, cg->name, rest) < 0)
		h->execs_path = NULL;
	if (join(&h->execs_cg, group, cg->name, rest) < 0)
		h->execs_cg = NULL;
	return h->top_path && h->execs_path && h->execs_cg ? 0 : -ENOMEM;
}

/* Make dir/name and open it. What cannot be opened is not left behind either: nobody would know of it. */
static int make_open(const struct pf_cgroup *cg, int dir, const char *name)
{
	int r = pf__cg_mkdir(cg, dir, name);

	if (r == 0) {
		r = pf__cg_open_dir(dir, name);
		if (r < 0)
			unlinkat(dir, name, AT_REMOVEDIR);
	}
	return r;
}

/* The umask is the process's own, and to read it is to set it: so look at what it left. */
static void see_umask(struct pf_cgroup *cg, int top)
{
	struct stat st;

	if (cg->dir_mode || fstat(top, &st) < 0 || (st.st_mode & 0755) == 0755)
		return;
	cg->dir_mode = true;
	(void)!fchmodat(top, ".", 0755, 0); /* some libcs want it looked at */
}

static int hier_top(struct pf_cgroup *cg, struct pf__cg_hier *h)
{
	int r = make_open(cg, h->parent, cg->name);

	if (r < 0)
		return r;
	h->top = r;
	if (h == cg->hier)
		see_umask(cg, h->top);
	return 0;
}

/* Before 5.11 a v1 memory group could ignore those below it, and did by default. */
static void use_hierarchy(const struct pf__cg_hier *h)
{
	unsigned major = 0, minor = 0;
	struct utsname u;

	if (uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	    (major < 5 || (major == 5 && minor < 11)))
		pf_write_file(h->top, "memory.use_hierarchy", "1");
}

static int fill_v1(struct pf_cgroup *cg, struct pf__cg_hier *h, const struct pf_cg_limits *limits)
{
	h->box = h->execs = h->top;
	if (h->controllers & PF__CG_MEMORY)
		use_hierarchy(h);
	if (h->controllers & PF__CG_LIMITS)
		set_limits(cg, h, limits);
	if (needs_level(cg))
		h->execs = make_open(cg, h->top, "execs");
	return h->execs < 0 ? h->execs : 0;
}

/* v2: processes stand in leaves only, so each level hands its controllers down. cpu.stat's usage is
 * in every group, controller or not; and single execs have no cpu limit: cpu ends at box. */
static int fill_v2(struct pf_cgroup *cg, struct pf__cg_hier *h, const struct pf_cg_limits *limits)
{
	unsigned down = h->controllers & (PF__CG_MEMORY | PF__CG_PIDS);
	int r = pf__cg_v2_enable(h->top, h->controllers & PF__CG_LIMITS);

	if (r == 0)
		r = pf__cg_give(cg, h->top, "cgroup.procs");
	if (r == 0)
		r = cg->init_fd = make_open(cg, h->top, "init");
	if (r >= 0)
		r = h->box = make_open(cg, h->top, "box");
	if (r < 0)
		return r;
	set_limits(cg, h, limits);
	r = pf__cg_v2_enable(h->box, down);
	if (r == 0)
		r = h->execs = make_open(cg, h->box, "execs");
	return r < 0 ? r : pf__cg_v2_enable(h->execs, down);
}

/* Refusals of the host are noted and leave the hierarchy out; only what the caller cannot go on from
 * (no memory, an id in use) is an error. */
static int hier_make(struct pf_cgroup *cg, struct pf__cg_hier *h, const char *dir, const char *group,
		     const struct pf_cg_limits *limits)
{
	unsigned held = cg->held;
	int r = hier_paths(cg, h, dir, group);

	cg->hiers++; /* pf__cg_give() closes the way to all tops */
	if (r == 0)
		r = hier_top(cg, h);
	if (r < 0) {
		pf__cg_note(cg, "cannot make a group in %s: %s", dir, strerror(-r));
	} else {
		r = h->v2 ? fill_v2(cg, h, limits) : fill_v1(cg, h, limits);
		if (r < 0) {
			pf__cg_note(cg, "cannot set up %s: %s", h->top_path, strerror(-r));
			pf__cg_hier_rmdir(cg, h);
		}
	}
	if (r >= 0)
		return 0;
	if (h->v2 && cg->init_fd >= 0) {
		close(cg->init_fd);
		cg->init_fd = -1;
	}
	pf__cg_hier_close(h);
	cg->hiers--;
	cg->held = held;
	return r == -ENOMEM || r == -EEXIST || r == -EMFILE || r == -ENFILE ? r : 0;
}

/* --- v1 --- */

static int open_v1(struct pf_cgroup *cg, const struct pf__cg_slot *s, char dir[PATH_MAX])
{
	struct statfs fs;
	int fd = pf__cg_slot_dir(s, dir);

	if (fd < 0) {
		pf__cg_note(cg, "own group %s is not in any mounted cgroup file system", s->path);
		return fd;
	}
	fd = s->ro ? -EROFS : pf__cg_open_dir(AT_FDCWD, dir);
	if (fd >= 0 && (fstatfs(fd, &fs) < 0 || fs.f_type != CGROUP_SUPER_MAGIC)) {
		close(fd);
		fd = -ENOTDIR; /* something else is mounted over it */
	}
	if (fd < 0)
		pf__cg_note(cg, "%s: %s", dir, fd == -EROFS ? "mounted read-only" : strerror(-fd));
	return fd;
}

static int add_v1(struct pf_cgroup *cg, struct pf__cg_host *host, unsigned bit, unsigned mask,
		  const struct pf_cg_limits *limits)
{
	const struct pf__cg_slot *s = pf__cg_slot(host, bit);
	struct pf__cg_hier *h = &cg->hier[cg->hiers];
	char dir[PATH_MAX];

	*h = (struct pf__cg_hier){.controllers = mask, .top = -1, .box = -1, .execs = -1};
	h->parent = open_v1(cg, s, dir);
	if (h->parent == -EMFILE || h->parent == -ENFILE)
		return h->parent; /* not the host's refusal: a limit must not be left out for it */
	if (h->parent < 0)
		return 0;
	return hier_make(cg, h, dir, s->path, limits);
}

/* Each v1 hierarchy once, whatever of ours is mounted together in it. */
int pf__cg_add_v1(struct pf_cgroup *cg, struct pf__cg_host *host, unsigned wanted,
		  const struct pf_cg_limits *limits)
{
	static const unsigned order[] = {PF__CG_MEMORY, PF__CG_PIDS, PF__CG_CPUACCT, PF__CG_CPU};
	unsigned done = 0;

	for (unsigned i = 0; i < PF_ARRAY_SIZE(order); i++) {
		const struct pf__cg_slot *s = pf__cg_slot(host, order[i]);
		unsigned mask = 0;
		int r;

		if (!s->path || !(wanted & order[i]) || (done & order[i]))
			continue;
		for (unsigned bit = 1; bit < PF__CG_V2; bit <<= 1) {
			const struct pf__cg_slot *other = pf__cg_slot(host, bit);

			if (other->path && other->id == s->id && ((wanted | PF__CG_FREEZER) & bit))
				mask |= bit;
		}
		done |= mask;
		r = add_v1(cg, host, order[i], mask, limits);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- v2 --- */

int pf__cg_add_v2(struct pf_cgroup *cg, struct pf__cg_host *host, unsigned need,
		  const struct pf_cg_limits *limits)
{
	struct pf__cg_hier h = {.v2 = true, .top = -1, .box = -1, .execs = -1};
	struct pf__cg_place place;
	int r = pf__cg_v2_place(cg, host, need, &place);

	if (r < 0 || place.fd < 0)
		return r;
	cg->scope = place.scope;
	h.parent = place.fd;
	h.controllers = place.controllers & need;
	/* CPU time is only asked of v2 where no v1 hierarchy accounts it. */
	if (!pf__cg_slot(host, PF__CG_CPUACCT)->path)
		h.controllers |= PF__CG_CPUACCT;
	cg->hier[cg->hiers] = h;
	return hier_make(cg, &cg->hier[cg->hiers], place.path, place.cg, limits);
}
