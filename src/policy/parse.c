/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a policy document: the machinery. What each key means is in keys.c. A document is taken whole or
 * not at all, and nothing in it is skipped: a key that is not understood may be the one that was to hold.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "policy/parse_internal.h"

#define DOCUMENT_MAX ((size_t)1 << 20)

int pf__parse_wrap(struct pf__parse *ps, const struct pf_json *v)
{
	return pf_wrap(ps->err, "%s: line %u%s%s", ps->name, v->line, ps->path_len ? ": " : "", ps->path);
}

int pf__parse_fail(struct pf__parse *ps, const struct pf_json *v, const char *fmt, ...)
{
	char text[PF_ERROR_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pf_fail(ps->err, -EINVAL, "%s", text);
	return pf__parse_wrap(ps, v);
}

int pf__parse_type(struct pf__parse *ps, const struct pf_json *v, enum pf_json_type type, const char *allowed)
{
	if (v->type == type)
		return 0;
	return pf__parse_fail(ps, v, "expected %s, found %s", allowed, pf_json_type_name(v->type));
}

int pf__parse_word(struct pf__parse *ps, const struct pf_json *v, const struct pf__words *words,
		   uint64_t *value)
{
	char allowed[256] = "one of ";
	size_t n = strlen(allowed);

	if (v->type != PF_JSON_STRING) {
		for (size_t i = 0; i < words->count && n < sizeof(allowed); i++)
			n += (size_t)snprintf(allowed + n, sizeof(allowed) - n, "%s\"%s\"", i ? ", " : "",
					      words->at[i].name);
		return pf__parse_type(ps, v, PF_JSON_STRING, allowed);
	}
	if (pf__word_parse(words, v->str.s, value, ps->err) < 0)
		return pf__parse_wrap(ps, v);
	return 0;
}

/* Both put a step behind the path and return what takes it off again. */
static size_t enter_key(struct pf__parse *ps, const char *key)
{
	size_t was = ps->path_len, room = sizeof(ps->path) - was;

	snprintf(ps->path + was, room, "%s%s", was ? "." : "", key);
	ps->path_len = strlen(ps->path);
	return was;
}

static size_t enter_index(struct pf__parse *ps, size_t i)
{
	size_t was = ps->path_len, room = sizeof(ps->path) - was;

	snprintf(ps->path + was, room, "[%zu]", i);
	ps->path_len = strlen(ps->path);
	return was;
}

static void leave(struct pf__parse *ps, size_t was)
{
	ps->path[was] = '\0';
	ps->path_len = was;
}

/* The nearest of the keys that may stand here. A flat document is the likeliest mistake ("memory" beside
 * "tier"), so at the top the limits are looked at as well. */
static void nearest_key(const struct pf__parse *ps, const char *name, const struct pf__key *keys,
			size_t count, char out[64])
{
	unsigned least = 3;

	for (size_t i = 0; i < count; i++) {
		unsigned d = pf__distance(name, keys[i].name);

		if (keys[i].read && d < least && d < strlen(keys[i].name)) {
			least = d;
			snprintf(out, 64, "; did you mean \"%s\"?", keys[i].name);
		}
	}
	for (size_t i = 0; ps->path_len == 0 && i < pf__limit_count; i++) {
		unsigned d = pf__distance(name, pf__limits[i].key);

		if (d < least && d < strlen(pf__limits[i].key)) {
			least = d;
			snprintf(out, 64, "; did you mean \"limits.%s\"?", pf__limits[i].key);
		}
	}
}

static int unknown_key(struct pf__parse *ps, const struct pf_json *v, const struct pf__key *keys,
		       size_t count)
{
	char shown[PF__SHOWN_MAX], list[256] = "", meant[64] = "";
	size_t n = 0;

	for (size_t i = 0; i < count && n < sizeof(list); i++) {
		if (keys[i].read && keys[i].name[0] != '$')
			n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "",
					      keys[i].name);
	}
	nearest_key(ps, v->key, keys, count, meant);
	return pf__parse_fail(ps, v, "unknown key %s%s (there are %s)", pf__shown(v->key, shown), meant,
			      list);
}

static const struct pf__key *find_key(const struct pf__key *keys, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	}
	return NULL;
}

int pf__parse_object(struct pf__parse *ps, const struct pf_json *v, const struct pf__key *keys, size_t count)
{
	int r = pf__parse_type(ps, v, PF_JSON_OBJECT, "an object");

	if (r < 0)
		return r;
	for (const struct pf_json *member = v->list.first; member && r == 0; member = member->next) {
		const struct pf__key *key = find_key(keys, count, member->key);
		size_t was;

		if (!key)
			return unknown_key(ps, member, keys, count);
		was = enter_key(ps, key->name);
		r = key->read ? key->read(ps, member)
			      : pf__parse_fail(ps, member, "not in this build: %s", key->why);
		leave(ps, was);
	}
	return r;
}

int pf__parse_list(struct pf__parse *ps, const struct pf_json *v, const char *of,
		   int (*read)(struct pf__parse *ps, const struct pf_json *v))
{
	int r = pf__parse_type(ps, v, PF_JSON_ARRAY, of);
	size_t i = 0;

	if (r < 0)
		return r;
	for (const struct pf_json *item = v->list.first; item && r == 0; item = item->next) {
		size_t was = enter_index(ps, i++);

		r = read(ps, item);
		leave(ps, was);
	}
	return r;
}

/*
 * A limit that a document gives is written by its user, unless limits.default names it *and* it still has the
 * default's value: who changes a number in what `policy show` printed has written it.
 */
static void settle_written(struct pf__parse *ps)
{
	struct pf_limits *l = &ps->p->limits;

	l->written &= ~ps->limits_seen;
	for (size_t i = 0; i < pf__limit_count; i++) {
		const struct pf__limit *row = &pf__limits[i];
		bool is_default = pf__limit_get(l, row) == pf__limit_get(&pf__limit_defaults, row);

		if (!(ps->limits_given & row->bit))
			continue;
		if (!(ps->limits_default & row->bit) || !is_default)
			l->written |= row->bit;
	}
}

static int read_document(struct pf__parse *ps, const char *text, size_t n)
{
	struct pf_json_doc *doc;
	int r;

	if (n > DOCUMENT_MAX)
		return pf_fail(ps->err, -EFBIG, "%s: a policy may not be longer than 1 MiB", ps->name);
	if (pf_json_parse(text, n, PF_JSON_RELAXED, &doc, ps->err) < 0)
		return pf_wrap(ps->err, "%s", ps->name);
	r = pf__parse_object(ps, pf_json_root(doc), pf__document_keys, pf__document_key_count);
	pf_json_free(doc);
	if (r == 0)
		settle_written(ps);
	return r;
}

int pf_policy_parse(struct pf_policy *p, const char *text, size_t n, const char *name, struct pf_error *err)
{
	struct pf_error own = {0};
	struct pf_policy copy;
	struct pf__parse ps = {.p = &copy, .err = err ? err : &own};
	int r;

	pf_printable(name, strlen(name), ps.name, sizeof(ps.name));
	if (pf_policy_copy(p, &copy) < 0)
		return pf__policy_nomem(err);
	r = read_document(&ps, text, n);
	if (r < 0) {
		pf_policy_free(&copy);
		return r;
	}
	pf_policy_free(p);
	*p = copy;
	return 0;
}

/* Who can write the document decides what is mounted and what may be called. A pipe or a terminal is the
 * caller's doing. */
static int check_owner(int fd, const char *shown, struct pf_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return pf_fail_errno(err, "cannot look at the policy %s", shown);
	if (!S_ISREG(st.st_mode))
		return 0;
	if (st.st_mode & S_IWOTH)
		return pf_fail(err, -EPERM, "the policy %s can be written by everybody: chmod o-w it", shown);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return pf_fail(err, -EPERM,
			       "the policy %s belongs to uid %u and not to you (%u): if you trust it, pass "
			       "it as \"--policy -\"",
			       shown, (unsigned)st.st_uid, (unsigned)geteuid());
	return 0;
}

int pf_policy_load(struct pf_policy *p, const char *path, struct pf_error *err)
{
	PF_AUTO_BUF struct pf_buf text = {0};
	bool is_stdin = strcmp(path, "-") == 0;
	const char *name = is_stdin ? "standard input" : path;
	PF_AUTO_CLOSE int fd = is_stdin ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char shown[PF__SHOWN_MAX];
	int r = is_stdin || fd >= 0 ? 0 : -errno;

	if (fd >= 0 && (r = check_owner(fd, pf__shown(name, shown), err)) < 0)
		return r;
	if (r == 0)
		r = pf_read_fd(is_stdin ? STDIN_FILENO : fd, &text, DOCUMENT_MAX);
	if (r == -EFBIG)
		return pf_fail(err, r, "policy %s is longer than 1 MiB", pf__shown(name, shown));
	if (r < 0) {
		errno = -r;
		return pf_fail_errno(err, "cannot read the policy %s", pf__shown(name, shown));
	}
	return pf_policy_parse(p, text.data ? text.data : "", text.len, name, err);
}
