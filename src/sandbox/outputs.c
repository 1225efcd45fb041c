/* SPDX-License-Identifier: Apache-2.0 */
/* Long outputs in the state directory: finding, reading, dropping them, and how long they stay; see
 * outputs.h.
 */
#include "sandbox/outputs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "workspace/change.h"

static const char *const names[] = {"stdout", "stderr"};

/* As results are called: SANDBOX.NUMBER. */
static bool id_ok(const char *id)
{
	size_t n = strlen(id), box = strcspn(id, ".");

	if (n >= sizeof(((struct pf_kept_output *)0)->id) || box == 0 || box == n || id[0] == '-')
		return false;
	if (strspn(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") != box)
		return false;
	return id[box + 1] && strspn(id + box + 1, "0123456789") == n - box - 1;
}

int pf_outputs_open(const struct pf_dirs *d, bool make, struct pf_error *err)
{
	char path[sizeof(d->state) + 16];

	snprintf(path, sizeof(path), "%s/outputs", d->state);
	if (!make && access(path, F_OK) < 0 && errno == ENOENT)
		return -ENOENT; /* looking makes nothing */
	return pf_dir_own(path, 0022, err);
}

/* --- the list ---------------------------------------------------------------------------------- */

static int64_t mtime_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

/* Names in STATE/outputs that pass `ok`. 0 or -errno. */
static int read_names(int outputs_fd, bool (*ok)(const char *), struct pf_list *out)
{
	int copy = openat(outputs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	PF_AUTO_DIR DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!dir) {
		r = -errno;
		if (copy >= 0)
			close(copy);
		return r;
	}
	while (r == 0 && (e = readdir(dir)))
		if (ok(e->d_name))
			r = pf_list_add(out, e->d_name);
	if (r < 0)
		pf_list_free(out);
	return r;
}

static int list_ages(int outputs_fd, struct pf_list *ids, struct pf__kept_age **out, size_t *count)
{
	struct pf__kept_age *items;
	size_t n = 0;
	int r = read_names(outputs_fd, id_ok, ids);

	if (r < 0)
		return r;
	items = calloc(ids->count + 1, sizeof(*items));
	if (!items) {
		pf_list_free(ids);
		return -ENOMEM;
	}
	for (size_t i = 0; i < ids->count; i++) {
		struct stat st;

		/* a directory's own time: when meta.json came, the last thing that is written */
		if (fstatat(outputs_fd, ids->items[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
			items[n++] = (struct pf__kept_age){.id = ids->items[i], .when_ns = mtime_ns(&st)};
	}
	*out = items;
	*count = n;
	return 0;
}

static int cmp_age(const void *a, const void *b)
{
	const struct pf__kept_age *x = a, *y = b;

	if (x->when_ns != y->when_ns)
		return x->when_ns < y->when_ns ? -1 : 1;
	return strcmp(x->id, y->id);
}

static void sort(struct pf__kept_age *items, size_t count)
{
	if (count)
		qsort(items, count, sizeof(*items), cmp_age);
}

int pf_outputs_list(int outputs_fd, struct pf_list *ids, struct pf_error *err)
{
	struct pf_list found = {0}, sorted = {0};
	PF_AUTO_FREE struct pf__kept_age *items = NULL;
	size_t count = 0;
	int r = list_ages(outputs_fd, &found, &items, &count);

	if (r == 0)
		sort(items, count);
	for (size_t i = 0; i < count && r == 0; i++)
		r = pf_list_add(&sorted, items[i].id);
	pf_list_free(&found);
	if (r < 0) {
		pf_list_free(&sorted);
		return pf_fail(err, r, "cannot list the kept outputs: %s", strerror(-r));
	}
	*ids = sorted;
	return 0;
}

int pf_outputs_find(int outputs_fd, const char *given, struct pf_kept_output *out, struct pf_error *err)
{
	struct pf_list ids = {0};
	const char *match = NULL;
	bool last = strcmp(given, "last") == 0;
	size_t hits = 0;
	char show[100], id[sizeof(out->id)];
	int r = pf_outputs_list(outputs_fd, &ids, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ids.count && *given; i++) {
		if (!last && !pf_has_prefix(ids.items[i], given))
			continue;
		match = ids.items[i];
		hits = last ? 1 : hits + 1;
		if (strcmp(match, given) == 0) {
			hits = 1; /* "x.1" is the beginning of "x.10" too */
			break;
		}
	}
	if (hits == 1)
		snprintf(id, sizeof(id), "%s", match);
	pf_list_free(&ids);
	if (hits == 1)
		return pf_outputs_load(outputs_fd, id, out, err);
	pf_printable(given, strlen(given), show, sizeof(show));
	if (hits)
		return pf_fail(err, -ENOTUNIQ, "'%s' begins %zu outputs; write more of the id", show, hits);
	return pf_fail(err, -ENOENT, last ? "no output is kept" : "no output '%s' is kept", show);
}

/* --- one ---------------------------------------------------------------------------------------- */

void pf_kept_output_free(struct pf_kept_output *o)
{
	free(o->command);
	*o = (struct pf_kept_output){0};
}

int pf_outputs_stream(int outputs_fd, const struct pf_kept_output *o, enum pf_stream stream,
		      struct pf_error *err)
{
	unsigned i = stream == PF_STDERR;
	PF_AUTO_CLOSE int fd = -1;
	char path[60];
	struct stat st;

	if (!o->kept[i])
		return pf_fail(err, -ENODATA, "%s of %s is not kept: it could not be written to its end",
			       names[i], o->id);
	snprintf(path, sizeof(path), "%s/%s", o->id, names[i]);
	fd = pf_open_beneath(outputs_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0)
		return pf_fail(err, fd, "cannot open %s of %s: %s", names[i], o->id, strerror(-fd));
	if (fstat(fd, &st) < 0)
		return pf_fail_errno(err, "cannot look at %s of %s", names[i], o->id);
	/* nothing is synced to disk: after a crash of the machine a file may be shorter than it was */
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != o->bytes[i])
		return pf_fail(err, -EBADMSG, "%s of %s is not whole any more", names[i], o->id);
	return pf_take_fd(&fd);
}

uint64_t pf_outputs_bytes(int outputs_fd, const char *id)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < PF_ARRAY_SIZE(names); i++) {
		char path[60];
		struct stat st;

		if (snprintf(path, sizeof(path), "%s/%s", id, names[i]) < (int)sizeof(path) &&
		    fstatat(outputs_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			sum += (uint64_t)st.st_size;
	}
	return sum;
}

int pf_outputs_drop(int outputs_fd, const char *id, struct pf_error *err)
{
	PF_AUTO_CLOSE int dir = -1;
	char gone[48];
	int r;

	if (!id_ok(id))
		return pf_fail(err, -EINVAL, "that is no output's id");
	dir = pf_open_beneath(outputs_fd, id, O_RDONLY | O_DIRECTORY, 0);
	if (dir < 0)
		return pf_fail(err, dir, "cannot drop output %s: %s", id, strerror(-dir));
	flock(dir, LOCK_EX | LOCK_NB); /* nobody takes it for one that was cut off */
	/* Out of the list first: a drop that is cut off must not leave half of it behind. */
	snprintf(gone, sizeof(gone), ".%s", id);
	pf_remove_tree(outputs_fd, gone);
	if (renameat(outputs_fd, id, outputs_fd, gone) < 0)
		return pf_fail_errno(err, "cannot drop output %s", id);
	r = pf_remove_tree(outputs_fd, gone);
	return r < 0 ? pf_fail(err, r, "cannot remove all of output %s: %s", id, strerror(-r)) : 0;
}

/* --- how long they stay ------------------------------------------------------------------------- */

static bool stage_ok(const char *name)
{
	return name[0] == '.' && id_ok(name + 1);
}

/* Does name still lead to the directory that fd is? */
static bool same_place(int fd, int outputs_fd, const char *name)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstatat(outputs_fd, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static unsigned remove_cut_off(int outputs_fd)
{
	struct pf_list found = {0};
	unsigned gone = 0;

	read_names(outputs_fd, stage_ok, &found);
	for (size_t i = 0; i < found.count; i++) {
		PF_AUTO_CLOSE int fd = pf_open_beneath(outputs_fd, found.items[i], O_RDONLY | O_DIRECTORY, 0);

		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
		    same_place(fd, outputs_fd, found.items[i]) &&
		    pf_remove_tree(outputs_fd, found.items[i]) == 0)
			gone++;
	}
	pf_list_free(&found);
	return gone;
}

void pf__outputs_choose(struct pf__kept_age *items, size_t count, int64_t now_ns)
{
	uint64_t sum = 0;

	sort(items, count);
	for (size_t i = count; i--;) {
		if (__builtin_add_overflow(sum, items[i].bytes, &sum))
			sum = UINT64_MAX;
		items[i].go = now_ns - items[i].when_ns > PF_CHANGES_KEEP_S * INT64_C(1000000000) ||
			      (sum > PF_CHANGES_KEEP_BYTES && i + 1 < count);
	}
}

static unsigned remove_old(int outputs_fd)
{
	struct pf_list found = {0};
	PF_AUTO_FREE struct pf__kept_age *items = NULL;
	struct timespec now;
	size_t count = 0;
	unsigned gone = 0;

	if (list_ages(outputs_fd, &found, &items, &count) < 0)
		return 0;
	for (size_t i = 0; i < count; i++)
		items[i].bytes = pf_outputs_bytes(outputs_fd, items[i].id);
	clock_gettime(CLOCK_REALTIME, &now);
	pf__outputs_choose(items, count, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
	for (size_t i = 0; i < count; i++)
		if (items[i].go && pf_outputs_drop(outputs_fd, items[i].id, NULL) == 0)
			gone++;
	pf_list_free(&found);
	return gone;
}

unsigned pf_outputs_clean(int outputs_fd)
{
	unsigned gone = remove_cut_off(outputs_fd);

	return gone + remove_old(outputs_fd);
}

void pf_outputs_sweep(const struct pf_dirs *d)
{
	PF_AUTO_CLOSE int fd = pf_outputs_open(d, false, NULL);

	if (fd >= 0)
		remove_cut_off(fd);
}

/* --- for the writer ------------------------------------------------------------------------------ */

/* A sweep may come between the directory and its lock, and take it for one that was cut off: then once more.
 */
int pf__outputs_stage(int outputs_fd, const char *id, struct pf_error *err)
{
	char name[48];

	if (!id_ok(id))
		return pf_fail(err, -EINVAL, "that is no output's id");
	snprintf(name, sizeof(name), ".%s", id);
	for (unsigned i = 0; i < 8; i++) {
		PF_AUTO_CLOSE int fd = -1;

		if (mkdirat(outputs_fd, name, 0700) < 0 && errno != EEXIST)
			return pf_fail_errno(err, "cannot make a directory for the output");
		fd = pf_open_beneath(outputs_fd, name, O_RDONLY | O_DIRECTORY, 0);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && same_place(fd, outputs_fd, name))
			return pf_take_fd(&fd);
	}
	return pf_fail(err, -EBUSY, "cannot lock the directory for the output");
}

void pf__outputs_abort(int outputs_fd, const char *id)
{
	char name[48];

	snprintf(name, sizeof(name), ".%s", id);
	pf_remove_tree(outputs_fd, name);
}
