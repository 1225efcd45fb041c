/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers and marks of programs: the reader of helpers_data.c, and of the examples in it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "view/helpers_data.h"
#include "view/view_internal.h"

#define WORD_MAX 128

/* The next word of a line into out; 0 at its end. Advances *p. A word that is too long ends the line: the
 * check of the examples is there to find such data. */
static size_t word(const char **p, char out[WORD_MAX])
{
	size_t n;

	*p += strspn(*p, " ");
	n = strcspn(*p, " \n");
	if (n >= WORD_MAX)
		n = 0;
	memcpy(out, *p, n);
	out[n] = '\0';
	*p += n;
	return n;
}

static const char *next_line(const char *p)
{
	p += strcspn(p, "\n");
	return *p ? p + 1 : NULL;
}

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Is one of the words up to the end of the line, or to "=", a pattern of name? *p stands behind them. */
static bool names(const char **p, const char *name)
{
	char w[WORD_MAX];
	bool yes = false;

	while (word(p, w) && strcmp(w, "=") != 0)
		yes |= pf_glob_match(w, name);
	return yes;
}

static bool is_directive(const char *w)
{
	return strcmp(w, "any") == 0 || strcmp(w, "many") == 0 || strcmp(w, "yes") == 0 ||
	       strcmp(w, "no") == 0;
}

int pf__helpers_of(const char *name, const char *clean, int (*each)(void *ctx, const char *helper), void *ctx)
{
	char w[WORD_MAX];
	int r = 0;

	for (const char *line = pf__helpers_text; line && *line && r == 0; line = next_line(line)) {
		const char *p = line, *again = line;
		bool of;

		if (word(&p, w) && is_directive(w))
			continue;
		p = line;
		of = names(&p, base(name));
		of |= names(&again, base(clean));
		while (of && r == 0 && word(&p, w))
			r = each(ctx, w);
	}
	return r;
}

static bool listed(const char *directive, const char *name)
{
	char w[WORD_MAX];

	for (const char *line = pf__helpers_text; line && *line; line = next_line(line)) {
		const char *p = line;

		if (word(&p, w) && strcmp(w, directive) == 0 && names(&p, base(name)))
			return true;
	}
	return false;
}

bool pf__runs_any_code(const char *name)
{
	return listed("any", name);
}

bool pf__is_multicall(const char *name)
{
	return listed("many", name);
}

/* --- the examples ------------------------------------------------------------------------------ */

struct example {
	const char *helper;
	bool found;
};

static int meets(void *ctx, const char *helper)
{
	struct example *e = ctx;
	bool pattern = strchr(helper, '/') != NULL;

	/* '*' of a pattern stops at '/', as it does in the tree */
	e->found |= pattern ? pf_glob_match(helper + 1, e->helper + (e->helper[0] == '/'))
			    : strcmp(helper, e->helper) == 0;
	return 0;
}

int pf__helpers_check(struct pf_error *err)
{
	char w[WORD_MAX], name[WORD_MAX], helper[WORD_MAX];

	for (const char *line = pf__helpers_text; line && *line; line = next_line(line)) {
		const char *p = line;
		struct example e = {helper, false};
		bool yes;

		if (!word(&p, w) || (strcmp(w, "yes") != 0 && strcmp(w, "no") != 0))
			continue;
		yes = w[0] == 'y';
		if (!word(&p, name) || !word(&p, helper))
			return pf_fail(err, -EINVAL, "the data of helpers has an example of one word");
		pf__helpers_of(name, name, meets, &e);
		if (e.found != yes)
			return pf_fail(err, -EINVAL, "the data of helpers does not hold: %s %s %s", w, name,
				       helper);
	}
	return 0;
}
