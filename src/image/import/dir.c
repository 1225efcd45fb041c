/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a directory to a tree: by descriptors, no link followed, no mount entered. The directory may change
 * meanwhile; a file that does is refused, since what was read of it never existed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "image/import/import_internal.h"

#define PIECE	  (256u << 10)
#define NAMES_MAX 65536u /* of attributes, as the kernel's own bound */

struct walk {
	struct pf__job *job;
	struct pf_tree *tree;
	struct pf__links links; /* files of several names: the first of them */
	uint8_t *buf;
	struct pf__sink sink;
	char path[PF__PATH_MAX + 1];
	size_t length;
};

static int failed(const struct walk *w, const char *what, int code, struct pf_error *err)
{
	char show[PF__SHOW];

	return pf_fail(err, code, "cannot %s '%s': %s", what, pf__show(w->path, w->length, show),
		       strerror(-code));
}

static int changed(const struct walk *w, struct pf_error *err)
{
	char show[PF__SHOW];

	return pf_fail(err, -EBUSY, "'%s' changed while it was read: import what nobody works in",
		       pf__show(w->path, w->length, show));
}

static bool same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_mode == b->st_mode &&
	       a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Where attributes are read: of a descriptor that opens no file (O_PATH) only by way of /proc. */
struct node {
	int fd;
	char proc[32]; /* "": by fd */
};

static ssize_t list(const struct node *n, char *to, size_t cap)
{
	return *n->proc ? listxattr(n->proc, to, cap) : flistxattr(n->fd, to, cap);
}

static ssize_t get(const struct node *n, const char *name, void *to, size_t cap)
{
	return *n->proc ? getxattr(n->proc, name, to, cap) : fgetxattr(n->fd, name, to, cap);
}

static int xattr(struct walk *w, const struct node *n, const char *name, struct pf_inode *i,
		 struct pf_error *err)
{
	struct pf_xattr *x = &i->xattrs[i->xattr_count];
	ssize_t size = get(n, name, w->buf, PIECE);

	if (size < 0)
		return errno == ENODATA ? changed(w, err) : failed(w, "read an attribute of", -errno, err);
	x->name = strdup(name);
	x->value = malloc(size ? (size_t)size : 1);
	x->size = (uint32_t)size;
	i->xattr_count++;
	if (!x->name || !x->value)
		return pf_fail(err, -ENOMEM, "out of memory");
	memcpy(x->value, w->buf, (size_t)size);
	return 0;
}

static int xattrs(struct walk *w, int fd, struct pf_inode *i, struct pf_error *err)
{
	PF_AUTO_FREE char *names = NULL;
	struct node node = {.fd = fd};
	ssize_t n;

	if (!S_ISREG(i->mode) && !S_ISDIR(i->mode))
		snprintf(node.proc, sizeof(node.proc), "/proc/self/fd/%d", fd);
	n = list(&node, (char *)w->buf, NAMES_MAX);
	if (n < 0 && errno == EOPNOTSUPP)
		return 0;
	if (n < 0)
		return failed(w, "list the attributes of", -errno, err);
	if (n == 0)
		return 0;
	names = malloc((size_t)n);
	i->xattrs = calloc(PF__XATTRS_MAX, sizeof(*i->xattrs));
	if (!names || !i->xattrs)
		return pf_fail(err, -ENOMEM, "out of memory");
	memcpy(names, w->buf, (size_t)n);
	for (const char *name = names; name < names + n; name += strlen(name) + 1) {
		int r;

		if (!pf__entry_xattr(w->path, name, i->mode, &w->job->notes))
			continue;
		if (i->xattr_count == PF__XATTRS_MAX)
			return failed(w, "keep so many attributes of", -E2BIG, err);
		r = xattr(w, &node, name, i, err);
		if (r)
			return r;
	}
	return 0;
}

/* The data between two offsets. */
static int data(struct walk *w, int fd, uint64_t at, uint64_t end, struct pf_error *err)
{
	while (at < end) {
		size_t want = end - at < PIECE ? (size_t)(end - at) : PIECE;
		ssize_t n = pread(fd, w->buf, want, (off_t)at);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(w, "read", -errno, err);
		if (n == 0)
			return changed(w, err);
		r = pf__sink_add(&w->sink, at, w->buf, (size_t)n, err);
		if (r)
			return r;
		at += (uint64_t)n;
		w->job->done += (uint64_t)n;
		pf__job_progress(w->job, PF_IMPORT_READING, w->job->done);
	}
	return 0;
}

/* Holes are looked for only where blocks are missing; what a hole is in the image, the sink decides. */
static int parts(struct walk *w, int fd, const struct stat *st, struct pf_error *err)
{
	uint64_t size = (uint64_t)st->st_size, at = 0;

	if ((uint64_t)st->st_blocks * 512 >= size)
		return data(w, fd, 0, size, err);
	while (at < size) {
		off_t from = lseek(fd, (off_t)at, SEEK_DATA), to;
		int r;

		if (from < 0 && errno == ENXIO) /* only a hole is left */
			return 0;
		if (from < 0 && errno == EINVAL)
			return data(w, fd, at, size, err);
		to = from < 0 ? from : lseek(fd, from, SEEK_HOLE);
		if (to < 0)
			return failed(w, "read", -errno, err);
		if ((uint64_t)to > size || to <= from)
			return changed(w, err);
		r = data(w, fd, (uint64_t)from, (uint64_t)to, err);
		if (r)
			return r;
		at = (uint64_t)to;
	}
	return 0;
}

static int contents(struct walk *w, int fd, const struct stat *before, struct pf_inode *i,
		    struct pf_error *err)
{
	struct stat after;
	int r;

	pf__sink_begin(&w->sink, &w->job->spool, i->size);
	r = pf__budget_unpacked(&w->job->budget, (uint64_t)before->st_blocks * 512 < i->size ? 0 : i->size,
				err);
	r = r ? r : parts(w, fd, before, err);
	r = r ? r : pf__sink_end(&w->sink, err);
	i->extents = w->sink.extents;
	i->extent_count = w->sink.count;
	if (r == 0 && (fstat(fd, &after) || !same(before, &after)))
		r = changed(w, err);
	return r;
}

static int link_target(struct walk *w, int fd, struct pf_inode *i, struct pf_error *err)
{
	ssize_t n = readlinkat(fd, "", (char *)w->buf, PF__LINK_MAX + 1);
	int r;

	if (n < 0)
		return failed(w, "read the link", -errno, err);
	r = pf__entry_link_target(w->path, (char *)w->buf, (size_t)n, err);
	if (r)
		return r;
	i->target = strndup((char *)w->buf, (size_t)n);
	return i->target ? 0 : pf_fail(err, -ENOMEM, "out of memory");
}

static int put(struct walk *w, int fd, const struct stat *st, struct pf_error *err)
{
	struct pf_inode i = {.mode = st->st_mode & (S_IFMT | 07777),
			     .uid = st->st_uid,
			     .gid = st->st_gid,
			     .mtime = st->st_mtim.tv_sec,
			     .mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
			     .size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0};
	int r = pf__entry_owner(w->path, &i, err);

	/* A link has none that an image keeps. */
	if (r == 0 && !S_ISLNK(st->st_mode))
		r = xattrs(w, fd, &i, err);
	if (r == 0 && S_ISREG(st->st_mode))
		r = contents(w, fd, st, &i, err);
	if (r == 0 && S_ISLNK(st->st_mode))
		r = link_target(w, fd, &i, err);
	r = r ? r : pf_tree_put(w->tree, w->path, &i, NULL, err);
	pf__inode_clear(&i);
	return r;
}

static int open_flags(mode_t mode)
{
	if (S_ISREG(mode))
		return O_RDONLY | O_NONBLOCK | O_NOCTTY;
	return S_ISDIR(mode) ? O_RDONLY | O_DIRECTORY : O_PATH | O_NOFOLLOW;
}

static int directory(struct walk *w, int fd, struct pf_error *err);

/* Something is mounted over it: of a directory the mount point stays, as in what tar makes. */
static int mount_point(struct walk *w, const struct stat *st, struct pf_error *err)
{
	struct pf_inode i = {.mode = st->st_mode & (S_IFMT | 07777),
			     .uid = st->st_uid,
			     .gid = st->st_gid,
			     .mtime = st->st_mtim.tv_sec,
			     .mtime_ns = (uint32_t)st->st_mtim.tv_nsec};

	pf__note(&w->job->notes, PF__NOTE_MOUNT, w->path);
	return S_ISDIR(st->st_mode) ? pf_tree_put(w->tree, w->path, &i, NULL, err) : 0;
}

/* w->path is the entry's; name its last component in dir. */
static int entry(struct walk *w, int dir, const char *name, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = -1;
	const char *first = NULL;
	struct stat st, now;
	int r;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT))
		return errno == ENOENT ? changed(w, err) : failed(w, "look at", -errno, err);
	r = pf__budget_entry(&w->job->budget, S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0, err);
	r = r ? r : pf__entry_type(w->path, st.st_mode, &w->job->notes, err);
	if (r)
		return r < 0 ? r : 0;
	if (!S_ISDIR(st.st_mode) && st.st_nlink > 1)
		first = pf__links_find(&w->links, st.st_dev, st.st_ino);
	if (first)
		return pf_tree_link(w->tree, w->path, first, err);
	fd = pf_openat2(dir, name, open_flags(st.st_mode), 0,
			RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);
	if (fd == -EXDEV)
		return mount_point(w, &st, err);
	if (fd < 0)
		return failed(w, "open", fd, err);
	if (fstat(fd, &now) || !same(&st, &now))
		return changed(w, err);
	r = put(w, fd, &now, err);
	if (r == 0 && !S_ISDIR(st.st_mode) && st.st_nlink > 1 &&
	    pf__links_add(&w->links, st.st_dev, st.st_ino, w->path))
		r = pf_fail(err, -ENOMEM, "out of memory");
	return r == 0 && S_ISDIR(st.st_mode) ? directory(w, fd, err) : r;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All names first, in order: notes and errors then name the same entry on every machine. */
static int names_of(struct walk *w, int fd, struct pf_list *out, struct pf_error *err)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	PF_AUTO_DIR DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *e;

	if (!d) {
		int code = -errno;

		if (copy >= 0)
			close(copy);
		return failed(w, "read the directory", code, err);
	}
	for (errno = 0; (e = readdir(d)); errno = 0) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (pf_list_add(out, e->d_name))
			return pf_fail(err, -ENOMEM, "out of memory");
	}
	if (errno)
		return failed(w, "read the directory", -errno, err);
	if (out->count)
		qsort(out->items, out->count, sizeof(*out->items), by_bytes);
	return 0;
}

/* At most PF_TREE_DEPTH_MAX calls deep: the tree takes no deeper path. */
static int directory(struct walk *w, int fd, struct pf_error *err)
{
	struct pf_list names = {0};
	size_t length = w->length;
	int r = names_of(w, fd, &names, err);

	for (size_t i = 0; i < names.count && r == 0; i++) {
		size_t n = strlen(names.items[i]);

		if (length + 1 + n > PF__PATH_MAX) {
			r = failed(w, "go below", -ENAMETOOLONG, err);
			break;
		}
		w->length = length + (length > 0) + n;
		snprintf(w->path + length, sizeof(w->path) - length, "%s%s", length ? "/" : "",
			 names.items[i]);
		r = entry(w, fd, names.items[i], err);
		w->length = length;
		w->path[length] = '\0';
	}
	pf_list_free(&names);
	return r;
}

int pf__dir_read(struct pf__job *j, struct pf_tree *tree, struct pf_error *err)
{
	struct walk *w = calloc(1, sizeof(*w));
	struct stat st;
	int r;

	if (w)
		w->buf = malloc(PIECE);
	if (!w || !w->buf) {
		free(w);
		return pf_fail(err, -ENOMEM, "out of memory");
	}
	w->job = j;
	w->tree = tree;
	r = fstat(j->input, &st) ? pf_fail_errno(err, "cannot look at the directory") : 0;
	r = r ? r : put(w, j->input, &st, err);
	r = r ? r : directory(w, j->input, err);
	pf__links_free(&w->links);
	free(w->buf);
	free(w);
	return r;
}
