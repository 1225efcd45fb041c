/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes from one socket to another; see proxy_internal.h. A full buffer is what slows a fast sender down. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "egress/proxy_internal.h"

/*
 * An idle connection keeps no buffer, and a busy one would fetch its buffer from the system anew for every
 * piece: musl gives large blocks back at once. So a few are kept, for whoever comes next.
 */
#define SPARES 16
static uint8_t *spare[SPARES];
static unsigned spares;

static uint8_t *take_buffer(void)
{
	return spares ? spare[--spares] : malloc(PF__FLOW_SIZE);
}

static void give_buffer(uint8_t *raw)
{
	if (raw && spares < SPARES)
		spare[spares++] = raw;
	else
		free(raw);
}

void pf__flow_free_spares(void)
{
	while (spares)
		free(spare[--spares]);
}

size_t pf__flow_room(const struct pf__flow *f)
{
	return f->eof ? 0 : PF__FLOW_SIZE - f->len;
}

bool pf__flow_pending(const struct pf__flow *f)
{
	return f->pass || f->made_at < f->made.len;
}

ssize_t pf__flow_read(struct pf__flow *f, int fd, size_t max)
{
	size_t tail;
	ssize_t n;

	if (!f->raw && !(f->raw = take_buffer()))
		return -ENOMEM;
	tail = PF__FLOW_SIZE - f->start - f->len;
	if (f->start && tail < PF__FLOW_SIZE / 4) {
		memmove(f->raw, f->raw + f->start, f->len);
		f->start = 0;
		tail = PF__FLOW_SIZE - f->len;
	}
	if (max > tail)
		max = tail;
	n = recv(fd, f->raw + f->start + f->len, max, MSG_DONTWAIT);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (n == 0 && max)
		f->eof = true;
	f->len += (size_t)n;
	return n;
}

static void took(struct pf__flow *f, size_t n)
{
	size_t part = f->made.len - f->made_at;

	if (part > n)
		part = n;
	f->made_at += part;
	if (f->made_at == f->made.len && f->made.len) {
		pf_buf_free(&f->made);
		f->made_at = 0;
	}
	n -= part;
	f->pass -= n;
	pf__flow_drop(f, n);
}

ssize_t pf__flow_write(struct pf__flow *f, int fd)
{
	struct iovec iov[2];
	struct msghdr msg = {.msg_iov = iov};
	ssize_t n;

	if (f->made_at < f->made.len)
		iov[msg.msg_iovlen++] = (struct iovec){f->made.data + f->made_at, f->made.len - f->made_at};
	if (f->pass)
		iov[msg.msg_iovlen++] = (struct iovec){f->raw + f->start, f->pass};
	n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	took(f, (size_t)n);
	return n;
}

void pf__flow_drop(struct pf__flow *f, size_t n)
{
	f->start += n;
	f->len -= n;
	if (f->len)
		return;
	give_buffer(f->raw);
	f->raw = NULL;
	f->start = 0;
}

void pf__flow_free(struct pf__flow *f)
{
	give_buffer(f->raw);
	pf_buf_free(&f->made);
	*f = (struct pf__flow){0};
}
