/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root, built in the child: a small tmpfs that is read-only in the end, with the image's trees,
 * /dev, /proc, the writable places and the workspace attached to it. Every target is reached from
 * the root's descriptor without following a link; nothing of the host is in it but what sources.c copied.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "linux/mount.h"
#include "tier/container/container.h"

#define PF_OVERFLOW_UID 65534u /* how an id that is not mapped appears (/proc/sys/kernel/overflowuid) */
#define SAFE		(PF_MNT_NOSUID | PF_MNT_NODEV)

/* Make dir/path and its parents where they are missing; returns it opened (O_PATH). Links on the way are
 * refused. */
static int make_dirs(int root, const char *path, struct pf_error *err)
{
	PF_AUTO_CLOSE int at = fcntl(root, F_DUPFD_CLOEXEC, 3);
	char name[256];

	while (at >= 0) {
		size_t n;
		int next;

		path += strspn(path, "/");
		n = strcspn(path, "/");
		if (n == 0)
			return pf_take_fd(&at);
		if (n >= sizeof(name))
			return pf_fail(err, -ENAMETOOLONG, "a name in a mount's path is too long");
		memcpy(name, path, n);
		name[n] = '\0';
		path += n;
		if (mkdirat(at, name, 0755) < 0 && errno != EEXIST && errno != EROFS && errno != EACCES &&
		    errno != EPERM)
			return pf_fail_errno(err, "cannot make the mount point '%s'", name);
		next = pf_open_beneath(at, name, O_PATH | O_DIRECTORY, 0);
		if (next < 0)
			return pf_fail(err, next, "cannot make the mount point '%s': %s", name,
				       strerror(-next));
		close(at);
		at = next;
	}
	return pf_fail_errno(err, "cannot open the new root");
}

static int make_file(int dir, const char *name, struct pf_error *err)
{
	int fd = openat(dir, name, O_CREAT | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd < 0)
		return pf_fail_errno(err, "cannot make the mount point '%s'", name);
	close(fd);
	return 0;
}

/* Attach one source at its place, making the mount point. */
static int attach_source(int root, const struct pf_source *s, struct pf_error *err)
{
	PF_AUTO_CLOSE int at = -1;
	struct stat st;
	char parent[4096];
	const char *leaf;

	if (fstat(s->fd, &st) < 0)
		return pf_fail_errno(err, "cannot look at '%s'", s->from);
	if (S_ISDIR(st.st_mode)) {
		at = make_dirs(root, s->to, err);
		return at < 0 ? at : pf_mount_attach(s->fd, at, "", err);
	}
	leaf = strrchr(s->to, '/') + 1;
	snprintf(parent, sizeof(parent), "%.*s", (int)(leaf - s->to), s->to);
	at = make_dirs(root, parent, err);
	if (at < 0)
		return at;
	if (make_file(at, leaf, err) < 0)
		return err->code;
	return pf_mount_attach(s->fd, at, leaf, err);
}

static int make_root(struct pf_error *err)
{
	static const char *const options[] = {"mode=755", "size=1m", "nr_inodes=4096", NULL};
	PF_AUTO_CLOSE int fd = pf_mount_new("tmpfs", options, SAFE, err);
	int r;

	if (fd < 0)
		return fd;
	r = pf_mount_attach(fd, AT_FDCWD, "/", err);
	return r < 0 ? r : pf_take_fd(&fd);
}

static int attach_device(int dev, const struct pf_source *s, struct pf_error *err)
{
	const char *name = strrchr(s->to, '/') + 1;
	struct stat st;

	if (fstat(s->fd, &st) < 0 || !S_ISCHR(st.st_mode))
		return pf_fail(err, -ENODEV, "'%s' on the host is not a character device", s->from);
	return make_file(dev, name, err) < 0 ? err->code : pf_mount_attach(s->fd, dev, name, err);
}

/* /dev: a tmpfs with what an ordinary program expects, its own pseudo-terminals, and no more. */
static int make_dev(const struct pf_child_args *a, int root, struct pf_error *err)
{
	static const char *const options[] = {"mode=755", "size=64k", "nr_inodes=256", NULL};
	static const char *const with_group[] = {"newinstance", "ptmxmode=0666", "mode=0620",
						 "max=64",	"gid=5",	 NULL};
	static const char *const without[] = {"newinstance", "ptmxmode=0666", "mode=0600", "max=64", NULL};
	static const char *const links[][2] = {{"/proc/self/fd", "fd"},
					       {"/proc/self/fd/0", "stdin"},
					       {"/proc/self/fd/1", "stdout"},
					       {"/proc/self/fd/2", "stderr"},
					       {"pts/ptmx", "ptmx"}};
	PF_AUTO_CLOSE int dev = pf_mount_new("tmpfs", options, PF_MNT_NOSUID | PF_MNT_NOEXEC, err);
	PF_AUTO_CLOSE int pts = -1;
	unsigned i;
	int r;

	if (dev < 0)
		return dev;
	if (mkdirat(root, "dev", 0755) < 0 || (r = pf_mount_attach(dev, root, "dev", err)) < 0)
		return pf_wrap(err, "/dev");
	for (i = 0; i < PF_ARRAY_SIZE(links); i++)
		if (symlinkat(links[i][0], dev, links[i][1]) < 0)
			return pf_fail_errno(err, "cannot make /dev/%s", links[i][1]);
	if (mkdirat(dev, "pts", 0755) < 0)
		return pf_fail_errno(err, "cannot make /dev/pts");
	pts = pf_mount_new("devpts", a->who->shared ? without : with_group, PF_MNT_NOSUID | PF_MNT_NOEXEC,
			   err);
	if (pts < 0)
		return pts;
	return pf_mount_attach(pts, dev, "pts", err);
}

/* Everything that is copied from the host, each where it belongs. */
static int attach_all(const struct pf_sources *s, int root, struct pf_error *err)
{
	PF_AUTO_CLOSE int dev = openat(root, "dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
	unsigned i;
	int r = 0;

	for (i = 0; i < s->count && r == 0; i++) {
		const struct pf_source *one = &s->item[i];

		if (one->kind == PF_SRC_DEVICE)
			r = attach_device(dev, one, err);
		else if (one->kind == PF_SRC_TREE)
			r = attach_source(root, one, err);
		else if (one->kind == PF_SRC_LINK && symlinkat(one->from, root, one->to + 1) < 0)
			r = pf_fail_errno(err, "cannot make the link");
		if (r < 0)
			return pf_wrap(err, "%s", one->to);
	}
	return r;
}

/* --- /proc ------------------------------------------------------------------ */

/* What tells about the host or reaches it, as the OCI runtimes mask it, and newer entries; proc(5).
 * Files are covered by the null device, directories by an empty read-only one. */
static const char *const masked[] = {"acpi",	    "asound",	     "interrupts", "kcore",
				     "keys",	    "latency_stats", "timer_list", "timer_stats",
				     "sched_debug", "scsi",	     "kallsyms",   "vmallocinfo",
				     "kpagecount",  "kpageflags",    "slabinfo",   "sysrq-trigger"};
/* pressure: whoever may write its files makes the host's kernel watch for him, and they are open to all
 * (psi.rst) */
static const char *const read_only[] = {"bus", "fs", "irq", "pressure", "sys"};

/* The host's root owns it, whom no id of the sandbox is, and it lets nobody else in: kcore, kallsyms'
 * neighbours, sysrq-trigger. Covering it would cost a mount and refuse nothing more. */
static bool closed_to_all(const struct stat *st)
{
	return st->st_uid == PF_OVERFLOW_UID && !(st->st_mode & 077);
}

static int cover(int root, int proc, const char *name, struct pf_error *err)
{
	PF_AUTO_CLOSE int with = -1;
	struct stat st;
	int r;

	if (fstatat(proc, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0; /* this kernel has no such entry */
	if (closed_to_all(&st))
		return 0;
	with = pf_mount_clone(root, S_ISDIR(st.st_mode) ? "var/empty" : "dev/null", err);
	if (with < 0)
		return with;
	if (!S_ISDIR(st.st_mode)) {
		/* what covers must be the null device itself: a replaced /dev/null was CVE-2025-31133 */
		if (fstat(with, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
			return pf_fail(err, -ENODEV, "/dev/null is not the null device");
	}
	r = pf_mount_readonly(with, err);
	return r < 0 ? r : pf_mount_attach(with, proc, name, err);
}

static int freeze_entry(int proc, const char *name, struct pf_error *err)
{
	PF_AUTO_CLOSE int copy = -1;
	struct stat st;
	int r;

	if (fstatat(proc, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	/* what is in /proc/sys belongs to the namespaces' own root in part, what is in /proc/pressure is open
	 * to all; the others are the host root's throughout */
	if (st.st_uid == PF_OVERFLOW_UID && strcmp(name, "sys") != 0 && strcmp(name, "pressure") != 0)
		return 0;
	copy = pf_mount_clone(proc, name, err);
	if (copy < 0)
		return copy;
	r = pf_mount_readonly(copy, err);
	return r < 0 ? r : pf_mount_attach(copy, proc, name, err);
}

static int make_proc(const struct pf_child_args *a, int root, struct pf_error *err)
{
	static const char *const hidden[] = {"hidepid=2", NULL};
	PF_AUTO_CLOSE int proc = -1;
	const char *const *options =
		a->who->shared && !pf__broken(a->spec->breaks, "hidepid") ? hidden : NULL;
	unsigned i;
	int r;

	if (pf__broken(a->spec->breaks,
		       "pidns")) /* the kernel gives no new one of a namespace that is not ours */
		proc = pf_mount_clone(AT_FDCWD, "/proc", err);
	else
		proc = pf_mount_new("proc", options, SAFE | PF_MNT_NOEXEC, err);
	if (proc == -EPERM) /* mount_too_revealing(): it would show what the covers on ours hide */
		return pf_fail(err, -EPERM,
			       "cannot mount /proc, because parts of this host's own /proc are covered (a "
			       "container?): `pinfold doctor` "
			       "tells what would mend it");
	if (proc < 0)
		return proc;
	if (mkdirat(root, "proc", 0555) < 0 || mkdirat(root, "var/empty", 0555) < 0)
		return pf_fail_errno(err, "cannot make /proc");
	if ((r = pf_mount_attach(proc, root, "proc", err)) < 0)
		return r;
	if (pf__broken(a->spec->breaks, "mask_proc"))
		return 0;
	for (i = 0; i < PF_ARRAY_SIZE(masked); i++)
		if ((r = cover(root, proc, masked[i], err)) < 0)
			return pf_wrap(err, "/proc/%s", masked[i]);
	for (i = 0; i < PF_ARRAY_SIZE(read_only); i++)
		if ((r = freeze_entry(proc, read_only[i], err)) < 0)
			return pf_wrap(err, "/proc/%s", read_only[i]);
	return 0;
}

/* --- the writable places ------------------------------------------------------ */

/* One tmpfs bounds them all: what is written to /tmp, /run, /var/tmp, /dev/shm and HOME counts together. */
static int make_temp(const struct pf_child_args *a, int root, struct pf_handoff *hand, struct pf_error *err)
{
	const struct {
		const char *name, *at;
		mode_t mode;
		bool owned;
	} places[] = {{"tmp", "/tmp", 01777, false},
		      {"run", "/run", 0755, true},
		      {"vartmp", "/var/tmp", 01777, false},
		      {"shm", "/dev/shm", 01777, false},
		      {"home", a->home, 0755, true}};
	char size[48], inodes[48];
	const char *const options[] = {"mode=755", size, inodes, NULL};
	PF_AUTO_CLOSE int temp = -1;
	unsigned i;
	int r = 0;

	snprintf(size, sizeof(size), "size=%llu", (unsigned long long)a->temp_bytes);
	snprintf(inodes, sizeof(inodes), "nr_inodes=%llu", (unsigned long long)(a->temp_bytes / 4096 + 1024));
	temp = pf_mount_new("tmpfs", options, pf__safe(a->spec->breaks), err);
	if (temp < 0)
		return temp;
	/* Only what is attached can be copied from (before Linux 6.15): over the old /dev, which nobody needs
	 * any more and which goes with the old root, so that no unmount of its own has to wait for RCU. */
	if ((r = pf_mount_attach(temp, AT_FDCWD, "/dev", err)) < 0)
		return pf_wrap(err, "temporary files");
	for (i = 0; i < PF_ARRAY_SIZE(places); i++) {
		PF_AUTO_CLOSE int at = make_dirs(root, places[i].at, err);
		PF_AUTO_CLOSE int copy = -1;

		if (at < 0)
			return at;
		if (mkdirat(temp, places[i].name, places[i].mode) < 0 ||
		    (places[i].owned && fchownat(temp, places[i].name, a->who->user, a->who->user, 0) < 0))
			return pf_fail_errno(err, "cannot make %s", places[i].at);
		copy = pf_mount_clone(temp, places[i].name, err);
		if (copy < 0 || (r = pf_mount_attach(copy, at, "", err)) < 0)
			return pf_wrap(err, "%s", places[i].at);
	}
	hand->temp_fd = pf_take_fd(&temp);
	return 0;
}

/* As a user; as root the host made the overlay and sent it among the sources. */
static int own_workspace(const struct pf_child_args *a, int root, struct pf_handoff *hand,
			 struct pf_error *err)
{
	PF_AUTO_CLOSE int overlay = -1, at = -1;

	if (a->ws->mode == PF_WS_NONE || a->who->host_root)
		return 0;
	overlay = pf__workspace_mount_child(a->ws, a->who, err);
	if (overlay < 0)
		return overlay;
	hand->scratch_fd = a->ws->scratch_fd;
	at = make_dirs(root, a->ws->at, err);
	return at < 0 ? at : pf_mount_attach(overlay, at, "", err);
}

int pf__root_build(const struct pf_child_args *a, struct pf_handoff *hand, struct pf_error *err)
{
	static const char *const dirs[] = {"var",  "var/cache", "var/lib", "var/log",
					   "home", "mnt",	"media",   "srv"};
	PF_AUTO_CLOSE int root = make_root(err);
	unsigned i;
	int r;

	if (root < 0)
		return root;
	for (i = 0; i < PF_ARRAY_SIZE(dirs); i++)
		if (mkdirat(root, dirs[i], 0755) < 0)
			return pf_fail_errno(err, "cannot make /%s", dirs[i]);
	if ((r = make_dev(a, root, err)) < 0 || (r = make_temp(a, root, hand, err)) < 0)
		return r;
	if (a->who->host_root)
		a->sources->count =
			0; /* what was there before the clone comes again, with descriptors that are ours */
	if (a->who->host_root && (r = pf__shown_take(a->sync, a->sources, err)) < 0)
		return r;
	if ((r = attach_all(a->sources, root, err)) < 0 || (r = make_proc(a, root, err)) < 0 ||
	    (r = own_workspace(a, root, hand, err)) < 0)
		return r;
	if (symlinkat("/run", root, "var/run") < 0)
		return pf_fail_errno(err, "cannot make /var/run");
	if (!pf__broken(a->spec->breaks, "readonly_root") && (r = pf_mount_readonly(root, err)) < 0)
		return r;
	return pf_take_fd(&root);
}
