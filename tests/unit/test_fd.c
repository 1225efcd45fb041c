/* SPDX-License-Identifier: Apache-2.0 */
/* base/fd and base/tree, in a directory of their own under /tmp. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"

struct place {
	char path[64];
	int fd;
};

static int enter(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->path, "/tmp/pf-test-fd-XXXXXX");
	if (!mkdtemp(p->path))
		return -1;
	chmod(p->path, 0755);
	p->fd = open(p->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	*state = p;
	return p->fd < 0 ? -1 : 0;
}

static int leave(void **state)
{
	struct place *p = *state;

	close(p->fd);
	p->fd = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (pf_remove_tree(p->fd, p->path + strlen("/tmp/")) != 0)
		return -1;
	close(p->fd);
	free(p);
	return 0;
}

static int place_fd(void **state)
{
	return ((struct place *)*state)->fd;
}

static void make_file(int dirfd, const char *name, const char *text)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(pf_write_full(fd, text, strlen(text)), 0);
	close(fd);
}

static void make_dir(int dirfd, const char *name)
{
	assert_int_equal(mkdirat(dirfd, name, 0755), 0);
}

static bool exists(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void assert_opens(int dirfd, const char *path)
{
	int fd = pf_open_beneath(dirfd, path, O_RDONLY, 0);

	if (fd < 0)
		fail_msg("%s: %s", path, strerror(-fd));
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
}

static void beneath_lets_nothing_out(void **state)
{
	int d = place_fd(state), in;
	static const struct {
		const char *path;
		int r;
	} refused[] = {
		{"../in/f", -EXDEV},	 {"..", -EXDEV},	{"a/../../secret", -EXDEV},
		{"/etc/passwd", -EXDEV}, {"abs", -ELOOP},	{"up", -ELOOP},
		{"inner", -ELOOP},	 {"dirlink/f", -ELOOP}, {"loop", -ELOOP},
		{"missing", -ENOENT},	 {"f/x", -ENOTDIR},	{"a/magic/x", -ELOOP},
	};

	make_dir(d, "in");
	make_file(d, "secret", "s");
	in = openat(d, "in", O_PATH | O_DIRECTORY | O_CLOEXEC);
	make_file(in, "f", "inside");
	make_dir(in, "a");
	assert_int_equal(symlinkat("/etc/passwd", in, "abs"), 0);
	assert_int_equal(symlinkat("../secret", in, "up"), 0);
	assert_int_equal(symlinkat("f", in, "inner"), 0);
	assert_int_equal(symlinkat("..", in, "dirlink"), 0);
	assert_int_equal(symlinkat("loop", in, "loop"), 0);
	assert_int_equal(symlinkat("/proc/self/root", in, "a/magic"), 0);
	for (size_t i = 0; i < PF_ARRAY_SIZE(refused); i++)
		assert_int_equal(pf_open_beneath(in, refused[i].path, O_RDONLY, 0), refused[i].r);
	assert_opens(in, "f");
	assert_opens(in, "a/../f");
	assert_opens(in, "");
	assert_opens(in, ".");
	close(in);
}

static void magic_links_are_refused(void **state)
{
	int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(pf_open_beneath(proc, "self/root/etc", O_RDONLY, 0), -ELOOP);
	close(proc);
}

static void openat2_creates(void **state)
{
	int d = place_fd(state), fd;
	struct stat st;

	/* a mode that nothing uses is no error, as with open(2) */
	make_file(d, "f", "");
	fd = pf_openat2(d, "f", O_RDONLY, 0644, 0);
	assert_true(fd >= 0);
	close(fd);
	fd = pf_open_beneath(d, "new", O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	close(fd);
	assert_int_equal(pf_open_beneath(d, "new", O_WRONLY | O_CREAT | O_EXCL, 0600), -EEXIST);
	assert_int_equal(symlinkat("elsewhere", d, "dangling"), 0);
	assert_int_equal(pf_open_beneath(d, "dangling", O_WRONLY | O_CREAT, 0600), -ELOOP);
	assert_false(exists(d, "elsewhere"));
}

static void parent_and_leaf(void **state)
{
	static const char *const bad[] = {"",  ".",  "..",   "a/",  "a/.", "a/..",
					  "/", "/a", "/a/b", "../", "a//"};
	int d = place_fd(state), fd;
	const char *leaf = "untouched";
	char longer[PATH_MAX + 16];

	make_dir(d, "a");
	assert_int_equal(symlinkat("a", d, "link"), 0);
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++)
		assert_int_equal(pf_open_parent(d, bad[i], &leaf), -EINVAL);
	assert_int_equal(pf_open_parent(d, "link/x", &leaf), -ELOOP);
	assert_int_equal(pf_open_parent(d, "../x", &leaf), -EXDEV);
	assert_int_equal(pf_open_parent(d, "none/x", &leaf), -ENOENT);
	memset(longer, '/', sizeof(longer));
	memcpy(longer, "a", 1);
	memcpy(longer + sizeof(longer) - 2, "x", 2);
	assert_int_equal(pf_open_parent(d, longer, &leaf), -ENAMETOOLONG);
	assert_string_equal(leaf, "untouched");
	fd = pf_open_parent(d, "x", &leaf);
	assert_string_equal(leaf, "x");
	make_file(fd, leaf, "");
	close(fd);
	fd = pf_open_parent(d, "a//y", &leaf);
	assert_string_equal(leaf, "y");
	make_file(fd, leaf, "");
	close(fd);
	assert_true(exists(d, "x"));
	assert_true(exists(d, "a/y"));
}

static void read_is_bounded(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	int d = place_fd(state);

	make_file(d, "f", "12345");
	assert_int_equal(pf_buf_adds(&b, "x"), 0);
	assert_int_equal(pf_read_file(d, "f", &b, 4), -EFBIG);
	assert_string_equal(b.data, "x");
	assert_int_equal(pf_read_file(d, "f", &b, 5), 0);
	assert_string_equal(b.data, "x12345");
	assert_int_equal(pf_read_file(d, "f", &b, SIZE_MAX), 0);
	assert_string_equal(b.data, "x1234512345");
	assert_int_equal(pf_read_file(d, "none", &b, 5), -ENOENT);
	assert_int_equal(pf_read_file(d, ".", &b, 5), -EISDIR);
	assert_int_equal(pf_read_file(AT_FDCWD, "/dev/zero", &b, 200000), -EFBIG);
	assert_string_equal(b.data, "x1234512345");
	pf_buf_free(&b);
	make_file(d, "empty", "");
	assert_int_equal(pf_read_file(d, "empty", &b, 0), 0);
	assert_string_equal(b.data, "");
	assert_int_equal(pf_read_file(d, "f", &b, 0), -EFBIG);
}

static void read_obeys_the_buffer(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {.limit = 5};
	int d = place_fd(state);

	make_file(d, "five", "12345");
	make_file(d, "six", "123456");
	assert_int_equal(pf_read_file(d, "six", &b, 1000), -E2BIG);
	assert_int_equal(b.len, 0);
	assert_int_equal(pf_read_file(d, "six", &b, 5), -EFBIG);
	assert_int_equal(pf_read_file(d, "five", &b, 1000), 0);
	assert_string_equal(b.data, "12345");
	assert_int_equal(pf_read_file(d, "five", &b, 1000), -E2BIG);
	assert_string_equal(b.data, "12345");
}

static void large_files_come_whole(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	PF_AUTO_FREE char *text = malloc(300000);
	int d = place_fd(state);

	for (size_t i = 0; i < 300000; i++)
		text[i] = (char)(i * 31);
	assert_int_equal(pf_replace_file(d, "f", text, 300000, 0600), 0);
	assert_int_equal(pf_read_file(d, "f", &b, 300000), 0);
	assert_int_equal(b.len, 300000);
	assert_memory_equal(b.data, text, 300000);
}

/* A pipe that somebody made non-blocking loses nothing. */
static void full_means_full(void **state)
{
	enum { N = 500000 };
	PF_AUTO_FREE char *text = calloc(1, N);
	PF_AUTO_FREE char *back = malloc(N + 1);
	int p[2], status;
	pid_t child;

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	for (size_t i = 0; i < N; i++)
		text[i] = (char)(i * 17);
	child = fork();
	if (child == 0) {
		close(p[0]);
		_exit(pf_write_full(p[1], text, N) == 0 ? 0 : 1);
	}
	close(p[1]);
	assert_int_equal(pf_read_full(p[0], back, N + 1), N);
	assert_memory_equal(back, text, N);
	close(p[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(pf_read_full(-1, back, 1), -EBADF);
	assert_int_equal(pf_write_full(-1, text, 1), -EBADF);
	assert_int_equal(pf_write_full(-1, text, 0), 0);
}

static void write_file_creates_nothing(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	int d = place_fd(state);

	assert_int_equal(pf_write_file(d, "none", "x"), -ENOENT);
	assert_false(exists(d, "none"));
	make_file(d, "f", "abc");
	assert_int_equal(pf_write_file(d, "f", "X"), 0);
	assert_int_equal(pf_read_file(d, "f", &b, 10), 0);
	assert_string_equal(b.data, "Xbc");
	assert_int_equal(pf_write_file(AT_FDCWD, "/dev/full", "x"), -ENOSPC);
}

static void replace_is_by_rename(void **state)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	int d = place_fd(state), old;
	struct stat st;
	mode_t mask = umask(077);

	make_dir(d, "a");
	make_file(d, "victim", "keep");
	make_file(d, "a/f", "old");
	old = openat(d, "a/f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(pf_replace_file(d, "a/f", "new", 3, 0644), 0);
	umask(mask);
	assert_int_equal(fstatat(d, "a/f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0644); /* whatever the umask */
	assert_int_equal(pf_read_fd(old, &b, 10), 0);
	assert_string_equal(b.data, "old");
	close(old);
	pf_buf_free(&b);
	assert_int_equal(pf_read_file(d, "a/f", &b, 10), 0);
	assert_string_equal(b.data, "new");

	/* a symlink is replaced, not followed */
	assert_int_equal(symlinkat("victim", d, "link"), 0);
	assert_int_equal(pf_replace_file(d, "link", "new", 3, 0600), 0);
	pf_buf_free(&b);
	assert_int_equal(pf_read_file(d, "victim", &b, 10), 0);
	assert_string_equal(b.data, "keep");

	/* and no failure leaves its temporary behind */
	assert_int_equal(pf_replace_file(d, "a/", "x", 1, 0600), -EINVAL);
	assert_int_equal(pf_replace_file(d, "", "x", 1, 0600), -EINVAL);
	assert_int_equal(pf_replace_file(d, "none/f", "x", 1, 0600), -ENOENT);
	make_dir(d, "b");
	make_dir(d, "b/dir");
	assert_int_equal(pf_replace_file(d, "b/dir", "x", 1, 0600), -EISDIR);
	assert_int_equal(unlinkat(d, "b/dir", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(d, "b", AT_REMOVEDIR), 0);
}

static void mkdir_p_makes_what_is_missing(void **state)
{
	struct place *p = *state;
	char path[PATH_MAX + 8];

	snprintf(path, sizeof(path), "%s/a/b//c/", p->path);
	assert_int_equal(pf_mkdir_p(path, 0755), 0);
	assert_int_equal(pf_mkdir_p(path, 0755), 0);
	assert_true(exists(p->fd, "a/b/c"));
	assert_int_equal(symlinkat("a", p->fd, "link"), 0);
	snprintf(path, sizeof(path), "%s/link/x", p->path);
	assert_int_equal(pf_mkdir_p(path, 0755), 0); /* the user's own path: symlinks count */
	assert_true(exists(p->fd, "a/x"));
	make_file(p->fd, "f", "");
	snprintf(path, sizeof(path), "%s/f", p->path);
	assert_int_equal(pf_mkdir_p(path, 0755), -ENOTDIR);
	snprintf(path, sizeof(path), "%s/f/g/h", p->path);
	assert_int_equal(pf_mkdir_p(path, 0755), -ENOTDIR);
	assert_int_equal(pf_mkdir_p("relative", 0755), -EINVAL);
	assert_int_equal(pf_mkdir_p("", 0755), -EINVAL);
	assert_int_equal(pf_mkdir_p("/", 0755), 0);
	assert_int_equal(pf_mkdir_p("/proc", 0755), 0);
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(pf_mkdir_p(path, 0755), -ENAMETOOLONG);
}

static void small_helpers(void **state)
{
	unsigned char a[64] = {0}, b[64] = {0};
	uint64_t t = pf_now_ns();
	int p[2];

	(void)state;
	assert_true(pf_now_ns() >= t);
	pf_random(a, sizeof(a));
	pf_random(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	pf_random(a, 0);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(pf_set_nonblock(p[0], 1), 0);
	assert_int_equal(read(p[0], a, 1), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(pf_set_nonblock(p[0], 0), 0);
	assert_int_equal(fcntl(p[0], F_GETFL) & O_NONBLOCK, 0);
	close(p[0]);
	close(p[1]);
	assert_int_equal(pf_set_nonblock(p[0], 1), -EBADF);
}

/* As on an older kernel: the call is not there. */
static bool without_syscall(unsigned int nr)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {PF_ARRAY_SIZE(code), code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int close_in_child(void)
{
	for (int fd = 100; fd < 120; fd++)
		dup2(0, fd);
	if (pf_close_from(105) != 0)
		return 1;
	for (int fd = 100; fd < 120; fd++) {
		if ((fcntl(fd, F_GETFD) >= 0) != (fd < 105))
			return 2;
	}
	return 0;
}

/* With close_range(2) and, where a filter or an old kernel denies it, by /proc. */
static void close_from_closes_all(void **state)
{
	(void)state;
	for (int denied = 0; denied < 2; denied++) {
		pid_t child = fork();
		int status;

		if (child == 0)
			_exit(denied && !without_syscall(SYS_close_range) ? 3 : close_in_child());
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(beneath_lets_nothing_out, enter, leave),
		cmocka_unit_test(magic_links_are_refused),
		cmocka_unit_test_setup_teardown(openat2_creates, enter, leave),
		cmocka_unit_test_setup_teardown(parent_and_leaf, enter, leave),
		cmocka_unit_test_setup_teardown(read_is_bounded, enter, leave),
		cmocka_unit_test_setup_teardown(read_obeys_the_buffer, enter, leave),
		cmocka_unit_test_setup_teardown(large_files_come_whole, enter, leave),
		cmocka_unit_test(full_means_full),
		cmocka_unit_test_setup_teardown(write_file_creates_nothing, enter, leave),
		cmocka_unit_test_setup_teardown(replace_is_by_rename, enter, leave),
		cmocka_unit_test_setup_teardown(mkdir_p_makes_what_is_missing, enter, leave),
		cmocka_unit_test(small_helpers),
		cmocka_unit_test(close_from_closes_all),
	};

	return cmocka_run_group_tests_name("fd", tests, NULL, NULL);
}
