/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The accounts of an image: its passwd(5) and group(5), which are bytes of unknown origin. A number is read
 * strictly or its line is passed over (CVE-2026-30892: an account that was parsed loosely ran as another).
 */
#ifndef PF_IMAGE_ACCOUNT_H
#define PF_IMAGE_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

#define PF_ACCOUNTS_MAX (1u << 20) /* bytes of one of the files; a longer one is no such file */
#define PF_ACCOUNT_ID	65535u	   /* the largest id that a sandbox maps */
#define PF_ACCOUNT_NAME 64u
#define PF_ACCOUNT_HOME 256u

struct pf_account {
	uint32_t uid, gid;
	bool listed;		    /* passwd has this uid */
	char name[PF_ACCOUNT_NAME]; /* of letters, digits and . _ - alone */
	char home[PF_ACCOUNT_HOME]; /* clean and absolute, and fit to be covered: see pf_account_home() */
};

/* The first account of that uid whose name and numbers can be read; its home is "" if none can be there. */
bool pf_account_by_uid(const struct pf_buf *passwd, uint32_t uid, struct pf_account *out);
/* "NAME", "UID", each with or without ":GROUP" or ":GID", as `docker run --user` takes it: digits are always
 * a number; a number that passwd lacks is taken as it is, with gid 0. -ENOENT for a name that is not there,
 * -ERANGE for an id that no sandbox has. */
int pf_account_find(const char *spec, const struct pf_buf *passwd, const struct pf_buf *group,
		    struct pf_account *out, struct pf_error *err);
/* May a sandbox make a writable directory there? Not where the system's own places are. */
bool pf_account_home(const char *home, char clean[PF_ACCOUNT_HOME]);

/* The files with a line for the account if they lack its ids; an empty one gets root and nobody too. 1: a
 * line was added, 0: nothing is missing, and out is as it was; -ENOMEM. */
int pf_account_add_passwd(const struct pf_buf *passwd, const struct pf_account *a, const char *shell,
			  struct pf_buf *out);
int pf_account_add_group(const struct pf_buf *group, const struct pf_account *a, struct pf_buf *out);

#endif
