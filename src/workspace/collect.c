/* SPDX-License-Identifier: Apache-2.0 */
/* A change set from its beginning in an overlay's upper to its place in the state directory. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "workspace/workspace_internal.h"

#define COMMAND_MAX 4096 /* as kept: one line for people */
#define WALK_MS	    20000u
#define STALE_S	    60 /* what is unfinished and locked by nobody was cut off */

static int cmp_changes(const void *a, const void *b)
{
	return pf__ws_path_cmp(((const struct pf_change *)a)->path, ((const struct pf_change *)b)->path);
}

/*
 * Linked blobs are the sandbox's files: they belong to one of its users and may be set-id or
 * unreadable. Only now, because other names of the same file were still to be looked at.
 */
static void own_blobs(struct pf__collect *c)
{
	for (uint64_t i = 1; c->linked && i <= c->blobs; i++) {
		char name[24];

		snprintf(name, sizeof(name), "%llu", (unsigned long long)i);
		/* may be refused in a user namespace; the file is ours to read there all the same */
		if (fchownat(c->blobs_fd, name, geteuid(), getegid(), AT_SYMLINK_NOFOLLOW) < 0)
			errno = 0;
		fchmodat(c->blobs_fd, name, 0600, 0);
	}
}

/* Directories that a collect or a drop left when it was killed. Those at work hold a lock. */
static void sweep(int changes_fd)
{
	struct pf_list names = {0};
	int64_t now = (int64_t)time(NULL);

	pf__ws_names(changes_fd, &names, 100000); /* as far as it comes */
	for (size_t i = 0; i < names.count; i++) {
		PF_AUTO_CLOSE int fd = -1;
		struct stat st;

		if (names.items[i][0] != '.' || !pf__change_id_ok(names.items[i] + 1))
			continue;
		fd = pf__ws_open(changes_fd, names.items[i], O_RDONLY | O_DIRECTORY);
		if (fd >= 0 && fstat(fd, &st) == 0 && now - (int64_t)st.st_mtime > STALE_S &&
		    flock(fd, LOCK_EX | LOCK_NB) == 0)
			pf_remove_tree(changes_fd, names.items[i]);
	}
	pf_list_free(&names);
}

/* Everything goes into ".ID" and gets its name at the end: a set is there whole or not at all. */
static int stage_open(int changes_fd, const char *id, char stage[48], int *dir, int *blobs,
		      struct pf_error *err)
{
	snprintf(stage, 48, ".%s", id);
	if (faccessat(changes_fd, id, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return pf_fail(err, -EEXIST, "there is a change set '%s' already", id);
	pf_remove_tree(changes_fd, stage);
	if (mkdirat(changes_fd, stage, 0700) < 0)
		return pf_fail_errno(err, "cannot make a directory for the changes");
	*dir = pf__ws_open(changes_fd, stage, O_RDONLY | O_DIRECTORY);
	if (*dir >= 0)
		flock(*dir, LOCK_EX | LOCK_NB);
	if (*dir < 0 || mkdirat(*dir, "blobs", 0700) < 0)
		return pf_fail_errno(err, "cannot make a directory for the changes");
	*blobs = pf__ws_open(*dir, "blobs", O_RDONLY | O_DIRECTORY);
	return *blobs < 0 ? pf_fail(err, *blobs, "cannot open the directory for the changes") : 0;
}

static int describe(struct pf__collect *c)
{
	const struct pf_collect *what = c->what;
	char command[COMMAND_MAX];
	const char *text = what->command ? what->command : "";

	pf_printable(text, strlen(text), command, sizeof(command));
	snprintf(c->set.id, sizeof(c->set.id), "%s", what->id);
	c->set.workspace = strdup(what->workspace);
	c->set.command = strdup(command);
	c->set.reference_ns = what->reference_ns;
	c->set.created = (int64_t)time(NULL);
	for (size_t i = 0; what->masked && i < what->masked->count; i++) {
		if (pf_list_add(&c->hidden, what->masked->items[i]) < 0)
			return pf_fail(c->err, -ENOMEM, "out of memory while collecting changes");
	}
	pf__ws_list_sort(&c->hidden);
	if (pf__protect_compile(what->protect, &c->protect) < 0 || !c->set.workspace || !c->set.command)
		return pf_fail(c->err, -ENOMEM, "out of memory while collecting changes");
	if (fstat(what->upper_fd, &c->upper_root) < 0 || fstat(what->lower_fd, &c->lower_root) < 0 ||
	    pf__change_place(what->lower_fd, &c->set.place) < 0)
		return pf_fail_errno(c->err, "cannot look at the workspace");
	c->upper_attrs = pf__attrs_supported(what->upper_fd);
	if ((c->upper_root.st_mode ^ c->lower_root.st_mode) & PF__WS_MODE_BITS)
		c->set.top_mode = c->upper_root.st_mode;
	return 0;
}

static int collect_into(struct pf__collect *c, int dir)
{
	struct timespec now;
	int r = describe(c);

	clock_gettime(CLOCK_MONOTONIC, &now);
	c->deadline_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec +
			 (int64_t)(c->what->walk_ms_max ? c->what->walk_ms_max : WALK_MS) * 1000000;
	if (r == 0)
		r = pf__collect_walk(c);
	c->set.by_name = c->set.truncated && !c->cut;
	if (r < 0 || (c->set.count == 0 && !c->set.truncated))
		return r;
	own_blobs(c);
	if (c->set.count)
		qsort(c->set.items, c->set.count, sizeof(*c->set.items), cmp_changes);
	pf__hardlinks_finish(c);
	c->set.bytes = c->blob_bytes + c->manifest_bytes;
	r = pf__manifest_write(dir, &c->set, c->err);
	return r < 0 ? r : pf__meta_write(dir, &c->set, c->blobs, c->what->uid_base, c->err);
}

/* Hand the counts out; the items are read back from the manifest by who wants them. */
static void give(struct pf__collect *c, struct pf_changeset *out)
{
	size_t count = c->set.count;

	for (size_t i = 0; i < count; i++)
		pf__change_clear(&c->set.items[i]);
	free(c->set.items);
	*out = c->set;
	out->items = NULL;
	c->set = (struct pf_changeset){0};
}

/* Most runs change nothing: then nothing is made only to be removed again. */
static bool is_empty(int dirfd)
{
	struct pf_list none = {0};

	return pf__ws_names(dirfd, &none, 0) == 0;
}

int pf_change_collect(int changes_fd, const struct pf_collect *what, struct pf_changeset *out,
		      struct pf_error *err)
{
	struct pf__collect c = {.what = what, .blobs_fd = -1, .err = err};
	PF_AUTO_CLOSE int dir = -1;
	char stage[48];
	int r;

	if (!pf__change_id_ok(what->id))
		return pf_fail(err, -EINVAL, "'%s' cannot name a change set", what->id);
	if (what->workspace[0] != '/')
		return pf_fail(err, -EINVAL, "the workspace's path is not absolute");
	if (is_empty(what->upper_fd)) {
		r = describe(&c);
		if (r == 0)
			give(&c, out);
		pf_list_free(&c.hidden);
		pf__protect_free(&c.protect);
		pf_change_free(&c.set);
		return r;
	}
	sweep(changes_fd);
	r = stage_open(changes_fd, what->id, stage, &dir, &c.blobs_fd, err);
	if (r == 0)
		r = collect_into(&c, dir);
	if (r == 0 && (c.set.count || c.set.truncated)) {
		/* NOREPLACE where the file system knows it; the id was free a moment ago in any case */
		if (renameat(changes_fd, stage, changes_fd, what->id) < 0)
			r = pf_fail_errno(err, "cannot put the change set in its place");
	} else {
		pf_remove_tree(changes_fd, stage);
	}
	if (r < 0) {
		pf_remove_tree(changes_fd, stage);
	} else {
		if (c.set.count || c.set.truncated)
			pf__retain_one(changes_fd, what->id, c.set.bytes);
		give(&c, out);
	}
	if (c.blobs_fd >= 0)
		close(c.blobs_fd);
	pf_list_free(&c.hidden);
	pf__protect_free(&c.protect);
	pf_buf_free(&c.line);
	pf__hardlinks_free(&c);
	pf_change_free(&c.set);
	return r;
}
