/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container tier, inside: the host's own kernel, fenced. Who is who:
 *
 *   host     the process that calls create(): the CLI or a program that links libpinfold
 *   child    cloned into the new namespaces; builds the root, then executes pinfold-init as PID 1
 *
 * create.c leads; identity.c decides the ids; root.c builds the root in the child; overlay.c the
 * workspace, on the host as root and in the child otherwise; inspect.c reads the receipt's outside half.
 */
#ifndef PF_TIER_CONTAINER_H
#define PF_TIER_CONTAINER_H

#include <stdbool.h>
#include <sys/types.h>

#include "image/host.h"
#include "linux/affinity.h"
#include "linux/cgroup.h"
#include "tier/container/handoff.h"
#include "tier/container/sources.h"
#include "tier/tier.h"

#define PF_INIT_UID	 65533u	     /* inside: pinfold-init, where more than one id is mapped */
#define PF_USER_UID	 1000u	     /* inside: the command */
#define PF_ID_COUNT	 65536u	     /* ids of a sandbox made by root */
#define PF_HOST_ID_BASE	 0x70000000u /* above systemd's container range (0x6fffffff), below 2^31 */
#define PF_HOST_ID_SLOTS 4094u

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
	uint32_t init, user; /* inside; groups are the same numbers */
	uint32_t host_init, host_user;
	uint32_t uid_base; /* host id = uid_base + inside id for a sandbox made by root; UINT32_MAX otherwise
			    */
	struct pf_idmap uid[3], gid[3];
	unsigned uid_count, gid_count;
};
/* runtime: where ranges of ids are locked; NULL: for a probe, none is. The caller closes out->lock. */
int pf__identity_decide(const struct pf_policy *p, const char *id, const char *runtime,
			struct pf_identity *out, struct pf_error *err);
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
	struct pf_list masks, unprotected;
	uint64_t disk;	      /* bytes of the upper */
	int64_t reference_ns; /* time of the workspace's file system at the start */
	int scratch_fd;	      /* tmpfs (or directory) that holds upper, work and mask; -1 before it is made */
	int overlay_fd;	      /* detached overlay mount, as root; -1: the child makes it */
	bool upper_on_disk;   /* rootless before 6.6: a directory of STATE/scratch */
	char scratch_path[600]; /* of that directory; "" otherwise */
	uint64_t foreign_owned, hidden;
};
int pf__workspace_plan(const struct pf_box_spec *spec, const struct pf_identity *who,
		       struct pf_workspace_plan *ws, struct pf_error *err);
void pf__workspace_free(struct pf_workspace_plan *ws);
/* On the host, as root: idmapped lower, overlay with trusted xattrs and redirect_dir. Fills scratch_fd and
 * overlay_fd. */
int pf__workspace_mount_root(struct pf_workspace_plan *ws, const struct pf_identity *who,
			     struct pf_error *err);
/* In the child: same with userxattr. Returns the detached overlay, fills scratch_fd. */
int pf__workspace_mount_child(struct pf_workspace_plan *ws, const struct pf_identity *who,
			      struct pf_error *err);

#define PF_TEMP_MIN (16ull << 20) /* what /tmp, HOME and the others share at least */

/* What the child is told; lives on the host's stack across clone(). */
struct pf_child_args {
	const struct pf_box_spec *spec;
	const struct pf_identity *who;
	struct pf_workspace_plan *ws;
	struct pf_sources *sources; /* as root empty: they come over sync */
	uint64_t temp_bytes;
	int sock;	     /* the child's end of the protocol */
	int sync;	     /* one byte comes when the ids are mapped; a handoff goes back */
	struct pf_cpus cpus; /* where init may run: the child itself is kept off the host's CPU */
	bool late_groups;    /* the execs directories come over sync, not among the sources */
	bool self_map;	     /* the child writes its own maps (one id, no helper) */
	const char *home;
};
/* Runs in the child; never returns. On failure reports over sync. */
void pf__child_main(const struct pf_child_args *a) __attribute__((noreturn));
/* Build the root file system, attach it over "/" (not yet pivoted to); returns its descriptor and fills
 * *hand. */
int pf__root_build(const struct pf_child_args *a, struct pf_handoff *hand, struct pf_error *err);

struct pf_container {
	struct pf_box box; /* first */
	char *id;
	struct pf_cgroup *cgroup;
	struct pf_identity who;
	struct pf_workspace_plan ws;
	pid_t init_pid; /* host pid of pinfold-init; 0 once reaped */
	int init_pidfd;
	uint64_t host_ns[PF_NS_KINDS]; /* the keeper's own namespaces, to compare with */
	int userns_fd;		/* as a user: held, so that the upper can be read after everything is dead */
	int temp_fd;		/* the tmpfs of /tmp and the others, for disk_limit; -1 unknown */
	struct pf_list protect; /* borrowed from the policy */
	int image_lock;		/* shared, on the image's /etc */
	bool late_groups;	/* groups are made while the child builds: v1, as root */
	struct pf_sources groups; /* those late ones */
	int sync;		  /* the handoff is still to come; -1 once it came */
	bool stopped;
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

/* limits.c: make the groups and decide; -EPERM when a limit that is required cannot be held */
int pf__limits_make(struct pf_container *c, const struct pf_policy *p, struct pf_error *err);
/* show.c */
int pf__show_all(struct pf_sources *s, const struct pf_box_spec *spec, const struct pf_host_image *image,
		 struct pf_error *err);
char *pf__tools_path(
	const struct pf_policy *p); /* directories of --tools for PATH; NULL: none. The caller frees it */
/* greet.c */
void pf__greet_hello(struct pf_container *c, const struct pf_box_spec *spec);
void pf__greet_receipt(struct pf_container *c, const struct pf_box_spec *spec);

/* inspect.c: inodes of the calling process's own namespaces; 0 unknown */
void pf__namespaces_own(uint64_t out[PF_NS_KINDS]);

int pf__container_probe(struct pf_probe *out, struct pf_error *err);
int pf__container_create(const struct pf_box_spec *spec, struct pf_box **out, struct pf_error *err);
int pf__container_settle(struct pf_box *b, struct pf_error *err);
int pf__container_inspect(struct pf_box *b, uint32_t exec, const struct pf_msg_ready *ready,
			  struct pf_outside *out, struct pf_error *err);
void pf__collect_hold(struct pf_container *c);
int pf__container_collect(struct pf_box *b, int changes_fd, struct pf_changeset *out, struct pf_error *err);
void pf__container_stop(struct pf_box *b);
void pf__container_destroy(struct pf_box *b);

#endif
