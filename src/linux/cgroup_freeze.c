/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pause: v2 cgroup.freeze of the box; on v1 a group in the freezer hierarchy, made on the
 * first pause and filled then, since joining one more hierarchy would cost every run what
 * few need. (cgroup-v1/freezer-subsystem.rst; cgroup-v2.rst, "cgroup.freeze".)
 */
#include "linux/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

#define FREEZE_NS  UINT64_C(1000000000)
#define TRY_NS	   UINT64_C(20000000)
#define MOVE_BATCH 256

static bool reached(int dir, const char *file, const char *field, const char *want)
{
	char text[128];

	if (pf__cg_read(dir, file, text, sizeof(text)) < 0)
		return false;
	if (field)
		return pf__cg_field(text, field) == (*want == '1');
	return strncmp(text, want, strlen(want)) == 0;
}

static int wait_for(int dir, const char *file, const char *field, const char *want, uint64_t ns)
{
	uint64_t deadline = pf_now_ns() + ns;
	unsigned us = 100;

	while (!reached(dir, file, field, want)) {
		if (pf_now_ns() >= deadline)
			return -ETIMEDOUT;
		pf__cg_pause(&us);
	}
	return 0;
}

static int freeze_v2(struct pf_cgroup *cg, const struct pf__cg_hier *h, bool frozen)
{
	int r = pf_write_file(h->box, "cgroup.freeze", frozen ? "1" : "0");

	if (r < 0)
		return r == -ENOENT ? -EOPNOTSUPP : r; /* before 5.2 */
	cg->frozen = frozen;
	return wait_for(h->box, "cgroup.events", "frozen", frozen ? "1" : "0", FREEZE_NS);
}

/* Mounted together with a hierarchy that we use: then our group there has freezer.state. */
static int shared_freezer(const struct pf_cgroup *cg)
{
	for (int i = 0; i < cg->hiers; i++) {
		if (cg->hier[i].controllers & PF__CG_FREEZER)
			return cg->hier[i].top;
	}
	return -1;
}

static int freezer_open(struct pf_cgroup *cg)
{
	int r;

	if (cg->freezer >= 0)
		return 0;
	if (shared_freezer(cg) >= 0) {
		cg->freezer = fcntl(shared_freezer(cg), F_DUPFD_CLOEXEC, 0);
		return cg->freezer < 0 ? -errno : 0;
	}
	if (!cg->freezer_parent)
		return -EOPNOTSUPP;
	if (cg->freezer_up < 0)
		cg->freezer_up = pf__cg_open_dir(AT_FDCWD, cg->freezer_parent);
	if (cg->freezer_up < 0)
		return -EOPNOTSUPP;
	r = pf__cg_mkdir(cg, cg->freezer_up, cg->name);
	if (r < 0)
		return r == -ENOMEM ? r : -EOPNOTSUPP;
	cg->freezer = pf__cg_open_dir(cg->freezer_up, cg->name);
	return cg->freezer < 0 ? cg->freezer : 0;
}

static int known(const pid_t *pids, int n, pid_t pid)
{
	for (int i = 0; i < n; i++) {
		if (pids[i] == pid)
			return 1;
	}
	return 0;
}

/* Move an exec's processes that are not in the freezer group yet. How many were moved. Here
 * cgroup.procs is right: nothing but `tasks` would be faster, and a pause may wait for RCU. */
static int move_exec(struct pf_cgroup *cg, unsigned n)
{
	pid_t pids[MOVE_BATCH], in[MOVE_BATCH * 4];
	int total = pf_cgroup_exec_pids(cg, n, pids, MOVE_BATCH), moved = 0;
	int inside = pf__cg_procs(cg->freezer, ".", in, MOVE_BATCH * 4);
	char text[16];

	inside = inside < MOVE_BATCH * 4 ? inside : MOVE_BATCH * 4;
	for (int i = 0; i < total && i < MOVE_BATCH; i++) {
		if (known(in, inside, pids[i]))
			continue;
		snprintf(text, sizeof(text), "%d", (int)pids[i]);
		moved += pf_write_file(cg->freezer, "cgroup.procs", text) == 0;
	}
	return moved;
}

/* Children of those who are in are born in; what forked before its parent came in is found by the
 * next round. Rounds end: each takes every process there is, and newcomers have parents inside. */
static void fill(struct pf_cgroup *cg)
{
	for (int round = 0; round < 64; round++) {
		int moved = 0;

		for (size_t i = 0; i < cg->exec_count; i++)
			moved += move_exec(cg, cg->execs[i].n);
		if (moved == 0)
			return;
	}
}

static int write_state(struct pf_cgroup *cg, bool frozen, uint64_t ns)
{
	const char *state = frozen ? "FROZEN" : "THAWED";
	int r = pf_write_file(cg->freezer, "freezer.state", state);

	if (r < 0)
		return r;
	cg->frozen = frozen;
	return wait_for(cg->freezer, "freezer.state", NULL, state, ns);
}

/* A parent in vfork(2) does not freeze before its child's execve, which never comes if the child froze first:
 * then all go on for a moment, and it is tried again. */
static int freeze_v1(struct pf_cgroup *cg, bool frozen)
{
	uint64_t deadline = pf_now_ns() + FREEZE_NS;
	int r;

	if (!frozen && cg->freezer < 0)
		return 0; /* never paused */
	r = freezer_open(cg);
	if (r < 0)
		return r;
	if (frozen && shared_freezer(cg) < 0)
		fill(cg);
	if (!frozen)
		return write_state(cg, false, FREEZE_NS);
	while ((r = write_state(cg, true, TRY_NS)) == -ETIMEDOUT) {
		write_state(cg, false, TRY_NS); /* nor is half of it left frozen when it cannot be */
		if (pf_now_ns() >= deadline)
			break;
	}
	return r;
}

int pf_cgroup_freeze(struct pf_cgroup *cg, bool frozen)
{
	for (int i = 0; i < cg->hiers; i++) {
		if (cg->hier[i].v2)
			return freeze_v2(cg, &cg->hier[i], frozen);
	}
	return cg->hiers ? freeze_v1(cg, frozen) : -EOPNOTSUPP;
}

void pf__cg_thaw_for_kill(struct pf_cgroup *cg)
{
	if (cg->freezer < 0)
		return; /* v2 kills what is frozen */
	pf_write_file(cg->freezer, "freezer.state", "THAWED");
	cg->frozen = false;
}

void pf_cgroup_thaw_killed(struct pf_cgroup *cg)
{
	if (cg)
		pf__cg_thaw_for_kill(cg);
}

void pf__cg_freezer_remove(struct pf_cgroup *cg)
{
	if (cg->freezer >= 0) {
		pf__cg_thaw_for_kill(cg);
		if (shared_freezer(cg) < 0)
			pf__cg_tree_remove(&cg->freezer_up, 1, cg->name, pf_now_ns() + FREEZE_NS);
		close(cg->freezer);
	}
	if (cg->freezer_up >= 0)
		close(cg->freezer_up);
	cg->freezer = cg->freezer_up = -1;
}
