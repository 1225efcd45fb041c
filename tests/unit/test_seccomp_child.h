/* SPDX-License-Identifier: Apache-2.0 */
/* For the two tests of the filters in the kernel: what a child does, as init and a launcher do it. */
#ifndef TEST_SECCOMP_CHILD_H
#define TEST_SECCOMP_CHILD_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "linux/seccomp.h"

/* In a child: say which line, and end it. */
#define MUST(cond)                                                                                           \
	do {                                                                                                 \
		if (!(cond)) {                                                                               \
			dprintf(2, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #cond, strerror(errno));  \
			_exit(1);                                                                            \
		}                                                                                            \
	} while (0)

static void load_first(void)
{
	struct pf_filter f = pf_filter_first();

	MUST(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	MUST(!pf_filter_load(f.insns, f.count, NULL));
}

static void load_second(unsigned options)
{
	struct sock_filter insns[PF_FILTER_SECOND_MAX];

	MUST(!pf_filter_load(insns, pf_filter_second(insns, options), NULL));
}

#endif
