/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of workspace/: a place with a workspace ("ws"), the upper of an overlay on it
 * ("upper") and a state directory ("changes"). Uppers are made by hand here, byte for byte what
 * overlay leaves; test_change_overlay.c has real ones.
 */
#ifndef PF_TEST_WORKSPACE_H
#define PF_TEST_WORKSPACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "workspace/change.h"
#include "workspace/workspace_internal.h"

struct place {
	char dir[64], path[80]; /* path: of the workspace */
	int fd, ws, upper, changes;
	const char *prefix; /* of overlay's attributes: ours to set */
	int64_t reference_ns;
	unsigned serial;
	struct pf_list protect, masked;
};

/* Where places are made. In memory for those that make thousands: what apply syncs costs nothing there. */
static const char *test_top = "/tmp/";

static inline void test_top_in_memory(void)
{
	if (access("/dev/shm", W_OK) == 0 && setxattr("/dev/shm", "user.pinfold", "", 0, 0) == 0) {
		removexattr("/dev/shm", "user.pinfold");
		test_top = "/dev/shm/";
	}
}

static inline void check(const struct pf_error *err, int r)
{
	if (r < 0)
		fail_msg("%d: %s", r, err->msg);
}

static inline int dir_at(int at, const char *name)
{
	int fd;

	if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
		fail_msg("mkdir %s: %s", name, strerror(errno));
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* The clock of the file system, as a sandbox takes it at its start. */
static inline void take_reference_in(struct place *p, int dir)
{
	struct stat st;
	int fd = openat(dir, "reference", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0600), 0);
	assert_int_equal(fstat(fd, &st), 0);
	close(fd);
	p->reference_ns = pf__ws_ctime_ns(&st);
	if (dir == p->ws)
		unlinkat(dir, "reference", 0);
}

static inline void take_reference(struct place *p)
{
	take_reference_in(p, p->fd);
}

/* Let the clock of the file system move on, so that what follows is later than what was. */
static inline void later(struct place *p)
{
	int64_t reference = p->reference_ns, first;

	take_reference(p);
	first = p->reference_ns;
	while (p->reference_ns == first)
		take_reference(p);
	p->reference_ns = reference;
}

static inline void place_make(struct place *p)
{
	memset(p, 0, sizeof(*p));
	umask(022);
	strcpy(p->dir, test_top);
	strcat(p->dir, "pf-test-ws-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	p->fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	p->ws = dir_at(p->fd, "ws");
	p->upper = dir_at(p->fd, "upper");
	p->changes = dir_at(p->fd, "changes");
	snprintf(p->path, sizeof(p->path), "%s/ws", p->dir);
	p->prefix = geteuid() == 0 ? "trusted.overlay." : "user.overlay.";
}

static inline void place_free(struct place *p)
{
	int tmp = open(test_top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	close(p->ws);
	close(p->upper);
	close(p->changes);
	close(p->fd);
	assert_int_equal(pf_remove_tree(tmp, p->dir + strlen(test_top)), 0);
	close(tmp);
	pf_list_free(&p->protect);
	pf_list_free(&p->masked);
}

/* Write a file, making the directories on the way. */
static inline void put_bytes(int at, const char *path, const void *s, size_t n, mode_t mode)
{
	char part[PF__WS_PATH_MAX];
	int fd;

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		memcpy(part, path, (size_t)(slash - path));
		part[slash - path] = '\0';
		mkdirat(at, part, 0755);
	}
	fd = openat(at, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		fail_msg("open %s: %s", path, strerror(errno));
	assert_int_equal(pf_write_full(fd, s, n), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static inline void put(int at, const char *path, const char *text)
{
	put_bytes(at, path, text, strlen(text), 0644);
}

static inline void put_mode(int at, const char *path, const char *text, mode_t mode)
{
	put_bytes(at, path, text, strlen(text), mode);
}

static inline void make_dir(int at, const char *path, mode_t mode)
{
	assert_int_equal(mkdirat(at, path, 0700), 0);
	assert_int_equal(fchmodat(at, path, mode, 0), 0);
}

static inline void whiteout(int at, const char *path)
{
	assert_int_equal(mknodat(at, path, S_IFCHR, makedev(0, 0)), 0);
}

static inline void overlay_attr(const struct place *p, const char *path, const char *name, const char *value)
{
	char attr[64];
	int fd = openat(p->upper, path, O_RDONLY | O_CLOEXEC);

	snprintf(attr, sizeof(attr), "%s%s", p->prefix, name);
	assert_int_equal(fsetxattr(fd, attr, value, strlen(value), 0), 0);
	close(fd);
}

/* A directory with 300,000 bytes in one file, renamed inside: the content is the lower's. */
static inline void big_renamed(struct place *p)
{
	static char big[300000];

	memset(big, 'x', sizeof(big));
	put_bytes(p->ws, "big/one", big, sizeof(big), 0644);
	whiteout(p->upper, "big");
	make_dir(p->upper, "moved", 0755);
	overlay_attr(p, "moved", "redirect", "/big");
}

static inline struct pf_collect collect_what(struct place *p, char id[40])
{
	if (p->reference_ns == 0)
		take_reference(p);
	snprintf(id, 40, "t%04u", ++p->serial);
	return (struct pf_collect){
		.upper_fd = p->upper,
		.lower_fd = p->ws,
		.xattr_prefix = p->prefix,
		.uid_base = UINT32_MAX,
		.gid_base = UINT32_MAX,
		.protect = &p->protect,
		.masked = &p->masked,
		.workspace = p->path,
		.command = "test",
		.id = id,
		.reference_ns = p->reference_ns,
	};
}

/* Collect and load back. */
static inline void collect(struct place *p, struct pf_changeset *out)
{
	struct pf_error err = {0};
	struct pf_changeset counts = {0};
	char id[40];
	struct pf_collect what = collect_what(p, id);

	check(&err, pf_change_collect(p->changes, &what, &counts, &err));
	memset(out, 0, sizeof(*out));
	if (counts.count || counts.truncated) {
		check(&err, pf_change_load(p->changes, id, out, &err));
		assert_int_equal(out->count, counts.count);
		assert_int_equal(out->added, counts.added);
		assert_int_equal(out->modified, counts.modified);
		assert_int_equal(out->deleted, counts.deleted);
	}
	pf_change_free(&counts);
}

static inline const struct pf_change *item(const struct pf_changeset *c, const char *path)
{
	ssize_t i = pf__change_find(c, path);

	return i < 0 ? NULL : &c->items[i];
}

/* The printed list: what a test compares with. */
static inline void assert_list(const struct pf_changeset *c, const char *want)
{
	struct pf_buf b = {0};

	assert_int_equal(pf_change_print_list(c, &b), 0);
	assert_string_equal(b.data ? b.data : "", want);
	pf_buf_free(&b);
}

static inline bool list_holds(const struct pf_list *l, const char *s)
{
	for (size_t i = 0; i < l->count; i++) {
		if (strcmp(l->items[i], s) == 0)
			return true;
	}
	return false;
}

static inline bool list_mentions(const struct pf_list *l, const char *part)
{
	for (size_t i = 0; i < l->count; i++) {
		if (strstr(l->items[i], part))
			return true;
	}
	return false;
}

static inline void snapshot_one(int at, const char *path, struct pf_buf *out)
{
	char shown[4 * PF__WS_PATH_MAX + 1], target[PF__WS_PATH_MAX];
	PF_AUTO_BUF struct pf_buf bytes = {0};
	struct stat st;

	assert_int_equal(fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	pf_printable(path, strlen(path), shown, sizeof(shown));
	pf_buf_addf(out, "%s %06o ", shown, S_ISLNK(st.st_mode) ? S_IFLNK : (unsigned)st.st_mode);
	if (S_ISLNK(st.st_mode)) {
		assert_int_equal(pf__ws_readlink(at, path, target), 0);
		pf_printable(target, strlen(target), shown, sizeof(shown));
		pf_buf_adds(out, shown);
	} else if (S_ISREG(st.st_mode)) {
		char digest[PF_DIGEST_MAX];

		assert_int_equal(pf_read_file(at, path, &bytes, 64 << 20), 0);
		pf_sha256_text(bytes.data ? bytes.data : "", bytes.len, digest);
		pf_buf_addf(out, "%zu %s", bytes.len, digest + 7);
	}
	pf_buf_addc(out, '\n');
}

/* A tree as text: paths, types, modes, contents; sorted. */
static inline void snapshot(int root, const char *dir, struct pf_buf *out)
{
	struct pf_list names = {0};
	int fd = openat(root, *dir ? dir : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		fail_msg("open %s: %s", dir, strerror(errno));
	assert_int_equal(pf__ws_names(fd, &names, SIZE_MAX), 0);
	close(fd);
	pf__ws_list_sort(&names);
	for (size_t i = 0; i < names.count; i++) {
		PF_AUTO_FREE char *path = pf__ws_join(dir, names.items[i]);
		struct stat st;

		snapshot_one(root, path, out);
		assert_int_equal(fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW), 0);
		if (S_ISDIR(st.st_mode))
			snapshot(root, path, out);
	}
	pf_list_free(&names);
}

static inline void assert_same_trees(int a, int b)
{
	struct pf_buf x = {0}, y = {0};

	snapshot(a, "", &x);
	snapshot(b, "", &y);
	assert_string_equal(x.data ? x.data : "", y.data ? y.data : "");
	pf_buf_free(&x);
	pf_buf_free(&y);
}

static inline void assert_file(int at, const char *path, const char *want)
{
	struct pf_buf b = {0};

	assert_int_equal(pf_read_file(at, path, &b, 1 << 20), 0);
	assert_string_equal(b.data ? b.data : "", want);
	pf_buf_free(&b);
}

static inline bool exists(int at, const char *path)
{
	struct stat st;

	return fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline mode_t mode_of(int at, const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

/* xorshift64: the same rounds for the same seed everywhere. */
static inline uint64_t rnd(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* PF_SEED reproduces a failed run. */
static inline uint64_t test_seed(void)
{
	const char *given = getenv("PF_SEED");
	uint64_t seed = 0;

	if (!given || pf_parse_u64(given, &seed) < 0)
		pf_random(&seed, sizeof(seed));
	seed |= 1;
	print_message("PF_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

static bool root_ran; /* the same tests ran as root before */

/* For tests that only one of the two can run: true is "leave". */
static inline bool needs_root(void)
{
	if (geteuid() == 0)
		return false;
	if (!root_ran) {
		print_message("skipped: needs root\n");
		skip();
	}
	return true;
}

/* Run the group as who we are; as root, then once more as an ordinary user. */
static inline int run_as_both(int (*group)(void))
{
	int failed = group(), status;
	pid_t pid;

	fflush(NULL);
	if (geteuid() != 0)
		return failed != 0;
	pid = fork();
	if (pid == 0) {
		root_ran = true;
		if (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 ||
		    setresuid(65534, 65534, 65534) < 0)
			_exit(1);
		prctl(PR_SET_DUMPABLE, 1); /* the change of ids took it, and /proc/self with it */
		failed = group();
		fflush(NULL);
		_exit(failed != 0);
	}
	waitpid(pid, &status, 0);
	return failed != 0 || status != 0;
}

#define PLACE_TEST(name) cmocka_unit_test_setup_teardown(name, place_setup, place_teardown)

static inline int place_setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	if (!p)
		return -1;
	place_make(p);
	*state = p;
	return 0;
}

static inline int place_teardown(void **state)
{
	place_free(*state);
	free(*state);
	return 0;
}

#endif
