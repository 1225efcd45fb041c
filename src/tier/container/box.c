/* SPDX-License-Identifier: Apache-2.0 */
/* A live container: its execs, what it uses, its end. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "tier/container/container.h"

static struct pf_container *of(struct pf_box *b)
{
	return (struct pf_container *)b;
}

static int exec_create(struct pf_box *b, uint32_t exec, struct pf_error *err)
{
	return pf_cgroup_active(of(b)->cgroup) ? pf_cgroup_exec_create(of(b)->cgroup, exec, err) : 0;
}

static void exec_kill(struct pf_box *b, uint32_t exec)
{
	if (pf_cgroup_active(of(b)->cgroup))
		pf_cgroup_exec_kill(of(b)->cgroup, exec);
}

static bool exec_separate(const struct pf_box *b)
{
	return pf_cgroup_active(((const struct pf_container *)b)->cgroup);
}

static void exec_remove(struct pf_box *b, uint32_t exec)
{
	if (pf_cgroup_active(of(b)->cgroup))
		pf_cgroup_exec_remove(of(b)->cgroup, exec);
}

/* No free block or no free inode: whoever wrote there met the limit. */
static bool is_full(int fd, uint64_t slack)
{
	struct statvfs v;

	return fd >= 0 && fstatvfs(fd, &v) == 0 &&
	       ((v.f_blocks && (uint64_t)v.f_bavail * v.f_frsize <= slack) || (v.f_files && v.f_ffree == 0));
}

/* ext4 refuses a write as a whole when the pages that it takes at once (large folios, up to 2 MiB) do not
 * fit. */
#define IMAGE_SLACK (2u << 20)

static bool full(const struct pf_box *b)
{
	const struct pf_container *c = (const struct pf_container *)b;

	return (!c->ws.upper_on_disk && is_full(c->ws.scratch_fd, c->ws.upper_on_image ? IMAGE_SLACK : 0)) ||
	       is_full(c->temp_fd, 0) || (c->image.bytes && is_full(c->image.stage_fd, 0));
}

static void events(struct pf_box *b, uint32_t exec, struct pf_box_events *out)
{
	struct pf_container *c = of(b);
	struct pf_cg_events e = {-1, -1, -1, -1};

	if (pf_cgroup_active(c->cgroup))
		pf_cgroup_events(c->cgroup, exec, &e);
	/* kernels differ in which group they count: the larger word is the true one */
	out->oom = e.exec_oom_kill > e.box_oom_kill ? e.exec_oom_kill : e.box_oom_kill;
	out->pids = e.exec_pids_max > e.box_pids_max ? e.exec_pids_max : e.box_pids_max;
	out->disk = full(b);
}

static void usage(struct pf_box *b, uint32_t exec, struct pf_box_usage *out)
{
	struct pf_cg_usage u = {-1, -1, -1};

	*out = (struct pf_box_usage){-1, -1, -1, NULL};
	if (!pf_cgroup_active(of(b)->cgroup))
		return;
	pf_cgroup_usage(of(b)->cgroup, exec, &u);
	out->cpu_ms = u.cpu_us < 0 ? -1 : (u.cpu_us + 500) / 1000;
	out->peak_memory = u.peak_memory;
	out->processes_peak = u.peak_processes;
	out->source = "cgroup";
}

static int helper(struct pf_box *b, struct pf_helper_groups *groups, uid_t *uid, gid_t *gid,
		  struct pf_error *err)
{
	int r = pf_cgroup_helper(of(b)->cgroup, groups, err);

	if (r == 0)
		*uid = *gid = of(b)->who.host_helper;
	return r;
}

static int freeze(struct pf_box *b, bool frozen, struct pf_error *err)
{
	int r = pf_cgroup_active(of(b)->cgroup) ? pf_cgroup_freeze(of(b)->cgroup, frozen) : -EOPNOTSUPP;

	return r < 0 ? pf_fail(err, r, "this sandbox cannot be paused: no cgroup freezer") : 0;
}

/* init is PID 1 of its namespace: with it the kernel kills everything inside (pid_namespaces(7)). */
static void doom(struct pf_box *b)
{
	if (of(b)->init_pid > 0)
		kill(of(b)->init_pid, SIGKILL);
}

void pf__container_stop(struct pf_box *b)
{
	struct pf_container *c = of(b);

	doom(b);
	pf__workspace_end_scan(&c->ws); /* while the kernel takes it down */
	pf_cgroup_thaw_killed(
		c->cgroup); /* init's end waits for everybody's, and a frozen v1 task has none */
	if (c->init_pid > 0) {
		while (waitpid(c->init_pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	c->init_pid = 0;
	c->stopped = true;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void free_hello(struct pf_msg_hello *h)
{
	uint32_t i;

	for (i = 0; i < h->rule_count; i++)
		free(h->rules[i].path);
	free(h->canary);
	free(h->breaks);
}

void pf__container_destroy(struct pf_box *b)
{
	struct pf_container *c = of(b);

	if (!b)
		return;
	pf__container_stop(b);
	pf_cgroup_destroy(c->cgroup);
	pf__shown_close(&c->groups);
	close_fd(&b->sock);
	close_fd(&c->init_pidfd);
	close_fd(&c->userns_fd);
	close_fd(&c->temp_fd);
	close_fd(&c->sync);
	close_fd(&c->image_lock);
	pf__image_root_free(&c->image);
	pf_view_free(&c->view);
	pf_list_free(&c->view_trees);
	pf_list_free(&b->may_exec);
	close_fd(&c->who.lock);
	pf__workspace_remove_scratch(&c->ws);
	if (c->ws.upper_on_image)
		pf__upper_release(&c->ws.scratch_fd);
	pf__workspace_free(&c->ws);
	free_hello(&b->hello);
	pf_receipt_free(&b->receipt);
	free(b->workspace_at);
	free(b->tools_path);
	free(c->id);
	free(b->command);
	free(c);
}

static void describe(const struct pf_box *b, struct pf_buf *lines)
{
	const struct pf_container *c = (const struct pf_container *)b;
	struct pf_buf groups = {0};
	char *line, *save = NULL;

	if (c->cgroup)
		pf_cgroup_describe(c->cgroup, &groups);
	if (groups.data)
		for (line = strtok_r(groups.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
			pf_buf_addf(lines, "cgroup %s\n", line);
	pf_buf_free(&groups);
	if (c->ws.upper_on_disk)
		pf_buf_addf(lines, "scratch %s\n", c->ws.scratch_path);
}

const struct pf_tier pf_tier_container = {
	.name = "container",
	.probe = pf__container_probe,
	.create = pf__container_create,
	.settle = pf__container_settle,
	.exec_create = exec_create,
	.inspect = pf__container_inspect,
	.exec_kill = exec_kill,
	.exec_separate = exec_separate,
	.exec_remove = exec_remove,
	.events = events,
	.usage = usage,
	.helper = helper,
	.freeze = freeze,
	.doom = doom,
	.stop = pf__container_stop,
	.collect = pf__container_collect,
	.look = pf__container_look,
	.confirm = pf__container_confirm,
	.begin = pf__container_begin,
	.renew = pf__container_renew,
	.full = full,
	.destroy = pf__container_destroy,
	.describe = describe,
	.refused = pf__container_refused,
	.programs = pf__container_programs,
};
