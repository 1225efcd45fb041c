/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk over an overlay's upper.
 *
 * For each directory path there are three directories that matter: the upper's, the one of the
 * workspace that is merged beneath it (its origin: the same path, another one if the directory was
 * renamed, none if it is opaque or new), and the workspace's at the same path, against which the
 * change is told. Where origin and workspace are the same, only what the upper names can differ;
 * elsewhere the names of all three are looked at. A deleted directory is the case that has neither
 * upper nor origin: every entry beneath it becomes a deletion of its own, so that apply can tell an
 * entry that the sandbox did not see.
 *
 * Directories wait on a list as paths and are opened one at a time, beneath the root, so depth costs
 * neither stack nor descriptors. Overlay's attributes are documented in the kernel's
 * Documentation/filesystems/overlayfs.rst.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "workspace/workspace_internal.h"

#define DEPTH_MAX 256u

struct job {
	struct job *next;
	char *path;
	char *origin; /* where overlay would look without a redirect; NULL: nowhere */
	char *parent_origin;
	bool upper;	       /* the sandbox has this directory in its upper */
	bool base;	       /* the workspace has a directory here */
	bool shown;	       /* the sandbox still has a directory here: it is compared itself */
	bool protect, beneath; /* the protect list holds back: the directory itself, all that is in it */
	unsigned depth;
};

struct dir {
	int upper, origin, base;
	char *origin_path;
	bool opaque, same;
	bool repo;   /* git takes it for a repository, whatever its name */
	bool within; /* it is one of a submodule or a worktree, in a .git */
	struct pf_list names;
};

static void job_free(struct job *j)
{
	if (!j)
		return;
	free(j->path);
	free(j->origin);
	free(j->parent_origin);
	free(j);
}

static int no_memory(struct pf__collect *c)
{
	return pf_fail(c->err, -ENOMEM, "out of memory while collecting changes");
}

static int cannot(struct pf__collect *c, int code, const char *what, const char *path)
{
	char show[PF__WS_SHOW];

	errno = -code;
	return pf_fail_errno(c->err, "cannot %s '%s'", what, pf__ws_show(path, show));
}

static bool hidden(const struct pf__collect *c, const char *path)
{
	return pf__ws_covered(&c->hidden, path);
}

/* The value of one of overlay's attributes as a string; false if it has none (or the file system has no such
 * thing). */
static bool overlay_attr(const struct pf__collect *c, int fd, const char *name, char *out, size_t cap)
{
	char attr[64];
	ssize_t n;

	if ((size_t)snprintf(attr, sizeof(attr), "%s%s", c->what->xattr_prefix, name) >= sizeof(attr))
		return false;
	n = fgetxattr(fd, attr, out, cap - 1);
	if (n <= 0)
		return false;
	out[n] = '\0';
	return strlen(out) == (size_t)n;
}

/* What `redirect` says about where the content beneath this directory comes from. */
static char *redirect_target(struct pf__collect *c, const struct job *j, const char *value)
{
	const char *rel = value[0] == '/' ? value + 1 : value;
	char *target;

	/* absolute from the layer's root, or one name beside the origin of the parent */
	if (value[0] == '/')
		target = strdup(rel);
	else if (j->parent_origin && !strchr(value, '/'))
		target = pf__ws_join(j->parent_origin, rel);
	else
		return NULL;
	if (target && pf__ws_path_ok(target))
		return target;
	free(target);
	pf__collect_truncate(c, "'%s' says it was renamed from a path that cannot be", j->path);
	return NULL;
}

/* Open the directory in the workspace that is merged beneath; d->origin stays -1 if there is none. */
static int open_origin(struct pf__collect *c, const struct job *j, struct dir *d)
{
	char value[PF__WS_PATH_MAX];

	if (j->upper && overlay_attr(c, d->upper, "redirect", value, sizeof(value))) {
		d->origin_path = redirect_target(c, j, value);
	} else if (j->upper && overlay_attr(c, d->upper, "opaque", value, sizeof(value)) &&
		   strcmp(value, "y") == 0) {
		d->opaque = true;
	} else if (j->origin) {
		d->origin_path = strdup(j->origin);
		if (!d->origin_path)
			return no_memory(c);
	}
	if (!d->origin_path)
		return 0;
	d->origin = hidden(c, d->origin_path)
			    ? -ENOENT
			    : pf__ws_open(c->what->lower_fd, d->origin_path, O_RDONLY | O_DIRECTORY);
	if (d->origin >= 0)
		return 0;
	if (d->origin != -ENOENT && d->origin != -ENOTDIR && d->origin != -ELOOP)
		pf__collect_truncate(c, "'%s' in the workspace cannot be read: %s", d->origin_path,
				     strerror(-d->origin));
	free(d->origin_path);
	d->origin_path = NULL;
	d->origin = -1;
	return 0;
}

static void dir_close(struct dir *d)
{
	if (d->upper >= 0)
		close(d->upper);
	if (d->origin >= 0)
		close(d->origin);
	if (d->base >= 0)
		close(d->base);
	free(d->origin_path);
	pf_list_free(&d->names);
}

/* Names of one of the three directories, added to the list. */
static int add_names(struct pf__collect *c, const struct job *j, int fd, struct pf_list *names)
{
	int r;

	if (fd < 0)
		return 0;
	r = pf__ws_names(fd, names, 4 * (size_t)PF_CHANGES_MAX);
	if (r == -E2BIG) {
		pf__collect_truncate(c, "the directory '%s' has too many entries", j->path);
		return 0;
	}
	return r < 0 ? cannot(c, r, "read the directory", j->path) : 0;
}

static int dir_open(struct pf__collect *c, const struct job *j, struct dir *d)
{
	int r;

	*d = (struct dir){.upper = -1, .origin = -1, .base = -1};
	if (j->upper) {
		d->upper = pf__ws_open(c->what->upper_fd, j->path, O_RDONLY | O_DIRECTORY);
		if (d->upper < 0)
			return cannot(c, d->upper, "open the sandbox's directory", j->path);
	}
	if (j->base) {
		d->base = pf__ws_open(c->what->lower_fd, j->path, O_RDONLY | O_DIRECTORY);
		if (d->base < 0)
			pf__collect_truncate(c, "'%s' in the workspace cannot be read: %s", j->path,
					     strerror(-d->base));
	}
	r = open_origin(c, j, d);
	if (r < 0)
		return r;
	d->same = d->origin >= 0 && strcmp(d->origin_path, j->path) == 0;
	r = add_names(c, j, d->upper, &d->names);
	if (r == 0 && !d->same)
		r = add_names(c, j, d->origin, &d->names);
	if (r == 0 && !d->same)
		r = add_names(c, j, d->base, &d->names);
	pf__ws_list_sort(&d->names);
	return r;
}

static int push(struct pf__collect *c, struct job **stack, const struct job *from, const char *parent_origin)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j)
		return no_memory(c);
	*j = *from;
	j->path = strdup(from->path);
	j->origin = from->origin ? strdup(from->origin) : NULL;
	j->parent_origin = parent_origin ? strdup(parent_origin) : NULL;
	if (!j->path || (from->origin && !j->origin) || (parent_origin && !j->parent_origin)) {
		job_free(j);
		return no_memory(c);
	}
	j->next = *stack;
	*stack = j;
	return 0;
}

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

/* lstat one name of an open directory into a side; what is not there leaves exists false. */
static int look(struct pf__collect *c, int dirfd, const char *name, const char *path, struct pf__side *side)
{
	*side = (struct pf__side){.lower = side->lower, .dirfd = dirfd, .fd = -1, .name = name};
	if (dirfd < 0)
		return 0;
	if (fstatat(dirfd, name, &side->st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return errno == ENOENT ? 0 : cannot(c, -errno, "look at", path);
	side->exists = true;
	return 0;
}

/* What the sandbox saw under this name: the upper's entry, else the origin's. */
static int look_view(struct pf__collect *c, const struct dir *d, const char *name, const char *path,
		     const char *origin, struct pf__side *view)
{
	int r;

	view->lower = false;
	r = look(c, d->upper, name, path, view);
	if (r < 0)
		return r;
	if (view->exists) {
		view->exists = !is_whiteout(&view->st);
		return 0;
	}
	view->lower = true;
	r = look(c, origin && !hidden(c, origin) ? d->origin : -1, name, path, view);
	/* a whiteout in the workspace itself: overlay would not have shown it either */
	if (r == 0 && view->exists && is_whiteout(&view->st))
		view->exists = false;
	return r;
}

/* Is the name there, after the change or before? (a part of the change may be left out of an apply) */
static int has(struct pf__collect *c, const struct job *j, const struct dir *d, const char *name, bool *there)
{
	PF_AUTO_FREE char *path = pf__ws_join(j->path, name);
	PF_AUTO_FREE char *origin = d->origin_path ? pf__ws_join(d->origin_path, name) : NULL;
	struct pf__side view = {0}, base = {.lower = true};
	int r;

	if (!path || (d->origin_path && !origin))
		return no_memory(c);
	r = look_view(c, d, name, path, origin, &view);
	if (r == 0)
		r = look(c, d->base, name, path, &base);
	/* what cannot be looked at may be there */
	*there = r < 0 || view.exists || (base.exists && !is_whiteout(&base.st));
	return 0;
}

/*
 * A bare repository under any name: git obeys its config and hooks as soon as somebody works in the
 * directory. With `commondir` the objects may be anywhere. ".git" itself is for the policy's patterns.
 */
static int find_repo(struct pf__collect *c, const struct job *j, struct dir *d)
{
	const char *last = strrchr(j->path, '/');
	bool head = false, objects = false, refs = false, common = false;
	int r;

	last = last ? last + 1 : j->path;
	if ((!j->shown && *j->path) || strcmp(last, ".git") == 0)
		return 0;
	r = has(c, j, d, "HEAD", &head);
	if (r < 0 || !head)
		return r;
	r = has(c, j, d, "objects", &objects);
	if (r == 0)
		r = has(c, j, d, "refs", &refs);
	if (r == 0)
		r = has(c, j, d, "commondir", &common);
	d->repo = (objects && refs) || common;
	/* of a submodule or a worktree: its HEAD and objects change with every commit */
	d->within =
		pf_glob_match("**/.git/modules/**", j->path) || pf_glob_match("**/.git/worktrees/*", j->path);
	return r;
}

/* What a pattern, or a repository that has no pattern, says about a name in a directory. */
static void protect(const struct pf__collect *c, const struct job *at, const struct dir *d, const char *name,
		    struct job *child)
{
	static const char *const obeyed[] = {"HEAD", "config", "config.worktree", "commondir", "hooks"};

	child->beneath = at->beneath || pf__protect_entry(&c->protect, child->path) ||
			 (!*at->path && pf_has_prefix(name, PF_STAGE_PREFIX));
	for (size_t i = d->within; d->repo && i < PF_ARRAY_SIZE(obeyed); i++)
		child->beneath |= strcmp(name, obeyed[i]) == 0;
	/* these make one of a directory that had the rest before */
	child->protect = child->beneath || (d->repo && !d->within &&
					    (strcmp(name, "objects") == 0 || strcmp(name, "refs") == 0));
}

static int visit(struct pf__collect *c, struct job **stack, const struct job *at, const struct dir *d,
		 const char *name)
{
	PF_AUTO_FREE char *path = pf__ws_join(at->path, name);
	PF_AUTO_FREE char *origin = d->origin_path ? pf__ws_join(d->origin_path, name) : NULL;
	struct pf__side view = {0}, base = {.lower = true};
	struct job child;
	bool view_dir, base_dir;
	int r;

	if (!path || (d->origin_path && !origin))
		return no_memory(c);
	if (strlen(path) >= PF__WS_PATH_MAX) {
		pf__collect_truncate(c, "a path beneath '%.100s' is longer than %d bytes", path,
				     PF__WS_PATH_MAX - 1);
		return 0;
	}
	r = look_view(c, d, name, path, origin, &view);
	if (r == 0 && !hidden(c, path))
		r = look(c, d->base, name, path, &base);
	if (r < 0)
		return r;
	if (base.exists && is_whiteout(&base.st))
		base.exists = false;
	view_dir = view.exists && S_ISDIR(view.st.st_mode);
	base_dir = base.exists && S_ISDIR(base.st.st_mode);
	child = (struct job){.path = path,
			     .origin = view_dir ? origin : NULL,
			     .upper = view_dir && !view.lower,
			     .base = base_dir,
			     .shown = view_dir,
			     .depth = at->depth + 1};
	protect(c, at, d, name, &child);
	if ((view_dir || base_dir) && child.depth > DEPTH_MAX)
		pf__collect_truncate(c, "'%.100s' ... is deeper than %u directories", path, DEPTH_MAX);
	else if (view_dir || base_dir)
		r = push(c, stack, &child, d->origin_path);
	if (r == 0 && !view_dir)
		r = pf__collect_emit(c, path, &view, &base, false, child.protect);
	return r;
}

/* A directory that the sandbox has is compared when it is open, for only then it is known to be opaque. */
static int emit_self(struct pf__collect *c, const struct job *j, const struct dir *d)
{
	int fd = j->upper ? d->upper : d->origin, r;
	struct pf__side view = {.exists = true, .lower = !j->upper, .dirfd = -1, .fd = fd},
			base = {.lower = true, .dirfd = -1, .fd = d->base};

	if (!j->shown)
		return 0;
	if (fd < 0) /* a renamed directory's part that could not be opened; said already */
		return 0;
	if (fstat(fd, &view.st) < 0)
		return cannot(c, -errno, "look at", j->path);
	r = hidden(c, j->path) ? -ENOENT : pf__ws_stat(c->what->lower_fd, j->path, &base.st);
	base.exists = r == 0 && !is_whiteout(&base.st);
	if (r == -EXDEV) {
		pf__collect_truncate(c, "another file system is mounted at '%s'", j->path);
		return 0;
	}
	if (r < 0 && r != -ENOENT && r != -ENOTDIR && r != -ELOOP)
		return cannot(c, r, "look at", j->path);
	return pf__collect_emit(c, j->path, &view, &base, d->opaque && base.exists, j->protect);
}

/* The caps end the walk: what is in the set stays true, and the set says that it is not whole. */
static bool over(struct pf__collect *c)
{
	struct timespec now;

	if (c->full)
		return true;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if ((int64_t)now.tv_sec * 1000000000 + now.tv_nsec < c->deadline_ns)
		return false;
	c->full = true;
	pf__collect_truncate(c, "to look at everything took too long");
	return true;
}

static int walk_one(struct pf__collect *c, struct job **stack, const struct job *j)
{
	struct dir d;
	int r = dir_open(c, j, &d);

	if (r == 0 && *j->path)
		r = emit_self(c, j, &d);
	if (r == 0)
		r = find_repo(c, j, &d);
	for (size_t i = 0; i < d.names.count && r == 0 && !over(c); i++)
		r = visit(c, stack, j, &d, d.names.items[i]);
	dir_close(&d);
	return r;
}

int pf__collect_walk(struct pf__collect *c)
{
	struct job root = {.path = (char *)"", .origin = (char *)"", .upper = true, .base = true},
		   *stack = NULL;
	int r = push(c, &stack, &root, NULL);

	while (stack && r == 0) {
		struct job *j = stack;

		stack = j->next;
		if (!over(c))
			r = walk_one(c, &stack, j);
		job_free(j);
	}
	while (stack) {
		struct job *j = stack;

		stack = j->next;
		job_free(j);
	}
	return r;
}
