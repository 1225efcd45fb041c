/* SPDX-License-Identifier: Apache-2.0 */
/* Names and authorities; see host.h. */
#include "egress/host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f');
}

static int no(const char **why, const char *text)
{
	*why = text;
	return -EINVAL;
}

/* "7", "0x7f", "0x": what a URL parser would try to read as an IPv4 address. */
static bool is_number(const char *label, size_t n)
{
	size_t i = 0;

	if (n >= 2 && label[0] == '0' && label[1] == 'x') {
		for (i = 2; i < n && is_hex(label[i]);)
			i++;
		return i == n;
	}
	while (i < n && is_digit(label[i]))
		i++;
	return i == n;
}

static int check_label(const char *label, size_t n, const char **why)
{
	if (n == 0)
		return no(why, "has an empty label");
	if (n > 63)
		return no(why, "has a label of more than 63 characters");
	if (label[0] == '-' || label[n - 1] == '-')
		return no(why, "has a label that begins or ends with a hyphen");
	return 0;
}

/* Into out, lower-case. */
static int fold(const char *s, size_t n, char *out, const char **why)
{
	for (size_t i = 0; i < n; i++) {
		char c = s[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if ((unsigned char)c >= 0x80)
			return no(why,
				  "is not ASCII: write its ASCII form (xn--...), as `idn2 NAME` prints it");
		if (!is_digit(c) && !(c >= 'a' && c <= 'z') && c != '-' && c != '_' && c != '.')
			return no(why, "has a character that no host name has");
		out[i] = c;
	}
	out[n] = '\0';
	return 0;
}

int pf_name_parse(const char *s, size_t n, char out[PF_NAME_MAX + 1], const char **why)
{
	char name[PF_NAME_MAX + 1];
	size_t start = 0, i;
	int r;

	if (n > 1 && s[n - 1] == '.')
		n--;
	if (n == 0)
		return no(why, "is empty");
	if (n > PF_NAME_MAX)
		return no(why, "has more than 253 characters");
	r = fold(s, n, name, why);
	if (r < 0)
		return r;
	for (i = 0; i <= n; i++) {
		if (i < n && name[i] != '.')
			continue;
		r = check_label(name + start, i - start, why);
		if (r < 0)
			return r;
		if (i < n)
			start = i + 1;
	}
	if (is_number(name + start, n - start))
		return no(why, "is neither a name nor an address of four decimal numbers");
	memcpy(out, name, n + 1);
	return 0;
}

int pf_host_parse(const char *s, size_t n, struct pf_host *out, const char **why)
{
	struct pf_host h = {0};
	int r;

	if (n && s[0] == '[') {
		if (s[n - 1] != ']' || pf_address_parse(s + 1, n - 2, &h.address) < 0 || !memchr(s, ':', n))
			return no(why, "is no IPv6 address in brackets");
	} else if (memchr(s, ':', n)) {
		return no(why, "has a colon: an IPv6 address is written in brackets");
	} else if (pf_address_parse(s, n, &h.address) < 0) {
		r = pf_name_parse(s, n, h.name, why);
		if (r < 0)
			return r;
	}
	*out = h;
	return 0;
}

int pf_port_parse(const char *s, size_t n, uint16_t *out)
{
	unsigned v = 0;

	if (n == 0 || n > 5 || s[0] == '0')
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (!is_digit(s[i]))
			return -EINVAL;
		v = v * 10 + (unsigned)(s[i] - '0');
	}
	if (v > 65535)
		return -EINVAL;
	*out = (uint16_t)v;
	return 0;
}

int pf_authority_parse(const char *s, size_t n, struct pf_host *out, uint16_t *port, const char **why)
{
	const char *bracket = n && s[0] == '[' ? memchr(s, ']', n) : NULL;
	const char *from = bracket ? bracket : s;
	const char *colon = memchr(from, ':', n - (size_t)(from - s));
	size_t host_len = colon ? (size_t)(colon - s) : n;
	struct pf_host h;
	uint16_t number = 0;
	int r;

	if (colon && pf_port_parse(colon + 1, n - host_len - 1, &number) < 0)
		return no(why, "has a port that is no number from 1 to 65535");
	r = pf_host_parse(s, host_len, &h, why);
	if (r < 0)
		return r;
	*out = h;
	*port = number;
	return 0;
}

bool pf_host_equal(const struct pf_host *a, const struct pf_host *b)
{
	if (a->address.family || b->address.family)
		return pf_address_equal(&a->address, &b->address);
	return strcmp(a->name, b->name) == 0;
}

void pf_host_print(const struct pf_host *h, uint16_t port, char out[PF_TARGET_TEXT])
{
	char address[PF_ADDRESS_TEXT];
	const char *text = h->name;
	size_t n;

	if (h->address.family) {
		pf_address_print(&h->address, address);
		text = address;
	}
	n = (size_t)snprintf(out, PF_TARGET_TEXT, h->address.family == 6 ? "[%s]" : "%s", text);
	if (port)
		snprintf(out + n, PF_TARGET_TEXT - n, ":%u", port);
}

bool pf_name_is_localhost(const char *name)
{
	size_t n = strlen(name);

	return n >= 9 && strcmp(name + n - 9, "localhost") == 0 && (n == 9 || name[n - 10] == '.');
}
