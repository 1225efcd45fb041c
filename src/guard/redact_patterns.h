/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The patterns as they are written; tools/mkrules.c compiles them when pinfold is built, and tries each
 * example.
 *
 * A pattern: bytes that stand for themselves, classes ([a-z0-9], or \a letters and digits, \u those and
 * "_-", \b those and "+/", \x hex in lower case, \X hex in both, \d digits, \l lower case and digits, \U
 * upper case and digits), {n} and {n,m} after either, ( and ) around what is replaced (else all of it), |
 * between whole alternatives, \\ before a byte that would mean something. A run takes as much as it can; what
 * follows a run of varying length must begin with a byte that the run has not.
 *
 * An example: as text, with %Na for N letters and digits that look random, likewise %Nx (hex), %Nl, %NU, %Nd,
 * %Nb, %Nu, and %c for the checksum of GitHub's tokens over what stands after the last "_". So no string in
 * this tree looks like a token to those who look for them.
 */
#ifndef PF_GUARD_REDACT_PATTERNS_H
#define PF_GUARD_REDACT_PATTERNS_H

#include "guard/redact_internal.h"

struct pf__pattern {
	const char *name, *pattern;
	enum pf__check check;
	uint8_t entropy;	    /* tenths of a bit a character */
	bool open_left, open_right; /* may stand inside a word */
	const char *yes[3], *no[3];
};
extern const struct pf__pattern pf__patterns_cloud[], pf__patterns_forge[], pf__patterns_service[];
extern const size_t pf__patterns_cloud_count, pf__patterns_forge_count, pf__patterns_service_count;

#endif
