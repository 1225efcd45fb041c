/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The change set of a cow workspace, taken when nothing runs inside any more. As root the host reads the
 * upper itself. As a user it forks a helper into the sandbox's user namespace, where files of mode
 * 000 or of sub-uids can be read; the upper itself is reached by a descriptor that the child handed out.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

	if (c->ws.mode != PF_WS_COW || c->who.host_root || c->userns_fd >= 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", c->init_pid);
	c->userns_fd = open(path, O_RDONLY | O_CLOEXEC);
}

static void describe_collect(const struct pf_container *c, int upper, int lower, struct pf_collect *what)
{
	*what = (struct pf_collect){
		.upper_fd = upper,
		.lower_fd = lower,
		.xattr_prefix = c->who.host_root ? "trusted.overlay." : "user.overlay.",
		.uid_base = c->who.uid_base,
		.gid_base = c->who.uid_base,
		.uid_fixed = 1,
		.protect = &c->protect,
		.masked = &c->ws.masks,
		.workspace = c->ws.host_path,
		.command = c->box.command ? c->box.command : "",
		.id = c->id,
		.reference_ns = c->ws.reference_ns,
	};
}

struct counts {
	struct pf_error error;
	uint64_t count, added, modified, deleted;
	bool truncated;
};

static int collect_here(struct pf_container *c, int changes_fd, struct pf_changeset *out,
			struct pf_error *err)
{
	PF_AUTO_CLOSE int upper =
		openat(c->ws.scratch_fd, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct pf_collect what;

	if (upper < 0)
		return pf_fail_errno(err, "cannot open what the sandbox wrote");
	describe_collect(c, upper, c->ws.fd, &what);
	return pf_change_collect(changes_fd, &what, out, err);
}

/* In the helper. Only the user namespace: the upper is reached by descriptor. */
static void helper(struct pf_container *c, int changes_fd, int sock)
{
	struct pf_changeset set = {0};
	struct counts n = {0};

	if (setns(c->userns_fd, CLONE_NEWUSER) < 0)
		pf_fail_errno(&n.error, "cannot enter the sandbox's user namespace");
	else if (collect_here(c, changes_fd, &set, &n.error) == 0)
		n = (struct counts){{0}, set.count, set.added, set.modified, set.deleted, set.truncated};
	_exit(write(sock, &n, sizeof(n)) == (ssize_t)sizeof(n) ? 0 : 1);
}

static int collect_in_helper(struct pf_container *c, int changes_fd, struct pf_changeset *out,
			     struct pf_error *err)
{
	struct counts n;
	int pair[2];
	ssize_t got;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return pf_fail_errno(err, "cannot make a socket pair");
	pid = fork();
	if (pid == 0)
		helper(c, changes_fd, pair[1]);
	close(pair[1]);
	got = pid < 0 ? -1 : pf_read_full(pair[0], &n, sizeof(n));
	close(pair[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	if (got != (ssize_t)sizeof(n))
		return pf_fail(err, -EIO, "the helper that reads the changes died");
	if (n.error.code)
		return pf_fail(err, n.error.code, "%s", n.error.msg);
	out->count = n.count;
	out->added = n.added;
	out->modified = n.modified;
	out->deleted = n.deleted;
	out->truncated = n.truncated;
	return 0;
}

int pf__container_collect(struct pf_box *b, int changes_fd, struct pf_changeset *out, struct pf_error *err)
{
	struct pf_container *c = (struct pf_container *)b;

	if (c->ws.mode != PF_WS_COW || c->ws.scratch_fd < 0)
		return pf_fail(err, -ENOENT, "this sandbox has no cow workspace");
	if (!c->stopped)
		return pf_fail(err, -EBUSY, "the sandbox still runs");
	if (!c->who.host_root && c->userns_fd < 0)
		return pf_fail(err, -EIO, "the sandbox died before it ran anything");
	return c->who.host_root ? collect_here(c, changes_fd, out, err)
				: collect_in_helper(c, changes_fd, out, err);
}
