/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proxy's own walls. It reads the enemy's bytes on the host's network, so it has nothing else there: no
 * privilege, no file, no process that it could see or signal, no system call beyond sockets and memory.
 */
#ifndef PF_EGRESS_CONFINE_H
#define PF_EGRESS_CONFINE_H

#include "egress/control.h"
#include <stdbool.h>

#include "egress/resolver.h"

/* Confine this process for good. *held: PF_EGRESS_HELD_*. What a host cannot give (namespaces, Landlock) is
 * left out of *held; what every host can (another uid, no capabilities, no_new_privs, the filter) is an
 * error. */
int pf__egress_confine(struct pf_egress_setup *setup, const struct pf_rules *rules,
		       const struct pf_resolver *resolver, uint32_t *held, struct pf_error *err);

/* The ports that the rules and the resolver need, each once. Returns how many, or -E2BIG when they are more
 * than cap (then no list of ports is worth having). */
int pf__egress_ports(const struct pf_rules *rules, const struct pf_resolver *resolver, uint16_t *out,
		     size_t cap);

/* The filter for a proxy that dials, or (dials false) only answers. Number of instructions, or -errno. */
struct sock_filter;
int pf__egress_filter(bool dials, struct sock_filter *out, size_t cap);

#endif
