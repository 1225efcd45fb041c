/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Create: everything that the host prepares, then one clone into all the namespaces, then the
 * ids, then init's socket. Whatever fails on the way is undone by pf__container_destroy().
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "linux/clone.h"
#include "linux/mount.h"
#include "tier/container/container.h"

#define CLONE_NEWTIME_ 0x00000080ull
#define SAFE	       (PF_MNT_NOSUID | PF_MNT_NODEV)

#ifdef PF_BREAK_BUILD
bool pf__broken(const char *breaks, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = breaks; p && *p; p += strcspn(p, ","), p += *p == ',')
		if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == '\0'))
			return true;
	return false;
}
#endif

/* The groups and copies of their execs directories. */
static int add_cgroups(struct pf_sources *s, struct pf_container *c, const struct pf_policy *p,
		       struct pf_error *err)
{
	const char *paths[PF_CG_HIERARCHIES];
	bool v2[PF_CG_HIERARCHIES];
	int i, r = pf__limits_make(c, p, err), n;

	if (r < 0)
		return r;
	n = pf_cgroup_exec_dirs(c->cgroup, paths, v2);
	for (i = 0; i < n; i++) {
		if ((r = pf__shown_add(s, PF_SRC_CGROUP, paths[i], NULL, SAFE | PF_MNT_NOEXEC, err)) < 0)
			return r;
		c->box.hello.cgroup_kind[i] = v2[i] ? PF_CGROUP_V2 : PF_CGROUP_V1;
	}
	c->box.hello.cgroup_count = (uint32_t)n;
	return 0;
}

/* --- the clone ----------------------------------------------------------------------- */

static uint64_t namespaces(const char *breaks)
{
	static const struct {
		const char *name;
		uint64_t flag;
	} all[] = {{"userns", CLONE_NEWUSER}, {"pidns", CLONE_NEWPID}, {"netns", CLONE_NEWNET},
		   {"ipcns", CLONE_NEWIPC},   {"utsns", CLONE_NEWUTS}, {"timens", CLONE_NEWTIME_}};
	uint64_t flags = CLONE_NEWNS; /* never off: the root that is pivoted would be the host's */
	unsigned i;

	for (i = 0; i < PF_ARRAY_SIZE(all); i++)
		if (!pf__broken(breaks, all[i].name))
			flags |= all[i].flag;
	return flags;
}

/* clone3, with what the kernel has: time namespaces are of Linux 5.6 and may be compiled out. */
static pid_t clone_child(struct pf_container *c, const char *breaks, int *pidfd)
{
	int cgroup = pf_cgroup_init_fd(c->cgroup);
	uint64_t flags = namespaces(breaks);
	pid_t pid = pf_clone3(flags, cgroup, pidfd);

	if (pid < 0 && errno == EINVAL && (flags & CLONE_NEWTIME_)) {
		pid = pf_clone3(flags & ~(uint64_t)CLONE_NEWTIME_, cgroup, pidfd);
		if (pid > 0)
			c->box.receipt.namespaces_missing = "time";
	}
	return pid;
}

static int clone_failed(struct pf_error *err)
{
	int code = -errno;

	if (code == -EPERM || code == -EACCES)
		return pf_fail(err, -ENOTSUP,
			       "this host refuses new namespaces to this user: `pinfold doctor` tells what "
			       "would mend it");
	if (code == -ENOSPC)
		return pf_fail(err, -ENOTSUP,
			       "no more user namespaces: raise /proc/sys/user/max_user_namespaces");
	errno = -code;
	return pf_fail_errno(err, "cannot clone into new namespaces");
}

static int let_go(struct pf_container *c, const struct pf_child_args *args, struct pf_error *err)
{
	int r;

	if (args->self_map)
		return 0;
	if ((r = pf__identity_write(&c->who, c->init_pid, err)) < 0)
		return r;
	return write(c->sync, "m", 1) == 1 ? 0
					   : pf_fail(err, -EPIPE, "the sandbox's first process died at once");
}

static int give_groups(struct pf_container *c, const struct pf_policy *p, struct pf_error *err)
{
	int fds[PF_CG_HIERARCHIES], r;
	unsigned i;

	if ((r = add_cgroups(&c->groups, c, p, err)) < 0 || (r = pf__shown_open(&c->groups, err)) < 0)
		return r;
	for (i = 0; i < c->groups.count; i++)
		fds[i] = c->groups.item[i].fd;
	r = pf__handoff_give(c->sync, "c", 1, fds, c->groups.count, err);
	pf__shown_close(&c->groups);
	return r;
}

/* The kernel's word for it is all that the child has; which part of the host refuses it is for who can look
 * further. */
static int tell_doctor(int r, struct pf_error *err)
{
	struct pf_error said;

	if ((r != -EPERM && r != -EACCES) || !err || strstr(err->msg, "pinfold doctor"))
		return r;
	said = *err;
	return pf_fail(err, r, "%.400s (`pinfold doctor` tells what this host refuses)", said.msg);
}

int pf__container_settle(struct pf_box *b, struct pf_error *err)
{
	struct pf_container *c = (struct pf_container *)b;
	struct pollfd done = {.fd = c->sync, .events = POLLIN};
	struct pf_handoff hand;
	int r;

	while (!pf__container_look(b) && poll(&done, 1, 0) == 0)
		;
	r = pf__handoff_receive(c->sync, &hand, err);
	if (r < 0)
		return tell_doctor(r, err);
	close(pf_take_fd(&c->sync));
	c->temp_fd = hand.temp_fd;
	if (hand.scratch_fd >= 0)
		c->ws.scratch_fd = hand.scratch_fd;
	if (hand.stage_fd >= 0)
		c->image.stage_fd = hand.stage_fd;
	return 0;
}

/* While it lives its /etc is in use: who makes a newer copy leaves one alone that is locked (image/host.h).
 */
static int hold_image(struct pf_container *c, const struct pf_host_image *image, struct pf_error *err)
{
	c->image_lock = open(image->etc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->image_lock < 0 || flock(c->image_lock, LOCK_SH | LOCK_NB) < 0)
		return pf_fail_errno(err, "cannot hold %s", image->etc);
	return 0;
}

/* --- create --------------------------------------------------------------------------- */

/* Test builds, as root: the host's own ids; init with the command's. */
static void break_identity(const char *breaks, struct pf_identity *who)
{
	if (pf__broken(breaks, "userns")) {
		who->uid_base = 0;
		who->uid_count = who->gid_count = 0;
		who->host_init = who->init;
		who->host_user = who->user;
		who->host_group = who->group;
	}
	if (pf__broken(breaks, "init_uid")) {
		who->shared = true;
		who->init = who->user;
		who->host_init = who->host_user;
	}
}

static struct pf_container *new_container(const struct pf_box_spec *spec)
{
	struct pf_container *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->box.tier = &pf_tier_container;
	c->box.sock = c->init_pidfd = c->userns_fd = c->temp_fd = c->sync = c->image_lock = c->who.lock = -1;
	c->ws = (struct pf_workspace_plan){.fd = -1, .scratch_fd = -1, .overlay_fd = -1};
	c->image = PF_IMAGE_ROOT_NONE;
	c->view = PF_VIEW_NONE;
	c->id = strdup(spec->id);
	c->protect =
		spec->policy->protect; /* borrowed: the sandbox keeps its policy for as long as its box */
	c->box.user = spec->policy->user_root ? "root" : "user";
	c->box.home = spec->policy->user_root ? "/root" : "/home/user";
	return c;
}

/* An image is looked at before anything else: it says who the command is. */
static int plan_image(struct pf_container *c, const struct pf_box_spec *spec, struct pf_error *err)
{
	int r;

	if (!spec->image)
		return 0;
	if ((r = pf__image_open(spec, geteuid() == 0, &c->image, err)) < 0 ||
	    (r = pf__image_account(spec, &c->image, err)) < 0)
		return r;
	c->box.user = c->image.account.name;
	c->box.home = c->image.account.home;
	return 0;
}

/* Ids and the workspace: what must be known before anything is made. */
static int plan(struct pf_container *c, const struct pf_box_spec *spec, struct pf_error *err)
{
	const struct pf_policy *p = spec->policy;
	int r;

	if (p->root_cow && !spec->image)
		return pf_fail(err, -ENOTSUP,
			       "\"root\": \"cow\" needs an image of its own; the host image is read-only");
	if ((r = plan_image(c, spec, err)) < 0 ||
	    (r = pf__identity_decide(p, spec->image ? &c->image.account : NULL, c->id, spec->dirs->runtime,
				     &c->who, err)) < 0)
		return r;
	break_identity(spec->breaks, &c->who);
	if ((r = pf__workspace_plan(spec, &c->who, &c->ws, err)) < 0)
		return r;
	if (c->ws.at && !(c->box.workspace_at = strdup(c->ws.at)))
		return pf_fail(err, -ENOMEM, "out of memory");
	c->box.workspace_fd = c->ws.at ? c->ws.fd : -1;
	c->box.hidden = c->ws.at ? &c->ws.masks : NULL;
	/* as root the host makes the layers, while the child makes itself ready for them */
	if (spec->image && !c->who.host_root && (r = pf__skeleton_plan(spec, c->ws.at, &c->image, err)) < 0)
		return r;
	c->box.tools_path = pf__tools_path(p);
	if ((r = pf__view_plan(c, spec, err)) < 0)
		return r;
	/* v2: the child is cloned into its group. v1: each group is some tens of microseconds that pass while
	 * the child works. */
	c->late_groups = c->who.host_root &&
			 !pf_cgroup_wants_v2(&(struct pf_cg_limits){.cpu_milli = p->limits.cpu_milli});
	return 0;
}

/* What is shown. As root all of it is made here, while the child already builds; as a user the child opens
 * it. */
static int show(struct pf_container *c, const struct pf_box_spec *spec, struct pf_sources *sources,
		struct pf_error *err)
{
	struct pf_host_image image;
	int r;

	if ((r = pf_host_image_get(spec->dirs->state, &image, err)) < 0 ||
	    (r = hold_image(c, &image, err)) < 0 || (r = pf__show_all(c, sources, spec, &image, err)) < 0)
		return r;
	if (!c->who.host_root)
		return spec->image ? pf__shown_add(sources, PF_SRC_ROOT, c->image.path, NULL,
						   PF_MNT_RDONLY | pf__safe(spec->breaks), err)
				   : 0;
	if ((r = pf__shown_open(sources, err)) < 0)
		return r;
	if (c->ws.mode == PF_WS_NONE)
		return 0;
	if ((r = pf__workspace_mount_root(&c->ws, &c->who, err)) < 0)
		return r;
	return pf__shown_add_fd(sources, pf_take_fd(&c->ws.overlay_fd), c->ws.at, err);
}

/* The root of an image, by itself and first: the child waits for nothing else. */
static int give_image(struct pf_container *c, const struct pf_box_spec *spec, struct pf_error *err)
{
	struct pf_sources first = {.count = 0};
	int r = pf__skeleton_plan(spec, c->ws.at, &c->image, err);

	if (r == 0)
		r = pf__layers_host(spec, &c->who, c->init_pid, &c->image, &first, c->box.home, err);
	if (r == 0)
		r = pf__shown_send(c->sync, &first, err);
	pf__shown_close(&first);
	return r;
}

/* The child is gone while something was given to it: why, it has said itself. */
static int what_child_says(struct pf_container *c, int r, struct pf_error *err)
{
	struct pf_handoff hand;
	int said = r == -EPIPE || r == -ECONNRESET ? pf__handoff_receive(c->sync, &hand, err) : r;

	return said < 0 ? said : r;
}

/* The host's part after the clone. */
static int support(struct pf_container *c, const struct pf_box_spec *spec, const struct pf_child_args *args,
		   struct pf_sources *sources, struct pf_error *err)
{
	int r = let_go(c, args, err);

	if (r < 0 || !c->who.host_root)
		return r;
	if (spec->image && (r = give_image(c, spec, err)) < 0)
		return r;
	if ((r = show(c, spec, sources, err)) < 0)
		return r;
	r = pf__shown_send(c->sync, sources, err);
	if (r == 0 && c->late_groups)
		r = give_groups(c, spec->policy, err);
	if (r < 0)
		return what_child_says(c, r, err);
	/* what is left to us is little: on a busy machine the child may want this CPU */
	pf_cpus_anywhere(&args->cpus, c->init_pid);
	return 0;
}

static int launch(struct pf_container *c, const struct pf_box_spec *spec, struct pf_sources *sources,
		  struct pf_error *err)
{
	PF_AUTO_CLOSE int child_sock = -1, child_sync = -1;
	struct pf_child_args args = {
		.spec = spec, .who = &c->who, .ws = &c->ws, .image = &c->image, .sources = sources};
	int sock[2], sync[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) < 0)
		return pf_fail_errno(err, "cannot make a socket pair");
	c->box.sock = sock[0];
	child_sock = sock[1];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sync) < 0)
		return pf_fail_errno(err, "cannot make a socket pair");
	c->sync = sync[0];
	child_sync = sync[1];
	args.sock = child_sock;
	args.sync = child_sync;
	args.home = c->box.home;
	args.approved = c->box.approved;
	args.late_groups = c->late_groups;
	args.self_map = !c->who.host_root && !c->who.helpers;
	args.temp_bytes = spec->policy->limits.memory / 2 - pf__workspace_in_memory(&c->ws);
	if (args.temp_bytes < PF_TEMP_MIN / 16)
		args.temp_bytes = PF_TEMP_MIN / 16;
	pf__image_share(&c->image, &args.temp_bytes);
	pf_cpus_get(&args.cpus);
	c->init_pid = clone_child(c, spec->breaks, &c->init_pidfd);
	if (c->init_pid < 0)
		return clone_failed(err);
	if (c->init_pid == 0) {
		/* or it would wait for a host that was killed for ever: it would hold the other ends itself,
		 * and the lock */
		close(c->sync);
		close(c->box.sock);
		pf__child_main(&args);
	}
	if (c->who.host_root) /* as a user all was done before */
		pf_cpus_apart(&args.cpus, c->init_pid);
	close(pf_take_fd(&child_sync));
	close(pf_take_fd(&child_sock));
	return support(c, spec, &args, sources, err);
}

static int create(const struct pf_box_spec *spec, bool again, struct pf_box **out, struct pf_error *err)
{
	struct pf_container *c = new_container(spec);
	struct pf_sources sources = {.count = 0};
	int r;

	if (!c || !c->id) {
		pf__container_destroy(&c->box);
		return pf_fail(err, -ENOMEM, "out of memory");
	}
	r = plan(c, spec, err);
	if (r == 0 && !c->late_groups)
		r = add_cgroups(&sources, c, spec->policy, err);
	if (r == 0 && !c->who.host_root)
		r = show(c, spec, &sources, err);
	if (r == 0)
		r = launch(c, spec, &sources, err);
	pf__shown_close(&sources);
	if (r < 0) {
		/* what was to be hidden may have been as an outdated index had it */
		again = again && pf__workspace_confirm(&c->ws, spec->breaks, NULL) > 0;
		pf__container_destroy(&c->box);
		return again ? create(spec, false, out, err) : r;
	}
	pf__namespaces_own(c->host_ns);
	pf__greet_hello(c, spec);
	pf__greet_receipt(c, spec);
	*out = &c->box;
	return 0;
}

int pf__container_create(const struct pf_box_spec *spec, struct pf_box **out, struct pf_error *err)
{
	return create(spec, true, out, err);
}
