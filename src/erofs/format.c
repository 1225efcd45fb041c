/* SPDX-License-Identifier: Apache-2.0 */
/* The small arithmetic of the format: checksum, attribute prefixes, types. */
#include "erofs/format.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define CRC32C_POLYNOMIAL 0x82F63B78u /* Castagnoli, bits reversed */

/* Bit by bit: three kilobytes an image. */
uint32_t pf__crc32c(uint32_t crc, const void *data, size_t n)
{
	const uint8_t *p = data;

	while (n-- > 0) {
		crc ^= *p++;
		for (unsigned bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (CRC32C_POLYNOMIAL & (0u - (crc & 1u)));
	}
	return crc;
}

uint32_t pf__erofs_checksum(const uint8_t block[PF__EROFS_BLOCK])
{
	const size_t field = PF__EROFS_SUPER + offsetof(struct pf__erofs_super, checksum);
	const uint32_t zero = 0;
	uint32_t crc = pf__crc32c(~0u, block + PF__EROFS_SUPER, field - PF__EROFS_SUPER);

	crc = pf__crc32c(crc, &zero, sizeof(zero));
	return pf__crc32c(crc, block + field + sizeof(zero), PF__EROFS_BLOCK - field - sizeof(zero));
}

/* Two attributes have a number for their whole name. Number 5 (lustre) and names with a prefix of the image's
 * own are not written, and an image that has them is refused. */
static const struct {
	const char *text;
	unsigned number;
} prefixes[] = {
	{"user.", 1},	  {"system.posix_acl_access", 2}, {"system.posix_acl_default", 3}, {"trusted.", 4},
	{"security.", 6},
};

static int is_whole(unsigned number)
{
	return number == 2 || number == 3;
}

int pf__erofs_prefix_of(const char *name, const char **rest)
{
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
		size_t n = strlen(prefixes[i].text);

		/* A name that is nothing but "user." is none. */
		if (strncmp(name, prefixes[i].text, n) != 0 ||
		    (name[n] == '\0') != is_whole(prefixes[i].number))
			continue;
		if (strlen(name + n) > PF__EROFS_NAME_MAX)
			continue;
		*rest = name + n;
		return (int)prefixes[i].number;
	}
	return -EOPNOTSUPP;
}

const char *pf__erofs_prefix(unsigned number)
{
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
		if (prefixes[i].number == number)
			return prefixes[i].text;
	}
	return NULL;
}

uint8_t pf__erofs_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 1;
	case S_IFDIR:
		return 2;
	case S_IFCHR:
		return 3;
	case S_IFBLK:
		return 4;
	case S_IFIFO:
		return 5;
	case S_IFSOCK:
		return 6;
	case S_IFLNK:
		return 7;
	default:
		return 0;
	}
}
