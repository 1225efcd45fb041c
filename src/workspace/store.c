/* SPDX-License-Identifier: Apache-2.0 */
/* Change sets in the state directory: finding, loading, listing and dropping them. */
#include <errno.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "workspace/apply_internal.h"

#define SETS_MAX 100000u

struct found {
	char *id;
	int64_t when; /* meta.json's mtime: it is written once, with more than the second of "created" */
};

bool pf__change_id_ok(const char *id)
{
	size_t n = id ? strlen(id) : 0;

	if (n == 0 || n >= sizeof(((struct pf_changeset *)0)->id) || strcmp(id, "last") == 0)
		return false;
	/* no dot: what is unfinished begins with one; no dash first: ids stand on command lines */
	return id[0] != '-' &&
	       strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == n;
}

static int cmp_found(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->when != y->when)
		return x->when < y->when ? -1 : 1;
	return strcmp(x->id, y->id);
}

int pf_change_list(int changes_fd, struct pf_list *ids, struct pf_error *err)
{
	struct pf_list names = {0}, sorted = {0};
	PF_AUTO_FREE struct found *sets = NULL;
	size_t n = 0;
	int r = pf__ws_names(changes_fd, &names, SETS_MAX);

	if (r == 0 && names.count) {
		sets = calloc(names.count, sizeof(*sets));
		r = sets ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < names.count && r == 0; i++) {
		char meta[64];
		struct stat st;

		if (!pf__change_id_ok(names.items[i]))
			continue;
		snprintf(meta, sizeof(meta), "%s/meta.json", names.items[i]);
		if (pf__ws_stat(changes_fd, meta, &st) == 0 && S_ISREG(st.st_mode))
			sets[n++] = (struct found){names.items[i], pf__ws_mtime_ns(&st)};
	}
	if (r == 0 && n)
		qsort(sets, n, sizeof(*sets), cmp_found);
	for (size_t i = 0; i < n && r == 0; i++)
		r = pf_list_add(&sorted, sets[i].id);
	pf_list_free(&names);
	if (r < 0) {
		pf_list_free(&sorted);
		return pf_fail(err, r, "cannot list the change sets: %s", strerror(-r));
	}
	*ids = sorted;
	return 0;
}

/* The one set that `given` names: an id, its beginning, or "last". */
static int resolve(int changes_fd, const char *given, char id[40], struct pf_error *err)
{
	struct pf_list ids = {0};
	const char *match = NULL;
	bool last = strcmp(given, "last") == 0, exact = false;
	size_t hits = 0;
	char show[PF__WS_SHOW];
	int r = pf_change_list(changes_fd, &ids, err);

	if (r < 0)
		return r;
	if (last && ids.count) {
		match = ids.items[ids.count - 1];
		hits = 1;
	}
	for (size_t i = 0; i < ids.count && !last && *given && !exact; i++) {
		exact = strcmp(ids.items[i], given) == 0;
		if (exact)
			hits = 0;
		if (pf_has_prefix(ids.items[i], given)) {
			match = ids.items[i];
			hits++;
		}
	}
	if (hits == 1)
		snprintf(id, 40, "%s", match);
	else if (hits)
		r = pf_fail(err, -ENOTUNIQ, "'%s' begins %zu change sets; write more of the id",
			    pf__ws_show(given, show), hits);
	else
		r = pf_fail(err, -ENOENT, last ? "there is no change set" : "there is no change set '%s'",
			    pf__ws_show(given, show));
	pf_list_free(&ids);
	return r;
}

int pf__change_open_set(int changes_fd, const char *id, struct pf_error *err)
{
	int fd = pf__change_id_ok(id) ? pf__ws_open(changes_fd, id, O_RDONLY | O_DIRECTORY) : -EINVAL;

	return fd < 0 ? pf_fail(err, fd, "cannot open change set %s: %s", id, strerror(-fd)) : fd;
}

int pf_change_load(int changes_fd, const char *id, struct pf_changeset *out, struct pf_error *err)
{
	struct pf_changeset c = {0};
	PF_AUTO_CLOSE int dir = -1;
	uint64_t blobs;
	size_t said;
	int r = resolve(changes_fd, id, c.id, err);

	if (r < 0)
		return r;
	dir = pf__change_open_set(changes_fd, c.id, err);
	if (dir < 0)
		return dir;
	r = pf__meta_read(dir, &c, &blobs, err);
	said = c.count;
	c.count = 0; /* of items, which are not there yet */
	if (r == 0)
		r = pf__manifest_read(dir, &c, blobs, err);
	c.half_applied = pf__journal_there(dir);
	c.applied = pf__applied_read(dir);
	if (r == 0 && c.count != said)
		r = pf_fail(err, -EBADMSG, "change set %s has %zu entries and should have %zu", c.id, c.count,
			    said);
	if (r < 0)
		pf_change_free(&c);
	else
		*out = c;
	return r;
}

int pf_change_counts(int changes_fd, const char *id, struct pf_changeset *out, struct pf_error *err)
{
	struct pf_changeset c = {0};
	PF_AUTO_CLOSE int dir = pf__change_open_set(changes_fd, id, err);
	uint64_t blobs;
	int r;

	if (dir < 0)
		return dir;
	snprintf(c.id, sizeof(c.id), "%s", id);
	r = pf__meta_read(dir, &c, &blobs, err);
	c.half_applied = pf__journal_there(dir);
	c.applied = pf__applied_read(dir);
	if (r < 0)
		pf_change_free(&c);
	else
		*out = c;
	return r;
}

int pf_change_usage(int changes_fd, const char *id, uint64_t *bytes, bool *half_applied)
{
	struct pf_changeset c;
	int r = pf_change_counts(changes_fd, id, &c, NULL);

	if (r < 0)
		return r;
	*bytes = c.bytes;
	*half_applied = c.half_applied;
	pf_change_free(&c);
	return 0;
}

int pf_change_secrets(const struct pf_changeset *c, struct pf_list *out)
{
	int r = 0;

	for (size_t i = 0; i < c->count && c->secrets && r == 0; i++) {
		if (pf__change_secret(&c->items[i]))
			r = pf_list_add(out, c->items[i].path);
	}
	return r;
}

int pf__change_remove(int changes_fd, const char *id, struct pf_error *err)
{
	char gone[48];
	int r;

	/* Out of the list first: a drop that is cut off must not leave half a set behind. */
	snprintf(gone, sizeof(gone), ".%s", id);
	pf_remove_tree(changes_fd, gone);
	if (renameat(changes_fd, id, changes_fd, gone) < 0)
		return pf_fail_errno(err, "cannot drop change set %s", id);
	r = pf_remove_tree(changes_fd, gone);
	return r < 0 ? pf_fail(err, r, "cannot remove all of change set %s: %s", id, strerror(-r)) : 0;
}

int pf_change_drop(int changes_fd, const char *given, bool force, char *note, struct pf_error *err)
{
	PF_AUTO_CLOSE int dir = -1;
	char id[40];
	int r = resolve(changes_fd, given, id, err);

	if (note)
		*note = '\0';
	if (r < 0)
		return r;
	dir = pf__change_open_set(changes_fd, id, err);
	if (dir < 0)
		return dir;
	/* An apply holds it while it works; and held by us, no collect takes it for one that was cut off. */
	if (flock(dir, LOCK_EX | LOCK_NB) < 0)
		return pf_fail(err, -EBUSY, "change set %s is being applied", id);
	if (pf__journal_there(dir)) {
		if (!force)
			return pf_fail(
				err, -EBUSY,
				"change set %s is half applied: \"pinfold apply %s\" goes on; \"pinfold drop "
				"--force %s\" removes what is staged and leaves the workspace as it is",
				id, id, id);
		pf__apply_abandon(changes_fd, dir, id, note);
	}
	return pf__change_remove(changes_fd, id, err);
}

int pf__change_open_blob(int set_fd, const struct pf_change *c, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = -1;
	char name[32], show[PF__WS_SHOW];
	struct stat st;

	snprintf(name, sizeof(name), "blobs/%llu", (unsigned long long)c->blob);
	fd = c->blob ? pf__ws_open_file(set_fd, name, &st) : -ENOENT;
	if (fd >= 0 && (uint64_t)st.st_size == c->size)
		return pf_take_fd(&fd);
	return pf_fail(err, fd < 0 ? fd : -EBADMSG, "the content of '%s' is missing from the change set",
		       pf__ws_show(c->path, show));
}

int pf__change_place(int fd, struct pf_change_place *out)
{
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return -errno;
	*out = (struct pf_change_place){.dev = st.st_dev, .ino = st.st_ino};
	memcpy(&out->fsid, &fs.f_fsid, sizeof(out->fsid));
	return 0;
}

bool pf__change_same_place(const struct pf_change_place *a, const struct pf_change_place *b)
{
	return a->ino == b->ino && (a->dev == b->dev || (a->fsid && a->fsid == b->fsid));
}

int pf__change_open_workspace(const struct pf_changeset *c, struct pf_error *err)
{
	char show[PF__WS_SHOW];
	/* Its path had no link in it when the sandbox started; one that is there now may lead anywhere. */
	int fd = pf_openat2(AT_FDCWD, c->workspace, O_RDONLY | O_DIRECTORY, 0,
			    RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);

	if (fd >= 0)
		return fd;
	pf__ws_show(c->workspace, show);
	if (fd == -ELOOP)
		return pf_fail(err, fd, "a part of the workspace's path '%s' has become a symbolic link",
			       show);
	if (fd == -ENOENT)
		return pf_fail(err, fd, "the workspace '%s' is not there any more", show);
	if (fd == -ENOTDIR)
		return pf_fail(err, fd, "the workspace '%s' is no directory any more", show);
	return pf_fail(err, fd, "cannot open the workspace '%s': %s", show, strerror(-fd));
}

ssize_t pf__change_find(const struct pf_changeset *c, const char *path)
{
	size_t lo = 0, hi = c->count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int d = pf__ws_path_cmp(path, c->items[mid].path);

		if (d == 0)
			return (ssize_t)mid;
		if (d < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return -1;
}
