/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire (DESIGN section 5): little-endian frames on one stream socket between the host
 * and pinfold-init, at most 64 KiB each with their header of 12 bytes:
 *
 *      u32 length     bytes of payload that follow the header (<= PF_FRAME_PAYLOAD)
 *      u16 type       enum pf_frame_type
 *      u16 flags      PF_FRAME_*
 *      u32 stream     0 is control; else a stream that was opened
 *
 * Both sides treat the other as hostile: whatever is not exactly allowed ends the connection
 * with -EPROTO. Stream 0 waits for no credit and is sent first. Each other stream has its own
 * byte credit, granted by its receiver: at most PF_CREDIT outstanding, PF_DOOR_CREDIT for a connection to the
 * door (msg.h).
 */
#ifndef PF_PROTO_FRAME_H
#define PF_PROTO_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define PF_PROTO_MIN	 1u
#define PF_PROTO_MAX	 1u
#define PF_FRAME_HEADER	 12u
#define PF_FRAME_TOTAL	 65536u
#define PF_FRAME_PAYLOAD (PF_FRAME_TOTAL - PF_FRAME_HEADER)
#define PF_CREDIT	 262144u /* bytes a stream, initial and most */
#define PF_STREAMS_EXECS 256u	 /* open at once for execs, both directions together */
#define PF_DOOR_MAX	 256u	 /* forwarded connections at once; two streams each, beside those */
#define PF_DOOR_CREDIT	 65536u	 /* of each: many of them must not add up to much memory */
#define PF_STREAMS_MAX	 (PF_STREAMS_EXECS + 2 * PF_DOOR_MAX)
#define PF_CONTROL_MAX	 (4u << 20) /* a control message in pieces (argv and environment: ARG_MAX is 2 MiB) */
#define PF_WIRE_PATH_MAX 4096u

enum pf_frame_type {
	PF_FRAME_CONTROL = 1, /* stream 0: u16 message type first in the payload (msg.h), then its body */
	PF_FRAME_DATA = 2,    /* bytes of a stream; consumes credit; never empty */
	PF_FRAME_EOF = 3,     /* no more bytes on this stream; payload empty */
	PF_FRAME_CREDIT = 4,  /* payload u32: the receiver of a stream grants so many bytes more */
	PF_FRAME_STOP = 5,    /* receiver of a stream wants no more (its reader is gone); payload empty */
};

#define PF_FRAME_MORE 0x0001u /* control only: the message goes on in the next control frame */
#define PF_FRAME_MUST 0x8000u /* an unknown type with it closes; without it the frame is skipped */

struct pf_frame {
	uint32_t length;
	uint16_t type, flags;
	uint32_t stream;
};

void pf_frame_put(const struct pf_frame *f, uint8_t out[PF_FRAME_HEADER]);
void pf_frame_get(const uint8_t in[PF_FRAME_HEADER], struct pf_frame *f);

#endif
