/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and reading images; see store.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "image/store_internal.h"

#define IMAGES_MAX 100000u

void pf_image_free(struct pf_image *i)
{
	free(i->dir);
	free(i->source);
	free(i->damage);
	pf_image_config_free(&i->config);
	pf_list_free(&i->names);
	pf_list_free(&i->notes);
	memset(i, 0, sizeof(*i));
}

void pf_image_list_free(struct pf_image *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		pf_image_free(&list[i]);
	free(list);
}

/* --- reading one ----------------------------------------------------------------------- */

/* A file that is not as we wrote it. What can be done is the same for all of them. */
static int damaged(struct pf_error *err, const char *digest, const char *file, const char *why)
{
	return pf_fail(err, -EBADMSG,
		       "the image %.19s is damaged: %s: %.200s: import or build it again, or remove it with "
		       "\"pinfold image rm %.12s\"",
		       digest, file, why, digest + 7);
}

static int read_manifest(int dir, struct pf_image *i, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	char digest[PF_DIGEST_MAX];
	struct pf_error why = {0};
	int r = pf__store_read(dir, "manifest.json", &text);

	if (r < 0)
		return damaged(err, i->digest, "manifest.json", strerror(-r));
	pf_sha256_text(text.data ? text.data : "", text.len, digest);
	if (strcmp(digest, i->digest) != 0)
		return damaged(err, i->digest, "manifest.json", "its digest is another");
	r = pf__manifest_parse(&text, i->erofs_digest, &i->config, &why);
	return r < 0 ? damaged(err, i->digest, "manifest.json", why.msg) : 0;
}

static int read_info(int dir, struct pf_image *i, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	struct pf_error why = {0};
	int r = pf__store_read(dir, "info.json", &text);

	if (r < 0)
		return damaged(err, i->digest, "info.json", strerror(-r));
	r = pf__info_parse(&text, i, &why);
	return r < 0 ? damaged(err, i->digest, "info.json", why.msg) : 0;
}

static int check_erofs(int dir, const struct pf_image *i, struct pf_error *err)
{
	char why[96];
	struct stat st;

	if (fstatat(dir, "image.erofs", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return damaged(err, i->digest, "image.erofs", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return damaged(err, i->digest, "image.erofs", "it is no regular file");
	if ((uint64_t)st.st_size != i->size) {
		snprintf(why, sizeof(why), "it has %llu bytes and not %llu", (unsigned long long)st.st_size,
			 (unsigned long long)i->size);
		return damaged(err, i->digest, "image.erofs", why);
	}
	return 0;
}

/* root/ and its root.json come together, root.json first. */
static int read_root(int dir, struct pf_image *i, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	struct pf_error why = {0};
	struct stat st;
	int r;

	if (fstatat(dir, "root", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : damaged(err, i->digest, "root", strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return damaged(err, i->digest, "root", "it is no directory");
	r = pf__store_read(dir, "root.json", &text);
	if (r < 0)
		return damaged(err, i->digest, "root.json", strerror(-r));
	r = pf__root_parse(&text, i, &why);
	if (r < 0)
		return damaged(err, i->digest, "root.json", why.msg);
	i->unpacked = true;
	return 0;
}

int pf__store_load(int images, const char *state, const char *digest, struct pf_image *out,
		   struct pf_error *err)
{
	char name[PF__STORE_DIR_MAX];
	PF_AUTO_CLOSE int dir = -1;
	struct pf_image i = {0};
	int r;

	pf__store_dir_name(digest, name);
	dir = pf_open_beneath(images, name, O_RDONLY | O_DIRECTORY, 0);
	if (dir == -ENOENT)
		return pf_fail(err, dir, "the image %s is gone from %s/images", digest, state);
	if (dir < 0)
		return pf_fail(err, dir, "cannot open %s/images/%s: %s", state, name, strerror(-dir));
	snprintf(i.digest, sizeof(i.digest), "%s", digest);
	if (asprintf(&i.dir, "%s/images/%s", state, name) < 0) {
		i.dir = NULL;
		return pf_fail(err, -ENOMEM, "out of memory");
	}
	r = read_manifest(dir, &i, err);
	if (r == 0)
		r = read_info(dir, &i, err);
	if (r == 0)
		r = check_erofs(dir, &i, err);
	if (r == 0)
		r = read_root(dir, &i, err);
	if (r < 0)
		pf_image_free(&i);
	else
		*out = i;
	return r;
}

/* --- finding ---------------------------------------------------------------------------- */

static int resolve_prefix(int images, const char *word, const char *hex, char digest[PF_DIGEST_MAX],
			  struct pf_error *err)
{
	PF_AUTO_DIR DIR *dir = pf__store_dir(images);
	char found[PF_DIGEST_MAX] = "", one[PF_DIGEST_MAX];
	struct dirent *e;

	if (!dir)
		return pf_fail_errno(err, "cannot read the images directory");
	while ((e = readdir(dir))) {
		if (!pf__store_dir_digest(e->d_name, one) || !pf_has_prefix(one + 7, hex))
			continue;
		if (found[0])
			return pf_fail(err, -EEXIST, "\"%s\" begins several images: %.24s..., %.24s...", word,
				       found, one);
		memcpy(found, one, sizeof(found));
	}
	if (!found[0])
		return pf_fail(err, -ENOENT, "there is no image \"%s\": \"pinfold image ls\" lists them",
			       word);
	memcpy(digest, found, sizeof(found));
	return 0;
}

static int no_such_name(const char *word, struct pf_error *err)
{
	return pf_fail(err, -ENOENT, "there is no image \"%s\": \"pinfold image ls\" lists them%s", word,
		       strcmp(word, "base") == 0 ? ", \"pinfold image build base\" makes this one" : "");
}

static int resolve(int images, const char *word, char digest[PF_DIGEST_MAX], struct pf_error *err)
{
	const char *hex;
	int r;

	if (pf__name_reads_as_digest(word, &hex))
		return resolve_prefix(images, word, hex, digest, err);
	r = pf__name_get(images, word, digest, err);
	return r == -ENOENT ? no_such_name(word, err) : r;
}

/* As resolve(), where perhaps nobody made an image yet. */
static int open_and_resolve(const char *state, const char *word, int *images, char digest[PF_DIGEST_MAX],
			    struct pf_error *err)
{
	const char *hex;
	int r;

	if (strcmp(word, "host") == 0)
		return pf_fail(err, -EINVAL, "\"host\" is the host's own /usr and no image of the store");
	*images = pf__store_open(state, err);
	if (*images == -ENOENT) {
		r = pf__name_reads_as_digest(word, &hex) ? 0 : pf_image_name_check(word, err);
		return r < 0 ? r : no_such_name(word, err);
	}
	return *images < 0 ? *images : resolve(*images, word, digest, err);
}

int pf_image_resolve(const char *state, const char *name, char digest[PF_DIGEST_MAX], struct pf_error *err)
{
	PF_AUTO_CLOSE int images = -1;

	return open_and_resolve(state, name, &images, digest, err);
}

int pf_image_find(const char *state, const char *name, struct pf_image *out, struct pf_error *err)
{
	PF_AUTO_CLOSE int images = -1;
	char digest[PF_DIGEST_MAX];
	int r = open_and_resolve(state, name, &images, digest, err);

	if (r < 0)
		return r;
	r = pf__store_load(images, state, digest, out, err);
	if (r == -ENOENT)
		return pf_fail(
			err, r,
			"the name \"%s\" leads to %.19s, which is gone: \"pinfold image rm %s\" forgets "
			"the name",
			name, digest, name);
	return r;
}

/* --- all -------------------------------------------------------------------------------- */

struct names_of {
	const char *digest;
	struct pf_list *out;
};

static int add_name(void *user, const char *name, const char *digest)
{
	const struct names_of *n = user;

	if (!digest || strcmp(digest, n->digest) != 0)
		return 0;
	return pf_list_add(n->out, name);
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void pf__names_sort(struct pf_list *names)
{
	if (names->count)
		qsort(names->items, names->count, sizeof(*names->items), by_bytes);
}

int pf_image_names(const char *state, const char *digest, struct pf_list *out, struct pf_error *err)
{
	PF_AUTO_CLOSE int images = pf__store_open(state, err);
	struct pf_list names = {0};
	struct names_of n = {digest, &names};
	int r;

	if (images < 0)
		return images == -ENOENT ? 0 : images;
	r = pf__name_each(images, add_name, &n, err);
	pf__names_sort(&names);
	if (r == 0)
		r = pf_list_copy(out, &names);
	pf_list_free(&names);
	return r == -ENOMEM ? pf_fail(err, r, "out of memory") : r;
}

struct listing {
	struct pf_image *items;
	size_t count, room;
};

static int list_room(struct listing *l)
{
	size_t room = l->room ? l->room * 2 : 16;
	struct pf_image *more;

	if (l->count < l->room)
		return 0;
	if (l->count >= IMAGES_MAX)
		return -E2BIG;
	more = realloc(l->items, room * sizeof(*more));
	if (!more)
		return -ENOMEM;
	l->items = more;
	l->room = room;
	return 0;
}

/* One that went while we looked is left out; one that cannot be read is listed with the reason. */
static int list_one(struct listing *l, int images, const char *state, const char *digest,
		    struct pf_error *err)
{
	struct pf_image *i;
	struct pf_error why = {0};
	int r = list_room(l);

	if (r < 0)
		return pf_fail(err, r, "cannot list the images: %s", strerror(-r));
	i = &l->items[l->count];
	*i = (struct pf_image){0};
	r = pf__store_load(images, state, digest, i, &why);
	if (r == -ENOENT)
		return 0;
	l->count++;
	if (r == 0)
		return 0;
	snprintf(i->digest, sizeof(i->digest), "%s", digest);
	i->damage = strdup(why.msg);
	if (!i->damage || asprintf(&i->dir, "%s/images/sha256-%s", state, digest + 7) < 0)
		return pf_fail(err, -ENOMEM, "out of memory");
	return 0;
}

static int give_name(void *user, const char *name, const char *digest)
{
	struct listing *l = user;

	for (size_t i = 0; digest && i < l->count; i++) {
		if (strcmp(l->items[i].digest, digest) == 0)
			return pf_list_add(&l->items[i].names, name);
	}
	return 0;
}

static int newest_first(const void *a, const void *b)
{
	const struct pf_image *x = a, *y = b;

	if (x->created != y->created)
		return x->created > y->created ? -1 : 1;
	return strcmp(x->digest, y->digest);
}

static int list_all(struct listing *l, int images, const char *state, struct pf_error *err)
{
	PF_AUTO_DIR DIR *dir = pf__store_dir(images);
	char digest[PF_DIGEST_MAX];
	struct dirent *e;
	int r = 0;

	if (!dir)
		return pf_fail_errno(err, "cannot read %s/images", state);
	while (r == 0 && (e = readdir(dir))) {
		if (pf__store_dir_digest(e->d_name, digest))
			r = list_one(l, images, state, digest, err);
	}
	if (r == 0)
		r = pf__name_each(images, give_name, l, err);
	for (size_t i = 0; r == 0 && i < l->count; i++)
		pf__names_sort(&l->items[i].names);
	return r;
}

int pf_image_list(const char *state, struct pf_image **out, size_t *count, struct pf_error *err)
{
	PF_AUTO_CLOSE int images = pf__store_open(state, err);
	struct listing l = {0};
	int r;

	if (images < 0 && images != -ENOENT)
		return images;
	r = images < 0 ? 0 : list_all(&l, images, state, err);
	if (r < 0) {
		pf_image_list_free(l.items, l.count);
		return r == -ENOMEM ? pf_fail(err, r, "out of memory") : r;
	}
	if (l.count)
		qsort(l.items, l.count, sizeof(*l.items), newest_first);
	*out = l.items;
	*count = l.count;
	return 0;
}
