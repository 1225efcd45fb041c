/* SPDX-License-Identifier: Apache-2.0 */
/* Adding and naming images; see store_write.h. */
#include "image/store_write.h"

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
#include "image/store_internal.h"

#define TRIES 32

static void forget(struct pf_image_new *n)
{
	if (n->dir >= 0)
		close(n->dir);
	if (n->lock >= 0)
		close(n->lock);
	if (n->images >= 0)
		close(n->images);
	free(n->path);
	free(n->state);
	*n = (struct pf_image_new)PF_IMAGE_NEW_NONE;
}

void pf_image_new_drop(struct pf_image_new *n)
{
	if (n->images >= 0 && n->name[0])
		pf_remove_tree(n->images, n->name);
	forget(n);
}

static int cannot(struct pf_error *err, const struct pf_image_new *n, const char *what, int code)
{
	return pf_fail(err, code, "cannot %s %s/images/%s: %s", what, n->state, n->name, strerror(-code));
}

/* --- a new one ------------------------------------------------------------------------ */

/* A directory of a name that nobody has. Under the store's lock, so that no sweep finds it before it has a
 * lock of its own. */
static int make_dir(struct pf_image_new *n)
{
	for (int i = 0; i < TRIES; i++) {
		uint32_t tag;

		pf_random(&tag, sizeof(tag));
		snprintf(n->name, sizeof(n->name), ".new-%06x", (unsigned)(tag & 0xffffff));
		if (mkdirat(n->images, n->name, 0700) == 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	n->name[0] = '\0';
	return -errno;
}

static int fill_dir(struct pf_image_new *n)
{
	n->dir = pf_open_beneath(n->images, n->name, O_RDONLY | O_DIRECTORY, 0);
	if (n->dir < 0)
		return n->dir;
	n->lock = openat(n->dir, "lock", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (n->lock < 0 || flock(n->lock, LOCK_EX | LOCK_NB) < 0 || mkdirat(n->dir, "tmp", 0700) < 0)
		return -errno;
	if (asprintf(&n->path, "%s/images/%s", n->state, n->name) < 0) {
		n->path = NULL;
		return -ENOMEM;
	}
	return 0;
}

int pf_image_new(const char *state, struct pf_image_new *out, struct pf_error *err)
{
	struct pf_image_new n = PF_IMAGE_NEW_NONE;
	PF_AUTO_CLOSE int store = -1;
	int r;

	n.images = pf_images_dir(state, err);
	if (n.images < 0)
		return n.images;
	n.state = strdup(state);
	store = n.state ? pf__store_lock(n.images, err) : pf_fail(err, -ENOMEM, "out of memory");
	if (store < 0) {
		r = store;
		forget(&n);
		return r;
	}
	r = make_dir(&n);
	if (r == 0)
		r = fill_dir(&n);
	if (r < 0) {
		pf_fail(err, r, "cannot make a directory in %s/images: %s", state, strerror(-r));
		pf_image_new_drop(&n);
		return r;
	}
	*out = n;
	return 0;
}

/* --- its documents ----------------------------------------------------------------------- */

static int write_doc(int dir, const char *name, const struct pf_buf *text)
{
	PF_AUTO_CLOSE int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
	int r;

	if (fd < 0)
		return -errno;
	r = pf_write_full(fd, text->data, text->len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

static int sync_erofs(int dir, uint64_t size)
{
	PF_AUTO_CLOSE int fd = pf_open_beneath(dir, "image.erofs", O_RDONLY, 0);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || fchmod(fd, 0444) < 0 || fsync(fd) < 0)
		return -errno;
	return S_ISREG(st.st_mode) && (uint64_t)st.st_size == size ? 0 : -EBADMSG;
}

/* What was written must be what is read: a configuration that the reader refuses is refused here. */
static int print_manifest(const char *erofs_digest, const struct pf_image_config *c, struct pf_buf *text,
			  struct pf_error *err)
{
	struct pf_image_config again = {0};
	char digest[PF_DIGEST_MAX];
	int r = pf_image_manifest_print(erofs_digest, c, text);

	if (r == -EILSEQ)
		return pf_fail(err, r, "the image's configuration is not UTF-8");
	if (r < 0)
		return pf_fail(err, r, "out of memory");
	if (text->len > PF__STORE_DOC_MAX)
		return pf_fail(err, -E2BIG, "the image's configuration is too long (4 MiB at most)");
	r = pf__manifest_parse(text, digest, &again, err);
	pf_image_config_free(&again);
	return r < 0 ? pf_wrap(err, "the image's configuration") : 0;
}

int pf_image_seal(struct pf_image_new *n, const char *erofs_digest, const struct pf_image_config *c,
		  const struct pf_image_info *info, char digest[PF_DIGEST_MAX], struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf manifest = {0}, about = {0};
	int r = print_manifest(erofs_digest, c, &manifest, err);

	if (r < 0)
		return r;
	r = pf_image_info_print(info, &about);
	if (r < 0)
		return pf_fail(err, r, "out of memory");
	r = pf_remove_tree(n->dir, "tmp");
	if (r == 0)
		r = write_doc(n->dir, "manifest.json", &manifest);
	if (r == 0)
		r = write_doc(n->dir, "info.json", &about);
	if (r == 0)
		r = sync_erofs(n->dir, info->size);
	if (r == 0 && fsync(n->dir) < 0)
		r = -errno;
	if (r < 0)
		return cannot(err, n, "complete", r);
	pf_sha256_text(manifest.data, manifest.len, digest);
	return 0;
}

/* --- its place -------------------------------------------------------------------------- */

/* Move the one that stands there aside. The caller's new directory then goes to its place, and drops this. */
static int move_aside(const struct pf_image_new *n, const char *place, struct pf_image_new *old)
{
	PF_AUTO_CLOSE int dir = pf_open_beneath(n->images, place, O_RDONLY | O_DIRECTORY, 0);

	if (dir < 0)
		return dir;
	old->lock = pf_open_beneath(dir, "lock", O_RDWR | O_CREAT, 0600);
	if (old->lock < 0)
		return old->lock;
	if (flock(old->lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	snprintf(old->name, sizeof(old->name), ".gone-%s", n->name + strlen(".new-"));
	if (renameat(n->images, place, n->images, old->name) < 0) {
		old->name[0] = '\0';
		return -errno;
	}
	return 0;
}

/* A directory that is not empty is never replaced by rename(2). */
static int move_in(struct pf_image_new *n, const char *digest, bool replace, struct pf_image_new *old)
{
	char place[PF__STORE_DIR_MAX];
	int r;

	pf__store_dir_name(digest, place);
	if (renameat(n->images, n->name, n->images, place) == 0)
		return fsync(n->images) < 0 ? -errno : 0;
	if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR)
		return -errno;
	if (!replace)
		return -EEXIST;
	r = move_aside(n, place, old);
	if (r == 0 && renameat(n->images, n->name, n->images, place) < 0)
		r = -errno;
	if (r == 0 && fsync(n->images) < 0)
		r = -errno;
	return r;
}

int pf_image_publish(struct pf_image_new *n, const char *digest, const char *name, bool replace,
		     struct pf_error *err)
{
	struct pf_image_new old = PF_IMAGE_NEW_NONE;
	PF_AUTO_CLOSE int store = -1;
	int r = name ? pf_image_name_check(name, err) : 0;

	if (r < 0)
		return r;
	store = pf__store_lock(n->images, err);
	if (store < 0)
		return store;
	r = move_in(n, digest, replace, &old);
	if (r == -EEXIST)
		return pf_fail(err, r, "the image %s is there already", digest);
	if (r == -EBUSY)
		return pf_fail(err, r, "the image %s is in use", digest);
	if (r < 0)
		return cannot(err, n, "move into place", r);
	if (name)
		r = pf__name_set(n->images, name, digest, err);
	if (r < 0)
		pf_wrap(err, "the image is there as %s, but without its name", digest);
	close(pf_take_fd(&store));
	/* The old one's directory is removed outside of the store's lock, under its own. */
	if (old.name[0])
		pf_remove_tree(n->images, old.name);
	forget(&old);
	forget(n);
	return r;
}

int pf_image_tag(const char *state, const char *digest, const char *name, struct pf_error *err)
{
	PF_AUTO_CLOSE int images = -1, store = -1;
	char place[PF__STORE_DIR_MAX];
	struct stat st;
	int r = pf_image_name_check(name, err);

	if (r < 0)
		return r;
	images = pf_images_dir(state, err);
	store = images < 0 ? images : pf__store_lock(images, err);
	if (store < 0)
		return store;
	pf__store_dir_name(digest, place);
	if (fstatat(images, place, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return pf_fail(err, -errno, "the image %s is gone", digest);
	return pf__name_set(images, name, digest, err);
}
