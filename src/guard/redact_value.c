/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which values are secrets. A file of settings is full of values that are none: PORT=3000, DEBUG=true,
 * LOG_DIR=/var/log. Hiding those would make output useless, so a value must look like a secret or its key
 * must say that it is one.
 */
#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"
#include "guard/redact_internal.h"

#define SHORTEST 4u /* of a value whose key says so; shorter ones stand everywhere */
#define USUAL	 8u

static bool contains(const char *name, size_t n, const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i + len <= n; i++) {
		if (strncasecmp(name + i, word, len) == 0)
			return true;
	}
	return false;
}

/* A word of the key, not a part of one: KEYBOARD and COMPASS say nothing. */
static bool has_word(const char *name, size_t n, const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i + len <= n; i++) {
		bool left = i == 0 || !isalpha((unsigned char)name[i - 1]) ||
			    (islower((unsigned char)name[i - 1]) && isupper((unsigned char)name[i]));
		bool right = i + len == n || !islower((unsigned char)name[i + len]) || name[i + len] == 's';

		if (strncasecmp(name + i, word, len) == 0 && left &&
		    (right || isupper((unsigned char)name[i]) != isupper((unsigned char)name[i + len])) &&
		    !(i + len < n && isupper((unsigned char)name[i + len]) &&
		      isupper((unsigned char)name[i]) && (name[i + len] | 0x20) != 's'))
			return true;
	}
	return false;
}

/* TOKEN_URL, KEY_FILE, SECRET_NAME, PASSWORD_MIN_LENGTH: about one, and not one. */
static bool key_is_about(const char *name, size_t n)
{
	static const char *const about[] = {
		"url",	  "uri",    "file",    "path",	   "dir",      "name",	 "length",    "len",
		"ttl",	  "expiry", "expires", "lifetime", "count",    "limit",	 "type",      "id",
		"alg",	  "size",   "enabled", "required", "timeout",  "user",	 "algorithm", "sha",
		"commit", "hash",   "digest",  "uuid",	   "version",  "host",	 "port",      "email",
		"domain", "bucket", "region",  "image",	   "endpoint", "issuer", "audience",
	};

	for (size_t i = 0; i < PF_ARRAY_SIZE(about); i++) {
		size_t len = strlen(about[i]);

		if (n >= len && strncasecmp(name + n - len, about[i], len) == 0 &&
		    (n == len || strchr("_-.", name[n - len - 1])))
			return true;
	}
	return false;
}

bool pf__key_says_so(const char *name, size_t n)
{
	static const char *const parts[] = {"secret",	   "passw",	"passphrase", "credential",
					    "apikey",	   "api_key",	"api-key",    "privatekey",
					    "private_key", "accesskey", "token"};
	static const char *const words[] = {"key", "pass", "pwd", "pin", "pat", "auth"};

	if ((contains(name, n, "public") && !contains(name, n, "secret")) || key_is_about(name, n))
		return false;
	for (size_t i = 0; i < PF_ARRAY_SIZE(parts); i++) {
		if (contains(name, n, parts[i]))
			return true;
	}
	for (size_t i = 0; i < PF_ARRAY_SIZE(words); i++) {
		if (has_word(name, n, words[i]))
			return true;
	}
	return false;
}

static bool all_of(const uint8_t *v, size_t n, const char *more, int (*kind)(int))
{
	for (size_t i = 0; i < n; i++) {
		if (v[i] >= 0x80 || (!kind(v[i]) && !strchr(more, v[i])) || v[i] == 0)
			return false;
	}
	return true;
}

/* What stands in settings that nobody has filled in, or that anybody has. */
static bool placeholder(const uint8_t *v, size_t n)
{
	static const char *const known[] = {
		"true",	   "false",	"none",	    "null",	"nil",	     "undefined",   "yes",
		"no",	   "enabled",	"disabled", "changeme", "change-me", "change_me",   "replaceme",
		"example", "localhost", "optional", "required", "default",   "development", "production",
		"staging", "xxxx",	"todo",	    "test",	"user",
	};
	bool same = n > 0;

	for (size_t i = 0; i < PF_ARRAY_SIZE(known); i++) {
		if (strlen(known[i]) == n && strncasecmp((const char *)v, known[i], n) == 0)
			return true;
	}
	for (size_t i = 1; i < n; i++)
		same = same && v[i] == v[0];
	return same || (n > 2 && ((v[0] == '<' && v[n - 1] == '>') || (v[0] == '$' && v[1] == '{') ||
				  (v[0] == '{' && v[1] == '{')));
}

/* Letters in one of the ways in which words are written, without a digit: not random. */
static bool words(const uint8_t *v, size_t n)
{
	unsigned turns = 0;

	if (!all_of(v, n, " _-.,:;!?'@/", isalpha))
		return false;
	for (size_t i = 1; i < n; i++)
		turns += islower(v[i - 1]) && isupper(v[i]);
	return turns <= n / 5;
}

static bool path_like(const uint8_t *v, size_t n)
{
	if (v[0] == '/' || v[0] == '~' || (v[0] == '.' && n > 1 && (v[1] == '/' || v[1] == '.')))
		return all_of(v, n, "/._-~+@:", isalnum);
	return memchr(v, '/', n) && memchr(v, '.', n) && all_of(v, n, "/._-", isalnum) && n < 40 &&
	       words(v, n);
}

/* Letters of one case and few digits at the end, in words: python3.11, utf-8, postgres15, eu-west-1. */
static bool plain_name(const uint8_t *v, size_t n)
{
	size_t digits = 0, kinds = 0;

	if (!all_of(v, n, "_-.:,/ @", isalnum))
		return false;
	for (size_t i = 0; i < n; i++) {
		digits += isdigit(v[i]) != 0;
		kinds += i > 0 && (isdigit(v[i]) != 0) != (isdigit(v[i - 1]) != 0) && isalnum(v[i]) &&
			 isalnum(v[i - 1]);
	}
	return n < 40 && kinds <= 1 + n / 12 && digits * 3 <= n;
}

/* 12.4.1-beta.2, v3.0.0, 2024-05-01T10:00:00Z */
static bool version_like(const uint8_t *v, size_t n)
{
	return n < 30 && (isdigit(v[0]) || (v[0] == 'v' && isdigit(v[1]))) &&
	       all_of(v, n, ".-+_:/ ", isalnum) &&
	       (memchr(v, '.', n) || memchr(v, '-', n) || memchr(v, ':', n)) && !memchr(v, '_', n);
}

static bool uuid(const uint8_t *v, size_t n)
{
	return n == 36 && v[8] == '-' && v[13] == '-' && v[18] == '-' && v[23] == '-' &&
	       all_of(v, n, "-", isxdigit);
}

/* scheme://user:PASSWORD@host, and nothing else of a URL. 1: that is *at and *n; 0: a URL without; -1: no
 * URL. */
static int url_password(const uint8_t *v, size_t *n, size_t *at)
{
	const uint8_t *sep = memmem(v, *n, "://", 3), *colon, *end, *stop;

	if (!sep || sep == v || !all_of(v, (size_t)(sep - v), "+.-", isalnum))
		return -1;
	end = v + *n;
	stop = sep + 3;
	while (stop < end && *stop != '/' && *stop != '?' && *stop != '#' && *stop != ' ')
		stop++;
	colon = memchr(sep + 3, ':', (size_t)(stop - sep - 3));
	end = memrchr(sep + 3, '@', (size_t)(stop - sep - 3));
	if (!colon || !end || colon > end || end - colon < 2)
		return 0;
	*at = (size_t)(colon + 1 - v);
	*n = (size_t)(end - colon - 1);
	return 1;
}

bool pf__value_counts(const char *name, const uint8_t *v, size_t *n, size_t *at, enum pf_redact_sure sure,
		      bool *whole_only)
{
	bool says = sure == PF_REDACT_SURE || pf__key_says_so(name, strlen(name));
	int url;

	*at = 0;
	while (*n > 0 && isspace(v[*n - 1]))
		(*n)--;
	while (*at < *n && isspace(v[*at]))
		(*at)++;
	v += *at;
	*n -= *at;
	if (*n < SHORTEST)
		return false;
	if (sure != PF_REDACT_SURE) {
		size_t inner = 0;

		url = url_password(v, n, &inner);
		if (url == 0)
			return false;
		says = says || url > 0;
		v += inner;
		*at += inner;
		if (*n < SHORTEST || placeholder(v, *n))
			return false;
		if (all_of(v, *n, ".,:-+/ ", isdigit) && (!says || *n < 6))
			return false;
		if (!says && (*n < USUAL || key_is_about(name, strlen(name)) || version_like(v, *n) ||
			      uuid(v, *n) || words(v, *n) || path_like(v, *n) || plain_name(v, *n)))
			return false;
		if (says && path_like(v, *n) && v[0] == '/')
			return false;
	}
	*whole_only = *n < USUAL || (words(v, *n) && *n < 20);
	return true;
}

/* In quarters: 4 for a byte that looks random, 1 in what reads like a word, 0 in the known beginnings of
 * tokens, which say nothing. */
void pf__value_weigh(const uint8_t *v, size_t n, uint8_t *weight)
{
	size_t i = 0;

	while (i < n) {
		size_t k = i;
		bool vowel = false;

		while (k < n && (islower(v[k]) || (k == i && isupper(v[k])))) {
			vowel = vowel || strchr("aeiouyAEIOUY", v[k]);
			k++;
		}
		if (k == i)
			k++;
		memset(weight + i, k - i >= 4 || (k - i == 3 && vowel) ? 1 : 4, k - i);
		i = k;
	}
	/* "sk_live_", "ghp_", "xoxb-": letters up to a separator near the beginning. */
	for (i = 0; i < n && i < 12 && (islower(v[i]) || v[i] == '_' || v[i] == '-'); i++) {
		if (v[i] == '_' || v[i] == '-')
			memset(weight, 1, i + 1);
	}
}
