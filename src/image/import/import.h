/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a directory, a root tar, a `docker save` archive or an OCI layout to one image file.
 *
 * What comes in is hostile. It is read by a child that has no privilege and no way to open anything: it holds
 * the input, a spool, the output and one socket, and tells what it found in messages that are checked here as
 * hostile too. A directory, which is no archive, is read with the caller's rights, by a child that can open
 * nothing outside of it. What the child wrote is then looked through by a second child of the first kind, and
 * its size and digest are taken by the caller's own process.
 *
 * The digest of what comes out depends on the tree alone: names, types, modes, owners, times, contents,
 * attributes; not on the order of an archive, its format or compression, how its holes were written, the time
 * or the machine.
 */
#ifndef PF_IMAGE_IMPORT_H
#define PF_IMAGE_IMPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"
#include "image/store.h"

enum pf_import_kind {
	PF_IMPORT_AUTO,	  /* by what is there */
	PF_IMPORT_DIR,	  /* a root file system */
	PF_IMPORT_TAR,	  /* a tar of one */
	PF_IMPORT_DOCKER, /* what `docker save` writes */
	PF_IMPORT_OCI,	  /* an OCI layout, or a tar of one */
};
const char *pf_import_kind_name(enum pf_import_kind kind); /* "auto", "dir", "tar", "docker", "oci" */
int pf_import_kind_parse(const char *name, enum pf_import_kind *kind); /* 0 or -EINVAL */

#define PF_IMPORT_BYTES_MAX (16ull << 30) /* of contents, uncompressed, all layers together */
#define PF_IMPORT_RATIO_MAX 200u	  /* uncompressed : compressed, in one stream past its first 64 MiB */

enum pf_import_phase { PF_IMPORT_READING, PF_IMPORT_WRITING, PF_IMPORT_CHECKING };

struct pf_import {
	const char *from; /* path; "-": standard input (archives only) */
	enum pf_import_kind kind;
	const char *ref;      /* which of several images: a tag or digest; NULL: the only one */
	const char *platform; /* "os/architecture[/variant]"; NULL: "linux/amd64" */
	uint64_t bytes_max;   /* 0: PF_IMPORT_BYTES_MAX */
	uint64_t ratio_max;   /* 0: PF_IMPORT_RATIO_MAX */
	/* Called now and then, or NULL. done and total are bytes; total 0: unknown. */
	void (*progress)(void *user, enum pf_import_phase phase, uint64_t done, uint64_t total);
	void *user;
};

struct pf_import_result {
	enum pf_import_kind kind;
	struct pf_image_config config; /* empty for a directory or root tar */
	uint64_t size;		       /* of the image file */
	char digest[PF_DIGEST_MAX];    /* of the image file */
	uint64_t files, bytes;	       /* entries of the tree; bytes of its regular files, holes counted */
	unsigned layers;
	bool landlock;	      /* the second wall was there */
	struct pf_list notes; /* what was left out: a line each, printable */
};
void pf_import_result_free(struct pf_import_result *r); /* leaves it empty and valid */

/*
 * out_fd: an empty regular file open for reading and writing, which becomes image.erofs; after a failure its
 * contents are undefined. spool_dir: where as many bytes as the image has, and a `docker save` or OCI archive
 * from a pipe or compressed has, lie meanwhile, in files without a name. Must be called without other threads
 * (it forks). Nothing is left behind if the caller dies.
 */
int pf_import(const struct pf_import *how, int out_fd, const char *spool_dir, struct pf_import_result *out,
	      struct pf_error *err);

#endif
