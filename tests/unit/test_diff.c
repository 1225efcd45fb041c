/* SPDX-License-Identifier: Apache-2.0 */
/* Unified diffs: exact text where git's is known, and for random edits whatever git apply and patch make of
 * them. */
#include "test_workspace.h"

#include <fcntl.h>

#include "workspace/diff_internal.h"

static void diff_text(struct place *p, const struct pf_changeset *c, bool terminal, struct pf_buf *out)
{
	struct pf_error err = {0};
	int fd = openat(p->fd, "patch", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	check(&err, pf_change_print_diff(p->changes, c, terminal, fd, NULL, &err));
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(pf_read_fd(fd, out, 64 << 20), 0);
	close(fd);
}

static void assert_diff(struct place *p, bool terminal, const char *want)
{
	struct pf_changeset c;
	PF_AUTO_BUF struct pf_buf b = {0};

	collect(p, &c);
	diff_text(p, &c, terminal, &b);
	assert_string_equal(b.data ? b.data : "", want);
	pf_change_free(&c);
}

static void test_simple(void **state)
{
	struct place *p = *state;

	put(p->ws, "f", "1\n2\n3\n4\n5\n6\n7\n8\n9\n");
	put(p->ws, "g", "x\n");
	put(p->ws, "gone", "one\ntwo");
	put(p->upper, "f", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n");
	put_mode(p->upper, "g", "x\n", 0755);
	whiteout(p->upper, "gone");
	put(p->upper, "new", "only\n");
	put(p->upper, "nothing", "");
	assert_diff(
		p, false,
		"diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"
		"diff --git a/g b/g\nold mode 100644\nnew mode 100755\n"
		"diff --git a/gone b/gone\ndeleted file mode 100644\n--- a/gone\n+++ /dev/null\n@@ -1,2 +0,0 "
		"@@\n"
		"-one\n-two\n\\ No newline at end of file\n"
		"diff --git a/new b/new\nnew file mode 100644\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 "
		"@@\n+only\n"
		"diff --git a/nothing b/nothing\nnew file mode 100644\nindex 0000000..e69de29\n");
}

static void test_newline_at_end(void **state)
{
	struct place *p = *state;

	put(p->ws, "a", "x\ny");
	put(p->ws, "b", "x\ny\n");
	put(p->upper, "a", "x\ny\n");
	put(p->upper, "b", "x\ny");
	assert_diff(p, false,
		    "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n x\n-y\n\\ No newline at end of "
		    "file\n+y\n"
		    "diff --git a/b b/b\n--- a/b\n+++ b/b\n@@ -1,2 +1,2 @@\n x\n-y\n+y\n\\ No newline at end "
		    "of file\n");
}

static void test_links_and_types(void **state)
{
	struct place *p = *state;

	put(p->ws, "d/in", "i\n");
	put(p->ws, "f", "text\n");
	assert_int_equal(symlinkat("old", p->ws, "l"), 0);
	put(p->upper, "d", "file\n");
	assert_int_equal(symlinkat("to", p->upper, "f"), 0);
	assert_int_equal(symlinkat("new", p->upper, "l"), 0);
	assert_diff(
		p, false,
		"diff --git a/d/in b/d/in\ndeleted file mode 100644\n--- a/d/in\n+++ /dev/null\n@@ -1 +0,0 "
		"@@\n-i\n"
		"diff --git a/d b/d\nnew file mode 100644\n--- /dev/null\n+++ b/d\n@@ -0,0 +1 @@\n+file\n"
		"diff --git a/f b/f\ndeleted file mode 100644\n--- a/f\n+++ /dev/null\n@@ -1 +0,0 @@\n-text\n"
		"diff --git a/f b/f\nnew file mode 120000\n--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+to\n"
		"\\ No newline at end of file\n"
		"diff --git a/l b/l\n--- a/l\n+++ b/l\n@@ -1 +1 @@\n-old\n\\ No newline at end of "
		"file\n+new\n"
		"\\ No newline at end of file\n");
}

static void test_binary_and_names(void **state)
{
	struct place *p = *state;

	put_bytes(p->ws, "bin", "a\0b", 3, 0644);
	put_bytes(p->upper, "bin", "a\0c", 3, 0644);
	put_bytes(p->upper, "a b\n\"\xc3\xa9", "\0", 1, 0600);
	put(p->upper, "with space", "s\n");
	assert_diff(p, false,
		    "diff --git \"a/a b\\n\\\"\\303\\251\" \"b/a b\\n\\\"\\303\\251\"\nnew file mode 100644\n"
		    "Binary files /dev/null and \"b/a b\\n\\\"\\303\\251\" differ\n"
		    "diff --git a/bin b/bin\nBinary files a/bin and b/bin differ\n"
		    "diff --git a/with space b/with space\nnew file mode 100644\n--- /dev/null\n+++ b/with "
		    "space\t\n"
		    "@@ -0,0 +1 @@\n+s\n");
}

static void test_terminal(void **state)
{
	struct place *p = *state;

	put(p->upper, "e", "\033[31mred\ttab\r\nrtl\xe2\x80\xae caf\xc3\xa9\n");
	assert_diff(p, true,
		    "diff --git a/e b/e\nnew file mode 100644\n--- /dev/null\n+++ b/e\n@@ -0,0 +1,2 @@\n"
		    "+\\x1b[31mred\ttab\\x0d\n+rtl\\xe2\\x80\\xae caf\xc3\xa9\n");
}

/* A file of the user's that the sandbox never saw must not show, whatever the sandbox put there. */
static void test_masked_content(void **state)
{
	struct place *p = *state;

	put(p->ws, ".env", "KEY=real\n");
	pf_list_add(&p->masked, ".env");
	put(p->upper, ".env", "KEY=fake\n");
	assert_diff(p, false,
		    "diff --git a/.env b/.env\nnew file mode 100644\n--- /dev/null\n+++ b/.env\n@@ -0,0 +1 "
		    "@@\n+KEY=fake\n");
}

static void assert_notes(struct place *p, const struct pf_changeset *c, const char *want)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf_list notes = {0};
	struct pf_error err = {0};
	int fd = openat(p->fd, "patch", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	check(&err, pf_change_print_diff(p->changes, c, false, fd, &notes, &err));
	close(fd);
	for (size_t i = 0; i < notes.count; i++)
		pf_buf_addf(&b, "%s\n", notes.items[i]);
	pf_list_free(&notes);
	assert_string_equal(b.data ? b.data : "", want);
}

/* Nothing of a change set goes unsaid: what git's format has no place for is a note. */
static void test_notes(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;

	put(p->ws, "m", "x\n");
	put(p->ws, "x", "x\n");
	put(p->ws, ".env", "KEY=1\n");
	make_dir(p->ws, "gone", 0755);
	make_dir(p->ws, "closed", 0755);
	pf_list_add(&p->masked, ".env");
	put_mode(p->upper, "m", "x\n", 0600);
	put_mode(p->upper, "x", "x\n", 0755);
	put(p->upper, ".env", "KEY=2\n");
	put(p->upper, "new", "n\n");
	put(p->upper, "in/it", "i\n");
	make_dir(p->upper, "empty", 0755);
	make_dir(p->upper, "closed", 0700);
	assert_int_equal(mkfifoat(p->upper, "pipe", 0644), 0);
	whiteout(p->upper, "gone");
	collect(p, &c);
	put(p->ws, "new", "other\n");
	assert_notes(p, &c,
		     ".env: is in the directory, but was hidden from the sandbox; shown as new\n"
		     "closed: mode 700 (a patch cannot hold it)\n"
		     "empty: an empty directory (a patch cannot hold it)\n"
		     "gone: an empty directory goes (a patch cannot hold it)\n"
		     "m: mode 600 (a patch cannot hold it)\n"
		     "new: exists in the directory now with other content; shown as new\n"
		     "pipe: a FIFO (a patch cannot hold it)\n");
	put_mode(p->ws, "new", "n\n", 0644);
	assert_int_equal(fchmodat(p->ws, "m", 0600, 0), 0);
	assert_int_equal(unlinkat(p->ws, ".env", 0), 0);
	assert_int_equal(unlinkat(p->ws, "gone", AT_REMOVEDIR), 0);
	assert_int_equal(fchmodat(p->ws, "closed", 0700, 0), 0);
	make_dir(p->ws, "empty", 0755);
	assert_notes(p, &c, "pipe: a FIFO (a patch cannot hold it)\n");
	pf_change_free(&c);
}

/* The same diff again after an apply is empty, and a link in the way of a path is not followed. */
static void test_as_it_is_now(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	PF_AUTO_BUF struct pf_buf b = {0};

	put(p->fd, "outside/f", "outside\n");
	put(p->ws, "d/f", "old\n");
	put(p->ws, "g", "1\n");
	put(p->upper, "d/f", "new\n");
	put(p->upper, "g", "2\n");
	put(p->upper, "n", "n\n");
	collect(p, &c);
	put(p->ws, "g", "2\n");
	put(p->ws, "n", "n\n");
	assert_int_equal(renameat(p->ws, "d", p->ws, "e"), 0);
	assert_int_equal(symlinkat("../outside", p->ws, "d"), 0);
	diff_text(p, &c, false, &b);
	assert_string_equal(b.data, "diff --git a/d/f b/d/f\nnew file mode 100644\n--- /dev/null\n+++ "
				    "b/d/f\n@@ -0,0 +1 @@\n+new\n");
	pf_change_free(&c);
}

/* A terabyte of holes is named, not read. */
static void test_huge(void **state)
{
	struct place *p = *state;
	int fd = openat(p->upper, "huge", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_int_equal(pwrite(fd, "text\n", 5, 0), 5);
	assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
	close(fd);
	assert_diff(
		p, false,
		"diff --git a/huge b/huge\nnew file mode 100644\nBinary files /dev/null and b/huge differ\n");
}

/* --- hunks against a small applier ----------------------------------------------------------- */
struct rebuilt {
	struct pf__text old;
	size_t at, left_old, left_new;
	unsigned hunks;
	struct pf_buf b;
	size_t edits;
};

static size_t line_start(struct pf__text t, size_t lines)
{
	size_t at = 0;

	while (lines--) {
		const char *nl = memchr(t.s + at, '\n', t.n - at);

		at = nl ? (size_t)(nl - t.s) + 1 : t.n;
	}
	return at;
}

static int take_hunk(void *ctx, size_t old_at, size_t old_n, size_t new_at, size_t new_n)
{
	struct rebuilt *r = ctx;
	size_t at = line_start(r->old, old_n ? old_at - 1 : old_at);

	(void)new_at;
	assert_int_equal(r->left_old, 0);
	assert_int_equal(r->left_new, 0);
	assert_true(at >= r->at);
	pf_buf_add(&r->b, r->old.s + r->at, at - r->at);
	r->at = at;
	r->left_old = old_n;
	r->left_new = new_n;
	r->hunks++;
	return 0;
}

static int take_line(void *ctx, char mark, const char *line, size_t n)
{
	struct rebuilt *r = ctx;

	if (mark != '+') {
		assert_true(r->left_old-- > 0);
		assert_true(r->at + n <= r->old.n && memcmp(r->old.s + r->at, line, n) == 0);
		r->at += n;
	}
	if (mark != '-') {
		assert_true(r->left_new-- > 0);
		pf_buf_add(&r->b, line, n);
	}
	r->edits += mark != ' ';
	return 0;
}

static size_t assert_rebuilds(struct pf__text a, struct pf__text b)
{
	struct rebuilt r = {.old = a};
	struct pf__diff_out out = {take_hunk, take_line, &r};
	size_t edits;

	assert_int_equal(pf__diff_lines(a, b, &out), 0);
	assert_int_equal(r.left_old + r.left_new, 0);
	pf_buf_add(&r.b, a.s + r.at, a.n - r.at);
	assert_int_equal(r.b.len, b.n);
	assert_true(b.n == 0 || memcmp(r.b.data, b.s, b.n) == 0);
	edits = r.edits;
	pf_buf_free(&r.b);
	return edits;
}

static struct pf__text random_text(uint64_t *seed, char *buf, size_t cap)
{
	size_t n = rnd(seed) % cap;

	for (size_t i = 0; i < n; i++)
		buf[i] = "ab\n\n"[rnd(seed) % 4];
	return (struct pf__text){buf, n};
}

/* Length of the longest common subsequence of lines, the slow way. */
static size_t shortest_edit(struct pf__text a, struct pf__text b)
{
	static size_t at[2][128];
	size_t na = 0, nb = 0, sa[128], sb[128];

	for (size_t i = 0; i < a.n; i = line_start((struct pf__text){a.s + i, a.n - i}, 1) + i)
		sa[na++] = i;
	for (size_t i = 0; i < b.n; i = line_start((struct pf__text){b.s + i, b.n - i}, 1) + i)
		sb[nb++] = i;
	sa[na] = a.n;
	sb[nb] = b.n;
	memset(at, 0, sizeof(at));
	for (size_t i = 1; i <= na; i++) {
		for (size_t j = 1; j <= nb; j++) {
			size_t la = sa[i] - sa[i - 1], lb = sb[j] - sb[j - 1], *row = at[i & 1],
			       *up = at[(i - 1) & 1];
			bool same = la == lb && memcmp(a.s + sa[i - 1], b.s + sb[j - 1], la) == 0;

			row[j] = same ? up[j - 1] + 1 : up[j] > row[j - 1] ? up[j] : row[j - 1];
		}
	}
	return na + nb - 2 * at[na & 1][nb];
}

static void test_hunks(void **state)
{
	uint64_t seed = test_seed();
	char a[100], b[100];

	(void)state;
	for (int i = 0; i < 50000; i++) {
		struct pf__text x = random_text(&seed, a, sizeof(a)), y = random_text(&seed, b, sizeof(b));

		assert_int_equal(assert_rebuilds(x, y), shortest_edit(x, y));
	}
}

/* Beyond the bounds the diff is long but right, and the time is not the enemy's to choose. */
static void test_bounds(void **state)
{
	struct pf_buf a = {0}, b = {0};
	uint64_t seed = 12345, start = pf_now_ns();

	(void)state;
	for (int i = 0; i < 200000; i++) {
		pf_buf_addf(&a, "%u\n", (unsigned)(rnd(&seed) % 3));
		pf_buf_addf(&b, "%u\n", (unsigned)(rnd(&seed) % 3));
	}
	assert_true(assert_rebuilds((struct pf__text){a.data, a.len}, (struct pf__text){b.data, b.len}) > 0);
	a.len = b.len = 0;
	for (int i = 0; i < 1200000; i++)
		pf_buf_addc(i % 3 ? &a : &b, '\n');
	pf_buf_addc(&b, 'x');
	assert_true(assert_rebuilds((struct pf__text){a.data, a.len}, (struct pf__text){b.data, b.len}) > 0);
	assert_true(pf_now_ns() - start < UINT64_C(60000000000));
	pf_buf_free(&a);
	pf_buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(test_simple),
		PLACE_TEST(test_newline_at_end),
		PLACE_TEST(test_links_and_types),
		PLACE_TEST(test_binary_and_names),
		PLACE_TEST(test_terminal),
		PLACE_TEST(test_masked_content),
		PLACE_TEST(test_as_it_is_now),
		PLACE_TEST(test_notes),
		PLACE_TEST(test_huge),
		cmocka_unit_test(test_hunks),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
