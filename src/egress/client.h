/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper's side of the egress proxy: start it, pass it connections, read what it reports.
 *
 *     struct pf_egress e = PF_EGRESS_INIT;
 *
 *     pf_egress_start(&e, &options, &err)      on the sandbox's first connection to the port; a sandbox that
 *                                              makes none costs nothing. Without rules the proxy refuses
 *                                              everything, with the hint, and cannot even make a socket.
 *     pf_egress_pass(&e, id, fd, &err)         at once; needs no READY
 *     poll e.control for POLLIN, then          1 a message, 0 none now, -EPIPE the end, -EPROTO not trusted
 * any pf_egress_next(&e, &message, &err)       more: pf_egress_kill() pf_egress_end(&e) the sandbox ended: no
 * more connections. Read on until DONE, -EPIPE pf_egress_kill(&e)                       always last; reaps.
 * Fine at any time, and twice
 */
#ifndef PF_EGRESS_CLIENT_H
#define PF_EGRESS_CLIENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "egress/control.h"
#include "linux/helper.h"

struct pf_egress_options {
	const char *program; /* absolute path of pinfold-egress */
	const struct pf_rules *rules;
	struct pf_egress_limits limits;
	uid_t uid; /* as root: what the proxy becomes, not 0 */
	gid_t gid;
	struct pf_helper_groups groups; /* it starts in these; they stay the caller's */
	bool die_with_parent;		/* only where the calling thread lives as long as the process */
	/* Tests: ask this server, and no file of /etc, for names; family 0: the host's own. */
	struct pf_address resolver;
	uint16_t resolver_port;
};

struct pf_egress {
	int control; /* O_NONBLOCK, O_CLOEXEC */
	pid_t pid;
};
#define PF_EGRESS_INIT                                                                                       \
	{                                                                                                    \
		.control = -1, .pid = -1                                                                     \
	}

int pf_egress_start(struct pf_egress *e, const struct pf_egress_options *o, struct pf_error *err);
/* fd: one end of a stream socket pair, closed here in every case. -EAGAIN (then fd stays open): the proxy has
 * not read the ones before; wait for POLLOUT. -EPIPE: it is gone. */
int pf_egress_pass(struct pf_egress *e, uint64_t id, int fd, struct pf_error *err);
int pf_egress_next(struct pf_egress *e, union pf_egress_message *out, struct pf_error *err);
/* Behind the reports of all that was passed and is closed by now comes SYNCED with this number. 0, or -EAGAIN
 * (wait for POLLOUT), -EPIPE. */
int pf_egress_sync(struct pf_egress *e, uint32_t number);
void pf_egress_end(struct pf_egress *e);
void pf_egress_kill(struct pf_egress *e);

#endif
