/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper as a library: image + workspace + policy -> exec -> result. Inside this folder only.
 *
 *   sandbox.c   create, end, pause
 *   rundir.c    RUNTIME/ID: the lock and what a sweep must know
 *   image.c     the image: found, made on need, held
 *   command.c   what a command starts with: words, environment, directory
 *   guard.c     what the command policy says before it starts
 *   guard_places.c  where it looks paths up
 *   exec.c      an exec from prepare to start; its stdin, signals, end
 *   step.c      what init says, what the clock says
 *   prove.c     does the wall that was asked for stand?
 *   finish.c    why it ended: the cause, the limits it met, what it used
 *   output.c    where output goes
 *   redact.c    what of it may be shown
 *   keep.c      head and tail of an output
 *   spool.c     a long one, whole, into the state directory (outputs.c)
 *   rw.c        changes that go into the workspace by themselves
 *   door.c      connections of the inside; door_proxy.c: the proxy that gets them; door_report.c: what it
 * tells files.c     file operations, each an exec without a program
 */
#ifndef PF_SANDBOX_SANDBOX_H
#define PF_SANDBOX_SANDBOX_H

#include <stdbool.h>

#include "guard/redact.h"
#include "image/store.h"
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
/* Head and tail in three pieces; false: there was more, and it is not in memory any more. */
bool pf__keep_pieces(const struct pf_keep *k, const char *pieces[3], size_t lengths[3]);
/* Head, a line that says how much was left out and where it is, tail. beyond: bytes that never came here.
 * Returns whether something is missing. */
bool pf__keep_take(struct pf_keep *k, uint64_t beyond, const char *where, struct pf_buf *out);
void pf__keep_free(struct pf_keep *k);

/* The files of a long output; see spool.c. */
struct pf_spool {
	bool off;	    /* none is wanted */
	int outputs, stage; /* STATE/outputs, and the exec's directory in it; -1: there is nothing */
	int fd[2];	    /* stdout, stderr */
	uint64_t bytes[2];
	bool failed[2]; /* result.whole[].why says how */
};

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
	bool disk_full;	     /* seen while it ran */
	uint8_t op;	     /* enum pf_start_op */
	char *cwd;	     /* where it is to start, for messages */
	struct pf_buf start; /* START, encoded, until it is sent */
	void (*output)(void *, struct pf_exec *, enum pf_stream, const void *, size_t);
	void (*event)(void *, struct pf_exec *, const char *, const char *);
	void *user;
	struct pf_redact_stream *guarded[2]; /* stdout, stderr; from the first byte on */
	bool blind;			     /* redaction failed: nothing more is shown */
	struct pf_keep out, err;
	struct pf_spool spool;
	uint64_t written[2]; /* stdout, stderr: by the command */
	uint64_t beyond[2];  /* of that, after limits.output */
	bool held[2];	     /* stdout, stderr: the caller takes no more for now */
	size_t owed[2];	     /* bytes that were taken and not granted again, while held */
	uint64_t wall_ms, idle_ms, output_limit;
	uint64_t asked_ns;					/* when a caller wanted it */
	uint64_t started_ns, last_byte_ns, ended_ns, killed_ns; /* monotonic; 0: not yet */
	uint64_t drain_ns;					/* since when its streams should close */
	uint64_t paused_ns;					/* how long of it the clocks stood */
	uint64_t sampled_ns;					/* when the disk was last looked at */
	struct pf_box_events before;
	struct pf_msg_exited exited;
	enum pf_cause forced; /* why we ended it; PF_CAUSE_NONE: it ended by itself */
	struct pf_inside inside;
	struct pf_outside outside;
	bool agree;
	struct pf_result result; /* valid in PF_EXEC_DONE */
};

struct pf_door;

#define PF_STALE_MAX 64u
struct pf_sandbox {
	struct pf_policy *policy;
	struct pf_dirs dirs;
	struct pf_image image; /* dir NULL: the host's own tools */
	int image_hold;	       /* the lock that keeps it */
	bool progress;	       /* programs that make or unpack it may tell of it on standard error */
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
	bool spare_wanted;	  /* a launcher should wait for the next command */
	struct pf_error broken;	  /* code 0: whole */
	uint64_t paused_at;	  /* ns; 0: runs */
	char *breaks;		  /* test builds: $PF_BREAK */
	bool looking;		  /* the tier has more to look at before the first command */
	bool used;		  /* a command was started */
	struct pf_redact *redact; /* NULL: guard.output is off */
	bool redact_ready;	  /* it knows the environment and the hidden files */
	struct pf_door *door;	  /* NULL: nobody has knocked (door.h) */
	bool rw_dirty;		  /* mode rw: something ran since the changes were last applied */
};

/* rundir.c */
int pf__rundir_make(struct pf_sandbox *s, struct pf_error *err); /* directory and lock */
int pf__rundir_describe(struct pf_sandbox *s, struct pf_error *err);
void pf__rundir_remove(struct pf_sandbox *s);

/* sandbox.c: the first command gives the sandbox its label */
void pf__sandbox_label(struct pf_sandbox *s, const char *const *argv);
struct pf_box_spec pf__sandbox_spec(const struct pf_sandbox *s); /* what its tier is told */

/* image.c */
int pf__image_take(struct pf_sandbox *s, struct pf_error *err);
void pf__image_drop(struct pf_sandbox *s);

/* command.c. words: NULL-terminated, borrowed from o and the image; the caller frees the array. env is
 * filled; -ENOMEM, -E2BIG. */
int pf__command_words(const struct pf_sandbox *s, const struct pf_exec_options *o, const char ***out,
		      struct pf_error *err);
int pf__command_env(const struct pf_sandbox *s, const struct pf_exec_options *o, struct pf_list *env);
const char *pf__command_cwd(const struct pf_sandbox *s, const struct pf_exec_options *o);

/* files.c: what path leads to from cwd, links followed; -EXDEV where it leads out of there */
int pf__file_beneath(struct pf_sandbox *s, const char *cwd, const char *path, struct pf_file_stat *out,
		     struct pf_error *err);

/* guard_places.c: where paths of a line are looked up; NULL: nothing can be said of any. p stays where it is
 */
struct pf__guard_places {
	struct pf_sandbox *box;
	struct pf_command_workspace workspace;
	struct pf_command_places places;
	unsigned questions;
};
const struct pf_command_places *pf__guard_places_open(struct pf__guard_places *p, struct pf_sandbox *s,
						      const char *cwd);
void pf__guard_places_close(struct pf__guard_places *p);

/* guard.c. words: what would be started; tokens: what init runs in their place without a shell, empty where
 * they hold. judge: 0 also where nothing is judged; refuse: e has its result then */
int pf__guard_judge(struct pf_sandbox *s, const struct pf_exec_options *o, const char *const *words,
		    struct pf_guard *out, struct pf_list *tokens, struct pf_error *err);
bool pf__guard_refuses(const struct pf_guard *g, const struct pf_exec_options *o);
void pf__guard_refuse(struct pf_exec *e, const struct pf_exec_options *o, const char *const *words);

/* exec.c */
struct pf_exec *pf__exec_find(struct pf_sandbox *s, uint32_t id);
void pf__exec_name(const struct pf_exec *e, char out[40]); /* the id of its result */
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

/* output.c */
void pf__output_init(struct pf_exec *e);
/* false: limits.output was passed. */
bool pf__output_add(struct pf_exec *e, enum pf_stream stream, const void *p, size_t n);
void pf__output_end(struct pf_exec *e); /* into the result, whose id is set */
void pf__output_free(struct pf_exec *e);

/* redact.c: guard.output. show: from there into spool, keep and the caller */
int pf__redact_new(struct pf_sandbox *s, struct pf_error *err);
void pf__redact_free(struct pf_sandbox *s);
void pf__redact_show(struct pf_exec *e, unsigned i, const void *p, size_t n);
void pf__redact_end(struct pf_exec *e);		  /* lets go what is held */
uint64_t pf__redact_due(const struct pf_exec *e); /* when what is held is let go; UINT64_MAX */
bool pf__redact_tick(struct pf_exec *e, uint64_t now);
/* Before a command starts: can all that is known be looked for? -E2BIG, -ENOMEM */
int pf__redact_ready(struct pf_sandbox *s, struct pf_error *err);
struct pf_egress_report;
void pf__redact_report(struct pf_exec *e, struct pf_egress_report *r); /* what was asked of the network */
void pf__redact_result(struct pf_exec *e);		 /* words, denials and error of its result */
void pf__redact_line(struct pf_sandbox *s, char **line); /* a line that is kept of a command */

/* spool.c. add: before the same bytes go into memory */
void pf__spool_init(struct pf_spool *sp);
void pf__spool_add(struct pf_exec *e, unsigned i, const void *p, size_t n);
void pf__spool_end(struct pf_exec *e); /* fills result.whole */
void pf__spool_free(struct pf_exec *e);

/* prove.c: 0, or -EPERM and the reason: cause boundary. Fills e->agree. */
int pf__prove(struct pf_exec *e, struct pf_error *err);

/* finish.c */
void pf__finish(struct pf_exec *e); /* make the result of an exec that ended */
/* refused.c: init did not start the first program; what pinfold-refuse left */
void pf__refused_first(struct pf_exec *e, const char *name);
void pf__refused_take(struct pf_exec *e);
void pf__finish_refused(struct pf_exec *e, enum pf_cause cause,
			const struct pf_error *why); /* it never started */
int pf__finish_start_failed(struct pf_exec *e, int err_no, uint8_t step);

/* rw.c: e has its result; no other runs: apply, and a fresh workspace */
void pf__rw_ended(struct pf_exec *e);
bool pf__rw_pending(const struct pf_sandbox *s); /* is there something that was not applied? */
/* The tier's renew, and init's rules for the new one. */
int pf__workspace_renew(struct pf_sandbox *s, struct pf_error *err);

#endif
