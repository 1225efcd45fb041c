/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of rules: looking a tool up, and trying each rule with its own examples. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "guard/command_judge.h"

const struct pf__tool *pf__tool_find(const char *name, const char *second)
{
	static const struct pf__table *const tables[] = {&pf__tools_text,  &pf__tools_files,
							 &pf__tools_build, &pf__tools_git,
							 &pf__tools_wrap,  &pf__tools_refused};
	char whole[160];
	size_t len;

	if (snprintf(whole, sizeof(whole), "%s%s%s", name, second ? " " : "", second ? second : "") >=
		    (int)sizeof(whole) ||
	    strchr(second ? second : name, '|') || strchr(second ? second : name, ' '))
		return NULL;
	len = strlen(whole);
	for (size_t i = 0; i < PF_ARRAY_SIZE(tables); i++) {
		for (size_t k = 0; k < tables[i]->count; k++) {
			for (const char *s = tables[i]->at[k].name; *s; s += strspn(s, "|")) {
				size_t n = strcspn(s, "|");

				if (n == len && memcmp(s, whole, n) == 0)
					return &tables[i]->at[k];
				s += n;
			}
		}
	}
	return NULL;
}

static int check_lines(const struct pf__tool *t, const char *lines, bool allowed, struct pf_error *err)
{
	static const struct pf_command_policy policy = {
		.mode = PF_GUARD_ENFORCE, .unknown = PF_VERDICT_ASK, .repository_code = true};
	struct pf_command_places places = {.resolve = pf__lexical_resolve, .expand = pf__lexical_expand};
	struct pf_command_verdict v;

	for (const char *s = lines; s && *s;) {
		size_t n = strcspn(s, "\n");
		int r = pf_command_judge(&policy, &places, s, n, &v, NULL, err);

		if (r < 0)
			return r;
		if ((v.verdict == PF_VERDICT_ALLOW) != allowed)
			return pf_fail(err, -EINVAL, "rule %.40s: \"%.*s\" is %s by %s: %.200s", t->name,
				       (int)n, s, pf_verdict_name(v.verdict), v.rule, v.reason);
		s += n;
		s += *s == '\n';
	}
	return 0;
}

static int table_check(const struct pf__table *table, struct pf_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < table->count; i++) {
		const struct pf__tool *t = &table->at[i];

		if (!t->no || (!(t->traits & (PF__ASK | PF__DENY)) && !t->yes))
			return pf_fail(err, -EINVAL, "rule %s has no examples", t->name);
		r = pf__spec_check(t, err);
		if (r == 0)
			r = check_lines(t, t->yes, true, err);
		if (r == 0)
			r = check_lines(t, t->no, false, err);
	}
	return r;
}

int pf_command_rules_check(struct pf_error *err)
{
	static const struct pf__table *const tables[] = {&pf__tools_text,  &pf__tools_files,
							 &pf__tools_build, &pf__tools_git,
							 &pf__tools_wrap,  &pf__tools_refused};
	int r = 0;

	for (size_t i = 0; r == 0 && i < PF_ARRAY_SIZE(tables); i++)
		r = table_check(tables[i], err);
	return r;
}
