/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an apply must carry over beside bytes and modes: names of one file, attributes, access lists, FIFOs.
 * What it remembers of itself. And places that are not as they were.
 */
#include "test_workspace.h"

#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <time.h>

#include "workspace/apply_internal.h"

static int apply(struct place *p, const struct pf_changeset *c, bool force, struct pf_apply_report *report,
		 struct pf_error *err)
{
	struct pf_apply how = {.force = force};

	*err = (struct pf_error){0};
	return pf_change_apply(p->changes, c, &how, report, err);
}

static void apply_whole(struct place *p, const struct pf_changeset *c, struct pf_apply_report *report)
{
	struct pf_error err = {0};

	if (apply(p, c, false, report, &err) < 0)
		fail_msg("%s: %s", err.msg, report->conflicts.count ? report->conflicts.items[0] : "");
}

static ino_t ino_of(int at, const char *path)
{
	struct stat st;

	if (fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		fail_msg("%s: %s", path, strerror(errno));
	return st.st_ino;
}

static void set_attr(int at, const char *path, const char *name, const void *value, size_t size)
{
	int fd = openat(at, path, O_RDONLY | O_CLOEXEC);

	if (fsetxattr(fd, name, value, size, 0) < 0)
		fail_msg("%s of %s: %s", name, path, strerror(errno));
	close(fd);
}

static void assert_attrs(int at, const char *path, const char *want)
{
	struct pf_buf b = {0};
	struct pf_attrs a = {0};
	bool others;
	int fd = openat(at, path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pf__attrs_read(fd, NULL, &a, &others), 0);
	for (size_t i = 0; i < a.count; i++) {
		pf_buf_addf(&b, "%s=", a.items[i].name);
		pf_buf_add(&b, a.items[i].value, a.items[i].size);
		pf_buf_addc(&b, ' ');
	}
	assert_string_equal(b.data ? b.data : "", want);
	pf__attrs_free(&a);
	pf_buf_free(&b);
	close(fd);
}

/* --- names of one file --------------------------------------------------------------------- */

static void test_links(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;

	put(p->ws, "old", "kept");
	assert_int_equal(linkat(p->ws, "old", p->ws, "old-twin", 0), 0);
	put(p->ws, "changed", "1");
	take_reference(p);
	/* three new names; one of them where something was */
	put(p->upper, "changed", "new");
	assert_int_equal(linkat(p->upper, "changed", p->upper, "d1", 0), 0);
	make_dir(p->upper, "dir", 0755);
	assert_int_equal(linkat(p->upper, "changed", p->upper, "dir/d2", 0), 0);
	/* new names of what the workspace has; overlay copied "old" up for that */
	put(p->upper, "old", "kept");
	assert_int_equal(linkat(p->upper, "old", p->upper, "dir/old3", 0), 0);
	/* a symbolic link and a FIFO have several names as well */
	assert_int_equal(symlinkat("x", p->upper, "s1"), 0);
	assert_int_equal(linkat(p->upper, "s1", p->upper, "s2", 0), 0);
	assert_int_equal(mkfifoat(p->upper, "f1", 0600), 0);
	assert_int_equal(linkat(p->upper, "f1", p->upper, "f2", 0), 0);
	put(p->upper, "single", "new");
	collect(p, &c);
	assert_int_equal(item(&c, "single")->link, 0);
	assert_int_equal(item(&c, "changed")->link, item(&c, "dir/d2")->link);
	assert_string_equal(item(&c, "dir/old3")->link_to, "old");
	assert_null(item(&c, "old"));
	apply_whole(p, &c, &report);
	assert_int_equal(ino_of(p->ws, "changed"), ino_of(p->ws, "d1"));
	assert_int_equal(ino_of(p->ws, "changed"), ino_of(p->ws, "dir/d2"));
	assert_int_equal(ino_of(p->ws, "old"), ino_of(p->ws, "dir/old3"));
	assert_int_equal(ino_of(p->ws, "old"), ino_of(p->ws, "old-twin"));
	assert_int_equal(ino_of(p->ws, "s1"), ino_of(p->ws, "s2"));
	assert_int_equal(ino_of(p->ws, "f1"), ino_of(p->ws, "f2"));
	assert_file(p->ws, "dir/d2", "new");
	pf_apply_report_free(&report);
	apply_whole(p, &c, &report);
	assert_int_equal(report.applied.count, 0);
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

/* By paths, one after the other: the later names join the first. */
static void test_links_by_paths(void **state)
{
	char *path[1];
	struct pf_list only = {path, 1};
	struct pf_apply how = {.only = &only};
	static const char *const order[] = {"c", "a", "b"};
	struct place *p = *state;
	struct pf_apply_report report;
	struct pf_error err = {0};
	struct pf_changeset c;

	put(p->upper, "a", "new");
	assert_int_equal(linkat(p->upper, "a", p->upper, "b", 0), 0);
	assert_int_equal(linkat(p->upper, "a", p->upper, "c", 0), 0);
	collect(p, &c);
	for (size_t i = 0; i < PF_ARRAY_SIZE(order); i++) {
		path[0] = (char *)order[i];
		check(&err, pf_change_apply(p->changes, &c, &how, &report, &err));
		assert_int_equal(report.applied.count, 1);
		pf_apply_report_free(&report);
	}
	assert_int_equal(ino_of(p->ws, "a"), ino_of(p->ws, "b"));
	assert_int_equal(ino_of(p->ws, "a"), ino_of(p->ws, "c"));
	pf_change_free(&c);
}

/* The file that a new name belongs to was changed meanwhile: the sandbox's name is a file of its own, and
 * says so. */
static void test_link_of_changed(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;

	put(p->ws, "old", "kept");
	take_reference(p);
	put(p->upper, "old", "kept");
	assert_int_equal(linkat(p->upper, "old", p->upper, "more", 0), 0);
	collect(p, &c);
	later(p);
	put(p->ws, "old", "mine");
	apply_whole(p, &c, &report);
	assert_true(list_mentions(&report.notes, "more: a file of its own now"));
	assert_file(p->ws, "old", "mine");
	assert_file(p->ws, "more", "kept");
	assert_true(ino_of(p->ws, "old") != ino_of(p->ws, "more"));
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

/* As root: a file of another user gets no further name in the workspace. */
static void test_link_of_foreign(void **state)
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
	put(p->upper, "f", "secret");
	assert_int_equal(linkat(p->upper, "f", p->upper, "g", 0), 0);
	collect(p, &c);
	apply_whole(p, &c, &report);
	assert_true(ino_of(p->ws, "g") != ino_of(p->ws, "f"));
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

/* --- attributes ----------------------------------------------------------------------------- */

static void test_attrs(void **state)
{
	static const char binary[] = {0, 1, 2, (char)0xff};
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;

	put(p->ws, "same", "s");
	set_attr(p->ws, "same", "user.a", "1", 1);
	put(p->ws, "changed", "c");
	set_attr(p->ws, "changed", "user.a", "1", 1);
	set_attr(p->ws, "changed", "user.gone", "1", 1);
	put(p->ws, "edited", "old");
	set_attr(p->ws, "edited", "user.a", "1", 1);
	put_mode(p->ws, "shut", "c", 0444);
	make_dir(p->ws, "dir", 0755);
	take_reference(p);
	put(p->upper, "same", "s");
	set_attr(p->upper, "same", "user.a", "1", 1);
	put(p->upper, "changed", "c");
	set_attr(p->upper, "changed", "user.a", "2", 1);
	set_attr(p->upper, "changed", "user.b", binary, sizeof(binary));
	put(p->upper, "edited", "new");
	set_attr(p->upper, "edited", "user.a", "1", 1);
	put(p->upper, "new", "n");
	set_attr(p->upper, "new", "user.\xff", "", 0);
	put(p->upper, "shut", "c");
	set_attr(p->upper, "shut", "user.s", "s", 1);
	assert_int_equal(fchmodat(p->upper, "shut", 0444, 0), 0);
	make_dir(p->upper, "dir", 0755);
	set_attr(p->upper, "dir", "user.d", "d", 1);
	make_dir(p->upper, "new-dir", 0755);
	set_attr(p->upper, "new-dir", "user.d", "d", 1);
	collect(p, &c);
	assert_list(&c, "M changed (attributes)\nM dir/ (attributes)\nM edited\nA new\nA new-dir/\nM shut "
			"(attributes)\n");
	apply_whole(p, &c, &report);
	assert_attrs(p->ws, "changed", "user.a=2 user.b=");
	assert_attrs(p->ws, "edited", "user.a=1 ");
	assert_attrs(p->ws, "new", "user.\xff= ");
	assert_attrs(p->ws, "shut", "user.s=s ");
	assert_attrs(p->ws, "dir", "user.d=d ");
	assert_attrs(p->ws, "new-dir", "user.d=d ");
	assert_int_equal(mode_of(p->ws, "shut"), 0444);
	assert_int_equal(report.notes.count, 0);
	pf_apply_report_free(&report);
	apply_whole(p, &c, &report);
	assert_int_equal(report.applied.count, 0);
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

/* Other namespaces decide who may do what: none is applied, and that is said. Overlay's own are none of
 * anybody's. */
static void test_other_attrs(void **state)
{
	static const char cap[] = {0, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;
	char value[32];
	int fd;

	if (needs_root())
		return;
	put(p->upper, "f", "x");
	set_attr(p->upper, "f", "security.capability", cap, sizeof(cap));
	set_attr(p->upper, "f", "trusted.overlay.origin", "x", 1);
	put(p->upper, "g", "x");
	set_attr(p->upper, "g", "trusted.overlay.origin", "x", 1);
	collect(p, &c);
	assert_true(item(&c, "f")->other_attrs && !item(&c, "g")->other_attrs);
	apply_whole(p, &c, &report);
	assert_true(list_mentions(&report.notes, "f: some of its extended attributes are not applied"));
	assert_int_equal(report.notes.count, 1);
	fd = openat(p->ws, "f", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && fgetxattr(fd, "security.capability", value, sizeof(value)) < 0);
	close(fd);
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

/* More of them than a set carries: none, and that is said. (On ext4 they would not even fit.) */
static void test_too_many_attrs(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;
	static char value[30000];
	int fd;

	put(p->upper, "f", "x");
	fd = openat(p->upper, "f", O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < 3; i++) {
		char name[] = "user.0";

		name[5] = (char)('0' + i);
		if (fsetxattr(fd, name, value, sizeof(value), 0) < 0) {
			print_message("skipped: no attributes of this size here: %s\n", strerror(errno));
			skip();
		}
	}
	close(fd);
	collect(p, &c);
	assert_true(item(&c, "f")->other_attrs);
	assert_int_equal(item(&c, "f")->attrs.count, 2);
	apply_whole(p, &c, &report);
	assert_true(list_mentions(&report.notes, "f: some of its extended attributes"));
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

/* A file that the user shares with somebody by an access list stays shared when it is replaced. */
static void test_acl(void **state)
{
	/* version 2; user::rw-, user:4343:r--, group::r--, mask::r--, other::r-- */
	static const unsigned char acl[] = {2,	 0,   0,   0,	1,   0,	   6,	 0,   255, 255, 255,
					    255, 2,   0,   4,	0,   0xf7, 0x10, 0,   0,   4,	0,
					    4,	 0,   255, 255, 255, 255,  16,	 0,   4,   0,	255,
					    255, 255, 255, 32,	0,   4,	   0,	 255, 255, 255, 255};
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;
	char value[sizeof(acl)];
	int fd;

	put(p->ws, "f", "old");
	fd = openat(p->ws, "f", O_RDONLY | O_CLOEXEC);
	if (fsetxattr(fd, "system.posix_acl_access", acl, sizeof(acl), 0) < 0) {
		print_message("skipped: no access lists here: %s\n", strerror(errno));
		skip();
	}
	close(fd);
	take_reference(p);
	put(p->upper, "f", "new");
	fd = openat(p->upper, "f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fsetxattr(fd, "system.posix_acl_access", acl, sizeof(acl), 0),
			 0); /* copied up with it */
	close(fd);
	collect(p, &c);
	assert_false(item(&c, "f")->other_attrs);
	apply_whole(p, &c, &report);
	assert_file(p->ws, "f", "new");
	fd = openat(p->ws, "f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fgetxattr(fd, "system.posix_acl_access", value, sizeof(value)), sizeof(acl));
	assert_memory_equal(value, acl, sizeof(acl));
	close(fd);
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

/* --- what it remembers ------------------------------------------------------------------------ */

/* A sandbox that goes on while what it did until then is applied: what an apply of ours left is no conflict
 * for its next set; what the user did to it afterwards is. */
static void test_remembered(void **state)
{
	struct place *p = *state;
	struct pf_changeset first, second;
	struct pf_apply_report report;
	struct pf_error err;

	put(p->ws, "a", "0");
	put(p->ws, "b", "0");
	take_reference(p);
	later(p);
	put(p->upper, "a", "1");
	put(p->upper, "b", "1");
	put(p->upper, "new", "1");
	collect(p, &first);
	apply_whole(p, &first, &report);
	pf_apply_report_free(&report);
	later(p);
	put(p->upper, "a", "22");
	put(p->upper, "b", "22");
	whiteout(p->upper, "c");
	put(p->ws, "b", "mine");
	collect(p, &second);
	assert_int_equal(apply(p, &second, false, &report, &err), -EEXIST);
	assert_int_equal(report.conflicts.count, 1);
	assert_true(list_mentions(&report.conflicts, "b: has changed"));
	pf_apply_report_free(&report);
	unlinkat(p->changes, ".applied.d", AT_REMOVEDIR);
	assert_int_equal(apply(p, &second, true, &report, &err), 0);
	assert_file(p->ws, "a", "22");
	pf_apply_report_free(&report);
	pf_change_free(&first);
	pf_change_free(&second);
}

/* Two sets of the same files, both taken before one of them was applied: the second knows nothing of the
 * first. */
static void test_two_sets(void **state)
{
	struct place *p = *state;
	struct pf_changeset first, second;
	struct pf_apply_report report;
	struct pf_error err;

	put(p->ws, "a", "0");
	take_reference(p);
	put(p->upper, "a", "1");
	collect(p, &first);
	put(p->upper, "a", "22");
	collect(p, &second);
	later(p);
	apply_whole(p, &first, &report);
	pf_apply_report_free(&report);
	assert_int_equal(apply(p, &second, false, &report, &err), -EEXIST);
	assert_file(p->ws, "a", "1");
	pf_apply_report_free(&report);
	pf_change_free(&first);
	pf_change_free(&second);
}

static void test_memory_file(void **state)
{
	struct place *p = *state;
	struct pf_buf lines = {0};
	struct pf__applied *l;
	struct pf_list names = {0};
	struct stat st, other;
	char path[64];
	int fd;

	put(p->ws, "f", "x");
	assert_int_equal(fstatat(p->ws, "f", &st, 0), 0);
	other = st;
	other.st_size++;
	assert_int_equal(pf__applied_line("odd \xff\n", &other, 1, &lines), 0);
	assert_int_equal(pf__applied_line("odd \xff\n", &st, 2, &lines), 0);
	pf__applied_add(p->changes, "/ws", &lines);
	/* an add that was cut off, and one behind it */
	fd = dir_at(p->changes, ".applied.d");
	assert_int_equal(pf__ws_names(fd, &names, 10), 0);
	assert_int_equal(names.count, 1);
	close(fd);
	snprintf(path, sizeof(path), ".applied.d/%s", names.items[0]);
	fd = openat(p->changes, path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(pf_write_full(fd, "{\"path\":\"cu", 11), 0);
	close(fd);
	pf_buf_consume(&lines, lines.len);
	assert_int_equal(pf__applied_line("f", &st, 3, &lines), 0);
	pf__applied_add(p->changes, "/ws", &lines);
	l = pf__applied_load(p->changes, "/ws");
	assert_true(pf__applied_is(l, "odd \xff\n", &st)); /* the later line */
	assert_false(pf__applied_is(l, "odd \xff\n", &other));
	assert_true(pf__applied_is(l, "f", &st));
	assert_false(pf__applied_is(l, "g", &st));
	pf__applied_free(l);
	l = pf__applied_load(p->changes, "/elsewhere");
	assert_false(pf__applied_is(l, "f", &st));
	pf__applied_free(l);
	/* it does not grow without bound, and keeps what is newest */
	pf_buf_consume(&lines, lines.len);
	for (int i = 0; i < 30000; i++) {
		snprintf(path, sizeof(path), "some/path/of/a/file/%d", i);
		pf__applied_line(path, &st, 4, &lines);
	}
	for (int i = 0; i < 4; i++)
		pf__applied_add(p->changes, "/ws", &lines);
	snprintf(path, sizeof(path), ".applied.d/%s", names.items[0]);
	assert_int_equal(fstatat(p->changes, path, &other, 0), 0);
	assert_in_range(other.st_size, 1 << 20, 9 << 20);
	l = pf__applied_load(p->changes, "/ws");
	assert_true(pf__applied_is(l, "some/path/of/a/file/29999", &st));
	pf__applied_free(l);
	pf__applied_expire(p->changes, (int64_t)time(NULL) - 1000);
	assert_true(exists(p->changes, path));
	pf__applied_expire(p->changes, (int64_t)time(NULL) + 1000);
	assert_false(exists(p->changes, path));
	pf_list_free(&names);
	pf_buf_free(&lines);
}

/* --- places ------------------------------------------------------------------------------------ */

static void test_other_directory(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;
	struct pf_error err;

	put(p->upper, "f", "x");
	collect(p, &c);
	assert_int_equal(renameat(p->fd, "ws", p->fd, "moved"), 0);
	assert_int_equal(apply(p, &c, false, &report, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "not there any more"));
	pf_apply_report_free(&report);
	put(p->fd, "ws", "a file");
	assert_int_equal(apply(p, &c, false, &report, &err), -ENOTDIR);
	pf_apply_report_free(&report);
	assert_int_equal(unlinkat(p->fd, "ws", 0), 0);
	close(dir_at(p->fd, "ws"));
	assert_int_equal(apply(p, &c, false, &report, &err), -ESTALE);
	assert_non_null(strstr(err.msg, "another directory"));
	assert_false(exists(p->fd, "ws/f"));
	pf_apply_report_free(&report);
	assert_int_equal(apply(p, &c, true, &report, &err), 0);
	assert_true(exists(p->fd, "ws/f"));
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

/* In a mount namespace of its own: ws is a small or read-only file system, or has one in it. 0: it went well.
 */
static int mounted(struct place *p, const char *at, const char *options, unsigned long flags)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", p->dir, at);
	return mount("pf-test", path, "tmpfs", flags, options);
}

static void unmounted(struct place *p, const char *at)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", p->dir, at);
	assert_int_equal(umount2(path, MNT_DETACH), 0);
}

static void reopen_ws(struct place *p)
{
	close(p->ws);
	p->ws = dir_at(p->fd, "ws");
}

static void test_full(void **state)
{
	struct place *p = *state;
	struct pf_buf before = {0}, after = {0};
	struct pf_changeset c;
	struct pf_apply_report report;
	struct pf_error err;
	static char big[300000];

	if (needs_root())
		return;
	assert_int_equal(mounted(p, "ws", "size=512k", 0), 0);
	reopen_ws(p);
	put(p->ws, "old", "x");
	take_reference_in(p, p->ws);
	put(p->upper, "small", "x");
	memset(big, 'x', sizeof(big));
	put_bytes(p->upper, "big1", big, sizeof(big), 0644);
	put_bytes(p->upper, "big2", big, sizeof(big), 0644);
	whiteout(p->upper, "old");
	collect(p, &c);
	snapshot(p->ws, "", &before);
	assert_int_equal(apply(p, &c, false, &report, &err), -ENOSPC);
	assert_non_null(strstr(err.msg, "nothing was changed"));
	assert_false(report.half);
	snapshot(p->ws, "", &after);
	assert_string_equal(before.data, after.data);
	pf_apply_report_free(&report);
	pf_buf_free(&before);
	pf_buf_free(&after);
	pf_change_free(&c);
	unmounted(p, "ws");
	reopen_ws(p);
}

static void test_read_only(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;
	struct pf_error err;

	if (needs_root())
		return;
	assert_int_equal(mounted(p, "ws", "size=512k", 0), 0);
	reopen_ws(p);
	take_reference_in(p, p->ws);
	put(p->upper, "f", "x");
	collect(p, &c);
	assert_int_equal(mounted(p, "ws", NULL, MS_REMOUNT | MS_RDONLY), 0);
	assert_int_equal(apply(p, &c, false, &report, &err), -EROFS);
	assert_non_null(strstr(err.msg, "read-only"));
	assert_false(report.half);
	pf_apply_report_free(&report);
	pf_change_free(&c);
	unmounted(p, "ws");
	reopen_ws(p);
}

static void test_mount_inside(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;
	struct pf_error err;

	if (needs_root())
		return;
	make_dir(p->ws, "d", 0755);
	put(p->upper, "d/new", "x");
	put(p->upper, "f", "x");
	collect(p, &c);
	assert_int_equal(mounted(p, "ws/d", "size=512k", 0), 0);
	for (int force = 0; force < 2; force++) {
		assert_int_equal(apply(p, &c, force, &report, &err), -EEXIST);
		assert_true(list_mentions(&report.conflicts, "d/new: another file system is mounted"));
		pf_apply_report_free(&report);
	}
	assert_false(exists(p->ws, "f"));
	unmounted(p, "ws/d");
	pf_change_free(&c);
}

static bool command(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static bool command(const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return system(text) == 0;
}

/* A directory that counts for another quota takes nothing by rename from outside, as a btrfs subvolume does
 * not. */
static void test_other_project(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;
	struct fsxattr x;
	struct stat st;
	int fd;

	if (needs_root())
		return;
	if (!command("cd %s && truncate -s 16M image && mkfs.ext4 -q -F -O project -I 256 image 2>/dev/null "
		     "&& "
		     "mount -o loop image ws 2>/dev/null",
		     p->dir)) {
		print_message("skipped: no ext4 with projects can be made and mounted here\n");
		skip();
	}
	reopen_ws(p);
	fd = dir_at(p->ws, "d");
	assert_int_equal(ioctl(fd, FS_IOC_FSGETXATTR, &x), 0);
	x.fsx_projid = 7;
	x.fsx_xflags |= FS_XFLAG_PROJINHERIT;
	assert_int_equal(ioctl(fd, FS_IOC_FSSETXATTR, &x), 0);
	close(fd);
	put(p->ws, "outside", "o");
	assert_true(linkat(p->ws, "outside", p->ws, "d/linked", 0) < 0 &&
		    errno == EXDEV); /* else it tells nothing */
	put(p->ws, "d/edit", "old");
	put(p->ws, "d/gone", "g");
	put(p->ws, "d/kind", "k");
	put(p->ws, "d/was/x", "x");
	take_reference_in(p, p->ws);
	put(p->upper, "d/edit", "new");
	put(p->upper, "d/new", "n");
	put(p->upper, "d/sub/deep", "s");
	whiteout(p->upper, "d/gone");
	put(p->upper, "d/kind/in", "k");
	put(p->upper, "d/was", "file");
	put(p->upper, "plain", "p");
	collect(p, &c);
	apply_whole(p, &c, &report);
	assert_file(p->ws, "d/edit", "new");
	assert_file(p->ws, "d/new", "n");
	assert_file(p->ws, "d/sub/deep", "s");
	assert_file(p->ws, "d/kind/in", "k");
	assert_file(p->ws, "d/was", "file");
	assert_file(p->ws, "plain", "p");
	assert_false(exists(p->ws, "d/gone"));
	assert_int_equal(fstatat(p->ws, "d/new", &st, 0), 0);
	assert_true(st.st_mtim.tv_sec > time(NULL) - 3600);
	pf_apply_report_free(&report);
	apply_whole(p, &c, &report);
	assert_int_equal(report.applied.count, 0);
	for (int k = 0; k < 2; k++) {
		struct pf_list names = {0};

		fd = k ? dir_at(p->ws, "d") : dup(p->ws);
		assert_int_equal(pf__ws_names(fd, &names, 100), 0);
		assert_false(list_mentions(&names, ".pinfold"));
		pf_list_free(&names);
		close(fd);
	}
	pf_apply_report_free(&report);
	pf_change_free(&c);
	unmounted(p, "ws");
	reopen_ws(p);
}

static void test_closed_directory(void **state)
{
	struct place *p = *state;
	struct pf_changeset c;
	struct pf_apply_report report;
	struct pf_error err;

	put(p->ws, "d/e/f", "old");
	take_reference(p);
	put(p->upper, "d/e/f", "new");
	put(p->upper, "g", "new");
	collect(p, &c);
	assert_int_equal(fchmodat(p->ws, "d", 0, 0), 0);
	if (geteuid() == 0) {
		apply_whole(p, &c, &report);
	} else {
		assert_int_equal(apply(p, &c, false, &report, &err), -EACCES);
		assert_non_null(strstr(err.msg, "d/e/f"));
		assert_false(report.half || exists(p->ws, "g"));
	}
	assert_int_equal(mode_of(p->ws, "d"), 0);
	assert_int_equal(fchmodat(p->ws, "d", 0755, 0), 0);
	pf_apply_report_free(&report);
	pf_change_free(&c);
}

static int group(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(test_links),
		PLACE_TEST(test_links_by_paths),
		PLACE_TEST(test_link_of_changed),
		PLACE_TEST(test_link_of_foreign),
		PLACE_TEST(test_attrs),
		PLACE_TEST(test_other_attrs),
		PLACE_TEST(test_acl),
		PLACE_TEST(test_remembered),
		PLACE_TEST(test_two_sets),
		PLACE_TEST(test_memory_file),
		PLACE_TEST(test_other_directory),
		PLACE_TEST(test_full),
		PLACE_TEST(test_read_only),
		PLACE_TEST(test_mount_inside),
		PLACE_TEST(test_closed_directory),
		PLACE_TEST(test_other_project),
		PLACE_TEST(test_too_many_attrs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	test_top_in_memory();
	/* what is mounted here is nobody else's */
	if (geteuid() == 0 &&
	    (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0))
		return 1;
	return run_as_both(group);
}
