/* SPDX-License-Identifier: Apache-2.0 */
/* Test builds: which defences of the proxy are off; see broken.h. */
#include "egress/broken.h"

#ifdef PF_BREAK_BUILD
#include <stdlib.h>
#include <string.h>

bool pf__egress_broken(const char *name)
{
	size_t n = strlen(name);

	for (const char *p = getenv("PF_BREAK"); p && *p; p += strcspn(p, ","), p += *p == ',')
		if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == '\0'))
			return true;
	return false;
}
#endif
