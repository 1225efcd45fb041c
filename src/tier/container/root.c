/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root, built in the child: a small tmpfs that is read-only in the end, with the host's trees, or the
 * overlay of an image (image.h), and /dev, /proc, the writable places and the workspace attached to it. Every
 * target is reached from the root's descriptor without following a link; nothing of the host is in it but
 * what sources.c copied.
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

int pf__root_dirs(const struct pf_child_args *a, int root, const char *path, struct pf_error *err)
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
		next = pf__broken(a->spec->breaks, "beneath")
			       ? openat(at, name, O_PATH | O_DIRECTORY | O_CLOEXEC)
			       : pf_open_beneath(at, name, O_PATH | O_DIRECTORY, 0);
		if (next == -ENOENT) /* it could not be made either */
			return pf_fail(err, next,
				       "cannot make the mount point '%s': what is there is read-only; choose "
				       "another path inside",
				       name);
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
	struct stat st;
	int fd;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
		return 0; /* of an image, which is read-only */
	fd = openat(dir, name, O_CREAT | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return pf_fail_errno(err, "cannot make the mount point '%s'", name);
	close(fd);
	return 0;
}

/* Attach one source at its place, making the mount point. */
static int attach_source(const struct pf_child_args *a, int root, const struct pf_source *s,
			 struct pf_error *err)
{
	PF_AUTO_CLOSE int at = -1;
	struct stat st;
	char parent[4096];
	const char *leaf;

	if (fstat(s->fd, &st) < 0)
		return pf_fail_errno(err, "cannot look at '%s'", s->from);
	if (S_ISDIR(st.st_mode)) {
		at = pf__root_dirs(a, root, s->to, err);
		return at < 0 ? at : pf_mount_attach(s->fd, at, "", err);
	}
	leaf = strrchr(s->to, '/') + 1;
	snprintf(parent, sizeof(parent), "%.*s", (int)(leaf - s->to), s->to);
	at = pf__root_dirs(a, root, parent, err);
	if (at < 0)
		return at;
	if (make_file(at, leaf, err) < 0)
		return err->code;
	return pf_mount_attach(s->fd, at, leaf, err);
}

static int make_root(const struct pf_child_args *a, struct pf_error *err)
{
	static const char *const options[] = {"mode=755", "size=1m", "nr_inodes=4096", NULL};
	PF_AUTO_CLOSE int fd = pf_mount_new("tmpfs", options, SAFE | pf__no_exec(a->spec), err);
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

/* Everything that is copied from the host, each where it belongs. */
static int attach_all(const struct pf_child_args *a, int root, struct pf_error *err)
{
	PF_AUTO_CLOSE int dev = pf_open_beneath(root, "dev", O_PATH | O_DIRECTORY, 0);
	const struct pf_sources *s = a->sources;
	unsigned i;
	int r = 0;

	for (i = 0; i < s->count && r == 0; i++) {
		const struct pf_source *one = &s->item[i];

		if (one->kind == PF_SRC_DEVICE)
			r = attach_device(dev, one, err);
		else if (one->kind == PF_SRC_TREE)
			r = attach_source(a, root, one, err);
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

/* empty: a directory with nothing in it. */
static int cover(int root, int empty, int proc, const char *name, struct pf_error *err)
{
	PF_AUTO_CLOSE int with = -1;
	struct stat st;
	int r;

	if (fstatat(proc, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0; /* this kernel has no such entry */
	if (closed_to_all(&st))
		return 0;
	with = S_ISDIR(st.st_mode) ? pf_mount_clone(empty, "", err) : pf_mount_clone(root, "dev/null", err);
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

/* What directories are covered with. An image has no place for it that could be trusted to be empty. */
static int make_empty(const struct pf_child_args *a, int root, const struct pf_handoff *hand,
		      struct pf_error *err)
{
	int dir = a->image->image ? hand->temp_fd : root, fd;
	const char *name = a->image->image ? "empty" : "var/empty";

	if (mkdirat(dir, name, 0555) < 0 || (fd = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		return pf_fail_errno(err, "cannot make an empty directory");
	return fd;
}

static int make_proc(const struct pf_child_args *a, int root, const struct pf_handoff *hand,
		     struct pf_error *err)
{
	static const char *const hidden[] = {"hidepid=2", NULL};
	PF_AUTO_CLOSE int proc = -1, at = -1, empty = -1;
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
	at = pf__root_dirs(a, root, "/proc", err);
	if (at < 0 || (r = pf_mount_attach(proc, at, "", err)) < 0)
		return pf_wrap(err, "/proc");
	if ((empty = make_empty(a, root, hand, err)) < 0)
		return empty;
	if (pf__broken(a->spec->breaks, "mask_proc"))
		return 0;
	for (i = 0; i < PF_ARRAY_SIZE(masked); i++)
		if ((r = cover(root, empty, proc, masked[i], err)) < 0)
			return pf_wrap(err, "/proc/%s", masked[i]);
	for (i = 0; i < PF_ARRAY_SIZE(read_only); i++)
		if ((r = freeze_entry(proc, read_only[i], err)) < 0)
			return pf_wrap(err, "/proc/%s", read_only[i]);
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
	at = pf__root_dirs(a, root, a->ws->at, err);
	return at < 0 ? at : pf_mount_attach(overlay, at, "", err);
}

/* --- the root -------------------------------------------------------------------- */

/* The host's own tools: an empty tmpfs, which the host's trees are attached to. */
static int root_of_host(const struct pf_child_args *a, struct pf_error *err)
{
	static const char *const dirs[] = {"var",  "var/cache", "var/lib", "var/log",
					   "home", "mnt",	"media",   "srv"};
	PF_AUTO_CLOSE int root = make_root(a, err);
	unsigned i;

	if (root < 0)
		return root;
	for (i = 0; i < PF_ARRAY_SIZE(dirs); i++)
		if (mkdirat(root, dirs[i], 0755) < 0)
			return pf_fail_errno(err, "cannot make /%s", dirs[i]);
	return pf_take_fd(&root);
}

static struct pf_source *find_root(struct pf_sources *s)
{
	unsigned i;

	for (i = 0; i < s->count; i++)
		if (s->item[i].kind == PF_SRC_ROOT)
			return &s->item[i];
	return NULL;
}

/* What the overlay is made of has to be attached somewhere: over the old /dev, so that it goes with the old
 * root and with no unmount of its own, which would wait for RCU. */
static int attach_spent(const struct pf_child_args *a, struct pf_error *err)
{
	unsigned i;
	int r = 0;

	for (i = 0; i < a->sources->count && r == 0; i++)
		if (a->sources->item[i].kind == PF_SRC_SPENT)
			r = pf_mount_attach(a->sources->item[i].fd, AT_FDCWD, "/dev", err);
	return r;
}

/* An image: as root its overlay came from the host, as a user it is made here. *home: its HOME, or -1. */
static int root_of_image(const struct pf_child_args *a, struct pf_handoff *hand, int *home,
			 struct pf_error *err)
{
	struct pf_source *from = find_root(a->sources);
	PF_AUTO_CLOSE int root = -1;
	int r;

	if (!from || from->fd < 0)
		return pf_fail(err, -EINVAL, "the image is not among what is shown");
	if (a->who->host_root) {
		root = pf_take_fd(&from->fd);
		if ((r = attach_spent(a, err)) < 0)
			return r;
	} else {
		root = pf__layers_child(a->spec, a->who, a->image, from->fd, home, err);
		if (root < 0)
			return root;
		hand->stage_fd = a->image->stage_fd;
	}
	r = pf_mount_attach(root, AT_FDCWD, "/", err);
	return r < 0 ? r : pf_take_fd(&root);
}

/* As root the host sends what is attached while the child builds what needs nothing of it; of an image first
 * the root. */
static int take_shown(const struct pf_child_args *a, struct pf_error *err)
{
	return a->who->host_root ? pf__shown_take(a->sync, a->sources, err) : 0;
}

static int attach_home(const struct pf_child_args *a, int root, int home, struct pf_error *err)
{
	PF_AUTO_CLOSE int at = home < 0 ? -1 : pf__root_dirs(a, root, a->home, err);

	if (home < 0)
		return 0;
	return at < 0 ? at : pf_mount_attach(home, at, "", err);
}

int pf__root_build(const struct pf_child_args *a, struct pf_handoff *hand, struct pf_error *err)
{
	PF_AUTO_CLOSE int root = -1, home = -1;
	bool image = a->image->image != NULL;
	struct pf_own_places places;
	int r;

	/* what was there before the clone comes again, with descriptors that are ours */
	if (a->who->host_root)
		a->sources->count = 0;
	if ((r = pf__places_prepare(a, &places, err)) < 0 || (image && (r = take_shown(a, err)) < 0))
		return r;
	root = image ? root_of_image(a, hand, &home, err) : root_of_host(a, err);
	if (root < 0)
		return root;
	if ((r = pf__places_attach(a, root, &places, err)) < 0 || (r = attach_home(a, root, home, err)) < 0)
		return r;
	hand->temp_fd = places.temp;
	if ((r = take_shown(a, err)) < 0)
		return r;
	if ((r = attach_all(a, root, err)) < 0 || (r = make_proc(a, root, hand, err)) < 0 ||
	    (r = own_workspace(a, root, hand, err)) < 0 || (r = pf__live_cover(a->ws, root, err)) < 0)
		return r;
	if (!image && symlinkat("/run", root, "var/run") < 0)
		return pf_fail_errno(err, "cannot make /var/run");
	if (!a->spec->policy->root_cow && !pf__broken(a->spec->breaks, "readonly_root") &&
	    (r = pf_mount_readonly(root, err)) < 0)
		return r;
	return pf_take_fd(&root);
}
