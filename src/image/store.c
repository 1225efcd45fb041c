/* SPDX-License-Identifier: Apache-2.0 */
/* The image store's directory and its locks; see store.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "image/store_internal.h"

#define PATH_CAP 640 /* a state directory has at most 511 bytes */

/* Who can write STATE can put images of his own in place of ours; who can read images, other people's. */
static int open_images(const char *state, struct pf_error *err)
{
	PF_AUTO_CLOSE int above = pf_dir_own(state, 0022, err);
	char path[PATH_CAP];

	if (above < 0)
		return above;
	snprintf(path, sizeof(path), "%s/images", state);
	return pf_dir_own(path, 0077, err);
}

int pf_images_dir(const char *state, struct pf_error *err)
{
	return open_images(state, err);
}

int pf__store_open(const char *state, struct pf_error *err)
{
	char path[PATH_CAP];
	struct stat st;

	snprintf(path, sizeof(path), "%s/images", state);
	if (lstat(path, &st) < 0 && errno == ENOENT)
		return -ENOENT;
	return open_images(state, err);
}

int pf__store_lock(int images, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = openat(images, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return pf_fail_errno(err, "cannot open images/lock");
	while (flock(fd, LOCK_EX) < 0) {
		if (errno != EINTR)
			return pf_fail_errno(err, "cannot lock images/lock");
	}
	return pf_take_fd(&fd);
}

bool pf__store_same(int fd, int dir, const char *name)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstatat(dir, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* --- names of directories ------------------------------------------------------------ */

void pf__store_dir_name(const char *digest, char out[PF__STORE_DIR_MAX])
{
	snprintf(out, PF__STORE_DIR_MAX, "sha256-%.64s", digest + strlen("sha256:"));
}

bool pf__store_dir_digest(const char *name, char digest[PF_DIGEST_MAX])
{
	if (!pf_has_prefix(name, "sha256-") || strlen(name) != 7 + 64 || !pf__store_hex(name + 7, 64))
		return false;
	snprintf(digest, PF_DIGEST_MAX, "sha256:%s", name + 7);
	return true;
}

DIR *pf__store_dir(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);

	if (!d && copy >= 0)
		close(copy);
	return d;
}

int pf__store_read(int dir, const char *name, struct pf_buf *out)
{
	/* O_NONBLOCK: a FIFO in its place must not hold us up. */
	PF_AUTO_CLOSE int fd = pf_open_beneath(dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	return pf_read_fd(fd, out, PF__STORE_DOC_MAX);
}

/* --- holding an image ------------------------------------------------------------------ */

/* The images directory and the image's own, from i->dir. */
static int open_dirs(const struct pf_image *i, int *images, const char **name)
{
	const char *slash = strrchr(i->dir, '/');
	char parent[PATH_CAP];

	if (!slash || (size_t)(slash - i->dir) >= sizeof(parent))
		return -EINVAL;
	memcpy(parent, i->dir, (size_t)(slash - i->dir));
	parent[slash - i->dir] = '\0';
	*images = open(parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	*name = slash + 1;
	return *images < 0 ? -errno : 0;
}

/* The lock is that of the directory's inode: one that was removed while we waited is no hold on what stands
 * at its name now. */
static int hold(int images, const char *name)
{
	PF_AUTO_CLOSE int dir = pf_open_beneath(images, name, O_RDONLY | O_DIRECTORY, 0);
	PF_AUTO_CLOSE int fd = -1;

	if (dir < 0)
		return dir;
	fd = pf_open_beneath(dir, "lock", O_RDONLY, 0);
	if (fd < 0)
		return fd;
	while (flock(fd, LOCK_SH) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	if (!pf__store_same(dir, images, name) || !pf__store_same(fd, dir, "lock"))
		return -ENOENT;
	return pf_take_fd(&fd);
}

int pf_image_hold(const struct pf_image *i, struct pf_error *err)
{
	PF_AUTO_CLOSE int images = -1;
	const char *name;
	int r = open_dirs(i, &images, &name);

	if (r == 0)
		r = hold(images, name);
	if (r == -ENOENT)
		return pf_fail(err, r, "the image %s was removed meanwhile", i->digest);
	if (r < 0)
		return pf_fail(err, r, "cannot hold the image %s: %s/lock: %s", i->digest, i->dir,
			       strerror(-r));
	return r;
}

/* Under the store's lock, so that two who ask at once do not find each other. */
bool pf_image_held(const struct pf_image *i)
{
	PF_AUTO_CLOSE int images = -1, store = -1, dir = -1, fd = -1;
	const char *name;

	if (open_dirs(i, &images, &name) < 0)
		return false;
	dir = pf_open_beneath(images, name, O_RDONLY | O_DIRECTORY, 0);
	fd = dir < 0 ? dir : pf_open_beneath(dir, "lock", O_RDONLY, 0);
	if (fd < 0)
		return false;
	store = pf__store_lock(images, NULL);
	return flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}
