/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's end of the door: connections that init forwards (proto/msg.h) go to this sandbox's
 * pinfold-egress, which is started with the first of them. Nothing else of the host is behind the door, and
 * the keeper itself never dials: it moves bytes between a stream and a socket pair, whoever sends them.
 *
 * What fails, fails closed: a proxy that cannot be started, dies or does not answer is not replaced, every
 * connection ends, and result and receipt say so.
 */
#ifndef PF_SANDBOX_DOOR_H
#define PF_SANDBOX_DOOR_H

#include <poll.h>

#include "sandbox/sandbox.h"

/* What init says. Negative: init broke the protocol. */
int pf__door_connected(struct pf_sandbox *s, const uint8_t *body, size_t n, struct pf_error *err);
int pf__door_turned_away(struct pf_sandbox *s, const uint8_t *body, size_t n, struct pf_error *err);
int pf__door_data(struct pf_sandbox *s, uint32_t stream, const uint8_t *p, size_t n, struct pf_error *err);
void pf__door_eof(struct pf_sandbox *s, uint32_t stream);
void pf__door_stopped(struct pf_sandbox *s, uint32_t stream);

/* A descriptor that is readable when anything of door or protocol is ready; -1 while nobody has knocked: then
 * the protocol's socket is all there is. */
int pf__door_fd(const struct pf_sandbox *s);
/* Serve what is ready. revents: of the protocol's socket. */
void pf__door_serve(struct pf_sandbox *s, short *revents);

/* An exec ends: wait until the proxy has told all of it, at most a moment. */
void pf__door_settle(struct pf_exec *e);
void pf__door_free(struct pf_sandbox *s); /* the proxy is dead when this returns */

/* door_report.c: what the proxy tells, into the results of the execs that run. */
struct pf_egress_report;
void pf__door_report(struct pf_sandbox *s, const struct pf_egress_report *r);
void pf__door_left_out(struct pf_sandbox *s, uint64_t denials, uint64_t connections);
void pf__door_deny(struct pf_sandbox *s, const char *rule, const char *hint, uint64_t times);

#endif
