/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock: children enter a domain and try. Skipped where the kernel has none. */
#include "linux/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/fd.h"

/* In a child: say which line, and end it. */
#define MUST(cond)                                                                                           \
	do {                                                                                                 \
		if (!(cond)) {                                                                               \
			dprintf(2, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #cond, strerror(errno));  \
			_exit(1);                                                                            \
		}                                                                                            \
	} while (0)
#define REFUSED(call, e) MUST((call) == -1 && errno == (e))

static char dir[] = "/tmp/pf-landlock-XXXXXX";
static int abi;

static void enter(const struct pf_landlock_rule *rules, int count)
{
	int fd;

	MUST(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	fd = pf_landlock_ruleset(rules, count, NULL);
	MUST(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	MUST(!pf_landlock_restrict(fd, NULL));
	close(fd);
}

static void child(void (*body)(void))
{
	int status;
	pid_t pid;

	if (!abi) {
		print_message("skipped: this kernel has no Landlock, or has it switched off\n");
		skip();
	}
	pid = fork();
	if (!pid) {
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define LIVE(name)                                                                                           \
	static void test_##name(void **state)                                                                \
	{                                                                                                    \
		(void)state;                                                                                 \
		child(body_##name);                                                                          \
	}

static int touch(const char *path)
{
	PF_AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 ? -1 : 0;
}

static int opens(const char *path, int flags)
{
	PF_AUTO_CLOSE int fd = open(path, flags | O_CLOEXEC);

	return fd < 0 ? -1 : 0;
}

static void body_read_and_write(void)
{
	const struct pf_landlock_rule rules[] = {
		{"ro", PF_LL_READ},
		{"rw", PF_LL_WRITE},
		{"ro/one", PF_LL_WRITE},
		{"/proc/self/no/such", PF_LL_WRITE},
		{"ro/one/beneath-a-file", PF_LL_READ},
	};

	enter(rules, PF_ARRAY_SIZE(rules));
	MUST(!opens("ro/file", O_RDONLY) && !opens("ro", O_RDONLY | O_DIRECTORY));
	REFUSED(opens("ro/file", O_WRONLY), EACCES);
	REFUSED(touch("ro/new"), EACCES);
	REFUSED(mkdir("ro/d", 0700), EACCES);
	REFUSED(unlink("ro/file"), EACCES);
	REFUSED(opens("none/file", O_RDONLY), EACCES);
	REFUSED(opens("none", O_RDONLY | O_DIRECTORY), EACCES);
	REFUSED(opens("/etc/passwd", O_RDONLY), EACCES);
	/* A rule on a single file. */
	MUST(!opens("ro/one", O_WRONLY));
	MUST(!touch("rw/new") && !mkdir("rw/d", 0700) && !rename("rw/new", "rw/d/new"));
	MUST(!symlink("x", "rw/l") && !mkfifo("rw/f", 0600) && !link("rw/d/new", "rw/hard"));
	REFUSED(mknod("rw/c", S_IFCHR, 0), EACCES);
	MUST(mknod("rw/b", S_IFBLK, 0) == -1 && (errno == EACCES || errno == EPERM)); /* or no CAP_MKNOD */
	MUST(!unlink("rw/d/new") && !unlink("rw/l") && !unlink("rw/f") && !unlink("rw/hard") &&
	     !rmdir("rw/d"));
	MUST(rename("rw/file", "ro/file2") == -1 && (errno == EACCES || errno == EXDEV));
	if (abi >= 3) {
		REFUSED(truncate("ro/file", 0), EACCES);
		MUST(!truncate("rw/file", 0));
	}
}
LIVE(read_and_write)

static void body_devices(void)
{
	const struct pf_landlock_rule rules[] = {{"/", PF_LL_READ}, {"/dev", PF_LL_DEVICE}};
	int n, tty = posix_openpt(O_RDWR | O_NOCTTY), slave;

	MUST(tty >= 0 && !grantpt(tty) && !unlockpt(tty));
	enter(rules, PF_ARRAY_SIZE(rules));
	MUST(!opens("/dev/null", O_RDWR | O_TRUNC) && !opens("/dev/zero", O_RDONLY));
	slave = open(ptsname(tty), O_RDWR | O_NOCTTY);
	MUST(slave >= 0 && !ioctl(slave, TIOCOUTQ, &n));
	REFUSED(mknod("/dev/pf-landlock-test", S_IFREG | 0600, 0), EACCES);
	REFUSED(opens("rw/file", O_WRONLY), EACCES);
}
LIVE(devices)

/* A device below a rule that only reads: it opens, but takes no ioctl from ABI 5 on. */
static void body_device_read_only(void)
{
	const struct pf_landlock_rule rules[] = {{"/", PF_LL_READ}};
	int fd, n;

	enter(rules, 1);
	REFUSED(opens("/dev/null", O_WRONLY), EACCES);
	fd = open("/dev/urandom", O_RDONLY);
	MUST(fd >= 0);
	if (abi >= 5)
		REFUSED(ioctl(fd, 0x80045200 /* RNDGETENTCNT */, &n), EACCES);
}
LIVE(device_read_only)

static void body_execute(void)
{
	const struct pf_landlock_rule rules[] = {{"/", PF_LL_READ}};
	int status;
	pid_t pid;

	enter(rules, 1);
	pid = fork();
	if (!pid)
		execl("/bin/true", "true", (char *)NULL);
	MUST(waitpid(pid, &status, 0) == pid && !status);
	enter(NULL, 0);
	REFUSED(execl("/bin/true", "true", (char *)NULL), EACCES);
}
LIVE(execute)

static struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0pf-landlock-test"};

static int reach(void)
{
	PF_AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return connect(fd, (struct sockaddr *)&name, sizeof(name));
}

static void body_scope(void)
{
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r, status;
	pid_t outside = getppid(), pid;

	MUST(!bind(s, (struct sockaddr *)&name, sizeof(name)) && !listen(s, 8));
	MUST(!kill(outside, 0) && !reach());
	MUST(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	/* The socket was made outside of the domain. */
	r = pf_landlock_scope(NULL);
	if (abi < 6) {
		MUST(r == -EOPNOTSUPP);
		return;
	}
	MUST(!r);
	REFUSED(kill(outside, 0), EPERM);
	REFUSED(reach(), EPERM);
	/* Inside, and into a domain below, signals go. */
	pid = fork();
	if (!pid) {
		enter(NULL, 0);
		MUST(!kill(getppid(), 0));
		pause();
	}
	MUST(!kill(pid, SIGKILL) && waitpid(pid, &status, 0) == pid);
	/* Files are not its concern, links and renames into another directory among them. */
	MUST(!opens("rw/file", O_WRONLY));
	MUST(!link("rw/file", "none/linked") && !rename("none/linked", "rw/linked") && !unlink("rw/linked"));
}
LIVE(scope)

static void test_errors(void **state)
{
	const struct pf_landlock_rule rule = {"/proc/self/fd/no", (enum pf_landlock_access)99};
	const struct pf_landlock_rule bad = {"/", (enum pf_landlock_access)99};
	struct pf_error err;
	int fd;

	(void)state;
	if (!abi) {
		assert_int_equal(pf_landlock_ruleset(&rule, 1, &err), -EOPNOTSUPP);
		return;
	}
	fd = pf_landlock_ruleset(&rule, 1, &err); /* not there: skipped */
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(pf_landlock_ruleset(&bad, 1, &err), -EINVAL);
	assert_true(pf_landlock_restrict(-1, &err) < 0);
	print_message("Landlock ABI %d\n", abi);
}

static int setup(void **state)
{
	(void)state;
	abi = pf_landlock_abi();
	if (!mkdtemp(dir) || chdir(dir) || mkdir("ro", 0700) || mkdir("rw", 0700) || mkdir("none", 0700))
		return -1;
	return touch("ro/file") || touch("rw/file") || touch("none/file") || touch("ro/one");
}

static int teardown(void **state)
{
	PF_AUTO_CLOSE int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	return pf_remove_tree(tmp, strrchr(dir, '/') + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_and_write),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_device_read_only),
		cmocka_unit_test(test_execute),
		cmocka_unit_test(test_scope),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
