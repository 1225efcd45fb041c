/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors before paths. A path is resolved once, with openat2, and from
 * then on is a descriptor. Everything here sets O_CLOEXEC.
 */
#ifndef PF_BASE_FD_H
#define PF_BASE_FD_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct pf_buf;

/* openat2(2). resolve: RESOLVE_* of linux/openat2.h. O_CLOEXEC is added.
 * Returns a descriptor or -errno; retries EINTR, and EAGAIN (a racing rename) 16 times. */
int pf_openat2(int dirfd, const char *path, int flags, mode_t mode, uint64_t resolve);

/* Beneath dirfd, no symlinks at all, no magic links, no ".." escape (mounts may be crossed).
 * The function for every path that came from inside a sandbox. "" and "." are the directory itself. */
int pf_open_beneath(int dirfd, const char *path, int flags, mode_t mode);

/* The parent directory of a relative path, opened O_PATH|O_DIRECTORY by pf_open_beneath(), and
 * a pointer into path to its last component. -EINVAL for "", ".", "..", trailing slash or absolute paths. */
int pf_open_parent(int dirfd, const char *path, const char **leaf);

ssize_t pf_read_full(int fd, void *p, size_t n);    /* bytes read (short only at EOF) or -errno */
int pf_write_full(int fd, const void *p, size_t n); /* 0 or -errno */
/* Read a whole file of at most max bytes into b (appended). -EFBIG if it is longer. */
int pf_read_fd(int fd, struct pf_buf *b, size_t max);
int pf_read_file(int dirfd, const char *path, struct pf_buf *b, size_t max);
/* One write(2) of a string to an existing file (/proc, cgroup): no O_CREAT, a short write is -EIO. */
int pf_write_file(int dirfd, const char *path, const char *text);
/* Create path atomically with these bytes (temporary name in the same directory, rename). */
int pf_replace_file(int dirfd, const char *path, const void *p, size_t n, mode_t mode);
int pf_mkdir_p(const char *path, mode_t mode); /* absolute path; existing directories are fine */
/* Remove a tree beneath dirfd by descriptors, never through a symlink nor a mount point; makes
 * directories that it owns accessible first (overlayfs leaves work/work with mode 000).
 * 0 also when it is not there. */
int pf_remove_tree(int dirfd, const char *name);
int pf_set_nonblock(int fd, int on);
int pf_close_from(unsigned int first); /* close_range(2), falls back to /proc/self/fd */
uint64_t pf_now_ns(void);	       /* CLOCK_MONOTONIC, nanoseconds */
void pf_random(void *p, size_t n);     /* getrandom(2); cannot fail short of a kernel without it (abort) */

#endif
