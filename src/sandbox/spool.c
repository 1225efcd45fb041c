/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An output that is longer than the result shows, on its way into the state directory (outputs.h). Nothing is
 * made before the inline limit is passed; then what was kept in memory until now is written, and what comes
 * from there on. The other stream follows at the end, so that one id answers for both.
 *
 * A disk that is full, or any other failure, costs that stream's file and nothing else: the command must not
 * find out from how it is run whether the host has room.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "sandbox/outputs.h"
#include "sandbox/sandbox.h"
#include "workspace/change.h"

static const char *const names[] = {"stdout", "stderr"};

void pf__spool_init(struct pf_spool *sp)
{
	*sp = (struct pf_spool){.outputs = -1, .stage = -1, .fd = {-1, -1}};
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* This stream will have no file. What there was of it goes, and its room on a full disk with it. */
static void give_up(struct pf_exec *e, unsigned i, const char *why)
{
	struct pf_whole *w = &e->result.whole[i];

	e->spool.failed[i] = true;
	free(w->why);
	w->why = strdup(why);
	if (e->spool.fd[i] >= 0)
		unlinkat(e->spool.stage, names[i], 0);
	close_fd(&e->spool.fd[i]);
	e->spool.bytes[i] = 0;
}

static int write_piece(struct pf_spool *sp, unsigned i, const void *p, size_t n)
{
	struct rlimit file;

	if (sp->bytes[0] + sp->bytes[1] + n > PF_CHANGES_KEEP_BYTES)
		return -EFBIG;
	/* the kernel would not only refuse but send SIGXFSZ, which ends who does not expect it */
	if (getrlimit(RLIMIT_FSIZE, &file) == 0 && sp->bytes[i] + n > file.rlim_cur)
		return -EFBIG;
	sp->bytes[i] += n;
	return pf_write_full(sp->fd[i], p, n);
}

static int make_stage(struct pf_exec *e, struct pf_error *err)
{
	struct pf_spool *sp = &e->spool;
	char id[40];

	if (sp->stage >= 0)
		return 0;
	if (sp->outputs < 0)
		sp->outputs = pf_outputs_open(&e->box->dirs, true, err);
	if (sp->outputs < 0)
		return sp->outputs;
	pf_outputs_clean(sp->outputs);
	pf__exec_name(e, id);
	sp->stage = pf__outputs_stage(sp->outputs, id, err);
	return sp->stage < 0 ? sp->stage : 0;
}

/* Open the file of a stream and write what the memory has of it, which must be all there is so far. */
static void begin(struct pf_exec *e, unsigned i)
{
	const struct pf_keep *k = i ? &e->err : &e->out;
	const char *pieces[3];
	struct pf_error err = {0};
	size_t lengths[3];
	int r = make_stage(e, &err);

	if (r < 0) {
		give_up(e, i, err.msg);
		return;
	}
	if (!pf__keep_pieces(k, pieces, lengths)) {
		give_up(e, i, strerror(ENOMEM));
		return;
	}
	e->spool.fd[i] =
		openat(e->spool.stage, names[i], O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	r = e->spool.fd[i] < 0 ? -errno : 0;
	for (unsigned n = 0; n < 3 && r == 0; n++)
		r = write_piece(&e->spool, i, pieces[n], lengths[n]);
	if (r < 0)
		give_up(e, i, strerror(-r));
}

void pf__spool_add(struct pf_exec *e, unsigned i, const void *p, size_t n)
{
	const struct pf_keep *k = i ? &e->err : &e->out;
	struct pf_spool *sp = &e->spool;
	int r;

	if (sp->off || sp->failed[i] || (sp->fd[i] < 0 && k->total + n <= 2 * k->half))
		return;
	if (sp->fd[i] < 0)
		begin(e, i);
	if (sp->failed[i])
		return;
	r = write_piece(sp, i, p, n);
	if (r < 0)
		give_up(e, i, strerror(-r));
}

/* --- the end ------------------------------------------------------------------------------------ */

static char *label(const struct pf_list *argv)
{
	PF_AUTO_BUF struct pf_buf line = {0};
	char text[200];

	for (size_t i = 0; i < argv->count && line.len < sizeof(text); i++)
		pf_buf_addf(&line, "%s%s", i ? " " : "", argv->items[i]);
	pf_printable(line.data ? line.data : "", line.len, text, sizeof(text));
	return strdup(text);
}

static int settle(struct pf_exec *e, struct pf_error *err)
{
	struct pf_spool *sp = &e->spool;
	struct pf_kept_output o = {.ended = (int64_t)time(NULL), .command = label(&e->result.argv)};
	int r;

	pf__redact_line(e->box, &o.command);
	pf__exec_name(e, o.id);
	for (unsigned i = 0; i < 2; i++) {
		o.kept[i] = sp->fd[i] >= 0;
		o.bytes[i] = sp->bytes[i];
	}
	r = o.command ? pf__outputs_settle(sp->outputs, sp->stage, &o, err)
		      : pf_fail(err, -ENOMEM, "out of memory");
	pf_kept_output_free(&o);
	return r;
}

static void take_result(struct pf_exec *e)
{
	struct pf_result *r = &e->result;

	r->state = strdup(e->box->dirs.state);
	for (unsigned i = 0; i < 2; i++) {
		r->whole[i].kept = r->state && e->spool.fd[i] >= 0;
		r->whole[i].bytes = e->spool.bytes[i];
	}
}

void pf__spool_end(struct pf_exec *e)
{
	struct pf_spool *sp = &e->spool;
	struct pf_error err = {0};

	if (sp->fd[0] < 0 && sp->fd[1] < 0) { /* neither was long, or what was is lost */
		pf__spool_free(e);
		return;
	}
	for (unsigned i = 0; i < 2; i++)
		if (sp->fd[i] < 0 && !sp->failed[i])
			begin(e, i);
	if (settle(e, &err) < 0) {
		for (unsigned i = 0; i < 2; i++)
			if (!sp->failed[i])
				give_up(e, i, err.msg);
		pf__spool_free(e);
		return;
	}
	take_result(e);
	close_fd(&sp->stage);
	pf_outputs_clean(sp->outputs);
	pf__spool_free(e);
}

void pf__spool_free(struct pf_exec *e)
{
	struct pf_spool *sp = &e->spool;
	char id[40];

	if (sp->stage >= 0) { /* it did not get its name */
		pf__exec_name(e, id);
		pf__outputs_abort(sp->outputs, id);
	}
	close_fd(&sp->stage);
	close_fd(&sp->fd[0]);
	close_fd(&sp->fd[1]);
	close_fd(&sp->outputs);
}
