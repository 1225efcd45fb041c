/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of a verb, by table: long and short forms, the help text, and near misses all come from
 * the same rows. No globals; nothing is printed here.
 *
 *	--name value  --name=value  -n value  -nvalue  -abc (flags)  --
 */
#ifndef PF_CLI_ARGS_H
#define PF_CLI_ARGS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "sandbox/policy_options.h"

enum pf_opt_kind {
	PF_OPT_FLAG,
	PF_OPT_VALUE,
	PF_OPT_MAYBE, /* a value only as --name=value */
};

struct pf_opt {
	const char *name; /* NULL ends a table */
	char letter;
	enum pf_opt_kind kind;
	const char *arg; /* in help texts; NULL for a flag */
	const char *help;
};

struct pf_args {
	char **argv; /* of the verb, without its own name; NULL-terminated; reordered with words_between */
	const struct pf_opt *own; /* the verb's options */
	bool policy;		  /* and those of the policy */
	bool words_between;	  /* options and words may alternate; else the first word ends the options */
	int words;		  /* with words_between: argv[0..words) are the words so far */
	int next;		  /* index of what was not read yet */
	const char *cluster;	  /* inside "-abc": what is left of it */
	bool ended;		  /* "--" was seen */
};

struct pf_arg {
	const struct pf_opt *own; /* one of the two */
	const struct pf_policy_opt *policy;
	const char *value; /* NULL without one */
};

/* 1: *out is an option; 0: the end, and the words are argv + next, or with words_between argv[0..words),
 * where argv[words] is NULL; -EINVAL: err names the option and what may have been meant; next is then behind
 * it. */
int pf_args_next(struct pf_args *a, struct pf_arg *out, struct pf_error *err);

/* Lines "  -e, --env NAME[=VALUE]   help" of both tables. */
void pf_args_help(const struct pf_opt *own, bool policy, struct pf_buf *out);

/* Row i of both tables, the verb's own first; of the policy's, kind and arg as if it were one. False at the
 * end. */
bool pf_args_row(const struct pf_opt *own, bool policy, size_t i, struct pf_opt *out);

/* The one of count names that word is probably a slip of, or NULL. name(user, i) gives the i-th, NULL ends.
 */
const char *pf_args_near(const char *word, const char *(*name)(const void *user, size_t i), const void *user);

#endif
