/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandboxes that are alive, and the removal of what dead ones left. Only what can be locked is
 * swept: a keeper holds flock(2) on RUNTIME/ID for its whole life, and the kernel gives
 * it back however the keeper ends.
 */
#include "sandbox/places.h"

#include <errno.h>
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
#include "linux/cgroup.h"
#include "sandbox/meta.h"

#define MAKING_SECONDS 2 /* an empty file is left alone so long: its keeper is about to lock it */

enum entry_state { ENTRY_MAKING, ENTRY_ALIVE, ENTRY_DEAD };

struct entry {
	int fd; /* its lock is held by us when the state is ENTRY_DEAD */
	enum entry_state state;
	struct pf_meta meta;
};

static bool id_valid(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n < 40 && s[0] != '-' &&
	       strspn(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") == n;
}

static bool younger(const struct stat *st, time_t seconds)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	/* A clock that was set back makes everything look new; then it waits for the next sweep. */
	return now.tv_sec - st->st_ctim.tv_sec < seconds;
}

/* Does name in dir still lead to the file that fd is? A sweep beside ours may have removed it in between. */
static bool same_file(int fd, int dir, const char *name)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstatat(dir, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static void entry_close(struct entry *e)
{
	pf_meta_free(&e->meta);
	if (e->fd >= 0)
		close(e->fd);
}

/* 1: there is nothing in it yet; -EINVAL: these are no lines of ours. */
static int read_meta(struct entry *e)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	int r = pf_read_fd(e->fd, &text, PF_META_MAX);

	if (r < 0 || text.len == 0)
		return r < 0 ? r : 1;
	r = pf_meta_parse(text.data, text.len, &e->meta);
	return r == 0 && !e->meta.tier[0] ? -EINVAL : r;
}

/* Look at RUNTIME/id. The lock is tried only once there are lines, since a keeper that finds its lock taken
 * by somebody who only looks would fail to start. Returns 0, or -ENOENT when it is gone or none of ours. */
static int entry_open(int runtime, const char *id, struct entry *e)
{
	struct stat st;
	int r;

	*e = (struct entry){.fd = -1};
	e->fd = pf_open_beneath(runtime, id, O_RDWR | O_NONBLOCK, 0);
	if (e->fd < 0 || fstat(e->fd, &st) < 0 || !S_ISREG(st.st_mode) || (r = read_meta(e)) < 0)
		return -ENOENT;
	if (r > 0 && younger(&st, MAKING_SECONDS)) {
		e->state = ENTRY_MAKING;
		return 0;
	}
	if (flock(e->fd, LOCK_EX | LOCK_NB) < 0)
		e->state = ENTRY_ALIVE;
	else if (!same_file(e->fd, runtime, id))
		return -ENOENT;
	else
		e->state = ENTRY_DEAD;
	return 0;
}

static int open_runtime(const struct pf_dirs *d, struct pf_error *err)
{
	/* Looking makes nothing: no directory is the same as an empty one. */
	if (access(d->runtime, F_OK) < 0 && errno == ENOENT)
		return -ENOENT;
	return pf_dirs_runtime(d, err);
}

static DIR *dir_of(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);

	if (!d && copy >= 0)
		close(copy);
	return d;
}

/* --- the list ---------------------------------------------------------------- */

/* One directory has many names, links and slashes being what they are. */
static bool same_state(const char *a, const char *b)
{
	struct stat x, y;

	return strcmp(a, b) == 0 ||
	       (stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

static void fill_live(struct pf_live *l, const struct pf_dirs *d, const char *id, struct entry *e)
{
	memset(l, 0, sizeof(*l));
	snprintf(l->id, sizeof(l->id), "%s", id);
	l->alive = e->state != ENTRY_DEAD;
	l->other = e->meta.state && !same_state(e->meta.state, d->state);
	l->pid = e->meta.pid;
	memcpy(l->started, e->meta.started, sizeof(l->started));
	memcpy(l->tier, e->meta.tier, sizeof(l->tier));
	memcpy(l->mode, e->meta.mode, sizeof(l->mode));
	l->workspace = pf_take_ptr(e->meta.workspace);
	l->command = pf_take_ptr(e->meta.command);
	l->image = pf_take_ptr(e->meta.image);
}

int pf_live_list(const struct pf_dirs *d, struct pf_live **out, size_t *count, struct pf_error *err)
{
	PF_AUTO_CLOSE int runtime = open_runtime(d, err);
	PF_AUTO_DIR DIR *dir = NULL;
	struct pf_live *list = NULL;
	size_t n = 0;
	struct dirent *de;

	if (runtime == -ENOENT) {
		*out = NULL;
		*count = 0;
		return 0;
	}
	if (runtime < 0)
		return runtime;
	dir = dir_of(runtime);
	if (!dir)
		return pf_fail_errno(err, "cannot read %s", d->runtime);
	while ((de = readdir(dir))) {
		struct entry e;

		if (!id_valid(de->d_name))
			continue;
		if (entry_open(runtime, de->d_name, &e) == 0) {
			struct pf_live *more = realloc(list, (n + 1) * sizeof(*list));

			if (!more) {
				entry_close(&e);
				pf_live_free(list, n);
				return pf_fail(err, -ENOMEM, "out of memory");
			}
			list = more;
			fill_live(&list[n++], d, de->d_name, &e);
		}
		entry_close(&e);
	}
	*out = list;
	*count = n;
	return 0;
}

int pf_live_none_within(const struct pf_dirs *d, const char *workspace, struct pf_error *err)
{
	struct pf_live *list = NULL;
	size_t count = 0, i;
	int r = pf_live_list(d, &list, &count, err);

	for (i = 0; r == 0 && i < count; i++) {
		const char *at = list[i].workspace;

		if (!list[i].alive || strcmp(list[i].mode, "rw,live") != 0 || !at)
			continue;
		if (pf_path_within(at, workspace) || pf_path_within(workspace, at))
			r = pf_fail(
				err, -EBUSY,
				"sandbox %s (pid %ld) works in '%s' itself (rw,live), where it could change "
				"what is being applied: wait until it has ended",
				list[i].id, list[i].pid, at);
	}
	pf_live_free(list, count);
	return r;
}

void pf_live_free(struct pf_live *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(list[i].workspace);
		free(list[i].command);
		free(list[i].image);
	}
	free(list);
}

/* --- the sweep --------------------------------------------------------------- */

/* Remove one scratch directory of meta. Only STATE/scratch/NAME is taken: meta is our own file, but a line in
 * it that led elsewhere would remove a user's tree. */
static int sweep_scratch(const struct pf_dirs *d, const char *path)
{
	PF_AUTO_CLOSE int scratch = -1;
	char base[544], clean[1024];
	const char *name;

	snprintf(base, sizeof(base), "%s/scratch", d->state);
	if (pf_path_clean(path, clean, sizeof(clean)) < 0 || !pf_path_within(clean, base))
		return -EPERM;
	name = clean + strlen(base);
	if (*name++ != '/' || !id_valid(name))
		return -EPERM;
	scratch = open(base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (scratch < 0)
		return errno == ENOENT ? 0 : -errno;
	return pf_remove_tree(scratch, name);
}

/* Scratch in another state directory is for who works with that one. Unless it is gone: then nobody else ever
 * removes what is left here. */
static bool sweepable(const struct pf_dirs *d, struct pf_meta *m)
{
	if (!m->state || m->scratch.count == 0 || same_state(m->state, d->state))
		return true;
	if (access(m->state, F_OK) == 0 || errno != ENOENT)
		return false;
	pf_list_free(&m->scratch);
	return true;
}

static void sweep_entry(const struct pf_dirs *d, int runtime, const char *id, struct pf_sweep *out)
{
	struct entry e;
	int r = 0;

	if (entry_open(runtime, id, &e) == 0 && e.state == ENTRY_DEAD && sweepable(d, &e.meta)) {
		/* without lines it died while it was made: its groups can only be guessed */
		if ((e.meta.cgroups.len ? pf_cgroup_sweep(e.meta.cgroups.data) : pf_cgroup_sweep_id(id)) != 0)
			r = -EBUSY;
		for (size_t i = 0; i < e.meta.scratch.count; i++) {
			int one = sweep_scratch(d, e.meta.scratch.items[i]);

			r = r ? r : one;
		}
		/* What could not be removed stays known, so that a later sweep tries again. */
		if (r == 0 && unlinkat(runtime, id, 0) == 0)
			out->removed++;
		else
			out->remaining++;
	}
	entry_close(&e);
}

/* Scratch that nobody's meta names any more: RUNTIME is a tmpfs and a reboot empties it. Whatever was there
 * before this boot belongs to nobody who lives; younger ones are left, since another RUNTIME may know them.
 */
static void sweep_old_scratch(const struct pf_dirs *d, struct pf_sweep *out)
{
	PF_AUTO_CLOSE int scratch = -1;
	PF_AUTO_DIR DIR *dir = NULL;
	struct timespec up;
	struct dirent *de;
	char base[544];

	snprintf(base, sizeof(base), "%s/scratch", d->state);
	scratch = open(base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (scratch < 0 || clock_gettime(CLOCK_BOOTTIME, &up) < 0)
		return;
	dir = dir_of(scratch);
	while (dir && (de = readdir(dir))) {
		struct stat st;

		if (!id_valid(de->d_name) || fstatat(scratch, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (younger(&st, up.tv_sec + 60))
			continue;
		if (pf_remove_tree(scratch, de->d_name) == 0)
			out->removed++;
		else
			out->remaining++;
	}
}

int pf_sweep(const struct pf_dirs *d, struct pf_sweep *out, struct pf_error *err)
{
	PF_AUTO_CLOSE int runtime = open_runtime(d, err);
	PF_AUTO_DIR DIR *dir = NULL;
	struct pf_sweep done = {0, 0};
	struct dirent *de;

	if (runtime >= 0) {
		dir = dir_of(runtime);
		if (!dir)
			return pf_fail_errno(err, "cannot read %s", d->runtime);
		while ((de = readdir(dir))) {
			if (id_valid(de->d_name))
				sweep_entry(d, runtime, de->d_name, &done);
		}
	} else if (runtime != -ENOENT) {
		return runtime;
	}
	sweep_old_scratch(d, &done);
	*out = done;
	return 0;
}
