/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index file: a head, then directories, hits and names as they are in memory. It is made and read on one
 * machine, in the state directory, which is the caller's own; but a file may be torn by a crash, and what it
 * says decides what a command is shown. So every number in it is checked, and whatever is wrong means that
 * there is none.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "workspace/scan_internal.h"

#define INDEX_MAX   (64u << 20)
#define INDEXES_MAX 64	 /* files that are kept, the newest */
#define STALE_S	    3600 /* a temporary name so old was cut off */
#define DEPTH_MAX   2048
#define KNOWN_FLAGS (PF__DIR_AGAIN | PF__DIR_CLOSED | PF__DIR_MOUNT | PF__DIR_LONG)
#define KNOWN_KINDS (PF__HIT_MASK | PF__HIT_PROTECT | PF__HIT_SOCKET)
#define INDEX_MAGIC 0x3158444e49464e50u /* "PNFINDX1" */

struct head {
	uint64_t magic;
	uint8_t key[32];
	uint64_t sum; /* of all that follows */
	uint32_t dirs, hits, names, reserved;
};

/* Against bits that were lost, not against an attacker: eight bytes at a time, since it is on the path of a
 * start. */
static uint64_t sum(const uint8_t *p, size_t n)
{
	uint64_t h = 0x9e3779b97f4a7c15u ^ n, v;

	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&v, p, 8);
		h = (h ^ v) * 0xff51afd7ed558ccdu;
		h ^= h >> 32;
	}
	v = 0;
	memcpy(&v, p, n);
	h = (h ^ v) * 0xc4ceb9fe1a85ec53u;
	return h ^ h >> 29;
}

static bool name_ok(const struct pf__tree *t, uint32_t at)
{
	const char *s = t->names + at;

	/* the block ends with a NUL */
	return at < t->name_bytes && *s && strcmp(s, ".") != 0 && strcmp(s, "..") != 0 && !strchr(s, '/') &&
	       strlen(s) <= 255;
}

/* Parents before what is in them, each whole before the next, hits in the same order. */
static bool dirs_ok(const struct pf__tree *t)
{
	uint32_t open[DEPTH_MAX], depth = 0, hits = 0;
	size_t lens[DEPTH_MAX]; /* of paths */

	for (uint32_t i = 0; i < t->dir_count; i++) {
		const struct pf__dir *d = &t->dirs[i];

		while (depth && t->dirs[open[depth - 1]].end <= i)
			depth--;
		if (depth == DEPTH_MAX || (i > 0 && depth == 0) || d->up != (depth ? open[depth - 1] : 0))
			return false;
		if (d->end <= i || d->end > (depth ? t->dirs[open[depth - 1]].end : t->dir_count))
			return false;
		if (d->name >= t->name_bytes ||
		    (i == 0 ? t->names[d->name] || d->end != t->dir_count : !name_ok(t, d->name)))
			return false;
		if (d->first_hit != hits || d->hits > t->hit_count - hits ||
		    (d->flags & ~(uint32_t)KNOWN_FLAGS))
			return false;
		hits += d->hits;
		lens[depth] = (depth ? lens[depth - 1] + 1 : 0) + strlen(t->names + d->name);
		if (lens[depth] >= PF__WS_PATH_MAX)
			return false;
		open[depth++] = i;
	}
	return hits == t->hit_count;
}

bool pf__tree_ok(const struct pf__tree *t)
{
	if (t->dir_count == 0 || t->name_bytes == 0 || t->names[t->name_bytes - 1] != '\0' || !dirs_ok(t))
		return false;
	for (size_t i = 0; i < t->hit_count; i++)
		if (!name_ok(t, t->hits[i].name) || !t->hits[i].kind ||
		    (t->hits[i].kind & ~(uint32_t)KNOWN_KINDS))
			return false;
	return true;
}

static void *copy_of(const uint8_t **p, size_t n)
{
	void *copy = malloc(n ? n : 1);

	if (copy)
		memcpy(copy, *p, n);
	*p += n;
	return copy;
}

int pf__index_parse(const void *bytes, size_t n, const uint8_t key[32], struct pf__tree *out)
{
	const uint8_t *p = bytes;
	struct pf__tree t = {0};
	struct head h;

	if (n < sizeof(h))
		return -ENOENT;
	memcpy(&h, p, sizeof(h));
	p += sizeof(h);
	n -= sizeof(h);
	if (h.magic != INDEX_MAGIC || h.reserved || memcmp(h.key, key, sizeof(h.key)) != 0 ||
	    n != h.dirs * (uint64_t)sizeof(*t.dirs) + h.hits * (uint64_t)sizeof(*t.hits) + h.names ||
	    sum(p, n) != h.sum)
		return -ENOENT;
	t.dir_count = t.dir_room = h.dirs;
	t.hit_count = t.hit_room = h.hits;
	t.name_bytes = t.name_room = h.names;
	t.dirs = copy_of(&p, h.dirs * sizeof(*t.dirs));
	t.hits = copy_of(&p, h.hits * sizeof(*t.hits));
	t.names = copy_of(&p, h.names);
	if (!t.dirs || !t.hits || !t.names || !pf__tree_ok(&t)) {
		pf__tree_free(&t);
		return -ENOENT;
	}
	*out = t;
	return 0;
}

static void file_name(const uint8_t key[32], char out[17])
{
	for (unsigned i = 0; i < 8; i++)
		snprintf(out + 2 * i, 3, "%02x", key[i]);
}

int pf__index_read(int dir, const uint8_t key[32], struct pf__tree *out)
{
	PF_AUTO_CLOSE int fd = -1;
	PF_AUTO_FREE char *bytes = NULL;
	struct stat st;
	char name[17];

	file_name(key, name);
	fd = pf_open_beneath(dir, name, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > INDEX_MAX)
		return -ENOENT;
	bytes = malloc((size_t)st.st_size + 1);
	if (!bytes || pf_read_full(fd, bytes, (size_t)st.st_size) != (ssize_t)st.st_size)
		return -ENOENT;
	return pf__index_parse(bytes, (size_t)st.st_size, key, out);
}

/* The oldest goes when there are too many. */
static void prune(int dir)
{
	struct pf_list names = {0};
	const char *oldest = NULL;
	time_t when = 0;
	size_t count = 0;
	struct stat st;

	pf__ws_names(dir, &names, 4096);
	for (size_t i = 0; i < names.count; i++) {
		if (fstatat(dir, names.items[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		/* pf_replace_file()'s, of one that was killed */
		if (names.items[i][0] == '.' && time(NULL) - st.st_mtime > STALE_S)
			unlinkat(dir, names.items[i], 0);
		if (names.items[i][0] == '.')
			continue;
		if (count++ == 0 || st.st_mtime < when) {
			when = st.st_mtime;
			oldest = names.items[i];
		}
	}
	if (count > INDEXES_MAX)
		unlinkat(dir, oldest, 0);
	pf_list_free(&names);
}

void pf__index_write(int dir, const uint8_t key[32], const struct pf__tree *t)
{
	struct head h = {.magic = INDEX_MAGIC,
			 .dirs = (uint32_t)t->dir_count,
			 .hits = (uint32_t)t->hit_count,
			 .names = (uint32_t)t->name_bytes};
	PF_AUTO_BUF struct pf_buf b = {0};
	char name[17];

	if (t->dir_count * sizeof(*t->dirs) + t->hit_count * sizeof(*t->hits) + t->name_bytes > INDEX_MAX / 2)
		return;
	memcpy(h.key, key, sizeof(h.key));
	pf_buf_add(&b, &h, sizeof(h));
	pf_buf_add(&b, t->dirs, t->dir_count * sizeof(*t->dirs));
	pf_buf_add(&b, t->hits ? (const void *)t->hits : "", t->hit_count * sizeof(*t->hits));
	pf_buf_add(&b, t->names, t->name_bytes);
	if (b.failed)
		return;
	h.sum = sum((const uint8_t *)b.data + sizeof(h), b.len - sizeof(h));
	memcpy(b.data, &h, sizeof(h));
	file_name(key, name);
	/* ext4 writes a file out that takes the place of another (auto_da_alloc in ext4(5)), and a run would
	 * wait for the disk: so there is none for a moment */
	unlinkat(dir, name, 0);
	if (pf_replace_file(dir, name, b.data, b.len, 0600) == 0)
		prune(dir);
}
