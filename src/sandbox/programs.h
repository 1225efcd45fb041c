/* SPDX-License-Identifier: Apache-2.0 */
/* commands.allow of a policy, closed: what a sandbox with it could start. */
#ifndef PF_SANDBOX_PROGRAMS_H
#define PF_SANDBOX_PROGRAMS_H

#include "base/error.h"
#include "policy/policy.h"
#include "view/view.h"

#include "pinfold.h"

/* Looks into the image, which is made if it is `base` and was not yet; makes no sandbox. An empty list where
 * the policy has none. -EINVAL, -ENOENT as the sandbox would answer. */
int pf_policy_programs(const struct pf_policy *p, const struct pf_places *places, struct pf_view_list *out,
		       struct pf_error *err);

#endif
