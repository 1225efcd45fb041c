/* SPDX-License-Identifier: Apache-2.0 */
/* The end of an apply, good or not: modes of directories, what is remembered of it, STAGE and journal. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "workspace/apply_internal.h"

/* Directories let us in until everything beneath has its place. */
static int final_modes(struct pf__apply *a)
{
	int r = 0;

	for (size_t i = a->c->count; i-- > 0 && r == 0;) {
		const struct pf__step *s = &a->plan.steps[i];
		struct pf__place p;

		if (!S_ISDIR(a->c->items[i].mode) || (s->kind != PF__STEP_PUT && s->kind != PF__STEP_META))
			continue;
		r = pf__place_open(a, a->c->items[i].path, &p);
		if (r == 0 && p.exists && S_ISDIR(p.st.st_mode))
			r = pf__apply_meta(a, i, &p, true);
		pf__place_close(&p);
		/* what the user took away or put there since is his */
		if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP || r == -EXDEV)
			r = 0;
		if (r < 0)
			r = pf__apply_cannot(a, r, "set the mode of", a->c->items[i].path);
	}
	return r;
}

/* ino, mtime_ns: what we left there; anything else was put there by somebody else just now. */
static void remember_one(struct pf__apply *a, const char *path, uint64_t ino, int64_t mtime_ns, int64_t now,
			 struct pf_buf *lines)
{
	struct stat st;

	if (pf__ws_stat(a->ws_fd, path, &st) == 0 && !S_ISDIR(st.st_mode) &&
	    (st.st_ino == ino || pf__ws_mtime_ns(&st) == mtime_ns))
		pf__applied_line(path, &st, now, lines);
}

/* What this apply wrote, as it left it: no change of the user's for a set whose sandbox started before. */
static void remember(struct pf__apply *a)
{
	PF_AUTO_BUF struct pf_buf lines = {0};
	int64_t now = (int64_t)time(NULL);

	for (size_t i = 0; i < a->c->count; i++) {
		const struct pf_change *c = &a->c->items[i];
		const struct pf__step *s = &a->plan.steps[i];

		if (s->kind == PF__STEP_META)
			remember_one(a, c->path, s->was.ino, s->was.mtime_ns, now, &lines);
		if (s->kind != PF__STEP_PUT)
			continue;
		remember_one(a, c->path, s->staged.ino, s->staged.mtime_ns, now, &lines);
		if (s->from) /* its number of names changed */
			remember_one(a, pf__stage_source(a, i), s->staged.ino, s->staged.mtime_ns, now,
				     &lines);
	}
	if (lines.len)
		pf__applied_add(a->changes_fd, a->c->workspace, &lines);
}

static void remove_stage(struct pf__apply *a)
{
	if (a->stage_fd >= 0)
		close(a->stage_fd);
	a->stage_fd = -1;
	if (a->plan.stage[0])
		pf_remove_tree(a->ws_fd, a->plan.stage);
	PF__POINT();
}

int pf__apply_finish(struct pf__apply *a)
{
	int r = final_modes(a);

	if (r < 0)
		return r;
	remember(a);
	remove_stage(a); /* in the workspace itself, which may be one that is shut again now */
	pf__apply_shut_again(a);
	pf__journal_remove(a->set_fd);
	PF__POINT();
	return 0;
}

void pf__apply_undo(struct pf__apply *a)
{
	remove_stage(a);
	pf__apply_shut_again(a);
	pf__journal_remove(a->set_fd);
	for (size_t i = 0; i < a->plan.shut_count; i++)
		free(a->plan.shut[i].path);
	free(a->plan.shut);
	a->plan.shut = NULL;
	a->plan.shut_count = 0;
	a->plan.stage[0] = '\0';
}

/* --- giving up ------------------------------------------------------------------------- */

/* What the user wrote at the moment of an exchange is his, and goes back to its place. */
static bool give_all_back(struct pf__apply *a)
{
	bool all = true;

	for (size_t i = 0; i < a->c->count; i++) {
		const struct pf__step *s = &a->plan.steps[i];
		enum pf__state state;
		struct pf__place p;
		const char *why;
		int r;

		if (s->kind != PF__STEP_PUT && s->kind != PF__STEP_REMOVE)
			continue;
		r = pf__apply_look(a, i, &p, &state, &why);
		if (r == 0 && state == PF__MOVED)
			r = pf__apply_give_back(a, i, &p);
		if (r == 0 && s->kind == PF__STEP_PUT)
			pf__apply_clear_beside(a, i, &p);
		all &= r == 0 || r == -ESTALE;
		pf__place_close(&p);
	}
	return all;
}

static int abandon(struct pf__apply *a)
{
	struct pf_change_place here;
	int r;

	a->ws_fd = pf__change_open_workspace(a->c, a->err);
	if (a->ws_fd < 0)
		return a->ws_fd;
	r = pf__change_place(a->ws_fd, &here);
	if (r < 0 || !pf__change_same_place(&here, &a->plan.place))
		return pf_fail(a->err, -ESTALE, "the workspace is another directory now");
	r = a->plan.moving ? pf__stage_open(a) : 0;
	if (r < 0 && r != -ENOENT)
		return pf_fail(a->err, r, "cannot open %s: %s", a->plan.stage, strerror(-r));
	if (a->plan.moving) {
		if (r == 0 && !give_all_back(a))
			return pf_fail(a->err, -EBUSY, "something of yours lies in %s", a->plan.stage);
		final_modes(a);
	}
	remove_stage(a);
	pf__apply_shut_again(a);
	return 0;
}

void pf__apply_abandon(int changes_fd, int set_fd, const char *id, char *note)
{
	struct pf_apply how = {0};
	struct pf_apply_report report = {0};
	struct pf_changeset c = {0};
	struct pf_error err = {0};
	struct pf__apply a = {.c = &c,
			      .how = &how,
			      .report = &report,
			      .changes_fd = changes_fd,
			      .set_fd = set_fd,
			      .ws_fd = -1,
			      .stage_fd = -1,
			      .as_root = geteuid() == 0,
			      .err = &err};
	int r = pf_change_load(changes_fd, id, &c, &err);

	if (r == 0)
		r = pf__journal_read(set_fd, &c, &a.plan, &err);
	if (r == 0)
		r = abandon(&a);
	if (r < 0 && note)
		snprintf(note, PF_ERROR_MAX, "what was staged%s%.60s may be left in the workspace: %.380s",
			 a.plan.stage[0] ? " as " : "", a.plan.stage, err.msg);
	if (a.ws_fd >= 0)
		close(a.ws_fd);
	if (a.stage_fd >= 0)
		close(a.stage_fd);
	pf__apply_plan_free(&a.plan);
	pf_apply_report_free(&report);
	pf_change_free(&c);
}
