/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything new is made in STAGE before anything of the user's is touched: bytes, owners, modes, times. A
 * full disk is met here, and then nothing was changed. Nothing that exists is ever opened to be written: a
 * name that is a link, or a file that has other names elsewhere, is replaced and not written through. That
 * matters most as root.
 *
 * Times: an applied file is as new as the apply, as with an editor, so that make(1) builds what depends
 * on it, and so that no byte code made in the sandbox passes for that of a source file by its time. Among
 * themselves the files keep the order of the sandbox's times, a nanosecond apart: an object that was
 * older than its source there is older here.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "workspace/apply_internal.h"

#define SYNC_EACH 8u /* files */

void pf__stage_name(size_t i, char out[PF__NAME_MAX])
{
	snprintf(out, PF__NAME_MAX, "%zx", i);
}

void pf__stage_aside(size_t i, char out[PF__NAME_MAX + 4])
{
	snprintf(out, PF__NAME_MAX + 4, "%zx.old", i);
}

static int64_t stamp(const struct pf__apply *a, int64_t mtime)
{
	size_t lo = 0, hi = a->stamp_count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (a->stamps[mid] < mtime)
			lo = mid + 1;
		else
			hi = mid;
	}
	return a->now_ns - (int64_t)(a->stamp_count - lo);
}

static struct timespec timespec_of(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

static int give_owner(const struct pf__apply *a, const struct pf__step *s, int dirfd, const char *name)
{
	if (a->as_root)
		return fchownat(dirfd, name, s->uid, s->gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
	/* the group that it should have, if we are in it */
	if (s->gid != getegid() && fchownat(dirfd, name, (uid_t)-1, s->gid, AT_SYMLINK_NOFOLLOW) < 0)
		errno = 0;
	return 0;
}

static int give_attrs(struct pf__apply *a, const struct pf_change *c, int fd)
{
	int r = pf__change_has_attrs(c) ? pf__attrs_give(fd, &c->attrs) : 0;

	if (r != -EOPNOTSUPP)
		return r;
	return c->attrs.count
		       ? pf__apply_note(a, c->path, "its extended attributes: this file system has none")
		       : 0;
}

/* Who may do what with a file is the user's: a new file in its place keeps his access list. */
static int keep_acl(struct pf__apply *a, const struct pf_change *c, const struct pf__step *s, int fd)
{
	PF_AUTO_CLOSE int old = -1;

	if (!S_ISREG(s->was.mode))
		return 0;
	old = pf__ws_open(a->ws_fd, c->path, O_PATH | O_NOFOLLOW);
	if (old < 0 || pf__attrs_keep_acl(old, fd) == 0)
		return 0;
	return pf__apply_note(a, c->path, "its access list could not be kept");
}

static int make_file(struct pf__apply *a, size_t i, int dirfd, const char *name)
{
	const struct pf_change *c = &a->c->items[i];
	const struct pf__step *s = &a->plan.steps[i];
	PF_AUTO_CLOSE int blob = pf__change_open_blob(a->set_fd, c, a->err), fd = -1;
	struct timespec times[2] = {timespec_of(a->now_ns), timespec_of(stamp(a, c->mtime_ns))};
	int r;

	if (blob < 0)
		return blob;
	fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : pf__ws_copy(blob, fd, c->size);
	PF__POINT();
	if (r == 0)
		r = give_attrs(a, c, fd);
	if (r == 0)
		r = give_owner(a, s, dirfd, name);
	if (r == 0)
		r = keep_acl(a, c, s, fd);
	if (r == 0 && fchmod(fd, s->mode) < 0) /* behind chown and the list, which change modes */
		r = -errno;
	if (r == 0 && futimens(fd, times) < 0)
		r = -errno;
	return r == 0 && a->sync_each && fdatasync(fd) < 0 ? -errno : r;
}

static int make_dir(struct pf__apply *a, size_t i, int dirfd, const char *name)
{
	PF_AUTO_CLOSE int fd = -1;
	int r;

	if (mkdirat(dirfd, name, 0700) < 0)
		return -errno;
	fd = pf__ws_open(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	if (fd < 0)
		return fd;
	r = give_attrs(a, &a->c->items[i], fd);
	if (r == 0)
		r = give_owner(a, &a->plan.steps[i], dirfd, name);
	/* the umask may have taken what we need; its own mode comes last */
	return r == 0 && fchmod(fd, 0700) < 0 ? -errno : r;
}

static int make_other(struct pf__apply *a, size_t i, int dirfd, const char *name)
{
	const struct pf_change *c = &a->c->items[i];
	const struct pf__step *s = &a->plan.steps[i];
	PF_AUTO_CLOSE int fd = -1;
	int r;

	if (S_ISLNK(c->mode))
		return symlinkat(c->target, dirfd, name) < 0 ? -errno : give_owner(a, s, dirfd, name);
	if (mkfifoat(dirfd, name, 0600) < 0)
		return -errno;
	r = give_owner(a, s, dirfd, name);
	fd = r == 0 ? pf__ws_open(dirfd, name, O_PATH | O_NOFOLLOW) : -1;
	return r < 0 ? r : fd < 0 ? fd : pf__chmod_fd(fd, s->mode);
}

int pf__stage_make(struct pf__apply *a, size_t i, int dirfd, const char *name)
{
	mode_t mode = a->c->items[i].mode;

	return S_ISREG(mode)   ? make_file(a, i, dirfd, name)
	       : S_ISDIR(mode) ? make_dir(a, i, dirfd, name)
			       : make_other(a, i, dirfd, name);
}

/* --- names of one file ------------------------------------------------------------------ */

/* May entry i be another name of what stands at a path of the workspace? */
static bool can_share(struct pf__apply *a, size_t i, const char *path, struct stat *st)
{
	const struct pf_change *c = &a->c->items[i];

	if (pf__ws_stat(a->ws_fd, path, st) < 0 || (st->st_mode & S_IFMT) != (c->mode & S_IFMT))
		return false;
	if (S_ISREG(st->st_mode) && (uint64_t)st->st_size != c->size)
		return false;
	/* as root: no further names for files that are merely visible here */
	return !a->as_root || st->st_uid == a->plan.steps[i].uid;
}

/* The name that the workspace has, unless the user changed that file since: then it is another one now. */
static bool shares_kept(struct pf__apply *a, size_t i, const char *path, struct stat *st)
{
	return can_share(a, i, path, st) &&
	       (pf__ws_ctime_ns(st) <= a->c->reference_ns || pf__apply_ours(a, path, st));
}

/* 1 if entry i is, or will be, another name of a file that is there or staged; 0 if it has to be made. */
static int find_share(struct pf__apply *a, size_t i, const char *name)
{
	const struct pf_change *c = &a->c->items[i];
	const struct pf_change *first = &a->c->items[a->c->links[c->link - 1]];
	const struct pf__names *n = &a->names[c->link - 1];
	struct pf__step *s = &a->plan.steps[i];
	char other[PF__NAME_MAX];
	struct stat st;

	if (first->link_to && shares_kept(a, i, first->link_to, &st))
		s->from = PF__FROM_KEPT;
	else if (n->done && can_share(a, i, a->c->items[n->done - 1].path, &st) &&
		 st.st_ino == a->plan.steps[n->done - 1].was.ino)
		s->from = n->done - 1 + PF__FROM_ITEM;
	if (s->from) {
		s->staged.ino = st.st_ino;
		s->staged.size = (uint64_t)st.st_size;
		s->staged.mtime_ns = pf__ws_mtime_ns(&st);
		return 1;
	}
	pf__stage_name(n->put - 1, other);
	if (n->put - 1 != i && linkat(a->stage_fd, other, a->stage_fd, name, 0) == 0)
		return 1;
	return first->link_to ? pf__apply_note(a, c->path,
					       "a file of its own now: what it was a link of has changed")
			      : 0;
}

static bool link_now(struct pf__apply *a, const struct pf__step *s, const char *path, const char *name)
{
	PF_AUTO_CLOSE int parent = -1;
	const char *leaf;
	struct stat st;

	parent = pf__ws_open_parent(a->ws_fd, path, &leaf);
	if (parent < 0 || linkat(parent, leaf, a->stage_fd, name, 0) < 0)
		return false;
	PF__POINT();
	if (fstatat(a->stage_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == s->staged.ino &&
	    (uint64_t)st.st_size == s->staged.size && pf__ws_mtime_ns(&st) == s->staged.mtime_ns)
		return true;
	unlinkat(a->stage_fd, name, 0);
	return false;
}

const char *pf__stage_source(const struct pf__apply *a, size_t i)
{
	uint64_t from = a->plan.steps[i].from;

	return !from		       ? NULL
	       : from == PF__FROM_KEPT ? a->c->items[a->c->links[a->c->items[i].link - 1]].link_to
				       : a->c->items[from - PF__FROM_ITEM].path;
}

int pf__stage_again(struct pf__apply *a, size_t i)
{
	struct pf__step *s = &a->plan.steps[i];
	struct timespec times[2] = {{.tv_nsec = UTIME_NOW}};
	char name[PF__NAME_MAX];
	int r;

	pf__stage_name(i, name);
	r = pf__stage_make(a, i, a->stage_fd, name);
	/* by its time it is known again as ours */
	times[1] = timespec_of(s->staged.mtime_ns);
	if (r == 0 && utimensat(a->stage_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	return r;
}

int pf__stage_link(struct pf__apply *a, size_t i)
{
	const struct pf_change *c = &a->c->items[i];
	char name[PF__NAME_MAX];
	int r;

	pf__stage_name(i, name);
	if (link_now(a, &a->plan.steps[i], pf__stage_source(a, i), name))
		return 0;
	unlinkat(a->stage_fd, name, 0); /* what a kill left half made */
	r = pf__stage_again(a, i);
	return r < 0 ? r
		     : pf__apply_note(a, c->path, "a file of its own now: what it was a link of has changed");
}

/* --- STAGE -------------------------------------------------------------------------------- */

static int cannot_stage(struct pf__apply *a, int code, const char *path)
{
	char show[PF__WS_SHOW];

	if (a->err && a->err->code) /* said already */
		return code;
	return pf_fail(a->err, code, "cannot prepare '%s' in the workspace: %s; nothing was changed",
		       pf__ws_show(path, show), strerror(-code));
}

static int stage_one(struct pf__apply *a, size_t i)
{
	const struct pf_change *c = &a->c->items[i];
	struct pf__step *s = &a->plan.steps[i];
	char name[PF__NAME_MAX];
	struct stat st;
	int r;

	pf__stage_name(i, name);
	r = c->link ? find_share(a, i, name) : 0;
	if (r == 0)
		r = pf__stage_make(a, i, a->stage_fd, name);
	if (r >= 0 && s->from)
		return 0;
	if (r >= 0 && fstatat(a->stage_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	PF__POINT();
	if (r < 0)
		return cannot_stage(a, r, c->path);
	s->staged.ino = st.st_ino;
	s->staged.size = (uint64_t)st.st_size;
	s->staged.mtime_ns = pf__ws_mtime_ns(&st);
	return 0;
}

static int stage_make_dir(struct pf__apply *a)
{
	char show[PF__WS_SHOW];
	int r = 0;

	if (mkdirat(a->ws_fd, a->plan.stage, 0700) < 0)
		r = -errno;
	PF__POINT();
	if (r == 0)
		r = pf__stage_open(a);
	if (r == 0)
		return 0;
	pf__ws_show(a->c->workspace, show);
	if (r == -EROFS)
		return pf_fail(a->err, r, "the workspace '%s' is on a file system that is read-only", show);
	if (r == -EACCES || r == -EPERM)
		return pf_fail(a->err, r, "the workspace '%s' cannot be written by you: %s", show,
			       strerror(-r));
	return pf_fail(a->err, r, "cannot make a directory in the workspace '%s': %s; nothing was changed",
		       show, strerror(-r));
}

int pf_apply_stages(int workspace_fd, struct pf_list *names)
{
	PF_AUTO_CLOSE int fd = openat(workspace_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	PF_AUTO_DIR DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (!d)
		return -errno;
	pf_take_fd(&fd); /* closedir() closes it */
	while (r == 0 && (e = readdir(d)))
		if (pf_has_prefix(e->d_name, PF_STAGE_PREFIX))
			r = pf_list_add(names, e->d_name);
	return r;
}

int pf__stage_open(struct pf__apply *a)
{
	PF_AUTO_CLOSE int fd = pf__ws_open(a->ws_fd, a->plan.stage, O_PATH | O_DIRECTORY | O_NOFOLLOW);
	struct stat st;

	if (fd < 0)
		return fd;
	/* The name cannot be guessed; but who may write the workspace can see it, and put another one there.
	 */
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() || st.st_mode & 077)
		return -EPERM;
	/* the umask may have taken what we need */
	if ((st.st_mode & 0700) != 0700 && pf__chmod_fd(fd, 0700) < 0)
		return -EPERM;
	a->stage_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return a->stage_fd < 0 ? -errno : 0;
}

/*
 * The bytes of what is staged are on the disk before a name leads to them: else a power failure could leave a
 * user's file empty that was replaced by a rename. Few files are synced one by one as they are made; for
 * more, the whole file system at once is cheaper.
 */
static void choose_sync(struct pf__apply *a, bool *all)
{
	size_t files = 0;

	for (size_t i = 0; i < a->c->count; i++)
		files += a->plan.steps[i].kind == PF__STEP_PUT && S_ISREG(a->c->items[i].mode);
	*all = files > SYNC_EACH;
	a->sync_each = !*all;
}

int pf__apply_stage(struct pf__apply *a)
{
	unsigned char random[16];
	char *at = a->plan.stage + strlen(PF_STAGE_PREFIX);
	bool sync_all;
	int r;

	pf_random(random, sizeof(random));
	strcpy(a->plan.stage, PF_STAGE_PREFIX);
	for (size_t i = 0; i < sizeof(random); i++)
		at += sprintf(at, "%02x", random[i]);
	choose_sync(a, &sync_all);
	r = pf__journal_write(a->set_fd, &a->plan, a->err);
	PF__POINT();
	if (r == 0)
		r = pf__apply_open_root(a);
	if (r == 0)
		r = stage_make_dir(a);
	for (size_t i = 0; i < a->c->count && r == 0; i++) {
		if (a->plan.steps[i].kind == PF__STEP_PUT)
			r = stage_one(a, i);
	}
	if (r == 0 && sync_all && syncfs(a->stage_fd) < 0)
		r = pf__apply_cannot(a, -errno, "sync the file system of", a->c->workspace);
	if (r < 0)
		return r;
	a->plan.moving = true;
	r = pf__journal_write(a->set_fd, &a->plan, a->err);
	PF__POINT();
	return r;
}
