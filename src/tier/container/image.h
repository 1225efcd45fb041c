/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root of a sandbox that runs an image (DESIGN section 8): one overlay of
 *
 *	skeleton   a tmpfs with the mount points that the image lacks, and the files that every sandbox has
 *	view       with commands.allow, what covers the programs that are not approved (view/view.h)
 *	image      its EROFS file, mounted from the file or through a loop device; or its unpacked tree
 *
 * read-only, or with an upper for "root": "cow". The image is hostile: what in it stands where pinfold has
 * places of its own is covered, whatever it is, and nothing in it is looked up through a link that could lead
 * out (CVE-2021-30465, CVE-2024-45310, CVE-2026-41579).
 *
 *	image.c      the ways to mount one, and looking things up in it
 *	account.c    who the command is in it
 *	skeleton.c   what it lacks
 *	layers.c     the overlays, on the host as root and in the child otherwise
 */
#ifndef PF_TIER_CONTAINER_IMAGE_H
#define PF_TIER_CONTAINER_IMAGE_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "image/account.h"
#include "image/store.h"
#include "tier/tier.h"

struct pf_identity;
struct pf_sources;
struct pf_workspace_plan;

/* In the order in which they are tried. */
enum pf_image_way { PF_IMAGE_FILE, PF_IMAGE_LOOP, PF_IMAGE_UNPACKED, PF_IMAGE_WAYS };

struct pf_skeleton_item {
	char type;  /* 'd' 'f' 'l' */
	bool image; /* a directory that the image has: with its attributes */
	char *path; /* relative to the root */
	mode_t mode;
	uint32_t uid, gid; /* the image's */
	struct timespec mtime;
	char *text; /* of a file; of a link its target */
	size_t size;
};

struct pf_image_root {
	const struct pf_image *image; /* the sandbox's; NULL: the host's own tools */
	enum pf_image_way way;
	int fd;		    /* as root a detached mount of it; as a user its unpacked directory */
	char path[640];	    /* unpacked: that directory */
	const char *owners; /* of its files inside: "kept", "user" (all are the command's), "nobody" */
	struct pf_account account;
	struct pf_buf passwd, group; /* the image's with lines for the account, where it lacks them */
	char *view;		     /* the layer over it that commands.allow makes; NULL: none */
	bool root_cow;
	bool home_cow;	/* HOME is a cow of the image's own, which is not empty */
	uint64_t bytes; /* of what is written to either */
	int stage_fd;	/* the tmpfs of skeleton and uppers; -1 before it is made */
	struct pf_skeleton_item *items;
	size_t count;
};
#define PF_IMAGE_ROOT_NONE                                                                                   \
	(struct pf_image_root)                                                                               \
	{                                                                                                    \
		.fd = -1, .stage_fd = -1                                                                     \
	}

/* Before the clone: mount or open it, find the account, plan the skeleton. ws_at, home: inside, or NULL. */
int pf__image_open(const struct pf_box_spec *spec, bool host_root, struct pf_image_root *out,
		   struct pf_error *err);
int pf__image_account(const struct pf_box_spec *spec, struct pf_image_root *img, struct pf_error *err);
int pf__skeleton_plan(const struct pf_box_spec *spec, const char *ws_at, struct pf_image_root *img,
		      struct pf_error *err);
void pf__image_root_free(struct pf_image_root *img);
/* Takes what cows need from the bytes that temporary files may have. */
void pf__image_share(struct pf_image_root *img, uint64_t *temp_bytes);
const char *pf__image_way_name(enum pf_image_way way); /* "erofs file", "erofs loop", "unpacked" */

/* In the image and never out of it: links are followed inside. Does not wait for a FIFO. -errno. */
int pf__image_openat(const struct pf_box_spec *spec, const struct pf_image_root *img, const char *path,
		     int flags);
int pf__image_read(const struct pf_box_spec *spec, const struct pf_image_root *img, const char *path,
		   size_t max, struct pf_buf *out); /* a regular file. 0 or -errno */
/* A directory beneath `at`, through no link at all: a layer of an overlay is named by it, and a name that led
 * out of the image would show the host's. path is absolute. */
int pf__home_open(const struct pf_box_spec *spec, int at, const char *path, int flags);
/* As root, after a way turned out not to serve: mount it by the next one. -ENODEV: there is none. */
int pf__image_next_way(const struct pf_box_spec *spec, struct pf_image_root *img, struct pf_error *err);

/* After the clone, as root: its ids become those of the child's user namespace. Adds the root, and HOME if it
 * is a cow, to what the child attaches. */
int pf__layers_host(const struct pf_box_spec *spec, const struct pf_identity *who, pid_t child,
		    struct pf_image_root *img, struct pf_sources *sources, const char *home,
		    struct pf_error *err);
/* In the child, as a user: the image is the source of kind PF_SRC_ROOT. Returns the root, detached; *home is
 * HOME or -1. */
int pf__layers_child(const struct pf_box_spec *spec, const struct pf_identity *who, struct pf_image_root *img,
		     int image_mount, int *home, struct pf_error *err);
/* Into an empty directory. ids are shifted by base; as a user the image's owner is the command's user. */
int pf__skeleton_make(const struct pf_image_root *img, const struct pf_identity *who, int dir,
		      struct pf_error *err);

/* For doctor: which ways this host has, tried with an empty image in the state directory. */
struct pf_image_ways {
	int code[PF_IMAGE_WAYS]; /* 0 or -errno */
	char text[PF_IMAGE_WAYS][160];
};
void pf__image_probe(const struct pf_dirs *dirs, struct pf_image_ways *out); /* dirs may be NULL */

#endif
