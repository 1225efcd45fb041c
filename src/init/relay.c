/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes between a command's pipes or terminal and the protocol's streams. A stream without credit
 * stops being read; a command that does not read its stdin holds at most PF_CREDIT bytes here.
 */
#include <errno.h>
#include <unistd.h>

#include "init/init.h"

#define CHUNK 65536

static void close_output(struct init *in, struct exec *e, bool is_err)
{
	int *fd = is_err ? &e->err : &e->out;
	bool *eof = is_err ? &e->err_eof : &e->out_eof;

	if (*fd >= 0)
		close(*fd);
	if (e->tty && !is_err)
		e->in = -1;
	*fd = -1;
	if (*eof)
		return;
	*(is_err ? &e->err_held : &e->out_held) = true;
	if (e->state != EXEC_RUNNING)
		in__relay_release(in, e);
}

/* Each message wakes the host. A short command starts, closes its streams and can be reaped within a moment:
 * so the word that it started, and an end of file while it runs, are held for HOLD_MS (main.c) or until it is
 * reaped, and go together. */
bool in__relay_holds(const struct exec *e)
{
	return e->started_held || e->out_held || e->err_held;
}

void in__relay_release(struct init *in, struct exec *e)
{
	in__exec_say_started(in, e);
	if (e->out_held)
		pf_conn_eof(in->conn, pf_stream_stdout(e->id));
	if (e->err_held)
		pf_conn_eof(in->conn, pf_stream_stderr(e->id));
	e->out_eof |= e->out_held;
	e->err_eof |= e->err_held;
	e->out_held = e->err_held = false;
}

int in__relay_output(struct init *in, struct exec *e, bool is_err)
{
	static char bytes[CHUNK];
	uint32_t stream = is_err ? pf_stream_stderr(e->id) : pf_stream_stdout(e->id);
	size_t room = pf_conn_room(in->conn, stream);
	ssize_t n;

	if (room == 0)
		return 0;
	n = read(is_err ? e->err : e->out, bytes, room < CHUNK ? room : CHUNK);
	if (n > 0)
		return pf_conn_write(in->conn, stream, bytes, (size_t)n);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	close_output(in, e, is_err); /* end of file; EIO from a terminal whose last process closed it */
	return 0;
}

/* Its first process ended, and mostly nothing else has its pipes: then what is left in them, and their ends,
 * go with the word that it ended, in one message. One look each; what more there is waits for poll(). */
void in__relay_rest(struct init *in, struct exec *e)
{
	if (e->exited_sent)
		return;
	if (e->out >= 0)
		in__relay_output(in, e, false);
	if (e->err >= 0)
		in__relay_output(in, e, true);
}

static void close_input(struct init *in, struct exec *e, bool tell)
{
	if (e->in >= 0 && !e->tty)
		close(e->in);
	e->in = -1;
	if (tell && pf_conn_is_open(in->conn, pf_stream_stdin(e->id)))
		pf_conn_stop(in->conn, pf_stream_stdin(e->id));
	pf_buf_free(&e->in_queue);
}

void in__relay_input(struct init *in, struct exec *e)
{
	if (e->state < EXEC_RUNNING)
		return; /* a launcher that waits may still be replaced, and what it was given would be lost
			   with it */
	while (e->in >= 0 && e->in_queue.len) {
		ssize_t n = write(e->in, e->in_queue.data, e->in_queue.len);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) { /* EPIPE: the command reads no more */
			close_input(in, e, true);
			return;
		}
		pf_buf_consume(&e->in_queue, (size_t)n);
		pf_conn_grant(in->conn, pf_stream_stdin(e->id), (size_t)n);
	}
	if (e->in_eof && !e->in_queue.len && !e->tty)
		close_input(in, e, false);
}

static struct exec *by_stdin(struct init *in, uint32_t stream)
{
	return stream % 4 == 1 ? in__exec_find(in, stream / 4) : NULL;
}

int in__relay_data(struct init *in, uint32_t stream, const uint8_t *p, size_t n, struct pf_error *err)
{
	struct exec *e = by_stdin(in, stream);

	if (!e || (e->in < 0 && e->state >= EXEC_RUNNING))
		return 0; /* ended meanwhile */
	if (pf_buf_add(&e->in_queue, p, n) < 0)
		return pf_fail(err, -EPROTO, "more stdin than was granted");
	in__relay_input(in, e);
	return 0;
}

int in__relay_eof(struct init *in, uint32_t stream)
{
	struct exec *e = by_stdin(in, stream);

	if (e) {
		e->in_eof = true;
		in__relay_input(in, e);
	}
	return 0;
}

/* The host reads no more of an output: close our end, so that the command gets SIGPIPE as it would anywhere.
 */
void in__relay_stopped(struct init *in, uint32_t stream)
{
	struct exec *e = in__exec_find(in, stream / 4);

	if (e && stream % 4 == 2 && e->out >= 0)
		close_output(in, e, false);
	if (e && stream % 4 == 3 && e->err >= 0)
		close_output(in, e, true);
}
