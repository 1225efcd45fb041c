/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of execs. A launcher is forked when the host says PREPARE; it confines itself, says
 * READY and waits; START makes it the command. One that is killed while it waits (by `kill -9 -1`
 * inside, say) is replaced, a few times; then it is a failure that the host is told.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/san.h"
#include "base/str.h"
#include "init/init.h"
#include "linux/clone.h"

#define REPLACE_MAX 16 /* launchers killed while they waited, before the exec is given up */

struct exec *in__exec_find(struct init *in, uint32_t id)
{
	unsigned i;

	for (i = 0; i < EXECS_MAX; i++)
		if (in->execs[i].state != EXEC_FREE && in->execs[i].id == id)
			return &in->execs[i];
	return NULL;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void release(struct init *in, struct exec *e)
{
	pf_conn_close(in->conn, pf_stream_stdin(e->id));
	pf_conn_close(in->conn, pf_stream_stdout(e->id));
	pf_conn_close(in->conn, pf_stream_stderr(e->id));
	if (e->tty)
		e->in = -1; /* the master, closed as out */
	close_fd(&e->ctl);
	close_fd(&e->in);
	close_fd(&e->out);
	close_fd(&e->err);
	pf_buf_free(&e->ctl_in);
	pf_buf_free(&e->ctl_out);
	pf_buf_free(&e->in_queue);
	*e = (struct exec){.ctl = -1, .in = -1, .out = -1, .err = -1};
}

static int send_failed(struct init *in, uint32_t id, int err, const char *text)
{
	struct pf_msg_failed m = {.exec = id, .err = err, .text = (char *)(uintptr_t)text};
	PF_AUTO_BUF struct pf_buf b = {0};
	int r = pf_msg_failed_put(&b, &m);

	return r < 0 ? r : pf_conn_send(in->conn, PF_MSG_FAILED, b.data, b.len);
}

/* --- forking a launcher -------------------------------------------------------------- */

/* v2: straight into the exec's group; the kernel checks init's rights there (cgroup-v2.rst). v1: the launcher
 * moves itself. */
static pid_t fork_into(const struct init *in, uint32_t id)
{
	PF_AUTO_CLOSE int dir = -1;
	char name[16];
	uint32_t i;

	for (i = 0; i < in->hello.cgroup_count; i++) {
		if (in->hello.cgroup_kind[i] != PF_CGROUP_V2)
			continue;
		snprintf(name, sizeof(name), "%u", id);
		dir = openat(in->cgroup_fds[i], name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (dir < 0)
			return -1;
	}
	return dir >= 0 ? pf_clone3(0, dir, NULL) : fork();
}

static int spawn(struct init *in, struct exec *e, struct pf_error *err)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return pf_fail_errno(err, "cannot make a launcher's control socket");
	pid = fork_into(in, e->id);
	if (pid == 0) {
		close(pair[0]);
		in__launcher_main(in, &e->prepare, pair[1]);
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return pf_fail_errno(err, "cannot fork a launcher");
	}
	pf_set_nonblock(pair[0], 1);
	e->ctl = pair[0];
	e->pid = pid;
	e->state = EXEC_PREPARING;
	return 0;
}

int in__exec_prepare(struct init *in, const struct pf_msg_prepare *m, struct pf_error *err)
{
	struct exec *e = NULL;
	unsigned i;
	int r;

	if (in__exec_find(in, m->exec))
		return pf_fail(err, -EPROTO, "exec %u exists", m->exec);
	for (i = 0; i < EXECS_MAX && !e; i++)
		if (in->execs[i].state == EXEC_FREE)
			e = &in->execs[i];
	if (!e)
		return send_failed(in, m->exec, EAGAIN, "too many commands at once in one sandbox");
	*e = (struct exec){
		.id = m->exec, .ctl = -1, .in = -1, .out = -1, .err = -1, .tty = m->tty, .prepare = *m};
	e->in_queue.limit = PF_CREDIT + 4096;
	e->ctl_in.limit = 1 << 20;
	if ((r = pf_conn_open(in->conn, pf_stream_stdin(e->id), PF_STREAM_IN)) < 0 ||
	    (r = pf_conn_open(in->conn, pf_stream_stdout(e->id), PF_STREAM_OUT)) < 0 ||
	    (r = pf_conn_open(in->conn, pf_stream_stderr(e->id), PF_STREAM_OUT)) < 0)
		return pf_fail(err, r, "cannot open the streams of exec %u", e->id);
	r = spawn(in, e, err);
	if (r < 0) {
		struct pf_error local = *err;

		release(in, e);
		return send_failed(in, m->exec, -local.code, local.msg);
	}
	return 0;
}

/* --- start ----------------------------------------------------------------------------- */

int in__exec_start(struct init *in, const uint8_t *body, size_t n, struct pf_error *err)
{
	struct pf_msg_start m;
	PF_AUTO_FREE void *mem = NULL;
	uint32_t length = (uint32_t)n;
	struct exec *e;
	int r = pf_msg_start_get(body, n, &m, &mem, err);

	if (r < 0)
		return r;
	e = in__exec_find(in, m.exec);
	if (e && (e->state == EXEC_PREPARING ||
		  (e->state == EXEC_READY && m.launcher && m.launcher != (uint32_t)e->pid)))
		return 0; /* that launcher was killed and is being replaced: a new READY will be looked at,
			     and answered, afresh */
	if (!e || e->state != EXEC_READY)
		return send_failed(in, m.exec, ESRCH, "that exec does not wait");
	if (in__launcher_spoilt(in, e->pid)) {
		kill(e->pid, SIGKILL); /* it is replaced like any other that dies while it waits */
		return 0;
	}
	/* the launcher decodes it again, itself: it is checked here so that a bad one never gets there */
	if (pf_buf_add(&e->ctl_out, &length, sizeof(length)) < 0 || pf_buf_add(&e->ctl_out, body, n) < 0)
		return pf_fail(err, -ENOMEM, "out of memory");
	e->state = EXEC_STARTING;
	e->last = m.last;
	in__exec_control_flush(e);
	return 0;
}

int in__exec_control_flush(struct exec *e)
{
	while (e->ctl_sent < e->ctl_out.len) {
		ssize_t n = send(e->ctl, e->ctl_out.data + e->ctl_sent, e->ctl_out.len - e->ctl_sent,
				 MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		e->ctl_sent += (size_t)n;
	}
	pf_buf_free(&e->ctl_out);
	e->ctl_sent = 0;
	return 0;
}

/* --- what the launcher says ---------------------------------------------------------------- */

static ssize_t receive(struct exec *e, int fds[3], int *count)
{
	char control[CMSG_SPACE(3 * sizeof(int))], bytes[16384];
	struct iovec iov = {bytes, sizeof(bytes)};
	struct msghdr h = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *c;
	ssize_t n = recvmsg(e->ctl, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (n <= 0)
		return n;
	c = CMSG_FIRSTHDR(&h);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		*count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), (size_t)*count * sizeof(int));
	}
	return pf_buf_add(&e->ctl_in, bytes, (size_t)n) < 0 ? -1 : n;
}

static void take_fds(struct exec *e, const int fds[3], int count)
{
	int i;

	for (i = 0; i < count; i++)
		pf_set_nonblock(fds[i], 1);
	if (e->tty && count == 1) {
		e->in = e->out = fds[0];
	} else if (!e->tty && count >= 2) {
		e->out = fds[0];
		e->err = fds[1];
		e->in = count == 3 ? fds[2] : -1;
	}
}

static int send_started(struct init *in, const struct exec *e, int err_no, uint8_t step)
{
	struct pf_msg_started m = {.exec = e->id, .err = err_no, .step = step};
	PF_AUTO_BUF struct pf_buf b = {0};
	int r = pf_msg_started_put(&b, &m);

	return r < 0 ? r : pf_conn_send(in->conn, PF_MSG_STARTED, b.data, b.len);
}

static int take_word(struct init *in, struct exec *e, uint8_t word, const uint8_t *p, uint32_t n)
{
	if (word == LAUNCHER_READY) {
		if (e->state != EXEC_PREPARING)
			return 0;
		e->state = EXEC_READY;
		in->quiet = false;
		return pf_conn_send(in->conn, PF_MSG_READY, p, n);
	}
	if (word == LAUNCHER_GOING)
		e->going = true;
	if (word == LAUNCHER_FAILED && n >= 5) {
		int32_t err_no;

		memcpy(&err_no, p, sizeof(err_no));
		if (e->state != EXEC_STARTING)
			return send_failed(in, e->id, err_no,
					   n > 5 ? (const char *)p + 5
						 : "a launcher could not confine itself");
		e->start_failed = true;
		return send_started(in, e, err_no, p[4]);
	}
	return 0;
}

/* A closed control socket while starting means that execve succeeded, since it is close-on-exec, or that the
 * launcher died before it had read START. */
static int control_closed(struct exec *e)
{
	close_fd(&e->ctl);
	if (e->state != EXEC_STARTING || !e->going)
		return 0; /* died while it waited: in__exec_child_ended() sees to it */
	e->state = EXEC_RUNNING;
	e->started_held = !e->start_failed;
	return 0;
}

int in__exec_say_started(struct init *in, struct exec *e)
{
	if (!e->started_held)
		return 0;
	e->started_held = false;
	return send_started(in, e, 0, PF_STEP_NONE);
}

int in__exec_control(struct init *in, struct exec *e, struct pf_error *err)
{
	int fds[3], count = 0, r;
	ssize_t n = receive(e, fds, &count);

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0) {
		r = control_closed(e);
		in__relay_input(in, e); /* what came before, be it only the end of file */
		return r;
	}
	if (count)
		take_fds(e, fds, count);
	if (count && e->tty && !e->err_eof) {
		pf_conn_eof(in->conn, pf_stream_stderr(e->id)); /* with a terminal all is stdout */
		e->err_eof = true;
	}
	while (e->ctl_in.len >= 5) {
		uint32_t length;

		memcpy(&length, e->ctl_in.data + 1, sizeof(length));
		if (e->ctl_in.len - 5 < length)
			break;
		r = take_word(in, e, (uint8_t)e->ctl_in.data[0], (const uint8_t *)e->ctl_in.data + 5, length);
		if (r < 0)
			return pf_fail(err, r, "cannot report about exec %u", e->id);
		pf_buf_consume(&e->ctl_in, 5 + length);
	}
	return 0;
}

/* --- signals, sizes, ends ----------------------------------------------------------------- */

int in__exec_signal(struct init *in, const struct pf_msg_signal *m)
{
	struct exec *e = in__exec_find(in, m->exec);
	pid_t group;

	if (e && e->state == EXEC_STARTING && m->signo == SIGKILL)
		kill(e->pid, SIGKILL); /* if it comes before START was read, the next READY finds that nobody
					  wants it any more */
	if (!e || e->state != EXEC_RUNNING)
		return 0;
	if (m->scope == PF_SIGNAL_TERMINAL && e->tty && e->out >= 0 &&
	    ioctl(e->out, TIOCGPGRP, &group) == 0 && group > 1)
		kill(-group, (int)m->signo);
	else if (m->scope == PF_SIGNAL_ALL)
		kill(-e->pid, (int)m->signo);
	else
		kill(e->pid, (int)m->signo);
	return 0;
}

int in__exec_resize(struct init *in, const struct pf_msg_resize *m)
{
	struct exec *e = in__exec_find(in, m->exec);
	struct winsize w = {.ws_row = m->rows, .ws_col = m->cols};

	if (e && e->tty && e->out >= 0)
		ioctl(e->out, TIOCSWINSZ, &w);
	return 0;
}

int in__exec_cancel(struct init *in, uint32_t id)
{
	struct exec *e = in__exec_find(in, id);

	if (e && (e->state == EXEC_PREPARING || e->state == EXEC_READY)) {
		kill(e->pid, SIGKILL);
		release(in, e);
	}
	return 0;
}

void in__exec_renew(struct init *in)
{
	unsigned i;

	for (i = 0; i < EXECS_MAX; i++) {
		struct exec *e = &in->execs[i];

		if (e->state != EXEC_PREPARING && e->state != EXEC_READY)
			continue;
		kill(e->pid, SIGKILL);
		e->state = EXEC_PREPARING; /* no START reaches it any more */
		e->renewed = true;
	}
}

/* `kill -STOP -1` is no reason for the next command to hang: a launcher that was stopped before it became its
 * command goes on. A command that is stopped is its own business. */
void in__exec_child_stopped(struct init *in, pid_t pid)
{
	struct pf_error err;
	unsigned i, n;

	for (i = 0; i < EXECS_MAX; i++) {
		struct exec *e = &in->execs[i];

		if (e->state == EXEC_FREE || e->pid != pid)
			continue;
		for (n = 0; n < 3 && e->ctl >= 0; n++)
			in__exec_control(
				in, e,
				&err); /* perhaps it became its command, and that stopped itself at once */
		if (e->ctl >= 0)
			kill(pid, SIGCONT);
	}
}

/* One that died before it had read START is replaced, also when START was sent: `kill -9 -1` of the command
 * before may hit it late. */
static bool became_the_command(const struct exec *e)
{
	if (e->state == EXEC_STARTING)
		return e->going || e->start_failed;
	return e->state > EXEC_STARTING;
}

void in__exec_child_ended(struct init *in, pid_t pid, int status, uint64_t user_us, uint64_t system_us,
			  uint64_t max_rss)
{
	struct pf_error err;
	struct exec *e = NULL;
	unsigned i;

	for (i = 0; i < EXECS_MAX && !e; i++)
		if (in->execs[i].state != EXEC_FREE && in->execs[i].pid == pid)
			e = &in->execs[i];
	if (!e || e->state == EXEC_ENDED)
		return; /* an orphan that was given to us */
	if (e->state == EXEC_STARTING && e->ctl >= 0)
		in__exec_control(in, e, &err); /* what it still said */
	if (!became_the_command(e)) {
#ifdef PF_SAN_BUILD
		if (WIFSIGNALED(status) &&
		    WTERMSIG(status) == SIGILL) /* a trap: a launcher in its place would hide it */
			_exit(PF_SAN_EXIT_CODE);
#endif
		close_fd(&e->ctl);
		e->in = e->tty ? -1 : e->in;
		close_fd(&e->in);
		close_fd(&e->out);
		close_fd(&e->err);
		pf_buf_free(&e->ctl_in);
		pf_buf_free(&e->ctl_out);
		e->ctl_sent = 0;
		e->replaced += !e->renewed;
		e->renewed = false;
		if (e->replaced <= REPLACE_MAX && spawn(in, e, &err) == 0)
			return; /* the host hears READY again and looks at the new one afresh */
		in->quiet = false;
		send_failed(in, e->id, ECHILD, "the launcher died before the command was started");
		release(in, e);
		return;
	}
	e->state = EXEC_ENDED;
	e->status = status;
	e->user_us = user_us;
	e->system_us = system_us;
	e->max_rss = max_rss;
}

static int send_exited(struct init *in, const struct exec *e)
{
	struct pf_msg_exited m = {
		.exec = e->id, .user_us = e->user_us, .system_us = e->system_us, .max_rss_bytes = e->max_rss};
	PF_AUTO_BUF struct pf_buf b = {0};
	int r;

	m.signalled = WIFSIGNALED(e->status);
	m.core = m.signalled && WCOREDUMP(e->status);
	m.value = (uint32_t)(m.signalled ? WTERMSIG(e->status) : WEXITSTATUS(e->status));
	r = pf_msg_exited_put(&b, &m);
	return r < 0 ? r : pf_conn_send(in->conn, PF_MSG_EXITED, b.data, b.len);
}

void in__exec_settle(struct init *in, struct exec *e)
{
	if (e->state != EXEC_ENDED)
		return;
	if (!e->exited_sent) {
		if (e->ctl >= 0) {
			struct pf_error err;

			in__exec_control(in, e, &err);
		}
		if (in__exec_say_started(in, e) == 0 && send_exited(in, e) == 0)
			e->exited_sent = true;
	}
	if (e->last && e->exited_sent && e->out_eof && e->err_eof)
		in->ending = true;
	if (e->out_eof && e->err_eof && !pf_conn_is_open(in->conn, pf_stream_stdout(e->id)) &&
	    !pf_conn_is_open(in->conn, pf_stream_stderr(e->id)))
		release(in, e);
}
