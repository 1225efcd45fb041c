/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's beginning and end. */
#include "conn_internal.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"

struct pf_conn *pf_conn_new(int fd, const struct pf_conn_ops *ops, void *user)
{
	/* Larger than malloc's threshold for mmap: pages that no traffic needs never exist. */
	struct pf_conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	pf_set_nonblock(fd, 1); /* reads and writes say MSG_DONTWAIT as well */
	c->fd = fd;
	c->ops = ops;
	c->user = user;
	c->message.limit = PF_CONTROL_MAX;
	return c;
}

void pf_conn_free(struct pf_conn *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < c->used; i++)
		pf__ring_free(&c->slot[i].queue);
	pf__ring_free(&c->control);
	pf_buf_free(&c->message);
	close(c->fd);
	free(c);
}

int pf_conn_fd(const struct pf_conn *c)
{
	return c->fd;
}
