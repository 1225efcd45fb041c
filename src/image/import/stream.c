/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a source holds, uncompressed, with digests of both sides and bounds on what comes out.
 *
 * gzip is zlib's work, since libarchive's filter (3.6) does not look at the check sum at a member's end: a
 * damaged file would be taken for a good one. The others are libarchive's filters, of which one alone is
 * switched on, the one that the first bytes ask for; it runs programs for filters that it lacks, so a lacking
 * one is refused.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "image/import/tar.h"

#define BUF (256u << 10)

static const struct packing {
	enum pf__packing packing;
	const char *name;
	const char *magic;
	size_t at, n;
	int filter; /* libarchive's */
	int (*support)(struct archive *);
} packings[] = {
	{PF__PLAIN, "uncompressed", "", 0, 0, 0, NULL},
	{PF__GZIP, "gzip", "\x1f\x8b", 0, 2, 0, NULL},
	{PF__BZIP2, "bzip2", "BZh", 0, 3, ARCHIVE_FILTER_BZIP2, archive_read_support_filter_bzip2},
	{PF__XZ, "xz", "\3757zXZ", 0, 6, ARCHIVE_FILTER_XZ, archive_read_support_filter_xz},
	{PF__ZSTD, "zstd", "\x28\xb5\x2f\xfd", 0, 4, ARCHIVE_FILTER_ZSTD, archive_read_support_filter_zstd},
	{PF__LZ4, "lz4", "\x04\x22\x4d\x18", 0, 4, ARCHIVE_FILTER_LZ4, archive_read_support_filter_lz4},
	{PF__LZIP, "lzip", "LZIP", 0, 4, ARCHIVE_FILTER_LZIP, archive_read_support_filter_lzip},
};

/* What people hand over by mistake. */
static const struct packing others[] = {
	{PF__PLAIN, "a zip file", "PK\3\4", 0, 4, 0, NULL},
	{PF__PLAIN, "a cpio archive", "070701", 0, 6, 0, NULL},
	{PF__PLAIN, "a cpio archive", "070707", 0, 6, 0, NULL},
	{PF__PLAIN, "an ar archive", "!<arch>\n", 0, 8, 0, NULL},
	{PF__PLAIN, "an ELF program", "\177ELF", 0, 4, 0, NULL},
	{PF__PLAIN, "a squashfs image", "hsqs", 0, 4, 0, NULL},
	{PF__PLAIN, "an EROFS image", "\xe2\xe1\xf5\xe0", 1024, 4, 0, NULL},
	{PF__PLAIN, "an ext image", "\x53\xef", 1080, 2, 0, NULL},
	{PF__PLAIN, "a qcow image", "QFI\xfb", 0, 4, 0, NULL},
};

static bool has_magic(const struct packing *k, const uint8_t *p, size_t n)
{
	return k->n && n >= k->at + k->n && memcmp(p + k->at, k->magic, k->n) == 0;
}

const char *pf__packing_name(enum pf__packing p)
{
	return packings[p].name;
}

enum pf__packing pf__packing_of(const uint8_t *p, size_t n, const char **other)
{
	*other = NULL;
	/* A tar begins with a file's name, which may look like anything. */
	if (n >= PF__TAR_BLOCK && pf__tar_checksum_ok(p))
		return PF__PLAIN;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (has_magic(&others[i], p, n))
			*other = others[i].name;
	for (size_t i = 0; i < sizeof(packings) / sizeof(*packings); i++)
		if (has_magic(&packings[i], p, n))
			return packings[i].packing;
	return PF__PLAIN;
}

/* Fill the input buffer, which is used up. */
static int64_t refill(struct pf__stream *s, struct pf_error *err)
{
	int64_t n = s->in_end ? 0 : pf__source_read(&s->source, s->in, BUF, err);
	int r = n > 0 ? pf__hash_add(&s->packed_hash, s->in, (size_t)n, err) : 0;

	if (n < 0 || r)
		return r ? r : n;
	s->in_at = 0;
	s->in_len = (size_t)n;
	s->in_end = n == 0;
	s->packed += (uint64_t)n;
	if (s->progress)
		s->progress(s->user, s->packed);
	return n;
}

/* The magic may come in small pieces, from a pipe. */
static int first_bytes(struct pf__stream *s, struct pf_error *err)
{
	while (s->in_len < 2048 && !s->in_end) {
		int64_t n = pf__source_read(&s->source, s->in + s->in_len, BUF - s->in_len, err);

		if (n < 0)
			return (int)n;
		s->in_end = n == 0;
		s->in_len += (size_t)n;
	}
	s->packed = s->in_len;
	return pf__hash_add(&s->packed_hash, s->in, s->in_len, err);
}

static la_ssize_t give(struct archive *a, void *user, const void **p)
{
	struct pf__stream *s = user;
	int64_t n = s->in_at < s->in_len ? 0 : refill(s, &s->failed);

	if (n < 0) {
		archive_set_error(a, EIO, "%s", s->failed.msg);
		return ARCHIVE_FATAL;
	}
	*p = s->in + s->in_at;
	n = (int64_t)(s->in_len - s->in_at);
	s->in_at = s->in_len;
	return (la_ssize_t)n;
}

static int library_failed(struct pf__stream *s, struct pf_error *err)
{
	const char *text = archive_error_string(s->archive);
	char show[PF__SHOW];

	if (s->failed.code)
		return pf_fail(err, s->failed.code, "%s", s->failed.msg);
	if (!text)
		text = "no reason given";
	return pf_fail(err, -EINVAL, "not whole %s data: %s", pf__packing_name(s->packing),
		       pf__show(text, strlen(text), show));
}

static int open_filter(struct pf__stream *s, struct pf_error *err)
{
	const struct packing *k = &packings[s->packing];
	struct archive_entry *entry;
	struct archive *a = archive_read_new();

	if (!a)
		return pf_fail(err, -ENOMEM, "out of memory");
	s->archive = a;
	if (k->support(a) != ARCHIVE_OK)
		return pf_fail(err, -ENOTSUP, "this build's libarchive cannot read %s", k->name);
	archive_read_support_format_raw(a);
	archive_read_support_format_empty(a);
	if (archive_read_open(a, s, NULL, give, NULL) != ARCHIVE_OK)
		return library_failed(s, err);
	/* Empty data have no "file" in them for libarchive. */
	switch (archive_read_next_header(a, &entry)) {
	case ARCHIVE_OK:
		break;
	case ARCHIVE_EOF:
		s->ended = true;
		return 0;
	default:
		return library_failed(s, err);
	}
	/* It would unpack again what it unpacked: nobody packs so but who wants it to grow twice. */
	if (archive_filter_count(a) != 2 || archive_filter_code(a, 0) != k->filter)
		return pf_fail(err, -EINVAL, "it is compressed more than once");
	return 0;
}

static int open_inflate(struct pf__stream *s, struct pf_error *err)
{
	z_stream *z = calloc(1, sizeof(*z));

	s->inflate = z;
	s->out = malloc(BUF);
	if (!z || !s->out || inflateInit2(z, 15 + 16) != Z_OK) {
		free(s->inflate);
		s->inflate = NULL;
		return pf_fail(err, -ENOMEM, "out of memory");
	}
	return 0;
}

int pf__stream_open(struct pf__stream *s, const struct pf__source *source, struct pf__budget *budget,
		    unsigned hashes, struct pf_error *err)
{
	int r = 0;

	*s = (struct pf__stream){.source = *source, .budget = budget};
	s->in = malloc(BUF);
	if (!s->in)
		return pf_fail(err, -ENOMEM, "out of memory");
	if (hashes & PF__HASH_PACKED)
		r = pf__hash_begin(&s->packed_hash, err);
	if (r == 0 && hashes & PF__HASH_PLAIN)
		r = pf__hash_begin(&s->plain_hash, err);
	if (r == 0)
		r = first_bytes(s, err);
	if (r)
		return r;
	s->packing = pf__packing_of(s->in, s->in_len, &s->other);
	if (s->packing == PF__GZIP)
		return open_inflate(s, err);
	return s->packing == PF__PLAIN ? 0 : open_filter(s, err);
}

/* A member of a gzip file ended. Another may follow, or zeros up to a tape's block; anything else is refused,
 * since what reads it decides whether it is there. */
static int next_member(struct pf__stream *s, struct pf_error *err)
{
	z_stream *z = s->inflate;

	for (;;) {
		int64_t n = s->in_at < s->in_len ? 1 : refill(s, err);

		if (n < 0)
			return (int)n;
		if (n == 0) {
			s->ended = true;
			return 0;
		}
		if (s->in[s->in_at] == 0x1f)
			return inflateReset(z) == Z_OK ? 0 : pf_fail(err, -EINVAL, "not whole gzip data");
		if (s->in[s->in_at] != 0)
			return pf_fail(err, -EINVAL, "something follows the gzip data");
		s->in_at++;
	}
}

static int64_t next_inflated(struct pf__stream *s, const uint8_t **piece, struct pf_error *err)
{
	z_stream *z = s->inflate;
	char show[PF__SHOW];

	while (!s->ended) {
		int64_t n = s->in_at < s->in_len ? 1 : refill(s, err);
		size_t got;
		int r;

		if (n < 0)
			return n;
		if (n == 0)
			return pf_fail(err, -EINVAL, "not whole gzip data: it is cut off");
		z->next_in = s->in + s->in_at;
		z->avail_in = (unsigned)(s->in_len - s->in_at);
		z->next_out = s->out;
		z->avail_out = BUF;
		r = inflate(z, Z_NO_FLUSH);
		s->in_at = s->in_len - z->avail_in;
		got = BUF - z->avail_out;
		if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
			return pf_fail(err, -EINVAL, "not whole gzip data: %s",
				       z->msg ? pf__show(z->msg, strlen(z->msg), show) : "damaged");
		if (r == Z_STREAM_END) {
			r = next_member(s, err);
			if (r)
				return r;
		}
		if (got) {
			*piece = s->out;
			return (int64_t)got;
		}
	}
	return 0;
}

static int64_t next_filtered(struct pf__stream *s, const uint8_t **piece, struct pf_error *err)
{
	while (!s->ended) {
		const void *p;
		size_t n;
		la_int64_t offset;

		switch (archive_read_data_block(s->archive, &p, &n, &offset)) {
		case ARCHIVE_OK:
			if (n == 0)
				continue;
			*piece = p;
			return (int64_t)n;
		case ARCHIVE_EOF:
			s->ended = true;
			break;
		default:
			return library_failed(s, err);
		}
	}
	return 0;
}

static int64_t next_plain(struct pf__stream *s, const uint8_t **piece, struct pf_error *err)
{
	int64_t n = s->in_at < s->in_len ? 1 : refill(s, err);

	if (n <= 0) {
		s->ended = n == 0;
		return n;
	}
	*piece = s->in + s->in_at;
	n = (int64_t)(s->in_len - s->in_at);
	s->in_at = s->in_len;
	return n;
}

static int account(struct pf__stream *s, const uint8_t *p, size_t n, struct pf_error *err)
{
	uint64_t most;
	int r = pf__hash_add(&s->plain_hash, p, n, err);

	if (r == 0)
		r = pf__budget_unpacked(s->budget, n, err);
	if (r)
		return r;
	s->plain += n;
	if (__builtin_mul_overflow(s->packed, s->budget->ratio_max, &most))
		most = UINT64_MAX;
	if (s->plain > PF__RATIO_FREE && s->plain > most)
		return pf_fail(err, -EFBIG, "it unpacks to more than %llu times its size: a bomb",
			       (unsigned long long)s->budget->ratio_max);
	return 0;
}

int64_t pf__stream_next(struct pf__stream *s, const uint8_t **piece, struct pf_error *err)
{
	int64_t n;
	int r;

	if (s->ended)
		return 0;
	if (s->packing == PF__PLAIN)
		n = next_plain(s, piece, err);
	else
		n = s->inflate ? next_inflated(s, piece, err) : next_filtered(s, piece, err);
	r = n > 0 ? account(s, *piece, (size_t)n, err) : 0;
	return r ? r : n;
}

uint64_t pf__stream_skip(struct pf__stream *s, uint64_t n)
{
	struct pf__source *from = &s->source;
	uint64_t left = from->size - from->at;

	if (s->packing != PF__PLAIN || from->pipe || s->packed_hash.ctx || s->plain_hash.ctx ||
	    s->in_at < s->in_len)
		return 0;
	/* The last byte is read, so that a file that became shorter is noticed. */
	n = left == 0 ? 0 : n < left ? n : left - 1;
	from->at += n;
	s->packed += n;
	s->plain += n;
	return n;
}

int pf__stream_drain(struct pf__stream *s, bool *more, struct pf_error *err)
{
	const uint8_t *p;
	int64_t n;

	while ((n = pf__stream_next(s, &p, err)) > 0)
		for (int64_t i = 0; i < n && !*more; i++)
			*more = p[i] != 0;
	return (int)n;
}

void pf__stream_close(struct pf__stream *s)
{
	if (s->inflate)
		inflateEnd(s->inflate);
	free(s->inflate);
	archive_read_free(s->archive);
	pf__hash_free(&s->packed_hash);
	pf__hash_free(&s->plain_hash);
	free(s->in);
	free(s->out);
	s->inflate = s->archive = NULL;
	s->in = s->out = NULL;
}
