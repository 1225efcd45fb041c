/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far is it with one step? Before its move, and when an apply that was cut off goes on: from what lies in
 * STAGE and what stands at the entry's place, compared with what the plan says was there.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "workspace/apply_internal.h"

void pf__was_of(struct pf__was *was, const struct stat *st)
{
	*was = (struct pf__was){0};
	if (!st)
		return;
	*was = (struct pf__was){
		.exists = true,
		.mode = st->st_mode,
		.ino = st->st_ino,
		.nlink = st->st_nlink,
		.size = (uint64_t)st->st_size,
		.mtime_ns = pf__ws_mtime_ns(st),
		.ctime_ns = pf__ws_ctime_ns(st),
		.uid = st->st_uid,
		.gid = st->st_gid,
	};
}

bool pf__was_like(const struct pf__was *was, const struct stat *st)
{
	if (!was->exists || (was->mode & S_IFMT) != (st->st_mode & S_IFMT))
		return false;
	/* what is in a directory is looked at where it matters */
	return S_ISDIR(st->st_mode) ||
	       (was->size == (uint64_t)st->st_size && was->mtime_ns == pf__ws_mtime_ns(st));
}

bool pf__was_same(const struct pf__was *was, const struct stat *st)
{
	if (!pf__was_like(was, st))
		return false;
	/* Steps of ours may have changed the number of its names, and with it the time. */
	return S_ISDIR(st->st_mode) || was->ctime_ns == pf__ws_ctime_ns(st) ||
	       ((was->nlink > 1 || st->st_nlink > 1) && was->ino == st->st_ino);
}

int pf__place_open(struct pf__apply *a, const char *path, struct pf__place *p)
{
	int r;

	memset(p, 0, sizeof(*p));
	p->fd = pf__ws_open_parent(a->ws_fd, path, &p->leaf);
	if (p->fd < 0)
		return p->fd;
	if (fstat(p->fd, &p->dir) < 0)
		return -errno;
	r = pf__ws_stat(p->fd, p->leaf, &p->st);
	p->exists = r == 0;
	return r == -ENOENT ? 0 : r;
}

void pf__place_close(struct pf__place *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

/* What is in STAGE for an entry? */
enum staged { NOTHING, MINE, OTHER, SPOILT };

/* As it was staged? A file by its bytes' number and the time that only we gave: an inode says nothing of who
 * wrote in it since. Others by inode, or by the same where a file system does not keep those. */
static bool looks_staged(const struct pf__apply *a, size_t i, const struct stat *st)
{
	const struct pf__step *s = &a->plan.steps[i];
	bool as_made = (uint64_t)st->st_size == s->staged.size && pf__ws_mtime_ns(st) == s->staged.mtime_ns;

	if ((st->st_mode & S_IFMT) != (a->c->items[i].mode & S_IFMT))
		return false;
	return as_made || (!S_ISREG(st->st_mode) && st->st_ino == s->staged.ino);
}

static int look_staged(const struct pf__apply *a, size_t i, const struct pf__place *p, enum staged *what)
{
	const struct pf__step *s = &a->plan.steps[i];
	char name[PF__NAME_MAX];
	struct stat st;

	pf__stage_name(i, name);
	*what = NOTHING;
	if (fstatat(a->stage_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	*what = OTHER;
	if (s->kind == PF__STEP_PUT && looks_staged(a, i, &st))
		*what = MINE;
	/* it never came from the place of the entry, where ours is not: half made, or written by another */
	else if (s->kind == PF__STEP_PUT && !pf__was_like(&s->was, &st) &&
		 !(p->exists && looks_staged(a, i, &p->st)))
		*what = SPOILT;
	return 0;
}

/* The directory of the entry cannot be opened. */
static bool no_parent(int code, const char **why)
{
	switch (code) {
	case -ENOENT:
		*why = "its directory is missing";
		return true;
	case -ELOOP:
		*why = "a symbolic link stands in the way to it";
		return true;
	case -ENOTDIR:
		*why = "something that is no directory stands in the way to it";
		return true;
	case -EXDEV:
		*why = "another file system is mounted on the way to it, or there";
		return true;
	default:
		return false;
	}
}

static void look_put(struct pf__apply *a, size_t i, const struct pf__place *p, enum pf__state *state,
		     const char **why)
{
	const struct pf__step *s = &a->plan.steps[i];
	bool dir = S_ISDIR(a->c->items[i].mode), mark;
	char aside[PF__NAME_MAX + 4];

	/* what was there we took away ourselves, and were killed before or behind the next step */
	pf__stage_aside(i, aside);
	mark = faccessat(a->stage_fd, aside, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	if (mark && p->exists && dir && S_ISDIR(p->st.st_mode))
		*state = PF__DONE;
	else if (!p->exists ? !s->was.exists || mark : pf__was_same(&s->was, &p->st))
		*state = PF__READY;
	else
		*why = p->exists ? "has changed meanwhile" : "is missing";
	/* not even a forced apply removes a tree that the sandbox knows nothing of */
	if (*why && p->exists && S_ISDIR(p->st.st_mode) && !S_ISDIR(s->was.mode) && !dir) {
		*why = "is a directory now";
		*state = PF__BLOCKED;
	}
}

/* Mode and attributes may have been given already, whole or in part; and a directory may be open for a while.
 */
static bool mode_expected(const struct pf__step *s, mode_t now)
{
	mode_t was = s->was.mode & PF__WS_MODE_BITS, open = S_ISDIR(s->was.mode) ? 0700 : 0200;

	now &= PF__WS_MODE_BITS;
	return now == was || now == (was | open) || (open == 0700 && now == (was | 0300)) || now == s->mode ||
	       now == (s->mode | open);
}

static void look_meta(const struct pf__apply *a, size_t i, const struct pf__place *p, enum pf__state *state,
		      const char **why)
{
	const struct pf__step *s = &a->plan.steps[i];

	if (!p->exists || (p->st.st_mode & S_IFMT) != (s->was.mode & S_IFMT)) {
		*why = p->exists ? "has become something else meanwhile" : "is missing";
		*state = PF__BLOCKED; /* there are no bytes to put there */
	} else if (!pf__was_like(&s->was, &p->st)) {
		*why = "has changed meanwhile";
	} else if (!mode_expected(s, p->st.st_mode)) {
		*why = "its mode has changed meanwhile";
	} else {
		*state = PF__READY;
	}
}

static void look_gone(const struct pf__apply *a, size_t i, const struct pf__place *p, enum pf__state *state,
		      const char **why)
{
	const struct pf__step *s = &a->plan.steps[i];

	if (!p->exists) {
		*state = PF__DONE;
	} else if (pf__was_same(&s->was, &p->st)) {
		*state = PF__READY;
	} else {
		*why = "has changed meanwhile";
		*state = S_ISDIR(p->st.st_mode) ? PF__BLOCKED : PF__CHANGED;
	}
}

int pf__apply_look(struct pf__apply *a, size_t i, struct pf__place *p, enum pf__state *state,
		   const char **why)
{
	const struct pf__step *s = &a->plan.steps[i];
	enum staged staged = NOTHING;
	int r = pf__place_open(a, a->c->items[i].path, p), found;

	*why = NULL;
	found = s->kind == PF__STEP_PUT || s->kind == PF__STEP_REMOVE ? look_staged(a, i, p, &staged) : 0;
	if (found < 0)
		return pf__apply_cannot(a, found, "look at what is staged for", a->c->items[i].path);
	if (r < 0 && !no_parent(r, why))
		return pf__apply_cannot(a, r, "look at", a->c->items[i].path);
	p->spoilt = staged == SPOILT;
	if (staged == OTHER) {
		*state = PF__MOVED;
	} else if (s->kind == PF__STEP_PUT && staged == NOTHING &&
		   (!s->from || (r == 0 && p->exists && p->st.st_ino == s->staged.ino))) {
		*state = PF__DONE;
	} else if (r < 0) {
		bool gone = s->kind == PF__STEP_REMOVE || s->kind == PF__STEP_RMDIR;

		*state = gone && r != -EXDEV ? PF__DONE : PF__BLOCKED;
	} else {
		*state = PF__CHANGED;
		if (s->kind == PF__STEP_PUT)
			look_put(a, i, p, state, why);
		else if (s->kind == PF__STEP_META)
			look_meta(a, i, p, state, why);
		else
			look_gone(a, i, p, state, why);
	}
	return 0;
}
