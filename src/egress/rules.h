/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The allow-list of the network: what a policy and `--allow` write, one rule a string.
 *
 *     pypi.org:443            one name
 *     *.example.org:443       every name below it, at any depth, and not example.org itself
 *     *:443                   every name
 *     10.1.2.3:5432           an address;  [2001:db8::1]:443 in brackets
 *     10.0.0.0/8:*            a network;   [fd00::/8]:8000-8099
 *
 * The port is a number, a range or `*`. Names and addresses are two things: a name is judged by rules for
 * names before anything is asked of a resolver, so a rule for a network allows no name. But a name whose
 * address is private (address.h) needs a rule for that address too.
 */
#ifndef PF_EGRESS_RULES_H
#define PF_EGRESS_RULES_H

#include "base/error.h"
#include "egress/host.h"

enum pf_rule_kind {
	PF_RULE_NAME,
	PF_RULE_BELOW, /* name: "example.org" of "*.example.org", "" of "*" */
	PF_RULE_NET,
};

struct pf_rule {
	enum pf_rule_kind kind;
	uint16_t first, last;  /* ports, both included */
	uint8_t bits;	       /* of net: 32 or 128 for a single address */
	struct pf_address net; /* of PF_RULE_NET */
	char name[PF_NAME_MAX + 1];
};

#define PF_RULES_MAX 1024
#define PF_RULE_TEXT (PF_NAME_MAX + 24)

struct pf_rules {
	struct pf_rule *items;
	size_t count;
};

/* -EINVAL with what is wrong and, where it can be told, what to write instead. Refuses what can never match:
 * link-local and metadata addresses, multicast, localhost. */
int pf_rule_parse(const char *text, struct pf_rule *out, struct pf_error *err);
/* As it is shown: normal form, which parses to the same rule. */
void pf_rule_print(const struct pf_rule *rule, char out[PF_RULE_TEXT]);

/* Parse and append; a rule that is there already (in whatever spelling) is -EEXIST, more than PF_RULES_MAX
 * -E2BIG, no memory -ENOMEM. */
int pf_rules_add(struct pf_rules *rules, const char *text, struct pf_error *err);
int pf_rules_copy(const struct pf_rules *from, struct pf_rules *to); /* 0, or -ENOMEM and *to untouched */
void pf_rules_free(struct pf_rules *rules);			     /* leaves it empty and valid */

/* The first rule that allows it, or NULL. */
const struct pf_rule *pf_rules_name(const struct pf_rules *rules, const char *name, uint16_t port);
const struct pf_rule *pf_rules_address(const struct pf_rules *rules, const struct pf_address *a,
				       uint16_t port);

#endif
