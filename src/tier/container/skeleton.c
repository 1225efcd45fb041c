/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layer over an image that holds what it lacks: the mount points of what is mounted, and the few files
 * that are the same in every sandbox. It is planned by looking at the image, one component of a path at a
 * time and never through a link, and made in a tmpfs of ours: nothing is ever written to the image, and no
 * path is resolved twice (CVE-2021-30465, CVE-2024-45310).
 *
 * Where pinfold's own places are, whatever else the image has there is covered by a directory: a link at /dev
 * would lead its devices elsewhere (CVE-2026-41579). Where the user wants a directory to appear, a link of
 * the image is refused by name, since covering it would take away what it leads to (/lib in most images).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "tier/container/container.h"

#define ITEMS_MAX 4096u

enum want {
	WANT_OURS,  /* must be a directory of ours or of the image */
	WANT_PLACE, /* the user's: what else is there is refused */
	WANT_MAYBE, /* made if nothing is there */
};

struct plan {
	const struct pf_box_spec *spec;
	struct pf_image_root *img;
};

static struct pf_skeleton_item *find(const struct pf_image_root *img, const char *path)
{
	size_t i;

	for (i = 0; i < img->count; i++)
		if (strcmp(img->items[i].path, path) == 0)
			return &img->items[i];
	return NULL;
}

static int add(struct pf_image_root *img, const struct pf_skeleton_item *item, const char *path,
	       const char *text, size_t size, struct pf_error *err)
{
	struct pf_skeleton_item *more, *one;

	if (find(img, path))
		return 0;
	if (img->count == ITEMS_MAX)
		return pf_fail(err, -E2BIG, "too many mount points that the image lacks (%u)", ITEMS_MAX);
	more = realloc(img->items, (img->count + 1) * sizeof(*more));
	if (!more)
		return pf_fail(err, -ENOMEM, "out of memory");
	img->items = more;
	one = &more[img->count];
	*one = *item;
	one->path = strdup(path);
	one->text = text ? malloc(size + 1) : NULL;
	if (!one->path || (text && !one->text)) {
		free(one->path);
		free(one->text);
		return pf_fail(err, -ENOMEM, "out of memory");
	}
	if (text) {
		memcpy(one->text, text, size);
		one->text[size] = '\0';
	}
	one->size = size;
	img->count++;
	return 0;
}

/* --- directories ----------------------------------------------------------------------- */

/* The walk down one path. */
struct walk {
	int at;		 /* the image's directory so far; -1 once it has none there */
	char path[4096]; /* so far, relative */
	struct pf_skeleton_item
		above[64]; /* directories of the image on the way, to be made if something is beneath */
	size_t ends[64];   /* ... and where their names end in path */
	unsigned count;
};

/* What the image has at the next component decides: 1 go on, 0 stop without a word (WANT_MAYBE), or -errno.
 */
static int look(struct walk *w, const char *name, enum want want, const char *breaks, struct pf_error *err)
{
	char shown[160];
	struct stat st;
	int next;
	bool there = fstatat(w->at, name, &st, AT_SYMLINK_NOFOLLOW) == 0;

	if (!there && errno != ENOENT)
		return pf_fail_errno(err, "cannot look at '%.64s' of the image", name);
	if (there && S_ISDIR(st.st_mode)) {
		next = pf_open_beneath(w->at, name, O_PATH | O_DIRECTORY, 0);
		if (next < 0)
			return pf_fail(err, next, "cannot open '%.64s' of the image: %s", name,
				       strerror(-next));
		if (w->count == PF_ARRAY_SIZE(w->above))
			return pf_fail(err, -ENAMETOOLONG, "a mount point lies too deep");
		w->above[w->count] = (struct pf_skeleton_item){.type = 'd',
							       .image = true,
							       .mode = st.st_mode & 07777,
							       .uid = st.st_uid,
							       .gid = st.st_gid,
							       .mtime = st.st_mtim};
		w->ends[w->count++] = strlen(w->path);
		close(w->at);
		w->at = next;
		return 1;
	}
	if (there && pf__broken(breaks, "image_links"))
		return 0;
	if (!there || want == WANT_OURS) {
		close(w->at);
		w->at = -1;
		return 1;
	}
	if (want == WANT_MAYBE)
		return 0;
	pf_printable(w->path, strlen(w->path), shown, sizeof(shown));
	return pf_fail(err, -ENOTDIR,
		       "'/%s' is %s of the image, and nothing can be placed beyond it: give another place "
		       "with :path=",
		       shown, S_ISLNK(st.st_mode) ? "a link" : "no directory");
}

/* The directories of the image on the way, which the new ones stand in: merged, the upper one's attributes
 * are seen. */
static int add_above(struct pf_image_root *img, struct walk *w, struct pf_error *err)
{
	int r = 0;
	unsigned i;

	for (i = 0; i < w->count && r == 0; i++) {
		char cut = w->path[w->ends[i]];

		w->path[w->ends[i]] = '\0';
		r = add(img, &w->above[i], w->path, NULL, 0, err);
		w->path[w->ends[i]] = cut;
	}
	w->count = 0;
	return r;
}

/* One component more. As look(). */
static int step(const struct plan *p, struct walk *w, const char *name, size_t n, enum want want,
		struct pf_error *err)
{
	static const struct pf_skeleton_item made = {.type = 'd', .mode = 0755};
	size_t len = strlen(w->path);
	const struct pf_skeleton_item *known;
	char one[256];
	int r;

	if (n >= sizeof(one) || len + n + 2 > sizeof(w->path))
		return pf_fail(err, -ENAMETOOLONG, "a name in a mount's path is too long");
	memcpy(one, name, n);
	one[n] = '\0';
	snprintf(w->path + len, sizeof(w->path) - len, "%s%s", len ? "/" : "", one);
	known = find(p->img, w->path);
	if (known && !known->image) {
		if (known->type != 'd')
			return want == WANT_MAYBE
				       ? 0
				       : pf_fail(err, -ENOTDIR, "'/%.64s' is no directory", w->path);
		if (w->at >= 0)
			close(pf_take_fd(&w->at));
		return 1;
	}
	if (w->at >= 0 && (r = look(w, one, want, p->spec->breaks, err)) != 1)
		return r;
	if (w->at >= 0)
		return 1;
	r = add_above(p->img, w, err);
	return r < 0 ? r : (r = add(p->img, &made, w->path, NULL, 0, err)) < 0 ? r : 1;
}

/* As look(), for the whole of path. The caller closes w->at. */
static int walk(const struct plan *p, struct walk *w, const char *path, enum want want, struct pf_error *err)
{
	int r = 1;

	*w = (struct walk){.at = fcntl(p->img->fd, F_DUPFD_CLOEXEC, 3)};
	if (w->at < 0)
		return pf_fail_errno(err, "cannot open the image");
	while (r == 1) {
		size_t n;

		path += strspn(path, "/");
		n = strcspn(path, "/");
		if (n == 0)
			break;
		r = step(p, w, path, n, want, err);
		path += n;
	}
	return r;
}

/* See to it that path is a directory in the root; with WANT_MAYBE it may come to nothing. */
static int want_dir(const struct plan *p, const char *path, enum want want, struct pf_error *err)
{
	struct walk w;
	int r = walk(p, &w, path, want, err);

	if (w.at >= 0)
		close(w.at);
	return r < 0 ? r : 0;
}

/* --- files -------------------------------------------------------------------------------- */

/* The directories down to path's parent, so that the file has one to stand in. *at receives the image's own
 * directory there, or -1. */
static int want_parent(const struct plan *p, const char *path, enum want want, int *at, struct pf_error *err)
{
	char parent[4096];
	struct walk w;
	int r;

	snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(path, '/') - path), path);
	r = walk(p, &w, parent, want, err);
	if (r >= 0)
		r = add_above(p->img, &w, err);
	if (r < 0 && w.at >= 0)
		close(w.at);
	if (r >= 0)
		*at = w.at;
	return r;
}

/* A file of ours, over whatever the image has. */
static int our_file(const struct plan *p, const char *path, const char *text, size_t size,
		    struct pf_error *err)
{
	static const struct pf_skeleton_item file = {.type = 'f', .mode = 0644};
	PF_AUTO_CLOSE int at = -1;
	int r = want_parent(p, path, WANT_OURS, &at, err);

	return r < 0 ? r : add(p->img, &file, path + 1, text, size, err);
}

/* Where a file of the host is mounted: over a file, or where nothing is. */
static int file_place(const struct plan *p, const char *path, struct pf_error *err)
{
	static const struct pf_skeleton_item file = {.type = 'f', .mode = 0644};
	PF_AUTO_CLOSE int at = -1;
	const char *leaf = strrchr(path, '/') + 1;
	char shown[160];
	struct stat st;
	int r = want_parent(p, path, WANT_PLACE, &at, err);

	if (r < 0)
		return r;
	if (at >= 0 && fstatat(at, leaf, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (S_ISREG(st.st_mode))
			return 0;
		pf_printable(path, strlen(path), shown, sizeof(shown));
		return pf_fail(err, -EEXIST,
			       "'%s' is a link or directory of the image: no file can be mounted there",
			       shown);
	}
	return add(p->img, &file, path + 1, "", 0, err);
}

/* --- the plan ----------------------------------------------------------------------------- */

/* What is mounted writable anyway gets its mount points when they are needed. */
static bool in_writable(const struct pf_image_root *img, const char *path)
{
	static const char *const places[] = {"/tmp", "/run", "/var/tmp", "/dev/shm"};
	unsigned i;

	for (i = 0; i < PF_ARRAY_SIZE(places); i++)
		if (pf_path_within(path, places[i]))
			return true;
	return pf_path_within(path, img->account.home);
}

static int plan_place(const struct plan *p, const char *path, bool directory, struct pf_error *err)
{
	if (in_writable(p->img, path))
		return 0;
	return directory ? want_dir(p, path, WANT_PLACE, err) : file_place(p, path, err);
}

static int plan_places(const struct plan *p, const char *ws_at, struct pf_error *err)
{
	const struct pf_policy *policy = p->spec->policy;
	struct stat st;
	size_t i;
	int r = 0;

	if (ws_at && (r = plan_place(p, ws_at, true, err)) < 0)
		return pf_wrap(err, "the workspace at %.200s", ws_at);
	for (i = 0; i < policy->tools.count; i++)
		if ((r = plan_place(p, policy->tools.items[i], true, err)) < 0)
			return pf_wrap(err, "the tools at %.200s", policy->tools.items[i]);
	for (i = 0; i < policy->mount_count; i++) {
		bool directory = stat(policy->mounts[i].from, &st) < 0 || S_ISDIR(st.st_mode);

		if ((r = plan_place(p, policy->mounts[i].to, directory, err)) < 0)
			return pf_wrap(err, "the mount at %.200s", policy->mounts[i].to);
	}
	return 0;
}

static int plan_files(const struct plan *p, struct pf_error *err)
{
	static const char *const names[] = {"hosts", "hostname", "resolv.conf"};
	const struct pf_buf *passwd = &p->img->passwd, *group = &p->img->group;
	char path[64];
	unsigned i;
	int r = 0;

	for (i = 0; i < PF_ARRAY_SIZE(names) && r == 0; i++) {
		const char *text = pf_host_etc_text(names[i]);

		snprintf(path, sizeof(path), "/etc/%s", names[i]);
		r = our_file(p, path, text, strlen(text), err);
	}
	if (r == 0 && passwd->len)
		r = our_file(p, "/etc/passwd", passwd->data, passwd->len, err);
	if (r == 0 && group->len)
		r = our_file(p, "/etc/group", group->data, group->len, err);
	return r;
}

/* /var/run is /run in every image of this century; WORKDIR is made as docker does. */
static int plan_rest(const struct plan *p, struct pf_error *err)
{
	static const struct pf_skeleton_item link = {.type = 'l', .mode = 0777};
	const char *workdir = p->img->image->config.workdir;
	PF_AUTO_CLOSE int var = -1;
	struct stat st;
	int r;

	if ((r = want_parent(p, "/var/run", WANT_OURS, &var, err)) < 0)
		return r;
	if ((var < 0 || fstatat(var, "run", &st, AT_SYMLINK_NOFOLLOW) < 0) &&
	    (r = add(p->img, &link, "var/run", "/run", 4, err)) < 0)
		return r;
	if (!workdir || *workdir != '/' || in_writable(p->img, workdir))
		return 0;
	return want_dir(p, workdir, WANT_MAYBE, err);
}

int pf__skeleton_plan(const struct pf_box_spec *spec, const char *ws_at, struct pf_image_root *img,
		      struct pf_error *err)
{
	static const char *const ours[] = {"/proc", "/dev", "/sys", "/tmp", "/run", "/var/tmp", "/etc"};
	const struct plan p = {spec, img};
	unsigned i;
	int r;

	for (i = 0; i < PF_ARRAY_SIZE(ours); i++)
		if ((r = want_dir(&p, ours[i], WANT_OURS, err)) < 0)
			return r;
	if ((r = want_dir(&p, img->account.home, WANT_OURS, err)) < 0 ||
	    (r = plan_places(&p, ws_at, err)) < 0 || (r = plan_files(&p, err)) < 0)
		return r;
	return plan_rest(&p, err);
}
