/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the image store: its directory, its lock, its files and its names. */
#ifndef PF_IMAGE_STORE_INTERNAL_H
#define PF_IMAGE_STORE_INTERNAL_H

#include <dirent.h>
#include <sys/types.h>

#include "image/store.h"

#define PF__STORE_DOC_MAX (4u << 20) /* bytes of manifest.json, info.json and root.json */
#define PF__STORE_DIR_MAX 80	     /* "sha256-HEX" with its NUL */

/* STATE/images without making it. Descriptor; -ENOENT, with nothing in err, if nobody ever made one. */
int pf__store_open(const char *state, struct pf_error *err);
/* The store's own lock, waited for: whoever holds it is done in a moment. Descriptor or -errno. */
int pf__store_lock(int images, struct pf_error *err);
/* Do both lead to the same file? Whoever waited for a lock asks, since it may be that of a removed image. */
bool pf__store_same(int fd, int dir, const char *name);

/* "sha256:HEX" to "sha256-HEX" and back; false for other directories. */
void pf__store_dir_name(const char *digest, char out[PF__STORE_DIR_MAX]);
bool pf__store_dir_digest(const char *name, char digest[PF_DIGEST_MAX]);
bool pf__store_hex(const char *s, size_t n); /* lower case */
bool pf__store_digest(const char *s);	     /* "sha256:" and 64 digits, no more */
/* A directory of its own position in the list. NULL with errno. */
DIR *pf__store_dir(int fd);
/* Read a regular file, never through a link. 0 or -errno. */
int pf__store_read(int dir, const char *name, struct pf_buf *out);

/* Read the image of that digest. -ENOENT if its directory is gone, -EBADMSG if it is damaged. */
int pf__store_load(int images, const char *state, const char *digest, struct pf_image *out,
		   struct pf_error *err);

/* The documents, strictly (store_read.c), and info.json and root.json printed (store_print.c). */
int pf__manifest_parse(const struct pf_buf *text, char erofs_digest[PF_DIGEST_MAX], struct pf_image_config *c,
		       struct pf_error *err);
int pf__info_parse(const struct pf_buf *text, struct pf_image *out, struct pf_error *err);
int pf__root_parse(const struct pf_buf *text, struct pf_image *out, struct pf_error *err);

/* STATE/images/names (names.c). Writers hold the store's lock. */
int pf__name_get(int images, const char *name, char digest[PF_DIGEST_MAX], struct pf_error *err);
int pf__name_set(int images, const char *name, const char *digest, struct pf_error *err);
int pf__name_remove(int images, const char *name, struct pf_error *err); /* 0 also if it is not there */
/* A name that cannot be read is passed with digest NULL. A non-zero return of each ends it. */
int pf__name_each(int images, int (*each)(void *user, const char *name, const char *digest), void *user,
		  struct pf_error *err);
void pf__names_sweep(int images); /* what a writer left that was killed */
void pf__names_sort(struct pf_list *names);
/* Does it read as a digest, or as a beginning of one? Then the digits begin at *hex. */
bool pf__name_reads_as_digest(const char *name, const char **hex);

#endif
