/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock's rules for TCP (ABI 4, Linux 6.7): for a process that dials, and only to certain ports. */
#ifndef PF_LINUX_LANDLOCK_NET_H
#define PF_LINUX_LANDLOCK_NET_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* From now on the calling thread connects by TCP to these ports alone, and binds none. Needs no_new_privs.
 * -EOPNOTSUPP below ABI 4. */
int pf_landlock_tcp(const uint16_t *ports, size_t count, struct pf_error *err);

#endif
