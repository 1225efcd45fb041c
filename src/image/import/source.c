/* SPDX-License-Identifier: Apache-2.0 */
/* Where bytes come from: a pipe, a file, or the parts of a spool that are one file of an archive. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "image/import/import_internal.h"

static int64_t read_at(struct pf__source *s, void *to, size_t n, uint64_t offset, struct pf_error *err)
{
	ssize_t r;

	do
		r = s->pipe ? read(s->fd, to, n) : pread(s->fd, to, n, (off_t)offset);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return pf_fail_errno(err, "cannot read");
	return r;
}

/* The next bytes of a file that lies in parts: either of one part or of the hole before it. */
static int64_t read_parts(struct pf__source *s, void *to, size_t n, struct pf_error *err)
{
	const struct pf_extent *e;
	uint64_t left;
	int64_t r;

	while (s->part < s->count && s->at >= s->parts[s->part].at + s->parts[s->part].length)
		s->part++;
	e = s->part < s->count ? &s->parts[s->part] : NULL;
	left = (e && s->at >= e->at ? e->at + e->length : e ? e->at : s->size) - s->at;
	if (n > left)
		n = (size_t)left;
	if (!e || s->at < e->at) {
		memset(to, 0, n);
		return (int64_t)n;
	}
	r = read_at(s, to, n, e->spool + (s->at - e->at), err);
	return r;
}

int64_t pf__source_read(struct pf__source *s, void *to, size_t n, struct pf_error *err)
{
	int64_t r;

	if (s->at >= s->size)
		return 0;
	if (n > s->size - s->at)
		n = (size_t)(s->size - s->at);
	r = s->parts ? read_parts(s, to, n, err) : read_at(s, to, n, s->at, err);
	if (r == 0 && s->size != UINT64_MAX)
		return pf_fail(err, -EIO, "it ended at byte %llu of %llu: did it change meanwhile?",
			       (unsigned long long)s->at, (unsigned long long)s->size);
	if (r > 0)
		s->at += (uint64_t)r;
	return r;
}
