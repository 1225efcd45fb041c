/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux/cgroup's readers of kernel text: /proc/self/cgroup and mountinfo (the input's two halves, cut at
 * the first NUL), lists of controllers, "name number" files. Whatever they find lies inside the texts,
 * is terminated, and leads to an absolute path without "..".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux/cgroup_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                             \
	do {                                                                                                 \
		if (!(x)) {                                                                                  \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                              \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

/* A block of exactly n + 1 bytes, so that the sanitizer sees a step too far. */
static char *copy(const uint8_t *p, size_t n)
{
	char *s = malloc(n + 1);

	CHECK(s);
	if (n)
		memcpy(s, p, n);
	s[n] = '\0';
	return s;
}

static bool inside(const char *p, const char *text, size_t n)
{
	return p >= text && p <= text + n;
}

static bool has_dotdot(const char *path)
{
	for (const char *p = path; (p = strstr(p, "/..")); p += 3) {
		if (p[3] == '\0' || p[3] == '/')
			return true;
	}
	return false;
}

static void check_slots(struct pf__cg_host *h, const char *self, size_t n, const char *mounts, size_t m)
{
	for (unsigned bit = 1; bit <= PF__CG_V2; bit <<= 1) {
		const struct pf__cg_slot *s = pf__cg_slot(h, bit);
		char dir[PATH_MAX];

		CHECK(!s->path || (inside(s->path, self, n) && *s->path == '/'));
		CHECK(!s->point == !s->root);
		CHECK(!s->point || (s->path && inside(s->point, mounts, m) && *s->point == '/'));
		CHECK(!s->root || (inside(s->root, mounts, m) && *s->root == '/'));
		if (pf__cg_slot_dir(s, dir) < 0)
			continue;
		CHECK(strlen(dir) < PATH_MAX && *dir == '/');
		/* A mount point is the kernel's word; what we put behind it does not climb. */
		CHECK(has_dotdot(s->point) || !has_dotdot(dir));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = memchr(data, '\0', size);
	size_t n = nul ? (size_t)(nul - data) : size, m = nul ? size - n - 1 : 0;
	char *self = copy(data, n), *mounts = copy(nul ? nul + 1 : data, m), names[48];
	struct pf__cg_host h;

	memset(&h, 0, sizeof(h));
	CHECK(pf__cg_parse_controllers(self) <= 31);
	CHECK(strlen(pf__cg_limit_names(pf__cg_parse_controllers(self), names)) < sizeof(names));
	CHECK(pf__cg_field(self, "oom_kill") >= -1);
	pf__cg_parse_self(self, &h);
	pf__cg_parse_mounts(mounts, &h);
	check_slots(&h, self, n, mounts, m);
	free(self);
	free(mounts);
	return 0;
}
