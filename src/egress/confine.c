/* SPDX-License-Identifier: Apache-2.0 */
/* The walls around the proxy, in the order in which each still may be built; see confine.h. */
#include "egress/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "linux/caps.h"
#include "linux/landlock.h"
#include "linux/landlock_net.h"
#include "linux/mount.h"
#include "linux/seccomp.h"

#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif

#define PORTS_MAX  256
#define FILTER_MAX 512
/* A client, and its server, or two questions, or four dials; and clients that are told that they are too
 * many. */
#define FDS_PER_CONN	6
#define FDS_MORE	72
#define MEMORY_PER_CONN (256u << 10)
#define MEMORY_MORE	(64u << 20)

int pf__egress_ports(const struct pf_rules *rules, const struct pf_resolver *resolver, uint16_t *out,
		     size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < rules->count + resolver->count; i++) {
		bool rule = i < rules->count;
		unsigned first = rule ? rules->items[i].first : resolver->servers[i - rules->count].port;
		unsigned last = rule ? rules->items[i].last : first;

		for (unsigned port = first; port <= last; port++) {
			size_t at = 0;

			while (at < n && out[at] != port)
				at++;
			if (at < n)
				continue;
			if (n == cap)
				return -E2BIG;
			out[n++] = (uint16_t)port;
		}
	}
	return (int)n;
}

static int set_limit(int what, rlim_t value, struct pf_error *err)
{
	struct rlimit l = {value, value};

	if (setrlimit((__typeof__(RLIMIT_CORE))what, &l) < 0)
		return pf_fail_errno(err, "cannot set limit %d of pinfold-egress", what);
	return 0;
}

static int limit(struct pf_egress_limits *l, struct pf_error *err)
{
	struct rlimit files;
	rlim_t want = (rlim_t)l->connections * FDS_PER_CONN + FDS_MORE;
	int r;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return pf_fail_errno(err, "cannot read the limit of open files");
	if (files.rlim_max != RLIM_INFINITY && want > files.rlim_max) {
		want = files.rlim_max;
		if (want < FDS_MORE + FDS_PER_CONN)
			return pf_fail(err, -EMFILE, "%llu open files are too few for pinfold-egress",
				       (unsigned long long)want);
		l->connections = (uint32_t)((want - FDS_MORE) / FDS_PER_CONN);
	}
	/* 1 and not 0: with 0 a core helper still runs, as root. It is not dumpable either. */
	if ((r = set_limit(RLIMIT_NOFILE, want, err)) < 0 || (r = set_limit(RLIMIT_CORE, 1, err)) < 0 ||
	    (r = set_limit(RLIMIT_FSIZE, 0, err)) < 0 || (r = set_limit(RLIMIT_MEMLOCK, 0, err)) < 0 ||
	    (r = set_limit(RLIMIT_NPROC, 0, err)) < 0)
		return r;
#ifndef PF_SAN_BUILD /* a sanitizer's shadow is terabytes of addresses */
	r = set_limit(RLIMIT_AS, (rlim_t)l->connections * MEMORY_PER_CONN + MEMORY_MORE, err);
#endif
	return r;
}

/* A user without privilege gets other namespaces in a user namespace alone; in this one they are themselves.
 */
static bool enter_userns(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char line[64];

	if (unshare(CLONE_NEWUSER) < 0)
		return false;
	pf_write_file(AT_FDCWD, "/proc/self/setgroups", "deny");
	snprintf(line, sizeof(line), "%u %u 1", gid, gid);
	if (pf_write_file(AT_FDCWD, "/proc/self/gid_map", line) < 0)
		return false;
	snprintf(line, sizeof(line), "%u %u 1", uid, uid);
	return pf_write_file(AT_FDCWD, "/proc/self/uid_map", line) == 0;
}

/* A root that is empty and can be written by nobody. */
static bool enter_empty_root(void)
{
	static const char *const options[] = {"size=4k", "nr_inodes=2", "mode=555", NULL};
	PF_AUTO_CLOSE int root = -1;

	if (unshare(CLONE_NEWNS) < 0 || pf_mount_private(NULL) < 0)
		return false;
	root = pf_mount_new("tmpfs", options, PF_MNT_RDONLY | PF_MNT_NOSUID | PF_MNT_NODEV | PF_MNT_NOEXEC,
			    NULL);
	if (root < 0 || pf_mount_attach(root, AT_FDCWD, "/", NULL) < 0)
		return false;
	return pf_mount_pivot(root, NULL) == 0;
}

static uint32_t enter_namespaces(void)
{
	uint32_t held = getpid() == 1 ? PF_EGRESS_HELD_PID : 0;

	if (geteuid() != 0 && !enter_userns())
		return held;
	if (unshare(CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP) == 0)
		held |= PF_EGRESS_HELD_IPC;
	if (enter_empty_root())
		held |= PF_EGRESS_HELD_ROOT;
	return held;
}

static int drop_user(const struct pf_egress_setup *s, struct pf_error *err)
{
	const struct pf_caps none = {0};
	int r;

	if (geteuid() == 0) {
		if (s->uid == 0 || s->gid == 0)
			return pf_fail(err, -EPERM, "pinfold-egress does not run as root");
		if ((r = pf_caps_bound(0, err)) < 0)
			return r;
		if (setgroups(0, NULL) < 0 || setresgid(s->gid, s->gid, s->gid) < 0 ||
		    setresuid(s->uid, s->uid, s->uid) < 0)
			return pf_fail_errno(err, "pinfold-egress cannot become uid %u", s->uid);
	} else {
		/* Only in a user namespace of its own has it the right to, and the need. */
		(void)pf_caps_bound(0, NULL);
	}
	if ((r = pf_caps_ambient(0, err)) < 0 || (r = pf_caps_set(&none, err)) < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return pf_fail_errno(err, "PR_SET_NO_NEW_PRIVS");
	/* set afresh by every change of credentials */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return pf_fail_errno(err, "PR_SET_DUMPABLE");
	if ((s->flags & PF_EGRESS_DIE_WITH_PARENT) && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return pf_fail_errno(err, "PR_SET_PDEATHSIG");
	return 0;
}

static int landlock(const struct pf_rules *rules, const struct pf_resolver *resolver, uint32_t *held,
		    struct pf_error *err)
{
	PF_AUTO_CLOSE int files = -1;
	uint16_t ports[PORTS_MAX];
	int count, r;

	if (pf_landlock_abi() == 0)
		return 0;
	files = pf_landlock_ruleset(NULL, 0, err);
	if (files < 0)
		return files;
	if ((r = pf_landlock_restrict(files, err)) < 0)
		return r;
	*held |= PF_EGRESS_HELD_LANDLOCK;
	if (pf_landlock_abi() >= 6) {
		if ((r = pf_landlock_scope(err)) < 0)
			return r;
		*held |= PF_EGRESS_HELD_SCOPE;
	}
	/* A kernel without TCP/IP in its Landlock answers EAFNOSUPPORT, one without INET has nothing to hold.
	 */
	count = pf__egress_ports(rules, resolver, ports, PF_ARRAY_SIZE(ports));
	if (count >= 0 && pf_landlock_abi() >= 4 && pf_landlock_tcp(ports, (size_t)count, NULL) == 0)
		*held |= PF_EGRESS_HELD_PORTS;
	return 0;
}

static int filter(bool dials, uint32_t *held, struct pf_error *err)
{
	struct sock_filter insns[FILTER_MAX];
	int n = pf__egress_filter(dials, insns, PF_ARRAY_SIZE(insns));

	if (n < 0)
		return pf_fail(err, n, "the filter of pinfold-egress does not compile");
	n = pf_filter_load(insns, (size_t)n, err);
	if (n < 0)
		return n;
	*held |= PF_EGRESS_HELD_SECCOMP | (dials ? 0 : (uint32_t)PF_EGRESS_HELD_NO_SOCKETS);
	return 0;
}

int pf__egress_confine(struct pf_egress_setup *setup, const struct pf_rules *rules,
		       const struct pf_resolver *resolver, uint32_t *held, struct pf_error *err)
{
	uint32_t got;
	int r = limit(&setup->limits, err);

	if (r < 0)
		return r;
	got = enter_namespaces();
	if ((r = drop_user(setup, err)) < 0)
		return r;
	got |= PF_EGRESS_HELD_UID;
	if ((r = landlock(rules, resolver, &got, err)) < 0 || (r = filter(rules->count > 0, &got, err)) < 0)
		return r;
	*held = got;
	return 0;
}
