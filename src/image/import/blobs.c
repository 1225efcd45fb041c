/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of an image that comes in parts: members of an archive, found in its tree, or files of a layout's
 * directory, which the caller's process opens.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "image/import/channel.h"

#define HOPS_MAX 8

/* `docker save` of old writes layers that it has twice as "HEX/layer.tar -> ../HEX/layer.tar". */
static int resolve(const char *link, const char *target, char out[PF__PATH_MAX + 1], struct pf_error *err)
{
	char *joined;
	const char *slash = strrchr(link, '/');
	size_t n = slash ? (size_t)(slash - link) : 0;
	int r = 0;

	/* "..", as far as it stands in front; the archive's own paths have none inside. */
	while (strncmp(target, "../", 3) == 0 && n) {
		target += 3;
		while (n && link[n - 1] != '/')
			n--;
		n -= n > 0;
	}
	joined = malloc(n + strlen(target) + 2);
	if (!joined)
		return pf_fail(err, -ENOMEM, "out of memory");
	memcpy(joined, link, n);
	joined[n] = '/';
	strcpy(joined + n + (n > 0), target);
	r = pf__entry_path(joined, strlen(joined), out, err);
	free(joined);
	return r;
}

static int open_member(const struct pf__blobs *b, const char *path, struct pf__blob *out,
		       struct pf_error *err)
{
	static const struct pf_extent nothing;
	char at[PF__PATH_MAX + 1], show[PF__SHOW];
	const struct pf_inode *i = NULL;

	if (strlen(path) > PF__PATH_MAX)
		return pf_fail(err, -ENAMETOOLONG, "the name of a file in the archive is too long");
	strcpy(at, path);
	for (int hops = 0; hops <= HOPS_MAX; hops++) {
		int r;

		i = pf_tree_find(b->tree, at);
		if (!i || !S_ISLNK(i->mode))
			break;
		r = resolve(at, i->target, at, err);
		if (r)
			return r;
	}
	if (!i)
		return pf_fail(err, -ENOENT, "there is no %s in it", pf__show(path, strlen(path), show));
	if (!S_ISREG(i->mode))
		return pf_fail(err, -EINVAL, "%s is no file", pf__show(path, strlen(path), show));
	*out = (struct pf__blob){.fd = -1,
				 .source = {.fd = b->fd,
					    .size = i->size,
					    .parts = i->extents ? i->extents : &nothing,
					    .count = i->extent_count}};
	return 0;
}

int pf__blob_open(const struct pf__blobs *b, const char *path, struct pf__blob *out, struct pf_error *err)
{
	uint64_t size;
	int fd, r;

	if (b->tree)
		return open_member(b, path, out, err);
	r = pf__ask_file(b->job->channel, path, &fd, &size, err);
	if (r == 0)
		*out = (struct pf__blob){.fd = fd, .source = {.fd = fd, .size = size}};
	return r;
}

void pf__blob_close(struct pf__blob *b)
{
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
}

static int read_all(struct pf__source *s, struct pf_buf *out, char digest[PF_DIGEST_MAX],
		    struct pf_error *err)
{
	struct pf__hash h = {0};
	int r = pf__hash_begin(&h, err);
	int64_t n = 0;

	if (r)
		return r;
	if (pf_buf_reserve(out, s->size))
		r = pf_fail(err, -ENOMEM, "out of memory");
	while (r == 0 && (n = pf__source_read(s, out->data + out->len, s->size - s->at, err)) > 0) {
		r = pf__hash_add(&h, out->data + out->len, (size_t)n, err);
		out->len += (size_t)n;
	}
	if (r == 0 && n < 0)
		r = (int)n;
	if (r == 0)
		return pf__hash_end(&h, digest, err);
	pf__hash_free(&h);
	return r;
}

int pf__blob_read(const struct pf__blobs *b, const char *path, struct pf_buf *out, char digest[PF_DIGEST_MAX],
		  struct pf_error *err)
{
	struct pf__blob blob;
	char show[PF__SHOW];
	int r = pf__blob_open(b, path, &blob, err);

	if (r)
		return r;
	out->len = 0;
	if (blob.source.size > PF__DOCUMENT_MAX)
		r = pf_fail(err, -EFBIG, "%s has %llu bytes, more than a document of an image may have",
			    pf__show(path, strlen(path), show), (unsigned long long)blob.source.size);
	else if ((r = read_all(&blob.source, out, digest, err)))
		pf_wrap(err, "%s", pf__show(path, strlen(path), show));
	pf__blob_close(&blob);
	return r;
}
