/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading D-Bus messages and bus addresses. All bytes come from another process: every
 * length is checked against what is there before it is used, padding must be zero, strings
 * must end where they say, and nothing here allocates.
 */
#include "linux/dbus_scope.h"

#include <errno.h>
#include <string.h>

#define FIXED_HEADER 16 /* 12 bytes and the length of the field array */

struct reader {
	const uint8_t *p;
	size_t at, end;
	bool big, bad;
};

static uint32_t u32_at(const uint8_t *p, bool big)
{
	if (big)
		return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static bool have(struct reader *r, size_t n)
{
	if (!r->bad && r->end - r->at >= n)
		return true;
	r->bad = true;
	return false;
}

/* Alignment counts from the message's first byte; the specification wants zeros. */
static void align(struct reader *r, size_t to)
{
	while (!r->bad && r->at % to) {
		if (!have(r, 1) || r->p[r->at] != 0)
			r->bad = true;
		else
			r->at++;
	}
}

static uint8_t get_byte(struct reader *r)
{
	return have(r, 1) ? r->p[r->at++] : 0;
}

static uint32_t get_u32(struct reader *r)
{
	align(r, 4);
	if (!have(r, 4))
		return 0;
	r->at += 4;
	return u32_at(r->p + r->at - 4, r->big);
}

/* n bytes, then a NUL, and no NUL before it. */
static const char *get_text(struct reader *r, size_t n)
{
	const char *s = (const char *)r->p + r->at;

	if (!have(r, n) || !have(r, n + 1) || s[n] != '\0' || memchr(s, '\0', n)) {
		r->bad = true;
		return "";
	}
	r->at += n + 1;
	return s;
}

static const char *get_string(struct reader *r)
{
	uint32_t n = get_u32(r);

	return get_text(r, n);
}

static const char *get_signature(struct reader *r)
{
	uint8_t n = get_byte(r);

	return get_text(r, n);
}

/* The value of a field that we do not know. Header fields are basic types; others are refused. */
static void skip_basic(struct reader *r, char type)
{
	size_t size = 0;

	switch (type) {
	case 'y':
		size = 1;
		break;
	case 'n':
	case 'q':
		size = 2;
		break;
	case 'b':
	case 'i':
	case 'u':
	case 'h':
		size = 4;
		break;
	case 'x':
	case 't':
	case 'd':
		size = 8;
		break;
	case 's':
	case 'o':
		get_string(r);
		return;
	case 'g':
		get_signature(r);
		return;
	default:
		r->bad = true;
		return;
	}
	align(r, size);
	if (have(r, size))
		r->at += size;
}

/* One (code, variant). Known ones must have the type that the specification gives them. */
static void get_field(struct reader *r, struct pf__dbus_msg *m)
{
	uint8_t code;
	const char *type;

	align(r, 8);
	code = get_byte(r);
	type = get_signature(r);
	if (r->bad || code == 0 || strlen(type) != 1) {
		r->bad = true;
		return;
	}
	if (code == 4 && *type == 's')
		m->error = get_string(r);
	else if (code == 5 && *type == 'u')
		m->reply_serial = get_u32(r);
	else if (code == 8 && *type == 'g')
		m->signature = get_signature(r);
	else if (code == 4 || code == 5 || code == 8)
		r->bad = true;
	else
		skip_basic(r, *type);
}

ssize_t pf__dbus_length(const uint8_t *p, size_t n)
{
	uint64_t fields, body, total;
	bool big;

	if (n < FIXED_HEADER)
		return 0;
	big = p[0] == 'B';
	if ((!big && p[0] != 'l') || p[3] != 1)
		return -EPROTO;
	body = u32_at(p + 4, big);
	fields = u32_at(p + 12, big);
	total = FIXED_HEADER + ((fields + 7) & ~UINT64_C(7)) + body;
	return total > PF__DBUS_MESSAGE_MAX ? -EPROTO : (ssize_t)total;
}

int pf__dbus_parse(const uint8_t *p, size_t n, struct pf__dbus_msg *out)
{
	struct pf__dbus_msg m = {.error = "", .signature = "", .text = ""};
	struct reader r = {.p = p};
	uint32_t fields;

	if (n < FIXED_HEADER || pf__dbus_length(p, n) != (ssize_t)n)
		return -EPROTO;
	r.big = p[0] == 'B';
	m.type = p[1];
	m.serial = u32_at(p + 8, r.big);
	fields = u32_at(p + 12, r.big);
	r.at = FIXED_HEADER;
	r.end = FIXED_HEADER + fields;
	while (!r.bad && r.at < r.end)
		get_field(&r, &m);
	r.end = n;
	align(&r, 8);
	if (m.signature[0] == 's' && !r.bad)
		m.text = get_string(&r);
	/* A type of 0 is invalid, unknown ones are to be ignored; answers name what they answer. */
	if (r.bad || m.type == 0 || m.serial == 0)
		return -EPROTO;
	if ((m.type == PF__DBUS_RETURN || m.type == PF__DBUS_ERROR) && m.reply_serial == 0)
		return -EPROTO;
	if (m.type == PF__DBUS_ERROR && m.error[0] == '\0')
		return -EPROTO;
	*out = m;
	return 0;
}

/* --- addresses --- */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* s[0..n) with %XX taken back. Length or -EINVAL. */
static int unescape(const char *s, size_t n, char *out, size_t cap)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		char c = s[i];

		if (c == '%') {
			if (n - i < 3 || hex(s[i + 1]) < 0 || hex(s[i + 2]) < 0)
				return -EINVAL;
			c = (char)(hex(s[i + 1]) << 4 | hex(s[i + 2]));
			i += 2;
		}
		if (c == '\0' || len + 1 >= cap)
			return -EINVAL;
		out[len++] = c;
	}
	out[len] = '\0';
	return (int)len;
}

/* The "key=value" pairs of one entry, behind its "unix:". */
static int entry(const char *s, size_t n, char *out, size_t cap)
{
	while (n) {
		const char *comma = memchr(s, ',', n);
		size_t len = comma ? (size_t)(comma - s) : n;
		int r;

		if (len > 5 && memcmp(s, "path=", 5) == 0)
			return unescape(s + 5, len - 5, out, cap);
		if (len > 9 && memcmp(s, "abstract=", 9) == 0) {
			out[0] = '\0';
			r = unescape(s + 9, len - 9, out + 1, cap - 1);
			return r < 0 ? r : r + 1;
		}
		n -= comma ? len + 1 : len;
		s += comma ? len + 1 : len;
	}
	return -EINVAL;
}

int pf__dbus_address(const char *address, char *out, size_t cap)
{
	if (cap < 3)
		return -EINVAL;
	while (*address) {
		size_t n = strcspn(address, ";");

		if (n > 5 && memcmp(address, "unix:", 5) == 0) {
			int r = entry(address + 5, n - 5, out, cap);

			if (r > 0)
				return r;
		}
		address += n;
		address += *address == ';';
	}
	return -EINVAL;
}
