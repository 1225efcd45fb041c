/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Views that are kept, in STATE/cache/views:
 *
 *	v-KEY-PRINT   a view; KEY is what was asked for, PRINT the state of the trees that may change
 *	marks-KEY     what makes PRINT: every directory that has a program in it or below
 *	rest-KEY      all other directories, ten times as many: looked at once a second (its own time is when)
 *	lock          held by whoever makes or removes one
 *	.new-...      half made; whoever holds the lock removes those of the dead
 *
 * A view is written to disk before it gets its name: half of one, after a power cut, would show what
 * it should cover.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sha256.h"
#include "base/str.h"
#include "view/place.h"
#include "view/scan.h"

#define MARKS_MAX    (8u << 20)
#define APPROVED_MAX 8192u
#define VIEWS_MAX    24u

struct cache {
	const struct pf_view_want *want;
	int dir;	/* views */
	int refuse;	/* pinfold-refuse */
	char path[600]; /* of views */
	char key[17];
	bool changes; /* some tree may change */
	struct pf_error *err;
};

/* --- names ----------------------------------------------------------------------------------- */

static void add_text(struct pf_sha256 *h, const char *s)
{
	pf_sha256_add(h, s ? s : "", s ? strlen(s) + 1 : 1);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int make_key(struct cache *c)
{
	const struct pf_view_want *w = c->want;
	const uint32_t version[] = {VIEW_VERSION, (uint32_t)geteuid()};
	struct pf_list sorted = {0};
	char text[PF_DIGEST_MAX];
	struct pf_sha256 h;
	struct stat st;
	size_t i;

	if (fstat(c->refuse, &st) < 0)
		return pf_fail_errno(c->err, "cannot look at pinfold-refuse");
	if (pf_list_copy(&sorted, w->allow) < 0) {
		pf_list_free(&sorted);
		return pf_fail(c->err, -ENOMEM, "out of memory");
	}
	qsort(sorted.items, sorted.count, sizeof(*sorted.items), by_text);
	pf_sha256_init(&h);
	pf_sha256_add(&h, version, sizeof(version));
	pf_sha256_add(&h, &st.st_ino, sizeof(st.st_ino));
	pf_sha256_add(&h, &st.st_size, sizeof(st.st_size));
	pf_sha256_add(&h, &st.st_mtim, sizeof(st.st_mtim));
	add_text(&h, w->path);
	for (i = 0; i < w->tree_count; i++) {
		add_text(&h, w->trees[i].at);
		add_text(&h, w->trees[i].digest);
		add_text(&h, w->trees[i].plain ? "plain" : "");
		c->changes |= !w->trees[i].digest;
	}
	for (i = 0; i < w->link_count; i++) {
		add_text(&h, w->links[i].at);
		add_text(&h, w->links[i].target);
	}
	for (i = 0; i < w->allow->count; i++)
		add_text(&h, sorted.items[i]);
	pf_list_free(&sorted);
	pf_sha256_end_text(&h, text);
	memcpy(c->key, text + strlen("sha256:"), 16);
	c->key[16] = '\0';
	return 0;
}

static int open_cache(struct cache *c)
{
	char path[600];
	int r;

	snprintf(c->path, sizeof(c->path), "%s/cache/views", c->want->state);
	if ((r = pf_mkdir_p(c->path, 0700)) < 0)
		return pf_fail(c->err, r, "cannot make %s: %s", c->path, strerror(-r));
	c->dir = open(c->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (c->dir < 0)
		return pf_fail_errno(c->err, "cannot open %s", c->path);
	snprintf(path, sizeof(path), "%s/pinfold-refuse", c->want->libexec);
	c->refuse = open(path, O_RDONLY | O_CLOEXEC);
	return c->refuse < 0 ? pf_fail_errno(c->err, "pinfold is not installed whole: cannot open %s", path)
			     : make_key(c);
}

/* --- a view that is there ----------------------------------------------------------------------- */

/* The first line has the counts; the rest is what pinfold-refuse says. */
static int read_approved(int dir, struct pf_view *v)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	int r = pf_read_file(dir, "approved", &b, APPROVED_MAX), n = 0;

	if (r < 0)
		return r;
	if (!b.data || sscanf(b.data, "%zu %zu\n%n", &v->programs, &v->refused, &n) != 2 || n == 0)
		return -EBADMSG;
	return pf_buf_add(&v->approved, b.data + n, b.len - (size_t)n);
}

/* 0, or -ENOENT: it is not there, or about to be removed. */
static int open_view(struct cache *c, const char *name, struct pf_view *out)
{
	struct pf_view v = PF_VIEW_NONE;
	struct stat open_st, st;

	v.lock = openat(c->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (v.lock < 0)
		return -ENOENT;
	if (flock(v.lock, LOCK_SH | LOCK_NB) < 0 || fstat(v.lock, &open_st) < 0 ||
	    fstatat(c->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_ino != open_st.st_ino ||
	    read_approved(v.lock, &v) < 0) {
		pf_view_free(&v);
		return -ENOENT;
	}
	snprintf(v.name, sizeof(v.name), "%s", name);
	snprintf(v.dir, sizeof(v.dir), "%s/%s", c->path, name);
	*out = v;
	return 0;
}

static void name_view(const struct cache *c, const char *print, char out[64])
{
	snprintf(out, 64, "v-%s-%s", c->key, print);
}

/* Is everything beside the marks as it was, as of a second ago? */
static bool rest_holds(struct cache *c)
{
	PF_AUTO_BUF struct pf_buf rest = {0};
	struct timespec now;
	struct stat st;
	char file[32];

	snprintf(file, sizeof(file), "rest-%s", c->key);
	clock_gettime(CLOCK_REALTIME, &now);
	if (fstatat(c->dir, file, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	if (now.tv_sec - st.st_mtim.tv_sec <= 1 && now.tv_sec >= st.st_mtim.tv_sec)
		return true;
	if (pf_read_file(c->dir, file, &rest, MARKS_MAX) < 0 || !pf__marks_hold(c->want, rest.data, rest.len))
		return false;
	return utimensat(c->dir, file, NULL, AT_SYMLINK_NOFOLLOW) == 0;
}

static int find_view(struct cache *c, struct pf_view *out)
{
	PF_AUTO_BUF struct pf_buf marks = {0};
	char file[32], print[17] = "0", name[64];

	if (c->changes) {
		snprintf(file, sizeof(file), "marks-%s", c->key);
		if (pf_read_file(c->dir, file, &marks, MARKS_MAX) < 0 ||
		    pf__marks_digest(c->want, marks.data, marks.len, true, print) < 0 || !rest_holds(c))
			return -ENOENT;
	}
	name_view(c, print, name);
	return open_view(c, name, out);
}

/* --- a new one ------------------------------------------------------------------------------------ */

int pf__refuse_copy(struct pf__scan *s)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	PF_AUTO_CLOSE int fd = -1;
	char name[24];
	int r = lseek(s->refuse, 0, SEEK_SET) < 0 ? -errno : pf_read_fd(s->refuse, &b, 4u << 20);

	if (r < 0 || b.len < 64 || memcmp(b.data, "\177ELF", 4) != 0)
		return pf_fail(s->err, r < 0 ? r : -ENOEXEC, "cannot read pinfold-refuse");
	memcpy(b.data + PF_REFUSE_MARK_AT, PF_REFUSE_MARK, sizeof(PF_REFUSE_MARK) - 1);
	snprintf(name, sizeof(name), PF_REFUSE_FILE, s->copies++);
	fd = openat(s->out, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0700);
	if (fd < 0 || (r = pf_write_full(fd, b.data, b.len)) < 0 || fchmod(fd, 0755) < 0)
		return pf_fail_errno(s->err, "cannot copy pinfold-refuse");
	return 0;
}

static int write_list(struct pf__scan *s)
{
	PF_AUTO_BUF struct pf_buf list = {0}, approved = {0};
	const struct pf_list *allow = s->want->allow;
	char path[PATH_MAX], why[PATH_MAX];
	size_t i;
	int r;

	for (i = 0; i < s->list->count; i++) {
		const struct pf_view_entry *e = &s->list->items[i];

		/* of an image: a name may have anything in it */
		pf_printable(e->path, strlen(e->path), path, sizeof(path));
		pf_printable(e->why, strlen(e->why), why, sizeof(why));
		pf_buf_addf(&list, "%s\t%s\t%s\n", path, e->any_code ? "any" : "-", why);
	}
	pf_buf_addf(&approved, "%zu %zu\n", s->list->count, s->refused);
	for (i = 0; i < allow->count && approved.len < APPROVED_MAX - 600; i++)
		pf_buf_addf(&approved, "%s%.500s", i ? ", " : "", allow->items[i]);
	if (i < allow->count)
		pf_buf_adds(&approved, ", ...");
	if (list.failed || approved.failed)
		return pf_fail(s->err, -ENOMEM, "out of memory");
	if ((r = pf_replace_file(s->out, "list", list.data, list.len, 0600)) < 0 ||
	    (r = pf_replace_file(s->out, "approved", approved.data, approved.len, 0600)) < 0)
		return pf_fail(s->err, r, "cannot write the view's list: %s", strerror(-r));
	return 0;
}

static int scan_trees(struct pf__scan *s)
{
	const struct pf_view_want *w = s->want;
	int r = 0;

	for (unsigned i = 0; i < w->tree_count && r == 0; i++) {
		char name[16];

		if (w->trees[i].plain)
			continue;
		snprintf(name, sizeof(name), "%u", i);
		s->tree = &w->trees[i];
		s->tree_index = i;
		if (mkdirat(s->out, name, 0700) < 0 ||
		    (s->top = openat(s->out, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
			return pf_fail_errno(s->err, "cannot make a view");
		r = pf__view_scan(s);
		close(s->top);
	}
	return r;
}

static int fill(struct cache *c, int out, struct pf__scan *done)
{
	struct pf_view_list list = {0};
	struct pf__scan s = {.want = c->want, .list = &list, .out = out, .refuse = c->refuse, .err = c->err};
	int r = pf_view_close(c->want, &list, c->err);

	clock_gettime(CLOCK_REALTIME_COARSE, &s.began);
	if (r == 0 && (r = scan_trees(&s)) == 0)
		r = write_list(&s);
	pf_view_list_free(&list);
	*done = s;
	if (r == 0 && (s.marks.failed || s.rest.failed))
		r = pf_fail(c->err, -ENOMEM, "out of memory");
	if (r == 0 && syncfs(out) < 0)
		r = pf_fail_errno(c->err, "cannot write the view");
	return r;
}

/* The marks of a key go with its last view, or are made anew without it. */
static void remove_marks(const struct cache *c, const char *view)
{
	char file[64];

	snprintf(file, sizeof(file), "marks-%.16s", view + 2);
	unlinkat(c->dir, file, 0);
	snprintf(file, sizeof(file), "rest-%.16s", view + 2);
	unlinkat(c->dir, file, 0);
}

/* The lock is ours: what is half made has nobody any more. Of views those that nobody uses go if they are of
 * the same key, or too many. */
static unsigned sweep(const struct cache *c, const char *keep, bool all)
{
	int copy = openat(c->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	PF_AUTO_DIR DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;
	unsigned others = 0, removed = 0;

	while (d && (e = readdir(d))) {
		PF_AUTO_CLOSE int fd = -1;

		if (pf_has_prefix(e->d_name, ".new-")) {
			pf_remove_tree(c->dir, e->d_name);
			continue;
		}
		if (!pf_has_prefix(e->d_name, "v-") || (keep && strcmp(e->d_name, keep) == 0))
			continue;
		if (!all && strncmp(e->d_name + 2, c->key, 16) != 0 && ++others < VIEWS_MAX)
			continue;
		fd = openat(c->dir, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
			char gone[300];

			snprintf(gone, sizeof(gone), ".new-%s",
				 e->d_name); /* half of one must not be found */
			if (renameat(c->dir, e->d_name, c->dir, gone) == 0)
				pf_remove_tree(c->dir, gone);
			if (all || strncmp(e->d_name + 2, c->key, 16) != 0)
				remove_marks(c, e->d_name);
			removed++;
		}
	}
	if (!d && copy >= 0)
		close(copy);
	return removed;
}

static int put_marks(struct cache *c, const char *what, const struct pf_buf *marks)
{
	char file[32];

	snprintf(file, sizeof(file), "%s-%s", what, c->key);
	return pf_replace_file(c->dir, file, marks->data ? marks->data : "", marks->len, 0600);
}

static int name_new(struct cache *c, const char *made, const struct pf__scan *s, char name[64])
{
	char print[17] = "0";
	int r = 0;

	if (c->changes) {
		r = pf__marks_digest(c->want, s->marks.data, s->marks.len, false, print);
		/* what changed while it was looked at may change again unseen: this run has the view, none
		 * later */
		if (r == 0 && !s->young && (r = put_marks(c, "rest", &s->rest)) == 0)
			r = put_marks(c, "marks", &s->marks);
		if (r < 0)
			return pf_fail(c->err, r, "cannot write the marks of a view: %s", strerror(-r));
	}
	name_view(c, print, name);
	if (renameat(c->dir, made, c->dir, name) == 0)
		return 0;
	/* the same directories of programs, as they are now: it is the same view, and may be in use */
	if (errno != EEXIST && errno != ENOTEMPTY)
		return pf_fail_errno(c->err, "cannot keep the view");
	pf_remove_tree(c->dir, made);
	return 0;
}

static int build(struct cache *c, struct pf_view *out)
{
	struct pf__scan s = {0};
	PF_AUTO_CLOSE int dir = -1;
	char made[40], name[64];
	int r;

	snprintf(made, sizeof(made), ".new-%d", (int)getpid());
	if (c->want->progress)
		dprintf(2, "pinfold: first use of this list of commands here: looking for programs\n");
	if (mkdirat(c->dir, made, 0755) < 0 ||
	    (dir = openat(c->dir, made, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return pf_fail_errno(c->err, "cannot make a view in %s", c->path);
	r = fill(c, dir, &s);
	if (r == 0)
		r = name_new(c, made, &s, name);
	pf_buf_free(&s.marks);
	pf_buf_free(&s.rest);
	if (r < 0) {
		pf_remove_tree(c->dir, made);
		return r;
	}
	sweep(c, name, false);
	r = open_view(c, name, out);
	return r < 0 ? pf_fail(c->err, r, "the view that was made cannot be used: %s", strerror(-r)) : 0;
}

static int lock_cache(struct cache *c)
{
	PF_AUTO_CLOSE int fd = openat(c->dir, "lock", O_CREAT | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r;

	do
		r = fd < 0 ? -1 : flock(fd, LOCK_EX);
	while (r < 0 && errno == EINTR);
	return r < 0 ? pf_fail_errno(c->err, "cannot lock %s", c->path) : pf_take_fd(&fd);
}

static int get(struct cache *c, struct pf_view *out)
{
	PF_AUTO_CLOSE int lock = -1;
	int r;

	if ((r = open_cache(c)) < 0 || find_view(c, out) == 0)
		return r;
	if ((lock = lock_cache(c)) < 0)
		return lock;
	if (find_view(c, out) == 0) /* somebody made it while we waited */
		return 0;
	sweep(c, "", false);
	return build(c, out);
}

int pf_view_get(const struct pf_view_want *want, struct pf_view *out, struct pf_error *err)
{
	struct pf_error own = {0};
	struct cache c = {.want = want, .dir = -1, .refuse = -1, .err = err ? err : &own};
	int r = get(&c, out);

	if (c.dir >= 0)
		close(c.dir);
	if (c.refuse >= 0)
		close(c.refuse);
	return r;
}

void pf_view_free(struct pf_view *v)
{
	if (v->lock >= 0)
		close(v->lock);
	pf_buf_free(&v->approved);
	*v = PF_VIEW_NONE;
}

int pf_view_clean(const char *state, unsigned *removed)
{
	const struct pf_view_want want = {.state = state};
	struct pf_error err = {0};
	struct cache c = {.want = &want, .err = &err};
	PF_AUTO_CLOSE int dir = -1, lock = -1;

	*removed = 0;
	snprintf(c.path, sizeof(c.path), "%s/cache/views", state);
	c.dir = dir = open(c.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? 0 : -errno;
	if ((lock = lock_cache(&c)) < 0)
		return lock;
	*removed = sweep(&c, NULL, true);
	return 0;
}
