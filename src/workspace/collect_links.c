/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files with several names. Their bytes are kept once (ten thousand links of one large file must not cost ten
 * thousand copies), and the set says which of its entries are the same file, so that apply makes one of them
 * again.
 *
 * A file is told by its inode in the upper. `ln old new` inside copies the workspace's "old" up and links
 * that: then "old" did not change, is no entry of the set, and is kept as the name that the workspace has
 * already. Names that overlay parted (it copies up one name, and leaves the others with the old file) are
 * parted in the set too, for so the sandbox saw them.
 */
#include <errno.h>
#include <stdlib.h>

#include "workspace/workspace_internal.h"

#define ESCAPED 6u /* bytes that one of a path may take in the manifest: \u00XX */

static size_t slot_of(const struct pf__collect *c, dev_t dev, ino_t ino)
{
	uint64_t h = ((uint64_t)ino ^ (uint64_t)dev << 40) * UINT64_C(0x9e3779b97f4a7c15);
	size_t slots = 2 * c->file_room, at = (size_t)(h >> 20) & (slots - 1);

	while (c->file_hash[at]) {
		const struct pf__file *f = &c->files[c->file_hash[at]];

		if (f->dev == dev && f->ino == ino)
			break;
		at = (at + 1) & (slots - 1);
	}
	return at;
}

static int grow(struct pf__collect *c)
{
	size_t room = c->file_room ? 2 * c->file_room : 64;
	struct pf__file *files;
	uint32_t *hash;

	if (c->file_count + 1 < c->file_room)
		return 0;
	files = realloc(c->files, room * sizeof(*files));
	if (files)
		c->files = files;
	hash = calloc(2 * room, sizeof(*hash));
	if (!files || !hash) {
		free(hash);
		return pf_fail(c->err, -ENOMEM, "out of memory while collecting changes");
	}
	free(c->file_hash);
	c->file_hash = hash;
	c->file_room = room;
	for (size_t i = 1; i <= c->file_count; i++)
		hash[slot_of(c, files[i].dev, files[i].ino)] = (uint32_t)i;
	return 0;
}

int pf__hardlinks_find(struct pf__collect *c, const struct pf__side *view, uint64_t *number)
{
	size_t at;
	int r;

	*number = 0;
	if (!view->exists || view->st.st_nlink < 2 ||
	    !(S_ISREG(view->st.st_mode) || S_ISLNK(view->st.st_mode) || S_ISFIFO(view->st.st_mode)))
		return 0;
	r = grow(c);
	if (r < 0)
		return r;
	at = slot_of(c, view->st.st_dev, view->st.st_ino);
	if (!c->file_hash[at]) {
		c->file_hash[at] = (uint32_t)++c->file_count;
		c->files[c->file_count] = (struct pf__file){.dev = view->st.st_dev, .ino = view->st.st_ino};
	}
	*number = c->file_hash[at];
	return 0;
}

int pf__hardlinks_keep(struct pf__collect *c, uint64_t number, const char *path)
{
	uint64_t max = c->what->manifest_bytes_max ? c->what->manifest_bytes_max : PF__MANIFEST_MAX,
		 need = ESCAPED * strlen(path) + 32;
	struct pf__file *f = number ? &c->files[number] : NULL;

	/* Without room for its name in the list the others become a file of their own. */
	if (!f || f->keeper || c->manifest_bytes + need > max)
		return 0;
	f->keeper = strdup(path);
	if (!f->keeper)
		return pf_fail(c->err, -ENOMEM, "out of memory while collecting changes");
	c->manifest_bytes += need;
	return 0;
}

void pf__hardlinks_finish(struct pf__collect *c)
{
	uint64_t next = 0;

	if (c->file_count == 0)
		return;
	for (size_t i = 0; i < c->set.count; i++)
		c->files[c->set.items[i].link].names += c->set.items[i].link != 0;
	for (size_t i = 0; i < c->set.count; i++) {
		struct pf_change *ch = &c->set.items[i];
		struct pf__file *f = &c->files[ch->link];

		if (ch->link == 0)
			continue;
		if (f->names < 2 && !f->keeper) {
			ch->link = 0;
			continue;
		}
		if (f->number == 0) {
			f->number = ++next;
			ch->link_to = f->keeper;
			f->keeper = NULL;
			/* a further name for a protected file is a way to write it that no rule knows */
			f->protect = ch->link_to && pf__ws_protected(c->what->protect, ch->link_to, ch->mode);
		}
		ch->link = f->number;
		ch->protect |= f->protect;
	}
}

void pf__hardlinks_free(struct pf__collect *c)
{
	for (size_t i = 1; i <= c->file_count; i++)
		free(c->files[i].keeper);
	free(c->files);
	free(c->file_hash);
}

/* A name of this file that is no item of left. */
static char *elsewhere(const struct pf_changeset *all, const struct pf_changeset *left, uint64_t link)
{
	for (size_t i = all->links[link - 1]; i < all->count; i++) {
		if (all->items[i].link == link && pf__change_find(left, all->items[i].path) < 0)
			return all->items[i].path;
	}
	return NULL;
}

int pf__hardlinks_reduce(const struct pf_changeset *all, struct pf_changeset *left)
{
	uint64_t *number = calloc(all->link_count + 1, sizeof(*number)), next = 0;

	if (!number)
		return -ENOMEM;
	for (size_t i = 0; i < left->count; i++) {
		struct pf_change *ch = &left->items[i];
		uint64_t old = ch->link;

		if (old == 0)
			continue;
		if (number[old - 1] == 0) {
			number[old - 1] = ++next;
			if (!ch->link_to)
				ch->link_to = elsewhere(all, left, old);
			if (!ch->link_to)
				ch->link_to = all->items[all->links[old - 1]].link_to;
		}
		ch->link = number[old - 1];
	}
	free(number);
	return 0;
}
