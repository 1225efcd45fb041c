/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What applies wrote into a workspace: STATE/changes/.applied.d/KEY, one file a workspace, one JSON object a
 * line:
 *
 *      {"path":P,"dev":D,"ino":I,"ctime_ns":C,"size":S,"at":SECONDS}
 *
 * A sandbox that started before such an apply finds files that are younger than itself; if they are just as
 * the apply left them, the user has not touched them since. The last line of a path counts. The file grows at
 * its end and is cut to its newer half when it is large. What is missing from it, or cannot be read, makes a
 * conflict more: the user is asked once too often, and nothing is lost.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sha256.h"
#include "base/str.h"
#include "workspace/apply_internal.h"

#define DIR_NAME  ".applied.d"
#define BYTES_MAX (8u << 20)
#define FILES_MAX 1000u

struct record {
	char *path;
	size_t line; /* later ones count */
	uint64_t dev, ino, size;
	int64_t ctime_ns;
};

struct pf__applied {
	struct record *items; /* sorted by path, each once */
	size_t count;
};

/* The file's name says nothing of the path, and cannot hold a part of one. */
static void key_of(const char *workspace, char out[96])
{
	char digest[PF_DIGEST_MAX];

	pf_sha256_text(workspace, strlen(workspace), digest);
	snprintf(out, 96, "%s/%.32s", DIR_NAME, digest + strlen("sha256:"));
}

int pf__applied_line(const char *path, const struct stat *st, int64_t now, struct pf_buf *out)
{
	struct pf_jsonw w;

	pf_jsonw_init(&w, out, 0);
	pf_jsonw_begin(&w, '{');
	pf__json_bytes(&w, "path", "path_b64", path);
	pf_jsonw_kint(&w, "dev", (int64_t)st->st_dev);
	pf_jsonw_kint(&w, "ino", (int64_t)st->st_ino);
	pf_jsonw_kint(&w, "ctime_ns", pf__ws_ctime_ns(st));
	pf_jsonw_kint(&w, "size", st->st_size);
	pf_jsonw_kint(&w, "at", now);
	pf_jsonw_end(&w, '}');
	return pf_buf_addc(out, '\n');
}

static bool get_int(const struct pf_json *o, const char *key, int64_t *out)
{
	const struct pf_json *v = pf_json_get(o, key);

	if (!v || v->type != PF_JSON_INT)
		return false;
	*out = v->i;
	return true;
}

int pf__applied_parse(const char *line, size_t n, char **path, struct stat *st, int64_t *when)
{
	struct pf_json_doc *doc = NULL;
	const struct pf_json *o, *text, *b64;
	int64_t dev, ino, ctime, size, at;
	char *p = NULL;
	int r = pf_json_parse(line, n, 0, &doc, NULL);

	if (r < 0)
		return r;
	o = pf_json_root(doc);
	text = pf_json_get(o, "path");
	b64 = pf_json_get(o, "path_b64");
	if (o->type == PF_JSON_OBJECT && o->list.count == 6 && get_int(o, "dev", &dev) &&
	    get_int(o, "ino", &ino) && get_int(o, "ctime_ns", &ctime) && get_int(o, "size", &size) &&
	    get_int(o, "at", &at))
		p = text && text->type == PF_JSON_STRING ? strdup(text->str.s)
		    : b64 && b64->type == PF_JSON_STRING ? pf__base64_decode(b64->str.s, b64->str.len)
							 : NULL;
	pf_json_free(doc);
	if (!p || !pf__ws_path_ok(p)) {
		free(p);
		return -EBADMSG;
	}
	*st = (struct stat){.st_dev = (dev_t)dev, .st_ino = (ino_t)ino, .st_size = size};
	st->st_ctim = (struct timespec){ctime / 1000000000, ctime % 1000000000};
	if (st->st_ctim.tv_nsec < 0) {
		st->st_ctim.tv_sec--;
		st->st_ctim.tv_nsec += 1000000000;
	}
	*path = p;
	*when = at;
	return 0;
}

static int cmp_records(const void *x, const void *y)
{
	const struct record *a = x, *b = y;
	int d = strcmp(a->path, b->path);

	/* newest first, so that the first of each path is the one that counts */
	return d ? d : a->line < b->line ? 1 : a->line > b->line ? -1 : 0;
}

static int add(struct pf__applied *l, size_t *room, const char *line, size_t n, size_t number)
{
	struct record rec = {.line = number}, *more;
	struct stat st;
	int64_t when;

	if (pf__applied_parse(line, n, &rec.path, &st, &when) < 0)
		return 0; /* cut off by a kill in its midst */
	rec.dev = st.st_dev;
	rec.ino = st.st_ino;
	rec.size = (uint64_t)st.st_size;
	rec.ctime_ns = pf__ws_ctime_ns(&st);
	if (l->count == *room) {
		*room = *room ? 2 * *room : 64;
		more = realloc(l->items, *room * sizeof(*more));
		if (!more) {
			free(rec.path);
			return -ENOMEM;
		}
		l->items = more;
	}
	l->items[l->count++] = rec;
	return 0;
}

static void keep_newest(struct pf__applied *l)
{
	size_t kept = 0;

	if (l->count)
		qsort(l->items, l->count, sizeof(*l->items), cmp_records);
	for (size_t i = 0; i < l->count; i++) {
		if (kept && strcmp(l->items[kept - 1].path, l->items[i].path) == 0)
			free(l->items[i].path);
		else
			l->items[kept++] = l->items[i];
	}
	l->count = kept;
}

/* All bytes of a workspace's file; empty if there is none. */
static void read_all(int changes_fd, const char *workspace, struct pf_buf *out)
{
	PF_AUTO_CLOSE int fd = -1;
	struct stat st;
	char key[96];

	key_of(workspace, key);
	fd = pf__ws_open_file(changes_fd, key, &st);
	/* twice the bound: one that is being added to */
	if (fd < 0 || pf_read_fd(fd, out, 2 * BYTES_MAX) < 0)
		pf_buf_consume(out, out->len);
}

struct pf__applied *pf__applied_load(int changes_fd, const char *workspace)
{
	struct pf__applied *l = calloc(1, sizeof(*l));
	PF_AUTO_BUF struct pf_buf b = {0};
	size_t room = 0, number = 0, at = 0;

	if (!l)
		return NULL;
	read_all(changes_fd, workspace, &b);
	while (at < b.len) {
		const char *end = memchr(b.data + at, '\n', b.len - at);

		if (!end || add(l, &room, b.data + at, (size_t)(end - b.data) - at, number++) < 0)
			break;
		at = (size_t)(end - b.data) + 1;
	}
	keep_newest(l);
	return l;
}

void pf__applied_free(struct pf__applied *l)
{
	for (size_t i = 0; l && i < l->count; i++)
		free(l->items[i].path);
	if (l)
		free(l->items);
	free(l);
}

static int cmp_path(const void *path, const void *rec)
{
	return strcmp(path, ((const struct record *)rec)->path);
}

bool pf__applied_is(const struct pf__applied *l, const char *path, const struct stat *st)
{
	const struct record *r =
		l->count ? bsearch(path, l->items, l->count, sizeof(*l->items), cmp_path) : NULL;

	return r && r->dev == st->st_dev && r->ino == st->st_ino && r->size == (uint64_t)st->st_size &&
	       r->ctime_ns == pf__ws_ctime_ns(st);
}

/* Too large: the newer half of it, from a line's beginning. */
static void cut(int changes_fd, const char *key)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	const char *from;

	if (pf_read_file(changes_fd, key, &b, 4 * BYTES_MAX) < 0) {
		unlinkat(changes_fd, key, 0);
		return;
	}
	from = memchr(b.data + b.len / 2, '\n', b.len - b.len / 2);
	if (!from ||
	    pf_replace_file(changes_fd, key, from + 1, b.len - (size_t)(from + 1 - b.data), 0600) < 0)
		unlinkat(changes_fd, key, 0);
}

void pf__applied_add(int changes_fd, const char *workspace, const struct pf_buf *lines)
{
	PF_AUTO_CLOSE int fd = -1;
	const char *from = lines->data;
	size_t n = lines->len;
	struct stat st;
	char key[96];
	char last;

	if (mkdirat(changes_fd, DIR_NAME, 0700) < 0 && errno != EEXIST)
		return;
	/* of an apply that wrote more than fits, its end */
	if (n > BYTES_MAX / 2) {
		from = memchr(from + n - BYTES_MAX / 2, '\n', BYTES_MAX / 2);
		from = from ? from + 1 : lines->data + n;
		n = (size_t)(lines->data + lines->len - from);
	}
	key_of(workspace, key);
	fd = pf_openat2(changes_fd, key, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600, 0);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	/* a line that a kill cut off must not swallow the first of ours */
	if (st.st_size > 0 && (pread(fd, &last, 1, st.st_size - 1) != 1 || last != '\n') &&
	    pf_write_full(fd, "\n", 1) < 0)
		return;
	if (pf_write_full(fd, from, n) == 0 && (uint64_t)st.st_size + n > BYTES_MAX)
		cut(changes_fd, key);
}

void pf__applied_expire(int changes_fd, int64_t before)
{
	PF_AUTO_CLOSE int fd = pf__ws_open(changes_fd, DIR_NAME, O_RDONLY | O_DIRECTORY);
	struct pf_list names = {0};

	if (fd < 0)
		return;
	pf__ws_names(fd, &names, 4 * FILES_MAX); /* as far as it comes */
	for (size_t i = 0; i < names.count; i++) {
		struct stat st;

		if (fstatat(fd, names.items[i], &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    ((int64_t)st.st_mtim.tv_sec < before || i >= FILES_MAX))
			unlinkat(fd, names.items[i], 0);
	}
	pf_list_free(&names);
}
