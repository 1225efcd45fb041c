/* SPDX-License-Identifier: Apache-2.0 */
/* An image's configuration (OCI image-spec, config.md): platform, layers, and how its programs run. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "image/import/import_internal.h"

#define ITEMS_MAX  4096u
#define STRING_MAX 131071u /* MAX_ARG_STRLEN of Linux without the NUL */
#define USER_MAX   255u

void pf__config_free(struct pf_image_config *c)
{
	free(c->user);
	free(c->workdir);
	pf_list_free(&c->env);
	pf_list_free(&c->entrypoint);
	pf_list_free(&c->cmd);
	*c = (struct pf_image_config){0};
}

int pf__platform_parse(const char *text, struct pf__platform *out, struct pf_error *err)
{
	struct pf__platform p = {0};
	char *part[] = {p.os, p.architecture, p.variant};
	const char *from = text;

	for (size_t i = 0; i < 3; i++) {
		size_t n = strcspn(from, "/");

		if (n == 0 || n >= sizeof(p.os))
			break;
		memcpy(part[i], from, n);
		from += n;
		if (*from == '\0' && i > 0) {
			*out = p;
			return 0;
		}
		from += *from == '/';
	}
	return pf_fail(err, -EINVAL, "'%.60s' is no platform; write it as linux/amd64 or linux/arm/v7", text);
}

static int bad(const char *key, const char *what, struct pf_error *err)
{
	return pf_fail(err, -EINVAL, "the image's configuration: %s %s", key, what);
}

/* A string, or NULL where there is none or null. */
static int string(const struct pf_json *object, const char *key, const char **out, struct pf_error *err)
{
	const struct pf_json *v = pf_json_get(object, key);

	*out = NULL;
	if (!v || v->type == PF_JSON_NULL)
		return 0;
	if (v->type != PF_JSON_STRING)
		return bad(key, "is no string", err);
	*out = v->str.s;
	return 0;
}

static int strings(const struct pf_json *object, const char *key, struct pf_list *out, struct pf_error *err)
{
	const struct pf_json *v = pf_json_get(object, key);

	if (!v || v->type == PF_JSON_NULL)
		return 0;
	if (v->type != PF_JSON_ARRAY || v->list.count > ITEMS_MAX)
		return bad(key, "is no list, or too long a one", err);
	for (const struct pf_json *i = v->list.first; i; i = i->next) {
		if (i->type != PF_JSON_STRING)
			return bad(key, "holds something that is no string", err);
		if (pf_list_add(out, i->str.s))
			return pf_fail(err, -ENOMEM, "out of memory");
	}
	return 0;
}

/* Docker takes a relative one from the root. */
static int workdir(const char *said, char **out, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf whole = {0};
	char clean[PF__PATH_MAX + 1];

	if (!said || !*said) {
		*out = strdup("");
		return *out ? 0 : pf_fail(err, -ENOMEM, "out of memory");
	}
	if (pf_buf_addf(&whole, "/%s", said))
		return pf_fail(err, -ENOMEM, "out of memory");
	if (pf_path_clean(whole.data, clean, sizeof(clean)))
		return bad("WorkingDir", "has '..' in it, or is too long", err);
	*out = strdup(clean);
	return *out ? 0 : pf_fail(err, -ENOMEM, "out of memory");
}

static int list_check(const char *key, const struct pf_list *l, struct pf_error *err)
{
	if (l->count > ITEMS_MAX)
		return bad(key, "is too long a list", err);
	for (size_t i = 0; i < l->count; i++)
		if (strlen(l->items[i]) > STRING_MAX)
			return bad(key, "holds a string that no program can be given", err);
	return 0;
}

int pf__config_check(const struct pf_image_config *c, struct pf_error *err)
{
	int r = list_check("Env", &c->env, err);
	char clean[PF__PATH_MAX + 1];

	r = r ? r : list_check("Entrypoint", &c->entrypoint, err);
	r = r ? r : list_check("Cmd", &c->cmd, err);
	for (size_t i = 0; i < c->env.count && r == 0; i++)
		if (!strchr(c->env.items[i], '=') || *c->env.items[i] == '=')
			r = bad("Env", "holds what is not NAME=VALUE", err);
	if (r)
		return r;
	if (!c->user || strlen(c->user) > USER_MAX || !pf_utf8_valid(c->user, strlen(c->user)))
		return bad("User", "is too long", err);
	if (!c->workdir ||
	    (*c->workdir && (*c->workdir != '/' || pf_path_clean(c->workdir, clean, sizeof(clean)) ||
			     !pf_streq(clean, c->workdir))))
		return bad("WorkingDir", "is no clean absolute path", err);
	return 0;
}

static int run_part(const struct pf_json *root, struct pf_image_config *c, struct pf_error *err)
{
	const struct pf_json *config = pf_json_get(root, "config");
	const char *user = NULL, *dir = NULL;
	int r;

	if (config && config->type != PF_JSON_OBJECT && config->type != PF_JSON_NULL)
		return bad("config", "is no object", err);
	r = string(config, "User", &user, err);
	r = r ? r : string(config, "WorkingDir", &dir, err);
	r = r ? r : strings(config, "Env", &c->env, err);
	r = r ? r : strings(config, "Entrypoint", &c->entrypoint, err);
	r = r ? r : strings(config, "Cmd", &c->cmd, err);
	r = r ? r : workdir(dir, &c->workdir, err);
	if (r)
		return r;
	c->user = strdup(user ? user : "");
	return c->user ? pf__config_check(c, err) : pf_fail(err, -ENOMEM, "out of memory");
}

static int diff_ids(const struct pf_json *root, struct pf__stack *p, struct pf_error *err)
{
	const struct pf_json *fs = pf_json_get(root, "rootfs"), *ids = pf_json_get(fs, "diff_ids");
	const struct pf_json *type = pf_json_get(fs, "type");
	size_t n = 0;

	if (!ids || ids->type != PF_JSON_ARRAY || !type || type->type != PF_JSON_STRING ||
	    !pf_streq(type->str.s, "layers"))
		return bad("rootfs", "has no diff_ids of layers", err);
	if (ids->list.count != p->count)
		return pf_fail(err, -EINVAL,
			       "the image's configuration names %zu layers, and its manifest %zu",
			       ids->list.count, p->count);
	for (const struct pf_json *i = ids->list.first; i; i = i->next, n++) {
		if (i->type != PF_JSON_STRING || !pf__digest_ok(i->str.s))
			return bad("rootfs.diff_ids", "holds what is no sha256 digest", err);
		memcpy(p->layers[n].diff_id, i->str.s, strlen(i->str.s) + 1);
	}
	return 0;
}

/* The configuration knows best what the files in the layers are. */
static int platform_check(const struct pf_json *root, const char *wanted, struct pf_error *err)
{
	const char *os, *architecture, *variant;
	char is[PF__SHOW], show[PF__SHOW];
	struct pf__platform want;
	int r = pf__platform_parse(wanted, &want, err);

	r = r ? r : string(root, "os", &os, err);
	r = r ? r : string(root, "architecture", &architecture, err);
	r = r ? r : string(root, "variant", &variant, err);
	if (r)
		return r;
	if ((!os || !*os || pf_streq(os, want.os)) &&
	    (!architecture || !*architecture || pf_streq(architecture, want.architecture)) &&
	    (!variant || !*variant || !*want.variant || pf_streq(variant, want.variant)))
		return 0;
	snprintf(is, sizeof(is), "%.60s/%.60s%s%.60s", os ? os : "?", architecture ? architecture : "?",
		 variant && *variant ? "/" : "", variant ? variant : "");
	return pf_fail(err, -EINVAL, "the image is for %s, not for %s", pf__show(is, strlen(is), show),
		       wanted);
}

int pf__config_parse(const char *text, size_t n, const char *platform, struct pf__stack *p,
		     struct pf_image_config *out, struct pf_error *err)
{
	struct pf_json_doc *doc;
	struct pf_image_config c = {0};
	const struct pf_json *root;
	int r = pf_json_parse(text, n, 0, &doc, err);

	if (r) {
		pf_wrap(err, "the image's configuration");
		return r;
	}
	root = pf_json_root(doc);
	if (root->type != PF_JSON_OBJECT)
		r = bad("it", "is no object", err);
	r = r ? r : platform_check(root, platform, err);
	r = r ? r : diff_ids(root, p, err);
	r = r ? r : run_part(root, &c, err);
	pf_json_free(doc);
	if (r) {
		pf__config_free(&c);
		return r;
	}
	*out = c;
	return 0;
}
