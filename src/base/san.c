/* SPDX-License-Identifier: Apache-2.0 */
/* Builds under sanitizers; see san.h. In other builds this file is empty. */
#include "base/san.h"

#ifdef PF_SAN_BUILD
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int pf_san_refused(void)
{
	const char *testing = getenv("PF_TESTING");

	return !testing || strcmp(testing, "1") != 0;
}

/* volatile: none of this may be seen through and left out */
static void write_beyond(void)
{
	volatile char *volatile p = malloc(8);
	volatile int at = 8;

	if (p)
		p[at] = 1;
	free((void *)p);
}

static void overflow(void)
{
	volatile int most = INT_MAX;

	most = most + 1;
}

static void leak(void)
{
	void *volatile p = malloc(64);

	p = NULL;
	(void)p;
}

void pf_san_bug(const char *where)
{
	const char *bug = getenv("PF_SAN_BUG");
	size_t n = strlen(where);

	if (!bug || strncmp(bug, where, n) != 0 || bug[n] != '-')
		return;
	if (strcmp(bug + n, "-heap") == 0)
		write_beyond();
	else if (strcmp(bug + n, "-int") == 0)
		overflow();
	else
		leak();
}

char *const *pf_san_env(void)
{
	static char *env[2];
	char **e;

	for (e = environ; e && *e; e++)
		if (strncmp(*e, "PF_SAN_BUG=", 11) == 0)
			env[0] = *e;
	return env;
}
#endif
