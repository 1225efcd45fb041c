/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The change set of a workspace, taken when no command runs inside any more. As root the host reads the
 * upper itself. As a user it forks a helper into the sandbox's user namespace, where files of mode
 * 000 or of sub-uids can be read; the upper itself is reached by a descriptor that the child handed out.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "linux/mount.h"
#include "tier/container/container.h"

/* Possible only once init was executed inside (before, the kernel shows an unprivileged caller nothing of
 * it), and as long as it lives: so at the first look at a launcher. */
void pf__collect_hold(struct pf_container *c)
{
	char path[64];

	if (c->ws.mode == PF_WS_NONE || c->who.host_root || c->userns_fd >= 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", c->init_pid);
	c->userns_fd = open(path, O_RDONLY | O_CLOEXEC);
}

static void describe_collect(const struct pf_container *c, const char *id, int upper, struct pf_collect *what)
{
	*what = (struct pf_collect){
		.upper_fd = upper,
		.lower_fd = c->ws.fd,
		.xattr_prefix = c->who.host_root ? "trusted.overlay." : "user.overlay.",
		.uid_base = c->who.uid_base,
		.gid_base = c->who.uid_base,
		.uid_fixed = 1,
		.protect = &c->protect,
		.masked = &c->ws.masks,
		.workspace = c->ws.host_path,
		.command = c->box.command ? c->box.command : "",
		.id = id,
		.reference_ns = c->ws.reference_ns,
	};
}

/* --- a process within the sandbox's user namespace ---------------------------------------- */

static void helper(struct pf_container *c,
		   int (*work)(struct pf_container *c, void *arg, struct pf_handoff *hand,
			       struct pf_error *err),
		   void *arg, int sock)
{
	struct pf_handoff hand = PF_HANDOFF_NONE;
	struct pf_error err = {0};
	int r;

	if (!c->who.host_root && setns(c->userns_fd, CLONE_NEWUSER) < 0)
		r = pf_fail_errno(&err, "cannot enter the sandbox's user namespace");
	else
		r = work(c, arg, &hand, &err);
	if (r < 0)
		pf__handoff_fail(sock, &err);
	_exit(r < 0 || pf__handoff_send(sock, &hand, NULL) < 0);
}

int pf__in_sandbox(struct pf_container *c,
		   int (*work)(struct pf_container *c, void *arg, struct pf_handoff *hand,
			       struct pf_error *err),
		   void *arg, struct pf_handoff *hand, struct pf_error *err)
{
	int pair[2], r;
	pid_t pid;

	if (!c->who.host_root && c->userns_fd < 0)
		return pf_fail(err, -EIO, "the sandbox died before it ran anything");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return pf_fail_errno(err, "cannot make a socket pair");
	pid = fork();
	if (pid == 0)
		helper(c, work, arg, pair[1]);
	close(pair[1]);
	r = pid < 0 ? pf_fail_errno(err, "cannot fork") : pf__handoff_receive(pair[0], hand, err);
	close(pair[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}

/* --- the upper -------------------------------------------------------------------------- */

struct task {
	int changes_fd;
	const char *id; /* NULL: only look whether there is anything */
	struct result {
		uint64_t count, added, modified, deleted;
		bool truncated;
		mode_t top_mode;
	} * result; /* shared with who reads it */
};

static bool is_empty(int dir)
{
	PF_AUTO_CLOSE int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	PF_AUTO_DIR DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *e;

	if (!d)
		return false;
	copy = -1; /* the stream's now */
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return false;
	return true;
}

static int collect_here(struct pf_container *c, void *arg, struct pf_handoff *hand, struct pf_error *err)
{
	struct task *t = arg;
	PF_AUTO_CLOSE int upper =
		openat(c->ws.scratch_fd, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct pf_changeset set = {0};
	struct pf_collect what;
	int r;

	(void)hand;
	if (upper < 0)
		return pf_fail_errno(err, "cannot open what the sandbox wrote");
	if (!t->id) {
		t->result->count = !is_empty(upper);
		return 0;
	}
	describe_collect(c, t->id, upper, &what);
	r = pf_change_collect(t->changes_fd, &what, &set, err);
	if (r == 0)
		*t->result = (struct result){set.count,	  set.added,	 set.modified,
					     set.deleted, set.truncated, set.top_mode};
	pf_change_free(&set);
	return r;
}

/* As root here; as a user in a helper, with which the counts are shared. */
static int perform(struct pf_container *c, int changes_fd, const char *id, struct result *out,
		   struct pf_error *err)
{
	struct result *shared =
		mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct task t = {changes_fd, id, shared};
	struct pf_handoff hand = PF_HANDOFF_NONE;
	int r;

	if (shared == MAP_FAILED)
		return pf_fail_errno(err, "cannot share memory with a helper");
	r = c->who.host_root ? collect_here(c, &t, &hand, err)
			     : pf__in_sandbox(c, collect_here, &t, &hand, err);
	*out = *shared;
	munmap(shared, sizeof(*shared));
	return r;
}

int pf__container_collect(struct pf_box *b, int changes_fd, const char *id, struct pf_changeset *out,
			  struct pf_error *err)
{
	struct pf_container *c = (struct pf_container *)b;
	struct result n;
	int r;

	if (!pf_ws_has_upper(c->ws.mode) || c->ws.scratch_fd < 0)
		return pf_fail(err, -ENOENT, "this sandbox has no workspace that keeps changes");
	if (!c->stopped && !c->detached) {
		if (c->ws.mode != PF_WS_RW)
			return pf_fail(err, -EBUSY, "the sandbox still runs");
		if ((r = perform(c, -1, NULL, &n, err)) < 0)
			return r;
		if (n.count && (r = pf__workspace_detach(c, err)) < 0)
			return r;
	}
	if ((r = perform(c, changes_fd, id, &n, err)) < 0)
		return r;
	*out = (struct pf_changeset){
		.count = n.count,
		.added = n.added,
		.modified = n.modified,
		.deleted = n.deleted,
		.truncated = n.truncated,
		.top_mode = n.top_mode,
	};
	return 0;
}
