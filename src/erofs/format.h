/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EROFS on disk, as far as writer and reader use it. Source of every layout and number: fs/erofs/erofs_fs.h
 * and Documentation/filesystems/erofs.rst of Linux; the names are ours. All integers are little-endian;
 * structures are copied out of the image before use, since a hostile one may put them anywhere.
 *
 *   block 0            1,024 bytes of nothing, then the superblock
 *   metadata           inodes at 32-byte slots: inode, attributes, then the chunk table or the inline tail
 *   blocks             what is not inline: whole blocks of directories and files
 *
 * An inode is named by its slot (nid): it lies at metadata start + 32 * nid.
 */
#ifndef PF_EROFS_FORMAT_H
#define PF_EROFS_FORMAT_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PF__EROFS_MAGIC	     0xE0F5E1E2u
#define PF__EROFS_SUPER	     1024u /* byte offset of the superblock */
#define PF__EROFS_BLOCK_BITS 12
#define PF__EROFS_BLOCK	     (1u << PF__EROFS_BLOCK_BITS)
#define PF__EROFS_SLOT	     32u
#define PF__EROFS_NAME_MAX   255u

/* Features that an old reader may ignore. */
#define PF__EROFS_COMPAT_CHECKSUM 0x1u /* crc32c of the superblock's block */
#define PF__EROFS_COMPAT_MTIME	  0x2u /* the inodes' time is that of modification */
/* Features that a reader must know. Zero padding concerns compressed data alone, so it is harmless here. */
#define PF__EROFS_MUST_PADDING 0x1u
#define PF__EROFS_MUST_CHUNKS  0x4u

struct pf__erofs_super {
	uint32_t magic, checksum, compat;
	uint8_t block_bits, more_slots; /* the superblock goes on for 16 bytes each */
	uint16_t root;			/* nid: the root's must fit 16 bits */
	uint64_t inodes;
	uint64_t time; /* of all compact inodes */
	uint32_t time_ns;
	uint32_t blocks;
	uint32_t meta_block;  /* where nids count from */
	uint32_t xattr_block; /* where shared attributes count from */
	uint8_t uuid[16], label[16];
	uint32_t must;
	uint16_t compression, devices, device_slots;
	uint8_t dir_block_bits, prefixes;
	uint32_t prefix_start;
	uint64_t packed_nid;
	uint8_t filter, reserved[23];
} __attribute__((packed));

/* How the content of an inode lies. */
enum pf__erofs_layout {
	PF__FLAT_PLAIN = 0, /* consecutive blocks */
	PF__COMPRESSED = 1, /* not ours */
	PF__FLAT_INLINE =
		2, /* consecutive blocks, the last and partial one behind the inode, within one block */
	PF__COMPACTED = 3, /* compressed too */
	PF__CHUNKS = 4,	   /* a table of block numbers, one a chunk; a hole has none */
};
#define PF__FORMAT_EXTENDED 0x1u /* 64-byte inode */
#define PF__FORMAT_LAYOUT   1	 /* shift */
#define PF__FORMAT_KNOWN    0xfu

#define PF__CHUNK_BITS	  0x1fu /* chunk size is a block's shifted by this */
#define PF__CHUNK_INDEXES 0x20u /* 8-byte table entries with a device number */
#define PF__CHUNK_KNOWN	  0x3fu
#define PF__NO_BLOCK	  0xffffffffu

struct pf__erofs_compact { /* 32 bytes: what mkfs.erofs makes of small owners and common times */
	uint16_t format, xattr_count, mode, links;
	uint32_t size, time; /* seconds after the superblock's */
	uint32_t data;	     /* first block, chunk format (low 16 bits) or device number */
	uint32_t number;
	uint16_t uid, gid;
	uint32_t reserved;
} __attribute__((packed));

struct pf__erofs_extended {
	uint16_t format, xattr_count, mode, reserved;
	uint64_t size;
	uint32_t data;
	uint32_t number; /* for 32-bit stat alone */
	uint32_t uid, gid;
	uint64_t time;
	uint32_t time_ns, links;
	uint8_t reserved2[16];
} __attribute__((packed));

/* Attributes: this header, 4-byte ids of shared ones, then entries; all of it (xattr_count - 1) * 4 bytes
 * more than the header. */
struct pf__erofs_xattrs {
	uint32_t filter;
	uint8_t shared, reserved[7];
} __attribute__((packed));

struct pf__erofs_xattr { /* followed by name and value, padded to 4 bytes */
	uint8_t name_length, prefix;
	uint16_t size;
} __attribute__((packed));

/* 16-bit count: what attributes of one inode take at most. */
#define PF__XATTRS_MAX (sizeof(struct pf__erofs_xattrs) + 4u * 65534u)

struct pf__erofs_chunk { /* with PF__CHUNK_INDEXES */
	uint16_t advice, device;
	uint32_t block;
} __attribute__((packed));

/* A directory is blocks of entries followed by their names; the first entry's name offset tells how many
 * there are. All names in byte order, "." and ".." among them. */
struct pf__erofs_dirent {
	uint64_t nid;
	uint16_t name;
	uint8_t type, reserved;
} __attribute__((packed));

_Static_assert(sizeof(struct pf__erofs_super) == 128, "superblock");
_Static_assert(sizeof(struct pf__erofs_compact) == 32, "compact inode");
_Static_assert(sizeof(struct pf__erofs_extended) == 64, "extended inode");
_Static_assert(sizeof(struct pf__erofs_xattrs) == 12, "attribute header");
_Static_assert(sizeof(struct pf__erofs_xattr) == 4, "attribute");
_Static_assert(sizeof(struct pf__erofs_chunk) == 8, "chunk index");
_Static_assert(sizeof(struct pf__erofs_dirent) == 12, "directory entry");

/* Running crc32c, not inverted at either end; begin with ~0. */
uint32_t pf__crc32c(uint32_t crc, const void *data, size_t n);
/* What the superblock's checksum must be. block: the first block whole; the checksum in it counts as 0. */
uint32_t pf__erofs_checksum(const uint8_t block[PF__EROFS_BLOCK]);

/* The number of a whole attribute name's prefix, and where the rest of it begins. -EOPNOTSUPP for a name that
 * the format cannot hold. */
int pf__erofs_prefix_of(const char *name, const char **rest);
/* The prefix of a number, or NULL. */
const char *pf__erofs_prefix(unsigned number);

/* The type byte of directory entries, 0 if mode has none. */
uint8_t pf__erofs_type(mode_t mode);

/* Device numbers, as the kernel's new_encode_dev(): 12 bits of major, 20 of minor. */
#define PF__DEV_MAJOR_MAX 0xfffu
#define PF__DEV_MINOR_MAX 0xfffffu

#endif
