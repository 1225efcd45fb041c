/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The overlays of a sandbox that runs an image: its root, and HOME where the image has something there. As
 * root they are made on the host, over an image whose ids a mount maps to the sandbox's; as a user in the
 * child.
 *
 * One tmpfs, the stage, holds what is beside the image: skel, and for what can be written up and work, each
 * in two copies. Nothing of it is attached in the sandbox.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "linux/mount.h"
#include "tier/container/container.h"

#define STAGE_BYTES                                                                                          \
	(4u << 20) /* of a read-only root: the skeleton alone, whose files are two passwords at most */

struct layers {
	const struct pf_box_spec *spec;
	const struct pf_image_root *img;
	int stage, image; /* mounts */
	int view;	  /* a mount, or as a user a directory; -1: none */
	int home;	  /* the image's HOME; -1: no overlay there */
	bool user;	  /* of a user namespace */
};

/* --- the stage --------------------------------------------------------------------------- */

static int make_stage(const struct pf_image_root *img, struct pf_error *err)
{
	uint64_t bytes = img->bytes + STAGE_BYTES;
	char size[48], inodes[48];
	const char *const options[] = {"mode=700", size, inodes, NULL};

	snprintf(size, sizeof(size), "size=%llu", (unsigned long long)bytes);
	snprintf(inodes, sizeof(inodes), "nr_inodes=%llu", (unsigned long long)(bytes / 4096 + 8192));
	return pf_mount_new("tmpfs", options, PF_MNT_NOSUID | PF_MNT_NODEV, err);
}

/* A directory that gives a merged root its owner and mode. */
static int make_top(int stage, const char *name, mode_t mode, uint32_t uid, uint32_t gid,
		    struct pf_error *err)
{
	if (mkdirat(stage, name, 0700) < 0 || fchownat(stage, name, uid, gid, 0) < 0 ||
	    fchmodat(stage, name, mode, 0) < 0)
		return pf_fail_errno(err, "cannot make the image's layers");
	return 0;
}

static int make_work(int stage, const char *name, struct pf_error *err)
{
	return mkdirat(stage, name, 0700) < 0 ? pf_fail_errno(err, "cannot make the image's layers") : 0;
}

/* The command owns its HOME, whoever that was before. */
static int fill_home(const struct layers *l, const struct pf_identity *who, struct pf_error *err)
{
	struct stat st;
	int r;

	if (l->home < 0)
		return 0;
	if (fstat(l->home, &st) < 0)
		return pf_fail_errno(err, "cannot look at the image's %s", l->img->account.home);
	r = make_top(l->stage, "home", (st.st_mode & 0777) | 0700, l->user ? who->user : who->host_user,
		     l->user ? who->group : who->host_group, err);
	return r < 0 ? r : make_work(l->stage, "homework", err);
}

static int fill_stage(const struct layers *l, const struct pf_identity *who, struct pf_error *err)
{
	PF_AUTO_CLOSE int skel = -1;
	/* the sandbox's root; where only one id is there, that */
	uint32_t top = l->user ? (who->shared ? who->user : 0) : who->uid_base;
	int r;

	if ((r = make_top(l->stage, "skel", 0755, top, top, err)) < 0 ||
	    (r = make_work(l->stage, "image", err)) < 0 || (r = make_work(l->stage, "view", err)) < 0)
		return r;
	if (l->img->root_cow && ((r = make_top(l->stage, "root", 0755, top, top, err)) < 0 ||
				 (r = make_work(l->stage, "rootwork", err)) < 0))
		return r;
	if ((r = fill_home(l, who, err)) < 0)
		return r;
	skel = openat(l->stage, "skel", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (skel < 0)
		return pf_fail_errno(err, "cannot make the image's layers");
	return pf__skeleton_make(l->img, who, skel, err);
}

/* --- the overlays -------------------------------------------------------------------------- */

/* name: of upper and work in the stage; NULL: read-only. Layers are named by descriptors, so that none is
 * what a path has become meanwhile. What an image has of overlay's own attributes is not obeyed: it is the
 * lowest layer, under which nothing could be reached, and metacopy is off. */
static int make_overlay(const struct layers *l, const char *lower, const char *name, uint64_t attr,
			struct pf_error *err)
{
	char layers[128], upper[80], work[80];
	const char *options[10];
	int n = 0, fd;

	snprintf(layers, sizeof(layers), "lowerdir=%s", lower);
	options[n++] = layers;
	if (name) {
		snprintf(upper, sizeof(upper), "upperdir=/proc/self/fd/%d/%s", l->stage, name);
		snprintf(work, sizeof(work), "workdir=/proc/self/fd/%d/%swork", l->stage, name);
		options[n++] = upper;
		options[n++] = work;
		options[n++] = "volatile";
	}
	if (l->user) {
		options[n++] = "userxattr";
	} else {
		options[n++] = name ? "redirect_dir=on" : "redirect_dir=nofollow";
		options[n++] = "index=off";
		options[n++] = "metacopy=off";
	}
	options[n] = NULL;
	fd = pf_mount_new("overlay", options, attr | pf__safe(l->spec->breaks) | (name ? 0 : PF_MNT_RDONLY),
			  err);
	if (fd == -ENODEV)
		return pf_fail(
			err, -ENODEV,
			"this kernel has no overlay file system, which images need: `modprobe overlay` "
			"as root");
	return fd;
}

static int make_root_overlay(const struct layers *l, struct pf_error *err)
{
	char lower[96], view[32] = "";

	if (l->view >= 0)
		snprintf(view, sizeof(view), "/proc/self/fd/%d:", l->view);
	snprintf(lower, sizeof(lower), "/proc/self/fd/%d/skel:%s/proc/self/fd/%d", l->stage, view, l->image);
	return make_overlay(l, lower, l->img->root_cow ? "root" : NULL, 0, err);
}

static int make_home_overlay(const struct layers *l, struct pf_error *err)
{
	char lower[48];

	snprintf(lower, sizeof(lower), "/proc/self/fd/%d", l->home);
	return make_overlay(l, lower, "home", pf__no_exec(l->spec), err);
}

/* Both, or none. *home is -1 where HOME is no overlay. */
static int make_overlays(const struct layers *l, int *root, int *home, struct pf_error *err)
{
	PF_AUTO_CLOSE int first = make_root_overlay(l, err), second = -1;

	if (first < 0)
		return first;
	if (l->home >= 0 && (second = make_home_overlay(l, err)) < 0)
		return pf_wrap(err, "%s", l->img->account.home);
	*root = pf_take_fd(&first);
	*home = pf_take_fd(&second);
	return 0;
}

static int open_home(struct layers *l, struct pf_error *err)
{
	if (!l->img->home_cow)
		return 0;
	l->home = pf__home_open(l->spec, l->image, l->img->account.home, O_PATH | O_DIRECTORY);
	if (l->home < 0)
		return pf_fail(err, l->home, "cannot open the image's %s: %s", l->img->account.home,
			       strerror(-l->home));
	return 0;
}

/* --- as root, on the host -------------------------------------------------------------------- */

static int attach_privately(const struct layers *l, struct pf_error *err)
{
	int r;

	if (unshare(CLONE_NEWNS) < 0)
		return pf_fail_errno(err, "cannot make a mount namespace");
	if ((r = pf_mount_private(err)) < 0 || (r = pf_mount_attach(l->stage, AT_FDCWD, "/", err)) < 0)
		return r;
	if (l->view >= 0 && (r = pf_mount_attach(l->view, l->stage, "view", err)) < 0)
		return r;
	return pf_mount_attach(l->image, l->stage, "image", err);
}

/* Before Linux 6.15 an overlay takes no layer that is not attached in the caller's own mount namespace
 * (clone_private_mount()). A helper attaches them in one that dies with it. */
static int overlays_in_private_namespace(const struct layers *l, int *root, int *home, struct pf_error *err)
{
	struct pf_handoff h = PF_HANDOFF_NONE;
	int pair[2], r;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return pf_fail_errno(err, "cannot make a socket pair");
	pid = fork();
	if (pid == 0) {
		struct pf_error e = {0};

		if (attach_privately(l, &e) < 0 || make_overlays(l, &h.temp_fd, &h.scratch_fd, &e) < 0)
			pf__handoff_fail(pair[1], &e);
		else
			pf__handoff_send(pair[1], &h, &e);
		_exit(0);
	}
	close(pair[1]);
	r = pid < 0 ? pf_fail_errno(err, "cannot fork") : pf__handoff_receive(pair[0], &h, err);
	close(pair[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	if (r < 0)
		return r;
	*root = h.temp_fd;
	*home = h.scratch_fd;
	return 0;
}

/* The image's ids become the sandbox's own: its user namespace is the map. What cannot be mapped (an unpacked
 * tree on a file system without idmapped mounts) appears as nobody's. */
static int map_ids(const struct pf_identity *who, pid_t child, struct pf_image_root *img,
		   struct pf_error *err)
{
	PF_AUTO_CLOSE int ns = -1;
	char path[64];

	img->owners = "kept";
	if (who->uid_count == 0)
		return 0; /* a test build without a user namespace */
	snprintf(path, sizeof(path), "/proc/%d/ns/user", child);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0)
		return pf_fail_errno(err, "cannot open %s", path);
	if (pf_mount_attr(img->fd, PF_MNT_IDMAP, 0, ns, err) == 0)
		return 0;
	if (img->way != PF_IMAGE_UNPACKED)
		return err->code;
	img->owners = "nobody";
	return 0;
}

/* Mounts that were never attached anywhere are unmounted when they are closed, which waits for RCU: the child
 * takes them along with its old root. The stage tells later whether it is full; only then it is kept open. */
static int spend(struct pf_image_root *img, int stage, struct pf_sources *sources, struct pf_error *err)
{
	int r;

	if (img->bytes && (img->stage_fd = openat(stage, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
		r = pf_fail_errno(err, "cannot open the image's layers");
		close(stage);
		return r;
	}
	if ((r = pf__shown_add_fd(sources, stage, NULL, err)) < 0) {
		close(stage);
		return r;
	}
	sources->item[sources->count - 1].kind = PF_SRC_SPENT;
	if ((r = pf__shown_add_fd(sources, img->fd, NULL, err)) < 0)
		return r;
	sources->item[sources->count - 1].kind = PF_SRC_SPENT;
	pf_take_fd(&img->fd);
	return 0;
}

/* The view has the image's ids, so it is mapped as that is; where its file system has no idmapped mounts its
 * directories appear as nobody's. */
static int mount_view(const struct pf_identity *who, pid_t child, const struct pf_image_root *img,
		      struct pf_error *err)
{
	PF_AUTO_CLOSE int view = pf_mount_clone(AT_FDCWD, img->view, err), ns = -1;
	struct pf_error ignored;
	char path[64];

	if (view < 0 || who->uid_count == 0)
		return pf_take_fd(&view);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", child);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0)
		return pf_fail_errno(err, "cannot open %s", path);
	pf_mount_attr(view, PF_MNT_IDMAP, 0, ns, &ignored);
	return pf_take_fd(&view);
}

static int spend_view(struct pf_sources *sources, int *view, struct pf_error *err)
{
	int r;

	if (*view < 0)
		return 0;
	if ((r = pf__shown_add_fd(sources, *view, NULL, err)) < 0)
		return r;
	sources->item[sources->count - 1].kind = PF_SRC_SPENT;
	pf_take_fd(view);
	return 0;
}

static int try_layers(const struct pf_box_spec *spec, const struct pf_identity *who, pid_t child,
		      struct pf_image_root *img, struct pf_sources *sources, int *root, int *home,
		      struct pf_error *err)
{
	PF_AUTO_CLOSE int stage = -1, home_dir = -1, view = -1;
	struct layers l = {.spec = spec, .img = img, .image = img->fd, .home = -1, .view = -1};
	struct pf_error ignored;
	int r;

	if ((r = map_ids(who, child, img, err)) < 0 || (r = open_home(&l, err)) < 0)
		return r;
	home_dir = l.home;
	if (img->view && (l.view = view = mount_view(who, child, img, err)) < 0)
		return view;
	l.stage = stage = make_stage(img, err);
	if (stage < 0)
		return stage;
	if ((r = fill_stage(&l, who, err)) < 0)
		return r;
	if (make_overlays(&l, root, home, &ignored) == 0)
		return (r = spend_view(sources, &view, err)) < 0
			       ? r
			       : spend(img, pf_take_fd(&stage), sources, err);
	if ((r = overlays_in_private_namespace(&l, root, home, err)) < 0)
		return r;
	img->stage_fd = pf_take_fd(&stage);
	return 0;
}

int pf__layers_host(const struct pf_box_spec *spec, const struct pf_identity *who, pid_t child,
		    struct pf_image_root *img, struct pf_sources *sources, const char *home,
		    struct pf_error *err)
{
	PF_AUTO_CLOSE int root_fd = -1, home_fd = -1;
	struct pf_error next;
	int r = try_layers(spec, who, child, img, sources, &root_fd, &home_fd, err);

	/* overlays nest two deep at most, and a file system of a file counts as one more */
	while (r < 0 && pf__image_next_way(spec, img, &next) == 0)
		r = try_layers(spec, who, child, img, sources, &root_fd, &home_fd, err);
	if (r < 0)
		return pf_wrap(err, "the image");
	if ((r = pf__shown_add_fd(sources, root_fd, NULL, err)) < 0)
		return r;
	pf_take_fd(&root_fd);
	sources->item[sources->count - 1].kind = PF_SRC_ROOT;
	if (home_fd < 0)
		return 0;
	if ((r = pf__shown_add_fd(sources, home_fd, home, err)) < 0)
		return r;
	pf_take_fd(&home_fd);
	return 0;
}

/* --- as a user, in the child ------------------------------------------------------------------- */

int pf__layers_child(const struct pf_box_spec *spec, const struct pf_identity *who, struct pf_image_root *img,
		     int image_mount, int *home, struct pf_error *err)
{
	PF_AUTO_CLOSE int stage = make_stage(img, err), home_dir = -1, view = -1;
	struct layers l = {.spec = spec,
			   .img = img,
			   .stage = stage,
			   .image = image_mount,
			   .home = -1,
			   .view = -1,
			   .user = true};
	int root, r;

	if (stage < 0)
		return stage;
	/* Before Linux 6.15 layers must be attached in this namespace: over the old /dev, which goes with the
	 * old root. */
	if ((r = pf_mount_attach(stage, AT_FDCWD, "/dev", err)) < 0 || (r = open_home(&l, err)) < 0)
		return r;
	home_dir = l.home;
	if (img->view && (l.view = view = open(img->view, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		return pf_fail_errno(err, "cannot open the view %s", img->view);
	if ((r = fill_stage(&l, who, err)) < 0 || (r = pf_mount_attach(image_mount, stage, "image", err)) < 0)
		return r;
	if ((r = make_overlays(&l, &root, home, err)) < 0)
		return pf_wrap(err, "the image");
	img->stage_fd = pf_take_fd(&stage);
	return root;
}
