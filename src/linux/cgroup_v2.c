/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A place on the unified hierarchy: the group PARENT below which a sandbox may be made.
 *
 * Two rules of cgroup-v2.rst decide. "No Internal Process": a group other than the real root
 * cannot hold processes and hand controllers to children at once. "Delegation": a subtree
 * is ours to divide if we may write its cgroup.procs and cgroup.subtree_control and whoever
 * manages the host keeps its hands off it.
 *
 * In this order:
 *  1. we stand in a leaf "pinfold-host" that an earlier pinfold made: its parent;
 *  2. own group, when it already hands the controllers down, or is the real root, which
 *     may both hold processes and have controllers (added there, by root only);
 *  3. own group, when it is ours to divide and holds only this process, which moves itself
 *     into the leaf "pinfold-host". For a user "ours" is what he may write. Root may write
 *     all, so for root it is what systemd marked as delegated (Delegate=yes) or what a
 *     container's cgroup namespace or mount gives as its root: no other group is changed;
 *  4. root: the nearest group above that already hands the controllers down (a slice of
 *     systemd's mostly does), so that no existing group's cgroup.subtree_control is written
 *     and as many limits from above as possible go on to hold; failing that, the real root;
 *  5. a user: a scope from systemd, which then is own group of kind 3.
 */
#include "linux/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "linux/dbus_scope.h"

#define SCOPE_NS       UINT64_C(3000000000)
#define ENABLE_RETRIES 8 /* 100 us doubling to 2 ms: some 7 ms in all */

int pf__cg_v2_enable(int dir, unsigned mask)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%s%s%s", mask & PF__CG_MEMORY ? "+memory " : "",
			 mask & PF__CG_PIDS ? "+pids " : "", mask & PF__CG_CPU ? "+cpu " : "");

	return n > 0 ? pf_write_file(dir, "cgroup.subtree_control", text) : 0;
}

/* Are all controllers that this hierarchy could give handed down here already? */
static bool hands_down(struct pf__cg_place *p, unsigned need)
{
	unsigned have = pf__cg_controllers_of(p->fd, "cgroup.subtree_control") & need;

	if (have != need || !pf__cg_may_write(p->fd, "."))
		return false;
	p->controllers = have;
	return true;
}

/* Step 2 and the end of step 4. Adding a controller at the real root takes nothing from anybody. */
static bool root_hands_down(struct pf_cgroup *cg, struct pf__cg_place *p, unsigned need)
{
	unsigned have = pf__cg_controllers_of(p->fd, "cgroup.controllers") & need;

	if (!pf__cg_real_root(p->fd))
		return false;
	if (!have)
		pf__cg_note(cg, "this host offers no such controller, on cgroup v1 or v2");
	if (!have || !pf__cg_may_write(p->fd, "cgroup.subtree_control"))
		return false;
	if (pf__cg_v2_enable(p->fd, have) < 0)
		return false;
	p->controllers = have;
	return true;
}

/*
 * Step 3. Several pinfolds may do this at once in one group (each saw itself alone before the
 * next was forked): the leaf is shared, and EBUSY from subtree_control means that one is
 * still on its way, so it is tried again for some milliseconds. Moving waits for RCU (11 ms
 * idle): once in the life of the group.
 */
static int divide(struct pf__cg_place *p, unsigned need)
{
	PF_AUTO_CLOSE int leaf = -1;
	unsigned us = 100, have = pf__cg_controllers_of(p->fd, "cgroup.controllers") & need;
	int r;

	if (!have)
		return -ENOENT;
	if (mkdirat(p->fd, PF__CG_HOST_LEAF, 0755) < 0 && errno != EEXIST)
		return -errno;
	leaf = pf__cg_open_dir(p->fd, PF__CG_HOST_LEAF);
	r = leaf < 0 ? leaf : pf_write_file(leaf, "cgroup.procs", "0");
	for (int i = 0; r == 0 && i < ENABLE_RETRIES; i++) {
		r = pf__cg_v2_enable(p->fd, have);
		if (r != -EBUSY)
			break;
		pf__cg_pause(&us);
		r = i + 1 < ENABLE_RETRIES ? 0 : -EBUSY;
	}
	if (r == 0)
		p->controllers = have;
	return r;
}

/* Step 4. */
static bool climb(struct pf_cgroup *cg, struct pf__cg_place *p, const struct pf__cg_slot *s, unsigned need)
{
	struct pf__cg_place at = *p;

	at.fd = -1;
	while (pf__cg_go_up(&at, s->point)) {
		pf__cg_reopen(&at);
		if (at.fd < 0)
			break;
		if (hands_down(&at, need) || root_hands_down(cg, &at, need)) {
			close(p->fd);
			*p = at;
			return true;
		}
	}
	pf__cg_give_up(&at);
	return false;
}

/* Steps 1 and 2. */
static bool ready_made(struct pf_cgroup *cg, struct pf__cg_place *p, const struct pf__cg_slot *s,
		       unsigned need)
{
	if (pf__cg_in_host_leaf(p)) {
		struct pf__cg_place up = *p;

		up.fd = -1;
		if (pf__cg_go_up(&up, s->point)) {
			pf__cg_reopen(&up);
			if (up.fd >= 0 &&
			    hands_down(&up, pf__cg_controllers_of(up.fd, "cgroup.controllers") & need) &&
			    up.controllers) {
				close(p->fd);
				*p = up;
				return true;
			}
		}
		pf__cg_give_up(&up);
	}
	return hands_down(p, need) || root_hands_down(cg, p, need);
}

/* Wait until systemd has moved us: a group that ends in UNIT, in the host's own words. */
static int wait_moved(struct pf__cg_host *h, const char *unit)
{
	uint64_t deadline = pf_now_ns() + SCOPE_NS;
	unsigned us = 100;

	for (;;) {
		const struct pf__cg_slot *s = pf__cg_slot(h, PF__CG_V2);
		const char *leaf;
		int r;

		pf__cg_host_free(h);
		r = pf__cg_host_read(h, NULL);
		if (r < 0)
			return r;
		leaf = s->path ? strrchr(s->path, '/') : NULL;
		if (leaf && strcmp(leaf + 1, unit) == 0)
			return 0;
		if (pf_now_ns() >= deadline)
			return -ETIMEDOUT;
		pf__cg_pause(&us);
	}
}

/* Step 5. */
static int ask_scope(struct pf_cgroup *cg, struct pf__cg_host *h, unsigned need, struct pf__cg_place *p)
{
	struct pf_error err = {0};
	char unit[96];
	int r;

	snprintf(unit, sizeof(unit), "%s.scope", cg->name);
	r = pf__dbus_scope(unit, 3000, &err);
	if (r == 0)
		r = wait_moved(h, unit);
	if (r == 0)
		r = pf__cg_own_group(cg, pf__cg_slot(h, PF__CG_V2), p);
	if (r == 0)
		r = divide(p, need);
	if (r == 0) {
		p->scope = true;
		return 0;
	}
	pf__cg_give_up(p);
	pf__cg_note(
		cg,
		"no delegated cgroup: `loginctl enable-linger` and log in anew, or run "
		"`systemd-run --user --scope -p Delegate=yes pinfold ...` (a scope was asked for: %.180s)",
		err.code ? err.msg : strerror(-r));
	return r == -ENOMEM ? r : 0;
}

static void note_missing(struct pf_cgroup *cg, const struct pf__cg_place *p, unsigned need)
{
	char names[48];

	if (need & ~p->controllers)
		pf__cg_note(cg, "the cgroup v2 controllers for %s are not available below %s",
			    pf__cg_limit_names(need & ~p->controllers, names), p->path);
}

int pf__cg_v2_place(struct pf_cgroup *cg, struct pf__cg_host *h, unsigned need, struct pf__cg_place *p)
{
	const struct pf__cg_slot *s = pf__cg_slot(h, PF__CG_V2);
	int r;

	if (pf__cg_own_group(cg, s, p) < 0)
		return 0;
	if (ready_made(cg, p, s, need)) {
		note_missing(cg, p, need);
		return 0;
	}
	if (pf__cg_ours(p, s) && pf__cg_alone(p->fd)) {
		r = divide(p, need);
		if (r == 0) {
			note_missing(cg, p, need);
			return 0;
		}
		pf__cg_note(cg, "cannot hand controllers down from %s: %s", p->path,
			    r == -EBUSY ? "other processes are in it" : strerror(-r));
	}
	if (geteuid() != 0) {
		pf__cg_give_up(p);
		r = ask_scope(cg, h, need, p);
		if (p->fd >= 0)
			note_missing(cg, p, need);
		return r;
	}
	if (climb(cg, p, s, need)) {
		note_missing(cg, p, need);
		return 0;
	}
	pf__cg_note(cg,
		    "no group above %s hands its controllers down, and other processes are in it: "
		    "start pinfold in a cgroup of its own",
		    p->path);
	pf__cg_give_up(p);
	return 0;
}
