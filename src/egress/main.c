/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold-egress: the door of one sandbox's network, on the host's side. Started by the sandbox's keeper with
 * one end of a socket as descriptor 3 (control.h) and nothing else; it takes its set-up, reads what it needs
 * of the host, confines itself and serves until the keeper ends it or is gone.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/san.h"
#include "egress/confine.h"
#include "egress/proxy_internal.h"
#include "linux/landlock.h"

#ifdef PF_SAN_BUILD
/* No leaks: the search for them traces its own process, which the walls forbid. */
PF_SAN_OPTIONS("detect_leaks=0")
#endif

static void say_failed(const struct pf_error *err)
{
	struct pf_egress_failed m = {.type = PF_EGRESS_FAILED, .code = err->code};

	for (size_t i = 0; i < sizeof(m.text) - 1 && err->msg[i]; i++)
		m.text[i] = err->msg[i] >= 0x20 && err->msg[i] < 0x7f ? err->msg[i] : '?';
	(void)send(PF_EGRESS_CONTROL_FD, &m, sizeof(m), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static int take_rules(struct pf__proxy *px, union pf_egress_message *m, struct pf_error *err)
{
	char *at = m->rules.text, *end = at + m->rules.size, *nl;
	int r;

	for (; at < end; at = nl + 1) {
		nl = memchr(at, '\n', (size_t)(end - at));
		if (!nl || memchr(at, '\0', (size_t)(nl - at)))
			return pf_fail(err, -EPROTO, "a rule without its end");
		*nl = '\0';
		r = pf_rules_add(&px->rules, at, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* SETUP, RULES..., GO: nothing else happens until they are there. */
static int take_setup(struct pf__proxy *px, struct pf_error *err)
{
	bool have = false;

	for (;;) {
		union pf_egress_message m;
		ssize_t n = recv(px->control, &m, sizeof(m), MSG_TRUNC);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return pf_fail(err, -EPIPE, "the keeper is gone");
		if (pf_egress_message_check(&m, (size_t)n, 0) < 0)
			return pf_fail(err, -EPROTO, "the keeper is of another version");
		if (m.type == PF_EGRESS_SETUP && !have) {
			px->setup = m.setup;
			have = true;
		} else if (m.type == PF_EGRESS_RULES && have) {
			r = take_rules(px, &m, err);
			if (r < 0)
				return r;
		} else if (m.type == PF_EGRESS_GO && have) {
			return 0;
		} else {
			return pf_fail(err, -EPROTO, "the keeper is of another version");
		}
	}
}

/* This host's own addresses, as they are now. */
static int read_own(struct pf__proxy *px, struct pf_error *err)
{
	struct ifaddrs *all, *i;

	if (getifaddrs(&all) < 0)
		return pf_fail_errno(err, "cannot read the host's addresses");
	for (i = all; i && px->own_count < PF__OWN_MAX; i = i->ifa_next) {
		struct pf_address a = {0};

		if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET) {
			a.family = 4;
			memcpy(a.b, &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr, 4);
		} else if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET6) {
			a.family = 6;
			memcpy(a.b, &((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr, 16);
		} else {
			continue;
		}
		px->own[px->own_count++] = a;
	}
	freeifaddrs(all);
	return 0;
}

/* What of the host is needed later, when it can no longer be reached. */
static int read_host(struct pf__proxy *px, struct pf_error *err)
{
	int r;

	if (px->rules.count == 0)
		return 0;
	if (px->setup.resolver.family)
		pf_resolver_only(&px->resolver, &px->setup.resolver, px->setup.resolver_port);
	else if ((r = pf_resolver_load(&px->resolver, err)) < 0)
		return r;
	return read_own(px, err);
}

static int serve(struct pf__proxy *px, struct pf_error *err)
{
	struct pf_egress_ready ready = {.type = PF_EGRESS_READY, .version = PF_EGRESS_VERSION};
	int r;

	if ((r = take_setup(px, err)) < 0 || (r = read_host(px, err)) < 0 ||
	    (r = pf__egress_confine(&px->setup, &px->rules, &px->resolver, &ready.held, err)) < 0)
		return r;
	ready.landlock_abi = ready.held & PF_EGRESS_HELD_LANDLOCK ? (uint32_t)pf_landlock_abi() : 0;
	ready.connections = px->setup.limits.connections;
	if (send(px->control, &ready, sizeof(ready), MSG_NOSIGNAL) < 0)
		return pf_fail(err, -EPIPE, "the keeper is gone");
	return pf__proxy_run(px, err);
}

int main(void)
{
	static struct pf__proxy px = {.control = PF_EGRESS_CONTROL_FD};
	struct pf_error err = {0};
	int type = 0;
	socklen_t size = sizeof(type);

	if (getsockopt(PF_EGRESS_CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
	    type != SOCK_SEQPACKET) {
		dprintf(2, "pinfold-egress is started by pinfold, not by hand\n");
		return 125;
	}
	if (pf_san_refused()) {
		dprintf(2, "pinfold-egress: this build is for tests\n");
		return 125;
	}
	pf_close_from(PF_EGRESS_CONTROL_FD + 1);
	signal(SIGPIPE, SIG_IGN);
	pf_san_bug("egress");
	if (serve(&px, &err) < 0) {
		say_failed(&err);
		return 125;
	}
	pf__proxy_free(&px);
	return 0;
}
