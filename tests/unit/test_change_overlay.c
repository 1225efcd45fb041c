/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Change sets of real overlays: random commands in the merged directory, then collect and apply. What
 * the workspace has in the end must be what the sandbox saw. Once as root (trusted.*, redirect_dir=on) and
 * once in a user namespace (userxattr), each in a mount namespace of its own.
 */
#include "test_workspace.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "workspace/mask.h"

#define ROUNDS 60
#define OPS    60

static bool user_namespace; /* this process is in one */
static bool mounts_work;

static void path_of(uint64_t *seed, char out[64])
{
	static const char *const parts[] = {"a", "b", "c", "dd", "e e"};
	unsigned depth = 1 + (unsigned)(rnd(seed) % 3);

	out[0] = '\0';
	for (unsigned i = 0; i < depth; i++) {
		if (i)
			strcat(out, "/");
		strcat(out, parts[rnd(seed) % PF_ARRAY_SIZE(parts)]);
	}
}

static void write_some(uint64_t *seed, int at, const char *path, int flags)
{
	int fd = openat(at, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0644);
	char text[64];

	if (fd < 0)
		return;
	snprintf(text, sizeof(text), "%u\nline\n", (unsigned)(rnd(seed) % 50));
	if (write(fd, text, strlen(text)) < 0)
		errno = 0;
	close(fd);
}

/* One thing that a command may do; most fail, and that is fine. */
static void random_op(uint64_t *seed, int at)
{
	char x[64], y[64];
	struct stat st;

	path_of(seed, x);
	path_of(seed, y);
	switch (rnd(seed) % 14) {
	case 0:
	case 1:
		write_some(seed, at, x, O_CREAT | O_EXCL);
		break;
	case 2:
		write_some(seed, at, x, O_TRUNC);
		break;
	case 3:
		write_some(seed, at, x, O_APPEND);
		break;
	case 4:
	case 5:
	case 6:
		mkdirat(at, x, 0755);
		break;
	case 7:
		unlinkat(at, x, 0);
		break;
	case 8:
		/* not pf_remove_tree() on the workspace's own names alone: that needs a directory and one
		 * name */
		if (!strchr(x, '/'))
			pf_remove_tree(at, x);
		else
			unlinkat(at, x, AT_REMOVEDIR);
		break;
	case 9:
	case 10:
		renameat(at, x, at, y);
		break;
	case 11:
		if (symlinkat(y, at, x) < 0)
			errno = 0;
		break;
	case 12:
		if (fstatat(at, x, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISLNK(st.st_mode))
			fchmodat(at, x,
				 S_ISDIR(st.st_mode) ? (rnd(seed) % 2 ? 0755 : 0700)
				 : rnd(seed) % 2     ? 0644
						     : 0755,
				 0);
		break;
	default:
		if (linkat(at, x, at, y, 0) < 0)
			errno = 0;
	}
}

static int mount_overlay(struct place *p, bool masked)
{
	char options[512], merged[96];

	close(dir_at(p->fd, "merged"));
	close(dir_at(p->fd, "work"));
	snprintf(merged, sizeof(merged), "%s/merged", p->dir);
	snprintf(options, sizeof(options),
		 "volatile,lowerdir=%s%s%s%s/ws,upperdir=%s/upper,workdir=%s/work,%s", masked ? p->dir : "",
		 masked ? "/mask" : "", masked ? ":" : "", p->dir, p->dir, p->dir,
		 user_namespace ? "userxattr" : "redirect_dir=on,metacopy=off,index=off");
	if (mount("overlay", merged, "overlay", 0, options) < 0) {
		print_message("overlay: %s\n", strerror(errno));
		return -1;
	}
	return open(merged, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void unmount(struct place *p, int merged)
{
	char path[96];

	close(merged);
	snprintf(path, sizeof(path), "%s/merged", p->dir);
	assert_int_equal(umount2(path, MNT_DETACH), 0);
}

static void place_for_overlay(struct place *p)
{
	place_make(p);
	p->prefix = user_namespace ? "user.overlay." : "trusted.overlay.";
}

static void one_round(uint64_t seed)
{
	struct place p;
	struct pf_changeset c;
	struct pf_apply_report report;
	struct pf_apply how = {0};
	struct pf_error err = {0};
	struct pf_buf want = {0}, have = {0};
	uint64_t s = seed;
	int merged;

	place_for_overlay(&p);
	for (int i = 0; i < OPS; i++)
		random_op(&s, p.ws);
	take_reference(&p);
	merged = mount_overlay(&p, false);
	assert_true(merged >= 0);
	for (int i = 0; i < OPS; i++)
		random_op(&s, merged);
	snapshot(merged, "", &want);
	unmount(&p, merged);
	collect(&p, &c);
	if (c.truncated)
		fail_msg("%s (PF_SEED=%llu)", c.note, (unsigned long long)seed);
	if (c.count && pf_change_apply(p.changes, &c, &how, &report, &err) < 0)
		fail_msg("%s: %s (PF_SEED=%llu)", err.msg,
			 report.conflicts.count ? report.conflicts.items[0] : "", (unsigned long long)seed);
	if (c.count)
		pf_apply_report_free(&report);
	snapshot(p.ws, "", &have);
	if (want.len != have.len || (want.len && memcmp(want.data, have.data, want.len) != 0)) {
		print_message("want:\n%shave:\n%s", want.data, have.data);
		fail_msg("other trees (PF_SEED=%llu)", (unsigned long long)seed);
	}
	pf_buf_free(&want);
	pf_buf_free(&have);
	pf_change_free(&c);
	place_free(&p);
}

static void test_random_commands(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	if (!mounts_work) {
		print_message("skipped: no overlay can be mounted here\n");
		skip();
	}
	for (int i = 0; i < ROUNDS; i++) {
		one_round(seed);
		rnd(&seed);
	}
}

/* Every file called "s" is the user's secret. */
static unsigned secrets(int root, const char *dir, bool plant)
{
	struct pf_list names = {0};
	PF_AUTO_CLOSE int fd =
		openat(root, *dir ? dir : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	unsigned n = 0;

	if (fd < 0)
		return 0;
	assert_int_equal(pf__ws_names(fd, &names, SIZE_MAX), 0);
	if (plant && *dir)
		put(fd, "s", "THE-SECRET\n");
	for (size_t i = 0; i < names.count; i++) {
		PF_AUTO_FREE char *path = pf__ws_join(dir, names.items[i]);
		struct pf_buf b = {0};

		if (strcmp(names.items[i], "s") == 0 && pf_read_file(root, path, &b, 1000) == 0)
			n += strcmp(b.data, "THE-SECRET\n") == 0;
		pf_buf_free(&b);
		n += secrets(root, path, plant);
	}
	pf_list_free(&names);
	return n;
}

static void assert_no_secret(struct place *p, const struct pf_changeset *c)
{
	for (size_t i = 0; i < c->count; i++) {
		char blob[96];
		struct pf_buf b = {0};

		if (!c->items[i].blob)
			continue;
		snprintf(blob, sizeof(blob), "%s/blobs/%llu", c->id, (unsigned long long)c->items[i].blob);
		assert_int_equal(pf_read_file(p->changes, blob, &b, 1 << 20), 0);
		assert_null(b.data ? strstr(b.data, "THE-SECRET") : NULL);
		pf_buf_free(&b);
	}
}

static void one_masked_round(uint64_t seed)
{
	struct pf_list patterns = {(char *[]){(char *)"**/s"}, 1}, unprotected = {0};
	struct place p;
	struct pf_changeset c;
	struct pf_error err = {0};
	uint64_t s = seed;
	unsigned before;
	int merged, mask;

	place_for_overlay(&p);
	for (int i = 0; i < OPS; i++)
		random_op(&s, p.ws);
	secrets(p.ws, "", true);
	before = secrets(p.ws, "", false);
	check(&err, pf_mask_resolve(p.ws, &patterns, &p.masked, &unprotected, &err));
	assert_int_equal(p.masked.count, before);
	mask = dir_at(p.fd, "mask");
	check(&err, pf_mask_build(mask, p.ws, &p.masked, geteuid(), geteuid(), getegid(), &err));
	close(mask);
	take_reference(&p);
	merged = mount_overlay(&p, true);
	assert_true(merged >= 0);
	assert_int_equal(secrets(merged, "", false), 0);
	for (int i = 0; i < OPS; i++)
		random_op(&s, merged);
	assert_int_equal(secrets(merged, "", false), 0);
	unmount(&p, merged);
	collect(&p, &c);
	assert_no_secret(&p, &c);
	for (int force = 0; force < 2 && c.count; force++) {
		struct pf_apply how = {.force = force};
		struct pf_apply_report report;

		pf_change_apply(p.changes, &c, &how, &report, &err);
		for (size_t i = 0; i < report.conflicts.count; i++) {
			if (!strstr(report.conflicts.items[i], "/s: the removed directory") && !force)
				fail_msg("%s (PF_SEED=%llu)", report.conflicts.items[i],
					 (unsigned long long)seed);
		}
		pf_apply_report_free(&report);
		if (secrets(p.ws, "", false) != before)
			fail_msg("a secret is gone (PF_SEED=%llu)", (unsigned long long)seed);
	}
	pf_list_free(&unprotected);
	pf_change_free(&c);
	place_free(&p);
}

static void test_random_masked(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	if (!mounts_work)
		skip();
	for (int i = 0; i < ROUNDS; i++) {
		one_masked_round(seed);
		rnd(&seed);
	}
}

/* As root a directory of the workspace can be renamed, twice, and what it holds with it; a user gets EXDEV.
 */
static void test_rename_directory(void **state)
{
	struct place p;
	struct pf_changeset c;
	int merged;

	(void)state;
	if (!mounts_work)
		skip();
	place_for_overlay(&p);
	put(p.ws, "a/b/file", "1");
	put(p.ws, "a/c", "2");
	take_reference(&p);
	merged = mount_overlay(&p, false);
	assert_true(merged >= 0);
	if (renameat(merged, "a", merged, "x") < 0) {
		assert_true(user_namespace && errno == EXDEV);
	} else {
		assert_int_equal(renameat(merged, "x/b", merged, "x/y"), 0);
		put(merged, "x/y/new", "3");
		assert_int_equal(renameat(merged, "x/y", merged, "z"), 0);
		put(merged, "a/b/again", "4");
	}
	unmount(&p, merged);
	collect(&p, &c);
	if (!user_namespace)
		assert_list(&c, "A a/b/again\nD a/b/file\nD a/c\nA x/\nA x/c\nA z/\nA z/file\nA z/new\n");
	pf_change_free(&c);
	place_free(&p);
}

/* A directory of the mask layer lies above the workspace's: what it looks like must not change by that. */
static void test_mask_looks(void **state)
{
	static const char *const dirs[] = {"", "d", "d/e"};
	struct pf_list patterns = {(char *[]){(char *)"d/e/secret", (char *)"d/later", (char *)"**/.env"}, 3},
		       unprotected = {0};
	struct pf_error err = {0};
	struct place p;
	int merged, mask;

	(void)state;
	if (!mounts_work)
		skip();
	place_for_overlay(&p);
	put(p.ws, "d/e/secret", "x");
	put(p.ws, "d/e/open", "x");
	put(p.ws, "d/.env/in", "x");
	assert_int_equal(fchmodat(p.ws, "d/e", 0550, 0), 0);
	assert_int_equal(fchmodat(p.ws, "d", 01750, 0), 0);
	assert_int_equal(utimensat(p.ws, "d", (struct timespec[]){{100, 1}, {200, 2}}, 0), 0);
	check(&err, pf_mask_resolve(p.ws, &patterns, &p.masked, &unprotected, &err));
	assert_int_equal(unprotected.count, 0);
	mask = dir_at(p.fd, "mask");
	check(&err, pf_mask_build(mask, p.ws, &p.masked, geteuid(), geteuid(), getegid(), &err));
	close(mask);
	merged = mount_overlay(&p, true);
	assert_true(merged >= 0);
	for (size_t i = 0; i < PF_ARRAY_SIZE(dirs); i++) {
		struct stat a, b;

		assert_int_equal(fstatat(p.ws, *dirs[i] ? dirs[i] : ".", &a, 0), 0);
		assert_int_equal(fstatat(merged, *dirs[i] ? dirs[i] : ".", &b, 0), 0);
		if (*dirs[i]) /* the root is the upper's */
			assert_int_equal(a.st_mode, b.st_mode);
		if (*dirs[i])
			assert_int_equal(pf__ws_mtime_ns(&a), pf__ws_mtime_ns(&b));
	}
	assert_false(exists(merged, "d/e/secret"));
	assert_false(exists(merged, "d/.env"));
	assert_true(exists(merged, "d/e/open"));
	put(p.ws, "d/later", "made on the host while the sandbox runs");
	assert_false(exists(merged, "d/later"));
	unmount(&p, merged);
	pf_list_free(&unprotected);
	place_free(&p);
}

static void probe(void)
{
	struct place p;
	int merged;

	place_for_overlay(&p);
	merged = mount_overlay(&p, false);
	mounts_work = merged >= 0;
	if (mounts_work)
		unmount(&p, merged);
	place_free(&p);
}

static int run_all(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_commands),
		cmocka_unit_test(test_random_masked),
		cmocka_unit_test(test_rename_directory),
		cmocka_unit_test(test_mask_looks),
	};

	probe();
	return cmocka_run_group_tests_name(user_namespace ? "user namespace" : "root", tests, NULL, NULL);
}

static int write_map(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC), r;

	r = fd < 0 ? -1 : (int)write(fd, text, strlen(text));
	close(fd);
	return r;
}

/* An ordinary user in a namespace of its own, where it is 0. */
static int run_as_user(void)
{
	char map[32];
	uid_t uid = geteuid() ? geteuid() : 65534;
	gid_t gid = geteuid() ? getegid() : 65534;

	if (geteuid() == 0 && (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0))
		return 1;
	prctl(PR_SET_DUMPABLE, 1); /* the change of ids took it, and /proc/self with it */
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) {
		print_message("skipped: no user namespace: %s\n", strerror(errno));
		return 0;
	}
	write_map("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", (unsigned)gid);
	write_map("/proc/self/gid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", (unsigned)uid);
	write_map("/proc/self/uid_map", map);
	user_namespace = true;
	return run_all();
}

int main(void)
{
	int status = 0, failed = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
				      mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0
			      ? run_all()
			      : (print_message("skipped: not root\n"), fflush(NULL), 0));
	waitpid(pid, &status, 0);
	failed |= status;
	pid = fork();
	if (pid == 0)
		_exit((failed = run_as_user(), fflush(NULL), failed));
	waitpid(pid, &status, 0);
	failed |= status;
	return failed != 0;
}
