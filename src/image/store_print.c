/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing manifest.json, info.json and root.json. The manifest's bytes are the image's identity: one line,
 * keys in this order, and nothing in it of time or machine.
 */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "image/store_write.h"

static bool utf8(const char *s)
{
	return pf_utf8_valid(s, strlen(s));
}

static bool list_utf8(const struct pf_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		if (!utf8(l->items[i]))
			return false;
	}
	return true;
}

static void print_list(struct pf_jsonw *w, const char *key, const struct pf_list *l)
{
	pf_jsonw_key(w, key);
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; l && i < l->count; i++)
		pf_jsonw_str(w, l->items[i]);
	pf_jsonw_end(w, ']');
}

int pf_image_manifest_print(const char *erofs_digest, const struct pf_image_config *c, struct pf_buf *out)
{
	const char *user = c->user ? c->user : "", *workdir = c->workdir ? c->workdir : "";
	struct pf_jsonw w;

	/* The writer would put U+FFFD in its place: another configuration than the image's. */
	if (!utf8(user) || !utf8(workdir) || !list_utf8(&c->env) || !list_utf8(&c->entrypoint) ||
	    !list_utf8(&c->cmd))
		return -EILSEQ;
	pf_jsonw_init(&w, out, 0);
	pf_jsonw_begin(&w, '{');
	pf_jsonw_kint(&w, "schema", 1);
	pf_jsonw_kstr(&w, "erofs", erofs_digest);
	pf_jsonw_key(&w, "config");
	pf_jsonw_begin(&w, '{');
	pf_jsonw_kstr(&w, "user", user);
	pf_jsonw_kstr(&w, "workdir", workdir);
	print_list(&w, "env", &c->env);
	print_list(&w, "entrypoint", &c->entrypoint);
	print_list(&w, "cmd", &c->cmd);
	pf_jsonw_end(&w, '}');
	pf_jsonw_end(&w, '}');
	pf_buf_addc(out, '\n');
	return out->failed ? -ENOMEM : 0;
}

int pf_image_info_print(const struct pf_image_info *info, struct pf_buf *out)
{
	struct pf_jsonw w;

	pf_jsonw_init(&w, out, 0);
	pf_jsonw_begin(&w, '{');
	pf_jsonw_kint(&w, "schema", 1);
	pf_jsonw_kstr(&w, "source", info->source);
	pf_jsonw_kint(&w, "created", info->created);
	pf_jsonw_kint(&w, "size", (int64_t)info->size);
	pf_jsonw_kint(&w, "files", (int64_t)info->files);
	pf_jsonw_kint(&w, "bytes", (int64_t)info->bytes);
	print_list(&w, "notes", info->notes);
	pf_jsonw_end(&w, '}');
	pf_buf_addc(out, '\n');
	return out->failed ? -ENOMEM : 0;
}

int pf_image_root_print(bool owners_kept, uint64_t left_out, struct pf_buf *out)
{
	struct pf_jsonw w;

	pf_jsonw_init(&w, out, 0);
	pf_jsonw_begin(&w, '{');
	pf_jsonw_kint(&w, "schema", 1);
	pf_jsonw_kbool(&w, "owners_kept", owners_kept);
	pf_jsonw_kint(&w, "left_out", (int64_t)left_out);
	pf_jsonw_end(&w, '}');
	pf_buf_addc(out, '\n');
	return out->failed ? -ENOMEM : 0;
}
