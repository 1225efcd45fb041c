/* SPDX-License-Identifier: Apache-2.0 */
/* One line on a terminal, written over itself; see tool.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "image/tool/tool.h"

#define FIRST_NS 1000000000ull /* what ends sooner says nothing */
#define EVERY_NS 100000000ull
#define COLUMNS	 79 /* a longer line would wrap, and could not be taken away */

void pf__progress_begin(struct pf__progress *p, const char *what)
{
	*p = (struct pf__progress){.what = what, .terminal = isatty(STDERR_FILENO), .begun = pf_now_ns()};
}

static bool due(struct pf__progress *p)
{
	uint64_t now = pf_now_ns();

	if (!p->terminal || now - p->begun < FIRST_NS || now - p->last < EVERY_NS)
		return false;
	p->last = now;
	return true;
}

void pf__progress_say(struct pf__progress *p, const char *fmt, ...)
{
	char text[256], shown[COLUMNS + 1], line[COLUMNS + 32];
	va_list ap;
	int n;

	if (!due(p))
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	/* It may quote what a registry or a mirror said. */
	pf_printable(text, strlen(text), shown, sizeof(shown) - strlen("pinfold: : "));
	n = snprintf(line, sizeof(line), "\rpinfold: %.24s: %s\033[K", p->what, shown);
	if (n > 0)
		pf_write_full(STDERR_FILENO, line, strnlen(line, sizeof(line)));
	p->shown = true;
}

void pf__progress_bytes(struct pf__progress *p, const char *doing, uint64_t done, uint64_t total)
{
	char a[16], b[16];

	pf_format_size(done, a);
	pf_format_size(total, b);
	if (total)
		pf__progress_say(p, "%s: %s of %s", doing, a, b);
	else
		pf__progress_say(p, "%s: %s", doing, a);
}

void pf__progress_end(struct pf__progress *p)
{
	static const char erase[] = "\r\033[K";

	if (p->shown)
		pf_write_full(STDERR_FILENO, erase, sizeof(erase) - 1);
	p->shown = false;
}
