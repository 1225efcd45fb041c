/* SPDX-License-Identifier: Apache-2.0 */
/* pf_output_*, pf_result_read: long outputs by range, for callers of the public API. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sandbox/outputs.h"
#include "sandbox/places.h"
#include "sandbox/result.h"

#include "pinfold.h"

static int read_range(int fd, uint64_t size, uint64_t from, void *p, size_t n, size_t *got,
		      struct pf_error *err)
{
	size_t done = 0;

	if (from >= size)
		n = 0;
	else if (n > size - from)
		n = (size_t)(size - from);
	while (done < n) {
		ssize_t r = pread(fd, (char *)p + done, n - done, (off_t)(from + done));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return pf_fail_errno(err, "cannot read the output");
		if (r == 0)
			return pf_fail(err, -EBADMSG, "the output has become shorter while it was read");
		done += (size_t)r;
	}
	*got = done;
	return 0;
}

static int missing(struct pf_error *err)
{
	return pf_fail(err, -ENOENT, "no output is kept");
}

/* The descriptor of one stream, and its length. */
static int open_stream(const struct pf_dirs *d, const char *id, enum pf_stream stream, uint64_t *size,
		       struct pf_error *err)
{
	PF_AUTO_CLOSE int outputs = pf_outputs_open(d, false, err);
	struct pf_kept_output o;
	int fd, r;

	if (outputs == -ENOENT)
		return missing(err);
	if (outputs < 0)
		return outputs;
	r = pf_outputs_find(outputs, id, &o, err);
	if (r < 0)
		return r;
	fd = pf_outputs_stream(outputs, &o, stream, err);
	*size = o.bytes[stream == PF_STDERR];
	pf_kept_output_free(&o);
	return fd;
}

int pf_output_size(const struct pf_places *places, const char *id, enum pf_stream stream, uint64_t *size,
		   struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = -1;
	struct pf_dirs d;
	uint64_t bytes;
	int r = pf_dirs_find(places, &d, err);

	if (r < 0)
		return r;
	fd = open_stream(&d, id, stream, &bytes, err);
	if (fd < 0)
		return fd;
	*size = bytes;
	return 0;
}

int pf_output_read(const struct pf_places *places, const char *id, enum pf_stream stream, uint64_t from,
		   void *p, size_t n, size_t *got, struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = -1;
	struct pf_dirs d;
	uint64_t bytes;
	int r = pf_dirs_find(places, &d, err);

	if (r < 0)
		return r;
	fd = open_stream(&d, id, stream, &bytes, err);
	return fd < 0 ? fd : read_range(fd, bytes, from, p, n, got, err);
}

int pf_output_drop(const struct pf_places *places, const char *id, struct pf_error *err)
{
	PF_AUTO_CLOSE int outputs = -1;
	struct pf_kept_output o;
	struct pf_dirs d;
	int r = pf_dirs_find(places, &d, err);

	if (r < 0)
		return r;
	outputs = pf_outputs_open(&d, false, err);
	if (outputs == -ENOENT)
		return missing(err);
	if (outputs < 0)
		return outputs;
	r = pf_outputs_find(outputs, id, &o, err);
	if (r < 0)
		return r;
	r = pf_outputs_drop(outputs, o.id, err);
	pf_kept_output_free(&o);
	return r;
}

int pf_result_read(const struct pf_result *r, enum pf_stream stream, uint64_t from, void *p, size_t n,
		   size_t *got, struct pf_error *err)
{
	const struct pf_whole *w = &r->whole[stream == PF_STDERR];
	const struct pf_buf *b = stream == PF_STDERR ? &r->err : &r->out;
	PF_AUTO_CLOSE int fd = -1;
	struct pf_dirs d = {0};
	uint64_t size;

	if (!w->cut) {
		size_t left = from < b->len ? b->len - (size_t)from : 0;

		left = left < n ? left : n;
		if (left)
			memcpy(p, b->data + from, left);
		*got = left;
		return 0;
	}
	if (!w->kept)
		return pf_fail(err, -ENODATA, "the output was not kept whole%s%s", w->why ? ": " : "",
			       w->why ? w->why : "");
	snprintf(d.state, sizeof(d.state), "%s", r->state);
	fd = open_stream(&d, r->id, stream, &size, err);
	return fd < 0 ? fd : read_range(fd, size, from, p, n, got, err);
}
