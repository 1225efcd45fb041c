/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image that a policy names, and the account in it. Only the form is judged: whether there is such an
 * image, and such an account in it, is seen when the sandbox is made.
 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "policy/policy_internal.h"

#define NAME_MAX_LEN 200u   /* as image/store.h has it */
#define ID_LIMIT     65535u /* the ids that a sandbox maps */

static const char image_letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:+@";
static const char user_letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

int pf__image_put(struct pf_policy *p, const char *image, struct pf_error *err)
{
	size_t n = strlen(image);
	char shown[PF__SHOWN_MAX];

	if (n == 0)
		return pf_fail(err, -EINVAL,
			       "the name of an image may not be empty; \"host\" is the host's own tools");
	if (n > NAME_MAX_LEN || *image == '-' || strspn(image, image_letters) != n)
		return pf_fail(err, -EINVAL, "%s is no name or digest of an image", pf__shown(image, shown));
	return pf__policy_set_string(&p->image, image) < 0 ? pf__policy_nomem(err) : 0;
}

/* A number that cannot be one is refused here: read as a name it would be looked for, and read loosely it
 * would be another's (CVE-2026-30892). */
static int check_part(const char *part, const char *what, const char *whole, struct pf_error *err)
{
	size_t n = strlen(part), digits = strspn(part, "0123456789");
	char shown[PF__SHOWN_MAX];
	uint32_t id;

	if (n == 0 || n > 64 || *part == '-' || strspn(part, user_letters) != n)
		return pf_fail(err, -EINVAL,
			       "%s has no %s that could be one: NAME, UID, NAME:GROUP or UID:GID",
			       pf__shown(whole, shown), what);
	if (digits == n && n > 1 && *part == '0')
		return pf_fail(err, -EINVAL, "the %s of %s is a number that begins with 0", what,
			       pf__shown(whole, shown));
	if (digits == n && (pf_parse_u32(part, &id) < 0 || id > ID_LIMIT))
		return pf_fail(err, -EINVAL, "the %s of %s is a number above %u, which no sandbox has", what,
			       pf__shown(whole, shown), ID_LIMIT);
	return 0;
}

static bool is_root(const char *part)
{
	return strcmp(part, "root") == 0 || strcmp(part, "0") == 0;
}

/* user is the default; root is uid 0 of the sandbox alone. */
int pf__user_put(struct pf_policy *p, const char *user, struct pf_error *err)
{
	PF_AUTO_FREE char *name = strdup(user);
	char *group = name ? strchr(name, ':') : NULL, shown[PF__SHOWN_MAX];
	bool root;
	int r;

	if (!name)
		return pf__policy_nomem(err);
	if (group)
		*group++ = '\0';
	r = check_part(name, "user", user, err);
	if (r == 0 && group)
		r = check_part(group, "group", user, err);
	if (r < 0)
		return r;
	root = is_root(name);
	if (root && group && !is_root(group))
		return pf_fail(err, -EINVAL, "%s: root has no group but its own", pf__shown(user, shown));
	if (pf__policy_set_string(&p->user, root || strcmp(user, "user") == 0 ? NULL : user) < 0)
		return pf__policy_nomem(err);
	p->user_root = root;
	return 0;
}
