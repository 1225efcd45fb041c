/* SPDX-License-Identifier: Apache-2.0 */
/* DNS messages; see dns.h. */
#include "egress/dns.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define HEADER	    12
#define CLASS_IN    1
#define CNAME	    5
#define RECORDS_MAX 256 /* that are looked at */
#define ALIASES_MAX 16
#define WIRE_NAME   255

struct message {
	const uint8_t *p;
	size_t n;
};

/* A name as labels with their lengths and the root's 0, lower-case. */
struct wire {
	uint8_t b[WIRE_NAME];
	size_t n;
};

static unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

/* pf_name_parse() bounds a name to 253 characters, which are at most 255 bytes here. */
static size_t encode(const char *name, uint8_t *out)
{
	size_t at = 0;

	while (*name) {
		size_t label = strcspn(name, ".");

		out[at++] = (uint8_t)label;
		memcpy(out + at, name, label);
		at += label;
		name += label + (name[label] == '.');
	}
	out[at++] = 0;
	return at;
}

size_t pf_dns_query(uint16_t id, const char *name, uint16_t type, uint8_t out[PF_DNS_QUERY_MAX])
{
	size_t n = HEADER;

	memset(out, 0, HEADER);
	put16(out, id);
	out[2] = 1; /* recursion desired */
	out[5] = 1; /* one question */
	n += encode(name, out + n);
	put16(out + n, type);
	put16(out + n + 2, CLASS_IN);
	return n + 4;
}

/*
 * The name at *at, which moves behind it. A pointer (RFC 1035, 4.1.4) must lead further back than every one
 * before it, so there is no loop and no quadratic walk. out may be NULL.
 */
static int read_name(const struct message *m, size_t *at, struct wire *out)
{
	size_t pos = *at, lowest = *at, len = 0;
	bool jumped = false;

	for (;;) {
		unsigned size;

		if (pos >= m->n)
			return -EBADMSG;
		size = m->p[pos];
		if ((size & 0xc0) == 0xc0) {
			size_t to;

			if (pos + 1 >= m->n)
				return -EBADMSG;
			to = get16(m->p + pos) & 0x3fff;
			if (!jumped)
				*at = pos + 2;
			if (to >= lowest)
				return -EBADMSG;
			jumped = true;
			lowest = pos = to;
			continue;
		}
		if (size > 63 || len + 1 + size > WIRE_NAME || pos + 1 + size > m->n)
			return -EBADMSG;
		for (size_t i = 0; out && i <= size; i++)
			out->b[len + i] = i ? lower(m->p[pos + i]) : (uint8_t)size;
		len += 1 + size;
		pos += 1 + size;
		if (size == 0)
			break;
	}
	if (!jumped)
		*at = pos;
	if (out)
		out->n = len;
	return 0;
}

static bool same_name(const struct wire *a, const struct wire *b)
{
	return a->n == b->n && memcmp(a->b, b->b, a->n) == 0;
}

struct record {
	struct wire owner;
	unsigned type, class;
	size_t data, size;
};

static int read_record(const struct message *m, size_t *at, struct record *out)
{
	int r = read_name(m, at, &out->owner);

	if (r < 0)
		return r;
	if (m->n - *at < 10)
		return -EBADMSG;
	out->type = get16(m->p + *at);
	out->class = get16(m->p + *at + 2);
	out->size = get16(m->p + *at + 8);
	*at += 10;
	if (m->n - *at < out->size)
		return -EBADMSG;
	out->data = *at;
	*at += out->size;
	return 0;
}

/* Is it the answer to this question, letter for letter? */
static int check_question(const struct message *m, uint16_t id, const struct wire *name, unsigned type,
			  size_t *at)
{
	struct wire asked;

	if (m->n < HEADER || get16(m->p) != id || !(m->p[2] & 0x80) || (m->p[2] & 0x78) ||
	    get16(m->p + 4) != 1)
		return -EBADMSG;
	*at = HEADER;
	if (read_name(m, at, &asked) < 0 || !same_name(&asked, name) || m->n - *at < 4 ||
	    get16(m->p + *at) != type || get16(m->p + *at + 2) != CLASS_IN)
		return -EBADMSG;
	*at += 4;
	return 0;
}

/* The alias of *name among the answers at from: 1 and *name is what it leads to, or 0. */
static int follow(const struct message *m, size_t from, unsigned count, struct wire *name)
{
	struct record rec;

	for (unsigned i = 0; i < count; i++) {
		size_t data;

		if (read_record(m, &from, &rec) < 0)
			return -EBADMSG;
		if (rec.type != CNAME || rec.class != CLASS_IN || !same_name(&rec.owner, name))
			continue;
		data = rec.data;
		if (read_name(m, &data, name) < 0 || data != rec.data + rec.size)
			return -EBADMSG;
		return 1;
	}
	return 0;
}

static int collect(const struct message *m, size_t from, unsigned count, const struct wire *name,
		   unsigned type, struct pf_dns_answer *out)
{
	size_t size = type == PF_DNS_A ? 4 : 16;
	struct record rec;

	for (unsigned i = 0; i < count; i++) {
		struct pf_address a = {.family = type == PF_DNS_A ? 4 : 6};

		if (read_record(m, &from, &rec) < 0)
			return -EBADMSG;
		if (rec.type != type || rec.class != CLASS_IN || !same_name(&rec.owner, name))
			continue;
		if (rec.size != size)
			return -EBADMSG;
		memcpy(a.b, m->p + rec.data, size);
		/* An IPv4 address in IPv6 clothes is judged, and dialled, as what it is. */
		pf_address_unmap(&a);
		if (out->count < PF_DNS_ADDRESSES_MAX)
			out->address[out->count++] = a;
	}
	return 0;
}

int pf_dns_parse(const uint8_t *p, size_t n, uint16_t id, const char *name, uint16_t type,
		 struct pf_dns_answer *out)
{
	struct message m = {p, n};
	struct pf_dns_answer found = {.outcome = PF_DNS_NOTHING};
	struct wire at_name;
	unsigned count, rcode;
	size_t at;
	int r;

	at_name.n = encode(name, at_name.b);
	r = check_question(&m, id, &at_name, type, &at);
	if (r < 0)
		return r;
	rcode = p[3] & 0x0f;
	count = get16(p + 6);
	if (count > RECORDS_MAX)
		count = RECORDS_MAX;
	if (p[2] & 0x02) {
		found.outcome = PF_DNS_TRUNCATED;
	} else if (rcode != 0 && rcode != 3) {
		found.outcome = PF_DNS_REFUSED;
	} else if (rcode == 0) {
		for (int i = 0; i < ALIASES_MAX && (r = follow(&m, at, count, &at_name)) > 0;)
			i++;
		if (r == 0)
			r = collect(&m, at, count, &at_name, type, &found);
		if (r < 0)
			return r;
		if (found.count)
			found.outcome = PF_DNS_FOUND;
	}
	*out = found;
	return 0;
}
