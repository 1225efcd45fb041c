/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images beside those who define the format: fsck.erofs and the kernel read ours, and we read those of
 * mkfs.erofs. Needs erofs-utils; mounting needs root and a kernel with EROFS (from a file since 6.12, else by
 * a loop device).
 */
#include "test_erofs_random.h"

#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "erofs/format.h"

#define SEEDS 12

extern char **environ;

static char place[64];
static struct img g;
static struct image m;

static int setup(void **state)
{
	(void)state;
	umask(022);
	strcpy(place, "/tmp/pf-test-erofs-XXXXXX");
	if (!mkdtemp(place))
		return -1;
	img_make(&g);
	m = (struct image){.fd = -1};
	return 0;
}

static int teardown(void **state)
{
	PF_AUTO_CLOSE int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	img_free(&g);
	if (m.fd >= 0)
		image_free(&m);
	return pf_remove_tree(tmp, place + strlen("/tmp/"));
}

static const char *in_place(const char *name)
{
	static char path[4][128];
	static unsigned k;

	k = (k + 1) % 4;
	snprintf(path[k], sizeof(path[k]), "%s/%s", place, name);
	return path[k];
}

/* Run a program, its output into place/log. Its exit status, or -1 where it is not there. */
static int run(const char *const *argv)
{
	posix_spawn_file_actions_t to;
	int status;
	pid_t pid;
	int r;

	posix_spawn_file_actions_init(&to);
	posix_spawn_file_actions_addopen(&to, 1, in_place("log"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_adddup2(&to, 1, 2);
	r = posix_spawnp(&pid, argv[0], &to, NULL, (char *const *)(uintptr_t)argv, environ);
	posix_spawn_file_actions_destroy(&to);
	if (r != 0)
		return -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
}

#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

static void must_pass(int status, const char *what)
{
	struct pf_buf log = {0};

	if (status == 0)
		return;
	pf_read_file(AT_FDCWD, in_place("log"), &log, 1 << 20);
	fail_msg("%s: %d\n%s", what, status, log.data ? log.data : "");
}

static void need(const char *program)
{
	if (RUN(program, "-V") >= 0)
		return;
	printf("skipped: no %s here (erofs-utils)\n", program);
	skip();
}

static void need_root(void)
{
	if (may_make_all(place))
		return;
	printf("skipped: needs root, and a file system for devices and all attributes\n");
	skip();
}

static void write_to_place(const char *name)
{
	int fd = open(in_place(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	image_write_to(&g, &m, fd);
}

/* --- the kernel ----------------------------------------------------------- */

/* Mount an image at place/mnt in a mount namespace of our own, which our end takes away. */
static bool mount_image(const char *image)
{
	static bool apart;

	if (!apart && (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0))
		return false;
	apart = true;
	mkdir(in_place("mnt"), 0700);
	if (mount(image, in_place("mnt"), "erofs", MS_RDONLY, NULL) == 0)
		return true;
	return RUN("mount", "-t", "erofs", "-o", "loop,ro", image, in_place("mnt")) == 0;
}

static void need_mount(const char *image)
{
	if (mount_image(image))
		return;
	printf("skipped: this kernel mounts no EROFS image here (%s)\n", strerror(errno));
	skip();
}

static void unmount(void)
{
	assert_int_equal(umount(in_place("mnt")), 0);
}

/* --- trees on disk -------------------------------------------------------- */

static void put_on_disk(const char *dir, struct img *from)
{
	struct pf_unpack how = {.owners = true};
	struct pf_error err = {0};
	struct image made;
	int fd;

	assert_int_equal(mkdir(dir, 0755), 0);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	image_write(from, &made);
	check(&err, pf_erofs_unpack(&made.fs, fd, &how, &err));
	assert_int_equal(how.left_out, 0);
	image_free(&made);
	close(fd);
}

static void remove_from_place(const char *name)
{
	PF_AUTO_CLOSE int at = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(pf_remove_tree(at, name), 0);
}

/* --- tests ---------------------------------------------------------------- */

static void fsck_finds_nothing(void **state)
{
	(void)state;
	need("fsck.erofs");
	for (uint64_t seed = 1; seed <= 8 * SEEDS; seed++) {
		struct items items;

		random_items(seed, &g, &items, TAME);
		items_put(&g, &items, 0);
		write_to_place("image");
		must_pass(RUN("fsck.erofs", in_place("image")), "fsck.erofs");
		items_free(&items);
		image_free(&m);
		check(NULL, pf_tree_clear(g.tree, "", NULL));
	}
	m.fd = -1;
}

static void fsck_extracts_the_same(void **state)
{
	(void)state;
	need("fsck.erofs");
	need_root();
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct describer a = {.no_times_of_links = true}, b = {.no_times_of_links = true};
		char extract[160];
		struct items items;

		random_items(seed, &g, &items, TAME);
		/* Version 1.5 of the tool gives back no attributes, hard links as copies, owners last, and
		 * holes not at all. */
		for (size_t i = 0; i < items.count; i++) {
			struct pf_inode *w = &items.of[i].what;

			w->mode &= ~(mode_t)(S_ISUID | S_ISGID);
			if (w->extent_count) {
				w->extent_count = 1;
				w->extents[0].at = 0;
			}
			w->size = w->extent_count ? w->extents[0].length : 0;
			while (w->xattr_count)
				free_xattr(&w->xattrs[--w->xattr_count]);
			if (items.of[i].group && !w->mode)
				w->mode = S_IFIFO | 0600;
			items.of[i].group = 0;
		}
		items_put(&g, &items, 0);
		write_to_place("image");
		snprintf(extract, sizeof(extract), "--extract=%s", in_place("out"));
		must_pass(RUN("fsck.erofs", extract, "--preserve", "--overwrite", in_place("image")),
			  "fsck.erofs");
		describe_tree(&g, &a);
		describe_directory(in_place("out"), &b);
		assert_same(&a, &b);
		remove_from_place("out");
		items_free(&items);
		image_free(&m);
		check(NULL, pf_tree_clear(g.tree, "", NULL));
	}
	m.fd = -1;
}

static void kernel_reads_the_same(void **state)
{
	(void)state;
	need_root();
	for (uint64_t seed = 1; seed <= 8 * SEEDS; seed++) {
		struct describer a = {0}, b = {0};
		struct items items;

		random_items(seed, &g, &items, TAME);
		items_put(&g, &items, 0);
		write_to_place("image");
		need_mount(in_place("image"));
		describe_tree(&g, &a);
		describe_directory(in_place("mnt"), &b);
		unmount();
		assert_same(&a, &b);
		items_free(&items);
		image_free(&m);
		check(NULL, pf_tree_clear(g.tree, "", NULL));
	}
	m.fd = -1;
}

/* What is rare: large attributes, long targets, many names, very long files, the edges of a block. */
static void kernel_reads_the_rare(void **state)
{
	static char value[65535], target[4096];
	struct pf_xattr x[3] = {
		{"trusted.one", value, 65535}, {"trusted.two", value, 4000}, {"user.x", value, 0}};
	struct pf_xattr acl[] = {{"system.posix_acl_access",
				  "\2\0\0\0\1\0\7\0\xff\xff\xff\xff\2\0\7\0\xe8\3\0\0\4\0\5\0\xff\xff\xff\xff"
				  "\20\0\7\0\xff\xff\xff\xff\40\0\5\0\xff\xff\xff\xff",
				  44}};
	struct pf_extent e[] = {{0, 1, 0}, {(5ull << 30) + 123, 2, 1}, {(9ull << 30) - 1, 1, 3}};
	struct describer a = {0}, b = {0};
	char path[300];

	(void)state;
	need_root();
	spool_bytes(&g, "abcd", 4);
	memset(value, 'v', sizeof(value));
	put(&g, "xattrs",
	    &(struct pf_inode){.mode = S_IFREG | 0600,
			       .size = 3,
			       .extents = e,
			       .extent_count = 1,
			       .xattrs = x,
			       .xattr_count = 3});
	put(&g, "xattrdir", &(struct pf_inode){.mode = S_IFDIR | 0700, .xattrs = x, .xattr_count = 3});
	put(&g, "acl", &(struct pf_inode){.mode = S_IFREG | 0775, .xattrs = acl, .xattr_count = 1});
	for (size_t n = 4000; n < sizeof(target); n += 5) {
		memset(target, 't', sizeof(target));
		target[n] = '\0';
		snprintf(path, sizeof(path), "xattrdir/l%zu", n);
		put_link(&g, path, target);
	}
	for (int i = 0; i < 3000; i++) {
		snprintf(path, sizeof(path), "many/%d%.*s", i, i % 30, "a longer name than that of others");
		put_mode(&g, path, S_IFIFO | 0600);
	}
	put(&g, "sparse",
	    &(struct pf_inode){.mode = S_IFREG | 0600, .size = 9ull << 30, .extents = e, .extent_count = 3});
	put(&g, "hole", &(struct pf_inode){.mode = S_IFREG | 0600, .size = 1ull << 50});
	write_to_place("image");
	need_mount(in_place("image"));
	describe_tree(&g, &a);
	/* The mount has no holes to seek over: the long files are looked at in places. */
	for (int i = 0; i < 2; i++) {
		PF_AUTO_CLOSE int fd = open(in_place(i ? "mnt/hole" : "mnt/sparse"), O_RDONLY | O_CLOEXEC);
		char got[8] = "";
		struct stat st;

		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_size, i ? 1ll << 50 : 9ll << 30);
		if (i) {
			assert_int_equal(pread(fd, got, 8, (1ll << 50) - 5), 5);
			continue;
		}
		assert_int_equal(pread(fd, got, 8, (5ll << 30) + 121), 8);
		assert_memory_equal(got, "\0\0bc\0\0\0\0", 8);
		assert_int_equal(pread(fd, got, 8, (9ll << 30) - 3), 3);
		assert_memory_equal(got, "\0\0d", 3);
	}
	unmount();
	pf_buf_free(&a.text);
	image_free(&m);
	check(NULL, pf_tree_remove(g.tree, "sparse", NULL));
	check(NULL, pf_tree_remove(g.tree, "hole", NULL));
	a = (struct describer){0};
	write_to_place("image");
	need_mount(in_place("image"));
	describe_tree(&g, &a);
	describe_directory(in_place("mnt"), &b);
	unmount();
	assert_same(&a, &b);
}

static void map_file(const char *path)
{
	struct stat st;

	m.fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(m.fd >= 0 && fstat(m.fd, &st) == 0);
	m.size = (uint64_t)st.st_size;
	image_map(&m);
}

enum { COMPACT = 1 << 8, EXTENDED = 1 << 9, INDEXES = 1 << 10 };

/* Which forms of inodes an image has. */
static int note_form(void *user, const struct pf_erofs_visit *v)
{
	const struct pf_erofs_inode *i = v->inode;

	*(unsigned *)user |= 1u << i->layout;
	*(unsigned *)user |= i->attributes - m.fs.meta - i->nid * PF__EROFS_SLOT == 32 ? COMPACT : EXTENDED;
	if (i->layout == PF__CHUNKS && (i->first & PF__CHUNK_INDEXES))
		*(unsigned *)user |= INDEXES;
	return 0;
}

/* Images of mkfs.erofs, in the forms that it has without compression. */
static void mkfs_images_are_read(void **state)
{
	static const char *const options[] = {"-T5",
					      "-Eforce-inode-compact",
					      "-Eforce-inode-extended",
					      "-Enoinline_data",
					      "--chunksize=4096",
					      "-Eforce-chunk-indexes",
					      "-Enosbcrc",
					      "-x1"};

	unsigned forms = 0;

	(void)state;
	need("mkfs.erofs");
	need_root();
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct items items;

		random_items(seed, &g, &items, SHORT);
		for (size_t i = 0; i < items.count; i++) { /* what one time and 16 bits hold */
			items.of[i].what.mtime = 5;
			items.of[i].what.mtime_ns = 0;
			items.of[i].what.uid %= 65535;
			items.of[i].what.gid %= 65535;
		}
		put(&g, "", &(struct pf_inode){.mode = S_IFDIR | 0755, .mtime = 5});
		items_put(&g, &items, 0);
		put_on_disk(in_place("dir"), &g);
		for (size_t o = 0; o < PF_ARRAY_SIZE(options); o++) {
			struct describer a = {0}, b = {0};

			must_pass(RUN("mkfs.erofs", "-T5", options[o],
				      o == 5 ? "--chunksize=8192" : "--quiet", in_place("image"),
				      in_place("dir")),
				  options[o]);
			map_file(in_place("image"));
			describe_directory(in_place("dir"), &a);
			describe_image(&m.fs, &b);
			assert_same(&a, &b);
			check(NULL, pf_erofs_walk(&m.fs, note_form, NULL, &forms, NULL));
			image_free(&m);
		}
		m.fd = -1;
		remove_from_place("dir");
		items_free(&items);
		check(NULL, pf_tree_clear(g.tree, "", NULL));
	}
	assert_int_equal(forms, 1 << PF__FLAT_PLAIN | 1 << PF__FLAT_INLINE | 1 << PF__CHUNKS | COMPACT |
					EXTENDED | INDEXES);
}

static int count_shared(void *user, const struct pf_erofs_visit *v)
{
	struct pf__erofs_xattrs h;

	memcpy(&h, m.data + v->inode->attributes, sizeof(h));
	if (v->inode->attributes_size)
		*(unsigned *)user += h.shared;
	return 0;
}

static void shared_attributes_are_read(void **state)
{
	struct describer a = {0}, b = {0};
	unsigned shared = 0;

	(void)state;
	need("mkfs.erofs");
	need_root();
	for (int i = 0; i < 20; i++) {
		char path[16], own[32];
		struct pf_xattr x[] = {
			{"trusted.all", "the same of all", 15}, {"user.own", own, 0}, {"user.all", "s", 1}};

		x[1].size = (uint32_t)snprintf(own, sizeof(own), "of number %d", i);
		snprintf(path, sizeof(path), "f%d", i);
		put(&g, path, &(struct pf_inode){.mode = S_IFREG | 0644, .xattrs = x, .xattr_count = 3});
	}
	put_on_disk(in_place("dir"), &g);
	must_pass(RUN("mkfs.erofs", "-T5", "-x1", in_place("image"), in_place("dir")), "mkfs.erofs");
	map_file(in_place("image"));
	check(NULL, pf_erofs_walk(&m.fs, count_shared, NULL, &shared, NULL));
	assert_true(shared >= 40);
	a.no_dir_links = b.no_dir_links = true;
	describe_tree(&g, &a);
	describe_image(&m.fs, &b);
	/* mkfs.erofs gave everything its own time. */
	for (char *t = b.text.data; (t = strstr(t, " 5.000000000"));)
		t[1] = '0';
	assert_same(&a, &b);
}

static void compressed_images_are_refused(void **state)
{
	struct pf_error err = {0};
	struct pf_erofs fs;
	int fd;
	struct stat st;
	void *data;
	struct describer d = {0};
	struct image_walk w = {&fs, &d};
	static uint8_t bytes[100000];
	int r;

	(void)state;
	need("mkfs.erofs");
	assert_int_equal(mkdir(in_place("dir"), 0755), 0);
	fd = open(in_place("dir/file"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	close(fd);
	must_pass(RUN("mkfs.erofs", "-zlz4", in_place("image"), in_place("dir")), "mkfs.erofs");
	fd = open(in_place("image"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	r = pf_erofs_open(&fs, data, (uint64_t)st.st_size, &err);
	if (r == 0)
		r = pf_erofs_walk(&fs, describe_image_step, NULL, &w, &err);
	assert_int_equal(r, -EOPNOTSUPP);
	assert_non_null(strstr(err.msg, "compress"));
	munmap(data, (size_t)st.st_size);
	close(fd);
	pf_buf_free(&d.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(fsck_finds_nothing),
		T(fsck_extracts_the_same),
		T(kernel_reads_the_same),
		T(kernel_reads_the_rare),
		T(mkfs_images_are_read),
		T(shared_attributes_are_read),
		T(compressed_images_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
