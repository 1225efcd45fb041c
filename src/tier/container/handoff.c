/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors and errors from the child to the host; see handoff.h. */
#include "tier/container/handoff.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct message {
	int have_temp, have_scratch, have_stage;
	struct pf_error error;
};

#define FDS_MAX PF_HANDOFF_GIVEN

static int send_message(int sync, const void *bytes, size_t n, const int *fds, size_t count)
{
	char control[CMSG_SPACE(FDS_MAX * sizeof(int))] = {0};
	struct iovec iov = {(void *)(uintptr_t)bytes, n};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};

	if (count) {
		struct cmsghdr *c;

		h.msg_control = control;
		h.msg_controllen = CMSG_SPACE(count * sizeof(int));
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	return sendmsg(sync, &h, MSG_NOSIGNAL) == (ssize_t)n ? 0 : -1;
}

/* Bytes received, -1 with errno; *count: how many descriptors came along. */
static ssize_t receive_message(int sync, void *bytes, size_t n, int fds[FDS_MAX], size_t *count)
{
	char control[CMSG_SPACE(FDS_MAX * sizeof(int))];
	struct iovec iov = {bytes, n};
	struct msghdr h = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *c;
	bool reset = false;
	ssize_t got;

	/* Who ends with something unread gives his peer that error first, before what he said (unix(7)). */
	*count = 0;
	do {
		got = recvmsg(sync, &h, MSG_CMSG_CLOEXEC);
		reset = got < 0 && errno == ECONNRESET && !reset;
	} while (got < 0 && (errno == EINTR || reset));
	c = got > 0 ? CMSG_FIRSTHDR(&h) : NULL;
	if (c && c->cmsg_type == SCM_RIGHTS) {
		*count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), *count * sizeof(int));
	}
	return got;
}

int pf__handoff_give(int sync, const void *bytes, size_t n, const int *fds, size_t count,
		     struct pf_error *err)
{
	if (send_message(sync, bytes, n, fds, count) < 0)
		return pf_fail_errno(err, "cannot tell the sandbox's first process what to show");
	return 0;
}

ssize_t pf__handoff_take(int sync, void *bytes, size_t n, int fds[PF_HANDOFF_GIVEN], int *count,
			 struct pf_error *err)
{
	size_t given;
	ssize_t got = receive_message(sync, bytes, n, fds, &given);

	*count = (int)given;
	return got > 0 ? got : pf_fail(err, -EPIPE, "the host is gone");
}

int pf__handoff_send(int sync, const struct pf_handoff *hand, struct pf_error *err)
{
	struct message m = {.have_temp = hand->temp_fd >= 0,
			    .have_scratch = hand->scratch_fd >= 0,
			    .have_stage = hand->stage_fd >= 0};
	int fds[3];
	size_t n = 0;

	if (m.have_temp)
		fds[n++] = hand->temp_fd;
	if (m.have_scratch)
		fds[n++] = hand->scratch_fd;
	if (m.have_stage)
		fds[n++] = hand->stage_fd;
	if (send_message(sync, &m, sizeof(m), fds, n) < 0)
		return pf_fail_errno(err, "cannot hand the sandbox's file systems to the host");
	return 0;
}

void pf__handoff_fail(int sync, const struct pf_error *what)
{
	struct message m = {.error = *what};

	if (!m.error.code)
		m.error.code = -EIO;
	send_message(sync, &m, sizeof(m), NULL, 0);
}

int pf__handoff_receive(int sync, struct pf_handoff *hand, struct pf_error *err)
{
	struct message m = {0};
	int fds[FDS_MAX], i = 0;
	size_t n;

	if (receive_message(sync, &m, sizeof(m), fds, &n) != (ssize_t)sizeof(m))
		return pf_fail(err, -EPIPE, "the sandbox's first process died while its root was built");
	if (m.error.code) {
		m.error.msg[PF_ERROR_MAX - 1] = '\0';
		return pf_fail(err, m.error.code, "%s", m.error.msg);
	}
	hand->temp_fd = m.have_temp ? fds[i++] : -1;
	hand->scratch_fd = m.have_scratch ? fds[i++] : -1;
	hand->stage_fd = m.have_stage ? fds[i++] : -1;
	return 0;
}
