/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacking an image, where a host may not mount it. Every file is made new (O_EXCL and its like) in a
 * directory that was made new and is held by descriptor, so nothing that the image names is ever followed.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "erofs/unpack_internal.h"

#define REPORT_EACH (4u << 20) /* bytes between two reports of progress */

int pf__unpack_fail(struct pf__unpacker *u, const struct pf_erofs_visit *v, const char *what)
{
	char shown[200];
	int code = errno;

	pf_printable(v->path, strlen(v->path), shown, sizeof(shown));
	errno = code;
	return pf_fail_errno(u->err, "unpacking %s: %s", *shown ? shown : "/", what);
}

/* The directory that the visited file is in. */
static int parent_of(const struct pf__unpacker *u, const struct pf_erofs_visit *v)
{
	return u->fds[v->depth - 1];
}

static void report(struct pf__unpacker *u, bool last)
{
	uint64_t total = u->fs->blocks << 12, done = u->how->bytes;

	if (!u->how->progress || (!last && done - u->told < REPORT_EACH))
		return;
	u->told = done;
	/* Holes and metadata are in the total, and chunks may come twice: only the end is exact. */
	u->how->progress(u->how->user, last || done > total ? total : done, total);
}

/* --- directories ---------------------------------------------------------- */

static int open_dir(struct pf__unpacker *u, const struct pf_erofs_visit *v)
{
	int fd;

	if (v->depth == 0) /* what leaves it closes it */
		fd = fcntl(u->top, F_DUPFD_CLOEXEC, 0);
	else
		fd = openat(parent_of(u, v), v->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return pf__unpack_fail(u, v, "cannot open the directory");
	u->fds[v->depth] = fd;
	u->depth = v->depth + 1;
	return 0;
}

static void close_dir(struct pf__unpacker *u, const struct pf_erofs_visit *v)
{
	close(u->fds[v->depth]);
	u->depth = v->depth;
}

/* Closed to others until it is whole, and open to us whatever its mode will be. */
static int make_dir(struct pf__unpacker *u, const struct pf_erofs_visit *v)
{
	if (v->depth > 0 && mkdirat(parent_of(u, v), v->name, 0700) < 0)
		return pf__unpack_fail(u, v, "cannot make the directory");
	return open_dir(u, v);
}

static int leave_dir(void *user, const struct pf_erofs_visit *v)
{
	close_dir(user, v);
	return 0;
}

/* The second walk is over directories alone: their modes may shut us out, and until all hard links were made
 * any of them may be needed. */
static int enter_again(void *user, const struct pf_erofs_visit *v)
{
	return S_ISDIR(v->inode->mode) ? open_dir(user, v) : 0;
}

static int finish_dir(void *user, const struct pf_erofs_visit *v)
{
	struct pf__unpacker *u = user;
	int r = pf__unpack_attributes(u, v, u->fds[v->depth], u->fds[v->depth], ".");

	close_dir(u, v);
	return r;
}

/* --- files ---------------------------------------------------------------- */

static int write_run(struct pf__unpacker *u, const struct pf_erofs_visit *v, int fd, const uint8_t *from,
		     uint64_t n, uint64_t offset)
{
	while (n > 0) {
		size_t part = n < REPORT_EACH ? (size_t)n : REPORT_EACH;
		ssize_t w = pwrite(fd, from, part, (off_t)offset);

		if (w < 0 && errno == EINTR)
			continue;
		if (w == 0)
			errno = ENOSPC;
		if (w <= 0)
			return pf__unpack_fail(u, v, "cannot write");
		from += w;
		offset += (uint64_t)w;
		n -= (uint64_t)w;
		u->how->bytes += (uint64_t)w;
		report(u, false);
	}
	return 0;
}

static int write_content(struct pf__unpacker *u, const struct pf_erofs_visit *v, int fd)
{
	const struct pf_erofs_inode *i = v->inode;
	uint64_t offset = 0, end = 0;

	while (offset < i->size) {
		const uint8_t *at;
		uint64_t n;
		int r = pf_erofs_run(u->fs, i, offset, &at, &n, u->err);

		if (r < 0)
			return r;
		if (at && u->how->bytes_max && n > u->how->bytes_max - u->how->bytes)
			return pf_fail(u->err, -EFBIG, "the image unpacks to more than %llu bytes",
				       (unsigned long long)u->how->bytes_max);
		r = at ? write_run(u, v, fd, at, n, offset) : 0;
		if (r < 0)
			return r;
		offset += n;
		if (at)
			end = offset;
	}
	/* A hole at the end needs the size said. */
	if (end < i->size && ftruncate(fd, (off_t)i->size) < 0)
		return pf__unpack_fail(u, v, "cannot set its size");
	return 0;
}

static int make_file(struct pf__unpacker *u, const struct pf_erofs_visit *v)
{
	PF_AUTO_CLOSE int fd = openat(parent_of(u, v), v->name,
				      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);
	int r;

	if (fd < 0)
		return pf__unpack_fail(u, v, "cannot make the file");
	r = write_content(u, v, fd);
	return r < 0 ? r : pf__unpack_attributes(u, v, fd, parent_of(u, v), v->name);
}

static int make_symlink(struct pf__unpacker *u, const struct pf_erofs_visit *v)
{
	char target[4096];
	int64_t n = pf_erofs_pread(u->fs, v->inode, target, sizeof(target) - 1, 0, u->err);

	if (n < 0)
		return (int)n;
	target[n] = '\0';
	if (strlen(target) != (size_t)n)
		return pf_fail(u->err, -EUCLEAN, "the image is damaged: a symbolic link with a NUL in it");
	if (symlinkat(target, parent_of(u, v), v->name) < 0)
		return pf__unpack_fail(u, v, "cannot make the symbolic link");
	return pf__unpack_attributes(u, v, -1, parent_of(u, v), v->name);
}

static int make_special(struct pf__unpacker *u, const struct pf_erofs_visit *v)
{
	mode_t type = v->inode->mode & S_IFMT;

	if (mknodat(parent_of(u, v), v->name, type | 0600, (dev_t)v->inode->rdev) < 0) {
		if (errno != EPERM || !(S_ISCHR(type) || S_ISBLK(type)))
			return pf__unpack_fail(u, v, "cannot make the special file");
		u->how->left_out++;
		return 0;
	}
	return pf__unpack_attributes(u, v, -1, parent_of(u, v), v->name);
}

static int make_link(struct pf__unpacker *u, const struct pf_erofs_visit *v)
{
	const char *leaf;
	PF_AUTO_CLOSE int dir = pf_open_parent(u->top, v->linked, &leaf);

	if (dir < 0) {
		errno = -dir;
		return pf__unpack_fail(u, v, "cannot reach what it is linked to");
	}
	if (linkat(dir, leaf, parent_of(u, v), v->name, 0) == 0)
		return 0;
	/* A device that was left out, under its second name. */
	if (errno == ENOENT && (S_ISCHR(v->inode->mode) || S_ISBLK(v->inode->mode))) {
		u->how->left_out++;
		return 0;
	}
	return pf__unpack_fail(u, v, "cannot make the hard link");
}

static int make(void *user, const struct pf_erofs_visit *v)
{
	struct pf__unpacker *u = user;

	u->how->files++;
	if (S_ISDIR(v->inode->mode))
		return make_dir(u, v);
	if (v->linked)
		return make_link(u, v);
	if (S_ISREG(v->inode->mode))
		return make_file(u, v);
	if (S_ISLNK(v->inode->mode))
		return make_symlink(u, v);
	return make_special(u, v);
}

/* --- the whole ------------------------------------------------------------ */

static int check_empty(int dir_fd, struct pf_error *err)
{
	PF_AUTO_DIR DIR *d = NULL;
	struct dirent *e;
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return pf_fail_errno(err, "cannot open the directory to unpack into");
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return pf_fail_errno(err, "cannot read the directory to unpack into");
	}
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return pf_fail(err, -ENOTEMPTY, "the directory to unpack into is not empty");
	}
	return 0;
}

int pf_erofs_unpack(const struct pf_erofs *fs, int dir_fd, struct pf_unpack *how, struct pf_error *err)
{
	struct pf__unpacker u = {.fs = fs, .how = how, .err = err};
	PF_AUTO_CLOSE int top = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = top < 0 ? pf_fail_errno(err, "cannot open the directory to unpack into") : 0;

	if (r == 0)
		r = check_empty(top, err);
	if (r < 0)
		return r;
	u.top = top;
	how->files = how->bytes = how->left_out = 0;
	how->owners_kept = true;
	r = pf_erofs_walk(fs, make, leave_dir, &u, err);
	if (r == 0)
		r = pf_erofs_walk(fs, enter_again, finish_dir, &u, err);
	while (u.depth > 0) /* what a failure left open */
		close(u.fds[--u.depth]);
	if (r == 0)
		report(&u, true);
	return r;
}
