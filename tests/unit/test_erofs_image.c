/* SPDX-License-Identifier: Apache-2.0 */
/* erofs/write and erofs/read: what was put into a tree is what is read from its image, and the tree alone
 * decides the bytes. */
#include "test_erofs_random.h"

#define SEEDS 150

static struct img g;
static struct image m;

static int setup(void **state)
{
	(void)state;
	img_make(&g);
	m = (struct image){.fd = -1};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	img_free(&g);
	if (m.fd >= 0)
		image_free(&m);
	return 0;
}

/* The image holds what the tree holds. */
static void assert_round_trip(struct img *tree, const struct image *image)
{
	struct describer a = {0}, b = {0};

	describe_tree(tree, &a);
	describe_image(&image->fs, &b);
	assert_same(&a, &b);
	assert_int_equal(image->fs.inodes, pf_tree_inodes(tree->tree));
}

static struct pf_erofs_inode get(const char *path)
{
	struct pf_erofs_inode i;
	struct pf_error err = {0};
	uint64_t nid = m.fs.root;

	check(&err, pf_erofs_inode(&m.fs, nid, &i, &err));
	while (*path) {
		size_t n = strcspn(path, "/");

		check(&err, pf_erofs_lookup(&m.fs, &i, path, n, &nid, &err));
		check(&err, pf_erofs_inode(&m.fs, nid, &i, &err));
		path += n + (path[n] == '/');
	}
	return i;
}

static void nothing_but_a_root(void **state)
{
	struct pf_erofs_inode i;

	(void)state;
	image_write(&g, &m);
	assert_round_trip(&g, &m);
	assert_int_equal(m.size, 2 * BLOCK); /* superblock and one of metadata */
	i = get("");
	assert_int_equal(i.links, 2);
	assert_int_equal(i.mode, S_IFDIR | 0755);
}

static void random_trees(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct img tree, again;
		struct image one, two;
		struct items items;

		img_make(&tree);
		random_items(seed, &tree, &items, WILD);
		items_put(&tree, &items, 0);
		image_write(&tree, &one);
		assert_round_trip(&tree, &one);
		/* The same entries in another order, and first into a tree that had something else. */
		again = (struct img){.spool = tree.spool};
		assert_int_equal(pf_tree_new(&again.tree, NULL), 0);
		put_mode(&again, "zz/yy", S_IFIFO);
		assert_int_equal(pf_tree_clear(again.tree, "", NULL), 0);
		items_put(&again, &items, seed);
		image_write(&again, &two);
		if (one.size != two.size || memcmp(one.data, two.data, one.size) != 0)
			fail_msg("seed %llu: order decides", (unsigned long long)seed);
		pf_tree_free(again.tree);
		image_free(&one);
		image_free(&two);
		items_free(&items);
		img_free(&tree);
	}
}

/* What an extent is and what two that meet are is the importer's matter. */
static void parts_do_not_matter(void **state)
{
	static uint8_t bytes[50000];
	struct pf_extent whole = {0}, parts[5];
	struct image other;
	char digest[2][PF_DIGEST_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + 1);
	for (int holes = 0; holes < 2; holes++) {
		uint64_t shift = holes ? 1u << 20 : 0;

		whole = (struct pf_extent){shift, sizeof(bytes), spool_bytes(&g, bytes, sizeof(bytes))};
		parts[0] = (struct pf_extent){shift, 100, spool_bytes(&g, bytes, 100)};
		parts[1] = (struct pf_extent){shift + 100, 0, 0};
		parts[2] = (struct pf_extent){shift + 100, 3996, whole.spool + 100};
		parts[3] = (struct pf_extent){shift + 4096, 30000, whole.spool + 4096};
		parts[4] = (struct pf_extent){shift + 34096, 15904, whole.spool + 34096};
		put(&g, "f",
		    &(struct pf_inode){.mode = S_IFREG,
				       .size = shift + sizeof(bytes),
				       .extents = &whole,
				       .extent_count = 1});
		image_write(&g, &m);
		put(&g, "f",
		    &(struct pf_inode){.mode = S_IFREG,
				       .size = shift + sizeof(bytes),
				       .extents = parts,
				       .extent_count = 5});
		image_write(&g, &other);
		image_digest(&m, digest[0]);
		image_digest(&other, digest[1]);
		assert_string_equal(digest[0], digest[1]);
		assert_round_trip(&g, &m);
		image_free(&m);
		image_free(&other);
		m.fd = -1;
	}
}

/* The format must not drift: the digest of an image is an address that others keep. */
static void bytes_are_fixed(void **state)
{
	struct pf_xattr x[] = {{"user.u", "value", 5}, {"security.capability", "\1\0\0\2", 4}};
	static uint8_t bytes[10000];
	struct pf_extent e[] = {{0, 10, 0}, {1 << 20, 5000, 100}};
	char digest[PF_DIGEST_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * i + 1);
	spool_bytes(&g, bytes, sizeof(bytes));
	put(&g, "a/sparse",
	    &(struct pf_inode){.mode = S_IFREG | 0644, .size = 3 << 20, .extents = e, .extent_count = 2});
	put(&g, "a/set",
	    &(struct pf_inode){.mode = S_IFREG | 04755,
			       .uid = 70000,
			       .gid = 5,
			       .mtime = -1,
			       .mtime_ns = 7,
			       .size = 10,
			       .extents = e,
			       .extent_count = 1,
			       .xattrs = x,
			       .xattr_count = 2});
	put_link(&g, "-", "a/set");
	put(&g, "null", &(struct pf_inode){.mode = S_IFCHR | 0666, .rdev_major = 1, .rdev_minor = 300});
	check(NULL, pf_tree_link(g.tree, "b", "a/set", NULL));
	image_write(&g, &m);
	assert_round_trip(&g, &m);
	image_digest(&m, digest);
	assert_string_equal(digest,
			    "sha256:0084c478c1a4cecf8798d32d2a66467856aaee7fd99de98a9dd8ebb59bb20d90");
}

static void odd_directories(void **state)
{
	char path[400];

	(void)state;
	put_mode(&g, "before/!", S_IFIFO);
	put_mode(&g, "before/-", S_IFIFO);
	put_mode(&g, "before/.\x01", S_IFIFO);
	put_mode(&g, "before/...", S_IFIFO);
	put_mode(&g, "before/..a", S_IFIFO);
	put_mode(&g, "before/.a", S_IFIFO);
	put_mode(&g, "empty", S_IFDIR);
	/* Names of 255 bytes, of which a block holds fifteen; and sizes about a block. */
	for (int i = 0; i < 40; i++) {
		int n = snprintf(path, sizeof(path), "long/%02d", i);

		memset(path + n, 'x', 255 - 2);
		path[n + 253] = '\0';
		put_mode(&g, path, S_IFIFO);
	}
	for (int size = 3990; size < 4110; size++) { /* 27 for the dots, 12 and a name for each */
		int left = size - 27, k = 0;

		while (left > 0) {
			int n = left >= 200 ? 88 : left - 12;

			if (n < 1)
				break;
			snprintf(path, sizeof(path), "size/%d/%03d%*s", size, k++, n > 3 ? n - 3 : 0, "");
			put_mode(&g, path, S_IFIFO);
			left -= 12 + n;
		}
	}
	image_write(&g, &m);
	assert_round_trip(&g, &m);
	for (const char *const *name = (const char *const[]){"!", "-", ".\x01", "...", "..a", ".a", NULL};
	     *name; name++) {
		snprintf(path, sizeof(path), "before/%s", *name);
		assert_true(S_ISFIFO(get(path).mode));
	}
	assert_int_equal(get("empty").size, 12 * 2 + 3);
}

static void hundred_thousand_names(void **state)
{
	enum { N = 100000 };
	struct pf_erofs_inode d;
	struct pf_error err = {0};
	char path[300];
	uint64_t nid, seed = 3;

	(void)state;
	for (int i = 0; i < N; i++) {
		snprintf(path, sizeof(path), "d/%d-%.*s", i, i % 40,
			 "a longer name, that blocks have odd ends");
		put_mode(&g, path, S_IFIFO | (i % 512));
	}
	image_write(&g, &m);
	assert_round_trip(&g, &m);
	d = get("d");
	for (int k = 0; k < 20000; k++) {
		int i = (int)(rnd(&seed) % N);
		struct pf_erofs_inode f;
		int n = snprintf(path, sizeof(path), "%d-%.*s", i, i % 40,
				 "a longer name, that blocks have odd ends");

		check(&err, pf_erofs_lookup(&m.fs, &d, path, (size_t)n, &nid, &err));
		check(&err, pf_erofs_inode(&m.fs, nid, &f, &err));
		assert_int_equal(f.mode, S_IFIFO | (i % 512));
		path[n++] = '~';
		assert_int_equal(pf_erofs_lookup(&m.fs, &d, path, (size_t)n, &nid, &err), -ENOENT);
		assert_int_equal(pf_erofs_lookup(&m.fs, &d, path, 1 + (size_t)k % 3, &nid, &err), -ENOENT);
	}
	assert_int_equal(pf_erofs_lookup(&m.fs, &d, "", 0, &nid, &err), -ENOENT);
	assert_int_equal(pf_erofs_lookup(&m.fs, &d, "\xff", 1, &nid, &err), -ENOENT);
	check(&err, pf_erofs_lookup(&m.fs, &d, ".", 1, &nid, &err));
	assert_int_equal(nid, d.nid);
	check(&err, pf_erofs_lookup(&m.fs, &d, "..", 2, &nid, &err));
	assert_int_equal(nid, m.fs.root);
}

/* Larger than four gigabytes, and nearly nothing in it. */
static void sparse_files(void **state)
{
	struct pf_extent e[] = {{0, 1, 0}, {(5ull << 30) + 123, 2, 1}, {(9ull << 30) - 1, 1, 3}};
	struct pf_erofs_inode f;
	struct pf_error err = {0};
	const uint8_t *at;
	uint64_t run;
	uint8_t b[8];

	(void)state;
	spool_bytes(&g, "abcd", 4);
	put(&g, "sparse",
	    &(struct pf_inode){.mode = S_IFREG, .size = 9ull << 30, .extents = e, .extent_count = 3});
	put(&g, "hole", &(struct pf_inode){.mode = S_IFREG, .size = INT64_MAX});
	put(&g, "small", &(struct pf_inode){.mode = S_IFREG, .size = 10000});
	put(&g, "tiny", &(struct pf_inode){.mode = S_IFREG, .size = 10});
	image_write(&g, &m);
	assert_true(m.size < 5u << 20); /* of which four are the table of the longest */
	assert_round_trip(&g, &m);
	f = get("sparse");
	assert_int_equal(pf_erofs_pread(&m.fs, &f, b, 8, (5ull << 30) + 121, &err), 8);
	assert_memory_equal(b, "\0\0bc\0\0\0\0", 8);
	assert_int_equal(pf_erofs_pread(&m.fs, &f, b, 8, (9ull << 30) - 3, &err), 3);
	assert_memory_equal(b, "\0\0d", 3);
	assert_int_equal(pf_erofs_pread(&m.fs, &f, b, 8, 9ull << 30, &err), 0);
	assert_int_equal(pf_erofs_pread(&m.fs, &f, b, 8, UINT64_MAX, &err), 0);
	assert_int_equal(pf_erofs_run(&m.fs, &f, 9ull << 30, &at, &run, &err), -EINVAL);
	f = get("hole");
	check(&err, pf_erofs_run(&m.fs, &f, INT64_MAX - 1, &at, &run, &err));
	assert_null(at);
	assert_int_equal(run, 1);
}

/* Content of more than a window, in parts that begin at odd bytes. */
static void large_files(void **state)
{
	const size_t n = (9u << 20) + 77;
	uint8_t *bytes = malloc(n);
	uint64_t seed = 5;
	char path[] = "0";

	(void)state;
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)rnd(&seed);
	spool_bytes(&g, "x", 1);
	for (size_t size = n; size > 1000; size = size / 3, path[0]++) {
		struct pf_extent e[] = {{0, size / 2, 1}, {size / 2, size - size / 2, 1 + size / 2}};

		spool_bytes(&g, bytes, path[0] == '0' ? n : 1);
		put(&g, path,
		    &(struct pf_inode){.mode = S_IFREG, .size = size, .extents = e, .extent_count = 2});
	}
	image_write(&g, &m);
	assert_round_trip(&g, &m);
	free(bytes);
}

static void reads_of_any_part(void **state)
{
	static uint8_t bytes[40000], got[40000];
	struct pf_extent e[2];
	uint64_t seed = 9;
	struct pf_error err = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(rnd(&seed) | 1);
	e[0] = (struct pf_extent){0, 5000, spool_bytes(&g, bytes, 5000)};
	e[1] = (struct pf_extent){30000, 7000, spool_bytes(&g, bytes + 30000, 7000)};
	put_file(&g, "flat", bytes, sizeof(bytes));
	put(&g, "holes", &(struct pf_inode){.mode = S_IFREG, .size = 40000, .extents = e, .extent_count = 2});
	image_write(&g, &m);
	for (int sparse = 0; sparse < 2; sparse++) {
		struct pf_erofs_inode f = get(sparse ? "holes" : "flat");

		for (size_t i = 0; sparse && i < sizeof(bytes); i++) {
			if ((i >= 5000 && i < 30000) || i >= 37000)
				bytes[i] = 0;
		}
		for (int k = 0; k < 3000; k++) {
			uint64_t at = rnd(&seed) % 41000, n = rnd(&seed) % 10000;
			int64_t want = at >= 40000 ? 0 : (int64_t)(n < 40000 - at ? n : 40000 - at);

			assert_int_equal(pf_erofs_pread(&m.fs, &f, got, n, at, &err), want);
			assert_memory_equal(got, bytes + (want ? at : 0), (size_t)want);
		}
	}
}

static void refuses_where_not_to_write(void **state)
{
	PF_AUTO_CLOSE int full = memfd_create("x", MFD_CLOEXEC);
	int pipes[2];
	uint64_t size = 77;
	struct pf_error err = {0};

	(void)state;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(pf_erofs_write(g.tree, g.spool, pipes[1], &size, &err), -EINVAL);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(write(full, "x", 1), 1);
	assert_int_equal(pf_erofs_write(g.tree, g.spool, full, &size, &err), -EINVAL);
	assert_int_equal(ftruncate(full, 0), 0);
	assert_int_equal(pf_erofs_write(g.tree, g.spool, full, &size, &err), -EINVAL); /* not sorted */
	check(&err, pf_tree_sort(g.tree, &err));
	assert_int_equal(fcntl(full, F_SETFL, O_APPEND), 0);
	assert_int_equal(pf_erofs_write(g.tree, g.spool, full, &size, &err), -EINVAL);
	assert_int_equal(fcntl(full, F_SETFL, 0), 0);
	assert_int_equal(size, 77);
	check(&err, pf_erofs_write(g.tree, g.spool, full, &size, &err));
}

static void spool_that_is_cut_off(void **state)
{
	static const size_t sizes[] = {100, 5000, 3 << 20};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(sizes); i++) {
		PF_AUTO_CLOSE int fd = memfd_create("x", MFD_CLOEXEC);
		struct pf_extent e = {0, sizes[i], 0};
		uint64_t size = 77;
		struct pf_error err = {0};
		uint8_t magic[4] = {0};

		assert_int_equal(ftruncate(g.spool, (off_t)sizes[i] - 1), 0);
		put(&g, "f",
		    &(struct pf_inode){.mode = S_IFREG, .size = sizes[i], .extents = &e, .extent_count = 1});
		check(&err, pf_tree_sort(g.tree, &err));
		assert_int_equal(pf_erofs_write(g.tree, g.spool, fd, &size, &err), -EIO);
		assert_non_null(strstr(err.msg, "spool"));
		assert_int_equal(size, 77);
		/* What was begun is no image. */
		assert_true(pread(fd, magic, 4, 1024) >= 0);
		assert_memory_equal(magic, "\0\0\0\0", 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(nothing_but_a_root),	  T(random_trees),
		T(parts_do_not_matter),	  T(bytes_are_fixed),
		T(odd_directories),	  T(hundred_thousand_names),
		T(sparse_files),	  T(large_files),
		T(reads_of_any_part),	  T(refuses_where_not_to_write),
		T(spool_that_is_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
