/* SPDX-License-Identifier: Apache-2.0 */
/* Run libexec's pinfold-image, which makes and unpacks images: it links libraries that this program does not.
 */
#ifndef PF_IMAGE_PROGRAM_H
#define PF_IMAGE_PROGRAM_H

#include <stdbool.h>

#include "base/dirs.h"
#include "base/error.h"

/* `pinfold-image VERB WORD` over the state directory of dirs, waited for. progress: it may speak on our
 * standard error; else what it said last is the message of a failure. */
int pf_image_program(const struct pf_dirs *dirs, const char *verb, const char *word, bool progress,
		     struct pf_error *err);

#endif
