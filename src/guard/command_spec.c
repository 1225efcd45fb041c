/* SPDX-License-Identifier: Apache-2.0 */
/* A vector against the spec of its rule: every option must be listed, every operand must have a role. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "guard/command_judge.h"

/* --- reading a spec --- */

struct item {
	const char *at; /* the option's name, in the spec */
	size_t len;
	const char *mark; /* what follows the name; up to the blank */
};

static size_t item_len(const char *s)
{
	return strcspn(s, " ");
}

static bool name_byte(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.' || c == '+';
}

static struct item item_at(const char *s)
{
	struct item it = {.at = s};

	while (*s == '-')
		s++;
	while (name_byte(*s))
		s++;
	it.len = (size_t)(s - it.at);
	it.mark = s;
	return it;
}

static const char *next_item(const char *s)
{
	s += item_len(s);
	return s + strspn(s, " ");
}

/* A long option by its whole name; the listed one that it shortens is only for the reason. */
static bool find_long(const char *spec, const char *name, size_t len, struct item *out, bool *shortened)
{
	bool found = false;

	*shortened = false;
	for (const char *s = spec; *s; s = next_item(s)) {
		struct item it = item_at(s);

		if (*s != '-' || it.len < len || memcmp(it.at, name, len) != 0)
			continue;
		if (it.len == len) {
			*out = it;
			*shortened = false;
			return true;
		}
		if (*it.mark == '!') {
			*out = it;
			*shortened = found = true;
		}
	}
	return found;
}

static bool is_bundle(const struct item *it)
{
	return it->at[0] == '-' && it->at[1] != '-' && (it->len > 2 || *it->mark == ' ' || !*it->mark);
}

static bool find_letter(const char *spec, char c, struct item *out)
{
	for (const char *s = spec; *s; s = next_item(s)) {
		struct item it = item_at(s);

		if (it.at[0] != '-' || it.at[1] == '-' || it.len < 2)
			continue;
		if (is_bundle(&it) ? memchr(it.at + 1, c, it.len - 1) != NULL : it.at[1] == c) {
			*out = it;
			return true;
		}
	}
	return false;
}

static bool has_mark(const char *spec, const char *item)
{
	for (const char *s = spec; *s; s = next_item(s)) {
		if (item_len(s) == strlen(item) && strncmp(s, item, strlen(item)) == 0)
			return true;
	}
	return false;
}

static const char *roles_of(const char *spec)
{
	for (const char *s = spec; *s; s = next_item(s)) {
		if (*s == '@')
			return s + 1;
	}
	return "";
}

/* --- values --- */

static bool one_of(const char *set, const char *value)
{
	size_t len = strlen(value);

	for (const char *s = set; *s && *s != '}';) {
		size_t n = strcspn(s, "|}");

		if (n == len && strncmp(s, value, n) == 0)
			return true;
		s += n;
		s += *s == '|';
	}
	return false;
}

static bool is_number(const char *s)
{
	s += *s == '-' || *s == '+';
	return *s && s[strspn(s, "0123456789.,")] == '\0';
}

static bool judge_value(struct pf__judge *j, const struct item *it, const char *value)
{
	int len = (int)it->len;

	switch (*it->mark) {
	case '<':
		return pf__path_text(j, value, 'r');
	case '>':
		return pf__path_text(j, value, 'w');
	case '/':
		return pf__path_text(j, value, 'D');
	case '#':
		return is_number(value) || pf__ask(j, "the value of %.*s is no number", len, it->at);
	case '{':
		return one_of(it->mark + 1, value) ||
		       pf__ask(j, "no rule knows %.*s with %.60s", len, it->at, value);
	}
	return true;
}

static bool refused(struct pf__judge *j, const struct item *it, const char *given)
{
	static const struct {
		char mark;
		const char *text;
	} why[] = {
		{'x', "runs a command"},
		{'w', "writes a file"},
		{'n', "reaches the network"},
		{'d', "destroys what is there"},
		{'r', "reads what it is not given"},
	};

	for (size_t i = 0; i < sizeof(why) / sizeof(why[0]); i++) {
		if (why[i].mark == it->mark[1])
			return pf__ask(j, "option %.60s (%.*s) %s", given, (int)it->len, it->at, why[i].text);
	}
	return pf__ask(j, "option %.60s is refused", given);
}

static bool takes_value(const struct item *it)
{
	return *it->mark && strchr(":<>/#~{", *it->mark) != NULL && *it->mark != ' ';
}

/* --- options --- */

struct walk {
	struct pf__judge *j;
	const char *spec;
	const struct pf__vec *v;
	size_t at;
	const char *roles;
	bool first_gone, single;
};

/* The value of an option stands in the next word. */
static bool value_behind(struct walk *w, const struct item *it, const char *given)
{
	const struct pf_command_word *word;

	if (w->at + 1 >= w->v->n)
		return pf__ask(w->j, "option %.60s lacks its value", given);
	word = &w->v->words[++w->at];
	return pf__plain(w->j, word) && judge_value(w->j, it, word->text);
}

static void take_first_role(struct walk *w, const struct item *it)
{
	if ((*it->mark != '~' && *it->mark != '^') || w->first_gone)
		return;
	w->first_gone = true;
	if (*w->roles && w->roles[1] != '*')
		w->roles++;
}

static bool long_option(struct walk *w, const char *text)
{
	const char *eq = strchr(text, '=');
	size_t len = eq ? (size_t)(eq - text) : strlen(text);
	struct item it;
	bool shortened;

	if (!find_long(w->spec, text, len, &it, &shortened))
		return pf__ask(w->j, "no rule knows the option %.60s", text);
	if (*it.mark == '!' || shortened)
		return refused(w->j, &it, text);
	take_first_role(w, &it);
	if (*it.mark == '?' || (*it.mark == '{' && strchr(it.mark, '}')[1] == '?'))
		return !eq || judge_value(w->j, &it, eq + 1);
	if (!takes_value(&it))
		return !eq || pf__ask(w->j, "option %.60s takes no value", text);
	return eq ? judge_value(w->j, &it, eq + 1) : value_behind(w, &it, text);
}

static bool short_options(struct walk *w, const char *text)
{
	struct item it;

	if (is_number(text + 1) && has_mark(w->spec, "-#"))
		return true;
	for (const char *s = text + 1; *s; s++) {
		if (!find_letter(w->spec, *s, &it))
			return pf__ask(w->j, "no rule knows the option -%c in %.60s", *s, text);
		if (is_bundle(&it))
			continue;
		if (*it.mark == '!')
			return refused(w->j, &it, text);
		take_first_role(w, &it);
		if (*it.mark == '?')
			return true;
		if (takes_value(&it))
			return s[1] ? judge_value(w->j, &it, s + 1) : value_behind(w, &it, text);
	}
	return true;
}

/* --- operands --- */

bool pf__printed(struct pf__judge *j, const char *s)
{
	/* Hidden text and cursor movements speak to who reads the output. */
	for (; *s; s++) {
		if ((unsigned char)*s < ' ' && !strchr("\n\t", *s))
			return pf__ask(j, "its text has control characters");
		if (*s == '\\' && s[1] == '\\')
			s++;
		else if (*s == '\\' && s[1] && strchr("0123456789xXuUeEc", s[1]))
			return pf__ask(j, "its text hides characters behind escapes");
	}
	return true;
}

static bool judge_target(struct pf__judge *j, const char *s)
{
	const char *eq = strchr(s, '=');

	if (eq)
		return pf__env_allowed(j, s, false);
	for (const char *c = s; *c; c++) {
		if (!isalnum((unsigned char)*c) && !strchr("_-./:+,", *c))
			return pf__ask(j, "%.60s is no plain name", s);
	}
	return !strstr(s, "..") && *s != '/' ? true : pf__ask(j, "%.60s is no plain name", s);
}

/* Words that only look: git stash list, ps aux. */
static bool is_look(const char *s)
{
	static const char *const words[] = {"list",    "show",	 "status", "push", "pop", "apply",
					    "get-url", "origin", "aux",	   "ax",   "axu"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i], s) == 0)
			return true;
	}
	return false;
}

static bool is_public_variable(const char *s)
{
	static const char *const words[] = {"PATH", "HOME", "USER", "LANG",   "SHELL",
					    "PWD",  "TERM", "TZ",   "LC_ALL", "CI"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i], s) == 0)
			return true;
	}
	return false;
}

/* Words of a closed or narrow kind. */
static bool is_name(char role, const char *s)
{
	if (role == 'T')
		return is_look(s);
	if (role == 'E')
		return is_public_variable(s);
	if (role == 'L') /* lsof -i :8080 */
		return *s == ':' && s[1 + strspn(s + 1, "0123456789")] == '\0';
	if (role == 'M') { /* a mode without set-id and sticky bits: those outlive an apply */
		size_t digits = strspn(s, "01234567");

		return s[digits] ? s[strspn(s, "ugoa+-=rwxX,")] == '\0' : digits && digits <= 3;
	}
	if (role == 'X') /* one package here */
		return strncmp(s, "./", 2) == 0 && !strstr(s, "..") && !strpbrk(s, "@~$;|&");
	if (role == 'G') /* packages of this module */
		return !strpbrk(s, "@~$;|&") && !strstr(s, "../") && *s != '/';
	for (; isalnum((unsigned char)*s) || (*s && strchr("_.-", *s)); s++)
		;
	return *s == '\0';
}

static bool judge_operand(struct pf__judge *j, const struct pf_command_word *w, char role)
{
	if (strchr("rwmdDxgc", role) && (strcmp(w->text, "-") != 0 || role != 'r'))
		return pf__path(j, w, role);
	/* Text: names that a glob means are no harm, but one that begins with a dash would be an option. */
	if (w->expand & PF_WORD_GLOB)
		return pf__path(j, w, 'r');
	if (!((role == 't' || role == 'p') && w->expand & (PF_WORD_FOUND | PF_WORD_INPUT)) &&
	    !pf__plain(j, w))
		return false;
	if (role == 'n')
		return is_number(w->text) || pf__ask(j, "%.60s is no number", w->text);
	if (strchr("TELGMXe", role))
		return is_name(role, w->text) || pf__ask(j, "no rule knows the operand %.60s", w->text);
	if (role == 'p')
		return pf__printed(j, w->text);
	if (role == 'k')
		return judge_target(j, w->text);
	return true;
}

static bool operand(struct walk *w, const struct pf_command_word *word)
{
	char role = *w->roles;

	if (!role)
		return pf__ask(w->j, "no rule knows the operand %.60s", word->text);
	if (w->roles[1] != '*')
		w->roles++;
	return judge_operand(w->j, word, role);
}

bool pf__judge_operands(struct pf__judge *j, const char *roles, const struct pf__vec *v)
{
	struct walk w = {.j = j, .spec = "", .roles = roles};

	for (size_t i = 0; i < v->n; i++) {
		if (!operand(&w, &v->words[i]))
			return false;
	}
	return true;
}

static bool option(struct walk *w, const char *text)
{
	struct item it;
	bool shortened;

	if (text[1] == '-')
		return long_option(w, text);
	if (!w->single)
		return short_options(w, text);
	/* -Idir and -lm stand beside -shared: the whole name goes first */
	if (find_long(w->spec, text, strcspn(text, "="), &it, &shortened))
		return long_option(w, text);
	for (const char *s = w->spec; *s && text[2]; s = next_item(s)) {
		it = item_at(s);
		if (it.at[0] == '-' && it.len == 2 && it.at[1] == text[1] && takes_value(&it))
			return judge_value(w->j, &it, text + 2);
	}
	return pf__ask(w->j, "no rule knows the option %.60s", text);
}

/* Options up to the first word that is none: of a tool in front of a command. *at is left there. */
bool pf__judge_options(struct pf__judge *j, const struct pf__tool *tool, const struct pf__vec *v, size_t *at)
{
	struct walk w = {.j = j, .spec = tool->spec ? tool->spec : "", .v = v, .at = *at};

	w.roles = roles_of(w.spec);
	w.single = tool->traits & PF__SINGLE;
	for (; w.at < v->n; w.at++) {
		const struct pf_command_word *word = &v->words[w.at];

		if (strcmp(word->text, "--") == 0 && !word->expand) {
			w.at++;
			break;
		}
		if (word->text[0] != '-' || !word->text[1])
			break;
		if (!pf__plain(j, word) || !option(&w, word->text))
			return false;
	}
	for (; *w.roles && w.at < v->n; w.roles++, w.at++) {
		if (!judge_operand(j, &v->words[w.at], *w.roles))
			return false;
	}
	*at = w.at;
	return true;
}

/* --include=*.py: whatever names the pattern means begin with that option, whose value is only text. */
static bool is_safe_pattern(const char *spec, const struct pf_command_word *w)
{
	size_t len = strcspn(w->text, "=*?[");
	struct item it;
	bool shortened;

	return w->expand == PF_WORD_GLOB && w->text[1] == '-' && w->text[len] == '=' &&
	       find_long(spec, w->text, len, &it, &shortened) && !shortened && *it.mark == ':';
}

bool pf__judge_spec(struct pf__judge *j, const struct pf__tool *tool, const struct pf__vec *v)
{
	struct walk w = {.j = j, .spec = tool->spec ? tool->spec : "", .v = v, .at = 1};
	bool ended = false;

	w.roles = roles_of(w.spec);
	w.single = tool->traits & PF__SINGLE;
	for (; w.at < v->n; w.at++) {
		const struct pf_command_word *word = &v->words[w.at];
		bool dash = word->text[0] == '-' && word->text[1];

		if (!ended && dash && !word->expand && strcmp(word->text, "--") == 0) {
			ended = true;
			continue;
		}
		if (!ended && dash && is_safe_pattern(w.spec, word))
			continue;
		if (!ended && dash) {
			if (!pf__plain(j, word) || !option(&w, word->text))
				return false;
			continue;
		}
		if (!ended && word->expand & PF_WORD_INPUT && !(tool->traits & PF__OPTION_SAFE))
			return pf__ask(j, "what xargs reads could be an option of %.60s", v->words[0].text);
		if (!operand(&w, word))
			return false;
	}
	return true;
}

/* --- the tables hold together --- */

/* A letter that stands twice would be read in one of two ways. */
int pf__spec_check(const struct pf__tool *t, struct pf_error *err)
{
	char seen[256] = {0};

	if (!t->spec || t->traits & PF__SINGLE)
		return 0;
	for (const char *s = t->spec; *s; s = next_item(s)) {
		struct item it = item_at(s);

		if (it.at[0] != '-' || it.at[1] == '-' || it.len < 2)
			continue;
		for (size_t i = 1; i < (is_bundle(&it) ? it.len : 2); i++) {
			if (seen[(unsigned char)it.at[i]]++ && *it.mark != '!')
				return pf_fail(err, -EINVAL, "rule %s: -%c stands twice", t->name, it.at[i]);
		}
	}
	return 0;
}
