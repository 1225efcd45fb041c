/* SPDX-License-Identifier: Apache-2.0 */
/* pinfold-init: start, hello, the loop. See init.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/san.h"
#include "init/init.h"
#include "linux/caps.h"
#include "linux/landlock.h"
#include "linux/seccomp.h"

#define HOLD_MS 1 /* how long an end of file may wait for the exit that mostly follows at once */

#ifdef PF_SAN_BUILD
/* No leaks: init ends by being killed, and the search for them traces its own process, which walls forbid. */
PF_SAN_OPTIONS("detect_leaks=0")
#endif

static volatile sig_atomic_t child_ended;

static void on_child(int signo)
{
	(void)signo;
	child_ended = 1;
}

#ifdef PF_BREAK_BUILD
bool in__broken(const struct init *in, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = in->hello.breaks; p && *p; p += strcspn(p, ","), p += *p == ',')
		if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == '\0'))
			return true;
	return false;
}
#endif

/* Say why, as far as the host still listens, and end: with PID 1 the kernel ends everything here. */
static void die(struct init *in, const struct pf_error *err) __attribute__((noreturn));
static void die(struct init *in, const struct pf_error *err)
{
	struct pf_msg_failed m = {.err = -err->code, .text = (char *)(uintptr_t)err->msg};
	struct pf_buf b = {0};

	if (in->conn && pf_msg_failed_put(&b, &m) == 0 &&
	    pf_conn_send(in->conn, PF_MSG_FAILED, b.data, b.len) == 0)
		pf_conn_writable(in->conn, NULL);
	_exit(125);
}

/* --- hello: init confines itself ---------------------------------------------------- */

static int check_hello(struct init *in, struct pf_error *err)
{
	const struct pf_msg_hello *h = &in->hello;

	if (h->version_min > PF_PROTO_MAX || h->version_max < PF_PROTO_MIN)
		return pf_fail(err, -EPROTO, "host and pinfold-init are of versions that do not fit");
	if (h->must)
		return pf_fail(err, -EPROTO, "the host asks for features that this pinfold-init lacks");
	if (h->root != PF_ROOT_READY)
		return pf_fail(err, -EPROTO, "this pinfold-init builds no root");
#ifndef PF_BREAK_BUILD
	if (h->breaks && *h->breaks)
		return pf_fail(err, -EPROTO, "only a test build takes defences off");
#endif
	if (getuid() != h->init_uid || getgid() != h->init_gid)
		return pf_fail(err, -EPERM, "pinfold-init runs as uid %u, not %u", getuid(), h->init_uid);
	return 0;
}

static int make_ruleset(struct init *in, struct pf_error *err)
{
	struct pf_landlock_rule rules[PF_MSG_RULES_MAX];
	uint32_t i;
	int fd;

	if (in->landlock >= 0)
		close(in->landlock);
	in->landlock = -1;
	if (pf_landlock_abi() == 0 || in__broken(in, "landlock"))
		return 0;
	for (i = 0; i < in->hello.rule_count; i++)
		rules[i] = (struct pf_landlock_rule){in->hello.rules[i].path,
						     (enum pf_landlock_access)in->hello.rules[i].access};
	fd = pf_landlock_ruleset(rules, (int)in->hello.rule_count, err);
	if (fd < 0)
		return fd;
	in->landlock = fd;
	return 0;
}

/* Everything that is the same for all commands is taken away here, once. */
static int confine(struct init *in, uint8_t *scoped, struct pf_error *err)
{
	struct pf_filter first = pf_filter_first();
	int r;

	if (!in__broken(in, "bounding") && (r = pf_caps_bound(in->hello.keep_caps, err)) < 0)
		return r;
	if (!in__broken(in, "nnp") && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return pf_fail_errno(err, "PR_SET_NO_NEW_PRIVS");
	if (!in__broken(in, "dumpable") && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return pf_fail_errno(err, "PR_SET_DUMPABLE");
	if ((r = make_ruleset(in, err)) < 0)
		return r;
	*scoped = in->landlock >= 0 && pf_landlock_scope(err) == 0;
	if (!in__broken(in, "seccomp") && (r = pf_filter_load(first.insns, first.count, err)) < 0)
		return r;
	return 0;
}

static int welcome(struct init *in, uint8_t scoped, int door)
{
	struct pf_buf b = {0};
	struct pf_msg_welcome m = {.version = PF_PROTO_MAX, .scoped = scoped, .door_err = -door};
	char kernel[160];
	struct utsname u;
	int r;

	uname(&u);
	snprintf(kernel, sizeof(kernel), "%s %s", u.sysname, u.release);
	m.kernel = kernel;
	m.landlock_abi = in->landlock >= 0 ? (uint32_t)pf_landlock_abi() : 0;
	m.dumpable = (uint8_t)prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
	r = pf_msg_welcome_put(&b, &m);
	if (r == 0)
		r = pf_conn_send(in->conn, PF_MSG_WELCOME, b.data, b.len);
	pf_buf_free(&b);
	return r;
}

static int take_hello(struct init *in, const uint8_t *body, size_t n, struct pf_error *err)
{
	uint8_t scoped = 0;
	uint32_t i;
	int door = 0, r;

	if (in->have_hello)
		return pf_fail(err, -EPROTO, "a second hello");
	if ((r = pf_msg_hello_get(body, n, &in->hello, &in->hello_mem, err)) < 0)
		return r;
	in->have_hello = true;
	if ((r = check_hello(in, err)) < 0)
		return r;
	for (i = 0; i < in->hello.cgroup_count && i < 5; i++) {
		in->cgroup_fds[i] = PF_INIT_CGROUP_FD + (int)i;
		fcntl(in->cgroup_fds[i], F_SETFD, FD_CLOEXEC);
	}
	if (in->hello.door_port)
		door = in__door_listen(in, in->hello.door_port);
	if ((r = confine(in, &scoped, err)) < 0)
		return r;
	pf_san_bug("init");
	return welcome(in, scoped, door);
}

/* --- messages -------------------------------------------------------------------------- */

static int with_exec(struct init *in, uint16_t type, const uint8_t *body, size_t n, struct pf_error *err)
{
	uint32_t id;
	int r = pf_msg_exec_get(body, n, &id, err);

	if (r < 0)
		return r;
	return type == PF_MSG_CANCEL ? in__exec_cancel(in, id) : in__exec_reap_all(in, id);
}

/* Rules name what is there now, by its inode. */
static int renew(struct init *in, size_t n, struct pf_error *err)
{
	int r = n ? pf_fail(err, -EPROTO, "a body where none belongs") : make_ruleset(in, err);

	if (r == 0)
		in__exec_renew(in);
	return r;
}

static int on_control(void *user, uint16_t type, const uint8_t *body, size_t n, struct pf_error *err)
{
	struct init *in = user;
	struct pf_msg_prepare p;
	struct pf_msg_signal s;
	struct pf_msg_resize z;
	void *mem = NULL;
	int r;

	if (type == PF_MSG_HELLO)
		return take_hello(in, body, n, err);
	if (!in->have_hello)
		return pf_fail(err, -EPROTO, "a message before hello");
	switch (type) {
	case PF_MSG_PREPARE:
		r = pf_msg_prepare_get(body, n, &p, &mem, err);
		return r < 0 ? r : in__exec_prepare(in, &p, err);
	case PF_MSG_START:
		return in__exec_start(in, body, n, err);
	case PF_MSG_SIGNAL:
		r = pf_msg_signal_get(body, n, &s, &mem, err);
		return r < 0 ? r : in__exec_signal(in, &s);
	case PF_MSG_RESIZE:
		r = pf_msg_resize_get(body, n, &z, &mem, err);
		return r < 0 ? r : in__exec_resize(in, &z);
	case PF_MSG_RULES:
		return renew(in, n, err);
	case PF_MSG_CANCEL:
	case PF_MSG_REAP:
		return with_exec(in, type, body, n, err);
	}
	return pf_fail(err, -EPROTO, "unknown message %u", type);
}

static int on_data(void *user, uint32_t stream, const uint8_t *p, size_t n, struct pf_error *err)
{
	return pf_stream_is_door(stream) ? in__door_data(user, stream, p, n, err)
					 : in__relay_data(user, stream, p, n, err);
}

static int on_eof(void *user, uint32_t stream, struct pf_error *err)
{
	(void)err;
	if (!pf_stream_is_door(stream))
		return in__relay_eof(user, stream);
	in__door_eof(user, stream);
	return 0;
}

static int on_stopped(void *user, uint32_t stream, struct pf_error *err)
{
	(void)err;
	if (pf_stream_is_door(stream))
		in__door_stopped(user, stream);
	else
		in__relay_stopped(user, stream);
	return 0;
}

/* --- the loop ---------------------------------------------------------------------------- */

static void reap(struct init *in)
{
	struct rusage u;
	int status;
	pid_t pid;

	child_ended = 0;
	while ((pid = wait4(-1, &status, WNOHANG | WUNTRACED, &u)) > 0)
		if ((status & 0xff) == 0x7f) /* WIFSTOPPED(), which in musl 1.2.3 overflows an int */
			in__exec_child_stopped(in, pid);
		else
			in__exec_child_ended(
				in, pid, status,
				(uint64_t)u.ru_utime.tv_sec * 1000000 + (uint64_t)u.ru_utime.tv_usec,
				(uint64_t)u.ru_stime.tv_sec * 1000000 + (uint64_t)u.ru_stime.tv_usec,
				(uint64_t)u.ru_maxrss * 1024);
}

struct watch {
	struct exec *e;	     /* NULL: the protocol's socket, the door, or one of its connections */
	struct door_conn *c; /* of WATCH_CONN */
	enum { WATCH_PROTO, WATCH_CTL, WATCH_IN, WATCH_OUT, WATCH_ERR, WATCH_DOOR, WATCH_CONN } what;
};

static void add(struct pollfd *p, struct watch *w, unsigned *n, int fd, short events, struct exec *e,
		int what)
{
	p[*n] = (struct pollfd){.fd = fd, .events = events};
	w[*n].e = e;
	w[*n].c = NULL;
	w[(*n)++].what = what;
}

/* A connection that waits for nothing is left out: poll() would tell of its end again and again. */
static void add_door(struct init *in, struct pollfd *p, struct watch *w, unsigned *n)
{
	if (in->door < 0)
		return;
	add(p, w, n, in->door, POLLIN, NULL, WATCH_DOOR);
	for (unsigned i = 0; i < in->conns_used; i++) {
		struct door_conn *c = &in->conns[i];
		short events = 0;

		if (c->fd < 0)
			continue;
		if (!c->up_done && pf_conn_room(in->conn, pf_stream_up(c->id)))
			events |= POLLIN;
		if (c->queue.len)
			events |= POLLOUT;
		if (!events)
			continue;
		add(p, w, n, c->fd, events, NULL, WATCH_CONN);
		w[*n - 1].c = c;
	}
}

static unsigned collect(struct init *in, struct pollfd *p, struct watch *w)
{
	unsigned n = 0, i;

	add(p, w, &n, pf_conn_fd(in->conn), (short)(POLLIN | (pf_conn_wants_write(in->conn) ? POLLOUT : 0)),
	    NULL, WATCH_PROTO);
	for (i = 0; i < EXECS_MAX; i++) {
		struct exec *e = &in->execs[i];

		if (e->state == EXEC_FREE)
			continue;
		if (e->ctl >= 0)
			add(p, w, &n, e->ctl, (short)(POLLIN | (e->ctl_sent < e->ctl_out.len ? POLLOUT : 0)),
			    e, WATCH_CTL);
		/* a launcher writes nothing; the end of one that is killed while it waits is not the end of
		 * the command's output */
		if (e->out >= 0 && e->state >= EXEC_RUNNING &&
		    pf_conn_room(in->conn, pf_stream_stdout(e->id)))
			add(p, w, &n, e->out, POLLIN, e, WATCH_OUT);
		if (e->err >= 0 && e->state >= EXEC_RUNNING &&
		    pf_conn_room(in->conn, pf_stream_stderr(e->id)))
			add(p, w, &n, e->err, POLLIN, e, WATCH_ERR);
		if (e->in >= 0 && e->in_queue.len && e->state >= EXEC_RUNNING)
			add(p, w, &n, e->in, POLLOUT, e, WATCH_IN);
	}
	add_door(in, p, w, &n);
	return n;
}

static int serve_conn(struct init *in, const struct watch *w, short revents)
{
	int fd = w->c->fd;

	if (revents & POLLOUT)
		in__door_write(in, w->c);
	if (w->c->fd != fd)
		return 0; /* that was its end */
	return revents & (POLLIN | POLLHUP | POLLERR) ? in__door_read(in, w->c) : 0;
}

static int serve(struct init *in, const struct watch *w, short revents, struct pf_error *err)
{
	if (w->e && w->e->state == EXEC_FREE)
		return 0;
	switch (w->what) {
	case WATCH_PROTO:
		return 0; /* after the others */
	case WATCH_DOOR:
		return in__door_accept(in, err);
	case WATCH_CONN:
		return serve_conn(in, w, revents);
	case WATCH_CTL:
		if ((revents & POLLOUT) && in__exec_control_flush(w->e) < 0)
			return 0; /* its end is noticed by reading */
		return revents & (POLLIN | POLLHUP | POLLERR) ? in__exec_control(in, w->e, err) : 0;
	case WATCH_OUT:
		return w->e->out >= 0 ? in__relay_output(in, w->e, false) : 0;
	case WATCH_ERR:
		return w->e->err >= 0 ? in__relay_output(in, w->e, true) : 0;
	case WATCH_IN:
		in__relay_input(in, w->e);
	}
	return 0;
}

static bool any_held(const struct init *in)
{
	unsigned i;

	for (i = 0; i < EXECS_MAX; i++)
		if (in->execs[i].state != EXEC_FREE && in__relay_holds(&in->execs[i]))
			return true;
	return false;
}

static int turn(struct init *in, const sigset_t *mask, struct pf_error *err)
{
	static struct pollfd p[2 + EXECS_MAX * 4 + PF_DOOR_MAX];
	static struct watch w[2 + EXECS_MAX * 4 + PF_DOOR_MAX];
	static const struct timespec hold = {0, HOLD_MS * 1000000l};
	unsigned n = collect(in, p, w), i;
	int ready = ppoll(p, n, in->quiet || any_held(in) ? &hold : NULL, mask), r;

	if (ready < 0 && errno != EINTR)
		return pf_fail_errno(err, "ppoll");
	/* also without the signal: ppoll() delivers none when a descriptor is ready, and one may be until its
	 * owner is reaped */
	if (child_ended || ready > 0)
		reap(in);
	for (i = 1; ready > 0 && i < n; i++)
		if (p[i].revents && (r = serve(in, &w[i], p[i].revents, err)) < 0)
			return r;
	if (ready > 0 && (p[0].revents & (POLLIN | POLLHUP | POLLERR))) {
		r = pf_conn_readable(in->conn, err);
		if (r == 0)
			_exit(0); /* the keeper is gone: so is the sandbox */
		if (r < 0)
			return r;
	}
	for (i = 0; i < EXECS_MAX; i++)
		if (in->execs[i].state != EXEC_FREE) {
			if (in->execs[i].state == EXEC_ENDED)
				in__relay_rest(in, &in->execs[i]);
			if (ready == 0 || in->execs[i].state == EXEC_ENDED)
				in__relay_release(in, &in->execs[i]);
			in__exec_settle(in, &in->execs[i]);
		}
	if (ready == 0)
		in->quiet = false;
	if ((r = in__door_tell(in)) < 0)
		return r;
	if (in->quiet)
		return 0;
	r = pf_conn_writable(in->conn, err);
	if (r == 0 && in->ending && !pf_conn_wants_write(in->conn))
		_exit(0); /* the kernel tears the sandbox down while the host writes its result */
	return r;
}

static void set_signals(sigset_t *during_poll)
{
	struct sigaction child = {.sa_handler = on_child,
				  .sa_flags = SA_RESTART}; /* stops too: of a launcher that waits */
	sigset_t block;

	sigaction(SIGCHLD, &child, NULL);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&block);
	sigaddset(&block, SIGCHLD);
	sigprocmask(SIG_BLOCK, &block, NULL);
	sigemptyset(during_poll);
}

int main(void)
{
	static const struct pf_conn_ops ops = {on_control, on_data, on_eof, on_stopped};
	static struct init in = {.landlock = -1, .door = -1, .cgroup_fds = {-1, -1, -1, -1, -1}};
	struct pf_error err = {0};
	sigset_t during_poll;
	unsigned i;

#ifndef PF_BREAK_BUILD /* a test build may be without a PID namespace */
	if (getpid() != 1) {
		static const char text[] =
			"pinfold-init is the first process of a sandbox; run `pinfold run`\n";

		return write(2, text, sizeof(text) - 1) < 0 ? 125 : 125;
	}
#endif
	for (i = 0; i < EXECS_MAX; i++)
		in.execs[i].ctl = in.execs[i].in = in.execs[i].out = in.execs[i].err = -1;
	umask(022);
	sched_getaffinity(0, sizeof(in.cpus), &in.cpus);
	set_signals(&during_poll);
	fcntl(PF_INIT_SOCKET_FD, F_SETFD, FD_CLOEXEC);
	in.conn = pf_conn_new(PF_INIT_SOCKET_FD, &ops, &in);
	if (!in.conn)
		_exit(125);
	for (;;)
		if (turn(&in, &during_poll, &err) < 0)
			die(&in, &err);
}
