/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping the content of entries: targets of links, bytes of files. And telling whether it changed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "workspace/workspace_internal.h"

#define LOWER_DEFAULT (UINT64_C(1) << 30)

/* --- is it the same? ---------------------------------------------------------------- */

/* 1: same bytes, 0: not, also where that cannot be told (then the sandbox's are kept). */
static int same_file(const struct pf__side *view, const struct pf__side *base)
{
	PF_AUTO_CLOSE int a = -1, b = -1;
	struct stat sa, sb;

	if (view->st.st_dev == base->st.st_dev && view->st.st_ino == base->st.st_ino)
		return 1;
	if (view->st.st_size != base->st.st_size)
		return 0;
	a = pf__ws_open_file(view->dirfd, view->name, &sa);
	b = pf__ws_open_file(base->dirfd, base->name, &sb);
	if (a < 0 || b < 0 || sa.st_size != sb.st_size)
		return 0;
	return pf__ws_same_bytes(a, b, (uint64_t)sa.st_size) == 1;
}

static int same_link(const struct pf__side *view, const struct pf__side *base)
{
	char a[PF__WS_PATH_MAX], b[PF__WS_PATH_MAX];

	return pf__ws_readlink(view->dirfd, view->name, a) == 0 &&
	       pf__ws_readlink(base->dirfd, base->name, b) == 0 && strcmp(a, b) == 0;
}

bool pf__collect_same(const struct pf__side *view, const struct pf__side *base)
{
	mode_t type = view->st.st_mode & S_IFMT;

	if (type != (base->st.st_mode & S_IFMT))
		return false;
	if (type == S_IFREG)
		return same_file(view, base);
	if (type == S_IFLNK)
		return same_link(view, base);
	if (type == S_IFCHR || type == S_IFBLK)
		return view->st.st_rdev == base->st.st_rdev;
	return true;
}

/* --- attributes --------------------------------------------------------------------- */

static int read_attrs(struct pf__collect *c, const struct pf__side *side, const char *skip,
		      struct pf_attrs *out, bool *others)
{
	PF_AUTO_CLOSE int file = -1;
	struct stat st;
	int fd = side->fd;

	if (!side->exists || (!S_ISREG(side->st.st_mode) && !S_ISDIR(side->st.st_mode)))
		return 0;
	if (S_ISREG(side->st.st_mode))
		fd = file = pf__ws_open_file(side->dirfd, side->name, &st);
	if (fd < 0)
		return 0; /* what cannot be opened: its content says so */
	return pf__attrs_read(fd, skip, out, others) < 0
		       ? pf_fail(c->err, -ENOMEM, "out of memory while collecting changes")
		       : 0;
}

int pf__collect_attrs(struct pf__collect *c, const struct pf__side *view, const struct pf__side *base,
		      struct pf_change *ch)
{
	bool others = false, before = false;
	bool compare = base->exists && (view->st.st_mode & S_IFMT) == (base->st.st_mode & S_IFMT);
	struct pf_attrs old = {0};
	int r = read_attrs(c, view, c->what->xattr_prefix, &ch->attrs, &others);

	if (r == 0 && compare)
		r = read_attrs(c, base, NULL, &old, &before);
	/* An upper that can have none lost those of what was copied up; the sandbox cannot have changed any.
	 */
	if (r == 0 && compare && !c->upper_attrs && !view->lower) {
		r = pf__attrs_copy(&ch->attrs, &old) < 0
			    ? pf_fail(c->err, -ENOMEM, "out of memory while collecting changes")
			    : 0;
		others = before;
	}
	ch->attrs_differ = compare && !pf__attrs_same(&ch->attrs, &old);
	ch->other_attrs = others && !before;
	pf__attrs_free(&old);
	return r;
}

/* --- content ------------------------------------------------------------------------ */

/* A copy-up under metacopy=on has no bytes of its own. We never mount so, but a blob of zeros must not pass
 * for content. */
static bool is_metacopy(const struct pf__collect *c, const struct pf__side *view)
{
	PF_AUTO_CLOSE int fd = -1;
	char attr[64];
	struct stat st;

	if (view->lower || view->st.st_size == 0 || view->st.st_blocks != 0)
		return false;
	fd = pf__ws_open_file(view->dirfd, view->name, &st);
	if (fd < 0 ||
	    (size_t)snprintf(attr, sizeof(attr), "%smetacopy", c->what->xattr_prefix) >= sizeof(attr))
		return false;
	return fgetxattr(fd, attr, NULL, 0) >= 0;
}

static int copy_blob(struct pf__collect *c, const struct pf_change *ch, const struct pf__side *view,
		     const char *name)
{
	PF_AUTO_CLOSE int src = -1, dst = -1;
	char show[PF__WS_SHOW];
	struct stat st;
	int r;

	src = pf__ws_open_file(view->dirfd, view->name, &st);
	if (src < 0 || st.st_ino != view->st.st_ino || st.st_size != view->st.st_size) {
		pf__collect_missing(c, "'%s' cannot be read: %s", ch->path,
				    src < 0 ? strerror(-src) : "it changed");
		return 1;
	}
	dst = openat(c->blobs_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	r = dst < 0 ? -errno : pf__ws_copy(src, dst, (uint64_t)st.st_size);
	if (r == -EFBIG) { /* sparse, and larger than the state's file system can name */
		unlinkat(c->blobs_fd, name, 0);
		pf__collect_missing(c, "'%s' is too large for the state directory", ch->path);
		return 1;
	}
	if (r == 0 && fstat(dst, &st) == 0)
		c->blob_bytes += (uint64_t)st.st_blocks * 512;
	if (r < 0) {
		errno = -r;
		return pf_fail_errno(c->err, "cannot keep the content of '%s' in the state directory",
				     pf__ws_show(ch->path, show));
	}
	return 0;
}

int pf__collect_spill(struct pf__collect *c, struct pf_change *ch, const struct pf__side *view)
{
	struct pf__file *file = ch->link ? &c->files[ch->link] : NULL;
	char name[24];
	int r;

	ch->blob = file ? file->blob : 0;
	if (ch->blob)
		return 0;
	snprintf(name, sizeof(name), "%llu", (unsigned long long)(c->blobs + 1));
	/*
	 * A link instead of a rename: if collecting fails later, the upper still has everything. It
	 * fails on another file system, and then the bytes are copied.
	 */
	if (c->what->move_blobs && !view->lower &&
	    linkat(view->dirfd, view->name, c->blobs_fd, name, 0) == 0) {
		c->linked = true;
		c->blob_bytes += (uint64_t)view->st.st_blocks * 512;
	} else {
		r = copy_blob(c, ch, view, name);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	ch->blob = ++c->blobs;
	if (file)
		file->blob = ch->blob;
	return 0;
}

int pf__collect_content(struct pf__collect *c, struct pf_change *ch, const struct pf__side *view)
{
	uint64_t max = c->what->lower_bytes_max ? c->what->lower_bytes_max : LOWER_DEFAULT;
	char target[PF__WS_PATH_MAX];
	int r;

	if (S_ISLNK(view->st.st_mode)) {
		r = pf__ws_readlink(view->dirfd, view->name, target);
		if (r < 0)
			return pf_fail(c->err, r, "cannot read a symbolic link of the sandbox: %s",
				       strerror(-r));
		ch->target = strdup(target);
		return ch->target ? 0 : pf_fail(c->err, -ENOMEM, "out of memory while collecting changes");
	}
	if (!S_ISREG(view->st.st_mode))
		return 0;
	ch->size = (uint64_t)view->st.st_size;
	if (is_metacopy(c, view)) {
		pf__collect_missing(c, "'%s' was copied up without its content (overlay metacopy)", ch->path);
		return 0;
	}
	if (view->lower && !(ch->link && c->files[ch->link].blob)) {
		/* by what it takes on the disk: a hole costs nothing to copy */
		c->lower_bytes += (uint64_t)view->st.st_blocks * 512;
		if (c->lower_bytes > max) {
			pf__collect_missing(
				c, "'%s' is in a renamed directory, and those hold more than %llu MiB",
				ch->path, (unsigned long long)(max >> 20));
			return 0;
		}
	}
	return pf__collect_spill(c, ch, view);
}
