/* SPDX-License-Identifier: Apache-2.0 */
/* From a command line to a policy: documents first, then options over them, whatever their order was. */
#include <errno.h>
#include <stdlib.h>

#include "cli/cli.h"

#include "pinfold.h"

int pf_policy_args_init(struct pf_policy_args *a, char **argv, struct pf_error *err)
{
	size_t n = 1;

	while (argv[n - 1])
		n++;
	*a = (struct pf_policy_args){.files = calloc(n, sizeof(*a->files)),
				     .over = calloc(n, sizeof(*a->over))};
	if (a->files && a->over)
		return 0;
	pf_policy_args_free(a);
	return pf_fail(err, -ENOMEM, "out of memory");
}

void pf_policy_args_free(struct pf_policy_args *a)
{
	free(a->files);
	free(a->over);
	*a = (struct pf_policy_args){0};
}

int pf_policy_args_build(const struct pf_policy_args *a, struct pf_policy **out, struct pf_error *err)
{
	struct pf_policy *p;
	int r = pf_policy_new(&p, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < a->file_count; i++)
		r = pf_policy_load(p, a->files[i], err);
	for (size_t i = 0; r == 0 && i < a->over_count; i++)
		r = a->over[i].opt->set(p, a->over[i].opt->name, a->over[i].value, err);
	if (r == 0)
		r = pf_policy_check(p, err);
	if (r < 0) {
		pf_policy_destroy(p);
		return r;
	}
	*out = p;
	return 0;
}
