/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of trees that may change a view depends on: their directories, by inode and times. A program that is
 * installed, removed or replaced (package managers and `install` rename a new file over the old one) changes
 * its directory's times; a new directory those of the one that it is in. The databases of the package
 * managers count too. A mark is the number of its tree, what was seen of it, and its path.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/sha256.h"
#include "view/scan.h"

struct seen {
	uint64_t tree, dev, ino, mode, mtime, mtime_ns, ctime, ctime_ns;
};

static struct seen what(unsigned tree, const struct stat *st)
{
	return (struct seen){tree,
			     st->st_dev,
			     st->st_ino,
			     st->st_mode,
			     (uint64_t)st->st_mtim.tv_sec,
			     (uint64_t)st->st_mtim.tv_nsec,
			     (uint64_t)st->st_ctim.tv_sec,
			     (uint64_t)st->st_ctim.tv_nsec};
}

int pf__mark_add(struct pf_buf *marks, unsigned tree, const char *rel, const struct stat *st)
{
	struct seen s = what(tree, st);

	pf_buf_add(marks, &s, sizeof(s));
	return pf_buf_add(marks, rel, strlen(rel) + 1);
}

static void add_databases(struct pf_sha256 *h)
{
	static const char *const files[] = {"/var/lib/dpkg/status", "/var/lib/rpm", "/usr/lib/sysimage/rpm",
					    "/lib/apk/db/installed", "/var/lib/pacman/local"};
	struct stat st;

	for (size_t i = 0; i < PF_ARRAY_SIZE(files); i++) {
		struct seen s = {0};

		if (stat(files[i], &st) == 0)
			s = what((unsigned)i, &st);
		pf_sha256_add(h, &s, sizeof(s));
	}
}

bool pf__is_young(const struct stat *st, struct timespec began)
{
	int64_t age = (began.tv_sec - st->st_ctim.tv_sec) * INT64_C(1000000000) + began.tv_nsec -
		      st->st_ctim.tv_nsec;

	return age < 20000000; /* two ticks of the slowest clock (CONFIG_HZ=100) */
}

/* Calls with each; -EBADMSG for what no mark is. */
static int each_mark(const struct pf_view_want *w, const char *marks, size_t n,
		     int (*one)(void *ctx, const struct seen *s, const char *rel), void *ctx)
{
	int r = 0;

	for (size_t at = 0; at < n && r == 0;) {
		const char *rel = marks + at + sizeof(struct seen);
		struct seen s;

		if (n - at <= sizeof(s) || !memchr(rel, '\0', n - at - sizeof(s)))
			return -EBADMSG;
		memcpy(&s, marks + at, sizeof(s));
		if (s.tree >= w->tree_count)
			return -EBADMSG;
		r = one(ctx, &s, rel);
		at += sizeof(s) + strlen(rel) + 1;
	}
	return r;
}

struct digest {
	const struct pf_view_want *w;
	struct pf_sha256 h;
	bool now;
};

static int look_again(const struct pf_view_want *w, const char *rel, struct seen *s)
{
	unsigned tree = (unsigned)s->tree;
	struct stat st;

	if (fstatat(w->trees[tree].fd, *rel ? rel : ".", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -ESTALE;
	*s = what(tree, &st);
	return 0;
}

static int holds(void *ctx, const struct seen *s, const char *rel)
{
	struct seen now = *s;

	return look_again(ctx, rel, &now) < 0 || memcmp(&now, s, sizeof(now)) != 0 ? -ESTALE : 0;
}

bool pf__marks_hold(const struct pf_view_want *w, const char *marks, size_t n)
{
	return each_mark(w, marks, n, holds, (void *)(uintptr_t)w) == 0;
}

static int add_mark(void *ctx, const struct seen *s, const char *rel)
{
	struct digest *d = ctx;
	struct seen now = *s;
	int r = d->now ? look_again(d->w, rel, &now) : 0;

	pf_sha256_add(&d->h, &now, sizeof(now));
	pf_sha256_add(&d->h, rel, strlen(rel) + 1);
	return r;
}

int pf__marks_digest(const struct pf_view_want *w, const char *marks, size_t n, bool now, char out[17])
{
	struct digest d = {.w = w, .now = now};
	char text[PF_DIGEST_MAX];
	int r;

	pf_sha256_init(&d.h);
	add_databases(&d.h);
	if ((r = each_mark(w, marks, n, add_mark, &d)) < 0)
		return r;
	pf_sha256_end_text(&d.h, text);
	memcpy(out, text + strlen("sha256:"), 16);
	out[16] = '\0';
	return 0;
}
