/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A change set as people and programs read it. Every name in it was chosen by the enemy: lines for
 * people are printable, one a change, whatever the name holds.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "workspace/workspace_internal.h"

/* Longest printable form: every byte as \xNN, and the NUL. */
#define PRINTABLE_MAX (4 * PF__WS_PATH_MAX + 1)

static void put_shown(struct pf_buf *out, const char *s)
{
	char *shown = malloc(PRINTABLE_MAX);

	if (!shown) {
		out->failed = true;
		return;
	}
	pf_printable(s, strlen(s), shown, PRINTABLE_MAX);
	pf_buf_adds(out, shown);
	free(shown);
}

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	case S_IFCHR:
	case S_IFBLK:
		return "device";
	default:
		return "unknown";
	}
}

/* What about a modified entry is not its bytes, in brackets behind the path. */
static void put_remarks(struct pf_buf *out, const struct pf_change *c)
{
	mode_t both = c->mode ^ c->old_mode;

	if (c->op == PF_MODIFIED && both & S_IFMT)
		pf_buf_addf(out, " (was a %s, now a %s)", type_name(c->old_mode), type_name(c->mode));
	else if (c->op == PF_MODIFIED && both & PF__WS_MODE_BITS && !S_ISLNK(c->mode))
		pf_buf_addf(out, " (mode %o)", (unsigned)(c->mode & PF__WS_MODE_BITS));
	else if (c->op == PF_MODIFIED && !c->content && !c->attrs_differ && !c->other_attrs)
		pf_buf_addf(out, " (owner %u:%u)", c->uid, c->gid);
	if (c->attrs_differ && !c->content)
		pf_buf_adds(out, " (attributes)");
	if (c->other_attrs)
		pf_buf_adds(out, " (other attributes)");
	if (c->op == PF_ADDED && !S_ISREG(c->mode) && !S_ISDIR(c->mode) && !S_ISLNK(c->mode))
		pf_buf_addf(out, " (%s)", type_name(c->mode));
	if (c->op != PF_DELETED && S_ISREG(c->mode) && c->mode & (S_ISUID | S_ISGID))
		pf_buf_adds(out, " (set-id)");
	if (pf__change_lost(c))
		pf_buf_adds(out, " (content not kept)");
	if (c->protect)
		pf_buf_adds(out, " (protected)");
	if (c->hidden)
		pf_buf_adds(out, " (hidden from the sandbox)");
}

static void put_path(struct pf_buf *out, const struct pf_change *c)
{
	put_shown(out, c->path);
	if (S_ISDIR(c->op == PF_DELETED ? c->old_mode : c->mode))
		pf_buf_addc(out, '/');
	if (c->target) {
		pf_buf_adds(out, " -> ");
		put_shown(out, c->target);
	}
}

static void put_note(struct pf_buf *out, const struct pf_changeset *c)
{
	if (!c->truncated)
		return;
	pf_buf_adds(out, "incomplete: ");
	put_shown(out, c->note ? c->note : "not every change could be kept");
	pf_buf_adds(out, "\n");
}

int pf_change_print_list(const struct pf_changeset *c, struct pf_buf *out)
{
	for (size_t i = 0; i < c->count; i++) {
		pf_buf_addc(out, (char)c->items[i].op);
		pf_buf_addc(out, ' ');
		put_path(out, &c->items[i]);
		put_remarks(out, &c->items[i]);
		pf_buf_addc(out, '\n');
	}
	put_note(out, c);
	return out->failed ? -ENOMEM : 0;
}

static void put_sizes(struct pf_buf *out, const struct pf_change *c)
{
	bool was = c->op != PF_ADDED && S_ISREG(c->old_mode), is = c->op != PF_DELETED && S_ISREG(c->mode);
	char before[16], after[16];

	pf_format_size(c->old_size, before);
	pf_format_size(c->size, after);
	if (was && is && !c->content)
		pf_buf_addf(out, "%s, same content", after);
	else if (was && is)
		pf_buf_addf(out, "%s -> %s", before, after);
	else if (is)
		pf_buf_addf(out, "new, %s", after);
	else if (was)
		pf_buf_addf(out, "gone, %s", before);
	else
		pf_buf_adds(out, type_name(c->op == PF_DELETED ? c->old_mode : c->mode));
}

int pf_change_print_stat(const struct pf_changeset *c, struct pf_buf *out)
{
	for (size_t i = 0; i < c->count; i++) {
		pf_buf_addf(out, " %c ", (char)c->items[i].op);
		put_path(out, &c->items[i]);
		pf_buf_adds(out, " | ");
		put_sizes(out, &c->items[i]);
		put_remarks(out, &c->items[i]);
		pf_buf_addc(out, '\n');
	}
	pf_buf_addf(out, " %llu added, %llu modified, %llu deleted\n", (unsigned long long)c->added,
		    (unsigned long long)c->modified, (unsigned long long)c->deleted);
	put_note(out, c);
	return out->failed ? -ENOMEM : 0;
}

static void put_uint(struct pf_jsonw *w, const char *key, uint64_t v)
{
	pf_jsonw_key(w, key);
	pf_jsonw_uint(w, v);
}

static void put_mode(struct pf_jsonw *w, const char *key, mode_t mode)
{
	char text[16];

	snprintf(text, sizeof(text), "%04o", (unsigned)(mode & PF__WS_MODE_BITS));
	pf_jsonw_kstr(w, key, text);
}

/* Their names: values are bytes, and the archive has them. */
static void put_attrs(struct pf_jsonw *w, const struct pf_change *c)
{
	if (pf__change_has_attrs(c) && (c->attrs.count || c->attrs_differ)) {
		pf_jsonw_key(w, "attributes");
		pf_jsonw_begin(w, '[');
		for (size_t i = 0; i < c->attrs.count; i++)
			pf_jsonw_str(w, c->attrs.items[i].name);
		pf_jsonw_end(w, ']');
	}
	if (c->other_attrs)
		pf_jsonw_kbool(w, "other_attributes", true);
}

static void put_change(struct pf_jsonw *w, const struct pf_change *c)
{
	pf_jsonw_begin(w, '{');
	pf_jsonw_kstr(w, "op", c->op == PF_ADDED ? "added" : c->op == PF_MODIFIED ? "modified" : "deleted");
	pf__json_bytes(w, "path", "path_b64", c->path);
	pf_jsonw_kstr(w, "type", type_name(c->op == PF_DELETED ? c->old_mode : c->mode));
	if (c->op != PF_DELETED) {
		put_mode(w, "mode", c->mode);
		put_uint(w, "uid", c->uid);
		put_uint(w, "gid", c->gid);
		put_uint(w, "size", c->size);
	}
	if (c->op != PF_ADDED) {
		pf_jsonw_kstr(w, "old_type", type_name(c->old_mode));
		put_mode(w, "old_mode", c->old_mode);
		put_uint(w, "old_size", c->old_size);
	}
	if (c->op == PF_MODIFIED)
		pf_jsonw_kbool(w, "content", c->content);
	if (c->target)
		pf__json_bytes(w, "target", "target_b64", c->target);
	if (c->link)
		put_uint(w, "link", c->link);
	if (c->link_to)
		pf__json_bytes(w, "link_to", "link_to_b64", c->link_to);
	put_attrs(w, c);
	if (c->opaque)
		pf_jsonw_kbool(w, "opaque", true);
	if (pf__change_lost(c))
		pf_jsonw_kbool(w, "content_lost", true);
	pf_jsonw_kbool(w, "protected", c->protect);
	pf_jsonw_kbool(w, "hidden", c->hidden);
	pf_jsonw_end(w, '}');
}

int pf_change_print_json(const struct pf_changeset *c, unsigned indent, struct pf_buf *out)
{
	struct pf_jsonw w;

	pf_jsonw_init(&w, out, indent);
	pf_jsonw_begin(&w, '{');
	pf_jsonw_kint(&w, "schema", 1);
	pf_jsonw_kstr(&w, "id", c->id);
	pf__json_bytes(&w, "workspace", "workspace_b64", c->workspace);
	pf_jsonw_kstr(&w, "command", c->command);
	pf_jsonw_kint(&w, "created", c->created);
	put_uint(&w, "added", c->added);
	put_uint(&w, "modified", c->modified);
	put_uint(&w, "deleted", c->deleted);
	pf_jsonw_kbool(&w, "truncated", c->truncated);
	pf_jsonw_kstr(&w, "note", c->note);
	pf_jsonw_key(&w, "changes");
	pf_jsonw_begin(&w, '[');
	for (size_t i = 0; i < c->count; i++)
		put_change(&w, &c->items[i]);
	pf_jsonw_end(&w, ']');
	pf_jsonw_end(&w, '}');
	pf_buf_addc(out, '\n');
	return out->failed ? -ENOMEM : 0;
}
