/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the view: the walk, what it marks, and the copies of pinfold-refuse. */
#ifndef PF_VIEW_SCAN_H
#define PF_VIEW_SCAN_H

#include "view/view_internal.h"

#define PF_REFUSE_FILE "refuse.%u"

struct pf__scan {
	const struct pf_view_want *want;
	const struct pf_view_list *list; /* sorted by path */
	int out;			 /* the new view's directory */
	int refuse;			 /* pinfold-refuse */
	const struct pf_view_tree *tree;
	unsigned tree_index;
	int top; /* out/INDEX */
	size_t refused, seen;
	uint64_t copied;	/* bytes */
	unsigned copies, links; /* of pinfold-refuse; of the last of these */
	struct pf_buf marks;	/* of trees without a digest: directories with programs in or below them, */
	struct pf_buf rest;	/* and all others */
	struct timespec began;	/* by the clock that stamps files */
	bool young;		/* something changed as it was looked at */
	struct pf_error *err;
};

/* Cover one tree. */
int pf__view_scan(struct pf__scan *s);
/* Another copy of pinfold-refuse into the view, with its mark. */
int pf__refuse_copy(struct pf__scan *s);

/* --- marks.c: what of the host a view depends on --- */
int pf__mark_add(struct pf_buf *marks, unsigned tree, const char *rel, const struct stat *st);
/* Did it change so shortly before that a change after it may bear the same time? */
bool pf__is_young(const struct stat *st, struct timespec began);
/* Are all of these directories as they were? */
bool pf__marks_hold(const struct pf_view_want *w, const char *marks, size_t n);
/* The fingerprint of marks as they were, or (now) as the trees are now. */
int pf__marks_digest(const struct pf_view_want *w, const char *marks, size_t n, bool now, char out[17]);

#endif
