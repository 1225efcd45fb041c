/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the redactor: archives, unpacked by a confined helper. */
#ifndef PF_GUARD_REDACT_BLOB_H
#define PF_GUARD_REDACT_BLOB_H

#include "guard/redact_internal.h"
#include "guard/unpack/unpack.h"

struct pf__unpacker; /* the helper, started at the first need and kept (redact_unpacker.c) */
int pf__unpacker_start(const char *path, struct pf__unpacker **out);
/* One archive, or the beginning of one. out: room for ask->most. Negative: the helper is of no use any more.
 */
int pf__unpacker_ask(struct pf__unpacker *u, const struct pf__unpack_ask *ask, const uint8_t *in,
		     uint8_t *out, struct pf__unpack_told *told);
void pf__unpacker_free(struct pf__unpacker *u); /* NULL is fine */

#endif
