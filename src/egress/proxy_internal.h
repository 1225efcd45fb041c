/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside pinfold-egress: one thread, one loop over poll(2), a state machine a connection.
 *
 *   conn.c      events, time, the end          first.c    what a client says first: HTTP, SOCKS
 *   judge.c     rules, lookup, addresses        dial.c     the connection to the peer
 *   tunnel.c    CONNECT and SOCKS, once open    exchange.c one HTTP request and its response
 *   answer.c    what a refused client is told   report.c   what the keeper is told
 *   flow.c      bytes from one socket to another, bounded
 *
 * Nothing here blocks, and every connection's memory is bounded: two buffers of 64 KiB, one head each way.
 */
#ifndef PF_EGRESS_PROXY_INTERNAL_H
#define PF_EGRESS_PROXY_INTERNAL_H

#include <poll.h>

#include "egress/control.h"
#include "egress/http.h"
#include "egress/resolver.h"
#include "egress/socks.h"
#include "egress/tls_hello.h"

#define PF__MS 1000000ull /* of nanoseconds */

/* --- flow.c: one direction --- */

#define PF__FLOW_SIZE 65536

/* made goes first, then `pass` of the `len` bytes at raw + start; the rest was not yet found fit to go. */
struct pf__flow {
	uint8_t *raw; /* PF__FLOW_SIZE, there while it is needed */
	size_t start, len, pass;
	struct pf_buf made; /* a head or an answer of ours */
	size_t made_at;
	bool eof;  /* the source ended */
	bool shut; /* the sink was told */
};

size_t pf__flow_room(const struct pf__flow *f);
bool pf__flow_pending(const struct pf__flow *f);
/* At most max bytes. How many; 0 with eof set at the end; -EAGAIN; -errno. */
ssize_t pf__flow_read(struct pf__flow *f, int fd, size_t max);
ssize_t pf__flow_write(struct pf__flow *f, int fd); /* the same, without an end */
void pf__flow_drop(struct pf__flow *f, size_t n);   /* the first n bytes, of which pass has none */
void pf__flow_free(struct pf__flow *f);
void pf__flow_free_spares(void); /* at the end */
/* What was not yet found fit. */
static inline const uint8_t *pf__flow_rest(const struct pf__flow *f, size_t *n)
{
	*n = f->len - f->pass;
	return f->raw ? f->raw + f->start + f->pass : NULL;
}

/* --- a connection --- */

#define PF__DIALS 4 /* at once (RFC 8305) */

struct pf__dial {
	int fd[PF__DIALS];
	struct pf_address to[PF__DIALS];
	size_t next;	/* of the addresses: each is dialled once */
	uint64_t later; /* when the next is, though those before it have not failed */
	int error;
};

enum pf__state {
	PF__DETECT,
	PF__HEAD,
	PF__GREETING,
	PF__REQUEST, /* of SOCKS */
	PF__LOOKUP,
	PF__DIAL,
	PF__TUNNEL,
	PF__EXCHANGE,
	PF__LINGER, /* the last bytes go to the client, and what it still sends is thrown away */
	PF__DEAD,
};

struct pf__exchange {
	struct pf_buf head; /* of the request, until there is a connection */
	struct pf_http_asked asked;
	enum pf_http_body_kind kind;
	uint64_t length;
	struct pf_http_body up, down;
	bool keep; /* the client's connection goes on behind this response */
	bool answered;
	unsigned interim;
	size_t scanned;
};

struct pf__conn {
	struct pf__proxy *px;
	uint64_t id, request;
	int client, server;
	enum pf__state state;
	enum pf_egress_protocol protocol;
	bool inside; /* in a tunnel to port 80, where each request is judged as it would be without */
	struct pf_http_origin within;
	bool over;   /* there are too many already: to be told so */
	bool named;  /* host and port are known */
	bool broken; /* the server's side broke off */
	uint64_t deadline;
	struct pf__flow up, down; /* client to server; server to client */
	size_t scanned;		  /* of a head that is not whole */
	size_t drained;

	struct pf_host host;
	uint16_t port;
	const struct pf_rule *rule;
	struct pf_lookup lookup;
	struct pf_address addresses[PF_LOOKUP_ADDRESSES];
	size_t address_count;
	struct pf__dial dial;
	struct pf_address address; /* connected to, or why refused */

	struct pf_tls_watch tls;
	struct pf__exchange ex;

	uint64_t started, sent, received;
	bool opened, reported; /* OPENED: counted, told to the keeper */
	size_t slot;	       /* its place among the pollfds */
};

#define PF__SLOTS (1 + PF__DIALS)

/* --- the proxy --- */

#define PF__OWN_MAX 256

struct pf__proxy {
	int control;
	struct pf_egress_setup setup;
	struct pf_rules rules;
	struct pf_resolver resolver;
	struct pf_address own[PF__OWN_MAX]; /* addresses of this host */
	size_t own_count;
	struct pf__conn **conns;
	size_t count;
	struct pollfd *fds;
	uint64_t now;
	bool ending;	   /* the keeper wants no more */
	uint64_t tokens;   /* bytes that may be read now, under bytes_per_second */
	uint64_t filled;   /* when tokens was true */
	bool waiting;	   /* a connection was not run because of pf__proxy_paused() */
	uint64_t relayed;  /* all bytes read of relayed connections, both ways */
	struct pf_buf out; /* reports that the keeper has not taken */
	uint32_t told[2];  /* how many: of denials, of others; since the last answer to SYNC */
	uint64_t untold[2];
	struct pf_egress_done totals;
	bool sync; /* the keeper waits for an answer */
	uint32_t sync_number;
};

/* proxy.c. Runs until the keeper ends it. 0, or -errno. control: descriptor. */
int pf__proxy_run(struct pf__proxy *px, struct pf_error *err);
/* How many bytes may be relayed now; 0: not now, or (limits.bytes) never again. */
size_t pf__proxy_allowance(const struct pf__proxy *px);
bool pf__proxy_spent(const struct pf__proxy *px);  /* limits.bytes */
bool pf__proxy_paused(const struct pf__proxy *px); /* no new request before the keeper has read of the last */
void pf__proxy_free(struct pf__proxy *px);

/* conn.c */
int pf__conn_new(struct pf__proxy *px, uint64_t id, int client); /* takes client in every case */
void pf__conn_free(struct pf__conn *c);
size_t pf__conn_wants(struct pf__conn *c, struct pollfd out[PF__SLOTS]);
void pf__conn_event(struct pf__conn *c, const struct pollfd *p, size_t n);
void pf__conn_gone(struct pf__conn *c); /* its client will neither write nor read any more: end it */
void pf__conn_time(struct pf__conn *c); /* something of it is due */
uint64_t pf__conn_due(const struct pf__conn *c);
void pf__conn_run(struct pf__conn *c); /* go on with what there is */
void pf__conn_next_request(struct pf__conn *c);
/* The end: reported, if it was open. */
void pf__conn_close(struct pf__conn *c, enum pf_egress_reason reason);
/* No more but what is in down. */
void pf__conn_linger(struct pf__conn *c);
void pf__conn_close_server(struct pf__conn *c);

/* first.c: in the states up to REQUEST. */
void pf__first(struct pf__conn *c);

/* judge.c: from host and port to LOOKUP or DIAL, or a refusal. */
void pf__judge(struct pf__conn *c);
void pf__judge_lookup(struct pf__conn *c); /* it is done */
bool pf__judge_tls_name(void *conn, const char *name);

/* dial.c */
void pf__dial_start(struct pf__conn *c);
void pf__dial_event(struct pf__conn *c, int i);
void pf__dial_time(struct pf__conn *c);
void pf__dial_stop(struct pf__conn *c);

/* tunnel.c, exchange.c */
void pf__tunnel_open(struct pf__conn *c);	   /* c->server is connected */
bool pf__tunnel_is_http(const struct pf__conn *c); /* a tunnel that was asked for: is HTTP spoken in it? */
void pf__tunnel_open_http(struct pf__conn *c);	   /* it has a rule; nothing was dialled */
void pf__tunnel_run(struct pf__conn *c);
void pf__exchange_open(struct pf__conn *c);
void pf__exchange_run(struct pf__conn *c);

/* answer.c */
struct pf__refusal {
	enum pf_egress_kind kind; /* DENIED or UNREACHED */
	enum pf_egress_reason reason;
	int status; /* of HTTP */
	enum pf_socks_reply socks;
	char rule[PF_EGRESS_RULE_WORDS];
	char hint[PF_EGRESS_HINT];
};
/* Tell client and keeper, in whatever protocol and state the connection is, and linger. */
void pf__refuse(struct pf__conn *c, const struct pf__refusal *r);
void pf__refuse_host(struct pf__conn *c, enum pf_egress_reason reason,
		     const char *what);				       /* NO_RULE SPECIAL NEVER */
void pf__refuse_form(struct pf__conn *c, int status, const char *why); /* MALFORMED, UNSUPPORTED */
void pf__refuse_tls(struct pf__conn *c, enum pf_tls_verdict v);
void pf__refuse_limit(struct pf__conn *c, enum pf_egress_reason reason); /* TOO_MANY TOO_MUCH TIMEOUT */
void pf__unreached(struct pf__conn *c, enum pf_egress_reason reason, const char *what);

/* report.c */
void pf__report(struct pf__conn *c, enum pf_egress_kind kind, enum pf_egress_reason reason, const char *rule,
		const char *hint);
int pf__report_flush(struct pf__proxy *px); /* 0, -EAGAIN, -EPIPE */

#endif
