/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receipt's inside half: what this process is, as the kernel tells it, and what it can do, by trying.
 * Every attempt is harmless if it works; that it works is the finding.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "init/init.h"
#include "linux/caps.h"
#include "linux/seccomp.h"

#ifndef AF_VSOCK
#define AF_VSOCK 40
#endif

static void note(struct pf_msg_ready *out, enum pf_try what, long r, const char *detail)
{
	int err_no = r < 0 ? errno : 0;

	if (out->try_count == PF_TRIES_MAX)
		return;
	out->tries[out->try_count].attempt = (uint16_t)what;
	out->tries[out->try_count].err = err_no;
	out->tries[out->try_count++].detail = (char *)(uintptr_t)detail;
}

static void try_socket(struct pf_msg_ready *out, enum pf_try what, int family, int type, int protocol)
{
	int fd = socket(family, type | SOCK_CLOEXEC, protocol);

	note(out, what, fd, "");
	if (fd >= 0)
		close(fd);
}

/* A datagram socket "connects" without sending: it asks the kernel for a route (RFC 5737's documentation
 * network). */
static void try_route(struct pf_msg_ready *out)
{
	PF_AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};

	to.sin_addr.s_addr = htonl(0xc0000201);
	note(out, PF_TRY_ROUTE_OUT, connect(fd, (struct sockaddr *)&to, sizeof(to)), "");
}

static void try_writes(const struct init *in, struct pf_msg_ready *out)
{
	uint32_t i;

	for (i = 0; i < in->hello.readonly.count; i++) {
		const char *path = in->hello.readonly.strings[i];

		/* EROFS comes before the permission check; without it a name of our own is made, and removed
		 */
		int r = (int)syscall(SYS_utimensat, AT_FDCWD, path, NULL, 0);

		note(out, PF_TRY_WRITE_READONLY, r, path);
	}
}

static void try_calls(struct pf_msg_ready *out)
{
	char memory[128] = {0};
	long r;

	/* asks for the same right as mount(2), and leaves nothing behind where it is given */
	r = syscall(SYS_fsopen, "tmpfs", 1 /* FSOPEN_CLOEXEC */);
	note(out, PF_TRY_MOUNT, r, "");
	if (r >= 0)
		close((int)r);
	r = syscall(SYS_clone, CLONE_NEWUSER | 17 /* SIGCHLD */, 0, 0, 0, 0);
	if (r == 0)
		_exit(0);
	note(out, PF_TRY_NEW_USERNS, r, "");
	if (r > 0)
		waitpid((pid_t)r, NULL, 0); /* the host looks for one process in the exec's group */
	note(out, PF_TRY_KEYRING, syscall(SYS_keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -3, 0), "");
	r = syscall(425 /* io_uring_setup */, 1, memory);
	note(out, PF_TRY_IO_URING, r, "");
	if (r >= 0)
		close((int)r);
	note(out, PF_TRY_BPF, syscall(SYS_bpf, 0, memory, 48), "");
	r = ptrace(PTRACE_SEIZE, 1, NULL, NULL);
	note(out, PF_TRY_PTRACE_INIT, r, "");
	if (r == 0) { /* an init that is traced would stop at its next signal */
		ptrace(PTRACE_INTERRUPT, 1, NULL, NULL);
		waitpid(1, NULL, __WALL);
		ptrace(PTRACE_DETACH, 1, NULL, NULL);
	}
	r = mknod("/tmp/.pinfold-try", S_IFBLK | 0600, makedev(7, 0));
	note(out, PF_TRY_MKNOD, r, "");
	if (r == 0)
		unlink("/tmp/.pinfold-try");
}

/* While there is a list of commands no new file can be started, nor mapped so that it runs. */
static void try_programs(struct pf_msg_ready *out)
{
	PF_AUTO_CLOSE int file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0700), memory = -1;
	void *p = MAP_FAILED;

	if (file >= 0 && ftruncate(file, 4096) == 0)
		p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
	note(out, PF_TRY_EXEC_FILE, p == MAP_FAILED ? -1 : 0, "");
	if (p != MAP_FAILED)
		munmap(p, 4096);
	memory = (int)syscall(SYS_memfd_create, "pinfold-try", 1 /* MFD_CLOEXEC */);
	note(out, PF_TRY_MEMFD, memory, "");
}

static void read_identity(struct pf_msg_ready *out)
{
	PF_AUTO_CLOSE int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct pf_proc_status st;
	unsigned i;

	if (proc >= 0 && pf_proc_status_read(proc, getpid(), &st, NULL) == 0) {
		out->uid = st.uid[1];
		out->gid = st.gid[1];
		out->groups = st.groups;
		out->cap_inh = st.cap_inh;
		out->cap_prm = st.cap_prm;
		out->cap_eff = st.cap_eff;
		out->cap_bnd = st.cap_bnd;
		out->cap_amb = st.cap_amb;
		out->no_new_privs = st.no_new_privs == 1;
		out->seccomp = st.seccomp > 0 ? (uint8_t)st.seccomp : 0;
		out->seccomp_filters = st.seccomp_filters > 0 ? (uint32_t)st.seccomp_filters : 0;
	}
	for (i = 0; i < PF_NS_KINDS; i++) {
		char path[32], text[64];
		unsigned long long v;
		ssize_t n;

		snprintf(path, sizeof(path), "self/ns/%s", pf_ns_names[i]);
		n = readlinkat(proc, path, text, sizeof(text) - 1);
		if (n <= 0)
			continue;
		text[n] = '\0';
		if (sscanf(text, "%*[a-z_]:[%llu]", &v) == 1)
			out->ns[i] = v;
	}
}

void in__tries(const struct init *in, struct pf_msg_ready *out)
{
	int fd;

	out->pid = (uint32_t)getpid();
	out->landlock = in->landlock >= 0;
	read_identity(out);
	try_socket(out, PF_TRY_SOCKET_UNIX, AF_UNIX, SOCK_STREAM, 0);
	try_socket(out, PF_TRY_SOCKET_INET, AF_INET, SOCK_STREAM, 0);
	try_socket(out, PF_TRY_SOCKET_RAW, AF_INET, SOCK_RAW, 1);
	try_socket(out, PF_TRY_SOCKET_PACKET, AF_PACKET, SOCK_RAW, 0);
	try_socket(out, PF_TRY_SOCKET_VSOCK, AF_VSOCK, SOCK_STREAM, 0);
	try_socket(out, PF_TRY_SOCKET_NETFILTER, AF_NETLINK, SOCK_RAW, 12 /* NETLINK_NETFILTER */);
	try_route(out);
	fd = open(in->hello.canary, O_RDONLY | O_CLOEXEC);
	note(out, PF_TRY_CANARY, fd, "");
	if (fd >= 0)
		close(fd);
	try_writes(in, out);
	try_calls(out);
	if (in->hello.filter_options & PF_FILTER_NO_MEMFD)
		try_programs(out);
}
