/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk: every directory is read, or taken over from what was known of it if that holds. No link is
 * followed, no mount crossed, nothing but directories is opened, and the walk is bounded. What is taken over
 * was looked at just before; what is new beneath a directory that changed is found because that is read.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "workspace/scan_internal.h"

#define ENTRIES_BUF 65536
#define NONE	    UINT32_MAX
/* What a file system's clock is known to: a tick of the kernel's, at 100 Hz 10 ms; 2 s where it keeps no
 * fractions (ext4 with small inodes, FAT). */
#define GRAIN_NS       20000000
#define GRAIN_WHOLE_NS 2100000000

struct linux_dirent { /* getdents64(2) */
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

void pf__tree_free(struct pf__tree *t)
{
	free(t->dirs);
	free(t->hits);
	free(t->names);
	*t = (struct pf__tree){0};
}

static int no_memory(struct pf__walk *w)
{
	return pf_fail(w->err, -ENOMEM, "out of memory");
}

/* Room for one more of size bytes, or for extra bytes of names. */
static int reserve(void *array, size_t *room, size_t need, size_t size)
{
	size_t more = *room ? *room : 256;
	void *p;

	if (need <= *room)
		return 0;
	while (more < need)
		more *= 2;
	p = realloc(*(void **)array, more * size);
	if (!p)
		return -ENOMEM;
	*(void **)array = p;
	*room = more;
	return 0;
}

/* Names are in one block: they are meant by where they begin. NONE: no memory. */
static uint32_t keep_name(struct pf__tree *t, const char *name)
{
	size_t n = strlen(name) + 1;

	if (t->name_bytes + n >= NONE || reserve(&t->names, &t->name_room, t->name_bytes + n, 1) < 0)
		return NONE;
	memcpy(t->names + t->name_bytes, name, n);
	t->name_bytes += n;
	return (uint32_t)(t->name_bytes - n);
}

static int keep_hit(struct pf__walk *w, const char *name, uint32_t kind)
{
	struct pf__tree *t = &w->tree;
	uint32_t at = keep_name(t, name);

	if (at == NONE || reserve(&t->hits, &t->hit_room, t->hit_count + 1, sizeof(*t->hits)) < 0)
		return no_memory(w);
	t->hits[t->hit_count++] = (struct pf__hit){at, kind};
	return 0;
}

/* Git's objects are many, named by their hashes, and hold nothing under a name of its own. */
static bool is_git_objects(const char *path)
{
	size_t n = strlen(path), k = strlen(".git/objects");

	return n >= k && strcmp(path + n - k, ".git/objects") == 0 && (n == k || path[n - k - 1] == '/');
}

/* Append name to w->path; false if it does not fit. */
static bool enter(struct pf__walk *w, const char *name)
{
	size_t n = strlen(name), at = w->path_len + (w->path_len > 0);

	if (at + n >= sizeof(w->path))
		return false;
	if (w->path_len)
		w->path[w->path_len] = '/';
	memcpy(w->path + at, name, n + 1);
	w->path_len = at + n;
	return true;
}

static void leave(struct pf__walk *w, size_t before)
{
	w->path_len = before;
	w->path[before] = '\0';
}

/* --- reading one directory ------------------------------------------------------------- */

struct subdirs {
	uint32_t *names;
	size_t count, room;
};

static int too_many(struct pf__walk *w)
{
	return pf_fail(w->err, -EFBIG,
		       "the workspace has more than %u entries, too many to look for secrets.mask patterns; "
		       "name the "
		       "paths without wildcards, or use a smaller workspace",
		       PF__SCAN_ENTRIES_MAX);
}

/* A directory by its type, or by a look where the file system does not say. */
static bool is_directory(int dirfd, const struct linux_dirent *e, uint8_t *type)
{
	struct stat st;

	*type = e->type;
	if (e->type == DT_UNKNOWN && fstatat(dirfd, e->name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0)
		*type = (uint8_t)(S_ISDIR(st.st_mode) ? DT_DIR : S_ISSOCK(st.st_mode) ? DT_SOCK : DT_REG);
	return *type == DT_DIR;
}

static int visit(struct pf__walk *w, int dirfd, const struct linux_dirent *e, uint32_t *flags,
		 struct subdirs *subs)
{
	size_t before = w->path_len;
	uint8_t type;
	unsigned kinds;
	bool dir;
	int r = 0;

	if (++w->entries > PF__SCAN_ENTRIES_MAX)
		return too_many(w);
	if (!enter(w, e->name)) {
		*flags |= PF__DIR_LONG;
		return 0;
	}
	dir = is_directory(dirfd, e, &type);
	kinds = pf__matcher_match(w->matcher, w->path, e->name, dir);
	if (w->sockets && type == DT_SOCK)
		kinds |= PF__HIT_SOCKET;
	if (kinds)
		r = keep_hit(w, e->name, kinds);
	if (r == 0 && dir && !(kinds & PF__HIT_MASK) && !is_git_objects(w->path)) {
		uint32_t at = keep_name(&w->tree, e->name);

		if (at == NONE ||
		    reserve(&subs->names, &subs->room, subs->count + 1, sizeof(*subs->names)) < 0)
			r = no_memory(w);
		else
			subs->names[subs->count++] = at;
	}
	leave(w, before);
	return r;
}

static int read_entries(struct pf__walk *w, int fd, uint32_t *flags, struct subdirs *subs)
{
	long n;
	int r = 0;

	while (r == 0 && (n = syscall(SYS_getdents64, fd, w->entries_buf, ENTRIES_BUF)) > 0) {
		for (long at = 0; at < n && r == 0;) {
			const struct linux_dirent *e = (const void *)(w->entries_buf + at);

			at += e->len;
			if (strcmp(e->name, ".") != 0 && strcmp(e->name, "..") != 0)
				r = visit(w, fd, e, flags, subs);
		}
	}
	if (r == 0 && n < 0)
		*flags |= PF__DIR_CLOSED;
	return r;
}

static bool too_young(const struct pf__walk *w, const struct stat *st)
{
	int64_t grain = st->st_ctim.tv_nsec ? GRAIN_NS : GRAIN_WHOLE_NS;

	return pf__ws_ctime_ns(st) > w->reference_ns - grain;
}

/* Fill the record at; names of the directories in it go to subs. */
static int read_dir(struct pf__walk *w, size_t at, struct subdirs *subs)
{
	PF_AUTO_CLOSE int fd = pf__ws_open(w->ws_fd, w->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	uint32_t flags = 0;
	struct stat st;
	int r = 0;

	if (fd == -EXDEV)
		flags = PF__DIR_MOUNT | PF__DIR_AGAIN;
	else if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
		flags = PF__DIR_AGAIN; /* gone meanwhile, or a link: a race that hides nothing */
	else if (fd < 0)
		/* its owner can open it inside, where it is a copy, even if we cannot here */
		flags = PF__DIR_CLOSED | PF__DIR_AGAIN;
	else if (fstat(fd, &st) < 0)
		return pf_fail_errno(w->err, "cannot look at a directory of the workspace");
	if (fd >= 0) {
		/* looked at before it is read: what comes later shows in the time */
		w->tree.dirs[at].ino = st.st_ino;
		w->tree.dirs[at].ctime_ns = pf__ws_ctime_ns(&st);
		if (st.st_dev != w->dev || too_young(w, &st))
			flags |= PF__DIR_AGAIN;
		r = read_entries(w, fd, &flags, subs);
	}
	w->tree.dirs[at].flags = flags;
	w->tree.dirs[at].hits = (uint32_t)w->tree.hit_count - w->tree.dirs[at].first_hit;
	return r;
}

/* --- the tree ------------------------------------------------------------------------------ */

/* The directory of that name in old's directory `in`, near `hint`: the order of names mostly stays. */
static uint32_t find_old(const struct pf__walk *w, uint32_t in, const char *name, uint32_t *hint)
{
	const struct pf__tree *t = w->old;
	uint32_t begin, i;

	if (in == NONE || in + 1 >= t->dirs[in].end)
		return NONE;
	begin = i = *hint > in && *hint < t->dirs[in].end ? *hint : in + 1;
	do {
		if (strcmp(t->names + t->dirs[i].name, name) == 0) {
			*hint = t->dirs[i].end;
			return i;
		}
		i = t->dirs[i].end < t->dirs[in].end ? t->dirs[i].end : in + 1;
	} while (i != begin);
	return NONE;
}

/* kept: its name, in the new tree's block. old: the same directory in the old tree, or NONE. */
static int add_dir(struct pf__walk *w, uint32_t up, uint32_t kept, uint32_t old);

/* As it was: nothing of its own entries changed. */
static int take_over(struct pf__walk *w, uint32_t at, uint32_t old)
{
	const struct pf__tree *t = w->old;
	const struct pf__dir *was = &t->dirs[old];
	int r = 0;

	w->tree.dirs[at].ino = was->ino;
	w->tree.dirs[at].ctime_ns = was->ctime_ns;
	w->tree.dirs[at].flags = was->flags;
	for (uint32_t i = 0; i < was->hits && r == 0; i++)
		r = keep_hit(w, t->names + t->hits[was->first_hit + i].name,
			     t->hits[was->first_hit + i].kind);
	w->tree.dirs[at].hits = was->hits;
	for (uint32_t i = old + 1; i < was->end && r == 0; i = t->dirs[i].end)
		r = add_dir(w, at, keep_name(&w->tree, t->names + t->dirs[i].name), i);
	return r;
}

static int read_anew(struct pf__walk *w, uint32_t at, uint32_t old)
{
	struct subdirs subs = {0};
	uint32_t hint = 0;
	int r = read_dir(w, at, &subs);

	for (size_t i = 0; i < subs.count && r == 0; i++) {
		uint32_t same = w->old ? find_old(w, old, w->tree.names + subs.names[i], &hint) : NONE;

		r = add_dir(w, at, subs.names[i], same);
	}
	free(subs.names);
	return r;
}

static int add_dir(struct pf__walk *w, uint32_t up, uint32_t kept, uint32_t old)
{
	struct pf__tree *t = &w->tree;
	size_t before = w->path_len, at = t->dir_count;
	int r;

	if (kept == NONE || reserve(&t->dirs, &t->dir_room, at + 1, sizeof(*t->dirs)) < 0)
		return no_memory(w);
	t->dirs[t->dir_count++] =
		(struct pf__dir){.name = kept, .up = up, .first_hit = (uint32_t)t->hit_count};
	if (t->names[kept] && !enter(w, t->names + kept)) {
		t->dirs[at].flags = PF__DIR_LONG | PF__DIR_AGAIN;
		t->dirs[at].end = (uint32_t)t->dir_count;
		return 0;
	}
	r = old != NONE && w->state[old] == PF__DIR_HOLDS ? take_over(w, (uint32_t)at, old)
							  : read_anew(w, (uint32_t)at, old);
	leave(w, before);
	t->dirs[at].end = (uint32_t)t->dir_count;
	return r;
}

int pf__walk(struct pf__walk *w)
{
	PF_AUTO_FREE char *buf = malloc(ENTRIES_BUF);
	int r;

	w->entries_buf = buf;
	leave(w, 0);
	r = buf ? add_dir(w, 0, keep_name(&w->tree, ""), w->old ? 0 : NONE) : no_memory(w);
	if (r < 0)
		pf__tree_free(&w->tree);
	return r;
}
