/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold-init: PID 1 of every sandbox, the same in every tier. It never becomes a command. One
 * thread, one loop: the protocol's socket, the commands' streams, the launchers' control sockets, SIGCHLD.
 *
 *   main.c      start, hello, the loop
 *   exec.c      the table of execs: prepare, start, signal, end
 *   quiet.c     without control groups: kill what an exec left behind
 *   door.c      the port that leads to the host's proxy, and its connections
 *   relay.c     bytes between a command's pipes or terminal and the protocol's streams
 *   launcher.c  the confined child that waits and becomes the command
 *   tries.c     what the launcher tries and finds out for the receipt
 *   line.c      a command line that was understood, run without a shell
 *   fileop.c    file operations that run in a launcher instead of a command
 */
#ifndef PF_INIT_INIT_H
#define PF_INIT_INIT_H

#include <sched.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "proto/conn.h"
#include "proto/msg.h"

#define EXECS_MAX 60 /* three streams each, and the protocol has 256 for them */

enum exec_state {
	EXEC_FREE,
	EXEC_PREPARING, /* the launcher confines itself */
	EXEC_READY,	/* it waits */
	EXEC_STARTING,	/* told to go; its control socket closes when execve succeeded */
	EXEC_RUNNING,
	EXEC_ENDED, /* the first process was reaped; streams may still drain */
};

struct exec {
	enum exec_state state;
	uint32_t id;
	pid_t pid;
	int ctl;	       /* our end of the launcher's control socket; -1 once it is gone */
	struct pf_buf ctl_in;  /* what it has said so far */
	struct pf_buf ctl_out; /* START, on its way to it */
	size_t ctl_sent;
	int in, out, err; /* our ends; with a terminal in == out is the master; -1 closed */
	bool tty;
	struct pf_buf
		in_queue; /* bytes from the host that the command has not taken yet; at most PF_CREDIT */
	bool in_eof, out_eof, err_eof;
	bool going;		 /* the launcher has read START and is about to become the command */
	bool started_held;	 /* so does the word that it was started */
	bool out_held, err_held; /* its end of file waits a moment for its exit, to be told in one message */
	bool exited_sent, start_failed;
	bool last;	   /* init ends with it */
	bool renewed;	   /* its launcher was killed by us, and is replaced */
	unsigned replaced; /* launchers that were killed while they waited */
	int status;	   /* as wait4 gave it */
	uint64_t user_us, system_us, max_rss;
	struct pf_msg_prepare prepare;
};

struct door_conn {
	int fd; /* -1: the place is free */
	uint32_t id;
	struct pf_buf queue; /* from the host, for the client; at most PF_DOOR_CREDIT */
	bool up_done;	     /* EOF was queued: no more to the host */
	bool down_eof, down_done;
};

struct init {
	struct pf_conn *conn;
	struct pf_msg_hello hello;
	void *hello_mem;
	bool have_hello;
	bool ending;  /* the last command was told of: end when that is sent */
	bool quiet;   /* what is queued goes out with the first READY, or after HOLD_MS (main.c) */
	int landlock; /* ruleset for launchers; -1 none */
	int cgroup_fds[5];
	cpu_set_t cpus; /* affinity at the start, given to every launcher afresh */
	int door;	/* listens; -1: there is none */
	uint32_t last_conn, turned_away;
	struct exec execs[EXECS_MAX];
	unsigned conns_used; /* of conns, ever: the others' memory is not touched */
	struct door_conn conns[PF_DOOR_MAX];
};

/* Is a defence off (test builds)? In release builds no name of one is compiled in. */
#ifdef PF_BREAK_BUILD
bool in__broken(const struct init *in, const char *name);
#else
#define in__broken(in, name) ((void)(in), 0)
#endif

/* exec.c */
int in__exec_prepare(struct init *in, const struct pf_msg_prepare *m, struct pf_error *err);
int in__exec_start(struct init *in, const uint8_t *body, size_t n, struct pf_error *err);
int in__exec_signal(struct init *in, const struct pf_msg_signal *m);
int in__exec_resize(struct init *in, const struct pf_msg_resize *m);
int in__exec_cancel(struct init *in, uint32_t id);
void in__exec_renew(struct init *in); /* waiting launchers are replaced */
void in__exec_child_ended(struct init *in, pid_t pid, int status, uint64_t user_us, uint64_t system_us,
			  uint64_t max_rss);
int in__exec_control(struct init *in, struct exec *e,
		     struct pf_error *err); /* its control socket is readable */
int in__exec_control_flush(struct exec *e);
int in__exec_say_started(struct init *in, struct exec *e); /* if that is still to be said */
void in__exec_settle(struct init *in, struct exec *e);	   /* EXITED and freeing, when due */
void in__exec_child_stopped(struct init *in, pid_t pid);
struct exec *in__exec_find(struct init *in, uint32_t id);

/* quiet.c */
int in__exec_reap_all(struct init *in, uint32_t id);

/* relay.c */
int in__relay_output(struct init *in, struct exec *e, bool is_err); /* 0 or -errno; marks EOF itself */
void in__relay_rest(struct init *in, struct exec *e);		    /* it ended: what is left in its pipes */
void in__relay_input(struct init *in, struct exec *e);
int in__relay_data(struct init *in, uint32_t stream, const uint8_t *p, size_t n, struct pf_error *err);
int in__relay_eof(struct init *in, uint32_t stream);
bool in__relay_holds(const struct exec *e);
void in__relay_release(struct init *in, struct exec *e); /* send the ends of file that were held */
void in__relay_stopped(struct init *in, uint32_t stream);

/* door.c */
int in__door_listen(struct init *in, uint16_t port); /* 0 or -errno */
int in__door_accept(struct init *in, struct pf_error *err);
int in__door_tell(struct init *in); /* of those that were turned away, if there were any */
int in__door_read(struct init *in, struct door_conn *c);
void in__door_write(struct init *in, struct door_conn *c);
int in__door_data(struct init *in, uint32_t stream, const uint8_t *p, size_t n, struct pf_error *err);
void in__door_eof(struct init *in, uint32_t stream);
void in__door_stopped(struct init *in, uint32_t stream);

/* launcher.c: runs in the child; never returns */
/* In init: is this waiting launcher scheduled otherwise than init made it? */
bool in__launcher_spoilt(const struct init *in, pid_t pid);
void in__launcher_main(const struct init *in, const struct pf_msg_prepare *m, int ctl)
	__attribute__((noreturn));

/* What a launcher says over its control socket: u8 kind, u32 length, bytes; descriptors go with LAUNCHER_FDS.
 */
enum launcher_word {
	LAUNCHER_FDS = 1,
	LAUNCHER_READY = 2,
	LAUNCHER_FAILED = 3 /* i32 errno, u8 step */,
	LAUNCHER_GOING = 4
};

/* tries.c */
void in__tries(const struct init *in, struct pf_msg_ready *out);

/* 0 never: the errno of the first refusal that counts. As a shell looks a command up, in env's PATH. */
int in__exec_command(char **argv, char **env);

/* line.c: tokens of PF_OP_LINE; NULL ends them */
void in__line_run(char **tokens, char **env, const char *cwd) __attribute__((noreturn));

/* fileop.c: the exit code: 0 or an errno */
int in__fileop(uint8_t op, const char *path);

#endif
