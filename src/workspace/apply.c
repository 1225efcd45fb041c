/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking a change set over into the user's directory. apply_internal.h says in which steps; here they are
 * called, for a set that nobody has begun with and for one that is half applied.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "workspace/apply_internal.h"

#ifdef PF_SAN_BUILD
void (*pf__apply_point)(void);
#endif

int pf__apply_no_memory(struct pf__apply *a)
{
	return pf_fail(a->err, -ENOMEM, "out of memory while applying changes");
}

int pf__apply_cannot(struct pf__apply *a, int code, const char *what, const char *path)
{
	char show[PF__WS_SHOW];

	errno = -code;
	return pf_fail_errno(a->err, "cannot %s '%s'", what, pf__ws_show(path, show));
}

int pf__apply_note(struct pf__apply *a, const char *path, const char *what)
{
	return pf_list_addf(&a->report->notes, "%s: %s", path, what) < 0 ? pf__apply_no_memory(a) : 0;
}

int pf__apply_conflict(struct pf__apply *a, const char *path, const char *reason)
{
	return pf_list_addf(&a->report->conflicts, "%s: %s", path, reason) < 0 ? pf__apply_no_memory(a) : 0;
}

void pf_apply_report_free(struct pf_apply_report *r)
{
	pf_list_free(&r->applied);
	pf_list_free(&r->conflicts);
	pf_list_free(&r->protected_paths);
	pf_list_free(&r->notes);
}

static int verdict(struct pf__apply *a)
{
	size_t n = a->report->conflicts.count, p = a->report->protected_paths.count;

	if (n && (!a->how->force || a->blocked))
		return pf_fail(a->err, -EEXIST, "%zu conflict%s: the workspace has changed since the %s", n,
			       n == 1 ? "" : "s",
			       a->report->resumed ? "apply was cut off" : "sandbox started");
	if (p)
		return pf_fail(a->err, -EPERM, "%zu protected path%s would change", p, p == 1 ? "" : "s");
	return 0;
}

/* A dry run says what it would do. */
static int pretend(struct pf__apply *a)
{
	for (size_t i = 0; i < a->c->count; i++) {
		if (a->plan.steps[i].kind != PF__STEP_NONE && !a->plan.steps[i].done &&
		    pf_list_add(&a->report->applied, a->c->items[i].path) < 0)
			return pf__apply_no_memory(a);
	}
	return 0;
}

static bool nothing_to_do(const struct pf__apply *a)
{
	for (size_t i = 0; i < a->c->count; i++) {
		if (a->plan.steps[i].kind != PF__STEP_NONE)
			return false;
	}
	return true;
}

static int move_and_finish(struct pf__apply *a)
{
	int r = pf__apply_open_shut(a);

	if (r == 0)
		r = pf__apply_move(a);
	if (r == 0)
		r = pf__apply_finish(a);
	if (r == 0)
		return 0;
	/* His directories are not left open while it waits. */
	pf__apply_shut_again(a);
	a->report->half = true;
	return r;
}

/* The workspace must be the directory that it was: its path may lead to another one by now. */
static int check_place(struct pf__apply *a)
{
	char show[PF__WS_SHOW];
	int r = pf__change_place(a->ws_fd, &a->plan.place);

	if (r < 0)
		return pf__apply_cannot(a, r, "look at", a->c->workspace);
	if (a->how->force || pf__change_same_place(&a->plan.place, &a->c->place))
		return 0;
	return pf_fail(a->err, -ESTALE,
		       "'%s' is another directory than the one that the sandbox had; --force applies to it "
		       "all the same",
		       pf__ws_show(a->c->workspace, show));
}

static int fresh(struct pf__apply *a)
{
	int r = check_place(a);

	if (r == 0)
		r = pf__apply_choose(a);
	if (r == 0)
		r = pf__apply_check(a);
	if (r == 0)
		r = verdict(a);
	if (r == 0)
		r = pf__apply_plan(a);
	if (r < 0 || nothing_to_do(a))
		return r;
	if (a->how->dry_run)
		return pretend(a);
	snprintf(a->plan.id, sizeof(a->plan.id), "%s", a->c->id);
	r = pf__apply_stage(a);
	if (r < 0) {
		pf__apply_undo(a);
		return r;
	}
	return move_and_finish(a);
}

/* --- going on ------------------------------------------------------------------------- */

static int same_paths(struct pf__apply *a, const struct pf__plan *old)
{
	struct pf_list *now = &a->plan.only;
	bool same = now->count == old->only.count;

	/* without paths: as the first said */
	if (now->count == 0)
		return pf_list_copy(now, &old->only) < 0 ? pf__apply_no_memory(a) : 0;
	for (size_t i = 0; same && i < now->count; i++)
		same = strcmp(now->items[i], old->only.items[i]) == 0;
	return same ? 0
		    : pf_fail(a->err, -EINVAL,
			      "change set %s is half applied, with other paths: apply it without any, which "
			      "goes on with those",
			      a->c->id);
}

/* The first did not come to move anything, or its STAGE is gone: what is left of it goes, and all begins
 * anew. */
static int begin_anew(struct pf__apply *a, struct pf__plan *old)
{
	if (a->how->dry_run)
		return fresh(a);
	memcpy(a->plan.stage, old->stage, sizeof(a->plan.stage));
	a->plan.shut = pf_take_ptr(old->shut);
	a->plan.shut_count = old->shut_count;
	old->shut_count = 0;
	pf__apply_undo(a);
	return fresh(a);
}

static int go_on(struct pf__apply *a)
{
	int r;

	a->report->resumed = true;
	r = pf__apply_recheck(a);
	if (r == 0)
		r = pf__apply_stamps(a);
	if (r == 0)
		r = verdict(a);
	if (r < 0) {
		a->report->half = true;
		return r;
	}
	return a->how->dry_run ? pretend(a) : move_and_finish(a);
}

static int resume(struct pf__apply *a)
{
	struct pf_change_place here;
	struct pf__plan old = {0};
	char show[PF__WS_SHOW];
	int r = pf__journal_read(a->set_fd, a->c, &old, a->err);

	if (r < 0)
		return r;
	r = pf__change_place(a->ws_fd, &here);
	if (r < 0)
		r = pf__apply_cannot(a, r, "look at", a->c->workspace);
	else if (!pf__change_same_place(&here, &old.place))
		r = pf_fail(
			a->err, -ESTALE,
			"change set %s is half applied, and '%s' is another directory than the one that it "
			"was applied to",
			a->c->id, pf__ws_show(a->c->workspace, show));
	else
		r = same_paths(a, &old);
	if (r == 0) {
		struct pf_list only = a->plan.only;

		memcpy(a->plan.stage, old.stage, sizeof(a->plan.stage));
		r = old.moving ? pf__stage_open(a) : -ENOENT;
		if (r == -ENOENT) {
			r = begin_anew(a, &old);
		} else if (r < 0) {
			r = pf_fail(a->err, r, "cannot open '%s' in the workspace: %s", old.stage,
				    strerror(-r));
		} else {
			pf_list_free(&old.only);
			a->plan = old;
			a->plan.only = only;
			old = (struct pf__plan){0};
			r = go_on(a);
		}
	}
	pf__apply_plan_free(&old);
	return r;
}

/* --- the call -------------------------------------------------------------------------- */

/* One at a time: the lock goes with this process, however it ends. */
static int open_and_lock(struct pf__apply *a)
{
	a->set_fd = pf__change_open_set(a->changes_fd, a->c->id, a->err);
	if (a->set_fd < 0)
		return a->set_fd;
	if (!a->how->dry_run && flock(a->set_fd, LOCK_EX | LOCK_NB) < 0)
		return pf_fail(a->err, -EBUSY, "change set %s is being applied already", a->c->id);
	a->ws_fd = pf__change_open_workspace(a->c, a->err);
	return a->ws_fd < 0 ? a->ws_fd : 0;
}

static void apply_close(struct pf__apply *a)
{
	if (a->set_fd >= 0)
		close(a->set_fd);
	if (a->ws_fd >= 0)
		close(a->ws_fd);
	if (a->stage_fd >= 0)
		close(a->stage_fd);
	pf__apply_plan_free(&a->plan);
	pf__applied_free(a->applied);
	free(a->names);
	free(a->stamps);
	free(a->todo);
}

int pf_change_apply(int changes_fd, const struct pf_changeset *c, const struct pf_apply *how,
		    struct pf_apply_report *report, struct pf_error *err)
{
	struct pf_error mine = {0}; /* what failed first is said, so it must begin empty */
	struct pf__apply a = {.c = c,
			      .how = how,
			      .report = report,
			      .changes_fd = changes_fd,
			      .set_fd = -1,
			      .ws_fd = -1,
			      .stage_fd = -1,
			      .as_root = geteuid() == 0,
			      .err = &mine};
	int r;

	*report = (struct pf_apply_report){0};
	if (c->truncated && !(c->by_name && how->only))
		return pf_fail(err, -E2BIG, "the change set is incomplete and cannot be applied%s: %s",
			       c->by_name ? " as a whole, only by paths that are named" : "",
			       c->note ? c->note : "not every change could be kept");
	if (how->only && how->only->count == 0)
		return 0; /* none of it */
	a.todo = calloc(1, c->count + 1);
	r = a.todo ? open_and_lock(&a) : pf__apply_no_memory(&a);
	if (r == 0 && how->only)
		r = pf__apply_paths(&a, how->only, &a.plan.only);
	if (r == 0)
		r = pf__journal_there(a.set_fd) ? resume(&a) : fresh(&a);
	if (r == 0 && !how->dry_run)
		pf__applied_mark(a.set_fd, a.plan.only.count == 0);
	apply_close(&a);
	if (r < 0 && err)
		*err = mine;
	return r;
}
