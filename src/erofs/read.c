/* SPDX-License-Identifier: Apache-2.0 */
/* Reading an image: superblock and inodes. */
#include "erofs/read.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "erofs/read_internal.h"

int pf__damaged(struct pf_error *err, uint64_t nid, const char *what)
{
	return pf_fail(err, -EUCLEAN, "the image is damaged: %s (inode %llu)", what, (unsigned long long)nid);
}

static int check_features(const struct pf__erofs_super *s, struct pf_error *err)
{
	uint32_t must = le32toh(s->must) & ~(PF__EROFS_MUST_PADDING | PF__EROFS_MUST_CHUNKS);

	if (s->block_bits != PF__EROFS_BLOCK_BITS || s->dir_block_bits != 0)
		return pf_fail(err, -EOPNOTSUPP, "an image with blocks of another size than 4 KiB");
	if (must || s->devices)
		return pf_fail(err, -EOPNOTSUPP,
			       "an image with features that are not read here (0x%x: compression, several "
			       "devices or the like)",
			       must);
	return 0;
}

int pf_erofs_open(struct pf_erofs *fs, const void *data, uint64_t size, struct pf_error *err)
{
	struct pf_erofs made = {.data = data, .size = size};
	struct pf__erofs_super s;
	int r;

	if (size < PF__EROFS_BLOCK)
		return pf_fail(err, -EUCLEAN, "not an EROFS image: %llu bytes", (unsigned long long)size);
	memcpy(&s, made.data + PF__EROFS_SUPER, sizeof(s));
	if (le32toh(s.magic) != PF__EROFS_MAGIC)
		return pf_fail(err, -EUCLEAN, "not an EROFS image");
	r = check_features(&s, err);
	if (r < 0)
		return r;
	if ((le32toh(s.compat) & PF__EROFS_COMPAT_CHECKSUM) &&
	    le32toh(s.checksum) != pf__erofs_checksum(made.data))
		return pf_fail(err, -EUCLEAN, "the image is damaged: wrong checksum");
	made.blocks = le32toh(s.blocks);
	if (made.blocks > size / PF__EROFS_BLOCK)
		return pf_fail(err, -EUCLEAN, "the image is cut off: %llu bytes of %llu",
			       (unsigned long long)size, (unsigned long long)(made.blocks * PF__EROFS_BLOCK));
	made.meta = (uint64_t)le32toh(s.meta_block) * PF__EROFS_BLOCK;
	made.xattrs = (uint64_t)le32toh(s.xattr_block) * PF__EROFS_BLOCK;
	made.root = le16toh(s.root);
	made.inodes = le64toh(s.inodes);
	made.time = (int64_t)le64toh(s.time);
	made.time_ns = le32toh(s.time_ns);
	*fs = made;
	return 0;
}

/* The device number or the place of the content, by type. */
static void take_data(struct pf_erofs_inode *i, uint32_t data)
{
	if (S_ISCHR(i->mode) || S_ISBLK(i->mode))
		i->rdev = makedev((data >> 8) & PF__DEV_MAJOR_MAX, (data & 0xff) | ((data >> 12) & 0xfff00));
	else
		i->first = data;
	if (!S_ISREG(i->mode) && !S_ISDIR(i->mode) && !S_ISLNK(i->mode))
		i->size = 0;
}

/* Returns the inode's own size on disk. */
static uint32_t take_compact(const struct pf_erofs *fs, const uint8_t *p, struct pf_erofs_inode *i,
			     uint16_t *xattrs)
{
	struct pf__erofs_compact d;

	memcpy(&d, p, sizeof(d));
	i->mode = le16toh(d.mode);
	i->uid = le16toh(d.uid);
	i->gid = le16toh(d.gid);
	i->links = le16toh(d.links);
	i->size = le32toh(d.size);
	i->mtime = (int64_t)((uint64_t)fs->time + le32toh(d.time));
	i->mtime_ns = fs->time_ns;
	take_data(i, le32toh(d.data));
	*xattrs = le16toh(d.xattr_count);
	return sizeof(d);
}

static uint32_t take_extended(const uint8_t *p, struct pf_erofs_inode *i, uint16_t *xattrs)
{
	struct pf__erofs_extended d;

	memcpy(&d, p, sizeof(d));
	i->mode = le16toh(d.mode);
	i->uid = le32toh(d.uid);
	i->gid = le32toh(d.gid);
	i->links = le32toh(d.links);
	i->size = le64toh(d.size);
	i->mtime = (int64_t)le64toh(d.time);
	i->mtime_ns = le32toh(d.time_ns);
	take_data(i, le32toh(d.data));
	*xattrs = le16toh(d.xattr_count);
	return sizeof(d);
}

static int check_inode(const struct pf_erofs *fs, const struct pf_erofs_inode *i, struct pf_error *err)
{
	if (!pf__erofs_type(i->mode))
		return pf__damaged(err, i->nid, "a file of no known type");
	if (i->mtime_ns >= 1000000000u)
		return pf__damaged(err, i->nid, "a time that is none");
	if (i->size > INT64_MAX)
		return pf__damaged(err, i->nid, "a size that is none");
	if (S_ISLNK(i->mode) && (i->size == 0 || i->size >= 4096))
		return pf__damaged(err, i->nid, "a symbolic link that is empty or too long");
	return pf__content_check(fs, i, err);
}

int pf_erofs_inode(const struct pf_erofs *fs, uint64_t nid, struct pf_erofs_inode *out, struct pf_error *err)
{
	struct pf_erofs_inode i = {.nid = nid};
	uint64_t at = fs->meta + nid * PF__EROFS_SLOT;
	const uint8_t *p = nid <= fs->size / PF__EROFS_SLOT ? pf__bytes(fs, at, PF__EROFS_SLOT) : NULL;
	uint16_t format, xattrs;
	uint32_t own;
	int r;

	if (!p)
		return pf__damaged(err, nid, "an inode outside of it");
	memcpy(&format, p, sizeof(format));
	format = le16toh(format);
	i.layout = (uint8_t)(format >> PF__FORMAT_LAYOUT);
	if ((format & ~PF__FORMAT_KNOWN) || i.layout > PF__CHUNKS)
		return pf__damaged(err, nid, "an inode of unknown form");
	if (i.layout == PF__COMPRESSED || i.layout == PF__COMPACTED)
		return pf_fail(err, -EOPNOTSUPP, "the image is compressed; make it without");
	if ((format & PF__FORMAT_EXTENDED) && !pf__bytes(fs, at, sizeof(struct pf__erofs_extended)))
		return pf__damaged(err, nid, "an inode that is cut off");
	own = format & PF__FORMAT_EXTENDED ? take_extended(p, &i, &xattrs) : take_compact(fs, p, &i, &xattrs);
	i.attributes = at + own;
	if (xattrs)
		i.attributes_size = (uint32_t)(sizeof(struct pf__erofs_xattrs) + 4u * (xattrs - 1u));
	i.body = i.attributes + i.attributes_size;
	if (!pf__bytes(fs, i.attributes, i.attributes_size))
		return pf__damaged(err, nid, "attributes outside of it");
	r = check_inode(fs, &i, err);
	if (r == 0)
		*out = i;
	return r;
}
