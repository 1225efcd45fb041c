/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy owns: its strings and lists, copied and freed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/policy_internal.h"

int pf__policy_nomem(struct pf_error *err)
{
	return pf_fail(err, -ENOMEM, "no memory for the policy");
}

int pf__policy_set_string(char **at, const char *s)
{
	char *copy = s ? strdup(s) : NULL;

	if (s && !copy)
		return -ENOMEM;
	free(*at);
	*at = copy;
	return 0;
}

static int mounts_copy(const struct pf_policy *from, struct pf_policy *to)
{
	if (from->mount_count == 0)
		return 0;
	to->mounts = calloc(from->mount_count, sizeof(*to->mounts));
	if (!to->mounts)
		return -ENOMEM;
	for (; to->mount_count < from->mount_count; to->mount_count++) {
		struct pf_mount *m = &to->mounts[to->mount_count];

		m->from = strdup(from->mounts[to->mount_count].from);
		m->to = strdup(from->mounts[to->mount_count].to);
		if (!m->from || !m->to) {
			to->mount_count++; /* for pf_policy_free() */
			return -ENOMEM;
		}
	}
	return 0;
}

int pf_policy_copy(const struct pf_policy *from, struct pf_policy *to)
{
	struct pf_policy p = *from;

	p.image = p.user = p.ws_path = p.ws_at = p.cwd = p.guard_command = p.guard_prompt.stricter = NULL;
	p.tools = p.env = p.mask = p.protect = p.commands = p.secret_values = (struct pf_list){0};
	p.mounts = NULL;
	p.mount_count = 0;
	p.network.allow = (struct pf_rules){0};
	if (pf__policy_set_string(&p.image, from->image) < 0 ||
	    pf__policy_set_string(&p.user, from->user) < 0 ||
	    pf__policy_set_string(&p.ws_path, from->ws_path) < 0 ||
	    pf__policy_set_string(&p.ws_at, from->ws_at) < 0 ||
	    pf__policy_set_string(&p.cwd, from->cwd) < 0 ||
	    pf__policy_set_string(&p.guard_command, from->guard_command) < 0 ||
	    pf__policy_set_string(&p.guard_prompt.stricter, from->guard_prompt.stricter) < 0 ||
	    pf_list_copy(&p.tools, &from->tools) < 0 || pf_list_copy(&p.env, &from->env) < 0 ||
	    pf_list_copy(&p.mask, &from->mask) < 0 || pf_list_copy(&p.protect, &from->protect) < 0 ||
	    pf_list_copy(&p.commands, &from->commands) < 0 ||
	    pf_list_copy(&p.secret_values, &from->secret_values) < 0 || mounts_copy(from, &p) < 0 ||
	    pf_rules_copy(&from->network.allow, &p.network.allow) < 0) {
		pf_policy_free(&p);
		return -ENOMEM;
	}
	*to = p;
	return 0;
}

void pf_policy_free(struct pf_policy *p)
{
	free(p->image);
	free(p->user);
	free(p->ws_path);
	free(p->ws_at);
	free(p->cwd);
	free(p->guard_command);
	free(p->guard_prompt.stricter);
	pf_list_free(&p->tools);
	pf_list_free(&p->env);
	pf_list_free(&p->mask);
	pf_list_free(&p->protect);
	pf_rules_free(&p->network.allow);
	pf_list_free(&p->commands);
	pf_list_free(&p->secret_values);
	for (size_t i = 0; i < p->mount_count; i++) {
		free(p->mounts[i].from);
		free(p->mounts[i].to);
	}
	free(p->mounts);
	*p = (struct pf_policy){0};
}
