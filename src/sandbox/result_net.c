/* SPDX-License-Identifier: Apache-2.0 */
/* What of a result is about the network: connections and denials, as they come and as JSON. */
#include "sandbox/result_net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

#define DENIALS_MAX	256 /* different ones; a loop that is refused a million times is one, counted */
#define CONNECTIONS_MAX 256

/* --- denials --- */

static struct pf_denial *find_denial(struct pf_result *r, const char *kind, const char *target,
				     const char *rule, const char *hint)
{
	for (size_t i = 0; i < r->denial_count; i++) {
		struct pf_denial *d = &r->denials[i];

		if (strcmp(d->kind, kind) == 0 && pf_streq(d->target, target) && pf_streq(d->rule, rule) &&
		    pf_streq(d->hint, hint))
			return d;
	}
	return NULL;
}

int pf_result_deny(struct pf_result *r, const char *kind, const char *target, const char *rule,
		   const char *hint)
{
	struct pf_denial d = {.kind = kind, .count = 1}, *more = find_denial(r, kind, target, rule, hint);
	bool failed = false;

	if (more) {
		more->count++;
		return 0;
	}
	if (r->denial_count >= DENIALS_MAX) {
		r->denials_left_out++;
		return 0;
	}
	more = realloc(r->denials, (r->denial_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	r->denials = more;
	d.target = pf_strdup_or(target, &failed);
	d.rule = pf_strdup_or(rule, &failed);
	d.hint = pf_strdup_or(hint, &failed);
	if (failed) {
		free(d.target);
		free(d.rule);
		free(d.hint);
		return -ENOMEM;
	}
	more[r->denial_count++] = d;
	return 1;
}

void pf__result_denied_again(struct pf_result *r, const char *kind, const char *target, const char *rule,
			     const char *hint, uint64_t times)
{
	struct pf_denial *d = find_denial(r, kind, target, rule, hint);

	if (d)
		d->count += times;
	else
		r->denials_left_out += times;
}

void pf__denial_json(const struct pf_denial *d, struct pf_jsonw *w)
{
	pf_jsonw_begin(w, '{');
	pf_jsonw_kstr(w, "kind", d->kind);
	pf_jsonw_kstr(w, "target", d->target);
	pf_jsonw_kstr(w, "rule", d->rule);
	pf_jsonw_kstr(w, "hint", d->hint);
	pf_jsonw_kint(w, "count", (int64_t)d->count);
	pf_jsonw_end(w, '}');
}

/* --- connections --- */

struct pf_connection *pf__result_connection(struct pf_result *r, uint64_t id, uint64_t request)
{
	for (size_t i = r->connection_count; i > 0; i--)
		if (r->connections[i - 1].id == id && r->connections[i - 1].request == request)
			return &r->connections[i - 1];
	return NULL;
}

int pf__result_connect(struct pf_result *r, const struct pf_connection *c)
{
	struct pf_connection copy = *c, *more;
	bool failed = false;

	if (r->connection_count >= CONNECTIONS_MAX) {
		r->connections_left_out++;
		return 0;
	}
	more = realloc(r->connections, (r->connection_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	r->connections = more;
	copy.target = pf_strdup_or(c->target, &failed);
	copy.address = pf_strdup_or(c->address, &failed);
	copy.rule = pf_strdup_or(c->rule, &failed);
	copy.error = pf_strdup_or(c->error, &failed);
	if (failed) {
		pf__connection_free(&copy);
		return -ENOMEM;
	}
	more[r->connection_count++] = copy;
	return 1;
}

void pf__connection_free(struct pf_connection *c)
{
	free(c->target);
	free(c->address);
	free(c->rule);
	free(c->error);
}

static void kint_or_null(struct pf_jsonw *w, const char *key, int64_t v)
{
	if (v < 0)
		pf_jsonw_knull(w, key);
	else
		pf_jsonw_kint(w, key, v);
}

void pf__connection_json(const struct pf_connection *c, struct pf_jsonw *w)
{
	pf_jsonw_begin(w, '{');
	pf_jsonw_kstr(w, "target", c->target);
	pf_jsonw_kstr(w, "address", c->address);
	pf_jsonw_kstr(w, "protocol", c->protocol);
	pf_jsonw_kstr(w, "rule", c->rule);
	pf_jsonw_kstr(w, "verdict", c->verdict);
	pf_jsonw_kstr(w, "reason", c->reason);
	pf_jsonw_kstr(w, "error", c->error);
	kint_or_null(w, "sent_bytes", c->sent);
	kint_or_null(w, "received_bytes", c->received);
	kint_or_null(w, "duration_ms", c->duration_ms);
	pf_jsonw_end(w, '}');
}

void pf__network_json(const struct pf_result *r, struct pf_jsonw *w)
{
	pf_jsonw_key(w, "connections");
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; i < r->connection_count; i++)
		pf__connection_json(&r->connections[i], w);
	pf_jsonw_end(w, ']');
	pf_jsonw_kint(w, "connections_left_out", (int64_t)r->connections_left_out);
}

void pf__network_free(struct pf_result *r)
{
	for (size_t i = 0; i < r->denial_count; i++) {
		free(r->denials[i].target);
		free(r->denials[i].rule);
		free(r->denials[i].hint);
	}
	for (size_t i = 0; i < r->connection_count; i++)
		pf__connection_free(&r->connections[i]);
	free(r->denials);
	free(r->connections);
}
