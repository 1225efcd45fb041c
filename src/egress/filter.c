/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proxy's system calls, after it has read its set-up: a table of its own for the compiler of the
 * sandbox's filters. What is not here answers ENOSYS. Numbers are those of x86-64, as in
 * linux/seccomp_table.c.
 */
#include <errno.h>
#include <linux/filter.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "egress/confine.h"
#include "linux/seccomp_table.h"

#define TYPE 0xfu /* of a socket's type: the rest is SOCK_CLOEXEC and SOCK_NONBLOCK */

/* TCP to peers, UDP to the resolver. No AF_UNIX (the host's daemons), no netlink, no raw sockets. */
static const struct pf__clause socket_clauses[] = {
	{.err = 0,
	 .conds = 3,
	 .cond = {{.arg = 0, .op = PF__IN, .mask = UINT32_MAX, .values = 2, .value = {AF_INET, AF_INET6}},
		  {.arg = 1, .op = PF__IN, .mask = TYPE, .values = 2, .value = {SOCK_STREAM, SOCK_DGRAM}},
		  {.arg = 2, .op = PF__IN, .mask = UINT32_MAX, .values = 1, .value = {0}}}},
};
static const struct pf__check check_socket = {
	.clause = socket_clauses, .clauses = 1, .otherwise = EAFNOSUPPORT};

/* Memory, and never code in it. */
static const struct pf__clause prot_clauses[] = {
	{.err = EPERM, .conds = 1, .cond = {{.arg = 2, .op = PF__ANY, .mask = PROT_EXEC}}},
};
static const struct pf__check check_prot = {.clause = prot_clauses, .clauses = 1, .otherwise = 0};

#define ROW(n, call, reason)                                                                                 \
	{                                                                                                    \
		.nr = (n), .name = #call, .why = (reason)                                                    \
	}
#define ARG(n, call, c, reason)                                                                              \
	{                                                                                                    \
		.nr = (n), .name = #call, .first = {.check = &(c)}, .why = (reason)                          \
	}

static const struct pf__syscall dialling[] = {
#ifdef PF_SAN_BUILD
	ROW(1, write, "a sanitizer's report"),
#endif
	ROW(3, close, "connections"),
	ROW(7, poll, "the loop"),
	ARG(9, mmap, check_prot, "malloc"),
	ARG(10, mprotect, check_prot, "malloc"),
	ROW(11, munmap, "malloc"),
	ROW(12, brk, "malloc"),
	ROW(13, rt_sigaction, "ignored signals"),
	ROW(14, rt_sigprocmask, "abort()"),
	ROW(15, rt_sigreturn, "the end of a handler"),
	ROW(25, mremap, "realloc"),
	ROW(28, madvise, "free"),
#ifdef PF_SAN_BUILD
	ROW(39, getpid, "a sanitizer's report"),
#endif
	ARG(41, socket, check_socket, "peers and the resolver"),
	ROW(42, connect, "peers and the resolver"),
	ROW(44, sendto, "the resolver, reports"),
	ROW(45, recvfrom, "connections"),
	ROW(46, sendmsg, "connections"),
	ROW(47, recvmsg, "the keeper's descriptors"),
	ROW(48, shutdown, "half-closed connections"),
	ROW(54, setsockopt, "TCP_NODELAY"),
	ROW(55, getsockopt, "did a connection come about, what is a descriptor of the keeper's?"),
	ROW(60, exit, "the end"),
#ifdef PF_SAN_BUILD
	ROW(131, sigaltstack, "a sanitizer's handlers"),
	ROW(186, gettid, "a sanitizer's report"),
#endif
	ROW(202, futex, "malloc's lock"),
	ROW(219, restart_syscall, "poll after SIGCONT"),
	ROW(228, clock_gettime, "where the vDSO has none"),
	ROW(231, exit_group, "the end"),
	ROW(271, ppoll, "the loop"),
	ROW(318, getrandom, "numbers of queries"),
};

int pf__egress_filter(bool dials, struct sock_filter *out, size_t cap)
{
	struct pf__syscall rows[PF_ARRAY_SIZE(dialling)];
	size_t n = 0;

	for (size_t i = 0; i < PF_ARRAY_SIZE(dialling); i++) {
		/* Without rules there is nowhere to go. */
		if (!dials && (dialling[i].nr == SYS_socket || dialling[i].nr == SYS_connect))
			continue;
		rows[n++] = dialling[i];
	}
	return pf__filter_compile(rows, n, PF__FIRST, 0, out, cap);
}
