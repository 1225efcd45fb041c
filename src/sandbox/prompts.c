/* SPDX-License-Identifier: Apache-2.0 */
/* What the prompt classifier said of texts around a command, as a part of the result. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "sandbox/result.h"

void pf_prompts_free(struct pf_prompts *p)
{
	for (size_t i = 0; i < p->count; i++) {
		free(p->items[i].name);
		free(p->items[i].error);
		free(p->items[i].verdict.answer);
	}
	free(p->items);
	*p = (struct pf_prompts){0};
}

int pf_prompts_add(struct pf_prompts *p, const char *name, bool tool, enum pf_guard_mode mode,
		   struct pf_prompt_verdict *verdict, const char *error)
{
	struct pf_prompt_said said = {.tool = tool, .mode = mode};
	struct pf_prompt_said *more;
	char shown[256];

	pf_printable(name, strlen(name), shown, sizeof(shown));
	more = realloc(p->items, (p->count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	p->items = more;
	said.name = strdup(shown);
	said.error = error ? strdup(error) : NULL;
	if (!said.name || (error && !said.error)) {
		free(said.name);
		free(said.error);
		return -ENOMEM;
	}
	if (verdict)
		said.verdict = *verdict;
	p->items[p->count++] = said;
	return 0;
}

static void write_member(struct pf_jsonw *w, const struct pf_json *answer, const char *key)
{
	const struct pf_json *v = answer ? pf_json_get(answer, key) : NULL;

	pf_jsonw_key(w, key);
	if (v)
		pf_jsonw_node(w, v);
	else
		pf_jsonw_null(w);
}

static void write_one(struct pf_jsonw *w, const struct pf_prompt_said *s)
{
	static const char *const members[] = {"level", "score", "reasons", "windows"};
	const char *answer = s->verdict.answer;
	struct pf_json_doc *doc = NULL;

	/* It was read once; what fails now is memory, and shows as null. */
	if (answer && pf_json_parse(answer, strlen(answer), 0, &doc, NULL) < 0)
		doc = NULL;
	pf_jsonw_begin(w, '{');
	pf_jsonw_kstr(w, "text", s->name);
	pf_jsonw_kstr(w, "source", s->tool ? "tool" : "user");
	pf_jsonw_kstr(w, "mode",
		      s->mode == PF_GUARD_ENFORCE ? "enforce"
		      : s->mode == PF_GUARD_AUDIT ? "audit"
						  : "off");
	for (size_t i = 0; i < PF_ARRAY_SIZE(members); i++)
		write_member(w, doc ? pf_json_root(doc) : NULL, members[i]);
	pf_jsonw_kstr(w, "error", s->error);
	pf_jsonw_end(w, '}');
	pf_json_free(doc);
}

void pf_prompts_json(const struct pf_prompts *p, struct pf_jsonw *w)
{
	pf_jsonw_key(w, "prompt");
	if (!p->count) {
		pf_jsonw_null(w);
		return;
	}
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; i < p->count; i++)
		write_one(w, &p->items[i]);
	pf_jsonw_end(w, ']');
}
