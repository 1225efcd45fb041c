/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes that go into the workspace by themselves (DESIGN section 8). Mode rw: after every exec, through the
 * same checks as `apply`, and the next one begins with a fresh upper, since an overlay's lower must not
 * change under it. While other commands of the session run, it waits for the end of the last.
 *
 * However the command ended, what it wrote is the user's, as it would be without a sandbox. But not when the
 * wall broke or pinfold failed: then the changes are kept and nothing is applied.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sandbox/sandbox.h"
#include "workspace/change.h"

#define LIST_MAX 100 /* entries that a result names; of what is more, the number */

/* The beginning of a list, with a word about the rest. Best effort: the change set has it all. */
static void take_list(struct pf_list *to, struct pf_list *from)
{
	size_t i;

	for (i = 0; i < from->count && i < LIST_MAX; i++)
		pf_list_add(to, from->items[i]);
	if (i < from->count)
		pf_list_addf(to, "... and %zu more", from->count - i);
	pf_list_free(from);
}

int pf_result_secrets(struct pf_result *r, int changes_fd, const char *id, struct pf_error *err)
{
	struct pf_changeset set;
	int code = pf_change_counts(changes_fd, id, &set, err);
	bool any = code == 0 && set.secrets;

	pf_list_free(&r->secrets);
	if (code == 0)
		pf_change_free(&set);
	if (!any)
		return code;
	code = pf_change_load(changes_fd, id, &set, err);
	if (code < 0)
		return code;
	if (pf_change_secrets(&set, &r->secrets) < 0)
		code = pf_fail(err, -ENOMEM, "out of memory");
	pf_change_free(&set);
	return code;
}

/* See pf_live_none_within(). */
static int nobody_within(const struct pf_dirs *dirs, int changes_fd, const char *id, struct pf_error *err)
{
	struct pf_changeset set;
	int r = pf_change_counts(changes_fd, id, &set, err);

	if (r < 0)
		return r;
	r = pf_live_none_within(dirs, set.workspace, err);
	pf_change_free(&set);
	return r;
}

void pf_kept_apply(const struct pf_dirs *dirs, int changes_fd, const char *set, struct pf_applied *out,
		   char changes_id[40])
{
	char id[40]; /* set may be changes_id */
	struct pf_apply_report report = {0};
	struct pf_error err = {0};
	size_t left = 0;
	int r;

	snprintf(id, sizeof(id), "%s", set);
	r = nobody_within(dirs, changes_fd, id, &err);
	if (r == 0)
		r = pf_change_apply_free(changes_fd, id, &report, &left, &err);

	pf_applied_free(out);
	out->entries = report.applied.count;
	if (r < 0) {
		/* one that was cut off has done some: the set stays whole, and applying it again does the
		 * rest */
		out->state = out->entries ? PF_APPLIED_SOME : PF_APPLIED_NONE;
		out->why = strdup(err.msg);
	} else {
		out->state = left ? PF_APPLIED_SOME : PF_APPLIED_ALL;
	}
	snprintf(changes_id, 40, "%s", r < 0 || left ? id : "");
	take_list(&out->conflicts, &report.conflicts);
	take_list(&out->held, &report.protected_paths);
	take_list(&out->notes, &report.notes);
	pf_apply_report_free(&report);
}

static bool runs(const struct pf_exec *e)
{
	return e->state >= PF_EXEC_STARTING && e->state != PF_EXEC_DONE;
}

bool pf__rw_pending(const struct pf_sandbox *s)
{
	const struct pf_exec *e;

	for (e = s->execs; e; e = e->next)
		if (runs(e))
			return true;
	return s->rw_dirty;
}

/* Waiting launchers know the old workspace: init replaces them, and each is looked at again. */
static int make_rules_anew(struct pf_sandbox *s)
{
	struct pf_exec *e;
	int r = pf_conn_send(s->conn, PF_MSG_RULES, "", 0);

	for (e = s->execs; e; e = e->next)
		if (e->state == PF_EXEC_SPARE)
			e->state = PF_EXEC_PREPARING;
	return r < 0 ? r : pf_conn_writable(s->conn, NULL);
}

int pf__workspace_renew(struct pf_sandbox *s, struct pf_error *err)
{
	struct pf_box_spec spec = pf__sandbox_spec(s);
	int r = s->tier->renew(s->box, &spec, err);

	if (r > 0 && (r = make_rules_anew(s)) < 0)
		pf_fail(err, r, "cannot tell init of the fresh workspace");
	return r;
}

/* Collect, apply, and say so in the result of e. */
static int take_changes(struct pf_exec *e, int changes_fd, const char *id, struct pf_error *err)
{
	struct pf_sandbox *s = e->box;
	struct pf_result *r = &e->result;
	struct pf_changeset set = {0};
	int code = s->tier->collect(s->box, changes_fd, id, &set, err);

	if (code < 0)
		return code;
	s->rw_dirty = false;
	r->added = set.added;
	r->modified = set.modified;
	r->deleted = set.deleted;
	r->incomplete = set.truncated;
	r->applied.state = PF_APPLIED_ALL;
	if (set.top_mode &&
	    asprintf(&r->changes_note, PF_TOP_MODE_NOTE, (unsigned)(set.top_mode & 07777)) < 0)
		r->changes_note = NULL;
	if (set.truncated && pf_change_counts(changes_fd, id, &set, NULL) == 0) {
		free(r->changes_note);
		r->changes_note = pf_take_ptr(set.note);
	}
	if (set.count || set.truncated) {
		code = pf_result_secrets(r, changes_fd, id, err);
		pf_kept_apply(&s->dirs, changes_fd, id, &r->applied, r->changes_id);
	}
	pf_change_free(&set);
	return code;
}

static int settle(struct pf_exec *e, struct pf_error *err)
{
	struct pf_sandbox *s = e->box;
	PF_AUTO_CLOSE int changes = pf_dirs_changes(&s->dirs, err);
	char id[40];
	int r;

	if (changes < 0)
		return changes;
	if (e->exited.exec && !e->reaped && !e->last)
		return pf_fail(err, -EBUSY, "what a command left running could not be ended");
	if (e->last)
		s->tier->stop(s->box);
	snprintf(id, sizeof(id), e->last ? "%.20s" : "%.20s-%u", s->id, e->id);
	r = take_changes(e, changes, id, err);
	if (r < 0 || e->last)
		return r;
	r = pf__workspace_renew(s, err);
	return r < 0 ? r : 0;
}

void pf__rw_ended(struct pf_exec *e)
{
	struct pf_sandbox *s = e->box;
	struct pf_result *r = &e->result;
	const struct pf_exec *other;
	struct pf_error err = {0};

	if (s->policy->ws_mode != PF_WS_RW || !s->rw_dirty || s->broken.code)
		return;
	for (other = s->execs; other; other = other->next)
		if (other != e && runs(other)) {
			r->applied.state = PF_APPLIED_PENDING;
			return;
		}
	if (settle(e, &err) == 0)
		return;
	if (!r->error)
		r->error = strdup(err.msg);
	if (r->applied.state == PF_APPLIED_NULL) {
		r->applied.state = PF_APPLIED_NONE;
		r->applied.why = strdup(err.msg);
	}
	pf__break_box(s, PF_CAUSE_ERROR, &err);
}
