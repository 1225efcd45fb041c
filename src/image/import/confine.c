/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walls around the process that reads what came in.
 *
 * An archive's reader is taken over in the worst case: by then it has no capability, is nobody if it was
 * root, has no right on any file that it does not hold already, cannot start a program, make a process, a
 * socket or executable memory, and dies with its parent. Of the ways to name a file one is left,
 * newfstatat(2), which glibc's fstat(3) is; it tells whether a name exists, and there is nobody to tell it to
 * but the image.
 *
 * A directory's reader parses nothing; it has the caller's rights to read (root's as one capability), and
 * under Landlock only below that directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "image/import/channel.h"
#include "linux/caps.h"
#include "linux/landlock.h"
#include "linux/seccomp.h"

#define NOBODY	    65534
#define MEMORY_MAX  (6ull << 30) /* two trees at their bound, buffers, windows of decompressors */
#define SECONDS_MAX 3600	 /* 16 GiB of bzip2 take ten minutes */

/* fcntl, mmap, mprotect and newfstatat follow with conditions. No tgkill: as an ordinary user the child has
 * the uid of its caller's other processes; abort(3) ends by a fault without it. */
static const unsigned short common[] = {
	SYS_read,	   SYS_pread64,	   SYS_pwrite64,       SYS_copy_file_range, SYS_ftruncate,
	SYS_fstat,	   SYS_close,	   SYS_sendmsg,	       SYS_recvmsg,	    SYS_brk,
	SYS_munmap,	   SYS_mremap,	   SYS_madvise,	       SYS_futex,	    SYS_getrandom,
	SYS_clock_gettime, SYS_getppid,	   SYS_rt_sigprocmask, SYS_rt_sigreturn,    SYS_restart_syscall,
	SYS_exit,	   SYS_exit_group,
};
static const unsigned short of_dir[] = {
	SYS_openat2,   SYS_getdents64, SYS_newfstatat, SYS_readlinkat, SYS_getxattr,
	SYS_listxattr, SYS_fgetxattr,  SYS_flistxattr, SYS_lseek,
};
#ifdef PF_SAN_BUILD
static const unsigned short of_sanitizers[] = {
	SYS_sigaltstack, SYS_rt_sigaction, SYS_sched_yield, SYS_prctl,		 SYS_getrlimit, SYS_prlimit64,
	SYS_openat,	 SYS_readlink,	   SYS_nanosleep,   SYS_clock_nanosleep, SYS_mincore,	SYS_pipe2,
	SYS_write,	 SYS_writev,	   SYS_sysinfo,	    SYS_getpid,		 SYS_gettid,
};
#endif

#define INSNS_MAX 256

struct program {
	struct sock_filter insns[INSNS_MAX];
	size_t n;
};

static void emit(struct program *p, unsigned code, unsigned jt, unsigned jf, uint32_t k)
{
	if (p->n < INSNS_MAX) /* one that is full is not loaded */
		p->insns[p->n++] = (struct sock_filter){(uint16_t)code, (uint8_t)jt, (uint8_t)jf, k};
}

static void allow(struct program *p, const unsigned short *calls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, calls[i]);
		emit(p, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
	}
}

#define NUMBER (BPF_LD | BPF_W | BPF_ABS), 0, 0, offsetof(struct seccomp_data, nr)

/* Allow a call if the low half of an argument has none of the bits of `none` and all of those of `all`;
 * otherwise later rows decide. */
static void allow_if(struct program *p, unsigned call, unsigned arg, uint32_t none, uint32_t all)
{
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 5, call);
	emit(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(offsetof(struct seccomp_data, args) + 8 * arg));
	emit(p, BPF_ALU | BPF_AND | BPF_K, 0, 0, none | all);
	emit(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, all);
	emit(p, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
	emit(p, NUMBER);
}

/* Rows are tried one after the other, but the kernel remembers the calls that are always allowed
 * (since 5.11). */
static int filter(enum pf__wall wall, struct pf_error *err)
{
	struct program p = {.n = 0};

	emit(&p, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch));
	emit(&p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, AUDIT_ARCH_X86_64);
	emit(&p, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS);
	emit(&p, NUMBER);
	emit(&p, BPF_JMP | BPF_JGE | BPF_K, 0, 1, 0x40000000u); /* x32 */
	emit(&p, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS);
	allow(&p, common, sizeof(common) / sizeof(*common));
	if (wall == PF__WALL_DIR)
		allow(&p, of_dir, sizeof(of_dir) / sizeof(*of_dir));
#ifdef PF_SAN_BUILD
	allow(&p, of_sanitizers, sizeof(of_sanitizers) / sizeof(*of_sanitizers));
#endif
	/* F_DUPFD, F_GETFD, F_SETFD, F_GETFL; F_SETOWN and F_SETSIG could send signals. */
	allow_if(&p, SYS_fcntl, 1, ~3u, 0);
	allow_if(&p, SYS_fcntl, 1, ~(uint32_t)F_DUPFD_CLOEXEC, F_DUPFD_CLOEXEC);
	allow_if(&p, SYS_newfstatat, 3, 0, AT_EMPTY_PATH);
	allow_if(&p, SYS_mmap, 2, PROT_EXEC, 0);
	allow_if(&p, SYS_mprotect, 2, PROT_EXEC, 0);
	emit(&p, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM);
	if (p.n == INSNS_MAX)
		return pf_fail(err, -E2BIG, "the import's filter is too long");
	return pf_filter_load(p.insns, p.n, err);
}

static int limit(int what, rlim_t max, struct pf_error *err)
{
	struct rlimit l;

	/* Never more than the caller has. */
	if (getrlimit((__rlimit_resource_t)what, &l))
		return pf_fail_errno(err, "cannot read a limit of the import");
	if (l.rlim_max != RLIM_INFINITY && max > l.rlim_max)
		max = l.rlim_max;
	l.rlim_cur = l.rlim_max = max;
	if (setrlimit((__rlimit_resource_t)what, &l))
		return pf_fail_errno(err, "cannot limit the import");
	return 0;
}

static int limits(enum pf__wall wall, uint64_t file_max, uint64_t maps, struct pf_error *err)
{
	int r = limit(RLIMIT_FSIZE, file_max, err);

	r = r ? r : limit(RLIMIT_CPU, SECONDS_MAX, err);
	/* A directory a level stays open on the way down. */
	r = r ? r : limit(RLIMIT_NOFILE, wall == PF__WALL_DIR ? PF_TREE_DEPTH_MAX + 64 : 32, err);
	r = r ? r : limit(RLIMIT_NPROC, 0, err);
	/* Not 0: with it a core's piped handler still runs, as the host's root. */
	r = r ? r : limit(RLIMIT_CORE, 1, err);
#ifndef PF_SAN_BUILD /* whose shadow memory has no room in any limit */
	r = r ? r : limit(RLIMIT_AS, MEMORY_MAX + maps, err);
#else
	(void)maps;
#endif
	return r;
}

/* Root becomes nobody, where it can become anybody: not in a user namespace that has no such user, nor in a
 * container that took the right away. */
static int become_nobody(const struct pf_caps *have, struct pf_error *err)
{
	const uint64_t need = 1ull << CAP_SETUID | 1ull << CAP_SETGID;

	if (geteuid() != 0 || (have->effective & need) != need)
		return 0;
	if (setgroups(0, NULL) && errno != EPERM)
		return pf_fail_errno(err, "cannot leave root's groups");
	if (setresgid(NOBODY, NOBODY, NOBODY) && errno != EINVAL)
		return pf_fail_errno(err, "cannot leave root's group");
	if (setresuid(NOBODY, NOBODY, NOBODY) && errno != EINVAL)
		return pf_fail_errno(err, "cannot leave root");
	return 0;
}

static int drop(enum pf__wall wall, struct pf_error *err)
{
	struct pf_caps have, none = {0};
	int r = pf_caps_get(&have);

	if (r)
		return pf_fail(err, r, "cannot read the import's capabilities");
	if (have.effective & (1ull << CAP_SETPCAP))
		r = pf_caps_bound(0, err);
	if (r == 0 && wall == PF__WALL_ARCHIVE)
		r = become_nobody(&have, err);
	if (wall == PF__WALL_DIR)
		none.effective = none.permitted = have.permitted & (1ull << CAP_DAC_READ_SEARCH);
	r = r ? r : pf_caps_set(&none, err);
	/* Changes of credentials took it back. */
	if (r == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) || prctl(PR_SET_DUMPABLE, 0) ||
		       prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)))
		r = pf_fail_errno(err, "cannot give up the import's privilege");
	return r;
}

static int landlock(enum pf__wall wall, int dir, struct pf_error *err)
{
	const struct pf_landlock_rule here = {".", PF_LL_READ};
	int fd, r = 0;

	if (!pf_landlock_abi()) /* the filter and the lack of rights stand; the result says so */
		return 0;
	if (wall == PF__WALL_DIR && fchdir(dir))
		return pf_fail_errno(err, "cannot enter the directory");
	fd = pf_landlock_ruleset(&here, wall == PF__WALL_DIR, err);
	if (fd < 0)
		return fd;
	if (chdir("/"))
		r = pf_fail_errno(err, "cannot leave the directory");
	r = r ? r : pf_landlock_restrict(fd, err);
	close(fd);
	return r;
}

int pf__confine(enum pf__wall wall, int dir, uint64_t file_max, uint64_t maps, struct pf_error *err)
{
	sigset_t empty;
	int r;

	sigemptyset(&empty);
	sigprocmask(SIG_SETMASK, &empty, NULL);
	for (int s = 1; s < NSIG; s++)
		signal(s, s == SIGXFSZ || s == SIGPIPE ? SIG_IGN : SIG_DFL); /* some have no choice */
	r = limits(wall, file_max, maps, err);
	r = r ? r : drop(wall, err);
	r = r ? r : landlock(wall, dir, err);
	return r ? r : filter(wall, err);
}
