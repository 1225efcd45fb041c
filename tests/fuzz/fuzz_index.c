/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of a workspace's index: any bytes are refused or give a tree; and a tree that passes its checks
 * (bytes as directories, hits and names, which no checksum keeps the fuzzer from) can be taken over whole by
 * a walk, and comes out as it was.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "workspace/scan_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                             \
	do {                                                                                                 \
		if (!(x))                                                                                    \
			abort();                                                                             \
	} while (0)

static void *copy_of(const uint8_t **p, size_t n)
{
	void *copy = malloc(n ? n : 1);

	CHECK(copy);
	memcpy(copy, *p, n);
	*p += n;
	return copy;
}

/* Two bytes say how many directories and hits there are; what is behind them is names. */
static bool make_tree(const uint8_t *p, size_t n, struct pf__tree *t)
{
	if (n < 2)
		return false;
	t->dir_count = p[0];
	t->hit_count = p[1];
	p += 2;
	n -= 2;
	if (n < t->dir_count * sizeof(*t->dirs) + t->hit_count * sizeof(*t->hits))
		return false;
	t->name_bytes = n - t->dir_count * sizeof(*t->dirs) - t->hit_count * sizeof(*t->hits);
	t->dirs = copy_of(&p, t->dir_count * sizeof(*t->dirs));
	t->hits = copy_of(&p, t->hit_count * sizeof(*t->hits));
	t->names = copy_of(&p, t->name_bytes);
	return true;
}

static void take_over(const struct pf__tree *t)
{
	struct pf__walk *w = calloc(1, sizeof(*w));
	uint8_t *state = malloc(t->dir_count);
	struct pf_error err = {0};

	CHECK(w && state);
	memset(state, PF__DIR_HOLDS, t->dir_count);
	w->ws_fd = -1; /* nothing is opened */
	w->old = t;
	w->state = state;
	w->err = &err;
	CHECK(pf__walk(w) == 0);
	CHECK(pf__tree_ok(&w->tree));
	CHECK(w->tree.dir_count == t->dir_count && w->tree.hit_count == t->hit_count);
	for (size_t i = 0; i < t->dir_count; i++) {
		CHECK(strcmp(w->tree.names + w->tree.dirs[i].name, t->names + t->dirs[i].name) == 0);
		CHECK(w->tree.dirs[i].end == t->dirs[i].end && w->tree.dirs[i].up == t->dirs[i].up);
	}
	pf__tree_free(&w->tree);
	free(state);
	free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[32];
	struct pf__tree t = {0};

	if (pf__index_parse(data, size, key, &t) == 0)
		take_over(&t);
	pf__tree_free(&t);
	if (make_tree(data, size, &t) && pf__tree_ok(&t))
		take_over(&t);
	pf__tree_free(&t);
	return 0;
}
