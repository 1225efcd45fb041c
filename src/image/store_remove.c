/* SPDX-License-Identifier: Apache-2.0 */
/* Removing images, and what was cut off; see store_write.h. */
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
#include "image/store_write.h"

void pf_image_removed_free(struct pf_image_removed *r)
{
	pf_list_free(&r->untagged);
	*r = (struct pf_image_removed){0};
}

/* Lock what is to be removed. -EBUSY if it is held; a lock that is missing is made, since nobody can hold it.
 */
static int lock_dir(int images, const char *name)
{
	PF_AUTO_CLOSE int dir = pf_open_beneath(images, name, O_RDONLY | O_DIRECTORY, 0);
	PF_AUTO_CLOSE int lock = -1;

	if (dir < 0)
		return dir;
	lock = pf_open_beneath(dir, "lock", O_RDWR | O_CREAT, 0600);
	if (lock < 0)
		return lock;
	if (flock(lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return pf_take_fd(&lock);
}

/* --- one image -------------------------------------------------------------------------- */

struct removal {
	const char *word; /* as given */
	bool by_name;
	int images;
	char digest[PF_DIGEST_MAX];
	struct pf_list names; /* all that it has */
};

static int add_name(void *user, const char *name, const char *digest)
{
	struct removal *r = user;

	return digest && strcmp(digest, r->digest) == 0 ? pf_list_add(&r->names, name) : 0;
}

static int several_names(const struct removal *r, struct pf_error *err)
{
	char names[256] = "";
	size_t n = 0;

	for (size_t i = 0; i < r->names.count && n < sizeof(names); i++)
		n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", i ? ", " : "", r->names.items[i]);
	return pf_fail(err, -EEXIST, "%s has several names (%s): remove those", r->word, names);
}

static int untag(struct removal *r, const char *name, struct pf_image_removed *out, struct pf_error *err)
{
	int code = pf__name_remove(r->images, name, err);

	if (code == 0 && pf_list_add(&out->untagged, name) < 0)
		code = pf_fail(err, -ENOMEM, "out of memory");
	return code;
}

/* The image's directory under another name, its lock held in *lock: nobody finds it any more. Its name goes
 * first, since a crash in between must leave no name that leads nowhere. */
static int take_away(struct removal *r, char gone[16], int *lock, struct pf_image_removed *out,
		     struct pf_error *err)
{
	char place[PF__STORE_DIR_MAX];
	PF_AUTO_CLOSE int fd = -1;
	uint32_t tag;
	int code = 0;

	pf__store_dir_name(r->digest, place);
	fd = lock_dir(r->images, place);
	if (fd == -EBUSY)
		return pf_fail(err, fd, "the image %s is in use", r->word);
	if (fd < 0 && fd != -ENOENT)
		return pf_fail(err, fd, "cannot lock images/%s: %s", place, strerror(-fd));
	if (r->names.count)
		code = untag(r, r->names.items[0], out, err);
	if (code < 0 || fd == -ENOENT)
		return code;
	pf_random(&tag, sizeof(tag));
	snprintf(gone, 16, ".gone-%06x", (unsigned)(tag & 0xffffff));
	if (renameat(r->images, place, r->images, gone) < 0)
		return pf_fail_errno(err, "cannot remove images/%s", place);
	*lock = pf_take_fd(&fd);
	return 0;
}

/* Under the store's lock. gone: what is then to be deleted, or "". */
static int decide(struct removal *r, char gone[16], int *lock, struct pf_image_removed *out,
		  struct pf_error *err)
{
	int code = pf__name_each(r->images, add_name, r, err);

	if (code < 0)
		return code == -ENOMEM ? pf_fail(err, code, "out of memory") : code;
	pf__names_sort(&r->names);
	if (r->by_name && r->names.count > 1)
		return untag(r, r->word, out, err);
	if (r->names.count > 1)
		return several_names(r, err);
	return take_away(r, gone, lock, out, err);
}

static int remove_locked(struct removal *r, const char *state, char gone[16], int *lock,
			 struct pf_image_removed *out, struct pf_error *err)
{
	PF_AUTO_CLOSE int store = pf__store_lock(r->images, err);
	const char *hex;
	int code;

	if (store < 0)
		return store;
	r->by_name = !pf__name_reads_as_digest(r->word, &hex);
	code = pf_image_resolve(state, r->word, r->digest, err);
	if (code == -EBADMSG && r->by_name) /* the name is damaged: it leads nowhere, and can only go */
		return untag(r, r->word, out, err);
	if (code < 0)
		return code;
	memcpy(out->digest, r->digest, sizeof(out->digest));
	return decide(r, gone, lock, out, err);
}

int pf_image_remove(const char *state, const char *word, struct pf_image_removed *out, struct pf_error *err)
{
	PF_AUTO_CLOSE int images = pf_images_dir(state, err), lock = -1;
	struct removal r = {.word = word, .images = images};
	char gone[16] = "";
	int code;

	*out = (struct pf_image_removed){0};
	if (images < 0)
		return images;
	code = remove_locked(&r, state, gone, &lock, out, err);
	pf_list_free(&r.names);
	if (code < 0 || !gone[0])
		return code;
	out->deleted = true;
	code = pf_remove_tree(images, gone);
	if (code < 0)
		return pf_fail(err, code, "cannot remove all of %s/images/%s: %s", state, gone,
			       strerror(-code));
	return 0;
}

/* --- what was cut off -------------------------------------------------------------------- */

struct remains {
	struct pf_list names;
	int *locks;
};

static void remains_free(struct remains *m)
{
	for (size_t i = 0; i < m->names.count; i++)
		close(m->locks[i]);
	pf_list_free(&m->names);
	free(m->locks);
}

static bool is_remains(const char *name)
{
	return pf_has_prefix(name, ".new-") || pf_has_prefix(name, ".gone-");
}

static int remains_add(struct remains *m, const char *name, int lock)
{
	int *locks = realloc(m->locks, (m->names.count + 1) * sizeof(*locks));

	if (!locks)
		return -ENOMEM;
	m->locks = locks;
	locks[m->names.count] = lock;
	return pf_list_add(&m->names, name);
}

/* Lock all that can be: its maker, and what that started, is dead. Under the store's lock, since a directory
 * gets its own lock under that. */
static int collect(int images, struct remains *m, struct pf_error *err)
{
	PF_AUTO_CLOSE int store = pf__store_lock(images, err);
	PF_AUTO_DIR DIR *dir = NULL;
	struct dirent *e;

	if (store < 0)
		return store;
	pf__names_sweep(images);
	dir = pf__store_dir(images);
	if (!dir)
		return pf_fail_errno(err, "cannot read the images directory");
	while ((e = readdir(dir))) {
		PF_AUTO_CLOSE int lock = is_remains(e->d_name) ? lock_dir(images, e->d_name) : -ENOENT;

		if (lock < 0)
			continue;
		if (remains_add(m, e->d_name, lock) < 0)
			return pf_fail(err, -ENOMEM, "out of memory");
		lock = -1;
	}
	return 0;
}

int pf_image_sweep(const char *state, unsigned *removed, struct pf_error *err)
{
	PF_AUTO_CLOSE int images = pf__store_open(state, err);
	struct remains m = {0};
	unsigned n = 0;
	int r;

	if (images < 0 && images != -ENOENT)
		return images;
	r = images < 0 ? 0 : collect(images, &m, err);
	for (size_t i = 0; i < m.names.count && r == 0; i++)
		n += pf_remove_tree(images, m.names.items[i]) == 0;
	remains_free(&m);
	if (r == 0)
		*removed = n;
	return r;
}
