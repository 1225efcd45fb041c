/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Write a tree as an uncompressed EROFS image (Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h of
 * Linux). The tree alone decides the bytes: order of the archive, time and machine do not matter, so that the
 * digest of the file is an address. Blocks of 4 KiB; identity and build time are fixed.
 */
#ifndef PF_EROFS_WRITE_H
#define PF_EROFS_WRITE_H

#include <stdint.h>

#include "base/error.h"
#include "erofs/tree.h"

/* out_fd: an empty regular file, written by offset; spool_fd: where the extents lie. The tree was sorted.
 * Returns 0 and the size in bytes (a multiple of 4096). A full disk is -ENOSPC. */
int pf_erofs_write(struct pf_tree *t, int spool_fd, int out_fd, uint64_t *size, struct pf_error *err);

#endif
