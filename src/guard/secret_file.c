/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hidden file holds. Its form is told by its looks: lines of KEY=VALUE (.env, ini, properties, npmrc,
 * credentials of AWS), KEY: VALUE (YAML), "KEY": "VALUE" (JSON, however deep), netrc's "password WORD", a
 * private key, or one bare token. The file may be hostile: each line is looked at once, and what is not
 * understood is passed over.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "guard/redact_internal.h"
#include "guard/secret.h"

#define NAME_MAX_BYTES 63u

struct reader {
	struct pf_redact *r;
	bool *full;
	int error;
	unsigned found;
};

bool pf_secret_key(const char *name)
{
	return pf__key_says_so(name, strlen(name));
}

static void add(struct reader *rd, const char *name, size_t n, const char *value, size_t len)
{
	char key[NAME_MAX_BYTES + 1];
	int e;

	if (rd->error || *rd->full || len == 0 || len > PF_REDACT_VALUE_MAX)
		return;
	n = n < NAME_MAX_BYTES ? n : NAME_MAX_BYTES;
	memcpy(key, name, n);
	key[n] = '\0';
	e = pf_redact_add(rd->r, key, value, len, PF_REDACT_MAYBE);
	if (e == -E2BIG)
		*rd->full = true;
	else if (e < 0)
		rd->error = e;
	rd->found++;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static const char *skip(const char *p, const char *end)
{
	while (p < end && blank(*p))
		p++;
	return p;
}

static size_t key_length(const char *p, const char *end)
{
	const char *from = p;

	while (p < end && (isalnum((unsigned char)*p) || strchr("_-./@:", *p)) && *p)
		p++;
	while (p > from && p[-1] == ':') /* YAML's colon; one within stays (npmrc) */
		p--;
	return (size_t)(p - from);
}

/* Without quotes, without a comment behind blanks, without what ends a line of JSON. */
static void value(struct reader *rd, const char *name, size_t n, const char *p, const char *end)
{
	char quote = 0;

	p = skip(p, end);
	while (end > p && blank(end[-1]))
		end--;
	if (p < end && (*p == '"' || *p == '\'')) {
		const char *close;

		quote = *p++;
		for (close = p; close < end && *close != quote; close++)
			close += quote == '"' && *close == '\\' && close + 1 < end;
		end = close;
	} else {
		const char *comment = memmem(p, (size_t)(end - p), " #", 2);

		end = comment ? comment : end;
		while (end > p && (blank(end[-1]) || end[-1] == ','))
			end--;
	}
	add(rd, name, n, p, (size_t)(end - p));
}

/* Every "KEY": "VALUE" of a line of JSON. */
static bool quoted_pairs(struct reader *rd, const char *p, const char *end)
{
	bool any = false;

	while (p < end) {
		const char *open = memchr(p, '"', (size_t)(end - p)), *close, *colon;

		if (!open)
			break;
		close = memchr(open + 1, '"', (size_t)(end - open - 1));
		if (!close)
			break;
		colon = skip(close + 1, end);
		if (colon == end || *colon != ':') {
			p = close + 1;
			continue;
		}
		p = skip(colon + 1, end);
		any = true;
		if (p < end && *p == '"') {
			const char *stop = p + 1;

			while (stop < end && *stop != '"')
				stop += *stop == '\\' && stop + 1 < end ? 2 : 1;
			stop = stop < end ? stop : end;
			add(rd, open + 1, (size_t)(close - open - 1), p + 1, (size_t)(stop - p - 1));
			p = stop < end ? stop + 1 : end;
		}
	}
	return any;
}

/* netrc: "machine H login L password P", in one line or several. */
static bool netrc(struct reader *rd, const char *p, const char *end)
{
	static const char word[] = "password ";
	const char *at = memmem(p, (size_t)(end - p), word, sizeof(word) - 1), *stop;

	if (!at || (at > p && !blank(at[-1])))
		return false;
	at = skip(at + sizeof(word) - 1, end);
	for (stop = at; stop < end && !blank(*stop); stop++)
		;
	if (stop > at && *at != '=')
		add(rd, "password", 8, at, (size_t)(stop - at));
	return stop > at && *at != '=';
}

static void line(struct reader *rd, const char *p, const char *end)
{
	const char *after;
	size_t n;

	p = skip(p, end);
	if (p == end || *p == '#' || *p == ';' || *p == '[')
		return;
	if (quoted_pairs(rd, p, end) || netrc(rd, p, end))
		return;
	if (end - p > 7 && memcmp(p, "export ", 7) == 0)
		p = skip(p + 7, end);
	if (end - p > 2 && memcmp(p, "- ", 2) == 0)
		p = skip(p + 2, end);
	n = key_length(p, end);
	after = skip(p + n, end);
	if (n && after < end && (*after == '=' || *after == ':'))
		value(rd, p, n, after + 1, end);
}

/* user:password@host or host:port:db:user:password (.git-credentials is URLs; .pgpass) */
static void credentials(struct reader *rd, const char *p, const char *end)
{
	unsigned colons = 0;
	const char *last = p;

	if (memmem(p, (size_t)(end - p), "://", 3)) {
		add(rd, "credentials", 11, p, (size_t)(end - p));
		return;
	}
	for (const char *c = p; c < end; c++) {
		if (*c == ':') {
			colons++;
			last = c + 1;
		}
	}
	if (colons == 4)
		add(rd, "password", 8, last, (size_t)(end - last));
}

static const char *base_name(const char *file)
{
	const char *slash = strrchr(file, '/');

	return slash ? slash + 1 : file;
}

int pf_secret_file(struct pf_redact *r, const char *file, const char *text, size_t n, bool *full)
{
	struct reader rd = {.r = r, .full = full};
	const char *p = text, *end = text + n, *name = base_name(file);
	bool one_line = memchr(text, '\n', n) == NULL || memchr(text, '\n', n) == text + n - 1;

	if (n > 10 && memmem(text, n, "PRIVATE KEY", 11)) { /* each of its lines is as secret as all of it */
		while (p < end) {
			const char *nl = memchr(p, '\n', (size_t)(end - p)), *stop = nl ? nl : end;

			if (stop - p >= 40 && *p != '-' && !memchr(p, ':', (size_t)(stop - p)))
				add(&rd, name, strlen(name), p, (size_t)(stop - p));
			p = nl ? nl + 1 : end;
		}
		return rd.error;
	}
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p)), *stop = nl ? nl : end;
		unsigned before = rd.found;

		line(&rd, p, stop);
		if (rd.found == before)
			credentials(&rd, p, stop);
		p = nl ? nl + 1 : end;
	}
	if (rd.found == 0 && one_line) /* a bare token */
		add(&rd, name, strlen(name), text, n);
	return rd.error;
}
