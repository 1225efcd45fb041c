/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output to whoever reads us. A slow or stopped reader must slow the command down, as in any pipe, and must
 * not keep us from ending it when its time is up. O_NONBLOCK is no way: it belongs to the open file, which we
 * share with the shell. So we ask poll(2) first and write no more than surely fits.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/run.h"

#define CONSUME_AT 65536 /* do not move the rest of the buffer for less */

void pf_sink_init(struct pf_sink *s, int fd)
{
	struct stat st;

	*s = (struct pf_sink){.fd = fd};
	if (fstat(fd, &st) < 0)
		return;
	s->socket = S_ISSOCK(st.st_mode);
	s->direct = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) || (S_ISCHR(st.st_mode) && !isatty(fd));
}

size_t pf_sink_pending(const struct pf_sink *s)
{
	return s->pend.len - s->done;
}

static bool writable(const struct pf_sink *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLOUT};

	/* With POLLERR or POLLHUP the write tells what is wrong. */
	return s->direct || s->socket || (poll(&p, 1, 0) == 1 && p.revents);
}

/* A write that does not wait: bytes written, 0 when nothing fits now, -errno. */
static ssize_t write_some(struct pf_sink *s, const char *p, size_t n)
{
	ssize_t w;

	if (!writable(s))
		return 0;
	if (s->socket)
		w = send(s->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	else /* a pipe that polls writable takes PIPE_BUF bytes; a terminal nearly always */
		w = write(s->fd, p, s->direct || n < PIPE_BUF ? n : PIPE_BUF);
	if (w >= 0)
		return w;
	return errno == EINTR || errno == EAGAIN ? 0 : -errno;
}

/* Write until nothing fits or nothing is left; returns how much went. */
static size_t write_all(struct pf_sink *s, const char *p, size_t n)
{
	size_t done = 0;

	while (done < n && s->error == 0) {
		ssize_t w = write_some(s, p + done, n - done);

		if (w == 0)
			break;
		if (w < 0)
			s->error = (int)w;
		else
			done += (size_t)w;
	}
	return done;
}

void pf_sink_put(struct pf_sink *s, const void *p, size_t n)
{
	size_t done = 0;

	if (s->error)
		return;
	if (pf_sink_pending(s) == 0)
		done = write_all(s, p, n);
	if (s->error == 0 && done < n && pf_buf_add(&s->pend, (const char *)p + done, n - done) < 0)
		s->error = -ENOMEM;
}

void pf_sink_flush(struct pf_sink *s)
{
	if (pf_sink_pending(s) == 0)
		return;
	s->done += write_all(s, s->pend.data + s->done, pf_sink_pending(s));
	if (s->error || pf_sink_pending(s) == 0) {
		s->pend.len = s->done = 0;
	} else if (s->done >= CONSUME_AT) {
		pf_buf_consume(&s->pend, s->done);
		s->done = 0;
	}
}

bool pf_sink_same(const struct pf_sink *a, const struct pf_sink *b)
{
	struct stat x, y;

	return !a->direct && !b->direct && fstat(a->fd, &x) == 0 && fstat(b->fd, &y) == 0 &&
	       x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

void pf_sink_free(struct pf_sink *s)
{
	pf_buf_free(&s->pend);
	s->done = 0;
}
