/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of a tar, one after the other, and their contents. */
#include "image/import/tar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void pf__tar_open(struct pf__tar *t, struct pf__stream *s)
{
	memset(t, 0, sizeof(*t));
	t->stream = s;
}

void pf__tar_close(struct pf__tar *t)
{
	free(t->map);
	free(t->pax.map);
	free(t->pax.xattrs);
	pf_buf_free(&t->pax_text);
	pf_buf_free(&t->long_name);
	pf_buf_free(&t->long_link);
	pf_buf_free(&t->name);
}

static int cut_off(struct pf_error *err)
{
	return pf_fail(err, -EINVAL, "the archive is cut off");
}

/* At most n bytes, borrowed; 0 at the end. */
static int64_t take(struct pf__tar *t, uint64_t n, const uint8_t **p, struct pf_error *err)
{
	if (t->left == 0) {
		int64_t r = pf__stream_next(t->stream, &t->piece, err);

		if (r <= 0)
			return r;
		t->left = (size_t)r;
	}
	if (n > t->left)
		n = t->left;
	*p = t->piece;
	t->piece += n;
	t->left -= (size_t)n;
	t->position += n;
	return (int64_t)n;
}

/* n bytes into p: how many came (fewer at the end of the stream), or -errno. */
static int64_t copy(struct pf__tar *t, uint8_t *p, size_t n, struct pf_error *err)
{
	size_t done = 0;

	while (done < n) {
		const uint8_t *from;
		int64_t r = take(t, n - done, &from, err);

		if (r < 0)
			return r;
		if (r == 0)
			break;
		memcpy(p + done, from, (size_t)r);
		done += (size_t)r;
	}
	return (int64_t)done;
}

static int pass_over(struct pf__tar *t, uint64_t n, struct pf_error *err)
{
	while (n) {
		const uint8_t *p;
		uint64_t skipped = t->left ? 0 : pf__stream_skip(t->stream, n);
		int64_t r;

		t->position += skipped;
		n -= skipped;
		if (n == 0)
			break;
		r = take(t, n, &p, err);
		if (r <= 0)
			return r ? (int)r : cut_off(err);
		n -= (uint64_t)r;
	}
	return 0;
}

int pf__tar_block(struct pf__tar *t, uint8_t block[PF__TAR_BLOCK], struct pf_error *err)
{
	int64_t n = copy(t, block, PF__TAR_BLOCK, err);

	if (n < 0)
		return (int)n;
	return n == 0 ? 0 : n == PF__TAR_BLOCK ? 1 : cut_off(err);
}

static bool is_zero(const uint8_t block[PF__TAR_BLOCK])
{
	return block[0] == 0 && memcmp(block, block + 1, PF__TAR_BLOCK - 1) == 0;
}

static int no_tar(const struct pf__tar *t, struct pf_error *err)
{
	return pf_fail(err, -EINVAL, "it is %s", t->stream->other ? t->stream->other : "not a tar archive");
}

/* 1 and a header block, 0 at the end of the archive or of the stream, -errno. */
static int header_block(struct pf__tar *t, struct pf_error *err)
{
	int64_t n = copy(t, t->block, PF__TAR_BLOCK, err);
	int r;

	if (n <= 0)
		return (int)n;
	if (n < PF__TAR_BLOCK)
		return t->begun ? cut_off(err) : no_tar(t, err);
	if (is_zero(t->block)) {
		r = pf__tar_block(t, t->block, err);
		if (r > 0 && !is_zero(t->block))
			return pf_fail(err, -EINVAL, "the archive has a block of zeros inside");
		t->ended = r >= 0;
		return r < 0 ? r : 0;
	}
	if (!pf__tar_checksum_ok(t->block)) {
		if (!t->begun)
			return no_tar(t, err);
		return pf_fail(err, -EINVAL, "the archive has a damaged header at byte %llu",
			       (unsigned long long)t->position - PF__TAR_BLOCK);
	}
	return 1;
}

/* The contents of a header that speaks of the next one. */
static int extra(struct pf__tar *t, const struct pf__tar_header *h, struct pf_buf *to, struct pf_error *err)
{
	uint32_t padding = (uint32_t)(-h->size & (PF__TAR_BLOCK - 1));
	int64_t n;

	if (to->len)
		return pf_fail(err, -EINVAL, "two headers of type '%c' speak of one entry", h->type);
	if (h->size == 0 || h->size > PF__TAR_EXTRA_MAX)
		return pf_fail(err, -EINVAL, "a header of type '%c' has %llu bytes", h->type,
			       (unsigned long long)h->size);
	if (pf_buf_reserve(to, h->size))
		return pf_fail(err, -ENOMEM, "out of memory");
	n = copy(t, (uint8_t *)to->data, h->size, err);
	if (n != (int64_t)h->size)
		return n < 0 ? (int)n : cut_off(err);
	to->len = h->size;
	return pass_over(t, padding, err);
}

/* GNU's long names end with a NUL; what would follow it one reader sees and another does not. */
static int long_name(struct pf__tar *t, const struct pf__tar_header *h, struct pf_buf *to,
		     struct pf_error *err)
{
	int r = extra(t, h, to, err);
	char show[PF__SHOW];
	size_t n;

	if (r)
		return r;
	n = strnlen(to->data, to->len);
	for (size_t i = n; i < to->len; i++)
		if (to->data[i])
			return pf_fail(err, -EINVAL, "the name '%s' has a NUL in it",
				       pf__show(to->data, to->len, show));
	to->len = n;
	return n ? 0 : pf_fail(err, -EINVAL, "an entry has an empty long name");
}

static int global(struct pf__tar *t, const struct pf__tar_header *h, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	int r = extra(t, h, &text, err);

	return r ? r : pf__tar_pax_global(text.data, text.len, err);
}

/* Headers up to the one of an entry. 1, 0 at the end, -errno. */
static int headers(struct pf__tar *t, struct pf__tar_header *h, struct pf_error *err)
{
	for (;;) {
		int r = header_block(t, err);

		if (r == 0 && (t->pax_text.len || t->long_name.len || t->long_link.len))
			return cut_off(err);
		if (r <= 0)
			return r;
		t->begun = true;
		r = pf__tar_header(t->block, h, err);
		r = r ? r : pf__budget_entry(t->stream->budget, 0, err);
		if (r)
			return r;
		switch (h->type) {
		case 'x':
			r = extra(t, h, &t->pax_text, err);
			break;
		case 'g':
			r = global(t, h, err);
			break;
		case 'L':
			r = long_name(t, h, &t->long_name, err);
			break;
		case 'K':
			r = long_name(t, h, &t->long_link, err);
			break;
		case 'V': /* a volume's label: a name without contents */
			r = h->size ? pf_fail(err, -EINVAL, "a volume label has contents") : 0;
			break;
		default:
			return 1;
		}
		if (r)
			return r;
	}
}

static int names(struct pf__tar *t, const struct pf__tar_header *h, struct pf_error *err)
{
	struct pf__tar_entry *e = &t->entry;
	const struct pf__tar_pax *x = &t->pax;

	if ((t->long_name.len && x->path.p) || (t->long_link.len && x->link.p))
		return pf_fail(err, -EINVAL, "an entry has two long names");
	e->name = h->name;
	e->link = x->link.p ? x->link : h->link;
	if (x->sparse && x->sparse_name.p)
		e->name = x->sparse_name;
	else if (x->path.p)
		e->name = x->path;
	else if (t->long_name.len)
		e->name = (struct pf__bytes){t->long_name.data, t->long_name.len};
	else if (h->prefix.n) {
		t->name.len = 0;
		pf_buf_add(&t->name, h->prefix.p, h->prefix.n);
		pf_buf_addc(&t->name, '/');
		pf_buf_add(&t->name, h->name.p, h->name.n);
		if (t->name.failed)
			return pf_fail(err, -ENOMEM, "out of memory");
		e->name = (struct pf__bytes){t->name.data, t->name.len};
	}
	if (!x->link.p && t->long_link.len)
		e->link = (struct pf__bytes){t->long_link.data, t->long_link.len};
	return 0;
}

static int type(struct pf__tar_entry *e, char c, struct pf_error *err)
{
	bool slash = e->name.n && e->name.p[e->name.n - 1] == '/';
	char show[PF__SHOW];

	switch (c) {
	case '\0': /* v7, whose directories are files with a slash behind the name */
		e->type = slash ? PF__TAR_DIR : PF__TAR_FILE;
		return 0;
	case '0':
	case '7': /* "contiguous": POSIX has it read as a file */
	case 'S':
		e->type = PF__TAR_FILE;
		break;
	case '1' ... '6':
		e->type = (enum pf__tar_type)c;
		break;
	default:
		return pf_fail(err, -EINVAL, "an entry is of the unknown type '%s'", pf__show(&c, 1, show));
	}
	if (slash && e->type == PF__TAR_FILE)
		return pf_fail(err, -EINVAL, "a file has the name of a directory");
	return 0;
}

static void attributes(struct pf__tar *t, const struct pf__tar_header *h)
{
	struct pf__tar_entry *e = &t->entry;
	const struct pf__tar_pax *x = &t->pax;

	e->mode = h->mode;
	e->uid = x->has_uid ? (uint32_t)x->uid : h->uid;
	e->gid = x->has_gid ? (uint32_t)x->gid : h->gid;
	e->major = h->major;
	e->minor = h->minor;
	e->mtime = x->has_mtime ? x->mtime : h->mtime;
	e->mtime_ns = x->has_mtime ? x->mtime_ns : 0;
	e->xattrs = x->xattrs;
	e->xattr_count = x->xattr_count;
	e->acl = x->acl;
}

static int contents(struct pf__tar *t, const struct pf__tar_header *h, struct pf_error *err)
{
	struct pf__tar_entry *e = &t->entry;

	t->data = t->pax.has_size ? t->pax.size : h->size;
	t->padding = (uint32_t)(-t->data & (PF__TAR_BLOCK - 1));
	t->map_count = t->map_at = 0;
	t->map_done = t->offset = 0;
	t->sparse = h->type == 'S' || t->pax.sparse;
	e->size = t->data;
	/* Readers differ in whether contents follow such a header. */
	if (e->type != PF__TAR_FILE && (t->data || t->sparse))
		return pf_fail(err, -EINVAL, "it is no file and has contents");
	if (h->type == 'S' && t->pax.sparse)
		return pf_fail(err, -EINVAL, "it is sparse in two ways");
	if (h->type == 'S')
		return pf__tar_sparse_old(t, t->block, err);
	return t->sparse ? pf__tar_sparse_pax(t, err) : 0;
}

int pf__tar_next(struct pf__tar *t, const struct pf__tar_entry **out, struct pf_error *err)
{
	struct pf__tar_header h;
	char show[PF__SHOW];
	int r = pass_over(t, t->data + t->padding, err);

	if (r)
		return r;
	t->data = t->padding = 0;
	t->pax_text.len = t->long_name.len = t->long_link.len = 0;
	r = headers(t, &h, err);
	if (r <= 0)
		return r;
	pf__tar_pax_clear(&t->pax);
	memset(&t->entry, 0, sizeof(t->entry));
	r = t->pax_text.len ? pf__tar_pax_parse(&t->pax, t->pax_text.data, t->pax_text.len, err) : 0;
	if (r == 0)
		r = names(t, &h, err);
	if (r == 0)
		r = type(&t->entry, h.type, err);
	if (r == 0) {
		attributes(t, &h);
		r = contents(t, &h, err);
	} else if (!t->entry.name.p)
		t->entry.name = h.name; /* for the message */
	if (r) {
		pf_wrap(err, "entry '%s'", pf__show(t->entry.name.p, t->entry.name.n, show));
		return r;
	}
	*out = &t->entry;
	return 1;
}

int pf__tar_extents(const struct pf__tar *t, struct pf_extent **out, size_t *count, struct pf_error *err)
{
	size_t n = t->sparse ? t->map_count : t->data > 0;
	struct pf_extent *list = calloc(n ? n : 1, sizeof(*list));
	uint64_t at = t->position;

	if (!list)
		return pf_fail(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		list[i] = t->sparse ? t->map[i] : (struct pf_extent){.length = t->data};
		list[i].spool = at;
		at += list[i].length;
	}
	*out = list;
	*count = n;
	return 0;
}

int pf__tar_finish(struct pf__tar *t, bool whole, struct pf__notes *notes, struct pf_error *err)
{
	bool more = false;
	int r;

	if (whole && !t->ended)
		return t->begun ? cut_off(err) : pf_fail(err, -EINVAL, "it is empty");
	for (size_t i = 0; i < t->left && !more; i++)
		more = t->piece[i] != 0;
	t->left = 0;
	r = pf__stream_drain(t->stream, &more, err);
	if (r == 0 && more)
		pf__note(notes, PF__NOTE_TRAILER, "");
	return r;
}

int64_t pf__tar_data(struct pf__tar *t, const uint8_t **p, uint64_t *offset, struct pf_error *err)
{
	uint64_t most = t->data;
	int64_t n;

	if (t->data == 0)
		return 0;
	if (t->sparse) {
		while (t->map_done == t->map[t->map_at].length) { /* the sum of all is what data began with */
			t->map_at++;
			t->map_done = 0;
		}
		most = t->map[t->map_at].length - t->map_done;
		*offset = t->map[t->map_at].at + t->map_done;
	} else
		*offset = t->offset;
	n = take(t, most, p, err);
	if (n <= 0)
		return n ? n : cut_off(err);
	t->data -= (uint64_t)n;
	t->map_done += (uint64_t)n;
	t->offset += (uint64_t)n;
	return n;
}
