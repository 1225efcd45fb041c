/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AppArmor's restriction of user namespaces (Ubuntu from 23.10, and kernels from 6.7 where it is switched
 * on): any program may make one, and then has no capability in it, unless a profile for its path has the rule
 * "userns,".
 */
#ifndef PF_CLI_APPARMOR_H
#define PF_CLI_APPARMOR_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

#define PF_APPARMOR_FILE "/etc/apparmor.d/pinfold"

struct pf_apparmor {
	bool known;	   /* this kernel has such a restriction, on or off */
	bool restricted;   /* it is on */
	bool file;	   /* PF_APPARMOR_FILE is there */
	char label[120];   /* ours: "unconfined", "pinfold (unconfined)"; "" if unknown */
	char program[512]; /* the path that a profile is for; "" if unknown */
};
void pf_apparmor_look(struct pf_apparmor *out);
/* The text of a profile for a program at this absolute path. */
void pf_apparmor_profile(const char *program, struct pf_buf *out);
/* Write PF_APPARMOR_FILE and load it; says on standard error what it does before it does it. */
int pf_apparmor_fix(struct pf_error *err);

#endif
