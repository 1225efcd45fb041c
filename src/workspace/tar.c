/* SPDX-License-Identifier: Apache-2.0 */
/* The writer of tar archives: tar.h says what of the format. */
#include "workspace/tar.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

#define BLOCK	   512u
#define FLUSH_AT   65536u
#define OCTAL_MAX  UINT64_C(077777777777) /* 11 digits */
#define ID_MAX	   07777777u
#define PAGE	   4096u
#define HOLE_MIN   65536u
#define SPARSE_MIN (UINT64_C(1) << 20)

struct header { /* POSIX.1-1988 */
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100], magic[6],
		version[2], uname[32], gname[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a tar header is a block");

struct extent {
	uint64_t from, to;
};
struct map {
	struct extent *items;
	size_t count;
	uint64_t data; /* bytes */
};

static int fail(struct pf__tar *t, int code)
{
	if (t->error == 0)
		t->error = code;
	return t->error;
}

static int flush(struct pf__tar *t, size_t at)
{
	int r;

	if (t->b.failed)
		return fail(t, -ENOMEM);
	if (t->error || t->b.len < at || t->b.len == 0)
		return t->error;
	r = pf_write_full(t->fd, t->b.data, t->b.len);
	pf_buf_consume(&t->b, t->b.len);
	return r < 0 ? fail(t, r) : 0;
}

static int put(struct pf__tar *t, const void *p, size_t n)
{
	pf_buf_add(&t->b, p, n);
	return flush(t, FLUSH_AT);
}

/* Zeros up to the next block, n bytes behind the last border. */
static int pad(struct pf__tar *t, uint64_t n)
{
	static const char zeros[BLOCK];

	return put(t, zeros, (size_t)((BLOCK - n % BLOCK) % BLOCK));
}

/* --- headers -------------------------------------------------------------------------- */

static void octal(char *field, size_t size, uint64_t v)
{
	snprintf(field, size, "%0*llo", (int)size - 1, (unsigned long long)v);
}

static void put_header(struct pf__tar *t, const struct pf__tar_entry *e, const char *name, uint64_t size)
{
	int64_t seconds = e->mtime_ns / 1000000000 - (e->mtime_ns % 1000000000 < 0);
	struct header h;
	unsigned sum = 0;

	memset(&h, 0, sizeof(h));
	memcpy(h.name, name, strnlen(name, sizeof(h.name)));
	octal(h.mode, sizeof(h.mode), e->mode & PF__WS_MODE_BITS);
	octal(h.uid, sizeof(h.uid), e->uid <= ID_MAX ? e->uid : 0);
	octal(h.gid, sizeof(h.gid), e->gid <= ID_MAX ? e->gid : 0);
	octal(h.size, sizeof(h.size), size <= OCTAL_MAX ? size : 0);
	octal(h.mtime, sizeof(h.mtime), seconds < 0 || (uint64_t)seconds > OCTAL_MAX ? 0 : (uint64_t)seconds);
	h.type = e->type;
	if (e->link)
		memcpy(h.link, e->link, strnlen(e->link, sizeof(h.link)));
	memcpy(h.magic, "ustar", 6);
	memcpy(h.version, "00", 2);
	memset(h.sum, ' ', sizeof(h.sum));
	for (size_t i = 0; i < sizeof(h); i++)
		sum += ((const unsigned char *)&h)[i];
	snprintf(h.sum, sizeof(h.sum), "%06o", sum & 0777777);
	put(t, &h, sizeof(h));
}

/* "LENGTH KEY=VALUE\n", where the length counts itself. */
static void record(struct pf_buf *out, const char *key, const void *value, size_t n)
{
	size_t body = strlen(key) + n + 3, total = body + 1;
	char digits[24];

	while ((size_t)snprintf(digits, sizeof(digits), "%zu", total) + body != total)
		total = body + strlen(digits);
	pf_buf_addf(out, "%s %s=", digits, key);
	pf_buf_add(out, value, n);
	pf_buf_addc(out, '\n');
}

static void record_text(struct pf_buf *out, const char *key, const char *value)
{
	record(out, key, value, strlen(value));
}

static void record_number(struct pf_buf *out, const char *key, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	record_text(out, key, text);
}

static bool plain(const char *s, size_t max)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)s[i] >= 0x80)
			return false;
	}
	return n <= max;
}

static void record_time(struct pf_buf *out, int64_t ns)
{
	uint64_t size = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
	char text[48];
	int n = snprintf(text, sizeof(text), "%s%llu.%09llu", ns < 0 ? "-" : "",
			 (unsigned long long)(size / 1000000000), (unsigned long long)(size % 1000000000));

	while (text[n - 1] == '0')
		text[--n] = '\0';
	if (text[n - 1] == '.')
		text[--n] = '\0';
	record_text(out, "mtime", text);
}

static void record_attrs(struct pf_buf *out, const struct pf_attrs *a)
{
	for (size_t i = 0; a && i < a->count; i++) {
		char key[300];

		if (strchr(a->items[i].name, '='))
			continue;
		snprintf(key, sizeof(key), "SCHILY.xattr.%s", a->items[i].name);
		record(out, key, a->items[i].value, a->items[i].size);
	}
}

static void put_records(struct pf__tar *t, const struct pf_buf *records)
{
	const struct pf__tar_entry x = {.type = 'x', .mode = 0644};

	if (records->failed)
		fail(t, -ENOMEM);
	if (records->len == 0)
		return;
	put_header(t, &x, "././@PaxHeader", records->len);
	put(t, records->data, records->len);
	pad(t, records->len);
}

/* --- bodies ---------------------------------------------------------------------------- */

static bool all_zero(const char *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static int map_add(struct map *m, uint64_t from, uint64_t to)
{
	struct extent *last = m->count ? &m->items[m->count - 1] : NULL;

	if (last && from - last->to < HOLE_MIN) {
		m->data += to - last->to;
		last->to = to;
		return 0;
	}
	if ((m->count & (m->count + 1)) == 0) { /* room is the next power of two */
		struct extent *more = realloc(m->items, 2 * (m->count + 1) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		m->items = more;
	}
	m->items[m->count++] = (struct extent){from, to};
	m->data += to - from;
	return 0;
}

/* Where a file has something else than zeros, in pages. */
static int map_data(int fd, uint64_t size, struct map *m)
{
	uint64_t from, to;
	char page[PAGE];
	int r = 0;

	for (pf__ws_next_data(fd, 0, size, &from, &to); from < size && r == 0;
	     pf__ws_next_data(fd, to, size, &from, &to)) {
		for (from -= from % PAGE; from < to && r == 0; from += PAGE) {
			size_t want = size - from < PAGE ? (size_t)(size - from) : PAGE;
			ssize_t n = pread(fd, page, want, (off_t)from);

			if (n != (ssize_t)want)
				r = n < 0 ? -errno : -EIO;
			else if (!all_zero(page, want) &&
				 (!m->count || m->items[m->count - 1].to < from + want))
				r = map_add(m, from, from + want);
		}
		if (to < from)
			to = from < size ? from : size;
	}
	return r;
}

static int put_bytes(struct pf__tar *t, int fd, uint64_t from, uint64_t to)
{
	char chunk[32768];

	while (from < to && t->error == 0) {
		size_t want = to - from < sizeof(chunk) ? (size_t)(to - from) : sizeof(chunk);
		ssize_t n = pread(fd, chunk, want, (off_t)from);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(t, n < 0 ? -errno : -EIO);
		put(t, chunk, (size_t)n);
		from += (uint64_t)n;
	}
	return t->error;
}

/* The number of extents, and each with its length; the last ends where the file does. */
static void print_map(const struct map *m, uint64_t size, struct pf_buf *out)
{
	bool tail = m->count == 0 || m->items[m->count - 1].to < size;

	pf_buf_addf(out, "%zu\n", m->count + tail);
	for (size_t i = 0; i < m->count; i++)
		pf_buf_addf(out, "%llu\n%llu\n", (unsigned long long)m->items[i].from,
			    (unsigned long long)(m->items[i].to - m->items[i].from));
	if (tail)
		pf_buf_addf(out, "%llu\n0\n", (unsigned long long)size);
	while (out->len % BLOCK && !out->failed)
		pf_buf_addc(out, '\0');
}

/* --- entries --------------------------------------------------------------------------- */

struct entry {
	const struct pf__tar_entry *e;
	struct map map;
	bool sparse;
	struct pf_buf records, map_text;
	char *name; /* as the header has it */
};

static int prepare(struct entry *x)
{
	const struct pf__tar_entry *e = x->e;
	int r = e->body_fd >= 0 && e->size >= SPARSE_MIN ? map_data(e->body_fd, e->size, &x->map) : 0;

	if (r < 0)
		return r;
	x->sparse = e->body_fd >= 0 && e->size >= SPARSE_MIN && e->size - x->map.data >= SPARSE_MIN;
	if (x->sparse)
		print_map(&x->map, e->size, &x->map_text);
	if (asprintf(&x->name, "%s%s", e->path, e->type == '5' ? "/" : "") < 0) {
		x->name = NULL;
		return -ENOMEM;
	}
	return x->map_text.failed ? -ENOMEM : 0;
}

static void make_records(struct entry *x, uint64_t stored)
{
	const struct pf__tar_entry *e = x->e;
	struct pf_buf *out = &x->records;
	bool long_link = e->link && !plain(e->link, 100);
	int64_t seconds = e->mtime_ns / 1000000000;

	if (!pf_utf8_valid(x->name, strlen(x->name)) || (e->link && !pf_utf8_valid(e->link, strlen(e->link))))
		record_text(out, "hdrcharset", "BINARY");
	if (x->sparse) {
		record_text(out, "GNU.sparse.major", "1");
		record_text(out, "GNU.sparse.minor", "0");
		record_text(out, "GNU.sparse.name", x->name);
		record_number(out, "GNU.sparse.realsize", e->size);
	} else if (!plain(x->name, 100)) {
		record_text(out, "path", x->name);
	}
	if (long_link)
		record_text(out, "linkpath", e->link);
	if (stored > OCTAL_MAX)
		record_number(out, "size", stored);
	if (e->uid > ID_MAX)
		record_number(out, "uid", e->uid);
	if (e->gid > ID_MAX)
		record_number(out, "gid", e->gid);
	if (e->mtime_ns % 1000000000 || seconds < 0 || (uint64_t)seconds > OCTAL_MAX)
		record_time(out, e->mtime_ns);
	record_attrs(out, e->attrs);
}

static void put_body(struct pf__tar *t, const struct entry *x, uint64_t stored)
{
	if (x->sparse) {
		put(t, x->map_text.data, x->map_text.len);
		for (size_t i = 0; i < x->map.count; i++)
			put_bytes(t, x->e->body_fd, x->map.items[i].from, x->map.items[i].to);
	} else if (x->e->body_fd >= 0) {
		put_bytes(t, x->e->body_fd, 0, x->e->size);
	}
	pad(t, stored);
}

int pf__tar_add(struct pf__tar *t, const struct pf__tar_entry *e)
{
	struct entry x = {.e = e};
	int r = t->error ? t->error : prepare(&x);

	if (r == 0) {
		uint64_t stored = x.sparse ? x.map_text.len + x.map.data : e->body_fd >= 0 ? e->size : 0;

		make_records(&x, stored);
		put_records(t, &x.records);
		/* a reader that does not know the format shall not take the map for the file */
		put_header(t, e, x.sparse ? "GNUSparseFile.0/data" : x.name, stored);
		put_body(t, &x, stored);
		r = t->error;
	}
	free(x.name);
	free(x.map.items);
	pf_buf_free(&x.records);
	pf_buf_free(&x.map_text);
	return r < 0 ? fail(t, r) : 0;
}

int pf__tar_end(struct pf__tar *t)
{
	static const char zeros[2 * BLOCK];

	put(t, zeros, sizeof(zeros));
	return flush(t, 0);
}
