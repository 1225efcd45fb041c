/* SPDX-License-Identifier: Apache-2.0 */
/* Collecting change sets from uppers made by hand, their store, and what is printed of them. */
#include "test_workspace.h"

#include <sys/socket.h>
#include <sys/un.h>

static void test_kinds(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;

	put(p->ws, "same", "x\n");
	put(p->ws, "edited", "old\n");
	put(p->ws, "moded", "m\n");
	put(p->ws, "gone", "g\n");
	put(p->ws, "dir/kept", "k\n");
	take_reference(p);
	put(p->upper, "same", "x\n"); /* copied up, then as before */
	put(p->upper, "edited", "new\n");
	put_mode(p->upper, "moded", "m\n", 0755);
	whiteout(p->upper, "gone");
	put(p->upper, "new", "n\n");
	put(p->upper, "dir/more", "");
	assert_int_equal(symlinkat("target", p->upper, "link"), 0);
	make_dir(p->upper, "empty", 0750);
	collect(p, &c);
	assert_list(&c,
		    "A dir/more\nM edited\nA empty/\nD gone\nA link -> target\nM moded (mode 755)\nA new\n");
	assert_int_equal(c.added, 4);
	assert_int_equal(c.modified, 2);
	assert_int_equal(c.deleted, 1);
	assert_true(item(&c, "edited")->content);
	assert_false(item(&c, "moded")->content);
	assert_int_equal(item(&c, "moded")->blob, 0);
	assert_int_equal(item(&c, "edited")->old_size, 4);
	assert_string_equal(c.command, "test");
	assert_string_equal(c.workspace, p->path);
	assert_false(c.truncated);
	pf_change_free(&c);
}

static void test_nothing(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_list ids;

	put(p->ws, "a/b", "x");
	put(p->upper, "a/b", "x");
	whiteout(p->upper, "never-was");
	collect(p, &c);
	assert_int_equal(c.count, 0);
	assert_int_equal(pf_change_list(p->changes, &ids, NULL), 0);
	assert_int_equal(ids.count, 0);
	ids.count = 0;
	assert_int_equal(pf__ws_names(p->changes, &ids, 10), 0);
	assert_int_equal(ids.count, 0); /* nothing half-made either */
}

static void test_types(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;

	put(p->ws, "d/x/y", "1");
	put(p->ws, "d/z", "2");
	put(p->ws, "f", "3");
	put(p->ws, "g", "4");
	put(p->upper, "d", "now a file");
	put(p->upper, "f/in", "5");
	assert_int_equal(symlinkat("/etc/passwd", p->upper, "g"), 0);
	collect(p, &c);
	assert_list(&c, "M d (was a directory, now a file)\nD d/x/\nD d/x/y\nD d/z\n"
			"M f/ (was a file, now a directory)\nA f/in\n"
			"M g -> /etc/passwd (was a file, now a symlink)\n");
	pf_change_free(&c);
}

static void test_deleted_tree(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;

	put(p->ws, "d/a/1", "1");
	put(p->ws, "d/b", "2");
	put(p->ws, "d-not", "3");
	whiteout(p->upper, "d");
	collect(p, &c);
	assert_list(&c, "D d/\nD d/a/\nD d/a/1\nD d/b\n");
	pf_change_free(&c);
}

static void test_opaque(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;

	put(p->ws, "d/same", "s");
	put(p->ws, "d/edit", "old");
	put(p->ws, "d/gone/deep", "g");
	put(p->upper, "d/same", "s");
	put(p->upper, "d/edit", "new");
	put(p->upper, "d/new", "n");
	overlay_attr(p, "d", "opaque", "y");
	collect(p, &c);
	assert_list(&c, "M d/edit\nD d/gone/\nD d/gone/deep\nA d/new\n");
	pf_change_free(&c);
}

/* mv old new; a file in it edited, one removed, one added; then mv new/sub other. */
static void test_redirect(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;

	put(p->ws, "old/keep", "kept\n");
	put(p->ws, "old/edit", "before\n");
	put(p->ws, "old/gone", "gone\n");
	put(p->ws, "old/sub/deep", "deep\n");
	put(p->ws, "old/stay/x", "x\n");
	whiteout(p->upper, "old");
	put(p->upper, "new/edit", "after\n");
	put(p->upper, "new/more", "more\n");
	whiteout(p->upper, "new/gone");
	whiteout(p->upper, "new/sub");
	overlay_attr(p, "new", "redirect", "/old");
	make_dir(p->upper, "other", 0755);
	overlay_attr(p, "other", "redirect", "/old/sub");
	make_dir(p->upper, "new/renamed", 0755);
	overlay_attr(p, "new/renamed", "redirect", "stay");
	whiteout(p->upper, "new/stay");
	collect(p, &c);
	assert_list(&c, "A new/\nA new/edit\nA new/keep\nA new/more\nA new/renamed/\nA new/renamed/x\n"
			"D old/\nD old/edit\nD old/gone\nD old/keep\nD old/stay/\nD old/stay/x\nD "
			"old/sub/\nD old/sub/deep\n"
			"A other/\nA other/deep\n");
	assert_false(c.truncated);
	assert_int_equal(item(&c, "new/keep")->size, 5);
	assert_true(item(&c, "new/keep")->blob > 0);
	pf_change_free(&c);
}

/* A redirect is a string in an attribute: it leads nowhere but beneath the workspace, through no link. */
static void test_redirect_hostile(void **state)
{
	struct place *p = *state;
	static const char *const bad[] = {"/../outside", "../outside", "/",   "/link",
					  "/link/etc",	 "//etc",      "a/b", ""};
	struct pf_changeset c;

	put(p->fd, "outside/secret", "s");
	assert_int_equal(symlinkat("../outside", p->ws, "link"), 0);
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%zu", i);
		make_dir(p->upper, name, 0755);
		overlay_attr(p, name, "redirect", bad[i]);
	}
	collect(p, &c);
	for (size_t i = 0; i < c.count; i++)
		assert_null(strstr(c.items[i].path, "secret"));
	assert_int_equal(c.count, PF_ARRAY_SIZE(bad));
	assert_true(c.truncated); /* what cannot be followed is said, not lost */
	pf_change_free(&c);
}

static void test_masked(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;

	put(p->ws, "a/.env", "KEY=1\n");
	put(p->ws, "a/code", "c\n");
	put(p->ws, "b/.env", "KEY=2\n");
	put(p->ws, "b/secrets/k", "k\n");
	put(p->ws, "b/code", "c\n");
	put(p->ws, "hid/x", "secret\n");
	pf_list_add(&p->masked, "hid");
	put(p->upper, "hid/x", "mine\n"); /* the sandbox made a directory where it saw none */
	pf_list_add(&p->masked, "b/.env");
	pf_list_add(&p->masked, "a/.env");
	pf_list_add(&p->masked, "b/secrets");
	put(p->upper, "a/.env", "FAKE=1\n"); /* the sandbox saw none and made one */
	whiteout(p->upper, "b");
	make_dir(p->upper, "moved", 0755);
	overlay_attr(p, "moved", "redirect", "/b");
	collect(p, &c);
	assert_list(&c,
		    "A a/.env (hidden from the sandbox)\nD b/\nD b/code\nA hid/ (hidden from the sandbox)\n"
		    "A hid/x (hidden from the sandbox)\nA moved/\nA moved/code\n");
	pf_change_free(&c);
}

static void test_protect(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;

	pf_list_add(&p->protect, ".git/hooks");
	pf_list_add(&p->protect, "**/.vscode");
	pf_list_add(&p->protect, "sub/.git/config");
	put(p->upper, ".git/hooks/pre-commit", "evil");
	put(p->upper, ".git/other", "fine");
	put(p->upper, "x/y/.vscode/tasks.json", "evil");
	assert_int_equal(symlinkat("elsewhere", p->upper, "sub"),
			 0); /* elsewhere/.git/config would be sub/.git/config */
	put(p->upper, "hooks", "fine");
	collect(p, &c);
	assert_list(&c,
		    "A .git/\nA .git/hooks/ (protected)\nA .git/hooks/pre-commit (protected)\nA .git/other\n"
		    "A hooks\nA sub -> elsewhere (protected)\nA x/\nA x/y/\nA x/y/.vscode/ (protected)\n"
		    "A x/y/.vscode/tasks.json (protected)\n");
	pf_change_free(&c);
}

static void test_protect_rules(void **state)
{
	char *items[] = {(char *)".git/config", (char *)"**/.idea", (char *)"/abs/x", (char *)"*/y/z"};
	struct pf_list l = {items, 4};

	(void)state;
	assert_true(pf__ws_protected(&l, ".git/config", S_IFREG));
	assert_true(pf__ws_protected(&l, ".git", S_IFREG | 0644)); /* "gitdir: x" */
	assert_true(pf__ws_protected(&l, ".git", S_IFLNK));
	assert_false(pf__ws_protected(&l, ".git", S_IFDIR));
	assert_false(pf__ws_protected(&l, ".git", 0));
	assert_true(pf__ws_protected(&l, "a/.idea/b", 0));
	assert_true(pf__ws_protected(&l, "abs/x", S_IFREG));
	assert_false(pf__ws_protected(&l, "anything", S_IFLNK));
	assert_true(pf__ws_protected(&l, "a/y", S_IFLNK));
	assert_false(pf__ws_protected(NULL, "a", S_IFREG));
}

static void make_socket(int at, const char *name)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d/%s", at, name);
	assert_int_equal(bind(s, (struct sockaddr *)&un, sizeof(un)), 0);
	close(s);
}

static void test_special(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;

	assert_int_equal(mkfifoat(p->upper, "fifo", 0644), 0);
	make_socket(p->upper, "sock");
	put(p->ws, "was", "file");
	assert_int_equal(mkfifoat(p->upper, "was", 0644), 0);
	if (geteuid() == 0) {
		assert_int_equal(mknodat(p->upper, "null", S_IFCHR | 0666, makedev(1, 3)), 0);
		assert_int_equal(fchmodat(p->upper, "null", 0666, 0), 0);
	}
	put_mode(p->upper, "suid", "x", 04755);
	collect(p, &c);
	assert_list(&c, geteuid() == 0 ? "A fifo (fifo)\nA null (device)\nA sock (socket)\nA suid (set-id)\n"
					 "M was (was a file, now a fifo)\n"
				       : "A fifo (fifo)\nA sock (socket)\nA suid (set-id)\nM was (was a "
					 "file, now a fifo)\n");
	pf_change_free(&c);
}

/* Ten names of one file are one blob, and a file of a terabyte with one block costs one block. */
static void test_links_and_holes(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct stat st;
	char name[80];
	int fd;

	put(p->upper, "l0", "many names\n");
	for (int i = 1; i < 200; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		assert_int_equal(linkat(p->upper, "l0", p->upper, name, 0), 0);
	}
	fd = openat(p->upper, "huge", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(pwrite(fd, "middle", 6, (off_t)1 << 39), 6);
	assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
	close(fd);
	collect(p, &c);
	assert_int_equal(c.count, 201);
	for (int i = 1; i < 200; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		assert_int_equal(item(&c, name)->blob, item(&c, "l0")->blob);
	}
	assert_int_equal(item(&c, "huge")->size, (uint64_t)1 << 40);
	snprintf(name, sizeof(name), "%s/blobs/%d", c.id, (int)item(&c, "huge")->blob);
	assert_int_equal(fstatat(p->changes, name, &st, 0), 0);
	assert_int_equal(st.st_size, (off_t)1 << 40);
	assert_true(st.st_blocks < 1024);
	pf_change_free(&c);
}

static void test_move_blobs(void **state)
{
	struct place *p = *state;
	struct pf_changeset c, counts = {0};
	struct pf_error err = {0};
	char id[40];
	struct pf_collect what = collect_what(p, id);
	int blob;

	put_mode(p->upper, "suid", "bytes", 04711);
	what.move_blobs = true;
	check(&err, pf_change_collect(p->changes, &what, &counts, &err));
	pf_change_free(&counts);
	check(&err, pf_change_load(p->changes, "last", &c, &err));
	assert_int_equal(c.items[0].mode & 07777, 04711);
	blob = openat(p->changes, "t0001/blobs/1", O_RDONLY | O_CLOEXEC);
	assert_true(blob >= 0);
	close(blob);
	assert_int_equal(mode_of(p->changes, "t0001/blobs/1"), 0600);
	pf_change_free(&c);
}

static void test_lower_bytes(void **state)
{
	struct place *p = *state;
	struct pf_error err = {0};
	struct pf_changeset c = {0};
	char id[40];
	struct pf_collect what = collect_what(p, id);

	big_renamed(p);
	what.lower_bytes_max = 100000;
	check(&err, pf_change_collect(p->changes, &what, &c, &err));
	assert_true(c.truncated);
	assert_non_null(strstr(c.note, "moved/one"));
	pf_change_free(&c);
}

static void test_owner(void **state)
{
	struct place *p = *state;
	struct pf_error err = {0};
	struct pf_changeset c = {0}, counts = {0};
	char id[40];
	struct pf_collect what = collect_what(p, id);

	if (needs_root())
		return;
	/* the workspace belongs to 4242 on the host; the sandbox's user is 700000 + 1000 there */
	put(p->ws, "same", "s");
	put(p->ws, "chowned", "c");
	put(p->upper, "same", "s");
	put(p->upper, "chowned", "c");
	put(p->upper, "new", "n");
	put(p->upper, "strange", "n");
	assert_int_equal(fchown(p->ws, 4242, 4242), 0);
	assert_int_equal(fchown(p->upper, 701000, 701000), 0);
	assert_int_equal(fchownat(p->ws, "same", 4242, 4242, 0), 0);
	assert_int_equal(fchownat(p->ws, "chowned", 4242, 4242, 0), 0);
	assert_int_equal(fchownat(p->upper, "same", 701000, 701000, 0), 0);
	assert_int_equal(fchownat(p->upper, "chowned", 700000, 700000, 0), 0);
	assert_int_equal(fchownat(p->upper, "new", 701000, 701000, 0), 0);
	assert_int_equal(fchownat(p->upper, "strange", 5, 5, 0), 0);
	what.uid_base = what.gid_base = 700000;
	check(&err, pf_change_collect(p->changes, &what, &counts, &err));
	pf_change_free(&counts);
	check(&err, pf_change_load(p->changes, id, &c, &err));
	assert_list(&c, "M chowned (owner 0:0)\nA new\nA strange\n");
	assert_int_equal(item(&c, "new")->uid, 1000);
	assert_int_equal(item(&c, "strange")->uid, 65534);
	pf_change_free(&c);
}

static void test_too_deep(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	char name[201];
	int fd = dup(p->upper);

	memset(name, 'd', 200);
	name[200] = '\0';
	for (int i = 0; i < 30; i++) { /* 6,000 bytes, made as a command would: step by step */
		int next = dir_at(fd, name);

		close(fd);
		fd = next;
	}
	close(fd);
	collect(p, &c);
	assert_true(c.truncated);
	assert_non_null(strstr(c.note, "longer than"));
	assert_int_equal(c.count, 20);
	pf_change_free(&c);
}

static int group(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(test_kinds),
		PLACE_TEST(test_nothing),
		PLACE_TEST(test_types),
		PLACE_TEST(test_deleted_tree),
		PLACE_TEST(test_opaque),
		PLACE_TEST(test_redirect),
		PLACE_TEST(test_redirect_hostile),
		PLACE_TEST(test_masked),
		PLACE_TEST(test_protect),
		cmocka_unit_test(test_protect_rules),
		PLACE_TEST(test_special),
		PLACE_TEST(test_links_and_holes),
		PLACE_TEST(test_move_blobs),
		PLACE_TEST(test_lower_bytes),
		PLACE_TEST(test_owner),
		PLACE_TEST(test_too_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return run_as_both(group);
}
