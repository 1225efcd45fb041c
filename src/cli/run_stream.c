/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --json=stream: a line for each thing that happens.
 *
 *	{"type":"started","id":...,"tier":...}                   the sandbox is up, the command was sent to it
 *	{"type":"stdout","data":...,"encoding":"utf-8"|"base64"}  and "stderr"
 *	{"type":"denial","denial":{...}}                          what was refused, the first time
 *	{"type":"connection","connection":{...}}                  a connection that ended
 *	{"type":"result","result":{...}}                          always the last line
 *
 * A character that two pieces of output share is held back until the rest of it is there, so that text
 * does not become base64 only because of where the kernel cut it.
 */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "cli/run.h"

static void put_line(struct pf_run *run, struct pf_buf *line)
{
	pf_buf_addc(line, '\n');
	if (line->failed && run->out.error == 0)
		run->out.error = -ENOMEM;
	else
		pf_sink_put(&run->out, line->data, line->len);
	pf_buf_free(line);
}

void pf_stream_started(struct pf_run *run)
{
	struct pf_buf line = {0};
	struct pf_jsonw w;

	pf_jsonw_init(&w, &line, 0);
	pf_jsonw_begin(&w, '{');
	pf_jsonw_kstr(&w, "type", "started");
	pf_jsonw_kstr(&w, "id", pf_sandbox_id(run->box));
	pf_jsonw_kstr(&w, "tier", pf_sandbox_tier(run->box));
	pf_jsonw_end(&w, '}');
	put_line(run, &line);
}

static void put_piece(struct pf_run *run, enum pf_stream stream, const char *p, size_t n)
{
	struct pf_buf line = {0};
	struct pf_jsonw w;
	bool text = pf_utf8_valid(p, n);

	if (n == 0)
		return;
	pf_jsonw_init(&w, &line, 0);
	pf_jsonw_begin(&w, '{');
	pf_jsonw_kstr(&w, "type", stream == PF_STDERR ? "stderr" : "stdout");
	pf_jsonw_key(&w, "data");
	if (text)
		pf_jsonw_strn(&w, p, n);
	else
		pf_jsonw_base64(&w, p, n);
	pf_jsonw_kstr(&w, "encoding", text ? "utf-8" : "base64");
	pf_jsonw_end(&w, '}');
	put_line(run, &line);
}

void pf_stream_data(struct pf_run *run, enum pf_stream stream, const void *p, size_t n)
{
	PF_AUTO_BUF struct pf_buf all = {0};
	int i = stream == PF_STDERR;
	size_t whole;

	pf_buf_add(&all, run->carry[i], run->carry_len[i]);
	if (pf_buf_add(&all, p, n) < 0) {
		run->out.error = -ENOMEM;
		return;
	}
	whole = pf_utf8_whole(all.data, all.len);
	run->carry_len[i] = all.len - whole;
	memcpy(run->carry[i], all.data + whole, all.len - whole);
	put_piece(run, stream, all.data, whole);
}

void pf_stream_event(void *user, struct pf_exec *e, const char *type, const char *json)
{
	struct pf_buf line = {0};

	(void)e;
	pf_buf_addf(&line, "{\"type\":\"%s\",\"%s\":", type, type);
	pf_buf_adds(&line, json);
	pf_buf_addc(&line, '}');
	put_line(user, &line);
}

void pf_stream_result(struct pf_run *run)
{
	struct pf_buf line = {0};

	put_piece(run, PF_STDOUT, run->carry[0], run->carry_len[0]);
	put_piece(run, PF_STDERR, run->carry[1], run->carry_len[1]);
	pf_buf_adds(&line, "{\"type\":\"result\",\"result\":");
	pf_result_json(&run->result, 0, &line);
	pf_buf_addc(&line, '}');
	put_line(run, &line);
}
