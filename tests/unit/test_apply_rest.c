/* SPDX-License-Identifier: Apache-2.0 */
/* An apply that nobody looks at first: what is held back, that nothing of it leaks, and what is left as the
 * set. */
#include "test_workspace.h"

static void protect(struct place *p, const char *pattern)
{
	assert_int_equal(pf_list_add(&p->protect, pattern), 0);
}

/* Collect, apply what is free; returns how many entries stay, with the set that is left in *left. */
static size_t apply_free(struct place *p, struct pf_apply_report *report, struct pf_changeset *left)
{
	struct pf_error err = {0};
	struct pf_changeset c;
	size_t n = 99;

	collect(p, &c);
	check(&err, pf_change_apply_free(p->changes, c.id, report, &n, &err));
	memset(left, 0, sizeof(*left));
	if (n)
		check(&err, pf_change_load(p->changes, c.id, left, &err));
	else
		assert_int_equal(pf_change_load(p->changes, c.id, left, &err), -ENOENT);
	assert_int_equal(left->count, n);
	pf_change_free(&c);
	return n;
}

/* What is left can be applied when it is allowed, and then all is as if nothing had been held back. */
static void apply_left(struct place *p, struct pf_changeset *left)
{
	const struct pf_apply how = {.allow_protected = true};
	struct pf_apply_report report;
	struct pf_error err = {0};

	check(&err, pf_change_apply(p->changes, left, &how, &report, &err));
	pf_apply_report_free(&report);
}

static void test_all_is_free(void **state)
{
	struct place *p = *state;
	struct pf_apply_report report;
	struct pf_changeset left;

	put(p->ws, "a", "old");
	put(p->upper, "a", "new");
	put(p->upper, "d/e/f", "x");
	assert_int_equal(apply_free(p, &report, &left), 0);
	assert_int_equal(report.protected_paths.count, 0);
	assert_file(p->ws, "a", "new");
	assert_file(p->ws, "d/e/f", "x");
	pf_apply_report_free(&report);
}

static void test_protected_stays(void **state)
{
	struct place *p = *state;
	struct pf_apply_report report;
	struct pf_changeset left;

	protect(p, ".git/hooks");
	protect(p, "**/.vscode");
	put(p->ws, ".git/config", "c");
	put(p->ws, ".git/hooks/sample", "s");
	put(p->ws, "a", "old");
	put(p->upper, ".git/config", "changed");
	put(p->upper, ".git/hooks/pre-commit", "evil");
	put(p->upper, ".git/index", "i");
	put(p->upper, "sub/.vscode/tasks.json", "evil");
	put(p->upper, "sub/code", "x");
	put(p->upper, "only/.vscode/x", "evil");
	put(p->upper, "a", "new");
	assert_int_equal(apply_free(p, &report, &left), 6);
	assert_file(p->ws, "a", "new");
	assert_file(p->ws, ".git/config", "changed");
	assert_file(p->ws, ".git/index", "i");
	assert_file(p->ws, "sub/code", "x");
	assert_false(exists(p->ws, ".git/hooks/pre-commit"));
	assert_false(exists(p->ws, "sub/.vscode"));
	assert_false(exists(p->ws, "only"));
	assert_list(&left, "A .git/hooks/pre-commit (protected)\nA only/\nA only/.vscode/ (protected)\n"
			   "A only/.vscode/x (protected)\nA sub/.vscode/ (protected)\n"
			   "A sub/.vscode/tasks.json (protected)\n");
	assert_true(list_holds(&report.protected_paths, ".git/hooks/pre-commit"));
	assert_int_equal(left.added, 6);
	apply_left(p, &left);
	assert_file(p->ws, ".git/hooks/pre-commit", "evil");
	assert_file(p->ws, "only/.vscode/x", "evil");
	pf_change_free(&left);
	pf_apply_report_free(&report);
}

/* What would take something protected with it stays too: a directory that goes, or becomes a file. */
static void test_what_would_take_it_along(void **state)
{
	struct place *p = *state;
	struct pf_apply_report report;
	struct pf_changeset left;

	protect(p, "**/keep");
	put(p->ws, "gone/keep/x", "x");
	put(p->ws, "gone/other", "x");
	put(p->ws, "kind/keep", "x");
	put(p->ws, "kind/other", "x");
	whiteout(p->upper, "gone");
	put(p->upper, "kind", "a file now");
	put(p->upper, "free", "x");
	apply_free(p, &report, &left);
	assert_file(p->ws, "gone/keep/x", "x");
	assert_false(exists(p->ws, "gone/other"));
	assert_file(p->ws, "kind/keep", "x");
	assert_file(p->ws, "free", "x");
	assert_non_null(item(&left, "gone"));
	assert_non_null(item(&left, "gone/keep/x"));
	assert_null(item(&left, "gone/other"));
	assert_non_null(item(&left, "kind"));
	apply_left(p, &left);
	assert_false(exists(p->ws, "gone"));
	assert_file(p->ws, "kind", "a file now");
	pf_change_free(&left);
	pf_apply_report_free(&report);
}

/* The user's own file that the sandbox never saw is not written over; where there is none, the new one goes
 * in. */
static void test_over_hidden(void **state)
{
	struct place *p = *state;
	struct pf_apply_report report;
	struct pf_changeset left;

	assert_int_equal(pf_list_add(&p->masked, ".env"), 0);
	assert_int_equal(pf_list_add(&p->masked, "free.env"), 0);
	put(p->ws, ".env", "KEY");
	put(p->upper, ".env", "inside");
	put(p->upper, "free.env", "inside");
	put(p->upper, "x", "x");
	assert_int_equal(apply_free(p, &report, &left), 1);
	assert_file(p->ws, ".env", "KEY");
	assert_file(p->ws, "free.env", "inside");
	assert_file(p->ws, "x", "x");
	assert_list(&left, "A .env (hidden from the sandbox)\n");
	pf_change_free(&left);
	pf_apply_report_free(&report);
}

static void test_conflicts_leave_all(void **state)
{
	struct place *p = *state;
	struct pf_apply_report report;
	struct pf_changeset c, again;
	struct pf_error err = {0};
	size_t left = 99;

	protect(p, "keep");
	put(p->ws, "a", "old");
	put(p->upper, "a", "new");
	put(p->upper, "b", "new");
	put(p->upper, "keep", "new");
	collect(p, &c);
	put(p->ws, "b", "the user's");
	assert_int_equal(pf_change_apply_free(p->changes, c.id, &report, &left, &err), -EEXIST);
	assert_int_equal(left, 99);
	assert_int_equal(report.conflicts.count, 1);
	assert_file(p->ws, "a", "old");
	assert_file(p->ws, "b", "the user's");
	check(&err, pf_change_load(p->changes, c.id, &again, &err));
	assert_int_equal(again.count, c.count);
	pf_change_free(&again);
	pf_change_free(&c);
	pf_apply_report_free(&report);
}

/* Every entry is applied or left, and none of both is lost: random sets, random patterns. */
static void test_random(void **state)
{
	static const char *const names[] = {"a", "b", "c", "keep", "d"};
	struct place *p = *state;
	uint64_t seed = test_seed();

	protect(p, "**/keep");
	for (unsigned round = 0; round < 60; round++) {
		struct pf_apply_report report;
		struct pf_changeset c, left = {0};
		struct pf_error err = {0};
		size_t n = 0;

		for (unsigned i = 0; i < 12; i++) {
			char path[64];

			snprintf(path, sizeof(path), "%s/%s/%s", names[rnd(&seed) % 5], names[rnd(&seed) % 5],
				 names[rnd(&seed) % 5]);
			put(rnd(&seed) % 2 ? p->ws : p->upper, path, rnd(&seed) % 2 ? "x" : "y");
		}
		whiteout(p->upper, "gone");
		put(p->ws, "gone/a/keep", "x");
		put(p->ws, "gone/b", "x");
		p->reference_ns = 0;
		collect(p, &c);
		check(&err, pf_change_apply_free(p->changes, c.id, &report, &n, &err));
		assert_int_equal(report.protected_paths.count, n);
		if (n) {
			check(&err, pf_change_load(p->changes, c.id, &left, &err));
			for (size_t i = 0; i < c.count; i++)
				if (c.items[i].protect)
					assert_non_null(item(&left, c.items[i].path));
			apply_left(p, &left);
			pf_change_free(&left);
		}
		assert_false(exists(p->ws, "gone"));
		pf_change_free(&c);
		pf_apply_report_free(&report);
		for (unsigned i = 0; i < 5; i++) {
			pf_remove_tree(p->ws, names[i]);
			pf_remove_tree(p->upper, names[i]);
		}
		pf_remove_tree(p->upper, "gone");
	}
}

static int group(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(test_all_is_free),
		PLACE_TEST(test_protected_stays),
		PLACE_TEST(test_what_would_take_it_along),
		PLACE_TEST(test_over_hidden),
		PLACE_TEST(test_conflicts_leave_all),
		PLACE_TEST(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return run_as_both(group);
}
