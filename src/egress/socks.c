/* SPDX-License-Identifier: Apache-2.0 */
/* SOCKS5; see socks.h. */
#include "egress/socks.h"

#include <errno.h>
#include <string.h>

#define VERSION	 5
#define NO_AUTH	 0
#define CONNECT	 1
#define ATYP_V4	 1
#define ATYP_DNS 3
#define ATYP_V6	 4

ssize_t pf_socks_greeting(const uint8_t *p, size_t n)
{
	size_t size;

	if (n && p[0] != VERSION)
		return -EPROTO;
	if (n < 2)
		return 0;
	size = 2 + (size_t)p[1];
	if (n < size)
		return 0;
	return memchr(p + 2, NO_AUTH, p[1]) ? (ssize_t)size : -EACCES;
}

static ssize_t no(enum pf_socks_reply *reply, enum pf_socks_reply code, const char **why, const char *text)
{
	*reply = code;
	*why = text;
	return -EPROTO;
}

/* The length of the address by its type; 0 for one that there is none of. */
static size_t address_size(const uint8_t *p)
{
	switch (p[3]) {
	case ATYP_V4:
		return 4;
	case ATYP_V6:
		return 16;
	case ATYP_DNS:
		return 1 + (size_t)p[4];
	}
	return 0;
}

ssize_t pf_socks_request(const uint8_t *p, size_t n, struct pf_host *host, uint16_t *port,
			 enum pf_socks_reply *reply, const char **why)
{
	struct pf_host h = {0};
	const char *bad;
	size_t size;

	if (n && p[0] != VERSION)
		return no(reply, PF_SOCKS_FAILED, why, "it is no SOCKS5 request");
	if (n < 5)
		return 0;
	if (p[1] != CONNECT)
		return no(reply, PF_SOCKS_NO_COMMAND, why, "only CONNECT is done here: no BIND and no UDP");
	size = address_size(p);
	if (size == 0 || p[2] != 0)
		return no(reply, PF_SOCKS_NO_ADDRESS_TYPE, why, "its address is of no known type");
	if (n < 4 + size + 2)
		return 0;
	if (p[3] == ATYP_DNS) {
		/* Some clients send an address as a name, without brackets. */
		if (pf_address_parse((const char *)p + 5, p[4], &h.address) < 0 &&
		    pf_name_parse((const char *)p + 5, p[4], h.name, &bad) < 0)
			return no(reply, PF_SOCKS_FAILED, why, "its host is neither a name nor an address");
	} else {
		h.address.family = p[3] == ATYP_V4 ? 4 : 6;
		memcpy(h.address.b, p + 4, size);
		pf_address_unmap(&h.address);
	}
	*port = (uint16_t)(p[4 + size] << 8 | p[4 + size + 1]);
	if (*port == 0)
		return no(reply, PF_SOCKS_FAILED, why, "there is no port 0");
	*host = h;
	return (ssize_t)(4 + size + 2);
}

void pf_socks_reply(enum pf_socks_reply reply, uint8_t out[PF_SOCKS_REPLY_SIZE])
{
	memset(out, 0, PF_SOCKS_REPLY_SIZE);
	out[0] = VERSION;
	out[1] = (uint8_t)reply;
	out[3] = ATYP_V4;
}
