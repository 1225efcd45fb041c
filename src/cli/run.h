/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the verb run: one command in one sandbox, from its options to its exit code. */
#ifndef PF_CLI_RUN_H
#define PF_CLI_RUN_H

#include <stdbool.h>
#include <termios.h>

#include "cli/cli.h"
#include "sandbox/result.h"

#include "pinfold.h"

/* --- run_sink.c: where output goes, without ever blocking the loop that holds the deadlines ------------ */
#define PF_SINK_HIGH                                                                                         \
	262144u /* with so much unwritten that output is held: the command waits, as in a pipe               \
		 */

struct pf_sink {
	int fd;
	bool direct; /* a file: writes never wait for a reader */
	bool socket;
	int error; /* negative errno once a write failed; then everything is dropped */
	struct pf_buf pend;
	size_t done; /* bytes of pend that were written */
};
void pf_sink_init(struct pf_sink *s, int fd);
void pf_sink_put(struct pf_sink *s, const void *p, size_t n);
void pf_sink_flush(struct pf_sink *s); /* what can be written now */
size_t pf_sink_pending(const struct pf_sink *s);
bool pf_sink_same(const struct pf_sink *a, const struct pf_sink *b); /* one terminal or pipe behind both */
void pf_sink_free(struct pf_sink *s);

/* --- run_signals.c ----------------------------------------------------------------------------------- */
/* Catch what a user sends to stop or resize us. Handlers and not a blocked mask nor SIG_IGN: those two would
 * be inherited by init and by every command. Returns a descriptor that becomes readable. */
int pf_signals_catch(void);
int pf_signals_next(void);	   /* the next signal that arrived, 0 if none */
void pf_signals_progress(bool on); /* a line on stderr if the start takes over a second */

/* --- run_tty.c --------------------------------------------------------------------------------------- */
struct pf_tty {
	int fd; /* our terminal; -1: none */
	bool raw;
	struct termios before;
};
void pf_tty_find(struct pf_tty *t);
int pf_tty_raw(struct pf_tty *t);      /* 0 or -errno */
void pf_tty_restore(struct pf_tty *t); /* harmless when it is not raw */
bool pf_tty_size(const struct pf_tty *t, unsigned short *rows, unsigned short *cols);

/* --- run_watch.c: rw,live, where what appears is neither hidden nor protected. So at least it is told. ---
 */
struct pf_watch {
	int fd; /* the workspace; -1: nothing is watched */
	struct pf_list
		names;	     /* that the policy hides or protects, and that were not there at the start ... */
	struct pf_list made; /* ... and of them, after pf_watch_end(), those that are there now */
};
#define PF_WATCH_NONE                                                                                        \
	{                                                                                                    \
		.fd = -1                                                                                     \
	}
void pf_watch_begin(struct pf_watch *w, const struct pf_policy *p); /* does nothing but for rw,live */
void pf_watch_end(struct pf_watch *w);
void pf_watch_free(struct pf_watch *w);

/* --- the run ------------------------------------------------------------------------------------------ */
enum pf_json_mode { PF_JSON_OFF, PF_JSON_OBJECT_MODE, PF_JSON_STREAM_MODE };

struct pf_run {
	/* what was asked for */
	enum pf_json_mode json;
	bool interactive, tty, rm, apply, quiet, verbose, receipt, help;
	const char *entrypoint;	 /* in place of the image's; "": none; NULL: the image's */
	const char *shell;	 /* a line in place of the command; NULL: none */
	bool stricter;		 /* guard.prompt.stricter was written over the policy */
	bool approved;		 /* a person said yes to it */
	const char *prompts[16]; /* [user:|tool:]FILE, to be judged first */
	size_t prompt_count;
	char **command;
	char **guess; /* what would be the command, where an option cannot be read; for the result alone */
	struct pf_policy *policy;
	/* what happens */
	struct pf_sandbox *box;
	struct pf_exec *exec;
	struct pf_sink out, err;
	bool one_sink; /* stdout and stderr are one terminal or pipe: their order is kept */
	struct pf_tty terminal;
	int signals;	/* descriptor */
	unsigned kills; /* signals that ask for the end */
	struct pf_watch watch;
	bool dropped; /* --rm: a change set was there, and is not kept */
	bool stdin_open;
	char carry[2][4]; /* json stream: the beginning of a character at the end of the last piece */
	size_t carry_len[2];
	/* what came of it */
	struct pf_result result;
	int forced_code; /* exit code that stands over the result's; -1: none */
};

extern const struct pf_opt pf_run_opts[];
/* Fills run and run->policy. On failure run->json is what the rest of the line asks for. */
int pf_run_options(struct pf_run *run, char **argv, struct pf_error *err);

/* --- run_loop.c */
void pf_run_output(void *user, struct pf_exec *e, enum pf_stream stream, const void *p, size_t n);
void pf_run_loop(struct pf_run *run,
		 struct pf_error *err); /* until the exec has a result and its output is out */

/* --- run_ask.c: guard.command would ask about this command: is there somebody, and does he say yes? Then the
 * exec is ended, and is to be started again. */
bool pf_run_ask(struct pf_run *run);

/* --- run_prompt.c: guard.prompt. What is refused has its cause in run->result; an error is one too. */
int pf_run_prompts(struct pf_run *run, struct pf_error *err);
void pf_run_judge_output(struct pf_run *run); /* after the end; failures are told in the result */

/* --- run_stream.c: the lines of --json=stream */
void pf_stream_started(struct pf_run *run);
void pf_stream_data(struct pf_run *run, enum pf_stream stream, const void *p, size_t n);
void pf_stream_event(void *user, struct pf_exec *e, const char *type, const char *json);
void pf_stream_result(struct pf_run *run);

/* --- run_human.c, run_receipt.c: texts for people */
enum pf_summary {
	PF_SUMMARY_QUIET /* our errors alone */,
	PF_SUMMARY_NORMAL,
	PF_SUMMARY_FULL /* and what is not enforced */
};
void pf_human_summary(const struct pf_run *run, enum pf_summary how, struct pf_buf *out);
void pf_human_receipt(const struct pf_result *r, struct pf_buf *out);

#endif
