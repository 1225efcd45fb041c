/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key `guard`: what is judged before a command starts. Kept as text: it is read again by who judges, so
 * that a run which judges nothing carries no rules.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "guard/command.h"
#include "guard/prompt_client.h"
#include "guard/redact.h"
#include "guard/secret.h"
#include "policy/parse_internal.h"

/* A document that says something of guard.command says all of it: rules are not mixed. */
static int key_command(struct pf__parse *ps, const struct pf_json *v)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	struct pf_command_policy policy;
	struct pf_jsonw w;
	bool off;
	int r;

	pf_command_policy_defaults(&policy);
	r = pf_command_policy_read(&policy, v, ps->err);
	off = policy.mode == PF_GUARD_OFF;
	pf_command_policy_free(&policy);
	if (r < 0)
		return pf_wrap(ps->err, "%s", ps->name); /* it names the line */
	pf_jsonw_init(&w, &text, 0);
	pf_jsonw_node(&w, v);
	pf_buf_addc(&text, '\0');
	if (text.failed || pf__policy_set_string(&ps->p->guard_command, off ? NULL : text.data) < 0)
		return pf__policy_nomem(ps->err);
	return 0;
}

static const struct pf__word prompt_levels[] = {{"suspect", PF_PROMPT_SUSPECT}, {"attack", PF_PROMPT_ATTACK}};
static const struct pf__words prompt_level_words = {prompt_levels, PF_ARRAY_SIZE(prompt_levels)};

static int read_word(struct pf__parse *ps, const struct pf_json *v, const struct pf__words *words,
		     uint8_t *out)
{
	uint64_t value;
	int r = pf__parse_word(ps, v, words, &value);

	if (r == 0)
		*out = (uint8_t)value;
	return r;
}

static int key_prompt_user(struct pf__parse *ps, const struct pf_json *v)
{
	return read_word(ps, v, &pf__guard_words, &ps->p->guard_prompt.user);
}

static int key_prompt_tool(struct pf__parse *ps, const struct pf_json *v)
{
	return read_word(ps, v, &pf__guard_words, &ps->p->guard_prompt.tool);
}

static int key_prompt_output(struct pf__parse *ps, const struct pf_json *v)
{
	return read_word(ps, v, &pf__audit_words, &ps->p->guard_prompt.output);
}

static int key_prompt_at(struct pf__parse *ps, const struct pf_json *v)
{
	return read_word(ps, v, &prompt_level_words, &ps->p->guard_prompt.at);
}

static int key_prompt_stricter(struct pf__parse *ps, const struct pf_json *v)
{
	int r = v->type == PF_JSON_NULL
			? 0
			: pf__parse_type(ps, v, PF_JSON_STRING, "null or the path of a policy document");

	if (r < 0)
		return r;
	if (v->type == PF_JSON_STRING && v->str.s[0] != '/')
		return pf__parse_fail(ps, v, "the path of a policy document, which begins with /");
	return pf__policy_set_string(&ps->p->guard_prompt.stricter,
				     v->type == PF_JSON_NULL ? NULL : v->str.s) < 0
		       ? pf__policy_nomem(ps->err)
		       : 0;
}

static const struct pf__key prompt_keys[] = {
	{"user", key_prompt_user, NULL},	 {"tool", key_prompt_tool, NULL},
	{"output", key_prompt_output, NULL},	 {"at", key_prompt_at, NULL},
	{"stricter", key_prompt_stricter, NULL},
};

/* A word is both sources' mode. */
static int key_prompt(struct pf__parse *ps, const struct pf_json *v)
{
	int r;

	if (v->type != PF_JSON_STRING)
		return pf__parse_object(ps, v, prompt_keys, PF_ARRAY_SIZE(prompt_keys));
	r = key_prompt_user(ps, v);
	return r < 0 ? r : key_prompt_tool(ps, v);
}

void pf__print_guard_prompt(struct pf_jsonw *w, const struct pf_policy_prompt *p)
{
	pf_jsonw_key(w, "prompt");
	pf_jsonw_begin(w, '{');
	pf_jsonw_kstr(w, "user", pf__word_name(&pf__guard_words, p->user));
	pf_jsonw_kstr(w, "tool", pf__word_name(&pf__guard_words, p->tool));
	pf_jsonw_kstr(w, "output", pf__word_name(&pf__guard_words, p->output));
	pf_jsonw_kstr(w, "at", pf__word_name(&prompt_level_words, p->at));
	pf_jsonw_kstr(w, "stricter", p->stricter);
	pf_jsonw_end(w, '}');
}

static int key_output(struct pf__parse *ps, const struct pf_json *v)
{
	return read_word(ps, v, &pf__guard_words, &ps->p->guard_output);
}

/* {"NAME": "@FILE" or "env:VARIABLE"}: what is found out when a sandbox is made, never in the document. */
int pf__key_secret_values(struct pf__parse *ps, const struct pf_json *v)
{
	int r = pf__parse_type(ps, v, PF_JSON_OBJECT, "an object of references");
	struct pf_list values = {0};

	for (const struct pf_json *one = r == 0 ? v->list.first : NULL; one; one = one->next) {
		r = pf__parse_type(ps, one, PF_JSON_STRING, "\"@FILE\" or \"env:VARIABLE\"");
		if (r < 0)
			break;
		if (pf_list_addf(&values, "%s=%s", one->key, one->str.s) < 0)
			r = pf__policy_nomem(ps->err);
		else if (pf_secret_check(values.items[values.count - 1], ps->err) < 0)
			r = pf__parse_wrap(ps, one);
		if (r < 0)
			break;
	}
	if (r < 0) {
		pf_list_free(&values);
		return r;
	}
	pf_list_free(&ps->p->secret_values);
	ps->p->secret_values = values;
	return 0;
}

static const struct pf__key guard_keys[] = {
	{"command", key_command, NULL},
	{"output", key_output, NULL},
	{"prompt", key_prompt, NULL},
};

int pf__key_guard(struct pf__parse *ps, const struct pf_json *v)
{
	return pf__parse_object(ps, v, guard_keys, PF_ARRAY_SIZE(guard_keys));
}

int pf_policy_command(const struct pf_policy *p, struct pf_command_policy *out, struct pf_error *err)
{
	struct pf_json_doc *doc;
	int r;

	pf_command_policy_defaults(out);
	if (!p->guard_command) {
		out->mode = PF_GUARD_OFF;
		return 0;
	}
	r = pf_json_parse(p->guard_command, strlen(p->guard_command), 0, &doc, err);
	if (r < 0)
		return r;
	r = pf_command_policy_read(out, pf_json_root(doc), err);
	pf_json_free(doc);
	return r;
}
