/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random edits of random files, shown as a diff; `git apply` and `patch -p1` must make of the old tree
 * what the sandbox made of it. Programs other than ours decide here whether the format is right.
 */
#include "test_workspace.h"

#include <fcntl.h>

#define FILES  6
#define ROUNDS 150

static const char *const names[FILES] = {"plain",	"dir/in it", "dir/deep/x",
					 "caf\xc3\xa9", "a \"q\" b", "tab\tname"};

static int run(const char *dir, const char *const argv[])
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		dup2(null, 0);
		dup2(null, 1);
		/* /tmp is no repository, and no other one above may take part */
		setenv("GIT_CEILING_DIRECTORIES", "/tmp", 1);
		setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
		setenv("HOME", "/nonexistent", 1);
		if (chdir(dir) < 0)
			_exit(126);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	assert_true(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static size_t random_lines(uint64_t *seed, char *buf, size_t cap)
{
	size_t n = 0, lines = rnd(seed) % 60;

	for (size_t i = 0; i < lines && n + 20 < cap; i++)
		n += (size_t)snprintf(buf + n, cap - n, "line %u%s\n", (unsigned)(rnd(seed) % 30),
				      rnd(seed) % 9   ? ""
				      : rnd(seed) % 2 ? "\r"
						      : "\t \xff");
	if (n && rnd(seed) % 4 == 0)
		n--; /* no newline at the end */
	return n;
}

/* Some lines changed, some gone, some new. */
static size_t edit(uint64_t *seed, const char *old, size_t n, char *out, size_t cap)
{
	size_t m = 0;

	for (size_t i = 0; i < n;) {
		const char *nl = memchr(old + i, '\n', n - i);
		size_t len = nl ? (size_t)(nl - old) + 1 - i : n - i;
		unsigned what = (unsigned)(rnd(seed) % 20);

		if (what != 0 && m + len < cap) {
			memcpy(out + m, old + i, len);
			m += len;
		}
		if (what == 1 && m + 20 < cap && (m == 0 || out[m - 1] == '\n'))
			m += (size_t)snprintf(out + m, cap - m, "inserted %u\n", (unsigned)(rnd(seed) % 100));
		i += len;
	}
	if (rnd(seed) % 5 == 0 && m + 20 < cap)
		m += (size_t)snprintf(out + m, cap - m, "end%s", rnd(seed) % 2 ? "\n" : "");
	return m;
}

static void round_files(struct place *p, uint64_t *seed, int want, int w2)
{
	for (int i = 0; i < FILES; i++) {
		char old[4096], new[8192];
		bool was = rnd(seed) % 4, is = rnd(seed) % 5, same = rnd(seed) % 4 == 0;
		mode_t old_mode = rnd(seed) % 3 ? 0644 : 0755, new_mode = rnd(seed) % 4 ? old_mode : 0755;
		size_t n = random_lines(seed, old, sizeof(old)), m;

		m = same  ? n
		    : was ? edit(seed, old, n, new, sizeof(new))
			  : random_lines(seed, new, sizeof(new));
		if (same)
			memcpy(new, old, n);
		/* patch(1), but not git, needs the "---" lines for a name with a space: give it content and
		 * one mode */
		if (i == 1) {
			n = n ? n : (size_t)sprintf(old, "x");
			m = m ? m : (size_t)sprintf(new, "y");
			old_mode = new_mode = 0644;
		}
		if (was) {
			put_bytes(p->ws, names[i], old, n, old_mode);
			put_bytes(w2, names[i], old, n, old_mode);
		}
		if (is) {
			put_bytes(p->upper, names[i], new, m, new_mode);
			put_bytes(want, names[i], new, m, new_mode);
		} else if (was) {
			mkdirat(p->upper, "dir", 0755);
			mkdirat(p->upper, "dir/deep", 0755);
			whiteout(p->upper, names[i]);
		}
	}
}

static void assert_files(int have, int want, uint64_t seed, const char *who)
{
	for (int i = 0; i < FILES; i++) {
		struct pf_buf a = {0}, b = {0};
		bool in = exists(have, names[i]);

		if (in != exists(want, names[i]))
			fail_msg("%s: '%s' is %s (PF_SEED=%llu)", who, names[i], in ? "there" : "missing",
				 (unsigned long long)seed);
		if (!in)
			continue;
		assert_int_equal(pf_read_file(have, names[i], &a, 1 << 20), 0);
		assert_int_equal(pf_read_file(want, names[i], &b, 1 << 20), 0);
		if (a.len != b.len || (a.len && memcmp(a.data, b.data, a.len) != 0))
			fail_msg("%s: '%s' differs (PF_SEED=%llu)", who, names[i], (unsigned long long)seed);
		if ((mode_of(have, names[i]) ^ mode_of(want, names[i])) & 0100)
			fail_msg("%s: '%s' has another mode (PF_SEED=%llu)", who, names[i],
				 (unsigned long long)seed);
		pf_buf_free(&a);
		pf_buf_free(&b);
	}
}

static void one_round(uint64_t seed)
{
	static const char *const git[] = {"git", "apply", "--whitespace=nowarn", "../patch", NULL};
	static const char *const patch[] = {"patch", "-p1", "-s", "-f", "--binary", "-i", "../patch", NULL};
	struct place p;
	struct pf_changeset c;
	struct pf_error err = {0};
	uint64_t s = seed;
	char path2[96];
	int fd, want, w2;

	place_make(&p);
	want = dir_at(p.fd, "want");
	w2 = dir_at(p.fd, "w2");
	round_files(&p, &s, want, w2);
	collect(&p, &c);
	fd = openat(p.fd, "patch", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (c.count)
		check(&err, pf_change_print_diff(p.changes, &c, false, fd, NULL, &err));
	if (lseek(fd, 0, SEEK_CUR) > 0) {
		if (run(p.path, git) != 0)
			fail_msg("git apply refuses it (PF_SEED=%llu)", (unsigned long long)seed);
		assert_files(p.ws, want, seed, "git");
		snprintf(path2, sizeof(path2), "%s/w2", p.dir);
		if (run(path2, patch) != 0)
			fail_msg("patch refuses it (PF_SEED=%llu)", (unsigned long long)seed);
		assert_files(w2, want, seed, "patch");
	}
	close(fd);
	close(want);
	close(w2);
	pf_change_free(&c);
	place_free(&p);
}

static void test_random_edits(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	if (run("/", (const char *const[]){"git", "--version", NULL}) != 0 ||
	    run("/", (const char *const[]){"patch", "--version", NULL}) != 0) {
		print_message("skipped: git or patch is not installed\n");
		skip();
	}
	for (int i = 0; i < ROUNDS; i++) {
		one_round(seed);
		rnd(&seed);
	}
}

/* Links and changes of type: only git knows them. */
static void test_git_types(void **state)
{
	static const char *const git[] = {"git", "apply", "../patch", NULL};
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_error err = {0};
	int fd, want = dir_at(p->fd, "want");

	put(p->ws, "file", "f\n");
	put(p->ws, "dir/a", "a\n");
	put(p->ws, "into/b", "b\n");
	assert_int_equal(symlinkat("x", p->ws, "link"), 0);
	assert_int_equal(symlinkat("y", p->ws, "plain"), 0);
	assert_int_equal(symlinkat("l\nf", p->upper, "file"), 0);
	put(p->upper, "dir", "was a directory\n");
	assert_int_equal(symlinkat("../out", p->upper, "into"), 0);
	assert_int_equal(symlinkat("z", p->upper, "link"), 0);
	put(p->upper, "plain", "no link\n");
	put(p->upper, "many/levels/of/it", "1\n");
	assert_int_equal(symlinkat("l\nf", want, "file"), 0);
	put(want, "dir", "was a directory\n");
	assert_int_equal(symlinkat("../out", want, "into"), 0);
	assert_int_equal(symlinkat("z", want, "link"), 0);
	put(want, "plain", "no link\n");
	put(want, "many/levels/of/it", "1\n");
	collect(p, &c);
	fd = openat(p->fd, "patch", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	check(&err, pf_change_print_diff(p->changes, &c, false, fd, NULL, &err));
	assert_int_equal(run(p->path, git), 0);
	assert_same_trees(p->ws, want);
	close(fd);
	close(want);
	pf_change_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_edits),
		PLACE_TEST(test_git_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
