/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes: those behind the inode, and those that it shares with others. */
#include <errno.h>
#include <string.h>

#include "erofs/read_internal.h"

struct reader {
	const struct pf_erofs *fs;
	const struct pf_erofs_inode *inode;
	int (*each)(void *user, const char *name, const void *value, uint32_t size);
	void *user;
	struct pf_error *err;
};

/* One entry of at most `left` bytes. Returns what each returned; *used: its length, padded. */
static int one(const struct reader *rd, uint64_t at, uint64_t left, uint64_t *used)
{
	const uint8_t *p = pf__bytes(rd->fs, at, sizeof(struct pf__erofs_xattr));
	char name[32 + UINT8_MAX + 1];
	struct pf__erofs_xattr d;
	const char *prefix;
	uint64_t whole;
	size_t n;

	if (!p || left < sizeof(d))
		return pf__damaged(rd->err, rd->inode->nid, "an attribute outside of it");
	memcpy(&d, p, sizeof(d));
	d.size = le16toh(d.size);
	whole = sizeof(d) + d.name_length + d.size;
	if (whole > left || !pf__bytes(rd->fs, at, whole))
		return pf__damaged(rd->err, rd->inode->nid, "an attribute outside of it");
	prefix = pf__erofs_prefix(d.prefix);
	if (!prefix)
		return pf_fail(rd->err, -EOPNOTSUPP, "an attribute of unknown kind (%u) in the image",
			       d.prefix);
	n = strlen(prefix);
	memcpy(name, prefix, n);
	memcpy(name + n, p + sizeof(d), d.name_length);
	name[n + d.name_length] = '\0';
	/* Written back it must be the same attribute: no NUL in it, and "user." alone is none. */
	if (strlen(name) != n + d.name_length || pf__erofs_prefix_of(name, &prefix) != d.prefix)
		return pf__damaged(rd->err, rd->inode->nid, "the name of an attribute");
	*used = (whole + 3) & ~3ull;
	return rd->each(rd->user, name, p + sizeof(d) + d.name_length, d.size);
}

static int shared(const struct reader *rd, unsigned count)
{
	uint64_t ids = rd->inode->attributes + sizeof(struct pf__erofs_xattrs), used = 0;
	int r = 0;

	for (unsigned k = 0; r == 0 && k < count; k++) {
		uint32_t id;

		memcpy(&id, rd->fs->data + ids + k * sizeof(id), sizeof(id));
		r = one(rd, rd->fs->xattrs + (uint64_t)le32toh(id) * sizeof(id), UINT32_MAX, &used);
	}
	return r;
}

int pf_erofs_xattrs(const struct pf_erofs *fs, const struct pf_erofs_inode *i,
		    int (*each)(void *user, const char *name, const void *value, uint32_t size), void *user,
		    struct pf_error *err)
{
	struct reader rd = {fs, i, each, user, err};
	struct pf__erofs_xattrs h;
	uint64_t at, end = i->attributes + i->attributes_size, used = 0;
	int r;

	if (i->attributes_size == 0)
		return 0;
	memcpy(&h, fs->data + i->attributes, sizeof(h));
	at = i->attributes + sizeof(h) + h.shared * sizeof(uint32_t);
	if (at > end)
		return pf__damaged(err, i->nid, "more shared attributes than there is room for");
	r = shared(&rd, h.shared);
	while (r == 0 && at < end) {
		r = one(&rd, at, end - at, &used);
		at += used;
	}
	return r;
}
