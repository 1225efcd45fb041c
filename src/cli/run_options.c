/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of run. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "cli/run.h"

enum {
	OPT_POLICY,
	OPT_ENTRYPOINT,
	OPT_SHELL,
	OPT_PROMPT,
	OPT_INTERACTIVE,
	OPT_TTY,
	OPT_JSON,
	OPT_RM,
	OPT_APPLY,
	OPT_RECEIPT,
	OPT_QUIET,
	OPT_VERBOSE,
	OPT_HELP
};

const struct pf_opt pf_run_opts[] = {
	[OPT_POLICY] = {"policy", 0, PF_OPT_VALUE, "FILE",
			"a policy document (again: later ones write over earlier ones)"},
	[OPT_ENTRYPOINT] = {"entrypoint", 0, PF_OPT_VALUE, "PROGRAM",
			    "in place of the image's ENTRYPOINT and CMD; \"\" for none"},
	[OPT_SHELL] = {"shell", 'c', PF_OPT_VALUE, "LINE",
		       "a line for sh in place of a command; with guard.command judged first"},
	[OPT_PROMPT] = {"prompt", 0, PF_OPT_VALUE, "[tool:]FILE",
			"judge this text first, as guard.prompt says (again: more texts)"},
	[OPT_INTERACTIVE] = {"interactive", 'i', PF_OPT_FLAG, NULL, "give the command our standard input"},
	[OPT_TTY] = {"tty", 't', PF_OPT_FLAG, NULL, "give the command a terminal"},
	[OPT_JSON] = {"json", 0, PF_OPT_MAYBE, "stream",
		      "print the result as one JSON object, or lines as things happen"},
	[OPT_RM] = {"rm", 0, PF_OPT_FLAG, NULL, "keep no changes, and of a long output no file"},
	[OPT_APPLY] = {"apply", 0, PF_OPT_FLAG, NULL,
		       "put the changes into the workspace when the command has exited, with whatever code"},
	[OPT_RECEIPT] = {"receipt", 0, PF_OPT_FLAG, NULL, "print what the boundary was, on standard error"},
	[OPT_QUIET] = {"quiet", 'q', PF_OPT_FLAG, NULL, "no summary on standard error; errors stay"},
	[OPT_VERBOSE] = {"verbose", 0, PF_OPT_FLAG, NULL,
			 "a full summary, limits that this host cannot hold included"},
	[OPT_HELP] = PF_OPT_HELP,
	PF_OPT_END,
};

static int set_json(struct pf_run *run, const char *value, struct pf_error *err)
{
	if (value && strcmp(value, "stream") != 0)
		return pf_fail(err, -EINVAL, "--json or --json=stream");
	run->json = value ? PF_JSON_STREAM_MODE : PF_JSON_OBJECT_MODE;
	return 0;
}

static int take_own(struct pf_run *run, struct pf_policy_args *pa, const struct pf_arg *arg,
		    struct pf_error *err)
{
	switch (arg->own - pf_run_opts) {
	case OPT_POLICY:
		pa->files[pa->file_count++] = arg->value;
		break;
	case OPT_ENTRYPOINT:
		run->entrypoint = arg->value;
		break;
	case OPT_SHELL:
		run->shell = arg->value;
		break;
	case OPT_PROMPT:
		if (run->prompt_count == PF_ARRAY_SIZE(run->prompts))
			return pf_fail(err, -EINVAL, "--prompt may be given %zu times", run->prompt_count);
		run->prompts[run->prompt_count++] = arg->value;
		break;
	case OPT_INTERACTIVE:
		run->interactive = true;
		break;
	case OPT_TTY:
		run->tty = true;
		break;
	case OPT_JSON:
		return set_json(run, arg->value, err);
	case OPT_RM:
		run->rm = true;
		break;
	case OPT_APPLY:
		run->apply = true;
		break;
	case OPT_RECEIPT:
		run->receipt = true;
		break;
	case OPT_QUIET:
		run->quiet = true;
		break;
	case OPT_VERBOSE:
		run->verbose = true;
		break;
	case OPT_HELP:
		run->help = true;
		break;
	}
	return 0;
}

/*
 * The options cannot be read: does the rest ask for JSON? A caller who parses our output must get an object
 * for a misspelt option too. The value of an option we do not know looks like a word, so the options are
 * taken to end at "--" or at two words in a row.
 */
static void guess_json(struct pf_run *run, char *const *rest)
{
	unsigned words = 0;
	struct pf_error ignored;

	for (; *rest && strcmp(*rest, "--") != 0; rest++) {
		words = **rest == '-' ? 0 : words + 1;
		if (words == 2)
			return;
		if (strcmp(*rest, "--json") == 0)
			run->json = PF_JSON_OBJECT_MODE;
		else if (pf_has_prefix(*rest, "--json="))
			set_json(run, *rest + strlen("--json="), &ignored);
	}
}

static int read_all(struct pf_run *run, struct pf_policy_args *pa, char **argv, struct pf_error *err)
{
	struct pf_args args = {.argv = argv, .own = pf_run_opts, .policy = true};
	struct pf_arg arg;
	int r;

	while ((r = pf_args_next(&args, &arg, err)) == 1) {
		if (arg.policy)
			pa->over[pa->over_count++] = (struct pf_policy_over){arg.policy, arg.value};
		else
			r = take_own(run, pa, &arg, err);
		if (r < 0)
			break;
	}
	if (r < 0) {
		struct pf_error ignored;

		guess_json(run, argv + args.next);
		while (pf_args_next(&args, &arg, &ignored) != 0)
			;
		run->guess = argv + args.next;
		return r;
	}
	run->command = argv + args.next;
	return 0;
}

/* An image may say itself what is run in it. */
static int check_command(const struct pf_run *run, struct pf_error *err)
{
	bool image = strcmp(run->policy->image, "host") != 0;

	if (run->entrypoint && !image)
		return pf_fail(err, -EINVAL, "--entrypoint is of an image, and there is no --image");
	if (run->apply && !pf_ws_has_upper(run->policy->ws_mode))
		return pf_fail(err, -EINVAL,
			       "--apply needs a workspace whose changes are kept apart: --workspace DIR");
	if (run->shell && (run->command[0] || run->entrypoint))
		return pf_fail(err, -EINVAL,
			       "--shell takes the whole line as one word, and no command beside it");
	if (run->shell && !run->shell[strspn(run->shell, " \t\n")])
		return pf_fail(err, -EINVAL, "--shell: the line is empty");
	if (!run->command[0] && !run->shell && !image)
		return pf_fail(err, -EINVAL, "which command? pinfold run [options] [--] COMMAND [ARG...]");
	return 0;
}

static bool takes_stdin(const struct pf_run *run)
{
	for (size_t i = 0; i < run->prompt_count; i++) {
		const char *p = run->prompts[i];

		if (strcmp(p, "-") == 0 || strcmp(p, "tool:-") == 0 || strcmp(p, "user:-") == 0)
			return true;
	}
	return false;
}

int pf_run_options(struct pf_run *run, char **argv, struct pf_error *err)
{
	struct pf_policy_args pa;
	int r = pf_policy_args_init(&pa, argv, err);

	if (r < 0)
		return r;
	r = read_all(run, &pa, argv, err);
	if (r == 0 && !run->help) {
		/* first: "--memory ls" lacks a size, and a command only therefore */
		r = pf_policy_args_build(&pa, &run->policy, err);
		if (r == 0)
			r = check_command(run, err);
		if (r == 0 && run->interactive && takes_stdin(run))
			r = pf_fail(err, -EINVAL, "--prompt - and --interactive both want standard input");
	}
	/* A terminal without input would be dead: whoever asks for one at a terminal wants to type into it.
	 */
	if (run->tty && isatty(STDIN_FILENO))
		run->interactive = true;
	pf_policy_args_free(&pa);
	return r;
}
