/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What init says and what the clock says. Nothing that init says is believed: a message that does
 * not fit ends the sandbox with cause boundary; deadlines and limits are the host's own.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "sandbox/door.h"

#define MS		1000000ull
#define DRAIN_NS	(2000 * MS)  /* after the first process ended, for its streams to close */
#define KILL_NS		(3000 * MS)  /* after a kill, for init to say that it happened */
#define LANDLOCK_SCOPES 6	     /* the ABI that brought them (Linux 6.12) */
#define QUIET_MS	1	     /* nothing happened for so long: time for chores */
#define PREPARE_NS	(10000 * MS) /* for init to have a launcher wait */
#define SAMPLE_NS	(5 * MS)     /* between two looks at what is free */

void pf__break_box(struct pf_sandbox *s, enum pf_cause cause, const struct pf_error *why)
{
	struct pf_exec *e;

	if (s->broken.code)
		return;
	s->broken = *why;
	if (!s->broken.code)
		s->broken.code = -EIO;
	s->tier->stop(s->box);
	for (e = s->execs; e; e = e->next) {
		if (e->state == PF_EXEC_DONE)
			continue;
		/* what we had decided ourselves before the end stays the cause */
		if (e->forced != PF_CAUSE_NONE && e->state >= PF_EXEC_STARTING)
			pf__finish(e);
		else
			pf__finish_refused(e, cause, &s->broken);
	}
}

/* --- messages ----------------------------------------------------------------------------- */

static int on_welcome(struct pf_sandbox *s, const uint8_t *p, size_t n, struct pf_error *err)
{
	struct pf_msg_welcome m;
	void *mem;
	int r = pf_msg_welcome_get(p, n, &m, &mem, err);

	if (r < 0)
		return r;
	if (s->welcome) {
		free(mem);
		return pf_fail(err, -EPROTO, "init greets twice");
	}
	s->welcome = true;
	if (m.version < PF_PROTO_MIN || m.version > PF_PROTO_MAX)
		return free(mem),
		       pf_fail(err, -EPROTO, "init speaks a version of the protocol that it was not offered");
	/* init's word, within what the host knows of its own kernel */
	if (m.landlock_abi > (uint32_t)s->box->receipt.landlock_abi ||
	    (m.scoped && m.landlock_abi < LANDLOCK_SCOPES))
		return free(mem),
		       pf_fail(err, -EPROTO, "init claims a Landlock that the kernel does not have");
	s->box->receipt.door.port = m.door_err ? 0 : PF_DOOR_PORT;
	s->box->receipt.door.err = m.door_err < 0 ? -m.door_err : m.door_err;
	s->box->receipt.door.rules = (uint32_t)s->policy->network.allow.count;
	s->box->receipt.landlock_scoped = m.scoped;
	s->box->receipt.landlock_abi = (int)m.landlock_abi;
	free(mem);
	return 0;
}

static struct pf_exec *of_message(struct pf_sandbox *s, uint32_t id, struct pf_error *err)
{
	struct pf_exec *e = pf__exec_find(s, id);

	if (!e && (id == 0 || id >= s->next_exec))
		pf_fail(err, -EPROTO, "init speaks of exec %u, which never was", id);
	return e;
}

/* No command starts in a workspace that shows what it should not. 1: it was mounted anew. */
static int confirm(struct pf_sandbox *s, struct pf_error *err)
{
	struct pf_box_spec spec = pf__sandbox_spec(s);
	struct pf_error why = {0};
	int r = s->tier->confirm(s->box, &spec, &why);

	s->looking = false;
	if (r > 0)
		r = pf__workspace_renew(s, &why);
	if (r >= 0)
		return r;
	pf__break_box(s, PF_CAUSE_ERROR, &why);
	return pf_fail(err, why.code, "%s", why.msg);
}

/* The launcher waits. Look at it from outside, compare, and only then let it go on. */
static int on_ready(struct pf_sandbox *s, const uint8_t *p, size_t n, struct pf_error *err)
{
	struct pf_msg_ready m;
	struct pf_error why = {0};
	struct pf_exec *e;
	void *mem;
	int r = pf_msg_ready_get(p, n, &m, &mem, err);

	if (r < 0)
		return r;
	e = of_message(s, m.exec, err);
	if (!e || e->state > PF_EXEC_STARTING) {
		free(mem);
		if (e && e->state == PF_EXEC_DONE)
			return 0; /* it was on its way when we ended the exec */
		return e || err->code
			       ? pf_fail(err, -EPROTO, "init has a launcher wait that nobody asked for")
			       : 0;
	}
	if (e->killed_ns) { /* its launcher was hit before it became the command, and this one replaces it */
		free(mem);
		r = pf__exec_cancel(e);
		pf__finish(e);
		return r;
	}
	free(e->inside.mem);
	e->inside = (struct pf_inside){true, m, mem};
	free(e->outside.cgroup);
	free(e->outside.root_fs);
	free(e->outside.exec_mounts);
	e->outside = (struct pf_outside){0};
	r = s->tier->inspect(s->box, e->id, &e->inside.ready, &e->outside, &why);
	if (r == -ESRCH && s->broken.code == 0)
		return 0; /* killed while we looked: init replaces it, and says READY again */
	if (r == 0)
		r = pf__prove(e, &why);
	if (r < 0) { /* no command is started, and none goes on, behind a wall in doubt */
		pf__break_box(s, PF_CAUSE_BOUNDARY, &why);
		return pf_fail(err, why.code, "%s", why.msg);
	}
	e->state = PF_EXEC_SPARE;
	if ((r = confirm(s, err)) != 0) /* 1: READY comes again */
		return r < 0 ? r : 0;
	return e->wanted ? pf__exec_go(e, err) : 0;
}

static int on_started(struct pf_sandbox *s, const uint8_t *p, size_t n, struct pf_error *err)
{
	struct pf_msg_started m;
	struct pf_exec *e;
	void *mem;
	int r = pf_msg_started_get(p, n, &m, &mem, err);

	if (r < 0)
		return r;
	free(mem);
	e = of_message(s, m.exec, err);
	if (!e)
		return err->code;
	if (e->state != PF_EXEC_STARTING)
		return e->state == PF_EXEC_DONE
			       ? 0
			       : pf_fail(err, -EPROTO, "init starts what was not to be started");
	e->state = PF_EXEC_RUNNING;
	return m.err ? pf__finish_start_failed(e, m.err, m.step) : 0;
}

/* The first process ended. Whatever it left behind in its exec ends now, so that the streams can close. */
static int on_exited(struct pf_sandbox *s, const uint8_t *p, size_t n, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf_msg_exited m;
	struct pf_exec *e;
	void *mem;
	int r = pf_msg_exited_get(p, n, &m, &mem, err);

	if (r < 0)
		return r;
	free(mem);
	e = of_message(s, m.exec, err);
	if (!e)
		return err->code;
	if (e->state != PF_EXEC_STARTING && e->state != PF_EXEC_RUNNING)
		return e->state == PF_EXEC_DONE ? 0 : pf_fail(err, -EPROTO, "init ends what did not run");
	e->exited = m;
	e->state = PF_EXEC_DRAINING;
	e->ended_ns = e->drain_ns = pf_now_ns();
	if (s->tier->exec_separate(s->box)) {
		s->tier->exec_kill(s->box, e->id);
		e->reaped = true;
		return 0;
	}
	r = pf_msg_exec_put(&b, e->id);
	return r < 0 ? r : pf_conn_send(s->conn, PF_MSG_REAP, b.data, b.len);
}

static int on_failed(struct pf_sandbox *s, const uint8_t *p, size_t n, struct pf_error *err)
{
	struct pf_error why = {0};
	struct pf_msg_failed m;
	struct pf_exec *e;
	char text[256];
	void *mem;
	int r = pf_msg_failed_get(p, n, &m, &mem, err);

	if (r < 0)
		return r;
	pf_printable(m.text, strlen(m.text), text, sizeof(text));
	free(mem);
	pf_fail(&why, m.err > 0 && m.err < 4096 ? -m.err : -EIO, "inside the sandbox: %s%s%s", text,
		m.err > 0 ? ": " : "", m.err > 0 ? strerror(m.err) : "");
	if (m.exec == 0)
		return pf_fail(err, why.code, "%s", why.msg);
	e = of_message(s, m.exec, err);
	if (!e)
		return err->code;
	if (e->state != PF_EXEC_DONE)
		pf__finish_refused(e, PF_CAUSE_ERROR, &why);
	return 0;
}

static int on_reaped(struct pf_sandbox *s, const uint8_t *p, size_t n, struct pf_error *err)
{
	struct pf_exec *e;
	uint32_t id;
	int r = pf_msg_exec_get(p, n, &id, err);

	if (r < 0)
		return r;
	e = of_message(s, id, err);
	if (e)
		e->reaped = true;
	return e ? 0 : err->code;
}

static int on_control(void *user, uint16_t type, const uint8_t *body, size_t n, struct pf_error *err)
{
	struct pf_sandbox *s = user;
	struct pf_error local = {0};

	if (!err)
		err = &local;
	err->code = 0;
	if (!s->welcome && type != PF_MSG_WELCOME && type != PF_MSG_FAILED)
		return pf_fail(err, -EPROTO, "init speaks before it greets");
	switch (type) {
	case PF_MSG_WELCOME:
		return on_welcome(s, body, n, err);
	case PF_MSG_READY:
		return on_ready(s, body, n, err);
	case PF_MSG_STARTED:
		return on_started(s, body, n, err);
	case PF_MSG_EXITED:
		return on_exited(s, body, n, err);
	case PF_MSG_FAILED:
		return on_failed(s, body, n, err);
	case PF_MSG_REAPED:
		return on_reaped(s, body, n, err);
	case PF_MSG_CONNECTED:
		return pf__door_connected(s, body, n, err);
	case PF_MSG_TURNED_AWAY:
		return pf__door_turned_away(s, body, n, err);
	}
	return pf_fail(err, -EPROTO, "init sends an unknown message (%u)", type);
}

/* --- streams ---------------------------------------------------------------------------------- */

/* A command that meets a full disk mostly says so, and may tidy up before it ends: so it is looked at when it
 * speaks. */
static void sample_disk(struct pf_exec *e)
{
	if (e->disk_full || e->last_byte_ns < e->sampled_ns + SAMPLE_NS)
		return;
	e->sampled_ns = e->last_byte_ns;
	e->disk_full = e->box->tier->full(e->box->box);
}

static int on_data(void *user, uint32_t stream, const uint8_t *p, size_t n, struct pf_error *err)
{
	struct pf_sandbox *s = user;
	struct pf_exec *e = pf__exec_find(s, stream / 4);
	bool is_err = stream == pf_stream_stderr(stream / 4);

	if (pf_stream_is_door(stream))
		return pf__door_data(s, stream, p, n, err);
	if (!e)
		return 0;
	if (e->state == PF_EXEC_DONE)
		return pf_conn_grant(s->conn, stream, n);
	if (e->state < PF_EXEC_STARTING)
		return pf_fail(err, -EPROTO, "init sends output of a command that was not started");
	e->last_byte_ns = pf_now_ns();
	sample_disk(e);
	if (!pf__output_add(e, is_err ? PF_STDERR : PF_STDOUT, p, n))
		pf__exec_end_now(e, PF_CAUSE_OUTPUT_LIMIT);
	if (e->held[is_err]) {
		e->owed[is_err] += n;
		return 0;
	}
	return pf_conn_grant(s->conn, stream, n);
}

static int on_eof(void *user, uint32_t stream, struct pf_error *err)
{
	struct pf_exec *e = pf__exec_find(user, stream / 4);

	(void)err;
	if (pf_stream_is_door(stream))
		pf__door_eof(user, stream);
	if (e && stream == pf_stream_stdout(e->id))
		e->out_eof = true;
	if (e && stream == pf_stream_stderr(e->id))
		e->err_eof = true;
	return 0;
}

static int on_stopped(void *user, uint32_t stream, struct pf_error *err)
{
	struct pf_exec *e = pf__exec_find(user, stream / 4);

	(void)err;
	if (pf_stream_is_door(stream))
		pf__door_stopped(user, stream);
	if (e && stream == pf_stream_stdin(e->id)) {
		e->stdin_open = false;
		pf_conn_close(((struct pf_sandbox *)user)->conn, stream);
	}
	return 0;
}

const struct pf_conn_ops pf__conn_ops = {on_control, on_data, on_eof, on_stopped};

/* --- the clock ---------------------------------------------------------------------------------- */

/* When this exec next needs us, in monotonic ns; UINT64_MAX: never. */
static uint64_t due(const struct pf_exec *e)
{
	uint64_t at = UINT64_MAX, t;

	if (e->box->paused_at || e->state == PF_EXEC_DONE)
		return at;
	if (e->state == PF_EXEC_DRAINING)
		return (e->held[0] && !e->out_eof) || (e->held[1] && !e->err_eof) ? at
										  : e->drain_ns + DRAIN_NS;
	if (e->killed_ns)
		return e->killed_ns + KILL_NS;
	if (!e->started_ns)
		return e->wanted ? e->asked_ns + PREPARE_NS : at;
	if (e->wall_ms && (t = e->started_ns + e->paused_ns + e->wall_ms * MS) < at)
		at = t;
	if (e->idle_ms && (t = e->last_byte_ns + e->idle_ms * MS) < at)
		at = t;
	t = pf__redact_due(e);
	return t < at ? t : at;
}

static bool drained(const struct pf_exec *e)
{
	return e->state == PF_EXEC_DRAINING && e->out_eof && e->err_eof && e->reaped;
}

/* Returns whether something happened. */
static bool tick(struct pf_exec *e, uint64_t now)
{
	if (drained(e) || (e->state == PF_EXEC_DRAINING && due(e) <= now)) {
		pf__finish(e);
		return true;
	}
	if (pf__redact_tick(e, now))
		return true;
	if (due(e) > now)
		return false;
	if (e->killed_ns || !e->started_ns) { /* init does not answer: end everything */
		struct pf_error why;

		pf_fail(&why, -ETIMEDOUT, "pinfold-init stopped answering");
		pf__break_box(e->box, PF_CAUSE_BOUNDARY, &why);
	} else if (e->wall_ms && now >= e->started_ns + e->paused_ns + e->wall_ms * MS) {
		pf__exec_end_now(e, PF_CAUSE_TIMEOUT);
	} else {
		pf__exec_end_now(e, PF_CAUSE_IDLE_TIMEOUT);
	}
	return true;
}

static bool tick_all(struct pf_sandbox *s)
{
	uint64_t now = pf_now_ns();
	bool happened = false;
	struct pf_exec *e;

	for (e = s->execs; e; e = e->next)
		if (e->state != PF_EXEC_DONE && tick(e, now))
			happened = true;
	return happened;
}

int pf_sandbox_timeout(const struct pf_sandbox *s)
{
	uint64_t now = pf_now_ns(), at = UINT64_MAX;
	const struct pf_exec *e;

	if (s->looking)
		return 0;
	for (e = s->execs; e; e = e->next)
		if (due(e) < at)
			at = due(e);
	if (at == UINT64_MAX)
		return -1;
	if (at <= now)
		return 0;
	at = (at - now + MS - 1) / MS;
	return at > 60000 ? 60000 : (int)at;
}

/* --- step ------------------------------------------------------------------------------------------ */

/* Init ends by itself when it has told all of a command that was to be the last. */
static bool ended_well(const struct pf_sandbox *s)
{
	const struct pf_exec *e;

	for (e = s->execs; e; e = e->next)
		if (e->last && (e->state == PF_EXEC_DONE || drained(e)))
			return true;
	return false;
}

/* Nothing can be written to it any more, but something is still to be read: at least the end of file, if it
 * is gone. What it said before counts. One that only refuses to listen, with nothing to say, is broken. */
static bool unread(const struct pf_sandbox *s, int r)
{
	struct pollfd p = {.fd = pf_conn_fd(s->conn), .events = POLLIN};

	return (r == -EPIPE || r == -ECONNRESET) && poll(&p, 1, 0) > 0 && (p.revents & (POLLIN | POLLHUP));
}

static int receive(struct pf_sandbox *s, struct pf_error *err)
{
	struct pf_error why = {0};
	int r = pf_conn_readable(s->conn, &why);

	if (r > 0 && ((r = pf_conn_writable(s->conn, &why)) >= 0 || unread(s, r)))
		return 1;
	if ((r == 0 || r == -ECONNRESET) && ended_well(s)) {
		tick_all(s);
		pf_fail(&s->broken, -EPIPE, "its last command has ended");
		return 1;
	}
	if (r == 0 || r == -ECONNRESET) /* the latter if it left something unread */
		r = pf_fail(&why, -EPIPE, "pinfold-init died");
	else if (!why.code)
		pf_fail(&why, r, "the connection to pinfold-init broke");
	pf__break_box(s, r == -EPROTO ? PF_CAUSE_BOUNDARY : PF_CAUSE_ERROR, &why);
	return pf_fail(err, s->broken.code, "%s", s->broken.msg);
}

int pf_sandbox_step(struct pf_sandbox *s, int timeout_ms, struct pf_error *err)
{
	struct pollfd p = {.fd = pf_sandbox_fd(s), .events = (short)pf_sandbox_events(s)};
	int wait = pf_sandbox_timeout(s), sent = 0, r;
	struct pf_error why = {0};
	bool chores = !s->broken.code && pf__exec_has_chores(s);

	if (s->broken.code)
		return pf_fail(err, s->broken.code, "%s", s->broken.msg);
	if (wait < 0 || (timeout_ms >= 0 && timeout_ms < wait))
		wait = timeout_ms;
	r = poll(&p, 1, chores && (wait < 0 || wait > QUIET_MS) ? QUIET_MS : wait);
	if (r == 0 && s->looking) {
		s->looking = !s->tier->look(s->box);
		return tick_all(s) ? 1 : 0;
	}
	if (r == 0 && chores) {
		pf__exec_chores(s);
		return tick_all(s) ? 1 : 0;
	}
	if (r < 0 && errno != EINTR)
		return pf_fail_errno(err, "poll");
	if (r > 0 && s->door) {
		p.revents = 0;
		pf__door_serve(s, &p.revents);
		if (pf_conn_wants_write(s->conn))
			p.revents |= POLLOUT;
	}
	if (r > 0 && (p.revents & POLLOUT) && (sent = pf_conn_writable(s->conn, &why)) < 0 && !why.code)
		pf_fail(&why, sent, "the connection to pinfold-init broke");
	/* also when it cannot be written: init may have said why it ended */
	if (r > 0 && (p.revents & (POLLIN | POLLHUP | POLLERR)) && (r = receive(s, err)) < 0)
		return r;
	if (sent < 0 && !s->broken.code && !unread(s, sent)) {
		pf__break_box(s, PF_CAUSE_ERROR, &why);
		return pf_fail(err, s->broken.code, "%s", s->broken.msg);
	}
	return tick_all(s) || r > 0 ? 1 : 0;
}
