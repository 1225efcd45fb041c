/* SPDX-License-Identifier: Apache-2.0 */
/* Where pinfold keeps things: absolute paths, decided once (sandbox/places.h). */
#ifndef PF_BASE_DIRS_H
#define PF_BASE_DIRS_H

#include <sys/types.h>

#include "base/error.h"

struct pf_dirs {
	char state[512];   /* kept change sets and caches */
	char runtime[512]; /* live sandboxes */
	char libexec[512]; /* pinfold-init */
};

/* Open a directory, made (0700) if need be, that must be the caller's own: no symbolic link, and none of the
 * bits of `forbidden` in its mode. Descriptor or -errno. */
int pf_dir_own(const char *path, mode_t forbidden, struct pf_error *err);

#endif
