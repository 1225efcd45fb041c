/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the attacks of tests/escape run inside: one static program, `attack VERB [ARG...]`.
 *
 * It says "tried" once it runs, and for each attempt one line: "ESCAPED what" if it worked, else
 * "refused what: why". Every attempt is harmless where it works: files are opened and not written, settings
 * are set to what they are, calls get arguments that end in another error once the permission is there.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "attack.h"

void say(const char *what, int ok)
{
	if (ok)
		printf("ESCAPED %s\n", what);
	else
		printf("refused %s: %s\n", what, strerror(errno));
	fflush(stdout);
}

/* --- files -------------------------------------------------------------------------- */

static int verb_read(char **argv)
{
	for (; *argv; argv++) {
		char text[512]; /* a multiple of 8: /proc/kpagecount gives nothing else */
		int fd = open(*argv, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

		say(*argv, n > 0);
		if (n > 0)
			printf("%.*s\n", (int)n, text);
		if (fd >= 0)
			close(fd);
	}
	return 0;
}

static int verb_open_for_writing(char **argv)
{
	for (; *argv; argv++) {
		int fd = open(*argv, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

		say(*argv, fd >= 0);
		if (fd >= 0)
			close(fd);
	}
	return 0;
}

/* Could it be written, were it not busy? access(2) asks permissions and the mount. */
static int verb_may_write(char **argv)
{
	for (; *argv; argv++)
		say(*argv, access(*argv, W_OK) == 0);
	return 0;
}

static int verb_create(char **argv)
{
	for (; *argv; argv++) {
		int fd = open(*argv, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

		say(*argv, fd >= 0);
		if (fd >= 0)
			close(fd);
	}
	return 0;
}

/* Every descriptor above the standard streams: what it is, what is below it. */
static int verb_descriptors(char **argv)
{
	const char *leaf = *argv ? *argv : "secret";
	int fd;

	for (fd = 3; fd < 1024; fd++) {
		char text[256], name[64];
		int in;
		ssize_t n;

		if (fcntl(fd, F_GETFD) < 0)
			continue;
		in = openat(fd, leaf, O_RDONLY | O_CLOEXEC);
		snprintf(name, sizeof(name), "descriptor %d", fd);
		n = in < 0 ? pread(fd, text, sizeof(text) - 1, 0) : read(in, text, sizeof(text) - 1);
		say(name, n > 0);
		if (n > 0) {
			text[n] = '\0';
			printf("%s\n", text);
		}
	}
	return 0;
}

/* Is the current directory one of this root? If not, what lies above it? */
static int verb_directory(char **argv)
{
	char text[512], path[600];
	const char *p = *argv ? *argv : "secret";
	int up;

	for (up = 0; up < 4; up++) {
		int fd;
		ssize_t n;

		snprintf(path, sizeof(path), "%.*s%s", up * 3, "../../../../", p);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
		say(path, n > 0);
		if (n > 0) {
			text[n] = '\0';
			printf("%s\n", text);
			return 0;
		}
	}
	return 0;
}

/* --- network and sockets -------------------------------------------------------------- */

static int verb_send(char **argv) /* PORT TEXT */
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[0]))};
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	say("send", s >= 0 && connect(s, (struct sockaddr *)&to, sizeof(to)) == 0 &&
			    write(s, argv[1], strlen(argv[1])) > 0);
	return 0;
}

/* A Unix socket by path, or "@name" for an abstract one. The peer sends a descriptor; read what it leads to. */
static int verb_unix(char **argv)
{
	for (; *argv; argv++) {
		struct sockaddr_un to = {.sun_family = AF_UNIX};
		char control[CMSG_SPACE(sizeof(int))], byte, text[256];
		struct iovec iov = {&byte, 1};
		struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
		int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
		size_t n = strlen(*argv);
		ssize_t got;

		memcpy(to.sun_path, *argv, n);
		if (**argv == '@')
			to.sun_path[0] = '\0';
		if (connect(s, (struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0) {
			say(*argv, 0);
			continue;
		}
		say(*argv, 1);
		if (recvmsg(s, &h, 0) <= 0 || !CMSG_FIRSTHDR(&h))
			continue;
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&h)), sizeof(fd));
		got = read(fd, text, sizeof(text) - 1);
		if (got > 0) {
			text[got] = '\0';
			printf("passed descriptor: %s\n", text);
		}
		close(s);
	}
	return 0;
}

/* --- devices --------------------------------------------------------------------------- */

/* A node of the zero device (1:5), made and read. */
static int verb_device(char **argv)
{
	char byte = 1;
	int fd;

	(void)argv;
	if (mknod("/tmp/node", S_IFCHR | 0666, makedev(1, 5)) < 0) {
		say("mknod", 0);
		return 0;
	}
	fd = open("/tmp/node", O_RDONLY | O_CLOEXEC);
	say("device", fd >= 0 && read(fd, &byte, 1) == 1 && byte == 0);
	unlink("/tmp/node");
	return 0;
}

/* --- terminals -------------------------------------------------------------------------- */

static void ask(const char *what, unsigned long command, void *arg)
{
	/* a pseudo-terminal is no virtual console: with the permission the answer is "not this kind of terminal" */
	int ok = syscall(SYS_ioctl, 0, command, arg) == 0 || errno == ENOTTY;

	puts(""); /* what was typed is echoed on this line */
	say(what, ok);
}

static int verb_terminal(char **argv)
{
	int zero = 0;

	(void)argv;
	ask("TIOCSTI", 0x5412UL, "x");
	ask("TIOCSTI-high", 0xdeadbeef00005412UL, "x");
	ask("TIOCLINUX", 0x541cUL, "\2");
	ask("TIOCLINUX-high", 0x10000541cUL, "\2");
	ask("TIOCSETD", 0x5423UL, &zero);
	return 0;
}

/* --- privilege -------------------------------------------------------------------------- */

static void print_status(const char *key)
{
	char line[256];
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			fputs(line, stdout);
	if (f)
		fclose(f);
}

/* Run as a set-user-id program, or one with file capabilities: did it become more? */
static int verb_whoami(char **argv)
{
	unsigned head[2] = {0x20080522, 0}, data[6] = {0};

	(void)argv;
	syscall(SYS_capget, head, data);
	errno = EPERM;
	say("uid 0", geteuid() == 0);
	say("capabilities", (data[0] | data[3]) != 0); /* effective, both halves */
	print_status("Cap");
	return 0;
}

/* --- cgroups ------------------------------------------------------------------------------ */

/* The hierarchy as a detached mount: it is attached nowhere and gone with its descriptor. */
static int verb_release_agent(char **argv)
{
	int fs = (int)syscall(430 /* fsopen */, "cgroup", 1), tree;

	(void)argv;
	if (fs < 0 || syscall(431 /* fsconfig */, fs, 0 /* flag */, "pids", NULL, 0) < 0 ||
	    syscall(431, fs, 6 /* create */, NULL, NULL, 0) < 0 || (tree = (int)syscall(432 /* fsmount */, fs, 1, 0)) < 0) {
		say("mount", 0);
		return 0;
	}
	say("release_agent", openat(tree, "release_agent", O_WRONLY | O_CLOEXEC) >= 0);
	return 0;
}

/* Every descriptor and every place a group could be: is there a file that moves a process? */
static int verb_cgroup_files(char **argv)
{
	static const char *const names[] = {"cgroup.procs", "tasks", "../cgroup.procs", "../tasks", "../../cgroup.procs",
					    "../../tasks", "1/tasks", "1/cgroup.procs"};
	static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/memory",
					     "/sys/fs/cgroup/unified", "/proc/1/root/sys/fs/cgroup"};
	unsigned i, j;
	char what[128];

	(void)argv;
	for (i = 3; i < 256 + sizeof(places) / sizeof(*places); i++) {
		int dir = i < 256 ? (int)i : open(places[i - 256], O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (dir < 0 || fcntl(dir, F_GETFD) < 0)
			continue;
		for (j = 0; j < sizeof(names) / sizeof(*names); j++) {
			snprintf(what, sizeof(what), "%s/%s", i < 256 ? "descriptor" : places[i - 256], names[j]);
			say(what, openat(dir, names[j], O_WRONLY | O_CLOEXEC) >= 0);
		}
	}
	return 0;
}

/* --- keyrings ------------------------------------------------------------------------------- */

static int verb_key(char **argv) /* NAME: a "user" key in the caller's session keyring */
{
	char text[128] = "";
	long key = syscall(SYS_keyctl, 10 /* KEYCTL_SEARCH */, -3L, "user", argv[0], 0L);

	if (key > 0)
		key = syscall(SYS_keyctl, 11 /* KEYCTL_READ */, key, text, sizeof(text) - 1);
	say("key", key > 0);
	puts(text);
	return 0;
}

/* On the host: a new session keyring with a key in it, then the program. */
static int verb_with_key(char **argv) /* NAME TEXT PROGRAM ARG... */
{
	if (syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, NULL) < 0 ||
	    syscall(SYS_add_key, "user", argv[0], argv[1], strlen(argv[1]), -3L) < 0) {
		perror("keyring");
		return 77;
	}
	/* everybody's right to view, read and search it: possession is not what should protect it */
	execvp(argv[2], argv + 2);
	return 127;
}

/* --- init ------------------------------------------------------------------------------------ */

static int verb_init(char **argv)
{
	char byte, name[64];
	struct iovec to = {&byte, 1}, from = {(void *)0x400000, 1};
	struct rlimit limit;
	int fd, pid = *argv ? atoi(*argv) : 1;

	say("ptrace", ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0);
	snprintf(name, sizeof(name), "/proc/%d/mem", pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	say("mem", fd >= 0);
	snprintf(name, sizeof(name), "/proc/%d/environ", pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	say("environ", fd >= 0);
	snprintf(name, sizeof(name), "/proc/%d/maps", pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	say("maps", fd >= 0 && read(fd, &byte, 1) == 1);
	snprintf(name, sizeof(name), "/proc/%d/fd/3", pid);
	say("fd", access(name, F_OK) == 0);
	snprintf(name, sizeof(name), "/proc/%d/root/.", pid);
	say("root", access(name, F_OK) == 0);
	say("process_vm_readv", process_vm_readv(pid, &to, 1, &from, 1, 0) == 1);
	fd = (int)syscall(434 /* pidfd_open */, pid, 0);
	say("pidfd_getfd", fd >= 0 && syscall(438 /* pidfd_getfd */, fd, 3, 0) >= 0);
	snprintf(name, sizeof(name), "/proc/%d/oom_score_adj", pid);
	fd = open(name, O_WRONLY | O_CLOEXEC);
	say("oom_score_adj", fd >= 0);
	say("prlimit", prlimit(pid, RLIMIT_CORE, NULL, &limit) == 0);
	return 0;
}

/* What needs no more than the same uid: change how another process is scheduled. */
static int verb_schedule(char **argv)
{
	int pid = *argv ? atoi(*argv) : 1;
	struct sched_param p = {0};
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	say("affinity", sched_setaffinity(pid, sizeof(one), &one) == 0);
	say("nice", setpriority(PRIO_PROCESS, (id_t)pid, 19) == 0);
	say("nice-group", setpriority(PRIO_PGRP, (id_t)pid, 19) == 0);
	say("nice-user", setpriority(PRIO_USER, 0, 19) == 0 && getpriority(PRIO_PROCESS, (id_t)pid) == 19);
	/* SYS_*: musl's own answer ENOSYS */
	say("policy", syscall(SYS_sched_setscheduler, pid, 5 /* SCHED_IDLE */, &p) == 0);
	say("ioprio", syscall(SYS_ioprio_set, 1 /* IOPRIO_WHO_PROCESS */, pid, 3 << 13) == 0);
	return 0;
}

static int verb_how_scheduled(char **argv)
{
	cpu_set_t set;

	(void)argv;
	sched_getaffinity(0, sizeof(set), &set);
	printf("cpus %d nice %d policy %ld ioprio %ld\n", CPU_COUNT(&set), getpriority(PRIO_PROCESS, 0),
	       syscall(SYS_sched_getscheduler, 0), syscall(SYS_ioprio_get, 1, 0) >> 13);
	print_status("Threads");
	return 0;
}

/* --- processes ---------------------------------------------------------------------------------- */

static int verb_signal(char **argv) /* PID... */
{
	for (; *argv; argv++)
		say(*argv, kill(atoi(*argv), 0) == 0);
	return 0;
}

/* Never in the tests' own PID namespace, whatever was switched off: its name is the first argument. */
static int elsewhere(const char *host)
{
	char own[64] = "";

	return readlink("/proc/self/ns/pid", own, sizeof(own) - 1) > 0 && strncmp(host, "pid:", 4) == 0 && strcmp(own, host) != 0;
}

static int verb_kill_all(char **argv) /* NAMESPACE SIGNAL */
{
	if (!elsewhere(argv[0])) {
		puts("this is the host: nothing was sent");
		return 3;
	}
	kill(-1, atoi(argv[1]));
	puts("sent");
	fflush(stdout);
	return 0;
}

/* A child of our parent's, beyond the reach of whoever waits for us, in a session of its own. */
static int verb_clone_parent(char **argv)
{
	long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0) {
		setsid();
		for (;;)
			pause();
	}
	say(*argv ? *argv : "sibling", pid > 0);
	return 0;
}

/* --- what is shared -------------------------------------------------------------------------------- */

static int verb_shm(char **argv) /* KEY */
{
	int id = shmget((key_t)strtol(*argv, NULL, 0), 0, 0);
	const char *p = id < 0 ? (void *)-1 : shmat(id, NULL, SHM_RDONLY);

	say("shm", p != (void *)-1);
	if (p != (void *)-1)
		printf("%.64s\n", p);
	return 0;
}

static int verb_with_shm(char **argv) /* KEY TEXT: on the host */
{
	int id = shmget((key_t)strtol(argv[0], NULL, 0), 4096, IPC_CREAT | IPC_EXCL | 0666);
	char *p = id < 0 ? (void *)-1 : shmat(id, NULL, 0);

	if (p == (void *)-1)
		return 1;
	strncpy(p, argv[1], 64);
	printf("%d\n", id);
	return 0;
}

static int verb_with_shm_removed(char **argv)
{
	return shmctl(atoi(*argv), IPC_RMID, NULL) < 0;
}

static int verb_hostname(char **argv)
{
	say("sethostname", sethostname(*argv, strlen(*argv)) == 0);
	return 0;
}

/* --- resources ---------------------------------------------------------------------------------------- */

static int verb_fork(char **argv) /* N children at once */
{
	int want = atoi(*argv), n = 0, p[2];

	if (pipe(p) < 0)
		return 1;
	for (; n < want; n++) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (pid == 0) {
			char c;

			close(p[1]);
			_exit((int)read(p[0], &c, 1));
		}
	}
	say("fork", n == want);
	printf("%d processes\n", n);
	close(p[1]);
	while (wait(NULL) > 0)
		;
	return n == want ? 0 : 1;
}

static int verb_memory(char **argv) /* MiB */
{
	size_t n = (size_t)atoi(*argv) << 20, i;
	volatile char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (i = 0; p != MAP_FAILED && i < n; i += 4096)
		p[i] = 1;
	say("memory", p != MAP_FAILED);
	return 0;
}

static int verb_fill(char **argv) /* MiB DIR */
{
	static char block[1 << 20];
	char path[256];
	int i, fd, n = atoi(argv[0]);

	snprintf(path, sizeof(path), "%s/fill", argv[1]);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	for (i = 0; i < n; i++)
		if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block))
			break;
	say("fill", i == n);
	return i != n;
}

static int verb_inodes(char **argv) /* N DIR */
{
	int i, n = atoi(argv[0]);
	char path[256];

	for (i = 0; i < n; i++) {
		int fd;

		snprintf(path, sizeof(path), "%s/i%d", argv[1], i);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
		if (fd < 0)
			break;
		close(fd);
	}
	say("inodes", i == n);
	return i != n;
}

static int verb_files(char **argv) /* N */
{
	int i, n = atoi(*argv);

	for (i = 0; i < n && dup(0) >= 0; i++)
		;
	say("files", i == n);
	return i != n;
}

static int verb_output(char **argv) /* MiB */
{
	static char block[1 << 20];
	int i, n = atoi(*argv);

	memset(block, 'x', sizeof(block) - 1);
	block[sizeof(block) - 1] = '\n';
	for (i = 0; i < n; i++)
		if (write(1, block, sizeof(block)) < 0)
			return 1;
	say("output", 1);
	return 0;
}

/* Fork without end, hold memory, fill /tmp: all children beside each other, none is waited for. */
static int verb_bomb(char **argv) /* NAMESPACE */
{
	while (elsewhere(*argv))
		if (fork() == 0)
			setsid();
	return 3;
}

/* --- extended attributes ---------------------------------------------------------------------------------- */

static int verb_attributes(char **argv) /* PATH... */
{
	static const char *const names[] = {"trusted.overlay.opaque", "trusted.overlay.redirect", "user.overlay.opaque",
					    "user.overlay.redirect", "user.overlay.whiteout", "security.capability"};
	char what[512];
	unsigned i;

	for (; *argv; argv++)
		for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
			snprintf(what, sizeof(what), "%s %s", names[i], *argv);
			say(what, setxattr(*argv, names[i], "y", 1, 0) == 0);
		}
	return 0;
}

/* --------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int (*run)(char **argv);
} verbs[] = {
	{"read", verb_read},
	{"open-for-writing", verb_open_for_writing},
	{"may-write", verb_may_write},
	{"create", verb_create},
	{"descriptors", verb_descriptors},
	{"directory", verb_directory},
	{"send", verb_send},
	{"unix", verb_unix},
	{"device", verb_device},
	{"terminal", verb_terminal},
	{"whoami", verb_whoami},
	{"release-agent", verb_release_agent},
	{"cgroup-files", verb_cgroup_files},
	{"key", verb_key},
	{"with-key", verb_with_key},
	{"init", verb_init},
	{"schedule", verb_schedule},
	{"how-scheduled", verb_how_scheduled},
	{"signal", verb_signal},
	{"kill-all", verb_kill_all},
	{"clone-parent", verb_clone_parent},
	{"shm", verb_shm},
	{"with-shm", verb_with_shm},
	{"with-shm-removed", verb_with_shm_removed},
	{"hostname", verb_hostname},
	{"fork", verb_fork},
	{"memory", verb_memory},
	{"fill", verb_fill},
	{"inodes", verb_inodes},
	{"files", verb_files},
	{"output", verb_output},
	{"bomb", verb_bomb},
	{"attributes", verb_attributes},
	{"calls", verb_calls},
	{"sockets", verb_sockets},
};

int main(int argc, char **argv)
{
	unsigned i;

	if (argc < 2 || strncmp(argv[1], "with-", 5) != 0) { /* those run on the host, around the program */
		puts("tried");
		fflush(stdout);
	}
	for (i = 0; argc > 1 && i < sizeof(verbs) / sizeof(*verbs); i++)
		if (strcmp(verbs[i].name, argv[1]) == 0)
			return verbs[i].run(argv + 2);
	/* a copy that is started by its own name, as a set-user-id program is */
	return argc == 1 ? verb_whoami(argv) : 2;
}
