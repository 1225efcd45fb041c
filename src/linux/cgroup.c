/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making the groups of one sandbox, setting its limits, and taking it all away again.
 *
 * What cannot be held is noted, not fatal: the policy decides what a missing limit means.
 */
#include "linux/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define DESTROY_NS UINT64_C(1000000000)
#define ID_MAX	   64

/* --- helpers of the module --- */

void pf__cg_note(struct pf_cgroup *cg, const char *fmt, ...)
{
	va_list ap;

	if (cg->reason[0])
		return; /* the first failure mostly explains the others */
	va_start(ap, fmt);
	vsnprintf(cg->reason, sizeof(cg->reason), fmt, ap);
	va_end(ap);
}

int pf__cg_open_dir(int dir, const char *name)
{
	int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int pf__cg_mkdir(const struct pf_cgroup *cg, int dir, const char *name)
{
	if (mkdirat(dir, name, 0755) < 0)
		return -errno;
	/* Under a umask of 077 init could not search its exec's group. */
	if (cg->dir_mode && fchmodat(dir, name, 0755, 0) < 0)
		return -errno;
	return 0;
}

/*
 * Give init one file. A user may not chown to a subordinate uid of his; then the file becomes
 * writable for all, and the way to it closed instead: pinfold-ID gets mode 0700, while init comes
 * from a detached mount further down (and the kernel checks only the files' own modes when it
 * moves a process: cgroup_procs_write_permission()).
 */
int pf__cg_give(struct pf_cgroup *cg, int dir, const char *file)
{
	if (!cg->foreign || fchownat(dir, file, cg->uid, cg->gid, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (errno != EPERM)
		return -errno;
	if (!cg->private_top) {
		for (int i = 0; i < cg->hiers; i++) {
			if (fchmodat(cg->hier[i].parent, cg->name, 0700, 0) < 0)
				return -errno;
		}
		cg->private_top = true;
	}
	return fchmodat(dir, file, 0666, 0) < 0 ? -errno : 0;
}

bool pf__cg_has_v2(const struct pf_cgroup *cg)
{
	for (int i = 0; i < cg->hiers; i++) {
		if (cg->hier[i].v2)
			return true;
	}
	return false;
}

static void find_freezer(struct pf_cgroup *cg, struct pf__cg_host *host)
{
	const struct pf__cg_slot *s = pf__cg_slot(host, PF__CG_FREEZER);
	char dir[PATH_MAX];

	if (!s->ro && pf__cg_slot_dir(s, dir) == 0)
		cg->freezer_parent = strdup(dir);
}

static void say_why(struct pf_cgroup *cg, const struct pf_cg_limits *limits)
{
	unsigned asked = (limits->memory_bytes ? PF_CG_MEMORY : 0) | (limits->processes ? PF_CG_PIDS : 0) |
			 (limits->cpu_milli ? PF_CG_CPU : 0);
	unsigned missing = asked & ~cg->held;
	char names[48];

	if (!missing && cg->hiers)
		return;
	if (!missing)
		missing = PF__CG_LIMITS;
	snprintf(cg->why, sizeof(cg->why), "%s cannot be held by a cgroup: %s",
		 pf__cg_limit_names(missing, names),
		 cg->reason[0] ? cg->reason : "this host has no such controller mounted");
}

static bool id_valid(const char *id)
{
	size_t n = strlen(id);

	return n > 0 && n <= ID_MAX && strcmp(id, "host") != 0 &&
	       strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == n;
}

static struct pf_cgroup *new_cgroup(const char *id, uid_t uid, gid_t gid)
{
	struct pf_cgroup *cg = calloc(1, sizeof(*cg));

	if (!cg)
		return NULL;
	snprintf(cg->name, sizeof(cg->name), "pinfold-%s", id);
	cg->uid = uid;
	cg->gid = gid;
	cg->foreign = uid != geteuid();
	cg->init_fd = cg->freezer = cg->freezer_up = -1;
	cg->box_counter[0] = cg->box_counter[1] = -1;
	return cg;
}

static int populate(struct pf_cgroup *cg, const struct pf_cg_limits *limits, struct pf_error *err)
{
	unsigned wanted = pf__cg_wanted(limits), need;
	struct pf__cg_host host;
	int r = pf__cg_host_read(&host, err);

	if (r < 0)
		return r;
	need = pf__cg_only_v2(&host, wanted);
	r = pf__cg_add_v1(cg, &host, wanted, limits);
	if (r == 0)
		find_freezer(cg, &host);
	if (r == 0 && need)
		r = pf__cg_add_v2(cg, &host, need, limits);
	pf__cg_host_free(&host);
	if (r == -EEXIST)
		return pf_fail(err, r, "a cgroup %s is there already: remove it with pinfold doctor --clean",
			       cg->name);
	return r < 0 ? pf_fail(err, r, "cannot make control groups: %s", strerror(-r)) : 0;
}

int pf_cgroup_create(const char *id, const struct pf_cg_limits *limits, uid_t init_uid, gid_t init_gid,
		     struct pf_cgroup **out, struct pf_error *err)
{
	struct pf_cgroup *cg;
	int r;

	if (!id_valid(id))
		return pf_fail(err, -EINVAL, "a sandbox id is 1 to %d letters, digits, - and _", ID_MAX);
	cg = new_cgroup(id, init_uid, init_gid);
	if (!cg)
		return pf_fail(err, -ENOMEM, "no memory for control groups");
	cg->limits = *limits;
	r = populate(cg, limits, err);
	if (r < 0) {
		pf_cgroup_destroy(cg);
		return r;
	}
	say_why(cg, limits);
	*out = cg;
	return 0;
}

void pf_cgroup_destroy(struct pf_cgroup *cg)
{
	int busy[PF_CG_HIERARCHIES];
	bool left = false;

	if (!cg)
		return;
	pf__cg_thaw_for_kill(cg);
	for (int i = 0; i < cg->hiers; i++) {
		busy[i] = pf__cg_hier_rmdir(cg, &cg->hier[i]) ? -1 : cg->hier[i].parent;
		left = left || busy[i] >= 0;
	}
	if (left)
		pf__cg_tree_remove(busy, cg->hiers, cg->name, pf_now_ns() + DESTROY_NS);
	pf__cg_freezer_remove(cg);
	for (int i = 0; i < cg->hiers; i++)
		pf__cg_hier_close(&cg->hier[i]);
	if (cg->init_fd >= 0)
		close(cg->init_fd);
	for (size_t i = 0; i < cg->exec_count; i++)
		pf__cg_counters_close(&cg->execs[i]);
	for (int i = 0; i < 2; i++)
		if (cg->box_counter[i] >= 0)
			close(cg->box_counter[i]);
	free(cg->freezer_parent);
	free(cg->execs);
	free(cg);
}

unsigned pf_cgroup_held(const struct pf_cgroup *cg)
{
	return cg ? cg->held : 0;
}

const char *pf_cgroup_why(const struct pf_cgroup *cg)
{
	return cg ? cg->why : "";
}

bool pf_cgroup_active(const struct pf_cgroup *cg)
{
	return cg && cg->hiers > 0;
}

const char *pf_cgroup_means(const struct pf_cgroup *cg)
{
	if (!pf_cgroup_active(cg))
		return "none";
	if (!pf__cg_has_v2(cg))
		return "cgroup v1";
	if (cg->hiers > 1)
		return "cgroup v1+v2";
	return cg->scope ? "systemd scope" : "cgroup v2";
}

int pf_cgroup_init_fd(const struct pf_cgroup *cg)
{
	return cg ? cg->init_fd : -1;
}

int pf_cgroup_exec_dirs(const struct pf_cgroup *cg, const char *paths[PF_CG_HIERARCHIES],
			bool is_v2[PF_CG_HIERARCHIES])
{
	int n = cg ? cg->hiers : 0;

	for (int i = 0; i < n; i++) {
		paths[i] = cg->hier[i].execs_path;
		is_v2[i] = cg->hier[i].v2;
	}
	return n;
}

void pf_cgroup_describe(const struct pf_cgroup *cg, struct pf_buf *lines)
{
	for (int i = 0; cg && i < cg->hiers; i++)
		pf_buf_addf(lines, "%s\n", cg->hier[i].top_path);
	/* Named before it is made: the description may be written long before the first pause. */
	if (cg && cg->freezer_parent)
		pf_buf_addf(lines, "%s/%s\n", strcmp(cg->freezer_parent, "/") == 0 ? "" : cg->freezer_parent,
			    cg->name);
}
