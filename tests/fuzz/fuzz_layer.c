/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a tar's bytes to an image: two layers, the second over the first, laid out, and the image looked
 * through as the importer looks through its child's. The first byte says what the rest is: a tar whose check
 * sums are put right first (else nothing gets past the first header), one as it is, or a compressed stream.
 *
 * The mutator begins from tars that it makes itself: a corpus of blocks of zeros would take days to find one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "erofs/read.h"
#include "erofs/write.h"
#include "image/import/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

#define CHECK(x)                                                                                             \
	do {                                                                                                 \
		if (!(x)) {                                                                                  \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                              \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

enum { FIXED, RAW, PACKED, MODES };

static void check_message(const struct pf_error *err)
{
	CHECK(err->code < 0 && err->msg[0]);
	CHECK(pf_utf8_valid(err->msg, strlen(err->msg)) && !strpbrk(err->msg, "\n\r\x1b"));
}

/* --- a tar's check sums --- */

static void put_checksum(uint8_t *block)
{
	unsigned sum = 0;

	memset(block + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += block[i];
	snprintf((char *)block + 148, 8, "%06o", sum & 0777777);
	block[155] = ' ';
}

static void fix(uint8_t *p, size_t n)
{
	for (size_t at = 0; n - at >= 512;) {
		int64_t size = 0;

		if (p[at])
			put_checksum(p + at);
		if (pf__tar_number(p + at + 124, 12, &size) || size < 0 || (uint64_t)size > n)
			size = 0;
		size = (size + 511) & ~511ll;
		if ((uint64_t)size > n - at - 512)
			return;
		at += 512 + (size_t)size;
	}
}

/* --- what must hold of whatever was taken --- */

struct seen {
	uint64_t spool;
	size_t entries;
};

static int check_inode(void *user, const char *path, struct pf_inode *i)
{
	struct seen *s = user;
	char clean[PF__PATH_MAX + 1];

	s->entries++;
	CHECK(*path == '\0' ||
	      (pf__entry_path(path, strlen(path), clean, NULL) == 0 && pf_streq(clean, path)));
	CHECK(S_ISREG(i->mode) || S_ISDIR(i->mode) || S_ISLNK(i->mode) || S_ISFIFO(i->mode));
	for (size_t k = 0; k < i->extent_count; k++)
		CHECK(i->extents[k].spool + i->extents[k].length <= s->spool);
	for (size_t k = 0; k < i->xattr_count; k++) {
		struct pf__notes notes = {0};

		CHECK(pf__entry_xattr(path, i->xattrs[k].name, i->mode, &notes));
	}
	return 0;
}

static int visit(void *user, const struct pf_erofs_visit *v)
{
	(void)v;
	++*(size_t *)user;
	return 0;
}

/* It can be written, and is what the reader takes. */
static void check_image(struct pf_tree *tree, int spool, uint64_t spool_size)
{
	PF_AUTO_CLOSE int out = memfd_create("image", MFD_CLOEXEC);
	struct seen seen = {.spool = spool_size};
	struct pf_error err = {0};
	struct pf_erofs fs;
	uint64_t size;
	size_t entries = 0;
	void *map;

	CHECK(pf_tree_sort(tree, &err) == 0);
	CHECK(pf_tree_walk(tree, check_inode, &seen, &err) == 0);
	if (pf_erofs_write(tree, spool, out, &size, &err)) {
		check_message(&err);
		return;
	}
	map = mmap(NULL, size, PROT_READ, MAP_SHARED, out, 0);
	CHECK(map != MAP_FAILED);
	CHECK(pf_erofs_open(&fs, map, size, &err) == 0);
	CHECK(pf_erofs_walk(&fs, visit, NULL, &entries, &err) == 0);
	CHECK(entries == seen.entries);
	munmap(map, size);
}

static int read_layer(struct pf__job *j, const uint8_t *p, size_t n, enum pf__reading how,
		      struct pf_tree **tree, struct pf__layer *layer, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = memfd_create("tar", MFD_CLOEXEC);
	struct pf__source source = {.fd = fd, .size = n};
	struct pf__stream s;
	int r;

	CHECK(pf_write_full(fd, p, n) == 0);
	CHECK(pf_tree_new(tree, err) == 0);
	r = pf__stream_open(&s, &source, &j->budget, 0, err);
	if (r == 0)
		r = pf__layer_read(j, &s, how, *tree, layer, err);
	pf__stream_close(&s);
	return r;
}

static void run(const uint8_t *p, size_t n)
{
	PF_AUTO_CLOSE int spool = memfd_create("spool", MFD_CLOEXEC);
	const struct pf_import how = {.from = "x"};
	struct pf__job j = {.how = &how,
			    .channel = -1,
			    .spool_fd = spool,
			    .budget = {.bytes_max = 16 << 20, .ratio_max = 200}};
	struct pf__layer lower = {0}, upper = {0};
	struct pf_tree *below = NULL, *above = NULL, *index = NULL;
	size_t half = n / 1024 * 512;
	struct pf_error err = {0};
	int r;

	CHECK(pf__spool_open(&j.spool, spool, &j.budget, &err) == 0);
	r = read_layer(&j, p, half, PF__READ_LAYER, &below, &lower, &err);
	r = r ? r : read_layer(&j, p + half, n - half, PF__READ_LAYER, &above, &upper, &err);
	r = r ? r : pf__layer_apply(below, above, &upper, &err);
	r = r ? r : pf__spool_flush(&j.spool, &err);
	if (r == 0)
		check_image(below, spool, j.spool.written);
	else
		check_message(&err);
	/* The same as a root, whose whiteouts are names, only looked through. */
	err = (struct pf_error){0};
	j.budget = (struct pf__budget){.bytes_max = 16 << 20, .ratio_max = 200};
	if (read_layer(&j, p, n, PF__READ_INDEX, &index, NULL, &err))
		check_message(&err);
	pf_tree_free(below);
	pf_tree_free(above);
	pf_tree_free(index);
	pf__layer_free(&lower);
	pf__layer_free(&upper);
	pf__spool_close(&j.spool);
}

static void run_packed(const uint8_t *p, size_t n)
{
	PF_AUTO_CLOSE int fd = memfd_create("packed", MFD_CLOEXEC);
	struct pf__source source = {.fd = fd, .size = n};
	struct pf__budget budget = {.bytes_max = 4 << 20, .ratio_max = 200};
	struct pf__stream s;
	struct pf_error err = {0};
	bool more = false;
	int r;

	CHECK(pf_write_full(fd, p, n) == 0);
	r = pf__stream_open(&s, &source, &budget, PF__HASH_PACKED | PF__HASH_PLAIN, &err);
	r = r ? r : pf__stream_drain(&s, &more, &err);
	if (r)
		check_message(&err);
	pf__stream_close(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	if (size < 2)
		return 0;
	copy = malloc(size - 1); /* exactly as long, so that reading beyond is seen */
	CHECK(copy);
	memcpy(copy, data + 1, size - 1);
	if (data[0] % MODES == FIXED)
		fix(copy, size - 1);
	if (data[0] % MODES == PACKED)
		run_packed(copy, size - 1);
	else
		run(copy, size - 1);
	free(copy);
	return 0;
}

/* --- beginnings --- */

static unsigned random_state;

static unsigned pick(unsigned below)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % below;
}

static const char *a_name(void)
{
	static const char *const names[] = {
		"a", "b",    "a/b",  "a/c/d", "dev/null", ".wh.a",	  "a/.wh.b", "a/.wh..wh..opq",
		".", "./x/", "../e", "/abs",  "x/y/z",	  ".wh..wh.plnk", "l",	     "l/under"};

	return names[pick(sizeof(names) / sizeof(*names))];
}

/* A pax header's records; "|" stands between them. */
static size_t records(char *out, size_t cap)
{
	static const char *const all[] = {
		"path=some/thing",
		"linkpath=a/b",
		"mtime=-1.25",
		"uid=70000|gid=5",
		"size=5",
		"SCHILY.xattr.user.a=b|SCHILY.xattr.security.capability=c",
		"GNU.sparse.major=1|GNU.sparse.minor=0|GNU.sparse.realsize=90|GNU.sparse.name=s",
		"GNU.sparse.size=900|GNU.sparse.map=0,1,9,2",
		"GNU.sparse.size=99|GNU.sparse.offset=5|GNU.sparse.numbytes=5",
		"comment=nothing",
		"SCHILY.acl.access=x::",
	};
	const char *p = all[pick(sizeof(all) / sizeof(*all))];
	size_t used = 0;

	while (*p) {
		size_t n = strcspn(p, "|"), length = n + 2 + (n < 8 ? 1 : 2);

		used += (size_t)snprintf(out + used, cap - used, "%zu %.*s\n", length, (int)n, p);
		p += n + (p[n] == '|');
	}
	return used;
}

static size_t an_entry(uint8_t *p, size_t max)
{
	static const char types[] = "000000112256xxgLKS7V3";
	char type = types[pick(sizeof(types) - 1)], text[256] = "";
	size_t size = 0, whole;

	if (type == 'x' || type == 'g')
		size = records(text, sizeof(text));
	else if (type == 'L' || type == 'K')
		size = (size_t)snprintf(text, sizeof(text), "%s", pick(2) ? "long/name" : "another");
	else if (type == '0' || type == '7' || type == 'S')
		size = pick(900);
	whole = 512 + (size + 511) / 512 * 512;
	if (whole > max)
		return 0;
	memset(p, 0, whole);
	strcpy((char *)p, a_name());
	memcpy(p + 100, "0000644\0000000000\0000000000\0", 24);
	snprintf((char *)p + 124, 12, "%011o", (unsigned)size);
	memcpy(p + 136, "07346545000\0", 12);
	p[156] = (uint8_t)type;
	strcpy((char *)p + 157, a_name());
	memcpy(p + 257, pick(2) ? "ustar\00000" : "ustar  ", 8);
	if (type == 'S')
		snprintf((char *)p + 386, 25, "%011o %011o ", pick(2000), (unsigned)size);
	if (type == 'S')
		snprintf((char *)p + 483, 12, "%011o", 4000u);
	if (*text)
		memcpy(p + 512, text, size);
	else
		for (size_t i = 0; i < size; i++)
			p[512 + i] = (uint8_t)pick(256);
	if (size > 30 && !*text && pick(3) == 0)
		memcpy(p + 512, "1\n0\n5\n", 6);
	return whole;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	size_t used = 1, n;

	random_state = seed;
	if (size > 600 && pick(20))
		return LLVMFuzzerMutate(data, size, max);
	data[0] = pick(8) ? FIXED : (uint8_t)pick(256);
	for (unsigned i = 0, count = 1 + pick(8); i < count; i++) {
		n = an_entry(data + used, max - used);
		used += n;
	}
	n = max - used < 1024 ? max - used : 1024;
	memset(data + used, 0, n);
	return used + n;
}
