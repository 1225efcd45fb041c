/* SPDX-License-Identifier: Apache-2.0 */
/* What door.c and door_proxy.c share. */
#ifndef PF_SANDBOX_DOOR_INTERNAL_H
#define PF_SANDBOX_DOOR_INTERNAL_H

#include "egress/client.h"
#include "sandbox/door.h"

struct pf__door_conn {
	uint32_t id;	 /* init's number */
	int fd;		 /* our end; -1: the place is free */
	int theirs;	 /* the proxy's end, until it was passed; -1 */
	uint64_t number; /* the proxy's */
	uint32_t events; /* that epoll looks for; 0: it is not registered */
	bool registered;
	struct pf_buf up; /* from init, for the proxy; at most PF_DOOR_CREDIT */
	bool up_eof, up_done, down_done;
};

struct pf_door {
	struct pf_sandbox *s;
	int epoll;
	uint32_t box_events;
	struct pf_egress proxy;
	uint32_t control_events;
	bool running, dead; /* the proxy */
	bool unsettled;	    /* somebody knocked since it was last asked for all that it has to tell */
	uint64_t last;	    /* number */
	uint32_t syncs, synced;
	unsigned waiting; /* conns whose `theirs` was not taken yet */
	struct pf__door_conn conn[PF_DOOR_MAX];
};

/* What epoll tells of: the protocol's socket, the proxy's control socket, connections from ON_CONN on. */
enum { ON_BOX, ON_CONTROL, ON_CONN };

/* door.c */
void pf__door_abandon_all(struct pf_door *d);

/* door_proxy.c */
void pf__door_start(struct pf_door *d);
void pf__door_lose(struct pf_door *d, const char *why); /* it is gone, or not to be trusted any more */
void pf__door_pass(struct pf_door *d, struct pf__door_conn *c); /* may lose the proxy, and c with it */
void pf__door_control(struct pf_door *d);			/* its control socket is ready */

#endif
