/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping the bytes of files. A file with many names in the upper is kept once: ten thousand links of
 * one large file must not cost ten thousand copies.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "workspace/workspace_internal.h"

static size_t slot(const struct pf__collect *c, dev_t dev, ino_t ino)
{
	uint64_t h = ((uint64_t)ino ^ (uint64_t)dev << 40) * UINT64_C(0x9e3779b97f4a7c15);
	size_t at = (size_t)(h >> 20) & (c->inode_room - 1);

	while (c->inodes[at].blob && (c->inodes[at].dev != dev || c->inodes[at].ino != ino))
		at = (at + 1) & (c->inode_room - 1);
	return at;
}

static int inodes_grow(struct pf__collect *c)
{
	struct pf__inode *old = c->inodes;
	size_t n = c->inode_room;

	if (2 * c->inode_count < n)
		return 0;
	c->inodes = calloc(n ? n * 2 : 64, sizeof(*c->inodes));
	if (!c->inodes) {
		c->inodes = old;
		return pf_fail(c->err, -ENOMEM, "out of memory while collecting changes");
	}
	c->inode_room = n ? n * 2 : 64;
	for (size_t i = 0; i < n; i++) {
		if (old[i].blob)
			c->inodes[slot(c, old[i].dev, old[i].ino)] = old[i];
	}
	free(old);
	return 0;
}

static int copy_blob(struct pf__collect *c, const char *path, const struct pf__side *view, const char *name)
{
	PF_AUTO_CLOSE int src = -1, dst = -1;
	char show[PF__WS_SHOW];
	struct stat st;
	int r;

	src = pf__ws_open_file(view->dirfd, view->name, &st);
	if (src < 0 || st.st_ino != view->st.st_ino || st.st_size != view->st.st_size) {
		pf__collect_missing(c, "'%s' cannot be read: %s", path,
				    src < 0 ? strerror(-src) : "it changed");
		return 1;
	}
	dst = openat(c->blobs_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	r = dst < 0 ? -errno : pf__ws_copy(src, dst, (uint64_t)st.st_size);
	if (r == -EFBIG) { /* sparse, and larger than the state's file system can name */
		unlinkat(c->blobs_fd, name, 0);
		pf__collect_missing(c, "'%s' is too large for the state directory", path);
		return 1;
	}
	if (r < 0) {
		errno = -r;
		return pf_fail_errno(c->err, "cannot keep the content of '%s' in the state directory",
				     pf__ws_show(path, show));
	}
	return 0;
}

int pf__collect_spill(struct pf__collect *c, const char *path, const struct pf__side *view, uint64_t *blob)
{
	bool many = view->st.st_nlink > 1;
	char name[24];
	size_t at = 0;
	int r = 0;

	*blob = 0;
	if (many) {
		r = inodes_grow(c);
		if (r < 0)
			return r;
		at = slot(c, view->st.st_dev, view->st.st_ino);
		*blob = c->inodes[at].blob;
		if (*blob)
			return 0;
	}
	snprintf(name, sizeof(name), "%llu", (unsigned long long)(c->blobs + 1));
	/*
	 * A link instead of a rename: if collecting fails later, the upper still has everything. It
	 * fails on another file system, and then the bytes are copied.
	 */
	if (c->what->move_blobs && !view->lower && linkat(view->dirfd, view->name, c->blobs_fd, name, 0) == 0)
		c->linked = true;
	else
		r = copy_blob(c, path, view, name);
	if (r != 0)
		return r < 0 ? r : 0;
	*blob = ++c->blobs;
	if (many) {
		c->inodes[at] = (struct pf__inode){view->st.st_dev, view->st.st_ino, *blob};
		c->inode_count++;
	}
	return 0;
}
