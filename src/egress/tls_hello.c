/* SPDX-License-Identifier: Apache-2.0 */
/* ClientHello; see tls_hello.h. Every length is checked against what encloses it. */
#include "egress/tls_hello.h"

#include <errno.h>
#include <string.h>

#define RECORD_HEADER  5
#define RECORD_MAX     16384 /* of a plain record (RFC 8446, 5.1) */
#define TYPE_HANDSHAKE 22
#define TYPE_DATA      23
#define CLIENT_HELLO   1

#define EXT_SERVER_NAME 0
#define EXT_EARLY_DATA	42
#define EXT_ECH		0xfe0d /* RFC 9849 */
#define EXT_ESNI	0xffce /* its drafts before 2020 */

/* How far a second hello is looked for behind early data: servers accept less (OpenSSL 16 KiB). */
#define WALK_MAX 65536

struct cursor {
	const uint8_t *p, *end;
	bool bad; /* something was longer than what holds it */
};

static size_t left(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

static unsigned number(struct cursor *c, unsigned bytes)
{
	unsigned v = 0;

	if (left(c) < bytes) {
		c->bad = true;
		c->p = c->end;
		return 0;
	}
	while (bytes--)
		v = v << 8 | *c->p++;
	return v;
}

/* A vector: its length in so many bytes, then itself. */
static struct cursor vector(struct cursor *c, unsigned bytes)
{
	size_t n = number(c, bytes);
	struct cursor inner;

	if (n > left(c)) {
		c->bad = true;
		n = 0;
	}
	inner = (struct cursor){c->p, c->p + n, false};
	c->p += n;
	return inner;
}

static ssize_t no(const char **why, const char *text)
{
	*why = text;
	return -EPROTO;
}

/* ServerNameList: one host_name. With more, front and back could take different ones. */
static int server_name(struct cursor ext, struct pf_tls_hello *out, const char **why)
{
	struct cursor list = vector(&ext, 2), name;
	unsigned type = number(&list, 1);

	name = vector(&list, 2);
	if (ext.bad || list.bad || left(&ext) || left(&list) || type != 0)
		return (int)no(why, "its server_name is no single host name");
	/* RFC 6066: without the dot at the end. With it, two spellings of one name would pass. */
	if (left(&name) && name.end[-1] == '.')
		return (int)no(why, "its server_name ends in a dot");
	if (pf_name_parse((const char *)name.p, left(&name), out->name, why) < 0)
		return (int)no(why, "its server_name is no host name");
	out->has_name = true;
	return 0;
}

static int extensions(struct cursor all, struct pf_tls_hello *out, const char **why)
{
	while (left(&all)) {
		unsigned type = number(&all, 2);
		struct cursor ext = vector(&all, 2);

		if (all.bad)
			return (int)no(why, "its extensions are cut");
		if (type == EXT_ECH || type == EXT_ESNI)
			out->encrypted = true;
		else if (type == EXT_EARLY_DATA)
			out->early_data = true;
		else if (type == EXT_SERVER_NAME && out->has_name)
			return (int)no(why, "it has two server_name extensions");
		else if (type == EXT_SERVER_NAME && server_name(ext, out, why) < 0)
			return -EPROTO;
	}
	return 0;
}

/* The message without its header. */
static int hello(struct cursor c, struct pf_tls_hello *out, const char **why)
{
	struct cursor session, suites, methods, exts;

	number(&c, 2); /* legacy_version */
	for (int i = 0; i < 8; i++)
		number(&c, 4); /* random */
	session = vector(&c, 1);
	suites = vector(&c, 2);
	methods = vector(&c, 1);
	if (c.bad || left(&session) > 32 || left(&suites) < 2 || left(&suites) % 2 || left(&methods) < 1)
		return (int)no(why, "it is cut or malformed");
	if (!left(&c))
		return 0; /* TLS 1.2 and older may have no extensions at all */
	exts = vector(&c, 2);
	if (c.bad || left(&c))
		return (int)no(why, "its extensions are cut or something follows them");
	return extensions(exts, out, why);
}

/*
 * One record's header at c: the length of its payload. 0: incomplete. Records of a hello may be small (some
 * clients split them on purpose) but not empty.
 */
static ssize_t record(const struct cursor *c, const char **why)
{
	size_t n;

	if (left(c) < RECORD_HEADER)
		return 0;
	n = (size_t)c->p[3] << 8 | c->p[4];
	if (c->p[0] != TYPE_HANDSHAKE || c->p[1] != 3)
		return no(why, "another record comes before it is whole");
	if (n == 0 || n > RECORD_MAX)
		return no(why, "it has an empty record or too large a one");
	return (ssize_t)n;
}

ssize_t pf_tls_hello_parse(const uint8_t *p, size_t n, struct pf_tls_hello *out, const char **why)
{
	struct pf_tls_hello found = {0};
	struct cursor c = {p, p + n, false};
	uint8_t message[PF_TLS_HELLO_MAX];
	size_t have = 0, need = 4;

	while (have < need) {
		ssize_t size = record(&c, why);
		size_t part;

		if (size <= 0)
			return size;
		if (have + (size_t)size > sizeof(message) ||
		    (size_t)(c.p - p) + RECORD_HEADER + (size_t)size > PF_TLS_HELLO_MAX)
			return no(why, "it has more than 16 KiB");
		part = left(&c) - RECORD_HEADER;
		if (part < (size_t)size)
			return 0;
		memcpy(message + have, c.p + RECORD_HEADER, (size_t)size);
		have += (size_t)size;
		c.p += RECORD_HEADER + (size_t)size;
		if (message[0] != CLIENT_HELLO)
			return no(why, "the first message is no ClientHello");
		if (have >= 4)
			need = 4 + ((size_t)message[1] << 16 | (size_t)message[2] << 8 | message[3]);
		if (need > sizeof(message))
			return no(why, "it has more than 16 KiB");
	}
	/* Nothing may share its last record (RFC 8446, 5.1: no message before the key changes, and none
	 * here). */
	if (have > need)
		return no(why, "another message follows in the same record");
	if (hello((struct cursor){message + 4, message + need, false}, &found, why) < 0)
		return -EPROTO;
	*out = found;
	return c.p - p;
}

/* --- a tunnel ------------------------------------------------------------------------- */

static enum pf_tls_verdict judge(struct pf_tls_watch *w)
{
	if (w->hello.encrypted)
		return PF_TLS_ENCRYPTED;
	if (w->name) {
		if (!w->hello.has_name)
			return PF_TLS_NO_NAME;
		return strcmp(w->hello.name, w->name) == 0 ? PF_TLS_FINE : PF_TLS_OTHER_NAME;
	}
	/* To an address: no name, or one that has a rule of its own. */
	if (!w->hello.has_name || (w->also && w->also(w->ctx, w->hello.name)))
		return PF_TLS_FINE;
	return PF_TLS_OTHER_NAME;
}

static enum pf_tls_verdict take_hello(struct pf_tls_watch *w, const uint8_t *p, size_t n, size_t *pass)
{
	struct pf_tls_hello found;
	ssize_t used = pf_tls_hello_parse(p, n, &found, &w->why);
	bool early = w->hello.early_data;
	enum pf_tls_verdict v;

	if (used < 0)
		return PF_TLS_MALFORMED;
	if (used == 0)
		return PF_TLS_FINE;
	w->hello = found;
	v = judge(w);
	if (v != PF_TLS_FINE)
		return v;
	*pass = (size_t)used;
	w->done = w->seen; /* there is no third hello */
	w->seen = true;
	w->hello.early_data |= early;
	return PF_TLS_FINE;
}

enum next { MORE, PASSES, HELLO, BAD };

/*
 * What is the record at p, behind a hello? Records of other types may stand before a second hello and be
 * ignored by the server (change_cipher_spec, an alert, early data), so the walk goes over them.
 */
static enum next next_record(struct pf_tls_watch *w, const uint8_t *p, size_t n)
{
	size_t size;

	if (p[0] == TYPE_DATA && !w->hello.early_data) {
		w->done = true; /* the handshake is over */
		return PASSES;
	}
	if (n < RECORD_HEADER + 1)
		return MORE;
	size = (size_t)p[3] << 8 | p[4];
	if (p[1] != 3 || size == 0)
		return BAD;
	if (p[0] == TYPE_HANDSHAKE) {
		/* In TLS 1.2 the next message is ClientKeyExchange or Certificate: the walk ends there. */
		w->done = p[RECORD_HEADER] != CLIENT_HELLO;
		return w->done ? PASSES : HELLO;
	}
	w->left = RECORD_HEADER + size;
	w->walked += w->left;
	if (w->walked <= WALK_MAX)
		return PASSES;
	w->done = p[0] == TYPE_DATA; /* more early data than a server takes */
	return w->done ? PASSES : BAD;
}

/* Behind the first hello: pass what is known, up to a second one. */
static enum pf_tls_verdict walk(struct pf_tls_watch *w, const uint8_t *p, size_t n, size_t *pass)
{
	while (!w->done && *pass < n) {
		size_t part = w->left < n - *pass ? w->left : n - *pass;

		if (part) {
			w->left -= part;
			*pass += part;
			continue;
		}
		switch (next_record(w, p + *pass, n - *pass)) {
		case PASSES:
			break;
		case MORE:
			return PF_TLS_FINE;
		case HELLO:
			/* What comes before it goes on first. */
			return *pass ? PF_TLS_FINE : take_hello(w, p, n, pass);
		case BAD:
			w->why = "a record behind its hello is malformed";
			*pass = 0;
			return PF_TLS_MALFORMED;
		}
	}
	if (w->done)
		*pass = n;
	return PF_TLS_FINE;
}

enum pf_tls_verdict pf_tls_watch(struct pf_tls_watch *w, const uint8_t *p, size_t n, size_t *pass)
{
	*pass = 0;
	if (w->seen || w->done)
		return walk(w, p, n, pass);
	if (p[0] == TYPE_HANDSHAKE && (n == 1 || p[1] == 3))
		return n == 1 ? PF_TLS_FINE : take_hello(w, p, n, pass);
	if (w->require)
		return PF_TLS_NOT_TLS;
	w->done = true;
	*pass = n;
	return PF_TLS_FINE;
}
