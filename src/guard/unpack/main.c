/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold-unpack: unpacks what a redactor hands it, so that the redactor's own process parses no archive. It
 * links zlib, bzip2 and liblzma, and before it reads the first byte it takes seccomp's strict mode: read,
 * write and exit are all it can do from then on, with the two ends of one socket as its only descriptors. So
 * whoever takes it over has gained nothing. Memory is one fixed area, empty again for each request.
 *
 * A request: struct pf__unpack_ask and the bytes; the answer: struct pf__unpack_told and what was unpacked.
 */
#include <bzlib.h>
#include <linux/seccomp.h>
#include <lzma.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zlib.h>

#include "guard/unpack/unpack.h"

#define ARENA (96u << 20) /* a window of xz -9 and its tables; pages are taken as they are touched */

static uint8_t arena[ARENA] __attribute__((aligned(64)));
static size_t arena_used;
static uint8_t in[PF__UNPACK_IN], out[PF__UNPACK_OUT];

static void leave(int code) __attribute__((noreturn));
static void leave(int code)
{
	for (;;)
		syscall(SYS_exit, code); /* strict mode has no exit_group(2) */
}

static void *take(size_t n)
{
	size_t at = (arena_used + 63) & ~(size_t)63;

	if (n > ARENA - at || at > ARENA)
		return NULL;
	arena_used = at + n;
	return arena + at;
}

static void *take_zlib(void *user, unsigned items, unsigned size)
{
	(void)user;
	return take((size_t)items * size);
}

static void *take_bzip2(void *user, int items, int size)
{
	(void)user;
	return items < 0 || size < 0 ? NULL : take((size_t)items * (size_t)size);
}

static void *take_lzma(void *user, size_t items, size_t size)
{
	(void)user;
	return size && items > ARENA / size ? NULL : take(items * size);
}

static void give(void *user, void *p)
{
	(void)user;
	(void)p;
}

static void unzlib(const struct pf__unpack_ask *ask, struct pf__unpack_told *told)
{
	z_stream z = {.zalloc = take_zlib, .zfree = give, .next_in = in, .avail_in = ask->bytes};
	int r = inflateInit2(&z, 15 + 32); /* gzip or zlib, by its header */

	z.next_out = out;
	z.avail_out = ask->most;
	if (r == Z_OK)
		r = inflate(&z, Z_SYNC_FLUSH);
	told->ended = r == Z_STREAM_END;
	told->broken = r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR;
	told->used = ask->bytes - z.avail_in;
	told->bytes = ask->most - z.avail_out;
}

static void unbzip2(const struct pf__unpack_ask *ask, struct pf__unpack_told *told)
{
	bz_stream z = {.bzalloc = take_bzip2, .bzfree = give, .next_in = (char *)in, .avail_in = ask->bytes};
	int r = BZ2_bzDecompressInit(&z, 0, 0);

	z.next_out = (char *)out;
	z.avail_out = ask->most;
	if (r == BZ_OK)
		r = BZ2_bzDecompress(&z);
	told->ended = r == BZ_STREAM_END;
	told->broken = r != BZ_OK && r != BZ_STREAM_END;
	told->used = ask->bytes - z.avail_in;
	told->bytes = ask->most - z.avail_out;
}

static void unxz(const struct pf__unpack_ask *ask, struct pf__unpack_told *told)
{
	static const lzma_allocator allocator = {take_lzma, give, NULL};
	lzma_stream z = LZMA_STREAM_INIT;
	lzma_ret r;

	z.allocator = &allocator;
	r = lzma_stream_decoder(&z, ARENA - (4u << 20), 0);
	z.next_in = in;
	z.avail_in = ask->bytes;
	z.next_out = out;
	z.avail_out = ask->most;
	if (r == LZMA_OK)
		r = lzma_code(&z, LZMA_RUN);
	told->ended = r == LZMA_STREAM_END;
	told->broken = r != LZMA_OK && r != LZMA_STREAM_END && r != LZMA_BUF_ERROR;
	told->used = (uint32_t)(ask->bytes - z.avail_in);
	told->bytes = (uint32_t)(ask->most - z.avail_out);
}

static bool read_all(void *p, size_t n)
{
	uint8_t *at = p;

	while (n > 0) {
		ssize_t r = read(0, at, n);

		if (r <= 0)
			return false;
		at += r;
		n -= (size_t)r;
	}
	return true;
}

static bool write_all(const void *p, size_t n)
{
	const uint8_t *at = p;

	while (n > 0) {
		ssize_t r = write(1, at, n);

		if (r <= 0)
			return false;
		at += r;
		n -= (size_t)r;
	}
	return true;
}

int main(void)
{
	struct pf__unpack_ask ask;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) < 0)
		return 1;
	while (read_all(&ask, sizeof(ask))) {
		struct pf__unpack_told told = {0};

		if (ask.bytes > sizeof(in) || ask.most > sizeof(out) || !read_all(in, ask.bytes))
			leave(1);
		memset(arena, 0, arena_used); /* nothing of one request is there in the next */
		arena_used = 0;
		if (ask.kind == PF__UNPACK_ZLIB)
			unzlib(&ask, &told);
		else if (ask.kind == PF__UNPACK_BZIP2)
			unbzip2(&ask, &told);
		else if (ask.kind == PF__UNPACK_XZ)
			unxz(&ask, &told);
		if (!write_all(&told, sizeof(told)) || !write_all(out, told.bytes))
			leave(1);
	}
	leave(0);
}
