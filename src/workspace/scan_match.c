/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names against patterns. There are a hundred patterns and a hundred thousand names: most patterns are "**"
 * and a literal name and go into a hash table; the others are asked only if first and last byte fit.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/str.h"
#include "workspace/scan_internal.h"

static size_t hash(const char *s)
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */

	while (*s)
		h = (h ^ (uint8_t)*s++) * 0x100000001b3u;
	return (size_t)(h ^ h >> 32);
}

static struct pf__literal *slot(const struct pf__matcher *m, const char *name)
{
	size_t i = hash(name) & (m->table_room - 1);

	while (m->table[i].name && strcmp(m->table[i].name, name) != 0)
		i = (i + 1) & (m->table_room - 1);
	return &m->table[i];
}

static int grow(struct pf__matcher *m)
{
	struct pf__matcher bigger = *m;

	bigger.table_room = m->table_room ? m->table_room * 2 : 64;
	bigger.table = calloc(bigger.table_room, sizeof(*bigger.table));
	if (!bigger.table)
		return -ENOMEM;
	for (size_t i = 0; i < m->table_room; i++)
		if (m->table[i].name)
			*slot(&bigger, m->table[i].name) = m->table[i];
	free(m->table);
	*m = bigger;
	return 0;
}

static int add_literal(struct pf__matcher *m, const char *name, unsigned kind, bool leads)
{
	struct pf__literal *l;

	if (m->table_count * 2 >= m->table_room && grow(m) < 0)
		return -ENOMEM;
	l = slot(m, name);
	if (!l->name) {
		l->name = strdup(name);
		if (!l->name)
			return -ENOMEM;
		m->table_count++;
	}
	if (leads)
		l->leads = true;
	else
		l->kinds |= kind;
	return 0;
}

static bool is_wild(char c)
{
	return c == '*' || c == '?' || c == '[' || c == ']' || c == '\\';
}

int pf__matcher_add(struct pf__matcher *m, const char *pattern, unsigned kind, bool leads)
{
	const char *any = pf_has_prefix(pattern, "**/") ? pattern + 3 : NULL, *last;
	struct pf__glob *more, *g;

	if (any && !strchr(any, '/') && !pf_glob_is_pattern(any))
		return add_literal(m, any, kind, leads);
	more = realloc(m->globs, (m->glob_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	m->globs = more;
	g = &more[m->glob_count];
	*g = (struct pf__glob){.text = strdup(pattern), .kinds = kind, .leads = leads};
	if (!g->text)
		return -ENOMEM;
	m->glob_count++;
	last = strrchr(g->text, '/');
	last = last ? last + 1 : g->text;
	if (strcmp(last, "**") == 0)
		return 0;
	g->first = is_wild(*last) ? 0 : *last;
	g->last = is_wild(last[strlen(last) - 1]) ? 0 : last[strlen(last) - 1];
	if (any && !strchr(any, '/'))
		g->base = last;
	return 0;
}

unsigned pf__matcher_match(const struct pf__matcher *m, const char *path, const char *name, bool is_dir)
{
	char first = *name, last = name[strlen(name) - 1];
	unsigned kinds = 0;

	if (m->table_count) {
		const struct pf__literal *l = slot(m, name);

		kinds = l->name ? l->kinds | (l->leads && !is_dir ? PF__HIT_PROTECT : 0) : 0;
	}
	for (size_t i = 0; i < m->glob_count; i++) {
		const struct pf__glob *g = &m->globs[i];

		if ((g->first && g->first != first) || (g->last && g->last != last) || (g->leads && is_dir))
			continue;
		if (g->base ? pf_glob_match(g->base, name) : pf_glob_match(g->text, path))
			kinds |= g->kinds;
	}
	return kinds;
}

void pf__matcher_free(struct pf__matcher *m)
{
	for (size_t i = 0; i < m->table_room; i++)
		free((char *)(uintptr_t)m->table[i].name);
	for (size_t i = 0; i < m->glob_count; i++)
		free(m->globs[i].text);
	free(m->table);
	free(m->globs);
	*m = (struct pf__matcher){0};
}
