/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of the network; see rules.h. */
#include "egress/rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

#define SHOWN_MAX 200

struct source {
	const char *text; /* the whole rule */
	char shown[SHOWN_MAX];
	struct pf_error *err;
};

#define bad(s, fmt, ...) pf_fail((s)->err, -EINVAL, "%s " fmt, (s)->shown, ##__VA_ARGS__)

/* --- habits of those who write URLs --------------------------------------------------- */

static uint16_t port_of_scheme(const char *text, size_t n)
{
	static const struct {
		const char *name;
		uint16_t port;
	} known[] = {{"http", 80}, {"https", 443}, {"ssh", 22}, {"git", 9418}, {"ftp", 21}};

	for (size_t i = 0; i < PF_ARRAY_SIZE(known); i++)
		if (strlen(known[i].name) == n && memcmp(text, known[i].name, n) == 0)
			return known[i].port;
	return 0;
}

static int refuse_scheme(struct source *s, const char *scheme_end)
{
	const char *host = scheme_end + 3;
	size_t n = strcspn(host, ":/?#@");
	uint16_t port = port_of_scheme(s->text, (size_t)(scheme_end - s->text));
	char shown[SHOWN_MAX];

	if (port == 0 || n == 0 || host[n] == ':' || host[n] == '@')
		return bad(s, "is a URL: write HOST:PORT");
	pf_printable(host, n, shown, sizeof(shown));
	return bad(s, "is a URL: write %s:%u", shown, port);
}

static int refuse_url(struct source *s)
{
	const char *t = s->text, *scheme = strstr(t, "://"), *slash;

	if (*t == '\0')
		return pf_fail(s->err, -EINVAL, "a rule may not be empty: write HOST:PORT");
	if (scheme)
		return refuse_scheme(s, scheme);
	if (strchr(t, '@'))
		return bad(s, "names a user: a rule is HOST:PORT and nothing else");
	if (strpbrk(t, " \t\r\n,;"))
		return bad(s, "has a space or a comma in it: each rule is a string of its own");
	slash = strchr(t, '/');
	/* 10.0.0.0/8 and [fd00::/8] are networks; a slash behind anything else begins a path. */
	if ((slash && strspn(t, "0123456789./[]abcdefABCDEF:*-") != strlen(t)) || strpbrk(t, "?#"))
		return bad(s, "has a path: the network is allowed by host and port, write HOST:PORT");
	return 0;
}

/* --- ports ---------------------------------------------------------------------------- */

static int parse_ports(struct source *s, const char *text, struct pf_rule *rule)
{
	size_t n = strlen(text);
	const char *dash = strchr(text, '-');

	if (strcmp(text, "*") == 0) {
		rule->first = 1;
		rule->last = 65535;
		return 0;
	}
	if (strcmp(text, "0") == 0)
		return bad(s, "can never match: there is no port 0");
	if (!dash) {
		if (pf_port_parse(text, n, &rule->first) < 0)
			return bad(s, "has a port that is no number from 1 to 65535, no range and no '*'");
		rule->last = rule->first;
		return 0;
	}
	if (pf_port_parse(text, (size_t)(dash - text), &rule->first) < 0 ||
	    pf_port_parse(dash + 1, n - (size_t)(dash + 1 - text), &rule->last) < 0)
		return bad(s, "has a range of ports that is not FIRST-LAST, each from 1 to 65535");
	if (rule->first > rule->last)
		return bad(s, "can never match: its range of ports ends before it begins");
	return 0;
}

/* --- hosts ---------------------------------------------------------------------------- */

/* The bits beyond the prefix, cleared in *net. */
static bool clear_host_bits(struct pf_address *net, unsigned bits)
{
	unsigned size = net->family == 4 ? 4 : 16;
	bool any = false;

	for (unsigned i = 0; i < size; i++) {
		uint8_t keep = bits >= 8 * (i + 1) ? 0xff
			       : bits <= 8 * i	   ? 0
						   : (uint8_t)(0xff << (8 * (i + 1) - bits));

		any |= (net->b[i] & ~keep) != 0;
		net->b[i] &= keep;
	}
	return any;
}

static int check_net(struct source *s, struct pf_rule *rule)
{
	struct pf_address cleared = rule->net;
	unsigned all = rule->net.family == 4 ? 32 : 128;
	char net[PF_ADDRESS_TEXT], one[PF_ADDRESS_TEXT];
	const char *what;

	pf_address_print(&rule->net, one);
	if (clear_host_bits(&cleared, rule->bits)) {
		pf_address_print(&cleared, net);
		return bad(s, "has bits beyond its prefix: write the network %s/%u, or the address %s", net,
			   rule->bits, one);
	}
	if (rule->bits == all && pf_address_judge(&rule->net, &what) == PF_ADDRESS_NEVER)
		return bad(s, "can never match: %s is %s, which is never allowed", one, what);
	/* A network all of which is such addresses. None is wider than these. */
	if (rule->bits < all && rule->bits >= 4) {
		static const struct {
			struct pf_address net;
			unsigned bits;
			const char *what;
		} never[] = {
			{{4, {0}}, 8, "no destination"}, {{4, {169, 254}}, 16, "link-local"},
			{{4, {224}}, 4, "multicast"},	 {{6, {0xfe, 0x80}}, 10, "link-local"},
			{{6, {0xff}}, 8, "multicast"},
		};

		for (size_t i = 0; i < PF_ARRAY_SIZE(never); i++)
			if (rule->bits >= never[i].bits &&
			    pf_address_within(&rule->net, &never[i].net, never[i].bits))
				return bad(s, "can never match: all of it is %s, which is never allowed",
					   never[i].what);
	}
	return 0;
}

static int parse_net(struct source *s, const char *text, size_t n, struct pf_rule *rule)
{
	const char *slash = memchr(text, '/', n);
	size_t host = slash ? (size_t)(slash - text) : n;
	uint16_t bits = 0;

	rule->kind = PF_RULE_NET;
	if (pf_address_parse(text, host, &rule->net) < 0)
		return bad(s, "is neither HOST:PORT nor an address or network with a port");
	if (memchr(text, ':', host) && rule->net.family == 4)
		return bad(s, "is an IPv4 address in IPv6 clothes: write the IPv4 address");
	rule->bits = rule->net.family == 4 ? 32 : 128;
	if (slash) {
		size_t digits = n - host - 1;

		if ((digits != 1 || slash[1] != '0') && pf_port_parse(slash + 1, digits, &bits) < 0)
			return bad(s, "has a prefix length that is no number");
		if (bits > rule->bits)
			return bad(s, "has a prefix length above %u", rule->bits);
		rule->bits = (uint8_t)bits;
	}
	return check_net(s, rule);
}

static int check_name(struct source *s, const char *name)
{
	if (pf_name_is_localhost(name))
		return bad(s, "can never match: localhost is the sandbox's own. For a service of the host, "
			      "write its "
			      "address: 127.0.0.1:PORT");
	/* RFC 6761 and RFC 7686: no resolver answers for these. */
	if (strcmp(name, "invalid") == 0 || pf_glob_match("*.invalid", name) || strcmp(name, "onion") == 0 ||
	    pf_glob_match("*.onion", name))
		return bad(s, "can never match: no resolver knows names below .invalid and .onion");
	return 0;
}

static int parse_name(struct source *s, const char *text, size_t n, struct pf_rule *rule)
{
	const char *why;

	rule->kind = PF_RULE_NAME;
	if (text[0] == '*') {
		rule->kind = PF_RULE_BELOW;
		if (n == 1)
			return 0;
		if (n < 3 || text[1] != '.')
			return bad(s, "has a '*' that is not a whole first label: write *.example.org:PORT");
		text += 2;
		n -= 2;
	}
	if (memchr(text, '*', n))
		return bad(s, "has a '*' that is not a whole first label: write *.example.org:PORT");
	if (pf_name_parse(text, n, rule->name, &why) < 0)
		return bad(s, "is no rule: its host %s", why);
	return check_name(s, rule->name);
}

/* Is it an address as far as its characters tell? "10.0.0.0/8", "1.2.3.4", never "1.2.3.org". */
static bool looks_like_net(const char *text, size_t n)
{
	return memchr(text, '/', n) || strspn(text, "0123456789.") >= n;
}

int pf_rule_parse(const char *text, struct pf_rule *out, struct pf_error *err)
{
	struct source s = {.text = text, .err = err};
	struct pf_rule rule = {0};
	const char *end, *host = text;
	char whole[SHOWN_MAX];
	size_t n;
	int r;

	pf_printable(text, strlen(text), s.shown, sizeof(s.shown));
	r = refuse_url(&s);
	if (r < 0)
		return r;
	if (text[0] == '[') {
		end = strchr(text, ']');
		if (!end)
			return bad(&s, "has no ']' behind its address");
		host = text + 1;
		n = (size_t)(end - host);
		end++;
		if (!memchr(host, ':', n))
			return bad(&s, "has brackets around what is no IPv6 address");
		if (*end && *end != ':')
			return bad(&s, "has something between ']' and its port: a prefix length stands "
				       "inside the brackets");
	} else {
		end = strrchr(text, ':');
		if (end && memchr(text, ':', (size_t)(end - text)))
			return bad(&s, "has more than one colon: an IPv6 address is written in brackets, "
				       "[2001:db8::1]:443");
		n = end ? (size_t)(end - text) : strlen(text);
	}
	if (!end || *end == '\0' || end[1] == '\0') {
		pf_printable(text, end ? (size_t)(end - text) : n, whole, sizeof(whole));
		return bad(&s, "has no port: write %s:443, or %s:* for all ports", whole, whole);
	}
	r = parse_ports(&s, end + 1, &rule);
	if (r == 0)
		r = host != text || looks_like_net(host, n) ? parse_net(&s, host, n, &rule)
							    : parse_name(&s, host, n, &rule);
	if (r == 0)
		*out = rule;
	return r;
}

void pf_rule_print(const struct pf_rule *rule, char out[PF_RULE_TEXT])
{
	char host[PF_NAME_MAX + 8], address[PF_ADDRESS_TEXT], prefix[8] = "";

	if (rule->kind == PF_RULE_NET) {
		pf_address_print(&rule->net, address);
		if (rule->bits != (rule->net.family == 4 ? 32 : 128))
			snprintf(prefix, sizeof(prefix), "/%u", rule->bits);
		snprintf(host, sizeof(host), rule->net.family == 6 ? "[%s%s]" : "%s%s", address, prefix);
	} else if (rule->kind == PF_RULE_BELOW) {
		snprintf(host, sizeof(host), rule->name[0] ? "*.%s" : "*%s", rule->name);
	} else {
		snprintf(host, sizeof(host), "%s", rule->name);
	}
	if (rule->first == rule->last)
		snprintf(out, PF_RULE_TEXT, "%s:%u", host, rule->first);
	else if (rule->first == 1 && rule->last == 65535)
		snprintf(out, PF_RULE_TEXT, "%s:*", host);
	else
		snprintf(out, PF_RULE_TEXT, "%s:%u-%u", host, rule->first, rule->last);
}

/* --- the list ------------------------------------------------------------------------- */

static bool same(const struct pf_rule *a, const struct pf_rule *b)
{
	if (a->kind != b->kind || a->first != b->first || a->last != b->last)
		return false;
	if (a->kind == PF_RULE_NET)
		return a->bits == b->bits && pf_address_equal(&a->net, &b->net);
	return strcmp(a->name, b->name) == 0;
}

int pf_rules_add(struct pf_rules *rules, const char *text, struct pf_error *err)
{
	struct pf_rule rule, *items;
	char shown[PF_RULE_TEXT];
	int r = pf_rule_parse(text, &rule, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < rules->count; i++) {
		if (same(&rules->items[i], &rule)) {
			pf_rule_print(&rule, shown);
			return pf_fail(err, -EEXIST, "the rule %s is there twice", shown);
		}
	}
	if (rules->count == PF_RULES_MAX)
		return pf_fail(err, -E2BIG, "more than %u rules for the network", PF_RULES_MAX);
	items = realloc(rules->items, (rules->count + 1) * sizeof(*items));
	if (!items)
		return pf_fail(err, -ENOMEM, "no memory for the network's rules");
	rules->items = items;
	rules->items[rules->count++] = rule;
	return 0;
}

int pf_rules_copy(const struct pf_rules *from, struct pf_rules *to)
{
	struct pf_rules copy = {.count = from->count};

	if (from->count) {
		copy.items = malloc(from->count * sizeof(*copy.items));
		if (!copy.items)
			return -ENOMEM;
		memcpy(copy.items, from->items, from->count * sizeof(*copy.items));
	}
	*to = copy;
	return 0;
}

void pf_rules_free(struct pf_rules *rules)
{
	free(rules->items);
	*rules = (struct pf_rules){0};
}

static bool below(const char *name, const char *parent)
{
	size_t n = strlen(name), p = strlen(parent);

	if (p == 0)
		return true;
	return n > p + 1 && name[n - p - 1] == '.' && strcmp(name + n - p, parent) == 0;
}

const struct pf_rule *pf_rules_name(const struct pf_rules *rules, const char *name, uint16_t port)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct pf_rule *rule = &rules->items[i];

		if (port < rule->first || port > rule->last)
			continue;
		if ((rule->kind == PF_RULE_NAME && strcmp(rule->name, name) == 0) ||
		    (rule->kind == PF_RULE_BELOW && below(name, rule->name)))
			return rule;
	}
	return NULL;
}

const struct pf_rule *pf_rules_address(const struct pf_rules *rules, const struct pf_address *a,
				       uint16_t port)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct pf_rule *rule = &rules->items[i];

		if (rule->kind == PF_RULE_NET && port >= rule->first && port <= rule->last &&
		    pf_address_within(a, &rule->net, rule->bits))
			return rule;
	}
	return NULL;
}
