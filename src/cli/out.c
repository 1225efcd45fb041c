/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What verbs print. Whole texts in one write: no stdio streams, whose set-up would be part of every run, and
 * no half lines beside the command's own output.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "cli/cli.h"

void pf_cli_say(const char *fmt, ...)
{
	char line[1024] = "pinfold: ";
	size_t at = strlen(line);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line + at, sizeof(line) - at - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	at = strlen(line);
	line[at++] = '\n';
	pf_write_full(STDERR_FILENO, line, at);
}

int pf_cli_fail(const struct pf_error *err)
{
	char text[PF_ERROR_MAX * 2];

	/* Messages quote paths and lines of files that somebody else may have written. */
	pf_printable(err->msg, strlen(err->msg), text, sizeof(text));
	pf_cli_say("%s", text);
	return PF_EXIT_ERROR;
}

int pf_cli_out(const struct pf_buf *b)
{
	int r;

	if (b->failed) {
		pf_cli_say("out of memory");
		return PF_EXIT_ERROR;
	}
	r = b->len ? pf_write_full(STDOUT_FILENO, b->data, b->len) : 0;
	if (r == -EPIPE)
		return 141;
	if (r < 0) {
		pf_cli_say("cannot write the output: %s", strerror(-r));
		return PF_EXIT_ERROR;
	}
	return 0;
}

void pf_cli_name(struct pf_buf *out, const char *s)
{
	size_t n = s ? strlen(s) : 0, cap = n * 4 + 1;
	PF_AUTO_FREE char *text = NULL;

	if (!n) {
		pf_buf_addc(out, '-');
		return;
	}
	text = malloc(cap);
	if (!text) {
		out->failed = true;
		return;
	}
	pf_printable(s, n, text, cap);
	pf_buf_adds(out, text);
}

void pf_cli_name_cut(struct pf_buf *out, const char *s, size_t columns)
{
	char text[256];

	if (!s || !*s) {
		pf_buf_addc(out, '-');
		return;
	}
	pf_printable(s, strlen(s), text, columns + 1 < sizeof(text) ? columns + 1 : sizeof(text));
	pf_buf_adds(out, text);
}

/* --- help ---------------------------------------------------------------------- */

static void add_usage(struct pf_buf *out, const struct pf_verb *v)
{
	const char *line = v->usage, *lead = "usage: ";

	while (*line) {
		const char *end = strchr(line, '\n');

		pf_buf_addf(out, "%spinfold %.*s\n", lead, (int)(end - line), line);
		lead = "       ";
		line = end + 1;
	}
}

int pf_cli_help(const struct pf_verb *v)
{
	PF_AUTO_BUF struct pf_buf out = {0};

	add_usage(&out, v);
	pf_buf_addf(&out, "\n%s\n\noptions:\n", v->text);
	pf_args_help(v->opts, v->policy, &out);
	return pf_cli_out(&out);
}

int pf_cli_misuse(const struct pf_verb *v, const struct pf_error *err)
{
	pf_cli_fail(err);
	pf_cli_say("\"pinfold help %s\" lists what there is", v->name);
	return PF_EXIT_ERROR;
}
