/* SPDX-License-Identifier: Apache-2.0 */
/* pinfold-guard as a child; see prompt_client.h. */
#include "guard/prompt_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

static const char *const levels[] = {"clear", "suspect", "attack"};

const char *pf_prompt_level_name(enum pf_prompt_level level)
{
	return levels[level];
}

int pf_prompt_level_find(const char *name, enum pf_prompt_level *out)
{
	for (unsigned i = 0; i < PF_ARRAY_SIZE(levels); i++) {
		if (strcmp(name, levels[i]) == 0) {
			*out = (enum pf_prompt_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* In the child. Nothing of ours but the text and two pipes goes along: the rest is O_CLOEXEC. */
static void become(const char *program, bool tool, int text, int out, int said) __attribute__((noreturn));
static void become(const char *program, bool tool, int text, int out, int said)
{
	char *argv[] = {(char *)(uintptr_t) "pinfold-guard",
			(char *)(uintptr_t) "prompt",
			(char *)(uintptr_t) "--json",
			(char *)(uintptr_t) "--source",
			(char *)(uintptr_t)(tool ? "tool" : "user"),
			NULL};

	/* Above the three first, so that none of them is written over before it was moved. */
	text = fcntl(text, F_DUPFD_CLOEXEC, 3);
	out = fcntl(out, F_DUPFD_CLOEXEC, 3);
	said = fcntl(said, F_DUPFD_CLOEXEC, 3);
	if (text < 0 || out < 0 || said < 0 || dup2(text, 0) < 0 || dup2(out, 1) < 0 || dup2(said, 2) < 0)
		_exit(126);
	execv(program, argv);
	_exit(errno == ENOENT ? 127 : 126);
}

static int failed(const char *program, int status, struct pf_buf *said, struct pf_error *err)
{
	static const char name[] = "pinfold: ";
	char why[PF_ERROR_MAX / 2];
	const char *p = said->data;
	size_t n = said->len;

	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return pf_fail(err, -ENOENT,
			       "pinfold is not installed whole: there is no %.300s, or its library "
			       "libutf8proc is missing",
			       program);
	if (WIFSIGNALED(status))
		return pf_fail(err, -EIO, "the prompt classifier was ended by signal %d", WTERMSIG(status));
	if (n >= sizeof(name) && memcmp(p, name, sizeof(name) - 1) == 0) {
		p += sizeof(name) - 1;
		n -= sizeof(name) - 1;
	}
	while (n && p[n - 1] == '\n')
		n--;
	pf_printable(n ? p : "it gave no verdict", n ? n : 18, why, sizeof(why));
	return pf_fail(err, -EIO, "the prompt classifier failed: %s", why);
}

static int read_answer(const char *text, size_t n, struct pf_prompt_verdict *out, struct pf_error *err)
{
	const struct pf_json *level, *score;
	struct pf_prompt_verdict v = {0};
	struct pf_json_doc *doc;
	int r = pf_json_parse(text, n, 0, &doc, err);

	if (r < 0)
		return pf_wrap(err, "the prompt classifier's answer");
	level = pf_json_get(pf_json_root(doc), "level");
	score = pf_json_get(pf_json_root(doc), "score");
	if (!level || level->type != PF_JSON_STRING || pf_prompt_level_find(level->str.s, &v.level) < 0 ||
	    !score || (score->type != PF_JSON_DOUBLE && score->type != PF_JSON_INT))
		r = pf_fail(err, -EPROTO, "the prompt classifier's answer has no level or no score");
	else
		v.score = score->type == PF_JSON_INT ? (double)score->i : score->d;
	pf_json_free(doc);
	if (r < 0)
		return r;
	v.answer = strndup(text, n);
	if (!v.answer)
		return pf_fail(err, -ENOMEM, "out of memory");
	*out = v;
	return 0;
}

static int take(const char *program, pid_t pid, int out_fd, int said_fd, struct pf_prompt_verdict *out,
		struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf answer = {0}, said = {0};
	int status = -1, r = pf_read_fd(out_fd, &answer, PF_PROMPT_ANSWER_MAX);
	pid_t got;

	/* What it says of a failure is a line, and fits a pipe. */
	if (r == 0)
		r = pf_read_fd(said_fd, &said, PF_PROMPT_ANSWER_MAX);
	do
		got = waitpid(pid, &status, 0);
	while (got < 0 && errno == EINTR);
	if (got != pid)
		return pf_fail_errno(err, "cannot wait for the prompt classifier");
	if (r < 0)
		return pf_fail(err, r, "the prompt classifier says too much");
	if (!WIFEXITED(status) || WEXITSTATUS(status) > PF_PROMPT_ATTACK)
		return failed(program, status, &said, err);
	r = read_answer(answer.data ? answer.data : "", answer.len, out, err);
	if (r == 0 && (int)out->level != WEXITSTATUS(status)) {
		free(out->answer);
		return pf_fail(err, -EPROTO, "the prompt classifier contradicts itself");
	}
	return r;
}

int pf_prompt_ask(const char *program, bool tool, int fd, struct pf_prompt_verdict *out, struct pf_error *err)
{
	PF_AUTO_CLOSE int out_fd = -1, out_end = -1, said_fd = -1, said_end = -1;
	int pair[2];
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return pf_fail_errno(err, "cannot make a pipe");
	out_fd = pair[0];
	out_end = pair[1];
	if (pipe2(pair, O_CLOEXEC) < 0)
		return pf_fail_errno(err, "cannot make a pipe");
	said_fd = pair[0];
	said_end = pair[1];
	pid = fork();
	if (pid == 0)
		become(program, tool, fd, out_end, said_end);
	if (pid < 0)
		return pf_fail_errno(err, "cannot fork");
	close(pf_take_fd(&out_end));
	close(pf_take_fd(&said_end));
	return take(program, pid, out_fd, said_fd, out, err);
}

int pf_prompt_ask_bytes(const char *program, bool tool, const void *text, size_t n,
			struct pf_prompt_verdict *out, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = memfd_create("pinfold-prompt", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return pf_fail_errno(err, "cannot make a file in memory");
	r = pf_write_full(fd, text, n);
	if (r < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return pf_fail(err, r < 0 ? r : -errno, "cannot write a file in memory");
	return pf_prompt_ask(program, tool, fd, out, err);
}
