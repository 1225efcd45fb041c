/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `docker save` archives (Docker image-spec v1.2, "Combined Image JSON + Filesystem Changeset Format"), as
 * docker, podman, skopeo, nix, crane and kaniko write them: manifest.json is a list of {Config, RepoTags,
 * Layers}, all names of files in the archive. Layers are held to the configuration's diff_ids; the
 * configuration, and a layer named as a blob, to the digests that their names are.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "image/import/import_internal.h"

#define IMAGES_MAX 1024u
#define HEX	   64u

static const char *string(const struct pf_json *object, const char *key)
{
	const struct pf_json *v = pf_json_get(object, key);

	return v && v->type == PF_JSON_STRING ? v->str.s : NULL;
}

static bool is_image(const struct pf_json *v)
{
	const struct pf_json *layers = pf_json_get(v, "Layers");

	if (!string(v, "Config") || !layers ||
	    (layers->type != PF_JSON_ARRAY && layers->type != PF_JSON_NULL))
		return false;
	if (layers->type == PF_JSON_ARRAY)
		for (const struct pf_json *i = layers->list.first; i; i = i->next)
			if (i->type != PF_JSON_STRING)
				return false;
	return true;
}

static int read_manifest(const struct pf__blobs *b, struct pf_json_doc **doc, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	char digest[PF_DIGEST_MAX];
	const struct pf_json *root;
	int r = pf__blob_read(b, "manifest.json", &text, digest, err);

	if (r)
		return r;
	r = pf_json_parse(text.len ? text.data : "", text.len, 0, doc, err);
	if (r) {
		pf_wrap(err, "manifest.json");
		return r;
	}
	root = pf_json_root(*doc);
	if (root->type == PF_JSON_ARRAY && root->list.count && root->list.count <= IMAGES_MAX)
		for (const struct pf_json *i = root->list.first; i && r == 0; i = i->next)
			r = is_image(i) ? 0 : -EINVAL;
	else
		r = -EINVAL;
	if (r == 0)
		return 0;
	pf_json_free(*doc);
	return pf_fail(err, r, "manifest.json is no list of images (Config and Layers)");
}

bool pf__docker_looks(const struct pf__blobs *b)
{
	struct pf_json_doc *doc;

	if (read_manifest(b, &doc, NULL))
		return false;
	pf_json_free(doc);
	return true;
}

static bool has_tag(const struct pf_json *image, const char *ref)
{
	const struct pf_json *tags = pf_json_get(image, "RepoTags");

	if (!tags || tags->type != PF_JSON_ARRAY)
		return false;
	for (const struct pf_json *i = tags->list.first; i; i = i->next)
		if (i->type == PF_JSON_STRING && pf_streq(i->str.s, ref))
			return true;
	return false;
}

static const char *offer(const struct pf_json *list, char *out, size_t cap)
{
	size_t n = 0;

	snprintf(out, cap, "images without a name");
	for (const struct pf_json *i = list->list.first; i; i = i->next) {
		const struct pf_json *tags = pf_json_get(i, "RepoTags");
		const struct pf_json *t = tags && tags->type == PF_JSON_ARRAY ? tags->list.first : NULL;
		char show[PF__SHOW];

		for (; t && n + 1 < cap; t = t->next)
			if (t->type == PF_JSON_STRING)
				n += (size_t)snprintf(out + n, cap - n, "%s%s", n ? ", " : "",
						      pf__show(t->str.s, t->str.len, show));
	}
	return out;
}

static int choose(const struct pf_json *list, const char *ref, const struct pf_json **out,
		  struct pf_error *err)
{
	char text[256];

	if (!ref && list->list.count > 1)
		return pf_fail(err, -ENOTUNIQ, "it holds several images; say which: %s",
			       offer(list, text, sizeof(text)));
	for (const struct pf_json *i = list->list.first; i; i = i->next)
		if (!ref || has_tag(i, ref)) {
			*out = i;
			return 0;
		}
	return pf_fail(err, -ENOENT, "it holds no image '%.100s'; it has: %s", ref,
		       offer(list, text, sizeof(text)));
}

/* The digest that a name is: "HEX.json", "sha256:HEX", "blobs/sha256/HEX"; "" if it is none. */
static void named_digest(const char *path, char out[PF_DIGEST_MAX])
{
	const char *p = path;

	*out = '\0';
	if (pf_has_prefix(p, "blobs/sha256/"))
		p += strlen("blobs/sha256/");
	else if (pf_has_prefix(p, "sha256:"))
		p += strlen("sha256:");
	if (strspn(p, "0123456789abcdef") != HEX || (p[HEX] && !pf_streq(p + HEX, ".json")))
		return;
	memcpy(out, "sha256:", 7);
	memcpy(out + 7, p, HEX);
	out[7 + HEX] = '\0';
}

static int plan_layers(const struct pf_json *list, struct pf__stack *p, struct pf_error *err)
{
	char path[PF__PATH_MAX + 1];

	for (const struct pf_json *i = list->type == PF_JSON_ARRAY ? list->list.first : NULL; i;
	     i = i->next) {
		struct pf__stack_layer *l;
		int r = pf__entry_path(i->str.s, i->str.len, path, err);

		r = r ? r : pf__stack_add(p, path, &l, err);
		if (r)
			return r;
		if (pf_has_prefix(path, "blobs/sha256/"))
			named_digest(path, l->digest);
	}
	return 0;
}

static int plan_image(struct pf__job *j, const struct pf__blobs *b, const struct pf_json *image,
		      struct pf__stack *p, struct pf_error *err)
{
	const char *config = string(image, "Config");
	PF_AUTO_BUF struct pf_buf text = {0};
	char digest[PF_DIGEST_MAX], named[PF_DIGEST_MAX], path[PF__PATH_MAX + 1], show[PF__SHOW];
	int r = pf__entry_path(config, strlen(config), path, err);

	r = r ? r : plan_layers(pf_json_get(image, "Layers"), p, err);
	r = r ? r : pf__blob_read(b, path, &text, digest, err);
	if (r)
		return r;
	named_digest(path, named);
	if (*named && !pf_streq(named, digest))
		return pf_fail(err, -EBADMSG, "%s has the digest %s: it is not what its name says",
			       pf__show(path, strlen(path), show), digest);
	return pf__config_parse(text.len ? text.data : "", text.len,
				j->how->platform ? j->how->platform : PF__PLATFORM, p, &j->config, err);
}

int pf__docker_stack(struct pf__job *j, const struct pf__blobs *b, struct pf__stack *p, struct pf_error *err)
{
	const struct pf_json *image;
	struct pf_json_doc *doc;
	int r = read_manifest(b, &doc, err);

	if (r)
		return r;
	r = choose(pf_json_root(doc), j->how->ref, &image, err);
	r = r ? r : plan_image(j, b, image, p, err);
	pf_json_free(doc);
	return r;
}
