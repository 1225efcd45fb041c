/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the keeper of a sandbox and its pinfold-egress: a SOCK_SEQPACKET pair, the proxy's end as
 * descriptor 3. Each packet is one message, in the byte order of the machine that both run on, and begins
 * with its type.
 *
 *   keeper -> proxy   SETUP, RULES..., GO, then CONN (with one descriptor, a stream socket) for every
 * connection that a program inside makes to the proxy's port. SYNC, at the end of a command, is answered by
 * SYNCED behind the reports of everything that was passed and closed before it. Shutting the keeper's side
 * down for writing (or its death) ends the proxy: it closes everything, reports that, sends DONE. proxy ->
 * keeper   READY or FAILED once, then REPORT and at last DONE.
 *
 * The proxy reads what the enemy wrote, so the keeper trusts no message of it further than
 * pf_egress_message_check() goes. The keeper's side is client.h.
 */
#ifndef PF_EGRESS_CONTROL_H
#define PF_EGRESS_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "egress/rules.h"

#define PF_EGRESS_CONTROL_FD 3
#define PF_EGRESS_VERSION    1

enum pf_egress_type {
	PF_EGRESS_SETUP = 1,
	PF_EGRESS_RULES,
	PF_EGRESS_GO,
	PF_EGRESS_CONN,
	PF_EGRESS_SYNC,
	PF_EGRESS_READY = 16,
	PF_EGRESS_FAILED,
	PF_EGRESS_REPORT,
	PF_EGRESS_DONE,
	PF_EGRESS_SYNCED,
};

struct pf_egress_limits {
	uint32_t connections;	   /* at once; 1 to PF_EGRESS_CONNECTIONS_MAX */
	uint32_t header_ms;	   /* for a whole request head or ClientHello */
	uint32_t dial_ms;	   /* for the lookup and the connections together */
	uint32_t idle_ms;	   /* without a byte either way */
	uint64_t bytes;		   /* both ways, of all connections together; 0: no limit */
	uint64_t bytes_per_second; /* likewise */
};
#define PF_EGRESS_CONNECTIONS_MAX 1024
#define PF_EGRESS_LIMITS_DEFAULT                                                                             \
	{                                                                                                    \
		.connections = 256, .header_ms = 30000, .dial_ms = 30000, .idle_ms = 600000                  \
	}

#define PF_EGRESS_DIE_WITH_PARENT                                                                            \
	1u /* flags: a parent-death signal too; for single-threaded keepers alone                            \
	    */

struct pf_egress_setup {
	uint32_t type, version;
	uint32_t uid, gid; /* as root: who the proxy becomes; never 0. Otherwise ignored */
	uint32_t flags;
	uint16_t resolver_port; /* of resolver, if that has a family; else /etc/resolv.conf and /etc/hosts
				   serve */
	uint16_t unused;
	struct pf_address resolver;
	struct pf_egress_limits limits;
};

/* RULES: rules as pf_rule_print() writes them, each ended by a newline. */
#define PF_EGRESS_RULES_TEXT 8192
struct pf_egress_rules {
	uint32_t type;
	uint32_t size; /* of text */
	char text[PF_EGRESS_RULES_TEXT];
};

struct pf_egress_conn {
	uint32_t type, unused;
	uint64_t id; /* the keeper's, never used twice */
};

struct pf_egress_sync {	       /* both ways */
	uint32_t type, number; /* of the keeper's choice, to tell one answer from another */
	/* The answer: how many were not reported since the one before (PF_EGRESS_REPORTS_MAX). */
	uint64_t denials, others;
};

/* What the proxy did to itself; for the receipt. */
enum pf_egress_held {
	PF_EGRESS_HELD_UID =
		1u << 0, /* not root, no capability, nothing in the bounding set if it was root */
	PF_EGRESS_HELD_ROOT = 1u << 1,	   /* own mount namespace with an empty root */
	PF_EGRESS_HELD_IPC = 1u << 2,	   /* own ipc, uts and cgroup namespaces */
	PF_EGRESS_HELD_PID = 1u << 3,	   /* own pid namespace */
	PF_EGRESS_HELD_LANDLOCK = 1u << 4, /* no file at all */
	PF_EGRESS_HELD_PORTS = 1u << 5,	   /* connects to the rules' ports alone (Landlock, Linux 6.7) */
	PF_EGRESS_HELD_SCOPE = 1u << 6,	   /* no abstract sockets, no signals to others (Landlock, 6.12) */
	PF_EGRESS_HELD_SECCOMP = 1u << 7,
	PF_EGRESS_HELD_NO_SOCKETS = 1u << 8, /* without rules: it cannot make a socket at all */
};

struct pf_egress_ready {
	uint32_t type, version, held, landlock_abi;
	uint32_t connections; /* at once; fewer than asked for where open files are short */
};

struct pf_egress_failed {
	uint32_t type;
	int32_t code;
	char text[PF_ERROR_MAX];
};

enum pf_egress_kind {
	PF_EGRESS_OPENED = 1, /* allowed, and connected: CLOSED follows unless the proxy is killed */
	PF_EGRESS_CLOSED,
	PF_EGRESS_DENIED,    /* a denial of the result: rule and hint say more */
	PF_EGRESS_UNREACHED, /* allowed, but there was no connection: reason says why */
};

enum pf_egress_protocol { PF_EGRESS_UNKNOWN, PF_EGRESS_CONNECT, PF_EGRESS_HTTP, PF_EGRESS_SOCKS };

enum pf_egress_reason {
	PF_EGRESS_NONE, /* OPENED, and CLOSED after an orderly end */
	/* denials */
	PF_EGRESS_NO_RULE,
	PF_EGRESS_SPECIAL,  /* the name leads to private or other special addresses alone */
	PF_EGRESS_NEVER,    /* link-local, metadata */
	PF_EGRESS_TLS_NAME, /* the ClientHello asks for another name */
	PF_EGRESS_TLS_NO_NAME,
	PF_EGRESS_TLS_HIDDEN, /* encrypted ClientHello */
	PF_EGRESS_NOT_TLS,    /* on port 443 */
	PF_EGRESS_MALFORMED,  /* request or hello that could be read in two ways, or in none */
	PF_EGRESS_UNSUPPORTED,
	PF_EGRESS_TOO_MANY, /* limits.connections */
	PF_EGRESS_TOO_MUCH, /* limits.bytes */
	/* others */
	PF_EGRESS_UNRESOLVED,
	PF_EGRESS_UNREACHABLE,
	PF_EGRESS_TIMEOUT,    /* dial, head or idle */
	PF_EGRESS_BAD_ANSWER, /* the server's response is malformed */
	PF_EGRESS_CUT,	      /* one side broke off */
	PF_EGRESS_SHUTDOWN,   /* the sandbox ended */
	PF_EGRESS_REASONS,
};
const char *pf_egress_reason_name(enum pf_egress_reason r); /* "no_rule"; NULL unknown */

#define PF_EGRESS_RULE_WORDS 300
#define PF_EGRESS_HINT	     640

/* Strings are NUL-terminated and printable ASCII; empty where there is nothing to say. */
struct pf_egress_report {
	uint32_t type;
	uint8_t kind, protocol, reason, unused;
	uint64_t id;	  /* of the connection */
	uint64_t request; /* counts from 1 within it: each HTTP request is judged and reported for itself */
	uint64_t started_ns, duration_ns; /* CLOCK_MONOTONIC; OPENED: how long lookup and connection took */
	uint64_t sent, received; /* by the client, to and from the peer; 0 in OPENED and DENIED before it */
	char target[PF_TARGET_TEXT];   /* "pypi.org:443"; empty if nothing could be read */
	char address[PF_ADDRESS_TEXT]; /* that was dialled; in a denial by address, the first that was refused
					*/
	char rule[PF_EGRESS_RULE_WORDS]; /* OPENED, CLOSED: the rule that allows; DENIED:
					    "network.default=deny" */
	char hint[PF_EGRESS_HINT]; /* DENIED: "allow it with --allow pypi.org:443"; UNREACHED: what failed */
};

/* How many REPORTs of denials, and of everything else, are sent from one SYNCED to the next; what comes after
 * is counted there, and in DONE. */
#define PF_EGRESS_REPORTS_MAX 4096

struct pf_egress_done {
	uint32_t type, unused;
	uint64_t opened, denied, unreached; /* in all, reported or not */
	uint64_t unreported;
	uint64_t sent, received;
};

union pf_egress_message {
	uint32_t type;
	struct pf_egress_setup setup;
	struct pf_egress_rules rules;
	struct pf_egress_conn conn;
	struct pf_egress_sync sync;
	struct pf_egress_ready ready;
	struct pf_egress_failed failed;
	struct pf_egress_report report;
	struct pf_egress_done done;
};

/* Is the packet of n bytes in *m a well-formed message, from the proxy (or from the keeper)? 0 or -EPROTO. */
int pf_egress_message_check(const union pf_egress_message *m, size_t n, int from_proxy);
size_t pf_egress_message_size(uint32_t type); /* 0: no such type */

#endif
