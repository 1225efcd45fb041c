/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages from pinfold-init to the host: what each may contain, in the order of the struct. Init
 * may have been taken over; what it says is reported, but only within these bounds.
 */
#include "proto/frame.h"
#include "proto/wire.h"

#define PATH	     PF_WIRE_PATH_MAX
#define TEXT_MAX     4096u /* bytes of a text that goes into a message or the receipt */
#define TRY_MIN	     10u   /* bytes of a try on the wire: attempt, err and the length of its detail */
#define SIGNAL_MAX   64
#define DUMPABLE_MAX 2 /* SUID_DUMP_ROOT, the last that prctl(PR_GET_DUMPABLE) answers */

static void walk_welcome(struct pf__wire *w, struct pf_msg_welcome *m)
{
	pf__wire_u16(w, &m->version);
	pf__wire_u64(w, &m->features);
	pf__wire_u32(w, &m->landlock_abi);
	pf__wire_bool(w, &m->scoped, "scoped");
	pf__wire_u8(w, &m->dumpable);
	pf__wire_range(w, m->dumpable, 0, DUMPABLE_MAX, "dumpable");
	pf__wire_errno(w, &m->door_err, "door_err");
	pf__wire_str(w, &m->kernel, TEXT_MAX, "kernel");
}

static void walk_tries(struct pf__wire *w, struct pf_msg_ready *m)
{
	pf__wire_count(w, &m->try_count, PF_TRIES_MAX, TRY_MIN, "try_count");
	for (uint32_t i = 0; i < m->try_count && !w->failed; i++) {
		pf__wire_u16(w, &m->tries[i].attempt);
		pf__wire_range(w, m->tries[i].attempt, 1, PF_TRY_LAST, "attempt");
		pf__wire_errno(w, &m->tries[i].err, "the err of a try");
		pf__wire_str(w, &m->tries[i].detail, PATH, "the detail of a try");
	}
}

static void walk_ready(struct pf__wire *w, struct pf_msg_ready *m)
{
	pf__wire_exec(w, &m->exec);
	pf__wire_u32(w, &m->pid);
	pf__wire_u32(w, &m->uid);
	pf__wire_u32(w, &m->gid);
	pf__wire_u32(w, &m->groups);
	pf__wire_u64(w, &m->cap_inh);
	pf__wire_u64(w, &m->cap_prm);
	pf__wire_u64(w, &m->cap_eff);
	pf__wire_u64(w, &m->cap_bnd);
	pf__wire_u64(w, &m->cap_amb);
	pf__wire_u8(w, &m->no_new_privs);
	pf__wire_u8(w, &m->seccomp);
	pf__wire_u8(w, &m->landlock);
	pf__wire_u32(w, &m->seccomp_filters);
	for (unsigned i = 0; i < PF_NS_KINDS; i++)
		pf__wire_u64(w, &m->ns[i]);
	walk_tries(w, m);
}

static void walk_started(struct pf__wire *w, struct pf_msg_started *m)
{
	pf__wire_exec(w, &m->exec);
	pf__wire_errno(w, &m->err, "err");
	pf__wire_u8(w, &m->step);
	pf__wire_range(w, m->step, PF_STEP_NONE, PF_STEP_REFUSED, "step");
}

static void walk_exited(struct pf__wire *w, struct pf_msg_exited *m)
{
	pf__wire_exec(w, &m->exec);
	pf__wire_bool(w, &m->signalled, "signalled");
	pf__wire_bool(w, &m->core, "core");
	pf__wire_u32(w, &m->value);
	if (m->signalled)
		pf__wire_range(w, m->value, 1, SIGNAL_MAX, "the signal");
	else
		pf__wire_range(w, m->value, 0, 255, "the exit code");
	pf__wire_u64(w, &m->user_us);
	pf__wire_u64(w, &m->system_us);
	pf__wire_u64(w, &m->max_rss_bytes);
}

static void walk_failed(struct pf__wire *w, struct pf_msg_failed *m)
{
	pf__wire_u32(w, &m->exec);
	pf__wire_range(w, m->exec, 0, PF_EXEC_MAX, "exec"); /* 0: the whole sandbox */
	pf__wire_errno(w, &m->err, "err");
	pf__wire_str(w, &m->text, TEXT_MAX, "text");
}

static void walk_connected(struct pf__wire *w, struct pf_msg_connected *m)
{
	pf__wire_u32(w, &m->conn);
	pf__wire_range(w, m->conn, 1, PF_DOOR_CONN_MAX, "conn");
}

static void walk_turned_away(struct pf__wire *w, struct pf_msg_turned_away *m)
{
	pf__wire_u32(w, &m->count);
	pf__wire_range(w, m->count, 1, UINT32_MAX, "count");
}

PF__WIRE_DEFINE(welcome)
PF__WIRE_DEFINE(ready)
PF__WIRE_DEFINE(started)
PF__WIRE_DEFINE(exited)
PF__WIRE_DEFINE(failed)
PF__WIRE_DEFINE(connected)
PF__WIRE_DEFINE(turned_away)
