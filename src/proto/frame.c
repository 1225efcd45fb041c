/* SPDX-License-Identifier: Apache-2.0 */
/* The header of a frame, to and from bytes. What its fields may be is conn_in.c's to check. */
#include "proto/frame.h"

#include "proto/le.h"

void pf_frame_put(const struct pf_frame *f, uint8_t out[PF_FRAME_HEADER])
{
	pf__le_put(out, f->length, 4);
	pf__le_put(out + 4, f->type, 2);
	pf__le_put(out + 6, f->flags, 2);
	pf__le_put(out + 8, f->stream, 4);
}

void pf_frame_get(const uint8_t in[PF_FRAME_HEADER], struct pf_frame *f)
{
	f->length = (uint32_t)pf__le_get(in, 4);
	f->type = (uint16_t)pf__le_get(in + 4, 2);
	f->flags = (uint16_t)pf__le_get(in + 6, 2);
	f->stream = (uint32_t)pf__le_get(in + 8, 4);
}
