/* SPDX-License-Identifier: Apache-2.0 */
/* Tools that run what stands in their arguments: the inner command is judged by the same rules. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "guard/command_judge.h"

static struct pf__vec behind(const struct pf__vec *v, size_t at)
{
	return (struct pf__vec){v->words + at, v->n - at};
}

/* timeout 5 CMD, nice -n 3 CMD: own options, own operands, and a command. */
PF__CHECK(pf__check_wrap)
{
	size_t at = 1;
	struct pf__vec inner;

	if (!pf__judge_options(j, tool, v, &at))
		return false;
	inner = behind(v, at);
	if (inner.n && strcmp(inner.words[0].text, "time") == 0)
		return pf__ask(j, "time as a program, which has options of its own");
	return inner.n ? pf__judge_vector(j, &inner) : pf__ask(j, "%s without a command", j->label);
}

/* command -v NAME only looks. */
PF__CHECK(pf__check_command)
{
	struct pf__vec names = behind(v, v->n < 2 ? v->n : 2);

	if (v->n > 2 && (strcmp(v->words[1].text, "-v") == 0 || strcmp(v->words[1].text, "-V") == 0))
		return pf__judge_operands(j, "t*", &names);
	return pf__check_wrap(j, tool, v);
}

PF__CHECK(pf__check_env)
{
	size_t at = 1;
	struct pf__vec inner;

	if (!pf__judge_options(j, tool, v, &at))
		return false;
	for (; at < v->n && strchr(v->words[at].text, '='); at++) {
		bool code = at + 1 < v->n && pf_has_prefix(v->words[at + 1].text, "./");

		if (!pf__plain(j, &v->words[at]) || !pf__env_allowed(j, v->words[at].text, code))
			return false;
	}
	inner = behind(v, at);
	return inner.n ? pf__judge_vector(j, &inner) : pf__ask(j, "env prints the whole environment");
}

/* A copy of an inner command in which "{}" stands for what the outer one finds. tail: one more such word. */
static bool judge_filled(struct pf__judge *j, const struct pf__vec *v, bool replace, unsigned expand,
			 bool tail)
{
	PF_AUTO_FREE struct pf_command_word *words = calloc(v->n + 1, sizeof(*words));
	struct pf__vec inner = {words, v->n + tail};

	if (!words) {
		j->nomem = true;
		return false;
	}
	for (size_t i = 0; i < v->n; i++) {
		words[i] = v->words[i];
		if (!replace || !strstr(words[i].text, "{}"))
			continue;
		if (strcmp(words[i].text, "{}") != 0)
			return pf__ask(j, "%.60s: {} inside a longer word", words[i].text);
		words[i].expand |= expand;
	}
	if (tail)
		words[v->n] = (struct pf_command_word){.text = "{}", .expand = expand};
	return pf__judge_vector(j, &inner);
}

PF__CHECK(pf__check_xargs)
{
	static const struct pf_command_word echo = {.text = "echo"};
	unsigned expand = j->feeds_paths ? PF_WORD_INPUT | PF_WORD_FOUND : PF_WORD_INPUT;
	struct pf__vec inner;
	bool replace = false;
	size_t at = 1;

	if (!pf__judge_options(j, tool, v, &at))
		return false;
	for (size_t i = 1; i < at; i++) {
		const char *t = v->words[i].text;

		if (!pf_has_prefix(t, "-I"))
			continue;
		if (strcmp(t[2] ? t + 2 : v->words[i + 1].text, "{}") != 0)
			return pf__ask(j, "xargs -I with another sign than {}");
		replace = true;
	}
	inner = behind(v, at);
	if (inner.n == 0)
		inner = (struct pf__vec){&echo, 1};
	return judge_filled(j, &inner, replace, expand, !replace);
}

/* --- find --- */

static bool in_words(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *s = list; *s; s += strspn(s, " ")) {
		size_t n = strcspn(s, " ");

		if (n == len && memcmp(s, word, n) == 0)
			return true;
		s += n;
	}
	return false;
}

/* -exec ... ; or +. *at is left on its end. */
static bool find_exec(struct pf__judge *j, const struct pf__vec *v, size_t *at)
{
	size_t from = *at + 1, end = from;
	struct pf__vec inner;

	while (end < v->n && strcmp(v->words[end].text, ";") != 0 &&
	       !(strcmp(v->words[end].text, "+") == 0 && strcmp(v->words[end - 1].text, "{}") == 0))
		end++;
	if (end >= v->n)
		return pf__ask(j, "find: -exec without its end");
	*at = end;
	inner = (struct pf__vec){v->words + from, end - from};
	return judge_filled(j, &inner, true, PF_WORD_FOUND, false);
}

static bool find_value(struct pf__judge *j, const char *test, const struct pf_command_word *value)
{
	if (!pf__plain(j, value))
		return false;
	if (in_words("-newer -anewer -cnewer -samefile", test))
		return pf__path(j, value, 'r');
	if (strcmp(test, "-printf") == 0)
		return pf__printed(j, value->text);
	if (in_words("-name -iname -path -ipath -wholename -iwholename -regex -iregex", test))
		return pf__names_secret(j, value->text);
	return true;
}

PF__CHECK(pf__check_find)
{
	static const char bare[] =
		"-print -print0 -prune -empty -not ! ( ) -o -a -or -and -depth -mount -xdev -ls -true "
		"-false -daystart -readable -writable -executable -nouser -nogroup -quit -noleaf ,";
	static const char valued[] =
		"-name -iname -path -ipath -wholename -iwholename -type -xtype -maxdepth -mindepth "
		"-mtime -mmin -ctime -cmin -atime -amin -size -perm -user -group -regex -iregex "
		"-regextype -printf -links -newer -newermt -anewer -cnewer -inum -samefile -used -uid -gid";
	bool named = false, excluded = false;
	size_t i = 1;

	(void)tool;
	while (i < v->n && (strcmp(v->words[i].text, "-H") == 0 || strcmp(v->words[i].text, "-P") == 0))
		i++;
	for (; i < v->n && !strchr("-(!", v->words[i].text[0]); i++) {
		if (!pf__path(j, &v->words[i], 'r'))
			return false;
	}
	for (; i < v->n; i++) {
		const char *t = v->words[i].text;

		if (!pf__plain(j, &v->words[i]))
			return false;
		excluded = excluded || in_words("-not ! -o -or", t);
		if (in_words("-exec -ok", t)) {
			if (!find_exec(j, v, &i))
				return false;
		} else if (strcmp(t, "-delete") == 0) {
			if (!named || excluded)
				return pf__ask(j, "find: -delete without a name that says what");
		} else if (in_words(valued, t) && i + 1 < v->n) {
			named = named || in_words("-name -iname", t);
			if (!find_value(j, t, &v->words[++i]))
				return false;
		} else if (!in_words(bare, t)) {
			return pf__ask(j, "no rule knows %.60s of find", t);
		}
	}
	return true;
}

/* --- shells and interpreters --- */

static bool run_script(struct pf__judge *j, const struct pf__vec *v, size_t at)
{
	struct pf__vec script = behind(v, at);

	if (script.n == 0 || script.words[0].text[0] == '-')
		return pf__ask(j,
			       "%s would run what comes from its input, or has an option that no rule knows",
			       j->label);
	if (!pf__plain(j, &script.words[0]))
		return false;
	return pf__judge_program(j, &script);
}

PF__CHECK(pf__check_shell)
{
	size_t at = 1;

	(void)tool;
	if (v->n >= 3 && in_words("-c -ec -xc -lc -uc -euc", v->words[1].text)) {
		if (!pf__plain(j, &v->words[2]))
			return false;
		if (v->n > 3)
			return pf__ask(j, "%s -c with arguments", j->label);
		return pf__judge_line(j, v->words[2].text, strlen(v->words[2].text));
	}
	while (at < v->n && in_words("-e -u -x -n -v -eu -ex -eux", v->words[at].text))
		at++;
	return run_script(j, v, at);
}

/* node x.js, ruby x.rb: options of the spec, a script of the workspace, and its arguments. */
PF__CHECK(pf__check_script)
{
	size_t at = 1;

	if (v->n == 2 && in_words("--version -v -V", v->words[1].text))
		return true;
	return pf__judge_options(j, tool, v, &at) && run_script(j, v, at);
}

PF__CHECK(pf__check_python)
{
	static const char tools[] =
		"pytest mypy black ruff flake8 isort pylint pip pyflakes pycodestyle coverage";
	struct pf__vec module;
	const struct pf__tool *own;
	size_t at = 1;

	(void)tool;
	while (at < v->n && in_words("-B -u -s -E -q -O -I", v->words[at].text))
		at++;
	if (at + 1 == v->n && in_words("--version -V", v->words[at].text))
		return true;
	if (at < v->n && strcmp(v->words[at].text, "-m") == 0) {
		module = behind(v, at + 1);
		if (module.n == 0 || !pf__plain(j, &module.words[0]))
			return pf__ask(j, "-m without a module");
		if (in_words(tools, module.words[0].text))
			return pf__judge_vector(j, &module);
		own = pf__tool_find("python -m", module.words[0].text);
		return own ? pf__judge_tool(j, own, &module)
			   : pf__ask(j, "no rule knows the module %.60s", module.words[0].text);
	}
	if (at < v->n && v->words[at].text[0] == '-' && v->words[at].text[1])
		return pf__ask(j, "%s %.20s runs code that no rule can judge", j->label, v->words[at].text);
	return run_script(j, v, at);
}

/* npm test, cargo build: the second word chooses the rule. */
PF__CHECK(pf__check_sub)
{
	const struct pf__tool *own;
	struct pf__vec rest;
	char name[32];

	if (v->n < 2)
		return pf__ask(j, "%s without a command", j->label);
	if (v->words[1].text[0] == '-')
		return pf__judge_spec(j, tool, v);
	if (!pf__plain(j, &v->words[1]))
		return false;
	/* pip3 is pip: the first of the rule's names */
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(tool->name, "|"), tool->name);
	own = pf__tool_find(name, v->words[1].text);
	if (!own)
		return pf__ask(j, "no rule knows %s %.60s", name, v->words[1].text);
	snprintf(j->label, sizeof(j->label), "%s %.30s", name, v->words[1].text);
	rest = behind(v, 1);
	return pf__judge_tool(j, own, &rest);
}

/* Behind -- are arguments of make or ninja, which would judge them otherwise. */
PF__CHECK(pf__check_cmake)
{
	for (size_t i = 1; i < v->n; i++) {
		if (strcmp(v->words[i].text, "--") == 0)
			return pf__ask(j, "what is behind -- goes to another tool");
		if (strpbrk(v->words[i].text, "$`;&|"))
			return pf__ask(j, "%.60s could be a command", v->words[i].text);
	}
	return pf__judge_spec(j, tool, v);
}

/* Back to what is committed: of files that are named, and not of everything. */
PF__CHECK(pf__check_restore)
{
	static const char *const all[] = {".", "./", ":/", ":", "*", "./*"};
	bool staged = false;

	for (size_t i = 1; i < v->n; i++)
		staged = staged || strcmp(v->words[i].text, "--staged") == 0;
	for (size_t i = 1; i < v->n; i++)
		staged = staged && strcmp(v->words[i].text, "--worktree") != 0;
	for (size_t i = 1; i < v->n; i++) {
		for (size_t k = 0; k < PF_ARRAY_SIZE(all) && !staged; k++)
			if (strcmp(v->words[i].text, all[k]) == 0)
				return pf__ask(j, "it would throw away every change that is not committed");
	}
	return pf__judge_spec(j, tool, v);
}

static bool git_setting(struct pf__judge *j, const struct pf_command_word *w)
{
	static const char *const harmless[] = {
		"color.",    "core.quotepath=", "core.quotePath=", "advice.",
		"log.date=", "user.name=",	"user.email=",	   "column.ui="};

	for (size_t i = 0; i < PF_ARRAY_SIZE(harmless); i++) {
		if (!w->expand && pf_has_prefix(w->text, harmless[i]))
			return true;
	}
	return pf__ask(j, "git -c %.60s can name a program", w->text);
}

static bool only_options(const struct pf__vec *v, size_t from)
{
	for (size_t i = from; i < v->n; i++) {
		if (v->words[i].text[0] != '-' || v->words[i].expand)
			return false;
	}
	return true;
}

PF__CHECK(pf__check_git)
{
	struct pf__vec rest;
	size_t at = 1;

	while (at < v->n && v->words[at].text[0] == '-') {
		const char *o = v->words[at].text;

		if (strcmp(o, "-c") == 0 && at + 1 < v->n) {
			if (!git_setting(j, &v->words[at + 1]))
				return false;
			at += 2;
		} else if (strcmp(o, "-C") == 0 && at + 2 < v->n && only_options(v, at + 3)) {
			/* Operands would be resolved from there. */
			if (!pf__path(j, &v->words[at + 1], 'D'))
				return false;
			at += 2;
		} else if (in_words("--no-pager -P", o)) {
			at++;
		} else if (strcmp(o, "--version") == 0 && v->n == 2) {
			return true;
		} else {
			return pf__ask(j, "no rule knows git's option %.60s", o);
		}
	}
	if (at >= v->n)
		return pf__ask(j, "git without a command");
	/* pf__check_sub() looks at the second word. */
	rest = behind(v, at - 1);
	return pf__check_sub(j, tool, &rest);
}
