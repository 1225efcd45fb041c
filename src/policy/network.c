/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy's network: what may be reached through the door, and how much of it. Rules are spelt in one
 * place (egress/rules.h), which the proxy reads them by as well.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/parse_internal.h"
#include "proto/frame.h"

#define GiB    ((uint64_t)1 << 30)
#define SECOND ((uint64_t)1000)
#define HOUR   (3600 * SECOND)

/* The door has places for a few more, to tell them that they are too many. */
_Static_assert(PF_NETWORK_CONNECTIONS_MAX < PF_DOOR_MAX, "who is one too many can be told so");

const struct pf_network pf__network_defaults = {
	.connections = PF_NETWORK_CONNECTIONS_MAX, .idle_ms = 600 * SECOND, .dial_ms = 30 * SECOND};

#define FIELD(name) offsetof(struct pf_network, name)

/* Rates below that of an old modem would end in time-outs that nobody understands. */
static const struct pf__limit rows[] = {
	{"connections",
	 {NULL},
	 0,
	 PF__COUNT,
	 FIELD(connections),
	 1,
	 PF_NETWORK_CONNECTIONS_MAX,
	 "each takes memory of the host"},
	{"bytes", {NULL}, 0, PF__SIZE, FIELD(bytes), 1, 1024 * 1024 * GiB, NULL},
	{"bytes_per_second", {NULL}, 0, PF__SIZE, FIELD(bytes_per_second), 1024, 1024 * GiB, NULL},
	{"idle_time",
	 {NULL},
	 0,
	 PF__DURATION,
	 FIELD(idle_ms),
	 1 * SECOND,
	 24 * HOUR,
	 "a connection that nobody uses would be held for ever"},
	{"dial_time",
	 {NULL},
	 0,
	 PF__DURATION,
	 FIELD(dial_ms),
	 1 * SECOND,
	 1 * HOUR,
	 "a host that does not answer would be waited for for ever"},
};

static uint64_t get(const struct pf_network *n, const struct pf__limit *l)
{
	const char *field = (const char *)n + l->offset;
	uint64_t wide;
	uint32_t narrow;

	if (l->kind != PF__COUNT) {
		memcpy(&wide, field, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, field, sizeof(narrow));
	return narrow;
}

static void put(struct pf_network *n, const struct pf__limit *l, uint64_t value)
{
	char *field = (char *)n + l->offset;
	uint32_t narrow = (uint32_t)value;

	if (l->kind != PF__COUNT)
		memcpy(field, &value, sizeof(value));
	else
		memcpy(field, &narrow, sizeof(narrow));
}

/* --- the document --- */

static int one_rule(struct pf__parse *ps, const struct pf_json *v)
{
	int r = pf__parse_type(ps, v, PF_JSON_STRING, "a rule such as \"pypi.org:443\"");

	if (r < 0)
		return r;
	return pf_rules_add(&ps->p->network.allow, v->str.s, ps->err) < 0 ? pf__parse_wrap(ps, v) : 0;
}

static int key_allow(struct pf__parse *ps, const struct pf_json *v)
{
	int r = pf__parse_list(ps, v, "a list of rules such as \"pypi.org:443\"", one_rule);

	if (r == 0 && ps->p->network.allow.count == 0)
		return pf__parse_fail(ps, v, "allows nothing: write \"network\": \"none\"");
	return r;
}

static int key_row(struct pf__parse *ps, const struct pf_json *v)
{
	uint64_t value;

	for (size_t i = 0; i < PF_ARRAY_SIZE(rows); i++) {
		if (strcmp(rows[i].key, v->key) != 0)
			continue;
		if (pf__limit_from_json(&rows[i], v, &value, ps->err) < 0)
			return pf__parse_wrap(ps, v);
		put(&ps->p->network, &rows[i], value);
	}
	return 0;
}

static const struct pf__key network_keys[] = {
	{"allow", key_allow, NULL},
	{"connections", key_row, NULL},
	{"bytes", key_row, NULL},
	{"bytes_per_second", key_row, NULL},
	{"idle_time", key_row, NULL},
	{"dial_time", key_row, NULL},
	{"credentials", NULL,
	 "no header is put on requests at the door; what the command needs it must hold"},
};

/* A document says the whole of it: what an earlier one allowed is gone. */
int pf__key_network(struct pf__parse *ps, const struct pf_json *v)
{
	struct pf_network *n = &ps->p->network;
	int r;

	if (v->type == PF_JSON_STRING && strcmp(v->str.s, "none") != 0)
		return pf__parse_fail(ps, v, "\"none\", or {\"allow\": [\"HOST:PORT\"]}: there is no %s",
				      strcmp(v->str.s, "host") == 0 ? "way to share the host's network"
								    : "other word");
	if (v->type != PF_JSON_STRING && v->type != PF_JSON_OBJECT)
		return pf__parse_fail(ps, v, "expected \"none\" or {\"allow\": [\"HOST:PORT\"]}, found %s",
				      pf_json_type_name(v->type));
	pf_rules_free(&n->allow);
	*n = pf__network_defaults;
	if (v->type == PF_JSON_STRING)
		return 0;
	r = pf__parse_object(ps, v, network_keys, PF_ARRAY_SIZE(network_keys));
	if (r == 0 && !pf_json_get(v, "allow"))
		return pf__parse_fail(ps, v,
				      "\"allow\" is missing: without it nothing is allowed, and "
				      "limits hold nothing");
	return r;
}

void pf__network_print(struct pf_jsonw *w, const struct pf_network *n)
{
	char text[PF_RULE_TEXT];

	pf_jsonw_key(w, "network");
	if (n->allow.count == 0) {
		pf_jsonw_str(w, "none");
		return;
	}
	pf_jsonw_begin(w, '{');
	pf_jsonw_key(w, "allow");
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; i < n->allow.count; i++) {
		pf_rule_print(&n->allow.items[i], text);
		pf_jsonw_str(w, text);
	}
	pf_jsonw_end(w, ']');
	for (size_t i = 0; i < PF_ARRAY_SIZE(rows); i++)
		pf__limit_print(w, &rows[i], get(n, &rows[i]));
	pf_jsonw_end(w, '}');
}

/* --- the command line --- */

int pf_policy_allow(struct pf_policy *p, const char *rule, struct pf_error *err)
{
	struct pf_error own = {0}, *e = err ? err : &own;
	int r = pf_rules_add(&p->network.allow, rule, e);

	if (r == -EEXIST) { /* the document has it too */
		e->code = 0;
		return 0;
	}
	return r < 0 ? pf_wrap(e, "--allow") : 0;
}
