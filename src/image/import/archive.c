/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an archive is: a root tar, a `docker save` archive or an OCI layout, by what is in it.
 *
 * One that can be read twice (a file, not compressed) is looked through first, for names and places alone;
 * the layers of an image are then read where they lie. One that cannot is unpacked into the spool as if it
 * were a root; if it turns out to be an image, its members lie there.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "image/import/channel.h"

static void on_packed(void *user, uint64_t packed)
{
	pf__job_progress(user, PF_IMPORT_READING, packed);
}

static struct pf__source input_source(const struct pf__job *j)
{
	return (struct pf__source){
		.fd = j->input, .pipe = j->pipe, .size = j->pipe ? UINT64_MAX : j->input_size};
}

/* The input, once, from its beginning. */
static int read_input(struct pf__job *j, enum pf__reading how, struct pf_tree *tree, bool *plain,
		      struct pf_error *err)
{
	struct pf__source source = input_source(j);
	struct pf__stream s;
	int r = pf__stream_open(&s, &source, &j->budget, 0, err);

	s.progress = on_packed;
	s.user = j;
	if (r == 0 && how == PF__READ_INDEX && s.packing != PF__PLAIN)
		*plain = false; /* places in it are of no use */
	else if (r == 0)
		r = pf__layer_read(j, &s, how, tree, NULL, err);
	pf__stream_close(&s);
	return r;
}

static void begin_again(struct pf__job *j)
{
	j->budget.unpacked = j->budget.stored = j->budget.apparent = j->budget.entries = 0;
	memset(&j->notes, 0, sizeof(j->notes));
	j->told = 0;
}

static bool is_file(const struct pf__blobs *b, const char *path)
{
	const struct pf_inode *i = pf_tree_find(b->tree, path);

	return i && S_ISREG(i->mode);
}

static enum pf_import_kind looks_like(const struct pf__blobs *b)
{
	if (is_file(b, "oci-layout") && is_file(b, "index.json"))
		return PF_IMPORT_OCI;
	return is_file(b, "manifest.json") && pf__docker_looks(b) ? PF_IMPORT_DOCKER : PF_IMPORT_TAR;
}

static int read_image(struct pf__job *j, const struct pf__blobs *b, struct pf_tree **tree,
		      struct pf_error *err)
{
	struct pf__stack stack = {0};
	int r = j->kind == PF_IMPORT_OCI ? pf__oci_stack(j, b, &stack, err)
					 : pf__docker_stack(j, b, &stack, err);

	if (r == 0)
		r = pf__stack_run(j, b, &stack, tree, err);
	pf__stack_free(&stack);
	return r;
}

/* The tree of the archive itself. *places: its files lie in the input; otherwise in the spool. */
static int read_outer(struct pf__job *j, struct pf_tree *outer, bool *places, struct pf_error *err)
{
	int r = 0;

	*places = !j->pipe && j->how->kind != PF_IMPORT_TAR;
	if (*places)
		r = read_input(j, PF__READ_INDEX, outer, places, err);
	if (r == 0 && !*places) {
		r = read_input(j, PF__READ_ROOT, outer, NULL, err);
		if (r == 0)
			r = pf__spool_flush(&j->spool, err);
	}
	return r;
}

static int decide(struct pf__job *j, const struct pf__blobs *b, struct pf_error *err)
{
	enum pf_import_kind want = j->how->kind;

	j->kind = want == PF_IMPORT_AUTO ? looks_like(b) : want;
	if (j->kind == PF_IMPORT_OCI && (!is_file(b, "oci-layout") || !is_file(b, "index.json")))
		return pf_fail(err, -EINVAL,
			       "it is no OCI layout: it has no file oci-layout or no index.json");
	if (j->kind == PF_IMPORT_DOCKER && !is_file(b, "manifest.json"))
		return pf_fail(err, -EINVAL, "docker did not save it: it has no manifest.json");
	if (j->kind == PF_IMPORT_TAR && j->how->ref)
		return pf_fail(err, -EINVAL, "it is a root tar, and those have no image of the name '%s'",
			       j->how->ref);
	return 0;
}

/* Of a root tar that was only looked through. */
static int read_root(struct pf__job *j, struct pf_tree **tree, struct pf_error *err)
{
	int r;

	begin_again(j);
	r = pf_tree_new(tree, err);
	return r ? r : read_input(j, PF__READ_ROOT, *tree, NULL, err);
}

int pf__archive_read(struct pf__job *j, struct pf_tree **tree, struct pf_error *err)
{
	struct pf__blobs b = {.job = j, .fd = j->spool_fd};
	struct pf_tree *outer;
	bool places;
	int r;

	j->total = j->pipe ? 0 : j->input_size;
	if (j->input < 0) { /* a layout's directory */
		j->kind = PF_IMPORT_OCI;
		return read_image(j, &b, tree, err);
	}
	r = pf_tree_new(&outer, err);
	if (r)
		return r;
	r = read_outer(j, outer, &places, err);
	b.tree = outer;
	if (places)
		b.fd = j->input;
	if (r == 0)
		r = decide(j, &b, err);
	if (r == 0 && j->kind == PF_IMPORT_TAR && !places) {
		*tree = outer;
		return 0;
	}
	if (r == 0 && j->kind == PF_IMPORT_TAR)
		r = read_root(j, tree, err);
	else if (r == 0) {
		begin_again(j);
		r = read_image(j, &b, tree, err);
	}
	pf_tree_free(outer);
	return r;
}
