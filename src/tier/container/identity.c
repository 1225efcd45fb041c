/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identity (DESIGN section 4): which user and group ids a sandbox has, inside and on the host.
 *
 * As root: a range of 65536 ids of its own from a region that nobody hands out, so that nothing
 * inside is ever uid 0 on the host, and two live sandboxes of one RUNTIME share no id (a lock on one byte of
 * RUNTIME/.ids for each range). As a user: the caller is the
 * command's user; with sub-uids init and the rest of the ids come from those, through newuidmap.
 * Without, one id is all there is, and init shares it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sha256.h"
#include "base/str.h"
#include "tier/container/container.h"

/* Does this process's own user namespace know ids first..first+count-1? */
static bool ids_are_mapped(const char *file, uint64_t first, uint64_t count)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	char *line, *save = NULL;

	if (pf_read_file(AT_FDCWD, file, &text, 65536) < 0 || !text.data)
		return false;
	for (line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		unsigned long long in, out, n;

		if (sscanf(line, "%llu %llu %llu", &in, &out, &n) == 3 && first >= in &&
		    first + count <= in + n)
			return true;
	}
	return false;
}

/* Hold the range slot for as long as *lock is open: an open file description lock on one byte
 * (fcntl_locking(2)). */
static bool hold_slot(int lock, uint32_t slot)
{
	struct flock one = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1};

	return fcntl(lock, F_OFD_SETLK, &one) == 0;
}

static int choose_slot(const char *id, const char *runtime, uint32_t *slot, int *lock, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = -1;
	char path[600];
	uint8_t digest[32];
	struct pf_sha256 s;
	uint32_t i;

	pf_sha256_init(&s);
	pf_sha256_add(&s, id, strlen(id));
	pf_sha256_end(&s, digest);
	*slot = ((uint32_t)digest[0] | (uint32_t)digest[1] << 8 | (uint32_t)digest[2] << 16) %
		PF_HOST_ID_SLOTS;
	if (!runtime)
		return 0; /* a probe, which lives for a moment */
	snprintf(path, sizeof(path), "%s/.ids", runtime);
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return pf_fail_errno(err, "cannot open %s", path);
	for (i = 0; i < PF_HOST_ID_SLOTS; i++, *slot = (*slot + 1) % PF_HOST_ID_SLOTS)
		if (hold_slot(fd, *slot)) {
			*lock = pf_take_fd(&fd);
			return 0;
		}
	return pf_fail(err, -EAGAIN, "all %u ranges of ids are in use by live sandboxes", PF_HOST_ID_SLOTS);
}

/* A number for init that is not the command's: an image may name any. */
static uint32_t own_init(const struct pf_identity *w)
{
	uint32_t id = PF_INIT_UID;

	while (id == w->user || id == w->group)
		id--;
	return id;
}

static int map_root(const char *id, const char *runtime, struct pf_identity *w, struct pf_error *err)
{
	uint32_t slot;
	int r = choose_slot(id, runtime, &slot, &w->lock, err);

	if (r < 0)
		return r;
	w->uid_base = PF_HOST_ID_BASE + slot * PF_ID_COUNT;
	w->init = own_init(w);
	w->uid[0] = w->gid[0] = (struct pf_idmap){0, w->uid_base, PF_ID_COUNT};
	w->uid_count = w->gid_count = 1;
	w->host_init = w->uid_base + w->init;
	w->host_user = w->uid_base + w->user;
	w->host_group = w->uid_base + w->group;
	w->host_helper = PF_HOST_HELPER_BASE + slot;
	return 0;
}

/* The caller's line in /etc/subuid or /etc/subgid: "name-or-uid:first:count" (subuid(5)). */
static bool find_subids(const char *file, const char *name, uid_t uid, uint32_t *first, uint32_t *count)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	char *line, *save = NULL, number[16];

	snprintf(number, sizeof(number), "%u", uid);
	if (pf_read_file(AT_FDCWD, file, &text, 1 << 20) < 0 || !text.data)
		return false;
	for (line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *f, *n;

		f = strchr(line, ':');
		if (!f)
			continue;
		*f++ = '\0';
		n = strchr(f, ':');
		if (!n || (strcmp(line, number) != 0 && (!name || strcmp(line, name) != 0)))
			continue;
		*n++ = '\0';
		if (pf_parse_u32(f, first) == 0 && pf_parse_u32(n, count) == 0 && *count >= PF_ID_COUNT - 1)
			return true;
	}
	return false;
}

/* The login name of uid, from /etc/passwd alone: nothing of NSS is linked. */
static char *login_name(uid_t uid)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	char *line, *save = NULL;

	if (pf_read_file(AT_FDCWD, "/etc/passwd", &text, 4 << 20) < 0 || !text.data)
		return NULL;
	for (line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *pw = strchr(line, ':'), *u = pw ? strchr(pw + 1, ':') : NULL, *end;

		if (!u)
			continue;
		*pw = '\0';
		end = strchr(++u, ':');
		if (end)
			*end = '\0';
		if (strtoul(u, NULL, 10) == uid && *u)
			return strdup(line);
	}
	return NULL;
}

/* [0,user) and (user,65535] from the sub-ids, user itself is the caller. */
static unsigned map_around(struct pf_idmap map[3], uint32_t user, uint32_t caller, uint32_t first)
{
	unsigned n = 0;

	if (user > 0)
		map[n++] = (struct pf_idmap){0, first, user};
	map[n++] = (struct pf_idmap){user, caller, 1};
	if (user + 1 < PF_ID_COUNT)
		map[n++] = (struct pf_idmap){user + 1, first + user, PF_ID_COUNT - user - 1};
	return n;
}

static void map_user(struct pf_identity *w)
{
	PF_AUTO_FREE char *name = login_name(w->caller);
	uint32_t ufirst, ucount, gfirst, gcount;

	w->uid_base = UINT32_MAX;
	w->host_user = w->caller;
	w->host_group = w->caller_gid;
	if (access("/usr/bin/newuidmap", X_OK) == 0 && access("/usr/bin/newgidmap", X_OK) == 0 &&
	    find_subids("/etc/subuid", name, w->caller, &ufirst, &ucount) &&
	    find_subids("/etc/subgid", name, w->caller, &gfirst, &gcount)) {
		w->helpers = true;
		w->init = own_init(w);
		w->uid_count = map_around(w->uid, w->user, w->caller, ufirst);
		w->gid_count = map_around(w->gid, w->group, w->caller_gid, gfirst);
		w->host_init = ufirst + w->init - (w->init > w->user);
		return;
	}
	/* one id is all there is: its group has the same number */
	w->shared = true;
	w->deny_setgroups = true;
	w->init = w->group = w->user;
	w->host_init = w->caller;
	w->uid[0] = (struct pf_idmap){w->user, w->caller, 1};
	w->gid[0] = (struct pf_idmap){w->user, w->caller_gid, 1};
	w->uid_count = w->gid_count = 1;
}

int pf__identity_decide(const struct pf_policy *p, const struct pf_account *account, const char *id,
			const char *runtime, struct pf_identity *out, struct pf_error *err)
{
	struct pf_identity w = {.lock = -1};
	int r;

	w.caller = geteuid();
	w.caller_gid = getegid();
	w.host_root = w.caller == 0;
	w.user = account ? account->uid : p->user_root ? 0 : PF_USER_UID;
	w.group = account ? account->gid : w.user;
	if (!w.host_root) {
		map_user(&w);
	} else if (ids_are_mapped("/proc/self/uid_map", PF_HOST_ID_BASE,
				  PF_HOST_ID_SLOTS * PF_ID_COUNT + PF_HOST_ID_SLOTS) &&
		   ids_are_mapped("/proc/self/gid_map", PF_HOST_ID_BASE,
				  PF_HOST_ID_SLOTS * PF_ID_COUNT + PF_HOST_ID_SLOTS)) {
		if ((r = map_root(id, runtime, &w, err)) < 0)
			return r;
	} else {
		return pf_fail(err, -EPERM,
			       "this root's user namespace lacks the ids from %u on that sandboxes use; run "
			       "pinfold as an ordinary user",
			       PF_HOST_ID_BASE);
	}
	*out = w;
	return 0;
}

/* child 0: the calling process itself, whose own pid means nothing in the host's /proc. */
static void map_path(char path[64], pid_t child, const char *which)
{
	if (child)
		snprintf(path, 64, "/proc/%d/%s", child, which);
	else
		snprintf(path, 64, "/proc/self/%s", which);
}

static int write_map(pid_t child, const char *which, const struct pf_idmap *map, unsigned count,
		     struct pf_error *err)
{
	char path[64], text[128];
	int n = 0;
	unsigned i;

	map_path(path, child, which);
	for (i = 0; i < count; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%u %u %u\n", map[i].inside, map[i].host,
			      map[i].count);
	if (pf_write_file(AT_FDCWD, path, text) < 0)
		return pf_fail_errno(err, "cannot write %s of the new user namespace", which);
	return 0;
}

static pid_t start_helper(const char *program, pid_t child, const struct pf_idmap *map, unsigned count)
{
	char words[12][16], *argv[16];
	unsigned i, n = 0, k = 0;
	pid_t pid;

	argv[n++] = (char *)(uintptr_t)program;
	snprintf(words[k], sizeof(words[0]), "%d", child);
	argv[n++] = words[k++];
	for (i = 0; i < count; i++) {
		const uint32_t v[3] = {map[i].inside, map[i].host, map[i].count};

		for (unsigned j = 0; j < 3; j++) {
			snprintf(words[k], sizeof(words[0]), "%u", v[j]);
			argv[n++] = words[k++];
		}
	}
	argv[n] = NULL;
	pid = vfork();
	if (pid == 0) {
		static char *const env[] = {NULL};

		execve(program, argv, env);
		_exit(127);
	}
	return pid;
}

static int await_helper(pid_t pid, const char *name, struct pf_error *err)
{
	int status = -1;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return pf_fail(err, -EPERM, "%s failed; check /etc/subuid and /etc/subgid", name);
	return 0;
}

int pf__identity_write(const struct pf_identity *w, pid_t child, struct pf_error *err)
{
	char path[64];
	pid_t u, g;
	int r1, r2;

	if (w->helpers) {
		u = start_helper("/usr/bin/newuidmap", child, w->uid, w->uid_count);
		g = start_helper("/usr/bin/newgidmap", child, w->gid, w->gid_count);
		r1 = await_helper(u, "newuidmap", err);
		r2 = await_helper(g, "newgidmap", r1 ? NULL : err);
		return r1 ? r1 : r2;
	}
	if (w->deny_setgroups) {
		map_path(path, child, "setgroups");
		if (pf_write_file(AT_FDCWD, path, "deny") < 0)
			return pf_fail_errno(err, "cannot deny setgroups in the new user namespace");
	}
	if (w->uid_count == 0)
		return 0; /* a test build without a user namespace */
	if ((r1 = write_map(child, "uid_map", w->uid, w->uid_count, err)) < 0)
		return r1;
	return write_map(child, "gid_map", w->gid, w->gid_count, err);
}

int pf__identity_idmap(uint32_t uid_from, uint32_t gid_from, uint32_t uid_to, uint32_t gid_to,
		       struct pf_error *err)
{
	struct pf_idmap u = {uid_from, uid_to, 1}, g = {gid_from, gid_to, 1};
	char path[64];
	int fd = -1, r;
	pid_t parent = getpid(), pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (pid < 0)
		return pf_fail_errno(err, "cannot make a user namespace for the workspace's owner");
	if (pid == 0) {
		/* it must not outlive a host that is killed meanwhile */
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		if (getppid() == parent)
			pause();
		_exit(0);
	}
	r = write_map(pid, "uid_map", &u, 1, err);
	if (r == 0)
		r = write_map(pid, "gid_map", &g, 1, err);
	if (r == 0) {
		snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		r = fd < 0 ? pf_fail_errno(err, "cannot open %s", path) : 0;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return r < 0 ? r : fd;
}
