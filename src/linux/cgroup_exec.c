/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The groups of single execs: making, killing, removing them.
 *
 * Killing an exec means killing what `setsid`, double forks and process-group games
 * cannot leave: its group. v2 has cgroup.kill (5.14). Without it a SIGKILL to each listed
 * process races with fork, so forks are made to fail first (pids.max 0: fork answers
 * EAGAIN) or, where no pids controller is, the group is frozen meanwhile.
 */
#include "linux/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define KILL_NS	  UINT64_C(2000000000)
#define REMOVE_NS UINT64_C(1000000000)
/* Descriptors that one pass holds at once; more processes are taken by the next passes. */
#define KILL_BATCH 128

void pf__cg_pause(unsigned *us)
{
	struct timespec t = {.tv_nsec = (long)*us * 1000};

	nanosleep(&t, NULL);
	*us = *us < 1000 ? *us * 2 : 2000;
}

static bool listed(const pid_t *pids, int n, pid_t pid)
{
	for (int i = 0; i < n; i++) {
		if (pids[i] == pid)
			return true;
	}
	return false;
}

/*
 * A number read from cgroup.procs may belong to a stranger by the time it is signalled: the
 * process is gone and its pid taken. So each is pinned by a pidfd, the list is read again, and
 * only what still stands in it is signalled: a pinned stranger does not, and a pinned process
 * that died since takes no signal.
 */
int pf__cg_kill_pass(int dir, const char *rel)
{
	pid_t pids[KILL_BATCH], again[KILL_BATCH * 2], self = getpid();
	int fds[KILL_BATCH], n, m, others = 0, total = pf__cg_procs(dir, rel, pids, KILL_BATCH);

	if (total <= 0)
		return total;
	n = total < KILL_BATCH ? total : KILL_BATCH;
	for (int i = 0; i < n; i++) {
		fds[i] = (int)syscall(SYS_pidfd_open, pids[i], 0);
		if (fds[i] < 0 && (errno == ENOSYS || errno == EMFILE || errno == ENFILE))
			fds[i] = -2; /* no pidfds (before 5.3) or none left: the plain way */
	}
	m = pf__cg_procs(dir, rel, again, KILL_BATCH * 2);
	m = m < KILL_BATCH * 2 ? m : KILL_BATCH * 2;
	for (int i = 0; i < n; i++) {
		bool mine = pids[i] == self;

		others += !mine;
		if (!mine && listed(again, m, pids[i])) {
			if (fds[i] >= 0)
				syscall(SYS_pidfd_send_signal, fds[i], SIGKILL, NULL, 0);
			else if (fds[i] == -2)
				kill(pids[i], SIGKILL);
		}
		if (fds[i] >= 0)
			close(fds[i]);
	}
	return total > n ? others + total - n : others;
}

/* --- bookkeeping --- */

static struct pf__cg_exec *find(const struct pf_cgroup *cg, unsigned n)
{
	for (size_t i = 0; i < cg->exec_count; i++) {
		if (cg->execs[i].n == n)
			return &cg->execs[i];
	}
	return NULL;
}

const struct pf__cg_exec *pf__cg_exec_find(const struct pf_cgroup *cg, unsigned n)
{
	return find(cg, n);
}

static int remember(struct pf_cgroup *cg, unsigned n)
{
	struct pf__cg_exec *e;

	if (cg->exec_count == cg->exec_cap) {
		size_t cap = cg->exec_cap ? cg->exec_cap * 2 : 8;
		struct pf__cg_exec *bigger = realloc(cg->execs, cap * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		cg->execs = bigger;
		cg->exec_cap = cap;
	}
	e = &cg->execs[cg->exec_count++];
	*e = (struct pf__cg_exec){.n = n, .pids_max = -1};
	for (unsigned i = 0; i < PF__CG_COUNTERS; i++)
		e->counter[i] = -1;
	return 0;
}

static void forget(struct pf_cgroup *cg, unsigned n)
{
	struct pf__cg_exec *e = find(cg, n);

	if (!e)
		return;
	pf__cg_counters_close(e);
	*e = cg->execs[--cg->exec_count];
}

/* --- making --- */

/* v1: the launcher writes 0 to `tasks`; v2: init's clone3() needs cgroup.procs. Init gets that
 * file and no other: what it does not need it cannot misuse once it is taken over. */
static int make_in(struct pf_cgroup *cg, const struct pf__cg_hier *h, const char *name, bool inits)
{
	char file[40];
	int r = pf__cg_mkdir(cg, h->execs, name);

	if (r < 0 || !inits)
		return r;
	snprintf(file, sizeof(file), "%s/%s", name, h->v2 ? "cgroup.procs" : "tasks");
	r = pf__cg_give(cg, h->execs, file);
	if (r < 0)
		unlinkat(h->execs, name, AT_REMOVEDIR);
	return r;
}

int pf_cgroup_exec_create(struct pf_cgroup *cg, unsigned n, struct pf_error *err)
{
	char name[16];
	int r;

	if (cg->hiers == 0)
		return 0;
	r = remember(cg, n);
	if (r < 0)
		return pf_fail(err, r, "no memory for another exec");
	snprintf(name, sizeof(name), "%u", n);
	for (int i = 0; i < cg->hiers; i++) {
		r = make_in(cg, &cg->hier[i], name, n != PF_CG_HELPER);
		if (r == 0)
			continue;
		for (int k = 0; k < i; k++)
			unlinkat(cg->hier[k].execs, name, AT_REMOVEDIR);
		forget(cg, n);
		return pf_fail(err, r, "cannot make the cgroup %s/%u: %s", cg->hier[i].execs_path, n,
			       strerror(-r));
	}
	if (n != PF_CG_HELPER)
		pf__cg_counters_open(cg, find(cg, n));
	return 0;
}

int pf_cgroup_helper(struct pf_cgroup *cg, struct pf_helper_groups *out, struct pf_error *err)
{
	struct pf_helper_groups g = {0};
	int r = 0, fd;

	if (cg && cg->hiers && !find(cg, PF_CG_HELPER))
		r = pf_cgroup_exec_create(cg, PF_CG_HELPER, err);
	if (r < 0)
		return r;
	for (int i = 0; cg && i < cg->hiers; i++) {
		const struct pf__cg_hier *h = &cg->hier[i];

		fd = openat(h->execs, h->v2 ? "0" : "0/tasks",
			    (h->v2 ? O_PATH | O_DIRECTORY : O_WRONLY) | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0) {
			pf_fail_errno(err, "cannot open the cgroup %s/0", h->execs_path);
			pf_helper_close(&g);
			return err ? err->code : -EIO;
		}
		if (h->v2) {
			g.v2 = true;
			g.cgroup = fd;
		} else {
			g.tasks[g.count++] = fd;
		}
	}
	*out = g;
	return 0;
}

/* --- killing --- */

/* v2: every change of `populated` wakes POLLPRI (cgroup-v2.rst, "(Un)populated Notification"). */
static int wait_unpopulated(int execs, unsigned n, uint64_t deadline)
{
	PF_AUTO_CLOSE int fd = -1;
	char name[40], text[128];

	snprintf(name, sizeof(name), "%u/cgroup.events", n);
	fd = openat(execs, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLPRI};
		uint64_t now = pf_now_ns();
		ssize_t got = pread(fd, text, sizeof(text) - 1, 0);

		if (got < 0)
			return errno == ENODEV ? 0 : -errno; /* removed meanwhile */
		text[got] = '\0';
		if (pf__cg_field(text, "populated") != 1)
			return 0;
		if (now >= deadline)
			return -EBUSY;
		poll(&p, 1, (int)((deadline - now) / 1000000) + 1);
	}
}

/* No more forks in this exec. False where no hierarchy has pids. */
static bool stop_forks(struct pf_cgroup *cg, unsigned n)
{
	struct pf__cg_exec *e = find(cg, n);
	struct pf_cg_events events;
	char name[40];

	for (int i = 0; i < cg->hiers; i++) {
		if (!(cg->hier[i].controllers & PF__CG_PIDS))
			continue;
		if (e && !e->killed) {
			pf_cgroup_events(cg, n, &events);
			e->pids_max = events.exec_pids_max;
			e->killed = true;
		}
		snprintf(name, sizeof(name), "%u/pids.max", n);
		return pf_write_file(cg->hier[i].execs, name, "0") == 0;
	}
	return false;
}

/* Signal and look again until every hierarchy's group is empty: a launcher that was killed on its
 * way in may stand in one and not in another. */
static int kill_listed(struct pf_cgroup *cg, unsigned n, uint64_t deadline)
{
	bool forks_stopped = stop_forks(cg, n), thaw = cg->frozen;
	unsigned us = 100;
	char rel[16];

	if (!forks_stopped && !pf__cg_has_v2(cg))
		thaw = pf_cgroup_freeze(cg, true) == 0 || thaw;
	snprintf(rel, sizeof(rel), "%u", n);
	for (;;) {
		int left = 0;

		for (int i = 0; i < cg->hiers; i++) {
			int r = pf__cg_kill_pass(cg->hier[i].execs, rel);

			left += r > 0 ? r : 0;
		}
		if (thaw) /* a frozen v1 task dies only once it is thawed */
			pf__cg_thaw_for_kill(cg);
		thaw = false;
		if (left == 0)
			return 0;
		if (pf_now_ns() >= deadline)
			return -EBUSY;
		pf__cg_pause(&us);
	}
}

static int kill_v2(const struct pf__cg_hier *h, unsigned n, uint64_t deadline)
{
	char name[40];
	int r;

	snprintf(name, sizeof(name), "%u/cgroup.kill", n);
	r = pf_write_file(h->execs, name, "1");
	return r < 0 ? r : wait_unpopulated(h->execs, n, deadline);
}

static int kill_until(struct pf_cgroup *cg, unsigned n, uint64_t deadline)
{
	bool was_frozen = cg->frozen;
	int r = -ENOENT;

	for (int i = 0; i < cg->hiers && r == -ENOENT; i++) {
		if (cg->hier[i].v2)
			r = kill_v2(&cg->hier[i], n, deadline);
	}
	/* Not there (before 5.14, or v1); on a mixed host the other hierarchies are seen to be empty. */
	if (r < 0 || cg->hiers > 1)
		r = kill_listed(cg, n, deadline);
	if (was_frozen && !cg->frozen)
		pf_cgroup_freeze(cg, true);
	return r;
}

int pf_cgroup_exec_kill(struct pf_cgroup *cg, unsigned n)
{
	pid_t any;

	if (cg->hiers == 0)
		return -EOPNOTSUPP;
	/* Mostly the command left nothing behind. Nobody can come in any more: only what is in the group
	 * forks into it, and launchers enter before they are looked at. What forks is charged before it is
	 * there (kernel/cgroup/pids.c, pids_can_fork()). */
	if (pf__cg_counter(cg, n, PF__CG_PIDS_NOW) == 0 || pf_cgroup_exec_pids(cg, n, &any, 1) == 0)
		return 0;
	return kill_until(cg, n, pf_now_ns() + KILL_NS);
}

/* How many hierarchies still have the group. Mostly it is empty, and then this is all. */
static int remove_once(struct pf_cgroup *cg, const char *name)
{
	int left = 0;

	for (int i = 0; i < cg->hiers; i++) {
		if (unlinkat(cg->hier[i].execs, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
			left++;
	}
	return left;
}

int pf_cgroup_exec_remove(struct pf_cgroup *cg, unsigned n)
{
	uint64_t deadline = pf_now_ns() + REMOVE_NS;
	unsigned us = 100;
	char name[16];

	snprintf(name, sizeof(name), "%u", n);
	if (remove_once(cg, name) > 0) {
		kill_until(cg, n, deadline);
		while (remove_once(cg, name) > 0) {
			if (pf_now_ns() >= deadline)
				return -EBUSY;
			pf__cg_pause(&us);
		}
	}
	forget(cg, n);
	return 0;
}

int pf_cgroup_exec_path(const struct pf_cgroup *cg, unsigned n, char *out, size_t cap)
{
	int len;

	if (!cg || cg->hiers == 0)
		return -EOPNOTSUPP;
	len = snprintf(out, cap, "%s/%u", cg->hier[0].execs_cg, n);
	return len < 0 || (size_t)len >= cap ? -ENAMETOOLONG : 0;
}
