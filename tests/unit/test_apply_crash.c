/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applies that are killed. One process for each moment at which a file was just changed (PF__POINT in
 * apply_internal.h): it ends there. Then the workspace must be as before, as after, or such that the same
 * call goes on; what the user did in between stays his; and a set that is given up leaves nothing in his
 * directory.
 */
#include "test_workspace.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>

#include "workspace/apply_internal.h"

#define STOPPED 77

static unsigned points, stop_at;
static enum { COMPLETE, NO_FLAGS, OTHER_DEVICE } renames; /* what the file system can */

static void limit_renames(void);

static void at_point(void)
{
	if (++points == stop_at)
		_exit(STOPPED);
}

static int apply(struct place *p, const struct pf_changeset *c, bool force, struct pf_apply_report *report)
{
	struct pf_apply how = {.force = force};
	struct pf_error err = {0};
	int r = pf_change_apply(p->changes, c, &how, report, &err);

	assert_int_equal(r, err.code);
	if (r < 0 && r != -EEXIST && r != -ESTALE)
		print_error("%s\n", err.msg);
	return r;
}

static void say(unsigned k, const struct pf_apply_report *report)
{
	for (size_t i = 0; i < report->conflicts.count; i++)
		print_error("moment %u: %s\n", k, report->conflicts.items[i]);
	fail_msg("moment %u", k);
}

static void attr(int at, const char *path, const char *name, const char *value)
{
	int fd = openat(at, path, O_RDONLY | O_CLOEXEC);

	assert_int_equal(fsetxattr(fd, name, value, strlen(value), 0), 0);
	close(fd);
}

/* A workspace, and changes of every kind to it. */
static void fill(struct place *p)
{
	put(p->ws, "edit", "old\n");
	put(p->ws, "mode", "m\n");
	put(p->ws, "gone", "g\n");
	put(p->ws, "tree/a/b", "1");
	put(p->ws, "tree/c", "2");
	put(p->ws, "file-to-dir", "3");
	put(p->ws, "dir-to-file/x/y", "4");
	put(p->ws, "dir-to-link/x", "4");
	put(p->ws, "untouched", "u");
	put(p->ws, "shut/inner/edit", "old");
	put(p->ws, "shut/gone", "old");
	put(p->ws, "empty-to-file/x", "");
	assert_int_equal(unlinkat(p->ws, "empty-to-file/x", 0), 0);
	put(p->ws, "kept-name", "kept");
	put(p->ws, "tagged", "t");
	attr(p->ws, "tagged", "user.old", "1");
	assert_int_equal(fchmodat(p->ws, "shut/inner", 0555, 0), 0);
	assert_int_equal(fchmodat(p->ws, "shut", 0555, 0), 0);
	assert_int_equal(fchmodat(p->ws, "empty-to-file", 0555, 0), 0);
	take_reference(p);
	put(p->upper, "edit", "new\n");
	put_mode(p->upper, "mode", "m\n", 0600);
	whiteout(p->upper, "gone");
	whiteout(p->upper, "tree");
	put(p->upper, "file-to-dir/in/side", "5");
	put(p->upper, "dir-to-file", "6");
	put(p->upper, "empty-to-file", "6");
	assert_int_equal(symlinkat("edit", p->upper, "dir-to-link"), 0);
	assert_int_equal(symlinkat("nowhere", p->upper, "link"), 0);
	assert_int_equal(mkfifoat(p->upper, "fifo", 0644), 0);
	put(p->upper, "shut/inner/edit", "new");
	put(p->upper, "shut/inner/new", "new");
	whiteout(p->upper, "shut/gone");
	assert_int_equal(fchmodat(p->upper, "shut/inner", 0555, 0), 0);
	assert_int_equal(fchmodat(p->upper, "shut", 0555, 0), 0);
	put(p->upper, "ro/file", "7");
	attr(p->upper, "ro", "user.dir", "d");
	assert_int_equal(fchmodat(p->upper, "ro", 0555, 0), 0);
	put(p->upper, "twin1", "one file");
	assert_int_equal(linkat(p->upper, "twin1", p->upper, "twin2", 0), 0);
	put(p->upper, "kept-name", "kept");
	assert_int_equal(linkat(p->upper, "kept-name", p->upper, "other-name", 0), 0);
	put(p->upper, "tagged", "t");
	attr(p->upper, "tagged", "user.new", "2");
}

/* The snapshot, and what it does not have: links and attributes. */
static void look(struct place *p, struct pf_buf *out)
{
	static const char *const names[] = {"twin1", "twin2", "kept-name", "other-name", "tagged", "ro"};
	struct stat st;

	snapshot(p->ws, "", out);
	for (size_t i = 0; i < PF_ARRAY_SIZE(names); i++) {
		int fd = openat(p->ws, names[i], O_RDONLY | O_CLOEXEC);
		struct pf_attrs a = {0};
		bool others;

		if (fd < 0 || fstat(fd, &st) < 0)
			continue;
		assert_int_equal(pf__attrs_read(fd, NULL, &a, &others), 0);
		pf_buf_addf(out, "%s %u", names[i], S_ISDIR(st.st_mode) ? 0 : (unsigned)st.st_nlink);
		for (size_t k = 0; k < a.count; k++)
			pf_buf_addf(out, " %s=%.*s", a.items[k].name, (int)a.items[k].size,
				    (char *)a.items[k].value);
		pf_buf_addc(out, '\n');
		pf__attrs_free(&a);
		close(fd);
	}
}

static bool has_stage(struct place *p)
{
	struct pf_list names = {0};
	bool found = false;

	assert_int_equal(pf__ws_names(p->ws, &names, SIZE_MAX), 0);
	for (size_t i = 0; i < names.count; i++)
		found |= pf_has_prefix(names.items[i], ".pinfold");
	pf_list_free(&names);
	return found;
}

static bool half_applied(struct place *p, const struct pf_changeset *c)
{
	struct pf_changeset now = {0};
	bool half;

	check(NULL, pf_change_counts(p->changes, c->id, &now, NULL));
	half = now.half_applied;
	pf_change_free(&now);
	return half;
}

/* An apply in a process of its own that ends at the k-th point. True if it came that far. */
static bool stopped_apply(struct place *p, const struct pf_changeset *c, unsigned k)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		struct pf_apply_report report;

		points = 0;
		stop_at = k;
		pf__apply_point = at_point;
		if (renames != COMPLETE)
			limit_renames();
		if (apply(p, c, false, &report) == 0)
			_exit(0);
		for (size_t i = 0; i < report.conflicts.count; i++)
			print_error("moment %u: %s\n", k, report.conflicts.items[i]);
		fflush(NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) == STOPPED || WEXITSTATUS(status) == 0);
	return WEXITSTATUS(status) == STOPPED;
}

/* One round: a place with changes, and an apply that was stopped at point k. */
struct round {
	struct place p;
	struct pf_changeset c;
	bool stopped;
};

static void round_begin(struct round *r, unsigned k)
{
	memset(r, 0, sizeof(*r));
	place_make(&r->p);
	fill(&r->p);
	collect(&r->p, &r->c);
	r->stopped = stopped_apply(&r->p, &r->c, k);
}

static void round_end(struct round *r)
{
	pf_change_free(&r->c);
	place_free(&r->p);
}

static void wanted(struct pf_buf *before, struct pf_buf *after)
{
	struct pf_apply_report report;
	struct round r;

	memset(&r, 0, sizeof(r));
	place_make(&r.p);
	fill(&r.p);
	collect(&r.p, &r.c);
	look(&r.p, before);
	assert_int_equal(apply(&r.p, &r.c, false, &report), 0);
	look(&r.p, after);
	assert_false(has_stage(&r.p));
	assert_false(half_applied(&r.p, &r.c));
	assert_non_null(strstr(after->data, "other-name 2"));
	assert_non_null(strstr(after->data, "twin2 2"));
	assert_non_null(strstr(after->data, "tagged 1 user.new=2\n"));
	pf_apply_report_free(&report);
	round_end(&r);
}

/* Stopped anywhere, and then once more anywhere: it ends as it should. */
static void test_goes_on(void **state)
{
	struct pf_buf before = {0}, after = {0};
	unsigned moments = 0;

	(void)state;
	wanted(&before, &after);
	for (unsigned k = 1;; k++) {
		struct pf_buf now = {0};
		struct pf_apply_report report;
		struct round r;

		round_begin(&r, k);
		if (!r.stopped) {
			round_end(&r);
			break;
		}
		moments++;
		/* the second is stopped later or earlier than the first */
		stopped_apply(&r.p, &r.c, k * 7 % 61 + 1);
		if (apply(&r.p, &r.c, false, &report))
			say(k, &report);
		look(&r.p, &now);
		assert_string_equal(now.data, after.data);
		assert_false(has_stage(&r.p));
		assert_false(half_applied(&r.p, &r.c));
		pf_apply_report_free(&report);
		pf_buf_free(&now);
		round_end(&r);
	}
	assert_in_range(moments, 60, 1000);
	print_message("%u moments\n", moments);
	pf_buf_free(&before);
	pf_buf_free(&after);
}

static bool holds(struct place *p, const char *path, const char *text)
{
	struct pf_buf b = {0};
	bool same = pf_read_file(p->ws, path, &b, 1000) == 0 && strcmp(b.data ? b.data : "", text) == 0;

	pf_buf_free(&b);
	return same;
}

/*
 * Renames as other file systems have them, by a filter: without flags, as on NFS and some FUSE; or not from
 * one directory to another, as between btrfs subvolumes or directories with quotas of their own.
 */
static void limit_renames(void)
{
#define LOAD(what)  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, what))
#define ANSWER(how) BPF_STMT(BPF_RET | BPF_K, how)
	const struct sock_filter no_flags[] = {
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 0, 3),
		LOAD(args[4]),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
		ANSWER(SECCOMP_RET_ERRNO | EINVAL),
		ANSWER(SECCOMP_RET_ALLOW),
	};
	const struct sock_filter other_device[] = {
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_linkat, 0, 5),
		LOAD(args[0]),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		LOAD(args[2]),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 1, 0),
		ANSWER(SECCOMP_RET_ERRNO | EXDEV),
		ANSWER(SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog programs[] = {
		[NO_FLAGS] = {PF_ARRAY_SIZE(no_flags), (struct sock_filter *)no_flags},
		[OTHER_DEVICE] = {PF_ARRAY_SIZE(other_device), (struct sock_filter *)other_device},
	};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &programs[renames]) < 0)
		_exit(3);
}

/* Names of one file are parted where links cannot be made. */
static void without_links(struct pf_buf *b)
{
	static const char *const counted[] = {"twin1 2", "twin2 2", "kept-name 2", "other-name 2"};

	for (size_t i = 0; i < PF_ARRAY_SIZE(counted); i++) {
		char *at = strstr(b->data, counted[i]);

		if (at)
			at[strlen(counted[i]) - 1] = '1';
	}
}

static void assert_nothing_left(struct place *p, const char *dir)
{
	struct pf_buf all = {0};

	snapshot(p->ws, dir, &all);
	assert_null(strstr(all.data, ".pinfold"));
	pf_buf_free(&all);
}

static void with_renames(int what)
{
	struct pf_buf before = {0}, after = {0};
	struct pf_error err = {0};
	char note[PF_ERROR_MAX];
	unsigned moments = 0;

	renames = COMPLETE;
	wanted(&before, &after);
	if (what == OTHER_DEVICE)
		without_links(&after);
	for (unsigned k = 1;; k++) {
		struct pf_buf now = {0};
		struct round r;
		bool more;

		renames = what;
		round_begin(&r, k);
		more = r.stopped;
		moments += more;
		if (more)
			more = !stopped_apply(&r.p, &r.c, 1000);
		renames = COMPLETE;
		look(&r.p, &now);
		if (what == OTHER_DEVICE)
			without_links(&now);
		assert_string_equal(now.data, after.data);
		assert_false(has_stage(&r.p) || half_applied(&r.p, &r.c));
		pf_buf_free(&now);
		round_end(&r);
		if (!more)
			break;
		/* given up at the same moment, nothing is left either */
		renames = what;
		round_begin(&r, k);
		renames = COMPLETE;
		check(&err, pf_change_drop(r.p.changes, r.c.id, true, note, &err));
		assert_string_equal(note, "");
		assert_nothing_left(&r.p, "");
		round_end(&r);
	}
	print_message("%u moments\n", moments);
	pf_buf_free(&before);
	pf_buf_free(&after);
}

static void test_without_flags(void **state)
{
	(void)state;
	with_renames(NO_FLAGS);
}

static void test_other_device(void **state)
{
	(void)state;
	with_renames(OTHER_DEVICE);
}

/* The user edits, removes and makes files between the kill and the next apply. */
static void test_edits_between(void **state)
{
	unsigned refused = 0, passed = 0;

	(void)state;
	for (unsigned k = 1;; k++) {
		struct pf_apply_report report;
		struct round r;
		bool half;
		int code;

		round_begin(&r, k);
		if (!r.stopped) {
			round_end(&r);
			break;
		}
		half = half_applied(&r.p, &r.c);
		unlinkat(r.p.ws, "edit", 0);
		put(r.p.ws, "edit", "the user's\n");
		put(r.p.ws, "tree/mine", "mine\n");
		unlinkat(r.p.ws, "link", 0);
		put(r.p.ws, "link", "mine too\n");
		code = apply(&r.p, &r.c, false, &report);
		assert_true(code == 0 || code == -EEXIST);
		refused += code != 0;
		passed += code == 0;
		if (code) {
			assert_true(report.conflicts.count > 0);
			assert_int_equal(half_applied(&r.p, &r.c), report.half);
			assert_true(!report.half || half);
		}
		pf_apply_report_free(&report);
		/* whatever came of it: his is there */
		assert_true(holds(&r.p, "edit", "the user's\n"));
		assert_true(holds(&r.p, "tree/mine", "mine\n"));
		assert_true(holds(&r.p, "link", "mine too\n"));
		assert_true(holds(&r.p, "untouched", "u"));
		code = apply(&r.p, &r.c, true, &report);
		if (code)
			say(k, &report);
		pf_apply_report_free(&report);
		assert_true(holds(&r.p, "tree/mine", "mine\n")); /* the sandbox never saw it */
		assert_true(holds(&r.p, "dir-to-file", "6"));
		assert_false(has_stage(&r.p));
		assert_false(half_applied(&r.p, &r.c));
		round_end(&r);
	}
	print_message("%u refused, %u went on\n", refused, passed);
	assert_in_range(refused, 60, 1000);
}

/* What stands at a path is the old or the new: nothing half. */
static void assert_either(struct place *p, const char *path, const char *old, const char *new)
{
	if (!holds(p, path, old) && !holds(p, path, new))
		fail_msg("%s is neither '%s' nor '%s'", path, old, new);
}

static void test_given_up(void **state)
{
	(void)state;
	for (unsigned k = 1;; k++) {
		struct pf_error err = {0};
		char note[PF_ERROR_MAX];
		struct round r;
		bool half;

		round_begin(&r, k);
		if (!r.stopped) {
			round_end(&r);
			break;
		}
		half = half_applied(&r.p, &r.c);
		assert_int_equal(has_stage(&r.p) && !half, false);
		if (half)
			assert_int_equal(pf_change_drop(r.p.changes, r.c.id, false, note, &err), -EBUSY);
		check(&err, pf_change_drop(r.p.changes, r.c.id, true, note, &err));
		assert_string_equal(note, "");
		assert_false(has_stage(&r.p));
		assert_false(exists(r.p.changes, r.c.id));
		assert_either(&r.p, "edit", "old\n", "new\n");
		assert_either(&r.p, "shut/inner/edit", "old", "new");
		assert_true(holds(&r.p, "untouched", "u"));
		if (mode_of(r.p.ws, "shut") != 0555 || mode_of(r.p.ws, "shut/inner") != 0555)
			fail_msg("moment %u, half %d: %o %o", k, half, mode_of(r.p.ws, "shut"),
				 mode_of(r.p.ws, "shut/inner"));
		if (exists(r.p.ws, "ro"))
			assert_int_equal(mode_of(r.p.ws, "ro"), 0555);
		round_end(&r);
	}
}

static struct place *busy;
static bool in_place;

static void edit(struct place *p, const char *path, const char *text)
{
	char temp[80];

	if (in_place) {
		put(p->ws, path, text);
		return;
	}
	snprintf(temp, sizeof(temp), "%s.swp", path); /* as editors save */
	put(p->ws, temp, text);
	assert_int_equal(renameat(p->ws, temp, p->ws, path), 0);
}

static void user_acts(void)
{
	if (++points != stop_at)
		return;
	edit(busy, "edit", "the user's\n");
	edit(busy, "gone", "his too\n");
	edit(busy, "new-name", "and this\n");
	if (exists(busy->ws, "tree/a"))
		edit(busy, "tree/a/b", "mine\n");
}

/* The user edits at any moment of an apply, the one between the last look and the move among them: his bytes
 * stay, and what the apply did is told. */
static void test_edits_meanwhile(void **state)
{
	unsigned ended = 0, told = 0;

	(void)state;
	for (unsigned k = 1;; k++) {
		struct pf_apply_report report;
		struct round r;
		int code;

		in_place = k % 2;
		round_begin(&r, 1);
		points = 0;
		stop_at = k;
		busy = &r.p;
		pf__apply_point = user_acts;
		code = apply(&r.p, &r.c, false, &report);
		pf__apply_point = NULL;
		if (points < k) {
			pf_apply_report_free(&report);
			round_end(&r);
			break;
		}
		assert_true(code == 0 || code == -EEXIST || code == -ESTALE);
		assert_int_equal(half_applied(&r.p, &r.c), report.half);
		ended += code == 0;
		told += code != 0;
		assert_true(holds(&r.p, "edit", "the user's\n"));
		assert_true(holds(&r.p, "gone", "his too\n"));
		assert_true(holds(&r.p, "new-name", "and this\n"));
		if (exists(r.p.ws, "tree/a/b"))
			assert_either(&r.p, "tree/a/b", "1", "mine\n");
		pf_apply_report_free(&report);
		/* and given up, it still is */
		if (half_applied(&r.p, &r.c)) {
			struct pf_error err = {0};
			char note[PF_ERROR_MAX];

			check(&err, pf_change_drop(r.p.changes, r.c.id, true, note, &err));
			assert_string_equal(note, "");
			assert_false(has_stage(&r.p));
			assert_true(holds(&r.p, "edit", "the user's\n"));
			assert_true(holds(&r.p, "gone", "his too\n"));
		}
		round_end(&r);
	}
	print_message("%u ended, %u told\n", ended, told);
	assert_in_range(ended, 1, 1000);
	assert_in_range(told, 20, 1000);
}

/* Read-only until one of the disks is not: nothing was written, nothing is left. */
static void test_nothing_staged(void **state)
{
	struct pf_apply_report report;
	struct pf_buf before = {0}, after = {0};
	struct place *p = *state;
	struct pf_changeset c;

	put(p->ws, "f", "old");
	put(p->upper, "f", "new");
	put(p->upper, "g", "new");
	collect(p, &c);
	snapshot(p->ws, "", &before);
	assert_int_equal(unlinkat(p->changes, "t0001/blobs/2", 0), 0);
	assert_true(apply(p, &c, false, &report) < 0);
	assert_false(report.half);
	pf_apply_report_free(&report);
	snapshot(p->ws, "", &after);
	assert_string_equal(before.data, after.data);
	assert_false(half_applied(p, &c));
	pf_buf_free(&before);
	pf_buf_free(&after);
	pf_change_free(&c);
}

static int complete(void **state)
{
	(void)state;
	renames = COMPLETE;
	return 0;
}

static int group(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_goes_on, complete),
		cmocka_unit_test(test_without_flags),
		cmocka_unit_test(test_other_device),
		cmocka_unit_test_setup(test_edits_between, complete),
		cmocka_unit_test_setup(test_given_up, complete),
		cmocka_unit_test_setup(test_edits_meanwhile, complete),
		PLACE_TEST(test_nothing_staged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	test_top_in_memory();
	return run_as_both(group);
}
