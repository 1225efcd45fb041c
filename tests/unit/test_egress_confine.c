/* SPDX-License-Identifier: Apache-2.0 */
/*
 * egress/confine: children put the proxy's walls around themselves and then try what a proxy in the enemy's
 * hands would. Each attempt is made before the walls too, where it must succeed: otherwise it would prove
 * nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "egress/confine.h"
#include "linux/landlock.h"

#define MUST(cond)                                                                                           \
	do {                                                                                                 \
		if (!(cond)) {                                                                               \
			char said[256];                                                                      \
			int length = snprintf(said, sizeof(said), "%s:%d: not so: %s (%s)\n", __FILE__,      \
					      __LINE__, #cond, strerror(errno));                             \
			(void)!write(2, said, (size_t)length);                                               \
			_exit(1);                                                                            \
		}                                                                                            \
	} while (0)
#define REFUSED(call, e) MUST((call) == -1 && errno == (e))
/* Landlock answers EACCES, the filter ENOSYS, an empty root ENOENT: whichever is asked first. */
#define GONE(call) MUST((call) == -1 && (errno == EACCES || errno == ENOSYS || errno == ENOENT))

static struct pf_rules rules;
static struct pf_resolver resolver;
static uint16_t open_port, shut_port;

static void in_child(void (*body)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static uint32_t confine(void)
{
	struct pf_egress_setup setup = {.uid = 54321, .gid = 54321, .limits = PF_EGRESS_LIMITS_DEFAULT};
	struct pf_error err = {0};
	uint32_t held = 0;

	if (pf__egress_confine(&setup, &rules, &resolver, &held, &err) < 0) {
		dprintf(2, "%s\n", err.msg);
		_exit(1);
	}
	return held;
}

static int listen_somewhere(uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&a, n) == 0 && listen(fd, 8) == 0 &&
		    getsockname(fd, (struct sockaddr *)&a, &n) == 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static int dial(uint16_t port)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return -1;
	r = connect(fd, (struct sockaddr *)&a, sizeof(a));
	close(fd);
	return r;
}

static void what_it_needs_works(void)
{
	char *p;
	int fd;

	MUST(dial(open_port) == 0);
	MUST(dial(shut_port) == 0); /* as long as nothing confines */
	confine();
	MUST(dial(open_port) == 0);
	fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	MUST(fd >= 0 || errno == EAFNOSUPPORT); /* a kernel without IPv6 */
	p = malloc(1u << 20);
	MUST(p != NULL);
	memset(p, 1, 1u << 20);
	free(p);
	MUST(pf_now_ns() > 0);
}

static void files(void)
{
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

	MUST(fd >= 0);
	close(fd);
	MUST(access("/bin/sh", X_OK) == 0);
	confine();
	GONE(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
	GONE(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	GONE(open("/proc/self/mem", O_RDWR | O_CLOEXEC));
	GONE(access("/bin/sh", X_OK));
	GONE(mkdir("/x", 0700));
	GONE(unlink("/x"));
	GONE(chdir("/"));
}

static void programs_and_processes(void)
{
	char *argv[] = {NULL};

	MUST(kill(getppid(), 0) == 0);
	confine();
	GONE(execve("/bin/sh", argv, argv));
	REFUSED(syscall(SYS_fork), ENOSYS);
	REFUSED(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), ENOSYS);
	REFUSED(kill(1, 0), ENOSYS);
	REFUSED(syscall(SYS_ptrace, 0, 0, 0, 0), ENOSYS);
	REFUSED(syscall(SYS_pidfd_open, 1, 0), ENOSYS);
	REFUSED(syscall(SYS_process_vm_readv, 1, 0, 0, 0, 0, 0), ENOSYS);
	REFUSED(setuid(0), ENOSYS);
	REFUSED(syscall(SYS_unshare, 0), ENOSYS);
	REFUSED(syscall(SYS_setns, 0, 0), ENOSYS);
	REFUSED(syscall(SYS_mount, 0, 0, 0, 0, 0), ENOSYS);
	REFUSED(syscall(SYS_bpf, 0, 0, 0), ENOSYS);
	REFUSED(syscall(SYS_io_uring_setup, 1, 0), ENOSYS);
	REFUSED(syscall(SYS_memfd_create, "x", 0), ENOSYS);
	REFUSED(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), ENOSYS);
}

static void sockets(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	MUST(fd >= 0);
	close(fd);
	confine();
	REFUSED(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), EAFNOSUPPORT);
	REFUSED(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0), EAFNOSUPPORT);
	REFUSED(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), EAFNOSUPPORT);
	REFUSED(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0), EAFNOSUPPORT);
	REFUSED(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, 1), EAFNOSUPPORT);
	REFUSED(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 1), EAFNOSUPPORT);	 /* ping */
	REFUSED(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 262), EAFNOSUPPORT); /* MPTCP */
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(fd >= 0);
	REFUSED(bind(fd, NULL, 0), ENOSYS);
	REFUSED(listen(fd, 1), ENOSYS);
	REFUSED(syscall(SYS_accept4, fd, NULL, NULL, 0), ENOSYS);
}

static void code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(p != MAP_FAILED);
	confine();
	MUST(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
	     errno == EPERM);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(p != MAP_FAILED);
	REFUSED(mprotect(p, 4096, PROT_READ | PROT_EXEC), EPERM);
}

static void ports(void)
{
	MUST(dial(shut_port) == 0);
	MUST(confine() & PF_EGRESS_HELD_PORTS);
	MUST(dial(open_port) == 0);
	REFUSED(dial(shut_port), EACCES);
}

static void without_rules(void)
{
	struct pf_rules none = {0};
	struct pf_egress_setup setup = {.uid = 54321, .gid = 54321, .limits = PF_EGRESS_LIMITS_DEFAULT};
	struct pf_error err = {0};
	uint32_t held = 0;

	MUST(pf__egress_confine(&setup, &none, &resolver, &held, &err) == 0);
	MUST(held & PF_EGRESS_HELD_NO_SOCKETS);
	REFUSED(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), ENOSYS);
	REFUSED(syscall(SYS_connect, 0, NULL, 0), ENOSYS);
}

static void as_a_user(void)
{
	if (geteuid() == 0)
		MUST(setresgid(12345, 12345, 12345) == 0 && setresuid(12345, 12345, 12345) == 0);
	MUST(dial(shut_port) == 0);
	confine();
	MUST(dial(open_port) == 0);
	REFUSED(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), EAFNOSUPPORT);
	GONE(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

#define CHILD(name)                                                                                          \
	static void test_##name(void **state)                                                                \
	{                                                                                                    \
		(void)state;                                                                                 \
		in_child(name);                                                                              \
	}
CHILD(what_it_needs_works)
CHILD(files)
CHILD(programs_and_processes)
CHILD(sockets)
CHILD(code)
CHILD(without_rules)
CHILD(as_a_user)

static void test_ports(void **state)
{
	(void)state;
	if (pf_landlock_abi() < 4) {
		print_message("skipped: this kernel's Landlock has no network\n");
		skip();
	}
	in_child(ports);
}

static void which_ports(void **state)
{
	struct pf_rules some = {0};
	struct pf_resolver r = {0};
	uint16_t out[4];

	(void)state;
	pf_resolver_conf(&r, "nameserver 10.0.0.1\nnameserver 10.0.0.2\n", 40);
	pf_rules_add(&some, "a:443", NULL);
	pf_rules_add(&some, "b:443", NULL);
	pf_rules_add(&some, "c:80-81", NULL);
	assert_int_equal(pf__egress_ports(&some, &r, out, 4), 4);
	assert_true(out[0] == 443 && out[1] == 80 && out[2] == 81 && out[3] == 53);
	assert_int_equal(pf__egress_ports(&some, &r, out, 3), -E2BIG);
	pf_rules_add(&some, "d:*", NULL);
	assert_int_equal(pf__egress_ports(&some, &r, out, 4), -E2BIG);
	pf_rules_free(&some);
}

static void the_filter_compiles(void **state)
{
	struct sock_filter insns[512];
	int dials = pf__egress_filter(true, insns, 512), refuses = pf__egress_filter(false, insns, 512);

	(void)state;
	assert_true(dials > 20 && refuses > 20 && refuses < dials);
	assert_int_equal(pf__egress_filter(true, insns, 20), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(which_ports),
		cmocka_unit_test(the_filter_compiles),
		cmocka_unit_test(test_what_it_needs_works),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_programs_and_processes),
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_code),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_without_rules),
		cmocka_unit_test(test_as_a_user),
	};
	char rule[64];
	int failed;

	listen_somewhere(&open_port);
	listen_somewhere(&shut_port);
	snprintf(rule, sizeof(rule), "127.0.0.1:%u", open_port);
	if (pf_rules_add(&rules, rule, NULL) < 0)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	pf_rules_free(&rules);
	return failed;
}
