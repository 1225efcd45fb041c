/* SPDX-License-Identifier: Apache-2.0 */
/* /etc/resolv.conf and /etc/hosts; see resolver.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "egress/resolver.h"

#define DNS_PORT 53
#define FILE_MAX (1u << 20)
#define TIMEOUT_MS                                                                                           \
	2000 /* less than the libc's 5 s: a client inside waits for this, and there is a next server */
#define ATTEMPTS      2
#define ATTEMPTS_MAX  5 /* resolv.conf(5) */
#define TIMEOUT_MAX_S 30

struct words {
	const char *p, *end;
};

/* The next word of a line, up to a comment. */
static bool next_word(struct words *w, const char **word, size_t *n)
{
	while (w->p < w->end && (*w->p == ' ' || *w->p == '\t' || *w->p == '\r'))
		w->p++;
	if (w->p == w->end || *w->p == '#' || *w->p == ';')
		return false;
	*word = w->p;
	while (w->p < w->end && !strchr(" \t\r#", *w->p))
		w->p++;
	*n = (size_t)(w->p - *word);
	return *n > 0;
}

static bool next_line(const char **text, const char *end, struct words *out)
{
	const char *nl;

	if (*text >= end)
		return false;
	nl = memchr(*text, '\n', (size_t)(end - *text));
	*out = (struct words){*text, nl ? nl : end};
	*text = out->end + 1;
	return true;
}

static bool is(const char *word, size_t n, const char *text)
{
	return strlen(text) == n && memcmp(word, text, n) == 0;
}

static void option(struct pf_resolver *r, const char *word, size_t n)
{
	const char *colon = memchr(word, ':', n);
	size_t key = colon ? (size_t)(colon - word) : n;
	char digits[8];
	uint32_t v;

	if (!colon || n - key - 1 >= sizeof(digits))
		return;
	memcpy(digits, colon + 1, n - key - 1);
	digits[n - key - 1] = '\0';
	if (pf_parse_u32(digits, &v) < 0 || v == 0)
		return;
	if (is(word, key, "timeout"))
		r->timeout_ms = 1000 * (v < TIMEOUT_MAX_S ? v : TIMEOUT_MAX_S);
	else if (is(word, key, "attempts"))
		r->attempts = v < ATTEMPTS_MAX ? v : ATTEMPTS_MAX;
}

static void add_server(struct pf_resolver *r, const struct pf_address *a, uint16_t port)
{
	if (r->count < PF_RESOLVER_SERVERS)
		r->servers[r->count++] = (struct pf_resolver_server){*a, port};
}

void pf_resolver_conf(struct pf_resolver *r, const char *text, size_t n)
{
	static const struct pf_address local = {4, {127, 0, 0, 1}};
	const char *end = text + n, *word;
	struct pf_address a;
	struct words line;
	size_t size;

	r->count = 0;
	r->timeout_ms = TIMEOUT_MS;
	r->attempts = ATTEMPTS;
	while (next_line(&text, end, &line)) {
		if (!next_word(&line, &word, &size))
			continue;
		if (is(word, size, "nameserver")) {
			if (next_word(&line, &word, &size) && pf_address_parse(word, size, &a) == 0)
				add_server(r, &a, DNS_PORT);
		} else if (is(word, size, "options")) {
			while (next_word(&line, &word, &size))
				option(r, word, size);
		}
	}
	if (r->count == 0)
		add_server(r, &local, DNS_PORT);
}

void pf_resolver_only(struct pf_resolver *r, const struct pf_address *server, uint16_t port)
{
	*r = (struct pf_resolver){.timeout_ms = TIMEOUT_MS, .attempts = ATTEMPTS};
	add_server(r, server, port);
}

static int add_host(struct pf_resolver *r, const char *word, size_t n, const struct pf_address *a)
{
	char name[PF_NAME_MAX + 1];
	const char *why;
	struct pf_resolver_host *hosts;

	if (r->host_count == PF_RESOLVER_HOSTS_MAX || pf_name_parse(word, n, name, &why) < 0)
		return 0;
	if ((r->host_count & (r->host_count - 1)) == 0) { /* room for the next power of two */
		hosts = realloc(r->hosts, (r->host_count ? 2 * r->host_count : 1) * sizeof(*hosts));
		if (!hosts)
			return -ENOMEM;
		r->hosts = hosts;
	}
	r->hosts[r->host_count] = (struct pf_resolver_host){strdup(name), *a};
	if (!r->hosts[r->host_count].name)
		return -ENOMEM;
	r->host_count++;
	return 0;
}

int pf_resolver_hosts(struct pf_resolver *r, const char *text, size_t n)
{
	const char *end = text + n, *word;
	struct pf_address a;
	struct words line;
	size_t size;

	while (next_line(&text, end, &line)) {
		if (!next_word(&line, &word, &size) || pf_address_parse(word, size, &a) < 0)
			continue;
		while (next_word(&line, &word, &size))
			if (add_host(r, word, size, &a) < 0)
				return -ENOMEM;
	}
	return 0;
}

static int load(const char *path, struct pf_buf *text, struct pf_error *err)
{
	int r = pf_read_file(AT_FDCWD, path, text, FILE_MAX);

	if (r == 0 || r == -ENOENT)
		return 0;
	return pf_fail(err, r, "cannot read %s: %s", path, strerror(-r));
}

int pf_resolver_load(struct pf_resolver *out, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf conf = {0}, hosts = {0};
	struct pf_resolver r = {0};
	int e = load("/etc/resolv.conf", &conf, err);

	if (e == 0)
		e = load("/etc/hosts", &hosts, err);
	if (e < 0)
		return e;
	pf_resolver_conf(&r, conf.data ? conf.data : "", conf.len);
	if (pf_resolver_hosts(&r, hosts.data ? hosts.data : "", hosts.len) < 0) {
		pf_resolver_free(&r);
		return pf_fail(err, -ENOMEM, "no memory for /etc/hosts");
	}
	*out = r;
	return 0;
}

void pf_resolver_free(struct pf_resolver *r)
{
	for (size_t i = 0; i < r->host_count; i++)
		free(r->hosts[i].name);
	free(r->hosts);
	*r = (struct pf_resolver){0};
}
