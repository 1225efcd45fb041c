/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an OCI layout (image-spec, image-layout.md) to the layers of one image: index.json, which of its
 * images, for which platform, the manifest, the configuration.
 *
 * Every document but index.json is named by the digest of its bytes, which is checked before it is read, so
 * that none can contain itself; depth and number are bounded all the same, since a chain may be made long.
 */
#include "image/import/oci.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define DEPTH_MAX     4u /* indexes in indexes */
#define MANIFESTS_MAX 1024u

struct finder {
	const struct pf__blobs *blobs;
	const char *ref, *wanted;
	struct pf__platform want;
};

static const char *annotation(const struct pf_json *entry, const char *key)
{
	return pf__member(pf_json_get(entry, "annotations"), key);
}

static bool platform_fits(const struct finder *f, const struct pf_json *entry)
{
	const struct pf_json *p = pf_json_get(entry, "platform");
	const char *variant = pf__member(p, "variant");

	if (!p || p->type != PF_JSON_OBJECT) /* the configuration will tell */
		return true;
	return pf_streq(pf__member(p, "os"), f->want.os) &&
	       pf_streq(pf__member(p, "architecture"), f->want.architecture) &&
	       (!*f->want.variant || pf_streq(variant, f->want.variant));
}

static bool ref_fits(const struct finder *f, const struct pf_json *entry)
{
	return !f->ref || pf_streq(f->ref, annotation(entry, "org.opencontainers.image.ref.name")) ||
	       pf_streq(f->ref, annotation(entry, "io.containerd.image.name")) ||
	       pf_streq(f->ref, pf__member(entry, "digest"));
}

/* What an index offers, for a message: names, or platforms. */
static const char *offer(const struct pf_json *list, bool platforms, char *out, size_t cap)
{
	size_t n = 0;

	snprintf(out, cap, "nothing");
	for (const struct pf_json *i = list->list.first; i && n + 1 < cap; i = i->next) {
		const struct pf_json *p = pf_json_get(i, "platform");
		const char *os = pf__member(p, "os"), *arch = pf__member(p, "architecture");
		const char *name = annotation(i, "io.containerd.image.name");
		char text[PF__SHOW] = "", show[PF__SHOW];

		if (!name)
			name = annotation(i, "org.opencontainers.image.ref.name");
		if (!name)
			name = pf__member(i, "digest");
		if (platforms)
			snprintf(text, sizeof(text), "%.60s/%.60s", os ? os : "?", arch ? arch : "?");
		else
			snprintf(text, sizeof(text), "%.180s", name ? name : "?");
		n += (size_t)snprintf(out + n, cap - n, "%s%s", n ? ", " : "",
				      pf__show(text, strlen(text), show));
	}
	return out;
}

/* The one entry of an index that is meant. */
static int choose(const struct finder *f, const struct pf_json *list, bool top, struct pf__descriptor *out,
		  struct pf_error *err)
{
	struct pf__descriptor found = {.digest = ""}, d;
	bool named = false;
	char text[256];

	if (list->type != PF_JSON_ARRAY || list->list.count > MANIFESTS_MAX)
		return pf_fail(err, -EINVAL, "its manifests are no list, or more than %u", MANIFESTS_MAX);
	for (const struct pf_json *i = list->list.first; i; i = i->next) {
		int r = pf__descriptor("an index", i, &d, err);

		if (r)
			return r;
		/* BuildKit puts attestations beside images, as manifests for no platform. */
		if (annotation(i, "vnd.docker.reference.type") || (top && !ref_fits(f, i)))
			continue;
		named = true;
		if (!platform_fits(f, i) || pf_streq(found.digest, d.digest))
			continue;
		/* Below the top the first that fits is meant (image-index.md). */
		if (*found.digest && !top)
			continue;
		if (*found.digest)
			return pf_fail(err, -ENOTUNIQ, "it holds several images; say which: %s",
				       offer(list, false, text, sizeof(text)));
		found = d;
	}
	if (!named)
		return pf_fail(err, -ENOENT, "it holds no image%s%.100s%s; it has: %s", f->ref ? " '" : "",
			       f->ref ? f->ref : "", f->ref ? "'" : "",
			       offer(list, false, text, sizeof(text)));
	if (!*found.digest)
		return pf_fail(err, -ENOENT, "it holds no image for %s; it has: %s", f->wanted,
			       offer(list, true, text, sizeof(text)));
	*out = found;
	return 0;
}

static int find_manifest(const struct finder *f, struct pf__document *out, struct pf_error *err)
{
	struct pf__descriptor d;
	int r = pf__document_read(f->blobs, NULL, out, err);

	if (r == 0 && out->media != PF__INDEX)
		return pf_fail(err, -EINVAL, "index.json is no index");
	for (unsigned depth = 0; r == 0 && out->media == PF__INDEX; depth++) {
		if (depth == DEPTH_MAX)
			return pf_fail(err, -ELOOP, "its indexes lie more than %u deep", DEPTH_MAX);
		r = choose(f, pf_json_get(out->root, "manifests"), depth == 0, &d, err);
		if (r)
			return r;
		pf__document_free(out);
		r = pf__document_read(f->blobs, &d, out, err);
	}
	return r;
}

static int plan_layers(const struct pf_json *list, struct pf__stack *p, struct pf_error *err)
{
	char path[PF__BLOB_PATH], show[PF__SHOW];
	struct pf__stack_layer *l;
	struct pf__descriptor d;
	int packing;

	if (!list || list->type != PF_JSON_ARRAY)
		return pf_fail(err, -EINVAL, "the manifest's layers are no list");
	for (const struct pf_json *i = list->list.first; i; i = i->next) {
		int r = pf__descriptor("the manifest", i, &d, err);

		if (r)
			return r;
		if (pf__media_of(d.media, &packing) != PF__LAYER)
			return pf_fail(err, -ENOTSUP, "the manifest has a layer of the type '%s'",
				       pf__show(d.media, strlen(d.media), show));
		pf__descriptor_path(&d, path);
		r = pf__stack_add(p, path, &l, err);
		if (r)
			return r;
		strcpy(l->digest, d.digest);
		l->size = d.size;
		l->packing = packing;
	}
	return 0;
}

static int plan_image(struct pf__job *j, const struct finder *f, const struct pf__document *manifest,
		      struct pf__stack *p, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	const struct pf_json *config = pf_json_get(manifest->root, "config");
	struct pf__descriptor d;
	char show[PF__SHOW];
	int packing, r;

	if (!config)
		return pf_fail(err, -EINVAL, "the manifest has no config");
	r = pf__descriptor("the manifest", config, &d, err);
	if (r)
		return r;
	if (pf__media_of(d.media, &packing) != PF__CONFIG)
		return pf_fail(err, -ENOTSUP, "it is no image: its configuration is of the type '%s'",
			       pf__show(d.media, strlen(d.media), show));
	r = plan_layers(pf_json_get(manifest->root, "layers"), p, err);
	r = r ? r : pf__descriptor_read(f->blobs, &d, &text, err);
	return r ? r : pf__config_parse(text.len ? text.data : "", text.len, f->wanted, p, &j->config, err);
}

static int layout_check(const struct pf__blobs *b, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	char digest[PF_DIGEST_MAX];
	struct pf_json_doc *doc;
	const char *version;
	int r = pf__blob_read(b, "oci-layout", &text, digest, err);

	r = r ? r : pf_json_parse(text.len ? text.data : "", text.len, 0, &doc, err);
	if (r) {
		pf_wrap(err, "oci-layout");
		return r;
	}
	version = pf__member(pf_json_root(doc), "imageLayoutVersion");
	if (!version || !pf_has_prefix(version, "1."))
		r = pf_fail(err, -ENOTSUP, "oci-layout is of no version that is known (1.0.0)");
	pf_json_free(doc);
	return r;
}

int pf__oci_stack(struct pf__job *j, const struct pf__blobs *b, struct pf__stack *p, struct pf_error *err)
{
	struct finder f = {
		.blobs = b, .ref = j->how->ref, .wanted = j->how->platform ? j->how->platform : PF__PLATFORM};
	struct pf__document manifest = {0};
	int r = pf__platform_parse(f.wanted, &f.want, err);

	r = r ? r : layout_check(b, err);
	r = r ? r : find_manifest(&f, &manifest, err);
	r = r ? r : plan_image(j, &f, &manifest, p, err);
	pf__document_free(&manifest);
	return r;
}
