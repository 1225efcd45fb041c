/* SPDX-License-Identifier: Apache-2.0 */
/* Modes and attributes of what is in the workspace already, by descriptor; and the directories that are
 * opened for the time of an apply. */
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "workspace/apply_internal.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452 /* Linux 6.6; the same number everywhere */
#endif

int pf__chmod_fd(int fd, mode_t mode)
{
	char self[40];

	if (syscall(SYS_fchmodat2, fd, "", mode, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != ENOSYS && errno != EINVAL)
		return -errno;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return chmod(self, mode) < 0 ? -errno : 0;
}

/* A file that its owner may not write has attributes that he may not set. */
static int give_attrs(const struct pf_change *c, int fd, mode_t now)
{
	int r = pf__attrs_give(fd, &c->attrs);

	if (r != -EACCES || now & 0200)
		return r;
	r = pf__chmod_fd(fd, now | 0200);
	return r < 0 ? r : pf__attrs_give(fd, &c->attrs);
}

int pf__apply_meta(struct pf__apply *a, size_t i, const struct pf__place *p, bool final)
{
	const struct pf_change *c = &a->c->items[i];
	const struct pf__step *s = &a->plan.steps[i];
	PF_AUTO_CLOSE int fd = pf__ws_open(p->fd, p->leaf, O_PATH | O_NOFOLLOW);
	mode_t mode = s->mode | (S_ISDIR(c->mode) && !final ? 0700 : 0);
	struct stat st;
	int r = 0;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((st.st_mode & S_IFMT) != (c->mode & S_IFMT) || S_ISLNK(st.st_mode))
		return -ESTALE;
	/* Another name of somebody else's file: its mode is not this workspace's to set, root or not. */
	if (a->as_root && S_ISREG(st.st_mode) && st.st_nlink > 1 && st.st_uid != p->dir.st_uid)
		return -EPERM;
	if (!final && c->attrs_differ) {
		r = give_attrs(c, fd, st.st_mode & PF__WS_MODE_BITS);
		PF__POINT();
		if (r == -EOPNOTSUPP)
			r = pf__apply_note(a, c->path, "its extended attributes: this file system has none");
		if (r == 0 && fstat(fd, &st) < 0)
			r = -errno;
	}
	if (r == 0 && (st.st_mode & PF__WS_MODE_BITS) != mode)
		r = pf__chmod_fd(fd, mode);
	PF__POINT();
	return r;
}

/* --- directories that are shut ------------------------------------------------------------- */

static int open_one(struct pf__apply *a, const struct pf__shut *s)
{
	PF_AUTO_CLOSE int fd = pf__ws_open(a->ws_fd, s->path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
	int r;

	if (fd < 0) /* the moves will say what is with it */
		return 0;
	r = pf__chmod_fd(fd, s->mode | 0300);
	PF__POINT();
	return r < 0 ? pf__apply_cannot(a, r, "open the directory", *s->path ? s->path : a->c->workspace) : 0;
}

int pf__apply_open_root(struct pf__apply *a)
{
	return a->plan.shut_count && !*a->plan.shut[0].path ? open_one(a, &a->plan.shut[0]) : 0;
}

int pf__apply_open_shut(struct pf__apply *a)
{
	int r = 0;

	for (size_t i = 0; i < a->plan.shut_count && r == 0; i++)
		r = open_one(a, &a->plan.shut[i]);
	return r;
}

void pf__apply_shut_again(struct pf__apply *a)
{
	for (size_t i = a->plan.shut_count; i-- > 0;) {
		const struct pf__shut *s = &a->plan.shut[i];
		PF_AUTO_CLOSE int fd = pf__ws_open(a->ws_fd, s->path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
		struct stat st;

		/* only what we opened: who gave it another mode since meant that */
		if (fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & PF__WS_MODE_BITS) == (s->mode | 0300))
			pf__chmod_fd(fd, s->mode);
		PF__POINT();
	}
}
