/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing a tree that a sandbox wrote. Its owner is hostile: symlinks point at the
 * user's files, a mount may sit where a directory was, modes forbid entry, and nesting may
 * be a hundred thousand deep. So every step is by descriptor, nothing is followed, and the
 * recursion has a bound: a directory at MAX_DEPTH is moved up to the top and taken from there.
 */
#include <errno.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/fd.h"

#ifndef SYS_fchmodat2 /* Linux 6.6 */
#define SYS_fchmodat2 452
#endif

#define MAX_DEPTH  32 /* descriptors at once */
#define MAX_PASSES 8  /* over a directory that changes while it is read */

struct remover {
	int top;	 /* the tree's root */
	int err;	 /* the first error; the rest of the tree goes all the same */
	uint64_t tag;	 /* names what was moved up */
	uint64_t raised; /* directories moved up so far */
};

static void remove_entry(struct remover *r, int parent, const char *name, unsigned depth);

static void note(struct remover *r, int code)
{
	if (r->err == 0 && code != -ENOENT)
		r->err = code;
}

/* chmod of what an O_PATH descriptor names; by name it could be swapped for a symlink. */
static int chmod_path(int fd, mode_t mode)
{
	char magic[32];

	if (syscall(SYS_fchmodat2, fd, "", mode, AT_EMPTY_PATH) == 0)
		return 0;
	snprintf(magic, sizeof(magic), "/proc/self/fd/%d", fd);
	return chmod(magic, mode) < 0 ? -errno : 0;
}

static int open_child(int parent, const char *name, int flags)
{
	return pf_openat2(parent, name, flags | O_DIRECTORY | O_NOFOLLOW, 0,
			  RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);
}

/* Open a directory to be emptied; one of ours without rwx for us gets it first. */
static int open_accessible(int parent, const char *name)
{
	PF_AUTO_CLOSE int path = -1;
	struct stat st;
	int fd = open_child(parent, name, O_RDONLY);

	if (fd >= 0) {
		if (fstat(fd, &st) == 0 && (st.st_mode & 0700) != 0700)
			fchmod(fd, 0700); /* what that forbids shows with the first entry */
		return fd;
	}
	if (fd != -EACCES)
		return fd;
	path = open_child(parent, name, O_PATH);
	if (path < 0)
		return path;
	if (chmod_path(path, 0700) < 0)
		return -EACCES; /* another's */
	return open_child(parent, name, O_RDONLY);
}

static void empty_dir(struct remover *r, int fd, unsigned depth)
{
	PF_AUTO_DIR DIR *d = NULL;
	struct dirent *e;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0) {
		note(r, -errno);
		return;
	}
	d = fdopendir(copy);
	if (!d) {
		note(r, -errno);
		close(copy);
		return;
	}
	rewinddir(d); /* the copy shares its position with an earlier pass */
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			remove_entry(r, fd, e->d_name, depth);
	}
}

static void raise_dir(struct remover *r, int parent, const char *name)
{
	char fresh[48];

	snprintf(fresh, sizeof(fresh), ".pf-%016llx-%llu", (unsigned long long)r->tag,
		 (unsigned long long)r->raised);
	if (renameat(parent, name, r->top, fresh) < 0)
		note(r, -errno);
	else
		r->raised++;
}

/* Empty the open directory and take it away. Entries that were moved up need another pass. */
static void remove_dir(struct remover *r, int parent, const char *name, int fd, unsigned depth)
{
	int code = 0;

	for (unsigned pass = 0; pass < MAX_PASSES; pass++) {
		uint64_t raised = r->raised;

		empty_dir(r, fd, depth + 1);
		if (unlinkat(parent, name, AT_REMOVEDIR) == 0)
			return;
		code = -errno;
		if (code != -ENOTEMPTY && code != -EEXIST)
			break;
		if (fd == r->top && r->raised != raised)
			pass = 0;
		else if (r->err)
			break;
	}
	note(r, code);
}

/* Not a directory, or an empty one, goes without a look inside. True when it is settled. */
static bool remove_simple(struct remover *r, int parent, const char *name)
{
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return true;
	if (errno != EISDIR && errno != EPERM) {
		note(r, -errno);
		return true;
	}
	if (unlinkat(parent, name, AT_REMOVEDIR) == 0)
		return true;
	if (errno == ENOTEMPTY || errno == EEXIST)
		return false;
	/* ENOTDIR: unlink's EPERM was the real answer, an immutable file for one. */
	note(r, errno == ENOTDIR ? -EPERM : -errno);
	return true;
}

static void remove_entry(struct remover *r, int parent, const char *name, unsigned depth)
{
	PF_AUTO_CLOSE int fd = -1;

	if (remove_simple(r, parent, name))
		return;
	fd = open_accessible(parent, name);
	if (fd < 0)
		note(r, fd);
	else if (depth >= MAX_DEPTH)
		raise_dir(r, parent, name);
	else
		remove_dir(r, parent, name, fd, depth);
}

int pf_remove_tree(int dirfd, const char *name)
{
	struct remover r = {.top = -1};
	PF_AUTO_CLOSE int parent = -1;
	PF_AUTO_CLOSE int top = -1;
	const char *leaf;

	parent = pf_open_parent(dirfd, name, &leaf);
	if (parent < 0)
		return parent == -ENOENT ? 0 : parent;
	if (remove_simple(&r, parent, leaf))
		return r.err;
	top = open_accessible(parent, leaf);
	if (top < 0)
		return top == -ENOENT ? 0 : top;
	r.top = top;
	pf_random(&r.tag, sizeof(r.tag));
	remove_dir(&r, parent, leaf, top, 0);
	return r.err;
}
