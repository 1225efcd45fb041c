/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A change set as one patch against the user's directory as it is now. Directories have no place in
 * git's format, nor have most modes, FIFOs, sockets and devices: they become notes.
 *
 * An added path is always shown against nothing: if the workspace has a file of that name, it is one
 * that the sandbox never saw (a hidden secret, say), and its content does not belong in the output. A
 * note says that it is there.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "workspace/diff_internal.h"

#define TEXT_MAX  (64u << 20) /* larger files are only named */
#define SNIFF_MAX 8000u	      /* git's rule: a NUL in the first 8,000 bytes makes a file binary */

struct diff {
	const struct pf_changeset *c;
	int set_fd, ws_fd;
	struct pf__sink sink;
	struct pf_list *notes; /* or NULL */
	struct pf_error *err;
};

static void doc_free(struct pf__doc *d)
{
	if (d->fd >= 0)
		close(d->fd);
	pf_buf_free(&d->owned);
}

static mode_t git_mode(mode_t mode)
{
	return S_ISLNK(mode) ? 0120000 : mode & S_IXUSR ? 0100755 : 0100644;
}

bool pf__doc_differ(const struct pf__doc *a, const struct pf__doc *b)
{
	if (a->size != b->size)
		return true;
	if (a->binary != b->binary)
		return true;
	if (a->binary)
		return pf__ws_same_bytes(a->fd, b->fd, a->size) != 1;
	return a->size && memcmp(a->text.s, b->text.s, a->size) != 0;
}

/* Takes fd. */
static int doc_load(struct pf__doc *d, int fd, uint64_t size, mode_t mode)
{
	char head[SNIFF_MAX];
	ssize_t n;
	int r;

	*d = (struct pf__doc){.mode = git_mode(mode), .fd = fd, .size = size};
	n = pread(fd, head, sizeof(head), 0);
	if (n < 0)
		return -errno;
	d->binary = size > TEXT_MAX || memchr(head, '\0', (size_t)n);
	if (d->binary)
		return 0;
	r = pf_read_fd(fd, &d->owned, TEXT_MAX);
	if (r < 0)
		return r;
	close(fd);
	d->fd = -1;
	d->size = d->owned.len;
	d->text = (struct pf__text){d->owned.data ? d->owned.data : "", d->owned.len};
	return 0;
}

static int doc_link(struct pf__doc *d, const char *target)
{
	int r = pf_buf_adds(&d->owned, target);

	d->mode = 0120000;
	d->size = d->owned.len;
	d->text = (struct pf__text){d->owned.data ? d->owned.data : "", d->owned.len};
	return r;
}

/* What the workspace has now; what cannot be opened beneath it without following a link counts as absent. */
static int load_old(const struct diff *x, const char *path, struct pf__doc *d)
{
	char target[PF__WS_PATH_MAX];
	PF_AUTO_CLOSE int parent = -1;
	const char *leaf;
	struct stat st;
	int fd;

	*d = (struct pf__doc){.fd = -1};
	parent = pf__ws_open_parent(x->ws_fd, path, &leaf);
	if (parent < 0 || pf__ws_stat(parent, leaf, &st) < 0)
		return 0;
	if (S_ISLNK(st.st_mode))
		return pf__ws_readlink(parent, leaf, target) == 0 ? doc_link(d, target) : 0;
	if (!S_ISREG(st.st_mode))
		return 0;
	fd = pf__ws_open_file(parent, leaf, &st);
	return fd < 0 ? fd : doc_load(d, fd, (uint64_t)st.st_size, st.st_mode);
}

static int load_new(const struct diff *x, const struct pf_change *c, const struct pf__doc *old,
		    struct pf__doc *d)
{
	int fd;

	*d = (struct pf__doc){.fd = -1};
	if (c->op == PF_MODIFIED && !c->content) {
		/* the same bytes under another mode */
		if (!old->mode || S_ISLNK(c->mode) || S_ISDIR(c->mode))
			return 0;
		*d = *old;
		d->owned = (struct pf_buf){0};
		d->mode = git_mode(c->mode);
		d->fd = old->fd >= 0 ? fcntl(old->fd, F_DUPFD_CLOEXEC, 0) : -1;
		return old->fd >= 0 && d->fd < 0 ? -errno : 0;
	}
	if (c->target)
		return doc_link(d, c->target);
	if (c->op == PF_DELETED || !S_ISREG(c->mode) || !c->blob)
		return 0;
	fd = pf__change_open_blob(x->set_fd, c, x->err);
	return fd < 0 ? fd : doc_load(d, fd, c->size, c->mode);
}

static bool plain_mode_change(const struct pf_change *c)
{
	return c->op == PF_MODIFIED && !c->content;
}

static int put_pair(struct diff *x, const struct pf_change *c, const struct pf__doc *old,
		    const struct pf__doc *new)
{
	static const struct pf__doc none = {.fd = -1};
	int r;

	if (c->op == PF_ADDED)
		return old->mode == new->mode && !pf__doc_differ(old, new)
			       ? 0
			       : pf__diff_put(&x->sink, c->path, &none, new);
	if (plain_mode_change(c) && !new->mode)
		return 0;
	if (!old->mode || !new->mode || S_ISLNK(old->mode) == S_ISLNK(new->mode))
		return pf__diff_put(&x->sink, c->path, old, new);
	/* git knows no patch from a file to a link: one goes, the other comes */
	r = pf__diff_put(&x->sink, c->path, old, &none);
	return r < 0 ? r : pf__diff_put(&x->sink, c->path, &none, new);
}

/* --- what the patch does not show ----------------------------------------------------- */

static int note(struct diff *x, const struct pf_change *c, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int note(struct diff *x, const struct pf_change *c, const char *fmt, ...)
{
	char text[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return pf_list_addf(x->notes, "%s: %s", c->path, text);
}

static const char *unheld_type(mode_t mode)
{
	return S_ISFIFO(mode)			? "a FIFO"
	       : S_ISSOCK(mode)			? "a socket"
	       : S_ISCHR(mode) || S_ISBLK(mode) ? "a device"
						: NULL;
}

/* Would git apply give the entry another mode than the change does? Group write is a matter of the umask. */
static bool mode_is_lost(const struct pf_change *c)
{
	mode_t bits = c->mode & PF__WS_MODE_BITS, was = c->old_mode & PF__WS_MODE_BITS;
	bool usual = S_ISDIR(c->mode) ? (bits & ~(mode_t)0020) == 0755
				      : (bits & ~(mode_t)0020) == 0644 || (bits & ~(mode_t)0020) == 0755;

	if (S_ISLNK(c->mode) || !c->mode)
		return false;
	if (c->op == PF_ADDED || (c->mode & S_IFMT) != (c->old_mode & S_IFMT))
		return !usual;
	if (bits == was)
		return false;
	return !usual || S_ISDIR(c->mode) || git_mode(c->mode) == git_mode(c->old_mode);
}

/* A directory that comes or goes without anything in it of which a patch could speak. */
static bool empty_dir(const struct diff *x, const struct pf_change *c)
{
	size_t n = strlen(c->path), next = (size_t)(c - x->c->items) + 1;
	mode_t dir = c->op == PF_DELETED ? c->old_mode : c->mode;

	if (!S_ISDIR(dir) || (c->op == PF_MODIFIED && !c->content))
		return false;
	return next == x->c->count || strncmp(x->c->items[next].path, c->path, n) != 0 ||
	       x->c->items[next].path[n] != '/';
}

static int note_change(struct diff *x, const struct pf_change *c)
{
	PF_AUTO_CLOSE int parent = -1;
	const char *leaf, *type = unheld_type(c->mode ? c->mode : c->old_mode);
	struct stat st = {0};
	bool there, same_type;
	int r = 0;

	parent = pf__ws_open_parent(x->ws_fd, c->path, &leaf);
	there = parent >= 0 && pf__ws_stat(parent, leaf, &st) == 0;
	same_type = there && (st.st_mode & S_IFMT) == (c->mode & S_IFMT);
	/* what is as it should be already is no difference */
	if (c->op == PF_DELETED)
		return !there		 ? 0
		       : type		 ? note(x, c, "%s goes (a patch cannot hold it)", type)
		       : empty_dir(x, c) ? note(x, c, "an empty directory goes (a patch cannot hold it)")
					 : 0;
	if (type && !same_type)
		r = note(x, c, "%s (a patch cannot hold it)", type);
	if (r == 0 && !type && empty_dir(x, c) && !same_type)
		r = note(x, c, "an empty directory (a patch cannot hold it)");
	if (r == 0 && mode_is_lost(c) && !(same_type && !((st.st_mode ^ c->mode) & PF__WS_MODE_BITS)))
		r = note(x, c, "mode %o (a patch cannot hold it)", (unsigned)(c->mode & PF__WS_MODE_BITS));
	if (r == 0 && (c->attrs_differ || (c->op == PF_ADDED && c->attrs.count)))
		r = note(x, c, "extended attributes (a patch cannot hold them)");
	else if (r == 0 && plain_mode_change(c) && c->mode == c->old_mode)
		r = note(x, c, "owner %u:%u (a patch cannot hold it)", c->uid, c->gid);
	return r;
}

/* Something is where the sandbox put a new entry. Its content is the user's and does not show. */
static int note_in_the_way(struct diff *x, const struct pf_change *c, const struct pf__doc *old,
			   const struct pf__doc *new)
{
	PF_AUTO_CLOSE int parent = -1;
	const char *leaf;
	struct stat st;

	if (S_ISDIR(c->mode))
		return 0;
	parent = pf__ws_open_parent(x->ws_fd, c->path, &leaf);
	if (parent < 0 || pf__ws_stat(parent, leaf, &st) < 0)
		return 0;
	if (unheld_type(c->mode) && (st.st_mode & S_IFMT) == (c->mode & S_IFMT))
		return 0; /* applied already, or the same by chance */
	if (old->mode && new->mode && S_ISLNK(old->mode) == S_ISLNK(new->mode) && !pf__doc_differ(old, new))
		return 0;
	if (c->hidden)
		return note(x, c, "is in the directory, but was hidden from the sandbox; shown as new");
	return note(x, c, "exists in the directory now with other content; shown as new");
}

static bool binary_shown(const struct pf_change *c, const struct pf__doc *old, const struct pf__doc *new)
{
	return !plain_mode_change(c) && pf__doc_differ(old, new);
}

static int put_change(struct diff *x, const struct pf_change *c)
{
	struct pf__doc old = {.fd = -1}, new = {.fd = -1};
	char show[PF__WS_SHOW];
	int r = load_old(x, c->path, &old);

	if (c->op == PF_ADDED && r < 0)
		r = 0; /* only to leave out what is applied already */
	if (r == 0)
		r = load_new(x, c, &old, &new);
	if (r == 0)
		r = put_pair(x, c, &old, &new);
	if (r == 0 && x->notes && c->op == PF_ADDED)
		r = note_in_the_way(x, c, &old, &new);
	if (r == 0 && x->notes && (old.binary || new.binary) && binary_shown(c, &old, &new))
		r = note(x, c,
			 "is not text: a patch names it and does not hold it, and git apply refuses it");
	if (r == 0 && x->notes)
		r = note_change(x, c);
	doc_free(&old);
	doc_free(&new);
	if (r < 0 && x->err && x->err->code == 0)
		pf_fail(x->err, r, "cannot show the difference of '%s': %s", pf__ws_show(c->path, show),
			strerror(-r));
	return r;
}

/* The end of what is beneath item i: it follows its directory. */
static size_t subtree_end(const struct pf_changeset *c, size_t i)
{
	const char *path = c->items[i].path;
	size_t n = strlen(path), j = i + 1;

	while (j < c->count && strncmp(c->items[j].path, path, n) == 0 && c->items[j].path[n] == '/')
		j++;
	return j;
}

static int put_all(struct diff *x)
{
	size_t i = 0;
	int r = 0;

	while (i < x->c->count && r == 0) {
		const struct pf_change *c = &x->c->items[i];
		bool was_dir = c->op == PF_MODIFIED && S_ISDIR(c->old_mode) && !S_ISDIR(c->mode);
		size_t end = was_dir ? subtree_end(x->c, i) : i + 1;

		/* What was beneath a directory goes before a file takes its place, for patch(1) works in
		 * order. */
		for (size_t j = i + 1; j < end && r == 0; j++)
			r = put_change(x, &x->c->items[j]);
		if (r == 0)
			r = put_change(x, c);
		i = end;
	}
	return r;
}

int pf_change_print_diff(int changes_fd, const struct pf_changeset *c, bool terminal, int out_fd,
			 struct pf_list *notes, struct pf_error *err)
{
	struct pf_error mine = {0};
	struct diff x = {.c = c, .sink = {.fd = out_fd, .terminal = terminal}, .notes = notes, .err = &mine};
	PF_AUTO_CLOSE int set_fd = -1, ws_fd = -1;
	int r;

	x.set_fd = set_fd = pf__change_open_set(changes_fd, c->id, &mine);
	if (set_fd >= 0)
		x.ws_fd = ws_fd = pf__change_open_workspace(c, &mine);
	r = set_fd < 0 ? set_fd : ws_fd < 0 ? ws_fd : put_all(&x);
	if (r == 0) {
		r = pf__sink_flush(&x.sink);
		if (r < 0)
			pf_fail(&mine, r, "cannot write the difference: %s", strerror(-r));
	}
	pf_buf_free(&x.sink.b);
	if (r < 0 && err)
		*err = mine;
	return r;
}
