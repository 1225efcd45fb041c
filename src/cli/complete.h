/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completion. The scripts of the shells (completion.c) know nothing of pinfold: at each TAB they ask
 *
 *	pinfold complete WORD... CURRENT      the words behind the program's name up to the cursor;
 *	                                      CURRENT may be ""
 *
 * and get lines of a candidate, a tab and what it means. A line that begins with a tab is for the shell
 * itself: files, dirs, or command N (WORD number N, from 1, is a command of its own). So what a shell offers
 * are the rows that the parser of options reads too, and never out of date.
 */
#ifndef PF_CLI_COMPLETE_H
#define PF_CLI_COMPLETE_H

#include "base/list.h"
#include "cli/cli.h"

struct pf_complete {
	const struct pf_verb *const *verbs; /* named by the last word of their names */
	size_t count;
	void (*ids)(enum pf_words kind,
		    struct pf_list *out); /* of what there is now; nothing where it cannot be read */
};

int pf_complete(const struct pf_complete *c, char **words); /* exit code */
void pf_complete_images(const char *state, struct pf_list *out);

#endif
