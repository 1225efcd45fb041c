/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel says about a sandbox's groups: events, usage, limits as they stand,
 * and which processes are in an exec. Formats: Documentation/admin-guide/cgroup-v2.rst,
 * cgroup-v1/memory.rst, cgroup-v1/pids.rst, cgroup-v1/cpuacct.rst.
 */
#include "linux/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

/* v1 writes "no limit" as LONG_MAX rounded down to pages; no host has an exbibyte. */
#define V1_NO_LIMIT (INT64_C(1) << 60)

int pf__cg_read(int dir, const char *name, char *out, size_t cap)
{
	PF_AUTO_CLOSE int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return -errno;
	/* One call: these files are less than a page, and the kernel hands a page out whole. */
	do
		n = read(fd, out, cap - 1);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	out[n] = '\0';
	return (int)n;
}

/* The decimal number at s, up to a space, newline or the end; -1 for anything else. */
static int64_t number_at(const char *s)
{
	size_t n = strcspn(s, " \n");
	char digits[24];
	uint64_t v;

	if (n >= sizeof(digits))
		return -1;
	memcpy(digits, s, n);
	digits[n] = '\0';
	if (pf_parse_u64(digits, &v) < 0 || v > INT64_MAX)
		return -1;
	return (int64_t)v;
}

int64_t pf__cg_field(const char *text, const char *name)
{
	size_t n = strlen(name);

	while (text && *text) {
		if (strncmp(text, name, n) == 0 && text[n] == ' ')
			return number_at(text + n + 1);
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	return -1;
}

int64_t pf__cg_number_in(const char *text)
{
	int64_t v = number_at(text);

	return v >= V1_NO_LIMIT ? -1 : v;
}

int64_t pf__cg_number(int dir, const char *name)
{
	char text[64];

	return pf__cg_read(dir, name, text, sizeof(text)) < 0 ? -1 : pf__cg_number_in(text);
}

/* --- processes --- */

struct pid_parser {
	uint64_t value;
	bool digits;
	pid_t *pids;
	int cap, count;
};

static void pid_end(struct pid_parser *p)
{
	/* v1 shows tasks outside of our pid namespace as 0: they cannot be named. */
	if (p->digits && p->value > 0 && p->value <= INT_MAX) {
		if (p->count < p->cap)
			p->pids[p->count] = (pid_t)p->value;
		p->count++;
	}
	p->value = 0;
	p->digits = false;
}

static void pid_bytes(struct pid_parser *p, const char *s, size_t n)
{
	for (; n; s++, n--) {
		if (*s < '0' || *s > '9') {
			pid_end(p);
			continue;
		}
		p->digits = true;
		if (p->value <= INT_MAX)
			p->value = p->value * 10 + (uint64_t)(*s - '0');
	}
}

int pf__cg_procs(int dir, const char *rel, pid_t *pids, int cap)
{
	struct pid_parser p = {.pids = pids, .cap = cap};
	PF_AUTO_CLOSE int fd = -1;
	char name[64], chunk[2048];
	ssize_t n;

	snprintf(name, sizeof(name), "%s/cgroup.procs", rel);
	/* Opened anew for every look: v1 caches the list for as long as the file is open. */
	fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	while ((n = pf_read_full(fd, chunk, sizeof(chunk))) > 0)
		pid_bytes(&p, chunk, (size_t)n);
	pid_end(&p);
	return n < 0 ? (int)n : p.count;
}

int pf_cgroup_exec_pids(const struct pf_cgroup *cg, unsigned n, pid_t *pids, int cap)
{
	char rel[16];
	int r;

	if (!cg || cg->hiers == 0)
		return 0;
	snprintf(rel, sizeof(rel), "%u", n);
	r = pf__cg_procs(cg->hier[0].execs, rel, pids, cap);
	return r < 0 ? 0 : r;
}

/* --- events, usage, limits --- */

const struct pf__cg_hier *pf__cg_having(const struct pf_cgroup *cg, unsigned controller)
{
	for (int i = 0; cg && i < cg->hiers; i++) {
		if (cg->hier[i].controllers & controller)
			return &cg->hier[i];
	}
	return NULL;
}

void pf_cgroup_events(const struct pf_cgroup *cg, unsigned n, struct pf_cg_events *out)
{
	const struct pf__cg_exec *exec = cg ? pf__cg_exec_find(cg, n) : NULL;

	*out = (struct pf_cg_events){-1, -1, -1, -1};
	if (!cg)
		return;
	out->exec_oom_kill = pf__cg_counter(cg, n, PF__CG_OOM);
	out->box_oom_kill = pf__cg_box_counter(cg, PF__CG_OOM);
	out->box_pids_max = pf__cg_box_counter(cg, PF__CG_PIDS_MAX);
	/* Our own pids.max of 0, set to kill, must not look like the command's doing. */
	out->exec_pids_max = exec && exec->killed ? exec->pids_max : pf__cg_counter(cg, n, PF__CG_PIDS_MAX);
}

/* The exec is charged before the box refuses, and its high-water mark keeps what never was
 * (kernel/cgroup/pids.c, pids_try_charge(); mm/page_counter.c, page_counter_try_charge()). */
static int64_t at_most(int64_t peak, uint64_t limit)
{
	return peak > 0 && (uint64_t)peak > limit ? (int64_t)limit : peak;
}

void pf_cgroup_usage(const struct pf_cgroup *cg, unsigned n, struct pf_cg_usage *out)
{
	const struct pf__cg_hier *cpu = pf__cg_having(cg, PF__CG_CPUACCT);

	out->cpu_us = pf__cg_counter(cg, n, PF__CG_CPU_TIME);
	if (out->cpu_us >= 0 && !cpu->v2)
		out->cpu_us /= 1000;
	out->peak_memory = pf__cg_counter(cg, n, PF__CG_MEMORY_PEAK);
	out->peak_processes = pf__cg_counter(cg, n, PF__CG_PIDS_PEAK);
	if (cg && cg->held & PF_CG_MEMORY)
		out->peak_memory = at_most(out->peak_memory, cg->limits.memory_bytes);
	if (cg && cg->held & PF_CG_PIDS)
		out->peak_processes = at_most(out->peak_processes, cg->limits.processes);
}

/* v2 "QUOTA PERIOD" or "max PERIOD"; v1 two files, -1 for none. In thousandths, rounded to nearest. */
static uint32_t read_cpu(const struct pf__cg_hier *h)
{
	int64_t quota, period;
	char text[64];

	if (h->v2) {
		if (pf__cg_read(h->box, "cpu.max", text, sizeof(text)) < 0 || !strchr(text, ' '))
			return 0;
		quota = number_at(text);
		period = number_at(strchr(text, ' ') + 1);
	} else {
		quota = pf__cg_number(h->box, "cpu.cfs_quota_us");
		period = pf__cg_number(h->box, "cpu.cfs_period_us");
	}
	if (quota <= 0 || period <= 0 || quota > INT64_MAX / 2000)
		return 0;
	quota = (quota * 1000 + period / 2) / period;
	return quota > UINT32_MAX ? 0 : (uint32_t)quota;
}

void pf_cgroup_readback(const struct pf_cgroup *cg, struct pf_cg_limits *out)
{
	const struct pf__cg_hier *memory = pf__cg_having(cg, PF__CG_MEMORY),
				 *pids = pf__cg_having(cg, PF__CG_PIDS);
	const struct pf__cg_hier *cpu = pf__cg_having(cg, PF__CG_CPU);
	int64_t v;

	memset(out, 0, sizeof(*out));
	if (memory) {
		v = pf__cg_number(memory->box, memory->v2 ? "memory.max" : "memory.limit_in_bytes");
		out->memory_bytes = v < 0 ? 0 : (uint64_t)v;
	}
	if (pids) {
		v = pf__cg_number(pids->box, "pids.max");
		out->processes = v < 0 || v > UINT32_MAX ? 0 : (uint32_t)v;
	}
	if (cpu)
		out->cpu_milli = read_cpu(cpu);
}
