/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commands.allow in a result: the first program, which init did not start, and what pinfold-refuse left of
 * those that commands tried. The latter comes from inside: any command could have written it. It is told as
 * that, a bounded number of lines, each cut and each once; and nothing is decided by it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "sandbox/sandbox.h"
#include "view/place.h"

#define TOLD_MAX 32
#define RULE	 "commands.allow"
#define INSIDE	 "commands.allow (told from inside)"

static void make_hint(const struct pf_exec *e, char *out, size_t cap)
{
	const char *approved = e->box->box->approved;

	snprintf(out, cap, "approved: %.500s%s; to approve it add it to commands.allow",
		 approved ? approved : "?", approved && strlen(approved) > 500 ? " ..." : "");
}

void pf__refused_first(struct pf_exec *e, const char *name)
{
	struct pf_error why = {0};
	char hint[640];

	make_hint(e, hint, sizeof(hint));
	pf_result_deny(&e->result, "command", name, RULE, hint);
	pf_fail(&why, -EACCES, "%.200s is not an approved program", name);
	pf__finish_refused(e, PF_CAUSE_DENIED, &why);
}

static bool was_told(const struct pf_result *r, const char *path)
{
	for (size_t i = 0; i < r->denial_count; i++)
		if (pf_streq(r->denials[i].target, path) && pf_streq(r->denials[i].rule, INSIDE))
			return true;
	return false;
}

void pf__refused_take(struct pf_exec *e)
{
	PF_AUTO_BUF struct pf_buf lines = {0};
	char hint[640], path[PF_REFUSED_LINE_MAX];
	unsigned told = 0;
	size_t at = 0;

	if (!e->box->box->approved || !e->box->tier->refused)
		return;
	e->box->tier->refused(e->box->box, &lines);
	make_hint(e, hint, sizeof(hint));
	while (at < lines.len && told < TOLD_MAX) {
		const char *line = lines.data + at, *end = memchr(line, '\n', lines.len - at);
		size_t n = end ? (size_t)(end - line) : lines.len - at;

		at += n + 1;
		if (n == 0)
			continue;
		pf_printable(line, n < sizeof(path) ? n : sizeof(path) - 1, path, sizeof(path));
		if (was_told(&e->result, path))
			continue;
		pf_result_deny(&e->result, "command", path, INSIDE, hint);
		told++;
	}
}
