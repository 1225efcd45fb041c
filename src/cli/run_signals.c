/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals to pinfold run, as bytes in a pipe that its loop polls. Every signal that would end us asks for the
 * end of the command, so that its changes are kept: only what a fault of our own raises (SIGSEGV and its
 * like) and SIGKILL are not among them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/run.h"

/* A handler has no argument of its own: the one place where a file-wide variable is needed. */
static int pipe_fds[2] = {-1, -1};
static volatile sig_atomic_t ends;

#define ENDS_PATIENCE                                                                                        \
	3 /* so many ^C, and we go at once; the sandbox goes with us, its traces with the next sweep */

static void on_signal(int signo)
{
	int saved = errno;
	char byte = (char)signo;

	if (signo == SIGINT || signo == SIGTERM) {
		ends++;
		if (ends >= ENDS_PATIENCE) {
			signal(signo, SIG_DFL);
			raise(signo);
		}
	}
	(void)!write(pipe_fds[1], &byte, 1); /* full: there is enough to read already */
	errno = saved;
}

static void on_alarm(int signo)
{
	static const char line[] = "pinfold: starting the sandbox takes longer than usual ...\n";
	int saved = errno;

	(void)signo;
	(void)!write(STDERR_FILENO, line, sizeof(line) - 1);
	errno = saved;
}

/* SIGPIPE is caught by a handler that does nothing, so that writes give EPIPE and an execve resets it. */
static void on_pipe(int signo)
{
	(void)signo;
}

static void catch_one(int signo, void (*handler)(int))
{
	struct sigaction old, act = {.sa_handler = handler, .sa_flags = SA_RESTART};

	/* nohup(1) and a shell's background jobs ignore some for us: that stays. */
	if (handler == on_signal && sigaction(signo, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
		return;
	sigfillset(&act.sa_mask);
	sigaction(signo, &act, NULL);
}

int pf_signals_catch(void)
{
	static const int all[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGWINCH,	 SIGTSTP, SIGUSR1,
				  SIGUSR2, SIGALRM, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGPOLL,
				  SIGPWR,  SIGABRT, SIGTRAP, SIGSYS,  SIGSTKFLT};

	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	for (size_t i = 0; i < PF_ARRAY_SIZE(all); i++)
		catch_one(all[i], on_signal);
	for (int signo = SIGRTMIN; signo <= SIGRTMAX; signo++)
		catch_one(signo, on_signal);
	catch_one(SIGPIPE, on_pipe);
	return pipe_fds[0];
}

int pf_signals_next(void)
{
	unsigned char byte;

	return read(pipe_fds[0], &byte, 1) == 1 ? byte : 0;
}

void pf_signals_progress(bool on)
{
	struct itimerval when = {.it_value = {.tv_sec = on ? 1 : 0}};

	if (on)
		catch_one(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &when, NULL);
	if (!on)
		catch_one(SIGALRM, on_signal);
}
