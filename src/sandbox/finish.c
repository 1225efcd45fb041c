/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why it ended (DESIGN section 6). The cause is never guessed: oom, pids and disk_limit need both an
 * unsuccessful end and the kernel's own word during this exec; what we ended ourselves has the reason we had.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "linux/seccomp.h"
#include "sandbox/door.h"

static void stamp(struct pf_exec *e)
{
	uint64_t ago = pf_now_ns() - e->started_ns, ms;
	struct timespec now;
	struct tm tm;
	time_t s;

	if (!e->started_ns)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	ms = ((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec - ago) / 1000000;
	s = (time_t)(ms / 1000);
	gmtime_r(&s, &tm);
	strftime(e->result.started_at, sizeof(e->result.started_at), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(e->result.started_at + 19, 8, ".%03uZ", (unsigned)(ms % 1000));
	e->result.duration_ms = (int64_t)((e->ended_ns - e->started_ns - e->paused_ns) / 1000000);
}

/* The receipt: what the tier knew, what was seen of this exec. The halves move into the result. */
static void take_receipt(struct pf_exec *e)
{
	struct pf_receipt *r = &e->result.receipt;

	if (!e->box->box || pf_receipt_copy(r, &e->box->box->receipt) < 0)
		return;
	if (e->inside.valid)
		r->inside = e->inside;
	if (e->outside.valid)
		r->outside = e->outside;
	r->agree = e->agree;
	e->inside = (struct pf_inside){0};
	e->outside = (struct pf_outside){0};
#ifdef PF_BREAK_BUILD
	r->build = "test build: PF_BREAK";
#elif defined(PF_SAN_BUILD)
	r->build = "sanitizer build";
#endif
}

static void take_common(struct pf_exec *e)
{
	struct pf_result *r = &e->result;

	pf__exec_name(e, r->id);
	pf__output_end(e);
	pf__redact_result(e);
	if (!e->ended_ns)
		e->ended_ns = pf_now_ns();
	stamp(e);
	take_receipt(e);
	r->has_changes = pf_ws_has_upper(e->box->policy->ws_mode);
}

static void take_usage(struct pf_exec *e)
{
	struct pf_box_usage u = {-1, -1, -1, NULL};
	struct pf_result *r = &e->result;
	uint64_t ms;

	e->box->tier->usage(e->box->box, e->id, &u);
	r->cpu_ms = u.cpu_ms;
	r->peak_memory = u.peak_memory;
	r->processes_peak = u.processes_peak;
	r->usage_source = u.source;
	if (u.source || e->exited.exec == 0)
		return;
	/* init's word: of the first process and what it waited for; nothing that cannot be */
	ms = e->exited.user_us / 1000 + e->exited.system_us / 1000;
	if (ms <= ((pf_now_ns() - e->started_ns) / 1000000 + 1000) * (uint64_t)sysconf(_SC_NPROCESSORS_ONLN))
		r->cpu_ms = (int64_t)ms;
	if (e->exited.max_rss_bytes <= (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE))
		r->peak_memory = (int64_t)e->exited.max_rss_bytes;
	r->usage_source = "rusage";
}

static int64_t grown(int64_t before, int64_t after)
{
	return before >= 0 && after > before ? after - before : 0;
}

/* Which limits the kernel says were met while it ran; noted whether it survived or not. */
static enum pf_cause take_events(struct pf_exec *e, bool unsuccessful)
{
	struct pf_box_events now = {-1, -1, -1};
	int64_t oom, pids;
	bool disk;

	e->box->tier->events(e->box->box, e->id, &now);
	oom = grown(e->before.oom, now.oom);
	pids = grown(e->before.pids, now.pids);
	disk = now.disk > 0 || e->disk_full;
	if (oom)
		pf_result_hit(&e->result, "oom", oom);
	if (pids)
		pf_result_hit(&e->result, "pids", pids);
	if (disk)
		pf_result_hit(&e->result, "disk_limit", 1);
	if (!unsuccessful)
		return PF_CAUSE_NONE;
	return oom ? PF_CAUSE_OOM : disk ? PF_CAUSE_DISK_LIMIT : pids ? PF_CAUSE_PIDS : PF_CAUSE_NONE;
}

static void set_end(struct pf_exec *e)
{
	struct pf_result *r = &e->result;
	bool forced = e->forced != PF_CAUSE_NONE;

	if (forced || e->exited.exec == 0) {
		r->cause = forced ? e->forced : PF_CAUSE_ERROR;
		r->signal = 9;
		r->exit_code = -1;
		return;
	}
	r->cause = e->exited.signalled ? PF_CAUSE_SIGNALLED : PF_CAUSE_EXITED;
	r->signal = e->exited.signalled ? (int)e->exited.value : 0;
	r->exit_code = e->exited.signalled ? -1 : (int)e->exited.value;
}

void pf__finish(struct pf_exec *e)
{
	struct pf_result *r = &e->result;
	enum pf_cause by_limit;

	if (e->state == PF_EXEC_DONE)
		return;
	pf__door_settle(e);
	set_end(e);
	by_limit = take_events(e, r->cause != PF_CAUSE_EXITED || r->exit_code != 0);
	if (e->forced == PF_CAUSE_NONE && by_limit != PF_CAUSE_NONE)
		r->cause = by_limit;
	if (e->forced == PF_CAUSE_TIMEOUT)
		pf_result_hit(r, "timeout", 1);
	if (e->forced == PF_CAUSE_IDLE_TIMEOUT)
		pf_result_hit(r, "idle_timeout", 1);
	if (e->forced == PF_CAUSE_OUTPUT_LIMIT)
		pf_result_hit(r, "output_limit", 1);
	take_usage(e);
	pf__refused_take(e);
	take_common(e);
	e->state = PF_EXEC_DONE;
	pf__rw_ended(e);
}

void pf__finish_refused(struct pf_exec *e, enum pf_cause cause, const struct pf_error *why)
{
	struct pf_result *r = &e->result;

	if (e->state == PF_EXEC_DONE)
		return;
	r->cause = cause;
	r->exit_code = -1;
	r->signal = cause == PF_CAUSE_KILLED ? 9 : 0;
	if (why)
		r->error = strdup(why->msg);
	take_common(e);
	e->state = PF_EXEC_DONE;
	pf__rw_ended(e);
}

/* As a shell answers: 127 for a command that is not there, 126 for one that cannot be started. */
int pf__finish_start_failed(struct pf_exec *e, int err_no, uint8_t step)
{
	const char *name = e->result.argv.count ? e->result.argv.items[0] : "?";
	struct pf_result *r = &e->result;
	struct pf_error why = {0};

	if (step == PF_STEP_CWD) {
		pf_fail(&why, -err_no, "the command's directory '%s' cannot be entered inside: %s",
			e->cwd ? e->cwd : "?", strerror(err_no));
		pf__finish_refused(e, PF_CAUSE_ERROR, &why);
		return 0;
	}
	if (step == PF_STEP_REFUSED) {
		pf__refused_first(e, name);
		return 0;
	}
	if (step != PF_STEP_LOOKUP && step != PF_STEP_EXEC) {
		pf_fail(&why, -err_no, "the command could not be set up inside: %s", strerror(err_no));
		pf__finish_refused(e, PF_CAUSE_ERROR, &why);
		return 0;
	}
	if (e->box->image.dir && (err_no == EIO || err_no == EUCLEAN))
		pf_fail(&why, -err_no,
			"cannot execute %s: %s; `pinfold image inspect --verify %s` tells whether the image "
			"is damaged",
			name, strerror(err_no), e->box->policy->image);
	else
		pf_fail(&why, -err_no,
			step == PF_STEP_LOOKUP ? "command not found: %s" : "cannot execute %s: %s", name,
			strerror(err_no));
	r->cause = PF_CAUSE_EXITED;
	r->exit_code = step == PF_STEP_LOOKUP ? 127 : 126;
	r->error = strdup(why.msg);
	take_common(e);
	e->state = PF_EXEC_DONE;
	pf__rw_ended(e);
	return 0;
}
