/* SPDX-License-Identifier: Apache-2.0 */
/* linux/cgroup_host: where a host has its groups, from texts of /proc as several hosts write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "linux/cgroup_internal.h"

/* A host as these two texts describe it. The parsers write into the text, so the texts are copies. */
struct sample {
	struct pf__cg_host h;
	char *self, *mounts;
};

static struct sample *load(const char *self, const char *mounts)
{
	struct sample *s = calloc(1, sizeof(*s));

	s->self = strdup(self);
	s->mounts = strdup(mounts);
	pf__cg_parse_self(s->self, &s->h);
	pf__cg_parse_mounts(s->mounts, &s->h);
	return s;
}

static void unload(struct sample *s)
{
	free(s->self);
	free(s->mounts);
	free(s);
}

static void expect_dir(struct sample *s, unsigned bit, int code, const char *want)
{
	char dir[PATH_MAX] = "";

	assert_int_equal(pf__cg_slot_dir(pf__cg_slot(&s->h, bit), dir), code);
	if (code == 0)
		assert_string_equal(dir, want);
}

static void test_v1(void **state)
{
	struct sample *s =
		load("9:name=systemd:/\n8:pids:/\n4:memory:/process_api/ee67\n2:cpuacct:/\n1:cpu:/\n0::/\n",
		     "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
		     "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
		     "33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct\n"
		     "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
		     "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n"
		     "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n"
		     "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n");

	(void)state;
	expect_dir(s, PF__CG_MEMORY, 0, "/sys/fs/cgroup/memory/process_api/ee67");
	expect_dir(s, PF__CG_PIDS, 0, "/sys/fs/cgroup/pids");
	expect_dir(s, PF__CG_V2, 0, "/sys/fs/cgroup/unified");
	expect_dir(s, PF__CG_FREEZER, -ENOENT, NULL);
	assert_int_equal(pf__cg_slot(&s->h, PF__CG_MEMORY)->id, 4);
	assert_false(pf__cg_slot(&s->h, PF__CG_MEMORY)->ro);
	unload(s);
}

static void test_v2(void **state)
{
	struct sample *s =
		load("0::/user.slice/user-1000.slice/user@1000.service/app.slice/vte-1.scope\n",
		     "22 1 0:20 / /sys rw - sysfs sysfs rw\n"
		     "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");

	(void)state;
	expect_dir(s, PF__CG_V2, 0,
		   "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/vte-1.scope");
	for (unsigned bit = 1; bit < PF__CG_V2; bit <<= 1)
		assert_null(pf__cg_slot(&s->h, bit)->path);
	unload(s);
}

/* CentOS 7, Ubuntu 20.04: two controllers in one hierarchy, and links beside the mount. */
static void test_co_mounted(void **state)
{
	struct sample *s =
		load("7:cpu,cpuacct:/user.slice\n6:pids:/user.slice\n5:memory:/user.slice\n0::/user.slice\n",
		     "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
		     "34 31 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
	const struct pf__cg_slot *cpu = pf__cg_slot(&s->h, PF__CG_CPU);

	(void)state;
	assert_int_equal(cpu->id, 7);
	assert_int_equal(pf__cg_slot(&s->h, PF__CG_CPUACCT)->id, 7);
	expect_dir(s, PF__CG_CPU, 0, "/sys/fs/cgroup/cpu,cpuacct/user.slice");
	expect_dir(s, PF__CG_CPUACCT, 0, "/sys/fs/cgroup/cpu,cpuacct/user.slice");
	/* A v1 controller whose hierarchy is mounted nowhere is not one of v2's. */
	assert_non_null(pf__cg_slot(&s->h, PF__CG_PIDS)->path);
	expect_dir(s, PF__CG_PIDS, -ENOENT, NULL);
	unload(s);
}

/* A container: the mount shows the container's group as its root, read-only, and once more writable. */
static void test_container_root(void **state)
{
	struct sample *s = load("5:memory:/docker/abc/sub\n0::/docker/abc\n",
				"50 49 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
				"51 49 0:32 /docker/abcd /other ro - cgroup cgroup rw,memory\n"
				"52 49 0:32 /docker/abc /rw/memory rw - cgroup cgroup rw,memory\n"
				"53 49 0:38 /docker/abc /sys/fs/cgroup/unified rw - cgroup2 cgroup2 ro\n");

	(void)state;
	expect_dir(s, PF__CG_MEMORY, 0, "/rw/memory/sub");
	assert_false(pf__cg_slot(&s->h, PF__CG_MEMORY)->ro);
	expect_dir(s, PF__CG_V2, 0, "/sys/fs/cgroup/unified");
	assert_true(pf__cg_slot(&s->h, PF__CG_V2)->ro);
	unload(s);
}

/* Mounted over: the later one is what a path leads to. */
static void test_hidden_mount(void **state)
{
	static const char first[] = "50 49 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
	char mounts[256];
	struct sample *s;

	(void)state;
	snprintf(mounts, sizeof(mounts), "%s51 50 0:38 /a /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n", first);
	s = load("0::/a/b\n", mounts);
	expect_dir(s, PF__CG_V2, 0, "/sys/fs/cgroup/b");
	assert_true(pf__cg_slot(&s->h, PF__CG_V2)->ro);
	unload(s);
	snprintf(mounts, sizeof(mounts), "%s51 50 0:38 /other /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
		 first);
	s = load("0::/a/b\n", mounts);
	expect_dir(s, PF__CG_V2, -ENOENT, NULL);
	unload(s);
}

/* Other groups' mounts serve nothing; a prefix that ends inside a name is another group. */
static void test_not_shown(void **state)
{
	struct sample *s = load("5:memory:/docker/abcd\n0::/x\n",
				"50 49 0:32 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
				"51 49 0:38 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");

	(void)state;
	expect_dir(s, PF__CG_MEMORY, -ENOENT, NULL);
	expect_dir(s, PF__CG_V2, -ENOENT, NULL);
	unload(s);
}

/* Outside of the cgroup namespace's root the kernel writes "/..": there is no such path. */
static void test_outside_namespace(void **state)
{
	struct sample *s = load("0::/../sibling\n", "51 49 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
	struct sample *t =
		load("0::/..hidden/a..b\n", "51 49 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");

	(void)state;
	expect_dir(s, PF__CG_V2, -EXDEV, NULL);
	expect_dir(t, PF__CG_V2, 0, "/sys/fs/cgroup/..hidden/a..b");
	unload(s);
	unload(t);
}

static void test_escapes(void **state)
{
	struct sample *s =
		load("0::/a b\\c:d\n3:memory:/:\n",
		     "51 49 0:38 /a\\040b\\134c:d /mnt/my\\040cgroup\\011x rw a:1 b:2 - cgroup2 none rw\n"
		     "52 49 0:39 / /bad\\04 rw - cgroup none rw,memory\n"
		     "52 49 0:39 / /bad\\000x rw - cgroup none rw,memory\n"
		     "52 49 0:39 / /bad\\999x rw - cgroup none rw,memory\n"
		     "52 49 0:39 / /bad\\ rw - cgroup none rw,memory\n"
		     "52 49 0:39 / /good\\134 rw - cgroup none rw,memory\n");

	(void)state;
	expect_dir(s, PF__CG_V2, 0, "/mnt/my cgroup\tx");
	expect_dir(s, PF__CG_MEMORY, 0, "/good\\/:");
	unload(s);
}

static void test_nonsense(void **state)
{
	static const char *const selfs[] = {"",
					    "\n\n",
					    ":",
					    "::",
					    "0:",
					    "0::",
					    "0::relative",
					    "x::/",
					    "-1:memory:/",
					    "4294967296:memory:/",
					    "5:memory",
					    "5:memoryx,mem,,:/",
					    "0:memory:/"};
	static const char *const mounts[] = {"",
					     "\n",
					     "a b c d e f",
					     "1 2 0:1 / / rw",
					     "1 2 0:1 / / rw -",
					     "1 2 0:1 / / rw - cgroup2",
					     "1 2 0:1 / / rw - cgroup2 x",
					     "1 2 0:1 x /m rw - cgroup2 x rw",
					     "1 2 0:1 / m rw - cgroup2 x rw",
					     "1 2 0:1 / /m rw - cgroup3 x rw",
					     "1 2 0:1 / /m rw a b c d"};

	(void)state;
	for (unsigned i = 0; i < PF_ARRAY_SIZE(selfs); i++) {
		struct sample *s =
			load(selfs[i], "1 2 0:1 / /m rw - cgroup2 x rw\n1 2 0:1 / /n rw - cgroup x memory\n");

		for (unsigned bit = 1; bit <= PF__CG_V2; bit <<= 1)
			expect_dir(s, bit, -ENOENT, NULL);
		unload(s);
	}
	for (unsigned i = 0; i < PF_ARRAY_SIZE(mounts); i++) {
		struct sample *s = load("0::/\n5:memory:/\n", mounts[i]);

		expect_dir(s, PF__CG_V2, -ENOENT, NULL);
		expect_dir(s, PF__CG_MEMORY, -ENOENT, NULL);
		unload(s);
	}
}

static void test_long_paths(void **state)
{
	char self[5000], mounts[5000];
	struct sample *s;

	(void)state;
	snprintf(self, sizeof(self), "0::/%04000d\n", 1);
	snprintf(mounts, sizeof(mounts), "1 2 0:1 / /%0200d rw - cgroup2 x rw\n", 1);
	s = load(self, mounts);
	expect_dir(s, PF__CG_V2, -ENAMETOOLONG, NULL);
	unload(s);
}

static void test_words(void **state)
{
	char names[48];

	(void)state;
	assert_int_equal(pf__cg_parse_controllers("cpuset cpu io memory hugetlb pids rdma\n"),
			 PF_CG_CPU | PF_CG_MEMORY | PF_CG_PIDS);
	assert_int_equal(pf__cg_parse_controllers("\n"), 0);
	assert_int_equal(pf__cg_parse_controllers("cpus memor"), 0);
	assert_string_equal(pf__cg_limit_names(7, names), "memory, processes, cpus");
	assert_string_equal(pf__cg_limit_names(PF_CG_MEMORY | PF_CG_CPU, names), "memory, cpus");
	assert_string_equal(pf__cg_limit_names(PF_CG_PIDS | PF_CG_CPU, names), "processes, cpus");
	assert_string_equal(pf__cg_limit_names(PF_CG_PIDS, names), "processes");
}

static void test_fields(void **state)
{
	(void)state;
	assert_int_equal(pf__cg_field("low 0\noom 3\noom_kill 12\n", "oom_kill"), 12);
	assert_int_equal(pf__cg_field("low 0\noom 3\noom_kill 12\n", "oom"), 3);
	assert_int_equal(pf__cg_field("oom_kill_disable 0\nunder_oom 0\noom_kill 7", "oom_kill"), 7);
	assert_int_equal(pf__cg_field("xoom 1\n", "oom"), -1);
	assert_int_equal(pf__cg_field("oom\n", "oom"), -1);
	assert_int_equal(pf__cg_field("oom -1\n", "oom"), -1);
	assert_int_equal(pf__cg_field("oom 9223372036854775808\n", "oom"), -1);
	assert_int_equal(pf__cg_field("oom 99999999999999999999999999\n", "oom"), -1);
	assert_int_equal(pf__cg_field("", "oom"), -1);
}

static void test_ids(void **state)
{
	static const char *const bad[] = {
		"",    "a/b",  "..",  "a.b",
		"a b", "host", "a\n", "0123456789012345678901234567890123456789012345678901234567890123x"};
	struct pf_cg_limits none = {0};
	struct pf_cgroup *cg = NULL;
	struct pf_error err;

	(void)state;
	for (unsigned i = 0; i < PF_ARRAY_SIZE(bad); i++) {
		assert_int_equal(pf_cgroup_create(bad[i], &none, 0, 0, &cg, &err), -EINVAL);
		assert_null(cg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v1),
		cmocka_unit_test(test_v2),
		cmocka_unit_test(test_co_mounted),
		cmocka_unit_test(test_container_root),
		cmocka_unit_test(test_hidden_mount),
		cmocka_unit_test(test_not_shown),
		cmocka_unit_test(test_outside_namespace),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_long_paths),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_ids),
	};

	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
