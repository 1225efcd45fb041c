/* SPDX-License-Identifier: Apache-2.0 */
/* Little-endian integers in byte arrays of any alignment, on hosts of any byte order. */
#ifndef PF_PROTO_LE_H
#define PF_PROTO_LE_H

#include <stdint.h>

static inline void pf__le_put(uint8_t *p, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static inline uint64_t pf__le_get(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

#endif
