/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names to addresses, without blocking the loop: a stub resolver as small as musl's (whose own blocks),
 * asking for A and AAAA at once over UDP, and over TCP where an answer was cut. It knows /etc/hosts and the
 * servers of /etc/resolv.conf; both are read before the process is confined. No search list: a rule writes a
 * whole name. Nothing is cached: a tunnel's addresses are those of its own lookup, each dialled at most once.
 */
#ifndef PF_EGRESS_RESOLVER_H
#define PF_EGRESS_RESOLVER_H

#include "base/buf.h"
#include "base/error.h"
#include "egress/dns.h"

#define PF_RESOLVER_SERVERS   3
#define PF_RESOLVER_HOSTS_MAX 4096

struct pf_resolver_server {
	struct pf_address address;
	uint16_t port;
};

struct pf_resolver_host {
	char *name; /* lower-case */
	struct pf_address address;
};

struct pf_resolver {
	struct pf_resolver_server servers[PF_RESOLVER_SERVERS];
	size_t count;
	unsigned timeout_ms, attempts; /* of one question to one server; rounds over all servers */
	struct pf_resolver_host *hosts;
	size_t host_count;
};

/* Read resolv.conf(5): nameserver, options timeout: and attempts:. Lines that are not understood are passed
 * over, as every resolver does. Without a server it is 127.0.0.1. */
void pf_resolver_conf(struct pf_resolver *r, const char *text, size_t n);
/* Read hosts(5). -ENOMEM. */
int pf_resolver_hosts(struct pf_resolver *r, const char *text, size_t n);
/* Both from /etc; what is not there is as if it were empty. */
int pf_resolver_load(struct pf_resolver *r, struct pf_error *err);
/* One server and nothing else. */
void pf_resolver_only(struct pf_resolver *r, const struct pf_address *server, uint16_t port);
void pf_resolver_free(struct pf_resolver *r);

/* --- one lookup --- */

#define PF_LOOKUP_QUERIES   2
#define PF_LOOKUP_ADDRESSES (PF_LOOKUP_QUERIES * PF_DNS_ADDRESSES_MAX)

struct pf_lookup_query {
	int fd; /* -1: nothing under way */
	short events;
	uint16_t id, type;
	unsigned tries, ignored;
	bool tcp, done;
	enum pf_dns_outcome outcome; /* once done; PF_DNS_REFUSED: nobody answered */
	uint64_t deadline;
	struct pf_buf in; /* over TCP */
};

struct pf_lookup {
	const struct pf_resolver *resolver;
	const char *name;
	struct pf_lookup_query q[PF_LOOKUP_QUERIES];
	bool done;
	/* Once done: IPv6 and IPv4 by turns. count 0: failed says whether nobody could tell, or there is
	 * none. */
	bool failed;
	size_t count;
	struct pf_address address[PF_LOOKUP_ADDRESSES];
};

/* Times are pf_now_ns(). name must stay as long as the lookup. It may be done at once. Always ended by
 * pf_lookup_stop(), which is fine on a zeroed one and twice. */
void pf_lookup_start(struct pf_lookup *l, const struct pf_resolver *r, const char *name, uint64_t now);
/* Call it when q[i].fd (if not -1) has one of q[i].events, or an error. */
void pf_lookup_ready(struct pf_lookup *l, int i, uint64_t now);
uint64_t pf_lookup_deadline(const struct pf_lookup *l); /* UINT64_MAX: none */
void pf_lookup_expire(struct pf_lookup *l, uint64_t now);
void pf_lookup_stop(struct pf_lookup *l);

/* A socket address, and its size. */
struct sockaddr_storage;
size_t pf_address_sockaddr(const struct pf_address *a, uint16_t port, struct sockaddr_storage *out);

#endif
