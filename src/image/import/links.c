/* SPDX-License-Identifier: Apache-2.0 */
/* A map from two numbers to a path: open addressing, at most half full, nothing is ever removed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/import/import_internal.h"

struct pf__link {
	uint64_t a, b;
	char *path; /* NULL: free */
};

void pf__links_free(struct pf__links *m)
{
	for (size_t i = 0; i < m->cap; i++)
		free(m->slots[i].path);
	free(m->slots);
	*m = (struct pf__links){0};
}

/* The slot of a key, or the free one where it belongs. Numbers are hashed twice (splitmix64's finish): a
 * crowd of neighbours must not become one chain. */
static size_t slot(const struct pf__link *slots, size_t cap, uint64_t a, uint64_t b)
{
	uint64_t h = a * 0x9e3779b97f4a7c15u ^ b;
	size_t i;

	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
	h = (h ^ h >> 27) * 0x94d049bb133111ebu;
	for (i = (size_t)(h ^ h >> 31) & (cap - 1); slots[i].path; i = (i + 1) & (cap - 1))
		if (slots[i].a == a && slots[i].b == b)
			break;
	return i;
}

const char *pf__links_find(const struct pf__links *m, uint64_t a, uint64_t b)
{
	return m->cap ? m->slots[slot(m->slots, m->cap, a, b)].path : NULL;
}

static int grow(struct pf__links *m)
{
	size_t cap = m->cap ? m->cap * 2 : 64;
	struct pf__link *slots = calloc(cap, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].path)
			slots[slot(slots, cap, m->slots[i].a, m->slots[i].b)] = m->slots[i];
	free(m->slots);
	m->slots = slots;
	m->cap = cap;
	return 0;
}

int pf__links_add(struct pf__links *m, uint64_t a, uint64_t b, const char *path)
{
	char *copy = strdup(path);
	int r = copy && m->count >= m->cap / 2 ? grow(m) : 0;
	size_t i;

	if (!copy || r) {
		free(copy);
		return -ENOMEM;
	}
	i = slot(m->slots, m->cap, a, b);
	if (!m->slots[i].path)
		m->count++;
	free(m->slots[i].path);
	m->slots[i].a = a;
	m->slots[i].b = b;
	m->slots[i].path = copy;
	return 0;
}
