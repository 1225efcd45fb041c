/* SPDX-License-Identifier: Apache-2.0 */
/* Tools with a language of their own in an argument (sed, awk), or with operands that no spec can say. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "guard/command_judge.h"

/* --- sed: addresses, and the commands that neither write nor execute --- */

static const char *sed_skip_regex(const char *s, char end)
{
	for (; *s && *s != end; s++) {
		if (*s == '\n')
			return NULL;
		if (*s == '\\' && s[1])
			s++;
	}
	return *s ? s + 1 : NULL;
}

static const char *sed_address(const char *s)
{
	if (*s == '/') {
		s = sed_skip_regex(s + 1, '/');
		return s && *s == 'I' ? s + 1 : s;
	}
	if (*s == '$')
		return s + 1;
	return s + strspn(s, "0123456789~+");
}

/* s/a/b/ with flags; e and w are what CVE-2025-64755 and 66032 used. */
static const char *sed_substitute(const char *s)
{
	char end = *s;

	if (!end || isalnum((unsigned char)end) || strchr("\\\n ;", end))
		return NULL;
	s = sed_skip_regex(s + 1, end);
	s = s ? sed_skip_regex(s, end) : NULL;
	return s ? s + strspn(s, "gpI0123456789") : NULL;
}

static bool sed_script(const char *s)
{
	for (;;) {
		s += strspn(s, " ;\n");
		if (!*s)
			return true;
		s = sed_address(s);
		if (s && *s == ',')
			s = sed_address(s + 1);
		if (!s)
			return false;
		s += strspn(s, " ");
		s += *s == '!';
		if (*s == 's')
			s = sed_substitute(s + 1);
		else if (*s && strchr("pdqnGHhgxNDP=", *s))
			s++;
		else
			return false;
		if (!s)
			return false;
		s += strspn(s, " ");
		if (*s && !strchr(";\n", *s))
			return false;
	}
}

PF__CHECK(pf__check_sed)
{
	bool script = false, in_place = false;

	for (size_t i = 1; i < v->n; i++) {
		const char *t = v->words[i].text;
		bool is_script = false;

		if (t[0] == '-' && v->words[i].expand)
			return pf__plain(j, &v->words[i]);
		if (strcmp(t, "-n") == 0 || strcmp(t, "-E") == 0 || strcmp(t, "-r") == 0 ||
		    strcmp(t, "-u") == 0)
			continue;
		if (strcmp(t, "-ne") == 0 || strcmp(t, "-e") == 0) {
			if (++i >= v->n)
				return pf__ask(j, "sed: -e without a script");
			is_script = true;
		} else if (strcmp(t, "-i") == 0 || strcmp(t, "--in-place") == 0) {
			in_place = true;
			continue;
		} else if (t[0] == '-' && t[1]) {
			return pf__ask(j, "no rule knows sed's option %.60s", t);
		} else if (!script) {
			is_script = true;
		}
		if (!is_script) {
			if (!pf__path(j, &v->words[i], in_place ? 'm' : 'r'))
				return false;
			continue;
		}
		script = true;
		if (!pf__plain(j, &v->words[i]))
			return false;
		if (!sed_script(v->words[i].text))
			return pf__ask(j, "a sed script that may write or execute, or is not understood");
	}
	(void)tool;
	return script || pf__ask(j, "sed without a script");
}

/* --- awk: a program in which nothing starts, opens or includes anything --- */

static bool awk_program(const char *s)
{
	static const char *const words[] = {"system", "getline", "ARGV",    "ARGC",	 "ENVIRON",
					    "close",  "fflush",	 "print >", "extension", "PROCINFO",
					    "SYMTAB", "FUNCTAB", "printf >"};
	const char *prints = strstr(s, "print");

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strstr(s, words[i]))
			return false;
	}
	for (; *s; s++) {
		if (*s == '@')
			return false;
		if (*s == '|' && s[1] == '|')
			s++;
		else if (*s == '|')
			return false;
		else if (*s == '>' && prints && s > prints)
			return false; /* print > file, which no reader of ours tells from a comparison */
		else if (*s == '\\' && s[1] && strchr("0123xu\n", s[1]))
			return false;
	}
	return true;
}

PF__CHECK(pf__check_awk)
{
	bool program = false;

	(void)tool;
	for (size_t i = 1; i < v->n; i++) {
		const char *t = v->words[i].text;

		if (!program && t[0] == '-' && t[1] == 'F') {
			if (!pf__plain(j, &v->words[i]))
				return false;
			if (!t[2] && (++i >= v->n || !pf__plain(j, &v->words[i])))
				return pf__ask(j, "awk: -F without a value");
			continue;
		}
		if (!program && strcmp(t, "-v") == 0) {
			if (++i >= v->n || !pf__plain(j, &v->words[i]))
				return pf__ask(j, "awk: -v without a plain value");
			continue;
		}
		if (t[0] == '-' && t[1])
			return pf__ask(j, "no rule knows awk's option %.60s", t);
		if (program) {
			if (!pf__path(j, &v->words[i], 'r'))
				return false;
			continue;
		}
		program = true;
		if (!pf__plain(j, &v->words[i]))
			return false;
		if (!awk_program(t))
			return pf__ask(j, "an awk program that may start, open or write something");
	}
	return program || pf__ask(j, "awk without a program");
}

/* --- tar: the old bundle without a dash, and archives that are no other machine's --- */

PF__CHECK(pf__check_tar)
{
	char bundle[32];
	struct pf_command_word first, words[64];
	struct pf__vec all = {words, v->n};

	if (v->n < 2 || v->n > 64 || !pf__plain(j, &v->words[1]))
		return pf__ask(j, "tar with no or too many arguments");
	memcpy(words, v->words, v->n * sizeof(*words));
	first = v->words[1];
	if (first.text[0] != '-') {
		/* only the usual end on f: then the order of the values is the same in both forms */
		size_t len = strlen(first.text);

		if (len > sizeof(bundle) - 2 || strspn(first.text, "ctxvzjJf") != len ||
		    (strchr(first.text, 'f') && first.text[len - 1] != 'f'))
			return pf__ask(j, "no rule knows tar %.60s", first.text);
		snprintf(bundle, sizeof(bundle), "-%s", first.text);
		words[1].text = bundle;
	}
	for (size_t i = 1; i < v->n; i++) {
		/* What follows -C is resolved from there; for what is unpacked these are only names. */
		if (pf_has_prefix(words[i].text, "-C") &&
		    (words[1].text[1] == '-' || !strchr(words[1].text, 'x') || strchr(words[1].text, 'c')))
			return pf__ask(j, "tar -C without -x before it");
		if (strchr(words[i].text, ':'))
			return pf__ask(j, "tar: %.60s may be on another machine", words[i].text);
	}
	return pf__judge_spec(j, tool, &all);
}

/* --- small ones --- */

PF__CHECK(pf__check_cd)
{
	char next[4096];

	(void)tool;
	/* env cd, command cd: some change the directory and some do not */
	if (!j->may_cd)
		return pf__ask(j, "cd inside another command");
	if (v->n != 2 || v->words[1].text[0] == '-' || !pf__plain(j, &v->words[1]))
		return pf__ask(j, "cd without one plain directory");
	if (!pf__path(j, &v->words[1], 'D'))
		return false;
	if (!pf__path_relative(j, v->words[1].text, next, sizeof(next)))
		return pf__ask(j, "where cd %.60s leads cannot be said", v->words[1].text);
	memcpy(j->cwd, next, sizeof(next));
	return true;
}

/* test evaluates what stands in a subscript (test -v 'a[$(id)]'). */
PF__CHECK(pf__check_test)
{
	size_t n = v->n;

	(void)tool;
	if (strcmp(v->words[0].text, "[") == 0 && strcmp(v->words[--n].text, "]") != 0)
		return pf__ask(j, "[ without its ]");
	for (size_t i = 1; i < n; i++) {
		const char *t = v->words[i].text;

		if (!pf__plain(j, &v->words[i]))
			return false;
		if (strpbrk(t, "$`[]()") || strcmp(t, "-v") == 0 || strcmp(t, "-R") == 0)
			return pf__ask(j, "test: %.60s could be evaluated", t);
		if (*t != '-' && (strchr(t, '/') || strchr(t, '.')) && !pf__path_text(j, t, 'r'))
			return false;
	}
	return true;
}

PF__CHECK(pf__check_echo)
{
	struct pf__vec rest = {v->words + 1, v->n - 1};

	(void)tool;
	return pf__judge_operands(j, "p*", &rest);
}

PF__CHECK(pf__check_printf)
{
	if (v->n < 2 || v->words[1].text[0] == '-')
		return pf__ask(j, "printf with an option, or without a format");
	return pf__check_echo(j, tool, v);
}

PF__CHECK(pf__check_rm)
{
	for (size_t i = 1; i < v->n; i++) {
		const char *t = v->words[i].text;

		if (strcmp(t, "/") == 0 || strcmp(t, "/*") == 0 || strcmp(t, "~") == 0 ||
		    strcmp(t, "--no-preserve-root") == 0)
			return pf__refuse(j, PF_VERDICT_DENY, "rm of everything");
	}
	return pf__judge_spec(j, tool, v);
}

/* A program of jq's can print the whole environment, and load modules from directories of its own choice. */
PF__CHECK(pf__check_jq)
{
	static const char *const words[] = {"env", "$ENV", "import", "include"};

	for (size_t i = 1; i < v->n; i++) {
		const char *text = v->words[i].text;

		for (size_t k = 0; k < PF_ARRAY_SIZE(words); k++) {
			size_t n = strlen(words[k]);

			for (const char *p = strstr(text, words[k]); p; p = strstr(p + 1, words[k]))
				if (!isalnum((unsigned char)p[n]) && p[n] != '_' &&
				    (p == text || !(isalnum((unsigned char)p[-1]) || strchr("._", p[-1]))))
					return pf__ask(j, "%s in a program of jq's", words[k]);
		}
	}
	return pf__judge_spec(j, tool, v);
}

/* printenv without a name prints all of it. */
PF__CHECK(pf__check_operand)
{
	return v->n < 2 ? pf__ask(j, "%s without an operand", j->label) : pf__judge_spec(j, tool, v);
}

/* for NAME in WORDS: each word is a name beneath the workspace, of which none begins with a dash. */
bool pf__judge_for(struct pf__judge *j, const struct pf__vec *v)
{
	bool literal = true;

	snprintf(j->label, sizeof(j->label), "for");
	for (size_t i = 3; i < v->n; i++) {
		if (v->words[i].expand & ~(unsigned)PF_WORD_GLOB)
			return pf__plain(j, &v->words[i]);
		if (v->words[i].text[0] == '-' || !pf__path(j, &v->words[i], 'r'))
			return pf__ask(j, "for over %.60s", v->words[i].text);
		literal = literal && !strchr("*?[", v->words[i].text[0]);
	}
	/* A loop in a loop would hide the first one's variable. */
	if (j->loop && strcmp(j->loop, v->words[1].text) == 0)
		return pf__ask(j, "a variable that two loops share");
	j->loop = v->words[1].text;
	j->loop_expand = literal ? PF_WORD_FOUND : PF_WORD_FOUND | PF_WORD_INPUT;
	return true;
}

/* sqlite3 FILE "select ...": words, and functions that only count. writefile(), edit() and .shell do more. */
static bool select_only(const char *s)
{
	static const char *const functions[] = {"count",  "sum",   "min",   "max",   "avg",
						"length", "lower", "upper", "round", "abs"};
	const char *open;

	if (strncasecmp(s, "select ", 7) != 0)
		return false;
	for (const char *c = s; *c; c++) {
		if (!isalnum((unsigned char)*c) && !strchr(" _,*()=<>'%.", *c))
			return false;
	}
	for (open = strchr(s, '('); open; open = strchr(open + 1, '(')) {
		bool known = false;

		for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
			size_t n = strlen(functions[i]);

			known = known ||
				((size_t)(open - s) > n && strncasecmp(open - n, functions[i], n) == 0 &&
				 !isalnum((unsigned char)open[-(long)n - 1]) && open[-(long)n - 1] != '_');
		}
		if (!known)
			return false;
	}
	return true;
}

PF__CHECK(pf__check_sqlite)
{
	size_t at = 1;

	if (!pf__judge_options(j, tool, v, &at))
		return false;
	if (v->n - at != 2 || !pf__plain(j, &v->words[at]) || !pf__plain(j, &v->words[at + 1]))
		return pf__ask(j, "sqlite3 without a file and one statement");
	if (!pf__path(j, &v->words[at], 'r'))
		return false;
	return select_only(v->words[at + 1].text) || pf__ask(j, "an SQL statement that is no plain select");
}

/* A package's description from a registry that everybody uses: no data, no headers, nothing written. */
PF__CHECK(pf__check_curl)
{
	static const char *const hosts[] = {"https://registry.npmjs.org/", "https://pypi.org/pypi/",
					    "https://crates.io/api/", "https://proxy.golang.org/"};
	size_t at = 1;

	if (!pf__judge_options(j, tool, v, &at))
		return false;
	if (v->n - at != 1 || !pf__plain(j, &v->words[at]))
		return pf__ask(j, "curl with more than one plain address");
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		const char *s = v->words[at].text, *rest = s + strlen(hosts[i]);

		if (!pf_has_prefix(s, hosts[i]))
			continue;
		/* what could carry a secret out is longer than a name */
		if (strlen(rest) <= 64 &&
		    rest[strspn(rest, "abcdefghijklmnopqrstuvwxyz0123456789./@_-")] == '\0' &&
		    !strstr(rest, ".."))
			return true;
	}
	return pf__ask(j, "curl reaches another machine");
}

/* Without --bind it serves every network that there is. */
PF__CHECK(pf__check_server)
{
	for (size_t i = 1; i < v->n; i++) {
		if (strcmp(v->words[i].text, "--bind") == 0 || strcmp(v->words[i].text, "-b") == 0)
			return pf__judge_spec(j, tool, v);
	}
	return pf__ask(j, "it serves the directory to every network");
}
