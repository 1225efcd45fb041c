/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts by descriptor; see mount.h. */
#include "linux/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#define OPEN_TREE_CLONE_     1
#define OPEN_TREE_CLOEXEC_   O_CLOEXEC
#define MOVE_F_EMPTY_PATH    0x00000004
#define MOVE_T_EMPTY_PATH    0x00000040
#define FSOPEN_CLOEXEC_	     1
#define FSMOUNT_CLOEXEC_     1
#define FSCONFIG_SET_FLAG_   0
#define FSCONFIG_SET_STRING_ 1
#define FSCONFIG_CMD_CREATE_ 6

struct mount_attr_ {
	uint64_t attr_set, attr_clr, propagation, userns_fd;
};

int pf_mount_clone(int dirfd, const char *path, struct pf_error *err)
{
	unsigned flags = OPEN_TREE_CLONE_ | OPEN_TREE_CLOEXEC_ | AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW;
	int fd = (int)syscall(SYS_open_tree, dirfd, path, flags);

	if (fd < 0 && errno == EINVAL) /* locked submounts beneath: mnt_namespaces(7), "restrictions" */
		fd = (int)syscall(SYS_open_tree, dirfd, path, flags | AT_RECURSIVE);
	if (fd < 0)
		return pf_fail_errno(err, "cannot copy the mount at '%s'", path);
	return fd;
}

int pf_mount_attr(int mount_fd, uint64_t set, uint64_t clear, int userns_fd, struct pf_error *err)
{
	struct mount_attr_ attr = {set, clear, 0, userns_fd < 0 ? 0 : (uint64_t)userns_fd};

	if (syscall(SYS_mount_setattr, mount_fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return pf_fail_errno(err, "cannot set mount attributes 0x%llx", (unsigned long long)set);
	return 0;
}

static int set_option(int fs, const char *option)
{
	char key[32];
	const char *eq = strchr(option, '=');
	size_t n = eq ? (size_t)(eq - option) : strlen(option);

	if (n >= sizeof(key)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(key, option, n);
	key[n] = '\0';
	return (int)syscall(SYS_fsconfig, fs, eq ? FSCONFIG_SET_STRING_ : FSCONFIG_SET_FLAG_, key,
			    eq ? eq + 1 : NULL, 0);
}

int pf_mount_new(const char *type, const char *const *options, uint64_t attr, struct pf_error *err)
{
	PF_AUTO_CLOSE int fs = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC_);
	int fd;

	if (fs < 0)
		return pf_fail_errno(err, "this kernel offers no %s file system", type);
	for (; options && *options; options++)
		if (set_option(fs, *options) < 0)
			return pf_fail_errno(err, "%s refuses the option '%s'", type, *options);
	if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE_, NULL, NULL, 0) < 0)
		return pf_fail_errno(err, "cannot make a %s file system", type);
	fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC_, (unsigned)attr);
	if (fd < 0)
		return pf_fail_errno(err, "cannot mount %s", type);
	return fd;
}

int pf_mount_attach(int mount_fd, int dirfd, const char *path, struct pf_error *err)
{
	unsigned flags = MOVE_F_EMPTY_PATH | (*path ? 0 : MOVE_T_EMPTY_PATH); /* T_SYMLINKS stays off */

	if (syscall(SYS_move_mount, mount_fd, "", dirfd, path, flags) < 0)
		return pf_fail_errno(err, "cannot attach a mount at '%s'", path);
	return 0;
}

int pf_mount_pivot(int new_root_fd, struct pf_error *err)
{
	if (fchdir(new_root_fd) < 0)
		return pf_fail_errno(err, "cannot enter the new root");
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return pf_fail_errno(err, "pivot_root");
	/* the old root now lies on top of the new one, at "." (pivot_root(2), "pivot_root(".", ".")") */
	if (umount2(".", MNT_DETACH) < 0)
		return pf_fail_errno(err, "cannot detach the old root");
	if (chdir("/") < 0)
		return pf_fail_errno(err, "cannot enter the new root");
	return 0;
}

int pf_mount_private(struct pf_error *err)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return pf_fail_errno(err, "cannot make the mounts private");
	return 0;
}

int pf_mount_readonly(int mount_fd, struct pf_error *err)
{
	struct mount_attr_ attr = {PF_MNT_RDONLY, 0, 0, 0};

	if (syscall(SYS_mount_setattr, mount_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return pf_fail_errno(err, "cannot make a mount read-only");
	return 0;
}
