/* SPDX-License-Identifier: Apache-2.0 */
/* pinfold policy: print the whole policy that a command line means, or check documents. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "cli/cli.h"
#include "sandbox/programs.h"

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

static const char promise[] =
	"// No program file that is not on the list can be started or mapped executable: by name, path, "
	"copy,\n"
	"// link, `ld.so`, descriptor, memfd or preload. What a listed program computes is not limited: an\n"
	"// interpreter on the list can run any script, and machine code in its own memory. The boundary "
	"stops\n"
	"// that; the list does not.\n";

/* What the list comes to, as comments behind the document, which stays one. Paths are an image's. */
static void print_programs(const struct pf_policy *p, const struct pf_view_list *list, struct pf_buf *out)
{
	char path[512], why[512];

	pf_buf_addf(out, "\n// commands.allow, with what its programs need: %zu.%s\n", list->count,
		    p->commands_build ? " Programs of the workspace can be started too." : "");
	pf_buf_adds(out, promise);
	for (size_t i = 0; i < list->count; i++) {
		const struct pf_view_entry *e = &list->items[i];

		pf_printable(e->path, strlen(e->path), path, sizeof(path));
		pf_printable(e->why, strlen(e->why), why, sizeof(why));
		pf_buf_addf(out, "//   %-40s %-14s %s\n", path, e->any_code ? "runs any code" : "", why);
	}
}

static int show(const struct request *q)
{
	const struct pf_places places = {.progress = true};
	PF_AUTO_BUF struct pf_buf out = {0};
	struct pf_view_list list = {0};
	struct pf_error err = {0};
	struct pf_policy *p;
	int r, code;

	if (pf_policy_args_build(&q->policy, &p, &err) < 0)
		return pf_cli_fail(&err);
	pf_policy_print(p, 2, &out);
	r = pf_policy_programs(p, &places, &list, &err);
	if (r == 0 && p->commands.count)
		print_programs(p, &list, &out);
	code = pf_cli_out(&out);
	pf_view_list_free(&list);
	pf_policy_destroy(p);
	return r < 0 ? pf_cli_fail(&err) : code;
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
	.text = "show prints every setting with its value, defaults included, and of commands.allow, as "
		"comments, "
		"what it\n"
		"comes to: every program that could be started, and why. check says OK, or what is "
		"wrong and in\n"
		"which line. Exit code: 0, or 125.",
	.opts = opts,
	.policy = true,
	.main = policy_main,
	.words = PF_WORDS_FILES,
	.actions = actions,
};
