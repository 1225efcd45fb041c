/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Killing and removing whole groups: what pf_cgroup_destroy() finds still populated, and
 * what a killed keeper left behind. Removal is by descriptor, deepest first.
 */
#include "linux/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

#define SWEEP_NS  UINT64_C(1000000000)
#define DEPTH_MAX 8 /* ours are 4 deep */

/* First thaw and forbid forks, for what the group has of it: a frozen v1 task takes no SIGKILL, and
 * a fork in flight would outrun the passes. Errors are expected: each hierarchy has its own files. */
static void stop_group(int dir)
{
	pf_write_file(dir, "freezer.state", "THAWED");
	pf_write_file(dir, "pids.max", "0");
	pf_write_file(dir, "cgroup.kill", "1");
}

/* One attempt at a group and all below it. 0 when it is gone, else -errno. */
static int try_tree(int parent, const char *name, unsigned depth);

static void try_children(int dir, unsigned depth)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	PF_AUTO_DIR DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!d) {
		if (copy >= 0)
			close(copy);
		return;
	}
	while ((e = readdir(d))) {
		if (e->d_type == DT_DIR && e->d_name[0] != '.')
			try_tree(dir, e->d_name, depth);
	}
}

static int try_tree(int parent, const char *name, unsigned depth)
{
	PF_AUTO_CLOSE int dir = -1;

	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY && errno != ENOTEMPTY)
		return -errno;
	if (depth == 0)
		return -ELOOP;
	dir = pf__cg_open_dir(parent, name);
	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	stop_group(dir);
	pf__cg_kill_pass(dir, ".");
	try_children(dir, depth - 1);
	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return -errno;
}

int pf__cg_tree_remove(const int *dirs, int count, const char *name, uint64_t deadline_ns)
{
	unsigned us = 100;

	for (;;) {
		int left = 0;

		for (int i = 0; i < count; i++)
			left += dirs[i] >= 0 && try_tree(dirs[i], name, DEPTH_MAX) < 0;
		if (left == 0 || pf_now_ns() >= deadline_ns)
			return left;
		pf__cg_pause(&us);
	}
}

/* The parent of one line's group, or -errno. The line comes from a file in the state directory:
 * it may name nothing but a group of ours on a cgroup file system. */
static int sweep_open(const char *line, size_t len, char name[NAME_MAX + 1])
{
	PF_AUTO_CLOSE int fd = -1;
	char path[PATH_MAX], *leaf;
	struct statfs fs;

	if (len == 0 || len >= sizeof(path) || line[0] != '/')
		return -EINVAL;
	memcpy(path, line, len);
	path[len] = '\0';
	leaf = strrchr(path, '/');
	*leaf++ = '\0';
	/* pinfold-host holds pinfold's own processes, of other sandboxes too; *.scope is systemd's. */
	if (!pf_has_prefix(leaf, "pinfold-") || strcmp(leaf, "pinfold-host") == 0 || strlen(leaf) > NAME_MAX)
		return -EINVAL;
	if (strlen(leaf) > 6 && strcmp(leaf + strlen(leaf) - 6, ".scope") == 0)
		return -EINVAL;
	fd = pf_openat2(AT_FDCWD, *path ? path : "/", O_PATH | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
	if (fd < 0)
		return fd;
	if (fstatfs(fd, &fs) < 0)
		return -errno;
	if (fs.f_type != CGROUP_SUPER_MAGIC && fs.f_type != CGROUP2_SUPER_MAGIC)
		return -EINVAL;
	strcpy(name, leaf);
	return pf_take_fd(&fd);
}

/* One attempt at every line: how many groups are left, and how many lines name none of ours. A group
 * in a place that is gone or unmounted is not counted: there is nothing to remove. */
static int sweep_once(const char *lines, int *refused)
{
	int left = 0;

	*refused = 0;
	while (*lines) {
		size_t n = strcspn(lines, "\n");
		char name[NAME_MAX + 1];
		PF_AUTO_CLOSE int fd = sweep_open(lines, n, name);

		if (fd >= 0)
			left += try_tree(fd, name, DEPTH_MAX) < 0;
		else
			*refused += n > 0 && fd != -ENOENT;
		lines += n;
		lines += *lines == '\n';
	}
	return left;
}

/* Killing in one hierarchy empties the others, so the lines are gone through together. */
int pf_cgroup_sweep(const char *lines)
{
	uint64_t deadline = pf_now_ns() + SWEEP_NS;
	unsigned us = 100;

	for (;;) {
		int refused, left = sweep_once(lines, &refused);

		if (left == 0 || pf_now_ns() >= deadline)
			return left + refused;
		pf__cg_pause(&us);
	}
}

/* Where pf_cgroup_create() may have made pinfold-ID: below the own group of each hierarchy, beside it (a
 * process that moved into the leaf pinfold-host), or below the mount's root (root on v2). */
static void foresee(struct pf__cg_host *host, const char *id, struct pf_buf *lines)
{
	char dir[PATH_MAX];
	unsigned i;

	for (i = 0; i < PF__CG_SLOTS; i++) {
		const struct pf__cg_slot *s = &host->slot[i];
		char *slash;

		if (!s->point || pf__cg_slot_dir(s, dir) < 0)
			continue;
		pf_buf_addf(lines, "%s/pinfold-%s\n%s/pinfold-%s\n", dir, id, s->point, id);
		slash = strrchr(dir, '/');
		if (slash && (size_t)(slash - dir) >= strlen(s->point)) /* still within the mount */
			pf_buf_addf(lines, "%.*s/pinfold-%s\n", (int)(slash - dir), dir, id);
	}
}

int pf_cgroup_sweep_id(const char *id)
{
	PF_AUTO_BUF struct pf_buf lines = {0};
	struct pf__cg_host host = {0};
	int left = 0;

	if (pf__cg_host_read(&host, NULL) == 0)
		foresee(&host, id, &lines);
	pf__cg_host_free(&host);
	if (lines.len && !lines.failed)
		left = pf_cgroup_sweep(lines.data);
	return left;
}
