/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A change set as a layer of an OCI image (image-spec, layer.md), in the order of the paths:
 *
 *   added, changed      the whole entry, with the inside's ids, its modes and times
 *   only mode or owner  the whole entry too, for a layer knows no halves: the bytes of a file come from the
 * workspace, and must be as they were deleted             an empty file ".wh.NAME" beside it; one for a whole
 * tree. Opaque directories are not used: the specification asks writers for explicit whiteouts, and one would
 * hide entries of the workspace that did not change and so are not in the set names of one file   the first
 * as the file, the others as hard links to it a new type          the entry; an unpacker puts it in the place
 * of what was there
 *
 * A name that begins with ".wh." would be taken for a deletion: with one of those there is no layer. Sockets
 * have no place in a tar archive, and devices none in ours: both are noted, and what they replaced is
 * deleted.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "workspace/tar.h"

#define WHITEOUT ".wh."

struct export
{
	const struct pf_changeset *c;
	struct pf__tar tar;
	int set_fd, ws_fd; /* ws_fd: -1 until something of it is needed */
	char **first; /* for each number of items[].link, less one: the name that stands in the archive; or
			 NULL */
	uint64_t *kept_as; /* for each item: the number that it is the kept name of (link_to), or 0 */
	const char *gone;  /* a directory that is no more, with all beneath it */
	struct pf_list *notes;
	struct pf_error *err;
};

static int note(struct export *x, const struct pf_change *c, const char *what)
{
	return x->notes && pf_list_addf(x->notes, "%s: %s", c->path, what) < 0
		       ? pf_fail(x->err, -ENOMEM, "out of memory")
		       : 0;
}

static int workspace(struct export *x)
{
	if (x->ws_fd < 0)
		x->ws_fd = pf__change_open_workspace(x->c, x->err);
	return x->ws_fd;
}

/* --- where bytes and attributes come from ------------------------------------------------ */

/* A file of which the set has no bytes, because they did not change. */
static int open_kept(struct export *x, const struct pf_change *c)
{
	char show[PF__WS_SHOW];
	PF_AUTO_CLOSE int fd = -1;
	struct stat st;

	if (workspace(x) < 0)
		return x->ws_fd;
	fd = pf__ws_open_file(x->ws_fd, c->path, &st);
	if (fd < 0)
		return pf_fail(x->err, fd,
			       "cannot read '%s' in the workspace, of which only the mode changed: %s",
			       pf__ws_show(c->path, show), strerror(-fd));
	if ((uint64_t)st.st_size != c->old_size || pf__ws_mtime_ns(&st) != c->old_mtime_ns)
		return pf_fail(
			x->err, -ESTALE,
			"'%s' has changed in the workspace since; the sandbox changed only its mode, so that "
			"its bytes cannot be exported any more",
			pf__ws_show(c->path, show));
	return pf_take_fd(&fd);
}

/* Attributes that did not change and so are not in the set. fd: of the file; -1: of what is at the path. */
static int kept_attrs(struct export *x, const struct pf_change *c, int fd, struct pf_attrs *out)
{
	PF_AUTO_CLOSE int here = -1;
	bool others;

	if (pf__change_has_attrs(c) || (!S_ISREG(c->mode) && !S_ISDIR(c->mode)))
		return 0;
	if (fd < 0 && workspace(x) >= 0)
		fd = here = pf__ws_open(x->ws_fd, c->path, O_PATH | O_NOFOLLOW);
	if (fd < 0)
		return 0; /* a directory that is gone has none */
	return pf__attrs_read(fd, NULL, out, &others) < 0 ? pf_fail(x->err, -ENOMEM, "out of memory") : 0;
}

/* --- entries --------------------------------------------------------------------------- */

static int failed(struct export *x, int r)
{
	return r < 0 ? pf_fail(x->err, r, "cannot write the archive: %s", strerror(-r)) : 0;
}

static struct pf__tar_entry entry_of(const struct pf_change *c, const char *path, char type)
{
	return (struct pf__tar_entry){
		.path = path,
		.type = type,
		.mode = c->mode,
		.uid = c->uid,
		.gid = c->gid,
		.mtime_ns = c->mtime_ns,
		.attrs = &c->attrs,
		.body_fd = -1,
	};
}

/* An entry with all that it is, under this path. */
static int put_whole(struct export *x, const struct pf_change *c, const char *path)
{
	char type = S_ISDIR(c->mode) ? '5' : S_ISLNK(c->mode) ? '2' : S_ISFIFO(c->mode) ? '6' : '0';
	struct pf__tar_entry e = entry_of(c, path, type);
	PF_AUTO_CLOSE int body = -1;
	struct pf_attrs kept = {0};
	int r = 0;

	if (S_ISREG(c->mode)) {
		body = c->op == PF_ADDED || c->content ? pf__change_open_blob(x->set_fd, c, x->err)
						       : open_kept(x, c);
		if (body < 0)
			return body;
		e.body_fd = body;
		e.size = c->op == PF_ADDED || c->content ? c->size : c->old_size;
	}
	e.link = c->target;
	r = kept_attrs(x, c, body, &kept);
	if (kept.count)
		e.attrs = &kept;
	for (size_t i = 0; r == 0 && i < e.attrs->count; i++) {
		if (strchr(e.attrs->items[i].name, '='))
			r = note(x, c, "an attribute with '=' in its name has no place in a tar archive");
	}
	if (r == 0)
		r = failed(x, pf__tar_add(&x->tar, &e));
	pf__attrs_free(&kept);
	return r;
}

static int put_link(struct export *x, const struct pf_change *c, const char *to)
{
	struct pf__tar_entry e = entry_of(c, c->path, '1');

	e.link = to;
	e.attrs = NULL;
	return failed(x, pf__tar_add(&x->tar, &e));
}

static int put_whiteout(struct export *x, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char full[PF__WS_PATH_MAX + sizeof(WHITEOUT)];
	struct pf__tar_entry e = {.path = full, .type = '0', .mode = 0600, .body_fd = -1};

	snprintf(full, sizeof(full), "%.*s" WHITEOUT "%s", (int)(name - path), path, name);
	return failed(x, pf__tar_add(&x->tar, &e));
}

/* A name of a file that has several. A name that the workspace has already, and that is no entry of the set,
 * goes in front: it has the same bytes, and a layer that brings the file with all its names is right on its
 * own too. */
static int put_named(struct export *x, const struct pf_change *c, uint64_t link)
{
	const char *kept = x->c->items[x->c->links[link - 1]].link_to;
	char **first = &x->first[link - 1];
	int r = 0;

	if (*first)
		return put_link(x, c, *first);
	if (kept && pf__change_find(x->c, kept) >= 0)
		kept = NULL;
	*first = strdup(kept ? kept : c->path);
	if (!*first)
		return pf_fail(x->err, -ENOMEM, "out of memory");
	r = put_whole(x, c, *first);
	return r == 0 && kept ? put_link(x, c, kept) : r;
}

static int find_kept(struct export *x)
{
	x->first = calloc(x->c->link_count + 1, sizeof(*x->first));
	x->kept_as = calloc(x->c->count + 1, sizeof(*x->kept_as));
	if (!x->first || !x->kept_as)
		return pf_fail(x->err, -ENOMEM, "out of memory");
	for (size_t g = 0; g < x->c->link_count; g++) {
		const char *kept = x->c->items[x->c->links[g]].link_to;
		ssize_t i = kept ? pf__change_find(x->c, kept) : -1;

		if (i >= 0 && x->c->items[i].op == PF_MODIFIED && !x->c->items[i].content)
			x->kept_as[i] = g + 1;
	}
	return 0;
}

/* --- the set ---------------------------------------------------------------------------- */

static bool has_reserved_name(const char *path)
{
	if (pf_has_prefix(path, WHITEOUT))
		return true;
	for (const char *s = strchr(path, '/'); s; s = strchr(s + 1, '/')) {
		if (pf_has_prefix(s + 1, WHITEOUT))
			return true;
	}
	return false;
}

static bool is_beneath(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && path[n] == '/';
}

static int put_deleted(struct export *x, const struct pf_change *c)
{
	if (S_ISDIR(c->old_mode))
		x->gone = c->path;
	return put_whiteout(x, c->path);
}

static int put_change(struct export *x, const struct pf_change *c)
{
	char show[PF__WS_SHOW];
	bool left_out = S_ISSOCK(c->mode) || S_ISCHR(c->mode) || S_ISBLK(c->mode);
	uint64_t link = c->link ? c->link : x->kept_as[c - x->c->items];
	int r = 0;

	if (x->gone && is_beneath(c->path, x->gone) && c->op == PF_DELETED)
		return 0; /* gone with its directory */
	if (has_reserved_name(c->path))
		return pf_fail(
			x->err, -EINVAL,
			"'%s' cannot be exported: in a layer a name that begins with \".wh.\" is a deletion",
			pf__ws_show(c->path, show));
	if (c->op == PF_DELETED)
		return put_deleted(x, c);
	if (S_ISDIR(c->old_mode) && !S_ISDIR(c->mode))
		x->gone = c->path;
	if (c->other_attrs)
		r = note(x, c, "some of its extended attributes are not in the set");
	if (r < 0 || !left_out)
		return r < 0 ? r : link ? put_named(x, c, link) : put_whole(x, c, c->path);
	r = note(x, c, S_ISSOCK(c->mode) ? "not exported: a socket" : "not exported: a device");
	return r == 0 && c->op == PF_MODIFIED ? put_whiteout(x, c->path) : r;
}

static int put_all(struct export *x)
{
	int r = 0;

	for (size_t i = 0; i < x->c->count && r == 0; i++)
		r = put_change(x, &x->c->items[i]);
	return r < 0 ? r : failed(x, pf__tar_end(&x->tar));
}

int pf_change_export(int changes_fd, const struct pf_changeset *c, bool with_secrets, int out_fd,
		     struct pf_list *notes, struct pf_error *err)
{
	struct pf_error mine = {0};
	struct export x = {.c = c, .tar = {.fd = out_fd}, .ws_fd = -1, .notes = notes, .err = &mine};
	PF_AUTO_CLOSE int set_fd = -1;
	int r;

	if (c->truncated)
		return pf_fail(err, -E2BIG, "the change set is incomplete and cannot be exported: %s",
			       c->note ? c->note : "not every change could be kept");
	if (c->secrets && !with_secrets)
		return pf_fail(err, -EPERM,
			       "%llu files of the change set stand where the policy hides secrets",
			       (unsigned long long)c->secrets);
	x.set_fd = set_fd = pf__change_open_set(changes_fd, c->id, err);
	if (set_fd < 0)
		return set_fd;
	r = find_kept(&x);
	if (r == 0)
		r = put_all(&x);
	for (size_t i = 0; x.first && i < c->link_count; i++)
		free(x.first[i]);
	free(x.first);
	free(x.kept_as);
	if (x.ws_fd >= 0)
		close(x.ws_fd);
	pf_buf_free(&x.tar.b);
	if (r < 0 && err)
		*err = mine;
	return r;
}
