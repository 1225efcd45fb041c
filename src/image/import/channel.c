/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between the caller's process and its child. */
#include "image/import/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

#define HEAD offsetof(struct pf__msg, data)

union control {
	char room[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static int send_message(int channel, const struct pf__msg *m, int fd, int flags)
{
	struct iovec iov = {(void *)m, HEAD + m->n};
	union control control = {{0}};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t r;

	if (fd >= 0) {
		struct cmsghdr *c = &control.align;

		h.msg_control = control.room;
		h.msg_controllen = sizeof(control.room);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	do
		r = sendmsg(channel, &h, MSG_NOSIGNAL | flags);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

int pf__msg_send(int channel, const struct pf__msg *m, int fd, struct pf_error *err)
{
	int r = send_message(channel, m, fd, 0);

	return r ? pf_fail(err, r, "cannot speak with the other process of the import: %s", strerror(-r)) : 0;
}

int pf__msg_answer(int channel, const struct pf__msg *m, int fd, struct pf_error *err)
{
	int r = send_message(channel, m, fd, MSG_DONTWAIT);

	return r ? pf_fail(err, -EPROTO, "the import's reader was broken: it asks and does not listen") : 0;
}

int pf__msg_receive(int channel, struct pf__msg *m, int *fd, struct pf_error *err)
{
	struct iovec iov = {m, sizeof(*m)};
	union control control = {{0}};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
	PF_AUTO_CLOSE int got = -1;
	struct cmsghdr *c;
	ssize_t r;

	if (fd) { /* without room for it the kernel drops what comes */
		h.msg_control = control.room;
		h.msg_controllen = sizeof(control.room);
	}
	do
		r = recvmsg(channel, &h, MSG_CMSG_CLOEXEC);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return pf_fail_errno(err, "cannot hear the other process of the import");
	c = CMSG_FIRSTHDR(&h);
	if (fd && c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&got, CMSG_DATA(c), sizeof(int));
	if (r == 0)
		return 0;
	if ((size_t)r < HEAD || h.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || m->n != (size_t)r - HEAD)
		return pf_fail(err, -EPROTO, "a message of the import's other process is malformed");
	if (fd)
		*fd = pf_take_fd(&got);
	return 1;
}

int pf__ask_file(int channel, const char *path, int *fd, uint64_t *size, struct pf_error *err)
{
	struct pf__msg m = {.type = PF__MSG_OPEN, .n = (uint32_t)strlen(path)};
	PF_AUTO_CLOSE int got = -1;
	char show[PF__SHOW];
	int r;

	if (m.n > PF__PATH_MAX)
		return pf_fail(err, -ENAMETOOLONG, "the name of a blob is too long");
	memcpy(m.data, path, m.n);
	r = pf__msg_send(channel, &m, -1, err);
	if (r == 0)
		r = pf__msg_receive(channel, &m, &got, err);
	if (r <= 0)
		return r ? r : pf_fail(err, -EPIPE, "the import was given up");
	if (m.type != PF__MSG_FILE || (m.code == 0) != (got >= 0))
		return pf_fail(err, -EPROTO, "the answer to a request for a file is malformed");
	if (m.code)
		return pf_fail(err, m.code, "cannot open %s: %s", pf__show(path, strlen(path), show),
			       strerror(-m.code));
	*size = m.a;
	*fd = pf_take_fd(&got);
	return 0;
}

int pf__send_report(int channel, const struct pf_buf *text, struct pf_error *err)
{
	struct pf__msg m = {.type = PF__MSG_REPORT};
	int r = 0;

	for (size_t at = 0; at < text->len && r == 0; at += m.n) {
		m.n = text->len - at < PF__MSG_DATA ? (uint32_t)(text->len - at) : PF__MSG_DATA;
		memcpy(m.data, text->data + at, m.n);
		r = pf__msg_send(channel, &m, -1, err);
	}
	return r;
}
