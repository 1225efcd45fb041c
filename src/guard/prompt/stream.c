/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold guard prompt --stream: {"id", "source", "text"} on each line of the input, a verdict with the same
 * id on each line of the output. A line that is not understood is answered too, with "error", so that
 * questions and answers never get out of step.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "guard/prompt/tool.h"

#define LINE_MAX (4u << 20) /* as base/json.h reads */

struct question {
	const struct pf_json *id;
	enum pf__source source;
	const char *text;
	size_t len;
};

static int read_member(struct question *q, const struct pf_json *m, struct pf_error *err)
{
	if (strcmp(m->key, "id") == 0 && (m->type == PF_JSON_STRING || m->type == PF_JSON_INT)) {
		q->id = m;
		return 0;
	}
	if (strcmp(m->key, "text") == 0 && m->type == PF_JSON_STRING) {
		q->text = m->str.s;
		q->len = m->str.len;
		return 0;
	}
	if (strcmp(m->key, "source") == 0 && m->type == PF_JSON_STRING &&
	    pf__source_find(m->str.s, &q->source) == 0)
		return 0;
	return pf_fail(err, -EINVAL,
		       "\"%.40s\" is not understood: a question has id, source (user, tool) and text",
		       m->key);
}

static int read_question(struct question *q, const struct pf_json *root, struct pf_error *err)
{
	struct pf_error first = {0}, later;

	if (root->type != PF_JSON_OBJECT)
		return pf_fail(err, -EINVAL, "a question is an object");
	/* To the end, so that the answer has the id wherever it stands. */
	for (const struct pf_json *m = root->list.first; m; m = m->next) {
		if (read_member(q, m, first.code ? &later : &first) < 0)
			continue;
	}
	if (!first.code && !q->text)
		pf_fail(&first, -EINVAL, "the question has no text");
	if (first.code)
		*err = first;
	return first.code;
}

static void answer(struct pf__guard *g, enum pf__source source, const char *line, size_t n,
		   struct pf_buf *out)
{
	struct question q = {.source = source};
	struct pf_json_doc *doc = NULL;
	struct pf_error err = {0};
	struct pf__verdict v;
	struct pf_jsonw w;
	int r = n > LINE_MAX ? pf_fail(&err, -E2BIG, "the line is longer than %u bytes", LINE_MAX)
			     : pf_json_parse(line, n, 0, &doc, &err);

	if (r == 0)
		r = read_question(&q, pf_json_root(doc), &err);
	if (r == 0) {
		pf__judge_begin(g->judge, q.source);
		pf__judge_add(g->judge, q.text, q.len);
		r = pf__judge_end(g->judge, &v, &err);
	}
	pf_jsonw_init(&w, out, 0);
	pf_jsonw_begin(&w, '{');
	if (q.id && q.id->type == PF_JSON_INT)
		pf_jsonw_kint(&w, "id", q.id->i);
	else
		pf_jsonw_kstr(&w, "id", q.id ? q.id->str.s : NULL);
	if (r == 0)
		pf__verdict_json(&w, &v, q.source, g->weights.digest);
	else
		pf_jsonw_kstr(&w, "error", err.msg);
	pf_jsonw_end(&w, '}');
	pf_buf_addc(out, '\n');
	pf_json_free(doc);
}

/* Answer the whole lines in `in`; `skip`: the line that is being read is too long already. */
static int answer_lines(struct pf__guard *g, enum pf__source source, struct pf_buf *in, bool *skip, bool end)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	size_t done = 0;

	while (done < in->len || (*skip && end)) {
		const char *line = in->data + done, *nl = memchr(line, '\n', in->len - done);
		size_t n = nl ? (size_t)(nl - line) : in->len - done;

		if (!nl && !end)
			break;
		if (*skip)
			answer(g, source, NULL, (size_t)LINE_MAX + 1, &out);
		else if (n)
			answer(g, source, line, n, &out);
		*skip = false;
		done += n + (nl != NULL);
	}
	pf_buf_consume(in, done);
	if (in->len > LINE_MAX) {
		*skip = true;
		pf_buf_consume(in, in->len);
	}
	return pf_cli_out(&out);
}

int pf__guard_stream(struct pf__guard *g, enum pf__source source)
{
	PF_AUTO_BUF struct pf_buf in = {0};
	struct pf_error err = {0};
	bool skip = false;

	for (;;) {
		ssize_t n;
		int code;

		if (pf_buf_reserve(&in, 65536) < 0) {
			pf_fail(&err, -ENOMEM, "out of memory");
			return pf_cli_fail(&err);
		}
		n = read(STDIN_FILENO, in.data + in.len, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			pf_fail_errno(&err, "cannot read the questions");
			return pf_cli_fail(&err);
		}
		in.len += (size_t)n;
		code = answer_lines(g, source, &in, &skip, n == 0);
		if (code || n == 0)
			return code;
	}
}
