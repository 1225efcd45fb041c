/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exec on the host's side: prepared, proved, started, fed, ended. While one runs a next one is
 * not prepared ahead unless the caller has run one before: a session pays once, a single run nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/sandbox.h"

struct pf_exec *pf__exec_find(struct pf_sandbox *s, uint32_t id)
{
	struct pf_exec *e;

	for (e = s->execs; e; e = e->next)
		if (e->id == id)
			return e;
	return NULL;
}

void pf__exec_name(const struct pf_exec *e, char out[40])
{
	snprintf(out, 40, "%.20s.%u", e->box->id, e->id);
}

static int broken(const struct pf_sandbox *s, struct pf_error *err)
{
	return pf_fail(err, s->broken.code, "the sandbox is broken: %s", s->broken.msg);
}

/* --- prepare --------------------------------------------------------------------------- */

static int open_streams(struct pf_sandbox *s, struct pf_exec *e, struct pf_error *err)
{
	int r;

	if ((r = pf_conn_open(s->conn, pf_stream_stdin(e->id), PF_STREAM_OUT)) < 0 ||
	    (r = pf_conn_open(s->conn, pf_stream_stdout(e->id), PF_STREAM_IN)) < 0 ||
	    (r = pf_conn_open(s->conn, pf_stream_stderr(e->id), PF_STREAM_IN)) < 0)
		return pf_fail(err, r, "too many commands at once in one sandbox");
	return 0;
}

static int send_prepare(struct pf_sandbox *s, struct pf_exec *e, unsigned short rows, unsigned short cols,
			struct pf_error *err)
{
	struct pf_msg_prepare m = {.exec = e->id,
				   .uid = s->box->command_uid,
				   .gid = s->box->command_gid,
				   .caps = s->policy->capabilities,
				   .tty = e->tty,
				   .want_stdin = e->want_stdin,
				   .rows = rows,
				   .cols = cols};
	PF_AUTO_BUF struct pf_buf b = {0};
	int r = pf_msg_prepare_put(&b, &m);

	if (r == 0)
		r = pf_conn_send(s->conn, PF_MSG_PREPARE, b.data, b.len);
	return r < 0 ? pf_fail(err, r, "cannot ask init for a launcher") : 0;
}

/* One of its own, that nothing was made for yet; it is in no list. */
static struct pf_exec *new_exec(struct pf_sandbox *s)
{
	struct pf_exec *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->box = s;
	e->id = s->next_exec++;
	pf_result_init(&e->result);
	pf__output_init(e);
	return e;
}

static void link_exec(struct pf_exec *e)
{
	e->next = e->box->execs;
	e->box->execs = e;
}

int pf__exec_prepare(struct pf_sandbox *s, bool tty, bool want_stdin, unsigned short rows,
		     unsigned short cols, struct pf_exec **out, struct pf_error *err)
{
	struct pf_exec *e = new_exec(s);
	int r;

	if (!e)
		return pf_fail(err, -ENOMEM, "out of memory");
	e->tty = tty;
	e->want_stdin = want_stdin;
	e->stdin_open = want_stdin || tty;
	r = s->tier->exec_create(s->box, e->id, err);
	if (r == 0)
		r = open_streams(s, e, err);
	if (r == 0)
		r = send_prepare(s, e, rows, cols, err);
	if (r < 0) {
		s->tier->exec_remove(s->box, e->id);
		free(e);
		return r;
	}
	if (e->id > 1) /* the groups are new: nothing was counted before the first */
		s->tier->events(s->box, e->id, &e->before);
	link_exec(e);
	*out = e;
	return 0;
}

/* --- START ------------------------------------------------------------------------------ */

static int encode_start(struct pf_exec *e, const struct pf_exec_options *o, const struct pf_list *line,
			struct pf_error *err)
{
	const struct pf_sandbox *s = e->box;
	struct pf_msg_start m = {
		.exec = e->id, .op = e->op, .umask = 022, .nofile = s->policy->limits.open_files};
	struct pf_list env = {0};
	int r = pf__command_env(s, o, &env);

	m.argv.strings = (char **)(uintptr_t)o->argv;
	while (o->argv[m.argv.count])
		m.argv.count++;
	if (line && line->count) {
		m.op = PF_OP_LINE;
		m.argv = (struct pf_strs){(uint32_t)line->count, line->items};
	}
	m.env = (struct pf_strs){(uint32_t)env.count, env.items};
	m.cwd = (char *)(uintptr_t)pf__command_cwd(s, o);
	e->cwd = strdup(m.cwd);
	if (s->tier->exec_separate(s->box))
		m.last = e->last = o->last != 0;
	else
		m.nproc = s->policy->limits.processes;
	if (r == 0)
		r = pf_msg_start_put(&e->start, &m);
	pf_list_free(&env);
	if (r == 0 && e->start.len > PF_CONTROL_MAX - 64)
		r = -E2BIG;
	return r < 0 ? pf_fail(err, r,
			       r == -E2BIG ? "the command line and environment are too long"
					   : "cannot encode the command")
		     : 0;
}

static void take_options(struct pf_exec *e, const struct pf_exec_options *o)
{
	const struct pf_limits *l = &e->box->policy->limits;

	e->output = o->output;
	e->event = o->event;
	e->user = o->user;
	e->wall_ms = o->wall_ms ? o->wall_ms : l->wall_ms;
	e->idle_ms = o->idle_ms ? o->idle_ms : l->idle_ms;
	e->output_limit = l->output;
	e->spool.off = o->inline_only || e->op != PF_OP_EXEC;
	pf_result_argv(&e->result, o->argv);
}

static struct pf_exec *find_spare(struct pf_sandbox *s, const struct pf_exec_options *o)
{
	struct pf_exec *e;

	for (e = s->execs; e; e = e->next)
		if (!e->wanted && e->state <= PF_EXEC_SPARE && !e->tty && !o->tty &&
		    e->want_stdin == (o->want_stdin != 0))
			return e;
	return NULL;
}

static bool has_spare(const struct pf_sandbox *s)
{
	const struct pf_exec *e;

	for (e = s->execs; e; e = e->next)
		if (!e->wanted && e->state <= PF_EXEC_SPARE)
			return true;
	return false;
}

bool pf__exec_has_chores(const struct pf_sandbox *s)
{
	return s->stale_count > 0 || (s->spare_wanted && !has_spare(s));
}

void pf__exec_chores(struct pf_sandbox *s)
{
	struct pf_exec *spare;

	while (s->stale_count)
		s->tier->exec_remove(s->box, s->stale[--s->stale_count]);
	if (!s->spare_wanted || has_spare(s))
		return;
	s->spare_wanted = false; /* should it fail, the next command finds out why */
	if (pf__exec_prepare(s, false, false, 0, 0, &spare, NULL) == 0)
		pf_conn_writable(s->conn, NULL);
}

static bool another_runs(const struct pf_sandbox *s)
{
	const struct pf_exec *e;

	for (e = s->execs; e; e = e->next)
		if (e->wanted && e->state != PF_EXEC_DONE)
			return true;
	return false;
}

static int start(struct pf_sandbox *s, uint8_t op, const struct pf_exec_options *o,
		 const struct pf_list *line, struct pf_exec **out, struct pf_error *err)
{
	struct pf_exec *e;
	int r = 0;

	if (s->broken.code)
		return broken(s, err);
	if (!o->argv || !o->argv[0] || !*o->argv[0])
		return pf_fail(err, -EINVAL, "no command was given");
	if (!s->tier->exec_separate(s->box) && another_runs(s))
		return pf_fail(err, -EBUSY, "without control groups one command runs at a time in a sandbox");
	e = find_spare(s, o);
	if (!e && (r = pf__exec_prepare(s, o->tty, o->want_stdin, o->rows, o->cols, &e, err)) < 0)
		return r;
	e->op = op;
	e->wanted = true;
	e->asked_ns = pf_now_ns();
	take_options(e, o);
	r = encode_start(e, o, line, err);
	if (r == 0 && e->state == PF_EXEC_SPARE)
		r = pf__exec_go(e, err);
	/* from the second command on a session is likely: then one launcher waits ahead of need */
	s->spare_wanted = e->id > 1 && s->tier->exec_separate(s->box);
	if (r == 0)
		r = pf_conn_writable(s->conn, err);
	if (r == 0 && op == PF_OP_EXEC)
		pf__sandbox_label(s, o->argv); /* while init works */
	if (r < 0) {
		pf_exec_end(e);
		return r;
	}
	*out = e;
	return 0;
}

int pf__exec_start_op(struct pf_sandbox *s, uint8_t op, const struct pf_exec_options *o, struct pf_exec **out,
		      struct pf_error *err)
{
	return start(s, op, o, NULL, out, err);
}

/* One that only has a result to be told of: nothing of it was made. */
static int refused(struct pf_sandbox *s, struct pf_exec **out, struct pf_error *err)
{
	struct pf_exec *e;

	if (s->broken.code)
		return broken(s, err);
	e = new_exec(s);
	if (!e)
		return pf_fail(err, -ENOMEM, "out of memory");
	link_exec(e);
	*out = e;
	return 0;
}

int pf_exec_start(struct pf_sandbox *s, const struct pf_exec_options *o, struct pf_exec **out,
		  struct pf_error *err)
{
	PF_AUTO_FREE const char **words = NULL;
	struct pf_exec_options with = *o;
	struct pf_list line = {0};
	struct pf_guard guard;
	int r = pf__command_words(s, o, &words, err);

	if (r == 0)
		r = pf__guard_judge(s, o, words, &guard, &line, err);
	with.argv = words;
	if (r == 0)
		r = pf__guard_refuses(&guard, o) ? refused(s, out, err)
						 : start(s, PF_OP_EXEC, &with, &line, out, err);
	pf_list_free(&line);
	if (r < 0)
		return r;
	(*out)->result.guard = guard;
	if (pf__guard_refuses(&guard, o)) {
		pf_result_argv(&(*out)->result, words);
		pf__guard_refuse(*out, o, words);
	}
	return 0;
}

int pf__exec_go(struct pf_exec *e, struct pf_error *err)
{
	int r = pf__redact_ready(e->box, err); /* nothing runs whose output could not be looked at */

	if (r < 0)
		return r;
	if (!(e->box->policy->ws_mode == PF_WS_RW ? e->box->rw_dirty : e->box->used))
		e->box->tier->begin(e->box->box);
	/* what was proved is this launcher, and no other that init may have in its place by now */
	for (unsigned i = 0; i < 4; i++)
		e->start.data[e->start.len - 4 + i] = (char)(e->inside.ready.pid >> (8 * i));
	r = pf_conn_send(e->box->conn, PF_MSG_START, e->start.data, e->start.len);

	if (r < 0)
		return pf_fail(err, r, "cannot start the command");
	e->state = PF_EXEC_STARTING;
	e->box->used = e->box->rw_dirty = true;
	if (!e->started_ns) /* else its first launcher died; the clock goes on, or init could stop it for ever
			     */
		e->started_ns = e->last_byte_ns = pf_now_ns();
	return 0;
}

/* --- stdin, signals, ends ------------------------------------------------------------------- */

static bool takes_stdin(const struct pf_exec *e)
{
	return e->stdin_open && e->state < PF_EXEC_DRAINING && !e->box->broken.code;
}

size_t pf_exec_stdin_room(const struct pf_exec *e)
{
	return takes_stdin(e) ? pf_conn_room(e->box->conn, pf_stream_stdin(e->id)) : 0;
}

int pf_exec_stdin(struct pf_exec *e, const void *p, size_t n, struct pf_error *err)
{
	int r;

	if (!takes_stdin(e))
		return pf_fail(err, -EPIPE, "the command takes no more input");
	r = pf_conn_write(e->box->conn, pf_stream_stdin(e->id), p, n);
	if (r < 0)
		return pf_fail(err, r, "more input than there is room for");
	e->last_byte_ns = pf_now_ns();
	return pf_conn_writable(e->box->conn, err);
}

int pf_exec_stdin_close(struct pf_exec *e)
{
	int r;

	if (!takes_stdin(e))
		return 0;
	e->stdin_open = false;
	r = pf_conn_eof(e->box->conn, pf_stream_stdin(e->id));
	return r < 0 ? r : pf_conn_writable(e->box->conn, NULL);
}

int pf_exec_hold(struct pf_exec *e, enum pf_stream stream, int hold)
{
	unsigned i = stream == PF_STDERR;
	size_t owed = e->owed[i];

	if (e->held[i] == (hold != 0))
		return 0;
	e->held[i] = hold != 0;
	if (hold || e->state == PF_EXEC_DONE || e->box->broken.code)
		return 0;
	e->drain_ns = pf_now_ns();
	e->owed[i] = 0;
	if (owed)
		pf_conn_grant(e->box->conn, i ? pf_stream_stderr(e->id) : pf_stream_stdout(e->id), owed);
	return pf_conn_writable(e->box->conn, NULL);
}

int pf_exec_resize(struct pf_exec *e, unsigned short rows, unsigned short cols)
{
	struct pf_msg_resize m = {.exec = e->id, .rows = rows, .cols = cols};
	PF_AUTO_BUF struct pf_buf b = {0};
	int r = pf_msg_resize_put(&b, &m);

	if (r < 0 || e->state >= PF_EXEC_DRAINING || e->box->broken.code)
		return r;
	r = pf_conn_send(e->box->conn, PF_MSG_RESIZE, b.data, b.len);
	return r < 0 ? r : pf_conn_writable(e->box->conn, NULL);
}

static int send_signal(struct pf_exec *e, int signo, uint8_t scope)
{
	struct pf_msg_signal m = {.exec = e->id, .signo = (uint32_t)signo, .scope = scope};
	PF_AUTO_BUF struct pf_buf b = {0};
	int r = pf_msg_signal_put(&b, &m);

	if (r == 0)
		r = pf_conn_send(e->box->conn, PF_MSG_SIGNAL, b.data, b.len);
	return r < 0 ? r : pf_conn_writable(e->box->conn, NULL);
}

int pf_exec_signal(struct pf_exec *e, int signo, struct pf_error *err)
{
	int r;

	if (signo < 1 || signo > 64)
		return pf_fail(err, -EINVAL, "%d is no signal", signo);
	if (e->state >= PF_EXEC_DRAINING || e->box->broken.code)
		return pf_fail(err, -ESRCH, "the command has ended");
	r = send_signal(e, signo, e->tty ? PF_SIGNAL_TERMINAL : PF_SIGNAL_FIRST);
	return r < 0 ? pf_fail(err, r, "cannot send the signal") : 0;
}

int pf__exec_cancel(struct pf_exec *e)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	int r = pf_msg_exec_put(&b, e->id);

	return r < 0 ? r : pf_conn_send(e->box->conn, PF_MSG_CANCEL, b.data, b.len);
}

void pf__exec_end_now(struct pf_exec *e, enum pf_cause why)
{
	if (e->state >= PF_EXEC_DRAINING)
		return;
	if (e->forced == PF_CAUSE_NONE)
		e->forced = why;
	if (!e->killed_ns)
		e->killed_ns = pf_now_ns();
	if (e->state <= PF_EXEC_SPARE) { /* it never was a command */
		pf__exec_cancel(e);
		pf_conn_writable(e->box->conn, NULL);
		pf__finish_refused(e, why, NULL);
		return;
	}
	if (e->box->tier->exec_separate(e->box->box))
		e->box->tier->exec_kill(e->box->box, e->id);
	else
		send_signal(e, 9, PF_SIGNAL_FIRST); /* the others go with REAP, when it ended */
}

int pf_exec_kill(struct pf_exec *e)
{
	pf__exec_end_now(e, PF_CAUSE_KILLED);
	return 0;
}

const struct pf_result *pf_exec_result(const struct pf_exec *e)
{
	return e->state == PF_EXEC_DONE ? &e->result : NULL;
}

static void unlink_exec(struct pf_exec *e)
{
	struct pf_exec **p;

	for (p = &e->box->execs; *p; p = &(*p)->next)
		if (*p == e) {
			*p = e->next;
			return;
		}
}

void pf_exec_end(struct pf_exec *e)
{
	struct pf_sandbox *s;

	if (!e)
		return;
	s = e->box;
	pf__exec_end_now(e, PF_CAUSE_KILLED);
	unlink_exec(e);
	if (s->conn) {
		pf_conn_close(s->conn, pf_stream_stdin(e->id));
		pf_conn_close(s->conn, pf_stream_stdout(e->id));
		pf_conn_close(s->conn, pf_stream_stderr(e->id));
	}
	if (s->stale_count == PF_STALE_MAX)
		pf__exec_chores(s);
	s->stale[s->stale_count++] = e->id;
	pf_buf_free(&e->start);
	free(e->cwd);
	pf__output_free(e);
	free(e->inside.mem);
	free(e->outside.cgroup);
	free(e->outside.root_fs);
	free(e->outside.exec_mounts);
	pf_result_free(&e->result);
	free(e);
}
