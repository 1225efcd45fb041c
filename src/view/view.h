/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The view: what of a root can be started when the policy has commands.allow (DESIGN section 7). It is a
 * layer that lies over the root in a read-only overlay: in it every file that the kernel or ld.so could start,
 * and that is not on the closed list, is pinfold-refuse. It is made once, and kept in STATE/cache/views/NAME:
 *
 *	0, 1, ...   a tree of files for each of the trees of the root, with hard links of pinfold-refuse
 *	list        the closed list, a line each: path, mark, reason
 *	approved    what pinfold-refuse says, short
 *
 * A view is named by what it was made from: the list, the trees (an image by its digest), pinfold-refuse and
 * VIEW_VERSION. Trees of the host have no digest. Of them every directory that holds a program, and all above
 * it, count with inode and times, so that a program that is installed, replaced or removed gives another
 * view; and the databases of the package managers. What that leaves out is in docs/utilities.md.
 *
 * Live sandboxes hold a shared lock on their view: it is never removed under them, for then everything that
 * it covers would show.
 */
#ifndef PF_VIEW_VIEW_H
#define PF_VIEW_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"

#define PF_VIEW_TREES 48
struct pf_view_tree {
	const char *at;	    /* inside, absolute, cleaned; "/" for an image's root */
	int fd;		    /* that directory; borrowed */
	const char *digest; /* NULL: it may change */
	bool plain;	    /* nothing can be started from it (noexec): only links in it are followed */
};
struct pf_view_link { /* a link of the root that is in no tree: /bin -> usr/bin */
	const char *at, *target;
};

struct pf_view_want {
	const struct pf_view_tree *trees;
	unsigned tree_count;
	const struct pf_view_link *links;
	unsigned link_count;
	const struct pf_list *allow; /* names, or absolute paths inside */
	const char *path;	     /* where names are looked up: directories with ':' between them */
	const char *state, *libexec;
	bool progress; /* a first view may tell of itself on standard error */
};

/* One program of the closed list. */
struct pf_view_entry {
	char *path;    /* without links */
	char *why;     /* "ls" as the list has it, or "interpreter of /usr/bin/pip", "helper of git" */
	bool any_code; /* an interpreter: runs whatever it is given */
};
struct pf_view_list {
	struct pf_view_entry *items;
	size_t count;
};
void pf_view_list_free(struct pf_view_list *l);
/* Close the list: links, "#!", ELF interpreters, helpers. -ENOENT with a message that names what the root
 * lacks; -EINVAL for a program that has many others in it and is not named itself. */
int pf_view_close(const struct pf_view_want *want, struct pf_view_list *out, struct pf_error *err);

struct pf_view {
	char dir[700]; /* of the view */
	char name[72]; /* its own */
	int lock;      /* shared, on dir; -1: none */
	size_t programs, refused;
	struct pf_buf approved;
};
#define PF_VIEW_NONE                                                                                         \
	(struct pf_view)                                                                                     \
	{                                                                                                    \
		.lock = -1                                                                                   \
	}
/* The view that is kept, or a new one. Who comes while another makes it waits for that one. */
int pf_view_get(const struct pf_view_want *want, struct pf_view *out, struct pf_error *err);
void pf_view_free(struct pf_view *v);
/* Remove all that no sandbox uses, and say how many. 0 or -errno. */
int pf_view_clean(const char *state, unsigned *removed);

#endif
