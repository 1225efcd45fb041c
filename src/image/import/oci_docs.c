/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The documents of an OCI layout (image-spec: descriptor.md, image-index.md, manifest.md), and Docker's older
 * media types for the same.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "image/import/oci.h"

#define OCI    "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."

static const struct {
	const char *name;
	enum pf__media media;
	int packing;
} medias[] = {
	{"", PF__UNSAID, -1},
	{OCI "index.v1+json", PF__INDEX, -1},
	{DOCKER "distribution.manifest.list.v2+json", PF__INDEX, -1},
	{OCI "manifest.v1+json", PF__MANIFEST, -1},
	{DOCKER "distribution.manifest.v2+json", PF__MANIFEST, -1},
	{OCI "config.v1+json", PF__CONFIG, -1},
	{DOCKER "container.image.v1+json", PF__CONFIG, -1},
	{OCI "layer.v1.tar", PF__LAYER, PF__PLAIN},
	{OCI "layer.v1.tar+gzip", PF__LAYER, PF__GZIP},
	{OCI "layer.v1.tar+zstd", PF__LAYER, PF__ZSTD},
	{OCI "layer.nondistributable.v1.tar", PF__LAYER, PF__PLAIN},
	{OCI "layer.nondistributable.v1.tar+gzip", PF__LAYER, PF__GZIP},
	{OCI "layer.nondistributable.v1.tar+zstd", PF__LAYER, PF__ZSTD},
	{DOCKER "image.rootfs.diff.tar", PF__LAYER, PF__PLAIN},
	{DOCKER "image.rootfs.diff.tar.gzip", PF__LAYER, PF__GZIP},
	{DOCKER "image.rootfs.diff.tar.zstd", PF__LAYER, PF__ZSTD},
	{DOCKER "image.rootfs.foreign.diff.tar.gzip", PF__LAYER, PF__GZIP},
};

enum pf__media pf__media_of(const char *name, int *packing)
{
	for (size_t i = 0; i < sizeof(medias) / sizeof(*medias); i++)
		if (pf_streq(medias[i].name, name)) {
			*packing = medias[i].packing;
			return medias[i].media;
		}
	*packing = -1;
	return PF__OTHER;
}

const char *pf__member(const struct pf_json *object, const char *key)
{
	const struct pf_json *v = pf_json_get(object, key);

	return v && v->type == PF_JSON_STRING ? v->str.s : NULL;
}

static int bad(const char *where, const struct pf_json *at, const char *what, struct pf_error *err)
{
	return pf_fail(err, -EINVAL, "%s, line %u: %s", where, at->line, what);
}

int pf__descriptor(const char *where, const struct pf_json *v, struct pf__descriptor *out,
		   struct pf_error *err)
{
	const char *digest = pf__member(v, "digest"), *media = pf__member(v, "mediaType");
	const struct pf_json *size = pf_json_get(v, "size");

	if (!digest)
		return bad(where, v, "a descriptor without a digest", err);
	if (!pf__digest_ok(digest))
		return bad(where, v, "a digest that is not 'sha256:' and 64 hexadecimal digits", err);
	if (!size || size->type != PF_JSON_INT || size->i < 0)
		return bad(where, v, "a descriptor without a size", err);
	if (media && strlen(media) >= sizeof(out->media))
		return bad(where, v, "a media type that is too long", err);
	memset(out, 0, sizeof(*out));
	strcpy(out->digest, digest);
	strcpy(out->media, media ? media : "");
	out->size = (uint64_t)size->i;
	return 0;
}

void pf__descriptor_path(const struct pf__descriptor *d, char out[PF__BLOB_PATH])
{
	/* The digest was checked: nothing else can become part of a path. */
	strcpy(out, "blobs/sha256/");
	strcat(out, d->digest + strlen("sha256:"));
}

int pf__descriptor_read(const struct pf__blobs *b, const struct pf__descriptor *d, struct pf_buf *text,
			struct pf_error *err)
{
	char digest[PF_DIGEST_MAX], path[PF__BLOB_PATH];
	int r;

	pf__descriptor_path(d, path);
	r = pf__blob_read(b, path, text, digest, err);
	if (r)
		return r;
	if (text->len != d->size)
		return pf_fail(err, -EBADMSG, "%s has %zu bytes, and not %llu as its descriptor says", path,
			       text->len, (unsigned long long)d->size);
	if (!pf_streq(digest, d->digest))
		return pf_fail(err, -EBADMSG, "%s has the digest %s: it is not what its name says", path,
			       digest);
	return 0;
}

/* Manifest or index? A document that could be either is one to some readers and the other to others, and its
 * signature is good for both (CVE-2021-41190). */
static int media_check(const char *where, const char *said, struct pf__document *d, struct pf_error *err)
{
	const char *own = pf__member(d->root, "mediaType");
	bool manifests = pf_json_get(d->root, "manifests"), layers = pf_json_get(d->root, "layers");
	enum pf__media is = manifests ? PF__INDEX : PF__MANIFEST, named;
	int packing;

	if (own && *said && !pf_streq(own, said))
		return bad(where, d->root, "its media type is not the one that its descriptor says", err);
	if (manifests == layers)
		return bad(where, d->root, "it has to have either manifests or layers", err);
	named = pf__media_of(own ? own : said, &packing);
	if (named != is && named != PF__UNSAID)
		return bad(where, d->root, "its media type is not that of what it holds", err);
	d->media = is;
	return 0;
}

int pf__document_read(const struct pf__blobs *b, const struct pf__descriptor *d, struct pf__document *out,
		      struct pf_error *err)
{
	char where[PF__BLOB_PATH] = "index.json", digest[PF_DIGEST_MAX];
	int r;

	memset(out, 0, sizeof(*out));
	if (d)
		pf__descriptor_path(d, where);
	r = d ? pf__descriptor_read(b, d, &out->text, err) : pf__blob_read(b, where, &out->text, digest, err);
	if (r)
		return r;
	r = pf_json_parse(out->text.len ? out->text.data : "", out->text.len, 0, &out->json, err);
	if (r) {
		pf_wrap(err, "%s", where);
		return r;
	}
	out->root = pf_json_root(out->json);
	if (out->root->type != PF_JSON_OBJECT)
		return pf_fail(err, -EINVAL, "%s is no JSON object", where);
	return media_check(where, d ? d->media : "", out, err);
}

void pf__document_free(struct pf__document *d)
{
	pf_buf_free(&d->text);
	pf_json_free(d->json);
	d->json = NULL;
}
