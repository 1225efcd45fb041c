/* SPDX-License-Identifier: Apache-2.0 */
/* See programs.h. */
#include "sandbox/programs.h"

#include "sandbox/sandbox.h"

int pf_policy_programs(const struct pf_policy *p, const struct pf_places *places, struct pf_view_list *out,
		       struct pf_error *err)
{
	/* as much of a sandbox as finding its image takes */
	struct pf_sandbox s = {.policy = (struct pf_policy *)(uintptr_t)p,
			       .image_hold = -1,
			       .progress = places && places->progress,
			       .breaks = (char *)(uintptr_t) ""};
	struct pf_box_spec spec;
	int r;

	if (!p->commands.count)
		return 0;
	if ((r = pf_tier_choose(p, &s.tier, s.why, err)) < 0 ||
	    (r = pf_dirs_find(places, &s.dirs, err)) < 0 || (r = pf__image_take(&s, err)) < 0)
		return r;
	spec = pf__sandbox_spec(&s);
	r = s.tier->programs(&spec, out, err);
	pf__image_drop(&s);
	return r;
}
