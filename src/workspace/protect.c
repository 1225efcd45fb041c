/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy's protect list against one change. An entry means the path and all beneath it. What
 * stands *above* a protected path counts too unless it is a directory: with ".git" made a link to
 * "x", the file x/hooks/pre-commit is .git/hooks/pre-commit, and with ".git" a file of one line any
 * directory becomes the repository's.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/str.h"
#include "workspace/workspace_internal.h"

static int add(char ***list, size_t *count, const char *text)
{
	char **more = realloc(*list, (*count + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	*list = more;
	more[*count] = strdup(text);
	return more[*count] ? (++*count, 0) : -ENOMEM;
}

/* Each part of the pattern that leads to it; a component that is "**" or "*" alone would name every path
 * there is. */
static int add_leads(struct pf__protect *p, char *part)
{
	char *slash;
	int r = 0;

	while (r == 0 && (slash = strrchr(part, '/'))) {
		const char *last;

		*slash = '\0';
		last = strrchr(part, '/');
		last = last ? last + 1 : part;
		if (strcmp(last, "**") != 0 && strcmp(last, "*") != 0)
			r = add(&p->leads, &p->lead_count, part);
	}
	return r;
}

int pf__protect_compile(const struct pf_list *list, struct pf__protect *out)
{
	char clean[PF__WS_PATH_MAX];
	int r = 0;

	for (size_t i = 0; list && i < list->count && r == 0; i++) {
		const char *text = list->items[i] + strspn(list->items[i], "/");

		if (pf_path_clean(text, clean, sizeof(clean)) < 0)
			continue;
		r = add(&out->whole, &out->whole_count, clean);
		if (r == 0)
			r = add_leads(out, clean);
	}
	return r;
}

void pf__protect_free(struct pf__protect *p)
{
	for (size_t i = 0; i < p->whole_count; i++)
		free(p->whole[i]);
	for (size_t i = 0; i < p->lead_count; i++)
		free(p->leads[i]);
	free(p->whole);
	free(p->leads);
	*p = (struct pf__protect){0};
}

/* A pattern of the form "**" and one name needs the path's last component only. */
static bool match(const char *pattern, const char *path, const char *last)
{
	if (strncmp(pattern, "**/", 3) == 0 && !strchr(pattern + 3, '/') && strcmp(pattern + 3, "**") != 0)
		return pf_glob_match(pattern + 3, last);
	return pf_glob_match(pattern, path);
}

static bool match_any(char *const *list, size_t count, const char *path)
{
	const char *last = strrchr(path, '/');

	last = last ? last + 1 : path;
	for (size_t i = 0; i < count; i++) {
		if (match(list[i], path, last))
			return true;
	}
	return false;
}

bool pf__protect_entry(const struct pf__protect *p, const char *path)
{
	return match_any(p->whole, p->whole_count, path);
}

bool pf__protect_leads(const struct pf__protect *p, const char *path, mode_t mode)
{
	return mode && !S_ISDIR(mode) && match_any(p->leads, p->lead_count, path);
}

bool pf__ws_protected(const struct pf_list *protect, const char *path, mode_t mode)
{
	struct pf__protect p = {0};
	char part[PF__WS_PATH_MAX], *slash;
	size_t n = strlen(path);
	bool hit = true; /* what cannot be told apart is held back */

	if (pf__protect_compile(protect, &p) == 0 && n < sizeof(part)) {
		hit = pf__protect_leads(&p, path, mode);
		memcpy(part, path, n + 1);
		while (!(hit = hit || pf__protect_entry(&p, part)) && (slash = strrchr(part, '/')))
			*slash = '\0';
	}
	pf__protect_free(&p);
	return hit;
}
