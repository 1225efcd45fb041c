/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading manifest.json, info.json and root.json. They are our own, but what is in them came from archives,
 * and a disk or a hand may have changed them: every key must be there once and be of its type, and no other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/str.h"
#include "image/store_internal.h"

#define SCHEMA 1

/* An object being read: err is that of the first key that was wrong. */
struct reader {
	const struct pf_json *object;
	size_t taken;
	int r;
	struct pf_error *err;
};

static const struct pf_json *take(struct reader *r, const char *key, enum pf_json_type type)
{
	const struct pf_json *v;

	if (r->r < 0)
		return NULL;
	v = pf_json_get(r->object, key);
	if (!v || v->type != type) {
		r->r = pf_fail(r->err, -EBADMSG, "\"%s\" is %s", key, v ? "of the wrong type" : "missing");
		return NULL;
	}
	r->taken++;
	return v;
}

static char *take_string(struct reader *r, const char *key)
{
	const struct pf_json *v = take(r, key, PF_JSON_STRING);
	char *s = v ? strdup(v->str.s) : NULL;

	if (v && !s)
		r->r = pf_fail(r->err, -ENOMEM, "out of memory");
	return s;
}

static uint64_t take_count(struct reader *r, const char *key)
{
	const struct pf_json *v = take(r, key, PF_JSON_INT);

	if (v && v->i < 0) {
		r->r = pf_fail(r->err, -EBADMSG, "\"%s\" is negative", key);
		return 0;
	}
	return v ? (uint64_t)v->i : 0;
}

static bool take_bool(struct reader *r, const char *key)
{
	const struct pf_json *v = take(r, key, PF_JSON_BOOL);

	return v && v->b;
}

static void take_list(struct reader *r, const char *key, struct pf_list *out)
{
	const struct pf_json *v = take(r, key, PF_JSON_ARRAY);

	for (const struct pf_json *item = v ? v->list.first : NULL; item; item = item->next) {
		if (item->type != PF_JSON_STRING) {
			r->r = pf_fail(r->err, -EBADMSG, "\"%s\" has something else than strings", key);
			return;
		}
		if (pf_list_add(out, item->str.s) < 0) {
			r->r = pf_fail(r->err, -ENOMEM, "out of memory");
			return;
		}
	}
}

/* A newer pinfold may mean something by a key that we do not know. */
static int finish(struct reader *r)
{
	if (r->r == 0 && r->object->list.count != r->taken)
		r->r = pf_fail(r->err, -EBADMSG, "it has keys that this pinfold does not know");
	return r->r;
}

static int begin(const struct pf_buf *text, struct pf_json_doc **doc, struct reader *r, struct pf_error *err)
{
	int code = pf_json_parse(text->data ? text->data : "", text->len, 0, doc, err);

	if (code < 0) {
		if (err && code != -ENOMEM)
			err->code = -EBADMSG;
		return code == -ENOMEM ? code : -EBADMSG;
	}
	*r = (struct reader){.object = pf_json_root(*doc), .err = err};
	if (r->object->type != PF_JSON_OBJECT)
		return pf_fail(err, -EBADMSG, "it is no object");
	if (take_count(r, "schema") != SCHEMA && r->r == 0)
		r->r = pf_fail(err, -EBADMSG, "it is of a schema that this pinfold does not know");
	return r->r;
}

static void free_doc(struct pf_json_doc **doc)
{
	pf_json_free(*doc);
}
#define AUTO_DOC __attribute__((cleanup(free_doc)))

void pf_image_config_free(struct pf_image_config *c)
{
	free(c->user);
	free(c->workdir);
	pf_list_free(&c->env);
	pf_list_free(&c->entrypoint);
	pf_list_free(&c->cmd);
	memset(c, 0, sizeof(*c));
}

static int check_config(const struct pf_image_config *c, struct pf_error *err)
{
	if (c->workdir[0] && c->workdir[0] != '/')
		return pf_fail(err, -EBADMSG, "the working directory of its configuration is not absolute");
	for (size_t i = 0; i < c->env.count; i++) {
		const char *equals = strchr(c->env.items[i], '=');

		if (!equals || equals == c->env.items[i])
			return pf_fail(err, -EBADMSG,
				       "the environment of its configuration has a line without NAME=");
	}
	return 0;
}

int pf__manifest_parse(const struct pf_buf *text, char erofs_digest[PF_DIGEST_MAX], struct pf_image_config *c,
		       struct pf_error *err)
{
	AUTO_DOC struct pf_json_doc *doc = NULL;
	PF_AUTO_FREE char *digest = NULL;
	struct pf_image_config new = {0};
	struct reader r, config;
	int code = begin(text, &doc, &r, err);

	if (code < 0)
		return code;
	digest = take_string(&r, "erofs");
	config = (struct reader){.object = take(&r, "config", PF_JSON_OBJECT), .r = r.r, .err = err};
	new.user = take_string(&config, "user");
	new.workdir = take_string(&config, "workdir");
	take_list(&config, "env", &new.env);
	take_list(&config, "entrypoint", &new.entrypoint);
	take_list(&config, "cmd", &new.cmd);
	code = finish(&config);
	if (code == 0)
		code = finish(&r);
	if (code == 0 && !pf__store_digest(digest))
		code = pf_fail(err, -EBADMSG, "\"erofs\" is no digest");
	if (code == 0)
		code = check_config(&new, err);
	if (code < 0) {
		pf_image_config_free(&new);
		return code;
	}
	memcpy(erofs_digest, digest, strlen(digest) + 1);
	*c = new;
	return 0;
}

int pf__info_parse(const struct pf_buf *text, struct pf_image *out, struct pf_error *err)
{
	AUTO_DOC struct pf_json_doc *doc = NULL;
	PF_AUTO_FREE char *source = NULL;
	uint64_t created, size, files, bytes;
	struct pf_list notes = {0};
	struct reader r;
	int code = begin(text, &doc, &r, err);

	if (code < 0)
		return code;
	source = take_string(&r, "source");
	created = take_count(&r, "created");
	size = take_count(&r, "size");
	files = take_count(&r, "files");
	bytes = take_count(&r, "bytes");
	take_list(&r, "notes", &notes);
	code = finish(&r);
	if (code < 0) {
		pf_list_free(&notes);
		return code;
	}
	out->source = pf_take_ptr(source);
	out->created = (int64_t)created;
	out->size = size;
	out->files = files;
	out->bytes = bytes;
	out->notes = notes;
	return 0;
}

int pf__root_parse(const struct pf_buf *text, struct pf_image *out, struct pf_error *err)
{
	AUTO_DOC struct pf_json_doc *doc = NULL;
	struct reader r;
	uint64_t left_out;
	bool owners;
	int code = begin(text, &doc, &r, err);

	if (code < 0)
		return code;
	owners = take_bool(&r, "owners_kept");
	left_out = take_count(&r, "left_out");
	code = finish(&r);
	if (code < 0)
		return code;
	out->owners_kept = owners;
	out->left_out = left_out;
	return 0;
}
