/* SPDX-License-Identifier: Apache-2.0 */
/* The layers of an image, one over the other, each held to what its documents say of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/import/channel.h"

void pf__stack_free(struct pf__stack *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->layers[i].path);
	free(p->layers);
	*p = (struct pf__stack){0};
}

int pf__stack_add(struct pf__stack *p, const char *path, struct pf__stack_layer **out, struct pf_error *err)
{
	struct pf__stack_layer *more;

	if (p->count == PF__LAYERS_MAX)
		return pf_fail(err, -E2BIG, "the image has more than %u layers", PF__LAYERS_MAX);
	more = reallocarray(p->layers, p->count + 1, sizeof(*more));
	if (!more)
		return pf_fail(err, -ENOMEM, "out of memory");
	p->layers = more;
	more += p->count;
	*more = (struct pf__stack_layer){.path = strdup(path), .size = UINT64_MAX, .packing = -1};
	if (!more->path)
		return pf_fail(err, -ENOMEM, "out of memory");
	p->count++;
	*out = more;
	return 0;
}

static int same(const char *what, const char *is, const char *said, struct pf_error *err)
{
	if (strcmp(is, said) == 0)
		return 0;
	return pf_fail(err, -EBADMSG, "%s %s, and not %s as its document says", what, is, said);
}

static void on_packed(void *user, uint64_t packed)
{
	struct pf__job *j = user;

	pf__job_progress(j, PF_IMPORT_READING, j->done + packed);
}

/* What came is what was announced: all of the blob and all of what it unpacks to. */
static int verify(struct pf__stream *s, const struct pf__stack_layer *l, struct pf_error *err)
{
	char digest[PF_DIGEST_MAX];
	int r = 0;

	/* libarchive stops at the end of the data, which need not be that of the blob. */
	if (s->packed != s->source.size)
		return pf_fail(err, -EBADMSG, "something follows its data");
	if (*l->digest) {
		r = pf__hash_end(&s->packed_hash, digest, err);
		if (r == 0)
			r = same("its digest is", digest, l->digest, err);
	}
	if (r == 0)
		r = pf__hash_end(&s->plain_hash, digest, err);
	return r ? r : same("uncompressed its digest is", digest, l->diff_id, err);
}

static int read_layer(struct pf__job *j, const struct pf__blob *blob, const struct pf__stack_layer *l,
		      struct pf_tree *tree, struct pf__layer *layer, struct pf_error *err)
{
	unsigned hashes = PF__HASH_PLAIN | (*l->digest ? PF__HASH_PACKED : 0);
	struct pf__stream s;
	int r = 0;

	if (l->size != UINT64_MAX && l->size != blob->source.size)
		return pf_fail(err, -EBADMSG, "it has %llu bytes, and not %llu as its document says",
			       (unsigned long long)blob->source.size, (unsigned long long)l->size);
	r = pf__stream_open(&s, &blob->source, &j->budget, hashes, err);
	s.progress = on_packed;
	s.user = j;
	if (r == 0 && l->packing >= 0 && (int)s.packing != l->packing)
		r = pf_fail(err, -EBADMSG, "it is %s, and not %s as its document says",
			    pf__packing_name(s.packing), pf__packing_name((enum pf__packing)l->packing));
	if (r == 0)
		r = pf__layer_read(j, &s, PF__READ_LAYER, tree, layer, err);
	if (r == 0)
		r = verify(&s, l, err);
	pf__stream_close(&s);
	return r;
}

static int run_one(struct pf__job *j, const struct pf__blobs *b, const struct pf__stack_layer *l,
		   struct pf_tree **base, struct pf_error *err)
{
	struct pf_tree *tree = NULL;
	struct pf__layer layer = {0};
	struct pf__blob blob;
	int r = pf__blob_open(b, l->path, &blob, err);

	if (r)
		return r;
	r = pf_tree_new(&tree, err);
	if (r == 0)
		r = read_layer(j, &blob, l, tree, &layer, err);
	pf__blob_close(&blob);
	if (r == 0) {
		j->done += blob.source.size;
		/* The lowest has nothing below: applied to itself its own whiteouts would hit it. */
		if (*base)
			r = pf__layer_apply(*base, tree, &layer, err);
		else if (layer.links.count)
			r = pf_fail(err, -EINVAL, "entry '%s' is a hard link to '%s', which is not there",
				    layer.links.items[0], layer.targets.items[0]);
		else {
			*base = tree;
			tree = NULL;
		}
	}
	pf_tree_free(tree);
	pf__layer_free(&layer);
	return r;
}

int pf__stack_run(struct pf__job *j, const struct pf__blobs *b, const struct pf__stack *p,
		  struct pf_tree **tree, struct pf_error *err)
{
	struct pf_tree *base = NULL;
	char show[PF__SHOW];
	int r = 0;

	j->done = j->total = 0;
	for (size_t i = 0; i < p->count; i++)
		j->total += p->layers[i].size != UINT64_MAX ? p->layers[i].size : 0;
	for (size_t i = 0; i < p->count && r == 0; i++) {
		r = run_one(j, b, &p->layers[i], &base, err);
		if (r)
			pf_wrap(err, "layer %zu of %zu (%s)", i + 1, p->count,
				pf__show(p->layers[i].path, strlen(p->layers[i].path), show));
	}
	if (r == 0 && !base)
		r = pf_tree_new(&base, err);
	if (r) {
		pf_tree_free(base);
		return r;
	}
	j->layers = (unsigned)p->count;
	*tree = base;
	return 0;
}
