/* SPDX-License-Identifier: Apache-2.0 */
/* Places, the meta file, and the sweep: that it takes what is dead, and nothing that lives or lies elsewhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "sandbox/meta.h"
#include "sandbox/places.h"

struct fixture {
	char root[64];
	struct pf_dirs dirs;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct pf_places p;
	struct pf_error err;
	char st[96], rt[96];

	strcpy(f->root, "/tmp/pf-places-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	snprintf(st, sizeof(st), "%s/state", f->root);
	snprintf(rt, sizeof(rt), "%s/run", f->root);
	p = (struct pf_places){.state = st, .runtime = rt, .libexec = "/nowhere"};
	assert_int_equal(pf_dirs_find(&p, &f->dirs, &err), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(pf_remove_tree(tmp, f->root + strlen("/tmp/")), 0);
	close(tmp);
	free(f);
	return 0;
}

/* RUNTIME/id, locked (its descriptor is returned), with these lines. */
static int make_entry(struct fixture *f, const char *id, const char *meta)
{
	struct pf_error err;
	int run = pf_dirs_runtime(&f->dirs, &err), lock;

	assert_true(run >= 0);
	lock = openat(run, id, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(lock >= 0);
	assert_int_equal(flock(lock, LOCK_EX | LOCK_NB), 0);
	if (meta)
		assert_int_equal(write(lock, meta, strlen(meta)), strlen(meta));
	close(run);
	return lock;
}

static bool exists(struct fixture *f, const char *what)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", f->root, what);
	return access(path, F_OK) == 0;
}

static void make_dir(struct fixture *f, const char *what)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", f->root, what);
	assert_int_equal(pf_mkdir_p(path, 0700), 0);
}

static struct pf_sweep sweep(struct fixture *f)
{
	struct pf_sweep s;
	struct pf_error err;

	assert_int_equal(pf_sweep(&f->dirs, &s, &err), 0);
	return s;
}

static void test_live_and_dead(void **state)
{
	struct fixture *f = *state;
	int live = make_entry(
		f, "alive1",
		"tier container\nstarted 2026-11-25T00:00:00Z\npid 42\nworkspace /w\\nx\ncommand make all\n");
	struct pf_live *list;
	struct pf_sweep s;
	size_t count;

	close(make_entry(f, "dead1", "tier container\n"));
	assert_int_equal(pf_live_list(&f->dirs, &list, &count, NULL), 0);
	assert_int_equal(count, 2);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(list[i].id, "alive1") != 0) {
			assert_false(list[i].alive);
			continue;
		}
		assert_true(list[i].alive);
		assert_int_equal(list[i].pid, 42);
		assert_string_equal(list[i].workspace, "/w\nx");
		assert_string_equal(list[i].command, "make all");
		assert_string_equal(list[i].tier, "container");
	}
	pf_live_free(list, count);
	s = sweep(f);
	assert_int_equal(s.removed, 1);
	assert_int_equal(s.remaining, 0);
	assert_true(exists(f, "run/alive1"));
	assert_false(exists(f, "run/dead1"));
	close(live);
	assert_int_equal(sweep(f).removed, 1);
	assert_false(exists(f, "run/alive1"));
}

/* Between open and flock a keeper holds no lock yet for an instant: a sweep must not take the place away. */
static void test_being_made(void **state)
{
	struct fixture *f = *state;

	close(make_entry(f, "young", NULL));
	assert_int_equal(sweep(f).removed, 0);
	assert_true(exists(f, "run/young"));
}

static void test_scratch(void **state)
{
	struct fixture *f = *state;
	char meta[512];

	make_dir(f, "state/scratch/mine/upper/work");
	make_dir(f, "state/scratch/other");
	make_dir(f, "state/changes/kept");
	make_dir(f, "home/precious");
	snprintf(meta, sizeof(meta), "tier container\nscratch %s/state/scratch/mine\n", f->root);
	close(make_entry(f, "dead1", meta));
	assert_int_equal(sweep(f).removed, 1);
	assert_false(exists(f, "state/scratch/mine"));
	assert_true(exists(f, "state/scratch/other"));
}

static void test_scratch_elsewhere_is_refused(void **state)
{
	static const char *const bad[] = {"%s/home",
					  "%s/state/scratch",
					  "%s/state/scratch/../changes",
					  "%s/state/scratch/a/../../../home",
					  "%s/state/scratchy/x",
					  "%s/state/scratch/a/b"};
	struct fixture *f = *state;

	make_dir(f, "home/precious");
	make_dir(f, "state/changes/kept");
	make_dir(f, "state/scratchy/x");
	make_dir(f, "state/scratch/a/b");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char path[256], meta[300], id[16];
		struct pf_sweep s;

		snprintf(path, sizeof(path), bad[i], f->root);
		snprintf(meta, sizeof(meta), "tier container\nscratch %s\n", path);
		snprintf(id, sizeof(id), "bad%zu", i);
		close(make_entry(f, id, meta));
		s = sweep(f);
		assert_int_equal(s.removed, 0);
		assert_int_equal(s.remaining, i + 1);
	}
	assert_true(exists(f, "home/precious"));
	assert_true(exists(f, "state/changes/kept"));
	assert_true(exists(f, "state/scratchy/x"));
	assert_true(exists(f, "state/scratch/a/b"));
}

/* One run-time directory serves many state directories: root's, and those of tests. */
static void test_another_state(void **state)
{
	struct fixture *f = *state;
	char meta[512], link[160];
	struct pf_live *list;
	struct pf_sweep s;
	size_t count;

	make_dir(f, "state");
	make_dir(f, "there/scratch/it");
	snprintf(meta, sizeof(meta), "tier container\nstate %s/there\nscratch %s/there/scratch/it\n", f->root,
		 f->root);
	close(make_entry(f, "there1", meta));
	snprintf(meta, sizeof(meta), "tier container\nstate %s/gone\nscratch %s/gone/scratch/it\n", f->root,
		 f->root);
	close(make_entry(f, "gone1", meta));
	snprintf(link, sizeof(link), "%s/link", f->root);
	assert_int_equal(symlink("state", link), 0);
	snprintf(meta, sizeof(meta), "tier container\nstate %s//link/\n", f->root);
	close(make_entry(f, "ours1", meta));
	assert_int_equal(pf_live_list(&f->dirs, &list, &count, NULL), 0);
	assert_int_equal(count, 3);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(list[i].other, strcmp(list[i].id, "ours1") != 0);
	pf_live_free(list, count);
	s = sweep(f); /* what lies in a directory that is there is for who works with it */
	assert_int_equal(s.removed, 2);
	assert_int_equal(s.remaining, 0);
	assert_true(exists(f, "run/there1"));
	assert_true(exists(f, "there/scratch/it"));
}

static void test_symlinks_are_not_followed(void **state)
{
	struct fixture *f = *state;
	char target[128], link[128];

	make_dir(f, "home/precious");
	make_dir(f, "state/scratch");
	make_dir(f, "run");
	snprintf(target, sizeof(target), "%s/home", f->root);
	snprintf(link, sizeof(link), "%s/run/linked", f->root);
	assert_int_equal(symlink(target, link), 0);
	sweep(f);
	assert_true(exists(f, "home/precious"));
	assert_true(exists(f, "run/linked"));
}

static void test_runtime_is_ours_alone(void **state)
{
	struct fixture *f = *state;
	struct pf_error err;
	char path[128], other[128];
	int fd;

	fd = pf_dirs_runtime(&f->dirs, &err);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(chmod(f->dirs.runtime, 0755), 0);
	assert_int_equal(pf_dirs_runtime(&f->dirs, &err), -EACCES);
	snprintf(path, sizeof(path), "%s/run", f->root);
	snprintf(other, sizeof(other), "%s/elsewhere", f->root);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(chmod(other, 0700), 0);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(pf_dirs_runtime(&f->dirs, &err), -ELOOP);
}

static void test_meta_lines_cannot_be_added(void **state)
{
	struct pf_buf lines = {0};
	struct pf_meta m;

	(void)state;
	pf_meta_add(&lines, "workspace", "/a\nscratch /home\ncgroup /x\\n");
	assert_int_equal(pf_meta_parse(lines.data, lines.len, &m), 0);
	assert_string_equal(m.workspace, "/a\nscratch /home\ncgroup /x\\n");
	assert_int_equal(m.scratch.count, 0);
	assert_int_equal(m.cgroups.len, 0);
	pf_meta_free(&m);
	pf_buf_free(&lines);
}

static void test_meta_hostile(void **state)
{
	static const char unfinished[] = "nonsense\n\nfuture thing\ncgroup /a/pinfold-x";
	struct pf_meta m;

	(void)state;
	assert_int_equal(pf_meta_parse("tier \0x\n", 8, &m), -EINVAL);
	pf_meta_free(&m);
	assert_int_equal(pf_meta_parse("pid -1\n", 7, &m), -EINVAL);
	pf_meta_free(&m);
	assert_int_equal(pf_meta_parse("tier 0123456789abcdef\n", 22, &m), -EINVAL);
	pf_meta_free(&m);
	assert_int_equal(pf_meta_parse(unfinished, strlen(unfinished), &m), 0);
	assert_string_equal(m.cgroups.data, "/a/pinfold-x\n");
	pf_meta_free(&m);
}

static void test_dirs_find(void **state)
{
	struct pf_dirs d;
	struct pf_error err;

	(void)state;
	setenv("PINFOLD_STATE", "/somewhere/s", 1);
	assert_int_equal(pf_dirs_find(NULL, &d, &err), 0);
	assert_string_equal(d.state, "/somewhere/s");
	setenv("PINFOLD_STATE", "relative", 1);
	assert_int_equal(pf_dirs_find(NULL, &d, &err), -EINVAL);
	unsetenv("PINFOLD_STATE");
	if (geteuid() == 0) {
		assert_int_equal(pf_dirs_find(NULL, &d, &err), 0);
		assert_string_equal(d.state, "/var/lib/pinfold");
		assert_string_equal(d.runtime, "/run/pinfold");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_live_and_dead, setup, teardown),
		cmocka_unit_test_setup_teardown(test_being_made, setup, teardown),
		cmocka_unit_test_setup_teardown(test_scratch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_scratch_elsewhere_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_symlinks_are_not_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_runtime_is_ours_alone, setup, teardown),
		cmocka_unit_test(test_meta_lines_cannot_be_added),
		cmocka_unit_test(test_meta_hostile),
		cmocka_unit_test(test_dirs_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
