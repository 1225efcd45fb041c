/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that speaks against an apply, found before anything is written.
 *
 * A conflict is something of the user's that the sandbox did not know: a file changed, made or
 * removed since. It is told by ctime, which no program can set back. `force` writes over those. What
 * it never does is to go through a symbolic link or a mount that stands in the way.
 *
 * What is seen here is recorded for each step: the moves come later, and each looks whether it is still so.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "workspace/apply_internal.h"

bool pf__apply_retype(const struct pf_change *c)
{
	return c->op == PF_MODIFIED && (c->mode & S_IFMT) != (c->old_mode & S_IFMT);
}

bool pf__apply_makes_dir(const struct pf_change *c)
{
	return S_ISDIR(c->mode) && (c->op == PF_ADDED || pf__apply_retype(c));
}

static int conflict(struct pf__apply *a, const struct pf_change *c, const char *reason)
{
	return pf__apply_conflict(a, c->path, reason);
}

/* A secret that the policy hid: no forced apply alone may lose it, so it is held back as a protected path is.
 */
static int over_hidden(struct pf__apply *a, const struct pf_change *c, const char *where)
{
	if (!a->how->allow_protected && !c->protect && pf_list_add(&a->report->protected_paths, c->path) < 0)
		return pf__apply_no_memory(a);
	return conflict(a, c, where);
}

static int blocked(struct pf__apply *a, const struct pf_change *c, const char *reason)
{
	a->blocked = true;
	return conflict(a, c, reason);
}

/* As the collect saw it, its change time aside. */
static bool still(const struct pf_change *c, const struct stat *now)
{
	if ((now->st_mode & S_IFMT) != (c->old_mode & S_IFMT))
		return false;
	if (!S_ISREG(now->st_mode) && !S_ISLNK(now->st_mode))
		return true;
	return (uint64_t)now->st_size == c->old_size && pf__ws_mtime_ns(now) == c->old_mtime_ns;
}

bool pf__apply_ours(struct pf__apply *a, const char *path, const struct stat *st)
{
	if (!a->applied)
		a->applied = pf__applied_load(a->changes_fd, a->c->workspace);
	return a->applied && pf__applied_is(a->applied, path, st);
}

/* Has the user's file changed since the sandbox started? Directories change with every entry: their mode
 * alone counts. */
static bool changed(struct pf__apply *a, const struct pf_change *c, const struct stat *st)
{
	int64_t ctime = pf__ws_ctime_ns(st);

	if (S_ISDIR(st->st_mode))
		return (st->st_mode ^ c->old_mode) & PF__WS_MODE_BITS;
	/* the clock of a file system is coarse: an equal time says nothing, the recorded state does */
	if (ctime != c->old_ctime_ns || !still(c, st))
		return true;
	return ctime > a->c->reference_ns && !pf__apply_ours(a, c->path, st);
}

/* Is there a change to be applied that makes a directory above this path? Then nothing can be in its way. */
static bool parent_is_new(const struct pf__apply *a, const char *path)
{
	char part[PF__WS_PATH_MAX], *slash;

	strcpy(part, path); /* checked to be shorter when it was loaded */
	while ((slash = strrchr(part, '/'))) {
		ssize_t i;

		*slash = '\0';
		i = pf__change_find(a->c, part);
		if (i >= 0 && a->todo[i] == PF__DO_WRITE && pf__apply_makes_dir(&a->c->items[i]))
			return true;
	}
	return false;
}

/* A forced apply leaves such an entry and its directory alone; then nothing else can stand in the directory's
 * place. */
static int unseen(struct pf__apply *a, const struct pf_change *c, const char *path)
{
	if (c->op != PF_DELETED)
		a->blocked = true;
	return pf__apply_conflict(a, path, "the removed directory has an entry that the sandbox did not see");
}

int pf__apply_unseen(struct pf__apply *a, const struct pf_change *c)
{
	PF_AUTO_CLOSE int fd = pf__ws_open(a->ws_fd, c->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	struct pf_list names = {0};
	int r = fd < 0 ? fd : pf__ws_names(fd, &names, 4 * (size_t)PF_CHANGES_MAX);

	if (fd == -EXDEV)
		return blocked(a, c, "another file system is mounted there");
	if (r < 0)
		return pf__apply_cannot(a, r, "read the directory", c->path);
	for (size_t k = 0; k < names.count && r == 0; k++) {
		PF_AUTO_FREE char *path = pf__ws_join(c->path, names.items[k]);
		ssize_t i = path ? pf__change_find(a->c, path) : -1;

		if (!path)
			r = pf__apply_no_memory(a);
		else if (i < 0 || a->c->items[i].op != PF_DELETED || a->todo[i] == PF__DO_NOT)
			r = unseen(a, c, path);
	}
	pf_list_free(&names);
	return r;
}

static int check_present(struct pf__apply *a, size_t i, int parent, const char *leaf, const struct stat *st)
{
	const struct pf_change *c = &a->c->items[i];
	int same = c->op == PF_DELETED ? 0 : pf__apply_same(a, c, parent, leaf, st);

	if (same < 0)
		return same;
	if (same) {
		a->todo[i] = PF__DO_DONE;
		return 0;
	}
	/* not even a forced apply removes a tree that the sandbox knows nothing of */
	if (S_ISDIR(st->st_mode) && !S_ISDIR(c->mode) && !S_ISDIR(c->old_mode))
		return blocked(a, c, "is a directory now");
	if (c->hidden)
		return over_hidden(a, c, "is there, but was hidden from the sandbox (secrets.mask)");
	if (c->op == PF_ADDED)
		return conflict(a, c, "exists now and did not when the sandbox started");
	if ((st->st_mode & S_IFMT) != (c->old_mode & S_IFMT))
		/* a new mode alone is nothing to put in the place of what is there now */
		return (c->op == PF_MODIFIED && !c->content ? blocked : conflict)(
			a, c, "has become something else since the sandbox started");
	if (changed(a, c, st))
		return conflict(a, c,
				S_ISDIR(st->st_mode) ? "its mode has changed since the sandbox started"
						     : "has changed since the sandbox started");
	if (S_ISDIR(c->old_mode) && !S_ISDIR(c->mode))
		return pf__apply_unseen(a, c);
	return 0;
}

/* Is the directory that it is in, which is there, one of those that were hidden? */
static bool in_hidden(const struct pf__apply *a, const char *path)
{
	char part[PF__WS_PATH_MAX], *slash;
	ssize_t i;

	strcpy(part, path); /* checked to be shorter when it was loaded */
	slash = strrchr(part, '/');
	if (!slash)
		return false;
	*slash = '\0';
	i = pf__change_find(a->c, part);
	return i >= 0 && a->c->items[i].hidden;
}

static int check_absent(struct pf__apply *a, size_t i)
{
	const struct pf_change *c = &a->c->items[i];

	if (c->op == PF_DELETED) {
		a->todo[i] = PF__DO_DONE;
		return 0;
	}
	if (c->hidden && in_hidden(a, c->path))
		return over_hidden(a, c,
				   "its directory is there, but was hidden from the sandbox (secrets.mask)");
	if (c->op == PF_ADDED)
		return 0;
	/* there are no bytes to put there if only the mode changed */
	return (c->content ? conflict : blocked)(a, c, "is missing; the sandbox changed it");
}

/* The path's own directory could not be opened. */
static int check_no_parent(struct pf__apply *a, size_t i, int why)
{
	const struct pf_change *c = &a->c->items[i];

	if (c->op == PF_DELETED && why != -EXDEV) {
		/* Not there, as wanted; a link on the way is not looked through. */
		a->todo[i] = PF__DO_DONE;
		return 0;
	}
	if (parent_is_new(a, c->path))
		return 0;
	if (why == -ENOENT)
		return blocked(a, c, "its directory is missing");
	if (why == -ELOOP)
		return blocked(a, c, "a symbolic link stands in the way to it");
	if (why == -ENOTDIR)
		return blocked(a, c, "something that is no directory stands in the way to it");
	if (why == -EXDEV)
		return blocked(a, c, "another file system is mounted on the way to it");
	return pf__apply_cannot(a, why, "open the directory of", c->path);
}

static int check_one(struct pf__apply *a, size_t i)
{
	const struct pf_change *c = &a->c->items[i];
	PF_AUTO_CLOSE int parent = -1;
	const char *leaf;
	struct stat st;
	int r;

	parent = pf__ws_open_parent(a->ws_fd, c->path, &leaf);
	if (parent == -ENOENT || parent == -ELOOP || parent == -ENOTDIR || parent == -EXDEV)
		return check_no_parent(a, i, parent);
	if (parent < 0)
		return pf__apply_cannot(a, parent, "open the directory of", c->path);
	r = pf__ws_stat(parent, leaf, &st);
	if (r == -EXDEV)
		return blocked(a, c, "another file system is mounted there");
	if (r == -ENOENT)
		return check_absent(a, i);
	if (r < 0)
		return pf__apply_cannot(a, r, "look at", c->path);
	pf__was_of(&a->plan.steps[i].was, &st);
	return check_present(a, i, parent, leaf, &st);
}

int pf__apply_check(struct pf__apply *a)
{
	int r = 0;

	a->plan.count = a->c->count;
	a->plan.steps = calloc(a->c->count + 1, sizeof(*a->plan.steps));
	if (!a->plan.steps)
		return pf__apply_no_memory(a);
	for (size_t i = 0; i < a->c->count && r == 0; i++) {
		if (a->todo[i] == PF__DO_NOT)
			continue;
		r = check_one(a, i);
		if (r == 0 && a->todo[i] == PF__DO_WRITE && a->c->items[i].protect &&
		    !a->how->allow_protected) {
			if (pf_list_add(&a->report->protected_paths, a->c->items[i].path) < 0)
				r = pf__apply_no_memory(a);
		}
	}
	return r;
}
