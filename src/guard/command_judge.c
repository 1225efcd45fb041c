/* SPDX-License-Identifier: Apache-2.0 */
/* From a plan to a verdict: each vector by its rule, redirections, assignments, and what one command does to
 * the next. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "guard/command_judge.h"

static void set_rule(struct pf__judge *j, const char *rule)
{
	snprintf(j->out->rule, sizeof(j->out->rule), "%.60s", rule);
}

/* The worst verdict stays, and of equal ones the first. */
bool pf__refuse(struct pf__judge *j, enum pf_verdict v, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (v == PF_VERDICT_ASK)
		v = j->policy->unknown;
	if (v <= j->out->verdict)
		return false;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	j->out->verdict = v;
	pf_printable(text, strlen(text), j->out->reason, sizeof(j->out->reason));
	set_rule(j, *j->label ? j->label : "line");
	return false;
}

bool pf__ask(struct pf__judge *j, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return pf__refuse(j, PF_VERDICT_ASK, "%s", text);
}

bool pf__plain(struct pf__judge *j, const struct pf_command_word *w)
{
	if (!w->expand)
		return true;
	if (w->expand & PF_WORD_INPUT)
		return pf__ask(j, "it would get arguments that another command prints");
	return pf__ask(j, "%.60s is to be expanded by the sandbox", w->text);
}

/* --- one vector --- */

static const struct pf__tool workspace_program = {
	.name = "workspace-program",
	.traits = PF__CODE,
};

/* ./program: code of the workspace, which the boundary holds and not this. */
bool pf__judge_program(struct pf__judge *j, const struct pf__vec *v)
{
	j->tool = &workspace_program;
	if (!pf__path(j, &v->words[0], 'x'))
		return false;
	for (size_t i = 1; i < v->n; i++) {
		const char *s = v->words[i].text;
		const char *eq = strchr(s, '=');

		if (v->words[i].expand & ~(unsigned)PF_WORD_GLOB)
			return pf__plain(j, &v->words[i]);
		/* Not that it is known what the program does with it; but no way out is handed to it. */
		if (v->words[i].expand & PF_WORD_GLOB && !pf__path(j, &v->words[i], 'r'))
			return false;
		if (strstr(s, "..") || strpbrk(s, ";|&`$<>\n"))
			return pf__ask(j, "argument %.40s could be a command or a way out", s);
		if (*s == '/' && !pf__path_text(j, s, 'r'))
			return false;
		if (eq && eq[1] == '/' && strncmp(s, "--prefix=", 9) != 0 && !pf__path_text(j, eq + 1, 'r'))
			return false;
	}
	return j->policy->repository_code ||
	       pf__ask(j, "it runs code of the workspace, and the policy has repository_code: false");
}

static const char *base_of_system(const char *name)
{
	static const char *const dirs[] = {"/usr/bin/", "/bin/"};

	for (size_t i = 0; i < PF_ARRAY_SIZE(dirs); i++) {
		if (pf_has_prefix(name, dirs[i]) && !strchr(name + strlen(dirs[i]), '/'))
			return name + strlen(dirs[i]);
	}
	return name;
}

bool pf__judge_tool(struct pf__judge *j, const struct pf__tool *tool, const struct pf__vec *v)
{
	j->tool = tool;
	if (tool->traits & PF__DENY)
		return pf__refuse(j, PF_VERDICT_DENY, "%s %s", j->label, tool->why);
	if (tool->traits & PF__ASK)
		return pf__ask(j, "%s %s", j->label, tool->why);
	if (tool->traits & PF__CODE && !j->policy->repository_code)
		return pf__ask(j, "it runs code of the workspace, and the policy has repository_code: false");
	if (tool->check)
		return tool->check(j, tool, v);
	return pf__judge_spec(j, tool, v);
}

bool pf__judge_vector(struct pf__judge *j, const struct pf__vec *v)
{
	const struct pf__tool *before = j->tool, *tool;
	const char *name;
	bool ok;

	if (v->n == 0)
		return pf__ask(j, "a command is missing");
	if (j->depth >= PF_COMMAND_DEPTH_MAX || ++j->vectors > PF_COMMAND_VECTORS_MAX ||
	    (j->words += v->n) > 4 * PF_COMMAND_WORDS_MAX)
		return pf__ask(j, "commands within commands, more than are looked at");
	if (!pf__plain(j, &v->words[0]))
		return false;
	/* behind `time`, which is a word of the shell, it still assigns */
	if (strchr(v->words[0].text, '='))
		return pf__ask(j, "%.60s may be an assignment", v->words[0].text);
	if (pf__user_rules(j, v))
		return j->out->verdict == PF_VERDICT_ALLOW;
	j->depth++;
	name = base_of_system(v->words[0].text);
	tool = strchr(name, '/') ? NULL : pf__tool_find(name, NULL);
	j->tool = NULL;
	snprintf(j->label, sizeof(j->label), "%.60s",
		 strchr(name, '/') ? "workspace-program"
		 : tool		   ? name
				   : "unknown");
	if (strchr(name, '/'))
		ok = pf__judge_program(j, v);
	else if (!tool)
		ok = pf__ask(j, "no rule knows the command %.60s", name);
	else
		ok = pf__judge_tool(j, tool, v);
	j->depth--;
	if (before)
		j->tool = before;
	return ok;
}

/* --- around the vector --- */

static bool judge_redirs(struct pf__judge *j, const struct pf_command_vector *v)
{
	for (size_t i = 0; i < v->redir_count; i++) {
		const struct pf_command_redir *r = &v->redirs[i];

		if (r->kind == PF_REDIR_DUP || r->kind == PF_REDIR_TEXT)
			continue;
		/* dash does not expand these, bash does */
		if (!pf__plain(j, &r->target))
			return false;
		if (!pf__path_text(j, r->target.text, r->kind == PF_REDIR_READ ? 'r' : 'w'))
			return false;
	}
	return true;
}

static bool judge_assigns(struct pf__judge *j, const struct pf_command_vector *v)
{
	bool code = pf_has_prefix(v->words[0].text, "./");

	for (size_t i = 0; i < v->assign_count; i++) {
		if (!pf__plain(j, &v->assigns[i]) || !pf__env_allowed(j, v->assigns[i].text, code))
			return false;
	}
	return true;
}

static const struct pf__tool *last_tool(const struct pf_command_vector *v)
{
	const struct pf__tool *t = pf__tool_find(v->words[0].text, NULL);

	if (t && v->word_count > 1) {
		const struct pf__tool *second = pf__tool_find(v->words[0].text, v->words[1].text);

		return second ? second : t;
	}
	return t;
}

/* cd changes what the words after it mean. Only after && is it known to have happened, and in a pipe it has
 * not. */
static bool check_cd(struct pf__judge *j, const struct pf_command_vector *v, bool piped)
{
	if (strcmp(v->words[0].text, "cd") != 0)
		return true;
	if (piped || v->then == PF_THEN_PIPE)
		return pf__ask(j, "cd in a pipe");
	if (v->then == PF_THEN_OR || v->then == PF_THEN_SEQ)
		return pf__ask(j, "what follows cd must be joined to it by &&");
	return true;
}

static void note_effects(struct pf__judge *j, const struct pf_command_vector *v, bool piped)
{
	const struct pf__tool *t = last_tool(v);
	unsigned traits = t ? t->traits : PF__CODE;
	bool was = j->feeds_paths;
	char name[4096];

	j->feeds_paths = (traits & PF__PRINTS) || (piped && was && traits & PF__FILTERS);
	if (traits & (PF__WRITES | PF__UNPACKS | PF__CODE))
		j->wrote = true;
	if (traits & PF__UNPACKS)
		j->unpacked = true;
	for (size_t i = 0; i < v->redir_count; i++) {
		const struct pf_command_redir *r = &v->redirs[i];

		if (r->kind != PF_REDIR_WRITE && r->kind != PF_REDIR_APPEND)
			continue;
		j->feeds_paths = r->fd == 1 ? false : j->feeds_paths;
		j->wrote = true;
		if (pf__path_relative(j, r->target.text, name, sizeof(name)) &&
		    pf_list_add(&j->written, name) < 0)
			j->nomem = true;
	}
}

/* "$f" of a loop over judged words is one path beneath the workspace. */
static bool judge_looped(struct pf__judge *j, const struct pf__vec *v)
{
	PF_AUTO_FREE struct pf_command_word *words = calloc(v->n + 1, sizeof(*words));
	struct pf__vec copy = {words, v->n};

	if (!words) {
		j->nomem = true;
		return false;
	}
	for (size_t i = 0; i < v->n; i++) {
		const char *t = v->words[i].text;
		size_t len = j->loop ? strlen(j->loop) : 0;

		words[i] = v->words[i];
		if (!j->loop || words[i].expand != PF_WORD_VAR)
			continue;
		if ((*t == '$' && strcmp(t + 1, j->loop) == 0) ||
		    (pf_has_prefix(t, "${") && strncmp(t + 2, j->loop, len) == 0 &&
		     strcmp(t + 2 + len, "}") == 0))
			words[i].expand = j->loop_expand;
	}
	return pf__judge_vector(j, &copy);
}

static bool judge_plan(struct pf__judge *j, const struct pf_command_plan *plan)
{
	bool ok = true, piped = false;

	for (size_t i = 0; i < plan->vector_count; i++) {
		const struct pf_command_vector *v = &plan->vectors[i];
		struct pf__vec vec = {v->words, v->word_count};

		if (!piped)
			j->feeds_paths = false;
		j->tool = NULL;
		*j->label = '\0';
		ok = check_cd(j, v, piped) && ok;
		ok = judge_assigns(j, v) && ok;
		ok = judge_redirs(j, v) && ok;
		j->may_cd = strcmp(vec.words[0].text, "cd") == 0 && !plan->compound;
		if (plan->compound && strcmp(vec.words[0].text, "for") == 0)
			ok = pf__judge_for(j, &vec) && ok;
		else
			ok = judge_looped(j, &vec) && ok;
		note_effects(j, v, piped);
		piped = v->then == PF_THEN_PIPE;
		/* "cd a && b || c" and "cd a && b; c": c runs here or there */
		if ((v->then == PF_THEN_OR || v->then == PF_THEN_SEQ) && strcmp(j->cwd, ".") != 0) {
			for (size_t k = i + 1; k < plan->vector_count; k++) {
				j->tool = NULL;
				if (strcmp(plan->vectors[k].words[0].text, "echo") != 0)
					ok = pf__ask(
						j, "it is open in which directory what follows cd would run");
			}
		}
	}
	j->tool = NULL;
	j->loop = NULL;
	return ok;
}

bool pf__judge_line(struct pf__judge *j, const char *line, size_t n)
{
	struct pf_command_plan plan = {0};
	struct pf_error err = {0};
	char cwd[sizeof(j->cwd)];
	int r;
	bool ok, feeds = j->feeds_paths;

	if (j->depth >= PF_COMMAND_DEPTH_MAX)
		return pf__ask(j, "commands within commands, more than are looked at");
	r = pf_command_parse(line, n, &plan, &err);
	if (r == -ENOMEM)
		j->nomem = true;
	if (r < 0)
		return pf__ask(j, "not understood: %s", err.msg);
	memcpy(cwd, j->cwd, sizeof(cwd));
	j->depth++;
	ok = judge_plan(j, &plan);
	j->depth--;
	memcpy(j->cwd, cwd, sizeof(cwd)); /* a shell's cd is its own */
	j->feeds_paths = feeds;
	pf_command_plan_free(&plan);
	return ok;
}

static void settle(struct pf__judge *j)
{
	struct pf_command_verdict *out = j->out;

	out->would_allow = out->verdict == PF_VERDICT_ALLOW;
	if (out->would_allow) {
		if (!*out->rule)
			set_rule(j, "commands");
		snprintf(out->reason, sizeof(out->reason), "every command is known and stays inside%s%s%s",
			 *out->written ? "; " : "", out->written,
			 *out->written ? ", which it runs, was written by the sandbox" : "");
	} else {
		*out->written = '\0';
	}
	if (j->policy->mode != PF_GUARD_ENFORCE)
		out->verdict = PF_VERDICT_ALLOW;
}

int pf_command_judge(const struct pf_command_policy *policy, const struct pf_command_places *places,
		     const char *line, size_t n, struct pf_command_verdict *out, struct pf_command_plan *plan,
		     struct pf_error *err)
{
	PF_AUTO_FREE struct pf__judge *j = calloc(1, sizeof(*j));
	struct pf_command_verdict verdict = {0};
	struct pf_command_plan own = {0};
	struct pf_error why = {0};
	int r;

	if (!j)
		return pf_fail(err, -ENOMEM, "out of memory");
	*j = (struct pf__judge){.policy = policy, .places = places, .out = &verdict, .cwd = "."};
	r = pf_command_parse(line, n, &own, &why);
	if (r == 0) {
		judge_plan(j, &own);
	} else {
		pf__ask(j, "not understood: %s", why.msg);
		set_rule(j, "not-understood");
	}
	pf_list_free(&j->written);
	if (r == -ENOMEM || j->nomem) {
		pf_command_plan_free(&own);
		return pf_fail(err, -ENOMEM, "out of memory");
	}
	settle(j);
	if (plan)
		*plan = own;
	else
		pf_command_plan_free(&own);
	*out = verdict;
	return 0;
}
