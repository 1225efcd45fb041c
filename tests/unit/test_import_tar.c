/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our tar reader beside libarchive's: archives of random entries, written by libarchive in each format that
 * it has, are read by both, which must see the same names, types, attributes and contents. And numbers by
 * hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "image/import/tar.h"

#define ROUNDS	60
#define ENTRIES 25

static uint32_t random_state = 7;

static uint32_t random_number(uint32_t below)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % below;
}

static void random_name(char *out, size_t max)
{
	size_t n = 1 + random_number((uint32_t)max - 1), at = 0;

	while (at < n) {
		size_t part = 1 + random_number(random_number(8) ? 20 : 250);

		for (size_t i = 0; i < part && at < n; i++)
			out[at++] = "abcXYZ0 -_.~\xc3\xa4"[random_number(12)];
		if (at + 1 < n)
			out[at++] = '/';
	}
	out[at] = '\0';
	if (out[0] == '.' || out[0] == '/')
		out[0] = 'x';
	/* A file's name does not end with a slash. */
	if (out[at - 1] == '/')
		out[at - 1] = 'y';
}

struct format {
	const char *name;
	int (*set)(struct archive *);
	size_t name_max;
	bool numbers; /* of any size, fractions of seconds, attributes */
};

static const struct format formats[] = {
	{"ustar", archive_write_set_format_ustar, 90, false},
	{"v7", archive_write_set_format_v7tar, 90, false},
	{"gnu", archive_write_set_format_gnutar, 1500, false},
	{"pax", archive_write_set_format_pax, 1500, true},
	{"pax where needed", archive_write_set_format_pax_restricted, 1500, true},
};

static struct archive_entry *random_entry(const struct format *f, const char *file, size_t size)
{
	static const unsigned types[] = {AE_IFREG, AE_IFREG, AE_IFDIR, AE_IFLNK, AE_IFIFO, AE_IFCHR};
	struct archive_entry *e = archive_entry_new();
	char name[2000], target[2000];
	unsigned type = types[random_number(6)];

	random_name(name, f->name_max);
	random_name(target, f->name_max);
	archive_entry_set_pathname(e, name);
	archive_entry_set_filetype(e, type);
	archive_entry_set_perm(e, random_number(07777));
	archive_entry_set_uid(e, f->numbers ? random_number(1u << 24) * 200ll : random_number(100000));
	archive_entry_set_gid(e, random_number(100000));
	archive_entry_set_mtime(e, (time_t)random_number(1u << 24) * 100,
				f->numbers && random_number(2) ? (long)random_number(1000000) : 0);
	if (type == AE_IFLNK)
		archive_entry_set_symlink(e, target);
	if (type == AE_IFCHR) {
		archive_entry_set_rdevmajor(e, random_number(200));
		archive_entry_set_rdevminor(e, random_number(200));
	}
	if (type == AE_IFREG && file && random_number(5) == 0) {
		archive_entry_set_hardlink(e, file);
		size = 0;
	}
	archive_entry_set_size(e, type == AE_IFREG ? (la_int64_t)size : 0);
	if (f->numbers && type == AE_IFREG && random_number(3) == 0)
		archive_entry_xattr_add_entry(e, "user.test", "a\0b\n=", 5);
	if (strcmp(f->name, "pax") == 0 && type == AE_IFREG && size > 60000 && !archive_entry_hardlink(e)) {
		archive_entry_sparse_add_entry(e, 1000, 20000);
		archive_entry_sparse_add_entry(e, 30000, (la_int64_t)size - 40000);
	}
	return e;
}

static size_t write_archive(const struct format *f, uint8_t *out, size_t cap)
{
	static uint8_t contents[100000];
	struct archive *a = archive_write_new();
	char file[2000] = "";
	size_t used = 0;

	f->set(a);
	archive_write_set_bytes_per_block(a, 512 << random_number(6));
	assert_int_equal(archive_write_open_memory(a, out, cap, &used), ARCHIVE_OK);
	for (int i = 0; i < ENTRIES; i++) {
		size_t size = random_number(3) ? random_number(3000) : random_number(sizeof(contents));
		struct archive_entry *e = random_entry(f, *file ? file : NULL, size);

		for (size_t k = 0; k < size; k++)
			contents[k] = (uint8_t)random_number(256);
		if (archive_write_header(a, e) == ARCHIVE_OK) {
			if (archive_entry_filetype(e) == AE_IFREG && !archive_entry_hardlink(e)) {
				assert_int_equal(archive_write_data(a, contents, size), size);
				snprintf(file, sizeof(file), "%s", archive_entry_pathname(e));
			}
		}
		archive_entry_free(e);
	}
	archive_write_free(a);
	return used;
}

static char our_type(unsigned type, const char *hardlink)
{
	if (hardlink)
		return PF__TAR_LINK;
	switch (type) {
	case AE_IFREG:
		return PF__TAR_FILE;
	case AE_IFDIR:
		return PF__TAR_DIR;
	case AE_IFLNK:
		return PF__TAR_SYMLINK;
	case AE_IFIFO:
		return PF__TAR_FIFO;
	default:
		return type == AE_IFCHR ? PF__TAR_CHAR : PF__TAR_BLOCK_DEVICE;
	}
}

static void same_text(struct pf__bytes ours, const char *theirs)
{
	if (!theirs)
		theirs = "";
	if (ours.n != strlen(theirs) || memcmp(ours.p, theirs, ours.n) != 0)
		fail_msg("'%.*s' here, '%s' there", (int)ours.n, ours.p, theirs);
}

static void same_attributes(const struct pf__tar_entry *e, struct archive_entry *t)
{
	const char *link = archive_entry_hardlink(t), *name;
	const void *value;
	size_t n;

	assert_int_equal(e->type, our_type(archive_entry_filetype(t), link));
	same_text(e->name, archive_entry_pathname(t));
	if (e->type == PF__TAR_LINK || e->type == PF__TAR_SYMLINK)
		same_text(e->link, link ? link : archive_entry_symlink(t));
	assert_int_equal(e->mode, archive_entry_perm(t));
	assert_int_equal(e->uid, archive_entry_uid(t));
	assert_int_equal(e->gid, archive_entry_gid(t));
	assert_int_equal(e->mtime, archive_entry_mtime(t));
	assert_int_equal(e->mtime_ns, archive_entry_mtime_nsec(t));
	if (e->type == PF__TAR_FILE)
		assert_int_equal(e->size, archive_entry_size(t));
	if (e->type == PF__TAR_CHAR) {
		assert_int_equal(e->major, archive_entry_rdevmajor(t));
		assert_int_equal(e->minor, archive_entry_rdevminor(t));
	}
	/* It writes each in two ways, and counts it twice. */
	assert_int_equal(e->xattr_count > 0, archive_entry_xattr_reset(t) > 0);
	if (archive_entry_xattr_next(t, &name, &value, &n) == ARCHIVE_OK) {
		same_text(e->xattrs[0].name, name);
		assert_int_equal(e->xattrs[0].value.n, n);
		assert_memory_equal(e->xattrs[0].value.p, value, n);
	}
}

static void same_contents(struct pf__tar *tar, uint64_t size, struct archive *a)
{
	static uint8_t ours[200000], theirs[200000];
	struct pf_error err = {0};
	const uint8_t *p;
	const void *q;
	la_int64_t there;
	uint64_t offset;
	int64_t n;
	size_t m;

	assert_true(size <= sizeof(ours));
	memset(ours, 0, size);
	memset(theirs, 0, size);
	while ((n = pf__tar_data(tar, &p, &offset, &err)) > 0)
		memcpy(ours + offset, p, (size_t)n);
	assert_int_equal(n, 0);
	while (archive_read_data_block(a, &q, &m, &there) == ARCHIVE_OK)
		memcpy(theirs + there, q, m);
	assert_memory_equal(ours, theirs, size);
}

/* The parts that an index gives hold the same bytes. */
static void same_parts(struct pf__tar *tar, const uint8_t *archive, uint64_t size, struct archive *a)
{
	static uint8_t ours[200000], theirs[200000];
	struct pf_extent *parts;
	struct pf_error err = {0};
	const void *q;
	la_int64_t there;
	size_t count, m;

	assert_int_equal(pf__tar_extents(tar, &parts, &count, &err), 0);
	memset(ours, 0, size);
	memset(theirs, 0, size);
	for (size_t i = 0; i < count; i++)
		memcpy(ours + parts[i].at, archive + parts[i].spool, parts[i].length);
	while (archive_read_data_block(a, &q, &m, &there) == ARCHIVE_OK)
		memcpy(theirs + there, q, m);
	assert_memory_equal(ours, theirs, size);
	free(parts);
}

static void compare(const uint8_t *p, size_t n, bool index)
{
	PF_AUTO_CLOSE int fd = memfd_create("tar", MFD_CLOEXEC);
	struct pf__source source = {.fd = fd, .size = n};
	struct pf__budget budget = {.bytes_max = UINT64_MAX, .ratio_max = 200};
	struct pf__notes notes = {0};
	struct archive *a = archive_read_new();
	const struct pf__tar_entry *e;
	struct archive_entry *t;
	struct pf__stream s;
	struct pf__tar tar;
	struct pf_error err = {0};
	int r, count = 0;

	assert_int_equal(pf_write_full(fd, p, n), 0);
	archive_read_support_format_tar(a);
	assert_int_equal(archive_read_open_memory(a, p, n), ARCHIVE_OK);
	assert_int_equal(pf__stream_open(&s, &source, &budget, 0, &err), 0);
	pf__tar_open(&tar, &s);
	while ((r = pf__tar_next(&tar, &e, &err)) > 0) {
		assert_int_equal(archive_read_next_header(a, &t), ARCHIVE_OK);
		same_attributes(e, t);
		if (e->type == PF__TAR_FILE && index)
			same_parts(&tar, p, e->size, a);
		else if (e->type == PF__TAR_FILE && random_number(4))
			same_contents(&tar, e->size, a);
		count++;
	}
	if (r)
		fail_msg("%s", err.msg);
	assert_int_equal(archive_read_next_header(a, &t), ARCHIVE_EOF);
	assert_int_equal(pf__tar_finish(&tar, true, &notes, &err), 0);
	assert_true(count > 5);
	pf__tar_close(&tar);
	pf__stream_close(&s);
	archive_read_free(a);
}

static void test_beside_libarchive(void **state)
{
	static uint8_t archive[8 << 20];

	(void)state;
	if (!setlocale(LC_ALL, "C.UTF-8")) {
		print_message("skipped: there is no locale in which libarchive leaves names alone\n");
		skip();
	}
	for (int round = 0; round < ROUNDS; round++) {
		size_t n = write_archive(&formats[round % (int)PF_ARRAY_SIZE(formats)], archive,
					 sizeof(archive));

		compare(archive, n, round % 2);
	}
}

static void number_is(const char *field, size_t n, int r, int64_t want)
{
	int64_t v = 0;

	assert_int_equal(pf__tar_number((const uint8_t *)field, n, &v), r);
	if (r == 0)
		assert_int_equal(v, want);
}

static void test_numbers(void **state)
{
	(void)state;
	number_is("0000644\0", 8, 0, 0644);
	number_is("   644 \0", 8, 0, 0644);
	number_is("77777777", 8, 0, 077777777);
	number_is("\0\0\0\0\0\0\0\0", 8, 0, 0);
	number_is("        ", 8, 0, 0);
	number_is("00006 4\0", 8, -EINVAL, 0);
	number_is("0000648\0", 8, -EINVAL, 0);
	number_is("-000644\0", 8, -EINVAL, 0);
	number_is("777777777777", 12, 0, 0777777777777);
	number_is("\x80\0\0\0\0\0\0\x05", 8, 0, 5);
	number_is("\x81\0\0\0\0\0\0\0", 8, 0, 1ll << 56);
	number_is("\xff\xff\xff\xff\xff\xff\xff\xff", 8, 0, -1);
	number_is("\xff\xff\xff\xff\xff\xff\xff\xfb", 8, 0, -5);
	number_is("\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12, 0, INT64_MAX);
	number_is("\x80\0\0\0\x80\0\0\0\0\0\0\0", 12, -ERANGE, 0);
	number_is("\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", 12, 0, INT64_MIN);
	number_is("\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 12, -ERANGE, 0);
	number_is("\xc0\0\0\0\0\0\0\0\0\0\0\0", 12, -ERANGE, 0);
}

static void time_is(const char *text, int r, int64_t seconds, uint32_t ns)
{
	char record[64];
	struct pf__tar_pax x = {0};
	struct pf_error err;
	int n = snprintf(record, sizeof(record), "%02zu mtime=%s\n", strlen(text) + 10, text);

	assert_int_equal(pf__tar_pax_parse(&x, record, (size_t)n, &err), r);
	if (r == 0) {
		assert_int_equal(x.mtime, seconds);
		assert_int_equal(x.mtime_ns, ns);
	}
}

static void test_times(void **state)
{
	(void)state;
	time_is("1", 0, 1, 0);
	time_is("1.5", 0, 1, 500000000);
	time_is("1.000000001", 0, 1, 1);
	time_is("1.0000000019", 0, 1, 1);
	time_is("-1", 0, -1, 0);
	time_is("-1.25", 0, -2, 750000000);
	time_is("-0.000000001", 0, -1, 999999999);
	time_is("1.", 0, 1, 0);
	time_is(".5", -EINVAL, 0, 0);
	time_is("-", -EINVAL, 0, 0);
	time_is("1.5x", -EINVAL, 0, 0);
	time_is("1e5", -EINVAL, 0, 0);
	time_is("99999999999999999999", -EINVAL, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_beside_libarchive),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
