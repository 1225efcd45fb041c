/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of one exec: sandbox, output, input, signals. Single-threaded; nothing in it waits but poll(2). */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/run.h"

#define STDIN_CHUNK 65536
#define DRAIN_MS    1000

enum { ON_BOX, ON_SIGNALS, ON_STDIN, ON_OUT, ON_ERR, ON_COUNT };

void pf_run_output(void *user, struct pf_exec *e, enum pf_stream stream, const void *p, size_t n)
{
	struct pf_run *run = user;

	(void)e;
	if (run->json == PF_JSON_STREAM_MODE)
		pf_stream_data(run, stream, p, n);
	else
		pf_sink_put(stream == PF_STDERR && !run->one_sink ? &run->err : &run->out, p, n);
}

/* --- signals -------------------------------------------------------------------- */

/* ^Z without a terminal inside: the sandbox stands still while we do. Best effort: without a freezer it runs
 * on. */
static void suspend(struct pf_run *run)
{
	struct pf_error ignored;
	bool raw = run->terminal.raw;
	bool paused = pf_sandbox_pause(run->box, &ignored) == 0;

	pf_tty_restore(&run->terminal);
	raise(SIGSTOP);
	if (raw)
		pf_tty_raw(&run->terminal);
	if (paused)
		pf_sandbox_resume(run->box, &ignored);
}

static void resize(struct pf_run *run)
{
	unsigned short rows, cols;

	if (run->tty && pf_tty_size(&run->terminal, &rows, &cols))
		pf_exec_resize(run->exec, rows, cols);
}

static void handle_signals(struct pf_run *run)
{
	int signo;

	while ((signo = pf_signals_next())) {
		if (signo == SIGWINCH) {
			resize(run);
		} else if (signo == SIGTSTP) {
			suspend(run);
			resize(run); /* it may have changed meanwhile */
		} else {
			run->kills++;
			pf_exec_kill(run->exec);
		}
	}
}

/* --- input and output -------------------------------------------------------------- */

static void feed_stdin(struct pf_run *run)
{
	struct pf_error ignored;
	char buf[STDIN_CHUNK];
	size_t room = pf_exec_stdin_room(run->exec);
	ssize_t n;

	if (room == 0)
		return;
	n = read(STDIN_FILENO, buf, room < sizeof(buf) ? room : sizeof(buf));
	if (n > 0) {
		/* A command that reads no more is no failure of ours. */
		if (pf_exec_stdin(run->exec, buf, (size_t)n, &ignored) < 0)
			run->stdin_open = false;
		return;
	}
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	/* The end, or EIO: a terminal that is no longer ours. */
	pf_exec_stdin_close(run->exec);
	run->stdin_open = false;
}

/* Nobody reads what the command writes: it ends, as the left side of a pipe does. 141 is 128 + SIGPIPE. */
static void check_sink(struct pf_run *run, struct pf_sink *s)
{
	if (s->error == 0 || run->forced_code >= 0)
		return;
	run->forced_code = s->error == -EPIPE || s->error == -ECONNRESET ? 141 : PF_EXIT_ERROR;
	if (run->forced_code == PF_EXIT_ERROR)
		pf_cli_say("cannot write the command's output: %s; it was ended", strerror(-s->error));
	pf_exec_kill(run->exec);
}

/* A slow reader holds up the stream that it reads and no other. Once it was killed there is no more to come
 * than what is on its way, and the end must be seen. */
static void hold_streams(struct pf_run *run)
{
	bool out = !run->kills && pf_sink_pending(&run->out) > PF_SINK_HIGH;
	bool err = !run->kills && pf_sink_pending(&run->err) > PF_SINK_HIGH;

	if (run->one_sink || run->json == PF_JSON_STREAM_MODE)
		err = out;
	pf_exec_hold(run->exec, PF_STDOUT, out);
	pf_exec_hold(run->exec, PF_STDERR, err);
}

static void fill_poll(const struct pf_run *run, struct pollfd p[ON_COUNT])
{
	bool room = run->stdin_open && pf_exec_stdin_room(run->exec) > 0;

	p[ON_BOX] =
		(struct pollfd){.fd = pf_sandbox_fd(run->box), .events = (short)pf_sandbox_events(run->box)};
	p[ON_SIGNALS] = (struct pollfd){.fd = run->signals, .events = POLLIN};
	p[ON_STDIN] = (struct pollfd){.fd = room ? STDIN_FILENO : -1, .events = POLLIN};
	p[ON_OUT] = (struct pollfd){.fd = pf_sink_pending(&run->out) ? run->out.fd : -1, .events = POLLOUT};
	p[ON_ERR] = (struct pollfd){.fd = pf_sink_pending(&run->err) ? run->err.fd : -1, .events = POLLOUT};
}

/* One turn. Negative when the sandbox is broken. */
static int turn(struct pf_run *run, struct pf_error *err)
{
	struct pollfd p[ON_COUNT];
	int ready, r = 0;

	fill_poll(run, p);
	ready = poll(p, ON_COUNT, pf_sandbox_timeout(run->box));
	if (ready < 0 && errno != EINTR)
		return pf_fail_errno(err, "poll");
	if (ready < 0) /* a signal: nothing is known of the descriptors */
		memset(p, 0, sizeof(p));
	handle_signals(run);
	if (p[ON_OUT].revents)
		pf_sink_flush(&run->out);
	if (p[ON_ERR].revents)
		pf_sink_flush(&run->err);
	if (p[ON_STDIN].revents)
		feed_stdin(run);
	hold_streams(run);
	r = pf_sandbox_step(run->box, 0, err);
	hold_streams(run);
	check_sink(run, &run->out);
	check_sink(run, &run->err);
	return r;
}

/* The command has ended; what it wrote goes out, however long its reader takes. After a signal only a reader
 * that still reads is waited for, and a further signal is the last word. */
static void drain(struct pf_run *run)
{
	unsigned before = run->kills;

	while (run->kills == before && (pf_sink_pending(&run->out) || pf_sink_pending(&run->err))) {
		struct pollfd p[ON_COUNT];
		int ready;

		fill_poll(run, p);
		p[ON_BOX].fd = p[ON_STDIN].fd = -1;
		ready = poll(p, ON_COUNT, run->kills ? DRAIN_MS : -1);
		if (ready == 0 || (ready < 0 && errno != EINTR))
			return;
		handle_signals(run);
		pf_sink_flush(&run->out);
		pf_sink_flush(&run->err);
		check_sink(run, &run->out);
		check_sink(run, &run->err);
	}
}

void pf_run_loop(struct pf_run *run, struct pf_error *err)
{
	int r = 0;

	while (r >= 0 && !pf_exec_result(run->exec))
		r = turn(run, err);
	drain(run);
}
