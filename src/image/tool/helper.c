/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running mmdebstrap, skopeo and apt-get, which work for minutes. Nothing of that may go on when we are
 * killed: between us and the program stands a guard, the leader of a process group, that sees the end of a
 * pipe when we die and then ends the group. (PR_SET_PDEATHSIG would reach one process alone, and mmdebstrap's
 * first one ignores SIGTERM.) All of them inherit the lock of the directory that they work for, so that no
 * sweep takes it from under them.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "image/tool/tool.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define TICK_MS 100
#define PATIENCE_MS                                                                                          \
	120000 /* for the group to clean up after itself, once we are dead: mmdebstrap goes on for a while   \
		*/
#define NOT_THERE 127

static int open_null(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int put(int fd, int to)
{
	return fd == to ? fcntl(fd, F_SETFD, 0) : dup2(fd, to);
}

static void restore_signals(void)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void become(const struct pf__helper *h) __attribute__((noreturn));
static void become(const struct pf__helper *h)
{
	int null = open_null();

	restore_signals();
	umask(022); /* the modes of what it makes are part of an image */
	if (null < 0 || put(null, STDIN_FILENO) < 0 || put(h->out < 0 ? null : h->out, STDOUT_FILENO) < 0 ||
	    put(h->err < 0 ? null : h->err, STDERR_FILENO) < 0)
		_exit(126);
	if (h->env)
		execvpe(h->argv[0], (char *const *)(uintptr_t)h->argv, h->env);
	else
		execvp(h->argv[0], (char *const *)(uintptr_t)h->argv);
	_exit(errno == ENOENT ? NOT_THERE : 126);
}

/* Wait for pid, or for our maker's death and then for pid. */
static int guard_wait(pid_t pid, int life)
{
	PF_AUTO_CLOSE int end = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p[2] = {{.fd = end, .events = POLLIN}, {.fd = life, .events = 0}};
	int status;

	while (end >= 0 && !p[0].revents) {
		int n = poll(p, 2, p[1].fd < 0 ? PATIENCE_MS : -1);

		if (n < 0 && errno != EINTR)
			break;
		if (n > 0 && p[1].fd >= 0 && p[1].revents) {
			kill(0, SIGTERM); /* which we ourselves ignore */
			p[1].fd = -1;
			p[1].revents = 0;
		} else if (n == 0) {
			kill(0, SIGKILL); /* all of the group, and us */
		}
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return 126;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void guard(const struct pf__helper *h, int life) __attribute__((noreturn));
static void guard(const struct pf__helper *h, int life)
{
	static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE};
	pid_t pid;

	setpgid(0, 0);
	prctl(PR_SET_NAME, "pinfold-helper");
	for (size_t i = 0; i < PF_ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	pid = fork();
	if (pid == 0)
		become(h);
	_exit(pid < 0 ? 126 : guard_wait(pid, life));
}

/* With the lock made inheritable, in this child alone. */
static void start_guard(const struct pf__helper *h, int life, int our_end) __attribute__((noreturn));
static void start_guard(const struct pf__helper *h, int life, int our_end)
{
	close(our_end);
	if (h->keep >= 0 && fcntl(h->keep, F_SETFD, 0) < 0)
		_exit(126);
	guard(h, life);
}

static int wait_ticking(pid_t pid, const struct pf__helper *h)
{
	PF_AUTO_CLOSE int end = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = {.fd = end, .events = POLLIN};
	int status, n;

	while (end >= 0 && h->tick) {
		n = poll(&p, 1, TICK_MS);
		if (n > 0 || (n < 0 && errno != EINTR))
			break;
		h->tick(h->user);
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool pf__helper_there(const char *program)
{
	const char *path = getenv("PATH");
	char full[4096];

	for (const char *p = path ? path : "/usr/local/bin:/usr/bin:/bin"; *p;) {
		size_t n = strcspn(p, ":");

		if (n && n + strlen(program) + 2 < sizeof(full)) {
			memcpy(full, p, n);
			full[n] = '/';
			strcpy(full + n + 1, program);
			if (access(full, X_OK) == 0)
				return true;
		}
		p += n + (p[n] == ':');
	}
	return false;
}

int pf__helper_run(const struct pf__helper *h, struct pf_error *err)
{
	int life[2], r;
	pid_t pid;

	if (!pf__helper_there(h->argv[0]))
		return pf_fail(err, -ENOENT, "%s is not installed", h->argv[0]);
	if (pipe2(life, O_CLOEXEC) < 0)
		return pf_fail_errno(err, "cannot make a pipe");
	pid = fork();
	if (pid == 0)
		start_guard(h, life[0], life[1]);
	r = -errno;
	close(life[0]);
	if (pid > 0)
		r = wait_ticking(pid, h);
	close(life[1]);
	return r < 0 ? pf_fail(err, r, "cannot run %s: %s", h->argv[0], strerror(-r)) : r;
}

/* --- what it said ------------------------------------------------------------------------ */

#define LOG_BYTES 65536 /* its end, where it is longer */

static int read_log(int fd, struct pf_buf *out)
{
	off_t size = lseek(fd, 0, SEEK_END), from = size > LOG_BYTES ? size - LOG_BYTES : 0;
	ssize_t n;

	if (size < 0 || pf_buf_reserve(out, LOG_BYTES) < 0)
		return -EIO;
	n = pread(fd, out->data, LOG_BYTES, from);
	if (n < 0)
		return -errno;
	out->len = (size_t)n;
	out->data[n] = '\0';
	return 0;
}

/* The line that ends before end; NULL at the beginning. Programs draw bars with '\r'. */
static const char *line_before(const char *text, const char *end, size_t *n)
{
	const char *begin;

	while (end > text && (end[-1] == '\n' || end[-1] == '\r'))
		end--;
	if (end == text)
		return NULL;
	for (begin = end; begin > text && begin[-1] != '\n' && begin[-1] != '\r';)
		begin--;
	*n = (size_t)(end - begin);
	return begin;
}

static void join(struct pf_buf *out, const char *line, size_t n)
{
	if (out->len)
		pf_buf_adds(out, "; ");
	pf_buf_add(out, line, n);
}

void pf__helper_tail(int fd, size_t lines, char *out, size_t cap)
{
	PF_AUTO_BUF struct pf_buf log = {0}, joined = {0};
	const char *p;
	size_t n;

	out[0] = '\0';
	if (read_log(fd, &log) < 0)
		return;
	p = log.data + log.len;
	for (size_t i = 0; i < lines; i++) {
		const char *line = line_before(log.data, p, &n);

		if (!line)
			break;
		p = line;
	}
	for (char *rest = log.data + (p - log.data), *line; (line = strsep(&rest, "\r\n"));) {
		if (*line)
			join(&joined, line, strlen(line));
	}
	if (joined.len)
		pf_printable(joined.data, joined.len, out, cap);
}

void pf__helper_complaint(int fd, const char *prefix, char *out, size_t cap)
{
	PF_AUTO_BUF struct pf_buf log = {0}, joined = {0};

	out[0] = '\0';
	if (read_log(fd, &log) < 0)
		return;
	for (char *rest = log.data, *line; (line = strsep(&rest, "\r\n"));) {
		if (pf_has_prefix(line, prefix))
			join(&joined, line + strlen(prefix), strlen(line + strlen(prefix)));
	}
	if (joined.len)
		pf_printable(joined.data, joined.len, out, cap);
	else
		pf__helper_tail(fd, 3, out, cap);
}
