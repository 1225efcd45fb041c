/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workspace's overlay: the user's directory below, what is hidden of it as a layer of whiteouts,
 * and for cow and rw an upper that is bounded and belongs to the sandbox. With rw,live there is none of it:
 * the directory itself is mounted.
 *
 * As root it is mounted on the host: the lower through an idmapped mount (the directory's owner becomes the
 * command's user), attributes in trusted.*, redirect_dir=on so that directories can be renamed. As a user the
 * child mounts it with userxattr. Always `volatile`: without it the unmount waits 10 ms for a disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "linux/mount.h"
#include "tier/container/container.h"
#include "workspace/copy.h"
#include "workspace/mask.h"

#define SAFE (PF_MNT_NOSUID | PF_MNT_NODEV)

/* A tmpfs for upper, work and mask. With mode 0700: nobody but us reaches it. */
static int make_scratch(const struct pf_workspace_plan *ws, struct pf_error *err)
{
	uint64_t bytes = ws->disk ? ws->disk : 4u << 20;
	char size[48], inodes[48];
	const char *const options[] = {"mode=700", size, inodes, NULL};

	snprintf(size, sizeof(size), "size=%llu", (unsigned long long)bytes);
	snprintf(inodes, sizeof(inodes), "nr_inodes=%llu", (unsigned long long)(bytes / 4096 + 4096));
	return pf_mount_new("tmpfs", options, SAFE, err);
}

/* The directories of the scratch. The topmost layer's root gives the merged root its owner, mode and times.
 */
static int fill_scratch(const struct pf_workspace_plan *ws, int scratch, uint32_t uid, uint32_t gid,
			struct pf_error *err)
{
	static const char *const names[] = {"upper", "work", "mask", "lower", "copy"};
	struct stat st;
	unsigned i;

	if (fstat(ws->fd, &st) < 0)
		return pf_fail_errno(err, "cannot look at the workspace");
	for (i = 0; i < PF_ARRAY_SIZE(names); i++) {
		const struct timespec times[2] = {st.st_atim, st.st_mtim};

		if (mkdirat(scratch, names[i], 0700) < 0)
			return pf_fail_errno(err, "cannot make the workspace's layers");
		if (i != 0 && i != 2 && i != 4)
			continue;
		if (fchownat(scratch, names[i], uid, gid, 0) < 0 ||
		    fchmodat(scratch, names[i], ws->dir_mode, 0) < 0 ||
		    utimensat(scratch, names[i], times, 0) < 0)
			return pf_fail_errno(err, "cannot prepare the workspace's layers");
	}
	return 0;
}

/* Layers are named through /proc/self/fd: the directory that was looked at is the directory that is mounted.
 */
static int make_overlay(const struct pf_workspace_plan *ws, int scratch, int lower, const char *const *extra,
			struct pf_error *err)
{
	char layers[96], upper[64], work[64];
	const char *options[12];
	int n = 0, fd;

	snprintf(layers, sizeof(layers), "lowerdir=/proc/self/fd/%d/mask:/proc/self/fd/%d", scratch, lower);
	snprintf(upper, sizeof(upper), "upperdir=/proc/self/fd/%d/upper", scratch);
	snprintf(work, sizeof(work), "workdir=/proc/self/fd/%d/work", scratch);
	options[n++] = layers;
	if (pf_ws_has_upper(ws->mode)) {
		options[n++] = upper;
		options[n++] = work;
		options[n++] = "volatile";
		for (; *extra; extra++)
			options[n++] = *extra;
	} else if (strcmp(extra[0], "userxattr") == 0) {
		options[n++] = "userxattr";
	}
	options[n] = NULL;
	fd = pf_mount_new("overlay", options, ws->attr | (pf_ws_has_upper(ws->mode) ? 0 : PF_MNT_RDONLY),
			  err);
	if (fd == -ENODEV)
		return pf_fail(err, -ENODEV,
			       "this kernel has no overlay file system, which workspaces need: `modprobe "
			       "overlay` as root");
	return fd;
}

static int clone_lower(const struct pf_workspace_plan *ws, struct pf_error *err)
{
	PF_AUTO_CLOSE int lower = pf_mount_clone(AT_FDCWD, ws->host_path, err);
	struct stat st;

	if (lower < 0)
		return lower;
	if (fstat(lower, &st) < 0 || st.st_dev != ws->dev || st.st_ino != ws->ino)
		return pf_fail(err, -ESTALE,
			       "the workspace was replaced while the sandbox was made; try again");
	return pf_take_fd(&lower);
}

/* --- as root, on the host ----------------------------------------------------------- */

static const char *const root_options[] = {"redirect_dir=on", "index=off", "metacopy=off", NULL};

static int send_fd(int sock, int fd, const struct pf_error *err)
{
	struct pf_handoff h = {fd, -1, -1};

	if (fd >= 0)
		return pf__handoff_send(sock, &h, NULL);
	pf__handoff_fail(sock, err);
	return 0;
}

/* Before Linux 6.15 an overlay takes no layer that is not attached in the caller's own mount namespace
 * (clone_private_mount()). A helper attaches both in a namespace that dies with it. */
static int overlay_in_private_namespace(const struct pf_workspace_plan *ws, int scratch, int lower,
					struct pf_error *err)
{
	struct pf_handoff h = PF_HANDOFF_NONE;
	int pair[2], r, fd;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return pf_fail_errno(err, "cannot make a socket pair");
	pid = fork();
	if (pid == 0) {
		struct pf_error e = {0};

		if (unshare(CLONE_NEWNS) < 0)
			pf_fail_errno(&e, "cannot make a mount namespace");
		else if (pf_mount_private(&e) == 0 && pf_mount_attach(scratch, AT_FDCWD, "/", &e) == 0 &&
			 (ws->copied || pf_mount_attach(lower, scratch, "lower", &e) == 0)) {
			fd = make_overlay(ws, scratch, lower, root_options, &e);
			send_fd(pair[1], fd, &e);
			_exit(0);
		}
		send_fd(pair[1], -1, &e);
		_exit(0);
	}
	close(pair[1]);
	r = pid < 0 ? pf_fail_errno(err, "cannot fork") : pf__handoff_receive(pair[0], &h, err);
	close(pair[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return r < 0 ? r : h.temp_fd;
}

/* The directory itself, its owner shown as the command's user. */
static int map_lower(const struct pf_workspace_plan *ws, const struct pf_identity *who, uint64_t attr,
		     struct pf_error *err)
{
	PF_AUTO_CLOSE int lower = clone_lower(ws, err), map = -1;

	if (lower < 0)
		return lower;
	map = pf__identity_idmap(ws->owner, ws->owner_gid, who->host_user, who->host_group, err);
	if (map < 0)
		return map;
	if (pf_mount_attr(lower, PF_MNT_IDMAP | attr, 0, map, err) < 0)
		return pf_fail(
			err, -EPERM,
			"the file system of the workspace '%s' has no idmapped mounts (before Linux 6.3 "
			"tmpfs has none): as root it cannot be shown to the command's user; copy it to a "
			"local disk, or run pinfold as its owner",
			ws->host_path);
	return pf_take_fd(&lower);
}

/* A copy whose files the command's user owns. */
static int make_copy(const struct pf_workspace_plan *ws, const struct pf_identity *who, int scratch,
		     struct pf_error *err)
{
	PF_AUTO_CLOSE int copy = openat(scratch, "copy", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = copy < 0 ? pf_fail_errno(err, "cannot open the copy of the workspace")
			 : pf_workspace_copy(ws->fd, copy, &ws->masks, ws->owner, who->host_user,
					     who->host_group, err);

	if (r == 0)
		return pf_take_fd(&copy);
	if (r != -ENOSPC)
		return pf_wrap(err, "cannot copy the workspace '%s'", ws->host_path);
	return pf_fail(
		err, -EPERM,
		"the file system of the workspace '%s' has no idmapped mounts, so that root needs a copy of "
		"it, which does not fit in the disk limit of %llu MiB: --disk SIZE allows more, or run "
		"pinfold as its owner",
		ws->host_path, (unsigned long long)(ws->disk >> 20));
}

static int root_scratch(const struct pf_workspace_plan *ws, struct pf_error *err)
{
	const struct pf_box_spec spec = {.dirs = ws->dirs, .id = ws->id};
	int fd = ws->upper_on_image ? pf__upper_image(&spec, ws->disk, err) : make_scratch(ws, err);

	if (fd >= 0 || !ws->upper_on_image)
		return fd;
	err->code = -EPERM; /* the limit that was written cannot be held */
	return pf_wrap(
		err,
		"the disk limit of %llu MiB is more than memory allows and needs a file system of its own",
		(unsigned long long)(ws->disk >> 20));
}

int pf__workspace_mount_root(struct pf_workspace_plan *ws, const struct pf_identity *who,
			     struct pf_error *err)
{
	PF_AUTO_CLOSE int scratch = -1, lower = -1, mask = -1;
	int overlay, r;

	if (ws->mode == PF_WS_LIVE) {
		overlay = map_lower(ws, who, ws->attr, err);
		return overlay < 0 ? overlay : (ws->overlay_fd = overlay, 0);
	}
	scratch = root_scratch(ws, err);
	if (scratch < 0)
		return scratch;
	if ((r = fill_scratch(ws, scratch, who->host_user, who->host_group, err)) < 0)
		return r;
	lower = ws->copied ? make_copy(ws, who, scratch, err) : map_lower(ws, who, 0, err);
	if (lower < 0)
		return lower;
	mask = openat(scratch, "mask", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ws->masks.count && (r = pf_mask_build(mask, ws->fd, &ws->masks, ws->owner, who->host_user,
						  who->host_group, err)) < 0)
		return r;
	overlay = make_overlay(ws, scratch, lower, root_options, err);
	if (overlay < 0)
		overlay = overlay_in_private_namespace(ws, scratch, lower, err);
	if (overlay < 0)
		return pf_wrap(err, "workspace");
	ws->overlay_fd = overlay;
	ws->scratch_fd = pf_take_fd(&scratch);
	return 0;
}

/* --- as a user, in the child --------------------------------------------------------- */

static const char *const user_options[] = {"userxattr", NULL};

int pf__workspace_mount_child(struct pf_workspace_plan *ws, const struct pf_identity *who,
			      struct pf_error *err)
{
	PF_AUTO_CLOSE int scratch = -1, lower = -1, mask = -1, overlay = -1;
	int r;

	if (ws->mode == PF_WS_LIVE) {
		lower = clone_lower(ws, err);
		if (lower < 0 || pf_mount_attr(lower, ws->attr, 0, -1, err) < 0)
			return err->code;
		return pf_take_fd(&lower);
	}
	scratch = ws->upper_on_disk ? pf_mount_clone(AT_FDCWD, ws->scratch_path, err) : make_scratch(ws, err);
	if (scratch < 0)
		return scratch;
	/* Before Linux 6.15 layers must be attached in this namespace: over the old /dev, which goes with the
	 * old root. */
	if ((r = pf_mount_attach(scratch, AT_FDCWD, "/dev", err)) < 0)
		return pf_wrap(err, "workspace");
	if ((r = fill_scratch(ws, scratch, who->user, who->group, err)) < 0 ||
	    (lower = clone_lower(ws, err)) < 0)
		return err->code;
	mask = openat(scratch, "mask", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ws->masks.count &&
	    (r = pf_mask_build(mask, lower, &ws->masks, who->user, who->user, who->group, err)) < 0)
		return r;
	if ((r = pf_mount_attach(lower, scratch, "lower", err)) < 0)
		return r;
	overlay = make_overlay(ws, scratch, lower, user_options, err);
	if (overlay == -EINVAL) /* clone_private_mount(): it would show what the mounts cover */
		return pf_fail(err, -EINVAL,
			       "the workspace '%s' cannot be an overlay's layer; is another file system "
			       "mounted within "
			       "it? As an ordinary user only rw,live goes then",
			       ws->host_path);
	if (overlay < 0)
		return pf_wrap(err, "workspace");
	ws->scratch_fd = openat(scratch, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return pf_take_fd(&overlay);
}
