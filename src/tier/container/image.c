/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways to an image's tree: its EROFS file mounted from the file (Linux 6.12, and a file system that can
 * back one), or through a loop device, both as the host's root; else unpacked, which pinfold-image does once.
 * Each is tried by doing it. Everything is looked up through one function that never leaves the image.
 */
#include "tier/container/image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "image/program.h"
#include "linux/loopdev.h"
#include "linux/mount.h"
#include "tier/container/container.h"

const char *pf__image_way_name(enum pf_image_way way)
{
	static const char *const names[PF_IMAGE_WAYS] = {"erofs file", "erofs loop", "unpacked"};

	return names[way];
}

static int damaged(const struct pf_box_spec *spec, int code, const char *what, struct pf_error *err)
{
	return pf_fail(err, code,
		       "the image '%s' cannot be read: %s; `pinfold image inspect --verify %s` tells what of "
		       "it is damaged",
		       spec->policy->image, what, spec->policy->image);
}

/* --- from its file ----------------------------------------------------------------------- */

/* Else the kernel's word for it is the same as for what it lacks itself (EINVAL), and another way would be
 * tried. */
static bool has_superblock(int fd)
{
	static const uint8_t magic[4] = {0xe2, 0xe1, 0xf5, 0xe0}; /* fs/erofs/erofs_fs.h of Linux */
	uint8_t is[4];

	return pread(fd, is, sizeof(is), 1024) == (ssize_t)sizeof(is) && memcmp(is, magic, sizeof(is)) == 0;
}

static int open_erofs(const struct pf_box_spec *spec, const struct pf_image *image, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = -1;
	char path[640];
	struct stat st;

	snprintf(path, sizeof(path), "%s/image.erofs", image->dir);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return damaged(spec, -errno, strerror(errno), err);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != image->size)
		return damaged(spec, -EBADMSG, "image.erofs is not the file that was imported", err);
	if (!has_superblock(fd))
		return damaged(spec, -EBADMSG, "image.erofs is no EROFS image", err);
	return pf_take_fd(&fd);
}

static uint64_t attributes(const struct pf_box_spec *spec)
{
	return PF_MNT_RDONLY | pf__safe(spec->breaks);
}

static int mount_file(int file, uint64_t attr, struct pf_error *err)
{
	char source[64];
	const char *options[] = {source, NULL};

	snprintf(source, sizeof(source), "source=/proc/self/fd/%d", file);
	return pf_mount_new("erofs", options, attr, err);
}

static int mount_loop(int file, uint64_t attr, struct pf_error *err)
{
	char path[PF_LOOP_PATH_MAX], source[48];
	const char *options[] = {source, "ro", NULL};
	PF_AUTO_CLOSE int loop = pf_loop_attach(file, true, path, err);

	if (loop < 0)
		return loop;
	snprintf(source, sizeof(source), "source=%s", path);
	return pf_mount_new("erofs", options, attr, err);
}

/* --- unpacked ------------------------------------------------------------------------------ */

static int find_unpacked(const struct pf_box_spec *spec, struct pf_image_root *img, struct pf_error *err)
{
	struct stat st;

	snprintf(img->path, sizeof(img->path), "%s/root", img->image->dir);
	if (lstat(img->path, &st) == 0)
		return S_ISDIR(st.st_mode)
			       ? 0
			       : damaged(spec, -ENOTDIR, "its unpacked tree is no directory", err);
	if (errno != ENOENT)
		return damaged(spec, -errno, strerror(errno), err);
	return pf_image_program(spec->dirs, "unpack", img->image->digest, spec->progress, err);
}

/* As root a detached mount of it, as a user the directory: his child makes the mount. */
static int open_unpacked(const struct pf_box_spec *spec, bool host_root, struct pf_image_root *img,
			 struct pf_error *err)
{
	int r = find_unpacked(spec, img, err);

	if (r < 0)
		return r;
	if (!host_root) {
		r = open(img->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		return r < 0 ? damaged(spec, -errno, strerror(errno), err) : r;
	}
	return pf_mount_clone(AT_FDCWD, img->path, err);
}

/* --- the ways --------------------------------------------------------------------------------- */

/* What the kernel says of an image that it began to read. Everything else is of the host. */
static bool tells_damage(int code)
{
	return code == -EBADMSG || code == -EUCLEAN || code == -EIO;
}

static int try_way(const struct pf_box_spec *spec, struct pf_image_root *img, enum pf_image_way way,
		   struct pf_error *err)
{
	PF_AUTO_CLOSE int file = -1;
	int fd, r;

	if ((way == PF_IMAGE_FILE && pf__broken(spec->breaks, "erofs_file")) ||
	    (way == PF_IMAGE_LOOP && pf__broken(spec->breaks, "erofs_loop")))
		return pf_fail(err, -ENODEV, "switched off");
	if (way == PF_IMAGE_UNPACKED) {
		fd = open_unpacked(spec, true, img, err);
		if (fd >= 0 && (r = pf_mount_attr(fd, attributes(spec), 0, -1, err)) < 0) {
			close(fd);
			return r;
		}
		return fd;
	}
	if ((file = open_erofs(spec, img->image, err)) < 0)
		return file;
	return way == PF_IMAGE_FILE ? mount_file(file, attributes(spec), err)
				    : mount_loop(file, attributes(spec), err);
}

static int first_way_from(const struct pf_box_spec *spec, struct pf_image_root *img, unsigned way,
			  struct pf_error *err)
{
	struct pf_error why = {0};

	for (; way < PF_IMAGE_WAYS; way++) {
		int fd = try_way(spec, img, (enum pf_image_way)way, &why);

		if (fd >= 0) {
			img->fd = fd;
			img->way = (enum pf_image_way)way;
			return 0;
		}
		if (way != PF_IMAGE_UNPACKED && tells_damage(fd))
			return damaged(spec, fd, strerror(-fd), err);
	}
	return pf_fail(err, why.code, "%s", why.msg);
}

int pf__image_next_way(const struct pf_box_spec *spec, struct pf_image_root *img, struct pf_error *err)
{
	if (img->way == PF_IMAGE_UNPACKED)
		return pf_fail(err, -ENODEV, "there is no other way to this image");
	close(pf_take_fd(&img->fd));
	return first_way_from(spec, img, img->way + 1u, err);
}

int pf__image_open(const struct pf_box_spec *spec, bool host_root, struct pf_image_root *out,
		   struct pf_error *err)
{
	struct pf_image_root img = PF_IMAGE_ROOT_NONE;
	int r = 0;

	img.image = spec->image;
	img.root_cow = spec->policy->root_cow;
	if (host_root) {
		r = first_way_from(spec, &img, PF_IMAGE_FILE, err);
	} else {
		img.way = PF_IMAGE_UNPACKED;
		img.fd = r = open_unpacked(spec, false, &img, err);
	}
	if (r < 0)
		return r;
	*out = img;
	return 0;
}

void pf__image_root_free(struct pf_image_root *img)
{
	size_t i;

	if (img->fd >= 0)
		close(img->fd);
	if (img->stage_fd >= 0)
		close(img->stage_fd);
	free(img->view);
	pf_buf_free(&img->passwd);
	pf_buf_free(&img->group);
	for (i = 0; i < img->count; i++) {
		free(img->items[i].path);
		free(img->items[i].text);
	}
	free(img->items);
	*img = PF_IMAGE_ROOT_NONE;
}

void pf__image_share(struct pf_image_root *img, uint64_t *temp_bytes)
{
	if (!img->root_cow && !img->home_cow)
		return;
	img->bytes = *temp_bytes / 2;
	*temp_bytes -= img->bytes;
}

/* --- looking into it --------------------------------------------------------------------------- */

int pf__image_openat(const struct pf_box_spec *spec, const struct pf_image_root *img, const char *path,
		     int flags)
{
	if (!(flags & O_PATH))
		flags |= O_NONBLOCK | O_NOCTTY; /* what is called passwd may be a FIFO */
	if (pf__broken(spec->breaks, "image_beneath")) {
		int fd = openat(img->fd, path, flags | O_CLOEXEC);

		return fd < 0 ? -errno : fd;
	}
	return pf_openat2(img->fd, path, flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);
}

int pf__image_read(const struct pf_box_spec *spec, const struct pf_image_root *img, const char *path,
		   size_t max, struct pf_buf *out)
{
	PF_AUTO_CLOSE int fd = pf__image_openat(spec, img, path, O_RDONLY);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? pf_read_fd(fd, out, max) : -EINVAL;
}

int pf__home_open(const struct pf_box_spec *spec, int at, const char *path, int flags)
{
	path += strspn(path, "/");
	if (pf__broken(spec->breaks, "image_beneath")) {
		int fd = openat(at, path, flags | O_CLOEXEC);

		return fd < 0 ? -errno : fd;
	}
	return pf_open_beneath(at, path, flags, 0);
}
