/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File operations, run in a launcher instead of a command: under the command's id, its mounts, Landlock
 * and both filters, with stdin and stdout as the way in and out. The exit code is 0 or an errno.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "init/init.h"

static int copy(int from, int to)
{
	static char bytes[65536];

	for (;;) {
		ssize_t n = read(from, bytes, sizeof(bytes));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : 0;
		if (pf_write_full(to, bytes, (size_t)n) < 0)
			return errno ? errno : EIO;
	}
}

static int read_file(const char *path)
{
	PF_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? EISDIR : EINVAL; /* a FIFO or a device would have no end */
	return copy(fd, 1);
}

static int write_file(const char *path)
{
	PF_AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0666);

	return fd < 0 ? errno : copy(0, fd);
}

static int list(const char *path)
{
	PF_AUTO_DIR DIR *d = opendir(path);
	struct dirent *e;

	if (!d)
		return errno;
	while ((errno = 0, e = readdir(d))) {
		uint8_t type = e->d_type;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (pf_write_full(1, &type, 1) < 0 || pf_write_full(1, e->d_name, strlen(e->d_name) + 1) < 0)
			return EIO;
	}
	return errno;
}

static void put(uint8_t **p, uint64_t v, unsigned bytes)
{
	while (bytes--) {
		*(*p)++ = (uint8_t)v;
		v >>= 8;
	}
}

static int tell(const struct stat *st)
{
	uint8_t out[28], *p = out;

	put(&p, st->st_mode, 4);
	put(&p, st->st_uid, 4);
	put(&p, st->st_gid, 4);
	put(&p, (uint64_t)st->st_size, 8);
	put(&p, (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec, 8);
	return pf_write_full(1, out, sizeof(out)) < 0 ? EIO : 0;
}

static int stat_file(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 ? errno : tell(&st);
}

static int stat_beneath(const char *path)
{
	PF_AUTO_CLOSE int fd = pf_openat2(AT_FDCWD, path, O_PATH, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
	struct stat st;

	if (fd < 0)
		return -fd;
	return fstat(fd, &st) < 0 ? errno : tell(&st);
}

static int remove_file(const char *path)
{
	PF_AUTO_CLOSE int parent = -1;
	const char *slash = strrchr(path, '/');
	char dir[PF_WIRE_PATH_MAX] = ".";
	struct stat st;
	int r;

	if (lstat(path, &st) < 0)
		return errno;
	if (!S_ISDIR(st.st_mode))
		return unlink(path) < 0 ? errno : 0;
	if (slash)
		memcpy(dir, path, (size_t)(slash - path) + 1), dir[slash - path + 1] = '\0';
	parent = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0)
		return errno;
	r = pf_remove_tree(parent, slash ? slash + 1 : path);
	return r < 0 ? -r : 0;
}

int in__fileop(uint8_t op, const char *path)
{
	if (strlen(path) >= PF_WIRE_PATH_MAX - 2)
		return ENAMETOOLONG;
	switch (op) {
	case PF_OP_READ:
		return read_file(path);
	case PF_OP_WRITE:
		return write_file(path);
	case PF_OP_LIST:
		return list(path);
	case PF_OP_STAT:
		return stat_file(path);
	case PF_OP_BENEATH:
		return stat_beneath(path);
	case PF_OP_MKDIR:
		return mkdir(path, 0777) < 0 ? errno : 0;
	case PF_OP_REMOVE:
		return remove_file(path);
	}
	return EINVAL;
}
