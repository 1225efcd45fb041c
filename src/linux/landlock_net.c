/* SPDX-License-Identifier: Apache-2.0 */
/* See landlock_net.h. */
#include "linux/landlock_net.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "linux/landlock.h"

/* The build machine's headers may be older than the kernel that runs. */
#define NET_BIND_TCP	(1u << 0)
#define NET_CONNECT_TCP (1u << 1)
#define RULE_NET_PORT	2

struct net_ruleset_attr {
	uint64_t handled_access_fs, handled_access_net;
};

struct net_port_attr {
	uint64_t allowed_access, port;
};

int pf_landlock_tcp(const uint16_t *ports, size_t count, struct pf_error *err)
{
	const struct net_ruleset_attr attr = {0, NET_BIND_TCP | NET_CONNECT_TCP};
	PF_AUTO_CLOSE int ruleset = -1;

	if (pf_landlock_abi() < 4)
		return pf_fail(err, -EOPNOTSUPP,
			       "this kernel's Landlock has no network (it needs Linux 6.7)");
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr),
			       0); /* close on exec by itself */
	if (ruleset < 0)
		return pf_fail_errno(err, "cannot make a Landlock ruleset of ports");
	for (size_t i = 0; i < count; i++) {
		const struct net_port_attr rule = {NET_CONNECT_TCP, ports[i]};

		if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) < 0)
			return pf_fail_errno(err, "cannot add a Landlock rule for port %u", ports[i]);
	}
	return pf_landlock_restrict(ruleset, err);
}
