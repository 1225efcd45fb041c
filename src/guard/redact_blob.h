/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the redactor: archives, unpacked by a confined helper (redact_blob.c). */
#ifndef PF_GUARD_REDACT_BLOB_H
#define PF_GUARD_REDACT_BLOB_H

#include "guard/redact_internal.h"

struct pf__unpacker; /* the helper, started at the first need and kept */
void pf__unpacker_free(struct pf__unpacker *u);

#endif
