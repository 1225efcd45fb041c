/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An apply that nobody looks at first (rw, --apply): everything that nothing holds back goes into the
 * workspace, the rest stays as the change set. Held back are protected paths, and what the sandbox put where
 * the user has something that was hidden from it. With any conflict nothing is applied and the whole set
 * stays.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "workspace/apply_internal.h"

#define EXCHANGE 2u /* RENAME_EXCHANGE, which musl does not have */

static bool is_beneath(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* Is it at, or beneath, what the user has there unseen? An absent path holds nothing back: there is nothing
 * that could be lost. */
static bool over_hidden(int ws_fd, const struct pf_change *c)
{
	struct stat st;

	return c->hidden && pf__ws_stat(ws_fd, c->path, &st) != -ENOENT;
}

/* What is held back, and the directories that only it needs. held: one an item. */
static void hold_back(const struct pf_changeset *c, int ws_fd, bool *held)
{
	for (size_t i = c->count; i-- > 0;) {
		const struct pf_change *d = &c->items[i];
		bool any_free = false, any_held = false;

		if (d->protect || over_hidden(ws_fd, d)) {
			held[i] = true;
			continue;
		}
		for (size_t j = i + 1; j < c->count && is_beneath(c->items[j].path, d->path); j++) {
			any_held = any_held || held[j];
			any_free = any_free || !held[j];
		}
		/* a directory that goes, or becomes something else, would take what is held with it */
		if (any_held && (!any_free || d->op == PF_DELETED || pf__apply_retype(d)))
			held[i] = true;
	}
	/* what is in a directory that cannot be made, or must not go, cannot be put there either */
	for (size_t i = 0; i < c->count; i++) {
		if (!held[i] || c->items[i].op == PF_DELETED)
			continue;
		for (size_t j = i + 1; j < c->count && is_beneath(c->items[j].path, c->items[i].path); j++)
			held[j] = true;
	}
}

/* The free entries as a selection: a path stands for all beneath it, so directories with something held
 * beneath are chosen by what is free in them (they are made for it). What of such a directory is only its
 * mode stays. */
static int choose(const struct pf_changeset *c, bool *held, struct pf_list *only)
{
	for (size_t i = 0; i < c->count; i++) {
		bool any_held = false;
		size_t j = i + 1;

		if (held[i])
			continue;
		for (; j < c->count && is_beneath(c->items[j].path, c->items[i].path); j++)
			any_held = any_held || held[j];
		if (any_held) {
			held[i] = c->items[i].op == PF_MODIFIED;
			continue;
		}
		if (pf_list_add(only, c->items[i].path) < 0)
			return -ENOMEM;
		i = j - 1;
	}
	return 0;
}

/* --- what is left ------------------------------------------------------------------- */

static int link_blobs(int from, int to, const struct pf_changeset *c)
{
	char name[40];

	if (mkdirat(to, "blobs", 0700) < 0)
		return -errno;
	for (size_t i = 0; i < c->count; i++) {
		snprintf(name, sizeof(name), "blobs/%llu", (unsigned long long)c->items[i].blob);
		if (c->items[i].blob && linkat(from, name, to, name, 0) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

static uint64_t last_blob(const struct pf_changeset *c)
{
	uint64_t last = 0;

	for (size_t i = 0; i < c->count; i++)
		last = c->items[i].blob > last ? c->items[i].blob : last;
	return last;
}

/* A smaller set beside the old one, which then takes its name at once: whoever is killed leaves one of both.
 */
static int replace(int changes_fd, const struct pf_changeset *left, struct pf_error *err)
{
	PF_AUTO_CLOSE int from = pf__change_open_set(changes_fd, left->id, err), to = -1;
	char stage[48];
	int r;

	if (from < 0)
		return from;
	snprintf(stage, sizeof(stage), ".%s", left->id);
	pf_remove_tree(changes_fd, stage);
	if (mkdirat(changes_fd, stage, 0700) < 0)
		return pf_fail_errno(err, "cannot make a directory for the changes");
	to = pf__ws_open(changes_fd, stage, O_RDONLY | O_DIRECTORY);
	if (to < 0)
		return pf_fail(err, to, "cannot open the directory for the changes");
	flock(to, LOCK_EX | LOCK_NB); /* no sweep takes it for one that was cut off */
	r = link_blobs(from, to, left);
	if (r < 0)
		return pf_fail(err, r, "cannot keep the contents of the changes: %s", strerror(-r));
	if ((r = pf__manifest_write(to, left, err)) < 0 ||
	    (r = pf__meta_write(to, left, last_blob(left), UINT32_MAX, err)) < 0)
		return r;
	if (syscall(SYS_renameat2, changes_fd, stage, changes_fd, left->id, EXCHANGE) < 0)
		return pf_fail_errno(err, "cannot put what is left of the changes in its place");
	r = pf_remove_tree(changes_fd, stage);
	return r < 0 ? pf_fail(err, r, "cannot remove the old change set: %s", strerror(-r)) : 0;
}

/* The items are the caller's: only pointers are copied. */
static int reduce(int changes_fd, const struct pf_changeset *c, const bool *held, struct pf_error *err)
{
	PF_AUTO_FREE struct pf_change *items = calloc(c->count, sizeof(*items));
	struct pf_changeset left = *c;

	if (!items)
		return pf_fail(err, -ENOMEM, "out of memory while applying changes");
	left.items = items;
	left.count = left.added = left.modified = left.deleted = left.secrets = 0;
	for (size_t i = 0; i < c->count; i++) {
		if (!held[i])
			continue;
		items[left.count++] = c->items[i];
		left.added += c->items[i].op == PF_ADDED;
		left.modified += c->items[i].op == PF_MODIFIED;
		left.deleted += c->items[i].op == PF_DELETED;
		left.secrets += pf__change_secret(&c->items[i]);
	}
	if (pf__hardlinks_reduce(c, &left) < 0)
		return pf_fail(err, -ENOMEM, "out of memory while applying changes");
	return left.count ? replace(changes_fd, &left, err)
			  : pf_change_drop(changes_fd, c->id, false, NULL, err);
}

static size_t count_held(const struct pf_changeset *c, const bool *held)
{
	size_t n = 0;

	for (size_t i = 0; i < c->count; i++)
		n += held[i];
	return n;
}

static int tell_held(const struct pf_changeset *c, const bool *held, struct pf_apply_report *report)
{
	for (size_t i = 0; i < c->count; i++) {
		if (held[i] && pf_list_add(&report->protected_paths, c->items[i].path) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int apply_free(int changes_fd, const struct pf_changeset *c, bool *held,
		      struct pf_apply_report *report, struct pf_error *err)
{
	struct pf_list only = {0};
	struct pf_apply how = {.only = &only};
	int r = choose(c, held, &only);

	if (r == 0 && !count_held(c, held))
		how.only = NULL; /* everything */
	if (r == 0 && (only.count || !how.only))
		r = pf_change_apply(changes_fd, c, &how, report, err);
	else if (r < 0)
		pf_fail(err, r, "out of memory while applying changes");
	if (r == 0 && tell_held(c, held, report) < 0)
		r = pf_fail(err, -ENOMEM, "out of memory while applying changes");
	pf_list_free(&only);
	return r;
}

int pf_change_apply_free(int changes_fd, const char *id, struct pf_apply_report *report, size_t *left,
			 struct pf_error *err)
{
	struct pf_changeset c = {0};
	PF_AUTO_FREE bool *held = NULL;
	PF_AUTO_CLOSE int ws_fd = -1;
	int r;

	*report = (struct pf_apply_report){0};
	if ((r = pf_change_load(changes_fd, id, &c, err)) < 0)
		return r;
	ws_fd = pf__change_open_workspace(&c, err);
	held = calloc(c.count + 1, sizeof(*held));
	if (ws_fd < 0)
		r = ws_fd;
	else if (!held)
		r = pf_fail(err, -ENOMEM, "out of memory while applying changes");
	else if (c.truncated)
		r = pf_fail(err, -E2BIG, "not every change could be kept: %s",
			    c.note ? c.note : "a limit was met");
	if (r == 0) {
		hold_back(&c, ws_fd, held);
		r = apply_free(changes_fd, &c, held, report, err);
	}
	if (r == 0)
		r = reduce(changes_fd, &c, held, err);
	if (r == 0)
		*left = count_held(&c, held);
	pf_change_free(&c);
	return r;
}
