/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest of a change set: one JSON object a line, in the order of pf__ws_path_cmp(). Fields that
 * are 0, false or absent are left out. Names that are not UTF-8 stand as base64 under another key, so
 * that no reader takes an altered name for the real one.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "workspace/workspace_internal.h"

#define FLUSH_AT 65536u

void pf__change_clear(struct pf_change *c)
{
	free(c->path);
	free(c->target);
	free(c->link_to);
	pf__attrs_free(&c->attrs);
	*c = (struct pf_change){0};
}

bool pf__change_lost(const struct pf_change *c)
{
	return S_ISREG(c->mode) && (c->op == PF_ADDED || c->content) && !c->blob;
}

bool pf__change_secret(const struct pf_change *c)
{
	return c->hidden && S_ISREG(c->mode);
}

bool pf__change_has_attrs(const struct pf_change *c)
{
	return (S_ISREG(c->mode) || S_ISDIR(c->mode)) && (c->op == PF_ADDED || c->content || c->attrs_differ);
}

void pf_change_free(struct pf_changeset *c)
{
	for (size_t i = 0; c->items && i < c->count; i++)
		pf__change_clear(&c->items[i]);
	free(c->items);
	free(c->workspace);
	free(c->command);
	free(c->note);
	free(c->links);
	*c = (struct pf_changeset){0};
}

void pf__json_bytes(struct pf_jsonw *w, const char *key, const char *key_b64, const char *s)
{
	size_t n = strlen(s);

	if (pf_utf8_valid(s, n)) {
		pf_jsonw_key(w, key);
		pf_jsonw_strn(w, s, n);
	} else {
		pf_jsonw_key(w, key_b64);
		pf_jsonw_base64(w, s, n);
	}
}

static void put_uint(struct pf_jsonw *w, const char *key, uint64_t v)
{
	if (v) {
		pf_jsonw_key(w, key);
		pf_jsonw_uint(w, v);
	}
}

static void put_int(struct pf_jsonw *w, const char *key, int64_t v)
{
	if (v)
		pf_jsonw_kint(w, key, v);
}

static void put_bool(struct pf_jsonw *w, const char *key, bool v)
{
	if (v)
		pf_jsonw_kbool(w, key, v);
}

static void put_attrs(struct pf_jsonw *w, const struct pf_attrs *a)
{
	if (!a->count)
		return;
	pf_jsonw_key(w, "attrs");
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; i < a->count; i++) {
		pf_jsonw_begin(w, '{');
		pf__json_bytes(w, "name", "name_b64", a->items[i].name);
		pf_jsonw_key(w, "value");
		pf_jsonw_base64(w, a->items[i].value, a->items[i].size);
		pf_jsonw_end(w, '}');
	}
	pf_jsonw_end(w, ']');
}

int pf__manifest_write_line(const struct pf_change *c, struct pf_buf *out)
{
	char op[2] = {(char)c->op, '\0'};
	struct pf_jsonw w;

	pf_jsonw_init(&w, out, 0);
	pf_jsonw_begin(&w, '{');
	pf_jsonw_kstr(&w, "op", op);
	pf__json_bytes(&w, "path", "path_b64", c->path);
	put_uint(&w, "mode", c->mode);
	put_uint(&w, "old_mode", c->old_mode);
	put_uint(&w, "uid", c->uid);
	put_uint(&w, "gid", c->gid);
	put_uint(&w, "size", c->size);
	put_int(&w, "mtime_ns", c->mtime_ns);
	put_uint(&w, "blob", c->blob);
	if (c->target)
		pf__json_bytes(&w, "target", "target_b64", c->target);
	put_uint(&w, "link", c->link);
	if (c->link_to)
		pf__json_bytes(&w, "link_to", "link_to_b64", c->link_to);
	put_attrs(&w, &c->attrs);
	put_bool(&w, "attrs_differ", c->attrs_differ);
	put_bool(&w, "other_attrs", c->other_attrs);
	put_bool(&w, "content", c->content);
	put_bool(&w, "opaque", c->opaque);
	put_bool(&w, "protect", c->protect);
	put_bool(&w, "hidden", c->hidden);
	put_uint(&w, "old_size", c->old_size);
	put_int(&w, "old_mtime_ns", c->old_mtime_ns);
	put_int(&w, "old_ctime_ns", c->old_ctime_ns);
	pf_jsonw_end(&w, '}');
	return pf_buf_addc(out, '\n');
}

static int flush(int fd, struct pf_buf *b, size_t at)
{
	int r = b->failed ? -ENOMEM : 0;

	if (r < 0 || b->len < at)
		return r;
	r = pf_write_full(fd, b->data, b->len);
	pf_buf_consume(b, b->len);
	return r;
}

int pf__manifest_write(int dirfd, const struct pf_changeset *c, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = openat(dirfd, "manifest", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	PF_AUTO_BUF struct pf_buf b = {0};
	int r = fd < 0 ? -errno : 0;

	for (size_t i = 0; i < c->count && r == 0; i++) {
		pf__manifest_write_line(&c->items[i], &b);
		r = flush(fd, &b, FLUSH_AT);
	}
	if (r == 0 && b.len)
		r = flush(fd, &b, 0);
	if (r == 0)
		return 0;
	errno = -r;
	return pf_fail_errno(err, "cannot write the change set");
}
