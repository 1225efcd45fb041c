/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes of the namespace "user.". Any owner may set those, and they mean nothing to the kernel,
 * so a change set carries them. All others (access lists, capabilities, labels) it does not: they decide who
 * may do what, and what the sandbox set of them is not for the user's directory. That it has some is said.
 *
 * xattr(7); overlay keeps its own under the prefix that the caller names, "user.overlay." in a user
 * namespace.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "workspace/workspace_internal.h"

#define TOTAL_MAX 65536u /* bytes of names and values of one entry; beyond, they count as others */
#define NAMES_MAX 65536u /* the kernel's XATTR_LIST_MAX */

/* The file that a descriptor is, O_PATH or not, for the calls that take a path. */
struct self {
	char path[40];
};

static const char *self(int fd, struct self *s)
{
	snprintf(s->path, sizeof(s->path), "/proc/self/fd/%d", fd);
	return s->path;
}

static ssize_t get_list(int fd, char *names, size_t cap)
{
	ssize_t n = flistxattr(fd, names, cap);
	struct self s;

	return n < 0 && errno == EBADF ? listxattr(self(fd, &s), names, cap) : n;
}

static ssize_t get_value(int fd, const char *name, void *value, size_t cap)
{
	ssize_t n = fgetxattr(fd, name, value, cap);
	struct self s;

	return n < 0 && errno == EBADF ? getxattr(self(fd, &s), name, value, cap) : n;
}

static int set_value(int fd, const struct pf_attr *a)
{
	struct self s;

	if (fsetxattr(fd, a->name, a->value, a->size, 0) == 0)
		return 0;
	if (errno == EBADF && setxattr(self(fd, &s), a->name, a->value, a->size, 0) == 0)
		return 0;
	return -errno;
}

static int remove_value(int fd, const char *name)
{
	struct self s;

	if (fremovexattr(fd, name) == 0 || errno == ENODATA)
		return 0;
	if (errno == EBADF && (removexattr(self(fd, &s), name) == 0 || errno == ENODATA))
		return 0;
	return -errno;
}

void pf__attrs_free(struct pf_attrs *a)
{
	for (size_t i = 0; i < a->count; i++) {
		free(a->items[i].name);
		free(a->items[i].value);
	}
	free(a->items);
	*a = (struct pf_attrs){0};
}

int pf__attrs_add(struct pf_attrs *a, const char *name, const void *value, size_t size)
{
	struct pf_attr *more = realloc(a->items, (a->count + 1) * sizeof(*more)), *at;

	if (!more)
		return -ENOMEM;
	a->items = more;
	at = &more[a->count];
	*at = (struct pf_attr){strdup(name), malloc(size ? size : 1), size};
	if (!at->name || !at->value) {
		free(at->name);
		free(at->value);
		return -ENOMEM;
	}
	if (size)
		memcpy(at->value, value, size);
	a->count++;
	return 0;
}

static int cmp_attrs(const void *x, const void *y)
{
	return strcmp(((const struct pf_attr *)x)->name, ((const struct pf_attr *)y)->name);
}

bool pf__attrs_same(const struct pf_attrs *a, const struct pf_attrs *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct pf_attr *x = &a->items[i], *y = &b->items[i];

		if (strcmp(x->name, y->name) != 0 || x->size != y->size ||
		    memcmp(x->value, y->value, x->size) != 0)
			return false;
	}
	return true;
}

int pf__attrs_copy(struct pf_attrs *to, const struct pf_attrs *from)
{
	int r = 0;

	for (size_t i = 0; i < from->count && r == 0; i++)
		r = pf__attrs_add(to, from->items[i].name, from->items[i].value, from->items[i].size);
	return r;
}

/* Labels that a host's security module puts on every file are nobody's change. */
static bool of_the_host(const char *name)
{
	static const char *const labels[] = {"security.selinux", "security.apparmor", "security.ima",
					     "security.evm"};

	for (size_t i = 0; i < PF_ARRAY_SIZE(labels); i++) {
		if (strcmp(name, labels[i]) == 0)
			return true;
	}
	return pf_has_prefix(name, "security.SMACK64");
}

/* One attribute into the list, or into `others`; total counts what the list holds. */
static int take(int fd, const char *name, char *value, size_t *total, struct pf_attrs *out, bool *others)
{
	size_t n = strlen(name);
	ssize_t size;

	if (!pf_has_prefix(name, "user.")) {
		*others |= !of_the_host(name);
		return 0;
	}
	size = get_value(fd, name, value, TOTAL_MAX);
	if (size < 0)
		return 0; /* gone, or closed to us: then so is the content */
	if (n + (size_t)size > TOTAL_MAX - *total) {
		*others = true;
		return 0;
	}
	*total += n + (size_t)size;
	return pf__attrs_add(out, name, value, (size_t)size);
}

int pf__attrs_read(int fd, const char *skip, struct pf_attrs *out, bool *others)
{
	PF_AUTO_FREE char *names = NULL, *value = NULL;
	struct pf_attrs a = {0};
	bool more = false;
	size_t total = 0;
	ssize_t n = get_list(fd, NULL, 0);
	int r = 0;

	if (n > 0) {
		names = malloc(NAMES_MAX);
		value = malloc(TOTAL_MAX);
		if (!names || !value)
			return -ENOMEM;
		n = get_list(fd, names, NAMES_MAX);
	}
	for (const char *p = names; n > 0 && p < names + n && r == 0; p += strlen(p) + 1) {
		if (!skip || !pf_has_prefix(p, skip))
			r = take(fd, p, value, &total, &a, &more);
	}
	if (r < 0) {
		pf__attrs_free(&a);
		return r;
	}
	if (a.count)
		qsort(a.items, a.count, sizeof(*a.items), cmp_attrs);
	*out = a;
	*others = more;
	return 0;
}

bool pf__attrs_supported(int fd)
{
	return get_value(fd, "user.pinfold", NULL, 0) >= 0 || errno == ENODATA;
}

static bool has(const struct pf_attrs *a, const char *name)
{
	struct pf_attr key = {.name = (char *)name};

	return a->count && bsearch(&key, a->items, a->count, sizeof(*a->items), cmp_attrs);
}

int pf__attrs_give(int fd, const struct pf_attrs *want)
{
	struct pf_attrs now = {0};
	bool others;
	int r = pf__attrs_read(fd, NULL, &now, &others);

	if (r < 0 || pf__attrs_same(&now, want)) {
		pf__attrs_free(&now);
		return r;
	}
	for (size_t i = 0; i < want->count && r == 0; i++)
		r = set_value(fd, &want->items[i]);
	for (size_t i = 0; i < now.count && r == 0; i++) {
		if (!has(want, now.items[i].name))
			r = remove_value(fd, now.items[i].name);
	}
	pf__attrs_free(&now);
	return r;
}

int pf__attrs_keep_acl(int from, int to)
{
	static const char acl[] = "system.posix_acl_access";
	char value[4096];
	ssize_t n = get_value(from, acl, value, sizeof(value));

	if (n <= 0)
		return n < 0 && errno != ENODATA && errno != EOPNOTSUPP ? -errno : 0;
	return set_value(to, &(struct pf_attr){(char *)acl, value, (size_t)n});
}
