/* SPDX-License-Identifier: Apache-2.0 */
/* A sandbox from create to end; see sandbox.h. */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/san.h"
#include "base/str.h"
#include "linux/seccomp.h"
#include "sandbox/door.h"
#include "sandbox/outputs.h"

static struct pf_policy *copy_policy(const struct pf_policy *p, struct pf_error *err)
{
	struct pf_policy *copy = calloc(1, sizeof(*copy));

	if (!copy || pf_policy_copy(p, copy) < 0) {
		free(copy);
		pf_fail(err, -ENOMEM, "out of memory");
		return NULL;
	}
	return copy;
}

static int send_hello(struct pf_sandbox *s, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	int r;

	s->box->hello.door_port = PF_DOOR_PORT;
	r = pf_msg_hello_put(&b, &s->box->hello);

	if (r == 0)
		r = pf_conn_send(s->conn, PF_MSG_HELLO, b.data, b.len);
	if (r == 0)
		r = pf_conn_writable(s->conn, err);
	return r < 0 ? pf_fail(err, r, "cannot greet pinfold-init") : 0;
}

struct pf_box_spec pf__sandbox_spec(const struct pf_sandbox *s)
{
	return (struct pf_box_spec){.id = s->id,
				    .policy = s->policy,
				    .image = s->image.dir ? &s->image : NULL,
				    .dirs = &s->dirs,
				    .progress = s->progress,
				    .breaks = s->breaks};
}

/* The wall, and init greeted behind it. */
static int stand(struct pf_sandbox *s, const struct pf_box_spec *spec, struct pf_error *err)
{
	int r = s->tier->create(spec, &s->box, err);

	if (r < 0)
		return r;
	s->box->receipt.why = s->why;
	s->conn = pf_conn_new(pf_take_fd(&s->box->sock), &pf__conn_ops, s);
	if (!s->conn)
		return pf_fail(err, -ENOMEM, "out of memory");
	if ((r = send_hello(s, err)) < 0) { /* the tier may know why nobody is there to be greeted */
		int why = s->tier->settle(s->box, err);

		return why < 0 ? why : r;
	}
	if ((r = pf__rundir_describe(s, err)) < 0)
		return r;
	return s->tier->settle(s->box, err);
}

static int build(struct pf_sandbox *s, struct pf_error *err)
{
	struct pf_box_spec spec;
	int r;

	if ((r = pf_tier_choose(s->policy, &s->tier, s->why, err)) < 0 || (r = pf__image_take(s, err)) < 0 ||
	    (r = pf__rundir_make(s, err)) < 0)
		return r;
	spec = pf__sandbox_spec(s);
	r = stand(s, &spec, err);
	if (r < 0 && s->box && s->tier->confirm(s->box, &spec, NULL) > 0) {
		/* it failed over what an outdated index said of the workspace, which is known now */
		pf_conn_free(s->conn);
		s->tier->destroy(s->box);
		s->conn = NULL;
		s->box = NULL;
		r = stand(s, &spec, err);
	}
	s->looking = r == 0 && !s->tier->look(s->box);
	return r;
}

int pf_sandbox_create(const struct pf_policy *policy, const struct pf_places *places, struct pf_sandbox **out,
		      struct pf_error *err)
{
	struct pf_sandbox *s = calloc(1, sizeof(*s));
	struct pf_sweep swept;
	int r;

	if (pf_san_refused()) {
		free(s);
		return pf_fail(err, -ENOTSUP, "a sanitizer build is for tests");
	}
	if (!s)
		return pf_fail(err, -ENOMEM, "out of memory");
	s->run_fd = s->live_fd = s->image_hold = -1;
	s->progress = places && places->progress;
	s->next_exec = 1;
	s->breaks = (char *)(uintptr_t) "";
#ifdef PF_BREAK_BUILD
	if (getenv("PF_BREAK"))
		s->breaks = getenv("PF_BREAK");
#endif
	s->policy = copy_policy(policy, err);
	r = s->policy ? pf_policy_check(s->policy, err) : err ? err->code : -ENOMEM;
	if (r == 0)
		r = pf_dirs_find(places, &s->dirs, err);
	if (r == 0)
		pf_sweep(&s->dirs, &swept, NULL); /* what a killed pinfold left; never a reason to fail */
	if (r == 0)
		pf_outputs_sweep(&s->dirs);
	if (r == 0)
		r = pf__redact_new(s, err);
	if (r == 0)
		r = build(s, err);
	if (r < 0) {
		pf_sandbox_destroy(s);
		return r;
	}
	*out = s;
	return 0;
}

void pf__sandbox_label(struct pf_sandbox *s, const char *const *argv)
{
	PF_AUTO_BUF struct pf_buf line = {0};
	char text[200];

	if (s->box->command)
		return;
	for (; *argv && line.len < sizeof(text); argv++)
		pf_buf_addf(&line, "%s%s", line.len ? " " : "", *argv);
	pf_printable(line.data ? line.data : "", line.len, text, sizeof(text));
	s->box->command = strdup(text);
	pf__redact_line(s, &s->box->command);
	pf__rundir_describe(s, NULL); /* for `ls`; what a sweep needs was there before */
}

const char *pf_sandbox_id(const struct pf_sandbox *s)
{
	return s->id;
}

const char *pf_sandbox_tier(const struct pf_sandbox *s)
{
	return s->tier->name;
}

/* The one change that no set carries: apply and diff are about what is beneath a workspace. */
static int tell_top(const struct pf_changeset *set, char **note, struct pf_error *err)
{
	if (!note || !set->top_mode)
		return 0;
	return asprintf(note, PF_TOP_MODE_NOTE, (unsigned)(set->top_mode & 07777)) < 0
		       ? (*note = NULL, pf_fail(err, -ENOMEM, "out of memory"))
		       : 0;
}

static int collect(struct pf_sandbox *s, bool apply, char **changes_id, char **note, struct pf_error *err)
{
	PF_AUTO_CLOSE int changes = pf_dirs_changes(&s->dirs, err);
	struct pf_changeset set = {0};
	struct pf_applied applied = {0};
	char id[40];
	int r;

	if (changes < 0)
		return changes;
	r = s->tier->collect(s->box, changes, s->id, &set, err);
	if (r < 0)
		return r;
	/* a set that is cut short says so even if it came to nothing */
	snprintf(id, sizeof(id), "%s", set.count || set.truncated ? s->id : "");
	if (*id && apply)
		pf_kept_apply(&s->dirs, changes, s->id, &applied, id);
	if (*id && !(*changes_id = strdup(id)))
		r = pf_fail(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = tell_top(&set, note, err);
	pf_applied_free(&applied);
	pf_change_free(&set);
	return r;
}

static void free_execs(struct pf_sandbox *s)
{
	while (s->execs)
		pf_exec_end(s->execs);
}

int pf_sandbox_end_noted(struct pf_sandbox *s, char **changes_id, char **note, struct pf_error *err)
{
	bool whole, owed;
	int r = 0;

	if (!s)
		return 0;
	/* what ran until now is applied too, if the wall stood to the end */
	owed = s->policy &&
	       (s->policy->ws_mode == PF_WS_COW || (s->policy->ws_mode == PF_WS_RW && pf__rw_pending(s)));
	whole = !s->broken.code;
	if (changes_id)
		*changes_id = NULL;
	if (s->box)
		s->tier->doom(s->box); /* namespaces take a while to die: the rest is done meanwhile */
	free_execs(s);
	pf_conn_free(s->conn);
	if (s->box) {
		s->tier->stop(s->box);
		pf__door_free(s); /* now: one that was paused is thawed, and can die */
		if (changes_id && owed)
			r = collect(s, whole && s->policy->ws_mode == PF_WS_RW, changes_id, note, err);
		s->tier->destroy(s->box);
	}
	pf__rundir_remove(s);
	pf__image_drop(s);
	pf__redact_free(s);
	pf_policy_destroy(s->policy);
	free(s);
	return r;
}

int pf_sandbox_end(struct pf_sandbox *s, char **changes_id, struct pf_error *err)
{
	return pf_sandbox_end_noted(s, changes_id, NULL, err);
}

void pf_sandbox_destroy(struct pf_sandbox *s)
{
	pf_sandbox_end(s, NULL, NULL);
}

int pf_sandbox_pause(struct pf_sandbox *s, struct pf_error *err)
{
	int r = s->paused_at ? 0 : s->tier->freeze(s->box, true, err);

	if (r == 0 && !s->paused_at)
		s->paused_at = pf_now_ns();
	return r;
}

int pf_sandbox_resume(struct pf_sandbox *s, struct pf_error *err)
{
	struct pf_exec *e;
	uint64_t stood;
	int r;

	if (!s->paused_at)
		return 0;
	r = s->tier->freeze(s->box, false, err);
	if (r < 0)
		return r;
	stood = pf_now_ns() - s->paused_at;
	s->paused_at = 0;
	for (e = s->execs; e; e = e->next) {
		if (!e->started_ns || e->ended_ns)
			continue;
		e->paused_ns += stood;
		e->last_byte_ns += stood;
	}
	return 0;
}

int pf_sandbox_fd(const struct pf_sandbox *s)
{
	int door = pf__door_fd(s);

	return door >= 0 ? door : pf_conn_fd(s->conn);
}

int pf_sandbox_events(const struct pf_sandbox *s)
{
	return POLLIN | (!s->door && pf_conn_wants_write(s->conn) ? POLLOUT : 0);
}
