/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns, places and environment, checked one at a time, for the document and the command line alike. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "policy/policy_internal.h"

/* The policy is printed and hashed as JSON, which has no bytes beyond UTF-8: two policies that differ in such
 * bytes alone would be printed alike. */
static int need_utf8(const char *s, struct pf_error *err)
{
	char shown[PF__SHOWN_MAX];

	if (pf_utf8_valid(s, strlen(s)))
		return 0;
	return pf_fail(err, -EINVAL, "%s is not UTF-8, which is all that a policy can hold",
		       pf__shown(s, shown));
}

static int cleaned(const char *path, char out[PF__PATH_MAX], struct pf_error *err)
{
	char shown[PF__SHOWN_MAX];
	int r = pf_path_clean(path, out, PF__PATH_MAX);

	if (r == -ENAMETOOLONG)
		return pf_fail(err, r, "%s is longer than %u bytes", pf__shown(path, shown),
			       PF__PATH_MAX - 1);
	if (r < 0)
		return pf_fail(err, r, "%s may not contain \"..\"", pf__shown(path, shown));
	return need_utf8(path, err);
}

int pf__absolute(const char *path, char out[PF__PATH_MAX], struct pf_error *err)
{
	char shown[PF__SHOWN_MAX];

	if (*path != '/')
		return pf_fail(err, -EINVAL, "%s is not an absolute path", pf__shown(path, shown));
	return cleaned(path, out, err);
}

/* What would be read as something that it is not: a pattern that matches nothing protects nothing, silently.
 */
static int refuse_habits(const char *pattern, struct pf_error *err)
{
	char shown[PF__SHOWN_MAX];

	if (*pattern == '\0')
		return pf_fail(err, -EINVAL, "a pattern may not be empty");
	if (*pattern == '/')
		return pf_fail(
			err, -EINVAL,
			"%s begins with '/', but patterns are paths from the workspace's root: leave it out",
			pf__shown(pattern, shown));
	if (*pattern == '~')
		return pf_fail(err, -EINVAL,
			       "%s: '~' has no meaning in patterns, which are paths in the workspace",
			       pf__shown(pattern, shown));
	if (*pattern == '!')
		return pf_fail(
			err, -EINVAL,
			"%s: a pattern cannot take others back with '!': list what is meant without \"...\"",
			pf__shown(pattern, shown));
	return 0;
}

int pf__pattern_add(struct pf_list *list, const char *pattern, struct pf_error *err)
{
	char path[PF__PATH_MAX];
	int r = refuse_habits(pattern, err);

	if (r == 0)
		r = cleaned(pattern, path, err);
	if (r == 0) /* "./~" is no way around: what is stored must be a pattern when it is printed and read
		       again */
		r = refuse_habits(path, err);
	if (r < 0)
		return r;
	if (strcmp(path, "...") == 0)
		return pf_fail(err, -EINVAL, "\"...\" stands for the list before this one and is no name");
	if (strcmp(path, ".") == 0)
		return pf_fail(err, -EINVAL, "\".\" is the workspace itself");
	if (list->count >= PF__PATTERNS_MAX)
		return pf_fail(err, -E2BIG, "more than %u patterns", PF__PATTERNS_MAX);
	return pf_list_add(list, path) < 0 ? pf__policy_nomem(err) : 0;
}

static int check_env(const char *name, const char *value, struct pf_error *err)
{
	char shown[PF__SHOWN_MAX];

	if (*name == '\0')
		return pf_fail(err, -EINVAL, "the name of a variable may not be empty");
	if (strchr(name, '='))
		return pf_fail(err, -EINVAL, "%s: the name of a variable may not contain '='",
			       pf__shown(name, shown));
	/* The value may be a secret and is not shown. */
	if (!pf_utf8_valid(name, strlen(name)) || !pf_utf8_valid(value, strlen(value)))
		return pf_fail(err, -EINVAL, "variable %s is not UTF-8, which is all that a policy can hold",
			       pf__shown(name, shown));
	return 0;
}

/* LD_PRELOAD and its like are no danger here: they act on the command alone, which runs what it likes anyway.
 */
int pf__env_put(struct pf_policy *p, const char *name, const char *value, struct pf_error *err)
{
	PF_AUTO_FREE char *kv = NULL;
	size_t n = strlen(name), m = strlen(value);
	int r = check_env(name, value, err);

	if (r < 0)
		return r;
	kv = malloc(n + m + 2);
	if (!kv)
		return pf__policy_nomem(err);
	memcpy(kv, name, n);
	kv[n] = '=';
	memcpy(kv + n + 1, value, m + 1);
	for (size_t i = 0; i < p->env.count; i++) {
		if (strncmp(p->env.items[i], kv, n + 1) == 0) {
			free(p->env.items[i]);
			p->env.items[i] = pf_take_ptr(kv);
			return 0;
		}
	}
	if (p->env.count >= PF__ENV_MAX)
		return pf_fail(err, -E2BIG, "more than %u variables", PF__ENV_MAX);
	return pf_list_add(&p->env, kv) < 0 ? pf__policy_nomem(err) : 0;
}

int pf__tool_add(struct pf_policy *p, const char *dir, struct pf_error *err)
{
	char clean[PF__PATH_MAX];
	int r = pf__absolute(dir, clean, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < p->tools.count; i++) {
		if (strcmp(p->tools.items[i], clean) == 0)
			return 0;
	}
	if (p->tools.count >= PF__PLACES_MAX)
		return pf_fail(err, -E2BIG, "more than %u directories of tools", PF__PLACES_MAX);
	return pf_list_add(&p->tools, clean) < 0 ? pf__policy_nomem(err) : 0;
}

int pf__mount_add(struct pf_policy *p, const char *from, const char *to, struct pf_error *err)
{
	PF_AUTO_FREE char *from_copy = NULL;
	PF_AUTO_FREE char *to_copy = NULL;
	struct pf_mount *grown;

	if (p->mount_count >= PF__PLACES_MAX)
		return pf_fail(err, -E2BIG, "more than %u mounts", PF__PLACES_MAX);
	from_copy = strdup(from);
	to_copy = strdup(to);
	grown = realloc(p->mounts, (p->mount_count + 1) * sizeof(*grown));
	if (grown)
		p->mounts = grown;
	if (!from_copy || !to_copy || !grown)
		return pf__policy_nomem(err);
	grown[p->mount_count++] = (struct pf_mount){pf_take_ptr(from_copy), pf_take_ptr(to_copy)};
	return 0;
}

void pf__mode_settle(struct pf_policy *p)
{
	p->ws_mode = p->ws_path ? p->ws_mode_wanted : PF_WS_NONE;
}

#define COMMANDS_MAX 1024u

/* A name as it is typed, or where the program is inside. */
int pf__command_add(struct pf_policy *p, const char *name, struct pf_error *err)
{
	char shown[PF__SHOWN_MAX], clean[PF__PATH_MAX];

	if (name[0] == '/') {
		if (pf__absolute(name, clean, err) < 0)
			return err->code;
		name = clean;
	} else if (!*name || strchr(name, '/') || name[0] == '-' || strcmp(name, ".") == 0 ||
		   strcmp(name, "..") == 0) {
		return pf_fail(err, -EINVAL,
			       "%s is no program: write its name, as in PATH, or its absolute path inside",
			       pf__shown(name, shown));
	}
	for (const char *c = name; *c; c++)
		if (strchr(" \t\n,*?[", *c) || (unsigned char)*c < ' ')
			return pf_fail(err, -EINVAL,
				       "%s is no program: patterns, blanks and commas are not taken",
				       pf__shown(name, shown));
	for (size_t i = 0; i < p->commands.count; i++)
		if (strcmp(p->commands.items[i], name) == 0)
			return 0;
	if (p->commands.count == COMMANDS_MAX)
		return pf_fail(err, -E2BIG, "more than %u programs", COMMANDS_MAX);
	return pf_list_add(&p->commands, name) < 0 ? pf__policy_nomem(err) : 0;
}
