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
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
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

/* A Unix socket by path, or "@name" for an abstract one. The peer sends a descriptor; read what it leads to.
 */
static int verb_unix(char **argv)
{
	for (; *argv; argv++) {
		struct sockaddr_un to = {.sun_family = AF_UNIX};
		char control[CMSG_SPACE(sizeof(int))], byte, text[256];
		struct iovec iov = {&byte, 1};
		struct msghdr h = {.msg_iov = &iov,
				   .msg_iovlen = 1,
				   .msg_control = control,
				   .msg_controllen = sizeof(control)};
		int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
		size_t n = strlen(*argv);
		ssize_t got;

		memcpy(to.sun_path, *argv, n);
		if (**argv == '@')
			to.sun_path[0] = '\0';
		if (connect(s, (struct sockaddr *)&to,
			    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0) {
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
	/* a pseudo-terminal is no virtual console: with the permission the answer is "not this kind of
	 * terminal" */
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

void print_status(const char *key)
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
	    syscall(431, fs, 6 /* create */, NULL, NULL, 0) < 0 ||
	    (tree = (int)syscall(432 /* fsmount */, fs, 1, 0)) < 0) {
		say("mount", 0);
		return 0;
	}
	say("release_agent", openat(tree, "release_agent", O_WRONLY | O_CLOEXEC) >= 0);
	return 0;
}

/* Every descriptor and every place a group could be: is there a file that moves a process? */
static int verb_cgroup_files(char **argv)
{
	static const char *const names[] = {
		"cgroup.procs",	      "tasks",	     "../cgroup.procs", "../tasks",
		"../../cgroup.procs", "../../tasks", "1/tasks",		"1/cgroup.procs"};
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
			snprintf(what, sizeof(what), "%s/%s", i < 256 ? "descriptor" : places[i - 256],
				 names[j]);
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

/* --- extended attributes ----------------------------------------------------------------------------------
 */

static int verb_attributes(char **argv) /* PATH... */
{
	static const char *const names[] = {"trusted.overlay.opaque", "trusted.overlay.redirect",
					    "user.overlay.opaque",    "user.overlay.redirect",
					    "user.overlay.whiteout",  "security.capability"};
	char what[512];
	unsigned i;

	for (; *argv; argv++)
		for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
			snprintf(what, sizeof(what), "%s %s", names[i], *argv);
			say(what, setxattr(*argv, names[i], "y", 1, 0) == 0);
		}
	return 0;
}

/* ---------------------------------------------------------------------------------------------------------
 */

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
	{"wait", verb_wait},
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
