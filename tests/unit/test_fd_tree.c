/* SPDX-License-Identifier: Apache-2.0 */
/* base/tree: what a hostile sandbox may leave in a tree that is to be removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define SKIPPED 77
#ifndef SYS_fchmodat2 /* Linux 6.6 */
#define SYS_fchmodat2 452
#endif

static char place[64];
static int at = -1; /* place; every test works in it and must leave nothing but what it checks */

static int enter(void **state)
{
	(void)state;
	strcpy(place, "/tmp/pf-test-tree-XXXXXX");
	if (!mkdtemp(place) || chmod(place, 0777) < 0)
		return -1;
	at = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return at < 0 ? -1 : 0;
}

static int leave(void **state)
{
	int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = pf_remove_tree(tmp, place + strlen("/tmp/"));

	(void)state;
	close(tmp);
	close(at);
	return r;
}

static void make_file(const char *name)
{
	int fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	close(fd);
}

static void make_dir(const char *name, mode_t mode)
{
	assert_int_equal(mkdirat(at, name, 0700), 0);
	assert_int_equal(fchmodat(at, name, mode, 0), 0);
}

static bool exists(const char *name)
{
	struct stat st;

	return fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void ordinary_trees(void **state)
{
	(void)state;
	make_dir("t", 0755);
	make_dir("t/a", 0755);
	make_dir("t/a/b", 0755);
	make_file("t/f");
	make_file("t/a/f");
	make_file("t/a/.hidden");
	assert_int_equal(mkfifoat(at, "t/a/fifo", 0600), 0);
	make_dir("keep", 0755);
	make_dir("keep/t", 0755);
	assert_int_equal(pf_remove_tree(at, "t"), 0);
	assert_false(exists("t"));
	assert_int_equal(pf_remove_tree(at, "t"), 0); /* gone is fine */
	assert_int_equal(pf_remove_tree(at, "none/x"), 0);
	assert_int_equal(pf_remove_tree(at, "keep/t"), 0);
	assert_true(exists("keep"));
	make_file("f");
	assert_int_equal(pf_remove_tree(at, "f"), 0);
	assert_false(exists("f"));
}

static void bad_names(void **state)
{
	static const char *const bad[] = {"", ".", "..", "/tmp", "keep/", "keep/..", "keep/."};

	(void)state;
	make_dir("keep", 0755);
	make_file("keep/f");
	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++)
		assert_int_equal(pf_remove_tree(at, bad[i]), -EINVAL);
	assert_int_equal(pf_remove_tree(at, "../x"), -EXDEV);
	assert_true(exists("keep/f"));
}

static void symlinks_are_not_followed(void **state)
{
	(void)state;
	make_dir("keep", 0755);
	make_file("keep/f");
	make_dir("t", 0755);
	make_dir("t/a", 0755);
	assert_int_equal(symlinkat("../keep", at, "t/up"), 0);
	assert_int_equal(symlinkat("../../keep", at, "t/a/up"), 0);
	assert_int_equal(symlinkat("../../keep/f", at, "t/a/file"), 0);
	assert_int_equal(symlinkat("/", at, "t/root"), 0);
	assert_int_equal(symlinkat("keep", at, "top"), 0);
	assert_int_equal(pf_remove_tree(at, "t"), 0);
	assert_int_equal(pf_remove_tree(at, "top/f"), -ELOOP);
	assert_int_equal(pf_remove_tree(at, "top"), 0); /* the link itself */
	assert_false(exists("t"));
	assert_false(exists("top"));
	assert_true(exists("keep/f"));
}

/* body in a child, which may become another user or enter a namespace; what it returns. */
static int in_child(int (*body)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(body());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
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

static int remove_as_nobody(void)
{
	if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
		return SKIPPED;
	if (mkdirat(at, "t", 0700) < 0 || mkdirat(at, "t/work", 0700) < 0 ||
	    mkdirat(at, "t/work/work", 0700) < 0 || mkdirat(at, "t/work/work/x", 0700) < 0 ||
	    mkdirat(at, "t/r", 0700) < 0 || mkdirat(at, "t/r/x", 0700) < 0)
		return 2;
	fchmodat(at, "t/work/work/x", 0, 0);
	fchmodat(at, "t/work/work", 0, 0);
	fchmodat(at, "t/r/x", 0300, 0);
	fchmodat(at, "t/r", 0500, 0);
	fchmodat(at, "t", 0, 0);
	return pf_remove_tree(at, "t") == 0 && !exists("t") ? 0 : 3;
}

static int remove_as_nobody_before_6_6(void)
{
	return without_syscall(SYS_fchmodat2) ? remove_as_nobody() : SKIPPED;
}

/* Without root's rights, modes bar the way; overlayfs leaves work/work with 000. */
static void modes_do_not_protect(void **state)
{
	int r = in_child(remove_as_nobody);

	(void)state;
	if (r == 0)
		r = in_child(remove_as_nobody_before_6_6);
	if (r == SKIPPED) {
		print_message("skipped: cannot become another user\n");
		skip();
	}
	assert_int_equal(r, 0);
}

static int remove_others(void)
{
	if (geteuid() != 0 || setgid(65534) < 0 || setuid(65534) < 0)
		return SKIPPED;
	return pf_remove_tree(at, "t") == -EACCES && exists("t/locked") && !exists("t/mine") ? 0 : 3;
}

/* One that cannot go does not save the rest, and its error is the answer. */
static void errors_do_not_stop_it(void **state)
{
	int r;

	(void)state;
	make_dir("t", 0777);
	make_dir("t/locked", 0700);
	make_file("t/locked/f");
	make_file("t/mine");
	r = in_child(remove_others);
	if (r == SKIPPED) {
		print_message("skipped: not root, so nothing belongs to another user\n");
		skip();
	}
	assert_int_equal(r, 0);
}

static int remove_over_mount(void)
{
	char path[128];

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return SKIPPED;
	snprintf(path, sizeof(path), "%s/t/a/m", place);
	if (mount("keep", path, "tmpfs", 0, NULL) < 0)
		return SKIPPED;
	snprintf(path, sizeof(path), "%s/t/a/m/f", place);
	if (close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)) < 0)
		return 2;
	if (pf_remove_tree(at, "t") != -EBUSY || access(path, F_OK) != 0 || exists("t/other"))
		return 3;
	return pf_remove_tree(at, "t/a/m") == -EBUSY && access(path, F_OK) == 0 ? 0 : 4;
}

static void mounts_are_not_entered(void **state)
{
	int r;

	(void)state;
	make_dir("t", 0755);
	make_dir("t/a", 0755);
	make_dir("t/a/m", 0755);
	make_file("t/other");
	r = in_child(remove_over_mount);
	if (r == SKIPPED) {
		print_message("skipped: no mount namespace here\n");
		skip();
	}
	assert_int_equal(r, 0);
}

/* A chain of n directories below name, a file in every hundredth and one beside it. */
static void make_deep(const char *name, unsigned n)
{
	int fd;

	make_dir(name, 0755);
	fd = openat(at, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (unsigned i = 0; i < n; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "d", 0700), 0);
		if (i % 100 == 0) {
			assert_int_equal(mknodat(fd, "f", S_IFREG | 0600, 0), 0);
			assert_int_equal(mkdirat(fd, "beside", 0700), 0);
			assert_int_equal(mknodat(fd, "beside/f", S_IFREG | 0600, 0), 0);
		}
		next = openat(fd, "d", O_PATH | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	close(fd);
}

static void depth_costs_no_descriptors(void **state)
{
	struct rlimit few = {128, 128}, old;

	(void)state;
	make_deep("deep", 5000);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(pf_remove_tree(at, "deep"), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_false(exists("deep"));
}

/* Every depth around the bound where directories begin to be moved up. */
static void depths_around_the_bound(void **state)
{
	(void)state;
	for (unsigned n = 28; n < 70; n++) {
		make_deep("deep", n);
		assert_int_equal(pf_remove_tree(at, "deep"), 0);
		assert_false(exists("deep"));
	}
}

static void width(void **state)
{
	char name[32];

	(void)state;
	make_dir("wide", 0755);
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "wide/%d", i);
		if (i % 2)
			make_file(name);
		else
			make_dir(name, 0755);
	}
	assert_int_equal(pf_remove_tree(at, "wide"), 0);
	assert_false(exists("wide"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ordinary_trees, enter, leave),
		cmocka_unit_test_setup_teardown(bad_names, enter, leave),
		cmocka_unit_test_setup_teardown(symlinks_are_not_followed, enter, leave),
		cmocka_unit_test_setup_teardown(modes_do_not_protect, enter, leave),
		cmocka_unit_test_setup_teardown(errors_do_not_stop_it, enter, leave),
		cmocka_unit_test_setup_teardown(mounts_are_not_entered, enter, leave),
		cmocka_unit_test_setup_teardown(depth_costs_no_descriptors, enter, leave),
		cmocka_unit_test_setup_teardown(depths_around_the_bound, enter, leave),
		cmocka_unit_test_setup_teardown(width, enter, leave),
	};

	return cmocka_run_group_tests_name("fd_tree", tests, NULL, NULL);
}
