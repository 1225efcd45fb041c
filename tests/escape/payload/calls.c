/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls that a command has no business with. Each runs in a child of its own, since some answers are a
 * signal. "Worked" is what the kernel answers once it let the call in: for calls that would change the
 * machine the arguments are such that it then finds something else wrong (a module, a swap file that is not
 * there).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"

static char zero[256];

/* --- namespaces --- */
static int call_unshare_user(void)
{
	return unshare(CLONE_NEWUSER) == 0;
}
static int call_unshare_mount(void)
{
	return unshare(CLONE_NEWNS) == 0;
}
static int call_unshare_cgroup(void)
{
	return unshare(CLONE_NEWCGROUP) == 0;
}

static int new_child(long pid)
{
	if (pid == 0)
		_exit(0);
	return pid > 0;
}

static int call_clone_user(void)
{
	return new_child(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
}
static int call_clone_net(void)
{
	return new_child(syscall(SYS_clone, CLONE_NEWNET | SIGCHLD, 0, 0, 0, 0));
}
static int call_clone3_user(void)
{
	uint64_t args[11] = {CLONE_NEWUSER, 0, 0, 0, SIGCHLD};

	return new_child(syscall(435, args, sizeof(args)));
}

static int call_setns(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	return fd >= 0 && syscall(SYS_setns, fd, 0) == 0;
}

/* --- mounts --- */
/* of what is no mount point: EINVAL comes behind every permission, and nothing is changed, wherever it runs
 */
static int call_mount(void)
{
	return mount(NULL, "/usr/bin", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0 && errno == EINVAL;
}

static int call_fsopen(void)
{
	return syscall(430, "tmpfs", 1) >= 0;
}
static int call_open_tree(void)
{
	return syscall(428, AT_FDCWD, "/tmp", 1) >= 0;
}
static int call_chroot(void)
{
	return chroot("/tmp") == 0;
}
static int call_umount(void)
{
	return umount2("/var/empty/none", MNT_DETACH) == 0 || errno == ENOENT;
}

/* --- attack surface of the kernel --- */
static int call_io_uring(void)
{
	return syscall(425, 1, zero) >= 0;
}
static int call_bpf(void)
{
	uint32_t map[18] = {2 /* array */, 4, 4, 1};

	return syscall(SYS_bpf, 0, map, sizeof(map)) >= 0;
}

static int call_perf(void)
{
	uint64_t attr[16] = {0};

	attr[0] = 1 | (uint64_t)128 << 32; /* PERF_TYPE_SOFTWARE, size; config 0: CPU clock */
	attr[5] = 1u << 5 | 1u << 6;	   /* exclude_kernel, exclude_hv */
	return syscall(SYS_perf_event_open, attr, 0, -1, -1, 0) >= 0;
}

static int call_userfaultfd(void)
{
	return syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* user mode only */) >= 0;
}
static int call_memfd_secret(void)
{
	return syscall(447, 0) >= 0;
}
static int call_fanotify(void)
{
	return syscall(SYS_fanotify_init, 0x200 /* FAN_REPORT_FID */, 0) >= 0;
}
static int call_modify_ldt(void)
{
	return syscall(SYS_modify_ldt, 0, zero, sizeof(zero)) >= 0;
}
static int call_personality(void)
{
	return syscall(SYS_personality, 0x0400000 /* READ_IMPLIES_EXEC */) >= 0;
}
static int call_kcmp(void)
{
	return syscall(SYS_kcmp, getpid(), getpid(), 1, 0, 0) >= 0;
}
static int call_syslog(void)
{
	return syscall(SYS_syslog, 10 /* size of the buffer */, 0, 0) >= 0;
}
static int call_keyctl(void)
{
	return syscall(SYS_keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -2L, 1L) > 0;
}
static int call_add_key(void)
{
	return syscall(SYS_add_key, "user", "pf-escape", "x", 1L, -2L) > 0;
}
static int call_request_key(void)
{
	return syscall(SYS_request_key, "user", "pf-escape-none", NULL, 0L) > 0 || errno == ENOKEY;
}

static int call_handle(void)
{
	unsigned handle[40] = {128};
	int id;

	return syscall(SYS_name_to_handle_at, AT_FDCWD, "/tmp", handle, &id, 0) == 0;
}

static int call_open_handle(void)
{
	unsigned handle[40] = {8, 1};
	int dir = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return syscall(SYS_open_by_handle_at, dir, handle, O_RDONLY) >= 0 || errno == ESTALE;
}

/* --- other processes --- */
static pid_t sleeper(void)
{
	pid_t pid = fork();

	while (pid == 0)
		pause();
	return pid;
}

static int call_pidfd_getfd(void)
{
	pid_t pid = sleeper();
	int ok = syscall(438, syscall(434, pid, 0), 0, 0) >= 0, why = errno;

	kill(pid, SIGKILL);
	errno = why;
	return ok;
}

static int call_prlimit(void)
{
	pid_t pid = sleeper();
	uint64_t limit[2];
	int ok = syscall(SYS_prlimit64, pid, 7, NULL, limit) == 0, why = errno;

	kill(pid, SIGKILL);
	errno = why;
	return ok;
}

/* --- whiteouts: in an overlay's upper they delete what no program deleted --- */
static int call_mknod_whiteout(void)
{
	int ok = mknod("/tmp/whiteout", S_IFCHR, makedev(0, 0)) == 0, why = errno;

	unlink("/tmp/whiteout");
	errno = why;
	return ok;
}

static int call_rename_whiteout(void)
{
	int ok, why;

	close(open("/tmp/a", O_CREAT | O_WRONLY, 0600));
	ok = syscall(SYS_renameat2, AT_FDCWD, "/tmp/a", AT_FDCWD, "/tmp/b", 4) == 0;
	why = errno;
	unlink("/tmp/a");
	unlink("/tmp/b");
	errno = why;
	return ok;
}

/* --- the machine --- */
static int call_adjtimex(void)
{
	struct timex t = {0};

	if (adjtimex(&t) < 0)
		return 0;
	t.modes = ADJ_FREQUENCY; /* to what it is */
	return adjtimex(&t) >= 0;
}

static int call_delete_module(void)
{
	return syscall(SYS_delete_module, "pf_no_such_module", O_NONBLOCK) < 0 && errno == ENOENT;
}
static int call_init_module(void)
{
	return syscall(SYS_init_module, zero, 0UL, "") < 0 && errno != EPERM && errno != ENOSYS;
}
static int call_kexec(void)
{
	return syscall(SYS_kexec_load, 0UL, 17UL, NULL, 0UL) < 0 && errno == EINVAL;
}
static int call_swapon(void)
{
	return syscall(SYS_swapon, "/pf-no-such-file", 0) < 0 && errno == ENOENT;
}
static int call_reboot(void)
{
	return syscall(SYS_reboot, 1, 2, 3, NULL) < 0 && errno == EINVAL;
}
static int call_ioperm(void)
{
	return ioperm(0x80, 1, 1) == 0;
}
static int call_quotactl(void)
{
	return syscall(SYS_quotactl, 0x80000100, NULL, 0, NULL) == 0; /* Q_SYNC */
}

/* --- foreign architectures --- */
static int call_int80(void)
{
	long r;

	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"(20L /* i386 getpid */)
			 : "memory", "r8", "r9", "r10", "r11");
	errno = r == -ENOSYS ? ENOSYS : 0;
	return r == getpid();
}

static int call_x32(void)
{
	return syscall(0x40000000 | SYS_getpid) == getpid();
}

static const struct {
	const char *name;
	int (*run)(void);
} calls[] = {
	{"unshare-user", call_unshare_user},
	{"unshare-mount", call_unshare_mount},
	{"unshare-cgroup", call_unshare_cgroup},
	{"clone-user", call_clone_user},
	{"clone-net", call_clone_net},
	{"clone3-user", call_clone3_user},
	{"setns", call_setns},
	{"mount", call_mount},
	{"fsopen", call_fsopen},
	{"open_tree", call_open_tree},
	{"chroot", call_chroot},
	{"umount", call_umount},
	{"io_uring", call_io_uring},
	{"bpf", call_bpf},
	{"perf", call_perf},
	{"userfaultfd", call_userfaultfd},
	{"memfd_secret", call_memfd_secret},
	{"fanotify", call_fanotify},
	{"modify_ldt", call_modify_ldt},
	{"personality", call_personality},
	{"kcmp", call_kcmp},
	{"syslog", call_syslog},
	{"keyctl", call_keyctl},
	{"add_key", call_add_key},
	{"request_key", call_request_key},
	{"name_to_handle", call_handle},
	{"open_by_handle", call_open_handle},
	{"pidfd_getfd", call_pidfd_getfd},
	{"prlimit-other", call_prlimit},
	{"mknod-whiteout", call_mknod_whiteout},
	{"rename-whiteout", call_rename_whiteout},
	{"adjtimex", call_adjtimex},
	{"delete_module", call_delete_module},
	{"init_module", call_init_module},
	{"kexec", call_kexec},
	{"swapon", call_swapon},
	{"reboot", call_reboot},
	{"ioperm", call_ioperm},
	{"quotactl", call_quotactl},
	{"int80", call_int80},
	{"x32", call_x32},
};

static void in_child(const char *name, int (*run)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		errno = 0;
		say(name, run());
		_exit(0);
	}
	if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status))
		printf("refused %s: signal %d\n", name, WTERMSIG(status));
	fflush(stdout);
}

int verb_calls(char **argv)
{
	unsigned i;

	for (i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (!*argv || strcmp(*argv, calls[i].name) == 0)
			in_child(calls[i].name, calls[i].run);
	return 0;
}

static const struct {
	const char *name;
	int family, type, protocol;
} families[] = {
	{"vsock", 40, SOCK_STREAM, 0},
	{"packet", 17, SOCK_RAW, 0},
	{"packet-dgram", 17, SOCK_DGRAM, 0},
	{"raw-icmp", 2, SOCK_RAW, 1},
	{"raw6-icmp", 10, SOCK_RAW, 58},
	{"ping", 2, SOCK_DGRAM, 1},
	{"sctp", 2, SOCK_STREAM, 132},
	{"mptcp", 2, SOCK_STREAM, 262},
	{"udplite", 2, SOCK_DGRAM, 136},
	{"netfilter", 16, SOCK_RAW, 12},
	{"xfrm", 16, SOCK_RAW, 6},
	{"audit", 16, SOCK_RAW, 9},
	{"uevent", 16, SOCK_RAW, 15},
	{"generic-netlink", 16, SOCK_RAW, 16},
	{"sock-diag", 16, SOCK_RAW, 4},
	{"connector", 16, SOCK_DGRAM, 11},
	{"crypto-netlink", 16, SOCK_RAW, 21},
	{"alg", 38, SOCK_SEQPACKET, 0},
	{"key", 15, SOCK_RAW, 2},
	{"can", 29, SOCK_RAW, 1},
	{"bluetooth", 31, SOCK_RAW, 1},
	{"tipc", 30, SOCK_SEQPACKET, 0},
	{"rds", 21, SOCK_SEQPACKET, 0},
	{"xdp", 44, SOCK_RAW, 0},
	{"smc", 43, SOCK_STREAM, 0},
	{"kcm", 41, SOCK_DGRAM, 0},
	{"ax25", 3, SOCK_DGRAM, 0},
	{"x25", 9, SOCK_SEQPACKET, 0},
	{"llc", 26, SOCK_STREAM, 0},
	{"phonet", 35, SOCK_DGRAM, 0},
	{"nfc", 39, SOCK_SEQPACKET, 0},
	{"qrtr", 42, SOCK_DGRAM, 0},
};

int verb_sockets(char **argv)
{
	unsigned i;

	for (i = 0; i < sizeof(families) / sizeof(*families); i++)
		if (!*argv || strcmp(*argv, families[i].name) == 0) {
			int fd = socket(families[i].family, families[i].type | SOCK_CLOEXEC,
					families[i].protocol);

			say(families[i].name, fd >= 0);
			if (fd >= 0)
				close(fd);
		}
	return 0;
}
