/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every system call of x86-64 Linux (to 6.18), what becomes of it and why.
 *
 * The rule is deny: a number that is not here answers ENOSYS, so that programs take a newer call
 * for absent and use the older one. What ordinary programs, compilers, language run-times and
 * debuggers call is allowed; that is nearly what Docker's profile allows without capabilities.
 * ENOSYS where a program then falls back or goes on without; EPERM where that is what Linux
 * answers those who lack the privilege.
 *
 * ALLOW   as it says
 * DENY    with this errno
 * ARG     by a check of its arguments, below
 * INIT    filter one (init and launchers) / filter two (commands), see seccomp.h
 * OPTION  allowed, and taken away by filter two if that option was asked for
 * SETID   the same of a mode with a set-user-id or set-group-id bit, for PF_FILTER_NO_SETID
 *
 * Numbers are written out, not taken from a header: the build machine's may be older than the
 * kernel that runs. The unit test compares them with libseccomp's.
 */
#include <errno.h>
#include <linux/sched.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "linux/seccomp.h"
#include "linux/seccomp_table.h"

/* clang-format off */
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
/* A clause: the answer, then its conditions. */
#define IF(error, ...) \
	{.err = (error), .conds = COUNT(((const struct pf__cond[]){__VA_ARGS__})), .cond = {__VA_ARGS__}}
/* The low half of argument n, masked, is one of these. */
#define IN(n, bits, ...) \
	{.arg = (n), .op = PF__IN, .mask = (bits), \
	 .values = COUNT(((const uint32_t[]){__VA_ARGS__})), .value = {__VA_ARGS__}}
/* Both halves of argument n are 0: two conditions. */
#define IS_NULL(n) IN(n, WHOLE, 0), {.arg = (n), .high = true, .op = PF__IN, .mask = WHOLE, .values = 1}
/* The low half of argument n has one of these bits. */
#define ANY(n, bits) {.arg = (n), .op = PF__ANY, .mask = (bits)}
#define CHECK(call, rest)                                                                        \
	static const struct pf__check check_##call = {                                           \
		.clause = call##_clauses, .clauses = COUNT(call##_clauses), .otherwise = (rest)}

#define ALLOWED    {0}
#define ERR(e)     {.err = (e)}
#define CHECKED(c) {.check = &(c)}
#define ROW(n, call, reason, ...) {.nr = (n), .name = #call, .why = (reason), __VA_ARGS__}

#define ALLOW(n, call, reason)            ROW(n, call, reason, .first = ALLOWED)
#define DENY(n, call, e, reason)          ROW(n, call, reason, .first = ERR(e))
#define ARG(n, call, reason)              ROW(n, call, reason, .first = CHECKED(check_##call))
#define INIT(n, call, one, two, reason)   ROW(n, call, reason, .first = one, .second = two)
#define OPTION(n, call, asked, e, reason) ROW(n, call, reason, .option = (asked), .optional = ERR(e))
#define SETID(n, call, one, reason) \
	ROW(n, call, reason, .first = one, .option = PF_FILTER_NO_SETID, .optional = CHECKED(check_setid_##call))
/* clang-format on */

#define WHOLE UINT32_MAX

/*
 * socket(int, int, int). UNIX, and TCP and UDP, which in an empty network namespace reach only the
 * sandbox's own loopback; route netlink, which tells what interfaces there are. Everything else is
 * EAFNOSUPPORT, "this kernel has no such family": vsock is not namespaced and reaches the
 * hypervisor, the rest is attack surface. The type's upper bits are SOCK_CLOEXEC and SOCK_NONBLOCK.
 * Raw sockets, ICMP, MPTCP, SCTP and the like go too; with EPROTONOSUPPORT Go leaves MPTCP alone.
 */
#define TYPE 0xfu
static const struct pf__clause socket_clauses[] = {
	IF(0, IN(0, WHOLE, AF_UNIX), IN(1, TYPE, SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET)),
	IF(0, IN(0, WHOLE, AF_INET, AF_INET6), IN(1, TYPE, SOCK_STREAM), IN(2, WHOLE, 0, 6)),
	IF(0, IN(0, WHOLE, AF_INET, AF_INET6), IN(1, TYPE, SOCK_DGRAM), IN(2, WHOLE, 0, 17)),
	IF(EPROTONOSUPPORT, IN(0, WHOLE, AF_INET, AF_INET6), IN(1, TYPE, SOCK_STREAM, SOCK_DGRAM)),
	IF(0, IN(0, WHOLE, AF_NETLINK), IN(2, WHOLE, 0)),
};
CHECK(socket, EAFNOSUPPORT);

static const struct pf__clause socketpair_clauses[] = {IF(0, IN(0, WHOLE, AF_UNIX))};
CHECK(socketpair, EAFNOSUPPORT);

/*
 * ioctl(unsigned int, unsigned int, unsigned long). TIOCSTI and TIOCLINUX put input into the
 * terminal, for whoever reads it next; TIOCCONS takes the host's console; TIOCSETD loads line
 * disciplines (n_gsm, n_hdlc: CVE-2017-2636, CVE-2023-6546).
 */
static const struct pf__clause ioctl_clauses[] = {
	IF(EPERM, IN(1, WHOLE, 0x5412 /* TIOCSTI */, 0x541c /* TIOCLINUX */, 0x541d /* TIOCCONS */,
		     0x5423 /* TIOCSETD */)),
};
CHECK(ioctl, 0);

/* clone(unsigned long flags, ...): CLONE_NEWTIME is not among them, its bit is part of the exit signal here.
 */
#define NAMESPACES                                                                                           \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |        \
	 CLONE_NEWNET)
static const struct pf__clause clone_clauses[] = {IF(EPERM, ANY(0, NAMESPACES))};
CHECK(clone, 0);

static const struct pf__clause unshare_clauses[] = {IF(0, IN(0, WHOLE, CLONE_NEWCGROUP))};
CHECK(unshare, EPERM);

/*
 * mknod(const char *, umode_t, unsigned): files, FIFOs and sockets. Devices need CAP_MKNOD and
 * mounts are nodev, but a character device 0:0 needs neither, and in an overlay's upper layer it
 * is a whiteout: the change set would report a deletion that no program made.
 */
static const struct pf__clause mknod_clauses[] = {IF(0, IN(1, S_IFMT, 0, S_IFREG, S_IFIFO, S_IFSOCK))};
CHECK(mknod, EPERM);
static const struct pf__clause mknodat_clauses[] = {IF(0, IN(2, S_IFMT, 0, S_IFREG, S_IFIFO, S_IFSOCK))};
CHECK(mknodat, EPERM);

/*
 * PF_FILTER_NO_SETID, for a sandbox that writes in a directory of the host's itself: a set-user-id file there
 * is one of the host's, and its owner may be root. The owner of a file may always set the bits, and nosuid
 * keeps nobody from it. open(const char *, int, umode_t), openat(int, ...): the mode counts with O_CREAT and
 * O_TMPFILE. openat2 has both behind a pointer, where no filter sees them: programs take the older call for
 * ENOSYS.
 */
#define SET_IDS (S_ISUID | S_ISGID)
#define CREATES 020000100u /* __O_TMPFILE, O_CREAT */
#define NO_SET_IDS(call, n)                                                                                  \
	static const struct pf__clause setid_##call##_clauses[] = {IF(EPERM, ANY(n, SET_IDS))};              \
	CHECK(setid_##call, 0)
NO_SET_IDS(creat, 1);
NO_SET_IDS(chmod, 1);
NO_SET_IDS(fchmod, 1);
NO_SET_IDS(fchmodat, 2);
NO_SET_IDS(fchmodat2, 2);
NO_SET_IDS(mknod, 1);
NO_SET_IDS(mknodat, 2);
static const struct pf__clause setid_open_clauses[] = {IF(EPERM, ANY(1, CREATES), ANY(2, SET_IDS))};
CHECK(setid_open, 0);
static const struct pf__clause setid_openat_clauses[] = {IF(EPERM, ANY(2, CREATES), ANY(3, SET_IDS))};
CHECK(setid_openat, 0);

/* renameat2(..., unsigned int flags): the same whiteout by another way. EINVAL: not on this file system. */
static const struct pf__clause renameat2_clauses[] = {IF(EINVAL, ANY(4, 4 /* RENAME_WHITEOUT */))};
CHECK(renameat2, 0);

/* personality(unsigned int): PER_LINUX with UNAME26 or ADDR_NO_RANDOMIZE (gdb, setarch -R), or a question. */
static const struct pf__clause personality_clauses[] = {
	IF(0, IN(0, ~0x60000u, 0)),
	IF(0, IN(0, WHOLE, 0xffffffffu)),
};
CHECK(personality, EPERM);

/*
 * RLIMIT_CORE is 1 and stays it: with 0 a core handler that the host has on a pipe runs all the same, as the
 * host's root, fed by a process of the command's choice; only 1 stops it (do_coredump() in fs/coredump.c). So
 * "no core files, please" (gpg, ssh-agent and many scripts ask at the start, and some end if they may not) is
 * granted in words: there are none.
 */
#define CORE 4u
static const struct pf__clause setrlimit_clauses[] = {IF(PF__DONE, IN(0, WHOLE, CORE))};
CHECK(setrlimit, 0);

/*
 * prlimit64(pid_t, unsigned int, const struct rlimit64 *, struct rlimit64 *): 0 is the caller. Where init and
 * command share a uid, limits are init's to set.
 */
static const struct pf__clause prlimit64_clauses[] = {
	IF(0, IN(0, WHOLE, 0), IS_NULL(2)), /* a question */
	IF(PF__DONE, IN(0, WHOLE, 0), IN(1, WHOLE, CORE)),
	IF(0, IN(0, WHOLE, 0)),
};
CHECK(prlimit64, EPERM);

const struct pf__syscall pf__syscalls[] = {
	ALLOW(0, read, "file I/O"),
	ALLOW(1, write, "file I/O"),
	SETID(2, open, ALLOWED, "file I/O"),
	ALLOW(3, close, "file I/O"),
	ALLOW(4, stat, "file metadata"),
	ALLOW(5, fstat, "file metadata"),
	ALLOW(6, lstat, "file metadata"),
	ALLOW(7, poll, "readiness"),
	ALLOW(8, lseek, "file I/O"),
	ALLOW(9, mmap, "own memory"),
	ALLOW(10, mprotect, "own memory"),
	ALLOW(11, munmap, "own memory"),
	ALLOW(12, brk, "own memory"),
	ALLOW(13, rt_sigaction, "signals"),
	ALLOW(14, rt_sigprocmask, "signals"),
	ALLOW(15, rt_sigreturn, "signals"),
	ARG(16, ioctl, "TIOCSTI and TIOCLINUX type into another's terminal (CVE-2017-5226)"),
	ALLOW(17, pread64, "file I/O"),
	ALLOW(18, pwrite64, "file I/O"),
	ALLOW(19, readv, "file I/O"),
	ALLOW(20, writev, "file I/O"),
	ALLOW(21, access, "file metadata"),
	ALLOW(22, pipe, "pipes"),
	ALLOW(23, select, "readiness"),
	ALLOW(24, sched_yield, "scheduling of its own processes"),
	ALLOW(25, mremap, "own memory"),
	ALLOW(26, msync, "own memory"),
	ALLOW(27, mincore, "own memory"),
	ALLOW(28, madvise, "own memory"),
	ALLOW(29, shmget, "System V IPC, in a namespace of its own"),
	ALLOW(30, shmat, "System V IPC, in a namespace of its own"),
	ALLOW(31, shmctl, "System V IPC, in a namespace of its own"),
	ALLOW(32, dup, "descriptors"),
	ALLOW(33, dup2, "descriptors"),
	ALLOW(34, pause, "signals"),
	ALLOW(35, nanosleep, "time and timers"),
	ALLOW(36, getitimer, "time and timers"),
	ALLOW(37, alarm, "time and timers"),
	ALLOW(38, setitimer, "time and timers"),
	ALLOW(39, getpid, "processes"),
	ALLOW(40, sendfile, "file I/O"),
	ARG(41, socket, "vsock reaches the hypervisor, AF_ALG, packet and most netlink are attack surface"),
	ALLOW(42, connect, "sockets that socket() let through"),
	ALLOW(43, accept, "sockets that socket() let through"),
	ALLOW(44, sendto, "sockets that socket() let through"),
	ALLOW(45, recvfrom, "sockets that socket() let through"),
	ALLOW(46, sendmsg, "sockets that socket() let through"),
	ALLOW(47, recvmsg, "sockets that socket() let through"),
	ALLOW(48, shutdown, "sockets that socket() let through"),
	ALLOW(49, bind, "sockets that socket() let through"),
	ALLOW(50, listen, "sockets that socket() let through"),
	ALLOW(51, getsockname, "sockets that socket() let through"),
	ALLOW(52, getpeername, "sockets that socket() let through"),
	ARG(53, socketpair, "AF_UNIX; other families have TIPC's and RDS's history"),
	ALLOW(54, setsockopt, "sockets that socket() let through"),
	ALLOW(55, getsockopt, "sockets that socket() let through"),
	ARG(56, clone, "no new namespaces: a user namespace opens nf_tables, overlay and mounts"),
	ALLOW(57, fork, "processes"),
	ALLOW(58, vfork, "processes"),
	ALLOW(59, execve, "processes"),
	ALLOW(60, exit, "processes"),
	ALLOW(61, wait4, "processes"),
	ALLOW(62, kill, "signals"),
	ALLOW(63, uname, "facts about the machine"),
	ALLOW(64, semget, "System V IPC, in a namespace of its own"),
	ALLOW(65, semop, "System V IPC, in a namespace of its own"),
	ALLOW(66, semctl, "System V IPC, in a namespace of its own"),
	ALLOW(67, shmdt, "System V IPC, in a namespace of its own"),
	ALLOW(68, msgget, "System V IPC, in a namespace of its own"),
	ALLOW(69, msgsnd, "System V IPC, in a namespace of its own"),
	ALLOW(70, msgrcv, "System V IPC, in a namespace of its own"),
	ALLOW(71, msgctl, "System V IPC, in a namespace of its own"),
	ALLOW(72, fcntl, "file I/O"),
	ALLOW(73, flock, "file I/O"),
	ALLOW(74, fsync, "file I/O"),
	ALLOW(75, fdatasync, "file I/O"),
	ALLOW(76, truncate, "file I/O"),
	ALLOW(77, ftruncate, "file I/O"),
	ALLOW(78, getdents, "file I/O"),
	ALLOW(79, getcwd, "paths: permissions and Landlock decide"),
	ALLOW(80, chdir, "paths: permissions and Landlock decide"),
	ALLOW(81, fchdir, "paths: permissions and Landlock decide"),
	ALLOW(82, rename, "paths: permissions and Landlock decide"),
	ALLOW(83, mkdir, "paths: permissions and Landlock decide"),
	ALLOW(84, rmdir, "paths: permissions and Landlock decide"),
	SETID(85, creat, ALLOWED, "file I/O"),
	ALLOW(86, link, "paths: permissions and Landlock decide"),
	ALLOW(87, unlink, "paths: permissions and Landlock decide"),
	ALLOW(88, symlink, "paths: permissions and Landlock decide"),
	ALLOW(89, readlink, "file metadata"),
	SETID(90, chmod, ALLOWED, "paths: permissions and Landlock decide"),
	SETID(91, fchmod, ALLOWED, "paths: permissions and Landlock decide"),
	ALLOW(92, chown, "--user root with CAP_CHOWN; the kernel checks"),
	ALLOW(93, fchown, "--user root with CAP_CHOWN; the kernel checks"),
	ALLOW(94, lchown, "--user root with CAP_CHOWN; the kernel checks"),
	ALLOW(95, umask, "file metadata"),
	ALLOW(96, gettimeofday, "time and timers"),
	ALLOW(97, getrlimit, "limits of its own process"),
	ALLOW(98, getrusage, "limits of its own process"),
	ALLOW(99, sysinfo, "facts about the machine"),
	ALLOW(100, times, "time and timers"),
	ALLOW(101, ptrace, "debuggers and leak checkers; init and launchers are undumpable"),
	ALLOW(102, getuid, "identity; the kernel checks capabilities"),
	DENY(103, syslog, EPERM, "the host's kernel log"),
	ALLOW(104, getgid, "identity; the kernel checks capabilities"),
	ALLOW(105, setuid, "identity; the kernel checks capabilities"),
	ALLOW(106, setgid, "identity; the kernel checks capabilities"),
	ALLOW(107, geteuid, "identity; the kernel checks capabilities"),
	ALLOW(108, getegid, "identity; the kernel checks capabilities"),
	ALLOW(109, setpgid, "processes"),
	ALLOW(110, getppid, "processes"),
	ALLOW(111, getpgrp, "processes"),
	ALLOW(112, setsid, "processes"),
	ALLOW(113, setreuid, "identity; the kernel checks capabilities"),
	ALLOW(114, setregid, "identity; the kernel checks capabilities"),
	ALLOW(115, getgroups, "identity; the kernel checks capabilities"),
	ALLOW(116, setgroups, "identity; the kernel checks capabilities"),
	ALLOW(117, setresuid, "identity; the kernel checks capabilities"),
	ALLOW(118, getresuid, "identity; the kernel checks capabilities"),
	ALLOW(119, setresgid, "identity; the kernel checks capabilities"),
	ALLOW(120, getresgid, "identity; the kernel checks capabilities"),
	ALLOW(121, getpgid, "processes"),
	ALLOW(122, setfsuid, "identity; the kernel checks capabilities"),
	ALLOW(123, setfsgid, "identity; the kernel checks capabilities"),
	ALLOW(124, getsid, "processes"),
	ALLOW(125, capget, "identity; the kernel checks capabilities"),
	ALLOW(126, capset, "identity; the kernel checks capabilities"),
	ALLOW(127, rt_sigpending, "signals"),
	ALLOW(128, rt_sigtimedwait, "signals"),
	ALLOW(129, rt_sigqueueinfo, "signals"),
	ALLOW(130, rt_sigsuspend, "signals"),
	ALLOW(131, sigaltstack, "signals"),
	ALLOW(132, utime, "file metadata"),
	SETID(133, mknod, CHECKED(check_mknod),
	      "a 0:0 character device is a whiteout and needs no capability"),
	DENY(134, uselib, ENOSYS, "obsolete"),
	ARG(135, personality, "READ_IMPLIES_EXEC and foreign ABIs; gdb needs ADDR_NO_RANDOMIZE"),
	DENY(136, ustat, ENOSYS, "obsolete"),
	ALLOW(137, statfs, "file metadata"),
	ALLOW(138, fstatfs, "file metadata"),
	DENY(139, sysfs, ENOSYS, "obsolete"),
	ALLOW(140, getpriority, "scheduling of its own processes"),
	ALLOW(141, setpriority, "scheduling of its own processes"),
	ALLOW(142, sched_setparam, "scheduling of its own processes"),
	ALLOW(143, sched_getparam, "scheduling of its own processes"),
	ALLOW(144, sched_setscheduler, "scheduling of its own processes"),
	ALLOW(145, sched_getscheduler, "scheduling of its own processes"),
	ALLOW(146, sched_get_priority_max, "scheduling of its own processes"),
	ALLOW(147, sched_get_priority_min, "scheduling of its own processes"),
	ALLOW(148, sched_rr_get_interval, "scheduling of its own processes"),
	ALLOW(149, mlock, "own memory"),
	ALLOW(150, munlock, "own memory"),
	ALLOW(151, mlockall, "own memory"),
	ALLOW(152, munlockall, "own memory"),
	DENY(153, vhangup, EPERM, "administration of the host"),
	DENY(154, modify_ldt, EPERM, "16-bit segments, CVE-2015-5157 and later"),
	DENY(155, pivot_root, EPERM, "mounts are made before init"),
	DENY(156, _sysctl, ENOSYS, "obsolete"),
	ALLOW(157, prctl, "a program may confine itself further"),
	ALLOW(158, arch_prctl, "threads"),
	DENY(159, adjtimex, EPERM, "the host's clock; reading it has other calls"),
	INIT(160, setrlimit, ALLOWED, CHECKED(check_setrlimit),
	     "limits of its own process, but for core files: a piped handler runs as the host's root"),
	DENY(161, chroot, EPERM, "mounts are made before init"),
	ALLOW(162, sync, "writes back; no data moves"),
	DENY(163, acct, EPERM, "administration of the host"),
	DENY(164, settimeofday, EPERM, "the host's clock; reading it has other calls"),
	DENY(165, mount, EPERM, "mounts are made before init"),
	DENY(166, umount2, EPERM, "mounts are made before init"),
	DENY(167, swapon, EPERM, "administration of the host"),
	DENY(168, swapoff, EPERM, "administration of the host"),
	DENY(169, reboot, EPERM, "administration of the host"),
	DENY(170, sethostname, EPERM, "administration of the host"),
	DENY(171, setdomainname, EPERM, "administration of the host"),
	DENY(172, iopl, EPERM, "hardware ports"),
	DENY(173, ioperm, EPERM, "hardware ports"),
	DENY(174, create_module, ENOSYS, "gone since Linux 2.6"),
	DENY(175, init_module, EPERM, "replaces or extends the kernel"),
	DENY(176, delete_module, EPERM, "replaces or extends the kernel"),
	DENY(177, get_kernel_syms, ENOSYS, "gone since Linux 2.6"),
	DENY(178, query_module, ENOSYS, "gone since Linux 2.6"),
	DENY(179, quotactl, EPERM, "administration of the host"),
	DENY(180, nfsservctl, ENOSYS, "gone since Linux 2.6"),
	DENY(181, getpmsg, ENOSYS, "never in the x86-64 kernel"),
	DENY(182, putpmsg, ENOSYS, "never in the x86-64 kernel"),
	DENY(183, afs_syscall, ENOSYS, "never in the x86-64 kernel"),
	DENY(184, tuxcall, ENOSYS, "never in the x86-64 kernel"),
	DENY(185, security, ENOSYS, "never in the x86-64 kernel"),
	ALLOW(186, gettid, "processes"),
	ALLOW(187, readahead, "file I/O"),
	ALLOW(188, setxattr, "attributes; security.* and trusted.* need capabilities"),
	ALLOW(189, lsetxattr, "attributes; security.* and trusted.* need capabilities"),
	ALLOW(190, fsetxattr, "attributes; security.* and trusted.* need capabilities"),
	ALLOW(191, getxattr, "attributes; security.* and trusted.* need capabilities"),
	ALLOW(192, lgetxattr, "attributes; security.* and trusted.* need capabilities"),
	ALLOW(193, fgetxattr, "attributes; security.* and trusted.* need capabilities"),
	ALLOW(194, listxattr, "attributes; security.* and trusted.* need capabilities"),
	ALLOW(195, llistxattr, "attributes; security.* and trusted.* need capabilities"),
	ALLOW(196, flistxattr, "attributes; security.* and trusted.* need capabilities"),
	ALLOW(197, removexattr, "attributes; security.* and trusted.* need capabilities"),
	ALLOW(198, lremovexattr, "attributes; security.* and trusted.* need capabilities"),
	ALLOW(199, fremovexattr, "attributes; security.* and trusted.* need capabilities"),
	ALLOW(200, tkill, "signals"),
	ALLOW(201, time, "time and timers"),
	ALLOW(202, futex, "threads"),
	ALLOW(203, sched_setaffinity, "scheduling of its own processes"),
	ALLOW(204, sched_getaffinity, "scheduling of its own processes"),
	DENY(205, set_thread_area, ENOSYS, "never in the x86-64 kernel"),
	DENY(206, io_setup, ENOSYS, "fs.aio-nr is one for the whole host; databases and nginx go on without"),
	ALLOW(207, io_destroy, "Linux AIO: databases, nginx"),
	ALLOW(208, io_getevents, "Linux AIO: databases, nginx"),
	ALLOW(209, io_submit, "Linux AIO: databases, nginx"),
	ALLOW(210, io_cancel, "Linux AIO: databases, nginx"),
	DENY(211, get_thread_area, ENOSYS, "never in the x86-64 kernel"),
	DENY(212, lookup_dcookie, ENOSYS, "obsolete"),
	ALLOW(213, epoll_create, "readiness"),
	DENY(214, epoll_ctl_old, ENOSYS, "never in the x86-64 kernel"),
	DENY(215, epoll_wait_old, ENOSYS, "never in the x86-64 kernel"),
	DENY(216, remap_file_pages, ENOSYS, "deprecated since Linux 3.16"),
	ALLOW(217, getdents64, "file I/O"),
	ALLOW(218, set_tid_address, "processes"),
	ALLOW(219, restart_syscall, "signals"),
	ALLOW(220, semtimedop, "System V IPC, in a namespace of its own"),
	ALLOW(221, fadvise64, "file I/O"),
	ALLOW(222, timer_create, "time and timers"),
	ALLOW(223, timer_settime, "time and timers"),
	ALLOW(224, timer_gettime, "time and timers"),
	ALLOW(225, timer_getoverrun, "time and timers"),
	ALLOW(226, timer_delete, "time and timers"),
	DENY(227, clock_settime, EPERM, "the host's clock; reading it has other calls"),
	ALLOW(228, clock_gettime, "time and timers"),
	ALLOW(229, clock_getres, "time and timers"),
	ALLOW(230, clock_nanosleep, "time and timers"),
	ALLOW(231, exit_group, "processes"),
	ALLOW(232, epoll_wait, "readiness"),
	ALLOW(233, epoll_ctl, "readiness"),
	ALLOW(234, tgkill, "signals"),
	ALLOW(235, utimes, "file metadata"),
	DENY(236, vserver, ENOSYS, "never in the x86-64 kernel"),
	DENY(237, mbind, ENOSYS, "NUMA; with ENOSYS libnuma says that there is none"),
	DENY(238, set_mempolicy, ENOSYS, "NUMA; with ENOSYS libnuma says that there is none"),
	DENY(239, get_mempolicy, ENOSYS, "NUMA; with ENOSYS libnuma says that there is none"),
	ALLOW(240, mq_open, "POSIX queues, in a namespace of its own"),
	ALLOW(241, mq_unlink, "POSIX queues, in a namespace of its own"),
	ALLOW(242, mq_timedsend, "POSIX queues, in a namespace of its own"),
	ALLOW(243, mq_timedreceive, "POSIX queues, in a namespace of its own"),
	ALLOW(244, mq_notify, "POSIX queues, in a namespace of its own"),
	ALLOW(245, mq_getsetattr, "POSIX queues, in a namespace of its own"),
	DENY(246, kexec_load, EPERM, "replaces or extends the kernel"),
	ALLOW(247, waitid, "processes"),
	DENY(248, add_key, ENOSYS, "keyrings are not namespaced"),
	DENY(249, request_key, ENOSYS, "keyrings are not namespaced"),
	DENY(250, keyctl, ENOSYS, "keyrings are not namespaced"),
	ALLOW(251, ioprio_set, "scheduling of its own processes"),
	ALLOW(252, ioprio_get, "scheduling of its own processes"),
	ALLOW(253, inotify_init, "watches of files it can read"),
	ALLOW(254, inotify_add_watch, "watches of files it can read"),
	ALLOW(255, inotify_rm_watch, "watches of files it can read"),
	DENY(256, migrate_pages, ENOSYS, "NUMA; with ENOSYS libnuma says that there is none"),
	SETID(257, openat, ALLOWED, "file I/O"),
	ALLOW(258, mkdirat, "paths: permissions and Landlock decide"),
	SETID(259, mknodat, CHECKED(check_mknodat), "as mknod"),
	ALLOW(260, fchownat, "--user root with CAP_CHOWN; the kernel checks"),
	ALLOW(261, futimesat, "file metadata"),
	ALLOW(262, newfstatat, "file metadata"),
	ALLOW(263, unlinkat, "paths: permissions and Landlock decide"),
	ALLOW(264, renameat, "paths: permissions and Landlock decide"),
	ALLOW(265, linkat, "paths: permissions and Landlock decide"),
	ALLOW(266, symlinkat, "paths: permissions and Landlock decide"),
	ALLOW(267, readlinkat, "file metadata"),
	SETID(268, fchmodat, ALLOWED, "paths: permissions and Landlock decide"),
	ALLOW(269, faccessat, "file metadata"),
	ALLOW(270, pselect6, "readiness"),
	ALLOW(271, ppoll, "readiness"),
	INIT(272, unshare, CHECKED(check_unshare), ERR(EPERM),
	     "launcher: its own cgroup namespace; commands none"),
	ALLOW(273, set_robust_list, "threads"),
	ALLOW(274, get_robust_list, "threads"),
	ALLOW(275, splice, "pipes"),
	ALLOW(276, tee, "pipes"),
	ALLOW(277, sync_file_range, "file I/O"),
	ALLOW(278, vmsplice, "pipes"),
	DENY(279, move_pages, ENOSYS, "NUMA; with ENOSYS libnuma says that there is none"),
	ALLOW(280, utimensat, "file metadata"),
	ALLOW(281, epoll_pwait, "readiness"),
	ALLOW(282, signalfd, "readiness"),
	ALLOW(283, timerfd_create, "time and timers"),
	ALLOW(284, eventfd, "readiness"),
	ALLOW(285, fallocate, "file I/O"),
	ALLOW(286, timerfd_settime, "time and timers"),
	ALLOW(287, timerfd_gettime, "time and timers"),
	ALLOW(288, accept4, "sockets that socket() let through"),
	ALLOW(289, signalfd4, "readiness"),
	ALLOW(290, eventfd2, "readiness"),
	ALLOW(291, epoll_create1, "readiness"),
	ALLOW(292, dup3, "descriptors"),
	ALLOW(293, pipe2, "pipes"),
	ALLOW(294, inotify_init1, "watches of files it can read"),
	ALLOW(295, preadv, "file I/O"),
	ALLOW(296, pwritev, "file I/O"),
	ALLOW(297, rt_tgsigqueueinfo, "signals"),
	DENY(298, perf_event_open, EPERM, "kernel LPE source"),
	ALLOW(299, recvmmsg, "sockets that socket() let through"),
	DENY(300, fanotify_init, ENOSYS, "watches whole file systems"),
	DENY(301, fanotify_mark, ENOSYS, "watches whole file systems"),
	INIT(302, prlimit64, ALLOWED, CHECKED(check_prlimit64),
	     "init: limits of commands; a command only its own (DESIGN section 4), and as setrlimit"),
	DENY(303, name_to_handle_at, EPERM, "handles pass by mount boundaries (shocker)"),
	DENY(304, open_by_handle_at, EPERM, "handles pass by mount boundaries (shocker)"),
	DENY(305, clock_adjtime, EPERM, "the host's clock; reading it has other calls"),
	ALLOW(306, syncfs, "writes back; no data moves"),
	ALLOW(307, sendmmsg, "sockets that socket() let through"),
	DENY(308, setns, EPERM, "namespaces of others"),
	ALLOW(309, getcpu, "scheduling of its own processes"),
	ALLOW(310, process_vm_readv, "debuggers and leak checkers; init and launchers are undumpable"),
	ALLOW(311, process_vm_writev, "debuggers and leak checkers; init and launchers are undumpable"),
	DENY(312, kcmp, EPERM, "compares or takes descriptors of other processes"),
	DENY(313, finit_module, EPERM, "replaces or extends the kernel"),
	ALLOW(314, sched_setattr, "scheduling of its own processes"),
	ALLOW(315, sched_getattr, "scheduling of its own processes"),
	ARG(316, renameat2, "RENAME_WHITEOUT makes a node that an overlay reads as a deletion"),
	ALLOW(317, seccomp, "a program may confine itself further"),
	ALLOW(318, getrandom, "random bytes"),
	OPTION(319, memfd_create, PF_FILTER_NO_MEMFD, ENOSYS,
	       "a program in memory; gone with an approved list (commands.allow)"),
	DENY(320, kexec_file_load, EPERM, "replaces or extends the kernel"),
	DENY(321, bpf, EPERM, "kernel LPE source"),
	ALLOW(322, execveat, "processes"),
	DENY(323, userfaultfd, ENOSYS, "makes kernel races winnable"),
	ALLOW(324, membarrier, "threads"),
	ALLOW(325, mlock2, "own memory"),
	ALLOW(326, copy_file_range, "file I/O"),
	ALLOW(327, preadv2, "file I/O"),
	ALLOW(328, pwritev2, "file I/O"),
	ALLOW(329, pkey_mprotect, "own memory"),
	ALLOW(330, pkey_alloc, "own memory"),
	ALLOW(331, pkey_free, "own memory"),
	ALLOW(332, statx, "file metadata"),
	ALLOW(333, io_pgetevents, "Linux AIO: databases, nginx"),
	ALLOW(334, rseq, "threads"),
	ALLOW(335, uretprobe, "the host's probes enter it from their trampoline; SIGILL elsewhere"),
	ALLOW(336, uprobe, "the host's probes enter it from their trampoline; SIGILL elsewhere"),
	ALLOW(424, pidfd_send_signal, "signals"),
	DENY(425, io_uring_setup, ENOSYS, "kernel LPE source; programs fall back"),
	DENY(426, io_uring_enter, ENOSYS, "kernel LPE source; programs fall back"),
	DENY(427, io_uring_register, ENOSYS, "kernel LPE source; programs fall back"),
	DENY(428, open_tree, EPERM, "mounts are made before init"),
	DENY(429, move_mount, EPERM, "mounts are made before init"),
	DENY(430, fsopen, EPERM, "mounts are made before init"),
	DENY(431, fsconfig, EPERM, "mounts are made before init"),
	DENY(432, fsmount, EPERM, "mounts are made before init"),
	DENY(433, fspick, EPERM, "mounts are made before init"),
	ALLOW(434, pidfd_open, "processes"),
	INIT(435, clone3, ALLOWED, ERR(ENOSYS),
	     "init: CLONE_INTO_CGROUP; its flags are in memory, so libc must fall back to clone"),
	ALLOW(436, close_range, "file I/O"),
	OPTION(437, openat2, PF_FILTER_NO_SETID, ENOSYS, "file I/O"),
	DENY(438, pidfd_getfd, EPERM, "compares or takes descriptors of other processes"),
	ALLOW(439, faccessat2, "file metadata"),
	DENY(440, process_madvise, EPERM, "advice on other processes' memory"),
	ALLOW(441, epoll_pwait2, "readiness"),
	DENY(442, mount_setattr, EPERM, "mounts are made before init"),
	DENY(443, quotactl_fd, EPERM, "administration of the host"),
	ALLOW(444, landlock_create_ruleset, "a program may confine itself further"),
	ALLOW(445, landlock_add_rule, "a program may confine itself further"),
	ALLOW(446, landlock_restrict_self, "a program may confine itself further"),
	DENY(447, memfd_secret, ENOSYS, "memory that nobody can inspect"),
	DENY(448, process_mrelease, ENOSYS, "memory of dying processes: an out-of-memory daemon's call"),
	ALLOW(449, futex_waitv, "threads"),
	DENY(450, set_mempolicy_home_node, ENOSYS, "NUMA; with ENOSYS libnuma says that there is none"),
	ALLOW(451, cachestat, "page cache counts of an open file"),
	SETID(452, fchmodat2, ALLOWED, "paths: permissions and Landlock decide"),
	ALLOW(453, map_shadow_stack, "own memory"),
	ALLOW(454, futex_wake, "threads"),
	ALLOW(455, futex_wait, "threads"),
	ALLOW(456, futex_requeue, "threads"),
	DENY(457, statmount, ENOSYS, "the sandbox's mounts; libmount falls back to mountinfo"),
	DENY(458, listmount, ENOSYS, "the sandbox's mounts; libmount falls back to mountinfo"),
	DENY(459, lsm_get_self_attr, ENOSYS, "labels of the host's security module"),
	DENY(460, lsm_set_self_attr, ENOSYS, "labels of the host's security module"),
	DENY(461, lsm_list_modules, ENOSYS, "labels of the host's security module"),
	ALLOW(462, mseal, "own memory"),
	ALLOW(463, setxattrat, "attributes; security.* and trusted.* need capabilities"),
	ALLOW(464, getxattrat, "attributes; security.* and trusted.* need capabilities"),
	ALLOW(465, listxattrat, "attributes; security.* and trusted.* need capabilities"),
	ALLOW(466, removexattrat, "attributes; security.* and trusted.* need capabilities"),
	DENY(467, open_tree_attr, EPERM, "mounts are made before init"),
	DENY(468, file_getattr, ENOSYS, "too new to be needed; the ioctl does the same"),
	DENY(469, file_setattr, ENOSYS, "too new to be needed; the ioctl does the same"),
};

const size_t pf__syscall_count = COUNT(pf__syscalls);
