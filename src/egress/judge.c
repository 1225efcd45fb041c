/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May it go there? First the rule, then the resolver (asking it is already telling somebody the name), then
 * the addresses that came back, of which only those that were judged are dialled, and no name is ever looked
 * up twice for one connection: so there is nothing between judgement and use that a second answer could
 * change.
 */
#include <stdio.h>
#include <string.h>

#include "egress/broken.h"
#include "egress/proxy_internal.h"

static enum pf_address_kind judge_address(const struct pf__conn *c, const struct pf_address *a,
					  const char **what)
{
	const struct pf__proxy *px = c->px;
	enum pf_address_kind kind = pf_address_judge(a, what);

	if (kind == PF_ADDRESS_NEVER && pf__egress_broken("egress_never"))
		kind = PF_ADDRESS_SPECIAL;
	if (kind == PF_ADDRESS_NEVER)
		return kind;
	for (size_t i = 0; kind == PF_ADDRESS_PUBLIC && i < px->own_count; i++) {
		/* A service that a firewall hides from others is open to the host itself. */
		if (pf_address_equal(a, &px->own[i])) {
			*what = "an address of this host";
			kind = PF_ADDRESS_SPECIAL;
		}
	}
	if (kind == PF_ADDRESS_SPECIAL &&
	    (pf_rules_address(&px->rules, a, c->port) || pf__egress_broken("egress_special")))
		return PF_ADDRESS_PUBLIC;
	return kind;
}

static void judge_literal(struct pf__conn *c)
{
	const char *what;

	c->address = c->host.address;
	/* Nobody but a rule that writes it allows an address, so only the never-allowed are asked about. */
	if (pf_address_judge(&c->address, &what) == PF_ADDRESS_NEVER && !pf__egress_broken("egress_never")) {
		pf__refuse_host(c, PF_EGRESS_NEVER, what);
		return;
	}
	c->rule = pf_rules_address(&c->px->rules, &c->address, c->port);
	if (!c->rule && !pf__egress_broken("egress_rules")) {
		pf__refuse_host(c, PF_EGRESS_NO_RULE, NULL);
		return;
	}
	c->addresses[0] = c->address;
	c->address_count = 1;
	if (pf__tunnel_is_http(c))
		pf__tunnel_open_http(c);
	else
		pf__dial_start(c);
}

static void judge_name(struct pf__conn *c)
{
	c->rule = pf_rules_name(&c->px->rules, c->host.name, c->port);
	if (!c->rule && !pf__egress_broken("egress_rules")) {
		pf__refuse_host(c, PF_EGRESS_NO_RULE, NULL);
		return;
	}
	if (pf__proxy_spent(c->px)) {
		pf__refuse_limit(c, PF_EGRESS_TOO_MUCH);
		return;
	}
	if (pf__tunnel_is_http(c)) {
		pf__tunnel_open_http(c);
		return;
	}
	c->state = PF__LOOKUP;
	pf_lookup_start(&c->lookup, &c->px->resolver, c->host.name, c->px->now);
	if (c->lookup.done)
		pf__judge_lookup(c);
}

void pf__judge(struct pf__conn *c)
{
	c->named = true;
	c->started = c->px->now;
	c->deadline = c->px->now + c->px->setup.limits.dial_ms * PF__MS;
	if (c->over)
		pf__refuse_limit(c, PF_EGRESS_TOO_MANY);
	else if (c->host.address.family)
		judge_literal(c);
	else
		judge_name(c);
}

static bool is_known(const struct pf__conn *c, const struct pf_address *a)
{
	for (size_t i = 0; i < c->address_count; i++)
		if (pf_address_equal(&c->addresses[i], a))
			return true;
	return false;
}

void pf__judge_lookup(struct pf__conn *c)
{
	const struct pf_lookup *l = &c->lookup;
	enum pf_address_kind best = PF_ADDRESS_NEVER;
	const char *what = NULL, *text;

	c->address_count = 0;
	for (size_t i = 0; i < l->count; i++) {
		enum pf_address_kind kind = judge_address(c, &l->address[i], &text);

		if (kind == PF_ADDRESS_PUBLIC) {
			if (!is_known(c, &l->address[i]))
				c->addresses[c->address_count++] = l->address[i];
		} else if (!what || kind < best) {
			best = kind;
			what = text;
			c->address = l->address[i];
		}
	}
	pf_lookup_stop(&c->lookup);
	if (c->address_count)
		pf__dial_start(c);
	else if (what)
		pf__refuse_host(c, best == PF_ADDRESS_NEVER ? PF_EGRESS_NEVER : PF_EGRESS_SPECIAL, what);
	else
		pf__unreached(c, PF_EGRESS_UNRESOLVED,
			      l->failed ? "no resolver of the host could tell its address"
					: "there is no such name");
}

bool pf__judge_tls_name(void *conn, const char *name)
{
	const struct pf__conn *c = conn;

	return pf_rules_name(&c->px->rules, name, c->port) != NULL;
}
