/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The question of guard.command. It is put to the terminal itself, and only to one that a person sits at: our
 * standard input may be the text of somebody who would say yes to himself.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "cli/run.h"

/* One more byte, or false at the end, and at a signal: ^C is a no. */
static bool next(int fd, int signals, char *byte)
{
	struct pollfd p[] = {{.fd = signals, .events = POLLIN}, {.fd = fd, .events = POLLIN}};

	while (poll(p, 2, -1) < 0)
		if (errno != EINTR)
			return false;
	return !p[0].revents && read(fd, byte, 1) == 1;
}

/* One line; what is longer than the buffer is no yes. */
static bool yes(int fd, int signals)
{
	char line[64];
	size_t n = 0;

	while (n < sizeof(line)) {
		if (!next(fd, signals, line + n))
			return false;
		if (line[n] == '\n')
			break;
		n++;
	}
	while (n && isspace((unsigned char)line[n - 1]))
		n--;
	return (n == 1 && tolower((unsigned char)line[0]) == 'y') ||
	       (n == 3 && strncasecmp(line, "yes", 3) == 0);
}

static void put_question(const struct pf_run *run, const struct pf_command_verdict *v, struct pf_buf *out)
{
	const struct pf_result *r = pf_exec_result(run->exec);

	pf_buf_addf(out, "pinfold: guard.command asks (%s): %s\n", v->rule, v->reason);
	for (size_t i = run->shell ? 2 : 0; i < r->argv.count; i++) {
		pf_buf_adds(out, i == (run->shell ? 2 : 0) ? "  " : " ");
		pf_cli_name(out, r->argv.items[i]);
	}
	pf_buf_adds(out, "\nRun it in the sandbox? [y/N] ");
}

bool pf_run_ask(struct pf_run *run)
{
	const struct pf_result *r = pf_exec_result(run->exec);
	PF_AUTO_CLOSE int fd = -1;
	PF_AUTO_BUF struct pf_buf text = {0};

	if (!r || r->cause != PF_CAUSE_DENIED || !r->guard.judged ||
	    r->guard.verdict.verdict != PF_VERDICT_ASK || run->json != PF_JSON_OFF || run->quiet ||
	    run->approved || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return false;
	fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return false;
	put_question(run, &r->guard.verdict, &text);
	if (text.failed || pf_write_full(fd, text.data, text.len) < 0 || !yes(fd, run->signals))
		return false;
	run->approved = true;
	pf_exec_end(run->exec);
	run->exec = NULL;
	return true;
}
