/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole imports, with sanitizers on both sides of the wall; and once more the child's work without a wall,
 * where leaks are seen. What trees mean is tests/image's concern.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sha256.h"
#include "base/str.h"
#include "erofs/write.h"
#include "image/import/work.h"

static char place[] = "/tmp/pf-import-whole-XXXXXX";
static int place_fd;

/* --- archives --- */

struct bytes {
	uint8_t data[4 << 20];
	size_t n;
};

static struct archive *begin(struct bytes *b)
{
	struct archive *a = archive_write_new();

	archive_write_set_format_pax(a);
	archive_write_set_bytes_per_block(a, 512);
	assert_int_equal(archive_write_open_memory(a, b->data, sizeof(b->data), &b->n), ARCHIVE_OK);
	return a;
}

static void add(struct archive *a, const char *name, unsigned type, const char *link, const void *data,
		size_t n)
{
	struct archive_entry *e = archive_entry_new();

	archive_entry_set_pathname(e, name);
	archive_entry_set_filetype(e, type);
	archive_entry_set_perm(e, type == AE_IFDIR ? 0755 : 0644);
	archive_entry_set_mtime(e, 1000, 5000);
	archive_entry_set_size(e, (la_int64_t)n);
	if (type == AE_IFLNK)
		archive_entry_set_symlink(e, link);
	else if (link)
		archive_entry_set_hardlink(e, link);
	if (type == AE_IFREG && !link)
		archive_entry_xattr_add_entry(e, "user.a", "b", 1);
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, data ? data : "", n), n);
	archive_entry_free(e);
}

static void layer(struct bytes *b)
{
	static uint8_t big[300000];
	struct archive *a = begin(b);

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = i % 100000 < 70000 ? 0 : (uint8_t)(i * 7);
	add(a, ".", AE_IFDIR, NULL, NULL, 0);
	add(a, "d", AE_IFDIR, NULL, NULL, 0);
	add(a, "d/file", AE_IFREG, NULL, "text", 4);
	add(a, "d/other name", AE_IFREG, "d/file", NULL, 0);
	add(a, "big", AE_IFREG, NULL, big, sizeof(big));
	add(a, "link", AE_IFLNK, "d/file", NULL, 0);
	add(a, "dev/null", AE_IFCHR, NULL, NULL, 0);
	archive_write_free(a);
}

static void upper(struct bytes *b)
{
	struct archive *a = begin(b);

	add(a, "d/.wh.file", AE_IFREG, NULL, NULL, 0);
	add(a, "d/new", AE_IFREG, "big", NULL, 0);
	archive_write_free(a);
}

static void member(struct archive *a, const char *digest, const void *p, size_t n)
{
	char name[128];

	snprintf(name, sizeof(name), "blobs/sha256/%s", digest + strlen("sha256:"));
	add(a, name, AE_IFREG, NULL, p, n);
}

/* An image of two layers, as an archive of an OCI layout that is one of `docker save` too. */
static void image(struct bytes *b, bool oci)
{
	static struct bytes one, two;
	char first[PF_DIGEST_MAX], second[PF_DIGEST_MAX], config[PF_DIGEST_MAX], manifest[PF_DIGEST_MAX];
	char text[1024], document[1024], index[1024], docker[1024];
	struct archive *a = begin(b);

	layer(&one);
	upper(&two);
	pf_sha256_text(one.data, one.n, first);
	pf_sha256_text(two.data, two.n, second);
	snprintf(
		text, sizeof(text),
		"{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"User\":\"me\",\"Env\":[\"A=b\"]},"
		"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\",\"%s\"]}}",
		first, second);
	pf_sha256_text(text, strlen(text), config);
	snprintf(
		document, sizeof(document),
		"{\"config\":{\"mediaType\":\"application/"
		"vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%zu},"
		"\"layers\":[{\"mediaType\":\"application/"
		"vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu},"
		"{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu}]}",
		config, strlen(text), first, one.n, second, two.n);
	pf_sha256_text(document, strlen(document), manifest);
	snprintf(index, sizeof(index),
		 "{\"manifests\":[{\"mediaType\":\"application/"
		 "vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\","
		 "\"size\":%zu}]}",
		 manifest, strlen(document));
	snprintf(docker, sizeof(docker),
		 "[{\"Config\":\"blobs/sha256/%s\",\"Layers\":[\"blobs/sha256/%s\",\"blobs/sha256/%s\"]}]",
		 config + 7, first + 7, second + 7);
	member(a, first, one.data, one.n);
	member(a, second, two.data, two.n);
	member(a, config, text, strlen(text));
	member(a, manifest, document, strlen(document));
	add(a, "manifest.json", AE_IFREG, NULL, docker, strlen(docker));
	if (oci) {
		add(a, "index.json", AE_IFREG, NULL, index, strlen(index));
		add(a, "oci-layout", AE_IFREG, NULL, "{\"imageLayoutVersion\":\"1.0.0\"}", 30);
	}
	archive_write_free(a);
}

static const char *put(const char *name, const struct bytes *b)
{
	static char path[128];
	PF_AUTO_CLOSE int fd = openat(place_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(pf_write_full(fd, b->data, b->n), 0);
	snprintf(path, sizeof(path), "%s/%s", place, name);
	return path;
}

/* --- imports --- */

static unsigned progress_calls;

static void progress(void *user, enum pf_import_phase phase, uint64_t done, uint64_t total)
{
	assert_ptr_equal(user, place);
	assert_true(phase <= PF_IMPORT_CHECKING && (total == 0 || done <= total));
	progress_calls++;
}

static void import(const char *from, enum pf_import_kind kind, enum pf_import_kind is,
		   char digest[PF_DIGEST_MAX])
{
	PF_AUTO_CLOSE int out = open(place, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct pf_import how = {.from = from, .kind = kind, .progress = progress, .user = place};
	struct pf_import_result r;
	struct pf_error err = {0};
	struct stat st;

	progress_calls = 0;
	if (pf_import(&how, out, place, &r, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(r.kind, is);
	assert_int_equal(fstat(out, &st), 0);
	assert_true(r.size == (uint64_t)st.st_size && progress_calls > 0);
	assert_int_equal(r.layers, is == PF_IMPORT_OCI || is == PF_IMPORT_DOCKER ? 2 : 0);
	if (is != PF_IMPORT_DIR)
		assert_true(r.notes.count == 1 && strstr(r.notes.items[0], "dev/null"));
	if (r.layers)
		assert_true(pf_streq(r.config.user, "me") && r.config.env.count == 1);
	strcpy(digest, r.digest);
	pf_import_result_free(&r);
}

static void shell(const char *command)
{
	char line[512];

	snprintf(line, sizeof(line), "cd %s && %s", place, command);
	assert_int_equal(system(line), 0);
}

static void test_root(void **state)
{
	static struct bytes b;
	char first[PF_DIGEST_MAX], again[PF_DIGEST_MAX];
	char dir[128];

	(void)state;
	layer(&b);
	import(put("root.tar", &b), PF_IMPORT_AUTO, PF_IMPORT_TAR, first);
	shell("gzip -kf root.tar");
	snprintf(dir, sizeof(dir), "%s/root.tar.gz", place);
	import(dir, PF_IMPORT_AUTO, PF_IMPORT_TAR, again);
	assert_string_equal(first, again);
	if (geteuid() != 0)
		return;
	shell("rm -rf root && mkdir root && tar -C root --warning=none -xpf root.tar --xattrs --exclude=dev "
	      "&& mkdir -p "
	      "root/dev && "
	      "touch -d @0 root/dev");
	snprintf(dir, sizeof(dir), "%s/root", place);
	import(dir, PF_IMPORT_AUTO, PF_IMPORT_DIR, again);
}

static void test_images(void **state)
{
	static struct bytes b;
	char oci[PF_DIGEST_MAX], again[PF_DIGEST_MAX], dir[128];

	(void)state;
	image(&b, true);
	import(put("image.tar", &b), PF_IMPORT_AUTO, PF_IMPORT_OCI, oci);
	import(put("image.tar", &b), PF_IMPORT_DOCKER, PF_IMPORT_DOCKER, again);
	assert_string_equal(oci, again);
	shell("rm -rf layout && mkdir layout && tar -C layout --warning=none -xf image.tar && gzip -kf "
	      "image.tar");
	snprintf(dir, sizeof(dir), "%s/layout", place);
	import(dir, PF_IMPORT_AUTO, PF_IMPORT_OCI, again);
	assert_string_equal(oci, again);
	snprintf(dir, sizeof(dir), "%s/image.tar.gz", place);
	import(dir, PF_IMPORT_AUTO, PF_IMPORT_OCI, again);
	assert_string_equal(oci, again);
	image(&b, false);
	import(put("image.tar", &b), PF_IMPORT_AUTO, PF_IMPORT_DOCKER, again);
	assert_string_equal(oci, again);
}

/* The child's work, here: every block of memory must be free at the end. */
static int work(const char *from, enum pf_import_kind kind, bool pipe, struct pf_error *err)
{
	PF_AUTO_CLOSE int out = open(place, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	PF_AUTO_CLOSE int spool = open(place, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	PF_AUTO_CLOSE int input = open(from, O_RDONLY | O_CLOEXEC);
	const struct pf_import how = {.from = from, .kind = kind};
	struct pf__job j = {
		.how = &how, .input = input, .pipe = pipe, .spool_fd = spool, .out_fd = out, .kind = kind};
	struct stat st;
	int pair[2], r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fstat(input, &st), 0);
	j.channel = pair[0];
	j.input_size = (uint64_t)st.st_size;
	j.budget = (struct pf__budget){.bytes_max = PF_IMPORT_BYTES_MAX, .ratio_max = PF_IMPORT_RATIO_MAX};
	r = pf__import_work(&j, err);
	close(pair[0]);
	close(pair[1]);
	return r;
}

static void test_leaks(void **state)
{
	static struct bytes b;
	struct pf_error err = {0};
	char dir[128];

	(void)state;
	image(&b, true);
	put("leak.tar", &b);
	snprintf(dir, sizeof(dir), "%s/leak.tar", place);
	for (int pipe = 0; pipe < 2; pipe++) {
		assert_int_equal(work(dir, PF_IMPORT_AUTO, pipe, &err), 0);
		assert_int_equal(work(dir, PF_IMPORT_DOCKER, pipe, &err), 0);
		assert_int_equal(work(dir, PF_IMPORT_TAR, pipe, &err), 0);
	}
	shell("rm -rf tree && mkdir -p tree/a/b && echo x > tree/a/f && ln tree/a/f tree/a/b/g && ln -s f "
	      "tree/l");
	snprintf(dir, sizeof(dir), "%s/tree", place);
	assert_int_equal(work(dir, PF_IMPORT_DIR, false, &err), 0);
	shell("mkfifo tree/p && ln -s ../x tree/z");
	assert_int_equal(work(dir, PF_IMPORT_DIR, false, &err), -EINVAL);
}

/* Cut at every place, and with bytes that are others: an error or an image, and nothing left in memory. */
static void test_leaks_of_damaged(void **state)
{
	static struct bytes b, bad;
	struct pf_error err = {0};
	char path[128];

	(void)state;
	image(&b, true);
	snprintf(path, sizeof(path), "%s/damaged.tar", place);
	for (size_t at = 0; at < b.n; at += 1531) {
		memcpy(bad.data, b.data, b.n);
		bad.n = at % 2 ? b.n : at;
		bad.data[at] ^= 0x55;
		put("damaged.tar", &bad);
		(void)work(path, at % 3 ? PF_IMPORT_AUTO : PF_IMPORT_DOCKER, at % 5 == 0, &err);
	}
}

static void test_arguments(void **state)
{
	PF_AUTO_CLOSE int out = open(place, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	PF_AUTO_CLOSE int full = open(place, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char long_ref[400] = {0};
	struct pf_import how = {.from = place};
	struct pf_import_result r = {.size = 9};
	struct pf_error err = {0};

	(void)state;
	assert_int_equal(pf_write_full(full, "x", 1), 0);
	assert_int_equal(pf_import(&how, full, place, &r, &err), -EINVAL);
	assert_int_equal(pf_import(&how, -1, place, &r, &err), -EINVAL);
	assert_int_equal(pf_import(&how, out, "/no/such/place", &r, &err), -ENOENT);
	memset(long_ref, 'x', sizeof(long_ref) - 1);
	how.ref = long_ref;
	assert_int_equal(pf_import(&how, out, place, &r, &err), -EINVAL);
	how = (struct pf_import){.from = place, .platform = "linux"};
	assert_int_equal(pf_import(&how, out, place, &r, &err), -EINVAL);
	how = (struct pf_import){.from = "/no/such\x1b[31m"};
	assert_int_equal(pf_import(&how, out, place, &r, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "/no/such\\x1b[31m"));
	assert_int_equal(r.size, 9);
}

/* --- what the second child must not let through --- */

static int check(mode_t mode, const char *path, const char *target, const char *xattr, const char **says)
{
	PF_AUTO_CLOSE int out = open(place, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	static const struct pf_import how = {.from = "x"};
	struct pf_xattr x = {(char *)xattr, (char *)"v", 1};
	struct pf_inode i = {
		.mode = mode | 0644, .target = (char *)target, .xattrs = &x, .xattr_count = xattr != NULL};
	static struct pf_error err;
	struct pf_tree *tree;
	uint64_t size;
	int r;

	assert_int_equal(pf_tree_new(&tree, &err), 0);
	if (pf_tree_put(tree, path, &i, NULL, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(pf_tree_sort(tree, &err), 0);
	assert_int_equal(pf_erofs_write(tree, out, out, &size, &err), 0);
	r = pf__image_check(&how, out, size, &err);
	pf_tree_free(tree);
	*says = err.msg;
	return r;
}

static void test_check(void **state)
{
	const char *says;

	(void)state;
	assert_int_equal(check(S_IFREG, "f", NULL, "user.a", &says), 0);
	assert_int_equal(check(S_IFLNK, "d/l", "../x", NULL, &says), 0);
	assert_int_equal(check(S_IFIFO, "p", NULL, NULL, &says), 0);
	assert_true(check(S_IFCHR, "c", NULL, NULL, &says) < 0 &&
		    strstr(says, "is not sound: entry 'c' is a device node"));
	assert_true(check(S_IFBLK, "dev/b", NULL, NULL, &says) < 0 &&
		    strstr(says, "a node that it must not have"));
	assert_true(check(S_IFSOCK, "s", NULL, NULL, &says) < 0 &&
		    strstr(says, "a node that it must not have"));
	assert_true(check(S_IFLNK, "l", "../x", NULL, &says) < 0 && strstr(says, "leads out of the image"));
	assert_true(check(S_IFREG, "f", NULL, "trusted.overlay.redirect", &says) < 0 &&
		    strstr(says, "attribute"));
	assert_true(check(S_IFDIR, "d", NULL, "security.capability", &says) < 0 && strstr(says, "attribute"));
}

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(place) || chmod(place, 0755))
		return -1;
	place_fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return place_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	PF_AUTO_CLOSE int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	close(place_fd);
	return pf_remove_tree(tmp, strrchr(place, '/') + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_root),	  cmocka_unit_test(test_images),
		cmocka_unit_test(test_leaks),	  cmocka_unit_test(test_leaks_of_damaged),
		cmocka_unit_test(test_arguments), cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
