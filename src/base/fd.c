/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: opening, whole reads and writes, small files, clock and randomness. */
#include "base/fd.h"

#include <errno.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"

/* Neither libc has a wrapper; close_range(2) is 5.9's and not in musl. */
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

#define AGAIN_MAX  16
#define READ_CHUNK 65536

int pf_openat2(int dirfd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	struct open_how how = {.flags = (unsigned int)(flags | O_CLOEXEC), .resolve = resolve};
	int again = 0;

	/* Unlike open(2) the call refuses a mode that nothing would use. */
	if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE)
		how.mode = mode;
	for (;;) {
		long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

		if (fd >= 0)
			return (int)fd;
		/* EAGAIN: a rename raced with "..", and the kernel could not rule out an escape. */
		if (errno != EINTR && (errno != EAGAIN || ++again > AGAIN_MAX))
			return -errno;
	}
}

int pf_open_beneath(int dirfd, const char *path, int flags, mode_t mode)
{
	return pf_openat2(dirfd, *path ? path : ".", flags, mode,
			  RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

int pf_open_parent(int dirfd, const char *path, const char **leaf)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char parent[PATH_MAX];
	size_t n = (size_t)(name - path);
	int fd;

	if (*path == '/' || *name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EINVAL;
	if (n >= sizeof(parent))
		return -ENAMETOOLONG;
	memcpy(parent, path, n);
	parent[n] = '\0';
	fd = pf_open_beneath(dirfd, parent, O_PATH | O_DIRECTORY, 0);
	if (fd >= 0)
		*leaf = name;
	return fd;
}

/*
 * O_NONBLOCK belongs to the open file, which others may share: whoever set it on our
 * terminal must not make us lose output. So "full" waits where the descriptor would not.
 */
static int wait_again(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	if (errno == EINTR)
		return 0;
	if (errno != EAGAIN)
		return -errno;
	if (poll(&p, 1, -1) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

ssize_t pf_read_full(int fd, void *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = read(fd, (char *)p + done, n - done);

		if (r == 0)
			break;
		if (r > 0) {
			done += (size_t)r;
			continue;
		}
		r = wait_again(fd, POLLIN);
		if (r < 0)
			return r;
	}
	return (ssize_t)done;
}

int pf_write_full(int fd, const void *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = write(fd, (const char *)p + done, n - done);

		if (r > 0) {
			done += (size_t)r;
			continue;
		}
		r = r == 0 ? -EIO : wait_again(fd, POLLOUT);
		if (r < 0)
			return (int)r;
	}
	return 0;
}

/* Is fd at its end? 1, 0 or -errno; a byte that is there is consumed. */
static int at_end(int fd)
{
	char c;
	ssize_t r = pf_read_full(fd, &c, 1);

	return r < 0 ? (int)r : r == 0;
}

static void forget_tail(struct pf_buf *b, size_t len)
{
	b->len = len;
	if (b->data)
		b->data[len] = '\0';
}

/* Most of what is read is a short file of /proc or of a control group: it comes by way of the stack, so that
 * no large buffer is mapped, touched and unmapped for it. 0: that was all; 1: there is more. */
static int read_short(int fd, struct pf_buf *b, size_t max)
{
	char text[4096];
	size_t want = max < sizeof(text) ? max : sizeof(text);
	ssize_t got = pf_read_full(fd, text, want);
	int r;

	if (got < 0)
		return (int)got;
	r = pf_buf_add(b, text, (size_t)got);
	return r < 0 ? r : (size_t)got == want;
}

int pf_read_fd(int fd, struct pf_buf *b, size_t max)
{
	const size_t start = b->len;
	int code = -EFBIG, r;

	/* What the buffer may still hold bounds the file too, so that a small file fits a small buffer. */
	if (b->limit && max > b->limit - (b->len < b->limit ? b->len : b->limit)) {
		max = b->limit - (b->len < b->limit ? b->len : b->limit);
		code = -E2BIG;
	}
	r = read_short(fd, b, max);
	if (r <= 0) {
		if (r < 0)
			forget_tail(b, start);
		return r;
	}
	for (;;) {
		size_t left = max - (b->len - start), chunk = left < READ_CHUNK ? left : READ_CHUNK;
		ssize_t got;

		if (left == 0)
			break;
		r = pf_buf_reserve(b, chunk);
		got = r < 0 ? r : pf_read_full(fd, b->data + b->len, chunk);
		if (got < 0) {
			forget_tail(b, start);
			return (int)got;
		}
		b->len += (size_t)got;
		b->data[b->len] = '\0';
		if ((size_t)got < chunk)
			return 0;
	}
	r = at_end(fd);
	if (r > 0)
		return pf_buf_reserve(b, 0);
	forget_tail(b, start);
	return r < 0 ? r : code;
}

int pf_read_file(int dirfd, const char *path, struct pf_buf *b, size_t max)
{
	PF_AUTO_CLOSE int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return -errno;
	return pf_read_fd(fd, b, max);
}

int pf_write_file(int dirfd, const char *path, const char *text)
{
	PF_AUTO_CLOSE int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	size_t n = strlen(text);
	ssize_t r;

	if (fd < 0)
		return -errno;
	/* One call: to the kernel's files every write is a command of its own. */
	do
		r = write(fd, text, n);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return (size_t)r == n ? 0 : -EIO;
}

/* The mode is exact whatever the umask: what is written here is read by other processes of ours. */
static int write_new(int dirfd, const char *name, const void *p, size_t n, mode_t mode)
{
	PF_AUTO_CLOSE int fd =
		openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = pf_write_full(fd, p, n);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dirfd, name, 0);
	return r;
}

/*
 * Readers see the old bytes or the new ones. There is no fsync: what we keep so is state
 * of the running system, and a sandbox does not wait for the disk.
 */
int pf_replace_file(int dirfd, const char *path, const void *p, size_t n, mode_t mode)
{
	const char *slash = strrchr(path, '/');
	size_t head = slash ? (size_t)(slash - path) + 1 : 0;
	char temporary[PATH_MAX];
	uint64_t tag;
	int r;

	if (path[head] == '\0')
		return -EINVAL;
	pf_random(&tag, sizeof(tag));
	r = snprintf(temporary, sizeof(temporary), "%.*s.pf-%016llx",
		     (int)(head < PATH_MAX ? head : PATH_MAX), path, (unsigned long long)tag);
	if ((size_t)r >= sizeof(temporary))
		return -ENAMETOOLONG;
	r = write_new(dirfd, temporary, p, n, mode);
	if (r < 0)
		return r;
	if (renameat(dirfd, temporary, dirfd, path) < 0) {
		r = -errno;
		unlinkat(dirfd, temporary, 0);
	}
	return r;
}

/* mkdir(2) that is content with a directory. Its error stands otherwise, except that what is
 * there and is no directory is ENOTDIR. */
static int make_dir(const char *path, mode_t mode)
{
	struct stat st;
	int r;

	if (mkdir(path, mode) == 0)
		return 0;
	r = -errno;
	if (r == -ENOENT || stat(path, &st) < 0)
		return r;
	if (S_ISDIR(st.st_mode))
		return 0;
	return r == -EEXIST ? -ENOTDIR : r;
}

int pf_mkdir_p(const char *path, mode_t mode)
{
	char copy[PATH_MAX];
	size_t n = strlen(path);
	int r;

	if (*path != '/')
		return -EINVAL;
	if (n >= sizeof(copy))
		return -ENAMETOOLONG;
	r = make_dir(path, mode); /* mostly the parent is there */
	if (r != -ENOENT)
		return r;
	memcpy(copy, path, n + 1);
	for (char *p = copy + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		r = make_dir(copy, mode);
		if (r < 0)
			return r;
		*p = '/';
	}
	return make_dir(path, mode);
}

int pf_set_nonblock(int fd, int on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	if (fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

/* For hosts whose seccomp filter or kernel knows no close_range. */
static int close_listed(unsigned int first)
{
	PF_AUTO_DIR DIR *d = opendir("/proc/self/fd");
	struct dirent *e;

	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		char *end;
		unsigned long fd = strtoul(e->d_name, &end, 10);

		if (end != e->d_name && *end == '\0' && fd >= first && fd != (unsigned long)dirfd(d))
			close((int)fd);
	}
	return 0;
}

int pf_close_from(unsigned int first)
{
	if (syscall(SYS_close_range, first, ~0U, 0U) == 0)
		return 0;
	return close_listed(first);
}

uint64_t pf_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void pf_random(void *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = getrandom((char *)p + done, n - done, 0);

		if (r > 0)
			done += (size_t)r;
		else if (r == 0 || errno != EINTR)
			abort(); /* no name and no token may be guessable */
	}
}
