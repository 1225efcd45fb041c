/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts by descriptor: the mount API of Linux 5.2 (fsopen, fsmount, open_tree, move_mount,
 * mount_setattr), so that no target is ever named by a path that somebody could have swapped
 * (CVE-2021-30465, CVE-2019-18837). Functions return a descriptor of a detached mount, or -errno.
 */
#ifndef PF_LINUX_MOUNT_H
#define PF_LINUX_MOUNT_H

#include <stdint.h>

#include "base/error.h"

/* linux/mount.h clashes with sys/mount.h in musl: the few values that we need */
#define PF_MNT_RDONLY 0x00000001u
#define PF_MNT_NOSUID 0x00000002u
#define PF_MNT_NODEV  0x00000004u
#define PF_MNT_NOEXEC 0x00000008u
#define PF_MNT_IDMAP  0x00100000u

/* A detached copy of what is mounted at dirfd/path ("" for dirfd itself). Submounts are left out
 * unless the kernel refuses that: a mount namespace of a user namespace may not show what a mount
 * covers, so there they come along. */
int pf_mount_clone(int dirfd, const char *path, struct pf_error *err);
/* mount_setattr(2) on a detached mount and all beneath it. userns_fd: with PF_MNT_IDMAP, else -1. */
int pf_mount_attr(int mount_fd, uint64_t set, uint64_t clear, int userns_fd, struct pf_error *err);
/* This one mount read-only, attached or not, and nothing beneath it. */
int pf_mount_readonly(int mount_fd, struct pf_error *err);
/* A new file system, detached. options: "key=value" or "flag", NULL-terminated. attr: PF_MNT_*. */
int pf_mount_new(const char *type, const char *const *options, uint64_t attr, struct pf_error *err);
/* Attach at dirfd/path, never through a symbolic link in its last component ("" for dirfd itself). */
int pf_mount_attach(int mount_fd, int dirfd, const char *path, struct pf_error *err);
/* pivot_root into new_root_fd, detach the old root, chdir to the new. */
int pf_mount_pivot(int new_root_fd, struct pf_error *err);
/* Make every mount of this namespace private. */
int pf_mount_private(struct pf_error *err);

#endif
