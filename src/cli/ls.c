/* SPDX-License-Identifier: Apache-2.0 */
/* pinfold ls: sandboxes that live, what dead ones left, and the change sets and long outputs that are kept.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/cli.h"
#include "sandbox/outputs.h"
#include "workspace/change.h"

enum { OPT_JSON, OPT_HELP };

static const struct pf_opt opts[] = {
	[OPT_JSON] = {"json", 0, PF_OPT_FLAG, NULL, "the same as a JSON object"},
	[OPT_HELP] = PF_OPT_HELP,
	PF_OPT_END,
};

/* One line of the table, and one object of the JSON. */
struct row {
	const char *id, *state;
	char started[40];
	long pid;
	const char *tier, *image, *workspace, *command; /* or NULL */
	const struct pf_changeset *set;			/* or NULL */
	const struct pf_kept_output *output;		/* or NULL */
};

typedef void emit_fn(void *user, const struct row *row);

static void utc(int64_t seconds, char out[40])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	out[0] = '\0';
	if (gmtime_r(&t, &tm))
		strftime(out, 40, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static int each_sandbox(const struct pf_dirs *dirs, emit_fn *emit, void *user, struct pf_error *err)
{
	struct pf_live *list;
	size_t count;
	int r = pf_live_list(dirs, &list, &count, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		const struct pf_live *l = &list[i];

		if (l->other)
			continue;
		struct row row = {.id = l->id,
				  .state = l->alive ? "live" : "dead",
				  .pid = l->pid,
				  .tier = l->tier[0] ? l->tier : NULL,
				  .image = l->image,
				  .workspace = l->workspace,
				  .command = l->command};

		memcpy(row.started, l->started, sizeof(row.started));
		emit(user, &row);
	}
	pf_live_free(list, count);
	return 0;
}

static int each_change(int fd, emit_fn *emit, void *user, struct pf_error *err)
{
	struct pf_list ids = {0};
	int r = pf_change_list(fd, &ids, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ids.count; i++) {
		struct row row = {.id = ids.items[i], .state = "changes"};
		struct pf_changeset set;
		struct pf_error ignored;

		if (pf_change_counts(fd, ids.items[i], &set, &ignored) < 0) {
			row.state = "unreadable";
			emit(user, &row);
			continue;
		}
		utc(set.created, row.started);
		row.workspace = set.workspace;
		row.command = set.command;
		row.set = &set;
		emit(user, &row);
		pf_change_free(&set);
	}
	pf_list_free(&ids);
	return 0;
}

static int each_output(const struct pf_dirs *dirs, emit_fn *emit, void *user, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = pf_outputs_open(dirs, false, err);
	struct pf_list ids = {0};
	int r = fd < 0 ? fd : pf_outputs_list(fd, &ids, err);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	for (size_t i = 0; i < ids.count; i++) {
		struct row row = {.id = ids.items[i], .state = "output"};
		struct pf_kept_output o;
		struct pf_error ignored;

		if (pf_outputs_load(fd, ids.items[i], &o, &ignored) < 0) {
			row.state = "unreadable";
			emit(user, &row);
			continue;
		}
		utc(o.ended, row.started);
		row.command = o.command;
		row.output = &o;
		emit(user, &row);
		pf_kept_output_free(&o);
	}
	pf_list_free(&ids);
	return 0;
}

static int each(emit_fn *emit, void *user, struct pf_error *err)
{
	struct pf_dirs dirs;
	PF_AUTO_CLOSE int fd = pf_cli_changes(&dirs, err);
	int r = fd < 0 ? fd : each_sandbox(&dirs, emit, user, err);

	if (r == 0)
		r = each_change(fd, emit, user, err);
	return r < 0 ? r : each_output(&dirs, emit, user, err);
}

/* --- the table ------------------------------------------------------------------- */

struct table {
	struct pf_buf out;
	bool dead;
};

/* A cell and the spaces behind it. Columns are counted in characters as far as UTF-8 goes. */
static void cell(struct pf_buf *out, const char *text, size_t width)
{
	size_t before = out->len, columns = 0;

	pf_cli_name_cut(out, text, width);
	for (size_t i = before; i < out->len; i++)
		columns += (out->data[i] & 0xc0) != 0x80;
	do
		pf_buf_addc(out, ' ');
	while (++columns <= width && !out->failed);
}

static const char *state_of(const struct row *row)
{
	if (!row->set)
		return row->state;
	return row->set->half_applied		     ? "half applied"
	       : row->set->truncated		     ? "incomplete"
	       : row->set->applied == PF_SET_APPLIED ? "applied"
	       : row->set->applied == PF_SET_PART    ? "part applied"
						     : row->state;
}

static void emit_line(void *user, const struct row *row)
{
	struct table *t = user;
	char kept[80] = "-", image[16] = "-";

	if (row->set)
		snprintf(kept, sizeof(kept), "+%llu ~%llu -%llu", (unsigned long long)row->set->added,
			 (unsigned long long)row->set->modified, (unsigned long long)row->set->deleted);
	else if (row->output)
		pf_format_size(row->output->bytes[0] + row->output->bytes[1], kept);
	else if (strcmp(row->state, "dead") == 0 && row->workspace)
		snprintf(kept, sizeof(kept), "lost");
	t->dead |= strcmp(row->state, "dead") == 0;
	cell(&t->out, row->id, 20);
	cell(&t->out, state_of(row), 12);
	cell(&t->out, row->started, 20);
	cell(&t->out, row->tier, 9);
	if (row->image && pf_has_prefix(row->image, "sha256:"))
		snprintf(image, sizeof(image), "%.12s", row->image + 7); /* as pinfold image ls has it */
	cell(&t->out, image, 12);
	cell(&t->out, row->workspace, 30);
	cell(&t->out, kept, 14);
	pf_cli_name_cut(&t->out, row->command, 60);
	pf_buf_addc(&t->out, '\n');
}

static int print_table(void)
{
	struct table t = {0};
	struct pf_error err = {0};
	size_t empty;
	int code;

	pf_buf_addf(&t.out, "%-20s %-12s %-20s %-9s %-12s %-30s %-14s %s\n", "ID", "STATE", "STARTED", "TIER",
		    "IMAGE", "WORKSPACE", "KEPT", "COMMAND");
	empty = t.out.len;
	if (each(emit_line, &t, &err) < 0) {
		pf_buf_free(&t.out);
		return pf_cli_fail(&err);
	}
	code = t.out.len == empty ? 0 : pf_cli_out(&t.out);
	pf_buf_free(&t.out);
	if (t.dead)
		pf_cli_say("dead: the keeper was killed; its changes are gone, the workspace is untouched "
			   "unless it was rw,live; "
			   "\"pinfold doctor --clean\" removes what is left");
	return code;
}

/* --- JSON ------------------------------------------------------------------------ */

static void kstr_or_null(struct pf_jsonw *w, const char *key, const char *s)
{
	pf_jsonw_kstr(w, key, s && *s ? s : NULL);
}

static void kbytes(struct pf_jsonw *w, const char *key, const struct pf_kept_output *o, unsigned i)
{
	pf_jsonw_key(w, key);
	if (o->kept[i])
		pf_jsonw_uint(w, o->bytes[i]);
	else
		pf_jsonw_null(w);
}

static void emit_json(void *user, const struct row *row)
{
	static const char *const applied[] = {
		[PF_SET_FRESH] = NULL, [PF_SET_PART] = "part", [PF_SET_APPLIED] = "all"};
	struct pf_jsonw *w = user;

	pf_jsonw_begin(w, '{');
	pf_jsonw_kstr(w, "id", row->id);
	pf_jsonw_kstr(w, "state", row->state);
	kstr_or_null(w, "started", row->started);
	pf_jsonw_key(w, "pid");
	if (row->pid)
		pf_jsonw_int(w, row->pid);
	else
		pf_jsonw_null(w);
	kstr_or_null(w, "tier", row->tier);
	kstr_or_null(w, "image", row->image);
	kstr_or_null(w, "workspace", row->workspace);
	pf_jsonw_key(w, "changes");
	if (row->set) {
		pf_jsonw_begin(w, '{');
		pf_jsonw_kint(w, "added", (int64_t)row->set->added);
		pf_jsonw_kint(w, "modified", (int64_t)row->set->modified);
		pf_jsonw_kint(w, "deleted", (int64_t)row->set->deleted);
		pf_jsonw_kstr(w, "applied", applied[row->set->applied]);
		pf_jsonw_kbool(w, "half_applied", row->set->half_applied);
		pf_jsonw_kbool(w, "incomplete", row->set->truncated);
		kstr_or_null(w, "note", row->set->note);
		pf_jsonw_end(w, '}');
	} else {
		pf_jsonw_null(w);
	}
	pf_jsonw_key(w, "output");
	if (row->output) {
		pf_jsonw_begin(w, '{');
		kbytes(w, "stdout_bytes", row->output, 0);
		kbytes(w, "stderr_bytes", row->output, 1);
		pf_jsonw_end(w, '}');
	} else {
		pf_jsonw_null(w);
	}
	kstr_or_null(w, "command", row->command);
	pf_jsonw_end(w, '}');
}

static int print_json(void)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	struct pf_error err = {0};
	struct pf_jsonw w;

	pf_jsonw_init(&w, &out, 2);
	pf_jsonw_begin(&w, '{');
	pf_jsonw_kint(&w, "schema", 1);
	pf_jsonw_key(&w, "sandboxes");
	pf_jsonw_begin(&w, '[');
	if (each(emit_json, &w, &err) < 0)
		return pf_cli_fail(&err);
	pf_jsonw_end(&w, ']');
	pf_jsonw_end(&w, '}');
	pf_buf_addc(&out, '\n');
	return pf_cli_out(&out);
}

static int ls_main(char **argv)
{
	struct pf_args args = {.argv = argv, .own = opts, .words_between = true};
	struct pf_error err = {0};
	bool json = false, help = false;
	struct pf_arg arg;
	int r;

	while ((r = pf_args_next(&args, &arg, &err)) == 1) {
		if (arg.own == &opts[OPT_JSON])
			json = true;
		else
			help = true;
	}
	if (r == 0 && args.words)
		r = pf_fail(&err, -EINVAL, "ls takes no arguments");
	if (r < 0)
		return pf_cli_misuse(&pf_verb_ls, &err);
	if (help)
		return pf_cli_help(&pf_verb_ls);
	return json ? print_json() : print_table();
}

const struct pf_verb pf_verb_ls = {
	.name = "ls",
	.summary = "list live sandboxes, kept change sets and long outputs",
	.usage = "ls [--json]\n",
	.text = "STATE is live (a sandbox that runs), dead (its keeper was killed), changes (a change set "
		"that "
		"is kept\n"
		"for diff and apply; incomplete if something is missing from it: \"pinfold diff --stat ID\" "
		"says what;\n"
		"half applied if an apply was cut off, or runs: \"pinfold apply ID\" goes on; applied, or "
		"part "
		"applied by paths\nthat were named: it stays until it is dropped) or output (one "
		"that was too long for its result: \"pinfold output ID\"). KEPT counts +added "
		"~modified\n"
		"-deleted, or the bytes of an output. The next run sweeps what is dead.",
	.opts = opts,
	.main = ls_main,
};
