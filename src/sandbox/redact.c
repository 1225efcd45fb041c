/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.output: what of a command's output is shown passes a redactor of the sandbox, which knows the values
 * that its user called secret: of --secret and secrets.values, of --env, and of the workspace's hidden files,
 * which are read here, on the host's side, and nowhere else. It is made with the first byte of output, so
 * that a quiet command pays nothing. Bytes of file operations (cp) are never touched.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "egress/control.h"
#include "guard/secret.h"
#include "sandbox/sandbox.h"

#define PAUSE_NS  100000000ull
#define FILE_MAX  65536u
#define FILES_MAX 256u

/* Once, when the sandbox is made: a secret that cannot be read is an error before anything runs. */
int pf__redact_new(struct pf_sandbox *s, struct pf_error *err)
{
	char helper[600];
	int r;

	if (s->policy->guard_output == PF_GUARD_OFF)
		return 0;
	snprintf(helper, sizeof(helper), "%s/pinfold-unpack", s->dirs.libexec);
	if (pf_redact_new(&s->redact) < 0 || pf_redact_set_helper(s->redact, helper) < 0)
		return pf_fail(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < s->policy->secret_values.count; i++) {
		r = pf_secret_add(s->redact, s->policy->secret_values.items[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

void pf__redact_free(struct pf_sandbox *s)
{
	pf_redact_free(s->redact);
	s->redact = NULL;
}

static int too_many(struct pf_error *err)
{
	return pf_fail(err, -E2BIG, "more than %u secrets are known: redaction would miss some",
		       PF_REDACT_VALUES);
}

static int add_env(struct pf_sandbox *s, struct pf_error *err)
{
	const struct pf_list *env = &s->policy->env;

	for (size_t i = 0; i < env->count; i++) {
		const char *eq = strchr(env->items[i], '=');
		PF_AUTO_FREE char *name = eq ? strndup(env->items[i], (size_t)(eq - env->items[i])) : NULL;
		int r;

		if (!eq)
			continue;
		if (!name)
			return pf_fail(err, -ENOMEM, "out of memory");
		if (!pf_secret_key(name) || strlen(eq + 1) > PF_REDACT_VALUE_MAX)
			continue;
		r = pf_redact_add(s->redact, name, eq + 1, strlen(eq + 1), PF_REDACT_MAYBE);
		if (r < 0)
			return r == -E2BIG ? too_many(err) : pf_fail(err, r, "out of memory");
	}
	return 0;
}

/* A hidden file: regular, not large, beneath the workspace without a link on the way; else it is passed over,
 * as the sandbox sees nothing of it either. */
static int add_file(struct pf_sandbox *s, int ws, const char *path, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = pf_open_beneath(ws, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	PF_AUTO_BUF struct pf_buf text = {0};
	bool full = false;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX ||
	    pf_read_fd(fd, &text, FILE_MAX) < 0)
		return 0;
	r = pf_secret_file(s->redact, path, text.data ? text.data : "", text.len, &full);
	if (text.data)
		explicit_bzero(text.data, text.len);
	return full ? too_many(err) : r < 0 ? pf_fail(err, r, "out of memory") : 0;
}

static int add_files(struct pf_sandbox *s, struct pf_error *err)
{
	const struct pf_list *hidden = s->box ? s->box->hidden : NULL;
	int r = 0;

	for (size_t i = 0; hidden && i < hidden->count && i < FILES_MAX && r == 0; i++)
		r = add_file(s, s->box->workspace_fd, hidden->items[i], err);
	return r;
}

static void deliver(struct pf_exec *e, unsigned i, const void *p, size_t n)
{
	pf__spool_add(e, i, p, n); /* first: it writes what the other has in memory */
	pf__keep_add(i ? &e->err : &e->out, p, n);
	if (e->output)
		e->output(e->user, e, i ? PF_STDERR : PF_STDOUT, p, n);
}

static void out(void *user, const void *p, size_t n)
{
	deliver(user, 0, p, n);
}

static void err_out(void *user, const void *p, size_t n)
{
	deliver(user, 1, p, n);
}

/* The environment and the hidden files, once. */
static int make_ready(struct pf_sandbox *s, struct pf_error *err)
{
	int r;

	if (s->redact_ready)
		return 0;
	r = add_env(s, err);
	if (r == 0)
		r = add_files(s, err);
	s->redact_ready = r == 0;
	return r;
}

static int open_stream(struct pf_exec *e, unsigned i, struct pf_error *err)
{
	struct pf_sandbox *s = e->box;
	struct pf_redact_options o = {.stream = i ? "stderr" : "stdout",
				      .mode = s->policy->guard_output,
				      .live = e->output != NULL,
				      .account = &e->result.redactions,
				      .sink = i ? err_out : out,
				      .user = e};
	int r = make_ready(s, err);

	if (r < 0)
		return r;
	r = pf_redact_open(s->redact, &o, &e->guarded[i]);
	return r < 0 ? pf_fail(err, r, "out of memory") : 0;
}

/* Fail closed: what cannot be looked at is not shown, and the sandbox ends. */
static void give_up(struct pf_exec *e, const struct pf_error *why)
{
	struct pf_error told = *why;

	e->blind = true;
	pf_wrap(&told, "output cannot be redacted");
	pf__break_box(e->box, PF_CAUSE_ERROR, &told);
}

void pf__redact_show(struct pf_exec *e, unsigned i, const void *p, size_t n)
{
	struct pf_error err = {0};

	bool file = e->op >= PF_OP_READ && e->op <= PF_OP_REMOVE; /* its bytes are the user's */

	if (!e->box->redact || file) {
		deliver(e, i, p, n);
		return;
	}
	if (e->blind)
		return;
	if (!e->guarded[i] && open_stream(e, i, &err) < 0) {
		give_up(e, &err);
		return;
	}
	if (pf_redact_feed(e->guarded[i], p, n) < 0) {
		pf_fail(&err, -ENOMEM, "out of memory");
		give_up(e, &err);
	}
}

void pf__redact_end(struct pf_exec *e)
{
	for (unsigned i = 0; i < 2; i++) {
		if (e->guarded[i] && !e->blind)
			pf_redact_end(e->guarded[i]);
		pf_redact_close(e->guarded[i]);
		e->guarded[i] = NULL;
	}
}

uint64_t pf__redact_due(const struct pf_exec *e)
{
	for (unsigned i = 0; i < 2; i++) {
		if (e->output && e->guarded[i] && pf_redact_holds(e->guarded[i]))
			return e->last_byte_ns + PAUSE_NS;
	}
	return UINT64_MAX;
}

bool pf__redact_tick(struct pf_exec *e, uint64_t now)
{
	if (pf__redact_due(e) > now)
		return false;
	for (unsigned i = 0; i < 2; i++) {
		if (e->guarded[i])
			pf_redact_pause(e->guarded[i]);
	}
	return true;
}

/* One text that is shown beside the output. It is replaced, or left out where it cannot be looked at. *p may
 * be NULL: there is none. */
static void text(struct pf_sandbox *s, struct pf_redact_account *account, char **p)
{
	PF_AUTO_BUF struct pf_buf shown = {0};
	struct pf_error ignored;
	char *copy;
	int r;

	if (!*p)
		return;
	r = make_ready(s, &ignored);
	if (r == 0)
		r = pf_redact_text(s->redact, "result", s->policy->guard_output, *p, strlen(*p), account,
				   &shown);
	if (r == 0)
		return;
	copy = r > 0 ? pf_buf_steal(&shown) : NULL;
	if (copy) {
		free(*p);
		*p = copy;
	} else {
		(*p)[0] = '\0';
	}
}

/* The same of a text that has its place: it is cut to that. */
static void place(struct pf_sandbox *s, struct pf_redact_account *account, char *at, size_t room)
{
	PF_AUTO_FREE char *copy = *at ? strdup(at) : NULL;

	if (copy)
		text(s, account, &copy);
	if (*at)
		snprintf(at, room, "%s", copy ? copy : "");
}

int pf__redact_ready(struct pf_sandbox *s, struct pf_error *err)
{
	return s->redact ? make_ready(s, err) : 0;
}

void pf__redact_result(struct pf_exec *e)
{
	struct pf_result *r = &e->result;
	struct pf_error why;

	if (!e->box->redact)
		return;
	for (size_t i = 0; i < r->argv.count; i++)
		text(e->box, &r->redactions, &r->argv.items[i]);
	for (size_t i = 0; i < r->denial_count; i++) {
		text(e->box, &r->redactions, &r->denials[i].target);
		text(e->box, &r->redactions, &r->denials[i].hint);
	}
	if (r->error && make_ready(e->box, &why) < 0) { /* what is left out is explained by our own words */
		free(r->error);
		r->error = strdup(why.msg);
	} else {
		text(e->box, &r->redactions, &r->error);
	}
	if (r->guard.judged)
		place(e->box, &r->redactions, r->guard.verdict.reason, sizeof(r->guard.verdict.reason));
}

void pf__redact_report(struct pf_exec *e, struct pf_egress_report *r)
{
	struct pf_redact_account *account = &e->result.redactions;

	if (!e->box->redact)
		return;
	place(e->box, account, r->target, sizeof(r->target));
	place(e->box, account, r->address, sizeof(r->address));
	place(e->box, account, r->hint, sizeof(r->hint));
}

void pf__redact_line(struct pf_sandbox *s, char **line)
{
	if (s->redact && *line)
		text(s, NULL, line);
}
