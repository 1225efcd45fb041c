/* SPDX-License-Identifier: Apache-2.0 */
/* pinfold guard command: what the command policy says about a line. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "cli/guard.h"
#include "guard/command.h"
#include "policy/policy.h"

#include "pinfold.h"

enum { OPT_JSON, OPT_POLICY, OPT_WORKSPACE, OPT_HELP };

static const struct pf_opt opts[] = {
	[OPT_JSON] = {"json", 0, PF_OPT_FLAG, NULL, "print one JSON object"},
	[OPT_POLICY] = {"policy", 0, PF_OPT_VALUE, "FILE", "a policy document; of it guard.command is read"},
	[OPT_WORKSPACE] = {"workspace", 0, PF_OPT_VALUE, "DIR", "paths are resolved beneath it (default: .)"},
	[OPT_HELP] = PF_OPT_HELP,
	PF_OPT_END,
};

struct request {
	bool json, help;
	const char *policy, *workspace, *line;
};

static int read_args(struct request *q, char **argv, struct pf_error *err)
{
	struct pf_args args = {.argv = argv, .own = opts};
	struct pf_arg arg;
	int r;

	while ((r = pf_args_next(&args, &arg, err)) == 1) {
		if (arg.own == &opts[OPT_JSON])
			q->json = true;
		else if (arg.own == &opts[OPT_POLICY])
			q->policy = arg.value;
		else if (arg.own == &opts[OPT_WORKSPACE])
			q->workspace = arg.value;
		else
			q->help = true;
	}
	if (r < 0 || q->help)
		return r;
	q->line = argv[args.next];
	if (!q->line || argv[args.next + 1])
		return pf_fail(err, -EINVAL, "guard command takes one word: the whole line, in quotes");
	return 0;
}

/* A document that judges nothing would allow everything, which nobody means who asks. */
static int read_policy(struct pf_command_policy *out, const char *file, struct pf_error *err)
{
	struct pf_policy *policy;
	int r;

	pf_command_policy_defaults(out);
	if (!file)
		return 0;
	r = pf_policy_new(&policy, err);
	if (r < 0)
		return r;
	r = pf_policy_load(policy, file, err);
	if (r == 0 && !policy->guard_command)
		r = pf_fail(err, -EINVAL, "%.200s: guard.command is off in it", file);
	if (r == 0)
		r = pf_policy_command(policy, out, err);
	pf_policy_destroy(policy);
	return r;
}

static void print_json(const struct pf_command_verdict *v, const struct pf_command_plan *plan,
		       struct pf_buf *out)
{
	struct pf_jsonw w;

	pf_jsonw_init(&w, out, 0);
	pf_jsonw_begin(&w, '{');
	pf_jsonw_kstr(&w, "verdict", pf_verdict_name(v->verdict));
	pf_jsonw_kstr(&w, "rule", v->rule);
	pf_jsonw_kstr(&w, "reason", v->reason);
	pf_jsonw_kbool(&w, "would_allow", v->would_allow);
	pf_jsonw_key(&w, "argv");
	pf_jsonw_begin(&w, '[');
	for (size_t i = 0; i < plan->vector_count; i++) {
		pf_jsonw_begin(&w, '[');
		for (size_t k = 0; k < plan->vectors[i].word_count; k++)
			pf_jsonw_str(&w, plan->vectors[i].words[k].text);
		pf_jsonw_end(&w, ']');
	}
	pf_jsonw_end(&w, ']');
	pf_jsonw_end(&w, '}');
	pf_buf_addc(out, '\n');
}

/* 0 allow, 1 ask, 2 deny. */
static int judge(const struct request *q, const struct pf_command_policy *policy)
{
	PF_AUTO_CLOSE int dir = open(q->workspace ? q->workspace : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	PF_AUTO_FREE char *at = realpath(q->workspace ? q->workspace : ".", NULL);
	struct pf_command_workspace workspace = {.dir_fd = dir, .at = at};
	PF_AUTO_BUF struct pf_buf out = {0};
	struct pf_command_plan plan = {0};
	struct pf_command_places places;
	struct pf_command_verdict v;
	struct pf_error err = {0};
	int code;

	if (dir < 0 || !at) {
		pf_fail_errno(&err, "cannot open the workspace %.200s", q->workspace ? q->workspace : ".");
		return pf_cli_fail(&err);
	}
	pf_command_places_init(&places, &workspace);
	if (pf_command_judge(policy, &places, q->line, strlen(q->line), &v, &plan, &err) < 0)
		return pf_cli_fail(&err);
	if (q->json)
		print_json(&v, &plan, &out);
	else
		pf_buf_addf(&out, "%s (%s): %s\n", pf_verdict_name(v.verdict), v.rule, v.reason);
	pf_command_plan_free(&plan);
	code = pf_cli_out(&out);
	return code ? code : (int)v.verdict;
}

static int command_main(char **argv)
{
	struct pf_command_policy policy;
	struct request q = {0};
	struct pf_error err = {0};
	int code;

	if (read_args(&q, argv, &err) < 0)
		return pf_cli_misuse(&pf_guard_command, &err);
	if (q.help)
		return pf_cli_help(&pf_guard_command);
	code = read_policy(&policy, q.policy, &err) < 0 ? pf_cli_fail(&err) : judge(&q, &policy);
	pf_command_policy_free(&policy);
	return code;
}

const struct pf_verb pf_guard_command = {
	.name = "guard command",
	.summary = "judge a command line before it runs",
	.usage = "guard command [--json] [--policy FILE] [--workspace DIR] -- 'LINE'\n",
	.text = "Reads the line as data and starts nothing. What is not fully understood is never allowed.\n"
		"Exit code: 0 allow, 1 ask, 2 deny, 125 an error.\n",
	.opts = opts,
	.main = command_main,
};
