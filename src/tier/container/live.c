/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rw,live: the user's directory itself. What is hidden and what is protected is covered by mounts, in the
 * sandbox's own mount namespace; nothing is created in the directory.
 *
 *   hidden      an empty file or directory over it
 *   protected   itself over it, read-only
 *   a way       each directory on the way to a protected or hidden path, itself over it: what is a mount
 * point cannot be renamed or removed, where a bind of `.git/hooks` alone is moved away with its parent
 *               (`mv .git .old && mkdir -p .git/hooks`)
 *   sockets     an empty file over them: a process of the host listens behind
 *   mounts      what another file system is mounted on is no part of the workspace: an empty directory over
 * it
 *
 * A cover is over the file that is there now. The kernel takes it away when somebody outside of the sandbox
 * removes or replaces that file (an editor that saves by renaming, git on the host), and a name that appears
 * later has none: the receipt says so. The list of covers: a letter for what it is, then the path, parents
 * first.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "linux/mount.h"
#include "tier/container/container.h"

#define COVERS_MAX                                                                                           \
	2048 /* mounts; each costs some 20 microseconds and makes every other mount call slower              \
	      */
#define SAFE (PF_MNT_NOSUID | PF_MNT_NODEV)

enum kind { HIDDEN = 'h', PROTECTED = 'p', SOCKET = 's', WAY = 'w' };

/* --- on the host: the list ------------------------------------------------------------ */

/* '/' before every other byte, so that a directory is followed by all beneath it; hidden first, since it
 * stands over what else the same path is. */
static int compare(const void *x, const void *y)
{
	const char *a = *(char *const *)x, *b = *(char *const *)y;
	size_t i = 1;

	while (a[i] && a[i] == b[i])
		i++;
	if (a[i] == b[i])
		return a[0] - b[0];
	if (!a[i] || !b[i])
		return a[i] ? 1 : -1;
	if (a[i] == '/' || b[i] == '/')
		return a[i] == '/' ? -1 : 1;
	return (unsigned char)a[i] - (unsigned char)b[i];
}

static int add(struct pf_list *to, char kind, const struct pf_list *paths)
{
	size_t i;

	for (i = 0; i < paths->count; i++)
		if (pf_list_addf(to, "%c%s", kind, paths->items[i]) < 0)
			return -ENOMEM;
	return 0;
}

static int add_ways(struct pf_list *to, const struct pf_list *protects)
{
	size_t i;

	for (i = 0; i < protects->count; i++) {
		const char *path = protects->items[i], *slash;

		for (slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/'))
			if (pf_list_addf(to, "%c%.*s", WAY, (int)(slash - path), path) < 0)
				return -ENOMEM;
	}
	return 0;
}

static bool beneath(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* One cover a path, and none where another already stands over it: beneath what is hidden nothing is seen,
 * beneath what is protected only what is hidden needs one more. */
static int thin(const struct pf_list *all, struct pf_list *out)
{
	const char *over = NULL, *last = NULL;
	size_t i;

	for (i = 0; i < all->count; i++) {
		const char *c = all->items[i];

		if (last && strcmp(last + 1, c + 1) == 0)
			continue;
		last = c;
		if (over && beneath(c + 1, over + 1) && (*over == HIDDEN || *c == PROTECTED || *c == WAY))
			continue;
		if (pf_list_add(out, c) < 0)
			return -ENOMEM;
		if ((*c == HIDDEN || *c == PROTECTED) && !(over && beneath(c + 1, over + 1)))
			over = c;
	}
	return 0;
}

static int tell(struct pf_workspace_plan *ws, const struct pf_scan_found *f)
{
	static const char *const always[] = {
		"workspace: rw,live: names that appear, or whose file is replaced from outside, while it "
		"runs are "
		"neither hidden nor protected",
		"protect: rw,live: Git repositories under another name than .git are not looked for",
		"workspace: rw,live: FIFOs are the host's own, and so are sockets that appear while it runs"};
	size_t i;

	pf_list_free(&ws->exposed);
	for (i = 0; i < f->exposed.count; i++)
		if (pf_list_addf(&ws->exposed, "protect: %s", f->exposed.items[i]) < 0)
			return -ENOMEM;
	for (i = 0; i < PF_ARRAY_SIZE(always); i++)
		if (pf_list_add(&ws->exposed, always[i]) < 0)
			return -ENOMEM;
	return 0;
}

int pf__live_plan(const struct pf_scan_found *found, const char *breaks, struct pf_workspace_plan *ws,
		  struct pf_error *err)
{
	struct pf_list all = {0};
	int r = add(&all, HIDDEN, &found->masks);

	/* As a user the mounts within it come along (pf_mount_clone()), and nothing in them was looked for.
	 */
	if (r == 0 && geteuid() != 0)
		r = add(&all, HIDDEN, &found->mounts);

	pf_list_free(&ws->covers);
	if (r == 0)
		r = add(&all, PROTECTED, &found->protects);
	if (r == 0)
		r = add(&all, SOCKET, &found->sockets);
	if (r == 0 && !pf__broken(breaks, "ways"))
		r = add_ways(&all, &found->protects);
	/* or the next sandbox would find the secret under a name that no pattern has */
	if (r == 0 && !pf__broken(breaks, "ways"))
		r = add_ways(&all, &found->masks);
	if (r == 0 && all.count)
		qsort(all.items, all.count, sizeof(*all.items), compare);
	if (r == 0)
		r = thin(&all, &ws->covers);
	if (r == 0)
		r = tell(ws, found);
	pf_list_free(&all);
	if (r < 0)
		return pf_fail(err, r, "out of memory");
	if (ws->covers.count <= COVERS_MAX)
		return 0;
	return pf_fail(err, -E2BIG,
		       "rw,live would need %zu mounts over what is hidden or protected in the workspace, "
		       "more than %u: use "
		       "rw, or fewer patterns in secrets.mask and protect",
		       ws->covers.count, COVERS_MAX);
}

/* --- in the sandbox's mount namespace ----------------------------------------------------- */

/* An empty file and an empty directory to cover with. Copies are only made of what is attached (before
 * Linux 6.15): so for a moment it lies over the workspace, where nothing runs yet. */
static int make_blanks(int at, struct pf_error *err)
{
	static const char *const options[] = {"mode=755", "size=4k", "nr_inodes=8", NULL};
	PF_AUTO_CLOSE int fd = pf_mount_new("tmpfs", options, SAFE | PF_MNT_NOEXEC, err);
	PF_AUTO_CLOSE int file = -1;
	int r;

	if (fd < 0)
		return fd;
	file = openat(fd, "file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (file < 0 || fchmod(file, 0444) < 0 || mkdirat(fd, "dir", 0555) < 0)
		return pf_fail_errno(err, "cannot make an empty file");
	r = pf_mount_attach(fd, at, "", err);
	return r < 0 ? r : pf_take_fd(&fd);
}

static int remove_blanks(int blanks, struct pf_error *err)
{
	if (fchdir(blanks) < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return pf_fail_errno(err, "cannot take the empty file away again");
	return 0;
}

static int cover_with(int with, uint64_t attr, int target, struct pf_error *err)
{
	int r = with < 0 ? with : attr ? pf_mount_attr(with, attr, 0, -1, err) : 0;

	return r < 0 ? r : pf_mount_attach(with, target, "", err);
}

static int cover_one(int top, int blanks, const char *cover, struct pf_error *err)
{
	PF_AUTO_CLOSE int target = pf_open_beneath(top, cover + 1, O_PATH | O_NOFOLLOW, 0), with = -1;
	struct stat st;

	if (target == -ENOENT || target == -ENOTDIR)
		return 0; /* a hidden name that is not there; or one that went meanwhile */
	if (target == -EACCES)
		return 0; /* a directory that the sandbox may not enter: nor may its commands */
	if (target < 0)
		return pf_fail(err, target, "the workspace changed while the sandbox was made; try again: %s",
			       strerror(-target));
	if (fstat(target, &st) < 0)
		return pf_fail_errno(err, "cannot look at what is to be covered");
	if (*cover == HIDDEN || *cover == SOCKET) {
		with = pf_mount_clone(blanks, S_ISDIR(st.st_mode) ? "dir" : "file", err);
		return cover_with(with, PF_MNT_RDONLY, target, err);
	}
	with = pf_mount_clone(target, "", err);
	return cover_with(with, *cover == PROTECTED ? PF_MNT_RDONLY : 0, target, err);
}

int pf__live_cover(const struct pf_workspace_plan *ws, int root, struct pf_error *err)
{
	PF_AUTO_CLOSE int top = -1, blanks = -1;
	size_t i;
	int r = 0;

	if (ws->mode != PF_WS_LIVE || ws->covers.count == 0)
		return 0;
	top = pf_open_beneath(root, ws->at + 1, O_PATH | O_DIRECTORY, 0);
	if (top < 0)
		return pf_fail(err, top, "cannot open the workspace inside: %s", strerror(-top));
	blanks = make_blanks(top, err);
	if (blanks < 0)
		return blanks;
	for (i = 0; i < ws->covers.count && r == 0; i++)
		if ((r = cover_one(top, blanks, ws->covers.items[i], err)) < 0)
			pf_wrap(err, "cannot cover '%s' of the workspace", ws->covers.items[i] + 1);
	return r < 0 ? r : remove_blanks(blanks, err);
}
