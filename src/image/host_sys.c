/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The synthetic /sys of the `host` image. sysfs itself is not mounted: it tells serial numbers, disks
 * and networks, and is writable to whoever has the right. This is what programs ask for to size
 * themselves: CPUs (glibc, libuv, JVM, numactl, lscpu), memory nodes, huge pages (jemalloc, Go, JVM). Every
 * CPU is a core of one package: the real topology is the host's business.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "image/host_build.h"

#define CPUS_MAX 4096u

#define CPU_DIR	 "devices/system/cpu"
#define NODE_DIR "devices/system/node"
#define THP_DIR	 "kernel/mm/transparent_hugepage"

/* One line of a file of sysfs. Text of another form than we expect is dropped: it would be passed on. */
static void read_line(const char *path, char *out, size_t cap)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	size_t n;

	out[0] = '\0';
	if (pf_read_file(AT_FDCWD, path, &b, cap - 1) < 0 || b.len == 0)
		return;
	n = strcspn(b.data, "\n");
	if (strspn(b.data, "abcdefghijklmnopqrstuvwxyz0123456789-+,_ []") >= n)
		snprintf(out, cap, "%.*s", (int)n, b.data);
}

void pf__sys_read(struct pf__sys_facts *out)
{
	read_line("/sys/" CPU_DIR "/online", out->online, sizeof(out->online));
	read_line("/sys/" CPU_DIR "/possible", out->possible, sizeof(out->possible));
	read_line("/sys/" CPU_DIR "/present", out->present, sizeof(out->present));
	read_line("/sys/" CPU_DIR "/kernel_max", out->kernel_max, sizeof(out->kernel_max));
	read_line("/sys/" THP_DIR "/enabled", out->thp_enabled, sizeof(out->thp_enabled));
	read_line("/sys/" THP_DIR "/defrag", out->thp_defrag, sizeof(out->thp_defrag));
	read_line("/sys/" THP_DIR "/shmem_enabled", out->thp_shmem, sizeof(out->thp_shmem));
	read_line("/sys/" THP_DIR "/hpage_pmd_size", out->thp_size, sizeof(out->thp_size));
	if (out->online[0] == '\0') { /* no /sys here, as inside some containers */
		long n = sysconf(_SC_NPROCESSORS_ONLN);

		snprintf(out->online, sizeof(out->online), n > 1 ? "0-%ld" : "0", n - 1);
	}
	if (out->possible[0] == '\0')
		snprintf(out->possible, sizeof(out->possible), "%s", out->online);
	if (out->present[0] == '\0')
		snprintf(out->present, sizeof(out->present), "%s", out->online);
}

void pf__sys_hash(struct pf_sha256 *h)
{
	char online[256] = "", enabled[64] = "";

	read_line("/sys/" CPU_DIR "/online", online, sizeof(online));
	read_line("/sys/" THP_DIR "/enabled", enabled, sizeof(enabled));
	pf_sha256_add(h, online, sizeof(online));
	pf_sha256_add(h, enabled, sizeof(enabled));
}

static bool has_cpu(const uint8_t *set, unsigned cpu)
{
	return set[cpu / 8] & (1u << (cpu % 8));
}

/* "0-3,8" to a set of bits. What is beyond CPUS_MAX or not of this form is left out. */
static void parse_cpus(const char *list, uint8_t *set)
{
	while (*list) {
		unsigned first, last;
		int used = 0;

		if (sscanf(list, "%u%n", &first, &used) != 1)
			return;
		list += used;
		last = first;
		if (*list == '-' && sscanf(list + 1, "%u%n", &last, &used) == 1)
			list += 1 + used;
		for (; first <= last && first < CPUS_MAX; first++)
			set[first / 8] |= (uint8_t)(1u << (first % 8));
		if (*list != ',')
			return;
		list++;
	}
}

/* The kernel's mask form: words of 32 bits in hexadecimal, highest first. */
static void format_mask(const uint8_t *set, struct pf_buf *out)
{
	unsigned words = CPUS_MAX / 32;
	bool begun = false;

	while (words-- > 0) {
		const uint8_t *p = set + words * 4;
		uint32_t w = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;

		if (!begun && w == 0 && words > 0)
			continue;
		pf_buf_addf(out, begun ? "%08x" : "%x", w);
		pf_buf_addc(out, words ? ',' : '\n');
		begun = true;
	}
}

static int put_line(int dest, const char *dir, const char *name, const char *text, struct pf_error *err)
{
	char path[160], line[300];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(line, sizeof(line), "%s\n", text);
	return pf__put_text(dest, path, line, err);
}

static int put_number(int dest, const char *dir, const char *name, unsigned value, struct pf_error *err)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	return put_line(dest, dir, name, text, err);
}

static int put_cpu(int dest, unsigned cpu, const struct pf__sys_facts *f, const char *all_mask,
		   struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf own = {0};
	uint8_t set[CPUS_MAX / 8] = {0};
	char dir[64];
	int r;

	set[cpu / 8] = (uint8_t)(1u << (cpu % 8));
	format_mask(set, &own);
	if (own.failed)
		return pf_fail(err, -ENOMEM, "no memory for /sys");
	own.data[strcspn(own.data, "\n")] = '\0';
	snprintf(dir, sizeof(dir), CPU_DIR "/cpu%u/topology", cpu);
	r = put_number(dest, dir, "physical_package_id", 0, err);
	r = r ? r : put_number(dest, dir, "die_id", 0, err);
	r = r ? r : put_number(dest, dir, "core_id", cpu, err);
	r = r ? r : put_number(dest, dir, "thread_siblings_list", cpu, err);
	r = r ? r : put_number(dest, dir, "core_cpus_list", cpu, err);
	r = r ? r : put_line(dest, dir, "thread_siblings", own.data, err);
	r = r ? r : put_line(dest, dir, "core_cpus", own.data, err);
	r = r ? r : put_line(dest, dir, "core_siblings", all_mask, err);
	r = r ? r : put_line(dest, dir, "package_cpus", all_mask, err);
	r = r ? r : put_line(dest, dir, "core_siblings_list", f->online, err);
	return r ? r : put_line(dest, dir, "package_cpus_list", f->online, err);
}

static int put_node(int dest, const struct pf__sys_facts *f, const char *all_mask, struct pf_error *err)
{
	static const char *const ONE[] = {"online", "possible", "has_cpu", "has_memory", "has_normal_memory"};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(ONE) / sizeof(ONE[0]); i++)
		r = put_line(dest, NODE_DIR, ONE[i], "0", err);
	r = r ? r : put_line(dest, NODE_DIR "/node0", "cpulist", f->online, err);
	r = r ? r : put_line(dest, NODE_DIR "/node0", "cpumap", all_mask, err);
	return r ? r : put_line(dest, NODE_DIR "/node0", "distance", "10", err);
}

static int put_memory(int dest, const struct pf__sys_facts *f, struct pf_error *err)
{
	int r = pf__put(dest, "kernel/mm/hugepages", NULL, 0, err); /* none to be had */

	if (r == 0 && f->thp_enabled[0])
		r = put_line(dest, THP_DIR, "enabled", f->thp_enabled, err);
	if (r == 0 && f->thp_defrag[0])
		r = put_line(dest, THP_DIR, "defrag", f->thp_defrag, err);
	if (r == 0 && f->thp_shmem[0])
		r = put_line(dest, THP_DIR, "shmem_enabled", f->thp_shmem, err);
	if (r == 0 && f->thp_size[0])
		r = put_line(dest, THP_DIR, "hpage_pmd_size", f->thp_size, err);
	return r;
}

int pf__sys_build(int dest, const struct pf__sys_facts *f, struct pf_error *err)
{
	static const char *const EMPTY[] = {"fs/cgroup", "class/net", "bus", "block", "module"};
	PF_AUTO_BUF struct pf_buf mask = {0};
	uint8_t online[CPUS_MAX / 8] = {0};
	int r;

	parse_cpus(f->online, online);
	format_mask(online, &mask);
	if (mask.failed)
		return pf_fail(err, -ENOMEM, "no memory for /sys");
	mask.data[strcspn(mask.data, "\n")] = '\0';
	r = put_line(dest, CPU_DIR, "online", f->online, err);
	r = r ? r : put_line(dest, CPU_DIR, "possible", f->possible, err);
	r = r ? r : put_line(dest, CPU_DIR, "present", f->present, err);
	r = r ? r : put_line(dest, CPU_DIR, "offline", "", err);
	r = r ? r : put_line(dest, CPU_DIR, "isolated", "", err);
	if (r == 0 && f->kernel_max[0])
		r = put_line(dest, CPU_DIR, "kernel_max", f->kernel_max, err);
	for (unsigned cpu = 0; r == 0 && cpu < CPUS_MAX; cpu++) {
		if (has_cpu(online, cpu))
			r = put_cpu(dest, cpu, f, mask.data, err);
	}
	r = r ? r : put_node(dest, f, mask.data, err);
	r = r ? r : put_memory(dest, f, err);
	for (size_t i = 0; r == 0 && i < sizeof(EMPTY) / sizeof(EMPTY[0]); i++)
		r = pf__put(dest, EMPTY[i], NULL, 0, err);
	return r;
}
