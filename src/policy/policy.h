/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy: one document (DESIGN section 7), every default filled in. Read from JSON with
 * comments and trailing commas; unknown and duplicate keys, wrong types and contradictions are
 * errors that name file and line. The command line then writes over it: what it sets counts as
 * written by the user, exactly as a key of the document does.
 *
 * Document (defaults):
 * {
 *   "tier": "auto",                       // auto | container   (sentry, microvm: "not in this build" until
 * they exist) "min_tier": "container", "require": [],                        // limits userns netns seccomp
 * landlock cgroup init_uid memory cpus processes wall_time ... "limits": { "memory": "1G", "cpus": null,
 * "processes": 256, "wall_time": "60s", "idle_time": null, "output": "64M", "output_inline": "1M", "disk":
 * null, "open_files": 1024, "default": [] },          // limits that stand here only because they are
 * printed: not "written" while unchanged "network": "none",                    // or { "allow":
 * ["HOST:PORT"], "connections": 200, "bytes": null, "bytes_per_second": null, "idle_time": "10m",
 * "dial_time": "30s" } "root": "ro",                         // ro | cow "image": "host", "tools": [], //
 * absolute directories, read-only at their own path, their bin on PATH "user": "user", // user | root
 * "capabilities": [],                   // with user root only: chown dac_override fowner fsetid setuid
 * setgid "env": {}, // added to PATH HOME USER LANG (and TERM with a terminal) "workspace": { "path": null,
 * "mode": "cow", "at": null }, "mounts": [], //
 * {"from": "/data", "to": "/data"}; read-only "secrets": { "mask": [ default list ] }, "protect": [ default
 * list ]            // in both lists "..." stands for the list before it, here the default
 * }
 */
#ifndef PF_POLICY_POLICY_H
#define PF_POLICY_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/list.h"
#include "base/sha256.h"
#include "egress/rules.h"

/* One bit a limit; used for `written`, `required`, `held`, `unenforced`, and what an exec hit. */
enum pf_limit {
	PF_LIMIT_MEMORY = 1u << 0,
	PF_LIMIT_CPUS = 1u << 1,
	PF_LIMIT_PROCESSES = 1u << 2,
	PF_LIMIT_WALL = 1u << 3,
	PF_LIMIT_IDLE = 1u << 4,
	PF_LIMIT_OUTPUT = 1u << 5,
	PF_LIMIT_DISK = 1u << 6,
	PF_LIMIT_OPEN_FILES = 1u << 7,
};
#define PF_LIMIT_ALL 0xffu
const char *pf_limit_name(enum pf_limit one); /* "memory" "cpus" "processes" "wall_time" "idle_time" "output"
						 "disk" "open_files" */

/* What --require and "require" can ask for beside limits. */
enum pf_require {
	PF_REQUIRE_LIMITS = 1u << 16, /* all limits, written or default */
	PF_REQUIRE_USERNS = 1u << 17,
	PF_REQUIRE_NETNS = 1u << 18,
	PF_REQUIRE_SECCOMP = 1u << 19,
	PF_REQUIRE_LANDLOCK = 1u << 20,
	PF_REQUIRE_CGROUP = 1u << 21,
	PF_REQUIRE_INIT_UID = 1u << 22, /* init has a uid of its own */
};
/* "seccomp", "memory" ... -> bit; -EINVAL with a message that lists the words. */
int pf_require_parse(const char *word, uint32_t *bit, struct pf_error *err);

struct pf_limits {
	uint64_t memory, output, output_inline, disk; /* bytes; disk 0: default (half the memory) */
	uint32_t cpu_milli;			      /* 0: no limit */
	uint32_t processes, open_files;
	uint64_t wall_ms, idle_ms; /* 0: none */
	uint32_t written; /* PF_LIMIT_* that the user wrote: a host that cannot hold one gives `boundary` */
};

enum pf_ws_mode {
	PF_WS_NONE,
	PF_WS_RO,
	PF_WS_COW,  /* writes stay in the sandbox and become a change set */
	PF_WS_RW,   /* the same, and applied after every exec */
	PF_WS_LIVE, /* the directory itself */
};
/* Do writes go to a layer of the sandbox's own? */
static inline bool pf_ws_has_upper(enum pf_ws_mode mode)
{
	return mode == PF_WS_COW || mode == PF_WS_RW;
}

enum pf_tier_ask { PF_TIER_AUTO, PF_TIER_CONTAINER, PF_TIER_SENTRY, PF_TIER_MICROVM };

/* What may be reached through the door. No rule: nothing, and the limits mean nothing. */
struct pf_network {
	struct pf_rules allow;
	uint32_t connections;		  /* at once */
	uint64_t bytes, bytes_per_second; /* both ways, all together; 0: no limit */
	uint64_t idle_ms, dial_ms;	  /* of one connection */
};
#define PF_NETWORK_CONNECTIONS_MAX 200u

struct pf_mount {
	char *from, *to;
};

struct pf_policy {
	enum pf_tier_ask tier, min_tier;
	uint32_t require; /* PF_LIMIT_* | PF_REQUIRE_* */
	struct pf_limits limits;
	bool root_cow;
	bool user_root;
	char *user;	       /* of an image: "NAME", "UID", with or without ":GROUP" or ":GID"; NULL: as the
				  image says if that is not root, else uid 1000 */
	uint64_t capabilities; /* bit mask by CAP_ number */
	char *image;	       /* "host", a name or a digest */
	struct pf_list tools;  /* cleaned absolute paths */
	struct pf_list env;    /* "K=V", order of first mention, later value wins */
	char *ws_path;	       /* as the user gave it; NULL: none */
	char *ws_at;	       /* where it appears inside; NULL: its own absolute path */
	enum pf_ws_mode ws_mode;	/* PF_WS_NONE exactly while ws_path is NULL */
	enum pf_ws_mode ws_mode_wanted; /* of a workspace that is named later: a document may say "ro" and
					   leave the path to the command line; never NONE */
	struct pf_mount *mounts;
	size_t mount_count;
	struct pf_list mask;	      /* secrets.mask */
	struct pf_list secret_values; /* secrets.values: NAME=@FILE or NAME=env:VARIABLE, never a value */
	struct pf_list protect;
	struct pf_list commands; /* commands.allow: names, or absolute paths inside; empty: every program may
				    be started */
	bool commands_build;	 /* commands.build: the workspace may hold programs */
	struct pf_policy_prompt {
		uint8_t user, tool,
			output; /* enum pf_guard_mode; output is never enforced: it is over then */
		uint8_t at;	/* enum pf_prompt_level from which enforce acts */
		char *stricter; /* a document that is then written over this; NULL: refused */
	} guard_prompt;
	struct pf_network network;
	uint8_t guard_output; /* enum pf_guard_mode */
	char *guard_command;  /* guard.command as compact JSON, checked; NULL: off */
	char *cwd;	      /* NULL: workspace, else HOME. Command line only */
};

int pf_policy_defaults(struct pf_policy *p, struct pf_error *err);
/* Write the document over *p (which has defaults). name is for messages. Nothing is kept of text. */
int pf_policy_parse(struct pf_policy *p, const char *text, size_t n, const char *name, struct pf_error *err);
int pf_policy_load(struct pf_policy *p, const char *path,
		   struct pf_error *err); /* reads at most 1 MiB; "-" is stdin */
/* Contradictions that show only in the whole: capabilities without user root, memory under 4 MiB,
 * mounts or a workspace over /proc, /dev, /sys, / or each other, min_tier above tier, idle_time longer than
 * wall_time, output_inline above output. Call after the command line was applied. -EINVAL. Whether a limit
 * can be held is the tier's to say. */
int pf_policy_check(const struct pf_policy *p, struct pf_error *err);
/* The part of it about places, once more, for a workspace whose path is relative or has links: at is where it
 * really appears inside (absolute, cleaned). pf_policy_check() judges the spelling only. */
int pf_policy_check_workspace(const struct pf_policy *p, const char *at, struct pf_error *err);
/* The whole document with defaults, for `policy show` (indent 2, ends with a newline) and for the digest
 * (indent 0). */
int pf_policy_print(const struct pf_policy *p, unsigned indent, struct pf_buf *out);
int pf_policy_digest(const struct pf_policy *p, char out[PF_DIGEST_MAX]);
/* A deep copy; 0, or -ENOMEM and *to untouched. What *to held is not freed. */
int pf_policy_copy(const struct pf_policy *from, struct pf_policy *to);
void pf_policy_free(struct pf_policy *p);

/* guard.command, read again; mode off where there is none. The caller frees it. -ENOMEM. */
struct pf_command_policy;
int pf_policy_command(const struct pf_policy *p, struct pf_command_policy *out, struct pf_error *err);

/* For the command line: each is one option's effect. */
int pf_policy_set_env(struct pf_policy *p, const char *kv,
		      struct pf_error *err); /* K=V, or K: copied from the caller's environment */
int pf_policy_set_workspace(struct pf_policy *p, const char *arg,
			    struct pf_error *err); /* DIR[:ro|:cow|:rw|:rw,live][:path=P] */
int pf_policy_add_tools(struct pf_policy *p, const char *dir, struct pf_error *err);
/* NAME[,NAME...]: more programs on the list */
int pf_policy_add_commands(struct pf_policy *p, const char *names, struct pf_error *err);
int pf_policy_set_user(struct pf_policy *p, const char *user,
		       struct pf_error *err); /* user | root | 0 | NAME[:GROUP] */
int pf_policy_set_image(struct pf_policy *p, const char *image, struct pf_error *err);
int pf_policy_set_tier(struct pf_policy *p, const char *tier, struct pf_error *err);
int pf_policy_allow(struct pf_policy *p, const char *rule,
		    struct pf_error *err); /* HOST:PORT; one that is there already stays one */
/* one limit by the name of its option or key: memory cpus processes timeout|wall_time idle-timeout|idle_time
 * output-limit|output disk open-files */
int pf_policy_set_limit(struct pf_policy *p, const char *name, const char *value, struct pf_error *err);

const char *pf_ws_mode_name(enum pf_ws_mode m); /* "rw,live"; "" for none */
const char *pf_tier_name(enum pf_tier_ask t);	/* "container" */
extern const char *const pf_default_mask[];	/* NULL-terminated */
extern const char *const pf_default_protect[];

#endif
