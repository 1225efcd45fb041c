/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking a change set over into the user's directory, in this order: all checks; what must go to make
 * room (the content of directories that become files); directories, files and links, parents first;
 * all other deletions, deepest first; the modes of directories. A failure half way thus leaves more
 * than there was, not less: a renamed file has its new name before it loses the old one.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "workspace/workspace_internal.h"

int pf__apply_no_memory(struct pf__apply *a)
{
	return pf_fail(a->err, -ENOMEM, "out of memory while applying changes");
}

int pf__apply_cannot(struct pf__apply *a, int code, const char *what, const char *path)
{
	char show[PF__WS_SHOW];

	errno = -code;
	return pf_fail_errno(a->err, "cannot %s '%s'", what, pf__ws_show(path, show));
}

void pf_apply_report_free(struct pf_apply_report *r)
{
	pf_list_free(&r->applied);
	pf_list_free(&r->conflicts);
	pf_list_free(&r->protected_paths);
	pf_list_free(&r->notes);
}

/* The caller's paths, as the changes write them; "." is everything. */
static int clean_only(struct pf__apply *a, struct pf_list *out)
{
	char clean[PF__WS_PATH_MAX], show[PF__WS_SHOW];

	for (size_t i = 0; i < a->how->only->count; i++) {
		const char *given = a->how->only->items[i];

		if (*given == '/' || pf_path_clean(given, clean, sizeof(clean)) < 0)
			return pf_fail(a->err, -EINVAL, "'%s' is not a path beneath the workspace",
				       pf__ws_show(given, show));
		if (pf_list_add(out, clean) < 0)
			return pf__apply_no_memory(a);
	}
	return 0;
}

static bool is_within(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (strcmp(dir, ".") == 0)
		return true;
	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* The directories above a chosen entry that exist only by this change set. */
static void choose_parents(struct pf__apply *a, const char *path)
{
	char part[PF__WS_PATH_MAX], *slash;

	strcpy(part, path);
	while ((slash = strrchr(part, '/'))) {
		const struct pf_change *c;
		ssize_t i;

		*slash = '\0';
		i = pf__change_find(a->c, part);
		c = i < 0 ? NULL : &a->c->items[i];
		if (c && S_ISDIR(c->mode) && (c->op == PF_ADDED || pf__apply_retype(c)))
			a->todo[i] = PF__DO_WRITE;
	}
}

static int choose(struct pf__apply *a)
{
	struct pf_list only = {0};
	char show[PF__WS_SHOW];
	int r = a->how->only ? clean_only(a, &only) : 0;

	if (r == 0 && !a->how->only)
		memset(a->todo, PF__DO_WRITE, a->c->count);
	for (size_t k = 0; k < only.count && r == 0; k++) {
		bool any = false;

		for (size_t i = 0; i < a->c->count; i++) {
			if (!is_within(a->c->items[i].path, only.items[k]))
				continue;
			any = true;
			a->todo[i] = PF__DO_WRITE;
			if (a->c->items[i].op != PF_DELETED)
				choose_parents(a, a->c->items[i].path);
		}
		if (!any)
			r = pf_fail(a->err, -ENOENT, "there is no change at or beneath '%s'",
				    pf__ws_show(only.items[k], show));
	}
	pf_list_free(&only);
	return r;
}

/* With a set that lacks contents only: is one of those asked for? */
static int check_lost(struct pf__apply *a)
{
	char show[PF__WS_SHOW];

	for (size_t i = 0; i < a->c->count; i++) {
		if (a->todo[i] == PF__DO_WRITE && pf__change_lost(&a->c->items[i]))
			return pf_fail(a->err, -E2BIG, "the content of '%s' could not be kept: %s",
				       pf__ws_show(a->c->items[i].path, show),
				       a->c->note ? a->c->note : "not every change could be kept");
	}
	return 0;
}

static int skip(struct pf__apply *a, size_t i, const char *why)
{
	a->todo[i] = PF__DO_NOT;
	return pf_list_addf(&a->report->notes, "%s: %s", a->c->items[i].path, why) < 0
		       ? pf__apply_no_memory(a)
		       : 0;
}

/* What no apply puts into a user's directory. */
static int leave_out(struct pf__apply *a)
{
	int r = 0;

	for (size_t i = 0; i < a->c->count && r == 0; i++) {
		const struct pf_change *c = &a->c->items[i];

		if (a->todo[i] == PF__DO_NOT || c->op == PF_DELETED)
			continue;
		if (S_ISCHR(c->mode) || S_ISBLK(c->mode))
			r = skip(a, i, "not applied: a device");
		else if (S_ISSOCK(c->mode))
			r = skip(a, i, "not applied: a socket");
		else if (S_ISFIFO(c->mode))
			r = skip(a, i, "not applied: a FIFO");
		else if (c->op == PF_MODIFIED && !c->content && c->mode == c->old_mode)
			r = skip(a, i, "not applied: only its owner changed");
	}
	return r;
}

static int cmp_stamps(const void *x, const void *y)
{
	int64_t p = *(const int64_t *)x, q = *(const int64_t *)y;

	return p < q ? -1 : p > q;
}

static int make_stamps(struct pf__apply *a)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	a->now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	a->stamps = calloc(a->c->count + 1, sizeof(*a->stamps));
	if (!a->stamps)
		return pf__apply_no_memory(a);
	for (size_t i = 0; i < a->c->count; i++) {
		if (a->todo[i] == PF__DO_WRITE && S_ISREG(a->c->items[i].mode))
			a->stamps[a->stamp_count++] = a->c->items[i].mtime_ns;
	}
	qsort(a->stamps, a->stamp_count, sizeof(*a->stamps), cmp_stamps);
	return 0;
}

/* What was in a directory that is to be something else. */
static int make_room(struct pf__apply *a)
{
	int r = 0;

	for (size_t i = 0; i < a->c->count && r == 0; i++) {
		const struct pf_change *c = &a->c->items[i];
		size_t end = i + 1;

		if (a->todo[i] != PF__DO_WRITE || !pf__apply_retype(c) || !S_ISDIR(c->old_mode))
			continue;
		while (end < a->c->count && is_within(a->c->items[end].path, c->path))
			end++;
		for (size_t j = end; --j > i && r == 0;) {
			if (a->todo[j] == PF__DO_WRITE && a->c->items[j].op == PF_DELETED)
				r = pf__apply_remove(a, j);
		}
	}
	return r;
}

static int perform(struct pf__apply *a)
{
	int r = make_stamps(a);

	if (r == 0)
		r = make_room(a);
	for (size_t i = 0; i < a->c->count && r == 0; i++) {
		if (a->todo[i] == PF__DO_WRITE && a->c->items[i].op != PF_DELETED)
			r = pf__apply_write(a, i);
	}
	for (size_t i = a->c->count; i-- > 0 && r == 0;) {
		if (a->todo[i] == PF__DO_WRITE && a->c->items[i].op == PF_DELETED && !a->removed[i])
			r = pf__apply_remove(a, i);
	}
	for (size_t i = a->c->count; i-- > 0 && r == 0;) {
		if (a->todo[i] == PF__DO_WRITE && a->c->items[i].op != PF_DELETED &&
		    S_ISDIR(a->c->items[i].mode))
			r = pf__apply_dir_mode(a, i);
	}
	return r;
}

/* A dry run says what it would do. */
static int pretend(struct pf__apply *a)
{
	for (size_t i = 0; i < a->c->count; i++) {
		if (a->todo[i] == PF__DO_WRITE && pf_list_add(&a->report->applied, a->c->items[i].path) < 0)
			return pf__apply_no_memory(a);
	}
	return 0;
}

static int verdict(struct pf__apply *a)
{
	size_t n = a->report->conflicts.count, p = a->report->protected_paths.count;

	if (n && (!a->how->force || a->blocked))
		return pf_fail(a->err, -EEXIST,
			       "%zu conflict%s: the workspace has changed since the sandbox started", n,
			       n == 1 ? "" : "s");
	if (p)
		return pf_fail(a->err, -EPERM, "%zu protected path%s would change", p, p == 1 ? "" : "s");
	return 0;
}

static int run(struct pf__apply *a)
{
	int r = choose(a);

	if (r == 0)
		r = check_lost(a);
	if (r == 0)
		r = leave_out(a);
	if (r == 0)
		r = pf__apply_check(a);
	if (r == 0)
		r = verdict(a);
	if (r < 0)
		return r;
	return a->how->dry_run ? pretend(a) : perform(a);
}

int pf_change_apply(int changes_fd, const struct pf_changeset *c, const struct pf_apply *how,
		    struct pf_apply_report *report, struct pf_error *err)
{
	struct pf__apply a = {.c = c, .how = how, .report = report, .as_root = geteuid() == 0, .err = err};
	PF_AUTO_CLOSE int set_fd = -1, ws_fd = -1;
	PF_AUTO_FREE uint8_t *flags = NULL;
	int r;

	*report = (struct pf_apply_report){0};
	if (c->truncated && !(c->by_name && how->only))
		return pf_fail(err, -E2BIG, "the change set is incomplete and cannot be applied%s: %s",
			       c->by_name ? " as a whole, only by paths that are named" : "",
			       c->note ? c->note : "not every change could be kept");
	a.set_fd = set_fd = pf__change_open_set(changes_fd, c->id, err);
	if (set_fd < 0)
		return set_fd;
	a.ws_fd = ws_fd = pf__change_open_workspace(c, err);
	if (ws_fd < 0)
		return ws_fd;
	flags = calloc(2, c->count + 1);
	if (!flags)
		return pf__apply_no_memory(&a);
	a.todo = flags;
	a.removed = flags + c->count + 1;
	r = run(&a);
	free(a.stamps);
	return r;
}
