/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and their judgement; see address.h. */
#include "egress/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

int pf_address_parse(const char *s, size_t n, struct pf_address *out)
{
	struct pf_address a = {0};
	char text[PF_ADDRESS_TEXT];

	if (n == 0 || n >= sizeof(text) || memchr(s, '\0', n))
		return -EINVAL;
	memcpy(text, s, n);
	text[n] = '\0';
	/* inet_pton() takes four decimals alone: no 127.1, no 0x7f000001, no 0177.0.0.1. */
	if (inet_pton(AF_INET, text, a.b) == 1)
		a.family = 4;
	else if (inet_pton(AF_INET6, text, a.b) == 1)
		a.family = 6;
	else
		return -EINVAL;
	pf_address_unmap(&a);
	*out = a;
	return 0;
}

void pf_address_print(const struct pf_address *a, char out[PF_ADDRESS_TEXT])
{
	if (a->family == 0 || !inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->b, out, PF_ADDRESS_TEXT))
		out[0] = '\0';
}

void pf_address_unmap(struct pf_address *a)
{
	struct pf_address v4 = {.family = 4};

	if (a->family != 6 || memcmp(a->b, mapped, sizeof(mapped)) != 0)
		return;
	memcpy(v4.b, a->b + 12, 4);
	*a = v4;
}

bool pf_address_equal(const struct pf_address *a, const struct pf_address *b)
{
	return a->family == b->family && memcmp(a->b, b->b, a->family == 4 ? 4 : 16) == 0;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

bool pf_address_within(const struct pf_address *a, const struct pf_address *net, unsigned bits)
{
	return a->family == net->family && bits <= (a->family == 4 ? 32u : 128u) &&
	       same_bits(a->b, net->b, bits);
}

struct block {
	uint8_t b[16];
	uint8_t bits, kind;
	const char *what;
};

#define NEVER	PF_ADDRESS_NEVER
#define SPECIAL PF_ADDRESS_SPECIAL
#define PUBLIC	PF_ADDRESS_PUBLIC

/* The first that fits decides. */
static const struct block blocks4[] = {
	/* Linux takes 0.0.0.0 for the host itself, so it would be a loopback address by another name. */
	{{0}, 8, NEVER, "no destination (RFC 1122, this network)"},
	{{10}, 8, SPECIAL, "a private address (RFC 1918)"},
	{{100, 100, 100, 200}, 32, NEVER, "a metadata service (Alibaba Cloud)"},
	{{100, 64}, 10, SPECIAL, "a carrier's shared address (RFC 6598)"},
	{{127}, 8, SPECIAL, "a loopback address of the host"},
	{{168, 63, 129, 16}, 32, NEVER, "a metadata service (Azure)"},
	{{169, 254}, 16, NEVER, "a link-local address, where clouds have their metadata services"},
	{{172, 16}, 12, SPECIAL, "a private address (RFC 1918)"},
	{{192, 0, 0, 192}, 32, NEVER, "a metadata service (Oracle Cloud)"},
	{{192, 0, 0}, 24, SPECIAL, "a reserved address (RFC 6890)"},
	{{192, 0, 2}, 24, SPECIAL, "an address for documentation (RFC 5737)"},
	{{192, 88, 99}, 24, SPECIAL, "a 6to4 relay (RFC 7526)"},
	{{192, 168}, 16, SPECIAL, "a private address (RFC 1918)"},
	{{198, 18}, 15, SPECIAL, "an address for benchmarks (RFC 2544)"},
	{{198, 51, 100}, 24, SPECIAL, "an address for documentation (RFC 5737)"},
	{{203, 0, 113}, 24, SPECIAL, "an address for documentation (RFC 5737)"},
	{{224}, 4, NEVER, "a multicast address"},
	{{255, 255, 255, 255}, 32, NEVER, "the broadcast address"},
	{{240}, 4, SPECIAL, "a reserved address (RFC 1112)"},
};

static const struct block blocks6[] = {
	{{0}, 128, NEVER, "no destination (the unspecified address)"},
	{{[15] = 1}, 128, SPECIAL, "a loopback address of the host"},
	{{0xfe, 0x80}, 10, NEVER, "a link-local address, where clouds have their metadata services"},
	{{0xff}, 8, NEVER, "a multicast address"},
	{{0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54}, 128, NEVER, "a metadata service (AWS)"},
	{{0xfd, 0x20, 0x00, 0xce, [14] = 0x02, 0x54}, 128, NEVER, "a metadata service (Google Cloud)"},
	{{0xfd, 0x00, 0x00, 0xc1, [12] = 0xa9, 0xfe, 0xa9, 0xfe},
	 128,
	 NEVER,
	 "a metadata service (Oracle Cloud)"},
	{{0xfd, 0x00, 0x00, 0x42, [15] = 0x42}, 128, NEVER, "a metadata service (Scaleway)"},
	{{0xfc}, 7, SPECIAL, "a private address (RFC 4193)"},
	{{0xfe, 0xc0}, 10, SPECIAL, "a site-local address (RFC 3879)"},
	/* NAT64 is how a network without IPv4 reaches it: as good as what it carries. */
	{{0x00, 0x64, 0xff, 0x9b}, 96, PUBLIC, "a public address"},
	{{0x20, 0x01, 0x0d, 0xb8}, 32, SPECIAL, "an address for documentation (RFC 3849)"},
	{{0x20, 0x01, 0x00, 0x00}, 32, SPECIAL, "a Teredo address (RFC 4380)"},
	{{0x20, 0x01, 0x00, 0x02}, 48, SPECIAL, "an address for benchmarks (RFC 5180)"},
	/* 2001:1::1 to 3, 2001:3::/32, 2001:4:112::/48: anycast services of the whole Internet */
	{{0x20, 0x01, 0x00, 0x01}, 126, PUBLIC, "a public address"},
	{{0x20, 0x01, 0x00, 0x03}, 32, PUBLIC, "a public address"},
	{{0x20, 0x01, 0x00, 0x04, 0x01, 0x12}, 48, PUBLIC, "a public address"},
	{{0x20, 0x01}, 23, SPECIAL, "a reserved address (RFC 2928)"},
	{{0x20, 0x02}, 16, SPECIAL, "a 6to4 address (RFC 3056)"},
	{{0x3f, 0xff}, 20, SPECIAL, "an address for documentation (RFC 9637)"},
	{{0x20}, 3, PUBLIC, "a public address"},
	/* Nothing else is handed out (RFC 4291, IANA): also ::/96, ::ffff:0:0:0/96, 64:ff9b:1::/48, 100::/64.
	 */
	{{0}, 0, SPECIAL, "a reserved address (RFC 4291)"},
};

static const struct block *find(const struct pf_address *a)
{
	const struct block *blocks = a->family == 4 ? blocks4 : blocks6;
	size_t count = a->family == 4 ? PF_ARRAY_SIZE(blocks4) : PF_ARRAY_SIZE(blocks6);

	for (size_t i = 0; i < count; i++)
		if (same_bits(a->b, blocks[i].b, blocks[i].bits))
			return &blocks[i];
	return NULL;
}

/* Where an IPv6 address of this block carries an IPv4 address, and whether its bits are turned over. */
static const struct {
	uint8_t b[16];
	uint8_t bits, at;
	bool inverted;
} carriers[] = {
	{{0}, 96, 12, false},				       /* IPv4-compatible (RFC 4291) */
	{{[8] = 0xff, 0xff}, 96, 12, false},		       /* IPv4-translated (RFC 2765) */
	{{0x00, 0x64, 0xff, 0x9b}, 96, 12, false},	       /* NAT64 (RFC 6052) */
	{{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, 12, false}, /* NAT64 of a site (RFC 8215), as a /96 */
	{{0x20, 0x02}, 16, 2, false},			       /* 6to4 */
	{{0x20, 0x01, 0x00, 0x00}, 32, 4, false},	       /* Teredo: the server */
	{{0x20, 0x01, 0x00, 0x00}, 32, 12, true},	       /* Teredo: the client */
};

/* The interface identifier of ISATAP (RFC 5214), in any prefix. */
static bool isatap(const uint8_t b[16])
{
	return (b[8] & 0xfd) == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe;
}

static enum pf_address_kind judge_carried(const uint8_t *b, bool inverted, const char **what)
{
	struct pf_address v4 = {.family = 4};
	const struct block *block;

	for (int i = 0; i < 4; i++)
		v4.b[i] = inverted ? (uint8_t)~b[i] : b[i];
	block = find(&v4);
	if (!block)
		return PUBLIC;
	*what = block->what;
	return (enum pf_address_kind)block->kind;
}

/* The worse of both: an address that carries another leads wherever either does. */
static void worsen(enum pf_address_kind *kind, const char **what, const uint8_t *v4, bool inverted)
{
	const char *of_inner = NULL;
	enum pf_address_kind inner = judge_carried(v4, inverted, &of_inner);

	if (inner > *kind) {
		*kind = inner;
		*what = of_inner;
	}
}

enum pf_address_kind pf_address_judge(const struct pf_address *of, const char **what)
{
	struct pf_address a = *of;
	const struct block *block;
	enum pf_address_kind kind;

	pf_address_unmap(&a);
	block = find(&a);
	kind = block ? (enum pf_address_kind)block->kind : PUBLIC;
	*what = block ? block->what : "a public address";
	/* ::1 is loopback and carries nothing, although it lies in ::/96. */
	if (a.family != 6 || kind == NEVER || block->bits == 128)
		return kind;
	for (size_t i = 0; i < PF_ARRAY_SIZE(carriers); i++)
		if (same_bits(a.b, carriers[i].b, carriers[i].bits))
			worsen(&kind, what, a.b + carriers[i].at, carriers[i].inverted);
	if (isatap(a.b))
		worsen(&kind, what, a.b + 12, false);
	return kind;
}
