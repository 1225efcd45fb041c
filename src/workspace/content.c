/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying and comparing the bytes of files. Holes stay holes: the enemy can make a file of
 * terabytes that has one block, and neither time nor disk may follow its size.
 */
#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "workspace/workspace_internal.h"

#define CHUNK 32768u /* on the stack, twice */

/* pread() of exactly n bytes, fewer only at the end. */
static ssize_t read_at(int fd, char *p, size_t n, uint64_t at)
{
	size_t done = 0;

	while (done < n) {
		ssize_t k = pread(fd, p + done, n - done, (off_t)(at + done));

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		if (k == 0)
			break;
		done += (size_t)k;
	}
	return (ssize_t)done;
}

static int write_at(int fd, const char *p, size_t n, uint64_t at)
{
	while (n > 0) {
		ssize_t k = pwrite(fd, p, n, (off_t)at);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		p += k;
		at += (uint64_t)k;
		n -= (size_t)k;
	}
	return 0;
}

void pf__ws_next_data(int fd, uint64_t at, uint64_t n, uint64_t *from, uint64_t *to)
{
	off_t data = lseek(fd, (off_t)at, SEEK_DATA), hole;

	if (data < 0 && errno == ENXIO) {
		*from = *to = n;
		return;
	}
	hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
	*from = data < 0 ? at : (uint64_t)data;
	*to = hole < 0 ? n : (uint64_t)hole;
	if (*from > n)
		*from = n;
	if (*to > n)
		*to = n;
}

int pf__ws_copy(int src, int dst, uint64_t n)
{
	char buf[CHUNK];
	uint64_t from = 0, to;
	int r = 0;

	if (n > INT64_MAX)
		return -EFBIG;
	if (ftruncate(dst, (off_t)n) < 0)
		return -errno;
	if (n == 0 || ioctl(dst, FICLONE, src) == 0)
		return 0;
	for (pf__ws_next_data(src, 0, n, &from, &to); from < n && r == 0;
	     pf__ws_next_data(src, to, n, &from, &to)) {
		while (from < to && r == 0) {
			size_t want = to - from < CHUNK ? (size_t)(to - from) : CHUNK;
			ssize_t k = read_at(src, buf, want, from);

			if (k < (ssize_t)want)
				return k < 0 ? (int)k : -EIO; /* it shrank under us */
			r = write_at(dst, buf, want, from);
			from += want;
		}
	}
	return r;
}

/* Where both files next have something that needs reading. */
static uint64_t next_either(int a, int b, uint64_t at, uint64_t n, uint64_t *to)
{
	uint64_t fa, ta, fb, tb;

	pf__ws_next_data(a, at, n, &fa, &ta);
	pf__ws_next_data(b, at, n, &fb, &tb);
	if (fa < fb) {
		*to = ta;
		return fa;
	}
	*to = fb < fa || tb > ta ? tb : ta;
	return fb;
}

int pf__ws_same_bytes(int a, int b, uint64_t n)
{
	char left[CHUNK], right[CHUNK];
	uint64_t from, to;

	for (from = next_either(a, b, 0, n, &to); from < n; from = next_either(a, b, to, n, &to)) {
		while (from < to) {
			size_t want = to - from < CHUNK ? (size_t)(to - from) : CHUNK;
			ssize_t ka = read_at(a, left, want, from), kb = read_at(b, right, want, from);

			if (ka < 0 || kb < 0)
				return (int)(ka < 0 ? ka : kb);
			if (ka != kb || memcmp(left, right, (size_t)ka) != 0)
				return 0;
			if ((size_t)ka < want)
				return 1; /* both ended early alike */
			from += want;
		}
	}
	return 1;
}
