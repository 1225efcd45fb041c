/* SPDX-License-Identifier: Apache-2.0 */
/* A list of strings; see list.h. */
#include "base/list.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_FIRST 8

static int list_push(struct pf_list *l, char *s)
{
	bool full = l->count == 0 || (l->count >= LIST_FIRST && (l->count & (l->count - 1)) == 0);

	if (!s)
		return -ENOMEM;
	if (full) {
		size_t room = l->count ? l->count * 2 : LIST_FIRST;
		char **items = realloc(l->items, room * sizeof(*items));

		if (!items) {
			free(s);
			return -ENOMEM;
		}
		l->items = items;
	}
	l->items[l->count++] = s;
	return 0;
}

int pf_list_add(struct pf_list *l, const char *s)
{
	return list_push(l, strdup(s));
}

int pf_list_addf(struct pf_list *l, const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return list_push(l, n < 0 ? NULL : s);
}

void pf_list_free(struct pf_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i]);
	free(l->items);
	*l = (struct pf_list){0};
}

int pf_list_copy(struct pf_list *to, const struct pf_list *from)
{
	for (size_t i = 0; i < from->count; i++)
		if (pf_list_add(to, from->items[i]) < 0)
			return -ENOMEM;
	return 0;
}
