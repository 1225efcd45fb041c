/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of the host is shown inside: each a directory, device or file that is copied as a
 * detached mount and attached in the new root. As root the host makes the copies (the child's
 * ids could not even traverse a directory of mode 0700); as a user the child does, since only in
 * its own namespace may it.
 */
#ifndef PF_TIER_CONTAINER_SOURCES_H
#define PF_TIER_CONTAINER_SOURCES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* ROOT: as root the finished root of a sandbox with an image; as a user that image, from which the child
 * makes it. */
enum pf_source_kind {
	PF_SRC_TREE,
	PF_SRC_DEVICE,
	PF_SRC_CGROUP,
	PF_SRC_INIT,
	PF_SRC_LINK,
	PF_SRC_ROOT,
	PF_SRC_SPENT, /* a mount that only has to go with the sandbox's old root */
};

struct pf_source {
	enum pf_source_kind kind;
	char *from;    /* absolute host path; of a link its target */
	char *to;      /* absolute inside; NULL: not attached */
	uint64_t attr; /* PF_MNT_* to set */
	dev_t dev;     /* ino 0: not checked again */
	ino_t ino;
	char *view; /* commands.allow: the layer that lies over it; NULL: none */
	bool user;  /* ... made in a user namespace */
	int fd;	    /* the detached mount; -1 until opened */
};

#define PF_SOURCES_MAX 96
struct pf_sources {
	struct pf_source item[PF_SOURCES_MAX];
	unsigned count;
};

/* The one that was added last gets a layer over it; takes view. */
void pf__shown_under(struct pf_sources *s, char *view, bool user);
/* As root: the host opens, and sends what the child is to attach while that already builds the rest. */
int pf__shown_send(int sync, const struct pf_sources *s, struct pf_error *err);
int pf__shown_take(int sync, struct pf_sources *s, struct pf_error *err);
/* A mount that exists already; fd is the list's from now on. */
int pf__shown_add_fd(struct pf_sources *s, int fd, const char *to, struct pf_error *err);
int pf__shown_add_link(struct pf_sources *s, const char *target, const char *to, struct pf_error *err);
/* Strings are copied. -E2BIG beyond PF_SOURCES_MAX. */
int pf__shown_add(struct pf_sources *s, enum pf_source_kind kind, const char *from, const char *to,
		  uint64_t attr, struct pf_error *err);
int pf__shown_open(struct pf_sources *s, struct pf_error *err);
void pf__shown_close(struct pf_sources *s);

#endif
