/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container tier, inside: the host's own kernel, fenced. Who is who:
 *
 *   host     the process that calls create(): the CLI or a program that links libpinfold
 *   child    cloned into the new namespaces; builds the root, then executes pinfold-init as PID 1
 *
 * create.c leads; identity.c decides the ids; root.c builds the root in the child; inspect.c reads the
 * receipt's outside half. The workspace: plan.c decides, overlay.c mounts it, on the host as root and in the
 * child otherwise, upper.c makes its upper where that is a file system on disk, live.c covers parts of a
 * directory that is shown itself, renew.c gives a sandbox that lives another one.
 */
#ifndef PF_TIER_CONTAINER_H
#define PF_TIER_CONTAINER_H

#include <stdbool.h>
#include <sys/types.h>

#include "image/host.h"
#include "linux/affinity.h"
#include "linux/cgroup.h"
#include "tier/container/handoff.h"
#include "tier/container/image.h"
#include "tier/container/sources.h"
#include "tier/tier.h"
#include "view/view.h"
#include "workspace/scan.h"

#define PF_INIT_UID	 65533u	     /* inside: pinfold-init, where more than one id is mapped */
#define PF_USER_UID	 1000u	     /* inside: the command */
#define PF_ID_COUNT	 65536u	     /* ids of a sandbox made by root */
#define PF_HOST_ID_BASE	 0x70000000u /* above systemd's container range (0x6fffffff), below 2^31 */
#define PF_HOST_ID_SLOTS 4094u
/* One id more for each range, which no sandbox maps: of what works on the host for that sandbox. */
#define PF_HOST_HELPER_BASE (PF_HOST_ID_BASE + PF_HOST_ID_SLOTS * PF_ID_COUNT)

struct pf_idmap {
	uint32_t inside, host, count;
};

/* Which ids a sandbox has, inside and out. */
struct pf_identity {
	bool host_root;	     /* the caller is uid 0 of its user namespace */
	bool helpers;	     /* maps are written by newuidmap and newgidmap */
	bool deny_setgroups; /* a gid map that we write ourselves needs it (user_namespaces(7)) */
	bool shared;	     /* init has the command's uid */
	int lock;	     /* on the range of ids, as root; -1 */
	uid_t caller;
	gid_t caller_gid;
	uint32_t init, user, group; /* inside; init's group is its own number */
	uint32_t host_init, host_user, host_group;
	uint32_t host_helper; /* as root: of its processes on the host; 0 otherwise */
	uint32_t uid_base; /* host id = uid_base + inside id for a sandbox made by root; UINT32_MAX otherwise
			    */
	struct pf_idmap uid[3], gid[3];
	unsigned uid_count, gid_count;
};
/* account: the command's, of an image; NULL: the policy's. runtime: where ranges of ids are locked; NULL: for
 * a probe, none is. The caller closes out->lock. */
int pf__identity_decide(const struct pf_policy *p, const struct pf_account *account, const char *id,
			const char *runtime, struct pf_identity *out, struct pf_error *err);
/* Write the maps of child's user namespace; 0: of the calling process's own. */
int pf__identity_write(const struct pf_identity *who, pid_t child, struct pf_error *err);
/* A user namespace that maps owner -> user on the host, for idmapped mounts. Returns its descriptor. */
int pf__identity_idmap(uint32_t uid_from, uint32_t gid_from, uint32_t uid_to, uint32_t gid_to,
		       struct pf_error *err);

/* The workspace as it will be mounted. */
struct pf_workspace_plan {
	enum pf_ws_mode mode; /* PF_WS_NONE: no workspace */
	char *host_path;      /* resolved, absolute */
	char *at;	      /* inside */
	int fd;		      /* the directory, O_PATH... on the host */
	dev_t dev;	      /* identity of that directory, for whoever opens it again */
	ino_t ino;
	uid_t owner;
	gid_t owner_gid;
	mode_t dir_mode;
	struct pf_scan *scan;  /* by which masks and covers were found; NULL once it has ended */
	bool confirmed;	       /* they hold; until then they are as an index has them */
	struct pf_list stages; /* PF_STAGE_PREFIX names at its top */
	uint64_t attr;	       /* PF_MNT_* of what is mounted */
	struct pf_list masks, unprotected;
	uint64_t disk;	      /* bytes of the upper, and of a copy */
	int64_t reference_ns; /* time of the workspace's file system at the start */
	int scratch_fd;	      /* tmpfs (or directory) that holds upper, work and mask; -1 before it is made */
	int overlay_fd;	      /* detached overlay mount, as root; -1: the child makes it */
	bool upper_on_disk;   /* rootless before 6.6: a directory of STATE/scratch */
	bool upper_on_image;  /* root, larger than memory allows: upper.c */
	bool copied; /* root, a file system without idmapped mounts: the lower is a copy in the scratch */
	struct pf_list covers;	    /* rw,live: what live.c is to do, see there */
	struct pf_list exposed;	    /* rw,live: what it cannot do; for receipt.unprotected as it is */
	const struct pf_dirs *dirs; /* borrowed, as the id */
	const char *id;
	char scratch_path[600]; /* of that directory; "" otherwise */
	uint64_t foreign_owned, hidden;
};
int pf__workspace_plan(const struct pf_box_spec *spec, const struct pf_identity *who,
		       struct pf_workspace_plan *ws, struct pf_error *err);
void pf__workspace_free(struct pf_workspace_plan *ws);
/* Look at all that was taken from an index. 1: masks or covers have changed, and must be mounted anew. */
int pf__workspace_confirm(struct pf_workspace_plan *ws, const char *breaks, struct pf_error *err);
void pf__workspace_end_scan(struct pf_workspace_plan *ws); /* writes the index if need be */
/* What the receipt says of it; lists move there. */
void pf__workspace_tell(struct pf_workspace_plan *ws, struct pf_receipt *r);
void pf__workspace_remove_scratch(struct pf_workspace_plan *ws); /* what of it is a directory on disk */
/* On the host, as root: idmapped lower, overlay with trusted xattrs and redirect_dir. Fills scratch_fd and
 * overlay_fd. */
int pf__workspace_mount_root(struct pf_workspace_plan *ws, const struct pf_identity *who,
			     struct pf_error *err);
/* In the child: same with userxattr. Returns the detached overlay, fills scratch_fd. */
int pf__workspace_mount_child(struct pf_workspace_plan *ws, const struct pf_identity *who,
			      struct pf_error *err);

/* What it may take of the memory: files in a tmpfs count there. */
uint64_t pf__workspace_in_memory(const struct pf_workspace_plan *ws);

/* upper.c: a detached ext4 of so many bytes for the scratch; -EPERM where the state's file system cannot hold
 * them */
int pf__upper_image(const struct pf_box_spec *spec, uint64_t bytes, struct pf_error *err);
void pf__upper_release(int *mount_fd); /* its end, without waiting for it */

/* live.c. On the host: what of the directory is to be covered, and what cannot be. */
int pf__live_plan(const struct pf_scan_found *found, const char *breaks, struct pf_workspace_plan *ws,
		  struct pf_error *err);
/* In the sandbox's mount namespace, when the directory is attached at `at` beneath root. */
int pf__live_cover(const struct pf_workspace_plan *ws, int root, struct pf_error *err);

#define PF_TEMP_MIN (16ull << 20) /* what /tmp, HOME and the others share at least */

/* What the child is told; lives on the host's stack across clone(). */
struct pf_child_args {
	const struct pf_box_spec *spec;
	const struct pf_identity *who;
	struct pf_workspace_plan *ws;
	struct pf_image_root *image; /* its image is NULL for the host's own tools */
	struct pf_sources *sources;  /* as root empty: they come over sync */
	uint64_t temp_bytes;
	int sock;	     /* the child's end of the protocol */
	int sync;	     /* one byte comes when the ids are mapped; a handoff goes back */
	struct pf_cpus cpus; /* where init may run: the child itself is kept off the host's CPU */
	bool late_groups;    /* the execs directories come over sync, not among the sources */
	bool self_map;	     /* the child writes its own maps (one id, no helper) */
	const char *home;
	const char *approved; /* commands.allow: what pinfold-refuse says; NULL: no list */
};
/* Runs in the child; never returns. On failure reports over sync. */
void pf__child_main(const struct pf_child_args *a) __attribute__((noreturn));
/* root.c: make root/path and its parents where they are missing; returns it opened (O_PATH). Links on the way
 * are refused. */
int pf__root_dirs(const struct pf_child_args *a, int root, const char *path, struct pf_error *err);

/* own_places.c: detached file systems. In the child, which ends soon after a failure: nothing closes them. */
struct pf_own_places {
	int dev, pts, temp;
};
int pf__places_prepare(const struct pf_child_args *a, struct pf_own_places *out, struct pf_error *err);
int pf__places_attach(const struct pf_child_args *a, int root, const struct pf_own_places *p,
		      struct pf_error *err);

/* Build the root file system, attach it over "/" (not yet pivoted to); returns its descriptor and fills
 * *hand. */
int pf__root_build(const struct pf_child_args *a, struct pf_handoff *hand, struct pf_error *err);

struct pf_container {
	struct pf_box box; /* first */
	char *id;
	struct pf_cgroup *cgroup;
	struct pf_identity who;
	struct pf_workspace_plan ws;
	struct pf_image_root image; /* the sandbox's image; its image is NULL for the host's own tools */
	pid_t init_pid;		    /* host pid of pinfold-init; 0 once reaped */
	int init_pidfd;
	uint64_t host_ns[PF_NS_KINDS]; /* the keeper's own namespaces, to compare with */
	int userns_fd;		/* as a user: held, so that the upper can be read after everything is dead */
	bool detached;		/* the workspace was taken out of the live sandbox */
	bool outdated;		/* what it hides or protects is not what it should */
	int temp_fd;		/* the tmpfs of /tmp and the others, for disk_limit; -1 unknown */
	struct pf_list protect; /* borrowed from the policy */
	int image_lock;		/* shared, on the image's /etc */
	bool late_groups;	/* groups are made while the child builds: v1, as root */
	struct pf_sources groups; /* those late ones */
	int sync;		  /* the handoff is still to come; -1 once it came */
	bool stopped;
	struct pf_view view;	   /* commands.allow */
	struct pf_list view_trees; /* where the trees of the view are inside, by their number */
	int64_t refused_at;	   /* how far what pinfold-refuse left was read */
};

/* Is a defence switched off by PF_BREAK? Always false in release builds, where no name of one is compiled in.
 */
#ifdef PF_BREAK_BUILD
bool pf__broken(const char *breaks, const char *name);
#else
#define pf__broken(breaks, name) ((void)(breaks), 0)
#endif

/* Mount attributes of whatever is shown or writable. */
#define pf__safe(breaks)                                                                                     \
	((pf__broken(breaks, "nosuid") ? 0 : PF_MNT_NOSUID) |                                                \
	 (pf__broken(breaks, "nodev") ? 0 : PF_MNT_NODEV))

/* Mounts that nothing can be started from while there is a list of programs. */
#define pf__no_exec(spec)                                                                                    \
	((spec)->policy->commands.count && !pf__broken((spec)->breaks, "noexec") ? PF_MNT_NOEXEC : 0)

/* approved.c: commands.allow. Before the clone, when the image is open and the workspace planned. */
int pf__view_plan(struct pf_container *c, const struct pf_box_spec *spec, struct pf_error *err);
/* The layer over the tree that is at `at`; NULL: none (or no memory). The caller frees it. */
char *pf__view_layer(const struct pf_container *c, const char *at);
/* A read-only overlay of a layer and what is opened as lower (attached in this mount namespace), detached. */
int pf__view_over(const char *view, int lower, bool user, uint64_t attr, struct pf_error *err);
/* In the child: the directory "pinfold" of the temporary files, which is attached at PF_VIEW_PLACE. */
int pf__view_place(const struct pf_child_args *a, int temp, struct pf_error *err);
int pf__container_programs(const struct pf_box_spec *spec, struct pf_view_list *out, struct pf_error *err);
void pf__container_refused(struct pf_box *b, struct pf_buf *lines);

/* limits.c: make the groups and decide; -EPERM when a limit that is required cannot be held */
int pf__limits_make(struct pf_container *c, const struct pf_policy *p, struct pf_error *err);
/* show.c */
int pf__show_all(struct pf_container *c, struct pf_sources *s, const struct pf_box_spec *spec,
		 const struct pf_host_image *image,
		 struct pf_error *err); /* with an image of the sandbox's own, only /sys of the host's */
char *pf__tools_path(
	const struct pf_policy *p); /* directories of --tools for PATH; NULL: none. The caller frees it */
/* greet.c */
void pf__greet_hello(struct pf_container *c, const struct pf_box_spec *spec);
void pf__greet_receipt(struct pf_container *c, const struct pf_box_spec *spec);

/* inspect.c: inodes of the calling process's own namespaces; 0 unknown */
void pf__namespaces_own(uint64_t out[PF_NS_KINDS]);

int pf__container_probe(const struct pf_dirs *dirs, struct pf_probe *out, struct pf_error *err);
int pf__container_create(const struct pf_box_spec *spec, struct pf_box **out, struct pf_error *err);
int pf__container_settle(struct pf_box *b, struct pf_error *err);
int pf__container_inspect(struct pf_box *b, uint32_t exec, const struct pf_msg_ready *ready,
			  struct pf_outside *out, struct pf_error *err);
void pf__collect_hold(struct pf_container *c);
/* collect.c: run work in a process that is in the sandbox's user namespace where the caller is no root, and
 * hand its error and its scratch descriptor back. */
int pf__in_sandbox(struct pf_container *c,
		   int (*work)(struct pf_container *c, void *arg, struct pf_handoff *hand,
			       struct pf_error *err),
		   void *arg, struct pf_handoff *hand, struct pf_error *err);
int pf__container_collect(struct pf_box *b, int changes_fd, const char *id, struct pf_changeset *out,
			  struct pf_error *err);
/* renew.c */
int pf__workspace_detach(struct pf_container *c, struct pf_error *err);
bool pf__container_look(struct pf_box *b);
int pf__container_confirm(struct pf_box *b, const struct pf_box_spec *spec, struct pf_error *err);
void pf__container_begin(struct pf_box *b);
int pf__container_renew(struct pf_box *b, const struct pf_box_spec *spec, struct pf_error *err);
void pf__container_stop(struct pf_box *b);
void pf__container_destroy(struct pf_box *b);

#endif
