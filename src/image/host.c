/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `host` image: the cache of /etc and /sys, and the top level.
 *
 *	STATE/cache/host-KEY/etc, sys      published by a rename of the whole, never changed afterwards
 *	STATE/cache/.host-TAG/etc, sys     being made; its maker holds a lock (flock) on the directory
 *	STATE/cache/host.index             see host_key.c
 *
 * Whoever has a cache mounted for longer holds a shared lock (flock) on its `etc` directory. An old cache
 * that was not used for a day and whose lock is free goes when a new one is made. A lock taken after
 * pf_host_image_get() counts only if the path still names the directory that was locked.
 */
#include "image/host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "image/host_build.h"

/* An old cache that was used since then stays: not every user holds the lock yet, or holds it at all. */
#define GRACE_SECONDS (24 * 3600)
#define USED_SECONDS  3600

static int put_dirs(int dest, const char *path, struct pf_error *err)
{
	char part[PATH_MAX];
	size_t n = strlen(path);

	if (n >= sizeof(part))
		return pf_fail(err, -ENAMETOOLONG, "%.64s...: name too long", path);
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdirat(dest, part, 0755) == 0) {
			if (fchmodat(dest, part, 0755, 0) < 0)
				return pf_fail_errno(err, "cannot set the mode of %s", part);
		} else if (errno != EEXIST) {
			return pf_fail_errno(err, "cannot make the directory %s", part);
		}
	}
	return 0;
}

int pf__put(int dest, const char *path, const void *text, size_t n, struct pf_error *err)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];
	int r;

	if (!text)
		return put_dirs(dest, path, err);
	r = pf_replace_file(dest, path, text, n, 0644);
	if (r == -ENOENT && slash) {
		snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
		r = put_dirs(dest, parent, err);
		if (r < 0)
			return r;
		r = pf_replace_file(dest, path, text, n, 0644);
	}
	return r < 0 ? pf_fail(err, r, "cannot write %s: %s", path, strerror(-r)) : 0;
}

int pf__put_text(int dest, const char *path, const char *text, struct pf_error *err)
{
	return pf__put(dest, path, text, strlen(text), err);
}

struct recipe {
	int etc_fd;
	const char *shell;
	char name[PF__KEY_MAX]; /* host-KEY */
};

/* --- the cache ------------------------------------------------------------- */

/* Somebody else's directory would put his files into our sandbox. */
static int check_own(int fd, const char *path, struct pf_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return pf_fail_errno(err, "cannot look at %s", path);
	if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return pf_fail(err, -EPERM,
			       "%s does not belong to uid %u alone; remove it, or set PINFOLD_STATE", path,
			       (unsigned)geteuid());
	return 0;
}

static int open_cache(const char *state, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = -1;
	char path[PATH_MAX];
	int r;

	if ((size_t)snprintf(path, sizeof(path), "%s/cache", state) >= sizeof(path))
		return pf_fail(err, -ENAMETOOLONG, "the state directory's name is too long");
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		r = pf_mkdir_p(path, 0700);
		if (r < 0)
			return pf_fail(err, r, "cannot make %s: %s", path, strerror(-r));
		fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (fd < 0)
		return pf_fail_errno(err, "cannot open %s", path);
	r = check_own(fd, path, err);
	return r < 0 ? r : pf_take_fd(&fd);
}

/* Is it there? Its use shows in its times, to the hour. */
static bool is_there(int cache, const char *name)
{
	struct stat st;

	if (fstatat(cache, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		return false;
	if (time(NULL) - st.st_ctim.tv_sec > USED_SECONDS)
		utimensat(cache, name, NULL, AT_SYMLINK_NOFOLLOW);
	return true;
}

/* Make parent/name, mode 0755 whatever the umask, and open it. */
static int make_dir(int parent, const char *name, struct pf_error *err)
{
	int fd;

	if (mkdirat(parent, name, 0700) < 0)
		return pf_fail_errno(err, "cannot make the directory %s", name);
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return pf_fail_errno(err, "cannot open the directory %s", name);
	if (fchmod(fd, 0755) < 0) {
		int r = pf_fail_errno(err, "cannot set the mode of %s", name);

		close(fd);
		return r;
	}
	return fd;
}

static int fill(int dir, const struct recipe *r, struct pf_error *err)
{
	struct pf__sys_facts facts = {0};
	PF_AUTO_CLOSE int etc = -1;
	PF_AUTO_CLOSE int sys = -1;
	int code;

	etc = make_dir(dir, "etc", err);
	if (etc < 0)
		return etc;
	code = pf__etc_build(r->etc_fd, etc, r->shell, err);
	if (code < 0)
		return code;
	sys = make_dir(dir, "sys", err);
	if (sys < 0)
		return sys;
	pf__sys_read(&facts);
	return pf__sys_build(sys, &facts, err);
}

/* Built under a name of its own, so that another process sees all of it or nothing. */
static int make_cache(int cache, const struct recipe *r, struct pf_error *err)
{
	PF_AUTO_CLOSE int dir = -1;
	char temporary[32];
	uint64_t tag;
	int code;

	pf_random(&tag, sizeof(tag));
	snprintf(temporary, sizeof(temporary), ".host-%016llx", (unsigned long long)tag);
	dir = make_dir(cache, temporary, err);
	if (dir < 0)
		return dir;
	flock(dir, LOCK_EX | LOCK_NB); /* only a sweep could hold it, and it leaves young ones alone */
	code = fill(dir, r, err);
	if (code == 0 && renameat(cache, temporary, cache, r->name) < 0) {
		if (errno != EEXIST && errno != ENOTEMPTY)
			code = pf_fail_errno(err, "cannot publish %s", r->name);
		pf_remove_tree(cache, temporary); /* another was first, with the same in it */
	} else if (code < 0) {
		pf_remove_tree(cache, temporary);
	}
	return code;
}

/* Take an old cache, or what a dead maker left, out of the way if nobody holds it. */
static void remove_old(int cache, const char *name, unsigned grace)
{
	PF_AUTO_CLOSE int dir = openat(cache, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	PF_AUTO_CLOSE int etc = -1;
	char gone[32];
	struct stat st;
	uint64_t tag;

	if (dir < 0 || fstat(dir, &st) < 0 || time(NULL) - st.st_ctim.tv_sec < grace)
		return;
	if (flock(dir, LOCK_EX | LOCK_NB) < 0)
		return;
	etc = openat(dir, "etc", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (etc >= 0 && flock(etc, LOCK_EX | LOCK_NB) < 0)
		return;
	/* Under another name first: who comes for the lock now finds that the path is gone. */
	pf_random(&tag, sizeof(tag));
	snprintf(gone, sizeof(gone), ".host-%016llx", (unsigned long long)tag);
	if (renameat(cache, name, cache, gone) == 0)
		pf_remove_tree(cache, gone);
}

static void sweep_old(int cache, const char *keep, unsigned grace)
{
	PF_AUTO_DIR DIR *d = NULL;
	struct dirent *e;
	int copy = openat(cache, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	d = copy < 0 ? NULL : fdopendir(copy);
	if (!d) {
		if (copy >= 0)
			close(copy);
		return;
	}
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, keep) != 0 &&
		    (pf_has_prefix(e->d_name, "host-") || pf_has_prefix(e->d_name, ".host-")))
			remove_old(cache, e->d_name, grace);
	}
}

/* --- the top level ----------------------------------------------------------- */

static bool is_empty_dir(const char *path)
{
	PF_AUTO_DIR DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return false;
	}
	return true;
}

/* A link into /usr stays a link (merged /usr); every other one is bound where it leads. */
static bool link_into_usr(const char *path, char *target, size_t cap)
{
	ssize_t n = readlink(path, target, cap);
	char clean[128];

	if (n <= 0 || n >= (ssize_t)cap)
		return false;
	target[n] = '\0';
	if (pf_path_clean(target[0] == '/' ? target + 1 : target, clean, sizeof(clean)) < 0)
		return false;
	snprintf(target, cap, "%s", clean);
	return pf_path_within(clean, "usr");
}

static void top_level(struct pf_host_image *out)
{
	static const char *const TOPS[] = {"/usr",   "/bin",	"/sbin", "/lib",      "/lib64",
					   "/lib32", "/libx32", "/opt",	 "/nix/store"};

	for (size_t i = 0; i < PF_ARRAY_SIZE(TOPS); i++) {
		struct pf_host_entry e = {.kind = PF_HOST_BIND};
		struct stat st;

		snprintf(e.path, sizeof(e.path), "%s", TOPS[i]);
		if (link_into_usr(e.path, e.target, sizeof(e.target)))
			e.kind = PF_HOST_LINK;
		else if (stat(e.path, &st) < 0 || !S_ISDIR(st.st_mode))
			continue;
		else
			e.target[0] = '\0';
		if (strcmp(e.path, "/opt") == 0 && is_empty_dir(e.path))
			continue;
		out->entries[out->count++] = e;
	}
}

int pf__host_image_get(const char *etc, const char *state, unsigned grace, struct pf_host_image *out,
		       struct pf_error *err)
{
	struct recipe r = {.shell = access("/bin/bash", X_OK) == 0 ? "/bin/bash" : "/bin/sh"};
	struct pf_host_image image = {.count = 0};
	PF_AUTO_CLOSE int etc_fd = open(etc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	PF_AUTO_CLOSE int cache = -1;
	int code;

	if (etc_fd < 0)
		return pf_fail_errno(err, "cannot open %s", etc);
	if (state[0] != '/')
		return pf_fail(err, -EINVAL, "the state directory %s is not an absolute path", state);
	r.etc_fd = etc_fd;
	cache = open_cache(state, err);
	if (cache < 0)
		return cache;
	code = pf__host_key(etc_fd, cache, r.shell, r.name, err);
	if (code < 0)
		return code;
	if ((size_t)snprintf(image.etc, sizeof(image.etc), "%s/cache/%s/etc", state, r.name) >=
	    sizeof(image.etc))
		return pf_fail(err, -ENAMETOOLONG, "the state directory's name is too long");
	snprintf(image.sys, sizeof(image.sys), "%s/cache/%s/sys", state, r.name);
	if (!is_there(cache, r.name)) {
		code = make_cache(cache, &r, err);
		if (code < 0)
			return pf_wrap(err, "the host image");
		sweep_old(cache, r.name, grace);
	}
	top_level(&image);
	*out = image;
	return 0;
}

int pf_host_image_get(const char *state, struct pf_host_image *out, struct pf_error *err)
{
	return pf__host_image_get("/etc", state, GRACE_SECONDS, out, err);
}
