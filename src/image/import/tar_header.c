/* SPDX-License-Identifier: Apache-2.0 */
/* The header block of a tar's entry: v7, ustar, star's and GNU's variants of it. */
#include <errno.h>
#include <string.h>

#include "image/import/tar.h"

enum { /* offset and length of every field */
       NAME = 0,
       NAME_N = 100,
       MODE = 100,
       UID = 108,
       GID = 116,
       ID_N = 8,
       SIZE = 124,
       SIZE_N = 12,
       MTIME = 136,
       CHECKSUM = 148,
       CHECKSUM_N = 8,
       TYPE = 156,
       LINK = 157,
       LINK_N = 100,
       MAGIC = 257,
       MAJOR = 329,
       MINOR = 337,
       PREFIX = 345,
       PREFIX_N = 155,
       STAR_PREFIX_N = 131,
       STAR_MAGIC = 508,
};

int pf__tar_number(const uint8_t *p, size_t n, int64_t *out)
{
	uint64_t v = 0;
	size_t i = 0;

	if (p[0] & 0x80) { /* base 256, two's complement; the first byte's top bit only says so */
		bool minus = p[0] & 0x40;

		v = minus ? UINT64_MAX << 7 | (p[0] & 0x7f) : p[0] & 0x7f;
		for (i = 1; i < n; i++) {
			if ((int64_t)v > INT64_MAX >> 8 || (int64_t)v < INT64_MIN >> 8)
				return -ERANGE;
			v = v << 8 | p[i];
		}
		*out = (int64_t)v;
		return 0;
	}
	while (i < n && p[i] == ' ')
		i++;
	for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) {
		if (v >> 60)
			return -ERANGE;
		v = v << 3 | (uint64_t)(p[i] - '0');
	}
	for (; i < n; i++)
		if (p[i] != ' ' && p[i] != '\0')
			return -EINVAL;
	*out = (int64_t)v;
	return 0;
}

bool pf__tar_checksum_ok(const uint8_t block[PF__TAR_BLOCK])
{
	int64_t want, plain = 0, with_sign = 0; /* some old programs summed chars that had a sign */

	if (pf__tar_number(block + CHECKSUM, CHECKSUM_N, &want) || block[CHECKSUM] & 0x80)
		return false;
	for (size_t i = 0; i < PF__TAR_BLOCK; i++) {
		bool own = i >= CHECKSUM && i < CHECKSUM + CHECKSUM_N;

		plain += own ? ' ' : block[i];
		with_sign += own ? ' ' : (int8_t)block[i];
	}
	return want == plain || want == with_sign;
}

static struct pf__bytes text(const uint8_t *block, size_t at, size_t max)
{
	const char *p = (const char *)block + at;

	return (struct pf__bytes){p, strnlen(p, max)};
}

static int number(const uint8_t *block, size_t at, size_t n, int64_t min, int64_t max, const char *what,
		  int64_t *out, struct pf_error *err)
{
	struct pf__bytes name = text(block, NAME, NAME_N);
	char show[PF__SHOW];

	if (pf__tar_number(block + at, n, out) == 0 && *out >= min && *out <= max)
		return 0;
	return pf_fail(err, -EINVAL, "entry '%s': its %s is no number that can be",
		       pf__show(name.p, name.n, show), what);
}

int pf__tar_header(const uint8_t b[PF__TAR_BLOCK], struct pf__tar_header *h, struct pf_error *err)
{
	bool ustar = memcmp(b + MAGIC, "ustar", 6) == 0, star = memcmp(b + STAR_MAGIC, "tar\0", 4) == 0;
	int64_t mode, uid, gid, size, mtime, major = 0, minor = 0;
	int r;

	r = number(b, MODE, ID_N, 0, INT64_MAX, "mode", &mode, err);
	r = r ? r : number(b, UID, ID_N, 0, UINT32_MAX, "owner", &uid, err);
	r = r ? r : number(b, GID, ID_N, 0, UINT32_MAX, "group", &gid, err);
	r = r ? r : number(b, SIZE, SIZE_N, 0, INT64_MAX, "size", &size, err);
	r = r ? r : number(b, MTIME, SIZE_N, INT64_MIN, INT64_MAX, "time", &mtime, err);
	/* The fields mean something for devices alone, and others leave anything there. */
	if (b[TYPE] == PF__TAR_CHAR || b[TYPE] == PF__TAR_BLOCK_DEVICE) {
		r = r ? r : number(b, MAJOR, ID_N, 0, UINT32_MAX, "device number", &major, err);
		r = r ? r : number(b, MINOR, ID_N, 0, UINT32_MAX, "device number", &minor, err);
	}
	if (r)
		return r;
	*h = (struct pf__tar_header){.type = (char)b[TYPE],
				     .name = text(b, NAME, NAME_N),
				     .link = text(b, LINK, LINK_N),
				     .size = (uint64_t)size,
				     .mode = (uint32_t)(mode & 07777),
				     .uid = (uint32_t)uid,
				     .gid = (uint32_t)gid,
				     .mtime = mtime,
				     .major = (uint32_t)major,
				     .minor = (uint32_t)minor,
				     .gnu = memcmp(b + MAGIC, "ustar  ", 8) == 0};
	if (ustar)
		h->prefix = text(b, PREFIX, star ? STAR_PREFIX_N : PREFIX_N);
	return 0;
}
