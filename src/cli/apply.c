/* SPDX-License-Identifier: Apache-2.0 */
/* pinfold apply: put a change set, or parts of it, into the user's directory. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "cli/cli.h"
#include "workspace/change.h"

#define EXIT_REFUSED 1 /* conflicts or protected paths: nothing was written */

enum { OPT_FORCE, OPT_PROTECTED, OPT_DRY_RUN, OPT_HELP };

static const struct pf_opt opts[] = {
	[OPT_FORCE] = {"force", 'f', PF_OPT_FLAG, NULL, "write over what changed in the directory meanwhile"},
	[OPT_PROTECTED] = {"allow-protected", 0, PF_OPT_FLAG, NULL,
			   "also paths that the policy protects (.git/hooks ...)"},
	[OPT_DRY_RUN] = {"dry-run", 'n', PF_OPT_FLAG, NULL, "only say what would be done"},
	[OPT_HELP] = PF_OPT_HELP,
	PF_OPT_END,
};

struct request {
	char **words; /* the id, then paths; NULL-terminated */
	struct pf_apply how;
	bool help;
};

static int read_args(struct request *q, char **argv, struct pf_error *err)
{
	struct pf_args args = {.argv = argv, .own = opts, .words_between = true};
	struct pf_arg arg;
	int r;

	q->words = argv;
	while ((r = pf_args_next(&args, &arg, err)) == 1) {
		if (arg.own == &opts[OPT_FORCE])
			q->how.force = true;
		else if (arg.own == &opts[OPT_PROTECTED])
			q->how.allow_protected = true;
		else if (arg.own == &opts[OPT_DRY_RUN])
			q->how.dry_run = true;
		else
			q->help = true;
	}
	if (r == 0 && !q->help && args.words == 0)
		return pf_fail(err, -EINVAL,
			       "which change set? \"pinfold ls\" lists them, \"last\" is the newest");
	return r;
}

/* A path as the user writes it (./a/, or absolute below the workspace) as the change set has it. */
static int clean_path(const char *word, const char *workspace, char out[4096], struct pf_error *err)
{
	const char *rest = out;

	if (pf_path_clean(word, out, 4096) < 0)
		return pf_fail(err, -EINVAL, "%s: not a path within the workspace", word);
	if (out[0] == '/') {
		if (!pf_path_within(out, workspace))
			return pf_fail(err, -EINVAL, "%s is not in the workspace %s", word, workspace);
		rest = out + strlen(workspace);
		rest += strspn(rest, "/");
		memmove(out, rest, strlen(rest) + 1);
	}
	if (!*out)
		strcpy(out, ".");
	return 0;
}

static int clean_paths(char *const *words, const char *workspace, struct pf_list *out, struct pf_error *err)
{
	char path[4096];
	size_t n = 0;

	while (words[n])
		n++;
	out->items = calloc(n + 1, sizeof(*out->items));
	if (!out->items)
		return pf_fail(err, -ENOMEM, "out of memory");
	for (; out->count < n; out->count++) {
		int r = clean_path(words[out->count], workspace, path, err);

		if (r < 0)
			return r;
		out->items[out->count] = strdup(path);
		if (!out->items[out->count])
			return pf_fail(err, -ENOMEM, "out of memory");
	}
	return 0;
}

static bool wants_all(const struct pf_list *only)
{
	for (size_t i = 0; i < only->count; i++) {
		if (strcmp(only->items[i], ".") == 0)
			return true;
	}
	return only->count == 0;
}

/* --- what is said -------------------------------------------------------------------- */

static void add_lines(struct pf_buf *out, const char *lead, const struct pf_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		pf_buf_addf(out, "%s ", lead);
		pf_cli_name(out, l->items[i]);
		pf_buf_addc(out, '\n');
	}
}

/* blocked: there are conflicts that --force does not lift */
static int refused(const struct request *q, const struct pf_apply_report *rep, bool blocked)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	bool conflicts = rep->conflicts.count && !q->how.force;
	int code;

	if (!q->how.force || blocked)
		add_lines(&out, "conflict ", &rep->conflicts);
	if (!q->how.allow_protected)
		add_lines(&out, "protected", &rep->protected_paths);
	add_lines(&out, "note:", &rep->notes);
	code = pf_cli_out(&out);
	pf_cli_say("%s; %s%s%s",
		   q->how.dry_run ? "this would be refused"
		   : rep->half	  ? "nothing more was written, and the set stays half applied"
				  : "nothing was written",
		   blocked     ? "--force cannot lift this: move it away"
		   : conflicts ? "--force writes over conflicts"
			       : "",
		   (blocked || conflicts) && rep->protected_paths.count ? ", " : "",
		   rep->protected_paths.count ? "--allow-protected takes protected paths too" : "");
	return code ? code : EXIT_REFUSED;
}

static int applied(const struct request *q, const struct pf_changeset *set, const struct pf_apply_report *rep)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	int code;

	add_lines(&out, q->how.dry_run ? "would apply" : "applied", &rep->applied);
	add_lines(&out, "note:", &rep->notes);
	code = pf_cli_out(&out);
	if (rep->resumed)
		pf_cli_say("this %s on with an apply that was cut off", q->how.dry_run ? "would go" : "went");
	if (rep->applied.count == 0 && !rep->resumed)
		pf_cli_say("nothing to apply: %s", set->count ? "no path matches, or all is as it should be"
							      : "the change set is empty");
	else if (!q->how.dry_run)
		pf_cli_say("%zu applied; the change set stays until \"pinfold drop %s\"", rep->applied.count,
			   set->id);
	return code;
}

static int apply_paths(struct request *q, int fd, const struct pf_dirs *dirs, const struct pf_changeset *set)
{
	struct pf_apply_report rep = {0};
	struct pf_error err = {0};
	int code, r = q->how.dry_run ? 0 : pf_live_none_within(dirs, set->workspace, &err);

	if (r == 0)
		r = pf_change_apply(fd, set, &q->how, &rep, &err);

	if ((r == -EEXIST || r == -EPERM) && (rep.conflicts.count || rep.protected_paths.count)) {
		code = refused(q, &rep, r == -EEXIST && q->how.force);
	} else if (r < 0) {
		code = pf_cli_fail(&err);
		if (rep.half)
			pf_cli_say("the change set is half applied (%zu entries now); mend the cause, then "
				   "\"pinfold "
				   "apply %s\" goes on",
				   rep.applied.count, set->id);
	} else {
		code = applied(q, set, &rep);
	}
	pf_apply_report_free(&rep);
	return code;
}

static int perform(struct request *q)
{
	PF_AUTO_CLOSE int fd = -1;
	struct pf_list only = {0};
	struct pf_changeset set;
	struct pf_error err = {0};
	struct pf_dirs dirs;
	int code;

	fd = pf_cli_changes(&dirs, &err);
	if (fd < 0 || pf_cli_load(fd, &dirs, q->words[0], &set, &err) < 0)
		return pf_cli_fail(&err);
	if (clean_paths(q->words + 1, set.workspace, &only, &err) < 0) {
		code = pf_cli_fail(&err);
	} else {
		q->how.only = wants_all(&only) ? NULL : &only;
		code = apply_paths(q, fd, &dirs, &set);
	}
	pf_list_free(&only);
	pf_change_free(&set);
	return code;
}

static int apply_main(char **argv)
{
	struct request q = {0};
	struct pf_error err = {0};

	if (read_args(&q, argv, &err) < 0)
		return pf_cli_misuse(&pf_verb_apply, &err);
	return q.help ? pf_cli_help(&pf_verb_apply) : perform(&q);
}

const struct pf_verb pf_verb_apply = {
	.name = "apply",
	.summary = "put a sandbox's changes into the workspace",
	.usage = "apply ID [PATH...] [--force] [--allow-protected] [--dry-run]\n",
	.text = "ID is a change set of \"pinfold ls\", the beginning of one, or \"last\". PATHs are files, "
		"or directories\n"
		"with all beneath them, relative to the workspace. Files, directories, links, FIFOs, modes, "
		"attributes (user.*)\n"
		"and deletions are applied. What changed in the directory since the sandbox started is a "
		"conflict; with any\n"
		"conflict or protected path nothing is written and the exit code is 1. An apply that is cut "
		"off "
		"leaves the set\n"
		"half applied, as \"pinfold ls\" says: apply it again to go on.",
	.opts = opts,
	.main = apply_main,
	.words = PF_WORDS_SETS,
};
