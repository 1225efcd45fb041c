/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the reader. */
#ifndef PF_EROFS_READ_INTERNAL_H
#define PF_EROFS_READ_INTERNAL_H

#include "erofs/format.h"
#include "erofs/read.h"

/* "the image is damaged: ..." with the inode. Returns -EUCLEAN. */
int pf__damaged(struct pf_error *err, uint64_t nid, const char *what);

/* n bytes at an offset, or NULL where they are not all in the image. */
static inline const uint8_t *pf__bytes(const struct pf_erofs *fs, uint64_t at, uint64_t n)
{
	return at <= fs->size && n <= fs->size - at ? fs->data + at : NULL;
}

/* Does the content of a fresh inode lie in the image? */
int pf__content_check(const struct pf_erofs *fs, const struct pf_erofs_inode *i, struct pf_error *err);

#endif
