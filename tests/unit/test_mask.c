/* SPDX-License-Identifier: Apache-2.0 */
/* What secrets.mask patterns mean in a workspace, and the layer of whiteouts that is made of it. */
#include "test_workspace.h"

#include <sched.h>
#include <sys/mount.h>

#include "workspace/mask.h"

#define PATTERNS(...)                                                                                        \
	(&(struct pf_list){(char *[]){__VA_ARGS__}, sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)})
#define S(x) ((char *)(x))

static void resolve(struct place *p, const struct pf_list *patterns, struct pf_list *unprotected)
{
	struct pf_error err = {0};

	check(&err, pf_mask_resolve(p->ws, patterns, &p->masked, unprotected, &err));
}

static void assert_masked(const struct place *p, const char *want)
{
	PF_AUTO_BUF struct pf_buf b = {0};

	for (size_t i = 0; i < p->masked.count; i++)
		pf_buf_addf(&b, "%s\n", p->masked.items[i]);
	assert_string_equal(b.data ? b.data : "", want);
}

static void test_plain(void **state)
{
	struct place *p = *state;
	struct pf_list un = {0};

	put(p->ws, "a/secret", "x");
	put(p->ws, "file", "x");
	assert_int_equal(symlinkat("a", p->ws, "link"), 0);
	resolve(p,
		PATTERNS(S("a/secret"), S("a/absent"), S("top"), S("/a//./secret"), S("no/dir"),
			 S("link/secret"), S("file/x"), S("../out"), S(".")),
		&un);
	assert_masked(p, "a/absent\na/secret\ntop\n");
	assert_int_equal(un.count, 5);
	assert_true(list_holds(&un, "no/dir: its directory does not exist"));
	assert_true(list_holds(&un, "file/x: its directory does not exist"));
	assert_true(list_holds(&un, "link/secret: a symbolic link is on the way to it"));
	assert_true(list_holds(&un, "../out: is not a path beneath the workspace"));
	assert_true(list_holds(&un, ".: is not a path beneath the workspace"));
	pf_list_free(&un);
}

static void test_patterns(void **state)
{
	struct place *p = *state;
	struct pf_list un = {0};

	put(p->ws, ".env", "x");
	put(p->ws, "a/.env", "x");
	put(p->ws, "a/b/.env", "x");
	put(p->ws, "a/b/.env.local", "x");
	put(p->ws, "a/keys/id.pem", "x");
	put(p->ws, "c/.env/inside/.env", "x"); /* a directory: hidden with all that is in it */
	put(p->ws, ".git/objects/aa/.env", "x");
	put(p->ws, "sub/.git/objects/.env", "x");
	put(p->ws, ".git/x.pem", "x");
	put(p->ws, "objects/.env", "x");
	assert_int_equal(symlinkat("a", p->ws, "loop"), 0);
	assert_int_equal(symlinkat("/etc/shadow", p->ws, "d.pem"), 0);
	resolve(p, PATTERNS(S("**/.env"), S("**/*.pem"), S("a/b/.env.*"), S("**/b/.env"), S("nothing*")),
		&un);
	assert_masked(p, ".env\n.git/x.pem\na/.env\na/b/.env\na/b/.env.local\na/keys/id.pem\nc/"
			 ".env\nd.pem\nobjects/.env\n");
	assert_int_equal(un.count, 0);
}

/* Names that a list of lines or a terminal would break on are paths like others. */
static void test_odd_names(void **state)
{
	struct place *p = *state;
	struct pf_list un = {0};
	struct pf_error err = {0};
	int layer = dir_at(p->fd, "layer");

	put(p->ws, "new\nline/.env", "x");
	put(p->ws, "\xff/.env", "x");
	put(p->ws, "esc\033[2J/.env", "x");
	resolve(p, PATTERNS(S("**/.env")), &un);
	assert_masked(p, "esc\033[2J/.env\nnew\nline/.env\n\xff/.env\n");
	check(&err, pf_mask_build(layer, p->ws, &p->masked, geteuid(), geteuid(), getegid(), &err));
	for (size_t i = 0; i < p->masked.count; i++) {
		struct stat st;

		assert_int_equal(fstatat(layer, p->masked.items[i], &st, AT_SYMLINK_NOFOLLOW), 0);
		assert_true(S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0));
	}
	close(layer);
}

static void test_build(void **state)
{
	struct place *p = *state;
	struct pf_list *paths = PATTERNS(S("b/x/secret"), S("a"), S("a/below"), S("b/y"), S("b/x/other"));
	struct pf_error err = {0};
	struct stat ws, made;
	int layer = dir_at(p->fd, "layer");

	put(p->ws, "b/x/secret", "x");
	put(p->ws, "a/below", "x");
	assert_int_equal(fchmodat(p->ws, "b/x", 0510, 0), 0);
	assert_int_equal(fchmodat(p->ws, "b", 01770, 0), 0);
	assert_int_equal(utimensat(p->ws, "b/x", (struct timespec[]){{1, 2}, {3, 4}}, 0), 0);
	if (geteuid() == 0) {
		assert_int_equal(fchownat(p->ws, "b/x", 4242, 4343, 0), 0);
		assert_int_equal(fchmodat(p->ws, "b/x", 0510, 0), 0);
	}
	check(&err, pf_mask_build(layer, p->ws, paths, geteuid() ? geteuid() : 4242,
				  geteuid() ? geteuid() : 701000, geteuid() ? getegid() : 702000, &err));
	assert_int_equal(fstatat(p->ws, "b/x", &ws, 0), 0);
	assert_int_equal(fstatat(layer, "b/x", &made, 0), 0);
	assert_int_equal(ws.st_mode, made.st_mode);
	assert_int_equal(pf__ws_mtime_ns(&ws), pf__ws_mtime_ns(&made));
	assert_int_equal(mode_of(layer, "b"), 01770);
	assert_int_equal(mode_of(layer, "."), mode_of(p->ws, "."));
	if (geteuid() == 0) {
		assert_int_equal(made.st_uid, 701000);
		assert_int_equal(made.st_gid, 702000);
		assert_int_equal(fstatat(layer, "b", &made, 0), 0);
		assert_int_equal(made.st_uid, 0); /* not the owner's: left as it is */
	}
	assert_int_equal(fstatat(layer, "a", &made, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISCHR(made.st_mode)); /* hidden whole: "a/below" needs no more */
	close(layer);
}

static void test_build_refuses(void **state)
{
	struct place *p = *state;
	static const char *const bad[] = {"", ".", "..", "/x", "a/../b", "a//b", "a/"};
	struct pf_error err = {0};
	int layer = dir_at(p->fd, "layer");

	for (size_t i = 0; i < PF_ARRAY_SIZE(bad); i++)
		assert_int_equal(pf_mask_build(layer, p->ws, PATTERNS(S(bad[i])), 0, 0, 0, &err), -EINVAL);
	/* the directory has become a link since: nothing is hidden then, and that must not pass for done */
	assert_int_equal(symlinkat("/etc", p->ws, "d"), 0);
	assert_true(pf_mask_build(layer, p->ws, PATTERNS(S("d/shadow")), 0, 0, 0, &err) < 0);
	close(layer);
}

/* A directory that we may not read is one that the sandbox's owner could open: it is said. */
static void test_unreadable(void **state)
{
	struct place *p = *state;
	struct pf_list un = {0};

	if (geteuid() == 0) /* reads everything; the run as a user has this */
		return;
	put(p->ws, "shut/.env", "x");
	assert_int_equal(fchmodat(p->ws, "shut", 0, 0), 0);
	resolve(p, PATTERNS(S("**/.env")), &un);
	assert_true(list_holds(&un, "shut: cannot be searched for secrets"));
	assert_int_equal(fchmodat(p->ws, "shut", 0700, 0), 0);
	pf_list_free(&un);
}

/* What is mounted in the workspace is not in its overlay: nothing there is looked at, and nothing can be
 * hidden there. */
static void test_mounts(void **state)
{
	struct place *p = *state;
	char path[96];
	int status;
	pid_t pid;

	if (needs_root())
		return;
	make_dir(p->ws, "mnt", 0755);
	snprintf(path, sizeof(path), "%s/mnt", p->path);
	pid = fork();
	if (pid == 0) {
		struct pf_list un = {0};
		struct pf_error err = {0};
		int fd, ws;

		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("tmpfs", path, "tmpfs", 0, NULL) < 0)
			_exit(77);
		/* the descriptor from before is one of the old namespace, where nothing is mounted */
		ws = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		fd = openat(ws, "mnt/.env", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		close(fd);
		if (pf_mask_resolve(ws, PATTERNS(S("**/.env"), S("mnt/plain"), S("mnt")), &p->masked, &un,
				    &err) < 0)
			_exit(1);
		_exit(fd >= 0 && p->masked.count == 0 && un.count == 3 &&
				      list_holds(&un, "mnt: another mount is on it: what that covers was not "
						      "searched for secrets") &&
				      list_holds(&un, "mnt/plain: another mount is on the way to it") &&
				      list_holds(&un, "mnt: it is a mount point")
			      ? 0
			      : 2);
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("skipped: no mount namespace\n");
		skip();
	}
	assert_int_equal(status, 0);
}

/* No pattern, no walk: a workspace of any size costs nothing. */
static void test_no_walk(void **state)
{
	struct place *p = *state;
	struct pf_list un = {0};
	int path_only = open(p->path, O_PATH | O_DIRECTORY | O_CLOEXEC), ws = p->ws;

	put(p->ws, "a/.env", "x");
	p->ws = path_only;
	resolve(p, PATTERNS(S("a/.env")), &un);
	assert_masked(p, "a/.env\n");
	p->ws = ws;
	close(path_only);
}

static int group(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(test_plain),	 PLACE_TEST(test_patterns),	 PLACE_TEST(test_odd_names),
		PLACE_TEST(test_build),	 PLACE_TEST(test_build_refuses), PLACE_TEST(test_unreadable),
		PLACE_TEST(test_mounts), PLACE_TEST(test_no_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return run_as_both(group);
}
