/* SPDX-License-Identifier: Apache-2.0 */
/* The result of an exec as an object: its life, its ownership, the exit code that it means. */
#include "sandbox/result_net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

const char *pf_cause_name(enum pf_cause c)
{
	static const char *const names[] = {
		[PF_CAUSE_NONE] = "none",
		[PF_CAUSE_EXITED] = "exited",
		[PF_CAUSE_SIGNALLED] = "signalled",
		[PF_CAUSE_TIMEOUT] = "timeout",
		[PF_CAUSE_IDLE_TIMEOUT] = "idle_timeout",
		[PF_CAUSE_OUTPUT_LIMIT] = "output_limit",
		[PF_CAUSE_OOM] = "oom",
		[PF_CAUSE_PIDS] = "pids",
		[PF_CAUSE_DISK_LIMIT] = "disk_limit",
		[PF_CAUSE_KILLED] = "killed",
		[PF_CAUSE_DENIED] = "denied",
		[PF_CAUSE_BOUNDARY] = "boundary",
		[PF_CAUSE_ERROR] = "error",
	};

	return (size_t)c < PF_ARRAY_SIZE(names) ? names[c] : "error";
}

const char *pf_applied_name(enum pf_applied_state s)
{
	static const char *const names[] = {NULL, "all", "some", "none", "pending"};

	return (size_t)s < PF_ARRAY_SIZE(names) ? names[s] : NULL;
}

void pf_applied_free(struct pf_applied *a)
{
	free(a->why);
	pf_list_free(&a->conflicts);
	pf_list_free(&a->held);
	pf_list_free(&a->notes);
	*a = (struct pf_applied){0};
}

void pf_result_init(struct pf_result *r)
{
	memset(r, 0, sizeof(*r));
	r->exit_code = -1;
	r->duration_ms = r->cpu_ms = r->peak_memory = r->processes_peak = -1;
	pf_receipt_init(&r->receipt);
}

void pf_result_free(struct pf_result *r)
{
	pf_list_free(&r->argv);
	pf__network_free(r);
	free(r->error);
	free(r->changes_note);
	free(r->whole[0].why);
	free(r->whole[1].why);
	free(r->state);
	pf_applied_free(&r->applied);
	pf_list_free(&r->secrets);
	pf_prompts_free(&r->prompts);
	pf_redact_account_free(&r->redactions);
	pf_buf_free(&r->out);
	pf_buf_free(&r->err);
	pf_receipt_free(&r->receipt);
	pf_result_init(r);
}

/* --- copies ------------------------------------------------------------------ */

int pf_result_take(struct pf_result *to, struct pf_result *from)
{
	int r = pf_receipt_own(&from->receipt);

	if (r < 0)
		return r;
	*to = *from;
	pf_result_init(from);
	return 0;
}

int pf_result_argv(struct pf_result *r, const char *const *argv)
{
	struct pf_list l = {0};

	for (; *argv; argv++)
		if (pf_list_add(&l, *argv) < 0) {
			pf_list_free(&l);
			return -ENOMEM;
		}
	pf_list_free(&r->argv);
	r->argv = l;
	return 0;
}

/* --- what happened ------------------------------------------------------------ */

void pf_result_hit(struct pf_result *r, const char *kind, int64_t count)
{
	for (size_t i = 0; i < r->hit_count; i++) {
		if (strcmp(r->hits[i].kind, kind) == 0) {
			r->hits[i].count += count;
			return;
		}
	}
	if (r->hit_count < PF_ARRAY_SIZE(r->hits))
		r->hits[r->hit_count++] = (struct pf_limit_hit){kind, count};
}

int pf_result_cli_code(const struct pf_result *r)
{
	switch (r->cause) {
	case PF_CAUSE_EXITED:
	case PF_CAUSE_SIGNALLED:
	case PF_CAUSE_OOM:
	case PF_CAUSE_PIDS:
	case PF_CAUSE_DISK_LIMIT:
		if (r->signal > 0)
			return 128 + r->signal;
		return r->exit_code >= 0 ? r->exit_code & 255 : 125;
	case PF_CAUSE_TIMEOUT:
	case PF_CAUSE_IDLE_TIMEOUT:
	case PF_CAUSE_OUTPUT_LIMIT:
		return 124;
	case PF_CAUSE_KILLED:
		return 137;
	case PF_CAUSE_DENIED:
		return 126;
	case PF_CAUSE_NONE:
	case PF_CAUSE_BOUNDARY:
	case PF_CAUSE_ERROR:
		break;
	}
	return 125;
}
