/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One tree of the root is walked, and what can be started in it and is not on the list is covered in the
 * view. A directory of the view lies above the tree's own, so it gets that one's mode, owner and times.
 *
 * Scripts that other programs read (a module with "#!" and an x bit) must still be read: such a file is
 * covered by a copy without x bits. A file with an x bit that is neither ELF nor a script is left as it is:
 * the kernel answers ENOEXEC, and a shell that reads it then is itself on the list.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "view/scan.h"

#define DEPTH_MAX   96		 /* two descriptors each */
#define COPY_MAX    (16u << 20)	 /* bytes of a script that is copied, */
#define COPIES_MAX  (256u << 20) /* and of all: what is beyond is covered like a program */
#define LINKS_MAX   30000u	 /* of one file; ext4 has 65,000 */
#define ENTRIES_MAX 8000000u

struct at {
	int dir;	   /* of the tree */
	const char *rel;   /* its path in it, "" for the top */
	const char *clean; /* and inside */
	const struct stat *st;
	bool counts; /* a program is in it, or below */
	bool made;   /* the view has it */
};

static int failed(struct pf__scan *s, const char *what, const char *path)
{
	char shown[160];
	int code = errno;

	pf_printable(path, strlen(path), shown, sizeof(shown));
	errno = code;
	return pf_fail_errno(s->err, "commands.allow: cannot %s %s", what, shown);
}

/* --- the view's directories ------------------------------------------------------------------- */

/* Opens the view's directory for rel, made if need be. Modes come at the end of each walk. */
static int view_dir(struct pf__scan *s, const char *rel)
{
	PF_AUTO_CLOSE int at = fcntl(s->top, F_DUPFD_CLOEXEC, 3);
	const char *p = rel;

	while (at >= 0 && *(p += strspn(p, "/"))) {
		size_t n = strcspn(p, "/");
		char name[256];
		int next;

		if (n >= sizeof(name))
			return failed(s, "cover", rel);
		memcpy(name, p, n);
		name[n] = '\0';
		p += n;
		if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
			return failed(s, "make a view of", rel);
		next = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return failed(s, "make a view of", rel);
		close(at);
		at = next;
	}
	return at < 0 ? failed(s, "make a view of", rel) : pf_take_fd(&at);
}

/* A user keeps the right to remove it later, which the sandbox, where it is read-only, does not have. */
static int finish_dir(struct pf__scan *s, const struct at *a)
{
	PF_AUTO_CLOSE int fd = view_dir(s, a->rel);
	const struct timespec times[2] = {a->st->st_atim, a->st->st_mtim};
	bool root = geteuid() == 0;

	if (fd < 0)
		return fd;
	if ((root && fchown(fd, a->st->st_uid, a->st->st_gid) < 0) ||
	    fchmod(fd, (a->st->st_mode & 01777) | (root ? 0 : 0700)) < 0 || futimens(fd, times) < 0)
		return failed(s, "make a view of", a->rel);
	return 0;
}

/* What is mounted there is not shown inside, and what it covers on the host must not appear instead. */
static int hide_dir(struct pf__scan *s, const char *rel)
{
	PF_AUTO_CLOSE int fd = view_dir(s, rel);

	if (fd < 0)
		return fd;
	if (fsetxattr(fd, geteuid() == 0 ? "trusted.overlay.opaque" : "user.overlay.opaque", "y", 1, 0) < 0 ||
	    fchmod(fd, 0755) < 0)
		return failed(s, "hide what is mounted at", rel);
	return 0;
}

/* --- covering -------------------------------------------------------------------------------- */

static int cover(struct pf__scan *s, struct at *a, const char *name)
{
	PF_AUTO_CLOSE int dir = view_dir(s, a->rel);
	char from[24];
	int r;

	if (dir < 0)
		return dir;
	a->made = true;
	if (s->links >= LINKS_MAX || s->copies == 0) {
		if ((r = pf__refuse_copy(s)) < 0)
			return r;
		s->links = 0;
	}
	snprintf(from, sizeof(from), PF_REFUSE_FILE, s->copies - 1);
	if (linkat(s->out, from, dir, name, 0) < 0)
		return failed(s, "cover", name);
	s->links++;
	s->refused++;
	return 0;
}

static int copy_data(int from, int to, uint64_t size)
{
	static char chunk[65536];
	uint64_t done = 0;

	while (done < size) {
		ssize_t n = pf_read_full(from, chunk, sizeof(chunk));
		int r;

		if (n <= 0)
			return (int)n;
		if ((r = pf_write_full(to, chunk, (size_t)n)) < 0)
			return r;
		done += (uint64_t)n;
	}
	return 0;
}

/* The same file without x bits: it can be read, and started by nobody. */
static int cover_readable(struct pf__scan *s, struct at *a, int file, const struct stat *st, const char *name)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	PF_AUTO_CLOSE int dir = -1, to = -1;
	int r;

	if ((uint64_t)st->st_size > COPY_MAX || s->copied + (uint64_t)st->st_size > COPIES_MAX)
		return cover(s, a, name);
	if ((dir = view_dir(s, a->rel)) < 0)
		return dir;
	a->made = true;
	to = openat(dir, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0 || lseek(file, 0, SEEK_SET) < 0)
		return failed(s, "cover", name);
	if ((r = copy_data(file, to, (uint64_t)st->st_size)) < 0) {
		errno = -r;
		return failed(s, "copy", name);
	}
	if ((geteuid() == 0 && fchown(to, st->st_uid, st->st_gid) < 0) ||
	    fchmod(to, st->st_mode & 0666) < 0 || futimens(to, times) < 0)
		return failed(s, "cover", name);
	s->copied += (uint64_t)st->st_size;
	s->refused++;
	return 0;
}

/* --- files ------------------------------------------------------------------------------------- */

static int by_path(const void *a, const void *b)
{
	return strcmp(a, ((const struct pf_view_entry *)b)->path);
}

static bool is_listed(const struct pf__scan *s, const char *clean)
{
	return bsearch(clean, s->list->items, s->list->count, sizeof(*s->list->items), by_path) != NULL;
}

/* Where programs are, as against what programs read. */
static bool is_for_programs(const char *dir)
{
	static const char *const names[] = {"bin", "sbin", "games", "libexec", "shims", "scripts"};
	const char *last = strrchr(dir, '/');

	for (size_t i = 0; last && i < PF_ARRAY_SIZE(names); i++)
		if (strcmp(last + 1, names[i]) == 0)
			return true;
	return false;
}

static int cover_script(struct pf__scan *s, struct at *a, int fd, const struct stat *st, const char *name)
{
	if (is_for_programs(a->clean) || !strchr(name, '.'))
		return cover(s, a, name);
	return cover_readable(s, a, fd, st, name);
}

/* A program that no header calls one (static, and position-independent by an old linker): it says where it is
 * entered, and does not say what it is called as a library. Modules of languages can look like that too, but
 * are called so. */
static bool passes_as_library(const struct pf_file_look *l, const char *name)
{
	return l->kind == PF_FILE_LIBRARY && l->entry && !l->soname && !strstr(name, ".so") &&
	       !strstr(name, ".node");
}

static int one_file(struct pf__scan *s, struct at *a, const char *name, const char *clean,
		    const struct stat *st)
{
	bool x = (st->st_mode & 0111) != 0;
	PF_AUTO_CLOSE int fd = -1;
	struct pf_file_look look;
	int r;

	if (!x && st->st_size < 52) /* an ELF header */
		return 0;
	fd = openat(a->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 && errno != EACCES && errno != ENOENT)
		return failed(s, "read", clean);
	if (fd < 0 && !x)
		return 0; /* who may neither read nor start it cannot map it */
	if (fd >= 0 && (r = pf_look_fd(fd, &look)) < 0) {
		errno = -r;
		return failed(s, "read", clean);
	}
	if (fd < 0 || passes_as_library(&look, name))
		look.kind = PF_FILE_PROGRAM; /* also what can be started without being read */
	if (look.kind == PF_FILE_DATA ||
	    (!x && (look.kind == PF_FILE_SCRIPT || look.kind == PF_FILE_FOREIGN)))
		return 0;
	if (look.kind == PF_FILE_LIBRARY)
		return 0;
	a->counts = true;
	if (is_listed(s, clean))
		return 0;
	return look.kind == PF_FILE_SCRIPT ? cover_script(s, a, fd, st, name) : cover(s, a, name);
}

/* --- the walk ------------------------------------------------------------------------------------ */

static int walk(struct pf__scan *s, struct at *a, unsigned depth);

/* Is something mounted on it? statx(2), which this libc has no name for: the attributes follow two words of
 * 32 bits; before Linux 5.8 there is no such attribute, and another device tells. */
static bool is_mount(int fd, dev_t up, dev_t own)
{
	uint64_t sx[32] = {0};

	if (up != own)
		return true;
	return syscall(SYS_statx, fd, "", AT_EMPTY_PATH, 1 /* STATX_TYPE */, sx) == 0 &&
	       (sx[1] & 0x2000 /* STATX_ATTR_MOUNT_ROOT */);
}

static int one_dir(struct pf__scan *s, struct at *up, const char *name, const char *rel, const char *clean,
		   unsigned depth)
{
	PF_AUTO_CLOSE int fd = openat(up->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	struct at a = {.dir = fd, .rel = rel, .clean = clean, .st = &st};
	int r;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0 && errno == EACCES &&
	    geteuid() != 0) { /* what is in it cannot be told, and with mode 0711 would start by its name */
		up->made = true;
		return hide_dir(s, rel);
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return failed(s, "read", clean);
	if (is_mount(fd, up->st->st_dev, st.st_dev)) {
		up->made = true;
		return hide_dir(s, rel);
	}
	if (depth == DEPTH_MAX)
		return pf_fail(s->err, -ELOOP,
			       "commands.allow: directories of the image are nested more than %d deep",
			       DEPTH_MAX);
	r = walk(s, &a, depth + 1);
	up->counts |= a.counts;
	up->made |= a.made;
	return r;
}

static int one_entry(struct pf__scan *s, struct at *a, const char *name, unsigned depth)
{
	char rel[PATH_MAX], clean[PATH_MAX];
	struct stat st;

	if (snprintf(rel, sizeof(rel), "%s%s%s", a->rel, *a->rel ? "/" : "", name) >= (int)sizeof(rel) ||
	    snprintf(clean, sizeof(clean), "%s/%s", strcmp(a->clean, "/") == 0 ? "" : a->clean, name) >=
		    (int)sizeof(clean))
		return pf_fail(s->err, -ENAMETOOLONG, "commands.allow: a path of the image is too long");
	if (fstatat(a->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : failed(s, "look at", clean);
	if (++s->seen == ENTRIES_MAX)
		return pf_fail(s->err, -E2BIG, "commands.allow: more than %u files in the image",
			       ENTRIES_MAX);
	if (s->want->progress && s->seen % 50000 == 0) /* the caller asked for it */
		dprintf(2, "pinfold: %zu files looked at for programs, %zu covered\n", s->seen, s->refused);
	if (S_ISDIR(st.st_mode))
		return one_dir(s, a, name, rel, clean, depth);
	return S_ISREG(st.st_mode) ? one_file(s, a, name, clean, &st) : 0;
}

static int walk(struct pf__scan *s, struct at *a, unsigned depth)
{
	int copy = openat(a->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	PF_AUTO_DIR DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!d) {
		r = failed(s, "read", a->clean);
		if (copy >= 0)
			close(copy);
		return r;
	}
	for (errno = 0; r == 0 && (e = readdir(d)); errno = 0)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = one_entry(s, a, e->d_name, depth);
	if (r == 0 && errno)
		r = failed(s, "read", a->clean);
	if (r == 0 && !s->tree->digest)
		r = pf__mark_add(a->counts ? &s->marks : &s->rest, s->tree_index, a->rel, a->st);
	s->young |= !s->tree->digest && pf__is_young(a->st, s->began);
	return r == 0 && a->made ? finish_dir(s, a) : r;
}

int pf__view_scan(struct pf__scan *s)
{
	struct stat st;
	struct at a = {.rel = "", .clean = s->tree->at, .st = &st};
	PF_AUTO_CLOSE int fd = openat(s->tree->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	a.dir = fd;
	if (fd < 0 || fstat(fd, &st) < 0)
		return failed(s, "read", s->tree->at);
	r = walk(s, &a, 0);
	a.made = true; /* its top is there in any case, and seen */
	return r == 0 ? finish_dir(s, &a) : r;
}
