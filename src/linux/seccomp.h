/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two system-call filters (DESIGN section 3). Filters only take away.
 *
 * The first is loaded once in init: the allow-list that commands get, plus what init
 * and its launchers still need; foreign architectures kill. It is compiled from
 * seccomp_table.c when pinfold is built (tools/mkfilter.c) and is constant data here.
 * The second, some tens of instructions, is loaded by each launcher as its last act
 * before it waits, and takes exactly those extras away with their final errno.
 */
#ifndef PF_LINUX_SECCOMP_H
#define PF_LINUX_SECCOMP_H

#include <linux/filter.h>
#include_next <linux/seccomp.h> /* the kernel's header of this name, which -Isrc hides behind ours */
#include <stddef.h>

#include "base/error.h"
#include "base/sha256.h"

struct pf_filter {
	const struct sock_filter *insns;
	size_t count;
};

/* The first filter, constant. */
struct pf_filter pf_filter_first(void);

/* Options of the second filter. */
#define PF_FILTER_NO_MEMFD 1u /* commands.allow: memfd_create answers ENOSYS */
#define PF_FILTER_NO_SETID 2u /* rw,live: no file gets a set-user-id or set-group-id bit */
#define PF_FILTER_OPTIONS  4u /* how many combinations there are */

#define PF_FILTER_SECOND_MAX 256
/* Build the second filter into out; returns the number of instructions (never fails). */
size_t pf_filter_second(struct sock_filter out[PF_FILTER_SECOND_MAX], unsigned options);

/* seccomp(SECCOMP_SET_MODE_FILTER). Needs no_new_privs or CAP_SYS_ADMIN. Usable between clone and exec. */
int pf_filter_load(const struct sock_filter *insns, size_t count, struct pf_error *err);

/* SHA-256 over both programs as given to the kernel, for the receipt. */
void pf_filter_digest(unsigned options, char out[PF_DIGEST_MAX]);

/* Read the two newest filters of a live process back from the kernel and digest them the same way. Only
 * the host's root can, and not from under a filter of its own: -EACCES or -EPERM otherwise; -ENOENT if there
 * are fewer than two. Seizes, interrupts, reads and detaches; the process runs on, and one that was stopped
 * stays stopped. At most a second; -ETIMEDOUT leaves the process traced until the caller ends. */
int pf_filter_readback(int pid, char out[PF_DIGEST_MAX], struct pf_error *err);

#endif
