/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child: from clone(2) to pinfold-init. It is single-threaded, in its own namespaces, with
 * every capability over them and none over the host. It builds the root, becomes init's uid with
 * the capabilities that init needs, and executes init from a read-only mount of its own file,
 * so that /proc/1/exe leads nowhere that can be written (CVE-2019-5736).
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/san.h"
#include "linux/caps.h"
#include "linux/mount.h"
#include "tier/container/container.h"
#include "tier/container/handoff.h"

#define CAP(x) (1ull << (x))
/* What init and its launchers need over their own user namespace: to change ids and empty sets for a
 * command, to kill other uids' processes, and to give each exec a cgroup namespace (CAP_SYS_ADMIN; the first
 * filter refuses everything else that it would allow). */
#define INIT_CAPS                                                                                            \
	(CAP(CAP_SETUID) | CAP(CAP_SETGID) | CAP(CAP_SETPCAP) | CAP(CAP_KILL) | CAP(CAP_SYS_ADMIN) |         \
	 CAP(CAP_SYS_RESOURCE))

static int loopback_up(struct pf_error *err)
{
	PF_AUTO_CLOSE int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r;

	memset(&r, 0, sizeof(r));
	memcpy(r.ifr_name, "lo", 3);
	r.ifr_flags = IFF_UP | IFF_RUNNING;
	if (s < 0 || ioctl(s, SIOCSIFFLAGS, &r) < 0)
		return pf_fail_errno(err, "cannot bring the loopback interface up");
	return 0;
}

/* Become uid and gid, keeping permitted capabilities (a change away from the namespace's uid 0 clears them
 * otherwise; capabilities(7)), and take the effective ones back. */
static int become(const struct pf_identity *who, uint32_t id, struct pf_error *err)
{
	struct pf_caps c;

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return pf_fail_errno(err, "PR_SET_KEEPCAPS");
	if (!who->deny_setgroups && setgroups(0, NULL) < 0)
		return pf_fail_errno(err, "cannot drop supplementary groups");
	if (setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0)
		return pf_fail_errno(err, "cannot become id %u of the sandbox", id);
	pf_caps_get(&c);
	c.effective = c.permitted;
	return pf_caps_set(&c, err);
}

struct init_fds {
	int program; /* pinfold-init, closed by the execve that succeeds */
	int sync;    /* to say why it did not */
};

/* The protocol's socket to 3, the execs directories of each cgroup hierarchy from 4 on, then what is needed
 * until the execve. Everything else is closed. */
static int arrange_fds(const struct pf_child_args *a, struct init_fds *out, struct pf_error *err)
{
	int want[PF_CG_HIERARCHIES + 3], n = 0, program = -1, i;
	char c;

	want[n++] = a->sock;
	if (a->late_groups) {
		int fds[PF_HANDOFF_GIVEN], count;
		ssize_t r = pf__handoff_take(a->sync, &c, 1, fds, &count, err);

		if (r < 0)
			return (int)r;
		for (i = 0; i < count && i < PF_CG_HIERARCHIES; i++)
			want[n++] = fds[i];
	}
	for (i = 0; i < (int)a->sources->count; i++) {
		if (a->sources->item[i].kind == PF_SRC_CGROUP && n < PF_CG_HIERARCHIES + 1)
			want[n++] = a->sources->item[i].fd;
		if (a->sources->item[i].kind == PF_SRC_INIT)
			program = a->sources->item[i].fd;
	}
	want[n++] = program;
	want[n++] = a->sync;
	for (i = 0; i < n; i++) /* first out of the way of the low numbers */
		if ((want[i] = fcntl(want[i], F_DUPFD_CLOEXEC, 128)) < 0)
			return pf_fail_errno(err, "cannot arrange init's descriptors");
	for (i = 0; i < n; i++)
		if (dup3(want[i], PF_INIT_SOCKET_FD + i, i >= n - 2 ? O_CLOEXEC : 0) < 0)
			return pf_fail_errno(err, "cannot arrange init's descriptors");
	out->program = PF_INIT_SOCKET_FD + n - 2;
	out->sync = PF_INIT_SOCKET_FD + n - 1;
	return pf__broken(a->spec->breaks, "close_init") ? 0 : pf_close_from((unsigned)out->sync + 1);
}

static int null_stdio(struct pf_error *err)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC), i, count = 3;

#ifdef PF_SAN_BUILD
	count = 2; /* reports go to the caller's stderr */
#endif

	if (fd < 0)
		return pf_fail_errno(err, "cannot open the sandbox's /dev/null");
	for (i = 0; i < count; i++)
		if (dup2(fd, i) < 0)
			return pf_fail_errno(err, "cannot set up standard streams");
	return 0;
}

static int await_map(const struct pf_child_args *a, struct pf_error *err)
{
	char c;
	ssize_t n;

	if (a->self_map)
		return pf__identity_write(a->who, 0, err);
	do
		n = read(a->sync, &c, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(0); /* the host is gone; it has said why */
	return 0;
}

/* Watches are charged to the user who made the user namespace, the caller: a sandbox gets a share of them,
 * not all (Documentation/admin-guide/sysctl/user.rst). Best effort: a kernel without these files has no such
 * count. */
static void share_watches(void)
{
	pf_write_file(AT_FDCWD, "/proc/sys/user/max_inotify_instances", "64");
	pf_write_file(AT_FDCWD, "/proc/sys/user/max_inotify_watches", "16384");
}

static int set_up(const struct pf_child_args *a, struct init_fds *fds, struct pf_error *err)
{
	const char *breaks = a->spec->breaks;
	uint32_t builder = a->who->shared ? a->who->user : 0;
	struct pf_handoff hand = PF_HANDOFF_NONE;
	int root, r;

	if ((r = await_map(a, err)) < 0)
		return r;
	/* Keys of the caller's session keyring are none of the sandbox's business (keyrings(7)). */
	if (!pf__broken(breaks, "keyring"))
		syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, NULL);
	if ((r = become(a->who, builder, err)) < 0 || (r = pf_mount_private(err)) < 0)
		return r;
	share_watches();
	umask(0);
	if (!a->who->host_root && (r = pf__shown_open(a->sources, err)) < 0)
		return r;
	if ((root = pf__root_build(a, &hand, err)) < 0)
		return root;
	if ((r = pf__handoff_send(a->sync, &hand, err)) < 0)
		return r;
	if (pf__broken(breaks, "root")) /* until the pivot the temporary files lie on the old /dev, and a
					   user's layers */
		for (r = 0; r < (!a->who->host_root && a->ws->mode != PF_WS_NONE ? 2 : 1); r++)
			umount2("/dev", MNT_DETACH);
	else if ((r = pf_mount_pivot(root, err)) < 0)
		return r;
	if (!pf__broken(breaks, "utsns") && (sethostname("pinfold", 7) < 0 || setdomainname("", 0) < 0))
		return pf_fail_errno(err, "cannot set the host name");
	if (!pf__broken(breaks, "netns") && (r = loopback_up(err)) < 0)
		return r;
	if ((r = null_stdio(err)) < 0)
		return r;
	if ((r = become(a->who, a->who->init, err)) < 0)
		return r;
	return arrange_fds(a, fds, err);
}

/* execve keeps only what is ignored, and the mask. By system call: libc keeps the signals from 32 on to
 * itself, and a caller may have them ignored too. */
static void reset_signals(void)
{
	struct {
		void (*handler)(int);
		unsigned long flags;
		void (*restorer)(void);
		unsigned long mask;
	} now, by_default = {SIG_DFL, 0, NULL, 0};
	sigset_t none;
	int i;

	for (i = 1; i <= 64; i++)
		if (syscall(SYS_rt_sigaction, i, NULL, &now, 8) == 0 && now.handler == SIG_IGN)
			syscall(SYS_rt_sigaction, i, &by_default, NULL, 8);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static uint64_t init_caps(const struct pf_child_args *a)
{
	uint64_t caps = INIT_CAPS | a->spec->policy->capabilities;
	struct pf_caps all;

	if (pf__broken(a->spec->breaks, "caps") && pf_caps_get(&all) == 0)
		return all.permitted;
	if (pf__broken(a->spec->breaks, "userns") && pf_caps_get(&all) == 0)
		return caps & all.permitted; /* the host's root may lack some */
	return caps;
}

void pf__child_main(const struct pf_child_args *a)
{
	static char *const argv[] = {(char *)(uintptr_t) "pinfold-init", NULL};
	struct init_fds fds = {-1, a->sync};
	struct pf_error err = {0};
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	reset_signals();
	setsid();
	pf_san_bug("child");
	r = set_up(a, &fds, &err);
	if (r == 0)
		r = pf_caps_ambient(init_caps(a), &err);
	if (r == 0) {
		pf_cpus_anywhere(&a->cpus, 0);
		/* cleared by the change of credentials: the second line behind end of file on the socket
		 * (prctl(2)) */
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		syscall(SYS_execveat, fds.program, "", argv, pf_san_env(), AT_EMPTY_PATH);
		pf_fail_errno(&err, "cannot start pinfold-init");
	}
	pf__handoff_fail(fds.sync, &err);
	_exit(125);
}
