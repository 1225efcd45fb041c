/* SPDX-License-Identifier: Apache-2.0 */
/* From a source to an image in the store; see tool.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/json.h"
#include "image/tool/tool.h"

#define PLACE_TRIES 4 /* somebody removes the same image while we add it */

void pf__saved_free(struct pf__saved *s)
{
	pf_list_free(&s->notes);
	*s = (struct pf__saved){0};
}

static void on_progress(void *user, enum pf_import_phase phase, uint64_t done, uint64_t total)
{
	static const char *const doing[] = {[PF_IMPORT_READING] = "reading",
					    [PF_IMPORT_WRITING] = "writing",
					    [PF_IMPORT_CHECKING] = "checking"};

	pf__progress_bytes(user, doing[phase], done, total);
}

/* A disk that is full is known by one message, whoever met it. */
static int explain(const char *state, int r, struct pf_error *err)
{
	if (r == -ENOSPC || r == -EDQUOT)
		return pf_wrap(err, "no room in %s for the image", state);
	return r;
}

/* --- the image's place -------------------------------------------------------------------- */

/* Is the image that is there already what its digest says? */
static bool whole(const struct pf_image_new *n, const char *digest, struct pf__progress *progress)
{
	struct pf_image i;
	bool good;

	if (pf_image_find(n->state, digest, &i, NULL) < 0)
		return false;
	good = pf__image_verify(&i, progress, NULL) == 0;
	pf_image_free(&i);
	return good;
}

/* Into the store, or, where the same image is, its name to that one. A damaged one is replaced. */
static int place(struct pf_image_new *n, const struct pf__save *save, struct pf__saved *out,
		 struct pf_error *err)
{
	int r = -EEXIST;

	for (int i = 0; i < PLACE_TRIES; i++) {
		r = pf_image_publish(n, out->digest, save->name, false, err);
		if (r != -EEXIST)
			return r;
		if (!whole(n, out->digest, save->progress)) {
			r = pf_image_publish(n, out->digest, save->name, true, err);
			return r == -EBUSY ? pf_fail(err, r,
						     "the image %s is there but damaged, and a sandbox uses "
						     "it: end that one first",
						     out->digest)
					   : r;
		}
		r = save->name ? pf_image_tag(n->state, out->digest, save->name, err) : 0;
		if (r != -ENOENT) {
			out->existed = r == 0;
			return r;
		}
	}
	return r;
}

/* --- the image ----------------------------------------------------------------------------- */

/* What was built here says itself what it runs. */
static int default_command(const struct pf__save *save, struct pf_image_config *c, struct pf_error *err)
{
	if (!save->cmd || c->cmd.count || c->entrypoint.count)
		return 0;
	return pf_list_add(&c->cmd, save->cmd) < 0 ? pf_fail(err, -ENOMEM, "out of memory") : 0;
}

static int seal(struct pf_image_new *n, const struct pf__save *save, struct pf_import_result *got,
		struct pf__saved *out, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf source = {0};
	struct pf_image_info info = {.created = (int64_t)time(NULL),
				     .size = got->size,
				     .files = got->files,
				     .bytes = got->bytes,
				     .notes = &got->notes};
	int r = default_command(save, &got->config, err);

	pf_buf_addf(&source, "%s%s%s", save->kind ? pf_import_kind_name(got->kind) : "",
		    save->kind ? " " : "", save->source);
	if (r == 0 && source.failed)
		r = pf_fail(err, -ENOMEM, "out of memory");
	info.source = source.data;
	if (r == 0)
		r = pf_image_seal(n, got->digest, &got->config, &info, out->digest, err);
	return r < 0 ? r : place(n, save, out, err);
}

static int import(struct pf_image_new *n, const struct pf__save *save, struct pf_import_result *got,
		  struct pf_error *err)
{
	PF_AUTO_CLOSE int fd = openat(n->dir, "image.erofs", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	PF_AUTO_FREE char *spool = NULL;
	struct pf_import how = save->how;

	if (fd < 0)
		return pf_fail_errno(err, "cannot make %s/image.erofs", n->path);
	if (asprintf(&spool, "%s/tmp", n->path) < 0) {
		spool = NULL;
		return pf_fail(err, -ENOMEM, "out of memory");
	}
	how.progress = on_progress;
	how.user = save->progress;
	return pf_import(&how, fd, spool, got, err);
}

int pf__save(const struct pf__save *save, struct pf_image_new *n, struct pf__saved *out, struct pf_error *err)
{
	struct pf_import_result got = {0};
	struct pf__saved s = {0};
	char state[512], was[PF_DIGEST_MAX];
	int r;

	snprintf(state, sizeof(state), "%s", n->state);
	pf__tool_name_was(state, save->name, was);
	r = import(n, save, &got, err);

	if (r == 0)
		r = seal(n, save, &got, &s, err);
	pf__progress_end(save->progress);
	pf_image_new_drop(n);
	if (r == 0) {
		s.size = got.size;
		s.files = got.files;
		s.bytes = got.bytes;
		s.layers = got.layers;
		s.notes = got.notes;
		got.notes = (struct pf_list){0};
		if (was[0] && strcmp(was, s.digest) != 0)
			pf_list_addf(&s.notes, PF__NAME_WAS, save->name, was);
		*out = s;
	}
	pf_import_result_free(&got);
	return r < 0 ? explain(state, r, err) : 0;
}

/* --- what is said about it ------------------------------------------------------------------ */

static int print_json(const struct pf__saved *s, const char *name)
{
	PF_AUTO_BUF struct pf_buf out = {0};
	struct pf_jsonw w;

	pf_jsonw_init(&w, &out, 2);
	pf_jsonw_begin(&w, '{');
	pf_jsonw_kstr(&w, "digest", s->digest);
	pf_jsonw_kstr(&w, "name", name);
	pf_jsonw_kbool(&w, "existed", s->existed);
	pf_jsonw_kint(&w, "size", (int64_t)s->size);
	pf_jsonw_kint(&w, "files", (int64_t)s->files);
	pf_jsonw_kint(&w, "bytes", (int64_t)s->bytes);
	pf_jsonw_kint(&w, "layers", s->layers);
	pf_jsonw_key(&w, "notes");
	pf_jsonw_begin(&w, '[');
	for (size_t i = 0; i < s->notes.count; i++)
		pf_jsonw_str(&w, s->notes.items[i]);
	pf_jsonw_end(&w, ']');
	pf_jsonw_end(&w, '}');
	pf_buf_addc(&out, '\n');
	return pf_cli_out(&out);
}

int pf__saved_print(const struct pf__saved *s, const char *name, bool json)
{
	PF_AUTO_BUF struct pf_buf out = {0};

	if (json)
		return print_json(s, name);
	for (size_t i = 0; i < s->notes.count; i++)
		pf_cli_say("%s", s->notes.items[i]);
	pf_buf_addf(&out, "%s%s%s\n", s->digest, name ? " " : "", name ? name : "");
	return pf_cli_out(&out);
}
