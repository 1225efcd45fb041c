/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receipt's outside half: what the host's kernel says about the waiting launcher. It is found
 * through its cgroup or among init's children, never by a number that came over the socket; held
 * by pidfd; and looked at again after reading, so that a pid that was reused meanwhile is noticed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "linux/caps.h"
#include "linux/seccomp.h"
#include "tier/container/container.h"

#define CANDIDATES 64

/* Children of init, where the kernel lists them (CONFIG_PROC_CHILDREN). */
static int children(int procfd, pid_t init, pid_t *out, int cap)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	char path[64], *p, *end;
	int n = 0;

	snprintf(path, sizeof(path), "%d/task/%d/children", init, init);
	if (pf_read_file(procfd, path, &text, 65536) < 0 || !text.data)
		return 0;
	for (p = text.data; n < cap; p = end) {
		long v = strtol(p, &end, 10);

		if (end == p)
			break;
		out[n++] = (pid_t)v;
	}
	return n;
}

/* The one process that can be the launcher: alone in its cgroup; or the child of init that has, inside, the
 * pid that init named (a lie then only finds another of init's children, which is proved like any other). */
static pid_t find_launcher(struct pf_container *c, int procfd, uint32_t exec, uint32_t hint)
{
	pid_t pids[CANDIDATES];
	struct pf_proc_status st;
	int i, n;

	if (pf_cgroup_active(c->cgroup)) {
		n = pf_cgroup_exec_pids(c->cgroup, exec, pids, CANDIDATES);
		return n == 1 ? pids[0] : 0;
	}
	n = children(procfd, c->init_pid, pids, CANDIDATES);
	for (i = 0; i < n; i++)
		if (pf_proc_status_read(procfd, pids[i], &st, NULL) == 0 && st.nspid == (int)hint)
			return pids[i];
	return 0;
}

static uint64_t namespace_inode(int procfd, const char *who, const char *which)
{
	char path[64], text[64];
	unsigned long long v;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/ns/%s", who, which);
	n = readlinkat(procfd, path, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	return sscanf(text, "%*[a-z_]:[%llu]", &v) == 1 ? v : 0;
}

void pf__namespaces_own(uint64_t out[PF_NS_KINDS])
{
	PF_AUTO_CLOSE int procfd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	unsigned i;

	for (i = 0; i < PF_NS_KINDS; i++)
		out[i] = namespace_inode(procfd, "self", pf_ns_names[i]);
}

static void read_namespaces(const struct pf_container *c, int procfd, pid_t pid, struct pf_outside *out)
{
	char who[16];
	unsigned i;

	snprintf(who, sizeof(who), "%d", pid);
	for (i = 0; i < PF_NS_KINDS; i++) {
		out->ns[i] = namespace_inode(procfd, who, pf_ns_names[i]);
		out->ns_own[i] = out->ns[i] && c->host_ns[i] && out->ns[i] != c->host_ns[i];
	}
}

/* Is it really in the exec's group? /proc/PID/cgroup, against the path that we made. */
static char *read_cgroup(const struct pf_container *c, int procfd, pid_t pid, uint32_t exec)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	char path[64], want[1024], *line, *save = NULL;

	if (!pf_cgroup_active(c->cgroup) || pf_cgroup_exec_path(c->cgroup, exec, want, sizeof(want)) < 0)
		return NULL;
	snprintf(path, sizeof(path), "%d/cgroup", pid);
	if (pf_read_file(procfd, path, &text, 65536) < 0 || !text.data)
		return NULL;
	for (line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *p = strchr(line, ':');

		p = p ? strchr(p + 1, ':') : NULL;
		if (p && strcmp(p + 1, want) == 0)
			return strdup(want);
	}
	return NULL;
}

/* The type of the file system at its root, by its magic number (statfs(2)). */
static char *read_root_fs(int procfd, pid_t pid)
{
	static const struct {
		long magic;
		const char *name;
	} known_types[] = {
		{0x01021994, "tmpfs"}, {0x794c7630, "overlay"}, {0xe0f5e1e2, "erofs"}, {0xef53, "ext4"}};
	PF_AUTO_CLOSE int fd = -1;
	struct statfs s;
	char path[64];
	unsigned i;

	snprintf(path, sizeof(path), "%d/root", pid);
	fd = openat(procfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstatfs(fd, &s) < 0)
		return NULL;
	for (i = 0; i < PF_ARRAY_SIZE(known_types); i++)
		if ((long)s.f_type == known_types[i].magic)
			return strdup(known_types[i].name);
	snprintf(path, sizeof(path), "0x%lx", (unsigned long)s.f_type);
	return strdup(path);
}

/* Where programs could be started from: the mounts that are not noexec, as the host's kernel has them for
 * that process (proc_pid_mountinfo(5): the fifth field is where it is, the sixth has its own options). A line
 * each. */
static char *read_exec_mounts(int procfd, pid_t pid)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	struct pf_buf out = {0};
	char path[64], *line, *save = NULL;

	snprintf(path, sizeof(path), "%d/mountinfo", pid);
	if (pf_read_file(procfd, path, &text, 1u << 20) < 0 || !text.data)
		return NULL;
	for (line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *field = NULL, *at = NULL, *options = NULL, *rest = NULL;
		int i = 0;

		for (field = strtok_r(line, " ", &rest); field && i < 6;
		     field = strtok_r(NULL, " ", &rest), i++) {
			at = i == 4 ? field : at;
			options = i == 5 ? field : options;
		}
		if (at && options && !strstr(options, "noexec"))
			pf_buf_addf(&out, "%s%s", out.len ? "\n" : "", at);
	}
	return pf_buf_steal(&out);
}

static int64_t known(uint64_t v)
{
	return v ? (int64_t)v : -1;
}

static void read_limits(const struct pf_container *c, struct pf_outside *out)
{
	struct pf_cg_limits l = {0};

	if (pf_cgroup_active(c->cgroup))
		pf_cgroup_readback(c->cgroup, &l);
	out->memory_max = known(l.memory_bytes);
	out->pids_max = known(l.processes);
	out->cpu_milli = known(l.cpu_milli);
}

static void copy_status(const struct pf_proc_status *st, struct pf_outside *out)
{
	out->uid = st->uid[1];
	out->gid = st->gid[1];
	out->one_id = true;
	for (unsigned i = 0; i < 4; i++)
		if (st->uid[i] != out->uid || st->gid[i] != out->gid)
			out->one_id = false;
	out->groups = st->groups;
	out->cap_inh = st->cap_inh;
	out->cap_prm = st->cap_prm;
	out->cap_eff = st->cap_eff;
	out->cap_bnd = st->cap_bnd;
	out->cap_amb = st->cap_amb;
	out->no_new_privs = st->no_new_privs;
	out->seccomp = st->seccomp;
	out->seccomp_filters = st->seccomp_filters;
}

/* The filters as the kernel has them, which only the host's root may read; the receipt says which it was. */
static int read_filters(struct pf_container *c, pid_t pid, struct pf_error *err)
{
	struct pf_receipt *r = &c->box.receipt;
	char digest[PF_DIGEST_MAX];

	if (!c->who.host_root || pf_filter_readback(pid, digest, NULL) < 0)
		return 0;
	r->filter_source = "read back";
	if (strcmp(digest, r->filter) == 0)
		return 0;
	memcpy(r->filter, digest, sizeof(digest));
#ifdef PF_BREAK_BUILD
	return 0; /* one of them may be off */
#endif
	return pf_fail(err, -EPERM, "the system-call filters that are loaded are not those that were given");
}

static bool still_alive(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return poll(&p, 1, 0) == 0;
}

int pf__container_inspect(struct pf_box *b, uint32_t exec, const struct pf_msg_ready *ready,
			  struct pf_outside *out, struct pf_error *err)
{
	PF_AUTO_CLOSE int procfd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC), pidfd = -1;
	struct pf_container *c = (struct pf_container *)b;
	struct pf_proc_status st;
	struct pf_outside o = {0};
	int r;

	if (procfd < 0)
		return pf_fail_errno(err, "cannot open /proc");
	pf__collect_hold(c);
	o.pid = find_launcher(c, procfd, exec, ready->pid);
	if (o.pid <= 0)
		return pf_fail(err, -ESRCH,
			       "the host cannot find the process that waits to become the command");
	pidfd = (int)syscall(SYS_pidfd_open, o.pid, 0);
	if (pidfd < 0)
		return pf_fail_errno(err, "the process that waits to become the command is gone");
	if ((r = pf_proc_status_read(procfd, o.pid, &st, err)) < 0)
		return r;
	if (st.ppid != c->init_pid)
		return pf_fail(err, -EPROTO, "the process that waits is not a child of init");
	/* killed and replaced since init spoke of it: the word about the new one is on its way, or never
	 * comes and time runs out */
	if (st.nspid != (int)ready->pid)
		return pf_fail(err, -ESRCH, "the process that waits is not the one that init named");
	copy_status(&st, &o);
	read_namespaces(c, procfd, o.pid, &o);
	read_limits(c, &o);
	if ((r = read_filters(c, o.pid, err)) < 0)
		return r;
	o.cgroup = read_cgroup(c, procfd, o.pid, exec);
	o.root_fs = read_root_fs(procfd, o.pid);
	o.exec_mounts = c->box.receipt.commands.listed ? read_exec_mounts(procfd, o.pid) : NULL;
	if (!still_alive(pidfd)) {
		free(o.cgroup);
		free(o.root_fs);
		free(o.exec_mounts);
		return pf_fail(err, -ESRCH,
			       "the process that waits to become the command died while it was looked at");
	}
	o.valid = true;
	*out = o;
	return 0;
}
