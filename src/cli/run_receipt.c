/* SPDX-License-Identifier: Apache-2.0 */
/* The receipt for people: what the boundary of this run was, and who says so. */
#include <string.h>

#include "base/str.h"
#include "cli/run.h"
#include "linux/caps.h"

static void row(struct pf_buf *out, const char *name)
{
	pf_buf_addf(out, "  %-14s", name);
}

static void text_row(struct pf_buf *out, const char *name, const char *text)
{
	if (!text || !*text)
		return;
	row(out, name);
	pf_cli_name(out, text);
	pf_buf_addc(out, '\n');
}

static void add_caps(struct pf_buf *out, uint64_t set)
{
	const char *space = "";

	if (set == 0)
		pf_buf_adds(out, "none");
	for (int cap = 0; cap < 64; cap++) {
		if (!(set >> cap & 1))
			continue;
		if (pf_cap_name(cap))
			pf_buf_addf(out, "%s%s", space, pf_cap_name(cap));
		else
			pf_buf_addf(out, "%scap_%d", space, cap);
		space = " ";
	}
}

static void add_number(struct pf_buf *out, int v)
{
	if (v < 0)
		pf_buf_adds(out, "unknown");
	else
		pf_buf_addf(out, "%d", v);
}

static void identity(const struct pf_receipt *r, struct pf_buf *out)
{
	row(out, "identity");
	if (r->inside.valid)
		pf_buf_addf(out, "inside uid %u gid %u", r->inside.ready.uid, r->inside.ready.gid);
	else
		pf_buf_adds(out, "inside unknown");
	if (r->outside.valid)
		pf_buf_addf(out, ", on the host uid %u gid %u, %u groups", (unsigned)r->outside.uid,
			    (unsigned)r->outside.gid, r->outside.groups);
	pf_buf_addf(out, "; init's uid: %s\n", r->init_uid ? r->init_uid : "unknown");
}

static void capabilities(const struct pf_receipt *r, struct pf_buf *out)
{
	if (r->outside.valid) {
		row(out, "capabilities");
		add_caps(out, r->outside.cap_eff | r->outside.cap_prm | r->outside.cap_amb);
		pf_buf_adds(out, " (outside); bounding ");
		add_caps(out, r->outside.cap_bnd);
		pf_buf_addc(out, '\n');
	}
	if (r->inside.valid) {
		row(out, r->outside.valid ? "" : "capabilities");
		add_caps(out, r->inside.ready.cap_eff | r->inside.ready.cap_prm | r->inside.ready.cap_amb);
		pf_buf_adds(out, " (inside)\n");
	}
}

static void filters(const struct pf_receipt *r, struct pf_buf *out)
{
	row(out, "seccomp");
	if (r->outside.valid) {
		pf_buf_adds(out, "mode ");
		add_number(out, r->outside.seccomp);
		pf_buf_adds(out, ", filters ");
		add_number(out, r->outside.seccomp_filters);
		pf_buf_adds(out, ", no_new_privs ");
		add_number(out, r->outside.no_new_privs);
	} else if (r->inside.valid) {
		pf_buf_addf(out, "mode %u, filters %u, no_new_privs %u (inside's word)",
			    r->inside.ready.seccomp, r->inside.ready.seccomp_filters,
			    r->inside.ready.no_new_privs);
	} else {
		pf_buf_adds(out, "unknown");
	}
	pf_buf_addc(out, '\n');
	if (r->filter[0]) {
		row(out, "");
		pf_buf_addf(out, "%s (%s)\n", r->filter, r->filter_source ? r->filter_source : "unknown");
	}
	row(out, "landlock");
	if (r->landlock_abi > 0)
		pf_buf_addf(out, "ABI %d%s\n", r->landlock_abi, r->landlock_scoped ? ", scoped" : "");
	else
		pf_buf_adds(out, "none on this kernel\n");
}

/* Names of the namespaces that are (or are not) the sandbox's own, each with a space before it. */
static void add_namespaces(struct pf_buf *out, const struct pf_outside *o, bool own)
{
	for (int i = 0; i < PF_NS_KINDS; i++) {
		if (o->ns[i] && o->ns_own[i] == own)
			pf_buf_addf(out, " %s", pf_ns_names[i]);
	}
}

static void namespaces(const struct pf_receipt *r, struct pf_buf *out)
{
	PF_AUTO_BUF struct pf_buf shared = {0};

	if (r->outside.valid) {
		row(out, "namespaces");
		pf_buf_adds(out, "own:");
		add_namespaces(out, &r->outside, true);
		add_namespaces(&shared, &r->outside, false);
		if (shared.len)
			pf_buf_addf(out, "; shared with the host:%s", shared.data);
		pf_buf_addc(out, '\n');
	}
	text_row(out, "missing", r->namespaces_missing);
}

static void attempts(const struct pf_receipt *r, struct pf_buf *out)
{
	if (!r->inside.valid)
		return;
	for (int worked = 0; worked < 2; worked++) {
		bool any = false;

		for (uint32_t i = 0; i < r->inside.ready.try_count && i < PF_TRIES_MAX; i++) {
			const char *name = pf_try_name(r->inside.ready.tries[i].attempt);

			if ((r->inside.ready.tries[i].err == 0) != (worked == 1))
				continue;
			if (!any)
				row(out, worked ? "allowed" : "refused");
			pf_buf_addf(out, "%s%s", any ? " " : "", name ? name : "unknown");
			if (r->inside.ready.tries[i].detail && *r->inside.ready.tries[i].detail) {
				pf_buf_addc(out, ':');
				pf_cli_name(out, r->inside.ready.tries[i].detail);
			}
			any = true;
		}
		if (any)
			pf_buf_addc(out, '\n');
	}
}

/* Without a group, processes are either held by the resource limit or named as not enforced. */
static bool processes_by_rlimit(const struct pf_receipt *r)
{
	if (!r->limits_by || strcmp(r->limits_by, "none") != 0)
		return false;
	for (size_t i = 0; i < r->unenforced_count; i++) {
		if (strcmp(r->unenforced[i].limit, "processes") == 0)
			return false;
	}
	return true;
}

static void limits(const struct pf_receipt *r, struct pf_buf *out)
{
	char size[16];

	row(out, "limits");
	if (r->outside.valid) {
		if (r->outside.memory_max >= 0) {
			pf_format_size((uint64_t)r->outside.memory_max, size);
			pf_buf_addf(out, "memory %s, ", size);
		}
		if (r->outside.pids_max >= 0)
			pf_buf_addf(out, "processes %lld, ", (long long)r->outside.pids_max);
		if (r->outside.cpu_milli >= 0)
			pf_buf_addf(out, "cpus %lld.%03lld, ", (long long)r->outside.cpu_milli / 1000,
				    (long long)r->outside.cpu_milli % 1000);
	}
	pf_buf_addf(out, "by %s%s\n", r->limits_by ? r->limits_by : "nothing",
		    processes_by_rlimit(r) ? "; processes by RLIMIT_NPROC" : "");
	text_row(out, "cgroup", r->outside.valid ? r->outside.cgroup : NULL);
	for (size_t i = 0; i < r->unenforced_count; i++) {
		row(out, "not enforced");
		pf_buf_addf(out, "%s: ", r->unenforced[i].limit);
		pf_cli_name(out, r->unenforced[i].why);
		pf_buf_addc(out, '\n');
	}
}

static void image(const struct pf_receipt *r, struct pf_buf *out)
{
	text_row(out, "image", r->image ? r->image : "host");
	if (!r->image)
		return;
	row(out, "");
	pf_buf_addf(out, "%s, owners: %s\n", r->image_by ? r->image_by : "unknown",
		    !r->image_owners			   ? "unknown"
		    : strcmp(r->image_owners, "user") == 0 ? "all the command's user"
							   : r->image_owners);
}

static void network(const struct pf_receipt *r, struct pf_buf *out)
{
	row(out, "network");
	if (!r->door.port)
		pf_buf_adds(out, "none, and no door: init could not listen\n");
	else if (r->door.rules)
		pf_buf_addf(out, "none but through the proxy at 127.0.0.1:%u, which allows by %u rule%s\n",
			    r->door.port, r->door.rules, r->door.rules == 1 ? "" : "s");
	else
		pf_buf_addf(out, "none; the proxy at 127.0.0.1:%u refuses everything\n", r->door.port);
	if (r->door.why[0])
		text_row(out, "proxy", r->door.why);
	else if (r->door.proxy)
		pf_buf_addf(out, "  %-14suid %u on the host, %s\n", "proxy", r->door.uid,
			    r->door.ready ? "confined" : "not ready");
}

void pf_human_receipt(const struct pf_result *result, struct pf_buf *out)
{
	const struct pf_receipt *r = &result->receipt;

	if (!r->tier) {
		pf_buf_adds(out, "pinfold: no receipt: there was no sandbox\n");
		return;
	}
	pf_buf_addf(out, "pinfold: receipt of %s\n", result->id[0] ? result->id : "a sandbox");
	text_row(out, "build", r->build);
	row(out, "tier");
	pf_buf_addf(out, "%s%s", r->tier, r->why && *r->why ? ": " : "");
	if (r->why && *r->why)
		pf_cli_name(out, r->why);
	pf_buf_addc(out, '\n');
	text_row(out, "kernel", r->kernel);
	identity(r, out);
	capabilities(r, out);
	filters(r, out);
	namespaces(r, out);
	attempts(r, out);
	limits(r, out);
	text_row(out, "root", r->outside.valid ? r->outside.root_fs : NULL);
	image(r, out);
	network(r, out);
	text_row(out, "policy", r->policy);
	if (r->ws_mode) {
		row(out, "workspace");
		pf_buf_addf(out, "%s, %s%s%s\n", r->ws_mode, r->ws_lower, r->ws_upper ? ", changes in " : "",
			    r->ws_upper ? r->ws_upper : "");
	}
	for (size_t i = 0; i < r->unprotected.count; i++)
		text_row(out, "unprotected", r->unprotected.items[i]);
	if (r->foreign_owned != UINT64_MAX && r->foreign_owned)
		pf_buf_addf(
			out,
			"  %-14s%llu at the top of the workspace of another user: nobody's inside, not to be "
			"changed\n",
			"owners", (unsigned long long)r->foreign_owned);
	if (r->hidden)
		pf_buf_addf(out, "  %-14s%llu of the workspace's paths (secrets.mask)\n", "hidden",
			    (unsigned long long)r->hidden);
	if (r->inside.valid && r->outside.valid)
		text_row(out, "halves",
			 r->agree ? "inside and outside agree" : "inside and outside DISAGREE");
}
