/* SPDX-License-Identifier: Apache-2.0 */
/* What no row of runs says: the password in a URL, a value whose key names it, a private key. */
#include <ctype.h>
#include <string.h>

#include "guard/redact_internal.h"

#define PEM_MAX 16384u

const char *pf__special_name(enum pf__special which)
{
	static const char *const names[PF__SPECIALS] = {
		[PF__URL] = "url-password",	      [PF__PEM] = "private-key",
		[PF__ASSIGNMENT] = "assigned-secret", [PF__BLOB_RAW] = "archive",
		[PF__BLOB_BASE64] = "archive",	      [PF__BLOB_HEX] = "archive",
	};
	return which < PF__SPECIALS ? names[which] : "?";
}

static size_t run(const struct pf__text *t, size_t i, size_t max, const char *more)
{
	size_t n = 0;

	while (n < max && i + n < t->n && t->p[i + n] && (isalnum(t->p[i + n]) || strchr(more, t->p[i + n])))
		n++;
	return n;
}

static bool ends(const struct pf__text *t, size_t i)
{
	return i >= t->n && !t->final;
}

/* Nobody's placeholder: "password", "s3cret" and "<pass>" stand in manuals. */
static bool random_looking(const uint8_t *p, size_t n)
{
	bool upper = false, lower = false, digit = false;
	unsigned turns = 0;

	for (size_t i = 0; i < n; i++) {
		upper = upper || isupper(p[i]);
		lower = lower || islower(p[i]);
		digit = digit || isdigit(p[i]);
		turns += i > 0 && (isdigit(p[i]) != 0) != (isdigit(p[i - 1]) != 0);
	}
	return n >= 8 && digit && (upper || lower) && turns >= 3 && pf__entropy(p, n) >= 2.9;
}

/* scheme://user:PASSWORD@host; i is at "://". */
static enum pf__found url(const struct pf__text *t, size_t i, size_t *from, size_t *to)
{
	static const char more[] = "._~!$&'()*+,;=%-";
	size_t user, pass;

	if (i == 0 || !isalnum(t->p[i - 1]))
		return PF__NO;
	user = run(t, i + 3, 128, more);
	if (ends(t, i + 3 + user))
		return PF__MORE;
	i += 3 + user;
	if (i >= t->n || t->p[i] != ':')
		return PF__NO;
	pass = run(t, i + 1, 256, more);
	if (ends(t, i + 1 + pass))
		return PF__MORE;
	if (i + 1 + pass >= t->n || t->p[i + 1 + pass] != '@' || !random_looking(t->p + i + 1, pass))
		return PF__NO;
	*from = i + 1;
	*to = i + 1 + pass;
	return PF__YES;
}

/* "-----BEGIN ... PRIVATE KEY-----" up to its end line; i is at the dashes. */
static enum pf__found pem(const struct pf__text *t, size_t i, size_t *from, size_t *to)
{
	static const char head[] = "-----BEGIN ", tail[] = "-----END ";
	const uint8_t *mid, *end;
	size_t n = t->n - i, label, body;

	if (memcmp(t->p + i, head, n < sizeof(head) - 1 ? n : sizeof(head) - 1) != 0)
		return PF__NO;
	if (n < 64)
		return t->final ? PF__NO : PF__MORE;
	mid = memmem(t->p + i + 11, 53, "-----", 5);
	label = mid ? (size_t)(mid - (t->p + i + 11)) : 0;
	if (!mid || !memmem(t->p + i + 11, label, "PRIVATE KEY", 11))
		return PF__NO;
	body = i + 11 + label + 5;
	end = memmem(t->p + body, n - 11 - label - 5 < PEM_MAX ? n - 11 - label - 5 : PEM_MAX, tail,
		     sizeof(tail) - 1);
	if (!end && !t->final && n < PEM_MAX)
		return PF__MORE;
	*from = i;
	*to = end ? (size_t)(end - t->p) : n < PEM_MAX ? t->n : i + PEM_MAX;
	/* A label alone, or a manual's "...", is no key. */
	if (*to - body < 80)
		return PF__NO;
	if (end) {
		mid = memmem(end + 9, t->n - *to - 9 < 64 ? t->n - *to - 9 : 64, "-----", 5);
		if (!mid && !t->final && t->n - *to < 80)
			return PF__MORE;
		*to = mid ? (size_t)(mid + 5 - t->p) : *to;
	}
	return PF__YES;
}

/* ...key = "VALUE", ...token: VALUE; i is somewhere in the key's name. */
static enum pf__found assignment(const struct pf__text *t, size_t i, size_t *from, size_t *to)
{
	size_t name = i, end, k, n;
	char text[64];

	while (name > 0 && i - name < 40 && (isalnum(t->p[name - 1]) || strchr("_-.", t->p[name - 1])) &&
	       t->p[name - 1])
		name--;
	end = i + run(t, i, 32, "_-");
	if (ends(t, end))
		return PF__MORE;
	if (end - name >= sizeof(text))
		return PF__NO;
	memcpy(text, t->p + name, end - name);
	text[end - name] = '\0';
	if (!pf__key_says_so(text, end - name) || strcasecmp(text, "key") == 0)
		return PF__NO;
	k = end;
	while (k < t->n && k < end + 4 && strchr("\"' \\", t->p[k]) && t->p[k])
		k++;
	if (ends(t, k))
		return PF__MORE;
	if (k >= t->n || (t->p[k] != '=' && t->p[k] != ':'))
		return PF__NO;
	while (k < t->n && k < end + 12 && strchr("=:> \"'\\", t->p[k]) && t->p[k])
		k++;
	n = run(t, k, 256, "+/=_.~-");
	if (ends(t, k + n))
		return PF__MORE;
	if (n < 20 || n > 200 || pf__entropy(t->p + k, n) < 3.7 || !pf__check(PF__CHECK_MIXED, t->p + k, n))
		return PF__NO;
	*from = k;
	*to = k + n;
	return PF__YES;
}

enum pf__found pf__special_match(enum pf__special which, const struct pf__text *t, size_t i, size_t *from,
				 size_t *to)
{
	switch (which) {
	case PF__URL:
		return url(t, i, from, to);
	case PF__PEM:
		return pem(t, i, from, to);
	case PF__ASSIGNMENT:
		return assignment(t, i, from, to);
	default:
		return PF__NO;
	}
}
