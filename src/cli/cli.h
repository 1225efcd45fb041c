/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of the program share. */
#ifndef PF_CLI_CLI_H
#define PF_CLI_CLI_H

#include "base/buf.h"
#include "base/error.h"
#include "cli/args.h"
#include "policy/policy.h"
#include "sandbox/places.h"

#define PF_EXIT_ERROR 125 /* pinfold's own failures, as against the command's */

/* What a verb's words are, for completion. */
enum pf_words {
	PF_WORDS_NONE,
	PF_WORDS_COMMAND, /* a command and its arguments, which end the options */
	PF_WORDS_SETS,	  /* ids of change sets */
	PF_WORDS_KEPT,	  /* and of long outputs */
	PF_WORDS_OUTPUTS, /* of those alone */
	PF_WORDS_IMAGES,
	PF_WORDS_VERBS,
	PF_WORDS_FILES,
};

struct pf_verb {
	const char *name, *summary;
	const char *usage; /* lines without "pinfold ", each with a newline */
	const char *text;  /* what must be known to use it */
	const struct pf_opt *opts;
	bool policy;		  /* takes the policy's options too */
	int (*main)(char **argv); /* argv: behind the verb; returns the exit code */
	enum pf_words words;
	const char *const *actions;	    /* what the first word may be, NULL-terminated; or NULL */
	const struct pf_verb *const *parts; /* verbs of its own, by the last word of their names; or NULL */
};

extern const struct pf_verb pf_verb_run, pf_verb_ls, pf_verb_diff, pf_verb_apply, pf_verb_export,
	pf_verb_drop, pf_verb_output, pf_verb_policy, pf_verb_doctor, pf_verb_image, pf_verb_guard,
	pf_verb_completion;

/* Rows that every verb has. */
#define PF_OPT_HELP                                                                                          \
	{                                                                                                    \
		"help", 'h', PF_OPT_FLAG, NULL, "this text"                                                  \
	}
#define PF_OPT_END                                                                                           \
	{                                                                                                    \
		NULL, 0, PF_OPT_FLAG, NULL, NULL                                                             \
	}

int pf_cli_image_complete(char **words); /* by its program, which knows its verbs */
/* Become libexec's program, with these words behind its name. Returns only on failure: PF_EXIT_ERROR, said.
 * libraries: named where they are missing. */
int pf_cli_become(const char *program, const char *libraries, char *const *words, size_t count);
int pf_cli_image_help(const char *verb);  /* of "pinfold image VERB", by its program */
int pf_cli_help(const struct pf_verb *v); /* to stdout; 0 */
int pf_cli_misuse(const struct pf_verb *v, const struct pf_error *err);	     /* to stderr; PF_EXIT_ERROR */
int pf_cli_fail(const struct pf_error *err);				     /* to stderr; PF_EXIT_ERROR */
void pf_cli_say(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* "pinfold: ..." to stderr */
/* Write to stdout. 0, or an exit code: 141 when nobody reads any more, else PF_EXIT_ERROR with a message. */
int pf_cli_out(const struct pf_buf *b);
/* Text of unknown origin, fit for a terminal. NULL is "-". */
void pf_cli_name(struct pf_buf *out, const char *s);
void pf_cli_name_cut(struct pf_buf *out, const char *s, size_t columns);

/* Directories, and STATE/changes opened; says what failed. Descriptor, or -errno. */
int pf_cli_changes(struct pf_dirs *dirs, struct pf_error *err);
/* pf_change_load(); where there is no such change set but a sandbox of that id, the error says how it is with
 * that. */
struct pf_changeset;
int pf_cli_load(int changes_fd, const struct pf_dirs *dirs, const char *id, struct pf_changeset *out,
		struct pf_error *err);

/* "pinfold: note: ..." to stderr, and the list is freed. */
void pf_cli_notes(struct pf_list *notes);
/* The set as a tar archive; the exit code. 1: secrets are in it. */
int pf_cli_export(int changes_fd, const struct pf_changeset *set, bool secrets, int out_fd);

/* The policy of a command line: documents in their order, then the options over them in theirs. */
struct pf_policy_args {
	const char **files;
	size_t file_count;
	struct pf_policy_over {
		const struct pf_policy_opt *opt;
		const char *value;
	} * over;
	size_t over_count;
};
int pf_policy_args_init(struct pf_policy_args *a, char **argv,
			struct pf_error *err); /* room for all of argv */
void pf_policy_args_free(struct pf_policy_args *a);
int pf_policy_args_build(const struct pf_policy_args *a, struct pf_policy **out,
			 struct pf_error *err); /* checked */

#endif
