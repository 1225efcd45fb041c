/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A result as the JSON object of docs/result.schema.json. Every field is always written; what is not
 * known is null. What nobody looked for is null too, and what did not happen an empty list.
 */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "sandbox/result_net.h"

static void kint_or_null(struct pf_jsonw *w, const char *key, int64_t v)
{
	if (v < 0)
		pf_jsonw_knull(w, key);
	else
		pf_jsonw_kint(w, key, v);
}

static void kstr_or_null(struct pf_jsonw *w, const char *key, const char *s)
{
	pf_jsonw_kstr(w, key, s && *s ? s : NULL);
}

/* Text as it is when it is UTF-8, base64 of all of it when it is not: never a mixture, never a byte lost.
 * NUL is UTF-8 and JSON writes it as \u0000. */
static const char *write_output(struct pf_jsonw *w, const char *key, const struct pf_buf *b)
{
	const char *data = b->data ? b->data : "";

	pf_jsonw_key(w, key);
	if (pf_utf8_valid(data, b->len)) {
		pf_jsonw_strn(w, data, b->len);
		return "utf-8";
	}
	pf_jsonw_base64(w, data, b->len);
	return "base64";
}

static void write_end(const struct pf_result *r, struct pf_jsonw *w)
{
	char buf[16];

	pf_jsonw_kstr(w, "cause", pf_cause_name(r->cause));
	kint_or_null(w, "exit_code", r->exit_code);
	pf_jsonw_kstr(w, "signal", r->signal > 0 ? pf_signal_name(r->signal, buf) : NULL);
	pf_jsonw_key(w, "limits_hit");
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; i < r->hit_count; i++) {
		pf_jsonw_begin(w, '{');
		pf_jsonw_kstr(w, "kind", r->hits[i].kind);
		kint_or_null(w, "count", r->hits[i].count);
		pf_jsonw_end(w, '}');
	}
	pf_jsonw_end(w, ']');
	pf_jsonw_key(w, "denials");
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; i < r->denial_count; i++)
		pf__denial_json(&r->denials[i], w);
	pf_jsonw_end(w, ']');
	pf_jsonw_kint(w, "denials_left_out", (int64_t)r->denials_left_out);
	pf_jsonw_kstr(w, "error", r->error);
}

static void write_streams(const struct pf_result *r, struct pf_jsonw *w)
{
	const char *out_encoding = write_output(w, "stdout", &r->out);
	const char *err_encoding = write_output(w, "stderr", &r->err);

	pf_jsonw_kstr(w, "stdout_encoding", out_encoding);
	pf_jsonw_kstr(w, "stderr_encoding", err_encoding);
	pf_jsonw_key(w, "stdout_bytes");
	pf_jsonw_uint(w, r->out_bytes);
	pf_jsonw_key(w, "stderr_bytes");
	pf_jsonw_uint(w, r->err_bytes);
	pf_jsonw_kbool(w, "truncated", r->truncated);
}

static void write_usage(const struct pf_result *r, struct pf_jsonw *w)
{
	pf_jsonw_key(w, "usage");
	pf_jsonw_begin(w, '{');
	kint_or_null(w, "cpu_ms", r->cpu_ms);
	kint_or_null(w, "peak_memory_bytes", r->peak_memory);
	kint_or_null(w, "processes_peak", r->processes_peak);
	pf_jsonw_kstr(w, "source", r->usage_source);
	pf_jsonw_end(w, '}');
}

/* Names of files may be any bytes: what is no UTF-8 is made printable, as for a terminal. */
static void write_names(struct pf_jsonw *w, const char *key, const struct pf_list *l)
{
	pf_jsonw_key(w, key);
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; i < l->count; i++) {
		char text[8192];

		pf_printable(l->items[i], strlen(l->items[i]), text, sizeof(text));
		pf_jsonw_str(w, text);
	}
	pf_jsonw_end(w, ']');
}

static void write_applied(const struct pf_applied *a, struct pf_jsonw *w)
{
	pf_jsonw_key(w, "applied");
	if (a->state == PF_APPLIED_NULL) {
		pf_jsonw_null(w);
		return;
	}
	pf_jsonw_begin(w, '{');
	pf_jsonw_kstr(w, "state", pf_applied_name(a->state));
	pf_jsonw_key(w, "entries");
	pf_jsonw_uint(w, a->entries);
	kstr_or_null(w, "why", a->why);
	write_names(w, "conflicts", &a->conflicts);
	write_names(w, "protected", &a->held);
	write_names(w, "notes", &a->notes);
	pf_jsonw_end(w, '}');
}

static void write_changes(const struct pf_result *r, struct pf_jsonw *w)
{
	pf_jsonw_key(w, "changes");
	if (!r->has_changes) {
		pf_jsonw_null(w);
		return;
	}
	pf_jsonw_begin(w, '{');
	kstr_or_null(w, "id", r->changes_id);
	pf_jsonw_key(w, "added");
	pf_jsonw_uint(w, r->added);
	pf_jsonw_key(w, "modified");
	pf_jsonw_uint(w, r->modified);
	pf_jsonw_key(w, "deleted");
	pf_jsonw_uint(w, r->deleted);
	pf_jsonw_kbool(w, "incomplete", r->incomplete);
	kstr_or_null(w, "note", r->changes_note);
	write_applied(&r->applied, w);
	pf_jsonw_end(w, '}');
}

static void write_command(const struct pf_guard *g, struct pf_jsonw *w)
{
	pf_jsonw_key(w, "command");
	if (!g->judged) {
		pf_jsonw_null(w);
		return;
	}
	pf_jsonw_begin(w, '{');
	pf_jsonw_kstr(w, "mode", g->enforced ? "enforce" : "audit");
	pf_jsonw_kstr(w, "verdict", pf_verdict_name(g->verdict.verdict));
	pf_jsonw_kbool(w, "would_allow", g->verdict.would_allow);
	pf_jsonw_kstr(w, "rule", g->verdict.rule);
	pf_jsonw_kstr(w, "reason", g->verdict.reason);
	pf_jsonw_kbool(w, "shell", g->shell);
	kstr_or_null(w, "written", *g->verdict.written ? g->verdict.written : NULL);
	pf_jsonw_end(w, '}');
}

static void write_guard(const struct pf_guard *g, const struct pf_prompts *p, struct pf_jsonw *w)
{
	pf_jsonw_key(w, "guard");
	if (!g->judged && !p->count) {
		pf_jsonw_null(w);
		return;
	}
	pf_jsonw_begin(w, '{');
	write_command(g, w);
	pf_prompts_json(p, w);
	pf_jsonw_end(w, '}');
}

static void write_redactions(const struct pf_redact_account *a, struct pf_jsonw *w)
{
	pf_jsonw_key(w, "redactions");
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; i < a->count; i++) {
		pf_jsonw_begin(w, '{');
		pf_jsonw_kstr(w, "rule", a->items[i].rule);
		pf_jsonw_kstr(w, "encoding", a->items[i].encoding);
		pf_jsonw_kstr(w, "stream", a->items[i].stream);
		pf_jsonw_key(w, "count");
		pf_jsonw_uint(w, a->items[i].count);
		pf_jsonw_end(w, '}');
	}
	pf_jsonw_end(w, ']');
}

int pf_result_json(const struct pf_result *r, unsigned indent, struct pf_buf *out)
{
	struct pf_jsonw w;

	pf_jsonw_init(&w, out, indent);
	pf_jsonw_begin(&w, '{');
	pf_jsonw_kint(&w, "schema", 1);
	kstr_or_null(&w, "id", r->id);
	pf_jsonw_kstr(&w, "tier", r->receipt.tier);
	pf_jsonw_key(&w, "argv");
	pf_jsonw_begin(&w, '[');
	for (size_t i = 0; i < r->argv.count; i++)
		pf_jsonw_str(&w, r->argv.items[i]);
	pf_jsonw_end(&w, ']');
	write_end(r, &w);
	write_streams(r, &w);
	kstr_or_null(&w, "started_at", r->started_at);
	kint_or_null(&w, "duration_ms", r->duration_ms);
	write_usage(r, &w);
	write_changes(r, &w);
	if (r->has_changes)
		write_names(&w, "secrets_in_changes", &r->secrets);
	else
		pf_jsonw_knull(&w, "secrets_in_changes");
	pf__network_json(r, &w);
	write_redactions(&r->redactions, &w);
	kstr_or_null(&w, "policy", r->receipt.policy);
	kstr_or_null(&w, "image", r->receipt.image);
	write_guard(&r->guard, &r->prompts, &w);
	pf_jsonw_knull(&w, "budget");
	pf_jsonw_key(&w, "receipt");
	pf__receipt_json(&r->receipt, &w);
	pf_jsonw_end(&w, '}');
	return out->failed ? -ENOMEM : 0;
}
