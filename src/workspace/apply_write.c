/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Putting single changes into the user's directory. Nothing that exists is ever opened to be written:
 * a new file is made beside its place and renamed, so a name that is a link, or a file that has
 * other names elsewhere, is replaced and not written through. That matters most as root.
 *
 * Times: an applied file is as new as the apply, as with an editor, so that make(1) builds what depends
 * on it, and so that no byte code made in the sandbox passes for that of a source file by its time. Among
 * themselves the files keep the order of the sandbox's times, a nanosecond apart: an object that was
 * older than its source there is older here.
 */
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "workspace/workspace_internal.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452 /* Linux 6.6; the same number everywhere */
#endif

/* The directory that a change happens in, and what stands at its place. */
struct place {
	int fd; /* O_PATH */
	const char *leaf;
	struct stat dir, st;
	bool exists, opened;
};

static int fd_chmod(int fd, mode_t mode)
{
	char self[40];

	if (syscall(SYS_fchmodat2, fd, "", mode, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != ENOSYS && errno != EINVAL)
		return -errno;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return chmod(self, mode) < 0 ? -errno : 0;
}

static int place_open(struct pf__apply *a, const char *path, struct place *p)
{
	int r;

	memset(p, 0, sizeof(*p));
	p->fd = pf__ws_open_parent(a->ws_fd, path, &p->leaf);
	if (p->fd < 0)
		return p->fd;
	if (fstat(p->fd, &p->dir) < 0)
		return -errno;
	r = pf__ws_stat(p->fd, p->leaf, &p->st);
	p->exists = r == 0;
	if (r < 0 && r != -ENOENT)
		return r;
	/* The sandbox could make its directory writable and back; so can its owner here. */
	if (!a->as_root && p->dir.st_uid == geteuid() && (p->dir.st_mode & 0300) != 0300)
		p->opened = fd_chmod(p->fd, (p->dir.st_mode & PF__WS_MODE_BITS) | 0300) == 0;
	return 0;
}

static void place_close(struct place *p)
{
	if (p->opened)
		fd_chmod(p->fd, p->dir.st_mode & PF__WS_MODE_BITS);
	if (p->fd >= 0)
		close(p->fd);
}

static int note(struct pf__apply *a, const struct pf_change *c, const char *what)
{
	return pf_list_addf(&a->report->notes, "%s: %s", c->path, what) < 0 ? pf__apply_no_memory(a) : 0;
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

/* Known again by a repeated apply, which removes what one that was cut off left behind. */
static void temp_name(const struct pf__apply *a, size_t i, char out[40])
{
	snprintf(out, 40, ".pinfold-%.12s-%zx", a->c->id, i);
}

/* A modified file keeps its owner, a new one belongs to the owner of its directory. */
static int give_owner(struct pf__apply *a, const struct pf_change *c, const struct place *p, int fd)
{
	bool keep = c->op == PF_MODIFIED && p->exists && S_ISREG(p->st.st_mode) && S_ISREG(c->mode);
	const struct stat *like = keep ? &p->st : &p->dir;

	if (a->as_root)
		return fchownat(fd, "", like->st_uid, like->st_gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
	/* its group, if we are in it */
	if (keep && fchownat(fd, "", (uid_t)-1, like->st_gid, AT_EMPTY_PATH) < 0)
		errno = 0;
	return 0;
}

static int rename_over(struct pf__apply *a, const struct pf_change *c, const struct place *p,
		       const char *temp)
{
	bool fresh = c->op == PF_ADDED && !a->how->force;

	if (fresh && syscall(SYS_renameat2, p->fd, temp, p->fd, p->leaf, RENAME_NOREPLACE) == 0)
		return 0;
	/* some file systems (NFS, FUSE) do not know the flag; that nothing was there we saw just now */
	if (fresh && errno != EINVAL && errno != ENOSYS)
		return -errno;
	return renameat(p->fd, temp, p->fd, p->leaf) < 0 ? -errno : 0;
}

static int stage_file(struct pf__apply *a, const struct pf_change *c, const struct place *p, const char *temp)
{
	PF_AUTO_CLOSE int blob = pf__change_open_blob(a->set_fd, c, a->err), fd = -1;
	struct timespec times[2] = {timespec_of(a->now_ns), timespec_of(stamp(a, c->mtime_ns))};
	int r;

	if (blob < 0)
		return blob;
	fd = openat(p->fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : pf__ws_copy(blob, fd, c->size);
	if (r == 0)
		r = give_owner(a, c, p, fd);
	if (r == 0 && fchmod(fd, pf__apply_mode(c, &p->dir)) < 0) /* behind chown, which changes modes */
		r = -errno;
	if (r == 0 && futimens(fd, times) < 0)
		r = -errno;
	return r;
}

static int stage_link(struct pf__apply *a, const struct pf_change *c, const struct place *p, const char *temp)
{
	if (symlinkat(c->target, p->fd, temp) < 0)
		return -errno;
	if (a->as_root && fchownat(p->fd, temp, p->dir.st_uid, p->dir.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static int put_new(struct pf__apply *a, size_t i, const struct place *p)
{
	const struct pf_change *c = &a->c->items[i];
	char temp[40];
	int r;

	temp_name(a, i, temp);
	unlinkat(p->fd, temp, 0);
	r = S_ISLNK(c->mode) ? stage_link(a, c, p, temp) : stage_file(a, c, p, temp);
	if (r == 0 && p->exists && S_ISDIR(p->st.st_mode) && unlinkat(p->fd, p->leaf, AT_REMOVEDIR) < 0)
		r = -errno;
	if (r == 0)
		r = rename_over(a, c, p, temp);
	if (r < 0)
		unlinkat(p->fd, temp, 0);
	return r;
}

static int make_dir(struct pf__apply *a, const struct pf_change *c, const struct place *p)
{
	PF_AUTO_CLOSE int fd = -1;

	if (p->exists && !S_ISDIR(p->st.st_mode) && unlinkat(p->fd, p->leaf, 0) < 0)
		return -errno;
	if (mkdirat(p->fd, p->leaf, 0700) < 0)
		return errno == EEXIST && a->how->force ? 0 : -errno;
	fd = pf__ws_open(p->fd, p->leaf, O_PATH | O_DIRECTORY | O_NOFOLLOW);
	return fd < 0 ? fd : give_owner(a, c, p, fd);
}

/* Only the mode: of the very file that was checked, held by descriptor. extra: to get into a directory for
 * now. */
static int put_mode(struct pf__apply *a, const struct pf_change *c, const struct place *p, mode_t extra)
{
	PF_AUTO_CLOSE int fd = pf__ws_open(p->fd, p->leaf, O_PATH | O_NOFOLLOW);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((st.st_mode & S_IFMT) != (c->mode & S_IFMT) || S_ISLNK(st.st_mode))
		return -ESTALE;
	/* Another name of somebody else's file: its mode is not this workspace's to set, root or not. */
	if (a->as_root && S_ISREG(st.st_mode) && st.st_nlink > 1 && st.st_uid != p->dir.st_uid)
		return -EPERM;
	return fd_chmod(fd, pf__apply_mode(c, &p->dir) | extra);
}

static int write_kind(struct pf__apply *a, size_t i, const struct place *p)
{
	const struct pf_change *c = &a->c->items[i];

	if (S_ISDIR(c->mode))
		return p->exists && S_ISDIR(p->st.st_mode) ? put_mode(a, c, p, 0700) : make_dir(a, c, p);
	if (c->op == PF_MODIFIED && !c->content)
		return put_mode(a, c, p, 0);
	return put_new(a, i, p);
}

/* Is what stands there still what the check let pass? */
static bool unchanged(const struct pf__apply *a, const struct pf_change *c, const struct place *p)
{
	if (a->how->force)
		return true;
	if (c->op == PF_ADDED)
		return !p->exists;
	return p->exists ? pf__apply_still(c, &p->st) : pf__apply_retype(c);
}

/* Where a link leads, by its text: its target may not exist yet, and is not looked at. */
static bool leads_out(const struct pf__apply *a, const struct pf_change *c)
{
	const char *t = c->target;
	size_t n = strlen(a->c->workspace);
	long depth = 0;

	if (*t == '/')
		return strncmp(t, a->c->workspace, n) != 0 || (t[n] != '/' && t[n] != '\0') ||
		       strstr(t, "/..");
	for (const char *s = strchr(c->path, '/'); s; s = strchr(s + 1, '/'))
		depth++;
	while (*t) {
		size_t len = strcspn(t, "/");

		if (len == 2 && t[0] == '.' && t[1] == '.')
			depth--;
		else if (len && !(len == 1 && *t == '.'))
			depth++;
		if (depth < 0)
			return true;
		t += len + (t[len] == '/');
	}
	return false;
}

static int add_notes(struct pf__apply *a, const struct pf_change *c, const struct stat *dir)
{
	int r = 0;

	if ((c->mode & PF__WS_MODE_BITS & ~0777) & ~pf__apply_mode(c, dir) & (S_ISUID | S_ISGID))
		r = note(a, c, "its set-id bits were dropped");
	if (r == 0 && c->target && leads_out(a, c))
		r = note(a, c, "a symbolic link that leads out of the workspace");
	return r;
}

static int moved(struct pf__apply *a, int code, const struct pf_change *c)
{
	char show[PF__WS_SHOW];

	return pf_fail(a->err, code,
		       "'%s' changed while changes were applied; what was applied stays, repeat to go on",
		       pf__ws_show(c->path, show));
}

int pf__apply_write(struct pf__apply *a, size_t i)
{
	const struct pf_change *c = &a->c->items[i];
	struct place p;
	int r = place_open(a, c->path, &p);

	if (r == 0 && !unchanged(a, c, &p))
		r = -ESTALE;
	if (r == 0)
		r = write_kind(a, i, &p);
	if (r < 0)
		r = r == -ESTALE || r == -EEXIST ? moved(a, r, c) : pf__apply_cannot(a, r, "apply", c->path);
	else
		r = add_notes(a, c, &p.dir);
	if (r == 0 && pf_list_add(&a->report->applied, c->path) < 0)
		r = pf__apply_no_memory(a);
	place_close(&p);
	return r;
}

int pf__apply_dir_mode(struct pf__apply *a, size_t i)
{
	const struct pf_change *c = &a->c->items[i];
	struct place p;
	int r = place_open(a, c->path, &p);

	if (r == 0)
		r = put_mode(a, c, &p, 0);
	place_close(&p);
	return r < 0 ? pf__apply_cannot(a, r, "set the mode of", c->path) : 0;
}

int pf__apply_remove(struct pf__apply *a, size_t i)
{
	const struct pf_change *c = &a->c->items[i];
	struct place p;
	int r = place_open(a, c->path, &p);

	a->removed[i] = 1;
	if (r == 0 && p.exists && !unchanged(a, c, &p))
		r = -ESTALE;
	if (r == 0 && p.exists && unlinkat(p.fd, p.leaf, S_ISDIR(p.st.st_mode) ? AT_REMOVEDIR : 0) < 0)
		r = -errno;
	place_close(&p);
	if (r == -ENOTEMPTY && a->how->force)
		return note(a, c, "not removed: it is not empty");
	if (r == -ESTALE)
		return moved(a, r, c);
	if (r < 0 && r != -ENOENT && r != -ELOOP && r != -ENOTDIR)
		return pf__apply_cannot(a, r, "remove", c->path);
	return pf_list_add(&a->report->applied, c->path) < 0 ? pf__apply_no_memory(a) : 0;
}
