/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which paths of a workspace a policy's secrets.mask means. The tree is the user's, but may hold
 * anything (it may be a hostile repository): no link is followed, no mount crossed, nothing but
 * directories is opened, and the walk is bounded.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "workspace/mask.h"
#include "workspace/workspace_internal.h"

#define ENTRIES_MAX 1000000u

/* A pattern, made ready: most are "**" and a name, for which the last component alone decides. */
struct glob {
	char *text;
	const char *base; /* behind a leading "**" if no other slash follows; else NULL */
	char first;	  /* first byte of base if that is literal, else 0 */
};

struct walk {
	int ws_fd;
	struct glob *globs;
	size_t glob_count;
	struct pf_list paths, unprotected, stack;
	size_t entries;
	struct pf_error *err;
};

static int note(struct walk *w, const char *path, const char *reason)
{
	int r = pf_list_addf(&w->unprotected, "%s: %s", path, reason);

	return r < 0 ? pf_fail(w->err, r, "out of memory") : 0;
}

static int found(struct walk *w, const char *path)
{
	int r = pf_list_add(&w->paths, path);

	return r < 0 ? pf_fail(w->err, r, "out of memory") : 0;
}

static const char *why_not(int code)
{
	switch (code) {
	case -ENOENT:
	case -ENOTDIR:
		return "its directory does not exist";
	case -ELOOP:
		return "a symbolic link is on the way to it";
	case -EXDEV:
		return "another mount is on the way to it";
	default:
		return strerror(-code);
	}
}

/* A name without wildcards stands for itself, there or not, if a whiteout can be put in its place. */
static int resolve_plain(struct walk *w, const char *path)
{
	const char *leaf;
	struct stat st;
	PF_AUTO_CLOSE int parent = pf__ws_open_parent(w->ws_fd, path, &leaf);
	int r;

	if (parent < 0)
		return note(w, path, why_not(parent));
	r = pf__ws_stat(parent, leaf, &st);
	if (r == -EXDEV)
		return note(w, path, "it is a mount point");
	return found(w, path);
}

static bool matches(const struct walk *w, const char *path, const char *name)
{
	for (size_t i = 0; i < w->glob_count; i++) {
		const struct glob *g = &w->globs[i];

		if (!g->base ? pf_glob_match(g->text, path)
			     : (!g->first || g->first == *name) && pf_glob_match(g->base, name))
			return true;
	}
	return false;
}

/* Git's objects are many, named by their hashes, and hold nothing under a name of its own. */
static bool is_git_objects(const char *path)
{
	size_t n = strlen(path), k = strlen(".git/objects");

	return n >= k && strcmp(path + n - k, ".git/objects") == 0 && (n == k || path[n - k - 1] == '/');
}

static int visit(struct walk *w, int dirfd, const char *dir, const struct dirent *e)
{
	PF_AUTO_FREE char *path = pf__ws_join(dir, e->d_name);
	struct stat st;
	int r = 0;

	if (!path)
		return pf_fail(w->err, -ENOMEM, "out of memory");
	if (++w->entries > ENTRIES_MAX)
		return pf_fail(w->err, -EFBIG,
			       "the workspace has more than %u entries, too many to look for secrets.mask "
			       "patterns; name the "
			       "paths without wildcards, or use a smaller workspace",
			       ENTRIES_MAX);
	if (strlen(path) >= PF__WS_PATH_MAX)
		return note(w, path, "its path is too long");
	if (matches(w, path, e->d_name))
		return found(w, path);
	if (e->d_type == DT_UNKNOWN) {
		if (fstatat(dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
			return 0; /* gone meanwhile */
		if (!S_ISDIR(st.st_mode))
			return 0;
	} else if (e->d_type != DT_DIR) {
		return 0;
	}
	if (!is_git_objects(path))
		r = pf_list_add(&w->stack, path);
	return r < 0 ? pf_fail(w->err, r, "out of memory") : 0;
}

static int walk_dir(struct walk *w, const char *path)
{
	PF_AUTO_CLOSE int fd = pf__ws_open(w->ws_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	PF_AUTO_DIR DIR *d = NULL;
	struct dirent *e;
	int r = 0;

	/* A mount is not what the overlay shows there; a link or nothing is a race that hides nothing. */
	if (fd == -EXDEV || fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
		return 0;
	/* Its owner can open it inside, where it is a copy, even if we cannot here. */
	if (fd < 0)
		return note(w, *path ? path : ".", "cannot be searched for secrets");
	d = fdopendir(fd);
	if (!d)
		return pf_fail(w->err, -ENOMEM, "out of memory");
	pf_take_fd(&fd);
	for (errno = 0; r == 0 && (e = readdir(d)); errno = 0) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = visit(w, dirfd(d), path, e);
	}
	if (r == 0 && errno)
		return note(w, *path ? path : ".", "cannot be searched for secrets");
	return r;
}

static int walk_all(struct walk *w)
{
	int r = pf_list_add(&w->stack, "");

	if (r < 0)
		return pf_fail(w->err, r, "out of memory");
	while (w->stack.count && r == 0) {
		PF_AUTO_FREE char *path = w->stack.items[--w->stack.count];

		r = walk_dir(w, path);
	}
	return r;
}

static int add_glob(struct walk *w, const char *text)
{
	struct glob *more = realloc(w->globs, (w->glob_count + 1) * sizeof(*more));
	struct glob *g;

	if (!more)
		return pf_fail(w->err, -ENOMEM, "out of memory");
	w->globs = more;
	g = &more[w->glob_count];
	*g = (struct glob){.text = strdup(text)};
	if (!g->text)
		return pf_fail(w->err, -ENOMEM, "out of memory");
	w->glob_count++;
	if (pf_has_prefix(g->text, "**/") && !strchr(g->text + 3, '/') && strcmp(g->text + 3, "**") != 0) {
		g->base = g->text + 3;
		g->first = strchr("*?[", *g->base) ? 0 : *g->base;
	}
	return 0;
}

static int add_pattern(struct walk *w, const char *given)
{
	char clean[PF__WS_PATH_MAX];
	const char *text =
		given + strspn(given, "/"); /* from the workspace's root, with or without a slash */

	if (pf_path_clean(text, clean, sizeof(clean)) < 0 || strcmp(clean, ".") == 0)
		return note(w, given, "is not a path beneath the workspace");
	if (pf_glob_is_pattern(clean))
		return add_glob(w, clean);
	if (!pf__ws_path_ok(clean))
		return note(w, given, "is not a path that can exist");
	return resolve_plain(w, clean);
}

int pf_mask_resolve(int ws_fd, const struct pf_list *patterns, struct pf_list *paths,
		    struct pf_list *unprotected, struct pf_error *err)
{
	struct walk w = {.ws_fd = ws_fd, .err = err};
	int r = 0;

	for (size_t i = 0; i < patterns->count && r == 0; i++)
		r = add_pattern(&w, patterns->items[i]);
	if (r == 0 && w.glob_count)
		r = walk_all(&w);
	pf__ws_list_sort(&w.paths);
	for (size_t i = 0; r == 0 && i < w.unprotected.count; i++) {
		/* the caller's list may have entries of its own already */
		if (pf_list_add(unprotected, w.unprotected.items[i]) < 0)
			r = pf_fail(err, -ENOMEM, "out of memory");
	}
	if (r == 0) {
		*paths = w.paths;
		w.paths = (struct pf_list){0};
	}
	for (size_t i = 0; i < w.glob_count; i++)
		free(w.globs[i].text);
	free(w.globs);
	pf_list_free(&w.paths);
	pf_list_free(&w.unprotected);
	pf_list_free(&w.stack);
	return r;
}
