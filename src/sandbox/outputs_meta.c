/* SPDX-License-Identifier: Apache-2.0 */
/* STATE/outputs/ID/meta.json: what a kept output is of. Written last, so one without it is none. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "sandbox/outputs.h"

#define META_MAX 65536u
#define SCHEMA	 1

static const char *const keys[] = {"stdout_bytes", "stderr_bytes"};

int pf__outputs_settle(int outputs_fd, int stage, const struct pf_kept_output *o, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf b = {0};
	struct pf_jsonw w;
	char name[48];
	int r;

	pf_jsonw_init(&w, &b, 2);
	pf_jsonw_begin(&w, '{');
	pf_jsonw_kint(&w, "schema", SCHEMA);
	pf_jsonw_kstr(&w, "id", o->id);
	pf_jsonw_kstr(&w, "command", o->command);
	pf_jsonw_kint(&w, "ended", o->ended);
	for (unsigned i = 0; i < PF_ARRAY_SIZE(keys); i++) {
		pf_jsonw_key(&w, keys[i]);
		if (o->kept[i])
			pf_jsonw_uint(&w, o->bytes[i]);
		else
			pf_jsonw_null(&w);
	}
	pf_jsonw_end(&w, '}');
	pf_buf_addc(&b, '\n');
	r = b.failed ? -ENOMEM : pf_replace_file(stage, "meta.json", b.data, b.len, 0600);
	if (r < 0)
		return pf_fail(err, r, "cannot write what the output is of: %s", strerror(-r));
	snprintf(name, sizeof(name), ".%s", o->id);
	if (renameat(outputs_fd, name, outputs_fd, o->id) < 0)
		return pf_fail_errno(err, "cannot put the output in its place");
	return 0;
}

static bool read_fields(const struct pf_json *o, struct pf_kept_output *out)
{
	const struct pf_json *schema = pf_json_get(o, "schema"), *id = pf_json_get(o, "id");
	const struct pf_json *command = pf_json_get(o, "command"), *ended = pf_json_get(o, "ended");

	if (!schema || schema->type != PF_JSON_INT || schema->i != SCHEMA || !id ||
	    id->type != PF_JSON_STRING || strcmp(id->str.s, out->id) != 0 || !ended ||
	    ended->type != PF_JSON_INT || !command || command->type != PF_JSON_STRING)
		return false;
	for (unsigned i = 0; i < PF_ARRAY_SIZE(keys); i++) {
		const struct pf_json *n = pf_json_get(o, keys[i]);

		if (!n || (n->type != PF_JSON_NULL && (n->type != PF_JSON_INT || n->i < 0)))
			return false;
		out->kept[i] = n->type == PF_JSON_INT;
		out->bytes[i] = out->kept[i] ? (uint64_t)n->i : 0;
	}
	out->ended = ended->i;
	out->command = strdup(command->str.s);
	return out->command != NULL;
}

int pf_outputs_load(int outputs_fd, const char *id, struct pf_kept_output *out, struct pf_error *err)
{
	struct pf_kept_output o = {0};
	PF_AUTO_BUF struct pf_buf b = {0};
	PF_AUTO_CLOSE int fd = -1;
	struct pf_json_doc *doc = NULL;
	char path[60];
	struct stat st;
	int r;

	snprintf(o.id, sizeof(o.id), "%s", id);
	snprintf(path, sizeof(path), "%s/meta.json", o.id);
	fd = pf_open_beneath(outputs_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)))
		return pf_fail(err, -EBADMSG, "output %s is not as pinfold keeps it", o.id);
	r = fd < 0 ? fd : pf_read_fd(fd, &b, META_MAX);
	if (r < 0)
		return pf_fail(err, r, "cannot read of output %s: %s", o.id, strerror(-r));
	r = pf_json_parse(b.data ? b.data : "", b.len, 0, &doc, err);
	if (r < 0)
		return pf_wrap(err, "meta.json of output %s", o.id);
	if (!read_fields(pf_json_root(doc), &o))
		r = pf_fail(err, -EBADMSG, "meta.json of output %s is not as pinfold writes it", o.id);
	pf_json_free(doc);
	if (r < 0)
		pf_kept_output_free(&o);
	else
		*out = o;
	return r;
}
