/* SPDX-License-Identifier: Apache-2.0 */
/* guard.command of a policy document: the mode, what unknown means, and the user's own rules with their
 * examples. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "guard/command_judge.h"

#define RULES_MAX 256u
#define WORDS_MAX 32u

const char *pf_verdict_name(enum pf_verdict v)
{
	static const char *const names[] = {"allow", "ask", "deny"};

	return names[v];
}

/* --- matching --- */

static bool word_is(const struct pf_list *alternatives, const struct pf_command_word *w)
{
	if (w->expand)
		return false;
	for (size_t i = 0; i < alternatives->count; i++) {
		if (strcmp(alternatives->items[i], w->text) == 0)
			return true;
	}
	return false;
}

static bool rule_matches(const struct pf_command_rule *r, const struct pf__vec *v)
{
	if (v->n < r->word_count || (v->n > r->word_count && !r->open))
		return false;
	for (size_t i = 0; i < r->word_count; i++) {
		if (!word_is(&r->words[i], &v->words[i]))
			return false;
	}
	/* What an allowed beginning is followed by must at least be what it seems. */
	for (size_t i = r->word_count; r->verdict == PF_VERDICT_ALLOW && i < v->n; i++) {
		if (v->words[i].expand)
			return false;
	}
	return true;
}

/* The user's strictest rule that matches. true: judged. */
bool pf__user_rules(struct pf__judge *j, const struct pf__vec *v)
{
	const struct pf_command_rule *best = NULL;
	size_t at = 0;

	for (size_t i = 0; i < j->policy->rule_count; i++) {
		const struct pf_command_rule *r = &j->policy->rules[i];

		if (rule_matches(r, v) && (!best || r->verdict > best->verdict)) {
			best = r;
			at = i;
		}
	}
	if (!best)
		return false;
	if (best->verdict > j->out->verdict) {
		j->out->verdict = best->verdict;
		snprintf(j->out->rule, sizeof(j->out->rule), "user:%zu", at + 1);
		pf_printable(best->reason ? best->reason : "a rule of the policy",
			     strlen(best->reason ? best->reason : "a rule of the policy"), j->out->reason,
			     sizeof(j->out->reason));
	} else if (best->verdict == PF_VERDICT_ALLOW && !*j->out->rule) {
		snprintf(j->out->rule, sizeof(j->out->rule), "user:%zu", at + 1);
	}
	return true;
}

/* --- reading --- */

static int bad(const struct pf_json *at, struct pf_error *err, const char *what)
{
	bool inner = at->key && strcmp(at->key, "command") != 0;

	return pf_fail(err, -EINVAL, "line %u: guard.command%s%s: %s", at->line, inner ? "." : "",
		       inner ? at->key : "", what);
}

static int read_word(const struct pf_json *node, const char *const *words, size_t n, unsigned *out,
		     struct pf_error *err)
{
	for (size_t i = 0; node->type == PF_JSON_STRING && i < n; i++) {
		if (strcmp(node->str.s, words[i]) == 0) {
			*out = (unsigned)i;
			return 0;
		}
	}
	return bad(node, err,
		   n == 2		? "\"ask\" or \"deny\""
		   : words[0][0] == 'o' ? "\"off\", \"audit\" or \"enforce\""
					: "\"allow\", \"ask\" or \"deny\"");
}

static int add_alternative(struct pf_list *to, const struct pf_json *s, struct pf_error *err)
{
	if (s->type != PF_JSON_STRING || !*s->str.s)
		return bad(s, err, "a word is a string that is not empty");
	if (pf_list_add(to, s->str.s) < 0)
		return pf_fail(err, -ENOMEM, "out of memory");
	return 0;
}

static int read_words(struct pf_command_rule *r, const struct pf_json *node, struct pf_error *err)
{
	int e = 0;

	if (node->type != PF_JSON_ARRAY || node->list.count == 0 || node->list.count > WORDS_MAX)
		return bad(node, err, "a list of 1 to 32 words");
	r->words = calloc(node->list.count, sizeof(*r->words));
	if (!r->words)
		return pf_fail(err, -ENOMEM, "out of memory");
	for (const struct pf_json *w = node->list.first; e == 0 && w; w = w->next) {
		if (w->type == PF_JSON_STRING && strcmp(w->str.s, "...") == 0) {
			if (w->next || r->word_count == 0)
				return bad(w, err, "\"...\" stands only at the end");
			r->open = true;
			break;
		}
		struct pf_list *to = &r->words[r->word_count++];

		if (w->type != PF_JSON_ARRAY) {
			e = add_alternative(to, w, err);
			continue;
		}
		if (w->list.count == 0)
			return bad(w, err, "a list of alternatives is empty");
		for (const struct pf_json *a = w->list.first; e == 0 && a; a = a->next)
			e = add_alternative(to, a, err);
	}
	return e;
}

/* Does any command of the line match? Lines that are not understood match nothing. */
static bool line_matches(const struct pf_command_rule *r, const char *line)
{
	struct pf_command_plan plan = {0};
	bool hit = false;

	if (pf_command_parse(line, strlen(line), &plan, NULL) < 0)
		return false;
	for (size_t i = 0; i < plan.vector_count; i++) {
		struct pf__vec v = {plan.vectors[i].words, plan.vectors[i].word_count};

		hit = hit || rule_matches(r, &v);
	}
	pf_command_plan_free(&plan);
	return hit;
}

static int try_examples(const struct pf_command_rule *r, const struct pf_json *list, bool expected,
			struct pf_error *err)
{
	if (list->type != PF_JSON_ARRAY)
		return bad(list, err, "a list of command lines");
	for (const struct pf_json *l = list->list.first; l; l = l->next) {
		if (l->type != PF_JSON_STRING)
			return bad(l, err, "a list of command lines");
		if (line_matches(r, l->str.s) != expected)
			return pf_fail(err, -EINVAL, "line %u: the rule %s \"%.100s\", which is in its %s",
				       l->line, expected ? "does not match" : "matches", l->str.s,
				       expected ? "match" : "not_match");
	}
	return 0;
}

static int read_rule(struct pf_command_rule *r, const struct pf_json *node, struct pf_error *err)
{
	static const char *const verdicts[] = {"allow", "ask", "deny"};
	const struct pf_json *match = pf_json_get(node, "match"), *not_match = pf_json_get(node, "not_match");
	unsigned verdict = 0;
	int e = 0;

	if (node->type != PF_JSON_OBJECT)
		return bad(node, err, "a rule is an object");
	for (const struct pf_json *m = node->list.first; e == 0 && m; m = m->next) {
		if (strcmp(m->key, "verdict") == 0) {
			e = read_word(m, verdicts, 3, &verdict, err);
		} else if (strcmp(m->key, "words") == 0) {
			e = read_words(r, m, err);
		} else if (strcmp(m->key, "reason") == 0) {
			if (m->type != PF_JSON_STRING)
				return bad(m, err, "a string");
			r->reason = strdup(m->str.s);
			if (!r->reason)
				return pf_fail(err, -ENOMEM, "out of memory");
		} else if (m != match && m != not_match) {
			return bad(m, err, "a rule has verdict, words, reason, match and not_match");
		}
	}
	r->verdict = (enum pf_verdict)verdict;
	if (e == 0 && (!pf_json_get(node, "verdict") || !r->words))
		return bad(node, err, "a rule needs verdict and words");
	if (e == 0 && (!match || match->type != PF_JSON_ARRAY || match->list.count == 0))
		return bad(node, err, "a rule needs a line in match that proves what it does");
	if (e == 0)
		e = try_examples(r, match, true, err);
	if (e == 0 && not_match)
		e = try_examples(r, not_match, false, err);
	return e;
}

static int read_rules(struct pf_command_policy *p, const struct pf_json *node, struct pf_error *err)
{
	int e = 0;

	if (node->type != PF_JSON_ARRAY || node->list.count > RULES_MAX)
		return bad(node, err, "a list of at most 256 rules");
	if (node->list.count == 0)
		return 0;
	p->rules = calloc(node->list.count, sizeof(*p->rules));
	if (!p->rules)
		return pf_fail(err, -ENOMEM, "out of memory");
	for (const struct pf_json *r = node->list.first; e == 0 && r; r = r->next)
		e = read_rule(&p->rules[p->rule_count++], r, err);
	return e;
}

static int read_node(struct pf_command_policy *p, const struct pf_json *node, struct pf_error *err)
{
	static const char *const modes[] = {"off", "audit", "enforce"}, *const unknowns[] = {"ask", "deny"};
	unsigned mode = p->mode, unknown = p->unknown == PF_VERDICT_DENY;
	int e = 0;

	if (node->type == PF_JSON_STRING) {
		e = read_word(node, modes, 3, &mode, err);
	} else if (node->type != PF_JSON_OBJECT) {
		return bad(node, err, "\"off\", \"audit\", \"enforce\" or an object");
	} else {
		for (const struct pf_json *m = node->list.first; e == 0 && m; m = m->next) {
			if (strcmp(m->key, "mode") == 0)
				e = read_word(m, modes, 3, &mode, err);
			else if (strcmp(m->key, "unknown") == 0)
				e = read_word(m, unknowns, 2, &unknown, err);
			else if (strcmp(m->key, "rules") == 0)
				e = read_rules(p, m, err);
			else if (strcmp(m->key, "repository_code") != 0)
				e = bad(m, err, "the keys are mode, unknown, repository_code and rules");
			else if (m->type != PF_JSON_BOOL)
				e = bad(m, err, "true or false");
			else
				p->repository_code = m->b;
		}
	}
	p->mode = (enum pf_guard_mode)mode;
	p->unknown = unknown ? PF_VERDICT_DENY : PF_VERDICT_ASK;
	return e;
}

void pf_command_policy_defaults(struct pf_command_policy *p)
{
	*p = (struct pf_command_policy){
		.mode = PF_GUARD_ENFORCE, .unknown = PF_VERDICT_ASK, .repository_code = true};
}

int pf_command_policy_read(struct pf_command_policy *p, const struct pf_json *node, struct pf_error *err)
{
	struct pf_command_policy next = *p;
	int e;

	next.rules = NULL;
	next.rule_count = 0;
	e = read_node(&next, node, err);
	if (e < 0) {
		pf_command_policy_free(&next);
		return e;
	}
	/* A later document that has rules replaces those before it. */
	if (next.rules) {
		pf_command_policy_free(p);
	} else {
		next.rules = p->rules;
		next.rule_count = p->rule_count;
	}
	*p = next;
	return 0;
}

void pf_command_policy_free(struct pf_command_policy *p)
{
	for (size_t i = 0; i < p->rule_count; i++) {
		struct pf_command_rule *r = &p->rules[i];

		for (size_t k = 0; k < r->word_count; k++)
			pf_list_free(&r->words[k]);
		free(r->words);
		free(r->reason);
	}
	free(p->rules);
	p->rules = NULL;
	p->rule_count = 0;
}
