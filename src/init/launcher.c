/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launcher: from fork to execve. It enters the exec's group, takes its own cgroup namespace and the
 * command's id, makes the command's pipes or terminal as that id (so that /dev/stdout can be opened
 * again), gives up every privilege, tries the boundary for the receipt, and waits. On START it becomes the
 * command.
 *
 * While it waits it is not dumpable, and its memory holds nothing but what the policy lets the command know.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/san.h"
#include "init/init.h"
#include "linux/caps.h"
#include "linux/landlock.h"
#include "linux/seccomp.h"
#include "view/place.h"

struct launch {
	const struct init *in;
	const struct pf_msg_prepare *m;
	int ctl;
	int std[3];  /* the command's ends */
	int give[3]; /* init's ends */
	int gives;
};

static void fail(int ctl, int err_no, enum pf_start_step step, const char *text) __attribute__((noreturn));
static void fail(int ctl, int err_no, enum pf_start_step step, const char *text)
{
	struct pf_buf b = {0};
	uint8_t word = LAUNCHER_FAILED, s = (uint8_t)step;
	int32_t e = err_no;
	uint32_t n = 5 + (text ? (uint32_t)strlen(text) + 1 : 0);

	pf_buf_add(&b, &word, 1);
	pf_buf_add(&b, &n, sizeof(n));
	pf_buf_add(&b, &e, sizeof(e));
	pf_buf_add(&b, &s, 1);
	if (text)
		pf_buf_add(&b, text, strlen(text) + 1);
	if (b.data)
		(void)!pf_write_full(ctl, b.data, b.len);
	_exit(127);
}

static void must(const struct launch *l, int r, const struct pf_error *err)
{
	if (r < 0)
		fail(l->ctl, -r, PF_STEP_SETUP, err->msg);
}

/* v1: a single-threaded process moves itself through `tasks`, which waits for nothing (cgroup.procs would
 * wait for an RCU grace period). */
static int enter_groups(const struct init *in, uint32_t exec, struct pf_error *err)
{
	char path[32];
	uint32_t i;

	snprintf(path, sizeof(path), "%u/tasks", exec);
	for (i = 0; i < in->hello.cgroup_count; i++) {
		int r;

		if (in->hello.cgroup_kind[i] != PF_CGROUP_V1)
			continue;
		r = pf_write_file(in->cgroup_fds[i], path, "0");
		if (r < 0)
			return pf_fail(err, r, "cannot enter the exec's control group: %s", strerror(-r));
	}
	return 0;
}

/* Where the sandbox has no group of its own, too: the names of the host's tell of its users and services. */
static int new_cgroup_namespace(const struct init *in, struct pf_error *err)
{
	if (!in__broken(in, "cgroupns") && unshare(CLONE_NEWCGROUP) < 0)
		return pf_fail_errno(err, "cannot make a cgroup namespace");
	return 0;
}

/* What an earlier command of the same uid may have done to init must not be inherited. */
static void start_afresh(const struct init *in)
{
	/* queued signals and timers, message queues and locked memory are charged to the user who made the
	 * user namespace (ucounts): without a bound of its own a sandbox could use up its caller's */
	static const struct rlimit signals = {1024, 1024}, queues = {65536, 65536},
				   locked = {8u << 20, 8u << 20};
	static const struct rlimit core = {
		1, 1}; /* 0 still runs a piped core handler as the host's root (core(5)) */

	if (in__broken(in, "afresh"))
		return;
	sched_setaffinity(0, sizeof(in->cpus), &in->cpus);
	setpriority(PRIO_PROCESS, 0, 0);
	pf_write_file(AT_FDCWD, "/proc/self/oom_score_adj", "0");
	setrlimit(RLIMIT_CORE, &core);
	setrlimit(RLIMIT_SIGPENDING, &signals);
	setrlimit(RLIMIT_MSGQUEUE, &queues);
	setrlimit(RLIMIT_MEMLOCK, &locked);
}

static int take_identity(const struct launch *l, struct pf_error *err)
{
	const struct pf_msg_prepare *m = l->m;

	if (m->uid == getuid() && m->gid == getgid())
		return 0;
	if (prctl(PR_SET_KEEPCAPS, m->caps ? 1 : 0, 0, 0, 0) < 0)
		return pf_fail_errno(err, "PR_SET_KEEPCAPS");
	if (setgroups(0, NULL) < 0 || setresgid(m->gid, m->gid, m->gid) < 0 ||
	    setresuid(m->uid, m->uid, m->uid) < 0)
		return pf_fail_errno(err, "cannot take the command's id");
	return 0;
}

/* init's end of a pipe, or -errno; *theirs is the command's. */
static int make_pipe(bool input, int *theirs)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	*theirs = p[input ? 0 : 1];
	return p[input ? 1 : 0];
}

static int make_pipes(struct launch *l, struct pf_error *err)
{
	l->give[0] = make_pipe(false, &l->std[1]);
	l->give[1] = make_pipe(false, &l->std[2]);
	l->gives = l->m->want_stdin ? 3 : 2;
	if (l->m->want_stdin)
		l->give[2] = make_pipe(true, &l->std[0]);
	else
		l->std[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (l->give[0] < 0 || l->give[1] < 0 || l->give[2] < 0 || l->std[0] < 0)
		return pf_fail_errno(err, "cannot make the command's streams");
	return 0;
}

/* The terminal is the sandbox's own; its slave is got from the master, never by a name (CVE-2025-52565). */
static int make_terminal(struct launch *l, struct pf_error *err)
{
	struct winsize w = {.ws_row = l->m->rows ? l->m->rows : 24, .ws_col = l->m->cols ? l->m->cols : 80};
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), slave, zero = 0;

	if (master < 0)
		return pf_fail_errno(err, "cannot make a terminal");
	if (ioctl(master, TIOCSPTLCK, &zero) < 0 || ioctl(master, TIOCSWINSZ, &w) < 0)
		return pf_fail_errno(err, "cannot set the terminal up");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return pf_fail_errno(err, "cannot open the terminal");
	l->give[0] = master;
	l->gives = 1;
	l->std[0] = l->std[1] = l->std[2] = slave;
	return 0;
}

static int enter_walls(const struct init *in, struct pf_error *err)
{
	struct sock_filter second[PF_FILTER_SECOND_MAX];
	size_t n;
	int r;

	if (in->landlock >= 0 && (r = pf_landlock_restrict(in->landlock, err)) < 0)
		return r;
	if (in__broken(in, "seccomp") || in__broken(in, "seccomp2"))
		return 0;
	n = pf_filter_second(second, in->hello.filter_options);
	return pf_filter_load(second, n, err);
}

static int give_up_privileges(const struct launch *l, struct pf_error *err)
{
	const struct init *in = l->in;
	bool early = in__broken(in, "nnp"); /* without no_new_privs the walls need CAP_SYS_ADMIN */
	int r;

	if (early && (r = enter_walls(in, err)) < 0)
		return r;
	if (!in__broken(in, "caps") && (r = pf_caps_ambient(l->m->caps, err)) < 0)
		return r;
	if (!in__broken(in, "dumpable") && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return pf_fail_errno(err, "PR_SET_DUMPABLE");
	return early ? 0 : enter_walls(in, err);
}

static int send_fds(const struct launch *l, struct pf_error *err)
{
	char control[CMSG_SPACE(3 * sizeof(int))] = {0};
	uint8_t word[5] = {LAUNCHER_FDS, 0, 0, 0, 0};
	struct iovec iov = {word, sizeof(word)};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};
	struct cmsghdr *c;
	int i;

	h.msg_controllen = CMSG_SPACE((size_t)l->gives * sizeof(int));
	c = CMSG_FIRSTHDR(&h);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN((size_t)l->gives * sizeof(int));
	memcpy(CMSG_DATA(c), l->give, (size_t)l->gives * sizeof(int));
	if (sendmsg(l->ctl, &h, MSG_NOSIGNAL) < 0)
		return pf_fail_errno(err, "cannot hand the command's streams to init");
	for (i = 0; i < l->gives; i++)
		close(l->give[i]);
	return 0;
}

static int send_ready(const struct launch *l, struct pf_error *err)
{
	static struct pf_msg_ready ready;
	struct pf_buf body = {0}, b = {0};
	uint8_t word = LAUNCHER_READY;
	uint32_t n;
	int r;

	memset(&ready, 0, sizeof(ready));
	ready.exec = l->m->exec;
	in__tries(l->in, &ready);
	r = pf_msg_ready_put(&body, &ready);
	n = (uint32_t)body.len;
	if (r < 0 || pf_buf_add(&b, &word, 1) < 0 || pf_buf_add(&b, &n, 4) < 0 ||
	    pf_buf_add(&b, body.data, body.len) < 0)
		return pf_fail(err, -ENOMEM, "out of memory");
	r = pf_write_full(l->ctl, b.data, b.len);
	pf_buf_free(&body);
	pf_buf_free(&b);
	return r < 0 ? pf_fail(err, r, "cannot tell init that the launcher waits") : 0;
}

/* A command of the same uid may have changed how a launcher is scheduled while it waited, which cannot be
 * taken back without privilege. Init itself it cannot: that has capabilities which a command lacks
 * (cap_safe_nice() in the kernel). */
bool in__launcher_spoilt(const struct init *in, pid_t pid)
{
	static bool known;
	static int nice, ioprio;
	static long scheduler;
	cpu_set_t cpus;

	if (!known) { /* nobody changes init's own */
		nice = getpriority(PRIO_PROCESS, 0);
		nice = nice > 0 ? nice : 0;
		scheduler = syscall(SYS_sched_getscheduler, 0);
		ioprio = (int)syscall(SYS_ioprio_get, 1 /* IOPRIO_WHO_PROCESS */, 0);
		known = true;
	}
	CPU_ZERO(&cpus);
	return getpriority(PRIO_PROCESS, (id_t)pid) > nice ||
	       syscall(SYS_sched_getscheduler, pid) != scheduler ||
	       syscall(SYS_ioprio_get, 1, pid) != ioprio || sched_getaffinity(pid, sizeof(cpus), &cpus) < 0 ||
	       !CPU_EQUAL(&cpus, &in->cpus);
}

/* --- START ----------------------------------------------------------------------------- */

static void read_start(const struct launch *l, struct pf_msg_start *m)
{
	struct pf_error err;
	uint32_t n;
	uint8_t *body;
	void *mem;

	if (pf_read_full(l->ctl, &n, sizeof(n)) != (ssize_t)sizeof(n))
		_exit(0); /* init is gone, or does not want us any more */
	body = n <= PF_CONTROL_MAX ? malloc(n) : NULL;
	if (!body || pf_read_full(l->ctl, body, n) != (ssize_t)n)
		_exit(127);
	if (pf_msg_start_get(body, n, m, &mem, &err) < 0)
		fail(l->ctl, EPROTO, PF_STEP_SETUP, NULL);
	free(body);
}

/* From here on what ends this process ended the command. Until now it was replaced. */
static void say_going(const struct launch *l)
{
	static const uint8_t word[5] = {LAUNCHER_GOING, 0, 0, 0, 0};

	if (pf_write_full(l->ctl, word, sizeof(word)) < 0)
		_exit(0);
}

static void set_limit(int which, uint64_t value)
{
	struct rlimit r = {value, value};

	if (value)
		setrlimit(which, &r);
}

static int place_streams(const struct launch *l)
{
	int i;

	for (i = 0; i < 3; i++)
		if (dup2(l->std[i], i) < 0)
			return -errno;
	if (l->m->tty && ioctl(0, TIOCSCTTY, 0) < 0)
		return -errno;
	return 0;
}

static const char *path_of(char *const *env)
{
	for (; *env; env++)
		if (strncmp(*env, "PATH=", 5) == 0)
			return *env + 5;
	return "/usr/local/bin:/usr/bin:/bin";
}

/* Is it a copy of pinfold-refuse? Then the host is told before anything runs (view/place.h). */
static bool is_refused(const char *file)
{
	PF_AUTO_CLOSE int fd = open(file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	char head[PF_REFUSE_MARK_AT + sizeof(PF_REFUSE_MARK) - 1];

	return fd >= 0 && pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
	       memcmp(head, "\177ELF", 4) == 0 &&
	       memcmp(head + PF_REFUSE_MARK_AT, PF_REFUSE_MARK, sizeof(PF_REFUSE_MARK) - 1) == 0;
}

/* l: of the first command, of which the host is to be told; NULL: of any other. */
static void execute(const struct launch *l, const char *file, char *const *argv, char *const *env)
{
	if (l && (l->in->hello.filter_options & PF_FILTER_NO_MEMFD) && is_refused(file))
		fail(l->ctl, EACCES, PF_STEP_REFUSED, NULL);
	execve(file, argv, env);
}

/* As a shell looks a command up; the first refusal other than "not there" is remembered. */
static int exec_in_path(const struct launch *l, const char *name, char *const *argv, char *const *env)
{
	const char *p = path_of(env);
	char file[PF_WIRE_PATH_MAX];
	int code = ENOENT;

	if (strchr(name, '/')) {
		execute(l, name, argv, env);
		return errno;
	}
	if (!*name)
		return ENOENT;
	while (*p) {
		size_t n = strcspn(p, ":");

		if (snprintf(file, sizeof(file), "%.*s%s%s", (int)n, p, n ? "/" : "", name) <
		    (int)sizeof(file)) {
			execute(l, file, argv, env);
			if (errno != ENOENT && errno != ENOTDIR && (code == ENOENT || errno != EACCES))
				code = errno;
		}
		p += n + (p[n] == ':');
	}
	return code;
}

/* A script without #! is run by sh, as execvp(3) and every shell do. */
static int exec_command(const struct launch *l, char **argv, char **env)
{
	int code = exec_in_path(l, argv[0], argv, env);
	size_t n = 0, i;
	char **with;

	if (code != ENOEXEC || !strchr(argv[0], '/'))
		return code;
	while (argv[n])
		n++;
	with = calloc(n + 2, sizeof(*with));
	if (!with)
		return ENOMEM;
	with[0] = (char *)(uintptr_t) "/bin/sh";
	for (i = 0; i < n; i++)
		with[i + 1] = argv[i];
	execute(l, with[0], with, env);
	return errno;
}

/* A command of a line: one that is refused is told by pinfold-refuse, as in a shell. */
int in__exec_command(char **argv, char **env)
{
	return exec_command(NULL, argv, env);
}

static void become(const struct launch *l, struct pf_msg_start *m) __attribute__((noreturn));
static void become(const struct launch *l, struct pf_msg_start *m)
{
	char cwd[PF_WIRE_PATH_MAX];
	int code;

	umask((mode_t)m->umask);
	set_limit(RLIMIT_NOFILE, m->nofile);
	set_limit(RLIMIT_NPROC, m->nproc);
	if (chdir(m->cwd) < 0)
		fail(l->ctl, errno, PF_STEP_CWD, NULL);
	/* a directory that lies outside of the root has a name that does not begin with '/' (CVE-2024-21626)
	 */
	if (!in__broken(l->in, "cwd") && (!getcwd(cwd, sizeof(cwd)) || cwd[0] != '/'))
		fail(l->ctl, EXDEV, PF_STEP_CWD, NULL);
	if ((code = place_streams(l)) < 0)
		fail(l->ctl, -code, PF_STEP_SETUP, NULL);
	if (m->op == PF_OP_LINE) {
		close(l->ctl);
		in__line_run(m->argv.strings, m->env.strings, m->cwd);
	}
	if (m->op != PF_OP_EXEC) {
		close(l->ctl);
		_exit(in__fileop(m->op, m->argv.count ? m->argv.strings[0] : ""));
	}
	if (m->argv.count == 0)
		fail(l->ctl, EINVAL, PF_STEP_LOOKUP, NULL);
	code = exec_command(l, m->argv.strings, m->env.strings);
	fail(l->ctl, code, code == ENOENT ? PF_STEP_LOOKUP : PF_STEP_EXEC, NULL);
}

/* Only what belongs to the command stays open: its streams and the control socket. */
static void close_the_rest(struct launch *l)
{
	const int own[4] = {l->ctl, l->std[0], l->std[1], l->std[2]};
	int keep[4], i;

	for (i = 0; i < 4; i++)
		keep[i] = fcntl(own[i], F_DUPFD_CLOEXEC, 100);
	for (i = 0; i < 4; i++)
		dup3(keep[i], 3 + i, O_CLOEXEC);
	if (!in__broken(l->in, "close_launcher"))
		pf_close_from(7);
	l->ctl = 3;
	for (i = 0; i < 3; i++)
		l->std[i] = 4 + i;
}

void in__launcher_main(const struct init *in, const struct pf_msg_prepare *m, int ctl)
{
	struct launch l = {.in = in, .m = m, .ctl = ctl};
	struct pf_error err = {0};
	struct pf_msg_start start;
	sigset_t none;

	setsid();
	must(&l, enter_groups(in, m->exec, &err), &err);
	must(&l, new_cgroup_namespace(in, &err), &err);
	start_afresh(in);
	must(&l, take_identity(&l, &err), &err);
	must(&l, m->tty ? make_terminal(&l, &err) : make_pipes(&l, &err), &err);
	must(&l, give_up_privileges(&l, &err), &err);
	must(&l, send_fds(&l, &err), &err);
	close_the_rest(&l);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	pf_san_bug("launcher");
	must(&l, send_ready(&l, &err), &err);
	read_start(&l, &start);
	say_going(&l);
	become(&l, &start);
}
