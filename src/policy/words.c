/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a policy, one table for each kind, and the message for a word that is none of them. */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "guard/redact.h"
#include "policy/policy_internal.h"

#define WORDS(table)                                                                                         \
	{                                                                                                    \
		(table), PF_ARRAY_SIZE(table),                                                               \
	}

/* sentry and microvm are words of every build: a policy that asks for a stronger wall than there is must end
 * in "boundary" when it is used, not in a spelling error that invites to write a weaker one. */
static const struct pf__word tiers[] = {
	{"auto", PF_TIER_AUTO},
	{"container", PF_TIER_CONTAINER},
	{"sentry", PF_TIER_SENTRY},
	{"microvm", PF_TIER_MICROVM},
};
const struct pf__words pf__tier_words = WORDS(tiers);
const struct pf__words pf__min_tier_words = {tiers + 1, PF_ARRAY_SIZE(tiers) - 1};

static const struct pf__word requires[] = {
	{"memory", PF_LIMIT_MEMORY},	   {"cpus", PF_LIMIT_CPUS},
	{"processes", PF_LIMIT_PROCESSES}, {"wall_time", PF_LIMIT_WALL},
	{"idle_time", PF_LIMIT_IDLE},	   {"output", PF_LIMIT_OUTPUT},
	{"disk", PF_LIMIT_DISK},	   {"open_files", PF_LIMIT_OPEN_FILES},
	{"limits", PF_REQUIRE_LIMITS},	   {"userns", PF_REQUIRE_USERNS},
	{"netns", PF_REQUIRE_NETNS},	   {"seccomp", PF_REQUIRE_SECCOMP},
	{"landlock", PF_REQUIRE_LANDLOCK}, {"cgroup", PF_REQUIRE_CGROUP},
	{"init_uid", PF_REQUIRE_INIT_UID},
};
const struct pf__words pf__require_words = WORDS(requires);

/* What package managers need (DESIGN section 4), and nothing that reaches beyond the mapped ids. */
static const struct pf__word caps[] = {
	{"chown", CAP_CHOWN},	{"dac_override", CAP_DAC_OVERRIDE},
	{"fowner", CAP_FOWNER}, {"fsetid", CAP_FSETID},
	{"setuid", CAP_SETUID}, {"setgid", CAP_SETGID},
};
const struct pf__words pf__cap_words = WORDS(caps);

static const struct pf__word users[] = {{"user", 0}, {"root", 1}};
const struct pf__words pf__user_words = WORDS(users);

static const struct pf__word roots[] = {{"ro", 0}, {"cow", 1}};
const struct pf__words pf__root_words = WORDS(roots);

static const struct pf__word modes[] = {
	{"ro", PF_WS_RO}, {"cow", PF_WS_COW}, {"rw", PF_WS_RW}, {"rw,live", PF_WS_LIVE}};
const struct pf__words pf__mode_words = WORDS(modes);

static const struct pf__word guards[] = {
	{"off", PF_GUARD_OFF}, {"audit", PF_GUARD_AUDIT}, {"enforce", PF_GUARD_ENFORCE}};
const struct pf__words pf__guard_words = WORDS(guards);
const struct pf__words pf__audit_words = {guards, PF_ARRAY_SIZE(guards) - 1};

const char *pf_ws_mode_name(enum pf_ws_mode m)
{
	for (size_t i = 0; i < PF_ARRAY_SIZE(modes); i++)
		if (modes[i].value == m)
			return modes[i].name;
	return "";
}

const char *pf__shown(const char *s, char out[PF__SHOWN_MAX])
{
	out[0] = '"';
	pf_printable(s, strlen(s), out + 1, PF__SHOWN_MAX - 2);
	strcat(out, "\"");
	return out;
}

#define SLIP_MAX 24 /* the longest word is shorter */

/* Levenshtein, one row of the matrix at a time, without regard to case. */
unsigned pf__distance(const char *a, const char *b)
{
	size_t na = strnlen(a, SLIP_MAX + 1), nb = strnlen(b, SLIP_MAX + 1);
	unsigned row[SLIP_MAX + 1];

	if (na > SLIP_MAX || nb > SLIP_MAX)
		return UINT32_MAX;
	for (size_t j = 0; j <= nb; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			const char one[2] = {a[i - 1]}, other[2] = {b[j - 1]};
			unsigned best = diagonal + (strcasecmp(one, other) != 0);

			diagonal = row[j];
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (row[j] + 1 < best)
				best = row[j] + 1;
			row[j] = best;
		}
	}
	return row[nb];
}

static void not_a_word(const struct pf__words *words, const char *text, struct pf_error *err)
{
	char shown[PF__SHOWN_MAX], list[256] = "", meant[48] = "";
	unsigned least = 3;

	for (size_t i = 0; i < words->count; i++) {
		const char *name = words->at[i].name;
		size_t n = strlen(list);
		unsigned d = pf__distance(text, name);

		snprintf(list + n, sizeof(list) - n, "%s%s", i ? ", " : "", name);
		if (d < least && d < strlen(name)) {
			least = d;
			snprintf(meant, sizeof(meant), "; did you mean \"%s\"?", name);
		}
	}
	pf_fail(err, -EINVAL, "%s is not one of %s%s", pf__shown(text, shown), list, meant);
}

int pf__word_parse(const struct pf__words *words, const char *text, uint64_t *value, struct pf_error *err)
{
	for (size_t i = 0; i < words->count; i++) {
		if (strcmp(words->at[i].name, text) == 0) {
			*value = words->at[i].value;
			return 0;
		}
	}
	not_a_word(words, text, err);
	return -EINVAL;
}

const char *pf__word_name(const struct pf__words *words, uint64_t value)
{
	for (size_t i = 0; i < words->count; i++) {
		if (words->at[i].value == value)
			return words->at[i].name;
	}
	return NULL;
}

int pf__mode_parse(const char *text, enum pf_ws_mode *mode, struct pf_error *err)
{
	uint64_t value;
	int r = pf__word_parse(&pf__mode_words, text, &value, err);

	if (r == 0)
		*mode = (enum pf_ws_mode)value;
	return r;
}

const char *pf_limit_name(enum pf_limit one)
{
	return pf__word_name(&pf__require_words, one);
}

int pf_require_parse(const char *word, uint32_t *bit, struct pf_error *err)
{
	uint64_t value;
	int r = pf__word_parse(&pf__require_words, word, &value, err);

	if (r == 0)
		*bit = (uint32_t)value;
	return r;
}

const char *pf_tier_name(enum pf_tier_ask t)
{
	return pf__word_name(&pf__tier_words, t);
}
