/* SPDX-License-Identifier: Apache-2.0 */
/* Contradictions that show only in the whole policy. Everything here judges words and paths as text. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "policy/policy_internal.h"

static int check_tier(const struct pf_policy *p, struct pf_error *err)
{
	if (p->tier == PF_TIER_AUTO || p->min_tier <= p->tier)
		return 0;
	return pf_fail(err, -EINVAL, "tier is %s, but min_tier asks for at least %s", pf_tier_name(p->tier),
		       pf_tier_name(p->min_tier));
}

static int check_limits(const struct pf_limits *l, struct pf_error *err)
{
	const struct pf__limit *size = pf__limit_find("memory"), *time = pf__limit_find("wall_time");
	char is[32], other[32];

	pf__limit_text(size, l->memory, is);
	if (l->memory < size->min)
		return pf_fail(err, -EINVAL, "limits.memory is %s; nothing starts with less than 4M", is);
	if (l->wall_ms && l->idle_ms > l->wall_ms) {
		pf__limit_text(time, l->idle_ms, is);
		pf__limit_text(time, l->wall_ms, other);
		return pf_fail(err, -EINVAL,
			       "limits.idle_time is %s, longer than limits.wall_time, which is %s: it could "
			       "never end "
			       "a command",
			       is, other);
	}
	if (l->output_inline > l->output) {
		pf__limit_text(size, l->output_inline, is);
		pf__limit_text(size, l->output, other);
		return pf_fail(err, -EINVAL,
			       "limits.output_inline is %s, more than limits.output, which is %s", is, other);
	}
	return 0;
}

/* A requirement of a limit that there is not would be met by nothing, and would read as if it were. */
static int check_require(const struct pf_policy *p, struct pf_error *err)
{
	for (size_t i = 0; i < pf__limit_count; i++) {
		const struct pf__limit *l = &pf__limits[i];

		/* disk without a value is half the memory, and holds. */
		if (!(p->require & l->bit) || l->bit == PF_LIMIT_DISK || pf__limit_get(&p->limits, l))
			continue;
		return pf_fail(err, -EINVAL, "require names %s, but limits.%s is none", l->key, l->key);
	}
	return 0;
}

/* The host's own accounts are not shown inside: there is nothing that a name could be looked up in. */
static int check_user_of_host(const struct pf_policy *p, struct pf_error *err)
{
	uint64_t ignored;

	if (!p->user || strcmp(p->image, "host") != 0 || strcmp(p->user, "1000") == 0)
		return 0;
	if (pf__word_parse(&pf__user_words, p->user, &ignored, err) < 0)
		pf_wrap(err, "user of the host's own tools");
	return -EINVAL;
}

static int check_user(const struct pf_policy *p, struct pf_error *err)
{
	if (check_user_of_host(p, err) < 0)
		return -EINVAL;
	if (p->capabilities && !p->user_root)
		return pf_fail(err, -EINVAL,
			       "capabilities are given, but user is not root, who alone can have them");
	return 0;
}

/* --- places --- */

struct place {
	const char *what; /* "mount", "workspace", "tools" */
	const char *path;
};

/* Beneath these the kernel answers, or what we made answers for it: a directory in their place would lie to
 * the command about the sandbox, or take away what init needs. */
static const char *const kernel_trees[] = {"/proc", "/sys", "/dev"};
/* What the image is: a mount here leaves nothing that could start. Deeper down it is the user's choice. */
static const char *const image_tops[] = {"/", "/usr", "/etc", "/bin", "/sbin", "/lib", "/lib64"};

static int check_place(const struct place *place, struct pf_error *err)
{
	char shown[PF__SHOWN_MAX];

	for (size_t i = 0; i < PF_ARRAY_SIZE(kernel_trees); i++) {
		if (pf_path_within(place->path, kernel_trees[i]))
			return pf_fail(err, -EINVAL, "%s at %s: nothing can be placed over %s", place->what,
				       pf__shown(place->path, shown), kernel_trees[i]);
	}
	for (size_t i = 0; i < PF_ARRAY_SIZE(image_tops); i++) {
		if (strcmp(place->path, image_tops[i]) == 0)
			return pf_fail(err, -EINVAL, "%s at %s would hide the image's own %s", place->what,
				       pf__shown(place->path, shown), place->path);
	}
	return 0;
}

/*
 * One within the other: which of them is seen would be a matter of order, and the mount point of the inner
 * one would have to be made in the outer one, which may be the user's directory. Two trees of tools do not
 * mind: both are read-only at their own paths.
 */
static int check_pair(const struct place *a, const struct place *b, struct pf_error *err)
{
	char first[PF__SHOWN_MAX], second[PF__SHOWN_MAX];

	if (strcmp(a->what, "tools") == 0 && strcmp(b->what, "tools") == 0)
		return 0;
	if (!pf_path_within(a->path, b->path) && !pf_path_within(b->path, a->path))
		return 0;
	return pf_fail(err, -EINVAL, "%s at %s and %s at %s lie over each other", a->what,
		       pf__shown(a->path, first), b->what, pf__shown(b->path, second));
}

static int check_places(const struct pf_policy *p, const char *workspace, struct pf_error *err)
{
	struct place places[2 * PF__PLACES_MAX + 1];
	size_t n = 0;
	int r = 0;

	if (p->mount_count > PF__PLACES_MAX || p->tools.count > PF__PLACES_MAX)
		return pf_fail(err, -E2BIG, "more than %u mounts or tools", PF__PLACES_MAX);
	if (workspace)
		places[n++] = (struct place){"workspace", workspace};
	for (size_t i = 0; i < p->mount_count; i++)
		places[n++] = (struct place){"mount", p->mounts[i].to};
	for (size_t i = 0; i < p->tools.count; i++)
		places[n++] = (struct place){"tools", p->tools.items[i]};
	for (size_t i = 0; i < n && r == 0; i++) {
		r = check_place(&places[i], err);
		for (size_t j = 0; j < i && r == 0; j++)
			r = check_pair(&places[j], &places[i], err);
	}
	return r;
}

int pf_policy_check_workspace(const struct pf_policy *p, const char *at, struct pf_error *err)
{
	return check_places(p, at, err);
}

static int check_commands(const struct pf_policy *p, struct pf_error *err)
{
	if (p->commands_build && !p->commands.count)
		return pf_fail(err, -EINVAL,
			       "commands.build is true, but there is no commands.allow: without a list "
			       "programs of the "
			       "workspace can be started anyway");
	if (p->root_cow && p->commands.count)
		return pf_fail(
			err, -EINVAL,
			"commands.allow needs a root that is read-only: in \"root\": \"cow\" a command could "
			"write programs of its own into the image");
	return 0;
}

int pf_policy_check(const struct pf_policy *p, struct pf_error *err)
{
	char clean[PF__PATH_MAX];
	const char *workspace = NULL;
	int r;

	if (p->ws_path && p->ws_at)
		workspace = p->ws_at;
	else if (p->ws_path && *p->ws_path == '/' && pf_path_clean(p->ws_path, clean, sizeof(clean)) == 0)
		workspace = clean;
	r = check_tier(p, err);
	if (r == 0)
		r = check_limits(&p->limits, err);
	if (r == 0)
		r = check_require(p, err);
	if (r == 0)
		r = check_user(p, err);
	if (r == 0)
		r = check_commands(p, err);
	if (r == 0)
		r = check_places(p, workspace, err);
	return r;
}
