/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entries of one directory: an array in the order of coming, and beyond a few entries a hash index over
 * it, so that a hundred thousand names in any order cost no square. The hash is keyed with a random number (a
 * polynomial over the integers modulo 2^61 - 1 at a secret point): names come from an archive whose author
 * would otherwise pick them to collide.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "erofs/tree_internal.h"

#define INDEX_FROM 9u /* entries; fewer are looked through */
#define PRIME	   ((1ull << 61) - 1)

static uint64_t multiply(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;
	uint64_t r = (uint64_t)(m & PRIME) + (uint64_t)(m >> 61);

	return r >= PRIME ? r - PRIME : r;
}

static uint32_t name_hash(const struct pf_tree *t, const char *name, size_t n)
{
	uint64_t h = n + 1;

	while (n > 0) {
		size_t part = n < 7 ? n : 7; /* below the prime whatever the bytes */
		uint64_t word = 0;

		memcpy(&word, name, part);
		h = multiply(h, t->key) + word;
		if (h >= PRIME)
			h -= PRIME;
		name += part;
		n -= part;
	}
	return (uint32_t)(multiply(h, t->key) >> 20);
}

static bool same_name(const struct pf_entry *e, const char *name, size_t n)
{
	return e->length == n && memcmp(e->name, name, n) == 0;
}

ssize_t pf__dir_find(const struct pf_tree *t, const struct pf__node *dir, const char *name, size_t n)
{
	const struct pf_entry *e = dir->inode.entries;
	uint32_t hash, mask, i;

	if (!dir->slots) {
		for (size_t at = 0; at < dir->inode.entry_count; at++) {
			if (same_name(&e[at], name, n))
				return (ssize_t)at;
		}
		return -1;
	}
	mask = dir->slot_count - 1;
	hash = name_hash(t, name, n);
	for (i = hash & mask; dir->slots[i].at; i = (i + 1) & mask) {
		if (dir->slots[i].hash == hash && same_name(&e[dir->slots[i].at - 1], name, n))
			return (ssize_t)dir->slots[i].at - 1;
	}
	return -1;
}

static void slot_insert(struct pf__slot *slots, uint32_t mask, struct pf__slot s)
{
	uint32_t i = s.hash & mask;

	while (slots[i].at)
		i = (i + 1) & mask;
	slots[i] = s;
}

static void index_fill(struct pf_tree *t, struct pf__node *dir)
{
	for (size_t at = 0; at < dir->inode.entry_count; at++) {
		const struct pf_entry *e = &dir->inode.entries[at];

		slot_insert(dir->slots, dir->slot_count - 1,
			    (struct pf__slot){name_hash(t, e->name, e->length), (uint32_t)at + 1});
	}
}

/* Room in the index for one entry more: at most three quarters full. */
static int index_reserve(struct pf_tree *t, struct pf__node *dir, struct pf_error *err)
{
	size_t need = dir->inode.entry_count + 1;
	uint32_t count = dir->slot_count ? dir->slot_count : 16;
	uint64_t before = pf__tree_cost(dir->slot_count * sizeof(*dir->slots));
	struct pf__slot *slots;
	int r;

	if (need < INDEX_FROM || need <= dir->slot_count / 4 * 3)
		return 0;
	while (need > count / 4 * 3)
		count *= 2;
	r = pf__tree_charge(t, pf__tree_cost(count * sizeof(*slots)), err);
	if (r < 0)
		return r;
	slots = calloc(count, sizeof(*slots));
	if (!slots) {
		pf__tree_release(t, pf__tree_cost(count * sizeof(*slots)));
		return pf_fail(err, -ENOMEM, "no memory for a directory of %zu entries", need);
	}
	if (dir->slots)
		pf__tree_release(t, before);
	free(dir->slots);
	dir->slots = slots;
	dir->slot_count = count;
	index_fill(t, dir);
	return 0;
}

static int entries_reserve(struct pf_tree *t, struct pf__node *dir, struct pf_error *err)
{
	size_t room = dir->room ? dir->room * 2 : 4;
	struct pf_entry *entries;
	int r;

	if (dir->inode.entry_count < dir->room)
		return 0;
	r = pf__tree_charge(t, pf__tree_cost(room * sizeof(*entries)), err);
	if (r < 0)
		return r;
	entries = realloc(dir->inode.entries, room * sizeof(*entries));
	if (!entries) {
		pf__tree_release(t, pf__tree_cost(room * sizeof(*entries)));
		return pf_fail(err, -ENOMEM, "no memory for a directory of %zu entries", room);
	}
	if (dir->room)
		pf__tree_release(t, pf__tree_cost(dir->room * sizeof(*entries)));
	dir->inode.entries = entries;
	dir->room = room;
	return 0;
}

/* A directory is counted in its parent, for its "..". */
static void count_link(struct pf__node *dir, struct pf__node *what)
{
	if (pf__is_dir(&what->inode))
		dir->inode.links++;
	else
		what->inode.links++;
}

int pf__dir_add(struct pf_tree *t, struct pf__node *dir, const char *name, size_t n, struct pf__node *what,
		struct pf_error *err)
{
	PF_AUTO_FREE char *copy = NULL;
	size_t at = dir->inode.entry_count;
	int r;

	if (t->entries >= PF_TREE_NODES_MAX)
		return pf_fail(err, -E2BIG, "more than %u files", PF_TREE_NODES_MAX);
	r = entries_reserve(t, dir, err);
	if (r == 0)
		r = index_reserve(t, dir, err);
	if (r == 0)
		r = pf__tree_charge(t, pf__tree_cost(n + 1), err);
	if (r < 0)
		return r;
	copy = malloc(n + 1);
	if (!copy) {
		pf__tree_release(t, pf__tree_cost(n + 1));
		return pf_fail(err, -ENOMEM, "no memory for a name");
	}
	memcpy(copy, name, n);
	copy[n] = '\0';
	if (dir->slots)
		slot_insert(dir->slots, dir->slot_count - 1,
			    (struct pf__slot){name_hash(t, name, n), (uint32_t)at + 1});
	dir->inode.entries[at] =
		(struct pf_entry){.name = pf_take_ptr(copy), .length = n, .inode = &what->inode};
	dir->inode.entry_count++;
	t->entries++;
	count_link(dir, what);
	return 0;
}

struct pf__node *pf__dir_swap(struct pf__node *dir, size_t at, struct pf__node *what)
{
	struct pf__node *old = pf__node_of(dir->inode.entries[at].inode);

	dir->inode.entries[at].inode = &what->inode;
	count_link(dir, what);
	if (pf__is_dir(&old->inode))
		dir->inode.links--;
	return old;
}

/* The slot of an entry, found by its hash. */
static uint32_t slot_of(const struct pf_tree *t, const struct pf__node *dir, size_t at)
{
	const struct pf_entry *e = &dir->inode.entries[at];
	uint32_t mask = dir->slot_count - 1, i = name_hash(t, e->name, e->length) & mask;

	while (dir->slots[i].at != at + 1)
		i = (i + 1) & mask;
	return i;
}

/* Free a slot and draw nearer those behind it that were pushed away by it, so that no search ends too soon.
 */
static void slot_remove(struct pf__node *dir, uint32_t i)
{
	struct pf__slot *s = dir->slots;
	uint32_t mask = dir->slot_count - 1;

	for (uint32_t j = (i + 1) & mask; s[j].at; j = (j + 1) & mask) {
		if (((j - s[j].hash) & mask) >= ((j - i) & mask)) {
			s[i] = s[j];
			i = j;
		}
	}
	s[i].at = 0;
}

struct pf__node *pf__dir_take(struct pf_tree *t, struct pf__node *dir, size_t at)
{
	struct pf_entry *entries = dir->inode.entries, gone = entries[at];
	size_t last = dir->inode.entry_count - 1;

	if (dir->slots) {
		slot_remove(dir, slot_of(t, dir, at));
		if (at != last)
			dir->slots[slot_of(t, dir, last)].at = (uint32_t)at + 1;
	}
	entries[at] = entries[last];
	dir->inode.entry_count = last;
	t->entries--;
	if (pf__is_dir(gone.inode))
		dir->inode.links--;
	pf__tree_release(t, pf__tree_cost(gone.length + 1));
	free(gone.name);
	return pf__node_of(gone.inode);
}

void pf__dir_free(struct pf_tree *t, struct pf__node *dir)
{
	for (size_t at = 0; at < dir->inode.entry_count; at++) {
		pf__tree_release(t, pf__tree_cost(dir->inode.entries[at].length + 1));
		free(dir->inode.entries[at].name);
	}
	t->entries -= dir->inode.entry_count;
	if (dir->room)
		pf__tree_release(t, pf__tree_cost(dir->room * sizeof(*dir->inode.entries)));
	if (dir->slots)
		pf__tree_release(t, pf__tree_cost(dir->slot_count * sizeof(*dir->slots)));
	free(dir->inode.entries);
	free(dir->slots);
	dir->inode.entries = NULL;
	dir->slots = NULL;
	dir->inode.entry_count = dir->room = 0;
	dir->slot_count = 0;
}

static int by_name(const void *a, const void *b)
{
	const struct pf_entry *x = a, *y = b;
	int r = memcmp(x->name, y->name, x->length < y->length ? x->length : y->length);

	return r ? r : (x->length > y->length) - (x->length < y->length);
}

void pf__dir_sort(struct pf_tree *t, struct pf__node *dir)
{
	size_t n = dir->inode.entry_count, at = 1;

	while (at < n && by_name(&dir->inode.entries[at - 1], &dir->inode.entries[at]) < 0)
		at++;
	if (at >= n)
		return;
	qsort(dir->inode.entries, n, sizeof(*dir->inode.entries), by_name);
	if (dir->slots) {
		memset(dir->slots, 0, dir->slot_count * sizeof(*dir->slots));
		index_fill(t, dir);
	}
}
