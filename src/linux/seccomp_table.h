/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the seccomp module: the table of every x86-64 system call, and the compiler that
 * makes classic BPF of it. Both run when pinfold is built (tools/mkfilter.c) and in the unit
 * test; init carries the result alone. Nothing here needs more than the compiler's headers.
 */
#ifndef PF_LINUX_SECCOMP_TABLE_H
#define PF_LINUX_SECCOMP_TABLE_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pf__cond_op {
	PF__IN,	 /* (word & mask) is one of the values */
	PF__ANY, /* (word & mask) is not 0 */
};

/*
 * A condition on the LOW 32 bits of one argument, and on nothing else: where the kernel's
 * parameter is an int it drops the high half, so a 64-bit comparison is passed by setting a high
 * bit (CVE-2019-10063, TIOCSTI in flatpak). `high`: on the other half, beside the low one, for a pointer that
 * may be NULL.
 */
struct pf__cond {
	uint8_t arg;
	bool high;
	uint8_t op;
	uint8_t values;
	uint32_t mask;
	uint32_t value[4];
};

/* An err: the caller is told that it succeeded, and nothing is done. */
#define PF__DONE 0xffff

/* If all conditions hold, the call is answered with err (0: allowed). */
struct pf__clause {
	uint16_t err;
	uint8_t conds;
	struct pf__cond cond[3];
};

/* The first clause that holds decides, otherwise `otherwise` does (0: allowed). */
struct pf__check {
	const struct pf__clause *clause;
	uint8_t clauses;
	uint16_t otherwise;
};

/* What becomes of one call: its check, or without one err (0: allowed). */
struct pf__verdict {
	const struct pf__check *check;
	uint16_t err;
};

struct pf__syscall {
	uint16_t nr;
	const char *name;
	struct pf__verdict first;  /* init and launchers: filter one */
	struct pf__verdict second; /* added by filter two for commands; allowed = filter one's word stands */
	unsigned option;	   /* PF_FILTER_*: if it was asked for, */
	struct pf__verdict optional; /* filter two says this instead of `second` */
	const char *why;
};

extern const struct pf__syscall pf__syscalls[]; /* in the order of nr */
extern const size_t pf__syscall_count;

enum pf__which { PF__FIRST, PF__SECOND };

/* What a number that is not in the table gets: ENOSYS from filter one, nothing from filter two. */
struct pf__verdict pf__filter_default(enum pf__which which);
struct pf__verdict pf__filter_verdict(const struct pf__syscall *row, enum pf__which which, unsigned options);

/*
 * Compile rows into out. Returns the number of instructions, -E2BIG if they are more than cap,
 * -EINVAL if the rows are not in the order of their numbers or a check is malformed.
 */
int pf__filter_compile(const struct pf__syscall *rows, size_t count, enum pf__which which, unsigned options,
		       struct sock_filter *out, size_t cap);

#endif
