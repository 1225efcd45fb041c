/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold run: a sandbox for one command. This process is its keeper: the sandbox lives as long as
 * we hold its socket. Only the public API is used to run it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "cli/run.h"
#include "workspace/change.h"

static void set_error(struct pf_result *r, enum pf_cause cause, const char *msg)
{
	char *copy = strdup(msg);

	r->cause = cause;
	if (copy) {
		free(r->error);
		r->error = copy;
	}
}

/* The wall that was asked for cannot be had (EPERM, by the contract of the API), or we failed. */
static void fail(struct pf_run *run, const struct pf_error *err)
{
	set_error(&run->result, err->code == -EPERM ? PF_CAUSE_BOUNDARY : PF_CAUSE_ERROR, err->msg);
}

static void fail_as(struct pf_run *run, enum pf_cause cause, const struct pf_error *err)
{
	set_error(&run->result, cause, err->msg);
}

/* --- start ------------------------------------------------------------------------ */

static void open_output(struct pf_run *run)
{
	pf_sink_init(&run->out, STDOUT_FILENO);
	pf_sink_init(&run->err, STDERR_FILENO);
	run->one_sink = pf_sink_same(&run->out, &run->err);
	pf_tty_find(&run->terminal);
}

static int start_exec(struct pf_run *run, struct pf_error *err)
{
	struct pf_exec_options o = {
		.argv = run->shell ? NULL : (const char *const *)run->command,
		.shell = run->shell,
		.approved = run->approved,
		.from_image = 1,
		.entrypoint = run->entrypoint,
		.tty = run->tty,
		.want_stdin = run->interactive,
		.last = 1,
		.inline_only = run->rm,
		.output = run->json == PF_JSON_OBJECT_MODE ? NULL : pf_run_output,
		.event = run->json == PF_JSON_STREAM_MODE ? pf_stream_event : NULL,
		.user = run,
	};
	int r;

	if (run->tty)
		pf_tty_size(&run->terminal, &o.rows, &o.cols);
	r = pf_exec_start(run->box, &o, &run->exec, err);
	if (r < 0)
		return r;
	if (pf_exec_result(run->exec)) /* refused */
		return 0;
	run->stdin_open = run->interactive;
	if (run->json == PF_JSON_STREAM_MODE)
		pf_stream_started(run);
	/* Late, so that whatever failed before left the terminal alone. */
	if (run->tty && run->interactive && isatty(STDIN_FILENO))
		pf_tty_raw(&run->terminal);
	return 0;
}

/* --- end --------------------------------------------------------------------------- */

/* The numbers of a kept change set, as they are in the state directory now. */
static int count_changes(struct pf_result *r, struct pf_error *err)
{
	struct pf_dirs dirs;
	struct pf_changeset set;
	PF_AUTO_CLOSE int fd = pf_cli_changes(&dirs, err);
	int code;

	if (fd < 0)
		return fd;
	code = pf_change_counts(fd, r->changes_id, &set, err);
	if (code < 0)
		return code;
	r->added = set.added;
	r->modified = set.modified;
	r->deleted = set.deleted;
	r->incomplete = set.truncated;
	free(r->changes_note);
	r->changes_note = set.note;
	set.note = NULL;
	pf_change_free(&set);
	return pf_result_secrets(r, fd, r->changes_id, err);
}

/* --apply: what a command wrote that was killed or met a limit may be half of it. */
static int apply_changes(struct pf_run *run, struct pf_error *err)
{
	struct pf_result *r = &run->result;
	PF_AUTO_CLOSE int fd = -1;
	struct pf_dirs dirs;

	if (r->cause != PF_CAUSE_EXITED) {
		r->applied.state = PF_APPLIED_NONE;
		if (asprintf(&r->applied.why, "the command did not exit (%s)", pf_cause_name(r->cause)) < 0)
			r->applied.why = NULL;
		return 0;
	}
	r->applied.state = PF_APPLIED_ALL;
	if (!*r->changes_id)
		return 0;
	fd = pf_cli_changes(&dirs, err);
	if (fd < 0)
		return fd;
	pf_kept_apply(&dirs, fd, r->changes_id, &r->applied, r->changes_id);
	return 0;
}

/* --rm beside --apply or rw: what could not be applied is not kept either. */
static int drop_changes(struct pf_run *run, struct pf_error *err)
{
	struct pf_dirs dirs;
	PF_AUTO_CLOSE int fd = pf_cli_changes(&dirs, err);
	int r = fd < 0 ? fd : pf_change_drop(fd, run->result.changes_id, true, NULL, err);

	if (r == 0) {
		run->result.changes_id[0] = '\0';
		run->dropped = true;
	}
	return r;
}

/* What was to be applied and was not is a failure, whatever the command's own code says. Paths that are held
 * back are none: the policy wants it so. */
static void judge_applied(struct pf_run *run)
{
	const struct pf_applied *a = &run->result.applied;

	if (a->why && run->forced_code < 0 && pf_result_cli_code(&run->result) == 0)
		run->forced_code = PF_EXIT_ERROR;
}

static int take_changes(struct pf_run *run, const char *id, struct pf_error *err)
{
	struct pf_result *r = &run->result;
	int code = 0;

	if (id && strlen(id) < sizeof(r->changes_id)) {
		strcpy(r->changes_id, id);
		code = count_changes(r, err);
	}
	if (code == 0 && run->apply && r->applied.state == PF_APPLIED_NULL)
		code = apply_changes(run, err);
	if (code == 0 && run->rm && *r->changes_id)
		code = drop_changes(run, err);
	judge_applied(run);
	return code;
}

/*
 * End the sandbox and learn what it changed. A change set that could not be kept is a failure of ours even if
 * the command was fine: who goes on with "apply last" would apply another one.
 */
static void end_box(struct pf_run *run)
{
	struct pf_result *r = &run->result;
	bool rw =
		run->policy->ws_mode == PF_WS_RW; /* applied with the end of the command: the result has it */
	PF_AUTO_FREE char *id = NULL;
	PF_AUTO_FREE char *note = NULL;
	struct pf_error err = {0};
	char text[PF_ERROR_MAX + 64];
	int code;

	if (!run->box)
		return;
	r->has_changes = pf_ws_has_upper(run->policy->ws_mode) && (!run->rm || run->apply || rw);
	if (!rw) {
		r->changes_id[0] = '\0';
		r->added = r->modified = r->deleted = 0;
		r->incomplete = false;
	}
	code = pf_sandbox_end_noted(run->box, r->has_changes ? &id : NULL, &note, &err);
	run->box = NULL;
	if (code == 0)
		code = take_changes(run, id, &err);
	if (note && !r->changes_note)
		r->changes_note = pf_take_ptr(note);
	if (code == 0)
		return;
	if (!id && !rw)
		r->has_changes = false; /* null: nobody knows them any more */
	if (run->forced_code < 0)
		run->forced_code = PF_EXIT_ERROR;
	snprintf(text, sizeof(text), "the sandbox did not end cleanly: %s", err.msg);
	if (!r->error)
		set_error(r, r->cause, text);
	else
		pf_cli_say("%s", text);
}

/* A whole line as one word is what ssh, docker's CMD and agents' tools take. */
static bool hint_line(struct pf_result *r, const char *name)
{
	char text[PF_ERROR_MAX * 2];

	if (!name[strcspn(name, " \t|&;<>")])
		return false;
	snprintf(text, sizeof(text), "%s; that is one word: for a shell's line, pinfold run --shell '...'",
		 r->error);
	set_error(r, r->cause, text);
	return true;
}

/* Not found inside: is it where the caller would find it? Nothing of the caller's PATH is shown by itself. */
static void hint_tools(struct pf_result *r, const char *name)
{
	const char *path = getenv("PATH");
	char text[PF_ERROR_MAX * 2], file[PF_ERROR_MAX];

	if (r->exit_code != 127 || !r->error || hint_line(r, name) || !path || !*name || strchr(name, '/'))
		return;
	while (*path) {
		size_t n = strcspn(path, ":");
		struct stat st;

		if (*path == '/' &&
		    (size_t)snprintf(file, sizeof(file), "%.*s/%s", (int)n, path, name) < sizeof(file) &&
		    stat(file, &st) == 0 && S_ISREG(st.st_mode) && access(file, X_OK) == 0) {
			snprintf(text, sizeof(text),
				 "%s; it is at %s on this host: --tools DIR shows a directory inside",
				 r->error, file);
			set_error(r, r->cause, text);
			return;
		}
		path += n + (path[n] == ':');
	}
}

static void take_result(struct pf_run *run, const struct pf_error *err)
{
	/* The exec is ours, and its end frees what we do not take. */
	struct pf_result *from = (struct pf_result *)pf_exec_result(run->exec);
	struct pf_result r;

	if (!from) {
		set_error(&run->result, PF_CAUSE_ERROR, err->msg[0] ? err->msg : "the sandbox broke");
	} else if (pf_result_take(&r, from) == 0) {
		r.prompts = run->result.prompts; /* from before there was an exec */
		run->result.prompts = (struct pf_prompts){0};
		pf_result_free(&run->result);
		run->result = r;
		if (strcmp(run->policy->image, "host") == 0 && run->command[0])
			hint_tools(&run->result, run->command[0]);
	} else {
		set_error(&run->result, PF_CAUSE_ERROR, "out of memory");
	}
	pf_exec_end(run->exec);
	run->exec = NULL;
}

/* ^C while the sandbox was being made: the command is not started at all. */
static bool stopped_early(struct pf_run *run)
{
	int signo;

	while ((signo = pf_signals_next())) {
		if (signo != SIGWINCH && signo != SIGTSTP)
			run->kills++;
	}
	if (run->kills == 0)
		return false;
	run->result.cause = PF_CAUSE_KILLED;
	run->result.signal = SIGKILL;
	return true;
}

static void run_exec(struct pf_run *run)
{
	struct pf_error err = {0};

	if (stopped_early(run))
		return;
	if (start_exec(run, &err) < 0) {
		fail(run, &err);
	} else if (pf_run_ask(run)) {
		run_exec(run);
		return;
	} else {
		pf_run_loop(run, &err);
		take_result(run, &err);
	}
	pf_tty_restore(&run->terminal);
}

static void run_box(struct pf_run *run)
{
	bool progress = run->json == PF_JSON_OFF && !run->quiet && isatty(STDERR_FILENO);
	const struct pf_places places = {.progress = progress};
	struct pf_error err = {0};
	int r;

	if (pf_run_prompts(run, &err) < 0)
		fail_as(run, PF_CAUSE_ERROR, &err);
	if (run->result.cause != PF_CAUSE_NONE)
		return;
	run->signals = pf_signals_catch();
	pf_watch_begin(&run->watch, run->policy);
	if (progress)
		pf_signals_progress(true);
	r = pf_sandbox_create(run->policy, &places, &run->box, &err);
	if (progress)
		pf_signals_progress(false);
	if (r < 0) {
		fail(run, &err);
		return;
	}
	snprintf(run->result.id, sizeof(run->result.id), "%s", pf_sandbox_id(run->box));
	run_exec(run);
	end_box(run);
	pf_watch_end(&run->watch);
}

/* --- what is said about it ------------------------------------------------------------ */

static void report_json(struct pf_run *run)
{
	PF_AUTO_BUF struct pf_buf out = {0};

	if (run->json == PF_JSON_STREAM_MODE) {
		pf_stream_result(run);
		/* Nothing is left to hold up: now the reader may take its time. */
		if (run->out.error == 0 && pf_sink_pending(&run->out))
			pf_buf_add(&out, run->out.pend.data + run->out.done, pf_sink_pending(&run->out));
	} else {
		pf_result_json(&run->result, isatty(STDOUT_FILENO) ? 2 : 0, &out);
		pf_buf_addc(&out, '\n');
	}
	if (run->forced_code != 141) {
		int code = pf_cli_out(&out);

		if (code && run->forced_code < 0)
			run->forced_code = code;
	}
}

static void report_human(struct pf_run *run)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	enum pf_summary how = PF_SUMMARY_NORMAL;

	if (run->verbose || isatty(STDERR_FILENO))
		how = PF_SUMMARY_FULL;
	/* Whoever closed our output knows why the command was ended. */
	if (run->quiet || run->forced_code == 141)
		how = PF_SUMMARY_QUIET;
	if (run->json == PF_JSON_OFF && run->policy)
		pf_human_summary(run, how, &out);
	if (run->receipt)
		pf_human_receipt(&run->result, &out);
	if (out.len)
		pf_write_full(STDERR_FILENO, out.data, out.len);
}

static void report(struct pf_run *run)
{
	if (run->result.cause == PF_CAUSE_NONE)
		run->result.cause = PF_CAUSE_ERROR;
	if (run->policy && !run->result.receipt.policy[0])
		pf_policy_digest(run->policy, run->result.receipt.policy);
	if (run->result.argv.count == 0 && (run->command || run->guess))
		pf_result_argv(&run->result, (const char *const *)(run->command ? run->command : run->guess));
	if (run->json != PF_JSON_OFF)
		report_json(run);
	report_human(run);
}

static int misuse(struct pf_run *run, const struct pf_error *err)
{
	if (run->json == PF_JSON_OFF && run->command && run->command[0])
		return pf_cli_fail(err); /* of the policy: the options themselves are known */
	if (run->json == PF_JSON_OFF)
		return pf_cli_misuse(&pf_verb_run, err);
	fail(run, err);
	report(run);
	return PF_EXIT_ERROR;
}

static int run_main(char **argv)
{
	struct pf_run run = {
		.forced_code = -1, .terminal = {.fd = -1}, .signals = -1, .watch = PF_WATCH_NONE};
	struct pf_error err = {0};
	int code;

	pf_result_init(&run.result);
	open_output(&run);
	if (pf_run_options(&run, argv, &err) < 0) {
		code = misuse(&run, &err);
	} else if (run.help) {
		code = pf_cli_help(&pf_verb_run);
	} else {
		run_box(&run);
		pf_run_judge_output(&run);
		report(&run);
		code = run.forced_code >= 0 ? run.forced_code : pf_result_cli_code(&run.result);
	}
	pf_sink_free(&run.out);
	pf_sink_free(&run.err);
	pf_watch_free(&run.watch);
	pf_result_free(&run.result);
	pf_policy_destroy(run.policy);
	return code;
}

const struct pf_verb pf_verb_run = {
	.name = "run",
	.summary = "run a command in a sandbox of its own",
	.usage = "run [options] [--] COMMAND [ARG...]\n"
		 "run [options] --shell LINE\n"
		 "run --image NAME [options] [--] [COMMAND [ARG...]]\n",
	.text = "Options end at the first word that is not one. Policy documents are read first, then "
		"options\n"
		"are written over them.\n"
		"Exit code: the command's own; 124 timeout, idle timeout or output limit; 125 pinfold failed "
		"or\n"
		"the boundary could not be proved; 126 refused or not executable; 127 not found; 128+n "
		"signal n;\n"
		"137 killed; 141 nobody reads the output any more.",
	.opts = pf_run_opts,
	.policy = true,
	.main = run_main,
	.words = PF_WORDS_COMMAND,
};
