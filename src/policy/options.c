/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line's way into the policy: each function is one option's effect. What is set here counts as
 * written by the user, exactly as a key of the document does. Messages name the option.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "policy/policy_internal.h"

int pf_policy_set_env(struct pf_policy *p, const char *kv, struct pf_error *err)
{
	PF_AUTO_FREE char *name = strdup(kv);
	char shown[PF__SHOWN_MAX];
	const char *value;
	char *equals;

	if (!name)
		return pf__policy_nomem(err);
	equals = strchr(name, '=');
	if (equals) {
		*equals = '\0';
		value = equals + 1;
	} else {
		value = getenv(name);
		/* A misspelt name must not become an empty value that the command then trusts. */
		if (!value && *name)
			return pf_fail(err, -ENOENT, "--env %s: it is not set here, and no value is given",
				       pf__shown(name, shown));
	}
	if (pf__env_put(p, name, value ? value : "", err) < 0)
		return pf_wrap(err, "--env");
	return 0;
}

/* What --workspace's argument says behind the directory. */
struct ws_options {
	size_t dir_len;
	enum pf_ws_mode mode; /* PF_WS_NONE: not said */
	const char *at;	      /* in the argument, at_len bytes; NULL: not said */
	size_t at_len;
};

static bool is_option(const char *s, size_t n, const char *word)
{
	return strlen(word) == n && strncasecmp(s, word, n) == 0;
}

/*
 * One ":word" from the end of arg[0..end). 1: taken, 0: it belongs to the directory's name, or -errno.
 * Case does not make it part of a name: "src:RO" is a slip, and a slip here would be a writable workspace
 * of another name.
 */
static int ws_option(const char *arg, size_t colon, size_t end, struct ws_options *o, struct pf_error *err)
{
	static const char *const modes[] = {"ro", "cow", "rw", "rw,live"};
	const char *word = arg + colon + 1;
	size_t n = end - colon - 1;
	char text[16];

	if (n >= 5 && memcmp(word, "path=", 5) == 0) {
		if (o->at)
			return pf_fail(err, -EINVAL, "path= is given twice");
		o->at = word + 5;
		o->at_len = n - 5;
		return 1;
	}
	for (size_t i = 0; i < PF_ARRAY_SIZE(modes); i++) {
		if (!is_option(word, n, modes[i]))
			continue;
		if (o->mode != PF_WS_NONE)
			return pf_fail(err, -EINVAL, "the mode is given twice");
		memcpy(text, word, n);
		text[n] = '\0';
		return pf__mode_parse(text, &o->mode, err) < 0 ? err->code : 1;
	}
	return 0;
}

/*
 * Options are taken from the end, in any order, for as long as they are known words: a directory may have
 * colons in its name, and one that ends in ":ro" is written with a slash behind it.
 */
static int ws_split(const char *arg, struct ws_options *o, struct pf_error *err)
{
	size_t end = strlen(arg);
	int r = 1;

	while (r > 0) {
		const char *colon = memrchr(arg, ':', end);

		if (!colon)
			break;
		r = ws_option(arg, (size_t)(colon - arg), end, o, err);
		if (r < 0)
			return r;
		if (r > 0)
			end = (size_t)(colon - arg);
	}
	o->dir_len = end;
	if (end == 0)
		return pf_fail(err, -EINVAL, "names no directory: DIR[:ro|:cow|:rw|:rw,live][:path=/PLACE]");
	if (memmem(arg, end, ":path=", 6))
		return pf_fail(err, -EINVAL, "the place behind path= may not contain ':'");
	return 0;
}

static int ws_apply(struct pf_policy *p, const char *arg, const struct ws_options *o, struct pf_error *err)
{
	PF_AUTO_FREE char *dir = strndup(arg, o->dir_len);
	PF_AUTO_FREE char *place = o->at ? strndup(o->at, o->at_len) : NULL;
	char clean[PF__PATH_MAX];
	char *at = NULL;

	if (!dir || (o->at && !place))
		return pf__policy_nomem(err);
	if (place) {
		if (pf__absolute(place, clean, err) < 0)
			return pf_wrap(err, "path=");
		at = strdup(clean);
		if (!at)
			return pf__policy_nomem(err);
		free(p->ws_at);
		p->ws_at = at;
	}
	free(p->ws_path);
	p->ws_path = pf_take_ptr(dir);
	if (o->mode != PF_WS_NONE)
		p->ws_mode_wanted = o->mode;
	pf__mode_settle(p);
	return 0;
}

int pf_policy_set_workspace(struct pf_policy *p, const char *arg, struct pf_error *err)
{
	struct ws_options o = {.mode = PF_WS_NONE};
	struct pf_error own = {0}, *e = err ? err : &own;
	char shown[PF__SHOWN_MAX];
	int r = ws_split(arg, &o, e);

	if (r == 0)
		r = ws_apply(p, arg, &o, e);
	return r < 0 ? pf_wrap(e, "--workspace %s", pf__shown(arg, shown)) : 0;
}

int pf_policy_add_tools(struct pf_policy *p, const char *dir, struct pf_error *err)
{
	return pf__tool_add(p, dir, err) < 0 ? pf_wrap(err, "--tools") : 0;
}

int pf_policy_set_user(struct pf_policy *p, const char *user, struct pf_error *err)
{
	return pf__user_put(p, user, err) < 0 ? pf_wrap(err, "--user") : 0;
}

int pf_policy_set_image(struct pf_policy *p, const char *image, struct pf_error *err)
{
	return pf__image_put(p, image, err) < 0 ? pf_wrap(err, "--image") : 0;
}

int pf_policy_set_tier(struct pf_policy *p, const char *tier, struct pf_error *err)
{
	uint64_t value;

	if (pf__word_parse(&pf__tier_words, tier, &value, err) < 0)
		return pf_wrap(err, "--tier");
	p->tier = (enum pf_tier_ask)value;
	return 0;
}

int pf_policy_set_limit(struct pf_policy *p, const char *name, const char *value, struct pf_error *err)
{
	const struct pf__limit *l = pf__limit_find(name);
	char shown[PF__SHOWN_MAX];
	uint64_t v;

	if (!l)
		return pf_fail(err, -EINVAL, "%s is no limit", pf__shown(name, shown));
	if (pf__limit_from_text(l, value, &v, err) < 0)
		return pf_wrap(err, "--%s", name);
	pf__limit_put(&p->limits, l, v);
	/* "none" takes a limit away: there is nothing left that a host would have to hold. */
	if (v)
		p->limits.written |= l->bit;
	else
		p->limits.written &= ~l->bit;
	return 0;
}

int pf_policy_add_commands(struct pf_policy *p, const char *names, struct pf_error *err)
{
	PF_AUTO_FREE char *copy = strdup(names);
	struct pf_error own = {0}, *e = err ? err : &own;
	char *rest = copy, *name;

	if (!copy)
		return pf__policy_nomem(err);
	while ((name = strsep(&rest, ",")))
		if (pf__command_add(p, name, e) < 0)
			return pf_wrap(e, "--commands");
	return 0;
}
