/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan of an apply in the state directory, so that one that was cut off can go on. One JSON object a
 * line:
 *
 *      {"schema":1,"id":ID,"moving":false,"stage":NAME,"place":[dev,ino,fsid],"items":N}
 *      {"only":PATH}              the paths that were asked for; none: everything
 *      {"shut":PATH,"mode":M}     a directory of the user's that is opened meanwhile
 *      {"i":N,"kind":K,"mode":M,"owner":[uid,gid],"staged":[ino,size,mtime_ns],
 *       "from":F,"was":[mode,ino,nlink,size,mtime_ns,ctime_ns]}
 *      {"end":LINES}
 *
 * Written whole beside its place and renamed, and on the disk before anything is moved: it is there as it
 * should be, or not at all. While everything is only being staged it has no steps: then there is nothing to
 * go on with, only something to clean up.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "workspace/apply_internal.h"

#define PLAN	 "plan"
#define PLAN_NEW "plan.new"
#define FLUSH_AT 65536u

static const char kinds[] = {
	[PF__STEP_PUT] = 'p', [PF__STEP_META] = 'm', [PF__STEP_REMOVE] = 'r', [PF__STEP_RMDIR] = 'd'};

/* Where lines go: into a file by and by, or all into the buffer (fd -1). */
struct out {
	int fd;
	struct pf_buf *b;
	size_t lines;
};

/* Numbers of 64 bits are written as signed ones, which is what our reader knows. */
static void put_numbers(struct pf_jsonw *w, const char *key, const uint64_t *n, size_t count)
{
	pf_jsonw_key(w, key);
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; i < count; i++)
		pf_jsonw_int(w, (int64_t)n[i]);
	pf_jsonw_end(w, ']');
}

static int line_end(struct out *o, struct pf_jsonw *w)
{
	int r;

	pf_jsonw_end(w, '}');
	pf_buf_addc(o->b, '\n');
	o->lines++;
	if (o->b->failed)
		return -ENOMEM;
	if (o->fd < 0 || o->b->len < FLUSH_AT)
		return 0;
	r = pf_write_full(o->fd, o->b->data, o->b->len);
	pf_buf_consume(o->b, o->b->len);
	return r;
}

static struct pf_jsonw line_begin(struct out *o)
{
	struct pf_jsonw w;

	pf_jsonw_init(&w, o->b, 0);
	pf_jsonw_begin(&w, '{');
	return w;
}

static int put_head(struct out *o, const struct pf__plan *p)
{
	const uint64_t place[] = {p->place.dev, p->place.ino, p->place.fsid};
	struct pf_jsonw w = line_begin(o);

	pf_jsonw_kint(&w, "schema", 1);
	pf_jsonw_kstr(&w, "id", p->id);
	pf_jsonw_kbool(&w, "moving", p->moving);
	pf_jsonw_kstr(&w, "stage", p->stage);
	put_numbers(&w, "place", place, PF_ARRAY_SIZE(place));
	pf_jsonw_key(&w, "items");
	pf_jsonw_uint(&w, p->count);
	return line_end(o, &w);
}

static int put_step(struct out *o, const struct pf__step *s, size_t i)
{
	const struct pf__was *x = &s->was;
	const uint64_t staged[] = {s->staged.ino, s->staged.size, (uint64_t)s->staged.mtime_ns};
	const uint64_t was[] = {
		x->mode, x->ino, x->nlink, x->size, (uint64_t)x->mtime_ns, (uint64_t)x->ctime_ns};
	const uint64_t owner[] = {s->uid, s->gid};
	struct pf_jsonw w = line_begin(o);

	pf_jsonw_key(&w, "i");
	pf_jsonw_uint(&w, i);
	pf_jsonw_kstr(&w, "kind", (char[]){kinds[s->kind], '\0'});
	if (s->kind == PF__STEP_PUT || s->kind == PF__STEP_META)
		pf_jsonw_kint(&w, "mode", s->mode);
	if (s->kind == PF__STEP_PUT) {
		put_numbers(&w, "owner", owner, PF_ARRAY_SIZE(owner));
		put_numbers(&w, "staged", staged, PF_ARRAY_SIZE(staged));
	}
	if (s->from) {
		pf_jsonw_key(&w, "from");
		pf_jsonw_uint(&w, s->from);
	}
	if (x->exists)
		put_numbers(&w, "was", was, PF_ARRAY_SIZE(was));
	return line_end(o, &w);
}

static int put_all(struct out *o, const struct pf__plan *p)
{
	struct pf_jsonw w;
	int r = put_head(o, p);

	for (size_t i = 0; i < p->only.count && r == 0; i++) {
		w = line_begin(o);
		pf__json_bytes(&w, "only", "only_b64", p->only.items[i]);
		r = line_end(o, &w);
	}
	for (size_t i = 0; i < p->shut_count && r == 0; i++) {
		w = line_begin(o);
		pf__json_bytes(&w, "shut", "shut_b64", p->shut[i].path);
		pf_jsonw_kint(&w, "mode", p->shut[i].mode);
		r = line_end(o, &w);
	}
	for (size_t i = 0; i < p->count && p->moving && r == 0; i++) {
		if (p->steps[i].kind != PF__STEP_NONE)
			r = put_step(o, &p->steps[i], i);
	}
	if (r < 0)
		return r;
	w = line_begin(o);
	pf_jsonw_key(&w, "end");
	pf_jsonw_uint(&w, o->lines);
	return line_end(o, &w);
}

int pf__journal_print(const struct pf__plan *p, struct pf_buf *out)
{
	struct out o = {.fd = -1, .b = out};

	return put_all(&o, p);
}

int pf__journal_write(int set_fd, const struct pf__plan *p, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	PF_AUTO_CLOSE int fd = -1;
	struct out o = {.b = &b};
	int r;

	unlinkat(set_fd, PLAN_NEW, 0);
	fd = openat(set_fd, PLAN_NEW, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	o.fd = fd;
	r = fd < 0 ? -errno : put_all(&o, p);
	if (r == 0 && b.len)
		r = pf_write_full(fd, b.data, b.len);
	PF__POINT();
	if (r == 0 && fdatasync(fd) < 0)
		r = -errno;
	if (r == 0 && renameat(set_fd, PLAN_NEW, set_fd, PLAN) < 0)
		r = -errno;
	/* some file systems cannot sync a directory, and have nothing to lose by it */
	if (r == 0 && fsync(set_fd) < 0 && errno != EINVAL && errno != EROFS)
		r = -errno;
	if (r == 0)
		return 0;
	unlinkat(set_fd, PLAN_NEW, 0);
	errno = -r;
	return pf_fail_errno(err, "cannot write the plan of the apply into the state directory");
}

bool pf__journal_there(int set_fd)
{
	return faccessat(set_fd, PLAN, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void pf__journal_remove(int set_fd)
{
	unlinkat(set_fd, PLAN, 0);
	unlinkat(set_fd, PLAN_NEW, 0);
}
