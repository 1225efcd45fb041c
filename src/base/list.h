/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of strings, each its own allocation. Zero-initialised is empty and valid. There is no capacity: the
 * room is the power of two at or above count, at least 8; so lists grow through pf_list_add() alone.
 */
#ifndef PF_BASE_LIST_H
#define PF_BASE_LIST_H

#include <stddef.h>

struct pf_list {
	char **items;
	size_t count;
};

int pf_list_add(struct pf_list *l, const char *s); /* copies s; 0 or -ENOMEM */
int pf_list_addf(struct pf_list *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int pf_list_copy(struct pf_list *to, const struct pf_list *from); /* adds all of from; 0 or -ENOMEM */
void pf_list_free(struct pf_list *l);				  /* leaves it empty and valid */

#endif
