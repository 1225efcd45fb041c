/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Do the directories' times still hold? One fstatat(2) each, a microsecond; below a directory with much in it
 * names are looked up from there, which on a tree ten levels deep halves it. It goes by pieces, which whoever
 * is free takes from a common counter: the caller while it has nothing else to do, and for a large tree
 * processes on other CPUs. What nobody could look at counts as changed.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "workspace/scan_internal.h"

#define PIECE	  64   /* directories */
#define BASES_MAX 32   /* that are held open at once */
#define BASE_MIN  16   /* that have so many in them */
#define HELP_MIN  1024 /* below that a process costs more than it saves */
#define DEPTH_MAX 2049

struct base {
	int fd;
	uint32_t end;
	size_t len; /* of its path */
};

/* One piece: the path of the directory at work, and where it can be looked up from. */
struct look {
	struct pf_scan *s;
	char path[PF__WS_PATH_MAX];
	size_t lens[DEPTH_MAX]; /* of the path, by depth */
	uint32_t ends[DEPTH_MAX];
	unsigned depth;
	struct base bases[BASES_MAX];
	unsigned base_count;
};

static void push(struct look *l, uint32_t i)
{
	const struct pf__tree *t = &l->s->tree;
	const char *name = t->names + t->dirs[i].name;
	size_t at = 0, n = strlen(name);

	/* the index was checked: neither too deep nor too long */
	if (i) {
		at = l->lens[l->depth] + (l->lens[l->depth] > 0);
		l->depth++;
	}
	if (at)
		l->path[at - 1] = '/';
	memcpy(l->path + at, name, n + 1);
	l->lens[l->depth] = at + n;
	l->ends[l->depth] = t->dirs[i].end;
}

static void hold_base(struct look *l, uint32_t end, int from, const char *name)
{
	int fd;

	if (l->base_count == BASES_MAX)
		return;
	fd = openat(from, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		l->bases[l->base_count++] = (struct base){fd, end, l->lens[l->depth]};
}

/* What i, which is not the first, is in. */
static void begin_at(struct look *l, uint32_t i)
{
	uint32_t chain[DEPTH_MAX], n = 0;

	for (; i; i = l->s->tree.dirs[i].up)
		chain[n++] = l->s->tree.dirs[i].up;
	while (n)
		push(l, chain[--n]);
	if (l->depth)
		hold_base(l, l->ends[l->depth], l->s->ws_fd, l->path);
}

static void look_at(struct look *l, uint32_t i)
{
	struct pf_scan *s = l->s;
	const struct pf__dir *d = &s->tree.dirs[i];
	const struct base *b;
	const char *name;
	struct stat st;
	int from;

	while (l->depth && l->ends[l->depth] <= i)
		l->depth--;
	while (l->base_count && l->bases[l->base_count - 1].end <= i)
		close(l->bases[--l->base_count].fd);
	push(l, i);
	b = l->base_count ? &l->bases[l->base_count - 1] : NULL;
	from = b ? b->fd : s->ws_fd;
	name = i ? l->path + (b ? b->len + 1 : 0) : ".";
	if (!(d->flags & PF__DIR_AGAIN) &&
	    fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0 && S_ISDIR(st.st_mode) &&
	    st.st_dev == s->dev && st.st_ino == d->ino && pf__ws_ctime_ns(&st) == d->ctime_ns)
		s->shared->state[i] = PF__DIR_HOLDS;
	else
		s->shared->state[i] = PF__DIR_CHANGED;
	if (i && d->end - i >= BASE_MIN)
		hold_base(l, d->end, from, name);
}

static void look_at_piece(struct pf_scan *s, uint32_t from, uint32_t to)
{
	struct look l;

	l.s = s;
	l.depth = l.base_count = 0;
	l.lens[0] = 0;
	if (from)
		begin_at(&l, from);
	for (uint32_t i = from; i < to; i++)
		look_at(&l, i);
	while (l.base_count)
		close(l.bases[--l.base_count].fd);
}

/* False when there was none left. */
static bool take_piece(struct pf_scan *s)
{
	uint32_t count = (uint32_t)s->tree.dir_count;
	uint32_t from = __atomic_fetch_add(&s->shared->next, PIECE, __ATOMIC_RELAXED);

	if (from >= count)
		return false;
	look_at_piece(s, from, count - from < PIECE ? count : from + PIECE);
	return true;
}

bool pf_scan_check(struct pf_scan *s, unsigned directories)
{
	if (!s->warm)
		return true;
	for (; directories; directories -= directories < PIECE ? directories : PIECE)
		if (!take_piece(s))
			return true;
	return __atomic_load_n(&s->shared->next, __ATOMIC_RELAXED) >= s->tree.dir_count;
}

/* --- with the help of other CPUs --------------------------------------------------------- */

static void helper(struct pf_scan *s, pid_t parent) __attribute__((noreturn));
static void helper(struct pf_scan *s, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	while (getppid() == parent && take_piece(s))
		;
	_exit(0);
}

/* No signal comes when one ends (the 0 among the flags): who uses the library may have a handler for its own.
 */
static void start_helpers(struct pf_scan *s, int n)
{
	pid_t parent = getpid(), pid;

	while (n-- > 0 && s->helper_count < PF__SCAN_HELPERS) {
		pid = (pid_t)syscall(SYS_clone, 0, 0, 0, 0, 0);
		if (pid == 0)
			helper(s, parent);
		if (pid < 0)
			return; /* then it is done without */
		s->helpers[s->helper_count++] = pid;
	}
}

static int cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* Two CPUs are for the caller and for what it builds meanwhile: a third has nothing to do. */
int pf__scan_check_begin(struct pf_scan *s)
{
	s->shared_size = sizeof(*s->shared) + s->tree.dir_count;
	s->shared = mmap(NULL, s->shared_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->shared == MAP_FAILED) {
		s->shared = NULL;
		return -ENOMEM;
	}
	if (s->tree.dir_count >= HELP_MIN)
		start_helpers(s, cpus() - 2);
	return 0;
}

/* What others have taken and not done is done here: on a busy machine they may not run for a while. */
static size_t do_the_rest(struct pf_scan *s)
{
	uint32_t count = (uint32_t)s->tree.dir_count;
	size_t changed = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (s->shared->state[i] == PF__DIR_UNKNOWN)
			look_at_piece(s, i, count - i < PIECE ? count : i + PIECE);
		changed += s->shared->state[i] == PF__DIR_CHANGED;
	}
	return changed;
}

/* Now whoever was built waits for us, and its CPU is free. */
size_t pf__scan_check_end(struct pf_scan *s)
{
	uint32_t next = __atomic_load_n(&s->shared->next, __ATOMIC_RELAXED);

	if (s->helper_count == 0 && next + HELP_MIN <= s->tree.dir_count)
		start_helpers(s, cpus() - 1);
	while (take_piece(s))
		;
	return do_the_rest(s);
}

void pf__scan_check_free(struct pf_scan *s)
{
	while (s->helper_count) {
		pid_t pid = s->helpers[--s->helper_count];

		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
			;
	}
	if (s->shared)
		munmap(s->shared, s->shared_size);
}
