/* SPDX-License-Identifier: Apache-2.0 */
/* meta.json: what a change set is, beside its entries. Written last, so a set without one is none. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "workspace/workspace_internal.h"

#define META_MAX 65536u
#define SCHEMA	 2

static void put(struct pf_jsonw *w, const char *key, uint64_t v)
{
	pf_jsonw_key(w, key);
	pf_jsonw_uint(w, v);
}

int pf__meta_write(int dirfd, const struct pf_changeset *c, uint64_t blobs, uint32_t uid_base,
		   struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf_jsonw w;
	int r;

	pf_jsonw_init(&w, &b, 2);
	pf_jsonw_begin(&w, '{');
	pf_jsonw_kint(&w, "schema", SCHEMA);
	pf_jsonw_kstr(&w, "id", c->id);
	pf__json_bytes(&w, "workspace", "workspace_b64", c->workspace);
	pf_jsonw_kint(&w, "created", c->created);
	pf_jsonw_kint(&w, "reference_ns", c->reference_ns);
	pf_jsonw_kstr(&w, "command", c->command);
	put(&w, "count", c->count);
	put(&w, "added", c->added);
	put(&w, "modified", c->modified);
	put(&w, "deleted", c->deleted);
	put(&w, "blobs", blobs);
	put(&w, "bytes", c->bytes);
	put(&w, "secrets", c->secrets);
	pf_jsonw_key(&w, "place");
	pf_jsonw_begin(&w, '[');
	/* any 64 bits (an overlay's inodes have the highest set), and our JSON has signed numbers */
	pf_jsonw_int(&w, (int64_t)c->place.dev);
	pf_jsonw_int(&w, (int64_t)c->place.ino);
	pf_jsonw_int(&w, (int64_t)c->place.fsid);
	pf_jsonw_end(&w, ']');
	pf_jsonw_key(&w, "uid_base");
	if (uid_base == UINT32_MAX)
		pf_jsonw_null(&w);
	else
		pf_jsonw_uint(&w, uid_base);
	pf_jsonw_kbool(&w, "truncated", c->truncated);
	pf_jsonw_kbool(&w, "by_name", c->by_name);
	pf_jsonw_kstr(&w, "note", c->note);
	pf_jsonw_end(&w, '}');
	pf_buf_addc(&b, '\n');
	r = b.failed ? -ENOMEM : pf_replace_file(dirfd, "meta.json", b.data, b.len, 0600);
	if (r == 0)
		return 0;
	errno = -r;
	return pf_fail_errno(err, "cannot write the change set");
}

static bool get_int(const struct pf_json *o, const char *key, int64_t min, int64_t *out)
{
	const struct pf_json *v = pf_json_get(o, key);

	if (!v || v->type != PF_JSON_INT || v->i < min)
		return false;
	*out = v->i;
	return true;
}

/* A copy of a string member; NULL if it is absent, null or no string. */
static char *get_text(const struct pf_json *o, const char *key)
{
	const struct pf_json *v = pf_json_get(o, key);

	return v && v->type == PF_JSON_STRING ? strdup(v->str.s) : NULL;
}

/* [device, inode, file system] */
static bool get_place(const struct pf_json *o, struct pf_change_place *out)
{
	const struct pf_json *v = pf_json_get(o, "place"), *item;
	uint64_t n[3];
	size_t i = 0;

	if (!v || v->type != PF_JSON_ARRAY || v->list.count != PF_ARRAY_SIZE(n))
		return false;
	for (item = v->list.first; item; item = item->next) {
		if (item->type != PF_JSON_INT)
			return false;
		n[i++] = (uint64_t)item->i;
	}
	*out = (struct pf_change_place){n[0], n[1], n[2]};
	return true;
}

static bool read_fields(const struct pf_json *o, struct pf_changeset *c, uint64_t *blobs)
{
	const struct pf_json *id = pf_json_get(o, "id"), *b64 = pf_json_get(o, "workspace_b64");
	const struct pf_json *cut = pf_json_get(o, "truncated");
	const struct pf_json *by_name = pf_json_get(o, "by_name");
	int64_t schema, n, count, added, modified, deleted, bytes, secrets;

	if (!get_int(o, "schema", SCHEMA, &schema) || schema != SCHEMA || !id || id->type != PF_JSON_STRING ||
	    strcmp(id->str.s, c->id) != 0 || !cut || cut->type != PF_JSON_BOOL)
		return false;
	if (!get_int(o, "created", INT64_MIN, &c->created) ||
	    !get_int(o, "reference_ns", INT64_MIN, &c->reference_ns) || !get_int(o, "blobs", 0, &n) ||
	    !get_int(o, "count", 0, &count) || count > PF_CHANGES_MAX || !get_int(o, "added", 0, &added) ||
	    !get_int(o, "modified", 0, &modified) || !get_int(o, "deleted", 0, &deleted) ||
	    !get_int(o, "bytes", 0, &bytes) || !get_int(o, "secrets", 0, &secrets) ||
	    !get_place(o, &c->place))
		return false;
	*blobs = (uint64_t)n;
	c->count = (size_t)count;
	c->added = (uint64_t)added;
	c->modified = (uint64_t)modified;
	c->deleted = (uint64_t)deleted;
	c->bytes = (uint64_t)bytes;
	c->secrets = (uint64_t)secrets;
	c->truncated = cut->b;
	c->by_name = cut->b && by_name && by_name->type == PF_JSON_BOOL && by_name->b;
	c->command = get_text(o, "command");
	c->note = get_text(o, "note");
	c->workspace = get_text(o, "workspace");
	if (!c->workspace && b64 && b64->type == PF_JSON_STRING)
		c->workspace = pf__base64_decode(b64->str.s, b64->str.len);
	return c->command && c->workspace && c->workspace[0] == '/';
}

/* c->id names the set. c->count is set to what meta.json says, for the manifest to be held against. */
int pf__meta_read(int dirfd, struct pf_changeset *c, uint64_t *blobs, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = -1;
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf_json_doc *doc = NULL;
	struct stat st;
	int r;

	fd = pf__ws_open_file(dirfd, "meta.json", &st);
	r = fd < 0 ? fd : pf_read_fd(fd, &b, META_MAX);
	if (r < 0)
		return pf_fail(err, r, "cannot read meta.json of change set %s: %s", c->id, strerror(-r));
	r = pf_json_parse(b.data ? b.data : "", b.len, 0, &doc, err);
	if (r < 0)
		return pf_wrap(err, "meta.json of change set %s", c->id);
	if (!read_fields(pf_json_root(doc), c, blobs))
		r = pf_fail(err, -EBADMSG, "meta.json of change set %s is not as pinfold writes it", c->id);
	pf_json_free(doc);
	return r;
}
