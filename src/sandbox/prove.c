/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does the wall that was asked for stand? Decided on what the host saw of the waiting process,
 * wherever the host can see it; what the inside found is compared with it, and what it could do that it
 * should not, ends it. If anything is missing the command never starts.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "sandbox/sandbox.h"

enum { NS_USER, NS_MNT, NS_PID, NS_NET, NS_IPC, NS_UTS, NS_CGROUP, NS_TIME };

static int missing(struct pf_error *err, const char *what)
{
	return pf_fail(err, -EPERM, "the boundary could not be proved: %s; the command was not started",
		       what);
}

static int prove_identity(const struct pf_exec *e, struct pf_error *err)
{
	const struct pf_outside *o = &e->outside;
	uint64_t granted = e->box->policy->capabilities;

	if (o->uid == 0 || o->gid == 0)
		return missing(err, "the command would be uid or gid 0 on the host");
	if ((o->cap_eff | o->cap_prm | o->cap_inh | o->cap_amb | o->cap_bnd) & ~granted)
		return missing(err, "the command would have capabilities that the policy does not grant");
	if (o->no_new_privs != 1)
		return missing(err, "no_new_privs is not set");
	if (o->seccomp != 2 || (o->seccomp_filters >= 0 && o->seccomp_filters < 2))
		return missing(err, "the system-call filters are not loaded");
	return 0;
}

static int prove_namespaces(const struct pf_exec *e, struct pf_error *err)
{
	const struct pf_outside *o = &e->outside;
	const struct pf_receipt *r = &e->box->box->receipt;
	char text[64];
	unsigned i;

	for (i = 0; i < PF_NS_KINDS; i++) {
		if (o->ns_own[i])
			continue;
		if (i == NS_TIME && r->namespaces_missing && strstr(r->namespaces_missing, "time"))
			continue;
		snprintf(text, sizeof(text), "it is not in a %s namespace of its own", pf_ns_names[i]);
		return missing(err, text);
	}
	return 0;
}

static int prove_limits(const struct pf_exec *e, struct pf_error *err)
{
	const struct pf_limits *l = &e->box->policy->limits;
	const struct pf_outside *o = &e->outside;
	uint32_t held = e->box->box->held;

	if (!e->box->tier->exec_separate(e->box->box))
		return 0; /* no groups: what is held otherwise is in `unenforced`, or was refused */
	if (!o->cgroup)
		return missing(err, "it is not in its control group");
	if ((held & PF_LIMIT_MEMORY) && (o->memory_max <= 0 || (uint64_t)o->memory_max > l->memory))
		return missing(err, "the kernel does not report the memory limit");
	if ((held & PF_LIMIT_PROCESSES) && (o->pids_max <= 0 || o->pids_max > (int64_t)l->processes))
		return missing(err, "the kernel does not report the limit on processes");
	return 0;
}

/* Approved programs come from the view alone: every mount is noexec but those that the tier named. */
static bool may_exec(const struct pf_box *b, const char *at, size_t n, bool build)
{
	for (size_t i = 0; i < b->may_exec.count; i++) {
		const char *place = b->may_exec.items[i];
		size_t len = strlen(place);

		if (len == n && memcmp(place, at, n) == 0)
			return true;
		/* the covers of rw,live are mounts of their own */
		if (build && b->workspace_at && strcmp(place, b->workspace_at) == 0 && n > len &&
		    memcmp(place, at, len) == 0 && at[len] == '/')
			return true;
	}
	return false;
}

static int prove_commands(const struct pf_exec *e, struct pf_error *err)
{
	const struct pf_policy *p = e->box->policy;
	const char *at = e->outside.exec_mounts;
	char text[160], shown[80];

	if (!p->commands.count)
		return 0;
	if (!at)
		return missing(err, "the host cannot see which mounts programs could be started from");
	while (*at) {
		size_t n = strcspn(at, "\n");

		if (!may_exec(e->box->box, at, n, p->commands_build)) {
			pf_printable(at, n, shown, sizeof(shown));
			snprintf(text, sizeof(text),
				 "programs that are not approved could be started from %s", shown);
			return missing(err, text);
		}
		at += n + (at[n] == '\n');
	}
	return 0;
}

/* What it tried and should not have been able to do. */
static int prove_attempts(const struct pf_exec *e, struct pf_error *err)
{
	const struct pf_msg_ready *m = &e->inside.ready;
	char text[160];
	bool seen[PF_TRY_LAST + 1] = {false};
	uint32_t i;

	for (i = 0; i < m->try_count; i++) {
		unsigned what = m->tries[i].attempt;
		bool may = what == PF_TRY_SOCKET_UNIX || what == PF_TRY_SOCKET_INET;

		if (what <= PF_TRY_LAST)
			seen[what] = true;
		if (may || (m->tries[i].err != 0 && what != PF_TRY_WRITE_READONLY))
			continue;
		if (what == PF_TRY_WRITE_READONLY && (m->tries[i].err == EROFS || m->tries[i].err == ENOENT))
			continue;
		snprintf(text, sizeof(text), "inside, '%s' %.60s was not refused",
			 pf_try_name(what) ? pf_try_name(what) : "?",
			 m->tries[i].detail ? m->tries[i].detail : "");
		return missing(err, text);
	}
	for (i = PF_TRY_SOCKET_UNIX; i <= PF_TRY_LAST; i++)
		if (!seen[i] &&
		    (e->box->policy->commands.count || (i != PF_TRY_EXEC_FILE && i != PF_TRY_MEMFD)))
			return missing(err, "the inside did not try all that it should");
	return 0;
}

/* The halves, where both can see. */
static int compare(const struct pf_exec *e, struct pf_error *err)
{
	const struct pf_msg_ready *in = &e->inside.ready;
	const struct pf_outside *out = &e->outside;
	const char *what = NULL;
	unsigned i;

	if (in->cap_inh != out->cap_inh || in->cap_prm != out->cap_prm || in->cap_eff != out->cap_eff ||
	    in->cap_bnd != out->cap_bnd || in->cap_amb != out->cap_amb)
		what = "capabilities";
	else if (in->no_new_privs != out->no_new_privs)
		what = "no_new_privs";
	else if (in->seccomp != out->seccomp ||
		 (out->seccomp_filters >= 0 && in->seccomp_filters != (uint32_t)out->seccomp_filters))
		what = "system-call filters";
	else if (in->uid != e->box->box->command_uid || in->gid != e->box->box->command_gid || !out->one_id ||
		 out->uid != e->box->box->host_uid || out->gid != e->box->box->host_gid ||
		 in->groups != out->groups)
		what = "identity";
	for (i = 0; i < PF_NS_KINDS && !what; i++)
		if (out->ns[i] && in->ns[i] != out->ns[i])
			what = "namespaces";
	return what ? pf_fail(err, -EPERM,
			      "what the inside says of its %s is not what the host sees; the command was not "
			      "started",
			      what)
		    : 0;
}

int pf__prove(struct pf_exec *e, struct pf_error *err)
{
	int r = compare(e, err);

	e->agree = r == 0;
#ifdef PF_BREAK_BUILD
	if (e->box->breaks[0])
		return 0; /* a test build with a defence off proves nothing, and its receipt says so */
#endif
	if (r == 0)
		r = prove_identity(e, err);
	if (r == 0)
		r = prove_namespaces(e, err);
	if (r == 0)
		r = prove_limits(e, err);
	if (r == 0)
		r = prove_commands(e, err);
	return r == 0 ? prove_attempts(e, err) : r;
}
