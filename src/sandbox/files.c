/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files inside, each operation an exec without a program: a launcher does it under the command's id and all
 * its walls (init/fileop.c). What comes back is as hostile as any output.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sandbox/sandbox.h"

struct job {
	struct pf_buf got;
	bool too_big;
};

static void take(void *user, struct pf_exec *e, enum pf_stream stream, const void *p, size_t n)
{
	struct job *j = user;

	if (stream != PF_STDOUT)
		return;
	if (!j->too_big && pf_buf_add(&j->got, p, n) < 0) {
		j->too_big = true;
		pf_exec_kill(e);
	}
}

/* Feed stdin as it is taken. Returns bytes still to go. */
static size_t feed(struct pf_exec *e, const char **p, size_t n, struct pf_error *err)
{
	size_t room = pf_exec_stdin_room(e);

	if (n && room) {
		if (room > n)
			room = n;
		if (pf_exec_stdin(e, *p, room, err) == 0) {
			*p += room;
			n -= room;
		}
	}
	if (n == 0)
		pf_exec_stdin_close(e);
	return n;
}

static int run_in(struct pf_sandbox *s, uint8_t op, const char *cwd, const char *path, const void *in,
		  size_t in_n, struct job *j, struct pf_error *err)
{
	const char *argv[] = {path, NULL}, *p = in;
	struct pf_exec_options o = {
		.argv = argv, .cwd = cwd, .want_stdin = op == PF_OP_WRITE, .output = take, .user = j};
	const struct pf_result *r;
	struct pf_exec *e;
	int code;

	code = pf__exec_start_op(s, op, &o, &e, err);
	if (code < 0)
		return code;
	while (!(r = pf_exec_result(e))) {
		if (op == PF_OP_WRITE)
			in_n = feed(e, &p, in_n, err);
		pf_sandbox_step(s, -1, err);
	}
	if (j->too_big)
		code = pf_fail(err, -EFBIG, "'%s' is larger than the caller takes", path);
	else if (r->exit_code < 0 || r->error)
		code = pf_fail(err, -EIO, "%s", r->error ? r->error : pf_cause_name(r->cause));
	else if (r->exit_code > 0) /* with cause disk_limit too: the errno says it better */
		code = pf_fail(err, r->exit_code < 134 ? -r->exit_code : -EIO, "'%s' inside: %s", path,
			       strerror(r->exit_code));
	pf_exec_end(e);
	return code;
}

static int run(struct pf_sandbox *s, uint8_t op, const char *path, const void *in, size_t in_n, struct job *j,
	       struct pf_error *err)
{
	if (path[0] != '/')
		return pf_fail(err, -EINVAL, "'%s' is not an absolute path of the inside", path);
	return run_in(s, op, "/", path, in, in_n, j, err);
}

int pf_file_read(struct pf_sandbox *s, const char *path, size_t max, char **data, size_t *n,
		 struct pf_error *err)
{
	struct job j = {.got = {.limit = max ? max : 1}};
	int r = run(s, PF_OP_READ, path, NULL, 0, &j, err);
	size_t len = j.got.len;
	char *bytes = r == 0 ? pf_buf_steal(&j.got) : NULL;

	pf_buf_free(&j.got);
	if (r == 0 && !bytes)
		return pf_fail(err, -ENOMEM, "out of memory");
	if (r == 0) {
		*data = bytes;
		*n = len;
	}
	return r;
}

int pf_file_write(struct pf_sandbox *s, const char *path, const void *p, size_t n, struct pf_error *err)
{
	struct job j = {.got = {.limit = 1}};
	int r = run(s, PF_OP_WRITE, path, p, n, &j, err);

	pf_buf_free(&j.got);
	return r;
}

static uint64_t get(const uint8_t **p, unsigned bytes)
{
	uint64_t v = 0;
	unsigned i;

	for (i = 0; i < bytes; i++)
		v |= (uint64_t) * (*p)++ << (8 * i);
	return v;
}

static int stat_in(struct pf_sandbox *s, uint8_t op, const char *cwd, const char *path,
		   struct pf_file_stat *out, struct pf_error *err)
{
	struct job j = {.got = {.limit = 64}};
	int r = run_in(s, op, cwd, path, NULL, 0, &j, err);
	const uint8_t *p = (const uint8_t *)j.got.data;

	if (r == 0 && j.got.len != 28)
		r = pf_fail(err, -EPROTO, "the inside answered %zu bytes about a file", j.got.len);
	if (r == 0) {
		out->mode = (uint32_t)get(&p, 4);
		out->uid = (uint32_t)get(&p, 4);
		out->gid = (uint32_t)get(&p, 4);
		out->size = get(&p, 8);
		out->mtime_ns = (int64_t)get(&p, 8);
	}
	pf_buf_free(&j.got);
	return r;
}

int pf_file_stat(struct pf_sandbox *s, const char *path, struct pf_file_stat *out, struct pf_error *err)
{
	if (path[0] != '/')
		return pf_fail(err, -EINVAL, "'%s' is not an absolute path of the inside", path);
	return stat_in(s, PF_OP_STAT, "/", path, out, err);
}

int pf__file_beneath(struct pf_sandbox *s, const char *cwd, const char *path, struct pf_file_stat *out,
		     struct pf_error *err)
{
	return stat_in(s, PF_OP_BENEATH, cwd, path, out, err);
}

int pf_file_list(struct pf_sandbox *s, const char *path, void (*each)(void *, char, const char *), void *user,
		 struct pf_error *err)
{
	struct job j = {.got = {.limit = 64u << 20}};
	int r = run(s, PF_OP_LIST, path, NULL, 0, &j, err);
	const char *p = j.got.data, *end = p ? p + j.got.len : p;

	while (r == 0 && p && p < end) {
		unsigned char type = (unsigned char)*p++;
		const char *nul = memchr(p, '\0', (size_t)(end - p));

		if (!nul || nul == p || strchr(p, '/') || strcmp(p, ".") == 0 || strcmp(p, "..") == 0) {
			r = pf_fail(err, -EPROTO, "the inside answered with a name that is none");
			break;
		}
		each(user, type == DT_REG ? 'f' : type == DT_DIR ? 'd' : type == DT_LNK ? 'l' : '?', p);
		p = nul + 1;
	}
	pf_buf_free(&j.got);
	return r;
}

static int simple(struct pf_sandbox *s, uint8_t op, const char *path, struct pf_error *err)
{
	struct job j = {.got = {.limit = 1}};
	int r = run(s, op, path, NULL, 0, &j, err);

	pf_buf_free(&j.got);
	return r;
}

int pf_file_mkdir(struct pf_sandbox *s, const char *path, struct pf_error *err)
{
	return simple(s, PF_OP_MKDIR, path, err);
}

int pf_file_remove(struct pf_sandbox *s, const char *path, struct pf_error *err)
{
	return simple(s, PF_OP_REMOVE, path, err);
}
