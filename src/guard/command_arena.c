/* SPDX-License-Identifier: Apache-2.0 */
/* The memory that a plan lives in: blocks that are freed together. */
#include <stdlib.h>
#include <string.h>

#include "guard/command_lex.h"

struct block {
	struct block *next;
	char bytes[] __attribute__((aligned(16)));
};
struct pf__arena {
	struct block *blocks;
};

struct pf__arena *pf__arena_new(void)
{
	return calloc(1, sizeof(struct pf__arena));
}

void pf__arena_free(struct pf__arena *a)
{
	if (!a)
		return;
	for (struct block *b = a->blocks, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	free(a);
}

void *pf__arena_alloc(struct pf__arena *a, size_t n)
{
	struct block *b = calloc(1, sizeof(*b) + n);

	if (!b)
		return NULL;
	b->next = a->blocks;
	a->blocks = b;
	return b->bytes;
}

char *pf__arena_copy(struct pf__arena *a, const char *s, size_t n)
{
	char *copy = pf__arena_alloc(a, n + 1);

	if (copy && n)
		memcpy(copy, s, n);
	return copy;
}
