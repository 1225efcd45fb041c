/* SPDX-License-Identifier: Apache-2.0 */
/* The view: names in several trees, the closed list, what is covered, and views that are kept. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "view/place.h"
#include "view/scan.h"

/* An ELF file that is started: no interpreter, ET_EXEC, nothing else. */
static const unsigned char program[64] = {0x7f, 'E',	  'L',	     'F',      2,	 1,
					  1,	[16] = 2, [18] = 62, [20] = 1, [52] = 64};

struct place {
	char top[64], state[96], libexec[96];
	int usr;
	struct pf_list allow;
	struct pf_view_tree trees[2];
	struct pf_view_link links[1];
	struct pf_view_want want;
};

static void put(const char *dir, const char *path, const void *p, size_t n, mode_t mode)
{
	char full[512], up[512];
	int fd;

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	snprintf(up, sizeof(up), "%s", full);
	*strrchr(up, '/') = '\0';
	assert_int_equal(pf_mkdir_p(up, 0755), 0);
	fd = open(full, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(pf_write_full(fd, p, n), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void put_link(const char *dir, const char *path, const char *target)
{
	char full[512];

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	assert_int_equal(symlink(target, full), 0);
}

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	char usr[96], etc[96];

	snprintf(p->top, sizeof(p->top), "/tmp/pf-view-XXXXXX");
	assert_non_null(mkdtemp(p->top));
	snprintf(p->state, sizeof(p->state), "%s/state", p->top);
	snprintf(p->libexec, sizeof(p->libexec), "%s/libexec", p->top);
	snprintf(usr, sizeof(usr), "%s/usr", p->top);
	snprintf(etc, sizeof(etc), "%s/etc", p->top);
	put(usr, "bin/one", program, sizeof(program), 0755);
	put(usr, "bin/two", program, sizeof(program), 0755);
	put(usr, "bin/script", "#!/usr/bin/env one\n", 19, 0755);
	put(usr, "bin/env", program, sizeof(program), 0755);
	put(usr, "lib/data/text", "hello", 5, 0755);
	put(usr, "lib/data/module.py", "#!/usr/bin/one\nx = 1\n", 21, 0755);
	put(usr, "lib/data/plain", program, sizeof(program), 0644);
	put(etc, "alternatives/README", "-", 1, 0644);
	put_link(usr, "bin/chosen", "/etc/alternatives/chosen");
	put_link(etc, "alternatives/chosen", "/usr/bin/two");
	put_link(usr, "bin/outside", "../../../../../../../../../../../bin/sh");
	put_link(usr, "bin/loop", "loop");
	put(p->libexec, "pinfold-refuse", program, sizeof(program), 0755);
	p->trees[0] =
		(struct pf_view_tree){.at = "/usr", .fd = open(usr, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	p->trees[1] = (struct pf_view_tree){.at = "/etc",
					    .fd = open(etc, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
					    .digest = "etc",
					    .plain = true};
	p->links[0] = (struct pf_view_link){"/bin", "usr/bin"};
	p->want = (struct pf_view_want){.trees = p->trees,
					.tree_count = 2,
					.links = p->links,
					.link_count = 1,
					.allow = &p->allow,
					.path = "/nowhere:/bin:/usr/bin",
					.state = p->state,
					.libexec = p->libexec};
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;
	PF_AUTO_CLOSE int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	close(p->trees[0].fd);
	close(p->trees[1].fd);
	pf_list_free(&p->allow);
	pf_remove_tree(tmp, p->top + 5);
	free(p);
	return 0;
}

static void resolves(const struct place *p, const char *path, const char *want)
{
	char out[PATH_MAX];
	struct stat st;

	assert_int_equal(pf__view_resolve(&p->want, path, out, &st), 0);
	assert_string_equal(out, want);
}

static void names_in_trees(void **state)
{
	const struct place *p = *state;
	char out[PATH_MAX];
	struct stat st;

	resolves(p, "/usr/bin/one", "/usr/bin/one");
	resolves(p, "/bin/one", "/usr/bin/one");
	resolves(p, "//bin/./../bin/one", "/usr/bin/one");
	resolves(p, "/bin/chosen", "/usr/bin/two");
	resolves(p, "/../../usr", "/usr");
	resolves(p, "/", "/");
	assert_int_equal(pf__view_resolve(&p->want, "/bin/loop", out, &st), -ELOOP);
	assert_int_equal(pf__view_resolve(&p->want, "/bin/one/x", out, &st), -ENOTDIR);
	assert_int_equal(pf__view_resolve(&p->want, "/root/x", out, &st), -ENOENT);
}

/* It leads to /bin/sh of the inside, which is not there: not to the host's. */
static void no_name_leads_out(void **state)
{
	const struct place *p = *state;
	char out[PATH_MAX];
	struct stat st;

	assert_int_equal(pf__view_resolve(&p->want, "/bin/outside", out, &st), -ENOENT);
}

static const struct pf_view_entry *entry(const struct pf_view_list *l, const char *path)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->items[i].path, path) == 0)
			return &l->items[i];
	return NULL;
}

static void closes_links_and_interpreters(void **state)
{
	struct place *p = *state;
	struct pf_view_list l;
	struct pf_error err;

	pf_list_add(&p->allow, "script");
	pf_list_add(&p->allow, "chosen");
	assert_int_equal(pf_view_close(&p->want, &l, &err), 0);
	assert_int_equal(l.count, 4);
	assert_string_equal(entry(&l, "/usr/bin/two")->why, "chosen");
	assert_string_equal(entry(&l, "/usr/bin/env")->why, "interpreter of /usr/bin/script");
	assert_true(entry(&l, "/usr/bin/env")->any_code);
	assert_string_equal(entry(&l, "/usr/bin/one")->why, "interpreter of /usr/bin/script");
	pf_view_list_free(&l);
}

static void refuses_many_in_one(void **state)
{
	static const char text[] = "\177ELF\2\1\1 and BusyBox v1.35";
	struct place *p = *state;
	struct pf_view_list l;
	struct pf_error err;
	char usr[96];

	snprintf(usr, sizeof(usr), "%s/usr", p->top);
	put(usr, "bin/busybox", text, sizeof(text), 0755);
	put(usr, "bin/renamed", text, sizeof(text), 0755);
	put(usr, "bin/installer", "#!/bin/sh\n", 10, 0755);
	put_link(usr, "bin/sh", "busybox");
	for (unsigned i = 0; i < 3; i++) {
		static const char *const names[] = {"sh", "renamed", "installer"};

		pf_list_add(&p->allow, names[i]);
		assert_int_equal(pf_view_close(&p->want, &l, &err), -EINVAL);
		assert_non_null(strstr(err.msg, "many"));
		pf_list_free(&p->allow);
	}
	pf_list_add(&p->allow, "installer");
	pf_list_add(&p->allow, "busybox");
	assert_int_equal(pf_view_close(&p->want, &l, &err), 0);
	assert_int_equal(l.count, 2);
	pf_view_list_free(&l);
}

static void names_what_is_not_there(void **state)
{
	struct place *p = *state;
	struct pf_view_list l;
	struct pf_error err;

	pf_list_add(&p->allow, "three");
	assert_int_equal(pf_view_close(&p->want, &l, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "\"three\" is not in this image"));
}

static bool is_refuse(const struct pf_view *v, const char *path)
{
	char full[1024], head[16] = "";
	PF_AUTO_CLOSE int fd = -1;

	snprintf(full, sizeof(full), "%s/0/%s", v->dir, path);
	fd = open(full, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, head, sizeof(head)) == sizeof(head) &&
	       memcmp(head + PF_REFUSE_MARK_AT, PF_REFUSE_MARK, sizeof(PF_REFUSE_MARK) - 1) == 0;
}

static bool has(const struct pf_view *v, const char *path, struct stat *st)
{
	char full[1024];

	snprintf(full, sizeof(full), "%s/0/%s", v->dir, path);
	return lstat(full, st) == 0;
}

static void covers_what_is_not_listed(void **state)
{
	struct place *p = *state;
	struct pf_view v;
	struct pf_error err;
	struct stat st;

	pf_list_add(&p->allow, "one");
	assert_int_equal(pf_view_get(&p->want, &v, &err), 0);
	assert_true(is_refuse(&v, "bin/two") && is_refuse(&v, "bin/env") && is_refuse(&v, "bin/script"));
	assert_true(is_refuse(&v, "lib/data/plain")); /* ld.so would start it */
	assert_false(has(&v, "bin/one", &st) || has(&v, "lib/data/text", &st));
	assert_true(has(&v, "lib/data/module.py", &st));
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(st.st_size, 21);
	assert_true(has(&v, "lib/data", &st));
	assert_int_equal(st.st_mode & 0777, 0755);
	assert_int_equal(v.programs, 1);
	assert_int_equal(v.refused, 5);
	assert_string_equal((pf_buf_addc(&v.approved, 0), v.approved.data), "one");
	pf_view_free(&v);
}

/* Names of two views, of the same list before and after; wait: until what was made is not young any more. */
static void views(struct place *p, char first[72], char second[72], void (*change)(struct place *p))
{
	struct pf_view v;
	struct pf_error err;

	pf_list_add(&p->allow, "one");
	for (unsigned i = 0; i < 100; i++) { /* a young one is not kept: until it is */
		char marks[160];

		assert_int_equal(pf_view_get(&p->want, &v, &err), 0);
		snprintf(first, 72, "%s", v.name);
		snprintf(marks, sizeof(marks), "%s/cache/views/marks-%.16s", p->state, v.name + 2);
		pf_view_free(&v);
		if (access(marks, F_OK) == 0)
			break;
	}
	change(p);
	assert_int_equal(pf_view_get(&p->want, &v, &err), 0);
	snprintf(second, 72, "%s", v.name);
	pf_view_free(&v);
}

static void nothing(struct place *p)
{
	(void)p;
}

static void new_program(struct place *p)
{
	char usr[96];

	snprintf(usr, sizeof(usr), "%s/usr", p->top);
	put(usr, "bin/three", program, sizeof(program), 0755);
}

static void new_directory(struct place *p)
{
	char usr[96];

	snprintf(usr, sizeof(usr), "%s/usr", p->top);
	put(usr, "new/deep/three", program, sizeof(program), 0755);
}

static void keeps_a_view_while_nothing_changes(void **state)
{
	char first[72], second[72];

	views(*state, first, second, nothing);
	assert_string_equal(first, second);
}

static void makes_another_for_a_new_program(void **state)
{
	char first[72], second[72];

	views(*state, first, second, new_program);
	assert_string_not_equal(first, second);
}

static void makes_another_for_a_new_directory(void **state)
{
	char first[72], second[72];

	views(*state, first, second, new_directory);
	assert_string_not_equal(first, second);
}

static void removes_only_what_nobody_holds(void **state)
{
	unsigned removed;
	struct place *p = *state;
	struct pf_view v;
	struct pf_error err;
	char made[160];

	pf_list_add(&p->allow, "one");
	assert_int_equal(pf_view_get(&p->want, &v, &err), 0);
	snprintf(made, sizeof(made), "%s/cache/views/.new-1", p->state); /* of one that was killed */
	assert_int_equal(mkdir(made, 0700), 0);
	assert_int_equal(pf_view_clean(p->state, &removed), 0);
	assert_int_equal(access(v.dir, F_OK), 0);
	assert_int_equal(access(made, F_OK), -1);
	{
		char dir[700];

		snprintf(dir, sizeof(dir), "%s", v.dir);
		pf_view_free(&v);
		assert_int_equal(pf_view_clean(p->state, &removed), 0);
		assert_int_equal(removed, 1);
		assert_int_equal(access(dir, F_OK), -1);
	}
}

static void examples_of_helpers_hold(void **state)
{
	struct pf_error err;

	(void)state;
	assert_int_equal(pf__helpers_check(&err), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(names_in_trees),
		T(no_name_leads_out),
		T(closes_links_and_interpreters),
		T(refuses_many_in_one),
		T(names_what_is_not_there),
		T(covers_what_is_not_listed),
		T(keeps_a_view_while_nothing_changes),
		T(makes_another_for_a_new_program),
		T(makes_another_for_a_new_directory),
		T(removes_only_what_nobody_holds),
		cmocka_unit_test(examples_of_helpers_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
