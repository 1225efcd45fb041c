/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths as text: cleaning, containment and the glob of policy patterns. Nothing
 * here touches a file system; what a path *means* is decided by openat2 (fd.h).
 */
#include <errno.h>
#include <string.h>
#include <sys/types.h>

#include "base/str.h"

/* Write the clean form of path into out, or only measure where out is NULL. Length or -errno. */
static ssize_t clean(const char *path, char *out)
{
	bool absolute = *path == '/';
	size_t len = 0;

	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && path[0] == '.' && path[1] == '.')
			return -EINVAL;
		if (n > 0 && !(n == 1 && path[0] == '.')) {
			if (absolute || len > 0) {
				if (out)
					out[len] = '/';
				len++;
			}
			if (out)
				memmove(out + len, path, n);
			len += n;
		}
		path += n;
		path += strspn(path, "/");
	}
	if (len == 0) {
		if (out)
			out[len] = absolute ? '/' : '.';
		len++;
	}
	return (ssize_t)len;
}

int pf_path_clean(const char *path, char *out, size_t cap)
{
	ssize_t len;

	if (!path || *path == '\0')
		return -EINVAL;
	len = clean(path, NULL);
	if (len < 0)
		return (int)len;
	if ((size_t)len >= cap)
		return -ENAMETOOLONG;
	clean(path, out); /* the clean form never runs ahead of the input, so out may be path */
	out[len] = '\0';
	return 0;
}

bool pf_path_within(const char *path, const char *dir)
{
	size_t n;

	if (strcmp(dir, "/") == 0)
		return *path == '/';
	if (strcmp(dir, ".") == 0)
		return *path != '/' && *path != '\0';
	n = strlen(dir);
	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

bool pf_glob_is_pattern(const char *s)
{
	return s[strcspn(s, "*?[")] != '\0';
}

/*
 * Does the set that begins at p ("[") hold c? *after is behind its "]". A "[" that no "]"
 * closes stands for itself. last is the component's last "]": with it an open "[" is known
 * at once, where a search from each of many would cost the square of the pattern.
 */
static bool set_match(const char *p, const char *last, unsigned char c, const char **after)
{
	const char *q = p + 1;
	bool negated = false, hit = false, first = true;

	if (q <= last && (*q == '!' || *q == '^')) {
		negated = true;
		q++;
	}
	if (!last || last <= q) { /* "[]" and "[!]": the first "]" is a member */
		*after = p + 1;
		return c == '[';
	}
	for (; first || *q != ']'; first = false) {
		unsigned char low = (unsigned char)*q++, high = low;

		if (*q == '-' && q[1] != ']') {
			high = (unsigned char)q[1];
			q += 2;
		}
		if (low <= c && c <= high)
			hit = true;
	}
	*after = q + 1;
	return hit != negated;
}

static const char *last_bracket(const char *p, const char *end)
{
	while (end > p) {
		if (*--end == ']')
			return end;
	}
	return NULL;
}

/*
 * One component, [p, pe) against [s, se). Going back to the last star alone is enough:
 * what an earlier star could take more of, the last one can take as well.
 */
static bool component_match(const char *p, const char *pe, const char *s, const char *se)
{
	const char *last = last_bracket(p, pe), *star = NULL, *star_s = NULL;

	while (s < se) {
		const char *next = p + 1;
		bool hit = false;

		if (p < pe && *p == '*') {
			star = ++p;
			star_s = s;
			continue;
		}
		if (p < pe) {
			if (*p == '[')
				hit = set_match(p, last, (unsigned char)*s, &next);
			else
				hit = *p == '?' || *p == *s;
		}
		if (hit) {
			p = next;
			s++;
		} else if (star) {
			p = star;
			s = ++star_s;
		} else {
			return false;
		}
	}
	while (p < pe && *p == '*')
		p++;
	return p == pe;
}

static const char *component_end(const char *s)
{
	return s + strcspn(s, "/");
}

/* The component behind the one that ends at end, NULL behind the last. */
static const char *component_next(const char *end)
{
	return *end ? end + 1 : NULL;
}

/*
 * Component by component. As with stars inside one, only the last "**" needs to give way:
 * it takes one component more and what follows it is tried again. Each pattern component
 * meets each path component once, so the whole costs pattern times path.
 */
bool pf_glob_match(const char *pattern, const char *path)
{
	const char *p = pattern, *s = path, *deep = NULL, *deep_s = NULL;

	for (;;) {
		const char *pe = p ? component_end(p) : NULL, *se = s ? component_end(s) : NULL;

		if (p && pe - p == 2 && p[0] == '*' && p[1] == '*') {
			p = component_next(pe);
			if (!p)
				return true;
			deep = p;
			deep_s = s;
			continue;
		}
		if (!p && !s)
			return true;
		if (!s)
			return false;
		if (p && component_match(p, pe, s, se)) {
			p = component_next(pe);
			s = component_next(se);
			continue;
		}
		if (!deep || !deep_s)
			return false;
		deep_s = component_next(component_end(deep_s));
		p = deep;
		s = deep_s;
	}
}
