/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two filters in the kernel: a child loads them as init and a launcher do and makes the calls.
 * Each refusal that could have another reason has its control: the same call without the filter.
 */
#include "test_seccomp_child.h"

#include <linux/sched.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define HIGH 0xabcd000000000000ul

#define REFUSED(call, e) MUST((call) == -1 && errno == (e))

static void load_both(void)
{
	load_first();
	load_second(0);
}

static int child(void (*body)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

#define LIVE(name)                                                                                           \
	static void test_##name(void **state)                                                                \
	{                                                                                                    \
		(void)state;                                                                                 \
		assert_int_equal(child(body_##name), 0);                                                     \
	}

static long clone3(void)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (!pid)
		_exit(0);
	return pid;
}

static void body_init_extras(void)
{
	struct rlimit r;
	pid_t parent = getppid();

	load_first();
	MUST(clone3() > 0);
	MUST(!prlimit(parent, RLIMIT_NOFILE, NULL, &r));
	MUST(geteuid() || !unshare(CLONE_NEWCGROUP));
	REFUSED(unshare(CLONE_NEWUSER), EPERM);
	load_second(0);
	REFUSED(clone3(), ENOSYS);
	REFUSED(prlimit(parent, RLIMIT_NOFILE, NULL, &r), EPERM);
	MUST(!prlimit(0, RLIMIT_NOFILE, NULL, &r));
	MUST(!prlimit(0, RLIMIT_NOFILE, &r, NULL));
	REFUSED(unshare(CLONE_NEWCGROUP), EPERM);
	MUST(fork() >= 0);
}
LIVE(init_extras)

/* 0 would let a piped core handler run as the host's root: it is granted and not done. */
static void body_core_limit(void)
{
	const struct rlimit one_byte = {1, 1}, none = {0, 1};
	struct rlimit r = {7, 7};

	load_first();
	MUST(!setrlimit(RLIMIT_CORE, &one_byte));
	load_second(0);
	MUST(!setrlimit(RLIMIT_CORE, &none));
	MUST(!prlimit(0, RLIMIT_CORE, &none, NULL));
	MUST(!syscall(SYS_setrlimit, HIGH | RLIMIT_CORE, &none));
	MUST(!syscall(SYS_prlimit64, HIGH, HIGH | RLIMIT_CORE, &none, NULL));
	MUST(!getrlimit(RLIMIT_CORE, &r));
	MUST(r.rlim_cur == 1 && r.rlim_max == 1);
}
LIVE(core_limit)

static void body_sockets(void)
{
	int fd[2];

	load_both();
	for (int family = 0; family < 64; family++)
		if (family != AF_UNIX && family != AF_INET && family != AF_INET6 && family != AF_NETLINK)
			REFUSED(socket(family, SOCK_STREAM, 0), EAFNOSUPPORT);
	MUST(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0) >= 0);
	MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0) >= 0);
	MUST(socket(AF_INET, SOCK_DGRAM, 17) >= 0);
	MUST(socket(AF_NETLINK, SOCK_RAW, 0) >= 0);
	REFUSED(socket(AF_NETLINK, SOCK_RAW, 12 /* netfilter */), EAFNOSUPPORT);
	REFUSED(socket(AF_INET, SOCK_RAW, 1), EAFNOSUPPORT);
	REFUSED(socket(AF_INET, SOCK_DGRAM, 1 /* ICMP */), EPROTONOSUPPORT);
	REFUSED(socket(AF_INET, SOCK_STREAM, 262 /* MPTCP */), EPROTONOSUPPORT);
	REFUSED(syscall(SYS_socket, HIGH | AF_VSOCK, SOCK_STREAM, 0), EAFNOSUPPORT);
	REFUSED(syscall(SYS_socket, AF_INET, HIGH | SOCK_RAW, HIGH | 1), EAFNOSUPPORT);
	MUST(syscall(SYS_socket, HIGH | AF_INET, SOCK_STREAM, HIGH) >= 0);
	MUST(!socketpair(AF_UNIX, SOCK_DGRAM, 0, fd));
	REFUSED(socketpair(AF_INET, SOCK_STREAM, 0, fd), EAFNOSUPPORT);
}
LIVE(sockets)

static int terminal(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	MUST(master >= 0 && !grantpt(master) && !unlockpt(master));
	return open(ptsname(master), O_RDWR | O_NOCTTY);
}

/* The control needs root, or a host that still has legacy_tiocsti and a controlling terminal. */
static void body_terminal(void)
{
	int tty = terminal(), flag = N_TTY;

	MUST(tty >= 0);
	if (!geteuid()) {
		MUST(!syscall(SYS_ioctl, tty, HIGH | TIOCSTI, "x"));
		MUST(!ioctl(tty, TIOCSETD, &flag));
	}
	load_both();
	REFUSED(ioctl(tty, TIOCSTI, "x"), EPERM);
	for (int bit = 32; bit < 64; bit++) {
		REFUSED(syscall(SYS_ioctl, tty, 1ul << bit | TIOCSTI, "x"), EPERM);
		REFUSED(syscall(SYS_ioctl, tty, 1ul << bit | TIOCLINUX, "x"), EPERM);
	}
	REFUSED(ioctl(tty, TIOCCONS), EPERM);
	REFUSED(ioctl(tty, TIOCSETD, &flag), EPERM);
	MUST(!ioctl(tty, TIOCGETD, &flag));
	MUST(ioctl(tty, TIOCOUTQ, &flag) == 0);
}
LIVE(terminal)

static void body_namespaces(void)
{
	const unsigned long flags[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
				       CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};

	load_both();
	for (size_t i = 0; i < PF_ARRAY_SIZE(flags); i++) {
		REFUSED(syscall(SYS_clone, flags[i] | SIGCHLD, 0, 0, 0, 0), EPERM);
		REFUSED(syscall(SYS_clone, HIGH | flags[i] | SIGCHLD, 0, 0, 0, 0), EPERM);
		REFUSED(unshare((int)flags[i]), EPERM);
	}
	REFUSED(unshare(CLONE_NEWTIME), EPERM);
	REFUSED(setns(0, 0), EPERM);
	REFUSED(syscall(SYS_mount, "a", "/", "tmpfs", 0, 0), EPERM);
	REFUSED(syscall(SYS_fsopen, "tmpfs", 0), EPERM);
	REFUSED(syscall(SYS_io_uring_setup, 1, 0), ENOSYS);
	REFUSED(syscall(SYS_bpf, 0, 0, 0), EPERM);
	REFUSED(syscall(SYS_add_key, 0, 0, 0, 0, 0), ENOSYS);
	REFUSED(syscall(470), ENOSYS);
	REFUSED(syscall(-1), ENOSYS);
}
LIVE(namespaces)

static void body_nodes(void)
{
	char dir[] = "/tmp/pf-seccomp-XXXXXX";

	MUST(mkdtemp(dir) && !chdir(dir));
	if (!geteuid())
		MUST(!mknod("control", S_IFCHR, 0) && !unlink("control"));
	load_both();
	REFUSED(mknod("c", S_IFCHR, 0), EPERM);
	REFUSED(mknod("b", S_IFBLK | 0600, 0x801), EPERM);
	REFUSED(syscall(SYS_mknod, "c", HIGH | 0x10000 | S_IFCHR, 0), EPERM);
	REFUSED(mknodat(AT_FDCWD, "c", S_IFCHR, 0), EPERM);
	MUST(!mkfifo("f", 0600) && !mknod("r", 0600, 0));
	REFUSED(syscall(SYS_renameat2, AT_FDCWD, "f", AT_FDCWD, "g", 4), EINVAL);
	MUST(!syscall(SYS_renameat2, AT_FDCWD, "f", AT_FDCWD, "g", 1));
	MUST(!unlink("g") && !unlink("r") && !rmdir(dir));
}
LIVE(nodes)

static void body_small_things(void)
{
	load_both();
	MUST(personality(0xffffffff) >= 0);
	MUST(personality(ADDR_NO_RANDOMIZE) >= 0);
	REFUSED(personality(READ_IMPLIES_EXEC), EPERM);
	REFUSED(syscall(SYS_personality, HIGH | READ_IMPLIES_EXEC), EPERM);
	REFUSED(chroot("/"), EPERM);
	REFUSED(syscall(SYS_open_by_handle_at, 0, 0, 0), EPERM);
	MUST(syscall(SYS_memfd_create, "x", 0) >= 0);
	load_second(PF_FILTER_NO_MEMFD);
	REFUSED(syscall(SYS_memfd_create, "x", 0), ENOSYS);
}
LIVE(small_things)

static void body_int80(void)
{
	long r;

	load_both();
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20L /* getpid */) : "memory", "r8", "r9", "r10", "r11");
}

static void body_x32(void)
{
	load_first();
	syscall(0x40000000 | SYS_getpid);
}

static void test_foreign_calls_kill(void **state)
{
	(void)state;
	assert_int_equal(child(body_int80) & 0x7f, SIGSYS);
	assert_int_equal(child(body_x32) & 0x7f, SIGSYS);
}

/* --- ordinary programs under both --- */

static char *const *program;

static void body_program(void)
{
	int null = open("/dev/null", O_RDWR);

	setenv("ASAN_OPTIONS", "", 1);
	MUST(null >= 0 && dup2(null, 0) == 0 && dup2(null, 1) == 1);
	load_both();
	execvp(program[0], program);
	_exit(127);
}

static void test_programs(void **state)
{
	static const char *const lines[] = {
		"true | cat; ulimit -n; kill -0 $$; trap : USR1; kill -USR1 $$",
		"python3 -c 'import threading,subprocess,socket,multiprocessing as m,sqlite3;"
		"t=threading.Thread(target=print);t.start();t.join();subprocess.run([\"true\"],check=True);"
		"s=socket.socket();s.bind((\"127.0.0.1\",0));p=m.Process(target=print);p.start();p.join();"
		"sqlite3.connect(\":memory:\").execute(\"select 1\")'",
		"echo 'int main(void){return 0;}' | gcc -x c -o /dev/null -",
		"cd $(mktemp -d) && git init -q . && echo x >f && git add f && git -c user.name=a -c "
		"user.email=b "
		"commit -qm x && git log >/dev/null; r=$?; rm -rf \"$PWD\"; exit $r",
		"strace -f -o /dev/null sh -c 'true | true'",
		"gdb -nx -batch -ex run -ex quit --args /bin/true",
		"node -e 'require(\"child_process\").execSync(\"true\");new Worker' 2>/dev/null || node -e 0",
		"make --version && bash -c 'x=$(cat <(echo 1)); test $x = 1'",
	};

	(void)state;
	for (size_t i = 0; i < PF_ARRAY_SIZE(lines); i++) {
		char *argv[] = {(char *)"sh", (char *)"-c", (char *)lines[i], NULL};
		int status;

		program = argv;
		status = child(body_program);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
			print_message("skipped: not here: %.20s...\n", lines[i]);
		else if (status)
			fail_msg("%s: status %#x", lines[i], status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init_extras),  cmocka_unit_test(test_core_limit),
		cmocka_unit_test(test_sockets),	     cmocka_unit_test(test_terminal),
		cmocka_unit_test(test_namespaces),   cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_small_things), cmocka_unit_test(test_foreign_calls_kill),
		cmocka_unit_test(test_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
