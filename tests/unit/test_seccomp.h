/* SPDX-License-Identifier: Apache-2.0 */
/* For the two tests of the filters as programs: an interpreter of classic BPF, and arguments to try. */
#ifndef TEST_SECCOMP_H
#define TEST_SECCOMP_H

#include <errno.h>
#include <linux/audit.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "linux/seccomp.h"
#include "linux/seccomp_table.h"

#define KILL SECCOMP_RET_KILL_PROCESS
#define OK   SECCOMP_RET_ALLOW

struct program {
	struct sock_filter insns[BPF_MAXINSNS];
	size_t count;
};

static struct program one, two; /* the two filters */
static unsigned long executed;	/* instructions, since somebody set it to 0 */

/* The subset of classic BPF that seccomp takes and we emit; anything else fails the test. */
static uint32_t run(const struct program *p, uint32_t arch, uint32_t nr, const uint64_t args[6])
{
	struct seccomp_data d = {.nr = (int)nr, .arch = arch};
	uint32_t acc = 0;

	memcpy(d.args, args, sizeof(d.args));
	for (size_t pc = 0; pc < p->count; pc++) {
		const struct sock_filter *i = &p->insns[pc];
		bool yes = false;

		executed++;
		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(i->k % 4 == 0 && i->k < sizeof(d));
			memcpy(&acc, (char *)&d + i->k, 4);
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			acc &= i->k;
			continue;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			continue;
		case BPF_RET | BPF_K:
			return i->k;
		case BPF_JMP | BPF_JEQ | BPF_K:
			yes = acc == i->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			yes = acc >= i->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			yes = acc > i->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			yes = acc & i->k;
			break;
		default:
			fail_msg("instruction %zu has code %#x", pc, i->code);
		}
		pc += yes ? i->jt : i->jf;
	}
	fail_msg("the program runs over its end");
	return 0;
}

static uint32_t native(const struct program *p, uint32_t nr, const uint64_t args[6])
{
	return run(p, AUDIT_ARCH_X86_64, nr, args);
}

/* Values that mean something somewhere. */
static uint64_t interesting(void)
{
	static const uint32_t v[] = {0,	      1,	2,	 3,	  5,	     6,		 10,
				     16,      17,	36,	 38,	  40,	     0x5412,	 0x541c,
				     0x541d,  0x5423,	0x5401,	 0x80001, 0x802,     0x80805,	 0020000,
				     0060000, 0100644,	0010600, 0140000, 0x20000,   0x40000,	 0x60000,
				     8,	      0x400000, 0x11,	 0x80,	  0x2000000, 0x10000000, 0x7e020000};
	uint64_t low = random() % 8 ? v[(size_t)random() % PF_ARRAY_SIZE(v)] : (uint32_t)random() * 2u;

	if (random() % 16 == 0)
		low = UINT32_MAX;
	return low | (random() % 2 ? (uint64_t)random() << 32 : 0);
}

static int setup(void **state)
{
	struct pf_filter f = pf_filter_first();

	(void)state;
	srandom(1);
	memcpy(one.insns, f.insns, f.count * sizeof(*f.insns));
	one.count = f.count;
	two.count = pf_filter_second(two.insns, 0);
	return 0;
}

#endif
