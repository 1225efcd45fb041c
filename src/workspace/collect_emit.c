/* SPDX-License-Identifier: Apache-2.0 */
/* One entry of the upper against the workspace's: is it a change, which one, and where are its bytes kept. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "workspace/workspace_internal.h"

#define USER_ID 1000u
#define NOBODY	65534u
#define RANGE	65536u /* ids that a sandbox has mapped at most */

static void __attribute__((format(printf, 2, 0))) say(struct pf__collect *c, const char *fmt, va_list ap)
{
	char line[PF_ERROR_MAX], shown[PF_ERROR_MAX];

	c->set.truncated = true;
	if (c->set.note)
		return;
	vsnprintf(line, sizeof(line), fmt, ap);
	pf_printable(line, strlen(line), shown, sizeof(shown));
	c->set.note = strdup(shown);
}

void pf__collect_truncate(struct pf__collect *c, const char *fmt, ...)
{
	va_list ap;

	c->cut = true;
	va_start(ap, fmt);
	say(c, fmt, ap);
	va_end(ap);
}

void pf__collect_missing(struct pf__collect *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(c, fmt, ap);
	va_end(ap);
}

static uint32_t inside_id(const struct pf_collect *what, uint32_t base, uint32_t id)
{
	if (base == UINT32_MAX)
		return what->uid_fixed ? USER_ID : id;
	return id >= base && id - base < RANGE ? id - base : NOBODY;
}

/*
 * The workspace's owner is the sandbox's user. If lower_fd is not the idmapped view but the directory
 * itself, its files still have the owner's host id where the upper has the user's: the two roots tell
 * which is which.
 */
static bool same_id(uint32_t view, uint32_t base, uint32_t upper_root, uint32_t lower_root)
{
	return view == base || (view == upper_root && base == lower_root);
}

static bool same_owner(const struct pf__collect *c, const struct pf__side *view, const struct pf__side *base)
{
	if (c->what->uid_base == UINT32_MAX && c->what->uid_fixed)
		return true;
	return same_id(view->st.st_uid, base->st.st_uid, c->upper_root.st_uid, c->lower_root.st_uid) &&
	       same_id(view->st.st_gid, base->st.st_gid, c->upper_root.st_gid, c->lower_root.st_gid);
}

static void set_owner(const struct pf__collect *c, struct pf_change *ch, const struct pf__side *view)
{
	uid_t uid = view->st.st_uid;
	gid_t gid = view->st.st_gid;

	if (view->lower && uid == c->lower_root.st_uid)
		uid = c->upper_root.st_uid;
	if (view->lower && gid == c->lower_root.st_gid)
		gid = c->upper_root.st_gid;
	ch->uid = inside_id(c->what, c->what->uid_base, uid);
	ch->gid = inside_id(c->what, c->what->gid_base, gid);
}

static void fill_old(struct pf_change *ch, const struct pf__side *base)
{
	if (!base->exists)
		return;
	ch->old_mode = base->st.st_mode;
	ch->old_size =
		S_ISREG(base->st.st_mode) || S_ISLNK(base->st.st_mode) ? (uint64_t)base->st.st_size : 0;
	ch->old_mtime_ns = pf__ws_mtime_ns(&base->st);
	ch->old_ctime_ns = pf__ws_ctime_ns(&base->st);
}

/* Escapes make a name of control characters six times as long: what counts is what will be written. */
static bool fits(struct pf__collect *c, const struct pf_change *ch)
{
	uint64_t max = c->what->manifest_bytes_max ? c->what->manifest_bytes_max : PF__MANIFEST_MAX;

	pf_buf_consume(&c->line, c->line.len);
	pf__manifest_write_line(ch, &c->line);
	if (!c->line.failed && c->manifest_bytes + c->line.len <= max && c->set.count < PF_CHANGES_MAX) {
		c->manifest_bytes += c->line.len;
		return true;
	}
	c->full = true;
	pf__collect_truncate(c, "more than %u changes, or their list is longer than %llu MiB", PF_CHANGES_MAX,
			     (unsigned long long)(max >> 20));
	return false;
}

static int append(struct pf__collect *c, struct pf_change *ch)
{
	if (!fits(c, ch)) {
		pf__change_clear(ch);
		return 0;
	}
	if (c->set.count == c->room) {
		size_t room = c->room ? c->room * 2 : 64;
		struct pf_change *more = realloc(c->set.items, room * sizeof(*more));

		if (!more)
			return pf_fail(c->err, -ENOMEM, "out of memory while collecting changes");
		c->set.items = more;
		c->room = room;
	}
	c->set.items[c->set.count++] = *ch;
	if (ch->op == PF_ADDED)
		c->set.added++;
	else if (ch->op == PF_MODIFIED)
		c->set.modified++;
	else
		c->set.deleted++;
	c->set.secrets += pf__change_secret(ch);
	return 0;
}

/* Is there a difference? Fills ch with what of it is not the content. */
static int compare(struct pf__collect *c, const struct pf__side *view, const struct pf__side *base,
		   struct pf_change *ch, bool *differs)
{
	int r = view->exists ? pf__collect_attrs(c, view, base, ch) : 0;

	if (r == 0)
		r = pf__hardlinks_find(c, view, &ch->link);
	*differs = ch->op != PF_MODIFIED;
	if (r < 0 || *differs)
		return r;
	ch->content = !pf__collect_same(view, base);
	/* a link's mode is always 0777 on Linux; some file systems show another */
	*differs = ch->content || ch->attrs_differ || ch->other_attrs || !same_owner(c, view, base) ||
		   (!S_ISLNK(view->st.st_mode) && view->st.st_mode != base->st.st_mode);
	if (!ch->content) {
		r = pf__hardlinks_keep(c, ch->link, ch->path);
		ch->link = 0;
	}
	return r;
}

static int describe(struct pf__collect *c, const struct pf__side *view, bool opaque, struct pf_change *ch)
{
	ch->mode = view->st.st_mode;
	ch->mtime_ns = pf__ws_mtime_ns(&view->st);
	ch->opaque = opaque;
	set_owner(c, ch, view);
	if (!pf__change_has_attrs(ch))
		pf__attrs_free(&ch->attrs);
	if (ch->op == PF_ADDED || ch->content)
		return pf__collect_content(c, ch, view);
	if (S_ISREG(ch->mode))
		ch->size = (uint64_t)view->st.st_size;
	return 0;
}

int pf__collect_emit(struct pf__collect *c, const char *path, const struct pf__side *view,
		     const struct pf__side *base, bool opaque, bool protect)
{
	struct pf_change ch = {.op = !base->exists ? PF_ADDED : view->exists ? PF_MODIFIED : PF_DELETED};
	bool differs;
	int r;

	if (!view->exists && !base->exists)
		return 0;
	ch.path = strdup(path);
	if (!ch.path)
		return pf_fail(c->err, -ENOMEM, "out of memory while collecting changes");
	r = compare(c, view, base, &ch, &differs);
	if (r < 0 || !differs) {
		pf__change_clear(&ch);
		return r;
	}
	fill_old(&ch, base);
	if (view->exists)
		r = describe(c, view, opaque, &ch);
	ch.protect = protect || pf__protect_leads(&c->protect, path, ch.mode);
	ch.hidden = ch.op == PF_ADDED && pf__ws_covered(&c->hidden, path);
	if (r == 0)
		r = append(c, &ch);
	if (r < 0)
		pf__change_clear(&ch);
	return r;
}
