/* SPDX-License-Identifier: Apache-2.0 */
/* An import as its caller sees it: open what is named, let the child work, measure what it made. */
#include "image/import/import.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "image/import/work.h"
#include "linux/landlock.h"

#define REF_MAX 256u

static const char *const kinds[] = {"auto", "dir", "tar", "docker", "oci"};

const char *pf_import_kind_name(enum pf_import_kind kind)
{
	return kinds[kind];
}

int pf_import_kind_parse(const char *name, enum pf_import_kind *kind)
{
	for (size_t i = 0; i < PF_ARRAY_SIZE(kinds); i++)
		if (pf_streq(kinds[i], name)) {
			*kind = (enum pf_import_kind)i;
			return 0;
		}
	return -EINVAL;
}

void pf_import_result_free(struct pf_import_result *r)
{
	pf__config_free(&r->config);
	pf_list_free(&r->notes);
	*r = (struct pf_import_result){0};
}

struct opened {
	int fd;	    /* the archive, or the directory */
	int layout; /* a layout's directory instead */
	struct stat st;
	enum pf_import_kind kind;
};

static bool has_file(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

static int open_dir(const struct pf_import *how, struct opened *o, struct pf_error *err)
{
	char show[PF__SHOW];

	pf__show(how->from, strlen(how->from), show);
	o->kind = how->kind;
	if (how->kind == PF_IMPORT_AUTO)
		o->kind = has_file(o->fd, "oci-layout") && has_file(o->fd, "index.json") ? PF_IMPORT_OCI
											 : PF_IMPORT_DIR;
	if (o->kind == PF_IMPORT_TAR || o->kind == PF_IMPORT_DOCKER)
		return pf_fail(err, -EISDIR, "%s is a directory, and no archive", show);
	if (o->kind == PF_IMPORT_DIR && how->ref)
		return pf_fail(err, -EINVAL, "%s is a directory, which has no image of the name '%s'", show,
			       how->ref);
	if (o->kind == PF_IMPORT_OCI)
		o->layout = pf_take_fd(&o->fd);
	return 0;
}

static int open_from(const struct pf_import *how, struct opened *o, struct pf_error *err)
{
	bool from_stdin = pf_streq(how->from, "-");
	char show[PF__SHOW];

	pf__show(how->from, strlen(how->from), show);
	o->fd = from_stdin ? fcntl(0, F_DUPFD_CLOEXEC, 3) : open(how->from, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (o->fd < 0 || fstat(o->fd, &o->st))
		return pf_fail_errno(err, "cannot open %s", from_stdin ? "standard input" : show);
	if (S_ISDIR(o->st.st_mode))
		return from_stdin ? pf_fail(err, -EISDIR, "standard input is a directory")
				  : open_dir(how, o, err);
	if (how->kind == PF_IMPORT_DIR)
		return pf_fail(err, -ENOTDIR, "%s is no directory", show);
	if (from_stdin && isatty(o->fd))
		return pf_fail(err, -EINVAL, "standard input is a terminal: give it an archive");
	if (!S_ISREG(o->st.st_mode) && !S_ISFIFO(o->st.st_mode) && !S_ISSOCK(o->st.st_mode))
		return pf_fail(err, -EINVAL, "%s is neither a file nor a directory nor a pipe", show);
	o->kind = how->kind;
	return 0;
}

/* A file without a name, so that whatever happens to us leaves none. */
static int open_spool(const char *dir, struct pf_error *err)
{
	PF_AUTO_FREE char *path = NULL;
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	/* Some file systems make none (NFS, overlay below a tmpfs of old). */
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		if (asprintf(&path, "%s/.spool-XXXXXX", dir) < 0) {
			path = NULL;
			return pf_fail(err, -ENOMEM, "out of memory");
		}
		fd = mkostemp(path, O_CLOEXEC);
		if (fd >= 0)
			unlink(path);
	}
	return fd < 0 ? pf_fail_errno(err, "cannot make a spool in %s", dir) : fd;
}

static int check_arguments(const struct pf_import *how, int out_fd, struct pf_error *err)
{
	struct pf__platform p;
	struct stat st;

	if (how->ref && (strlen(how->ref) > REF_MAX || !pf_utf8_valid(how->ref, strlen(how->ref))))
		return pf_fail(err, -EINVAL, "the name of an image in an archive has at most %u bytes",
			       REF_MAX);
	if (fstat(out_fd, &st) || !S_ISREG(st.st_mode) || st.st_size != 0)
		return pf_fail(err, -EINVAL, "the file of a new image is not an empty one");
	return how->platform ? pf__platform_parse(how->platform, &p, err) : 0;
}

/* Size and digest, by our own reading: the child's word would not do. */
static int measure(const struct pf_import *how, int fd, uint64_t size, char digest[PF_DIGEST_MAX],
		   struct pf_error *err)
{
	enum { PIECE = 1 << 20 };
	PF_AUTO_FREE uint8_t *buf = malloc(PIECE);
	struct pf__source s = {.fd = fd, .size = size};
	struct pf__hash h = {0};
	int64_t n = 0;
	int r = buf ? pf__hash_begin(&h, err) : pf_fail(err, -ENOMEM, "out of memory");

	while (r == 0 && (n = pf__source_read(&s, buf, PIECE, err)) > 0) {
		r = pf__hash_add(&h, buf, (size_t)n, err);
		if (how->progress && s.at % (64u << 20) == 0)
			how->progress(how->user, PF_IMPORT_CHECKING, s.at, size);
	}
	r = r ? r : n < 0 ? (int)n : pf__hash_end(&h, digest, err);
	pf__hash_free(&h);
	return r;
}

static int finish(const struct pf_import *how, int out_fd, uint64_t file_max, const struct pf_buf *report,
		  struct pf_import_result *out, struct pf_error *err)
{
	struct pf_import_result found = {0};
	struct stat st;
	int r = pf__report_parse(report->data, report->len, &found, err);

	if (r)
		return r;
	if (fstat(out_fd, &st) || st.st_size <= 0 || st.st_size % PF__BLOCK ||
	    (uint64_t)st.st_size > file_max)
		r = pf_fail(err, -EIO, "the import's reader made no image");
	r = r ? r : pf__image_check(how, out_fd, (uint64_t)st.st_size, err);
	r = r ? r : measure(how, out_fd, (uint64_t)st.st_size, found.digest, err);
	if (r) {
		pf_import_result_free(&found);
		return r;
	}
	found.size = (uint64_t)st.st_size;
	found.landlock = pf_landlock_abi() > 0;
	*out = found;
	return 0;
}

static int run(struct pf__job *j, const struct opened *o, uint64_t file_max, struct pf_buf *report,
	       struct pf_error *err)
{
	bool dir = o->kind == PF_IMPORT_DIR;
	struct pf__child c = {.wall = dir ? PF__WALL_DIR : PF__WALL_ARCHIVE,
			      .file_max = file_max,
			      .keep = {&j->input, &j->spool_fd, &j->out_fd},
			      .dir = dir ? &j->input : NULL,
			      .channel = &j->channel,
			      .work = pf__import_work,
			      .user = j,
			      .layout = o->layout,
			      .how = j->how};
	char show[PF__SHOW];
	int r = pf__child_run(&c, report, err);

	if (r)
		pf_wrap(err, "cannot import %s",
			pf_streq(j->how->from, "-") ? "standard input"
						    : pf__show(j->how->from, strlen(j->how->from), show));
	return r;
}

int pf_import(const struct pf_import *how, int out_fd, const char *spool_dir, struct pf_import_result *out,
	      struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf report = {0};
	PF_AUTO_CLOSE int spool = -1, input = -1, layout = -1;
	struct opened o = {.fd = -1, .layout = -1};
	struct pf__job j = {.how = how, .channel = -1, .out_fd = out_fd};
	uint64_t file_max;
	int r = check_arguments(how, out_fd, err);

	r = r ? r : pf__hash_ready(err);
	if (r == 0) {
		r = open_from(how, &o, err);
		input = o.fd;
		layout = o.layout;
	}
	if (r)
		return r;
	spool = open_spool(spool_dir, err);
	if (spool < 0)
		return spool;
	j.budget.bytes_max = how->bytes_max ? how->bytes_max : PF_IMPORT_BYTES_MAX;
	j.budget.ratio_max = how->ratio_max ? how->ratio_max : PF_IMPORT_RATIO_MAX;
	/* The spool has the archive's files and those of its layers; the image has tables of holes beside. */
	file_max = j.budget.bytes_max > INT64_MAX / 4 ? INT64_MAX : 2 * j.budget.bytes_max + (2ull << 30);
	j.input = input;
	j.pipe = !S_ISREG(o.st.st_mode);
	j.input_size = (uint64_t)o.st.st_size;
	j.kind = o.kind;
	j.spool_fd = spool;
	r = run(&j, &o, file_max, &report, err);
	return r ? r : finish(how, out_fd, file_max, &report, out, err);
}
