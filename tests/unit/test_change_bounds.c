/* SPDX-License-Identifier: Apache-2.0 */
/* What an enemy can make of a change set: its bounds, what is said beyond them, repositories without a name.
 */
#include "test_workspace.h"

#include <sys/file.h>
#include <time.h>

/* What a walk costs is bounded: "mkdir -p" makes a chain of any depth in a moment. */
static void test_chain(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct timespec a, b;
	int fd = dup(p->upper);

	for (int i = 0; i < 60; i++) {
		char name[24];

		snprintf(name, sizeof(name), "**/protected%d", i);
		pf_list_add(&p->protect, name);
	}
	pf_list_add(&p->protect, "d/d/d");
	for (int i = 0; i < 2000; i++) {
		int next = dir_at(fd, "d");

		close(fd);
		fd = next;
	}
	close(fd);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	collect(p, &c);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	assert_true(b.tv_sec - a.tv_sec < 2);
	assert_true(c.truncated && !c.by_name);
	assert_non_null(strstr(c.note, "deeper than 256"));
	assert_int_equal(c.count, 256);
	assert_false(item(&c, "d/d")->protect);
	assert_true(item(&c, "d/d/d")->protect);
	assert_true(c.items[255].protect); /* with all that is beneath */
	pf_change_free(&c);
}

/* Names of control characters are six times as long in the manifest. */
static void test_manifest_bound(void **state)
{
	struct place *p = *state;
	struct pf_error err = {0};
	struct pf_changeset c = {0};
	char id[40], name[210];
	struct pf_collect what = collect_what(p, id);
	struct stat st;

	memset(name, 1, 200);
	for (int i = 0; i < 200; i++) {
		snprintf(name + 200, 10, "%d", i);
		put(p->upper, name, "");
	}
	what.manifest_bytes_max = 65536;
	check(&err, pf_change_collect(p->changes, &what, &c, &err));
	assert_true(c.truncated && !c.by_name);
	assert_non_null(strstr(c.note, "list is longer"));
	assert_in_range(c.count, 10, 60);
	snprintf(name, sizeof(name), "%s/manifest", id);
	assert_int_equal(fstatat(p->changes, name, &st, 0), 0);
	assert_true(st.st_size <= 65536);
	pf_change_free(&c);
	check(&err, pf_change_counts(p->changes, id, &c, &err));
	assert_null(c.items);
	assert_true(c.truncated && c.note && c.added == c.count && c.count);
	pf_change_free(&c);
}

static void test_deadline(void **state)
{
	struct place *p = *state;
	struct pf_error err = {0};
	struct pf_changeset c = {0};
	char id[40], name[24];
	struct pf_collect what = collect_what(p, id);

	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		put(p->upper, name, "x");
	}
	what.walk_ms_max = 1;
	check(&err, pf_change_collect(p->changes, &what, &c, &err));
	assert_true(c.truncated && !c.by_name);
	assert_non_null(strstr(c.note, "too long"));
	pf_change_free(&c);
}

/* A repository needs no name: git takes any directory with these for one. */
static void test_bare_repository(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;

	put(p->ws, "half/HEAD", "ref: refs/heads/x\n");
	put(p->ws, "half/objects/x", "");
	make_dir(p->ws, "half/refs", 0755);
	put(p->upper, "half/config", "evil");
	put(p->upper, "half/hooks/pre-commit", "evil");
	put(p->upper, "linked/HEAD", "ref: refs/heads/x\n");
	put(p->upper, "linked/commondir", "../half\n");
	put(p->upper, "plain/config", "fine");
	put(p->upper, "plain/HEAD", "fine");
	put(p->upper, ".git/HEAD", "fine");
	put(p->upper, ".git/objects/x", "fine");
	put(p->upper, ".git/refs/x", "fine");
	put(p->upper, "HEAD", "evil");
	put(p->upper, "objects/x", "");
	put(p->upper, "refs/x", "");
	put(p->upper, "config", "evil");
	collect(p, &c);
	assert_list(&c,
		    "A .git/\nA .git/HEAD\nA .git/objects/\nA .git/objects/x\nA .git/refs/\nA .git/refs/x\n"
		    "A HEAD (protected)\nA config (protected)\nA half/config (protected)\n"
		    "A half/hooks/ (protected)\nA half/hooks/pre-commit (protected)\nA linked/\n"
		    "A linked/HEAD (protected)\nA linked/commondir (protected)\nA objects/ (protected)\n"
		    "A objects/x\nA plain/\nA plain/HEAD\nA plain/config\nA refs/ (protected)\nA refs/x\n");
	pf_change_free(&c);
}

/* What a collect left that was killed goes with the next one; what is at work stays. */
static void test_stale_stage(void **state)
{
	const struct timespec old[2] = {{1000, 0}, {1000, 0}};
	struct place *p = *state;
	struct pf_changeset c;
	int busy;

	make_dir(p->changes, ".gone", 0700);
	put(p->changes, ".gone/blobs/1", "x");
	make_dir(p->changes, ".busy", 0700);
	make_dir(p->changes, ".young", 0700);
	assert_int_equal(utimensat(p->changes, ".gone", old, 0), 0);
	assert_int_equal(utimensat(p->changes, ".busy", old, 0), 0);
	busy = openat(p->changes, ".busy", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(busy, LOCK_EX), 0);
	put(p->upper, "f", "x");
	collect(p, &c);
	assert_false(exists(p->changes, ".gone"));
	assert_true(exists(p->changes, ".busy"));
	assert_true(exists(p->changes, ".young"));
	close(busy);
	pf_change_free(&c);
}

/* Only the content of one file is missing: the others can be had by name. */
static void test_lost_content(void **state)
{
	char *names[] = {(char *)"fine"};
	struct pf_list only = {names, 1};
	struct pf_apply how = {.only = &only};
	struct pf_apply_report rep;
	struct place *p = *state;
	struct pf_error err = {0};
	struct pf_changeset c = {0};
	char id[40];
	struct pf_collect what = collect_what(p, id);

	big_renamed(p);
	put(p->upper, "fine", "fine");
	what.lower_bytes_max = 100000;
	check(&err, pf_change_collect(p->changes, &what, &c, &err));
	pf_change_free(&c);
	check(&err, pf_change_load(p->changes, id, &c, &err));
	assert_true(c.truncated && c.by_name);
	assert_int_equal(item(&c, "moved/one")->blob, 0);
	how.only = NULL;
	assert_int_equal(pf_change_apply(p->changes, &c, &how, &rep, &err), -E2BIG);
	pf_apply_report_free(&rep);
	how.only = &only;
	names[0] = (char *)"moved";
	assert_int_equal(pf_change_apply(p->changes, &c, &how, &rep, &err), -E2BIG);
	pf_apply_report_free(&rep);
	assert_false(exists(p->ws, "moved"));
	names[0] = (char *)"fine";
	check(&err, pf_change_apply(p->changes, &c, &how, &rep, &err));
	pf_apply_report_free(&rep);
	assert_file(p->ws, "fine", "fine");
	c.by_name = false;
	assert_int_equal(pf_change_apply(p->changes, &c, &how, &rep, &err), -E2BIG);
	pf_apply_report_free(&rep);
	pf_change_free(&c);
}

static int group(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(test_chain),	      PLACE_TEST(test_manifest_bound),
		PLACE_TEST(test_deadline),    PLACE_TEST(test_bare_repository),
		PLACE_TEST(test_stale_stage), PLACE_TEST(test_lost_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return run_as_both(group);
}
