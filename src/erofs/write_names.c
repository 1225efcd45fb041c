/* SPDX-License-Identifier: Apache-2.0 */
/* Directories as the format has them: entries and names packed into blocks, in the order of bytes. */
#include <string.h>

#include "erofs/write_internal.h"

#define ENTRY sizeof(struct pf__erofs_dirent)

static int compare(const char *a, size_t n, const struct pf_entry *e)
{
	int r = memcmp(a, e->name, n < e->length ? n : e->length);

	return r ? r : (n > e->length) - (n < e->length);
}

bool pf__names_next(struct pf__names *it, struct pf__name *out)
{
	const struct pf_inode *dir = it->dir;
	const struct pf_entry *e = it->next < dir->entry_count ? &dir->entries[it->next] : NULL;
	size_t n = it->dots + 1; /* "." then ".." */

	/* Their place is not the first: "!" and "-" are smaller than ".". */
	if (it->dots < 2 && (!e || compare("..", n, e) < 0)) {
		*out = (struct pf__name){"..", n, it->dots == 0 ? dir : dir->parent};
		out->name += 2 - n;
		it->dots++;
		return true;
	}
	if (!e)
		return false;
	*out = (struct pf__name){e->name, e->length, e->inode};
	it->next++;
	return true;
}

uint32_t pf__names_skip_block(struct pf__names *it)
{
	uint32_t used = 0;
	struct pf__names ahead = *it;
	struct pf__name name;

	while (pf__names_next(&ahead, &name) && used + ENTRY + name.length <= PF__EROFS_BLOCK) {
		used += (uint32_t)(ENTRY + name.length);
		*it = ahead;
	}
	return used;
}

static uint32_t entries_between(const struct pf__names *a, const struct pf__names *b)
{
	return (uint32_t)(b->next - a->next) + (b->dots - a->dots);
}

uint32_t pf__names_fill_block(struct pf__names *it, uint8_t *to)
{
	struct pf__names end = *it;
	uint32_t used = pf__names_skip_block(&end), count = entries_between(it, &end);
	size_t at = count * ENTRY;
	struct pf__name name;

	for (uint32_t i = 0; i < count && pf__names_next(it, &name); i++) {
		struct pf__erofs_dirent d = {
			.nid = htole64(name.inode->nid),
			.name = htole16((uint16_t)at),
			.type = pf__erofs_type(name.inode->mode),
		};

		memcpy(to + i * ENTRY, &d, ENTRY);
		memcpy(to + at, name.name, name.length);
		at += name.length;
	}
	return used;
}

uint64_t pf__dir_size(const struct pf_inode *dir)
{
	struct pf__names it = {.dir = dir};
	uint64_t size = 0;
	uint32_t used;

	/* Every block but the last counts whole. */
	while ((used = pf__names_skip_block(&it)) > 0)
		size = ((size + PF__EROFS_BLOCK - 1) & ~(uint64_t)(PF__EROFS_BLOCK - 1)) + used;
	return size;
}
