/* SPDX-License-Identifier: Apache-2.0 */
/* Starting pinfold-egress and talking to it; see client.h. */
#include "egress/client.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/san.h"

#define SETUP_SECONDS 10 /* for the proxy to take its rules; it does nothing else at that time */

/* --- the process ---------------------------------------------------------------------- */

/* Between clone and exec: nothing that allocates. */
static void become(const char *program, int control, const struct pf_helper_groups *groups)
	__attribute__((noreturn));
static void become(const char *program, int control, const struct pf_helper_groups *groups)
{
	char *argv[] = {(char *)(uintptr_t) "pinfold-egress", NULL};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (!pf_helper_enter(groups))
		_exit(126);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
		_exit(126);
#ifndef PF_SAN_BUILD
	if (dup2(null, 2) < 0)
		_exit(126);
#endif
	if (control == PF_EGRESS_CONTROL_FD)
		fcntl(control, F_SETFD, 0);
	else if (dup2(control, PF_EGRESS_CONTROL_FD) < 0)
		_exit(126);
	pf_close_from(PF_EGRESS_CONTROL_FD + 1);
#ifdef PF_BREAK_BUILD
	execve(program, argv, environ);
#else
	execve(program, argv, pf_san_env());
#endif
	_exit(errno == ENOENT ? 127 : 126);
}

/* In a user namespace of its own, with the caller as the one user there. */
static void map_self(uid_t uid, gid_t gid)
{
	char line[64];

	pf_write_file(AT_FDCWD, "/proc/self/setgroups", "deny");
	snprintf(line, sizeof(line), "%u %u 1", gid, gid);
	pf_write_file(AT_FDCWD, "/proc/self/gid_map", line);
	snprintf(line, sizeof(line), "%u %u 1", uid, uid);
	pf_write_file(AT_FDCWD, "/proc/self/uid_map", line);
}

/*
 * A pid namespace must be made around a process and cannot be entered by it; the proxy makes all others
 * itself. Hosts that refuse it (a container, AppArmor) get a plain fork, and READY tells the difference.
 */
static pid_t spawn(const char *program, int control, const struct pf_helper_groups *groups)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	unsigned long flags = CLONE_NEWPID | (uid ? (unsigned long)CLONE_NEWUSER : 0);
	pid_t pid = pf_helper_clone(flags, groups);
	bool own = pid >= 0;

	if (pid < 0)
		pid = pf_helper_clone(0, groups);
	if (pid == 0) {
		if (own && uid)
			map_self(uid, gid);
		become(program, control, groups);
	}
	return pid;
}

static int send_message(int fd, const void *m, size_t n)
{
	ssize_t r;

	do
		r = send(fd, m, n, MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	return r == (ssize_t)n ? 0 : r < 0 ? -errno : -EIO;
}

static int send_rules(int fd, const struct pf_rules *rules)
{
	struct pf_egress_rules m = {.type = PF_EGRESS_RULES};
	const size_t head = offsetof(struct pf_egress_rules, text);
	char text[PF_RULE_TEXT];

	for (size_t i = 0; rules && i < rules->count; i++) {
		size_t n;
		int r;

		pf_rule_print(&rules->items[i], text);
		n = strlen(text);
		if (m.size + n + 1 > sizeof(m.text)) {
			r = send_message(fd, &m, head + m.size);
			if (r < 0)
				return r;
			m.size = 0;
		}
		memcpy(m.text + m.size, text, n);
		m.text[m.size + n] = '\n';
		m.size += (uint32_t)n + 1;
	}
	return m.size ? send_message(fd, &m, head + m.size) : 0;
}

static int send_setup(int fd, const struct pf_egress_options *o)
{
	struct pf_egress_setup m = {.type = PF_EGRESS_SETUP, .version = PF_EGRESS_VERSION};
	uint32_t go = PF_EGRESS_GO;
	int r;

	m.uid = o->uid;
	m.gid = o->gid;
	m.flags = o->die_with_parent ? PF_EGRESS_DIE_WITH_PARENT : 0;
	m.resolver = o->resolver;
	m.resolver_port = o->resolver_port;
	m.limits = o->limits;
	r = send_message(fd, &m, sizeof(m));
	if (r == 0)
		r = send_rules(fd, o->rules);
	if (r == 0)
		r = send_message(fd, &go, sizeof(go));
	return r;
}

int pf_egress_start(struct pf_egress *e, const struct pf_egress_options *o, struct pf_error *err)
{
	const struct timeval patience = {.tv_sec = SETUP_SECONDS};
	struct pf_egress started = PF_EGRESS_INIT;
	int pair[2], r;

	if (access(o->program, X_OK) < 0)
		return pf_fail_errno(err, "pinfold is not installed whole: %s", o->program);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return pf_fail_errno(err, "cannot make a socket for pinfold-egress");
	started.pid = spawn(o->program, pair[1], &o->groups);
	close(pair[1]);
	started.control = pair[0];
	if (started.pid < 0) {
		close(pair[0]);
		return pf_fail_errno(err, "cannot start pinfold-egress");
	}
	if (setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    (r = send_setup(pair[0], o)) < 0 || (r = pf_set_nonblock(pair[0], 1)) < 0) {
		pf_egress_kill(&started);
		return pf_fail(err, -EPIPE, "pinfold-egress did not start");
	}
	*e = started;
	return 0;
}

/* --- afterwards ----------------------------------------------------------------------- */

int pf_egress_pass(struct pf_egress *e, uint64_t id, int fd, struct pf_error *err)
{
	struct pf_egress_conn m = {.type = PF_EGRESS_CONN, .id = id};
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {&m, sizeof(m)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};
	struct cmsghdr *c;
	ssize_t r;

	msg.msg_controllen = sizeof(control);
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	do
		r = sendmsg(e->control, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	if (r < 0 && (errno == EAGAIN || errno == ETOOMANYREFS))
		return pf_fail(err, -EAGAIN, "pinfold-egress is busy");
	close(fd);
	return r >= 0 ? 0 : pf_fail(err, -EPIPE, "pinfold-egress is gone");
}

int pf_egress_next(struct pf_egress *e, union pf_egress_message *out, struct pf_error *err)
{
	union pf_egress_message m;
	/* MSG_TRUNC: the true size, so that a longer packet is not taken for one of ours. No room for
	 * descriptors: the kernel drops them. */
	ssize_t n = recv(e->control, &m, sizeof(m), MSG_TRUNC | MSG_DONTWAIT);

	/* It died with something of ours unread. The kernel says so first, and what it had told is behind
	 * that. */
	if (n < 0 && errno == ECONNRESET)
		n = recv(e->control, &m, sizeof(m), MSG_TRUNC | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return pf_fail(err, -EPIPE, "pinfold-egress is gone");
	if (pf_egress_message_check(&m, (size_t)n, 1) < 0)
		return pf_fail(err, -EPROTO, "pinfold-egress sent what no pinfold-egress sends");
	memset(out, 0, sizeof(*out));
	memcpy(out, &m, (size_t)n);
	return 1;
}

int pf_egress_sync(struct pf_egress *e, uint32_t number)
{
	struct pf_egress_sync m = {.type = PF_EGRESS_SYNC, .number = number};
	ssize_t r;

	do
		r = send(e->control, &m, sizeof(m), MSG_NOSIGNAL | MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	return r == (ssize_t)sizeof(m) ? 0 : errno == EAGAIN ? -EAGAIN : -EPIPE;
}

void pf_egress_end(struct pf_egress *e)
{
	if (e->control >= 0)
		shutdown(e->control, SHUT_WR);
}

void pf_egress_kill(struct pf_egress *e)
{
	if (e->control >= 0)
		close(e->control);
	if (e->pid > 0) {
		kill(e->pid, SIGKILL);
		while (waitpid(e->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	*e = (struct pf_egress)PF_EGRESS_INIT;
}
