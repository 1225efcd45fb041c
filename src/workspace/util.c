/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of strings, relative paths as bytes, and opening beneath a directory: shared by all of workspace/. */
#include <errno.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "workspace/workspace_internal.h"

static int cmp_items(const void *a, const void *b)
{
	return pf__ws_path_cmp(*(char *const *)a, *(char *const *)b);
}

void pf__ws_list_sort(struct pf_list *l)
{
	size_t kept = 0, count = l->count;

	if (count == 0)
		return;
	qsort(l->items, count, sizeof(*l->items), cmp_items);
	for (size_t i = 1; i < count; i++) {
		if (strcmp(l->items[kept], l->items[i]) == 0)
			free(l->items[i]);
		else
			l->items[++kept] = l->items[i];
	}
	l->count = kept + 1;
	/*
	 * pf_list_add() derives the room from the count, so a list that shrank past a power of two
	 * would be reallocated too early: smaller than it is, never larger. That is harmless.
	 */
}

int pf__ws_path_cmp(const char *a, const char *b)
{
	unsigned x, y;

	while (*a && *a == *b) {
		a++;
		b++;
	}
	/* The end sorts first, then '/', then the rest by value; no name has a NUL, so 1 is free for '/'. */
	x = *a == '/' ? 1 : *a ? (unsigned char)*a + 1u : 0;
	y = *b == '/' ? 1 : *b ? (unsigned char)*b + 1u : 0;
	return x < y ? -1 : x > y;
}

bool pf__ws_path_ok(const char *path)
{
	size_t n = strlen(path);

	if (n == 0 || n >= PF__WS_PATH_MAX)
		return false;
	for (;;) {
		size_t len = strcspn(path, "/");

		if (len == 0 || len > 255 || (len == 1 && path[0] == '.') ||
		    (len == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		if (!path[len])
			return true;
		path += len + 1;
	}
}

static bool list_has(const struct pf_list *sorted, const char *path)
{
	return sorted->count &&
	       bsearch(&path, sorted->items, sorted->count, sizeof(*sorted->items), cmp_items);
}

bool pf__ws_covered(const struct pf_list *sorted, const char *path)
{
	char part[PF__WS_PATH_MAX];
	size_t n = strlen(path);

	if (sorted->count == 0 || n >= sizeof(part))
		return false;
	memcpy(part, path, n + 1);
	for (;;) {
		char *slash;

		if (list_has(sorted, part))
			return true;
		slash = strrchr(part, '/');
		if (!slash)
			return false;
		*slash = '\0';
	}
}

char *pf__ws_join(const char *dir, const char *name)
{
	size_t d = strlen(dir), n = strlen(name);
	char *s = malloc(d + n + 2);

	if (!s)
		return NULL;
	memcpy(s, dir, d);
	if (d)
		s[d++] = '/';
	memcpy(s + d, name, n + 1);
	return s;
}

int pf__ws_open(int dirfd, const char *path, int flags)
{
	return pf_openat2(dirfd, *path ? path : ".", flags, 0,
			  RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV);
}

int pf__ws_open_parent(int dirfd, const char *path, const char **leaf)
{
	const char *slash = strrchr(path, '/');
	char parent[PF__WS_PATH_MAX];
	size_t n = slash ? (size_t)(slash - path) : 0;
	int fd;

	if (!pf__ws_path_ok(path))
		return -EINVAL;
	memcpy(parent, path, n);
	parent[n] = '\0';
	fd = pf__ws_open(dirfd, parent, O_PATH | O_DIRECTORY);
	if (fd >= 0)
		*leaf = slash ? slash + 1 : path;
	return fd;
}

int pf__ws_stat(int dirfd, const char *path, struct stat *st)
{
	PF_AUTO_CLOSE int fd = pf__ws_open(dirfd, path, O_PATH | O_NOFOLLOW);

	if (fd < 0)
		return fd;
	return fstat(fd, st) < 0 ? -errno : 0;
}

int pf__ws_open_file(int dirfd, const char *name, struct stat *st)
{
	PF_AUTO_CLOSE int fd = -1;
	int r = pf__ws_stat(dirfd, name, st);

	if (r < 0)
		return r;
	if (!S_ISREG(st->st_mode))
		return -EINVAL; /* opening a device or a FIFO may do something */
	fd = pf__ws_open(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fd;
	if (fstat(fd, st) < 0)
		return -errno;
	return S_ISREG(st->st_mode) ? pf_take_fd(&fd) : -EINVAL;
}

int pf__ws_names(int dirfd, struct pf_list *names, size_t max)
{
	PF_AUTO_CLOSE int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	PF_AUTO_DIR DIR *d = NULL;
	struct dirent *e;
	int r;

	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (!d)
		return -errno;
	pf_take_fd(&fd);
	for (errno = 0; (e = readdir(d)); errno = 0) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (names->count >= max)
			return -E2BIG;
		r = pf_list_add(names, e->d_name);
		if (r < 0)
			return r;
	}
	return errno ? -errno : 0;
}

int pf__ws_readlink(int dirfd, const char *name, char out[PF__WS_PATH_MAX])
{
	ssize_t n = readlinkat(dirfd, name, out, PF__WS_PATH_MAX);

	if (n < 0)
		return -errno;
	if (n == PF__WS_PATH_MAX)
		return -ENAMETOOLONG;
	out[n] = '\0';
	return 0;
}

int64_t pf__ws_mtime_ns(const struct stat *st)
{
	int64_t ns;

	/* The enemy sets mtimes: one beyond the year 2262 must not overflow. */
	if (__builtin_mul_overflow((int64_t)st->st_mtim.tv_sec, INT64_C(1000000000), &ns) ||
	    __builtin_add_overflow(ns, (int64_t)st->st_mtim.tv_nsec, &ns))
		return st->st_mtim.tv_sec < 0 ? INT64_MIN : INT64_MAX;
	return ns;
}

int64_t pf__ws_ctime_ns(const struct stat *st)
{
	struct stat c = {.st_mtim = st->st_ctim};

	return pf__ws_mtime_ns(&c);
}

const char *pf__ws_show(const char *path, char out[PF__WS_SHOW])
{
	pf_printable(path, strlen(path), out, PF__WS_SHOW);
	return out;
}
