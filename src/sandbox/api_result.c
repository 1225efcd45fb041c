/* SPDX-License-Identifier: Apache-2.0 */
/* pf_result_*: what callers of the public API see of a result. */
#include <stdlib.h>

#include "base/error.h"
#include "sandbox/result.h"

#include "pinfold.h"

char *pf_result_to_json(const struct pf_result *r, int indent)
{
	struct pf_buf b = {0};
	char *text = NULL;

	if (pf_result_json(r, indent > 0 ? (unsigned)indent : 0, &b) == 0)
		text = pf_buf_steal(&b);
	pf_buf_free(&b);
	return text;
}

const char *pf_result_cause(const struct pf_result *r)
{
	return pf_cause_name(r->cause);
}

int pf_result_exit_code(const struct pf_result *r)
{
	return r->exit_code;
}

const char *pf_result_text(const struct pf_result *r)
{
	return r->out.data ? r->out.data : "";
}

const char *pf_result_stderr(const struct pf_result *r)
{
	return r->err.data ? r->err.data : "";
}

void pf_result_destroy(struct pf_result *r)
{
	if (!r)
		return;
	pf_result_free(r);
	free(r);
}
