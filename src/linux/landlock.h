/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock (Documentation/userspace-api/landlock.rst), the second wall around the file
 * system: what the mounts already refuse, refused once more by another part of the kernel.
 */
#ifndef PF_LINUX_LANDLOCK_H
#define PF_LINUX_LANDLOCK_H

#include_next <linux/landlock.h> /* the kernel's header of this name, which -Isrc hides behind ours */
#include <stdbool.h>

#include "base/error.h"

int pf_landlock_abi(void); /* 0 where the kernel has none or has it switched off */

enum pf_landlock_access {
	PF_LL_READ,   /* read files and directories, execute */
	PF_LL_WRITE,  /* READ, and everything but making device nodes */
	PF_LL_DEVICE, /* READ, write to existing files, ioctl on devices */
};

struct pf_landlock_rule {
	const char *path; /* resolved when the ruleset is made; one that does not exist is skipped */
	enum pf_landlock_access access;
};

/* Make a ruleset of everything that this kernel's ABI can handle on files (never network: the
 * sandbox has only its own loopback). Returns a descriptor (O_CLOEXEC), or -EOPNOTSUPP without Landlock. */
int pf_landlock_ruleset(const struct pf_landlock_rule *rules, int count, struct pf_error *err);
/* Restrict the calling thread; needs no_new_privs. */
int pf_landlock_restrict(int ruleset, struct pf_error *err);
/* ABI 6: no signals and no abstract sockets to the outside of this domain. Loaded once in init, so that all
 * of a sandbox's execs share one domain. -EOPNOTSUPP below ABI 6. */
int pf_landlock_scope(struct pf_error *err);

#endif
