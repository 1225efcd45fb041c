/* SPDX-License-Identifier: Apache-2.0 */
/* Which tier: the table of this build, and the choice. */
#include "tier/tier.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const struct pf_tier *const pf_tiers[] = {&pf_tier_container, NULL};

static const struct pf_tier *find(const char *name)
{
	const struct pf_tier *const *t;

	for (t = pf_tiers; *t; t++)
		if (strcmp((*t)->name, name) == 0)
			return *t;
	return NULL;
}

/* With one tier in the build there is nothing to probe beforehand: creating it is the proof, and costs
 * nothing twice. */
int pf_tier_choose(const struct pf_policy *p, const struct pf_tier **out, char why[200], struct pf_error *err)
{
	const char *name = pf_tier_name(p->tier == PF_TIER_AUTO ? PF_TIER_CONTAINER : p->tier);
	const struct pf_tier *t = find(name);

	if (!t)
		return pf_fail(err, -ENOTSUP, "the tier '%s' is not in this build; it has: container", name);
	if (p->min_tier > PF_TIER_CONTAINER)
		return pf_fail(err, -EPERM,
			       "min_tier is '%s', and the strongest tier in this build is 'container'",
			       pf_tier_name(p->min_tier));
	snprintf(why, 200, "%s",
		 p->tier == PF_TIER_AUTO ? "auto: the strongest tier in this build" : "asked for by name");
	*out = t;
	return 0;
}
