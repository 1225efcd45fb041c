/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard/command: any line is judged or refused; what is allowed was understood, and a line with a
 * substitution, a control character or an unbalanced quote is not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                             \
	do {                                                                                                 \
		if (!(x)) {                                                                                  \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                              \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

static enum pf_path_where everywhere(void *user, const char *cwd, const char *path)
{
	(void)user;
	CHECK(*cwd && *path);
	return PF_PATH_INSIDE;
}

static int nothing(void *user, const char *cwd, const char *pattern, int (*each)(void *arg, const char *name),
		   void *arg)
{
	(void)user;
	(void)cwd;
	CHECK(*pattern);
	return each(arg, "name.txt") < 0 ? -1 : 0;
}

static void check_plan(const struct pf_command_plan *plan, size_t size)
{
	size_t bytes = 0;

	CHECK(plan->vector_count > 0);
	for (size_t i = 0; i < plan->vector_count; i++) {
		const struct pf_command_vector *v = &plan->vectors[i];

		CHECK(v->word_count > 0);
		CHECK((v->then == PF_THEN_END) == (i + 1 == plan->vector_count));
		for (size_t k = 0; k < v->word_count; k++) {
			bytes += strlen(v->words[k].text);
			CHECK(!v->words[k].pattern == !(v->words[k].expand & PF_WORD_GLOB));
		}
		for (size_t k = 0; k < v->redir_count; k++)
			CHECK(v->redirs[k].fd >= 0 && v->redirs[k].fd <= 2 && v->redirs[k].target.text);
	}
	CHECK(bytes <= size);
}

/* What init is given begins with its kind, and each command has a word that is no expansion. */
static void check_tokens(const struct pf_command_plan *plan)
{
	struct pf_list tokens = {0};
	size_t words = 0, commands = 1;

	if (pf_command_tokens(plan, &tokens) < 0)
		return;
	for (size_t i = 0; i < tokens.count; i++) {
		const char *t = tokens.items[i];

		CHECK(*t && strchr("wa<>+dt|&/;", *t));
		if (strchr("|&/;", *t)) {
			CHECK(words && !t[1]);
			words = 0;
			commands++;
		} else if (!strchr("wa", *t)) {
			CHECK(t[1] >= '0' && t[1] <= '2' && strlen(t) <= PF_COMMAND_LINE_MAX);
		}
		words += *t == 'w';
	}
	CHECK(words && commands == plan->vector_count && !plan->compound);
	pf_list_free(&tokens);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pf_command_places places = {.resolve = everywhere, .expand = nothing};
	struct pf_command_policy policy;
	struct pf_command_verdict v;
	struct pf_command_plan plan = {0};
	struct pf_error err = {0};
	char *line = malloc(size + 1);

	CHECK(line);
	memcpy(line, data, size);
	pf_command_policy_defaults(&policy);
	CHECK(pf_command_judge(&policy, &places, line, size, &v, &plan, &err) == 0);
	CHECK(v.would_allow == (v.verdict == PF_VERDICT_ALLOW) && *v.rule && *v.reason);
	if (plan.arena)
		check_plan(&plan, size), check_tokens(&plan);
	if (v.would_allow) {
		CHECK(plan.arena && !memchr(line, '\0', size) && !memchr(line, '\r', size));
	}
	pf_command_plan_free(&plan);
	free(line);
	return 0;
}
