/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's side of the wall: forks the child, serves it, and believes nothing that it says. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "image/import/channel.h"

#define FILES_MAX 4096u /* that a child may ask for: documents and layers */

/* --- the child --- */

/* Move what the child keeps to 3, 4 ...; everything else is closed. */
static int keep_only(struct pf__child *c, int channel, struct pf_error *err)
{
	int *want[8], count = 0, base, null;

	*c->channel = channel;
	want[count++] = c->channel;
	for (size_t i = 0; i < PF_ARRAY_SIZE(c->keep) && c->keep[i]; i++)
		if (*c->keep[i] >= 0)
			want[count++] = c->keep[i];
	base = 3 + count;
	for (int i = 0; i < count; i++) { /* out of the way of the low numbers */
		int fd = fcntl(*want[i], F_DUPFD_CLOEXEC, base);

		if (fd < 0)
			return pf_fail_errno(err, "cannot start the import");
		*want[i] = fd;
	}
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return pf_fail_errno(err, "cannot open /dev/null");
#ifdef PF_SAN_BUILD /* a report must be seen */
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0)
#else
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
#endif
		return pf_fail_errno(err, "cannot start the import");
	for (int i = 0; i < count; i++) {
		if (dup3(*want[i], 3 + i, O_CLOEXEC) < 0)
			return pf_fail_errno(err, "cannot start the import");
		*want[i] = 3 + i;
	}
	return pf_close_from((unsigned)base) ? pf_fail_errno(err, "cannot start the import") : 0;
}

static _Noreturn void child_main(struct pf__child *c, int channel, pid_t parent)
{
	struct pf_error err = {0};
	struct pf__msg m = {.type = PF__MSG_DONE};
	int r;

	/* From now on; what happened before shows in whose child we are. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(1);
	r = keep_only(c, channel, &err);
	channel = *c->channel;
	if (r == 0 && chdir("/"))
		r = pf_fail_errno(&err, "cannot leave the working directory");
	if (r == 0)
		r = pf__confine(c->wall, c->dir ? *c->dir : -1, c->file_max, c->maps, &err);
	/* A parent that died between fork and the second setting of the signal. */
	if (r == 0 && getppid() != parent)
		_exit(1);
	if (r == 0)
		r = c->work(c->user, &err);
	if (r) {
		m.type = PF__MSG_ERROR;
		m.code = r;
		m.n = (uint32_t)strnlen(err.msg, sizeof(err.msg));
		memcpy(m.data, err.msg, m.n);
	}
	_exit(pf__msg_send(channel, &m, -1, NULL) ? 1 : 0);
}

/* --- the caller's process --- */

/* The few names that a layout's files have. */
static bool is_layout_file(const char *path)
{
	char digest[PF_DIGEST_MAX];

	if (pf_streq(path, "oci-layout") || pf_streq(path, "index.json"))
		return true;
	if (!pf_has_prefix(path, "blobs/sha256/") || strlen(path) != strlen("blobs/sha256/") + 64)
		return false;
	snprintf(digest, sizeof(digest), "sha256:%.64s", path + strlen("blobs/sha256/"));
	return pf__digest_ok(digest);
}

static int open_layout_file(int layout, const struct pf__msg *ask, uint64_t *size)
{
	char path[128] = "";
	struct stat st;
	int fd;

	if (layout < 0 || ask->n >= sizeof(path))
		return -EINVAL;
	memcpy(path, ask->data, ask->n);
	if (strlen(path) != ask->n || !is_layout_file(path))
		return -EINVAL;
	fd = pf_open_beneath(layout, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	*size = (uint64_t)st.st_size;
	return fd;
}

static int serve_file(const struct pf__child *c, int channel, const struct pf__msg *ask, struct pf_error *err)
{
	struct pf__msg answer = {.type = PF__MSG_FILE};
	PF_AUTO_CLOSE int fd = open_layout_file(c->layout, ask, &answer.a);

	answer.code = fd < 0 ? fd : 0;
	return pf__msg_answer(channel, &answer, fd, err);
}

static int told_error(const struct pf__msg *m, struct pf_error *err)
{
	char text[PF_ERROR_MAX];

	pf_printable(m->data, m->n, text, sizeof(text));
	return pf_fail(err, m->code < 0 && m->code > -4096 ? m->code : -EIO, "%s", text);
}

static int odd(struct pf_error *err)
{
	return pf_fail(err, -EPROTO,
		       "the import's reader was broken, by what it read perhaps: it sent what it "
		       "never would");
}

/* Until the child said its last word. 1: it is done, 0: it ended without one. */
static int serve(const struct pf__child *c, int channel, struct pf_buf *report, struct pf_error *err)
{
	struct pf__msg m = {0};
	unsigned files = 0;

	for (;;) {
		int r = pf__msg_receive(channel, &m, NULL, err);

		if (r <= 0)
			return r;
		r = 0;
		switch (m.type) {
		case PF__MSG_PROGRESS:
			if (m.code < PF_IMPORT_READING || m.code > PF_IMPORT_CHECKING)
				return odd(err);
			if (c->how->progress)
				c->how->progress(c->how->user, (enum pf_import_phase)m.code, m.a, m.b);
			break;
		case PF__MSG_OPEN:
			if (++files > FILES_MAX)
				return odd(err);
			r = serve_file(c, channel, &m, err);
			break;
		case PF__MSG_REPORT:
			if (report->len + m.n > PF__DOCUMENT_MAX || pf_buf_add(report, m.data, m.n))
				return odd(err);
			break;
		case PF__MSG_ERROR:
			return told_error(&m, err);
		case PF__MSG_DONE:
			return 1;
		default:
			return odd(err);
		}
		if (r)
			return r;
	}
}

static int ended(int status, struct pf_error *err)
{
	int s = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	const char *why = "";

	if (s == SIGXCPU)
		why = ": it needed more than an hour of processor time";
	else if (s == SIGKILL)
		why = ": somebody killed it, or the machine ran out of memory";
	if (s)
		return pf_fail(err, -EIO, "the import's reader was ended by SIG%s%s", sigabbrev_np(s), why);
	return pf_fail(err, -EIO, "the import's reader ended without a word");
}

/* It is over, one way or the other: nothing of it is left. */
static int collect(pid_t pid, int r, struct pf_error *err)
{
	int status = 0;
	pid_t got;

	/* One that said it was done ends by itself; a broken one need not. */
	if (r < 0)
		kill(pid, SIGKILL);
	do
		got = waitpid(pid, &status, 0);
	while (got < 0 && errno == EINTR);
	if (r < 0)
		return r;
	if (got != pid)
		return pf_fail_errno(err, "cannot learn how the import's reader ended");
	return r == 1 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : ended(status, err);
}

int pf__child_run(struct pf__child *c, struct pf_buf *report, struct pf_error *err)
{
	PF_AUTO_CLOSE int ours = -1;
	pid_t parent = getpid(), pid;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return pf_fail_errno(err, "cannot make a socket for the import");
	ours = pair[0];
	pid = fork();
	if (pid == 0)
		child_main(c, pair[1], parent);
	close(pair[1]);
	if (pid < 0)
		return pf_fail_errno(err, "cannot make a process for the import");
	r = serve(c, ours, report, err);
	/* A child that waits for an answer reads the end of file. */
	close(pf_take_fd(&ours));
	return collect(pid, r, err);
}
