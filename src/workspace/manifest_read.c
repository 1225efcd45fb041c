/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a manifest back. We wrote it, but apply acts on it, as root even: every field is checked as
 * if it came from anywhere (a state directory can be restored, edited, or shared by mistake).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "workspace/workspace_internal.h"

/* Path, target and link of 4,095 bytes each, every byte as \u00XX; 64 KiB of attributes as base64. */
#define LINE_MAX_BYTES (UINT32_C(1) << 18)

/* Where a member's value goes, and what it must be. */
struct field {
	const char *key;
	enum { U32, U64, I64, MODE, BOOL, TEXT, B64, ATTRS } kind;
	size_t at;
};

#define AT(m) offsetof(struct pf_change, m)
static const struct field fields[] = {
	{"path", TEXT, AT(path)},
	{"path_b64", B64, AT(path)},
	{"mode", MODE, AT(mode)},
	{"old_mode", MODE, AT(old_mode)},
	{"uid", U32, AT(uid)},
	{"gid", U32, AT(gid)},
	{"size", U64, AT(size)},
	{"mtime_ns", I64, AT(mtime_ns)},
	{"blob", U64, AT(blob)},
	{"target", TEXT, AT(target)},
	{"target_b64", B64, AT(target)},
	{"link", U64, AT(link)},
	{"link_to", TEXT, AT(link_to)},
	{"link_to_b64", B64, AT(link_to)},
	{"attrs", ATTRS, AT(attrs)},
	{"attrs_differ", BOOL, AT(attrs_differ)},
	{"other_attrs", BOOL, AT(other_attrs)},
	{"content", BOOL, AT(content)},
	{"opaque", BOOL, AT(opaque)},
	{"protect", BOOL, AT(protect)},
	{"hidden", BOOL, AT(hidden)},
	{"old_size", U64, AT(old_size)},
	{"old_mtime_ns", I64, AT(old_mtime_ns)},
	{"old_ctime_ns", I64, AT(old_ctime_ns)},
};

static bool mode_ok(int64_t v)
{
	static const mode_t types[] = {S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK};

	if (v < 0 || (v & ~(int64_t)(S_IFMT | PF__WS_MODE_BITS)))
		return false;
	for (size_t i = 0; i < PF_ARRAY_SIZE(types); i++) {
		if ((v & S_IFMT) == types[i])
			return true;
	}
	return false;
}

static bool store_text(char **to, char *s)
{
	if (*to || !s) {
		free(s);
		return false;
	}
	*to = s;
	return true;
}

static bool store_attrs(const struct pf_json *v, struct pf_attrs *to)
{
	if (v->type != PF_JSON_ARRAY || to->count || !v->list.count)
		return false;
	for (const struct pf_json *o = v->list.first; o; o = o->next) {
		const struct pf_json *text = pf_json_get(o, "name"), *b64 = pf_json_get(o, "name_b64"),
				     *bytes = pf_json_get(o, "value");
		PF_AUTO_FREE char *name = NULL;
		PF_AUTO_FREE void *value = NULL;
		size_t n;

		if (o->type != PF_JSON_OBJECT || o->list.count != 2 || !bytes ||
		    bytes->type != PF_JSON_STRING)
			return false;
		if (text && text->type == PF_JSON_STRING)
			name = strdup(text->str.s);
		else if (b64 && b64->type == PF_JSON_STRING)
			name = pf__base64_decode(b64->str.s, b64->str.len);
		value = pf__base64_bytes(bytes->str.s, bytes->str.len, &n);
		if (!name || !value || !pf_has_prefix(name, "user.") || strlen(name) > 255 || !name[5])
			return false;
		/* in order, so that there is one text for each list, and no double */
		if ((to->count && strcmp(to->items[to->count - 1].name, name) >= 0) ||
		    pf__attrs_add(to, name, value, n) < 0)
			return false;
	}
	return true;
}

/* Put one member where it belongs; false if it is not what it must be. */
static bool store(const struct field *f, const struct pf_json *v, struct pf_change *c)
{
	void *to = (char *)c + f->at;
	bool is_int = v->type == PF_JSON_INT, is_str = v->type == PF_JSON_STRING;

	switch (f->kind) {
	case U32:
		if (!is_int || v->i < 0 || v->i > UINT32_MAX)
			return false;
		*(uint32_t *)to = (uint32_t)v->i;
		return true;
	case U64:
		if (!is_int || v->i < 0)
			return false;
		*(uint64_t *)to = (uint64_t)v->i;
		return true;
	case I64:
		if (is_int)
			*(int64_t *)to = v->i;
		return is_int;
	case MODE:
		if (!is_int || !mode_ok(v->i))
			return false;
		*(mode_t *)to = (mode_t)v->i;
		return true;
	case BOOL:
		if (v->type == PF_JSON_BOOL)
			*(bool *)to = v->b;
		return v->type == PF_JSON_BOOL;
	case TEXT:
		return is_str && store_text(to, strdup(v->str.s));
	case B64:
		return is_str && store_text(to, pf__base64_decode(v->str.s, v->str.len));
	case ATTRS:
		return store_attrs(v, to);
	}
	return false;
}

static bool store_op(const struct pf_json *v, struct pf_change *c)
{
	if (v->type != PF_JSON_STRING || v->str.len != 1 || !strchr("AMD", v->str.s[0]))
		return false;
	c->op = (enum pf_change_op)v->str.s[0];
	return true;
}

/* Do the fields make sense together? */
static const char *contradiction(const struct pf_change *c)
{
	if (!c->op || !c->path || !pf__ws_path_ok(c->path))
		return "has no path beneath the workspace";
	if ((c->op != PF_DELETED) != (c->mode != 0) || (c->op != PF_ADDED) != (c->old_mode != 0))
		return "has a mode that its kind of change cannot have";
	if (S_ISLNK(c->mode) && (c->op == PF_ADDED || c->content)
		    ? !c->target || !*c->target || strlen(c->target) >= PF__WS_PATH_MAX
		    : c->target != NULL)
		return "has a wrong link target";
	if (c->blob && !(S_ISREG(c->mode) && (c->op == PF_ADDED || c->content)))
		return "has content that its kind cannot have";
	if (c->content && c->op != PF_MODIFIED)
		return "has a wrong content mark";
	if (c->attrs_differ && (c->op != PF_MODIFIED || (c->mode & S_IFMT) != (c->old_mode & S_IFMT)))
		return "has a wrong mark about attributes";
	if ((c->attrs.count || c->attrs_differ) && !pf__change_has_attrs(c))
		return "has attributes that its kind cannot have";
	if (c->link && (c->op == PF_ADDED || c->content) == 0)
		return "is a link without content";
	if (c->link && !S_ISREG(c->mode) && !S_ISLNK(c->mode) && !S_ISFIFO(c->mode))
		return "is a link and of a kind that has none";
	if (c->link_to && (!c->link || !pf__ws_path_ok(c->link_to) || strcmp(c->link_to, c->path) == 0))
		return "is a link of what cannot be";
	if ((c->mode & S_IFMT) != (c->old_mode & S_IFMT) && c->op == PF_MODIFIED && !c->content)
		return "changes its type without content";
	if (c->hidden && c->op != PF_ADDED)
		return "was hidden but is not new";
	if (c->opaque && !S_ISDIR(c->mode))
		return "is opaque but no directory";
	return NULL;
}

static int read_members(const struct pf_json *root, struct pf_change *c, struct pf_error *err)
{
	if (root->type != PF_JSON_OBJECT)
		return pf_fail(err, -EBADMSG, "is not an object");
	for (const struct pf_json *v = root->list.first; v; v = v->next) {
		const struct field *f = NULL;

		for (size_t i = 0; i < PF_ARRAY_SIZE(fields) && !f; i++) {
			if (strcmp(v->key, fields[i].key) == 0)
				f = &fields[i];
		}
		if (f ? !store(f, v, c) : strcmp(v->key, "op") != 0 || !store_op(v, c))
			return pf_fail(err, -EBADMSG, "has an unknown or wrong member");
	}
	return 0;
}

int pf__manifest_read_line(const char *line, size_t n, struct pf_change *out, struct pf_error *err)
{
	struct pf_change c = {0};
	struct pf_json_doc *doc = NULL;
	const char *why;
	int r = pf_json_parse(line, n, 0, &doc, err);

	if (r < 0)
		return r;
	r = read_members(pf_json_root(doc), &c, err);
	pf_json_free(doc);
	why = r == 0 ? contradiction(&c) : NULL;
	if (why)
		r = pf_fail(err, -EBADMSG, "%s", why);
	if (r < 0)
		pf__change_clear(&c);
	else
		*out = c;
	return r;
}

/* Names of one file are one file: what they say of it is the same. */
static bool same_file(const struct pf_change *a, const struct pf_change *b)
{
	return a->mode == b->mode && a->blob == b->blob && a->size == b->size && a->uid == b->uid &&
	       a->gid == b->gid && a->mtime_ns == b->mtime_ns && pf_streq(a->target, b->target) &&
	       pf__attrs_same(&a->attrs, &b->attrs);
}

static int check_link(struct pf_changeset *c, size_t i, struct pf_error *err)
{
	const struct pf_change *now = &c->items[i];
	size_t *more;

	if (now->link > c->link_count + 1 || (now->link <= c->link_count && now->link_to))
		return pf_fail(err, -EBADMSG, "has a link that is out of order");
	if (now->link <= c->link_count)
		return same_file(&c->items[c->links[now->link - 1]], now)
			       ? 0
			       : pf_fail(err, -EBADMSG, "is a link of another file");
	more = realloc(c->links, (c->link_count + 1) * sizeof(*more));
	if (!more)
		return pf_fail(err, -ENOMEM, "out of memory");
	c->links = more;
	more[c->link_count++] = i;
	return 0;
}

/* Is this entry in its place: behind the one before? Does it refer to what is there? */
static int check_order(struct pf_changeset *c, uint64_t blobs, struct pf_error *err)
{
	const struct pf_change *last = &c->items[c->count - 1];

	if (c->count > 1 && pf__ws_path_cmp(last[-1].path, last->path) >= 0)
		return pf_fail(err, -EBADMSG, "is out of order");
	if (last->blob > blobs)
		return pf_fail(err, -EBADMSG, "names content that is not there");
	return last->link ? check_link(c, c->count - 1, err) : 0;
}

static int read_line(struct pf_changeset *c, size_t *room, const char *line, size_t n, uint64_t blobs,
		     struct pf_error *err)
{
	int r;

	if (n == 0 || line[n - 1] != '\n')
		return pf_fail(err, -EBADMSG, "is cut off");
	if (n > LINE_MAX_BYTES || c->count >= PF_CHANGES_MAX)
		return pf_fail(err, -EBADMSG, "is too long");
	if (c->count == *room) {
		size_t more = *room ? *room * 2 : 64;
		struct pf_change *items = realloc(c->items, more * sizeof(*items));

		if (!items)
			return pf_fail(err, -ENOMEM, "out of memory");
		c->items = items;
		*room = more;
	}
	r = pf__manifest_read_line(line, n - 1, &c->items[c->count], err);
	if (r < 0)
		return r;
	c->count++;
	return check_order(c, blobs, err);
}

static void count_ops(struct pf_changeset *c)
{
	c->added = c->modified = c->deleted = 0;
	for (size_t i = 0; i < c->count; i++) {
		c->added += c->items[i].op == PF_ADDED;
		c->modified += c->items[i].op == PF_MODIFIED;
		c->deleted += c->items[i].op == PF_DELETED;
	}
}

int pf__manifest_read(int dirfd, struct pf_changeset *c, uint64_t blobs, struct pf_error *err)
{
	struct stat st;
	int fd = pf__ws_open_file(dirfd, "manifest", &st), r = 0;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	PF_AUTO_FREE char *line = NULL;
	size_t room = 0, cap = 0, number = 0;
	ssize_t n;

	if (!f) {
		r = fd < 0 ? fd : -errno;
		if (fd >= 0)
			close(fd);
		return pf_fail(err, r, "cannot read the change set's manifest: %s", strerror(-r));
	}
	while (r == 0 && (n = getline(&line, &cap, f)) >= 0) {
		number++;
		r = read_line(c, &room, line, (size_t)n, blobs, err);
	}
	if (r == 0 && ferror(f))
		r = pf_fail(err, -EIO, "cannot be read");
	fclose(f);
	if (r < 0)
		return pf_wrap(err, "manifest line %zu of change set %s", number, c->id);
	count_ops(c);
	return 0;
}
