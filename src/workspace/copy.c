/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of a workspace; see copy.h. The tree may be hostile: by descriptors, and not deeper than it can be
 * read. */
#include "workspace/copy.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "workspace/workspace_internal.h"

#define DEPTH_MAX   256
#define ENTRIES_MAX 1000000u
#define XATTRS_MAX  65536 /* bytes of names, and of one value: the kernel's own bounds */

struct copy {
	const struct pf_list *without;
	uid_t owner, uid;
	gid_t gid;
	char *names, *value; /* XATTRS_MAX each */
	struct pf_error *err;
};

static int failed(const struct copy *c, int code, const char *what, const char *path)
{
	char show[PF__WS_SHOW];

	errno = -code;
	return pf_fail_errno(c->err, "cannot %s '%s'", what, pf__ws_show(path, show));
}

static int copy_xattrs(const struct copy *c, int from, int to)
{
	ssize_t n = flistxattr(from, c->names, XATTRS_MAX), size;

	if (n < 0)
		return errno == ENOTSUP ? 0 : -errno;
	for (const char *name = c->names; name < c->names + n; name += strlen(name) + 1) {
		if (strncmp(name, "user.", 5) != 0)
			continue;
		size = fgetxattr(from, name, c->value, XATTRS_MAX);
		/* no room for attributes is no room; a file system without them loses them, as cp(1) does */
		if (size >= 0 && fsetxattr(to, name, c->value, (size_t)size, 0) < 0 && errno == ENOSPC)
			return -errno;
	}
	return 0;
}

/* Owner, mode and times; fd is the copy's. */
static int dress(const struct copy *c, int fd, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	bool ours = st->st_uid == c->owner;

	if (fchown(fd, ours ? c->uid : st->st_uid, ours ? c->gid : st->st_gid) < 0 ||
	    fchmod(fd, st->st_mode & PF__WS_MODE_BITS) < 0 || futimens(fd, times) < 0)
		return -errno;
	return 0;
}

static int copy_file(const struct copy *c, int from, int to, const char *name)
{
	PF_AUTO_CLOSE int src = -1, dst = -1;
	struct stat st;
	int r;

	src = pf__ws_open_file(from, name, &st);
	if (src < 0)
		return src == -ENOENT ? 0 : src; /* gone meanwhile */
	dst = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (dst < 0)
		return -errno;
	r = pf__ws_copy(src, dst, (uint64_t)st.st_size);
	if (r == 0)
		r = copy_xattrs(c, src, dst);
	return r < 0 ? r : dress(c, dst, &st);
}

static int copy_link(const struct copy *c, int from, int to, const char *name, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	bool ours = st->st_uid == c->owner;
	char target[PF__WS_PATH_MAX];
	int r = pf__ws_readlink(from, name, target);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (symlinkat(target, to, name) < 0 ||
	    fchownat(to, name, ours ? c->uid : st->st_uid, ours ? c->gid : st->st_gid, AT_SYMLINK_NOFOLLOW) <
		    0 ||
	    utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static int copy_fifo(const struct copy *c, int to, const char *name, const struct stat *st)
{
	bool ours = st->st_uid == c->owner;

	if (mkfifoat(to, name, st->st_mode & 0777) < 0 ||
	    fchownat(to, name, ours ? c->uid : st->st_uid, ours ? c->gid : st->st_gid, AT_SYMLINK_NOFOLLOW) <
		    0)
		return -errno;
	return 0;
}

static int copy_dir(const struct copy *c, int from, int to, const char *path, unsigned depth);

static int copy_entry(const struct copy *c, int from, int to, const char *name, const char *path,
		      unsigned depth)
{
	PF_AUTO_CLOSE int down = -1, made = -1;
	struct stat st;
	int r = pf__ws_stat(from, name, &st);

	if (r == -ENOENT || pf__ws_covered(c->without, path))
		return 0;
	if (r < 0 && r != -EXDEV)
		return failed(c, r, "look at", path);
	if (r == 0 && S_ISREG(st.st_mode))
		r = copy_file(c, from, to, name);
	else if (r == 0 && S_ISLNK(st.st_mode))
		r = copy_link(c, from, to, name, &st);
	else if (r == 0 && S_ISFIFO(st.st_mode))
		r = copy_fifo(c, to, name, &st);
	else if (r == 0 && !S_ISDIR(st.st_mode))
		return 0; /* a socket or a device: nothing that could be used inside */
	if (r < 0 && r != -EXDEV)
		return failed(c, r, "copy", path);
	if (r == 0 && !S_ISDIR(st.st_mode))
		return 0;
	if (mkdirat(to, name, 0700) < 0)
		return failed(c, -errno, "make the directory", path);
	made = pf__ws_open(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	down = r == -EXDEV ? -1 : pf__ws_open(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	if (made < 0)
		return failed(c, made, "open the copy of", path);
	if (down < 0) /* another mount, whose content is not part of the workspace; or gone */
		return fchown(made, c->uid, c->gid) < 0 ? failed(c, -errno, "make the directory", path) : 0;
	return copy_dir(c, down, made, path, depth);
}

static int copy_dir(const struct copy *c, int from, int to, const char *path, unsigned depth)
{
	struct pf_list names = {0};
	struct stat st;
	int r;

	if (depth > DEPTH_MAX)
		return failed(c, -ENAMETOOLONG, "copy", path);
	r = pf__ws_names(from, &names, ENTRIES_MAX);
	if (r < 0)
		r = failed(c, r, "read the directory", path);
	for (size_t i = 0; i < names.count && r == 0; i++) {
		PF_AUTO_FREE char *below = pf__ws_join(path, names.items[i]);

		r = below ? copy_entry(c, from, to, names.items[i], below, depth + 1)
			  : pf_fail(c->err, -ENOMEM, "out of memory");
	}
	pf_list_free(&names);
	if (r < 0)
		return r;
	if (fstat(from, &st) < 0 || (r = copy_xattrs(c, from, to)) < 0 || (r = dress(c, to, &st)) < 0)
		return failed(c, r ? r : -errno, "copy", path);
	return 0;
}

int pf_workspace_copy(int from, int to, const struct pf_list *without, uid_t owner, uid_t uid, gid_t gid,
		      struct pf_error *err)
{
	PF_AUTO_FREE char *names = malloc(XATTRS_MAX), *value = malloc(XATTRS_MAX);
	const struct copy c = {without, owner, uid, gid, names, value, err};

	if (!names || !value)
		return pf_fail(err, -ENOMEM, "out of memory");
	/* cppcheck-suppress memleak ; the cleanup attribute frees both */
	return copy_dir(&c, from, to, "", 0);
}
