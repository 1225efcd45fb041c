/* SPDX-License-Identifier: Apache-2.0 */
/* Which entries of a change set are to be applied: the caller's paths, less what no apply puts into a user's
 * directory. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "workspace/apply_internal.h"

int pf__apply_paths(struct pf__apply *a, const struct pf_list *given, struct pf_list *out)
{
	char clean[PF__WS_PATH_MAX], show[PF__WS_SHOW];

	for (size_t i = 0; i < given->count; i++) {
		const char *path = given->items[i];

		if (*path == '/' || pf_path_clean(path, clean, sizeof(clean)) < 0)
			return pf_fail(a->err, -EINVAL, "'%s' is not a path beneath the workspace",
				       pf__ws_show(path, show));
		if (pf_list_add(out, clean) < 0)
			return pf__apply_no_memory(a);
	}
	pf__ws_list_sort(out);
	return 0;
}

bool pf__apply_within(const char *path, const char *dir)
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
		ssize_t i;

		*slash = '\0';
		i = pf__change_find(a->c, part);
		if (i >= 0 && pf__apply_makes_dir(&a->c->items[i]))
			a->todo[i] = PF__DO_WRITE;
	}
}

static int choose_paths(struct pf__apply *a, const struct pf_list *only)
{
	char show[PF__WS_SHOW];

	for (size_t k = 0; k < only->count; k++) {
		bool any = false;

		for (size_t i = 0; i < a->c->count; i++) {
			if (!pf__apply_within(a->c->items[i].path, only->items[k]))
				continue;
			any = true;
			a->todo[i] = PF__DO_WRITE;
			if (a->c->items[i].op != PF_DELETED)
				choose_parents(a, a->c->items[i].path);
		}
		if (!any)
			return pf_fail(a->err, -ENOENT, "there is no change at or beneath '%s'",
				       pf__ws_show(only->items[k], show));
	}
	return 0;
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
	return pf__apply_note(a, a->c->items[i].path, why);
}

/* A device reaches hardware, and a socket leads to a process that is gone. */
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
		else if (c->op == PF_MODIFIED && !c->content && !c->attrs_differ && c->mode == c->old_mode)
			r = skip(a, i,
				 c->other_attrs ? "not applied: only attributes that no apply gives"
						: "not applied: only its owner changed");
	}
	return r;
}

int pf__apply_choose(struct pf__apply *a)
{
	int r = 0;

	if (a->plan.only.count)
		r = choose_paths(a, &a->plan.only);
	else
		memset(a->todo, PF__DO_WRITE, a->c->count);
	if (r == 0)
		r = check_lost(a);
	return r < 0 ? r : leave_out(a);
}
