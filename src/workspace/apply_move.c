/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The moves, in this order: what must go to make room (the content of directories that become files);
 * directories, files and links, parents first; all other deletions, deepest first. Cut off half way there is
 * more than there was, not less: a renamed file has its new name before it loses the old one.
 *
 * An exchange has no moment at which a name is missing, and brings out what was there: if that is not what
 * was looked at an instant before, somebody wrote it in between, and it is exchanged back. File systems
 * without RENAME_EXCHANGE (NFS, some FUSE) have plain renames, and that instant.
 */
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "workspace/apply_internal.h"

static int rename2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	return syscall(SYS_renameat2, from_fd, from, to_fd, to, flags) < 0 ? -errno : 0;
}

static bool unknown_flag(int r)
{
	return r == -EINVAL || r == -ENOSYS;
}

/* --- single moves ------------------------------------------------------------------------ */

static int same_times(int from_fd, const char *from, int to_fd, const char *to)
{
	struct timespec times[2];
	struct stat st;

	if (fstatat(from_fd, from, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	return utimensat(to_fd, to, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* What a kill left beside the place of an entry. */
void pf__apply_clear_beside(const struct pf__apply *a, size_t i, const struct pf__place *p)
{
	char beside[PF__STAGE_MAX + PF__NAME_MAX];

	snprintf(beside, sizeof(beside), "%s.%zx", a->plan.stage, i);
	if (p->fd >= 0 && unlinkat(p->fd, beside, 0) < 0 && errno == EISDIR)
		unlinkat(p->fd, beside, AT_REMOVEDIR);
}

/* What is there must go before the new takes its name: a mark in STAGE says that we did that. */
static int clear_place(struct pf__apply *a, size_t i, const struct pf__place *p)
{
	const struct pf__step *s = &a->plan.steps[i];
	bool dir = S_ISDIR(a->c->items[i].mode), was_dir = s->was.exists && S_ISDIR(s->was.mode);
	char aside[PF__NAME_MAX + 4];

	if (!dir && !was_dir)
		return 0;
	pf__stage_aside(i, aside);
	if (mkdirat(a->stage_fd, aside, 0700) < 0 && errno != EEXIST)
		return -errno;
	PF__POINT();
	if (p->exists && unlinkat(p->fd, p->leaf, was_dir ? AT_REMOVEDIR : 0) < 0)
		return errno == ENOTEMPTY || errno == EEXIST ? -ESTALE : -errno;
	PF__POINT();
	return 0;
}

/*
 * Another file system in all but name: a subvolume, or a directory with a quota of its own, takes nothing by
 * rename. Then the entry is made beside its place. Its name there cannot be guessed either.
 */
static int put_beside(struct pf__apply *a, size_t i, const struct pf__place *p, const char *name)
{
	bool dir = S_ISDIR(a->c->items[i].mode);
	char beside[PF__STAGE_MAX + PF__NAME_MAX];
	int r;

	pf__apply_clear_beside(a, i, p);
	snprintf(beside, sizeof(beside), "%s.%zx", a->plan.stage, i);
	r = pf__stage_make(a, i, p->fd, beside);
	if (r == 0 && S_ISREG(a->c->items[i].mode))
		r = same_times(a->stage_fd, name, p->fd, beside);
	PF__POINT();
	if (r == 0)
		r = clear_place(a, i, p);
	if (r == 0)
		r = rename2(p->fd, beside, p->fd, p->leaf, p->exists ? 0 : RENAME_NOREPLACE);
	if (unknown_flag(r))
		r = rename2(p->fd, beside, p->fd, p->leaf, 0);
	PF__POINT();
	if (r < 0)
		unlinkat(p->fd, beside, dir ? AT_REMOVEDIR : 0);
	else
		unlinkat(a->stage_fd, name, dir ? AT_REMOVEDIR : 0); /* that says that it is done */
	return r;
}

/* To a place where nothing is. */
static int put_new(struct pf__apply *a, size_t i, const struct pf__place *p, const char *name)
{
	int r = rename2(a->stage_fd, name, p->fd, p->leaf, RENAME_NOREPLACE);

	/* link(2) never replaces; a directory has none, and replaces at most an empty one */
	if (unknown_flag(r) && !S_ISDIR(a->c->items[i].mode)) {
		r = linkat(a->stage_fd, name, p->fd, p->leaf, 0) < 0 ? -errno : 0;
		if (r == 0 && unlinkat(a->stage_fd, name, 0) < 0)
			r = -errno;
	}
	if (unknown_flag(r) || r == -EPERM || r == -EMLINK || r == -EOPNOTSUPP)
		r = rename2(a->stage_fd, name, p->fd, p->leaf, 0);
	PF__POINT();
	return r;
}

/* Without an exchange: files over files by one rename, all else by way of STAGE. */
static int replace(struct pf__apply *a, size_t i, const struct pf__place *p, const char *name)
{
	const struct pf__step *s = &a->plan.steps[i];
	char aside[PF__NAME_MAX + 4];
	int r;

	if (!S_ISDIR(s->was.mode) && !S_ISDIR(a->c->items[i].mode)) {
		r = rename2(a->stage_fd, name, p->fd, p->leaf, 0);
		PF__POINT();
		return r;
	}
	pf__stage_aside(i, aside);
	r = S_ISDIR(s->was.mode) ? clear_place(a, i, p) : rename2(p->fd, p->leaf, a->stage_fd, aside, 0);
	PF__POINT();
	return r < 0 ? r : put_new(a, i, p, name);
}

/* Does what lies in STAGE under the name look like what was there? A directory must be empty, and goes. */
static int verify(struct pf__apply *a, const struct pf__step *s, const char *name, bool *ok)
{
	struct stat st;

	*ok = false;
	if (fstatat(a->stage_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode)) {
		*ok = pf__was_like(&s->was, &st);
		return 0;
	}
	if (!S_ISDIR(s->was.mode))
		return 0;
	*ok = unlinkat(a->stage_fd, name, AT_REMOVEDIR) == 0;
	PF__POINT();
	return *ok || errno == ENOTEMPTY || errno == EEXIST ? 0 : -errno;
}

int pf__apply_give_back(struct pf__apply *a, size_t i, const struct pf__place *p)
{
	const struct pf__step *s = &a->plan.steps[i];
	char name[PF__NAME_MAX];
	bool ok;
	int r;

	pf__stage_name(i, name);
	r = verify(a, s, name, &ok);
	if (r < 0 || ok)
		return r == -ENOENT ? 0 : r;
	if (p->fd < 0)
		return -ENOENT;
	r = s->kind == PF__STEP_PUT ? rename2(a->stage_fd, name, p->fd, p->leaf, RENAME_EXCHANGE)
				    : rename2(a->stage_fd, name, p->fd, p->leaf, RENAME_NOREPLACE);
	if (r == -ENOENT && s->kind == PF__STEP_PUT) /* what was put there is gone again */
		r = rename2(a->stage_fd, name, p->fd, p->leaf, RENAME_NOREPLACE);
	PF__POINT();
	return r < 0 ? r : -ESTALE;
}

static int put(struct pf__apply *a, size_t i, const struct pf__place *p)
{
	char name[PF__NAME_MAX];
	int r = 0;

	pf__stage_name(i, name);
	if (p->spoilt && unlinkat(a->stage_fd, name, 0) < 0 && errno == EISDIR)
		r = unlinkat(a->stage_fd, name, AT_REMOVEDIR) < 0 ? -ESTALE : 0;
	if (r == 0 && faccessat(a->stage_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		r = a->plan.steps[i].from ? pf__stage_link(a, i) : pf__stage_again(a, i);
	if (r < 0)
		return r;
	if (!p->exists) {
		r = put_new(a, i, p, name);
	} else {
		r = rename2(a->stage_fd, name, p->fd, p->leaf, RENAME_EXCHANGE);
		PF__POINT();
		if (r == 0)
			return pf__apply_give_back(a, i, p);
		if (unknown_flag(r))
			r = replace(a, i, p, name);
	}
	return r == -EXDEV ? put_beside(a, i, p, name) : r;
}

static int take_away(struct pf__apply *a, size_t i, const struct pf__place *p)
{
	char name[PF__NAME_MAX];
	int r;

	pf__stage_name(i, name);
	r = rename2(p->fd, p->leaf, a->stage_fd, name, RENAME_NOREPLACE);
	if (unknown_flag(r))
		r = rename2(p->fd, p->leaf, a->stage_fd, name, 0);
	PF__POINT();
	if (r == 0)
		return pf__apply_give_back(a, i, p);
	if (r == -EXDEV) {
		r = unlinkat(p->fd, p->leaf, 0) < 0 ? -errno : 0;
		PF__POINT();
	}
	return r;
}

static int remove_dir(struct pf__apply *a, size_t i, const struct pf__place *p)
{
	int r = unlinkat(p->fd, p->leaf, AT_REMOVEDIR) < 0 ? -errno : 0;

	PF__POINT();
	if (r == -ENOENT)
		return 0;
	if (r != -ENOTEMPTY && r != -EEXIST)
		return r;
	/* a forced apply leaves what the sandbox did not see, and the directory with it */
	return a->how->force ? pf__apply_note(a, a->c->items[i].path, "not removed: it is not empty")
			     : -ESTALE;
}

/* --- steps ------------------------------------------------------------------------------- */

/* Forced over what the user did since: that is now what was there. */
static void accept(struct pf__apply *a, size_t i, const struct pf__place *p)
{
	struct pf__step *s = &a->plan.steps[i];

	pf__was_of(&s->was, p->exists ? &p->st : NULL);
	if (s->kind == PF__STEP_RMDIR)
		s->kind = PF__STEP_REMOVE; /* it is none any more */
	else if (S_ISDIR(s->was.mode) && S_ISDIR(a->c->items[i].mode))
		s->kind = PF__STEP_META; /* he made it himself */
}

/* Anything else than it was, but just as the change wants it: by the user, or by ourselves just before we
 * were killed. */
static int wanted_already(struct pf__apply *a, size_t i, const struct pf__place *p)
{
	const struct pf_change *c = &a->c->items[i];

	if (!p->exists || c->op == PF_DELETED || a->plan.steps[i].kind != PF__STEP_PUT)
		return 0;
	return pf__apply_same(a, c, p->fd, p->leaf, &p->st);
}

static int moved_meanwhile(struct pf__apply *a, int code, const struct pf_change *c)
{
	char show[PF__WS_SHOW];

	return pf_fail(a->err, code,
		       "'%s' changed while changes were applied; what was applied stays, repeat to go on",
		       pf__ws_show(c->path, show));
}

static int do_step(struct pf__apply *a, size_t i, const struct pf__place *p)
{
	switch (a->plan.steps[i].kind) {
	case PF__STEP_PUT:
		return put(a, i, p);
	case PF__STEP_META:
		return pf__apply_meta(a, i, p, false);
	case PF__STEP_REMOVE:
		return take_away(a, i, p);
	case PF__STEP_RMDIR:
		return remove_dir(a, i, p);
	default:
		return 0;
	}
}

static int add_notes(struct pf__apply *a, size_t i)
{
	const struct pf_change *c = &a->c->items[i];
	const struct pf__step *s = &a->plan.steps[i];
	int r = 0;

	if (s->kind != PF__STEP_PUT && s->kind != PF__STEP_META)
		return 0;
	if (c->mode & ~s->mode & (S_ISUID | S_ISGID) && !S_ISLNK(c->mode))
		r = pf__apply_note(a, c->path, "its set-id bits were dropped");
	if (r == 0 && c->target && pf__leads_out(c, a->c->workspace))
		r = pf__apply_note(a, c->path, "a symbolic link that leads out of the workspace");
	if (r == 0 && S_ISFIFO(c->mode))
		r = pf__apply_note(a, c->path, "a FIFO: who opens it waits for another");
	if (r == 0 && c->other_attrs)
		r = pf__apply_note(a, c->path, "some of its extended attributes are not applied");
	return r;
}

static int run_step(struct pf__apply *a, size_t i)
{
	const struct pf_change *c = &a->c->items[i];
	struct pf__step *s = &a->plan.steps[i];
	struct pf__place p;
	enum pf__state state;
	const char *why;
	int r = pf__apply_look(a, i, &p, &state, &why), same;

	if (r == 0 && state == PF__MOVED) {
		r = pf__apply_give_back(a, i, &p);
		state = PF__DONE;
	}
	if (r == 0 && state == PF__CHANGED) {
		same = wanted_already(a, i, &p);
		state = same == 1 ? PF__DONE : a->how->force ? PF__READY : state;
		r = same < 0 ? same : 0;
		if (r == 0 && state == PF__READY)
			accept(a, i, &p);
	}
	if (r == 0 && (state == PF__CHANGED || state == PF__BLOCKED))
		r = -ESTALE;
	PF__POINT();
	if (r == 0 && state == PF__READY) {
		r = do_step(a, i, &p);
		if (r == 0 && pf_list_add(&a->report->applied, c->path) < 0)
			r = pf__apply_no_memory(a);
		if (r == 0)
			r = add_notes(a, i);
	}
	s->done = r == 0;
	pf__place_close(&p);
	if (r == 0 || (a->err && a->err->code))
		return r;
	return r == -ESTALE || r == -EEXIST ? moved_meanwhile(a, r, c)
					    : pf__apply_cannot(a, r, "apply", c->path);
}

/* What was in a directory that is to be something else. */
static int make_room(struct pf__apply *a)
{
	int r = 0;

	for (size_t i = 0; i < a->c->count && r == 0; i++) {
		const struct pf_change *c = &a->c->items[i];
		size_t end = i + 1;

		if (a->plan.steps[i].kind != PF__STEP_PUT || !S_ISDIR(c->old_mode) || S_ISDIR(c->mode))
			continue;
		while (end < a->c->count && pf__apply_within(a->c->items[end].path, c->path))
			end++;
		for (size_t j = end; --j > i && r == 0;) {
			if (a->plan.steps[j].kind != PF__STEP_NONE && a->c->items[j].op == PF_DELETED)
				r = run_step(a, j);
		}
	}
	return r;
}

int pf__apply_move(struct pf__apply *a)
{
	int r = make_room(a);

	for (size_t i = 0; i < a->c->count && r == 0; i++) {
		if (a->plan.steps[i].kind != PF__STEP_NONE && a->c->items[i].op != PF_DELETED)
			r = run_step(a, i);
	}
	for (size_t i = a->c->count; i-- > 0 && r == 0;) {
		if (a->plan.steps[i].kind != PF__STEP_NONE && !a->plan.steps[i].done)
			r = run_step(a, i);
	}
	return r;
}

/* Is there something in a directory that is to go? */
static int recheck_entries(struct pf__apply *a, size_t i, const struct pf__place *p)
{
	const struct pf__step *s = &a->plan.steps[i];
	bool goes = s->kind == PF__STEP_RMDIR || (s->kind == PF__STEP_PUT && S_ISDIR(s->was.mode));

	return goes && p->exists && S_ISDIR(p->st.st_mode) ? pf__apply_unseen(a, &a->c->items[i]) : 0;
}

/* Its directory is one that is still to be put there. Parents come first, and were looked at already. */
static bool parent_comes(const struct pf__apply *a, const char *path)
{
	char part[PF__WS_PATH_MAX], *slash;

	strcpy(part, path); /* checked to be shorter when it was loaded */
	while ((slash = strrchr(part, '/'))) {
		ssize_t i;

		*slash = '\0';
		i = pf__change_find(a->c, part);
		if (i >= 0 && a->plan.steps[i].kind == PF__STEP_PUT && S_ISDIR(a->c->items[i].mode) &&
		    !a->plan.steps[i].done)
			return true;
	}
	return false;
}

int pf__apply_recheck(struct pf__apply *a)
{
	int r = 0;

	for (size_t i = 0; i < a->c->count; i++)
		a->todo[i] = a->plan.steps[i].kind == PF__STEP_NONE ? PF__DO_NOT : PF__DO_WRITE;
	for (size_t i = 0; i < a->c->count && r == 0; i++) {
		struct pf__step *s = &a->plan.steps[i];
		enum pf__state state = PF__READY;
		struct pf__place p;
		const char *why;

		if (s->kind == PF__STEP_NONE)
			continue;
		r = pf__apply_look(a, i, &p, &state, &why);
		if (r == 0 && state == PF__READY)
			r = recheck_entries(a, i, &p);
		if (r == 0 && state == PF__CHANGED) {
			r = wanted_already(a, i, &p);
			state = r == 1 ? PF__DONE : state;
			r = r < 0 ? r : 0;
		}
		if (r == 0 && state == PF__BLOCKED && p.fd < 0 && parent_comes(a, a->c->items[i].path))
			state = PF__READY;
		if (r == 0 && (state == PF__CHANGED || state == PF__BLOCKED)) {
			a->blocked |= state == PF__BLOCKED;
			r = pf__apply_conflict(a, a->c->items[i].path, why);
		}
		s->done = state == PF__DONE;
		pf__place_close(&p);
	}
	return r;
}
