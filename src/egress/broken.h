/* SPDX-License-Identifier: Apache-2.0 */
/* Inside this folder: is a defence of the proxy off (test builds)? In release builds no name of one is
 * compiled in. */
#ifndef PF_EGRESS_BROKEN_H
#define PF_EGRESS_BROKEN_H

#include <stdbool.h>

#ifdef PF_BREAK_BUILD
bool pf__egress_broken(const char *name); /* in $PF_BREAK, which the keeper passes on */
#else
#define pf__egress_broken(name) false
#endif

#endif
