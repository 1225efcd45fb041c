/* SPDX-License-Identifier: Apache-2.0 */
/* The closed list: what is on the list, and what that needs to run. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "view/view_internal.h"

#define ENTRIES_MAX 4096

struct closing {
	const struct pf_view_want *want;
	struct pf_view_list list;
	const char *of; /* whose helpers are added */
	struct pf_error *err;
};

void pf_view_list_free(struct pf_view_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->items[i].path);
		free(l->items[i].why);
	}
	free(l->items);
	*l = (struct pf_view_list){0};
}

static struct pf_view_entry *find(const struct pf_view_list *l, const char *clean)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->items[i].path, clean) == 0)
			return &l->items[i];
	return NULL;
}

/* 1: it is new. */
static int add(struct closing *c, const char *clean, const char *as, const char *why)
{
	struct pf_view_entry *more, *e = find(&c->list, clean);
	bool any = pf__runs_any_code(as) || pf__runs_any_code(clean);

	if (e) {
		e->any_code |= any;
		return 0;
	}
	if (c->list.count == ENTRIES_MAX)
		return pf_fail(c->err, -E2BIG, "commands.allow: more than %d programs with their helpers",
			       ENTRIES_MAX);
	more = reallocarray(c->list.items, c->list.count + 1, sizeof(*more));
	if (!more)
		return pf_fail(c->err, -ENOMEM, "out of memory");
	c->list.items = more;
	more[c->list.count] = (struct pf_view_entry){strdup(clean), strdup(why), any};
	if (!more[c->list.count].path || !more[c->list.count].why) {
		free(more[c->list.count].path);
		free(more[c->list.count].why);
		return pf_fail(c->err, -ENOMEM, "out of memory");
	}
	c->list.count++;
	return 1;
}

static const char *base(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* Many programs in one file, told by its name, or by what it says of itself wherever it is called otherwise.
 */
static bool has_many(const struct pf_view_want *w, const char *clean)
{
	static const char *const marks[] = {"BusyBox v", "multi-call binary", "coreutils-prog="};
	PF_AUTO_CLOSE int fd = -1;
	static char chunk[65536];
	ssize_t n, keep = 0;

	if (pf__is_multicall(clean))
		return true;
	fd = pf__view_open(w, clean, O_RDONLY);
	if (fd < 0 || read(fd, chunk, 4) != 4 || memcmp(chunk, "\177ELF", 4) != 0)
		return false;
	while ((n = read(fd, chunk + keep, sizeof(chunk) - (size_t)keep)) > 0) {
		size_t all = (size_t)(keep + n);

		for (size_t i = 0; i < PF_ARRAY_SIZE(marks); i++)
			if (memmem(chunk, all, marks[i], strlen(marks[i])))
				return true;
		keep = all < 32 ? (ssize_t)all : 32; /* longer than any mark */
		memmove(chunk, chunk + all - (size_t)keep, (size_t)keep);
	}
	return false;
}

static int add_named(struct closing *c, const char *name)
{
	char as[PATH_MAX], clean[PATH_MAX], shown[64];
	int r = pf__view_find(c->want, name, as, clean);

	pf_printable(name, strlen(name), shown, sizeof(shown));
	if (r < 0)
		return pf_fail(c->err, -ENOENT, "commands.allow: \"%s\" is not in this image%s", shown,
			       name[0] == '/' ? "" : ", in no directory of PATH");
	if (strcmp(base(clean), name[0] == '/' ? base(name) : name) != 0 && has_many(c->want, clean))
		return pf_fail(c->err, -EINVAL,
			       "commands.allow: \"%s\" is %.200s, which has many other programs in it and "
			       "would bring "
			       "them all: name \"%.60s\" if that is what you mean",
			       shown, clean, base(clean));
	if (strcmp(base(clean), name[0] == '/' ? base(name) : name) == 0 && !pf__is_multicall(clean) &&
	    has_many(c->want, clean))
		return pf_fail(c->err, -EINVAL,
			       "commands.allow: \"%s\" is a copy of a program that has many others in it, "
			       "such as BusyBox: name that one "
			       "to approve all of them",
			       shown);
	return add(c, clean, as, name);
}

/* What comes along must not bring a whole system with it: BusyBox as the interpreter of a script. */
static int add_companion(struct closing *c, const char *clean, const char *as, const char *why)
{
	if (!find(&c->list, clean) && has_many(c->want, clean))
		return pf_fail(c->err, -EINVAL,
			       "commands.allow: the list needs %.200s (%.120s), which has many other "
			       "programs in it and "
			       "would bring them all: name \"%.60s\" if that is what you mean",
			       clean, why, base(clean));
	return add(c, clean, as, why);
}

static int add_path(struct closing *c, const char *path, const char *what, const char *of)
{
	char clean[PATH_MAX], why[PATH_MAX + 32];
	struct stat st;

	if (path[0] != '/' || pf__view_resolve(c->want, path, clean, &st) < 0 || !S_ISREG(st.st_mode))
		return 0; /* then it does not start, as it would not without a list */
	snprintf(why, sizeof(why), "%s of %s", what, of);
	return add_companion(c, clean, path, why);
}

/* What the kernel starts in its place, or beside it. */
static int add_interpreter(struct closing *c, const char *clean)
{
	struct pf_file_look look;
	char buf[PF_INTERP_MAX], as[PATH_MAX], found[PATH_MAX], why[PATH_MAX + 32];
	PF_AUTO_CLOSE int fd = pf__view_open(c->want, clean, O_RDONLY);
	const char *name;
	int r;

	if (fd < 0 || pf_look_fd(fd, &look) < 0)
		return 0; /* who may not read it may start it all the same; what it needs cannot be told */
	if (look.interp[0] != '/')
		return 0;
	if ((r = add_path(c, look.interp, "interpreter", clean)) < 0)
		return r;
	if (look.kind != PF_FILE_SCRIPT || strcmp(base(look.interp), "env") != 0)
		return 0;
	name = pf_look_env(&look, buf);
	if (!name || pf__view_find(c->want, name, as, found) < 0)
		return 0;
	snprintf(why, sizeof(why), "interpreter of %s", clean);
	return add_companion(c, found, as, why);
}

/* --- helpers ----------------------------------------------------------------------------------- */

/* A script of helpers comes only where its interpreter is approved. */
static bool may_come(const struct closing *c, const char *clean)
{
	PF_AUTO_CLOSE int fd = pf__view_open(c->want, clean, O_RDONLY);
	struct pf_file_look look;
	char real[PATH_MAX];
	struct stat st;

	if (fd < 0 || pf_look_fd(fd, &look) < 0)
		return false;
	if (look.kind != PF_FILE_SCRIPT)
		return look.kind == PF_FILE_PROGRAM;
	return pf__view_resolve(c->want, look.interp, real, &st) == 0 && find(&c->list, real);
}

static int helper_found(void *ctx, const char *as, const char *clean)
{
	struct closing *c = ctx;
	char why[PATH_MAX + 32];

	if (!may_come(c, clean))
		return 0;
	snprintf(why, sizeof(why), "helper of %s", c->of);
	return add_companion(c, clean, as, why) < 0 ? c->err->code : 0;
}

static int each_helper(void *ctx, const char *helper)
{
	struct closing *c = ctx;
	char as[PATH_MAX], clean[PATH_MAX];

	if (strchr(helper, '/'))
		return pf__view_glob(c->want, helper, helper_found, c);
	return pf__view_find(c->want, helper, as, clean) < 0 ? 0 : helper_found(c, as, clean);
}

/* Interpreters of all that is there, then helpers; until nothing is new. An entry's own name is what it was
 * listed as, or its file's: `gcc` is a link to x86_64-linux-gnu-gcc-12. */
static int close_all(struct closing *c)
{
	size_t before, i;
	int r;

	do {
		before = c->list.count;
		for (i = 0; i < c->list.count; i++)
			if ((r = add_interpreter(c, c->list.items[i].path)) < 0)
				return r;
		for (i = 0; i < c->list.count; i++) {
			PF_AUTO_FREE char *name = strdup(c->list.items[i].why),
					  *path = strdup(c->list.items[i].path);

			if (!name || !path)
				return pf_fail(c->err, -ENOMEM, "out of memory");
			c->of = strchr(name, ' ') ? path : name;
			if ((r = pf__helpers_of(c->of, path, each_helper, c)) < 0)
				return r;
		}
	} while (c->list.count > before);
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct pf_view_entry *)a)->path, ((const struct pf_view_entry *)b)->path);
}

int pf_view_close(const struct pf_view_want *want, struct pf_view_list *out, struct pf_error *err)
{
	struct pf_error own = {0};
	struct closing c = {.want = want, .err = err ? err : &own};
	int r = pf__helpers_check(c.err);

	for (size_t i = 0; r >= 0 && i < want->allow->count; i++)
		r = add_named(&c, want->allow->items[i]);
	if (r >= 0)
		r = close_all(&c);
	if (r < 0) {
		pf_view_list_free(&c.list);
		return r;
	}
	qsort(c.list.items, c.list.count, sizeof(*c.list.items), by_path);
	*out = c.list;
	return 0;
}
