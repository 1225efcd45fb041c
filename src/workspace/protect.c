/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy's protect list against one change. An entry means the path and all beneath it. What
 * stands *above* a protected path counts too unless it is a directory: with ".git" made a link to
 * "x", the file x/hooks/pre-commit is .git/hooks/pre-commit, and with ".git" a file of one line any
 * directory becomes the repository's.
 */
#include "base/str.h"
#include "workspace/workspace_internal.h"

/* The pattern against the path and each directory above it. */
static bool covers(const char *pattern, const char *path)
{
	char part[PF__WS_PATH_MAX];
	size_t n = strlen(path);

	if (n >= sizeof(part))
		return true; /* cannot be told apart: hold it back */
	memcpy(part, path, n + 1);
	for (;;) {
		char *slash;

		if (pf_glob_match(pattern, part))
			return true;
		slash = strrchr(part, '/');
		if (!slash)
			return false;
		*slash = '\0';
	}
}

/* The path against each part of the pattern that leads to it. */
static bool leads_to(const char *pattern, const char *path)
{
	char part[PF__WS_PATH_MAX];
	size_t n = strlen(pattern);

	if (n >= sizeof(part))
		return true;
	memcpy(part, pattern, n + 1);
	for (;;) {
		char *slash = strrchr(part, '/');
		const char *last;

		if (!slash)
			return false;
		*slash = '\0';
		last = strrchr(part, '/');
		last = last ? last + 1 : part;
		/* "**" and "*" alone would name every path there is */
		if (strcmp(last, "**") != 0 && strcmp(last, "*") != 0 && pf_glob_match(part, path))
			return true;
	}
}

bool pf__ws_protected(const struct pf_list *protect, const char *path, mode_t mode)
{
	for (size_t i = 0; protect && i < protect->count; i++) {
		char clean[PF__WS_PATH_MAX];
		const char *text = protect->items[i] + strspn(protect->items[i], "/");

		if (pf_path_clean(text, clean, sizeof(clean)) < 0)
			continue;
		if (covers(clean, path))
			return true;
		if (mode && !S_ISDIR(mode) && leads_to(clean, path))
			return true;
	}
	return false;
}
