/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The streams of a connection: those that are open in a hash table of slots that never move,
 * and the flows of those that were closed last, because frames for them may still be on the way.
 */
#include "conn_internal.h"

#include <errno.h>

static unsigned bucket_of(uint32_t id)
{
	return (id * 2654435761u) >> 24; /* Fibonacci hashing: the upper 8 bits */
}

_Static_assert(PF__BUCKETS == 256, "bucket_of() yields 8 bits");

struct pf__stream *pf__stream_find(const struct pf_conn *c, uint32_t id)
{
	struct pf__stream *s = c->bucket[bucket_of(id)];

	while (s && s->flow.id != id)
		s = s->chain;
	return s;
}

struct pf__flow *pf__closed_find(struct pf_conn *c, uint32_t id)
{
	for (unsigned i = 0; i < c->closed_count; i++)
		if (c->closed[i].id == id)
			return &c->closed[i];
	return NULL;
}

static void remember(struct pf_conn *c, const struct pf__flow *f)
{
	c->closed[c->closed_next] = *f;
	c->closed_next = (c->closed_next + 1) % PF__CLOSED;
	if (c->closed_count < PF__CLOSED)
		c->closed_count++;
}

static struct pf__stream *take_slot(struct pf_conn *c)
{
	struct pf__stream *s = c->unused;

	if (!s)
		return &c->slot[c->used++];
	c->unused = s->chain;
	return s;
}

int pf_conn_open_small(struct pf_conn *c, uint32_t stream, enum pf_stream_dir dir, uint32_t credit)
{
	unsigned b = bucket_of(stream);
	struct pf__stream *s;

	if (!stream || !credit || credit > PF_CREDIT || (dir != PF_STREAM_IN && dir != PF_STREAM_OUT))
		return -EINVAL;
	/* A remembered number too: a late frame of the old stream would count for the new one. */
	if (pf__stream_find(c, stream) || pf__closed_find(c, stream))
		return -EEXIST;
	if (c->open >= PF_STREAMS_MAX)
		return -ENOSPC;
	s = take_slot(c);
	*s = (struct pf__stream){
		.flow = {.id = stream, .most = credit, .credit = credit, .dir = (uint8_t)dir},
		.chain = c->bucket[b],
	};
	c->bucket[b] = s;
	c->open++;
	return 0;
}

int pf_conn_open(struct pf_conn *c, uint32_t stream, enum pf_stream_dir dir)
{
	return pf_conn_open_small(c, stream, dir, PF_CREDIT);
}

void pf__stream_drop_queue(struct pf_conn *c, struct pf__stream *s)
{
	c->queued -= s->queue.len;
	pf__ring_free(&s->queue);
}

void pf__stream_remove(struct pf_conn *c, struct pf__stream *s)
{
	struct pf__stream **at = &c->bucket[bucket_of(s->flow.id)];

	while (*at != s)
		at = &(*at)->chain;
	*at = s->chain;
	pf__list_remove(s->flow.dir == PF_STREAM_IN ? &c->grants : &c->ready, s);
	pf__stream_drop_queue(c, s);
	remember(c, &s->flow);
	s->chain = c->unused;
	c->unused = s;
	c->open--;
}

void pf_conn_close(struct pf_conn *c, uint32_t stream)
{
	struct pf__stream *s = pf__stream_find(c, stream);

	if (s)
		pf__stream_remove(c, s);
}

bool pf_conn_is_open(const struct pf_conn *c, uint32_t stream)
{
	return pf__stream_find(c, stream) != NULL;
}

void pf__list_add(struct pf__list *l, struct pf__stream *s)
{
	if (s->listed)
		return;
	s->listed = true;
	s->next = NULL;
	s->prev = l->last;
	if (l->last)
		l->last->next = s;
	else
		l->first = s;
	l->last = s;
}

void pf__list_remove(struct pf__list *l, struct pf__stream *s)
{
	if (!s->listed)
		return;
	s->listed = false;
	if (s->prev)
		s->prev->next = s->next;
	else
		l->first = s->next;
	if (s->next)
		s->next->prev = s->prev;
	else
		l->last = s->prev;
}
