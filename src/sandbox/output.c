/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every byte of a command's output passes pf__output_add(), and goes nowhere but from there, by the redactor:
 * into the head and tail of the result, into the file of a long output, to the caller. So what is taken out
 * here is taken out of all three.
 */
#include <stdio.h>

#include "sandbox/sandbox.h"

#define WHERE_MAX 400

void pf__output_init(struct pf_exec *e)
{
	size_t limit = (size_t)e->box->policy->limits.output_inline;

	pf__keep_init(&e->out, limit);
	pf__keep_init(&e->err, limit);
	pf__spool_init(&e->spool);
}

/* How many of n more bytes are within the limit on output. What is beyond was written before the command
 * could be ended: it is counted, and goes nowhere. */
static size_t within_limit(const struct pf_exec *e, size_t n)
{
	uint64_t had = e->written[0] + e->written[1];

	if (!e->output_limit || had + n <= e->output_limit)
		return n;
	return had < e->output_limit ? (size_t)(e->output_limit - had) : 0;
}

bool pf__output_add(struct pf_exec *e, enum pf_stream stream, const void *p, size_t n)
{
	unsigned i = stream == PF_STDERR;
	size_t shown = within_limit(e, n);

	e->written[i] += n;
	e->beyond[i] += n - shown;
	if (shown)
		pf__redact_show(e, i, p, shown);
	return shown == n;
}

/* Behind the number of bytes that are left out: where they are. */
static void where_it_is(const struct pf_exec *e, unsigned i, char out[WHERE_MAX])
{
	const struct pf_whole *w = &e->result.whole[i];

	out[0] = '\0';
	if (w->kept)
		snprintf(out, WHERE_MAX, "; pinfold output %s%s prints %s", e->result.id,
			 i ? " --stderr" : "", e->beyond[i] ? "what came before the limit" : "all");
	else if (w->why)
		snprintf(out, WHERE_MAX, "; they could not be kept: %.300s", w->why);
}

void pf__output_end(struct pf_exec *e)
{
	struct pf_result *r = &e->result;

	pf__redact_end(e);
	pf__spool_end(e);
	for (unsigned i = 0; i < 2; i++) {
		char where[WHERE_MAX];

		where_it_is(e, i, where);
		r->whole[i].cut =
			pf__keep_take(i ? &e->err : &e->out, e->beyond[i], where, i ? &r->err : &r->out);
	}
	r->truncated = r->whole[0].cut || r->whole[1].cut;
	r->out_bytes = e->written[0];
	r->err_bytes = e->written[1];
}

void pf__output_free(struct pf_exec *e)
{
	for (unsigned i = 0; i < 2; i++)
		pf_redact_close(e->guarded[i]);
	pf__spool_free(e);
	pf__keep_free(&e->out);
	pf__keep_free(&e->err);
}
