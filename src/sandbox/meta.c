/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of RUNTIME/ID. */
#include "sandbox/meta.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

#define SCRATCH_MAX 16 /* a sandbox has one or two */

int pf_meta_add(struct pf_buf *lines, const char *key, const char *value)
{
	pf_buf_adds(lines, key);
	pf_buf_addc(lines, ' ');
	for (const char *p = value; *p; p++) {
		if (*p == '\n')
			pf_buf_adds(lines, "\\n");
		else if (*p == '\\')
			pf_buf_adds(lines, "\\\\");
		else
			pf_buf_addc(lines, *p);
	}
	pf_buf_addc(lines, '\n');
	return lines->failed ? -ENOMEM : 0;
}

static char *unescape(const char *s, size_t n)
{
	char *out = malloc(n + 1), *p = out;

	if (!out)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\\' && i + 1 < n && (s[i + 1] == 'n' || s[i + 1] == '\\'))
			*p++ = s[++i] == 'n' ? '\n' : '\\';
		else
			*p++ = s[i];
	}
	*p = '\0';
	return out;
}

static int add_scratch(struct pf_list *l, char **value)
{
	char **items;

	if (l->count >= SCRATCH_MAX)
		return -EINVAL;
	items = realloc(l->items, (l->count + 1) * sizeof(*items));
	if (!items)
		return -ENOMEM;
	l->items = items;
	items[l->count++] = pf_take_ptr(*value);
	return 0;
}

static int set_short(char *out, size_t cap, const char *value)
{
	size_t n = strlen(value);

	if (n >= cap)
		return -EINVAL;
	memcpy(out, value, n + 1);
	return 0;
}

static void set_string(char **out, char **value)
{
	free(*out);
	*out = pf_take_ptr(*value);
}

static int take_line(struct pf_meta *m, const char *key, size_t key_len, char **value)
{
	uint64_t pid;

#define IS(name) (key_len == sizeof(name) - 1 && memcmp(key, name, key_len) == 0)
	if (IS("tier"))
		return set_short(m->tier, sizeof(m->tier), *value);
	if (IS("mode"))
		return set_short(m->mode, sizeof(m->mode), *value);
	if (IS("started"))
		return set_short(m->started, sizeof(m->started), *value);
	if (IS("pid")) {
		if (pf_parse_u64(*value, &pid) < 0 || pid > INT_MAX)
			return -EINVAL;
		m->pid = (long)pid;
	} else if (IS("workspace")) {
		set_string(&m->workspace, value);
	} else if (IS("command")) {
		set_string(&m->command, value);
	} else if (IS("image")) {
		set_string(&m->image, value);
	} else if (IS("state")) {
		set_string(&m->state, value);
	} else if (IS("scratch")) {
		return add_scratch(&m->scratch, value);
	} else if (IS("cgroup") && !strchr(*value, '\n')) {
		pf_buf_adds(&m->cgroups, *value);
		pf_buf_addc(&m->cgroups, '\n');
	}
#undef IS
	return m->cgroups.failed ? -ENOMEM : 0;
}

int pf_meta_parse(const char *text, size_t n, struct pf_meta *out)
{
	const char *end = text + n;

	memset(out, 0, sizeof(*out));
	if (n > PF_META_MAX || (n && memchr(text, 0, n)))
		return -EINVAL;
	while (text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		const char *stop = nl ? nl : end;
		const char *space = memchr(text, ' ', (size_t)(stop - text));
		PF_AUTO_FREE char *value = NULL;
		int r;

		if (space) {
			value = unescape(space + 1, (size_t)(stop - space - 1));
			r = value ? take_line(out, text, (size_t)(space - text), &value) : -ENOMEM;
			if (r < 0)
				return r;
		}
		text = nl ? nl + 1 : end;
	}
	return 0;
}

void pf_meta_free(struct pf_meta *m)
{
	free(m->workspace);
	free(m->command);
	free(m->image);
	free(m->state);
	pf_buf_free(&m->cgroups);
	for (size_t i = 0; i < m->scratch.count; i++)
		free(m->scratch.items[i]);
	free(m->scratch.items);
	memset(m, 0, sizeof(*m));
}
