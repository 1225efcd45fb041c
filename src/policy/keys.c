/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of a policy document: one small function each, and the tables that name them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "policy/parse_internal.h"

/* --- words --- */

static int key_tier(struct pf__parse *ps, const struct pf_json *v)
{
	uint64_t value;
	int r = pf__parse_word(ps, v, &pf__tier_words, &value);

	if (r == 0)
		ps->p->tier = (enum pf_tier_ask)value;
	return r;
}

static int key_min_tier(struct pf__parse *ps, const struct pf_json *v)
{
	uint64_t value;
	int r = pf__parse_word(ps, v, &pf__min_tier_words, &value);

	if (r == 0)
		ps->p->min_tier = (enum pf_tier_ask)value;
	return r;
}

static int one_require(struct pf__parse *ps, const struct pf_json *v)
{
	uint64_t value;
	int r = pf__parse_word(ps, v, &pf__require_words, &value);

	if (r == 0)
		ps->p->require |= (uint32_t)value;
	return r;
}

static int key_require(struct pf__parse *ps, const struct pf_json *v)
{
	ps->p->require = 0;
	return pf__parse_list(ps, v, "a list of words", one_require);
}

static int key_root(struct pf__parse *ps, const struct pf_json *v)
{
	uint64_t value;
	int r = pf__parse_word(ps, v, &pf__root_words, &value);

	if (r == 0)
		ps->p->root_cow = value != 0;
	return r;
}

static int key_user(struct pf__parse *ps, const struct pf_json *v)
{
	int r = pf__parse_type(ps, v, PF_JSON_STRING, "\"user\", \"root\" or an account of the image");

	if (r < 0)
		return r;
	return pf__user_put(ps->p, v->str.s, ps->err) < 0 ? pf__parse_wrap(ps, v) : 0;
}

static int one_capability(struct pf__parse *ps, const struct pf_json *v)
{
	uint64_t value;
	int r = pf__parse_word(ps, v, &pf__cap_words, &value);

	if (r == 0)
		ps->p->capabilities |= (uint64_t)1 << value;
	return r;
}

static int key_capabilities(struct pf__parse *ps, const struct pf_json *v)
{
	ps->p->capabilities = 0;
	return pf__parse_list(ps, v, "a list of words", one_capability);
}

static int key_image(struct pf__parse *ps, const struct pf_json *v)
{
	int r = pf__parse_type(ps, v, PF_JSON_STRING, "\"host\" or the name or digest of an image");

	if (r < 0)
		return r;
	return pf__image_put(ps->p, v->str.s, ps->err) < 0 ? pf__parse_wrap(ps, v) : 0;
}

/* For editors, which find docs/policy.schema.json by it. */
static int key_schema(struct pf__parse *ps, const struct pf_json *v)
{
	return pf__parse_type(ps, v, PF_JSON_STRING, "a string");
}

/* --- limits --- */

/* Every limit's key; which of them it is, the member itself says. */
static int key_limit(struct pf__parse *ps, const struct pf_json *v)
{
	const struct pf__limit *l = pf__limit_find(v->key);
	uint64_t value;

	if (pf__limit_from_json(l, v, &value, ps->err) < 0)
		return pf__parse_wrap(ps, v);
	pf__limit_put(&ps->p->limits, l, value);
	ps->limits_seen |= l->bit;
	if (value)
		ps->limits_given |= l->bit;
	return 0;
}

static int one_default(struct pf__parse *ps, const struct pf_json *v)
{
	uint64_t value;
	int r = pf__parse_word(ps, v, &pf__require_words, &value);

	if (r < 0)
		return r;
	if (!(value & PF_LIMIT_ALL))
		return pf__parse_fail(ps, v, "\"%s\" is no limit", v->str.s);
	ps->limits_default |= (uint32_t)value;
	return 0;
}

static int key_default(struct pf__parse *ps, const struct pf_json *v)
{
	return pf__parse_list(ps, v, "a list of limits", one_default);
}

static const struct pf__key limit_keys[] = {
	{"memory", key_limit, NULL},	    {"cpus", key_limit, NULL},	    {"processes", key_limit, NULL},
	{"wall_time", key_limit, NULL},	    {"idle_time", key_limit, NULL}, {"output", key_limit, NULL},
	{"output_inline", key_limit, NULL}, {"disk", key_limit, NULL},	    {"open_files", key_limit, NULL},
	{"default", key_default, NULL},
};

/* output_inline is judged against the output of the same document, wherever in it that stands. */
static int key_limits(struct pf__parse *ps, const struct pf_json *v)
{
	const struct pf_json *given = pf_json_get(v, "output_inline");
	const struct pf__limit *l = pf__limit_find("output_inline");
	int r = pf__parse_object(ps, v, limit_keys, PF_ARRAY_SIZE(limit_keys));
	uint64_t value;

	if (r == 0 && given && pf__limit_from_json(l, given, &value, ps->err) == 0)
		ps->p->limits.output_inline = value;
	return r;
}

/* --- places --- */

static int absolute(struct pf__parse *ps, const struct pf_json *v, char out[PF__PATH_MAX])
{
	int r = pf__parse_type(ps, v, PF_JSON_STRING, "an absolute path");

	if (r < 0)
		return r;
	return pf__absolute(v->str.s, out, ps->err) < 0 ? pf__parse_wrap(ps, v) : 0;
}

static int one_tool(struct pf__parse *ps, const struct pf_json *v)
{
	int r = pf__parse_type(ps, v, PF_JSON_STRING, "an absolute path");

	if (r < 0)
		return r;
	return pf__tool_add(ps->p, v->str.s, ps->err) < 0 ? pf__parse_wrap(ps, v) : 0;
}

static int key_tools(struct pf__parse *ps, const struct pf_json *v)
{
	pf_list_free(&ps->p->tools);
	return pf__parse_list(ps, v, "a list of absolute directories", one_tool);
}

static int key_env(struct pf__parse *ps, const struct pf_json *v)
{
	int r = pf__parse_type(ps, v, PF_JSON_OBJECT, "an object of strings");

	if (r < 0)
		return r;
	for (const struct pf_json *e = v->list.first; e; e = e->next) {
		char shown[PF__SHOWN_MAX];

		if (e->type != PF_JSON_STRING)
			return pf__parse_fail(ps, e, "%s: expected a string, found %s",
					      pf__shown(e->key, shown), pf_json_type_name(e->type));
		if (pf__env_put(ps->p, e->key, e->str.s, ps->err) < 0)
			return pf__parse_wrap(ps, e);
	}
	return 0;
}

static int key_ws_path(struct pf__parse *ps, const struct pf_json *v)
{
	if (v->type != PF_JSON_NULL && (v->type != PF_JSON_STRING || !*v->str.s))
		return pf__parse_fail(ps, v, "expected a directory or null");
	return pf__policy_set_string(&ps->p->ws_path, v->type == PF_JSON_NULL ? NULL : v->str.s) < 0
		       ? pf__policy_nomem(ps->err)
		       : 0;
}

static int key_ws_mode(struct pf__parse *ps, const struct pf_json *v)
{
	int r = pf__parse_type(ps, v, PF_JSON_STRING, "\"ro\" or \"cow\"");

	if (r < 0)
		return r;
	return pf__mode_parse(v->str.s, &ps->p->ws_mode_wanted, ps->err) < 0 ? pf__parse_wrap(ps, v) : 0;
}

static int key_ws_at(struct pf__parse *ps, const struct pf_json *v)
{
	char path[PF__PATH_MAX];
	bool none = v->type == PF_JSON_NULL;

	if (!none) {
		int r = absolute(ps, v, path);

		if (r < 0)
			return r;
	}
	return pf__policy_set_string(&ps->p->ws_at, none ? NULL : path) < 0 ? pf__policy_nomem(ps->err) : 0;
}

static const struct pf__key workspace_keys[] = {
	{"path", key_ws_path, NULL},
	{"mode", key_ws_mode, NULL},
	{"at", key_ws_at, NULL},
};

static int key_workspace(struct pf__parse *ps, const struct pf_json *v)
{
	int r = pf__parse_object(ps, v, workspace_keys, PF_ARRAY_SIZE(workspace_keys));

	if (r == 0)
		pf__mode_settle(ps->p);
	return r;
}

/* Both are read from the mount as a whole; the table is there to refuse what is neither. */
static int key_mount_place(struct pf__parse *ps, const struct pf_json *v)
{
	char path[PF__PATH_MAX];

	return absolute(ps, v, path);
}

static const struct pf__key mount_keys[] = {
	{"from", key_mount_place, NULL},
	{"to", key_mount_place, NULL},
};

static int one_mount(struct pf__parse *ps, const struct pf_json *v)
{
	const struct pf_json *from, *to;
	char from_path[PF__PATH_MAX], to_path[PF__PATH_MAX];
	int r = pf__parse_object(ps, v, mount_keys, PF_ARRAY_SIZE(mount_keys));

	if (r < 0)
		return r;
	from = pf_json_get(v, "from");
	to = pf_json_get(v, "to");
	if (!from || !to)
		return pf__parse_fail(
			ps, v, "\"%s\" is missing: a mount is {\"from\": \"/data\", \"to\": \"/data\"}",
			from ? "to" : "from");
	if (absolute(ps, from, from_path) < 0 || absolute(ps, to, to_path) < 0)
		return ps->err->code;
	return pf__mount_add(ps->p, from_path, to_path, ps->err) < 0 ? pf__parse_wrap(ps, v) : 0;
}

static void clear_mounts(struct pf_policy *p)
{
	for (size_t i = 0; i < p->mount_count; i++) {
		free(p->mounts[i].from);
		free(p->mounts[i].to);
	}
	free(p->mounts);
	p->mounts = NULL;
	p->mount_count = 0;
}

static int key_mounts(struct pf__parse *ps, const struct pf_json *v)
{
	clear_mounts(ps->p);
	return pf__parse_list(ps, v, "a list of mounts", one_mount);
}

/* --- patterns --- */

static int one_pattern(struct pf__parse *ps, const struct pf_json *v)
{
	int r = pf__parse_type(ps, v, PF_JSON_STRING, "a pattern");

	if (r < 0)
		return r;
	if (strcmp(v->str.s, "...") != 0)
		return pf__pattern_add(ps->list, v->str.s, ps->err) < 0 ? pf__parse_wrap(ps, v) : 0;
	for (size_t i = 0; i < ps->before->count; i++) {
		if (pf__pattern_add(ps->list, ps->before->items[i], ps->err) < 0)
			return pf__parse_wrap(ps, v);
	}
	return 0;
}

/*
 * A list replaces the one before it; "..." in it stands for that one. So what a user adds does not cost him
 * the defaults, and does not freeze them as they were when he wrote his policy.
 */
static int patterns(struct pf__parse *ps, const struct pf_json *v, struct pf_list *list)
{
	struct pf_list before = *list;
	int r;

	*list = (struct pf_list){0};
	ps->list = list;
	ps->before = &before;
	r = pf__parse_list(ps, v, "a list of patterns", one_pattern);
	pf_list_free(&before);
	ps->list = NULL;
	ps->before = NULL;
	return r;
}

static int key_mask(struct pf__parse *ps, const struct pf_json *v)
{
	return patterns(ps, v, &ps->p->mask);
}

static int key_protect(struct pf__parse *ps, const struct pf_json *v)
{
	return patterns(ps, v, &ps->p->protect);
}

static const struct pf__key secrets_keys[] = {
	{"mask", key_mask, NULL},
	{"values", pf__key_secret_values, NULL},
};

static int key_secrets(struct pf__parse *ps, const struct pf_json *v)
{
	return pf__parse_object(ps, v, secrets_keys, PF_ARRAY_SIZE(secrets_keys));
}

/* --- commands --- */

static int one_command(struct pf__parse *ps, const struct pf_json *v)
{
	int r = pf__parse_type(ps, v, PF_JSON_STRING, "the name of a program, or its path inside");

	if (r < 0)
		return r;
	return pf__command_add(ps->p, v->str.s, ps->err) < 0 ? pf__parse_wrap(ps, v) : 0;
}

/* null: no list. An empty one would approve nothing, and is rather a slip. */
static int key_allow(struct pf__parse *ps, const struct pf_json *v)
{
	int r;

	pf_list_free(&ps->p->commands);
	if (v->type == PF_JSON_NULL)
		return 0;
	r = pf__parse_list(ps, v, "a list of programs, or null", one_command);
	if (r == 0 && ps->p->commands.count == 0)
		return pf__parse_fail(
			ps, v, "the list is empty: nothing could be started; null means every program");
	return r;
}

static int key_build(struct pf__parse *ps, const struct pf_json *v)
{
	int r = pf__parse_type(ps, v, PF_JSON_BOOL, "true or false");

	if (r == 0)
		ps->p->commands_build = v->b;
	return r;
}

static const struct pf__key commands_keys[] = {
	{"allow", key_allow, NULL},
	{"build", key_build, NULL},
};

static int key_commands(struct pf__parse *ps, const struct pf_json *v)
{
	return pf__parse_object(ps, v, commands_keys, PF_ARRAY_SIZE(commands_keys));
}

/* --- the document --- */

const struct pf__key pf__document_keys[] = {
	{"$schema", key_schema, NULL},
	{"tier", key_tier, NULL},
	{"min_tier", key_min_tier, NULL},
	{"require", key_require, NULL},
	{"limits", key_limits, NULL},
	{"network", pf__key_network, NULL},
	{"root", key_root, NULL},
	{"image", key_image, NULL},
	{"tools", key_tools, NULL},
	{"user", key_user, NULL},
	{"capabilities", key_capabilities, NULL},
	{"env", key_env, NULL},
	{"workspace", key_workspace, NULL},
	{"mounts", key_mounts, NULL},
	{"secrets", key_secrets, NULL},
	{"protect", key_protect, NULL},
	{"guard", pf__key_guard, NULL},
	{"commands", key_commands, NULL},
	{"budget", NULL, "limits hold for one exec"},
};
const size_t pf__document_key_count = PF_ARRAY_SIZE(pf__document_keys);
