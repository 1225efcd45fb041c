/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The helper pinfold-unpack as a child: started at the first archive, kept until the redactor goes. What it
 * answers is not trusted beyond being bytes: lengths are checked, and it has two seconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "guard/redact_blob.h"

#define PATIENCE_NS 2000000000ull

struct pf__unpacker {
	pid_t pid;
	int fd;
};

static void become(const char *path, int fd) __attribute__((noreturn));
static void become(const char *path, int fd)
{
	char *argv[] = {(char *)(uintptr_t) "pinfold-unpack", NULL}, *env[] = {NULL};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(fd, 0) < 0 || dup2(fd, 1) < 0)
		_exit(126);
	pf_close_from(2);
	execve(path, argv, env);
	_exit(127);
}

int pf__unpacker_start(const char *path, struct pf__unpacker **out)
{
	struct pf__unpacker *u = calloc(1, sizeof(*u));
	int pair[2];

	if (!u)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		free(u);
		return -errno;
	}
	u->pid = fork();
	if (u->pid == 0)
		become(path, pair[1]);
	close(pair[1]);
	u->fd = pair[0];
	if (u->pid < 0) {
		close(u->fd);
		free(u);
		return -EAGAIN;
	}
	*out = u;
	return 0;
}

void pf__unpacker_free(struct pf__unpacker *u)
{
	if (!u)
		return;
	close(u->fd);
	kill(u->pid, SIGKILL);
	while (waitpid(u->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free(u);
}

/* Send or receive all of it, by the deadline. */
static int move(const struct pf__unpacker *u, uint8_t *p, size_t n, bool out, uint64_t until)
{
	while (n > 0) {
		struct pollfd ready = {.fd = u->fd, .events = out ? POLLOUT : POLLIN};
		uint64_t now = pf_now_ns();
		ssize_t r;

		if (now >= until ||
		    (poll(&ready, 1, (int)((until - now) / 1000000 + 1)) < 0 && errno != EINTR))
			return -ETIMEDOUT;
		r = out ? send(u->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT) : recv(u->fd, p, n, MSG_DONTWAIT);
		if (r < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (r <= 0)
			return -EPIPE;
		p += r;
		n -= (size_t)r;
	}
	return 0;
}

int pf__unpacker_ask(struct pf__unpacker *u, const struct pf__unpack_ask *ask, const uint8_t *in,
		     uint8_t *out, struct pf__unpack_told *told)
{
	uint64_t until = pf_now_ns() + PATIENCE_NS;
	struct pf__unpack_ask copy = *ask;
	int r = move(u, (uint8_t *)&copy, sizeof(copy), true, until);

	if (r == 0)
		r = move(u, (uint8_t *)(uintptr_t)in, ask->bytes, true, until);
	if (r == 0)
		r = move(u, (uint8_t *)told, sizeof(*told), false, until);
	if (r == 0 && (told->bytes > ask->most || told->used > ask->bytes))
		return -EPROTO;
	return r < 0 ? r : move(u, out, told->bytes, false, until);
}
