/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command line that the guard understood, run without a shell: the launcher, confined as for any command,
 * starts the vectors itself. So the words that were judged are the words that run, whatever the image's sh
 * would make of the line; and no shell has to be loaded.
 *
 * What a line may have is decided on the host (guard/command_run.c), where a word must stand as it is; here
 * tokens are executed (PF_LINE_* in proto/msg.h). Exit codes are those of `sh -c`: the last command's, 128 +
 * the signal, 127 and 126 for what cannot be started, 2 for a redirection that failed. The last command takes
 * this process's place, as in bash and busybox: how it ended is then told as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "init/init.h"

#define STATUS_REDIR 2 /* as dash: a redirection, or a fork, that failed */

struct command {
	char **tokens; /* of one command, in their order; *end is what joins it to the next, or NULL */
	char **end;
	char then; /* PF_LINE_PIPE .. PF_LINE_SEQ; 0 at the end of the line */
};

struct line {
	char **env;
	char cwd[PF_WIRE_PATH_MAX];
};

static void complain(const char *name, const char *what)
{
	char text[600];
	int n = snprintf(text, sizeof(text), "sh: %.256s: %.256s\n", name, what);

	(void)!pf_write_full(2, text, (size_t)n);
}

static bool joins(char c)
{
	return c == PF_LINE_PIPE || c == PF_LINE_AND || c == PF_LINE_OR || c == PF_LINE_SEQ;
}

/* The command that begins at *at, which is moved behind what joins it to the next. */
static bool next_command(char ***at, struct command *c)
{
	c->tokens = *at;
	while (**at && !joins(***at))
		++*at;
	c->end = *at;
	c->then = **at ? ***at : 0;
	if (**at)
		++*at;
	return c->end > c->tokens;
}

/* Room for all words and NULL, and for the environment with the assignments. */
static char **words_of(const struct command *c)
{
	char **words = calloc((size_t)(c->end - c->tokens) + 1, sizeof(*words)), **w = words;

	for (char **t = c->tokens; words && t < c->end; t++)
		if (**t == PF_LINE_WORD)
			*w++ = *t + 1;
	return words;
}

static char **set(char **env, const char *kv)
{
	size_t name = strcspn(kv, "=") + 1, n = 0;
	char **more;

	for (; env[n]; n++) {
		if (strncmp(env[n], kv, name) == 0) {
			env[n] = (char *)(uintptr_t)kv;
			return env;
		}
	}
	more = malloc((n + 2) * sizeof(*more));
	if (!more)
		return NULL;
	memcpy(more, env, n * sizeof(*more));
	more[n] = (char *)(uintptr_t)kv;
	more[n + 1] = NULL;
	return more;
}

static int setf(struct line *l, const char *name, const char *value)
{
	size_t n = strlen(name) + strlen(value) + 2;
	char *kv = malloc(n), **env;

	if (!kv)
		return -ENOMEM;
	snprintf(kv, n, "%s=%s", name, value);
	env = set(l->env, kv);
	if (!env)
		return -ENOMEM;
	l->env = env;
	return 0;
}

/* --- redirections ------------------------------------------------------------------------- */

/* What is read fits into a pipe of one page, so that nobody has to go on writing it. */
static int text_pipe(const char *text)
{
	int p[2];
	size_t n = strlen(text);

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	if (pf_write_full(p[1], text, n) < 0) {
		close(p[0]);
		p[0] = -EIO;
	}
	close(p[1]);
	return p[0];
}

static int open_target(char kind, const char *target)
{
	int fd;

	if (kind == PF_LINE_TEXT)
		return text_pipe(target);
	if (kind == PF_LINE_READ)
		fd = open(target, O_RDONLY | O_CLOEXEC);
	else
		fd = open(target,
			  O_WRONLY | O_CREAT | O_CLOEXEC | (kind == PF_LINE_APPEND ? O_APPEND : O_TRUNC),
			  0666);
	return fd < 0 ? -errno : fd;
}

/* t: kind, the digit of the descriptor, and the rest. */
static bool redirect(const char *t)
{
	int to = t[1] - '0', from;

	if (to < 0 || to > 2)
		return false;
	if (*t == PF_LINE_DUP)
		return t[2] >= '0' && t[2] <= '2' && dup2(t[2] - '0', to) >= 0;
	from = open_target(*t, t + 2);
	if (from < 0) {
		complain(t + 2, strerror(-from));
		return false;
	}
	return from == to ? fcntl(from, F_SETFD, 0) == 0 : dup2(from, to) >= 0 && close(from) == 0;
}

static bool redirect_all(const struct command *c)
{
	for (char **t = c->tokens; t < c->end; t++)
		if (**t != PF_LINE_WORD && **t != PF_LINE_ASSIGN && !redirect(*t))
			return false;
	return true;
}

static bool has_redirs(const struct command *c)
{
	for (char **t = c->tokens; t < c->end; t++)
		if (**t != PF_LINE_WORD && **t != PF_LINE_ASSIGN)
			return true;
	return false;
}

/* --- what shells do themselves --------------------------------------------------------------- */

/* The host lets no operand with a backslash pass, and of options only -n: on the rest echoes differ. */
static int echo(char **words)
{
	struct pf_buf out = {0};
	bool line = true;
	int r;

	if (words[1] && strcmp(words[1], "-n") == 0) {
		line = false;
		words++;
	}
	for (char **w = words + 1; *w; w++) {
		pf_buf_adds(&out, *w);
		if (w[1])
			pf_buf_addc(&out, ' ');
	}
	if (line)
		pf_buf_addc(&out, '\n');
	r = out.failed ? -ENOMEM : out.len ? (int)pf_write_full(1, out.data, out.len) : 0;
	pf_buf_free(&out);
	if (r < 0)
		complain("echo", strerror(-r));
	return r < 0 ? 1 : 0;
}

/* The directory's name is what was written, links included, as PWD of every shell; the host lets no ".."
 * pass, on which that could matter. */
static int change_dir(struct line *l, const char *to)
{
	char old[sizeof(l->cwd)], next[sizeof(l->cwd)];
	size_t n = 0;

	if (*to != '/') {
		n = strlen(l->cwd);
		n -= n == 1; /* "/" */
		memcpy(next, l->cwd, n);
	}
	for (const char *p = to + strspn(to, "/"); *p; p += strspn(p, "/")) {
		size_t len = strcspn(p, "/");

		if (n + len + 2 > sizeof(next)) {
			complain("cd", strerror(ENAMETOOLONG));
			return STATUS_REDIR;
		}
		if (len != 1 || *p != '.') {
			next[n++] = '/';
			memcpy(next + n, p, len);
			n += len;
		}
		p += len;
	}
	if (n == 0)
		next[n++] = '/';
	next[n] = '\0';
	if (chdir(to) < 0) {
		complain("cd", strerror(errno));
		return STATUS_REDIR;
	}
	memcpy(old, l->cwd, sizeof(old));
	memcpy(l->cwd, next, n + 1);
	return setf(l, "OLDPWD", old) < 0 || setf(l, "PWD", next) < 0 ? STATUS_REDIR : 0;
}

/* -1: no word that is ours. */
static int builtin(struct line *l, char **words, int status)
{
	if (strcmp(words[0], "echo") == 0)
		return echo(words);
	if (strcmp(words[0], "cd") == 0 && words[1])
		return change_dir(l, words[1]);
	if (strcmp(words[0], ":") == 0 || strcmp(words[0], "true") == 0)
		return 0;
	if (strcmp(words[0], "false") == 0)
		return 1;
	if (strcmp(words[0], "exit") == 0)
		_exit(words[1] ? atoi(words[1]) & 0xff : status);
	return -1;
}

/* --- commands ---------------------------------------------------------------------------------- */

/* In a process of its own, or in the last place of the line. */
static void run_command(struct line *l, const struct command *c, int status) __attribute__((noreturn));
static void run_command(struct line *l, const struct command *c, int status)
{
	char **words = words_of(c), **env = l->env;
	int code;

	if (!words || !words[0])
		_exit(STATUS_REDIR);
	if (!redirect_all(c))
		_exit(STATUS_REDIR);
	code = builtin(l, words, status);
	if (code >= 0)
		_exit(code);
	for (char **t = c->tokens; t < c->end; t++)
		if (**t == PF_LINE_ASSIGN && !(env = set(env, *t + 1)))
			_exit(STATUS_REDIR);
	code = in__exec_command(words, env);
	complain(words[0], code == ENOENT ? "not found" : strerror(code));
	_exit(code == ENOENT ? 127 : 126);
}

/* As a shell tells of what it waited for. */
static int status_of(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	if (WTERMSIG(status) != SIGINT && WTERMSIG(status) != SIGPIPE) {
		char text[64];
		int n = snprintf(text, sizeof(text), "%.40s%s\n", strsignal(WTERMSIG(status)),
				 WCOREDUMP(status) ? " (core dumped)" : "");

		(void)!pf_write_full(2, text, (size_t)n);
	}
	return 128 + WTERMSIG(status);
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return STATUS_REDIR;
	return status_of(status);
}

static pid_t start(struct line *l, const struct command *c, int status, int in, int out)
{
	pid_t pid = fork();

	if (pid < 0) {
		complain("fork", strerror(errno));
		_exit(STATUS_REDIR);
	}
	if (pid)
		return pid;
	if ((in >= 0 && dup2(in, 0) < 0) || (out >= 0 && dup2(out, 1) < 0))
		_exit(STATUS_REDIR);
	run_command(l, c, status);
}

/* c is its first command, *at behind it. All run at once; the last one's status is told. */
static int run_pipe(struct line *l, struct command *c, char ***at, int status)
{
	pid_t pids[PF_LINE_COMMANDS_MAX];
	size_t n = 0;
	int in = -1, last = 0;

	for (;;) {
		int p[2] = {-1, -1};
		bool more = c->then == PF_LINE_PIPE;

		if (n == PF_LINE_COMMANDS_MAX || (more && pipe2(p, O_CLOEXEC) < 0)) {
			complain("pipe", strerror(errno));
			_exit(STATUS_REDIR);
		}
		pids[n++] = start(l, c, status, in, p[1]);
		if (in >= 0)
			close(in);
		if (p[1] >= 0)
			close(p[1]);
		in = p[0];
		if (!more || !next_command(at, c))
			break;
	}
	for (size_t i = 0; i < n; i++)
		last = wait_for(pids[i]);
	return last;
}

static int run_alone(struct line *l, const struct command *c, int status)
{
	char **words = words_of(c);
	int code = words && words[0] && !has_redirs(c) ? builtin(l, words, status) : -1;

	free(words);
	return code >= 0 ? code : wait_for(start(l, c, status, -1, -1));
}

static void skip_pipe(struct command *c, char ***at)
{
	while (c->then == PF_LINE_PIPE && next_command(at, c))
		;
}

void in__line_run(char **tokens, char **env, const char *cwd)
{
	struct line l = {.env = env};
	char before = PF_LINE_SEQ;
	struct command c;
	int status = 0;

	snprintf(l.cwd, sizeof(l.cwd), "%s", cwd);
	if (setf(&l, "PWD", cwd) < 0)
		_exit(STATUS_REDIR);
	while (next_command(&tokens, &c)) {
		bool run = before == PF_LINE_SEQ || (before == PF_LINE_AND) == (status == 0);

		if (!run)
			skip_pipe(&c, &tokens);
		else if (c.then == PF_LINE_PIPE)
			status = run_pipe(&l, &c, &tokens, status);
		else if (*tokens)
			status = run_alone(&l, &c, status);
		else
			run_command(&l, &c, status);
		before = c.then;
	}
	_exit(status);
}
