/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the scan: what is known of a tree's directories, the patterns made ready, the index file.
 *
 *	scan.c		the order of things, the answer
 *	scan_plain.c	patterns; names without wildcards
 *	scan_check.c	do the directories' times still hold?
 *	scan_match.c	names against patterns
 *	scan_walk.c	reading directories, all or those that changed
 *	scan_index.c	the file
 */
#ifndef PF_WORKSPACE_SCAN_INTERNAL_H
#define PF_WORKSPACE_SCAN_INTERNAL_H

#include <stddef.h>

#include "base/buf.h"
#include "base/sha256.h"
#include "workspace/scan.h"
#include "workspace/workspace_internal.h"

#define PF__SCAN_ENTRIES_MAX 1000000u

enum pf__hit_kind { PF__HIT_MASK = 1, PF__HIT_PROTECT = 2, PF__HIT_SOCKET = 4 };

enum pf__dir_flag {
	PF__DIR_AGAIN = 1,  /* its times say too little: to be read each time */
	PF__DIR_CLOSED = 2, /* could not be read */
	PF__DIR_MOUNT = 4,  /* another mount is on it */
	PF__DIR_LONG = 8,   /* has names whose path is too long */
};

/* Directories stand before what is in them, the whole of one before the next: dirs[i].end is behind the last
 * that is in i. Written to the index as they are. */
struct pf__dir {
	uint32_t name; /* in names; of the first "" */
	uint32_t up;   /* the one it is in; of the first 0 */
	uint32_t end;
	uint32_t first_hit, hits; /* what of its entries is in the answer */
	uint32_t flags;
	uint64_t ino;
	int64_t ctime_ns;
};

enum pf__dir_state { PF__DIR_UNKNOWN, PF__DIR_HOLDS, PF__DIR_CHANGED };

struct pf__hit {
	uint32_t name, kind;
};

struct pf__tree {
	struct pf__dir *dirs;
	struct pf__hit *hits;
	char *names; /* each with its NUL */
	size_t dir_count, hit_count, name_bytes;
	size_t dir_room, hit_room, name_room;
};
void pf__tree_free(struct pf__tree *t);

/* --- scan_match.c --- */
struct pf__glob {
	char *text;
	const char *base; /* what the last component is matched with, if that decides alone; else NULL */
	char first, last; /* bytes that a matching name begins and ends with; 0: any */
	unsigned kinds;
	bool leads; /* meant is what stands in the way of a protected path: for what is no directory */
};
struct pf__literal {
	const char *name;
	unsigned kinds;
	bool leads;
};
struct pf__matcher {
	struct pf__glob *globs; /* with wildcards in the last component, or more than one component */
	size_t glob_count;
	struct pf__literal
		*table; /* names meant at any depth: open addressing, a power of two; name NULL: free */
	size_t table_room, table_count;
};
int pf__matcher_add(struct pf__matcher *m, const char *pattern, unsigned kind, bool leads); /* 0 or -ENOMEM */
/* Kinds of an entry; path ends with name. */
unsigned pf__matcher_match(const struct pf__matcher *m, const char *path, const char *name, bool is_dir);
void pf__matcher_free(struct pf__matcher *m);

/* --- scan_walk.c --- */
struct pf__walk {
	int ws_fd;
	const struct pf__matcher *matcher;
	bool sockets;
	dev_t dev;
	int64_t reference_ns;
	const struct pf__tree *old; /* NULL: everything is read */
	const uint8_t *state;	    /* enum pf__dir_state, one a directory of old */
	size_t entries;		    /* that were read */
	struct pf__tree tree;	    /* the answer */
	char path[PF__WS_PATH_MAX]; /* of the directory at work */
	size_t path_len;
	char *entries_buf; /* for getdents64(2) */
	struct pf_error *err;
};
int pf__walk(struct pf__walk *w);

/* --- the scan itself --- */
#define PF__SCAN_HELPERS 3

/* What processes that help share with the caller. */
struct pf__scan_shared {
	uint32_t next;	 /* the first directory that nobody has taken */
	uint8_t state[]; /* enum pf__dir_state, one a directory */
};

struct pf_scan {
	int ws_fd; /* borrowed */
	struct pf__matcher matcher;
	bool wild, sockets; /* a walk is needed at all */
	int64_t reference_ns;
	dev_t dev;
	int index; /* its directory; -1: none is used */
	uint8_t key[32];
	struct pf_scan_found plain; /* of names without wildcards */
	struct pf_scan_found found;
	struct pf__tree tree;
	bool warm, save;
	struct pf__scan_shared *shared; /* of a tree from the index */
	size_t shared_size;
	pid_t helpers[PF__SCAN_HELPERS];
	unsigned helper_count;
};
/* scan_check.c */
int pf__scan_check_begin(struct pf_scan *s);  /* 0 or -ENOMEM */
size_t pf__scan_check_end(struct pf_scan *s); /* look at what is left; how many directories do not hold */
void pf__scan_check_free(struct pf_scan *s);
/* scan_plain.c: patterns into plain names and the matcher; 0 or -ENOMEM */
int pf__scan_patterns(struct pf_scan *s, const struct pf_list *patterns, unsigned kind);

/* --- scan_index.c --- */
/* Read and check; -ENOENT: there is none, or none that can be used. */
int pf__index_read(int dir, const uint8_t key[32], struct pf__tree *out);
bool pf__tree_ok(const struct pf__tree *t); /* every number of it leads to where it should */
/* Best effort, atomic. */
void pf__index_write(int dir, const uint8_t key[32], const struct pf__tree *t);
/* The whole check of bytes as they come from a file. */
int pf__index_parse(const void *bytes, size_t n, const uint8_t key[32], struct pf__tree *out);

#endif
