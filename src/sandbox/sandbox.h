/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper as a library: image + workspace + policy -> exec -> result. Inside this folder only.
 *
 *   sandbox.c   create, end, pause
 *   rundir.c    RUNTIME/ID: the lock and what a sweep must know
 *   exec.c      an exec from prepare to start; its stdin, signals, end
 *   step.c      what init says, what the clock says
 *   prove.c     does the wall that was asked for stand?
 *   finish.c    why it ended: the cause, the limits it met, what it used
 *   keep.c      head and tail of an output
 *   files.c     file operations, each an exec without a program
 */
#ifndef PF_SANDBOX_SANDBOX_H
#define PF_SANDBOX_SANDBOX_H

#include <stdbool.h>

#include "policy/policy.h"
#include "proto/conn.h"
#include "proto/msg.h"
#include "sandbox/places.h"
#include "sandbox/result.h"
#include "tier/tier.h"

#include "pinfold.h"

/* The beginning and the end of an output, within half of the inline limit each. */
struct pf_keep {
	struct pf_buf head;
	char *ring; /* the last ring_size bytes beyond the head */
	size_t half, ring_at, ring_len;
	uint64_t total;
};
void pf__keep_init(struct pf_keep *k, size_t inline_limit);
void pf__keep_add(struct pf_keep *k, const void *p, size_t n); /* memory is taken as it is needed */
/* Head, a line that says how much was left out, tail. *truncated is set, never cleared. */
int pf__keep_take(struct pf_keep *k, struct pf_buf *out, bool *truncated);
void pf__keep_free(struct pf_keep *k);

enum pf_exec_state {
	PF_EXEC_PREPARING, /* PREPARE sent; READY awaited */
	PF_EXEC_SPARE,	   /* proved and waiting, not wanted yet */
	PF_EXEC_STARTING,  /* START sent */
	PF_EXEC_RUNNING,
	PF_EXEC_DRAINING, /* its first process ended; streams and survivors are being closed */
	PF_EXEC_DONE,
};

struct pf_exec {
	struct pf_sandbox *box;
	struct pf_exec *next;
	uint32_t id;
	enum pf_exec_state state;
	bool last;   /* the sandbox ends with it */
	bool wanted; /* a caller has it; START goes when READY was proved */
	bool tty, want_stdin, stdin_open, out_eof, err_eof, reaped;
	uint8_t op;	     /* enum pf_start_op */
	char *cwd;	     /* where it is to start, for messages */
	struct pf_buf start; /* START, encoded, until it is sent */
	void (*output)(void *, struct pf_exec *, enum pf_stream, const void *, size_t);
	void *user;
	struct pf_keep out, err;
	bool held[2];	/* stdout, stderr: the caller takes no more for now */
	size_t owed[2]; /* bytes that were taken and not granted again, while held */
	uint64_t wall_ms, idle_ms, output_limit;
	uint64_t asked_ns;					/* when a caller wanted it */
	uint64_t started_ns, last_byte_ns, ended_ns, killed_ns; /* monotonic; 0: not yet */
	uint64_t drain_ns;					/* since when its streams should close */
	uint64_t paused_ns;					/* how long of it the clocks stood */
	struct pf_box_events before;
	struct pf_msg_exited exited;
	enum pf_cause forced; /* why we ended it; PF_CAUSE_NONE: it ended by itself */
	struct pf_inside inside;
	struct pf_outside outside;
	bool agree;
	struct pf_result result; /* valid in PF_EXEC_DONE */
};

#define PF_STALE_MAX 64u
struct pf_sandbox {
	struct pf_policy *policy;
	struct pf_dirs dirs;
	char id[40], why[200];
	int run_fd, live_fd; /* RUNTIME and RUNTIME/ID */
	const struct pf_tier *tier;
	struct pf_box *box;
	struct pf_conn *conn;
	bool welcome; /* init has greeted */
	struct pf_exec *execs;
	uint32_t next_exec;
	uint32_t stale[PF_STALE_MAX]; /* execs that ended and whose groups are still to be removed: chores */
	unsigned stale_count;
	bool spare_wanted;	/* a launcher should wait for the next command */
	struct pf_error broken; /* code 0: whole */
	uint64_t paused_at;	/* ns; 0: runs */
	char *breaks;		/* test builds: $PF_BREAK */
};

/* rundir.c */
int pf__rundir_make(struct pf_sandbox *s, struct pf_error *err); /* directory and lock */
int pf__rundir_describe(struct pf_sandbox *s, struct pf_error *err);
void pf__rundir_remove(struct pf_sandbox *s);

/* sandbox.c: the first command gives the sandbox its label */
void pf__sandbox_label(struct pf_sandbox *s, const char *const *argv);

/* exec.c */
struct pf_exec *pf__exec_find(struct pf_sandbox *s, uint32_t id);
int pf__exec_prepare(struct pf_sandbox *s, bool tty, bool want_stdin, unsigned short rows,
		     unsigned short cols, struct pf_exec **out, struct pf_error *err);
int pf__exec_go(struct pf_exec *e, struct pf_error *err); /* PREPARING or SPARE and proved: send START */
int pf__exec_cancel(struct pf_exec *e); /* tell init that its launcher is not wanted any more */
void pf__exec_end_now(struct pf_exec *e, enum pf_cause why); /* kill, with the cause it will have */
int pf__exec_start_op(struct pf_sandbox *s, uint8_t op, const struct pf_exec_options *o, struct pf_exec **out,
		      struct pf_error *err);

void pf__exec_chores(
	struct pf_sandbox *s); /* what nobody waits for: done when nothing has happened for a moment */
bool pf__exec_has_chores(const struct pf_sandbox *s);

/* step.c */
extern const struct pf_conn_ops pf__conn_ops;
void pf__break_box(struct pf_sandbox *s, enum pf_cause cause,
		   const struct pf_error *why); /* every exec ends with it */

/* prove.c: 0, or -EPERM and the reason: cause boundary. Fills e->agree. */
int pf__prove(struct pf_exec *e, struct pf_error *err);

/* finish.c */
void pf__finish(struct pf_exec *e); /* make the result of an exec that ended */
void pf__finish_refused(struct pf_exec *e, enum pf_cause cause,
			const struct pf_error *why); /* it never started */
int pf__finish_start_failed(struct pf_exec *e, int err_no, uint8_t step);

#endif
