/* SPDX-License-Identifier: Apache-2.0 */
/* The host image: what is shown, what never is, and that the cache is made once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "image/host.h"
#include "image/host_build.h"

static char dir[64]; /* of one test: DIR/etc is a host's, DIR/state the state */

static int remove_dir(void)
{
	PF_AUTO_CLOSE int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return pf_remove_tree(tmp, dir + strlen("/tmp/"));
}

static int setup(void **state)
{
	char path[128];

	(void)state;
	strcpy(dir, "/tmp/pf-host-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/etc", dir);
	return pf_mkdir_p(path, 0755);
}

static int teardown(void **state)
{
	(void)state;
	return remove_dir();
}

static const char *at(const char *below)
{
	static char path[4][1024];
	static unsigned turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, below);
	return path[turn];
}

static void put(const char *path, const char *text, mode_t mode)
{
	char parent[1024];

	snprintf(parent, sizeof(parent), "%s", at(path));
	*strrchr(parent, '/') = '\0';
	assert_int_equal(pf_mkdir_p(parent, 0755), 0);
	assert_int_equal(pf_replace_file(AT_FDCWD, at(path), text, strlen(text), mode), 0);
}

static void get(struct pf_host_image *image)
{
	struct pf_error err = {0};

	if (pf__host_image_get(at("etc"), at("state"), 60, image, &err) < 0)
		fail_msg("%s", err.msg);
}

static bool shows(const struct pf_host_image *image, const char *path)
{
	char full[2048];
	struct stat st;

	snprintf(full, sizeof(full), "%s/%s", image->etc, path);
	return lstat(full, &st) == 0;
}

static ino_t inode(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static char *slurp(const char *base, const char *path)
{
	struct pf_buf b = {0};
	char full[2048];

	snprintf(full, sizeof(full), "%s/%s", base, path);
	assert_int_equal(pf_read_file(AT_FDCWD, full, &b, 1u << 20), 0);
	return pf_buf_steal(&b);
}

static void allow_list_is_copied(void **state)
{
	struct pf_host_image image;
	PF_AUTO_FREE char *services = NULL;
	char link[64] = "";
	char path[2048];

	(void)state;
	put("etc/services", "http 80/tcp\n", 0644);
	put("etc/ssl/certs/a.pem", "-----BEGIN CERTIFICATE-----\n", 0644);
	put("etc/python3.11/sitecustomize.py", "pass\n", 0644);
	put("etc/perl/deep/er/x.pl", "1;\n", 0755);
	put("etc/alternatives/x", "", 0644);
	assert_int_equal(symlink("/usr/bin/mawk", at("etc/alternatives/awk")), 0);
	get(&image);
	services = slurp(image.etc, "services");
	assert_string_equal(services, "http 80/tcp\n");
	assert_true(shows(&image, "ssl/certs/a.pem"));
	assert_true(shows(&image, "python3.11/sitecustomize.py"));
	assert_true(shows(&image, "perl/deep/er/x.pl"));
	snprintf(path, sizeof(path), "%s/alternatives/awk", image.etc);
	assert_int_equal(readlink(path, link, sizeof(link) - 1), 13);
	assert_string_equal(link, "/usr/bin/mawk");
}

static void secrets_are_not_copied(void **state)
{
	static const char *const NEVER[] = {
		"shadow",
		"gshadow",
		"sudoers",
		"ssh/ssh_host_rsa_key",
		"ssl/private/a.pem",
		"npmrc",
		"pip.conf",
		"gitconfig",
		"maven/settings.xml",
		"perl/my_password",
		"ssl/certs/server.key",
		"php/8.2/db-Credentials.ini",
		"java-17/keystore.p12",
		"profile",
		"unheard-of-tool/config",
		"krb5.keytab",
	};
	struct pf_host_image image;

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(NEVER); i++) {
		char path[128];

		snprintf(path, sizeof(path), "etc/%s", NEVER[i]);
		put(path, "x\n", 0644); /* readable by all: it is the list that leaves them out */
	}
	/* on the list by name, and yet: closed to others, closed directory, a key inside */
	put("etc/perl/closed.pl", "x\n", 0640);
	put("etc/R/closed/open.R", "x\n", 0644);
	assert_int_equal(chmod(at("etc/R/closed"), 0750), 0);
	put("etc/ssl/certs/both.pem", "-----BEGIN CERTIFICATE-----\n-----BEGIN RSA PRIVATE KEY-----\n", 0644);
	get(&image);
	for (size_t i = 0; i < PF_ARRAY_SIZE(NEVER); i++)
		if (shows(&image, NEVER[i]))
			fail_msg("/etc/%s is shown", NEVER[i]);
	assert_false(shows(&image, "perl/closed.pl"));
	assert_false(shows(&image, "R/closed"));
	assert_false(shows(&image, "ssl/certs/both.pem"));
	assert_true(shows(&image, "ssl/certs"));
}

/* A link in /etc is shown as a link; nothing behind it is ever read. */
static void links_are_not_followed(void **state)
{
	struct pf_host_image image;

	(void)state;
	put("secret/token", "top secret\n", 0644);
	assert_int_equal(symlink(at("secret"), at("etc/perl")), 0);
	assert_int_equal(symlink(at("secret"), at("etc/ssl")), 0);
	put("secret/openssl.cnf", "top secret\n", 0644);
	assert_int_equal(mkfifo(at("etc/magic"), 0644), 0); /* must not hang either */
	get(&image);
	assert_true(shows(&image, "perl"));
	assert_false(shows(&image, "ssl"));
	assert_false(shows(&image, "magic"));
}

static void synthetic_files(void **state)
{
	struct pf_host_image image;
	PF_AUTO_FREE char *passwd = NULL, *hosts = NULL, *id = NULL;
	struct stat st;
	char path[2048];

	(void)state;
	put("etc/passwd", "alice:x:1001:1001:Alice:/home/alice:/bin/sh\n", 0644);
	put("etc/hosts", "10.1.2.3 database.internal\n", 0644);
	put("etc/machine-id", "0123456789abcdef0123456789abcdef\n", 0644);
	get(&image);
	passwd = slurp(image.etc, "passwd");
	assert_null(strstr(passwd, "alice"));
	assert_non_null(strstr(passwd, "user:x:1000:1000:user:/home/user:/bin/"));
	assert_non_null(strstr(passwd, "root:x:0:0:root:/root:/bin/"));
	assert_non_null(strstr(passwd, "pinfold-init:x:65533:"));
	hosts = slurp(image.etc, "hosts");
	assert_null(strstr(hosts, "internal"));
	assert_non_null(strstr(hosts, "127.0.0.1\tlocalhost\n"));
	id = slurp(image.etc, "machine-id");
	assert_int_equal(strlen(id), 33);
	assert_null(strstr(id, "0123456789abcdef"));
	snprintf(path, sizeof(path), "%s/hostname", image.etc);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(stat(image.etc, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(st.st_uid, geteuid());
}

static void modes_do_not_depend_on_umask(void **state)
{
	struct pf_host_image image;
	mode_t old = umask(0077);
	struct stat st;
	char path[2048];

	(void)state;
	put("etc/perl/a/b.pl", "1;\n", 0755);
	assert_int_equal(chmod(at("etc/perl"), 0755), 0);
	assert_int_equal(chmod(at("etc/perl/a"), 0755), 0);
	get(&image);
	umask(old);
	snprintf(path, sizeof(path), "%s/perl/a", image.etc);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	snprintf(path, sizeof(path), "%s/perl/a/b.pl", image.etc);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	snprintf(path, sizeof(path), "%s/devices/system/cpu", image.sys);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
}

static void second_call_writes_nothing(void **state)
{
	struct pf_host_image one, two;
	char path[2048];

	(void)state;
	put("etc/services", "http 80/tcp\n", 0644);
	get(&one);
	get(&two);
	assert_string_equal(one.etc, two.etc);
	assert_int_equal(inode(one.etc), inode(two.etc));
	assert_int_equal(inode(one.sys), inode(two.sys));
	/* and what is there is used as it is: a mark in it survives */
	assert_int_equal(pf_replace_file(AT_FDCWD, at("mark"), "", 0, 0644), 0);
	snprintf(path, sizeof(path), "%s/mark", one.etc);
	assert_int_equal(rename(at("mark"), path), 0);
	get(&two);
	assert_true(shows(&two, "mark"));
}

static void a_changed_source_makes_another(void **state)
{
	struct pf_host_image one, two;
	PF_AUTO_FREE char *text = NULL;

	(void)state;
	put("etc/services", "http 80/tcp\n", 0644);
	put("etc/perl/deep/x.pl", "1;\n", 0644);
	get(&one);
	put("etc/perl/deep/x.pl", "2;\n", 0644);
	get(&two);
	assert_string_not_equal(one.etc, two.etc);
	text = slurp(two.etc, "perl/deep/x.pl");
	assert_string_equal(text, "2;\n");
	/* a link more in a directory of links, which the key does not enter */
	put("etc/alternatives/README", "", 0644);
	get(&one);
	assert_int_equal(symlink("/usr/bin/vim", at("etc/alternatives/vi")), 0);
	get(&two);
	assert_string_not_equal(one.etc, two.etc);
	/* what is not shown does not count */
	get(&one);
	put("etc/shadow", "root:*\n", 0600);
	get(&two);
	assert_string_equal(one.etc, two.etc);
}

/* One whose lock is held stays when another is made; a free one goes. */
static void old_caches_go_unless_held(void **state)
{
	struct pf_host_image first, second, third;
	struct pf_error err = {0};
	PF_AUTO_CLOSE int held = -1;

	(void)state;
	put("etc/services", "1\n", 0644);
	assert_int_equal(pf__host_image_get(at("etc"), at("state"), 0, &first, &err), 0);
	held = open(first.etc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(held, LOCK_SH), 0);
	put("etc/services", "22\n", 0644);
	assert_int_equal(pf__host_image_get(at("etc"), at("state"), 0, &second, &err), 0);
	assert_true(shows(&first, "services"));
	put("etc/services", "333\n", 0644);
	assert_int_equal(pf__host_image_get(at("etc"), at("state"), 60, &third, &err), 0);
	assert_true(shows(&second, "services")); /* too young */
	put("etc/services", "4444\n", 0644);
	assert_int_equal(pf__host_image_get(at("etc"), at("state"), 0, &third, &err), 0);
	assert_true(shows(&first, "services"));
	assert_false(shows(&second, "services"));
	close(pf_take_fd(&held));
	put("etc/services", "55555\n", 0644);
	assert_int_equal(pf__host_image_get(at("etc"), at("state"), 0, &third, &err), 0);
	assert_false(shows(&first, "services"));
	assert_true(shows(&third, "services"));
}

static void many_at_once_end_with_one(void **state)
{
	struct pf_host_image image;
	pid_t child[8];
	int gate[2], left = 0;
	DIR *d;

	(void)state;
	put("etc/services", "http 80/tcp\n", 0644);
	for (int i = 0; i < 200; i++) {
		char path[64];

		snprintf(path, sizeof(path), "etc/perl/%d.pl", i);
		put(path, "1;\n", 0644);
	}
	assert_int_equal(pipe(gate), 0);
	for (size_t i = 0; i < PF_ARRAY_SIZE(child); i++) {
		child[i] = fork();
		if (child[i] == 0) {
			char c;

			close(gate[1]);
			(void)!read(gate[0], &c, 1); /* all start when the gate closes */
			_exit(pf__host_image_get(at("etc"), at("state"), 60, &image, NULL) == 0 &&
					      shows(&image, "perl/199.pl") && shows(&image, "passwd")
				      ? 0
				      : 1);
		}
	}
	close(gate[0]);
	close(gate[1]);
	for (size_t i = 0; i < PF_ARRAY_SIZE(child); i++) {
		int status;

		assert_int_equal(waitpid(child[i], &status, 0), child[i]);
		assert_int_equal(status, 0);
	}
	d = opendir(at("state/cache"));
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		left += e->d_name[0] != '.' ? strcmp(e->d_name, "host.index") != 0 : strlen(e->d_name) > 2;
	closedir(d);
	assert_int_equal(left, 1);
}

static void a_foreign_cache_is_refused(void **state)
{
	struct pf_host_image image;
	struct pf_error err = {0};

	(void)state;
	assert_int_equal(pf_mkdir_p(at("state/cache"), 0755), 0);
	assert_int_equal(chmod(at("state/cache"), 0777), 0);
	assert_int_equal(pf__host_image_get(at("etc"), at("state"), 60, &image, &err), -EPERM);
	assert_non_null(strstr(err.msg, "does not belong to"));
	assert_int_equal(rmdir(at("state/cache")), 0);
	assert_int_equal(symlink("/tmp", at("state/cache")), 0);
	assert_true(pf__host_image_get(at("etc"), at("state"), 60, &image, &err) < 0);
}

static void relative_state_is_refused(void **state)
{
	struct pf_host_image image;
	struct pf_error err = {0};

	(void)state;
	assert_int_equal(pf__host_image_get(at("etc"), "state", 60, &image, &err), -EINVAL);
}

/* --- this host's own ---------------------------------------------------------- */

static void check_name(const char *path)
{
	static const char *const WORDS[] = {"shadow",	  "passwd-", "private", "secret",
					    "credential", "sudoers", ".key"};
	const char *name = strrchr(path, '/') + 1;

	for (size_t i = 0; i < PF_ARRAY_SIZE(WORDS); i++)
		if (strstr(name, WORDS[i]))
			fail_msg("%s is shown", path);
}

static int check_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	PF_AUTO_BUF struct pf_buf b = {0};

	(void)ftw;
	check_name(path);
	if (type != FTW_F || !S_ISREG(st->st_mode))
		return 0;
	assert_int_equal(pf_read_file(AT_FDCWD, path, &b, 64u << 20), 0);
	if (b.len && memmem(b.data, b.len, "PRIVATE KEY-----", 16))
		fail_msg("%s holds a private key", path);
	return 0;
}

static void this_host(void **state)
{
	struct pf_host_image image = {.count = 0};
	struct pf_error err = {0};
	PF_AUTO_FREE char *online = NULL;
	bool usr = false;

	(void)state;
	if (pf_host_image_get(at("state"), &image, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(nftw(image.etc, check_entry, 32, FTW_PHYS), 0);
	for (unsigned i = 0; i < image.count; i++) {
		const struct pf_host_entry *e = &image.entries[i];
		struct stat st;

		assert_int_equal(lstat(e->path, &st), 0);
		assert_int_equal(S_ISLNK(st.st_mode), e->kind == PF_HOST_LINK);
		usr |= strcmp(e->path, "/usr") == 0 && e->kind == PF_HOST_BIND;
	}
	assert_true(usr);
	online = slurp(image.sys, "devices/system/cpu/online");
	assert_true(online[0] >= '0' && online[0] <= '9');
}

static void sys_tree(void **state)
{
	struct pf__sys_facts f = {.online = "0-1,33", .possible = "0-63", .present = "0-33"};
	PF_AUTO_FREE char *mask = NULL, *own = NULL, *core = NULL, *list = NULL;
	PF_AUTO_CLOSE int fd = -1;
	struct pf_error err = {0};

	(void)state;
	assert_int_equal(pf_mkdir_p(at("sys"), 0755), 0);
	fd = open(at("sys"), O_RDONLY | O_DIRECTORY);
	assert_int_equal(pf__sys_build(fd, &f, &err), 0);
	mask = slurp(at("sys"), "devices/system/node/node0/cpumap");
	assert_string_equal(mask, "2,00000003\n");
	own = slurp(at("sys"), "devices/system/cpu/cpu33/topology/thread_siblings");
	assert_string_equal(own, "2,00000000\n");
	core = slurp(at("sys"), "devices/system/cpu/cpu1/topology/core_id");
	assert_string_equal(core, "1\n");
	list = slurp(at("sys"), "devices/system/cpu/possible");
	assert_string_equal(list, "0-63\n");
	assert_int_not_equal(access(at("sys/devices/system/cpu/cpu2"), F_OK), 0);
	assert_int_not_equal(access(at("sys/class/dmi"), F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(allow_list_is_copied, setup, teardown),
		cmocka_unit_test_setup_teardown(secrets_are_not_copied, setup, teardown),
		cmocka_unit_test_setup_teardown(links_are_not_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(synthetic_files, setup, teardown),
		cmocka_unit_test_setup_teardown(modes_do_not_depend_on_umask, setup, teardown),
		cmocka_unit_test_setup_teardown(second_call_writes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_changed_source_makes_another, setup, teardown),
		cmocka_unit_test_setup_teardown(old_caches_go_unless_held, setup, teardown),
		cmocka_unit_test_setup_teardown(many_at_once_end_with_one, setup, teardown),
		cmocka_unit_test_setup_teardown(a_foreign_cache_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(relative_state_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(this_host, setup, teardown),
		cmocka_unit_test_setup_teardown(sys_tree, setup, teardown),
	};

	return cmocka_run_group_tests_name("host_image", tests, NULL, NULL);
}
