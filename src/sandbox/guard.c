/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the command policy says of an exec, before anything of it starts. A signal and a seat belt, never the
 * wall (docs/guard.md).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "sandbox/sandbox.h"

/* Words as a line that reads back to the same words, whatever is in them. */
static int quote(const char *const *words, struct pf_buf *out)
{
	for (; *words; words++) {
		const char *p = *words;

		pf_buf_addc(out, '\'');
		for (; *p; p++)
			if (*p == '\'')
				pf_buf_adds(out, "'\\''");
			else
				pf_buf_addc(out, *p);
		pf_buf_adds(out, words[1] ? "' " : "'");
	}
	return out->failed ? -ENOMEM : 0;
}

static int judge(struct pf_sandbox *s, const struct pf_exec_options *o,
		 const struct pf_command_policy *policy, const char *line, struct pf_guard *out,
		 struct pf_list *tokens, struct pf_error *err)
{
	__attribute__((cleanup(pf_command_plan_free))) struct pf_command_plan plan = {0};
	__attribute__((cleanup(pf__guard_places_close))) struct pf__guard_places own;
	const struct pf_command_places *places = pf__guard_places_open(&own, s, pf__command_cwd(s, o));
	int r = pf_command_judge(policy, places, line, strlen(line), &out->verdict, &plan, err);

	if (r < 0 || !o->shell)
		return r;
	r = pf_command_tokens(&plan, tokens);
	out->shell = r == -ENOTSUP;
	return r == -ENOMEM ? pf_fail(err, r, "out of memory") : 0;
}

int pf__guard_judge(struct pf_sandbox *s, const struct pf_exec_options *o, const char *const *words,
		    struct pf_guard *out, struct pf_list *tokens, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf line = {0};
	struct pf_command_policy policy;
	int r;

	*out = (struct pf_guard){0};
	if (!s->policy->guard_command)
		return 0;
	if (!o->shell && quote(words, &line) < 0)
		return pf_fail(err, -ENOMEM, "out of memory");
	r = pf_policy_command(s->policy, &policy, err);
	if (r == 0)
		r = judge(s, o, &policy, o->shell ? o->shell : line.data, out, tokens, err);
	out->judged = r == 0;
	out->enforced = policy.mode == PF_GUARD_ENFORCE;
	pf_command_policy_free(&policy);
	return r;
}

bool pf__guard_refuses(const struct pf_guard *g, const struct pf_exec_options *o)
{
	return g->judged && (g->verdict.verdict == PF_VERDICT_DENY ||
			     (g->verdict.verdict == PF_VERDICT_ASK && !o->approved));
}

void pf__guard_refuse(struct pf_exec *e, const struct pf_exec_options *o, const char *const *words)
{
	const struct pf_command_verdict *v = &e->result.guard.verdict;
	PF_AUTO_BUF struct pf_buf line = {0};
	char target[256] = "";
	struct pf_error why;

	if (o->shell)
		pf_printable(o->shell, strlen(o->shell), target, sizeof(target));
	else if (quote(words, &line) == 0)
		pf_printable(line.data, line.len, target, sizeof(target));
	pf_result_deny(&e->result, "command", target, v->rule,
		       v->verdict == PF_VERDICT_ASK
			       ? "a person may allow it: at a terminal pinfold asks, and a rule in "
				 "guard.command of the policy answers for good"
			       : "no yes is asked for; use another command, or change guard.command of the "
				 "policy");
	pf_fail(&why, -EPERM, "guard.command says %s: %s", pf_verdict_name(v->verdict), v->reason);
	pf__finish_refused(e, PF_CAUSE_DENIED, &why);
}
