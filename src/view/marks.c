/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of trees that may change a view depends on: their directories that hold programs, and all above them,
 * by inode and times. A program that is installed, removed or replaced (package managers and `install` rename
 * a new file over the old one) changes its directory's times; a new directory those of the one that it is in.
 * The databases of the package managers count too. A mark is the number of its tree, what was seen of it, and
 * its path.
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

int pf__marks_digest(const struct pf_view_want *w, const char *marks, size_t n, bool now, char out[17])
{
	char text[PF_DIGEST_MAX];
	struct pf_sha256 h;

	pf_sha256_init(&h);
	add_databases(&h);
	for (size_t at = 0; at < n;) {
		const char *rel = marks + at + sizeof(struct seen);
		struct seen s;
		struct stat st;

		if (n - at <= sizeof(s) || !memchr(rel, '\0', n - at - sizeof(s)))
			return -EBADMSG;
		memcpy(&s, marks + at, sizeof(s));
		if (s.tree >= w->tree_count)
			return -EBADMSG;
		if (now) {
			if (fstatat(w->trees[s.tree].fd, *rel ? rel : ".", &st, AT_SYMLINK_NOFOLLOW) < 0)
				return -ESTALE;
			s = what((unsigned)s.tree, &st);
		}
		pf_sha256_add(&h, &s, sizeof(s));
		pf_sha256_add(&h, rel, strlen(rel) + 1);
		at += sizeof(s) + strlen(rel) + 1;
	}
	pf_sha256_end_text(&h, text);
	memcpy(out, text + strlen("sha256:"), 16);
	out[16] = '\0';
	return 0;
}
