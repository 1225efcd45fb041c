/* SPDX-License-Identifier: Apache-2.0 */
/* The image store: what a name may be, finding, holding, replacing, removing, and what is damaged or cut off.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "image/store.h"
#include "image/store_write.h"

#define EROFS_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define EROFS_B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

struct fixture {
	char root[64], state[96];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->root, "/tmp/pf-store-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	snprintf(f->state, sizeof(f->state), "%s/state", f->root);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(pf_remove_tree(tmp, f->root + strlen("/tmp/")), 0);
	close(tmp);
	free(f);
	return 0;
}

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* --- making them ------------------------------------------------------------------------- */

static struct pf_image_new begin(const struct fixture *f)
{
	struct pf_image_new n = PF_IMAGE_NEW_NONE;
	struct pf_error err = {0};
	char path[256];

	if (pf_image_new(f->state, &n, &err) < 0)
		fail_msg("%s", err.msg);
	snprintf(path, sizeof(path), "%s/image.erofs", n.path);
	write_text(path, "not really a file system\n");
	return n;
}

static void seal(struct pf_image_new *n, const char *erofs, const char *user, char digest[PF_DIGEST_MAX])
{
	struct pf_image_config c = {.user = (char *)(uintptr_t)user};
	struct pf_list notes = {0};
	struct pf_image_info info = {.source = "tar x.tar",
				     .created = 1700000000,
				     .size = strlen("not really a file system\n"),
				     .files = 3,
				     .bytes = 4,
				     .notes = &notes};
	struct pf_error err = {0};

	assert_int_equal(pf_list_add(&notes, "a device was left out"), 0);
	assert_int_equal(pf_list_add(&c.env, "PATH=/bin"), 0);
	if (pf_image_seal(n, erofs, &c, &info, digest, &err) < 0)
		fail_msg("%s", err.msg);
	pf_list_free(&notes);
	pf_list_free(&c.env);
}

static void make(const struct fixture *f, const char *erofs, const char *user, const char *name,
		 char digest[PF_DIGEST_MAX])
{
	struct pf_image_new n = begin(f);
	struct pf_error err = {0};

	seal(&n, erofs, user, digest);
	if (pf_image_publish(&n, digest, name, false, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(n.images, -1);
	pf_image_new_drop(&n); /* nothing is left of it to drop */
}

static void path_of(const struct fixture *f, const char *digest, const char *file, char out[300])
{
	snprintf(out, 300, "%s/images/sha256-%s%s%s", f->state, digest + 7, *file ? "/" : "", file);
}

static bool there(const struct fixture *f, const char *digest)
{
	char path[300];
	struct stat st;

	path_of(f, digest, "", path);
	return lstat(path, &st) == 0;
}

/* Entries of STATE/images that begin with '.'. */
static unsigned remains(const struct fixture *f)
{
	char path[256];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/images", f->state);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)))
		n += e->d_name[0] == '.' && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	return n;
}

static void expect_found(const struct fixture *f, const char *word, const char *digest)
{
	struct pf_error err = {0};
	struct pf_image i;

	if (pf_image_find(f->state, word, &i, &err) < 0)
		fail_msg("%s: %s", word, err.msg);
	assert_string_equal(i.digest, digest);
	pf_image_free(&i);
}

static void expect_error(const struct fixture *f, const char *word, int code, const char *part)
{
	struct pf_error err = {0};
	struct pf_image i;

	assert_int_equal(pf_image_find(f->state, word, &i, &err), code);
	assert_int_equal(err.code, code);
	if (!strstr(err.msg, part))
		fail_msg("\"%s\" is not in \"%s\"", part, err.msg);
}

/* --- names -------------------------------------------------------------------------------- */

static void test_names(void **state)
{
	static const char *const good[] = {"a",
					   "base",
					   "debian:bookworm-slim",
					   "127.0.0.1:5000/team/app:1.0",
					   "localhost/x@y",
					   ".hidden",
					   "a/.b",
					   "A_B+c",
					   "hosts",
					   "abcde",	 /* five digits begin no digest */
					   "abcdefg",	 /* not a digit */
					   "ABCDEF",	 /* digests are in lower case */
					   "x/abcdef12", /* only the whole name counts */
					   "a...b"};
	static const char *const bad[] = {
		"",	   "-x",  "host", "abcdef",   "0123456789ab", "sha256:abcdef",
		"sha256:", "a b", "a\nb", "a\x1b[0m", "\xc3\xa4",     "a%2Fb",
		"/a",	   "a/",  "a//b", "a/../b",   "..",	      "a/.",
		".",	   "./a", "a\\b", "a*",	      "$(x)",	      "a;b"};
	char longest[PF_IMAGE_NAME_MAX + 2];
	struct pf_error err = {0};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(good); i++)
		if (pf_image_name_check(good[i], &err) != 0)
			fail_msg("%s: %s", good[i], err.msg);
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++)
		if (pf_image_name_check(bad[i], NULL) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
	memset(longest, 'x', sizeof(longest));
	longest[PF_IMAGE_NAME_MAX] = '\0';
	assert_int_equal(pf_image_name_check(longest, NULL), 0);
	longest[PF_IMAGE_NAME_MAX] = 'x';
	longest[PF_IMAGE_NAME_MAX + 1] = '\0';
	assert_int_equal(pf_image_name_check(longest, NULL), -EINVAL);
	/* its file would have more than 255 bytes */
	for (int i = 0; i < 199; i++)
		longest[i] = i & 1 ? '/' : 'x';
	longest[199] = '\0';
	assert_int_equal(pf_image_name_check(longest, NULL), -EINVAL);
}

static void test_every_name_has_a_file_of_its_own(void **state)
{
	static const char *const names[] = {"a/b", "a+b", "a:b", ".a", "a@b", "x2Fy", "x/y", "%new"};
	struct fixture *f = *state;
	char digest[PF_DIGEST_MAX], other[PF_DIGEST_MAX];
	struct pf_list got = {0};
	struct pf_error err = {0};

	make(f, EROFS_A, "", NULL, digest);
	make(f, EROFS_B, "", NULL, other);
	for (size_t i = 0; i + 1 < PF_ARRAY_SIZE(names); i++)
		assert_int_equal(pf_image_tag(f->state, i & 1 ? other : digest, names[i], &err), 0);
	assert_int_equal(pf_image_tag(f->state, digest, "%new", &err), -EINVAL);
	for (size_t i = 0; i + 1 < PF_ARRAY_SIZE(names); i++)
		expect_found(f, names[i], i & 1 ? other : digest);
	assert_int_equal(pf_image_names(f->state, digest, &got, &err), 0);
	assert_int_equal(got.count, 4);
	assert_string_equal(got.items[0], "a/b"); /* sorted */
	assert_string_equal(got.items[3], "x/y");
	pf_list_free(&got);
}

/* --- finding ------------------------------------------------------------------------------ */

static void test_find(void **state)
{
	struct fixture *f = *state;
	char a[PF_DIGEST_MAX], b[PF_DIGEST_MAX], word[PF_DIGEST_MAX];
	struct pf_error err = {0};
	struct pf_image i;

	expect_error(f, "base", -ENOENT, "image build base");
	expect_error(f, "abcdef", -ENOENT, "image ls");
	make(f, EROFS_A, "app", "team/app:1", a);
	make(f, EROFS_B, "", NULL, b);
	expect_found(f, "team/app:1", a);
	expect_found(f, a, a);
	expect_found(f, b + 7, b);
	snprintf(word, sizeof(word), "%.6s", b + 7);
	expect_found(f, word, b);
	snprintf(word, sizeof(word), "sha256:%.9s", a + 7);
	expect_found(f, word, a);
	snprintf(word, sizeof(word), "%.5s", a + 7);
	expect_error(f, word, -ENOENT, word);
	expect_error(f, "team/app", -ENOENT, "there is no image");
	expect_error(f, "host", -EINVAL, "host");
	expect_error(f, "a\x1b[2Jb", -EINVAL, "\\x1b");
	assert_int_equal(pf_image_find(f->state, "team/app:1", &i, &err), 0);
	assert_string_equal(i.config.user, "app");
	assert_string_equal(i.config.workdir, "");
	assert_string_equal(i.config.env.items[0], "PATH=/bin");
	assert_string_equal(i.erofs_digest, EROFS_A);
	assert_string_equal(i.source, "tar x.tar");
	assert_string_equal(i.notes.items[0], "a device was left out");
	assert_int_equal(i.files, 3);
	assert_false(i.unpacked);
	pf_image_free(&i);
}

static void test_a_beginning_that_fits_several(void **state)
{
	struct fixture *f = *state;
	char first[PF_DIGEST_MAX], digest[PF_DIGEST_MAX], path[300], other[300];

	make(f, EROFS_A, "", "x", first);
	path_of(f, first, "", path);
	strcpy(other, path);
	other[strlen(other) - 1] = other[strlen(other) - 1] == '0' ? '1' : '0';
	assert_int_equal(mkdir(other, 0700), 0);
	strcpy(digest, first);
	digest[7 + 63] = '\0';
	expect_error(f, digest, -EEXIST, "several images");
	expect_found(f, first, first);
}

static void test_a_name_that_leads_nowhere(void **state)
{
	struct fixture *f = *state;
	char digest[PF_DIGEST_MAX], path[300];
	struct pf_image_removed removed;
	struct pf_error err = {0};

	make(f, EROFS_A, "", "lost", digest);
	path_of(f, digest, "", path);
	strcat(path, ".moved");
	{
		char from[300];

		path_of(f, digest, "", from);
		assert_int_equal(rename(from, path), 0);
	}
	expect_error(f, "lost", -ENOENT, "pinfold image rm lost");
	assert_int_equal(pf_image_tag(f->state, digest, "again", &err), -ENOENT);
	assert_int_equal(pf_image_remove(f->state, "lost", &removed, &err), 0);
	assert_int_equal(removed.untagged.count, 1);
	assert_false(removed.deleted);
	pf_image_removed_free(&removed);
	expect_error(f, "lost", -ENOENT, "there is no image");
}

/* --- damage --------------------------------------------------------------------------------- */

static void expect_damage(const struct fixture *f, const char *digest, const char *part)
{
	struct pf_error err = {0};
	struct pf_image *list;
	size_t count;

	expect_error(f, "x", -EBADMSG, part);
	expect_error(f, "x", -EBADMSG, "pinfold image rm");
	assert_int_equal(pf_image_list(f->state, &list, &count, &err), 0);
	assert_int_equal(count, 1);
	assert_string_equal(list[0].digest, digest);
	assert_string_equal(list[0].names.items[0], "x");
	assert_non_null(strstr(list[0].damage, part));
	pf_image_list_free(list, count);
}

static void test_a_damaged_file_is_named(void **state)
{
	static const struct {
		const char *file, *text, *part;
	} cases[] = {
		{"manifest.json", "{}\n", "manifest.json: its digest is another"},
		{"manifest.json", "", "manifest.json: its digest is another"},
		{"info.json", "", "info.json: line 1"},
		{"info.json", "[]", "info.json: it is no object"},
		{"info.json", "{\"schema\":1}", "info.json: \"source\" is missing"},
		{"info.json", "{\"schema\":2,\"source\":\"\"}", "info.json: it is of a schema"},
		{"info.json",
		 "{\"schema\":1,\"source\":\"\",\"created\":1,\"size\":-1,\"files\":1,\"bytes\":1,\"notes\":["
		 "]}",
		 "\"size\" is negative"},
		{"info.json",
		 "{\"schema\":1,\"source\":\"\",\"created\":1,\"size\":1,\"files\":1,\"bytes\":1,\"notes\":["
		 "1]}",
		 "\"notes\" has something else"},
		{"info.json",
		 "{\"schema\":1,\"source\":\"\",\"created\":1,\"size\":1,\"files\":1,\"bytes\":1,\"notes\":[]"
		 ",\"x\":1}",
		 "keys that this pinfold does not know"},
		{"info.json", "{\"schema\":1,\"schema\":1}", "info.json: line 1"},
		{"image.erofs", "short", "image.erofs: it has 5 bytes and not 25"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < PF_ARRAY_SIZE(cases); i++) {
		struct pf_image_removed removed;
		char digest[PF_DIGEST_MAX], path[300];
		struct pf_error err = {0};

		make(f, EROFS_A, "", "x", digest);
		path_of(f, digest, cases[i].file, path);
		assert_int_equal(unlink(path), 0);
		expect_damage(f, digest, cases[i].file); /* missing */
		write_text(path, cases[i].text);
		expect_damage(f, digest, cases[i].part);
		/* and it can be got rid of all the same */
		assert_int_equal(pf_image_remove(f->state, "x", &removed, &err), 0);
		assert_true(removed.deleted);
		pf_image_removed_free(&removed);
		assert_false(there(f, digest));
	}
}

static void test_nothing_is_followed(void **state)
{
	static const char *const files[] = {"manifest.json", "info.json", "image.erofs"};
	struct fixture *f = *state;
	char digest[PF_DIGEST_MAX], path[300], aside[310];

	make(f, EROFS_A, "", "x", digest);
	for (size_t i = 0; i < PF_ARRAY_SIZE(files); i++) {
		path_of(f, digest, files[i], path);
		snprintf(aside, sizeof(aside), "%s.aside", path);
		assert_int_equal(rename(path, aside), 0);
		assert_int_equal(symlink(aside, path), 0);
		expect_damage(f, digest, files[i]);
		assert_int_equal(unlink(path), 0);
		assert_int_equal(mkfifo(path, 0600), 0); /* would hold a reader up for ever */
		expect_damage(f, digest, files[i]);
		assert_int_equal(unlink(path), 0);
		assert_int_equal(rename(aside, path), 0);
	}
	expect_found(f, "x", digest);
	snprintf(path, sizeof(path), "%s/images/names/x", f->state);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/etc/hostname", path), 0);
	expect_error(f, "x", -ELOOP, "images/names");
}

static void test_a_damaged_name_is_told_and_can_go(void **state)
{
	static const char *const texts[] = {"", "sha256:abc\n", EROFS_A, EROFS_A "\n\n", "x\n"};
	struct fixture *f = *state;
	char digest[PF_DIGEST_MAX], path[300];

	make(f, EROFS_A, "", "x", digest);
	snprintf(path, sizeof(path), "%s/images/names/y", f->state);
	for (size_t i = 0; i < PF_ARRAY_SIZE(texts); i++) {
		struct pf_image_removed removed;
		struct pf_error err = {0};

		write_text(path, texts[i]);
		expect_error(f, "y", -EBADMSG, "the name \"y\" is damaged");
		expect_found(f, "x", digest);
		assert_int_equal(pf_image_remove(f->state, "y", &removed, &err), 0);
		assert_string_equal(removed.untagged.items[0], "y");
		assert_false(removed.deleted);
		pf_image_removed_free(&removed);
		expect_error(f, "y", -ENOENT, "there is no image");
	}
}

static void test_a_configuration_that_would_not_be_read_is_not_written(void **state)
{
	struct fixture *f = *state;
	struct pf_image_new n = begin(f);
	struct pf_image_config c = {.workdir = (char *)(uintptr_t) "relative"};
	struct pf_image_info info = {.source = "", .size = 25};
	char digest[PF_DIGEST_MAX] = "untouched";
	struct pf_error err = {0};

	assert_int_equal(pf_image_seal(&n, EROFS_A, &c, &info, digest, &err), -EBADMSG);
	assert_non_null(strstr(err.msg, "not absolute"));
	c.workdir = NULL;
	assert_int_equal(pf_list_add(&c.env, "NOEQUALS"), 0);
	assert_int_equal(pf_image_seal(&n, EROFS_A, &c, &info, digest, &err), -EBADMSG);
	pf_list_free(&c.env);
	assert_int_equal(pf_list_add(&c.cmd, "\xff"), 0);
	assert_int_equal(pf_image_seal(&n, EROFS_A, &c, &info, digest, &err), -EILSEQ);
	pf_list_free(&c.cmd);
	info.size = 26; /* the file is not as large as its maker says */
	assert_int_equal(pf_image_seal(&n, EROFS_A, &c, &info, digest, &err), -EBADMSG);
	assert_string_equal(digest, "untouched");
	pf_image_new_drop(&n);
	assert_int_equal(remains(f), 0);
}

static void test_the_manifest_is_the_identity(void **state)
{
	struct fixture *f = *state;
	PF_AUTO_BUF struct pf_buf text = {0};
	char a[PF_DIGEST_MAX], b[PF_DIGEST_MAX], digest[PF_DIGEST_MAX];
	struct pf_image_config c = {0};

	assert_int_equal(pf_image_manifest_print(EROFS_A, &c, &text), 0);
	assert_string_equal(text.data, "{\"schema\":1,\"erofs\":\"" EROFS_A
				       "\",\"config\":{\"user\":\"\",\"workdir\":\"\","
				       "\"env\":[],\"entrypoint\":[],\"cmd\":[]}}\n");
	pf_sha256_text(text.data, text.len, digest);
	make(f, EROFS_A, "", "a", a);
	make(f, EROFS_A, "x", "b", b); /* the same tree, another configuration */
	assert_string_not_equal(a, b);
	assert_string_not_equal(a, digest); /* which has PATH */
}

/* --- adding again ----------------------------------------------------------------------------- */

static void test_an_image_that_exists(void **state)
{
	struct fixture *f = *state;
	char a[PF_DIGEST_MAX], again[PF_DIGEST_MAX];
	struct pf_error err = {0};
	struct pf_image_new n;

	make(f, EROFS_A, "", "x", a);
	n = begin(f);
	seal(&n, EROFS_A, "", again);
	assert_string_equal(a, again);
	assert_int_equal(pf_image_publish(&n, again, "y", false, &err), -EEXIST);
	expect_error(f, "y", -ENOENT, "there is no image"); /* the caller decides */
	assert_int_equal(remains(f), 1);
	pf_image_new_drop(&n);
	assert_int_equal(remains(f), 0);
	expect_found(f, "x", a);
}

static void test_a_damaged_one_is_replaced(void **state)
{
	struct fixture *f = *state;
	char a[PF_DIGEST_MAX], path[300];
	struct pf_error err = {0};
	struct pf_image_new n;
	int held;

	make(f, EROFS_A, "", "x", a);
	path_of(f, a, "info.json", path);
	assert_int_equal(unlink(path), 0);
	path_of(f, a, "lock", path);
	n = begin(f);
	seal(&n, EROFS_A, "", a);
	held = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(held, LOCK_SH), 0);
	assert_int_equal(pf_image_publish(&n, a, "x", true, &err), -EBUSY);
	close(held);
	assert_int_equal(pf_image_publish(&n, a, "x", true, &err), 0);
	expect_found(f, "x", a);
	assert_int_equal(remains(f), 0);
}

static void test_tag_moves_a_name(void **state)
{
	struct fixture *f = *state;
	char a[PF_DIGEST_MAX], b[PF_DIGEST_MAX];
	struct pf_error err = {0};

	make(f, EROFS_A, "", "x", a);
	make(f, EROFS_B, "", "y", b);
	assert_int_equal(pf_image_tag(f->state, b, "x", &err), 0);
	expect_found(f, "x", b);
	expect_found(f, a, a); /* without a name, and still there */
	assert_int_equal(pf_image_tag(f->state, b, "no good", &err), -EINVAL);
}

/* --- holding and removing ---------------------------------------------------------------------- */

static void remove_ok(const struct fixture *f, const char *word, size_t untagged, bool deleted)
{
	struct pf_image_removed removed;
	struct pf_error err = {0};

	if (pf_image_remove(f->state, word, &removed, &err) < 0)
		fail_msg("%s: %s", word, err.msg);
	assert_int_equal(removed.untagged.count, untagged);
	assert_int_equal(removed.deleted, deleted);
	pf_image_removed_free(&removed);
	assert_int_equal(remains(f), 0);
}

static void remove_fails(const struct fixture *f, const char *word, int code, const char *part)
{
	struct pf_image_removed removed;
	struct pf_error err = {0};

	assert_int_equal(pf_image_remove(f->state, word, &removed, &err), code);
	assert_int_equal(removed.untagged.count, 0);
	assert_false(removed.deleted);
	if (!strstr(err.msg, part))
		fail_msg("\"%s\" is not in \"%s\"", part, err.msg);
	pf_image_removed_free(&removed);
}

static void test_remove_as_docker_does(void **state)
{
	struct fixture *f = *state;
	char a[PF_DIGEST_MAX];
	struct pf_error err = {0};

	make(f, EROFS_A, "", "x", a);
	assert_int_equal(pf_image_tag(f->state, a, "y", &err), 0);
	remove_fails(f, a, -EEXIST, "x, y");
	remove_ok(f, "x", 1, false);
	expect_found(f, "y", a);
	remove_fails(f, "x", -ENOENT, "there is no image");
	remove_ok(f, "y", 1, true);
	assert_false(there(f, a));
	make(f, EROFS_A, "", NULL, a);
	remove_ok(f, a, 0, true);
	make(f, EROFS_A, "", "z", a);
	remove_ok(f, a + 7, 1, true);
	expect_error(f, "z", -ENOENT, "there is no image");
}

static void test_what_is_held_stays(void **state)
{
	struct fixture *f = *state;
	char a[PF_DIGEST_MAX];
	struct pf_error err = {0};
	struct pf_image i, copy;
	int one, two;

	make(f, EROFS_A, "", "x", a);
	assert_int_equal(pf_image_find(f->state, "x", &i, &err), 0);
	assert_false(pf_image_held(&i));
	one = pf_image_hold(&i, &err);
	two = pf_image_hold(&i, &err);
	assert_true(one >= 0 && two >= 0);
	assert_true(fcntl(one, F_GETFD) & FD_CLOEXEC);
	assert_true(pf_image_held(&i));
	remove_fails(f, "x", -EBUSY, "in use");
	expect_found(f, "x", a);
	assert_int_equal(pf_image_tag(f->state, a, "y", &err), 0);
	remove_ok(f, "y", 1, false); /* a name is no image */
	close(one);
	assert_true(pf_image_held(&i));
	remove_fails(f, a, -EBUSY, "in use");
	close(two);
	assert_false(pf_image_held(&i));
	remove_ok(f, "x", 1, true);
	assert_int_equal(pf_image_hold(&i, &err), -ENOENT);
	assert_false(pf_image_held(&i));
	/* one that stands at its place now is another: what was read before is no hold on it */
	make(f, EROFS_A, "", "x", a);
	assert_int_equal(pf_image_find(f->state, "x", &copy, &err), 0);
	one = pf_image_hold(&copy, &err);
	assert_true(one >= 0);
	close(one);
	pf_image_free(&copy);
	pf_image_free(&i);
}

/* Many at once hold, let go, look and try to remove: whoever holds it finds it whole for as long. */
static void holder(const struct fixture *f, const char *digest)
{
	for (int n = 0; n < 100; n++) {
		struct pf_image i;
		struct stat st;
		int fd;

		if (pf_image_find(f->state, digest, &i, NULL) < 0)
			continue;
		fd = pf_image_hold(&i, NULL);
		if (fd >= 0) {
			if (stat(i.dir, &st) < 0 || !pf_image_held(&i))
				_exit(1);
			close(fd);
		}
		pf_image_free(&i);
	}
	_exit(0);
}

static void remover(const struct fixture *f, const char *digest)
{
	for (int n = 0; n < 100; n++) {
		struct pf_image_removed removed;
		struct pf_error err = {0};
		int r = pf_image_remove(f->state, digest, &removed, &err);

		pf_image_removed_free(&removed);
		if (r < 0 && r != -EBUSY && r != -ENOENT)
			_exit(2);
	}
	_exit(0);
}

static void adder(const struct fixture *f, const char *digest)
{
	for (int n = 0; n < 50; n++) {
		struct pf_image_new new = begin(f);
		char same[PF_DIGEST_MAX];
		unsigned swept;
		int r;

		seal(&new, EROFS_A, "", same);
		if (strcmp(same, digest) != 0)
			_exit(3);
		r = pf_image_publish(&new, same, NULL, false, NULL);
		if (r < 0 && r != -EEXIST)
			_exit(4);
		pf_image_new_drop(&new);
		if (pf_image_sweep(f->state, &swept, NULL) < 0)
			_exit(5);
	}
	_exit(0);
}

static void test_everything_at_once(void **state)
{
	static void (*const who[])(const struct fixture *, const char *) = {holder,  holder, remover,
									    remover, adder,  adder};
	struct fixture *f = *state;
	char digest[PF_DIGEST_MAX];
	pid_t pids[PF_ARRAY_SIZE(who)];

	make(f, EROFS_A, "", NULL, digest);
	for (size_t i = 0; i < PF_ARRAY_SIZE(who); i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			who[i](f, digest);
	}
	for (size_t i = 0; i < PF_ARRAY_SIZE(who); i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		if (status != 0)
			fail_msg("process %zu ended with %x", i, (unsigned)status);
	}
	assert_int_equal(remains(f), 0);
}

/* --- what was cut off --------------------------------------------------------------------------- */

static void test_a_sweep_takes_what_is_dead_alone(void **state)
{
	struct fixture *f = *state;
	struct pf_image_new alive, dead;
	char digest[PF_DIGEST_MAX], path[300];
	struct pf_error err = {0};
	unsigned removed = 7;

	assert_int_equal(pf_image_sweep(f->state, &removed, &err), 0); /* nobody ever made an image */
	assert_int_equal(removed, 0);
	make(f, EROFS_A, "", "x", digest);
	alive = begin(f);
	dead = begin(f);
	close(dead.lock); /* as the kernel does when its maker dies */
	snprintf(path, sizeof(path), "%s/images/.gone-abcdef", f->state);
	assert_int_equal(mkdir(path, 0700), 0); /* killed before it had a lock, or after that was removed */
	snprintf(path, sizeof(path), "%s/images/.other", f->state);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(pf_image_sweep(f->state, &removed, &err), 0);
	assert_int_equal(removed, 2);
	assert_int_equal(remains(f), 2); /* the one alive, and what is none of ours */
	expect_found(f, "x", digest);
	seal(&alive, EROFS_B, "", digest);
	assert_int_equal(pf_image_publish(&alive, digest, "y", false, &err), 0);
	expect_found(f, "y", digest);
	dead.lock = -1;
	pf_image_new_drop(&dead);
}

static void test_the_state_must_be_ones_own(void **state)
{
	struct fixture *f = *state;
	char path[300], digest[PF_DIGEST_MAX];
	struct pf_image_new n = PF_IMAGE_NEW_NONE;
	struct pf_error err = {0};

	make(f, EROFS_A, "", "x", digest);
	assert_int_equal(chmod(f->state, 0777), 0);
	expect_error(f, "x", -EACCES, "open to others");
	assert_int_equal(pf_image_new(f->state, &n, &err), -EACCES);
	assert_int_equal(chmod(f->state, 0755), 0); /* to look is no harm: images is closed */
	expect_found(f, "x", digest);
	snprintf(path, sizeof(path), "%s/images", f->state);
	assert_int_equal(chmod(path, 0750), 0);
	expect_error(f, "x", -EACCES, "open to others");
	assert_int_equal(chmod(path, 0700), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 12345, 12345), 0);
		expect_error(f, "x", -EACCES, "belongs to uid 12345");
		assert_int_equal(chown(path, 0, 0), 0);
	}
	strcat(path, ".moved");
	{
		char from[300];

		snprintf(from, sizeof(from), "%s/images", f->state);
		assert_int_equal(rename(from, path), 0);
		assert_int_equal(symlink(path, from), 0);
	}
	expect_error(f, "x", -ELOOP, "no symbolic link");
}

static void test_list(void **state)
{
	struct fixture *f = *state;
	char a[PF_DIGEST_MAX], b[PF_DIGEST_MAX];
	struct pf_error err = {0};
	struct pf_image *list;
	size_t count = 7;

	assert_int_equal(pf_image_list(f->state, &list, &count, &err), 0);
	assert_int_equal(count, 0);
	pf_image_list_free(list, count);
	make(f, EROFS_A, "", "b", a);
	make(f, EROFS_B, "", NULL, b);
	assert_int_equal(pf_image_tag(f->state, a, "a", &err), 0);
	assert_int_equal(pf_image_list(f->state, &list, &count, &err), 0);
	assert_int_equal(count, 2);
	for (size_t i = 0; i < count; i++) {
		assert_null(list[i].damage);
		assert_int_equal(list[i].names.count, strcmp(list[i].digest, a) == 0 ? 2 : 0);
	}
	pf_image_list_free(list, count);
}

static void test_unpacked(void **state)
{
	struct fixture *f = *state;
	char digest[PF_DIGEST_MAX], path[300];
	struct pf_error err = {0};
	struct pf_image i;

	make(f, EROFS_A, "", "x", digest);
	path_of(f, digest, "root", path);
	assert_int_equal(mkdir(path, 0700), 0);
	expect_damage(f, digest, "root.json");
	path_of(f, digest, "root.json", path);
	write_text(path, "{\"schema\":1,\"owners_kept\":true,\"left_out\":\"2\"}");
	expect_damage(f, digest, "\"left_out\" is of the wrong type");
	write_text(path, "{\"schema\":1,\"owners_kept\":true,\"left_out\":2}");
	assert_int_equal(pf_image_find(f->state, "x", &i, &err), 0);
	assert_true(i.unpacked && i.owners_kept);
	assert_int_equal(i.left_out, 2);
	pf_image_free(&i);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_names),
		TEST(test_every_name_has_a_file_of_its_own),
		TEST(test_find),
		TEST(test_a_beginning_that_fits_several),
		TEST(test_a_name_that_leads_nowhere),
		TEST(test_a_damaged_file_is_named),
		TEST(test_nothing_is_followed),
		TEST(test_a_damaged_name_is_told_and_can_go),
		TEST(test_a_configuration_that_would_not_be_read_is_not_written),
		TEST(test_the_manifest_is_the_identity),
		TEST(test_an_image_that_exists),
		TEST(test_a_damaged_one_is_replaced),
		TEST(test_tag_moves_a_name),
		TEST(test_remove_as_docker_does),
		TEST(test_what_is_held_stays),
		TEST(test_everything_at_once),
		TEST(test_a_sweep_takes_what_is_dead_alone),
		TEST(test_the_state_must_be_ones_own),
		TEST(test_list),
		TEST(test_unpacked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
