/* SPDX-License-Identifier: Apache-2.0 */
/* pinfold-image as a child; see program.h. */
#include "image/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

#define SAID_MAX 16384 /* bytes of what it says that are looked at */

extern char **environ;

struct call {
	char program[600], state[600];
	char **env;
	const char *verb, *word;
	int said; /* its standard error; -1: ours */
};

static void become(const struct call *c) __attribute__((noreturn));
static void become(const struct call *c)
{
	char *argv[] = {(char *)(uintptr_t) "pinfold-image", (char *)(uintptr_t)c->verb,
			(char *)(uintptr_t)c->word, NULL};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || (c->said >= 0 && dup2(c->said, 2) < 0))
		_exit(126);
	execve(c->program, argv, c->env);
	_exit(errno == ENOENT ? 127 : 126);
}

/* Ours, with the state directory that was decided on. */
static char **make_env(char *state)
{
	size_t n = 0, i = 0;
	char **env;

	while (environ[n])
		n++;
	env = calloc(n + 2, sizeof(*env));
	for (n = 0; env && environ[n]; n++)
		if (!pf_has_prefix(environ[n], "PINFOLD_STATE="))
			env[i++] = environ[n];
	if (env)
		env[i] = state;
	return env;
}

/* The last line that is not empty, without the name of who said it. */
static void last_line(const struct pf_buf *said, char *out, size_t cap)
{
	static const char name[] = "pinfold: ";
	const char *end = said->data ? said->data + said->len : NULL, *p;

	out[0] = '\0';
	while (end && end > said->data && (end[-1] == '\n' || end[-1] == '\r' || end[-1] == ' '))
		end--;
	for (p = end; p && p > said->data && p[-1] != '\n' && p[-1] != '\r';)
		p--;
	if (!p || p == end)
		return;
	if ((size_t)(end - p) > sizeof(name) && memcmp(p, name, sizeof(name) - 1) == 0)
		p += sizeof(name) - 1;
	pf_printable(p, (size_t)(end - p), out, cap);
}

/* Read to the end, keeping the tail. */
static void listen(int fd, struct pf_buf *said)
{
	char piece[4096];
	ssize_t n;

	while ((n = read(fd, piece, sizeof(piece))) > 0 || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		if (said->len + (size_t)n > SAID_MAX)
			pf_buf_consume(said, said->len);
		pf_buf_add(said, piece, (size_t)n);
	}
}

static int judge(const struct call *c, int status, const struct pf_buf *said, struct pf_error *err)
{
	char why[PF_ERROR_MAX / 2];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return pf_fail(err, -ENOENT, "pinfold is not installed whole: there is no %s", c->program);
	if (WIFSIGNALED(status))
		return pf_fail(err, -EINTR, "pinfold-image %s %s was ended by signal %d", c->verb, c->word,
			       WTERMSIG(status));
	last_line(said, why, sizeof(why));
	if (!why[0])
		snprintf(why, sizeof(why), "it ended with %d", WEXITSTATUS(status));
	return pf_fail(err, -EIO, "pinfold-image %s %s failed: %s", c->verb, c->word, why);
}

static int wait_for(const struct call *c, pid_t pid, int said_fd, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf said = {0};
	int status = -1;
	pid_t got;

	if (said_fd >= 0)
		listen(said_fd, &said);
	do
		got = waitpid(pid, &status, 0);
	while (got < 0 && errno == EINTR);
	return got == pid ? judge(c, status, &said, err)
			  : pf_fail_errno(err, "cannot wait for pinfold-image");
}

int pf_image_program(const struct pf_dirs *dirs, const char *verb, const char *word, bool progress,
		     struct pf_error *err)
{
	PF_AUTO_CLOSE int listen_fd = -1, said_fd = -1;
	PF_AUTO_FREE char **env = NULL;
	struct call c = {.verb = verb, .word = word};
	int pair[2];
	pid_t pid;

	snprintf(c.program, sizeof(c.program), "%s/pinfold-image", dirs->libexec);
	snprintf(c.state, sizeof(c.state), "PINFOLD_STATE=%s", dirs->state);
	c.env = env = make_env(c.state);
	if (!env)
		return pf_fail(err, -ENOMEM, "out of memory");
	if (!progress) {
		if (pipe2(pair, O_CLOEXEC) < 0)
			return pf_fail_errno(err, "cannot make a pipe");
		listen_fd = pair[0];
		said_fd = pair[1];
	}
	c.said = said_fd;
	pid = fork();
	if (pid == 0)
		become(&c);
	if (pid < 0)
		return pf_fail_errno(err, "cannot fork");
	if (said_fd >= 0)
		close(pf_take_fd(&said_fd));
	return wait_for(&c, pid, listen_fd, err);
}
