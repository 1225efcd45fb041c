/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person is told after a run, on standard error and only if it is worth a line: why the command ended
 * when it did not simply end, what it hit and survived, what was refused, what it changed. Names in here come
 * from inside and pass pf_printable().
 */
#include <string.h>

#include "base/str.h"
#include "cli/run.h"

static void lead(struct pf_buf *out)
{
	pf_buf_adds(out, "pinfold: ");
}

static void say_time(struct pf_buf *out, const char *what, uint64_t ms, const char *option)
{
	char text[16];

	pf_format_duration(ms, text);
	lead(out);
	pf_buf_addf(out, "%s %s: the command was ended; %s TIME gives it longer\n", what, text, option);
}

static void say_size(struct pf_buf *out, const char *what, uint64_t bytes, const char *option)
{
	char text[16];

	pf_format_size(bytes, text);
	lead(out);
	pf_buf_addf(out, "%s %s; %s SIZE allows more\n", what, text, option);
}

static void say_error(struct pf_buf *out, const char *what, const char *error)
{
	lead(out);
	if (what)
		pf_buf_addf(out, "%s: ", what);
	pf_cli_name(out, error ? error : "no reason is known");
	pf_buf_addc(out, '\n');
}

static void say_cause(const struct pf_result *r, const struct pf_limits *l, struct pf_buf *out)
{
	char name[16];

	switch (r->cause) {
	case PF_CAUSE_EXITED:
		if (r->error) /* 126 and 127: why it did not start */
			say_error(out, NULL, r->error);
		break;
	case PF_CAUSE_SIGNALLED:
		lead(out);
		pf_buf_addf(out, "the command was ended by %s\n", pf_signal_name(r->signal, name));
		break;
	case PF_CAUSE_TIMEOUT:
		say_time(out, "timeout: it ran for", l->wall_ms, "--timeout");
		break;
	case PF_CAUSE_IDLE_TIMEOUT:
		say_time(out, "idle_timeout: no byte on any stream for", l->idle_ms, "--idle-timeout");
		break;
	case PF_CAUSE_OUTPUT_LIMIT:
		say_size(out, "output_limit: the command was ended after output of", l->output,
			 "--output-limit");
		break;
	case PF_CAUSE_OOM:
		say_size(out, "oom: the sandbox ran out of its memory,", l->memory, "--memory");
		break;
	case PF_CAUSE_PIDS:
		lead(out);
		pf_buf_addf(out, "pids: the sandbox ran out of its %u processes; --processes N allows more\n",
			    l->processes);
		break;
	case PF_CAUSE_DISK_LIMIT:
		lead(out);
		pf_buf_adds(out, "disk_limit: no space was left for changes or temporary files; --disk SIZE "
				 "and --memory SIZE allow more\n");
		break;
	case PF_CAUSE_KILLED:
		lead(out);
		pf_buf_adds(out, "killed\n");
		break;
	case PF_CAUSE_NONE:
	case PF_CAUSE_DENIED:
	case PF_CAUSE_BOUNDARY:
	case PF_CAUSE_ERROR:
		say_error(out, pf_cause_name(r->cause), r->error);
		break;
	}
}

static void say_hits(const struct pf_result *r, struct pf_buf *out)
{
	for (size_t i = 0; i < r->hit_count; i++) {
		/* What ended it was said already. */
		if (strcmp(r->hits[i].kind, pf_cause_name(r->cause)) == 0)
			continue;
		lead(out);
		pf_buf_addf(out, "limit %s was hit", r->hits[i].kind);
		if (r->hits[i].count > 1)
			pf_buf_addf(out, " %lld times", (long long)r->hits[i].count);
		pf_buf_adds(out, ", and the command went on\n");
	}
}

static void say_denials(const struct pf_result *r, struct pf_buf *out)
{
	for (size_t i = 0; i < r->denial_count; i++) {
		const struct pf_denial *d = &r->denials[i];

		lead(out);
		pf_buf_addf(out, "denied %s ", d->kind);
		pf_cli_name(out, d->target);
		if (d->rule) {
			pf_buf_adds(out, " (");
			pf_cli_name(out, d->rule);
			pf_buf_addc(out, ')');
		}
		if (d->hint) {
			pf_buf_adds(out, ": ");
			pf_cli_name(out, d->hint);
		}
		pf_buf_addc(out, '\n');
	}
	if (r->denials_left_out) {
		lead(out);
		pf_buf_addf(out, "denied %llu more\n", (unsigned long long)r->denials_left_out);
	}
}

/* Of a tunnel that was allowed and led nowhere most clients show a number alone. */
static void say_unreached(const struct pf_result *r, struct pf_buf *out)
{
	for (size_t i = 0; i < r->connection_count; i++) {
		const struct pf_connection *c = &r->connections[i];

		if (strcmp(c->verdict, "unreached") != 0)
			continue;
		lead(out);
		pf_buf_adds(out, "not reached, though allowed: ");
		pf_cli_name(out, c->target);
		if (c->error) {
			pf_buf_adds(out, ": ");
			pf_cli_name(out, c->error);
		}
		pf_buf_addc(out, '\n');
	}
}

static void say_count(struct pf_buf *out, const char **comma, uint64_t n, const char *what)
{
	if (n == 0)
		return;
	pf_buf_addf(out, "%s%llu %s", *comma, (unsigned long long)n, what);
	*comma = ", ";
}

/* The first few of a list that may be long. */
static void say_some(struct pf_buf *out, const struct pf_list *l)
{
	for (size_t i = 0; i < l->count && i < 5; i++) {
		pf_buf_adds(out, i ? ", " : "");
		pf_cli_name(out, l->items[i]);
	}
	if (l->count > 5)
		pf_buf_adds(out, ", ...");
}

static void say_counts(const struct pf_result *r, const char *none, struct pf_buf *out)
{
	const char *comma = "";

	say_count(out, &comma, r->added, "added");
	say_count(out, &comma, r->modified, "modified");
	say_count(out, &comma, r->deleted, "deleted");
	if (!*comma)
		pf_buf_adds(out, none);
}

static void say_list(const char *what, const struct pf_list *l, struct pf_buf *out)
{
	if (l->count == 0)
		return;
	lead(out);
	pf_buf_addf(out, "%s: ", what);
	say_some(out, l);
	pf_buf_addc(out, '\n');
}

/* rw and --apply: what went into the workspace, what did not, and where that is. */
static void say_applied(const struct pf_run *run, struct pf_buf *out)
{
	const struct pf_result *r = &run->result;
	const struct pf_applied *a = &r->applied;
	const char *id = r->changes_id;

	if (a->state == PF_APPLIED_ALL && a->entries == 0 && !*id)
		return;
	lead(out);
	if (a->why) {
		pf_buf_adds(out, "NOT applied: ");
		pf_cli_name(out, a->why);
	} else {
		if (a->state == PF_APPLIED_ALL)
			pf_buf_adds(out, "applied: ");
		else
			pf_buf_addf(out, "applied in part: %llu of ", (unsigned long long)a->entries);
		say_counts(r, "nothing", out);
	}
	pf_buf_addc(out, '\n');
	say_list("conflicts", &a->conflicts, out);
	say_list("held back, because protected", &a->held, out);
	if (!*id && run->dropped) {
		lead(out);
		pf_buf_adds(out, "--rm: what was not applied is not kept\n");
	}
	if (!*id)
		return;
	lead(out);
	pf_buf_addf(out, "%s kept: pinfold diff %s; pinfold apply %s%s; pinfold drop %s\n",
		    a->held.count && !a->why ? "what was held back is" : "the changes are", id, id,
		    a->conflicts.count ? " --force"
		    : a->held.count    ? " --allow-protected"
				       : "",
		    id);
}

static void say_changes(const struct pf_run *run, struct pf_buf *out)
{
	const struct pf_result *r = &run->result;
	const char *id = r->changes_id;

	if (r->applied.state != PF_APPLIED_NULL) {
		say_applied(run, out);
	} else if (r->has_changes && *id) {
		lead(out);
		pf_buf_adds(out, "changes: ");
		say_counts(r, "none kept", out);
		pf_buf_addf(out, " (pinfold diff %s; pinfold apply %s; pinfold drop %s)\n", id, id, id);
	}
	if (r->has_changes && (r->incomplete || r->changes_note)) {
		lead(out);
		pf_buf_adds(out, r->incomplete ? "incomplete: " : "note: ");
		pf_cli_name(out, r->changes_note ? r->changes_note : "not every change could be kept");
		pf_buf_addc(out, '\n');
	}
	say_list("rw,live: look at what was made where the policy hides or protects", &run->watch.made, out);
}

/* An output that is longer than a result shows: where all of it is, or why it is nowhere. */
static void say_output(const struct pf_result *r, struct pf_buf *out)
{
	static const char *const names[] = {"stdout", "stderr"};
	bool told = false;

	for (unsigned i = 0; i < 2; i++) {
		const struct pf_whole *w = &r->whole[i];
		char size[16];

		if (!w->cut || (!w->kept && !w->why))
			continue;
		lead(out);
		if (w->kept) {
			pf_format_size(w->bytes, size);
			pf_buf_addf(out, "output: %s of %s kept (pinfold output %s%s", size, names[i], r->id,
				    i ? " --stderr" : "");
			pf_buf_addf(out, told ? ")\n" : "; pinfold drop %s)\n", r->id);
			told = true;
		} else {
			pf_buf_addf(out, "output: %s could not be kept: ", names[i]);
			pf_cli_name(out, w->why);
			pf_buf_addc(out, '\n');
		}
	}
}

/* A default limit that this host cannot hold. Somebody at a terminal would take it for held, so it is said
 * there; a script has it in the receipt, and its command's own standard error is not to be spoilt every time.
 */
static void say_unenforced(const struct pf_receipt *r, struct pf_buf *out)
{
	if (r->unenforced_count == 0)
		return;
	lead(out);
	pf_buf_adds(out, "not enforced here:");
	for (size_t i = 0; i < r->unenforced_count; i++)
		pf_buf_addf(out, "%s %s", i ? "," : "", r->unenforced[i].limit);
	if (r->unenforced[0].why && *r->unenforced[0].why) {
		pf_buf_adds(out, ": ");
		pf_cli_name(out, r->unenforced[0].why);
	}
	pf_buf_adds(out, "; --require limits refuses to run then\n");
}

/* What of the workspace is not inside as it is outside: the cause of many a puzzling failure. */
static void say_workspace(const struct pf_receipt *r, struct pf_buf *out)
{
	unsigned long long foreign = r->foreign_owned == UINT64_MAX ? 0 : r->foreign_owned,
			   hidden = r->hidden;

	if (foreign) {
		lead(out);
		pf_buf_addf(out,
			    "%llu %s at the top of the workspace %s to another user: %s cannot be changed "
			    "inside\n",
			    foreign, foreign == 1 ? "entry" : "entries", foreign == 1 ? "belongs" : "belong",
			    foreign == 1 ? "it" : "they");
	}
	if (hidden) {
		lead(out);
		pf_buf_addf(out, "%llu %s of the workspace %s hidden (secrets.mask)\n", hidden,
			    hidden == 1 ? "path" : "paths", hidden == 1 ? "was" : "were");
	}
}

void pf_human_summary(const struct pf_run *run, enum pf_summary how, struct pf_buf *out)
{
	const struct pf_result *r = &run->result;
	const struct pf_policy *p = run->policy;
	bool ours = r->error || r->cause == PF_CAUSE_ERROR || r->cause == PF_CAUSE_BOUNDARY ||
		    r->cause == PF_CAUSE_DENIED;

	if (how != PF_SUMMARY_QUIET || ours)
		say_cause(r, &p->limits, out);
	if (how == PF_SUMMARY_QUIET) {
		if (r->applied.why) /* what was asked for was not done */
			say_applied(run, out);
		return;
	}
	say_hits(r, out);
	say_denials(r, out);
	say_unreached(r, out);
	if (how == PF_SUMMARY_FULL)
		say_unenforced(&r->receipt, out);
	if (how == PF_SUMMARY_FULL || r->cause != PF_CAUSE_EXITED || r->exit_code != 0)
		say_workspace(&r->receipt, out);
	say_output(r, out);
	say_changes(run, out);
}
