/* SPDX-License-Identifier: Apache-2.0 */
/* erofs/unpack: what comes out on disk, as root and as an ordinary user, and what a full disk or a lie
 * leaves. */
#include "test_erofs_random.h"

#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "erofs/format.h"

#define SEEDS 25
#define USER  65534

static char place[64];
static int at = -1; /* place/out, to unpack into */
static struct img g;
static struct image m;

static int setup(void **state)
{
	char out[80];

	(void)state;
	umask(022);
	strcpy(place, "/tmp/pf-test-unpack-XXXXXX");
	if (!mkdtemp(place) || chmod(place, 0711) < 0)
		return -1;
	snprintf(out, sizeof(out), "%s/out", place);
	if (mkdir(out, 0755) < 0)
		return -1;
	at = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	img_make(&g);
	m = (struct image){.fd = -1};
	return at < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	PF_AUTO_CLOSE int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	close(at);
	img_free(&g);
	if (m.fd >= 0)
		image_free(&m);
	return pf_remove_tree(tmp, place + strlen("/tmp/"));
}

static const char *out_path(const char *name)
{
	static char path[4][256];
	static unsigned k;

	k = (k + 1) % 4;
	snprintf(path[k], sizeof(path[k]), "%s/out%s%s", place, *name ? "/" : "", name);
	return path[k];
}

static void fresh_out(void)
{
	PF_AUTO_CLOSE int dir = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);

	close(at);
	assert_int_equal(pf_remove_tree(dir, "out"), 0);
	assert_int_equal(mkdir(out_path(""), 0755), 0);
	at = open(out_path(""), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void need_root(void)
{
	if (may_make_all(out_path("")))
		return;
	printf("skipped: needs root, and a file system for devices and all attributes\n");
	skip();
}

static size_t open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static int unpack_code(struct pf_unpack *how)
{
	struct pf_error err = {0};
	size_t before = open_descriptors();
	int r = pf_erofs_unpack(&m.fs, at, how, &err);

	assert_true(r == 0 || (err.code == r && *err.msg));
	assert_int_equal(open_descriptors(), before);
	if (r < 0)
		print_message("%s\n", err.msg);
	return r;
}

/* --- as root -------------------------------------------------------------- */

static void all_of_it_as_root(void **state)
{
	(void)state;
	need_root();
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct describer a = {.no_dir_links = true}, b = {.no_dir_links = true};
		struct pf_unpack how = {.owners = true};
		struct items items;

		random_items(seed, &g, &items, TAME);
		put(&g, "",
		    &(struct pf_inode){
			    .mode = S_IFDIR | 0751, .uid = 7, .gid = 8, .mtime = 1234567, .mtime_ns = 5});
		items_put(&g, &items, 0);
		image_write(&g, &m);
		assert_int_equal(unpack_code(&how), 0);
		assert_true(how.owners_kept);
		assert_int_equal(how.left_out, 0);
		assert_int_equal(how.files, items.count + 1);
		describe_image(&m.fs, &a);
		describe_directory(out_path(""), &b);
		assert_same(&a, &b);
		fresh_out();
		items_free(&items);
		image_free(&m);
		check(NULL, pf_tree_clear(g.tree, "", NULL));
	}
	m.fd = -1;
}

/* What chown(2) takes away and mode and order can lose. */
static void set_id_and_capabilities(void **state)
{
	struct pf_xattr cap[] = {{"security.capability", "\1\0\0\2\0\40\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20}};
	struct pf_xattr acl[] = {{"system.posix_acl_access",
				  "\2\0\0\0\1\0\7\0\xff\xff\xff\xff\2\0\7\0\xe8\3\0\0\4\0\5\0\xff\xff\xff\xff"
				  "\20\0\7\0\xff\xff\xff\xff\40\0\5\0\xff\xff\xff\xff",
				  44}};
	struct pf_unpack how = {.owners = true};
	char got[64];
	struct stat st;

	(void)state;
	need_root();
	put(&g, "ping",
	    &(struct pf_inode){.mode = S_IFREG | 0755, .uid = 5, .gid = 6, .xattrs = cap, .xattr_count = 1});
	put(&g, "su", &(struct pf_inode){.mode = S_IFREG | 06755, .uid = 5, .gid = 6});
	put(&g, "d", &(struct pf_inode){.mode = S_IFDIR | 03775, .uid = 5, .gid = 6});
	put(&g, "d/f", &(struct pf_inode){.mode = S_IFREG | 0444, .uid = 0, .gid = 0});
	put(&g, "acl", &(struct pf_inode){.mode = S_IFREG | 0775, .uid = 5, .xattrs = acl, .xattr_count = 1});
	image_write(&g, &m);
	assert_int_equal(unpack_code(&how), 0);
	assert_int_equal(how.left_out, 0);
	assert_int_equal(lgetxattr(out_path("ping"), "security.capability", got, sizeof(got)), 20);
	assert_memory_equal(got, cap[0].value, 20);
	assert_int_equal(lgetxattr(out_path("acl"), acl[0].name, got, sizeof(got)), 44);
	assert_memory_equal(got, acl[0].value, 44);
	assert_int_equal(stat(out_path("su"), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 06755);
	assert_int_equal(st.st_uid, 5);
	assert_int_equal(st.st_gid, 6);
	assert_int_equal(stat(out_path("d"), &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 03775);
	assert_int_equal(stat(out_path("d/f"), &st), 0);
	assert_int_equal(st.st_gid, 0); /* not its directory's */
}

/* Without owners asked for, root keeps all for himself; and lends himself to nobody. */
static void owners_not_asked_for(void **state)
{
	struct pf_unpack how = {.owners = false};
	struct stat st;

	(void)state;
	need_root();
	put(&g, "su", &(struct pf_inode){.mode = S_IFREG | 04755, .uid = 5});
	put(&g, "own", &(struct pf_inode){.mode = S_IFREG | 04755});
	image_write(&g, &m);
	assert_int_equal(unpack_code(&how), 0);
	assert_false(how.owners_kept);
	assert_int_equal(how.left_out, 1);
	assert_int_equal(stat(out_path("su"), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0755);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(stat(out_path("own"), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 04755);
}

/* --- as an ordinary user -------------------------------------------------- */

/* What such a user has to leave out, counted from the image. */
struct leaving {
	uint32_t own_id; /* his, as he sees it */
	uint64_t n;
};

static int count_xattr(void *user, const char *name, const void *value, uint32_t size)
{
	(void)value;
	(void)size;
	((struct leaving *)user)->n += !pf_has_prefix(name, "user.");
	return 0;
}

static int count_left_out(void *user, const struct pf_erofs_visit *v)
{
	const struct pf_erofs_inode *i = v->inode;
	mode_t set_id = S_ISDIR(i->mode) ? S_ISUID : S_ISUID | S_ISGID;
	struct leaving *l = user;

	if (S_ISCHR(i->mode) || S_ISBLK(i->mode)) {
		l->n++;
		return 0;
	}
	if (v->linked)
		return 0;
	if (!S_ISLNK(i->mode) && (i->mode & set_id) && (i->uid != l->own_id || i->gid != l->own_id))
		l->n++;
	return pf_erofs_xattrs(&m.fs, i, count_xattr, user, NULL);
}

#define NO_NAMESPACE 253

/* Become an ordinary user; with a namespace of his own, its root, who has no more than that. */
static void become(bool namespaced)
{
	unsigned uid, gid;
	char map[32];

	if (geteuid() == 0 &&
	    (setgroups(0, NULL) < 0 || setresgid(USER, USER, USER) < 0 || setresuid(USER, USER, USER) < 0))
		_exit(254);
	if (!namespaced)
		return;
	uid = geteuid();
	gid = getegid();
	snprintf(map, sizeof(map), "0 %u 1", uid);
	if (prctl(PR_SET_DUMPABLE, 1) < 0 || unshare(CLONE_NEWUSER) < 0 ||
	    pf_write_file(AT_FDCWD, "/proc/self/setgroups", "deny") < 0 ||
	    pf_write_file(AT_FDCWD, "/proc/self/uid_map", map) < 0)
		_exit(NO_NAMESPACE);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	if (pf_write_file(AT_FDCWD, "/proc/self/gid_map", map) < 0)
		_exit(NO_NAMESPACE);
}

/* In a child of its own; its status is how much it left out, at most 250, or one of those above. */
static int unpack_as_user(bool namespaced)
{
	struct pf_unpack how = {.owners = true};
	struct pf_error err = {0};
	int status;
	pid_t pid;

	assert_true(geteuid() != 0 || fchown(at, USER, USER) == 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		become(namespaced);
		if (pf_erofs_unpack(&m.fs, at, &how, &err) < 0 || how.owners_kept) {
			fprintf(stderr, "%s\n", err.msg);
			_exit(255);
		}
		_exit((int)(how.left_out < 250 ? how.left_out : 250));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void unpack_random_as_user(bool namespaced)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct describer a = {.no_dir_links = true, .user_only = true}, b = a;
		struct leaving left = {.own_id = namespaced ? 0 : geteuid() == 0 ? USER : geteuid()};
		struct items items;
		int out;

		random_items(seed, &g, &items, TAME);
		put(&g, "", &(struct pf_inode){.mode = S_IFDIR | 0755, .mtime = 5, .uid = 9});
		/* A directory that nobody may write, with files in it, and a file of whoever is root there.
		 */
		put(&g, "closed", &(struct pf_inode){.mode = S_IFDIR, .mtime = 9});
		put_file(&g, "closed/file", "x", 1);
		put(&g, "su", &(struct pf_inode){.mode = S_IFREG | 06755});
		items_put(&g, &items, 0);
		image_write(&g, &m);
		check(NULL, pf_erofs_walk(&m.fs, count_left_out, NULL, &left, NULL));
		out = unpack_as_user(namespaced);
		if (out == NO_NAMESPACE) {
			items_free(&items);
			printf("skipped: an ordinary user gets no user namespace here\n");
			skip();
		}
		assert_int_equal(out, left.n);
		describe_image(&m.fs, &a);
		if (geteuid() == 0) { /* who may not enter what is closed cannot compare it */
			describe_directory(out_path(""), &b);
			assert_same(&a, &b);
		} else {
			pf_buf_free(&a.text);
		}
		fresh_out();
		items_free(&items);
		image_free(&m);
		check(NULL, pf_tree_clear(g.tree, "", NULL));
	}
	m.fd = -1;
}

static void as_an_ordinary_user(void **state)
{
	(void)state;
	unpack_random_as_user(false);
}

static void as_root_of_a_namespace(void **state)
{
	(void)state;
	unpack_random_as_user(true);
}

static void a_users_files_are_his(void **state)
{
	struct stat st;

	(void)state;
	put(&g, "su", &(struct pf_inode){.mode = S_IFREG | 06755});
	put(&g, "d", &(struct pf_inode){.mode = S_IFDIR | 0700, .uid = 4});
	image_write(&g, &m);
	assert_int_equal(unpack_as_user(false), 1);
	assert_int_equal(stat(out_path("su"), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0755);
	assert_int_equal(st.st_uid, geteuid() == 0 ? USER : geteuid());
	assert_int_equal(stat(out_path("d"), &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
}

/* --- shapes --------------------------------------------------------------- */

static void holes_stay_holes(void **state)
{
	struct pf_extent e[] = {{0, 1, 0}, {(5ull << 30) + 123, 2, 1}};
	struct pf_unpack how = {.owners = true};
	struct stat st;
	char got[3];
	int fd;

	(void)state;
	spool_bytes(&g, "abc", 3);
	put(&g, "sparse",
	    &(struct pf_inode){.mode = S_IFREG | 0644, .size = 9ull << 30, .extents = e, .extent_count = 2});
	put(&g, "hole", &(struct pf_inode){.mode = S_IFREG | 0644, .size = 1 << 30});
	image_write(&g, &m);
	assert_int_equal(unpack_code(&how), 0);
	assert_int_equal(stat(out_path("sparse"), &st), 0);
	assert_int_equal(st.st_size, 9ll << 30);
	assert_true(st.st_blocks < 40000); /* two chunks, of some sixty kilobytes each */
	fd = open(out_path("sparse"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, got, 3, (5ll << 30) + 122), 3);
	assert_memory_equal(got, "\0bc", 3);
	close(fd);
	assert_int_equal(stat(out_path("hole"), &st), 0);
	assert_int_equal(st.st_size, 1 << 30);
	assert_int_equal(st.st_blocks, 0);
	assert_true(how.bytes < 20u << 20);
}

static void as_deep_as_it_goes(void **state)
{
	struct rlimit old, low = {.rlim_cur = 300};
	struct pf_unpack how = {.owners = true};
	char path[600] = "d";
	int fd;

	(void)state;
	for (int i = 0; i < 254; i++)
		strcat(path, "/d");
	strcat(path, "/f");
	put_file(&g, path, "deep", 4);
	image_write(&g, &m);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(unpack_code(&how), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(how.files, 257);
	fd = openat(at, path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	close(fd);
}

static void note_progress(void *user, uint64_t done, uint64_t total)
{
	uint64_t *last = user;

	assert_true(done >= last[0] && done <= total);
	last[0] = done;
	last[1] = total;
	last[2]++;
}

static void progress_is_told(void **state)
{
	static uint8_t bytes[3 << 20];
	uint64_t seen[3] = {0};
	struct pf_unpack how = {.owners = true, .progress = note_progress, .user = seen};
	char path[16];

	(void)state;
	memset(bytes, 1, sizeof(bytes));
	for (int i = 0; i < 10; i++) {
		snprintf(path, sizeof(path), "%d", i);
		put_file(&g, path, bytes, sizeof(bytes));
	}
	image_write(&g, &m);
	assert_int_equal(unpack_code(&how), 0);
	assert_int_equal(how.bytes, 10 * sizeof(bytes));
	assert_int_equal(seen[0], seen[1]);
	assert_true(seen[2] >= 4);
}

/* --- refusals ------------------------------------------------------------- */

static void only_into_an_empty_directory(void **state)
{
	struct pf_unpack how = {.owners = true};

	(void)state;
	image_write(&g, &m);
	assert_int_equal(symlinkat("x", at, "there"), 0);
	assert_int_equal(unpack_code(&how), -ENOTEMPTY);
	assert_int_equal(unlinkat(at, "there", 0), 0);
	assert_int_equal(unpack_code(&how), 0);
}

static void no_more_bytes_than_allowed(void **state)
{
	struct pf_unpack how = {.owners = true, .bytes_max = 9999};
	static uint8_t bytes[5000];

	(void)state;
	memset(bytes, 1, sizeof(bytes));
	put_file(&g, "a", bytes, sizeof(bytes));
	put_file(&g, "b", bytes, sizeof(bytes));
	image_write(&g, &m);
	assert_int_equal(unpack_code(&how), -EFBIG);
	fresh_out();
	how.bytes_max = 10000;
	assert_int_equal(unpack_code(&how), 0);
	assert_int_equal(how.bytes, 10000);
}

/* Lies of an image: nothing is made outside, nothing stays open. */
static void images_that_lie(void **state)
{
	struct pf_unpack how = {.owners = true};
	struct pf_erofs_inode i;
	unsigned failed = 0;
	char victim[80];

	(void)state;
	snprintf(victim, sizeof(victim), "%s/victim", place);
	put_link(&g, "link", "../victim");
	put_file(&g, "z/file", "x", 1);
	image_write(&g, &m);
	/* A name that leads through a link which was just made: "z" becomes "link/x" and the like. */
	check(NULL, pf_erofs_inode(&m.fs, m.fs.root, &i, NULL));
	for (uint64_t seed = 1; seed <= 400; seed++) {
		uint64_t r = seed * 31;
		uint8_t saved[300];
		uint8_t *from = m.data + i.attributes;

		memcpy(saved, from, sizeof(saved));
		for (int k = 0; k < 3; k++)
			from[rnd(&r) % sizeof(saved)] =
				(uint8_t)("/.\0link"[rnd(&r) % 7] ^ (rnd(&r) % 4 ? 0 : 1));
		failed += unpack_code(&how) != 0;
		memcpy(from, saved, sizeof(saved));
		fresh_out();
		assert_int_equal(access(victim, F_OK), -1);
	}
	assert_true(failed > 20);
	/* A target that ends before its length. */
	check(NULL, pf_erofs_lookup(&m.fs, &i, "link", 4, &i.nid, NULL));
	check(NULL, pf_erofs_inode(&m.fs, i.nid, &i, NULL));
	m.data[i.body + 3] = '\0';
	assert_int_equal(unpack_code(&how), -EUCLEAN);
}

/* --- a full disk ---------------------------------------------------------- */

static bool small_disk(void)
{
	static bool apart;

	if (!apart && (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0))
		return false;
	apart = true;
	if (mount("none", out_path(""), "tmpfs", 0, "size=1m,nr_inodes=200") < 0)
		return false;
	close(at);
	at = open(out_path(""), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return true;
}

static void need_small_disk(void)
{
	if (small_disk())
		return;
	printf("skipped: no tmpfs of our own here\n");
	skip();
}

static void full_while_unpacking(void **state)
{
	static uint8_t bytes[300000];
	struct pf_unpack how = {.owners = true};
	char path[16];

	(void)state;
	memset(bytes, 1, sizeof(bytes));
	for (int i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "d/%d", i);
		put_file(&g, path, bytes, sizeof(bytes));
	}
	image_write(&g, &m);
	need_small_disk();
	assert_int_equal(unpack_code(&how), -ENOSPC);
	/* No inode left, which a symbolic link needs too. */
	close(at);
	assert_int_equal(umount(out_path("")), 0);
	need_small_disk();
	check(NULL, pf_tree_clear(g.tree, "", NULL));
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "%d", i);
		put_link(&g, path, "x");
	}
	image_free(&m);
	image_write(&g, &m);
	assert_int_equal(unpack_code(&how), -ENOSPC);
	close(at);
	at = -1;
	assert_int_equal(umount(out_path("")), 0);
}

/* At each of the places where the writer writes. */
static void full_while_writing(void **state)
{
	static uint8_t bytes[3 << 20];
	struct pf_error err = {0};
	uint64_t size = 77;
	char path[32];

	(void)state;
	memset(bytes, 1, sizeof(bytes));
	need_small_disk();
	for (int what = 0; what < 3; what++) {
		uint8_t magic[4] = "none";
		int fd = openat(at, "image", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

		check(NULL, pf_tree_clear(g.tree, "", NULL));
		for (int i = 0; i < (what == 0 ? 30000 : what == 1 ? 60 : 1); i++) {
			snprintf(path, sizeof(path), "d/%d", i);
			if (what == 0) /* metadata */
				put_mode(&g, path, S_IFIFO);
			else /* contents, many or one */
				put_file(&g, path, bytes, what == 1 ? 40960 : sizeof(bytes));
		}
		check(&err, pf_tree_sort(g.tree, &err));
		assert_int_equal(pf_erofs_write(g.tree, g.spool, fd, &size, &err), -ENOSPC);
		assert_int_equal(size, 77);
		assert_true(pread(fd, magic, 4, PF__EROFS_SUPER) >= 0);
		assert_memory_equal(magic, "\0\0\0\0", 4); /* no image */
		close(fd);
		assert_int_equal(unlinkat(at, "image", 0), 0);
	}
	close(at);
	at = -1;
	assert_int_equal(umount(out_path("")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(all_of_it_as_root),	       T(set_id_and_capabilities),
		T(owners_not_asked_for),       T(as_an_ordinary_user),
		T(as_root_of_a_namespace),     T(a_users_files_are_his),
		T(holes_stay_holes),	       T(as_deep_as_it_goes),
		T(progress_is_told),	       T(only_into_an_empty_directory),
		T(no_more_bytes_than_allowed), T(images_that_lie),
		T(full_while_unpacking),       T(full_while_writing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
