/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options that write over a policy: one table for pf_policy_option() and for the command line, its
 * help included, so that the two cannot differ.
 */
#ifndef PF_SANDBOX_POLICY_OPTIONS_H
#define PF_SANDBOX_POLICY_OPTIONS_H

#include "base/error.h"
#include "policy/policy.h"

struct pf_policy_opt {
	const char *name; /* without dashes; NULL ends the table */
	char letter;	  /* 0: none */
	const char *arg;  /* what stands for the value in help texts */
	const char *help;
	int (*set)(struct pf_policy *p, const char *name, const char *value, struct pf_error *err);
};

extern const struct pf_policy_opt pf_policy_opts[];

#endif
