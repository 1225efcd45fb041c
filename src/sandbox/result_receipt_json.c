/* SPDX-License-Identifier: Apache-2.0 */
/* The receipt as JSON: both halves side by side, each with what it saw and null for what it could not see. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "egress/control.h"
#include "linux/caps.h"
#include "sandbox/result.h"

static void kuint(struct pf_jsonw *w, const char *key, uint64_t v)
{
	pf_jsonw_key(w, key);
	pf_jsonw_uint(w, v);
}

static void kint_or_null(struct pf_jsonw *w, const char *key, int64_t v)
{
	if (v < 0)
		pf_jsonw_knull(w, key);
	else
		pf_jsonw_kint(w, key, v);
}

static void kstr_or_null(struct pf_jsonw *w, const char *key, const char *s)
{
	pf_jsonw_kstr(w, key, s && *s ? s : NULL);
}

static void write_cap_set(struct pf_jsonw *w, const char *key, uint64_t set)
{
	pf_jsonw_key(w, key);
	pf_jsonw_begin(w, '[');
	for (int cap = 0; cap < 64; cap++) {
		const char *name = pf_cap_name(cap);
		char number[16];

		if (!(set >> cap & 1))
			continue;
		snprintf(number, sizeof(number), "cap_%d", cap);
		pf_jsonw_str(w, name ? name : number);
	}
	pf_jsonw_end(w, ']');
}

static void write_caps(struct pf_jsonw *w, const uint64_t sets[5])
{
	static const char *const keys[5] = {"inheritable", "permitted", "effective", "bounding", "ambient"};

	pf_jsonw_key(w, "capabilities");
	pf_jsonw_begin(w, '{');
	for (int i = 0; i < 5; i++)
		write_cap_set(w, keys[i], sets[i]);
	pf_jsonw_end(w, '}');
}

/* The errors that a wall answers with; by name, since strerror() differs from libc to libc. */
static const char *errno_name(int err, char buf[24])
{
	static const struct {
		int err;
		const char *name;
	} names[] = {
		{EPERM, "EPERM"},
		{ENOENT, "ENOENT"},
		{ESRCH, "ESRCH"},
		{EIO, "EIO"},
		{EBADF, "EBADF"},
		{EAGAIN, "EAGAIN"},
		{ENOMEM, "ENOMEM"},
		{EACCES, "EACCES"},
		{EFAULT, "EFAULT"},
		{EBUSY, "EBUSY"},
		{EEXIST, "EEXIST"},
		{EXDEV, "EXDEV"},
		{ENODEV, "ENODEV"},
		{ENOTDIR, "ENOTDIR"},
		{EISDIR, "EISDIR"},
		{EINVAL, "EINVAL"},
		{EROFS, "EROFS"},
		{ELOOP, "ELOOP"},
		{ENOSYS, "ENOSYS"},
		{EOPNOTSUPP, "EOPNOTSUPP"},
		{EPROTONOSUPPORT, "EPROTONOSUPPORT"},
		{EAFNOSUPPORT, "EAFNOSUPPORT"},
		{ESOCKTNOSUPPORT, "ESOCKTNOSUPPORT"},
		{ENETUNREACH, "ENETUNREACH"},
		{ENETDOWN, "ENETDOWN"},
		{EHOSTUNREACH, "EHOSTUNREACH"},
		{ENOSPC, "ENOSPC"},
		{EUSERS, "EUSERS"},
		{EADDRNOTAVAIL, "EADDRNOTAVAIL"},
		{EADDRINUSE, "EADDRINUSE"},
	};

	for (size_t i = 0; i < PF_ARRAY_SIZE(names); i++) {
		if (names[i].err == err)
			return names[i].name;
	}
	snprintf(buf, 24, "errno %d", err);
	return buf;
}

static void write_attempts(struct pf_jsonw *w, const struct pf_msg_ready *m)
{
	pf_jsonw_key(w, "attempts");
	pf_jsonw_begin(w, '[');
	for (uint32_t i = 0; i < m->try_count && i < PF_TRIES_MAX; i++) {
		const char *name = pf_try_name(m->tries[i].attempt);
		char buf[24];

		pf_jsonw_begin(w, '{');
		pf_jsonw_kstr(w, "attempt", name ? name : "unknown");
		pf_jsonw_kbool(w, "succeeded", m->tries[i].err == 0);
		pf_jsonw_kstr(w, "error", m->tries[i].err ? errno_name(m->tries[i].err, buf) : NULL);
		kstr_or_null(w, "detail", m->tries[i].detail);
		pf_jsonw_end(w, '}');
	}
	pf_jsonw_end(w, ']');
}

static void write_inside(struct pf_jsonw *w, const struct pf_inside *in)
{
	const struct pf_msg_ready *m = &in->ready;
	const uint64_t caps[5] = {m->cap_inh, m->cap_prm, m->cap_eff, m->cap_bnd, m->cap_amb};

	pf_jsonw_key(w, "inside");
	if (!in->valid) {
		pf_jsonw_null(w);
		return;
	}
	pf_jsonw_begin(w, '{');
	kuint(w, "uid", m->uid);
	kuint(w, "gid", m->gid);
	kuint(w, "groups", m->groups);
	write_caps(w, caps);
	pf_jsonw_kbool(w, "no_new_privs", m->no_new_privs != 0);
	pf_jsonw_kint(w, "seccomp", m->seccomp);
	kuint(w, "seccomp_filters", m->seccomp_filters);
	pf_jsonw_kbool(w, "landlock", m->landlock != 0);
	pf_jsonw_key(w, "namespaces");
	pf_jsonw_begin(w, '{');
	for (int i = 0; i < PF_NS_KINDS; i++) {
		if (m->ns[i])
			kuint(w, pf_ns_names[i], m->ns[i]);
		else
			pf_jsonw_knull(w, pf_ns_names[i]);
	}
	pf_jsonw_end(w, '}');
	write_attempts(w, m);
	pf_jsonw_end(w, '}');
}

static void write_outside_ns(struct pf_jsonw *w, const struct pf_outside *o)
{
	pf_jsonw_key(w, "namespaces");
	pf_jsonw_begin(w, '{');
	for (int i = 0; i < PF_NS_KINDS; i++) {
		pf_jsonw_key(w, pf_ns_names[i]);
		if (!o->ns[i]) {
			pf_jsonw_null(w);
			continue;
		}
		pf_jsonw_begin(w, '{');
		kuint(w, "inode", o->ns[i]);
		pf_jsonw_kbool(w, "own", o->ns_own[i]);
		pf_jsonw_end(w, '}');
	}
	pf_jsonw_end(w, '}');
}

static void write_limits(struct pf_jsonw *w, const struct pf_outside *o)
{
	pf_jsonw_key(w, "limits");
	pf_jsonw_begin(w, '{');
	kint_or_null(w, "memory_bytes", o->memory_max);
	kint_or_null(w, "processes", o->pids_max);
	pf_jsonw_key(w, "cpus");
	if (o->cpu_milli < 0)
		pf_jsonw_null(w);
	else
		pf_jsonw_double(w, (double)o->cpu_milli / 1000);
	pf_jsonw_end(w, '}');
}

/* Of the kernel's own spelling: a blank in a path is \040. */
static void write_exec_mounts(struct pf_jsonw *w, const char *lines)
{
	pf_jsonw_key(w, "exec_mounts");
	if (!lines) {
		pf_jsonw_null(w);
		return;
	}
	pf_jsonw_begin(w, '[');
	while (*lines) {
		size_t n = strcspn(lines, "\n");

		pf_jsonw_strn(w, lines, n);
		lines += n + (lines[n] == '\n');
	}
	pf_jsonw_end(w, ']');
}

static void write_commands(struct pf_jsonw *w, const struct pf_receipt *r)
{
	pf_jsonw_key(w, "commands");
	if (!r->commands.listed) {
		pf_jsonw_null(w);
		return;
	}
	pf_jsonw_begin(w, '{');
	kuint(w, "programs", r->commands.programs);
	kuint(w, "refused", r->commands.refused);
	pf_jsonw_kstr(w, "covers", r->commands.build ? "image" : "all");
	kstr_or_null(w, "view", r->commands.view);
	pf_jsonw_end(w, '}');
}

static void write_outside(struct pf_jsonw *w, const struct pf_outside *o)
{
	const uint64_t caps[5] = {o->cap_inh, o->cap_prm, o->cap_eff, o->cap_bnd, o->cap_amb};

	pf_jsonw_key(w, "outside");
	if (!o->valid) {
		pf_jsonw_null(w);
		return;
	}
	pf_jsonw_begin(w, '{');
	pf_jsonw_kint(w, "pid", o->pid);
	kuint(w, "uid", o->uid);
	kuint(w, "gid", o->gid);
	kuint(w, "groups", o->groups);
	write_caps(w, caps);
	pf_jsonw_key(w, "no_new_privs");
	if (o->no_new_privs < 0)
		pf_jsonw_null(w);
	else
		pf_jsonw_bool(w, o->no_new_privs != 0);
	kint_or_null(w, "seccomp", o->seccomp);
	kint_or_null(w, "seccomp_filters", o->seccomp_filters);
	write_outside_ns(w, o);
	kstr_or_null(w, "cgroup", o->cgroup);
	write_limits(w, o);
	kstr_or_null(w, "root_fs", o->root_fs);
	write_exec_mounts(w, o->exec_mounts);
	pf_jsonw_end(w, '}');
}

static void write_gaps(struct pf_jsonw *w, const struct pf_receipt *r)
{
	pf_jsonw_key(w, "unenforced");
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; i < r->unenforced_count; i++) {
		pf_jsonw_begin(w, '{');
		pf_jsonw_kstr(w, "limit", r->unenforced[i].limit);
		pf_jsonw_kstr(w, "why", r->unenforced[i].why ? r->unenforced[i].why : "");
		pf_jsonw_end(w, '}');
	}
	pf_jsonw_end(w, ']');
	pf_jsonw_key(w, "workspace");
	if (r->ws_mode) {
		pf_jsonw_begin(w, '{');
		pf_jsonw_kstr(w, "mode", r->ws_mode);
		kstr_or_null(w, "upper", r->ws_upper);
		pf_jsonw_kstr(w, "lower", r->ws_lower);
		pf_jsonw_end(w, '}');
	} else {
		pf_jsonw_null(w);
	}
	pf_jsonw_key(w, "unprotected");
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; i < r->unprotected.count; i++)
		pf_jsonw_str(w, r->unprotected.items[i]);
	pf_jsonw_end(w, ']');
	pf_jsonw_key(w, "foreign_owned");
	if (r->foreign_owned == UINT64_MAX)
		pf_jsonw_null(w);
	else
		pf_jsonw_uint(w, r->foreign_owned);
	kstr_or_null(w, "namespaces_missing", r->namespaces_missing);
}

/* Names of what the proxy did to itself, by bit. */
static const char *const held_names[] = {"uid",	  "root",  "ipc",     "pid",	   "landlock",
					 "ports", "scope", "seccomp", "no_sockets"};

static void write_proxy(struct pf_jsonw *w, const struct pf_receipt *r)
{
	pf_jsonw_key(w, "proxy");
	if (!r->door.proxy) {
		pf_jsonw_null(w);
		return;
	}
	pf_jsonw_begin(w, '{');
	kuint(w, "uid", r->door.uid);
	pf_jsonw_key(w, "confined");
	if (r->door.ready) {
		pf_jsonw_begin(w, '[');
		for (size_t i = 0; i < PF_ARRAY_SIZE(held_names); i++)
			if (r->door.held >> i & 1)
				pf_jsonw_str(w, held_names[i]);
		pf_jsonw_end(w, ']');
	} else {
		pf_jsonw_null(w);
	}
	kint_or_null(w, "landlock_abi", r->door.ready ? r->door.landlock_abi : -1);
	kstr_or_null(w, "error", r->door.why);
	pf_jsonw_end(w, '}');
}

static void write_door(struct pf_jsonw *w, const struct pf_receipt *r)
{
	char at[24], buf[24];

	pf_jsonw_key(w, "network");
	pf_jsonw_begin(w, '{');
	snprintf(at, sizeof(at), "127.0.0.1:%u", r->door.port);
	pf_jsonw_kstr(w, "door", r->door.port ? at : NULL);
	pf_jsonw_kstr(w, "error", r->door.err ? errno_name(r->door.err, buf) : NULL);
	kuint(w, "rules", r->door.rules);
	write_proxy(w, r);
	pf_jsonw_end(w, '}');
}

void pf__receipt_json(const struct pf_receipt *r, struct pf_jsonw *w)
{
	if (!r->tier) {
		pf_jsonw_null(w);
		return;
	}
	pf_jsonw_begin(w, '{');
	pf_jsonw_kstr(w, "tier", r->tier);
	pf_jsonw_kstr(w, "why", r->why);
	kstr_or_null(w, "kernel", r->kernel);
	kstr_or_null(w, "build", r->build);
	write_inside(w, &r->inside);
	write_outside(w, &r->outside);
	pf_jsonw_key(w, "agree");
	if (r->inside.valid && r->outside.valid)
		pf_jsonw_bool(w, r->agree);
	else
		pf_jsonw_null(w);
	kstr_or_null(w, "filter", r->filter);
	pf_jsonw_kstr(w, "filter_source", r->filter_source);
	pf_jsonw_key(w, "landlock");
	pf_jsonw_begin(w, '{');
	pf_jsonw_kint(w, "abi", r->landlock_abi);
	pf_jsonw_kbool(w, "scoped", r->landlock_scoped);
	pf_jsonw_end(w, '}');
	kstr_or_null(w, "image", r->image);
	kstr_or_null(w, "image_by", r->image_by);
	kstr_or_null(w, "image_owners", r->image_owners);
	kstr_or_null(w, "policy", r->policy);
	write_commands(w, r);
	pf_jsonw_kstr(w, "init_uid", r->init_uid);
	pf_jsonw_kstr(w, "limits_by", r->limits_by);
	write_gaps(w, r);
	write_door(w, r);
	pf_jsonw_end(w, '}');
}
