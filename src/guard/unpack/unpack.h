/* SPDX-License-Identifier: Apache-2.0 */
/* What a redactor and its helper pinfold-unpack say to each other: one request, one answer, in turn. */
#ifndef PF_GUARD_UNPACK_UNPACK_H
#define PF_GUARD_UNPACK_UNPACK_H

#include <stdint.h>

#define PF__UNPACK_IN  1048576u
#define PF__UNPACK_OUT 1048576u

enum pf__unpack_kind { PF__UNPACK_ZLIB = 1, PF__UNPACK_BZIP2, PF__UNPACK_XZ };

struct pf__unpack_ask { /* and so many bytes behind it */
	uint32_t kind, bytes;
	uint32_t most; /* bytes of the answer */
};
struct pf__unpack_told { /* and so many bytes behind it */
	uint32_t ended;	 /* 1: the archive is whole */
	uint32_t broken; /* 1: it is none, or not from there on */
	uint32_t used;	 /* of what was sent */
	uint32_t bytes;
};

#endif
