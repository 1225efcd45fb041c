/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Create: everything that the host prepares, then one clone into all the namespaces, then the
 * ids, then init's socket. Whatever fails on the way is undone by pf__container_destroy().
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "linux/mount.h"
#include "linux/seccomp.h"
#include "linux/landlock.h"
#include "proto/frame.h"
#include "tier/container/container.h"

#define CLONE_NEWTIME_     0x00000080ull
#define CLONE_INTO_CGROUP_ 0x200000000ull
#define SAFE               (PF_MNT_NOSUID | PF_MNT_NODEV)

struct clone_args_ {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

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

/* --- what is shown ------------------------------------------------------------------ */

static int add_image(struct pf_sources *s, const struct pf_host_image *image, const char *breaks, struct pf_error *err)
{
	uint64_t attr = SAFE | (pf__broken(breaks, "readonly_root") ? 0 : PF_MNT_RDONLY);
	unsigned i;
	int r;

	for (i = 0; i < image->count; i++)
		if (image->entries[i].kind == PF_HOST_BIND &&
		    (r = pf__shown_add(s, PF_SRC_TREE, image->entries[i].path, image->entries[i].path, attr, err)) < 0)
			return r;
	if ((r = pf__shown_add(s, PF_SRC_TREE, image->etc, "/etc", attr, err)) < 0)
		return r;
	return pf__shown_add(s, PF_SRC_TREE, image->sys, "/sys", attr, err);
}

static int add_devices(struct pf_sources *s, struct pf_error *err)
{
	static const char *const names[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"};
	unsigned i;
	int r;

	for (i = 0; i < PF_ARRAY_SIZE(names); i++)
		if ((r = pf__shown_add(s, PF_SRC_DEVICE, names[i], names[i], PF_MNT_NOSUID | PF_MNT_NOEXEC, err)) < 0)
			return r;
	return 0;
}

static int add_policy_mounts(struct pf_sources *s, const struct pf_policy *p, struct pf_error *err)
{
	size_t i;
	int r;

	for (i = 0; i < p->tools.count; i++)
		if ((r = pf__shown_add(s, PF_SRC_TREE, p->tools.items[i], p->tools.items[i], SAFE | PF_MNT_RDONLY, err)) < 0)
			return r;
	for (i = 0; i < p->mount_count; i++)
		if ((r = pf__shown_add(s, PF_SRC_TREE, p->mounts[i].from, p->mounts[i].to, SAFE | PF_MNT_RDONLY, err)) < 0)
			return r;
	return 0;
}

static int add_program(struct pf_sources *s, const struct pf_dirs *dirs, struct pf_error *err)
{
	char path[600];
	int r;

	snprintf(path, sizeof(path), "%s/pinfold-init", dirs->libexec);
	r = pf__shown_add(s, PF_SRC_INIT, path, NULL, SAFE | PF_MNT_RDONLY, err);
	return r < 0 ? pf_wrap(err, "pinfold is not installed whole") : 0;
}

static int add_cgroups(struct pf_sources *s, struct pf_container *c, struct pf_error *err)
{
	const char *paths[PF_CG_HIERARCHIES];
	bool v2[PF_CG_HIERARCHIES];
	int i, r, n = pf_cgroup_exec_dirs(c->cgroup, paths, v2);

	for (i = 0; i < n; i++) {
		if ((r = pf__shown_add(s, PF_SRC_CGROUP, paths[i], NULL, SAFE | PF_MNT_NOEXEC, err)) < 0)
			return r;
		c->box.hello.cgroup_kind[i] = v2[i] ? PF_CGROUP_V2 : PF_CGROUP_V1;
	}
	c->box.hello.cgroup_count = (uint32_t)n;
	return 0;
}

/* Directories of --tools that hold programs, for PATH. A pyenv has its programs in shims. */
static char *tools_path(const struct pf_policy *p)
{
	static const char *const below[] = {"shims", "bin"};
	struct pf_buf b = {0};
	size_t i, j;

	for (i = 0; i < p->tools.count; i++) {
		size_t before = b.len;

		for (j = 0; j < PF_ARRAY_SIZE(below); j++) {
			PF_AUTO_FREE char *path = NULL;

			if (asprintf(&path, "%s/%s", p->tools.items[i], below[j]) > 0 && access(path, X_OK) == 0)
				pf_buf_addf(&b, "%s%s", b.len ? ":" : "", path);
		}
		if (b.len == before)
			pf_buf_addf(&b, "%s%s", b.len ? ":" : "", p->tools.items[i]);
	}
	return p->tools.count ? pf_buf_steal(&b) : NULL;
}

/* --- the clone ----------------------------------------------------------------------- */

static uint64_t namespaces(const char *breaks)
{
	static const struct {
		const char *name;
		uint64_t flag;
	} all[] = {{"userns", CLONE_NEWUSER}, {"mntns", CLONE_NEWNS},	 {"pidns", CLONE_NEWPID},    {"netns", CLONE_NEWNET},
		   {"ipcns", CLONE_NEWIPC},   {"utsns", CLONE_NEWUTS}, {"timens", CLONE_NEWTIME_}};
	uint64_t flags = 0;
	unsigned i;

	for (i = 0; i < PF_ARRAY_SIZE(all); i++)
		if (!pf__broken(breaks, all[i].name))
			flags |= all[i].flag;
	return flags;
}

/* clone3, with what the kernel has: time namespaces are of Linux 5.6 and may be compiled out. */
static pid_t clone_child(struct pf_container *c, const char *breaks, int *pidfd)
{
	struct clone_args_ args = {.flags = namespaces(breaks) | CLONE_PIDFD, .exit_signal = SIGCHLD};
	int cgroup = pf_cgroup_init_fd(c->cgroup);
	long pid;

	args.pidfd = (uint64_t)(uintptr_t)pidfd;
	if (cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP_;
		args.cgroup = (uint64_t)cgroup;
	}
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0 && errno == EINVAL && (args.flags & CLONE_NEWTIME_)) {
		args.flags &= ~CLONE_NEWTIME_;
		pid = syscall(SYS_clone3, &args, sizeof(args));
		if (pid > 0)
			c->box.receipt.namespaces_missing = "time";
	}
	return (pid_t)pid;
}

static int clone_failed(struct pf_error *err)
{
	int code = -errno;

	if (code == -EPERM || code == -EACCES)
		return pf_fail(err, -ENOTSUP,
			       "this host refuses new namespaces to this user: `pinfold doctor` tells what would mend it");
	if (code == -ENOSPC)
		return pf_fail(err, -ENOTSUP, "no more user namespaces: raise /proc/sys/user/max_user_namespaces");
	errno = -code;
	return pf_fail_errno(err, "cannot clone into new namespaces");
}

static int open_ns(pid_t pid, const char *which)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, which);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int let_go(struct pf_container *c, const struct pf_child_args *args, struct pf_error *err)
{
	int r;

	if (args->self_map)
		return 0;
	if ((r = pf__identity_write(&c->who, c->init_pid, err)) < 0)
		return r;
	return write(c->sync, "m", 1) == 1 ? 0 : pf_fail(err, -EPIPE, "the sandbox's first process died at once");
}

int pf__container_settle(struct pf_box *b, struct pf_error *err)
{
	struct pf_container *c = (struct pf_container *)b;
	struct pf_handoff hand;
	int r = pf__handoff_receive(c->sync, &hand, err);

	if (r < 0)
		return r;
	close(pf_take_fd(&c->sync));
	c->temp_fd = hand.temp_fd;
	if (hand.scratch_fd >= 0)
		c->ws.scratch_fd = hand.scratch_fd;
	if (c->ws.mode == PF_WS_COW && !c->who.host_root) {
		c->userns_fd = open_ns(c->init_pid, "user");
		c->mntns_fd = open_ns(c->init_pid, "mnt");
	}
	return 0;
}

/* --- limits -------------------------------------------------------------------------- */

static void note_unenforced(struct pf_receipt *r, enum pf_limit limit, const char *why)
{
	if (r->unenforced_count == PF_ARRAY_SIZE(r->unenforced))
		return;
	r->unenforced[r->unenforced_count].limit = pf_limit_name(limit);
	r->unenforced[r->unenforced_count++].why = strdup(why);
}

/* What is held, what is not, and whether that is enough: a limit that the user wrote or required is required. */
static int settle_limits(struct pf_container *c, const struct pf_policy *p, struct pf_error *err)
{
	static const struct {
		enum pf_limit limit;
		unsigned group;
	} by_group[] = {{PF_LIMIT_MEMORY, PF_CG_MEMORY}, {PF_LIMIT_PROCESSES, PF_CG_PIDS}, {PF_LIMIT_CPUS, PF_CG_CPU}};
	uint32_t need = p->limits.written | (p->require & PF_LIMIT_ALL) | (p->require & PF_REQUIRE_LIMITS ? PF_LIMIT_ALL : 0);
	struct pf_box *b = &c->box;
	const char *why = pf_cgroup_why(c->cgroup);
	unsigned i;

	b->held = PF_LIMIT_WALL | PF_LIMIT_IDLE | PF_LIMIT_OUTPUT | PF_LIMIT_OPEN_FILES | PF_LIMIT_DISK;
	for (i = 0; i < PF_ARRAY_SIZE(by_group); i++)
		if (pf_cgroup_held(c->cgroup) & by_group[i].group)
			b->held |= by_group[i].limit;
	if (!(b->held & PF_LIMIT_PROCESSES) && !c->who.host_root)
		b->held |= PF_LIMIT_PROCESSES; /* RLIMIT_NPROC counts per user namespace */
	if (c->ws.upper_on_disk)
		b->held &= ~(uint32_t)PF_LIMIT_DISK;
	if (!p->limits.cpu_milli)
		b->held |= PF_LIMIT_CPUS; /* none was asked for */
	for (i = 0; i < 8; i++) {
		enum pf_limit one = (enum pf_limit)(1u << i);
		const char *reason = one == PF_LIMIT_DISK ? "the workspace's upper is a directory on disk, only looked at" : why;

		if (b->held & one)
			continue;
		if (need & one)
			return pf_fail(err, -EPERM, "the limit '%s' cannot be held on this host: %s", pf_limit_name(one), reason);
		note_unenforced(&b->receipt, one, reason);
	}
	if ((p->require & PF_REQUIRE_CGROUP) && !pf_cgroup_active(c->cgroup))
		return pf_fail(err, -EPERM, "a cgroup was required and this host gives none: %s", why);
	if ((p->require & PF_REQUIRE_INIT_UID) && c->who.shared)
		return pf_fail(err, -EPERM, "a user id of its own for init was required: give this user sub-ids in /etc/subuid");
	if ((p->require & PF_REQUIRE_LANDLOCK) && pf_landlock_abi() == 0)
		return pf_fail(err, -EPERM, "Landlock was required and this kernel has none");
	return 0;
}

static int make_cgroup(struct pf_container *c, const struct pf_policy *p, struct pf_error *err)
{
	struct pf_cg_limits limits = {.memory_bytes = p->limits.memory,
				      .processes = p->limits.processes,
				      .cpu_milli = p->limits.cpu_milli};
	int r = pf_cgroup_create(c->id, &limits, c->who.host_init, c->who.host_init, &c->cgroup, err);

	if (r < 0)
		return r;
	c->box.receipt.limits_by = pf_cgroup_means(c->cgroup);
	return settle_limits(c, p, err);
}

/* --- hello ---------------------------------------------------------------------------- */

static void add_rule(struct pf_msg_hello *h, uint32_t access, const char *path)
{
	h->rules[h->rule_count].access = access;
	h->rules[h->rule_count++].path = strdup(path);
}

static void write_hello(struct pf_container *c, const struct pf_box_spec *spec)
{
	static char *read_only[] = {(char *)(uintptr_t) "/", (char *)(uintptr_t) "/usr", (char *)(uintptr_t) "/etc",
				    (char *)(uintptr_t) "/sys", (char *)(uintptr_t) "/proc/sys", NULL};
	static const char *const writable[] = {"/tmp", "/var/tmp", "/run", "/dev/shm"};
	struct pf_msg_hello *h = &c->box.hello;
	unsigned i;

	h->version_min = PF_PROTO_MIN;
	h->version_max = PF_PROTO_MAX;
	h->root = PF_ROOT_READY;
	h->init_uid = h->init_gid = c->who.init;
	h->keep_caps = spec->policy->capabilities;
	add_rule(h, PF_LL_READ, "/");
	add_rule(h, PF_LL_DEVICE, "/dev");
	add_rule(h, PF_LL_WRITE, "/proc"); /* a process may write its own entries; what is the host's is read-only there */
	for (i = 0; i < PF_ARRAY_SIZE(writable); i++)
		add_rule(h, PF_LL_WRITE, writable[i]);
	add_rule(h, PF_LL_WRITE, c->box.home);
	if (c->ws.mode == PF_WS_COW)
		add_rule(h, PF_LL_WRITE, c->ws.at);
	h->readonly = (struct pf_strs){5, read_only};
	h->canary = strdup(spec->dirs->runtime);
	h->breaks = strdup(spec->breaks);
	c->box.command_uid = c->box.command_gid = c->who.user;
}

static void write_receipt(struct pf_container *c, const struct pf_box_spec *spec)
{
	struct pf_receipt *r = &c->box.receipt;
	struct utsname u;
	size_t i;

	r->tier = "container";
	r->init_uid = c->who.shared ? "shared" : "separate";
	r->landlock_abi = pf_landlock_abi();
	if (uname(&u) == 0 && asprintf(&r->kernel, "%s %s", u.sysname, u.release) < 0)
		r->kernel = NULL;
	pf_filter_digest(c->box.hello.filter_options, r->filter);
	r->filter_source = "as given";
	pf_policy_digest(spec->policy, r->policy);
	r->foreign_owned = c->ws.foreign_owned;
	r->unprotected = c->ws.unprotected;
	c->ws.unprotected = (struct pf_list){0};
	for (i = 0; i < r->unprotected.count; i++) {
		char *with;

		if (asprintf(&with, "secrets: %s", r->unprotected.items[i]) < 0)
			continue;
		free(r->unprotected.items[i]);
		r->unprotected.items[i] = with;
	}
}

/* --- create --------------------------------------------------------------------------- */

static struct pf_container *new_container(const struct pf_box_spec *spec)
{
	struct pf_container *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->box.tier = &pf_tier_container;
	c->box.sock = c->init_pidfd = c->userns_fd = c->mntns_fd = c->temp_fd = c->sync = -1;
	c->ws = (struct pf_workspace_plan){.fd = -1, .scratch_fd = -1, .overlay_fd = -1};
	c->id = strdup(spec->id);
	c->protect = spec->policy->protect; /* borrowed: the sandbox keeps its policy for as long as its box */
	c->box.user = spec->policy->user_root ? "root" : "user";
	c->box.home = spec->policy->user_root ? "/root" : "/home/user";
	return c;
}

static int prepare(struct pf_container *c, const struct pf_box_spec *spec, struct pf_host_image *image,
		   struct pf_sources *sources, struct pf_error *err)
{
	const struct pf_policy *p = spec->policy;
	int r;

	if (p->root_cow)
		return pf_fail(err, -ENOTSUP, "\"root\": \"cow\" needs an image of its own; the host image is read-only");
	if ((r = pf__identity_decide(p, c->id, &c->who, err)) < 0 ||
	    (r = pf__workspace_plan(spec, &c->who, &c->ws, err)) < 0 || (r = make_cgroup(c, p, err)) < 0 ||
	    (r = pf_host_image_get(spec->dirs->state, image, err)) < 0)
		return r;
	if ((r = add_image(sources, image, spec->breaks, err)) < 0 || (r = add_devices(sources, err)) < 0 ||
	    (r = add_policy_mounts(sources, p, err)) < 0 || (r = add_program(sources, spec->dirs, err)) < 0 ||
	    (r = add_cgroups(sources, c, err)) < 0)
		return r;
	if (c->who.host_root && (r = pf__shown_open(sources, err)) < 0)
		return r;
	if (c->who.host_root && c->ws.mode != PF_WS_NONE && (r = pf__workspace_mount_root(&c->ws, &c->who, err)) < 0)
		return r;
	if (c->ws.at && !(c->box.workspace_at = strdup(c->ws.at)))
		return pf_fail(err, -ENOMEM, "out of memory");
	c->box.tools_path = tools_path(p);
	return 0;
}

static int launch(struct pf_container *c, const struct pf_box_spec *spec, struct pf_host_image *image,
		  struct pf_sources *sources, struct pf_error *err)
{
	PF_AUTO_CLOSE int child_sock = -1, child_sync = -1;
	struct pf_child_args args = {.spec = spec, .who = &c->who, .ws = &c->ws, .image = image, .sources = sources};
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
	args.self_map = !c->who.host_root && !c->who.helpers;
	args.temp_bytes = spec->policy->limits.memory / 2 - (c->ws.mode == PF_WS_COW && !c->ws.upper_on_disk ? c->ws.disk : 0);
	if (args.temp_bytes < PF_TEMP_MIN / 16)
		args.temp_bytes = PF_TEMP_MIN / 16;
	c->init_pid = clone_child(c, spec->breaks, &c->init_pidfd);
	if (c->init_pid < 0)
		return clone_failed(err);
	if (c->init_pid == 0)
		pf__child_main(&args);
	close(pf_take_fd(&child_sync));
	close(pf_take_fd(&child_sock));
	return let_go(c, &args, err);
}

int pf__container_create(const struct pf_box_spec *spec, struct pf_box **out, struct pf_error *err)
{
	struct pf_container *c = new_container(spec);
	struct pf_sources sources = {.count = 0};
	struct pf_host_image image;
	int r;

	if (!c || !c->id) {
		pf__container_destroy(&c->box);
		return pf_fail(err, -ENOMEM, "out of memory");
	}
	r = prepare(c, spec, &image, &sources, err);
	if (r == 0)
		r = launch(c, spec, &image, &sources, err);
	pf__shown_close(&sources);
	if (r < 0) {
		pf__container_destroy(&c->box);
		return r;
	}
	write_hello(c, spec);
	write_receipt(c, spec);
	*out = &c->box;
	return 0;
}
