/* SPDX-License-Identifier: Apache-2.0 */
/* What a pattern without wildcards means is looked at directly, at each start: there are few. The others are
 * for the walk. */
#include <errno.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "workspace/scan_internal.h"

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

/* A hidden name stands for itself, there or not, if a whiteout can be put in its place. */
static int plain_mask(struct pf_scan *s, const char *path)
{
	const char *leaf;
	struct stat st;
	PF_AUTO_CLOSE int parent = pf__ws_open_parent(s->ws_fd, path, &leaf);

	if (parent < 0)
		return pf_list_addf(&s->plain.unprotected, "%s: %s", path, why_not(parent));
	if (pf__ws_stat(parent, leaf, &st) == -EXDEV)
		return pf_list_addf(&s->plain.unprotected, "%s: it is a mount point", path);
	return pf_list_add(&s->plain.masks, path);
}

/* A protected one must be there; or what stands in its way, as something else than a directory. */
static int plain_protect(struct pf_scan *s, const char *path)
{
	char part[PF__WS_PATH_MAX];
	struct stat st;
	const char *why = "does not exist yet";
	int r;

	strcpy(part, path); /* checked: it can exist */
	for (char *slash = strchr(part, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		r = pf__ws_stat(s->ws_fd, part, &st);
		if (r == 0 && !S_ISDIR(st.st_mode))
			return pf_list_add(&s->plain.protects, part);
		if (r < 0)
			return pf_list_addf(&s->plain.exposed, "%s: %s", path,
					    r == -ENOENT ? why : why_not(r));
		*slash = '/';
	}
	r = pf__ws_stat(s->ws_fd, path, &st);
	if (r == 0)
		return pf_list_add(&s->plain.protects, path);
	return pf_list_addf(&s->plain.exposed, "%s: %s", path, r == -ENOENT ? why : why_not(r));
}

/* What leads to a protected path: each part of the pattern but the last. A component that is "**" or "*"
 * alone would name every path there is (see protect.c, which does the same for change sets). */
static int add_leads(struct pf_scan *s, const char *pattern)
{
	char part[PF__WS_PATH_MAX], *slash;
	int r = 0;

	strcpy(part, pattern);
	while (r == 0 && (slash = strrchr(part, '/'))) {
		const char *last;

		*slash = '\0';
		last = strrchr(part, '/');
		last = last ? last + 1 : part;
		if (strcmp(last, "**") != 0 && strcmp(last, "*") != 0)
			r = pf__matcher_add(&s->matcher, part, PF__HIT_PROTECT, true);
	}
	return r;
}

static int add_pattern(struct pf_scan *s, const char *given, unsigned kind)
{
	char clean[PF__WS_PATH_MAX];
	const char *text =
		given + strspn(given, "/"); /* from the workspace's root, with or without a slash */
	struct pf_list *where = kind == PF__HIT_MASK ? &s->plain.unprotected : &s->plain.exposed;
	int r;

	if (pf_path_clean(text, clean, sizeof(clean)) < 0 || strcmp(clean, ".") == 0)
		return pf_list_addf(where, "%s: is not a path beneath the workspace", given);
	if (!pf_glob_is_pattern(clean)) {
		if (!pf__ws_path_ok(clean))
			return pf_list_addf(where, "%s: is not a path that can exist", given);
		return kind == PF__HIT_MASK ? plain_mask(s, clean) : plain_protect(s, clean);
	}
	s->wild = true;
	r = pf__matcher_add(&s->matcher, clean, kind, false);
	return r == 0 && kind == PF__HIT_PROTECT ? add_leads(s, clean) : r;
}

int pf__scan_patterns(struct pf_scan *s, const struct pf_list *patterns, unsigned kind)
{
	int r = 0;

	for (size_t i = 0; patterns && i < patterns->count && r == 0; i++)
		r = add_pattern(s, patterns->items[i], kind);
	return r;
}
