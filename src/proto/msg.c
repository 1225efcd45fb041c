/* SPDX-License-Identifier: Apache-2.0 */
/* Names, and the messages whose whole body is the number of an exec. */
#include "proto/msg.h"

#include "base/cleanup.h"
#include "proto/wire.h"

const char *const pf_ns_names[PF_NS_KINDS] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"};

static const char *const try_names[] = {
	[PF_TRY_SOCKET_UNIX] = "socket_unix",
	[PF_TRY_SOCKET_INET] = "socket_inet",
	[PF_TRY_SOCKET_RAW] = "socket_raw",
	[PF_TRY_SOCKET_PACKET] = "socket_packet",
	[PF_TRY_SOCKET_VSOCK] = "socket_vsock",
	[PF_TRY_SOCKET_NETFILTER] = "socket_netfilter",
	[PF_TRY_ROUTE_OUT] = "route_out",
	[PF_TRY_MOUNT] = "mount",
	[PF_TRY_CANARY] = "canary",
	[PF_TRY_WRITE_READONLY] = "write_readonly",
	[PF_TRY_NEW_USERNS] = "new_userns",
	[PF_TRY_KEYRING] = "keyring",
	[PF_TRY_IO_URING] = "io_uring",
	[PF_TRY_BPF] = "bpf",
	[PF_TRY_PTRACE_INIT] = "ptrace_init",
	[PF_TRY_MKNOD] = "mknod",
	[PF_TRY_EXEC_FILE] = "exec_file",
	[PF_TRY_MEMFD] = "memfd",
};
_Static_assert(PF_ARRAY_SIZE(try_names) == PF_TRY_LAST + 1, "every attempt has a name");

const char *pf_try_name(unsigned attempt)
{
	return attempt < PF_ARRAY_SIZE(try_names) ? try_names[attempt] : NULL;
}

int pf_msg_exec_put(struct pf_buf *out, uint32_t exec)
{
	struct pf__wire w;

	pf__wire_put_begin(&w, out);
	pf__wire_exec(&w, &exec);
	return pf__wire_put_end(&w);
}

int pf_msg_exec_get(const uint8_t *p, size_t n, uint32_t *exec, struct pf_error *err)
{
	struct pf__wire w;
	uint32_t got = 0;
	int r;

	pf__wire_get_begin(&w, p, n);
	pf__wire_exec(&w, &got);
	r = pf__wire_get_middle(&w, "exec", NULL, err);
	if (r < 0)
		return r;
	*exec = got;
	return 0;
}
