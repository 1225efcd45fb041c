/* SPDX-License-Identifier: Apache-2.0 */
/* egress/address, host and rules: what is written, what it means, what is refused and how that is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "egress/rules.h"

static struct pf_address address(const char *text)
{
	struct pf_address a = {0};

	if (pf_address_parse(text, strlen(text), &a) < 0)
		fail_msg("%s is no address", text);
	return a;
}

static void addresses_have_one_spelling_in(void **state)
{
	static const char *const bad[] = {
		"",
		"1",
		"1.2.3",
		"1.2.3.4.5",
		"1.2.3.256",
		"01.2.3.4",
		"1.2.3.04",
		"0x1.2.3.4",
		"1.2.3.4 ",
		" 1.2.3.4",
		"+1.2.3.4",
		"1..2.3",
		"127.1",
		"2130706433",
		"::1%lo",
		"::1%1",
		"[::1]",
		"1::2::3",
		":::",
		"12345::",
		"::ffff:1.2.3.256",
		"1:2:3:4:5:6:7",
		"g::",
		"::1.2.3",
		"1.2.3.4/8",
	};
	struct pf_address a;
	char text[PF_ADDRESS_TEXT];

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++)
		if (pf_address_parse(bad[i], strlen(bad[i]), &a) != -EINVAL)
			fail_msg("%s was taken", bad[i]);
	assert_int_equal(pf_address_parse("1.2.3.4\0x", 9, &a), -EINVAL);
	a = address("2001:DB8:0:0:0:0:0:1");
	pf_address_print(&a, text);
	assert_string_equal(text, "2001:db8::1");
	a = address("::ffff:10.1.2.3"); /* is that address, and nothing else */
	assert_int_equal(a.family, 4);
	pf_address_print(&a, text);
	assert_string_equal(text, "10.1.2.3");
}

static void judged(const char *text, enum pf_address_kind kind, const char *words)
{
	struct pf_address a = address(text);
	const char *what = NULL;
	enum pf_address_kind got = pf_address_judge(&a, &what);

	if (got != kind || !what || !strstr(what, words))
		fail_msg("%s is %d, %s", text, got, what ? what : "NULL");
}

#define NEVER(text, words)   judged(text, PF_ADDRESS_NEVER, words)
#define SPECIAL(text, words) judged(text, PF_ADDRESS_SPECIAL, words)
#define PUBLIC(text)	     judged(text, PF_ADDRESS_PUBLIC, "public")

/* The first and the last of each block, and the neighbours that are outside. */
static void special_addresses_of_ipv4(void **state)
{
	(void)state;
	NEVER("0.0.0.0", "no destination");
	NEVER("0.255.255.255", "no destination");
	PUBLIC("1.0.0.0");
	PUBLIC("9.255.255.255");
	SPECIAL("10.0.0.0", "RFC 1918");
	SPECIAL("10.255.255.255", "RFC 1918");
	PUBLIC("11.0.0.0");
	PUBLIC("100.63.255.255");
	SPECIAL("100.64.0.0", "RFC 6598");
	SPECIAL("100.127.255.255", "RFC 6598");
	PUBLIC("100.128.0.0");
	NEVER("100.100.100.200", "metadata");
	SPECIAL("127.0.0.1", "loopback");
	SPECIAL("127.255.255.255", "loopback");
	PUBLIC("128.0.0.0");
	NEVER("168.63.129.16", "metadata");
	PUBLIC("168.63.129.17");
	NEVER("169.254.0.0", "link-local");
	NEVER("169.254.169.254", "metadata");
	NEVER("169.254.255.255", "link-local");
	PUBLIC("169.255.0.0");
	PUBLIC("172.15.255.255");
	SPECIAL("172.16.0.0", "RFC 1918");
	SPECIAL("172.31.255.255", "RFC 1918");
	PUBLIC("172.32.0.0");
	SPECIAL("192.0.0.1", "reserved");
	NEVER("192.0.0.192", "metadata");
	PUBLIC("192.0.1.0");
	SPECIAL("192.0.2.1", "documentation");
	SPECIAL("192.88.99.1", "6to4");
	SPECIAL("192.168.0.0", "RFC 1918");
	SPECIAL("192.168.255.255", "RFC 1918");
	PUBLIC("192.169.0.0");
	SPECIAL("198.18.0.0", "benchmarks");
	SPECIAL("198.19.255.255", "benchmarks");
	PUBLIC("198.20.0.0");
	SPECIAL("198.51.100.1", "documentation");
	SPECIAL("203.0.113.1", "documentation");
	PUBLIC("223.255.255.255");
	NEVER("224.0.0.1", "multicast");
	NEVER("239.255.255.255", "multicast");
	SPECIAL("240.0.0.1", "reserved");
	NEVER("255.255.255.255", "broadcast");
	PUBLIC("8.8.8.8");
}

static void special_addresses_of_ipv6(void **state)
{
	(void)state;
	NEVER("::", "unspecified");
	SPECIAL("::1", "loopback");
	NEVER("fe80::1", "link-local");
	NEVER("febf:ffff::1", "link-local");
	SPECIAL("fec0::1", "site-local");
	SPECIAL("fc00::1", "RFC 4193");
	SPECIAL("fdff:ffff::1", "RFC 4193");
	NEVER("fd00:ec2::254", "metadata");
	SPECIAL("fd00:ec2::255", "RFC 4193");
	NEVER("fd20:ce::254", "metadata");
	NEVER("fd00:c1::a9fe:a9fe", "metadata");
	NEVER("fd00:42::42", "metadata");
	NEVER("ff02::1", "multicast");
	SPECIAL("100::1", "reserved");
	SPECIAL("1fff::1", "reserved");
	SPECIAL("4000::1", "reserved");
	SPECIAL("5f00::1", "reserved");
	SPECIAL("2001:db8::1", "documentation");
	SPECIAL("3fff::1", "documentation");
	PUBLIC("3ffe::1");
	SPECIAL("2001:2::1", "benchmarks");
	SPECIAL("2001:10::1", "reserved");
	SPECIAL("2001:20::1", "reserved");
	PUBLIC("2001:1::1");
	SPECIAL("2001:1::5", "reserved");
	PUBLIC("2001:3::1");
	PUBLIC("2001:4:112::1");
	PUBLIC("2001:200::1");
	PUBLIC("2606:2800:220:1::1");
	PUBLIC("2620:4f:8000::1");
}

/* An address that carries another leads where either does. */
static void addresses_that_carry_others(void **state)
{
	(void)state;
	SPECIAL("::ffff:127.0.0.1", "loopback");
	NEVER("::ffff:169.254.169.254", "metadata");
	PUBLIC("::ffff:8.8.8.8");
	SPECIAL("::8.8.8.8", "reserved"); /* compatible: nobody uses it */
	NEVER("::169.254.169.254", "metadata");
	NEVER("::ffff:0:169.254.169.254", "metadata"); /* translated */
	PUBLIC("64:ff9b::8.8.8.8");
	SPECIAL("64:ff9b::10.0.0.1", "RFC 1918");
	SPECIAL("64:ff9b::127.0.0.1", "loopback");
	NEVER("64:ff9b::169.254.169.254", "metadata");
	SPECIAL("64:ff9b:1::8.8.8.8", "reserved");
	NEVER("64:ff9b:1::169.254.169.254", "metadata");
	SPECIAL("2002:0808:0808::1", "6to4");
	SPECIAL("2002:0a00:0001::1", "6to4");
	NEVER("2002:a9fe:a9fe::1", "metadata");
	SPECIAL("2001:0:0808:0808::f7f7:f7f7", "Teredo");
	NEVER("2001:0:a9fe:a9fe::1", "metadata");
	NEVER("2001:0:0808:0808::5601:5601", "metadata"); /* the client's bits are turned over */
	SPECIAL("2606:2800::5efe:10.0.0.1", "RFC 1918");  /* ISATAP */
	SPECIAL("2606:2800::200:5efe:10.0.0.1", "RFC 1918");
	NEVER("2606:2800::5efe:169.254.169.254", "metadata");
	PUBLIC("2606:2800::5efe:8.8.8.8");
}

static void names_are_one_thing(void **state)
{
	static const struct {
		const char *text, *name;
	} good[] = {
		{"example.org", "example.org"},
		{"EXAMPLE.Org.", "example.org"},
		{"a", "a"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"_dmarc.a_b.example", "_dmarc.a_b.example"},
		{"1.2.3.org", "1.2.3.org"},
		{"3com.com", "3com.com"},
		{"r3---sn-x.example", "r3---sn-x.example"},
		{"0xg.1a", "0xg.1a"},
	};
	static const char *const bad[] = {
		"",
		".",
		"..",
		".a",
		"a..b",
		"a..",
		"-a.org",
		"a-.org",
		"a b",
		"a/b",
		"a@b",
		"a:b",
		"a%2eb",
		"a\\b",
		"b\303\274cher.example",
		"1.2.3",
		"127.1",
		"2130706433",
		"0x7f.1",
		"1.2.3.0x4",
		"a.0x",
		"a.0xf",
		"example.org\n",
		"a*b",
		"*",
		"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl.org", /* 64 */
	};
	char name[PF_NAME_MAX + 1], longest[300];
	const char *why = NULL;

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(good); i++) {
		assert_int_equal(pf_name_parse(good[i].text, strlen(good[i].text), name, &why), 0);
		assert_string_equal(name, good[i].name);
	}
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++) {
		why = NULL;
		if (pf_name_parse(bad[i], strlen(bad[i]), name, &why) != -EINVAL || !why)
			fail_msg("%s was taken", bad[i]);
	}
	assert_int_equal(pf_name_parse("a\0b", 3, name, &why), -EINVAL);
	memset(longest, 'a', sizeof(longest));
	for (size_t i = 50; i < sizeof(longest); i += 51)
		longest[i] = '.';
	assert_int_equal(pf_name_parse(longest, 253, name, &why), 0);
	assert_int_equal(pf_name_parse(longest, 256, name, &why), -EINVAL);
	assert_true(pf_name_is_localhost("localhost") && pf_name_is_localhost("a.localhost"));
	assert_false(pf_name_is_localhost("notlocalhost") || pf_name_is_localhost("localhost.org"));
}

static void authorities(void **state)
{
	static const struct {
		const char *text, *printed;
		uint16_t port;
	} good[] = {
		{"example.org", "example.org", 0},
		{"Example.org:80", "example.org:80", 80},
		{"1.2.3.4:65535", "1.2.3.4:65535", 65535},
		{"[::1]", "[::1]", 0},
		{"[2001:DB8::1]:443", "[2001:db8::1]:443", 443},
		{"[::ffff:1.2.3.4]:1", "1.2.3.4:1", 1},
	};
	static const char *const bad[] = {
		"",	     ":",      ":80",	    "a:",      "a:0",	 "a:00080", "a:65536",
		"a:999999",  "a:-1",   "a:+1",	    "a: 80",   "a:80 ",	 "a:8a",    "a:80:80",
		"::1",	     "::1:80", "[::1",	    "[::1]80", "[::1]:", "[]",	    "[]:80",
		"[1.2.3.4]", "[a]:80", "[::1]]:80", "u@a:80",
	};
	struct pf_host h;
	uint16_t port;
	const char *why;
	char text[PF_TARGET_TEXT];

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(good); i++) {
		assert_int_equal(pf_authority_parse(good[i].text, strlen(good[i].text), &h, &port, &why), 0);
		assert_int_equal(port, good[i].port);
		pf_host_print(&h, port, text);
		assert_string_equal(text, good[i].printed);
	}
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++)
		if (pf_authority_parse(bad[i], strlen(bad[i]), &h, &port, &why) != -EINVAL)
			fail_msg("%s was taken", bad[i]);
}

/* --- rules ---------------------------------------------------------------------------- */

static void rules_print_as_they_are_meant(void **state)
{
	static const struct {
		const char *text, *printed;
	} good[] = {
		{"pypi.org:443", "pypi.org:443"},
		{"PyPI.org.:443", "pypi.org:443"},
		{"*.Example.org:443", "*.example.org:443"},
		{"*:443", "*:443"},
		{"*:*", "*:*"},
		{"a:1-65535", "a:*"},
		{"a:80-80", "a:80"},
		{"a:8000-8099", "a:8000-8099"},
		{"10.1.2.3:5432", "10.1.2.3:5432"},
		{"10.0.0.0/8:*", "10.0.0.0/8:*"},
		{"10.1.2.3/32:1", "10.1.2.3:1"},
		{"0.0.0.0/0:443", "0.0.0.0/0:443"},
		{"[2001:DB8::]:443", "[2001:db8::]:443"},
		{"[fd00::/8]:8000-8099", "[fd00::/8]:8000-8099"},
		{"[::/0]:443", "[::/0]:443"},
		{"[::1/128]:80", "[::1]:80"},
		{"127.0.0.1:5432", "127.0.0.1:5432"},
		{"127.0.0.0/8:*", "127.0.0.0/8:*"},
		{"192.168.0.0/16:22", "192.168.0.0/16:22"},
		{"a_b.internal:80", "a_b.internal:80"},
		{"128.0.0.0/1:1", "128.0.0.0/1:1"},
	};
	struct pf_rule rule, again;
	struct pf_error err;
	char text[PF_RULE_TEXT];

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(good); i++) {
		if (pf_rule_parse(good[i].text, &rule, &err) < 0)
			fail_msg("%s", err.msg);
		pf_rule_print(&rule, text);
		assert_string_equal(text, good[i].printed);
		assert_int_equal(pf_rule_parse(text, &again, &err), 0);
		assert_memory_equal(&rule, &again, sizeof(rule));
	}
}

static const struct {
	const char *text, *says;
} no_rules[] = {
	{"", "may not be empty"},
	{"pypi.org", "has no port: write pypi.org:443"},
	{"pypi.org:", "has no port: write pypi.org:443"},
	{"10.0.0.1", "has no port: write 10.0.0.1:443"},
	{"10.0.0.0/8", "has no port: write 10.0.0.0/8:443"},
	{"[::1]", "has no port: write [::1]:443"},
	{"https://pypi.org/simple", "is a URL: write pypi.org:443"},
	{"http://pypi.org", "is a URL: write pypi.org:80"},
	{"ssh://git@github.com/x", "is a URL: write HOST:PORT"},
	{"gopher://pypi.org", "is a URL: write HOST:PORT"},
	{"pypi.org:443/simple", "has a path"},
	{"pypi.org/simple:443", "has a path"},
	{"pypi.org:443?x", "has a path"},
	{"pypi.org:443#x", "has a path"},
	{"user@pypi.org:443", "names a user"},
	{"pypi.org:443,pypi.org:80", "a string of its own"},
	{"pypi.org :443", "a string of its own"},
	{"pypi.org:0", "can never match: there is no port 0"},
	{"pypi.org:65536", "no number from 1 to 65535"},
	{"pypi.org:https", "no number from 1 to 65535"},
	{"pypi.org:443-", "a range of ports"},
	{"pypi.org:-443", "a range of ports"},
	{"pypi.org:1-2-3", "a range of ports"},
	{"pypi.org:443-80", "can never match: its range"},
	{"2001:db8::1:443", "in brackets"},
	{"2001:db8::1", "in brackets"},
	{"[2001:db8::1:443", "has no ']'"},
	{"[2001:db8::]/32:443", "inside the brackets"},
	{"[10.0.0.1]:443", "no IPv6 address"},
	{"[pypi.org]:443", "no IPv6 address"},
	{"[::ffff:10.0.0.1]:443", "IPv6 clothes"},
	{"10.1.2.3/8:443", "write the network 10.0.0.0/8, or the address 10.1.2.3"},
	{"10.0.0.0/31:443 ", "a string of its own"},
	{"10.0.0.1/31:443", "write the network 10.0.0.0/31"},
	{"[2001:db8::1/32]:443", "write the network 2001:db8::/32"},
	{"10.0.0.0/33:443", "above 32"},
	{"[::/129]:443", "above 128"},
	{"10.0.0.0/:443", "prefix length"},
	{"10.0.0.0/08:443", "prefix length"},
	{"10.0.0.0/8/8:443", "prefix length"},
	{"10.0.0/8:443", "neither HOST:PORT nor"},
	{"127.1:443", "neither HOST:PORT nor"},
	{"010.0.0.1:443", "neither HOST:PORT nor"},
	{"0x7f.1:443", "four decimal numbers"},
	{"169.254.169.254:80", "can never match: 169.254.169.254 is a link-local"},
	{"169.254.0.0/16:80", "can never match: all of it is link-local"},
	{"169.254.169.0/24:80", "can never match: all of it is link-local"},
	{"[fe80::/10]:80", "can never match: all of it is link-local"},
	{"100.100.100.200:80", "can never match"},
	{"[fd00:ec2::254]:80", "can never match"},
	{"0.0.0.0:80", "can never match"},
	{"[::]:80", "can never match"},
	{"224.0.0.0/4:80", "multicast"},
	{"[ff02::1]:80", "can never match"},
	{"255.255.255.255:80", "can never match"},
	{"localhost:8000", "write its address: 127.0.0.1:PORT"},
	{"*.localhost:8000", "127.0.0.1:PORT"},
	{"a.invalid:80", "can never match"},
	{"x.onion:80", "can never match"},
	{"*.*.org:443", "whole first label"},
	{"*example.org:443", "whole first label"},
	{"www.*.org:443", "whole first label"},
	{"*.:443", "whole first label"},
	{"a..b:443", "empty label"},
	{".example.org:443", "empty label"},
	{"-a.org:443", "hyphen"},
	{"b\303\274cher.example:443", "xn--"},
	{"a\x1b[31m.org:443", "\\x1b"},
};

static void what_is_no_rule_says_what_to_write(void **state)
{
	struct pf_rule rule = {.first = 77};
	struct pf_error err;

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(no_rules); i++) {
		err = (struct pf_error){0};
		if (pf_rule_parse(no_rules[i].text, &rule, &err) != -EINVAL ||
		    !strstr(err.msg, no_rules[i].says))
			fail_msg("%s: %s", no_rules[i].text, err.msg);
		assert_int_equal(rule.first, 77);
	}
}

static void a_list_has_each_rule_once(void **state)
{
	struct pf_rules rules = {0}, copy;
	struct pf_error err;
	char text[64];

	(void)state;
	assert_int_equal(pf_rules_add(&rules, "pypi.org:443", &err), 0);
	assert_int_equal(pf_rules_add(&rules, "PYPI.ORG.:443", &err), -EEXIST);
	assert_string_equal(err.msg, "the rule pypi.org:443 is there twice");
	assert_int_equal(pf_rules_add(&rules, "*.pypi.org:443", &err), 0);
	assert_int_equal(pf_rules_add(&rules, "pypi.org:80", &err), 0);
	assert_int_equal(pf_rules_add(&rules, "10.0.0.0/8:443", &err), 0);
	assert_int_equal(pf_rules_add(&rules, "10.0.0.0/9:443", &err), 0);
	assert_int_equal(pf_rules_add(&rules, "10.0.0.0/8:443-443", &err), -EEXIST);
	assert_int_equal(rules.count, 5);
	assert_int_equal(pf_rules_copy(&rules, &copy), 0);
	assert_int_equal(copy.count, 5);
	assert_non_null(pf_rules_name(&copy, "pypi.org", 80));
	pf_rules_free(&copy);
	while (rules.count < PF_RULES_MAX) {
		snprintf(text, sizeof(text), "h%zu.test:443", rules.count);
		assert_int_equal(pf_rules_add(&rules, text, &err), 0);
	}
	assert_int_equal(pf_rules_add(&rules, "one.more:443", &err), -E2BIG);
	pf_rules_free(&rules);
	assert_int_equal(rules.count, 0);
	assert_int_equal(pf_rules_copy(&rules, &copy), 0);
	pf_rules_free(&copy);
}

static void what_matches_what(void **state)
{
	struct pf_rules rules = {0};
	struct pf_address in = address("10.1.2.3"), out = address("11.1.2.3"), six = address("fd00::1");

	(void)state;
	assert_int_equal(pf_rules_add(&rules, "*.example.org:443", NULL), 0);
	assert_int_equal(pf_rules_add(&rules, "one.test:80-90", NULL), 0);
	assert_int_equal(pf_rules_add(&rules, "10.0.0.0/8:443", NULL), 0);
	assert_int_equal(pf_rules_add(&rules, "[fd00::/16]:*", NULL), 0);
	assert_non_null(pf_rules_name(&rules, "a.example.org", 443));
	assert_non_null(pf_rules_name(&rules, "a.b.example.org", 443));
	assert_null(pf_rules_name(&rules, "example.org", 443));
	assert_null(pf_rules_name(&rules, "xexample.org", 443));
	assert_null(pf_rules_name(&rules, "a.example.org.evil.test", 443));
	assert_null(pf_rules_name(&rules, "a.example.org", 80));
	assert_null(pf_rules_name(&rules, "10.1.2.3", 443)); /* names by names */
	assert_non_null(pf_rules_name(&rules, "one.test", 90));
	assert_null(pf_rules_name(&rules, "one.test", 91));
	assert_ptr_equal(pf_rules_address(&rules, &in, 443), &rules.items[2]);
	assert_null(pf_rules_address(&rules, &in, 80));
	assert_null(pf_rules_address(&rules, &out, 443));
	assert_non_null(pf_rules_address(&rules, &six, 1));
	pf_rules_free(&rules);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_have_one_spelling_in),
		cmocka_unit_test(special_addresses_of_ipv4),
		cmocka_unit_test(special_addresses_of_ipv6),
		cmocka_unit_test(addresses_that_carry_others),
		cmocka_unit_test(names_are_one_thing),
		cmocka_unit_test(authorities),
		cmocka_unit_test(rules_print_as_they_are_meant),
		cmocka_unit_test(what_is_no_rule_says_what_to_write),
		cmocka_unit_test(a_list_has_each_rule_once),
		cmocka_unit_test(what_matches_what),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
