/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel counted for an exec and its box. The files stay open (cgroup_internal.h says why), so a
 * descriptor may outlive its group: reading it then gives ENODEV, which is "unknown".
 */
#include "linux/cgroup_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"

struct counter {
	unsigned controller;
	const char *v1, *v2;		 /* the file */
	const char *v1_field, *v2_field; /* NULL: the file is one number */
};

static const struct counter counters[PF__CG_COUNTERS] = {
	/* v1 counts where the victim is and nowhere above; v2 there and in every group above. */
	[PF__CG_OOM] = {PF__CG_MEMORY, "memory.oom_control", "memory.events", "oom_kill", "oom_kill"},
	/* Before 6.11, and on v1, the forking group counts; since then the one whose limit it was. */
	[PF__CG_PIDS_MAX] = {PF__CG_PIDS, "pids.events", "pids.events", "max", "max"},
	[PF__CG_PIDS_NOW] = {PF__CG_PIDS, "pids.current", "pids.current", NULL, NULL},
	[PF__CG_PIDS_PEAK] = {PF__CG_PIDS, "pids.peak", "pids.peak", NULL, NULL},
	[PF__CG_MEMORY_PEAK] = {PF__CG_MEMORY, "memory.max_usage_in_bytes", "memory.peak", NULL, NULL},
	[PF__CG_CPU_TIME] = {PF__CG_CPUACCT, "cpuacct.usage", "cpu.stat", NULL, "usage_usec"},
};

static const char *file_of(const struct counter *c, const struct pf__cg_hier *h)
{
	return h->v2 ? c->v2 : c->v1;
}

static int open_counter(const struct pf_cgroup *cg, enum pf__cg_counter which, const char *exec)
{
	const struct counter *c = &counters[which];
	const struct pf__cg_hier *h = pf__cg_having(cg, c->controller);
	char name[64];

	if (!h || (!exec && h->box < 0))
		return -1;
	snprintf(name, sizeof(name), "%s%s%s", exec ? exec : "", exec ? "/" : "", file_of(c, h));
	return openat(exec ? h->execs : h->box, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

void pf__cg_counters_open(struct pf_cgroup *cg, struct pf__cg_exec *e)
{
	char exec[16];

	snprintf(exec, sizeof(exec), "%u", e->n);
	for (unsigned i = 0; i < PF__CG_COUNTERS; i++)
		e->counter[i] = open_counter(cg, i, exec);
	for (unsigned i = PF__CG_OOM; i <= PF__CG_PIDS_MAX; i++)
		if (cg->box_counter[i] < 0)
			cg->box_counter[i] = open_counter(cg, i, NULL);
}

void pf__cg_counters_close(struct pf__cg_exec *e)
{
	for (unsigned i = 0; i < PF__CG_COUNTERS; i++)
		if (e->counter[i] >= 0)
			close(pf_take_fd(&e->counter[i]));
}

static int64_t read_counter(const struct pf_cgroup *cg, enum pf__cg_counter which, int fd)
{
	const struct counter *c = &counters[which];
	const struct pf__cg_hier *h = pf__cg_having(cg, c->controller);
	const char *field = !h ? NULL : h->v2 ? c->v2_field : c->v1_field;
	char text[1024];
	ssize_t n = fd < 0 || !h ? -1 : pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return -1;
	text[n] = '\0';
	return field ? pf__cg_field(text, field) : pf__cg_number_in(text);
}

int64_t pf__cg_counter(const struct pf_cgroup *cg, unsigned n, enum pf__cg_counter which)
{
	const struct pf__cg_exec *e = cg ? pf__cg_exec_find(cg, n) : NULL;
	PF_AUTO_CLOSE int now = -1;
	char exec[16];

	if (!e)
		return -1;
	if (e->counter[which] >= 0)
		return read_counter(cg, which, e->counter[which]);
	snprintf(exec, sizeof(exec), "%u", n); /* no descriptor was left then; perhaps one is now */
	now = open_counter(cg, which, exec);
	return read_counter(cg, which, now);
}

int64_t pf__cg_box_counter(const struct pf_cgroup *cg, enum pf__cg_counter which)
{
	PF_AUTO_CLOSE int now = -1;

	if (cg->box_counter[which] >= 0)
		return read_counter(cg, which, cg->box_counter[which]);
	now = open_counter(cg, which, NULL);
	return read_counter(cg, which, now);
}
