/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the view: names are looked up in several trees that together are a root. */
#ifndef PF_VIEW_INTERNAL_H
#define PF_VIEW_INTERNAL_H

#include <limits.h>
#include <sys/stat.h>

#include "view/look.h"
#include "view/view.h"

/* Raise it whenever another program would be refused, or a view looks otherwise. */
#define VIEW_VERSION 1u

/* --- names.c --- */
/* The path without links; -ENOENT and the like. A path that leads out of all trees leads nowhere. */
int pf__view_resolve(const struct pf_view_want *w, const char *path, char out[PATH_MAX], struct stat *st);
int pf__view_open(const struct pf_view_want *w, const char *clean, int flags); /* what resolve gave */
/* A bare name in PATH: the first executable file of it, resolved. as: where it was found. */
int pf__view_find(const struct pf_view_want *w, const char *name, char as[PATH_MAX], char out[PATH_MAX]);
/* All that a pattern of path components matches: called with each, resolved. */
int pf__view_glob(const struct pf_view_want *w, const char *pattern,
		  int (*found)(void *ctx, const char *as, const char *clean), void *ctx);
const struct pf_view_tree *pf__view_tree_of(const struct pf_view_want *w, const char *clean);

/* --- helpers.c --- */
/* Calls with each helper of a program that goes by one of these names: a name, or a pattern with '/'. */
int pf__helpers_of(const char *name, const char *clean, int (*each)(void *ctx, const char *helper),
		   void *ctx);
bool pf__runs_any_code(const char *name);
bool pf__is_multicall(const char *name);
/* Reads the data and tries its examples; -EINVAL names the line that does not hold. Once. */
int pf__helpers_check(struct pf_error *err);

#endif
