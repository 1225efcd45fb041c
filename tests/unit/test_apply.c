/* SPDX-License-Identifier: Apache-2.0 */
/* Applying change sets: the tree that must come out, what is a conflict, and what is never applied. */
#include "test_workspace.h"

#include <time.h>

static int apply(struct place *p, const struct pf_changeset *c, const struct pf_apply *how,
		 struct pf_apply_report *report)
{
	struct pf_error err = {0};
	int r = pf_change_apply(p->changes, c, how, report, &err);

	assert_int_equal(r, err.code);
	return r;
}

/* Collect, apply, and compare with what is wanted. */
static void apply_all(struct place *p)
{
	struct pf_changeset c;
	struct pf_apply_report report;
	struct pf_apply how = {0};

	collect(p, &c);
	if (apply(p, &c, &how, &report) != 0)
		fail_msg("conflict: %s", report.conflicts.count ? report.conflicts.items[0] : "?");
	pf_apply_report_free(&report);
	/* again: everything is as it should be */
	assert_int_equal(apply(p, &c, &how, &report), 0);
	assert_int_equal(report.applied.count, 0);
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

static void test_everything(void **state)
{
	struct place *p = *state;
	int want = dir_at(p->fd, "want");

	put(p->ws, "edit", "old\n");
	put(p->ws, "mode", "m\n");
	put(p->ws, "gone", "g\n");
	put(p->ws, "tree/a/b", "1");
	put(p->ws, "tree/c", "2");
	put(p->ws, "file-to-dir", "3");
	put(p->ws, "dir-to-file/x", "4");
	put(p->ws, "dir-to-link/x/y", "4");
	put(p->ws, "untouched", "u");
	make_dir(p->ws, "shut", 0755);
	put(p->upper, "edit", "new\n");
	put_mode(p->upper, "mode", "m\n", 0600);
	whiteout(p->upper, "gone");
	whiteout(p->upper, "tree");
	put(p->upper, "file-to-dir/in/side", "5");
	put(p->upper, "dir-to-file", "6");
	assert_int_equal(symlinkat("edit", p->upper, "dir-to-link"), 0);
	assert_int_equal(symlinkat("nowhere", p->upper, "link"), 0);
	make_dir(p->upper, "shut", 0500);
	put(p->upper, "ro/file", "7");
	assert_int_equal(fchmodat(p->upper, "ro", 0555, 0), 0);

	put(want, "edit", "new\n");
	put_mode(want, "mode", "m\n", 0600);
	put(want, "file-to-dir/in/side", "5");
	put(want, "dir-to-file", "6");
	assert_int_equal(symlinkat("edit", want, "dir-to-link"), 0);
	assert_int_equal(symlinkat("nowhere", want, "link"), 0);
	put(want, "untouched", "u");
	make_dir(want, "shut", 0500);
	put(want, "ro/file", "7");
	assert_int_equal(fchmodat(want, "ro", 0555, 0), 0);
	apply_all(p);
	assert_same_trees(p->ws, want);
	close(want);
}

struct expected {
	const char *path, *reason;
};

/* These conflicts and no others, and nothing at all is written. */
static void assert_conflicts(struct place *p, const struct pf_changeset *c, const struct expected *want,
			     size_t n)
{
	struct pf_apply_report report;
	struct pf_apply how = {0};
	struct pf_buf before = {0}, after = {0};

	snapshot(p->ws, "", &before);
	assert_int_equal(apply(p, c, &how, &report), -EEXIST);
	for (size_t i = 0; i < n; i++) {
		char line[300];

		snprintf(line, sizeof(line), "%s: %s", want[i].path, want[i].reason);
		if (!list_mentions(&report.conflicts, line))
			fail_msg("not said: %s (first: %s)", line, report.conflicts.items[0]);
	}
	assert_int_equal(report.conflicts.count, n);
	assert_int_equal(report.applied.count, 0);
	snapshot(p->ws, "", &after);
	assert_string_equal(before.data, after.data);
	pf_apply_report_free(&report);
	pf_buf_free(&before);
	pf_buf_free(&after);
}

static void test_conflicts(void **state)
{
	struct place *p = *state;
	static const struct expected want[] = {
		{"edit", "has changed since"},
		{"missing", "is missing"},
		{"added", "exists now"},
		{"gone", "has changed since"},
		{"retyped", "has become something else"},
		{"dir", "its mode has changed"},
		{"moded", "has changed since"},
		{"newdir", "exists now"},
	};
	struct pf_changeset c;
	struct pf_apply_report report;
	struct pf_apply how = {.force = true};

	put(p->ws, "edit", "old\n");
	put(p->ws, "missing", "m\n");
	put(p->ws, "gone", "g\n");
	put(p->ws, "retyped", "r\n");
	put(p->ws, "moded", "m\n");
	make_dir(p->ws, "dir", 0755);
	put(p->upper, "edit", "new\n");
	put(p->upper, "missing", "changed\n");
	put(p->upper, "added", "a\n");
	whiteout(p->upper, "gone");
	put(p->upper, "retyped", "new\n");
	put_mode(p->upper, "moded", "m\n", 0755);
	make_dir(p->upper, "dir", 0700);
	make_dir(p->upper, "newdir", 0700);
	take_reference(p);
	later(p);
	put(p->ws, "edit", "old\n"); /* same bytes, but written again: the user may have meant it */
	put(p->ws, "gone", "edited\n");
	put_mode(p->ws, "moded", "m\n", 0600);
	collect(p, &c);
	put(p->ws, "added", "mine\n");
	make_dir(p->ws, "newdir", 0755);
	assert_int_equal(unlinkat(p->ws, "missing", 0), 0);
	assert_int_equal(unlinkat(p->ws, "retyped", 0), 0);
	assert_int_equal(symlinkat("edit", p->ws, "retyped"), 0);
	assert_int_equal(fchmodat(p->ws, "dir", 0750, 0), 0);
	assert_conflicts(p, &c, want, PF_ARRAY_SIZE(want));
	assert_int_equal(apply(p, &c, &how, &report), 0);
	assert_file(p->ws, "edit", "new\n");
	assert_file(p->ws, "missing", "changed\n");
	assert_file(p->ws, "added", "a\n");
	assert_file(p->ws, "retyped", "new\n");
	assert_false(exists(p->ws, "gone"));
	assert_int_equal(mode_of(p->ws, "dir"), 0700);
	assert_int_equal(mode_of(p->ws, "newdir"), 0700);
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

/* A tree that stands where a file should go is not removed, forced or not. */
static void test_tree_in_the_way(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;
	struct pf_apply how = {0};

	put(p->ws, "edited", "old");
	put(p->ws, "gone", "old");
	put(p->upper, "edited", "new");
	put(p->upper, "added", "new");
	whiteout(p->upper, "gone");
	collect(p, &c);
	assert_int_equal(unlinkat(p->ws, "edited", 0), 0);
	assert_int_equal(unlinkat(p->ws, "gone", 0), 0);
	make_dir(p->ws, "edited", 0755);
	make_dir(p->ws, "gone", 0755);
	make_dir(p->ws, "added", 0755);
	for (int force = 0; force < 2; force++) {
		how.force = force;
		assert_int_equal(apply(p, &c, &how, &report), -EEXIST);
		assert_true(list_holds(&report.conflicts, "edited: is a directory now"));
		assert_true(list_holds(&report.conflicts, "added: is a directory now"));
		assert_true(list_holds(&report.conflicts, "gone: is a directory now"));
		pf_apply_report_free(&report);
	}
	assert_true(exists(p->ws, "edited") && exists(p->ws, "gone") && exists(p->ws, "added"));
	pf_change_free(&c);
}

/* A change is a change even if the clock was set back, and its author put size and mtime back. */
static void test_quiet_change(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;
	struct pf_apply how = {0};
	struct timespec times[2];
	struct stat st;

	put(p->ws, "f", "old");
	put(p->upper, "f", "new");
	p->reference_ns = INT64_MAX;
	collect(p, &c);
	assert_int_equal(fstatat(p->ws, "f", &st, 0), 0);
	later(p);
	put(p->ws, "f", "own");
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	assert_int_equal(utimensat(p->ws, "f", times, 0), 0);
	assert_int_equal(apply(p, &c, &how, &report), -EEXIST);
	assert_file(p->ws, "f", "own");
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

static void test_unseen_entry(void **state)
{
	struct place *p = *state;
	static const struct expected want[] = {{"d/sub/added-later", "the removed directory has an entry"}};
	struct pf_changeset c;
	struct pf_apply_report report;
	struct pf_apply how = {.force = true};

	put(p->ws, "d/sub/old", "1");
	put(p->ws, "d/old", "2");
	whiteout(p->upper, "d");
	collect(p, &c);
	put(p->ws, "d/sub/added-later", "precious");
	assert_conflicts(p, &c, want, 1);
	/* even a forced apply leaves what the sandbox never saw */
	assert_int_equal(apply(p, &c, &how, &report), 0);
	assert_file(p->ws, "d/sub/added-later", "precious");
	assert_false(exists(p->ws, "d/sub/old"));
	assert_false(exists(p->ws, "d/old"));
	assert_true(list_mentions(&report.notes, "d/sub: not removed"));
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

/* rm -rf of a directory with a hidden secret in it: the secret is not the sandbox's to delete. */
static void test_masked_entry(void **state)
{
	struct place *p = *state;
	static const struct expected want[] = {{"d/.env", "the removed directory has an entry"}};
	struct pf_changeset c;
	struct pf_apply_report report;
	struct pf_apply how = {.force = true};

	put(p->ws, "d/.env", "KEY=1");
	put(p->ws, "d/x", "x");
	pf_list_add(&p->masked, "d/.env");
	whiteout(p->upper, "d");
	collect(p, &c);
	assert_conflicts(p, &c, want, 1);
	assert_int_equal(apply(p, &c, &how, &report), 0);
	assert_file(p->ws, "d/.env", "KEY=1");
	assert_false(exists(p->ws, "d/x"));
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

/* A file that the sandbox put where a secret was hidden: forcing alone does not lose the secret. */
static void test_over_hidden(void **state)
{
	struct place *p = *state;
	static const struct expected want[] = {
		{".env", "is there, but was hidden from the sandbox (secrets.mask)"},
		{"keys/more", "its directory is there, but was hidden"}};
	struct pf_changeset c;
	struct pf_apply_report report;
	struct pf_apply how = {.force = true};

	put(p->ws, ".env", "KEY=1");
	put(p->ws, "keys/one", "1");
	pf_list_add(&p->masked, ".env");
	pf_list_add(&p->masked, "keys");
	pf_list_add(&p->masked, "absent");
	put(p->upper, ".env", "KEY=fake");
	put(p->upper, "keys/more", "2");
	put(p->upper, "absent", "3");
	collect(p, &c);
	assert_conflicts(p, &c, want, 2);
	assert_int_equal(apply(p, &c, &how, &report), -EPERM);
	assert_int_equal(report.protected_paths.count, 2);
	assert_string_equal(report.protected_paths.items[0], ".env");
	assert_file(p->ws, ".env", "KEY=1");
	pf_apply_report_free(&report);
	how.allow_protected = true;
	assert_int_equal(apply(p, &c, &how, &report), 0);
	assert_file(p->ws, ".env", "KEY=fake");
	assert_file(p->ws, "keys/more", "2");
	assert_file(p->ws, "absent", "3");
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

/* A directory that became a file cannot take its place while something unseen is in it, forced or not. */
static void test_unseen_in_retyped(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;
	struct pf_apply how = {.force = true};

	put(p->ws, "d/x", "x");
	put(p->upper, "d", "file");
	collect(p, &c);
	put(p->ws, "d/later", "l");
	assert_int_equal(apply(p, &c, &how, &report), -EEXIST);
	assert_file(p->ws, "d/x", "x");
	pf_apply_report_free(&report);
	assert_int_equal(unlinkat(p->ws, "d/later", 0), 0);
	how.force = false;
	assert_int_equal(apply(p, &c, &how, &report), 0);
	assert_file(p->ws, "d", "file");
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

static void test_protected(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;
	struct pf_apply how = {0};

	pf_list_add(&p->protect, ".git/hooks");
	put(p->upper, ".git/hooks/pre-commit", "evil");
	put(p->upper, "code", "fine");
	collect(p, &c);
	assert_int_equal(apply(p, &c, &how, &report), -EPERM);
	assert_int_equal(report.protected_paths.count, 2);
	assert_false(exists(p->ws, "code"));
	pf_apply_report_free(&report);
	how.force = true; /* lifts conflicts, not protection */
	assert_int_equal(apply(p, &c, &how, &report), -EPERM);
	pf_apply_report_free(&report);
	how.only = &(struct pf_list){(char *[]){(char *)"code"}, 1};
	how.force = false;
	assert_int_equal(apply(p, &c, &how, &report), 0);
	assert_true(exists(p->ws, "code"));
	assert_false(exists(p->ws, ".git"));
	pf_apply_report_free(&report);
	how = (struct pf_apply){.allow_protected = true};
	assert_int_equal(apply(p, &c, &how, &report), 0);
	assert_file(p->ws, ".git/hooks/pre-commit", "evil");
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

static void test_only(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;
	char *deep[] = {(char *)"new/dir/one"}, *old[] = {(char *)"./old//", (char *)"x"},
	     *none[] = {(char *)"nothing"};
	char *out[] = {(char *)"../x"}, *abs[] = {(char *)"/x"};
	struct pf_list only = {deep, 1};
	struct pf_apply how = {.only = &only};

	put(p->ws, "old/a", "a");
	put(p->ws, "old/b", "b");
	whiteout(p->upper, "old");
	put(p->upper, "new/dir/one", "1");
	put(p->upper, "new/dir/two", "2");
	put(p->upper, "x", "x");
	put(p->upper, "y", "y");
	collect(p, &c);
	assert_int_equal(apply(p, &c, &how, &report), 0);
	assert_true(exists(p->ws, "new/dir/one"));
	assert_false(exists(p->ws, "new/dir/two"));
	assert_true(exists(p->ws, "old/a"));
	pf_apply_report_free(&report);
	only = (struct pf_list){old, 2};
	assert_int_equal(apply(p, &c, &how, &report), 0);
	assert_false(exists(p->ws, "old"));
	assert_true(exists(p->ws, "x"));
	assert_false(exists(p->ws, "y"));
	pf_apply_report_free(&report);
	only = (struct pf_list){none, 1};
	assert_int_equal(apply(p, &c, &how, &report), -ENOENT);
	pf_apply_report_free(&report);
	only = (struct pf_list){out, 1};
	assert_int_equal(apply(p, &c, &how, &report), -EINVAL);
	pf_apply_report_free(&report);
	only = (struct pf_list){abs, 1};
	assert_int_equal(apply(p, &c, &how, &report), -EINVAL);
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

static void test_not_applied(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;
	struct pf_apply how = {0};

	assert_int_equal(mkfifoat(p->upper, "fifo", 0644), 0);
	if (geteuid() == 0)
		assert_int_equal(mknodat(p->upper, "null", S_IFCHR | 0666, makedev(1, 3)), 0);
	put_mode(p->upper, "suid", "s", 06755);
	make_dir(p->upper, "sticky", 01777);
	make_dir(p->upper, "setgid", 02775);
	assert_int_equal(symlinkat("/etc/passwd", p->upper, "abs"), 0);
	assert_int_equal(symlinkat("../../up", p->upper, "up"), 0);
	assert_int_equal(symlinkat("sticky/../suid", p->upper, "in"), 0);
	collect(p, &c);
	assert_int_equal(apply(p, &c, &how, &report), 0);
	assert_int_equal(mode_of(p->ws, "fifo"), 0644);
	assert_false(exists(p->ws, "null"));
	assert_int_equal(mode_of(p->ws, "suid"), 0755);
	assert_int_equal(mode_of(p->ws, "sticky"), 01777);
	assert_int_equal(mode_of(p->ws, "setgid"), 0775);
	assert_true(list_mentions(&report.notes, "fifo: a FIFO"));
	assert_true(geteuid() != 0 || list_holds(&report.notes, "null: not applied: a device"));
	assert_true(list_holds(&report.notes, "suid: its set-id bits were dropped"));
	assert_true(list_holds(&report.notes, "setgid: its set-id bits were dropped"));
	assert_true(list_mentions(&report.notes, "abs: a symbolic link that leads out"));
	assert_true(list_mentions(&report.notes, "up: a symbolic link that leads out"));
	assert_false(list_mentions(&report.notes, "in: a symbolic link"));
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

static void test_dry_run(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;
	struct pf_apply how = {.dry_run = true};

	put(p->ws, "gone", "g");
	whiteout(p->upper, "gone");
	put(p->upper, "a/b", "x");
	collect(p, &c);
	assert_int_equal(apply(p, &c, &how, &report), 0);
	assert_int_equal(report.applied.count, 3);
	assert_true(exists(p->ws, "gone"));
	assert_false(exists(p->ws, "a"));
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

static int64_t mtime_of(int at, const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(at, path, &st, 0), 0);
	return pf__ws_mtime_ns(&st);
}

/* Files are as new as the apply, in the order in which the sandbox wrote them. */
static void test_times(void **state)
{
	struct place *p = *state;
	struct timespec times[3][2] = {{{0}, {100, 5}}, {{0}, {100, 4}}, {{0}, {INT32_MAX, 0}}}, now;

	put(p->upper, "z.c", "source");
	put(p->upper, "a.o", "object, older than its source");
	put(p->upper, "future", "f");
	put(p->upper, "twin", "t");
	assert_int_equal(utimensat(p->upper, "z.c", times[0], 0), 0);
	assert_int_equal(utimensat(p->upper, "twin", times[0], 0), 0);
	assert_int_equal(utimensat(p->upper, "a.o", times[1], 0), 0);
	assert_int_equal(utimensat(p->upper, "future", times[2], 0), 0);
	apply_all(p);
	clock_gettime(CLOCK_REALTIME, &now);
	assert_true(mtime_of(p->ws, "a.o") < mtime_of(p->ws, "z.c"));
	assert_true(mtime_of(p->ws, "z.c") == mtime_of(p->ws, "twin"));
	assert_true(mtime_of(p->ws, "z.c") < mtime_of(p->ws, "future"));
	assert_true(mtime_of(p->ws, "future") <= (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
	assert_true(mtime_of(p->ws, "a.o") > ((int64_t)now.tv_sec - 60) * 1000000000);
}

static int group(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(test_everything),   PLACE_TEST(test_conflicts),
		PLACE_TEST(test_quiet_change), PLACE_TEST(test_tree_in_the_way),
		PLACE_TEST(test_unseen_entry), PLACE_TEST(test_masked_entry),
		PLACE_TEST(test_over_hidden),  PLACE_TEST(test_unseen_in_retyped),
		PLACE_TEST(test_protected),    PLACE_TEST(test_only),
		PLACE_TEST(test_not_applied),  PLACE_TEST(test_dry_run),
		PLACE_TEST(test_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return run_as_both(group);
}
