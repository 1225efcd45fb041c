/* SPDX-License-Identifier: Apache-2.0 */
/* What the child found, as JSON: written by it, and read by the caller's process as if by an enemy. */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "image/import/channel.h"

#define NOTES_MAX 64u
#define NOTE_MAX  1024u

static void print_list(struct pf_jsonw *w, const char *key, const struct pf_list *l)
{
	pf_jsonw_key(w, key);
	pf_jsonw_begin(w, '[');
	for (size_t i = 0; i < l->count; i++)
		pf_jsonw_str(w, l->items[i]);
	pf_jsonw_end(w, ']');
}

int pf__report_print(const struct pf__job *j, struct pf_buf *out, struct pf_error *err)
{
	struct pf_list notes = {0};
	struct pf_jsonw w;

	if (pf__notes_list(&j->notes, &notes)) {
		pf_list_free(&notes);
		return pf_fail(err, -ENOMEM, "out of memory");
	}
	pf_jsonw_init(&w, out, 0);
	pf_jsonw_begin(&w, '{');
	pf_jsonw_kstr(&w, "kind", pf_import_kind_name(j->kind));
	pf_jsonw_kint(&w, "layers", j->layers);
	pf_jsonw_kint(&w, "files", (int64_t)j->files);
	pf_jsonw_kint(&w, "bytes", (int64_t)j->bytes);
	pf_jsonw_kstr(&w, "user", j->config.user ? j->config.user : "");
	pf_jsonw_kstr(&w, "workdir", j->config.workdir ? j->config.workdir : "");
	print_list(&w, "env", &j->config.env);
	print_list(&w, "entrypoint", &j->config.entrypoint);
	print_list(&w, "cmd", &j->config.cmd);
	print_list(&w, "notes", &notes);
	pf_jsonw_end(&w, '}');
	pf_list_free(&notes);
	if (out->failed)
		return pf_fail(err, -ENOMEM, "out of memory");
	return out->len > PF__DOCUMENT_MAX ? pf_fail(err, -EFBIG, "the image's configuration is too long")
					   : 0;
}

static int odd(const char *key, struct pf_error *err)
{
	return pf_fail(err, -EPROTO, "the import's reader sent a report whose '%s' cannot be", key);
}

static int number(const struct pf_json *root, const char *key, int64_t max, uint64_t *out,
		  struct pf_error *err)
{
	const struct pf_json *v = pf_json_get(root, key);

	if (!v || v->type != PF_JSON_INT || v->i < 0 || v->i > max)
		return odd(key, err);
	*out = (uint64_t)v->i;
	return 0;
}

static int string(const struct pf_json *root, const char *key, char **out, struct pf_error *err)
{
	const struct pf_json *v = pf_json_get(root, key);

	if (!v || v->type != PF_JSON_STRING)
		return odd(key, err);
	*out = strdup(v->str.s);
	return *out ? 0 : pf_fail(err, -ENOMEM, "out of memory");
}

static int list(const struct pf_json *root, const char *key, struct pf_list *out, struct pf_error *err)
{
	const struct pf_json *v = pf_json_get(root, key);

	if (!v || v->type != PF_JSON_ARRAY)
		return odd(key, err);
	for (const struct pf_json *i = v->list.first; i; i = i->next) {
		if (i->type != PF_JSON_STRING)
			return odd(key, err);
		if (pf_list_add(out, i->str.s))
			return pf_fail(err, -ENOMEM, "out of memory");
	}
	return 0;
}

/* Notes go to terminals. */
static int notes(const struct pf_json *root, struct pf_list *out, struct pf_error *err)
{
	struct pf_list raw = {0};
	int r = list(root, "notes", &raw, err);

	if (r == 0 && raw.count > NOTES_MAX)
		r = odd("notes", err);
	for (size_t i = 0; i < raw.count && r == 0; i++) {
		char show[NOTE_MAX];

		pf_printable(raw.items[i], strlen(raw.items[i]), show, sizeof(show));
		if (pf_list_add(out, show))
			r = pf_fail(err, -ENOMEM, "out of memory");
	}
	pf_list_free(&raw);
	return r;
}

static int parse(const struct pf_json *root, struct pf_import_result *out, struct pf_error *err)
{
	const struct pf_json *kind = pf_json_get(root, "kind");
	uint64_t layers = 0;
	int r = 0;

	if (!kind || kind->type != PF_JSON_STRING || pf_import_kind_parse(kind->str.s, &out->kind) ||
	    out->kind == PF_IMPORT_AUTO)
		r = odd("kind", err);
	r = r ? r : number(root, "layers", PF__LAYERS_MAX, &layers, err);
	r = r ? r : number(root, "files", INT64_MAX, &out->files, err);
	r = r ? r : number(root, "bytes", INT64_MAX, &out->bytes, err);
	r = r ? r : string(root, "user", &out->config.user, err);
	r = r ? r : string(root, "workdir", &out->config.workdir, err);
	r = r ? r : list(root, "env", &out->config.env, err);
	r = r ? r : list(root, "entrypoint", &out->config.entrypoint, err);
	r = r ? r : list(root, "cmd", &out->config.cmd, err);
	r = r ? r : notes(root, &out->notes, err);
	r = r ? r : pf__config_check(&out->config, err);
	if (r == 0)
		out->layers = (unsigned)layers;
	return r;
}

int pf__report_parse(const char *text, size_t n, struct pf_import_result *out, struct pf_error *err)
{
	struct pf_import_result found = {0};
	struct pf_json_doc *doc;
	int r = pf_json_parse(text ? text : "", n, 0, &doc, err);

	if (r) {
		pf_wrap(err, "the report of the import's reader");
		return r;
	}
	r = parse(pf_json_root(doc), &found, err);
	pf_json_free(doc);
	if (r) {
		pf_import_result_free(&found);
		return r;
	}
	*out = found;
	return 0;
}
