/* SPDX-License-Identifier: Apache-2.0 */
/* erofs/tree: what an archive may do to it, friendly or not. */
#include "test_erofs.h"

#include "erofs/tree_internal.h"

static struct img g;

static int setup(void **state)
{
	(void)state;
	img_make(&g);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	img_free(&g);
	return 0;
}

static int put_code(const char *path, const struct pf_inode *what)
{
	struct pf_error err = {0};
	struct pf_inode *out = (struct pf_inode *)&g;
	int r = pf_tree_put(g.tree, path, what, &out, &err);

	if (r < 0) {
		assert_int_equal(err.code, r);
		assert_true(*err.msg != '\0');
		assert_ptr_equal(out, &g); /* untouched */
	}
	return r;
}

static int put_dir_code(const char *path)
{
	return put_code(path, &(struct pf_inode){.mode = S_IFDIR | 0755});
}

static int link_code(const char *path, const char *to)
{
	struct pf_error err = {0};
	int r = pf_tree_link(g.tree, path, to, &err);

	assert_true(r == 0 || *err.msg);
	return r;
}

static int remove_code(const char *path)
{
	struct pf_error err = {0};

	return pf_tree_remove(g.tree, path, &err);
}

static int clear_code(const char *path)
{
	struct pf_error err = {0};

	return pf_tree_clear(g.tree, path, &err);
}

static struct pf_inode *find(const char *path)
{
	return pf_tree_find(g.tree, path);
}

static int collect(void *user, const char *path, struct pf_inode *i)
{
	pf_buf_addf(user, "%s%s ", path, S_ISDIR(i->mode) ? "/" : "");
	return 0;
}

/* All paths, in order. */
static void assert_paths(const char *expected)
{
	struct pf_error err = {0};
	struct pf_buf b = {0};

	check(&err, pf_tree_sort(g.tree, &err));
	check(&err, pf_tree_walk(g.tree, collect, &b, &err));
	assert_string_equal(b.data, expected);
	pf_buf_free(&b);
}

static void fresh_tree(void **state)
{
	const struct pf_inode *root = pf_tree_root(g.tree);

	(void)state;
	assert_int_equal(root->mode, S_IFDIR | 0755);
	assert_true(root->implied);
	assert_int_equal(root->links, 2);
	assert_ptr_equal(find(""), root);
	assert_null(find("x"));
	assert_int_equal(pf_tree_inodes(g.tree), 1);
	assert_paths("/ ");
}

static void parents_are_implied(void **state)
{
	struct pf_inode *d;

	(void)state;
	put_file(&g, "a/b/c", "x", 1);
	d = find("a/b");
	assert_non_null(d);
	assert_true(d->implied);
	assert_int_equal(d->mode, S_IFDIR | 0755);
	assert_int_equal(d->uid, 0);
	assert_ptr_equal(d->parent, find("a"));
	/* What describes it later keeps what is in it. */
	put(&g, "a/b", &(struct pf_inode){.mode = S_IFDIR | 0700, .uid = 7, .mtime = 5});
	d = find("a/b");
	assert_false(d->implied);
	assert_int_equal(d->mode, S_IFDIR | 0700);
	assert_int_equal(d->uid, 7);
	assert_int_equal(d->mtime, 5);
	assert_non_null(find("a/b/c"));
	put(&g, "", &(struct pf_inode){.mode = S_IFDIR | 01777});
	assert_int_equal(pf_tree_root(g.tree)->mode, S_IFDIR | 01777);
	assert_false(pf_tree_root(g.tree)->implied);
	assert_paths("/ a/ a/b/ a/b/c ");
	assert_int_equal(find("a")->links, 3);
	assert_int_equal(pf_tree_root(g.tree)->links, 3);
}

static void sorted_by_bytes(void **state)
{
	(void)state;
	put_mode(&g, "b", S_IFIFO);
	put_mode(&g, "a\xff", S_IFIFO);
	put_mode(&g, "a", S_IFIFO);
	put_mode(&g, "a.", S_IFIFO);
	put_mode(&g, "-", S_IFIFO);
	put_mode(&g, "a0/x", S_IFIFO);
	assert_paths("/ - a a. a0/ a0/x a\xff b ");
}

static void linked_parents(void **state)
{
	(void)state;
	put_mode(&g, "usr/bin", S_IFDIR | 0755);
	put_link(&g, "bin", "usr/bin");
	put_link(&g, "abs", "/usr/bin");
	put_link(&g, "usr/up", "../../../../usr/./bin//");
	put_file(&g, "bin/sh", "1", 1);
	put_file(&g, "abs/ls", "2", 1);
	put_file(&g, "usr/up/cat", "3", 1);
	assert_paths("/ abs bin usr/ usr/bin/ usr/bin/cat usr/bin/ls usr/bin/sh usr/up ");
	assert_ptr_equal(find("bin/sh"), find("usr/bin/sh"));
	/* The last component is not followed: it is replaced. */
	assert_true(S_ISLNK(find("bin")->mode));
	put_file(&g, "bin", "x", 1);
	assert_true(S_ISREG(find("bin")->mode));
	assert_non_null(find("usr/bin/sh"));
	/* What a link names and is not there is made. */
	put_link(&g, "lib", "usr/lib");
	put_file(&g, "lib/x/y", "1", 1);
	assert_non_null(find("usr/lib/x/y"));
	assert_true(find("usr/lib")->implied);
}

static void linked_parents_stay_inside(void **state)
{
	(void)state;
	put_link(&g, "out", "../../../../../../etc");
	put_link(&g, "root", "/");
	put_link(&g, "self", ".");
	put_file(&g, "out/passwd", "x", 1);
	put_file(&g, "root/r", "x", 1);
	put_file(&g, "self/self/self/s", "x", 1);
	assert_paths("/ etc/ etc/passwd out r root s self ");
}

static void link_loops(void **state)
{
	(void)state;
	put_link(&g, "a", "b");
	put_link(&g, "b", "a");
	put_link(&g, "me", "me/x");
	assert_int_equal(put_dir_code("a/x"), -ELOOP);
	assert_int_equal(put_dir_code("me/x"), -ELOOP);
	assert_null(find("a/x"));
	assert_int_equal(remove_code("a/x"), -ELOOP);
	assert_paths("/ a b me ");
	/* Forty in a row are followed, as by the kernel, and no more. */
	for (int i = 1; i <= 41; i++) {
		char name[16], target[16];

		snprintf(name, sizeof(name), "l%d", i);
		snprintf(target, sizeof(target), i == 1 ? "d" : "l%d", i - 1);
		put_link(&g, name, target);
	}
	assert_int_equal(put_dir_code("l40/x"), 0);
	assert_non_null(find("d/x"));
	assert_int_equal(put_dir_code("l41/x"), -ELOOP);
}

static void links_to_long_paths(void **state)
{
	char target[4096], name[300] = {0};

	(void)state;
	memset(target, 'x', sizeof(target) - 1);
	target[sizeof(target) - 1] = '\0';
	for (size_t i = 100; i < sizeof(target) - 1; i += 100)
		target[i] = '/';
	put_link(&g, "long", target);
	assert_int_equal(put_dir_code("long/a"), -ENAMETOOLONG); /* a byte too long with what follows */
	memset(name, 'n', 256);
	put_link(&g, "name", name);
	assert_int_equal(put_dir_code("name/a"), -ENAMETOOLONG);
	/* Depth counts where it comes to lie, not as it is written. */
	memset(target, 0, sizeof(target));
	for (int i = 0; i < 250; i++)
		strcat(target, "d/");
	put_link(&g, "deep", target);
	assert_int_equal(put_dir_code("deep/1/2/3/4/5/6"), 0);
	assert_int_equal(put_dir_code("deep/1/2/3/4/5/6/7"), -ENAMETOOLONG);
}

static void files_as_parents(void **state)
{
	(void)state;
	put_file(&g, "f", "x", 1);
	assert_int_equal(put_dir_code("f/x"), -ENOTDIR);
	put_link(&g, "l", "f");
	assert_int_equal(put_dir_code("l/x"), -ENOTDIR);
	assert_int_equal(remove_code("f/x"), 0);
	assert_int_equal(clear_code("f/x"), 0);
	assert_paths("/ f l ");
}

static void unclean_paths(void **state)
{
	static const char *const paths[] = {"/a",  "a/",  "a//b", ".",	  "..", "a/../b",
					    "./a", "a/.", "/",	  "a/..", "//"};
	char name[5000];

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(paths); i++) {
		assert_int_equal(put_dir_code(paths[i]), -EINVAL);
		assert_null(find(paths[i]));
		assert_int_equal(link_code(paths[i], "x"), -ENOENT);
		assert_int_equal(remove_code(paths[i]), -EINVAL);
		assert_int_equal(clear_code(paths[i]), -EINVAL);
	}
	memset(name, 'a', 256);
	name[256] = '\0';
	assert_int_equal(put_dir_code(name), -ENAMETOOLONG);
	name[255] = '\0';
	assert_int_equal(put_dir_code(name), 0);
	memset(name, 0, sizeof(name));
	for (int i = 0; i < 256; i++)
		strcat(name, i ? "/a" : "a");
	assert_int_equal(put_dir_code(name), 0);
	strcat(name, "/a");
	assert_int_equal(put_dir_code(name), -ENAMETOOLONG);
	memset(name, 'a', sizeof(name));
	for (int i = 200; i < 4096; i += 200)
		name[i] = '/';
	name[4097] = '\0';
	assert_int_equal(put_dir_code(name), -ENAMETOOLONG);
	name[4096] = '\0';
	assert_int_equal(put_dir_code(name), 0);
}

static void replaced_types(void **state)
{
	(void)state;
	put_file(&g, "x", "1", 1);
	put_mode(&g, "x", S_IFDIR | 0700);
	assert_true(S_ISDIR(find("x")->mode));
	put_file(&g, "x/a/b", "1", 1);
	put_file(&g, "x/c", "1", 1);
	assert_int_equal(pf_tree_root(g.tree)->links, 3);
	put_link(&g, "x", "c");
	assert_int_equal(pf_tree_root(g.tree)->links, 2);
	assert_paths("/ x ");
	assert_int_equal(pf_tree_inodes(g.tree), 2);
	put_mode(&g, "x", S_IFDIR | 0700);
	assert_paths("/ x/ ");
	/* Over itself. */
	put(&g, "x", find("x"));
	put_file(&g, "x/f", "1", 1);
	put(&g, "x/f", find("x/f"));
	assert_int_equal(find("x/f")->links, 1);
	assert_paths("/ x/ x/f ");
	assert_int_equal(put_code("", &(struct pf_inode){.mode = S_IFREG}), -ENOTDIR);
}

static void removal(void **state)
{
	(void)state;
	put_file(&g, "a/b/c", "1", 1);
	put_file(&g, "a/d", "1", 1);
	put_file(&g, "e", "1", 1);
	assert_int_equal(remove_code("nothing"), 0);
	assert_int_equal(remove_code("no/thing"), 0);
	assert_int_equal(remove_code(""), -EPERM);
	assert_int_equal(remove_code("a/b"), 0);
	assert_paths("/ a/ a/d e ");
	assert_int_equal(find("a")->links, 2);
	assert_int_equal(clear_code("a"), 0);
	assert_paths("/ a/ e ");
	assert_int_equal(clear_code("e"), 0);
	assert_int_equal(clear_code("f"), 0);
	assert_paths("/ a/ e ");
	put_file(&g, "a/x/y/z", "1", 1);
	assert_int_equal(clear_code(""), 0);
	assert_paths("/ ");
	assert_int_equal(pf_tree_inodes(g.tree), 1);
	assert_int_equal(pf_tree_root(g.tree)->links, 2);
	put_file(&g, "again", "1", 1);
	assert_paths("/ again ");
}

static void opaque_through_a_link(void **state)
{
	(void)state;
	put_file(&g, "usr/lib/x", "1", 1);
	put_link(&g, "lib", "usr/lib");
	assert_int_equal(clear_code("lib"), 0); /* names the link itself, which has nothing beneath */
	assert_non_null(find("usr/lib/x"));
	put_link(&g, "u", "usr");
	assert_int_equal(clear_code("u/lib"), 0);
	assert_null(find("usr/lib/x"));
	assert_non_null(find("usr/lib"));
}

static void hard_links(void **state)
{
	struct pf_inode *f;

	(void)state;
	f = put_file(&g, "f", "1", 1);
	assert_int_equal(link_code("d/g", "f"), 0);
	assert_ptr_equal(find("d/g"), f);
	assert_int_equal(f->links, 2);
	assert_int_equal(link_code("d/g", "f"), 0);
	assert_int_equal(f->links, 2);
	assert_int_equal(link_code("d/g", "d/g"), 0);
	assert_int_equal(link_code("x", "nothing"), -ENOENT);
	assert_int_equal(link_code("x", "d"), -EPERM);
	assert_int_equal(link_code("", "f"), -ENOTDIR);
	assert_int_equal(remove_code("f"), 0);
	assert_int_equal(f->links, 1);
	assert_paths("/ d/ d/g ");
	assert_int_equal(pf_tree_inodes(g.tree), 3);
	/* In place of the directory that the file is in. */
	assert_int_equal(link_code("d", "d/g"), 0);
	assert_ptr_equal(find("d"), f);
	assert_int_equal(f->links, 1);
	assert_paths("/ d ");
	/* A symbolic link is linked itself, a path to it is followed. */
	put_link(&g, "s", "t");
	assert_int_equal(link_code("s2", "s"), 0);
	assert_int_equal(find("s")->links, 2);
	put_link(&g, "here", ".");
	assert_int_equal(link_code("here/s3", "here/here/s"), 0);
	assert_int_equal(find("s")->links, 3);
	/* One name of several is replaced. */
	put_file(&g, "s2", "1", 1);
	assert_int_equal(find("s")->links, 2);
}

static void bad_inodes(void **state)
{
	struct pf_extent overlap[] = {{0, 10, 0}, {9, 1, 0}}, beyond[] = {{0, 11, 0}},
			 wrap[] = {{5, UINT64_MAX - 4, 0}}, spool[] = {{0, 10, INT64_MAX - 5}},
			 back[] = {{5, 1, 0}, {0, 1, 1}};
	struct pf_xattr unknown[] = {{"system.nfs4_acl", "x", 1}}, bare[] = {{"user.", "x", 1}},
			none[] = {{"", "x", 1}},
			twice[] = {{"user.a", "x", 1}, {"user.b", "x", 1}, {"user.a", "y", 1}},
			large[] = {{"user.a", g.tree, 65536}}, acl[] = {{"system.posix_acl_accessx", "x", 1}};
	char long_target[4097];
	const struct {
		struct pf_inode what;
		int code;
	} cases[] = {
		{{.mode = 0644}, -EINVAL},
		{{.mode = S_IFREG | 0200000}, -EINVAL},
		{{.mode = S_IFDIR | S_IFREG | S_IFIFO}, -EINVAL},
		{{.mode = S_IFLNK}, -EINVAL},
		{{.mode = S_IFLNK, .target = ""}, -EINVAL},
		{{.mode = S_IFLNK, .target = long_target}, -ENAMETOOLONG},
		{{.mode = S_IFREG, .target = "x"}, -EINVAL},
		{{.mode = S_IFREG, .uid = UINT32_MAX}, -EINVAL},
		{{.mode = S_IFREG, .gid = UINT32_MAX}, -EINVAL},
		{{.mode = S_IFREG, .mtime_ns = 1000000000}, -EINVAL},
		{{.mode = S_IFREG, .size = UINT64_MAX}, -EFBIG},
		{{.mode = S_IFREG, .size = 10, .extents = overlap, .extent_count = 2}, -EINVAL},
		{{.mode = S_IFREG, .size = 10, .extents = beyond, .extent_count = 1}, -EINVAL},
		{{.mode = S_IFREG, .size = 10, .extents = wrap, .extent_count = 1}, -EINVAL},
		{{.mode = S_IFREG, .size = 10, .extents = spool, .extent_count = 1}, -EINVAL},
		{{.mode = S_IFREG, .size = 10, .extents = back, .extent_count = 2}, -EINVAL},
		{{.mode = S_IFIFO, .extents = back, .extent_count = 1}, -EINVAL},
		{{.mode = S_IFCHR, .rdev_major = 4096}, -EINVAL},
		{{.mode = S_IFBLK, .rdev_minor = 1048576}, -EINVAL},
		{{.mode = S_IFREG, .xattrs = unknown, .xattr_count = 1}, -EOPNOTSUPP},
		{{.mode = S_IFREG, .xattrs = bare, .xattr_count = 1}, -EOPNOTSUPP},
		{{.mode = S_IFREG, .xattrs = none, .xattr_count = 1}, -EOPNOTSUPP},
		{{.mode = S_IFREG, .xattrs = acl, .xattr_count = 1}, -EOPNOTSUPP},
		{{.mode = S_IFREG, .xattrs = large, .xattr_count = 1}, -E2BIG},
		{{.mode = S_IFREG, .xattrs = twice, .xattr_count = 3}, -EEXIST},
		{{.mode = S_IFDIR, .xattrs = twice, .xattr_count = 3}, -EEXIST},
	};

	(void)state;
	memset(long_target, 'x', sizeof(long_target));
	long_target[4096] = '\0';
	put_mode(&g, "there", S_IFDIR);
	for (size_t i = 0; i < PF_ARRAY_SIZE(cases); i++) {
		if (put_code("x", &cases[i].what) != cases[i].code ||
		    put_code("there", &cases[i].what) != cases[i].code)
			fail_msg("case %zu", i);
	}
	assert_paths("/ there/ ");
	long_target[4095] = '\0';
	put_link(&g, "x", long_target);
	assert_int_equal(find("x")->size, 4095);
}

static void attributes_are_bounded(void **state)
{
	struct pf_xattr x[5];
	static char value[65535];

	(void)state;
	for (int i = 0; i < 5; i++)
		x[i] = (struct pf_xattr){(char *[]){"user.e", "user.d", "user.c", "user.b", "user.a"}[i],
					 value, 65535};
	assert_int_equal(put_code("f", &(struct pf_inode){.mode = S_IFREG, .xattrs = x, .xattr_count = 5}),
			 -E2BIG);
	assert_int_equal(put_code("f", &(struct pf_inode){.mode = S_IFREG, .xattrs = x, .xattr_count = 3}),
			 0);
	assert_string_equal(find("f")->xattrs[0].name, "user.c");
	assert_string_equal(find("f")->xattrs[2].name, "user.e");
	assert_int_equal(find("f")->xattrs[2].size, 65535);
}

static void copies_are_deep(void **state)
{
	struct pf_extent e = {0, 1, 0};
	char value[] = "v", name[] = "user.n";
	struct pf_xattr x = {name, value, 1};
	struct pf_inode what = {.mode = S_IFREG,
				.size = 1,
				.extents = &e,
				.extent_count = 1,
				.xattrs = &x,
				.xattr_count = 1,
				.links = 9,
				.nid = 9,
				.entry_count = 9};
	struct pf_inode *f = put(&g, "f", &what);

	(void)state;
	e.at = 7;
	value[0] = name[0] = 'X';
	assert_int_equal(f->extents[0].at, 0);
	assert_string_equal(f->xattrs[0].name, "user.n");
	assert_memory_equal(f->xattrs[0].value, "v", 1);
	assert_int_equal(f->links, 1);
	assert_int_equal(f->nid, 0);
	assert_int_equal(f->entry_count, 0);
}

/* In rising, falling and random order, with every third taken out again and put back. */
static void large_directories(void **state)
{
	enum { N = 100000 };
	uint64_t seed = 7;
	struct pf_error err = {0};
	char path[32];
	struct pf_inode *d;

	(void)state;
	for (int order = 0; order < 3; order++) {
		for (uint32_t i = 0; i < N; i++) {
			uint32_t k = order == 0	  ? i
				     : order == 1 ? N - 1 - i
						  : (uint32_t)((i * 48271ull + 11) % N);

			snprintf(path, sizeof(path), "d/%u", k);
			put_mode(&g, path, S_IFIFO);
		}
		assert_int_equal(find("d")->entry_count, N);
		for (uint32_t i = 0; i < N; i += 3) {
			snprintf(path, sizeof(path), "d/%u", i);
			assert_int_equal(remove_code(path), 0);
		}
		for (uint32_t i = 0; i < 1000; i++) {
			uint32_t k = (uint32_t)(rnd(&seed) % N);

			snprintf(path, sizeof(path), "d/%u", k);
			assert_int_equal(find(path) != NULL, k % 3 != 0);
		}
		check(&err, pf_tree_sort(g.tree, &err));
		d = find("d");
		assert_int_equal(d->entry_count, N - (N + 2) / 3);
		for (size_t i = 1; i < d->entry_count; i++)
			assert_true(strcmp(d->entries[i - 1].name, d->entries[i].name) < 0);
		put_mode(&g, "d/1", S_IFIFO); /* found after sorting, replaced */
		assert_int_equal(d->entry_count, N - (N + 2) / 3);
		assert_int_equal(remove_code("d"), 0);
		assert_int_equal(pf_tree_inodes(g.tree), 1);
	}
}

/* A random life of one directory beside a plain list. */
static void index_against_a_list(void **state)
{
	bool there[400] = {0};
	size_t count = 0;
	uint64_t seed = 11;
	char path[32];

	(void)state;
	put_mode(&g, "d", S_IFDIR);
	for (int round = 0; round < 60000; round++) {
		uint32_t k = (uint32_t)(rnd(&seed) % PF_ARRAY_SIZE(there));
		bool add = rnd(&seed) % 1000 < (round / 10000 % 2 ? 300u : 700u);

		snprintf(path, sizeof(path), "d/%u", k);
		assert_int_equal(find(path) != NULL, there[k]);
		if (add)
			put_mode(&g, path, k % 5 ? S_IFIFO : S_IFDIR);
		else
			assert_int_equal(remove_code(path), 0);
		count += add - there[k];
		there[k] = add;
		assert_int_equal(find("d")->entry_count, count);
	}
}

static void deep_trees_go_without_recursion(void **state)
{
	char path[2000] = "d";

	(void)state;
	for (int i = 0; i < 255; i++)
		strcat(path, "/d");
	for (int i = 0; i < 3; i++) {
		put_mode(&g, path, S_IFDIR);
		assert_int_equal(pf_tree_inodes(g.tree), 257);
		assert_int_equal(remove_code("d"), 0);
		assert_int_equal(pf_tree_inodes(g.tree), 1);
	}
}

/* As if the tree had nearly all that it may have. */
static void memory_is_bounded(void **state)
{
	static char value[65535];
	struct pf_xattr x[3] = {{"user.a", value, 65535}, {"user.b", value, 65535}, {"user.c", value, 65535}};
	struct pf_inode what = {.mode = S_IFDIR, .xattrs = x, .xattr_count = 3};
	const uint64_t taken = PF_TREE_MEMORY_MAX - (10u << 20);
	uint64_t before = g.tree->memory;
	char path[32];
	int r = 0, n;

	(void)state;
	g.tree->memory += taken;
	for (n = 0; r == 0 && n < 1000; n++) {
		snprintf(path, sizeof(path), "f%d", n);
		r = put_code(path, &what);
	}
	assert_int_equal(r, -E2BIG);
	assert_true(n > 50 && n < 55); /* of 192 KiB each */
	/* What was given back can be used again. */
	assert_int_equal(remove_code("f0"), 0);
	assert_int_equal(put_code("f0", &what), 0);
	for (n = 0; r != -E2BIG || n < 100; n++) {
		char name[300];

		memset(name, 'x', sizeof(name));
		snprintf(name, 16, "%d", n);
		name[strlen(name)] = 'x';
		name[255] = '\0';
		r = put_code(name, &(struct pf_inode){.mode = S_IFIFO});
		assert_true(r == 0 || r == -E2BIG);
	}
	assert_int_equal(clear_code(""), 0);
	assert_int_equal(g.tree->memory, before + taken); /* counted back to the byte */
	g.tree->memory -= taken;
}

static void number_is_bounded(void **state)
{
	(void)state;
	put_mode(&g, "a", S_IFIFO);
	g.tree->entries += PF_TREE_NODES_MAX - 2;
	assert_int_equal(put_code("b", &(struct pf_inode){.mode = S_IFIFO}), 0);
	assert_int_equal(put_code("c", &(struct pf_inode){.mode = S_IFIFO}), -E2BIG);
	assert_int_equal(link_code("c", "a"), -E2BIG);
	assert_int_equal(put_code("b", &(struct pf_inode){.mode = S_IFIFO}), 0); /* replaced */
	assert_int_equal(remove_code("b"), 0);
	assert_int_equal(link_code("c", "a"), 0);
	g.tree->entries -= PF_TREE_NODES_MAX - 2;
	assert_paths("/ a c ");
}

static void unsorted_is_not_walked(void **state)
{
	struct pf_error err = {0};
	struct pf_buf b = {0};

	(void)state;
	put_mode(&g, "b", S_IFIFO);
	assert_int_equal(pf_tree_walk(g.tree, collect, &b, &err), -EINVAL);
	check(&err, pf_tree_sort(g.tree, &err));
	assert_int_equal(pf_tree_walk(g.tree, collect, &b, &err), 0);
	put_mode(&g, "a", S_IFIFO);
	assert_int_equal(pf_tree_walk(g.tree, collect, &b, &err), -EINVAL);
	pf_buf_free(&b);
}

static int stop_at_b(void *user, const char *path, struct pf_inode *i)
{
	(void)i;
	++*(int *)user;
	return strcmp(path, "b") == 0 ? 42 : 0;
}

static void walks_can_be_ended(void **state)
{
	struct pf_error err = {0};
	int steps = 0;

	(void)state;
	put_mode(&g, "a/x", S_IFDIR);
	put_mode(&g, "b", S_IFIFO);
	put_mode(&g, "c", S_IFIFO);
	check(&err, pf_tree_sort(g.tree, &err));
	assert_int_equal(pf_tree_walk(g.tree, stop_at_b, &steps, &err), 42);
	assert_int_equal(steps, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(fresh_tree),
		T(parents_are_implied),
		T(sorted_by_bytes),
		T(linked_parents),
		T(linked_parents_stay_inside),
		T(link_loops),
		T(links_to_long_paths),
		T(files_as_parents),
		T(unclean_paths),
		T(replaced_types),
		T(removal),
		T(opaque_through_a_link),
		T(hard_links),
		T(bad_inodes),
		T(attributes_are_bounded),
		T(copies_are_deep),
		T(large_directories),
		T(index_against_a_list),
		T(deep_trees_go_without_recursion),
		T(memory_is_bounded),
		T(number_is_bounded),
		T(unsorted_is_not_walked),
		T(walks_can_be_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
