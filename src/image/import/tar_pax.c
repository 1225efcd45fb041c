/* SPDX-License-Identifier: Apache-2.0 */
/* pax headers: records "LENGTH KEY=VALUE\n", of which the value may hold any byte. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/import/tar.h"

#define XATTR "SCHILY.xattr."

struct record {
	struct pf__bytes key, value;
};

bool pf__tar_decimal(const char **p, const char *end, uint64_t *out)
{
	const char *from = *p;
	uint64_t v = 0;

	for (; *p < end && **p >= '0' && **p <= '9'; ++*p)
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(**p - '0'), &v))
			return false;
	*out = v;
	return *p > from;
}

/* Take the first record off text. */
static int next_record(const char **text, const char *end, struct record *out, struct pf_error *err)
{
	const char *p = *text, *key, *equals, *last;
	uint64_t n;

	if (!pf__tar_decimal(&p, end, &n) || p == end || *p != ' ' || n > (uint64_t)(end - *text) ||
	    n < (uint64_t)(p - *text) + 4)
		return pf_fail(err, -EINVAL, "a pax header has a record of a wrong length");
	last = *text + n - 1;
	key = p + 1;
	equals = memchr(key, '=', (size_t)(last - key));
	if (*last != '\n' || !equals || equals == key || memchr(key, '\0', (size_t)(equals - key)))
		return pf_fail(err, -EINVAL, "a pax header has a record without a key or an end");
	out->key = (struct pf__bytes){key, (size_t)(equals - key)};
	out->value = (struct pf__bytes){equals + 1, (size_t)(last - equals - 1)};
	*text = last + 1;
	return 0;
}

static bool is(struct pf__bytes b, const char *s)
{
	return b.n == strlen(s) && memcmp(b.p, s, b.n) == 0;
}

static bool begins(struct pf__bytes b, const char *s)
{
	return b.n >= strlen(s) && memcmp(b.p, s, strlen(s)) == 0;
}

static int bad_value(const struct record *r, struct pf_error *err)
{
	char key[PF__SHOW], value[PF__SHOW];

	return pf_fail(err, -EINVAL, "a pax header has '%s' of '%s'", pf__show(r->key.p, r->key.n, key),
		       pf__show(r->value.p, r->value.n, value));
}

static int whole_number(const struct record *r, uint64_t max, uint64_t *out, struct pf_error *err)
{
	const char *p = r->value.p, *end = p + r->value.n;

	if (!pf__tar_decimal(&p, end, out) || p != end || *out > max)
		return bad_value(r, err);
	return 0;
}

/* "[-]seconds[.fraction]"; a fraction of a negative time goes backwards too. */
static int time_value(struct pf__tar_pax *x, const struct record *r, struct pf_error *err)
{
	const char *p = r->value.p, *end = p + r->value.n;
	bool minus = p < end && *p == '-';
	uint64_t seconds;
	uint32_t ns = 0, unit = 100000000;

	p += minus;
	if (!pf__tar_decimal(&p, end, &seconds) || seconds > INT64_MAX / 2)
		return bad_value(r, err);
	if (p < end && *p == '.')
		for (p++; p < end && *p >= '0' && *p <= '9'; p++, unit /= 10)
			ns += (uint32_t)(*p - '0') * unit;
	if (p != end)
		return bad_value(r, err);
	x->has_mtime = true;
	x->mtime = minus ? -(int64_t)seconds : (int64_t)seconds;
	x->mtime_ns = ns;
	if (minus && ns) {
		x->mtime--;
		x->mtime_ns = 1000000000 - ns;
	}
	return 0;
}

static int xattr(struct pf__tar_pax *x, const struct record *r, struct pf_error *err)
{
	struct pf__bytes name = {r->key.p + strlen(XATTR), r->key.n - strlen(XATTR)};
	char show[PF__SHOW];

	for (size_t i = 0; i < x->xattr_count; i++)
		if (x->xattrs[i].name.n == name.n && memcmp(x->xattrs[i].name.p, name.p, name.n) == 0)
			return pf_fail(err, -EINVAL, "attribute '%s' stands twice in a pax header",
				       pf__show(name.p, name.n, show));
	if (x->xattr_count == PF__XATTRS_MAX)
		return pf_fail(err, -E2BIG, "a file has more than %u extended attributes", PF__XATTRS_MAX);
	if (name.n == 0 || name.n > PF__NAME_MAX || r->value.n > PF__XATTR_MAX)
		return pf_fail(err, -EINVAL, "attribute '%s' has %zu bytes, or no name that can be",
			       pf__show(name.p, name.n, show), r->value.n);
	if (!x->xattrs)
		x->xattrs = calloc(PF__XATTRS_MAX, sizeof(*x->xattrs));
	if (!x->xattrs)
		return pf_fail(err, -ENOMEM, "out of memory");
	x->xattrs[x->xattr_count++] = (struct pf__tar_xattr){name, r->value};
	return 0;
}

/* GNU.sparse.*: versions 0.0 (offset and numbytes by turns), 0.1 (map) and 1.0 (a map before the contents).
 */
static int sparse(struct pf__tar_pax *x, const struct record *r, struct pf_error *err)
{
	struct pf__bytes key = {r->key.p + strlen("GNU.sparse."), r->key.n - strlen("GNU.sparse.")};
	struct pf_extent *last = x->map_count ? &x->map[x->map_count - 1] : NULL;
	uint64_t n;
	int e;

	x->sparse = true;
	if (is(key, "name")) {
		x->sparse_name = r->value;
		return 0;
	}
	if (is(key, "map")) {
		x->sparse_map = r->value;
		return 0;
	}
	e = whole_number(r, INT64_MAX, &n, err);
	if (e)
		return e;
	if (is(key, "major"))
		x->sparse_major = n;
	else if (is(key, "minor"))
		x->sparse_minor = n;
	else if (is(key, "size") || is(key, "realsize")) {
		x->has_sparse_size = true;
		x->sparse_size = n;
	} else if (is(key, "offset") && (!last || last->length != UINT64_MAX))
		return pf__tar_map_add(&x->map, &x->map_count, &x->map_cap, n, UINT64_MAX, err);
	else if (is(key, "numbytes") && last && last->length == UINT64_MAX)
		last->length = n;
	else if (!is(key, "numblocks"))
		return bad_value(r, err);
	return 0;
}

static int take(struct pf__tar_pax *x, const struct record *r, struct pf_error *err)
{
	int e = 0;

	if (begins(r->key, XATTR))
		return xattr(x, r, err);
	if (begins(r->key, "SCHILY.acl.")) {
		x->acl = true;
		return 0;
	}
	if (begins(r->key, "GNU.sparse."))
		return sparse(x, r, err);
	/* An empty value takes back what a global header said, and those say nothing here. */
	if (r->value.n == 0)
		return 0;
	if (is(r->key, "path"))
		x->path = r->value;
	else if (is(r->key, "linkpath"))
		x->link = r->value;
	else if (is(r->key, "size"))
		e = whole_number(r, INT64_MAX, &x->size, err), x->has_size = true;
	else if (is(r->key, "uid"))
		e = whole_number(r, UINT32_MAX, &x->uid, err), x->has_uid = true;
	else if (is(r->key, "gid"))
		e = whole_number(r, UINT32_MAX, &x->gid, err), x->has_gid = true;
	else if (is(r->key, "mtime"))
		e = time_value(x, r, err);
	return e; /* other times, names of owners, comments, flags: nothing that an image keeps */
}

int pf__tar_pax_parse(struct pf__tar_pax *x, const char *text, size_t n, struct pf_error *err)
{
	const char *end = text + n;
	struct record r;
	int e = 0;

	while (text < end && e == 0) {
		e = next_record(&text, end, &r, err);
		if (e == 0)
			e = take(x, &r, err);
	}
	if (e == 0 && x->map_count && x->map[x->map_count - 1].length == UINT64_MAX)
		e = pf_fail(err, -EINVAL, "a pax header has a sparse part without a length");
	return e;
}

int pf__tar_pax_global(const char *text, size_t n, struct pf_error *err)
{
	static const char *const harmless[] = {"comment", "charset", "hdrcharset", "atime", "ctime"};
	const char *end = text + n;
	char show[PF__SHOW];
	struct record r;

	while (text < end) {
		bool ok = false;
		int e = next_record(&text, end, &r, err);

		if (e)
			return e;
		for (size_t i = 0; i < sizeof(harmless) / sizeof(*harmless); i++)
			ok = ok || is(r.key, harmless[i]);
		/* Some readers apply them and some pass over them. */
		if (!ok)
			return pf_fail(err, -EINVAL, "a global pax header sets '%s' for all entries",
				       pf__show(r.key.p, r.key.n, show));
	}
	return 0;
}

void pf__tar_pax_clear(struct pf__tar_pax *x)
{
	struct pf__tar_pax empty = {.map = x->map, .map_cap = x->map_cap, .xattrs = x->xattrs};

	*x = empty; /* with its memory, which the next one uses again */
}
