/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside policy: words, limits and lists, which the document, the command line and the printer share, so that
 * one thing has one spelling and one error. Functions return 0 or -errno with a message that does not say
 * where the text stood: the caller knows whether that was a line of a document or an option.
 */
#ifndef PF_POLICY_POLICY_INTERNAL_H
#define PF_POLICY_POLICY_INTERNAL_H

#include "policy/policy.h"

/* Bounds on what one policy may hold. The pairs of places are compared with each other, and every pattern
 * meets every entry of the workspace: a generated policy must not make start-up crawl. */
#define PF__PLACES_MAX	 64u
#define PF__PATTERNS_MAX 4096u
#define PF__ENV_MAX	 1024u
#define PF__PATH_MAX	 4096u /* as the protocol has it, with the NUL */

/* --- words.c --- */
struct pf__word {
	const char *name;
	uint64_t value;
};
struct pf__words {
	const struct pf__word *at;
	size_t count;
};
extern const struct pf__words pf__tier_words, pf__min_tier_words, pf__require_words, pf__cap_words,
	pf__user_words, pf__root_words, pf__mode_words, pf__guard_words,
	pf__audit_words /* the same without "enforce" */;

/* -EINVAL: `"x" is not one of a, b, c` and, for a near miss, what was probably meant. */
int pf__word_parse(const struct pf__words *words, const char *text, uint64_t *value, struct pf_error *err);
struct pf_jsonw;
void pf__print_guard_prompt(struct pf_jsonw *w, const struct pf_policy_prompt *p); /* guard.c */
const char *pf__word_name(const struct pf__words *words, uint64_t value);	   /* NULL: no such value */
int pf__mode_parse(const char *text, enum pf_ws_mode *mode, struct pf_error *err);
/* Number of edits from a to b, or a large number where either is too long to be a slip. */
unsigned pf__distance(const char *a, const char *b);
/* Text of a document or the command line, for a message: printable, cut, in double quotes. */
#define PF__SHOWN_MAX 72
const char *pf__shown(const char *s, char out[PF__SHOWN_MAX]);

/* --- limits.c --- */
enum pf__limit_kind { PF__SIZE, PF__COUNT, PF__DURATION, PF__CPUS };
struct pf__limit {
	const char *key;	/* in the document */
	const char *options[2]; /* on the command line, beside the key itself */
	uint32_t bit;		/* PF_LIMIT_*; 0 for output_inline, which limits nothing the command does */
	enum pf__limit_kind kind;
	size_t offset; /* in struct pf_limits; sizes and durations are 64 bits there, the others 32 */
	uint64_t min, max;
	const char *needed; /* why there must be one; NULL: null, "none" and 0 mean none */
};
extern const struct pf__limit pf__limits[];
extern const size_t pf__limit_count;
extern const struct pf_limits pf__limit_defaults;

const struct pf__limit *pf__limit_find(const char *name); /* key or option; NULL */
/* *value 0: none. */
int pf__limit_from_text(const struct pf__limit *l, const char *text, uint64_t *value, struct pf_error *err);
int pf__limit_from_json(const struct pf__limit *l, const struct pf_json *v, uint64_t *value,
			struct pf_error *err);
uint64_t pf__limit_get(const struct pf_limits *from, const struct pf__limit *l);
/* Sets the value, not `written`. A smaller output takes the default of output_inline with it. */
void pf__limit_put(struct pf_limits *to, const struct pf__limit *l, uint64_t value);
/* Text that parses back to the same value: "1G", "90s". Not for counts and cpus. */
void pf__limit_text(const struct pf__limit *l, uint64_t value, char out[32]);

void pf__limit_print(struct pf_jsonw *w, const struct pf__limit *l, uint64_t value); /* key and value */

/* --- network.c --- */
extern const struct pf_network pf__network_defaults;
void pf__network_print(struct pf_jsonw *w, const struct pf_network *n);

/* --- list.c --- */
int pf__policy_set_string(char **at, const char *s); /* NULL clears */
int pf__policy_nomem(struct pf_error *err);

/* --- values.c: what both sides add, checked --- */
int pf__pattern_add(struct pf_list *list, const char *pattern, struct pf_error *err);
int pf__env_put(struct pf_policy *p, const char *name, const char *value, struct pf_error *err);
int pf__image_put(struct pf_policy *p, const char *image, struct pf_error *err);
int pf__user_put(struct pf_policy *p, const char *user, struct pf_error *err);
int pf__command_add(struct pf_policy *p, const char *name,
		    struct pf_error *err); /* one that is there stays one */
int pf__tool_add(struct pf_policy *p, const char *dir,
		 struct pf_error *err); /* one that is there already stays one */
int pf__mount_add(struct pf_policy *p, const char *from, const char *to, struct pf_error *err);
/* Cleaned absolute path, at most 4,095 bytes of UTF-8, into out. */
int pf__absolute(const char *path, char out[PF__PATH_MAX], struct pf_error *err);
void pf__mode_settle(struct pf_policy *p); /* ws_mode from ws_path and ws_mode_wanted */

#endif
