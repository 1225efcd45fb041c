/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts of an image; see account.h. */
#include "image/account.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

#define FIELD_MAX 512 /* bytes of one field that is looked at; a longer one is none */

/* One line of either file: its fields, in place. */
struct line {
	const char *at[7];
	size_t len[7];
	unsigned count; /* of all its fields, also of those beyond the seventh */
};

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

static void split(const char *p, const char *end, struct line *l)
{
	*l = (struct line){.count = 0};
	for (;;) {
		const char *colon = memchr(p, ':', (size_t)(end - p)), *stop = colon ? colon : end;

		if (l->count < PF_ARRAY_SIZE(l->at)) {
			l->at[l->count] = p;
			l->len[l->count] = (size_t)(stop - p);
		}
		l->count++;
		if (!colon)
			return;
		p = colon + 1;
	}
}

/* The line at *p, which moves behind it; false at the end. */
static bool next_line(const struct pf_buf *text, size_t *p, struct line *l)
{
	size_t left = text->len - *p, n;
	const char *at, *nl;

	if (left == 0)
		return false;
	at = text->data + *p;
	nl = memchr(at, '\n', left);
	n = nl ? (size_t)(nl - at) : left;
	*p += n + (nl ? 1 : 0);
	split(at, at + n, l);
	return true;
}

/* A field as a string; false if it is too long for one or has a NUL in it. */
static bool field(const struct line *l, unsigned i, char *out, size_t cap)
{
	if (i >= l->count || i >= PF_ARRAY_SIZE(l->at) || l->len[i] >= cap || memchr(l->at[i], 0, l->len[i]))
		return false;
	memcpy(out, l->at[i], l->len[i]);
	out[l->len[i]] = '\0';
	return true;
}

static bool field_id(const struct line *l, unsigned i, uint32_t *id)
{
	char text[16];

	return field(l, i, text, sizeof(text)) && pf_parse_u32(text, id) == 0;
}

static bool field_name(const struct line *l, char name[PF_ACCOUNT_NAME])
{
	return field(l, 0, name, PF_ACCOUNT_NAME) && *name && *name != '-' &&
	       strspn(name, letters) == strlen(name);
}

bool pf_account_home(const char *home, char clean[PF_ACCOUNT_HOME])
{
	/* what the kernel, the image's programs and our own mounts have; and the word for "none" */
	static const char *const taken[] = {"/proc", "/sys", "/dev",	 "/etc",   "/usr",	  "/bin",
					    "/sbin", "/lib", "/lib32",	 "/lib64", "/libx32",	  "/boot",
					    "/tmp",  "/run", "/var/tmp", "/nix",   "/nonexistent"};
	char path[PF_ACCOUNT_HOME], shown[PF_ACCOUNT_HOME * 4];

	if (*home != '/' || pf_path_clean(home, path, sizeof(path)) < 0)
		return false;
	pf_printable(path, strlen(path), shown, sizeof(shown));
	if (strcmp(shown, path) != 0)
		return false;
	for (size_t i = 0; i < PF_ARRAY_SIZE(taken); i++)
		if (pf_path_within(path, taken[i]) || pf_path_within(taken[i], path))
			return false;
	strcpy(clean, path);
	return true;
}

/* name:password:uid:gid:comment:home:shell */
static bool passwd_line(const struct line *l, struct pf_account *out)
{
	struct pf_account a = {.listed = true};
	char home[FIELD_MAX];

	if (l->count != 7 || !field_name(l, a.name) || !field_id(l, 2, &a.uid) || !field_id(l, 3, &a.gid))
		return false;
	if (!field(l, 5, home, sizeof(home)) || !pf_account_home(home, a.home))
		a.home[0] = '\0';
	*out = a;
	return true;
}

bool pf_account_by_uid(const struct pf_buf *passwd, uint32_t uid, struct pf_account *out)
{
	struct pf_account a;
	struct line l;

	for (size_t p = 0; next_line(passwd, &p, &l);)
		if (passwd_line(&l, &a) && a.uid == uid) {
			*out = a;
			return true;
		}
	return false;
}

static bool by_name(const struct pf_buf *passwd, const char *name, struct pf_account *out)
{
	struct pf_account a;
	struct line l;

	for (size_t p = 0; next_line(passwd, &p, &l);)
		if (passwd_line(&l, &a) && strcmp(a.name, name) == 0) {
			*out = a;
			return true;
		}
	return false;
}

/* name:password:gid:members */
static bool group_line(const struct line *l, char name[PF_ACCOUNT_NAME], uint32_t *gid)
{
	return l->count == 4 && field_name(l, name) && field_id(l, 2, gid);
}

static bool group_by_name(const struct pf_buf *group, const char *name, uint32_t *gid)
{
	char its[PF_ACCOUNT_NAME];
	struct line l;

	for (size_t p = 0; next_line(group, &p, &l);)
		if (group_line(&l, its, gid) && strcmp(its, name) == 0)
			return true;
	return false;
}

static bool all_digits(const char *s)
{
	return *s && strspn(s, "0123456789") == strlen(s);
}

static int find_user(const char *user, const struct pf_buf *passwd, struct pf_account *a,
		     struct pf_error *err)
{
	char shown[80];

	pf_printable(user, strlen(user), shown, sizeof(shown));
	if (!all_digits(user)) {
		if (!by_name(passwd, user, a))
			return pf_fail(err, -ENOENT, "the image has no user '%s' in its /etc/passwd", shown);
		return 0;
	}
	*a = (struct pf_account){.name = "user"};
	if (pf_parse_u32(user, &a->uid) < 0)
		return pf_fail(err, -ERANGE, "'%s' is no user id", shown);
	pf_account_by_uid(passwd, a->uid, a);
	return 0;
}

static int find_group(const char *name, const struct pf_buf *group, struct pf_account *a,
		      struct pf_error *err)
{
	char shown[80];

	pf_printable(name, strlen(name), shown, sizeof(shown));
	if (!all_digits(name))
		return group_by_name(group, name, &a->gid)
			       ? 0
			       : pf_fail(err, -ENOENT, "the image has no group '%s' in its /etc/group",
					 shown);
	return pf_parse_u32(name, &a->gid) < 0 ? pf_fail(err, -ERANGE, "'%s' is no group id", shown) : 0;
}

int pf_account_find(const char *spec, const struct pf_buf *passwd, const struct pf_buf *group,
		    struct pf_account *out, struct pf_error *err)
{
	PF_AUTO_FREE char *user = strdup(spec);
	char *name = user ? strchr(user, ':') : NULL;
	struct pf_account a;
	int r;

	if (!user)
		return pf_fail(err, -ENOMEM, "out of memory");
	if (name)
		*name++ = '\0';
	if ((r = find_user(user, passwd, &a, err)) < 0 ||
	    (name && (r = find_group(name, group, &a, err)) < 0))
		return r;
	if (a.uid > PF_ACCOUNT_ID || a.gid > PF_ACCOUNT_ID)
		return pf_fail(err, -ERANGE, "the account has the ids %u:%u, and a sandbox has none above %u",
			       a.uid, a.gid, PF_ACCOUNT_ID);
	*out = a;
	return 0;
}

/* --- the account's own lines ------------------------------------------------------- */

static void begin(const struct pf_buf *from, const char *first_line, struct pf_buf *out)
{
	if (from->len == 0)
		pf_buf_adds(out, first_line);
	pf_buf_add(out, from->data ? from->data : "", from->len);
	if (from->len && from->data[from->len - 1] != '\n')
		pf_buf_addc(out, '\n');
}

int pf_account_add_passwd(const struct pf_buf *passwd, const struct pf_account *a, const char *shell,
			  struct pf_buf *out)
{
	struct pf_account other;
	char name[PF_ACCOUNT_NAME];

	if (pf_account_by_uid(passwd, a->uid, &other))
		return 0;
	snprintf(name, sizeof(name), "%s", a->name);
	if (by_name(passwd, name, &other)) /* another's */
		snprintf(name, sizeof(name), "user%u", a->uid);
	begin(passwd, "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
	      out);
	pf_buf_addf(out, "%s:x:%u:%u::%s:%s\n", name, a->uid, a->gid, a->home, shell);
	return out->failed ? -ENOMEM : 1;
}

int pf_account_add_group(const struct pf_buf *group, const struct pf_account *a, struct pf_buf *out)
{
	char name[PF_ACCOUNT_NAME];
	uint32_t gid;
	struct line l;

	for (size_t p = 0; next_line(group, &p, &l);)
		if (group_line(&l, name, &gid) && gid == a->gid)
			return 0;
	snprintf(name, sizeof(name), "%s", a->name);
	if (group_by_name(group, name, &gid))
		snprintf(name, sizeof(name), "group%u", a->gid);
	begin(group, "root:x:0:\nnogroup:x:65534:\n", out);
	if (group->len || (a->gid != 0 && a->gid != 65534))
		pf_buf_addf(out, "%s:x:%u:\n", name, a->gid);
	return out->failed ? -ENOMEM : 1;
}
