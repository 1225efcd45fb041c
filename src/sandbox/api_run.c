/* SPDX-License-Identifier: Apache-2.0 */
/* pf_sandbox_run: one command from its start to its result, for callers without a loop of their own. */
#include <errno.h>
#include <stdlib.h>

#include "sandbox/sandbox.h"

int pf_sandbox_run(struct pf_sandbox *s, const struct pf_exec_options *o, struct pf_result **out,
		   struct pf_error *err)
{
	struct pf_result *result = calloc(1, sizeof(*result));
	struct pf_exec *e;
	int r;

	if (!result)
		return pf_fail(err, -ENOMEM, "out of memory");
	r = pf_exec_start(s, o, &e, err);
	if (r < 0) {
		free(result);
		return r;
	}
	while (!pf_exec_result(e))
		if (pf_sandbox_step(s, -1, err) < 0 && !pf_exec_result(e))
			break; /* cannot be: a broken sandbox gives every exec its result */
	r = pf_exec_result(e) ? pf_result_take(result, &e->result) : err ? err->code : -EIO;
	pf_exec_end(e);
	if (r < 0) {
		free(result);
		return r;
	}
	*out = result;
	return 0;
}
