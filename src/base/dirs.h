/* SPDX-License-Identifier: Apache-2.0 */
/* Where pinfold keeps things: absolute paths, decided once (sandbox/places.h). */
#ifndef PF_BASE_DIRS_H
#define PF_BASE_DIRS_H

struct pf_dirs {
	char state[512];   /* kept change sets and caches */
	char runtime[512]; /* live sandboxes */
	char libexec[512]; /* pinfold-init */
};

#endif
