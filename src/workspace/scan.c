/* SPDX-License-Identifier: Apache-2.0 */
/* The order of things; see scan.h. */
#include "workspace/scan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/dirs.h"
#include "base/str.h"
#include "workspace/mask.h"
#include "workspace/scan_internal.h"

static int no_memory(struct pf_error *err)
{
	return pf_fail(err, -ENOMEM, "out of memory");
}

/* --- the answer ------------------------------------------------------------------------- */

static void found_free(struct pf_scan_found *f)
{
	pf_list_free(&f->masks);
	pf_list_free(&f->protects);
	pf_list_free(&f->sockets);
	pf_list_free(&f->unprotected);
	pf_list_free(&f->exposed);
	pf_list_free(&f->mounts);
}

static int found_copy(struct pf_scan_found *to, const struct pf_scan_found *from)
{
	if (pf_list_copy(&to->masks, &from->masks) < 0 || pf_list_copy(&to->protects, &from->protects) < 0 ||
	    pf_list_copy(&to->sockets, &from->sockets) < 0 ||
	    pf_list_copy(&to->unprotected, &from->unprotected) < 0 ||
	    pf_list_copy(&to->exposed, &from->exposed) < 0)
		return -ENOMEM;
	return 0;
}

/* The path of a directory; "" for the first. */
static void path_of(const struct pf__tree *t, uint32_t dir, char out[PF__WS_PATH_MAX])
{
	char *p = out + PF__WS_PATH_MAX - 1;

	*p = '\0';
	for (; dir; dir = t->dirs[dir].up) {
		const char *name = t->names + t->dirs[dir].name;
		size_t n = strlen(name);

		if (*p)
			*--p = '/';
		if ((size_t)(p - out) < n + 1)
			break; /* longer than any that was walked: its end is enough for a message */
		p -= n;
		memcpy(p, name, n);
	}
	memmove(out, p, strlen(p) + 1);
}

static int add_hit(struct pf_scan_found *f, const char *path, unsigned kind)
{
	int r = 0;

	if (kind & PF__HIT_MASK)
		r = pf_list_add(&f->masks, path);
	if (r == 0 && (kind & PF__HIT_PROTECT))
		r = pf_list_add(&f->protects, path);
	if (r == 0 && (kind & PF__HIT_SOCKET))
		r = pf_list_add(&f->sockets, path);
	return r;
}

static int tell_flags(struct pf_scan_found *f, const char *path, uint32_t flags)
{
	static const struct {
		uint32_t flag;
		const char *what;
	} all[] = {{PF__DIR_CLOSED, "cannot be searched for secrets"},
		   {PF__DIR_MOUNT, "another mount is on it: what that covers was not searched for secrets"},
		   {PF__DIR_LONG, "has paths that are too long to be searched for secrets"}};
	int r = 0;

	if (flags & PF__DIR_MOUNT)
		r = pf_list_add(&f->mounts, path);
	for (size_t i = 0; i < PF_ARRAY_SIZE(all) && r == 0; i++)
		if (flags & all[i].flag)
			r = pf_list_addf(&f->unprotected, "%s: %s", *path ? path : ".", all[i].what);
	return r;
}

static int answer(struct pf_scan *s, struct pf_error *err)
{
	struct pf_scan_found f = {0};
	const struct pf__tree *t = &s->tree;
	char dir[PF__WS_PATH_MAX];
	int r = found_copy(&f, &s->plain);

	for (uint32_t i = 0; i < t->dir_count && r == 0; i++) {
		const struct pf__dir *d = &t->dirs[i];

		if (!d->hits && !(d->flags & ~(uint32_t)PF__DIR_AGAIN))
			continue;
		path_of(t, i, dir);
		r = tell_flags(&f, dir, d->flags);
		for (uint32_t k = d->first_hit; k < d->first_hit + d->hits && r == 0; k++) {
			PF_AUTO_FREE char *path = pf__ws_join(dir, t->names + t->hits[k].name);

			r = path ? add_hit(&f, path, t->hits[k].kind) : -ENOMEM;
		}
	}
	if (r < 0) {
		found_free(&f);
		return no_memory(err);
	}
	pf__ws_list_sort(&f.masks);
	pf__ws_list_sort(&f.protects);
	pf__ws_list_sort(&f.sockets);
	found_free(&s->found);
	s->found = f;
	return 0;
}

static bool same_list(const struct pf_list *a, const struct pf_list *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

/* --- the index ---------------------------------------------------------------------------- */

/* File systems whose times are this machine's own. On others (NFS, 9p, FUSE) a directory's time may come
 * late. */
static bool times_are_ours(int fd)
{
	static const uint32_t magic[] = {0xef53 /* ext4 */,	    0x58465342 /* xfs */,
					 0x9123683e /* btrfs */,    0x01021994 /* tmpfs */,
					 0xf2f52010 /* f2fs */,	    0x2fc12fc1 /* zfs */,
					 0xca451a4e /* bcachefs */, 0x794c7630 /* overlay */};
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	for (size_t i = 0; i < PF_ARRAY_SIZE(magic); i++)
		if ((uint32_t)fs.f_type == magic[i])
			return true;
	return false;
}

static void hash_list(struct pf_sha256 *h, const struct pf_list *l)
{
	uint64_t count = l ? l->count : 0;

	pf_sha256_add(h, &count, sizeof(count));
	for (size_t i = 0; i < count; i++)
		pf_sha256_add(h, l->items[i], strlen(l->items[i]) + 1);
}

/* Which tree, and what is asked of it. */
static void make_key(struct pf_scan *s, const struct pf_scan_want *want, const struct stat *st)
{
	uint64_t which[2] = {st->st_dev, st->st_ino};
	uint8_t sockets = want->sockets;
	struct pf_sha256 h;

	pf_sha256_init(&h);
	pf_sha256_add(&h, which, sizeof(which));
	pf_sha256_add(&h, want->path, strlen(want->path) + 1);
	pf_sha256_add(&h, &sockets, 1);
	hash_list(&h, want->mask);
	hash_list(&h, want->protect);
	pf_sha256_end(&h, s->key);
}

static void open_index(struct pf_scan *s, const struct pf_scan_want *want)
{
	char place[600];

	if (!want->state || !times_are_ours(s->ws_fd) ||
	    (size_t)snprintf(place, sizeof(place), "%s/index", want->state) >= sizeof(place))
		return;
	s->index = pf_dir_own(place, 0022, NULL); /* without one it is only slower */
}

/* --- walking ------------------------------------------------------------------------------ */

static int walk(struct pf_scan *s, const struct pf__tree *old, struct pf__tree *out, size_t *entries,
		struct pf_error *err)
{
	PF_AUTO_FREE struct pf__walk *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return no_memory(err);
	w->ws_fd = s->ws_fd;
	w->matcher = &s->matcher;
	w->sockets = s->sockets;
	w->dev = s->dev;
	w->reference_ns = s->reference_ns;
	w->old = old;
	w->state = old ? s->shared->state : NULL;
	w->err = err;
	r = pf__walk(w);
	if (r == 0) {
		*out = w->tree;
		*entries = w->entries;
	}
	return r;
}

static int begin(struct pf_scan *s, const struct pf_scan_want *want, struct pf_error *err)
{
	struct stat st;
	size_t entries;
	int r = pf__scan_patterns(s, want->mask, PF__HIT_MASK);

	if (r == 0)
		r = pf__scan_patterns(s, want->protect, PF__HIT_PROTECT);
	if (r < 0)
		return no_memory(err);
	if (fstat(s->ws_fd, &st) < 0)
		return pf_fail_errno(err, "cannot look at the workspace");
	s->dev = st.st_dev;
	if (!s->wild && !s->sockets)
		return answer(s, err);
	open_index(s, want);
	make_key(s, want, &st);
	s->warm = s->index >= 0 && pf__index_read(s->index, s->key, &s->tree) == 0;
	if (s->warm) {
		r = answer(s, err);
		return r < 0 ? r : pf__scan_check_begin(s) < 0 ? no_memory(err) : 0;
	}
	s->save = true;
	r = walk(s, NULL, &s->tree, &entries, err);
	return r < 0 ? r : answer(s, err);
}

int pf_scan_begin(int ws_fd, const struct pf_scan_want *want, struct pf_scan **out, struct pf_error *err)
{
	struct pf_scan *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return no_memory(err);
	s->ws_fd = ws_fd;
	s->index = -1;
	s->sockets = want->sockets;
	s->reference_ns = want->reference_ns;
	r = begin(s, want, err);
	if (r < 0) {
		s->save = false;
		pf_scan_end(s);
		return r;
	}
	*out = s;
	return 0;
}

const struct pf_scan_found *pf_scan_found(const struct pf_scan *s)
{
	return &s->found;
}

static int read_changed(struct pf_scan *s, size_t stale, struct pf_error *err)
{
	struct pf_scan_found before = s->found;
	struct pf__tree fresh = {0};
	size_t entries = 0;
	bool same;
	int r = walk(s, &s->tree, &fresh, &entries, err);

	if (r < 0)
		return r;
	pf__tree_free(&s->tree);
	s->tree = fresh;
	/* To write it costs about as much as to read a few directories of many. */
	s->save = stale * 40 + entries > fresh.dir_count;
	s->found = (struct pf_scan_found){0};
	r = answer(s, err);
	same = r == 0 && same_list(&before.masks, &s->found.masks) &&
	       same_list(&before.protects, &s->found.protects) &&
	       same_list(&before.sockets, &s->found.sockets) && same_list(&before.mounts, &s->found.mounts);
	found_free(&before);
	return r < 0 ? r : !same;
}

int pf_scan_confirm(struct pf_scan *s, struct pf_error *err)
{
	size_t stale;
	int r = 0;

	if (!s->warm)
		return 0;
	stale = pf__scan_check_end(s);
	if (stale)
		r = read_changed(s, stale, err);
	s->warm = false;
	return r;
}

void pf_scan_end(struct pf_scan *s)
{
	if (!s)
		return;
	if (s->save && s->index >= 0)
		pf__index_write(s->index, s->key, &s->tree);
	pf__scan_check_free(s);
	if (s->index >= 0)
		close(s->index);
	pf__matcher_free(&s->matcher);
	pf__tree_free(&s->tree);
	found_free(&s->plain);
	found_free(&s->found);
	free(s);
}

/* --- without an index ------------------------------------------------------------------------ */

int pf_mask_resolve(int ws_fd, const struct pf_list *patterns, struct pf_list *paths,
		    struct pf_list *unprotected, struct pf_error *err)
{
	const struct pf_scan_want want = {.mask = patterns, .path = ""};
	struct pf_scan *s;
	int r = pf_scan_begin(ws_fd, &want, &s, err);

	if (r < 0)
		return r;
	if (pf_list_copy(unprotected, &s->found.unprotected) < 0) {
		r = no_memory(err);
	} else {
		*paths = s->found.masks;
		s->found.masks = (struct pf_list){0};
	}
	pf_scan_end(s);
	return r;
}
