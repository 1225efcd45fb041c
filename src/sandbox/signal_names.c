/* SPDX-License-Identifier: Apache-2.0 */
/* Names of signals as people write them. Neither libc has all of them under the same name. */
#include <signal.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "sandbox/result.h"

/* By number: x86-64 and the other architectures that share asm-generic/signal.h. */
static const char *const names[] = {
	[SIGHUP] = "SIGHUP",   [SIGINT] = "SIGINT",	  [SIGQUIT] = "SIGQUIT", [SIGILL] = "SIGILL",
	[SIGTRAP] = "SIGTRAP", [SIGABRT] = "SIGABRT",	  [SIGBUS] = "SIGBUS",	 [SIGFPE] = "SIGFPE",
	[SIGKILL] = "SIGKILL", [SIGUSR1] = "SIGUSR1",	  [SIGSEGV] = "SIGSEGV", [SIGUSR2] = "SIGUSR2",
	[SIGPIPE] = "SIGPIPE", [SIGALRM] = "SIGALRM",	  [SIGTERM] = "SIGTERM", [SIGSTKFLT] = "SIGSTKFLT",
	[SIGCHLD] = "SIGCHLD", [SIGCONT] = "SIGCONT",	  [SIGSTOP] = "SIGSTOP", [SIGTSTP] = "SIGTSTP",
	[SIGTTIN] = "SIGTTIN", [SIGTTOU] = "SIGTTOU",	  [SIGURG] = "SIGURG",	 [SIGXCPU] = "SIGXCPU",
	[SIGXFSZ] = "SIGXFSZ", [SIGVTALRM] = "SIGVTALRM", [SIGPROF] = "SIGPROF", [SIGWINCH] = "SIGWINCH",
	[SIGIO] = "SIGIO",     [SIGPWR] = "SIGPWR",	  [SIGSYS] = "SIGSYS",
};

#define FIRST_REALTIME 34 /* the C libraries keep the kernel's first two for themselves */

const char *pf_signal_name(int signo, char buf[16])
{
	if (signo > 0 && (size_t)signo < PF_ARRAY_SIZE(names) && names[signo])
		return names[signo];
	if (signo == FIRST_REALTIME)
		return "SIGRTMIN";
	if (signo > FIRST_REALTIME && signo <= 64)
		snprintf(buf, 16, "SIGRTMIN+%d", signo - FIRST_REALTIME);
	else
		snprintf(buf, 16, "SIG%d", signo);
	return buf;
}
