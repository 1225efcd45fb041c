/* SPDX-License-Identifier: Apache-2.0 */
/* Limits: the groups that hold them, what holds them otherwise, and whether that is what the user asked for.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "linux/landlock.h"
#include "tier/container/container.h"

static void note_unenforced(struct pf_receipt *r, enum pf_limit limit, const char *why)
{
	if (r->unenforced_count == PF_ARRAY_SIZE(r->unenforced))
		return;
	r->unenforced[r->unenforced_count].limit = pf_limit_name(limit);
	r->unenforced[r->unenforced_count++].why = strdup(why);
}

/* What is held, what is not, and whether that is enough: a limit that the user wrote or required is required.
 */
static int settle_limits(struct pf_container *c, const struct pf_policy *p, struct pf_error *err)
{
	static const struct {
		enum pf_limit limit;
		unsigned group;
	} by_group[] = {{PF_LIMIT_MEMORY, PF_CG_MEMORY},
			{PF_LIMIT_PROCESSES, PF_CG_PIDS},
			{PF_LIMIT_CPUS, PF_CG_CPU}};
	uint32_t need = p->limits.written | (p->require & PF_LIMIT_ALL) |
			(p->require & PF_REQUIRE_LIMITS ? PF_LIMIT_ALL : 0);
	struct pf_box *b = &c->box;
	char why[PF_ERROR_MAX];
	bool by_rlimit;
	unsigned i;

	b->held = PF_LIMIT_WALL | PF_LIMIT_IDLE | PF_LIMIT_OUTPUT | PF_LIMIT_OPEN_FILES | PF_LIMIT_DISK;
	for (i = 0; i < PF_ARRAY_SIZE(by_group); i++)
		if (pf_cgroup_held(c->cgroup) & by_group[i].group)
			b->held |= by_group[i].limit;
	/* RLIMIT_NPROC counts per user namespace */
	by_rlimit = !(b->held & PF_LIMIT_PROCESSES) && !c->who.host_root;
	if (by_rlimit)
		b->held |= PF_LIMIT_PROCESSES;
	snprintf(why, sizeof(why), "%s%s (\"pinfold doctor\" prints what mends it)", pf_cgroup_why(c->cgroup),
		 by_rlimit ? "; RLIMIT_NPROC holds processes" : "");
	if (c->ws.upper_on_disk || c->ws.mode == PF_WS_LIVE)
		b->held &= ~(uint32_t)PF_LIMIT_DISK;
	if (!p->limits.cpu_milli)
		b->held |= PF_LIMIT_CPUS; /* none was asked for */
	for (i = 0; i < 8; i++) {
		enum pf_limit one = (enum pf_limit)(1u << i);
		const char *reason = one != PF_LIMIT_DISK ? why
				     : c->ws.mode == PF_WS_LIVE
					     ? "the workspace is the directory itself (rw,live)"
					     : "the workspace's upper is a directory on disk, only looked at";

		if (b->held & one)
			continue;
		if (need & one)
			return pf_fail(err, -EPERM, "the limit '%s' cannot be held on this host: %s",
				       pf_limit_name(one), reason);
		note_unenforced(&b->receipt, one, reason);
	}
	if ((p->require & PF_REQUIRE_CGROUP) && !pf_cgroup_active(c->cgroup))
		return pf_fail(err, -EPERM, "a cgroup was required and this host gives none: %s", why);
	if ((p->require & PF_REQUIRE_INIT_UID) && c->who.shared)
		return pf_fail(
			err, -EPERM,
			"a user id of its own for init was required: give this user sub-ids in /etc/subuid");
	if ((p->require & PF_REQUIRE_LANDLOCK) && pf_landlock_abi() == 0)
		return pf_fail(err, -EPERM, "Landlock was required and this kernel has none");
	return 0;
}

int pf__limits_make(struct pf_container *c, const struct pf_policy *p, struct pf_error *err)
{
	struct pf_cg_limits limits = {.memory_bytes = p->limits.memory,
				      .processes = p->limits.processes,
				      .cpu_milli = p->limits.cpu_milli};
	int r = pf_cgroup_create(c->id, &limits, c->who.host_init, c->who.host_init, &c->cgroup, err);

	if (r < 0)
		return r;
	c->box.receipt.limits_by = pf_cgroup_means(c->cgroup);
	return settle_limits(c, p, err);
}
