/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at groups of the unified hierarchy: what the steps of cgroup_v2.c ask before
 * they do anything, and the same questions alone for doctor. Nothing here changes a group.
 */
#include "linux/cgroup_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "linux/dbus_scope.h"

unsigned pf__cg_controllers_of(int dir, const char *file)
{
	char text[512];

	return pf__cg_read(dir, file, text, sizeof(text)) < 0 ? 0 : pf__cg_parse_controllers(text);
}

/* The real root alone has no cgroup.type (and no cgroup.events): the root of a cgroup namespace or
 * of a bind mount is a group like any other. */
bool pf__cg_real_root(int dir)
{
	return faccessat(dir, "cgroup.type", F_OK, 0) < 0 && errno == ENOENT;
}

bool pf__cg_may_write(int dir, const char *file)
{
	return faccessat(dir, file, W_OK, AT_EACCESS) == 0;
}

/* Does the group hold no process but this one? One that cannot be named here is another. */
bool pf__cg_alone(int dir)
{
	char text[64];
	int n = pf__cg_read(dir, "cgroup.procs", text, sizeof(text));

	return n > 0 && n < 32 && strtol(text, NULL, 10) == getpid() && strchr(text, '\n') == text + n - 1;
}

/* systemd marks what it delegated; the second name since v254 (CGROUP_DELEGATION.md). */
static bool marked_delegated(const char *path)
{
	char value[8];

	return getxattr(path, "trusted.delegate", value, sizeof(value)) > 0 ||
	       getxattr(path, "user.delegate", value, sizeof(value)) > 0;
}

/* Cut the last component off both paths; false at the top of either. */
bool pf__cg_go_up(struct pf__cg_place *p, const char *point)
{
	char *a = strrchr(p->path, '/'), *b = strrchr(p->cg, '/');

	if (strlen(p->path) <= strlen(point) || !a || !b || a == p->path || b[1] == '\0')
		return false;
	*a = '\0';
	b[b == p->cg] = '\0';
	return true;
}

static int open_v2(const char *path)
{
	struct statfs fs;
	int fd = pf__cg_open_dir(AT_FDCWD, path);

	if (fd >= 0 && (fstatfs(fd, &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC)) {
		close(fd);
		return -ENOTDIR; /* something else is mounted over it */
	}
	return fd;
}

void pf__cg_reopen(struct pf__cg_place *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = open_v2(p->path);
}

void pf__cg_give_up(struct pf__cg_place *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	p->controllers = 0;
}

bool pf__cg_in_host_leaf(const struct pf__cg_place *p)
{
	const char *leaf = strrchr(p->cg, '/');

	return leaf && strcmp(leaf + 1, PF__CG_HOST_LEAF) == 0;
}

/* Step 3 without its deeds. */
bool pf__cg_ours(const struct pf__cg_place *p, const struct pf__cg_slot *s)
{
	if (!pf__cg_may_write(p->fd, ".") || !pf__cg_may_write(p->fd, "cgroup.procs") ||
	    !pf__cg_may_write(p->fd, "cgroup.subtree_control"))
		return false;
	return geteuid() != 0 || strcmp(p->path, s->point) == 0 || marked_delegated(p->path);
}

/* Fill in own group. 0 or -errno with the reason noted. */
int pf__cg_own_group(struct pf_cgroup *cg, const struct pf__cg_slot *s, struct pf__cg_place *p)
{
	int r = pf__cg_slot_dir(s, p->path);

	p->fd = -1;
	p->controllers = 0;
	p->scope = false;
	if (r == 0 && s->ro)
		r = -EROFS;
	if (r == 0 && strlen(s->path) >= sizeof(p->cg))
		r = -ENAMETOOLONG;
	if (r == 0) {
		strcpy(p->cg, s->path);
		p->fd = open_v2(p->path);
		r = p->fd < 0 ? p->fd : 0;
	}
	if (r < 0 && cg)
		pf__cg_note(cg, "cgroup v2, own group %s: %s", s->path,
			    r == -EROFS			  ? "mounted read-only"
			    : r == -ENOENT || r == -EXDEV ? "not in any mounted cgroup file system"
							  : strerror(-r));
	return r;
}

/* Step 4 without its deeds. */
static bool would_climb(struct pf__cg_place *p, const struct pf__cg_slot *s)
{
	do {
		pf__cg_reopen(p);
		if (p->fd < 0)
			return false;
		if (pf__cg_controllers_of(p->fd, "cgroup.subtree_control") && pf__cg_may_write(p->fd, "."))
			return true;
		if (pf__cg_real_root(p->fd))
			return pf__cg_may_write(p->fd, "cgroup.subtree_control");
	} while (pf__cg_go_up(p, s->point));
	return false;
}

bool pf__cg_v2_probe(struct pf__cg_host *h, unsigned *controllers, char *text, size_t cap)
{
	const struct pf__cg_slot *s = pf__cg_slot(h, PF__CG_V2);
	struct pf__cg_place p;
	const char *step = "no delegated cgroup: log in with systemd, or loginctl enable-linger";
	bool found = true;

	*controllers = 0;
	if (pf__cg_own_group(NULL, s, &p) < 0) {
		snprintf(text, cap, "own group cannot be opened for writing");
		return false;
	}
	*controllers = pf__cg_controllers_of(p.fd, "cgroup.controllers");
	if (pf__cg_in_host_leaf(&p)) {
		step = "beside the leaf pinfold-host";
	} else if (pf__cg_real_root(p.fd) && pf__cg_may_write(p.fd, "cgroup.subtree_control")) {
		step = "at the root";
	} else if (pf__cg_ours(&p, s) && pf__cg_alone(p.fd)) {
		step = "own group";
	} else if (geteuid() == 0) {
		found = would_climb(&p, s);
		step = found ? "in a group above" : "no group above hands controllers down";
	} else {
		found = pf__dbus_reachable();
		if (found)
			step = "by a systemd scope";
	}
	snprintf(text, cap, "%s", step);
	pf__cg_give_up(&p);
	return found;
}
