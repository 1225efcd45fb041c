/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From entries that passed the check to steps: what is done to each, to whom it will belong, with which mode.
 * And which of the caller's directories are shut for himself, as module caches are: the sandbox could open
 * them, so apply does for a while.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "workspace/apply_internal.h"

/* The directory that entries stand in, as it will be. */
struct parent {
	char path[PF__WS_PATH_MAX];
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

void pf__apply_plan_free(struct pf__plan *p)
{
	for (size_t i = 0; i < p->shut_count; i++)
		free(p->shut[i].path);
	free(p->shut);
	free(p->steps);
	pf_list_free(&p->only);
	*p = (struct pf__plan){0};
}

int pf__apply_plan_shut(struct pf__plan *p, const char *path, mode_t mode)
{
	struct pf__shut *more = realloc(p->shut, (p->shut_count + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	p->shut = more;
	more[p->shut_count] = (struct pf__shut){strdup(path), mode};
	if (!more[p->shut_count].path)
		return -ENOMEM;
	p->shut_count++;
	return 0;
}

/* A directory that is there, in which something is to be done, or that is to be moved itself (for which the
 * kernel wants the right to write it). */
static int note_shut(struct pf__apply *a, const char *path, const struct stat *st)
{
	if (a->as_root || st->st_uid != geteuid() || (st->st_mode & 0300) == 0300)
		return 0;
	/* one that comes twice is opened and shut twice, which does no harm */
	if (a->plan.shut_count && strcmp(a->plan.shut[a->plan.shut_count - 1].path, path) == 0)
		return 0;
	return pf__apply_plan_shut(&a->plan, path, st->st_mode & PF__WS_MODE_BITS) < 0
		       ? pf__apply_no_memory(a)
		       : 0;
}

static void split(const char *path, char parent[PF__WS_PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	memcpy(parent, path, n);
	parent[n] = '\0';
}

/* Entries come sorted, so mostly the parent is the one of before. */
static int find_parent(struct pf__apply *a, const char *path, struct parent *p, bool *known)
{
	PF_AUTO_CLOSE int fd = -1;
	char dir[PF__WS_PATH_MAX];
	struct stat st;
	ssize_t i;

	split(path, dir);
	if (*known && strcmp(dir, p->path) == 0)
		return 0;
	strcpy(p->path, dir);
	*known = true;
	i = *dir ? pf__change_find(a->c, dir) : -1;
	if (i >= 0 && a->plan.steps[i].kind == PF__STEP_PUT) {
		const struct pf__step *s = &a->plan.steps[i];

		p->mode = s->mode;
		p->uid = s->uid;
		p->gid = s->gid;
		return 0;
	}
	fd = pf__ws_open(a->ws_fd, dir, O_PATH | O_DIRECTORY);
	if (fd < 0)
		return pf__apply_cannot(a, fd, "open the directory of", path);
	if (fstat(fd, &st) < 0)
		return pf__apply_cannot(a, -errno, "look at the directory of", path);
	p->mode = st.st_mode;
	p->uid = st.st_uid;
	p->gid = st.st_gid;
	return note_shut(a, dir, &st);
}

/* A modified file keeps its owner, a new one belongs to the owner of its directory. As a user all is ours,
 * and the group is what open(2) would have given it there. */
static void set_owner(const struct pf__apply *a, const struct pf_change *c, const struct parent *p,
		      struct pf__step *s)
{
	bool keep = c->op == PF_MODIFIED && S_ISREG(s->was.mode) && S_ISREG(c->mode);

	s->uid = keep ? s->was.uid : p->uid;
	s->gid = keep ? s->was.gid : p->gid;
	if (a->as_root)
		return;
	s->uid = geteuid();
	if (!keep && !(p->mode & S_ISGID))
		s->gid = getegid();
}

static int plan_one(struct pf__apply *a, size_t i, struct parent *p, bool *known)
{
	const struct pf_change *c = &a->c->items[i];
	struct pf__step *s = &a->plan.steps[i];
	int r = find_parent(a, c->path, p, known);

	if (r < 0)
		return r;
	s->mode = pf__apply_mode(c, p->mode);
	set_owner(a, c, p, s);
	if (c->op == PF_DELETED)
		s->kind = S_ISDIR(s->was.mode) ? PF__STEP_RMDIR : PF__STEP_REMOVE;
	else if (S_ISDIR(c->mode) && S_ISDIR(s->was.mode))
		s->kind = PF__STEP_META;
	else if (c->op == PF_MODIFIED && !c->content)
		s->kind = PF__STEP_META;
	else
		s->kind = PF__STEP_PUT;
	/* Another name of somebody else's file: its mode is not this workspace's to set, root or not. */
	if (s->kind == PF__STEP_META && a->as_root && S_ISREG(s->was.mode) && s->was.nlink > 1 &&
	    s->was.uid != p->uid)
		return pf__apply_cannot(a, -EPERM, "set the mode of another user's file", c->path);
	if (s->kind == PF__STEP_PUT && s->was.exists && S_ISDIR(s->was.mode)) {
		struct stat st = {.st_uid = s->was.uid, .st_mode = s->was.mode};

		return note_shut(a, c->path, &st);
	}
	return 0;
}

static int cmp_stamps(const void *x, const void *y)
{
	int64_t p = *(const int64_t *)x, q = *(const int64_t *)y;

	return p < q ? -1 : p > q;
}

int pf__apply_stamps(struct pf__apply *a)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	a->now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	a->stamps = calloc(a->c->count + 1, sizeof(*a->stamps));
	if (!a->stamps)
		return pf__apply_no_memory(a);
	for (size_t i = 0; i < a->c->count; i++) {
		if (a->plan.steps[i].kind == PF__STEP_PUT && S_ISREG(a->c->items[i].mode))
			a->stamps[a->stamp_count++] = a->c->items[i].mtime_ns;
	}
	qsort(a->stamps, a->stamp_count, sizeof(*a->stamps), cmp_stamps);
	return 0;
}

/* A name that is not asked for now, but that an apply put there before? */
static int applied_before(struct pf__apply *a, size_t i)
{
	const struct pf_change *c = &a->c->items[i];
	PF_AUTO_CLOSE int parent = -1;
	const char *leaf;
	struct stat st;
	int same;

	if (a->todo[i] != PF__DO_NOT)
		return 0;
	parent = pf__ws_open_parent(a->ws_fd, c->path, &leaf);
	if (parent < 0 || pf__ws_stat(parent, leaf, &st) < 0 || !pf__apply_ours(a, c->path, &st))
		return 0;
	same = pf__apply_same(a, c, parent, leaf, &st);
	if (same == 1)
		pf__was_of(&a->plan.steps[i].was, &st);
	return same;
}

static int find_names(struct pf__apply *a)
{
	a->names = calloc(a->c->link_count + 1, sizeof(*a->names));
	if (!a->names)
		return pf__apply_no_memory(a);
	for (size_t i = a->c->count; i-- > 0;) {
		uint64_t link = a->c->items[i].link;
		int before = link && a->plan.only.count ? applied_before(a, i) : 0;

		if (before < 0)
			return before;
		if (link && (a->todo[i] == PF__DO_DONE || before))
			a->names[link - 1].done = i + 1;
		else if (link && a->plan.steps[i].kind == PF__STEP_PUT)
			a->names[link - 1].put = i + 1;
	}
	return 0;
}

/* STAGE needs the workspace itself open. */
static int shut_root(struct pf__apply *a)
{
	struct stat st;

	if (fstat(a->ws_fd, &st) < 0)
		return pf__apply_cannot(a, -errno, "look at", a->c->workspace);
	return note_shut(a, "", &st);
}

int pf__apply_plan(struct pf__apply *a)
{
	struct parent p = {0};
	bool known = false;
	int r = shut_root(a);

	for (size_t i = 0; i < a->c->count && r == 0; i++) {
		if (a->todo[i] == PF__DO_WRITE)
			r = plan_one(a, i, &p, &known);
	}
	if (r == 0)
		r = find_names(a);
	return r < 0 ? r : pf__apply_stamps(a);
}
