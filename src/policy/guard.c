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

static const struct pf__key guard_keys[] = {
	{"command", key_command, NULL},
	{"output", NULL, "nothing that is shown is redacted"},
	{"prompt", NULL, "prompts are not judged; the boundary is what holds"},
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
