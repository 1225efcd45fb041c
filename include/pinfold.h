/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pinfold: run commands behind a real boundary, and be told truthfully what it was.
 *
 *	struct pf_error err;
 *	struct pf_policy *policy;
 *	struct pf_sandbox *box;
 *	struct pf_result *result;
 *	const char *argv[] = { "echo", "hello", NULL };
 *
 *	pf_policy_new(&policy, &err);
 *	pf_sandbox_create(policy, NULL, &box, &err);
 *	pf_sandbox_run(box, &(struct pf_exec_options){ .argv = argv }, &result, &err);
 *	puts(pf_result_text(result));
 *
 * Conventions. Functions return 0 or a negative errno and fill *err, which is the caller's and may be
 * NULL. Outputs are untouched on failure. An object belongs to who created it, until its _destroy,
 * _free or _end function; those accept NULL. Nothing here logs, exits, or installs signal handlers; the
 * library ignores SIGPIPE only on its own sockets. Sizes are bytes, times milliseconds unless a name says
 * otherwise. Objects of one sandbox are used from one thread at a time.
 *
 * Life. A sandbox dies with the process that created it: its first process reads end of file and ends.
 * What it did to a cow workspace is kept as a change set when it is destroyed (pf_sandbox_end).
 */
#ifndef PINFOLD_H
#define PINFOLD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef PF_BASE_ERROR_H /* the same struct as base/error.h has */
#define PF_ERROR_MAX 512
struct pf_error {
	int code;
	char msg[PF_ERROR_MAX];
};
#endif

struct pf_policy;
struct pf_sandbox;
struct pf_exec;
struct pf_result;

const char *pf_version(void);

/* --- policy: see pinfold(1) and docs/policy.md ---------------------------------------- */
int pf_policy_new(struct pf_policy **out, struct pf_error *err);		 /* safe defaults */
int pf_policy_load(struct pf_policy *p, const char *path, struct pf_error *err); /* JSON document over it */
int pf_policy_parse(struct pf_policy *p, const char *text, size_t n, const char *name, struct pf_error *err);
/* One option by its name on the command line, without dashes: "memory" "1G", "workspace" "/src:cow",
 * "allow" "pypi.org:443",
 * "env" "K=V", "tier" "container", "require" "seccomp", "timeout" "10s" ... -EINVAL for an unknown one. */
int pf_policy_option(struct pf_policy *p, const char *name, const char *value, struct pf_error *err);
void pf_policy_destroy(struct pf_policy *p);

/* --- sandbox --------------------------------------------------------------------------- */
/* Directories that differ from the defaults; NULL members mean the default. Strings are copied. */
struct pf_places {
	const char *state;   /* kept change sets and caches: $PINFOLD_STATE, /var/lib/pinfold,
				$XDG_STATE_HOME/pinfold */
	const char *runtime; /* live sandboxes: /run/pinfold, $XDG_RUNTIME_DIR/pinfold */
	const char *libexec; /* where pinfold-init is: beside the program, else the installation's */
	int progress;	     /* a program that makes or unpacks an image may tell of it on standard error */
};

/* Build the wall and start init. The policy is copied. -ENOTSUP: no tier of this host can (err says why and
 * the mend); -EPERM: the wall that was required cannot be had (cause "boundary"); others: cause "error". */
int pf_sandbox_create(const struct pf_policy *policy, const struct pf_places *places, struct pf_sandbox **out,
		      struct pf_error *err);
const char *pf_sandbox_id(const struct pf_sandbox *s);
const char *pf_sandbox_tier(const struct pf_sandbox *s);
/* Kill everything, collect the changes, remove every trace. *changes_id receives a string that the caller
 * frees, or NULL when there is no cow workspace or nothing changed; the pointer itself may be NULL: then
 * changes are dropped. */
int pf_sandbox_end(struct pf_sandbox *s, char **changes_id, struct pf_error *err);
void pf_sandbox_destroy(struct pf_sandbox *s); /* pf_sandbox_end() that drops the changes */
/* Stop and continue every process and every clock of the sandbox. -EOPNOTSUPP without a freezer. */
int pf_sandbox_pause(struct pf_sandbox *s, struct pf_error *err);
int pf_sandbox_resume(struct pf_sandbox *s, struct pf_error *err);

/* --- the guard ------------------------------------------------------------------------- */
/* How much a text looks like one that was written to take a model over: a signal, never a wall. tool: what a
 * tool returned; else what a user wrote. *level: 0 clear, 1 suspect, 2 attack; *score: 0 to 1, suspect from
 * 0.5 and attack from 0.9; *json, the whole verdict (docs/guard-prompt.md), is the caller's to free. Each of
 * the three may be NULL. A child of libexec, pinfold-guard, does it; for many texts keep one `pinfold guard
 * prompt
 * --stream`. */
int pf_prompt_judge(const struct pf_places *places, int tool, const void *text, size_t n, int *level,
		    double *score, char **json, struct pf_error *err);

/* --- exec ------------------------------------------------------------------------------ */
enum pf_stream { PF_STDOUT = 1, PF_STDERR = 2 };

struct pf_exec_options {
	const char *const *argv;   /* NULL-terminated; argv[0] is looked up in the PATH of the inside */
	const char *const *env;	   /* more "K=V", NULL-terminated or NULL */
	const char *cwd;	   /* NULL: as the policy says */
	int tty;		   /* a terminal of its own; all output is then PF_STDOUT */
	unsigned short rows, cols; /* with tty; 0: 24x80 */
	int want_stdin;		   /* else stdin is /dev/null (with tty it is the terminal) */
	uint64_t wall_ms, idle_ms; /* 0: as the policy says */
	/* As `docker run` has it: argv, which may then be NULL or empty, goes behind the image's ENTRYPOINT,
	 * and without argv its CMD does. entrypoint replaces the image's, and its CMD with it; "" is none. */
	int from_image;
	const char *entrypoint;
	/* A line for a shell in place of argv, which is then NULL: `sh -c LINE`, past an image's ENTRYPOINT.
	 * Where the policy judges it, and it needs nothing that only a shell does, no shell is started. */
	const char *shell;
	/* guard.command of the policy judges words and lines before they start; a refusal is cause "denied".
	 * From the second command on it asks inside, and output of other commands may be told of meanwhile.
	 * A person said yes to this one: what the policy would ask about runs; what it denies does not. */
	int approved;
	int last; /* no other command follows: the sandbox ends with this one, and is torn down sooner */
	/* Called from pf_sandbox_step() with output as it arrives, already bounded by limits.output. May be
	 * NULL. The bytes are also kept for the result, head and tail, up to limits.output_inline; and whole
	 * in a file once they are more (pf_result_read). */
	void (*output)(void *user, struct pf_exec *e, enum pf_stream stream, const void *p, size_t n);
	void *user;
	/* What happens beside output, at once: type "denial" or "connection", json an object as in the lists
	 * of the result. A connection is told when it ended. May be NULL. */
	void (*event)(void *user, struct pf_exec *e, const char *type, const char *json);
	int inline_only; /* no such file: what is more than limits.output_inline is lost, as `run --rm` has it
			  */
};

/* Start a command. It does not run before its boundary was proved; a refusal shows as the result's cause. */
int pf_exec_start(struct pf_sandbox *s, const struct pf_exec_options *o, struct pf_exec **out,
		  struct pf_error *err);
/* How many bytes of stdin are taken now (0: step and try again). */
size_t pf_exec_stdin_room(const struct pf_exec *e);
int pf_exec_stdin(struct pf_exec *e, const void *p, size_t n, struct pf_error *err);
int pf_exec_stdin_close(struct pf_exec *e);
/* Take no more of an output than is on its way (at most 256 KiB) until it is released again: who writes to a
 * slow reader holds up that stream alone, and the command waits as in any pipe. While an output is held the
 * exec does not end before its end of file; pf_exec_kill() still kills. */
int pf_exec_hold(struct pf_exec *e, enum pf_stream stream, int hold);
int pf_exec_resize(struct pf_exec *e, unsigned short rows, unsigned short cols);
int pf_exec_signal(struct pf_exec *e, int signo,
		   struct pf_error *err); /* to the first process; the foreground group with a terminal */
int pf_exec_kill(struct pf_exec *e);	  /* every process of the exec; cause "killed" */
/* The result once it ended, else NULL. Belongs to the exec. */
const struct pf_result *pf_exec_result(const struct pf_exec *e);
void pf_exec_end(struct pf_exec *e); /* kills it if it runs, frees it and its result */

/* Drive everything for at most timeout_ms (-1: until something happened): reads, deadlines, ends. 1:
 * something happened, 0: time is up, negative: the sandbox is broken (every exec then has a result with cause
 * boundary or error). */
int pf_sandbox_step(struct pf_sandbox *s, int timeout_ms, struct pf_error *err);
/* For callers with a loop of their own: poll this descriptor (ask each time: it may be another one) for these
 * events (POLLIN; POLLOUT too while something waits to be sent), at most pf_sandbox_timeout() ms, then
 * step(0). */
int pf_sandbox_fd(const struct pf_sandbox *s);
int pf_sandbox_events(const struct pf_sandbox *s);
int pf_sandbox_timeout(const struct pf_sandbox *s);

/* Start, drive and wait; *out is the caller's and freed with pf_result_destroy(). */
int pf_sandbox_run(struct pf_sandbox *s, const struct pf_exec_options *o, struct pf_result **out,
		   struct pf_error *err);

/* --- result ---------------------------------------------------------------------------- */
char *pf_result_to_json(const struct pf_result *r,
			int indent);			/* docs/result.schema.json; the caller frees it */
const char *pf_result_cause(const struct pf_result *r); /* "exited", "timeout", "oom" ... */
int pf_result_exit_code(const struct pf_result *r);	/* -1: null */
const char *pf_result_text(const struct pf_result *r);	/* stdout, NUL-terminated, as far as kept */
const char *pf_result_stderr(const struct pf_result *r);
/* Bytes of an output from `from` on, at most n, as long as it was: from the result, or from the file that is
 * kept of a long one. *got: how many; 0 is the end. -ENODATA: what was left out is not kept (err says why);
 * -ENOENT: it was dropped, by somebody or for its age. */
int pf_result_read(const struct pf_result *r, enum pf_stream stream, uint64_t from, void *p, size_t n,
		   size_t *got, struct pf_error *err);
void pf_result_destroy(struct pf_result *r);

/* --- files inside, under the command's own identity and walls ---------------------------- */
struct pf_file_stat {
	uint32_t mode, uid, gid;
	uint64_t size;
	int64_t mtime_ns;
};
int pf_file_read(struct pf_sandbox *s, const char *path, size_t max, char **data, size_t *n,
		 struct pf_error *err); /* caller frees; -EFBIG */
int pf_file_write(struct pf_sandbox *s, const char *path, const void *p, size_t n, struct pf_error *err);
int pf_file_stat(struct pf_sandbox *s, const char *path, struct pf_file_stat *out, struct pf_error *err);
/* One call per entry, in the directory's order. type: 'f' 'd' 'l' or '?'. */
int pf_file_list(struct pf_sandbox *s, const char *path,
		 void (*each)(void *user, char type, const char *name), void *user, struct pf_error *err);
int pf_file_mkdir(struct pf_sandbox *s, const char *path, struct pf_error *err);
int pf_file_remove(struct pf_sandbox *s, const char *path, struct pf_error *err); /* a tree too */

/* --- change sets -------------------------------------------------------------------------- */
char *pf_changes_json(const struct pf_places *places, const char *id,
		      struct pf_error *err); /* caller frees; NULL: err */
int pf_changes_diff(const struct pf_places *places, const char *id, int out_fd, struct pf_error *err);
/* As a layer of an OCI image (tar). -EPERM if content that may be secret is in it, unless with_secrets. */
int pf_changes_export(const struct pf_places *places, const char *id, int out_fd, int with_secrets,
		      struct pf_error *err);

struct pf_changes_how {
	const char *const *paths; /* relative to the workspace, NULL-terminated; NULL: everything */
	int force;		  /* over conflicts */
	int allow_protected;	  /* paths of the policy's protect list too */
	int dry_run;
};
/* Nothing is written with conflicts (-EEXIST) or protected paths (-EPERM). An apply that is cut off leaves
 * the set half applied, and the same call goes on. how: NULL is all zeros. *report, also with those errors:
 * JSON with the lists applied, conflicts, protected and notes, and whether it resumed an apply and is half
 * applied; the caller frees it; NULL if it is not wanted. */
int pf_changes_apply_with(const struct pf_places *places, const char *id, const struct pf_changes_how *how,
			  char **report, struct pf_error *err);
int pf_changes_apply(const struct pf_places *places, const char *id, int force, struct pf_error *err);
/* -EBUSY for a set that is half applied: end that, or `pinfold drop --force`. */
int pf_changes_drop(const struct pf_places *places, const char *id, struct pf_error *err);

/* --- long outputs --------------------------------------------------------------------------- */
/* Of results that are gone: id is that of the result, the beginning of one, or "last". Kept until dropped,
 * for 7 days, while all of them together are within 1 GiB. Nothing is kept of an output that the result had
 * whole.
 */
int pf_output_size(const struct pf_places *places, const char *id, enum pf_stream stream, uint64_t *size,
		   struct pf_error *err);
int pf_output_read(const struct pf_places *places, const char *id, enum pf_stream stream, uint64_t from,
		   void *p, size_t n, size_t *got, struct pf_error *err); /* as pf_result_read() */
int pf_output_drop(const struct pf_places *places, const char *id, struct pf_error *err);

#ifdef __cplusplus
}
#endif
#endif
