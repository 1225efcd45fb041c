/* SPDX-License-Identifier: Apache-2.0 */
/* pinfold policy: print the whole policy that a command line means, or check documents. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/cli.h"

#include "pinfold.h"

enum { OPT_POLICY, OPT_HELP };

static const struct pf_opt opts[] = {
	[OPT_POLICY] = {"policy", 0, PF_OPT_VALUE, "FILE",
			"a policy document (again: later ones write over earlier ones)"},
	[OPT_HELP] = PF_OPT_HELP,
	PF_OPT_END,
};

struct request {
	struct pf_policy_args policy;
	char **words; /* NULL-terminated: the action, and documents */
	bool help;
};

static int read_args(struct request *q, char **argv, struct pf_error *err)
{
	struct pf_args args = {.argv = argv, .own = opts, .policy = true, .words_between = true};
	struct pf_arg arg;
	int r;

	q->words = argv;
	while ((r = pf_args_next(&args, &arg, err)) == 1) {
		if (arg.policy)
			q->policy.over[q->policy.over_count++] =
				(struct pf_policy_over){arg.policy, arg.value};
		else if (arg.own == &opts[OPT_POLICY])
			q->policy.files[q->policy.file_count++] = arg.value;
		else
			q->help = true;
	}
	return r;
}

static int show(const struct request *q)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	struct pf_error err = {0};
	struct pf_policy *p;

	if (pf_policy_args_build(&q->policy, &p, &err) < 0)
		return pf_cli_fail(&err);
	pf_policy_print(p, 2, &out);
	pf_policy_destroy(p);
	return pf_cli_out(&out);
}

/* One document by itself, under the options of the command line. */
static int check_file(const struct request *q, const char *file)
{
	struct pf_policy_args one = q->policy;
	PF_AUTO_BUF struct pf_buf out = {0};
	struct pf_error err = {0};
	struct pf_policy *p;

	one.files = &file;
	one.file_count = 1;
	if (pf_policy_args_build(&one, &p, &err) < 0)
		return pf_cli_fail(&err);
	pf_policy_destroy(p);
	pf_cli_name(&out, file);
	pf_buf_adds(&out, ": OK\n");
	return pf_cli_out(&out);
}

/* --policy files are one policy together; the words are documents each of its own. */
static int check(const struct request *q)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	struct pf_error err = {0};
	struct pf_policy *p;
	int code = 0;

	for (char **file = q->words + 1; *file; file++) {
		int r = check_file(q, *file);

		code = r ? r : code;
	}
	if (q->words[1] && q->policy.file_count == 0)
		return code;
	if (pf_policy_args_build(&q->policy, &p, &err) < 0)
		return pf_cli_fail(&err);
	pf_policy_destroy(p);
	pf_buf_adds(&out, "OK\n");
	return code ? code : pf_cli_out(&out);
}

static int perform(const struct request *q, struct pf_error *err)
{
	const char *action = q->words[0] ? q->words[0] : "";

	if (q->help)
		return pf_cli_help(&pf_verb_policy);
	if (strcmp(action, "check") == 0)
		return check(q);
	if (strcmp(action, "show") == 0 && !q->words[1])
		return show(q);
	if (strcmp(action, "show") == 0)
		pf_fail(err, -EINVAL, "policy show takes documents by --policy FILE");
	else if (*action)
		pf_fail(err, -EINVAL, "policy has no \"%.40s\": policy show or policy check", action);
	else
		pf_fail(err, -EINVAL, "policy show or policy check?");
	return pf_cli_misuse(&pf_verb_policy, err);
}

static int policy_main(char **argv)
{
	struct request q = {0};
	struct pf_error err = {0};
	int code;

	if (pf_policy_args_init(&q.policy, argv, &err) < 0)
		return pf_cli_fail(&err);
	if (read_args(&q, argv, &err) < 0)
		code = pf_cli_misuse(&pf_verb_policy, &err);
	else
		code = perform(&q, &err);
	pf_policy_args_free(&q.policy);
	return code;
}

static const char *const actions[] = {"show", "check", NULL};

const struct pf_verb pf_verb_policy = {
	.name = "policy",
	.summary = "print the whole policy of a command line, or check documents",
	.usage = "policy show [--policy FILE] [options of run]\n"
		 "policy check [--policy FILE] [options of run] [FILE...]\n",
	.text = "show prints every setting with its value, defaults included. check says OK, or what is "
		"wrong and in\n"
		"which line. Exit code: 0, or 125.",
	.opts = opts,
	.policy = true,
	.main = policy_main,
	.words = PF_WORDS_FILES,
	.actions = actions,
};
