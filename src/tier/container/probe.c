/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this host can do, proved by doing it: a child makes the namespaces and in them mounts a
 * tmpfs, a procfs and an overlay and pivots. A file that exists proves nothing (Ubuntu's AppArmor lets a
 * user namespace be made and then refuses every mount in it).
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "linux/cgroup.h"
#include "linux/landlock.h"
#include "linux/mount.h"
#include "linux/seccomp.h"
#include "tier/container/container.h"

enum step { STEP_CLONE, STEP_MAP, STEP_MOUNT, STEP_PROC, STEP_OVERLAY, STEP_PIVOT, STEP_SECCOMP, STEP_COUNT };
static const char *const step_names[STEP_COUNT] = {"namespaces", "id_maps",    "mount",	 "proc",
						   "overlay",	 "pivot_root", "seccomp"};

struct report {
	int code[STEP_COUNT]; /* 0 ok, negative errno, 1 not reached */
	char text[STEP_COUNT][160];
};

static bool file_says(const char *path, char value)
{
	PF_AUTO_BUF struct pf_buf b = {0};

	return pf_read_file(AT_FDCWD, path, &b, 64) == 0 && b.data && b.data[0] == value;
}

static void note(struct report *r, enum step s, int code, const struct pf_error *e)
{
	r->code[s] = code;
	snprintf(r->text[s], sizeof(r->text[s]), "%.150s", code < 0 ? e->msg : "");
}

static int try_overlay(int root, bool user, struct pf_error *e)
{
	static const char *const names[] = {"l1", "l2"};
	char lower[96];
	const char *options[] = {lower, user ? "userxattr" : NULL, NULL};
	unsigned i;

	for (i = 0; i < PF_ARRAY_SIZE(names); i++)
		mkdirat(root, names[i], 0755);
	snprintf(lower, sizeof(lower), "lowerdir=/proc/self/fd/%d/l1:/proc/self/fd/%d/l2", root, root);
	return pf_mount_new("overlay", options, 0, e);
}

static void probe_child(const struct pf_identity *who, struct report *r)
{
	struct pf_error e = {0};
	int root, fd;

	if (setresgid(who->user, who->user, who->user) < 0 ||
	    setresuid(who->user, who->user, who->user) < 0) {
		note(r, STEP_MAP, pf_fail_errno(&e, "cannot take an id of the new namespace"), &e);
		return;
	}
	note(r, STEP_MAP, 0, &e);
	root = pf_mount_private(&e);
	if (root == 0)
		root = pf_mount_new("tmpfs", NULL, 0, &e);
	if (root >= 0 && pf_mount_attach(root, AT_FDCWD, "/", &e) < 0)
		root = e.code;
	note(r, STEP_MOUNT, root < 0 ? root : 0, &e);
	if (root < 0)
		return;
	fd = pf_mount_new("proc", NULL, 0, &e);
	note(r, STEP_PROC, fd < 0 ? fd : 0, &e);
	fd = try_overlay(root, true, &e);
	note(r, STEP_OVERLAY, fd < 0 ? fd : 0, &e);
	note(r, STEP_PIVOT, pf_mount_pivot(root, &e), &e);
}

static void seccomp_child(struct report *r)
{
	struct pf_filter f = pf_filter_first();
	struct pf_error e = {0};

	note(r, STEP_SECCOMP, pf_filter_load(f.insns, f.count, &e), &e);
}

/* Run the steps in a child that shares nothing but the report's pipe. */
static void run_steps(const struct pf_identity *who, struct report *r)
{
	uint64_t flags =
		CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
	struct pf_error e = {0};
	int up[2], down[2], i;
	char c;
	pid_t pid;

	for (i = 0; i < STEP_COUNT; i++)
		r->code[i] = 1;
	if (pipe2(up, O_CLOEXEC) < 0 || pipe2(down, O_CLOEXEC) < 0)
		return;
	pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
	if (pid == 0) {
		r->code[STEP_CLONE] = 0;
		close(down[1]);
		if (read(down[0], &c, 1) == 1) {
			probe_child(who, r);
			seccomp_child(r); /* last: the filter refuses what the others try */
		}
		_exit(write(up[1], r, sizeof(*r)) < 0);
	}
	close(up[1]);
	close(down[0]);
	if (pid < 0) {
		note(r, STEP_CLONE,
		     pf_fail_errno(&e, "making a user namespace and the others with it was refused"), &e);
	} else {
		int m = pf__identity_write(who, pid, &e);

		r->code[STEP_CLONE] = 0;
		if (m < 0)
			note(r, STEP_MAP, m, &e);
		else if (write(down[1], "m", 1) == 1)
			(void)!pf_read_full(up[0], r, sizeof(*r));
		close(down[1]);
		down[1] = -1;
		waitpid(pid, NULL, 0);
	}
	if (down[1] >= 0)
		close(down[1]);
	close(up[0]);
}

/* The line that would mend it; "" where none is known. */
static void mend(enum step s, char out[200])
{
	const char *text = "";
	bool apparmor = file_says("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", '1');

	if (s == STEP_CLONE && file_says("/proc/sys/kernel/unprivileged_userns_clone", '0'))
		text = "sysctl -w kernel.unprivileged_userns_clone=1";
	else if (s == STEP_CLONE && file_says("/proc/sys/user/max_user_namespaces", '0'))
		text = "sysctl -w user.max_user_namespaces=15000";
	else if (s <= STEP_MOUNT && apparmor)
		text = "sudo pinfold doctor --fix apparmor: a profile with `userns,` for this program's path";
	else if (s == STEP_CLONE)
		text = "run outside the container, or give the container --security-opt seccomp=unconfined";
	else if (s == STEP_MOUNT)
		text = "something around us refuses mounts (another sandbox, Landlock, a security module): "
		       "run pinfold outside "
		       "of it";
	else if (s == STEP_PROC)
		text = "/proc is masked here (a container?): give the outer container --security-opt "
		       "systempaths=unconfined";
	else if (s == STEP_OVERLAY)
		text = "modprobe overlay";
	snprintf(out, 200, "%s", text);
}

static struct pf_probe_item *add(struct pf_probe *p, const char *name, bool ok, const char *detail)
{
	struct pf_probe_item *i = &p->items[p->count++];

	*i = (struct pf_probe_item){.name = name, .ok = ok};
	snprintf(i->detail, sizeof(i->detail), "%.150s", detail);
	return i;
}

static const char *mend_cgroup(const struct pf_cg_host *host, bool root)
{
	if (!host->controllers)
		return "mount -t cgroup2 cgroup2 /sys/fs/cgroup, if this kernel has control groups";
	if (root)
		return "systemd-run --scope -p Delegate=yes pinfold ...";
	if (!host->v2)
		return "systemd.unified_cgroup_hierarchy=1 on the kernel's command line: v1 hands no group "
		       "to a user";
	return "loginctl enable-linger, and log in anew; or systemd-run --user --scope -p Delegate=yes "
	       "pinfold ...";
}

static void add_rest(struct pf_probe *p, const struct pf_identity *who)
{
	struct pf_cg_host host = {0};
	struct pf_probe_item *item;
	char text[64];
	int abi = pf_landlock_abi();

	snprintf(text, sizeof(text), abi ? "ABI %d" : "the kernel has none, or it is switched off", abi);
	add(p, "landlock", abi > 0, text);
	pf_cgroup_host(&host);
	item = add(p, "cgroup", host.writable && host.controllers, host.text);
	if (!item->ok)
		snprintf(item->mend, sizeof(item->mend), "%s", mend_cgroup(&host, who->host_root));
	item = add(p, "init_uid", !who->shared,
		   who->shared ? "one id only: init shares the command's" : "init has an id of its own");
	if (who->shared)
		snprintf(item->mend, sizeof(item->mend),
			 "%susermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER",
			 access("/usr/bin/newuidmap", X_OK) == 0 ? "" : "apt-get install uidmap; ");
}

static const char *mend_image(enum pf_image_way way, int code)
{
	if (way == PF_IMAGE_UNPACKED)
		return "install pinfold whole (make install)";
	if (code == -ENODEV)
		return "modprobe erofs";
	if (way == PF_IMAGE_FILE && code == -ENOTBLK)
		return "Linux 6.12, and $PINFOLD_STATE on ext4, xfs or btrfs";
	return way == PF_IMAGE_LOOP && (code == -ENXIO || code == -ENOENT) ? "modprobe loop" : "";
}

/* One of them will do. A user's sandboxes mount no image: there is nothing to mend. */
static void add_image_ways(struct pf_probe *p, const struct pf_identity *who, const struct pf_dirs *dirs)
{
	static const char *const names[PF_IMAGE_WAYS] = {"erofs_file", "erofs_loop", "unpacked"};
	struct pf_image_ways ways;

	pf__image_probe(dirs, &ways);
	for (int i = 0; i < PF_IMAGE_WAYS; i++) {
		bool refused = !who->host_root && (ways.code[i] == -EPERM || ways.code[i] == -EACCES);
		struct pf_probe_item *item =
			add(p, names[i], ways.code[i] == 0, refused ? "for root alone" : ways.text[i]);

		if (ways.code[i] && (who->host_root || i == PF_IMAGE_UNPACKED))
			snprintf(item->mend, sizeof(item->mend), "%s",
				 mend_image((enum pf_image_way)i, ways.code[i]));
	}
}

int pf__container_probe(const struct pf_dirs *dirs, struct pf_probe *out, struct pf_error *err)
{
	struct pf_probe p = {.usable = true};
	struct pf_identity who = {0};
	struct pf_policy policy = {0};
	struct report r = {0};
	int i, ids = pf__identity_decide(&policy, NULL, "probe", NULL, &who, err);

	if (ids < 0) {
		p.usable = false;
		snprintf(p.why, sizeof(p.why), "%.190s", err ? err->msg : "no ids");
	} else {
		run_steps(&who, &r);
	}
	for (i = 0; ids == 0 && i < STEP_COUNT; i++) {
		bool ok = r.code[i] == 0;
		struct pf_probe_item *item = add(&p, step_names[i], ok,
						 r.code[i] == 1 ? "not reached"
						 : ok		? "works"
								: r.text[i]);

		if (r.code[i] < 0)
			mend((enum step)i, item->mend);
		if (!ok && p.usable && i != STEP_OVERLAY) {
			p.usable = false;
			snprintf(p.why, sizeof(p.why), "%s: %.150s", step_names[i], item->detail);
		}
	}
	if (ids == 0) {
		add_rest(&p, &who);
		add_image_ways(&p, &who, dirs);
	}
	if (p.usable)
		snprintf(p.why, sizeof(p.why), "namespaces, mounts and filters all worked here");
	*out = p;
	return 0;
}
