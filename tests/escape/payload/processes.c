/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on processes and on what processes share: init, launchers, signals, System V objects, limits. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"

/* --- init ------------------------------------------------------------------------------------ */

int verb_init(char **argv)
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
	say("fd", open(name, O_PATH | O_CLOEXEC) >= 0); /* access(2) would go without capabilities */
	snprintf(name, sizeof(name), "/proc/%d/root/.", pid);
	say("root", open(name, O_PATH | O_CLOEXEC) >= 0);
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
int verb_schedule(char **argv)
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

int verb_how_scheduled(char **argv)
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

int verb_signal(char **argv) /* PID... */
{
	for (; *argv; argv++)
		say(*argv, kill(atoi(*argv), 0) == 0);
	return 0;
}

/* Never in the tests' own PID namespace, whatever was switched off: its name is the first argument. */
static int elsewhere(const char *host)
{
	char own[64] = "";

	return readlink("/proc/self/ns/pid", own, sizeof(own) - 1) > 0 && strncmp(host, "pid:", 4) == 0 &&
	       strcmp(own, host) != 0;
}

int verb_kill_all(char **argv) /* NAMESPACE SIGNAL */
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

/* Stay, under a name that can be found; not for ever, should the test die. */
int verb_wait(char **argv)
{
	(void)argv;
	alarm(120);
	for (;;)
		pause();
	return 0;
}

/* A child of our parent's, beyond the reach of whoever waits for us, in a session of its own. */
int verb_clone_parent(char **argv)
{
	long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0) {
		setsid();
		return verb_wait(argv);
	}
	say(*argv ? *argv : "sibling", pid > 0);
	return 0;
}

/* --- what is shared -------------------------------------------------------------------------------- */

int verb_shm(char **argv) /* KEY */
{
	int id = shmget((key_t)strtol(*argv, NULL, 0), 0, 0);
	const char *p = id < 0 ? (void *)-1 : shmat(id, NULL, SHM_RDONLY);

	say("shm", p != (void *)-1);
	if (p != (void *)-1)
		printf("%.64s\n", p);
	return 0;
}

int verb_with_shm(char **argv) /* KEY TEXT: on the host */
{
	int id = shmget((key_t)strtol(argv[0], NULL, 0), 4096, IPC_CREAT | IPC_EXCL | 0666);
	char *p = id < 0 ? (void *)-1 : shmat(id, NULL, 0);

	if (p == (void *)-1)
		return 1;
	strncpy(p, argv[1], 64);
	printf("%d\n", id);
	return 0;
}

int verb_with_shm_removed(char **argv)
{
	return shmctl(atoi(*argv), IPC_RMID, NULL) < 0;
}

int verb_hostname(char **argv)
{
	say("sethostname", sethostname(*argv, strlen(*argv)) == 0);
	return 0;
}

/* --- resources ---------------------------------------------------------------------------------------- */

int verb_fork(char **argv) /* N children at once */
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

int verb_memory(char **argv) /* MiB */
{
	size_t n = (size_t)atoi(*argv) << 20, i;
	volatile char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (i = 0; p != MAP_FAILED && i < n; i += 4096)
		p[i] = 1;
	say("memory", p != MAP_FAILED);
	return 0;
}

int verb_fill(char **argv) /* MiB DIR */
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

int verb_inodes(char **argv) /* N DIR */
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

int verb_files(char **argv) /* N */
{
	int i, n = atoi(*argv);

	for (i = 0; i < n && dup(0) >= 0; i++)
		;
	say("files", i == n);
	return i != n;
}

int verb_output(char **argv) /* MiB */
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
int verb_bomb(char **argv) /* NAMESPACE */
{
	while (elsewhere(*argv))
		if (fork() == 0)
			setsid();
	return 3;
}
