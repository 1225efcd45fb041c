/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mask layer: whiteouts that stand between the workspace and the upper, so that neither a
 * read nor a copy-up ever reaches what the policy hides. A directory of this layer lies above the
 * workspace's own, so its mode, owner and times are the ones that the sandbox sees: they are
 * copied.
 */
#include "workspace/mask.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "workspace/workspace_internal.h"

struct layer {
	int layer_fd, ws_fd;
	uid_t ws_owner, uid;
	gid_t gid;
	struct pf_list dirs; /* made here, parents first; "" is the layer itself */
	struct pf_error *err;
};

static int failed(struct layer *l, int code, const char *what, const char *path)
{
	char show[PF__WS_SHOW];

	errno = -code;
	return pf_fail_errno(l->err, "cannot %s for the hidden path '%s'", what, pf__ws_show(path, show));
}

/* Make the directory that path is in, and those above it; they get their modes at the end. */
static int make_parents(struct layer *l, const char *path)
{
	char part[PF__WS_PATH_MAX];
	int r = 0;

	for (const char *slash = strchr(path, '/'); slash && r == 0; slash = strchr(slash + 1, '/')) {
		size_t n = (size_t)(slash - path);
		const char *leaf;
		PF_AUTO_CLOSE int parent = -1;

		memcpy(part, path, n);
		part[n] = '\0';
		parent = pf__ws_open_parent(l->layer_fd, part, &leaf);
		if (parent < 0)
			return failed(l, parent, "open a directory", path);
		if (mkdirat(parent, leaf, 0700) == 0)
			r = pf_list_add(&l->dirs, part);
		else if (errno != EEXIST)
			return failed(l, -errno, "make a directory", path);
	}
	return r < 0 ? failed(l, r, "make a directory", path) : 0;
}

static int add_whiteout(struct layer *l, const char *path)
{
	PF_AUTO_CLOSE int parent = -1;
	const char *leaf;
	int r = make_parents(l, path);

	if (r < 0)
		return r;
	parent = pf__ws_open_parent(l->layer_fd, path, &leaf);
	if (parent < 0)
		return failed(l, parent, "open a directory", path);
	/* A whiteout is the character device 0:0; Linux lets anyone make it since 5.8. */
	if (mknodat(parent, leaf, S_IFCHR, makedev(0, 0)) < 0)
		return failed(l, -errno, "make a whiteout", path);
	return 0;
}

/* Mode, owner and times of the workspace's directory for the layer's. */
static int dress(struct layer *l, const char *path)
{
	struct stat st;
	PF_AUTO_CLOSE int fd = pf__ws_open(l->layer_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	int r;

	if (fd < 0)
		return failed(l, fd, "open a directory", path);
	r = pf__ws_stat(l->ws_fd, path, &st);
	if (r == 0 && !S_ISDIR(st.st_mode))
		r = -ENOTDIR;
	if (r < 0)
		return failed(l, r, "look at the workspace's directory", path);
	if (st.st_uid == l->ws_owner && fchown(fd, l->uid, l->gid) < 0)
		return failed(l, -errno, "set the owner", path);
	/* behind fchown(), which clears set-id bits */
	if (fchmod(fd, st.st_mode & PF__WS_MODE_BITS) < 0)
		return failed(l, -errno, "set the mode", path);
	if (futimens(fd, (struct timespec[]){st.st_atim, st.st_mtim}) < 0)
		return failed(l, -errno, "set the times", path);
	return 0;
}

static int build(struct layer *l, const struct pf_list *sorted)
{
	const char *last = NULL;
	int r = pf_list_add(&l->dirs, "");

	if (r < 0)
		return pf_fail(l->err, r, "out of memory");
	for (size_t i = 0; i < sorted->count; i++) {
		const char *path = sorted->items[i];
		size_t n = last ? strlen(last) : 0;

		/* beneath one that is hidden already: a whiteout has no children */
		if (last && strncmp(path, last, n) == 0 && path[n] == '/')
			continue;
		r = add_whiteout(l, path);
		if (r < 0)
			return r;
		last = path;
	}
	/* Deepest first: a mode without w or x would keep us out, and an entry made changes the mtime. */
	pf__ws_list_sort(&l->dirs);
	for (size_t i = l->dirs.count; i-- > 0;) {
		r = dress(l, l->dirs.items[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

int pf_mask_build(int layer_fd, int ws_fd, const struct pf_list *paths, uid_t ws_owner, uid_t uid, gid_t gid,
		  struct pf_error *err)
{
	struct layer l = {.layer_fd = layer_fd,
			  .ws_fd = ws_fd,
			  .ws_owner = ws_owner,
			  .uid = uid,
			  .gid = gid,
			  .err = err};
	struct pf_list sorted = {0};
	int r = 0;

	for (size_t i = 0; i < paths->count && r == 0; i++) {
		char show[PF__WS_SHOW];

		if (!pf__ws_path_ok(paths->items[i]))
			r = pf_fail(err, -EINVAL, "'%s' is not a path beneath the workspace",
				    pf__ws_show(paths->items[i], show));
		else if (pf_list_add(&sorted, paths->items[i]) < 0)
			r = pf_fail(err, -ENOMEM, "out of memory");
	}
	pf__ws_list_sort(&sorted);
	if (r == 0)
		r = build(&l, &sorted);
	pf_list_free(&sorted);
	pf_list_free(&l.dirs);
	return r;
}
