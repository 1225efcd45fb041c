/* SPDX-License-Identifier: Apache-2.0 */
/* What belongs to an unpacked file beside its content. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "erofs/unpack_internal.h"

/* A file that was made: an open one by descriptor, a link or device by name, never followed. */
struct made {
	struct pf__unpacker *u;
	const struct pf_erofs_visit *v;
	int fd, dir;
	const char *name;
};

static int give_owner(const struct made *m, uid_t uid, gid_t gid)
{
	if (m->fd >= 0)
		return fchown(m->fd, uid, gid);
	return fchownat(m->dir, m->name, uid, gid, AT_SYMLINK_NOFOLLOW);
}

/* Returns 1 if the file belongs now to whom the image says, 0 if not, or an error. */
static int own(const struct made *m)
{
	const struct pf_erofs_inode *i = m->v->inode;
	struct pf__unpacker *u = m->u;
	struct stat st;

	if (u->how->owners && give_owner(m, i->uid, i->gid) == 0)
		return 1;
	/* EINVAL: an owner that this user namespace does not map. */
	if (u->how->owners && errno != EPERM && errno != EINVAL)
		return pf__unpack_fail(u, m->v, "cannot give its owner");
	if ((m->fd >= 0 ? fstat(m->fd, &st) : fstatat(m->dir, m->name, &st, AT_SYMLINK_NOFOLLOW)) < 0)
		return pf__unpack_fail(u, m->v, "cannot look at it");
	if (st.st_uid == i->uid && st.st_gid == i->gid)
		return 1;
	u->how->owners_kept = false;
	return 0;
}

static int give_mode(const struct made *m, bool owned)
{
	mode_t mode = m->v->inode->mode & 07777,
	       set_id = S_ISDIR(m->v->inode->mode) ? S_ISUID : S_ISUID | S_ISGID;

	if (S_ISLNK(m->v->inode->mode))
		return 0;
	if (!owned && (mode & set_id)) {
		mode &= ~set_id;
		m->u->how->left_out++;
	}
	/* By name only for what is no link, in a directory that nobody else writes: nothing to follow. */
	if ((m->fd >= 0 ? fchmod(m->fd, mode) : fchmodat(m->dir, m->name, mode, 0)) < 0)
		return pf__unpack_fail(m->u, m->v, "cannot set its mode");
	return 0;
}

/* A full disk, or an attribute that this file system never holds? */
static bool is_full(const struct made *m)
{
	struct statvfs st;

	return fstatvfs(m->dir, &st) < 0 || st.f_bavail < 256 || (st.f_files && st.f_favail == 0);
}

static int give_xattr(void *user, const char *name, const void *value, uint32_t size)
{
	const struct made *m = user;
	char by_name[64 + PF_TREE_NAME_MAX + 1];
	int r;

	if (m->fd >= 0) {
		r = fsetxattr(m->fd, name, value, size, 0);
	} else {
		snprintf(by_name, sizeof(by_name), "/proc/self/fd/%d/%s", m->dir, m->name);
		r = lsetxattr(by_name, name, value, size, 0);
	}
	if (r == 0)
		return 0;
	switch (errno) {
	case EPERM:	 /* needs privilege, or (user. of a link) no kernel has it */
	case EOPNOTSUPP: /* not on this file system */
	case EINVAL:	 /* an ACL or capability with owners that are not mapped here */
	case E2BIG:
	case ERANGE:
		m->u->how->left_out++;
		return 0;
	case ENOSPC:
		if (!is_full(m)) { /* ext4: more than fits beside an inode */
			m->u->how->left_out++;
			return 0;
		}
		errno = ENOSPC;
	}
	return pf__unpack_fail(m->u, m->v, "cannot set an attribute");
}

static int give_time(const struct made *m)
{
	const struct pf_erofs_inode *i = m->v->inode;
	struct timespec t[2] = {{.tv_sec = i->mtime, .tv_nsec = i->mtime_ns}};

	t[1] = t[0];
	if ((m->fd >= 0 ? futimens(m->fd, t) : utimensat(m->dir, m->name, t, AT_SYMLINK_NOFOLLOW)) < 0)
		return pf__unpack_fail(m->u, m->v, "cannot set its time");
	return 0;
}

/*
 * chown(2) takes set-id bits and capabilities away, so the owner comes first; user. attributes need a file
 * that its owner may write, so the mode comes after them; and each of these but the last touches a time.
 */
int pf__unpack_attributes(struct pf__unpacker *u, const struct pf_erofs_visit *v, int fd, int dir,
			  const char *name)
{
	struct made m = {u, v, fd, dir, name};
	int owned = own(&m), r;

	if (owned < 0)
		return owned;
	r = pf_erofs_xattrs(u->fs, v->inode, give_xattr, &m, u->err);
	if (r == 0)
		r = give_mode(&m, owned);
	return r < 0 ? r : give_time(&m);
}
