/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applying against what stands in the way: links put in place of directories, files with other names
 * elsewhere, odd names, cut-off applies, damaged sets. Whatever happens, nothing outside the workspace
 * changes and nothing that exists is written through.
 */
#include "test_workspace.h"

#include <linux/fs.h>
#include <signal.h>
#include <sys/syscall.h>

static int apply(struct place *p, const struct pf_changeset *c, bool force, struct pf_apply_report *report)
{
	struct pf_apply how = {.force = force};
	struct pf_error err = {0};

	return pf_change_apply(p->changes, c, &how, report, &err);
}

static void assert_refused(struct place *p, const struct pf_changeset *c, const char *mention)
{
	for (int force = 0; force < 2; force++) {
		struct pf_apply_report report;
		int r = apply(p, c, force, &report);

		assert_int_equal(r, -EEXIST);
		if (!list_mentions(&report.conflicts, mention))
			fail_msg("not said: %s (first: %s)", mention, report.conflicts.items[0]);
		pf_apply_report_free(&report);
	}
}

/* A directory of the workspace that has become a link out of it, at every depth and for every operation. */
static void test_linked_directory(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_buf before = {0}, after = {0};
	int outside = dir_at(p->fd, "outside");

	put(p->ws, "d/sub/edit", "old");
	put(p->ws, "d/sub/gone", "g");
	put(p->ws, "d/sub/mode", "m");
	put(p->upper, "d/sub/edit", "new");
	put(p->upper, "d/sub/added", "new");
	put(p->upper, "d/sub/more/deep", "new");
	put_mode(p->upper, "d/sub/mode", "m", 0777);
	whiteout(p->upper, "d/sub/gone");
	collect(p, &c);
	put(outside, "edit", "old");
	put(outside, "gone", "g");
	put(outside, "mode", "m");
	put(outside, "sub/edit", "old");
	put(outside, "sub/gone", "g");
	put(outside, "sub/mode", "m");
	snapshot(outside, "", &before);
	assert_int_equal(renameat(p->ws, "d/sub", p->ws, "saved"), 0);
	assert_int_equal(symlinkat("../../outside", p->ws, "d/sub"), 0);
	assert_refused(p, &c, "d/sub/added: a symbolic link stands in the way");
	assert_int_equal(unlinkat(p->ws, "d/sub", 0), 0);
	assert_int_equal(unlinkat(p->ws, "d", AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat("../outside", p->ws, "d"), 0);
	assert_refused(p, &c, "d/sub/edit: a symbolic link stands in the way");
	snapshot(outside, "", &after);
	assert_string_equal(before.data, after.data);
	pf_buf_free(&before);
	pf_buf_free(&after);
	pf_change_free(&c);
	close(outside);
}

/* The same while it happens: a directory and a link to the outside change places all the time. */
static void test_racing_link(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	int outside = dir_at(p->fd, "outside");
	uint64_t seed = 1234567;
	unsigned done = 0;
	pid_t pid;

	put(p->ws, "d/gone", "g");
	put(p->upper, "d/added", "new");
	put(p->upper, "d/more/deep", "new");
	whiteout(p->upper, "d/gone");
	collect(p, &c);
	put(outside, "gone", "g");
	assert_int_equal(symlinkat("../outside", p->ws, "l"), 0);
	pid = fork();
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (pid == 0) {
		/* pauses of any length, so that it happens between any two steps, and an apply also ends at
		 * times */
		for (volatile uint64_t n = rnd(&seed) % (1 << (rnd(&seed) % 20)); n; n--)
			;
		syscall(SYS_renameat2, p->ws, "d", p->ws, "l", RENAME_EXCHANGE);
	}
	for (int i = 0; i < 10000 && (i < 2000 || done == 0); i++) {
		struct pf_apply_report report;

		done += apply(p, &c, true, &report) == 0;
		pf_apply_report_free(&report);
		unlinkat(p->ws, "d/added", 0);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	print_message("%u of the applies ended\n", done);
	assert_file(outside, "gone", "g");
	assert_false(exists(outside, "added"));
	assert_false(exists(outside, "more"));
	pf_change_free(&c);
	close(outside);
}

/* The last component is a link: it is replaced or refused, its target never touched. */
static void test_linked_file(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;

	put(p->fd, "target", "outside");
	put(p->ws, "edit", "old");
	put(p->ws, "mode", "m");
	put(p->upper, "edit", "new");
	put(p->upper, "add", "new");
	put_mode(p->upper, "mode", "m", 0777);
	make_dir(p->upper, "dir", 0777);
	put(p->upper, "dir/in", "new");
	collect(p, &c);
	assert_int_equal(unlinkat(p->ws, "edit", 0), 0);
	assert_int_equal(unlinkat(p->ws, "mode", 0), 0);
	assert_int_equal(symlinkat("../target", p->ws, "edit"), 0);
	assert_int_equal(symlinkat("../target", p->ws, "add"), 0);
	assert_int_equal(symlinkat("../outside", p->ws, "dir"), 0);
	dir_at(p->fd, "outside");
	put(p->ws, "mode", "m");
	assert_int_equal(apply(p, &c, false, &report), -EEXIST);
	pf_apply_report_free(&report);
	assert_int_equal(apply(p, &c, true, &report), 0);
	pf_apply_report_free(&report);
	assert_file(p->fd, "target", "outside");
	assert_int_equal(mode_of(p->fd, "target"), 0644);
	assert_false(exists(p->fd, "outside/in"));
	assert_file(p->ws, "dir/in", "new");
	assert_file(p->ws, "edit", "new");
	assert_file(p->ws, "add", "new");
	pf_change_free(&c);
}

/* The workspace itself, or a directory above it, has become a link. */
static void test_linked_workspace(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;

	put(p->upper, "f", "x");
	collect(p, &c);
	assert_int_equal(renameat(p->fd, "ws", p->fd, "moved"), 0);
	assert_int_equal(symlinkat("moved", p->fd, "ws"), 0);
	assert_int_equal(apply(p, &c, true, &report), -ELOOP);
	assert_false(exists(p->fd, "moved/f"));
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

/* A file of the workspace that has another name outside: that one keeps its bytes. */
static void test_hard_link(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;
	struct stat st;

	put(p->fd, "elsewhere", "old");
	assert_int_equal(linkat(p->fd, "elsewhere", p->ws, "edit", 0), 0);
	put(p->ws, "twin1", "t");
	assert_int_equal(linkat(p->ws, "twin1", p->ws, "twin2", 0), 0);
	take_reference(p);
	put(p->upper, "edit", "new");
	put(p->upper, "twin1", "one");
	put(p->upper, "twin2", "two");
	collect(p, &c);
	assert_int_equal(apply(p, &c, false, &report), 0);
	assert_file(p->fd, "elsewhere", "old");
	assert_file(p->ws, "edit", "new");
	assert_file(p->ws, "twin1", "one");
	assert_file(p->ws, "twin2", "two");
	assert_int_equal(fstatat(p->ws, "edit", &st, 0), 0);
	assert_int_equal(st.st_nlink, 1);
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

/* As root: another user's file that merely has a name in the workspace keeps its mode. */
static void test_foreign_mode(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;

	if (needs_root())
		return;
	put(p->fd, "roots", "secret");
	assert_int_equal(linkat(p->fd, "roots", p->ws, "f", 0), 0);
	assert_int_equal(fchown(p->ws, 4242, 4242), 0);
	take_reference(p);
	put_mode(p->upper, "f", "secret", 0666);
	collect(p, &c);
	assert_int_equal(apply(p, &c, true, &report), -EPERM);
	assert_int_equal(mode_of(p->fd, "roots"), 0644);
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

static void test_owners(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;
	static const struct {
		const char *path;
		uid_t uid;
		gid_t gid;
	} want[] = {{"new", 4242, 4343}, {"d/new", 4444, 4545}, {"edit", 4646, 4747},
		    {"nd", 4242, 4343},	 {"nd/x", 4242, 4343},	{"link", 4242, 4343}};

	if (needs_root())
		return;
	put(p->ws, "edit", "old");
	make_dir(p->ws, "d", 0755);
	assert_int_equal(fchown(p->ws, 4242, 4343), 0);
	assert_int_equal(fchownat(p->ws, "d", 4444, 4545, 0), 0);
	assert_int_equal(fchownat(p->ws, "edit", 4646, 4747, 0), 0);
	take_reference(p);
	put(p->upper, "new", "n");
	put(p->upper, "d/new", "n");
	put(p->upper, "edit", "new");
	put(p->upper, "nd/x", "x");
	assert_int_equal(symlinkat("new", p->upper, "link"), 0);
	collect(p, &c);
	assert_int_equal(apply(p, &c, false, &report), 0);
	for (size_t i = 0; i < PF_ARRAY_SIZE(want); i++) {
		struct stat st;

		assert_int_equal(fstatat(p->ws, want[i].path, &st, AT_SYMLINK_NOFOLLOW), 0);
		assert_int_equal(st.st_uid, want[i].uid);
		assert_int_equal(st.st_gid, want[i].gid);
	}
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

static void test_odd_names(void **state)
{
	static const char *const names[] = {"new\nline", "esc\033[2J", "\xff\xfe", "-rf",	 " ",
					    "a\\b",	 "...",	       "*",	   "caf\xc3\xa9"};
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;
	char longest[256];

	memset(longest, 'n', 255);
	longest[255] = '\0';
	put(p->upper, longest, "x");
	for (size_t i = 0; i < PF_ARRAY_SIZE(names); i++) {
		char deep[300];

		snprintf(deep, sizeof(deep), "dir/%s/%s", names[i], names[i]);
		put(p->upper, names[i], names[i]);
		put(p->upper, deep, names[i]);
	}
	collect(p, &c);
	assert_int_equal(apply(p, &c, false, &report), 0);
	assert_same_trees(p->ws, p->upper);
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

static void test_huge_sparse(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;
	struct stat st;
	int fd = openat(p->upper, "huge", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_int_equal(pwrite(fd, "data", 4, (off_t)1 << 40), 4);
	close(fd);
	collect(p, &c);
	assert_int_equal(apply(p, &c, false, &report), 0);
	assert_int_equal(fstatat(p->ws, "huge", &st, 0), 0);
	assert_int_equal(st.st_size, ((off_t)1 << 40) + 4);
	assert_true(st.st_blocks < 1024);
	pf_apply_report_free(&report);
	/* and what is the same is told apart from what is not without reading a terabyte */
	assert_int_equal(apply(p, &c, false, &report), 0);
	assert_int_equal(report.applied.count, 0);
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

/* What is as it should be already, by the user's own hand, is no conflict. */
static void test_done_by_hand(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;

	put(p->ws, "b", "old");
	put(p->ws, "gone/x", "x");
	take_reference(p);
	put(p->upper, "a", "a");
	put(p->upper, "b", "new");
	whiteout(p->upper, "gone");
	collect(p, &c);
	put(p->ws, "a", "a");
	assert_int_equal(unlinkat(p->ws, "gone/x", 0), 0);
	assert_int_equal(apply(p, &c, false, &report), 0);
	assert_int_equal(report.applied.count, 2);
	assert_file(p->ws, "b", "new");
	assert_false(exists(p->ws, "gone"));
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

static void test_damaged_set(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;

	put(p->fd, "secret", "x");
	put(p->upper, "f", "x");
	collect(p, &c);
	assert_int_equal(unlinkat(p->changes, "t0001/blobs/1", 0), 0);
	assert_true(apply(p, &c, false, &report) < 0);
	pf_apply_report_free(&report);
	/* a link to a file of the right size is not the content either */
	assert_int_equal(symlinkat("../../../secret", p->changes, "t0001/blobs/1"), 0);
	assert_true(apply(p, &c, false, &report) < 0);
	pf_apply_report_free(&report);
	assert_int_equal(unlinkat(p->changes, "t0001/blobs/1", 0), 0);
	put(p->changes, "t0001/blobs/1", "longer");
	assert_true(apply(p, &c, false, &report) < 0);
	pf_apply_report_free(&report);
	assert_false(exists(p->ws, "f"));
	c.truncated = true;
	assert_int_equal(apply(p, &c, true, &report), -E2BIG);
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

/* A user's own directory without write permission, as module caches have them: opened, changed and shut
 * again. */
static void test_read_only_directory(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;

	put(p->ws, "cache/mod/a", "a");
	put(p->ws, "cache/mod/b", "b");
	put(p->ws, "cache/rm/x", "x");
	assert_int_equal(fchmodat(p->ws, "cache/mod", 0555, 0), 0);
	assert_int_equal(fchmodat(p->ws, "cache/rm", 0555, 0), 0);
	take_reference(p);
	put(p->upper, "cache/mod/a", "new");
	put(p->upper, "cache/mod/c", "c");
	whiteout(p->upper, "cache/mod/b");
	whiteout(p->upper, "cache/rm");
	assert_int_equal(fchmodat(p->upper, "cache/mod", 0555, 0), 0);
	collect(p, &c);
	assert_int_equal(apply(p, &c, false, &report), 0);
	assert_file(p->ws, "cache/mod/a", "new");
	assert_file(p->ws, "cache/mod/c", "c");
	assert_false(exists(p->ws, "cache/mod/b"));
	assert_false(exists(p->ws, "cache/rm"));
	assert_int_equal(mode_of(p->ws, "cache/mod"), 0555);
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

static int group(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(test_linked_directory), PLACE_TEST(test_racing_link),
		PLACE_TEST(test_linked_file),	   PLACE_TEST(test_linked_workspace),
		PLACE_TEST(test_hard_link),	   PLACE_TEST(test_foreign_mode),
		PLACE_TEST(test_owners),	   PLACE_TEST(test_odd_names),
		PLACE_TEST(test_huge_sparse),	   PLACE_TEST(test_done_by_hand),
		PLACE_TEST(test_damaged_set),	   PLACE_TEST(test_read_only_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return run_as_both(group);
}
